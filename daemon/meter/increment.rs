//! What an increment costs when it begins: the first allowance with a balance, else the price of the rate (design.md §6.2).

use super::incidents::{Incidents, Part};
use super::pools::{PoolKey, Pools, in_band, top_up_period};
use super::record::{Outcome, Rule};
use super::running::Running;
use super::terms::{Offer, Terms};
use crate::calls::Call;
use crate::tariff::{Allowance, BandId, Grant, Price, Rate, Step};
use crate::units::{Direction, Seconds, Timestamp};
use rust_decimal::Decimal;

/// Whether a plan has a price for a call in a band, or counts it among included callbacks.
pub(super) fn sells(offer: &Offer<'_>, call: &Call, severity: Option<&str>, band: BandId) -> bool {
    let counts = |one: &Allowance| matches!(one.grant, Grant::Callbacks(_)) && one.services.contains(&call.service);
    rate(offer, call, severity, band).is_some() || offer.plan.allowances.iter().any(counts)
}

/// The first rate of a plan that applies.
fn rate<'a>(offer: &Offer<'a>, call: &Call, severity: Option<&str>, band: BandId) -> Option<&'a Rate> {
    let level = call.level();
    offer.plan.rates.iter().find(|rate| {
        rate.service == call.service
            && in_band(&rate.bands, band)
            && (rate.severities.is_empty() || severity.is_some_and(|severity| rate.severities.iter().any(|one| **one == *severity)))
            && (rate.levels.is_empty() || level.is_some_and(|level| rate.levels.contains(&level)))
            && rate.direction.is_none_or(|direction| direction == call.direction)
    })
}

/// Charges the increment that begins at `at` (design.md §6.2): the first allowance with a balance, else the rate's step.
pub(super) fn begin_increment<'a>(
    terms: &Terms<'a>,
    pools: &mut Pools<'a>,
    incidents: &mut Incidents<'a>,
    call: &mut Running<'a>,
    at: Timestamp,
    until: Timestamp,
) {
    let (Some(offer), Some(service)) = (call.offer, call.service) else { return call.whole() };
    // A running call that leaves all bands of its service, or those its plan sells, stays in its last one (§6.5).
    let sold = offer.tariff.band_at(service, at).filter(|band| sells(&offer, call.input.call, call.severity, *band));
    let Some(band) = sold.or(call.band) else { return call.whole() };
    call.band = Some(band);
    if call.offset == Seconds::ZERO {
        call.sources = pools.sources(terms, &call.offers, &call.input, call.severity, call.day);
        if by_count(pools, incidents, call, offer, band, at, until) {
            return call.whole();
        }
    }
    let price = rate(&offer, call.input.call, call.severity, band).map(|rate| &rate.price);
    if call.offset >= call.chargeable && price != Some(&Price::Flat) {
        return call.whole();
    }
    if by_allowance(pools, call, &offer, band, at) {
        return;
    }
    match price {
        Some(Price::Steps(steps)) => {
            let Some(step) = step_at(steps, call.offset) else { return call.whole() };
            call.line(Rule::Step, Some(band), None, Some(step.increment), step.price);
            if !step.price.is_zero() {
                call.priced_since.get_or_insert(at);
            }
            call.advance(step.increment);
        }
        Some(price @ Price::TopUp { .. }) => top_up(terms, pools, call, band, price, at),
        Some(Price::Flat) => {
            call.line(Rule::Flat, Some(band), None, None, Decimal::ZERO);
            call.billed = call.clock.total();
            call.whole();
        }
        Some(Price::Incident(_)) | None => call.whole(),
    }
}

