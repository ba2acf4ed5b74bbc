//! `taktd backup`: a copy of the ledger, checked, while the daemon goes on.

use super::office::Office;
use super::{Common, Result};
use crate::ledger::Copy;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// How often progress is shown.
const GLANCE: Duration = Duration::from_millis(200);

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  taktd backup /srv/backup/taktd-$(date +%F).db\nThe key of its numbers (privacy.key_file) belongs to it."
)]
pub struct Arguments {
    /// The copy; there must be no file of that name.
    file: PathBuf,
}

pub fn run(common: &Common, arguments: &Arguments) -> Result {
    let office = Office::load(common)?;
    let ledger = office.reader()?;
    let bar = if io::stderr().is_terminal() && !common.json { ProgressBar::new(0) } else { ProgressBar::hidden() };
    let style = |text: &str| ProgressStyle::with_template(text).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.set_style(style("copying   {wide_bar} {bytes} of {total_bytes}"));
    let copy = Copy::begin(&arguments.file)?;
    bar.set_length(ledger.bytes_in_use()?);
    std::thread::scope(|scope| {
        let (done, waiting) = channel::<()>();
        let (bar, path) = (&bar, copy.temporary());
        scope.spawn(move || {
            while waiting.recv_timeout(GLANCE) == Err(RecvTimeoutError::Timeout) {
                bar.set_position(fs::metadata(path).map_or(0, |meta| meta.len()));
            }
        });
        let written = copy.write(&ledger);
        drop(done);
        written
    })?;
    bar.set_style(style("verifying {wide_bar} {pos} of {len} rows"));
    let mut copied = copy.open()?;
    let findings = copied.verify(office.known_key()?.as_ref(), |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    let heads = copied.heads();
    drop(copied);
    if let Some(first) = findings.first() {
        let count = findings.len();
        return Err(anyhow::anyhow!("the copy has {count} findings and was removed; the first: {first}; `taktd verify` tells more").into());
    }
    copy.publish()?;
    let bytes = fs::metadata(&arguments.file)?.len();
    let key = office.key_file()?;
    let mut out = io::stdout().lock();
    if common.json {
        let value = serde_json::json!({
            "file": arguments.file, "bytes": bytes, "evidence": heads.evidence.0, "entries": heads.entry.0,
            "head": heads.entry.1.hex(), "key_file": key,
        });
        writeln!(out, "{value}")?;
    } else {
        writeln!(out, "{}: {bytes} bytes, checked", arguments.file.display())?;
        writeln!(out, "evidence 1-{}, entries 1-{} (head {})", heads.evidence.0, heads.entry.0, heads.entry.1.hex())?;
        writeln!(out, "the key of its numbers is {}: keep it too, in another place than the copy", key.display())?;
    }
    Ok(ExitCode::SUCCESS)
}
