//! `taktd check`: what it tells beside mistakes, as an operator and as a program meet it.

use super::{Desk, recording};
use std::fs;

/// A version of a plan that begins before today is worth a word as long as the ledger was settled without it.
#[test]
fn a_version_that_changes_bills_is_named_until_the_ledger_has_it() {
    let desk = Desk::by_the_minute();
    let check = || desk.taktd(&["check"]).fine();
    desk.replay(recording("asterisk-16/sip.pcap")).fine();
    assert!(!check().contains("in the past"), "nothing begins: {}", check());
    let tariff = fs::read_to_string(desk.path("tariff.toml")).expect("there");
    let (_, plan) = tariff.split_once("[[plan]]").expect("a plan");
    let dearer = plan.replace("2019-01-01", "2026-11-01").replace("0.50", "0.80");
    fs::write(desk.path("tariff.toml"), format!("{tariff}[[plan]]{dearer}")).expect("written");
    let said = check();
    assert!(said.contains("tariff.toml:34:1: plan: this version of \"minutes\" begins on 2026-11-01, in the past"), "{said}");
    assert!(said.contains("the ledger was settled without it"), "{said}");
    desk.replay(recording("asterisk-16/sip.pcap")).fine();
    assert!(!check().contains("in the past"), "the ledger has it: {}", check());
}

#[test]
fn a_program_reads_what_a_person_does() {
    let desk = Desk::new();
    let said = desk.json(&["check"]);
    let of = |kind: &str| said.iter().filter(|value| value["kind"] == kind).count();
    assert_eq!((of("plan"), of("week"), of("contracts"), of("problem"), said.len()), (19, 10, 1, 0, 30), "{said:#?}");
    let week = said.iter().find(|value| value["service"] == "callback" && value["file"] == "tariffs/support-hours.toml").expect("sold");
    assert_eq!(week["plans"].as_array().map(Vec::len), Some(3));
    assert_eq!(week["prices"][1]["plans"][0]["plan"], "model-m");
    assert_eq!(week["prices"][1]["lines"][0], "hours: 1h for 99.00, used in increments of 15m until the contract year ends");
}

#[test]
fn a_mistake_has_its_place_in_json_too() {
    let desk = Desk::changed(&[("timezone = \"Europe/Berlin\"", "timezone = \"Europe/Berln\"")]);
    let answer = desk.taktd(&["check", "--json"]);
    assert_eq!(answer.status, 2, "{}", answer.out);
    let problem = answer.out.lines().find(|line| line.contains("\"level\":\"error\"")).expect("a mistake");
    let problem: serde_json::Value = serde_json::from_str(problem).expect("JSON");
    assert!(problem["file"].as_str().is_some_and(|file| file.ends_with("taktd.toml")), "{problem}");
    assert!(problem["line"].as_u64() > Some(1) && problem["column"].as_u64() > Some(1), "{problem}");
    assert_eq!(problem["what"], "there is no time zone \"Europe/Berln\"; did you mean \"Europe/Berlin\"?");
}
