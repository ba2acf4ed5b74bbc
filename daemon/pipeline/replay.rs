//! Recordings into the ledger: one thread reads and correlates, the other journals; then every contract is settled once.
//!
//! The one invariant: replaying anything again, or cut in parts, leaves the same records.

use super::books::{Books, Done, News};
use super::event_files::{self, EventConfig};
use super::events::{self, channels_key};
use super::kept_parts::{gathered, parts_gone};
use super::record_files::{FileConfig, RecordFiles};
use super::roles::Roles;
use super::streams::Streams;
use crate::calls::{Call, Channels, Speaker, Stage, Unmetered, Update, Witness};
use crate::ledger::{LedgerError, Posted, Snapshot};
use crate::sources::Tally;
use crate::sources::pcap::{Capture, CaptureError, Progress};
use crate::units::{KeyedState, Observation, Timestamp};
use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};

/// Where the open dialogs of all SIP inputs are kept.
pub const SIP: &str = "sip";
/// Where the gathered records of the configured source with this number are kept.
#[must_use]
pub fn records_key(place: usize) -> String {
    format!("records {place}")
}

/// Packets read between two looks at the progress.
const PACKETS_AT_ONCE: u64 = 2_000;
/// News of so many calls are handed over at once.
const UPDATES_AT_ONCE: usize = 64;
/// So many hands full may wait for the ledger.
const HANDS_WAITING: usize = 8;
/// So many are journaled in one transaction: calls lie in the ledger's indexes at random, so each transaction writes most of
/// their pages.
const HANDS_AT_ONCE: usize = 128;

/// Something to replay.
#[derive(Clone, Debug)]
pub enum Recording {
    /// A pcap or pcapng file.
    Capture(PathBuf),
    /// The files of the configured source with this number.
    Records(usize, Box<FileConfig>),
    /// The channel events of the configured source with this number.
    Events(usize, Box<EventConfig>),
}

