//! The threads that follow a switch's channel event log, and how a replay reads one.
//!
//! The one invariant: the open channels and the place in the file are kept together with the calls told of them.

use super::files::{Files, count_gaps, lock, position_key, same};
use super::inputs::{SNAPSHOT_MICROS, Shared};
use super::signalling::AHEAD_MICROS;
use super::writer::Told;
use crate::calls::{Channels, Directory, Stage, Unmetered, Update, Witness};
use crate::clock;
use crate::ledger::Snapshot;
use crate::metrics::{Growth, Rejection, SourceMetrics};
use crate::sources::asterisk_cel::{AsteriskCel, Batch, Config, PollError, SourcePosition, Stopped};
use crate::units::Timestamp;
use crate::units::codec::{Reader, Writer};
use std::time::Duration;

/// The file is looked at this often: a running call is seen no later.
const POLL: Duration = Duration::from_millis(200);

/// Where the open channels of the configured source with this number are kept.
#[must_use]
pub fn channels_key(place: usize) -> String {
    format!("channels {place}")
}

/// By how much a switch's clock, or a file that is read late, lags behind ours: its calls run out by its own time.
#[derive(Default)]
pub(super) struct Lag(i64);

impl Lag {
    pub(super) fn hear(&mut self, latest: Option<Timestamp>, now: Timestamp) {
        if let Some(latest) = latest {
            self.0 = now.since(latest).max(0);
        }
    }

    pub(super) fn feed_time(&self, now: Timestamp) -> Timestamp {
        now.plus_micros(self.0.saturating_neg())
    }
}

/// What an input of channel events has told so far of its conversations, beside calls.
#[derive(Default)]
pub(super) struct Counted {
    internal: Growth,
    unrelated: Growth,
    crowded_out: Growth,
}

impl Counted {
    pub(super) fn count(&mut self, shared: &Shared, channels: &Channels) {
        let Unmetered { internal, unrelated, .. } = channels.unmetered();
        let counter = |reason| shared.metrics.unmetered_calls.get(reason);
        counter(crate::metrics::Unmetered::Internal).inc_by(self.internal.of(internal));
        counter(crate::metrics::Unmetered::Unrelated).inc_by(self.unrelated.of(unrelated));
        shared.metrics.rejected.get(Rejection::TableFull).inc_by(self.crowded_out.of(channels.crowded_out()));
    }

    /// Begins to count with what was kept.
    pub(super) fn from(channels: &Channels) -> Self {
        let mut counted = Self::default();
        let Unmetered { internal, unrelated, .. } = channels.unmetered();
        counted.internal.of(internal);
        counted.unrelated.of(unrelated);
        counted.crowded_out.of(channels.crowded_out());
        counted
    }
}

