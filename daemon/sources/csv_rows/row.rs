//! One record becomes a [`CallRow`]: texts by their columns, times as far as they are told.
//!
//! The invariant: a time is told or follows from told lengths, and a row that contradicts itself is no row. Lengths beat
//! the difference of two times that were each cut to a second.

use super::super::local::nearest;
use super::columns::Places;
use super::moment::{SpanFormat, TimeFormat};
use crate::calls::{CallRow, Lies, NamesAgents, Outcome, Span, TalkFrom, Way};
use crate::units::Timestamp;
use chrono_tz::Tz;

/// So much may times and lengths of a row differ that were each cut or rounded to a second, in microseconds.
const SLACK: i64 = 2_000_000;

/// A day, in microseconds.
const DAY: i64 = 86_400_000_000;

/// What is configured beside the columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The zone of times without an offset.
    pub zone: Tz,
    /// Forms of times, tried in order.
    pub times: Vec<TimeFormat>,
    /// Forms of lengths, tried in order.
    pub lengths: Vec<SpanFormat>,
    /// What stands in a column of times when there is none.
    pub never: Vec<Box<str>>,
    /// What stands in the column of the caller when the number is withheld.
    pub withheld: Vec<Box<str>>,
    /// What is taken off the beginning of numbers.
    pub strip: Vec<Box<str>>,
    /// What an agent begins with, if not everything in that column is one; taken off.
    pub agent_prefixes: Vec<Box<str>>,
    /// The words of a direction.
    pub directions: Vec<(Box<str>, Way)>,
    /// The words of an outcome.
    pub outcomes: Vec<(Box<str>, Outcome)>,
    /// What the beginning of talk is.
    pub talk_from: TalkFrom,
    /// Where parts of one call lie.
    pub lies: Lies,
}

/// Why a record is no row.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    /// Not one record of CSV.
    #[error("not one record of separated values")]
    NotCsv,
    /// Too few columns.
    #[error("{found} columns, where column {needed} is mapped")]
    Short {
        /// In the record.
        found: usize,
        /// The last one mapped, from 1.
        needed: usize,
    },
    /// A column holds something else than it should.
    #[error("{key} is \"{found}\"; {expected} would have been right")]
    Column {
        /// Its key in the configuration.
        key: &'static str,
        /// Its text, at most 64 characters.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A time that is needed is not told.
    #[error("its {0} is not told, and does not follow from the lengths")]
    Untold(&'static str),
    /// Times and lengths do not fit together.
    #[error("{0}; compare the columns, and the timezone of the source")]
    Contradiction(String),
}

/// A record with its columns.
pub(super) struct Fields<'a> {
    pub(super) places: &'a Places,
    pub(super) record: &'a csv::StringRecord,
}

