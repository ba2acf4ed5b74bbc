//! One small reader over a TOML document that collects every mistake with its place, instead of stopping at the first.
//!
//! The one invariant: a method that gives `None` has noted why, so a caller goes on and the file is read to its end. Keys
//! nobody asked for are mistakes too.

use super::problem::{Problem, closest, quoted};
use super::words::{either, parse_date, parse_period, plain_decimal};
use crate::tariff::Period;
use crate::units::Seconds;
use chrono::NaiveDate;
use rust_decimal::Decimal;
use std::cell::RefCell;
use std::ops::{Range, RangeInclusive};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A file that is being read: collects problems and warnings.
pub(super) struct Source<'a> {
    file: &'a str,
    text: &'a str,
    problems: RefCell<Notes>,
    warnings: RefCell<Notes>,
}

/// What was noted, up to a bound: a file with a mistake in each of a million rows is answered with the first ones.
#[derive(Default)]
struct Notes {
    kept: Vec<Problem>,
    more: usize,
}

/// So many are kept of each file.
const KEPT: usize = 200;

impl<'a> Source<'a> {
    pub(super) fn new(file: &'a str, text: &'a str) -> Self {
        Self { file, text, problems: RefCell::default(), warnings: RefCell::default() }
    }

    /// Parses the text, and notes what is no TOML.
    pub(super) fn parse(&self) -> Spanned<DeTable<'a>> {
        let (document, errors) = DeTable::parse_recoverable(self.text);
        for error in errors {
            let message = error.message().replace('\n', "; ");
            self.problem(error.span().unwrap_or(0..0), "", format!("this is no TOML: {message}"));
        }
        document
    }

    pub(super) fn problem(&self, span: Range<usize>, key: &str, message: impl Into<String>) {
        self.note(&self.problems, span, key, message);
    }

    pub(super) fn warning(&self, span: Range<usize>, key: &str, message: impl Into<String>) {
        self.note(&self.warnings, span, key, message);
    }

    fn note(&self, notes: &RefCell<Notes>, span: Range<usize>, key: &str, message: impl Into<String>) {
        let mut notes = notes.borrow_mut();
        if notes.kept.len() < KEPT {
            notes.kept.push(Problem::at(self.file, self.text, span, key, message));
        } else {
            notes.more += 1;
        }
    }

    pub(super) fn line(&self, at: usize) -> u32 {
        let before = self.text.get(..at).unwrap_or("");
        u32::try_from(before.matches('\n').count()).unwrap_or(u32::MAX).saturating_add(1)
    }

    /// Problems and warnings, in the order of the file.
    pub(super) fn finish(self) -> (Vec<Problem>, Vec<Problem>) {
        let sorted = |Notes { mut kept, more }: Notes| {
            kept.sort_by_key(|problem| (problem.line(), problem.column()));
            kept.dedup();
            if more > 0 {
                kept.push(Problem::of_file(self.file, "", format!("{more} more like these follow; mend the ones above first")));
            }
            kept
        };
        (sorted(self.problems.into_inner()), sorted(self.warnings.into_inner()))
    }
}

/// A table of the document.
pub(super) struct Table<'a> {
    source: &'a Source<'a>,
    path: String,
    span: Range<usize>,
    raw: &'a DeTable<'a>,
    asked: RefCell<Vec<&'static str>>,
}

/// A value of the document, with its path.
#[derive(Clone)]
pub(super) struct Value<'a> {
    source: &'a Source<'a>,
    path: String,
    span: Range<usize>,
    raw: &'a DeValue<'a>,
}

impl<'a> Table<'a> {
    pub(super) fn root(source: &'a Source<'a>, document: &'a Spanned<DeTable<'a>>) -> Self {
        Self { source, path: String::new(), span: 0..0, raw: document.get_ref(), asked: RefCell::default() }
    }

