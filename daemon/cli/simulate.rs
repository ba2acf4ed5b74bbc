//! `taktd simulate`: the ledger's calls under another tariff, and the difference per contract. Nothing is written.

use super::office::{Office, span};
use super::{Common, Failure, Result, table};
use crate::config::{Exchanged, suggestion};
use crate::contracts::Contract;
use crate::meter::{Record, RecordKey};
use crate::pipeline::simulation::{Compared, LeftOut, Mixed, Simulation, Sums};
use crate::units::{Currency, Money, Seconds, Word};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use rust_decimal::Decimal;
use serde_json::json;
use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// More contracts that break a rule are counted, not listed.
const MOST_WARNINGS: usize = 20;

/// The tariff file takes the place of the tariff of its name; contracts keep their plans. Under --plan each contract is taken
/// as if it had held exactly that plan, from its start to its end. The whole history is settled both ways, so that
/// allowances and incidents are carried into the span; calls whose talk, and fees whose period, begins in it are compared.
/// Contracts are those of the files; calls of no contract are not simulated, and counted.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  taktd simulate --tariff new/support-level.toml --from 2025-01-01 --to 2026-01-01\n  taktd simulate --tariff tariffs/work-units.toml --plan work-units --contract K-1001 --from 2025-01-01 --to 2026-01-01 --calls\n  taktd simulate --tariff new.toml --from 2025-01-01 --to 2026-01-01 --json | jq 'select(.kind == \"total\")'"
)]
pub struct Arguments {
    /// The tariff as it would be.
    #[arg(long, value_name = "FILE")]
    tariff: PathBuf,
    /// The plan of it that every contract would hold.
    #[arg(long, value_name = "P")]
    plan: Option<String>,
    /// From this time on: a day or RFC 3339.
    #[arg(long, value_name = "T")]
    from: String,
    /// Up to this time, exclusive.
    #[arg(long, value_name = "T")]
    to: String,
    /// Only this contract; may be given several times.
    #[arg(long = "contract", value_name = "K")]
    contracts: Vec<String>,
    /// Show each call whose net or outcome differs, as it is and as it would be.
    #[arg(long)]
    calls: bool,
}

pub fn run(common: &Common, arguments: &Arguments) -> Result {
    let office = Office::load(common)?;
    let in_force = &office.in_force;
    let exchanged = Exchanged::read(in_force.tariffs(), &arguments.tariff).map_err(|problems| {
        let shown: Vec<String> = problems.all().iter().map(|problem| format!("error: {}\n", problem.with_excerpt())).collect();
        Failure::Usage(format!("a tariff that cannot be simulated; mistakes: {}\n\n{}", shown.len(), shown.join("\n")))
    })?;
    let span = span(Some(&arguments.from), Some(&arguments.to), in_force.zone())?;
    let contracts = concerned(&office, arguments, &exchanged)?;
    let simulation = Simulation { now: in_force, then: &exchanged.tariffs, plan: arguments.plan.as_deref(), span };
    let mut ledger = office.reader()?;
    warn_of_breaches(&exchanged, contracts.iter().flat_map(|contract| simulation.rows(contract)).collect());
    let home = exchanged.other().map_or(Currency::EUR, |tariff| tariff.currency);
    let mut report = Report::new(common.json, arguments.calls, contracts.len());
    report.head()?;
    let left_out = simulation.run(&mut ledger, &contracts, |compared| report.contract(compared))?;
    report.end(home, left_out)?;
    Ok(ExitCode::SUCCESS)
}

