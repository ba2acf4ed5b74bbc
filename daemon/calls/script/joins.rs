//! Whose phone rings: headers, numbers, likelihood, and when nobody may say.

use super::*;

#[test]
fn an_explicit_header_joins_though_the_numbers_are_ambiguous() {
    check(
        "0 a invite anonymous > 555010 cid=one
         0 c invite anonymous > 555010 cid=two
         0.1 b invite anonymous > 201 cid=two
         4 b answer
         4 c answer
         9 c bye caller
         9 b bye caller
         20 a cancel
         20 a refuse 487",
        &["in anonymous withheld Support Canceled", "in anonymous withheld Support 201:4-9"],
    );
}

#[test]
fn a_header_of_two_calls_joins_the_one_that_goes_on() {
    check(
        "0 a invite +49301 > 555010 cid=one
         0.1 c invite +49301 > 555011 cid=one
         1 a refuse 486
         3 b invite anonymous > 201 cid=one
         4 b answer
         4 c answer
         9 c bye caller
         9 b bye caller",
        &["in +49301 Support Busy", "in +49301 Hold 201:4-9"],
    );
}

#[test]
fn of_two_withheld_callers_nobody_gets_the_agent_without_evidence() {
    let both = "0 a invite anonymous > 555010
         0.01 a answer
         1 c invite anonymous > 555010
         1.01 c answer
         4 b invite anonymous > 201
         8 b answer";
    let ends = "20 b bye callee\n20 a bye caller\n21 c bye caller";
    check(
        &format!("{both}\n{ends}"),
        &["in anonymous withheld Support Abandoned Ambiguous", "in anonymous withheld Support Abandoned Ambiguous"],
    );
    // The switch names the phone it rings to the caller for whom it rings.
    check(
        &both
            .replace("4 b invite anonymous > 201", "4 b invite anonymous > 201\n4.05 c named 201")
            .replace("8 b answer", &format!("8 b answer\n{ends}")),
        &["in anonymous withheld Support Abandoned", "in anonymous withheld Support 201:8-20 Numbers"],
    );
    // One of them gave up before the phone was answered.
    check(
        &both.replace("8 b answer", "6 a bye caller\n8 b answer\n20 b bye callee\n21 c bye caller"),
        &["in anonymous withheld Support Abandoned", "in anonymous withheld Support 201:8-20 Guess Guessed"],
    );
    // One of them left a moment after it was answered: it may have been the one.
    check(
        &both.replace("8 b answer", "8 b answer\n8.05 a bye caller\n20 b bye callee\n21 c bye caller"),
        &["in anonymous withheld Support Abandoned Ambiguous", "in anonymous withheld Support Abandoned Ambiguous"],
    );
    // The caller is answered when the agent is.
    check(
        "0 a invite anonymous > 555010
         1 c invite anonymous > 555010
         4 b invite anonymous > 201
         8 b answer
         8.02 a answer
         20 a bye caller
         20 b bye caller
         21 c cancel
         21 c refuse 487",
        &["in anonymous withheld Support 201:8.02-20 Numbers", "in anonymous withheld Support Canceled"],
    );
}

#[test]
fn of_two_calls_of_one_caller_the_likelier_is_taken_and_marked() {
    check(
        "0 a invite +49301 > 555010
         0.01 a answer
         1 c invite +49301 > 555010
         1.01 c answer
         4 b invite +49301 > 201
         8 b answer
         20 b bye callee
         20.1 a bye callee
         30 c bye caller",
        &["in +49301 Support 201:8-20 Guess Guessed", "in +49301 Support Abandoned"],
    );
    // The second phone is for the one who still waits.
    check(
        "0 a invite +49301 > 555010
         0.01 a answer
         2 b invite +49301 > 201
         3 b answer
         4 c invite +49301 > 555010
         4.01 c answer
         6 d invite +49301 > 202
         8 d answer
         20 a bye caller
         20 b bye caller
         30 c bye caller
         30 d bye caller",
        &["in +49301 Support 201:3-20 Numbers", "in +49301 Support 202:8-30 Numbers"],
    );
}

#[test]
fn callers_of_different_numbers_never_mix() {
    check(
        "0 a invite +49301 > 555010
         0 c invite +49302 > 555010
         0.1 b invite +49302 > 201
         0.1 d invite +49301 > 202
         3 b answer
         3 c answer
         4 d answer
         4 a answer
         20 a bye caller
         20 d bye caller
         30 c bye caller
         30 b bye caller",
        &["in +49301 Support 202:4-20 Numbers", "in +49302 Support 201:3-30 Numbers"],
    );
}

#[test]
fn a_phone_rung_for_a_call_nobody_saw_is_an_orphan() {
    let counts = check("0 b invite +49301 > 201\n3 b answer\n9 b bye caller", &[]);
    assert_eq!(counts.orphans, 1);
}

