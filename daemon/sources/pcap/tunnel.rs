//! Packets inside packets, as switches and clouds mirror them: GRE (RFC 2784, RFC 2890), ERSPAN types I to III
//! (draft-foschiano-erspan), VXLAN (RFC 7348).
//!
//! The one invariant: what a tunnel holds is handed back as a packet of a link type, and looked into like any other.

use super::packet::{Datagram, link};
use crate::sources::SetAside;

/// Tunnels within tunnels that are looked into.
pub(super) const DEEPEST: usize = 4;
/// Where VXLAN is sent: IANA's port, and Linux's from before.
const VXLAN_PORTS: [u16; 2] = [4789, 8472];

/// The packet in a GRE payload, with its link type.
pub(super) fn gre(payload: &[u8]) -> Result<(u32, &[u8]), SetAside> {
    let (&[high, low, kind_high, kind_low], rest) = payload.split_first_chunk().ok_or(SetAside::Malformed)?;
    let flags = u16::from_be_bytes([high, low]);
    // Routing (RFC 1701), and version 1, which is PPTP's.
    if flags & 0x4007 != 0 {
        return Err(SetAside::NotUdp);
    }
    let has = |flag: u16| usize::from(flags & flag != 0) * 4;
    let rest = rest.get(has(0x8000) + has(0x2000) + has(0x1000)..).ok_or(SetAside::Malformed)?;
    let behind = |header: usize| rest.get(header..).ok_or(SetAside::Malformed);
    match u16::from_be_bytes([kind_high, kind_low]) {
        0x0800 | 0x86dd => Ok((link::RAW[0], rest)),
        0x6558 => Ok((link::ETHERNET, rest)),
        // Type I has neither a sequence number nor a header of its own.
        0x88be => Ok((link::ETHERNET, behind(if flags & 0x1000 == 0 { 0 } else { 8 })?)),
        0x22eb => {
            let &[.., kind, last] = rest.first_chunk::<12>().ok_or(SetAside::Malformed)?;
            let packet = behind(if last & 1 == 0 { 12 } else { 20 })?;
            // The frame type, five bits: 0 Ethernet, 2 IP.
            match (kind >> 2) & 0x1f {
                0 => Ok((link::ETHERNET, packet)),
                2 => Ok((link::RAW[0], packet)),
                _ => Err(SetAside::NotIp),
            }
        }
        _ => Err(SetAside::NotIp),
    }
}

/// The Ethernet frame in a datagram of VXLAN.
pub(super) fn vxlan<'a>(datagram: &Datagram<'a>) -> Option<&'a [u8]> {
    match datagram.payload {
        [8, 0, 0, 0, _, _, _, 0, frame @ ..] if VXLAN_PORTS.contains(&datagram.destination.port()) => Some(frame),
        _ => None,
    }
}
