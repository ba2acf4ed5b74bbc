//! Settling: what a contract's calls come to, and its way into the ledger; of many contracts on two threads.
//!
//! The one invariant: a contract is settled from evidence that is committed, or written in the batch that takes its
//! records; nobody else writes meanwhile, so both threads see the same.

use super::books::Result;
use super::catalogue::InForce;
use super::quiets::Quiets;
use super::said::said_since;
use crate::ledger::{Batch, Closing, Ledger, Posted, Scope};
use crate::meter::{self, Quiet, Record, State, Terms, Timing};
use crate::units::Timestamp;
use std::sync::mpsc::{Receiver, sync_channel};

/// So many contracts are settled before their records are handed over to be posted.
const CONTRACTS_AT_ONCE: usize = 32;
/// So many hands full are posted in one transaction.
const HANDS_AT_ONCE: usize = 32;
/// So many may wait to be posted.
const HANDS_WAITING: usize = 2;

/// What a contract came to: its records from an instant on.
struct Settled<'c> {
    contract: &'c str,
    from: Timestamp,
    records: Vec<Record>,
    quiet: Vec<Quiet>,
    /// When they change by time alone.
    deadline: Option<Timestamp>,
}

/// Settles every contract that a batch has news of or whose deadline has passed, from the last quiet instant before them, and posts what differs from
/// what stands.
pub(super) fn settle_unsettled(batch: &mut Batch<'_>, in_force: &InForce, closings: &[Closing], quiets: &mut Quiets) -> Result<Posted> {
    let until = batch.ledger().time();
    let mut posted = Posted::default();
    batch.mark_due()?;
    for news in batch.ledger().unsettled()? {
        let from = quiets.before(&news.contract, news.since);
        let mut settled = compute(batch.ledger(), in_force, closings, &news.contract, from, until)?;
        posted += post(batch, &settled)?;
        quiets.keep(&news.contract, Some(settled.from), std::mem::take(&mut settled.quiet));
    }
    Ok(posted)
}

/// Settles many contracts: one thread reads and computes, this one posts. `progress` hears how many are done.
pub(super) fn settle_many(
    ledger: &mut Ledger,
    in_force: &InForce,
    closings: &[Closing],
    contracts: &[String],
    progress: impl FnMut(usize),
) -> Result<Posted> {
    let (until, reader) = (ledger.time(), ledger.beside()?);
    let (sender, receiver) = sync_channel(HANDS_WAITING);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for some in contracts.chunks(CONTRACTS_AT_ONCE) {
                let hand: Result<Vec<_>> =
                    some.iter().map(|contract| compute(&reader, in_force, closings, contract, None, until)).collect();
                let failed = hand.is_err();
                // Nobody takes it when posting failed, and that error is the one to tell.
                if sender.send(hand).is_err() || failed {
                    return;
                }
            }
        });
        post_all(ledger, receiver, progress)
    })
}

fn post_all(ledger: &mut Ledger, receiver: Receiver<Result<Vec<Settled<'_>>>>, mut progress: impl FnMut(usize)) -> Result<Posted> {
    let (mut posted, mut done) = (Posted::default(), 0usize);
    while let Ok(first) = receiver.recv() {
        let mut batch = ledger.batch()?;
        for hand in std::iter::once(first).chain(receiver.iter().take(HANDS_AT_ONCE.saturating_sub(1))) {
            for settled in hand? {
                posted += post(&mut batch, &settled)?;
                done += 1;
            }
        }
        batch.commit()?;
        progress(done);
    }
    Ok(posted)
}

/// Settles a contract from a quiet instant on, or from its beginning.
fn compute<'c>(
    ledger: &Ledger,
    in_force: &InForce,
    closings: &[Closing],
    contract: &'c str,
    quiet: Option<&Quiet>,
    until: Timestamp,
) -> Result<Settled<'c>> {
    let from = quiet.map_or(Timestamp::default(), |quiet| quiet.at);
    let calls = said_since(ledger, in_force, closings, contract, from)?;
    // What is late is settled after all that was in time, wherever it began.
    if quiet.is_some() && calls.iter().any(|said| said.timing != Timing::InTime) {
        return compute(ledger, in_force, closings, contract, None, until);
    }
    let mut settled = Settled { contract, from, records: Vec::with_capacity(calls.len()), quiet: Vec::new(), deadline: None };
    if let Some(terms) = in_force.terms(contract) {
        let state = quiet.map_or_else(State::default, |quiet| quiet.state.clone());
        let meter::Settlement { calls, quiet, .. } = in_force.settle_from(&terms, state, &calls, until);
        settled.quiet = quiet;
        settled.records.extend(calls.into_iter().map(|settled| settled.record).filter(|record| record.ended_at.is_some()));
        settled.deadline = next_deadline(&terms, &settled.records);
        settled.records.extend(meter::fees(&terms, until).into_iter().filter(|fee| fee.started_at >= from));
    } else {
        // The contract was taken out of the files: its calls are nobody's until they are assigned.
        let reason = format!("the contract \"{contract}\" is in no file any more").into();
        let found = crate::contracts::Match::Unmatched { reason };
        let over = calls.iter().filter(|said| said.call.ended_at.is_some());
        settled.records.extend(over.map(|said| in_force.unbilled(&said.call, &found, until)));
    }
    Ok(settled)
}

/// When the first of these records changes by time alone.
pub(super) fn next_deadline(terms: &Terms<'_>, records: &[Record]) -> Option<Timestamp> {
    records.iter().filter_map(|record| meter::deadline(terms, record)).map(|deadline| deadline.at).min()
}

fn post(batch: &mut Batch<'_>, settled: &Settled<'_>) -> Result<Posted> {
    let scope = Scope { contract: settled.contract, from: settled.from, to: Timestamp::from_micros(i64::MAX) };
    let posted = batch.post_set(&scope, &settled.records)?;
    batch.mark_settled(settled.contract, settled.deadline)?;
    Ok(posted)
}
