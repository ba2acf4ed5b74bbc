//! Traps that lie in a switch's own records, each a test, through the program as it is used. (Traps on the wire: `wire::traps`;
//! in HEP, in FreeSWITCH's records, at the manager interface: beside their sources. `cargo test trap_` lists all.)

use super::rows::short;
use super::{Answer, Desk, recording, text};
use chrono::TimeZone;
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use taktd::sources::asterisk_cdr::{self, AsteriskCdr};

/// 2026-03-10 10:00:00 in Berlin.
const BEGIN: i64 = 1_773_133_200;
/// Its contract sells support by the minute, after fifteen free ones.
const CALLER: &str = "+491713920022";
const HOTLINE: &str = "+4989555010";

fn local(epoch: i64, zone: chrono_tz::Tz) -> String {
    zone.timestamp_opt(epoch, 0).single().expect("a time").format("%Y-%m-%d %H:%M:%S").to_string()
}

/// A part of a call, as cdr_csv writes it with uniqueid and userfield.
struct Part<'a> {
    /// Which call: its caller's channel.
    call: u32,
    dst: &'a str,
    phone: &'a str,
    /// The last application and its data.
    app: (&'a str, &'a str),
    /// Start, answer, end, in seconds after [`BEGIN`].
    times: (i64, Option<i64>, i64),
    disposition: &'a str,
}

impl Part<'_> {
    fn row(&self) -> String {
        self.row_in(chrono_tz::Europe::Berlin, BEGIN)
    }

    fn row_in(&self, zone: chrono_tz::Tz, begin: i64) -> String {
        let Self { call, dst, phone, app: (app, data), times: (start, answer, end), disposition } = self;
        let at = |second: i64| format!("\"{}\"", local(begin + second, zone));
        let (duration, billsec) = (end - start, answer.map_or(0, |answer| end - answer));
        let phone = if phone.is_empty() { String::new() } else { format!("PJSIP/{phone}-0000{call}b") };
        format!(
            "\"\",\"{CALLER}\",\"{dst}\",\"did\",\"{CALLER}\",\"PJSIP/trunk-0000{call}a\",\"{phone}\",\"{app}\",\"{data}\",{},{},{},{duration},{billsec},\"{disposition}\",\"DOCUMENTATION\",\"{}.{call}\",\"\"\n",
            at(*start),
            answer.map(at).unwrap_or_default(),
            at(*end),
            begin,
        )
    }
}

const QUEUE: (&str, &str) = ("Queue", "support,t");
const DIAL: (&str, &str) = ("Dial", "PJSIP/201,20");

impl Desk {
    /// Reads these rows, and these lines of the queue's log.
    fn rows(&self, rows: &str, queue_log: &str) -> Answer {
        fs::write(self.path("Master.csv"), rows).expect("written");
        fs::write(self.path("queue_log"), queue_log).expect("written");
        self.records_at("Master.csv")
    }

    fn records_at(&self, name: &str) -> Answer {
        self.taktd(&["replay", "--as", "asterisk-cdr", &self.path(name).display().to_string()])
    }

    fn short(&self) -> Vec<String> {
        self.calls().iter().map(short).collect()
    }
}

/// A line of the queue's log, of the call with this number.
fn line(second: i64, call: u32, event: &str) -> String {
    format!("{}|{BEGIN}.{call}|support|{event}\n", BEGIN + second)
}

