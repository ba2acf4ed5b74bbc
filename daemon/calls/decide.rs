//! Whose leg it is, when all evidence that could tell at once has had its time: decided, guessed and marked, or left open.
//!
//! The one invariant: a guess is made between calls of one payer only.

use super::call::{Correlation, Mark};
use super::correlator::Calls;
use super::join::{ANSWER_MICROS, EARLY_MICROS, only};
use super::leg::{CallNo, Role};
use super::news::Update;
use crate::sip::LegId;
use crate::units::{E164, Timestamp};
use std::collections::BTreeSet;

/// A switch that rings a phone at once does so within this time of the caller's INVITE.
const FRESH_MICROS: i64 = 100_000;

impl Calls {
    /// Evidence had its time.
    pub(super) fn decide(&mut self, id: LegId, at: Timestamp, out: &mut Vec<Update>) {
        let Some(leg) = self.legs.get(&id).filter(|leg| leg.call.is_none()) else { return };
        if leg.named.is_some() {
            return self.decide_outside_leg(id, at, out);
        }
        if leg.candidates.is_empty() && leg.role == Role::ToAgent {
            return self.place_agent_leg(id, &[], at, out);
        }
        let answered = leg.answered_at();
        let invited = leg.invited_at;
        // Who gave up while the phone rang is out of it; who left after it was answered may have been the one.
        let stays = |call: &CallNo| self.open.get(call).is_some_and(|open| open.conclude_at.is_none());
        let left = |call: &CallNo| {
            let customer = self.open.get(call).and_then(|open| self.legs.get(&open.customer.unwrap_or(open.first)));
            customer.and_then(|leg| leg.ended_at).is_some_and(|ended| answered.is_some_and(|answered| answered <= ended))
        };
        let contenders: Vec<CallNo> = leg.candidates.iter().copied().filter(|call| stays(call) || left(call)).collect();
        let alive: Vec<CallNo> = contenders.iter().copied().filter(stays).collect();
        // By now every caller who is told names was told this one.
        let named = only(alive.iter().copied().filter(|call| self.was_named(*call, id, leg)));
        let fresh: Vec<CallNo> = alive.iter().copied().filter(|call| self.is_fresh(*call, invited)).collect();
        // A caller whose phone rings at once would have been answered with this leg by now.
        let settled = fresh.is_empty() || answered.is_some_and(|answered| at.since(answered) >= ANSWER_MICROS);
        let sent =
            || only(alive.iter().copied().filter(|call| self.open.get(call).is_some_and(|open| self.was_sent(*call, open, id, leg))));
        if let Some(call) = named.or_else(|| settled.then(sent).flatten()) {
            return self.join(id, call, Correlation::Numbers, at, out);
        }
        let payers: BTreeSet<Option<E164>> =
            contenders.iter().map(|call| self.open.get(call).and_then(|open| open.caller.number)).collect();
        let one_payer = payers.len() == 1 && !payers.contains(&None);
        match (fresh.as_slice(), alive.as_slice()) {
            (_, []) => {}
            (_, [only]) if one_payer || contenders.len() == 1 => self.guess(id, *only, contenders, at, out),
            ([only], _) if one_payer => self.join(id, *only, Correlation::Numbers, at, out),
            _ if answered.is_none() => {} // rings on: its answer will bring it back here
            _ if one_payer => {
                let longest = alive.iter().copied().find(|call| !self.is_served(*call));
                if let Some(call) = fresh.last().copied().or(longest).or(alive.first().copied()) {
                    self.guess(id, call, contenders, at, out);
                }
            }
            _ => {
                for call in &contenders {
                    if !self.is_served(*call) {
                        self.mark(Some(*call), Mark::Ambiguous);
                    }
                }
                // Its end may tell: see `release`.
                if let Some(leg) = self.legs.get_mut(&id) {
                    leg.candidates = contenders;
                }
            }
        }
    }

    /// The leg serves the likeliest of several calls; its end may tell that it was another's.
    fn guess(&mut self, id: LegId, call: CallNo, contenders: Vec<CallNo>, at: Timestamp, out: &mut Vec<Update>) {
        self.join(id, call, Correlation::Guess, at, out);
        if let Some(leg) = self.legs.get_mut(&id).filter(|_| contenders.len() > 1) {
            leg.candidates = contenders;
        }
    }

    /// A call set up just before a leg, and not answered by the switch: it rings the phone at once.
    fn is_fresh(&self, call: CallNo, invited: Timestamp) -> bool {
        self.open.get(&call).is_some_and(|open| {
            let unanswered = self.legs.get(&open.first).is_some_and(|leg| leg.dialogs.is_empty());
            unanswered && (-EARLY_MICROS..=FRESH_MICROS).contains(&invited.since(open.started_at))
        })
    }
}
