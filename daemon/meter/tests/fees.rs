//! Fees: when they are due, for how long, and how much (§5).

use super::*;

/// `PLAN FROM..TO quantity net vat` of each fee.
fn check(text: &str, rows: &[&str], until: &str, expected: &[&str]) {
    let case = case(text).rows(rows).until(until);
    let tell = |record: Record| {
        let period = record.fee.expect("a fee");
        assert_eq!(record.lines.iter().map(|line| line.amount).sum::<Decimal>(), record.charge.net);
        let plan = record.plan.as_deref().unwrap_or_default();
        format!("{plan} {}..{} {} {} {}", period.from, period.to, period.quantity, record.charge.net, record.charge.vat)
    };
    let told: Vec<String> = fees(&case.terms(), case.until).into_iter().map(tell).collect();
    assert_eq!(told, expected, "{rows:?} until {until}");
}

fn plan(id: &str, from: &str, fee: &str) -> String {
    let head = PLAN.replace("\"p\"", &format!("\"{id}\"")).replace("2019-01-01", from);
    format!("{}{MINUTES}", head.replace("\"none\"", fee))
}

const MONTHLY: &str = "{ amount = 39.00, per = \"month\" }";
const YEARLY: &str = "{ amount = 120.00, per = \"year\" }";
const STATIONS: &str = "{ amount = 249.00, per = \"year-and-station\" }";

#[test]
fn each_is_due_at_its_start_and_none_after_the_end() {
    let monthly = format!("{HEAD}{}", plan("p", "2019-01-01", MONTHLY));
    let first = ["p 2026-01-31..2026-02-27 1 39.00 7.41", "p 2026-02-28..2026-03-30 1 39.00 7.41", "p 2026-03-31..2026-04-29 1 39.00 7.41"];
    check(&monthly, &["2026-01-31 p"], "2026-01-30T23:59:59", &[]);
    check(&monthly, &["2026-01-31 p"], "2026-01-31T00:00:00", &first[..1]);
    check(&monthly, &["2026-01-31 p"], "2026-02-27T23:59:59", &first[..1]);
    check(&monthly, &["2026-01-31 p"], "2026-03-31T00:00:00", &first);
    // The end cuts no fee, and on the day of the end nothing begins.
    check(&monthly, &["2026-01-31 p ends=2026-03-01"], "2026-12-31T00:00:00", &first[..2]);
    check(&monthly, &["2026-01-31 p ends=2026-02-28"], "2026-12-31T00:00:00", &first[..1]);
    check(&monthly, &["2026-01-31 p ends=2026-01-31"], "2026-12-31T00:00:00", &[]);
}

#[test]
fn vat_is_that_of_the_last_day() {
    let yearly = format!("{HEAD}{}", plan("p", "2019-01-01", YEARLY));
    // 16 % on 2020-12-31, 19 % on 2021-01-01.
    check(&yearly, &["2020-01-01 p"], "2020-12-31T00:00:00", &["p 2020-01-01..2020-12-31 1 120.00 19.20"]);
    check(&yearly, &["2020-01-02 p"], "2020-12-31T00:00:00", &["p 2020-01-02..2021-01-01 1 120.00 22.80"]);
    check(&yearly, &["2019-07-02 p"], "2020-06-30T00:00:00", &["p 2019-07-02..2020-07-01 1 120.00 19.20"]);
}

#[test]
fn stations_are_those_of_the_first_day_of_each_period() {
    let yearly = format!("{HEAD}{}", plan("p", "2019-01-01", STATIONS));
    let rows = ["2024-02-29 p stations=2 ends=2025-02-28", "2025-02-28 p stations=3 ends=2025-06-01", "2025-06-01 p stations=9"];
    check(
        &yearly,
        &rows,
        "2026-02-28T00:00:00",
        &[
            "p 2024-02-29..2025-02-27 2 498.00 94.62",
            "p 2025-02-28..2026-02-27 3 747.00 141.93",
            "p 2026-02-28..2027-02-27 9 2241.00 425.79",
        ],
    );
}

