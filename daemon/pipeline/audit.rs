//! Everything again: every record computed anew from the evidence, held against what stands in the ledger; and what stands there of
//! a contract although nothing comes to it. One contract is in memory at a time, and one call that nobody pays.

use super::catalogue::InForce;
use super::said::said;
use super::settling::next_deadline;
use crate::ledger::{Ledger, Result, Scope};
use crate::meter::{self, Record, RecordKey};
use crate::units::Timestamp;

/// Settles every contract and every call of nobody anew. Gives how many records were computed, and what differs.
///
/// # Errors
/// When the ledger cannot be read.
pub fn settle_anew(ledger: &Ledger, in_force: &InForce) -> Result<(u64, Vec<String>)> {
    let (mut computed, mut differing) = (0u64, Vec::new());
    let until = ledger.time();
    let closings = ledger.closings()?;
    let mut compare = |record: &Record| -> Result<()> {
        computed += 1;
        match ledger.record(&record.key)? {
            Some(stands) if stands == *record => {}
            Some(stands) => differing.push(format!(
                "record {}: stands with net {} ({:?}), computed anew it has {} ({:?})",
                name(&record.key),
                stands.charge.net,
                stands.outcome,
                record.charge.net,
                record.outcome
            )),
            None => differing.push(format!("record {}: computed anew, and not in the ledger", name(&record.key))),
        }
        Ok(())
    };
    let (mut deadlines, mut unfounded) = (Vec::new(), Vec::new());
    for contract in ledger.contracts()? {
        let Some(terms) = in_force.terms(&contract) else { continue };
        let calls = said(ledger, in_force, &closings, &contract)?;
        let settled = in_force.settle(&terms, &calls, until).calls.into_iter().map(|settled| settled.record);
        let records: Vec<Record> = settled.filter(|record| record.ended_at.is_some()).collect();
        records.iter().try_for_each(&mut compare)?;
        deadlines.push((next_deadline(&terms, &records), contract.clone()));
        let fees = meter::fees(&terms, until);
        fees.iter().try_for_each(&mut compare)?;
        let ever = Scope { contract: &contract, from: Timestamp::from_micros(i64::MIN), to: Timestamp::MAX };
        let plan = ledger.stands(&ever)?.plan(records.into_iter().chain(fees).collect());
        unfounded
            .extend(plan.without_reason().map(|entry| format!("entry {entry}: stands with {contract}, and computed anew there is none")));
    }
    ledger.calls_of_nobody(Timestamp::default(), |stored| {
        let ended = stored.call.ended_at;
        ended.map_or(Ok(()), |ended| compare(&in_force.unbilled(&stored.call, &stored.matched, ended)))
    })?;
    differing.extend(unfounded);
    for (derived, contract) in deadlines {
        if ledger.deadline(&contract)? != derived {
            differing.push(format!("deadline {contract}: computed anew, its next one is another; the next settlement would come too late"));
        }
    }
    Ok((computed, differing))
}

fn name(key: &RecordKey) -> String {
    match key {
        RecordKey::Call(id) => id.to_string(),
        RecordKey::Fee { contract, plan, from } => format!("fee {contract} {plan} {from}"),
    }
}
