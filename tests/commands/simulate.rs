//! `taktd simulate`: what last month's calls would have cost under another tariff, and that nothing is written.

use super::{Desk, cents, recording, text};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;

const TARIFF: &str = r#"name = "shop"
prices = "net"
timezone = "Europe/Berlin"
vat = [{ from = 2007-01-01, percent = 19 }]
[bands]
general = "24/7"
[[service]]
name = "support"
bands = ["general"]
[[service]]
name = "emergency"
bands = ["general"]
[[service]]
name = "technician"
bands = ["general"]
[[plan]]
id = "basic"
valid_from = 2019-01-01
fee = { amount = 10.00, per = "month" }
callers = "any"
[[plan.allowance]]
id = "monthly"
time = "3m"
increment = "1m"
per = "month"
services = ["support", "emergency"]
[[plan.rate]]
service = "support"
steps = [{ from = "0s", increment = "1m", price = 0.50 }]
[[plan.rate]]
service = "emergency"
steps = [{ from = "0s", increment = "5m", price = 30.00 }]
[[plan]]
id = "pro"
valid_from = 2019-01-01
fee = { amount = 25.00, per = "month" }
callers = "any"
stations = { from = 1, to = 2 }
[[plan.rate]]
service = "support"
flat = true
"#;

const CONTRACTS: &str = "contract_id,plans,starts_on,stations,numbers\n\
     K-1,basic,2026-01-01,,+49 171 3920021\n\
     K-2,basic,2026-01-01,7,+49 171 3920022\n\
     K-3,pro,2026-01-01,1,+49 172 9925904\n";

const NOVEMBER: [&str; 4] = ["--from", "2026-11-01", "--to", "2026-12-01"];

/// A desk with three contracts, and the tariff as it would be in a file of its own.
fn desk(would_be: &str) -> (Desk, String) {
    let desk = Desk::by_the_minute();
    fs::write(desk.path("tariff.toml"), TARIFF).expect("written");
    fs::write(desk.path("contracts.csv"), CONTRACTS).expect("written");
    desk.replay(recording("asterisk-16/sip.pcap")).fine();
    fs::write(desk.path("new.toml"), would_be).expect("written");
    let file = desk.path("new.toml").display().to_string();
    (desk, file)
}

fn words<'a>(file: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    ["simulate", "--tariff", file].into_iter().chain(NOVEMBER).chain(more.iter().copied()).collect()
}

/// What the ledger says: net of calls and of fees in November, by contract.
fn ledger(desk: &Desk) -> BTreeMap<String, (i64, i64)> {
    let files = desk.export(&["--from", "2026-11-01", "--to", "2026-12-01"]);
    let (_, lines) = files.iter().find(|(name, _)| name.ends_with(".jsonl")).expect("lines");
    let mut sums: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    for line in String::from_utf8_lossy(lines).lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")) {
        let sum = sums.entry(text(&line, "contract").to_owned()).or_default();
        *(if text(&line, "kind") == "fee" { &mut sum.1 } else { &mut sum.0 }) += cents(&line, "net");
    }
    sums.remove("");
    sums
}

fn of_kind<'a>(lines: &'a [Value], kind: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| text(line, "kind") == kind).collect()
}

#[test]
fn the_same_tariff_makes_no_difference_and_comes_to_what_the_ledger_says() {
    let (desk, file) = desk(TARIFF);
    let lines = desk.json(&words(&file, &["--calls"]));
    assert_eq!(of_kind(&lines, "call").len(), 0, "{lines:?}");
    let found: BTreeMap<String, (i64, i64)> = of_kind(&lines, "contract")
        .into_iter()
        .map(|line| {
            assert_eq!((cents(line, "difference"), &line["outcomes_changed"]), (0, &Value::from(0)), "{line}");
            assert_eq!((&line["calls_net_now"], &line["fees_net_now"]), (&line["calls_net_then"], &line["fees_net_then"]));
            (text(line, "contract").to_owned(), (cents(line, "calls_net_now"), cents(line, "fees_net_now")))
        })
        .collect();
    let expected = ledger(&desk);
    assert!(expected.len() == 3 && expected.values().any(|(calls, _)| *calls > 0), "{expected:?}");
    assert_eq!(found, expected);
    let [total] = of_kind(&lines, "total")[..] else { panic!("one total: {lines:?}") };
    assert_eq!(cents(total, "net_now"), expected.values().map(|(calls, fees)| calls + fees).sum::<i64>());
    assert_eq!(total["contracts"], 3);
    let unmatched = desk.calls().iter().filter(|call| call["contract"].is_null()).count();
    assert!(unmatched > 0);
    assert_eq!(total["unmatched"], unmatched);
}

