//! The commands of design.md §9, a file each. Exit status: 0 fine, 1 the work failed, 2 wrong usage or configuration.

mod agents;
mod assign;
mod backup;
mod balance;
mod calls;
mod check;
mod csv_head;
mod decide;
mod decisions_csv;
mod explain;
mod export;
mod file_sources;
mod office;
mod privacy;
mod quote;
mod rate;
mod rate_csv;
mod rate_names;
mod rate_row;
mod reconcile;
mod replay;
mod run;
mod simulate;
mod table;
mod verify;

use clap::{Args, CommandFactory, Parser, Subcommand};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Meters the calls of support hotlines: evidence in, explained and billable records out.
#[derive(Debug, Parser)]
#[command(name = "taktd", version, about, after_help = "Start with `taktd check`; every command has --help with examples.")]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Clone, Debug, Args)]
struct Common {
    /// The configuration file.
    #[arg(long, global = true, value_name = "FILE", default_value = "/etc/taktd/taktd.toml")]
    config: PathBuf,
    /// Use this ledger (a file, or sqlite:FILE) in place of the configured one; its key stands beside it.
    #[arg(long, global = true, value_name = "URL")]
    ledger: Option<String>,
    /// Print JSON, one object a line.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Meter live: listen, correlate, settle, export by night.
    #[command(after_help = "Example:\n  taktd run --config /etc/taktd/taktd.toml")]
    Run,
    /// Check the configuration, the tariffs and the contracts; show the week of every service.
    #[command(after_help = "Example:\n  taktd check --config config/taktd.toml")]
    Check,
    /// Read recordings or records into the ledger; the same twice changes nothing.
    Replay(replay::Arguments),
    /// Hold the sources against each other: what only one saw, and where they differ.
    Reconcile(reconcile::Arguments),
    /// Show every call, running and ended, of any outcome.
    Calls(calls::Arguments),
    /// Rate the calls of a CSV file, without a ledger.
    Rate(rate::Arguments),
    /// What would a call cost?
    Quote(quote::Arguments),
    /// Why does a call cost what it costs?
    Explain(explain::Arguments),
    /// Write records as CSV and JSON Lines with a manifest.
    Export(export::Arguments),
    /// What is left of a contract's allowances?
    Balance(balance::Arguments),
    /// Give a call to a contract: for calls that matched none, or several.
    Assign(assign::Arguments),
    /// Say whose fault a call was: customer, provider, or goodwill.
    Decide(decide::Arguments),
    /// What would other prices have come to? The ledger's calls under another tariff.
    Simulate(simulate::Arguments),
    /// Everything about one caller's number: list it, keep it for a dispute, erase it.
    Privacy(privacy::Arguments),
    /// Copy the ledger while the daemon goes on, and check the copy.
    Backup(backup::Arguments),
    /// Compute everything again and find any tampering; or hold an export against its manifest.
    Verify(verify::Arguments),
}

/// Why a command did not do its work.
#[derive(Debug)]
enum Failure {
    /// Wrong usage or configuration: exit 2.
    Usage(String),
    /// The work failed: exit 1.
    Work(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Work(error.into())
    }
}

type Result<T = ExitCode> = std::result::Result<T, Failure>;

/// The command line: what it takes, and what it says about it. Man pages and completions are made from it.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// Parses the arguments and runs the command.
#[must_use]
pub fn main() -> ExitCode {
    let Cli { common, command } = Cli::parse();
    let done = match command {
        Command::Run => run::run(&common),
        Command::Check => check::run(&common),
        Command::Replay(arguments) => replay::run(&common, &arguments),
        Command::Reconcile(arguments) => reconcile::run(&common, &arguments),
        Command::Calls(arguments) => calls::run(&common, &arguments),
        Command::Rate(arguments) => rate::run(&common, &arguments),
        Command::Quote(arguments) => quote::run(&common, &arguments),
        Command::Explain(arguments) => explain::run(&common, &arguments),
        Command::Export(arguments) => export::run(&common, &arguments),
        Command::Balance(arguments) => balance::run(&common, &arguments),
        Command::Assign(arguments) => assign::run(&common, &arguments),
        Command::Decide(arguments) => decide::run(&common, &arguments),
        Command::Simulate(arguments) => simulate::run(&common, &arguments),
        Command::Privacy(arguments) => privacy::run(&common, &arguments),
        Command::Backup(arguments) => backup::run(&common, &arguments),
        Command::Verify(arguments) => verify::run(&common, &arguments),
    };
    let (status, message) = match done {
        Ok(status) => return status,
        Err(Failure::Work(error)) if is_closed_pipe(&error) => return ExitCode::SUCCESS,
        Err(Failure::Work(error)) => (1, told_once(&error)),
        Err(Failure::Usage(message)) => (2, message),
    };
    // Nothing is left to tell when standard error is gone too.
    let _ = writeln!(io::stderr(), "taktd: {message}");
    ExitCode::from(status)
}

/// An error with its causes, each told once: some errors name their cause themselves.
fn told_once(error: &anyhow::Error) -> String {
    error
        .chain()
        .skip(1)
        .map(ToString::to_string)
        .fold(error.to_string(), |told, cause| if told.contains(&cause) { told } else { format!("{told}: {cause}") })
}

/// Whoever reads our output had enough (`taktd calls | head`).
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