#[test]
fn trap_1_three_files_called_master_csv_and_a_fourth_from_freeswitch() {
    let desk = Desk::new();
    let file = |folder: &str, text: &str| -> PathBuf {
        fs::create_dir(desk.path(folder)).expect("a folder");
        fs::write(desk.path(folder).join("Master.csv"), text).expect("written");
        fs::copy(recording("asterisk-16/queue_log"), desk.path(folder).join("queue_log")).expect("copied");
        desk.path(folder).join("Master.csv")
    };
    let read = |name: &str| fs::read_to_string(recording("asterisk-16").join(name)).expect("there");
    // The sample of cdr_custom has the columns of cdr_csv in another order, all of them quoted but the last.
    let mut custom = String::new();
    for record in csv::ReaderBuilder::new().has_headers(false).from_reader(read("Master.csv").as_bytes()).records() {
        let record = record.expect("a record");
        let order = [4, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0, 16, 17];
        let quoted = order.map(|place: usize| format!("\"{}\"", record[place].replace('"', "\"\"")));
        custom += &format!("{},7\n", quoted.join(","));
    }
    let freeswitch = "\"Huber\",\"+491713920021\",\"555010\",\"public\",\"2026-11-21 21:12:43\",\"2026-11-21 21:12:44\",\"2026-11-21 21:12:53\",\
                      \"10\",\"9\",\"NORMAL_CLEARING\",\"6a1c6c8e-0000-4000-8000-000000000001\",\"\",\"\",\"PCMA\",\"PCMA\"\n";
    let files = [
        (file("cdr-csv", &read("Master.csv")), "asterisk-cdr"),
        (file("cdr-custom", &custom), "asterisk-cdr"),
        (file("cel-custom", &read("cel.csv")), "asterisk-cel"),
        (file("freeswitch", freeswitch), "csv"),
    ];
    let mut known = Vec::new();
    for (path, right) in &files {
        for kind in ["asterisk-cdr", "asterisk-cel"] {
            let own = Desk::new();
            let answer = own.taktd(&["replay", "--as", kind, &path.display().to_string()]);
            if kind == *right {
                answer.fine();
                known.push(
                    own.calls().iter().map(|call| (text(call, "started_at")[..19].to_owned(), call["net"].clone())).collect::<Vec<_>>(),
                );
            } else {
                let said = answer.failed(1);
                assert!(said.contains("Master.csv:1: "), "{}: {said}", path.display());
                assert_eq!(own.calls(), Vec::<Value>::new(), "{} as {kind}", path.display());
            }
        }
    }
    assert_eq!(known.iter().map(Vec::len).collect::<Vec<_>>(), [40, 40, 40]);
    assert_eq!(known[0], known[1], "the same rows in another order of columns");
}

#[test]
fn trap_2_answered_rows_that_say_no_answer_and_billsec_that_holds_menu_and_queue() {
    let desk = Desk::by_the_minute();
    let rows = [
        // A menu answered, the agent did not: billsec is 38.
        Part { call: 1, dst: "+4989555021", phone: "201", app: DIAL, times: (0, Some(2), 40), disposition: "NO ANSWER" },
        // Billsec is 119: a menu, the queue, and 75 s of talk.
        Part { call: 2, dst: HOTLINE, phone: "202", app: QUEUE, times: (60, Some(61), 180), disposition: "ANSWERED" },
    ];
    let log =
        line(70, 2, "NONE|ENTERQUEUE||x|1") + &line(105, 2, "PJSIP/202|CONNECT|35|x|5") + &line(180, 2, "PJSIP/202|COMPLETECALLER|35|75|1");
    let rows: String = rows.iter().map(Part::row).collect();
    desk.rows(&rows, &log).fine();
    assert_eq!(desk.short(), ["10:00:00 in K-1009  wait 40 talk 0 no answer", "10:01:00 in K-1009 202 wait 45 talk 75 agent"]);
    // Without its log a queue does not say when somebody answered, and the record says so.
    let desk = Desk::by_the_minute();
    desk.rows(&rows, "").fine();
    assert_eq!(desk.short()[1], "10:01:00 in K-1009 202 wait 1 talk 119 answer");
}

