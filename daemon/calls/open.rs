//! A call under way: the legs that serve it, and the call they amount to.

use super::call::{BilledFrom, Call, Correlation, End, Mark, MissedReason, Talk};
use super::directory::{BillFrom, Caller, Directory, Hotline, OnHold};
use super::held::without;
use super::leg::{Dialog, Leg, Role};
use super::row::Span;
use super::table::Table;
use crate::sip::LegId;
use crate::units::{CallId, Direction, E164, RawNumber, Seconds, Timestamp};
use sha2::{Digest, Sha256};

/// What kind of call is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A customer called a hotline.
    Inbound,
    /// An agent called a customer.
    Callback,
    /// Agents among themselves: counted, and kept while a transfer may join it to another.
    Internal,
}

/// A call under way.
#[derive(Clone, Debug)]
pub struct Open {
    /// What kind.
    pub kind: Kind,
    /// Its name.
    pub id: CallId,
    /// Its first leg.
    pub first: LegId,
    /// The customer's leg, if it is another (of a callback: the switch's leg to the customer).
    pub customer: Option<LegId>,
    /// The customer's own legs after it was passed on by a proxy, which lets the parties call each other.
    pub again: Vec<LegId>,
    /// The customer was told to call somebody else itself: the next leg to that is one of those.
    pub passed_on: bool,
    /// The agents' legs, in the order in which they joined, with the time from which they count if that is not their answer.
    pub agents: Vec<(LegId, Option<Timestamp>)>,
    /// Who calls.
    pub caller: Caller,
    /// Who was called, as received and normalized.
    pub called: (RawNumber, Option<E164>),
    /// The hotline's place in the directory.
    pub hotline: Option<usize>,
    /// A contract reference.
    pub contract: Option<Box<str>>,
    /// When it was set up.
    pub started_at: Timestamp,
    /// How the end is known.
    pub end: End,
    /// How its legs were joined: the weakest join.
    pub correlation: Correlation,
    /// What a reader should know.
    pub marks: Vec<Mark>,
    /// Where an agent or a phone sent the caller, and when: the next leg to it belongs here.
    pub sent_to: Option<(RawNumber, Option<E164>, Timestamp)>,
    /// The connected line last named to the caller, and when.
    pub connected: Option<(RawNumber, Timestamp)>,
    /// Its first talk has been reported.
    pub reported: bool,
    /// Its customer is there and with no agent, as of its last review.
    pub waits: bool,
    /// When it is to be concluded, once its customer's leg is over.
    pub conclude_at: Option<Timestamp>,
}

/// `call_id` of a call known by its first leg: 32 hex digits of SHA-256 over Call-ID and From tag (design.md §3).
pub fn call_id(sip_call_id: &[u8], from_tag: &[u8]) -> CallId {
    let digest = Sha256::new().chain_update(b"sip\0").chain_update(sip_call_id).chain_update(b"\0").chain_update(from_tag).finalize();
    let digits = digest.iter().take(16).flat_map(|byte| [byte >> 4, byte & 15]);
    let text: String = digits.filter_map(|digit| char::from_digit(u32::from(digit), 16)).collect();
    CallId::new(&text).expect("32 hex digits are not empty")
}

impl Open {
    /// The longest it may last.
    pub fn max_call(&self, directory: &Directory) -> Seconds {
        self.hotline(directory).map_or(Seconds::new(4 * 3_600), |hotline| hotline.max_call)
    }

    /// Whether an agent is connected.
    pub fn is_served(&self, legs: &Table<LegId, Leg>) -> bool {
        self.agents.iter().map(|(leg, _)| leg).chain(&self.again).any(|leg| legs.get(leg).is_some_and(Leg::is_connected))
    }

    /// Adds a mark, once, in order.
    pub fn mark(&mut self, mark: Mark) {
        if let Err(place) = self.marks.binary_search(&mark) {
            self.marks.insert(place, mark);
        }
    }

    /// The leg on which the customer is now.
    pub fn customer_now(&self) -> LegId {
        self.again.last().copied().or(self.customer).unwrap_or(self.first)
    }

    /// Whether the customer is there and with no agent.
    pub fn is_waiting(&self, legs: &Table<LegId, Leg>) -> bool {
        self.conclude_at.is_none() && !self.is_served(legs)
    }

