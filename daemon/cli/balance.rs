//! `taktd balance`: what is left of a contract's allowances, as of the ledger's time.

use super::office::{Office, instant};
use super::{Common, Result, table};
use crate::meter::Balance;
use crate::pipeline::said::said;
use crate::units::Seconds;
use clap::Args;
use std::io::{self, Write};
use std::process::ExitCode;

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  taktd balance K-1001")]
pub struct Arguments {
    /// The contract.
    contract: String,
    /// As of this time instead.
    #[arg(long, value_name = "T")]
    at: Option<String>,
}

pub fn run(common: &Common, arguments: &Arguments) -> Result {
    let office = Office::load(common)?;
    let Some(terms) = office.in_force.terms(&arguments.contract) else {
        return Err(office.no_contract(&arguments.contract));
    };
    let ledger = office.reader()?;
    let calls = said(&ledger, &office.in_force, &ledger.closings()?, &arguments.contract)?;
    let at = arguments.at.as_deref().map_or(Ok(ledger.time()), |text| instant(text, terms.zone()))?;
    let settled = office.in_force.settle(&terms, &calls, at);
    let today = terms.day(at);
    let current = |balance: &&Balance| balance.from <= today && balance.lapses.is_none_or(|lapses| today < lapses);
    let mut out = io::stdout().lock();
    if !common.json {
        writeln!(out, "{} as of {}", arguments.contract, at.rfc3339(terms.zone()))?;
        writeln!(
            out,
            "{:<20}  {:<16}  {:<10}  {:<10}  {:>9}  {:>9}  {:>9}",
            "plan", "allowance", "from", "lapses", "granted", "used", "left"
        )?;
    }
    for balance in settled.balances.iter().filter(current) {
        let used = balance.granted.saturating_sub(balance.left);
        if common.json {
            let value = serde_json::json!({
                "contract": arguments.contract, "plan": balance.plan, "allowance": balance.allowance,
                "from": balance.from.to_string(), "lapses": balance.lapses.map(|day| day.to_string()),
                "unit": if balance.is_time { "s" } else { "1" }, "granted": balance.granted, "used": used, "left": balance.left,
            });
            writeln!(out, "{value}")?;
            continue;
        }
        let show = |amount: u64| if balance.is_time { table::clock(Seconds::new(amount)) } else { amount.to_string() };
        let lapses = balance.lapses.map_or_else(|| "never".to_owned(), |day| day.to_string());
        writeln!(
            out,
            "{:<20}  {:<16}  {:<10}  {lapses:<10}  {:>9}  {:>9}  {:>9}",
            balance.plan,
            balance.allowance,
            balance.from.to_string(),
            show(balance.granted),
            show(used),
            show(balance.left)
        )?;
    }
    Ok(ExitCode::SUCCESS)
}
