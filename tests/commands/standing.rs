//! What an accountant asks of the books: whose, how much is left, why, and the same export every time.

use super::{Answer, Desk, YEAR, cents, recording, text};
use serde_json::Value;
use sha2::{Digest, Sha256};

fn replayed() -> Desk {
    let desk = Desk::new();
    desk.replay(recording("asterisk-16/sip.pcap")).fine();
    desk
}

fn of<'a>(calls: &'a [Value], outcome: &str) -> Vec<&'a Value> {
    calls.iter().filter(|call| text(call, "outcome") == outcome).collect()
}

#[test]
fn an_unmatched_call_is_assigned() {
    let desk = replayed();
    let before = desk.calls();
    let withheld = *of(&before, "unmatched").iter().find(|call| text(call, "service") == "emergency").expect("one is there");
    let id = text(withheld, "call_id");
    let last = desk.json(&["verify"])[0]["entries"].as_i64().expect("entries");
    desk.taktd(&["assign", &id[..8], "K-1007", "--reason", "named in ticket 4711"]).fine();

    let after = desk.calls();
    let moved = after.iter().find(|call| text(call, "call_id") == id).expect("still there");
    assert_eq!((text(moved, "contract"), text(moved, "outcome"), cents(moved, "net")), ("K-1007", "charged", 3_600), "{moved}");
    assert_eq!(text(moved, "reason"), "assigned by kasse: named in ticket 4711");
    assert_eq!(after.iter().filter(|call| !before.contains(call)).count(), 1, "no other call changed");

    // Of the new entries alone, what is exported is a reversal of the old line and the new line.
    let range = format!("{}-{}", last + 1, last + 2);
    let files = desk.export(&["--range", &range]);
    let (_, lines) = files.iter().find(|(name, _)| name.ends_with(".jsonl")).expect("lines");
    let lines: Vec<Value> = String::from_utf8_lossy(lines).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines.iter().all(|line| text(line, "call_id") == id), "{lines:?}");
    let mut contracts: Vec<&str> = lines.iter().map(|line| text(line, "contract")).collect();
    contracts.sort_unstable();
    assert_eq!(contracts, ["", "K-1007"]);
    let manifest = manifest(&files);
    assert_eq!((manifest["lines"].as_u64(), manifest["reversals"].as_u64()), (Some(2), Some(1)), "{manifest}");
    desk.verified();

    // The same again says nothing new; read again, the recording does not take it back.
    let entries = desk.json(&["verify"])[0]["entries"].clone();
    desk.replay(recording("asterisk-16/sip.pcap")).fine();
    assert_eq!(desk.calls(), after);
    assert_eq!(desk.json(&["verify"])[0]["entries"], entries);
}

fn manifest(files: &std::collections::BTreeMap<String, Vec<u8>>) -> Value {
    let (_, manifest) = files.iter().find(|(name, _)| name.ends_with(".manifest.json")).expect("a manifest");
    serde_json::from_slice(manifest).expect("JSON")
}

#[test]
fn the_manifest_tells_of_its_files() {
    let desk = replayed();
    for words in [YEAR, &[]] {
        let files = desk.export(words);
        assert_eq!(files.len(), 3, "{:?}", files.keys());
        assert!(desk.export(words) == files, "the same bytes twice");
        let manifest = manifest(&files);
        let named = manifest["files"].as_array().expect("files");
        assert_eq!(named.len(), 2);
        for file in named {
            let bytes = files.get(text(file, "name")).expect("the file that the manifest names");
            let digest: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(text(file, "sha256"), digest, "{file}");
        }
        let (_, lines) = files.iter().find(|(name, _)| name.ends_with(".jsonl")).expect("lines");
        let lines: Vec<Value> = String::from_utf8_lossy(lines).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let total = |key: &str| manifest["totals"].as_array().expect("totals").iter().map(|total| cents(total, key)).sum::<i64>();
        for key in ["net", "vat", "gross"] {
            assert_eq!(total(key), lines.iter().map(|line| cents(line, key)).sum::<i64>(), "{key}");
        }
        assert_eq!(total("net") + total("vat"), total("gross"));
        assert!(lines.iter().all(|line| !text(line, "caller").contains("3920021")), "numbers are masked");
    }
}