    fn hotline<'d>(&self, directory: &'d Directory) -> Option<&'d Hotline> {
        self.hotline.and_then(|place| directory.hotlines.get(place))
    }

    /// The customer's leg, as far as it is known.
    fn customer_leg<'l>(&self, legs: &'l Table<LegId, Leg>) -> Option<&'l Leg> {
        self.customer.and_then(|leg| legs.get(&leg)).or_else(|| legs.get(&self.first))
    }

    fn by_answer(&self, directory: &Directory) -> bool {
        self.kind == Kind::Inbound && self.hotline(directory).is_some_and(|hotline| hotline.bill_from == BillFrom::Answer)
    }

    /// The times that count as talk.
    pub fn talks(&self, directory: &Directory, legs: &Table<LegId, Leg>) -> Vec<Talk> {
        let talks = self.with_agents(directory, legs);
        if self.by_answer(directory) { by_switch(self.customer_leg(legs), talks.first()) } else { talks }
    }

    /// The call, as its legs say.
    pub fn call(&self, directory: &Directory, legs: &Table<LegId, Leg>) -> Call {
        let hotline = self.hotline(directory);
        let customer = self.customer_leg(legs);
        let answered_at = customer.and_then(Leg::answered_at);
        let ended_at = customer.and_then(|leg| leg.ended_at).filter(|_| self.conclude_at.is_some());
        let talks = self.talks(directory, legs);
        let again = self.again.iter().filter_map(|leg| legs.get(leg)?.ended_at);
        let ended_at = ended_at.map(|ended_at| again.fold(ended_at, Timestamp::max));
        let ended_at = ended_at.map(|ended_at| talks.iter().filter_map(|talk| talk.to).fold(ended_at, Timestamp::max));
        let missed = (talks.is_empty() && ended_at.is_some()).then(|| self.missed(customer, legs));
        let direction = if self.kind == Kind::Callback { Direction::Out } else { Direction::In };
        let mut call = Call {
            id: self.id.clone(),
            direction,
            hotline: hotline.map(|hotline| hotline.name.clone()),
            service: match (direction, hotline) {
                (Direction::In, Some(hotline)) => hotline.service.clone(),
                (Direction::In, None) => "".into(),
                (Direction::Out, _) => "callback".into(),
            },
            caller_raw: self.caller.raw.clone(),
            caller: self.caller.number.filter(|_| direction == Direction::In),
            withheld: self.caller.withheld,
            called_raw: self.called.0.clone(),
            called: self.called.1,
            contract: self.contract.clone(),
            started_at: self.started_at,
            answered_at,
            talks,
            ended_at,
            end: self.end,
            billed_from: if self.by_answer(directory) { BilledFrom::Answer } else { BilledFrom::Agent },
            missed,
            severity: hotline.and_then(|hotline| hotline.severity.clone()),
            ticket: None,
            correlation: self.correlation,
            marks: self.marks.clone(),
        };
        if self.is_unanswered(legs) {
            call.mark(Mark::LostParty);
        }
        call.in_its_time()
    }

    /// The times with agents: a dialog of an agent's leg, or one that a proxy forked to an agent, while the customer's leg
    /// is connected. Ends at the first BYE of either, or when the agent passed the caller on.
    fn with_agents(&self, directory: &Directory, legs: &Table<LegId, Leg>) -> Vec<Talk> {
        let Some(customer) = self.customer_leg(legs) else { return Vec::new() };
        let first = legs.get(&self.first);
        let on_hold = self.hotline(directory).map_or(OnHold::Talk, |hotline| hotline.hold);
        // Whose answer was not seen talked no earlier than the leg began.
        let there = |leg: &Leg| leg.answered_at().unwrap_or(leg.invited_at);
        let connected = Some(there(customer));
        // Hold by either side, on either leg: a switch may pass it on, or play music itself.
        let beside: Vec<_> = match on_hold {
            OnHold::Talk => Vec::new(),
            OnHold::Wait => {
                let dialogs =
                    customer.dialogs.iter().chain(first.filter(|_| self.customer.is_some()).into_iter().flat_map(|leg| &leg.dialogs));
                dialogs.flat_map(|dialog| &dialog.holds).map(|(_, held, resumed)| Span { from: *held, to: *resumed }).collect()
            }
        };
        let mut talks = Vec::new();
        let mut add = |agent: &RawNumber, dialog: &Dialog, not_before: Option<Timestamp>, limits: Limits| {
            let level = directory.agent(agent).and_then(|agent| agent.level);
            let from = [limits.from, not_before].into_iter().flatten().fold(dialog.from, Timestamp::max);
            let own = [dialog.to, dialog.referred_at].into_iter().flatten().min();
            let to = [own, limits.to].into_iter().flatten().min();
            // Of a customer who was lost before any sign of life in it, a talk remains, though none of it counts.
            let was_lost = self.end >= End::SessionTimer && own.is_none_or(|own| own >= from);
            // Nor does any of one who left before the answer, by a clock that was set back since.
            let was_set_back = limits.to < limits.from && limits.to.is_some();
            if to.is_some_and(|to| to <= from) && !was_lost && !was_set_back {
                return;
            }
            let to = to.map(|to| to.max(from));
            let holds =
                dialog.holds.iter().filter(|_| on_hold == OnHold::Wait).map(|(_, held, resumed)| Span { from: *held, to: *resumed });
            let away = dialog.away.iter().map(|(referred, back)| Span { from: *referred, to: Some(*back) });
            let gaps = holds.chain(away).chain(beside.iter().copied());
            let talk = |Span { from, to }| Talk { agent: agent.as_str().into(), level, from, to };
            talks.extend(without(Span { from, to }, gaps).into_iter().map(talk));
        };
        let with_customer = Limits { from: connected, to: customer.ended_at };
        for dialog in &customer.dialogs {
            if self.kind == Kind::Callback {
                // One Call-ID through a proxy, or the switch's own leg to the customer.
                add(&self.caller.raw, &cut(dialog, first), first.map(there), with_customer);
            } else if let Some(agent) = dialog.answerer.as_ref().filter(|answerer| directory.agent(answerer).is_some()) {
                add(agent, dialog, None, with_customer);
            }
        }
        for (leg, not_before) in &self.agents {
            let Some(leg) = legs.get(leg) else { continue };
            for dialog in &leg.dialogs {
                let answerer = dialog.answerer.as_ref().filter(|_| leg.role != Role::PickUp);
                add(answerer.unwrap_or_else(|| leg.agent()), dialog, *not_before, with_customer);
            }
        }
        for leg in self.again.iter().filter_map(|leg| legs.get(leg)) {
            for dialog in &leg.dialogs {
                let answerer = dialog.answerer.as_ref().unwrap_or(&leg.target);
                if directory.agent(answerer).is_some() {
                    add(answerer, dialog, None, Limits::default());
                }
            }
        }
        talks.sort_by(|one, other| (one.from, one.to, &one.agent).cmp(&(other.from, other.to, &other.agent)));
        talks
    }

    /// Why nobody talked, as far as the legs tell.
    fn missed(&self, customer: Option<&Leg>, legs: &Table<LegId, Leg>) -> MissedReason {
        let Some(customer) = customer else { return MissedReason::Failed };
        if let Some(answered) = customer.answered_at() {
            // A switch that answers only after a phone was not picked up is a mailbox; one that answers before is a queue.
            let tried_before =
                self.agents.iter().any(|(leg, _)| legs.get(leg).is_some_and(|leg| leg.ended_at.is_some_and(|ended| ended <= answered)));
            // Nobody waits in a queue for a callback: its agent was gone, or a party was lost, before they talked.
            let waiting = if self.kind == Kind::Callback { MissedReason::Failed } else { MissedReason::Abandoned };
            return if tried_before { MissedReason::NoAnswer } else { waiting };
        }
        match customer.refused {
            _ if customer.canceled_at.is_some() => MissedReason::Canceled,
            Some(486 | 600) => MissedReason::Busy,
            // Only a caller who gives up makes it that (RFC 3261 §9.2, §15.1.2): the CANCEL was not seen.
            Some(487) => MissedReason::Canceled,
            Some(408 | 480) => MissedReason::NoAnswer,
            Some(403 | 603 | 607) => MissedReason::Declined,
            Some(_) | None => MissedReason::Failed,
        }
    }
}

