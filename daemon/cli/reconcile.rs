//! `taktd reconcile`: what only one source saw, and where sources differ.

use super::office::{Office, span};
use super::{Common, Result};
use crate::calls::Call;
use crate::pipeline::reconcile::{Finding, reconcile};
use crate::units::{Seconds, Word};
use anyhow::Context;
use clap::Args;
use serde_json::json;
use std::io::{self, Write};
use std::process::ExitCode;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  taktd reconcile --from 2026-11-23 --to 2026-11-24\n  taktd reconcile --from 2026-11-01 --tolerance 5 --json\n\nA source with role = \"reconcile\" is held against those that meter. A call that it alone saw is billed from it, and marked."
)]
pub struct Arguments {
    /// Calls whose talk began (else: that were set up) from this time on: a day or RFC 3339.
    #[arg(long, value_name = "T")]
    from: Option<String>,
    /// Up to this time, exclusive.
    #[arg(long, value_name = "T")]
    to: Option<String>,
    /// Differences of up to so many seconds are none: records have whole ones.
    #[arg(long, value_name = "SECONDS", default_value_t = 2)]
    tolerance: u64,
}

pub fn run(common: &Common, arguments: &Arguments) -> Result {
    let office = Office::load(common)?;
    let ledger = office.reader()?;
    let zone = office.in_force.zone();
    let times = span(arguments.from.as_deref(), arguments.to.as_deref(), zone)?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    let sum = reconcile::<anyhow::Error>(&ledger, times, Seconds::new(arguments.tolerance), |stored, finding| {
        let call = &stored.call;
        if common.json {
            writeln!(out, "{}", as_json(call, &finding, zone))?;
        } else {
            let mut started = Vec::new();
            call.started_at.write_plain(&mut started, zone);
            let started = String::from_utf8_lossy(&started);
            let id: String = call.id.as_str().chars().take(8).collect();
            let hotline = call.hotline.as_deref().unwrap_or(&call.service);
            writeln!(out, "{started}  {id}  {:<15}  {hotline:<18}  {}", caller(call), in_words(&finding))?;
        }
        Ok(())
    })?;
    let Some(sum) = sum else {
        out.flush().context("standard output")?;
        eprintln!("the ledger knows calls of one kind of source only: there is nothing to hold against each other");
        return Ok(ExitCode::SUCCESS);
    };
    if common.json {
        writeln!(out, "{}", json!({ "calls": sum.calls, "seen_by_several": sum.several, "findings": sum.findings }))
            .context("standard output")?;
    } else {
        let (calls, several, findings) = (sum.calls, sum.several, sum.findings);
        writeln!(out, "{calls} calls, {several} seen by several sources, {findings} to look at").context("standard output")?;
    }
    out.flush().context("standard output")?;
    Ok(ExitCode::SUCCESS)
}

fn caller(call: &Call) -> String {
    call.caller.map_or_else(|| call.caller_raw.as_str().to_owned(), |number| number.to_string())
}

fn in_words(finding: &Finding) -> String {
    match finding {
        Finding::Only(by) => format!("only {} saw it", by.witness.word()),
        Finding::Differ(one, other, found) => {
            let found: Vec<String> = found.iter().map(ToString::to_string).collect();
            format!("{} and {}: {}", one.witness.word(), other.witness.word(), found.join(", "))
        }
    }
}

fn as_json(call: &Call, finding: &Finding, zone: chrono_tz::Tz) -> serde_json::Value {
    let mut value = json!({
        "call_id": call.id.as_str(),
        "started_at": call.started_at.rfc3339(zone),
        "hotline": call.hotline.as_deref(),
        "caller": caller(call),
    });
    let told = match finding {
        Finding::Only(by) => json!({ "finding": "only", "source": by.witness.word(), "role": by.role.word() }),
        Finding::Differ(one, other, found) => json!({
            "finding": "differ",
            "sources": [one.witness.word(), other.witness.word()],
            "differences": found.iter().map(ToString::to_string).collect::<Vec<_>>(),
        }),
    };
    if let (Some(value), serde_json::Value::Object(told)) = (value.as_object_mut(), told) {
        value.extend(told);
    }
    value
}
