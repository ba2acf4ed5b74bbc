//! Whose leg it was, by how it ended: a switch that ends one side of a call ends the other at once.
//!
//! For legs that numbers, names and answers could not place: callers who hide their number look all alike; and for legs that
//! were given to the likeliest of several calls of one number. Hold is no such evidence: a switch plays music to the caller
//! and tells nothing of it on that leg.
//!
//! The one invariant: a leg is given to a caller only if it can be no other's. The caller was released together with it, as
//! a switch does that: whoever hung up first, the BYE on the other leg is the switch's own. Neither the caller nor the leg has
//! another partner, and all others who waited when the leg was answered are accounted for: they were with another agent
//! meanwhile, or left, and were seen to, at another time. A caller whose BYE was lost is not, and keeps the leg undecided.

use super::call::{Correlation, Mark};
use super::correlator::Calls;
use super::due::Due;
use super::index::Shown;
use super::join::{EARLY_MICROS, SENT_MICROS};
use super::leg::{CallNo, Leg};
use super::news::Update;
use crate::sip::{LegId, Side};
use crate::units::Timestamp;

/// Both legs of a call end within this time. A switch takes milliseconds, a busy one tens of them; its own BYE is seen beside
/// it at once, though it were lost later and repeated (after T1 = 500 ms, RFC 3261 §17.1.2.2). The longer this time, the more
/// strangers end in it, and the less is decided.
const TOGETHER_MICROS: i64 = 200_000;
/// How often it is looked whether the others are accounted for.
const LOOK_MICROS: i64 = 1_000_000;
/// How long they may take: as long as callers wait in a queue.
const PATIENCE_MICROS: i64 = 600_000_000;

/// How the end of a caller's leg and of an agent's relate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ends {
    /// As a switch ends both.
    Together,
    /// At about the same time, but not so; or nobody saw when.
    Unclear,
    /// At different times.
    Apart,
}

/// Whether others who may be a leg's can still be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// They may.
    Yes,
    /// Nothing more is to come.
    No,
}

impl Calls {
    /// A leg that belongs to nobody yet has ended: whether it may still find its caller. Then it is looked at in a moment.
    pub(super) fn awaits_release(&mut self, id: LegId) -> bool {
        let Some(leg) = self.legs.get(&id) else { return false };
        let (Some(ended), Some(_), Some(_)) = (leg.ended_at, leg.ended_by, leg.answered_at()) else { return false };
        let came_back = leg.dialogs.iter().any(|dialog| !dialog.away.is_empty());
        let passed_on = leg.dialogs.iter().any(|dialog| dialog.referred_at.is_some());
        if leg.candidates.is_empty() || came_back || (passed_on && leg.passed_to.is_none()) {
            return false;
        }
        self.due.set(ended.plus_micros(TOGETHER_MICROS), Due::Released(id));
        true
    }

    /// Whether a call may yet turn out to have had a leg that ended with it, or to have lost one that goes on.
    pub(super) fn awaits_leg(&self, call: CallNo) -> bool {
        let Some(open) = self.open.get(&call) else { return false };
        let doubted = |leg: &Leg| !leg.is_over() && leg.candidates.iter().any(|other| *other != call && self.is_unserved(*other));
        let mut agents = open.agents.iter().filter_map(|(leg, _)| self.legs.get(leg));
        let mut undecided = self.index.undecided(call, open, &self.legs);
        agents.any(doubted) || undecided.any(|(id, leg)| self.partner(call, id, leg) == Some(Ends::Together))
    }

    fn is_unserved(&self, call: CallNo) -> bool {
        self.open.get(&call).is_some_and(|open| open.waits)
    }

