//! What anybody can send to a hotline's port: it stops nothing, and costs no call of anybody else.

use super::replay::packets;
use super::{Desk, cents, recording, same, text};
use serde_json::Value;
use std::path::PathBuf;

/// Ethernet, IPv4, UDP.
const HEADERS: usize = 14 + 20 + 8;
/// Who sends what nobody asked for.
const STRANGER: [u8; 4] = [203, 0, 113, 66];

/// Numbers that are the same on every run (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((bits ^ (bits >> 31)) % u64::try_from(end.max(1)).expect("small")).expect("small")
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).expect("a byte")
    }
}

/// A real message as a stranger could send it: neither the Call-ID nor the caller nor the agent is anybody's.
fn strange(payload: &[u8]) -> Vec<u8> {
    let mut strange = payload.to_vec();
    for (place, window) in payload.windows(9).enumerate() {
        if window.eq_ignore_ascii_case(b"call-id: ") {
            strange[place + 9..]
                .iter_mut()
                .take_while(|byte| **byte > b' ')
                .for_each(|byte| *byte = if *byte == b'@' { b'@' } else { *byte ^ 1 });
        }
    }
    for number in ["3920021", "3920022", "9925904", "28817386", "99998", "23125077", "23125014", ":20"] {
        let number = number.as_bytes();
        let places: Vec<usize> =
            strange.windows(number.len()).enumerate().filter(|(_, window)| *window == number).map(|(place, _)| place).collect();
        for place in places {
            strange[place..place + number.len()].iter_mut().filter(|byte| byte.is_ascii_digit()).for_each(|byte| *byte = b'7');
        }
    }
    strange
}

/// One way or another of making a message worse.
fn worse(mut payload: Vec<u8>, random: &mut Random) -> Vec<u8> {
    match random.below(9) {
        0 => (0..1 + random.below(30)).for_each(|_| {
            let place = random.below(payload.len());
            if let Some(byte) = payload.get_mut(place) {
                *byte = random.byte();
            }
        }),
        1 => payload.truncate(random.below(payload.len())),
        2 => payload = (0..random.below(1_500)).map(|_| random.byte()).collect(),
        3 => {
            let end = payload.windows(2).position(|window| window == b"\r\n").unwrap_or(0);
            let giant = [b"\r\nX-Giant: ".to_vec(), vec![b'a'; 50_000]].concat();
            payload.splice(end..end, giant);
        }
        4 => {
            let end = payload.windows(2).position(|window| window == b"\r\n").unwrap_or(0);
            let vias: Vec<u8> = (0..900).flat_map(|_| b"\r\nVia: SIP/2.0/UDP 203.0.113.66;branch=z9hG4bK\xff\xfe".to_vec()).collect();
            payload.splice(end..end, vias);
        }
        5 => payload.retain(|byte| *byte != b'\r'),
        6 => payload.iter_mut().filter(|byte| **byte == b':').for_each(|byte| *byte = b';'),
        7 => {
            let length = payload.len();
            payload.extend_from_within(..length.min(20_000));
        }
        _ => payload.iter_mut().filter(|byte| byte.is_ascii_digit()).for_each(|byte| *byte = b'9'),
    }
    payload
}

/// The packet with another payload, from a stranger.
fn packet(like: &[u8], payload: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = like[16..16 + HEADERS].to_vec();
    let length = |more: usize| u16::try_from(payload.len() + more).expect("less than 64 KiB").to_be_bytes();
    bytes[16..18].copy_from_slice(&length(28));
    bytes[26..30].copy_from_slice(&STRANGER);
    bytes[38..40].copy_from_slice(&length(8));
    bytes.extend_from_slice(payload);
    // Some lie about themselves below SIP, too.
    if random.below(8) == 0 {
        let place = random.below(HEADERS);
        bytes[place] = random.byte();
    }
    let size = u32::try_from(bytes.len()).expect("small").to_le_bytes();
    [&like[..8], &size, &size, &bytes].concat()
}

/// The recording with strange messages between its own.
fn infested(desk: &Desk, capture: &str, seed: u64) -> PathBuf {
    let file = std::fs::read(recording(capture)).expect("there");
    let (head, real) = packets(&file);
    let mut random = Random(seed);
    let mut out = head.to_vec();
    for like in &real {
        out.extend_from_slice(like);
        for _ in 0..random.below(4) {
            let model = real[random.below(real.len())];
            let bad = worse(strange(&model[16 + HEADERS..]), &mut random);
            out.extend_from_slice(&packet(like, &bad, &mut random));
        }
    }
    let path = desk.path("infested.pcap");
    std::fs::write(&path, out).expect("written");
    path
}

/// Among many messages that are broken, every real call is what it was, and nobody pays for the others.
#[test]
fn broken_messages_cost_no_call() {
    for capture in ["asterisk-16/sip.pcap", "asterisk-22/hep.pcap", "kamailio/all/sip.pcap"] {
        let once = Desk::new();
        once.replay(recording(capture)).fine();
        let expected = once.calls();
        for seed in 1..=seeds() {
            let desk = Desk::new();
            let said = desk.replay(infested(&desk, capture, seed)).fine();
            let (real, others): (Vec<Value>, Vec<Value>) =
                desk.calls().into_iter().partition(|call| expected.iter().any(|other| other["call_id"] == call["call_id"]));
            same(&real, &expected, &format!("{capture}, seed {seed}: {said}"));
            for other in &others {
                assert_eq!((cents(other, "net"), text(other, "contract")), (0, ""), "{capture}, seed {seed}: {other}");
            }
            desk.verified();
        }
    }
}

/// More with `TAKTD_SEEDS`.
fn seeds() -> u64 {
    std::env::var("TAKTD_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(4)
}
