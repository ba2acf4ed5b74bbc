//! Files of any switch that writes one row for each call, or for each part of one: read by a mapping of columns, as they
//! grow or from their beginning.
//!
//! | file | does |
//! |---|---|
//! | [`columns`] | knows which column is what |
//! | [`moment`] | reads times and lengths |
//! | `record` | splits a line into its fields |
//! | [`row`] | one record becomes a [`CallRow`] |
//!
//! The invariant: rows come once and in the order of their file; a file that lacks a mapped column gives nothing more and
//! says why. What a single record lacks is counted, and the next one is read.

pub mod columns;
pub mod moment;
mod position;
mod record;
pub mod row;
#[cfg(test)]
mod tests;

use super::tail::line::{Framed, Quotes};
pub use super::tail::{PollError, Stopped};
use super::tail::{Tail, TailCounts};
use crate::calls::CallRow;
use crate::units::Timestamp;
use columns::{ColumnRef, Columns, Places};
pub use position::SourcePosition;
pub use record::Encoding;
use record::split;
use row::{Fields, Reading};
use std::ops::ControlFlow;
use std::path::PathBuf;

/// How many rows one batch may have.
pub const MOST_ROWS: usize = 256;

/// So many unreadable records, before any readable one, show that the mapping is wrong.
const UNREADABLE: u64 = 3;

/// How many columns a header may have.
const MOST_COLUMNS: usize = 1_000;

/// A configured source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The file.
    pub path: PathBuf,
    /// What stands between two columns.
    pub delimiter: u8,
    /// How its characters are written.
    pub encoding: Encoding,
    /// Where the names of the columns stand.
    pub names: Names,
    /// Which column is what.
    pub columns: Columns<ColumnRef>,
    /// How a record is read.
    pub reading: Reading,
}

/// Where the names of columns stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Names {
    /// In the first line of each file.
    Header,
    /// In the configuration, in order.
    Configured(Vec<Box<str>>),
    /// Nowhere: columns are given by number.
    None,
}

/// What came new.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Rows.
    pub rows: Vec<CallRow>,
    /// Whether to ask again at once.
    pub more: bool,
}

impl Batch {
    /// The latest time in it, to which it moves the time of the feed.
    #[must_use]
    pub fn latest(&self) -> Option<Timestamp> {
        self.rows.iter().map(CallRow::latest).max()
    }
}

/// What was read and what was set aside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceCounts {
    /// Rows given.
    pub rows: u64,
    /// Records that are no row.
    pub malformed: u64,
    /// Pieces of the file that are no record.
    pub broken: u64,
    /// What became of the file.
    pub file: TailCounts,
}

/// The file of one switch, being followed.
#[derive(Debug)]
pub struct CsvRows {
    config: Config,
    tail: Tail,
    header: Option<Vec<Box<str>>>,
    places: Option<Places>,
    recognized: bool,
    unrecognized: Option<Stopped>,
    stopped: Option<Stopped>,
    counts: SourceCounts,
    /// The first record set aside since it was last asked for.
    first_aside: Option<Stopped>,
}

impl CsvRows {
    /// Follows the file from a committed position; without one, from its beginning.
    #[must_use]
    pub fn new(config: &Config, from: Option<SourcePosition>) -> Self {
        let from = from.unwrap_or_default();
        let header = match &config.names {
            Names::Header => from.header,
            Names::Configured(names) => Some(names.clone()),
            Names::None => None,
        };
        let places = match (&header, &config.names) {
            (Some(header), _) => config.columns.places(header).ok(),
            (None, Names::None) => config.columns.numbered().ok(),
            (None, Names::Header | Names::Configured(_)) => None,
        };
        Self {
            tail: Tail::new(&config.path, from.file),
            config: config.clone(),
            header,
            places,
            recognized: from.recognized,
            unrecognized: None,
            stopped: None,
            counts: SourceCounts::default(),
            first_aside: None,
        }
    }

