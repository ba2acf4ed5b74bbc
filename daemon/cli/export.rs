//! `taktd export`: records as files, of a range of entries or of a period.

use super::office::{Office, span};
use super::{Common, Failure, Result};
use crate::config::{CsvDialect, ExportFormat};
use crate::export::{Format, Selection, Settings, export};
use crate::ledger::result::Digits;
use clap::Args;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  taktd export --from 2026-11-01 --to 2026-12-01\n  taktd export --range 1-5000 --directory /tmp/export\nWithout either: all entries."
)]
pub struct Arguments {
    /// Records whose talk began (else: set up; a fee: due) from this time on.
    #[arg(long, value_name = "T", conflicts_with = "range")]
    from: Option<String>,
    /// Up to this time, exclusive.
    #[arg(long, value_name = "T", conflicts_with = "range")]
    to: Option<String>,
    /// A range of sequence numbers, both included.
    #[arg(long, value_name = "FIRST-LAST")]
    range: Option<String>,
    /// The folder, in place of the configured one.
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
}

pub fn run(common: &Common, arguments: &Arguments) -> Result {
    let office = Office::load(common)?;
    let mut ledger = office.reader()?;
    let selection = match (&arguments.range, &arguments.from, &arguments.to) {
        (Some(range), ..) => parse_range(range)?,
        (None, None, None) => Selection::Range { first: 1, last: ledger.heads().entry.0 },
        (None, from, to) => {
            let (from, to) = span(from.as_deref(), to.as_deref(), office.in_force.zone())?;
            Selection::Period { from, to }
        }
    };
    let settings = settings(&office, arguments.directory.clone())?;
    std::fs::create_dir_all(&settings.directory)?;
    let report = export(&mut ledger, selection, &settings)?;
    let mut out = io::stdout().lock();
    for file in &report.files {
        if common.json {
            writeln!(out, "{}", serde_json::json!({ "file": file, "lines": report.lines, "reversals": report.reversals }))?;
        } else {
            writeln!(out, "{}", file.display())?;
        }
    }
    if !common.json {
        writeln!(out, "{} lines, of them {} reversals", report.lines, report.reversals)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn parse_range(text: &str) -> Result<Selection> {
    let wrong = || Failure::Usage(format!("--range: \"{text}\" is no range; 1-5000 would be right"));
    let (first, last) = text.split_once('-').ok_or_else(wrong)?;
    match (first.trim().parse(), last.trim().parse()) {
        (Ok(first), Ok(last)) => Ok(Selection::Range { first, last }),
        _ => Err(wrong()),
    }
}

/// How the configuration wants exports.
pub fn settings(office: &Office, directory: Option<PathBuf>) -> Result<Settings> {
    let configured = office.config.export.as_ref();
    let directory = directory.or_else(|| configured.map(|export| export.directory.clone())).ok_or_else(|| {
        Failure::Usage(format!("{}: [export] is missing; give --directory, or `directory` there", office.config.file.display()))
    })?;
    let formats = configured.map_or_else(
        || vec![Format::Csv, Format::Jsonl],
        |export| {
            let format = |format: &ExportFormat| match (format, export.dialect) {
                (ExportFormat::Csv, CsvDialect::Rfc4180) => Format::Csv,
                (ExportFormat::Csv, CsvDialect::German) => Format::CsvGerman,
                (ExportFormat::JsonLines, _) => Format::Jsonl,
            };
            export.formats.iter().map(format).collect()
        },
    );
    let digits = match office.config.privacy.mask_digits {
        0 => Digits::All,
        count => Digits::Masked(count),
    };
    Ok(Settings { directory, formats, digits, zone: office.in_force.zone() })
}
