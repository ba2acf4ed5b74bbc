//! Messages that arrive in several frames: sofia-sip (FreeSWITCH, drachtio) of before June 2026 reports what one `recv` gave,
//! so a message that came over TCP may begin in one frame and go on in the next ones, which tell nothing of it
//! (freeswitch/sofia-sip#318).
//!
//! The one invariant: what is kept is bounded by number and by age; a message whose rest does not come is handed on as far as
//! it came, marked as cut, when the next one begins or another frame shows that time has passed.

use super::Frame;
use crate::sources::stream::{Front, Kind, Stream, begins_message, end_of_head, front};
use crate::sources::{Found, SetAside};
use crate::units::{Message, Timestamp};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// Messages kept at once; each may have [`crate::sources::stream::LARGEST`] bytes.
const MOST: usize = 64;
/// How long a rest is waited for, in microseconds of the frames' own time.
const PATIENCE_MICROS: i64 = 2_000_000;

type Way = (SocketAddr, SocketAddr);

/// Messages of which the end has not come yet.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    open: BTreeMap<Way, Piece>,
}

#[derive(Debug)]
struct Piece {
    stream: Stream,
    since: Timestamp,
}

/// Whether frames of a message that went this way may hold parts of it: 17 is UDP, all else a stream.
pub(super) fn may_be_torn(frame: &Frame<'_>) -> bool {
    frame.transport.is_some_and(|transport| transport != 17) && !frame.cut
}

