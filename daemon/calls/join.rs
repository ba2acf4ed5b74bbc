//! Whose leg is this: joins the switch's legs to the calls they serve (inputs: RFC 3261 B2BUAs share nothing between legs).
//!
//! In order of belief: an explicit header; where an agent or a phone sent the caller; the caller's number and the times of
//! the legs. Between several callers nothing but evidence decides (the connected line the switch names to the caller when
//! a phone rings, or the caller's answer that follows the agent's; at last how both legs end, see `release`): otherwise the
//! leg is given to none. Between calls of one caller the likeliest is taken and marked: the payer is the same.

use super::call::{Correlation, Mark};
use super::correlator::Calls;
use super::directory::Withheld;
use super::due::Due;
use super::index::Shown;
use super::leg::{CALL_ID, CallNo, Leg};
use super::news::Update;
use super::open::{Kind, Open};
use crate::sip::LegId;
use crate::units::{E164, RawNumber, Timestamp};

/// The switch names the agent to the caller within this time of ringing the agent.
const NAMED_MICROS: i64 = 150_000;
/// The caller's answer follows the agent's within this time.
pub(super) const ANSWER_MICROS: i64 = 100_000;
/// Packets of one instant may come in another order than they were sent.
pub(super) const EARLY_MICROS: i64 = 5_000;
/// What explains a leg may be read so much later than the leg.
pub(super) const LATER_MICROS: i64 = 50_000;
/// So long it is not decided that a second leg belongs to the only call of its caller.
const HELD_MICROS: i64 = 100_000;
/// Packets may come in another order than they were sent within this time: of several capture agents, of several threads.
const REORDERED_MICROS: i64 = 500_000;
/// A transfer or forward reaches its target within this time.
pub(super) const SENT_MICROS: i64 = 5_000_000;

impl Calls {
    /// The switch rings an agent: for whom?
    pub(super) fn place_agent_leg(&mut self, id: LegId, diverted: &[RawNumber], at: Timestamp, out: &mut Vec<Update>) {
        let Some(leg) = self.legs.get(&id) else { return };
        if let Some(call) = self.by_key(leg) {
            return self.join(id, call, Correlation::Explicit, at, out);
        }
        let sent = self.sent_to(id, at);
        let Some(leg) = self.legs.get(&id) else { return };
        let candidates = self.waiting_callers(leg);
        // A leg that shows no number may be another's who waits: the one who was sent there must be the only one.
        if let Some(call) = sent.filter(|sent| Shown::by(leg) != Shown::Hidden || candidates.iter().all(|call| call == sent)) {
            return if self.passed_on_itself(call) {
                self.go_on(id, call, at, out)
            } else {
                self.join(id, call, Correlation::Numbers, at, out)
            };
        }
        if candidates.len() != 1
            && let Some(call) = self.diverted_from(diverted, &candidates, leg.invited_at)
        {
            self.mark(Some(call), Mark::Forward);
            return self.join(id, call, Correlation::Numbers, at, out);
        }
        match *candidates.as_slice() {
            // Its caller's own INVITE, or that somebody passed a caller on to it, may be read a moment later.
            [] => {
                let first = at.since(leg.invited_at) < LATER_MICROS;
                self.index.wait(id, leg);
                if first {
                    self.due.set(at.plus_micros(LATER_MICROS), Due::Decide(id));
                }
            }
            // The switch rings somebody for it already: this leg may be for a caller of the same number whose INVITE is read next.
            [call] if self.is_rung(call) && at.since(leg.invited_at) < HELD_MICROS => {
                self.index.wait(id, leg);
                self.due.set(leg.invited_at.plus_micros(HELD_MICROS), Due::Decide(id));
            }
            [call] => self.join(id, call, Correlation::Numbers, at, out),
            _ => {
                let named = only(candidates.iter().copied().filter(|call| self.was_named(*call, id, leg)));
                let follows = self.passed_on_by(leg, at);
                if let Some(leg) = self.legs.get_mut(&id) {
                    leg.candidates = candidates;
                    leg.follows = follows;
                    self.index.wait(id, leg);
                }
                match named {
                    Some(call) => self.join(id, call, Correlation::Numbers, at, out),
                    None => {
                        self.due.set(at.plus_micros(NAMED_MICROS), Due::Decide(id));
                    }
                }
            }
        }
    }

    /// The call with the same value of a leg header, the best header first.
    pub(super) fn by_key(&self, leg: &Leg) -> Option<CallNo> {
        let serves = |call: &CallNo| self.may_serve(*call, leg.invited_at);
        leg.keys.iter().find_map(|(place, value)| {
            let same = self.index.of_key(&(*place, value.clone())).iter().copied().find(serves);
            same.or_else(|| self.index.of_key(&(CALL_ID, value.clone())).iter().copied().find(serves))
        })
    }

