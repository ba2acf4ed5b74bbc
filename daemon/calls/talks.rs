//! When a caller talked to whom, by rows and queue log, and why to nobody.
//!
//! The invariant: an answered time counts as talk only with an agent at the other end: a mailbox, a stranger and the
//! switch itself are none. Where only the switch's own answer is known, that is said.

use super::assemble::Party;
use super::cdr::{CdrRow, Disposition, Precision, QueueEvent};
use super::channel::{Channel, ring_seconds, targets};
use super::{Agent, BilledFrom, MissedReason, Talk};
use crate::units::{Interval, Timestamp};

/// A tolerance for instants that were each cut to whole seconds.
const CUT_MICROS: i64 = 1_500_000;

impl<'a> Party<'a> {
    /// The times with an agent, and from when on they count.
    pub(super) fn talks(&self) -> (Vec<Talk>, BilledFrom) {
        let mut talks = Vec::new();
        let mut billed_from = BilledFrom::Agent;
        for row in self.rows {
            let (Some(span), Some(talker)) = (self.span(row), self.talker(row)) else { continue };
            if &*row.lastapp != "Queue" {
                // Up before anybody was rung, by an announcement or a menu: the agent's answer is nowhere. Behind a
                // transfer it is neither, but then the caller has been with somebody, and the call is marked.
                if talks.is_empty() && was_up(row) {
                    billed_from = BilledFrom::Answer;
                }
                talks.push(talker.talk(span));
                continue;
            }
            match self.in_queue(row, span) {
                Connect::Known(span) => talks.push(talker.talk(span)),
                Connect::Unknown => {
                    billed_from = BilledFrom::Answer;
                    talks.push(talker.talk(span));
                }
                Connect::Never => {}
            }
        }
        (talks, billed_from)
    }

    /// The answered time of a row. Where several follow one another in whole seconds, each begins where the one before it
    /// ended, by the text: then the sum is cut once at either end, and not once for each row as `billsec` is.
    fn span(&self, row: &CdrRow) -> Option<Interval> {
        let span = row.answered()?;
        let alone = self.rows.iter().filter(|row| row.answered_at.is_some()).nth(1).is_none();
        Some(if alone { span } else { Interval::new(span.from(), row.ended_at.max(span.to())) })
    }

    /// When the agent of an answered queue row was connected. The row begins when the phone rang or before, and `CONNECT`
    /// in the queue log is the agent's answer. A row without one follows a transfer: all of it is talk.
    fn in_queue(&self, row: &CdrRow, span: Interval) -> Connect {
        let connects = || self.lines.iter().enumerate().filter(|(_, line)| line.event == QueueEvent::Connected);
        let inside = |at: Timestamp| at.since(row.started_at) >= -1_000_000 && at <= row.ended_at;
        if let Some((index, connect)) = connects().find(|(_, line)| inside(line.at)) {
            let from = connect.at.max(span.from());
            let closing = self.lines.iter().skip(index.saturating_add(1)).find_map(|line| match line.event {
                QueueEvent::Completed { talk } | QueueEvent::Transferred { talk } => Some(connect.at.plus(talk)),
                QueueEvent::Entered | QueueEvent::RingEnded | QueueEvent::Connected | QueueEvent::Abandoned | QueueEvent::Left => None,
            });
            // Both ends from one clock that cuts are off by less than a cut begin with an exact end.
            let to = closing.filter(|to| to.since(row.ended_at).abs() <= CUT_MICROS).unwrap_or_else(|| span.to());
            return Connect::Known(Interval::new(from, to));
        }
        if connects().any(|(_, line)| line.at < row.started_at) {
            return Connect::Known(span);
        }
        match self.lines.iter().any(|line| matches!(line.event, QueueEvent::Abandoned | QueueEvent::Left)) {
            true => Connect::Never,
            false => Connect::Unknown,
        }
    }

