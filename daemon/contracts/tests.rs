//! Whose call it is, by tables: contracts and a call as text in, the match as text out.

use super::*;
use crate::calls::{BilledFrom, Call, Correlation, End, MissedReason, Talk, Withheld, WithheldNumbers};
use crate::units::{CallId, DialPlan, Direction, RawNumber, Timestamp};
use chrono::TimeZone;
use chrono_tz::Tz;

fn plan() -> DialPlan {
    DialPlan::new("DE", "89").expect("known")
}

fn at(text: &str) -> Timestamp {
    let time = chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S").expect("a time");
    Timestamp::from_micros(Tz::Europe__Berlin.from_local_datetime(&time).earliest().expect("it exists").timestamp_micros())
}

/// `ID FROM[..END] NUMBERS [AUTHORISED]`, several numbers with `|`.
fn row(text: &str) -> Contract {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (starts_on, ends_on) = words[1].split_once("..").map_or((words[1], None), |(from, to)| (from, Some(to)));
    let patterns = |place: usize| -> Vec<NumberPattern> {
        let list = words.get(place).copied().unwrap_or_default();
        list.split('|').filter(|text| !text.is_empty() && *text != "-").map(|text| plan().pattern(text).expect("a number")).collect()
    };
    Contract {
        id: words[0].into(),
        customer: "".into(),
        plans: Vec::new(),
        starts_on: starts_on.parse().expect("a date"),
        cancelled_on: None,
        ends_on: ends_on.map(|end| end.parse().expect("a date")),
        activated_on: None,
        stations: 1,
        numbers: patterns(2),
        authorised: patterns(3),
        partner: None,
        place: ("contracts.csv".into(), 2),
    }
}

/// `CALLER TIME [key=value…]`, the number dialed is `to`; `withheld`, `unknown`, `out` and `missed` as they say.
fn call(text: &str) -> Call {
    let words: Vec<&str> = text.split_whitespace().collect();
    let value = |key: &str| words.iter().find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
    let has = |word: &str| words.contains(&word);
    let begin = at(words[1]);
    let called = value("to").unwrap_or("555010");
    let talk = Talk { agent: "201".into(), level: None, from: begin, to: Some(begin) };
    Call {
        id: CallId::new("a").expect("not empty"),
        direction: if has("out") { Direction::Out } else { Direction::In },
        hotline: None,
        service: "support".into(),
        caller_raw: RawNumber::from_bytes(words[0].as_bytes()),
        caller: plan().normalize(words[0].as_bytes()).filter(|_| !has("out")),
        withheld: match (has("withheld"), has("unknown")) {
            (true, _) => Withheld::Yes,
            (false, true) => Withheld::Unknown,
            (false, false) => Withheld::No,
        },
        called_raw: RawNumber::from_bytes(called.as_bytes()),
        called: plan().normalize(called.as_bytes()),
        contract: value("contract").map(Into::into),
        started_at: value("setup").map_or(begin, at),
        answered_at: None,
        talks: if has("missed") { Vec::new() } else { vec![talk] },
        ended_at: Some(begin),
        end: End::Observed,
        billed_from: BilledFrom::Agent,
        missed: has("missed").then_some(MissedReason::NoAnswer),
        severity: None,
        ticket: None,
        correlation: Correlation::Explicit,
        marks: Vec::new(),
    }
}

fn check_with(rows: &[&str], withheld: WithheldNumbers, calls: &[(&str, &str)]) {
    for reversed in [false, true] {
        let mut contracts: Vec<Contract> = rows.iter().map(|text| row(text)).collect();
        if reversed {
            contracts.reverse();
        }
        let contracts = Contracts::new(contracts, |_| Tz::Europe__Berlin);
        for (text, expected) in calls {
            let told = match contracts.find(&call(text), withheld) {
                Match::Contract { id, authorised, reason } => {
                    let may = if authorised { " may" } else { "" };
                    format!("{id}{may}{}", reason.map(|reason| format!(" ({reason})")).unwrap_or_default())
                }
                Match::Ambiguous { candidates } => candidates.join(" or "),
                Match::Unmatched { reason } => format!("- {reason}"),
            };
            assert_eq!(told, *expected, "{text} among {rows:?}");
        }
    }
}

fn check(rows: &[&str], calls: &[(&str, &str)]) {
    check_with(rows, WithheldNumbers::Ignore, calls);
}

const NONE: &str = "- no contract has this number";

#[test]
fn exact_beats_prefix_and_a_longer_prefix_beats_a_shorter() {
    let rows = ["A 2026-01-01 +4930*", "B 2026-01-01 +493012*", "C 2026-01-01 030121"];
    check(
        &rows,
        &[
            ("0301999 2026-03-10T10:00:00", "A"),
            ("0049301299 2026-03-10T10:00:00", "B"),
            ("+4930121 2026-03-10T10:00:00", "C"),
            ("+49301210 2026-03-10T10:00:00", "B"),
            ("+4930 2026-03-10T10:00:00", "A"),
            ("+493 2026-03-10T10:00:00", NONE),
            ("0311 2026-03-10T10:00:00", NONE),
            ("anonymous 2026-03-10T10:00:00", "- no number"),
        ],
    );
}

#[test]
fn every_spelling_is_the_same_number() {
    let rows = ["A 2026-01-01 123"];
    for number in ["123", "089123", "08989123", "0049-89-123", "+4989123", "+49(0)89123", "tel:+49-89-123"] {
        let expected = if number == "08989123" { NONE } else { "A" };
        check(&rows, &[(&format!("{number} 2026-03-10T10:00:00"), expected)]);
    }
}

