//! Killed (SIGKILL) before one of its system calls, and at any moment: what is on disk stays, what runs goes on, and the
//! frames that were lost on the way are repaired by a capture of them.
//!
//! strace stops the program at the entry of the Nth call of a kind that one of its threads makes, and kills it there: before
//! the Nth is behind the one before it, so that every place between two calls can be hit. The program knows nothing of it.

use super::ground::{Ground, PHONE_APART, same_bytes, undisturbed};
use super::script::{Dice, Script, Truth};
use super::strace::{may_trace, traced};
use super::table::{Row, times};
use crate::daemon::{Daemon, TAKTD};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

const KILLED: i32 = 9;

/// The calls by which the ledger and the files beside it change: of SQLite's log, its locks, the key, the lock file.
const CALLS: &[&str] = &["pwrite64", "fsync", "fcntl", "openat", "ftruncate", "unlink", "write", "linkat", "flock"];

/// What kills the program.
enum Blow {
    /// Before a thread's Nth system call of this name.
    Before(&'static str, usize),
    /// When so much time has passed.
    After(Duration),
}

/// How a life ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Death {
    Starting,
    Metering,
    Draining,
    /// It was never killed.
    Natural,
}

/// A script that is played over many lives.
struct Lives {
    ground: Ground,
    /// What was on disk after one of the deaths: when they were answered, and their ends.
    seen: BTreeMap<String, (i64, Option<i64>)>,
    /// Who talked over one of them.
    ran: BTreeSet<String>,
    deaths: BTreeMap<Death, usize>,
}

/// What all rounds came to before anything was repaired.
#[derive(Debug, Default)]
struct Shown {
    exact: usize,
    calls: usize,
    went_on: usize,
    ran: usize,
    deaths: usize,
    survived: usize,
}

impl Shown {
    /// Blows that do not fall show nothing, nor do calls of which none went on. How many do is chance: who dies again and again
    /// before it has written anything hears nothing.
    fn is_something(&self) {
        assert!(self.deaths > self.survived, "{self:?}");
        assert!(self.exact * 4 > self.calls && self.went_on * 5 > self.ran, "{self:?}");
    }
}

impl Lives {
    fn new(seed: u64, calls: i64) -> Self {
        Self { ground: Ground::new(Script::new(seed, calls)), seen: BTreeMap::new(), ran: BTreeSet::new(), deaths: BTreeMap::new() }
    }

    /// One life: so many events, unless it is killed before.
    fn life(&mut self, blow: &Blow, events: usize) {
        let death = self.live(blow, events);
        *self.deaths.entry(death).or_default() += 1;
        for (caller, calls) in self.ground.on_disk() {
            let Some(call) = calls.iter().find(|call| !call.talks.is_empty()) else { continue };
            let now = (call.connected_at().expect("it talks").micros(), call.ended_at.map(taktd::units::Timestamp::micros));
            if death != Death::Natural && now.1.is_none() {
                self.ran.insert(caller.clone());
            }
            let before = self.seen.insert(caller, now).unwrap_or((now.0, None));
            let moved = now.0 - before.0;
            let stays = moved == 0 || (before.1.is_none() && (0..=PHONE_APART).contains(&moved));
            assert!(stays && (before.1.is_none() || before.1 == now.1), "what was on disk changed: {before:?} {call:#?}");
        }
    }

    fn live(&mut self, blow: &Blow, events: usize) -> Death {
        let command = match blow {
            Blow::Before(name, nth) => traced(name, &format!("signal=KILL:when={nth}")),
            Blow::After(_) => Command::new(TAKTD),
        };
        let mut daemon = match Daemon::start_unless_it_dies(command, &self.ground.config) {
            Ok(daemon) => daemon,
            // It said nothing of its own accord: it was killed.
            Err(said) if said.iter().all(|told| told["level"] != "ERROR") => return Death::Starting,
            Err(said) => panic!("it did not start: {said:#?}"),
        };
        let begun = Instant::now();
        let until = self.ground.next + events;
        while self.ground.next < until && !self.ground.is_over() {
            if matches!(blow, Blow::After(span) if begun.elapsed() >= *span) {
                daemon.child.kill().expect("killed");
                // Nothing is said to who is dying, unknown to the switch.
                daemon.child.wait().expect("a child");
            }
            if let Some(status) = daemon.child.try_wait().expect("a child") {
                assert_eq!(status.signal(), Some(KILLED), "{:#?}", daemon.logs.try_iter().collect::<Vec<_>>());
                return Death::Metering;
            }
            self.ground.step(&daemon);
        }
        daemon.signal("-TERM");
        let status = daemon.child.wait().expect("a child");
        match status.signal() {
            Some(KILLED) => Death::Draining,
            _ if status.success() => Death::Natural,
            _ => panic!("{status}: {:#?}", daemon.logs.try_iter().collect::<Vec<_>>()),
        }
    }

