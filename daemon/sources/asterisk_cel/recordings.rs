//! Recordings of real switches against the truth of every call in them.

use super::layout::Layout;
use super::*;
use crate::sources::asterisk_cdr::folder;
use crate::sources::channel_recordings::{check, concluded, told};

const RECORDINGS: [&str; 4] = ["asterisk-16", "asterisk-22", "asterisk-16-clock/back", "asterisk-16-clock/forth"];

fn events(recording: &str) -> Vec<ChannelEvent> {
    let mut source = AsteriskCel::new(&Config { path: folder(recording).join("cel.csv"), layout: Layout::Auto }, None);
    let mut events = Vec::new();
    loop {
        let batch = source.poll().expect("reads");
        events.extend(batch.events);
        if !batch.more {
            break;
        }
    }
    source.finish().expect("recognized");
    let counts = source.counts();
    assert_eq!((counts.malformed, counts.broken), (0, 0), "{recording}");
    events
}

#[test]
fn every_call_of_the_recordings_comes_once_and_right() {
    for recording in RECORDINGS {
        check(recording, "cel.csv", &events(recording));
    }
}

#[test]
fn cut_in_two_at_any_line_the_calls_are_the_same() {
    for recording in ["asterisk-16", "asterisk-22"] {
        let events = events(recording);
        let whole = concluded(&told(&events, &[]));
        for cut in 0..events.len() {
            assert_eq!(concluded(&told(&events, &[cut])), whole, "{recording} cut after event {cut}");
        }
        let every: Vec<usize> = (0..events.len()).collect();
        assert_eq!(concluded(&told(&events, &every)), whole, "{recording} cut after every event");
    }
}

/// The same file with other columns: each record is changed by `change`.
fn rewritten(layout: Layout, change: impl Fn(Vec<String>) -> Vec<String>) -> Result<Vec<ChannelEvent>, PollError> {
    let folder_of = tempfile::tempdir().expect("a folder");
    let path = folder_of.path().join("cel.csv");
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_path(folder("asterisk-22").join("cel.csv")).expect("opens");
    let mut writer = csv::WriterBuilder::new().quote_style(csv::QuoteStyle::Always).from_path(&path).expect("opens");
    for record in reader.records() {
        let fields = record.expect("a record").iter().map(str::to_owned).collect();
        writer.write_record(change(fields)).expect("written");
    }
    drop(writer);
    let mut source = AsteriskCel::new(&Config { path, layout }, None);
    let mut events = Vec::new();
    while let Some(batch) = Some(source.poll()?).filter(|batch| batch.rows > 0) {
        events.extend(batch.events);
    }
    Ok(events)
}

#[test]
fn the_sample_of_asterisk_and_any_configured_line_come_to_the_same() {
    let expected = events("asterisk-22");
    // amaflags stands behind appdata, userdeftype before eventextra.
    let sample = rewritten(Layout::Auto, |mut fields| {
        fields.insert(12, "3".to_owned());
        fields.insert(18, String::new());
        fields
    });
    assert!(sample.expect("read") == expected);
    let names = ["eventextra", "uniqueid", "linkedid", "channel", "exten", "-", "cid_num", "appname", "appdata", "eventtime", "eventtype"];
    let own = Layout::Columns(layout::Columns::parse(&names).expect("complete"));
    let shuffled = rewritten(own, |fields| [17, 13, 14, 9, 7, 8, 3, 10, 11, 1, 0].map(|place| fields[place].clone()).to_vec());
    assert!(shuffled.expect("read") == expected);
}

#[test]
fn a_file_of_another_layout_stops_at_its_first_line() {
    for (change, text) in [
        (
            (|mut fields| {
                fields.pop();
                fields
            }) as fn(Vec<String>) -> Vec<String>,
            "cel.csv:1: 17 columns; the sample of cel_custom has 20",
        ),
        (
            |mut fields| {
                fields[1] = "2026-11-21 21:08:07".to_owned();
                fields
            },
            "cel.csv:1: eventtime is \"2026-11-21 21:08:07\"; seconds since 1970",
        ),
    ] {
        let error = rewritten(Layout::Auto, change).expect_err("refused").to_string();
        assert!(error.contains(text), "{error}");
    }
}
