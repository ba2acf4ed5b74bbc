//! Which line is of which call: lines become events of channels.
//!
//! A box numbers the connections that are open, and uses a number again as soon as its call is over. So a call here is the
//! number with the time at which it began. Its first channel is the line of a caller, or the phone of who dials out; the
//! other one comes with `CONNECT`.
//!
//! The invariant: lines heard before change nothing. A call that was open while nobody listened goes on only if what comes
//! next fits it: the end tells how long it was connected. Else it ended unseen, at the last that was heard.

mod names;

use super::super::asterisk_cel::row::cut;
use super::super::local::{instants, nearest};
use super::line::{Kind, Line, LineError, is_mailbox, number_in};
use crate::calls::{Application, Change, ChannelEvent, ChannelFacts};
use crate::units::{Seconds, Timestamp};
use chrono::NaiveDateTime;
use chrono_tz::Tz;
use names::{channel, name};
use std::collections::BTreeMap;

/// So many calls are followed; the largest box has ten lines.
pub const MOST_CALLS: usize = 256;

/// A line that arrives is of this time, or its clock is wrong: that of a box without network starts in 1970, and a wrong zone is
/// an hour off. In microseconds.
const CLOCK_MICROS: i64 = 900_000_000;

/// Times and lengths are whole seconds: together they fit to this, in microseconds.
const FITS_MICROS: i64 = 2_000_000;

/// Nobody rings for longer than this, in microseconds.
const RINGS_MICROS: i64 = 600_000_000;

/// So many times a call may be handed on.
const MOST_ANSWERS: usize = 16;

/// What a line said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// When.
    pub at: Timestamp,
    /// What happened.
    pub events: Vec<ChannelEvent>,
    /// A call ended that was never seen to begin.
    pub orphan: bool,
}

/// Why a line says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HearError {
    /// It is none.
    #[error(transparent)]
    Line(#[from] LineError),
    /// Its time is one that the clocks of the zone skipped.
    #[error("{0} is no time in the zone of the source: the clocks skipped it")]
    Skipped(NaiveDateTime),
    /// Its time is not that at which it came.
    #[error("its time is {0} s away from when it came; compare the clock of the box, and the timezone of the source")]
    Clock(i64),
    /// Too many calls are open.
    #[error("more than {MOST_CALLS} calls are open")]
    Full,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    In,
    Out,
}

/// A call that is open.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Open {
    way: Way,
    /// The caller, or whom the phone dials.
    number: Box<str>,
    /// When it was answered, and the channel that came with it: again by each phone that it was handed on to.
    answers: Vec<(Timestamp, Box<str>)>,
    /// Until when it was surely there, if it was open while nobody listened.
    doubtful: Option<Timestamp>,
}

/// The calls of one box.
#[derive(Clone, Debug)]
pub struct Monitor {
    zone: Tz,
    /// By the number of the connection, and when they began.
    calls: BTreeMap<(u16, Timestamp), Open>,
    last: Option<Timestamp>,
}

impl Monitor {
    /// Nobody listened for a while: `heard` is the last that was surely known.
    pub fn doubt(&mut self, heard: Option<Timestamp>) {
        for open in self.calls.values_mut() {
            open.doubtful = open.doubtful.max(heard).or(Some(Timestamp::default()));
        }
    }

