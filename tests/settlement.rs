//! The worked examples of design.md §10 through the pure core, with the tariff files that ship.

use crate::sample;
pub(crate) use crate::sample::contract;
use chrono::TimeZone;
use chrono_tz::Europe::Berlin;
use taktd::calls::Call;
use taktd::meter::{Input, Outcome, Record, Settlement, Terms, Timing, fees, settle};
use taktd::tariff::Tariff;
use taktd::units::{RawNumber, Seconds, Timestamp};

pub(crate) fn tariff(name: &str) -> Tariff {
    let path = format!("config/tariffs/{name}.toml");
    let text = std::fs::read_to_string(&path).expect("the tariff ships");
    taktd::config::tariff::parse(&path, &text).expect("the tariff is right")
}

pub(crate) fn local(text: &str) -> Timestamp {
    let time = chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").expect("a time");
    Timestamp::from_micros(Berlin.from_local_datetime(&time).earliest().expect("it exists").timestamp_micros())
}

pub(crate) fn call(id: &str, service: &str, begins: &str, talk: u64) -> Call {
    let from = local(begins);
    sample::call(id, service, from, from.plus(Seconds::new(talk)))
}

fn run(tariff: &Tariff, plans: &[&str], calls: &[Call], authorised: bool) -> Settlement {
    let contract = contract(plans);
    let terms = Terms::new(std::slice::from_ref(tariff), vec![&contract], Berlin);
    let inputs: Vec<Input<'_>> =
        calls.iter().map(|call| Input { call, authorised, reason: None, verdict: None, timing: Timing::InTime }).collect();
    settle(&terms, &inputs, local("2026-12-31 00:00:00"))
}

/// `rule count×unit_price[/increment][ @band]` of each line.
pub(crate) fn lines(record: &Record) -> String {
    let line = |line: &taktd::meter::Line| {
        let increment = line.increment.map(|length| format!("/{length}")).unwrap_or_default();
        let band = line.band.as_ref().map(|band| format!(" @{band}")).unwrap_or_default();
        format!("{:?} {}x{}{increment}{band}", line.rule, line.count, line.unit_price)
    };
    record.lines.iter().map(line).collect::<Vec<_>>().join("; ")
}

fn check(settled: &Settlement, place: usize, outcome: Outcome, net: &str, expected: &str) {
    let record = &settled.calls[place].record;
    assert_eq!(lines(record), expected, "{record:#?}");
    assert_eq!(record.outcome, outcome);
    assert_eq!(record.charge.net, net.parse().expect("a decimal"));
    let sum: rust_decimal::Decimal = record.lines.iter().map(|line| line.amount).sum();
    assert_eq!(sum, record.charge.net, "lines add up");
}

#[test]
fn examples_1_and_2_minutes_from_the_allowance_then_paid() {
    let tariff = tariff("support-level");
    let calls = [call("a", "support", "2026-03-10 10:00:00", 721), call("b", "support", "2026-03-10 11:00:00", 300)];
    let settled = run(&tariff, &["support-level-1"], &calls, true);
    check(&settled, 0, Outcome::Included, "0", "Allowance 13x0/1m @general");
    check(&settled, 1, Outcome::Charged, "1.50", "Allowance 2x0/1m @general; Step 3x0.50/1m @general");
    let charge = settled.calls[1].record.charge;
    assert_eq!((charge.vat.to_string(), charge.gross.to_string()), ("0.29".into(), "1.79".into()));
    assert_eq!(settled.calls[0].record.billed, Seconds::new(780));
}

#[test]
fn examples_3_and_4_blocks_of_five_minutes_into_the_night() {
    let tariff = tariff("support-level");
    for (talk, net, expected) in [
        (720, "90.00", "Step 1x30.00/5m @day; Step 2x30.00/5m @night"),
        (600, "60.00", "Step 1x30.00/5m @day; Step 1x30.00/5m @night"),
        (601, "90.00", "Step 1x30.00/5m @day; Step 2x30.00/5m @night"),
    ] {
        let settled = run(&tariff, &["support-level-1"], &[call("a", "emergency", "2026-03-13 21:57:00", talk)], true);
        check(&settled, 0, Outcome::Charged, net, expected);
    }
}

