//! The ledger's disk is full, broken or read-only, or another process holds its lock: calls are metered on in memory, `/readyz`
//! says why it is red, and once the disk is well again all is written, without a restart.

use super::ground::{Ground, same_bytes, undisturbed, wait_for};
use super::script::Script;
use super::strace::{may_trace, traced};
use super::table::{Row, times};
use crate::daemon::Daemon;
use crate::hostile::metric;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

const SEED: u64 = 21;
const CALLS: i64 = 60;

const ROWS: &str = "taktd_ledger_evidence_rows_total";
const INVITES: &str = "taktd_sip_messages_total{kind=\"invite\"}";

/// A small file system of our own.
struct Disk(PathBuf);

impl Disk {
    /// `None` with a loud word where none may be mounted. In CI it has to be.
    fn mount(at: &Path) -> Option<Self> {
        fs::create_dir(at).expect("a folder");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"]).arg(at).status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Self(at.to_owned()));
        }
        assert!(std::env::var_os("CI").is_none(), "in CI a file system has to be mounted: as root, with SYS_ADMIN");
        eprintln!("SKIPPED: no file system of our own may be mounted here: this test has shown nothing");
        None
    }

    /// Leaves no room.
    fn fill(&self) {
        // What cannot be written whole is written as far as there is room.
        let _ = fs::write(self.0.join("ballast"), vec![0; 16 * 1024 * 1024]);
    }

    fn free(&self) {
        fs::remove_file(self.0.join("ballast")).expect("removed");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// Plays so many events at most, until the ledger cannot be written: `/readyz` says why.
fn turns_red(ground: &mut Ground, daemon: &Daemon, why: &str, most: usize) {
    let until = ground.next.saturating_add(most);
    let red = |daemon: &Daemon| daemon.get("/readyz").1.contains("the ledger cannot be written");
    while !red(daemon) && ground.next < until && !ground.is_over() {
        (0..5).for_each(|_| ground.step(daemon));
    }
    wait_for("it turns red", || red(daemon));
    let (status, reasons) = daemon.get("/readyz");
    assert!(status == 503 && reasons.contains(why), "{status} {reasons}");
    assert_eq!(daemon.get("/healthz").0, 200, "the meter lives");
}

/// While the ledger cannot be written: calls begin and end, and nothing is said to be written that is not.
fn goes_on(ground: &mut Ground, daemon: &Daemon) {
    let (before, rows) = (ground.on_disk(), metric(daemon, ROWS));
    let messages = metric(daemon, INVITES);
    (0..60).for_each(|_| ground.step(daemon));
    wait_for("messages are read", || metric(daemon, INVITES) > messages);
    wait_for("running calls are shown", || !daemon.calls().is_empty());
    assert_eq!((ground.on_disk(), metric(daemon, ROWS)), (before, rows), "nothing is written, and nothing is said to be");
}

fn recovers(daemon: &Daemon) {
    wait_for("it is green again", || daemon.get("/readyz").0 == 200);
    assert!(metric(daemon, "taktd_ledger_commit_failures_total") >= 1.0);
}

/// All calls are as they were, once, and the export is that of the undisturbed run.
fn nothing_is_lost(mut ground: Ground, daemon: Daemon, expected: &BTreeMap<String, Vec<u8>>, fault: &str, tried: usize) {
    ground.play_out(daemon);
    let calls = ground.script.truths.len();
    let found = ground.compare(&|_| true);
    assert_eq!(found.exact, calls, "{fault}: {found:?}");
    ground.rows_are_whole();
    assert!(same_bytes(&ground.export(), expected), "{fault}: the exports differ");
    Row { fault, tried, calls, lost: found.lost, doubled: found.doubled }.print();
}

#[test]
fn a_full_disk() {
    let folder = TempDir::new().expect("a folder");
    let Some(disk) = Disk::mount(&folder.path().join("disk")) else { return };
    let expected = undisturbed(SEED, CALLS);
    let mut ground = Ground::with_ledger_in(folder, "disk", Script::new(SEED, CALLS));
    let daemon = ground.daemon();
    let tried = times(2, 4);
    for _ in 0..tried {
        disk.fill();
        turns_red(&mut ground, &daemon, "the disk of the ledger is full", 40);
        goes_on(&mut ground, &daemon);
        disk.free();
        recovers(&daemon);
    }
    nothing_is_lost(ground, daemon, &expected, "the ledger's disk is full", tried);
}

#[test]
fn errors_of_the_file_system() {
    if !may_trace() {
        return;
    }
    let expected = undisturbed(SEED, CALLS);
    // From some call of the writer's on, so many of them fail; each attempt makes one, and there is one a second: it is red for
    // long enough to be seen, also where the first of them is none of a commit.
    let cases = [
        ("the ledger's disk has I/O errors when it writes", "pwrite64", "error=EIO", "I/O error", &[30..=32, 41..=43, 53..=55][..]),
        ("the ledger's disk has I/O errors when it syncs", "fsync", "error=EIO", "I/O error", &[7..=9, 9..=11, 12..=14]),
        ("the ledger's file system turns read-only", "pwrite64", "error=EROFS", "", &[30..=32, 37..=39, 44..=46]),
    ];
    for (fault, name, error, why, instants) in cases {
        for instants in instants.iter().take(times(1, 3)) {
            let mut ground = Ground::new(Script::new(SEED, CALLS));
            // The first start writes much: not this time.
            ground.daemon().end();
            let command = traced(name, &format!("{error}:when={}..{}", instants.start(), instants.end()));
            let daemon = Daemon::start_by(command, &ground.config);
            turns_red(&mut ground, &daemon, why, usize::MAX);
            recovers(&daemon);
            nothing_is_lost(ground, daemon, &expected, fault, 1);
        }
    }
}

#[test]
fn another_process_holds_the_lock() {
    let expected = undisturbed(SEED, CALLS);
    let mut ground = Ground::new(Script::new(SEED, CALLS));
    let daemon = ground.daemon();
    let tried = times(1, 3);
    for _ in 0..tried {
        let other = rusqlite::Connection::open(&ground.ledger).expect("the file");
        other.execute_batch("BEGIN IMMEDIATE").expect("its lock");
        turns_red(&mut ground, &daemon, "locked", 40);
        goes_on(&mut ground, &daemon);
        other.execute_batch("ROLLBACK").expect("let go");
        recovers(&daemon);
    }
    nothing_is_lost(ground, daemon, &expected, "another process holds the ledger's lock", tried);
}