    /// A leg of which it is not certain whose it was ended a moment ago: gives it to the one caller who was released with it.
    pub(super) fn released(&mut self, id: LegId, at: Timestamp, wait: Wait, out: &mut Vec<Update>) {
        let Some(leg) = self.legs.get(&id) else { return };
        let Some(ended) = leg.ended_at else { return };
        if leg.passed_to.is_some() {
            return self.passed_on_leg(id, at, wait);
        }
        let partners = leg.candidates.iter().filter_map(|call| Some((*call, self.partner(*call, id, leg)?)));
        let near: Vec<(CallNo, Ends)> = partners.filter(|(_, ends)| *ends != Ends::Apart).collect();
        if leg.call.is_some() {
            return self.correct(id, &near, at, out);
        }
        let &[(call, Ends::Together)] = near.as_slice() else { return self.stay_undecided(id, &near) };
        if self.has_rival(call, id) {
            return self.stay_undecided(id, &near);
        }
        let certain = self.customer(call).and_then(|leg| leg.ended_at).map_or(ended, |gone| gone.max(ended)).plus_micros(TOGETHER_MICROS);
        let mut others = leg.candidates.iter().filter(|other| **other != call);
        let others_wait = others.any(|other| self.partner(*other, id, leg).is_none() && self.may_be(*other, id, leg));
        match (wait, others_wait) {
            (Wait::Yes, _) if at < certain => self.due.set(certain, Due::Released(id)),
            (Wait::Yes, true) if at < ended.plus_micros(PATIENCE_MICROS) => self.due.set(at.plus_micros(LOOK_MICROS), Due::Released(id)),
            (_, true) => self.stay_undecided(id, &[]),
            (_, false) => {
                let others = leg.candidates.clone();
                self.join(id, call, Correlation::Guess, at, out);
                self.doubt_no_more(&others);
            }
        }
    }

    /// Whether another leg that belongs to nobody ended with a call, too.
    fn has_rival(&self, call: CallNo, id: LegId) -> bool {
        self.open.get(&call).is_some_and(|open| {
            let mut others = self.index.undecided(call, open, &self.legs).filter(|(other, _)| *other != id);
            others.any(|(other, leg)| matches!(self.partner(call, other, leg), Some(Ends::Together | Ends::Unclear)))
        })
    }

