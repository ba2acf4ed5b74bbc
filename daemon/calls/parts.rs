//! The rows of one call become that call, or a reason why it is none: the one path of every source whose calls come one by
//! one.
//!
//! The invariant: the result is a function of the set of rows. Only a time with an agent is talk: somebody who answers and
//! is no configured agent, nor a member of a queue, is a stranger, as with a switch's own records. Where only the switch's
//! own answer is known, the call says so (`billed_from`).

use super::assemble::since_answer;
use super::held::without;
use super::row::{CallRow, Lies, NamesAgents, Span, Standing, TalkFrom, Way};
use super::{Agent, BillFrom, BilledFrom, Call, Correlation, Directory, End, Hotline, Mark, MissedReason, OnHold, Talk, Withheld};
use crate::units::{CallId, Direction, E164, RawNumber, Timestamp};

/// What the rows of one call came to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Found {
    /// A call to a hotline, or a callback.
    Call(Box<Call>),
    /// Between phones of the house.
    Internal,
    /// To a number that is no hotline.
    NoHotline,
}

/// The call of these rows; at least one, in order.
pub(super) fn call_of(directory: &Directory, id: &CallId, rows: &[CallRow]) -> Found {
    let rows = laid_out(rows);
    let Some(way) = way_of_call(directory, &rows) else { return Found::Internal };
    let own: Vec<&CallRow> = rows.iter().filter(|row| [way, Way::Along].contains(&way_of(directory, row))).collect();
    let parts = Parts { directory, id, rows: &own };
    match way {
        Way::In => parts.inbound(),
        Way::Out => parts.outbound(),
        Way::Internal | Way::Along | Way::Originated => Found::Internal,
    }
}

/// Which way the call of these rows went: that of the first that left or entered the house, for a consultation between
/// agents is a row of its own, and no call. `None` where only the phones are told of, and not yet the call they rang for.
pub(super) fn way_of_call(directory: &Directory, rows: &[CallRow]) -> Option<Way> {
    let ways = || rows.iter().map(|row| way_of(directory, row)).filter(|way| *way != Way::Along);
    ways().find(|way| *way != Way::Internal).or_else(|| ways().next())
}

/// Parts that bear the call's own start follow one another.
fn laid_out(rows: &[CallRow]) -> Vec<CallRow> {
    let mut laid: Vec<CallRow> = Vec::with_capacity(rows.len());
    for row in rows {
        let after = laid.last().filter(|_| row.lies == Lies::AfterTheOneBefore).and_then(|before| before.ended_at);
        let by = after.map_or(0, |after| after.since(row.started_at).max(0));
        laid.push(row.clone().shifted(by));
    }
    laid
}

/// Which way a row went: as it says, else by its numbers.
pub(super) fn way_of(directory: &Directory, row: &CallRow) -> Way {
    let agent = |text: &str| directory.agent(&RawNumber::from_bytes(text.as_bytes())).is_some();
    let hotline = || number(directory, &row.called).is_some_and(|number| directory.hotline(number).is_some());
    let inside = || agent(&row.called) || is_extension(&row.called) || hotline();
    match row.way {
        // Some switches call whatever a phone of the house dials outbound.
        Some(Way::Out) if inside() => Way::Internal,
        // Whom the switch called without anybody calling is one who calls only if that is an agent.
        Some(Way::Originated) if !agent(&row.caller) => Way::Along,
        Some(Way::Originated) => {
            if inside() {
                Way::Internal
            } else {
                Way::Out
            }
        }
        Some(way) => way,
        None if !agent(&row.caller) => Way::In,
        None if inside() => Way::Internal,
        None => Way::Out,
    }
}

fn number(directory: &Directory, text: &str) -> Option<E164> {
    directory.dial_plan.normalize(text.as_bytes())
}

/// Up to four digits that begin with neither 0 nor +: dialed inside the house.
fn is_extension(text: &str) -> bool {
    (1..=4).contains(&text.len()) && !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit())
}

struct Parts<'a> {
    directory: &'a Directory,
    id: &'a CallId,
    rows: &'a [&'a CallRow],
}

