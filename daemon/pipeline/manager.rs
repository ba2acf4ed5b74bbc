//! The thread that listens to a switch: connects, and connects again.
//!
//! The one invariant: what a switch did while it was not heard is not claimed; what runs goes on when it is heard again.

use super::events::{Counted, Lag, channels_key, restore, snapshot};
use super::files::{Files, lock, position_key, same};
use super::inputs::{SNAPSHOT_MICROS, Shared};
use super::signalling::AHEAD_MICROS;
use super::switches::Switch;
use super::writer::Told;
use crate::calls::{ChannelEvent, Channels, Directory, Stage, Update, Witness};
use crate::clock::{self, Stopwatch};
use crate::ledger::Snapshot;
use crate::metrics::{Rejection, SourceMetrics};
use crate::sources::heard::Heard;
use crate::units::Timestamp;
use crate::units::codec::{Reader, Writer};
use std::time::Duration;

/// A socket is waited for at most so long, so that the end is seen.
const PATIENCE: Duration = Duration::from_millis(200);
/// After a connection was lost the next attempt waits this long, twice as long each time, up to the second.
const AGAIN: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// What runs is kept this often even when nothing happens: a switch that is alive is a proof of life.
const KEEP: Duration = Duration::from_secs(10);

/// What the thread has.
struct Manager<'a> {
    shared: &'a Shared,
    place: usize,
    witness: Witness,
    channels: Channels,
    directory: Directory,
    counted: Counted,
    lag: Lag,
    /// When the switch was last heard, by its own clock, and all that was open was known.
    heard: Option<Timestamp>,
    updates: Vec<Update>,
    dirty: bool,
    next_snapshot: Timestamp,
    kept: Stopwatch,
    undated: bool,
    /// Something happened that running calls may show.
    changed: bool,
}

/// Listens to a switch until told to end.
pub fn follow<S: Switch>(shared: &Shared, files: &Files<S::Config>, source: &SourceMetrics) {
    let directory = lock(&files.directory).clone();
    let channels = files.records.as_deref().and_then(|body| restore(&directory, body)).unwrap_or_else(|| Channels::new(&directory));
    let mut manager = Manager {
        shared,
        place: files.place,
        witness: S::WITNESS,
        counted: Counted::from(&channels),
        channels,
        directory,
        lag: Lag::default(),
        heard: files.position.as_deref().and_then(|body| Reader::new(body).time()),
        updates: Vec::new(),
        dirty: false,
        next_snapshot: Timestamp::default(),
        kept: Stopwatch::start(),
        undated: false,
        changed: true,
    };
    let (mut again, mut troubled) = (AGAIN.0, false);
    source.stopped();
    while !shared.ends() {
        match S::connect(&files.config).and_then(|switch| manager.listen(switch, files, source, &mut again, &mut troubled)) {
            Ok(()) => {}
            Err(error) => {
                source.stopped();
                if !troubled {
                    let address = S::address(&files.config);
                    match S::is_refusal(&error) {
                        true => tracing::error!(%error, %address, "{}", S::WORDS.refused),
                        false => tracing::warn!(%error, %address, "{}", S::WORDS.unheard),
                    }
                }
                troubled = true;
                let waited = Stopwatch::start();
                while waited.elapsed() < again && !shared.ends() {
                    manager.pass(files);
                    std::thread::sleep(PATIENCE);
                }
                again = (again * 2).min(AGAIN.1);
            }
        }
    }
    manager.updates.extend(manager.channels.ended().into_iter().map(|call| Update { stage: Stage::Concluded, call }));
    manager.dirty = true;
    manager.next_snapshot = Timestamp::default();
    manager.send();
    source.stopped();
}

impl Manager<'_> {
    /// Listens to one connection, to its end or ours.
    fn listen<S: Switch>(
        &mut self,
        mut switch: S,
        files: &Files<S::Config>,
        source: &SourceMetrics,
        again: &mut Duration,
        troubled: &mut bool,
    ) -> Result<(), S::Error> {
        let before = self.heard;
        let mut known = false;
        let mut shown = Stopwatch::start();
        while !self.shared.ends() {
            let heard = switch.hear(PATIENCE)?;
            let now = clock::now();
            // A time that lies ahead of ours is none that anything was heard at.
            let latest = switch.latest().filter(|latest| *latest <= now.plus_micros(AHEAD_MICROS));
            let idle = heard == Heard::Nothing;
            match heard {
                Heard::Nothing => {}
                Heard::LoggedIn => {
                    tracing::info!(address = %S::address(&files.config), "{}", S::WORDS.listening);
                    source.up();
                    (*again, *troubled) = (AGAIN.0, false);
                }
                Heard::Events(events) => {
                    source.seen(now);
                    self.apply(&events, now);
                }
                Heard::Undated => self.shout::<S>(files),
                Heard::TooLong | Heard::Malformed => self.shared.metrics.rejected.inc(Rejection::Malformed),
                Heard::Open(open) => {
                    let at = latest.unwrap_or_else(|| self.lag.feed_time(now));
                    self.channels.resync(&open, before, at, &mut self.updates);
                    tracing::info!(channels = open.len(), running = self.channels.running().len(), "the open channels are known");
                    (known, self.dirty, self.changed) = (true, true, true);
                }
            }
            if known {
                self.heard = self.heard.max(latest);
                self.lag.hear(latest, now);
            }
            if idle || shown.elapsed() > PATIENCE {
                shown = Stopwatch::start();
                self.pass(files);
            } else if !self.updates.is_empty() {
                self.send();
            }
        }
        Ok(())
    }

    fn apply(&mut self, events: &[ChannelEvent], now: Timestamp) {
        for event in events {
            if event.at <= now.plus_micros(AHEAD_MICROS) {
                self.channels.apply(event, &mut self.updates);
                (self.dirty, self.changed) = (true, true);
            } else {
                self.shared.metrics.rejected.inc(Rejection::Undated);
            }
        }
    }

    /// Events without a time cannot be metered: a switch may deliver them a minute late.
    fn shout<S: Switch>(&mut self, files: &Files<S::Config>) {
        self.shared.metrics.rejected.inc(Rejection::Undated);
        if !self.undated {
            self.undated = true;
            let address = S::address(&files.config);
            tracing::error!(%address, "{}", S::WORDS.undated);
            self.shared.tell(Told::SourceStopped(format!("{address}: {}", S::WORDS.undated_reason)));
        }
    }

    /// Time passes: what is due ends, what runs is shown, and a changed configuration is taken.
    fn pass<C>(&mut self, files: &Files<C>) {
        self.channels.expire(self.lag.feed_time(clock::now()), &mut self.updates);
        self.changed |= !self.updates.is_empty();
        let current = lock(&files.directory).clone();
        if !same(&current, &self.directory) {
            self.channels.reconfigure(&current);
            self.directory = current;
        }
        self.send();
        if std::mem::take(&mut self.changed) {
            self.shared.running(self.place, self.channels.running());
            // When the writer is busy it will look anyway.
            let _ = self.shared.writer.try_send(Told::Nudge);
        }
    }

    fn send(&mut self) {
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
