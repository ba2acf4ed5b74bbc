//! What every thread that reads SIP messages does with them, whatever they came by: count, hand to the dialogs, send on what
//! that meant, keep the open dialogs.
//!
//! The one invariant: a snapshot is sent behind the news it contains, so that what is committed belongs together.

use super::inputs::{SNAPSHOT_MICROS, Shared, snapshot};
use super::seldom::Firsts;
use super::writer::Told;
use crate::calls::Update;
use crate::clock;
use crate::metrics::{MessageKind, Metrics, Rejection, SourceMetrics};
use crate::sip::Observed;
use crate::sources::SetAside;
use crate::units::{Message, Timestamp};
use std::net::IpAddr;

/// The writer is woken for the view alone at most this often, in microseconds.
const NUDGE_MICROS: i64 = 50_000;

/// What one thread has read and not yet sent on.
pub(super) struct Intake {
    shared: Shared,
    source: SourceMetrics,
    updates: Vec<Update>,
    told: Firsts,
    next_snapshot: Timestamp,
    next_nudge: Timestamp,
    dirty: bool,
    seen: bool,
}

impl Intake {
    pub(super) fn new(shared: &Shared, source: &SourceMetrics) -> Self {
        source.up();
        Self {
            shared: shared.clone(),
            source: source.clone(),
            updates: Vec::new(),
            told: Firsts::default(),
            next_snapshot: clock::now().plus_micros(SNAPSHOT_MICROS),
            next_nudge: Timestamp::default(),
            dirty: false,
            seen: false,
        }
    }

    pub(super) const fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    /// Takes a message, which came at `now`.
    pub(super) fn message(&mut self, message: &Message<'_>, now: Timestamp) {
        self.shared.metrics.sip_messages.inc(kind_of(message.payload));
        let (observed, set_by) = {
            let mut signalling = self.shared.signalling();
            // It may have come a while ago, and we may have waited for our turn: only now do both clocks show the same moment.
            let set_by = signalling.clock_shows(clock::now(), clock::steady_micros());
            (signalling.observe(message, now, &mut self.updates), set_by)
        };
        tell_of_clock(set_by);
        count(&self.shared.metrics, observed);
        self.seen |= matches!(observed, Observed::Call | Observed::TooMany);
        self.dirty |= observed != Observed::NoCall;
        self.source.seen(now);
    }

    /// Counts what held no message.
    pub(super) fn set_aside(&self, reason: SetAside) {
        self.shared.metrics.rejected.inc(Rejection::from(reason));
    }

    /// Whether this is the first of its kind from there, so that it should be told.
    pub(super) fn is_first(&mut self, kind: &'static str, from: IpAddr) -> bool {
        self.told.is_first(kind, from, clock::steady_micros())
    }

    /// Time has passed, or a message was taken: what is due ends, and news are sent on.
    pub(super) fn turn(&mut self) {
        let now = clock::now();
        let set_by = {
            let mut signalling = self.shared.signalling();
            let set_by = signalling.clock_shows(clock::now(), clock::steady_micros());
            signalling.pass(now, &mut self.updates);
            set_by
        };
        tell_of_clock(set_by);
        if !self.updates.is_empty() {
            self.shared.tell(Told::News(self.shared.roles.signalling(), std::mem::take(&mut self.updates), Vec::new()));
            self.seen = false;
        } else if self.seen && now >= self.next_nudge {
            // A call was set up or rings: the view changes, the ledger does not. When the writer is busy it will look anyway.
            let _ = self.shared.writer.try_send(Told::Nudge);
            self.next_nudge = now.plus_micros(NUDGE_MICROS);
            self.seen = false;
        }
        if self.dirty && now >= self.next_snapshot {
            let watch = clock::Stopwatch::start();
            self.dirty = !snapshot(&self.shared);
            // Many open dialogs take long to write: that is never done for more than a twentieth of the time.
            self.next_snapshot = now.plus_micros(SNAPSHOT_MICROS.max(watch.elapsed_micros().saturating_mul(20)));
        }
    }

    /// The source cannot be read any more.
    pub(super) fn fails(&self, why: String) {
        self.shared.tell(Told::SourceStopped(why));
    }

    /// The source is read again, which was told to have failed so.
    pub(super) fn goes_on(&self, after: String) {
        self.source.up();
        self.shared.tell(Told::SourceGoesOn(after));
    }

    /// The source ends, or is not read for a while.
    pub(super) fn stop(&self) {
        self.source.stopped();
    }
}

fn tell_of_clock(set_by: Option<i64>) {
    if let Some(micros) = set_by {
        tracing::warn!(seconds = micros / 1_000_000, "the system clock was set; calls are metered by their sources' own time all the same");
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
