//! One input of SIP messages: dialogs and calls, moved by the messages' own time. Replay and live run this same code.

use super::feed_clock::{FeedClock, Heard};
use super::resuming::Resumed;
use crate::calls::{Call, Calls, Directory, News, Unmetered, Update};
use crate::sip::{Dialogs, LegEvent, Observed, Options};
use crate::units::codec::{Reader, Writer};
use crate::units::{Changes, Kept, KeyedState, Message, Timestamp};

/// A message's own time may run ahead of its arrival by this much before we doubt it: a clock that jumps must not end
/// every call under way.
pub(super) const AHEAD_MICROS: i64 = 60_000_000;

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
    /// What another source said of legs: their Call-ID, and the conversation they are of.
    related: Vec<(Box<[u8]>, Box<str>)>,
    pub(super) clock: FeedClock,
    pub(super) resumed: Resumed,
    /// What of it the ledger has.
    pub(super) kept: Kept,
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
            related: Vec::new(),
            clock: FeedClock::default(),
            resumed: Resumed::default(),
            kept: Kept::named(key, std::iter::empty()),
        }
    }

    /// What was under way when a snapshot was taken; `None` if the bytes are none of ours.
    #[must_use]
    pub fn read(bytes: &[u8], directory: Directory, max_legs: usize, key: KeyedState) -> Option<Self> {
        let mut from = Reader::new(bytes);
        let dialogs = Dialogs::read(&mut from, options(&directory, max_legs, key))?;
        let calls = Calls::read(&mut from, directory)?;
        let clock = FeedClock::read(&mut from)?;
        from.is_empty().then_some(Self {
            dialogs,
            calls,
            events: Vec::new(),
            now: None,
            related: Vec::new(),
            clock,
            resumed: Resumed::default(),
            kept: Kept::named(key, std::iter::empty()),
        })
    }

    /// The state as bytes.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        // Without room of its own it would be copied again and again while it grows.
        let mut out = Writer::with_capacity(self.dialogs.len().saturating_mul(OCTETS_OF_A_LEG));
        self.write_to(&mut out);
        out.finish()
    }

    /// The same in parts, beside what is kept: what changed.
    pub(super) fn changes(&self) -> Changes {
        let mut out = Writer::in_parts(self.kept.clone());
        self.write_to(&mut out);
        out.changes()
    }

    /// Sections 0 to 2 are the dialogs, 3 to 9 the calls.
    fn write_to(&self, out: &mut Writer) {
        self.dialogs.write(out);
        self.calls.write(out);
        out.part(10, 0);
        self.clock.write(out);
    }

    /// Says from now on only this of calls.
    pub const fn tell(&mut self, news: News) {
        self.calls.tell(news);
    }

    /// Another recording begins: time may start anew, and what is under way waits for its own time.
    pub fn begin(&mut self) {
        self.now = None;
    }

    /// Takes a message that arrived at `arrived_at` by our clock (in a capture: its packet's time).
    pub fn observe(&mut self, message: &Message<'_>, arrived_at: Timestamp, out: &mut Vec<Update>) -> Observed {
        let arrived_at = self.clock.arrival(arrived_at, message.captured_at);
        let at = message.captured_at.min(arrived_at.plus_micros(AHEAD_MICROS));
        let heard = self.clock.hear(at, arrived_at, self.now.is_none() && self.dialogs.is_empty());
        // A sender whose clock is fast ends nobody's timers but by the time at which its messages arrive.
        let reached = at.min(arrived_at);
        match heard {
            Heard::Usual => self.advance(self.now.map_or(reached, |now| now.max(reached)), out),
            // What came from before now has not timed out since.
            Heard::SetBack => self.advance(reached, out),
            Heard::Doubted => {}
        }
        let before = out.len();
        let message = Message { captured_at: at, ..*message };
        let observed = self.dialogs.observe(&message, &mut self.events);
        self.apply(out);
        self.resumed.complete(out, before);
        if observed == Observed::UnknownDialog {
            self.resumed.end_adrift(message.payload, at, out);
        }
        observed
    }

    /// Our clock shows `wall` while one that nobody sets shows `steady_micros`; by how much it was set since this was last
    /// said, if it was.
    pub fn clock_shows(&mut self, wall: Timestamp, steady_micros: i64) -> Option<i64> {
        self.clock.shows(wall, steady_micros)
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
        self.clock.feed_time(wall)
    }

    /// It is `now`, in the messages' time: ends what is due.
    pub fn advance(&mut self, now: Timestamp, out: &mut Vec<Update>) {
        self.now = Some(now);
        for (call_id, conversation) in std::mem::take(&mut self.related) {
            self.calls.related(&call_id, &conversation, now, out);
        }
        self.resumed.give_up(now, self.calls.directory(), out);
        let before = out.len();
        self.expire(now, out);
        self.resumed.complete(out, before);
        for update in out.get(before..).unwrap_or_default() {
            self.resumed.keep(update);
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

    /// Calls that run, those without dialogs included.
    #[must_use]
    pub fn running(&self) -> Vec<Call> {
        self.resumed.running(self.calls.running())
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
