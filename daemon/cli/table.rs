//! Records as a table for people: who, how long, who pays, what, and why.

use crate::meter::{Deadline, Line, Outcome, Party, Record, RecordKey, Rule};
use crate::units::{Direction, Money, Seconds, Word, write_decimal, write_integer};

/// The head of the table.
#[must_use]
pub fn head() -> String {
    format!(
        "{:<19}  {:<8}  {:<15}  {:<18}  {:>7}  {:>7}  {:<12}  {:<12}  {:>9}  why",
        "started", "call", "caller", "hotline", "wait", "talk", "contract", "outcome", "net"
    )
}

/// One record, without a line end.
#[must_use]
pub fn row(record: &Record) -> String {
    let mut out = Vec::with_capacity(192);
    write_row(&mut out, record);
    text(out)
}

/// Appends the same.
pub fn write_row(out: &mut Vec<u8>, record: &Record) {
    let begin = out.len();
    let is_call = record.fee.is_none();
    left(out, 19, |out| record.started_at.write_plain(out, record.zone));
    match &record.key {
        RecordKey::Call(id) => {
            left(out, 8, |out| write(out, first(id.as_str(), 8)));
            left(out, 15, |out| write_party(out, &record.caller));
            left(out, 18, |out| match record.direction {
                Some(Direction::Out) => {
                    let from = out.len();
                    write(out, "→ ");
                    write_party(out, &record.called);
                    clip(out, from, 18);
                }
                _ => write_clipped(out, record.hotline.as_deref().unwrap_or(&record.service), 18),
            });
        }
        RecordKey::Fee { plan, .. } => {
            left(out, 8, |out| write(out, "fee"));
            left(out, 15, |_| {});
            left(out, 18, |out| write_clipped(out, plan, 18));
        }
    }
    for span in [record.wait, record.talk] {
        right(out, 7, |out| {
            if is_call {
                write_clock(out, span)
            }
        });
    }
    left(out, 12, |out| write(out, record.contract.as_deref().unwrap_or("-")));
    left(out, 12, |out| write(out, if record.ended_at.is_none() && is_call { "running" } else { record.outcome.word() }));
    right(out, 9, |out| Money::new(record.charge.net, record.charge.currency).write_fixed(out));
    write_why(out, record);
    hide_controls(out, begin);
}

/// What texts from outside could do to a terminal, they do not.
fn hide_controls(out: &mut Vec<u8>, begin: usize) {
    let written = out.get(begin..).unwrap_or_default();
    // In UTF-8, a control character is below a space, is 0x7f, or begins with 0xc2. All bytes are looked at: many at a time.
    if written.iter().fold(false, |found, byte| found | (*byte < b' ') | (*byte == 0x7f) | (*byte == 0xc2)) {
        let shown = String::from_utf8_lossy(written).replace(char::is_control, "\u{fffd}");
        out.truncate(begin);
        write(out, &shown);
    }
}

