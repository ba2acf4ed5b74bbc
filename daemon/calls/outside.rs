//! Legs to the outside: the customer of a callback, a caller who is forwarded or passed on, a click-to-call.
//!
//! The one invariant: a leg to the outside is a call of its own only when the switch rang an agent first, and shows the
//! customer a hotline's number.

use super::call::{Correlation, Mark};
use super::correlator::Calls;
use super::directory::{Caller, Withheld};
use super::due::Due;
use super::index::Shown;
use super::join::{EARLY_MICROS, LATER_MICROS, weaken};
use super::leg::{CallNo, Leg, Named, Role};
use super::news::Update;
use super::open::Kind;
use crate::sip::{Invitation, LegId};
use crate::units::{RawNumber, Timestamp};

/// A click-to-call rings the customer within this time of the agent's answer.
const CLICK_MICROS: i64 = 5_000_000;

impl Calls {
    /// The switch calls outside: a callback's customer, a transfer, a forward, or a click-to-call.
    pub(super) fn place_outside_leg(&mut self, id: LegId, invitation: &Invitation, at: Timestamp, out: &mut Vec<Update>) {
        if self.explain_outside_leg(id, &invitation.diverted, at, out) {
            return;
        }
        match self.legs.get_mut(&id) {
            // What explains it may be read a moment later.
            Some(leg) if leg.from_number.is_some_and(|number| self.directory.hotline(number).is_some()) => {
                leg.named = Some(Box::new(Named::by(invitation)));
                self.due.set(at.plus_micros(LATER_MICROS), Due::Decide(id));
            }
            Some(_) | None => {
                self.legs.remove(&id);
                self.unmetered.unrelated = self.unmetered.unrelated.saturating_add(1);
            }
        }
    }

    /// Nothing explained a leg to the outside that shows a hotline's number: a click-to-call.
    pub(super) fn decide_outside_leg(&mut self, id: LegId, at: Timestamp, out: &mut Vec<Update>) {
        let Some(named) = self.legs.get_mut(&id).and_then(|leg| leg.named.take()) else { return };
        if !self.explain_outside_leg(id, &[], at, out) {
            self.click_to_call(id, *named, at, out);
        }
    }

    /// Whether a leg to the outside is of a call that is known; then it joins that.
    fn explain_outside_leg(&mut self, id: LegId, diverted: &[RawNumber], at: Timestamp, out: &mut Vec<Update>) -> bool {
        let Some(leg) = self.legs.get(&id) else { return true };
        let (number, invited) = (leg.target_number, leg.invited_at);
        let by_key = self.by_key(leg).and_then(|call| Some((call, self.open.get(&call)?)));
        match by_key {
            Some((call, open)) if open.kind == Kind::Inbound => {
                self.stand_beside(id, call);
                return true;
            }
            Some((call, open)) if open.kind == Kind::Callback && open.customer.is_none() => {
                self.reach_customer(id, call, Correlation::Explicit, at, out);
                return true;
            }
            Some(_) | None => {}
        }
        if let Some(call) = self.sent_to(id, at) {
            if self.passed_on_itself(call) {
                self.go_on(id, call, at, out)
            } else {
                self.stand_beside(id, call)
            }
            return true;
        }
        let Some(leg) = self.legs.get(&id) else { return true };
        let callbacks = number.map(|number| self.index.called(number)).unwrap_or_default();
        let free: Vec<CallNo> = callbacks
            .iter()
            .copied()
            .filter(|call| self.may_serve(*call, invited) && self.open.get(call).is_some_and(|open| open.customer.is_none()))
            .collect();
        if let Some(call) = free.last().copied() {
            let correlation = if free.len() == 1 { Correlation::Numbers } else { Correlation::Guess };
            self.reach_customer(id, call, correlation, at, out);
            return true;
        }
        let callers = leg.from_number.map(|from| self.index.shown(Shown::Number(from))).unwrap_or_default();
        let forwarded = callers.iter().rev().copied().find(|call| self.may_serve(*call, invited));
        let forwarded = forwarded.or_else(|| self.diverted_from(diverted, &[], invited));
        if let Some(call) = forwarded {
            self.mark(Some(call), Mark::Forward);
            self.stand_beside(id, call);
        }
        forwarded.is_some()
    }

    pub(super) fn stand_beside(&mut self, id: LegId, call: CallNo) {
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.call = Some(call);
        }
        self.index.stand_beside(call, id);
    }

    fn reach_customer(&mut self, id: LegId, call: CallNo, correlation: Correlation, at: Timestamp, out: &mut Vec<Update>) {
        let hotline = self.legs.get(&id).and_then(|leg| self.hotline_shown(leg));
        let (Some(leg), Some(open)) = (self.legs.get_mut(&id), self.open.get_mut(&call)) else { return };
        leg.call = Some(call);
        open.customer = Some(id);
        open.hotline = open.hotline.or(hotline);
        self.due.set(open.started_at.plus(open.max_call(&self.directory)), Due::MaxCall(call));
        weaken(open, correlation);
        if correlation == Correlation::Guess {
            self.mark(Some(call), Mark::Guessed);
        }
        self.review(call, at, out);
    }

    /// The place of the hotline whose number a leg shows to a customer.
    fn hotline_shown(&self, leg: &Leg) -> Option<usize> {
        let hotline = self.directory.hotline(leg.from_number?)?;
        self.directory.hotlines.iter().position(|one| std::ptr::eq(one, hotline))
    }

    /// The switch rang an agent first, showing the hotline's number, and now rings the customer.
    fn click_to_call(&mut self, id: LegId, named: Named, at: Timestamp, out: &mut Vec<Update>) {
        let Some(leg) = self.legs.get(&id) else { return };
        let Some(hotline) = self.hotline_shown(leg) else { return };
        let lifted = self.legs.last_where(|other| {
            other.role == Role::ToAgent
                && other.call.is_none()
                && other.from_number == leg.from_number
                && other.answered_at().is_some_and(|answered| (-EARLY_MICROS..CLICK_MICROS).contains(&leg.invited_at.since(answered)))
        });
        let agent = lifted.map(|(id, leg)| (id, leg.target.clone(), leg.invited_at));
        let called = (leg.target.clone(), leg.target_number);
        let raw = agent.as_ref().map_or_else(|| RawNumber::from_bytes(b""), |(_, agent, _)| agent.clone());
        let caller = Caller { raw, number: None, withheld: Withheld::No };
        let Some(leg) = self.legs.remove(&id) else { return };
        let call = self.start(Kind::Callback, id, leg, named, caller, called, Some(hotline));
        self.mark(Some(call), Mark::ClickToCall);
        if let Some((first, _, invited_at)) = agent {
            if let Some(leg) = self.legs.get_mut(&first) {
                leg.call = Some(call);
                leg.candidates.clear();
                self.index.wait_no_more(first, leg);
            }
            if let Some(open) = self.open.get_mut(&call) {
                (open.first, open.customer, open.correlation) = (first, Some(id), Correlation::Numbers);
                open.started_at = invited_at;
                self.due.set(open.started_at.plus(open.max_call(&self.directory)), Due::MaxCall(call));
            }
        }
        self.review(call, at, out);
    }
}
