//! The threads that follow a switch's files of records.
//!
//! The one invariant: the gathered records and the place in the files are kept together with the calls told of them.

use super::inputs::{SNAPSHOT_MICROS, Shared};
use super::replay::records_key;
use super::signalling::AHEAD_MICROS;
use super::writer::Told;
use crate::calls::{Directory, Records, Stage, Update, Witness};
use crate::clock;
use crate::ledger::Snapshot;
use crate::metrics::{Growth, Rejection, SourceMetrics};
use crate::sources::asterisk_cdr::{self, AsteriskCdr, PollError, SourcePosition};
use crate::units::Timestamp;
use crate::units::codec::{Reader, Writer};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Files are looked at this often.
const POLL: Duration = Duration::from_millis(500);

/// A switch's files, as configured, with what was kept of them.
pub struct Files<C> {
    /// The number of the source.
    pub place: usize,
    /// How its files are read.
    pub config: C,
    /// The gathered records, or the open channels, as kept.
    pub records: Option<Vec<u8>>,
    /// The place in the files, as kept.
    pub position: Option<Vec<u8>>,
    /// The directory, as it stands; exchanged on reload.
    pub directory: Arc<Mutex<Directory>>,
}

/// Where the place in the files of a source is kept.
#[must_use]
pub fn position_key(place: usize) -> String {
    format!("position {place}")
}

/// Follows the files of a switch until told to end, or until they contradict their configuration.
pub fn follow(shared: &Shared, files: &Files<asterisk_cdr::Config>, source: &SourceMetrics) {
    source.up();
    let mut directory = lock(&files.directory).clone();
    let restored = files.records.as_deref().and_then(|body| Records::read(&directory, &mut Reader::new(body)));
    let mut records = restored.unwrap_or_else(|| Records::new(&directory));
    let position = files.position.as_deref().and_then(|body| SourcePosition::read(&mut Reader::new(body)));
    let mut tail = AsteriskCdr::new(&files.config, position);
    let (mut dirty, mut next_snapshot) = (false, Timestamp::default());
    let mut troubled = false;
    let mut rejected = Growth::default();
    let mut ahead = false;
    loop {
        let ends = shared.ends();
        let mut more = false;
        match tail.poll() {
            Ok(batch) => {
                troubled = false;
                more = batch.more;
                if !(batch.rows.is_empty() && batch.lines.is_empty()) {
                    dirty = true;
                    source.seen(clock::now());
                }
                batch.lines.into_iter().for_each(|line| records.apply_queue_line(line));
                batch.rows.into_iter().for_each(|row| records.apply(row));
            }
            Err(PollError::Stopped(stopped)) => {
                tracing::error!(error = %stopped, "a source contradicts its configuration and is not read on");
                shared.tell(Told::SourceStopped(stopped.to_string()));
                break;
            }
            Err(error @ PollError::Io { .. }) => {
                if !troubled {
                    tracing::warn!(%error, "a file of records cannot be read now; it is tried again");
                }
                troubled = true;
            }
        }
        shared.metrics.rejected.get(Rejection::BadRow).inc_by(rejected.of(tail.counts().malformed_rows + tail.counts().broken_rows));
        let now = clock::now();
        warn_of_future(&records, &files.config, now, &mut ahead);
        let told = if ends { records.flush_by(now.plus_micros(AHEAD_MICROS)) } else { records.settled(now) };
        let updates: Vec<Update> = told.into_iter().map(|call| Update { stage: Stage::Concluded, call }).collect();
        dirty |= !updates.is_empty();
        let keep = dirty && (ends || now >= next_snapshot);
        let snapshots = if keep { kept(files.place, &records, &tail) } else { Vec::new() };
        if keep {
            (dirty, next_snapshot) = (false, now.plus_micros(SNAPSHOT_MICROS));
        }
        if !(updates.is_empty() && snapshots.is_empty()) {
            shared.tell(Told::News(shared.roles.of(files.place, Witness::AsteriskCdr), updates, snapshots));
        }
        if ends {
            break;
        }
        if !more {
            std::thread::sleep(POLL);
        }
        let current = lock(&files.directory).clone();
        if !same(&current, &directory) {
            records.reconfigure(&current);
            directory = current;
        }
    }
    source.stopped();
}

/// A row from the future would move the ledger's time, and post fees that nobody owes yet: it waits, and is told of once.
fn warn_of_future(records: &Records, config: &asterisk_cdr::Config, now: Timestamp, told: &mut bool) {
    let latest = records.latest_waiting().filter(|latest| *latest > now.plus_micros(AHEAD_MICROS));
    if let Some(latest) = latest
        && !*told
    {
        tracing::warn!(path = %config.path.display(), %latest, "a record lies in the future and waits for its time; compare the clocks, and the timezone of the source");
    }
    *told = latest.is_some();
}

/// Whether two directories say the same: they hold plain values, so their text tells.
pub(super) fn same(one: &Directory, other: &Directory) -> bool {
    format!("{one:?}") == format!("{other:?}")
}

pub(super) fn lock(directory: &Mutex<Directory>) -> MutexGuard<'_, Directory> {
    directory.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The gathered records and the place in the files they belong to.
fn kept(place: usize, records: &Records, tail: &AsteriskCdr) -> Vec<(String, Snapshot)> {
    let (mut state, mut position) = (Writer::new(), Writer::new());
    records.write(&mut state);
    tail.position().write(&mut position);
    let snapshot = |body| Snapshot { position: String::new(), body };
    vec![(records_key(place), snapshot(state.finish())), (position_key(place), snapshot(position.finish()))]
}
