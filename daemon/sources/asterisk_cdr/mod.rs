//! Call detail records and queue log of an Asterisk: files that grow, or that are replayed from their beginning.
//!
//! | file | does |
//! |---|---|
//! | [`layout`] | knows which column is what |
//! | [`zone`] | local text to UTC, and the check that the zone is right |
//! | [`row`] | one record becomes a [`CdrRow`] |
//! | [`queue_log`] | one line becomes a [`QueueLine`] |
//!
//! The invariant: rows and lines come once and in the order of their files, lines of the queue log before the rows they
//! belong to; a file whose layout or zone cannot be believed gives nothing more and says why. What a single record
//! lacks is counted, and the next one is read.

pub mod layout;
pub mod queue_log;
#[cfg(test)]
mod recordings;
pub mod row;
pub mod zone;

use super::split::Splitter;
use super::tail::line::{Framed, Quotes};
pub use super::tail::{PollError, Stopped};
use super::tail::{Position, Tail, TailCounts};
use crate::calls::{CdrRow, QueueLine};
use crate::units::codec::{Reader, Writer};
use crate::units::{Seconds, Timestamp};
use chrono_tz::Tz;
use layout::Layout;
use queue_log::Parsed;
#[cfg(test)]
pub(in crate::sources) use recordings::{directory, folder, millis, missed};
use row::RowError;
use std::ops::ControlFlow;
use std::path::PathBuf;
use zone::{Wrong, ZoneCheck};

/// How many rows one batch may have.
pub const MOST_ROWS: usize = 256;

/// How many lines of the queue log.
pub const MOST_LINES: usize = 2_048;

/// So much later than a row's end its lines may be in the queue log.
const AFTERWARDS: Seconds = Seconds::new(5);

/// So many unreadable records, before any readable one, show that the layout is another.
const UNREADABLE: u64 = 3;

/// A configured source.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file of rows.
    pub path: PathBuf,
    /// The zone of its times as text.
    pub zone: Tz,
    /// Its columns.
    pub layout: Layout,
    /// The queue log of the same switch.
    pub queue_log: Option<PathBuf>,
}

/// What came new. Apply the lines first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Lines of the queue log.
    pub lines: Vec<QueueLine>,
    /// Rows.
    pub rows: Vec<CdrRow>,
    /// Whether to ask again at once.
    pub more: bool,
}

impl Batch {
    /// The latest time in it, to which it moves the time of the feed.
    #[must_use]
    pub fn latest(&self) -> Option<Timestamp> {
        self.rows.iter().map(|row| row.ended_at).chain(self.lines.iter().map(|line| line.at)).max()
    }
}

/// What was read and what was set aside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceCounts {
    /// Rows given.
    pub rows: u64,
    /// Lines given.
    pub lines: u64,
    /// Records that are no row.
    pub malformed_rows: u64,
    /// Pieces of the file that are no record.
    pub broken_rows: u64,
    /// Lines that are none of a queue log.
    pub malformed_lines: u64,
    /// Lines that concern no caller.
    pub ignored_lines: u64,
    /// What became of the file of rows.
    pub file: TailCounts,
    /// What became of the queue log.
    pub queue_log: TailCounts,
}

/// Where to go on after a restart: commits together with all that came before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourcePosition {
    rows: Option<Position>,
    lines: Option<Position>,
    recognized: bool,
    begun: Vec<(Box<str>, Timestamp)>,
}

impl SourcePosition {
    /// Writes it.
    pub fn write(&self, out: &mut Writer) {
        out.option(self.rows, |out, position| position.write(out));
        out.option(self.lines, |out, position| position.write(out));
        out.flag(self.recognized);
        out.list(self.begun.iter(), |out, (uniqueid, until)| {
            out.text(uniqueid);
            out.time(*until);
        });
    }

    /// Reads what [`SourcePosition::write`] wrote; `None` for other bytes.
    pub fn read(back: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            rows: back.option(Position::read)?,
            lines: back.option(Position::read)?,
            recognized: back.flag()?,
            begun: back.list(|back| Some((back.text()?.into(), back.time()?)))?,
        })
    }
}

/// The files of one switch, being followed.
#[derive(Debug)]
pub struct AsteriskCdr {
    layout: Layout,
    splitter: Splitter,
    zone: ZoneCheck,
    rows: Tail,
    lines: Option<Tail>,
    /// Rows that wait until the queue log has been read up to them.
    held: Vec<CdrRow>,
    /// The position before the rows held.
    before: Option<SourcePosition>,
    recognized: bool,
    unrecognized: Option<Stopped>,
    stopped: Option<Stopped>,
    counts: SourceCounts,
}

impl AsteriskCdr {
    /// Follows the files from a committed position; without one, from their beginning.
    #[must_use]
    pub fn new(config: &Config, from: Option<SourcePosition>) -> Self {
        let from = from.unwrap_or_default();
        let mut zone = ZoneCheck::new(config.zone);
        zone.resume(from.begun);
        Self {
            layout: config.layout.clone(),
            splitter: Splitter::new(b','),
            zone,
            rows: Tail::new(&config.path, from.rows),
            lines: config.queue_log.as_ref().map(|path| Tail::new(path, from.lines)),
            held: Vec::new(),
            before: None,
            recognized: from.recognized,
            unrecognized: None,
            stopped: None,
            counts: SourceCounts::default(),
        }
    }

