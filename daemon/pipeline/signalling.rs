//! One input of SIP messages: dialogs and calls, moved by the messages' own time. Replay and live run this same code.

use crate::calls::{Call, Calls, Directory, End, Mark, News, Stage, Unmetered, Update, call_id_of};
use crate::sip::addr::NameAddr;
use crate::sip::scan::{Header, Start};
use crate::sip::{Dialogs, LegEvent, Method, Observed, Options, scan};
use crate::units::codec::{Reader, Writer};
use crate::units::{CallId, KeyedState, Message, Seconds, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// A message's own time may run ahead of its arrival by this much before we doubt it: a clock that jumps must not end
/// every call under way.
pub(super) const AHEAD_MICROS: i64 = 60_000_000;

/// A lag below this is the way of the packet, not the clock.
const SMALL_LAG_MICROS: i64 = 2_000_000;

/// A lag that grows is believed after so long without a message that says less.
const DOUBT_MICROS: i64 = 10_000_000;

/// What a leg and its part of a call take in a snapshot, rather more than less.
const OCTETS_OF_A_LEG: usize = 768;

/// So many calls without dialogs are remembered.
const MOST_ADRIFT: usize = 10_000;

/// Dialogs and calls of one input, and the time they have reached.
pub struct Signalling {
    dialogs: Dialogs,
    calls: Calls,
    events: Vec<LegEvent>,
    now: Option<Timestamp>,
    /// By how much the messages' own time lags behind our clock, in microseconds: a switch whose clock is slow is still
    /// metered by its own, and its timers run out by it.
    lag_micros: i64,
    /// Since when messages lag more than that, by our clock.
    slower_since: Option<Timestamp>,
    /// Calls whose dialogs are lost or were given up: only a BYE can still say when they ended.
    adrift: BTreeMap<CallId, Call>,
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
        let at = message.captured_at.min(arrived_at.plus_micros(AHEAD_MICROS));
        self.hear_lag(at, arrived_at);
        // A sender whose clock is fast ends nobody's timers but by the time at which its messages arrive.
        let reached = at.min(arrived_at);
        let now = self.now.map_or(reached, |now| now.max(reached));
        self.advance(now, out);
        let observed = if at == message.captured_at {
            self.dialogs.observe(message, &mut self.events)
        } else {
            self.dialogs.observe(&Message { captured_at: at, ..*message }, &mut self.events)
        };
        self.apply(out);
        if observed == Observed::UnknownDialog && !self.adrift.is_empty() {
            self.end_adrift(message.payload, at, out);
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

    /// Calls that run as far as the ledger knows, but whose dialogs this input does not have: after a crash, those answered
    /// since the last snapshot. Their BYE ends them; without one, `max_call` does.
    pub fn resume(&mut self, calls: Vec<Call>) {
        let known: BTreeSet<CallId> = self.calls.running().map(|call| call.id).collect();
        self.adrift.extend(calls.into_iter().filter(|call| !known.contains(&call.id)).map(|call| (call.id.clone(), call)));
    }

    /// Another input follows this call: it is not adrift.
    pub fn is_followed(&mut self, id: &CallId) {
        self.adrift.remove(id);
    }

    /// A BYE of a dialog that is not in the table: of a call adrift, perhaps. `call_id` follows from it either way round.
    fn end_adrift(&mut self, payload: &[u8], at: Timestamp, out: &mut Vec<Update>) {
        let Ok(scanned) = scan(payload) else { return };
        if !matches!(scanned.start, Start::Request { method: Method::Bye, .. }) {
            return;
        }
        let tag = |header| scanned.first(header).and_then(NameAddr::parse).and_then(|address| address.tag());
        let names = [tag(Header::From), tag(Header::To)].into_iter().flatten().map(|tag| call_id_of(scanned.call_id, tag));
        for name in names {
            if let Some(call) = self.adrift.remove(&name) {
                out.push(Update { stage: Stage::Concluded, call: ended(call, at, End::Observed) });
            }
        }
    }

    /// Calls adrift for longer than a call may last end where they were last known to talk.
    fn give_up_adrift(&mut self, now: Timestamp, out: &mut Vec<Update>) {
        let longest = |call: &Call| {
            let hotline = self.calls.directory().hotlines.iter().find(|hotline| Some(&hotline.name) == call.hotline.as_ref());
            hotline.map_or(Seconds::new(4 * 3_600), |hotline| hotline.max_call)
        };
        let over: Vec<CallId> =
            self.adrift.values().filter(|call| call.started_at.plus(longest(call)) <= now).map(|call| call.id.clone()).collect();
        for id in over {
            let Some(call) = self.adrift.remove(&id) else { continue };
            if call.ended_at.is_none() {
                let last = call.talks.iter().map(|talk| talk.to.unwrap_or(talk.from)).max().unwrap_or(call.started_at);
                out.push(Update { stage: Stage::Concluded, call: ended(call, last, End::Estimated) });
            }
        }
    }

    /// What time the messages have reached when our clock shows `wall`.
    #[must_use]
    pub fn feed_time(&self, wall: Timestamp) -> Timestamp {
        wall.plus_micros(self.lag_micros.saturating_neg())
    }

    /// It is `now`, in the messages' time: ends what is due.
    pub fn advance(&mut self, now: Timestamp, out: &mut Vec<Update>) {
        self.now = Some(now);
        if !self.adrift.is_empty() {
            self.give_up_adrift(now, out);
        }
        let before = out.len();
        self.expire(now, out);
        for update in out.get(before..).unwrap_or_default() {
            self.keep_adrift(update);
        }
    }

    /// A call whose end was only supposed: a BYE that comes after all corrects it.
    fn keep_adrift(&mut self, Update { stage, call }: &Update) {
        if *stage == Stage::Concluded && matches!(call.end, End::SessionTimer | End::Estimated) && self.adrift.len() < MOST_ADRIFT {
            let mut call = call.clone();
            if let Some(last) = call.talks.last_mut() {
                last.to = None;
            }
            self.adrift.insert(call.id.clone(), call);
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

/// A call that ended then: its open talk ends there too.
fn ended(mut call: Call, at: Timestamp, end: End) -> Call {
    for talk in &mut call.talks {
        talk.to.get_or_insert(at.max(talk.from));
    }
    call.ended_at = Some(at);
    call.end = end;
    if end != End::Observed {
        call.mark(Mark::LostParty);
    }
    call
}