#[test]
fn another_price_is_compared_by_contract_and_by_call() {
    let (desk, file) = desk(&TARIFF.replace("0.50", "0.80").replace("\"3m\"", "\"1m\"").replace("amount = 10.00", "amount = 8.00"));
    insta::assert_snapshot!(desk.taktd(&words(&file, &[])).fine());
    insta::assert_snapshot!(desk.taktd(&words(&file, &["--calls", "--contract", "K-1"])).fine());
    let lines = desk.json(&words(&file, &["--calls"]));
    for contract in of_kind(&lines, "contract") {
        let calls = of_kind(&lines, "call").into_iter().filter(|call| call["contract"] == contract["contract"]);
        let difference: i64 = calls.map(|call| cents(call, "net_then") - cents(call, "net_now")).sum();
        let fees = cents(contract, "fees_net_then") - cents(contract, "fees_net_now");
        assert_eq!(cents(contract, "difference"), difference + fees, "{contract}");
    }
    // What it says would be is what comes out once it is so.
    let would_be: BTreeMap<String, (i64, i64)> = of_kind(&lines, "contract")
        .into_iter()
        .map(|line| (text(line, "contract").to_owned(), (cents(line, "calls_net_then"), cents(line, "fees_net_then"))))
        .collect();
    fs::copy(&file, desk.path("tariff.toml")).expect("copied");
    desk.replay(recording("asterisk-16/sip.pcap")).fine();
    assert_eq!(ledger(&desk), would_be);
    // The history before the span counts: what one call used is gone for the next.
    let calls = desk.calls();
    let last = calls.iter().rfind(|call| text(call, "contract") == "K-1" && cents(call, "net") > 0).expect("one is charged");
    let from = text(last, "connected_at");
    let later = desk.json(&["simulate", "--tariff", &file, "--contract", "K-1", "--from", from, "--to", "2026-12-01"]);
    let of_one: i64 = calls
        .iter()
        .filter(|call| text(call, "contract") == "K-1" && text(call, "started_at") >= text(last, "started_at"))
        .map(|call| cents(call, "net"))
        .sum();
    assert_eq!(cents(&later[0], "calls_net_now"), of_one);
}

#[test]
fn every_contract_on_one_plan() {
    let (desk, file) = desk(TARIFF);
    let answer = desk.taktd(&words(&file, &["--plan", "pro"]));
    assert_eq!(answer.err.trim(), "taktd: K-2: the plan \"pro\" covers 1 to 2 stations, and here are 7; take a plan that fits");
    insta::assert_snapshot!(answer.fine());
    let lines = desk.json(&words(&file, &["--plan", "pro", "--calls"]));
    let [one, two, three] = of_kind(&lines, "contract")[..] else { panic!("three: {lines:?}") };
    assert_eq!(["K-1", "K-2", "K-3"], [one, two, three].map(|line| text(line, "contract")));
    assert_eq!(cents(three, "difference"), 0, "it holds the plan already");
    assert_eq!((cents(two, "fees_net_now"), cents(two, "fees_net_then")), (1_000, 2_500));
    let uncovered = of_kind(&lines, "call").into_iter().filter(|call| text(call, "outcome_then") == "uncovered").count();
    assert!(uncovered > 0 && lines.iter().all(|line| line["why_then"].as_str().is_none_or(|why| !why.is_empty())), "{lines:?}");
    // A plan of a tariff that nobody has yet.
    let other = TARIFF.replace("\"shop\"", "\"other\"").replace("\"basic\"", "\"new-basic\"").replace("\"pro\"", "\"new-pro\"");
    fs::write(&file, &other).expect("written");
    let lines = desk.json(&words(&file, &["--plan", "new-basic", "--contract", "K-3", "--contract", "K-1"]));
    assert_eq!(of_kind(&lines, "contract").iter().map(|line| text(line, "contract")).collect::<Vec<_>>(), ["K-1", "K-3"]);
    assert_eq!(cents(&lines[0], "difference"), 0);
    assert_ne!(cents(&lines[1], "difference"), 0);
    // In another currency there is no difference to tell.
    fs::write(&file, format!("currency = \"CHF\"\n{other}")).expect("written");
    let answer = desk.taktd(&words(&file, &["--plan", "new-basic", "--json"]));
    assert_eq!(answer.err.matches("left out, for it would be a difference of CHF and EUR").count(), 3, "{}", answer.err);
    let total: Value = serde_json::from_str(answer.fine().trim()).expect("the total alone");
    assert_eq!((text(&total, "currency"), &total["contracts_left_out"]), ("CHF", &Value::from(3)));
}

