//! From a captured packet to the UDP datagram or TCP segment inside: link layers, IPv4, IPv6.
//!
//! The one invariant: lengths in headers are believed only as far as there are bytes; what is shorter than it says is
//! marked cut. Plain IPv4 with UDP goes a short way by hand, because nearly every packet of a SIP capture is
//! one; VLAN tags, options, extension headers and fragments go through etherparse.

use super::tunnel;
use crate::sources::SetAside;
use etherparse::{EtherType, IpNumber, LaxIpPayloadSlice, LaxNetSlice, LaxSlicedPacket};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Link types (tcpdump.org, "Link-layer header types"); 12 and 14 stand for raw IP in files of some BSDs.
pub(super) mod link {
    pub const NULL: u32 = 0;
    pub const ETHERNET: u32 = 1;
    pub const RAW: [u32; 5] = [101, 228, 229, 12, 14];
    pub const LOOP: u32 = 108;
    pub const COOKED: u32 = 113;
    pub const COOKED_V2: u32 = 276;
}

/// What a packet holds for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inside<'a> {
    Datagram(Datagram<'a>),
    Segment(Segment<'a>),
    Piece(Piece<'a>),
    /// A packet of this link type, in a tunnel.
    Packet(u32, &'a [u8]),
}

/// A UDP datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Datagram<'a> {
    pub source: SocketAddr,
    pub destination: SocketAddr,
    pub payload: &'a [u8],
    /// The packet was captured shorter than it was.
    pub cut: bool,
}

/// A TCP segment (RFC 9293 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment<'a> {
    pub source: SocketAddr,
    pub destination: SocketAddr,
    pub sequence: u32,
    /// It opens the connection (SYN).
    pub opens: bool,
    /// It is the last that its sender sends (FIN).
    pub closes: bool,
    /// It breaks the connection off (RST).
    pub breaks: bool,
    pub payload: &'a [u8],
    /// The packet was captured shorter than it was.
    pub cut: bool,
}

/// A fragment of an IP datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    pub source: IpAddr,
    pub destination: IpAddr,
    /// What the datagram holds (IANA, "Protocol Numbers").
    pub protocol: u8,
    pub id: u32,
    /// Where its bytes belong in the datagram.
    pub offset: usize,
    /// Whether others follow it.
    pub more: bool,
    pub payload: &'a [u8],
    pub cut: bool,
}

/// Looks into a packet of a link type.
pub(super) fn look_inside(link: u32, data: &[u8]) -> Result<Inside<'_>, SetAside> {
    match plain(link, data) {
        Some(datagram) => Ok(Inside::Datagram(datagram)),
        None => any(link, data),
    }
}

/// What stands in the payload of an IP datagram; `cut` says that bytes are missing at its end.
pub(super) fn within(protocol: u8, source: IpAddr, destination: IpAddr, payload: &[u8], cut: bool) -> Result<Inside<'_>, SetAside> {
    match protocol {
        17 => udp(source, destination, payload, cut).map(Inside::Datagram),
        6 => tcp(source, destination, payload, cut).map(Inside::Segment),
        // IP in IP (RFC 2003, RFC 4213).
        4 | 41 => Ok(Inside::Packet(link::RAW[0], payload)),
        47 => tunnel::gre(payload).map(|(link, packet)| Inside::Packet(link, packet)),
        _ => Err(SetAside::NotUdp),
    }
}

fn tcp(source: IpAddr, destination: IpAddr, payload: &[u8], cut: bool) -> Result<Segment<'_>, SetAside> {
    let (&header, _) = payload.split_first_chunk::<20>().ok_or(SetAside::Malformed)?;
    let [a, b, c, d, s1, s2, s3, s4, _, _, _, _, offset, flags, ..] = header;
    let length = usize::from(offset >> 4) * 4;
    if length < 20 {
        return Err(SetAside::Malformed);
    }
    Ok(Segment {
        source: SocketAddr::new(source, u16::from_be_bytes([a, b])),
        destination: SocketAddr::new(destination, u16::from_be_bytes([c, d])),
        sequence: u32::from_be_bytes([s1, s2, s3, s4]),
        opens: flags & 0x02 != 0,
        closes: flags & 0x01 != 0,
        breaks: flags & 0x04 != 0,
        payload: payload.get(length..).ok_or(SetAside::Malformed)?,
        cut,
    })
}

fn udp(source: IpAddr, destination: IpAddr, payload: &[u8], cut: bool) -> Result<Datagram<'_>, SetAside> {
    let (&[a, b, c, d, high, low, _, _], body) = payload.split_first_chunk().ok_or(SetAside::Malformed)?;
    // 0 stands for a length that the sender's card was to fill in (or a jumbogram): all there is.
    let length = match usize::from(u16::from_be_bytes([high, low])) {
        0 => body.len(),
        length => length.checked_sub(8).ok_or(SetAside::Malformed)?,
    };
    if length > body.len() && !cut {
        return Err(SetAside::Malformed);
    }
    Ok(Datagram {
        source: SocketAddr::new(source, u16::from_be_bytes([a, b])),
        destination: SocketAddr::new(destination, u16::from_be_bytes([c, d])),
        payload: &body[..length.min(body.len())],
        cut: length > body.len(),
    })
}

