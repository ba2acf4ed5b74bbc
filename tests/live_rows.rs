//! Sources whose calls come one by one, as the daemon follows them: files that grow, are rotated, and are found again.

use crate::daemon::{Daemon, TAKTD, configure, records, verify};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
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
        assert!(begun.elapsed() < Duration::from_secs(120), "{} calls of {calls}", records(config).len());
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
    let daemon = Daemon::start(&config);
    fs::write(live.path().join("cdr.txt"), text.replace("\"ConnectTime\"", "\"ConnectedTime\"")).expect("written");
    let told = daemon.says("a source contradicts its configuration and is not read on");
    let why = told["error"].as_str().expect("a reason");
    assert!(why.contains("cdr.txt:1: columns.connected_at: the header has no column \"ConnectTime\"; it has \"CallID\""), "{why}");
    let begun = Instant::now();
    loop {
        let (status, body) = daemon.get("/readyz");
        if status == 503 && body.contains("columns.connected_at") {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{status} {body}");
        std::thread::sleep(Duration::from_millis(50));
    }
    let config = daemon.end();
    assert!(records(&config).is_empty());
}

/// A record of mod_json_cdr: a caller's leg, bridged to 201 for so many seconds.
fn record(uuid: &str, caller: &str, talk: u64) -> String {
    record_at(uuid, caller, 9, 9 + talk)
}

/// The same, bridged and ended so many seconds after ten o'clock.
fn record_at(uuid: &str, caller: &str, bridge: u64, end: u64) -> String {
    let begin = 1_773_133_200_000_000u64;
    let (bridge, end) = (begin + bridge * 1_000_000, begin + end * 1_000_000);
    format!(
        "{{\"variables\":{{\"uuid\":\"{uuid}\",\"direction\":\"inbound\",\"start_uepoch\":\"{begin}\",\"answer_uepoch\":\"{begin}\",\
         \"bridge_uepoch\":\"{bridge}\",\"end_uepoch\":\"{end}\",\"last_sent_callee_id_number\":\"201\",\"hangup_cause\":\"NORMAL_CLEARING\"}},\
         \"callflow\":[{{\"caller_profile\":{{\"caller_id_number\":\"{caller}\",\"destination_number\":\"+4989555010\"}}}}]}}"
    )
}

/// What the port answers: its status.
fn post(daemon: &Daemon, path: &str, authorization: &str, kind: &str, body: &str) -> u16 {
    let mut stream = TcpStream::connect(daemon.posted.expect("a port")).expect("it listens");
    let length = body.len();
    let head = format!(
        "POST {path}?uuid=x HTTP/1.1\r\nHost: t\r\nUser-Agent: freeswitch-json/1.0\r\n{authorization}Content-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
    );
    // A port that has heard enough closes: what it said is read all the same.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default()
}

