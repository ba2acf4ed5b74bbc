//! What an increment costs when it begins: the first allowance with a balance, else the price of the rate (design.md §6.2).

use super::incidents::Part;
use super::pools::{Pools, TOP_UP};
use super::record::{Outcome, Rule};
use super::running::{Item, Running};
use super::sources::{Source, in_band, top_up_period};
use super::state::{Scope, State};
use super::terms::{Offer, Terms};
use crate::calls::Call;
use crate::tariff::{Allowance, BandId, Grant, Price, Rate, Round, RoundMode, RoundPer, Step};
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

/// Charges the increment that begins at `at` (design.md §6.2): the first allowance with a balance, else the rate's price.
pub(super) fn begin_increment<'a>(terms: &Terms<'a>, state: &mut State, call: &mut Running<'a>, at: Timestamp, until: Timestamp) {
    let (Some(offer), Some(service)) = (call.offer, call.service) else { return call.whole() };
    // A running call that leaves all bands of its service, or those its plan sells, stays in its last one (§6.5).
    let sold = offer.tariff.band_at(service, at).filter(|band| sells(&offer, call.input.call, call.severity, *band));
    let Some(band) = sold.or(call.band) else { return call.whole() };
    (call.band, call.now, call.next_charge) = (Some(band), at, None);
    if call.offset == Seconds::ZERO {
        call.sources = state.pools.sources(terms, &call.offers, &call.input, call.severity, call.day);
        if by_count(state, call, offer, band, at, until) {
            return call.whole();
        }
    }
    let rate = rate(&offer, call.input.call, call.severity, band);
    let price = rate.map(|rate| &rate.price);
    if call.offset >= call.chargeable && price != Some(&Price::Flat) {
        return call.whole();
    }
    if by_allowance(&mut state.pools, call, &offer, band, at) {
        return;
    }
    let Some(rate) = rate else { return call.whole() };
    match &rate.price {
        Price::Steps(steps) => step(state, call, &offer, rate, steps, band, at),
        Price::TopUp { .. } => top_up(terms, state, call, &offer, rate, band, at),
        Price::Flat => {
            call.add_free(Rule::Flat, band, None, None, offer.origin(rate.line));
            call.billed = call.clock.total();
            call.whole();
        }
        Price::Incident(_) => call.whole(),
    }
}

/// Calls that are counted, not timed: callbacks of a monthly number, and incidents. True when the call has its price.
fn by_count<'a>(state: &mut State, call: &mut Running<'a>, offer: Offer<'a>, band: BandId, at: Timestamp, until: Timestamp) -> bool {
    let own: &'a Call = call.input.call;
    let counted = |grant: &Grant| match grant {
        Grant::Callbacks(_) => true,
        Grant::Incidents(_) | Grant::Time { .. } => false,
    };
    let is_callback = own.direction == Direction::Out || &*own.service == "callback";
    if is_callback && use_one(&mut state.pools, call, &offer, band, at, counted) {
        return true;
    }
    let rate = rate(&offer, own, call.severity, band);
    // It is the service that forms incidents, whatever this call's band and severity cost (§6.7).
    let rates = || offer.plan.rates.iter().filter(|rate| rate.service == own.service);
    let priced_by_incident = rates().any(|rate| matches!(rate.price, Price::Incident(_)))
        || call.sources.iter().any(|source| matches!(source.allowance.grant, Grant::Incidents(_)));
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
    if matches!(incident, Part::Another(_))
        || use_one(&mut state.pools, call, &offer, band, at, |grant| matches!(grant, Grant::Incidents(_)))
    {
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
            call.charge(state, &offer, rate, item);
        }
        Some(_) => return false,
        None => call.conclude(Outcome::Uncovered, "its plan has no price for this incident"),
    }
    true
}

/// Uses one of the first counted allowance with a balance, or one more where that is tolerated.
fn use_one<'a>(
    pools: &mut Pools,
    call: &mut Running<'a>,
    offer: &Offer<'a>,
    band: BandId,
    at: Timestamp,
    counts: impl Fn(&Grant) -> bool,
) -> bool {
    let service = &call.input.call.service;
    let serving = |source: &&Source<'a>| counts(&source.allowance.grant) && source.serves_in(offer.tariff, service, band, at);
    if let Some(source) = call.sources.iter().filter(serving).find(|source| pools.take(source, 1) == 1) {
        let (id, origin) = (&*source.allowance.id, source.origin());
        call.add_free(Rule::Allowance, band, Some(id), None, origin);
        call.used(id, 1);
        return true;
    }
    let beyond = call.sources.iter().filter(serving).find(|source| source.allowance.tolerance.is_some());
    let Some((id, origin)) = beyond.filter(|source| pools.go_beyond(source, 1)).map(|source| (&*source.allowance.id, source.origin()))
    else {
        return false;
    };
    call.add_free(Rule::Tolerance, band, Some(id), None, origin);
    true
}

/// Covers the increment from the first time allowance with a balance; as short as the balance, if that is smaller.
fn by_allowance<'a>(pools: &mut Pools, call: &mut Running<'a>, offer: &Offer<'a>, band: BandId, at: Timestamp) -> bool {
    for place in 0..call.sources.len() {
        let Some(source) = call.sources.get(place) else { break };
        let Grant::Time { increment, .. } = source.allowance.grant else { continue };
        if pools.left(source.pool) == 0 || !source.serves_in(offer.tariff, &call.input.call.service, band, at) {
            continue;
        }
        let taken = Seconds::new(pools.take(source, increment.get()));
        if taken == Seconds::ZERO {
            continue;
        }
        let (id, origin) = (&*source.allowance.id, source.origin());
        call.add_free(Rule::Allowance, band, Some(id), Some(taken), origin);
        call.used(id, taken.get());
        call.advance(taken);
        return true;
    }
    false
}

