//! `taktd explain`: the evidence of a call, and the lines its charge adds up from, each with the line of the tariff it follows
//! from: what stands in the ledger, settled again beside it.

use super::office::{Office, one_call, record_json};
use super::{Common, Result, agents, table};
use crate::contracts::local_date;
use crate::ledger::{Ledger, StoredCall};
use crate::meter::{Line, Origin, Record, RecordKey};
use crate::pipeline::books::said_by;
use crate::pipeline::requests::decided_by;
use crate::pipeline::said::said;
use crate::units::{Money, Seconds, Timestamp, Word};
use clap::Args;
use serde_json::{Value, json};
use std::io::{self, Write};
use std::process::ExitCode;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  taktd explain 3f9c2a10\n  taktd explain 3f9c2a10 --json")]
pub struct Arguments {
    /// The call, or the beginning of its name.
    call: String,
}

/// Where the lines of a record are written, and when they began.
type Origins = Vec<Option<(Origin, Timestamp)>>;

pub fn run(common: &Common, arguments: &Arguments) -> Result {
    let office = Office::load(common)?;
    let ledger = office.reader()?;
    let stored = one_call(&ledger, &arguments.call)?;
    let record = ledger.record(&RecordKey::Call(stored.call.id.clone()))?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    let Some(record) = record else {
        writeln!(out, "{} still runs, or is not settled yet", stored.call.id)?;
        return Ok(ExitCode::SUCCESS);
    };
    let origins = origins(&office, &ledger, &record)?;
    if common.json {
        writeln!(out, "{}", as_json(&office, &stored, &record, origins.as_ref()))?;
        out.flush()?;
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(out, "{}\n{}\n", table::head(), table::row(&record))?;
    write_evidence(&mut out, &stored, &record)?;
    write_charge(&mut out, &office, &record, origins.as_ref())?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// Settles the contract again; `None` where the call comes to something else under what is in force now.
fn origins(office: &Office, ledger: &Ledger, record: &Record) -> Result<Option<Origins>> {
    let Some(contract) = record.contract.as_deref() else { return Ok(Some(Origins::new())) };
    let Some(terms) = office.in_force.terms(contract) else { return Ok(None) };
    let calls = said(ledger, &office.in_force, &ledger.closings()?, contract)?;
    let settled = office.in_force.settle(&terms, &calls, ledger.time());
    Ok(settled.calls.into_iter().find(|settled| settled.record == *record).map(|settled| settled.origins))
}

fn write_evidence(out: &mut impl Write, stored: &StoredCall, record: &Record) -> Result<()> {
    let (call, zone) = (&stored.call, record.zone);
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
    // Of one level there is nothing to choose.
    if let Some(level) = call.level().filter(|level| call.talks.iter().any(|talk| talk.level != Some(*level))) {
        writeln!(out, "  level     {level}, the highest of those who talked: what the tariff sees")?;
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
    if let Some(decision) = &stored.decision {
        writeln!(out, "  {}", decided_by(decision))?;
    }
    Ok(())
}

fn write_charge(out: &mut impl Write, office: &Office, record: &Record, origins: Option<&Origins>) -> Result<()> {
    if let Some(plan) = &record.plan {
        let place = place_of_plan(office, record, plan).map(|(file, line)| format!(" ({file}:{line})")).unwrap_or_default();
        writeln!(out, "plan {plan}{place}")?;
    }
    if let Some(deadline) = office.deadline(record) {
        writeln!(out, "  without a decision: {}", table::deadline(&deadline))?;
    }
    if origins.is_none() {
        writeln!(
            out,
            "  settled with tariffs or contracts that are no longer in force: the lines stand as they were, without their places"
        )?;
    }
    for (number, line) in record.lines.iter().enumerate() {
        let origin = origins.and_then(|origins| origins.get(number).copied().flatten());
        let began = origin.map(|(_, at)| at.utc().with_timezone(&record.zone).format("%H:%M:%S").to_string()).unwrap_or_default();
        let place = origin.and_then(|(origin, _)| Some(format!("  {}:{}", file_of(office, origin)?, origin.line))).unwrap_or_default();
        let text = format!("{began:<8}  {:<60} {:>14}{place}", table::short(line), amount(line));
        writeln!(out, "  {}", text.trim_end())?;
    }
    let charge = &record.charge;
    let money = |amount| Money::new(amount, charge.currency).to_fixed();
    writeln!(out, "  {:<70} {:>14}", "net", money(charge.net))?;
    writeln!(out, "  {:<70} {:>14}", format!("VAT {} %", charge.vat_percent.normalize()), money(charge.vat))?;
    writeln!(out, "  {:<70} {:>14} {}", "gross", money(charge.gross), charge.currency.code())?;
    for used in &record.allowances {
        writeln!(out, "  used {} of {}", table::clock(Seconds::new(used.used)), used.id)?;
    }
    Ok(())
}

/// With at least the currency's two digits after the point, and with all that there are.
fn amount(line: &Line) -> String {
    let mut amount = line.amount.normalize();
    amount.rescale(amount.scale().max(2));
    amount.to_string()
}

/// The record, with its evidence and with where each line is written.
fn as_json(office: &Office, stored: &StoredCall, record: &Record, origins: Option<&Origins>) -> String {
    let zone = record.zone;
    let lines: Vec<Value> = record
        .lines
        .iter()
        .enumerate()
        .map(|(number, line)| {
            let origin = origins.and_then(|origins| origins.get(number).copied().flatten());
            json!({
                "text": table::short(line), "amount": line.amount.to_string(), "rule": line.rule.word(),
                "begins_at": origin.map(|(_, at)| at.rfc3339(zone)),
                "file": origin.and_then(|(origin, _)| file_of(office, origin)), "line": origin.map(|(origin, _)| origin.line),
            })
        })
        .collect();
    let call = &stored.call;
    let talks: Vec<Value> = call
        .talks
        .iter()
        .map(|talk| json!({ "from": talk.from.rfc3339(zone), "to": talk.to.map(|to| to.rfc3339(zone)), "agent": talk.agent, "level": talk.level }))
        .collect();
    let plan = record.plan.as_deref().and_then(|plan| place_of_plan(office, record, plan));
    let evidence = json!({
        "first_seq": stored.first_seq, "last_seq": stored.last_seq, "talks": talks, "level": call.level(),
        "assigned": stored.assignment.as_ref().map(said_by), "correlation": call.correlation.word(),
    });
    let explained = json!({
        "lines": lines, "in_force": origins.is_some(),
        "plan_file": plan.as_ref().map(|(file, _)| file), "plan_line": plan.map(|(_, line)| line), "evidence": evidence,
    });
    // The record in the order of its fields, and one more behind them.
    let mut whole = record_json(record).into_bytes();
    agents::append(&mut whole, call, zone);
    let whole = String::from_utf8_lossy(&whole);
    format!("{},\"explained\":{explained}}}", whole.strip_suffix('}').unwrap_or(&whole))
}

fn file_of(office: &Office, origin: Origin) -> Option<&str> {
    office.in_force.tariffs().get(origin.tariff).map(|tariff| &*tariff.file)
}

/// The file and line of the plan's version that priced a call.
fn place_of_plan<'o>(office: &'o Office, record: &Record, plan: &str) -> Option<(&'o str, u32)> {
    let day = local_date(record.connected_at.unwrap_or(record.started_at), record.zone);
    office.in_force.tariffs().iter().find_map(|tariff| Some((&*tariff.file, tariff.plan(plan, day)?.line)))
}
