//! One conversation, as all evidence about it says.

use crate::calls::Withheld;
use crate::units::{CallId, Direction, E164, Interval, RawNumber, Seconds, Timestamp};
use std::cmp::Reverse;

/// Two that see one message have clocks that differ by no more, or read them so much later.
const CLOCKS_APART_MICROS: i64 = 100_000;

/// One conversation, however many legs, forks or sources reported it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Call {
    /// Its name, derived from the evidence.
    pub id: CallId,
    /// Inbound, or a callback.
    pub direction: Direction,
    /// The hotline's name, when one was dialled (or shown, for a callback).
    pub hotline: Option<Box<str>>,
    /// The service sold: the hotline's, or `callback`.
    pub service: Box<str>,
    /// Who called, as received: digits, an extension, or empty.
    pub caller_raw: RawNumber,
    /// Who called, normalized; of a callback, `None` (the agent's extension is in `caller_raw`).
    pub caller: Option<E164>,
    /// Whether the caller hid the number.
    pub withheld: Withheld,
    /// Who was called, as received.
    pub called_raw: RawNumber,
    /// Who was called, normalized.
    pub called: Option<E164>,
    /// A contract reference that the PBX handed over.
    pub contract: Option<Box<str>>,
    /// The first INVITE, or the record's start.
    pub started_at: Timestamp,
    /// The PBX's own answer (to the customer's leg), if there was one.
    pub answered_at: Option<Timestamp>,
    /// The times the customer was with somebody, in order; with `billed_from` answer, the time since the PBX's answer.
    pub talks: Vec<Talk>,
    /// When all was over; `None` while the call runs.
    pub ended_at: Option<Timestamp>,
    /// How the end is known.
    pub end: End,
    /// From which moment talk counts.
    pub billed_from: BilledFrom,
    /// Why nobody talked to the caller; `None` if somebody did, or the call still runs.
    pub missed: Option<MissedReason>,
    /// The severity, from the hotline's default or a source.
    pub severity: Option<Box<str>>,
    /// The ticket, if a source names one.
    pub ticket: Option<Box<str>>,
    /// How its legs were joined.
    pub correlation: Correlation,
    /// What a reader should know before relying on the talk time, without repeats, in order.
    pub marks: Vec<Mark>,
}

/// A time with one agent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Talk {
    /// The extension or number; empty where no source tells.
    pub agent: Box<str>,
    /// The agent's level (1st, 2nd, 3rd), when configured.
    pub level: Option<u8>,
    /// When they were connected.
    pub from: Timestamp,
    /// When they parted; `None` while they talk.
    pub to: Option<Timestamp>,
}

/// How the end of a call is known, best first (design.md §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum End {
    /// A BYE was seen, or the switch's own record says so.
    Observed,
    /// As another source has it.
    Reconciled,
    /// The session timer expired; talk ends at the last proof of life.
    SessionTimer,
    /// The hotline's `max_call` ran out; talk ends at the last proof of life.
    Estimated,
}

/// The moment from which talk counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BilledFrom {
    /// An agent was connected.
    Agent,
    /// The PBX answered, because the hotline says so or no agent leg can be seen.
    Answer,
}

/// Why a call was never answered by an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MissedReason {
    /// The PBX answered, and the caller gave up in the queue.
    Abandoned,
    /// The caller gave up while it rang.
    Canceled,
    /// All were busy.
    Busy,
    /// Nobody picked up (a mailbox may have).
    NoAnswer,
    /// Somebody declined.
    Declined,
    /// The call could not be set up.
    Failed,
}

/// How the legs of a call were joined, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Correlation {
    /// One leg, one Call-ID, one record key or an explicit header.
    Explicit,
    /// Numbers and times of the legs, with one candidate only.
    Numbers,
    /// The likeliest of several candidates that have the same caller, or the only one who was released together with a leg.
    Guess,
}

