//! What is known of one conversation, from its first channel to its last, and the call it comes to.
//!
//! The invariant: talk is the time in which the customer's channel was connected with an agent's, and nothing else: a
//! mailbox, an announcement, a queue and a stranger are none. The result is a function of the events so far.

use super::super::channel::{Channel as Name, targets};
use super::super::directory::{Agent, BillFrom, Directory, Hotline, OnHold, Withheld};
use super::super::{BilledFrom, Call, Correlation, End, Mark, MissedReason, Talk};
use super::event::{Application, DialStatus};
use crate::units::{CallId, Direction, E164, RawNumber, Seconds, Timestamp};

/// The longest a conversation is followed that belongs to no hotline.
const MOST: Seconds = Seconds::new(4 * 3_600);

/// So many different extensions of the first channel are remembered, to find the hotline.
pub(super) const MOST_EXTENS: usize = 8;

/// What kept the caller waiting is over this long before the hang-up at most, in microseconds, if it was given up.
const GAVE_UP_MICROS: i64 = 1_000_000;

/// A caller whose audio stayed away is dropped with this cause (Q.850).
pub(super) const NO_AUDIO: u16 = 44;

/// Talk with the agent at one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// The agent's channel.
    pub(super) channel: Box<str>,
    pub(super) agent: Box<str>,
    pub(super) from: Timestamp,
    pub(super) to: Option<Timestamp>,
    /// The bridge in which the customer stayed when the agent left it.
    pub(super) left: Option<Box<str>>,
    /// Whether the agent consults somebody meanwhile.
    pub(super) consults: bool,
}

/// One conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Conversation {
    pub(super) started_at: Timestamp,
    /// The name of its first channel.
    pub(super) name: Box<str>,
    /// Who was at its end when it began.
    pub(super) number: Box<str>,
    /// The number shown last in its name: a dialplan sets the hotline's on calls to the outside.
    pub(super) shown: Box<str>,
    /// Where its dialplan was, without repeats, until somebody talked.
    pub(super) extens: Vec<Box<str>>,
    /// The arguments of the last Dial that named a number.
    pub(super) dials: Box<str>,
    pub(super) queue: Box<str>,
    /// The customer's channel: of an inbound call the first, of an outbound one the first outside that was reached.
    pub(super) customer: Option<Box<str>>,
    /// The number the customer was dialed as.
    pub(super) reached: Box<str>,
    pub(super) answered_at: Option<Timestamp>,
    pub(super) spans: Vec<Span>,
    pub(super) ended_at: Option<Timestamp>,
    pub(super) end: Option<End>,
    /// The latest event of its channels.
    pub(super) seen_at: Timestamp,
    pub(super) marks: Vec<Mark>,
    /// The application that the caller is in, and the last one with when it ended.
    pub(super) within: Option<Application>,
    pub(super) left: Option<(Application, Timestamp)>,
    pub(super) mailbox: bool,
    pub(super) dial: Option<DialStatus>,
    pub(super) cause: u16,
    pub(super) by_itself: bool,
    /// It was set up by the switch itself, which rang an agent first.
    pub(super) originated: bool,
    pub(super) contract: Box<str>,
    pub(super) ticket: Box<str>,
    pub(super) severity: Box<str>,
    pub(super) told_connected: bool,
    pub(super) told_ended: bool,
}

/// What a conversation is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found<T> {
    /// A call to a hotline, or a callback.
    Call(T),
    /// Between phones of the house.
    Internal,
    /// To a number that is no hotline, or not known yet.
    Unrelated,
}

/// The agent of a number or device as received.
pub(super) fn agent_of<'a>(directory: &'a Directory, name: &str) -> Option<&'a Agent> {
    directory.agent(&RawNumber::from_bytes(name.as_bytes()))
}

/// Up to four digits that begin with neither 0 nor +: dialed inside the house.
fn is_extension(text: &str) -> bool {
    (1..=4).contains(&text.len()) && !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Which way a conversation goes, by the device of its first channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    In,
    Out,
    /// A phone of the house that is no agent.
    Inside,
}

