//! HEP: a PBX or proxy copies each message to us in a frame: v3 with chunks (HEP3 Network Protocol Specification, rev. 37),
//! v1 and v2 with a header of fixed fields; over UDP, TCP or TLS. On the same port it may send bare copies.
//!
//! The one invariant: a frame is read by its lengths and nothing else; chunks and vendors we do not know are skipped,
//! their order is free, and no number a sender chose (transport, capture id) makes a frame wrong: Kamailio says 22 for
//! TLS, OpenSIPS 50 for WebSocket. The draft `EEP1` is refused by name.
//!
//! [`decode`] reads one frame of version 3. [`Reader`] reads what really comes: it knows the older versions, unpacks, and
//! joins the pieces in which some senders report what came over TCP.

pub mod agents;
mod drain;
mod pieces;
mod reader;
mod receiver;
mod server;
mod siptrace;
mod unpack;
mod v2;
mod v3;

pub use reader::{Bare, Reader};
pub use receiver::{Received, Receiver, WANTED_BUFFER};
pub use server::{Bounds, Closed, Event, Listener, Server};
pub use v3::decode;

use super::SetAside;
use crate::units::{Message, Timestamp};
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// What a HEPv3 frame begins with.
pub const MAGIC: &[u8; 4] = b"HEP3";

/// A decoded frame. Points into the datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The sender of the inner message; `None` where the frame has no address (FreeSWITCH over IPv6).
    pub source: Option<SocketAddr>,
    /// The receiver of the inner message; `None` likewise.
    pub destination: Option<SocketAddr>,
    /// When the inner message passed, by the sender's clock; `None` without chunk 0x09.
    pub captured_at: Option<Timestamp>,
    /// By which protocol the inner message went (chunk 0x02), in the numbers of IP or in senders' own.
    pub transport: Option<u8>,
    /// What the payload is.
    pub content: Content,
    /// The shared secret, in clear (chunk 0x0e).
    pub auth_key: Option<&'a [u8]>,
    /// The capture agent (chunk 0x0c).
    pub agent_id: Option<u32>,
    /// Chunk 0x11: mostly the Call-ID, sometimes a channel, sometimes both within one dialog.
    pub correlation: Option<&'a [u8]>,
    /// The message, as `packing` says.
    pub payload: &'a [u8],
    /// How it is packed.
    pub packing: Packing,
    /// The frame says it is longer than what arrived (old sofia-sip), so the payload may lack its end.
    pub cut: bool,
}

/// What a frame carries (chunk 0x0b).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// 1: a SIP message.
    Sip,
    /// Anything else: 5 is RTCP as JSON, 100 a log line.
    Other(u8),
}

/// How a payload is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// As it is (chunk 0x0f).
    Plain,
    /// Compressed (chunk 0x10): zlib, gzip or bare deflate, which its first bytes tell.
    Compressed,
}

/// Why a datagram is no frame we read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HepError {
    /// Neither HEP nor anything like it.
    #[error("found no HEP3 at the start of the datagram")]
    NotHep,
    /// HEPv1 or v2, which have no chunks, or the draft `EEP1` (0).
    #[error("found HEP version {0} where version 3 was expected")]
    Version(u8),
    /// The frame's own length is less than its header.
    #[error("HEP frame has a length of {found} bytes, expected 6 or more")]
    FrameLength {
        /// The length it states.
        found: usize,
    },
    /// A chunk is shorter than its own header or runs past the end of the frame.
    #[error("HEP chunk 0x{chunk:04x} states {found} bytes, expected 6 to {left}")]
    ChunkBounds {
        /// The chunk's type.
        chunk: u16,
        /// The length it states, header included.
        found: usize,
        /// What is left of the frame.
        left: usize,
    },
    /// A chunk of a fixed size has another.
    #[error("HEP chunk 0x{chunk:04x} has {found} bytes, expected {expected}")]
    ChunkLength {
        /// The chunk's type.
        chunk: u16,
        /// The size of its value.
        found: usize,
        /// The size it should have.
        expected: usize,
    },
    /// A chunk no frame can do without is missing.
    #[error("HEP frame lacks chunk 0x{chunk:04x}")]
    Missing {
        /// The chunk's type.
        chunk: u16,
    },
}

impl HepError {
    /// The reason it is counted under.
    #[must_use]
    pub const fn reason(self) -> SetAside {
        match self {
            Self::NotHep => SetAside::NotSip,
            Self::Version(_) => SetAside::HepVersion,
            Self::FrameLength { .. } | Self::ChunkBounds { .. } | Self::ChunkLength { .. } | Self::Missing { .. } => SetAside::HepMalformed,
        }
    }
}

impl<'a> Frame<'a> {
    /// The frame as a message; `None` if it is about something else than SIP. `arrived_at` stands in for a missing time,
    /// and the unspecified address, which nobody trusts, for a missing one.
    #[must_use]
    pub fn message(&self, arrived_at: Timestamp) -> Option<Message<'a>> {
        let nowhere = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
        (self.content == Content::Sip).then_some(Message {
            captured_at: self.captured_at.unwrap_or(arrived_at),
            source: self.source.unwrap_or(nowhere),
            destination: self.destination.unwrap_or(nowhere),
            correlation: self.correlation,
            payload: self.payload,
        })
    }
}

/// Whether a datagram begins like a frame of any version that is read.
#[must_use]
pub fn may_be_frame(datagram: &[u8]) -> bool {
    datagram.starts_with(MAGIC) || v2::is_old(datagram)
}

/// Compares every byte, so that the time tells nothing about the first difference.
fn same_bytes(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len() && left.iter().zip(right).fold(0, |seen, (a, b)| black_box(seen | (a ^ b))) == 0
}

#[cfg(test)]
mod tests;
