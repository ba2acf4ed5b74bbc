//! All that a switch wrote about one calling channel becomes one call, or a reason why it is none.
//!
//! The invariant: the result is a function of the set of rows and lines. Talk is the union of the answered times with an
//! agent, never a sum of `billsec`; where the rows cannot say when an agent answered, the call says so (`billed_from`).

use super::cdr::{CdrRow, QueueEvent, QueueLine};
use super::channel::{Channel, targets};
use super::{Agent, BillFrom, BilledFrom, Call, Correlation, Directory, End, Hotline, Mark, Talk, Withheld};
use crate::units::{CallId, Direction, E164, RawNumber, Timestamp};

/// What one calling channel came to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Found {
    /// A call to a hotline, or a callback.
    Call(Box<Call>),
    /// Between phones of the house.
    Internal,
    /// To a number that is no hotline.
    NoHotline,
    /// A piece of a call that another channel began.
    Part,
}

/// The rows of one calling channel, with what else is known about its conversation.
#[derive(Clone, Copy)]
pub(super) struct Party<'a> {
    pub(super) directory: &'a Directory,
    /// The name of the call, should it be one.
    pub(super) id: &'a CallId,
    /// Its rows, in order; at least one.
    pub(super) rows: &'a [&'a CdrRow],
    /// All rows of the conversation, these included.
    pub(super) conversation: &'a [CdrRow],
    /// Its lines of the queue log, in order.
    pub(super) lines: &'a [&'a QueueLine],
}

impl<'a> Party<'a> {
    /// The call, or why there is none.
    pub(super) fn call(&self) -> Found {
        let Some(first) = self.rows.first() else { return Found::Part };
        let channel = Channel::parse(&first.channel);
        if self.was_called() {
            return Found::Part;
        }
        if channel.local.is_some() {
            // A call set up for an agent through a local channel (click to call): its first half dials the customer.
            let originated = first.channel.ends_with(";1") && &*first.lastapp == "Dial";
            return match self.agent(channel.device).filter(|_| originated) {
                Some(agent) => self.outbound(first, channel.device, agent),
                None => Found::Part,
            };
        }
        match self.agent(channel.device) {
            Some(agent) => self.outbound(first, channel.device, agent),
            None if is_own_extension(channel.device, &first.src) => Found::Internal,
            None => self.inbound(first),
        }
    }

