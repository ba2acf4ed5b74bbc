//! One input of SIP messages: dialogs and calls, moved by the messages' own time. Replay and live run this same code.

use crate::calls::{Call, Calls, Directory, News, Unmetered, Update};
use crate::sip::{Dialogs, LegEvent, Observed, Options, Scanned, Unread, scan};
use crate::units::codec::{Reader, Writer};
use crate::units::{CallId, KeyedState, Message, Timestamp};
use std::collections::BTreeMap;

/// A message's own time may run ahead of its arrival by this much before we doubt it: a clock that jumps must not end
/// every call under way.
pub(super) const AHEAD_MICROS: i64 = 60_000_000;

/// A lag below this is the way of the packet, not the clock.
const SMALL_LAG_MICROS: i64 = 2_000_000;

/// A lag that grows is believed after so long without a message that says less.
const DOUBT_MICROS: i64 = 10_000_000;

/// What a leg and its part of a call take in a snapshot, rather more than less.
const OCTETS_OF_A_LEG: usize = 768;

/// So much that another source says may wait.
const MOST_RELATED: usize = 4_096;

/// Dialogs and calls of one input, and the time they have reached.
pub struct Signalling {
    dialogs: Dialogs,
    pub(super) calls: Calls,
    events: Vec<LegEvent>,
    now: Option<Timestamp>,
    /// By how much the messages' own time lags behind our clock, in microseconds: a switch whose clock is slow is still
    /// metered by its own, and its timers run out by it.
    lag_micros: i64,
    /// Since when messages lag more than that, by our clock.
    slower_since: Option<Timestamp>,
    /// What another source said of legs: their Call-ID, and the conversation they are of.
    related: Vec<(Box<[u8]>, Box<str>)>,
    /// Calls whose dialogs are lost or were given up: only a BYE can still say when they ended.
    pub(super) adrift: BTreeMap<CallId, Call>,
}

/// What is under way could not be read back for another directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the state of open dialogs could not be read back")]
pub struct NotReadBack;

/// How the dialog table is set up for a directory.
fn options(directory: &Directory, max_legs: usize, key: KeyedState) -> Options {
    Options {
        contract_header: directory.identity.contract_header.clone(),
        leg_headers: directory.identity.leg_headers.clone(),
        max_legs,
        key,
    }
}

impl Signalling {
    /// Nothing under way yet; `key` is drawn by the caller.
    #[must_use]
    pub fn new(directory: Directory, max_legs: usize, key: KeyedState) -> Self {
        let dialogs = Dialogs::new(options(&directory, max_legs, key));
        Self {
            dialogs,
            calls: Calls::new(directory),
            events: Vec::new(),
            now: None,
            lag_micros: 0,
            slower_since: None,
            related: Vec::new(),
            adrift: BTreeMap::new(),
        }
    }

    /// What was under way when a snapshot was taken; `None` if the bytes are none of ours.
    #[must_use]
    pub fn read(bytes: &[u8], directory: Directory, max_legs: usize, key: KeyedState) -> Option<Self> {
        let mut from = Reader::new(bytes);
        let dialogs = Dialogs::read(&mut from, options(&directory, max_legs, key))?;
        let calls = Calls::read(&mut from, directory)?;
        let lag_micros = i64::try_from(from.number()?).ok()?;
        from.is_empty().then_some(Self {
            dialogs,
            calls,
            events: Vec::new(),
            now: None,
            lag_micros,
            slower_since: None,
            related: Vec::new(),
            adrift: BTreeMap::new(),
        })
    }

