//! What is included: whose period it is, which allowance serves a call, what is left of it, and how far usage may go beyond
//! (design.md §6.2, §6.3, §6.6).

use super::charging::Books;
use super::slowly::{Watch, may_call};
use super::world::World;
use chrono::{Datelike, Days, NaiveDate};
use rust_decimal::Decimal;
use std::collections::BTreeMap;
use taktd::tariff::{Allowance, Grant, PlanVersion, Tolerance, Validity};

/// Whose it is (empty for what is granted once), its name, and the first day of its period.
pub type Key = (String, String, NaiveDate);

/// What is left of everything that was used.
pub type Left = BTreeMap<Key, u64>;

/// What is left of one, and how much of that calls of later periods may use.
#[derive(Clone, Copy, Default)]
pub struct Rest {
    pub left: u64,
    pub carried: u64,
    tolerated: u64,
}

/// An allowance that may serve a call.
struct Serving<'a> {
    lapses: NaiveDate,
    allowance: &'a Allowance,
    key: Key,
    /// The first day of its period on which the contract was in force.
    began: NaiveDate,
    is_carried: bool,
    plan: &'a str,
}

impl<'a> World<'a> {
    /// The first day of the period in which talk of a day uses something, and the first day after it.
    pub fn period(&self, per: Validity, day: NaiveDate) -> Option<(NaiveDate, NaiveDate)> {
        let back = |begins: &dyn Fn(NaiveDate) -> bool| day.iter_days().rev().find(|day| begins(*day)).expect("it began");
        let forth = |begins: &dyn Fn(NaiveDate) -> bool| day.iter_days().skip(1).find(|day| begins(*day)).expect("it ends");
        let month = |day: NaiveDate| day.day() == 1;
        let start = self.start(day);
        let year = |day: NaiveDate| super::documents::begins_year(start, day);
        match per {
            Validity::Month => Some((back(&month), forth(&month))),
            Validity::ContractYear => Some((back(&year), forth(&year))),
            Validity::Activation(lapses) => {
                let from = self.row(day)?.activated_on.filter(|from| *from <= day)?;
                let end = lapses.map_or(Some(NaiveDate::MAX), |lapses| lapses.after(from, 1))?;
                (day < end).then_some((from, end))
            }
        }
    }