/// Counts talk beyond the first allowance that tolerates some; true where it is free.
fn is_tolerated<'a>(pools: &mut Pools, call: &mut Running<'a>, offer: &Offer<'a>, band: BandId, length: Seconds, at: Timestamp) -> bool {
    let service = &call.input.call.service;
    let serving = |source: &&Source<'a>| {
        source.allowance.tolerance.is_some()
            && matches!(source.allowance.grant, Grant::Time { .. })
            && source.serves_in(offer.tariff, service, band, at)
    };
    let Some(source) = call.sources.iter().find(serving) else { return false };
    let (id, origin) = (&*source.allowance.id, source.origin());
    let free = pools.go_beyond(source, length.get());
    if free {
        call.add_free(Rule::Tolerance, band, Some(id), Some(length), origin);
    }
    free
}

/// The increment of the step whose time the call's talk has reached, in whatever band or allowance it was spent.
fn step<'a>(state: &mut State, call: &mut Running<'a>, offer: &Offer<'a>, rate: &'a Rate, steps: &'a [Step], band: BandId, at: Timestamp) {
    let Some(step) = steps.iter().rev().find(|step| step.from <= call.offset) else { return call.whole() };
    let plain = Round { per: RoundPer::Increment, to: None, mode: RoundMode::Up };
    if let Some(round) = rate.conditions.round.filter(|round| *round != plain) {
        return rounded(state, call, offer, rate, step, round, band, at);
    }
    if !is_tolerated(&mut state.pools, call, offer, band, step.increment, at) {
        call.charge(state, offer, rate, increments(offer, rate, step, band, 1, at));
    }
    call.advance(step.increment);
}

fn increments<'a>(offer: &Offer<'a>, rate: &'a Rate, step: &'a Step, band: BandId, count: u64, begins: Timestamp) -> Item<'a> {
    let origin = offer.origin(rate.line);
    Item {
        rule: Rule::Step,
        band: Some(band),
        allowance: None,
        count,
        increment: Some(step.increment),
        unit_price: step.price,
        origin,
        begins,
    }
}

/// Talk fills a length, of this call or of several; the length is charged when enough of it has passed.
#[expect(clippy::too_many_arguments, reason = "the parts of one increment, named at the only call")]
fn rounded<'a>(
    state: &mut State,
    call: &mut Running<'a>,
    offer: &Offer<'a>,
    rate: &'a Rate,
    step: &'a Step,
    round: Round,
    band: BandId,
    at: Timestamp,
) {
    let length = round.to.unwrap_or(step.increment);
    let scope = match round.per {
        RoundPer::Increment => None,
        RoundPer::Call => Some(Scope::Call(call.input.call.id.clone())),
        RoundPer::Incident => Some(Scope::Incident(call.incident.clone().unwrap_or_else(|| call.input.call.id.as_str().into()))),
        RoundPer::Day => Some(Scope::Day(call.day)),
        RoundPer::Month => Some(Scope::month_of(call.day)),
    };
    let before = scope.as_ref().map_or(0, |scope| state.blocks.get(&offer.plan.id, rate.line, scope));
    let charged_after = round.mode.charged_after(length);
    let rest = length.get().saturating_sub(before);
    let talk = rest.min(call.chargeable.get().saturating_sub(call.offset.get()));
    let after = before.saturating_add(talk);
    if is_tolerated(&mut state.pools, call, offer, band, Seconds::new(talk), at) {
        return call.pass(talk);
    }
    let begun = before < charged_after && charged_after <= after;
    if begun {
        let count = length.get().checked_div(step.increment.get()).unwrap_or(1);
        call.charge(state, offer, rate, increments(offer, rate, step, band, count, at));
        call.billed = Seconds::new(call.billed.get().saturating_add(length.get()));
    } else {
        call.due.only_counted(band, Seconds::new(talk), offer.origin(rate.line), at);
    }
    // What begins is charged at its first instant, what must pass, when it has passed.
    let passes = if round.mode == RoundMode::Up { 0 } else { charged_after };
    let ahead = if after < charged_after { charged_after.saturating_sub(before) } else { rest.saturating_add(passes) };
    call.next_charge = Some(Seconds::new(call.offset.get().saturating_add(ahead)));
    if let Some(scope) = scope {
        state.blocks.set(&offer.plan.id, rate.line, scope, if after < length.get() { after } else { 0 });
    }
    call.pass(talk);
}

/// Uses what is left of a quantity that was bought in this period; buys another when nothing is.
fn top_up<'a>(
    terms: &Terms<'a>,
    state: &mut State,
    call: &mut Running<'a>,
    offer: &Offer<'a>,
    rate: &'a Rate,
    band: BandId,
    at: Timestamp,
) {
    let (Price::TopUp { quantity, price, increment, .. }, Some((from, lapses))) =
        (&rate.price, top_up_period(terms, &rate.price, call.day))
    else {
        return call.whole();
    };
    let origin = offer.origin(rate.line);
    let pool = state.pools.bought(&offer.plan.id, from, lapses);
    let mut taken = state.pools.take_bought(pool, increment.get());
    if taken == 0 {
        if is_tolerated(&mut state.pools, call, offer, band, *increment, at) {
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
        call.charge(state, offer, rate, bought);
        taken = state.pools.take_bought(pool, increment.get());
    }
    call.add_free(Rule::Allowance, band, Some(TOP_UP), Some(Seconds::new(taken)), origin);
    call.used(TOP_UP, taken);
    call.advance(Seconds::new(taken.max(1)));
}