#[test]
fn example_5_the_hour_that_summer_time_skips() {
    let tariff = tariff("support-level");
    let settled = run(&tariff, &["support-level-1"], &[call("a", "emergency", "2026-03-29 01:58:00", 360)], true);
    check(&settled, 0, Outcome::Charged, "66.00", "Step 1x36.00/5m @weekend; Step 1x30.00/5m @weekend");
    let ended = settled.calls[0].record.ended_at.expect("it ended");
    assert_eq!(ended.rfc3339(Berlin), "2026-03-29T03:04:00.000+02:00");
}

#[test]
fn example_6_easter_monday() {
    let tariff = tariff("support-hours");
    for (begins, outcome) in [("2026-04-06 10:00:00", Outcome::Uncovered), ("2026-04-07 10:00:00", Outcome::Included)] {
        let settled = run(&tariff, &["model-m"], &[call("a", "support", begins, 299)], true);
        assert_eq!((settled.calls[0].record.outcome, settled.calls[0].record.charge.net), (outcome, "0".parse().expect("zero")));
    }
}

#[test]
fn example_7_outside_the_hours() {
    let tariff = tariff("support-level");
    let settled = run(&tariff, &["support-level-1"], &[call("a", "support", "2026-03-10 17:30:00", 180)], true);
    check(&settled, 0, Outcome::Uncovered, "0", "");
}

#[test]
fn example_8_an_hour_is_bought_when_those_included_are_gone() {
    let tariff = tariff("support-hours");
    let calls = [call("before", "support", "2026-03-09 10:00:00", 13_500), call("a", "support", "2026-03-10 10:00:00", 1_200)];
    let settled = run(&tariff, &["model-m"], &calls, true);
    check(&settled, 1, Outcome::Charged, "99.00", "Allowance 1x0/15m @hours; TopUp 1x99.00/1h @hours; Allowance 1x0/15m @hours");
    let left: Vec<_> = settled.balances.iter().map(|one| (&*one.allowance, one.left)).collect();
    assert_eq!(left, [("hours-4", 0), ("top-up", 45 * 60)]);
}

#[test]
fn example_9_each_started_hour() {
    let tariff = tariff("support-hours");
    for (talk, net, expected) in
        [(3_600, "149.00", "Step 1x149.00/1h @hours"), (3_601, "278.00", "Step 1x149.00/1h @hours; Step 1x129.00/1h @hours")]
    {
        let settled = run(&tariff, &["model-s"], &[call("a", "support", "2026-03-10 10:00:00", talk)], true);
        check(&settled, 0, Outcome::Charged, net, expected);
    }
}

#[test]
fn example_10_the_third_incident_of_the_month_on_a_saturday() {
    let tariff = tariff("incident-plans");
    let of = |id: &str, begins: &str, severity: Option<&str>| {
        let call = call(id, "support", begins, 540);
        Call { caller_raw: RawNumber::from_bytes(format!("+4989{id}").as_bytes()), severity: severity.map(Into::into), ..call }
    };
    let calls =
        [of("101", "2026-03-04 10:00:00", None), of("102", "2026-03-05 10:00:00", Some("A")), of("103", "2026-03-14 11:00:00", Some("B"))];
    let settled = run(&tariff, &["dehosted-basic-plus"], &calls, true);
    check(&settled, 1, Outcome::Included, "0", "Allowance 1x0 @business");
    check(&settled, 2, Outcome::Charged, "318.00", "Incident 1x318.00 @outside");
    // The first of a month on a Saturday: free incidents count in business hours only.
    check(&run(&tariff, &["dehosted-basic-plus"], &calls[2..], true), 0, Outcome::Charged, "318.00", "Incident 1x318.00 @outside");
    check(&run(&tariff, &["dehosted-standard"], &calls[2..], true), 0, Outcome::Included, "0", "Allowance 1x0 @outside");
}

