//! The threads that follow a switch's files of records.
//!
//! The one invariant: the gathered records and the place in the files are kept together with the calls told of them.

use super::inputs::{SNAPSHOT_MICROS, Shared};
use super::kept_parts::gathered;
use super::record_files::{FileConfig, RecordFiles, Trouble};
use super::replay::records_key;
use super::signalling::AHEAD_MICROS;
use super::writer::Told;
use crate::calls::{Directory, Stage, Update};
use crate::clock;
use crate::ledger::{Ledger, LedgerError, Snapshot};
use crate::metrics::{Growth, Rejection, SourceMetrics};
use crate::units::Timestamp;
use std::path::Path;
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

/// What was kept of sources of records: of each its number, what was gathered, and the place in its files.
pub(super) type Kept = Vec<(usize, Option<Vec<u8>>, Option<Vec<u8>>)>;

/// What the ledger keeps of these sources: their numbers, and where what was gathered of each is kept.
pub(super) fn kept_of(ledger: &Ledger, sources: impl Iterator<Item = (usize, String)>) -> Result<Kept, LedgerError> {
    let body = |key: &str| Ok::<_, LedgerError>(ledger.snapshot(key)?.map(|snapshot| snapshot.body));
    sources.map(|(place, name)| Ok((place, gathered(ledger, &name)?, body(&position_key(place))?))).collect()
}

impl<C> Files<C> {
    /// A source of files, with what was kept of it.
    pub(super) fn with_kept(kept: &mut Kept, place: usize, config: C, directory: &Arc<Mutex<Directory>>) -> Self {
        let found = kept.iter_mut().find(|(known, ..)| *known == place);
        let (records, position) = found.map_or((None, None), |(_, records, position)| (records.take(), position.take()));
        Self { place, config, records, position, directory: Arc::clone(directory) }
    }
}

/// Where the place in the files of a source is kept.
#[must_use]
pub fn position_key(place: usize) -> String {
    format!("position {place}")
}

/// Follows the files of a switch until told to end, or until they contradict their configuration.
pub fn follow(shared: &Shared, files: &Files<FileConfig>, source: &SourceMetrics) {
    source.up();
    let mut directory = lock(&files.directory).clone();
    let mut records = RecordFiles::open(&files.config, &directory, files.records.as_deref(), files.position.as_deref());
    let (mut dirty, mut next_snapshot) = (false, Timestamp::default());
    let mut troubled = false;
    let (mut rejected, mut gaps) = (Growth::default(), Growth::default());
    let (mut ahead, mut aside_told) = (false, false);
    loop {
        let ends = shared.ends();
        let mut more = false;
        match records.poll() {
            Ok(news) => {
                troubled = false;
                more = news.more;
                if news.count > 0 {
                    dirty = true;
                    source.seen(clock::now());
                }
            }
            Err(Trouble::Stopped(why)) => {
                tracing::error!(error = %why, "a source contradicts its configuration and is not read on");
                shared.tell(Told::SourceStopped(why));
                break;
            }
            Err(Trouble::Unreadable(error)) => {
                if !troubled {
                    tracing::warn!(%error, "a file of records cannot be read now; it is tried again");
                }
                troubled = true;
            }
        }
        shared.metrics.rejected.get(Rejection::BadRow).inc_by(rejected.of(records.set_aside()));
        count_gaps(shared, files.config.path(), gaps.of(records.gaps()));
        if let Some(why) = records.take_aside().filter(|_| !aside_told) {
            tracing::warn!(%why, "a record was set aside; more of this source are only counted");
            aside_told = true;
        }
        let now = clock::now();
        warn_of_future(&records, &files.config, now, &mut ahead);
        let told = if ends { records.flush_by(now.plus_micros(AHEAD_MICROS)) } else { records.settled(now) };
        let updates: Vec<Update> = told.into_iter().map(|call| Update { stage: Stage::Concluded, call }).collect();
        dirty |= !updates.is_empty();
        let keep = dirty && (ends || now >= next_snapshot);
        let snapshots = if keep { kept(files.place, &records) } else { Vec::new() };
        if keep {
            (dirty, next_snapshot) = (false, now.plus_micros(SNAPSHOT_MICROS));
        }
        if !(updates.is_empty() && snapshots.is_empty()) {
            shared.tell(Told::News(shared.roles.of(files.place, files.config.witness()), updates, snapshots));
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

/// Records that may never have been read: the one who keeps the rotated file can say.
pub(super) fn count_gaps(shared: &Shared, path: &Path, new: u64) {
    shared.metrics.file_gaps.inc_by(new);
    if new > 0 {
        tracing::warn!(path = %path.display(), new, "a file of records was emptied or replaced, and no file beside it holds what was read before: records written in between may be missing; taktd replay of the old file adds them");
    }
}

/// A row from the future would move the ledger's time, and post fees that nobody owes yet: it waits, and is told of once.
fn warn_of_future(records: &RecordFiles, config: &FileConfig, now: Timestamp, told: &mut bool) {
    let latest = records.latest_waiting().filter(|latest| *latest > now.plus_micros(AHEAD_MICROS));
    if let Some(latest) = latest
        && !*told
    {
        tracing::warn!(path = %config.path().display(), %latest, "a record lies in the future and waits for its time; compare the clocks, and the timezone of the source");
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
fn kept(place: usize, records: &RecordFiles) -> Vec<(String, Snapshot)> {
    let snapshot = |body| Snapshot { position: String::new(), body };
    vec![(records_key(place), snapshot(records.gathered())), (position_key(place), snapshot(records.place()))]
}