/// When the customer was there, at most.
#[derive(Clone, Copy, Default)]
struct Limits {
    from: Option<Timestamp>,
    to: Option<Timestamp>,
}

/// A callback customer's dialog, as far as the agent of a leg is in it: until the leg ends, or the customer is passed on.
fn cut(dialog: &Dialog, leg: Option<&Leg>) -> Dialog {
    let to = [dialog.to, leg.and_then(|leg| leg.ended_at)].into_iter().flatten().min();
    let dialogs = || leg.into_iter().flat_map(|leg| &leg.dialogs);
    let passed_on = dialogs().filter_map(|dialog| dialog.referred_at);
    let away = dialogs().flat_map(|dialog| dialog.away.iter().copied()).collect();
    Dialog { to, referred_at: passed_on.chain(dialog.referred_at).min(), away, ..dialog.clone() }
}

/// With `bill_from = "answer"`, all the time the switch was connected to the customer.
fn by_switch(customer: Option<&Leg>, agent: Option<&Talk>) -> Vec<Talk> {
    let dialogs = customer.map(|leg| leg.dialogs.as_slice()).unwrap_or_default();
    let talk = |dialog: &Dialog| Talk {
        agent: agent.map_or_else(|| "".into(), |talk| talk.agent.clone()),
        level: agent.and_then(|talk| talk.level),
        from: dialog.from,
        to: dialog.to,
    };
    dialogs.iter().map(talk).collect()
}
