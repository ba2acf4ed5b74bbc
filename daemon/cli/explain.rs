//! `taktd explain`: the evidence of a call, and the lines its charge adds up from.

use super::office::{Office, json_line, one_call};
use super::{Common, Result, table};
use crate::meter::RecordKey;
use crate::pipeline::books::said_by;
use crate::units::{Money, Seconds, Word};
use clap::Args;
use std::io::{self, Write};
use std::process::ExitCode;

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  taktd explain 3f9c2a10")]
pub struct Arguments {
    /// The call, or the beginning of its name.
    call: String,
}

pub fn run(common: &Common, arguments: &Arguments) -> Result {
    let office = Office::load(common)?;
    let ledger = office.reader()?;
    let stored = one_call(&ledger, &arguments.call)?;
    let call = &stored.call;
    let record = ledger.record(&RecordKey::Call(call.id.clone()))?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    let Some(record) = record else {
        writeln!(out, "{} still runs, or is not settled yet", call.id)?;
        return Ok(ExitCode::SUCCESS);
    };
    if common.json {
        json_line(&mut out, &record)?;
        out.flush()?;
        return Ok(ExitCode::SUCCESS);
    }
    let zone = record.zone;
    writeln!(out, "{}\n{}\n", table::head(), table::row(&record))?;
    writeln!(out, "evidence {} (sequence {} to {})", call.id, stored.first_seq, stored.last_seq)?;
    writeln!(out, "  set up    {}", call.started_at.rfc3339(zone))?;
    if let Some(answered) = call.answered_at {
        writeln!(out, "  answered  {} by the switch", answered.rfc3339(zone))?;
    }
    for talk in &call.talks {
        let level = talk.level.map(|level| format!(", level {level}")).unwrap_or_default();
        let to = talk.to.map_or_else(|| "now".to_owned(), |to| to.rfc3339(zone));
        writeln!(
            out,
            "  talk      {} to {to} with {}{level}",
            talk.from.rfc3339(zone),
            if talk.agent.is_empty() { "somebody" } else { &talk.agent }
        )?;
    }
    if let Some(ended) = call.ended_at {
        writeln!(out, "  ended     {} ({})", ended.rfc3339(zone), call.end.word())?;
    }
    writeln!(
        out,
        "  wait {}, talk {}, billed {} from {}",
        table::clock(record.wait),
        table::clock(record.talk),
        table::clock(record.billed),
        call.billed_from.word()
    )?;
    writeln!(out, "who pays: {}", record.contract.as_deref().unwrap_or("nobody"))?;
    if let Some(assignment) = &stored.assignment {
        writeln!(out, "  {}", said_by(assignment))?;
    }
    if let Some(plan) = &record.plan {
        let day = crate::contracts::local_date(call.connected_at().unwrap_or(call.started_at), zone);
        let place = office.in_force.tariffs().iter().find_map(|tariff| Some((&tariff.file, tariff.plan(plan, day)?.line)));
        let place = place.map(|(file, line)| format!(" ({file}:{line})")).unwrap_or_default();
        writeln!(out, "plan {plan}{place}")?;
    }
    for line in &record.lines {
        writeln!(out, "  {:<60} {:>14}", table::short(line), line.amount.to_string())?;
    }
    let charge = &record.charge;
    let money = |amount| Money::new(amount, charge.currency).to_fixed();
    writeln!(out, "  {:<60} {:>14}", "net", money(charge.net))?;
    writeln!(out, "  {:<60} {:>14}", format!("VAT {} %", charge.vat_percent.normalize()), money(charge.vat))?;
    writeln!(out, "  {:<60} {:>14} {}", "gross", money(charge.gross), charge.currency.code())?;
    for used in &record.allowances {
        writeln!(out, "  used {} of {}", table::clock(Seconds::new(used.used)), used.id)?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
