//! Exports: a range of entries, or the records of a period, as files that an accountant's programs read.
//!
//! The one invariant: the same range gives the same bytes. Of a range, each record that it changed is there as it now is; a
//! correction of what was exported before is a reversal line and a new line; an entry and its reversal inside the range
//! cancel. Of a period, the records stand as they are, and nothing tells by which entries they came to be so. Lines are
//! ordered by talk start (else set-up), then by `call_id`. (design.md §8)
//!
//! Files appear whole or not at all: each is written under a temporary name and synced; then all are renamed, the manifest
//! last, and the folder is synced. A manifest says that what it names is there, so an export is there when its manifest is;
//! what a crash leaves under temporary names goes with the next export. Memory does not grow with the lines.

mod check;
mod csv;
mod jsonl;
mod manifest;
mod publish;
#[cfg(test)]
mod tests;

pub use check::{CheckError, Checked, check};

use crate::ledger::result::{Digits, Posting, Sign, Style};
use crate::ledger::{Ledger, LedgerError};
use crate::meter::Record;
use crate::units::Timestamp;
use chrono::{NaiveTime, TimeZone};
use chrono_tz::Tz;
use manifest::Manifest;
use publish::Output;
use std::io;
use std::path::{Path, PathBuf};

/// Where exports go, and how they look.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The folder; it must be there.
    pub directory: PathBuf,
    /// What is written beside the manifest.
    pub formats: Vec<Format>,
    /// How phone numbers are shown.
    pub digits: Digits,
    /// The zone in which the days of a period are meant.
    pub zone: Tz,
}

/// A kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated (RFC 4180).
    Csv,
    /// The dialect of German spreadsheets: semicolon, decimal comma, a byte order mark.
    CsvGerman,
    /// One JSON object a line.
    Jsonl,
}

/// What is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection {
    /// The entries from one seq to another, both included.
    Range {
        /// The first.
        first: i64,
        /// The last.
        last: i64,
    },
    /// The records whose talk starts (else set-up) in a span, as they stand.
    Period {
        /// From this instant on.
        from: Timestamp,
        /// Up to this one, exclusive.
        to: Timestamp,
    },
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The files, the manifest last.
    pub files: Vec<PathBuf>,
    /// Lines in each of them.
    pub lines: u64,
    /// How many of the lines take something back.
    pub reversals: u64,
}

/// Why there is no export.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The ledger cannot be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A file cannot be written.
    #[error("{path}: {source}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There are no such entries.
    #[error("range {first}-{last}: the ledger has the entries 1-{head}")]
    Range {
        /// As asked.
        first: i64,
        /// As asked.
        last: i64,
        /// The last there is.
        head: i64,
    },
    /// It ends before it begins.
    #[error("period {from} to {to}: the end should be later than the beginning")]
    Period {
        /// As asked.
        from: Timestamp,
        /// As asked.
        to: Timestamp,
    },
    /// The same format twice, or two that have the same file name.
    #[error("formats: {name} would be written twice; one CSV dialect and each format once are right")]
    Twice {
        /// The file.
        name: String,
    },
    /// Amounts beyond what a decimal holds.
    #[error("the totals are too large to add up")]
    Overflow,
}

/// Writes an export. The folder must be there; files of the same selection are replaced, by the same bytes.
///
/// # Errors
/// When the selection is none, the ledger cannot be read, or a file cannot be written; then no file has changed, except that
/// a failure while renaming can leave files without a manifest.
pub fn export(ledger: &mut Ledger, selection: Selection, settings: &Settings) -> Result<Report, ExportError> {
    let mut done = Err(ExportError::Overflow);
    // The closure's own errors are the ledger's; ours travel beside.
    ledger.at_one_moment(|ledger| {
        done = write(ledger, selection, settings);
        Ok(())
    })?;
    done
}

/// The nightly export: writes what was planned and perhaps not finished, then all entries since. Nothing, if nothing is new.
///
/// # Errors
/// As [`export`], and when the ledger cannot be written. What was planned is written again by the next one.
pub fn nightly(ledger: &mut Ledger, settings: &Settings) -> Result<Vec<Report>, ExportError> {
    let mut batch = ledger.batch()?;
    batch.plan_export()?;
    batch.commit()?;
    let mut reports = Vec::new();
    for (first, last) in ledger.planned_exports()? {
        reports.push(export(ledger, Selection::Range { first, last }, settings)?);
        let mut batch = ledger.batch()?;
        batch.finish_export(first)?;
        batch.commit()?;
    }
    Ok(reports)
}

