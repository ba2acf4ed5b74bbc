//! `taktd decide` and the list of what waits: held calls, goodwill, files of decisions, and what they refuse.

use super::{Answer, Desk, cents, recording, text};
use serde_json::Value;
use std::fs;

/// A desk whose contract pays 0.50 a minute after 15 free ones, and whose calls wait two weeks for a decision.
fn desk(decision: &str) -> Desk {
    let desk = Desk::by_the_minute();
    let tariff = fs::read_to_string(desk.path("tariff.toml")).expect("there");
    fs::write(desk.path("tariff.toml"), format!("{tariff}{decision}")).expect("written");
    desk.replay(recording("asterisk-16/sip.pcap")).fine();
    desk
}

const WAITS: &str = "[plan.decision]\ndefault = \"customer\"\nafter = \"14 days\"\n";

fn held(desk: &Desk) -> Vec<Value> {
    desk.json(&["calls", "--outcome", "held"])
}

fn entries(desk: &Desk) -> i64 {
    desk.json(&["verify"])[0]["entries"].as_i64().expect("a count")
}

fn evidence(desk: &Desk) -> i64 {
    desk.json(&["verify"])[0]["evidence"].as_i64().expect("a count")
}

fn decide(desk: &Desk, call: &Value, decision: &str) -> Answer {
    desk.taktd(&["decide", text(call, "call_id"), decision, "--reason", "as the customer says"])
}

/// Records that are not what they were.
fn changed<'a>(before: &[Value], after: &'a [Value]) -> Vec<&'a Value> {
    after.iter().filter(|call| !before.contains(call)).collect()
}

#[test]
fn what_waits_is_listed_with_its_deadline() {
    let desk = desk(WAITS);
    let waiting = held(&desk);
    assert!(waiting.len() > 5, "{waiting:?}");
    for call in &waiting {
        assert_eq!((text(call, "decided_on"), text(call, "decided_as"), cents(call, "net")), ("2026-12-05", "customer", 0), "{call}");
        assert!(call["allowances"].as_array().expect("a list").is_empty(), "a held call uses nothing: {call}");
    }
    let all = desk.calls();
    assert_eq!(all.iter().filter(|call| text(call, "outcome") == "held").count(), waiting.len());
    let said = desk.taktd(&["calls", "--outcome", "held", "--contract", "K-1009"]).fine();
    assert_eq!(said.lines().count(), waiting.len() + 1);
    assert!(
        said.lines()
            .skip(1)
            .all(|line| line.ends_with("waits for a decision; customer from 2026-12-05 on")
                || line.contains("; customer from 2026-12-05 on")),
        "{said}"
    );
    let said = desk.taktd(&["explain", text(&waiting[0], "call_id")]).fine();
    assert!(said.contains("  without a decision: customer from 2026-12-05 on\n"), "{said}");
    let of_nobody = desk.taktd(&["calls", "--contract", "K-1008"]).failed(2);
    assert!(of_nobody.contains("did you mean \"K-1009\"?"), "{of_nobody}");
    let unknown = desk.taktd(&["calls", "--outcome", "hold"]).failed(2);
    assert!(unknown.contains("held") && unknown.contains("unauthorised"), "{unknown}");
    // Without an end there is none to show.
    let endless = self::desk("[plan.decision]\n");
    assert!(held(&endless).iter().all(|call| call.get("decided_on").is_none()));
    assert!(!held(&endless).is_empty());
}

