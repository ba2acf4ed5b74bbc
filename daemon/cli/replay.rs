//! `taktd replay`: recordings and records into the ledger, with progress, and what came of it.

use super::file_sources::{CDR, CEL, CSV, FREESWITCH, FRITZBOX, FileSource, as_configured, file_sources};
use super::office::{Office, json_line};
use super::{Common, Failure, Result, table};
use crate::pipeline::books::Books;
use crate::pipeline::event_files::EventConfig;
use crate::pipeline::replay::{Ending, Recording, Step, Summary, replay};
use crate::sources::asterisk_cel;
use crate::sources::pcap::is_capture;
use crate::units::KeyedState;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::hash_map::RandomState;
use std::fs::File;
use std::hash::BuildHasher;
use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Legs kept at most; beyond, the oldest unanswered goes. 100,000 calls at once have 200,000, and those that ring or have just ended.
pub const MAX_LEGS: usize = 250_000;
/// Where the open channels of a channel event log are kept that no source configures.
const UNCONFIGURED: usize = usize::MAX;
/// More calls than these are not printed after a replay.
const MOST_ROWS: u64 = 200;

/// Recordings are recognised by their first bytes; other files are read as the source of KIND, or as the configured
/// source of that path. Without FILE every configured file source is read from its beginning.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  taktd replay capture.pcap\n  taktd replay --as asterisk-cdr /var/log/asterisk/cdr-csv/Master.csv.1\n  taktd replay --as asterisk-cel /var/log/asterisk/cel-custom/cel.csv\n  taktd replay --ledger /tmp/try.db --final capture.pcapng"
)]
pub struct Arguments {
    /// Read files as records of this kind.
    #[arg(long = "as", value_name = "KIND", value_parser = [CDR, CEL, CSV, FREESWITCH, FRITZBOX])]
    kind: Option<String>,
    /// Conclude calls whose end was not seen, at their last proof of life.
    #[arg(long = "final")]
    finalize: bool,
    /// pcap, pcapng, or files of records.
    files: Vec<PathBuf>,
}

pub fn run(common: &Common, arguments: &Arguments) -> Result {
    let office = Office::load(common)?;
    let recordings = recordings(&office, arguments)?;
    let mut books = Books::open(office.writer()?, office.in_force.clone())?;
    let bar = Bar::new(common.json);
    let ending = if arguments.finalize { Ending::Final } else { Ending::Open };
    let key = KeyedState::new(RandomState::new().hash_one("taktd"));
    let (summary, done) = replay(&mut books, &recordings, ending, &office.roles(), MAX_LEGS, key, &mut |step| bar.show(&step));
    bar.done();
    let told = tell(common, &books, &summary);
    done?;
    told?;
    Ok(ExitCode::SUCCESS)
}

/// What to read, in order.
fn recordings(office: &Office, arguments: &Arguments) -> Result<Vec<Recording>> {
    let sources = file_sources(office);
    let records = |source: &FileSource<'_>, file: Option<&Path>| as_configured(source.place, source.config, file);
    if arguments.files.is_empty() {
        let all: Vec<Option<Recording>> = sources.iter().map(|source| records(source, None)).collect::<Result<_>>()?;
        let all: Vec<Recording> = all.into_iter().flatten().collect();
        return match all.as_slice() {
            [] => Err(Failure::Usage("no FILE is given and no file source is configured; name a capture or a file of records".into())),
            _ => Ok(all),
        };
    }
    let mut recordings = Vec::with_capacity(arguments.files.len());
    for file in &arguments.files {
        let of_kind = |source: &&FileSource<'_>| arguments.kind.as_ref().is_none_or(|kind| *kind == source.kind);
        let configured = sources.iter().filter(of_kind).find(|source| source.path == *file);
        let source = match arguments.kind {
            Some(_) => configured.or_else(|| sources.iter().find(of_kind)),
            None => configured,
        };
        let capture = arguments.kind.is_none() && !file.is_dir() && begins_like_capture(file)?;
        let recording = match (source, arguments.kind.as_deref()) {
            (_, None) if capture => Some(Recording::Capture(file.clone())),
            (Some(source), _) => records(source, Some(file))?,
            // It needs no configuration: its columns and times explain themselves.
            (None, Some(CEL)) => Some(Recording::Events(
                UNCONFIGURED,
                Box::new(EventConfig::AsteriskCel(asterisk_cel::Config { path: file.clone(), layout: asterisk_cel::layout::Layout::Auto })),
            )),
            (None, Some(kind)) => {
                return Err(Failure::Usage(format!("--as {kind} needs a [[source]] of that kind: it says timezone and columns")));
            }
            (None, None) if std::fs::metadata(file).is_ok_and(|file| file.is_file() && file.len() == 0) => {
                return Err(Failure::Usage(format!("{}: the file is empty", file.display())));
            }
            (None, None) => {
                let file = file.display();
                return Err(Failure::Usage(format!(
                    "{file}: neither pcap nor pcapng, nor a configured source; say --as {CDR}, {CEL}, {CSV}, {FREESWITCH} or {FRITZBOX}"
                )));
            }
        };
        recordings.extend(recording);
    }
    Ok(recordings)
}