    /// The agent at the other end of a row; `None` for a mailbox, a stranger, or nobody.
    pub(super) fn talker(&self, row: &CdrRow) -> Option<Talker<'a>> {
        if row.dstchannel.is_empty() {
            return None;
        }
        let channel = Channel::parse(&row.dstchannel);
        if let Some(agent) = self.agent(channel.device) {
            return Some(Talker { name: channel.device.into(), agent: Some(agent) });
        }
        if let Some(shared) = channel.local {
            let other = |sibling: &&CdrRow| Channel::parse(&sibling.channel).local == Some(shared);
            let mut inner = self.conversation.iter().filter(other).filter(|sibling| sibling.dstchannel != row.dstchannel);
            return inner.find_map(|sibling| self.dialed(sibling, Channel::parse(&sibling.dstchannel).device));
        }
        let same = |sibling: &&CdrRow| sibling.dstchannel == row.dstchannel;
        let dialed = self.conversation.iter().filter(same).find_map(|sibling| self.dialed(sibling, channel.device));
        // Whoever a queue rings is an agent of that queue, listed or not.
        dialed.or_else(|| {
            let is_first = self.rows.iter().find(|row| &*row.lastapp == "Queue" && row.answered().is_some());
            let queue = &*row.lastapp == "Queue" && is_first.is_some_and(|first| **first == *row);
            queue.then(|| self.member(channel.device))
        })
    }

    /// The agent that Dial's arguments name behind a channel of this device: an outside number through a trunk.
    fn dialed(&self, row: &CdrRow, device: &str) -> Option<Talker<'a>> {
        if let Some(agent) = self.agent(device) {
            return Some(Talker { name: device.into(), agent: Some(agent) });
        }
        let mut found: Option<Talker<'a>> = None;
        for target in targets(&row.lastdata).filter(|target| target.device == device && &*row.lastapp == "Dial") {
            let number = target.number?;
            let agent = self.agent(number)?;
            found = Some(match found {
                // Several agents rang through one trunk: one of them it was.
                Some(_) => Talker { name: "".into(), agent: None },
                None => Talker { name: number.into(), agent: Some(agent) },
            });
        }
        found
    }

    /// A queue's member, by the queue log's interface if that names an agent behind a trunk.
    fn member(&self, device: &str) -> Talker<'a> {
        let connected = self.lines.iter().filter(|line| line.event == QueueEvent::Connected);
        let named = connected.flat_map(|line| targets(&line.agent).filter_map(|target| target.number)).find_map(|number| {
            let agent = self.agent(number)?;
            Some(Talker { name: number.into(), agent: Some(agent) })
        });
        named.unwrap_or_else(|| Talker { name: device.into(), agent: None })
    }

    /// Why nobody talked to the caller, as well as rows can tell.
    pub(super) fn missed(&self) -> MissedReason {
        for (event, reason) in [(QueueEvent::Abandoned, MissedReason::Abandoned), (QueueEvent::Left, MissedReason::NoAnswer)] {
            if self.lines.iter().any(|line| line.event == event) {
                return reason;
            }
        }
        let in_full = |row: &CdrRow| ring_seconds(&row.lastdata).is_some_and(|limit| row.duration.get().saturating_add(1) >= limit);
        if self.rows.iter().any(|row| row.answered_at.is_some()) {
            let last = self.rows.iter().max_by_key(|row| (row.started_at, row.ended_at));
            let gave_up = last.is_some_and(|row| &*row.lastapp == "Queue" || (&*row.lastapp == "Dial" && !in_full(row)));
            return if gave_up { MissedReason::Abandoned } else { MissedReason::NoAnswer };
        }
        let is = |disposition: Disposition| self.rows.iter().any(|row| row.disposition == disposition);
        if is(Disposition::Canceled) {
            return MissedReason::Canceled;
        }
        let rang = self.rows.iter().filter(|row| row.disposition == Disposition::NoAnswer && !row.dstchannel.is_empty());
        let Some(rang) = rang.copied().max_by_key(|row| row.started_at) else {
            return if is(Disposition::Busy) { MissedReason::Busy } else { MissedReason::Failed };
        };
        let went_on = self.rows.iter().any(|row| row.started_at >= rang.ended_at && *row != rang && row.dstchannel.is_empty());
        match (in_full(rang), went_on) {
            (true, _) => MissedReason::NoAnswer,
            // Dial came back before its time, and the dialplan went on: the phone refused.
            (false, true) => MissedReason::Declined,
            (false, false) => MissedReason::Canceled,
        }
    }
}

/// What the queue log says about an answered queue row.
enum Connect {
    /// An agent was there in this time.
    Known(Interval),
    /// An agent answered at some time that no line tells.
    Unknown,
    /// The caller left before anybody answered.
    Never,
}

/// Who talks to the caller.
pub(super) struct Talker<'a> {
    name: Box<str>,
    agent: Option<&'a Agent>,
}

impl Talker<'_> {
    pub(super) fn talk(self, span: Interval) -> Talk {
        Talk { agent: self.name, level: self.agent.and_then(|agent| agent.level), from: span.from(), to: Some(span.to()) }
    }
}

/// Whether the caller's channel had been answered when this part began: nobody lifts at the instant it rings.
fn was_up(row: &CdrRow) -> bool {
    let rang = row.answered_at.map_or(0, |at| at.since(row.started_at));
    match row.precision {
        Precision::Seconds => rang <= 0,
        Precision::Micros => rang < 500_000,
    }
}
