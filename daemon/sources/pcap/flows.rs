//! TCP streams put together from their segments (RFC 9293), each direction by itself.
//!
//! The one invariant: the bytes of a stream are read in order and once, however often and in whatever order its segments
//! come; and what is kept is bounded by number, by bytes and by age in capture time. A gap that is not filled in time is
//! passed over: the capture missed it, and the message it belongs to is lost, not the stream.

use super::packet::Segment;
use crate::sources::stream::{Kind, Stream};
use crate::sources::{SetAside, hep, looks_like_sip};
use crate::units::Timestamp;
use std::collections::HashMap;
use std::net::SocketAddr;

/// Streams followed at once that have carried a message.
const MOST_PROVEN: usize = 4096;
/// Streams followed at once that have not yet: any connection of any program.
const MOST_UNPROVEN: usize = 1024;
/// Bytes kept of all streams.
const MOST_BYTES: usize = 16 << 20;
/// Segments and bytes kept of one stream that came before what they follow.
const MOST_AHEAD: usize = 128;
const MOST_BYTES_AHEAD: usize = 256 << 10;
/// How far a sequence number may be ahead: further is another connection, of which the beginning was not seen.
const WINDOW: u32 = 4 << 20;
/// How long a gap is waited for, in capture time: retransmissions come within seconds.
const PATIENCE_MICROS: i64 = 5_000_000;
/// Gaps are looked through this often.
const LOOK_MICROS: i64 = 1_000_000;

/// From whom to whom.
pub(super) type Way = (SocketAddr, SocketAddr);

/// The streams that are followed.
#[derive(Debug, Default)]
pub(super) struct Flows {
    open: HashMap<Way, Flow>,
    proven: usize,
    bytes: usize,
    gaps: usize,
    next_look: Timestamp,
    lost: u64,
}

#[derive(Debug)]
struct Flow {
    stream: Stream,
    /// The sequence number that comes next.
    next: u32,
    ahead: Vec<Ahead>,
    bytes_ahead: usize,
    /// Since when something is ahead.
    gap_since: Timestamp,
    last: Timestamp,
    end: Option<u32>,
    proven: bool,
}

#[derive(Debug)]
struct Ahead {
    sequence: u32,
    at: Timestamp,
    bytes: Box<[u8]>,
}

/// Hears of each unit: what it is, which way it went, when it was complete.
pub(super) trait Hear: FnMut(Kind, Way, Timestamp, &[u8]) {}
impl<F: FnMut(Kind, Way, Timestamp, &[u8])> Hear for F {}

impl Flows {
    /// Gaps that were passed over since the beginning.
    pub const fn lost(&self) -> u64 {
        self.lost
    }

    /// Takes a segment, and hands on what it completes.
    ///
    /// # Errors
    /// When it completes nothing.
    pub fn add(&mut self, segment: &Segment<'_>, at: Timestamp, hear: &mut impl Hear) -> Result<(), SetAside> {
        if self.gaps > 0 && at.since(self.next_look).abs() >= LOOK_MICROS {
            self.next_look = at;
            self.pass_over_gaps(at, hear);
        }
        let way = (segment.source, segment.destination);
        if segment.opens {
            self.forget(way);
            self.make_room();
            self.open.insert(way, Flow::new(Stream::default(), segment.sequence.wrapping_add(1), at));
        } else if !self.open.contains_key(&way) {
            match segment.payload {
                [] => return Err(SetAside::Segment),
                bytes if !may_hold_start(bytes) => return Err(SetAside::NotSip),
                _ => {
                    self.make_room();
                    self.open.insert(way, Flow::new(Stream::midway(), segment.sequence, at));
                }
            }
        }
        let Some(flow) = self.open.get_mut(&way) else { return Err(SetAside::Segment) };
        let before = (flow.kept(), !flow.ahead.is_empty());
        let sequence = segment.sequence.wrapping_add(u32::from(segment.opens));
        let (mut units, mut foreign) = flow.take(way, sequence, segment.payload, at, hear);
        if segment.cut && !segment.payload.is_empty() {
            // How much is missing is not known: what follows shows it.
            flow.stream.lose();
        }
        if segment.closes {
            flow.end = Some(sequence.wrapping_add(u32::try_from(segment.payload.len()).unwrap_or(u32::MAX)));
        }
        while flow.ahead.len() > MOST_AHEAD || flow.bytes_ahead > MOST_BYTES_AHEAD {
            let passed = flow.pass_over(way, hear);
            (units, foreign) = (units + passed.0, foreign + passed.1);
            self.lost += 1;
        }
        let ends = segment.breaks || (flow.end == Some(flow.next) && flow.ahead.is_empty());
        let stranger = !flow.proven && units == 0 && foreign > 0 && flow.stream.held().is_empty();
        self.proven += usize::from(units > 0 && !flow.proven);
        flow.proven |= units > 0;
        self.account(way, before);
        if ends || stranger {
            self.forget(way);
        }
        self.make_room();
        match units {
            0 if foreign > 0 => Err(SetAside::NotSip),
            0 => Err(SetAside::Segment),
            _ => Ok(()),
        }
    }

