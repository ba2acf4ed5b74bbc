//! Holds the sources of calls against each other: what only one of them saw, and where they differ.

use super::twins::{Kinds, told_by};
use crate::calls::{Difference, Speaker, differences};
use crate::ledger::{Ledger, Result, StoredCall};
use crate::units::{Seconds, Timestamp};

/// Something that an operator should look at.
#[derive(Clone, Debug)]
pub enum Finding {
    /// Only this source saw the call.
    Only(Speaker),
    /// These two say different things of it.
    Differ(Speaker, Speaker, Vec<Difference>),
}

/// What was held against each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// Calls looked at.
    pub calls: u64,
    /// Of these, calls that several sources saw.
    pub several: u64,
    /// Calls with a finding.
    pub findings: u64,
}

/// Goes through the calls that began in a time, and tells each finding. `None`: the ledger knows one kind of source only.
///
/// # Errors
/// When the ledger cannot be read, or those of `each`.
pub fn reconcile<E: From<crate::ledger::LedgerError>>(
    ledger: &Ledger,
    (from, to): (Timestamp, Timestamp),
    tolerance: Seconds,
    mut each: impl FnMut(&StoredCall, Finding) -> std::result::Result<(), E>,
) -> std::result::Result<Option<Reconciled>, E> {
    let kinds = Kinds::of(ledger)?;
    if !matches!(kinds, Kinds::Several(_)) {
        return Ok(None);
    }
    let mut sum = Reconciled::default();
    let mut look = |stored: &StoredCall| -> std::result::Result<(), E> {
        sum.calls += 1;
        let told = told_by(ledger, kinds, &stored.call.id)?;
        if let [alone] = told.as_slice() {
            sum.findings += 1;
            return each(stored, Finding::Only(alone.by));
        }
        sum.several += 1;
        let mut differs = false;
        for (place, one) in told.iter().enumerate() {
            for other in told.iter().skip(place + 1) {
                let found = differences(one, other, tolerance);
                if !found.is_empty() {
                    differs = true;
                    each(stored, Finding::Differ(one.by, other.by, found))?;
                }
            }
        }
        sum.findings += u64::from(differs);
        Ok(())
    };
    // One call after the other, for a year of them may be asked for; the first failure is told at the end.
    let mut failed = None;
    ledger.calls(from, to, |stored| -> Result<()> {
        if failed.is_none() {
            failed = look(&stored).err();
        }
        Ok(())
    })?;
    failed.map_or(Ok(Some(sum)), Err)
}