/// How a replay goes on, for a progress bar.
#[derive(Clone, Copy, Debug)]
pub enum Step<'a> {
    /// A file is being read: its name, bytes so far, bytes in all (if known).
    Reading(&'a Path, u64, Option<u64>),
    /// Rows and lines are being read: the file, and how many so far.
    Rows(&'a Path, u64),
    /// So many records of a file could not be read; the first, where and why.
    SetAside(&'a str, u64),
    /// The file ends within a record, at this byte; all before it was read.
    CutOff(&'a Path, u64),
    /// Contracts settled so far, and in all.
    Settling(usize, usize),
}

/// What a replay came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Summary {
    /// Packets, or rows and lines.
    pub read: u64,
    /// SIP messages of calls.
    pub messages: u64,
    /// What was not delivered, by reason.
    pub set_aside: Tally,
    /// Rows and lines that could not be read.
    pub bad_rows: u64,
    /// Messages that no dialog was seen for, and bytes that are no SIP.
    pub unknown: u64,
    /// What was journaled.
    pub journaled: Done,
    /// What was posted.
    pub posted: Posted,
    /// Calls that still run.
    pub running: usize,
    /// When the earliest call told of began, and the latest.
    pub span: Option<(Timestamp, Timestamp)>,
    /// Calls that make no record: internal, unrelated, orphaned legs.
    pub unmetered: crate::calls::Unmetered,
}

/// Why a replay ended early. What was read before is in the ledger.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// A file cannot be opened.
    #[error("{}: cannot be opened: {source}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A capture cannot be read on.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// A file contradicts its configuration.
    #[error("{0}")]
    Stopped(String),
    /// A file of records cannot be read.
    #[error("{0}")]
    Poll(String),
    /// The ledger cannot be written.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// Calls under way when a replay begins or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// They stay open until later evidence.
    Open,
    /// They are concluded as far as they are known (`--final`).
    Final,
}

/// Replays recordings in order, and settles. `key` is drawn by the caller; `progress` hears how it goes. Where a file or the
/// ledger fails, what came before is journaled and settled all the same.
pub fn replay(
    books: &mut Books,
    recordings: &[Recording],
    ending: Ending,
    roles: &Roles,
    max_legs: usize,
    key: KeyedState,
    progress: &mut (dyn FnMut(Step<'_>) + Send),
) -> (Summary, Result<(), ReplayError>) {
    let mut summary = Summary::default();
    let done = replay_into(&mut summary, books, recordings, ending, roles, (max_legs, key), progress);
    (summary, done)
}

fn replay_into(
    summary: &mut Summary,
    books: &mut Books,
    recordings: &[Recording],
    ending: Ending,
    roles: &Roles,
    (max_legs, key): (usize, KeyedState),
    progress: &mut (dyn FnMut(Step<'_>) + Send),
) -> Result<(), ReplayError> {
    let reading = Reading { roles: roles.clone(), ..prepare(books, recordings, max_legs, key)? };
    let (sender, receiver) = sync_channel(HANDS_WAITING);
    let (read, journaled) = std::thread::scope(|scope| {
        let books = &mut *books;
        let writer = scope.spawn(move || journal_all(books, receiver));
        let read = read_all(reading, recordings, ending, &sender, summary, progress);
        drop(sender);
        (read, writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    summary.journaled = journaled?;
    summary.posted = summary.journaled.posted;
    summary.posted += books.settle_all(|done, all| progress(Step::Settling(done, all)))?;
    read
}

/// What is needed to read: the state that earlier replays left.
struct Reading {
    roles: Roles,
    streams: Streams,
    records: Vec<(usize, Witness, RecordFiles)>,
    channels: Vec<(usize, Witness, Channels, Unmetered)>,
    directory: crate::calls::Directory,
    kept: Vec<(usize, Vec<u8>)>,
    /// What a running daemon kept call by call, and is kept in one piece from now on.
    gone: Vec<(usize, Vec<(String, Snapshot)>)>,
    ledger_time: Timestamp,
    /// Calls that only their end was seen of.
    orphans: u64,
}

fn prepare(books: &Books, recordings: &[Recording], max_legs: usize, key: KeyedState) -> Result<Reading, LedgerError> {
    let directory = books.in_force().directory().clone();
    let streams = Streams::read(books.ledger(), &directory, max_legs, key)?;
    let (mut kept, mut gone) = (Vec::new(), Vec::new());
    for recording in recordings {
        let (place, key) = match recording {
            Recording::Capture(_) => continue,
            Recording::Records(place, _) => (*place, records_key(*place)),
            Recording::Events(place, _) => (*place, channels_key(*place)),
        };
        if let Some(body) = gathered(books.ledger(), &key)? {
            kept.push((place, body));
        }
        gone.push((place, parts_gone(books.ledger(), &key)?));
    }
    Ok(Reading {
        roles: Roles::default(),
        streams,
        records: Vec::new(),
        channels: Vec::new(),
        directory,
        kept,
        gone,
        ledger_time: books.ledger().time(),
        orphans: 0,
    })
}

fn journal_all(books: &mut Books, receiver: std::sync::mpsc::Receiver<News>) -> Result<Done, LedgerError> {
    let mut sum = Done::default();
    while let Ok(first) = receiver.recv() {
        let more = receiver.iter().take(HANDS_AT_ONCE.saturating_sub(1));
        sum += books.journal(std::iter::once(first).chain(more))?;
    }
    Ok(sum)
}

fn read_all(
    mut reading: Reading,
    recordings: &[Recording],
    ending: Ending,
    sender: &SyncSender<News>,
    summary: &mut Summary,
    progress: &mut dyn FnMut(Step<'_>),
) -> Result<(), ReplayError> {
    let mut latest: Option<Timestamp> = None;
    let mut outcome = Ok(());
    for recording in recordings {
        outcome = match recording {
            Recording::Capture(path) => read_capture(&mut reading, path, sender, summary, progress, &mut latest),
            Recording::Records(place, config) => read_records(&mut reading, *place, config, sender, summary, progress, &mut latest),
            Recording::Events(place, config) => read_events(&mut reading, *place, config, sender, summary, progress, &mut latest),
        };
        if outcome.is_err() {
            break;
        }
    }
    let Reading { roles, mut streams, mut records, mut channels, mut gone, ledger_time, orphans, .. } = reading;
    let time = latest.map(|latest| latest.max(ledger_time));
    let mut last = |by: Speaker, mut updates: Vec<Update>, running: Vec<Call>, snapshots: Vec<(String, Snapshot)>| {
        updates.retain(|update| update.stage == Stage::Concluded);
        summary.running += running.len();
        let connected = running.into_iter().filter(|call| !call.talks.is_empty());
        updates.extend(connected.map(|call| Update { stage: Stage::Connected, call }));
        note(summary, &updates);
        // When the ledger failed, its error is the one to tell.
        let _ = sender.send(News { by, updates, snapshots, time });
    };
    let mut updates = Vec::new();
    let running = streams.end(time, ending == Ending::Final, &mut updates);
    let unmetered = streams.unmetered();
    last(roles.signalling(), updates, running, streams.write());
    let mut others = Unmetered { orphans, ..Unmetered::default() };
    for (place, witness, channels, before) in &mut channels {
        let mut updates = Vec::new();
        if let Some(time) = time {
            channels.expire(time, &mut updates);
        }
        if ending == Ending::Final {
            channels.finish(&mut updates);
        }
        updates.extend(channels.ended().into_iter().map(|call| Update { stage: Stage::Concluded, call }));
        let Unmetered { internal, unrelated, .. } = channels.unmetered().since(*before);
        others.internal += internal;
        others.unrelated += unrelated;
        let kept = vec![(channels_key(*place), events::snapshot(channels))];
        last(roles.of(*place, *witness), updates, channels.running(), kept);
    }
    for (place, witness, records) in &mut records {
        let updates = records.flush_by(Timestamp::MAX).into_iter().map(|call| Update { stage: Stage::Concluded, call }).collect();
        let parts = gone.iter_mut().filter(|(of, _)| of == place).flat_map(|(_, parts)| std::mem::take(parts));
        let whole = (records_key(*place), Snapshot { position: String::new(), body: records.gathered() });
        let kept = parts.chain([whole]).collect();
        last(roles.of(*place, *witness), updates, Vec::new(), kept);
    }
    summary.unmetered = unmetered;
    summary.unmetered.internal += others.internal;
    summary.unmetered.unrelated += others.unrelated;
    summary.unmetered.orphans += others.orphans;
    outcome
}

/// Sends news on; `false` when the ledger takes no more.
fn send(by: Speaker, updates: &mut Vec<Update>, sender: &SyncSender<News>, summary: &mut Summary) -> bool {
    updates.retain(|update| update.stage == Stage::Concluded);
    if updates.len() < UPDATES_AT_ONCE {
        return true;
    }
    note(summary, updates);
    sender.send(News { by, updates: std::mem::take(updates), ..News::default() }).is_ok()
}

fn note(summary: &mut Summary, updates: &[Update]) {
    for Update { call, .. } in updates {
        let begun = call.connected_at().unwrap_or(call.started_at);
        summary.span = Some(summary.span.map_or((begun, begun), |(first, last)| (first.min(begun), last.max(begun))));
    }
}

fn open(path: &Path) -> Result<(File, Option<u64>), ReplayError> {
    let failed = |source| ReplayError::Open { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    let size = file.metadata().ok().filter(std::fs::Metadata::is_file).map(|meta| meta.len());
    Ok((file, size))
}

fn read_capture(
    reading: &mut Reading,
    path: &Path,
    sender: &SyncSender<News>,
    summary: &mut Summary,
    progress: &mut dyn FnMut(Step<'_>),
    latest: &mut Option<Timestamp>,
) -> Result<(), ReplayError> {
    use crate::sip::Observed;
    let (file, size) = open(path)?;
    let mut capture = Capture::new(&path.display().to_string(), file);
    let mut updates = Vec::with_capacity(UPDATES_AT_ONCE);
    let by = reading.roles.signalling();
    let streams = &mut reading.streams;
    streams.begin();
    let ended = loop {
        let advanced = capture.advance(PACKETS_AT_ONCE, |packet| {
            let Observation::Sip(message) = packet.observation;
            match streams.observe(&message, packet.arrived_at, &mut updates) {
                Observed::Call | Observed::Duplicate => summary.messages += 1,
                Observed::Malformed | Observed::UnknownDialog | Observed::TooMany => summary.unknown += 1,
                Observed::NoCall => {}
            }
            let at = message.captured_at.min(packet.arrived_at);
            *latest = Some(latest.map_or(at, |latest| latest.max(at)));
            ControlFlow::Continue(())
        });
        progress(Step::Reading(path, capture.position(), size));
        if !send(by, &mut updates, sender, summary) {
            break Ok(());
        }
        match advanced {
            Ok(Progress::More) => {}
            Ok(Progress::Complete | Progress::Stopped) => break Ok(()),
            Ok(Progress::CutOff { offset }) => {
                progress(Step::CutOff(path, offset));
                break Ok(());
            }
            Err(error) => break Err(error.into()),
        }
    };
    note(summary, &updates);
    let _ = sender.send(News { by, updates, ..News::default() });
    summary.read += capture.counters().packets;
    summary.set_aside.merge(&capture.counters().set_aside);
    ended
}

fn read_records(
    reading: &mut Reading,
    place: usize,
    config: &FileConfig,
    sender: &SyncSender<News>,
    summary: &mut Summary,
    progress: &mut dyn FnMut(Step<'_>),
    latest: &mut Option<Timestamp>,
) -> Result<(), ReplayError> {
    open(config.path())?;
    let by = reading.roles.of(place, config.witness());
    let known = reading.records.iter().position(|(known, ..)| *known == place).map(|index| reading.records.swap_remove(index).2);
    let kept = reading.kept.iter().find(|(known, _)| *known == place).map(|(_, body)| body.as_slice());
    let records = known.unwrap_or_else(|| RecordFiles::open(config, &reading.directory, kept, None)).begin(config);
    reading.records.push((place, config.witness(), records));
    let Some((.., records)) = reading.records.last_mut() else { return Ok(()) };
    let mut updates = Vec::new();
    let ended = loop {
        let news = match records.poll() {
            Ok(news) => news,
            Err(trouble) => break Err(trouble.into()),
        };
        summary.read += news.count;
        if let Some(now) = news.latest {
            *latest = Some(latest.map_or(now, |latest| latest.max(now)));
            updates.extend(records.settled(now).into_iter().map(|call| Update { stage: Stage::Concluded, call }));
        }
        progress(Step::Rows(config.path(), summary.read));
        if !send(by, &mut updates, sender, summary) || !news.more {
            break records.finish().map_err(Into::into);
        }
    };
    let aside = records.set_aside();
    summary.bad_rows += aside;
    if let Some(why) = records.take_aside() {
        progress(Step::SetAside(&why, aside));
    }
    note(summary, &updates);
    let _ = sender.send(News { by, updates, ..News::default() });
    ended
}

fn read_events(
    reading: &mut Reading,
    place: usize,
    config: &EventConfig,
    sender: &SyncSender<News>,
    summary: &mut Summary,
    progress: &mut dyn FnMut(Step<'_>),
    latest: &mut Option<Timestamp>,
) -> Result<(), ReplayError> {
    open(config.path())?;
    let by = reading.roles.of(place, config.witness());
    if !reading.channels.iter().any(|(known, ..)| *known == place) {
        let kept = reading.kept.iter().find(|(known, _)| *known == place);
        let restored = kept.and_then(|(_, body)| events::restore(&reading.directory, body));
        let channels = restored.unwrap_or_else(|| Channels::new(&reading.directory));
        let before = channels.unmetered();
        reading.channels.push((place, config.witness(), channels, before));
    }
    let Some((_, _, channels, _)) = reading.channels.iter_mut().find(|(known, ..)| *known == place) else { return Ok(()) };
    let mut updates = Vec::new();
    let ended = event_files::read(config, channels, &mut updates, |rows, newest, updates| {
        summary.read += rows;
        *latest = (*latest).max(newest);
        progress(Step::Rows(config.path(), summary.read));
        send(by, updates, sender, summary)
    });
    note(summary, &updates);
    let _ = sender.send(News { by, updates, ..News::default() });
    let aside = ended.map_err(|error| ReplayError::Poll(error.to_string()))?;
    (summary.bad_rows, reading.orphans) = (summary.bad_rows + aside.refused, reading.orphans + aside.orphans);
    if let Some(why) = aside.first {
        progress(Step::SetAside(&why, aside.refused));
    }
    Ok(())
}
