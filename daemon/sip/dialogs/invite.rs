//! The responses to a leg's INVITE, and the ACK (RFC 3261 §13.2.2, §17.1.1).
//!
//! The one invariant: only a 2xx to INVITE, or what follows nothing but a 2xx, answers a leg.

use super::Observed;
use super::dialog::Phase;
use super::heard::{Heard, Out};
use super::leg::{Leg, Progress};
use crate::sip::addr::{NameAddr, user_of};
use crate::sip::event::{BranchId, LegEventKind, Side};
use crate::sip::fields::{connected, reason, session_expires};
use crate::sip::scan::Header;

/// What a response to INVITE means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// 100, 199 and unknown ones: nothing.
    Trying,
    /// 180 to 183.
    Ringing,
    /// 2xx.
    Success,
    /// 3xx.
    Redirect,
    /// The caller is expected to ask again at once: a password (401, 407, 494), a longer session (422, RFC 4028 §6), or
    /// an extension left out (421).
    Challenge,
    /// Any other.
    Failure,
}

impl Class {
    const fn of(status: u16) -> Self {
        match status {
            180..=183 => Self::Ringing,
            200..=299 => Self::Success,
            300..=399 => Self::Redirect,
            401 | 407 | 421 | 422 | 494 => Self::Challenge,
            400..=699 => Self::Failure,
            _ => Self::Trying,
        }
    }
}

impl Leg {
    /// A response to the INVITE that counts.
    pub fn responded(&mut self, status: u16, heard: &Heard<'_, '_>, out: &mut Out<'_>) -> Observed {
        let branch = match heard.branch().and_then(|key| self.branch_of(&key)) {
            // Some proxies lose the Via (a real one sent its 487 without any): then the address tells whose it is.
            None if heard.message.destination == self.source => Some(BranchId(0)),
            branch => branch,
        };
        match Class::of(status) {
            Class::Trying => Observed::Call,
            Class::Ringing => self.ringing(branch, heard, out),
            Class::Success => self.accepted(branch, heard, out),
            Class::Redirect | Class::Challenge | Class::Failure => self.failed(branch, status, heard, out),
        }
    }

    fn ringing(&mut self, branch: Option<BranchId>, heard: &Heard<'_, '_>, out: &mut Out<'_>) -> Observed {
        match self.own() {
            Progress::Open | Progress::Canceled | Progress::Answered => {}
            // Late, and of no use.
            Progress::Challenged { .. } | Progress::Redirected | Progress::Refused => return Observed::Duplicate,
        }
        let Some((_, dialog)) = self.dialog(heard) else { return Observed::TooMany };
        if dialog.phase != Phase::Early {
            return Observed::Duplicate;
        }
        dialog.branch = dialog.branch.or(branch.filter(|branch| *branch != BranchId(0)));
        let number = connected(heard.scanned);
        let renamed = number.is_some() && number != dialog.named;
        if dialog.rung && !renamed {
            return Observed::Duplicate;
        }
        dialog.rung = true;
        dialog.named = number.or(dialog.named.take());
        out.say(heard.at, LegEventKind::Ringing { branch: dialog.branch, connected: dialog.named.clone() });
        Observed::Call
    }

    fn accepted(&mut self, branch: Option<BranchId>, heard: &Heard<'_, '_>, out: &mut Out<'_>) -> Observed {
        if let Some(state) = branch.and_then(|BranchId(place)| self.branches.get_mut(usize::from(place))) {
            state.state = Progress::Answered;
        }
        let Some((id, dialog)) = self.dialog(heard) else { return Observed::TooMany };
        match dialog.phase {
            // A failure and a 2xx with one tag: the 2xx counts, since talk is possible.
            Phase::Early | Phase::Refused => {
                dialog.branch = dialog.branch.or(branch);
                dialog.named = connected(heard.scanned).or(dialog.named.take());
                dialog.confirm(heard.at);
                dialog.refresh(session_expires(heard.scanned), heard.at);
                let (branch, connected) = (dialog.branch, dialog.named.clone());
                out.say(heard.at, LegEventKind::Answered { dialog: id, branch, connected });
                Observed::Call
            }
            // Repeated until the ACK comes (§13.3.1.4), and passed on by each proxy, who may have added the timer.
            Phase::Confirmed => {
                if dialog.timer.is_none() && !dialog.acknowledged {
                    dialog.refresh(session_expires(heard.scanned), dialog.answered_at);
                }
                Observed::Duplicate
            }
            Phase::Ended => Observed::Duplicate,
        }
    }