    /// Agents' legs whose INVITE came before that of the call they serve, though it was sent after it.
    pub(super) fn place_early_legs(&mut self, call: CallNo, at: Timestamp, out: &mut Vec<Update>) {
        let Some(open) = self.open.get(&call) else { return };
        let fits = |id: &LegId| {
            let leg = self.legs.get(id).filter(|leg| leg.call.is_none() && leg.candidates.is_empty());
            leg.is_some_and(|leg| (-EARLY_MICROS..REORDERED_MICROS).contains(&leg.invited_at.since(open.started_at)))
        };
        let lists = Shown::of(open).flat_map(|shown| self.index.undecided_of(shown));
        let early: Vec<LegId> = lists.copied().filter(fits).collect();
        for id in early {
            self.place_agent_leg(id, &[], at, out);
        }
    }

    /// Whether a leg of this time may serve a call: one that is under way, and was before the leg. A recording that is
    /// read after a later one has legs older than the calls that run.
    pub(super) fn may_serve(&self, call: CallNo, invited: Timestamp) -> bool {
        self.open.get(&call).is_some_and(|open| open.conclude_at.is_none() && invited.since(open.started_at) >= -EARLY_MICROS)
    }

    /// Calls that were sent to a leg's target a moment ago, and whose caller the leg shows (or one of our own numbers, as
    /// switches do towards the outside): the latest sent.
    pub(super) fn sent_to(&mut self, id: LegId, at: Timestamp) -> Option<CallNo> {
        self.index.sent.retain(|_, when| at.since(*when) < SENT_MICROS);
        let leg = self.legs.get(&id)?;
        let ours = leg.from_number.is_some_and(|number| self.directory.hotline(number).is_some());
        let fits = |(call, when): &(&CallNo, &Timestamp)| {
            at.since(**when) >= -EARLY_MICROS
                && self.open.get(call).is_some_and(|open| {
                    let customer = if open.kind == Kind::Callback { open.called.1 } else { open.caller.number };
                    let shown = if leg.hidden { open.caller.withheld == Withheld::Yes } else { customer == leg.from_number };
                    (open.conclude_at.is_none() || open.passed_on) && (ours || shown) && self.was_sent(**call, open, id, leg)
                })
        };
        self.index.sent.iter().filter(fits).max_by_key(|(_, when)| **when).map(|(call, _)| *call)
    }

    /// Whether a call was sent to a leg's target just before, and has no leg to it yet: one caller may call twice, and
    /// those who hide their number look all alike.
    pub(super) fn was_sent(&self, call: CallNo, open: &Open, id: LegId, leg: &Leg) -> bool {
        let same = |(to, of, _): &(RawNumber, Option<E164>, Timestamp)| *to == leg.target || (of.is_some() && *of == leg.target_number);
        let recently = |(_, _, when): &(RawNumber, Option<E164>, Timestamp)| leg.invited_at.since(*when) < SENT_MICROS;
        open.sent_to.as_ref().is_some_and(|sent| same(sent) && recently(sent)) && !self.rings(call, open, id, leg, SENT_MICROS)
    }

    fn is_target(&self, number: &RawNumber, leg: &Leg) -> bool {
        *number == leg.target || (leg.target_number.is_some() && self.directory.dial_plan.normalize(number.as_bytes()) == leg.target_number)
    }

    /// Open inbound calls of the caller a leg shows; those that wait, if any does.
    fn waiting_callers(&self, leg: &Leg) -> Vec<CallNo> {
        let shown = Shown::by(leg);
        let serves = |call: &CallNo| self.may_serve(*call, leg.invited_at);
        let waiting: Vec<CallNo> = self.index.waiting(shown).iter().copied().filter(serves).collect();
        if waiting.is_empty() { self.index.shown(shown).iter().copied().filter(serves).collect() } else { waiting }
    }

    /// Whether an agent is connected on a call.
    pub(super) fn is_served(&self, call: CallNo) -> bool {
        self.open.get(&call).is_some_and(|open| open.is_served(&self.legs))
    }

    /// Whether an agent's leg serves a call.
    fn is_rung(&self, call: CallNo) -> bool {
        self.open.get(&call).is_some_and(|open| !open.agents.is_empty())
    }

    /// After its legs changed: whether a call waits for an agent.
    pub(super) fn note_waiting(&mut self, number: CallNo) {
        let Self { open, legs, index, .. } = self;
        let Some(open) = open.get_mut(&number) else { return };
        let waits = open.is_waiting(legs);
        if waits != open.waits {
            open.waits = waits;
            index.turn(number, open);
        }
    }

    /// Whether the caller was told the name of a leg's target when that was rung, and no other leg explains it.
    /// Two callers may ring one phone at the same time.
    pub(super) fn was_named(&self, call: CallNo, id: LegId, leg: &Leg) -> bool {
        let Some(open) = self.open.get(&call) else { return false };
        let near = |when: Timestamp| leg.invited_at.since(when).abs() <= NAMED_MICROS;
        let named = open.connected.as_ref().is_some_and(|(number, when)| near(*when) && self.is_target(number, leg));
        named && !self.rings(call, open, id, leg, NAMED_MICROS)
    }

