//! What the market adds to a price (`config/tariffs/README.md` has the same examples): rounding, free window, connect fee,
//! minimum, surcharge, cap, tolerance.

use super::*;

/// A plan whose support is priced by one rate; `more` stands behind it.
fn rate(keys: &str, more: &str) -> String {
    format!("{HEAD}{PLAN}[[plan.rate]]\nservice = \"support\"\n{keys}\n{more}\n")
}

/// Half a euro a minute.
const HALF: &str = "steps = [{ from = \"0s\", increment = \"1m\", price = 0.50 }]";

/// An allowance of support time each month.
fn month(time: &str, more: &str) -> String {
    format!("[[plan.allowance]]\nid = \"m\"\ntime = \"{time}\"\nincrement = \"1m\"\nper = \"month\"\nservices = [\"support\"]\n{more}\n")
}

#[test]
fn increments_are_rounded_up_down_or_half() {
    let calls = ["a support 2026-03-10T10:00:00 2:29", "b support 2026-03-10T11:00:00 2:30", "c support 2026-03-10T12:00:00 0:29"];
    let check = |mode: &str, expected: [&str; 3]| {
        let text = rate(&format!("{HALF}\nround = {{ per = \"increment\", mode = \"{mode}\" }}"), "");
        case(&text).check(&calls, &expected, "");
    };
    check(
        "up",
        ["a Charged 1.50 180: step@open 3/1mx0.50", "b Charged 1.50 180: step@open 3/1mx0.50", "c Charged 0.50 60: step@open 1/1mx0.50"],
    );
    check(
        "half",
        [
            "a Charged 1.00 120: step@open 2/1mx0.50, rounded@open 1/29s",
            "b Charged 1.50 180: step@open 3/1mx0.50",
            "c Included 0 0: rounded@open 1/29s",
        ],
    );
    check(
        "down",
        [
            "a Charged 1.00 120: step@open 2/1mx0.50, rounded@open 1/29s",
            "b Charged 1.00 120: step@open 2/1mx0.50, rounded@open 1/30s",
            "c Included 0 0: rounded@open 1/29s",
        ],
    );
}

#[test]
fn the_talk_of_a_call_is_rounded() {
    let text = rate(&format!("{HALF}\nround = {{ per = \"call\", to = \"15m\", mode = \"up\" }}"), "");
    case(&text).check(
        &["a support 2026-03-10T10:00:00 4:00", "b support 2026-03-10T11:00:00 15:01"],
        &["a Charged 7.50 900: step@open 15/1mx0.50", "b Charged 15.00 1800: step@open 30/1mx0.50"],
        "",
    );
}

#[test]
fn the_talk_of_a_day_is_rounded_once() {
    let text = rate(&format!("{HALF}\nround = {{ per = \"day\", to = \"15m\", mode = \"up\" }}"), "");
    // 4 + 5 + 7 minutes are 16, so 30; the next day begins anew. Two at once are 9 minutes together.
    case(&text).check(
        &[
            "a support 2026-03-10T10:00:00 4:00",
            "b support 2026-03-10T11:00:00 5:00",
            "c support 2026-03-10T17:00:00 7:00",
            "d support 2026-03-11T10:00:00 0:01",
        ],
        &[
            "a Charged 7.50 900: step@open 15/1mx0.50",
            "b Included 0 0: rounded@open 1/5m",
            "c Charged 7.50 900: step@open 15/1mx0.50, rounded@open 1/6m",
            "d Charged 7.50 900: step@open 15/1mx0.50",
        ],
        "",
    );
    case(&text).check(
        &["a support 2026-03-10T10:00:00 4:00", "b support 2026-03-10T10:00:30 5:00"],
        &["a Charged 7.50 900: step@open 15/1mx0.50", "b Included 0 0: rounded@open 1/5m"],
        "",
    );
    // Past midnight a call still belongs to the day on which its talk began.
    let night = text.replace("late = \"Mo-Fr 18:00-22:00\"", "late = \"Mo-Fr 18:00-24:00,00:00-08:00\"");
    case(&night).check(
        &["a support 2026-03-10T23:58:00 4:00", "b support 2026-03-11T00:00:30 1:00"],
        &["a Charged 7.50 900: step@late 15/1mx0.50", "b Charged 7.50 900: step@late 15/1mx0.50"],
        "",
    );
}

