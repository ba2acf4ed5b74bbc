//! What settlement carries from one increment to the next: balances, incidents, and sums that are rounded or capped.
//!
//! The one invariant: it holds no reference to a call or a tariff, so that settlement can go on from it another day
//! ([`super::settle_from`]).

use super::incidents::Incidents;
use super::pools::Pools;
use super::stretch::Stretch;
use crate::units::{CallId, Seconds, Timestamp};
use chrono::{Datelike as _, NaiveDate};
use rust_decimal::Decimal;
use std::collections::BTreeMap;

/// What is left of everything at an instant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    pub(super) pools: Pools,
    pub(super) incidents: Incidents,
    /// Seconds of the length that is being filled, of talk rounded over several calls.
    pub(super) blocks: Sums<u64>,
    /// What was charged so far, of what a cap holds for.
    pub(super) charged: Sums<Decimal>,
}

impl State {
    /// The same for calls whose talk begins on `day` or later, at `at` or later: without what can serve none of them.
    #[must_use]
    pub(super) fn from(&self, at: Timestamp, day: NaiveDate, longest_window: Seconds) -> Self {
        let mut rest = self.clone();
        rest.pools.forget_before(day);
        rest.incidents.forget_before(at, longest_window);
        rest.blocks.forget_before(day);
        rest.charged.forget_before(day);
        rest
    }

    /// Whether a stretch that began with what there `was` comes to the same with this: but for balances that it does not
    /// notice, the two must be alike.
    #[must_use]
    pub(super) fn goes_as_it_went(&self, was: &Self, stretch: &Stretch) -> bool {
        let Self { pools, incidents, blocks, charged } = self;
        (incidents, blocks, charged) == (&was.incidents, &was.blocks, &was.charged) && pools.suffice(&was.pools, &stretch.asked)
    }

    /// What is left after such a stretch, which ends on `day`, and after which there was `then`.
    #[must_use]
    pub(super) fn after(&self, was: &Self, stretch: &Stretch, then: &Self, day: NaiveDate) -> Self {
        Self { pools: self.pools.after(&was.pools, &stretch.asked, &then.pools, day), ..then.clone() }
    }
}

/// For which calls something is added up.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// One.
    Call(CallId),
    /// Those of an incident, by its name.
    Incident(Box<str>),
    /// Those that began to talk on a day.
    Day(NaiveDate),
    /// Those that began to talk in the month of this first day.
    Month(NaiveDate),
}

impl Scope {
    /// The month of a day.
    pub fn month_of(day: NaiveDate) -> Self {
        Self::Month(day.with_day(1).unwrap_or(day))
    }
}

/// Sums by the rule they belong to (plan, and line of its tariff) and its calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sums<T> {
    all: BTreeMap<Scope, Vec<(Box<str>, u32, T)>>,
}

impl<T> Default for Sums<T> {
    fn default() -> Self {
        Self { all: BTreeMap::new() }
    }
}

impl<T: Copy + Default> Sums<T> {
    /// The sum so far.
    pub fn get(&self, plan: &str, line: u32, scope: &Scope) -> T {
        let found = self.all.get(scope).and_then(|sums| sums.iter().find(|(known, at, _)| *at == line && **known == *plan));
        found.map_or_else(T::default, |(_, _, sum)| *sum)
    }

    /// Puts another in its place.
    pub fn set(&mut self, plan: &str, line: u32, scope: Scope, sum: T) {
        let sums = self.all.entry(scope).or_default();
        match sums.iter_mut().find(|(known, at, _)| *at == line && **known == *plan) {
            Some((_, _, known)) => *known = sum,
            None => sums.push((plan.into(), line, sum)),
        }
    }

    fn forget_before(&mut self, day: NaiveDate) {
        let month = day.with_day(1).unwrap_or(day);
        self.all.retain(|scope, _| match scope {
            Scope::Call(_) => false,
            Scope::Incident(_) => true,
            Scope::Day(on) => *on >= day,
            Scope::Month(of) => *of >= month,
        });
    }
}
