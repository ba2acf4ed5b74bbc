//! The header row of a CSV file that a command takes: known columns, in any order.

use super::{Failure, Result};
use crate::config::suggestion;

/// Where each known column stands.
pub fn columns<const N: usize>(
    name: &str,
    header: &csv::StringRecord,
    known: &[&'static str; N],
    required: &[&str],
) -> Result<[Option<usize>; N]> {
    let wrong = |what: String| Failure::Usage(format!("{name}:1: {what}"));
    let found = || header.iter().map(|found| found.trim_start_matches('\u{feff}'));
    if header.len() == 1 && found().any(|found| found.contains(';')) {
        return Err(wrong("the columns are separated by semicolons; commas would be right".to_owned()));
    }
    if let Some(unknown) = found().find(|found| !known.contains(found)) {
        return Err(wrong(format!("no column is called \"{unknown}\"; {}", suggestion(unknown, known.iter().copied()))));
    }
    if let Some(missing) = required.iter().find(|column| !found().any(|found| found == **column)) {
        return Err(wrong(format!("column \"{missing}\" is missing")));
    }
    Ok(known.map(|column| found().position(|found| found == column)))
}
