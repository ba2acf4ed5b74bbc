//! One run: a ledger of its own in memory's file system where there is one, the dialogs, what waits for the writer, and the
//! virtual clock. What `live` does with threads and sleep, this does with numbers.

use super::Faults;
use crate::faults::{By, Dice, Event, Ground, PHONE_APART, Script};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use taktd::calls::{Call, Speaker, Update};
use taktd::config;
use taktd::ledger::{Ledger, LedgerError, NumberKey, Snapshot};
use taktd::meter::Record;
use taktd::pipeline::books::Books;
use taktd::pipeline::catalogue::InForce;
use taktd::pipeline::replay::{Ending, Recording, replay};
use taktd::pipeline::roles::Roles;
use taktd::pipeline::signalling::Signalling;
use taktd::sources::hep::{Bare, Reader};
use taktd::units::{KeyedState, Timestamp};
use tempfile::TempDir;

const MAX_LEGS: usize = 10_000;
/// Open dialogs are kept this often, in microseconds.
const SNAPSHOT_MICROS: i64 = 2_000_000;
const KEY: KeyedState = KeyedState::new(7);

/// What all runs share.
pub(super) struct World {
    folder: TempDir,
    in_force: Arc<InForce>,
    key: NumberKey,
    /// A ledger that is new.
    empty: Vec<u8>,
}

/// What a run came to.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub deaths: u64,
    pub lost: u64,
    pub exact: u64,
    pub calls: u64,
}

/// A run under way.
pub(super) struct Run<'w> {
    world: &'w World,
    folder: TempDir,
    path: PathBuf,
    books: Option<Books>,
    signalling: Signalling,
    reader: Reader,
    told: Vec<Update>,
    kept: BTreeMap<String, Snapshot>,
    next_snapshot: Timestamp,
    /// Who was answered, on disk, when the program died.
    answered: BTreeMap<String, i64>,
}

/// A handful of calls, all as frames, within a minute or two: so that they meet.
pub(super) fn script(seed: u64) -> Script {
    let mut dice = Dice::new(seed ^ 0x5eed);
    let calls = dice.between(2, 7);
    Script::within(seed, calls, 90_000_000)
}

fn memory() -> TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() };
    made.expect("a folder")
}

impl World {
    pub(super) fn new() -> Self {
        let folder = memory();
        let ground = Ground::at(folder.path(), script(0), "");
        let (config, catalogue) = config::load(&ground.config).expect("right");
        let documents = catalogue.documents.into_iter().map(|(name, text)| ("tariff", name.into(), text));
        let in_force = Arc::new(InForce::new(catalogue.tariffs, catalogue.contracts, config.directory, documents.collect()));
        let key = NumberKey::from_file(&folder.path().join("key")).expect("a key");
        let path = folder.path().join("empty.db");
        drop(Books::open(open(&path, &key), Arc::clone(&in_force)).expect("open"));
        let empty = std::fs::read(path).expect("a ledger");
        Self { folder, in_force, key, empty }
    }

    pub(super) fn begin(&self, seed: u64) -> Run<'_> {
        let folder = TempDir::with_prefix_in(format!("{seed}-"), self.folder.path()).expect("a folder");
        let path = folder.path().join("ledger.db");
        std::fs::write(&path, &self.empty).expect("written");
        let mut run = Run {
            world: self,
            folder,
            path,
            books: None,
            signalling: Signalling::new(self.in_force.directory().clone(), MAX_LEGS, KEY),
            reader: Reader::new(Some(b"lab-hep"), Bare::AsSent),
            told: Vec::new(),
            kept: BTreeMap::new(),
            next_snapshot: Timestamp::default(),
            answered: BTreeMap::new(),
        };
        run.start();
        run
    }
}

/// The dialog that a frame belongs to, by its Call-ID.
fn dialog(event: &Event) -> &[u8] {
    let Event::Frame(frame) = event else { return &[] };
    let begins = frame.windows(9).position(|window| window == b"Call-ID: ").expect("a SIP message");
    frame[begins..].split(|octet| *octet == b'\r').next().unwrap_or_default()
}

/// A child that another test is starting shares our open files, and so our lock, until it runs its own program.
fn open(path: &Path, key: &NumberKey) -> Ledger {
    for _ in 0..500 {
        match Ledger::open(path, key) {
            Err(LedgerError::Busy { .. }) => std::thread::sleep(std::time::Duration::from_millis(10)),
            opened => return opened.expect("a ledger"),
        }
    }
    panic!("somebody else has the ledger");
}

