//! CSV: RFC 4180, and the dialect of German spreadsheets (semicolon, decimal comma, a byte order mark so that umlauts
//! arrive). The columns are those of a result, in its order; what a result nests is one cell.
//!
//! The one invariant: no cell that holds what a network said can be a formula. A text that begins with `=`, `+`, `-`, `@`, a tab
//! or a line break gets an apostrophe before it, as spreadsheets themselves write it. Phone numbers in E.164 are data: they
//! keep their plus and are quoted, since digits after a plus are no formula that could do anything. Numbers that we
//! computed stand as they are.

use crate::ledger::result::{Style, call_id_of, kind_of};
use crate::meter::{AllowanceUse, Line, Record};
use crate::units::{Money, Timestamp, Word};
use rust_decimal::Decimal;

/// How cells and decimals are separated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Comma and point.
    Rfc4180,
    /// Semicolon and comma.
    German,
}

const COLUMNS: &[&str] = &[
    "kind",
    "call_id",
    "contract",
    "plan",
    "hotline",
    "service",
    "direction",
    "caller",
    "called",
    "agent",
    "severity",
    "incident",
    "started_at",
    "connected_at",
    "ended_at",
    "end",
    "billed_from",
    "wait_s",
    "talk_s",
    "billed_s",
    "outcome",
    "reason",
    "late",
    "net",
    "vat_percent",
    "vat",
    "gross",
    "currency",
    "allowances",
    "lines",
    "period_from",
    "period_to",
    "quantity",
    "correlation",
    "marks",
    "line",
    "seq",
    "reverses",
];

impl Dialect {
    const fn separator(self) -> u8 {
        match self {
            Self::Rfc4180 => b',',
            Self::German => b';',
        }
    }

    fn decimal(self, value: impl ToString) -> String {
        let text = value.to_string();
        match self {
            Self::Rfc4180 => text,
            Self::German => text.replace('.', ","),
        }
    }
}

/// The header row.
pub(super) fn head(dialect: Dialect) -> Vec<u8> {
    let mut out = match dialect {
        Dialect::Rfc4180 => Vec::new(),
        Dialect::German => "\u{feff}".as_bytes().to_vec(),
    };
    let mut row = Row::begin(&mut out, dialect);
    for column in COLUMNS {
        row.plain(column);
    }
    row.end();
    out
}

/// One record.
pub(super) fn line(out: &mut Vec<u8>, record: &Record, style: &Style, dialect: Dialect) {
    let mut row = Row::begin(out, dialect);
    row.plain(kind_of(record));
    for text in [call_id_of(record), record.contract.as_deref(), record.plan.as_deref(), record.hotline.as_deref()] {
        row.text(text.unwrap_or_default());
    }
    row.text(&record.service);
    row.plain(record.direction.map_or("", Word::word));
    row.phone(&style.party(&record.caller).unwrap_or_default());
    row.phone(&style.party(&record.called).unwrap_or_default());
    row.phone(&record.agent.as_deref().and_then(|agent| style.number(agent)).unwrap_or_default());
    row.text(record.severity.as_deref().unwrap_or_default());
    row.text(record.incident.as_deref().unwrap_or_default());
    for time in [Some(record.started_at), record.connected_at, record.ended_at] {
        row.plain(&time.map(|time: Timestamp| time.rfc3339(record.zone)).unwrap_or_default());
    }
    row.plain(record.end.map_or("", Word::word));
    row.plain(record.billed_from.map_or("", Word::word));
    for span in [record.wait, record.talk, record.billed] {
        row.plain(&style.count(span.get()).to_string());
    }
    row.plain(record.outcome.word());
    row.text(&style.prose(record.reason.as_deref().unwrap_or_default()));
    row.plain(if record.late { "true" } else { "false" });
    charge(&mut row, record, style);
    row.text(&joined(&record.allowances, |usage| allowance(usage, style)));
    row.text(&joined(&record.lines, |line| breakdown(line, style, dialect)));
    match record.fee {
        Some(fee) => {
            row.plain(&fee.from.to_string());
            row.plain(&fee.to.to_string());
            row.plain(&style.count(u64::from(fee.quantity)).to_string());
        }
        None => (0..3).for_each(|_| row.plain("")),
    }
    row.plain(record.correlation.map_or("", Word::word));
    row.plain(&joined(&record.marks, |mark| mark.word().into()));
    row.plain(style.sign.word());
    row.plain(&style.posting.map(|posting| posting.seq.to_string()).unwrap_or_default());
    row.plain(&style.posting.and_then(|posting| posting.reverses).map(|seq| seq.to_string()).unwrap_or_default());
    row.end();
}

