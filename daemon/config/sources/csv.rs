//! `kind = "csv"`: any switch that writes a row for each call, by a mapping of columns.

use super::super::base::{Base, whole};
use super::super::reader::{Table, Value};
use super::super::tariff::zone;
use crate::calls::{Lies, Outcome, TalkFrom, Way};
use crate::sources::csv_rows::columns::{ColumnRef, Columns};
use crate::sources::csv_rows::moment::{SpanFormat, TimeFormat};
use crate::sources::csv_rows::row::Reading;
use crate::sources::csv_rows::{Config, Encoding, Names};
use std::cell::Cell;

pub(super) fn read(table: Table<'_>, base: Base<'_>) -> Option<Config> {
    let path = table.required("path", "\"/var/log/pbx/calls.csv\"").and_then(|value| base.path(&value));
    let zone = table.required("timezone", "\"Europe/Berlin\"").and_then(|value| zone(&value));
    let delimiters = [(",", b','), (";", b';'), ("tab", b'\t'), ("|", b'|')];
    let delimiter = table.required("delimiter", "\";\"").and_then(|value| value.word(&delimiters));
    let encodings = [("utf-8", Encoding::Utf8), ("windows-1252", Encoding::Windows1252), ("latin1", Encoding::Windows1252)];
    let encoding = table.optional("encoding").map_or(Some(Encoding::Utf8), |value| value.word(&encodings));
    let names = names(&table);
    let columns = table.required("columns", "{ caller = \"Caller\", called = \"Called\", started_at = \"Start\" }");
    let columns = columns.and_then(|value| columns_of(&value, names.as_ref()));
    let times = time_formats(&table, columns.as_ref());
    let lengths = length_formats(&table, columns.as_ref());
    let texts = |key| texts(&table, key);
    let (never, withheld) = (texts("never"), texts("withheld"));
    let (strip, agent_prefixes) = (texts("strip"), texts("agent_prefixes"));
    let directions = words(&table, "directions", WAYS);
    let outcomes = words(&table, "outcomes", OUTCOMES);
    needs(&table, "directions", columns.as_ref().is_some_and(|columns| !columns.direction.is_empty()), &directions);
    let talk_from = talk_from(&table, columns.as_ref(), &outcomes);
    let lies = [("as-told", Lies::AsTold), ("end-to-end", Lies::AfterTheOneBefore)];
    let lies = table.optional("parts").map_or(Some(Lies::AsTold), |value| value.word(&lies));
    table.finish();
    let reading = Reading {
        zone: zone?,
        times: times?,
        lengths: lengths?,
        never: never?,
        withheld: withheld?,
        strip: strip?,
        agent_prefixes: agent_prefixes?,
        directions: directions?,
        outcomes: outcomes?,
        talk_from: talk_from?,
        lies: lies?,
    };
    Some(Config { path: path?, delimiter: delimiter?, encoding: encoding?, names: names?, columns: columns?, reading })
}

const WAYS: &[(&str, Way)] = &[("in", Way::In), ("out", Way::Out), ("internal", Way::Internal)];

const OUTCOMES: &[(&str, Outcome)] = &[
    ("answered", Outcome::Answered),
    ("abandoned", Outcome::Abandoned),
    ("cancelled", Outcome::Canceled),
    ("busy", Outcome::Busy),
    ("no_answer", Outcome::NoAnswer),
    ("declined", Outcome::Declined),
    ("failed", Outcome::Failed),
];

/// `header = true`, or `header = false` with or without `names`.
fn names(table: &Table<'_>) -> Option<Names> {
    let header = table.required("header", "true").and_then(|value| value.flag());
    let list = table.optional("names");
    match (header?, list) {
        (true, None) => Some(Names::Header),
        (true, Some(list)) => {
            list.wrong("the header has the names of the columns; take this key away, or write `header = false`");
            None
        }
        (false, None) => Some(Names::None),
        (false, Some(list)) => {
            let texts = list.texts()?;
            if texts.is_empty() {
                list.wrong("it names no column; write the names in the order of the file, or take the key away and give numbers");
                return None;
            }
            Some(Names::Configured(texts.into_iter().map(|(text, _)| text.into()).collect()))
        }
    }
}

