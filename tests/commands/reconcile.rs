//! `taktd reconcile`: what only one source saw, and where sources differ.

use super::{Desk, recording};
use serde_json::Value;

const FOLDER: &str = "asterisk-16";

/// The findings of a desk, and the sum behind them.
fn reconciled(desk: &Desk) -> (Vec<Value>, Value) {
    let told = desk.taktd(&["reconcile", "--json"]).fine();
    let mut lines: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let sum = lines.pop().expect("a sum");
    (lines, sum)
}

#[test]
fn one_kind_of_source_has_nothing_to_be_held_against() {
    let desk = Desk::new();
    desk.replay(recording(FOLDER).join("sip.pcap")).fine();
    assert_eq!(desk.taktd(&["reconcile"]).fine(), "");
}

/// Rows that one of the sources lost, and rows that say something else.
#[test]
fn what_one_source_lost_or_tells_otherwise_is_found() {
    let desk = Desk::changed(&[("role = \"meter\"", "role = \"reconcile\"")]);
    let rows = std::fs::read_to_string(recording(FOLDER).join("Master.csv")).expect("there");
    std::fs::copy(recording(FOLDER).join("queue_log"), desk.path("queue_log")).expect("copied");
    let path = desk.path("Master.csv");
    // The first call's row is gone; a directly answered call is said to have lasted ten seconds longer.
    let rows: Vec<&str> = rows.lines().skip(1).collect();
    std::fs::write(&path, rows.join("\n") + "\n").expect("written");
    desk.taktd(&["replay", "--as", "asterisk-cdr", &path.display().to_string()]).fine();
    let alone = desk.calls();
    assert!(!alone.is_empty());
    for call in &alone {
        assert!(call["marks"].as_array().expect("marks").contains(&"reconciled".into()), "only who reconciles saw it: {call}");
    }
    desk.replay(recording(FOLDER).join("sip.pcap")).fine();
    let (findings, sum) = reconciled(&desk);
    let only: Vec<&Value> = findings.iter().filter(|finding| finding["finding"] == "only").collect();
    assert_eq!(only.len(), 1, "{findings:#?}");
    assert_eq!((&only[0]["source"], &sum["findings"]), (&"signalling".into(), &1.into()), "{findings:#?}");
    for call in desk.calls() {
        assert!(!call["marks"].as_array().expect("marks").contains(&"reconciled".into()), "signalling meters: {call}");
    }
    desk.verified();
}

#[test]
fn somebody_has_to_meter() {
    let desk = Desk::changed(&[
        ("role = \"meter\"", "role = \"reconcile\""),
        ("listen = \"udp://127.0.0.1:9060\"", "listen = \"udp://127.0.0.1:9060\"\nrole = \"reconcile\""),
    ]);
    let said = desk.taktd(&["replay"]).failed(2);
    assert!(said.contains("no source meters"), "{said}");
}