    /// Plays the rest undisturbed. What was answered on disk must be there, exact or running on; then the frames are read
    /// again, and all is as if nothing had happened.
    fn end(mut self, fault: &str, expected: &BTreeMap<String, Vec<u8>>, shown: &mut Shown) {
        let daemon = self.ground.daemon();
        self.ground.play_out(daemon);
        let was_answered = |truth: &Truth| self.seen.contains_key(&truth.caller);
        let before = self.ground.compare(&was_answered);
        let ran = |truth: &Truth| self.ran.contains(&truth.caller);
        let went_on = self.ground.compare(&ran).went_on;
        self.ground.rows_are_whole();
        let calls = self.ground.script.truths.len();
        self.ground.repair();
        let after = self.ground.compare(&|_| true);
        assert!(same_bytes(&self.ground.export(), expected), "{fault}: the exports differ");
        let deaths: usize = self.deaths.iter().filter(|(death, _)| **death != Death::Natural).map(|(_, count)| count).sum();
        let natural = self.deaths.get(&Death::Natural).copied().unwrap_or_default();
        let (exact, ran) = (before.exact, self.ran.len());
        eprintln!(
            "{fault}: {:?}; before the frames were read again {exact} of {calls} calls are exact, and {went_on} of {ran} that ran over a death",
            self.deaths
        );
        let more = [(&mut shown.exact, exact), (&mut shown.calls, calls), (&mut shown.went_on, went_on), (&mut shown.ran, ran)];
        more.into_iter().chain([(&mut shown.deaths, deaths), (&mut shown.survived, natural)]).for_each(|(sum, more)| *sum += more);
        let (lost, doubled) = (before.lost + after.lost, before.doubled + after.doubled);
        Row { fault, tried: deaths, calls, lost, doubled }.print();
    }
}

/// The calls that a second start, commits and a drain make, by name: a thread's first so many of each.
const OF_A_LIFE: &[(&str, usize)] =
    &[("pwrite64", 120), ("fcntl", 100), ("fsync", 16), ("openat", 24), ("write", 12), ("ftruncate", 2), ("unlink", 2)];

/// Every one of them, the next life dying one call later than the one before it.
#[test]
fn before_each_system_call_of_a_commit() {
    if !may_trace() {
        return;
    }
    let (seed, calls) = (11, 150);
    let every = times(12, 1);
    let instants = OF_A_LIFE.iter().flat_map(|(name, most)| (1..=*most).step_by(every).map(|nth| Blow::Before(name, nth)));
    let mut instants: Vec<Blow> = instants.collect();
    let expected = undisturbed(seed, calls);
    // The order is drawn, so that any may follow on any.
    let (mut dice, mut shown) = (Dice::new(0), Shown::default());
    while !instants.is_empty() {
        let mut lives = Lives::new(seed, calls);
        // The first start has a test of its own.
        lives.life(&Blow::After(Duration::from_millis(50)), usize::MAX / 2);
        let enough = lives.ground.script.events.len() * 9 / 10;
        while lives.ground.next < enough && !instants.is_empty() {
            let drawn = dice.below(instants.len() as u64);
            let blow = instants.swap_remove(usize::try_from(drawn).expect("small"));
            lives.life(&blow, 80);
        }
        lives.end("`kill -9` before a system call, while metering", &expected, &mut shown);
    }
    shown.is_something();
}

#[test]
fn at_any_moment() {
    let (seed, calls) = (12, times(120, 240));
    let calls = i64::try_from(calls).expect("few");
    let expected = undisturbed(seed, calls);
    let mut shown = Shown::default();
    for round in 0..times(1, 12) {
        let mut lives = Lives::new(seed, calls);
        let mut dice = Dice::new(100 + u64::try_from(round).expect("small"));
        while lives.ground.next < lives.ground.script.events.len() * 9 / 10 {
            let micros = u64::try_from(dice.between(0, 120_000)).expect("not before");
            lives.life(&Blow::After(Duration::from_micros(micros)), usize::MAX / 2);
        }
        lives.end("`kill -9` at a random moment, while metering", &expected, &mut shown);
    }
    shown.is_something();
}

/// The first start makes the key, the lock, the ledger and its tables: killed anywhere on the way, the next start finds its way.
#[test]
fn before_any_system_call_of_the_first_start() {
    if !may_trace() {
        return;
    }
    let mut instants: Vec<(&str, usize)> = Vec::new();
    for name in CALLS {
        let most = match *name {
            "pwrite64" | "fcntl" => 120,
            "fsync" | "write" => 12,
            "openat" => 30,
            _ => 3,
        };
        let step = times(most / 3, 1).max(1);
        instants.extend((1..=most).step_by(step).map(|nth| (*name, nth)));
    }
    let (instants, sum) = (Mutex::new(instants), Mutex::new((0, 0)));
    let next = || instants.lock().expect("no other failed").pop();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some((name, nth)) = next() {
                    let Some(calls) = first_start(name, nth) else { continue };
                    let mut sum = sum.lock().expect("no other failed");
                    *sum = (sum.0 + 1, sum.1 + calls);
                }
            });
        }
    });
    let (tried, calls) = *sum.lock().expect("no other failed");
    Row { fault: "`kill -9` before a system call of the first start", tried, calls, lost: 0, doubled: 0 }.print();
}

/// Kills a first start there; the next one meters all calls, whose number this gives. `None` where it makes no such call.
fn first_start(name: &'static str, nth: usize) -> Option<usize> {
    let mut lives = Lives::new(13, 6);
    lives.life(&Blow::Before(name, nth), 0);
    if lives.deaths.contains_key(&Death::Natural) {
        return None;
    }
    left_behind(&lives.ground.config, name, nth);
    let daemon = lives.ground.daemon();
    lives.ground.play_out(daemon);
    let (found, calls) = (lives.ground.compare(&|_| true), lives.ground.script.truths.len());
    assert_eq!((found.lost, found.doubled, found.exact), (0, 0, calls), "{name} {nth}");
    lives.ground.export();
    Some(calls)
}

/// No file with a secret lies open to others, whenever the start was killed.
fn left_behind(config: &Path, name: &str, nth: usize) {
    use std::os::unix::fs::PermissionsExt;
    for entry in std::fs::read_dir(config.parent().expect("a folder")).expect("a folder").flatten() {
        let file = entry.file_name().to_string_lossy().into_owned();
        if file.starts_with("ledger.db") {
            let mode = entry.metadata().expect("metadata").permissions().mode();
            assert_eq!(mode & 0o007, 0, "{file} after {name} {nth} has mode {mode:o}");
        }
    }
}
