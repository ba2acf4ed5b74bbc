//! Files of records of any kind, with what their records are gathered in: one face for following and for replaying them.
//!
//! The one invariant: what is gathered and the place in the files are kept together.

use super::kept_parts::part_key;
pub use super::record_config::FileConfig;
use super::replay::ReplayError;
use crate::calls::{Call, CallRow, Directory, Records, Rows};
use crate::clock;
use crate::ledger::Snapshot;
use crate::sources::asterisk_cdr::{self, AsteriskCdr};
use crate::sources::csv_rows::{self, CsvRows};
use crate::sources::freeswitch::{FreeSwitch, Refused};
use crate::sources::tail::PollError;
use crate::units::codec::{Reader, Writer};
use crate::units::{Seconds, Timestamp};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// By when the rows of one call that are written at once have come in.
const SETTLE: Seconds = Seconds::new(5);

/// Why nothing came.
#[derive(Debug)]
pub enum Trouble {
    /// The file contradicts its configuration: nothing more comes.
    Stopped(String),
    /// It cannot be read just now.
    Unreadable(String),
}

/// What came new, beside what was gathered of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct News {
    /// How many rows and lines.
    pub count: u64,
    /// The latest time in them.
    pub latest: Option<Timestamp>,
    /// Whether to ask again at once.
    pub more: bool,
}

/// The files of one switch, and what is gathered of them.
pub struct RecordFiles(Files);

enum Files {
    AsteriskCdr(Box<AsteriskCdr>, Records),
    Csv(Box<CsvRows>, Rows),
    /// With the files whose rows are gathered, until they are taken.
    FreeSwitch(FreeSwitch, Rows, Vec<PathBuf>),
}

impl RecordFiles {
    /// Reads on from what was kept: the gathered records, and the place in the files. Without a place, from the beginning.
    #[must_use]
    pub fn open(config: &FileConfig, directory: &Directory, gathered: Option<&[u8]>, place: Option<&[u8]>) -> Self {
        let (mut gathered, mut place) = (gathered.map(Reader::new), place.map(Reader::new));
        Self(match config {
            FileConfig::AsteriskCdr(config) => {
                let place = place.as_mut().and_then(asterisk_cdr::SourcePosition::read);
                let records = gathered.as_mut().and_then(|back| Records::read(directory, back));
                Files::AsteriskCdr(Box::new(AsteriskCdr::new(config, place)), records.unwrap_or_else(|| Records::new(directory)))
            }
            FileConfig::Csv(config) => {
                let place = place.as_mut().and_then(csv_rows::SourcePosition::read);
                let settle = if config.columns.call_id.is_empty() { Seconds::ZERO } else { SETTLE };
                let rows = gathered.as_mut().and_then(|back| Rows::read(directory, settle, back));
                Files::Csv(Box::new(CsvRows::new(config, place)), rows.unwrap_or_else(|| Rows::new(directory, settle)))
            }
            FileConfig::FreeSwitch(config) => {
                let rows = gathered.as_mut().and_then(|back| Rows::read(directory, SETTLE, back));
                Files::FreeSwitch(FreeSwitch::new(config, place.as_mut()), rows.unwrap_or_else(|| Rows::new(directory, SETTLE)), Vec::new())
            }
        })
    }

    /// The same gathered records, read from another place: the beginning of another file.
    #[must_use]
    pub fn begin(self, config: &FileConfig) -> Self {
        Self(match (self.0, config) {
            (Files::AsteriskCdr(_, records), FileConfig::AsteriskCdr(config)) => {
                Files::AsteriskCdr(Box::new(AsteriskCdr::new(config, None)), records)
            }
            (Files::Csv(_, rows), FileConfig::Csv(config)) => Files::Csv(Box::new(CsvRows::new(config, None)), rows),
            (Files::FreeSwitch(_, rows, _), FileConfig::FreeSwitch(config)) => {
                Files::FreeSwitch(FreeSwitch::new(config, None).at_once(), rows, Vec::new())
            }
            (files @ (Files::AsteriskCdr(..) | Files::Csv(..) | Files::FreeSwitch(..)), _) => files,
        })
    }

