//! What exports promise: the same bytes for the same range, corrections as pairs, files whole or not at all.

use super::*;
use crate::ledger::samples::{call, fee, id, ledger, matched, odd_call, raw, record, tuesday};
use crate::meter::Party;
use crate::units::Seconds;
use chrono_tz::Europe::Berlin;
use std::fs;

fn settings(directory: &Path) -> Settings {
    Settings { directory: directory.into(), formats: vec![Format::Csv, Format::Jsonl], digits: Digits::All, zone: Berlin }
}

/// Journals the calls these records are about, if need be, and posts them.
fn post(ledger: &mut Ledger, records: &[Record]) {
    let mut batch = ledger.batch().expect("a batch");
    for record in records {
        let crate::meter::RecordKey::Call(name) = &record.key else { continue };
        if batch.ledger().call(name).expect("read").is_none() {
            batch.journal_call(&call(name.as_str(), 0), &matched("K-1")).expect("journaled");
        }
    }
    batch.post(records).expect("posted");
    batch.commit().expect("committed");
}

fn march() -> Selection {
    let at = |text| Timestamp::parse_rfc3339(text).expect("a time");
    Selection::Period { from: at("2026-03-01T00:00:00+01:00"), to: at("2026-04-01T00:00:00+02:00") }
}

fn range(first: i64, last: i64) -> Selection {
    Selection::Range { first, last }
}

/// The files of an export by their suffix.
fn files(ledger: &mut Ledger, selection: Selection, settings: &Settings) -> Vec<String> {
    let report = export(ledger, selection, settings).expect("exported");
    report.files.iter().map(|path| fs::read_to_string(path).expect("a file")).collect()
}

/// Each line of the JSON file as `call_id line net`.
fn shown(ledger: &mut Ledger, selection: Selection) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let text = &files(ledger, selection, &settings(folder.path()))[1];
    text.lines()
        .map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
            let text = |name: &str| line[name].as_str().unwrap_or("-").to_owned();
            format!("{} {} {}", text("call_id"), text("line"), text("net"))
        })
        .collect()
}

#[test]
fn a_period_as_files() {
    let (folder, mut ledger) = ledger();
    post(&mut ledger, &[record(&call("a@192.0.2.1;x", 0), "K-1", "1.50"), fee("K-1", "29.00")]);
    let report = export(&mut ledger, march(), &settings(folder.path())).expect("exported");
    let names: Vec<_> = report.files.iter().map(|path| path.file_name().and_then(|name| name.to_str()).expect("a name")).collect();
    assert_eq!(
        names,
        ["taktd-2026-03-01-2026-04-01.csv", "taktd-2026-03-01-2026-04-01.jsonl", "taktd-2026-03-01-2026-04-01.manifest.json"]
    );
    assert_eq!((report.lines, report.reversals), (2, 0));
    let text = |place: usize| fs::read_to_string(&report.files[place]).expect("a file");
    insta::assert_snapshot!("period_csv", text(0).replace("\r\n", "␍\n"));
    insta::assert_snapshot!("period_jsonl", text(1));
    insta::assert_snapshot!("period_manifest", text(2));
    let manifest: serde_json::Value = serde_json::from_str(&text(2)).expect("JSON");
    for (place, file) in manifest["files"].as_array().expect("a list").iter().enumerate() {
        let bytes = fs::read(&report.files[place]).expect("a file");
        assert_eq!(file["bytes"], bytes.len());
        assert_eq!(file["sha256"], crate::ledger::hex(&<sha2::Sha256 as sha2::Digest>::digest(&bytes)));
    }
    let left = fs::read_dir(folder.path())
        .expect("a folder")
        .filter(|entry| entry.as_ref().is_ok_and(|entry| entry.file_name().to_string_lossy().ends_with(".tmp")));
    assert_eq!(left.count(), 0);
}