    pub(super) fn agent(&self, name: &str) -> Option<&'a Agent> {
        self.directory.agent(&RawNumber::from_bytes(name.as_bytes()))
    }

    fn number(&self, text: &str) -> Option<E164> {
        self.directory.dial_plan.normalize(text.as_bytes())
    }

    /// A channel that the switch itself dialed leads a row of its own once a transfer makes it the oldest of a bridge.
    fn was_called(&self) -> bool {
        let Some(first) = self.rows.first() else { return true };
        let earlier = |other: &&CdrRow| other.started_at <= first.started_at && !is_outgoing_line(other);
        let others = self.conversation.iter().filter(|other| other.uniqueid != first.uniqueid);
        is_outgoing_line(first) || others.filter(earlier).any(|other| other.dstchannel == first.channel)
    }

    fn outbound(&self, first: &CdrRow, extension: &str, agent: &Agent) -> Found {
        let called_device = Channel::parse(&first.dstchannel).device;
        if is_extension(&first.dst) {
            return Found::Internal;
        }
        // What left the house through the trunk: the dialplan has taken its prefixes off.
        let dialed = targets(&first.lastdata).filter(|target| &*first.lastapp == "Dial" && target.device == called_device);
        let dialed = dialed.filter_map(|target| target.number).find(|number| self.number(number).is_some());
        let dialed = dialed.unwrap_or(&first.dst);
        let Some(called) = self.number(dialed) else { return Found::Internal };
        if self.agent(dialed).is_some() || called_device == &*first.dst || self.directory.hotline(called).is_some() {
            return Found::Internal;
        }
        let mut talks = Vec::new();
        for span in self.rows.iter().filter(|row| !row.dstchannel.is_empty()).filter_map(|row| row.answered()) {
            talks.push(Talk { agent: extension.into(), level: agent.level, from: span.from(), to: Some(span.to()) });
        }
        let hotline = self.number(&first.src).and_then(|number| self.directory.hotline(number));
        let mut call = self.blank(first, Direction::Out, hotline);
        call.service = "callback".into();
        call.caller_raw = RawNumber::from_bytes(extension.as_bytes());
        call.called_raw = RawNumber::from_bytes(dialed.as_bytes());
        call.called = Some(called);
        // The customer was passed on: the channel that was called leads the rows that follow.
        for row in self.conversation.iter().filter(|row| self.rows.iter().all(|own| own.uniqueid != row.uniqueid)) {
            if self.rows.iter().any(|own| !own.dstchannel.is_empty() && own.dstchannel == row.channel)
                && let (Some(talker), Some(span)) = (self.talker(row), row.answered())
            {
                talks.push(talker.talk(span));
                call.mark(Mark::Transfer);
            }
        }
        self.finish(call, talks, BilledFrom::Agent, hotline)
    }

    fn inbound(&self, first: &CdrRow) -> Found {
        let (hotline, dialed) = self.hotline(first);
        let transferred = self.transferred();
        if hotline.is_none() && !(transferred && self.rewritten(first)) {
            return Found::NoHotline;
        }
        let mut call = self.blank(first, Direction::In, hotline);
        match hotline {
            Some(hotline) => {
                call.service = hotline.service.clone();
                call.severity = call.severity.or_else(|| hotline.severity.clone());
            }
            None => call.mark(Mark::HotlineUnseen),
        }
        // An outgoing dialplan may have set the number shown over that of the caller.
        let own = |row: &&&CdrRow| self.number(&row.src).is_some_and(|number| self.directory.hotline(number).is_some());
        let caller = self.rows.iter().find(|row| !own(row)).map_or(&first.src, |row| &row.src);
        call.caller_raw = RawNumber::from_bytes(caller.as_bytes());
        call.caller = self.number(caller);
        call.called_raw = RawNumber::from_bytes(dialed.as_bytes());
        // Where a transfer wrote its target over the number dialed, nobody knows that number.
        call.called = self.number(&dialed).filter(|_| hotline.is_some());
        if transferred {
            call.mark(Mark::Transfer);
        }
        if self.forwarded() {
            call.mark(Mark::Forward);
        }
        let (talks, billed_from) = self.talks();
        self.finish(call, talks, billed_from, hotline)
    }

    fn blank(&self, first: &CdrRow, direction: Direction, hotline: Option<&Hotline>) -> Call {
        let text = |of: fn(&CdrRow) -> &str| self.rows.iter().map(|row| of(row)).find(|text| !text.is_empty()).map(Into::into);
        Call {
            id: self.id.clone(),
            direction,
            hotline: hotline.map(|hotline| hotline.name.clone()),
            service: "".into(),
            caller_raw: RawNumber::from_bytes(b""),
            caller: None,
            withheld: Withheld::Unknown,
            called_raw: RawNumber::from_bytes(b""),
            called: None,
            contract: text(|row| &row.contract),
            started_at: first.started_at,
            answered_at: self.rows.iter().filter_map(|row| row.answered_at).min(),
            talks: Vec::new(),
            ended_at: self.rows.iter().map(|row| row.ended_at).max(),
            end: End::Observed,
            billed_from: BilledFrom::Agent,
            missed: None,
            severity: text(|row| &row.severity),
            ticket: text(|row| &row.ticket),
            correlation: Correlation::Explicit,
            marks: Vec::new(),
        }
    }

    fn finish(&self, mut call: Call, mut talks: Vec<Talk>, mut billed_from: BilledFrom, hotline: Option<&Hotline>) -> Found {
        talks.sort_by(|a, b| (a.from, a.to, &a.agent).cmp(&(b.from, b.to, &b.agent)));
        if hotline.is_some_and(|hotline| hotline.bill_from == BillFrom::Answer) {
            billed_from = BilledFrom::Answer;
        }
        if billed_from == BilledFrom::Answer {
            since_answer(&mut talks, call.answered_at);
        }
        if talks.is_empty() {
            call.missed = Some(self.missed());
            call.billed_from = BilledFrom::Agent;
        } else {
            call.billed_from = billed_from;
        }
        call.ended_at = talks.iter().filter_map(|talk| talk.to).chain(call.ended_at).max();
        call.talks = talks;
        Found::Call(Box::new(call))
    }

    /// The hotline, and the number that was dialed as far as it can be known.
    ///
    /// A blind transfer writes its target over `dst` of every row. The queue's name survives it: it decides where `dst`
    /// names no hotline, or one that this queue does not serve.
    fn hotline(&self, first: &CdrRow) -> (Option<&'a Hotline>, Box<str>) {
        let dialed = self.rows.iter().find_map(|row| Some((self.directory.hotline(self.number(&row.dst)?)?, &row.dst)));
        let queue = self.lines.first().map(|line| &*line.queue).or_else(|| {
            let row = self.rows.iter().find(|row| &*row.lastapp == "Queue")?;
            row.lastdata.split([',', '|']).next()
        });
        let serves = |hotline: &&Hotline| queue.is_some_and(|queue| hotline.queues.iter().any(|name| &**name == queue));
        let mut served = self.directory.hotlines.iter().filter(serves);
        let by_queue = served.next().filter(|_| served.next().is_none());
        match (dialed, by_queue) {
            (Some((hotline, dst)), by_queue) => match by_queue.filter(|_| self.transferred() && !serves(&hotline)) {
                Some(by_queue) => (Some(by_queue), number_of(by_queue)),
                None => (Some(hotline), dst.clone()),
            },
            (None, Some(hotline)) => (Some(hotline), number_of(hotline)),
            (None, None) => (None, first.dst.clone()),
        }
    }

    /// Whether `dst` is where the call was passed on to, and not what the caller dialed.
    fn rewritten(&self, first: &CdrRow) -> bool {
        let dst = &*first.dst;
        let inside = is_extension(dst) || self.agent(dst).is_some() || self.number(dst).is_none();
        let later = self.rows.iter().skip(1).flat_map(|row| targets(&row.lastdata));
        inside || later.into_iter().any(|target| target.device == dst || target.number == Some(dst))
    }

    /// Whether an agent passed the caller on: the queue log says so, or one answered part follows another.
    fn transferred(&self) -> bool {
        let logged = self.lines.iter().any(|line| matches!(line.event, QueueEvent::Transferred { .. }));
        let mut with: Vec<&str> =
            self.rows.iter().filter(|row| row.answered().is_some() && !row.dstchannel.is_empty()).map(|row| &*row.dstchannel).collect();
        with.dedup();
        logged || with.len() > 1
    }

    /// Whether a phone sent the call elsewhere (302): a local channel stands in for a destination that Dial does not name.
    fn forwarded(&self) -> bool {
        self.rows.iter().filter(|row| &*row.lastapp == "Dial").any(|row| {
            let channel = Channel::parse(&row.dstchannel);
            channel.local.is_some() && !targets(&row.lastdata).any(|target| target.number == Some(channel.device))
        })
    }
}

