//! SIP over TCP in captures: whatever the segments, each message comes out once and byte for byte.

use super::build::{FIN, RST, SIP, SYN, ethernet, ipv4_of, ipv4_pieces_of, ipv6, pcap, tcp};
use super::{Whole, read_all};
use crate::sources::SetAside;
use proptest::prelude::*;

fn packet(segment: &[u8]) -> Vec<u8> {
    ethernet(0x0800, &ipv4_of(6, segment))
}

fn message(number: usize, body: usize) -> Vec<u8> {
    let body = "v=0\r\nSIP/2.0 200 OK\r\n\r\n".repeat(body / 20 + 1)[..body].to_owned();
    format!("INFO sip:{number}@b SIP/2.0\r\nCall-ID: {number}\r\nContent-Length: {body}\r\n\r\n{text}", body = body.len(), text = body)
        .into_bytes()
}

/// Reads packets, and expects these messages.
fn check(packets: &[Vec<u8>], expected: &[Vec<u8>]) -> Whole {
    let whole = read_all(pcap(1, packets).as_slice());
    let found: Vec<Vec<u8>> = whole.messages.iter().map(|(_, _, _, payload)| payload.clone()).collect();
    let text = |all: &[Vec<u8>]| all.iter().map(|one| one.escape_ascii().to_string()).collect::<Vec<_>>();
    assert_eq!(text(&found), text(expected));
    whole
}

#[test]
fn messages_come_in_one_segment_and_in_many() {
    let (one, two, three) = (message(1, 0), message(2, 300), message(3, 7));
    let all = [one.as_slice(), b"\r\n\r\n", &two, &three].concat();
    let expected = [one, two, three];
    let whole = check(&[packet(&tcp(99, SYN, b"")), packet(&tcp(100, 0, &all)), packet(&tcp(100, FIN, &all))], &expected);
    assert_eq!(whole.counters.further, 2);
    assert_eq!(whole.counters.set_aside.get(SetAside::Segment), 2);
    // The sequence number goes around.
    for begin in [0, u32::MAX - 20, u32::MAX] {
        let mut packets = vec![packet(&tcp(begin, SYN, b""))];
        for (place, octet) in all.iter().enumerate() {
            packets.push(packet(&tcp(begin.wrapping_add(1).wrapping_add(u32::try_from(place).unwrap()), 0, &[*octet])));
        }
        check(&packets, &expected);
    }
}

#[test]
fn segments_find_their_order() {
    let (one, two) = (message(1, 200), message(2, 0));
    let all = [one.clone(), two.clone()].concat();
    let at = |from: usize, to: usize| packet(&tcp(1 + u32::try_from(from).unwrap(), 0, &all[from..to]));
    let expected = [one, two.clone()];
    let (syn, length) = (packet(&tcp(0, SYN, b"")), all.len());
    check(&[syn.clone(), at(100, 200), at(0, 100), at(200, length)], &expected);
    check(&[syn.clone(), at(200, length), at(150, 220), at(0, 90), at(80, 160)], &expected);
    // The last comes before all others, and closes; then the connection is forgotten.
    let fin = packet(&tcp(1 + 200, FIN, &all[200..]));
    check(&[syn.clone(), fin, at(0, 200), packet(&tcp(0, SYN, b"")), at(0, length)], &[&expected[..], &expected[..]].concat());
    // A reset ends it, whatever is missing; a SYN begins anew.
    check(&[syn.clone(), at(100, 200), packet(&tcp(1, RST, b"")), syn.clone(), at(0, length)], &expected);
    check(&[syn, at(0, 100), packet(&tcp(5_000_000, SYN, b"")), packet(&tcp(5_000_001, 0, &two))], std::slice::from_ref(&two));
}

#[test]
fn a_capture_that_begins_midway_reads_from_the_next_message_on() {
    // Its body ends with a line, as SDP does.
    let (one, two) = (message(1, 207), message(2, 30));
    let all = [one.clone(), two.clone()].concat();
    for begin in 1..one.len() {
        let rest = &all[begin..];
        let expected = std::slice::from_ref(&two);
        check(&[packet(&tcp(7, 0, rest))], expected);
    }
    check(&[packet(&tcp(7, 0, &all))], &[one, two]);
    // A connection that holds no SIP is not followed.
    let web = [packet(&tcp(6, SYN, b"")), packet(&tcp(7, 0, b"GET / HTTP/1.1\r\n\r\n")), packet(&tcp(25, 0, b"more"))];
    let whole = check(&web, &[]);
    assert_eq!(whole.counters.set_aside.iter().collect::<Vec<_>>(), [(SetAside::NotSip, 2), (SetAside::Segment, 1)]);
}

#[test]
fn a_gap_costs_its_message_and_no_other() {
    let messages: Vec<Vec<u8>> = (0..40).map(|number| message(number, 100)).collect();
    let mut packets = vec![packet(&tcp(0, SYN, b""))];
    let mut sequence = 1;
    for message in &messages {
        let (head, body) = message.split_at(60);
        packets.push(packet(&tcp(sequence, 0, head)));
        packets.push(packet(&tcp(sequence + 60, 0, body)));
        sequence += u32::try_from(message.len()).unwrap();
    }
    // The capture missed the head of message 5 and the body of message 20, and all of the last ones.
    packets.remove(1 + 2 * 20 + 1);
    packets.remove(1 + 2 * 5);
    let expected: Vec<Vec<u8>> =
        messages.iter().enumerate().filter(|(number, _)| ![5, 20].contains(number)).map(|(_, text)| text.clone()).collect();
    let whole = check(&packets, &expected);
    // One packet a second: it was waited for, not longer than bounds allow, and told.
    let six = whole.messages.iter().position(|found| found.3 == messages[6]).unwrap();
    assert!(whole.messages[six].0 > 15 && whole.messages[six].1 < whole.messages[six + 8].1);
    // A gap at the end of the file is passed over there.
    let last = [packet(&tcp(0, SYN, b"")), packet(&tcp(500, 0, &messages[0]))];
    let whole = check(&last, &messages[..1]);
    assert_eq!(whole.counters.further, 1);
}

