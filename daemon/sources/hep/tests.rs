//! HEP, byte by byte, and any bytes at all: frames, and what a reader makes of them.

use super::*;
use crate::sources::Found;
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
    assert_eq!((read.transport, read.packing), (Some(17), Packing::Plain));
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
    assert_eq!((read.auth_key, read.transport), (Some(b"secret".as_slice()), Some(22)));
    for (key, is_same) in [(b"secret".as_slice(), true), (b"secreT", false), (b"secret!", false), (b"", false)] {
        assert_eq!(same_bytes(b"secret", key), is_same);
    }
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

/// Reads datagrams one after the other, and gives for each the messages (with `~` where cut), or why there are none.
fn read_all(reader: &mut Reader, datagrams: &[Vec<u8>]) -> Vec<Result<Vec<String>, SetAside>> {
    let between = ("192.0.2.50:9060".parse().unwrap(), "192.0.2.60:9060".parse().unwrap());
    let now = || Timestamp::parse_rfc3339("2026-01-01T00:00:03Z").unwrap();
    let each = datagrams.iter().map(|datagram| {
        let mut found = Vec::new();
        let read = reader.read(datagram, between, now, &mut |Found { message, cut, .. }| {
            found.push(format!("{}{}", String::from_utf8_lossy(message.payload), if cut { "~" } else { "" }));
        });
        assert!(read.is_ok() || found.is_empty() || found.iter().all(|text| text.ends_with('~')), "{read:?}: {found:?}");
        read.map(|()| found)
    });
    each.collect()
}

const OPTIONS: &str = "OPTIONS sip:a@b SIP/2.0\r\nCall-ID: 1\r\nContent-Length: 3\r\n\r\nabc";

/// A frame with times and addresses, over this transport, with this chunk for a payload.
fn about(transport: u8, chunk: u16, payload: &[u8]) -> Vec<u8> {
    frame(&[
        (0, 0x02, &[transport]),
        (0, 0x03, &[192, 0, 2, 1]),
        (0, 0x04, &[192, 0, 2, 2]),
        (0, 0x07, &[0x13, 0xc4]),
        (0, 0x08, &[0x13, 0xc4]),
        (0, 0x09, &[0x69, 0x55, 0xb9, 0]),
        (0, 0x0b, &[1]),
        (0, chunk, payload),
    ])
}

fn zlib(plain: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::ZlibEncoder::new(plain, flate2::Compression::best()), &mut packed).unwrap();
    packed
}

/// inputs.md, the checklist of traps, 12: a fragment that starts mid-message; a payload cut at 16,000; a declared length
/// beyond the datagram; a zlib bomb; v2 with a time of 10 or 12 octets; protocols 22 and 50.
#[test]
fn trap_12_hep_as_it_really_comes() {
    let whole = |text: &str| Ok(vec![text.to_owned()]);
    let reader = &mut Reader::default();
    // A fragment that starts mid-message: joined to its beginning, or set aside where that was never seen.
    let (begin, end) = OPTIONS.as_bytes().split_at(40);
    let read = read_all(reader, &[about(6, 0x0f, end), about(6, 0x0f, begin), about(6, 0x0f, end), about(17, 0x0f, OPTIONS.as_bytes())]);
    assert_eq!(read, [Err(SetAside::HepPiece), Err(SetAside::HepPiece), whole(OPTIONS), whole(OPTIONS)]);
    // A payload cut at 16,000: what is there counts, as soon as something else tells that no more comes.
    let long = format!("INVITE sip:a@b SIP/2.0\r\nCall-ID: 1\r\nContent-Length: 20000\r\n\r\n{}", "x".repeat(20_000));
    let read = read_all(reader, &[about(22, 0x0f, &long.as_bytes()[..16_000]), about(22, 0x0f, OPTIONS.as_bytes())]);
    assert_eq!(read[0], Err(SetAside::HepPiece));
    assert_eq!(read[1], Ok(vec![format!("{}~", &long[..16_000]), OPTIONS.to_owned()]));
    // A declared length beyond the datagram.
    for transport in [6, 17] {
        let mut short = about(transport, 0x0f, OPTIONS.as_bytes());
        short.truncate(short.len() - 2);
        assert_eq!(read_all(reader, &[short]), [Ok(vec![format!("{}~", &OPTIONS[..OPTIONS.len() - 2])])]);
    }
    // A zlib bomb, and what is just packed.
    let bomb = zlib(&vec![b'a'; 40 << 20]);
    assert!(bomb.len() < 65_000);
    let read = read_all(reader, &[about(17, 0x10, &bomb), about(17, 0x10, &zlib(OPTIONS.as_bytes())), about(17, 0x10, b"no")]);
    assert_eq!(read, [Err(SetAside::HepCompressed), whole(OPTIONS), Err(SetAside::HepCompressed)]);
    // Version 2 with a time of 10 or 12 octets, version 1, and over a stream in pieces.
    let old = |version: u8, transport: u8, time: &[u8], payload: &[u8]| {
        [[version, 16, 2, transport, 0x13, 0xc4, 0x13, 0xc4, 192, 0, 2, 1, 192, 0, 2, 2].as_slice(), time, payload].concat()
    };
    let time = [1, 0xb9, 0x55, 0x69, 0, 0, 0, 0, 0, 1, 0, 0];
    let datagrams = [
        old(2, 17, &time[..10], OPTIONS.as_bytes()),
        old(2, 17, &time, OPTIONS.as_bytes()),
        old(1, 17, &[], OPTIONS.as_bytes()),
        old(2, 6, &time, begin),
        old(2, 6, &time, end),
        old(2, 17, &time, b"\0\0\0\0"),
        old(2, 17, &time, b"no message at all"),
    ];
    let read = read_all(reader, &datagrams);
    assert_eq!(read[..3], [whole(OPTIONS), whole(OPTIONS), whole(OPTIONS)]);
    assert_eq!(read[3..], [Err(SetAside::HepPiece), whole(OPTIONS), Err(SetAside::NotSip), Err(SetAside::NotSip)]);
    // Protocols 22 and 50.
    for transport in [6, 17, 22, 50, 132] {
        assert_eq!(read_all(reader, &[about(transport, 0x0f, OPTIONS.as_bytes())]), [whole(OPTIONS)], "{transport}");
    }
}

