//! What the dialogs of one leg say, as values: a few events a call, however many messages it took.

use crate::units::{RawNumber, Timestamp};
use std::net::SocketAddr;

/// A leg: one party's Call-ID and From tag. Numbered by the table that found it, and kept in its snapshots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LegId(pub u64);

/// A dialog of a leg: one To tag. Forks make several (RFC 3261 §12, §16.7); numbered from 0 within the leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DialogId(pub u16);

/// An INVITE transaction of a leg: one top Via branch. 0 is the leg's own, the one its caller sent; a proxy adds others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BranchId(pub u16);

/// A side of a dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// Who sent the first INVITE (From, in it).
    Caller,
    /// Who was invited.
    Callee,
}

/// Something that happened on a leg.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegEvent {
    /// The leg.
    pub leg: LegId,
    /// When its message was captured.
    pub at: Timestamp,
    /// What happened.
    pub kind: LegEventKind,
}

/// What happened on a leg. Repeats of a message make no second event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LegEventKind {
    /// The first INVITE. Another INVITE after 401 or 407 (same Call-ID and From tag, higher CSeq) is none.
    Invited(Box<Invitation>),
    /// A proxy sent the INVITE on under a branch of its own, to `target` (the user part of the Request-URI).
    Forked {
        /// The new transaction.
        branch: BranchId,
        /// Whom it is for.
        target: RawNumber,
    },
    /// 180, 181, 182 or 183 (once a dialog): not answered, with or without early media (RFC 3261 §13).
    Ringing {
        /// Who rings, where the answer came on a branch that is not the leg's own.
        branch: Option<BranchId>,
        /// The connected line the response asserts (P-Asserted-Identity, Remote-Party-ID).
        connected: Option<RawNumber>,
    },
    /// The first 2xx to an INVITE with this To tag, or the ACK that proves one nobody saw (RFC 3261 §13.2.2.4).
    Answered {
        /// The dialog it confirms.
        dialog: DialogId,
        /// The transaction it answers; `None` if its branch is not known.
        branch: Option<BranchId>,
        /// The connected line the response asserts.
        connected: Option<RawNumber>,
    },
    /// The other party is named anew in an UPDATE or a re-INVITE (RFC 4916, RFC 5876).
    Connected {
        /// Who asserts it.
        by: Side,
        /// The number named.
        number: RawNumber,
    },
    /// A 3xx: the leg's own transaction, or a proxy's branch, is told to try elsewhere (RFC 3261 §8.1.3.4).
    Redirected {
        /// The transaction.
        branch: BranchId,
        /// The user part of the first Contact.
        target: Option<RawNumber>,
    },
    /// A final failure, 4xx to 6xx, other than 401 and 407. On branch 0 the leg is over, unless a dialog was confirmed.
    Refused {
        /// The transaction.
        branch: BranchId,
        /// The status code.
        status: u16,
        /// Why, if the response says so (RFC 3326).
        reason: Option<Reason>,
    },
    /// CANCEL of the leg's own transaction: its caller gave up. It takes effect only before a final response (§9.1).
    Canceled {
        /// Why, if the request says so.
        reason: Option<Reason>,
    },
    /// A side put the dialog on hold (an offer of sendonly, inactive or c=0.0.0.0 that was accepted; RFC 3264 §8.4).
    Held {
        /// The dialog.
        dialog: DialogId,
        /// Who holds.
        by: Side,
    },
    /// A side took the dialog back.
    Resumed {
        /// The dialog.
        dialog: DialogId,
        /// Who held it.
        by: Side,
    },
    /// A REFER was accepted with a 2xx (RFC 3515): the time is that of the response.
    Referred {
        /// The dialog.
        dialog: DialogId,
        /// Who sent the REFER.
        by: Side,
        /// The user part of Refer-To.
        target: RawNumber,
        /// The dialog to take over (attended transfer, RFC 3891), from Refer-To's escaped `Replaces`.
        replaces: Option<Replaces>,
    },
    /// The first BYE request of a dialog, whatever its answer (RFC 3261 §15.1.1).
    Bye {
        /// The dialog; `None` when its answer was never seen.
        dialog: Option<DialogId>,
        /// Who sent it.
        by: Side,
        /// Why, if it says so.
        reason: Option<Reason>,
    },
    /// A BYE came again, and had no answer yet: 32 s (64·T1) will show whether the other side was still there.
    ByeRepeated {
        /// The dialog; `None` when its answer was never seen.
        dialog: Option<DialogId>,
    },
    /// A BYE that had to be repeated was answered after all.
    ByeAnswered {
        /// The dialog.
        dialog: Option<DialogId>,
    },
    /// The other side was gone: a BYE was repeated for 32 s and never answered (or a proxy answered 408 in its place), or a
    /// request within the dialog was answered 408 or 481 (RFC 3261 §12.2.1.2).
    Gone {
        /// The dialog.
        dialog: Option<DialogId>,
    },
    /// The session timer ran out unrefreshed (RFC 4028 §10), or 32 s after a 408 or 481 in the dialog nobody had hung up.
    /// `at` is the expiry.
    Expired {
        /// The dialog.
        dialog: DialogId,
        /// The last message of the party that is gone: where its talk ends.
        proof_of_life: Timestamp,
    },
}

