//! Callers who are passed on: a phone that redirects, an agent who transfers, with or without asking first.
//!
//! The one invariant: a caller who was passed on is still the same call; whoever serves it next joins that.

use super::call::{Correlation, Mark};
use super::correlator::Calls;
use super::join::{only, weaken};
use super::leg::{CallNo, Dialog, Role, is_extension};
use super::news::Update;
use super::open::{Kind, Open};
use crate::sip::{BranchId, DialogId, Invitation, LegId, Replaces, Side};
use crate::units::{RawNumber, Timestamp};

impl Calls {
    /// A phone sends the caller elsewhere (302): the switch's next leg to that number belongs to the same call.
    pub(super) fn redirected(&mut self, id: LegId, branch: BranchId, target: Option<&RawNumber>, at: Timestamp) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        if branch == BranchId(0) && leg.dialogs.is_empty() {
            leg.refused = Some(302);
            leg.end(at);
        }
        let Some((call, target)) = leg.call.zip(target) else { return };
        self.send_on(call, target, at, Mark::Forward);
    }

    fn send_on(&mut self, call: CallNo, target: &RawNumber, at: Timestamp, mark: Mark) {
        if let Some(open) = self.open.get_mut(&call) {
            let number = self.directory.dial_plan.normalize(target.as_bytes());
            open.sent_to = Some((target.clone(), number, at));
            self.index.sent.insert(call, at);
        }
        self.mark(Some(call), mark);
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one event")]
    pub(super) fn referred(
        &mut self,
        id: LegId,
        dialog: DialogId,
        by: Side,
        target: &RawNumber,
        replaces: Option<&Replaces>,
        at: Timestamp,
        out: &mut Vec<Update>,
    ) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let by_agent = leg.is_agents_side(dialog, by);
        let Some(call) = leg.call else {
            // Nobody knows yet whose caller that was: whose the next leg is, will tell.
            if let Some(dialog) = leg.dialog(dialog).filter(|_| by_agent) {
                dialog.referred_at.get_or_insert(at);
                let number = self.directory.dial_plan.normalize(target.as_bytes());
                leg.passed_to = replaces.is_none().then(|| Box::new((target.clone(), number)));
            }
            return;
        };
        if !by_agent {
            self.mark(Some(call), Mark::Transfer);
            return;
        }
        // Through a proxy, the customer itself is asked to call the other, who may be waiting in a consultation.
        let itself = leg.dialog(dialog).is_some_and(|dialog| dialog.answerer.is_some());
        let itself = self.open.get(&call).is_some_and(|open| {
            let first = open.customer.unwrap_or(open.first) == id && open.kind != Kind::Internal;
            (first && itself) || open.again.contains(&id)
        });
        if let Some(open) = self.open.get_mut(&call).filter(|_| itself) {
            open.passed_on = true;
        }
        match replaces {
            Some(_) if itself => self.send_on(call, target, at, Mark::Transfer),
            Some(replaces) => {
                self.mark(Some(call), Mark::Transfer);
                self.adopt(call, replaces, at, out);
            }
            None => {
                let Some(leg) = self.legs.get_mut(&id) else { return };
                if let Some(dialog) = leg.dialog(dialog) {
                    dialog.referred_at.get_or_insert(at);
                }
                self.send_on(call, target, at, Mark::Transfer);
            }
        }
    }

    /// Whether a call's customer was asked to call somebody else itself.
    pub(super) fn passed_on_itself(&self, call: CallNo) -> bool {
        self.open.get(&call).is_some_and(|open| open.passed_on)
    }

    /// The customer calls whom it was passed on to: the same conversation.
    pub(super) fn go_on(&mut self, id: LegId, call: CallNo, at: Timestamp, out: &mut Vec<Update>) {
        let (Some(leg), Some(open)) = (self.legs.get_mut(&id), self.open.get_mut(&call)) else { return };
        leg.call = Some(call);
        open.again.push(id);
        (open.passed_on, open.conclude_at) = (false, None);
        weaken(open, Correlation::Numbers);
        self.review(call, at, out);
    }

    /// The call of which an agent takes over a leg, ringing or connected, by an INVITE with Replaces.
    pub(super) fn picked_up(&mut self, invitation: &Invitation) -> Option<CallNo> {
        let over = self.legs.get(&invitation.takes_over?)?;
        let agents = match over.role {
            Role::ToAgent | Role::Internal | Role::PickUp => true,
            Role::Customer | Role::AgentOut | Role::ToOutside => false,
        };
        let (call, connected) = (over.call?, over.is_connected());
        let metered = self.open.get(&call).is_some_and(|open| open.kind != Kind::Internal && open.conclude_at.is_none());
        if !agents || !metered || !is_extension(&self.directory, &invitation.from.number) {
            return None;
        }
        if connected {
            self.mark(Some(call), Mark::Transfer);
        }
        Some(call)
    }

    /// The one call that a switch sends elsewhere, as it says itself (Diversion, History-Info): it rang the phone that diverted
    /// it, or came for the number that did.
    pub(super) fn diverted_from(&self, diverted: &[RawNumber], among: &[CallNo], invited: Timestamp) -> Option<CallNo> {
        diverted.iter().rev().find_map(|by| {
            let number = self.directory.dial_plan.normalize(by.as_bytes());
            let rang = |open: &Open| {
                let mut legs = open.agents.iter().filter_map(|(leg, _)| self.legs.get(leg));
                legs.any(|leg| leg.target == *by) || (number.is_some() && open.called.1 == number)
            };
            let fits = |call: CallNo, open: &Open| {
                open.kind == Kind::Inbound && self.may_serve(call, invited) && !self.is_served(call) && rang(open)
            };
            if among.is_empty() {
                return self.open.only_where(fits);
            }
            only(among.iter().copied().filter(|call| self.open.get(call).is_some_and(|open| fits(*call, open))))
        })
    }

    /// An attended transfer: the agents of the consultation call go on with the caller.
    fn adopt(&mut self, call: CallNo, replaces: &Replaces, at: Timestamp, out: &mut Vec<Update>) {
        let consulted = self.index.internal().find_map(|number| {
            let open = self.open.get(&number)?;
            let replaced = self.legs.get(&open.first)?.call_id == replaces.call_id;
            replaced.then(|| (number, open.agents.iter().map(|(leg, _)| *leg).collect::<Vec<_>>()))
        });
        if let Some((consulted, agents)) = consulted {
            self.take_over(call, consulted, &agents, at, out);
        }
    }

    /// A consultation by a key code shows no hold: it began when the switch called the other in the agent's name.
    pub(super) fn hold_for(&mut self, consulted: CallNo, call: CallNo) {
        let (Some(consulted), Some(open)) = (self.open.get(&consulted), self.open.get(&call)) else { return };
        let (asked, begun) = (consulted.caller.raw.clone(), consulted.started_at);
        for (id, _) in &open.agents {
            let Some(leg) = self.legs.get_mut(id).filter(|leg| *leg.agent() == asked) else { continue };
            let side = if leg.role == Role::PickUp { Side::Caller } else { Side::Callee };
            let talking = |dialog: &&mut Dialog| dialog.from < begun && dialog.to.is_none_or(|to| to > begun);
            for dialog in leg.dialogs.iter_mut().filter(talking) {
                dialog.holds.push((side, begun, dialog.to));
            }
        }
    }

    /// Legs of an internal call serve another call from now on.
    pub(super) fn take_over(&mut self, call: CallNo, from: CallNo, legs: &[LegId], at: Timestamp, out: &mut Vec<Update>) {
        for leg in legs {
            if let Some(leg) = self.legs.get_mut(leg) {
                leg.call = Some(call);
            }
        }
        if let Some(from) = self.open.get_mut(&from) {
            from.agents.retain(|(leg, _)| !legs.contains(leg));
        }
        if let Some(open) = self.open.get_mut(&call) {
            open.agents.extend(legs.iter().map(|leg| (*leg, Some(at))));
        }
        self.mark(Some(call), Mark::Transfer);
        self.review(call, at, out);
        // Of a consultation whose only leg went over, nothing more is to come.
        if self.open.get(&from).is_some_and(|open| legs.contains(&open.first)) {
            self.conclude(from, out);
        } else {
            self.review(from, at, out);
        }
    }
}
