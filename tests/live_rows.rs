//! Sources whose calls come one by one, as the daemon follows them: files that grow, are rotated, and are found again.

use crate::daemon::{Daemon, TAKTD, configure, records, verify};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// The example for Swyx, reading this file.
fn swyx(path: &str) -> String {
    let text = fs::read_to_string("config/sources/swyx.toml").expect("it ships");
    format!("\n{}", text.replace("/var/lib/swyx/cdr.txt", path))
}

/// Waits until the ledger has so many calls.
#[track_caller]
fn wait_for(config: &Path, calls: usize) {
    let begun = Instant::now();
    while records(config).len() < calls {
        assert!(begun.elapsed() < Duration::from_secs(30), "{} calls of {calls}", records(config).len());
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn rows_are_followed_across_rotation_half_lines_a_restart_and_a_kill() {
    let (live, still) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let config = configure(live.path(), &swyx("cdr.txt"));
    let text = fs::read_to_string("tests/cases/sources/swyx.txt").expect("the sample");
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let (head, rows) = lines.split_first().expect("a header");
    let file = live.path().join("cdr.txt");
    let append = |text: &str| {
        let mut file = fs::OpenOptions::new().append(true).create(true).open(&file).expect("it opens");
        file.write_all(text.as_bytes()).expect("written");
    };
    let daemon = Daemon::start(&config);
    append(head);
    append(rows[0]);
    append(&rows[1][..40]); // half a line
    wait_for(&config, 1);
    append(&rows[1][40..]);
    wait_for(&config, 2);
    let config = daemon.end();
    // Behind a restart, in the middle of the file; then another file, with its own header.
    append(rows[2]);
    let mut daemon = Daemon::start(&config);
    wait_for(&config, 3);
    fs::rename(&file, live.path().join("cdr.txt.1")).expect("rotated");
    append(head);
    append(rows[3]);
    append("\"a row that is none\"\r\n");
    let told = daemon.says("a record was set aside; more of this source are only counted");
    assert!(told["why"].as_str().is_some_and(|why| why.contains("cdr.txt:3: 1 columns, where column 31 is mapped")), "{told}");
    assert!(daemon.get("/metrics").1.contains("taktd_rejected_total{reason=\"bad_row\"} 1"));
    assert!(daemon.get("/metrics").1.contains("taktd_source_up{kind=\"csv\",source=\"1\"} 1"));
    daemon.child.kill().expect("killed");
    daemon.child.wait().expect("gone");
    append(&rows[4..].concat());
    let daemon = Daemon::start(&config);
    wait_for(&config, 4);
    let config = daemon.end();

    let other = configure(still.path(), &swyx(&format!("{}/whole.txt", still.path().display())));
    fs::write(still.path().join("whole.txt"), &text).expect("written");
    let out = Command::new(TAKTD).args(["replay", "--json", "--config"]).arg(&other).output().expect("it runs");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    assert_eq!(records(&config), records(&other));
    assert_eq!(records(&config).len(), 4);
    verify(&config);
}

#[test]
fn a_file_that_lacks_a_column_stops_its_source_and_says_so() {
    let live = tempfile::tempdir().expect("a folder");
    let config = configure(live.path(), &swyx("cdr.txt"));
    let text = fs::read_to_string("tests/cases/sources/swyx.txt").expect("the sample");
    fs::write(live.path().join("cdr.txt"), text.replace("\"ConnectTime\"", "\"ConnectedTime\"")).expect("written");
    let daemon = Daemon::start(&config);
    let told = daemon.says("a source contradicts its configuration and is not read on");
    let why = told["error"].as_str().expect("a reason");
    assert!(why.contains("cdr.txt:1: columns.connected_at: the header has no column \"ConnectTime\"; it has \"CallID\""), "{why}");
    let (status, body) = daemon.get("/readyz");
    assert!(status.to_string().contains("503") && body.contains("columns.connected_at"), "{status} {body}");
    let config = daemon.end();
    assert!(records(&config).is_empty());
}
