//! The switch's own records through `taktd replay --as asterisk-cdr`: alone, again, and beside the signalling of the same calls.

use super::{Answer, Desk, YEAR, cents, recording, same, text};
use serde_json::Value;

const FOLDERS: &[&str] = &["asterisk-16", "asterisk-22"];

impl Desk {
    fn records(&self, file: &str) -> Answer {
        self.taktd(&["replay", "--as", "asterisk-cdr", &recording(file).display().to_string()])
    }
}

/// Every call that really was, with an outcome: who, whom, and when to the second. `None` for what makes no record.
fn truth(folder: &str) -> Vec<(String, String, f64, f64)> {
    let truth: Value = serde_json::from_slice(&std::fs::read(recording(folder).join("truth.json")).expect("truth")).expect("JSON");
    let calls = truth["calls"].as_array().expect("calls");
    let metered = calls.iter().filter(|call| !["wrong-number", "internal"].contains(&text(call, "scenario")));
    let metered = metered.filter(|call| text(call, "did").starts_with('+'));
    metered
        .map(|call| {
            let talk = call["with_people_s"].as_f64().unwrap_or_default();
            (text(call, "scenario").to_owned(), text(call, "did").to_owned(), call["t_invite"].as_f64().expect("a time"), talk)
        })
        .collect()
}

fn start(call: &Value) -> f64 {
    let at = chrono::DateTime::parse_from_rfc3339(text(call, "started_at")).expect("a time");
    at.timestamp_micros() as f64 / 1e6
}

#[test]
fn each_call_once_and_again_nothing() {
    for folder in FOLDERS {
        let desk = Desk::new();
        desk.records(&format!("{folder}/Master.csv")).fine();
        let (calls, export) = (desk.calls(), desk.export(&[]));
        let truth = truth(folder);
        assert!(truth.len() > 25, "{folder}");
        for (scenario, did, at, talk) in &truth {
            let fits = |call: &&Value| (start(call) - at).abs() < 2.0 && (text(call, "called") == did || text(call, "called").is_empty());
            let found: Vec<&Value> = calls.iter().filter(fits).collect();
            // Of calls in one second, one has that talk.
            let near = found.iter().filter(|call| (call["talk_s"].as_f64().expect("seconds") - talk).abs() <= 2.0).count();
            let marked = found.iter().any(|call| !call["marks"].as_array().expect("marks").is_empty());
            let lost = scenario.contains("lost");
            assert!(near >= 1 || marked || lost, "{folder} {scenario} {did} at {at}, {talk} s: {found:#?}");
        }
        for call in &calls {
            let from = text(call, "billed_from");
            assert!(["", "agent", "answer"].contains(&from) && (from.is_empty() == (call["talk_s"] == 0)), "{call}");
        }
        desk.verified();
        desk.records(&format!("{folder}/Master.csv")).fine();
        same(&desk.calls(), &calls, &format!("{folder}: the records twice"));
        assert!(desk.export(&[]) == export, "{folder}: the records twice");
        desk.verified();
    }
}

/// What a result says, without its name.
fn nameless(calls: &[Value]) -> Vec<String> {
    let mut calls: Vec<Value> = calls.to_vec();
    calls.iter_mut().for_each(|call| drop(call.as_object_mut().expect("an object").remove("call_id")));
    let mut texts: Vec<String> = calls.iter().map(Value::to_string).collect();
    texts.sort();
    texts
}

fn net(calls: &[Value]) -> i64 {
    calls.iter().map(|call| cents(call, "net")).sum()
}

/// One conversation is one call, in whichever order its sources are read.
#[test]
fn records_and_signalling_of_the_same_calls() {
    for folder in FOLDERS {
        let (csv, pcap) = (format!("{folder}/Master.csv"), recording(folder).join("sip.pcap"));
        let alone = Desk::new();
        alone.replay(&pcap).fine();
        let seen = alone.calls();
        assert!(net(&seen) > 0, "{folder}");

        let after = Desk::new();
        after.replay(&pcap).fine();
        after.records(&csv).fine();
        same(&after.calls(), &seen, &format!("{folder}: records after signalling add nothing"));
        after.verified();

        let before = Desk::new();
        before.records(&csv).fine();
        let names: Vec<String> = before.calls().iter().map(|call| text(call, "call_id").to_owned()).collect();
        before.replay(&pcap).fine();
        let calls = before.calls();
        assert_eq!(nameless(&calls), nameless(&seen), "{folder}: signalling overrules records");
        let kept = calls.iter().filter(|call| names.iter().any(|name| name == text(call, "call_id"))).count();
        assert!(kept >= names.len().min(calls.len()), "{folder}: a call keeps its name: {kept} of {}", names.len());
        before.verified();

        // And once more in each order: nothing is new.
        let export = before.export(YEAR);
        before.records(&csv).fine();
        before.replay(&pcap).fine();
        same(&before.calls(), &calls, &format!("{folder}: both again"));
        assert!(before.export(YEAR) == export, "{folder}: both again");

        let together = Desk::new();
        let configured = Desk::changed(&[("/var/log/asterisk/cdr-csv/", &absolute(folder)), ("/var/log/asterisk/", &absolute(folder))]);
        configured.taktd(&["replay"]).fine();
        together.records(&csv).fine();
        same(&configured.calls(), &together.calls(), &format!("{folder}: the configured sources without FILE"));
    }
}

