//! What is gathered of records, where each call is kept by itself: so that one that changed is written, and no other.
//!
//! The one invariant: kept in one piece or call by call, it is read as the same, and nothing of one form stays beside the other.

use crate::calls::Rows;
use crate::ledger::{Ledger, LedgerError, Snapshot};

/// Where a call is kept that is gathered under this name.
pub(super) fn part_key(name: &str, number: u64) -> String {
    format!("{name}/{number}")
}

/// What was gathered under this name, as [`super::record_files::RecordFiles::open`] reads it: kept in one piece, or each call by itself.
///
/// # Errors
/// When the ledger cannot be read.
pub(super) fn gathered(ledger: &Ledger, name: &str) -> Result<Option<Vec<u8>>, LedgerError> {
    let Some(head) = ledger.snapshot(name)? else { return Ok(None) };
    let parts = ledger.snapshots_below(name)?;
    if parts.is_empty() {
        return Ok(Some(head.body));
    }
    let calls: Vec<&[u8]> = parts.iter().map(|(_, part)| part.body.as_slice()).collect();
    Ok(Rows::joined(&head.body, &calls))
}

/// Keeps in one piece what is gathered: nothing that was kept by itself stays beside it.
///
/// # Errors
/// When the ledger cannot be read.
pub(super) fn parts_gone(ledger: &Ledger, name: &str) -> Result<Vec<(String, Snapshot)>, LedgerError> {
    Ok(ledger.snapshots_below(name)?.into_iter().map(|(part, _)| (part, Snapshot::gone())).collect())
}
