//! HEPv1 and v2: eight octets, two addresses, in v2 a time, then the message (Kamailio, `sipcapture/hep.h`).
//!
//! The one invariant: nothing that senders disagree about is believed. The time is a C structure as it lay in memory: 10
//! octets or 12, in the byte order of its machine; the octet for the header's length counts it in or does not. So the
//! message begins where a start line does, and the order is the one in which the time is near now.

use super::{Content, Frame, HepError, Packing};
use crate::sources::looks_like_sip;
use crate::sources::start_line::begins_known;
use crate::units::Timestamp;
use std::net::{IpAddr, SocketAddr};

/// A time that is further off than this is none, in microseconds: a day.
const FAR_MICROS: i64 = 86_400_000_000;

/// Whether a datagram begins like one of these versions: number, length, address family.
pub(super) const fn is_old(datagram: &[u8]) -> bool {
    matches!(datagram, [1 | 2, _, 2 | 10, ..])
}

/// Decodes one datagram that [`is_old`].
///
/// # Errors
/// When it ends before a message can begin.
pub(super) fn decode(datagram: &[u8], now: impl FnOnce() -> Timestamp) -> Result<Frame<'_>, HepError> {
    let cut_short = HepError::FrameLength { found: datagram.len() };
    let (&[version, stated, family, transport, sh, sl, dh, dl], rest) = datagram.split_first_chunk().ok_or(cut_short)?;
    let (source, destination, rest) = if family == 2 {
        let (&addresses, rest) = rest.split_first_chunk::<8>().ok_or(cut_short)?;
        let [a, b, c, d, e, f, g, h] = addresses;
        (IpAddr::from([a, b, c, d]), IpAddr::from([e, f, g, h]), rest)
    } else {
        let (&from, rest) = rest.split_first_chunk::<16>().ok_or(cut_short)?;
        let (&to, rest) = rest.split_first_chunk::<16>().ok_or(cut_short)?;
        (IpAddr::from(from), IpAddr::from(to), rest)
    };
    // OpenSIPS fills up with zeros.
    let end = rest.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let before = datagram.len() - rest.len();
    let header = header(version, usize::from(stated).checked_sub(before), &rest[..end]);
    let payload = rest.get(header..end).ok_or(cut_short)?;
    Ok(Frame {
        source: Some(SocketAddr::new(source, u16::from_be_bytes([sh, sl]))),
        destination: Some(SocketAddr::new(destination, u16::from_be_bytes([dh, dl]))),
        transport: Some(transport),
        captured_at: rest.first_chunk::<8>().filter(|_| header > 0).and_then(|time| near(*time, now())),
        content: Content::Sip,
        auth_key: None,
        agent_id: None,
        correlation: None,
        payload,
        packing: Packing::Plain,
        cut: false,
    })
}

/// How many octets the time has. A start line tells; in a piece that begins mid-message there is none, and then the
/// header's length as the frame has it (`stated`, without what comes before) may tell, else the sender is taken for C.
fn header(version: u8, stated: Option<usize>, rest: &[u8]) -> usize {
    let begins = |at: usize| rest.get(at..).is_some_and(looks_like_sip);
    let known = |at: usize| rest.get(at..).is_some_and(begins_known);
    let places: &[usize] = if version == 1 { &[0] } else { &[10, 12, 0] };
    // Two octets of padding may look like the beginning of a longer method, and a method's end like one.
    let found = places.iter().find(|at| known(**at)).or_else(|| places.iter().find(|at| begins(**at)));
    match (found, stated) {
        (Some(at), _) => *at,
        _ if version == 1 => 0,
        (None, Some(10)) => 10,
        (None, _) => 12,
    }
}

