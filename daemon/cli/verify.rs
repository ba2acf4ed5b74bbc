//! `taktd verify`: the chains of hashes, and every record computed anew from the evidence.

use super::office::Office;
use super::{Common, Result};
use crate::config::Catalogue;
use crate::export::{Checked, check};
use crate::ledger::{Ledger, LedgerError};
use crate::pipeline::audit;
use crate::pipeline::catalogue::InForce;
use clap::Args;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  taktd verify --config /etc/taktd/taktd.toml\n  taktd verify --manifest export/taktd-1-250.manifest.json\nThe latter needs neither ledger nor configuration."
)]
pub struct Arguments {
    /// Check the files of an export by what its manifest says, and nothing else.
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
}

pub fn run(common: &Common, arguments: &Arguments) -> Result {
    arguments.manifest.as_deref().map_or_else(|| ledger(common), |manifest| export(common, manifest))
}

/// An export by its manifest.
fn export(common: &Common, manifest: &Path) -> Result {
    let Checked { files, lines, last_hash, findings } = check(manifest)?;
    let mut out = io::stdout().lock();
    show(&mut out, common, &findings)?;
    if common.json {
        let value = serde_json::json!({ "files": files, "lines": lines, "last_hash": last_hash, "findings": findings.len() });
        writeln!(out, "{value}")?;
    } else {
        files.iter().try_for_each(|file| writeln!(out, "{}", file.display()))?;
        if let Some(hash) = last_hash {
            writeln!(out, "the last entry has the hash {hash}")?;
        }
        writeln!(out, "lines: {lines}; findings: {}", findings.len())?;
    }
    Ok(if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn show(out: &mut impl Write, common: &Common, findings: &[String]) -> io::Result<()> {
    for finding in findings {
        if common.json {
            writeln!(out, "{}", serde_json::json!({ "finding": finding }))?;
        } else {
            writeln!(out, "{finding}")?;
        }
    }
    Ok(())
}

/// The ledger, all of it.
fn ledger(common: &Common) -> Result {
    let office = Office::load(common)?;
    let key = office.known_key()?;
    let mut ledger = office.reader()?;
    let bar = (io::stderr().is_terminal() && !common.json).then(|| indicatif::ProgressBar::new(0));
    let progress = |done: u64, all: u64| {
        if let Some(bar) = &bar {
            bar.set_length(all);
            bar.set_position(done);
        }
    };
    let mut findings: Vec<String> = ledger
        .verify(key.as_ref(), progress)?
        .into_iter()
        .map(|finding| format!("{} {}: {}", finding.table, finding.row, finding.what))
        .collect();
    let settled = match audit::settle_anew(&ledger, &then_in_force(&office, &ledger)?) {
        Ok((settled, differing)) => {
            findings.extend(differing);
            settled
        }
        // What cannot be read was found above; the rest of it is not settled again.
        Err(LedgerError::Damaged { .. }) if !findings.is_empty() => 0,
        Err(error) => return Err(error.into()),
    };
    if let Some(bar) = &bar {
        bar.finish_and_clear();
    }
    let mut out = io::stdout().lock();
    show(&mut out, common, &findings)?;
    let heads = ledger.heads();
    if common.json {
        let value = serde_json::json!({
            "evidence": heads.evidence.0, "entries": heads.entry.0, "head": heads.entry.1.hex(), "settled": settled, "findings": findings.len(),
        });
        writeln!(out, "{value}")?;
    } else {
        writeln!(out, "evidence 1-{}, entries 1-{} (head {})", heads.evidence.0, heads.entry.0, heads.entry.1.hex())?;
        writeln!(out, "records settled anew: {settled}; findings: {}", findings.len())?;
    }
    Ok(if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// The tariffs and contracts that the ledger was settled with last, from its own texts: what the files say by now may be
/// another thing.
fn then_in_force(office: &Office, ledger: &Ledger) -> Result<InForce> {
    let texts = ledger.catalogue().map(|version| ledger.documents(version)).transpose()?.unwrap_or_default();
    let directory = office.config.directory.clone();
    let catalogue = Catalogue::of_texts(texts, &directory.dial_plan)
        .map_err(|problems| anyhow::anyhow!("the texts that the ledger keeps cannot be read any more\n{problems}"))?;
    Ok(InForce::new(catalogue.tariffs, catalogue.contracts, directory, Vec::new()))
}
