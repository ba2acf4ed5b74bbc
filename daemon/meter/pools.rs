//! What is left of allowances. Derived, never stored: granted when first asked for, used up by increments.

use super::terms::{Offer, Role, Terms};
use crate::calls::Call;
use crate::tariff::{Allowance, BandId, Grant, Price, Validity};
use crate::units::Seconds;
use chrono::NaiveDate;
use std::collections::BTreeMap;

/// An allowance of one period: plan, allowance (or the line of a top-up rate), first day.
pub type PoolKey<'a> = (&'a str, &'a str, NaiveDate);

/// All allowances of a contract that were touched.
#[derive(Clone, Debug, Default)]
pub struct Pools<'a> {
    left: BTreeMap<PoolKey<'a>, Pool>,
}

/// One allowance of one period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// What was granted (seconds or count).
    pub granted: u64,
    /// What is left.
    pub left: u64,
    /// How much of it calls of a later period may still use (carry-over).
    pub carry: u64,
    /// The first day it is gone; `None`: never.
    pub lapses: Option<NaiveDate>,
    /// Whether it counts seconds.
    pub is_time: bool,
}

/// Whether a call uses its own period's allowance, or the rest of the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    Own,
    Carried,
}

/// An allowance that may serve a call.
#[derive(Clone, Debug)]
pub struct Source<'a> {
    /// Where its rest stands.
    pub key: PoolKey<'a>,
    /// The allowance.
    pub allowance: &'a Allowance,
    lapses: Option<NaiveDate>,
    order: usize,
    used_as: Use,
}

impl<'a> Pools<'a> {
    /// The allowances that may serve a call of a service on the day its talk began, in the order in which they are used:
    /// the one that lapses soonest first, then as listed. Bands are looked at when an increment begins.
    pub fn sources(
        &mut self,
        terms: &Terms<'a>,
        offers: &[Offer<'a>],
        call: &Call,
        severity: Option<&str>,
        day: NaiveDate,
    ) -> Vec<Source<'a>> {
        let mut sources = Vec::new();
        for offer in offers.iter().filter(|offer| offer.role == Role::Active) {
            for allowance in &offer.plan.allowances {
                if serves(allowance, call, severity) {
                    self.add(&mut sources, terms, offer, allowance, day);
                }
            }
        }
        sources.sort_by_key(|source| (source.lapses.is_none(), source.lapses, source.order));
        sources
    }

    fn add(&mut self, sources: &mut Vec<Source<'a>>, terms: &Terms<'a>, offer: &Offer<'a>, allowance: &'a Allowance, day: NaiveDate) {
        let mut push = |pools: &mut Self, from: NaiveDate, lapses: Option<NaiveDate>, used_as: Use| {
            let key = (owner(offer, allowance), &*allowance.id, from);
            pools.grant(key, allowance, terms.stations(from), lapses);
            let order = sources.len();
            sources.push(Source { key, allowance, lapses, order, used_as });
        };
        if let Some((from, lapses)) = terms.period(allowance.per, day) {
            push(self, from, lapses, Use::Own);
            self.carried(terms, offer, allowance, from, day, &mut push);
        }
    }

    /// The rest of the period before, where it is carried over and has not lapsed.
    fn carried(
        &mut self,
        terms: &Terms<'a>,
        offer: &Offer<'a>,
        allowance: &'a Allowance,
        from: NaiveDate,
        day: NaiveDate,
        push: &mut impl FnMut(&mut Self, NaiveDate, Option<NaiveDate>, Use),
    ) {
        let Some((_, goes_on)) = allowance.carry_over else { return };
        let Some(before) = from.pred_opt().and_then(|day| terms.period(allowance.per, day)) else { return };
        let Some(lapses) = before.1.and_then(|end| goes_on.after(end, 1)) else { return };
        if day < lapses && terms.plan(&offer.plan.id, before.0).is_some() {
            push(self, before.0, Some(lapses), Use::Carried);
        }
    }

