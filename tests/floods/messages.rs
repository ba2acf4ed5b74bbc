//! Messages that are too large, too many of a kind, or not what they say: real ones with something in them that has no end.

use super::scene;
use crate::hostile::{Caller, KEY, SWITCH, TRUNK, frame, metric, now, until};
use std::io::Read;

const GIANT: usize = 60_000;

/// An INVITE to the hotline by a stranger.
fn invite(name: &str) -> String {
    let caller = Caller { call_id: name, tag: name, number: "+49305550199", leg: name };
    caller.outer("INVITE sip:+4989555099@10.0.0.1 SIP/2.0", "1 INVITE", false)
}

/// An INVITE of 60 kB: which of its parts has no end, and whether it can be read all the same.
fn giant(part: usize, name: &str) -> (String, bool) {
    let (long, digits) = ("a".repeat(GIANT), "4".repeat(GIANT));
    let text = invite(name);
    let with = |header: &str| text.replacen("\r\n", &format!("\r\n{header}\r\n"), 1);
    match part {
        0 => (with(&format!("X-Giant: {long}")), true),
        1 => (with(&format!("P-Asserted-Identity: \"{long}\" <sip:{name}@192.0.2.10>")), true),
        2 => (with(&format!("P-Asserted-Identity: <sip:{digits}@192.0.2.10>")), true),
        3 => (with(&format!("Diversion: {}<sip:1@x>", "<sip:4989555010@x>;reason=unknown, ".repeat(GIANT / 40))), true),
        4 => (with(&format!("Via: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK{long}")), true),
        5 => (with("Via: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bKx\r\n".repeat(GIANT / 50).trim_end()), true),
        6 => (text.replacen("sip:+4989555099@", &format!("sip:+4989555099{digits}@"), 1), true),
        7 => (text.replacen("From: <", &format!("From: \"{long}\" <"), 1), true),
        8 => (text.replacen(&format!("Call-ID: {name}"), &format!("Call-ID: {name}{long}"), 1), false),
        9 => (text.replacen(&format!(";tag={name}"), &format!(";tag={name}{long}"), 1), false),
        _ => (text.replacen("CSeq: 1", &format!("CSeq: {digits}"), 1), false),
    }
}

#[test]
fn headers_of_60_kilobytes() {
    const EACH: usize = 300;
    let (victim, office, mut hose) = scene();
    let mut unreadable = 0.0;
    for number in 0..EACH {
        for part in 0..=10 {
            let (text, readable) = giant(part, &format!("giant-{part}-{number}"));
            unreadable += if readable { 0.0 } else { 1.0 };
            hose.send(&frame(KEY, (TRUNK, SWITCH), now(), &text));
        }
    }
    let (billed, frames) = office.close();
    victim.reaches("taktd_hep_frames_total{outcome=\"accepted\"}", (hose.sent + frames) as f64);
    assert_eq!((victim.rejected("bad_message"), metric(&victim.daemon, "taktd_socket_drops_total")), (unreadable, 0.0));
    // What is kept of them is short, however long they were: together they had 200 MB.
    until("they are followed", || metric(&victim.daemon, "taktd_legs_open") >= hose.sent as f64 - unreadable);
    victim.has_stayed_below(128);
    victim.ends_well(&billed);
}

#[test]
fn one_call_id_with_ten_thousand_tags() {
    const TAGS: usize = 10_000;
    let (victim, office, mut hose) = scene();
    let mut say = |from: bool, text: &str| {
        let way = if from { (TRUNK, SWITCH) } else { (SWITCH, TRUNK) };
        hose.send(&frame(KEY, way, now(), text));
    };
    let text = invite("forked");
    say(true, &text);
    // One INVITE, rung and answered by ten thousand; ten thousand callers who all use the same name; and who hang up what
    // never was.
    let (_, headers) = text.split_once("\r\n").expect("a first line");
    for tag in 0..TAGS {
        let to = |status: &str| format!("{status}\r\n{headers}").replacen("@10.0.0.1>\r\n", &format!("@10.0.0.1>;tag=to-{tag}\r\n"), 1);
        say(false, &to("SIP/2.0 180 Ringing"));
        say(false, &to("SIP/2.0 200 OK"));
        say(true, &text.replacen(";tag=forked", &format!(";tag=caller-{tag}"), 1));
        let bye = text.replacen("INVITE sip:", "BYE sip:", 1).replacen("1 INVITE", "2 BYE", 1);
        say(true, &bye.replacen(";tag=forked", &format!(";tag=nobody-{tag}"), 1).replacen("@10.0.0.1>\r\n", "@10.0.0.1>;tag=x\r\n", 1));
    }
    let (billed, frames) = office.close();
    victim.reaches("taktd_hep_frames_total{outcome=\"accepted\"}", (hose.sent + frames) as f64);
    assert_eq!(metric(&victim.daemon, "taktd_socket_drops_total"), 0.0);
    // Of those who ring and answer, of those who call, and of the strangers only so many are followed; the rest is counted.
    until("they are followed", || metric(&victim.daemon, "taktd_legs_open") >= 256.0);
    let (legs, refused) = (metric(&victim.daemon, "taktd_legs_open"), victim.rejected("table_full"));
    assert!(legs < 300.0, "{legs} legs are followed");
    let most = 2.0 * (TAGS as f64 - 64.0) + (TAGS as f64 - 256.0);
    assert!((most - 512.0..=most + 1_000.0).contains(&refused), "{refused} are counted, and {most} were too many");
    victim.has_stayed_below(128);
    victim.ends_well(&billed);
}

/// The frame with its payload packed, or whatever else is to be unpacked.
fn packed(payload: &[u8]) -> Vec<u8> {
    let mut frame = frame(KEY, (TRUNK, SWITCH), now(), "");
    frame.truncate(frame.len() - 6);
    frame.extend_from_slice(&[0, 0, 0, 0x10]);
    frame.extend_from_slice(&u16::try_from(payload.len() + 6).expect("short").to_be_bytes());
    frame.extend_from_slice(payload);
    let length = u16::try_from(frame.len()).expect("short").to_be_bytes();
    frame[4..6].copy_from_slice(&length);
    frame
}

#[test]
fn bombs_in_packed_payloads() {
    const EACH: usize = 1_000;
    let bomb = |plain: &[u8], into: u64| {
        let (mut out, best) = (Vec::new(), flate2::Compression::best());
        let endless = plain.chain(std::io::repeat(b' ')).take(into);
        flate2::read::ZlibEncoder::new(endless, best).read_to_end(&mut out).expect("packed");
        out
    };
    let text = invite("packed");
    // Of nothing but blanks; of a message and then blanks; one of which no end is told; and an honest one, which is read.
    let (blanks, message) = (bomb(b"", 50 << 20), bomb(text.as_bytes(), 50 << 20));
    let bombs = [packed(&blanks), packed(&message), packed(&message[..message.len() / 2])];
    let honest = packed(&bomb(text.as_bytes(), text.len() as u64));
    assert!(bombs.iter().all(|bomb| bomb.len() < 60_000), "they are small");

    let (victim, office, mut hose) = scene();
    for _ in 0..EACH {
        bombs.iter().for_each(|bomb| hose.send(bomb));
    }
    hose.send(&honest);
    let (billed, frames) = office.close();
    victim.reaches("taktd_hep_frames_total{outcome=\"accepted\"}", frames as f64 + 1.0);
    assert_eq!((victim.rejected("hep_compressed"), metric(&victim.daemon, "taktd_socket_drops_total")), (3.0 * EACH as f64, 0.0));
    victim.has_stayed_below(64);
    victim.ends_well(&billed);
}