#[test]
fn the_talk_of_a_month_is_rounded_down_or_half() {
    let calls = ["a support 2026-03-10T10:00:00 4:00", "b support 2026-03-20T10:00:00 5:00", "c support 2026-04-01T10:00:00 15:00"];
    let check = |mode: &str, expected: [&str; 3]| {
        let text = rate(&format!("{HALF}\nround = {{ per = \"month\", to = \"15m\", mode = \"{mode}\" }}"), "");
        case(&text).check(&calls, &expected, "");
    };
    // 9 minutes of March are none, or (with half of 15 minutes passed after 7:30) a quarter; it is charged to whom it falls in.
    check("down", ["a Included 0 0: rounded@open 1/4m", "b Included 0 0: rounded@open 1/5m", "c Charged 7.50 900: step@open 15/1mx0.50"]);
    check(
        "half",
        ["a Included 0 0: rounded@open 1/4m", "b Charged 7.50 900: step@open 15/1mx0.50", "c Charged 7.50 900: step@open 15/1mx0.50"],
    );
}

#[test]
fn the_talk_of_an_incident_is_rounded() {
    let text = rate(&format!("{HALF}\nround = {{ per = \"incident\", to = \"15m\", mode = \"up\" }}"), "");
    case(&text).check(
        &[
            "a support 2026-03-10T10:00:00 4:00 ticket=7",
            "b support 2026-03-12T11:00:00 5:00 ticket=7",
            "c support 2026-03-12T12:00:00 1:00 ticket=8",
        ],
        &[
            "a Charged 7.50 900 ticket:7: step@open 15/1mx0.50",
            "b Included 0 0 ticket:7: rounded@open 1/5m",
            "c Charged 7.50 900 ticket:8: step@open 15/1mx0.50",
        ],
        "",
    );
}

#[test]
fn only_what_no_allowance_covers_is_rounded() {
    let text = rate(&format!("{HALF}\nround = {{ per = \"day\", to = \"15m\", mode = \"up\" }}"), &month("5m", ""));
    case(&text).check(
        &["a support 2026-03-10T10:00:00 4:00", "b support 2026-03-10T11:00:00 6:00"],
        &["a Included 0 240: [m]@open 4/1m", "b Charged 7.50 960: [m]@open 1/1m, step@open 15/1mx0.50"],
        "m 2026-03-01 0/300; m 2026-12-01 300/300",
    );
}

#[test]
fn calls_shorter_than_the_free_window_cost_and_use_nothing() {
    let text = rate(&format!("{HALF}\nfree_under = \"30s\""), &month("1m", ""));
    case(&text).check(
        &["a support 2026-03-10T10:00:00 0:29", "b support 2026-03-10T11:00:00 0:30", "c support 2026-03-10T12:00:00 1:01"],
        &["a Included 0 0: free@open 1/29s", "b Included 0 60: [m]@open 1/1m", "c Charged 1.00 120: step@open 2/1mx0.50"],
        "m 2026-03-01 0/60; m 2026-12-01 60/60",
    );
    // It opens no incident, and needs no decision.
    let incident = rate("incident = 85.00\nfree_under = \"30s\"", "[plan.decision]\n");
    case(&incident).check(
        &["a support 2026-03-10T10:00:00 0:29", "b support 2026-03-10T11:00:00 0:30 verdict=customer"],
        &["a Included 0 0: free@open 1/29s", "b Charged 85.00 0 b: incident@open 1x85.00"],
        "",
    );
}

