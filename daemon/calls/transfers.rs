//! Callers who are passed on: a phone that redirects, an agent who transfers, with or without asking first.
//!
//! The one invariant: a caller who was passed on is still the same call; whoever serves it next joins that.

use super::call::Mark;
use super::correlator::Calls;
use super::leg::{CallNo, Role};
use super::news::Update;
use crate::sip::{BranchId, DialogId, LegId, Replaces, Side};
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
            let number = self.directory.dial_plan.normalize(target.as_str().as_bytes());
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
        let by_agent = match leg.role {
            Role::ToAgent => by == Side::Callee,
            Role::AgentOut | Role::Internal => by == Side::Caller,
            Role::Customer | Role::ToOutside => false,
        };
        let Some(call) = leg.call else {
            // Nobody knows yet whose caller that was: whose the next leg is, will tell.
            if let Some(dialog) = leg.dialog(dialog).filter(|_| by_agent) {
                dialog.referred_at.get_or_insert(at);
                let number = self.directory.dial_plan.normalize(target.as_str().as_bytes());
                leg.passed_to = replaces.is_none().then(|| Box::new((target.clone(), number)));
            }
            return;
        };
        if !by_agent {
            self.mark(Some(call), Mark::Transfer);
            return;
        }
        match replaces {
            Some(replaces) => {
                self.mark(Some(call), Mark::Transfer);
                self.adopt(call, replaces, at, out);
            }
            None => {
                if let Some(dialog) = leg.dialog(dialog) {
                    dialog.referred_at.get_or_insert(at);
                }
                self.send_on(call, target, at, Mark::Transfer);
            }
        }
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