    /// Gaps that have waited too long are passed over.
    pub fn pass_over_gaps(&mut self, now: Timestamp, hear: &mut impl Hear) {
        let waits = |flow: &Flow| !flow.ahead.is_empty() && now.since(flow.gap_since).abs() >= PATIENCE_MICROS;
        let ways: Vec<Way> = self.open.iter().filter(|(_, flow)| waits(flow)).map(|(way, _)| *way).collect();
        self.pass_over(ways, hear);
    }

    /// Nothing comes any more: what lies behind gaps is handed on.
    pub fn finish(&mut self, hear: &mut impl Hear) {
        let mut ways: Vec<Way> = self.open.iter().filter(|(_, flow)| !flow.ahead.is_empty()).map(|(way, _)| *way).collect();
        ways.sort_unstable();
        self.pass_over(ways, hear);
    }

    fn pass_over(&mut self, ways: Vec<Way>, hear: &mut impl Hear) {
        for way in ways {
            let Some(flow) = self.open.get_mut(&way) else { continue };
            let before = (flow.kept(), true);
            let mut units = 0;
            while !flow.ahead.is_empty() {
                units += flow.pass_over(way, hear).0;
                self.lost += 1;
            }
            self.proven += usize::from(units > 0 && !flow.proven);
            flow.proven |= units > 0;
            self.account(way, before);
        }
    }

    /// Counts what changed of a stream.
    fn account(&mut self, way: Way, (kept, gap): (usize, bool)) {
        let (now, still) = self.open.get(&way).map_or((0, false), |flow| (flow.kept(), !flow.ahead.is_empty()));
        self.bytes = (self.bytes + now).saturating_sub(kept);
        self.gaps = (self.gaps + usize::from(still)).saturating_sub(usize::from(gap));
    }

    fn forget(&mut self, way: Way) {
        if let Some(flow) = self.open.remove(&way) {
            self.bytes = self.bytes.saturating_sub(flow.kept());
            self.gaps = self.gaps.saturating_sub(usize::from(!flow.ahead.is_empty()));
            self.proven = self.proven.saturating_sub(usize::from(flow.proven));
        }
    }

    /// Forgets streams that were silent for longest, where there are too many or they keep too much: an eighth at once, so
    /// that looking for them costs little.
    fn make_room(&mut self) {
        loop {
            let over: fn(&Flow) -> bool = if self.bytes > MOST_BYTES {
                |flow| flow.kept() > 0
            } else if self.proven > MOST_PROVEN {
                |flow| flow.proven
            } else if self.open.len() - self.proven >= MOST_UNPROVEN {
                |flow| !flow.proven
            } else {
                return;
            };
            let mut ways: Vec<_> = self.open.iter().filter(|(_, flow)| over(flow)).map(|(way, flow)| (flow.last, *way)).collect();
            ways.sort_unstable();
            for (_, way) in ways.iter().take(ways.len() / 8 + 1) {
                self.forget(*way);
            }
        }
    }
}

