//! `taktd decide`: whose fault a call was. Where the daemon has the ledger, it is asked to do so.

use super::decisions_csv::{self, Row};
use super::office::{Office, json_line, one_call, who};
use super::{Common, Failure, Result, table};
use crate::clock;
use crate::ledger::{Decision, Ledger, StoredCall};
use crate::meter::{Outcome, Record, RecordKey};
use crate::pipeline::requests::{Request, undecidable};
use crate::tariff::Verdict;
use crate::units::{CallId, Word};
use clap::Args;
use rust_decimal::Decimal;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The longest reason, in characters: a sentence, not the correspondence.
const LONGEST_REASON: usize = 1_000;

/// A later decision replaces an earlier one; both stay in the ledger, with who, when and why. It counts for a call of a
/// month that is closed, too. Decisions: customer (billed), provider (free, and uses no allowance), goodwill:40% (of the
/// net waived), goodwill:10m (the last ten minutes of talk begin no increment).
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  taktd calls --outcome held\n  taktd decide 3f9c2a10 provider --reason \"our update, ticket 4711\"\n  taktd decide 3f9c2a10 goodwill:40% --reason \"waited for an hour\"\n  taktd decide --file decisions.csv    # columns call_id, decision, reason"
)]
pub struct Arguments {
    /// The call, or the beginning of its name.
    #[arg(required_unless_present = "file")]
    call: Option<String>,
    /// customer, provider, goodwill:40% or goodwill:10m.
    #[arg(required_unless_present = "file")]
    decision: Option<String>,
    /// Why; journaled with who.
    #[arg(long, required_unless_present = "file")]
    reason: Option<String>,
    /// Decide many: a CSV file with the columns call_id (the whole name), decision, reason. All of it, or nothing.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["call", "decision", "reason"])]
    file: Option<PathBuf>,
}

pub fn run(common: &Common, arguments: &Arguments) -> Result {
    if let Some(file) = &arguments.file {
        return by_file(common, file);
    }
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let (call, reason) = (text(&arguments.call), text(&arguments.reason));
    let verdict = decisions_csv::verdict(&text(&arguments.decision)).map_err(Failure::Usage)?;
    let reason = checked_reason(&reason).map_err(|what| Failure::Usage(format!("--reason: {what}")))?;
    let office = Office::load(common)?;
    let reader = office.reader()?;
    let stored = one_call(&reader, &call)?;
    if let Some(why) = undecidable(&stored, &office.in_force) {
        return Err(anyhow::anyhow!("{}: {why}", stored.call.id).into());
    }
    let id = stored.call.id.clone();
    let before = record(&reader, &id)?;
    let decision = Decision { verdict, who: who().into(), reason: reason.into(), at: clock::now() };
    office.carry_out(&Request::Decide(vec![(id.clone(), decision)]))?;
    let after = record(&office.reader()?, &id)?;
    let mut out = io::stdout().lock();
    match (after, common.json) {
        (Some(after), true) => json_line(&mut out, &after)?,
        (Some(after), false) => {
            writeln!(out, "        {}", table::head())?;
            let changed = before.as_ref() != Some(&after);
            if let Some(before) = before.filter(|_| changed) {
                writeln!(out, "before  {}", table::row(&before))?;
            }
            writeln!(out, "{}  {}", if changed { "after " } else { "stands" }, table::row(&after))?;
            if !changed {
                writeln!(out, "the decision is journaled, and changes nothing: {}", why_nothing_changes(&stored, verdict, &after))?;
            }
        }
        (None, _) => writeln!(out, "{id} still runs; the decision counts when it has ended")?,
    }
    Ok(ExitCode::SUCCESS)
}

fn record(ledger: &Ledger, id: &CallId) -> Result<Option<Record>> {
    Ok(ledger.record(&RecordKey::Call(id.clone()))?)
}

