//! Asterisk's channel event log, as cel_custom writes it: a file that grows, or that is replayed from its beginning.
//!
//! | file | does |
//! |---|---|
//! | [`layout`] | knows which column is what |
//! | [`row`] | one record becomes a [`ChannelEvent`] |
//!
//! The file is followed as one of call detail records is ([`super::tail`]). The invariant: events come once and
//! in the order of the file; a file whose layout cannot be believed gives nothing more and says why. What a single record
//! lacks is counted, and the next one is read. (Asterisk, main/cel.c, configs/samples/cel_custom.conf.sample.)

pub mod layout;
#[cfg(test)]
mod recordings;
pub mod row;

use super::tail::line::{Framed, Quotes};
pub use super::tail::{PollError, Stopped};
use super::tail::{Position, Tail, TailCounts};
use crate::calls::ChannelEvent;
use crate::units::Timestamp;
use crate::units::codec::{Reader, Writer};
use layout::Layout;
use row::Read;
use std::ops::ControlFlow;
use std::path::PathBuf;

/// How many records one batch may have.
pub const MOST_ROWS: usize = 1_024;

/// So many unreadable records, before any readable one, show that the layout is another.
const UNREADABLE: u64 = 3;

/// A configured source.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file.
    pub path: PathBuf,
    /// Its columns.
    pub layout: Layout,
}

/// What came new.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Events, in the order of the file.
    pub events: Vec<ChannelEvent>,
    /// Records read, those that say nothing of calls included.
    pub rows: u64,
    /// Whether to ask again at once.
    pub more: bool,
}

impl Batch {
    /// The latest time in it.
    #[must_use]
    pub fn latest(&self) -> Option<Timestamp> {
        self.events.iter().map(|event| event.at).max()
    }
}

/// What was read and what was set aside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceCounts {
    /// Events given.
    pub events: u64,
    /// Records of events that say nothing of calls.
    pub ignored: u64,
    /// Records that cannot be read.
    pub malformed: u64,
    /// Pieces of the file that are no record.
    pub broken: u64,
    /// What became of the file.
    pub file: TailCounts,
}

/// Where to go on after a restart: commits together with all that came before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourcePosition {
    rows: Option<Position>,
    recognized: bool,
}

impl SourcePosition {
    /// Writes it.
    pub fn write(&self, out: &mut Writer) {
        out.option(self.rows, |out, position| position.write(out));
        out.flag(self.recognized);
    }

    /// Reads what [`SourcePosition::write`] wrote; `None` for other bytes.
    pub fn read(back: &mut Reader<'_>) -> Option<Self> {
        Some(Self { rows: back.option(Position::read)?, recognized: back.flag()? })
    }
}

/// The channel event log of one switch, being followed.
#[derive(Debug)]
pub struct AsteriskCel {
    layout: Layout,
    rows: Tail,
    recognized: bool,
    unrecognized: Option<Stopped>,
    stopped: Option<Stopped>,
    counts: SourceCounts,
}

impl AsteriskCel {
    /// Follows the file from a committed position; without one, from its beginning.
    #[must_use]
    pub fn new(config: &Config, from: Option<SourcePosition>) -> Self {
        let from = from.unwrap_or_default();
        Self {
            layout: config.layout.clone(),
            rows: Tail::new(&config.path, from.rows),
            recognized: from.recognized,
            unrecognized: None,
            stopped: None,
            counts: SourceCounts::default(),
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
        let path = self.rows.path().to_owned();
        let Self { rows, layout, recognized, unrecognized, stopped, counts, .. } = self;
        let mut events = Vec::new();
        let taken = rows.visit(Quotes::Hold { delimiter: b',' }, MOST_ROWS, |line, piece| {
            let record = match piece {
                Framed::Record(record) => record,
                Framed::Broken(_) => {
                    counts.broken += 1;
                    return ControlFlow::Continue(());
                }
            };
            if record.trim_ascii().is_empty() {
                return ControlFlow::Continue(());
            }
            match row::parse(record, layout) {
                Ok(read) => {
                    *recognized = true;
                    match read {
                        Read::Event(event) => events.push(*event),
                        Read::Ignored => counts.ignored += 1,
                    }
                }
                Err(error) => {
                    counts.malformed += 1;
                    if !*recognized {
                        let first = unrecognized.get_or_insert_with(|| Stopped { path: path.clone(), line, what: error.to_string() });
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
        self.counts.events += events.len() as u64;
        if let (Some(stopped), true) = (&self.stopped, events.is_empty()) {
            return Err(stopped.clone().into());
        }
        Ok(Batch { events, rows: taken as u64, more: taken >= MOST_ROWS })
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
        SourcePosition { rows: self.rows.position(), recognized: self.recognized }
    }

    /// What was read and set aside so far.
    #[must_use]
    pub fn counts(&self) -> SourceCounts {
        SourceCounts { file: self.rows.counts(), ..self.counts }
    }
}
