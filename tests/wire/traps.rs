//! Traps that lie on the wire, each a test: clocks, crossing messages, traces with a beginning or an end missing, and who
//! calls.

use super::{By, Leg, MILLI, PROVIDER, SECOND, Wire, directory, talk};
use chrono_tz::Europe::Berlin;
use taktd::calls::{Call, End, Mark, MissedReason, Withheld};
use taktd::units::Timestamp;

const HOTLINE: &str = "+4989555010";
const CALLER: &str = "+493023125077";

/// A call to the hotline and its leg to a phone.
fn pair() -> (Leg, Leg) {
    (Leg::outer("outer", CALLER, HOTLINE), Leg::inner("inner", CALLER, "201"))
}

/// Connected from 5 s on.
fn connected(wire: &mut Wire) -> (Leg, Leg) {
    let (outer, inner) = pair();
    wire.invite(0, &outer);
    wire.invite(20 * MILLI, &inner);
    wire.answer(5 * SECOND, &inner);
    wire.answer(5 * SECOND + MILLI, &outer);
    (outer, inner)
}

fn only(calls: Vec<Call>) -> Call {
    let [call] = <[Call; 1]>::try_from(calls).expect("one call");
    call
}

#[test]
fn trap_7_a_call_across_the_change_of_the_clock_midnight_and_the_end_of_a_month() {
    for (connected_at, minutes, begins, ends) in [
        ("2026-10-25T00:50:00Z", 30, "2026-10-25T02:50:00.001+02:00", "2026-10-25T02:20:00.001+01:00"),
        ("2026-03-29T00:50:00Z", 30, "2026-03-29T01:50:00.001+01:00", "2026-03-29T03:20:00.001+02:00"),
        ("2026-10-31T22:45:00Z", 30, "2026-10-31T23:45:00.001+01:00", "2026-11-01T00:15:00.001+01:00"),
    ] {
        let base = Timestamp::parse_rfc3339(connected_at).expect("a time").plus_micros(-5 * SECOND);
        let mut wire = Wire::at(directory(), base.micros());
        let (outer, inner) = connected(&mut wire);
        let end = 5 * SECOND + MILLI + minutes * 60 * SECOND;
        wire.bye(end, &outer, By::Caller);
        wire.bye(end + MILLI, &inner, By::Caller);
        let call = only(wire.calls(3_600 * SECOND).0);
        let [talk] = call.talks.as_slice() else { panic!("{call:?}") };
        assert_eq!((talk.from.rfc3339(Berlin).as_str(), talk.to.expect("an end").rfc3339(Berlin).as_str()), (begins, ends));
        assert_eq!(call.talk_micros(base), 0);
        assert_eq!(call.talk_micros(talk.to.expect("an end")), minutes * 60 * SECOND);
    }
}

