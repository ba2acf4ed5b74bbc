//! What a contract offers on a day: its plans, those they include, less those they supersede (design.md §4, §5).

use super::settlement::Origin;
use crate::contracts::Contract;
use crate::tariff::{Callers, LocalDay, LocalMinute, Period, PlanVersion, Tariff, Validity, local_minute};
use crate::units::{Seconds, Timestamp};
use chrono::{Datelike, Months, NaiveDate};
use chrono_tz::Tz;
use std::cell::Cell;

/// One contract's history beside the tariffs in force.
#[derive(Clone, Debug)]
pub struct Terms<'a> {
    tariffs: &'a [Tariff],
    rows: Vec<&'a Contract>,
    zone: Tz,
    deadlines: Deadlines,
    /// The local day asked for last.
    today: Cell<Option<LocalDay>>,
}

/// Whether a tariff's default decides a held call once its deadline has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deadlines {
    /// It does, at the instant that settlement is cut at.
    Pass,
    /// It does not: nobody said what time it is.
    Wait,
}

/// A plan as a contract has it on a day.
#[derive(Clone, Copy, Debug)]
pub struct Offer<'a> {
    /// The price list.
    pub tariff: &'a Tariff,
    /// Its place among those loaded.
    pub number: usize,
    /// The version in force.
    pub plan: &'a PlanVersion,
    /// Whether its fee is due: it stands in the contract itself, and was not merely included.
    pub fee: FeeDue,
    /// Whether another plan of the contract replaces its allowances and rates.
    pub role: Role,
}

/// Whether a plan's fee is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeeDue {
    /// The contract names the plan.
    Yes,
    /// It comes with another.
    No,
}

/// Whether a plan's allowances and rates count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// They do.
    Active,
    /// Another plan replaces them.
    Superseded,
}

impl<'a> Terms<'a> {
    /// `rows` are the contract's history by start; `zone` is the one its dates are meant in.
    #[must_use]
    pub fn new(tariffs: &'a [Tariff], rows: Vec<&'a Contract>, zone: Tz) -> Self {
        Self { tariffs, rows, zone, deadlines: Deadlines::Pass, today: Cell::new(None) }
    }

    /// The same where nobody knows the time, so that no deadline passes (design.md §9: `rate`).
    #[must_use]
    pub fn without_clock(self) -> Self {
        Self { deadlines: Deadlines::Wait, ..self }
    }

    /// Whether deadlines pass.
    #[must_use]
    pub const fn deadlines(&self) -> Deadlines {
        self.deadlines
    }

    /// The zone of the contract's dates.
    #[must_use]
    pub const fn zone(&self) -> Tz {
        self.zone
    }

    /// The history, by start.
    #[must_use]
    pub fn rows(&self) -> &[&'a Contract] {
        &self.rows
    }

    /// The local date of an instant.
    #[must_use]
    pub fn day(&self, at: Timestamp) -> NaiveDate {
        self.minute(self.zone, at).0
    }

    /// The local minute of an instant in a zone.
    #[must_use]
    pub fn minute(&self, zone: Tz, at: Timestamp) -> LocalMinute {
        if let Some(minute) = self.today.get().and_then(|day| day.minute(zone, at)) {
            return minute;
        }
        let day = LocalDay::of(zone, at);
        self.today.set(day);
        day.and_then(|day| day.minute(zone, at)).unwrap_or_else(|| local_minute(zone, at))
    }

