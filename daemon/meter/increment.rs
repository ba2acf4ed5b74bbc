//! What an increment costs when it begins: the first allowance with a balance, else the price of the rate (design.md §6.2).

use super::incidents::Part;
use super::pools::{Pools, TOP_UP};
use super::record::{Outcome, Rule};
use super::running::{Item, Running};
use super::sources::{Source, in_band, top_up_gone, top_up_period};
use super::state::State;
use super::steps::step;
use super::terms::{Offer, Role, Terms};
use crate::calls::Call;
use crate::tariff::{Allowance, BandId, Grant, Price, Rate, RoundPer};
use crate::units::{Direction, Seconds, Timestamp};

/// Whether a plan has a price for a call in a band, or counts it among included callbacks.
pub(super) fn sells(offer: &Offer<'_>, call: &Call, severity: Option<&str>, band: BandId) -> bool {
    let counts = |one: &Allowance| matches!(one.grant, Grant::Callbacks(_)) && one.services.contains(&call.service);
    rate(offer, call, severity, band).is_some() || offer.plan.allowances.iter().any(counts)
}

/// The first rate of a plan that applies.
pub(super) fn rate<'a>(offer: &Offer<'a>, call: &Call, severity: Option<&str>, band: BandId) -> Option<&'a Rate> {
    let level = call.level();
    offer.plan.rates.iter().find(|rate| {
        rate.service == call.service
            && in_band(&rate.bands, band)
            && (rate.severities.is_empty() || severity.is_some_and(|severity| rate.severities.iter().any(|one| **one == *severity)))
            && (rate.levels.is_empty() || level.is_some_and(|level| rate.levels.contains(&level)))
            && rate.direction.is_none_or(|direction| direction == call.direction)
    })
}

/// The instant at which an increment begins, and the plan and band that price it.
pub(super) struct Moment<'a, 't> {
    pub(super) terms: &'t Terms<'a>,
    pub(super) offer: Offer<'a>,
    pub(super) band: BandId,
    pub(super) at: Timestamp,
}

impl<'a> Moment<'a, '_> {
    fn is_served_by(&self, source: &Source<'a>, service: &str) -> bool {
        source.serves_in(self.terms, self.offer.tariff, service, self.band, self.at)
    }
}

/// Charges the increment that begins at `at` (design.md §6.2): the first allowance with a balance, else the rate's price.
pub(super) fn begin_increment<'a>(terms: &Terms<'a>, state: &mut State, call: &mut Running<'a>, at: Timestamp, until: Timestamp) {
    let (Some(offer), Some(service)) = (call.offer, call.service) else { return call.whole() };
    // A running call that leaves all bands of its service, or those its plan sells, stays in its last one (§6.5).
    let sold = offer
        .tariff
        .band_in(service, terms.minute(offer.tariff.zone, at))
        .filter(|band| sells(&offer, call.input.call, call.severity, *band));
    let Some(band) = sold.or(call.band) else { return call.whole() };
    (call.band, call.now, call.next_charge) = (Some(band), at, None);
    let now = Moment { terms, offer, band, at };
    if call.offset == Seconds::ZERO {
        call.sources = state.pools.sources(terms, &call.offers, &call.input, call.severity, call.day);
        if by_count(state, call, &now, until) {
            return call.whole();
        }
    }
    let rate = rate(&offer, call.input.call, call.severity, band);
    let price = rate.map(|rate| &rate.price);
    if call.offset >= call.chargeable && price != Some(&Price::Flat) {
        // All talk so far is waived; an increment begins here once there is more.
        call.next_charge = Some(call.offset);
        return call.whole();
    }
    if by_allowance(&mut state.pools, call, &now) {
        return;
    }
    let Some(rate) = rate else { return call.whole() };
    match &rate.price {
        Price::Steps(steps) => step(state, call, &now, rate, steps),
        Price::TopUp { .. } => top_up(state, call, &now, rate),
        Price::Flat => {
            call.add_free(Rule::Flat, band, None, None, offer.origin(rate.line));
            call.billed = call.clock.total();
            call.whole();
        }
        Price::Incident(_) => call.whole(),
    }
}

/// Calls that are counted, not timed: callbacks of a monthly number, and incidents. True when the call has its price.
fn by_count<'a>(state: &mut State, call: &mut Running<'a>, now: &Moment<'a, '_>, until: Timestamp) -> bool {
    let Moment { offer, band, at, .. } = *now;
    let own: &'a Call = call.input.call;
    let counted = |grant: &Grant| match grant {
        Grant::Callbacks(_) => true,
        Grant::Incidents(_) | Grant::Time { .. } => false,
    };
    let is_callback = own.direction == Direction::Out || &*own.service == "callback";
    if is_callback && use_one(&mut state.pools, call, now, counted) {
        return true;
    }
    let rate = rate(&offer, own, call.severity, band);
    // It is the service that forms incidents, whatever this call's band and severity cost (§6.7).
    let rates = || offer.plan.rates.iter().filter(|rate| rate.service == own.service);
    let priced_by_incident = rates().any(|rate| matches!(rate.price, Price::Incident(_))) || includes_incidents(call);
    let added_up =
        call.due.asks_for_incident() || rates().any(|rate| rate.conditions.round.is_some_and(|round| round.per == RoundPer::Incident));
    let incident = (own.direction == Direction::In && (priced_by_incident || added_up))
        .then(|| state.incidents.join(own, at, own.ended_at.unwrap_or(until), offer.tariff.incident_window));
    if let Some(Part::First(name) | Part::Another(name)) = &incident {
        call.incident = Some(name.clone());
    }
    let Some(incident) = incident.filter(|_| priced_by_incident) else {
        if rate.is_none() {
            call.conclude(Outcome::Uncovered, "the included number of callbacks is used up");
            return true;
        }
        return false;
    };
    if matches!(incident, Part::Another(_)) || use_one(&mut state.pools, call, now, |grant| matches!(grant, Grant::Incidents(_))) {
        return true;
    }
    match rate.map(|rate| (rate, &rate.price)) {
        Some((rate, Price::Incident(price))) => {
            let origin = offer.origin(rate.line);
            let item = Item {
                rule: Rule::Incident,
                band: Some(band),
                allowance: None,
                count: 1,
                increment: None,
                unit_price: *price,
                origin,
                begins: at,
            };
            call.charge(state, &now.offer, rate, item);
        }
        Some(_) => return false,
        None => call.conclude(Outcome::Uncovered, "its plan has no price for this incident"),
    }
    true
}

