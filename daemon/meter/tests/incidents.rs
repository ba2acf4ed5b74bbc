//! Incidents and callbacks: calls that are counted, not timed (§6.7).

use super::*;

const FREE: &str = "[[plan.allowance]]\nid = \"free\"\nincidents = 1\nper = \"month\"\nservices = [\"support\"]\nbands = [\"open\"]\n";
const PRICES: &str = r#"
[[plan.rate]]
service = "support"
bands = ["open"]
severities = ["A", "B"]
incident = 159.00
[[plan.rate]]
service = "support"
bands = ["open"]
incident = 85.00
[[plan.rate]]
service = "support"
bands = ["late", "weekend"]
severities = ["A", "B"]
incident = 318.00
[[plan.rate]]
service = "support"
bands = ["late", "weekend"]
incident = 169.00
[[plan.rate]]
service = "callback"
flat = true
"#;

fn check(calls: &[&str], expected: &[&str]) {
    case(&format!("{HEAD}{PLAN}{FREE}{PRICES}")).check(calls, expected, "");
}

#[test]
fn example_10_the_third_of_the_month_on_a_saturday() {
    check(
        &[
            "a support 2026-03-03T10:00:00 9:00 from=+49301",
            "b support 2026-03-10T10:00:00 9:00 from=+49302 severity=B",
            "c support 2026-03-14T11:00:00 9:00 from=+49303 severity=B",
        ],
        &[
            "a Included 0 0 a: [free]@open 1",
            "b Charged 159.00 0 b: incident@open 1x159.00",
            "c Charged 318.00 0 c: incident@weekend 1x318.00",
        ],
    );
}

#[test]
fn calls_of_one_number_are_one_incident_within_the_window() {
    let used = "0 support 2026-03-02T08:00:00 1:00 from=+49999";
    check(
        &[
            used,
            "a support 2026-03-10T10:00:00 10:00",
            "b support 2026-03-11T10:10:00 5:00", // 24 h after the end: the window is met
            "c support 2026-03-12T10:15:01 5:00", // 24 h and a second after the end of b
            "d support 2026-03-12T10:20:00 1:00 from=+49302",
        ],
        &[
            "0 Included 0 0 0: [free]@open 1",
            "a Charged 85.00 0 a: incident@open 1x85.00",
            "b Included 0 0 a",
            "c Charged 85.00 0 c: incident@open 1x85.00",
            "d Charged 85.00 0 d: incident@open 1x85.00",
        ],
    );
    // A long call within the incident counts from its own end; a short one that ends before does not shorten it.
    check(
        &[used, "a support 2026-03-10T08:00:00 180:00", "b support 2026-03-10T09:00:00 1:00", "c support 2026-03-11T11:00:00 1:00"],
        &["0 Included 0 0 0: [free]@open 1", "a Charged 85.00 0 a: incident@open 1x85.00", "b Included 0 0 a", "c Included 0 0 a"],
    );
}

#[test]
fn the_first_call_gives_band_severity_and_price() {
    let used = "0 support 2026-03-02T08:00:00 1:00 from=+49999";
    check(
        &[used, "a support 2026-03-10T17:59:59 9:00", "b support 2026-03-10T19:00:00 9:00 severity=A"],
        &["0 Included 0 0 0: [free]@open 1", "a Charged 85.00 0 a: incident@open 1x85.00", "b Included 0 0 a"],
    );
}

#[test]
fn a_ticket_is_one_incident_for_ever_and_does_not_mix_with_numbers() {
    check(
        &[
            "a support 2026-03-03T10:00:00 9:00 ticket=T1",
            "b support 2026-03-03T10:30:00 9:00",
            "c support 2026-09-03T10:00:00 9:00 ticket=T1 from=+49302",
            "d support 2026-03-03T11:00:00 9:00 ticket=T2",
        ],
        &[
            "a Included 0 0 ticket:T1: [free]@open 1",
            "b Charged 85.00 0 b: incident@open 1x85.00",
            "c Included 0 0 ticket:T1",
            "d Charged 85.00 0 ticket:T2: incident@open 1x85.00",
        ],
    );
}