#[test]
fn a_connect_fee_is_due_with_the_first_increment_that_is_not_covered() {
    let text = rate(&format!("{HALF}\nconnect = 1.20"), &month("2m", ""));
    case(&text).check(
        &["a support 2026-03-10T10:00:00 1:30", "b support 2026-03-10T11:00:00 1:30"],
        &["a Included 0 120: [m]@open 2/1m", "b Charged 2.20 120: step@open 2/1mx0.50, connect@open 1x1.20"],
        "",
    );
}

#[test]
fn a_call_that_costs_anything_costs_the_minimum() {
    let text = rate(&format!("{HALF}\nminimum = 5.00"), &month("2m", ""));
    case(&text).check(
        &["a support 2026-03-10T10:00:00 1:30", "b support 2026-03-10T11:00:00 1:30", "c support 2026-03-10T12:00:00 11:00"],
        &[
            "a Included 0 120: [m]@open 2/1m",
            "b Charged 5.00 120: step@open 2/1mx0.50, minimum 1x4.00",
            "c Charged 5.50 660: step@open 11/1mx0.50",
        ],
        "",
    );
}

#[test]
fn a_surcharge_is_a_percentage_of_what_is_priced_in_its_band() {
    let more = "[[plan.surcharge]]\nbands = [\"late\"]\npercent = 50\n[[plan.surcharge]]\nbands = [\"weekend\"]\npercent = 100\n";
    case(&rate(&format!("{HALF}\nconnect = 1.00"), more)).check(
        &["a support 2026-03-10T17:58:00 4:00", "b support 2026-03-14T10:00:00 2:00"],
        &[
            "a Charged 3.50 240: step@open 2/1mx0.50, step@late 2/1mx0.50, connect@open 1x1.00, surcharge@late 2/1mx0.25",
            "b Charged 4.00 120: step@weekend 2/1mx0.50, connect@weekend 1x1.00, surcharge@weekend 1x1.00, surcharge@weekend 2/1mx0.50",
        ],
        "",
    );
    // Half a cent of a surcharge is rounded with the record, once.
    let odd =
        rate("steps = [{ from = \"0s\", increment = \"1m\", price = 0.05 }]", "[[plan.surcharge]]\nbands = [\"open\"]\npercent = 10\n");
    case(&odd).check(
        &["a support 2026-03-10T10:00:00 1:00"],
        &["a Charged 0.06 60: step@open 1/1mx0.05, surcharge@open 1/1mx0.0050, rounding 1x0.0050"],
        "",
    );
}

#[test]
fn no_more_than_a_cap_is_due() {
    let cap = |per: &str| rate(HALF, &format!("[[plan.cap]]\namount = 3.00\nper = \"{per}\"\n"));
    let calls = [
        "a support 2026-03-10T10:00:00 4:00 ticket=7",
        "b support 2026-03-11T10:00:00 4:00 ticket=7",
        "c support 2026-03-12T10:00:00 8:00 ticket=8",
        "d support 2026-04-01T10:00:00 4:00",
    ];
    let (whole, capped) = ("step@open 4/1mx0.50", "step@open 8/1mx0.50, cap 1x-1.00");
    let check = |per: &str, expected: [String; 4]| case(&cap(per)).check(&calls, &expected.each_ref().map(String::as_str), "");
    check(
        "call",
        [
            format!("a Charged 2.00 240: {whole}"),
            format!("b Charged 2.00 240: {whole}"),
            format!("c Charged 3.00 480: {capped}"),
            format!("d Charged 2.00 240: {whole}"),
        ],
    );
    check(
        "incident",
        [
            format!("a Charged 2.00 240 ticket:7: {whole}"),
            format!("b Charged 1.00 240 ticket:7: {whole}, cap 1x-1.00"),
            format!("c Charged 3.00 480 ticket:8: {capped}"),
            format!("d Charged 2.00 240 d: {whole}"),
        ],
    );
    check(
        "month",
        [
            format!("a Charged 2.00 240: {whole}"),
            format!("b Charged 1.00 240: {whole}, cap 1x-1.00"),
            "c Included 0.00 480: step@open 8/1mx0.50, cap 1x-4.00".to_owned(),
            format!("d Charged 2.00 240: {whole}"),
        ],
    );
    // Minute by minute: of two calls at once, the one whose increment begins first takes the room.
    case(&cap("month")).check(
        &["a support 2026-03-10T10:00:00 5:00", "b support 2026-03-10T10:00:30 5:00"],
        &["a Charged 1.50 300: step@open 5/1mx0.50, cap 1x-1.00", "b Charged 1.50 300: step@open 5/1mx0.50, cap 1x-1.00"],
        "",
    );
    // A minimum counts before a cap, and goodwill after it.
    let both = rate(&format!("{HALF}\nminimum = 2.00"), "[[plan.cap]]\namount = 3.00\nper = \"month\"\n");
    case(&both).check(
        &["a support 2026-03-10T10:00:00 1:00", "b support 2026-03-11T10:00:00 1:00 verdict=goodwill:50%"],
        &[
            "a Charged 2.00 60: step@open 1/1mx0.50, minimum 1x1.50",
            "b Charged 0.50 60: step@open 1/1mx0.50, minimum 1x1.50, cap 1x-1.00, goodwill 1x-0.50",
        ],
        "",
    );
}

