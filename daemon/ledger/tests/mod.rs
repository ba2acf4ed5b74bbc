//! What the ledger promises, tried on real files: nothing twice, nothing lost, nothing changed unnoticed.

mod forgetting;
mod journaling;
mod posting;
mod privacy;
mod safety;
mod stored_form;
mod tampering;

use super::result::{Style, write_json};
use super::samples::{call, decimal, fee, id, key, ledger, matched, number, odd_call, raw, record, tuesday};
use super::*;
use crate::calls::{Call, Mark};
use crate::meter::{Party, Record, RecordKey};
use crate::tariff::Verdict;
use crate::units::{Seconds, Timestamp};
use chrono::NaiveDate;
use proptest::prelude::*;
use rust_decimal::Decimal;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

/// Does something in a batch of its own, and commits.
fn commit<T>(ledger: &mut Ledger, work: impl FnOnce(&mut Batch<'_>) -> Result<T>) -> T {
    let mut batch = ledger.batch().expect("a batch");
    let done = work(&mut batch).expect("done");
    batch.commit().expect("committed");
    done
}

fn ever() -> (Timestamp, Timestamp) {
    (Timestamp::from_micros(0), Timestamp::from_micros(i64::MAX))
}

fn all_records(ledger: &Ledger) -> Vec<Record> {
    let mut records = Vec::new();
    let (from, to) = ever();
    ledger
        .records::<LedgerError>(from, to, |record| {
            records.push(record);
            Ok(())
        })
        .expect("read");
    records
}

fn verified(ledger: &mut Ledger) -> Vec<Finding> {
    ledger.verify(Some(&key()), |_, _| {}).expect("it can be read")
}

fn scope(contract: &str) -> Scope<'_> {
    let (from, to) = ever();
    Scope { contract, from, to }
}