    /// The row in force on a day.
    #[must_use]
    pub fn row(&self, day: NaiveDate) -> Option<&'a Contract> {
        self.rows.iter().copied().find(|row| row.covers(day))
    }

    /// The longest time that two calls of an incident lie apart, in any of the tariffs.
    #[must_use]
    pub fn longest_incident_window(&self) -> Seconds {
        self.tariffs.iter().map(|tariff| tariff.incident_window).max().unwrap_or(Seconds::ZERO)
    }

    /// The first day of the unbroken stretch of rows that covers a day.
    #[must_use]
    pub fn start(&self, day: NaiveDate) -> Option<NaiveDate> {
        let mut place = self.rows.iter().position(|row| row.covers(day))?;
        let mut start = self.rows.get(place)?.starts_on;
        while let Some(before) = place.checked_sub(1).and_then(|before| Some((before, self.rows.get(before)?))) {
            if before.1.ends_on != Some(start) {
                break;
            }
            start = before.1.starts_on;
            place = before.0;
        }
        Some(start)
    }

    /// The plans of a day in the contract's order, each followed by those it includes.
    #[must_use]
    pub fn offers(&self, day: NaiveDate) -> Vec<Offer<'a>> {
        let mut offers: Vec<Offer<'a>> = Vec::with_capacity(4);
        let Some(row) = self.row(day) else { return offers };
        for id in &row.plans {
            self.add(&mut offers, id, day, FeeDue::Yes);
        }
        let replaced: Vec<&str> = offers.iter().flat_map(|offer| offer.plan.supersedes.iter().map(|id| &**id)).collect();
        for offer in &mut offers {
            if replaced.contains(&&*offer.plan.id) {
                offer.role = Role::Superseded;
            }
        }
        offers
    }

    fn add(&self, offers: &mut Vec<Offer<'a>>, id: &str, day: NaiveDate, fee: FeeDue) {
        if let Some(known) = offers.iter_mut().find(|offer| *offer.plan.id == *id) {
            if fee == FeeDue::Yes {
                known.fee = FeeDue::Yes;
            }
            return;
        }
        let found = self.tariffs.iter().enumerate().find_map(|(number, tariff)| Some((number, tariff, tariff.plan(id, day)?)));
        let Some((number, tariff, plan)) = found else { return };
        offers.push(Offer { tariff, number, plan, fee, role: Role::Active });
        for included in &plan.includes {
            self.add(offers, included, day, FeeDue::No);
        }
    }

    /// The version of a plan in force on a day, and its tariff.
    #[must_use]
    pub fn plan(&self, id: &str, day: NaiveDate) -> Option<(&'a Tariff, &'a PlanVersion)> {
        self.tariffs.iter().find_map(|tariff| tariff.plan(id, day).map(|plan| (tariff, plan)))
    }

    /// The period in which talk that began on `day` uses an allowance: its first day, and the first day after its lapse
    /// (`None`: it never lapses). `None` where there is no such period: not activated, or lapsed.
    #[must_use]
    pub fn period(&self, validity: Validity, day: NaiveDate) -> Option<(NaiveDate, Option<NaiveDate>)> {
        match validity {
            Validity::Month => {
                let from = day.with_day(1)?;
                Some((from, from.checked_add_months(Months::new(1))))
            }
            Validity::ContractYear => {
                let start = self.start(day)?;
                let (from, to) = Period::Months(12).containing(start, day)?;
                Some((from, Some(to)))
            }
            Validity::Activation(lapse) => {
                let from = self.row(day)?.activated_on.filter(|activated| *activated <= day)?;
                let to = lapse.and_then(|period| period.after(from, 1));
                (to.is_none_or(|to| day < to)).then_some((from, to))
            }
        }
    }

    /// Stations on a day; before the contract begins, or goes on, those with which it does.
    #[must_use]
    pub fn stations(&self, day: NaiveDate) -> u32 {
        let next = self.rows.iter().copied().find(|row| row.starts_on >= day);
        self.row(day).or(next).or(self.rows.last().copied()).map_or(1, |row| row.stations)
    }
}

impl Offer<'_> {
    /// A line of its tariff.
    #[must_use]
    pub const fn origin(&self, line: u32) -> Origin {
        Origin { tariff: self.number, line }
    }

    /// Whether the plan lets this caller call.
    #[must_use]
    pub fn lets_call(&self, authorised: bool) -> bool {
        match self.plan.callers {
            Callers::Any => true,
            Callers::Authorised => authorised,
        }
    }
}