fn write(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

fn text(out: Vec<u8>) -> String {
    String::from_utf8(out).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// A column of which the text begins on the left, and the space to the next.
fn left(out: &mut Vec<u8>, width: usize, write: impl FnOnce(&mut Vec<u8>)) {
    let begin = out.len();
    write(out);
    let missing = width.saturating_sub(characters(out, begin));
    out.resize(out.len() + missing + 2, b' ');
}

/// A column of which the text ends on the right, and the space to the next.
fn right(out: &mut Vec<u8>, width: usize, write: impl FnOnce(&mut Vec<u8>)) {
    let begin = out.len();
    write(out);
    let (end, missing) = (out.len(), width.saturating_sub(characters(out, begin)));
    out.resize(end + missing, b' ');
    out.copy_within(begin..end, begin + missing);
    if let Some(before) = out.get_mut(begin..begin + missing) {
        before.fill(b' ');
    }
    out.extend_from_slice(b"  ");
}

/// How many characters were written since.
fn characters(out: &[u8], begin: usize) -> usize {
    out.get(begin..).unwrap_or_default().iter().filter(|byte| !matches!(byte, 0x80..0xc0)).count()
}

fn write_party(out: &mut Vec<u8>, party: &Party) {
    match party {
        Party::Number(number) => number.write(out),
        Party::Raw(raw) => write_clipped(out, raw.as_str(), 15),
    }
}

/// The first characters of a text.
fn first(text: &str, count: usize) -> &str {
    text.char_indices().nth(count).and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}

fn write_clipped(out: &mut Vec<u8>, text: &str, width: usize) {
    let begin = out.len();
    write(out, text);
    clip(out, begin, width);
}

/// Cuts what was written since to so many characters.
fn clip(out: &mut Vec<u8>, begin: usize, width: usize) {
    if characters(out, begin) > width {
        let written = text(out.split_off(begin));
        write(out, first(&written, width - 1));
        write(out, "…");
    }
}

/// `12:01` or `1:00:01`.
#[must_use]
pub fn clock(seconds: Seconds) -> String {
    let mut out = Vec::with_capacity(8);
    write_clock(&mut out, seconds);
    text(out)
}

fn write_clock(out: &mut Vec<u8>, seconds: Seconds) {
    let (hours, minutes, rest) = (seconds.get() / 3_600, seconds.get() % 3_600 / 60, seconds.get() % 60);
    let two = |out: &mut Vec<u8>, number: u64| {
        if number < 10 {
            out.push(b'0');
        }
        write_integer(out, number);
    };
    if hours > 0 {
        write_integer(out, hours);
        out.push(b':');
        two(out, minutes);
    } else {
        write_integer(out, minutes);
    }
    out.push(b':');
    two(out, rest);
}

/// The reason, else the lines in short: `2 × 1m monthly-15; 3 × 1m at 0.50`.
#[must_use]
pub fn why(record: &Record) -> String {
    let mut out = Vec::with_capacity(96);
    write_why(&mut out, record);
    text(out)
}

fn write_why(out: &mut Vec<u8>, record: &Record) {
    if let Some(reason) = &record.reason {
        write(out, reason);
    }
    for (place, line) in record.lines.iter().enumerate() {
        if place > 0 || record.reason.is_some() {
            write(out, "; ");
        }
        write_short(out, line);
    }
    if record.reason.is_none() && record.lines.is_empty() && record.outcome == Outcome::Included {
        write(out, "nothing is due");
    }
    for (place, mark) in record.marks.iter().enumerate() {
        write(out, if place == 0 { "  [" } else { ", " });
        write(out, mark.word());
    }
    if !record.marks.is_empty() {
        out.push(b']');
    }
}

/// What a tariff decides about a call that waits, and when: `customer from 2026-12-05 on`.
#[must_use]
pub fn deadline(deadline: &Deadline) -> String {
    format!("{} from {} on", deadline.verdict, deadline.from)
}

/// One line of the breakdown in short.
#[must_use]
pub fn short(line: &Line) -> String {
    let mut out = Vec::with_capacity(64);
    write_short(&mut out, line);
    text(out)
}

fn write_short(out: &mut Vec<u8>, line: &Line) {
    let allowance = line.allowance.as_deref().unwrap_or("the allowance");
    let counted = |out: &mut Vec<u8>| {
        write_integer(out, line.count);
        if let Some(length) = line.increment {
            write(out, " × ");
            length.write(out);
        }
    };
    let length = line.increment.unwrap_or_default();
    match line.rule {
        Rule::Allowance => {
            counted(out);
            write(out, " from ");
            write(out, allowance);
        }
        Rule::Step => {
            counted(out);
            write(out, " at ");
            write_decimal(out, line.unit_price);
        }
        Rule::TopUp => {
            write_integer(out, line.count);
            write(out, " bought");
            if line.increment.is_some() {
                write(out, " × ");
                length.write(out);
            }
            write(out, " at ");
            write_decimal(out, line.unit_price);
        }
        Rule::Incident => {
            write(out, "an incident at ");
            write_decimal(out, line.unit_price);
        }
        Rule::Flat => write(out, "included"),
        Rule::Fee | Rule::Surcharge => {
            write(out, line.rule.word());
            out.push(b' ');
            write_integer(out, line.count);
            write(out, " × ");
            write_decimal(out, line.unit_price);
        }
        Rule::Free => {
            length.write(out);
            write(out, " free: shorter than what is charged");
        }
        Rule::Tolerance => {
            counted(out);
            write(out, " beyond ");
            write(out, allowance);
            write(out, ", tolerated");
        }
        Rule::Rounded => {
            length.write(out);
            write(out, " counted into what is rounded");
        }
        Rule::Goodwill | Rule::Cap | Rule::Rounding | Rule::Connect | Rule::Minimum => {
            write(out, line.rule.word());
            out.push(b' ');
            write_decimal(out, line.amount);
        }
    }
    let says_band = match line.rule {
        Rule::Allowance | Rule::Step | Rule::Incident | Rule::Flat | Rule::Surcharge | Rule::Rounded => true,
        Rule::TopUp | Rule::Fee | Rule::Free | Rule::Tolerance => false,
        Rule::Goodwill | Rule::Cap | Rule::Rounding | Rule::Connect | Rule::Minimum => false,
    };
    if let Some(band) = line.band.as_deref().filter(|_| says_band) {
        write(out, " (");
        write(out, band);
        out.push(b')');
    }
}
