//! IP datagrams put together from their fragments (RFC 791 §3.2, RFC 8200 §4.5).
//!
//! The one invariant: what is kept is bounded by number, by bytes and by age in capture time, whatever a file holds; the
//! oldest goes first. Pieces that overlap without being the same spoil their datagram (RFC 5722), so nobody can choose
//! which of two texts we read.

use super::packet::Piece;
use crate::units::Timestamp;
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

/// Datagrams kept open at once.
const MOST_OPEN: usize = 1024;
/// Bytes kept in them.
const MOST_BYTES: usize = 4 << 20;
/// Pieces of one datagram: the largest needs 45 of an Ethernet.
const MOST_PIECES: usize = 128;
/// The largest datagram.
const LARGEST: usize = 65_535;
/// How long pieces wait for each other, in capture time (Linux, `ipfrag_time`).
const PATIENCE_MICROS: i64 = 30_000_000;

/// The datagrams of which pieces are missing. Can be carried on from one file of a series to the next.
#[derive(Debug, Default)]
pub struct Fragments {
    open: BTreeMap<Key, Partial>,
    /// In the order they were opened; those finished since are passed over.
    order: VecDeque<(Key, u64)>,
    opened: u64,
    bytes: usize,
    newest: Timestamp,
    lost: u64,
    whole: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    id: u32,
    interface: u32,
}

#[derive(Debug)]
struct Partial {
    number: u64,
    since: Timestamp,
    pieces: Vec<(usize, Box<[u8]>)>,
    length: Option<usize>,
    held: usize,
}

impl Fragments {
    /// How many datagrams were given up: never complete in time, contradictory, or one too many.
    #[must_use]
    pub const fn lost(&self) -> u64 {
        self.lost
    }

    /// How many datagrams wait for a piece.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.open.len()
    }

    /// Takes a piece; gives the payload of the datagram it completes. When done with, it can be given back to be used again.
    pub(super) fn add(&mut self, interface: u32, piece: &Piece<'_>, at: Timestamp) -> Option<Vec<u8>> {
        self.newest = self.newest.max(at);
        let Piece { source, destination, protocol, id, .. } = *piece;
        let key = Key { source, destination, protocol, id, interface };
        if !self.open.contains_key(&key) {
            self.opened += 1;
            self.order.push_back((key, self.opened));
        }
        let partial =
            self.open.entry(key).or_insert_with(|| Partial { number: self.opened, since: at, pieces: Vec::new(), length: None, held: 0 });
        let before = partial.held;
        let fits = partial.add(piece);
        self.bytes += partial.held - before;
        match (fits, partial.is_whole()) {
            (Some(()), true) => {
                let mut pieces = self.remove(key)?.pieces;
                pieces.sort_unstable_by_key(|(offset, _)| *offset);
                let mut whole = std::mem::take(&mut self.whole);
                whole.clear();
                for (_, bytes) in &pieces {
                    whole.extend_from_slice(bytes);
                }
                Some(whole)
            }
            (Some(()), false) => {
                self.forget_old();
                None
            }
            (None, _) => {
                self.remove(key);
                self.lost += 1;
                None
            }
        }
    }

    /// Takes back what [`Self::add`] gave.
    pub(super) fn take_back(&mut self, whole: Vec<u8>) {
        self.whole = whole;
    }

    fn remove(&mut self, key: Key) -> Option<Partial> {
        let partial = self.open.remove(&key)?;
        self.bytes -= partial.held;
        Some(partial)
    }

    /// Gives up the oldest while there are too many, too large or too old ones.
    fn forget_old(&mut self) {
        while let Some(&(key, number)) = self.order.front() {
            let oldest = self.open.get(&key).filter(|partial| partial.number == number);
            if let Some(oldest) = oldest {
                let is_late = self.newest.since(oldest.since) > PATIENCE_MICROS;
                if !is_late && self.open.len() <= MOST_OPEN && self.bytes <= MOST_BYTES {
                    break;
                }
                self.remove(key);
                self.lost += 1;
            }
            self.order.pop_front();
        }
        if self.order.len() > 2 * MOST_OPEN {
            let open = &self.open;
            self.order.retain(|(key, number)| open.get(key).is_some_and(|partial| partial.number == *number));
        }
    }
}

