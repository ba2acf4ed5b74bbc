//! The truth is checked against the wire, by the daemon's own reader.

use super::numbers::{Caller, contract_id, contracts_csv};
use super::{Arguments, Captures, make_calls};
use clap::Parser;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::ops::ControlFlow;
use std::path::Path;
use taktd::sources::pcap::{Capture, Progress};
use taktd::units::Observation;

/// Writes captures into a folder, and gives the number of messages that the truth tells.
fn make(folder: &Path, arguments: &[&str]) -> u64 {
    let out = folder.join("load").display().to_string();
    let arguments = Arguments::parse_from(["make-load", "--out", &out].iter().chain(arguments));
    let mut captures = Captures::create(&arguments).unwrap();
    make_calls(&arguments, &mut captures).unwrap();
    for pcap in [captures.sip, captures.hep].into_iter().flatten() {
        pcap.finish().unwrap();
    }
    captures.messages
}

/// The messages of a capture: time, Call-ID, first line, CSeq's method.
fn messages(path: &Path) -> Vec<(i64, String, String, String)> {
    let mut found = Vec::new();
    let mut capture = Capture::new("load", File::open(path).unwrap());
    let end = capture.advance(u64::MAX, |packet| {
        let Observation::Sip(message) = packet.observation;
        let text = std::str::from_utf8(message.payload).unwrap();
        let header = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert_eq!(header("Content-Length: "), body.len().to_string(), "{text}");
        let method = header("CSeq: ").split_once(' ').unwrap().1.to_owned();
        found.push((message.captured_at.micros(), header("Call-ID: "), head.lines().next().unwrap().to_owned(), method));
        ControlFlow::Continue(())
    });
    assert_eq!(end.unwrap(), Progress::Complete);
    found
}

#[test]
fn the_wire_shows_what_the_truth_tells() {
    let folder = tempfile::tempdir().unwrap();
    let count = make(folder.path(), &["--calls", "300", "--fragment", "0.2", "--lost-bye", "0.1", "--mean-talk", "30"]);
    let sip = messages(&folder.path().join("load-sip.pcap"));
    assert_eq!(sip.len() as u64, count);
    assert!(sip.is_sorted_by_key(|message| message.0));
    let hep = messages(&folder.path().join("load-hep.pcap"));
    let without_times =
        |messages: &[(i64, String, String, String)]| messages.iter().map(|found| (found.1.clone(), found.2.clone())).collect::<Vec<_>>();
    assert_eq!(without_times(&hep), without_times(&sip));
    for wire in [&sip, &hep] {
        let mut moments: BTreeMap<&str, BTreeSet<(&str, i64)>> = BTreeMap::new();
        for (at, call_id, start, method) in wire {
            match (start.as_str(), method.as_str()) {
                ("SIP/2.0 200 OK", "INVITE") => moments.entry(call_id).or_default().insert(("answer", *at)),
                (start, "BYE") if start.starts_with("BYE ") => moments.entry(call_id).or_default().insert(("bye", *at)),
                _ => false,
            };
        }
        let table = fs::read_to_string(folder.path().join("load-calls.csv")).unwrap();
        for line in table.lines().skip(1) {
            let fields: Vec<&str> = line.split(',').collect();
            let micros = |field: &str| field.replace('.', "").parse::<i64>().unwrap();
            let of_call: BTreeSet<_> = fields[15].split(' ').filter_map(|id| moments.get(id)).flatten().copied().collect();
            let byes: Vec<_> = of_call.iter().filter(|(what, _)| *what == "bye").map(|(_, at)| *at).collect();
            if !fields[9].is_empty() {
                assert!(of_call.contains(&("answer", micros(fields[9]))), "{line}: {of_call:?}");
            }
            if fields[13] == "1" {
                assert!(byes.len() <= 1 + usize::from(fields[1] == "transfer"), "{line}: {byes:?}");
            } else if !fields[9].is_empty() {
                assert!(byes.contains(&micros(fields[10])), "{line}: {byes:?}");
            }
        }
    }
}

#[test]
fn the_same_arguments_give_the_same_bytes() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    for (folder, seed) in folders.iter().zip(["7", "7", "8"]) {
        make(folder.path(), &["--calls", "50", "--seed", seed, "--loss", "0.01"]);
    }
    for name in ["load-sip.pcap", "load-hep.pcap", "load-calls.csv"] {
        let [one, same, other] = folders.each_ref().map(|folder| fs::read(folder.path().join(name)).unwrap());
        assert!(one == same && one != other, "{name}");
    }
}

#[test]
fn what_changes_the_wire_leaves_the_calls_alone() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    make(folders[0].path(), &["--calls", "50", "--duplicate", "0"]);
    make(folders[1].path(), &["--calls", "50", "--duplicate", "0.5", "--loss", "0.1", "--fragment", "0.5"]);
    let [plain, changed] = folders.each_ref().map(|folder| fs::read_to_string(folder.path().join("load-calls.csv")).unwrap());
    assert_eq!(plain, changed);
}

#[test]
fn the_contracts_list_the_numbers_they_own() {
    for contracts in [1, 7, 500, 20_000] {
        let csv = contracts_csv(contracts);
        let mut exact = BTreeMap::new();
        let mut prefixes = BTreeMap::new();
        for line in csv.lines().skip(1) {
            let fields: Vec<&str> = line.split(',').collect();
            assert_eq!(fields.len(), 11, "{line}");
            for number in fields[8].split('|').filter(|number| !number.is_empty()) {
                let table = if number.ends_with('*') { &mut prefixes } else { &mut exact };
                assert_eq!(table.insert(number.trim_end_matches('*').to_owned(), fields[0].to_owned()), None, "{number} twice");
            }
        }
        let towns = (0..5).flat_map(|town| (0..1000).map(move |number| Caller::Town(town, number)));
        for caller in towns.chain((0..100_000).step_by(7).map(Caller::Mobile)) {
            let number = caller.number();
            let found = exact.get(&number).or_else(|| prefixes.get(&number[..number.len() - 1]));
            assert_eq!(found.cloned(), caller.owner(contracts).map(contract_id), "{number}");
        }
    }
}
