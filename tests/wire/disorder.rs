//! Packets that are read in another order than they were sent, as their capture times say: how much is borne, and by what.
//!
//! Within a leg, and of a caller who has only one call, half a second; between several calls of one caller, whose phones ring as
//! they come in, a tenth of one. (In whatever a recording holds, five milliseconds: `recordings`.)

use super::{By, Leg, MILLI, SECOND, Wire, directory, talk};
use taktd::calls::{Call, Correlation};

const HOTLINE: &str = "+4989555010";
const CALLER: &str = "+493023125077";

type Sent = (i64, Leg, By, String);

/// A call as it passes the wire: rings, is answered, held and taken back, and hung up by the caller; its times begin here.
fn story(begins: i64, name: &str, phone: &str) -> Vec<Sent> {
    let (outer, inner) = (Leg::outer(&format!("outer{name}"), CALLER, HOTLINE), Leg::inner(&format!("inner{name}"), CALLER, phone));
    let mut sent = Vec::new();
    let mut say = |at: i64, leg: &Leg, by: By, first: &str, asks: By, cseq: &str, branch: &str, tag: Option<&str>| {
        sent.push((begins + at, leg.clone(), by, leg.text(first, asks, cseq, branch, tag)));
    };
    for (at, leg) in [(0, &outer), (20 * MILLI, &inner)] {
        say(at, leg, By::Caller, &format!("INVITE sip:{}@127.0.0.11 SIP/2.0", leg.to), By::Caller, "1 INVITE", "i", None);
        say(at + MILLI, leg, By::Callee, "SIP/2.0 100 Trying", By::Caller, "1 INVITE", "i", None);
        say(at + 60 * MILLI, leg, By::Callee, "SIP/2.0 180 Ringing", By::Caller, "1 INVITE", "i", Some("t"));
    }
    for (at, leg) in [(5 * SECOND, &inner), (5 * SECOND + MILLI, &outer)] {
        say(at, leg, By::Callee, "SIP/2.0 200 OK", By::Caller, "1 INVITE", "i", Some("t"));
        say(at + 2 * MILLI, leg, By::Caller, "ACK sip:x@127.0.0.11 SIP/2.0", By::Caller, "1 ACK", "k", Some("t"));
    }
    for (at, leg) in [(65 * SECOND, &outer), (65 * SECOND + MILLI, &inner)] {
        say(at, leg, By::Caller, "BYE sip:x@127.0.0.11 SIP/2.0", By::Caller, "9 BYE", "b", Some("t"));
        say(at + 9 * MILLI, leg, By::Callee, "SIP/2.0 200 OK", By::Caller, "9 BYE", "b", Some("t"));
    }
    sent
}

/// Reads messages, each later than it was sent by less than a window, as seeded dice fall.
fn read(mut sent: Vec<Sent>, window: i64, seed: u64) -> (Vec<Call>, i64) {
    let mut dice = seed;
    let mut delay = || {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        i64::try_from(dice >> 33).expect("31 bits") % window
    };
    sent.sort_by_key(|(at, ..)| *at);
    let mut arrived: Vec<(i64, Sent)> = sent.into_iter().map(|sent| (sent.0 + delay(), sent)).collect();
    arrived.sort_by_key(|(arrives, _)| *arrives);
    let mut wire = Wire::new(directory());
    for (arrives, (at, leg, by, text)) in &arrived {
        wire.send_late(*at, *arrives, leg, *by, text);
    }
    let base = wire.base;
    (wire.calls(20_000 * SECOND).0, base)
}

/// Where the ACK is read before the answer, the call is known to be connected by the ACK's time.
fn near(one: &[(String, i64, i64)], other: &[(String, i64, i64)]) -> bool {
    let same = |(one, other): (&(String, i64, i64), &(String, i64, i64))| {
        one.0 == other.0 && (one.1 - other.1).abs() <= 2 && (one.2 - other.2).abs() <= 2
    };
    one.len() == other.len() && one.iter().zip(other).all(same)
}

#[test]
fn a_callers_only_call_bears_half_a_second() {
    for seed in 0..300 {
        let (calls, base) = read(story(0, "", "201"), 490 * MILLI, seed);
        let [call] = calls.as_slice() else { panic!("seed {seed}: {calls:#?}") };
        assert!(near(&talk(call, base), &[("201".to_owned(), 5_001, 65_000)]), "seed {seed}: {call:#?}");
        assert!(call.marks.is_empty() && call.correlation != Correlation::Guess, "seed {seed}: {call:#?}");
    }
}

/// Two calls of one number, set up 200 ms apart and answered in the other order.
fn two() -> Vec<Sent> {
    let mut sent = story(0, "1", "201");
    sent.extend(
        story(200 * MILLI, "2", "202").into_iter().map(|(at, leg, by, text)| (if at > SECOND { at - SECOND } else { at }, leg, by, text)),
    );
    sent
}

/// The second phone may be read before the second caller: it is not the first caller's, who has one ringing already.
#[test]
fn calls_of_one_number_bear_a_tenth_of_a_second() {
    let expected = [vec![("201".to_owned(), 5_001, 65_000)], vec![("202".to_owned(), 4_201, 64_200)]];
    for seed in 0..300 {
        let (calls, base) = read(two(), 100 * MILLI, seed);
        assert_eq!(calls.len(), 2, "seed {seed}: {calls:#?}");
        for (call, expected) in calls.iter().zip(&expected) {
            assert!(near(&talk(call, base), expected) && call.marks.is_empty(), "seed {seed}: {calls:#?}");
        }
    }
}