#[test]
fn a_payload_in_an_object_is_read() {
    let object = serde_json::json!({ "correlation": { "x": 1 }, "payload": OPTIONS }).to_string();
    let read =
        read_all(&mut Reader::default(), &[about(17, 0x0f, object.as_bytes()), about(6, 0x0f, object.as_bytes()), about(17, 0x0f, b"{}")]);
    assert_eq!(read, [Ok(vec![OPTIONS.to_owned()]), Ok(vec![OPTIONS.to_owned()]), Err(SetAside::HepMalformed)]);
}

#[test]
fn with_a_key_nothing_counts_that_does_not_carry_it() {
    let keyed = |key: &[u8]| frame(&[(0, 0x0b, &[1]), (0, 0x0e, key), (0, 0x0f, OPTIONS.as_bytes())]);
    let old = [[1, 16, 2, 17, 0x13, 0xc4, 0x13, 0xc4, 192, 0, 2, 1, 192, 0, 2, 2].as_slice(), OPTIONS.as_bytes()].concat();
    let all = [keyed(b"secret"), keyed(b"wrong"), about(17, 0x0f, OPTIONS.as_bytes()), old, OPTIONS.as_bytes().to_vec(), b"x".to_vec()];
    let refused = || Err(SetAside::HepKey);
    let read = read_all(&mut Reader::new(Some(b"secret"), Bare::Siptrace), &all);
    assert_eq!(read, [Ok(vec![OPTIONS.to_owned()]), refused(), refused(), refused(), refused(), Err(SetAside::NotSip)]);
    let read = read_all(&mut Reader::new(None, Bare::AsSent), &all);
    assert_eq!(read.iter().filter(|read| read.is_ok()).count(), 5);
}

#[test]
fn a_bare_copy_went_where_its_proxy_says() {
    let copy = b"BYE sip:a SIP/2.0\r\nX-Siptrace-Fromip: udp:192.0.2.1:5062\r\nX-Siptrace-Toip: udp:192.0.2.2:5060\r\n\
        X-Siptrace-Time: 1767225600 250000\r\nX-Siptrace-Method: BYE\r\nX-Siptrace-Dir: in\r\n\r\n";
    let between = ("192.0.2.50:5060".parse().unwrap(), "192.0.2.60:9060".parse().unwrap());
    for (bare, source, at) in [(Bare::AsSent, "192.0.2.50:5060", 7_000_000), (Bare::Siptrace, "192.0.2.1:5062", 1_767_225_600_250_000)] {
        let mut heard = None;
        let now = || Timestamp::from_parts(7, 0);
        let read = Reader::new(None, bare)
            .read(copy, between, now, &mut |found| heard = Some((found.message.source, found.message.captured_at.micros())));
        assert_eq!((read, heard), (Ok(()), Some((source.parse().unwrap(), at))));
    }
}

proptest! {
    #[test]
    fn a_reader_survives_any_frames(
        frames in proptest::collection::vec((0u8..4, 0u8..7, proptest::collection::vec(any::<u8>(), 0..80), any::<bool>()), 0..40),
    ) {
        let mut reader = Reader::default();
        for (kind, transport, noise, sip) in frames {
            let payload = if sip { [&OPTIONS.as_bytes()[..noise.len().min(OPTIONS.len())], &noise].concat() } else { noise };
            let datagram = match kind {
                0 => about(transport, 0x0f, &payload),
                1 => about(transport, 0x10, &payload),
                2 => [[2, 16, 2, transport].as_slice(), &payload].concat(),
                _ => payload,
            };
            read_all(&mut reader, &[datagram]);
        }
    }
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