#[test]
fn what_cannot_be_simulated_says_what_to_do() {
    let (desk, file) = desk(&TARIFF.replace("\"1m\"", "\"0m\"").replace("steps", "stepps"));
    let complaint = desk.taktd(&words(&file, &[])).failed(2);
    assert!(complaint.contains("mistakes: ") && complaint.matches("\nerror: ").count() > 2, "{complaint}");
    assert!(complaint.contains("new.toml:24:13: ") && complaint.contains("^^^^"), "{complaint}");
    let other = TARIFF.replace("\"shop\"", "\"other\"").replace("\"basic\"", "\"new-basic\"").replace("\"pro\"", "\"new-pro\"");
    for (would_be, more, status, says) in [
        (other.as_str(), &[][..], 2, "no contract holds a plan of "),
        (&other, &["--contract", "K-1"], 2, "none of these contracts holds a plan of "),
        (&other, &["--plan", "new-bsic"], 2, "has no plan \"new-bsic\"; did you mean \"new-basic\"?"),
        (&other, &["--plan", "new-basic", "--contract", "K-9"], 2, "no contract is named \"K-9\""),
        (&TARIFF.replace("\"shop\"", "\"other\""), &[], 2, "the plan \"basic\" stands in tariff.toml already"),
        (TARIFF, &["--to", "2026-01-01"], 2, "cannot be used multiple times"),
    ] {
        fs::write(&file, would_be).expect("written");
        let complaint = desk.taktd(&words(&file, more)).failed(status);
        assert!(complaint.contains(says), "{more:?}: {complaint}");
    }
    let complaint = desk.taktd(&words("missing.toml", &[])).failed(2);
    assert!(complaint.contains("missing.toml:1:1: cannot read"), "{complaint}");
    // A plan that would be gone is said, and its calls would be nobody's to pay.
    fs::write(&file, TARIFF.replace("\"pro\"", "\"premium\"")).expect("written");
    let answer = desk.taktd(&words(&file, &["--json"]));
    assert!(answer.err.contains("taktd: K-3: no plan is named \"pro\"; "), "{}", answer.err);
    let gone = answer
        .fine()
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
        .find(|line| line["contract"] == "K-3")
        .expect("it is there");
    assert_eq!((text(&gone, "calls_net_then"), text(&gone, "fees_net_then")), ("0.00", "0.00"), "{gone}");
}

#[test]
fn nothing_is_written() {
    let (desk, file) = desk(&TARIFF.replace("0.50", "0.80"));
    let ledger = desk.path("ledger.db");
    let bytes = fs::read(&ledger).expect("the ledger");
    let calls = desk.calls();
    for more in [&[][..], &["--calls"], &["--plan", "pro"], &["--json"]] {
        desk.taktd(&words(&file, more)).fine();
        assert!(fs::read(&ledger).expect("the ledger") == bytes, "{more:?}");
    }
    assert_eq!(desk.calls(), calls);
    desk.verified();
}