    /// What came since the last time; an empty batch when nothing did. Never waits.
    ///
    /// # Errors
    /// When the file cannot be read now, or contradicts its configuration.
    pub fn poll(&mut self) -> Result<Batch, PollError> {
        if let Some(stopped) = &self.stopped {
            return Err(stopped.clone().into());
        }
        let mut rows = Vec::new();
        let Self { config, tail, header, places, recognized, unrecognized, stopped, counts, first_aside } = self;
        let path = config.path.clone();
        let quotes = Quotes::Hold { delimiter: config.delimiter };
        let taken = tail.visit(quotes, MOST_ROWS, |line, piece| {
            let record = match piece {
                Framed::Record(record) => record,
                Framed::Broken(_) => {
                    counts.broken += 1;
                    return ControlFlow::Continue(());
                }
            };
            let bare = if line == 1 { record.strip_prefix(b"\xef\xbb\xbf").unwrap_or(record) } else { record };
            if bare.trim_ascii().is_empty() {
                return ControlFlow::Continue(());
            }
            let stop = |what: String| Stopped { path: path.clone(), line, what };
            let read = split(bare, config.delimiter, config.encoding).and_then(|record| {
                if config.names == Names::Header && (line == 1 || is_header(&record, header.as_ref())) {
                    return Ok(Line::Header(record));
                }
                match places {
                    Some(places) => {
                        row::read(&Fields { places, record: &record }, &config.reading, line).map(|row| Line::Row(Box::new(row)))
                    }
                    None => Ok(Line::Unmapped),
                }
            });
            match read {
                Ok(Line::Header(record)) => {
                    let names: Vec<Box<str>> = record.iter().take(MOST_COLUMNS).map(|name| name.trim().into()).collect();
                    match config.columns.places(&names) {
                        Ok(found) => (*header, *places) = (Some(names), Some(found)),
                        Err(error) => {
                            *stopped = Some(stop(error.to_string()));
                            return ControlFlow::Break(());
                        }
                    }
                }
                Ok(Line::Row(row)) => {
                    *recognized = true;
                    rows.push(*row);
                }
                Ok(Line::Unmapped) => {
                    *stopped = Some(stop("the columns are not known: the file has no header here, and `columns` names some".into()));
                    return ControlFlow::Break(());
                }
                Err(error) => {
                    counts.malformed += 1;
                    first_aside.get_or_insert_with(|| stop(error.to_string()));
                    if !*recognized {
                        let first = unrecognized.get_or_insert_with(|| stop(error.to_string()));
                        if counts.malformed >= UNREADABLE {
                            *stopped = Some(first.clone());
                            return ControlFlow::Break(());
                        }
                    }
                }
            }
            ControlFlow::Continue(())
        });
        let taken = taken.map_err(|error| PollError::Io { path, error })?;
        counts.rows += rows.len() as u64;
        if let (Some(stopped), true) = (stopped, rows.is_empty()) {
            return Err(stopped.clone().into());
        }
        Ok(Batch { rows, more: taken > 0 })
    }

    /// Says, at the end of a file that is complete, whether it could be read at all.
    ///
    /// # Errors
    /// When there were records, and none of them was a row.
    pub fn finish(&self) -> Result<(), Stopped> {
        let wrong = self.stopped.as_ref().or(self.unrecognized.as_ref().filter(|_| !self.recognized));
        wrong.map_or(Ok(()), |wrong| Err(wrong.clone()))
    }

    /// Just behind the last batch.
    #[must_use]
    pub fn position(&self) -> SourcePosition {
        let header = self.header.clone().filter(|_| self.config.names == Names::Header);
        SourcePosition { file: self.tail.position(), header, recognized: self.recognized }
    }

    /// What was read and set aside so far.
    #[must_use]
    pub fn counts(&self) -> SourceCounts {
        SourceCounts { file: self.tail.counts(), ..self.counts }
    }

    /// The first record set aside since the last time this was asked: where, and why.
    pub fn take_aside(&mut self) -> Option<Stopped> {
        self.first_aside.take()
    }
}

enum Line {
    Header(csv::StringRecord),
    Row(Box<CallRow>),
    Unmapped,
}

/// A file that was begun anew beside its old rows may bear its header in the middle.
fn is_header(record: &csv::StringRecord, header: Option<&Vec<Box<str>>>) -> bool {
    header.is_some_and(|header| header.len() == record.len() && header.iter().zip(record).all(|(name, field)| **name == *field.trim()))
}
