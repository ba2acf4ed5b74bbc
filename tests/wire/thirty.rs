//! Thirty callers behind one number wait in one queue at once. With evidence nobody is mixed up; with none, it is said, and
//! nobody is given a talk that did not take place.

use super::{By, Leg, MILLI, SECOND, Wire, directory, talk};
use std::collections::BTreeSet;
use taktd::calls::{Call, Correlation, Mark};

const CALLERS: i64 = 30;
const LONG: i64 = 1_000 * SECOND;

/// One caller's truth: the agent, and the talk in milliseconds.
struct Truth {
    caller: Leg,
    agent: Leg,
    rung: i64,
    talk: (i64, i64),
}

/// Thirty of them: agents are rung in another order than callers came, and all talk at once.
fn truth(number: &str, tie: impl Fn(Leg, Leg, i64) -> (Leg, Leg)) -> Vec<Truth> {
    (0..CALLERS)
        .map(|place| {
            let turn = place * 7 % CALLERS;
            let caller = Leg::outer(&format!("outer-{place}@provider"), number, "+4989555010");
            let agent = Leg::inner(&format!("inner-{place}@switch"), number, &format!("20{place:02}"));
            let (caller, agent) = tie(caller, agent, place);
            let (rung, answered) = (5_000 + turn * 40, 9_000 + turn * 40);
            Truth { caller, agent, rung, talk: (answered, 30_000 + place * 700) }
        })
        .collect()
}

/// Plays it; with `last_words`, both legs of a talk end together, as a switch ends them: otherwise all end at one moment.
fn play(truth: &[Truth], last_words: bool) -> (Vec<Call>, i64) {
    play_with(truth, last_words, None)
}

/// The same; with `related`, the switch tells so much later than each INVITE of which conversation its leg is.
fn play_with(truth: &[Truth], last_words: bool, related: Option<i64>) -> (Vec<Call>, i64) {
    let mut directory = directory();
    directory.identity.leg_headers = ["session-id", "x-cid", "p-charging-vector"].map(Into::into).into();
    let mut wire = Wire::new(directory);
    let mut script: Vec<(i64, &Truth, u8)> = Vec::new();
    for (place, call) in (0i64..).zip(truth) {
        let end = if last_words { call.talk.1 } else { 60_000 };
        if let Some(later) = related {
            script.extend([(place * 50 + later, call, 5), (call.rung + later, call, 6)]);
        }
        script.extend([(place * 50, call, 0), (place * 50 + 5, call, 1), (call.rung, call, 2), (call.talk.0, call, 3), (end, call, 4)]);
    }
    script.sort_by_key(|(at, ..)| *at);
    for (at, call, what) in script {
        let at = at * MILLI;
        match what {
            0 => wire.invite(at, &call.caller),
            1 => wire.answer(at, &call.caller),
            2 => wire.invite(at, &call.agent),
            3 => wire.answer(at, &call.agent),
            // Under the name of the caller's channel, as Asterisk has it.
            5 => wire.signalling.relate(call.caller.call_id.as_bytes(), &call.caller.call_id),
            6 => wire.signalling.relate(call.agent.call_id.as_bytes(), &call.caller.call_id),
            _ => {
                wire.bye(at, &call.caller, By::Caller);
                wire.bye(at + 3 * MILLI, &call.agent, By::Caller);
            }
        }
    }
    let base = wire.base;
    let (calls, _) = wire.calls(LONG);
    assert_eq!(calls.len(), truth.len());
    (calls, base)
}

