//! One dialog: its life from the first tag to the BYE, and the transactions within (RFC 3261 §12, §14, §15).
//!
//! The one invariant: a request counts once, by its side, CSeq and method; what it changes takes effect with its 2xx.

use super::Observed;
use super::heard::{Heard, Out};
use super::name::{BranchKey, Tag};
use crate::sip::addr::refer_to;
use crate::sip::event::{BranchId, DialogId, LegEventKind, Replaces, Side};
use crate::sip::fields::{connected, reason, session_expires};
use crate::sip::method::Method;
use crate::sip::scan::Header;
use crate::sip::sdp::{Flow, flow};
use crate::units::{RawNumber, Seconds, Timestamp};

/// How many transactions of a dialog are remembered; older ones are not repeated any more.
const REMEMBERED: usize = 8;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dialog {
    /// The callee's tag; empty for a peer that gives none.
    pub far_tag: Tag,
    /// The branch that made it, where it is known.
    pub branch: Option<BranchId>,
    pub phase: Phase,
    /// Whether Ringing was said.
    pub rung: bool,
    /// Whether an ACK was seen.
    pub acknowledged: bool,
    /// When it was answered; before that, when it was first heard of.
    pub answered_at: Timestamp,
    /// Who the callee last said to be.
    pub named: Option<RawNumber>,
    /// The last message of the caller, and of the callee.
    pub seen: [Timestamp; 2],
    /// Whether the caller holds, and the callee.
    pub held: [bool; 2],
    pub timer: Option<Timer>,
    /// When one side answered 408 or 481, and so knows nothing of the dialog any more.
    pub forgotten_at: Option<Timestamp>,
    pub transactions: Vec<Transaction>,
    /// Boxed: most dialogs in the table talk, and have none yet.
    pub bye: Option<Box<Bye>>,
}

/// Where a dialog stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// A tag, no final response.
    Early,
    /// Answered.
    Confirmed,
    /// Its final response was a failure.
    Refused,
    /// Over.
    Ended,
}

/// A session timer (RFC 4028).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timer {
    pub interval: Seconds,
    /// The last refresh.
    pub since: Timestamp,
}

/// A request within a dialog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Transaction {
    pub side: Side,
    pub cseq: u32,
    pub ask: Ask,
    /// Whether its final response was seen.
    pub done: bool,
}

/// What a request within a dialog asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// re-INVITE.
    Invite(Offer),
    /// UPDATE.
    Update(Offer),
    /// REFER, with what it says; `None` if that cannot be read.
    Refer(Option<Box<(RawNumber, Option<Replaces>)>>),
    /// INFO.
    Info,
}

/// The offer a request carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offer {
    /// None: the 2xx may hold one.
    Absent,
    /// One that says nothing about hold, or cannot be read whole.
    Unclear,
    /// One.
    Says(Flow),
}

/// The BYE that ended a dialog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bye {
    pub at: Timestamp,
    pub by: Side,
    pub branch: BranchKey,
    /// Of a copy that a proxy sent on: the latest one's branch.
    pub copy: Option<Box<[u8]>>,
    /// As which dialog its end was told.
    pub told: Option<DialogId>,
    /// Whether it came again.
    pub repeated: bool,
    /// Whether nothing is awaited any more.
    pub settled: bool,
}

const fn place(side: Side) -> usize {
    match side {
        Side::Caller => 0,
        Side::Callee => 1,
    }
}

const fn other(side: Side) -> Side {
    match side {
        Side::Caller => Side::Callee,
        Side::Callee => Side::Caller,
    }
}

impl Offer {
    fn of(body: Option<&[u8]>) -> Self {
        match body {
            Some([]) => Self::Absent,
            Some(body) => flow(body).map_or(Self::Unclear, Self::Says),
            None => Self::Unclear,
        }
    }
}

impl Ask {
    fn of(heard: &Heard<'_, '_>) -> Option<Self> {
        match heard.cseq.method {
            Method::Invite => Some(Self::Invite(Offer::of(heard.scanned.body))),
            Method::Update => Some(Self::Update(Offer::of(heard.scanned.body))),
            Method::Refer => Some(Self::Refer(heard.scanned.first(Header::ReferTo).and_then(refer_to).map(Box::new))),
            Method::Info => Some(Self::Info),
            Method::Ack | Method::Bye | Method::Cancel | Method::Passing | Method::Foreign => None,
        }
    }

