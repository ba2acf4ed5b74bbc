//! One leg: the transactions of its INVITE, and the dialogs that came of it.
//!
//! The one invariant: branch 0 is the leg's own transaction, whichever INVITE of its caller that is by now; dialogs keep
//! their numbers.

use super::Observed;
use super::dialog::{Dialog, Phase};
use super::heard::{Heard, Out};
use super::name::{BranchKey, CallName, Tag};
use crate::sip::event::{BranchId, DialogId, Invitation, LegEventKind, LegId, Side};
use crate::sip::fields::reason;
use crate::sip::method::Method;
use crate::sip::scan::Start;
use crate::units::{Few, RawNumber, Timestamp};
use std::net::SocketAddr;

/// How many branches, and how many dialogs, a leg may have: more is an attack or a loop.
const MANY: usize = 64;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Leg {
    pub id: LegId,
    pub call_id: CallName,
    pub from_tag: Tag,
    /// Who sent the own INVITE: responses that reach it are the leg's own.
    pub source: SocketAddr,
    /// The number of the INVITE that counts.
    pub cseq: u32,
    /// The first is the own one.
    pub branches: Few<Branch>,
    pub dialogs: Few<Dialog>,
    /// The latest message.
    pub last: Timestamp,
    /// Who the caller last said to be.
    pub named: Option<RawNumber>,
    /// When the table looks at this leg again (the table's own note).
    pub wake: Option<Timestamp>,
    /// Whether it stands in the table's list of those to give up (likewise).
    pub listed: bool,
}

/// An INVITE transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Branch {
    pub key: BranchKey,
    pub state: Progress,
}

/// How far an INVITE transaction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// No final response.
    Open,
    /// None either, and its caller gave up.
    Canceled,
    /// The caller is expected to try again: 401, 407 and their like.
    Challenged { status: u16, at: Timestamp },
    /// Told to try elsewhere.
    Redirected,
    /// Failed.
    Refused,
    /// Answered.
    Answered,
}

/// What an INVITE without To tag is to a leg that is there already.
pub(super) enum Again {
    /// Part of it.
    Same(Observed),
    /// Another call under the same names: the old one is over.
    Anew,
}

impl Leg {
    pub fn new(id: LegId, heard: &Heard<'_, '_>, invitation: &Invitation) -> Self {
        let key = heard.branch().unwrap_or_default().as_ref().into();
        Self {
            id,
            call_id: heard.scanned.call_id.into(),
            from_tag: heard.from_tag.into(),
            source: invitation.source,
            cseq: heard.cseq.number,
            branches: std::iter::once(Branch { key, state: Progress::Open }).collect(),
            dialogs: Few::new(),
            last: heard.at,
            named: invitation.asserted.clone().or_else(|| invitation.remote_party.clone()),
            wake: None,
            listed: false,
        }
    }

    /// Who started the transaction of this message; `None` if it is another leg's.
    pub fn side_of(&self, heard: &Heard<'_, '_>) -> Option<Side> {
        if *self.call_id != *heard.scanned.call_id {
            return None;
        }
        match (*self.from_tag == *heard.from_tag, *self.from_tag == *heard.to_tag) {
            (true, _) => Some(Side::Caller),
            (false, true) if !heard.to_tag.is_empty() => Some(Side::Callee),
            (false, _) => None,
        }
    }

    /// How far the own transaction is.
    pub fn own(&self) -> Progress {
        self.branches.first().map_or(Progress::Refused, |own| own.state)
    }

    /// The last sign of life of the side that has been silent longer, while somebody talks; else the last message.
    pub fn last_seen(&self) -> Timestamp {
        let talking = self.dialogs.iter().filter(|dialog| dialog.phase == Phase::Confirmed);
        talking.filter_map(|dialog| dialog.seen.iter().min().copied()).max().unwrap_or(self.last)
    }

    /// Whether somebody answered who has not hung up.
    pub fn talks(&self) -> bool {
        self.dialogs.iter().any(|dialog| dialog.phase == Phase::Confirmed)
    }

    /// Whether nothing is left to happen but repeats.
    pub fn is_over(&self) -> bool {
        let failed = match self.own() {
            Progress::Canceled | Progress::Redirected | Progress::Refused => true,
            Progress::Open | Progress::Challenged { .. } | Progress::Answered => false,
        };
        !self.talks() && (failed || self.dialogs.iter().any(|dialog| dialog.phase == Phase::Ended))
    }

