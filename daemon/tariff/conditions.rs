//! What the market adds to a price: rounding, a free window, a connect fee, a minimum, surcharges, caps, tolerance.
//!
//! Each is independent of the others. Their worked examples stand in `config/tariffs/README.md`, and as tests in
//! `meter/tests/market.rs`.

use super::{BandId, Level};
use crate::units::Seconds;
use rust_decimal::Decimal;

/// What goes with a rate beside its price; by default nothing does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// A call with less talk than this costs nothing, uses no allowance and belongs to no incident. The rate of the band in
    /// which talk begins says so.
    pub free_under: Option<Seconds>,
    /// Due once a call, with its first increment that no allowance covers.
    pub connect: Option<Decimal>,
    /// A call for which anything is due costs at least this.
    pub minimum: Option<Decimal>,
    /// How talk is rounded before it is priced; `None`: each increment in full when it begins.
    pub round: Option<Round>,
}

/// How talk that no allowance covers is rounded before it is priced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Round {
    /// What is added up, and then rounded.
    pub per: RoundPer,
    /// To which length, a multiple of each step's increment; `None`: to the increment itself.
    pub to: Option<Seconds>,
    /// In which direction.
    pub mode: RoundMode,
}

/// What is added up before it is rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RoundPer {
    /// Nothing: each increment by itself.
    Increment,
    /// The talk of a call.
    Call,
    /// The talk of the calls of an incident.
    Incident,
    /// The talk of the calls of a contract that began to talk on a local day.
    Day,
    /// The talk of the calls of a contract that began to talk in a calendar month.
    Month,
}

/// In which direction talk is rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoundMode {
    /// A length that has begun is charged.
    Up,
    /// Only a length that is complete is charged.
    Down,
    /// A length of which half has passed is charged.
    Half,
}

impl RoundMode {
    /// How many seconds of a length have to pass until it is charged; never 0.
    #[must_use]
    pub fn charged_after(self, length: Seconds) -> u64 {
        match self {
            Self::Up => 1,
            Self::Down => length.get().max(1),
            Self::Half => length.get().div_ceil(2).max(1),
        }
    }
}

/// A percentage on top of what is priced in some bands: steps, quantities bought, prices per incident, connect fees.
#[derive(Clone, Debug)]
pub struct Surcharge {
    /// The line of the file it stands on.
    pub line: u32,
    /// Services; empty: all.
    pub services: Vec<Box<str>>,
    /// Bands; never empty.
    pub bands: Vec<BandId>,
    /// Severities; empty: all.
    pub severities: Vec<Box<str>>,
    /// Agent levels; empty: all.
    pub levels: Vec<Level>,
    /// The percentage, more than 0.
    pub percent: Decimal,
}

/// More than this is not due.
#[derive(Clone, Debug)]
pub struct Cap {
    /// The line of the file it stands on.
    pub line: u32,
    /// Services, whose charges are added up together; empty: all.
    pub services: Vec<Box<str>>,
    /// The most that is due, in the tariff's prices (net or gross).
    pub amount: Decimal,
    /// For what.
    pub per: CapPer,
}

/// What a cap holds for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CapPer {
    /// One call.
    Call,
    /// The calls of an incident.
    Incident,
    /// The calls of a contract that began to talk in a calendar month.
    Month,
}

/// How far beyond an allowance usage is free. Beyond that, all that is beyond the allowance is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tolerance {
    /// So many percent of what was granted.
    Percent(Decimal),
    /// So many seconds, incidents or callbacks.
    Quantity(u64),
}

impl Tolerance {
    /// How much it is for an allowance of which `granted` was granted; a part of a second or of an incident does not count.
    #[must_use]
    pub fn of(self, granted: u64) -> u64 {
        match self {
            Self::Quantity(quantity) => quantity,
            Self::Percent(percent) => {
                let share = Decimal::from(granted).checked_mul(percent).and_then(|part| part.checked_div(Decimal::ONE_HUNDRED));
                share.and_then(|share| u64::try_from(share.trunc()).ok()).unwrap_or(0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_charged_when_enough_of_it_has_passed() {
        let quarter = Seconds::new(900);
        assert_eq!([RoundMode::Up, RoundMode::Half, RoundMode::Down].map(|mode| mode.charged_after(quarter)), [1, 450, 900]);
        assert_eq!(RoundMode::Half.charged_after(Seconds::new(1)), 1);
    }

    #[test]
    fn a_tolerance_is_a_share_or_a_quantity() {
        assert_eq!(Tolerance::Percent(Decimal::TEN).of(900), 90);
        assert_eq!(Tolerance::Percent(Decimal::new(125, 1)).of(15), 1);
        assert_eq!(Tolerance::Quantity(2).of(900), 2);
    }
}
