//! Anything may happen in any order: nothing is left behind, nothing is concluded twice, and a snapshot changes nothing.

use super::*;
use proptest::prelude::*;

const LEGS: [&str; 7] = ["a", "b", "c", "d", "e", "f", "g"];
const INVITES: [&str; 12] = [
    "invite +49301 > 555010",
    "invite +49301 > 555011 cid=one",
    "invite +49302 > 555013 dst=5",
    "invite +49302 > 555013 src=5",
    "invite anonymous > 555010",
    "invite +49301 > 201",
    "invite anonymous > 202 cid=one",
    "invite 201 > 203",
    "invite 555010 > 201",
    "invite 201 > 0301",
    "invite 555010 > 0301",
    "invite +49301 > +491711",
];
const EVENTS: [&str; 18] = [
    "ring",
    "answer",
    "answer",
    "answer d=1 b=1",
    "fork 201 b=1",
    "named 201",
    "named 203 callee",
    "redirect +491711",
    "refuse 486",
    "cancel",
    "hold",
    "resume",
    "refer 203",
    "refer 203 replaces=d",
    "bye caller",
    "bye d=1",
    "bye unseen",
    "expired",
];

/// Lines with growing times: each leg is invited before anything else happens on it, and ended after everything.
fn story() -> impl Strategy<Value = Vec<String>> {
    let step = (prop::sample::select(vec![0u32, 5, 60, 120, 900, 6_000, 41_000]), 0..LEGS.len(), 0..INVITES.len(), 0..EVENTS.len());
    prop::collection::vec(step, 1..40).prop_map(|steps| {
        let (mut lines, mut invited, mut answered, mut now) = (Vec::new(), [false; LEGS.len()], [false; LEGS.len()], 0u32);
        let mut say = |now: u32, leg: usize, what: &str| lines.push(format!("{}.{:03} {} {what}", now / 1_000, now % 1_000, LEGS[leg]));
        for (wait, leg, invite, event) in steps {
            now += wait;
            let what = if std::mem::replace(&mut invited[leg], true) { EVENTS[event] } else { INVITES[invite] };
            answered[leg] |= what == "answer";
            match (what, answered[leg]) {
                ("expired", true) => say(now, leg, &format!("expired {}", now / 2_000)),
                ("expired", false) => {}
                (what, _) => say(now, leg, what),
            }
        }
        for leg in (0..LEGS.len()).filter(|leg| invited[*leg]) {
            say(now, leg, "bye d=1");
            say(now, leg, "bye");
            say(now, leg, "bye unseen");
        }
        lines
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn nothing_is_left_behind(lines in story(), cut in 0usize..40) {
        let mut lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        lines.push("20000 now");
        let (calls, updates) = play(&directory(), &lines, None);
        let whole = told(&updates);
        prop_assert!(calls.is_empty());
        prop_assert!(calls.legs.is_empty(), "legs are left: {:?}", calls.legs);
        let mut bytes = Writer::new();
        calls.index.write(&mut bytes);
        prop_assert_eq!(bytes.finish(), [0, 0], "the index keeps something");
        prop_assert_eq!(calls.deadline(), None);
        let (_, again) = play(&directory(), &lines, Some(cut.min(lines.len() - 1)));
        prop_assert_eq!(told(&again), whole);
        for update in &updates {
            let call = &update.call;
            prop_assert!(call.talks.iter().all(|talk| talk.to.is_none_or(|to| talk.from <= to) && talk.from >= call.started_at), "{}", tell(call));
            prop_assert!(call.ended_at.is_none_or(|ended| call.talks.iter().all(|talk| talk.to.is_some_and(|to| to <= ended))), "{}", tell(call));
        }
    }
}