#[test]
fn trap_3_five_rows_of_one_queue_call_that_nobody_answered_or_the_last_one_did() {
    let rung = |phone| Part { call: 1, dst: HOTLINE, phone, app: QUEUE, times: (0, None, 20), disposition: "NO ANSWER" };
    let rows: String = ["201", "202", "203", "204", "205"].map(|phone| rung(phone).row()).concat();
    let entered = line(1, 1, "NONE|ENTERQUEUE||x|1");
    let desk = Desk::by_the_minute();
    desk.rows(&rows, &(entered.clone() + &line(20, 1, "NONE|ABANDON|1|1|19"))).fine();
    assert_eq!(desk.short(), ["10:00:00 in K-1009  wait 20 talk 0 abandoned in queue"]);
    let desk = Desk::by_the_minute();
    let answered = Part { call: 1, dst: HOTLINE, phone: "206", app: QUEUE, times: (0, Some(0), 80), disposition: "ANSWERED" };
    let log = entered + &line(20, 1, "PJSIP/206|CONNECT|19|x|3") + &line(80, 1, "PJSIP/206|COMPLETEAGENT|19|60|1");
    desk.rows(&(rows + &answered.row()), &log).fine();
    assert_eq!(desk.short(), ["10:00:00 in K-1009 206 wait 20 talk 60 agent"]);
}

#[test]
fn trap_4_rows_of_one_call_in_any_order_and_hours_late() {
    let whole = Desk::new();
    whole.taktd(&["replay", "--as", "asterisk-cdr", &recording("asterisk-16/Master.csv").display().to_string()]).fine();
    let rows = fs::read_to_string(recording("asterisk-16/Master.csv")).expect("there");
    let log = fs::read_to_string(recording("asterisk-16/queue_log")).expect("there");
    let desk = Desk::new();
    let backwards: String = rows.lines().rev().map(|row| format!("{row}\n")).collect();
    desk.rows(&backwards, &log).fine();
    super::same(&desk.calls(), &whole.calls(), "the last row first");
    // A caller is passed on, and stays for three hours: the first part is written at once, what follows when he hangs up,
    // after a hundred rows of others; and one that was read without its second half is corrected.
    let desk = Desk::by_the_minute();
    let part = |phone, app, times| Part { call: 900, dst: "203", phone, app, times, disposition: "ANSWERED" };
    let first = part("202", QUEUE, (0, Some(0), 64)).row();
    let late = part("203", ("Dial", "PJSIP/203,20"), (64, Some(64), 10_864)).row();
    let log = line(1, 900, "NONE|ENTERQUEUE||x|1")
        + &line(4, 900, "PJSIP/202|CONNECT|3|x|2")
        + &line(64, 900, "PJSIP/202|BLINDTRANSFER|203|from-agents|3|60|1");
    let others: String = (1..100)
        .map(|call| {
            let at = i64::from(call) * 100;
            let part = Part { call, dst: "+4989555021", phone: "201", app: DIAL, times: (0, None, 9), disposition: "NO ANSWER" };
            part.row_in(chrono_tz::Europe::Berlin, BEGIN + at)
        })
        .collect();
    let whole = "10:00:00 in K-1009 202 wait 4 talk 10860 agent [\"transfer\"]";
    for (rows, expected) in
        [(first.clone() + &others, "10:00:00 in K-1009 202 wait 4 talk 60 agent [\"transfer\"]"), (first.clone() + &others + &late, whole)]
    {
        desk.rows(&rows, &log).fine();
        let found = desk.short();
        assert_eq!((found[0].as_str(), found.len()), (expected, 100));
    }
    let other = Desk::by_the_minute();
    other.rows(&(late + &others + &first), &log).fine();
    assert_eq!(other.short(), desk.short(), "the late one first");
    desk.verified();
}

