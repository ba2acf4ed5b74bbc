//! Frames of HEPv3: a length, then chunks.

use super::{Content, Frame, HepError, Packing};
use crate::units::Timestamp;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

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
            Ok((generic && matches!(chunk, 0x0f | 0x10)).then_some((Some(chunk), body, &[])))
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
    payload: Option<(&'a [u8], Packing)>,
    transport: Option<u8>,
    cut: bool,
}

impl<'a> Parts<'a> {
    fn take(&mut self, chunk: u16, value: &'a [u8]) -> Result<(), HepError> {
        match chunk {
            0x02 if value.len() == 1 => self.transport = Some(value[0]),
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
            0x0f => self.payload = Some((value, Packing::Plain)),
            0x10 if self.payload.is_none() => self.payload = Some((value, Packing::Compressed)),
            0x11 => self.correlation = Some(value),
            // The family is told by the addresses; the rest is not for a meter.
            _ => {}
        }
        Ok(())
    }

    fn frame(self) -> Result<Frame<'a>, HepError> {
        let content = match self.protocol.ok_or(HepError::Missing { chunk: 0x0b })? {
            1 => Content::Sip,
            other => Content::Other(other),
        };
        let (payload, packing) = match self.payload {
            Some(payload) => payload,
            None if content == Content::Sip => return Err(HepError::Missing { chunk: 0x0f }),
            None => (&[][..], Packing::Plain),
        };
        Ok(Frame {
            source: self.source.map(|ip| SocketAddr::new(ip, self.source_port)),
            destination: self.destination.map(|ip| SocketAddr::new(ip, self.destination_port)),
            captured_at: self.seconds.map(|seconds| Timestamp::from_parts(seconds, self.micros)),
            transport: self.transport,
            content,
            auth_key: self.auth_key,
            agent_id: self.agent_id,
            correlation: self.correlation.filter(|value| !value.is_empty()),
            payload,
            packing,
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
