//! What is left of allowances. Derived, never stored: granted when first asked for, used up by increments.

use super::settlement::Input;
use super::terms::{Offer, Role, Terms};
use crate::calls::Call;
use crate::tariff::{Allowance, BandId, Grant, Price, Tariff, Validity};
use crate::units::{Direction, Seconds, Timestamp};
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
    /// The price list whose bands it names.
    tariff: &'a Tariff,
    lapses: Option<NaiveDate>,
    order: usize,
    used_as: Use,
}

impl Source<'_> {
    /// Whether it serves an increment that begins at an instant, in a band of the tariff that prices the call. An allowance
    /// of another tariff goes by the bands of its own.
    pub fn serves_in(&self, tariff: &Tariff, service: &str, band: BandId, at: Timestamp) -> bool {
        if self.allowance.bands.is_empty() || std::ptr::eq(tariff, self.tariff) {
            return in_band(&self.allowance.bands, band);
        }
        let own = self.tariff.service(service).and_then(|service| self.tariff.band_at(service, at));
        own.is_some_and(|band| in_band(&self.allowance.bands, band))
    }
}

impl<'a> Pools<'a> {
    /// The allowances that may serve a call of a service on the day its talk began, in the order in which they are used:
    /// the one that lapses soonest first, then as listed. Bands are looked at when an increment begins.
    pub fn sources(
        &mut self,
        terms: &Terms<'a>,
        offers: &[Offer<'a>],
        input: &Input<'a>,
        severity: Option<&str>,
        day: NaiveDate,
    ) -> Vec<Source<'a>> {
        let mut sources = Vec::new();
        let lets_call = |offer: &Offer<'a>| input.call.direction == Direction::Out || offer.lets_call(input.authorised);
        for offer in offers.iter().filter(|offer| offer.role == Role::Active && lets_call(offer)) {
            for allowance in &offer.plan.allowances {
                if serves(allowance, input.call, severity) {
                    self.add(&mut sources, terms, offer, allowance, day);
                }
            }
        }
        sources.sort_by_key(|source| (source.lapses.is_none(), source.lapses, source.order));
        sources
    }

    fn add(&mut self, sources: &mut Vec<Source<'a>>, terms: &Terms<'a>, offer: &Offer<'a>, allowance: &'a Allowance, day: NaiveDate) {
        let mut push = |pools: &mut Self, offer: &Offer<'a>, allowance: &'a Allowance, period: Lasting, used_as: Use| {
            let key = pools.grant(terms, offer, allowance, period);
            sources.push(Source { key, allowance, tariff: offer.tariff, lapses: period.lapses, order: sources.len(), used_as });
        };
        let Some(period) = lasting(terms, allowance, day) else { return };
        push(self, offer, allowance, period, Use::Own);
        if !is_carried_over(offer, allowance) {
            return;
        }
        // The rests of earlier periods, the nearest first, where they are carried over and have not lapsed. What they are
        // is what the plan said then.
        let mut from = period.from;
        while let Some((offer, allowance, period)) = before(terms, &offer.plan.id, &allowance.id, from) {
            if period.lapses.is_none_or(|lapses| lapses <= day) {
                break;
            }
            push(self, &offer, allowance, period, Use::Carried);
            from = period.from;
        }
    }

    /// Grants an allowance for a period, unless it was; says where its rest stands.
    fn grant(&mut self, terms: &Terms<'a>, offer: &Offer<'a>, allowance: &'a Allowance, period: Lasting) -> PoolKey<'a> {
        let key = (owner(offer, allowance), &*allowance.id, period.from);
        self.left.entry(key).or_insert_with(|| {
            // What the plan said when the period began counts for all of it, as do the stations of that day.
            let began = terms.offers(period.began).into_iter().find(|one| one.plan.id == offer.plan.id);
            let then = began.and_then(|one| one.plan.allowances.iter().find(|one| one.id == allowance.id && one.per == allowance.per));
            let granted_as = then.unwrap_or(allowance);
            let one = match granted_as.grant {
                Grant::Time { quantity, .. } => quantity.get(),
                Grant::Incidents(count) | Grant::Callbacks(count) => u64::from(count),
            };
            let granted = if granted_as.per_station { one.saturating_mul(u64::from(terms.stations(period.began))) } else { one };
            Pool {
                granted,
                left: granted,
                carry: granted_as.carry_over.map_or(0, |(cap, _)| cap),
                lapses: period.lapses,
                is_time: matches!(granted_as.grant, Grant::Time { .. }),
            }
        });
        key
    }

    /// Grants the allowances of a day that nobody has asked for yet.
    pub fn touch(&mut self, terms: &Terms<'a>, offer: &Offer<'a>, day: NaiveDate) {
        for allowance in &offer.plan.allowances {
            if let Some(period) = lasting(terms, allowance, day) {
                self.grant(terms, offer, allowance, period);
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

/// The period of an allowance: its first day, the first of it that the contract covers, and the first day on which nothing
/// of it is left, carried over or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Lasting {
    from: NaiveDate,
    began: NaiveDate,
    lapses: Option<NaiveDate>,
}

fn lasting(terms: &Terms<'_>, allowance: &Allowance, day: NaiveDate) -> Option<Lasting> {
    let (from, end) = terms.period(allowance.per, day)?;
    let lapses = match (end, allowance.carry_over) {
        (Some(end), Some((_, goes_on))) => Some(goes_on.after(end, 1)?),
        (end, _) => end,
    };
    let began = terms.start(day).map_or(from, |start| start.max(from));
    Some(Lasting { from, began, lapses })
}

/// Whether any version of the plan carries this allowance over.
fn is_carried_over(offer: &Offer<'_>, allowance: &Allowance) -> bool {
    let versions = offer.tariff.plans.iter().filter(|version| version.id == offer.plan.id);
    versions.flat_map(|version| &version.allowances).any(|one| one.id == allowance.id && one.carry_over.is_some())
}

/// An allowance in the period before the one that begins on `from`, as the plan had it on that period's last day: `None` if
/// the contract did not hold the plan then, or nothing is carried over.
fn before<'a>(terms: &Terms<'a>, plan: &str, id: &str, from: NaiveDate) -> Option<(Offer<'a>, &'a Allowance, Lasting)> {
    let last_day = from.pred_opt()?;
    let offer = terms.offers(last_day).into_iter().find(|offer| *offer.plan.id == *plan && offer.role == Role::Active)?;
    let allowance = offer.plan.allowances.iter().find(|one| *one.id == *id && one.carry_over.is_some())?;
    let period = lasting(terms, allowance, last_day)?;
    (period.from < from).then_some((offer, allowance, period))
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