    /// Takes a line, without its line end. `arrived` is when it came, by our clock; `None` for one that was recorded.
    ///
    /// # Errors
    /// Why it says nothing.
    pub fn hear(&mut self, line: &[u8], arrived: Option<Timestamp>) -> Result<Heard, HearError> {
        let line = Line::read(line)?;
        let at = self.time(&line, arrived)?;
        self.last = self.last.max(Some(at));
        let mut events = Vec::new();
        let mut orphan = false;
        match line.kind {
            Kind::Ring { caller, called, by } => {
                let facts = |id| ChannelFacts { number: cut(caller), exten: cut(called), ..channel(id, Way::In, by, line.connection) };
                self.begin(Way::In, caller, &line, at, facts, &mut events)?;
            }
            Kind::Call { extension, own, dialed, .. } => {
                let dialed = number_in(dialed);
                let facts =
                    |id| ChannelFacts { number: cut(extension), exten: cut(dialed), ..channel(id, Way::Out, extension, line.connection) };
                if let Some(facts) = self.begin(Way::Out, dialed, &line, at, facts, &mut events)? {
                    let shown = ChannelFacts { number: cut(own), ..facts };
                    events.push(ChannelEvent { at, channel: shown.clone(), change: Change::Shows });
                    events.push(ChannelEvent { at, channel: shown, change: Change::DialedAs(cut(dialed)) });
                }
            }
            Kind::Connect { extension, number } => self.connect(line.connection, extension, number_in(number), at, &mut events),
            Kind::Disconnect { seconds } => orphan = !self.end(line.connection, seconds, at, &mut events),
        }
        Ok(Heard { at, events, orphan })
    }

    /// When a line was written. In the hour that comes twice: near when it arrived, or as long after the answer as it says, or
    /// behind the lines before it.
    fn time(&self, line: &Line<'_>, arrived: Option<Timestamp>) -> Result<Timestamp, HearError> {
        let candidates = instants(self.zone, line.local);
        let ended = match line.kind {
            Kind::Disconnect { seconds } => {
                self.open_call(line.connection, Timestamp::MAX).and_then(|(_, open)| Some((open.answers.first()?.0, seconds)))
            }
            Kind::Ring { .. } | Kind::Call { .. } | Kind::Connect { .. } => None,
        };
        let expected = ended.map(|(answered, seconds)| answered.plus(Seconds::new(seconds.into())));
        let behind = || candidates.iter().copied().find(|at| self.last.is_none_or(|last| at.since(last) >= -FITS_MICROS));
        let found = match (arrived, expected) {
            (Some(arrived), _) => nearest(&candidates, arrived),
            (None, Some(expected)) => nearest(&candidates, expected),
            (None, None) => behind().or_else(|| candidates.first().copied()),
        };
        let at = found.ok_or(HearError::Skipped(line.local))?;
        let away = arrived.map_or(0, |arrived| at.since(arrived));
        if away.abs() > CLOCK_MICROS { Err(HearError::Clock(away / 1_000_000)) } else { Ok(at) }
    }

    /// The call that a connection has at this time.
    fn open_call(&self, connection: u16, at: Timestamp) -> Option<(Timestamp, &Open)> {
        self.calls.range((connection, Timestamp::default())..=(connection, at)).next_back().map(|((_, began), open)| (*began, open))
    }

    /// A call begins, and whatever had its number is over. Gives its first channel; `None` if it is known already.
    fn begin(
        &mut self,
        way: Way,
        number: &str,
        line: &Line<'_>,
        at: Timestamp,
        facts: impl FnOnce(Box<str>) -> ChannelFacts,
        events: &mut Vec<ChannelEvent>,
    ) -> Result<Option<ChannelFacts>, HearError> {
        let key = (line.connection, at);
        if self.calls.contains_key(&key) {
            return Ok(None);
        }
        while let Some((began, _)) = self.open_call(line.connection, at) {
            self.vanish(line.connection, began, events);
        }
        if self.calls.len() >= MOST_CALLS {
            return Err(HearError::Full);
        }
        self.calls.insert(key, Open { way, number: cut(number), answers: Vec::new(), doubtful: None });
        let facts = facts(name(line.connection, at));
        events.push(ChannelEvent { at, channel: facts.clone(), change: Change::Begins });
        Ok(Some(facts))
    }

