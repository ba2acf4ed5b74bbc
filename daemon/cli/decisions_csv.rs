//! decisions.csv: call_id, decision, reason. Every mistake is told with its line, and then nothing is done.

use super::csv_head::columns;
use super::{Failure, Result};
use crate::tariff::Verdict;
use crate::units::CallId;
use std::collections::HashMap;
use std::fs::File;
use std::path::Path;

const COLUMNS: [&str; 3] = ["call_id", "decision", "reason"];
/// After so many mistakes a person looks at the file, not at a list.
const MOST_MISTAKES: usize = 100;

/// A decision of the file.
pub struct Row {
    /// Its line.
    pub line: u64,
    /// The call, by its whole name.
    pub call: CallId,
    /// What was decided.
    pub verdict: Verdict,
    /// Why, as it stands there.
    pub reason: String,
}

/// A mistake: its line, and what is wrong.
pub type Mistake = (u64, String);

/// Reads a file, with all its mistakes.
pub fn read(path: &Path) -> Result<(Vec<Row>, Vec<Mistake>)> {
    let name = path.display().to_string();
    let file = File::open(path).map_err(|error| Failure::Work(anyhow::anyhow!("{name}: cannot be opened: {error}")))?;
    let mut reader = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(file);
    let header = reader.headers().map_err(|error| Failure::Usage(format!("{name}:1: {error}")))?.clone();
    let places = columns(&name, &header, &COLUMNS, &COLUMNS)?;
    let (mut rows, mut mistakes) = (Vec::new(), Vec::new());
    let mut lines: HashMap<CallId, u64> = HashMap::new();
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                mistakes.push((error.position().map_or(0, csv::Position::line), error.to_string()));
                // What is no text is one row; a file that cannot be read is read no further.
                if matches!(error.kind(), csv::ErrorKind::Utf8 { .. }) {
                    continue;
                }
                break;
            }
        };
        let line = record.position().map_or(0, csv::Position::line);
        let (wanted, found) = (header.len(), record.len());
        if found > wanted {
            mistakes.push((line, format!("the header has {wanted} columns, and here are {found}; quote fields that hold commas")));
            continue;
        }
        let [call, decision, reason] = places.map(|place| place.and_then(|place| record.get(place)).unwrap_or_default());
        let call = CallId::new(call).ok_or_else(|| "call_id: is empty; every decision is about a call".to_owned());
        let call = call.and_then(|call| match lines.insert(call.clone(), line) {
            Some(before) => Err(format!("call_id: {call} stands on line {before} already; decide each call once")),
            None => Ok(call),
        });
        match (call, verdict(decision)) {
            (Ok(call), Ok(verdict)) => rows.push(Row { line, call, verdict, reason: reason.to_owned() }),
            (call, verdict) => {
                mistakes.extend(call.err().map(|what| (line, what)));
                mistakes.extend(verdict.err().map(|what| (line, format!("decision: {what}"))));
            }
        }
    }
    Ok((rows, mistakes))
}

/// That nothing of a file was done, and why.
pub fn refused(name: &str, mut mistakes: Vec<Mistake>) -> Failure {
    mistakes.sort_by_key(|(line, _)| *line);
    let more = mistakes.len().saturating_sub(MOST_MISTAKES);
    let mut said = "decisions that cannot be taken; nothing was decided".to_owned();
    for (line, what) in mistakes.iter().take(MOST_MISTAKES) {
        said.push_str(&format!("\n{name}:{line}: {what}"));
    }
    if more > 0 {
        said.push_str(&format!("\nand {more} more"));
    }
    Failure::Usage(said)
}

/// `customer`, `provider`, `goodwill:40%`, `goodwill:10m`.
pub fn verdict(text: &str) -> std::result::Result<Verdict, String> {
    let right = "customer, provider, goodwill:40% or goodwill:10m would be right";
    Verdict::parse(text).ok_or_else(|| format!("\"{text}\" is no decision; {right}"))
}
