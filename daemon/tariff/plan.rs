//! What a plan offers: fee, allowances, rates, conditions (design.md §5).

use super::{BandId, Cap, Conditions, Surcharge, Tolerance};
use crate::units::{Direction, Seconds};
use chrono::NaiveDate;
use rust_decimal::Decimal;

/// An agent's level: 1st, 2nd, 3rd.
pub type Level = u8;

/// One version of a plan.
#[derive(Clone, Debug)]
pub struct PlanVersion {
    /// The plan's name in contracts.
    pub id: Box<str>,
    /// The first day of this version.
    pub valid_from: NaiveDate,
    /// The line of the file it begins on.
    pub line: u32,
    /// What is due each period, whatever is called.
    pub fee: Option<Fee>,
    /// Included quantities, in file order.
    pub allowances: Vec<Allowance>,
    /// Prices, in file order: the first that applies counts.
    pub rates: Vec<Rate>,
    /// Percentages on top, in file order: the first that applies counts.
    pub surcharges: Vec<Surcharge>,
    /// Upper limits, in file order.
    pub caps: Vec<Cap>,
    /// Whether calls wait for a decision.
    pub decision: Option<DecisionRule>,
    /// Promised times to call back.
    pub responses: Vec<Response>,
    /// Who may call.
    pub callers: Callers,
    /// How many stations it covers: from, to (inclusive). `None`: any number.
    pub stations: Option<(u32, u32)>,
    /// The first term of a contract; `None`: no fixed term.
    pub term: Option<Period>,
    /// By how much it goes on, again and again.
    pub renewal: Option<Period>,
    /// How long before a term's end it must be cancelled.
    pub notice: Option<Period>,
    /// Plans a contract must hold beside this one.
    pub requires: Vec<Box<str>>,
    /// Plans whose offers come with this one, without their fees.
    pub includes: Vec<Box<str>>,
    /// Plans whose allowances and rates this one replaces (their fees stay due).
    pub supersedes: Vec<Box<str>>,
}

/// A length of calendar time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// So many days.
    Days(u32),
    /// So many months (a year is twelve). A day that a month lacks is that month's last day, counted from the original day.
    Months(u32),
}

/// What is due each period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fee {
    /// The amount per period (and station).
    pub amount: Decimal,
    /// The period.
    pub per: FeePer,
}

/// The period of a fee; periods run from the contract's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeePer {
    /// One month.
    Month,
    /// One year.
    Year,
    /// One year, times the stations on the period's first day.
    YearAndStation,
}

/// An included quantity.
#[derive(Clone, Debug)]
pub struct Allowance {
    /// Its name in results; unique in the plan.
    pub id: Box<str>,
    /// The line of the file it stands on.
    pub line: u32,
    /// What is included.
    pub grant: Grant,
    /// For which time it is granted anew.
    pub per: Validity,
    /// How long after its period its rest goes on (carry-over), and at most how much of it; `None`: it lapses with the period.
    pub carry_over: Option<(u64, Period)>,
    /// How far beyond it usage is free.
    pub tolerance: Option<Tolerance>,
    /// Granted once for each station of the contract.
    pub per_station: bool,
    /// Services it serves; never empty.
    pub services: Vec<Box<str>>,
    /// Bands it serves; empty: all.
    pub bands: Vec<BandId>,
    /// Severities it serves; empty: all.
    pub severities: Vec<Box<str>>,
    /// Agent levels it serves; empty: all.
    pub levels: Vec<Level>,
}

/// What an allowance includes, each period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// Talk time, used up in increments of a length (never zero).
    Time {
        /// How much.
        quantity: Seconds,
        /// The increment.
        increment: Seconds,
    },
    /// Incidents.
    Incidents(u32),
    /// Callbacks (calls).
    Callbacks(u32),
}

/// For which time an allowance is granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// Each calendar month, full also in a first and last partial one.
    Month,
    /// Each contract year, from the contract's start.
    ContractYear,
    /// Once, from `activated_on`; without that date there is none. With a period, it lapses that long after.
    Activation(Option<Period>),
}

/// A price and where it applies.
#[derive(Clone, Debug)]
pub struct Rate {
    /// The service.
    pub service: Box<str>,
    /// The line of the file it stands on.
    pub line: u32,
    /// Bands; empty: all.
    pub bands: Vec<BandId>,
    /// Severities; empty: all.
    pub severities: Vec<Box<str>>,
    /// Agent levels; empty: all.
    pub levels: Vec<Level>,
    /// Direction; `None`: both.
    pub direction: Option<Direction>,
    /// The price.
    pub price: Price,
    /// What goes with it.
    pub conditions: Conditions,
}

/// How a rate is charged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Price {
    /// Increments by talk time so far; never empty, the first from 0, ascending.
    Steps(Vec<Step>),
    /// When nothing is left, a quantity is bought, and used up in increments within the period.
    TopUp {
        /// How much is bought.
        quantity: Seconds,
        /// For how much.
        price: Decimal,
        /// How it is used up (never zero).
        increment: Seconds,
        /// How long its rest lasts.
        per: Validity,
    },
    /// A price per incident.
    Incident(Decimal),
    /// Included; usage is still counted.
    Flat,
}

/// From a talk time on, increments of a length at a price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The talk time from which it counts.
    pub from: Seconds,
    /// The increment (never zero).
    pub increment: Seconds,
    /// The price of one.
    pub price: Decimal,
}

/// Calls are held until someone says whose fault it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecisionRule {
    /// The services held; empty: all.
    pub services: Vec<Box<str>>,
    /// What counts after the deadline, if there is one.
    pub default: Option<(Period, Resolved)>,
}

/// What a tariff may decide by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolved {
    /// The customer pays.
    Customer,
    /// The provider does.
    Provider,
}

/// Whose fault a call was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Billed.
    Customer,
    /// Free, and no allowance used.
    Provider,
    /// So many percent of the net waived, 0 to 100.
    GoodwillPercent(Decimal),
    /// The last so many seconds of talk begin no increment.
    GoodwillTime(Seconds),
}

/// A promised time to call back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Severities; empty: all.
    pub severities: Vec<Box<str>>,
    /// Within which time.
    pub within: Seconds,
    /// The bands in which that clock runs; empty: always.
    pub bands: Vec<BandId>,
}

/// Who may call on a plan (inbound calls only).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Callers {
    /// Anybody whose number belongs to the contract.
    Any,
    /// Only the authorised numbers.
    Authorised,
}