/// Calls that are counted, not timed: callbacks of a monthly number, and incidents. True when the call has its price.
fn by_count<'a>(
    pools: &mut Pools<'a>,
    incidents: &mut Incidents<'a>,
    call: &mut Running<'a>,
    offer: Offer<'a>,
    band: BandId,
    at: Timestamp,
    until: Timestamp,
) -> bool {
    let own: &'a Call = call.input.call;
    let counted = |grant: &Grant| match grant {
        Grant::Callbacks(_) => true,
        Grant::Incidents(_) | Grant::Time { .. } => false,
    };
    let is_callback = own.direction == Direction::Out || &*own.service == "callback";
    if is_callback && use_one(pools, call, &offer, band, at, counted) {
        return true;
    }
    let price = rate(&offer, own, call.severity, band).map(|rate| &rate.price);
    // It is the service that forms incidents, whatever this call's band and severity cost (§6.7).
    let forms_incidents = offer.plan.rates.iter().any(|rate| rate.service == own.service && matches!(rate.price, Price::Incident(_)))
        || call.sources.iter().any(|source| matches!(source.allowance.grant, Grant::Incidents(_)));
    if !forms_incidents || own.direction == Direction::Out {
        if price.is_none() {
            call.conclude(Outcome::Uncovered, "the included number of callbacks is used up");
            return true;
        }
        return false;
    }
    let end = own.ended_at.unwrap_or(until);
    match incidents.join(own, at, end, offer.tariff.incident_window) {
        Part::Another(incident) => call.incident = Some(incident),
        Part::First(incident) => {
            call.incident = Some(incident);
            if use_one(pools, call, &offer, band, at, |grant| matches!(grant, Grant::Incidents(_))) {
                return true;
            }
            match price {
                Some(Price::Incident(price)) => {
                    call.line(Rule::Incident, Some(band), None, None, *price);
                    call.priced_since.get_or_insert(at);
                }
                Some(_) => return false,
                None => call.conclude(Outcome::Uncovered, "its plan has no price for this incident"),
            }
        }
    }
    true
}

/// Uses one of the first counted allowance with a balance.
fn use_one<'a>(
    pools: &mut Pools<'a>,
    call: &mut Running<'a>,
    offer: &Offer<'a>,
    band: BandId,
    at: Timestamp,
    counts: impl Fn(&Grant) -> bool,
) -> bool {
    let mut counted = call.sources.iter().filter(|source| counts(&source.allowance.grant));
    let found = counted.find(|source| source.serves_in(offer.tariff, &call.input.call.service, band, at) && pools.take(source, 1) == 1);
    let Some(id) = found.map(|source| &source.allowance.id) else { return false };
    call.line(Rule::Allowance, Some(band), Some(id), None, Decimal::ZERO);
    call.used(id, 1);
    true
}

/// Covers the increment from the first time allowance with a balance; as short as the balance, if that is smaller.
fn by_allowance<'a>(pools: &mut Pools<'a>, call: &mut Running<'a>, offer: &Offer<'a>, band: BandId, at: Timestamp) -> bool {
    for place in 0..call.sources.len() {
        let Some(source) = call.sources.get(place) else { break };
        let Grant::Time { increment, .. } = source.allowance.grant else { continue };
        if !source.serves_in(offer.tariff, &call.input.call.service, band, at) {
            continue;
        }
        let taken = Seconds::new(pools.take(source, increment.get()));
        if taken == Seconds::ZERO {
            continue;
        }
        let id = &source.allowance.id;
        call.line(Rule::Allowance, Some(band), Some(id), Some(taken), Decimal::ZERO);
        call.used(id, taken.get());
        call.advance(taken);
        return true;
    }
    false
}

/// The step whose time the call's talk has reached, in whatever band or allowance it was spent.
fn step_at(steps: &[Step], offset: Seconds) -> Option<&Step> {
    steps.iter().rev().find(|step| step.from <= offset)
}

/// Uses what is left of a quantity that was bought in this period; buys another when nothing is.
fn top_up<'a>(terms: &Terms<'a>, pools: &mut Pools<'a>, call: &mut Running<'a>, band: BandId, price: &Price, at: Timestamp) {
    let (Price::TopUp { quantity, price: cost, increment, .. }, Some(offer), Some((from, lapses))) =
        (price, call.offer, top_up_period(terms, price, call.day))
    else {
        return call.whole();
    };
    let key: PoolKey<'a> = (&offer.plan.id, "top-up", from);
    let mut taken = pools.take_bought(key, increment.get());
    if taken == 0 {
        pools.buy(key, *quantity, lapses);
        call.line(Rule::TopUp, Some(band), None, Some(*quantity), *cost);
        call.priced_since.get_or_insert(at);
        taken = pools.take_bought(key, increment.get());
    }
    call.line(Rule::Allowance, Some(band), Some("top-up"), Some(Seconds::new(taken)), Decimal::ZERO);
    call.used("top-up", taken);
    call.advance(Seconds::new(taken.max(1)));
}