impl<'a> Parts<'a> {
    fn inbound(&self) -> Found {
        let Some((hotline, called)) = self.hotline() else { return Found::NoHotline };
        let mut call = self.blank(Direction::In, Some(hotline));
        call.service = hotline.service.clone();
        call.severity = call.severity.or_else(|| hotline.severity.clone());
        let caller = self.rows.iter().map(|row| &*row.caller).find(|caller| !caller.is_empty()).unwrap_or_default();
        call.caller_raw = RawNumber::from_bytes(caller.as_bytes());
        call.caller = number(self.directory, caller);
        call.called_raw = RawNumber::from_bytes(called.as_bytes());
        call.called = number(self.directory, called);
        let mut talks: Vec<Talk> = Vec::new();
        for row in self.rows {
            let Some((name, agent)) = self.talker(row) else { continue };
            let level = agent.and_then(|agent| agent.level);
            talks.extend(self.talks(row, Some(hotline)).into_iter().map(|span| Talk {
                agent: name.clone(),
                level,
                from: span.from,
                to: span.to,
            }));
        }
        self.finish(call, talks, Some(hotline))
    }

    fn outbound(&self) -> Found {
        let Some(row) = self.rows.iter().find(|row| number(self.directory, &row.called).is_some()) else { return Found::NoHotline };
        let Some(called) = number(self.directory, &row.called) else { return Found::NoHotline };
        let extension = [&row.agent, &row.caller].into_iter().find(|name| self.agent(name).is_some());
        let Some(extension) = extension else { return Found::NoHotline };
        let hotline = number(self.directory, &row.caller).and_then(|number| self.directory.hotline(number));
        let mut call = self.blank(Direction::Out, hotline);
        call.service = "callback".into();
        call.caller_raw = RawNumber::from_bytes(extension.as_bytes());
        call.called_raw = RawNumber::from_bytes(row.called.as_bytes());
        call.called = Some(called);
        let mut talks: Vec<Talk> = Vec::new();
        for row in self.rows {
            let name = [&row.agent, &row.caller].into_iter().find(|name| self.agent(name).is_some()).unwrap_or(extension);
            let level = self.agent(name).and_then(|agent| agent.level);
            talks.extend(self.talks(row, hotline).into_iter().map(|span| Talk {
                agent: name.clone(),
                level,
                from: span.from,
                to: span.to,
            }));
        }
        if self.rows.iter().any(|row| row.way == Some(Way::Originated)) {
            call.mark(Mark::ClickToCall);
        }
        self.finish(call, talks, hotline)
    }

    /// The times of talk of a part: without hold, where the hotline says that it is wait.
    fn talks(&self, row: &CallRow, hotline: Option<&Hotline>) -> Vec<Span> {
        let Some(span) = self.talk(row) else { return Vec::new() };
        if hotline.is_none_or(|hotline| hotline.hold == OnHold::Talk) {
            return vec![span];
        }
        // Who rang along was held by itself or by the caller; of the caller's own leg, by anybody.
        let own = row.way != Some(Way::Along);
        let held = self.rows.iter().filter(|other| own || ***other == *row || other.way != Some(Way::Along));
        without(span, held.flat_map(|row| row.holds.iter().copied()))
    }

    /// Whether the leg that this one was bridged with never answered: what was heard there was ringing.
    fn only_rang(&self, row: &CallRow) -> bool {
        let mut bridged = self.rows.iter().filter(|other| other.way == Some(Way::Along) && row.also.contains(&other.key)).peekable();
        bridged.peek().is_some() && bridged.all(|other| other.answered_at.is_none())
    }

    /// The talk of a part, if it counts.
    fn talk(&self, row: &CallRow) -> Option<Span> {
        let others = || self.rows.iter().any(|other| other.standing == Standing::Told && other.talk.is_some());
        let counts = row.outcome.missed().is_none() && (row.standing == Standing::Told || (!others() && !self.only_rang(row)));
        // Whoever is told of beside the caller's leg has talked until that was over, at most.
        let until = self.rows.iter().filter(|row| row.way != Some(Way::Along)).map(|row| row.ended_at).max().flatten();
        let clipped = |to: Timestamp| if row.way == Some(Way::Along) { to.min(until.unwrap_or(to)) } else { to };
        let span = row.talk.filter(|_| counts).map(|talk| Span { to: talk.to.map(clipped), ..talk });
        span.filter(|span| span.to.is_none_or(|to| to >= span.from))
    }

