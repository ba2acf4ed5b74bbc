//! A caller is passed on, or a phone sends the call elsewhere.

use super::*;

pub(super) const TALK: &str = "0 a invite +49301 > 555010
    0.1 b invite +49301 > 201
    4 b answer
    4 a answer";

#[test]
fn a_blind_transfer_is_wait_until_the_next_answers() {
    check(
        &format!(
            "{TALK}
             20 b refer 203
             20.1 c invite +49301 > 203
             20.5 b bye callee
             27 c answer
             40 a bye caller
             40.1 c bye caller"
        ),
        &["in +49301 Support 201:4-20 203:27-40 Numbers Transfer"],
    );
    // To the outside: the switch shows our number there; nobody of ours talks any more.
    check(
        &format!(
            "{TALK}
             20 b refer +49302
             20.1 c invite 555010 > +49302
             20.5 b bye callee
             27 c answer
             40 a bye caller
             40.1 c bye caller"
        ),
        &["in +49301 Support 201:4-20 Numbers Transfer"],
    );
    // The caller passes himself on: the agent talks to whoever that is until one of the two ends it.
    check(&format!("{TALK}\n20 a refer +49302 caller\n30 a bye caller\n30 b bye caller"), &["in +49301 Support 201:4-30 Numbers Transfer"]);
}

#[test]
fn a_transfer_that_fails_gives_the_agent_back() {
    let failed = format!(
        "{TALK}
         19 b hold
         20 b refer 203
         20.1 c invite +49301 > 203
         21 c refuse 486
         24 b resume
         40 a bye caller
         40.1 b bye caller"
    );
    check(&failed, &["in +49301 Support 201:4-20 201:24-40 Numbers Transfer"]);
    check(&failed.replace("555010", "555011"), &["in +49301 Hold 201:4-19 201:24-40 Numbers Transfer"]);
    // Nothing says that he came back: what follows is nobody's talk.
    check(&failed.replace("24 b resume\n", ""), &["in +49301 Support 201:4-20 Numbers Transfer"]);
}

#[test]
fn an_attended_transfer_goes_on_being_talk() {
    check(
        &format!(
            "{TALK}
             15 c invite 201 > 203
             15.1 d invite 201 > 203
             18 d answer
             18 c answer
             25 b refer 203 replaces=c
             25.1 b bye callee
             25.1 c bye caller
             40 a bye caller
             40.1 d bye caller"
        ),
        &["in +49301 Support 201:4-25.1 203:25-40 Numbers Transfer"],
    );
}

#[test]
fn passed_on_by_a_key_code_the_caller_is_told_the_name() {
    check(
        &format!(
            "{TALK}
             15 c invite 201 > 203
             18 c answer
             25 b bye callee
             25.05 a named 203
             40 a bye caller
             40.1 c bye caller"
        ),
        &["in +49301 Support 201:4-25 203:25.05-40 Numbers Transfer"],
    );
}

#[test]
fn a_phone_that_redirects() {
    // To the on-call mobile: an agent.
    check(
        "0 a invite +49301 > 555010
         0.1 b invite +49301 > 201
         0.2 b redirect +491711
         0.3 c invite +49301 > +491711
         9 c answer
         9 a answer
         40 a bye caller
         40.1 c bye caller",
        &["in +49301 Support +491711:9-40 Numbers Forward"],
    );
    // To a stranger: nobody of ours.
    check(
        "0 a invite +49301 > 555010
         0.1 b invite +49301 > 201
         0.2 b redirect +491722
         0.3 c invite 555010 > +491722
         9 c answer
         9 a answer
         40 a bye caller
         40.1 c bye caller",
        &["in +49301 Support NoAnswer Numbers Forward"],
    );
}

#[test]
fn a_customer_who_was_called_is_passed_on() {
    let called = "0 a invite 201 > 0301
        0.1 b invite 555010 > 0301
        5 b answer
        5 a answer";
    check(
        &format!(
            "{called}
             20 a refer 203 caller
             20.1 c invite 0301 > 203
             20.5 a bye callee
             27 c answer
             40 c bye callee
             40.1 b bye caller"
        ),
        &["out 0301 Support 201:5-20 203:27-40 Numbers Transfer"],
    );
    // The customer's own end is never seen.
    check(
        &format!("{called}\n20 a refer 203 caller\n20.1 c invite 0301 > 203\n20.5 a bye callee\n27 c answer\n40 c bye callee"),
        &["out 0301 Support 201:5-20 203:27-40 Numbers Transfer"],
    );
    // After a consultation: nothing is wait but the moment between.
    check(
        &format!(
            "{called}
             15 c invite 201 > 203
             15.1 d invite 201 > 203
             18 d answer
             18 c answer
             25 a refer 203 caller replaces=c
             25.1 a bye callee
             25.1 c bye caller
             40 b bye callee
             40.1 d bye caller"
        ),
        &["out 0301 Support 201:5-25.1 203:25-40 Numbers Transfer"],
    );
}

#[test]
fn hold_for_a_consultation_is_wait_where_the_hotline_says_so() {
    let consult = format!(
        "{TALK}
         14 b hold
         15 c invite 201 > 203
         15.1 d invite 201 > 203
         18 d answer
         18 c answer
         25 b refer 203 replaces=c
         25.1 b bye callee
         25.1 c bye caller
         40 a bye caller
         40.1 d bye caller"
    );
    check(&consult, &["in +49301 Support 201:4-25.1 203:25-40 Numbers Transfer"]);
    check(&consult.replace("555010", "555011"), &["in +49301 Hold 201:4-14 203:25-40 Numbers Transfer"]);
    // By a key code, the phone shows nothing; that the switch calls the other in the agent's name does.
    let by_code = format!(
        "{TALK}
         15 c invite 201 > 203
         18 c answer
         25 b bye callee
         25.05 a named 203
         40 a bye caller
         40.1 c bye caller"
    );
    check(&by_code, &["in +49301 Support 201:4-25 203:25.05-40 Numbers Transfer"]);
    check(&by_code.replace("555010", "555011"), &["in +49301 Hold 201:4-15 203:25.05-40 Numbers Transfer"]);
}

#[test]
fn a_second_queue_is_wait() {
    // Passed on to a number that is no agent's: the switch lets the caller wait, and rings another.
    check(
        &format!(
            "{TALK}
             20 b refer 800
             20.5 b bye callee
             31 c invite +49301 > 203
             33 c cancel
             33 c refuse 487
             36 d invite +49301 > 204
             39 d answer
             60 d bye callee
             60.1 a bye callee"
        ),
        &["in +49301 Support 201:4-20 204:39-60 Numbers Transfer"],
    );
}

#[test]
fn behind_a_box_that_keeps_the_trunk_leg_only_the_agents_change() {
    // Nothing but re-INVITEs of the trunk's dialog: no event of it ends or begins anything.
    check(
        &format!(
            "{TALK}
             20 b bye callee
             20.1 c invite +49301 > +491711
             20.2 a named +491711
             30 c answer
             60 a bye caller
             60.1 c bye caller"
        ),
        &["in +49301 Support 201:4-20 +491711:30-60 Numbers"],
    );
}
