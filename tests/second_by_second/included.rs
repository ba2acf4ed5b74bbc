//! What is included: whose period it is, which allowance serves a call, and what is left of it (design.md §6.2, §6.3, §6.6).

use super::documents::begins_year;
use super::slowly::{Watch, World};
use chrono::{Datelike, NaiveDate};
use std::collections::BTreeMap;
use taktd::tariff::{Allowance, Grant, Validity};

/// What is left: by plan (empty for what is granted once), allowance, first day of its period.
pub type Left = BTreeMap<(String, String, NaiveDate), u64>;

impl<'a> World<'a> {
    /// The first day of the period in which talk of a day uses something, and the first day after it.
    pub fn period(&self, per: Validity, day: NaiveDate) -> Option<(NaiveDate, NaiveDate)> {
        let back = |begins: &dyn Fn(NaiveDate) -> bool| day.iter_days().rev().find(|day| begins(*day)).expect("it began");
        let forth = |begins: &dyn Fn(NaiveDate) -> bool| day.iter_days().skip(1).find(|day| begins(*day)).expect("it ends");
        let month = |day: NaiveDate| day.day() == 1;
        let year = |day: NaiveDate| begins_year(self.contract.starts_on, day);
        match per {
            Validity::Month => Some((back(&month), forth(&month))),
            Validity::ContractYear => Some((back(&year), forth(&year))),
            Validity::Activation(lapses) => {
                assert_eq!(lapses, None, "the minutes of activation never lapse");
                Some((self.contract.activated_on.filter(|from| *from <= day)?, NaiveDate::MAX))
            }
        }
    }

    /// Everything of one kind that serves a call in its band, the one that lapses soonest first, then as listed.
    fn serving(&self, watch: &Watch<'_>, kind: fn(&Grant) -> bool) -> Vec<(&'a Allowance, (String, String, NaiveDate))> {
        let call = &watch.told.call;
        let mut found = Vec::new();
        for plan in self.plans() {
            for one in plan.allowances.iter().filter(|one| kind(&one.grant) && one.services.contains(&call.service)) {
                let serves = self.names(&one.bands, watch.band)
                    && (one.severities.is_empty() || one.severities.iter().any(|one| Some(&**one) == watch.severity))
                    && (one.levels.is_empty() || call.level().is_some_and(|level| one.levels.contains(&level)));
                if let Some((first, end)) = self.period(one.per, watch.day).filter(|_| serves) {
                    let owner = if end == NaiveDate::MAX { "" } else { &plan.id };
                    found.push((end, one, (owner.to_owned(), one.id.to_string(), first)));
                }
            }
        }
        found.sort_by_key(|(end, ..)| *end);
        found.into_iter().map(|(_, one, key)| (one, key)).collect()
    }

    /// Takes some of the first of them that has a rest: which one, and how much.
    pub fn take(&self, watch: &mut Watch<'_>, left: &mut Left, kind: fn(&Grant) -> bool) -> Option<u64> {
        for (allowance, key) in self.serving(watch, kind) {
            let (granted, wanted) = match allowance.grant {
                Grant::Time { quantity, increment } => (quantity.get(), increment.get()),
                Grant::Incidents(count) | Grant::Callbacks(count) => (count.into(), 1),
            };
            let stations = if allowance.per_station { self.contract.stations.into() } else { 1 };
            let rest = left.entry(key).or_insert(granted * stations);
            if *rest > 0 {
                let taken = wanted.min(*rest);
                *rest -= taken;
                *watch.sum.used.entry(allowance.id.to_string()).or_default() += taken;
                let length = if wanted > 1 { taken } else { 0 };
                watch.sum.begun.push(format!("{} {} {length}s 0", allowance.id, watch.band));
                return Some(taken);
            }
        }
        None
    }
}