/// The contracts to compare, in order of name: those asked for, else all; without a plan, those that hold one it is about.
fn concerned(office: &Office, arguments: &Arguments, exchanged: &Exchanged) -> Result<Vec<String>> {
    let (file, known) = (arguments.tariff.display(), office.in_force.contracts());
    let plans = || exchanged.other().into_iter().flat_map(|tariff| &tariff.plans).map(|plan| &*plan.id);
    if let Some(plan) = arguments.plan.as_deref().filter(|plan| !plans().any(|id| id == *plan)) {
        let right = suggestion(plan, plans().collect::<Vec<_>>());
        return Err(Failure::Usage(format!("--plan: {file} has no plan \"{plan}\"; {right}")));
    }
    if let Some(unknown) = arguments.contracts.iter().find(|contract| known.history(contract).is_empty()) {
        return Err(office.no_contract(unknown));
    }
    let asked_for = |id: &&str| arguments.contracts.is_empty() || arguments.contracts.iter().any(|contract| contract == id);
    let concerned = |id: &&str| {
        let held = || known.history(id).into_iter().flat_map(|row| &row.plans);
        arguments.plan.is_some() || held().any(|plan| exchanged.concerns(plan))
    };
    let contracts: Vec<String> = known.ids().filter(asked_for).filter(concerned).map(str::to_owned).collect();
    if contracts.is_empty() {
        let whose = if arguments.contracts.is_empty() { "no contract holds" } else { "none of these contracts holds" };
        let right = suggestion("", plans().collect::<Vec<_>>());
        return Err(Failure::Usage(format!(
            "{whose} a plan of {file}; say with --plan which one they would hold ({right}), or give the file the `name` of the tariff it is to replace"
        )));
    }
    Ok(contracts)
}

/// Contracts that would break a rule of a plan are computed all the same, and named.
fn warn_of_breaches(exchanged: &Exchanged, rows: Vec<Contract>) {
    let breaches = exchanged.breaches(&rows);
    let mut err = io::stderr().lock();
    // Nothing is left to tell when standard error is gone.
    for (contract, what) in breaches.iter().take(MOST_WARNINGS) {
        let _ = writeln!(err, "taktd: {contract}: {what}");
    }
    if let Some(more) = breaches.len().checked_sub(MOST_WARNINGS).filter(|more| *more > 0) {
        let _ = writeln!(err, "taktd: and {more} more contracts that would break a rule of their plan");
    }
}

/// The sums of all contracts of one currency.
#[derive(Default)]
struct Total {
    contracts: u64,
    calls: u64,
    talk: u64,
    other_outcome: u64,
    now: Sums,
    then: Sums,
}

/// What is printed, as it comes.
struct Report {
    json: bool,
    calls: bool,
    bar: Option<ProgressBar>,
    totals: BTreeMap<Currency, Total>,
    mixed: u64,
}