    /// The state as bytes.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        // Without room of its own it would be copied again and again while it grows.
        let mut out = Writer::with_capacity(self.dialogs.len().saturating_mul(OCTETS_OF_A_LEG));
        self.dialogs.write(&mut out);
        self.calls.write(&mut out);
        out.number(self.lag_micros.unsigned_abs());
        out.finish()
    }

    /// Says from now on only this of calls.
    pub const fn tell(&mut self, news: News) {
        self.calls.tell(news);
    }

    /// Another recording begins: time may start anew, and what is under way waits for its own time.
    pub fn begin(&mut self) {
        self.now = None;
    }

    /// Takes a message that arrived at `arrived_at` (in a capture: its packet's time).
    pub fn observe(&mut self, message: &Message<'_>, arrived_at: Timestamp, out: &mut Vec<Update>) -> Observed {
        self.observe_scanned(message, &scan(message.payload), arrived_at, out)
    }

    /// The same, for who has read the message already.
    pub fn observe_scanned<'a>(
        &mut self,
        message: &Message<'a>,
        scanned: &Result<Scanned<'a>, Unread>,
        arrived_at: Timestamp,
        out: &mut Vec<Update>,
    ) -> Observed {
        let at = message.captured_at.min(arrived_at.plus_micros(AHEAD_MICROS));
        self.hear_lag(at, arrived_at);
        // A sender whose clock is fast ends nobody's timers but by the time at which its messages arrive.
        let reached = at.min(arrived_at);
        let now = self.now.map_or(reached, |now| now.max(reached));
        self.advance(now, out);
        let message = Message { captured_at: at, ..*message };
        let observed = self.dialogs.observe_scanned(&message, scanned, &mut self.events);
        self.apply(out);
        if let (Observed::UnknownDialog, Ok(scanned)) = (observed, scanned) {
            self.end_adrift(scanned, at, out);
        }
        observed
    }

    /// Notes how far messages lag behind our clock. Less than before is believed at once; more only when no message has said
    /// less for a while: one that is out of time must not stop the timers of all others.
    fn hear_lag(&mut self, at: Timestamp, arrived_at: Timestamp) {
        let lag = Some(arrived_at.since(at)).filter(|lag| *lag >= SMALL_LAG_MICROS).unwrap_or(0);
        let first = self.now.is_none() && self.dialogs.is_empty();
        let believed = first
            || lag <= self.lag_micros.saturating_add(SMALL_LAG_MICROS)
            || arrived_at.since(*self.slower_since.get_or_insert(arrived_at)) >= DOUBT_MICROS;
        if believed {
            (self.lag_micros, self.slower_since) = (lag, None);
        }
    }

    /// Another source says of which conversation the leg with this Call-ID is. It counts when the next message comes, or
    /// time passes.
    pub fn relate(&mut self, call_id: &[u8], conversation: &str) {
        if self.related.len() < MOST_RELATED {
            self.related.push((call_id.into(), conversation.into()));
        }
    }

    /// Whether something was said that has not counted yet.
    #[must_use]
    pub fn has_related(&self) -> bool {
        !self.related.is_empty()
    }

    /// What time the messages have reached when our clock shows `wall`.
    #[must_use]
    pub fn feed_time(&self, wall: Timestamp) -> Timestamp {
        wall.plus_micros(self.lag_micros.saturating_neg())
    }

    /// It is `now`, in the messages' time: ends what is due.
    pub fn advance(&mut self, now: Timestamp, out: &mut Vec<Update>) {
        self.now = Some(now);
        for (call_id, conversation) in std::mem::take(&mut self.related) {
            self.calls.related(&call_id, &conversation, now, out);
        }
        if !self.adrift.is_empty() {
            self.give_up_adrift(now, out);
        }
        let before = out.len();
        self.expire(now, out);
        for update in out.get(before..).unwrap_or_default() {
            self.keep_adrift(update);
        }
    }

    fn expire(&mut self, now: Timestamp, out: &mut Vec<Update>) {
        loop {
            let (dialogs, calls) = (self.dialogs.deadline(), self.calls.deadline());
            match [dialogs, calls].into_iter().flatten().min().filter(|due| *due <= now) {
                None => return,
                Some(due) if dialogs == Some(due) => {
                    self.dialogs.expire(due, &mut self.events);
                    self.apply(out);
                }
                Some(due) => {
                    let Self { dialogs, calls, .. } = self;
                    calls.expire(due, &|leg| dialogs.last_seen(leg), out);
                    self.forget();
                }
            }
        }
    }

    /// Concludes all calls as far as they are known.
    pub fn finish(&mut self, out: &mut Vec<Update>) {
        let Self { dialogs, calls, .. } = self;
        calls.finish(&|leg| dialogs.last_seen(leg), out);
        self.forget();
    }

    /// The next instant at which something ends by itself.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        [self.dialogs.deadline(), self.calls.deadline()].into_iter().flatten().min()
    }

    /// Calls that run, those adrift included.
    #[must_use]
    pub fn running(&self) -> Vec<Call> {
        let adrift = self.adrift.values().filter(|call| call.ended_at.is_none()).cloned();
        self.calls.running().chain(adrift).collect()
    }

    /// The calls under way.
    #[must_use]
    pub fn calls(&self) -> &Calls {
        &self.calls
    }

    /// Dialogs under way.
    #[must_use]
    pub fn legs(&self) -> usize {
        self.dialogs.len()
    }

    /// Calls that make no record, so far.
    #[must_use]
    pub fn unmetered(&self) -> Unmetered {
        self.calls.unmetered()
    }

    /// Takes a directory that changed; what is under way goes on.
    ///
    /// # Errors
    /// Never for a state of our own; then the old directory stays.
    pub fn reconfigure(&mut self, directory: Directory, max_legs: usize, key: KeyedState) -> Result<(), NotReadBack> {
        let fresh = Self::read(&self.write(), directory, max_legs, key).ok_or(NotReadBack)?;
        let Self { dialogs, calls, .. } = fresh;
        (self.dialogs, self.calls) = (dialogs, calls);
        Ok(())
    }

    fn apply(&mut self, out: &mut Vec<Update>) {
        if self.events.is_empty() {
            return;
        }
        for event in &self.events {
            self.calls.apply(event, out);
        }
        self.events.clear();
        self.forget();
    }

    fn forget(&mut self) {
        for leg in self.calls.take_dropped() {
            self.dialogs.drop_leg(leg);
        }
    }
}
