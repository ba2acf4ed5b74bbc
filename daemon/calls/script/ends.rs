//! How a call ends when nobody says so, and who may be believed about its caller.

use super::*;

#[test]
fn a_lost_bye_never_bills_without_end() {
    // The session timer: talk ends at the last proof of life.
    check(
        "0 a invite +49301 > 555010
         0.1 b invite +49301 > 201
         4 b answer
         4 a answer
         60 a named 201
         94 a expired 60
         94 b bye caller",
        &["in +49301 Support 201:4-60 SessionTimer Numbers LostParty"],
    );
    // The hotline's longest call: an hour after the call was set up, nothing was heard since second 70.
    let lost = "0 a invite +49301 > 555013
         0.1 b invite +49301 > 201
         4 b answer
         4 a answer
         70 a named 201";
    check(lost, &["in +49301 Short 201:4-70 Estimated Numbers LostParty"]);
    check_in(&directory(), &format!("{lost}\n3599.9 now"), &[]);
    check_in(&directory(), &format!("{lost}\n3700 now"), &["in +49301 Short 201:4-70 Estimated Numbers LostParty"]);
    // The end of a recording that is final.
    check_in(&directory(), &format!("{lost}\n100 now\nfinal"), &["in +49301 Short 201:4-70 Estimated Numbers LostParty"]);
    // The agent's side said that it is over: that is where talk ended, and that was seen.
    check(
        "0 a invite +49301 > 555013
         0.1 b invite +49301 > 201
         4 b answer
         4 a answer
         50 b bye callee",
        &["in +49301 Short 201:4-50 Numbers LostParty"],
    );
    // A callback is limited by the hotline it shows.
    check_in(
        &directory(),
        "0 a invite 201 > 0301\n0.1 b invite 555013 > 0301\n5 b answer\n5 a answer\n3700 now",
        &["out 0301 Short 201:5-5 Estimated Numbers LostParty"],
    );
}

#[test]
fn no_talk_is_older_than_the_call() {
    // The customer's leg is heard of, and even answered, some milliseconds before the agent's own.
    let early = "0 b invite 555010 > 0301
         0 b answer
         0.005 a invite 201 > 0301";
    check(&format!("{early}\n0.005 b bye"), &["out 0301 Support Failed Numbers"]);
    check(&format!("{early}\n60 b bye\n60 a bye unseen"), &["out 0301 Support 201:0.005-60 Numbers AnswerUnseen"]);
    // The same of an agent's leg, before the caller's, whose answer was not seen.
    let early = "0 b invite +49301 > 201
         0 b answer
         0.005 a invite +49301 > 555010";
    check(&format!("{early}\n60 a bye unseen\n60 b bye"), &["in +49301 Support 201:0.005-60 Numbers AnswerUnseen"]);
}

#[test]
fn a_bye_counts_whatever_its_answer() {
    check(
        "0 a invite +49301 > 555010
         0.1 b invite +49301 > 201
         4 b answer
         4 a answer
         30 a bye caller
         30.1 b bye caller",
        &["in +49301 Support 201:4-30 Numbers"],
    );
    // The switch gives the caller up, repeats its BYE to nobody, and only then lets the phone go.
    check(
        "0 a invite +49301 > 555010
         0.1 b invite +49301 > 201
         4 b answer
         4 a answer
         30 a bye callee
         62 a gone
         62 b bye caller",
        &["in +49301 Support 201:4-30 Numbers LostParty"],
    );
    // Audio stayed away: the switch says so in its BYE.
    check(
        "0 a invite +49301 > 555010\n0.1 b invite +49301 > 201\n4 b answer\n4 a answer\n30 a bye callee reason=44\n30.1 b bye caller",
        &["in +49301 Support 201:4-30 Numbers LostParty"],
    );
    // An answer that nobody saw.
    check("0 a invite +49301 > 555010\n30 a bye unseen", &["in +49301 Support Failed AnswerUnseen"]);
}

#[test]
fn asserted_identities_count_from_trusted_peers_only() {
    for (invite, expected) in [
        ("+49309 > 555010 pai=+49301", "in +49301 Support Failed"),
        ("+49309 > 555010 pai=+49301 src=7", "in +49309 Support Failed"),
        ("+49309 > 555010 rpid=+49301", "in +49301 Support Failed"),
        ("+49309 > 555010 rpid=+49301 src=7", "in +49309 Support Failed"),
        ("+49309 > 555010 pai=+49301 rpid=+49302", "in +49301 Support Failed"),
        ("anonymous > 555010 pai=+49301 private", "in +49301 withheld Support Failed"),
        ("anonymous > 555010 pai=+49301 private src=7", "in anonymous withheld Support Failed"),
        ("+49301 > 555010 private", "in +49301 withheld Support Failed"),
    ] {
        check(&format!("0 a invite {invite}\n1 a refuse 503"), &[expected]);
    }
}