fn columns_of(value: &Value<'_>, names: Option<&Names>) -> Option<Columns<ColumnRef>> {
    let table = value.table()?;
    let understood = Cell::new(true);
    let column = |key| {
        let Some(value) = table.optional(key) else { return Vec::new() };
        let list = one_or_more(&value);
        let found: Option<Vec<ColumnRef>> = list.and_then(|list| list.iter().map(|item| column_of(item, names)).collect());
        understood.set(understood.get() && found.is_some());
        found.unwrap_or_default()
    };
    let columns = Columns {
        started_at: column("started_at"),
        answered_at: column("answered_at"),
        connected_at: column("connected_at"),
        ended_at: column("ended_at"),
        duration: column("duration"),
        wait: column("wait"),
        talk: column("talk"),
        caller: column("caller"),
        called: column("called"),
        agent: column("agent"),
        queue: column("queue"),
        direction: column("direction"),
        outcome: column("outcome"),
        call_id: column("call_id"),
        same_call: column("same_call"),
        contract: column("contract"),
        severity: column("severity"),
        ticket: column("ticket"),
    };
    if understood.get() {
        let missing = |key: &str, what: &str| table.wrong(format!("`{key}` is missing: {what}"));
        if columns.caller.is_empty() {
            missing("caller", "without the caller's number no contract is found; name its column");
        }
        if columns.called.is_empty() && columns.queue.is_empty() {
            missing("called", "without the number dialed (or `queue`) no hotline is found; name its column");
        }
        let length = !columns.duration.is_empty() || !(columns.wait.is_empty() || columns.talk.is_empty());
        if columns.started_at.is_empty() && (columns.ended_at.is_empty() || !length) {
            missing("started_at", "name it, or `ended_at` with `duration` or with `wait` and `talk`");
        }
        let talk = [&columns.connected_at, &columns.answered_at, &columns.talk, &columns.wait];
        if talk.iter().all(|columns| columns.is_empty()) {
            missing("connected_at", "nothing says when talk began; name it, or `answered_at`, `talk` or `wait`");
        }
        if !columns.same_call.is_empty() && columns.call_id.is_empty() {
            missing("call_id", "`same_call` names other rows by it; name its column");
        }
    }
    table.finish();
    understood.get().then_some(columns)
}

fn column_of(value: &Value<'_>, names: Option<&Names>) -> Option<ColumnRef> {
    if value.as_text().is_none() {
        return value.integer(1..=1_000).and_then(|place| usize::try_from(place).ok()).map(ColumnRef::Place);
    }
    let name = value.text()?;
    match names {
        Some(Names::None) => {
            value.wrong(format!("\"{name}\" is no column: the file has no header; write the number of the column, from 1, or list `names`"))
        }
        Some(Names::Configured(names)) if !names.iter().any(|known| **known == *name) => {
            value.wrong(format!("\"{name}\" is not in `names`; write one of those"));
        }
        _ => return Some(ColumnRef::Name(name.into())),
    }
    None
}

fn time_formats(table: &Table<'_>, columns: Option<&Columns<ColumnRef>>) -> Option<Vec<TimeFormat>> {
    let value = match columns {
        Some(_) => table.required("time_format", "\"%d.%m.%Y %H:%M:%S\"")?,
        None => table.optional("time_format")?,
    };
    one_or_more(&value)?
        .into_iter()
        .map(|item| {
            let text = item.text()?;
            TimeFormat::parse(text).map_err(|wrong| item.wrong(wrong)).ok()
        })
        .collect()
}

