//! Records as a table for people: who, how long, who pays, what, and why.

use crate::meter::{Deadline, Line, Outcome, Record, Rule};
use crate::units::{Money, Seconds, Word};

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
    let local = record.started_at.plain(record.zone);
    let (call, caller, hotline) = match &record.key {
        crate::meter::RecordKey::Call(id) => {
            let caller = shown(&record.caller);
            let hotline = record.hotline.as_deref().unwrap_or(&record.service).to_owned();
            let short: String = id.as_str().chars().take(8).collect();
            (
                short,
                caller,
                if record.direction == Some(crate::units::Direction::Out) { format!("→ {}", shown(&record.called)) } else { hotline },
            )
        }
        crate::meter::RecordKey::Fee { plan, .. } => ("fee".to_owned(), String::new(), plan.to_string()),
    };
    let net = Money::new(record.charge.net, record.charge.currency).to_fixed();
    let (wait, talk) = if record.fee.is_some() { (String::new(), String::new()) } else { (clock(record.wait), clock(record.talk)) };
    let outcome = if record.ended_at.is_none() && record.fee.is_none() { "running" } else { record.outcome.word() };
    let row = format!(
        "{local:<19}  {call:<8}  {caller:<15}  {:<18}  {wait:>7}  {talk:>7}  {:<12}  {outcome:<12}  {net:>9}  {}",
        clip(&hotline, 18),
        record.contract.as_deref().unwrap_or("-"),
        why(record)
    );
    if row.contains(char::is_control) { row.replace(char::is_control, "\u{fffd}") } else { row }
}

fn shown(party: &crate::meter::Party) -> String {
    match party {
        crate::meter::Party::Number(number) => number.to_string(),
        crate::meter::Party::Raw(raw) => clip(raw.as_str(), 15),
    }
}

fn clip(text: &str, width: usize) -> String {
    if text.chars().count() <= width { text.to_owned() } else { text.chars().take(width - 1).chain(['…']).collect() }
}

/// `12:01` or `1:00:01`.
#[must_use]
pub fn clock(seconds: Seconds) -> String {
    let (hours, minutes, rest) = (seconds.get() / 3_600, seconds.get() % 3_600 / 60, seconds.get() % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{rest:02}") } else { format!("{minutes}:{rest:02}") }
}

/// The reason, else the lines in short: `2 × 1m monthly-15; 3 × 1m at 0.50`.
#[must_use]
pub fn why(record: &Record) -> String {
    let mut parts: Vec<String> = record.reason.iter().map(|reason| reason.to_string()).collect();
    parts.extend(record.lines.iter().map(short));
    if parts.is_empty() && record.outcome == Outcome::Included {
        parts.push("nothing is due".to_owned());
    }
    let marks: Vec<&str> = record.marks.iter().map(|mark| mark.word()).collect();
    let marks = if marks.is_empty() { String::new() } else { format!("  [{}]", marks.join(", ")) };
    format!("{}{marks}", parts.join("; "))
}

/// What a tariff decides about a call that waits, and when: `customer from 2026-12-05 on`.
#[must_use]
pub fn deadline(deadline: &Deadline) -> String {
    format!("{} from {} on", deadline.verdict, deadline.from)
}

/// One line of the breakdown in short.
#[must_use]
pub fn short(line: &Line) -> String {
    let band = line.band.as_deref().map(|band| format!(" ({band})")).unwrap_or_default();
    let length = line.increment.map(|length| format!(" × {length}")).unwrap_or_default();
    match line.rule {
        Rule::Allowance => format!("{}{length} from {}{band}", line.count, line.allowance.as_deref().unwrap_or("the allowance")),
        Rule::Step => format!("{}{length} at {}{band}", line.count, line.unit_price),
        Rule::TopUp => format!("{} bought{length} at {}", line.count, line.unit_price),
        Rule::Incident => format!("an incident at {}{band}", line.unit_price),
        Rule::Flat => format!("included{band}"),
        Rule::Fee => format!("fee {} × {}", line.count, line.unit_price),
        Rule::Surcharge => format!("surcharge {} × {}{band}", line.count, line.unit_price),
        Rule::Free => format!("{} free: shorter than what is charged", line.increment.unwrap_or_default()),
        Rule::Tolerance => format!("{}{length} beyond {}, tolerated", line.count, line.allowance.as_deref().unwrap_or("the allowance")),
        Rule::Rounded => format!("{} counted into what is rounded{band}", line.increment.unwrap_or_default()),
        Rule::Goodwill | Rule::Cap | Rule::Rounding | Rule::Connect | Rule::Minimum => format!("{} {}", line.rule.word(), line.amount),
    }
}