    fn grant(&mut self, key: PoolKey<'a>, allowance: &Allowance, stations: u32, lapses: Option<NaiveDate>) {
        self.left.entry(key).or_insert_with(|| {
            let one = match allowance.grant {
                Grant::Time { quantity, .. } => quantity.get(),
                Grant::Incidents(count) | Grant::Callbacks(count) => u64::from(count),
            };
            let granted = if allowance.per_station { one.saturating_mul(u64::from(stations)) } else { one };
            Pool {
                granted,
                left: granted,
                carry: allowance.carry_over.map_or(0, |(cap, _)| cap),
                lapses,
                is_time: matches!(allowance.grant, Grant::Time { .. }),
            }
        });
    }

    /// Grants the allowances of a day that nobody has asked for yet.
    pub fn touch(&mut self, terms: &Terms<'a>, offer: &Offer<'a>, day: NaiveDate) {
        for allowance in &offer.plan.allowances {
            if let Some((from, lapses)) = terms.period(allowance.per, day) {
                self.grant((owner(offer, allowance), &*allowance.id, from), allowance, terms.stations(from), lapses);
            }
        }
    }

    /// What is left under a key; 0 where nothing was granted.
    #[must_use]
    pub fn left(&self, key: PoolKey<'a>) -> u64 {
        self.left.get(&key).map_or(0, |pool| pool.left)
    }

    /// Takes up to `wanted` of an allowance, and says how much it was.
    pub fn take(&mut self, source: &Source<'a>, wanted: u64) -> u64 {
        let Some(pool) = self.left.get_mut(&source.key) else { return 0 };
        let taken = match source.used_as {
            Use::Own => wanted.min(pool.left),
            Use::Carried => wanted.min(pool.left).min(pool.carry),
        };
        if source.used_as == Use::Carried {
            pool.carry = pool.carry.saturating_sub(taken);
        }
        pool.left = pool.left.saturating_sub(taken);
        taken
    }

    /// Takes up to `wanted` of what was bought, and says how much it was.
    pub fn take_bought(&mut self, key: PoolKey<'a>, wanted: u64) -> u64 {
        let Some(pool) = self.left.get_mut(&key) else { return 0 };
        let taken = wanted.min(pool.left);
        pool.left = pool.left.saturating_sub(taken);
        taken
    }

    /// Adds a quantity that was bought.
    pub fn buy(&mut self, key: PoolKey<'a>, quantity: Seconds, lapses: Option<NaiveDate>) {
        let pool = self.left.entry(key).or_insert(Pool { granted: 0, left: 0, carry: 0, lapses, is_time: true });
        pool.granted = pool.granted.saturating_add(quantity.get());
        pool.left = pool.left.saturating_add(quantity.get());
    }

    /// Everything touched so far, by plan, allowance and period.
    pub fn all(&self) -> impl Iterator<Item = (&PoolKey<'a>, &Pool)> {
        self.left.iter()
    }
}

/// Whose an allowance is: the plan's; what is granted once, on activation, is the tariff's, so that a change of plan does
/// not grant it again.
fn owner<'a>(offer: &Offer<'a>, allowance: &Allowance) -> &'a str {
    match allowance.per {
        Validity::Month | Validity::ContractYear => &offer.plan.id,
        Validity::Activation(_) => &offer.tariff.name,
    }
}

/// Whether an allowance serves a call, its band aside.
fn serves(allowance: &Allowance, call: &Call, severity: Option<&str>) -> bool {
    let level = call.level();
    allowance.services.contains(&call.service)
        && (allowance.severities.is_empty() || severity.is_some_and(|severity| allowance.severities.iter().any(|one| **one == *severity)))
        && (allowance.levels.is_empty() || level.is_some_and(|level| allowance.levels.contains(&level)))
}

/// Whether an allowance serves a band.
#[must_use]
pub fn in_band(bands: &[BandId], band: BandId) -> bool {
    bands.is_empty() || bands.contains(&band)
}

/// The period in which the rest of a top-up is used up.
#[must_use]
pub fn top_up_period(terms: &Terms<'_>, price: &Price, day: NaiveDate) -> Option<(NaiveDate, Option<NaiveDate>)> {
    match price {
        Price::TopUp { per, .. } => terms.period(*per, day),
        Price::Steps(_) | Price::Incident(_) | Price::Flat => terms.period(Validity::Month, day),
    }
}