#[test]
fn trap_14_what_freeswitch_posts_is_kept_before_it_is_confirmed() {
    let live = tempfile::tempdir().expect("a folder");
    let spool = live.path().join("spool");
    fs::create_dir(&spool).expect("made");
    fs::write(live.path().join("secret"), "pass:word\n").expect("written");
    let source = "\n[[source]]\nkind = \"freeswitch\"\nlisten = \"http://127.0.0.1:0/cdr\"\nuser = \"fs\"\npassword_file = \"secret\"\nspool = \"spool\"\nspool_delete = true\n";
    let config = configure(live.path(), source);
    let daemon = Daemon::start(&config);
    const LOGIN: &str = "Authorization: Basic ZnM6cGFzczp3b3Jk\r\n";
    const FORM: &str = "application/x-www-form-urlencoded";
    let (one, two) = (record("u-1", "+491713920021", 60), record("u-2", "+491713920022", 30));
    assert_eq!(post(&daemon, "/cdr", "", FORM, &one), 401);
    assert_eq!(post(&daemon, "/cdr", "Authorization: Basic ZnM6d3Jvbmc=\r\n", FORM, &one), 401);
    assert_eq!(post(&daemon, "/other", LOGIN, FORM, &one), 404);
    assert_eq!(post(&daemon, "/cdr", LOGIN, "application/json", "{\"variables\":"), 400);
    // Closed in the middle of the body, it may be that nobody hears why.
    assert!([0, 413].contains(&post(&daemon, "/cdr", LOGIN, "application/json", &"x".repeat(1_100_000))));
    // A form's type with raw JSON in it; then the same again, percent-encoded.
    assert_eq!(post(&daemon, "/cdr", LOGIN, FORM, &one), 200);
    let encoded: String = one.bytes().map(|byte| format!("%{byte:02X}")).collect();
    assert_eq!(post(&daemon, "/cdr", LOGIN, FORM, &format!("cdr={encoded}")), 200);
    assert_eq!(post(&daemon, "/cdr", LOGIN, "application/json", &two), 200);
    // Killed at once: what was confirmed is there when it comes back.
    let config = daemon.kill();
    let daemon = Daemon::start(&config);
    wait_for(&config, 2);
    // What could not be posted lies in the spool, in its encoded form, and goes once it is kept.
    let file = spool.join("a_u-3.cdr.json");
    let three: String = record("u-3", "+491729925904", 20).bytes().map(|byte| format!("%{byte:02X}")).collect();
    fs::write(&file, three).expect("written");
    fs::write(spool.join("bad.cdr.json"), "half a rec").expect("written");
    wait_for(&config, 3);
    let begun = Instant::now();
    while file.exists() {
        assert!(begun.elapsed() < Duration::from_secs(60), "the file stays");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(spool.join("bad.cdr.json").exists(), "what could not be read stays");
    assert!(daemon.get("/metrics").1.contains("taktd_rejected_total{reason=\"bad_row\"} 1"));
    let config = daemon.end();
    let talks: Vec<u64> = records(&config).values().map(|record| record["talk_s"].as_u64().expect("seconds")).collect();
    assert_eq!(talks.iter().sum::<u64>(), 110, "{talks:?}");
    assert_eq!(talks.len(), 3);
    verify(&config);
}

/// Two sources of rows that tell of one call otherwise: whoever meters is believed, whichever speaks first, while the daemon runs.
#[test]
fn roles_decide_live_which_rows_count() {
    let example = fs::read_to_string("config/sources/3cx.toml").expect("it ships");
    let text = fs::read_to_string("tests/cases/sources/3cx.log").expect("the sample");
    for (freeswitch, csv) in [("meter", "reconcile"), ("reconcile", "meter")] {
        for rows_first in [true, false] {
            let live = tempfile::tempdir().expect("a folder");
            let rows = example
                .replace("/var/lib/3cxpbx/Instance1/Data/Logs/CDRLogs/cdr.log", "cdr.log")
                .replace("kind = \"csv\"\n", &format!("kind = \"csv\"\nrole = \"{csv}\"\n"));
            let records_of = format!("\n[[source]]\nkind = \"freeswitch\"\nrole = \"{freeswitch}\"\nlisten = \"http://127.0.0.1:0/\"\n");
            let config = configure(live.path(), &format!("\n{rows}{records_of}"));
            let daemon = Daemon::start(&config);
            // Of the same caller at the same time, eight seconds shorter than the rows have it.
            let posts = || assert_eq!(post(&daemon, "/", "", "application/json", &record_at("a", "+4989990001", 20, 147)), 200);
            let writes = || {
                fs::write(live.path().join("cdr.log"), &text).expect("written");
                wait_for(&config, 4);
            };
            if rows_first {
                writes();
                posts();
            } else {
                posts();
                wait_for(&config, 1);
                writes();
            }
            let told = |config: &Path| {
                let records = records(config);
                let both: Vec<_> = records.values().filter(|record| record["talk_s"] == 127 || record["talk_s"] == 135).collect();
                assert_eq!(both.len(), 1, "{records:#?}");
                let reconciled = records.values().filter(|record| record["marks"].to_string().contains("reconciled")).count();
                (records.len(), both[0]["talk_s"].as_u64(), reconciled)
            };
            let config = daemon.end();
            // Calls that only the rows saw are billed from them, and marked where they only reconcile.
            let expected = if csv == "meter" { (4, Some(135), 0) } else { (4, Some(127), 3) };
            assert_eq!(told(&config), expected, "{freeswitch} {csv} rows first: {rows_first}");
            verify(&config);
            let out = Command::new(TAKTD).args(["reconcile", "--config"]).arg(&config).output().expect("it runs");
            let found = String::from_utf8_lossy(&out.stdout).into_owned();
            assert!(found.contains("127 s") && found.contains("135 s"), "{found}");
        }
    }
}