#[test]
fn trap_5_a_row_that_was_too_long_to_be_written_and_a_line_cut_at_1024() {
    let row = |call| Part { call, dst: "+4989555021", phone: "201", app: DIAL, times: (0, Some(4), 64), disposition: "ANSWERED" }.row();
    let desk = Desk::by_the_minute();
    // Cut as res_cdrel_custom did until 2026, in JSON and within quotes: set aside, and the rows beside them are read.
    let long = row(2).replace("\"did\"", &format!("\"{}\"", "did,".repeat(300)));
    let json = format!("{{\"clid\":\"{}", "x".repeat(1_100));
    let said = desk.rows(&format!("{}{}\n{}{}\n{}", row(1), &json[..1_024], row(2), &long[..1_024], row(3)), "").fine();
    assert!(said.contains("set aside 2: bad_row"), "{said}");
    assert_eq!(desk.calls().len(), 3, "{:#?}", desk.calls());
    // Not written at all: nothing is invented from the queue's log, and what else saw the call bills it, and is named.
    let desk = Desk::by_the_minute();
    let connected = line(5, 7, "PJSIP/202|CONNECT|4|x|3") + &line(65, 7, "PJSIP/202|COMPLETEAGENT|4|60|1");
    desk.rows(&row(1), &connected).fine();
    assert_eq!(desk.calls().len(), 1, "{:#?}", desk.calls());
    let alone = Desk::new();
    alone.replay(recording("asterisk-16/sip.pcap")).fine();
    let both = Desk::new();
    let rows = fs::read_to_string(recording("asterisk-16/Master.csv")).expect("there");
    let log = fs::read_to_string(recording("asterisk-16/queue_log")).expect("there");
    let kept: String = rows.lines().skip(1).map(|row| format!("{row}\n")).collect();
    both.replay(recording("asterisk-16/sip.pcap")).fine();
    both.rows(&kept, &log).fine();
    super::same(&both.calls(), &alone.calls(), "a lost row changes no bill");
    let told = both.taktd(&["reconcile"]).fine();
    assert_eq!(told.matches("only signalling saw it").count(), 1, "{told}");
}

#[test]
fn trap_6_a_half_written_last_line_and_a_rotation_in_between() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("Master.csv");
    let config = asterisk_cdr::Config {
        path: path.clone(),
        zone: chrono_tz::Europe::Berlin,
        layout: asterisk_cdr::layout::Layout::Auto,
        queue_log: None,
    };
    let rows: Vec<String> = (1..6)
        .map(|call| Part { call, dst: "+4989555021", phone: "201", app: DIAL, times: (0, Some(4), 64), disposition: "ANSWERED" }.row())
        .collect();
    let append = |name: &str, text: &str| {
        let mut file = fs::OpenOptions::new().append(true).create(true).open(folder.path().join(name)).expect("it opens");
        file.write_all(text.as_bytes()).expect("written");
    };
    for restarts in [false, true] {
        let mut source = AsteriskCdr::new(&config, None);
        let mut read = || {
            let found: Vec<String> = source.poll().expect("reads").rows.iter().map(|row| row.uniqueid.to_string()).collect();
            if restarts {
                source = AsteriskCdr::new(&config, Some(source.position()));
            }
            found
        };
        let name = |call: u32| format!("{BEGIN}.{call}");
        append("Master.csv", &(rows[0].clone() + &rows[1][..90]));
        assert_eq!(read(), [name(1)], "the half waits");
        append("Master.csv", &rows[1][90..rows[1].len() - 1]);
        assert_eq!(read(), [""; 0], "also without its line end");
        append("Master.csv", "\n");
        assert_eq!(read(), [name(2)]);
        // Rotated while the switch writes: it ends its row in the file that it opened.
        append("Master.csv", &rows[2][..100]);
        assert_eq!(read(), [""; 0]);
        fs::rename(&path, folder.path().join("Master.csv.1")).expect("rotated");
        append("Master.csv.1", &rows[2][100..]);
        append("Master.csv", &(rows[3].clone() + &rows[4][..20]));
        let found = [read(), read()].concat();
        assert_eq!(found, [name(3), name(4)], "the old file first");
        append("Master.csv", &rows[4][20..]);
        assert_eq!(read(), [name(5)]);
        ["Master.csv", "Master.csv.1"].iter().for_each(|name| fs::remove_file(folder.path().join(name)).expect("removed"));
    }
}

