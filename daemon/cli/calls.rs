//! `taktd calls`: every call, running and ended, of any outcome.

use super::office::{Office, span};
use super::{Common, Result, agents, table};
use crate::ledger::Ledger;
use crate::ledger::result::{Object, Style, write_json};
use crate::meter::{Deadline, Outcome, Record, RecordKey};
use crate::pipeline::books::say;
use crate::pipeline::catalogue::InForce;
use crate::pipeline::said::said;
use crate::units::{Timestamp, Word};
use clap::Args;
use clap::builder::PossibleValuesParser;
use std::io::{self, Write};
use std::process::ExitCode;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  taktd calls --from 2026-11-01 --to 2026-12-01\n  taktd calls --outcome held    # what waits for a decision, and until when\n  taktd calls --contract K-1001 --outcome charged\n  taktd calls --json | jq 'select(.outcome == \"unmatched\")'"
)]
pub struct Arguments {
    /// Calls whose talk began (else: that were set up) from this time on: a day or RFC 3339.
    #[arg(long, value_name = "T")]
    from: Option<String>,
    /// Up to this time, exclusive.
    #[arg(long, value_name = "T")]
    to: Option<String>,
    /// Only calls of this outcome.
    #[arg(long, value_name = "WORD", value_parser = PossibleValuesParser::new(Outcome::ALL.iter().map(|outcome| outcome.word())))]
    outcome: Option<String>,
    /// Only calls of this contract.
    #[arg(long, value_name = "K")]
    contract: Option<String>,
}

pub fn run(common: &Common, arguments: &Arguments) -> Result {
    let office = Office::load(common)?;
    let ledger = office.reader()?;
    let (from, to) = span(arguments.from.as_deref(), arguments.to.as_deref(), office.in_force.zone())?;
    if let Some(contract) = &arguments.contract
        && office.in_force.terms(contract).is_none()
        && !ledger.contracts()?.contains(contract)
    {
        return Err(office.no_contract(contract));
    }
    let asked_for = |record: &Record| {
        let outcome = arguments.outcome.as_deref().is_none_or(|word| record.outcome.word() == word);
        outcome && arguments.contract.as_deref().is_none_or(|contract| record.contract.as_deref() == Some(contract))
    };
    let mut running = running(&ledger, &office.in_force, from, to)?;
    running.reverse();
    let mut out = io::BufWriter::new(io::stdout().lock());
    if !common.json {
        writeln!(out, "{}", table::head())?;
    }
    let mut show = |record: &Record| -> anyhow::Result<()> {
        if record.fee.is_some() || !asked_for(record) {
            return Ok(());
        }
        let waits = office.deadline(record);
        if common.json {
            let mut line = Vec::with_capacity(1_024);
            write_json(&mut line, record, &Style::PLAIN);
            if let RecordKey::Call(id) = &record.key
                && let Some(stored) = ledger.call(id)?
            {
                agents::append(&mut line, &stored.call, record.zone);
            }
            if let Some(Deadline { from, verdict, .. }) = waits {
                let mut object = Object::reopen(&mut line);
                object.text("decided_on", &from.to_string());
                object.text("decided_as", &verdict.to_string());
                object.end();
            }
            line.push(b'\n');
            out.write_all(&line)?;
        } else {
            let until = waits.map(|waits| format!("; {}", table::deadline(&waits))).unwrap_or_default();
            writeln!(out, "{}{until}", table::row(record))?;
        }
        Ok(())
    };
    ledger.records::<anyhow::Error>(from, to, |record| {
        while running.last().is_some_and(|earlier| begun(earlier) <= begun(&record)) {
            if let Some(earlier) = running.pop() {
                show(&earlier)?;
            }
        }
        show(&record)
    })?;
    while let Some(record) = running.pop() {
        show(&record)?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn begun(record: &Record) -> Timestamp {
    record.connected_at.unwrap_or(record.started_at)
}

/// What the running calls come to as of the ledger's time, by their beginning.
fn running(ledger: &Ledger, in_force: &InForce, from: Timestamp, to: Timestamp) -> Result<Vec<Record>> {
    let now = ledger.time();
    let closings = ledger.closings()?;
    let mut open = Vec::new();
    ledger.running_calls(|stored| {
        open.push(stored);
        Ok(())
    })?;
    let mut records = Vec::with_capacity(open.len());
    for stored in open {
        let (found, id) = (stored.matched.clone(), stored.call.id.clone());
        let contract = stored.contract().map(str::to_owned);
        let together = match contract.as_deref().and_then(|contract| in_force.terms(contract)) {
            Some(terms) => {
                let calls = said(ledger, in_force, &closings, contract.as_deref().unwrap_or_default())?;
                let place = calls.iter().position(|said| said.call.id == id);
                place.and_then(|place| in_force.settle(&terms, &calls, now).calls.into_iter().nth(place))
            }
            None => None,
        };
        let settled = together.unwrap_or_else(|| in_force.alone(&say(stored, in_force, &closings), &found, now));
        records.push(settled.record);
    }
    records.retain(|record| (from..to).contains(&begun(record)));
    records.sort_by_key(begun);
    Ok(records)
}
