//! The thread that takes records as a switch posts them, and reads what it left in its spool.
//!
//! The one invariant: a record is confirmed only when what is gathered, with it in there, is on disk; a file of the spool is
//! taken away only then, and only where that is configured.

use super::files::{Files, lock, position_key, same};
use super::inputs::Shared;
use super::record_files::{FileConfig, RecordFiles};
use super::replay::records_key;
use super::signalling::AHEAD_MICROS;
use super::writer::Told;
use crate::calls::{Speaker, Stage, Update};
use crate::clock;
use crate::http::records::{self, Inbox, Posted, Verdict};
use crate::http::{Limits, Pass};
use crate::ledger::Snapshot;
use crate::metrics::{Growth, Rejection, SourceMetrics};
use crate::sources::freeswitch::body;
use crate::units::Timestamp;
use std::future::Future;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

/// So many records are kept in one transaction.
const AT_ONCE: usize = 64;
/// How long to wait for a record, so that timers and the end are seen.
const PATIENCE: Duration = Duration::from_millis(200);
/// How long a record may wait for the disk; FreeSWITCH waits, and holds up its channel.
const IN_TIME: Duration = Duration::from_secs(8);
/// So many posted records may wait for their thread before the next is told to come later.
const WAITING: usize = 256;
/// The spool is looked at this often, in microseconds.
const SPOOL_MICROS: i64 = 5_000_000;

/// What becomes of the files of a spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterReading {
    /// They stay.
    Keep,
    /// They are taken away.
    Delete,
}

/// How records are posted.
pub struct Posting {
    /// The number of the source.
    pub place: usize,
    /// How they are read.
    pub config: FileConfig,
    /// The port, bound already, the path, and what the header Authorization may be.
    pub port: Option<Port>,
    /// What becomes of files of the spool.
    pub after: AfterReading,
}

/// A port that is bound already, the path on it, and what the header Authorization may be.
pub type Port = (TcpListener, Box<str>, Option<Pass>);

/// Serves a port until `quit` is ready; gives what is posted there. Without a port, nothing ever is.
///
/// # Errors
/// When the port cannot be used.
pub fn open(port: Option<Port>, quit: impl Future<Output = ()> + Send + 'static) -> std::io::Result<Receiver<Posted>> {
    let (sender, records) = sync_channel(WAITING);
    if let Some((listener, path, pass)) = port {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        tracing::info!(address = %listener.local_addr()?, %path, "taking records that are posted");
        let inbox = Inbox { path, longest: body::LONGEST, pass, records: sender };
        tokio::spawn(records::serve(listener, inbox, Limits::default(), quit));
    }
    Ok(records)
}

/// Takes records until told to end. Without a port, `records` never has one.
pub fn take(shared: &Shared, files: &Files<FileConfig>, records: &Receiver<Posted>, after: AfterReading, source: &SourceMetrics) {
    source.up();
    let mut directory = lock(&files.directory).clone();
    let by = shared.roles.of(files.place, files.config.witness());
    let mut gathered = RecordFiles::open(&files.config, &directory, files.records.as_deref(), files.position.as_deref()).keeping_changes();
    let mut next_look = Timestamp::default();
    let mut rejected = Growth::default();
    let (mut troubled, mut aside_told) = (false, false);
    loop {
        let ends = shared.ends();
        let posted = if ends { records.try_iter().take(AT_ONCE).collect() } else { wait(records) };
        let mut kept: Vec<Posted> = Vec::new();
        for posted in posted {
            match gathered.post(&posted.body) {
                Some(Ok(())) => kept.push(posted),
                Some(Err(why)) => drop(posted.answer.send(Verdict::Refused(why.to_string()))),
                None => drop(posted.answer.send(Verdict::Later)),
            }
        }
        let now = clock::now();
        let mut read = 0;
        if now >= next_look || ends {
            match gathered.poll() {
                Ok(news) => {
                    (read, troubled) = (news.count, false);
                    next_look = if news.more { now } else { now.plus_micros(SPOOL_MICROS) };
                }
                Err(error) => {
                    if !troubled {
                        tracing::warn!(?error, path = %files.config.path().display(), "a spool cannot be read now; it is tried again");
                    }
                    (troubled, next_look) = (true, now.plus_micros(SPOOL_MICROS));
                }
            }
        }
        shared.metrics.rejected.get(Rejection::BadRow).inc_by(rejected.of(gathered.set_aside()));
        if let Some(why) = gathered.take_aside().filter(|_| !aside_told) {
            tracing::warn!(%why, "a record was set aside; more of this source are only counted");
            aside_told = true;
        }
        let told = if ends { gathered.flush_by(now.plus_micros(AHEAD_MICROS)) } else { gathered.settled(now) };
        let updates: Vec<Update> = told.into_iter().map(|call| Update { stage: Stage::Concluded, call }).collect();
        if !(updates.is_empty() && kept.is_empty() && read == 0) {
            source.seen(now);
            keep(shared, (files.place, by), &mut gathered, updates, kept, if read > 0 { Some(after) } else { None });
        }
        if ends {
            break;
        }
        let current = lock(&files.directory).clone();
        if !same(&current, &directory) {
            gathered.reconfigure(&current);
            directory = current;
        }
    }
    source.stopped();
}

/// A hand full of records, or none after a while.
fn wait(records: &Receiver<Posted>) -> Vec<Posted> {
    let first = match records.recv_timeout(PATIENCE) {
        Ok(first) => first,
        Err(RecvTimeoutError::Timeout) => return Vec::new(),
        Err(RecvTimeoutError::Disconnected) => {
            std::thread::sleep(PATIENCE);
            return Vec::new();
        }
    };
    std::iter::once(first).chain(records.try_iter().take(AT_ONCE.saturating_sub(1))).collect()
}

/// Sends on what changed, waits until it is on disk, and says so. The place in the spool is kept when files of it were read.
fn keep(
    shared: &Shared,
    (place, by): (usize, Speaker),
    gathered: &mut RecordFiles,
    updates: Vec<Update>,
    posted: Vec<Posted>,
    spool: Option<AfterReading>,
) {
    let mut snapshots = gathered.changes(&records_key(place));
    if spool.is_some() {
        snapshots.push((position_key(place), Snapshot { position: String::new(), body: gathered.place() }));
    }
    let files: Vec<PathBuf> = gathered.take_files();
    shared.tell(Told::News(by, updates, snapshots));
    let (sender, confirmed) = sync_channel(1);
    shared.tell(Told::Confirm(sender));
    let verdict = if confirmed.recv_timeout(IN_TIME).is_ok() { Verdict::Kept } else { Verdict::Later };
    if verdict == Verdict::Kept && spool == Some(AfterReading::Delete) {
        for file in files {
            if let Err(error) = std::fs::remove_file(&file) {
                tracing::warn!(%error, path = %file.display(), "a file of a spool that was read cannot be taken away");
            }
        }
    }
    // Who does not wait any more posts it again, and it is known then.
    posted.into_iter().for_each(|posted| drop(posted.answer.send(verdict.clone())));
}
