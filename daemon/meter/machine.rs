//! The discrete-event machine of one contract: the next increment to begin over all its calls, until none is left.

use super::finish;
use super::incidents::Incidents;
use super::increment::begin_increment;
use super::pools::{PoolKey, Pools};
use super::running::{Running, classify};
use super::settlement::{Balance, Input, Live, Settled, Settlement, Timing};
use super::terms::{Role, Terms};
use crate::tariff::Grant;
use crate::units::{Seconds, Timestamp};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

pub(super) struct Machine<'a, 't> {
    terms: &'t Terms<'a>,
    until: Timestamp,
    pools: Pools<'a>,
    incidents: Incidents<'a>,
    calls: Vec<Running<'a>>,
    /// Ranks of the calls for ties: connected earlier, then set up earlier, then caller, called, call_id.
    ranks: Vec<usize>,
}

impl<'a, 't> Machine<'a, 't> {
    pub(super) fn new(terms: &'t Terms<'a>, inputs: &[Input<'a>], until: Timestamp) -> Self {
        let mut order: Vec<usize> = (0..inputs.len()).collect();
        order.sort_by_key(|place| {
            inputs.get(*place).map(|Input { call, .. }| {
                (call.connected_at(), call.started_at, (call.caller, &call.caller_raw), (call.called, &call.called_raw), &call.id)
            })
        });
        let mut ranks = vec![0; inputs.len()];
        for (rank, place) in order.into_iter().enumerate() {
            if let Some(slot) = ranks.get_mut(place) {
                *slot = rank;
            }
        }
        let calls = inputs.iter().map(|input| classify(terms, *input, until)).collect();
        Self { terms, until, pools: Pools::default(), incidents: Incidents::default(), calls, ranks }
    }

    /// Runs the events of all calls with this timing.
    pub(super) fn run(&mut self, timing: Timing) {
        let mut events = BinaryHeap::new();
        for (place, (call, rank)) in self.calls.iter().zip(&self.ranks).enumerate() {
            if call.input.timing == timing
                && call.outcome.is_none()
                && let Some(at) = call.next_event()
            {
                events.push(Reverse((at, *rank, place)));
            }
        }
        while let Some(Reverse((at, rank, place))) = events.pop() {
            let Some(call) = self.calls.get_mut(place) else { continue };
            begin_increment(self.terms, &mut self.pools, &mut self.incidents, call, at, self.until);
            if call.outcome.is_none()
                && let Some(next) = call.next_event()
            {
                events.push(Reverse((next, rank, place)));
            }
        }
    }

    pub(super) fn finish(mut self) -> Settlement {
        let mut calls = Vec::with_capacity(self.calls.len());
        for call in &self.calls {
            let record = finish::record(self.terms, call, self.until);
            let live = call.input.call.ended_at.is_none().then(|| self.live(call));
            calls.push(Settled { record, live });
        }
        self.touch_current();
        Settlement { calls, balances: self.balances() }
    }

    fn live(&self, call: &Running<'a>) -> Live {
        let talking = call.input.call.talks.iter().any(|talk| talk.to.is_none() && talk.from <= self.until);
        let so_far = call.input.call.talk_micros(self.until);
        let ahead = i64::try_from(call.offset.get()).unwrap_or(i64::MAX).saturating_mul(1_000_000).saturating_sub(so_far);
        let next = (talking && call.outcome.is_none() && call.offset.get() < u64::MAX).then(|| self.until.plus_micros(ahead.max(0)));
        let left = call.sources.iter().filter(|source| matches!(source.allowance.grant, Grant::Time { .. }));
        let left: Vec<u64> = left.map(|source| self.pools.left(source.key)).collect();
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
            self.pools.touch(self.terms, offer, day);
        }
    }

    fn balances(&self) -> Vec<Balance> {
        let balance = |(key, pool): (&PoolKey<'a>, &super::pools::Pool)| Balance {
            plan: key.0.into(),
            allowance: key.1.into(),
            from: key.2,
            lapses: pool.lapses,
            granted: pool.granted,
            left: pool.left,
            is_time: pool.is_time,
        };
        self.pools.all().map(balance).collect()
    }
}
