//! Callers who look all alike: how their legs end tells which agent was whose.

use super::*;
use proptest::prelude::*;
use proptest::strategy::ValueTree;

/// Two who hide their number wait, and an agent is rung for one of them.
const BOTH: &str = "0 a invite anonymous > 555010
     0.01 a answer
     1 c invite anonymous > 555010
     1.01 c answer
     4 b invite anonymous > 201
     8 b answer";

fn check_both(ends: &str, first: &str, second: &str) {
    let [first, second] = [first, second].map(|what| format!("in anonymous withheld Support {what}"));
    check(&format!("{BOTH}\n{ends}"), &[&first, &second]);
}

#[test]
fn who_is_released_with_the_agent_was_the_one() {
    let (nobody, talked) = ("Abandoned", "201:8-20 Guess Guessed");
    // The caller hangs up, and the switch tells the agent; the other has been seen to leave.
    check_both("20 a bye caller\n20.006 b bye caller\n21 c bye caller", "201:8-20 Guess Guessed", nobody);
    // The agent hangs up, and the switch tells the caller.
    check_both("20 b bye callee\n20.15 c bye callee\n21 a bye caller", nobody, talked);
    // The switch ends both.
    check_both("20 b bye caller\n20.006 c bye callee\n21 a bye caller", nobody, talked);
    // The one who left while the agent talked on was not it.
    check_both("10 a bye caller\n20 b bye callee\n20.006 c bye callee", "Abandoned Ambiguous", talked);
    // The other gets an agent of his own, later.
    check(
        &format!(
            "{BOTH}\n20 a bye caller\n20.006 b bye caller\n22 e invite anonymous > 202\n25 e answer\n30 e bye callee\n30.006 c bye callee"
        ),
        &["in anonymous withheld Support 201:8-20 Guess Guessed", "in anonymous withheld Support 202:25-30 Numbers"],
    );
}

#[test]
fn what_is_no_proof_decides_nothing() {
    let both = |ends: &str| check_both(ends, "Abandoned Ambiguous", "Abandoned Ambiguous");
    // Both callers are released with the agent.
    both("20 b bye callee\n20.006 a bye callee\n20.15 c bye callee");
    // Nobody is.
    both("20 b bye callee\n20.3 a bye callee\n25 c bye caller");
    // The caller hung up, and so did the agent: either may have been another's end.
    both("20 b bye callee\n20.006 a bye caller\n25 c bye caller");
    // The agent's end comes first, though the caller hung up.
    both("20 b bye caller\n20.1 a bye caller\n25 c bye caller");
    // The agent had passed his caller on before, and where to was not seen.
    both("19 b refer 203\n20 b bye callee\n20.006 a bye callee\n25 c bye caller");
    // Two agents end with one caller.
    check(
        &format!(
            "{BOTH}\n5 e invite anonymous > 202\n8.5 e answer\n20 a bye caller\n20.006 b bye caller\n20.007 e bye caller\n25 c bye caller"
        )
        .replace("8 b answer\n5 e", "5 e")
        .replace("8.5 e answer", "8 b answer\n8.5 e answer"),
        &["in anonymous withheld Support Abandoned Ambiguous", "in anonymous withheld Support Abandoned Ambiguous"],
    );
}

#[test]
fn a_caller_whose_end_was_never_seen_may_have_been_the_one() {
    // The agent talked to c, whose BYE was lost; a gave up waiting at that moment.
    let lines: Vec<&str> = BOTH.lines().chain(["20 a bye caller", "20.1 b bye caller", "900 now", "final"]).map(str::trim).collect();
    let (_, updates) = play(&directory(), &lines, None);
    assert_eq!(
        told(&updates),
        ["in anonymous withheld Support Abandoned Ambiguous", "in anonymous withheld Support Abandoned Estimated LostParty Ambiguous"]
    );
}

#[test]
fn a_guess_between_calls_of_one_number_is_corrected_by_the_end() {
    // The first caller waited longer and seemed the likelier one, but left while the agent talked on with the second.
    check(
        &format!("{BOTH}\n30 a bye caller\n100 b bye callee\n100.006 c bye callee").replace("anonymous", "+49301"),
        &["in +49301 Support Abandoned Guess Guessed", "in +49301 Support 201:8-100 Guess Guessed"],
    );
    check(
        &format!("{BOTH}\n100 a bye caller\n100.006 b bye caller\n110 c bye caller").replace("anonymous", "+49301"),
        &["in +49301 Support 201:8-100 Guess Guessed", "in +49301 Support Abandoned"],
    );
}

