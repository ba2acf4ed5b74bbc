//! The daemon on a switch's channel events: a file that grows, is rotated and half written; running calls; restarts and kills.

use crate::daemon::{Daemon, TAKTD, configure, records, same, verify};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// After so many lines of the recording four callers talk.
const NIGHT: usize = 242;

const SOURCE: &str = "\n[[source]]\nkind = \"asterisk-cel\"\npath = \"cel.csv\"\n";

/// The recording, replayed into a ledger of its own.
fn replayed() -> BTreeMap<String, Value> {
    let still = tempfile::tempdir().expect("a folder");
    let config = configure(still.path(), SOURCE);
    fs::copy("tests/recordings/asterisk-16/cel.csv", still.path().join("cel.csv")).expect("copied");
    let out = Command::new(TAKTD).args(["replay", "--json", "--config"]).arg(&config).output().expect("it runs");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    records(&config)
}

fn append(path: &Path, text: &str) {
    let mut file = fs::OpenOptions::new().append(true).create(true).open(path).expect("it opens");
    file.write_all(text.as_bytes()).expect("written");
}

/// Waits until so many calls run, or half a minute is over.
pub(crate) fn running(daemon: &Daemon, wanted: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let began = Instant::now();
    loop {
        let calls = daemon.calls();
        if wanted(&calls) {
            return calls;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "not seen: {calls:#?}");
        std::thread::sleep(Duration::from_millis(30));
    }
}

/// Waits until the metrics page says this, or half a minute is over.
pub(crate) fn until(daemon: &Daemon, line: &str) {
    let began = Instant::now();
    loop {
        let page = daemon.get("/metrics").1;
        if page.contains(line) {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{line} is not said: {page}");
        std::thread::sleep(Duration::from_millis(30));
    }
}

#[test]
fn a_growing_event_log_is_followed_across_rotation_kill_and_restart() {
    let live = tempfile::tempdir().expect("a folder");
    let config = configure(live.path(), SOURCE);
    let rows = fs::read_to_string("tests/recordings/asterisk-16/cel.csv").expect("the recording is there");
    let path = live.path().join("cel.csv");
    let lines: Vec<&str> = rows.split_inclusive('\n').collect();
    let daemon = Daemon::start(&config);
    let talking = |calls: &[Value]| calls.iter().filter(|call| call["state"] == "talking").count();
    append(&path, &lines[..60].concat());
    append(&path, &lines[60][..40]); // half a line
    let seen = running(&daemon, |calls| talking(calls) >= 2);
    assert!(seen.iter().any(|call| call["agent"].as_str().is_some_and(|agent| agent.starts_with("20"))), "{seen:#?}");
    append(&path, &lines[60][40..]);
    fs::rename(&path, live.path().join("cel.csv.1")).expect("rotated");
    append(&path, &lines[61..NIGHT].concat());
    running(&daemon, |calls| calls.len() == 5 && talking(calls) == 4);
    // A kill, in which some more is written; what ran goes on, and is still shown.
    let config = daemon.kill();
    let daemon = Daemon::start(&config);
    running(&daemon, |calls| calls.len() == 5 && talking(calls) == 4);
    append(&path, &lines[NIGHT..400].concat());
    std::thread::sleep(Duration::from_millis(700));
    let config = daemon.end();
    append(&path, &lines[400..].concat());
    let daemon = Daemon::start(&config);
    // The last rows are read as soon as the source is up.
    until(&daemon, "taktd_source_up{kind=\"asterisk-cel\",source=\"1\"} 1");
    std::thread::sleep(Duration::from_millis(500));
    running(&daemon, <[Value]>::is_empty);
    let config = daemon.end();
    same(&records(&config), &replayed());
    verify(&config);
}
