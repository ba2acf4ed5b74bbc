//! HEPv3: a PBX or proxy copies each message to us in a frame of chunks (HEP3 Network Protocol Specification, rev. 37).
//!
//! The one invariant: a frame is read by its lengths and nothing else; chunks and vendors we do not know are skipped,
//! their order is free, and no number a sender chose (transport, capture id) makes a frame wrong: Kamailio says 22 for
//! TLS, OpenSIPS 50 for WebSocket. HEPv1, v2 and the draft `EEP1` are refused by name.

mod receiver;

pub use receiver::{Received, Receiver, WANTED_BUFFER};

use super::SetAside;
use crate::units::{Message, Timestamp};
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

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
    /// What the payload is.
    pub content: Content,
    /// The shared secret, in clear (chunk 0x0e).
    pub auth_key: Option<&'a [u8]>,
    /// The capture agent (chunk 0x0c).
    pub agent_id: Option<u32>,
    /// Chunk 0x11: mostly the Call-ID, sometimes a channel, sometimes both within one dialog.
    pub correlation: Option<&'a [u8]>,
    /// The message.
    pub payload: &'a [u8],
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

/// Why a datagram is no frame we read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HepError {
    /// Neither HEP nor anything like it.
    #[error("found no HEP3 at the start of the datagram")]
    NotHep,
    /// HEPv1 or v2, or the draft `EEP1` (0).
    #[error("found HEP version {0}, only version 3 is read")]
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
    /// The payload is compressed (chunk 0x10).
    #[error("HEP payload is compressed, only plain payloads are read")]
    Compressed,
}

impl HepError {
    /// The reason it is counted under.
    #[must_use]
    pub const fn reason(self) -> SetAside {
        match self {
            Self::NotHep => SetAside::NotSip,
            Self::Version(_) => SetAside::HepVersion,
            Self::Compressed => SetAside::HepCompressed,
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

    /// Whether the frame carries this key, compared in a time that depends on the lengths only.
    #[must_use]
    pub fn carries_key(&self, key: &[u8]) -> bool {
        self.auth_key.is_some_and(|found| same_bytes(found, key))
    }
}

/// Decodes one datagram.
///
/// # Errors
/// When it is not one HEPv3 frame with a plain payload; the datagram is then counted under [`HepError::reason`].
pub fn decode(datagram: &[u8]) -> Result<Frame<'_>, HepError> {
    let [b'H', b'E', b'P', b'3', high, low, ..] = *datagram else { return Err(refused(datagram)) };
    let stated = usize::from(u16::from_be_bytes([high, low]));
    if stated < 6 {
        return Err(HepError::FrameLength { found: stated });
    }
    let mut parts = Parts::default();
    let mut rest = &datagram[6..stated.min(datagram.len())];
    let overstated = stated > datagram.len();
    while let Some((chunk, value, after)) = next_chunk(rest, overstated, &mut parts.cut)? {
        if let Some(chunk) = chunk {
            parts.take(chunk, value)?;
        }
        rest = after;
    }
    parts.cut |= overstated;
    parts.frame()
}

/// A chunk of the generic vendor (or `None` for another vendor's), its value, and what follows.
type Chunk<'a> = (Option<u16>, &'a [u8], &'a [u8]);

/// The next chunk; `None` at the end. Where the datagram is shorter than the frame says, its last chunk may be cut.
fn next_chunk<'a>(rest: &'a [u8], overstated: bool, cut: &mut bool) -> Result<Option<Chunk<'a>>, HepError> {
    let Some((header, body)) = rest.split_first_chunk::<6>() else {
        return match rest.is_empty() || overstated {
            true => Ok(None),
            false => Err(HepError::ChunkBounds { chunk: 0, found: rest.len(), left: rest.len() }),
        };
    };
    let [vendor_high, vendor_low, high, low, length_high, length_low] = *header;
    let chunk = u16::from_be_bytes([high, low]);
    let found = usize::from(u16::from_be_bytes([length_high, length_low]));
    let generic = (vendor_high, vendor_low) == (0, 0);
    match found.checked_sub(6) {
        Some(length) if length <= body.len() => {
            let (value, after) = body.split_at(length);
            Ok(Some((generic.then_some(chunk), value, after)))
        }
        Some(_) if overstated => {
            *cut = true;
            Ok((generic && chunk == 0x0f).then_some((Some(chunk), body, &[])))
        }
        _ => Err(HepError::ChunkBounds { chunk, found, left: rest.len() }),
    }
}

