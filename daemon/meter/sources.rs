//! Which allowances may serve a call, in which order, and in which periods they stand (design.md §5, §6.3).

use super::pools::{PoolId, Pools};
use super::settlement::{Input, Origin};
use super::terms::{Offer, Role, Terms};
use crate::calls::Call;
use crate::tariff::{Allowance, BandId, PlanVersion, Price, Tariff, Validity};
use crate::units::{Direction, Timestamp};
use chrono::NaiveDate;

/// Whether a call uses its own period's allowance, or the rest of the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    Own,
    Carried,
}

/// An allowance that may serve a call.
#[derive(Clone, Debug)]
pub struct Source<'a> {
    /// Where its rest stands.
    pub pool: PoolId,
    /// The allowance.
    pub allowance: &'a Allowance,
    /// The price list whose bands it names.
    pub tariff: &'a Tariff,
    number: usize,
    lapses: Option<NaiveDate>,
    order: usize,
    pub(super) used_as: Use,
}

impl Source<'_> {
    /// Where the allowance is written.
    pub fn origin(&self) -> Origin {
        Origin { tariff: self.number, line: self.allowance.line }
    }

    /// Whether it serves an increment that begins at an instant, in a band of the tariff that prices the call. An allowance
    /// of another tariff goes by the bands of its own.
    pub fn serves_in(&self, terms: &Terms<'_>, tariff: &Tariff, service: &str, band: BandId, at: Timestamp) -> bool {
        if self.allowance.bands.is_empty() || std::ptr::eq(tariff, self.tariff) {
            return in_band(&self.allowance.bands, band);
        }
        let own = self.tariff.service(service).and_then(|service| self.tariff.band_in(service, terms.minute(self.tariff.zone, at)));
        own.is_some_and(|band| in_band(&self.allowance.bands, band))
    }
}

impl Pools {
    /// The allowances that may serve a call of a service on the day its talk began, in the order in which they are used:
    /// the one that lapses soonest first, then as listed. Bands are looked at when an increment begins.
    pub(super) fn sources<'a>(
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
                let serves = |one: &Allowance| serves(one, input.call, severity) && same_kind(one, allowance);
                if serves(allowance) {
                    self.add(&mut sources, terms, offer, allowance, day, serves);
                }
            }
        }
        sources.sort_by_key(|source| (source.lapses.is_none(), source.lapses, source.order));
        sources
    }

    fn add<'a>(
        &mut self,
        sources: &mut Vec<Source<'a>>,
        terms: &Terms<'a>,
        offer: &Offer<'a>,
        allowance: &'a Allowance,
        day: NaiveDate,
        serves: impl Fn(&Allowance) -> bool,
    ) {
        let mut push = |pools: &mut Self, offer: &Offer<'a>, allowance: &'a Allowance, period: Lasting, used_as: Use| {
            let pool = pools.grant(terms, offer, allowance, period);
            sources.push(Source {
                pool,
                allowance,
                tariff: offer.tariff,
                number: offer.number,
                lapses: period.lapses,
                order: sources.len(),
                used_as,
            });
        };
        let Some(period) = lasting(terms, allowance, day) else { return };
        push(self, offer, allowance, period, Use::Own);
        if !is_carried_over(offer, allowance) {
            return;
        }
        // The rests of earlier periods, the nearest first, where they are carried over and have not lapsed. What they are
        // is what the plan said then, and so is what they serve.
        let mut from = period.from;
        while let Some((offer, allowance, period)) = before(terms, &offer.plan.id, &allowance.id, from) {
            if period.lapses.is_none_or(|lapses| lapses <= day) {
                break;
            }
            if serves(allowance) {
                push(self, &offer, allowance, period, Use::Carried);
            }
            from = period.from;
        }
    }
}

/// The period of an allowance: its first day, the first of it that the contract covers, and the first day on which nothing
/// of it is left, carried over or not, as a version of the plan says for talk of a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lasting {
    pub(super) from: NaiveDate,
    pub(super) began: NaiveDate,
    pub(super) lapses: Option<NaiveDate>,
    pub(super) day: NaiveDate,
}

pub(super) fn lasting(terms: &Terms<'_>, allowance: &Allowance, day: NaiveDate) -> Option<Lasting> {
    let (from, end) = terms.period(allowance.per, day)?;
    let lapses = match (end, allowance.carry_over) {
        (Some(end), Some((_, goes_on))) => Some(goes_on.after(end, 1)?),
        (end, _) => end,
    };
    let began = terms.start(day).map_or(from, |start| start.max(from));
    Some(Lasting { from, began, lapses, day })
}

/// The first day on which no version of the plan lets anybody use an allowance of a period: one may let it lapse later than
/// another.
pub(super) fn gone(terms: &Terms<'_>, offer: &Offer<'_>, allowance: &Allowance, period: Lasting) -> Option<NaiveDate> {
    let owned = |plan| owner(offer.tariff, plan, allowance);
    let versions = offer.tariff.plans.iter().filter(|plan| owned(plan) == owned(offer.plan)).flat_map(|plan| &plan.allowances);
    let others = versions.filter(|one| is_same(one, allowance)).filter_map(|one| lasting(terms, one, period.day));
    others.map(|other| other.lapses).fold(period.lapses, later)
}

/// The later of two last days; `None` is never.
fn later(one: Option<NaiveDate>, other: Option<NaiveDate>) -> Option<NaiveDate> {
    one.zip(other).map(|(one, other)| one.max(other))
}

/// Whether two versions of a plan mean the same allowance. Whether its rest lapses later than it did makes it no other.
pub(super) fn is_same(one: &Allowance, other: &Allowance) -> bool {
    one.id == other.id && std::mem::discriminant(&one.per) == std::mem::discriminant(&other.per)
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
pub(super) fn owner<'a>(tariff: &'a Tariff, plan: &'a PlanVersion, allowance: &Allowance) -> &'a str {
    match allowance.per {
        Validity::Month | Validity::ContractYear => &plan.id,
        Validity::Activation(_) => &tariff.name,
    }
}

/// Whether an allowance serves a call, its band aside.
fn serves(allowance: &Allowance, call: &Call, severity: Option<&str>) -> bool {
    let level = call.level();
    allowance.services.contains(&call.service)
        && (allowance.severities.is_empty() || severity.is_some_and(|severity| allowance.severities.iter().any(|one| **one == *severity)))
        && (allowance.levels.is_empty() || level.is_some_and(|level| allowance.levels.contains(&level)))
}

/// Whether both count seconds, or incidents, or callbacks.
fn same_kind(one: &Allowance, other: &Allowance) -> bool {
    std::mem::discriminant(&one.grant) == std::mem::discriminant(&other.grant)
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
        Price::Steps(_) | Price::Incident(_) | Price::Flat => None,
    }
}

/// The first day on which no version of the plan lets anybody use what was bought on a day, in a period that begins `from` it.
pub fn top_up_gone(
    terms: &Terms<'_>,
    offer: &Offer<'_>,
    (from, lapses): (NaiveDate, Option<NaiveDate>),
    day: NaiveDate,
) -> Option<NaiveDate> {
    let rates = offer.tariff.plans.iter().filter(|plan| plan.id == offer.plan.id).flat_map(|plan| &plan.rates);
    let others = rates.filter_map(|rate| top_up_period(terms, &rate.price, day)).filter(|(first, _)| *first == from);
    others.map(|(_, lapses)| lapses).fold(lapses, later)
}