impl Pieces {
    /// Takes the payload of a frame about a stream, and hands on what it completes. What it does not say of itself
    /// (addresses, time) is that of `message`.
    pub(super) fn take(&mut self, message: Message<'_>, visit: &mut impl FnMut(Found<'_>)) -> Result<(), SetAside> {
        let payload = message.payload;
        if self.open.is_empty() && front(payload) == Front::Whole(Kind::Sip, payload.len()) {
            visit(Found { message, cut: false, agent: None });
            return Ok(());
        }
        self.give_up_old(message.captured_at, visit);
        let way = (message.source, message.destination);
        // A body may begin with a status line (RFC 3515), a message has a header behind it.
        if begins_message(payload) {
            self.give_up(way, visit);
        } else if !self.open.contains_key(&way) && (payload.trim_ascii().is_empty() || matches!(front(payload), Front::Foreign)) {
            return Err(if payload.trim_ascii().is_empty() { SetAside::NotSip } else { SetAside::HepPiece });
        }
        if self.open.len() == MOST
            && !self.open.contains_key(&way)
            && let Some(oldest) = self.open.iter().min_by_key(|(_, piece)| piece.since).map(|(way, _)| *way)
        {
            self.give_up(oldest, visit);
        }
        let at = message.captured_at;
        let piece = self.open.entry(way).or_insert_with(|| Piece { stream: Stream::default(), since: at });
        let pushed =
            piece.stream.push(payload, &mut |_, payload| visit(Found { message: Message { payload, ..message }, cut: false, agent: None }));
        if pushed.units > 0 {
            piece.since = at;
        }
        if piece.stream.held().is_empty() {
            self.open.remove(&way);
        }
        if pushed.units > 0 { Ok(()) } else { Err(SetAside::HepPiece) }
    }

    /// Hands on what has waited for too long.
    fn give_up_old(&mut self, now: Timestamp, visit: &mut impl FnMut(Found<'_>)) {
        while let Some(way) = self.open.iter().find(|(_, piece)| now.since(piece.since).abs() > PATIENCE_MICROS).map(|(way, _)| *way) {
            self.give_up(way, visit);
        }
    }

    /// Hands on a message as far as it came, if its header did.
    fn give_up(&mut self, way: Way, visit: &mut impl FnMut(Found<'_>)) {
        let Some(piece) = self.open.remove(&way) else { return };
        let payload = piece.stream.held();
        let message = Message { captured_at: piece.since, source: way.0, destination: way.1, correlation: None, payload };
        if end_of_head(payload).is_some() {
            visit(Found { message, cut: true, agent: None });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVITE: &str = "INVITE sip:a@b SIP/2.0\r\nCall-ID: 1\r\nContent-Length: 35\r\n\r\nv=0\r\ns=a body of twenty\r\na=sendrecv";
    const BYE: &str = "BYE sip:a@b SIP/2.0\r\nCall-ID: 1\r\nContent-Length: 0\r\n\r\n";
    /// Its body is a status line.
    const NOTIFY: &str = "NOTIFY sip:a@b SIP/2.0\r\nCall-ID: 1\r\nContent-Length: 16\r\n\r\nSIP/2.0 200 OK\r\n";

    /// Gives payloads of frames, one a second unless a pause is told, and tells what came out: messages, with `~` where cut.
    fn check(payloads: &[(u32, &str)], expected: &[&str]) -> Vec<Result<(), SetAside>> {
        let mut pieces = Pieces::default();
        let (mut found, mut at) = (Vec::new(), 0);
        let outcomes = payloads.iter().map(|(pause, payload)| {
            at += pause;
            let message = Message {
                captured_at: Timestamp::from_parts(at, 0),
                source: "192.0.2.1:5060".parse().unwrap(),
                destination: "192.0.2.2:5060".parse().unwrap(),
                correlation: None,
                payload: payload.as_bytes(),
            };
            pieces.take(message, &mut |Found { message, cut, .. }| {
                found.push(format!("{}{}", String::from_utf8_lossy(message.payload), if cut { "~" } else { "" }));
            })
        });
        let outcomes = outcomes.collect();
        assert_eq!(found, expected);
        outcomes
    }

    #[test]
    fn pieces_of_a_message_make_it_whole() {
        let whole = [INVITE, BYE, NOTIFY].concat();
        assert_eq!(check(&[(0, INVITE), (0, BYE)], &[INVITE, BYE]), [Ok(()), Ok(())]);
        check(&[(0, &whole)], &[INVITE, BYE, NOTIFY]);
        for cut in 24..INVITE.len() {
            check(&[(0, &INVITE[..cut]), (1, &INVITE[cut..]), (0, BYE)], &[INVITE, BYE]);
            check(&[(0, &INVITE[..cut]), (1, &whole[cut..])], &[INVITE, BYE, NOTIFY]);
        }
        let at = NOTIFY.len() - 16;
        check(&[(0, &NOTIFY[..at]), (0, &NOTIFY[at..]), (0, BYE)], &[NOTIFY, BYE]);
    }

    #[test]
    fn a_rest_that_does_not_come_cuts_its_message_only() {
        let (begun, cut) = (&INVITE[..80], format!("{}~", &INVITE[..80]));
        check(&[(0, begun), (0, BYE)], &[&cut, BYE]);
        // Too late, its rest is the middle of something unknown.
        let late = check(&[(0, begun), (3, &INVITE[80..]), (0, BYE)], &[&cut, BYE]);
        assert_eq!(late, [Err(SetAside::HepPiece), Err(SetAside::HepPiece), Ok(())]);
        // Not even its header came.
        check(&[(0, &INVITE[..40]), (0, BYE)], &[BYE]);
        assert_eq!(check(&[(0, "a=sendrecv\r\n"), (0, "\r\n\r\n")], &[]), [Err(SetAside::HepPiece), Err(SetAside::NotSip)]);
    }

    #[test]
    fn no_more_than_so_many_are_kept() {
        let mut pieces = Pieces::default();
        for port in 0..1_000 {
            let message = Message {
                captured_at: Timestamp::from_parts(0, u32::from(port)),
                source: ([192, 0, 2, 1], port).into(),
                destination: ([192, 0, 2, 2], 5060).into(),
                correlation: None,
                payload: &INVITE.as_bytes()[..50],
            };
            assert_eq!(pieces.take(message, &mut |_| panic!("none is whole")), Err(SetAside::HepPiece));
            assert!(pieces.open.len() <= MOST);
        }
    }
}