/// Whether a plan on which the caller may call includes incidents of the service, be it for other severities, levels or bands.
fn includes_incidents(call: &Running<'_>) -> bool {
    let own = call.input.call;
    let includes = |one: &Allowance| matches!(one.grant, Grant::Incidents(_)) && one.services.contains(&own.service);
    let plans = call.offers.iter().filter(|offer| offer.role == Role::Active && offer.lets_call(call.input.authorised));
    plans.flat_map(|offer| &offer.plan.allowances).any(includes)
}

/// Uses one of the first counted allowance with a balance, or one more where that is tolerated.
fn use_one<'a>(pools: &mut Pools, call: &mut Running<'a>, now: &Moment<'a, '_>, counts: impl Fn(&Grant) -> bool) -> bool {
    let service = &call.input.call.service;
    let serving = |source: &&Source<'a>| counts(&source.allowance.grant) && now.is_served_by(source, service);
    if let Some(source) = call.sources.iter().filter(serving).find(|source| pools.take(source, 1) == 1) {
        let (id, origin) = (&*source.allowance.id, source.origin());
        call.add_free(Rule::Allowance, now.band, Some(id), None, origin);
        call.used(id, 1);
        return true;
    }
    let beyond = call.sources.iter().filter(serving).find(|source| source.allowance.tolerance.is_some());
    let Some((id, origin)) = beyond.filter(|source| pools.go_beyond(source, 1)).map(|source| (&*source.allowance.id, source.origin()))
    else {
        return false;
    };
    call.add_free(Rule::Tolerance, now.band, Some(id), None, origin);
    true
}

/// Covers the increment from the first time allowance with a balance; as short as the balance, if that is smaller.
fn by_allowance<'a>(pools: &mut Pools, call: &mut Running<'a>, now: &Moment<'a, '_>) -> bool {
    for place in 0..call.sources.len() {
        let Some(source) = call.sources.get(place) else { break };
        let Grant::Time { increment, .. } = source.allowance.grant else { continue };
        if pools.is_spent(source.pool) || !now.is_served_by(source, &call.input.call.service) {
            continue;
        }
        let taken = Seconds::new(pools.take(source, increment.get()));
        if taken == Seconds::ZERO {
            continue;
        }
        let (id, origin) = (&*source.allowance.id, source.origin());
        call.add_free(Rule::Allowance, now.band, Some(id), Some(taken), origin);
        call.used(id, taken.get());
        call.advance(taken);
        return true;
    }
    false
}

/// Counts talk beyond the first allowance that tolerates some; true where it is free.
pub(super) fn is_tolerated<'a>(pools: &mut Pools, call: &mut Running<'a>, now: &Moment<'a, '_>, length: Seconds) -> bool {
    let service = &call.input.call.service;
    let serving = |source: &&Source<'a>| {
        source.allowance.tolerance.is_some() && matches!(source.allowance.grant, Grant::Time { .. }) && now.is_served_by(source, service)
    };
    let Some(source) = call.sources.iter().find(serving) else { return false };
    let (id, origin) = (&*source.allowance.id, source.origin());
    let free = pools.go_beyond(source, length.get());
    if free {
        call.add_free(Rule::Tolerance, now.band, Some(id), Some(length), origin);
    }
    free
}

/// Uses what is left of a quantity that was bought in this period; buys another when nothing is.
fn top_up<'a>(state: &mut State, call: &mut Running<'a>, now: &Moment<'a, '_>, rate: &'a Rate) {
    let Moment { terms, offer, band, at } = *now;
    let (Price::TopUp { quantity, price, increment, .. }, Some(period)) = (&rate.price, top_up_period(terms, &rate.price, call.day)) else {
        return call.whole();
    };
    let origin = offer.origin(rate.line);
    let pool = state.pools.bought(&offer.plan.id, period.0, period.1, || top_up_gone(terms, &offer, period, call.day));
    let mut taken = state.pools.take_bought(pool, increment.get());
    if taken == 0 {
        if is_tolerated(&mut state.pools, call, now, *increment) {
            return call.advance(*increment);
        }
        state.pools.buy(pool, *quantity);
        let bought = Item {
            rule: Rule::TopUp,
            band: Some(band),
            allowance: None,
            count: 1,
            increment: Some(*quantity),
            unit_price: *price,
            origin,
            begins: at,
        };
        call.charge(state, &now.offer, rate, bought);
        taken = state.pools.take_bought(pool, increment.get());
    }
    call.add_free(Rule::Allowance, band, Some(TOP_UP), Some(Seconds::new(taken)), origin);
    call.used(TOP_UP, taken);
    call.advance(Seconds::new(taken.max(1)));
}