impl Flow {
    fn new(stream: Stream, next: u32, at: Timestamp) -> Self {
        Self { stream, next, ahead: Vec::new(), bytes_ahead: 0, gap_since: at, last: at, end: None, proven: false }
    }

    fn kept(&self) -> usize {
        self.stream.held().len() + self.bytes_ahead
    }

    /// Takes bytes from this sequence number on, and what then follows of those that came before. Gives how many units came
    /// of it, and how many bytes were no part of any.
    fn take(&mut self, way: Way, sequence: u32, bytes: &[u8], at: Timestamp, hear: &mut impl Hear) -> (usize, usize) {
        self.last = at;
        if bytes.is_empty() {
            return (0, 0);
        }
        let ahead = sequence.wrapping_sub(self.next);
        let behind = self.next.wrapping_sub(sequence);
        if (1..WINDOW).contains(&ahead) {
            if self.ahead.is_empty() {
                self.gap_since = at;
            }
            self.keep(sequence, bytes, at);
            return (0, 0);
        }
        let fresh = if behind < WINDOW {
            let Some(fresh) = usize::try_from(behind).ok().and_then(|behind| bytes.get(behind..)).filter(|fresh| !fresh.is_empty()) else {
                return (0, 0);
            };
            fresh
        } else {
            // Another connection between the same ports.
            (self.stream, self.ahead, self.bytes_ahead) = (Stream::midway(), Vec::new(), 0);
            self.next = sequence;
            bytes
        };
        let (mut units, mut foreign) = self.push(way, fresh, at, hear);
        while let Some(place) = self.ahead.iter().position(|ahead| ahead.sequence.wrapping_sub(self.next).wrapping_sub(1) >= WINDOW) {
            let Ahead { sequence, bytes, .. } = self.ahead.swap_remove(place);
            self.bytes_ahead -= bytes.len();
            let behind = usize::try_from(self.next.wrapping_sub(sequence)).unwrap_or(usize::MAX);
            if let Some(fresh) = bytes.get(behind..).filter(|fresh| !fresh.is_empty()) {
                let pushed = self.push(way, fresh, at, hear);
                (units, foreign) = (units + pushed.0, foreign + pushed.1);
            }
        }
        self.stream.shrink();
        (units, foreign)
    }

    fn keep(&mut self, sequence: u32, bytes: &[u8], at: Timestamp) {
        if let Some(same) = self.ahead.iter_mut().find(|ahead| ahead.sequence == sequence) {
            if same.bytes.len() >= bytes.len() {
                return;
            }
            self.bytes_ahead -= same.bytes.len();
            same.bytes = bytes.into();
        } else {
            self.ahead.push(Ahead { sequence, at, bytes: bytes.into() });
        }
        self.bytes_ahead += bytes.len();
    }

    fn push(&mut self, way: Way, bytes: &[u8], at: Timestamp, hear: &mut impl Hear) -> (usize, usize) {
        self.next = self.next.wrapping_add(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        let pushed = self.stream.push(bytes, &mut |kind, unit| hear(kind, way, at, unit));
        (pushed.units, pushed.foreign)
    }

    /// Passes over the gap before what came first of what is ahead. Its time is its own: nobody waited for the gap but we.
    fn pass_over(&mut self, way: Way, hear: &mut impl Hear) -> (usize, usize) {
        let nearest = self.ahead.iter().enumerate().min_by_key(|(_, ahead)| ahead.sequence.wrapping_sub(self.next));
        let Some(place) = nearest.map(|(place, _)| place) else { return (0, 0) };
        let Ahead { sequence, at, bytes } = self.ahead.swap_remove(place);
        self.bytes_ahead -= bytes.len();
        self.stream.lose();
        self.next = sequence;
        let last = self.last;
        let taken = self.take(way, sequence, &bytes, at, hear);
        (self.last, self.gap_since) = (last, last);
        taken
    }
}

/// Whether bytes of a connection whose beginning was not seen may hold the start of a unit.
fn may_hold_start(bytes: &[u8]) -> bool {
    looks_like_sip(bytes) || bytes.starts_with(hep::MAGIC) || memchr::memmem::find(bytes, b"SIP/2.0").is_some()
}