/// A reason with its blanks taken off; the error says what would be right.
fn checked_reason(text: &str) -> std::result::Result<&str, String> {
    let text = text.trim();
    match text.chars().count() {
        0 => Err("is empty; say why, in words that an accountant understands in a year".to_owned()),
        length if length > LONGEST_REASON => Err(format!("has {length} characters; write at most {LONGEST_REASON}")),
        _ if text.contains(char::is_control) => Err("has a line break or another control character; write one line".to_owned()),
        _ => Ok(text),
    }
}

fn why_nothing_changes(stored: &StoredCall, verdict: Verdict, stands: &Record) -> String {
    match stands.outcome {
        Outcome::Uncovered | Outcome::Unauthorised => format!("a call that is {} is billed to nobody", stands.outcome.word()),
        _ if stored.decision.as_ref().is_some_and(|earlier| earlier.verdict == verdict) => format!("{verdict} was decided before"),
        _ if verdict == Verdict::Customer => "it counted already".to_owned(),
        _ if stands.charge.net == Decimal::ZERO => "nothing was due".to_owned(),
        _ => "what is due stays whole".to_owned(),
    }
}

/// Decides all calls of a file, if nothing in it is wrong.
fn by_file(common: &Common, file: &Path) -> Result {
    let office = Office::load(common)?;
    let (rows, mut mistakes) = decisions_csv::read(file)?;
    let reader = office.reader()?;
    let (name, now, who) = (file.display().to_string(), clock::now(), who());
    let mut decisions = Vec::with_capacity(rows.len());
    for Row { line, call, verdict, reason } in &rows {
        let stored = match reader.call(call)? {
            None => Err("no call has this name; `taktd calls --json` shows each with its call_id".to_owned()),
            Some(stored) => undecidable(&stored, &office.in_force).map_or(Ok(stored), Err),
        };
        let (stored, reason) = match (stored, checked_reason(reason)) {
            (Ok(stored), Ok(reason)) => (stored, reason),
            (stored, reason) => {
                mistakes.extend(stored.err().map(|why| (*line, format!("call_id: {call}: {why}"))));
                mistakes.extend(reason.err().map(|why| (*line, format!("reason: {why}"))));
                continue;
            }
        };
        let decision = Decision { verdict: *verdict, who: format!("{who}, {name}:{line}").into(), reason: reason.into(), at: now };
        let known = stored.decision.is_some_and(|stands| Decision { at: now, ..stands } == decision);
        if !known {
            decisions.push((call.clone(), decision));
        }
    }
    if !mistakes.is_empty() {
        return Err(decisions_csv::refused(&name, mistakes));
    }
    let before = decisions.iter().map(|(call, _)| record(&reader, call)).collect::<Result<Vec<_>>>()?;
    let journaled = decisions.len();
    let calls: Vec<CallId> = decisions.iter().map(|(call, _)| call.clone()).collect();
    if journaled > 0 {
        office.carry_out(&Request::Decide(decisions))?;
    }
    tell(common, &office, &rows, calls.into_iter().zip(before))?;
    Ok(ExitCode::SUCCESS)
}

/// What became of the records that changed; as JSON, every record of the file.
fn tell(common: &Common, office: &Office, rows: &[Row], decided: impl Iterator<Item = (CallId, Option<Record>)>) -> Result<()> {
    let reader = office.reader()?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    if common.json {
        for row in rows {
            if let Some(record) = record(&reader, &row.call)? {
                json_line(&mut out, &record)?;
            }
        }
        out.flush()?;
        return Ok(());
    }
    let (mut journaled, mut changed) = (0, 0);
    for (call, before) in decided {
        journaled += 1;
        let after = record(&reader, &call)?;
        if before == after {
            continue;
        }
        if changed == 0 {
            writeln!(out, "        {}", table::head())?;
        }
        changed += 1;
        for (word, record) in [("before", before), ("after ", after)] {
            if let Some(record) = record {
                writeln!(out, "{word}  {}", table::row(&record))?;
            }
        }
    }
    writeln!(out, "decisions {}: {journaled} journaled, {} known already; records changed: {changed}", rows.len(), rows.len() - journaled)?;
    out.flush()?;
    Ok(())
}
