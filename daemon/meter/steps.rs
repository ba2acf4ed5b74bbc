//! Steps: increments at a price by the talk time so far, each by itself or rounded over several (config/tariffs/README.md).

use super::increment::{Moment, is_tolerated};
use super::record::Rule;
use super::running::{Item, Running};
use super::state::{Scope, State};
use crate::tariff::{Rate, Round, RoundMode, RoundPer, Step};
use crate::units::Seconds;

/// The increment of the step whose time the call's talk has reached, in whatever band or allowance it was spent.
pub(super) fn step<'a>(state: &mut State, call: &mut Running<'a>, now: &Moment<'a, '_>, rate: &'a Rate, steps: &'a [Step]) {
    let Some(step) = step_at(steps, call.offset) else { return call.whole() };
    let plain = Round { per: RoundPer::Increment, to: None, mode: RoundMode::Up };
    if let Some(round) = rate.conditions.round.filter(|round| *round != plain) {
        return rounded(state, call, now, (rate, steps), round);
    }
    if !is_tolerated(&mut state.pools, call, now, step.increment) {
        call.charge(state, &now.offer, rate, increments(now, rate, step, 1));
    }
    call.advance(step.increment);
}

fn increments<'a>(now: &Moment<'a, '_>, rate: &'a Rate, step: &'a Step, count: u64) -> Item<'a> {
    let Moment { offer, band, at: begins, .. } = *now;
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
fn rounded<'a>(state: &mut State, call: &mut Running<'a>, now: &Moment<'a, '_>, (rate, steps): (&'a Rate, &'a [Step]), round: Round) {
    let Moment { offer, band, at, .. } = *now;
    let Some(step) = step_at(steps, call.offset) else { return call.whole() };
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
    if is_tolerated(&mut state.pools, call, now, Seconds::new(talk)) {
        return call.pass(talk);
    }
    let begun = before < charged_after && charged_after <= after;
    if begun {
        whole_length(state, call, now, (rate, steps), length);
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

/// Charges a length as talk of that length is charged: step by step, from the talk time at which it began.
fn whole_length<'a>(
    state: &mut State,
    call: &mut Running<'a>,
    now: &Moment<'a, '_>,
    (rate, steps): (&'a Rate, &'a [Step]),
    length: Seconds,
) {
    let mut from = call.offset;
    let end = from.get().saturating_add(length.get());
    while from.get() < end
        && let Some((place, step)) = steps.iter().enumerate().rev().find(|(_, step)| step.from <= from)
    {
        let next = steps.get(place.saturating_add(1)).map_or(end, |next| next.from.get().min(end));
        let count = next.saturating_sub(from.get()).div_ceil(step.increment.get()).max(1);
        call.charge(state, &now.offer, rate, increments(now, rate, step, count));
        let billed = step.increment.get().saturating_mul(count);
        call.billed = Seconds::new(call.billed.get().saturating_add(billed));
        from = Seconds::new(from.get().saturating_add(billed));
    }
}

/// The step whose time has been reached.
fn step_at(steps: &[Step], talked: Seconds) -> Option<&Step> {
    steps.iter().rev().find(|step| step.from <= talked)
}