/// Who is called by whom, as the first INVITE of a leg says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// The Call-ID, as received (case-sensitive, RFC 3261 §20.8).
    pub call_id: Box<[u8]>,
    /// The From tag.
    pub from_tag: Box<[u8]>,
    /// The sender of the first INVITE: decides whether asserted identities count.
    pub source: SocketAddr,
    /// Its receiver.
    pub destination: SocketAddr,
    /// The user part of the Request-URI.
    pub request_user: RawNumber,
    /// The user part of To.
    pub to_user: RawNumber,
    /// From, and whether it says "anonymous".
    pub from: Identity,
    /// The first P-Asserted-Identity that holds a number (RFC 3325).
    pub asserted: Option<RawNumber>,
    /// Remote-Party-ID (draft-ietf-sip-privacy-04).
    pub remote_party: Option<RawNumber>,
    /// What the caller asked to be hidden.
    pub privacy: Privacy,
    /// The value of the configured contract header.
    pub contract: Option<Box<str>>,
    /// Values of the configured leg headers, by their place in the configuration.
    pub leg_keys: Vec<(usize, Box<str>)>,
    /// Whom it was for before it came here, the first one first (History-Info, Diversion).
    pub diverted: Box<[RawNumber]>,
    /// The dialog this INVITE takes over (RFC 3891).
    pub replaces: Option<Replaces>,
    /// The leg of that dialog, if it is known.
    pub takes_over: Option<LegId>,
    /// HEP chunk 0x11 of the message, if there was one: a hint.
    pub correlation: Option<Box<[u8]>>,
}

/// A number as a name-addr gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user part (or tel: number), parameters cut off, escapes decoded.
    pub number: RawNumber,
    /// The address hides its owner: `anonymous@anonymous.invalid`, or a user part `anonymous`, `unknown`, `restricted`, or none.
    pub anonymous: bool,
}

/// Whether a Privacy header, or `privacy=full` in a Remote-Party-ID, asks to hide the identity (RFC 3323, RFC 3325).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privacy {
    /// No such wish (no header, or `none`).
    None,
    /// `id`, `user`, `header` or `session`.
    Withheld,
}

/// A dialog named by another: Replaces (RFC 3891 §3), with the percent escapes of Refer-To decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replaces {
    /// Call-ID.
    pub call_id: Box<[u8]>,
    /// to-tag.
    pub to_tag: Box<[u8]>,
    /// from-tag.
    pub from_tag: Box<[u8]>,
}

/// A Reason header (RFC 3326): the first one that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// `Q.850;cause=16`
    Q850(u16),
    /// `SIP;cause=200`
    Sip(u16),
}