#[test]
fn within_a_tolerance_an_overrun_is_free_and_beyond_it_all_is_due() {
    let text = rate(HALF, &month("10m", "tolerance = \"20%\""));
    case(&text).check(
        &["a support 2026-03-10T10:00:00 9:00", "b support 2026-03-11T10:00:00 3:00"],
        &["a Included 0 540: [m]@open 9/1m", "b Included 0 180: [m]@open 1/1m, [m]@open 2/1m"],
        "m 2026-03-01 0/600; m 2026-12-01 600/600",
    );
    // A minute more, by whomever: all three are due.
    case(&text).check(
        &["a support 2026-03-10T10:00:00 9:00", "b support 2026-03-11T10:00:00 3:00", "c support 2026-03-12T10:00:00 1:00"],
        &[
            "a Included 0 540: [m]@open 9/1m",
            "b Charged 1.00 180: [m]@open 1/1m, step@open 2/1mx0.50",
            "c Charged 0.50 60: step@open 1/1mx0.50",
        ],
        "",
    );
    case(&text).check(
        &["a support 2026-03-10T10:00:00 13:00", "b support 2026-04-13T10:00:00 12:00"],
        &["a Charged 1.50 780: [m]@open 10/1m, step@open 3/1mx0.50", "b Included 0 720: [m]@open 10/1m, [m]@open 2/1m"],
        "",
    );
    let incidents = rate(
        "incident = 85.00",
        "[[plan.allowance]]\nid = \"i\"\nincidents = 1\ntolerance = 1\nper = \"month\"\nservices = [\"support\"]\n",
    );
    let calls = [
        "a support 2026-03-10T10:00:00 1:00 ticket=1",
        "b support 2026-03-11T10:00:00 1:00 ticket=2",
        "c support 2026-03-12T10:00:00 1:00 ticket=3",
    ];
    case(&incidents).check(&calls[..2], &["a Included 0 0 ticket:1: [i]@open 1", "b Included 0 0 ticket:2: [i]@open 1"], "");
    case(&incidents).check(
        &calls,
        &[
            "a Included 0 0 ticket:1: [i]@open 1",
            "b Charged 85.00 0 ticket:2: incident@open 1x85.00",
            "c Charged 85.00 0 ticket:3: incident@open 1x85.00",
        ],
        "",
    );
    // What comes after the closing changes nothing that was closed: only its own overrun is due.
    case(&text).check(
        &["a support 2026-03-10T10:00:00 12:00", "b support 2026-03-11T10:00:00 1:00 late=9"],
        &["a Included 0 720: [m]@open 10/1m, [m]@open 2/1m", "b Charged 0.50 60 late: step@open 1/1mx0.50"],
        "",
    );
}
