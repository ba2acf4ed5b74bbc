//! How fast messages become leg events: `cargo bench --bench sip`.
//!
//! Calls to a hotline as a PBX's two sides show them, made in memory: a trunk leg and a desk leg each, with OPTIONS and
//! REGISTER in between, thousands at once. Prints messages a second for the scanner alone and for scanner and dialogs.

use std::hint::black_box;
use std::net::SocketAddr;
use std::time::Instant;
use taktd::sip::{Dialogs, LegEvent, Options, scan};
use taktd::units::{KeyedState, Message, Timestamp};

const CALLS: usize = 40_000;
/// How many legs run at the same time.
const AT_ONCE: usize = 6_000;
const ROUNDS: usize = 5;

struct Packet {
    at: Timestamp,
    source: SocketAddr,
    destination: SocketAddr,
    payload: Vec<u8>,
}

/// One leg's messages: (milliseconds after its INVITE, from the caller's side?, text).
fn leg(number: usize, desk: bool) -> Vec<(i64, bool, String)> {
    let (user, near, far) =
        if desk { ("201", "192.0.2.10:5060", "192.0.2.31:5060") } else { ("+4989555010", "198.51.100.20:5060", "192.0.2.11:5060") };
    let call_id = format!("{number:08x}-7b1c-4a0e-9d55-{number:012x}{}", if desk { "" } else { "@198.51.100.20" });
    let lines = |start: &str, branch: &str, to_tag: &str, cseq: &str, rest: &str| {
        format!(
            "{start}\r\nVia: SIP/2.0/UDP {near};rport;branch=z9hG4bKPj{branch}{number:020x}\r\nMax-Forwards: 70\r\n\
             From: \"Caller {number}\" <sip:+4917{number:08}@198.51.100.20>;tag=as{number:016x}\r\n\
             To: <sip:{user}@192.0.2.11>{to_tag}\r\nCall-ID: {call_id}\r\nCSeq: {cseq}\r\n\
             User-Agent: a rather ordinary telephone 1.2.3\r\nAllow: INVITE, ACK, BYE, CANCEL, UPDATE, OPTIONS, REFER\r\n{rest}"
        )
    };
    let contact = format!("Contact: <sip:{user}@{far}>\r\nP-Asserted-Identity: <sip:+4917{number:08}@198.51.100.20>\r\n");
    let sdp = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 20000 RTP/AVP 8 101\r\n\
               a=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n";
    let body = format!("{contact}Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}", sdp.len());
    let none = "Content-Length: 0\r\n\r\n";
    let tag = format!(";tag={number:032x}");
    let to = format!("sip:{user}@{far}");
    let hold = 20_000 + i64::try_from(number % 40_000).expect("a small number");
    vec![
        (0, true, lines(&format!("INVITE {to} SIP/2.0"), "a", "", "1 INVITE", &body)),
        (1, false, lines("SIP/2.0 100 Trying", "a", "", "1 INVITE", none)),
        (9, false, lines("SIP/2.0 180 Ringing", "a", &tag, "1 INVITE", &format!("{contact}{none}"))),
        (3_000, false, lines("SIP/2.0 200 OK", "a", &tag, "1 INVITE", &body)),
        (3_002, true, lines(&format!("ACK {to} SIP/2.0"), "b", &tag, "1 ACK", none)),
        (hold, true, lines(&format!("BYE {to} SIP/2.0"), "c", &tag, "2 BYE", none)),
        (hold + 2, false, lines("SIP/2.0 200 OK", "c", &tag, "2 BYE", none)),
    ]
}

fn noise(number: usize) -> String {
    let method = if number.is_multiple_of(2) { "OPTIONS" } else { "REGISTER" };
    format!(
        "{method} sip:192.0.2.11 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.31:5060;branch=z9hG4bK{number:020x}\r\nMax-Forwards: 70\r\n\
         From: <sip:201@192.0.2.11>;tag=n{number}\r\nTo: <sip:201@192.0.2.11>\r\nCall-ID: noise-{number}\r\nCSeq: 1 {method}\r\n\
         Contact: <sip:201@192.0.2.31:5060>\r\nExpires: 300\r\nContent-Length: 0\r\n\r\n"
    )
}

fn packets() -> Vec<Packet> {
    let [near, far]: [SocketAddr; 2] = ["198.51.100.20:5060", "192.0.2.11:5060"].map(|text| text.parse().expect("an address"));
    // A leg lasts 40 s on average: so many begin a second that so many are there at once.
    let pace = 40_000_000 / i64::try_from(AT_ONCE).expect("a small number");
    let mut packets = Vec::new();
    for number in 0..CALLS {
        let begin = 1_795_000_000_000_000 + 2 * pace * i64::try_from(number).expect("a small number");
        for desk in [false, true] {
            for (after, forth, text) in leg(number, desk) {
                let (source, destination) = if forth { (near, far) } else { (far, near) };
                let at = Timestamp::from_micros(begin + after * 1_000);
                packets.push(Packet { at, source, destination, payload: text.into_bytes() });
            }
        }
        let at = Timestamp::from_micros(begin + 500);
        packets.push(Packet { at, source: far, destination: near, payload: noise(number).into_bytes() });
    }
    packets.sort_by_key(|packet| packet.at);
    // One after the other in memory, as a file's or a socket's buffer has them.
    packets.into_iter().map(|packet| Packet { payload: packet.payload.clone(), ..packet }).collect()
}

fn observe(packets: &[Packet]) -> (usize, usize) {
    let options = Options { contract_header: None, leg_headers: Vec::new(), max_legs: 100_000, key: KeyedState::new(1) };
    let mut dialogs = Dialogs::new(options);
    let (mut out, mut events, mut most): (Vec<LegEvent>, _, _) = (Vec::new(), 0, 0);
    for packet in packets {
        if dialogs.deadline().is_some_and(|deadline| deadline <= packet.at) {
            dialogs.expire(packet.at, &mut out);
        }
        let Packet { at, source, destination, payload } = packet;
        let message = Message { captured_at: *at, source: *source, destination: *destination, correlation: None, payload };
        dialogs.observe(&message, &mut out);
        events += out.len();
        most = most.max(dialogs.len());
        out.clear();
    }
    (events, most)
}

fn main() {
    let packets = packets();
    let bytes: usize = packets.iter().map(|packet| packet.payload.len()).sum();
    println!("{} messages of {} bytes on average", packets.len(), bytes / packets.len());
    let (events, most) = observe(&packets);
    assert_eq!(events, CALLS * 2 * 4, "invited, ringing, answered and bye, for each leg");
    println!("{events} events, {most} legs at most");
    let rate = |begun: Instant| packets.len() as f64 / begun.elapsed().as_secs_f64() / 1e6;
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        for packet in &packets {
            let _ = black_box(scan(black_box(&packet.payload)));
        }
        let scanned = rate(begun);
        let begun = Instant::now();
        black_box(observe(&packets));
        println!("scan {scanned:.2} M/s, scan and dialogs {:.2} M/s", rate(begun));
    }
}