#[test]
fn a_correction_as_files() {
    let (folder, mut ledger) = ledger();
    let call = call("a", 0);
    post(&mut ledger, &[record(&call, "K-1", "1.50")]);
    post(&mut ledger, &[record(&call, "K-1", "2.00")]);
    let text = files(&mut ledger, range(2, 3), &Settings { formats: vec![Format::CsvGerman, Format::Jsonl], ..settings(folder.path()) });
    insta::assert_snapshot!("correction_csv_german", text[0].replace("\r\n", "␍\n").replace('\u{feff}', "<BOM>"));
    insta::assert_snapshot!("correction_jsonl", text[1]);
    let manifest: serde_json::Value = serde_json::from_str(&text[2]).expect("JSON");
    assert_eq!((&manifest["first"], &manifest["last"], &manifest["reversals"]), (&2.into(), &3.into(), &1.into()));
    assert_eq!(manifest["last_hash"], ledger.entry_hash(3).expect("read").expect("there").hex());
    assert_eq!(manifest["totals"][0]["gross"], "0.59", "2.38 - 1.79");
}

#[test]
fn a_range_is_what_it_changed() {
    let (_folder, mut ledger) = ledger();
    let [a, b] = [call("a", 9), call("b", 3)];
    let record = |call, net| record(call, "K-1", net);
    post(&mut ledger, &[record(&a, "1.00"), record(&b, "2.00")]); // 1, 2
    post(&mut ledger, &[record(&a, "1.50")]); // 3 takes 1 back, 4
    post(&mut ledger, &[record(&a, "1.75")]); // 5 takes 4 back, 6
    post(&mut ledger, &[record(&a, "1.00")]); // 7 takes 6 back, 8: as before
    let cases: [(i64, i64, &[&str]); 8] = [
        (1, 2, &["b entry 2.00", "a entry 1.00"]),
        (1, 4, &["b entry 2.00", "a entry 1.50"]),
        (3, 4, &["a reversal -1.00", "a entry 1.50"]),
        (3, 3, &["a reversal -1.00"]),
        (3, 6, &["a reversal -1.00", "a entry 1.75"]),
        (5, 6, &["a reversal -1.50", "a entry 1.75"]),
        (3, 8, &[]),
        (1, 8, &["b entry 2.00", "a entry 1.00"]),
    ];
    for (first, last, expected) in cases {
        assert_eq!(shown(&mut ledger, range(first, last)), expected, "{first}-{last}");
    }
    for (first, last) in [(0, 1), (5, 4), (1, 9)] {
        let folder = tempfile::tempdir().expect("a folder");
        let error = export(&mut ledger, range(first, last), &settings(folder.path())).expect_err("no such range");
        assert_eq!(error.to_string(), format!("range {first}-{last}: the ledger has the entries 1-8"));
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);
    }
}

/// The same bytes later, whatever was posted since; of a period, whichever way the records came to be.
#[test]
fn the_same_selection_gives_the_same_bytes() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = settings(folder.path());
    let (_one, mut straight) = ledger();
    let (_two, mut winding) = ledger();
    let [a, b] = [call("a", 9), call("b", 3)];
    let record = |call, net| record(call, "K-1", net);
    post(&mut straight, &[record(&b, "2.00"), record(&a, "1.50")]);
    post(&mut winding, &[record(&a, "1.00")]);
    let before = files(&mut winding, range(1, 1), &settings);
    post(&mut winding, &[record(&b, "9.00")]);
    post(&mut winding, &[record(&a, "1.50"), record(&b, "2.00")]);
    assert_eq!(files(&mut winding, range(1, 1), &settings), before);
    assert_eq!(files(&mut straight, march(), &settings), files(&mut winding, march(), &settings));
}