impl Conversation {
    pub(super) fn way(&self, directory: &Directory) -> Way {
        let name = Name::parse(&self.name);
        match agent_of(directory, name.device) {
            Some(_) => Way::Out,
            None if name.local.is_some() => Way::Inside,
            None if name.device == &*self.number && self.number.len() <= 6 && !self.number.is_empty() => Way::Inside,
            None => Way::In,
        }
    }

    /// The hotline that an inbound call reached, and the number that was dialed as received.
    fn dialed<'a>(&self, directory: &'a Directory) -> Option<(&'a Hotline, Box<str>)> {
        let by_number = self.extens.iter().find_map(|exten| {
            let number = directory.dial_plan.normalize(exten.as_bytes())?;
            Some((directory.hotline(number)?, exten.clone()))
        });
        let serves = |hotline: &&Hotline| hotline.queues.contains(&self.queue);
        by_number.or_else(|| {
            // A trunk without numbers: the queue tells, if it serves one hotline only.
            let mut served = directory.hotlines.iter().filter(serves);
            let hotline = served.next().filter(|_| served.next().is_none())?;
            Some((hotline, self.extens.first().cloned().unwrap_or_default()))
        })
    }

    /// The hotline whose number, or whose queue, it came by; of an outbound one, whose number it shows.
    pub(super) fn hotline<'a>(&self, directory: &'a Directory) -> Option<&'a Hotline> {
        match self.way(directory) {
            Way::In => self.dialed(directory).map(|(hotline, _)| hotline),
            Way::Out => directory.hotline(directory.dial_plan.normalize(self.shown.as_bytes())?),
            Way::Inside => None,
        }
    }

    /// Whom an agent called outside; `None` if it was nobody outside.
    fn outside(&self, directory: &Directory) -> Option<(Box<str>, E164)> {
        let fits = |raw: &str| {
            let number = directory.dial_plan.normalize(raw.as_bytes())?;
            let own = is_extension(raw) || agent_of(directory, raw).is_some() || directory.hotline(number).is_some();
            (!own).then(|| (raw.into(), number))
        };
        let dialed = targets(&self.dials).filter_map(|target| target.number);
        [&*self.reached].into_iter().chain(dialed).chain(self.extens.iter().map(|exten| &**exten)).find_map(fits)
    }

    /// By when it is over at the latest.
    pub(super) fn until(&self, directory: &Directory) -> Timestamp {
        self.started_at.plus(self.hotline(directory).map_or(MOST, |hotline| hotline.max_call))
    }

    pub(super) fn holds(&self, directory: &Directory) -> OnHold {
        self.hotline(directory).map_or(OnHold::Talk, |hotline| hotline.hold)
    }

    /// What it has come to so far.
    pub(super) fn call(&self, id: CallId, directory: &Directory) -> Found<Call> {
        let some = |text: &str| (!text.is_empty()).then(|| text.into());
        let raw = |text: &str| RawNumber::from_bytes(text.as_bytes());
        let blank = Call {
            id,
            direction: Direction::In,
            hotline: None,
            service: "callback".into(),
            caller_raw: raw(&self.number),
            caller: None,
            withheld: Withheld::Unknown,
            called_raw: raw(""),
            called: None,
            contract: some(&self.contract),
            started_at: self.started_at,
            answered_at: self.answered_at,
            talks: Vec::new(),
            ended_at: None,
            end: self.end.unwrap_or(End::Observed),
            billed_from: BilledFrom::Agent,
            missed: None,
            severity: some(&self.severity),
            ticket: some(&self.ticket),
            correlation: Correlation::Explicit,
            marks: self.marks.clone(),
        };
        let mut call = match self.way(directory) {
            Way::Inside => return Found::Internal,
            Way::In => {
                let Some((hotline, exten)) = self.dialed(directory) else { return Found::Unrelated };
                let number = directory.dial_plan.normalize(exten.as_bytes());
                Call {
                    hotline: Some(hotline.name.clone()),
                    service: hotline.service.clone(),
                    caller: directory.dial_plan.normalize(self.number.as_bytes()),
                    called_raw: raw(&exten),
                    called: number.filter(|number| directory.hotline(*number).is_some()),
                    severity: blank.severity.or_else(|| hotline.severity.clone()),
                    billed_from: if hotline.bill_from == BillFrom::Answer { BilledFrom::Answer } else { BilledFrom::Agent },
                    ..blank
                }
            }
            Way::Out => {
                let Some((dialed, number)) = self.outside(directory) else { return Found::Internal };
                let hotline = self.hotline(directory);
                let mut call = Call {
                    direction: Direction::Out,
                    hotline: hotline.map(|hotline| hotline.name.clone()),
                    caller_raw: raw(Name::parse(&self.name).device),
                    called_raw: raw(&dialed),
                    called: Some(number),
                    ..blank
                };
                if self.originated {
                    call.mark(Mark::ClickToCall);
                }
                call
            }
        };
        call.talks = self.talks(directory, call.billed_from);
        call.ended_at = self.ended_at.map(|ended| call.talks.iter().filter_map(|talk| talk.to).fold(ended, Timestamp::max));
        if call.talks.is_empty() {
            call.billed_from = BilledFrom::Agent;
            call.missed = call.ended_at.map(|ended| self.missed(ended));
        }
        Found::Call(call)
    }

    fn talks(&self, directory: &Directory, billed_from: BilledFrom) -> Vec<Talk> {
        let level = |agent: &str| agent_of(directory, agent).and_then(|agent| agent.level);
        if billed_from == BilledFrom::Answer {
            let agent: Box<str> = self.spans.first().map(|span| span.agent.clone()).unwrap_or_default();
            let all = self.answered_at.map(|from| Talk { level: level(&agent), agent, from, to: self.ended_at.map(|to| to.max(from)) });
            return all.into_iter().collect();
        }
        let talk = |span: &Span| Talk { agent: span.agent.clone(), level: level(&span.agent), from: span.from, to: span.to };
        let mut talks: Vec<Talk> = self.spans.iter().filter(|span| span.to != Some(span.from)).map(talk).collect();
        if talks.is_empty() && self.end.is_some_and(|end| end != End::Observed) {
            // The end is only supposed: that there was talk remains, though none of it counts.
            talks.extend(self.spans.first().map(talk));
        }
        talks.sort_by(|one, other| (one.from, one.to, &one.agent).cmp(&(other.from, other.to, &other.agent)));
        talks
    }

    /// Why nobody talked.
    fn missed(&self, ended: Timestamp) -> MissedReason {
        let in_line = |(app, at): (Application, Timestamp)| app == Application::Queue && ended.since(at) < GAVE_UP_MICROS;
        if self.answered_at.is_some() {
            let waited = self.within == Some(Application::Queue) || (self.within.is_none() && self.left.is_some_and(in_line));
            return match (self.mailbox, self.by_itself, self.dial) {
                (false, true, _) if waited => MissedReason::Abandoned,
                (false, true, None | Some(DialStatus::Canceled | DialStatus::Answered)) => MissedReason::Abandoned,
                (true, _, _) | (false, _, _) => MissedReason::NoAnswer,
            };
        }
        match (self.dial, self.cause, self.by_itself) {
            (Some(DialStatus::Canceled), _, _) => MissedReason::Canceled,
            // What the switch said to the caller is the last it tried; its status may be that of an earlier phone.
            (Some(DialStatus::Busy | DialStatus::NoAnswer) | None, 21, _) => MissedReason::Declined,
            (Some(DialStatus::Busy), _, _) | (Some(DialStatus::NoAnswer) | None, 17, _) => MissedReason::Busy,
            (Some(DialStatus::NoAnswer), _, _) => MissedReason::NoAnswer,
            (None, _, true) => MissedReason::Canceled,
            (None, 18 | 19, false) => MissedReason::NoAnswer,
            (Some(DialStatus::Failed | DialStatus::Answered) | None, _, _) => MissedReason::Failed,
        }
    }

    pub(super) fn mark(&mut self, mark: Mark) {
        if let Err(place) = self.marks.binary_search(&mark) {
            self.marks.insert(place, mark);
        }
    }
}
