//! What one call or fee came to, with the lines that explain every cent (design.md §9, "A result").

use crate::calls::{BilledFrom, Correlation, End, Mark};
use crate::units::{CallId, Currency, Direction, E164, RawNumber, Seconds, Timestamp};
use chrono::NaiveDate;
use chrono_tz::Tz;
use rust_decimal::Decimal;

/// What a record is about: its key in the ledger, and never how or when we learned it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecordKey {
    /// A call.
    Call(CallId),
    /// A plan's fee for the period that begins on a day.
    Fee {
        /// The contract.
        contract: Box<str>,
        /// The plan.
        plan: Box<str>,
        /// The period's first day.
        from: NaiveDate,
    },
}

/// What one call or fee came to, as of now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What it is about.
    pub key: RecordKey,
    /// Who pays; `None` when nobody does (unmatched, ambiguous).
    pub contract: Option<Box<str>>,
    /// The plan that priced it.
    pub plan: Option<Box<str>>,
    /// The hotline's name.
    pub hotline: Option<Box<str>>,
    /// The service; empty for a fee.
    pub service: Box<str>,
    /// In or out; `None` for a fee.
    pub direction: Option<Direction>,
    /// Who called: E.164, or the digits as received where it is none.
    pub caller: Party,
    /// Who was called.
    pub called: Party,
    /// The first agent talked to.
    pub agent: Option<Box<str>>,
    /// The severity that counted.
    pub severity: Option<Box<str>>,
    /// The incident: the `call_id` of its first call, or `ticket:` and the ticket.
    pub incident: Option<Box<str>>,
    /// The first INVITE (a fee: the period's beginning).
    pub started_at: Timestamp,
    /// When an agent was connected (or the PBX answered, as `billed_from` says).
    pub connected_at: Option<Timestamp>,
    /// When it was over; `None` while it runs.
    pub ended_at: Option<Timestamp>,
    /// How the end is known; `None` for a fee and for a running call.
    pub end: Option<End>,
    /// From which moment talk counts; `None` for a fee and a missed call.
    pub billed_from: Option<BilledFrom>,
    /// All its wait, in whole seconds.
    pub wait: Seconds,
    /// Its talk, in whole seconds.
    pub talk: Seconds,
    /// The sum of the increments begun (flat: talk; incident: 0).
    pub billed: Seconds,
    /// What became of it.
    pub outcome: Outcome,
    /// Why, where that needs a word.
    pub reason: Option<Box<str>>,
    /// It came after its month was closed.
    pub late: bool,
    /// What is due.
    pub charge: Charge,
    /// What allowances were used, in seconds or count.
    pub allowances: Vec<AllowanceUse>,
    /// The lines that add up to net (or gross, with gross prices) exactly.
    pub lines: Vec<Line>,
    /// A fee's period and quantity.
    pub fee: Option<FeePeriod>,
    /// How the legs were joined; `None` for a fee.
    pub correlation: Option<Correlation>,
    /// What to know before relying on the talk time.
    pub marks: Vec<Mark>,
    /// The zone in which its times are shown: the tariff's.
    pub zone: Tz,
}

/// One end of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Party {
    /// A number.
    Number(E164),
    /// Digits as received: an extension, or something that is no number. May be empty.
    Raw(RawNumber),
}

/// Net, VAT and gross, rounded to the smallest unit once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charge {
    /// Without VAT.
    pub net: Decimal,
    /// The rate, in percent.
    pub vat_percent: Decimal,
    /// The VAT.
    pub vat: Decimal,
    /// With VAT.
    pub gross: Decimal,
    /// The currency of all three.
    pub currency: Currency,
}

/// What became of a call: the first that applies (design.md §9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// No agent answered.
    Missed,
    /// No contract.
    Unmatched,
    /// Several contracts, or several callers.
    Ambiguous,
    /// The plan does not sell this, or not now.
    Uncovered,
    /// The caller may not call on this plan.
    Unauthorised,
    /// Waits for a decision.
    Held,
    /// Something is due.
    Charged,
    /// Nothing is due.
    Included,
}

/// How much of an allowance a call used: seconds, or count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowanceUse {
    /// The allowance.
    pub id: Box<str>,
    /// Seconds of a time allowance; otherwise incidents or callbacks.
    pub used: u64,
}

/// A line of the breakdown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Which rule of the tariff.
    pub rule: Rule,
    /// The band it began in.
    pub band: Option<Box<str>>,
    /// The allowance that covered it.
    pub allowance: Option<Box<str>>,
    /// How many increments, incidents or units.
    pub count: u64,
    /// The length of one increment.
    pub increment: Option<Seconds>,
    /// The price of one.
    pub unit_price: Decimal,
    /// `count` × `unit_price`, unrounded; of a rounding line, the rest.
    pub amount: Decimal,
}

/// The rules a line can come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// Covered by an allowance.
    Allowance,
    /// A step of a rate.
    Step,
    /// A quantity bought when nothing was left.
    TopUp,
    /// A price per incident.
    Incident,
    /// Included talk.
    Flat,
    /// A fee.
    Fee,
    /// Waived.
    Goodwill,
    /// A percentage on top.
    Surcharge,
    /// More than this is not due.
    Cap,
    /// The rest of rounding to the smallest unit.
    Rounding,
    /// Due once a call.
    Connect,
    /// What a call costs at least.
    Minimum,
    /// Shorter than what is free.
    Free,
    /// Beyond an allowance, within what is tolerated.
    Tolerance,
    /// Talk that is counted into a length, and charged with it or not at all.
    Rounded,
}

/// The period a fee is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeePeriod {
    /// Its first day.
    pub from: NaiveDate,
    /// Its last day.
    pub to: NaiveDate,
    /// How many were due: 1, or the stations.
    pub quantity: u32,
}