#[test]
fn nightly_ranges_meet_and_none_is_empty_of_entries() {
    let (folder, mut ledger) = ledger();
    let settings = settings(folder.path());
    let names = |reports: Vec<Report>| -> Vec<String> {
        let name = |report: Report| report.files.last().and_then(|path| path.file_name()).map(|name| name.to_string_lossy().into_owned());
        reports.into_iter().filter_map(name).collect()
    };
    assert_eq!(names(nightly(&mut ledger, &settings).expect("nothing to do")), Vec::<String>::new());
    post(&mut ledger, &[record(&call("a", 0), "K-1", "1.00")]);
    assert_eq!(names(nightly(&mut ledger, &settings).expect("exported")), ["taktd-1-1.manifest.json"]);
    assert_eq!(names(nightly(&mut ledger, &settings).expect("nothing new")), Vec::<String>::new());
    post(&mut ledger, &[record(&call("a", 0), "K-1", "2.00")]);
    // A night on which the folder is gone is made up for, with the range it had.
    let gone = Settings { directory: folder.path().join("gone"), ..settings.clone() };
    let error = nightly(&mut ledger, &gone).expect_err("no folder").to_string();
    assert!(error.contains("gone"), "{error}");
    post(&mut ledger, &[record(&call("b", 0), "K-1", "2.00")]);
    assert_eq!(names(nightly(&mut ledger, &settings).expect("exported")), ["taktd-2-3.manifest.json", "taktd-4-4.manifest.json"]);
}

#[test]
fn numbers_are_masked_by_their_last_digits() {
    let style = Style { digits: Digits::Masked(3), ..Style::PLAIN };
    for (text, expected) in [
        ("+49891234567", Some("+49891234xxx")),
        ("089 1234567", Some("089 1234xxx")),
        ("0891 23 4-5", Some("0891 2x x-x")),
        ("201", Some("201")),
        ("+12", Some("+xx")),
        ("anna.muster", Some("anna.muster")),
        ("", None),
        ("hmac:5bdcc146bf60754e6a042426089575c7", None),
    ] {
        assert_eq!(style.number(text).as_deref(), expected, "{text}");
    }
    let (folder, mut ledger) = ledger();
    let told = Some("assigned by kasse: from 089 123 45 67, ticket 4711".into());
    post(&mut ledger, &[Record { reason: told, ..record(&call("a", 0), "K-1", "1.50") }]);
    let masked = Settings { digits: Digits::Masked(3), ..settings(folder.path()) };
    for text in files(&mut ledger, march(), &masked) {
        assert!(!text.contains("1234567") && !text.contains("555010") && !text.contains("45 67"), "{text}");
        assert!(!text.contains("kasse") || text.contains("from 089 123 4x xx, ticket 4711"), "{text}");
    }
}

#[test]
fn no_cell_is_a_formula() {
    let (folder, mut ledger) = ledger();
    let evil = Record {
        agent: Some("=HYPERLINK(\"http://198.51.100.1\")".into()),
        severity: Some("@SUM(A1)".into()),
        incident: Some("-1+1".into()),
        reason: Some("\tx, \"y\"\r\nz".into()),
        hotline: Some("+49 Support".into()),
        caller: Party::Raw(raw("=1+1")),
        called: Party::Raw(raw("+49891234567;x")),
        ..record(&call("=cmd|' /C calc'!A0", 0), "K-1", "1.50")
    };
    let mut evil = evil;
    evil.key = crate::meter::RecordKey::Call(id("=cmd|' /C calc'!A0"));
    post(&mut ledger, &[evil]);
    for formats in [vec![Format::Csv], vec![Format::CsvGerman]] {
        let german = formats == [Format::CsvGerman];
        let text = &files(&mut ledger, march(), &Settings { formats, ..settings(folder.path()) })[0];
        let text = text.trim_start_matches('\u{feff}');
        let mut reader = ::csv::ReaderBuilder::new().delimiter(if german { b';' } else { b',' }).from_reader(text.as_bytes());
        let columns = reader.headers().expect("a header").clone();
        let row = reader.records().next().expect("a row").expect("well formed");
        let cell = |name: &str| &row[columns.iter().position(|column| column == name).expect("a column")];
        assert_eq!(cell("call_id"), "'=cmd|' /C calc'!A0");
        assert_eq!(cell("agent"), "'=HYPERLINK(\"http://198.51.100.1\")");
        assert_eq!((cell("severity"), cell("incident")), ("'@SUM(A1)", "'-1+1"));
        assert_eq!(cell("reason"), "'\tx, \"y\"\r\nz");
        assert_eq!((cell("hotline"), cell("caller"), cell("called")), ("'+49 Support", "'=1+1", "'+49891234567;x"));
        assert_eq!(cell("net"), if german { "1,50" } else { "1.50" });
    }
}