fn length_formats(table: &Table<'_>, columns: Option<&Columns<ColumnRef>>) -> Option<Vec<SpanFormat>> {
    let has = columns.is_some_and(|columns| [&columns.duration, &columns.wait, &columns.talk].iter().any(|columns| !columns.is_empty()));
    let value = if has {
        table.required("duration_format", "\"hh:mm:ss\"")?
    } else {
        match table.optional("duration_format") {
            Some(value) => value,
            None => return Some(Vec::new()),
        }
    };
    let forms = [("s", SpanFormat::Seconds), ("ms", SpanFormat::Millis), ("mm:ss", SpanFormat::Minutes), ("hh:mm:ss", SpanFormat::Hours)];
    let found: Option<Vec<SpanFormat>> = one_or_more(&value)?.into_iter().map(|item| item.word(&forms)).collect();
    if found.as_ref().is_some_and(|found| found.contains(&SpanFormat::Seconds) && found.contains(&SpanFormat::Millis)) {
        value.wrong("\"s\" and \"ms\" cannot be told apart; write the one that the file has");
        return None;
    }
    found
}

/// What talk begins with: what the columns say, else what is configured; no default decides it.
fn talk_from(table: &Table<'_>, columns: Option<&Columns<ColumnRef>>, outcomes: &Option<Vec<(Box<str>, Outcome)>>) -> Option<TalkFrom> {
    let words = [("agent", TalkFrom::Agent), ("answer", TalkFrom::Answer)];
    let said = table.optional("talk_from").map(|value| (value.word(&words), value));
    let columns = columns?;
    let (connected, answered) = (!columns.connected_at.is_empty(), !columns.answered_at.is_empty());
    let only_wait = !connected && !answered && columns.talk.is_empty();
    if only_wait && outcomes.as_ref().is_some_and(|outcomes| !outcomes.iter().any(|(_, outcome)| *outcome == Outcome::Answered)) {
        table.wrong("with `wait` alone, `columns.outcome` and `outcomes.answered` have to say which calls were answered");
    }
    match said {
        Some((from, _)) => from,
        None if connected => Some(TalkFrom::Agent),
        None if answered => Some(TalkFrom::Answer),
        None => {
            table.wrong("`talk_from` is missing: write \"agent\" if talk begins when a person answers, \"answer\" if an announcement or a queue may come first");
            None
        }
    }
}

fn one_or_more<'a>(value: &Value<'a>) -> Option<Vec<Value<'a>>> {
    if !value.is_list() {
        return Some(vec![value.clone()]);
    }
    let list = value.list()?;
    if list.is_empty() {
        value.wrong("it names none; write one");
        return None;
    }
    Some(list)
}

fn texts(table: &Table<'_>, key: &'static str) -> Option<Vec<Box<str>>> {
    let texts = table.optional(key).map(|value| value.texts());
    Some(whole(texts)?.unwrap_or_default().into_iter().map(|(text, _)| text.into()).collect())
}

/// A table of words by what they mean.
fn words<T: Copy>(table: &Table<'_>, key: &'static str, meanings: &'static [(&'static str, T)]) -> Option<Vec<(Box<str>, T)>> {
    let Some(value) = table.optional(key) else { return Some(Vec::new()) };
    let inner = value.table()?;
    let mut found: Vec<(Box<str>, T)> = Vec::new();
    for (meaning, of) in meanings {
        for (word, item) in inner.optional(meaning).map_or(Some(Vec::new()), |value| value.texts())? {
            if found.iter().any(|(known, _)| **known == *word) {
                item.wrong(format!("\"{word}\" stands here twice; a word means one thing"));
            }
            found.push((word.into(), *of));
        }
    }
    inner.finish();
    Some(found)
}

fn needs<T>(table: &Table<'_>, key: &str, mapped: bool, words: &Option<Vec<(Box<str>, T)>>) {
    if mapped && words.as_ref().is_some_and(Vec::is_empty) {
        table.wrong(format!("`{key}` is missing: it says which words of that column mean what, such as {{ in = [\"I\"], out = [\"O\"] }}"));
    }
}

#[cfg(test)]
mod tests;