fn charge(row: &mut Row<'_>, record: &Record, style: &Style) {
    let (charge, dialect) = (&record.charge, row.dialect);
    let money = |amount: Decimal| dialect.decimal(Money::new(style.amount(amount), charge.currency).to_fixed());
    row.number(&money(charge.net));
    row.number(&dialect.decimal(charge.vat_percent.normalize()));
    row.number(&money(charge.vat));
    row.number(&money(charge.gross));
    row.plain(charge.currency.code());
}

/// Several values in one cell, as contracts.csv has them.
fn joined<T>(values: &[T], text: impl Fn(&T) -> String) -> String {
    values.iter().map(text).collect::<Vec<_>>().join("|")
}

/// `minutes:720`
fn allowance(usage: &AllowanceUse, style: &Style) -> String {
    format!("{}:{}", usage.id, style.count(usage.used))
}

/// `step support 3x60s@0.50=1.50`, `allowance support/minutes 12x60s@0.00=0.00`
fn breakdown(line: &Line, style: &Style, dialect: Dialect) -> String {
    let mut text = line.rule.word().to_owned();
    if let Some(band) = &line.band {
        text.push(' ');
        text.push_str(band);
    }
    if let Some(allowance) = &line.allowance {
        text.push('/');
        text.push_str(allowance);
    }
    let increment = line.increment.map(|span| format!("x{}s", span.get())).unwrap_or_default();
    let (price, amount) = (dialect.decimal(line.unit_price), dialect.decimal(style.amount(line.amount)));
    text.push_str(&format!(" {}{increment}@{price}={amount}", style.count(line.count)));
    text
}

/// A row in the making.
struct Row<'a> {
    out: &'a mut Vec<u8>,
    dialect: Dialect,
    empty: bool,
}

impl<'a> Row<'a> {
    fn begin(out: &'a mut Vec<u8>, dialect: Dialect) -> Self {
        Self { out, dialect, empty: true }
    }

    fn end(self) {
        self.out.extend_from_slice(b"\r\n");
    }

    /// A word of ours: it holds no sign that means something.
    fn plain(&mut self, text: &str) {
        self.separate();
        self.out.extend_from_slice(text.as_bytes());
    }

    /// A number of ours: quoted where the dialect's separator is in it, which happens in neither.
    fn number(&mut self, text: &str) {
        self.cell(text, false);
    }

    /// What somebody else said.
    fn text(&mut self, text: &str) {
        if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) {
            self.cell(&format!("'{text}"), false);
        } else {
            self.cell(text, false);
        }
    }

    /// A phone number: always quoted.
    fn phone(&mut self, text: &str) {
        let digits = text.strip_prefix('+').unwrap_or(text);
        if digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'x') {
            self.cell(text, !text.is_empty());
        } else {
            self.text(text);
        }
    }

    fn cell(&mut self, text: &str, quoted: bool) {
        self.separate();
        let special = |byte: u8| byte == self.dialect.separator() || matches!(byte, b'"' | b'\r' | b'\n' | b'\t');
        let edges = text.starts_with(' ') || text.ends_with(' ');
        if !quoted && !edges && !text.bytes().any(special) {
            self.out.extend_from_slice(text.as_bytes());
            return;
        }
        self.out.push(b'"');
        for byte in text.bytes() {
            if byte == b'"' {
                self.out.push(b'"');
            }
            self.out.push(byte);
        }
        self.out.push(b'"');
    }

    fn separate(&mut self) {
        if !self.empty {
            self.out.push(self.dialect.separator());
        }
        self.empty = false;
    }
}
