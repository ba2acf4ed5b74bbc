//! What stands about a contract, read before its records are posted: by another thread, while the writer posts others.
//!
//! The one invariant: only posting the contract itself changes what is read here. Records that stand with one contract while
//! their call went to another are changed by either, and are left out: the writer looks those up itself.

use super::Ledger;
use super::error::Result;
use super::journal::{CALL, FEE};
use super::post::{Scope, key_of};
use crate::meter::Record;
use std::collections::HashMap;

/// What stands about a subject.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    pub subject: i64,
    /// Whose the subject is.
    pub contract: Option<Box<str>>,
    /// The start of the record that stands, if one does.
    pub begun: i64,
    /// The last row about it, and whether that is an entry.
    pub last: Option<(i64, bool)>,
}

/// What stands about the calls and fees of a contract.
#[derive(Debug)]
pub struct Stands {
    contract: Box<str>,
    from: i64,
    to: i64,
    calls: HashMap<Box<str>, Standing>,
    fees: HashMap<Box<str>, Standing>,
}

/// The records of a contract, each with what stands about it, and the records that are to be taken back.
#[derive(Debug)]
pub struct Plan {
    pub(super) contract: Box<str>,
    pub(super) from: i64,
    pub(super) to: i64,
    pub(super) records: Vec<(Record, Option<Standing>)>,
    /// Subject, entry, and the start of its record.
    pub(super) gone: Vec<(i64, i64, i64)>,
}

impl Plan {
    /// The entries that stand and would be taken back.
    pub fn without_reason(&self) -> impl Iterator<Item = i64> {
        self.gone.iter().map(|(_, entry, _)| *entry)
    }
}

const OF_CONTRACT: &str = "
    SELECT s.no, s.kind, s.key, s.begun, r.entry, r.live FROM subject s LEFT JOIN record r ON r.subject = s.no
    WHERE s.contract = ?1 AND s.begun >= ?2 AND s.begun < ?3 AND r.moved IS NULL";

impl Ledger {
    /// What stands in a scope.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn stands(&self, scope: &Scope<'_>) -> Result<Stands> {
        let Scope { contract, from, to } = *scope;
        let (from, to) = (from.micros(), to.micros());
        let (mut calls, mut fees) = (HashMap::new(), HashMap::new());
        let mut statement = self.db.prepare_cached(OF_CONTRACT)?;
        let mut rows = statement.query((contract, from, to))?;
        while let Some(row) = rows.next()? {
            let (entry, live): (Option<i64>, Option<bool>) = (row.get(4)?, row.get(5)?);
            let standing = Standing { subject: row.get(0)?, contract: Some(contract.into()), begun: row.get(3)?, last: entry.zip(live) };
            let of_kind = if row.get::<_, i64>(1)? == CALL { &mut calls } else { &mut fees };
            of_kind.insert(row.get(2)?, standing);
        }
        Ok(Stands { contract: contract.into(), from, to, calls, fees })
    }
}

impl Stands {
    /// Lays these records, all there are of the contract, beside what stands: what is not among them will be taken back.
    #[must_use]
    pub fn plan(mut self, records: Vec<Record>) -> Plan {
        let mut take = |record: &Record| match key_of(&record.key) {
            (FEE, key) => self.fees.remove(&*key),
            (_, key) => self.calls.remove(&*key),
        };
        let records = records.into_iter().map(|record| (take(&record), record)).map(|(standing, record)| (record, standing)).collect();
        let rest = self.calls.into_values().chain(self.fees.into_values());
        let gone = rest.filter_map(|standing| match standing.last {
            Some((entry, true)) => Some((standing.subject, entry, standing.begun)),
            Some((_, false)) | None => None,
        });
        Plan { records, gone: gone.collect(), contract: self.contract, from: self.from, to: self.to }
    }
}