    /// Whether a call has, or may have, another leg to the target of this one, of about the same time.
    fn rings(&self, call: CallNo, open: &Open, id: LegId, leg: &Leg, within: i64) -> bool {
        let serving = open.agents.iter().filter_map(|(leg, _)| Some((*leg, self.legs.get(leg)?)));
        let mut others = serving.chain(self.index.undecided(call, open, &self.legs)).filter(|(other, _)| *other != id);
        others.any(|(_, other)| other.target == leg.target && leg.invited_at.since(other.invited_at).abs() <= within)
    }

    /// The switch names somebody to the caller: the leg that rings that phone now is the caller's.
    pub(super) fn named(&mut self, call: Option<CallNo>, number: Option<&RawNumber>, at: Timestamp, out: &mut Vec<Update>) {
        let (Some(call), Some(number)) = (call, number) else { return };
        let Some(open) = self.open.get_mut(&call) else { return };
        open.connected = Some((number.clone(), at));
        let fits = |(_, leg): &(LegId, &Leg)| at.since(leg.invited_at).abs() <= NAMED_MICROS && self.is_target(number, leg);
        let fitting = self.open.get(&call).and_then(|open| only(self.index.undecided(call, open, &self.legs).filter(fits)));
        if let Some((leg, _)) = fitting {
            return self.join(leg, call, Correlation::Numbers, at, out);
        }
        self.passed_on(call, number, at, out);
    }

    /// An agent has gone: the caller may have been told the name of the next one a moment before.
    pub(super) fn named_before(&mut self, call: Option<CallNo>, at: Timestamp, out: &mut Vec<Update>) {
        let named = call.and_then(|call| Some((call, self.open.get(&call)?.connected.as_ref()?)));
        if let Some((call, (number, when))) = named
            && self.index.has_internal()
            && at.since(*when).abs() <= NAMED_MICROS
        {
            let number = number.clone();
            self.passed_on(call, &number, at, out);
        }
    }

    /// The switch itself passed the caller on (by a key code): an agent of the call had rung another, has gone, and the
    /// caller is told the other's name.
    fn passed_on(&mut self, call: CallNo, number: &RawNumber, at: Timestamp, out: &mut Vec<Update>) {
        if !self.index.has_internal() || self.is_served(call) {
            return;
        }
        let Some(open) = self.open.get(&call) else { return };
        let served: Vec<&RawNumber> = open.agents.iter().filter_map(|(leg, _)| self.legs.get(leg)).map(|leg| &leg.target).collect();
        let consulted = self.index.internal().find_map(|number_of| {
            let other = self.open.get(&number_of)?;
            let from_agent = served.contains(&&other.caller.raw);
            let mut legs = [other.first].into_iter().chain(other.agents.iter().map(|(leg, _)| *leg));
            let connected = |leg: &LegId| self.legs.get(leg).is_some_and(|leg| leg.is_connected() && self.is_target(number, leg));
            from_agent.then(|| legs.rfind(connected)).flatten().map(|leg| (number_of, leg))
        });
        if let Some((from, leg)) = consulted {
            self.hold_for(from, call);
            self.take_over(call, from, &[leg], at, out);
        }
    }

    /// A caller is answered: the agent's leg that was answered a moment before is the caller's.
    pub(super) fn answered_together(&mut self, call: CallNo, at: Timestamp, out: &mut Vec<Update>) {
        let fits =
            |(_, leg): &(LegId, &Leg)| leg.answered_at().is_some_and(|from| (-EARLY_MICROS..=ANSWER_MICROS).contains(&at.since(from)));
        let Some(open) = self.open.get(&call) else { return };
        if let Some((leg, _)) = only(self.index.undecided(call, open, &self.legs).filter(fits)) {
            self.join(leg, call, Correlation::Numbers, at, out);
        }
    }

    /// The leg serves the call.
    pub(super) fn join(&mut self, id: LegId, call: CallNo, correlation: Correlation, at: Timestamp, out: &mut Vec<Update>) {
        let (Some(leg), Some(open)) = (self.legs.get_mut(&id), self.open.get_mut(&call)) else { return };
        leg.call = Some(call);
        leg.candidates.clear();
        self.index.wait_no_more(id, leg);
        open.agents.reserve_exact(1);
        open.agents.push((id, None));
        weaken(open, correlation);
        if correlation == Correlation::Guess {
            self.mark(Some(call), Mark::Guessed);
        }
        let follows = self.legs.get_mut(&id).and_then(|leg| leg.follows.take());
        self.review(call, at, out);
        self.join_before(follows, call, at, out);
    }
}

/// What there is only one of.
pub(super) fn only<T>(mut all: impl Iterator<Item = T>) -> Option<T> {
    let first = all.next()?;
    all.next().is_none().then_some(first)
}

pub(super) fn weaken(open: &mut Open, correlation: Correlation) {
    open.correlation = match (open.correlation, correlation) {
        (Correlation::Guess, _) | (_, Correlation::Guess) => Correlation::Guess,
        (Correlation::Numbers, _) | (_, Correlation::Numbers) => Correlation::Numbers,
        (Correlation::Explicit, Correlation::Explicit) => Correlation::Explicit,
    };
}
