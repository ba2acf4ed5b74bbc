//! The threads that read: one for each socket and each switch's files. They end when told to, with all they had sent on.
//!
//! The one invariant: a snapshot is sent behind the news it contains, so that what is committed belongs together.

use super::replay::{SIP, records_key};
use super::signalling::{AHEAD_MICROS, Signalling};
use super::writer::Told;
use crate::calls::{Directory, Records, Stage, Update};
use crate::clock;
use crate::ledger::Snapshot;
use crate::metrics::{Growth, HepOutcome, MessageKind, Metrics, Rejection, SourceMetrics};
use crate::sip::Observed;
use crate::sources::SetAside;
use crate::sources::asterisk_cdr::{self, AsteriskCdr, PollError, SourcePosition};
use crate::sources::hep::{Received, Receiver};
use crate::units::Timestamp;
use crate::units::codec::{Reader, Writer};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Open dialogs are written at most this often, in microseconds.
const SNAPSHOT_MICROS: i64 = 2_000_000;
/// A socket is waited for at most so long, so that timers and the end are seen.
const PATIENCE: Duration = Duration::from_millis(200);
/// Files are looked at this often.
const POLL: Duration = Duration::from_millis(500);
/// Of so many kinds and senders the first datagram that was set aside is told.
const MOST_TOLD: usize = 64;
/// Counters of the kernel are read this often, in microseconds.
const COUNT_MICROS: i64 = 5_000_000;

/// What every input thread has.
#[derive(Clone)]
pub struct Shared {
    /// Dialogs and calls of all SIP inputs: one call may be seen by several.
    pub signalling: Arc<Mutex<Signalling>>,
    /// To the writer.
    pub writer: SyncSender<Told>,
    /// Counters.
    pub metrics: Metrics,
    /// Set when it is time to end.
    pub stop: Arc<AtomicBool>,
}

