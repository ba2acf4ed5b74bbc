//! Rows out of files as they grow, are cut, or are not what was configured.

use super::columns::Columns;
use super::moment::{SpanFormat, TimeFormat};
use super::*;
use crate::calls::{Lies, Outcome, TalkFrom, Way};
use crate::units::codec::{Reader, Writer};
use chrono_tz::Tz;
use std::fs::{OpenOptions, rename};
use std::io::Write as _;
use std::path::Path;

const HEAD: &str = "Id;Caller;Called;Start;Connect;End;Talk;Dir;State\n";

fn config(path: &Path) -> Config {
    let column = |name: &str| vec![ColumnRef::Name(name.into())];
    let none = Vec::new;
    Config {
        path: path.to_owned(),
        delimiter: b';',
        encoding: Encoding::Utf8,
        names: Names::Header,
        columns: Columns {
            call_id: column("Id"),
            caller: column("Caller"),
            called: column("Called"),
            started_at: column("Start"),
            connected_at: column("Connect"),
            ended_at: column("End"),
            talk: column("Talk"),
            direction: column("Dir"),
            outcome: column("State"),
            answered_at: none(),
            duration: none(),
            wait: none(),
            agent: none(),
            queue: none(),
            same_call: none(),
            contract: none(),
            severity: none(),
            ticket: none(),
        },
        reading: Reading {
            zone: Tz::Europe__Berlin,
            times: vec![TimeFormat::parse("%d.%m.%Y %H:%M:%S").expect("a pattern")],
            lengths: vec![SpanFormat::Minutes, SpanFormat::Seconds],
            never: vec!["-".into()],
            withheld: vec!["unbekannt".into()],
            strip: vec!["tel:".into()],
            agent_prefixes: Vec::new(),
            directions: vec![("in".into(), Way::In)],
            outcomes: vec![("lost".into(), Outcome::Abandoned)],
            talk_from: TalkFrom::Agent,
            lies: Lies::AsTold,
        },
    }
}

fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).expect("opens");
    file.write_all(text.as_bytes()).expect("writes");
}

fn row(id: u32, second: u32) -> String {
    format!("{id};089990001;555010;10.03.2026 10:00:{second:02};10.03.2026 10:01:00;10.03.2026 10:02:00;1:00;in;\n")
}

fn ids(source: &mut CsvRows) -> Vec<String> {
    source.poll().expect("readable").rows.iter().map(|row| row.key.to_string()).collect()
}

fn restart(source: &CsvRows) -> CsvRows {
    let mut out = Writer::new();
    source.position().write(&mut out);
    let bytes = out.finish();
    CsvRows::new(&source.config, SourcePosition::read(&mut Reader::new(&bytes)))
}

/// The only row of a file, or why it is none.
fn only(line: &str) -> Result<CallRow, String> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("calls.csv");
    append(&path, &format!("{HEAD}{line}\n"));
    let mut source = CsvRows::new(&config(&path), None);
    let rows = source.poll().expect("readable").rows;
    match (rows.into_iter().next(), source.take_aside()) {
        (Some(row), None) => Ok(row),
        (None, Some(aside)) => Err(aside.to_string()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn it_is_followed_over_rotation_half_lines_and_restarts() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("calls.csv");
    let mut source = CsvRows::new(&config(&path), None);
    assert!(ids(&mut source).is_empty(), "the file is not there yet");
    append(&path, &format!("\u{feff}{HEAD}{}{}", row(1, 1), &row(2, 2)[..30]));
    assert_eq!(ids(&mut source), ["1"]);
    let mut source = restart(&source);
    append(&path, &row(2, 2)[30..]);
    assert_eq!(ids(&mut source), ["2"], "the header is known after a restart in the middle of the file");
    rename(&path, folder.path().join("calls.csv.1")).expect("renames");
    append(&folder.path().join("calls.csv.1"), &row(3, 3));
    // The new file has its columns in another order.
    append(&path, "Caller;Id;Called;Start;Connect;End;Talk;Dir;State\n089990001;4;555010;10.03.2026 10:00:04;-;10.03.2026 10:02:00;;in;\n");
    assert_eq!(ids(&mut source), ["3", "4"]);
    let mut source = restart(&source);
    assert!(ids(&mut source).is_empty());
    assert_eq!(source.counts().malformed, 0);
    // What another program wrote over it is read from its beginning; a header in the middle is no row.
    std::fs::write(&path, format!("{HEAD}{}{HEAD}{}", row(5, 5), row(6, 6))).expect("writes");
    assert_eq!(ids(&mut source), ["5", "6"]);
    assert_eq!((source.counts().malformed, source.counts().file.truncated), (0, 1));
}

#[test]
fn a_row_that_cannot_be_read_is_set_aside_and_the_rest_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("calls.csv");
    let bad = row(2, 2).replace("10.03.2026 10:01:00", "soon");
    append(&path, &format!("{HEAD}{}{bad}{bad}{bad}1;2\n\n{}", row(1, 1), row(3, 3)));
    let mut source = CsvRows::new(&config(&path), None);
    assert_eq!(ids(&mut source), ["1", "3"]);
    assert_eq!(source.counts().malformed, 4);
    let aside = source.take_aside().expect("the first").to_string();
    assert!(aside.ends_with("calls.csv:3: connected_at is \"soon\"; a time in one of the forms of `time_format`, which the zone's clock showed would have been right"), "{aside}");
    assert!(source.finish().is_ok());
}