    /// A leg was given to the likeliest of several calls of one caller, and ended with another of them: it was that one's.
    fn correct(&mut self, id: LegId, near: &[(CallNo, Ends)], at: Timestamp, out: &mut Vec<Update>) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        leg.candidates.clear();
        let (Some(guessed), &[(call, Ends::Together)]) = (leg.call, near) else { return };
        if call != guessed
            && let Some(open) = self.open.get_mut(&guessed)
        {
            open.agents.retain(|(leg, _)| *leg != id);
            self.review(guessed, at, out);
            self.join(id, call, Correlation::Guess, at, out);
        }
    }

    /// The one leg that belongs to nobody whose agent passed a caller on to where this leg goes, a moment ago.
    pub(super) fn passed_on_by(&self, leg: &Leg, at: Timestamp) -> Option<LegId> {
        let legs = self.index.undecided_of(Shown::by(leg)).iter().filter_map(|id| Some((*id, self.legs.get(id)?)));
        let mut passed = legs.filter(|(_, other)| {
            let to = other.passed_to.as_deref().is_some_and(|(to, of)| *to == leg.target || (of.is_some() && *of == leg.target_number));
            let when = other.dialogs.iter().filter_map(|dialog| dialog.referred_at).max();
            to && when.is_some_and(|when| (-EARLY_MICROS..SENT_MICROS).contains(&at.since(when)))
        });
        let (first, _) = passed.next()?;
        let followed = |id: &LegId| self.legs.get(id).is_some_and(|other| other.follows == Some(first));
        (passed.next().is_none() && !self.index.undecided_of(Shown::by(leg)).iter().any(followed)).then_some(first)
    }

    /// Whose the leg is that a caller was passed on to is known: so it is of the leg before.
    pub(super) fn join_before(&mut self, before: Option<LegId>, call: CallNo, at: Timestamp, out: &mut Vec<Update>) {
        let leg = before.and_then(|id| Some((id, self.legs.get(&id)?)));
        let Some((id, leg)) = leg.filter(|(_, leg)| leg.call.is_none() && leg.candidates.contains(&call)) else { return };
        let others = leg.candidates.clone();
        self.join(id, call, Correlation::Guess, at, out);
        self.doubt_no_more(&others);
    }

    /// A leg whose agent passed the caller on waits for what becomes of the one that follows it.
    fn passed_on_leg(&mut self, id: LegId, at: Timestamp, wait: Wait) {
        let Some(leg) = self.legs.get(&id).filter(|leg| leg.call.is_none()) else { return };
        let followed =
            self.index.undecided_of(Shown::by(leg)).iter().any(|other| self.legs.get(other).is_some_and(|leg| leg.follows == Some(id)));
        let soon = leg.ended_at.is_some_and(|ended| at < ended.plus_micros(SENT_MICROS));
        match wait {
            Wait::Yes if followed || soon => self.due.set(at.plus_micros(LOOK_MICROS), Due::Released(id)),
            Wait::No if followed => {}
            Wait::Yes | Wait::No => self.stay_undecided(id, &[]),
        }
    }

    /// Nothing tells whose a leg was. Who ended near it can be no other leg's either: that one might be this one's.
    fn stay_undecided(&mut self, id: LegId, near: &[(CallNo, Ends)]) {
        for (call, _) in near {
            let customer = self.open.get(call).map(|open| open.customer.unwrap_or(open.first));
            if let Some(customer) = customer.and_then(|leg| self.legs.get_mut(&leg)) {
                customer.ended_by = None;
            }
        }
        let Some(leg) = self.legs.get(&id) else { return };
        let others: Vec<CallNo> = leg.candidates.iter().copied().filter(|call| !self.may_be(*call, id, leg)).collect();
        self.forget_leg(id);
        self.doubt_no_more(&others);
    }

    /// Calls that a leg turned out not to be of: unless another may be theirs, nothing about them is ambiguous.
    pub(super) fn doubt_no_more(&mut self, calls: &[CallNo]) {
        for call in calls {
            let Some(open) = self.open.get(call) else { continue };
            let doubtful = self.index.undecided(*call, open, &self.legs).any(|(_, leg)| leg.answered_at().is_some());
            if let Some(open) = self.open.get_mut(call).filter(|_| !doubtful) {
                open.marks.retain(|mark| *mark != Mark::Ambiguous);
            }
        }
    }

    fn customer(&self, call: CallNo) -> Option<&Leg> {
        let open = self.open.get(&call)?;
        self.legs.get(&open.customer.unwrap_or(open.first))
    }

    /// How a caller who may have been a leg's ended; `None` while the caller is there, or was with another.
    fn partner(&self, call: CallNo, id: LegId, leg: &Leg) -> Option<Ends> {
        let (customer, ended) = (self.customer(call)?, leg.ended_at?);
        let gone = customer.ended_at?;
        if !self.may_be(call, id, leg) {
            return None;
        }
        let (after, before) = (gone.since(ended), ended.since(gone));
        let follows = |micros: i64| (-EARLY_MICROS..=TOGETHER_MICROS).contains(&micros);
        let Some((caller, agent)) = customer.ended_by.zip(leg.ended_by) else { return Some(Ends::Unclear) };
        Some(match (caller, agent) {
            // The switch is the called side of the caller's leg, and the calling side of the agent's.
            (Side::Caller, Side::Caller) if follows(before) => Ends::Together,
            (Side::Callee, Side::Callee) if follows(after) => Ends::Together,
            (Side::Callee, Side::Caller) if follows(before) || follows(after) => Ends::Together,
            _ if gone.since(ended).abs() <= TOGETHER_MICROS => Ends::Unclear,
            _ => Ends::Apart,
        })
    }

    /// Whether a caller may have been with an agent on this leg: was answered, and with no other agent meanwhile.
    fn may_be(&self, call: CallNo, id: LegId, leg: &Leg) -> bool {
        let (Some(open), Some(customer)) = (self.open.get(&call), self.customer(call)) else { return false };
        let (Some(from), Some(to)) = (leg.answered_at(), leg.ended_at) else { return false };
        let answered = customer.answered_at().is_some_and(|answered| answered < to);
        let others = open.agents.iter().filter(|(other, _)| *other != id);
        let mut times = others.filter_map(|(other, since)| Some((self.legs.get(other)?, *since))).flat_map(|(other, since)| {
            other.dialogs.iter().map(move |dialog| {
                let end = [dialog.to, dialog.referred_at].into_iter().flatten().min();
                (since.map_or(dialog.from, |since| since.max(dialog.from)), end)
            })
        });
        let elsewhere = times.any(|(begun, end)| begun < to && end.is_none_or(|end| end > from));
        answered && !elsewhere
    }
}
