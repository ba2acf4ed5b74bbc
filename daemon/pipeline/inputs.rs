//! The threads that read sockets, and what all threads that read have.
//!
//! The one invariant: they end when told to, with all they had sent on.

use super::intake::Intake;
use super::roles::Roles;
use super::seldom::Losses;
use super::signalling::Signalling;
use super::writer::Told;
use crate::calls::{Call, Speaker, Stage, Update};
use crate::clock;
use crate::metrics::{ConnectionEnd, Growth, HepOutcome, Label, Metrics, SourceMetrics};
use crate::sources::hep::agents::{Agents, Offset};
use crate::sources::hep::{Bare, Bounds, Closed, Event, Listener, Received, Receiver, Server, WANTED_BUFFER};
use crate::sources::{Found, SetAside};
use crate::units::Timestamp;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Open dialogs are written at most this often, in microseconds.
pub(super) const SNAPSHOT_MICROS: i64 = 2_000_000;
/// A socket is waited for at most so long, so that timers and the end are seen.
const PATIENCE: Duration = Duration::from_millis(200);
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
    /// The capture agents of all HEP ports.
    pub agents: Arc<Mutex<Agents>>,
    /// What each source is there for.
    pub roles: Arc<Roles>,
    /// Set when it is time to end.
    pub stop: Arc<AtomicBool>,
}

impl Shared {
    pub(super) fn signalling(&self) -> MutexGuard<'_, Signalling> {
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
    let mut intake = Intake::new(shared, source);
    let mut drops = (Growth::default(), Losses::default());
    let mut next_count = Timestamp::default();
    warn_of_small_buffer(&receiver);
    let mut open = true;
    loop {
        if open && shared.ends() {
            // What was taken from the kernel is read before we leave.
            receiver.close();
            open = false;
        }
        let received = receiver.receive(PATIENCE, &mut |found, at| {
            take(&mut intake, shared, &found, at);
        });
        match received {
            Ok(Received::Nothing) if !open => break,
            Ok(Received::Messages | Received::Nothing) => {}
            Ok(Received::SetAside(reason, peer)) => set_aside(&mut intake, reason, peer),
            Err(error) => {
                tracing::error!(%error, address = %receiver.local_addr(), "a HEP port cannot be read any more");
                intake.fails(format!("the HEP port {} cannot be read: {error}", receiver.local_addr()));
                break;
            }
        }
        // Datagrams that came at once are one turn.
        if receiver.has_more() {
            continue;
        }
        intake.turn();
        let now = clock::now();
        if now >= next_count {
            count_drops(shared, &receiver, &mut drops);
            next_count = now.plus_micros(COUNT_MICROS);
        }
    }
    intake.turn();
    count_drops(shared, &receiver, &mut drops);
    tell_of_drops(&receiver, drops.1.rest());
    intake.stop();
}

/// A small buffer is no reason not to start, but one to say what would be right.
fn warn_of_small_buffer(receiver: &Receiver) {
    // The kernel counts twice what it grants.
    let granted = receiver.granted_buffer().unwrap_or(0) / 2;
    if granted < WANTED_BUFFER {
        tracing::warn!(granted, wanted = WANTED_BUFFER, address = %receiver.local_addr(), "the kernel grants a small receive buffer, and a busy moment may lose datagrams; set net.core.rmem_max to what is wanted");
    }
}

/// How a port that agents connect to is read.
pub struct HepServer {
    /// The open port.
    pub listener: Listener,
    /// The secret that every frame must carry.
    pub key: Option<Box<[u8]>>,
    /// What is believed of bare copies.
    pub bare: Bare,
}

/// Serves agents that connect, until told to end.
pub fn hep_server(shared: &Shared, server: HepServer, source: &SourceMetrics) {
    let intake = Rc::new(RefCell::new(Intake::new(shared, source)));
    let HepServer { listener, key, bare } = server;
    let (address, hearing) = (listener.local_addr(), Rc::clone(&intake));
    let sharing = shared.clone();
    let hear = move |event: Event<'_>| hear(&mut hearing.borrow_mut(), &sharing, event);
    let served = Server { key, bare, bounds: Bounds::default(), now: clock::now, hear }.serve(listener, || shared.ends());
    let intake = intake.borrow();
    if let Err(error) = served {
        tracing::error!(%error, %address, "a HEP port cannot be served any more");
        intake.fails(format!("the HEP port {address} cannot be served: {error}"));
    }
    intake.stop();
}