    fn failed(&mut self, branch: Option<BranchId>, status: u16, heard: &Heard<'_, '_>, out: &mut Out<'_>) -> Observed {
        // The ACK to come is to a failure, not to a 2xx.
        if let Some(early) = self.dialogs.iter_mut().find(|dialog| *dialog.far_tag == *heard.far_tag && dialog.phase == Phase::Early) {
            early.phase = Phase::Refused;
        }
        let Some(id) = branch else { return Observed::Call };
        let Some(state) = self.branches.get_mut(usize::from(id.0)) else { return Observed::Call };
        let class = Class::of(status);
        match (state.state, class) {
            (Progress::Open | Progress::Canceled, Class::Challenge) => {
                state.state = Progress::Challenged { status, at: heard.at };
                Observed::Call
            }
            (Progress::Open | Progress::Canceled, Class::Redirect) => {
                state.state = Progress::Redirected;
                let contact = heard.scanned.values(Header::Contact).next().and_then(NameAddr::parse);
                let target = contact.map(|contact| user_of(contact.uri)).filter(|user| !user.as_str().is_empty());
                out.say(heard.at, LegEventKind::Redirected { branch: id, target });
                Observed::Call
            }
            (Progress::Open | Progress::Canceled, Class::Failure) => {
                state.state = Progress::Refused;
                out.say(heard.at, LegEventKind::Refused { branch: id, status, reason: reason(heard.scanned) });
                Observed::Call
            }
            // Repeated until the ACK comes, or after an answer, where it changes nothing.
            (Progress::Challenged { .. } | Progress::Redirected | Progress::Refused | Progress::Answered, _) => Observed::Duplicate,
            // These are no failures.
            (Progress::Open | Progress::Canceled, Class::Trying | Class::Ringing | Class::Success) => Observed::Call,
        }
    }

    /// ACK to the INVITE that counts: to a failure within its transaction, to a 2xx on a branch of its own.
    pub fn acknowledged(&mut self, heard: &Heard<'_, '_>, out: &mut Out<'_>) -> Observed {
        let strange = heard.branch().is_some_and(|key| self.branch_of(&key).is_none());
        // A proxy acknowledges failures on branches nobody may have seen; a 2xx is acknowledged by the caller.
        if strange && heard.message.source.ip() == self.source.ip() {
            self.prove_answered(heard, out);
        }
        match self.dialogs.iter_mut().find(|dialog| *dialog.far_tag == *heard.far_tag) {
            Some(dialog) if !dialog.acknowledged => {
                dialog.acknowledged = true;
                Observed::Call
            }
            Some(_) => Observed::Duplicate,
            None => Observed::Call,
        }
    }

    /// Takes the dialog of this message as answered, now, if its 2xx cannot have been anything else but missed.
    pub fn prove_answered(&mut self, heard: &Heard<'_, '_>, out: &mut Out<'_>) {
        let open = match self.own() {
            Progress::Open | Progress::Canceled | Progress::Answered => true,
            Progress::Challenged { .. } | Progress::Redirected | Progress::Refused => false,
        };
        if !open || heard.far_tag.is_empty() || (heard.side == Side::Callee && !self.has_dialog(heard.far_tag) && self.talks()) {
            return;
        }
        let Some((id, dialog)) = self.dialog(heard) else { return };
        match dialog.phase {
            Phase::Early => {
                dialog.confirm(heard.at);
                let (branch, connected) = (dialog.branch, dialog.named.clone());
                out.say(heard.at, LegEventKind::Answered { dialog: id, branch, connected });
            }
            Phase::Confirmed | Phase::Refused | Phase::Ended => {}
        }
    }
}