/// What a reader should know about a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mark {
    /// An agent passed the caller on.
    Transfer,
    /// An agent's phone redirected the call.
    Forward,
    /// The PBX rang the agent first, then the customer.
    ClickToCall,
    /// A party vanished: its end is later than the last sign of it.
    LostParty,
    /// Its answer was never seen; that it was answered is known from what followed.
    AnswerUnseen,
    /// Legs were joined by likelihood.
    Guessed,
    /// A leg could belong to several callers, and was given to none.
    Ambiguous,
    /// The number that was dialled is not in the record.
    HotlineUnseen,
    /// Only a source that is there to reconcile saw it: those that meter did not.
    Reconciled,
}

impl Talk {
    /// As cut at `now`; `None` if it has not begun then.
    fn until(&self, now: Timestamp) -> Option<Interval> {
        (self.from <= now).then(|| Interval::new(self.from, self.to.unwrap_or(now).min(now)))
    }
}

impl Call {
    /// The times of talk as disjoint intervals in order, those that go on cut at `now`: agents may overlap in a
    /// consultation, and the caller pays that time once.
    #[must_use]
    pub fn talk_until(&self, now: Timestamp) -> Vec<Interval> {
        if let [talk] = self.talks.as_slice() {
            return talk.until(now).into_iter().collect();
        }
        let mut spans: Vec<Interval> = Vec::with_capacity(self.talks.len());
        let mut sorted: Vec<Interval> = self.talks.iter().filter_map(|talk| talk.until(now)).collect();
        sorted.sort();
        for span in sorted {
            match spans.last_mut() {
                Some(last) if span.from() <= last.to() => *last = Interval::new(last.from(), last.to().max(span.to())),
                _ => spans.push(span),
            }
        }
        spans
    }

    /// Talk in microseconds, cut at `now`.
    #[must_use]
    pub fn talk_micros(&self, now: Timestamp) -> i64 {
        if let [talk] = self.talks.as_slice() {
            return talk.until(now).map_or(0, Interval::micros);
        }
        self.talk_until(now).iter().fold(0, |sum, span| sum.saturating_add(span.micros()))
    }

    /// Talk in whole seconds, rounded down once over the sum.
    #[must_use]
    pub fn talk_seconds(&self, now: Timestamp) -> Seconds {
        Seconds::new(u64::try_from(self.talk_micros(now)).unwrap_or(0) / 1_000_000)
    }

    /// The moment an agent was first connected.
    #[must_use]
    pub fn connected_at(&self) -> Option<Timestamp> {
        self.talks.iter().map(|talk| talk.from).min()
    }

    /// The level that the tariff sees: the highest of the agents talked to in the whole call. A price of a level is for what the
    /// third level was asked to do, and one conversation is one call (design.md §3, §5); who escalates and is sent back has
    /// been served by it all the same.
    #[must_use]
    pub fn level(&self) -> Option<u8> {
        self.talks.iter().filter_map(|talk| talk.level).max()
    }

    /// With no end before the last of it, as a clock that is set back makes it. Talk stays what it was, also where it is older
    /// than the call by such a clock: what lies between its own two ends is right.
    #[must_use]
    pub fn in_its_time(mut self) -> Self {
        let last = self.talks.iter().filter_map(|talk| talk.to).max().unwrap_or(self.started_at);
        self.ended_at = self.ended_at.map(|ended_at| ended_at.max(last));
        self
    }