    fn connect(&mut self, connection: u16, extension: &str, number: &str, at: Timestamp, events: &mut Vec<ChannelEvent>) {
        let Some((began, open)) = self.open_call(connection, at) else { return };
        if open.doubtful.is_some() && *open.number != *number {
            // Another call, of which the beginning was not heard.
            return self.vanish(connection, began, events);
        }
        let root = channel(name(connection, began), open.way, "", connection);
        let (way, dialed) = (open.way, if number.is_empty() { open.number.clone() } else { cut(number) });
        let id: Box<str> = format!("{}.{}.{extension}", root.uniqueid, at.micros() / 1_000_000).into();
        let before = open.answers.last().cloned();
        let full = open.answers.len() >= MOST_ANSWERS;
        if before.as_ref().is_some_and(|(last, known)| at < *last || *known == id || way == Way::Out || full) {
            return; // heard before; or who dialed out was handed to another phone, which is not told
        }
        let device = if way == Way::In { extension } else { "line" };
        let other = ChannelFacts { linkedid: root.uniqueid.clone(), exten: "s".into(), ..channel(id.clone(), way, device, connection) };
        let mut say = |facts: &ChannelFacts, change| events.push(ChannelEvent { at, channel: facts.clone(), change });
        let bridge: Box<str> = root.uniqueid.clone();
        if let Some((_, known)) = &before {
            // It was handed on, from a phone or from the answering machine.
            let old = channel(known.clone(), way, "", connection);
            if !is_mailbox(known.rsplit('.').next().unwrap_or_default()) {
                say(&root, Change::Transfers { bridges: vec![bridge.clone()], transferee: root.uniqueid.clone() });
            }
            say(&old, Change::LeavesBridge(bridge.clone()));
        }
        say(&other, Change::Begins);
        if way == Way::Out {
            say(&other, Change::DialedAs(dialed));
        }
        say(&other, Change::Answers);
        say(&root, Change::Answers);
        if way == Way::In && is_mailbox(extension) {
            say(&root, Change::EntersApplication(Application::Voicemail));
        } else {
            say(&root, Change::EntersBridge(bridge.clone()));
            say(&other, Change::EntersBridge(bridge));
        }
        if let Some(open) = self.calls.get_mut(&(connection, began)) {
            open.answers.push((at, id));
            open.doubtful = None;
        }
    }

    /// A call is over; `false` if it is one that was not seen to begin.
    fn end(&mut self, connection: u16, seconds: u32, at: Timestamp, events: &mut Vec<ChannelEvent>) -> bool {
        let Some((began, open)) = self.open_call(connection, at) else { return false };
        let after = |answered: Timestamp| answered.plus(Seconds::new(seconds.into()));
        let fits = |answered: Timestamp| at.since(after(answered)).abs() <= FITS_MICROS;
        let (fits, counted) = match (open.answers.first(), open.answers.last()) {
            (Some((first, _)), Some((last, _))) if at >= *last => (fits(*first) || fits(*last), after(*first).max(*last)),
            (Some(_), _) => return true, // heard before
            (None, _) => (seconds == 0 && open.doubtful.is_none_or(|heard| at.since(heard) < RINGS_MICROS), at),
        };
        if open.doubtful.is_some() && !fits {
            self.vanish(connection, began, events);
            return false;
        }
        // The box's own count stands, where its clock was set meanwhile.
        let at = if fits { at } else { counted };
        let root = channel(name(connection, began), open.way, "", connection);
        let gone = |facts| ChannelEvent { at, channel: facts, change: Change::HangsUp { cause: NO_ANSWER, by_itself: false, dial: None } };
        events.extend(open.answers.iter().map(|(_, id)| gone(channel(id.clone(), open.way, "", connection))));
        events.push(gone(root));
        self.calls.remove(&(connection, began));
        true
    }

    /// A call whose end was not heard.
    fn vanish(&mut self, connection: u16, began: Timestamp, events: &mut Vec<ChannelEvent>) {
        let Some(open) = self.calls.remove(&(connection, began)) else { return };
        let last = open.answers.last().map_or(began, |(last, _)| *last);
        let at = open.doubtful.map_or(last, |heard| heard.max(last));
        events.push(ChannelEvent { at, channel: channel(name(connection, began), open.way, "", connection), change: Change::Vanishes });
    }
}

/// Nobody answered (Q.850). The monitor tells no causes.
const NO_ANSWER: u16 = 19;

#[cfg(test)]
mod tests;