#[test]
fn explicit_evidence_mixes_nobody_up() {
    let session = |place: i64| format!("{:032x}", 0xabc_0000 + place);
    type Tie<'t> = &'t dyn Fn(Leg, Leg, i64) -> (Leg, Leg);
    let by_call_id: Tie<'_> = &|caller, agent, _| {
        let name = format!("X-CID: {}", caller.call_id);
        (caller, agent.with(&name))
    };
    let by_cid: Tie<'_> = &|caller, agent, place| (caller.with(&format!("X-CID: c{place}")), agent.with(&format!("X-CID: c{place}")));
    let by_session: Tie<'_> = &|caller, agent, place| {
        let nobody = "0".repeat(32);
        (
            caller.with(&format!("Session-ID: {};remote={nobody}", session(place))),
            agent.with(&format!("Session-ID: {};remote={}", session(place).to_uppercase(), session(place + 500))),
        )
    };
    let by_icid: Tie<'_> = &|caller, agent, place| {
        (
            caller.with(&format!("P-Charging-Vector: icid-value=\"i;{place}\";orig-ioi=a")),
            agent.with(&format!("P-Charging-Vector: term-ioi=b;icid-value=\"i;{place}\"")),
        )
    };
    for (name, tie) in [("X-CID with the Call-ID", by_call_id), ("X-CID", by_cid), ("Session-ID", by_session), ("icid", by_icid)] {
        // The number helps nobody here: all have the same, or none.
        for number in ["+4989999980", "<sip:anonymous@anonymous.invalid>"] {
            let truth = truth(number, tie);
            let (calls, base) = play(&truth, false);
            for (call, truth) in calls.iter().zip(&truth) {
                assert_eq!(talk(call, base), [(truth.agent.to.clone(), truth.talk.0, 60_000)], "{name} {number}");
                assert_eq!((call.correlation, &*call.marks), (Correlation::Explicit, &[][..]), "{name} {number}");
            }
        }
    }
}

/// Asterisk's manager interface knows the Call-ID of each leg and its Linkedid: told before the INVITE is read, soon after it, and
/// when likelihood has given the agents to somebody.
#[test]
fn what_another_source_knows_of_the_legs_mixes_nobody_up() {
    for later in [-5, 20, 4_500] {
        for number in ["+4989999980", "<sip:anonymous@anonymous.invalid>"] {
            let truth = truth(number, |caller, agent, _| (caller, agent));
            let (calls, base) = play_with(&truth, false, Some(later));
            for (call, truth) in calls.iter().zip(&truth) {
                assert_eq!(talk(call, base), [(truth.agent.to.clone(), truth.talk.0, 60_000)], "{later} {number}");
                assert_eq!((call.correlation, &*call.marks), (Correlation::Explicit, &[][..]), "{later} {number}");
            }
        }
    }
}

#[test]
fn without_evidence_it_is_marked_and_no_talk_is_invented() {
    let plain = |caller: Leg, agent: Leg, _: i64| (caller, agent);
    for last_words in [true, false] {
        // One number, one payer: each talk is somebody's, once, and as long as it was; whose exactly is a guess, and marked.
        let callers = truth("+4989999980", plain);
        let (calls, base) = play(&callers, last_words);
        let mut agents = BTreeSet::new();
        for call in &calls {
            for (agent, from, to) in talk(call, base) {
                let real = callers.iter().find(|truth| truth.agent.to == agent).expect("an agent");
                let end = if last_words { real.talk.1 } else { 60_000 };
                let caller_left = call.ended_at.map_or(0, |at| (at.micros() - base) / MILLI);
                assert!(from == real.talk.0 && to <= end + 3 && to <= caller_left, "{call:?}");
                assert!(agents.insert(agent), "one talk given twice: {call:?}");
            }
            assert!(call.talks.is_empty() || (call.correlation == Correlation::Guess && call.marks.contains(&Mark::Guessed)), "{call:?}");
        }
        // Numbers withheld, thirty payers perhaps: a talk is right, or it is nobody's, and that is said.
        let callers = truth("<sip:anonymous@anonymous.invalid>", plain);
        let (calls, base) = play(&callers, last_words);
        let mut right = 0;
        for (call, truth) in calls.iter().zip(&callers) {
            if call.talks.is_empty() {
                assert!(call.marks.contains(&Mark::Ambiguous), "{call:?}");
            } else {
                right += 1;
                assert_eq!(talk(call, base), [(truth.agent.to.clone(), truth.talk.0, truth.talk.1)]);
                assert!(call.marks.contains(&Mark::Guessed), "{call:?}");
            }
        }
        assert_eq!(right, if last_words { 30 } else { 0 });
    }
}
