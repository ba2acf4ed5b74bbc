//! Allowances: which one covers an increment, how long it lasts, and what is bought when nothing is left (§5, §6.2, §6.3).

use super::*;

fn plan(allowances: &str) -> String {
    format!("{HEAD}{PLAN}{allowances}{MINUTES}")
}

/// `ID TIME/INCREMENT PER` and what else the table says.
pub(super) fn time(id: &str, time: &str, increment: &str, per: &str, more: &str) -> String {
    format!(
        "[[plan.allowance]]\nid = \"{id}\"\ntime = \"{time}\"\nincrement = \"{increment}\"\nper = \"{per}\"\nservices = [\"support\"]\n{more}\n"
    )
}

#[test]
fn a_balance_smaller_than_the_increment_makes_it_shorter() {
    let month = time("m", "20m", "15m", "month", "");
    case(&plan(&month)).check(
        &["a support 2026-03-10T10:00:00 21:01", "b support 2026-04-10T10:00:00 15:01"],
        &["a Charged 2.00 1320: [m]@open 1/15m, [m]@open 1/5m, step@open 2/1mx1.00", "b Included 0 1200: [m]@open 1/15m, [m]@open 1/5m"],
        "m 2026-03-01 0/1200; m 2026-04-01 0/1200; m 2026-12-01 1200/1200",
    );
}

#[test]
fn example_8_a_top_up_is_bought_when_nothing_is_left_and_its_rest_is_used() {
    let text = format!(
        "{HEAD}{PLAN}{}[[plan.rate]]\nservice = \"support\"\ntop_up = {{ quantity = \"1h\", price = 99.00, increment = \"15m\", per = \"contract-year\" }}\n",
        time("year", "4h", "15m", "contract-year", "")
    );
    case(&text).check(
        &["before support 2026-02-02T09:00:00 225:00", "x support 2026-03-10T10:00:00 20:00"],
        &[
            "before Included 0 13500: [year]@open 15/15m",
            "x Charged 99.00 1800: [year]@open 1/15m, topup@open 1/1hx99.00, [top-up]@open 1/15m",
        ],
        "top-up 2026-01-01 2700/3600; year 2026-01-01 0/14400",
    );
    // The rest is used by the next call; what is left at the end of the contract year is gone.
    case(&text).until("2027-01-04T12:00:00").check(
        &[
            "before support 2026-02-02T09:00:00 240:00",
            "x support 2026-03-10T10:00:00 0:01",
            "y support 2026-03-11T10:00:00 45:01",
            "z support 2027-01-04T10:00:00 0:01",
        ],
        &[
            "before Included 0 14400: [year]@open 16/15m",
            "x Charged 99.00 900: topup@open 1/1hx99.00, [top-up]@open 1/15m",
            "y Charged 99.00 3600: [top-up]@open 3/15m, topup@open 1/1hx99.00, [top-up]@open 1/15m",
            "z Included 0 900: [year]@open 1/15m",
        ],
        "top-up 2026-01-01 2700/7200; year 2026-01-01 0/14400; year 2027-01-01 13500/14400",
    );
}

#[test]
fn the_one_that_lapses_soonest_is_used_first_then_as_listed() {
    let all = [
        time("once", "1m", "1m", "activation", "lapses = \"never\""),
        time("year", "1m", "1m", "contract-year", ""),
        time("second", "1m", "1m", "month", ""),
        time("third", "1m", "1m", "month", ""),
        time("soon", "1m", "1m", "activation", "lapses = \"9 days\""),
    ];
    let with = |rows: &[&str]| case(&plan(&all.concat())).rows(rows).until("2026-03-10T12:00:00");
    with(&["2026-01-01 p activated=2026-03-10"]).check(
        &["a support 2026-03-10T10:00:00 6:00"],
        &["a Charged 1.00 360: [soon]@open 1/1m, [second]@open 1/1m, [third]@open 1/1m, [year]@open 1/1m, [once]@open 1/1m, step@open 1/1mx1.00"],
        "",
    );
    // Activated later: nothing of it yet. Activated long ago: lapsed, or never.
    with(&["2026-01-01 p activated=2026-03-11"]).check(
        &["a support 2026-03-10T10:00:00 4:00"],
        &["a Charged 1.00 240: [second]@open 1/1m, [third]@open 1/1m, [year]@open 1/1m, step@open 1/1mx1.00"],
        "",
    );
    with(&["2026-01-01 p activated=2026-03-01"]).check(
        &["a support 2026-03-10T10:00:00 4:00"],
        &["a Included 0 240: [second]@open 1/1m, [third]@open 1/1m, [year]@open 1/1m, [once]@open 1/1m"],
        "",
    );
}