#[test]
fn authorised_numbers_belong_to_the_contract() {
    check(
        &["A 2026-01-01 +4930* +493011", "B 2026-01-01 +493111 +4931*", "C 2026-01-01 - +4932*"],
        &[
            ("+493012 2026-03-10T10:00:00", "A"),
            ("+493011 2026-03-10T10:00:00", "A may"),
            ("+493112 2026-03-10T10:00:00", "B may"),
            // Found by the exact number; the block that is authorised covers it all the same.
            ("+493111 2026-03-10T10:00:00", "B may"),
            ("+493299 2026-03-10T10:00:00", "C may"),
        ],
    );
}

#[test]
fn two_that_match_equally_well_are_both_named() {
    check(
        &["B 2026-01-01 +49301|+49302*", "A 2026-01-01 - +49301|+49302*", "C 2026-01-01 +493023"],
        &[("+49301 2026-03-10T10:00:00", "A or B"), ("+493022 2026-03-10T10:00:00", "A or B"), ("+493023 2026-03-10T10:00:00", "C")],
    );
}

#[test]
fn a_contract_counts_from_its_start_until_its_end_in_local_time() {
    let rows = ["A 2026-03-10..2026-03-20 +49301", "A 2026-03-20..2026-04-01 +49302", "B 2026-03-20 +49301"];
    check(
        &rows,
        &[
            ("+49301 2026-03-09T23:59:59", NONE),
            ("+49301 2026-03-10T00:00:00", "A"),
            ("+49301 2026-03-19T23:59:59", "A"),
            // The row that follows has another number: its history is one contract, each row with its own.
            ("+49301 2026-03-20T00:00:00", "B"),
            ("+49302 2026-03-19T23:59:59", NONE),
            ("+49302 2026-03-20T00:00:00", "A"),
            ("+49302 2026-03-31T23:59:59", "A"),
            ("+49302 2026-04-01T00:00:00", NONE),
            // The day on which talk began counts; of a missed call, the one on which it was set up.
            ("+49301 2026-03-10T00:00:01 setup=2026-03-09T23:59:00", "A"),
            ("+49301 2026-03-10T00:00:01 setup=2026-03-09T23:59:00 missed", NONE),
        ],
    );
    // An exact number that is over does not hide the block it lies in.
    check(&["A 2026-01-01..2026-02-01 +49301", "B 2026-01-01 +4930*"], &[("+49301 2026-03-10T10:00:00", "B")]);
}

#[test]
fn a_withheld_number_finds_nothing_unless_it_may() {
    let rows = ["A 2026-01-01 +49301"];
    let hidden = "+49301 2026-03-10T10:00:00 withheld";
    check(&rows, &[(hidden, "- number withheld"), ("+49301 2026-03-10T10:00:00 unknown", "A")]);
    check(&rows, &[("anonymous 2026-03-10T10:00:00 withheld", "- number withheld")]);
    check_with(&rows, WithheldNumbers::Use, &[(hidden, "A"), ("anonymous 2026-03-10T10:00:00 withheld", "- no number")]);
}

#[test]
fn a_reference_in_force_wins_and_another_is_named() {
    let rows = ["A 2026-01-01 +49301", "B 2026-01-01..2026-03-01 +49302"];
    check(
        &rows,
        &[
            ("+49999 2026-03-10T10:00:00 contract=A", "A may"),
            ("+49302 2026-02-28T23:59:59 contract=A", "A may"),
            ("+49301 2026-02-28T23:59:59 contract=B withheld", "B may"),
            ("+49301 2026-03-01T00:00:00 contract=B", "A (the contract \"B\" that the PBX named is not in force)"),
            ("+49301 2026-03-10T10:00:00 contract=Z", "A (the contract \"Z\" that the PBX named is not in force)"),
            (
                "+49999 2026-03-10T10:00:00 contract=Z",
                "- the contract \"Z\" that the PBX named is not in force; no contract has this number",
            ),
            ("+49301 2026-03-10T10:00:00 contract=Z withheld", "- the contract \"Z\" that the PBX named is not in force; number withheld"),
        ],
    );
}

#[test]
fn a_callback_is_the_customers_who_was_called() {
    check(
        &["A 2026-01-01 +49301 +49302"],
        &[
            ("201 2026-03-10T10:00:00 out to=0301", "A"),
            ("201 2026-03-10T10:00:00 out to=0302", "A may"),
            ("0301 2026-03-10T10:00:00 out to=0303", NONE),
            // An agent who hides the company's number hides nothing from us.
            ("201 2026-03-10T10:00:00 out to=0301 withheld", "A"),
        ],
    );
}

#[test]
fn histories_are_found_by_name() {
    let rows = ["B 2026-01-01 -", "A 2026-03-01 -", "A 2026-01-01..2026-03-01 -", "AA 2026-01-01 -"];
    let contracts = Contracts::new(rows.iter().map(|text| row(text)).collect(), |_| Tz::Europe__Berlin);
    let starts = |id: &str| contracts.history(id).iter().map(|row| row.starts_on.to_string()).collect::<Vec<_>>();
    assert_eq!(starts("A"), ["2026-01-01", "2026-03-01"]);
    assert_eq!(starts("AB"), Vec::<String>::new());
    assert_eq!(contracts.ids().collect::<Vec<_>>(), ["A", "AA", "B"]);
    assert_eq!(contracts.zone("AA"), Some(Tz::Europe__Berlin));
    assert_eq!(contracts.zone("Z"), None);
    let in_force = |time: &str| contracts.row_of("A", at(time)).map(|row| row.starts_on.to_string());
    assert_eq!(in_force("2026-02-28T23:59:59"), Some("2026-01-01".into()));
    assert_eq!(in_force("2026-03-01T00:00:00"), Some("2026-03-01".into()));
    assert_eq!(in_force("2025-12-31T23:59:59"), None);
}
