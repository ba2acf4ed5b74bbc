//! One message of a call, as a leg hears it; and the invitation a first INVITE is.

use super::Options;
use crate::sip::addr::{NameAddr, identity, replaces, user_of};
use crate::sip::event::{Invitation, LegEvent, LegEventKind, LegId, Side};
use crate::sip::fields::{asserted, branch_key, diverted, leg_key, privacy, remote_party};
use crate::sip::method::Method;
use crate::sip::scan::{CSeq, Header, Scanned, Start};
use crate::units::{Message, RawNumber, Timestamp};
use std::borrow::Cow;

/// The longest Call-ID, tag or branch that is kept, and the longest value of a configured header: real ones have tens of
/// bytes, and a table full of longer ones would have no bound worth the name.
const LONGEST_NAME: usize = 1_024;
const LONGEST_VALUE: usize = 256;

/// A message with what every step needs of it.
pub(super) struct Heard<'m, 'a> {
    pub message: &'m Message<'a>,
    pub scanned: &'m Scanned<'a>,
    pub at: Timestamp,
    pub cseq: CSeq,
    pub from_tag: &'a [u8],
    /// Empty if there is none.
    pub to_tag: &'a [u8],
    /// The side that sent the request, of a response too.
    pub side: Side,
    /// The callee's tag: the one that is not the leg's own.
    pub far_tag: &'a [u8],
}

impl<'m, 'a> Heard<'m, 'a> {
    /// `None` where From, To or CSeq is missing, or a name is too long to keep.
    pub fn new(message: &'m Message<'a>, scanned: &'m Scanned<'a>) -> Option<Self> {
        let tag = |header| Some(NameAddr::parse(scanned.first(header)?)?.tag().unwrap_or_default());
        let (from_tag, to_tag) = (tag(Header::From)?, tag(Header::To)?);
        let (at, cseq) = (message.captured_at, scanned.cseq?);
        if [scanned.call_id, from_tag, to_tag].iter().any(|name| name.len() > LONGEST_NAME) {
            return None;
        }
        Some(Self { message, scanned, at, cseq, from_tag, to_tag, side: Side::Caller, far_tag: to_tag })
    }

    pub fn set_side(&mut self, side: Side) {
        self.side = side;
        self.far_tag = match side {
            Side::Caller => self.to_tag,
            Side::Callee => self.from_tag,
        };
    }

    /// Who sent this very message.
    pub fn sender(&self) -> Side {
        match (self.scanned.start, self.side) {
            (Start::Request { .. }, side) => side,
            (Start::Response(_), Side::Caller) => Side::Callee,
            (Start::Response(_), Side::Callee) => Side::Caller,
        }
    }

    pub fn is_first_invite(&self) -> bool {
        matches!(self.scanned.start, Start::Request { method: Method::Invite, .. }) && self.to_tag.is_empty()
    }

    /// The transaction's key, of the top Via.
    pub fn branch(&self) -> Option<Cow<'a, [u8]>> {
        branch_key(self.scanned, self.cseq).filter(|key| key.len() <= LONGEST_NAME)
    }

    /// The user part of the Request-URI.
    pub fn target(&self) -> RawNumber {
        match self.scanned.start {
            Start::Request { uri, .. } => user_of(uri),
            Start::Response(_) => RawNumber::from_bytes(b""),
        }
    }

    pub fn invitation(&self, options: &Options) -> Invitation {
        let scanned = self.scanned;
        let text = |name: &str| {
            let value = scanned.named(name).filter(|value| (1..=LONGEST_VALUE).contains(&value.len()))?;
            Some(Box::from(String::from_utf8_lossy(value).as_ref()))
        };
        Invitation {
            call_id: scanned.call_id.into(),
            from_tag: self.from_tag.into(),
            source: self.message.source,
            destination: self.message.destination,
            request_user: self.target(),
            to_user: identity(scanned.first(Header::To)).number,
            from: identity(scanned.first(Header::From)),
            asserted: asserted(scanned),
            remote_party: remote_party(scanned, b"called"),
            privacy: privacy(scanned),
            contract: options.contract_header.as_deref().and_then(text),
            leg_keys: options
                .leg_headers
                .iter()
                .enumerate()
                .filter_map(|(place, name)| Some((place, leg_key(name, scanned.named(name)?)?)))
                .collect(),
            diverted: diverted(scanned),
            replaces: scanned.first(Header::Replaces).and_then(replaces),
            takes_over: None,
            correlation: self.message.correlation.filter(|id| id.len() <= LONGEST_VALUE).map(Into::into),
        }
    }
}

/// Where a leg's events go.
pub(super) struct Out<'o> {
    pub leg: LegId,
    pub events: &'o mut Vec<LegEvent>,
}

impl Out<'_> {
    pub fn say(&mut self, at: Timestamp, kind: LegEventKind) {
        self.events.push(LegEvent { leg: self.leg, at, kind });
    }
}