#[test]
fn a_decision_changes_its_call_and_no_other_record_than_it_must() {
    let desk = desk(WAITS);
    let before = desk.calls();
    let call = held(&desk)[0].clone();
    let was = entries(&desk);
    let said = decide(&desk, &call, "customer").fine();
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines.len() == 3 && lines[1].starts_with("before  ") && lines[1].contains(" held "), "{said}");
    assert!(lines[2].starts_with("after   ") && lines[2].contains(" included ") && lines[2].contains("from monthly-15"), "{said}");
    let after = desk.calls();
    assert_eq!(changed(&before, &after).len(), 1, "no other call uses the allowance yet");
    assert_eq!(entries(&desk) - was, 2, "a reversal and a new entry");
    desk.verified();

    // Nobody pays for what was the provider's fault.
    let waiting = held(&desk);
    let decided = decide(&desk, &waiting[0], "provider").fine();
    assert!(decided.contains("decided: the provider's fault"), "{decided}");
    // A second decision replaces the first; both stay as evidence.
    let facts = evidence(&desk);
    let replaced = desk.json(&["decide", text(&waiting[0], "call_id"), "goodwill:1h", "--reason", "half of it was ours"]);
    assert_eq!(
        (replaced.len(), text(&replaced[0], "outcome"), text(&replaced[0], "call_id")),
        (1, "included", text(&waiting[0], "call_id"))
    );
    assert_eq!(text(&replaced[0], "reason"), "decided: goodwill, the last 1h begin no increment");
    assert_eq!(evidence(&desk) - facts, 1);
    let ledger = rusqlite::Connection::open(desk.path("ledger.db")).expect("it opens");
    let decisions: i64 = ledger.query_row("SELECT count(*) FROM evidence WHERE kind = 2", [], |row| row.get(0)).expect("SQL");
    assert_eq!(decisions, 3);
    drop(ledger);
    desk.verified();
    // A replay of the same recording takes nothing back.
    let stands = desk.calls();
    desk.replay(recording("asterisk-16/sip.pcap")).fine();
    assert_eq!(desk.calls(), stands);
}

#[test]
fn goodwill_on_a_charged_call_and_decisions_that_change_nothing() {
    let desk = Desk::new();
    desk.replay(recording("asterisk-16/sip.pcap")).fine();
    let calls = desk.calls();
    let of = |outcome: &str| calls.iter().find(|call| text(call, "outcome") == outcome).unwrap_or_else(|| panic!("no call is {outcome}"));
    let charged = of("charged");
    let was = entries(&desk);
    let said = decide(&desk, charged, "customer").fine();
    assert!(said.contains("changes nothing: it counted already"), "{said}");
    assert_eq!(entries(&desk), was);
    let said = decide(&desk, of("uncovered"), "customer").fine();
    assert!(said.contains("changes nothing: a call that is uncovered is billed to nobody"), "{said}");
    let said = decide(&desk, of("included"), "goodwill:40%").fine();
    assert!(said.contains("decided: goodwill, 40 % waived"), "{said}");
    let said = decide(&desk, charged, "goodwill:40%").fine();
    assert!(said.contains(" 36.00 ") && said.contains(" 21.60 ") && said.contains("goodwill -14.40"), "{said}");
    let again = decide(&desk, charged, "goodwill:40%").fine();
    assert!(again.contains("goodwill:40% was decided before"), "{again}");
    let explained = desk.taktd(&["explain", text(charged, "call_id")]).fine();
    assert!(explained.contains("goodwill:40%, decided by kasse: as the customer says"), "{explained}");
    desk.verified();
    // In an export of what is new, the old line is taken back.
    let files = desk.export(&["--range", &format!("{}-{}", was + 1, entries(&desk))]);
    let (_, lines) = files.iter().find(|(name, _)| name.ends_with(".jsonl")).expect("lines");
    let lines = String::from_utf8_lossy(lines);
    assert!(lines.contains("\"net\":\"-36.00\"") && lines.contains("\"net\":\"21.60\""), "{lines}");
}

#[test]
fn what_cannot_be_decided_is_refused_with_what_to_do() {
    let desk = Desk::new();
    desk.replay(recording("asterisk-16/sip.pcap")).fine();
    let calls = desk.calls();
    let of = |outcome: &str| calls.iter().find(|call| text(call, "outcome") == outcome).unwrap_or_else(|| panic!("no call is {outcome}"));
    let facts = evidence(&desk);
    for (call, says) in
        [(of("missed"), "nobody talked, so there is nothing to decide"), (of("unmatched"), "give it to one first: `taktd assign`")]
    {
        let complaint = decide(&desk, call, "customer").failed(1);
        assert!(complaint.contains(says) && complaint.contains(text(call, "call_id")), "{complaint}");
    }
    let id = text(of("charged"), "call_id");
    for (words, status, says) in [
        (
            &["decide", id, "customr", "--reason", "x"][..],
            2,
            "\"customr\" is no decision; customer, provider, goodwill:40% or goodwill:10m would be right",
        ),
        (&["decide", id, "goodwill:140%", "--reason", "x"], 2, "is no decision"),
        (&["decide", id, "customer"], 2, "--reason"),
        (&["decide", id, "customer", "--reason", "  "], 2, "--reason: is empty; say why"),
        (&["decide", id, "customer", "--reason", "a\nb"], 2, "write one line"),
        (&["decide"], 2, "<CALL>"),
        (&["decide", id, "customer", "--reason", "x", "--file", "y"], 2, "cannot be used with"),
        (&["decide", "zzz", "customer", "--reason", "x"], 1, "no call is named \"zzz\""),
        (&["decide", "--file", "missing.csv"], 1, "missing.csv: cannot be opened"),
    ] {
        let complaint = desk.taktd(words).failed(status);
        assert!(complaint.contains(says), "{words:?}: {complaint}");
    }
    assert_eq!(evidence(&desk), facts, "nothing was journaled");
}