fn absolute(folder: &str) -> String {
    format!("{}/", std::env::current_dir().expect("a folder").join(recording(folder)).display())
}

/// Times that contradict the configured zone stop the source, and what came before is kept.
#[test]
fn records_of_another_zone_are_refused() {
    for (night, line, kept) in [("back", 1, 0), ("forth", 7, 6)] {
        let desk = Desk::new();
        let complaint = desk.records(&format!("asterisk-16-clock/{night}/Master.csv")).failed(1);
        let place = format!("asterisk-16-clock/{night}/Master.csv:{line}: ");
        assert!(complaint.contains(&place) && complaint.contains("Europe/Berlin") && complaint.contains("set timezone to"), "{complaint}");
        assert_eq!(desk.calls().len(), kept, "{night}");
        desk.verified();
    }
}

/// A transfer writes its target over the number dialed: without another trace of the hotline nobody is billed, and the
/// record says why.
#[test]
fn a_call_whose_hotline_no_row_has() {
    let desk = Desk::changed(&[("queues = [\"support\"]", "queues = []")]);
    let text_of = std::fs::read_to_string(recording("asterisk-16/Master.csv")).expect("there");
    let path = desk.path("Master.csv");
    // Without the userfield that the lab's dialplan sets, as on a PBX that sets none.
    let bare: String = text_of.lines().map(|line| format!("{},\"\"\n", line.rsplit_once(',').expect("columns").0)).collect();
    std::fs::write(&path, bare).expect("written");
    desk.taktd(&["replay", "--as", "asterisk-cdr", &path.display().to_string()]).fine();
    let calls = desk.calls();
    let unseen: Vec<&Value> =
        calls.iter().filter(|call| call["marks"].as_array().expect("marks").contains(&"hotline-unseen".into())).collect();
    assert!(!unseen.is_empty(), "no blind transfer lost its hotline");
    for call in unseen {
        assert_eq!((text(call, "outcome"), cents(call, "net"), text(call, "service")), ("uncovered", 0, ""), "{call}");
        assert_eq!(text(call, "reason"), "the hotline that was called is not known", "{call}");
    }
    desk.verified();
    // The wire has seen the hotline.
    desk.replay(recording("asterisk-16/sip.pcap")).fine();
    let alone = Desk::new();
    alone.replay(recording("asterisk-16/sip.pcap")).fine();
    assert_eq!(nameless(&desk.calls()), nameless(&alone.calls()), "signalling overrules records that lost the hotline");
}

/// Rows of one call that come in two files, in either order of the files, are one call.
#[test]
fn records_in_two_files() {
    for folder in FOLDERS {
        let whole = Desk::new();
        whole.records(&format!("{folder}/Master.csv")).fine();
        let calls = whole.calls();
        let rows = std::fs::read_to_string(recording(folder).join("Master.csv")).expect("there");
        let rows: Vec<&str> = rows.lines().collect();
        for cut in (1..rows.len()).step_by(11) {
            let desk = Desk::new();
            let parts = [("one", &rows[..cut]), ("two", &rows[cut..])].map(|(name, rows)| {
                std::fs::create_dir(desk.path(name)).expect("a folder");
                std::fs::copy(recording(folder).join("queue_log"), desk.path(name).join("queue_log")).expect("copied");
                let path = desk.path(name).join("Master.csv");
                std::fs::write(&path, rows.join("\n") + "\n").expect("written");
                path.display().to_string()
            });
            for part in [&parts[0], &parts[1], &parts[0]] {
                desk.taktd(&["replay", "--as", "asterisk-cdr", part]).fine();
            }
            same(&desk.calls(), &calls, &format!("{folder}: cut after row {cut}"));
            desk.verified();
        }
    }
}

/// A capture that broke off: the records say how its running calls ended; the whole capture says it better. In any order.
#[test]
fn records_end_what_a_capture_left_running() {
    let folder = "asterisk-16";
    let (csv, pcap) = (format!("{folder}/Master.csv"), recording(folder).join("sip.pcap"));
    let alone = Desk::new();
    alone.replay(&pcap).fine();
    let expected = nameless(&alone.calls());
    let file = std::fs::read(&pcap).expect("there");
    let mut reconciled = 0;
    for cut in (30..800).step_by(150) {
        for order in ["pc", "cp", "pcw", "cpw", "wpcw", "pcpcwc"] {
            let desk = Desk::new();
            let part = &super::replay::pieces(&desk, &file, &[cut])[0];
            for step in order.chars() {
                match step {
                    'p' => desk.replay(part),
                    'c' => desk.records(&csv),
                    _ => desk.replay(&pcap),
                }
                .fine();
            }
            let calls = desk.calls();
            reconciled += calls.iter().filter(|call| text(call, "end") == "reconciled").count();
            assert!(calls.iter().all(|call| !text(call, "end").is_empty()), "cut at {cut}, {order}: a call still runs");
            if order.contains('w') {
                assert_eq!(nameless(&calls), expected, "cut at {cut}, {order}");
            } else {
                assert_eq!(calls.len(), expected.len(), "cut at {cut}, {order}: {calls:#?}");
            }
            desk.verified();
        }
    }
    assert!(reconciled > 0, "no call ran at any cut");
}