#[test]
fn trap_9_cancels_and_byes_that_cross_or_come_again() {
    // 200 to CANCEL is no answer.
    let mut wire = Wire::new(directory());
    let (outer, _) = pair();
    wire.invite(0, &outer);
    wire.send(SECOND, &outer, By::Caller, &outer.text("CANCEL sip:x@127.0.0.11 SIP/2.0", By::Caller, "1 CANCEL", "i", None));
    wire.send(SECOND + MILLI, &outer, By::Callee, &outer.text("SIP/2.0 200 OK", By::Caller, "1 CANCEL", "i", Some("t")));
    wire.send(SECOND + 2 * MILLI, &outer, By::Callee, &outer.text("SIP/2.0 487 Gone", By::Caller, "1 INVITE", "i", Some("t")));
    let call = only(wire.calls(100 * SECOND).0);
    assert_eq!((call.missed, call.talks.len()), (Some(MissedReason::Canceled), 0));

    // CANCEL crosses the 200: answered, and hung up at once: 0 s of talk.
    let mut wire = Wire::new(directory());
    let (outer, inner) = pair();
    wire.invite(0, &outer);
    wire.invite(20 * MILLI, &inner);
    wire.send(SECOND, &outer, By::Caller, &outer.text("CANCEL sip:x@127.0.0.11 SIP/2.0", By::Caller, "1 CANCEL", "i", None));
    wire.answer(SECOND + MILLI, &inner);
    wire.answer(SECOND + 2 * MILLI, &outer);
    wire.bye(SECOND + 9 * MILLI, &outer, By::Caller);
    wire.bye(SECOND + 10 * MILLI, &inner, By::Caller);
    let call = only(wire.calls(100 * SECOND).0);
    assert_eq!((call.missed, call.talk_micros(call.ended_at.expect("it is over"))), (None, 7 * MILLI));

    // 200 and BYE come again, BYEs cross, and one is answered 481.
    let mut wire = Wire::new(directory());
    let (outer, inner) = connected(&mut wire);
    wire.answer(6 * SECOND, &outer);
    wire.bye(65 * SECOND, &outer, By::Caller);
    let bye = |leg: &Leg, by, branch| leg.text("BYE sip:x@127.0.0.11 SIP/2.0", by, "9 BYE", branch, Some("t"));
    wire.send(65 * SECOND + 500 * MILLI, &outer, By::Caller, &bye(&outer, By::Caller, "b"));
    wire.send(65 * SECOND + 2 * MILLI, &inner, By::Caller, &bye(&inner, By::Caller, "b"));
    wire.send(65 * SECOND + 3 * MILLI, &inner, By::Callee, &bye(&inner, By::Callee, "c"));
    wire.send(65 * SECOND + 4 * MILLI, &inner, By::Callee, &inner.text("SIP/2.0 481 Unknown", By::Caller, "9 BYE", "b", Some("t")));
    let base = wire.base;
    let call = only(wire.calls(200 * SECOND).0);
    assert_eq!(talk(&call, base), [("201".to_owned(), 5_001, 65_000)]);
    assert_eq!((call.end, &*call.marks), (End::Observed, &[][..]));

    // Two phones answer through a proxy: two tags, and talk goes on with the one that is kept.
    let mut wire = Wire::new(directory());
    let (outer, _) = pair();
    wire.invite(0, &outer);
    for (place, phone) in [("p1", "201"), ("p2", "202")] {
        let hop = Leg { to: phone.into(), ends: [super::SWITCH, super::PHONE], ..outer.clone() };
        let text = outer.text(&format!("INVITE sip:{phone}@127.0.0.31 SIP/2.0"), By::Caller, "1 INVITE", place, None);
        wire.send(MILLI, &hop, By::Caller, &text);
        wire.send(SECOND, &hop, By::Callee, &outer.text("SIP/2.0 200 OK", By::Caller, "1 INVITE", place, Some(place)));
    }
    for (at, tag) in [(SECOND + 5 * MILLI, "p2"), (61 * SECOND, "p1")] {
        let text = outer.text("BYE sip:x@127.0.0.11 SIP/2.0", By::Caller, "2 BYE", tag, Some(tag));
        wire.send(at, &outer, By::Caller, &text);
        wire.send(at + MILLI, &outer, By::Callee, &outer.text("SIP/2.0 200 OK", By::Caller, "2 BYE", tag, Some(tag)));
    }
    let call = only(wire.calls(200 * SECOND).0);
    assert_eq!(call.talk_micros(call.ended_at.expect("it is over")), 60 * SECOND);
}

