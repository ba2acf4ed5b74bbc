//! A record as the JSON object of design.md §9 ("A result"): the one place that writes it, for `rate`, `calls`, `export`.
//!
//! Names and their order are an interface. What is unknown is null; a number that was forgotten is unknown. Beyond the
//! interface there are `correlation` and `marks`, and in exports of a range `line`, `seq` and `reverses`.

pub use super::json::Object;
use super::numbers::is_forgotten;
use crate::meter::{Line, Party, Record, RecordKey};
use crate::units::{Money, Timestamp, Word, write_decimal};
use rust_decimal::Decimal;
use std::borrow::Cow;

/// How phone numbers are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digits {
    /// As they are.
    All,
    /// With the last so many digits as `x`.
    Masked(u8),
}

/// Whether a record is due, or taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// It is due.
    Due,
    /// It is taken back: every quantity and amount is the opposite, so that sums over all lines come out right.
    Reversed,
}

impl Sign {
    /// The word for it in exports.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Due => "entry",
            Self::Reversed => "reversal",
        }
    }
}

/// What a line of an export of a range says beyond the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Posting {
    /// The entry, or the reversal.
    pub seq: i64,
    /// The entry that is reversed.
    pub reverses: Option<i64>,
}

/// How a record is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Phone numbers.
    pub digits: Digits,
    /// Due or taken back.
    pub sign: Sign,
    /// Where it stands in the ledger, in exports of a range.
    pub posting: Option<Posting>,
}

impl Style {
    /// A record that is due, numbers whole: as `rate` prints it.
    pub const PLAIN: Self = Self { digits: Digits::All, sign: Sign::Due, posting: None };

    /// A quantity with this sign.
    #[must_use]
    pub fn count(&self, value: u64) -> i64 {
        let value = i64::try_from(value).unwrap_or(i64::MAX);
        match self.sign {
            Sign::Due => value,
            Sign::Reversed => -value,
        }
    }

    /// An amount with this sign; zero has none.
    #[must_use]
    pub fn amount(&self, value: Decimal) -> Decimal {
        match self.sign {
            Sign::Reversed if !value.is_zero() => -value,
            Sign::Due | Sign::Reversed => value,
        }
    }

    /// A party: E.164 or the digits as received; `None` where there are none, or they are forgotten.
    #[must_use]
    pub fn party<'a>(&self, party: &'a Party) -> Option<Cow<'a, str>> {
        match party {
            Party::Number(number) => Some(self.mask(number.to_string().into())),
            Party::Raw(raw) => self.number(raw.as_str()),
        }
    }

    /// Digits as received, likewise. Extensions are never masked.
    #[must_use]
    pub fn number<'a>(&self, text: &'a str) -> Option<Cow<'a, str>> {
        match text {
            "" => None,
            text if is_forgotten(text) => None,
            text if super::numbers::is_extension(text) => Some(text.into()),
            text => Some(self.mask(text.into())),
        }
    }

    /// What a person wrote: numbers in it are shown as others are.
    #[must_use]
    pub fn prose<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.digits {
            Digits::All => Cow::Borrowed(text),
            Digits::Masked(_) => super::prose::mask(text, |number| self.mask(number.into()).into()),
        }
    }

    fn mask<'a>(&self, text: Cow<'a, str>) -> Cow<'a, str> {
        let Digits::Masked(count) = self.digits else { return text };
        let mut left = count;
        let mut masked: Vec<char> = Vec::with_capacity(text.len());
        for sign in text.chars().rev() {
            let hide = left > 0 && sign.is_ascii_digit();
            left = left.saturating_sub(u8::from(hide));
            masked.push(if hide { 'x' } else { sign });
        }
        masked.into_iter().rev().collect::<String>().into()
    }
}