    fn agent(&self, name: &str) -> Option<&'a Agent> {
        self.directory.agent(&RawNumber::from_bytes(name.as_bytes()))
    }

    /// Who talked in a part; `None` for a mailbox, a stranger, or nobody.
    fn talker(&self, row: &CallRow) -> Option<(Box<str>, Option<&'a Agent>)> {
        match (&*row.agent, row.names_agents) {
            ("", NamesAgents::Yes) => None,
            ("", NamesAgents::No) => Some(("".into(), None)),
            (name, _) => match self.agent(name) {
                Some(agent) => Some((name.into(), Some(agent))),
                // Whoever a queue rings is an agent of that queue, listed or not.
                None => (!row.queue.is_empty()).then(|| (name.into(), None)),
            },
        }
    }

    /// The hotline, and the number that was dialed: of the first part that has one, else by the queue.
    fn hotline(&self) -> Option<(&'a Hotline, &str)> {
        let dialed = self.rows.iter().find_map(|row| Some((self.directory.hotline(number(self.directory, &row.called)?)?, &*row.called)));
        dialed.or_else(|| {
            let queues = || self.rows.iter().map(|row| &row.queue).filter(|queue| !queue.is_empty());
            let serves = |hotline: &&Hotline| queues().any(|queue| hotline.queues.contains(queue));
            let mut served = self.directory.hotlines.iter().filter(serves);
            let only = served.next().filter(|_| served.next().is_none())?;
            Some((only, self.rows.first().map_or("", |row| &*row.called)))
        })
    }

    fn blank(&self, direction: Direction, hotline: Option<&Hotline>) -> Call {
        let text = |of: fn(&CallRow) -> &str| self.rows.iter().map(|row| of(row)).find(|text| !text.is_empty()).map(Into::into);
        // The call lasts as long as its caller: a phone may be told of before, and ring for longer.
        let own = |row: &&&CallRow| row.way != Some(Way::Along);
        let runs = self.rows.iter().filter(own).any(|row| row.ended_at.is_none());
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
            started_at: self.rows.iter().filter(own).map(|row| row.started_at).min().unwrap_or_default(),
            answered_at: self.rows.iter().filter_map(|row| row.answered_at).min(),
            talks: Vec::new(),
            ended_at: self.rows.iter().filter(own).filter_map(|row| row.ended_at).max().filter(|_| !runs),
            end: End::Observed,
            billed_from: BilledFrom::Agent,
            missed: None,
            severity: text(|row| &row.severity),
            ticket: text(|row| &row.ticket),
            correlation: Correlation::Explicit,
            marks: Vec::new(),
        }
    }

    fn finish(&self, mut call: Call, mut talks: Vec<Talk>, hotline: Option<&Hotline>) -> Found {
        talks.sort_by(|a, b| (a.from, a.to, &a.agent).cmp(&(b.from, b.to, &b.agent)));
        let mut with: Vec<&str> = talks.iter().map(|talk| &*talk.agent).collect();
        with.dedup();
        if with.len() > 1 {
            call.mark(Mark::Transfer);
        }
        let answer = |row: &CallRow| self.talk(row).is_some() && row.talk_from == TalkFrom::Answer;
        let from_answer = hotline.is_some_and(|hotline| hotline.bill_from == BillFrom::Answer);
        if from_answer || self.rows.iter().any(|row| answer(row)) {
            call.billed_from = BilledFrom::Answer;
        }
        if from_answer {
            since_answer(&mut talks, call.answered_at);
        }
        if talks.is_empty() {
            call.missed = call.ended_at.map(|_| self.missed());
            call.billed_from = BilledFrom::Agent;
        }
        call.ended_at = call.ended_at.map(|ended| talks.iter().filter_map(|talk| talk.to).fold(ended, Timestamp::max));
        call.talks = talks;
        Found::Call(Box::new(call))
    }

    /// Why nobody talked: as the last part says, else as well as its times tell.
    fn missed(&self) -> MissedReason {
        let said = self.rows.iter().rev().filter(|row| row.way != Some(Way::Along)).find_map(|row| row.outcome.missed());
        said.unwrap_or_else(|| match self.rows.iter().any(|row| row.answered_at.is_some() && self.talk(row).is_none()) {
            true => MissedReason::Abandoned,
            false => MissedReason::NoAnswer,
        })
    }
}