    /// Whether later evidence of the same call takes the place of this: an end that is seen is not given up for one that is
    /// supposed, nor for none; nor is what one source told, for less of the same (a part of a recording, read again). Of two
    /// that saw the same by clocks of their own (a capture and HEP), the same one stands whichever came first. Who missed a
    /// party's BYE takes the other's, which comes a little later, and says so: whoever saw both knows better; and whoever saw
    /// an answer, than who has only a copy of the INVITE, of a call that rang in vain; or than who heard it from its middle on.
    #[must_use]
    pub fn yields_to(&self, newer: &Self) -> bool {
        let same_source = (self.withheld == Withheld::Unknown) == (newer.withheld == Withheld::Unknown);
        match (self.ended_at, newer.ended_at) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(_), Some(_)) if newer.end != self.end || !same_source => newer.end <= self.end,
            (Some(_), Some(_)) if !self.talks.is_empty() && newer.talks.is_empty() && newer.marks.contains(&Mark::AnswerUnseen) => false,
            (Some(mine), Some(theirs)) if mine != theirs && self.sight() != newer.sight() => newer.sight() > self.sight(),
            (Some(mine), Some(theirs)) if self.is_alike(newer) => {
                (newer.knowledge(), theirs, newer.instants()) >= (self.knowledge(), mine, self.instants())
            }
            (Some(mine), Some(theirs)) => theirs >= mine,
        }
    }

    /// Whether an answer was seen, and both parties seen to go.
    fn sight(&self) -> (bool, bool) {
        (!self.talks.is_empty(), !self.marks.contains(&Mark::LostParty))
    }

    /// Whether two reports tell of the same talk and end, but for what clocks and captures differ by.
    fn is_alike(&self, other: &Self) -> bool {
        let near = |one: Timestamp, other: Timestamp| one.since(other).abs() <= CLOCKS_APART_MICROS;
        let same = |(one, other): (&Talk, &Talk)| one.agent == other.agent && near(one.from, other.from);
        let talks = self.talks.len() == other.talks.len() && self.talks.iter().zip(&other.talks).all(same);
        talks && self.ended_at.zip(other.ended_at).is_some_and(|(one, other)| near(one, other))
    }

    /// Every instant but the end: when the call, its answer, and its talks began, and the talks ended.
    fn instants(&self) -> Vec<Option<Timestamp>> {
        let talks = self.talks.iter().flat_map(|talk| [Some(talk.from), talk.to]);
        [Some(self.started_at), self.answered_at].into_iter().chain(talks).collect()
    }

    /// How much is told beside the times: what happened, how many agents were seen to leave before the caller did, and with
    /// how little doubt.
    fn knowledge(&self) -> (usize, usize, Reverse<usize>, Reverse<Correlation>) {
        let (facts, doubts): (Vec<Mark>, Vec<Mark>) = self.marks.iter().partition(|mark| match mark {
            Mark::Transfer | Mark::Forward | Mark::ClickToCall | Mark::LostParty => true,
            Mark::AnswerUnseen | Mark::Guessed | Mark::Ambiguous | Mark::HotlineUnseen | Mark::Reconciled => false,
        });
        let before = |to: Timestamp| self.ended_at.is_some_and(|ended| ended.since(to) > CLOCKS_APART_MICROS);
        let left = self.talks.iter().filter(|talk| talk.to.is_some_and(before)).count();
        (facts.len(), left, Reverse(doubts.len()), Reverse(self.correlation))
    }

    /// Whether this and `other` have one name and yet are two conversations: one was over when the other was set up. A
    /// caller chooses Call-ID and tag, and who uses them again must not have the bill of the first call replaced.
    #[must_use]
    pub fn is_apart_from(&self, other: &Self) -> bool {
        // A switch names each channel once; one of its records may have whole seconds, and seem to end before another began.
        let cut = if self.withheld == Withheld::Unknown { 1_000_000 } else { 0 };
        let over_before = |one: &Self, next: &Self| one.ended_at.is_some_and(|ended| ended.plus_micros(cut) < next.started_at);
        // Records have whole seconds and may seem to end before the wire began: they are told apart elsewhere.
        let comparable = (self.withheld == Withheld::Unknown) == (other.withheld == Withheld::Unknown);
        comparable && (over_before(self, other) || over_before(other, self))
    }

    /// Adds a mark, once, in order.
    pub fn mark(&mut self, mark: Mark) {
        if let Err(place) = self.marks.binary_search(&mark) {
            self.marks.insert(place, mark);
        }
    }
}