fn begins_like_capture(path: &Path) -> Result<bool> {
    let failed = |error: io::Error| Failure::Work(anyhow::anyhow!("{}: {error}", path.display()));
    let mut first = [0u8; 4];
    let length = File::open(path).and_then(|mut file| file.read(&mut first)).map_err(failed)?;
    Ok(is_capture(first.get(..length).unwrap_or_default()))
}

/// Progress on a terminal; nothing elsewhere.
struct Bar(Option<ProgressBar>);

impl Bar {
    fn new(json: bool) -> Self {
        Self((io::stderr().is_terminal() && !json).then(|| ProgressBar::new(0)))
    }

    fn show(&self, step: &Step<'_>) {
        let said = match step {
            Step::CutOff(path, offset) => {
                Some(format!("{}: the file ends within a packet, at byte {offset}; all before it was read", path.display()))
            }
            Step::SetAside(why, count) => Some(format!("{why}; records set aside: {count}")),
            Step::Reading(..) | Step::Rows(..) | Step::Settling(..) => None,
        };
        if let Some(said) = said.map(|said| format!("taktd: {said}")) {
            // Nothing is left to tell when standard error is gone.
            self.0.as_ref().map_or_else(|| drop(writeln!(io::stderr(), "{said}")), |bar| bar.println(&said));
        }
        let Some(bar) = &self.0 else { return };
        let style = |template: &str| ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        match step {
            Step::Reading(path, bytes, size) => {
                bar.set_style(style("{msg} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec} {eta}"));
                bar.set_message(path.file_name().unwrap_or_default().to_string_lossy().into_owned());
                bar.set_length(size.unwrap_or(*bytes));
                bar.set_position(*bytes);
            }
            Step::Rows(path, rows) => {
                bar.set_style(style("{msg} {pos} rows and lines"));
                bar.set_message(path.file_name().unwrap_or_default().to_string_lossy().into_owned());
                bar.set_position(*rows);
            }
            Step::CutOff(..) | Step::SetAside(..) => {}
            Step::Settling(done, all) => {
                bar.set_style(style("settling contracts [{bar:30}] {pos}/{len}"));
                bar.set_length(*all as u64);
                bar.set_position(*done as u64);
            }
        }
    }

    fn done(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

/// The calls that were told of, as they now stand, and what was read.
fn tell(common: &Common, books: &Books, summary: &Summary) -> Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let calls = summary.journaled.new + summary.journaled.changed + summary.journaled.same;
    if let Some((first, last)) = summary.span.filter(|_| common.json || calls <= MOST_ROWS) {
        if !common.json {
            writeln!(out, "{}", table::head())?;
        }
        books.ledger().records::<anyhow::Error>(first, last.plus_micros(1), |record| {
            if common.json {
                json_line(&mut out, &record).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe).into())
            } else if record.fee.is_none() {
                writeln!(out, "{}", table::row(&record)).map_err(Into::into)
            } else {
                Ok(())
            }
        })?;
        if !common.json {
            writeln!(out)?;
        }
    }
    if !common.json {
        totals(&mut out, summary, calls)?;
    }
    out.flush()?;
    Ok(())
}

fn totals(out: &mut impl Write, summary: &Summary, calls: u64) -> Result<()> {
    let Summary { read, messages, set_aside, bad_rows, unknown, journaled, posted, running, unmetered, .. } = summary;
    writeln!(
        out,
        "read {read} packets, rows and lines: {messages} messages of calls, {} set aside, {unknown} of no call seen",
        set_aside.total() + bad_rows
    )?;
    for (reason, count) in set_aside.iter().filter(|(_, count)| *count > 0) {
        writeln!(out, "  set aside {count}: {}", reason.label())?;
    }
    if *bad_rows > 0 {
        writeln!(out, "  set aside {bad_rows}: bad_row")?;
    }
    writeln!(
        out,
        "calls {calls}: {} new, {} changed, {} known already; {running} running",
        journaled.new, journaled.changed, journaled.same
    )?;
    writeln!(
        out,
        "not metered: {} internal, {} to no hotline, {} legs of no call",
        unmetered.internal, unmetered.unrelated, unmetered.orphans
    )?;
    writeln!(out, "posted {} entries and {} reversals", posted.entries, posted.reversals)?;
    if calls > MOST_ROWS {
        writeln!(out, "`taktd calls` shows the calls")?;
    }
    Ok(())
}