    /// The value of a key, if it is there.
    pub(super) fn optional(&self, key: &'static str) -> Option<Value<'a>> {
        self.asked.borrow_mut().push(key);
        let value = self.raw.get(key)?;
        Some(Value { source: self.source, path: self.path_of(key), span: value.span(), raw: value.get_ref() })
    }

    /// The value of a key that must be there.
    pub(super) fn required(&self, key: &'static str, example: &str) -> Option<Value<'a>> {
        let value = self.optional(key);
        if value.is_none() {
            self.source.problem(self.span.clone(), &self.path_of(key), format!("it is missing; write for example `{key} = {example}`"));
        }
        value
    }

    /// The tables of `[[key]]`, in file order.
    pub(super) fn tables(&self, key: &'static str) -> Vec<Table<'a>> {
        let Some(value) = self.optional(key) else { return Vec::new() };
        match value.raw {
            DeValue::Array(_) => value.list().unwrap_or_default().iter().filter_map(Value::table).collect(),
            _ => {
                value.wrong(format!("expected a list of tables; write `[[{}]]`", value.path));
                Vec::new()
            }
        }
    }

    /// The table of `[key]`, if it is there.
    pub(super) fn table(&self, key: &'static str) -> Option<Table<'a>> {
        self.optional(key)?.table()
    }

    /// All keys with their values, in file order: for tables whose keys are names.
    pub(super) fn entries(&self) -> Vec<(&'a str, Range<usize>, Value<'a>)> {
        let mut entries: Vec<_> = self
            .raw
            .iter()
            .map(|(key, value)| {
                let name: &str = key.get_ref();
                (name, key.span(), Value { source: self.source, path: self.path_of(name), span: value.span(), raw: value.get_ref() })
            })
            .collect();
        entries.sort_by_key(|(_, span, _)| span.start);
        entries
    }

    /// Which one of these keys is there; a problem when none or several are.
    pub(super) fn one_of(&self, keys: &[&'static str]) -> Option<(&'static str, Value<'a>)> {
        let found: Vec<_> = keys.iter().filter_map(|key| Some((*key, self.optional(key)?))).collect();
        match found.as_slice() {
            [] => {
                self.wrong(format!("one of {} is missing; write exactly one", quoted(keys.iter().copied())));
                None
            }
            [one] => Some(one.clone()),
            [(first, _), (_, second), ..] => {
                second.wrong(format!("it cannot stand beside `{first}`; write exactly one of {}", quoted(keys.iter().copied())));
                None
            }
        }
    }

    /// Notes a mistake of the whole table.
    pub(super) fn wrong(&self, message: impl Into<String>) {
        self.source.problem(self.span.clone(), &self.path, message);
    }

    /// Notes what looks wrong in the whole table, and works.
    pub(super) fn warning(&self, message: impl Into<String>) {
        self.source.warning(self.span.clone(), &self.path, message);
    }

    /// The keys that nobody asked for are mistakes.
    pub(super) fn finish(self) {
        let asked = self.asked.borrow();
        for key in self.raw.keys().filter(|key| !asked.contains(&key.get_ref().as_ref())) {
            let name: &str = key.get_ref();
            let right = match closest(name, asked.iter().copied()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => {
                    let mut known = asked.clone();
                    known.sort_unstable();
                    known.dedup();
                    format!("known are {}", known.join(", "))
                }
            };
            self.source.problem(key.span(), &self.path_of(name), format!("there is no such key; {right}"));
        }
    }

    /// The line it begins on.
    pub(super) fn line(&self) -> u32 {
        self.source.line(self.span.start)
    }

    pub(super) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

impl<'a> Value<'a> {
    /// Notes that the value is wrong.
    pub(super) fn wrong(&self, message: impl Into<String>) {
        self.source.problem(self.span.clone(), &self.path, message);
    }

    /// A problem with this value that is not noted yet, because it depends on other files.
    pub(super) fn problem(&self, message: impl Into<String>) -> Problem {
        Problem::at(self.source.file, self.source.text, self.span.clone(), &self.path, message)
    }

    /// Notes that some bytes of the text of this value are wrong (from 0, inside its quotes).
    pub(super) fn wrong_inside(&self, at: usize, len: usize, message: impl Into<String>) {
        let raw = self.source.text.get(self.span.clone()).unwrap_or("");
        // Escapes and multi-line texts shift what is inside; there the whole value is marked.
        if raw.len() == self.raw.as_str().map_or(0, str::len) + 2 {
            let start = self.span.start + 1 + at;
            self.source.problem(start..start + len, &self.path, message);
        } else {
            self.wrong(message);
        }
    }

    pub(super) fn warning(&self, message: impl Into<String>) {
        self.source.warning(self.span.clone(), &self.path, message);
    }

    pub(super) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// The text, if it is one: for values that may be a text or something else.
    pub(super) fn as_text(&self) -> Option<&'a str> {
        self.raw.as_str()
    }

    pub(super) fn is_list(&self) -> bool {
        self.raw.is_array()
    }

    pub(super) fn is_table(&self) -> bool {
        self.raw.is_table()
    }

    pub(super) fn table(&self) -> Option<Table<'a>> {
        match self.raw {
            DeValue::Table(raw) => {
                Some(Table { source: self.source, path: self.path.clone(), span: self.span.clone(), raw, asked: RefCell::default() })
            }
            other => self.expected("a table", other),
        }
    }

    /// A text that is not empty.
    pub(super) fn text(&self) -> Option<&'a str> {
        match self.raw {
            DeValue::String(text) if text.trim().is_empty() => {
                self.wrong("it is empty; write a text, or leave the key out");
                None
            }
            DeValue::String(text) => Some(text),
            other => self.expected("a text in quotes", other),
        }
    }

    pub(super) fn list(&self) -> Option<Vec<Value<'a>>> {
        match self.raw {
            DeValue::Array(items) => Some(
                items
                    .iter()
                    .enumerate()
                    .map(|(index, item)| Value {
                        source: self.source,
                        path: format!("{}[{}]", self.path, index + 1),
                        span: item.span(),
                        raw: item.get_ref(),
                    })
                    .collect(),
            ),
            other => self.expected("a list in [ ]", other),
        }
    }

    /// A list of texts; those that are none are noted and left out.
    pub(super) fn texts(&self) -> Option<Vec<(&'a str, Value<'a>)>> {
        Some(self.list()?.into_iter().filter_map(|item| Some((item.text()?, item))).collect())
    }

    /// A text that `read` understands; `right` says what it would.
    pub(super) fn parsed<T>(&self, right: &str, read: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        if self.as_text().is_none() {
            return self.expected(right, self.raw);
        }
        let text = self.text()?;
        let value = read(text);
        if value.is_none() {
            self.wrong(format!("\"{text}\" is not understood; write {right}"));
        }
        value
    }

    /// One of a few words.
    pub(super) fn word<T: Copy>(&self, words: &[(&str, T)]) -> Option<T> {
        let text = self.text()?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            self.wrong(format!("\"{text}\" is not known; write {}", either(words.iter().map(|(word, _)| *word))));
        }
        found
    }

    pub(super) fn integer(&self, range: RangeInclusive<u32>) -> Option<u32> {
        let DeValue::Integer(integer) = self.raw else { return self.expected("a whole number", self.raw) };
        let value = u32::from_str_radix(integer.as_str(), integer.radix()).ok().filter(|value| range.contains(value));
        if value.is_none() {
            self.wrong(format!("{} is out of range; write {} to {}", integer.as_str(), range.start(), range.end()));
        }
        value
    }

    /// `true`, and nothing else: for keys that say what kind of thing this is.
    pub(super) fn only_true(&self) -> Option<()> {
        let yes = matches!(self.raw, DeValue::Boolean(true));
        if !yes {
            self.wrong("expected true; leave the key out where it does not hold");
        }
        yes.then_some(())
    }

    pub(super) fn flag(&self) -> Option<bool> {
        match self.raw {
            DeValue::Boolean(value) => Some(*value),
            other => self.expected("true or false", other),
        }
    }

    /// An amount, a price or a percentage: a number or a text of plain digits, at least 0, exact.
    pub(super) fn decimal(&self) -> Option<Decimal> {
        let text: &str = match self.raw {
            DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str(),
            DeValue::Float(float) => float.as_str(),
            DeValue::String(text) => text,
            other => return self.expected("a number", other),
        };
        match plain_decimal(text) {
            Ok(value) => Some(value),
            Err(right) => {
                self.wrong(format!("{text} is no amount; {right}"));
                None
            }
        }
    }

    /// The date, if it is one: for values that may be something else.
    pub(super) fn as_date(&self) -> Option<NaiveDate> {
        match self.raw {
            DeValue::Datetime(time) if time.time.is_none() => time.date.and_then(|date| parse_date(&date.to_string())),
            DeValue::String(text) => parse_date(text),
            _ => None,
        }
    }

    pub(super) fn date(&self) -> Option<NaiveDate> {
        let found = self.as_date();
        if found.is_none() {
            self.wrong("it is no date that exists; write for example 2026-12-31");
        }
        found
    }

    /// A length of talk time, longer than none: `15m`, `1h30m`.
    pub(super) fn seconds(&self) -> Option<Seconds> {
        let value = self.parsed("a time such as \"90s\", \"15m\", \"1h30m\" or \"2h\"", Seconds::parse)?;
        let some = value > Seconds::ZERO;
        if !some {
            self.wrong("it is no time at all; write more than 0s");
        }
        some.then_some(value)
    }

    /// A length of calendar time: `14 days`, `1 month`, `1 year`.
    pub(super) fn period(&self) -> Option<Period> {
        self.parsed("a period such as \"14 days\", \"2 weeks\", \"1 month\" or \"1 year\"", parse_period)
    }

    fn expected<T>(&self, what: &str, found: &DeValue<'_>) -> Option<T> {
        let found = match found {
            DeValue::String(_) => "a text",
            DeValue::Integer(_) => "a number",
            DeValue::Float(_) => "a number with a point",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.wrong(format!("expected {what}, found {found}"));
        None
    }
}
