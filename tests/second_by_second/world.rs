//! What a contract holds and when: its price list, its history, its bands, as a reader finds them in the files.

use chrono::{NaiveDate, NaiveDateTime};
use rust_decimal::{Decimal, RoundingStrategy};
use taktd::calls::Call;
use taktd::contracts::Contract;
use taktd::tariff::{BandId, Grant, PlanVersion, Rate, Tariff};
use taktd::units::{PriceKind, Timestamp};

/// The contract, its price list, and what time it is.
pub struct World<'a> {
    pub tariff: &'a Tariff,
    /// The contract's history, by start.
    pub rows: &'a [Contract],
    pub until: Timestamp,
    /// The band of a service at a local time; `None` outside its hours.
    pub hours: &'a dyn Fn(&str, NaiveDateTime) -> Option<&'a str>,
    /// VAT in percent.
    pub vat: &'a dyn Fn(NaiveDate) -> Decimal,
}

impl<'a> World<'a> {
    /// What the wall clock shows where the tariff is meant.
    pub fn clock(&self, at: Timestamp) -> NaiveDateTime {
        at.utc().with_timezone(&self.tariff.zone).naive_local()
    }

    pub fn band(&self, service: &str, at: Timestamp) -> Option<&'a str> {
        (self.hours)(service, self.clock(at))
    }

    /// The part of its history in force on a day.
    pub fn row(&self, day: NaiveDate) -> Option<&'a Contract> {
        self.rows.iter().find(|row| row.starts_on <= day && row.ends_on.is_none_or(|end| day < end))
    }

    /// When the contract began that is in force on a day.
    pub fn start(&self, day: NaiveDate) -> NaiveDate {
        let mut start = self.row(day).expect("it is in force").starts_on;
        while let Some(before) = self.rows.iter().find(|row| row.ends_on == Some(start)) {
            start = before.starts_on;
        }
        start
    }

    /// The stations of a day.
    pub fn stations(&self, day: NaiveDate) -> u64 {
        self.row(day).map_or(1, |row| row.stations).into()
    }

    /// The contract's plans on a day, each followed by those it includes.
    pub fn plans_and_superseded(&self, day: NaiveDate) -> Vec<&'a PlanVersion> {
        let version = |id: &str| {
            let versions = self.tariff.plans.iter().filter(|plan| *plan.id == *id && plan.valid_from <= day);
            versions.max_by_key(|plan| plan.valid_from)
        };
        let mut plans: Vec<&PlanVersion> = Vec::new();
        for held in self.row(day).into_iter().flat_map(|row| &row.plans).filter_map(|id| version(id)) {
            for plan in std::iter::once(held).chain(held.includes.iter().filter_map(|id| version(id))) {
                if !plans.iter().any(|known| known.id == plan.id) {
                    plans.push(plan);
                }
            }
        }
        plans
    }

    /// The same without those that another supersedes.
    pub fn plans(&self, day: NaiveDate) -> Vec<&'a PlanVersion> {
        let mut plans = self.plans_and_superseded(day);
        let superseded: Vec<_> = plans.iter().flat_map(|plan| &plan.supersedes).collect();
        plans.retain(|plan| !superseded.contains(&&plan.id));
        plans
    }

    /// Whether a plan has a price for the call in a band, or a number of callbacks of its service.
    pub fn sells(&self, plan: &PlanVersion, call: &Call, severity: Option<&str>, band: Option<&str>) -> bool {
        let callbacks = plan.allowances.iter().any(|one| matches!(one.grant, Grant::Callbacks(_)) && one.services.contains(&call.service));
        band.is_some_and(|band| callbacks || self.rate(plan, call, severity, band).is_some())
    }

    /// The first rate that applies.
    pub fn rate<'p>(&self, plan: &'p PlanVersion, call: &Call, severity: Option<&str>, band: &str) -> Option<&'p Rate> {
        let rates = plan.rates.iter().filter(|rate| rate.service == call.service && self.names(&rate.bands, band));
        let rates = rates.filter(|rate| rate.severities.is_empty() || rate.severities.iter().any(|one| Some(&**one) == severity));
        let mut rates = rates.filter(|rate| rate.levels.is_empty() || call.level().is_some_and(|level| rate.levels.contains(&level)));
        rates.find(|rate| rate.direction.is_none_or(|way| way == call.direction))
    }

    pub fn names(&self, bands: &[BandId], band: &str) -> bool {
        bands.is_empty() || bands.iter().any(|one| self.tariff.band_name(*one) == band)
    }

    /// Rounded once, half away from zero, VAT from that likewise; gross prices are gross, and VAT is inside.
    pub fn net_and_vat(&self, due: Decimal, day: NaiveDate) -> (Decimal, Decimal) {
        let decimals = self.tariff.currency.decimals();
        let rounded = |amount: Decimal| amount.round_dp_with_strategy(decimals.into(), RoundingStrategy::MidpointAwayFromZero);
        let (percent, due) = ((self.vat)(day), rounded(due));
        match self.tariff.prices {
            PriceKind::Net => (due, rounded(due * percent / Decimal::ONE_HUNDRED)),
            PriceKind::Gross => {
                let vat = rounded(due * percent / (Decimal::ONE_HUNDRED + percent));
                (due - vat, vat)
            }
        }
    }
}