impl<'a> Fields<'a> {
    fn each(&self, places: &'a [usize]) -> impl Iterator<Item = &'a str> + use<'a, '_> {
        let record = self.record;
        places.iter().map(|place| record.get(*place).unwrap_or("").trim())
    }

    fn first(&self, places: &'a [usize]) -> &'a str {
        self.each(places).find(|text| !text.is_empty()).unwrap_or("")
    }
}

/// A record as a row; `line` is its place in the file.
pub(super) fn read(fields: &Fields<'_>, reading: &Reading, line: u64) -> Result<CallRow, RowError> {
    let Fields { places, record } = fields;
    let needed = places.all().iter().flat_map(|(_, places)| places.iter()).max().map_or(0, |place| place + 1);
    if record.len() < needed {
        return Err(RowError::Short { found: record.len(), needed });
    }
    let outcome = match fields.first(&places.outcome) {
        "" => Outcome::Untold,
        word => reading.outcomes.iter().find(|(known, _)| **known == *word).map_or(Outcome::Untold, |(_, outcome)| *outcome),
    };
    let way = match fields.first(&places.direction) {
        "" => None,
        word => {
            let known = reading.directions.iter().find(|(known, _)| **known == *word).map(|(_, way)| *way);
            Some(known.ok_or_else(|| wrong("direction", word, "one of the words in `directions`"))?)
        }
    };
    let times = times(fields, reading, outcome)?;
    let caller = fields.first(&places.caller);
    let caller = if reading.withheld.iter().any(|word| word.eq_ignore_ascii_case(caller)) { "" } else { caller };
    let text = |places: &Vec<usize>| -> Box<str> { fields.first(places).into() };
    let end_to_end = reading.lies == Lies::AfterTheOneBefore;
    Ok(CallRow {
        started_at: times.start,
        sequence: end_to_end.then_some(line),
        answered_at: times.answer,
        talk: times.talk,
        ended_at: Some(times.end),
        talk_from: reading.talk_from,
        outcome,
        way,
        lies: reading.lies,
        caller: stripped(caller, &reading.strip).into(),
        called: stripped(fields.first(&places.called), &reading.strip).into(),
        agent: agent(fields, reading).into(),
        names_agents: if places.agent.is_empty() { NamesAgents::No } else { NamesAgents::Yes },
        queue: text(&places.queue),
        key: text(&places.call_id),
        also: fields.each(&places.same_call).filter(|name| !name.is_empty()).map(Into::into).collect(),
        contract: text(&places.contract),
        severity: text(&places.severity),
        ticket: text(&places.ticket),
        ..CallRow::default()
    })
}

/// The first column that holds an agent.
fn agent<'a>(fields: &Fields<'a>, reading: &Reading) -> &'a str {
    if reading.agent_prefixes.is_empty() {
        return stripped(fields.first(&fields.places.agent), &reading.strip);
    }
    let is_one = |text: &'a str| reading.agent_prefixes.iter().find_map(|prefix| text.strip_prefix(&**prefix));
    fields.each(&fields.places.agent).find_map(is_one).unwrap_or("").trim()
}

fn stripped<'a>(text: &'a str, prefixes: &[Box<str>]) -> &'a str {
    prefixes.iter().find_map(|prefix| text.strip_prefix(&**prefix)).unwrap_or(text).trim()
}

struct Times {
    start: Timestamp,
    answer: Option<Timestamp>,
    talk: Option<Span>,
    end: Timestamp,
}

/// The times of a row, from what is told of them.
fn times(fields: &Fields<'_>, reading: &Reading, outcome: Outcome) -> Result<Times, RowError> {
    let places = fields.places;
    let instants = |key, columns| instants(fields, reading, key, columns);
    let length = |key, columns| length(fields, reading, key, columns);
    let starts = instants("started_at", &places.started_at)?;
    let (answers, connects) = (instants("answered_at", &places.answered_at)?, instants("connected_at", &places.connected_at)?);
    let ends = instants("ended_at", &places.ended_at)?;
    let (duration, wait, talk) = (length("duration", &places.duration)?, length("wait", &places.wait)?, length("talk", &places.talk)?);
    let whole = duration.or_else(|| Some(wait? + talk?));
    let misfit = |start: &Timestamp| match whole.and_then(|whole| Some((whole, nearest(&ends, start.plus_micros(whole))?))) {
        Some((whole, end)) => end.since(start.plus_micros(whole)).abs(),
        None => 0,
    };
    let start = starts.iter().copied().min_by_key(|start| (misfit(start), *start));
    let start = start.or_else(|| Some(ends.first()?.plus_micros(-whole?))).ok_or(RowError::Untold("beginning"))?;
    // A time of day that was written beside the date of the beginning may be one of the next day.
    let later = |candidates: &[Timestamp], columns: &[usize], about: Option<Timestamp>| {
        let same_date = columns.len() > 1 && columns.first() == places.started_at.first();
        let next_day = |at: &Timestamp| if same_date && *at < start { at.plus_micros(DAY) } else { *at };
        let all: Vec<Timestamp> = candidates.iter().map(next_day).collect();
        match about {
            Some(about) => nearest(&all, about),
            None => all.iter().copied().filter(|at| *at >= start).min().or_else(|| all.last().copied()),
        }
    };
    let connect = later(&connects, &places.connected_at, None);
    let answer = later(&answers, &places.answered_at, None);
    let told_from = match reading.talk_from {
        TalkFrom::Agent => connect,
        TalkFrom::Answer => answer.or(connect),
    };
    let end = later(&ends, &places.ended_at, whole.map(|whole| start.plus_micros(whole)));
    let end = end.or_else(|| whole.map(|whole| start.plus_micros(whole))).or_else(|| Some(told_from?.plus_micros(talk?)));
    let end = end.or_else(|| Some(start.plus_micros(wait?)).filter(|_| talk.is_none())).ok_or(RowError::Untold("end"))?;
    let span = talk_of(start, end, told_from, wait, talk, outcome);
    check(start, end, answer, span, talk)?;
    Ok(Times { start, answer, talk: span, end })
}