fn write(ledger: &Ledger, selection: Selection, settings: &Settings) -> Result<Report, ExportError> {
    known(ledger, selection)?;
    publish::clean(&settings.directory);
    let stem = stem(selection, settings.zone);
    let mut files = Files::create(&stem, settings)?;
    let plain = Style { digits: settings.digits, ..Style::PLAIN };
    match selection {
        Selection::Range { first, last } => ledger.range((first, last), |line| {
            let sign = if line.reverses.is_some() { Sign::Reversed } else { Sign::Due };
            files.add(&line.record, &Style { sign, posting: Some(Posting { seq: line.seq, reverses: line.reverses }), ..plain })
        })?,
        Selection::Period { from, to } => ledger.records(from, to, |record| files.add(&record, &plain))?,
    }
    files.publish(ledger, selection, &stem, settings)
}

fn known(ledger: &Ledger, selection: Selection) -> Result<(), ExportError> {
    let head = ledger.heads().entry.0;
    match selection {
        Selection::Range { first, last } if first < 1 || last < first || last > head => Err(ExportError::Range { first, last, head }),
        Selection::Period { from, to } if to <= from => Err(ExportError::Period { from, to }),
        Selection::Range { .. } | Selection::Period { .. } => Ok(()),
    }
}

/// `taktd-1-250`, `taktd-2026-03-01-2026-04-01`; with the time where a period does not begin at midnight.
fn stem(selection: Selection, zone: Tz) -> String {
    let day = |at: Timestamp| {
        let local = zone.from_utc_datetime(&at.utc().naive_utc()).naive_local();
        let form = if local.time() == NaiveTime::MIN { "%Y-%m-%d" } else { "%Y-%m-%dT%H%M%S" };
        local.format(form).to_string()
    };
    match selection {
        Selection::Range { first, last } => format!("taktd-{first}-{last}"),
        Selection::Period { from, to } => format!("taktd-{}-{}", day(from), day(to)),
    }
}

/// The files in the making, and what the manifest will say of them.
struct Files {
    outputs: Vec<(Format, Output)>,
    manifest: Manifest,
    line: Vec<u8>,
}

impl Files {
    fn create(stem: &str, settings: &Settings) -> Result<Self, ExportError> {
        let mut outputs: Vec<(Format, Output)> = Vec::with_capacity(settings.formats.len());
        for format in &settings.formats {
            let name = format!("{stem}.{}", format.suffix());
            if outputs.iter().any(|(_, output)| output.name() == name) {
                return Err(ExportError::Twice { name });
            }
            let mut output = Output::create(&settings.directory, name)?;
            output.write(&format.head())?;
            outputs.push((*format, output));
        }
        Ok(Self { outputs, manifest: Manifest::default(), line: Vec::new() })
    }

    fn add(&mut self, record: &Record, style: &Style) -> Result<(), ExportError> {
        self.manifest.add(record, style).ok_or(ExportError::Overflow)?;
        for (format, output) in &mut self.outputs {
            self.line.clear();
            format.line(&mut self.line, record, style);
            output.write(&self.line)?;
        }
        Ok(())
    }

    fn publish(self, ledger: &Ledger, selection: Selection, stem: &str, settings: &Settings) -> Result<Report, ExportError> {
        let Self { outputs, manifest, .. } = self;
        let (lines, reversals) = (manifest.lines, manifest.reversals);
        let anchor = match selection {
            Selection::Range { last, .. } => ledger.entry_hash(last)?,
            Selection::Period { .. } => None,
        };
        let mut ready = Vec::with_capacity(outputs.len().saturating_add(1));
        for (_, output) in outputs {
            ready.push(output.finish()?);
        }
        let text = manifest.json(selection, settings, anchor, ready.iter().map(publish::Ready::summary));
        let mut output = Output::create(&settings.directory, format!("{stem}.manifest.json"))?;
        output.write(&text)?;
        ready.push(output.finish()?);
        let files = publish::all(ready, &settings.directory)?;
        Ok(Report { files, lines, reversals })
    }
}

impl Format {
    const fn suffix(self) -> &'static str {
        match self {
            Self::Csv | Self::CsvGerman => "csv",
            Self::Jsonl => "jsonl",
        }
    }

    fn head(self) -> Vec<u8> {
        match self {
            Self::Csv => csv::head(csv::Dialect::Rfc4180),
            Self::CsvGerman => csv::head(csv::Dialect::German),
            Self::Jsonl => Vec::new(),
        }
    }

    fn line(self, out: &mut Vec<u8>, record: &Record, style: &Style) {
        match self {
            Self::Csv => csv::line(out, record, style, csv::Dialect::Rfc4180),
            Self::CsvGerman => csv::line(out, record, style, csv::Dialect::German),
            Self::Jsonl => jsonl::line(out, record, style),
        }
    }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> ExportError + '_ {
    |source| ExportError::File { path: path.into(), source }
}
