//! Messages of a call whose INVITE, and responses whose request, is read only after them: several capture agents, or several threads of one, pass packets on
//! in another order than they were sent.
//!
//! The one invariant: what is kept is bounded, in number, size and age. In steady state nothing is allocated: buffers are
//! used again.

use crate::units::codec::{Reader, Writer};
use crate::units::{Message, Timestamp};
use std::collections::VecDeque;
use std::net::SocketAddr;

/// So many are kept; the oldest go first.
const MOST: usize = 64;
/// Longer messages are not kept: real ones within a dialog have one or two thousand bytes.
const LONGEST: usize = 4_096;
/// How far a message may be from its INVITE, by the time both were captured.
const WINDOW_MICROS: i64 = 500_000;

/// The messages kept.
#[derive(Debug, Default)]
pub(super) struct Strays(VecDeque<Stray>);

/// A message whose leg is not known yet.
#[derive(Debug)]
pub(super) struct Stray {
    /// The hash of its Call-ID.
    hash: u64,
    captured_at: Timestamp,
    source: SocketAddr,
    destination: SocketAddr,
    payload: Vec<u8>,
}

impl Strays {
    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keeps a message for a while.
    pub fn keep(&mut self, hash: u64, message: &Message<'_>) {
        if message.payload.len() > LONGEST {
            return;
        }
        let mut payload = if self.0.len() < MOST { None } else { self.0.pop_front() }.map_or_else(Vec::new, |oldest| oldest.payload);
        payload.clear();
        payload.extend_from_slice(message.payload);
        let Message { captured_at, source, destination, .. } = *message;
        self.0.push_back(Stray { hash, captured_at, source, destination, payload });
    }

    /// Takes out what waits for an INVITE of this Call-ID and time, in the order in which it was captured.
    pub fn take(&mut self, hash: u64, invited: Timestamp) -> Vec<Stray> {
        let mut taken = Vec::new();
        if self.0.iter().any(|stray| stray.hash == hash) {
            let (found, rest) = std::mem::take(&mut self.0).into_iter().partition::<VecDeque<_>, _>(|stray| stray.hash == hash);
            self.0 = rest;
            let near = |stray: &Stray| stray.captured_at.since(invited).abs() <= WINDOW_MICROS;
            taken = found.into_iter().filter(near).collect();
            taken.sort_by_key(|stray| stray.captured_at);
        }
        taken
    }

    /// Appends them to a snapshot.
    pub fn write(&self, out: &mut Writer) {
        out.list(self.0.iter(), |out, stray| {
            out.time(stray.captured_at);
            super::snapshot::write_address(out, stray.source);
            super::snapshot::write_address(out, stray.destination);
            out.bytes(&stray.payload);
        });
    }

    /// Reads them back; `hash` finds the Call-ID's in a message.
    pub fn read(from: &mut Reader<'_>, hash: impl Fn(&[u8]) -> Option<u64>) -> Option<Self> {
        let strays = from.list(|from| {
            let (captured_at, source) = (from.time()?, super::snapshot::read_address(from)?);
            let (destination, payload) = (super::snapshot::read_address(from)?, from.bytes()?.to_vec());
            Some(Stray { hash: hash(&payload)?, captured_at, source, destination, payload })
        })?;
        Some(Self(strays.into()))
    }
}

impl Stray {
    /// The message as it came.
    pub fn message(&self) -> Message<'_> {
        let Self { captured_at, source, destination, ref payload, .. } = *self;
        Message { captured_at, source, destination, correlation: None, payload }
    }
}
