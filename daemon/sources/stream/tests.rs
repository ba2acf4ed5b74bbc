//! What stands at the front of a stream, and any stream in any pieces.

use super::*;
use proptest::prelude::*;

fn invite(body: &str) -> Vec<u8> {
    format!("INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP h\r\nCall-ID: x\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

fn hep(payload: usize) -> Vec<u8> {
    let length = u16::try_from(6 + payload).unwrap().to_be_bytes();
    [b"HEP3".as_slice(), &length, &vec![b'\n'; payload]].concat()
}

/// Pushes pieces, and gives the units, and how many bytes belonged to none.
fn read(stream: &mut Stream, pieces: &[&[u8]]) -> (Vec<Vec<u8>>, usize) {
    let (mut units, mut foreign) = (Vec::new(), 0);
    for piece in pieces {
        foreign += stream.push(piece, &mut |_, unit| units.push(unit.to_vec())).foreign;
        assert!(stream.held().len() <= LARGEST + piece.len());
    }
    (units, foreign)
}

#[test]
fn lengths_frame_a_stream() {
    let whole = invite("v=0\r\n\r\nm=audio\r\n");
    let length = whole.len();
    for (bytes, expected) in [
        (whole.clone(), Front::Whole(Kind::Sip, length)),
        ([whole.clone(), b"BYE".to_vec()].concat(), Front::Whole(Kind::Sip, length)),
        (whole[..length - 1].to_vec(), Front::Short(length)),
        (whole[..60].to_vec(), Front::Short(61)),
        (whole[..7].to_vec(), Front::Short(8)),
        (b"SIP/2.".to_vec(), Front::Short(7)),
        (b"\r\n\r\n".to_vec(), Front::Blank(4)),
        (b"SIP/2.0 200 OK\nl : 2\n\nabc".to_vec(), Front::Whole(Kind::Sip, 24)),
        (b"SIP/2.0 200 OK\r\n\r\n".to_vec(), Front::Whole(Kind::Sip, 18)),
        (b"SIP/2.0 200 OK\r\nContent-Length: 1\r\nl: 1\r\n\r\nx".to_vec(), Front::Whole(Kind::Sip, 44)),
        (b"SIP/2.0 200 OK\r\nContent-Length: 1\r\nl: 2\r\n\r\nx".to_vec(), Front::Foreign),
        (b"SIP/2.0 200 OK\r\nContent-Length: -1\r\n\r\n".to_vec(), Front::Foreign),
        (b"SIP/2.0 200 OK\r\nContent-Length: 65535\r\n\r\n".to_vec(), Front::Foreign),
        (b"SIP/2.0 200 OK\r\nContent-Length: 99999999999\r\n\r\n".to_vec(), Front::Foreign),
        (hep(3), Front::Whole(Kind::Hep, 9)),
        (hep(3)[..8].to_vec(), Front::Short(9)),
        (b"HEP3\0".to_vec(), Front::Short(6)),
        (b"HEP".to_vec(), Front::Short(4)),
        (b"HEP3\0\x05".to_vec(), Front::Foreign),
        (b"GET / HTTP/1.1\r\n".to_vec(), Front::Foreign),
        (b"\x16\x03\x01".to_vec(), Front::Foreign),
        (b"hello".to_vec(), Front::Foreign),
        (vec![b'A'; 33], Front::Foreign),
    ] {
        assert_eq!(front(&bytes), expected, "{}", bytes.escape_ascii());
    }
    let endless = [b"INVITE sip:a@b SIP/2.0\r\n".as_slice(), &b"X: y\r\n".repeat(12_000)].concat();
    assert_eq!(front(&endless), Front::Foreign);
    assert_eq!(front(&[b"INVITE sip:".as_slice(), &[b'a'; 9_000]].concat()), Front::Foreign);
}

#[test]
fn a_stream_that_is_joined_midway_is_read_from_the_next_message_on() {
    // The end of a NOTIFY whose body is a status line, then two messages.
    let tail = b"Subscription-State: terminated\r\nContent-Length: 16\r\n\r\nSIP/2.0 200 OK\r\n";
    let (one, two) = (invite(""), invite("v=0"));
    let all = [tail.as_slice(), &one, b"\r\n\r\n", &two].concat();
    let without_line_end = [b"half a body".as_slice(), &one, &two].concat();
    for (all, tail) in [(all, tail.len()), (without_line_end, 11)] {
        for cut in 0..all.len() {
            let mut stream = Stream::midway();
            let (units, foreign) = read(&mut stream, &[&all[..cut], &all[cut..]]);
            assert_eq!(units, [one.clone(), two.clone()], "cut at {cut}");
            assert_eq!(foreign, tail);
        }
    }
}

#[test]
fn bytes_that_are_missing_cost_only_what_they_touch() {
    let (one, two) = (invite("abc"), invite("def"));
    let mut stream = Stream::default();
    let (units, _) = read(&mut stream, &[&one, &two[..50]]);
    assert_eq!(units, std::slice::from_ref(&one));
    stream.lose();
    assert!(stream.held().is_empty());
    let (units, foreign) = read(&mut stream, &[&two[60..], &hep(4), &one]);
    assert_eq!((units, foreign), (vec![hep(4), one], two.len() - 60));
}

#[test]
fn garbage_between_messages_is_passed_over() {
    let one = invite("x");
    let (units, foreign) = read(&mut Stream::default(), &[&one, b"SIP/2.0 200 OK\r\nContent-Length: no\r\n\r\n", &one, b"junk\n", &one]);
    assert_eq!((units.len(), foreign), (3, 43));
    // A line without end is not kept without end.
    let mut stream = Stream::midway();
    for _ in 0..100 {
        stream.push(&[b'x'; 1_000], &mut |_, _| panic!("there is no unit"));
        assert!(stream.held().len() < LONGEST_LINE + 1_000);
    }
}

proptest! {
    #[test]
    fn units_come_out_whole_however_the_stream_is_cut(
        units in proptest::collection::vec((0u8..4, 0usize..300), 1..12),
        cuts in proptest::collection::vec(1usize..200, 1..40),
    ) {
        let (mut all, mut expected) = (Vec::new(), Vec::new());
        for (kind, size) in units {
            match kind {
                0 => all.extend_from_slice(b"\r\n\r\n"),
                1 => expected.push(hep(size)),
                // A body that looks like the beginning of another message.
                _ => expected.push(invite(&"SIP/2.0 200 OK\r\nVia: x\r\n\r\n".repeat(20)[..size])),
            }
            if kind > 0 {
                all.extend_from_slice(expected.last().unwrap());
            }
        }
        let mut stream = Stream::default();
        let (mut found, mut rest) = (Vec::new(), all.as_slice());
        for cut in cuts.iter().cycle() {
            let (piece, after) = rest.split_at((*cut).min(rest.len()));
            let pushed = stream.push(piece, &mut |_, unit| found.push(unit.to_vec()));
            prop_assert_eq!(pushed.foreign, 0);
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(found, expected);
        prop_assert!(stream.held().is_empty());
    }

    #[test]
    fn any_bytes_are_survived_and_little_is_kept(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 0..20)) {
        let mut stream = Stream::default();
        for piece in &pieces {
            stream.push(piece, &mut |_, unit| assert!(!unit.is_empty()));
            prop_assert!(stream.held().len() <= LARGEST + 200);
        }
    }
}
