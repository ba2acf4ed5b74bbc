//! `taktd quote`: what a call would cost, with the balances of the ledger, if there is one.

use super::office::{Office, instant, json_line};
use super::{Common, Failure, Result, table};
use crate::calls::{BilledFrom, Call, Correlation, End, Talk, Withheld};
use crate::config::suggestion;
use crate::meter::Timing;
use crate::pipeline::catalogue::Said;
use crate::pipeline::said::said;
use crate::units::{CallId, Direction, RawNumber, Seconds};
use clap::Args;
use std::io::{self, Write};
use std::process::ExitCode;

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  taktd quote --contract K-1001 --service emergency --at 2026-03-13T21:57:00+01:00 --duration 12m")]
pub struct Arguments {
    /// The contract.
    #[arg(long, value_name = "K")]
    contract: String,
    /// The service: support, emergency, callback, or another of its tariff.
    #[arg(long, value_name = "S")]
    service: String,
    /// When talk begins: RFC 3339.
    #[arg(long, value_name = "TIME")]
    at: String,
    /// How long it is: 12m, 1h30m, 90s.
    #[arg(long, value_name = "SPAN")]
    duration: String,
    /// The severity.
    #[arg(long)]
    severity: Option<String>,
    /// The agent's level.
    #[arg(long)]
    level: Option<u8>,
}

pub fn run(common: &Common, arguments: &Arguments) -> Result {
    let office = Office::load(common)?;
    let in_force = &office.in_force;
    let Some(terms) = in_force.terms(&arguments.contract) else {
        return Err(office.no_contract(&arguments.contract));
    };
    if !in_force.tariffs().iter().any(|tariff| tariff.service(&arguments.service).is_some()) {
        let sold: Vec<&str> = in_force.tariffs().iter().flat_map(|tariff| &tariff.services).map(|service| &*service.name).collect();
        let sold = suggestion(&arguments.service, sold);
        return Err(Failure::Usage(format!("--service: no tariff sells \"{}\"; {sold}", arguments.service)));
    }
    let at = instant(&arguments.at, terms.zone())?;
    let duration = Seconds::parse(&arguments.duration)
        .ok_or_else(|| Failure::Usage(format!("--duration: \"{}\" is no span; 12m or 1h30m would be right", arguments.duration)))?;
    let mut calls = match office.reader_if_any()? {
        Some(ledger) => said(&ledger, in_force, &ledger.closings()?, &arguments.contract)?,
        None => Vec::new(),
    };
    calls.push(Said { call: asked(arguments, at, duration), authorised: true, reason: None, verdict: None, timing: Timing::InTime });
    let settled = in_force.settle(&terms, &calls, at.plus(duration));
    let Some(quoted) = settled.calls.last() else { return Ok(ExitCode::FAILURE) };
    let mut out = io::stdout().lock();
    if common.json {
        json_line(&mut out, &quoted.record)?;
    } else {
        writeln!(out, "{}\n{}", table::head(), table::row(&quoted.record))?;
        for line in &quoted.record.lines {
            writeln!(out, "  {:<60} {:>12}", table::short(line), line.amount.to_string())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The call that is asked about. Its name sorts last, so that calls that are there come first where instants are equal.
fn asked(arguments: &Arguments, at: crate::units::Timestamp, duration: Seconds) -> Call {
    let direction = if arguments.service == "callback" { Direction::Out } else { Direction::In };
    Call {
        id: CallId::new("quote").expect("not empty"),
        direction,
        hotline: None,
        service: arguments.service.as_str().into(),
        caller_raw: RawNumber::from_bytes(b""),
        caller: None,
        withheld: Withheld::No,
        called_raw: RawNumber::from_bytes(b""),
        called: None,
        contract: Some(arguments.contract.as_str().into()),
        started_at: at,
        answered_at: Some(at),
        talks: vec![Talk { agent: "".into(), level: arguments.level, from: at, to: Some(at.plus(duration)) }],
        ended_at: Some(at.plus(duration)),
        end: End::Observed,
        billed_from: BilledFrom::Agent,
        missed: None,
        severity: arguments.severity.as_deref().map(Into::into),
        ticket: None,
        correlation: Correlation::Explicit,
        marks: Vec::new(),
    }
}