#[test]
fn trap_8_seconds_rounded_in_different_ways_are_never_mixed() {
    // FreeSWITCH's billsec is the difference of two floors: 10 for these 9.2 s.
    let at = |micros: i64| BEGIN * 1_000_000 + micros;
    let leg = |uuid: &str, direction: &str, number: &str, answer: i64, more: &str| {
        format!(
            "{{\"variables\":{{\"uuid\":\"{uuid}\",\"direction\":\"{direction}\",\"start_uepoch\":\"{}\",\"answer_uepoch\":\"{}\",\"end_uepoch\":\"{}\",\
             \"answer_epoch\":\"{}\",\"end_epoch\":\"{}\",\"billsec\":\"10\",\"caller_id_number\":\"%2B4989990001\",\"destination_number\":\"{number}\"{more}}}}}",
            at(0),
            at(answer),
            at(20_100_000),
            at(answer) / 1_000_000,
            at(20_100_000) / 1_000_000,
        )
    };
    let desk = super::rows::with(&fs::read_to_string("config/sources/freeswitch.toml").expect("it ships"));
    fs::create_dir(desk.path("spool")).expect("made");
    fs::write(desk.path("spool").join("a_a.cdr.json"), leg("a", "inbound", "089555010", 1_000_000, "")).expect("written");
    fs::write(desk.path("spool").join("b.cdr.json"), leg("b", "outbound", "201", 10_900_000, ",\"originator\":\"a\"")).expect("written");
    desk.taktd(&["replay", "--as", "freeswitch", &desk.path("spool").display().to_string()]).fine();
    assert_eq!(desk.short(), ["10:00:00 in K-1 201 wait 10 talk 9 agent"]);
    // Asterisk cuts seconds, or with initiatedseconds rounds them up.
    let answered = Part { call: 1, dst: "+4989555021", phone: "201", app: DIAL, times: (0, Some(4), 64), disposition: "ANSWERED" }.row();
    let mut found = Vec::new();
    for billsec in ["59", "60", "61"] {
        let desk = Desk::by_the_minute();
        desk.rows(&answered.replace(",64,60,", &format!(",64,{billsec},")), "").fine();
        found.push(desk.short().concat());
    }
    assert_eq!(
        found,
        [
            "10:00:00 in K-1009 201 wait 5 talk 59 agent",
            "10:00:00 in K-1009 201 wait 4 talk 60 agent",
            "10:00:00 in K-1009 201 wait 4 talk 61 agent",
        ],
        "the length that the switch measured, not that of its texts"
    );
    // What is made of several sources says so.
    let desk = Desk::new();
    let file = fs::read(recording("asterisk-16/sip.pcap")).expect("there");
    desk.replay(&super::replay::pieces(&desk, &file, &[300])[0]).fine();
    let running = desk.calls().iter().filter(|call| text(call, "ended_at").is_empty()).count();
    desk.taktd(&["replay", "--as", "asterisk-cdr", &recording("asterisk-16/Master.csv").display().to_string()]).fine();
    let reconciled = desk.calls().iter().filter(|call| text(call, "end") == "reconciled").count();
    assert!(running > 0 && reconciled >= running, "{running} ran, {reconciled} ended by the records");
}

