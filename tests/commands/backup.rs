//! `taktd backup`: a good copy, also while a daemon writes; never in the place of a file, never half a one.

use super::{Answer, Desk, recording};
use crate::daemon::{Daemon, HEP, TAKTD, configure, datagrams, records, verify};
use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry"));
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn a_copy_is_the_ledger_as_it_is() {
    let desk = Desk::new();
    desk.replay(recording("asterisk-16/sip.pcap")).fine();
    let folder = tempfile::tempdir().expect("a folder");
    let copy = folder.path().join("copy.db");
    let said = desk.taktd(&["backup", copy.to_str().expect("UTF-8")]).fine();
    assert!(said.contains("checked") && said.contains("ledger.db.key"), "{said}");
    assert_eq!(fs::metadata(&copy).expect("a file").permissions().mode() & 0o777, 0o600);
    assert_eq!(names(folder.path()), ["copy.db"], "nothing lies beside it");
    // Put back in the place of the ledger, with its key, it says the same.
    let other = Desk::new();
    fs::copy(&copy, other.path("ledger.db")).expect("restored");
    fs::copy(desk.path("ledger.db.key"), other.path("ledger.db.key")).expect("restored");
    assert_eq!(other.calls(), desk.calls());
    assert!(other.export(&[]) == desk.export(&[]));
    other.verified();
    other.replay(recording("asterisk-16/sip.pcap")).fine();
    assert!(other.export(&[]) == desk.export(&[]), "it goes on where the copy was taken");
}

#[test]
fn no_file_is_replaced_and_no_bad_copy_kept() {
    let desk = Desk::new();
    desk.replay(recording("asterisk-16/sip.pcap")).fine();
    let folder = tempfile::tempdir().expect("a folder");
    let copy = folder.path().join("copy.db");
    let backup = |copy: &Path| desk.taktd(&["backup", copy.to_str().expect("UTF-8")]);
    fs::write(&copy, "precious").expect("written");
    assert!(backup(&copy).failed(1).contains("there is a file of that name"));
    assert_eq!(fs::read_to_string(&copy).expect("read"), "precious");
    assert!(backup(&folder.path().join("none/copy.db")).failed(1).contains("none/"));
    // A ledger that somebody changed makes no backup that would be trusted.
    let db = rusqlite::Connection::open(desk.path("ledger.db")).expect("a ledger");
    db.execute_batch("DROP TRIGGER entry_stays; UPDATE entry SET begun = begun + 1 WHERE seq = 1").expect("changed");
    drop(db);
    let bad = folder.path().join("bad.db");
    assert!(backup(&bad).failed(1).contains("findings and was removed"));
    assert_eq!(names(folder.path()), ["copy.db"]);
}

/// The daemon takes the calls of a recording while one copy after the other is made: each is of one moment, and verifies.
#[test]
fn copies_are_made_while_a_daemon_writes() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = configure(folder.path(), HEP);
    let daemon = Daemon::start(&config);
    let (hep, all, sent) = (daemon.hep.expect("it listens"), datagrams("tests/recordings/asterisk-16/hep.pcap"), AtomicBool::new(false));
    let mut heads = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
            for (_, payload) in &all {
                socket.send_to(payload, hep).expect("sent");
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
            sent.store(true, Ordering::Relaxed);
        });
        while heads.len() < 3 || !sent.load(Ordering::Relaxed) {
            let copy = folder.path().join(format!("copy-{}.db", heads.len()));
            let out = Command::new(TAKTD).args(["backup", "--json", "--config"]).arg(&config).arg(&copy).output().expect("it runs");
            let said: serde_json::Value = serde_json::from_str(&Answer::of(out).fine()).expect("JSON");
            heads.push(said["evidence"].as_i64().expect("a number"));
        }
    });
    let config = daemon.end();
    assert!(heads.is_sorted() && heads.first() < heads.last(), "the daemon wrote between the copies: {heads:?}");
    let calls = records(&config);
    for place in 0..heads.len() {
        let own = tempfile::tempdir().expect("a folder");
        let other = configure(own.path(), HEP);
        fs::write(own.path().join("hep.key"), "lab-hep\n").expect("written");
        fs::copy(folder.path().join(format!("copy-{place}.db")), own.path().join("ledger.db")).expect("restored");
        fs::copy(folder.path().join("privacy.key"), own.path().join("privacy.key")).expect("restored");
        verify(&other);
        assert!(records(&other).keys().all(|call| calls.contains_key(call)), "copy {place}");
    }
}
