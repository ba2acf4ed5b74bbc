//! Versions of a plan: what was granted under one counts under the next (§5).

use super::allowances::time;
use super::*;

#[test]
fn the_version_that_began_the_month_grants_for_all_of_it() {
    let versions = |first: &str| {
        let second = PLAN.replace("2019-01-01", first);
        let (small, large) = (time("m", "1m", "1m", "month", ""), time("m", "3m", "1m", "month", ""));
        format!("{HEAD}{PLAN}{small}{MINUTES}{second}{large}{}", MINUTES.replace("1.00", "2.00"))
    };
    // A call in April before the new version makes no difference to those after it.
    let after = ["b support 2026-04-20T10:00:00 2:00", "c support 2026-05-20T10:00:00 2:00"];
    let expected = ["b Charged 2.00 120: [m]@open 1/1m, step@open 1/1mx2.00", "c Included 0 120: [m]@open 2/1m"];
    case(&versions("2026-04-15")).check(&after, &expected, "m 2026-04-01 0/60; m 2026-05-01 60/180; m 2026-12-01 180/180");
    case(&versions("2026-04-01")).check(&after[..1], &["b Included 0 120: [m]@open 2/1m"], "");
    // Before any version the plan is not there.
    let later = format!("{HEAD}{}{MINUTES}", PLAN.replace("2019-01-01", "2026-02-01"));
    case(&later).check(
        &["a support 2026-01-30T10:00:00 2:00", "b support 2026-02-02T10:00:00 1:00"],
        &["a Uncovered 0 0", "b Charged 1.00 60: step@open 1/1mx1.00"],
        "",
    );
}

/// Two versions of a plan, the second from 10 March on: 3 minutes from activation that lapse after 14 days, and 9 that last longer.
fn lapsing_later() -> String {
    let once = |minutes: &str, lapses: &str| time("act", minutes, "1m", "activation", &format!("lapses = \"{lapses}\""));
    let second = PLAN.replace("2019-01-01", "2026-03-10");
    format!("{HEAD}{PLAN}{}{MINUTES}{second}{}{MINUTES}", once("3m", "14 days"), once("9m", "never"))
}

#[test]
fn what_is_granted_once_is_what_the_version_of_that_day_said() {
    let case = case(&lapsing_later()).rows(&["2026-01-01 p activated=2026-03-01"]);
    let after = ["b support 2026-03-12T10:00:00 3:00", "c support 2026-03-20T10:00:00 1:00"];
    case.check(&after, &["b Included 0 180: [act]@open 3/1m", "c Charged 1.00 60: step@open 1/1mx1.00"], "act 2026-03-01 0/180");
    // A call under the first version uses some, and changes nothing else; one that costs nothing changes nothing.
    let expected = [
        "a Included 0 60: [act]@open 1/1m",
        "b Charged 1.00 180: [act]@open 2/1m, step@open 1/1mx1.00",
        "c Charged 1.00 60: step@open 1/1mx1.00",
    ];
    case.check(&["a support 2026-03-05T10:00:00 1:00", after[0], after[1]], &expected, "act 2026-03-01 0/180");
    case.check(&["a support 2026-03-05T10:00:00 0:00", after[0]], &["a Included 0 0", "b Included 0 180: [act]@open 3/1m"], "");
}

/// What a call under the first version left is there when that version would have let it lapse, wherever settlement goes on from.
#[test]
fn a_rest_is_not_forgotten_while_another_version_lets_it_be_used() {
    let monthly = |lapses: &str| time("m", "9m", "1m", "month", &format!("carry_over = {{ at_most = \"9m\", lapses = \"{lapses}\" }}"));
    let second = PLAN.replace("2019-01-01", "2026-03-10");
    let carried = format!("{HEAD}{PLAN}{}{MINUTES}{second}{}{MINUTES}", monthly("2 days"), monthly("2 months"));
    let top_up = |per: &str| {
        format!("[[plan.rate]]\nservice = \"support\"\ntop_up = {{ quantity = \"9m\", price = 5.00, increment = \"1m\", per = {per} }}\n")
    };
    let bought = format!("{HEAD}{PLAN}{}{second}{}", top_up("\"month\""), top_up("\"contract-year\""));
    for (text, start, talk) in [(lapsing_later(), "2026-01-01", "2:00"), (carried, "2026-01-01", "8:00"), (bought, "2026-03-01", "1:00")] {
        let case = case(&text).rows(&[&format!("{start} p activated=2026-03-01")]);
        // One under the first version, 70 that are missed, and two under the second that may use what the first one left.
        let mut calls = vec![said("a support 2026-03-05T10:00:00 1:00"), said(&format!("y support 2026-03-20T10:00:00 {talk}"))];
        let missed = |place: i64| format!("m{place} support 2026-04-06T10:00:00 missed from=+4930{place}");
        calls.extend((0..70).map(|place| said(&missed(place))));
        calls.push(said("z support 2026-04-07T10:00:00 1:00"));
        let inputs: Vec<Input<'_>> = calls
            .iter()
            .map(|said| Input { call: &said.call, authorised: true, reason: None, verdict: None, timing: Timing::InTime })
            .collect();
        let whole = settle(&case.terms(), &inputs, case.until);
        assert_eq!(whole.quiet.len(), 2, "{text}");
        for quiet in &whole.quiet {
            let first = calls.iter().position(|said| said.call.started_at >= quiet.at).expect("a call follows");
            let rest = settle_from(&case.terms(), quiet, &inputs[first..], case.until);
            for (here, there) in rest.calls.iter().zip(&whole.calls[first..]) {
                assert_eq!(tell(&here.record), tell(&there.record), "{text}");
            }
        }
    }
}