    const fn method(&self) -> Method {
        match self {
            Self::Invite(_) => Method::Invite,
            Self::Update(_) => Method::Update,
            Self::Refer(_) => Method::Refer,
            Self::Info => Method::Info,
        }
    }
}

impl Dialog {
    pub fn new(far_tag: &[u8], at: Timestamp) -> Self {
        Self {
            far_tag: far_tag.into(),
            branch: None,
            phase: Phase::Early,
            rung: false,
            acknowledged: false,
            answered_at: at,
            named: None,
            seen: [at; 2],
            held: [false; 2],
            timer: None,
            forgotten_at: None,
            transactions: Vec::new(),
            bye: None,
        }
    }

    /// Whether it never came to an answer.
    pub fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Early | Phase::Refused)
    }

    /// A sign of life.
    pub fn lives(&mut self, side: Side, at: Timestamp) {
        if let Some(seen) = self.seen.get_mut(place(side)) {
            *seen = at.max(*seen);
        }
    }

    pub fn confirm(&mut self, at: Timestamp) {
        self.phase = Phase::Confirmed;
        self.answered_at = at;
    }

    /// A 2xx sets the timer, or switches it off (RFC 4028 §7.2).
    pub fn refresh(&mut self, interval: Option<Seconds>, at: Timestamp) {
        let since = self.timer.map_or(at, |timer| timer.since.max(at));
        self.timer = interval.map(|interval| Timer { interval, since });
    }

    /// A request other than BYE.
    pub fn asked(&mut self, heard: &Heard<'_, '_>, caller: &mut Option<RawNumber>, out: &mut Out<'_>) -> Observed {
        let same =
            |known: &Transaction| known.side == heard.side && known.cseq == heard.cseq.number && known.ask.method() == heard.cseq.method;
        if !matches!(self.phase, Phase::Early | Phase::Confirmed) || self.transactions.iter().any(same) {
            return Observed::Duplicate;
        }
        let Some(ask) = Ask::of(heard) else { return Observed::Call };
        if matches!(ask, Ask::Invite(_) | Ask::Update(_)) {
            let named = match heard.side {
                Side::Caller => caller,
                Side::Callee => &mut self.named,
            };
            let number = connected(heard.scanned);
            if let Some(number) = number.filter(|number| named.as_ref() != Some(number)) {
                *named = Some(number.clone());
                out.say(heard.at, LegEventKind::Connected { by: heard.side, number });
            }
        }
        if self.transactions.len() >= REMEMBERED {
            self.transactions.remove(0);
        }
        self.transactions.push(Transaction { side: heard.side, cseq: heard.cseq.number, ask, done: false });
        Observed::Call
    }

    /// A response to a request within the dialog.
    pub fn answered(&mut self, id: DialogId, status: u16, heard: &Heard<'_, '_>, out: &mut Out<'_>) -> Observed {
        if status < 200 {
            return Observed::Call;
        }
        if heard.cseq.method == Method::Bye {
            return self.bye_answered(status, heard, out);
        }
        if heard.cseq.method == Method::Passing {
            return Observed::NoCall;
        }
        let open = self.transactions.iter_mut().find(|known| {
            !known.done && known.side == heard.side && known.cseq == heard.cseq.number && known.ask.method() == heard.cseq.method
        });
        let Some(open) = open else {
            // To a request that is still to be read, or was never captured.
            let mut earlier = self.transactions.iter().filter(|known| known.side == heard.side);
            let early = self.phase == Phase::Confirmed && earlier.all(|known| known.cseq < heard.cseq.number);
            return if early { Observed::UnknownDialog } else { Observed::Duplicate };
        };
        open.done = true;
        let ask = open.ask.clone();
        match (self.phase, ask, status) {
            // Nothing changes what is over.
            (Phase::Ended | Phase::Refused, _, _) => Observed::Duplicate,
            (Phase::Confirmed, Ask::Invite(offer) | Ask::Update(offer), 200..=299) => {
                self.refresh(session_expires(heard.scanned), heard.at);
                self.forgotten_at = None;
                self.agreed(id, offer, heard, out);
                Observed::Call
            }
            (Phase::Confirmed, Ask::Refer(Some(refer)), 200..=299) => {
                let (target, replaces) = *refer;
                out.say(heard.at, LegEventKind::Referred { dialog: id, by: heard.side, target, replaces });
                Observed::Call
            }
            // The other side knows nothing of the dialog any more (RFC 3261 §12.2.1.2): whoever asked hangs up now, and the
            // BYE tells when. A 481 to REFER may be about the dialog to take over, and ends nothing.
            (Phase::Confirmed, Ask::Invite(_) | Ask::Update(_) | Ask::Info, 408 | 481) => {
                self.forgotten_at.get_or_insert(heard.at);
                out.say(heard.at, LegEventKind::Gone { dialog: Some(id) });
                Observed::Call
            }
            // Refused, or without meaning for a meter: all stays as it is (§14.1). Before the answer, no timer runs and
            // nobody holds.
            (Phase::Early | Phase::Confirmed, Ask::Invite(_) | Ask::Update(_) | Ask::Refer(_) | Ask::Info, _) => Observed::Call,
        }
    }

    /// An accepted offer: whoever made it holds now, or does not.
    fn agreed(&mut self, id: DialogId, offer: Offer, heard: &Heard<'_, '_>, out: &mut Out<'_>) {
        let (by, offer) = match offer {
            Offer::Absent => (other(heard.side), Offer::of(heard.scanned.body)),
            Offer::Unclear | Offer::Says(_) => (heard.side, offer),
        };
        let Some(held) = self.held.get_mut(place(by)) else { return };
        match (*held, offer) {
            (false, Offer::Says(Flow::Held)) => {
                *held = true;
                out.say(heard.at, LegEventKind::Held { dialog: id, by });
            }
            (true, Offer::Says(Flow::Open)) => {
                *held = false;
                out.say(heard.at, LegEventKind::Resumed { dialog: id, by });
            }
            (_, Offer::Absent | Offer::Unclear) | (true, Offer::Says(Flow::Held)) | (false, Offer::Says(Flow::Open)) => {}
        }
    }

    /// The first BYE.
    pub fn hang_up(&mut self, told: Option<DialogId>, heard: &Heard<'_, '_>, out: &mut Out<'_>) -> Observed {
        self.phase = Phase::Ended;
        let branch = heard.branch().unwrap_or_default().as_ref().into();
        self.bye = Some(Box::new(Bye { at: heard.at, by: heard.side, branch, copy: None, told, repeated: false, settled: false }));
        out.say(heard.at, LegEventKind::Bye { dialog: told, by: heard.side, reason: reason(heard.scanned) });
        Observed::Call
    }

    /// Another BYE: the same again, a proxy's copy, or the other side's own, which shows that it lives.
    pub fn bye_again(&mut self, heard: &Heard<'_, '_>, out: &mut Out<'_>) -> Observed {
        let Some(bye) = self.bye.as_mut().filter(|bye| !bye.settled) else { return Observed::Duplicate };
        if bye.by != heard.side {
            bye.settle(heard.at, out);
        } else if let Some(branch) = heard.branch().filter(|_| !bye.repeated) {
            if *bye.branch == *branch || bye.copy.as_deref() == Some(&*branch) {
                bye.repeated = true;
                out.say(heard.at, LegEventKind::ByeRepeated { dialog: bye.told });
            } else {
                bye.copy = Some(branch.as_ref().into());
            }
        }
        Observed::Duplicate
    }

    fn bye_answered(&mut self, status: u16, heard: &Heard<'_, '_>, out: &mut Out<'_>) -> Observed {
        match &mut self.bye {
            // A proxy gave up in the other side's place.
            Some(bye) if !bye.settled && status == 408 => {
                bye.settled = true;
                out.say(heard.at, LegEventKind::Gone { dialog: bye.told });
                Observed::Call
            }
            Some(bye) if !bye.settled => {
                bye.settle(heard.at, out);
                Observed::Call
            }
            Some(_) | None => Observed::Duplicate,
        }
    }
}

impl Bye {
    /// The other side was there, and has heard it.
    fn settle(&mut self, at: Timestamp, out: &mut Out<'_>) {
        self.settled = true;
        if self.repeated {
            out.say(at, LegEventKind::ByeAnswered { dialog: self.told });
        }
    }
}