#[test]
fn a_reversal_is_the_exact_opposite() {
    let (_folder, mut ledger) = ledger();
    let mut long = call("a", 0);
    long.talks[0].to = Some(tuesday().plus(Seconds::new(500)));
    post(&mut ledger, &[record(&long, "K-1", "1.50"), fee("K-1", "29.00")]);
    let mut batch = ledger.batch().expect("a batch");
    let (from, to) = (Timestamp::default(), Timestamp::from_micros(i64::MAX));
    batch.post_set(&crate::ledger::Scope { contract: "K-1", from, to }, &[]).expect("posted");
    batch.commit().expect("committed");
    let folder = tempfile::tempdir().expect("a folder");
    let lines: Vec<serde_json::Value> = [range(1, 2), range(3, 4)]
        .into_iter()
        .flat_map(|range| {
            let text = files(&mut ledger, range, &settings(folder.path()))[1].clone();
            text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect::<Vec<_>>()
        })
        .collect();
    for (due, back) in lines[..2].iter().zip(&lines[2..]) {
        for name in ["wait_s", "talk_s", "billed_s", "quantity"] {
            assert_eq!(due[name].as_i64().map(|value| -value), back[name].as_i64(), "{name}");
        }
        for name in ["net", "vat", "gross"] {
            assert_eq!(format!("-{}", due[name].as_str().expect("a text")), back[name].as_str().expect("a text"));
        }
        assert_eq!(back["reverses"], due["seq"]);
        assert_eq!(back["call_id"], due["call_id"]);
    }
    assert_eq!(lines[3]["lines"][1]["amount"], "-1.50");
    assert_eq!(lines[3]["lines"][0]["amount"], "0.00", "nothing has no sign");
    assert_eq!(lines[3]["allowances"][0]["used"], -60);
    assert_eq!(shown(&mut ledger, range(1, 4)), Vec::<String>::new());
}

#[test]
fn what_is_unknown_is_null() {
    let mut out = Vec::new();
    let mut bare = record(&odd_call("odd"), "K-1", "0.00");
    bare.caller = Party::Raw(raw(""));
    bare.contract = None;
    crate::ledger::result::write_json(&mut out, &bare, &Style::PLAIN);
    insta::assert_snapshot!("odd_json", String::from_utf8(out).expect("UTF-8"));
}

#[test]
fn odd_settings_and_periods_are_said() {
    let (folder, mut ledger) = ledger();
    let both = Settings { formats: vec![Format::Csv, Format::CsvGerman], ..settings(folder.path()) };
    let error = export(&mut ledger, march(), &both).expect_err("twice").to_string();
    assert!(error.contains("taktd-2026-03-01-2026-04-01.csv would be written twice"), "{error}");
    let backwards = Selection::Period { from: tuesday(), to: tuesday() };
    assert!(matches!(export(&mut ledger, backwards, &both), Err(ExportError::Period { .. })));
    assert_eq!(
        stem(Selection::Period { from: tuesday(), to: tuesday().plus(Seconds::new(61)) }, Berlin),
        "taktd-2026-03-10T100000-2026-03-10T100101"
    );
}