/// Seconds and microseconds in the byte order in which they are near now; `None` where they are in neither.
fn near([a, b, c, d, e, f, g, h]: [u8; 8], now: Timestamp) -> Option<Timestamp> {
    let little = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
    let big = (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]));
    let times = [little, big].into_iter().filter(|(_, micros)| *micros < 1_000_000);
    let off = |time: &Timestamp| now.since(*time).saturating_abs();
    times.map(|(seconds, micros)| Timestamp::from_parts(seconds, micros)).filter(|time| off(time) <= FAR_MICROS).min_by_key(off)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIP: &[u8] = b"BYE sip:a@192.0.2.2 SIP/2.0\r\n\r\n";

    fn now() -> Timestamp {
        Timestamp::parse_rfc3339("2026-01-01T00:00:07Z").unwrap()
    }

    /// 192.0.2.1:5060 to 192.0.2.2:5080.
    fn frame(version: u8, length: u8, time: &[u8], payload: &[u8]) -> Vec<u8> {
        [[version, length, 2, 17, 0x13, 0xc4, 0x13, 0xd8, 192, 0, 2, 1, 192, 0, 2, 2].as_slice(), time, payload].concat()
    }

    fn check(datagram: &[u8], payload: &[u8], at: Option<&str>) {
        let read = decode(datagram, now).unwrap();
        assert_eq!(read.payload.escape_ascii().to_string(), payload.escape_ascii().to_string());
        assert_eq!(read.source, Some("192.0.2.1:5060".parse().unwrap()));
        assert_eq!(read.destination, Some("192.0.2.2:5080".parse().unwrap()));
        assert_eq!(read.captured_at, at.and_then(Timestamp::parse_rfc3339));
    }

    #[test]
    fn times_of_ten_and_twelve_octets_in_both_orders_are_read() {
        let (little, big) = ([0x01, 0xb9, 0x55, 0x69, 0x90, 0xd0, 0x03, 0], [0x69, 0x55, 0xb9, 0x01, 0, 0x03, 0xd0, 0x90]);
        let at = Some("2026-01-01T00:00:01.250Z");
        for length in [16, 26, 28, 0, 255] {
            for (time, id) in [(little, [7_u8, 0]), (big, [0, 7])] {
                let short = [time.as_slice(), &id].concat();
                check(&frame(2, length, &short, SIP), SIP, at);
                for padding in [[0, 0], *b"AB", [7, 7]] {
                    check(&frame(2, length, &[short.as_slice(), &padding].concat(), SIP), SIP, at);
                }
                // A fragment that starts mid-message: only a length of 26 says that there is no padding.
                let piece = b"v=0\r\nm=audio 1 RTP/AVP 8\r\n";
                let padded = if length == 26 { short } else { [short.as_slice(), &[0, 0]].concat() };
                check(&frame(2, length, &padded, piece), piece, at);
            }
        }
        check(&frame(1, 16, &[], SIP), SIP, None);
        check(&frame(2, 16, &[], SIP), SIP, None);
        // 24 bytes of zeros behind, as OpenSIPS has them; a time that is far off in either order.
        check(&frame(2, 16, &[little.as_slice(), &[0; 4]].concat(), &[SIP, &[0; 24]].concat()), SIP, at);
        check(&frame(2, 16, &[0x77; 12], SIP), SIP, None);
    }

    #[test]
    fn six_is_read_and_what_is_short_refused() {
        let mut six = vec![2, 40, 10, 6, 0x13, 0xc4, 0x13, 0xc4];
        six.extend(
            [[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]].concat(),
        );
        six.extend([0; 12]);
        six.extend(SIP);
        let read = decode(&six, now).unwrap();
        assert_eq!((read.source, read.payload), (Some("[2001:db8::1]:5060".parse().unwrap()), SIP));
        assert_eq!(read.transport, Some(6));
        for length in 3..52 {
            assert!(is_old(&six[..length]));
            let read = decode(&six[..length], now);
            assert!(read.is_err() || read.unwrap().payload.is_empty(), "{length}");
        }
        assert!(!is_old(b"\x02\x10") && !is_old(b"HEP3") && !is_old(b"\x03\x10\x02"));
    }
}
