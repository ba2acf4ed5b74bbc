//! `taktd check`: every mistake with its line, what looks like one, what each plan says, and the week of each
//! service with its prices.

use super::office::Office;
use super::{Common, Result};
use crate::clock;
use crate::config::check::{Contracts, PlanNames, PlanTerms, Report, Standing, WeekTable, report};
use crate::config::tariff;
use crate::tariff::Tariff;
use serde_json::json;
use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

pub fn run(common: &Common) -> Result {
    let report = report(&common.config, &standing(common));
    let mut out = io::stdout().lock();
    if common.json {
        objects(&report, &mut out)?
    } else {
        text(&report, &common.config.display(), &mut out)?
    }
    out.flush()?;
    Ok(if !report.problems.is_empty() { ExitCode::from(2) } else { ExitCode::SUCCESS })
}

/// One object a line: plans, weeks, then mistakes and warnings.
fn objects(report: &Report, out: &mut impl Write) -> io::Result<()> {
    for PlanTerms { file, plan, valid_from, lines } in &report.terms {
        let value = json!({ "kind": "plan", "file": file, "plan": plan, "valid_from": valid_from.to_string(), "lines": lines });
        writeln!(out, "{value}")?;
    }
    let of = |plans: &PlanNames| -> Vec<_> {
        plans.iter().map(|(plan, from)| json!({ "plan": plan, "valid_from": from.to_string() })).collect()
    };
    for WeekTable { file, service, plans, text, prices } in &report.weeks {
        let lines: Vec<&str> = text.lines().collect();
        let prices: Vec<_> = prices.iter().map(|(plans, lines)| json!({ "plans": of(plans), "lines": lines })).collect();
        let value = json!({ "kind": "week", "file": file, "service": service, "plans": of(plans), "lines": lines, "prices": prices });
        writeln!(out, "{value}")?;
    }
    for (level, problems) in [("error", &report.problems), ("warning", &report.warnings)] {
        for problem in problems {
            let value = json!({
                "kind": "problem", "level": level, "message": problem.to_string(), "file": problem.file(), "line": problem.line(),
                "column": problem.column(), "key": problem.key(), "what": problem.message(),
            });
            writeln!(out, "{value}")?;
        }
    }
    if let Some(contracts) = &report.contracts {
        let over: Vec<_> = contracts.over.iter().map(|(id, since)| json!({ "contract": id, "since": since.to_string() })).collect();
        let value = json!({ "kind": "contracts", "in_force": contracts.in_force, "to_come": contracts.to_come, "over": over });
        writeln!(out, "{value}")?;
    }
    Ok(())
}

fn text(report: &Report, config: &dyn Display, out: &mut impl Write) -> io::Result<()> {
    let mut files: Vec<&str> = report.terms.iter().map(|terms| &*terms.file).collect();
    files.dedup();
    for file in files {
        writeln!(out, "{file}")?;
        for PlanTerms { plan, valid_from, lines, .. } in report.terms.iter().filter(|terms| *terms.file == *file) {
            writeln!(out, "  plan {plan}, from {valid_from}")?;
            for line in lines {
                writeln!(out, "    {line}")?;
            }
        }
        for WeekTable { service, plans, text, prices, .. } in report.weeks.iter().filter(|week| *week.file == *file) {
            writeln!(out, "  service {service}, on {}", names(plans))?;
            for line in text.lines() {
                writeln!(out, "    {line}")?;
            }
            for (some, lines) in prices {
                let on = if prices.len() == 1 { String::new() } else { format!("on {}: ", names(some)) };
                for line in lines {
                    writeln!(out, "    price     {on}{line}")?;
                }
            }
        }
        writeln!(out)?;
    }
    for problem in &report.warnings {
        writeln!(out, "warning: {}\n", problem.with_excerpt())?;
    }
    for problem in &report.problems {
        writeln!(out, "error: {}\n", problem.with_excerpt())?;
    }
    if let Some(Contracts { in_force, to_come, over }) = &report.contracts {
        let shown: Vec<String> = over.iter().take(SHOWN).map(|(id, since)| format!("{id} since {since}")).collect();
        let more = if over.len() > SHOWN { ", ..." } else { "" };
        let list = if shown.is_empty() { String::new() } else { format!(" ({}{more})", shown.join(", ")) };
        writeln!(out, "contracts in force: {in_force}, to come: {to_come}, over: {}{list}", over.len())?;
    }
    match report.problems.len() {
        0 => writeln!(out, "{config} and the files it names are right; warnings: {}", report.warnings.len()),
        mistakes => writeln!(out, "mistakes: {mistakes}, warnings: {}", report.warnings.len()),
    }
}

/// So many contracts that are over are named.
const SHOWN: usize = 10;

/// The plans; of one with several versions, each with its day.
fn names(plans: &PlanNames) -> String {
    let mut names: Vec<String> = Vec::new();
    for (plan, from) in plans {
        let several = plans.iter().filter(|(other, _)| other == plan).count() > 1;
        names.push(if several { format!("{plan} from {from}") } else { plan.to_string() });
    }
    names.join(", ")
}

/// The time, and the tariffs of the ledger. A ledger that cannot be read is `verify`'s to tell of, and mistakes are the report's.
fn standing(common: &Common) -> Standing {
    let billed = || -> Option<Vec<Tariff>> {
        let ledger = Office::load(common).ok()?.reader_if_any().ok()??;
        let texts = ledger.documents(ledger.catalogue()?).ok()?;
        let tariffs = texts.iter().filter(|(kind, ..)| kind == "tariff");
        Some(tariffs.filter_map(|(_, name, text)| tariff::parse(name, text).ok()).collect())
    };
    Standing { now: clock::now(), billed: billed() }
}
