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

pub(in crate::sources) fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/recordings").join(name)
}

pub(in crate::sources) fn directory() -> Directory {
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
pub(in crate::sources) fn millis(value: &Value) -> i64 {
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
pub(in crate::sources) fn missed(scenario: &str) -> Option<MissedReason> {
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

#[test]
fn a_wrong_zone_stops_the_source_at_its_first_row() {
    for (zone, advice) in [
        (Tz::UTC, "set timezone = \"Europe/Berlin\""),
        (Tz::Europe__London, "set timezone = \"Europe/Berlin\""),
        (Tz::Europe__Helsinki, "set timezone = \"Europe/Berlin\""),
        (Tz::Asia__Kathmandu, "set timezone = \"Europe/Berlin\""),
    ] {
        for recording in ["asterisk-16", "asterisk-22"] {
            let mut source = AsteriskCdr::new(&Config { zone, ..config(recording, Files::Master) }, None);
            let stopped = source.poll().err().map(|error| error.to_string()).expect("refused");
            assert!(stopped.contains("Master.csv:1: start \"2026-11-21 21:") && stopped.ends_with(advice), "{stopped}");
            assert!(source.poll().is_err(), "it stays stopped");
        }
    }
}

#[test]
fn a_clock_change_of_another_zone_is_refused_and_not_billed() {
    for (recording, line, text) in [
        ("asterisk-16-clock/back", 1, "set timezone to one that is UTC+02:00 at that time"),
        ("asterisk-16-clock/forth", 7, "duration is 17 s"),
    ] {
        let mut source = AsteriskCdr::new(&config(recording, Files::MasterAndQueueLog), None);
        let mut rows = 0;
        let stopped = loop {
            match source.poll() {
                Ok(batch) => rows += batch.rows.len() as u64,
                Err(PollError::Stopped(stopped)) => break stopped,
                Err(other) => panic!("{other}"),
            }
        };
        assert_eq!((stopped.line, rows), (line, line - 1));
        assert!(stopped.to_string().contains(text), "{stopped}");
        assert_eq!(source.finish(), Err(stopped));
        // Epochs know no zone: the wide file of the same calls is read whole.
        let (calls, _) = calls_of(recording, Files::WideAndQueueLog);
        assert_eq!(calls.values().filter(|call| call.missed.is_none()).count(), 8);
    }
}

/// What a test feeds.
#[derive(Clone, Debug)]
enum Item {
    Line(QueueLine),
    Row(Box<CdrRow>),
}

fn items(recording: &str, files: Files) -> Vec<Item> {
    let (lines, rows) = read(&config(recording, files));
    lines.into_iter().map(Item::Line).chain(rows.into_iter().map(Box::new).map(Item::Row)).collect()
}

fn feed(records: &mut Records, item: Item) {
    match item {
        Item::Line(line) => records.apply_queue_line(line),
        Item::Row(row) => records.apply(*row),
    }
}

use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_order_of_arrival_comes_to_the_same_calls(
        (order, every) in (Just(items("asterisk-22", Files::MasterAndQueueLog)).prop_shuffle(), 1usize..40),
    ) {
        let (expected, counts) = calls_of("asterisk-22", Files::MasterAndQueueLog);
        let mut records = Records::new(&directory());
        let (mut told, mut now) = (Vec::new(), Timestamp::default());
        for (index, item) in order.into_iter().enumerate() {
            now = now.max(match &item { Item::Line(line) => line.at, Item::Row(row) => row.ended_at });
            feed(&mut records, item);
            if index % every == 0 {
                told.extend(records.settled(now));
            }
        }
        told.extend(records.flush());
        prop_assert_eq!(latest(told), expected);
        prop_assert_eq!(records.counts().left_out, counts.left_out);
    }

    #[test]
    fn any_bytes_are_read_to_their_end(
        bytes in proptest::collection::vec(prop_oneof![4 => any::<u8>(), 1 => Just(b'"'), 1 => Just(b','), 1 => Just(b'\n')], 0..2_000),
        at in 0usize..16_000,
        zone in prop_oneof![Just(Tz::Europe__Berlin), Just(Tz::UTC)],
        layout in prop_oneof![Just(Layout::Auto), Just(Layout::Columns(Columns::parse(&WIDE).expect("complete")))],
    ) {
        let whole = std::fs::read(folder("asterisk-16").join("Master.csv")).expect("there");
        let place = tempfile::tempdir().expect("a folder");
        let (head, tail) = whole.split_at(at.min(whole.len()));
        let path = place.path().join("Master.csv");
        std::fs::write(&path, [head, &bytes, tail].concat()).expect("writes");
        let mut source = AsteriskCdr::new(&Config { path: path.clone(), zone, layout, queue_log: Some(path) }, None);
        let mut records = Records::new(&directory());
        for _ in 0..10 {
            let Ok(batch) = source.poll() else { break };
            batch.lines.into_iter().for_each(|line| records.apply_queue_line(line));
            batch.rows.into_iter().for_each(|row| records.apply(row));
            if !batch.more { break }
        }
        prop_assert!(records.flush().len() <= 64);
    }
}

#[test]
fn damage_in_the_file_costs_the_damaged_records_only() {
    let whole = std::fs::read_to_string(folder("asterisk-16").join("Master.csv")).expect("there");
    let rows = whole.lines().count() as u64;
    // A row that stands behind a piece of another on the same line is lost with it; never the one after.
    for (damage, lost) in [
        ("\"", 1),
        ("\"half,\"writt", 0),
        ("\"half, \"", 0),
        ("\"\",\"+491", 1),
        ("\"\",\"+491\",", 1),
        ("half", 0),
        ("garbage\n", 0),
        ("\n\n", 0),
        ("\0\0\0", 0),
    ] {
        let place = tempfile::tempdir().expect("a folder");
        let path = place.path().join("Master.csv");
        let (head, tail) = whole.split_at(whole.match_indices('\n').nth(9).expect("ten rows").0 + 1);
        // A switch that died in the middle of a row leaves no line end; the next one goes on behind it.
        std::fs::write(&path, format!("{head}{damage}{tail}")).expect("writes");
        let config = Config { path, queue_log: None, ..config("asterisk-16", Files::Master) };
        let mut source = AsteriskCdr::new(&config, None);
        let batch = source.poll().expect("reads");
        let counts = source.counts();
        let found = batch.rows.len() as u64;
        assert_eq!(found, rows - lost, "{damage:?}: {counts:?}");
    }
}

#[test]
fn a_snapshot_at_any_point_changes_nothing() {
    for files in [Files::MasterAndQueueLog, Files::Wide] {
        let (expected, counts) = calls_of("asterisk-16", files);
        let items = items("asterisk-16", files);
        for cut in 0..=items.len() {
            let mut records = Records::new(&directory());
            let mut told = Vec::new();
            for item in items.iter().take(cut).cloned() {
                feed(&mut records, item);
            }
            told.extend(records.settled(Timestamp::from_parts(1_795_292_060, 0)));
            let mut out = Writer::new();
            records.write(&mut out);
            let bytes = out.finish();
            let mut records = Records::read(&directory(), &mut Reader::new(&bytes)).expect("reads back");
            let mut again = Writer::new();
            records.write(&mut again);
            assert_eq!(bytes, again.finish(), "cut at {cut}");
            for item in items.iter().skip(cut).cloned() {
                feed(&mut records, item);
            }
            told.extend(records.flush());
            assert_eq!(latest(told), expected, "cut at {cut}");
            assert_eq!(records.counts(), counts, "cut at {cut}");
            for broken in 0..bytes.len().min(300) {
                let short = bytes.get(..broken).expect("shorter");
                assert!(broken == 0 || Records::read(&directory(), &mut Reader::new(short)).is_none());
            }
        }
    }
}

/// A file that grows by odd pieces, is rotated, and a reader that is stopped and started between.
#[test]
fn tailing_yields_what_reading_at_once_does() {
    let expected = read(&config("asterisk-16", Files::MasterAndQueueLog));
    let master = std::fs::read(folder("asterisk-16").join("Master.csv")).expect("there");
    let log = std::fs::read(folder("asterisk-16").join("queue_log")).expect("there");
    for step in [37usize, 211, 1_000] {
        let place = tempfile::tempdir().expect("a folder");
        let config = Config {
            path: place.path().join("Master.csv"),
            queue_log: Some(place.path().join("queue_log")),
            ..config("asterisk-16", Files::Master)
        };
        let mut source = AsteriskCdr::new(&config, None);
        let (mut lines, mut rows) = (Vec::new(), Vec::new());
        let grow = |path: &std::path::Path, bytes: &[u8]| {
            let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).expect("opens");
            std::io::Write::write_all(&mut file, bytes).expect("writes");
        };
        let queue_log = config.queue_log.clone().expect("configured");
        let pieces = master.len().div_ceil(step);
        for piece in 0..pieces {
            let part = |whole: &[u8]| {
                let (from, to) = (whole.len() * piece / pieces, whole.len() * (piece + 1) / pieces);
                whole.get(from..to).expect("within").to_vec()
            };
            grow(&config.path, &part(&master));
            grow(&queue_log, &part(&log));
            loop {
                let batch = source.poll().expect("reads");
                lines.extend(batch.lines);
                rows.extend(batch.rows);
                if !batch.more {
                    break;
                }
            }
            if piece % 5 == 3 {
                let mut out = Writer::new();
                source.position().write(&mut out);
                let bytes = out.finish();
                source = AsteriskCdr::new(&config, SourcePosition::read(&mut Reader::new(&bytes)));
            }
            // Between two rows, as the switch opens the file anew for each.
            let whole = std::fs::read(&config.path).is_ok_and(|bytes| bytes.ends_with(b"\n"));
            if piece % 3 == 2 && whole {
                std::fs::rename(&config.path, place.path().join("Master.csv.1")).expect("renames");
            }
        }
        let mut found = (lines, rows);
        found.0.sort();
        let mut wanted = expected.clone();
        wanted.0.sort();
        assert_eq!(found, wanted, "in steps of {step}");
    }
}

/// Lines of the queue log come with the rows they belong to, not a year ahead of them.
#[test]
fn a_replay_reads_both_files_side_by_side() {
    let place = tempfile::tempdir().expect("a folder");
    let config = Config {
        path: place.path().join("Master.csv"),
        queue_log: Some(place.path().join("queue_log")),
        ..config("asterisk-16", Files::Master)
    };
    let (mut master, mut log) = (String::new(), String::new());
    for call in 0..3_000u64 {
        let epoch = 1_767_225_600 + call * 60; // 2026-01-01 00:00 UTC, in winter
        let at = |seconds: u64| {
            let time = Timestamp::from_micros(i64::try_from((epoch + seconds + 3_600) * 1_000_000).expect("fits")).utc();
            time.format("%Y-%m-%d %H:%M:%S").to_string()
        };
        let _ = writeln!(
            master,
            r#""","+4930{call}","+4989555010","did","x","PJSIP/trunk-{call:08x}","PJSIP/201-{call:08x}","Queue","support,t","{}","{}","{}",20,20,"ANSWERED","DOCUMENTATION","{epoch}.{call}","""#,
            at(0),
            at(0),
            at(20)
        );
        let _ = writeln!(log, "{}|{epoch}.{call}|support|PJSIP/201|CONNECT|5|{epoch}.9|1", epoch + 5);
        let _ = writeln!(log, "{}|{epoch}.{call}|support|PJSIP/201|COMPLETECALLER|5|15|1", epoch + 20);
        for pause in 0..(call % 7) * 3 {
            let _ = writeln!(log, "{}|NONE|support|PJSIP/20{pause}|PAUSE|", epoch + 30);
        }
    }
    std::fs::write(&config.path, master).expect("writes");
    std::fs::write(config.queue_log.as_ref().expect("configured"), log).expect("writes");
    let mut source = AsteriskCdr::new(&config, None);
    let mut records = Records::new(&directory());
    let (mut told, mut most) = (Vec::new(), 0);
    loop {
        let batch = source.poll().expect("reads");
        let (latest, more) = (batch.latest(), batch.more);
        assert!(batch.rows.len() <= MOST_ROWS && batch.lines.len() <= MOST_LINES);
        batch.lines.into_iter().for_each(|line| records.apply_queue_line(line));
        batch.rows.into_iter().for_each(|row| records.apply(row));
        if let Some(latest) = latest {
            told.extend(records.settled(latest));
        }
        most = most.max(records.len());
        if !more {
            break;
        }
    }
    told.extend(records.flush());
    assert_eq!(told.len(), 3_000, "each once, and complete when told");
    assert!(
        told.iter().all(|call| call.billed_from == BilledFrom::Agent && call.talk_micros(Timestamp::from_micros(i64::MAX)) == 15_000_000)
    );
    assert!(most < 24 * 60 + 2 * MOST_ROWS, "a day of calls is remembered, not all: {most}");
}

/// More lines than a batch holds stand before a row: the row waits, and a restart meanwhile loses and doubles nothing.
#[test]
fn rows_wait_for_their_lines_over_a_restart() {
    let place = tempfile::tempdir().expect("a folder");
    let config = Config {
        path: place.path().join("Master.csv"),
        queue_log: Some(place.path().join("queue_log")),
        ..config("asterisk-16", Files::Master)
    };
    let lines = MOST_LINES * 2 + 100;
    let log: String =
        (0..lines).map(|line| format!("17952919{:02}|1795291900.{line}|support|NONE|ABANDON|1|1|3\n", line * 60 / lines)).collect();
    std::fs::write(config.queue_log.as_ref().expect("configured"), log).expect("writes");
    std::fs::copy(folder("asterisk-16").join("Master.csv"), &config.path).expect("copies");
    for restarts in [false, true] {
        let mut source = AsteriskCdr::new(&config, None);
        let (mut found, mut rows, mut batches) = (0, 0, 0);
        loop {
            let batch = source.poll().expect("reads");
            assert!(batch.rows.is_empty() || found + batch.lines.len() == lines, "rows before their lines");
            found += batch.lines.len();
            rows += batch.rows.len();
            batches += 1;
            if restarts {
                let position = source.position();
                source = AsteriskCdr::new(&config, Some(position));
            }
            if !batch.more {
                break;
            }
        }
        assert_eq!((found, rows), (lines, 65), "restarts: {restarts}");
        assert!(batches >= 3);
    }
}