#[test]
fn what_is_carried_over_is_capped_used_first_and_lapses() {
    let month = |lapses: &str| time("m", "10m", "1m", "month", &format!("carry_over = {{ at_most = \"4m\", lapses = \"{lapses}\" }}"));
    let with = |lapses: &str, rows: &[&str]| case(&plan(&month(lapses))).rows(rows).until("2026-04-30T23:00:00");
    // 7 minutes of January are left, of which 4 go on: they lapse before February's own.
    with("1 month", &["2026-01-01 p"]).check(
        &["a support 2026-01-30T10:00:00 3:00", "b support 2026-02-27T10:00:00 15:00", "c support 2026-03-31T10:00:00 11:00"],
        &[
            "a Included 0 180: [m]@open 3/1m",
            "b Charged 1.00 900: [m]@open 14/1m, step@open 1/1mx1.00",
            "c Charged 1.00 660: [m]@open 10/1m, step@open 1/1mx1.00",
        ],
        "m 2026-01-01 180/600; m 2026-02-01 0/600; m 2026-03-01 0/600; m 2026-04-01 600/600",
    );
    // Two weeks only.
    with("2 weeks", &["2026-01-01 p"]).check(
        &["a support 2026-02-13T10:00:00 4:00", "b support 2026-02-16T10:00:00 11:00"],
        &["a Included 0 240: [m]@open 4/1m", "b Charged 1.00 660: [m]@open 10/1m, step@open 1/1mx1.00"],
        "",
    );
    // Two months: February may still use what January left, and March what February left.
    with("2 months", &["2026-01-01 p"]).check(
        &["a support 2026-03-10T10:00:00 19:00"],
        &["a Charged 1.00 1140: [m]@open 18/1m, step@open 1/1mx1.00"],
        "m 2026-01-01 360/600; m 2026-02-01 360/600; m 2026-03-01 0/600; m 2026-04-01 600/600",
    );
    // Nothing comes from before the contract, or from before it held the plan; a first partial month is a whole one.
    with("1 month", &["2026-03-01 p"]).check(
        &["a support 2026-03-10T10:00:00 11:00"],
        &["a Charged 1.00 660: [m]@open 10/1m, step@open 1/1mx1.00"],
        "",
    );
    with("1 month", &["2026-02-20 p"]).check(
        &["a support 2026-03-10T10:00:00 15:00"],
        &["a Charged 1.00 900: [m]@open 14/1m, step@open 1/1mx1.00"],
        "",
    );
}

#[test]
fn a_contract_year_runs_from_the_contracts_start() {
    let year = time("y", "2m", "1m", "contract-year", "");
    let with = |start: &str| case(&plan(&year)).rows(&[&format!("{start} p")]).until("2028-03-01T10:00:00");
    with("2024-02-29").check(
        &[
            "a support 2025-02-27T10:00:00 2:00",
            "b support 2025-02-28T10:00:00 2:00",
            "c support 2028-02-28T10:00:00 2:00",
            "d support 2028-02-29T10:00:00 3:00",
        ],
        &[
            "a Included 0 120: [y]@open 2/1m",
            "b Included 0 120: [y]@open 2/1m",
            "c Included 0 120: [y]@open 2/1m",
            "d Charged 1.00 180: [y]@open 2/1m, step@open 1/1mx1.00",
        ],
        "y 2024-02-29 0/120; y 2025-02-28 0/120; y 2027-02-28 0/120; y 2028-02-29 0/120",
    );
    // Rows that follow one another are one contract, a gap begins another.
    let history = |rows: &[&str]| case(&plan(&year)).rows(rows).until("2026-06-30T10:00:00");
    let calls = ["a support 2026-02-02T10:00:00 2:00", "b support 2026-05-04T10:00:00 1:00"];
    history(&["2026-01-15 p ends=2026-04-01", "2026-04-01 p"]).check(
        &calls,
        &["a Included 0 120: [y]@open 2/1m", "b Charged 1.00 60: step@open 1/1mx1.00"],
        "y 2026-01-15 0/120",
    );
    history(&["2026-01-15 p ends=2026-04-01", "2026-04-02 p"]).check(
        &calls,
        &["a Included 0 120: [y]@open 2/1m", "b Included 0 60: [y]@open 1/1m"],
        "y 2026-01-15 0/120; y 2026-04-02 60/120",
    );
}

