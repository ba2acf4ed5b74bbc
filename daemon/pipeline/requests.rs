//! What operators ask of the books.
//!
//! The one invariant: what is asked is evidence first; settlement follows from it, in the same batch.

use super::books::{Books, Result};
use super::settling::settle_unsettled;
use crate::ledger::{Assignment, Posted};
use crate::units::CallId;

impl Books {
    /// Gives a call to a contract, and settles it and the contract that had it before.
    ///
    /// # Errors
    /// When the call is unknown, or the ledger cannot be written.
    pub fn assign(&mut self, call: &CallId, assignment: &Assignment) -> Result<Posted> {
        let Self { ledger, in_force, closings, quiets, .. } = self;
        let mut batch = ledger.batch()?;
        batch.journal_assignment(call, assignment)?;
        let posted = settle_unsettled(&mut batch, in_force, closings, quiets)?;
        batch.commit()?;
        Ok(posted)
    }
}