#[test]
fn streams_come_in_fragments_and_over_six() {
    let one = message(1, 1_000);
    let segment = tcp(1, 0, &one);
    let mut packets: Vec<Vec<u8>> = ipv4_pieces_of(6, &segment, &[400, 800]).iter().map(|piece| ethernet(0x0800, piece)).collect();
    packets.swap(0, 1);
    check(&packets, std::slice::from_ref(&one));
    let six = ethernet(0x86dd, &ipv6(&[], 6, &segment));
    assert_eq!(check(&[six], &[one]).messages[0].2, "[2001:db8::1]:5060");
}

#[test]
fn hep_over_tcp_is_read_inside_captures() {
    let mut frame = b"HEP3\0\0".to_vec();
    for (chunk, value) in [(0x0b_u8, [1].as_slice()), (0x09, &[0, 0, 0, 5]), (0x0f, SIP)] {
        frame.extend([0, 0, 0, chunk, 0, u8::try_from(value.len() + 6).unwrap()]);
        frame.extend_from_slice(value);
    }
    frame[5] = u8::try_from(frame.len()).unwrap();
    let all = [frame.clone(), frame.clone()].concat();
    let whole = check(&[packet(&tcp(1, 0, &all[..30])), packet(&tcp(31, 0, &all[30..]))], &[SIP.to_vec(), SIP.to_vec()]);
    assert_eq!(whole.messages[0].1, 5_000_000);
}

#[test]
fn a_flood_of_connections_pushes_out_no_stream_that_carries_messages() {
    let one = message(1, 100);
    let mut packets = vec![packet(&tcp(1, 0, &one))];
    let mut strange = |port: u16, payload: &[u8]| {
        let mut segment = tcp(1, SYN, payload);
        segment[..2].copy_from_slice(&port.to_be_bytes());
        packets.push(packet(&segment));
    };
    for port in 6_000..16_000 {
        strange(port, b"INVITE sip:");
    }
    packets.push(packet(&tcp(1 + u32::try_from(one.len()).unwrap(), 0, &one[..50])));
    packets.push(packet(&tcp(51 + u32::try_from(one.len()).unwrap(), 0, &one[50..])));
    check(&packets, &[one.clone(), one]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn any_segmentation_gives_each_message_once(
        bodies in proptest::collection::vec(0usize..400, 1..8),
        cuts in proptest::collection::vec(1usize..400, 1..30),
        moves in proptest::collection::vec((0usize..200, 0usize..4), 0..20),
        repeats in proptest::collection::vec((0usize..200, 0usize..200), 0..10),
        begin in any::<u32>(),
    ) {
        let messages: Vec<Vec<u8>> = bodies.iter().enumerate().map(|(number, body)| message(number, *body)).collect();
        let all = messages.concat();
        let mut segments = Vec::new();
        let mut at = 0;
        for cut in cuts.iter().cycle() {
            let end = (at + cut).min(all.len());
            segments.push((at, end));
            at = end;
            if at == all.len() {
                break;
            }
        }
        // Within the window of a gap, which here is five packets wide.
        for (place, by) in moves {
            let place = place % segments.len();
            let other = (place + by).min(segments.len() - 1);
            segments.swap(place, other);
        }
        for (place, to) in repeats {
            let segment = segments[place % segments.len()];
            // A retransmission may hold more than what it repeats.
            let longer = (segment.0, (segment.1 + 30).min(all.len()));
            let to = (place % segments.len() + to % 3).min(segments.len());
            segments.insert(to, longer);
        }
        let mut packets = vec![packet(&tcp(begin, SYN, b""))];
        packets.extend(segments.iter().map(|(from, to)| {
            packet(&tcp(begin.wrapping_add(1).wrapping_add(u32::try_from(*from).unwrap()), 0, &all[*from..*to]))
        }));
        // A second holds four packets, so that swaps that add up stay within patience.
        let file = squeezed(pcap(1, &packets));
        let whole = read_all(file.as_slice());
        let found: Vec<Vec<u8>> = whole.messages.iter().map(|(_, _, _, payload)| payload.clone()).collect();
        prop_assert_eq!(found, messages);
    }

    #[test]
    fn any_segments_are_survived(
        segments in proptest::collection::vec((any::<u32>(), 0u8..8, proptest::collection::vec(any::<u8>(), 0..60), any::<bool>()), 0..60),
    ) {
        let packets: Vec<Vec<u8>> = segments.iter().map(|(sequence, flags, noise, sip)| {
            let payload = if *sip { [&SIP[..noise.len().min(SIP.len())], noise].concat() } else { noise.clone() };
            packet(&tcp(*sequence % 500, *flags, &payload))
        }).collect();
        read_all(pcap(1, &packets).as_slice());
    }
}

/// The same capture with a hundred packets in each second.
fn squeezed(mut file: Vec<u8>) -> Vec<u8> {
    let mut at = 24;
    while at + 16 <= file.len() {
        let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
        let (second, length) = (word(at) - 1_767_225_600, word(at + 8));
        file[at..at + 4].copy_from_slice(&(1_767_225_600 + second / 100).to_le_bytes());
        file[at + 4..at + 8].copy_from_slice(&(second % 100 * 10_000).to_le_bytes());
        at += 16 + usize::try_from(length).unwrap();
    }
    file
}
