//! `taktd assign`: gives a call to a contract. Where the daemon has the ledger, it is asked to do so.

use super::office::{Office, one_call, who};
use super::{Common, Result, table};
use crate::clock;
use crate::ledger::Assignment;
use crate::meter::RecordKey;
use crate::pipeline::requests::Request;
use crate::units::CallId;
use clap::Args;
use std::io::{self, Write};
use std::process::ExitCode;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  taktd assign 3f9c2a10 K-1001 --reason \"customer named in ticket 4711\"")]
pub struct Arguments {
    /// The call, or the beginning of its name.
    call: String,
    /// The contract.
    contract: String,
    /// Why; journaled with who.
    #[arg(long, default_value = "")]
    reason: String,
}

pub fn run(common: &Common, arguments: &Arguments) -> Result {
    let office = Office::load(common)?;
    if office.in_force.terms(&arguments.contract).is_none() {
        return Err(office.no_contract(&arguments.contract));
    }
    let id = one_call(&office.reader()?, &arguments.call)?.call.id;
    let assignment = Assignment {
        contract: arguments.contract.as_str().into(),
        who: who().into(),
        why: arguments.reason.as_str().into(),
        at: clock::now(),
    };
    office.carry_out(&Request::Assign { call: id.clone(), assignment })?;
    show(common, &office, &id)
}

fn show(common: &Common, office: &Office, id: &CallId) -> Result {
    let mut out = io::stdout().lock();
    match office.reader()?.record(&RecordKey::Call(id.clone()))? {
        Some(record) if common.json => super::office::json_line(&mut out, &record)?,
        Some(record) => writeln!(out, "{}\n{}", table::head(), table::row(&record))?,
        None => writeln!(out, "{id} still runs; it is billed to the contract when it has ended")?,
    }
    Ok(ExitCode::SUCCESS)
}