#[test]
fn who_was_passed_on_had_both_agents() {
    // The first agent's leg ends without its caller; the second agent's tells for both.
    check(
        &format!(
            "{BOTH}
             19 b refer 203
             19.01 e invite anonymous > 203
             19.4 b bye callee
             21 e answer
             40 e bye callee
             40.006 c bye callee
             45 a bye caller"
        ),
        &["in anonymous withheld Support Abandoned", "in anonymous withheld Support 201:8-19 203:21-40 Guess Guessed"],
    );
}

/// A caller who hides the number: when (ms), how long until an agent is rung, until that one answers, the talk (0: the caller
/// gives up instead), who hangs up, how long the switch takes to tell the other, whose BYE is never seen.
type Drawn = (u32, u32, u32, u32, bool, u32, u8);

fn drawn() -> impl Strategy<Value = Drawn> {
    let talk = prop_oneof![1 => Just(0u32), 6 => 300..20_000u32];
    (0..8_000u32, 20..6_000u32, 200..3_000u32, talk, any::<bool>(), 1..60u32, 0..24u8)
}

/// The lines of all calls in order, and when each talk really began and ended.
fn lines_of(calls: &[Drawn], losses: bool) -> (Vec<String>, Vec<Option<(u32, u32)>>) {
    let (mut lines, mut truth) = (Vec::new(), Vec::new());
    for (place, &(invited, wait, rings, talk, by_caller, gap, lost)) in calls.iter().enumerate() {
        let place = u8::try_from(place).expect("few calls");
        let (a, b) = (char::from(b'A' + place), char::from(b'a' + place));
        let mut say = |at: u32, text: String| lines.push((at, text));
        say(invited, format!("{a} invite anonymous > 555010"));
        say(invited + 5, format!("{a} answer"));
        let (rung, answered) = (invited + wait, invited + wait + rings);
        say(rung, format!("{b} invite anonymous > 20{}", place % 4));
        if talk == 0 {
            say(answered, format!("{a} bye caller"));
            say(answered + 2, format!("{b} cancel"));
            say(answered + 4, format!("{b} refuse 487"));
            truth.push(None);
            continue;
        }
        say(answered, format!("{b} answer"));
        let ended = answered + talk;
        let ends =
            if by_caller { [(ended, a, "caller"), (ended + gap, b, "caller")] } else { [(ended, b, "callee"), (ended + gap, a, "callee")] };
        for (at, leg, by) in ends {
            let unseen = losses && ((lost == 0 && leg == a) || (lost == 1 && leg == b) || lost == 2);
            if !unseen {
                say(at, format!("{leg} bye {by}"));
            }
        }
        truth.push(Some((answered, ended)));
    }
    lines.sort_by_key(|(at, _)| *at);
    (lines.into_iter().map(|(at, text)| format!("{}.{:03} {text}", at / 1_000, at % 1_000)).collect(), truth)
}

/// Talks that were told, of those that there were; panics where one is told of a caller who had none such.
fn told_of(calls: &[Drawn], losses: bool) -> (usize, usize) {
    let (mut lines, truth) = lines_of(calls, losses);
    lines.push("99999 now".to_owned());
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let (_, updates) = play(&directory(), &lines, None);
    let mut right = 0;
    for (place, truth) in (b'A'..).zip(&truth) {
        let name = call_id_of(&[place], b"f");
        let last = updates.iter().rfind(|update| update.call.id == name).expect("every call is told");
        for talk in &last.call.talks {
            let millis = |at: Timestamp| u32::try_from((at.micros() - 1_000_000_000) / 1_000).expect("a small time");
            let (from, to) = truth.unwrap_or_else(|| panic!("{} talked to nobody: {} {lines:#?}", char::from(place), tell(&last.call)));
            let told = (millis(talk.from), talk.to.map(millis).unwrap_or(u32::MAX));
            // A lost end is told by what else was seen: before it, or when the switch told the other side.
            let fits = told.0 == from && if losses { told.1 < to + 60 } else { told.1 == to };
            assert!(fits, "{} talked {from} to {to}: {} {lines:#?}", char::from(place), tell(&last.call));
            right += 1;
        }
    }
    (right, truth.iter().flatten().count())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]
    #[test]
    fn nobody_is_given_the_talk_of_another(calls in prop::collection::vec(drawn(), 2..9)) {
        told_of(&calls, true);
        told_of(&calls, false);
    }
}

#[test]
fn nearly_every_talk_finds_its_caller() {
    let mut random = proptest::test_runner::TestRunner::deterministic();
    let (mut right, mut made) = (0, 0);
    for _ in 0..200 {
        let mut calls = prop::collection::vec(drawn(), 8).new_tree(&mut random).expect("drawn").current();
        // As on a hotline, and not as hard as it can be made.
        calls.iter_mut().for_each(|call| (call.0, call.3) = (call.0 * 8, call.3 * 8));
        let (told, of) = told_of(&calls, false);
        (right, made) = (right + told, made + of);
    }
    assert!(right * 100 >= made * 80, "{right} of {made}");
}
