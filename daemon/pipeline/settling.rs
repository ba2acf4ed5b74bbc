//! Settling: what a contract's calls come to, and its way into the ledger; of many contracts on two threads.
//!
//! The one invariant: a contract is settled from evidence that is committed, or written in the batch that takes its
//! records; nobody else writes meanwhile, so both threads see the same.

use super::books::Result;
use super::catalogue::InForce;
use super::quiets::Quiets;
use super::said::{said, said_between};
use crate::ledger::{Batch, Closing, Ledger, LedgerError, Plan, Posted, Scope};
use crate::meter::{self, Part, Quiet, Record, Terms, Timing, Walked};
use crate::units::Timestamp;
use std::sync::mpsc::{Receiver, sync_channel};

/// So many contracts are settled before their records are handed over to be posted.
const CONTRACTS_AT_ONCE: usize = 12;
/// So many hands full are posted in one transaction.
const HANDS_AT_ONCE: usize = 340;
/// So many may wait to be posted.
const HANDS_WAITING: usize = 2;

/// What a contract came to in a span of time: the records of those of its parts that were settled.
struct Settled<'c> {
    contract: &'c str,
    from: Timestamp,
    to: Timestamp,
    plans: Vec<Plan>,
    quiet: Vec<Quiet>,
    /// When its records change by time alone.
    deadline: Option<Timestamp>,
}

/// What contracts are settled with.
#[derive(Clone, Copy)]
struct Desk<'a> {
    ledger: &'a Ledger,
    in_force: &'a InForce,
    closings: &'a [Closing],
    until: Timestamp,
}

/// Settles every contract that a batch has news of or whose deadline has passed, from the last quiet instant before them to
/// the first after them at which it comes to what stands, and posts what differs from what stands.
pub(super) fn settle_unsettled(batch: &mut Batch<'_>, in_force: &InForce, closings: &[Closing], quiets: &mut Quiets) -> Result<Posted> {
    let until = batch.ledger().time();
    let mut posted = Posted::default();
    batch.mark_due()?;
    for news in batch.ledger().unsettled()? {
        let desk = Desk { ledger: batch.ledger(), in_force, closings, until };
        let around = quiets.around(&news.contract, news.since, news.through);
        let mut settled = match desk.part(&news.contract, &around)? {
            Some(settled) => settled,
            None => desk.whole(&news.contract)?,
        };
        posted += post(batch, &settled)?;
        quiets.keep(&news.contract, settled.from, settled.to, std::mem::take(&mut settled.quiet));
    }
    Ok(posted)
}

/// Settles many contracts: this thread reads and computes, another posts. `progress` hears how many are done. In that order,
/// because reading and computing takes the memory, and this thread has what reading a recording left free.
pub(super) fn settle_many(
    ledger: &mut Ledger,
    in_force: &InForce,
    closings: &[Closing],
    contracts: &[String],
    progress: impl FnMut(usize) + Send,
) -> Result<Posted> {
    let (until, reader) = (ledger.time(), ledger.beside()?);
    let (sender, receiver) = sync_channel(HANDS_WAITING);
    std::thread::scope(|scope| {
        let poster = scope.spawn(move || post_all(ledger, receiver, progress));
        for some in contracts.chunks(CONTRACTS_AT_ONCE) {
            let desk = Desk { ledger: &reader, in_force, closings, until };
            let hand: Result<Vec<_>> = some.iter().map(|contract| desk.whole(contract)).collect();
            let failed = hand.is_err();
            // Nobody takes it when posting failed, and that error is the one to tell.
            if sender.send(hand).is_err() || failed {
                break;
            }
        }
        drop(sender);
        poster.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
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

impl Desk<'_> {
    /// Settles a contract from a quiet instant before its news to the first after it at which as much is left as before, without
    /// what in between comes to the same. `None` if it has to be settled from its beginning.
    fn part<'c>(&self, contract: &'c str, quiets: &[Quiet]) -> Result<Option<Settled<'c>>> {
        let Some(terms) = self.in_force.terms(contract) else { return Ok(None) };
        // A deadline that stands may belong to a call beyond.
        let quiets = if self.ledger.deadline(contract)?.is_some() { quiets.get(..1).unwrap_or_default() } else { quiets };
        let mut late = false;
        let walked = meter::walk(&terms, quiets, |from, to| {
            let calls = said_between(self.ledger, self.in_force, self.closings, contract, from.at, to)?;
            late |= calls.iter().any(|said| said.timing != Timing::InTime);
            Ok::<_, LedgerError>(self.in_force.settle_between(&terms, from, &calls, self.until, to))
        })?;
        // What is late is settled after all that was in time, wherever it began.
        let Some(walked) = walked.filter(|_| !late) else { return Ok(None) };
        self.conclude(contract, &terms, walked).map(Some)
    }

    /// Settles a contract from its beginning.
    fn whole<'c>(&self, contract: &'c str) -> Result<Settled<'c>> {
        let (from, to) = (Timestamp::default(), Timestamp::MAX);
        let calls = said(self.ledger, self.in_force, self.closings, contract)?;
        if let Some(terms) = self.in_force.terms(contract) {
            let whole = self.in_force.settle(&terms, &calls, self.until);
            let parts = vec![Part { from, to, calls: whole.calls }];
            return self.conclude(contract, &terms, Walked { from, to, parts, quiet: whole.quiet });
        }
        // The contract was taken out of the files: its calls are nobody's until they are assigned.
        let reason = format!("the contract \"{contract}\" is in no file any more").into();
        let found = crate::contracts::Match::Unmatched { reason };
        let over = calls.iter().filter(|said| said.call.ended_at.is_some());
        let records = over.map(|said| self.in_force.unbilled(&said.call, &found, self.until)).collect();
        let plans = vec![self.planned(contract, (from, to), records)?];
        Ok(Settled { contract, from, to, plans, quiet: Vec::new(), deadline: None })
    }

    /// The records of calls that are over, and of the fees of the same days.
    fn conclude<'c>(&self, contract: &'c str, terms: &Terms<'_>, walked: Walked) -> Result<Settled<'c>> {
        let Walked { from, to, parts, quiet } = walked;
        let (mut plans, mut deadline) = (Vec::with_capacity(parts.len()), None);
        let fees = meter::fees(terms, self.until);
        for Part { from, to, calls } in parts {
            let mut records: Vec<Record> =
                calls.into_iter().map(|settled| settled.record).filter(|record| record.ended_at.is_some()).collect();
            deadline = [deadline, next_deadline(terms, &records)].into_iter().flatten().min();
            records.extend(fees.iter().filter(|fee| from <= fee.started_at && fee.started_at < to).cloned());
            plans.push(self.planned(contract, (from, to), records)?);
        }
        Ok(Settled { contract, from, to, plans, quiet, deadline })
    }

    /// What of a span's records has to be posted, beside what stands.
    fn planned(&self, contract: &str, (from, to): (Timestamp, Timestamp), records: Vec<Record>) -> Result<Plan> {
        Ok(self.ledger.stands(&Scope { contract, from, to })?.plan(records))
    }
}

/// When the first of these records changes by time alone.
pub(super) fn next_deadline(terms: &Terms<'_>, records: &[Record]) -> Option<Timestamp> {
    records.iter().filter_map(|record| meter::deadline(terms, record)).map(|deadline| deadline.at).min()
}

fn post(batch: &mut Batch<'_>, settled: &Settled<'_>) -> Result<Posted> {
    let mut posted = Posted::default();
    for plan in &settled.plans {
        posted += batch.post_plan(plan)?;
    }
    batch.mark_settled(settled.contract, settled.deadline)?;
    Ok(posted)
}