impl Report {
    fn new(json: bool, calls: bool, contracts: usize) -> Self {
        let bar = (io::stderr().is_terminal() && !json).then(|| {
            let style = ProgressStyle::with_template("settling contracts twice [{bar:30}] {pos}/{len} {eta}");
            ProgressBar::new(contracts as u64).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Self { json, calls, bar, totals: BTreeMap::new(), mixed: 0 }
    }

    /// Prints text without disturbing the bar.
    fn print(&self, text: &str) -> Result<()> {
        let print = || io::stdout().lock().write_all(text.as_bytes());
        self.bar.as_ref().map_or_else(print, |bar| bar.suspend(print))?;
        Ok(())
    }

    fn head(&self) -> Result<()> {
        if self.json {
            return Ok(());
        }
        self.print(&format!(
            "{:<14}  {:>7}  {:>9}  {:>11}  {:>11}  {:>11}  {:>11}  {:>11}  {:>13}\n",
            "contract", "calls", "talk", "calls now", "calls then", "fees now", "fees then", "difference", "other outcome"
        ))
    }

    fn contract(&mut self, compared: std::result::Result<Compared, Mixed>) -> std::result::Result<(), anyhow::Error> {
        let told = match compared {
            Ok(compared) => {
                let total = self.totals.entry(compared.currency).or_default();
                total.contracts += 1;
                total.calls += compared.calls;
                total.talk += compared.talk.get();
                total.other_outcome += compared.other_outcome;
                total.now.add(&compared.now);
                total.then.add(&compared.then);
                self.print(&self.one(&compared))
            }
            Err(Mixed { contract, currencies }) => {
                self.mixed += 1;
                let currencies = currencies.join(" and ");
                let warn = || writeln!(io::stderr(), "taktd: {contract}: left out, for it would be a difference of {currencies}");
                self.bar.as_ref().map_or_else(warn, |bar| bar.suspend(warn))?;
                Ok(())
            }
        };
        if let Some(bar) = &self.bar {
            bar.inc(1);
        }
        told.map_err(|failure| match failure {
            Failure::Work(error) => error,
            Failure::Usage(message) => anyhow::anyhow!(message),
        })
    }

    fn one(&self, compared: &Compared) -> String {
        let Compared { contract, calls, talk, other_outcome, currency, now, then, differing } = compared;
        let mut text = String::new();
        if self.json {
            let mut value = sums(*currency, now, then);
            value["kind"] = json!("contract");
            value["contract"] = json!(contract);
            value["calls"] = json!(calls);
            value["talk_s"] = json!(talk.get());
            value["outcomes_changed"] = json!(other_outcome);
            text.push_str(&format!("{value}\n"));
        } else {
            text.push_str(&row(contract, (*calls, *talk, *other_outcome), *currency, now, then));
        }
        for (is, would_be) in differing.iter().filter(|_| self.calls) {
            if self.json {
                text.push_str(&format!("{}\n", call(is, would_be)));
            } else {
                text.push_str(&format!("  now   {}\n  then  {}\n", table::row(is), table::row(would_be)));
            }
        }
        text
    }

    /// The totals, one a currency, and what is not in them.
    fn end(mut self, home: Currency, left_out: LeftOut) -> Result<()> {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        if self.totals.is_empty() {
            self.totals.insert(home, Total::default());
        }
        let LeftOut { unmatched, in_no_file } = left_out;
        let mut text = String::new();
        for (currency, total) in &self.totals {
            let Total { contracts, calls, talk, other_outcome, now, then } = total;
            if self.json {
                let mut value = sums(*currency, now, then);
                value["kind"] = json!("total");
                value["contracts"] = json!(contracts);
                value["calls"] = json!(calls);
                value["talk_s"] = json!(talk);
                value["outcomes_changed"] = json!(other_outcome);
                value["unmatched"] = json!(unmatched);
                value["contracts_in_no_file"] = json!(in_no_file);
                value["contracts_left_out"] = json!(self.mixed);
                text.push_str(&format!("{value}\n"));
            } else {
                let name = format!("total {}", currency.code());
                text.push_str(&row(&name, (*calls, Seconds::new(*talk), *other_outcome), *currency, now, then));
            }
        }
        if !self.json {
            text.push_str(&format!("not simulated: {unmatched} calls that no contract pays"));
            for (count, what) in [(in_no_file, "contracts that are in no file any more"), (self.mixed, "contracts of several currencies")] {
                if count > 0 {
                    text.push_str(&format!(", {count} {what}"));
                }
            }
            text.push('\n');
        }
        self.print(&text)
    }
}

fn row(name: &str, (calls, talk, other_outcome): (u64, Seconds, u64), currency: Currency, now: &Sums, then: &Sums) -> String {
    let money = |amount| Money::new(amount, currency).to_fixed();
    let sign = if difference(now, then) > Decimal::ZERO { "+" } else { "" };
    format!(
        "{name:<14}  {calls:>7}  {:>9}  {:>11}  {:>11}  {:>11}  {:>11}  {:>11}  {other_outcome:>13}\n",
        table::clock(talk),
        money(now.calls),
        money(then.calls),
        money(now.fees),
        money(then.fees),
        format!("{sign}{}", money(difference(now, then)))
    )
}

fn difference(now: &Sums, then: &Sums) -> Decimal {
    then.all().saturating_sub(now.all())
}

fn sums(currency: Currency, now: &Sums, then: &Sums) -> serde_json::Value {
    let money = |amount| Money::new(amount, currency).to_fixed();
    json!({
        "calls_net_now": money(now.calls), "calls_net_then": money(then.calls),
        "fees_net_now": money(now.fees), "fees_net_then": money(then.fees),
        "net_now": money(now.all()), "net_then": money(then.all()),
        "difference": money(difference(now, then)), "currency": currency.code(),
    })
}

fn call(is: &Record, would_be: &Record) -> serde_json::Value {
    let name = match &is.key {
        RecordKey::Call(id) => id.as_str(),
        RecordKey::Fee { plan, .. } => plan,
    };
    let net = |record: &Record| Money::new(record.charge.net, record.charge.currency).to_fixed();
    json!({
        "kind": "call", "call_id": name, "contract": is.contract, "started_at": is.started_at.rfc3339(is.zone), "talk_s": is.talk.get(),
        "plan_now": is.plan, "plan_then": would_be.plan, "outcome_now": is.outcome.word(), "outcome_then": would_be.outcome.word(),
        "net_now": net(is), "net_then": net(would_be), "why_now": table::why(is), "why_then": table::why(would_be),
        "currency": would_be.charge.currency.code(),
    })
}
