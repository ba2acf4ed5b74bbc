//! One input of SIP messages: dialogs and calls, moved by the messages' own time. Replay and live run this same code.

use crate::calls::{Calls, Directory, News, Unmetered, Update};
use crate::sip::{Dialogs, LegEvent, Observed, Options};
use crate::units::codec::{Reader, Writer};
use crate::units::{KeyedState, Message, Timestamp};

/// A message's own time may run ahead of its arrival by this much before we doubt it: a clock that jumps must not end
/// every call under way.
const AHEAD_MICROS: i64 = 60_000_000;

/// Dialogs and calls of one input, and the time they have reached.
pub struct Signalling {
    dialogs: Dialogs,
    calls: Calls,
    events: Vec<LegEvent>,
    now: Option<Timestamp>,
}

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
        Self { dialogs, calls: Calls::new(directory), events: Vec::new(), now: None }
    }

    /// What was under way when a snapshot was taken; `None` if the bytes are none of ours.
    #[must_use]
    pub fn read(bytes: &[u8], directory: Directory, max_legs: usize, key: KeyedState) -> Option<Self> {
        let mut from = Reader::new(bytes);
        let dialogs = Dialogs::read(&mut from, options(&directory, max_legs, key))?;
        let calls = Calls::read(&mut from, directory)?;
        from.is_empty().then_some(Self { dialogs, calls, events: Vec::new(), now: None })
    }

    /// The state as bytes.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let mut out = Writer::new();
        self.dialogs.write(&mut out);
        self.calls.write(&mut out);
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
        let at = message.captured_at.min(arrived_at.plus_micros(AHEAD_MICROS));
        let now = self.now.map_or(at, |now| now.max(at));
        self.advance(now, out);
        let observed = if at == message.captured_at {
            self.dialogs.observe(message, &mut self.events)
        } else {
            self.dialogs.observe(&Message { captured_at: at, ..*message }, &mut self.events)
        };
        self.apply(out);
        observed
    }

    /// It is `now`: ends what is due.
    pub fn advance(&mut self, now: Timestamp, out: &mut Vec<Update>) {
        self.now = Some(now);
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
