//! Where a script is played: a folder with a configuration, and the program that is started, hurt and looked at.

use super::script::{By, CONTRACTS, Event, Script, Truth};
use crate::daemon::{Daemon, HEP, TAKTD, configure, verify};
use crate::floods::queued;
use crate::hostile::SECOND;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use taktd::calls::{Call, End};
use taktd::ledger::{Ledger, LedgerError};
use taktd::units::Timestamp;
use tempfile::TempDir;

/// How long a phone is answered before its caller, and released after, in microseconds.
pub(crate) const PHONE_APART: i64 = 2_000;

pub(super) const RECORDS: &str =
    "\n[[source]]\nkind = \"asterisk-cdr\"\npath = \"Master.csv\"\ntimezone = \"Europe/Berlin\"\ncolumns = \"auto\"\n";

/// A folder, a script, and how far it has been played.
pub(crate) struct Ground {
    _folder: Option<TempDir>,
    pub config: PathBuf,
    pub ledger: PathBuf,
    pub script: Script,
    pub next: usize,
    socket: UdpSocket,
}

/// What there is of the calls at the end.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub lost: usize,
    pub doubled: usize,
    /// Calls that are as they were, to the microsecond.
    pub exact: usize,
    /// Those of them that had been `answered`.
    pub went_on: usize,
}

impl Ground {
    pub(super) fn new(script: Script) -> Self {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().to_owned();
        Self { _folder: Some(folder), ..Self::at(&path, script, &format!("{HEP}{RECORDS}")) }
    }

    /// With the ledger in a folder of its own.
    pub(super) fn with_ledger_in(folder: TempDir, disk: &str, script: Script) -> Self {
        let mut ground = Self { _folder: None, ..Self::at(folder.path(), script, &format!("{HEP}{RECORDS}")) };
        let text = fs::read_to_string(&ground.config).expect("written");
        fs::write(&ground.config, text.replace("sqlite:ledger.db", &format!("sqlite:{disk}/ledger.db"))).expect("written");
        ground.ledger = folder.path().join(disk).join("ledger.db");
        ground._folder = Some(folder);
        ground
    }

    /// In a folder that is there already, with these sources.
    pub(crate) fn at(folder: &Path, script: Script, sources: &str) -> Self {
        let config = configure(folder, sources);
        let text = fs::read_to_string(&config).expect("written");
        let (_, rest) = text.split_once("contracts = [").expect("it names contracts");
        let (old, _) = rest.split_once(']').expect("the list ends");
        fs::write(&config, text.replace(old, "\"contracts.csv\"")).expect("written");
        fs::write(folder.join("contracts.csv"), CONTRACTS).expect("written");
        let ledger = folder.join("ledger.db");
        Self { _folder: None, config, ledger, script, next: 0, socket: UdpSocket::bind("127.0.0.1:0").expect("a port") }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.config.with_file_name(name)
    }

    pub(super) fn daemon(&self) -> Daemon {
        Daemon::start(&self.config)
    }

    pub(super) fn is_over(&self) -> bool {
        self.next >= self.script.events.len()
    }

    /// Plays one more event.
    pub(super) fn step(&mut self, daemon: &Daemon) {
        let Some((_, event)) = self.script.events.get(self.next) else { return };
        self.next += 1;
        match event {
            // Whether anybody hears it is not the switch's business.
            Event::Frame(frame) => drop(self.socket.send_to(frame, daemon.hep.expect("it listens"))),
            Event::Row(row) => {
                let file = fs::OpenOptions::new().append(true).create(true).open(self.path("Master.csv"));
                file.expect("it opens").write_all(row.as_bytes()).expect("written");
            }
        }
        std::thread::sleep(Duration::from_millis(1));
    }

    /// Plays the rest, and ends the program well.
    pub(super) fn play_out(&mut self, daemon: Daemon) {
        while !self.is_over() {
            self.step(&daemon);
            // What the kernel drops of a program that gets too little of the machine is the matter of another test.
            if self.next.is_multiple_of(16) {
                wait_for("it reads what it was sent", || daemon.hep.is_none_or(|hep| queued(hep.port()) < 64 * 1024));
            }
        }
        // The records are looked at twice a second.
        std::thread::sleep(Duration::from_millis(700));
        daemon.end();
    }

    /// Reads the frames again from a capture of them.
    pub(super) fn repair(&self) {
        let capture = self.path("frames.pcap");
        fs::write(&capture, self.script.capture()).expect("written");
        let out = Command::new(TAKTD).args(["replay", "--json", "--config"]).arg(&self.config).arg(capture).output().expect("it runs");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    }

    /// The export of the whole period, byte by byte.
    pub(super) fn export(&self) -> BTreeMap<String, Vec<u8>> {
        verify(&self.config);
        let folder = TempDir::new().expect("a folder");
        let mut command = Command::new(TAKTD);
        command.args(["export", "--from", "2026-03-01", "--to", "2026-04-01", "--directory"]).arg(folder.path());
        let out = command.arg("--config").arg(&self.config).output().expect("it runs");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let files = fs::read_dir(folder.path()).expect("a folder").map(|entry| entry.expect("an entry"));
        files.map(|file| (file.file_name().to_string_lossy().into_owned(), fs::read(file.path()).expect("a file"))).collect()
    }