#[test]
fn stations_multiply_as_of_the_first_covered_day() {
    let month = time("m", "2m", "1m", "month", "per_station = true");
    let rows = ["2026-01-15 p stations=2 ends=2026-02-15", "2026-02-15 p stations=5 ends=2026-03-01", "2026-04-20 p stations=3"];
    case(&plan(&month)).rows(&rows).until("2026-04-30T10:00:00").check(
        &["a support 2026-01-30T10:00:00 1:00", "b support 2026-02-20T10:00:00 1:00", "c support 2026-04-22T10:00:00 1:00"],
        &["a Included 0 60: [m]@open 1/1m", "b Included 0 60: [m]@open 1/1m", "c Included 0 60: [m]@open 1/1m"],
        "m 2026-01-01 180/240; m 2026-02-01 180/240; m 2026-04-01 300/360",
    );
}

#[test]
fn plans_come_with_others_replace_others_and_follow_one_another() {
    let of = |id: &str, more: &str, minutes: &str, price: &str| {
        let head = PLAN.replace("\"p\"", &format!("\"{id}\""));
        format!("{head}{more}\n{}{}", time("m", minutes, "1m", "month", ""), MINUTES.replace("1.00", price))
    };
    let text = [HEAD, &of("p", "", "1m", "1.00"), &of("q", "supersedes = [\"p\"]", "2m", "2.00")].concat();
    let wrap = format!("{text}{}includes = [\"q\"]\n", PLAN.replace("\"p\"", "\"w\""));
    let call = ["a support 2026-03-20T10:00:00 3:00"];
    for (rows, expected, balances) in [
        (&["2026-01-01 p"][..], "a Charged 2.00 180: [m]@open 1/1m, step@open 2/1mx1.00", "m 2026-03-01 0/60"),
        (&["2026-01-01 p,q"], "a Charged 2.00 180: [m]@open 2/1m, step@open 1/1mx2.00", "m 2026-03-01 0/120"),
        (&["2026-01-01 q,p"], "a Charged 2.00 180: [m]@open 2/1m, step@open 1/1mx2.00", "m 2026-03-01 0/120"),
        (&["2026-01-01 w"], "a Charged 2.00 180: [m]@open 2/1m, step@open 1/1mx2.00", "m 2026-03-01 0/120"),
        (&["2026-01-01 w,p"], "a Charged 2.00 180: [m]@open 2/1m, step@open 1/1mx2.00", "m 2026-03-01 0/120"),
        (&["2026-01-01 p ends=2026-03-20", "2026-03-20 q"], "a Charged 2.00 180: [m]@open 2/1m, step@open 1/1mx2.00", "m 2026-03-01 0/120"),
        (&["2026-01-01 p ends=2026-03-21", "2026-03-21 q"], "a Charged 2.00 180: [m]@open 1/1m, step@open 2/1mx1.00", ""),
    ] {
        case(&wrap).rows(rows).until("2026-03-31T10:00:00").check(&call, &[expected], balances);
    }
    // A change in the middle of a month grants each plan's month in full.
    case(&wrap).rows(&["2026-01-01 p ends=2026-03-20", "2026-03-20 q"]).until("2026-03-31T10:00:00").check(
        &["a support 2026-03-19T10:00:00 1:00", "b support 2026-03-20T10:00:00 2:00"],
        &["a Included 0 60: [m]@open 1/1m", "b Included 0 120: [m]@open 2/1m"],
        "m 2026-03-01 0/60; m 2026-03-01 0/120",
    );
    // What is granted once, on activation, is not granted again by another plan of the same tariff.
    let once = time("once", "2m", "1m", "activation", "lapses = \"never\"");
    let two = format!("{HEAD}{PLAN}{once}{MINUTES}{}{once}{MINUTES}", PLAN.replace("\"p\"", "\"q\""));
    case(&two).rows(&["2026-01-01 p activated=2026-01-01 ends=2026-03-01", "2026-03-01 q activated=2026-01-01"]).check(
        &["a support 2026-02-02T10:00:00 1:00", "b support 2026-03-02T10:00:00 2:00"],
        &["a Included 0 60: [once]@open 1/1m", "b Charged 1.00 120: [once]@open 1/1m, step@open 1/1mx1.00"],
        "once 2026-01-01 0/120",
    );
}