#[test]
fn plans_that_go_on_keep_their_periods_and_others_begin_their_own() {
    let text = [HEAD, &plan("p", "2019-01-01", MONTHLY), &plan("q", "2019-01-01", MONTHLY)].concat();
    let rows = ["2026-01-10 p ends=2026-02-20", "2026-02-20 p,q"];
    check(
        &text,
        &rows,
        "2026-03-15T00:00:00",
        &[
            "p 2026-01-10..2026-02-09 1 39.00 7.41",
            "p 2026-02-10..2026-03-09 1 39.00 7.41",
            "p 2026-03-10..2026-04-09 1 39.00 7.41",
            "q 2026-02-20..2026-03-19 1 39.00 7.41",
        ],
    );
    // A plan that comes with another costs nothing, unless the contract names it too; one that is replaced goes on costing.
    let with = |more: &str| {
        [HEAD, &plan("p", "2019-01-01", MONTHLY), &plan("q", "2019-01-01", MONTHLY).replace("callers", &format!("{more}\ncallers"))]
            .concat()
    };
    for (more, plans, due) in [
        ("includes = [\"p\"]", "q", &["q 2026-03-01..2026-03-31 1 39.00 7.41"][..]),
        ("includes = [\"p\"]", "q,p", &["q 2026-03-01..2026-03-31 1 39.00 7.41", "p 2026-03-01..2026-03-31 1 39.00 7.41"]),
        ("supersedes = [\"p\"]", "p,q", &["p 2026-03-01..2026-03-31 1 39.00 7.41", "q 2026-03-01..2026-03-31 1 39.00 7.41"]),
    ] {
        check(&with(more), &[&format!("2026-03-01 {plans}")], "2026-03-31T00:00:00", due);
    }
}

#[test]
fn a_new_version_counts_from_the_first_period_that_begins_under_it() {
    let versions = |first: &str, second: &str| [HEAD, &plan("p", "2019-01-01", first), &plan("p", "2026-03-01", second)].concat();
    let dearer = MONTHLY.replace("39.00", "49.00");
    check(
        &versions(MONTHLY, &dearer),
        &["2026-01-15 p"],
        "2026-03-31T00:00:00",
        &["p 2026-01-15..2026-02-14 1 39.00 7.41", "p 2026-02-15..2026-03-14 1 39.00 7.41", "p 2026-03-15..2026-04-14 1 49.00 9.31"],
    );
    check(&versions("\"none\"", MONTHLY), &["2026-01-15 p"], "2026-04-14T00:00:00", &["p 2026-03-15..2026-04-14 1 39.00 7.41"]);
    check(&versions(MONTHLY, "\"none\""), &["2026-02-15 p"], "2026-12-31T00:00:00", &["p 2026-02-15..2026-03-14 1 39.00 7.41"]);
    // From months to years: no day is without a fee, and none is paid twice.
    check(
        &versions(MONTHLY, YEARLY),
        &["2026-02-15 p"],
        "2026-12-31T00:00:00",
        &["p 2026-02-15..2026-03-14 1 39.00 7.41", "p 2026-03-15..2027-03-14 1 120.00 22.80"],
    );
    check(
        &versions(YEARLY, MONTHLY),
        &["2025-02-15 p"],
        "2026-04-14T00:00:00",
        &["p 2025-02-15..2026-02-14 1 120.00 22.80", "p 2026-02-15..2027-02-14 1 120.00 22.80"],
    );
    // The plan is not sold yet.
    let later = format!("{HEAD}{}", plan("p", "2026-03-01", MONTHLY));
    check(&later, &["2026-01-15 p"], "2026-04-14T00:00:00", &["p 2026-03-15..2026-04-14 1 39.00 7.41"]);
}
