//! The discrete-event machine of one contract: the next increment to begin over all its calls, until none is left.

use super::finish;
use super::increment::begin_increment;
use super::pools::Pool;
use super::running::{Running, classify};
use super::settlement::{Balance, Input, Live, Quiet, Settled, Settlement, Timing};
use super::state::State;
use super::stretch::Stretch;
use super::terms::{Offer, Role, Terms};
use crate::tariff::{Grant, Verdict};
use crate::units::{Seconds, Timestamp};
use chrono::NaiveDate;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::rc::Rc;

/// At least so many calls lie between two quiet instants that are told.
const CALLS_APART: usize = 64;

pub(super) struct Machine<'a, 't> {
    terms: &'t Terms<'a>,
    until: Timestamp,
    state: State,
    inputs: &'t [Input<'a>],
    /// The calls settled so far, each with its place among the inputs.
    calls: Vec<(usize, Running<'a>)>,
    quiet: Vec<Quiet>,
    /// When all calls so far were over; `None` while one is open.
    over: Option<Timestamp>,
    /// The plans of the day asked for last: calls come in order, most of a day after another.
    today: Option<(NaiveDate, Rc<[Offer<'a>]>)>,
}

impl<'a, 't> Machine<'a, 't> {
    pub(super) fn new(terms: &'t Terms<'a>, from: &Quiet, inputs: &'t [Input<'a>], until: Timestamp) -> Self {
        Self {
            terms,
            until,
            state: from.state.clone(),
            inputs,
            calls: Vec::with_capacity(inputs.len()),
            quiet: vec![Quiet { ahead: None, ..from.clone() }],
            over: Some(Timestamp::default()),
            today: None,
        }
    }

    /// Settles calls, given in their order of ties, with what those before have left. Where one uses more than is tolerated
    /// beyond an allowance, all that was beyond it is due after all: then they run again, knowing that.
    pub(super) fn settle(&mut self, order: &[usize]) {
        let (before, settled) = (self.state.clone(), self.calls.len());
        let mut exceeded = Vec::new();
        loop {
            self.run(order);
            let more = self.state.pools.newly_exceeded();
            if more.is_empty() {
                return;
            }
            exceeded.extend(more);
            self.state = before.clone();
            self.state.pools.exceed(exceeded.clone());
            self.calls.truncate(settled);
        }
    }

    fn run(&mut self, order: &[usize]) {
        let mut events: BinaryHeap<Reverse<(Timestamp, usize)>> = BinaryHeap::new();
        let mut waiting = order.iter().copied().peekable();
        let mut told = 0usize;
        loop {
            // Every call whose talk has begun by the next increment takes part in it.
            while let Some((place, input, begun)) = waiting.peek().and_then(|place| {
                let input = *self.inputs.get(*place)?;
                Some((*place, input, input.call.connected_at().unwrap_or(input.call.started_at)))
            }) && events.peek().is_none_or(|Reverse((at, _))| begun <= *at)
            {
                if let Some(over) = self.over.filter(|over| events.is_empty() && *over < begun) {
                    told = self.be_quiet(halfway(over, begun), input.timing, told);
                }
                waiting.next();
                let (day, offers) = self.offers(begun);
                let running = classify(self.terms, offers, day, input, self.until);
                self.over = self.over.zip(input.call.ended_at.filter(|_| !running.waits)).map(|(over, ended)| over.max(ended).max(begun));
                if let Some(at) = running.next_event().filter(|_| running.outcome.is_none()) {
                    events.push(Reverse((at, self.calls.len())));
                }
                self.calls.push((place, running));
            }
            let Some(Reverse((at, number))) = events.pop() else { return };
            let Some((_, call)) = self.calls.get_mut(number) else { continue };
            begin_increment(self.terms, &mut self.state, call, at, self.until);
            if let Some(next) = call.next_event().filter(|_| call.outcome.is_none()) {
                events.push(Reverse((next, number)));
            }
        }
    }

    /// Notes a quiet instant, unless one was told a few calls before; gives how many calls were settled when the last was.
    fn be_quiet(&mut self, at: Timestamp, timing: Timing, told: usize) -> usize {
        let settled = self.calls.len();
        // What is late, or beyond what is tolerated, changes what was before.
        if settled.saturating_sub(told) < CALLS_APART || timing != Timing::InTime || self.state.pools.tolerate() {
            return told;
        }
        self.end_stretch(at);
        self.quiet.push(Quiet { at, state: self.state_at(at), ahead: None });
        settled
    }

    /// Notes what was asked of allowances since the last quiet instant.
    fn end_stretch(&mut self, to: Timestamp) {
        let asked = self.state.pools.asked();
        if let Some(last) = self.quiet.last_mut() {
            last.ahead = Some(Stretch { to, asked });
        }
    }

    fn state_at(&self, at: Timestamp) -> State {
        self.state.from(at, self.terms.day(at), self.terms.longest_incident_window())
    }

    /// What is left at an instant after all calls; `None` if settlement cannot go on from it.
    pub(super) fn rest(&self, at: Timestamp) -> Option<State> {
        let late = self.inputs.iter().any(|input| input.timing != Timing::InTime);
        let over = self.over.is_some_and(|over| over <= at);
        (over && !late && !self.state.pools.tolerate()).then(|| self.state_at(at))
    }

    fn offers(&mut self, at: Timestamp) -> (NaiveDate, Rc<[Offer<'a>]>) {
        let day = self.terms.day(at);
        if let Some((known, offers)) = &self.today
            && *known == day
        {
            return (day, Rc::clone(offers));
        }
        let offers: Rc<[Offer<'a>]> = self.terms.offers(day).into();
        self.today = Some((day, Rc::clone(&offers)));
        (day, offers)
    }

    /// What all came to; `end` is where the calls end that were given.
    pub(super) fn finish(mut self, end: Timestamp) -> Settlement {
        self.end_stretch(end);
        let mut settled = std::mem::take(&mut self.calls);
        settled.sort_by_key(|(place, _)| *place);
        let settled = settled.into_iter().map(|(_, call)| {
            let live = call.input.call.ended_at.is_none().then(|| self.live(&call));
            let (record, origins) = finish::record(self.terms, call, self.until);
            Settled { record, live, origins }
        });
        let calls = settled.collect();
        self.touch_current();
        let balances = self.state.pools.sorted().into_iter().map(balance).collect();
        let late = self.inputs.iter().any(|input| input.timing != Timing::InTime);
        let quiet = if late || self.state.pools.tolerate() { Vec::new() } else { self.quiet };
        Settlement { calls, balances, quiet }
    }

    fn live(&self, call: &Running<'a>) -> Live {
        let talking = call.input.call.talks.iter().any(|talk| talk.to.is_none() && talk.from <= self.until);
        let so_far = call.input.call.talk_micros(self.until);
        // The last minutes of talk begin no increment, as long as they are the last. But a price per incident stays whole, and
        // falls due with the first second.
        let waived = match call.input.verdict {
            Some(Verdict::GoodwillTime(waived)) if so_far >= 1_000_000 => waived.get(),
            _ => 0,
        };
        let after = |offset: Seconds| Seconds::new(offset.get().saturating_add(waived));
        let next = match (call.outcome, call.next_charge) {
            // Free for now: what it has used so far is charged when it has become too long.
            (Some(_), next) => next,
            (None, Some(next)) => Some(after(next)),
            (None, None) => (call.offset.get() < u64::MAX).then(|| after(call.offset)),
        };
        let next = next.filter(|_| talking).map(|next| {
            let ahead = i64::try_from(next.get()).unwrap_or(i64::MAX).saturating_mul(1_000_000).saturating_sub(so_far);
            self.until.plus_micros(ahead.max(0))
        });
        let left = call.sources.iter().filter(|source| matches!(source.allowance.grant, Grant::Time { .. }));
        let left: Vec<u64> = left.map(|source| self.state.pools.left(source.pool)).collect();
        Live {
            next_increment_at: next,
            allowance_left: (!left.is_empty()).then(|| Seconds::new(left.iter().fold(0, |sum, one| sum.saturating_add(*one)))),
            priced_since: call.priced_since,
        }
    }

    /// Grants the allowances of today, so that balances show those nobody has used yet.
    fn touch_current(&mut self) {
        let day = self.terms.day(self.until);
        for offer in self.terms.offers(day).iter().filter(|offer| offer.role == Role::Active) {
            self.state.pools.touch(self.terms, offer, day);
        }
    }
}

/// The instant halfway between two, never the first: news of a call that is first in a morning, and of one that is last in an
/// evening, both find it quiet in the night between.
fn halfway(over: Timestamp, begun: Timestamp) -> Timestamp {
    let apart = begun.micros().saturating_sub(over.micros());
    over.plus_micros((apart / 2).max(1))
}

fn balance(pool: &Pool) -> Balance {
    Balance {
        plan: pool.owner.clone(),
        allowance: pool.id.clone(),
        from: pool.from,
        lapses: pool.lapses,
        granted: pool.granted,
        left: pool.left,
        is_time: pool.is_time,
    }
}