impl Partial {
    /// `None` when the piece contradicts what is here, so that the datagram is spoilt.
    fn add(&mut self, piece: &Piece<'_>) -> Option<()> {
        let (start, end) = (piece.offset, piece.offset + piece.payload.len());
        let is_odd = piece.payload.is_empty() || (piece.more && !piece.payload.len().is_multiple_of(8));
        if piece.cut || is_odd || end > LARGEST {
            return None;
        }
        for (offset, bytes) in &self.pieces {
            if (*offset, bytes.len()) == (start, piece.payload.len()) {
                // The same piece again: seen on two ports, or repeated by the network.
                return Some(());
            }
            if start < offset + bytes.len() && *offset < end {
                return None;
            }
        }
        if !piece.more && self.length.replace(end).is_some_and(|other| other != end) || self.pieces.len() == MOST_PIECES {
            return None;
        }
        self.pieces.push((start, piece.payload.into()));
        self.held += piece.payload.len();
        Some(())
    }

    /// Pieces do not overlap, so they are whole when they are as long as the datagram and none lies behind its end.
    fn is_whole(&self) -> bool {
        self.length == Some(self.held) && self.pieces.iter().all(|(offset, bytes)| offset + bytes.len() <= self.held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(id: u32, offset: usize, more: bool, payload: &[u8]) -> Piece<'_> {
        let ip = IpAddr::from([192, 0, 2, 1]);
        Piece { source: ip, destination: ip, protocol: 17, id, offset, more, payload, cut: false }
    }

    /// Gives pieces of one datagram, one a second, and tells what came out of the last and how many were lost.
    fn check(pieces: &[(usize, bool, &[u8])], whole: Option<&[u8]>, lost: u64) {
        let mut fragments = Fragments::default();
        let mut found = None;
        for (second, (offset, more, payload)) in (0..).zip(pieces) {
            found = fragments.add(0, &piece(7, *offset, *more, payload), Timestamp::from_parts(second, 0));
        }
        assert_eq!((found.as_deref(), fragments.lost()), (whole, lost), "{pieces:?}");
        if whole.is_some() {
            assert_eq!((fragments.waiting(), fragments.bytes), (0, 0));
        }
    }

    #[test]
    fn pieces_in_any_order_make_the_datagram() {
        check(&[(0, true, b"01234567"), (8, false, b"89")], Some(b"0123456789"), 0);
        check(&[(8, false, b"89"), (0, true, b"01234567")], Some(b"0123456789"), 0);
        check(&[(16, false, b"x"), (0, true, b"01234567"), (0, true, b"01234567"), (8, true, b"89abcdef")], Some(b"0123456789abcdefx"), 0);
    }

    #[test]
    fn contradictions_spoil_the_datagram() {
        check(&[(0, true, b"01234567"), (16, false, b"x")], None, 0);
        check(&[(0, true, b"0123456789abcdef"), (8, false, b"x")], None, 1);
        check(&[(0, true, b"01234567"), (8, true, b"9")], None, 1);
        check(&[(0, true, b"01234567"), (16, false, b"x"), (24, false, b"y")], None, 1);
        check(&[(65_528, false, b"01234567")], None, 1);
        // As long as the datagram, but one piece lies behind its end.
        check(&[(0, true, b"01234567"), (24, true, b"01234567"), (8, false, b"01234567")], None, 0);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut fragments = Fragments::default();
        for id in 0..100_000 {
            assert!(fragments.add(0, &piece(id, 0, true, &[0; 8]), Timestamp::from_parts(1, 0)).is_none());
            assert!(fragments.waiting() <= MOST_OPEN && fragments.order.len() <= 2 * MOST_OPEN);
        }
        let mut fragments = Fragments::default();
        for id in 0..1000 {
            fragments.add(0, &piece(id, 0, true, &[0; 64_000]), Timestamp::from_parts(1, 0));
            assert!(fragments.bytes <= MOST_BYTES);
        }
        // A datagram that never completes stays in front while many others come and go.
        let mut fragments = Fragments::default();
        fragments.add(0, &piece(0, 0, true, &[0; 8]), Timestamp::from_parts(1, 0));
        for id in 1..100_000 {
            fragments.add(0, &piece(id, 0, true, &[0; 8]), Timestamp::from_parts(1, 0));
            assert!(fragments.add(0, &piece(id, 8, false, &[0; 8]), Timestamp::from_parts(1, 0)).is_some());
            assert!(fragments.order.len() <= 2 * MOST_OPEN + 1);
        }
        assert_eq!((fragments.waiting(), fragments.lost()), (1, 0));
    }

    #[test]
    fn old_pieces_are_given_up() {
        let mut fragments = Fragments::default();
        fragments.add(0, &piece(1, 0, true, &[0; 8]), Timestamp::from_parts(100, 0));
        fragments.add(0, &piece(2, 0, true, &[0; 8]), Timestamp::from_parts(131, 0));
        assert_eq!((fragments.waiting(), fragments.lost()), (1, 1));
    }
}