/// Appends one record as a JSON object, without a line end.
pub fn write_json(out: &mut Vec<u8>, record: &Record, style: &Style) {
    let mut object = Object::begin(out);
    object.text("kind", kind_of(record));
    object.maybe("call_id", call_id_of(record));
    object.maybe("contract", record.contract.as_deref());
    object.maybe("plan", record.plan.as_deref());
    object.maybe("hotline", record.hotline.as_deref());
    object.maybe("service", Some(&*record.service).filter(|service| !service.is_empty()));
    object.maybe("direction", record.direction.map(Word::word));
    write_party(&mut object, "caller", &record.caller, style);
    write_party(&mut object, "called", &record.called, style);
    object.maybe("agent", record.agent.as_deref().and_then(|agent| style.number(agent)).as_deref());
    object.maybe("severity", record.severity.as_deref());
    object.maybe("incident", record.incident.as_deref());
    let mut time = |name: &str, time: Option<Timestamp>| {
        object.optional(name, time, |object, name, time| object.written(name, |out| time.write_rfc3339(out, record.zone)));
    };
    time("started_at", Some(record.started_at));
    time("connected_at", record.connected_at);
    time("ended_at", record.ended_at);
    object.maybe("end", record.end.map(Word::word));
    object.maybe("billed_from", record.billed_from.map(Word::word));
    object.integer("wait_s", style.count(record.wait.get()));
    object.integer("talk_s", style.count(record.talk.get()));
    object.integer("billed_s", style.count(record.billed.get()));
    object.text("outcome", record.outcome.word());
    object.maybe("reason", record.reason.as_deref().map(|reason| style.prose(reason)).as_deref());
    object.flag("late", record.late);
    let charge = &record.charge;
    let money = |amount: Decimal| Money::new(style.amount(amount), charge.currency);
    object.written("net", |out| money(charge.net).write_fixed(out));
    let percent = if charge.vat_percent.scale() == 0 { charge.vat_percent } else { charge.vat_percent.normalize() };
    object.decimal("vat_percent", percent);
    object.written("vat", |out| money(charge.vat).write_fixed(out));
    object.written("gross", |out| money(charge.gross).write_fixed(out));
    object.text("currency", charge.currency.code());
    object.list("allowances", &record.allowances, |mut object, usage| {
        object.text("id", &usage.id);
        object.integer("used", style.count(usage.used));
        object.end();
    });
    object.list("lines", &record.lines, |object, line| write_line(object, line, style));
    if let Some(fee) = record.fee {
        object.text("period_from", &fee.from.to_string());
        object.text("period_to", &fee.to.to_string());
        object.integer("quantity", style.count(u64::from(fee.quantity)));
    }
    object.maybe("correlation", record.correlation.map(Word::word));
    object.list_of("marks", record.marks.iter().map(|mark| mark.word()));
    if let Some(posting) = style.posting {
        object.text("line", style.sign.word());
        object.integer("seq", posting.seq);
        object.optional("reverses", posting.reverses, Object::integer);
    }
    object.end();
}

/// `call` or `fee`.
#[must_use]
pub const fn kind_of(record: &Record) -> &'static str {
    match record.key {
        RecordKey::Call(_) => "call",
        RecordKey::Fee { .. } => "fee",
    }
}

/// The call's name; `None` of a fee.
#[must_use]
pub fn call_id_of(record: &Record) -> Option<&str> {
    match &record.key {
        RecordKey::Call(id) => Some(id.as_str()),
        RecordKey::Fee { .. } => None,
    }
}

fn write_line(mut object: Object<'_>, line: &Line, style: &Style) {
    object.text("rule", line.rule.word());
    object.maybe("band", line.band.as_deref());
    object.maybe("allowance", line.allowance.as_deref());
    object.integer("count", style.count(line.count));
    object.optional("increment_s", line.increment.and_then(|span| i64::try_from(span.get()).ok()), Object::integer);
    object.written("unit_price", |out| write_decimal(out, line.unit_price));
    object.written("amount", |out| write_decimal(out, style.amount(line.amount)));
    object.end();
}

fn write_party(object: &mut Object<'_>, name: &str, party: &Party, style: &Style) {
    match (party, style.digits) {
        (Party::Number(number), Digits::All) => object.written(name, |out| number.write(out)),
        _ => object.maybe(name, style.party(party).as_deref()),
    }
}