    /// What came since the last time; an empty batch when nothing did. Never waits.
    ///
    /// # Errors
    /// When a file cannot be read now, or contradicts its configuration.
    pub fn poll(&mut self) -> Result<Batch, PollError> {
        if self.held.is_empty() {
            self.before = Some(self.place());
            self.read_rows()?;
        }
        let until = self.held.iter().map(|row| row.ended_at).max().map(|end| end.plus(AFTERWARDS));
        let (lines, caught_up) = self.read_lines(until)?;
        let rows = if caught_up { std::mem::take(&mut self.held) } else { Vec::new() };
        self.counts.rows += rows.len() as u64;
        self.counts.lines += lines.len() as u64;
        if let (Some(stopped), true) = (&self.stopped, rows.is_empty() && lines.is_empty() && self.held.is_empty()) {
            return Err(stopped.clone().into());
        }
        let more = !caught_up || !rows.is_empty() || lines.len() >= MOST_LINES;
        Ok(Batch { lines, rows, more })
    }

    /// Says, at the end of a file that is complete, whether it could be read at all.
    ///
    /// # Errors
    /// When there were records, and none of them had a layout that is known.
    pub fn finish(&self) -> Result<(), Stopped> {
        let wrong = self.stopped.as_ref().or(self.unrecognized.as_ref().filter(|_| !self.recognized));
        wrong.map_or(Ok(()), |wrong| Err(wrong.clone()))
    }

    /// Just behind the last batch.
    #[must_use]
    pub fn position(&self) -> SourcePosition {
        match &self.before {
            Some(before) if !self.held.is_empty() => {
                SourcePosition { lines: self.lines.as_ref().and_then(Tail::position), ..before.clone() }
            }
            _ => self.place(),
        }
    }

    fn place(&self) -> SourcePosition {
        SourcePosition {
            rows: self.rows.position(),
            lines: self.lines.as_ref().and_then(Tail::position),
            recognized: self.recognized,
            begun: self.zone.memory(),
        }
    }

    /// What was read and set aside so far.
    #[must_use]
    pub fn counts(&self) -> SourceCounts {
        let queue_log = self.lines.as_ref().map(Tail::counts).unwrap_or_default();
        SourceCounts { file: self.rows.counts(), queue_log, ..self.counts }
    }

    fn read_rows(&mut self) -> Result<(), PollError> {
        if self.stopped.is_some() {
            return Ok(());
        }
        let path = self.rows.path().to_owned();
        let Self { rows, layout, splitter, zone, held, recognized, unrecognized, stopped, counts, .. } = self;
        let read = rows.visit(Quotes::Hold { delimiter: b',' }, MOST_ROWS, |line, piece| {
            let record = match piece {
                Framed::Record(record) => record,
                Framed::Broken(_) => {
                    counts.broken_rows += 1;
                    return ControlFlow::Continue(());
                }
            };
            if record.trim_ascii().is_empty() {
                return ControlFlow::Continue(());
            }
            match row::parse(record, splitter, layout, zone) {
                Ok(row) => {
                    *recognized = true;
                    held.push(row);
                    ControlFlow::Continue(())
                }
                Err(error @ RowError::Times(Wrong::Contradiction { .. })) => {
                    *stopped = Some(Stopped { path: path.clone(), line, what: error.to_string() });
                    ControlFlow::Break(())
                }
                Err(error) => {
                    counts.malformed_rows += 1;
                    if !*recognized {
                        let first = unrecognized.get_or_insert_with(|| Stopped { path: path.clone(), line, what: error.to_string() });
                        if counts.malformed_rows >= UNREADABLE {
                            *stopped = Some(first.clone());
                            return ControlFlow::Break(());
                        }
                    }
                    ControlFlow::Continue(())
                }
            }
        });
        read.map(|_| ()).map_err(|error| PollError::Io { path, error })
    }

    /// Lines up to a time, all of them when there is no row to wait for; and whether all are there.
    fn read_lines(&mut self, until: Option<Timestamp>) -> Result<(Vec<QueueLine>, bool), PollError> {
        let Some(tail) = self.lines.as_mut() else { return Ok((Vec::new(), true)) };
        let mut lines = Vec::new();
        let counts = &mut self.counts;
        let taken = tail.visit(Quotes::Plain, MOST_LINES, |_, piece| {
            match piece {
                Framed::Record(record) => match queue_log::parse(record) {
                    Parsed::Line(line) if until.is_some_and(|until| line.at > until) => return ControlFlow::Break(()),
                    Parsed::Line(line) => lines.push(line),
                    Parsed::Ignored => counts.ignored_lines += 1,
                    Parsed::Malformed => counts.malformed_lines += 1,
                },
                Framed::Broken(_) => counts.malformed_lines += 1,
            }
            ControlFlow::Continue(())
        });
        let taken = taken.map_err(|error| PollError::Io { path: tail.path().to_owned(), error })?;
        Ok((lines, taken < MOST_LINES))
    }
}
