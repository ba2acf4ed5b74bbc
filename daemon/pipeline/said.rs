//! The calls of a contract as settlement takes them, read from the ledger: all, or those since an instant.

use super::books::{Books, Result, say};
use super::catalogue::{InForce, Said};
use crate::ledger::{Closing, Ledger};
use crate::meter::{Quiet, Timing};
use crate::units::Timestamp;

impl Books {
    /// The calls of a contract from the last quiet instant before `since` on, with what was said about them.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn said_around(&self, contract: &str, since: Timestamp) -> Result<(Quiet, Vec<Said>)> {
        let said = |from| said_between(&self.ledger, &self.in_force, &self.closings, contract, from, Timestamp::MAX);
        if let Some(quiet) = self.quiets.before(contract, since) {
            let calls = said(quiet.at)?;
            if calls.iter().all(|said| said.timing == Timing::InTime) {
                return Ok((quiet.clone(), calls));
            }
        }
        let beginning = Quiet::beginning();
        let calls = said(beginning.at)?;
        Ok((beginning, calls))
    }
}

/// All calls of a contract, with what was said about them, from a ledger that is only read.
///
/// # Errors
/// When the ledger cannot be read.
pub fn said(ledger: &Ledger, in_force: &InForce, closings: &[Closing], contract: &str) -> Result<Vec<Said>> {
    said_between(ledger, in_force, closings, contract, Timestamp::default(), Timestamp::MAX)
}

/// The same, of the calls whose talk began in a span.
///
/// # Errors
/// When the ledger cannot be read.
pub fn said_between(
    ledger: &Ledger,
    in_force: &InForce,
    closings: &[Closing],
    contract: &str,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<Said>> {
    let stored = ledger.calls_between(contract, from, to)?;
    Ok(stored.into_iter().map(|stored| say(stored, in_force, closings)).collect())
}