#[test]
fn example_11_a_holiday_in_bavaria_and_none_in_berlin() {
    let text = std::fs::read_to_string("config/tariffs/incident-plans.toml").expect("the tariff ships");
    for (calendar, net, expected) in
        [("\"DE-BY\"", "169.00", "Incident 1x169.00 @outside"), ("\"DE-BE\"", "85.00", "Incident 1x85.00 @business")]
    {
        let tariff = taktd::config::tariff::parse("incident-plans.toml", &text.replace("\"DE-BY\"", calendar)).expect("it is right");
        let settled = run(&tariff, &["dehosted-basic"], &[call("a", "support", "2026-06-04 10:00:00", 540)], true);
        check(&settled, 0, Outcome::Charged, net, expected);
    }
}

#[test]
fn example_12_a_caller_who_may_not_call() {
    let tariff = tariff("cash-desk");
    let calls = [call("a", "support", "2026-03-11 09:30:00", 240)];
    check(&run(&tariff, &["second-level"], &calls, false), 0, Outcome::Unauthorised, "0", "");
    let settled = run(&tariff, &["second-level"], &calls, true);
    assert_eq!(settled.calls[0].record.outcome, Outcome::Included);
    assert_eq!(settled.calls[0].record.billed, Seconds::new(240));
}

#[test]
fn example_13_two_calls_share_the_balance_minute_by_minute() {
    let tariff = tariff("support-level");
    let calls = [
        call("before", "support", "2026-03-09 10:00:00", 720),
        call("a", "support", "2026-03-10 10:00:00", 180),
        call("b", "support", "2026-03-10 10:00:30", 180),
    ];
    for order in [[0usize, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let shuffled: Vec<Call> = order.iter().map(|place| calls[*place].clone()).collect();
        let settled = run(&tariff, &["support-level-1"], &shuffled, true);
        let place = |id: &str| shuffled.iter().position(|call| call.id.as_str() == id).expect("it is there");
        check(&settled, place("a"), Outcome::Charged, "0.50", "Allowance 2x0/1m @general; Step 1x0.50/1m @general");
        check(&settled, place("b"), Outcome::Charged, "1.00", "Allowance 1x0/1m @general; Step 2x0.50/1m @general");
    }
}

#[test]
fn example_14_out_of_the_general_hours_into_the_day() {
    let tariff = tariff("support-level");
    let calls = [call("before", "support", "2026-03-09 10:00:00", 900), call("a", "emergency", "2026-03-10 12:29:00", 480)];
    let settled = run(&tariff, &["support-level-1"], &calls, true);
    check(&settled, 1, Outcome::Charged, "55.50", "Step 1x0.50/1m @general; Step 1x30.00/5m @day; Step 1x25.00/5m @day");
}

#[test]
fn fees_are_due_at_the_start_of_each_period() {
    let tariff = tariff("support-level");
    let contract = contract(&["support-level-2", "support-level-3"]);
    let terms = Terms::new(std::slice::from_ref(&tariff), vec![&contract], Berlin);
    let records = fees(&terms, local("2026-03-01 00:00:00"));
    let due: Vec<String> = records.iter().map(|fee| format!("{:?} {}", fee.plan.as_deref(), fee.charge.net)).collect();
    assert_eq!(due.len(), 6, "two plans, three months: {due:?}");
    let just_before = fees(&terms, local("2026-02-28 23:59:59"));
    assert_eq!(just_before.len(), 4);
    let cash = self::tariff("cash-desk");
    let mut shop = self::contract(&["support-flat"]);
    shop.stations = 3;
    let terms = Terms::new(std::slice::from_ref(&cash), vec![&shop], Berlin);
    let records = fees(&terms, local("2026-03-01 00:00:00"));
    assert_eq!(records.len(), 1);
    assert_eq!((records[0].charge.net, records[0].charge.vat), ("747.00".parse().expect("net"), "141.93".parse().expect("vat")));
}