#[test]
fn trap_7_usegmtime_the_other_way_round_and_the_hour_that_comes_twice() {
    let answered = |call| Part { call, dst: "+4989555021", phone: "201", app: DIAL, times: (0, Some(4), 64), disposition: "ANSWERED" };
    for (written, configured, right) in [
        (chrono_tz::UTC, "Europe/Berlin", "set timezone = \"UTC\""),
        (chrono_tz::Europe::Berlin, "UTC", "set timezone = \"Europe/Berlin\""),
    ] {
        let desk = Desk::changed(&[("timezone = \"Europe/Berlin\"               # of", &format!("timezone = \"{configured}\" # of"))]);
        let said = desk.rows(&answered(1).row_in(written, BEGIN), "").failed(1);
        assert!(said.contains("Master.csv:1: ") && said.contains(right), "{said}");
        assert_eq!(desk.calls(), Vec::<Value>::new());
    }
    // 2026-10-25 02:30 in summer time and, an hour later, in winter time; and across 03:00.
    let twice = [1_792_888_200, 1_792_891_800];
    let across = Part { call: 3, dst: "+4989555021", phone: "201", app: DIAL, times: (0, Some(60), 3_660), disposition: "ANSWERED" };
    let rows = answered(1).row_in(chrono_tz::Europe::Berlin, twice[0])
        + &answered(2).row_in(chrono_tz::Europe::Berlin, twice[1])
        + &across.row_in(chrono_tz::Europe::Berlin, twice[0] + 600);
    let desk = Desk::by_the_minute();
    desk.rows(&rows, "").fine();
    let found: Vec<(String, i64)> =
        desk.calls().iter().map(|call| (text(call, "started_at").to_owned(), call["talk_s"].as_i64().expect("seconds"))).collect();
    let found: Vec<(&str, i64)> = found.iter().map(|(at, talk)| (at.as_str(), *talk)).collect();
    assert_eq!(
        found,
        [("2026-10-25T02:30:00.000+02:00", 60), ("2026-10-25T02:40:00.000+02:00", 3_600), ("2026-10-25T02:30:00.000+01:00", 60),]
    );
}

#[test]
fn trap_16_queue_log_with_link_transfers_names_with_spaces_and_milliseconds() {
    let desk = Desk::by_the_minute();
    let rows = [
        Part { call: 1, dst: HOTLINE, phone: "202", app: QUEUE, times: (0, Some(0), 107), disposition: "ANSWERED" },
        Part { call: 2, dst: HOTLINE, phone: "203", app: QUEUE, times: (200, Some(200), 268), disposition: "ANSWERED" },
        Part { call: 3, dst: HOTLINE, phone: "202", app: QUEUE, times: (300, None, 330), disposition: "NO ANSWER" },
    ];
    let log = [
        line(0, 1, "NONE|ENTERQUEUE||x|1"),
        line(12, 1, "Agent 1|CONNECT|12|x|7"),
        line(107, 1, "Agent 1|COMPLETECALLER|12|95|1"),
        // The last three fields count from the right: held 8 s, talked 60 s.
        line(208, 2, "PJSIP/203|CONNECT|8|x|5"),
        line(268, 2, "PJSIP/203|ATTENDEDTRANSFER|LINK|Local/5@x-1;1|Local/5@x-1;2|8|60|1"),
        // Six seconds, in milliseconds: nobody talked for an hour and a half.
        line(306, 3, "PJSIP/202|RINGNOANSWER|6000"),
        line(330, 3, "NONE|ABANDON|1|1|30"),
    ]
    .concat();
    let rows: String = rows.iter().map(Part::row).collect();
    desk.rows(&rows, &log).fine();
    let expected = [
        "10:00:00 in K-1009 202 wait 12 talk 95 agent",
        "10:03:20 in K-1009 203 wait 8 talk 60 agent [\"transfer\"]",
        "10:05:00 in K-1009  wait 30 talk 0 abandoned in queue",
    ];
    assert_eq!(desk.short(), expected);
    desk.verified();
}

/// The checklist has sixteen; none may be forgotten.
#[test]
fn every_trap_has_a_test_of_its_name() {
    fn sources(folder: &std::path::Path, text: &mut String) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                sources(&path, text);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                *text += &fs::read_to_string(&path).expect("text");
            }
        }
    }
    let mut text = String::new();
    ["daemon", "tests"].iter().for_each(|folder| sources(folder.as_ref(), &mut text));
    let missing: Vec<u32> = (1..=16).filter(|trap| !text.contains(&format!("fn trap_{trap}_"))).collect();
    assert!(missing.is_empty(), "no test is named after the traps {missing:?}");
}
