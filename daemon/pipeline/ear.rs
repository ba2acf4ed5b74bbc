//! What a thread has that hears a switch over a connection: the channels it knows, what is told of them and kept, and the
//! attempts to connect, again and again.
//!
//! The one invariant: what a switch did while it was not heard is not claimed; what runs goes on when it is heard again.

use super::events::{Counted, Lag, channels_key, restore, snapshot};
use super::files::{Files, lock, position_key, same};
use super::inputs::{SNAPSHOT_MICROS, Shared};
use super::signalling::AHEAD_MICROS;
use super::writer::Told;
use crate::calls::{ChannelEvent, Channels, Directory, Stage, Update, Witness};
use crate::clock::{self, Stopwatch};
use crate::ledger::Snapshot;
use crate::metrics::{Rejection, SourceMetrics};
use crate::units::Timestamp;
use crate::units::codec::{Reader, Writer};
use std::sync::Mutex;
use std::time::Duration;

/// A socket is waited for at most so long, so that the end is seen.
pub(super) const PATIENCE: Duration = Duration::from_millis(200);
/// After a connection was lost the next attempt waits this long, twice as long each time, up to the second.
const AGAIN: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// What runs is kept this often even when nothing happens: a switch that is alive is a proof of life.
const KEEP: Duration = Duration::from_secs(10);

/// What the thread has.
pub(super) struct Ear<'a> {
    pub(super) shared: &'a Shared,
    place: usize,
    witness: Witness,
    directory: &'a Mutex<Directory>,
    known: Directory,
    pub(super) channels: Channels,
    counted: Counted,
    pub(super) lag: Lag,
    /// When the switch was last heard, by its own clock, and all that was open was known.
    pub(super) heard: Option<Timestamp>,
    pub(super) updates: Vec<Update>,
    /// Something has to be kept.
    pub(super) dirty: bool,
    next_snapshot: Timestamp,
    kept: Stopwatch,
    /// Something happened that running calls may show.
    pub(super) changed: bool,
    attempts: Attempts,
}

/// How connecting goes.
struct Attempts {
    again: Duration,
    troubled: bool,
}

impl<'a> Ear<'a> {
    /// Goes on with what was kept of a source.
    pub(super) fn new<C>(shared: &'a Shared, files: &'a Files<C>, witness: Witness) -> Self {
        let known = lock(&files.directory).clone();
        let channels = files.records.as_deref().and_then(|body| restore(&known, body)).unwrap_or_else(|| Channels::new(&known));
        Self {
            shared,
            place: files.place,
            witness,
            directory: &files.directory,
            counted: Counted::from(&channels),
            channels,
            known,
            lag: Lag::default(),
            heard: files.position.as_deref().and_then(|body| Reader::new(body).time()),
            updates: Vec::new(),
            dirty: false,
            next_snapshot: Timestamp::default(),
            kept: Stopwatch::start(),
            changed: true,
            attempts: Attempts { again: AGAIN.0, troubled: false },
        }
    }

    /// Connects and listens, again and again, until told to end. `listen` does it once; `tell` tells of a failure, once until
    /// the switch is heard again.
    pub(super) fn listen_on<E>(&mut self, source: &SourceMetrics, mut listen: impl FnMut(&mut Self) -> Result<(), E>, tell: impl Fn(&E)) {
        source.stopped();
        while !self.shared.ends() {
            let Err(error) = listen(self) else { continue };
            source.stopped();
            if !self.attempts.troubled {
                tell(&error);
            }
            self.attempts.troubled = true;
            let waited = Stopwatch::start();
            while waited.elapsed() < self.attempts.again && !self.shared.ends() {
                self.pass();
                std::thread::sleep(PATIENCE);
            }
            self.attempts.again = (self.attempts.again * 2).min(AGAIN.1);
        }
        self.updates.extend(self.channels.ended().into_iter().map(|call| Update { stage: Stage::Concluded, call }));
        self.keep_at_once();
        self.send();
        source.stopped();
    }

    /// The switch lets us in.
    pub(super) fn is_let_in(&mut self, source: &SourceMetrics) {
        source.up();
        self.attempts = Attempts { again: AGAIN.0, troubled: false };
    }

    /// Takes events; those from the future are left out.
    pub(super) fn apply(&mut self, events: &[ChannelEvent], now: Timestamp) {
        for event in events {
            if event.at <= now.plus_micros(AHEAD_MICROS) {
                self.channels.apply(event, &mut self.updates);
                (self.dirty, self.changed) = (true, true);
            } else {
                self.shared.metrics.rejected.inc(Rejection::Undated);
            }
        }
    }

    /// What is open is written with the next news, however short a while ago it was.
    pub(super) fn keep_at_once(&mut self) {
        (self.dirty, self.next_snapshot) = (true, Timestamp::default());
    }

    /// Time passes: what is due ends, what runs is shown, and a changed configuration is taken.
    pub(super) fn pass(&mut self) {
        self.channels.expire(self.lag.feed_time(clock::now()), &mut self.updates);
        self.changed |= !self.updates.is_empty();
        let current = lock(self.directory).clone();
        if !same(&current, &self.known) {
            self.channels.reconfigure(&current);
            self.known = current;
        }
        self.send();
        if std::mem::take(&mut self.changed) {
            self.shared.running(self.place, self.channels.running());
            // When the writer is busy it will look anyway.
            let _ = self.shared.writer.try_send(Told::Nudge);
        }
    }

    /// Sends on what is new, and what is open if it has to be kept.
    pub(super) fn send(&mut self) {
        self.counted.count(self.shared, &self.channels);
        let now = clock::now();
        let keep = (self.dirty && now >= self.next_snapshot) || self.kept.elapsed() >= KEEP;
        let mut snapshots = Vec::new();
        if keep {
            (self.dirty, self.next_snapshot, self.kept) = (false, now.plus_micros(SNAPSHOT_MICROS), Stopwatch::start());
            snapshots.push((channels_key(self.place), snapshot(&self.channels)));
            if let Some(heard) = self.heard {
                let mut out = Writer::new();
                out.time(heard);
                snapshots.push((position_key(self.place), Snapshot { position: String::new(), body: out.finish() }));
            }
        }
        if !(self.updates.is_empty() && snapshots.is_empty()) {
            let updates = std::mem::take(&mut self.updates);
            self.shared.follows(&updates);
            self.shared.tell(Told::News(self.shared.roles.of(self.place, self.witness), updates, snapshots));
        }
    }
}
