//! How legs and calls end: what a BYE or a silence means, when a call is over, and what becomes of it then.
//!
//! The one invariant: a call is concluded once, and all its legs go with it.

use super::call::{End, Mark};
use super::correlator::Calls;
use super::due::Due;
use super::join::{ANSWER_MICROS, SENT_MICROS};
use super::leg::{CallNo, Leg};
use super::news::{News, Stage, Update};
use super::open::{Kind, Open};
use super::table::Table;
use crate::sip::{DialogId, LegId, Reason, Side};
use crate::units::Timestamp;

/// After the customer's leg is over, how long the others may still say something (an agent's phone that hangs up late; a
/// BYE that is repeated for 32 s and never answered).
const LINGER_MICROS: i64 = 40_000_000;
/// The same once all legs are over.
pub(super) const SETTLE_MICROS: i64 = 1_000_000;
/// A dialog that ends sooner than this after its answer may be one too many of a fork.
const SURPLUS_MICROS: i64 = 2_000_000;

impl Calls {
    pub(super) fn bye(&mut self, id: LegId, dialog: Option<DialogId>, by: Side, reason: Option<Reason>, at: Timestamp) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let call = leg.call;
        match dialog.and_then(|dialog| leg.dialog(dialog)) {
            Some(dialog) => {
                dialog.to.get_or_insert(at.max(dialog.from));
                // A caller ends the surplus dialogs of a fork at once (RFC 3261 §13.2.2.4); who hangs up later ends the call,
                // though the end of a surplus dialog was never seen.
                let was_talk = at.since(dialog.from) > SURPLUS_MICROS;
                if was_talk || leg.dialogs.iter().all(|dialog| dialog.to.is_some()) {
                    if leg.ended_at.is_none() {
                        leg.ended_by = Some(by);
                    }
                    leg.end(at);
                }
            }
            None => {
                leg.end(at);
                self.mark(call, Mark::AnswerUnseen);
            }
        }
        if reason.is_some_and(tells_of_a_loss) {
            self.mark(call, Mark::LostParty);
        }
    }

    /// A BYE that is repeated: until it is known whether anybody heard it, the call is not concluded.
    pub(super) fn await_answer(&mut self, id: LegId, at: Timestamp) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        leg.unanswered = true;
        let Some(call) = leg.call else { return };
        if let Some(open) = self.open.get_mut(&call).filter(|open| open.conclude_at.is_some()) {
            let due = at.plus_micros(LINGER_MICROS);
            open.conclude_at = Some(due);
            self.due.set(due, Due::Conclude(call));
        }
    }

    /// The session timer ran out. A BYE that was seen on the other side comes first (design.md §3): talk ended with it, or,
    /// where there was none, at the last proof of life.
    pub(super) fn expired(&mut self, id: LegId, dialog: DialogId, proof_of_life: Timestamp) {
        let Some(call) = self.legs.get(&id).map(|leg| leg.call) else { return };
        let seen = call.and_then(|call| self.end_beside(call, id)).filter(|seen| *seen >= proof_of_life);
        let at = seen.unwrap_or(proof_of_life);
        let Some(leg) = self.legs.get_mut(&id) else { return };
        if let Some(dialog) = leg.dialog(dialog) {
            dialog.to.get_or_insert(at.max(dialog.from));
        }
        if leg.dialogs.iter().all(|dialog| dialog.to.is_some()) {
            leg.end(at);
        }
        if seen.is_none()
            && let Some(open) = call.and_then(|call| self.open.get_mut(&call)).filter(|open| open.conclude_at.is_none())
        {
            open.end = End::SessionTimer;
        }
        self.mark(call, Mark::LostParty);
    }

    /// When the other side of a leg was seen to end: of the customer's leg, the agents' (once none of them is connected); of
    /// an agent's leg, the customer's.
    fn end_beside(&self, call: CallNo, id: LegId) -> Option<Timestamp> {
        let open = self.open.get(&call)?;
        let customer = open.customer.unwrap_or(open.first);
        if id != customer && open.agents.iter().any(|(leg, _)| *leg == id) {
            return self.legs.get(&customer).filter(|leg| leg.ended_by.is_some())?.ended_at;
        }
        let agents = open.agents.iter().filter(|(leg, _)| *leg != id).filter_map(|(leg, _)| self.legs.get(leg));
        // Who passed the caller on did not end the call, nor did one whose own end was only supposed.
        let mut dialogs = agents
            .flat_map(|leg| leg.dialogs.iter().map(|dialog| dialog.to.filter(|_| dialog.referred_at.is_none() && leg.ended_by.is_some())));
        dialogs.try_fold(None, |latest: Option<Timestamp>, to| Some(latest.max(Some(to?)))).flatten()
    }

    pub(super) fn review_leg(&mut self, id: LegId, at: Timestamp, out: &mut Vec<Update>) {
        if self.legs.get(&id).is_some_and(|leg| leg.named.is_some() && leg.is_over()) {
            self.decide_outside_leg(id, at, out);
        }
        match self.legs.get(&id).map(|leg| (leg.call, leg.is_over())) {
            Some((Some(call), over)) => {
                if over {
                    self.awaits_release(id);
                }
                self.review(call, at, out);
            }
            // A leg of no call, or one that rang in vain while nobody knew whose it was.
            Some((None, true)) => {
                if !self.awaits_release(id) {
                    self.forget_leg(id);
                }
            }
            Some((None, false)) | None => {}
        }
    }

    /// Forgets a leg that belongs to no call.
    pub(super) fn forget_leg(&mut self, id: LegId) {
        if let Some(leg) = self.legs.remove(&id) {
            self.index.wait_no_more(id, &leg);
        }
        self.unmetered.orphans = self.unmetered.orphans.saturating_add(1);
        self.rest();
    }

    /// After something happened: reports the first talk, and sets when the call is concluded.
    pub(super) fn review(&mut self, call: CallNo, at: Timestamp, out: &mut Vec<Update>) {
        self.report(call, at, out);
        self.foresee_end(call, at, out);
        self.note_waiting(call);
    }

    /// Reports the first talk of a call, once. Where one side is answered a moment before the other, talk begins with the
    /// other: what is reported is what a restart goes on from, so that answer is waited for.
    pub(super) fn report(&mut self, call: CallNo, at: Timestamp, out: &mut Vec<Update>) {
        let Self { open, legs, directory, news, due, .. } = self;
        if *news == News::Ends {
            return;
        }
        let first = |open: &&mut Open| !open.reported && open.conclude_at.is_none() && open.kind != Kind::Internal;
        let Some(open) = open.get_mut(&call).filter(first) else { return };
        let Some(from) = open.talks(directory, legs).iter().map(|talk| talk.from).min() else { return };
        let sides = [Some(open.first), open.customer].into_iter().flatten();
        let both = from.plus_micros(ANSWER_MICROS);
        if at < both && sides.filter_map(|leg| legs.get(&leg)).any(|leg| leg.dialogs.is_empty()) {
            return due.set(both, Due::Report(call));
        }
        open.reported = true;
        out.push(Update { stage: Stage::Connected, call: open.call(directory, legs) });
    }

    /// Sets when a call is concluded, once its customer has gone.
    fn foresee_end(&mut self, call: CallNo, at: Timestamp, out: &mut Vec<Update>) {
        let Some(open) = self.open.get(&call) else { return };
        let is_over = |leg: LegId| self.legs.get(&leg).is_none_or(Leg::is_over);
        let agents_over = open.agents.iter().all(|(leg, _)| is_over(*leg));
        // A callback is over with its agents, too: whoever made it, and whoever the customer was passed on to.
        let by_agents = open.kind == Kind::Callback && is_over(open.first) && agents_over;
        let again_over = open.again.iter().all(|leg| is_over(*leg));
        if !again_over || (!by_agents && !is_over(open.customer.unwrap_or(open.first))) {
            return;
        }
        // Who was asked to call somebody else itself may yet do so, and is the same conversation.
        let expected = open.sent_to.as_ref().filter(|_| open.passed_on).map(|(.., sent)| sent.plus_micros(SENT_MICROS));
        let expected = expected.filter(|until| *until > at);
        let all_over = is_over(open.first) && open.customer.is_none_or(is_over) && agents_over && !open.is_unanswered(&self.legs);
        let due = at.plus_micros(if all_over { SETTLE_MICROS } else { LINGER_MICROS }).max(expected.unwrap_or(at));
        if open.conclude_at.is_none_or(|before| due < before) {
            self.due.set(due, Due::Conclude(call));
            let Some(open) = self.open.get_mut(&call) else { return };
            let first = open.conclude_at.replace(due).is_none();
            let wanted = first && self.news == News::Stages && expected.is_none();
            if let Some(open) = self.open.get(&call).filter(|open| wanted && open.kind != Kind::Internal) {
                out.push(Update { stage: Stage::Ended, call: self.call_of(open) });
            }
        }
    }

    /// A leg that ended with a call may turn out to be its own: that is waited for.
    pub(super) fn put_off(&mut self, call: CallNo, at: Timestamp) {
        let due = at.plus_micros(SETTLE_MICROS);
        if let Some(open) = self.open.get_mut(&call).filter(|open| open.conclude_at.is_some_and(|due| due <= at)) {
            open.conclude_at = Some(due);
            self.due.set(due, Due::Conclude(call));
        }
    }

    /// The call is over: says so, and forgets it.
    pub(super) fn conclude(&mut self, number: CallNo, out: &mut Vec<Update>) {
        let Some(mut open) = self.open.remove(&number) else { return };
        open.conclude_at.get_or_insert(open.started_at);
        if open.is_unanswered(&self.legs) {
            open.mark(Mark::LostParty);
        }
        // A callback whose agents hung up is over though the customer's own BYE was never seen.
        let by_us = open.agents.iter().map(|(leg, _)| *leg).chain([open.first]);
        let over = by_us.filter_map(|leg| self.legs.get(&leg)?.ended_at).max();
        if let (Some(customer), Some(over)) = (open.customer.and_then(|leg| self.legs.get_mut(&leg)), over) {
            customer.end(over);
        }
        self.index.remove(number, &open);
        if let Some(first) = self.legs.get(&open.first) {
            self.index.remove_keys(number, &first.keys);
        }
        if open.kind == Kind::Internal {
            self.unmetered.internal = self.unmetered.internal.saturating_add(1);
        } else {
            out.push(Update { stage: Stage::Concluded, call: self.call_of(&open) });
        }
        let others: Vec<LegId> = self.index.take_legs(number, &open, &self.legs);
        for leg in others {
            self.legs.remove(&leg);
            // A leg that ended is kept by its table for the repeats that may follow; one that never did would stay for good.
            if open.marks.contains(&Mark::LostParty) {
                self.dropped.push(leg);
            }
        }
        self.rest();
    }

    /// With nothing under way, nothing falls due.
    fn rest(&mut self) {
        if self.open.is_empty() && self.legs.is_empty() {
            self.due.clear();
        }
    }

    /// When a call has lasted as long as it may.
    pub(super) fn longest(&self, call: CallNo) -> Option<Timestamp> {
        self.open.get(&call).map(|open| open.started_at.plus(open.max_call(&self.directory)))
    }

    /// The longest a call may last has passed: it ended when its customer was last heard of, or with the last BYE that was
    /// seen of its agents, if that was later.
    pub(super) fn give_up(&mut self, number: CallNo, last_seen: &dyn Fn(LegId) -> Option<Timestamp>, out: &mut Vec<Update>) {
        let Some(open) = self.open.get(&number).filter(|open| open.conclude_at.is_none()) else { return };
        let customer = open.customer_now();
        let legs = [open.first, open.customer.unwrap_or(open.first)].into_iter().chain(open.again.iter().copied());
        let legs: Vec<LegId> = legs.chain(open.agents.iter().map(|(leg, _)| *leg)).collect();
        // An end that was seen, of the customer's dialog or of an agent's, is later proof than a message before it.
        let dialogs = || legs.iter().filter_map(|leg| self.legs.get(leg)).flat_map(|leg| &leg.dialogs);
        let released = dialogs().filter_map(|dialog| dialog.to).max();
        let at = [last_seen(customer), released].into_iter().flatten().max().unwrap_or(open.started_at);
        let seen = released == Some(at) && self.end_beside(number, customer) == released;
        for leg in legs {
            if let Some(leg) = self.legs.get_mut(&leg) {
                leg.end(at);
            }
        }
        if let Some(open) = self.open.get_mut(&number).filter(|open| !seen || open.end != End::Observed) {
            open.end = open.end.max(End::Estimated);
        }
        self.mark(Some(number), Mark::LostParty);
        self.review(number, at, out);
    }
}

impl Open {
    /// Whether a BYE is repeated, and nobody has answered it.
    pub fn is_unanswered(&self, legs: &Table<LegId, Leg>) -> bool {
        let own = [Some(self.first), self.customer].into_iter().flatten().chain(self.agents.iter().map(|(leg, _)| *leg));
        own.filter_map(|leg| legs.get(&leg)).any(|leg| leg.unanswered)
    }
}

/// Whether a switch says in its BYE that the other party was gone: no audio (Q.850 44, as Asterisk counts it), a timer that
/// ran out (Q.850 102), a request without answer (SIP 408).
const fn tells_of_a_loss(reason: Reason) -> bool {
    matches!(reason, Reason::Q850(44 | 102) | Reason::Sip(408))
}
