//! A price list as values: plans, bands, steps, allowances, calendars, rounding. It knows nothing but [`crate::units`]:
//! it is a price list, not a meter.
//!
//! The one invariant: a [`Tariff`] that exists is complete and consistent (the configuration room builds it and reports
//! every mistake with its place in the file), and no default decides a price.
#![deny(clippy::as_conversions, clippy::arithmetic_side_effects, clippy::float_arithmetic)]

pub mod bands;
mod calendar;
mod conditions;
mod local;
pub mod period;
mod plan;
pub mod rounding;
mod verdict;
mod week;

pub use calendar::{Calendar, Day, UnknownCalendar, easter};

pub use conditions::{Cap, CapPer, Conditions, Round, RoundMode, RoundPer, Surcharge, Tolerance};
pub use local::{LocalDay, LocalMinute, local_minute};
pub use plan::{
    Allowance, Callers, DecisionRule, Fee, FeePer, Grant, Level, Period, PlanVersion, Price, Rate, Resolved, Response, Step, Validity,
    Verdict,
};
pub use week::{Gap, Overlap, Stretch, Week, monday_of};

use crate::units::{Currency, PriceKind, Seconds, Timestamp};
use chrono::NaiveDate;
use chrono_tz::Tz;
use rust_decimal::Decimal;

/// One tariff file.
#[derive(Clone, Debug)]
pub struct Tariff {
    /// Its name, unique among the tariffs loaded.
    pub name: Box<str>,
    /// The file it was read from, as configured: for explanations.
    pub file: Box<str>,
    /// The currency of all its prices.
    pub currency: Currency,
    /// Net or gross prices.
    pub prices: PriceKind,
    /// The zone in which its bands, days, months and years are meant.
    pub zone: Tz,
    /// Its public holidays.
    pub calendar: Calendar,
    /// VAT in percent from a day on, ascending by day; never empty.
    pub vat: Vec<(NaiveDate, Decimal)>,
    /// Calls without a ticket belong to one incident when at most this long apart (design.md §6.7).
    pub incident_window: Seconds,
    /// The severity of a call that has none.
    pub default_severity: Option<Box<str>>,
    /// The names of its bands; a [`BandId`] is a place in it.
    pub bands: Vec<Box<str>>,
    /// The services it sells, each with its week.
    pub services: Vec<Service>,
    /// Every version of every plan, in file order.
    pub plans: Vec<PlanVersion>,
}

/// A band of a tariff: its place in [`Tariff::bands`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BandId(pub u8);

/// A service as the tariff sells it.
#[derive(Clone, Debug)]
pub struct Service {
    /// `support`, `emergency`, `callback`, or any other.
    pub name: Box<str>,
    /// The bands of its week, in file order.
    pub bands: Vec<BandId>,
    /// Those bands, minute by minute.
    pub week: Week,
}

impl Tariff {
    /// The VAT in percent on a day; `None` before the first rate.
    #[must_use]
    pub fn vat_percent(&self, day: NaiveDate) -> Option<Decimal> {
        self.vat.iter().rev().find(|(from, _)| *from <= day).map(|(_, percent)| *percent)
    }

    /// The version of a plan in force on a day: the latest `valid_from` that is not after it.
    #[must_use]
    pub fn plan(&self, id: &str, day: NaiveDate) -> Option<&PlanVersion> {
        self.plans.iter().filter(|plan| *plan.id == *id && plan.valid_from <= day).max_by_key(|plan| plan.valid_from)
    }

    /// A service by name.
    #[must_use]
    pub fn service(&self, name: &str) -> Option<&Service> {
        self.services.iter().find(|service| *service.name == *name)
    }

    /// The band of a service at an instant, in the tariff's local time; `None` outside all of them.
    #[must_use]
    pub fn band_at(&self, service: &Service, at: Timestamp) -> Option<BandId> {
        self.band_in(service, local_minute(self.zone, at))
    }

    /// The band of a service in a minute of the tariff's local time; `None` outside all of them.
    #[must_use]
    pub fn band_in(&self, service: &Service, (date, minute): LocalMinute) -> Option<BandId> {
        service.week.band(&self.calendar, date, minute)
    }

    /// The local date of an instant, by which contracts, periods and VAT go.
    #[must_use]
    pub fn local_date(&self, at: Timestamp) -> NaiveDate {
        local_minute(self.zone, at).0
    }

    /// The name of a band.
    #[must_use]
    pub fn band_name(&self, band: BandId) -> &str {
        self.bands.get(usize::from(band.0)).map_or("", |name| name)
    }
}
