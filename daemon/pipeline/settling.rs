//! Settling: what a contract's calls come to, and its way into the ledger; of many contracts on two threads.
//!
//! The one invariant: a contract is settled from evidence that is committed, or written in the batch that takes its
//! records; nobody else writes meanwhile, so both threads see the same.

use super::books::{Result, said};
use super::catalogue::InForce;
use crate::ledger::{Batch, Closing, Ledger, Plan, Posted, Scope};
use crate::meter::{self, Record};
use crate::units::Timestamp;
use std::sync::mpsc::{Receiver, sync_channel};

/// So many contracts are settled before their records are handed over to be posted.
const CONTRACTS_AT_ONCE: usize = 32;
/// So many hands full are posted in one transaction.
const HANDS_AT_ONCE: usize = 128;
/// So many may wait to be posted.
const HANDS_WAITING: usize = 2;

/// What a contract came to.
struct Settled<'c> {
    contract: &'c str,
    plan: Plan,
}

/// Settles every contract that a batch has news of, each with all its calls, and posts what differs from what stands.
pub(super) fn settle_unsettled(batch: &mut Batch<'_>, in_force: &InForce, closings: &[Closing]) -> Result<Posted> {
    let until = batch.ledger().time();
    let mut posted = Posted::default();
    for news in batch.ledger().unsettled()? {
        let settled = compute(batch.ledger(), in_force, closings, &news.contract, until)?;
        posted += post(batch, &settled)?;
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
                let hand: Result<Vec<_>> = some.iter().map(|contract| compute(&reader, in_force, closings, contract, until)).collect();
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

fn compute<'c>(ledger: &Ledger, in_force: &InForce, closings: &[Closing], contract: &'c str, until: Timestamp) -> Result<Settled<'c>> {
    let calls = said(ledger, in_force, closings, contract)?;
    let mut records: Vec<Record> = Vec::with_capacity(calls.len());
    if let Some(terms) = in_force.terms(contract) {
        let settled = in_force.settle(&terms, &calls, until);
        records.extend(settled.calls.into_iter().map(|settled| settled.record).filter(|record| record.ended_at.is_some()));
        records.extend(meter::fees(&terms, until));
    } else {
        // The contract was taken out of the files: its calls are nobody's until they are assigned.
        let reason = format!("the contract \"{contract}\" is in no file any more").into();
        let found = crate::contracts::Match::Unmatched { reason };
        records.extend(calls.iter().filter(|said| said.call.ended_at.is_some()).map(|said| in_force.unbilled(&said.call, &found, until)));
    }
    let scope = Scope { contract, from: Timestamp::default(), to: Timestamp::from_micros(i64::MAX) };
    Ok(Settled { contract, plan: ledger.stands(&scope)?.plan(records) })
}

fn post(batch: &mut Batch<'_>, settled: &Settled<'_>) -> Result<Posted> {
    let posted = batch.post_plan(&settled.plan)?;
    batch.mark_settled(settled.contract)?;
    Ok(posted)
}
