//! Feeds that begin or end in the middle, repeat, or hold anything.

use super::*;

#[test]
fn a_call_without_an_end_is_given_up_at_its_last_sign() {
    let talk = "4 B enters x\n4 A enters x\n60 A holds\n";
    let expected = ["in +4930111 > 555013 Short [201:4-60] 0-60 estimated lost-party"];
    let short = CALL.replace("555010", "555013");
    check(&format!("{short}{talk}3599 A now\n"), &[]);
    check(&format!("{short}{talk}3600 now\n"), &expected);
    check(&format!("{short}{talk}final"), &expected);
    // What never was answered ends where it was last seen.
    check(&format!("{CALL}final"), &["in +4930111 > 555010 Support [] 0-1 no answer estimated lost-party"]);
}

#[test]
fn a_feed_that_begins_in_the_middle_claims_no_more_than_it_saw() {
    // The caller's channel is known from its answer on; its beginning is in its unique id, which here is none.
    let late = "4 B begins PJSIP/201-2 of A\n5 B enters x\n9 B hangs-up\n";
    check(late, &[]);
    check("9 A hangs-up 16 itself\n9 A ends\n", &[]);
}

#[test]
fn the_same_events_again_change_nothing() {
    let talk = "4 B enters x\n4.001 A enters x\n";
    let end = "9 A leaves x\n9 A hangs-up 16 itself\n9 B hangs-up\n";
    check(&format!("{CALL}{talk}{CALL}{talk}{end}"), &["in +4930111 > 555010 Support [201:4.001-9] 0-9"]);
}

#[test]
fn no_more_channels_are_kept_than_stated() {
    let mut channels = Channels::new(&directory());
    let mut out = Vec::new();
    let mut facts =
        ChannelFacts { name: "PJSIP/trunk-1".into(), exten: "555010".into(), number: "+4930111".into(), ..ChannelFacts::default() };
    for number in 0..MOST_CHANNELS + 10 {
        let id: Box<str> = format!("{number:06}.1").into();
        (facts.uniqueid, facts.linkedid) = (id.clone(), id);
        let at = Timestamp::from_micros(1_000_000_000 + i64::try_from(number).expect("small"));
        channels.apply(&ChannelEvent { at, channel: facts.clone(), change: Change::Begins }, &mut out);
    }
    assert_eq!((channels.table.len(), channels.crowded_out(), out.len()), (MOST_CHANNELS, 10, 10));
    assert!(out.iter().all(|update| update.call.end == End::Estimated && update.call.talks.is_empty()));
}

fn any_line() -> impl proptest::strategy::Strategy<Value = String> {
    use proptest::prelude::*;
    let who = prop::sample::select(vec!["A", "B", "C", "L", "M"]);
    let what = prop::sample::select(vec![
        "begins PJSIP/trunk-1 +4930111 555010",
        "begins PJSIP/201-1 of A",
        "begins PJSIP/201-1 201 0301234567",
        "begins PJSIP/trunk-2 of B",
        "begins Local/203@in-1;1 of A",
        "begins Local/203@in-1;2 of A",
        "answers",
        "runs Dial PJSIP/+49301234567@trunk,30",
        "runs Queue support",
        "enters x",
        "enters y",
        "leaves x",
        "leaves y",
        "transfers x",
        "holds",
        "resumes",
        "hangs-up 16 itself",
        "ends",
        "now",
    ]);
    (0u32..40, who, what).prop_map(|(at, who, what)| if what == "now" { format!("{at} now") } else { format!("{at} {who} {what}") })
}

proptest::proptest! {
    #[test]
    fn any_events_come_to_calls_that_hold_together(lines in proptest::collection::vec(any_line(), 0..60)) {
        let script = lines.join("\n") + "\nfinal";
        let updates = told(&script, false);
        for Update { call, stage } in &updates {
            let end = call.ended_at.unwrap_or(Timestamp::MAX);
            proptest::prop_assert!(call.talks.iter().all(|talk| talk.to.is_none_or(|to| to >= talk.from && to <= end)), "{call:?}\n{script}");
            proptest::prop_assert!(*stage == Stage::Connected || call.talks.iter().all(|talk| talk.to.is_some()), "{call:?}\n{script}");
            proptest::prop_assert!(call.missed.is_some() == (call.talks.is_empty() && call.ended_at.is_some()), "{call:?}\n{script}");
        }
        let again = told(&script, true);
        proptest::prop_assert_eq!(updates.iter().map(|update| &update.call).collect::<Vec<_>>(), again.iter().map(|update| &update.call).collect::<Vec<_>>());
    }
}

/// A call that talks, then the connection is lost at 20; at 30 the switch lists `open`, and goes on with `rest`.
#[track_caller]
fn check_resync(open: &[(&str, &str, &str, Option<&str>)], rest: &str, expected: &[&str]) {
    let (mut channels, mut cast, mut out) = (Channels::new(&directory()), Cast::default(), Vec::new());
    let mut feed = |channels: &mut Channels, lines: &str, out: &mut Vec<Update>| {
        for line in lines.lines() {
            channels.apply(&cast.event(line).expect("an event"), out);
        }
    };
    feed(&mut channels, &format!("{CALL}4 B enters x\n4 A enters x"), &mut out);
    let listed = open.iter().map(|(id, of, name, bridge)| OpenChannel {
        facts: ChannelFacts { uniqueid: (*id).into(), linkedid: (*of).into(), name: (*name).into(), ..ChannelFacts::default() },
        is_up: true,
        bridge: bridge.map(Into::into),
    });
    channels.resync(&listed.collect::<Vec<_>>(), Some(time("20")), time("30"), &mut out);
    feed(&mut channels, rest, &mut out);
    let concluded = out.iter().filter(|update| update.stage == Stage::Concluded);
    assert_eq!(concluded.map(|update| shown_call(&update.call)).collect::<Vec<_>>(), expected);
}

#[test]
fn what_happened_unheard_is_not_claimed() {
    let (caller, agent) = (("A", "A", "PJSIP/trunk-1", Some("x")), ("B", "A", "PJSIP/201-2", Some("x")));
    let end = "40 A hangs-up\n40 B hangs-up";
    // All goes on.
    check_resync(&[caller, agent], end, &["in +4930111 > 555010 Support [201:4-40] 0-40"]);
    // Nothing is open any more: the switch started anew, or they hung up.
    check_resync(&[], end, &["in +4930111 > 555010 Support [201:4-20] 0-20 estimated lost-party"]);
    // The agent is gone, the caller waits.
    check_resync(&[("A", "A", "PJSIP/trunk-1", None)], end, &["in +4930111 > 555010 Support [201:4-20] 0-40"]);
    // Another agent is there, nobody knows since when.
    let other = [("A", "A", "PJSIP/trunk-1", Some("y")), ("C", "A", "PJSIP/202-3", Some("y"))];
    check_resync(&other, "40 A hangs-up\n40 A ends", &["in +4930111 > 555010 Support [201:4-20 202:30-40] 0-40 transfer"]);
}
