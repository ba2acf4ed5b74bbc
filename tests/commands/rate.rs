//! The worked examples of design.md §10 through `taktd rate` and `taktd quote`, with the tariffs that ship.

use super::{Desk, cents, text};
use serde_json::Value;

const CONFIG: &str = "tests/cases/rate/taktd.toml";
const CALLS: &[&str] = &["rate", "--calls", "tests/cases/rate/calls.csv"];

#[test]
fn the_worked_examples_as_a_table() {
    insta::assert_snapshot!(Desk::with(CONFIG).taktd(CALLS).fine());
}

#[test]
fn the_worked_examples_as_json() {
    let lines = Desk::with(CONFIG).json(CALLS);
    // As design.md §10 has them: outcome, seconds from the allowance, net, VAT, gross in cents.
    let expected: &[(&str, &str, u64, i64, i64, i64)] = &[
        ("1", "included", 780, 0, 0, 0),
        ("2", "charged", 120, 150, 29, 179),
        ("3", "charged", 0, 9_000, 1_710, 10_710),
        ("4", "charged", 0, 6_000, 1_140, 7_140),
        ("5", "charged", 0, 6_600, 1_254, 7_854),
        ("7", "uncovered", 0, 0, 0, 0),
        ("12", "unauthorised", 0, 0, 0, 0),
        ("12-authorised", "included", 0, 0, 0, 0),
        ("13-B", "charged", 60, 100, 19, 119),
        ("13-A", "charged", 120, 50, 10, 60),
        ("13-before", "included", 720, 0, 0, 0),
        ("14-before", "included", 900, 0, 0, 0),
        ("14", "charged", 0, 5_550, 1_055, 6_605),
        ("4-one-second-more", "charged", 0, 9_000, 1_710, 10_710),
        ("missed", "missed", 0, 0, 0, 0),
        ("stranger", "unmatched", 0, 0, 0, 0),
    ];
    assert_eq!(lines.len(), expected.len(), "one result per call, in input order");
    for (line, &(id, outcome, used, net, vat, gross)) in lines.iter().zip(expected) {
        assert_eq!((text(line, "call_id"), text(line, "outcome")), (id, outcome), "{line}");
        assert_eq!((cents(line, "net"), cents(line, "vat"), cents(line, "gross")), (net, vat, gross), "{line}");
        assert_eq!(sum(line, "allowances", "used"), used, "{line}");
    }
    insta::assert_snapshot!(lines.iter().map(|line| format!("{line:#}\n")).collect::<String>());
}

fn sum(line: &Value, list: &str, key: &str) -> u64 {
    line[list].as_array().expect("a list").iter().map(|item| item[key].as_u64().expect("a count")).sum()
}

/// A call asked about costs what the same call costs when it is rated alone.
#[test]
fn a_quote_is_what_the_call_will_cost() {
    let desk = Desk::with(CONFIG);
    for (contract, service, at, duration, outcome, net) in [
        ("E-01", "support", "2026-03-10T10:00:00+01:00", "12m1s", "included", 0),
        ("E-01", "support", "2026-03-10T10:00:00+01:00", "18m", "charged", 150),
        ("E-03", "emergency", "2026-03-13T21:57:00+01:00", "12m", "charged", 9_000),
        ("E-04", "emergency", "2026-03-13T21:57:00+01:00", "10m", "charged", 6_000),
        ("E-04", "emergency", "2026-03-13T21:57:00+01:00", "601s", "charged", 9_000),
        ("E-05", "emergency", "2026-03-29T01:58:00+01:00", "6m", "charged", 6_600),
        ("E-07", "support", "2026-03-10T17:30:00+01:00", "3m", "uncovered", 0),
        ("E-12", "support", "2026-03-11T09:30:00+01:00", "4m", "included", 0),
    ] {
        let words = ["quote", "--contract", contract, "--service", service, "--at", at, "--duration", duration];
        let lines = desk.json(&words);
        assert_eq!(lines.len(), 1);
        assert_eq!((text(&lines[0], "outcome"), cents(&lines[0], "net")), (outcome, net), "{words:?}: {}", lines[0]);
    }
    let words = ["quote", "--contract", "E-03", "--service", "emergency", "--at", "2026-03-13T21:57:00+01:00", "--duration", "12m"];
    insta::assert_snapshot!(desk.taktd(&words).fine());
}

/// With a ledger, what its calls have used of the allowance is gone.
#[test]
fn a_quote_knows_the_balances_of_the_ledger() {
    let desk = Desk::by_the_minute();
    let ask = |desk: &Desk| {
        let at = "2026-11-23T10:00:00+01:00";
        let lines = desk.json(&["quote", "--contract", "K-1009", "--service", "support", "--at", at, "--duration", "15m"]);
        (sum(&lines[0], "allowances", "used"), cents(&lines[0], "net"))
    };
    assert_eq!(ask(&desk), (900, 0), "nothing is used before there is a ledger");
    desk.replay(super::recording("asterisk-16/sip.pcap")).fine();
    let used: u64 = desk.calls().iter().map(|call| sum(call, "allowances", "used")).sum();
    assert!(used > 0, "the recording used nothing");
    let minutes_paid = i64::try_from(used.div_ceil(60)).expect("few");
    assert_eq!(ask(&desk), (900 - used, minutes_paid * 50));
}
