//! What comes to a HEP port, as the messages inside: frames of every version, packed or torn, and bare copies.
//!
//! The one invariant: with a key, nothing counts but frames that carry it; versions 1 and 2 and bare copies cannot.

use super::pieces::{self, Pieces};
use super::{Packing, decode, same_bytes, siptrace, unpack, v2};
use crate::sources::{Found, SetAside, looks_like_sip};
use crate::units::{Message, Timestamp};
use std::net::SocketAddr;

/// What is believed of a bare copy of a SIP message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bare {
    /// That it went where it came from.
    #[default]
    AsSent,
    /// What the headers `X-Siptrace-*` at its end say; without them, as above.
    Siptrace,
}

/// Reads what comes to one port, or lies in one capture.
#[derive(Debug, Default)]
pub struct Reader {
    key: Option<Box<[u8]>>,
    bare: Bare,
    unpacked: Vec<u8>,
    pieces: Pieces,
}

impl Reader {
    /// With a key, only frames that carry it count.
    #[must_use]
    pub fn new(key: Option<&[u8]>, bare: Bare) -> Self {
        Self { key: key.map(Into::into), bare, ..Self::default() }
    }

    /// Hands on the messages in one datagram (or frame of a stream) that went from `from` to `to`: mostly one; none, where it
    /// holds a piece of one; several, where it ends some.
    ///
    /// # Errors
    /// The reason, when it held none. `now` stands in for a missing time, and tells which of several a time may be.
    pub fn read(
        &mut self,
        datagram: &[u8],
        (from, to): (SocketAddr, SocketAddr),
        now: impl Fn() -> Timestamp,
        visit: &mut impl FnMut(Found<'_>),
    ) -> Result<(), SetAside> {
        if looks_like_sip(datagram) {
            return self.bare(datagram, (from, to), now, visit);
        }
        // Few octets tell one of the old versions: anything may look like it.
        let is_old = v2::is_old(datagram);
        let frame = if is_old {
            v2::decode(datagram, &now).map_err(|_| SetAside::NotSip)?
        } else {
            decode(datagram).map_err(super::HepError::reason)?
        };
        if self.key.as_deref().is_some_and(|key| !frame.auth_key.is_some_and(|found| same_bytes(found, key))) {
            return Err(SetAside::HepKey);
        }
        let arrived_at = if frame.captured_at.is_none() { now() } else { Timestamp::default() };
        let mut message = frame.message(arrived_at).ok_or(SetAside::HepProtocol)?;
        if frame.packing == Packing::Compressed {
            unpack::inflate(frame.payload, &mut self.unpacked)?;
            message.payload = &self.unpacked;
        } else if frame.payload.starts_with(b"{") {
            unpack::member(frame.payload, &mut self.unpacked)?;
            message.payload = &self.unpacked;
        }
        if pieces::may_be_torn(&frame) {
            let agent = frame.agent_id;
            return self.pieces.take(message, &mut |found| visit(Found { agent, ..found }));
        }
        if is_old && !looks_like_sip(message.payload) {
            return Err(SetAside::NotSip);
        }
        visit(Found { message, cut: frame.cut, agent: frame.agent_id });
        Ok(())
    }

    fn bare(
        &self,
        payload: &[u8],
        (source, destination): (SocketAddr, SocketAddr),
        now: impl Fn() -> Timestamp,
        visit: &mut impl FnMut(Found<'_>),
    ) -> Result<(), SetAside> {
        if self.key.is_some() {
            return Err(SetAside::HepKey);
        }
        let original = if self.bare == Bare::Siptrace { siptrace::original(payload) } else { None };
        let as_sent = || Message { captured_at: now(), source, destination, correlation: None, payload };
        visit(Found { message: original.unwrap_or_else(as_sent), cut: false, agent: None });
        Ok(())
    }
}