/// The short way: IPv4 without options, UDP, whole. `None` sends everything else the long way.
#[inline]
fn plain(link: u32, data: &[u8]) -> Option<Datagram<'_>> {
    let (kind, ip) = match link {
        link::ETHERNET => (data.get(12..14)?, data.get(14..)?),
        link::COOKED => (data.get(14..16)?, data.get(16..)?),
        link::COOKED_V2 => (data.get(0..2)?, data.get(20..)?),
        _ => return None,
    };
    let header: &[u8; 28] = ip.first_chunk()?;
    let word = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    let (total, length) = (usize::from(word(2)), usize::from(word(24)));
    // 0x3fff: more fragments, or an offset.
    let is_plain = kind == [8, 0] && header[0] == 0x45 && header[9] == 17 && word(6) & 0x3fff == 0;
    if !is_plain || length < 8 || length + 20 > total {
        return None;
    }
    let address = |at: usize| IpAddr::V4(Ipv4Addr::new(header[at], header[at + 1], header[at + 2], header[at + 3]));
    let end = (20 + length).min(ip.len());
    Some(Datagram {
        source: SocketAddr::new(address(12), word(20)),
        destination: SocketAddr::new(address(16), word(22)),
        payload: &ip[28..end],
        cut: end < 20 + length,
    })
}

/// The long way.
fn any(link: u32, data: &[u8]) -> Result<Inside<'_>, SetAside> {
    let behind = |kind: usize, header: usize| match (data.get(kind..kind + 2), data.get(header..)) {
        (Some(&[high, low]), Some(rest)) => Ok(LaxSlicedPacket::from_ether_type(EtherType(u16::from_be_bytes([high, low])), rest)),
        _ => Err(SetAside::Malformed),
    };
    let packet = match link {
        link::ETHERNET => LaxSlicedPacket::from_ethernet(data).map_err(|_| SetAside::Malformed)?,
        link::COOKED => behind(14, 16)?,
        link::COOKED_V2 => behind(0, 20)?,
        // Four bytes name the family, in the byte order of whoever captured it; the IP version says the same.
        link::NULL | link::LOOP => bare(data.get(4..))?,
        raw if link::RAW.contains(&raw) => bare(Some(data))?,
        _ => return Err(SetAside::LinkType),
    };
    let broken = if packet.stop_err.is_some() { SetAside::Malformed } else { SetAside::NotIp };
    match packet.net.ok_or(broken)? {
        LaxNetSlice::Ipv4(ip) => {
            let header = ip.header();
            let fragment = Fragment {
                id: u32::from(header.identification()),
                offset: usize::from(header.fragments_offset().byte_offset()),
                more: header.more_fragments(),
            };
            transport(header.source_addr().into(), header.destination_addr().into(), ip.payload().clone(), Some(fragment))
        }
        LaxNetSlice::Ipv6(ip) => {
            let header = ip.header();
            let fragment = ip.extensions().first_header().and_then(|first| fragment(first.0, ip.extensions().slice()));
            transport(header.source_addr().into(), header.destination_addr().into(), ip.payload().clone(), fragment)
        }
        LaxNetSlice::Arp(_) => Err(SetAside::NotIp),
    }
}

fn bare(ip: Option<&[u8]>) -> Result<LaxSlicedPacket<'_>, SetAside> {
    ip.and_then(|ip| LaxSlicedPacket::from_ip(ip).ok()).ok_or(SetAside::Malformed)
}

/// Where a fragment belongs.
struct Fragment {
    id: u32,
    offset: usize,
    more: bool,
}

/// What the fragment header says, if a whole one is among the extension headers (RFC 8200 §4). They are walked here: etherparse's own
/// iterator (0.21) takes each that is announced for one that is there, and reads beyond the packet where it is not.
fn fragment(first: u8, extensions: &[u8]) -> Option<Fragment> {
    let (mut kind, mut rest) = (first, extensions);
    loop {
        let &[next, length, high, low, a, b, c, d] = rest.first_chunk()?;
        let octets = match kind {
            44 => {
                let place = u16::from_be_bytes([high, low]);
                return Some(Fragment { id: u32::from_be_bytes([a, b, c, d]), offset: usize::from(place & !7), more: place & 1 != 0 });
            }
            // Hop-by-hop, routing, destination options; authentication (RFC 4302) counts in fours.
            0 | 43 | 60 => (usize::from(length) + 1) * 8,
            51 => (usize::from(length) + 2) * 4,
            _ => return None,
        };
        (kind, rest) = (next, rest.get(octets..)?);
    }
}

fn transport(source: IpAddr, destination: IpAddr, ip: LaxIpPayloadSlice<'_>, fragment: Option<Fragment>) -> Result<Inside<'_>, SetAside> {
    let LaxIpPayloadSlice { payload, incomplete: cut, ip_number: IpNumber(protocol), .. } = ip;
    match fragment {
        Some(Fragment { id, offset, more }) if ip.fragmented => match protocol {
            4 | 6 | 17 | 41 | 47 => Ok(Inside::Piece(Piece { source, destination, protocol, id, offset, more, payload, cut })),
            _ => Err(SetAside::NotUdp),
        },
        _ => within(protocol, source, destination, payload, cut),
    }
}