#[test]
fn a_file_of_decisions_is_taken_whole_or_not_at_all() {
    let desk = desk(WAITS);
    let waiting = held(&desk);
    let missed = desk.json(&["calls", "--outcome", "missed"]);
    let (facts, was) = (evidence(&desk), entries(&desk));
    let write = |text: String| {
        let path = desk.path("decisions.csv");
        fs::write(&path, text).expect("written");
        path.display().to_string()
    };
    let [one, two, three] = [0, 1, 2].map(|place| text(&waiting[place], "call_id"));
    let wrong = write(format!(
        "call_id,decision,reason\n{one},customer,fine\n{two},perhaps,fine\nnobody,provider,fine\n{one},provider,again\n{three},provider,\n\"{}\",customer,fine\n,x,\n{three},customer,a,b\n",
        text(&missed[0], "call_id")
    ));
    let complaint = desk.taktd(&["decide", "--file", &wrong]).failed(2);
    let places: Vec<&str> = complaint.lines().filter_map(|line| line.strip_prefix(&format!("{wrong}:"))).collect();
    let expected = [
        "3: decision: \"perhaps\" is no decision",
        "4: call_id: nobody: no call has this name",
        "5: call_id: ",
        "6: reason: is empty",
        "7: call_id: ",
        "8: call_id: is empty",
        "8: decision: \"x\"",
        "9: the header has 3 columns, and here are 4",
    ];
    assert_eq!(places.len(), expected.len(), "{complaint}");
    assert!(places.iter().zip(expected).all(|(place, expected)| place.starts_with(expected)), "{complaint}");
    assert_eq!((evidence(&desk), entries(&desk)), (facts, was), "nothing of it is done");
    for (head, says) in [
        ("call_id;decision;reason\n", "semicolons"),
        ("call_id,decision\n", "column \"reason\" is missing"),
        ("call_ids,decision,reason\n", "did you mean \"call_id\"?"),
    ] {
        let complaint = desk.taktd(&["decide", "--file", &write(head.to_owned())]).failed(2);
        assert!(complaint.contains(":1: ") && complaint.contains(says), "{complaint}");
    }

    let right = write(format!(
        "reason,call_id,decision\n\"fine, they say\",{one},customer\nours,{two},provider\n\"a \"\"gift\"\"\",{three},goodwill:50%\n"
    ));
    let before = desk.calls();
    let said = desk.taktd(&["decide", "--file", &right]).fine();
    assert!(said.ends_with("decisions 3: 3 journaled, 0 known already; records changed: 3\n"), "{said}");
    let after = desk.calls();
    assert_eq!(changed(&before, &after).len(), 3);
    assert_eq!((evidence(&desk) - facts, entries(&desk) - was), (3, 6));
    let said = desk.taktd(&["explain", two]).fine();
    assert!(said.contains(&format!("provider, decided by kasse, {right}:3: ours")), "{said}");
    // The same file again says nothing new; as JSON it shows each call as it stands.
    let lines = desk.json(&["decide", "--file", &right]);
    assert_eq!(lines.iter().map(|line| text(line, "call_id")).collect::<Vec<_>>(), [one, two, three]);
    assert_eq!((evidence(&desk) - facts, entries(&desk) - was), (3, 6));
    desk.verified();
}
