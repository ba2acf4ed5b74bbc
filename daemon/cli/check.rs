//! `taktd check`: every mistake with its line, what looks like one, and the week of each service of each plan.

use super::{Common, Result};
use crate::clock;
use crate::config::check::{Standing, WeekTable, report};
use crate::config::{Config, tariff};
use crate::ledger::Ledger;
use crate::tariff::Tariff;
use std::io::{self, Write};
use std::process::ExitCode;

pub fn run(common: &Common) -> Result {
    let report = report(&common.config, &standing(common));
    let mut out = io::stdout().lock();
    let wrong = !report.problems.is_empty();
    if common.json {
        for (level, problems) in [("error", &report.problems), ("warning", &report.warnings)] {
            for problem in problems {
                let value = serde_json::json!({ "level": level, "message": problem.to_string() });
                writeln!(out, "{value}")?;
            }
        }
    } else {
        let mut last: Option<(Box<str>, Box<str>)> = None;
        for WeekTable { file, plan, valid_from, service, text } in &report.weeks {
            let this = (file.clone(), plan.clone());
            if last.as_ref() != Some(&this) {
                writeln!(out, "{file}: plan {plan}, from {valid_from}")?;
            }
            last = Some(this);
            writeln!(out, "  service {service}")?;
            for line in text.lines() {
                writeln!(out, "    {line}")?;
            }
        }
        for problem in &report.warnings {
            writeln!(out, "warning: {}\n", problem.with_excerpt())?;
        }
        for problem in &report.problems {
            writeln!(out, "error: {}\n", problem.with_excerpt())?;
        }
        match report.problems.len() {
            0 => writeln!(out, "{} and the files it names are right; warnings: {}", common.config.display(), report.warnings.len())?,
            mistakes => writeln!(out, "mistakes: {mistakes}, warnings: {}", report.warnings.len())?,
        }
    }
    out.flush()?;
    Ok(if wrong { ExitCode::from(2) } else { ExitCode::SUCCESS })
}

/// The time, and the tariffs of the ledger. A ledger that cannot be read is `verify`'s to tell of, and mistakes are the report's.
fn standing(common: &Common) -> Standing {
    let billed = || -> Option<Vec<Tariff>> {
        let ledger = Ledger::read(&Config::load(&common.config).ok()?.ledger?.path).ok()?;
        let texts = ledger.documents(ledger.catalogue()?).ok()?;
        let tariffs = texts.iter().filter(|(kind, ..)| kind == "tariff");
        Some(tariffs.filter_map(|(_, name, text)| tariff::parse(name, text).ok()).collect())
    };
    Standing { now: clock::now(), billed: billed() }
}