/// Talk counts from the switch's answer, without a gap until the last agent was gone.
pub(super) fn since_answer(talks: &mut [Talk], answered_at: Option<Timestamp>) {
    if let (Some(first), Some(answered_at)) = (talks.first_mut(), answered_at) {
        first.from = first.from.min(answered_at);
    }
    let mut next = talks.iter().skip(1).map(|talk| talk.from).collect::<Vec<_>>().into_iter();
    for talk in talks {
        talk.to = talk.to.max(next.next());
    }
}

fn number_of(hotline: &Hotline) -> Box<str> {
    match hotline.number {
        crate::units::NumberPattern::Exact(number) => number.to_string().into(),
        // Which number of the block it was, is lost.
        crate::units::NumberPattern::Prefix(_) => "".into(),
    }
}

/// What Asterisk notes as application of a channel that was dialed and never ran a dialplan.
fn is_outgoing_line(row: &CdrRow) -> bool {
    &*row.lastdata == "(Outgoing Line)" && row.lastapp.starts_with("App")
}

/// Up to four digits that begin with neither 0 nor +: dialed inside the house.
fn is_extension(text: &str) -> bool {
    (1..=4).contains(&text.len()) && !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A phone of the house that is no agent: its channel bears the number it calls from.
fn is_own_extension(device: &str, src: &str) -> bool {
    device == src && src.len() <= 6 && !src.is_empty()
}

#[cfg(test)]
mod tests;
