//! A call changes hands without the switch: a proxy's REFER, an INVITE with Replaces, and a switch that says who diverted it.

use super::transfers::TALK;
use super::*;

/// Through a proxy the parties have one dialog, and REFER makes the caller call the next one.
const PROXIED: &str = "0 a invite +49301 > 555010
    0.1 a fork 201 b=1
    4 a answer b=1";

#[test]
fn through_a_proxy_the_caller_calls_the_next_agent_itself() {
    let passed_on = "20 a refer 203 callee
        20.1 a bye callee
        20.2 c invite +49301 > 203 src=1
        20.3 c fork 203 b=1
        27 c answer b=1
        40 c bye caller";
    check(&format!("{PROXIED}\n{passed_on}"), &["in +49301 Support 201:4-20 203:27-40 Numbers Transfer"]);
    // The agent waits with its BYE until the next one has answered.
    let late = passed_on.replace("20.1 a bye callee\n", "").replace("40 c bye", "28 a bye callee\n40 c bye");
    check(&format!("{PROXIED}\n{late}"), &["in +49301 Support 201:4-20 203:27-40 Numbers Transfer"]);
    // And so on; the last one passes the caller out of the house.
    let on = passed_on.replace(
        "40 c bye caller",
        "40 c refer +49302 callee\n40.1 c bye callee\n40.2 d invite +49301 > +49302 src=1\n42 d answer\n60 d bye caller",
    );
    check(&format!("{PROXIED}\n{on}"), &["in +49301 Support 201:4-20 203:27-40 Numbers Transfer"]);
    // The next one does not pick up; or the caller never tries: nothing more is talk, and nothing waits for ever.
    let in_vain = passed_on.replace("27 c answer b=1\n        40 c bye caller", "30 c refuse 480");
    check(&format!("{PROXIED}\n{in_vain}"), &["in +49301 Support 201:4-20 Numbers Transfer"]);
    check_in(
        &directory(),
        &format!("{PROXIED}\n20 a refer 203 callee\n20.1 a bye callee\n25.1 now"),
        &["in +49301 Support 201:4-20 Numbers Transfer".replace(" Numbers", "").as_str()],
    );
    // The agent is back after a transfer in vain.
    check(
        &format!("{PROXIED}\n20 a refer 203 callee\n21 c invite +49301 > 203 src=1\n22 c refuse 486\n24 a resume callee\n40 a bye caller"),
        &["in +49301 Support 201:4-20 201:24-40 Numbers Transfer"],
    );
}

#[test]
fn through_a_proxy_the_caller_takes_the_place_of_who_asked() {
    // 201 asks 203, then makes the caller call 203 in the place of that (Replaces): all of it is talk.
    check(
        &format!(
            "{PROXIED}
             15 c invite 201 > 203 src=4
             15.1 c fork 203 b=1
             18 c answer b=1
             25 a refer 203 callee replaces=c
             25.1 d invite +49301 > 203 src=1 over=c
             25.2 d fork 203 b=1
             25.3 d answer b=1
             25.4 c bye callee
             25.5 a bye callee
             40 d bye caller"
        ),
        &["in +49301 Support 201:4-25.5 203:25.3-40 Numbers Transfer"],
    );
    // Of a callback, the customer is the callee, and calls.
    check(
        "0 a invite 201 > 0301
         0.1 a fork 0301 b=1
         5 a answer b=1
         20 a refer 203 caller
         20.1 d invite 0301 > 203 src=1
         20.2 a bye caller
         27 d answer
         40 d bye caller",
        &["out 0301 - 201:5-20 203:27-40 Numbers Transfer"],
    );
}

#[test]
fn an_agent_picks_up_what_rings_elsewhere() {
    let rings = "0 a invite +49301 > 555010
        0.1 b invite +49301 > 201
        1 b ring";
    // 203 takes the call over while 201 rings (Replaces of an early dialog).
    check(
        &format!(
            "{rings}
             3 c invite 203 > 201 over=b src=3 dst=2
             3.1 c answer
             3.1 b cancel
             3.2 b refuse 487
             3.2 a answer
             30 c bye caller
             30.1 a bye callee"
        ),
        &["in +49301 Support 203:3.2-30 Numbers"],
    );
    // Or while 201 talks: passed on.
    check(
        &format!(
            "{TALK}
             20 c invite 203 > 201 over=b src=3 dst=2
             20.1 c answer
             20.2 b bye caller
             30 c hold caller
             30 c resume caller
             40 a bye caller
             40.1 c bye callee"
        ),
        &["in +49301 Support 201:4-20.2 203:20.1-40 Numbers Transfer"],
    );
    // A stranger's Replaces takes nothing over.
    let stranger = check(
        &format!("{TALK}\n20 c invite +49302 > 0305 over=b src=1 dst=2\n20.1 c answer\n40 a bye caller\n40.1 b bye caller"),
        &["in +49301 Support 201:4-40 Numbers"],
    );
    assert_eq!(stranger.unrelated, 1);
}

#[test]
fn who_diverted_a_call_tells_whose_it_is() {
    // The on-call mobile is rung in the hotline's own name: by the number alone nobody could tell for whom.
    let two = "0 a invite +49301 > 555010
        0.1 b invite +49301 > 201
        0.5 c invite +49302 > 555013
        0.6 d invite +49302 > 202
        10 d cancel
        10 d refuse 487
        10.1 e invite 555010 > +491711";
    let end = "14 e answer
        14 c answer
        30 c bye caller
        30.1 e bye caller
        31 a cancel
        31 b cancel";
    let told = ["in +49301 Support Canceled Numbers", "in +49302 Short +491711:14-30 Numbers Forward"];
    check(&format!("{two} by=202\n{end}"), &told);
    check(&format!("{two} by=+4989555013\n{end}"), &told);
    check(&format!("{two} by=+4989555013,202\n{end}"), &told);
    // Said of both, it says nothing.
    let both = two.replace("0.6 d invite +49302 > 202", "0.6 d invite +49302 > 201");
    let said = [told[0], "in +49302 Short NoAnswer Numbers"];
    let orphan = check(&format!("{both} by=201\n{end}"), &said);
    assert_eq!(orphan.orphans, 1);
    // To a stranger's number it is no talk, and no click-to-call either.
    let stranger = format!("{two} by=202\n{end}").replace("+491711", "+49499");
    check(&stranger, &[told[0], "in +49302 Short NoAnswer Numbers Forward"]);
}