#[test]
fn an_allowance_serves_its_bands_severities_and_levels() {
    for (more, call, expected) in [
        ("bands = [\"late\"]", "a support 2026-03-10T17:59:00 3:00", "a Charged 1.00 180: step@open 1/1mx1.00, [m]@late 2/1m"),
        ("bands = [\"open\"]", "a support 2026-03-10T17:59:00 3:00", "a Charged 2.00 180: [m]@open 1/1m, step@late 2/1mx1.00"),
        ("severities = [\"A\"]", "a support 2026-03-10T10:00:00 1:00 severity=A", "a Included 0 60: [m]@open 1/1m"),
        ("severities = [\"A\"]", "a support 2026-03-10T10:00:00 1:00", "a Charged 1.00 60: step@open 1/1mx1.00"),
        ("severities = [\"C\"]", "a support 2026-03-10T10:00:00 1:00", "a Included 0 60: [m]@open 1/1m"),
        ("levels = [3]", "a support 2026-03-10T10:00:00 1:00 level=3", "a Included 0 60: [m]@open 1/1m"),
        ("levels = [3]", "a support 2026-03-10T10:00:00 1:00 level=2", "a Charged 1.00 60: step@open 1/1mx1.00"),
        ("levels = [3]", "a support 2026-03-10T10:00:00 1:00", "a Charged 1.00 60: step@open 1/1mx1.00"),
    ] {
        case(&plan(&time("m", "10m", "1m", "month", more))).check(&[call], &[expected], "");
    }
}

#[test]
fn bands_of_two_tariffs_are_not_mixed_up() {
    // In the second tariff, `late` stands where `open` stands in the first.
    let other = HEAD.replace("\"t\"", "\"u\"").replace(
        "open = \"Mo-Fr 08:00-18:00\"\nlate = \"Mo-Fr 18:00-22:00\"",
        "late = \"Mo-Fr 18:00-22:00\"\nopen = \"Mo-Fr 08:00-18:00\"",
    );
    let second = format!("{other}{}{}{MINUTES}", PLAN.replace("\"p\"", "\"q\""), time("late", "9m", "1m", "month", "bands = [\"late\"]"));
    let mut both = case(&plan("")).rows(&["2026-01-01 p,q"]);
    both.tariffs.push(tariff("u.toml", &second));
    both.check(&["a support 2026-03-10T17:59:00 2:00"], &["a Charged 1.00 120: step@open 1/1mx1.00, [late]@late 1/1m"], "");
}

#[test]
fn an_allowance_of_a_plan_for_others_is_not_used() {
    let closed = PLAN.replace("\"any\"", "\"authorised\"").replace("\"p\"", "\"q\"");
    let text = format!("{HEAD}{closed}{}{}{PLAN}{MINUTES}", time("m", "9m", "1m", "month", ""), MINUTES.replace("1.00", "5.00"));
    case(&text).rows(&["2026-01-01 q,p"]).check(
        &["a support 2026-03-10T10:00:00 1:00", "b support 2026-03-10T11:00:00 1:00 stranger"],
        &["a Included 0 60: [m]@open 1/1m", "b Charged 1.00 60: step@open 1/1mx1.00"],
        "",
    );
    case(&text).rows(&["2026-01-01 q"]).check(
        &["a callback 2026-03-10T10:00:00 1:00 out", "b support 2026-03-10T11:00:00 1:00 stranger"],
        &["a Uncovered 0 0", "b Unauthorised 0 0"],
        "",
    );
}