/// When talk was: from where it is told to begin, as long as it is told to be; else by the other lengths.
fn talk_of(
    start: Timestamp,
    end: Timestamp,
    told_from: Option<Timestamp>,
    wait: Option<i64>,
    talk: Option<i64>,
    outcome: Outcome,
) -> Option<Span> {
    let span = |from: Timestamp, length: i64| Span { from, to: Some(from.plus_micros(length)) };
    match (told_from, talk, wait) {
        (_, Some(0), _) => None,
        (Some(from), Some(talk), _) => Some(span(from, talk)),
        (Some(from), None, _) => Some(Span { from, to: Some(end) }),
        (None, Some(talk), Some(wait)) => Some(span(start.plus_micros(wait), talk)),
        (None, Some(talk), None) => Some(span(end.plus_micros(-talk), talk)),
        // Where nothing but the wait is told, it takes the word that somebody answered.
        (None, None, Some(wait)) => (outcome == Outcome::Answered).then(|| Span { from: start.plus_micros(wait), to: Some(end) }),
        (None, None, None) => None,
    }
}

fn check(start: Timestamp, end: Timestamp, answer: Option<Timestamp>, talk: Option<Span>, length: Option<i64>) -> Result<(), RowError> {
    let seconds = |micros: i64| micros / 1_000_000;
    let contradiction = |what: String| Err(RowError::Contradiction(what));
    if end < start {
        return contradiction(format!("it ends {} s before it begins", seconds(start.since(end))));
    }
    if let Some(answer) = answer.filter(|answer| start.since(*answer) > SLACK || answer.since(end) > SLACK) {
        return contradiction(format!("answered_at {answer} lies outside of the call"));
    }
    let Some(Span { from, to: Some(to) }) = talk else { return Ok(()) };
    if start.since(from) > SLACK || from > to {
        return contradiction(format!("talk begins at {from}, outside of the call"));
    }
    if to.since(end) > SLACK {
        return contradiction(format!("talk of {} s is longer than the call", seconds(length.unwrap_or_else(|| to.since(from)))));
    }
    Ok(())
}

/// What a time's columns may mean; empty where they say that there was none.
fn instants(fields: &Fields<'_>, reading: &Reading, key: &'static str, places: &[usize]) -> Result<Vec<Timestamp>, RowError> {
    let record = fields.record;
    let texts: Vec<&str> = places.iter().map(|place| record.get(*place).unwrap_or("").trim()).collect();
    // Of a date and a time, the time says whether there was any.
    let is_never = |text: &&str| text.is_empty() || reading.never.iter().any(|never| **never == **text);
    let text = texts.join(" ");
    if texts.last().is_none_or(is_never) || is_never(&text.as_str()) {
        return Ok(Vec::new());
    }
    let found = reading.times.iter().map(|format| format.read(&text, reading.zone)).find(|found| !found.is_empty());
    // Seconds since 1970: 0 is never.
    let found = found.ok_or_else(|| wrong(key, &text, "a time in one of the forms of `time_format`, which the zone's clock showed"))?;
    Ok(found.into_iter().filter(|at| at.micros() > 0).collect())
}

/// The sum of a length's columns; `None` where it has none, or they are all empty.
fn length(fields: &Fields<'_>, reading: &Reading, key: &'static str, places: &[usize]) -> Result<Option<i64>, RowError> {
    let record = fields.record;
    let mut sum: Option<i64> = None;
    for text in places.iter().map(|place| record.get(*place).unwrap_or("").trim()).filter(|text| !text.is_empty()) {
        let read = reading.lengths.iter().find_map(|format| format.read(text));
        let read = read.ok_or_else(|| wrong(key, text, "a length in one of the forms of `duration_format`"))?;
        sum = Some(sum.unwrap_or(0).saturating_add(read));
    }
    Ok(sum)
}

fn wrong(key: &'static str, found: &str, expected: &'static str) -> RowError {
    RowError::Column { key, found: found.chars().take(64).collect(), expected }
}