    pub fn has_dialog(&self, far_tag: &[u8]) -> bool {
        self.dialogs.iter().any(|dialog| *dialog.far_tag == *far_tag)
    }

    pub fn branch_of(&self, key: &[u8]) -> Option<BranchId> {
        let place = self.branches.iter().position(|branch| *branch.key == *key)?;
        u16::try_from(place).ok().map(BranchId)
    }

    /// The dialog with this tag, if need be a new early one; `None` when there are too many.
    pub fn dialog(&mut self, heard: &Heard<'_, '_>) -> Option<(DialogId, &mut Dialog)> {
        let known = self.dialogs.iter().position(|dialog| *dialog.far_tag == *heard.far_tag);
        let place = match known {
            Some(place) => place,
            None if self.dialogs.len() < MANY => {
                self.dialogs.push(Dialog::new(heard.far_tag, heard.at));
                self.dialogs.len().saturating_sub(1)
            }
            None => return None,
        };
        Some((DialogId(u16::try_from(place).ok()?), self.dialogs.get_mut(place)?))
    }

    /// Any message but a first INVITE.
    pub fn hear(&mut self, heard: &Heard<'_, '_>, out: &mut Out<'_>) -> Observed {
        self.last = self.last.max(heard.at);
        let known = self.has_dialog(heard.far_tag);
        // A proxy answers 100 and 408 in another's place; and who answers 481 has no part in the dialog.
        if known
            && !matches!(heard.scanned.start, Start::Response(100 | 408 | 481))
            && let Some((_, dialog)) = self.dialog(heard)
        {
            dialog.lives(heard.sender(), heard.at);
        }
        let own = heard.side == Side::Caller && heard.cseq.number == self.cseq;
        match (heard.scanned.start, heard.cseq.method) {
            (Start::Response(status), Method::Invite) if own => self.responded(status, heard, out),
            (Start::Response(_), Method::Cancel | Method::Ack) => Observed::Call,
            (Start::Response(status), _) if known => self.in_dialog(heard, |id, dialog| dialog.answered(id, status, heard, out)),
            (Start::Response(_), Method::Info | Method::Passing) => Observed::NoCall,
            // The response to an INVITE that was sent anew.
            (Start::Response(_), _) => Observed::Duplicate,
            (Start::Request { .. }, Method::Ack) if own => self.acknowledged(heard, out),
            (Start::Request { .. }, Method::Ack) => Observed::Call,
            (Start::Request { .. }, Method::Cancel) => self.canceled(heard, out),
            (Start::Request { .. }, Method::Bye) => self.bye(heard, out),
            (Start::Request { .. }, Method::Invite) => {
                // Only a confirmed dialog is re-INVITEd: its 2xx was missed.
                self.prove_answered(heard, out);
                self.changed(heard, out)
            }
            (Start::Request { .. }, Method::Update | Method::Refer | Method::Info) => self.changed(heard, out),
            (Start::Request { .. }, Method::Passing | Method::Foreign) => Observed::NoCall,
        }
    }

    fn in_dialog(&mut self, heard: &Heard<'_, '_>, then: impl FnOnce(DialogId, &mut Dialog) -> Observed) -> Observed {
        if !self.has_dialog(heard.far_tag) {
            return Observed::UnknownDialog;
        }
        self.dialog(heard).map_or(Observed::TooMany, |(id, dialog)| then(id, dialog))
    }

    /// UPDATE, re-INVITE, REFER, INFO.
    fn changed(&mut self, heard: &Heard<'_, '_>, out: &mut Out<'_>) -> Observed {
        let mut caller = self.named.take();
        let observed = self.in_dialog(heard, |_, dialog| dialog.asked(heard, &mut caller, out));
        self.named = caller;
        observed
    }