#[test]
fn trap_10_traces_that_begin_or_end_in_the_middle_of_a_call() {
    // The beginning is missing: a re-INVITE and a BYE of nobody.
    let mut wire = Wire::new(directory());
    let (outer, inner) = pair();
    wire.send(0, &outer, By::Caller, &outer.text("INVITE sip:x@127.0.0.11 SIP/2.0", By::Caller, "7 INVITE", "r", Some("t")));
    wire.send(MILLI, &outer, By::Callee, &outer.text("SIP/2.0 200 OK", By::Caller, "7 INVITE", "r", Some("t")));
    wire.bye(SECOND, &outer, By::Caller);
    wire.bye(SECOND, &inner, By::Caller);
    let (calls, unmetered) = wire.calls(20_000 * SECOND);
    assert_eq!((calls.len(), unmetered), (0, taktd::calls::Unmetered::default()));

    // The phone's leg is older than the trace: the caller's alone proves no agent.
    let mut wire = Wire::new(directory());
    wire.invite(0, &outer);
    wire.answer(SECOND, &outer);
    wire.bye(30 * SECOND, &outer, By::Caller);
    let call = only(wire.calls(20_000 * SECOND).0);
    assert_eq!((call.talks.len(), call.missed), (0, Some(MissedReason::Abandoned)));

    // The end is missing: talk until the caller's last sign of life, and it is marked.
    let mut wire = Wire::new(directory());
    let (outer, _) = connected(&mut wire);
    let info = |first: &str| outer.text(first, By::Caller, "2 INFO", "n", Some("t"));
    wire.send(65 * SECOND, &outer, By::Caller, &info("INFO sip:x@127.0.0.11 SIP/2.0"));
    wire.send(65 * SECOND + MILLI, &outer, By::Callee, &info("SIP/2.0 200 OK"));
    let base = wire.base;
    let call = only(wire.calls(20_000 * SECOND).0);
    assert_eq!(talk(&call, base), [("201".to_owned(), 5_001, 65_000)]);
    assert_eq!((call.end, &*call.marks), (End::Estimated, &[Mark::LostParty][..]));
}

#[test]
fn trap_11_two_agents_with_clocks_apart_a_time_in_the_future_and_packets_out_of_order() {
    // Every message is told twice, the second time by a clock that is 2.5 s fast.
    let mut wire = Wire::new(directory());
    let (outer, inner) = pair();
    let mut script: Vec<(i64, Leg, By, String)> = Vec::new();
    let ends = |first: &str, leg: &Leg, asks: By, cseq: &str, branch: &str, tag: Option<&str>| leg.text(first, asks, cseq, branch, tag);
    for (at, leg) in [(0, &outer), (20 * MILLI, &inner)] {
        let first = format!("INVITE sip:{}@127.0.0.11 SIP/2.0", leg.to);
        script.push((at, leg.clone(), By::Caller, ends(&first, leg, By::Caller, "1 INVITE", "i", None)));
    }
    for (at, leg) in [(5 * SECOND, &inner), (5 * SECOND + MILLI, &outer)] {
        script.push((at, leg.clone(), By::Callee, ends("SIP/2.0 200 OK", leg, By::Caller, "1 INVITE", "i", Some("t"))));
    }
    for (at, leg) in [(65 * SECOND, &outer), (65 * SECOND + MILLI, &inner)] {
        script.push((at, leg.clone(), By::Caller, ends("BYE sip:x@127.0.0.11 SIP/2.0", leg, By::Caller, "2 BYE", "b", Some("t"))));
        script.push((at + 9 * MILLI, leg.clone(), By::Callee, ends("SIP/2.0 200 OK", leg, By::Caller, "2 BYE", "b", Some("t"))));
    }
    script.sort_by_key(|(at, ..)| *at);
    for (at, leg, by, text) in &script {
        wire.send(*at, leg, *by, text);
        wire.send_late(at + 2_500 * MILLI, at + MILLI / 2, leg, *by, text);
    }
    let base = wire.base;
    let call = only(wire.calls(200 * SECOND).0);
    assert_eq!((talk(&call, base), &*call.marks), (vec![("201".to_owned(), 5_001, 65_000)], &[][..]));

    // Whichever agent's copy comes first, now this one's, now that one's, and late enough to come behind the next message: it
    // is one call, and each time in it is the first one heard. So talk is off by what lies between the clocks, and no more.
    const APART: i64 = 300 * MILLI;
    for first in ["true", "fast", "in turn"] {
        for late in [MILLI / 2, 400 * MILLI] {
            let mut wire = Wire::new(directory());
            let mut arrivals = Vec::new();
            for (place, told) in script.iter().enumerate() {
                let fast = match first {
                    "true" => late,
                    "fast" => -late,
                    _ if place % 2 == 0 => late,
                    _ => -late,
                };
                let (early, later) = (fast.min(0).abs(), fast.max(0));
                arrivals.extend([(told.0 + early, told.0, told), (told.0 + later, told.0 + APART, told)]);
            }
            arrivals.sort_by_key(|(arrives, captured, _)| (*arrives, *captured));
            for (arrives, captured, (_, leg, by, text)) in arrivals {
                wire.send_late(captured, arrives, leg, *by, text);
            }
            let base = wire.base;
            let call = only(wire.calls(200 * SECOND).0);
            let [(agent, from, to)] = talk(&call, base).try_into().expect("one talk");
            let expected = match first {
                "true" => (5_001, 65_000),
                "fast" => (5_301, 65_300),
                _ => (from, to),
            };
            assert_eq!((&*agent, (from, to), &*call.marks), ("201", expected, &[][..]), "{first} {late}");
            assert!((from - 5_001).abs() <= 301 && (to - 65_000).abs() <= 301, "{first} {late}: {from} {to}");
        }
    }

    // A clock a day ahead ends nobody's call.
    let mut wire = Wire::new(directory());
    let (outer, inner) = connected(&mut wire);
    let text = outer.text("INFO sip:x@127.0.0.11 SIP/2.0", By::Caller, "2 INFO", "n", Some("t"));
    wire.send_late(86_400 * SECOND, 30 * SECOND, &outer, By::Caller, &text);
    wire.bye(65 * SECOND, &outer, By::Caller);
    wire.bye(65 * SECOND + MILLI, &inner, By::Caller);
    let base = wire.base;
    let call = only(wire.calls(200 * SECOND).0);
    assert_eq!((talk(&call, base), call.end), (vec![("201".to_owned(), 5_001, 65_000)], End::Observed));

    // The same script, each pair of neighbors the other way round: times are those of capture.
    let mut wire = Wire::new(directory());
    for pair in script.chunks(2) {
        let arrives = pair.last().expect("one or two").0;
        for (at, leg, by, text) in pair.iter().rev() {
            wire.send_late(*at, arrives, leg, *by, text);
        }
    }
    let base = wire.base;
    let call = only(wire.calls(200 * SECOND).0);
    assert_eq!((talk(&call, base), call.end), (vec![("201".to_owned(), 5_001, 65_000)], End::Observed));
}