#[test]
fn what_is_no_incident_neither_opens_nor_joins_nor_prolongs_one() {
    check(
        &[
            "0 support 2026-03-02T08:00:00 1:00 from=+49999",
            "a support 2026-03-10T10:00:00 10:00",
            "b callback 2026-03-10T20:00:00 5:00 out to=+49301",
            "c support 2026-03-11T09:00:00 missed",
            "d support 2026-03-11T09:10:00 0:00",
            "e support 2026-03-10T23:00:00 5:00",
            "f support 2026-03-11T10:00:00 5:00 verdict=provider",
            "g support 2026-03-11T10:10:01 5:00",
        ],
        &[
            "0 Included 0 0 0: [free]@open 1",
            "a Charged 85.00 0 a: incident@open 1x85.00",
            "b Included 0 300: flat@always 1",
            "c Missed 0 0",
            "d Included 0 0",
            "e Uncovered 0 0",
            "f Included 0 0",
            "g Charged 85.00 0 g: incident@open 1x85.00",
        ],
    );
}

#[test]
fn callers_without_a_number_are_not_the_same_caller() {
    check(
        &[
            "0 support 2026-03-02T08:00:00 1:00 from=+49999",
            "a support 2026-03-10T10:00:00 1:00 from=anonymous",
            "b support 2026-03-10T10:10:00 1:00 from=anonymous",
            "c support 2026-03-10T10:20:00 1:00 from=204",
            "d support 2026-03-10T10:30:00 1:00 from=204",
        ],
        &[
            "0 Included 0 0 0: [free]@open 1",
            "a Charged 85.00 0 a: incident@open 1x85.00",
            "b Charged 85.00 0 b: incident@open 1x85.00",
            "c Charged 85.00 0 c: incident@open 1x85.00",
            "d Included 0 0 c",
        ],
    );
}

#[test]
fn a_service_with_incident_prices_forms_them_in_every_band() {
    let mixed = "[[plan.rate]]\nservice = \"support\"\nbands = [\"open\"]\nincident = 85.00\n";
    let text = format!("{HEAD}{PLAN}{mixed}{MINUTES}");
    case(&text).check(
        &["a support 2026-03-10T17:00:00 9:00", "b support 2026-03-10T19:00:00 2:00", "c support 2026-03-20T19:00:00 2:00"],
        &["a Charged 85.00 0 a: incident@open 1x85.00", "b Included 0 0 a", "c Charged 2.00 120 c: step@late 2/1mx1.00"],
        "",
    );
}

#[test]
fn a_late_call_belongs_to_an_incident_of_its_own_time_only() {
    check(
        &["a support 2026-03-20T10:00:00 9:00", "b support 2026-03-02T10:00:00 9:00 late=1", "c support 2026-03-20T09:00:00 9:00 late=2"],
        &["a Included 0 0 a: [free]@open 1", "b Charged 85.00 0 b late: incident@open 1x85.00", "c Included 0 0 a late"],
    );
}

#[test]
fn callbacks_are_counted_until_their_number_is_used_up() {
    let two = "[[plan.allowance]]\nid = \"back\"\ncallbacks = 2\nper = \"month\"\nservices = [\"callback\"]\n";
    let text = format!("{HEAD}{PLAN}{two}{MINUTES}");
    let calls = [
        "a callback 2026-03-03T10:00:00 9:00 out",
        "b callback 2026-03-03T20:00:00 0:00 out",
        "c callback 2026-03-31T22:00:00 9:00 out",
        "d callback 2026-03-31T23:59:59 9:00 out",
        "e callback 2026-04-01T00:00:00 9:00 out",
    ];
    let first = ["a Included 0 0: [back]@always 1", "b Included 0 0", "c Included 0 0: [back]@always 1"];
    let last = "e Included 0 0: [back]@always 1";
    case(&text).check(
        &calls,
        &[&first[..], &["d Uncovered 0 0", last]].concat(),
        "back 2026-03-01 0/2; back 2026-04-01 1/2; back 2026-12-01 2/2",
    );
    // With a price, the price.
    let priced = format!("{text}{}", MINUTES.replace("\"support\"", "\"callback\""));
    case(&priced).check(&calls, &[&first[..], &["d Charged 9.00 540: step@always 9/1mx1.00", last]].concat(), "");
}
