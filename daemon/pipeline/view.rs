//! The live meter: what running calls come to as cut at now. A projection of the same settlement, nothing of its own.

use super::books::{Books, said_by};
use super::catalogue::Said;
use crate::calls::{Call, Unmetered};
use crate::contracts::Match;
use crate::http::{RunningCall, State};
use crate::ledger::LedgerError;
use crate::meter::{Outcome, Timing};
use crate::metrics::{self, CallOutcome, Metrics, RunningState};
use crate::units::Timestamp;
use std::collections::BTreeMap;

/// Running calls as of `now`, in the order in which they began: each contract settled once, all its calls together, with
/// what operators said about them.
///
/// # Errors
/// When the ledger cannot be read.
pub fn project(books: &Books, running: Vec<Call>, now: Timestamp) -> Result<Vec<RunningCall>, LedgerError> {
    let in_force = books.in_force();
    let mut shown = Vec::with_capacity(running.len());
    let mut by_contract: BTreeMap<Box<str>, Vec<Said>> = BTreeMap::new();
    let told_of = books.ledger().running_calls_told_of()?;
    for call in running {
        let told = told_of.iter().find(|stored| is_same(&stored.call, &call));
        let verdict = told.and_then(|stored| stored.decision.as_ref()).map(|decision| decision.verdict);
        let assigned = told.and_then(|stored| stored.assignment.as_ref()).filter(|assigned| in_force.terms(&assigned.contract).is_some());
        let found = match assigned {
            Some(to) => Match::Contract { id: to.contract.clone(), authorised: true, reason: Some(said_by(to).into()) },
            None => in_force.find(&call),
        };
        match found {
            Match::Contract { id, authorised, reason } => {
                by_contract.entry(id).or_default().push(Said { call, authorised, reason, verdict, timing: Timing::InTime });
            }
            found => {
                let said = Said { call, authorised: false, reason: None, verdict, timing: Timing::InTime };
                shown.push(RunningCall::new(&said.call, &in_force.alone(&said, &found, now), now));
            }
        }
    }
    for (contract, running) in by_contract {
        let Some(terms) = in_force.terms(&contract) else { continue };
        let begun = |said: &Said| said.call.connected_at().unwrap_or(said.call.started_at);
        let (quiet, mut calls) = books.said_around(&contract, running.iter().map(begun).min().unwrap_or(now))?;
        calls.retain(|said| !running.iter().any(|other| is_same(&said.call, &other.call)));
        let first = calls.len();
        calls.extend(running);
        let settled = in_force.settle_from(&terms, &quiet, &calls, now);
        for (said, settled) in calls.iter().zip(&settled.calls).skip(first) {
            shown.push(RunningCall::new(&said.call, settled, now));
        }
    }
    shown.sort_by(|one, other| (one.started_at, &one.call_id).cmp(&(other.started_at, &other.call_id)));
    Ok(shown)
}

/// Whether a call in the ledger is this running one: it may stand there under another name when its own was taken.
fn is_same(stored: &Call, running: &Call) -> bool {
    let named = stored.id == running.id && !stored.is_apart_from(running);
    named || (stored.started_at == running.started_at && stored.caller_raw == running.caller_raw)
}

/// Gauges of running calls.
pub fn count_running(metrics: &Metrics, running: &[RunningCall]) {
    let talking = running.iter().filter(|call| call.state == State::Talking).count();
    let set = |state, count: usize| metrics.calls_running.set(state, i64::try_from(count).unwrap_or(i64::MAX));
    set(RunningState::Talking, talking);
    set(RunningState::Waiting, running.len() - talking);
}

/// Counters of calls that make no record: they only grow, so the difference is added.
pub fn count_unmetered(metrics: &Metrics, so_far: Unmetered) {
    let Unmetered { internal, unrelated, orphans } = so_far;
    for (reason, total) in
        [(metrics::Unmetered::Internal, internal), (metrics::Unmetered::Unrelated, unrelated), (metrics::Unmetered::Orphan, orphans)]
    {
        let counter = metrics.unmetered_calls.get(reason);
        counter.inc_by(total.saturating_sub(counter.get()));
    }
}

/// An outcome as a label.
#[must_use]
pub const fn label_of(outcome: Outcome) -> CallOutcome {
    match outcome {
        Outcome::Missed => CallOutcome::Missed,
        Outcome::Unmatched => CallOutcome::Unmatched,
        Outcome::Ambiguous => CallOutcome::Ambiguous,
        Outcome::Uncovered => CallOutcome::Uncovered,
        Outcome::Unauthorised => CallOutcome::Unauthorised,
        Outcome::Held => CallOutcome::Held,
        Outcome::Charged => CallOutcome::Charged,
        Outcome::Included => CallOutcome::Included,
    }
}
