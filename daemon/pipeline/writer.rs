//! The writer's thread: takes news from the inputs, journals and settles them in one batch, does what falls due by the
//! clock, and publishes what runs.
//!
//! The one invariant: news that could not be written are kept and tried again, in order; nothing is dropped here.

use super::books::{Books, Ended};
use super::catalogue::InForce;
use super::requests::{Request, Unserved};
use super::schedule::Schedule;
use super::signalling::Signalling;
use super::{inbox, twins, view};
use crate::calls::{Call, Speaker, Update};
use crate::clock;
use crate::export::Settings;
use crate::http::View;
use crate::ledger::{LedgerError, Snapshot};
use crate::metrics::{EntryKind, Metrics};
use crate::units::Timestamp;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// So many updates go into one transaction.
const UPDATES_AT_ONCE: usize = 1_024;
/// After a transaction of so many updates, news are given the time to gather: a busy ledger takes few large transactions rather
/// than many small ones, each of which writes most of the pages of its indexes.
const BUSY: usize = 64;
const GATHER: Duration = Duration::from_millis(20);
/// How long the writer sleeps at most: requests of operators are looked for this often.
const NAP: Duration = Duration::from_secs(1);
/// Requests and the clock are looked at this often, in microseconds.
const LOOK_MICROS: i64 = 500_000;
/// After a failed commit the next attempt waits so long.
const RETRY: Duration = Duration::from_secs(1);
/// While the ledger fails, so many updates are held here; the rest waits in the queue, and then the inputs wait.
const MOST_WAITING: usize = 65_536;
/// After a request that could not be written the next look waits so long, in microseconds.
const REQUEST_RETRY_MICROS: i64 = 10_000_000;
/// The view is made anew at most this often, in microseconds; and never for more than a twentieth of the time.
const VIEW_MICROS: i64 = 100_000;

/// What the inputs and the shell tell the writer.
#[derive(Debug)]
pub enum Told {
    /// Who tells of which calls, and the snapshots that belong to them.
    News(Speaker, Vec<Update>, Vec<(String, Snapshot)>),
    /// Tell back when all that was told before is on disk.
    Confirm(SyncSender<()>),
    /// Something about running calls changed; nothing to write.
    Nudge,
    /// Tariffs and contracts that changed.
    Reload(Arc<InForce>),
    /// Reason why a source stopped: shown until the next start.
    SourceStopped(String),
    /// It is read again: what was told is so no longer.
    SourceGoesOn(String),
    /// All inputs have stopped: write what is left, and end.
    End,
}

/// The writer and all it needs.
pub struct Writer {
    /// The books.
    pub books: Books,
    /// The shared state of all SIP inputs.
    pub signalling: Arc<Mutex<Signalling>>,
    /// Running calls of other inputs, by the number of the source.
    pub beside: Arc<Mutex<BTreeMap<usize, Vec<Call>>>>,
    /// Where counters are kept.
    pub metrics: Metrics,
    /// Where running calls are published.
    pub view: watch::Sender<Arc<View>>,
    /// What falls due by the clock.
    pub schedule: Schedule,
    /// Where exports go; `None` when none are configured.
    pub export: Option<Settings>,
    /// The ledger's file: requests stand beside it.
    pub ledger: PathBuf,
    /// So many digits are not shown.
    pub mask_digits: u8,
    /// Beats as long as the writer lives: the watchdog looks at it.
    pub heartbeat: Arc<AtomicU64>,
}

/// What waits to be written.
#[derive(Default)]
struct Waiting {
    told: Vec<(Speaker, Vec<Update>)>,
    snapshots: BTreeMap<String, Snapshot>,
    reload: Option<Arc<InForce>>,
    confirm: Vec<SyncSender<()>>,
}

impl Waiting {
    fn len(&self) -> usize {
        self.told.iter().map(|(_, updates)| updates.len()).sum()
    }
}

