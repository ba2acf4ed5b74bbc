//! `taktd rate`: the calls of a file under the tariffs and contracts in force, without a ledger and without a clock.

use super::office::{Office, instant, json_line};
use super::rate_csv::{RatedCall, read};
use super::{Common, Result, table};
use crate::meter::{Record, Timing};
use crate::pipeline::catalogue::{InForce, Said};
use crate::units::Timestamp;
use clap::Args;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// The columns of calls.csv, in any order: call_id, direction (in|out), caller, called, started_at, answered_at,
/// connected_at, ended_at (RFC 3339 with offset), agent, level, severity, ticket, contract, decision. Empty: unknown.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  taktd rate --config config/taktd.toml --calls tests/cases/rate/calls.csv --json")]
pub struct Arguments {
    /// The calls.
    #[arg(long, value_name = "FILE")]
    calls: PathBuf,
    /// It is this time: deadlines of decisions pass. Without it none does.
    #[arg(long, value_name = "T")]
    as_of: Option<String>,
}

pub fn run(common: &Common, arguments: &Arguments) -> Result {
    let office = Office::load(common)?;
    let calls = read(&arguments.calls, office.in_force.directory())?;
    let last = calls.iter().filter_map(|rated| rated.call.ended_at).max().unwrap_or_default();
    let until = arguments.as_of.as_deref().map_or(Ok(last), |text| instant(text, office.in_force.zone()))?;
    let records = rate(&office.in_force, calls, until.max(last), arguments.as_of.is_some());
    let mut out = io::BufWriter::new(io::stdout().lock());
    if !common.json {
        writeln!(out, "{}", table::head())?;
    }
    for record in records.into_iter().flatten() {
        if common.json {
            json_line(&mut out, &record)?;
        } else {
            writeln!(out, "{}", table::row(&record))?;
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// One record per call, in input order: each contract's calls settled together.
fn rate(in_force: &InForce, calls: Vec<RatedCall>, until: Timestamp, clock: bool) -> Vec<Option<Record>> {
    let mut records: Vec<Option<Record>> = calls.iter().map(|_| None).collect();
    let mut by_contract: BTreeMap<Box<str>, (Vec<usize>, Vec<Said>)> = BTreeMap::new();
    for (place, RatedCall { call, verdict }) in calls.into_iter().enumerate() {
        match in_force.find(&call) {
            crate::contracts::Match::Contract { id, authorised, reason } => {
                let (places, said) = by_contract.entry(id).or_default();
                places.push(place);
                said.push(Said { call, authorised, reason, verdict, timing: Timing::InTime });
            }
            found => {
                if let Some(slot) = records.get_mut(place) {
                    *slot = Some(in_force.unbilled(&call, &found, until));
                }
            }
        }
    }
    for (contract, (places, said)) in by_contract {
        let Some(terms) = in_force.terms(&contract) else { continue };
        // Without a clock no deadline passes, however late the last call of the file is.
        let terms = if clock { terms } else { terms.without_clock() };
        let settled = in_force.settle(&terms, &said, until);
        for (place, settled) in places.into_iter().zip(settled.calls) {
            if let Some(slot) = records.get_mut(place) {
                *slot = Some(settled.record);
            }
        }
    }
    records
}