/// Takes what a frame held that came at `now`, and notes how far its agent's clock is from another's that reports the same.
fn take(intake: &mut Intake, shared: &Shared, found: &Found<'_>, now: Timestamp) {
    intake.metrics().hep_frames.inc(HepOutcome::Accepted);
    intake.message(&found.message, now);
    if let Some(agent) = found.agent {
        let offset = shared.agents.lock().unwrap_or_else(PoisonError::into_inner).hear(agent, &found.message, now);
        if let Some(Offset { agent, beside, micros }) = offset {
            shared.metrics.hep_clocks_apart(agent, beside, micros);
        }
    }
}

fn hear(intake: &mut Intake, shared: &Shared, event: Event<'_>) {
    match event {
        Event::Found(found) => take(intake, shared, &found, clock::now()),
        Event::SetAside(reason, peer) => set_aside(intake, reason, peer),
        Event::Opened => intake.metrics().hep_connections.inc(),
        Event::Ended(why, peer) => {
            let reason = ending(why);
            intake.metrics().hep_connections_ended.inc(reason);
            if why != Closed::TooMany {
                intake.metrics().hep_connections.dec();
            }
            let usual = matches!(why, Closed::ByAgent | Closed::Ended);
            if !usual && intake.is_first(reason.word(), peer.ip()) {
                tracing::warn!(reason = reason.word(), %peer, "a connection of a HEP agent was ended; more of this kind from there are only counted");
            }
        }
        Event::Turn => intake.turn(),
    }
}

const fn ending(why: Closed) -> ConnectionEnd {
    match why {
        Closed::ByAgent => ConnectionEnd::Closed,
        Closed::Broken => ConnectionEnd::Broken,
        Closed::Framing => ConnectionEnd::Framing,
        Closed::Slow => ConnectionEnd::Slow,
        Closed::Idle => ConnectionEnd::Idle,
        Closed::Tls => ConnectionEnd::Tls,
        Closed::TooMany => ConnectionEnd::TooMany,
        Closed::Ended => ConnectionEnd::Ended,
    }
}

/// Sends calls whose customer has gone, as they stand: they need not wait for the next start.
pub fn conclude(shared: &Shared) {
    let updates: Vec<Update> = shared.signalling().calls().ended().map(|call| Update { stage: Stage::Concluded, call }).collect();
    if !updates.is_empty() {
        shared.tell(Told::News(shared.roles.signalling(), updates, Vec::new()));
    }
}

/// Sends the open dialogs to be kept; `false` when there was no room, and the next time has to do.
pub(super) fn snapshot(shared: &Shared) -> bool {
    // The lock is held while sending, so that no other input's news can slip between the state and its place in the queue.
    // And so it must not wait for room: the writer, which makes room, wants the lock as well.
    let mut signalling = shared.signalling();
    let (snapshots, kept) = signalling.not_kept();
    let sent = shared.writer.try_send(Told::News(Speaker::default(), Vec::new(), snapshots)).is_ok();
    if sent {
        signalling.is_kept(kept);
    }
    drop(signalling);
    sent
}

/// Sends the open dialogs a last time, when no input is left that could send anything behind them.
pub fn last_snapshot(shared: &Shared) {
    let (snapshots, _) = shared.signalling().not_kept();
    shared.tell(Told::News(Speaker::default(), Vec::new(), snapshots));
}

fn count_drops(shared: &Shared, receiver: &Receiver, (drops, losses): &mut (Growth, Losses)) {
    if let Ok(total) = receiver.kernel_drops() {
        let new = drops.of(total);
        shared.metrics.socket_drops.inc_by(new);
        tell_of_drops(receiver, losses.lose(new, clock::steady_micros()));
    }
}

fn tell_of_drops(receiver: &Receiver, new: Option<u64>) {
    if let Some(new) = new {
        tracing::error!(new, address = %receiver.local_addr(), "the kernel dropped datagrams: metering is incomplete; raise net.core.rmem_max");
    }
}

/// Counts what was set aside, and tells the first of each kind and sender.
fn set_aside(intake: &mut Intake, reason: SetAside, peer: SocketAddr) {
    intake.set_aside(reason);
    let outcome = match reason {
        SetAside::HepKey => HepOutcome::Unauthenticated,
        SetAside::HepProtocol => HepOutcome::OtherProtocol,
        SetAside::HepPiece => HepOutcome::Piece,
        _ => HepOutcome::Malformed,
    };
    intake.metrics().hep_frames.inc(outcome);
    let usual = matches!(reason, SetAside::HepProtocol | SetAside::HepPiece);
    if !usual && intake.is_first(reason.label(), peer.ip()) {
        tracing::warn!(reason = reason.label(), %peer, "a datagram was set aside; more of this kind from there are only counted");
    }
}
