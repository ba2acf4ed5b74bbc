//! The threads that read sockets, and what all threads that read have. They end when told to, with all they had sent on.
//!
//! The one invariant: a snapshot is sent behind the news it contains, so that what is committed belongs together.

use super::replay::SIP;
use super::roles::Roles;
use super::signalling::Signalling;
use super::writer::Told;
use crate::calls::{Call, Speaker, Stage, Update};
use crate::clock;
use crate::ledger::Snapshot;
use crate::metrics::{Growth, HepOutcome, MessageKind, Metrics, Rejection, SourceMetrics};
use crate::sip::Observed;
use crate::sources::SetAside;
use crate::sources::hep::{Received, Receiver};
use crate::units::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Open dialogs are written at most this often, in microseconds.
pub(super) const SNAPSHOT_MICROS: i64 = 2_000_000;
/// A socket is waited for at most so long, so that timers and the end are seen.
const PATIENCE: Duration = Duration::from_millis(200);
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
    /// Running calls of inputs that share no dialogs, by the number of the source.
    pub beside: Arc<Mutex<BTreeMap<usize, Vec<Call>>>>,
    /// What each source is there for.
    pub roles: Arc<Roles>,
    /// Set when it is time to end.
    pub stop: Arc<AtomicBool>,
}

impl Shared {
    fn signalling(&self) -> MutexGuard<'_, Signalling> {
        self.signalling.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn ends(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Says which calls of a source run.
    pub(super) fn running(&self, place: usize, calls: Vec<Call>) {
        self.beside.lock().unwrap_or_else(PoisonError::into_inner).insert(place, calls);
    }

    /// Calls that this input follows are not adrift, also when the ledger knew them before their snapshot did.
    pub(super) fn follows(&self, updates: &[Update]) {
        if !updates.is_empty() {
            let mut signalling = self.signalling();
            updates.iter().for_each(|update| signalling.is_followed(&update.call.id));
        }
    }

    /// Sends on; when the writer is gone nothing is left to do.
    pub(super) fn tell(&self, told: Told) {
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
            shared.tell(Told::News(shared.roles.signalling(), std::mem::take(&mut updates), Vec::new()));
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
        shared.tell(Told::News(shared.roles.signalling(), updates, Vec::new()));
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
    Told::News(Speaker::default(), Vec::new(), vec![(SIP.to_owned(), Snapshot { position: String::new(), body: signalling.write() })])
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