#[test]
fn a_box_in_front_seen_twice_is_one_call() {
    let counts = check(
        "0 a invite +49301 > 555010 dst=5
         0.02 c invite +49301 > 555010 src=5
         0.1 b invite +49301 > 201
         4 b answer
         4 c answer
         4.02 a answer
         20 a bye caller
         20.02 c bye caller
         20.1 b bye caller",
        &["in +49301 Support 201:4.02-20 Numbers"],
    );
    assert_eq!(counts, Unmetered::default());
}

#[test]
fn a_header_may_name_the_call_id_of_the_first_leg() {
    check(
        "0 a invite anonymous > 555010
         0 c invite anonymous > 555010
         0.1 b invite anonymous > 201 cid=c
         4 b answer
         4 c answer
         9 c bye caller
         9 b bye caller
         20 a cancel
         20 a refuse 487",
        &["in anonymous withheld Support Canceled", "in anonymous withheld Support 201:4-9"],
    );
    // So does one to a callback's customer, whatever number is shown.
    check(
        "0 a invite 201 > 0301
         0 c invite 202 > 0301
         0.1 b invite 0305 > 0301 cid=a
         5 b answer
         5 a answer
         25 b bye callee
         25.1 a bye callee
         26 c cancel",
        &["out 0301 - 201:5-25", "out 0301 - Canceled"],
    );
}

#[test]
fn a_phone_may_be_rung_before_the_callers_invite_arrives() {
    // Two capture agents, or two threads: what was sent later is read first.
    check(
        "0.02 b invite +49301 > 201
         0.03 b ring
         0 a invite +49301 > 555010
         4 b answer
         4 a answer
         40 a bye caller
         40.1 b bye caller",
        &["in +49301 Support 201:4-40 Numbers"],
    );
    // A phone that was rung long before, or for another, is not the caller's.
    for (leg, at) in [("+49301", "-2"), ("+49302", "0.02")] {
        let script =
            format!("{at} b invite {leg} > 201\n0 a invite +49301 > 555010\n4 b answer\n4 a answer\n40 a bye caller\n40.1 b bye caller");
        let counts = check(&script, &["in +49301 Support Abandoned"]);
        assert_eq!(counts.orphans, 1, "{script}");
    }
}

#[test]
fn the_provider_may_put_the_dialled_number_elsewhere() {
    let call = |invite: &str| {
        format!("0 a invite {invite}\n0.1 b invite +49301 > 201\n4 b answer\n4 a answer\n40 a bye caller\n40.1 b bye caller")
    };
    // The account of the trunk in the Request-URI, the number in To; a number forwarded to another of ours.
    for invite in ["+49301 > trunk17 src=1 to=555010", "+49301 > 555077 src=1 to=555010", "+49301 > 555077 src=1 by=+4989555010,555088"] {
        check(&call(invite), &["in +49301 Support 201:4-40 Numbers"]);
    }
    // Only the provider is believed: the switch forwards a hotline's call to the outside.
    let counts = check("0 a invite +49301 > 030999 src=2 to=555010\n9 a refuse 486", &[]);
    assert_eq!(counts.unrelated, 1);
}

/// A source beside the signalling knows of which conversation a leg is: before the leg is heard, after it, and when it was given
/// to another caller already.
#[test]
fn a_switch_that_tells_which_legs_belong_together_is_believed_like_a_header() {
    let two = |number: &str| {
        format!(
            "0 a invite {number} > 555010\n0.01 a answer\n1 c invite {number} > 555010\n1.01 c answer
             4 b invite {number} > 201\n8 b answer\n20 b bye caller\n20 c bye caller\n21 a bye caller"
        )
    };
    let with = |number: &str, place: &str, kin: &str| two(number).replacen(place, &format!("{kin}\n{place}"), 1);
    for (number, withheld) in [("anonymous", " withheld"), ("+49301", "")] {
        let expected = [format!("in {number}{withheld} Support Abandoned"), format!("in {number}{withheld} Support 201:8-20")];
        let expected = expected.each_ref().map(String::as_str);
        for script in [
            with(number, "0 a invite", "0 a kin one\n0 c kin two\n0 b kin two"),
            with(number, "8 b answer", "4.02 a kin one\n4.02 b kin two\n4.03 c kin two"),
            with(number, "8 b answer", "4.02 c kin two\n4.02 b kin two"),
            with(number, "20 b bye", "9 a kin one\n9 b kin two\n9 c kin two"),
            // Told again, and otherwise: the first counts.
            with(number, "20 b bye", "9 c kin two\n9 b kin two\n10 b kin one\n10 a kin one"),
        ] {
            check(&script, &expected);
        }
    }
}

#[test]
fn legs_that_never_come_are_forgotten_in_the_end() {
    let mut calls = Calls::new(directory());
    let mut out = Vec::new();
    for number in 0..5_000u32 {
        calls.related(format!("call {number}").as_bytes(), "one", time("0"), &mut out);
    }
    let mut bytes = Writer::new();
    calls.kin.write(&mut bytes);
    let bytes = bytes.finish();
    let mut back = super::super::kin::Kin::read(&mut Reader::new(&bytes)).expect("reads");
    assert!(back.take(b"call 4999").is_some() && back.take(b"call 904").is_some() && back.take(b"call 903").is_none());
}
