//! Recordings of real switches against the truth of every call in them (tests/recordings, truth.json).

use super::layout::{Columns, Layout};
use super::*;
use crate::calls::{
    Agent, AgentPattern, BillFrom, BilledFrom, Call, Directory, Hotline, IdentityRules, Mark, MissedReason, OnHold, Records,
    WithheldNumbers,
};
use crate::units::{DialPlan, Direction};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What `${CDR(…)}` is written to in cdr-wide.csv. Its local text is left out: its epochs are finer.
const WIDE: [&str; 24] = [
    "start_u",
    "answer_u",
    "end_u",
    "-",
    "-",
    "-",
    "duration_f",
    "billsec_f",
    "disposition",
    "clid",
    "src",
    "dst",
    "dcontext",
    "channel",
    "dstchannel",
    "lastapp",
    "lastdata",
    "uniqueid",
    "linkedid",
    "sequence",
    "accountcode",
    "peeraccount",
    "userfield",
    "sip_call_id",
];

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/recordings").join(name)
}

pub(super) fn directory() -> Directory {
    let dial_plan = DialPlan::new("DE", "89").expect("known");
    let hotline = |number: &str, name: &str, service: &str, queues: &[&str]| Hotline {
        number: dial_plan.pattern(number).expect("a number"),
        name: name.into(),
        service: service.into(),
        severity: None,
        bill_from: BillFrom::Agent,
        max_call: Seconds::new(14_400),
        hold: OnHold::Talk,
        queues: queues.iter().map(|queue| (*queue).into()).collect(),
    };
    Directory {
        hotlines: vec![
            hotline("+4989555010", "Support", "support", &["support"]),
            hotline("+4989555099", "Emergency", "emergency", &[]),
            hotline("+4989555030", "Group", "support", &[]),
            hotline("+498955502*", "Direct", "support", &[]),
        ],
        agents: vec![
            Agent { number: AgentPattern::Block("20".into()), level: Some(1) },
            Agent { number: AgentPattern::Outside(dial_plan.normalize(b"+491713920011").expect("a number")), level: Some(2) },
        ],
        identity: IdentityRules {
            headers: Vec::new(),
            trusted_peers: Vec::new(),
            withheld: WithheldNumbers::Ignore,
            contract_header: None,
            leg_headers: Vec::new(),
        },
        dial_plan,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Files {
    Master,
    MasterAndQueueLog,
    Wide,
    WideAndQueueLog,
}

fn config(recording: &str, files: Files) -> Config {
    let folder = folder(recording);
    let wide = matches!(files, Files::Wide | Files::WideAndQueueLog);
    Config {
        path: folder.join(if wide { "cdr-wide.csv" } else { "Master.csv" }),
        zone: Tz::Europe__Berlin,
        layout: if wide { Layout::Columns(Columns::parse(&WIDE).expect("complete")) } else { Layout::Auto },
        queue_log: matches!(files, Files::MasterAndQueueLog | Files::WideAndQueueLog).then(|| folder.join("queue_log")),
    }
}

/// Reads files to their end.
fn read(config: &Config) -> (Vec<QueueLine>, Vec<CdrRow>) {
    let mut source = AsteriskCdr::new(config, None);
    let (mut lines, mut rows) = (Vec::new(), Vec::new());
    loop {
        let batch = source.poll().expect("reads");
        lines.extend(batch.lines);
        rows.extend(batch.rows);
        if !batch.more {
            break;
        }
    }
    source.finish().expect("recognized");
    let counts = source.counts();
    assert_eq!((counts.malformed_rows, counts.broken_rows, counts.malformed_lines), (0, 0, 0), "{config:?}");
    (lines, rows)
}

/// The last told state of every call.
fn latest(told: impl IntoIterator<Item = Call>) -> BTreeMap<String, Call> {
    told.into_iter().map(|call| (call.id.as_str().to_owned(), call)).collect()
}

fn calls_of(recording: &str, files: Files) -> (BTreeMap<String, Call>, crate::calls::RecordCounts) {
    let (lines, rows) = read(&config(recording, files));
    let mut records = Records::new(&directory());
    lines.into_iter().for_each(|line| records.apply_queue_line(line));
    rows.into_iter().for_each(|row| records.apply(row));
    let told = records.flush();
    let calls = latest(told.clone());
    assert_eq!(told.len(), calls.len(), "a call was told twice");
    (calls, records.counts())
}

/// Seconds of truth.json in milliseconds.
fn millis(value: &Value) -> i64 {
    #[allow(clippy::cast_possible_truncation)]
    value.as_f64().map_or(0, |seconds| (seconds * 1_000.0).round() as i64)
}

/// By how much talk may be off, in ms, and whether that is known of this kind of call (marked, or no row can tell).
fn allowed(scenario: &str, files: Files, call: &Call) -> (i64, bool) {
    let queue = scenario.starts_with("support-");
    let single = !queue && matches!(files, Files::Wide | Files::WideAndQueueLog);
    match scenario {
        // Its row begins when the agent lifts; nothing in it differs from a callback.
        "click-to-call" => (3_000, true),
        // Marked. The caller's channel is up while the target of a blind transfer rings, and no row says how long.
        _ if call.marks.contains(&Mark::Transfer) => (2_500, true),
        // The row says how long the caller's channel was up.
        _ if single => (20, false),
        _ => (1_000, false),
    }
}

/// Why a caller was missed, as well as the rows can tell.
fn missed(scenario: &str) -> Option<MissedReason> {
    Some(match scenario {
        "support-abandon" | "support-abandon-ringing" => MissedReason::Abandoned,
        "group-cancel" | "emergency-cancel" | "callback-given-up" => MissedReason::Canceled,
        "emergency-unreached" => MissedReason::Declined,
        "direct-busy" | "callback-busy" => MissedReason::Busy,
        "direct-voicemail" => MissedReason::NoAnswer,
        _ => return None,
    })
}

fn check(recording: &str, files: Files) {
    let truth: Value = serde_json::from_str(&std::fs::read_to_string(folder(recording).join("truth.json")).expect("there")).expect("JSON");
    let (mut calls, counts) = calls_of(recording, files);
    let mut table = format!("{recording} {files:?} {counts:?}\n");
    let mut wrong = 0;
    for expected in truth["calls"].as_array().expect("calls") {
        let scenario = expected["scenario"].as_str().expect("text");
        let keys = expected["pbx"]["linkedids"].as_array().cloned().unwrap_or_default();
        let ids = keys.iter().filter_map(Value::as_str).map(|key| {
            let mut hash = <sha2::Sha256 as sha2::Digest>::new();
            sha2::Digest::update(&mut hash, format!("asterisk\0{key}"));
            sha2::Digest::finalize(hash).iter().take(16).fold(String::new(), |mut text, byte| {
                let _ = write!(text, "{byte:02x}");
                text
            })
        });
        let found: Vec<Call> = ids.filter_map(|id| calls.remove(&id)).collect();
        let metered = !matches!(scenario, "internal" | "wrong-number" | "register");
        let mut faults = Vec::new();
        if found.len() != usize::from(metered) {
            faults.push(format!("told {} times", found.len()));
        }
        let mut line = format!("{:4} {scenario:26}", expected["id"].as_str().unwrap_or(""));
        if let Some(call) = found.first().filter(|_| metered) {
            let talk = call.talk_micros(Timestamp::from_micros(i64::MAX)) / 1_000;
            let from_answer = call.billed_from == BilledFrom::Answer;
            let wanted = millis(&expected[if from_answer { "pbx_answered_s" } else { "with_people_s" }]);
            let answered = millis(&expected["with_people_s"]) > 0;
            let (most, known) = allowed(scenario, files, call);
            let off = talk - if answered { wanted } else { 0 };
            if off.abs() > most {
                faults.push(format!("talk {talk} ms, not {wanted}"));
            }
            if from_answer != (scenario.starts_with("support-") && answered && matches!(files, Files::Master | Files::Wide)) {
                faults.push(format!("billed from {:?}", call.billed_from));
            }
            let agents: Vec<&str> = call.talks.iter().map(|talk| &*talk.agent).collect();
            let hotline = match expected["did"].as_str() {
                Some("+4989555010") | None => "Support",
                Some("+4989555099") => "Emergency",
                Some("+4989555030") => "Group",
                Some(_) => "Direct",
            };
            if call.hotline.as_deref() != Some(hotline) {
                faults.push(format!("hotline {:?}, not {hotline}", call.hotline));
            }
            let outbound = expected["direction"] == "out";
            if outbound != (call.direction == Direction::Out) {
                faults.push("direction".to_owned());
            }
            let customer = if outbound { call.called } else { call.caller };
            let wanted = expected[if outbound { "customer" } else { "caller" }].as_str().expect("a number");
            if customer.map(|number| number.to_string()).as_deref() != Some(wanted) {
                faults.push(format!("customer {customer:?}, not {wanted}"));
            }
            let who: Vec<&str> =
                expected["segments"].as_array().expect("segments").iter().filter_map(|part| part["who"].as_str()).collect();
            if !agents.iter().all(|agent| who.contains(agent)) || (agents.is_empty() != who.is_empty()) {
                faults.push(format!("agents {agents:?}, not {who:?}"));
            }
            if call.missed != missed(scenario) {
                faults.push(format!("missed {:?}", call.missed));
            }
            let transfer = ["support-blind-transfer", "support-transfer-out", "support-attended-transfer", "support-feature-transfer"];
            if call.marks.contains(&Mark::Transfer) != transfer.contains(&scenario) {
                faults.push(format!("marks {:?}", call.marks));
            }
            if call.marks.contains(&Mark::Forward) != (scenario == "direct-forwarded") {
                faults.push(format!("marks {:?}", call.marks));
            }
            let _ = write!(line, " {talk:>7} {off:>+6} {:?} {agents:?} {:?}", call.billed_from, call.marks);
            if known {
                line.push_str(" (known)");
            }
        }
        wrong += faults.len();
        let _ = writeln!(table, "{line} {}", faults.join("; "));
    }
    for call in calls.values() {
        wrong += 1;
        let _ = writeln!(table, "invented: {call:?}");
    }
    println!("{table}");
    assert_eq!((wrong, counts.internal >= 1, counts.no_hotline), (0, true, 1), "{table}");
}

#[test]
fn every_call_of_the_recordings_comes_once_and_right() {
    for recording in ["asterisk-16", "asterisk-22"] {
        for files in [Files::MasterAndQueueLog, Files::Master, Files::WideAndQueueLog, Files::Wide] {
            check(recording, files);
        }
    }
}
