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
    let mut calls: Vec<StoredCall> = Vec::new();
    ledger.calls(from, to, |stored| -> Result<()> {
        calls.push(stored);
        Ok(())
    })?;
    for stored in calls {
        sum.calls += 1;
        let told = told_by(ledger, kinds, &stored.call.id)?;
        let before = sum.findings;
        if let [alone] = told.as_slice() {
            sum.findings = before + 1;
            each(&stored, Finding::Only(alone.by))?;
            continue;
        }
        sum.several += 1;
        for (place, one) in told.iter().enumerate() {
            for other in told.iter().skip(place + 1) {
                let found = differences(one, other, tolerance);
                if !found.is_empty() {
                    sum.findings = before + 1;
                    each(&stored, Finding::Differ(one.by, other.by, found))?;
                }
            }
        }
    }
    Ok(Some(sum))
}
