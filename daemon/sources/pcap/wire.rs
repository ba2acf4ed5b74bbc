//! From captured packets to the messages they carry: datagrams, fragments, streams, tunnels, and HEP within.
//!
//! The one invariant: every packet hands on messages, or is set aside for one reason; what it must keep meanwhile is
//! bounded by those who keep it ([`Fragments`], [`Flows`], [`hep::Reader`]).

use super::flows::Flows;
use super::fragments::Fragments;
use super::packet::{self, Datagram, Inside, Segment, link};
use super::tunnel;
use crate::sources::stream::Kind;
use crate::sources::{Found, SetAside, hep, looks_like_sip};
use crate::units::{Message, Timestamp};
use std::net::SocketAddr;

/// What is under way on the wire. Can be carried on from one file of a series to the next.
#[derive(Debug, Default)]
pub struct Wire {
    fragments: Fragments,
    flows: Flows,
    hep: hep::Reader,
}

/// One packet as it was captured.
#[derive(Clone, Copy, Debug)]
pub(in crate::sources) struct Captured<'a> {
    /// Its link type (tcpdump.org, "Link-layer header types").
    pub link: u32,
    /// Where it was captured: fragments of two places do not belong together.
    pub interface: u32,
    pub at: Timestamp,
    pub data: &'a [u8],
}

impl Wire {
    /// Fragments that wait for others, or were given up.
    #[must_use]
    pub const fn fragments(&self) -> &Fragments {
        &self.fragments
    }

    /// Gaps in streams that were passed over.
    #[must_use]
    pub const fn gaps(&self) -> u64 {
        self.flows.lost()
    }

    /// Looks into a packet, and hands on each message it completes.
    #[inline]
    pub(in crate::sources) fn look(&mut self, packet: Captured<'_>, visit: &mut impl FnMut(Found<'_>)) -> Result<(), SetAside> {
        match packet::look_inside(packet.link, packet.data)? {
            // The short way of nearly every packet of a SIP capture.
            Inside::Datagram(Datagram { source, destination, payload, cut }) if looks_like_sip(payload) => {
                visit(Found {
                    message: Message { captured_at: packet.at, source, destination, correlation: None, payload },
                    cut,
                    agent: None,
                });
                Ok(())
            }
            inside => self.inside(packet, inside, 0, visit),
        }
    }

    /// It is `now`: gaps that have waited for too long are passed over.
    pub(in crate::sources) fn pass_over_gaps(&mut self, now: Timestamp, visit: &mut impl FnMut(Found<'_>)) {
        let Self { flows, hep, .. } = self;
        flows.pass_over_gaps(now, &mut |kind, way, at, unit: &[u8]| {
            let _ = read(hep, kind, way, at, unit, visit);
        });
    }

    /// Nothing comes any more: hands on what lies behind gaps.
    pub(in crate::sources) fn finish(&mut self, visit: &mut impl FnMut(Found<'_>)) {
        let Self { flows, hep, .. } = self;
        flows.finish(&mut |kind, way, at, unit: &[u8]| {
            let _ = read(hep, kind, way, at, unit, visit);
        });
    }

    fn inside(
        &mut self,
        packet: Captured<'_>,
        inside: Inside<'_>,
        depth: usize,
        visit: &mut impl FnMut(Found<'_>),
    ) -> Result<(), SetAside> {
        match inside {
            Inside::Datagram(datagram) => match tunnel::vxlan(&datagram) {
                Some(data) => self.tunneled(Captured { link: link::ETHERNET, data, ..packet }, depth, visit),
                None => self.datagram(datagram, packet.at, visit),
            },
            Inside::Segment(segment) => self.segment(segment, packet.at, visit),
            Inside::Packet(link, data) => self.tunneled(Captured { link, data, ..packet }, depth, visit),
            // The others of a cut piece can never join it, but the first one holds the head of the message.
            Inside::Piece(piece) if piece.cut && piece.offset == 0 => {
                let whole = packet::within(piece.protocol, piece.source, piece.destination, piece.payload, true)?;
                self.inside(packet, whole, depth, visit)
            }
            Inside::Piece(piece) => {
                let whole = self.fragments.add(packet.interface, &piece, packet.at).ok_or(SetAside::Fragment)?;
                let looked = packet::within(piece.protocol, piece.source, piece.destination, &whole, false)
                    .and_then(|inside| self.inside(packet, inside, depth, visit));
                self.fragments.take_back(whole);
                looked
            }
        }
    }

    fn tunneled(&mut self, packet: Captured<'_>, depth: usize, visit: &mut impl FnMut(Found<'_>)) -> Result<(), SetAside> {
        if depth == tunnel::DEEPEST {
            return Err(SetAside::NotUdp);
        }
        let inside = packet::look_inside(packet.link, packet.data)?;
        self.inside(packet, inside, depth + 1, visit)
    }

    fn datagram(&mut self, datagram: Datagram<'_>, captured_at: Timestamp, visit: &mut impl FnMut(Found<'_>)) -> Result<(), SetAside> {
        let Datagram { source, destination, payload, cut } = datagram;
        if looks_like_sip(payload) {
            visit(Found { message: Message { captured_at, source, destination, correlation: None, payload }, cut, agent: None });
            return Ok(());
        }
        if !hep::may_be_frame(payload) {
            return Err(SetAside::NotSip);
        }
        let mut visit = |found: Found<'_>| visit(Found { cut: found.cut || cut, ..found });
        self.hep.read(payload, (source, destination), || captured_at, &mut visit)
    }

    fn segment(&mut self, segment: Segment<'_>, at: Timestamp, visit: &mut impl FnMut(Found<'_>)) -> Result<(), SetAside> {
        let Self { flows, hep, .. } = self;
        let mut aside = Ok(());
        let mut found = false;
        flows.add(&segment, at, &mut |kind, way, at, unit: &[u8]| match read(hep, kind, way, at, unit, visit) {
            Ok(()) => found = true,
            Err(reason) => aside = Err(reason),
        })?;
        if found { Ok(()) } else { aside }
    }
}

/// A unit of a stream as the message in it.
fn read(
    hep: &mut hep::Reader,
    kind: Kind,
    (source, destination): (SocketAddr, SocketAddr),
    captured_at: Timestamp,
    payload: &[u8],
    visit: &mut impl FnMut(Found<'_>),
) -> Result<(), SetAside> {
    match kind {
        Kind::Hep => hep.read(payload, (source, destination), || captured_at, visit),
        Kind::Sip => {
            visit(Found { message: Message { captured_at, source, destination, correlation: None, payload }, cut: false, agent: None });
            Ok(())
        }
    }
}
