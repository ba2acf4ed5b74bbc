//! Contracts that are to be settled: because evidence came, a deadline passed, or everything is to be settled anew.
//!
//! The one invariant: what is not settled with all evidence there is stands here, committed with that evidence; what will
//! change by time alone stands here with when, committed with its settlement. So no deadline is lost while nobody runs.

use super::error::Result;
use super::{Batch, Ledger};
use crate::units::Timestamp;
use rusqlite::OptionalExtension;

/// How many contracts are remembered as marked, before they are marked anew: 3 MiB at most.
const KNOWN_UNSETTLED: usize = 32_768;

/// A contract that is not settled with all evidence there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dirty {
    /// The contract.
    pub contract: String,
    /// The earliest start of a call that is new or changed.
    pub since: Timestamp,
    /// The latest start of one; the end of time where it is not known.
    pub through: Timestamp,
}

impl Batch<'_> {
    /// All contracts are to be settled again, as after a change of tariffs.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn mark_all_unsettled(&mut self) -> Result<()> {
        self.step(|ledger| {
            ledger.db.execute(
                "INSERT INTO unsettled (contract, since) SELECT contract, min(begun) FROM subject WHERE contract IS NOT NULL GROUP BY contract
                 ON CONFLICT (contract) DO UPDATE SET since = min(since, excluded.since), through = excluded.through",
                [],
            )?;
            Ok(())
        })
    }

    /// Contracts whose deadline the ledger's time has reached are to be settled.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn mark_due(&mut self) -> Result<()> {
        self.step(|ledger| {
            ledger
                .db
                .prepare_cached(
                    "INSERT INTO unsettled (contract, since) SELECT contract, at FROM deadline WHERE at <= ?1
                     ON CONFLICT (contract) DO UPDATE SET through = excluded.through",
                )?
                .execute([ledger.head.time])?;
            Ok(())
        })
    }

    /// This contract is settled with all evidence there is, until `deadline` (`None`: until there is more).
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn mark_settled(&mut self, contract: &str, deadline: Option<Timestamp>) -> Result<()> {
        self.step(|ledger| {
            ledger.db.prepare_cached("DELETE FROM unsettled WHERE contract = ?1")?.execute([contract])?;
            if let Some(writing) = &mut ledger.writing {
                writing.unsettled.remove(contract);
            }
            match deadline {
                Some(at) => ledger
                    .db
                    .prepare_cached(
                        "INSERT INTO deadline (contract, at) VALUES (?1, ?2) ON CONFLICT (contract) DO UPDATE SET at = excluded.at",
                    )?
                    .execute((contract, at.micros()))?,
                None => ledger.db.prepare_cached("DELETE FROM deadline WHERE contract = ?1")?.execute([contract])?,
            };
            Ok(())
        })
    }
}

impl Ledger {
    /// Contracts to be settled, in order of name.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn unsettled(&self) -> Result<Vec<Dirty>> {
        let mut statement = self.db.prepare_cached("SELECT contract, since, through FROM unsettled ORDER BY contract")?;
        let time = |micros: i64| Timestamp::from_micros(micros);
        let rows =
            statement.query_map([], |row| Ok(Dirty { contract: row.get(0)?, since: time(row.get(1)?), through: time(row.get(2)?) }))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// When a contract's records change by time alone; `None` if they do not.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn deadline(&self, contract: &str) -> Result<Option<Timestamp>> {
        let at = self.db.prepare_cached("SELECT at FROM deadline WHERE contract = ?1")?.query_row([contract], |row| row.get(0));
        Ok(at.optional()?.map(Timestamp::from_micros))
    }

    /// Notes that calls which begin, or began, in a span are new or changed.
    pub(super) fn mark_unsettled(&mut self, contract: Option<&str>, since: i64, through: i64) -> Result<()> {
        let (Some(contract), Some(writing)) = (contract, &mut self.writing) else { return Ok(()) };
        if writing.unsettled.get(contract).is_some_and(|(from, to)| *from <= since && through <= *to) {
            return Ok(());
        }
        if writing.unsettled.len() >= KNOWN_UNSETTLED {
            writing.unsettled.clear();
        }
        let known = writing.unsettled.entry(contract.into()).or_insert((since, through));
        *known = (known.0.min(since), known.1.max(through));
        self.db
            .prepare_cached(
                "INSERT INTO unsettled (contract, since, through) VALUES (?1, ?2, ?3)
                 ON CONFLICT (contract) DO UPDATE SET since = min(since, excluded.since), through = max(through, excluded.through)",
            )?
            .execute((contract, since, through))?;
        Ok(())
    }
}