#[test]
fn a_file_that_is_not_what_was_configured_stops_the_source() {
    let folder = tempfile::tempdir().expect("a folder");
    let check = |name: &str, text: &str, expected: &str| {
        let path = folder.path().join(name);
        append(&path, text);
        let error = CsvRows::new(&config(&path), None).poll().expect_err(name).to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(
        "lacks.csv",
        &HEAD.replace("Connect", "Connected"),
        "lacks.csv:1: columns.connected_at: the header has no column \"Connect\"; it has \"Id\", \"Caller\", \"Called\", \"Start\", \"Connected\", \"End\"",
    );
    check("twice.csv", &HEAD.replace("State", "Start"), "several columns \"Start\"; give the number");
    let american = row(1, 1).replace("10.03.2026", "03/10/2026");
    check("forms.csv", &format!("{HEAD}{american}{american}{american}{}", row(4, 4)), "forms.csv:2: started_at is \"03/10/2026 10:00:01\"");
    // What was stopped says so again, and the readable rows before it came first.
    let path = folder.path().join("later.csv");
    append(&path, &format!("{HEAD}{}", row(1, 1)));
    let mut source = CsvRows::new(&config(&path), None);
    assert_eq!(ids(&mut source), ["1"]);
    rename(&path, folder.path().join("later.csv.1")).expect("renames");
    append(&path, "Id;Caller\n");
    for _ in 0..2 {
        assert!(source.poll().is_err_and(|error| error.to_string().contains("later.csv:1: columns.")));
    }
    assert!(source.finish().is_err());
}

#[test]
fn a_row_that_contradicts_itself_is_none() {
    let line = |start: &str, connect: &str, end: &str, talk: &str| format!("1;a;b;{start};{connect};{end};{talk};in;");
    for (line, expected) in [
        (line("10.03.2026 10:00:00", "-", "10.03.2026 09:59:00", ""), "it ends 60 s before it begins"),
        (line("10.03.2026 10:00:00", "10.03.2026 10:00:10", "10.03.2026 10:01:00", "10:00"), "talk of 600 s is longer than the call"),
        (line("10.03.2026 10:00:00", "10.03.2026 09:00:10", "10.03.2026 10:01:00", ""), "talk begins at"),
        (line("29.03.2026 02:30:00", "-", "29.03.2026 03:31:00", ""), "started_at is"),
        (line("10.03.2026 10:00:00", "-", "10.03.2026 10:01:00", "1m"), "talk is \"1m\"; a length"),
        (line("10.03.2026 10:00:00", "-", "", ""), "its end is not told"),
        (line("", "-", "10.03.2026 10:01:00", ""), "its beginning is not told"),
        (line("10.03.2026 10:00:00", "-", "10.03.2026 10:01:00", "").replace(";in;", ";inn;"), "direction is \"inn\""),
    ] {
        let error = only(&line).expect_err(&line);
        assert!(error.contains(expected), "{line}: {error}");
    }
}

#[test]
fn lengths_and_the_hour_that_comes_twice() {
    // 02:59:30 summer time to 02:00:30 winter time: a minute by the lengths, an hour backwards by the text.
    let row = only("1;unbekannt;tel:555010;25.10.2026 02:59:30;25.10.2026 02:59:40;25.10.2026 02:00:30;0:50;in;lost").expect("a row");
    let talk = row.talk.expect("talk");
    let seconds = |at: Timestamp| at.micros() / 1_000_000;
    assert_eq!((seconds(row.started_at), row.ended_at.map(seconds)), (1_792_889_970, Some(1_792_890_030)));
    assert_eq!((seconds(talk.from), talk.to.map(seconds)), (1_792_889_980, Some(1_792_890_030)));
    assert_eq!((&*row.caller, &*row.called, row.outcome), ("", "555010", Outcome::Abandoned));
    // The length is what the switch measured, and not the difference of two times that were each cut.
    let row = only("1;a;b;10.03.2026 10:00:00;10.03.2026 10:00:10;10.03.2026 10:01:00;49;in;").expect("a row");
    assert_eq!(row.talk.and_then(|talk| talk.to).map(seconds), Some(seconds(row.started_at) + 59));
    let row = only("1;a;b;10.03.2026 10:00:00;-;10.03.2026 10:01:00;0:00;in;").expect("a row");
    assert_eq!(row.talk, None);
}