    /// The calls that are on disk, by caller.
    pub(super) fn on_disk(&self) -> BTreeMap<String, Vec<Call>> {
        let mut calls: BTreeMap<String, Vec<Call>> = BTreeMap::new();
        let ledger = match Ledger::read(&self.ledger) {
            Ok(ledger) => ledger,
            Err(LedgerError::Missing { .. }) => return calls,
            Err(error) => panic!("the ledger cannot be read: {error}"),
        };
        let each = |stored: taktd::ledger::StoredCall| {
            calls.entry(stored.call.caller.map(|caller| caller.to_string()).unwrap_or_default()).or_default().push(stored.call);
            Ok(())
        };
        ledger.calls(Timestamp::default(), Timestamp::from_micros(i64::MAX), each).expect("read");
        calls
    }

    /// Holds the ledger against the truth. What was `answered` has to be there; nothing may be there twice, nor with more talk
    /// than there was.
    pub(super) fn compare(&self, answered: &dyn Fn(&Truth) -> bool) -> Found {
        let mut found = Found::default();
        let calls = self.on_disk();
        for truth in &self.script.truths {
            let mine: Vec<&Call> = calls.get(&truth.caller).into_iter().flatten().filter(|call| !call.talks.is_empty()).collect();
            found.doubled += usize::from(mine.len() > 1);
            let Some(call) = mine.first() else {
                found.lost += usize::from(answered(truth));
                if answered(truth) {
                    eprintln!("lost: {truth:?}; there is {:?}", calls.get(&truth.caller));
                }
                continue;
            };
            let talk: i64 = call.talks.iter().filter_map(|talk| Some(talk.to?.since(talk.from))).sum();
            let connected = call.connected_at().map_or(0, Timestamp::micros);
            // The phone is answered a moment before its caller, and released a moment after: where the caller's own message was
            // lost, the phone's tells.
            let sooner = truth.connected - connected;
            let longer = talk - (truth.ended - connected);
            assert!((0..=PHONE_APART).contains(&sooner) && longer <= PHONE_APART, "more talk than there was: {truth:?} {call:#?}");
            if call.ended_at.is_some() && call.end == End::Observed && (sooner, longer) == (0, 0) {
                found.went_on += usize::from(answered(truth));
                found.exact += 1;
            }
        }
        found
    }

    /// Records need no repair: each row that was written is a call, once.
    pub(super) fn rows_are_whole(&self) {
        let calls = self.on_disk();
        for truth in self.script.truths.iter().filter(|truth| truth.by == By::Row) {
            let mine = calls.get(&truth.caller).map_or(&[][..], Vec::as_slice);
            let [call] = mine else { panic!("{truth:?}: {mine:#?}") };
            let talk = call.talks.iter().filter_map(|talk| Some(talk.to?.since(talk.from))).sum::<i64>() / SECOND;
            assert_eq!(talk, (truth.ended - truth.connected) / SECOND, "{truth:?} {call:#?}");
        }
    }
}

/// Waits until something holds, for three minutes: whoever is slow is not wrong.
pub(super) fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(180), "not within three minutes: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The export of a script that nothing disturbs. Reading its frames again adds nothing.
pub(super) fn undisturbed(seed: u64, calls: i64) -> BTreeMap<String, Vec<u8>> {
    let mut ground = Ground::new(Script::new(seed, calls));
    let daemon = ground.daemon();
    ground.play_out(daemon);
    let found = ground.compare(&|_| true);
    assert_eq!((found.lost, found.doubled, found.exact), (0, 0, ground.script.truths.len()), "undisturbed");
    ground.rows_are_whole();
    let export = ground.export();
    assert!(export.len() >= 3 && export.values().map(Vec::len).sum::<usize>() > 10_000, "{:?}", export.keys());
    ground.repair();
    assert!(same_bytes(&ground.export(), &export), "reading the same again adds nothing");
    export
}

/// Whether two exports are the same, byte by byte; what differs is shown.
pub(super) fn same_bytes(ours: &BTreeMap<String, Vec<u8>>, theirs: &BTreeMap<String, Vec<u8>>) -> bool {
    for (name, bytes) in ours {
        let (mine, other) = (String::from_utf8_lossy(bytes), String::from_utf8_lossy(theirs.get(name).map_or(&[][..], Vec::as_slice)));
        for line in mine.lines().filter(|line| !other.lines().any(|known| known == *line)).take(5) {
            eprintln!("{name}: only here: {line}");
        }
        for line in other.lines().filter(|line| !mine.lines().any(|known| known == *line)).take(5) {
            eprintln!("{name}: only there: {line}");
        }
    }
    ours == theirs
}