    /// Gathers what came since the last time. Never waits.
    ///
    /// # Errors
    /// When a file cannot be read now, or contradicts its configuration.
    pub fn poll(&mut self) -> Result<News, Trouble> {
        match &mut self.0 {
            Files::AsteriskCdr(source, records) => {
                let batch = source.poll()?;
                let (count, latest, more) = ((batch.rows.len() + batch.lines.len()) as u64, batch.latest(), batch.more);
                batch.lines.into_iter().for_each(|line| records.apply_queue_line(line));
                batch.rows.into_iter().for_each(|row| records.apply(row));
                Ok(News { count, latest, more })
            }
            Files::Csv(source, rows) => {
                let batch = source.poll()?;
                let (count, latest, more) = (batch.rows.len() as u64, batch.latest(), batch.more);
                batch.rows.into_iter().for_each(|row| rows.apply(row));
                Ok(News { count, latest, more })
            }
            Files::FreeSwitch(source, rows, files) => {
                let now = SystemTime::UNIX_EPOCH + Duration::from_micros(u64::try_from(clock::now().micros()).unwrap_or(0));
                let (found, from, read) = source.poll(now).map_err(|error| Trouble::Unreadable(error.to_string()))?;
                let (count, latest) = (found.len() as u64, found.iter().map(CallRow::latest).max());
                found.into_iter().for_each(|row| rows.apply(row));
                files.extend(from);
                Ok(News { count, latest, more: read > 0 })
            }
        }
    }

    /// Gathers a record that was posted; `None` where nothing can be posted.
    ///
    /// # Errors
    /// Why it is no record.
    pub fn post(&mut self, posted: &[u8]) -> Option<Result<(), Refused>> {
        match &mut self.0 {
            Files::AsteriskCdr(..) | Files::Csv(..) => None,
            Files::FreeSwitch(source, rows, _) => Some(source.post(posted).map(|row| rows.apply(row))),
        }
    }

    /// Files that were read whole since this was last asked: once what is gathered is kept, they may go.
    pub fn take_files(&mut self) -> Vec<PathBuf> {
        match &mut self.0 {
            Files::AsteriskCdr(..) | Files::Csv(..) => Vec::new(),
            Files::FreeSwitch(_, _, files) => std::mem::take(files),
        }
    }

    /// Says, at the end of a file that is complete, whether it could be read at all.
    ///
    /// # Errors
    /// When there were records, and none of them could be read.
    pub fn finish(&self) -> Result<(), Trouble> {
        match &self.0 {
            Files::AsteriskCdr(source, _) => source.finish().map_err(|stopped| Trouble::Stopped(stopped.to_string())),
            Files::Csv(source, _) => source.finish().map_err(|stopped| Trouble::Stopped(stopped.to_string())),
            Files::FreeSwitch(..) => Ok(()),
        }
    }

    /// Calls that are complete at `now`, the time of the feed.
    pub fn settled(&mut self, now: Timestamp) -> Vec<Call> {
        match &mut self.0 {
            Files::AsteriskCdr(_, records) => records.settled(now),
            Files::Csv(_, rows) | Files::FreeSwitch(_, rows, _) => rows.settled(now),
        }
    }

    /// All calls that lie no later than `by`.
    pub fn flush_by(&mut self, by: Timestamp) -> Vec<Call> {
        match &mut self.0 {
            Files::AsteriskCdr(_, records) => records.flush_by(by),
            Files::Csv(_, rows) | Files::FreeSwitch(_, rows, _) => rows.flush_by(by),
        }
    }

    /// The latest time of a record that waits.
    #[must_use]
    pub fn latest_waiting(&self) -> Option<Timestamp> {
        match &self.0 {
            Files::AsteriskCdr(_, records) => records.latest_waiting(),
            Files::Csv(_, rows) | Files::FreeSwitch(_, rows, _) => rows.latest_waiting(),
        }
    }