#[test]
fn a_header_that_is_not_listed_is_not_believed() {
    let mut directory = directory();
    directory.identity.headers = vec![IdentityHeader::PAsserted];
    for (invite, number) in
        [("+49309 > 555010 pai=+49301", Some("+49301")), ("+49309 > 555010", None), ("+49309 > 555010 pai=+49301 src=7", None)]
    {
        let lines = [format!("0 a invite {invite}"), "1 a refuse 503".into(), "99 now".into()];
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let (_, updates) = play(&directory, &lines, None);
        let call = &updates.iter().find(|update| update.stage == Stage::Concluded).expect("one").call;
        assert_eq!(call.caller.map(|number| number.to_string()).as_deref(), number, "{invite}");
    }
}

#[test]
fn live_calls_are_reported_when_they_are_connected_and_when_they_end() {
    let lines = [
        "0 a invite +49301 > 555010",
        "0.1 b invite +49301 > 201",
        "4 b answer",
        "4 a answer",
        "30 a bye caller",
        "30.1 b bye caller",
        "40 now",
    ];
    let (_, updates) = play(&directory(), &lines, None);
    let told: Vec<String> = updates.iter().map(|update| format!("{:?} {}", update.stage, tell(&update.call))).collect();
    assert_eq!(
        told,
        [
            "Connected in +49301 Support 201:4- Numbers",
            "Ended in +49301 Support 201:4-30 Numbers",
            "Concluded in +49301 Support 201:4-30 Numbers",
        ]
    );
    let (mut calls, _) = play(&directory(), &lines[..4], None);
    assert_eq!(calls.running().map(|call| tell(&call)).collect::<Vec<_>>(), ["in +49301 Support 201:4- Numbers"]);
    calls.expire(time("5"), &|_| None, &mut Vec::new());
    assert_eq!(calls.deadline(), Some(time("14400")));
}

/// What is reported first is what a restart goes on from: it begins where the talk does, on whichever side that is.
#[test]
fn talk_is_reported_with_its_true_beginning() {
    let reports = |lines: &[&str]| {
        let (_, updates) = play(&directory(), lines, None);
        let connected = updates.iter().filter(|update| update.stage == Stage::Connected);
        connected.map(|update| tell(&update.call)).collect::<Vec<_>>()
    };
    let rings = ["0 a invite +49301 > 555010", "0.1 b invite +49301 > 201", "4 b answer"];
    assert_eq!(reports(&rings), [""; 0], "the caller's answer is awaited");
    assert_eq!(reports(&[&rings[..], &["4.02 a answer"]].concat()), ["in +49301 Support 201:4.02- Numbers"]);
    assert_eq!(reports(&[&rings[..], &["4.2 now"]].concat()).len(), 1, "not for ever");
}

const TALK: &str = "0 a invite +49301 > 555010
    0.1 b invite +49301 > 201
    4 b answer
    4 a answer";

#[test]
fn a_bye_that_nobody_answers_marks_the_call() {
    let lost = format!("{TALK}\n30 b bye callee\n30.1 a bye callee\n30.6 a repeated");
    let marked = ["in +49301 Support 201:4-30 Numbers LostParty"];
    check(&format!("{lost}\n62.1 a gone"), &marked);
    // The recording ends before anybody can know.
    check_in(&directory(), &format!("{lost}\n35 now\nfinal"), &marked);
    check_in(&directory(), &format!("{lost}\n35 now"), &[]);
    // It was heard after all, and nothing is to be waited for.
    check_in(&directory(), &format!("{lost}\n32 a heard\n33.1 now"), &["in +49301 Support 201:4-30 Numbers"]);
    // The phone is dead; the caller's own BYE was answered.
    check(&format!("{TALK}\n30 a bye caller\n30.1 b bye caller\n30.6 b repeated\n62.1 b gone"), &marked);
}

#[test]
fn a_bye_that_was_seen_comes_before_a_timer_that_ran_out() {
    // The phone hangs up at 50; of the caller nothing was heard since 30, and no BYE was seen.
    check(&format!("{TALK}\n50 b bye callee\n94 a expired 30"), &["in +49301 Support 201:4-50 Numbers LostParty"]);
    // The caller hangs up at 50, the phone was dead since 30.
    check(&format!("{TALK}\n50 a bye caller\n80 b expired 30"), &["in +49301 Support 201:4-50 Numbers LostParty"]);
    // The caller was heard of after the phone had hung up: waiting again.
    check(&format!("{TALK}\n50 b bye callee\n94 a expired 60"), &["in +49301 Support 201:4-50 SessionTimer Numbers LostParty"]);
    // One agent passed the caller on, and nobody took over.
    check(
        &format!("{TALK}\n20 b refer 203\n20.5 b bye callee\n94 a expired 10"),
        &["in +49301 Support 201:4-10 SessionTimer Numbers Transfer LostParty"],
    );
    // Both timers run out.
    check(&format!("{TALK}\n94 a expired 60\n95 b expired 61"), &["in +49301 Support 201:4-60 SessionTimer Numbers LostParty"]);
    check(&format!("{TALK}\n94 b expired 61\n95 a expired 60"), &["in +49301 Support 201:4-60 SessionTimer Numbers LostParty"]);
}
