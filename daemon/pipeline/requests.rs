//! What operators ask of the books: whose a call is, and what follows for its charge.
//!
//! The one invariant: what is asked is evidence first; settlement follows from it, in the same batch. A request is done
//! whole, or not at all.

use super::books::Books;
use super::catalogue::InForce;
use super::settling::settle_unsettled;
use crate::ledger::{Assignment, Decision, LedgerError, Posted, StoredCall, Wish};
use crate::units::CallId;

/// Something to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// A call is given to a contract.
    Assign {
        /// The call.
        call: CallId,
        /// To whom, by whom, why.
        assignment: Assignment,
    },
    /// Somebody decided whose fault calls were.
    Decide(Vec<(CallId, Decision)>),
    /// Something is asked about a number.
    Privacy(Wish),
}

/// Why a request was not done; nothing of it is.
#[derive(Debug, thiserror::Error)]
pub enum Unserved {
    /// It cannot be done, now or later.
    #[error("{0}")]
    Refused(String),
    /// The ledger failed; it may be asked again.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl Books {
    /// Journals what is asked, and settles the contracts it concerns.
    ///
    /// # Errors
    /// When it cannot be done, or the ledger cannot be written.
    pub fn serve(&mut self, request: &Request) -> Result<Posted, Unserved> {
        if let Request::Privacy(wish) = request {
            return self.grant(wish).map(|()| Posted::default());
        }
        let Self { ledger, in_force, closings, quiets, .. } = self;
        let mut batch = ledger.batch()?;
        match request {
            Request::Privacy(_) => {}
            Request::Assign { call, assignment } => {
                let contract = &assignment.contract;
                if in_force.terms(contract).is_none() {
                    return Err(Unserved::Refused(format!("no contract in force is named \"{contract}\"")));
                }
                known(batch.ledger().call(call)?, call)?;
                batch.journal_assignment(call, assignment)?;
            }
            Request::Decide(decisions) => {
                for (call, decision) in decisions {
                    if decision.who.trim().is_empty() || decision.reason.trim().is_empty() {
                        return Err(Unserved::Refused(format!("{call}: nobody is named who decided, or no reason")));
                    }
                    let stored = known(batch.ledger().call(call)?, call)?;
                    if let Some(why) = undecidable(&stored, in_force) {
                        return Err(Unserved::Refused(format!("{call}: {why}")));
                    }
                    batch.journal_decision(call, decision)?;
                }
            }
        }
        let posted = settle_unsettled(&mut batch, in_force, closings, quiets)?;
        batch.commit()?;
        Ok(posted)
    }
}

fn known(stored: Option<StoredCall>, call: &CallId) -> Result<StoredCall, Unserved> {
    stored.ok_or_else(|| Unserved::Refused(LedgerError::UnknownCall { id: call.as_str().into() }.to_string()))
}

/// Why nobody can decide about a call, and what to do; `None` when one can. Where nobody talked or nobody pays, there is
/// nothing to decide about: a decision would lie there and change a bill that comes later.
#[must_use]
pub fn undecidable(stored: &StoredCall, in_force: &InForce) -> Option<String> {
    if stored.call.talks.is_empty() {
        let over = stored.call.ended_at.is_some();
        let what = if over { "the call was missed: nobody talked" } else { "nobody talks yet" };
        return Some(format!("{what}, so there is nothing to decide"));
    }
    let first = "give it to one first: `taktd assign`";
    match stored.contract() {
        None => Some(format!("no contract pays for the call, so there is nothing to decide; {first}")),
        Some(contract) if in_force.terms(contract).is_none() => {
            Some(format!("its contract \"{contract}\" is in no file any more, so nobody pays; {first}"))
        }
        Some(_) => None,
    }
}

/// Who decided what about a call, and why.
#[must_use]
pub fn decided_by(decision: &Decision) -> String {
    let Decision { verdict, who, reason, .. } = decision;
    if reason.is_empty() { format!("{verdict}, decided by {who}") } else { format!("{verdict}, decided by {who}: {reason}") }
}