/// Follows the channel event log of a switch until told to end, or until it contradicts its configuration.
pub fn follow(shared: &Shared, files: &Files<Config>, source: &SourceMetrics) {
    source.up();
    let mut directory = lock(&files.directory).clone();
    let restored = files.records.as_deref().and_then(|body| restore(&directory, body));
    let position = files.position.as_deref().and_then(|body| SourcePosition::read(&mut Reader::new(body)));
    let mut channels = restored.unwrap_or_else(|| Channels::new(&directory));
    let mut tail = AsteriskCel::new(&files.config, position);
    let mut counted = Counted::from(&channels);
    let (mut lag, mut rejected, mut troubled, mut ahead) = (Lag::default(), Growth::default(), false, false);
    let mut gaps = Growth::default();
    let (mut dirty, mut next_snapshot) = (false, Timestamp::default());
    loop {
        let ends = shared.ends();
        let batch = match tail.poll() {
            Ok(batch) => {
                troubled = false;
                batch
            }
            Err(PollError::Stopped(stopped)) => {
                tracing::error!(error = %stopped, "a source contradicts its configuration and is not read on");
                shared.tell(Told::SourceStopped(stopped.to_string()));
                break;
            }
            Err(error @ PollError::Io { .. }) => {
                if !troubled {
                    tracing::warn!(%error, "a channel event log cannot be read now; it is tried again");
                }
                troubled = true;
                Batch::default()
            }
        };
        let now = clock::now();
        if !batch.events.is_empty() {
            dirty = true;
            source.seen(now);
            warn_of_future(batch.latest(), &files.config, now, &mut ahead);
        }
        let mut updates = Vec::new();
        for event in &batch.events {
            if event.at <= now.plus_micros(AHEAD_MICROS) {
                channels.apply(event, &mut updates);
            } else {
                shared.metrics.rejected.inc(Rejection::Undated);
            }
        }
        lag.hear(batch.latest(), now);
        if !batch.more {
            channels.expire(lag.feed_time(now), &mut updates);
        }
        if ends {
            updates.extend(channels.ended().into_iter().map(|call| Update { stage: Stage::Concluded, call }));
        }
        shared.metrics.rejected.get(Rejection::BadRow).inc_by(rejected.of(tail.counts().malformed + tail.counts().broken));
        count_gaps(shared, &files.config.path, gaps.of(tail.counts().file.gaps));
        counted.count(shared, &channels);
        dirty |= !updates.is_empty();
        let keep = dirty && (ends || now >= next_snapshot);
        let snapshots = if keep { kept(files.place, &channels, &tail) } else { Vec::new() };
        if keep {
            (dirty, next_snapshot) = (false, now.plus_micros(SNAPSHOT_MICROS));
        }
        shared.follows(&updates);
        shared.running(files.place, channels.running());
        if !(updates.is_empty() && snapshots.is_empty()) {
            shared.tell(Told::News(shared.roles.of(files.place, Witness::AsteriskCel), updates, snapshots));
        } else if !batch.events.is_empty() {
            // A call was set up or rings: the view changes, the ledger does not. When the writer is busy it will look anyway.
            let _ = shared.writer.try_send(Told::Nudge);
        }
        if ends {
            break;
        }
        if !batch.more {
            std::thread::sleep(POLL);
        }
        let current = lock(&files.directory).clone();
        if !same(&current, &directory) {
            channels.reconfigure(&current);
            directory = current;
        }
    }
    source.stopped();
}

/// An event from the future would move the ledger's time, and post fees that nobody owes yet: it is left out, and told of once.
fn warn_of_future(latest: Option<Timestamp>, config: &Config, now: Timestamp, told: &mut bool) {
    let ahead = latest.filter(|latest| *latest > now.plus_micros(AHEAD_MICROS));
    if let Some(latest) = ahead
        && !*told
    {
        tracing::error!(path = %config.path.display(), %latest, "a channel event lies in the future and is left out; compare the clocks");
    }
    *told = ahead.is_some();
}

/// The open channels and the place in the file they belong to.
fn kept(place: usize, channels: &Channels, tail: &AsteriskCel) -> Vec<(String, Snapshot)> {
    let mut position = Writer::new();
    tail.position().write(&mut position);
    vec![(channels_key(place), snapshot(channels)), (position_key(place), Snapshot { position: String::new(), body: position.finish() })]
}

/// The open channels, to be kept.
pub(super) fn snapshot(channels: &Channels) -> Snapshot {
    let mut state = Writer::new();
    channels.write(&mut state);
    Snapshot { position: String::new(), body: state.finish() }
}

/// The open channels as they were kept; `None` if they are of another version.
pub(super) fn restore(directory: &Directory, body: &[u8]) -> Option<Channels> {
    let mut back = Reader::new(body);
    Channels::read(directory, &mut back).filter(|_| back.is_empty())
}

/// Reads a channel event log to its end. `each` hears of every batch, with what came of it; `false` from it ends the reading.
///
/// # Errors
/// When the file cannot be read, or contradicts its configuration.
pub(super) fn read(
    config: &Config,
    channels: &mut Channels,
    updates: &mut Vec<Update>,
    mut each: impl FnMut(&Batch, &mut Vec<Update>) -> bool,
) -> Result<(), PollError> {
    let mut source = AsteriskCel::new(config, None);
    loop {
        let batch = source.poll()?;
        for event in &batch.events {
            channels.apply(event, updates);
        }
        if let Some(latest) = batch.latest() {
            channels.expire(latest, updates);
        }
        if !each(&batch, updates) || !batch.more {
            return source.finish().map_err(|wrong: Stopped| wrong.into());
        }
    }
}
