//! Captures in every shape that is read, made by hand, and any bytes at all.

use super::*;
use proptest::prelude::*;
use std::fs;

mod build;
mod formats;
mod streams;
mod tunnels;
use build::{CLIENT, SIP, ethernet, ipv4, ipv4_pieces, ipv6, ipv6_pieces, pcap, sll, sll2, udp, vlan};

/// Reads a capture whole: what was delivered, as (ordinal, time in µs, source, payload), and how it ended.
struct Whole {
    messages: Vec<(u64, i64, String, Vec<u8>)>,
    counters: Counters,
    end: Result<Progress, CaptureError>,
}

fn read_all(input: impl Read) -> Whole {
    let mut capture = Capture::new("test.pcap", input);
    let mut messages = Vec::new();
    let end = capture.advance(u64::MAX, |packet| {
        let Observation::Sip(message) = packet.observation;
        messages.push((packet.ordinal, message.captured_at.micros(), message.source.to_string(), message.payload.to_vec()));
        ControlFlow::Continue(())
    });
    let counters = *capture.counters();
    let aside = counters.set_aside.total() - counters.set_aside.get(SetAside::OtherBlock);
    assert_eq!(counters.packets + counters.further, counters.delivered + aside, "each packet is delivered or counted");
    Whole { messages, counters, end }
}

