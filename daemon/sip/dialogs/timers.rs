//! What happens to a leg when nothing comes: session timers, BYEs without answer, silence, and the end of its memory.
//!
//! The one invariant: an event carries the time of what it tells, the expiry or the last message, never the time of
//! finding out.

use super::dialog::{Dialog, Phase};
use super::heard::Out;
use super::leg::{Leg, Progress};
use crate::sip::event::{BranchId, DialogId, LegEventKind};
use crate::units::{Seconds, Timestamp};

/// 64·T1 (RFC 3261 §17): how long a request is repeated, and how long a caller may take to try again.
const PATIENCE: Seconds = Seconds::new(32);
/// How long a leg is remembered after its end: the repeats, and a feed that lags behind.
const LINGER: Seconds = Seconds::new(40);
/// How long nothing may be heard of a leg that was not answered.
const SILENCE: Seconds = Seconds::new(1_800);

/// What becomes of a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    Keep,
    Forget,
}

impl Leg {
    /// When something is next due.
    pub fn deadline(&self) -> Option<Timestamp> {
        let own = match self.own() {
            Progress::Challenged { at, .. } => Some(at.plus(PATIENCE)),
            Progress::Open | Progress::Canceled | Progress::Redirected | Progress::Refused | Progress::Answered => None,
        };
        self.dialogs.iter().filter_map(Dialog::deadline).chain(own).chain(self.end_of_memory()).min()
    }

    /// When the leg is forgotten: a while after its end, or when it was set up and nothing came of it.
    fn end_of_memory(&self) -> Option<Timestamp> {
        match (self.is_over(), self.talks()) {
            (true, _) => Some(self.last.plus(LINGER)),
            (false, true) => None,
            (false, false) => Some(self.last.plus(SILENCE)),
        }
    }

    /// Says what was due by `due`.
    pub fn expire(&mut self, due: Timestamp, out: &mut Out<'_>) -> After {
        for (place, dialog) in self.dialogs.iter_mut().enumerate() {
            if let (Some(_), Ok(place)) = (dialog.deadline().filter(|deadline| *deadline <= due), u16::try_from(place)) {
                dialog.expire(DialogId(place), out);
            }
        }
        match self.own() {
            // Nobody tried again: the challenge was the end.
            Progress::Challenged { status, at } if at.plus(PATIENCE) <= due => {
                self.set_own(Progress::Refused);
                if !self.talks() {
                    out.say(at, LegEventKind::Refused { branch: BranchId(0), status, reason: None });
                }
            }
            Progress::Challenged { .. }
            | Progress::Open
            | Progress::Canceled
            | Progress::Redirected
            | Progress::Refused
            | Progress::Answered => {}
        }
        match self.end_of_memory() {
            Some(end) if end <= due => {
                self.give_up(out);
                After::Forget
            }
            Some(_) | None => After::Keep,
        }
    }

    /// Ends a leg of which nothing more will be heard: one that was never answered failed, at its last message.
    pub fn give_up(&mut self, out: &mut Out<'_>) {
        if self.is_over() || self.talks() {
            return;
        }
        let (at, status) = match self.own() {
            Progress::Challenged { status, at } => (at, status),
            Progress::Open | Progress::Canceled | Progress::Redirected | Progress::Refused | Progress::Answered => (self.last, 408),
        };
        self.set_own(Progress::Refused);
        out.say(at, LegEventKind::Refused { branch: BranchId(0), status, reason: None });
    }
}

impl Dialog {
    fn deadline(&self) -> Option<Timestamp> {
        match (self.phase, self.timer, &self.bye) {
            // A party that lives ends the session earlier, by the least of 32 s and a third of the interval (RFC 4028 §10), and
            // that is a BYE. Whoever refreshes may do so until the very end.
            (Phase::Confirmed, timer, _) => {
                let expiry = timer.map(|timer| timer.since.plus(timer.interval));
                expiry.into_iter().chain(self.forgotten_at.map(|at| at.plus(PATIENCE))).min()
            }
            (Phase::Ended, _, Some(bye)) if bye.repeated && !bye.settled => Some(bye.at.plus(PATIENCE)),
            (Phase::Early | Phase::Refused | Phase::Ended, _, _) => None,
        }
    }

    fn expire(&mut self, id: DialogId, out: &mut Out<'_>) {
        let Some(at) = self.deadline() else { return };
        match (self.phase, &mut self.bye) {
            (Phase::Confirmed, _) => {
                self.phase = Phase::Ended;
                // Who is gone is whoever was silent longest; a talk does not end before it began.
                let [caller, callee] = self.seen;
                let proof_of_life = caller.min(callee).max(self.answered_at);
                out.say(at, LegEventKind::Expired { dialog: id, proof_of_life });
            }
            (Phase::Ended, Some(bye)) => {
                bye.settled = true;
                out.say(at, LegEventKind::Gone { dialog: bye.told });
            }
            (Phase::Early | Phase::Refused | Phase::Ended, _) => {}
        }
    }
}