    /// An INVITE of the leg's caller without To tag: a repeat, a proxy's copy, another try, or another call.
    pub fn invited_again(&mut self, heard: &Heard<'_, '_>, out: &mut Out<'_>) -> Again {
        let Some(key) = heard.branch() else { return Again::Same(Observed::Duplicate) };
        let known = self.branch_of(&key).is_some();
        let newer = heard.cseq.number > self.cseq;
        if known || heard.cseq.number < self.cseq {
            self.last = self.last.max(heard.at);
            return Again::Same(Observed::Duplicate);
        }
        match (self.own(), newer) {
            // A proxy forks, or tries the next one; whom it asks while the caller has hung up does not matter.
            (Progress::Open | Progress::Answered, false) if !self.is_over() => Again::Same(self.forked(&key, heard, out)),
            // The caller tries again, with a password, a longer session, or where it was sent.
            (Progress::Open | Progress::Challenged { .. } | Progress::Redirected, true) if self.dialogs.iter().all(Dialog::is_idle) => {
                self.try_again(&key, heard);
                Again::Same(Observed::Call)
            }
            // To another server, after the first one failed (RFC 3263 §4.3): CSeq may stay.
            (Progress::Challenged { .. } | Progress::Redirected, false) if heard.message.source == self.source => {
                self.try_again(&key, heard);
                Again::Same(Observed::Call)
            }
            (Progress::Refused, false) if self.is_over() && heard.message.source == self.source => Again::Anew,
            (_, true) if self.is_over() => Again::Anew,
            // A copy that comes too late, or an INVITE outside the dialog of a call that runs.
            (
                Progress::Open
                | Progress::Canceled
                | Progress::Challenged { .. }
                | Progress::Redirected
                | Progress::Refused
                | Progress::Answered,
                _,
            ) => Again::Same(Observed::Duplicate),
        }
    }

    fn forked(&mut self, key: &[u8], heard: &Heard<'_, '_>, out: &mut Out<'_>) -> Observed {
        self.last = self.last.max(heard.at);
        match u16::try_from(self.branches.len()) {
            Ok(place) if self.branches.len() < MANY => {
                self.branches.push(Branch { key: key.into(), state: Progress::Open });
                out.say(heard.at, LegEventKind::Forked { branch: BranchId(place), target: heard.target() });
                Observed::Call
            }
            _ => Observed::TooMany,
        }
    }

    fn try_again(&mut self, key: &[u8], heard: &Heard<'_, '_>) {
        self.last = self.last.max(heard.at);
        self.cseq = heard.cseq.number;
        self.source = heard.message.source;
        if let Some(own) = self.branches.first_mut() {
            *own = Branch { key: key.into(), state: Progress::Open };
        }
    }

    /// CANCEL: only the own transaction's counts, and only before a final response (RFC 3261 §9.1).
    fn canceled(&mut self, heard: &Heard<'_, '_>, out: &mut Out<'_>) -> Observed {
        let place = match heard.branch() {
            Some(key) => self.branch_of(&key),
            // Without a Via, who sent it tells.
            None => (heard.message.source == self.source).then_some(BranchId(0)),
        };
        match (place, self.own()) {
            (Some(BranchId(0)), Progress::Open) => {
                self.set_own(Progress::Canceled);
                out.say(heard.at, LegEventKind::Canceled { reason: reason(heard.scanned) });
                Observed::Call
            }
            // A repeat, or too late: it has no effect.
            (
                Some(BranchId(0)),
                Progress::Canceled | Progress::Challenged { .. } | Progress::Redirected | Progress::Refused | Progress::Answered,
            ) => Observed::Duplicate,
            // A proxy gives one of its own up; the 487 will tell.
            (Some(_) | None, _) => Observed::Call,
        }
    }

    pub fn set_own(&mut self, state: Progress) {
        if let Some(own) = self.branches.first_mut() {
            own.state = state;
        }
    }

    /// BYE, from either side (RFC 3261 §15.1.1): the first one ends the dialog, whatever its answer.
    fn bye(&mut self, heard: &Heard<'_, '_>, out: &mut Out<'_>) -> Observed {
        let talks = self.talks();
        let known = self.has_dialog(heard.far_tag);
        if talks && !known {
            // Of a fork whose answer nobody saw: the call goes on with who answered.
            return Observed::UnknownDialog;
        }
        let Some((id, dialog)) = self.dialog(heard) else { return Observed::TooMany };
        match dialog.phase {
            Phase::Confirmed => dialog.hang_up(Some(id), heard, out),
            // The answer was not seen, or this early dialog was one of several.
            Phase::Early if !talks => dialog.hang_up(None, heard, out),
            Phase::Early => {
                dialog.phase = Phase::Ended;
                Observed::Call
            }
            Phase::Ended => dialog.bye_again(heard, out),
            Phase::Refused => Observed::Duplicate,
        }
    }
}