fn recording(name: &str) -> Vec<u8> {
    fs::read(format!("{}/tests/recordings/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// Reads packets of a link type, and expects this many messages, all of them our SIP text.
fn check(link: u32, packets: &[Vec<u8>], expected: usize) -> Whole {
    let whole = read_all(pcap(link, packets).as_slice());
    assert!(matches!(whole.end, Ok(Progress::Complete)), "{:?}", whole.end);
    assert_eq!(whole.messages.len(), expected, "link type {link}: {:?}", whole.counters);
    assert!(whole.messages.iter().all(|(_, _, _, payload)| payload == SIP));
    whole
}

/// Expects one packet to be set aside for a reason.
fn check_aside(link: u32, packet: Vec<u8>, reason: SetAside) {
    let whole = check(link, &[packet], 0);
    assert_eq!(whole.counters.set_aside.iter().collect::<Vec<_>>(), [(reason, 1)]);
}

#[test]
fn the_recordings_read_whole() {
    let sip = read_all(recording("asterisk-16/sip.pcap").as_slice());
    assert_eq!((sip.messages.len(), sip.counters.set_aside.total(), sip.counters.cut), (832, 0, 0));
    let any = read_all(recording("asterisk-16/sip-any.pcap").as_slice());
    let of = |whole: &Whole| whole.messages.iter().map(|(_, _, source, payload)| (source.clone(), payload.clone())).collect::<Vec<_>>();
    assert_eq!(of(&any), of(&sip));
    let hep = read_all(recording("asterisk-16/hep.pcap").as_slice());
    assert_eq!((hep.messages.len(), hep.counters.packets), (832, 876));
    assert_eq!(hep.counters.set_aside.iter().collect::<Vec<_>>(), [(SetAside::HepProtocol, 44)]);
    for (name, messages) in [("kamailio", 301), ("kamailio/all", 372)] {
        assert_eq!(read_all(recording(&format!("{name}/hep.pcap")).as_slice()).messages.len(), messages);
    }
    for name in ["asterisk-22", "asterisk-16-clock/back", "asterisk-16-clock/forth"] {
        let [sip, hep] = ["sip", "hep"].map(|kind| read_all(recording(&format!("{name}/{kind}.pcap")).as_slice()));
        assert_eq!(hep.messages.len(), sip.messages.len(), "{name}: one frame a message");
        assert_eq!(hep.counters.set_aside.total(), hep.counters.set_aside.get(SetAside::HepProtocol), "{name}");
    }
}

#[test]
fn hep_tells_the_inner_addresses_and_time() {
    let file = recording("asterisk-16/hep.pcap");
    let mut first = None;
    let progress = Capture::new("hep.pcap", file.as_slice())
        .advance(1, |packet| {
            let Observation::Sip(message) = packet.observation;
            let correlation = String::from_utf8(message.correlation.unwrap().to_vec()).unwrap();
            let text = String::from_utf8(message.payload.to_vec()).unwrap();
            first = Some((message.source, message.destination, message.captured_at, text.contains(&format!("Call-ID: {correlation}\r\n"))));
            ControlFlow::Continue(())
        })
        .unwrap();
    let (source, destination, time, same) = first.unwrap();
    assert_eq!((progress, destination.to_string().as_str(), same), (Progress::More, "127.0.0.1:5060", true));
    assert_ne!(source.ip(), destination.ip());
    assert_eq!(time.micros() % 1000, 0, "Asterisk stamps what it receives in whole milliseconds");
}

#[test]
fn every_link_layer_leads_to_the_same_message() {
    let (four, six) = (ipv4(&udp(SIP)), ipv6(&[], 17, &udp(SIP)));
    for ip in [&four, &six] {
        let kind = if ip[0] >> 4 == 4 { 0x0800 } else { 0x86dd };
        check(1, &[ethernet(kind, ip), ethernet(0x8100, &vlan(kind, ip)), ethernet(0x88a8, &vlan(0x8100, &vlan(kind, ip)))], 3);
        check(113, &[sll(kind, ip), sll(0x8100, &vlan(kind, ip))], 2);
        check(276, &[sll2(kind, ip)], 1);
        for raw in [101, if kind == 0x0800 { 228 } else { 229 }, 12] {
            check(raw, std::slice::from_ref(ip), 1);
        }
        for family in [[2, 0, 0, 0], [0, 0, 0, 30]] {
            let packet = [family.as_slice(), ip].concat();
            check(0, std::slice::from_ref(&packet), 1);
            check(108, &[packet], 1);
        }
        // The frame check sequence or padding behind the datagram is not the datagram's.
        check(1, &[[ethernet(kind, ip), vec![0; 9]].concat()], 1);
    }
    let addresses = check(1, &[ethernet(0x86dd, &six)], 1).messages[0].2.clone();
    assert_eq!((addresses.as_str(), CLIENT), ("[2001:db8::1]:5060", "192.0.2.1:5060"));
}

#[test]
fn options_and_extension_headers_are_passed_over() {
    let mut with_options = ipv4(&udp(SIP));
    with_options[0] = 0x46;
    let length = u16::try_from(with_options.len() + 4).unwrap();
    with_options[2..4].copy_from_slice(&length.to_be_bytes());
    with_options.splice(20..20, [1, 1, 1, 0]);
    check(1, &[ethernet(0x0800, &with_options)], 1);
    // Hop-by-hop options, then destination options, then UDP.
    let extensions = [60, 0, 1, 4, 0, 0, 0, 0, 17, 0, 1, 4, 0, 0, 0, 0];
    check(101, &[ipv6(&extensions, 0, &udp(SIP))], 1);
}

#[test]
fn extension_headers_that_are_announced_and_not_there_are_never_read() {
    // Each kind behind each, whole or cut, long or longer than the packet; an authentication header counts in fours.
    let kinds = [0, 43, 44, 51, 60, 135, 17, 59];
    let mut packets = Vec::new();
    for first in kinds {
        for second in kinds {
            for length in [0, 1, 2, 255] {
                let extensions = [[second, length, 0, 9, 0, 0, 0, 0], [first, length, 0, 1, 0, 0, 0, 0]].concat();
                packets.extend([0, 1, 2, 7, 8, 9, 15, 16].map(|cut| ipv6(&extensions[..cut], first, &[])));
            }
        }
    }
    for link in [101, 1] {
        let framed = packets.iter().map(|packet| if link == 1 { ethernet(0x86dd, packet) } else { packet.clone() });
        check(link, &framed.collect::<Vec<_>>(), 0);
    }
    // A fragment behind other headers is found all the same.
    let behind = |first: u8, others: &[u8]| -> Vec<Vec<u8>> {
        let pieces = ipv6_pieces(&udp(SIP), &[16, 40]);
        pieces.iter().map(|piece| ipv6(others, first, &piece[40..])).collect()
    };
    check(101, &behind(60, &[44, 0, 1, 4, 0, 0, 0, 0]), 1);
    check(101, &behind(0, &[51, 0, 1, 4, 0, 0, 0, 0, 44, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1]), 1);
}

#[test]
fn fragments_find_each_other_in_any_order() {
    let pieces = ipv4_pieces(&udp(SIP), &[16, 40]);
    let six = ipv6_pieces(&udp(SIP), &[16, 40]);
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        for (kind, pieces) in [(0x0800, &pieces), (0x86dd, &six)] {
            let packets: Vec<_> = order.iter().map(|place| ethernet(kind, &pieces[*place])).collect();
            let whole = check(1, &packets, 1);
            assert_eq!(whole.messages[0].0, 3, "the last piece completes it");
            assert_eq!(whole.counters.set_aside.get(SetAside::Fragment), 2);
        }
    }
    // The first file of a series ends between two pieces.
    let packets: Vec<_> = pieces.iter().map(|piece| ethernet(0x0800, piece)).collect();
    let (first, second) = (pcap(1, &packets[..1]), pcap(1, &packets[1..]));
    let mut delivered = 0;
    let mut capture = Capture::new("first", first.as_slice());
    capture.advance(u64::MAX, |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(capture.wire().fragments().waiting(), 1);
    let mut capture = Capture::new("second", second.as_slice()).with_wire(capture.into_wire());
    let count = |_: Packet<'_>| {
        delivered += 1;
        ControlFlow::Continue(())
    };
    capture.advance(u64::MAX, count).unwrap();
    assert_eq!(delivered, 1);
}

#[test]
fn a_packet_not_captured_whole_is_delivered_cut() {
    for (kind, ip) in [(0x0800, ipv4(&udp(SIP))), (0x86dd, ipv6(&[], 17, &udp(SIP))), (0x0800, ipv4_pieces(&udp(SIP), &[48])[0].clone())] {
        let mut packet = ethernet(kind, &ip);
        packet.truncate(packet.len() - 5);
        let whole = read_all(pcap(1, &[packet]).as_slice());
        assert_eq!((whole.counters.delivered, whole.counters.cut), (1, 1));
        assert!(SIP.starts_with(&whole.messages[0].3));
    }
}

#[test]
fn what_is_no_message_is_counted_by_reason() {
    let ip = ipv4(&udp(SIP));
    check_aside(147, ip.clone(), SetAside::LinkType);
    check_aside(1, ethernet(0x0806, &[0; 28]), SetAside::NotIp);
    check_aside(1, ethernet(0x88cc, &[0; 28]), SetAside::NotIp);
    check_aside(1, vec![0; 9], SetAside::Malformed);
    check_aside(1, ethernet(0x0800, &ip[..19]), SetAside::Malformed);
    check_aside(113, vec![0; 15], SetAside::Malformed);
    check_aside(0, vec![2, 0, 0], SetAside::Malformed);
    check_aside(101, vec![], SetAside::Malformed);
    let mut icmp = ip.clone();
    icmp[9] = 1;
    check_aside(101, icmp, SetAside::NotUdp);
    let mut lying = ip;
    lying[24..26].copy_from_slice(&9999_u16.to_be_bytes());
    check_aside(101, lying, SetAside::Malformed);
    check_aside(101, ipv4(&udp(b"\r\n\r\n")), SetAside::NotSip);
    check_aside(101, ipv4(&udp(b"HEP3\0\x06")), SetAside::HepMalformed);
}

#[test]
fn reading_stops_and_goes_on_anywhere() {
    let file = recording("asterisk-16/sip.pcap");
    let all = read_all(file.as_slice()).messages;
    for cut in [0, 1, 400, 831, 832] {
        let mut found = Vec::new();
        let mut take = |packet: Packet<'_>, until: u64| {
            let Observation::Sip(message) = packet.observation;
            found.push((packet.ordinal, message.captured_at.micros(), message.source.to_string(), message.payload.to_vec()));
            if packet.ordinal == until { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let mut first = Capture::new("a", file.as_slice());
        if cut > 0 {
            assert_eq!(first.advance(u64::MAX, |packet| take(packet, cut)).unwrap(), Progress::Stopped);
        }
        let mut second = Capture::new("b", file.as_slice()).resume_after(cut);
        while second.advance(100, |packet| take(packet, 0)).unwrap() == Progress::More {}
        assert_eq!((second.counters().passed, second.position()), (cut, file.len() as u64));
        assert_eq!(found, all);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn damaged_captures_are_survived(damage in proptest::collection::vec((24usize..60_000, any::<u8>()), 1..40), hep in any::<bool>()) {
        let mut file = recording(if hep { "asterisk-16/hep.pcap" } else { "asterisk-16/sip-any.pcap" });
        file.truncate(60_000);
        for (at, byte) in damage {
            file[at] = byte;
        }
        read_all(file.as_slice());
    }

    #[test]
    fn any_packet_of_any_link_type_is_survived(
        packet in proptest::collection::vec(any::<u8>(), 0..200),
        link in proptest::sample::select(vec![0, 1, 101, 108, 113, 228, 229, 276]),
        kind in proptest::sample::select(vec![0x0800_u16, 0x86dd, 0x8100]),
    ) {
        read_all(pcap(link, &[packet.clone(), ethernet(kind, &packet), sll2(kind, &packet)]).as_slice());
    }
}