    /// How many records were set aside so far.
    #[must_use]
    pub fn set_aside(&self) -> u64 {
        match &self.0 {
            Files::AsteriskCdr(source, _) => source.counts().malformed_rows + source.counts().broken_rows,
            Files::Csv(source, _) => source.counts().malformed + source.counts().broken,
            Files::FreeSwitch(source, ..) => source.refused(),
        }
    }

    /// How often a file was emptied, replaced or gone and nothing beside it holds what was read before.
    #[must_use]
    pub fn gaps(&self) -> u64 {
        match &self.0 {
            Files::AsteriskCdr(source, _) => source.counts().file.gaps + source.counts().queue_log.gaps,
            Files::Csv(source, _) => source.counts().file.gaps,
            Files::FreeSwitch(..) => 0,
        }
    }

    /// The first record set aside since this was last asked: where, and why. Asterisk's are only counted.
    pub fn take_aside(&mut self) -> Option<String> {
        match &mut self.0 {
            Files::AsteriskCdr(..) => None,
            Files::Csv(source, _) => source.take_aside().map(|aside| aside.to_string()),
            Files::FreeSwitch(source, ..) => source.take_aside(),
        }
    }

    /// Goes on with a changed configuration of numbers.
    pub fn reconfigure(&mut self, directory: &Directory) {
        match &mut self.0 {
            Files::AsteriskCdr(_, records) => records.reconfigure(directory),
            Files::Csv(_, rows) | Files::FreeSwitch(_, rows, _) => rows.reconfigure(directory),
        }
    }

    /// The gathered records, to be kept.
    #[must_use]
    pub fn gathered(&self) -> Vec<u8> {
        let mut out = Writer::new();
        match &self.0 {
            Files::AsteriskCdr(_, records) => records.write(&mut out),
            Files::Csv(_, rows) | Files::FreeSwitch(_, rows, _) => rows.write(&mut out),
        }
        out.finish()
    }

    /// From now on [`RecordFiles::changes`] says what has to be kept, where each call is kept by itself.
    #[must_use]
    pub fn keeping_changes(self) -> Self {
        Self(match self.0 {
            Files::FreeSwitch(source, rows, files) => Files::FreeSwitch(source, rows.write_changes(), files),
            files @ (Files::AsteriskCdr(..) | Files::Csv(..)) => files,
        })
    }

    /// What is to be kept under this name so that all that is gathered is: only what changed since this was last asked,
    /// where each call is kept by itself, else all of it.
    pub fn changes(&mut self, name: &str) -> Vec<(String, Snapshot)> {
        let snapshot = |body| Snapshot { position: String::new(), body };
        let Files::FreeSwitch(_, rows, _) = &mut self.0 else { return vec![(name.to_owned(), snapshot(self.gathered()))] };
        let (head, calls) = rows.changes();
        let calls = calls.into_iter().map(|(number, body)| (part_key(name, number), body.map_or_else(Snapshot::gone, snapshot)));
        std::iter::once((name.to_owned(), snapshot(head))).chain(calls).collect()
    }

    /// The place in the files, to be kept with them.
    #[must_use]
    pub fn place(&self) -> Vec<u8> {
        let mut out = Writer::new();
        match &self.0 {
            Files::AsteriskCdr(source, _) => source.position().write(&mut out),
            Files::Csv(source, _) => source.position().write(&mut out),
            Files::FreeSwitch(source, ..) => source.write(&mut out),
        }
        out.finish()
    }
}

impl From<PollError> for Trouble {
    fn from(error: PollError) -> Self {
        match error {
            PollError::Stopped(stopped) => Self::Stopped(stopped.to_string()),
            PollError::Io { .. } => Self::Unreadable(error.to_string()),
        }
    }
}

impl From<Trouble> for ReplayError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Stopped(why) => Self::Stopped(why),
            Trouble::Unreadable(why) => Self::Poll(why),
        }
    }
}