impl Run<'_> {
    /// A life begins with what the ledger keeps.
    fn start(&mut self) {
        let ledger = open(&self.path, &self.world.key);
        let directory = self.world.in_force.directory().clone();
        self.signalling = Signalling::restore(&ledger, directory, MAX_LEGS, KEY, |_| false).expect("read");
        self.books = Some(Books::open(ledger, Arc::clone(&self.world.in_force)).expect("open"));
        self.reader = Reader::new(Some(b"lab-hep"), Bare::AsSent);
        (self.told, self.kept) = (Vec::new(), BTreeMap::new());
    }

    /// It dies: what was not committed is gone.
    fn die(&mut self) {
        self.books = None;
        for call in self.calls() {
            let Some(connected) = call.connected_at() else { continue };
            let caller = call.caller.map(|caller| caller.to_string()).unwrap_or_default();
            self.answered.insert(caller, connected.micros());
        }
    }

    /// Plays the script as the faults have it; afterwards hours pass, in which what was lost ends by itself.
    pub(super) fn play(&mut self, script: &Script, faults: Faults, dice: &mut Dice) -> Outcome {
        let mut outcome = Outcome { calls: script.truths.len() as u64, ..Outcome::default() };
        let mut arrivals: Vec<(i64, usize)> = Vec::new();
        let mut spoken: BTreeMap<&[u8], i64> = BTreeMap::new();
        for (place, (at, event)) in script.events.iter().enumerate() {
            if dice.below(1_000) < faults.lost {
                outcome.lost += 1;
                continue;
            }
            // Each dialog's own order stays.
            let before = spoken.entry(dialog(event)).or_default();
            *before = (at + dice.between(0, faults.late + 1)).max(*before + 1);
            arrivals.push((*before, place));
            if dice.below(1_000) < faults.twice {
                arrivals.push((*before + dice.between(1, 2_000_000), place));
            }
        }
        arrivals.sort_unstable();
        let mut last = 0;
        for (at, place) in arrivals {
            let now = Timestamp::from_micros(at);
            // The clock goes on between datagrams, too: what is due ends.
            for between in 1..=4 {
                if at - last > 400_000 && last > 0 {
                    self.turn(Timestamp::from_micros(last + (at - last) / 5 * between));
                }
            }
            last = at;
            let Event::Frame(frame) = &script.events[place].1 else { continue };
            self.hear(frame, now);
            // The writer is a little behind: most of the time it has written all that was told, but not always.
            if dice.below(4) > 0 {
                self.turn(now);
                self.commit();
            }
            if dice.below(1_000) < faults.deaths {
                outcome.deaths += 1;
                self.die();
                self.start();
            }
        }
        for minutes in 1..=300 {
            self.turn(Timestamp::from_micros(last + minutes * 60_000_000));
        }
        self.commit();
        outcome
    }

    fn hear(&mut self, frame: &[u8], now: Timestamp) {
        let way: SocketAddr = "127.0.0.1:9060".parse().expect("an address");
        let Self { signalling, reader, told, .. } = self;
        let taken = reader.read(frame, (way, way), || now, &mut |found| {
            signalling.observe(&found.message, now, told);
        });
        assert_eq!(taken, Ok(()));
    }

    /// What an input does after each datagram, and when none comes.
    fn turn(&mut self, now: Timestamp) {
        self.signalling.pass(now, &mut self.told);
        if now >= self.next_snapshot {
            let (snapshots, kept) = self.signalling.not_kept();
            self.signalling.is_kept(kept);
            self.kept.extend(snapshots);
            self.next_snapshot = now.plus_micros(SNAPSHOT_MICROS);
        }
    }

    /// What the writer does with what it was told.
    fn commit(&mut self) {
        let kept: Vec<(String, Snapshot)> = std::mem::take(&mut self.kept).into_iter().collect();
        if self.told.is_empty() && kept.is_empty() {
            return;
        }
        let news = vec![(Speaker::default(), std::mem::take(&mut self.told))];
        self.books.as_mut().expect("it lives").take(news, &kept, None).expect("written");
    }

    /// Reads a capture of all that was sent, as an operator does after a gap.
    pub(super) fn replay(&mut self, capture: &[u8]) {
        let file = self.folder.path().join("all.pcap");
        std::fs::write(&file, capture).expect("written");
        let books = self.books.as_mut().expect("it lives");
        let recordings = [Recording::Capture(file)];
        let (_, done) = replay(books, &recordings, Ending::Open, &Roles::default(), MAX_LEGS, KEY, &mut |_| {});
        done.expect("replayed");
    }

    fn calls(&self) -> Vec<Call> {
        let ledger = Ledger::read(&self.path).expect("read");
        let mut calls = Vec::new();
        let each = |stored: taktd::ledger::StoredCall| {
            calls.push(stored.call);
            Ok(())
        };
        ledger.calls(Timestamp::default(), Timestamp::from_micros(i64::MAX), each).expect("read");
        calls
    }

    /// Each call once at most, with no more talk than there was; all of it where nothing was lost. How many are exact.
    pub(super) fn compare(&self, script: &Script, faults: Faults) -> u64 {
        let mut exact = 0;
        let calls = self.calls();
        for truth in &script.truths {
            assert_eq!(truth.by, By::Frames);
            let of = |call: &&Call| call.caller.is_some_and(|caller| caller.to_string() == truth.caller) && !call.talks.is_empty();
            let mine: Vec<&Call> = calls.iter().filter(of).collect();
            assert!(mine.len() <= 1, "{truth:?} is there twice: {mine:#?}");
            let Some(call) = mine.first() else {
                assert!(faults.lost + faults.deaths > 0, "{truth:?} is lost");
                assert!(!self.answered.contains_key(&truth.caller), "{truth:?} was on disk");
                continue;
            };
            let talk: i64 = call.talks.iter().filter_map(|talk| Some(talk.to?.since(talk.from))).sum();
            let whole = truth.ended - truth.connected;
            assert!(call.ended_at.is_some(), "{truth:?} runs for ever: {call:#?}");
            assert!(talk <= whole + 2 * PHONE_APART, "{truth:?} has more talk than there was: {call:#?}");
            if talk == whole {
                exact += 1;
            } else {
                assert!(faults.lost + faults.deaths > 0, "{truth:?} {call:#?}");
            }
        }
        exact
    }

    /// The records of all calls, as an export of the period has them.
    pub(super) fn records(&self) -> Vec<Record> {
        let mut records = Vec::new();
        let each = |record| {
            records.push(record);
            Ok::<_, LedgerError>(())
        };
        let ledger = Ledger::read(&self.path).expect("read");
        ledger.records(Timestamp::default(), Timestamp::from_micros(i64::MAX), each).expect("read");
        records
    }

    /// The chain holds.
    pub(super) fn verify(&mut self) {
        let findings = self.books.as_mut().expect("it lives").ledger_mut().verify(Some(&self.world.key), |_, _| {}).expect("read");
        assert_eq!(findings, []);
    }
}