impl Writer {
    /// Runs until told to end. `Err` when what was left could not be written.
    ///
    /// # Errors
    /// The ledger's, at the end only; before, a failure is told, and the same is tried again.
    pub fn run(mut self, inbox: &Receiver<Told>) -> Result<(), LedgerError> {
        let mut waiting = Waiting::default();
        let mut reasons: Vec<String> = Vec::new();
        let (mut next_view, mut next_look) = (Timestamp::default(), Timestamp::default());
        let (mut changed, mut busy) = (true, false);
        self.by_the_clock();
        loop {
            self.heartbeat.fetch_add(1, Ordering::Relaxed);
            let nap = if changed { Duration::from_micros(u64::try_from(VIEW_MICROS).unwrap_or(0)) } else { NAP };
            let mut ended = false;
            if waiting.len() < MOST_WAITING {
                ended = match inbox.recv_timeout(nap) {
                    Ok(told) => hear(told, &mut waiting, &mut reasons, &mut changed),
                    Err(RecvTimeoutError::Timeout) => false,
                    Err(RecvTimeoutError::Disconnected) => true,
                };
            }
            if busy && !ended {
                std::thread::sleep(GATHER);
            }
            while !ended
                && waiting.len() < UPDATES_AT_ONCE
                && let Ok(told) = inbox.try_recv()
            {
                ended = hear(told, &mut waiting, &mut reasons, &mut changed);
            }
            busy = waiting.len() >= BUSY;
            let written = self.write(&mut waiting);
            if written.is_ok() {
                // Who has stopped waiting for it will ask again.
                waiting.confirm.drain(..).for_each(|sender| sender.try_send(()).unwrap_or(()));
            }
            self.tell_of(&written, waiting.len(), &mut reasons);
            if ended {
                return written;
            }
            if written.is_err() {
                self.publish(&reasons);
                std::thread::sleep(RETRY);
                continue;
            }
            let now = clock::now();
            if now >= next_look {
                let served = self.requests(&mut changed);
                changed |= self.by_the_clock();
                next_look = now.plus_micros(if served { LOOK_MICROS } else { REQUEST_RETRY_MICROS });
            }
            if now >= next_view && (changed || self.view_is_due(now)) {
                let watch = clock::Stopwatch::start();
                self.publish(&reasons);
                next_view = now.plus_micros(VIEW_MICROS.max(watch.elapsed_micros().saturating_mul(20)));
                changed = false;
            }
        }
    }

    /// Says once that the ledger fails, and once that it does no more.
    fn tell_of(&self, written: &Result<(), LedgerError>, calls: usize, reasons: &mut Vec<String>) {
        let failed = reasons.iter().any(|reason| reason.starts_with(LEDGER));
        reasons.retain(|reason| !reason.starts_with(LEDGER));
        match written {
            Ok(()) if failed => tracing::info!("the ledger is written again; nothing was lost"),
            Ok(()) => {}
            Err(error) => {
                if !failed {
                    tracing::error!(%error, calls, "the ledger cannot be written; it is tried again every second, and nothing is lost while the daemon runs");
                }
                reasons.push(format!("{LEDGER}{error}"));
            }
        }
    }

    fn write(&mut self, waiting: &mut Waiting) -> Result<(), LedgerError> {
        let written = self.put_in_force(waiting).and_then(|()| self.take(waiting));
        if written.is_err() {
            self.metrics.commit_failures.inc();
        }
        written
    }

    fn put_in_force(&mut self, waiting: &mut Waiting) -> Result<(), LedgerError> {
        let Some(in_force) = &waiting.reload else { return Ok(()) };
        self.books.put_in_force(Arc::clone(in_force))?;
        let posted = self.settle_all()?;
        waiting.reload = None;
        tracing::info!(entries = posted.entries, reversals = posted.reversals, "the new configuration is in force");
        Ok(())
    }

    /// Settling all contracts may take longer than the watchdog waits: it hears of every step.
    pub(super) fn settle_all(&mut self) -> Result<crate::ledger::Posted, LedgerError> {
        let heartbeat = &self.heartbeat;
        self.books.settle_all(|_, _| {
            heartbeat.fetch_add(1, Ordering::Relaxed);
        })
    }

    fn take(&mut self, waiting: &mut Waiting) -> Result<(), LedgerError> {
        if waiting.told.is_empty() && waiting.snapshots.is_empty() {
            return Ok(());
        }
        let watch = clock::Stopwatch::start();
        let snapshots: Vec<(String, Snapshot)> = std::mem::take(&mut waiting.snapshots).into_iter().collect();
        let taken = self.books.take(waiting.told.clone(), &snapshots, None);
        if taken.is_err() {
            waiting.snapshots = snapshots.into_iter().collect();
        }
        let (done, ended) = taken?;
        self.metrics.commit_seconds.observe(watch.elapsed().as_secs_f64());
        self.metrics.evidence_rows.inc_by(done.new + done.changed);
        self.count_entries(done.posted);
        self.count_ended(&ended);
        waiting.told = Vec::new();
        Ok(())
    }