/// The chunks we know, as they come.
#[derive(Default)]
struct Parts<'a> {
    source: Option<IpAddr>,
    destination: Option<IpAddr>,
    source_port: u16,
    destination_port: u16,
    seconds: Option<u32>,
    micros: u32,
    protocol: Option<u8>,
    agent_id: Option<u32>,
    auth_key: Option<&'a [u8]>,
    correlation: Option<&'a [u8]>,
    payload: Option<&'a [u8]>,
    compressed: bool,
    cut: bool,
}

impl<'a> Parts<'a> {
    fn take(&mut self, chunk: u16, value: &'a [u8]) -> Result<(), HepError> {
        match chunk {
            0x03 => self.source = Some(Ipv4Addr::from(fixed::<4>(chunk, value)?).into()),
            0x04 => self.destination = Some(Ipv4Addr::from(fixed::<4>(chunk, value)?).into()),
            0x05 => self.source = Some(Ipv6Addr::from(fixed::<16>(chunk, value)?).into()),
            0x06 => self.destination = Some(Ipv6Addr::from(fixed::<16>(chunk, value)?).into()),
            0x07 => self.source_port = u16::from_be_bytes(fixed(chunk, value)?),
            0x08 => self.destination_port = u16::from_be_bytes(fixed(chunk, value)?),
            0x09 => self.seconds = Some(u32::from_be_bytes(fixed(chunk, value)?)),
            0x0a => self.micros = u32::from_be_bytes(fixed(chunk, value)?),
            0x0b => self.protocol = Some(fixed::<1>(chunk, value)?[0]),
            0x0c => self.agent_id = Some(u32::from_be_bytes(fixed(chunk, value)?)),
            0x0e => self.auth_key = Some(value),
            0x0f => self.payload = Some(value),
            0x10 => self.compressed = true,
            0x11 => self.correlation = Some(value),
            // Address family and transport are told by the addresses, or do not matter; the rest is not for a meter.
            _ => {}
        }
        Ok(())
    }

    fn frame(self) -> Result<Frame<'a>, HepError> {
        let content = match self.protocol.ok_or(HepError::Missing { chunk: 0x0b })? {
            1 => Content::Sip,
            other => Content::Other(other),
        };
        let payload = match self.payload {
            Some(payload) => payload,
            None if self.compressed => return Err(HepError::Compressed),
            None if content == Content::Sip => return Err(HepError::Missing { chunk: 0x0f }),
            None => &[],
        };
        Ok(Frame {
            source: self.source.map(|ip| SocketAddr::new(ip, self.source_port)),
            destination: self.destination.map(|ip| SocketAddr::new(ip, self.destination_port)),
            captured_at: self.seconds.map(|seconds| Timestamp::from_parts(seconds, self.micros)),
            content,
            auth_key: self.auth_key,
            agent_id: self.agent_id,
            correlation: self.correlation.filter(|value| !value.is_empty()),
            payload,
            cut: self.cut,
        })
    }
}

fn fixed<const N: usize>(chunk: u16, value: &[u8]) -> Result<[u8; N], HepError> {
    value.try_into().map_err(|_| HepError::ChunkLength { chunk, found: value.len(), expected: N })
}

/// What a datagram without the magic is: v1 and v2 begin with their number and, third, an address family.
fn refused(datagram: &[u8]) -> HepError {
    match *datagram {
        [version @ (1 | 2), _, 2 | 10, ..] => HepError::Version(version),
        [b'E', b'E', b'P', b'1', ..] => HepError::Version(0),
        [b'H', b'E', b'P', b'3', ..] => HepError::FrameLength { found: datagram.len() },
        _ => HepError::NotHep,
    }
}

/// Compares every byte, so that the time tells nothing about the first difference.
fn same_bytes(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len() && left.iter().zip(right).fold(0, |seen, (a, b)| black_box(seen | (a ^ b))) == 0
}

#[cfg(test)]
mod tests;
