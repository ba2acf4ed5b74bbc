//! What an accountant gets wrong, one thing at a time: `taktd check` names each, in words that say what would be right.
//!
//! `tests/cases/mistakes/` holds files that are right, and two lists of changes to them. A change that no longer fits, or that
//! nobody notices, fails here.

use super::standing;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use taktd::config::check::report;
use tempfile::TempDir;

const CASES: &str = "tests/cases/mistakes";
const FILES: [&str; 4] = ["taktd.toml", "tariff.toml", "lines.toml", "contracts.csv"];

/// A change: its name, and what is written instead of what stands there.
struct Change {
    name: String,
    places: Vec<(String, String)>,
}

#[test]
fn the_files_are_right_before_they_are_changed() {
    assert_eq!(said(&files(), true), "");
    assert_eq!(said(&files(), false), "");
}

#[test]
fn mistakes_are_explained() {
    let changes = changes("mistakes.txt");
    assert!(changes.len() >= 110, "only {} mistakes", changes.len());
    insta::assert_snapshot!(answers(&changes, true));
}

#[test]
fn what_looks_wrong_is_named() {
    let changes = changes("warnings.txt");
    assert!(changes.len() >= 35, "only {} warnings", changes.len());
    insta::assert_snapshot!(answers(&changes, false));
}

#[test]
fn contracts_are_counted_by_the_day() {
    let mut files = files();
    let contracts = files.get_mut("contracts.csv").expect("one of them");
    *contracts = contracts.replace("K-5,Sommer,lines,2026-01-01,,,", "K-5,Sommer,lines,2025-01-01,,2026-11-24,");
    let folder = written(&files);
    let counted = report(&folder.path().join("taktd.toml"), &standing()).contracts.expect("no mistakes");
    // Of K-4 one row goes on where the other ends; 24 November is the first day that K-5 no longer covers.
    assert_eq!((counted.in_force, counted.to_come), (2, 2));
    assert_eq!(counted.over, [("K-5".into(), "2026-11-24".parse().expect("a day"))]);
}

/// What `check` says about each change: mistakes, or warnings without any mistake.
fn answers(changes: &[Change], mistakes: bool) -> String {
    let (mut shown, mut silent) = (String::new(), Vec::new());
    for Change { name, places } in changes {
        let mut files = files();
        for (from, to) in places {
            let found: Vec<_> = files.iter().flat_map(|(file, text)| text.match_indices(from).map(move |_| *file)).collect();
            assert_eq!(found.len(), 1, "{name}: what is to be changed stands in {found:?}");
            let text = files.get_mut(found[0]).expect("one of them");
            *text = text.replacen(from, to, 1);
        }
        let said = said(&files, mistakes);
        if said.is_empty() {
            silent.push(name.as_str());
        }
        let _ = writeln!(shown, "## {name}\n{said}");
    }
    assert!(silent.is_empty(), "nobody noticed: {silent:#?}");
    shown
}

fn said(files: &BTreeMap<&str, String>, mistakes: bool) -> String {
    let folder = written(files);
    let report = report(&folder.path().join("taktd.toml"), &standing());
    let mut shown = String::new();
    assert!(mistakes || report.problems.is_empty(), "mistakes, not warnings: {:#?}", report.problems);
    for problem in if mistakes { &report.problems } else { &report.warnings } {
        let _ = writeln!(shown, "{}", problem.with_excerpt());
    }
    shown.replace(&format!("{}/", folder.path().display()), "")
}

fn written(files: &BTreeMap<&str, String>) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        fs::write(folder.path().join(name), text).expect("written");
    }
    folder
}

fn files() -> BTreeMap<&'static str, String> {
    FILES.into_iter().map(|name| (name, fs::read_to_string(Path::new(CASES).join(name)).expect(name))).collect()
}

fn changes(list: &str) -> Vec<Change> {
    let text = fs::read_to_string(Path::new(CASES).join(list)).expect(list);
    text.split("\n## ").skip(1).map(|entry| Change { name: entry.lines().next().unwrap_or("").to_owned(), places: places(entry) }).collect()
}

/// Lines marked `-`, then those marked `+`; a `-` after a `+` begins another place.
fn places(entry: &str) -> Vec<(String, String)> {
    let mut places: Vec<(Vec<&str>, Vec<&str>)> = Vec::new();
    for line in entry.lines().skip(1) {
        match (line.split_at_checked(1), places.last_mut()) {
            (Some(("-", line)), Some((from, to))) if to.is_empty() => from.push(line),
            (Some(("-", line)), _) => places.push((vec![line], Vec::new())),
            (Some(("+", line)), Some((_, to))) => to.push(line),
            (marked, _) => assert!(marked.is_none(), "{line} is marked neither - nor +"),
        }
    }
    places.into_iter().map(|(from, to)| (from.join("\n"), to.join("\n"))).collect()
}