    /// An allowance in the period of a day: how long it and its rest last.
    fn serving(&self, plan: &'a PlanVersion, allowance: &'a Allowance, day: NaiveDate, is_carried: bool) -> Option<Serving<'a>> {
        let (first, end) = self.period(allowance.per, day)?;
        let owner = if matches!(allowance.per, Validity::Activation(_)) { "" } else { &plan.id };
        Some(Serving {
            lapses: allowance.carry_over.map_or(Some(end), |(_, longer)| longer.after(end, 1))?,
            allowance,
            key: (owner.to_owned(), allowance.id.to_string(), first),
            began: first.max(self.start(day)),
            is_carried,
            plan: &plan.id,
        })
    }

    /// Everything of one kind that serves a call in its band, the one that lapses soonest first, then as listed.
    fn all_serving(&self, watch: &Watch<'_>, kind: fn(&Grant) -> bool) -> Vec<Serving<'a>> {
        let call = &watch.told.call;
        let mut found: Vec<Serving<'a>> = Vec::new();
        for plan in self.plans(watch.day).into_iter().filter(|plan| may_call(plan, watch.told)) {
            for one in &plan.allowances {
                let serves = |one: &Allowance| {
                    kind(&one.grant)
                        && one.services.contains(&call.service)
                        && self.names(&one.bands, watch.band)
                        && (one.severities.is_empty() || one.severities.iter().any(|one| Some(&**one) == watch.severity))
                        && (one.levels.is_empty() || call.level().is_some_and(|level| one.levels.contains(&level)))
                };
                if !serves(one) {
                    continue;
                }
                let Some(own) = self.serving(plan, one, watch.day, false) else { continue };
                let mut first = own.key.2;
                found.push(own);
                // The rests of the periods before, where the plan was held on their last day and carried them over.
                loop {
                    let last_day = first - Days::new(1);
                    let plan = self.plans(last_day).into_iter().find(|before| before.id == plan.id);
                    let before = plan.and_then(|plan| {
                        let carries = |before: &&Allowance| before.id == one.id && before.carry_over.is_some();
                        self.serving(plan, plan.allowances.iter().find(carries)?, last_day, true)
                    });
                    let Some(before) = before.filter(|before| watch.day < before.lapses && before.key.2 < first) else { break };
                    first = before.key.2;
                    if serves(before.allowance) {
                        found.push(before);
                    }
                }
            }
        }
        found.sort_by_key(|one| one.lapses);
        found
    }

    /// What is left of an allowance. What the plan said when the period began counts for all of it.
    fn rest<'b>(&self, one: &Serving<'a>, books: &'b mut Books) -> &'b mut Rest {
        books.left.entry(one.key.clone()).or_insert_with(|| {
            let plan = self.plans_and_superseded(one.began).into_iter().find(|plan| *plan.id == *one.plan);
            let then = plan.and_then(|plan| {
                plan.allowances.iter().find(|then| {
                    then.id == one.allowance.id && std::mem::discriminant(&then.per) == std::mem::discriminant(&one.allowance.per)
                })
            });
            let then = then.unwrap_or(one.allowance);
            let granted = match then.grant {
                Grant::Time { quantity, .. } => quantity.get(),
                Grant::Incidents(count) | Grant::Callbacks(count) => count.into(),
            };
            let granted = granted * if then.per_station { self.stations(one.began) } else { 1 };
            Rest {
                left: granted,
                carried: then.carry_over.map_or(0, |(most, _)| most),
                tolerated: match then.tolerance {
                    None => 0,
                    Some(Tolerance::Quantity(some)) => some,
                    Some(Tolerance::Percent(percent)) => {
                        (Decimal::from(granted) * percent / Decimal::ONE_HUNDRED).trunc().try_into().expect("small")
                    }
                },
            }
        })
    }

    /// Takes some of the first of them that has a rest: how much. Of what is counted, one more may be tolerated.
    pub fn take(&self, watch: &mut Watch<'_>, books: &mut Books, kind: fn(&Grant) -> bool) -> Option<u64> {
        let all = self.all_serving(watch, kind);
        for one in &all {
            let wanted = if let Grant::Time { increment, .. } = one.allowance.grant { increment.get() } else { 1 };
            let rest = self.rest(one, books);
            let taken = if one.is_carried { wanted.min(rest.left).min(rest.carried) } else { wanted.min(rest.left) };
            if taken > 0 {
                rest.left -= taken;
                if one.is_carried {
                    rest.carried -= taken;
                }
                *watch.sum.used.entry(one.allowance.id.to_string()).or_default() += taken;
                let length = if matches!(one.allowance.grant, Grant::Time { .. }) { taken } else { 0 };
                watch.begins(&one.allowance.id, length, Decimal::ZERO);
                return Some(taken);
            }
        }
        let counted = all.first().is_some_and(|one| !matches!(one.allowance.grant, Grant::Time { .. }));
        (counted && self.goes_beyond(watch, books, &all, 1, 0)).then_some(1)
    }

    /// Whether so much time beyond the allowances is free.
    pub fn is_tolerated(&self, watch: &mut Watch<'_>, books: &mut Books, length: u64) -> bool {
        let all = self.all_serving(watch, |grant| matches!(grant, Grant::Time { .. }));
        self.goes_beyond(watch, books, &all, length, length)
    }

    /// Usage goes beyond the first allowance that tolerates some.
    fn goes_beyond(&self, watch: &mut Watch<'_>, books: &mut Books, all: &[Serving<'a>], by: u64, length: u64) -> bool {
        let Some(one) = all.iter().find(|one| one.allowance.tolerance.is_some()) else { return false };
        let tolerated = self.rest(one, books).tolerated;
        if tolerated == 0 {
            return false;
        }
        books.beyond.entry(one.key.clone()).or_insert((0, tolerated)).0 += by;
        let free = !books.exceeded.contains(&one.key);
        if free {
            watch.begins(&format!("beyond-{}", one.allowance.id), length, Decimal::ZERO);
        }
        free
    }
}