    pub(super) fn count_entries(&self, posted: crate::ledger::Posted) {
        self.metrics.entries.get(EntryKind::Posting).inc_by(posted.entries as u64);
        self.metrics.entries.get(EntryKind::Reversal).inc_by(posted.reversals as u64);
        self.metrics.ledger_sequence.set(self.books.ledger().heads().entry.0);
        self.metrics.ledger_time_is(self.books.ledger().time());
    }

    fn count_ended(&self, ended: &[Ended]) {
        for Ended { direction, outcome, talk } in ended {
            self.metrics.calls.inc(*direction, view::label_of(*outcome));
            self.metrics.talk_seconds.inc_by(talk.get());
        }
    }

    /// What operators ask for; `false` when the ledger could not be written. What is done may show in running calls.
    fn requests(&mut self, changed: &mut bool) -> bool {
        for (path, request) in inbox::waiting(&self.ledger) {
            match self.books.serve(&request) {
                Ok(posted) => {
                    self.count_entries(posted);
                    tell_of(&request);
                    *changed = true;
                    inbox::done(&path);
                }
                Err(Unserved::Refused(why)) => inbox::refuse(&path, &why),
                Err(Unserved::Ledger(error)) => {
                    self.metrics.commit_failures.inc();
                    tracing::error!(%error, "a request could not be written; it is tried again");
                    return false;
                }
            }
        }
        true
    }

    /// Whether a running call's next increment has begun since the last view: the one timer.
    fn view_is_due(&self, now: Timestamp) -> bool {
        let view = self.view.borrow();
        let passed = view.published.elapsed_micros();
        let now = view.now.plus_micros(passed).min(now);
        view.running.iter().filter_map(|call| call.next_increment_at).any(|next| next.plus_micros(1_000_000) <= now && next > view.now)
    }

    fn publish(&self, reasons: &[String]) {
        let (mut running, legs, now) = {
            let signalling = self.signalling.lock().unwrap_or_else(PoisonError::into_inner);
            let unmetered = signalling.unmetered();
            view::count_unmetered(&self.metrics, unmetered);
            (signalling.running(), signalling.legs(), signalling.feed_time(clock::now()))
        };
        for call in self.beside.lock().unwrap_or_else(PoisonError::into_inner).values().flatten() {
            // What the wire shows as well is shown once.
            if !running.iter().any(|seen| seen.id == call.id || twins::is_same(seen, call)) {
                running.push(call.clone());
            }
        }
        self.metrics.legs_open.set(i64::try_from(legs).unwrap_or(i64::MAX));
        let running = view::project(&self.books, running, now).unwrap_or_else(|error| {
            tracing::warn!(%error, "running calls cannot be shown");
            Vec::new()
        });
        view::count_running(&self.metrics, &running);
        let ready = reasons.is_empty();
        self.metrics.ready.set(i64::from(ready));
        let published = clock::Stopwatch::start();
        self.view.send_replace(Arc::new(View { ready, reasons: reasons.to_vec(), now, published, mask_digits: self.mask_digits, running }));
    }
}

/// Takes what was told; `true` at the end.
fn hear(told: Told, waiting: &mut Waiting, reasons: &mut Vec<String>, changed: &mut bool) -> bool {
    *changed = true;
    match told {
        Told::News(by, updates, snapshots) => {
            match waiting.told.last_mut() {
                Some((last, told)) if *last == by => told.extend(updates),
                _ if updates.is_empty() => {}
                _ => waiting.told.push((by, updates)),
            }
            waiting.snapshots.extend(snapshots);
        }
        Told::Confirm(sender) => waiting.confirm.push(sender),
        Told::Nudge => {}
        Told::Reload(in_force) => waiting.reload = Some(in_force),
        Told::SourceStopped(why) => reasons.push(why),
        Told::SourceGoesOn(why) => reasons.retain(|reason| *reason != why),
        Told::End => return true,
    }
    false
}

/// What an operator asked for stands in the log, too.
fn tell_of(request: &Request) {
    match request {
        Request::Assign { call, assignment } => {
            tracing::info!(%call, contract = %assignment.contract, who = %assignment.who, "a call was assigned");
        }
        Request::Privacy(wish) => {
            tracing::info!(act = wish.act.word(), who = %wish.who, "what was asked about a number is done");
        }
        Request::Decide(decisions) => {
            for (call, decision) in decisions {
                tracing::info!(%call, decision = %decision.verdict, who = %decision.who, "a call was decided");
            }
        }
    }
}

/// What a reason begins with that is about the ledger.
const LEDGER: &str = "the ledger cannot be written: ";