#[test]
fn the_german_dialect() {
    let desk = Desk::changed(&[("\"rfc4180\"", "\"german\"")]);
    desk.replay(recording("asterisk-16/sip.pcap")).fine();
    let files = desk.export(YEAR);
    let (_, csv) = files.iter().find(|(name, _)| name.ends_with(".csv")).expect("a table");
    let csv = String::from_utf8_lossy(csv);
    let mut lines = csv.trim_start_matches('\u{feff}').split("\r\n");
    assert!(lines.next().expect("a head").starts_with("kind;call_id;"), "{csv}");
    assert!(csv.contains(";36,00;") && !csv.contains(";36.00;"), "{csv}");
}

/// What is left is what was granted without what the calls of the period used.
#[test]
fn balances_are_what_was_granted_without_what_was_used() {
    let desk = Desk::by_the_minute();
    let month = |desk: &Desk| {
        let lines = desk.json(&["balance", "K-1009"]);
        assert_eq!(lines.len(), 1, "{lines:?}");
        let number = |key: &str| lines[0][key].as_u64().expect("a count");
        assert_eq!((text(&lines[0], "allowance"), text(&lines[0], "from")), ("monthly-15", "2026-11-01"));
        assert_eq!(number("left"), number("granted") - number("used"));
        (number("granted"), number("used"))
    };
    let in_calls = |desk: &Desk| desk.calls().iter().map(|call| used(call, "monthly-15")).sum::<u64>();
    desk.replay(recording("kamailio/sip.pcap")).fine();
    let first = month(&desk);
    assert_eq!(first, (900, in_calls(&desk)));
    desk.replay(recording("asterisk-16/sip.pcap")).fine();
    let second = month(&desk);
    assert_eq!(second, (900, in_calls(&desk)));
    assert!(0 < first.1 && first.1 < second.1, "{first:?} {second:?}");
    let earlier = desk.json(&["balance", "K-1009", "--at", "2026-10-15"]);
    assert!(earlier.iter().all(|line| line["used"] == 0), "{earlier:?}");
    desk.verified();
}

fn used(call: &Value, allowance: &str) -> u64 {
    let used = call["allowances"].as_array().expect("a list").iter().filter(|used| text(used, "id") == allowance);
    used.map(|used| used["used"].as_u64().expect("a count")).sum()
}

/// The lines that are explained add up to the net that is charged.
#[test]
fn what_is_explained_adds_up() {
    let desk = replayed();
    let calls = desk.calls();
    for call in &calls {
        let lines = call["lines"].as_array().expect("lines").iter();
        let sum: rust_decimal::Decimal = lines.map(|line| text(line, "amount").parse::<rust_decimal::Decimal>().expect("a decimal")).sum();
        assert_eq!(sum, text(call, "net").parse().expect("a decimal"), "{call}");
        let said = desk.taktd(&["explain", &text(call, "call_id")[..10]]).fine();
        let evidence = ["evidence ", "who pays: ", "net "];
        assert!(evidence.iter().all(|word| said.contains(word)) && said.contains(text(call, "net")), "{said}");
        let mut told = desk.json(&["explain", text(call, "call_id")]);
        assert!(told[0].as_object_mut().expect("an object").remove("explained").is_some());
        assert_eq!(told, std::slice::from_ref(call));
    }
    let charged = of(&calls, "charged");
    assert!(!charged.is_empty());
    let said = desk.taktd(&["explain", text(charged[0], "call_id")]).fine();
    assert!(said.contains("support-level.toml:") && said.contains("1 × 5m at 36.00 (weekend)") && said.contains("42.84 EUR"), "{said}");
}

/// Whoever changes a row behind our back is found.
#[test]
fn tampering_is_found() {
    let desk = replayed();
    desk.verified();
    let ledger = rusqlite::Connection::open(desk.path("ledger.db")).expect("it opens");
    let triggers: Vec<String> = {
        let mut found = ledger.prepare("SELECT name FROM sqlite_master WHERE type = 'trigger'").expect("SQL");
        found.query_map([], |row| row.get(0)).expect("SQL").map(|name| name.expect("a name")).collect()
    };
    for name in &triggers {
        ledger.execute(&format!("DROP TRIGGER {name}"), []).expect("SQL");
    }
    let last: i64 = ledger.query_row("SELECT max(seq) FROM entry", [], |row| row.get(0)).expect("SQL");
    ledger.execute("UPDATE entry SET body = zeroblob(length(body)) WHERE seq = ?1", [last]).expect("SQL");
    drop(ledger);
    let Answer { status, out, err } = desk.taktd(&["verify"]);
    assert_eq!(status, 1, "{out}{err}");
    assert!(out.contains(&format!("entry {last}")), "{out}{err}");
}