#[test]
fn trap_13_who_calls() {
    let anonymous = "\"Anonymous\" <sip:anonymous@anonymous.invalid>";
    let asserted = "P-Asserted-Identity: <sip:+493023125077@provider>";
    let number = Some("+493023125077");
    for (from, headers, source, expected, withheld) in [
        // Withheld, with the number for the switch alone.
        (anonymous, vec![asserted, "Privacy: id"], PROVIDER, number, Withheld::Yes),
        // Two values, one of them a name; tel: with separators.
        ("+49301", vec!["P-Asserted-Identity: <sip:alice@provider>, <tel:+49-(30)-2312.5077>"], PROVIDER, number, Withheld::No),
        // Anybody can write it: only the provider is believed.
        ("+49301", vec![asserted], "192.0.2.66:5060", Some("+49301"), Withheld::No),
        (anonymous, vec![asserted, "Privacy: id"], "192.0.2.66:5060", None, Withheld::Yes),
        // National, with separators in From; an extension alone is a local number of the house's area.
        ("<sip:030%2D23125077;phone-context=+49@provider;user=phone>", vec![], PROVIDER, number, Withheld::No),
        ("<tel:030-2312-5077;phone-context=+49>", vec![], PROVIDER, number, Withheld::No),
        ("311", vec![], PROVIDER, Some("+4989311"), Withheld::No),
    ] {
        let mut wire = Wire::new(directory());
        let mut outer = Leg::outer("outer", from, HOTLINE);
        outer.ends[0] = source;
        for header in headers {
            outer = outer.with(header);
        }
        wire.invite(0, &outer);
        wire.send(SECOND, &outer, By::Callee, &outer.text("SIP/2.0 486 Busy", By::Caller, "1 INVITE", "i", Some("t")));
        let call = only(wire.calls(100 * SECOND).0);
        let caller = call.caller.map(|number| number.to_string());
        assert_eq!((caller.as_deref(), call.withheld), (expected, withheld), "{from} from {source}");
    }
}
