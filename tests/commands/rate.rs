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
        ("6", "uncovered", 0, 0, 0, 0),
        ("8-before", "included", 13_500, 0, 0, 0),
        ("8", "charged", 1_800, 9_900, 1_881, 11_781), // 15 minutes included, and 15 of the hour that was bought
        ("9", "charged", 0, 27_800, 5_282, 33_082),
        ("10-first", "included", 1, 0, 0, 0),
        ("10-second", "included", 1, 0, 0, 0),
        ("10", "charged", 0, 31_800, 6_042, 37_842),
        ("10-again", "included", 0, 0, 0, 0), // 24 hours after its end: the same incident
        ("11", "charged", 0, 16_900, 3_211, 20_111),
        // 20 minutes are two work units of 20.00; with goodwill 40 % less; the last 10 of 25 minutes waived leave one.
        ("held", "held", 0, 0, 0, 0),
        ("customer", "charged", 0, 4_000, 760, 4_760),
        ("provider", "included", 0, 0, 0, 0),
        ("goodwill-40%", "charged", 0, 2_400, 456, 2_856),
        ("goodwill-10m", "charged", 0, 2_000, 380, 2_380),
        ("technician", "charged", 0, 3_500, 665, 4_165),
        ("technician-again", "included", 0, 0, 0, 0),
        ("ordinary-1", "included", 1, 0, 0, 0),
        ("ordinary-2", "included", 1, 0, 0, 0),
        ("ordinary-3", "included", 1, 0, 0, 0),
        ("ordinary-4", "included", 1, 0, 0, 0),
        ("ordinary-5", "included", 1, 0, 0, 0),
        ("premier", "included", 1, 0, 0, 0),
        ("premier-gone", "charged", 0, 15_900, 3_021, 18_921),
        ("callback", "included", 1, 0, 0, 0),
    ];
    assert_eq!(lines.len(), expected.len(), "one result per call, in input order");
    for (line, &(id, outcome, used, net, vat, gross)) in lines.iter().zip(expected) {
        assert_eq!((text(line, "call_id"), text(line, "outcome")), (id, outcome), "{line}");
        assert_eq!((cents(line, "net"), cents(line, "vat"), cents(line, "gross")), (net, vat, gross), "{line}");
        assert_eq!(sum(line, "allowances", "used"), used, "{line}");
    }
    insta::assert_snapshot!(lines.iter().map(|line| format!("{line:#}\n")).collect::<String>());
}

/// Corpus Christi is a holiday in Bavaria, and none in Berlin.
#[test]
fn example_11_with_the_calendar_of_berlin() {
    let mut desk = Desk::with(CONFIG);
    let read = |name: &str| std::fs::read_to_string(name).expect("it ships");
    let tariff = read("config/tariffs/incident-plans.toml");
    assert!(tariff.contains("\"DE-BY\""));
    let contracts = read("tests/cases/rate/contracts.csv");
    let contract = contracts.lines().find(|line| line.starts_with("E-11")).expect("it is there");
    let calls = read("tests/cases/rate/calls.csv");
    let call = calls.lines().find(|line| line.starts_with("11,")).expect("it is there");
    let config = "[catalogue]\ncountry = \"DE\"\narea_code = \"89\"\ntariffs = [\"tariff.toml\"]\ncontracts = [\"contracts.csv\"]\n\
                  [[hotline]]\nnumber = \"+49 89 555010\"\nname = \"Support\"\nservice = \"support\"\n";
    for (name, text) in [
        ("tariff.toml", tariff.replace("\"DE-BY\"", "\"DE-BE\"")),
        ("contracts.csv", format!("{}\n{contract}\n", contracts.lines().next().expect("a header"))),
        ("calls.csv", format!("{}\n{call}\n", calls.lines().next().expect("a header"))),
        ("taktd.toml", config.to_owned()),
    ] {
        std::fs::write(desk.path(name), text).expect("it is written");
    }
    desk.config = desk.path("taktd.toml");
    let calls = desk.path("calls.csv").display().to_string();
    let lines = desk.json(&["rate", "--calls", &calls]);
    assert_eq!((cents(&lines[0], "net"), text(&lines[0]["lines"][0], "band")), (8_500, "business"), "{}", lines[0]);
}

/// A deadline passes when somebody says what time it is, and not because a later call is in the file.
#[test]
fn a_deadline_passes_only_with_as_of() {
    let desk = Desk::with(CONFIG);
    let held = |words: &[&str]| {
        let words: Vec<&str> = CALLS.iter().chain(words).copied().collect();
        let lines = desk.json(&words);
        let line = lines.iter().find(|line| text(line, "call_id") == "held").expect("it is there").clone();
        (text(&line, "outcome").to_owned(), cents(&line, "net"))
    };
    assert_eq!(held(&[]), ("held".to_owned(), 0));
    // The file goes on to June, so an earlier time than that is none.
    assert_eq!(held(&["--as-of", "2026-06-30T00:00:00+02:00"]), ("charged".to_owned(), 4_000));
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