impl Shared {
    fn signalling(&self) -> MutexGuard<'_, Signalling> {
        self.signalling.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ends(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Sends on; when the writer is gone nothing is left to do.
    fn tell(&self, told: Told) {
        if self.writer.send(told).is_err() {
            self.stop.store(true, Ordering::Relaxed);
        }
    }
}

/// Reads a HEP port until told to end.
pub fn hep(shared: &Shared, mut receiver: Receiver, source: &SourceMetrics) {
    source.up();
    let mut updates: Vec<Update> = Vec::new();
    let mut drops = Growth::default();
    let mut told = BTreeSet::new();
    let (mut next_count, mut next_snapshot, mut dirty) = (Timestamp::default(), clock::now().plus_micros(SNAPSHOT_MICROS), false);
    while !shared.ends() {
        let mut seen = false;
        match receiver.receive(PATIENCE, clock::now) {
            Ok(Received::Message(message)) => {
                let now = clock::now();
                shared.metrics.hep_frames.inc(HepOutcome::Accepted);
                shared.metrics.sip_messages.inc(kind_of(message.payload));
                let observed = shared.signalling().observe(&message, now, &mut updates);
                count(&shared.metrics, observed);
                seen = matches!(observed, Observed::Call | Observed::TooMany);
                dirty |= observed != Observed::NoCall;
                source.seen(now);
            }
            Ok(Received::SetAside(reason, peer)) => set_aside(&shared.metrics, reason, peer, &mut told),
            Ok(Received::Nothing) => {}
            Err(error) => {
                tracing::error!(%error, address = %receiver.local_addr(), "a HEP port cannot be read any more");
                shared.tell(Told::SourceStopped(format!("the HEP port {} cannot be read: {error}", receiver.local_addr())));
                break;
            }
        }
        let now = clock::now();
        {
            let mut signalling = shared.signalling();
            let feed = signalling.feed_time(now);
            if signalling.deadline().is_some_and(|due| due <= feed) {
                signalling.advance(feed, &mut updates);
            }
        }
        if !updates.is_empty() {
            shared.tell(Told::News(std::mem::take(&mut updates), Vec::new()));
        } else if seen {
            // A call was set up or rings: the view changes, the ledger does not. When the writer is busy it will look anyway.
            let _ = shared.writer.try_send(Told::Nudge);
        }
        if dirty && now >= next_snapshot {
            dirty = !snapshot(shared);
            next_snapshot = now.plus_micros(SNAPSHOT_MICROS);
        }
        if now >= next_count {
            count_drops(shared, &receiver, &mut drops);
            next_count = now.plus_micros(COUNT_MICROS);
        }
    }
    count_drops(shared, &receiver, &mut drops);
    source.stopped();
}

/// Sends calls whose customer has gone, as they stand: they need not wait for the next start.
pub fn conclude(shared: &Shared) {
    let updates: Vec<Update> = shared.signalling().calls().ended().map(|call| Update { stage: Stage::Concluded, call }).collect();
    if !updates.is_empty() {
        shared.tell(Told::News(updates, Vec::new()));
    }
}

/// Sends the open dialogs to be kept; `false` when there was no room, and the next time has to do.
fn snapshot(shared: &Shared) -> bool {
    // The lock is held while sending, so that no other input's news can slip between the state and its place in the queue.
    // And so it must not wait for room: the writer, which makes room, wants the lock as well.
    let signalling = shared.signalling();
    let sent = shared.writer.try_send(kept_dialogs(&signalling));
    drop(signalling);
    sent.is_ok()
}

/// Sends the open dialogs a last time, when no input is left that could send anything behind them.
pub fn last_snapshot(shared: &Shared) {
    let told = kept_dialogs(&shared.signalling());
    shared.tell(told);
}

fn kept_dialogs(signalling: &Signalling) -> Told {
    Told::News(Vec::new(), vec![(SIP.to_owned(), Snapshot { position: String::new(), body: signalling.write() })])
}

fn count_drops(shared: &Shared, receiver: &Receiver, drops: &mut Growth) {
    if let Ok(total) = receiver.kernel_drops() {
        let new = drops.of(total);
        shared.metrics.socket_drops.inc_by(new);
        if new > 0 {
            tracing::error!(new, address = %receiver.local_addr(), "the kernel dropped datagrams: metering is incomplete; raise net.core.rmem_max");
        }
    }
}

fn count(metrics: &Metrics, observed: Observed) {
    match observed {
        Observed::Duplicate => metrics.rejected.inc(Rejection::Duplicate),
        Observed::Malformed => metrics.rejected.inc(Rejection::BadMessage),
        Observed::TooMany => metrics.rejected.inc(Rejection::TableFull),
        Observed::Call | Observed::NoCall | Observed::UnknownDialog => {}
    }
}

/// Counts what was set aside, and tells the first of each kind and sender: a wrong key should be seen, a flood should not.
fn set_aside(metrics: &Metrics, reason: SetAside, peer: SocketAddr, told: &mut BTreeSet<(SetAside, IpAddr)>) {
    metrics.rejected.inc(Rejection::from(reason));
    let outcome = match reason {
        SetAside::HepKey => HepOutcome::Unauthenticated,
        SetAside::HepProtocol => HepOutcome::OtherProtocol,
        _ => HepOutcome::Malformed,
    };
    metrics.hep_frames.inc(outcome);
    if reason != SetAside::HepProtocol && told.len() < MOST_TOLD && told.insert((reason, peer.ip())) {
        tracing::warn!(reason = reason.label(), %peer, "a datagram was set aside; more of this kind from there are only counted");
    }
}

/// What a message is, by its first octets.
fn kind_of(payload: &[u8]) -> MessageKind {
    const METHODS: [(&[u8], MessageKind); 10] = [
        (b"INVITE ", MessageKind::Invite),
        (b"ACK ", MessageKind::Ack),
        (b"BYE ", MessageKind::Bye),
        (b"CANCEL ", MessageKind::Cancel),
        (b"REFER ", MessageKind::Refer),
        (b"UPDATE ", MessageKind::Update),
        (b"PRACK ", MessageKind::Prack),
        (b"INFO ", MessageKind::Info),
        (b"REGISTER ", MessageKind::Register),
        (b"OPTIONS ", MessageKind::Options),
    ];
    let start = payload.trim_ascii_start();
    match start.strip_prefix(b"SIP/2.0 ").and_then(|rest| rest.first()) {
        Some(b'1') => MessageKind::Provisional,
        Some(b'2') => MessageKind::Success,
        Some(b'3') => MessageKind::Redirection,
        Some(b'4') => MessageKind::ClientError,
        Some(b'5') => MessageKind::ServerError,
        Some(b'6') => MessageKind::GlobalFailure,
        _ => METHODS.iter().find(|(method, _)| start.starts_with(method)).map_or(MessageKind::OtherRequest, |(_, kind)| *kind),
    }
}

/// A switch's files, as configured, with what was kept of them.
pub struct Files {
    /// The number of the source.
    pub place: usize,
    /// How its files are read.
    pub config: asterisk_cdr::Config,
    /// The gathered records, as kept.
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
pub fn files(shared: &Shared, files: &Files, source: &SourceMetrics) {
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
            shared.tell(Told::News(updates, snapshots));
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
fn same(one: &Directory, other: &Directory) -> bool {
    format!("{one:?}") == format!("{other:?}")
}

fn lock(directory: &Mutex<Directory>) -> MutexGuard<'_, Directory> {
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
