//! HEPv3 frames, byte by byte, and any bytes at all.

use super::*;
use proptest::prelude::*;

/// A BYE from 192.0.2.1 to 192.0.2.2, 2026-01-01 00:00:00.250 UTC, agent 2001, correlation `abc`.
const BYE: &str = "48455033008b 00000001000702 00000002000711 00000003000ac0000201 00000004000ac0000202 00000007000813c4 \
    00000008000813c4 00000009000a6955b900 0000000a000a0003d090 0000000b000701 0000000c000a000007d1 000000110009616263 \
    0000000f0025425945207369703a61403139322e302e322e32205349502f322e300d0a0d0a";

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap()).collect()
}

/// A frame of these chunks: (vendor, type, value).
fn frame(chunks: &[(u16, u16, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (vendor, chunk, value) in chunks {
        body.extend_from_slice(&vendor.to_be_bytes());
        body.extend_from_slice(&chunk.to_be_bytes());
        body.extend_from_slice(&u16::try_from(value.len() + 6).unwrap().to_be_bytes());
        body.extend_from_slice(value);
    }
    [b"HEP3".as_slice(), &u16::try_from(body.len() + 6).unwrap().to_be_bytes(), &body].concat()
}

fn check_refused(datagram: &[u8], error: HepError, reason: SetAside) {
    assert_eq!(decode(datagram), Err(error), "{}", datagram.escape_ascii());
    assert_eq!(error.reason(), reason);
}

#[test]
fn a_whole_frame_reads_as_it_was_written() {
    let datagram = bytes(BYE);
    let read = decode(&datagram).unwrap();
    assert_eq!(read.source, Some("192.0.2.1:5060".parse().unwrap()));
    assert_eq!(read.destination, Some("192.0.2.2:5060".parse().unwrap()));
    assert_eq!(read.captured_at, Timestamp::parse_rfc3339("2026-01-01T00:00:00.250Z"));
    assert_eq!((read.content, read.agent_id, read.cut), (Content::Sip, Some(2001), false));
    assert_eq!(read.correlation, Some(b"abc".as_slice()));
    assert_eq!(read.payload, b"BYE sip:a@192.0.2.2 SIP/2.0\r\n\r\n");
    let message = read.message(Timestamp::default()).unwrap();
    assert_eq!(Some(message.captured_at), read.captured_at);
}

#[test]
fn order_vendors_and_odd_transports_do_not_matter() {
    let datagram = frame(&[
        (0, 0x0f, b"SIP/2.0 200 OK\r\n\r\n"),
        (0, 0x0e, b"secret"),
        (2, 0x0f, b"another vendor's chunk"),
        (0, 0x7777, b""),
        (0, 0x02, &[22]),
        (0, 0x02, b"long"),
        (0, 0x0b, &[1]),
        (0, 0x05, &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
        (0, 0x08, &[0x13, 0xc4]),
        (0, 0x11, b""),
    ]);
    let read = decode(&datagram).unwrap();
    assert_eq!(read.payload, b"SIP/2.0 200 OK\r\n\r\n");
    assert_eq!(read.source, Some("[2001:db8::1]:0".parse().unwrap()));
    assert_eq!((read.destination, read.captured_at, read.correlation), (None, None, None));
    assert!(read.carries_key(b"secret") && !read.carries_key(b"secreT") && !read.carries_key(b"secret!") && !read.carries_key(b""));
    let arrived_at = Timestamp::from_parts(7, 0);
    let message = read.message(arrived_at).unwrap();
    assert_eq!((message.captured_at, message.destination), (arrived_at, "0.0.0.0:0".parse().unwrap()));
}

#[test]
fn lengths_that_lie_are_malformed() {
    let chunk = |lie: u16| {
        let mut datagram = frame(&[(0, 0x0b, &[1]), (0, 0x0f, b"BYE")]);
        datagram[17..19].copy_from_slice(&lie.to_be_bytes());
        datagram
    };
    assert!(decode(&chunk(9)).is_ok());
    for lie in [0, 5, 10, 0xffff] {
        let error = HepError::ChunkBounds { chunk: 0x0f, found: usize::from(lie), left: 9 };
        check_refused(&chunk(lie), error, SetAside::HepMalformed);
    }
    check_refused(b"HEP3\0\x05", HepError::FrameLength { found: 5 }, SetAside::HepMalformed);
    check_refused(b"HEP3", HepError::FrameLength { found: 4 }, SetAside::HepMalformed);
    check_refused(&frame(&[]), HepError::Missing { chunk: 0x0b }, SetAside::HepMalformed);
    check_refused(&frame(&[(0, 0x0b, &[1])]), HepError::Missing { chunk: 0x0f }, SetAside::HepMalformed);
    let wide = HepError::ChunkLength { chunk: 0x0b, found: 2, expected: 1 };
    check_refused(&frame(&[(0, 0x0b, &[0, 1])]), wide, SetAside::HepMalformed);
    check_refused(b"HEP3\0\x09\0\0\0", HepError::ChunkBounds { chunk: 0, found: 3, left: 3 }, SetAside::HepMalformed);
}

#[test]
fn other_versions_and_other_contents_are_named() {
    check_refused(b"\x01\x10\x02\x11....", HepError::Version(1), SetAside::HepVersion);
    check_refused(b"\x02\x10\x0a\x11....", HepError::Version(2), SetAside::HepVersion);
    check_refused(b"EEP1\0\x10", HepError::Version(0), SetAside::HepVersion);
    check_refused(b"", HepError::NotHep, SetAside::NotSip);
    check_refused(b"hello", HepError::NotHep, SetAside::NotSip);
    let packed = frame(&[(0, 0x0b, &[1]), (0, 0x10, b"\x78\x9c")]);
    check_refused(&packed, HepError::Compressed, SetAside::HepCompressed);
    let rtcp = frame(&[(0, 0x0b, &[5]), (0, 0x0f, b"{}")]);
    let read = decode(&rtcp).unwrap();
    assert_eq!(read.content, Content::Other(5));
    assert!(read.message(Timestamp::default()).is_none());
}

#[test]
fn a_frame_cut_by_its_sender_keeps_what_arrived() {
    let datagram = bytes(BYE);
    let read = decode(&datagram[..datagram.len() - 4]).unwrap();
    assert_eq!((read.payload, read.cut), (b"BYE sip:a@192.0.2.2 SIP/2.0".as_slice(), true));
    // Cut before the payload: there is nothing left to meter.
    assert_eq!(decode(&datagram[..60]), Err(HepError::Missing { chunk: 0x0b }));
    // Surplus bytes behind the frame are not the frame's.
    let padded = [datagram.as_slice(), &[0; 8]].concat();
    assert!(!decode(&padded).unwrap().cut);
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(tail in proptest::collection::vec(any::<u8>(), 0..400), magic in any::<bool>()) {
        let datagram = if magic { [MAGIC.as_slice(), &tail].concat() } else { tail };
        if let Ok(read) = decode(&datagram) {
            prop_assert!(read.payload.len() <= datagram.len());
        }
    }

    #[test]
    fn any_cut_and_any_changed_byte_are_survived(end in 0usize..139, at in 0usize..139, byte in any::<u8>()) {
        let mut datagram = bytes(BYE);
        datagram[at] = byte;
        let _ = decode(&datagram);
        let _ = decode(&datagram[..end]);
    }
}
