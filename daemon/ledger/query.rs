//! Reading what was said: calls, contracts, closings, texts. Everything streams or is bounded by one contract.

use super::call_form;
use super::error::{LedgerError, Result};
use super::fields::{Revealing, Unread};
use super::operators::{Assignment, Decision, read_assignment, read_decision};
use super::{Hash, Ledger, Snapshot};
use crate::calls::Call;
use crate::contracts::Match;

use crate::units::codec::Reader;
use crate::units::{CallId, Timestamp};
use chrono::NaiveDate;
use rusqlite::{OptionalExtension, Row};

/// A call with all that was said about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredCall {
    /// As its latest evidence has it.
    pub call: Call,
    /// The match that was found then.
    pub matched: Match,
    /// The contract an operator gave it to: counts before the match.
    pub assignment: Option<Assignment>,
    /// The decision in force.
    pub decision: Option<Decision>,
    /// The seq of its first evidence: whether it came before a closing.
    pub first_seq: i64,
    /// The seq of its latest evidence of any kind.
    pub last_seq: i64,
}

impl StoredCall {
    /// Who pays: as assigned, else as matched.
    #[must_use]
    pub fn contract(&self) -> Option<&str> {
        self.assignment.as_ref().map_or_else(|| self.matched.contract(), |assignment| Some(&assignment.contract))
    }
}

/// What looking for a call by its name, or the beginning of it, gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// This one.
    One(Box<StoredCall>),
    /// None.
    None,
    /// Several begin so; the first ten.
    Several(Vec<String>),
}

/// A month that was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closing {
    /// Its first day.
    pub month: NaiveDate,
    /// Calls whose first evidence has a greater seq are late.
    pub seq: i64,
}

/// Where the chains end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heads {
    /// The last evidence: seq and hash.
    pub evidence: (i64, Hash),
    /// The last entry: seq and hash.
    pub entry: (i64, Hash),
}

pub(super) const CALL_COLUMNS: &str = "s.no, s.latest, e.body, s.assignment, s.decision, s.first, s.last";

impl Ledger {
    /// The ledger's time (design.md §2).
    #[must_use]
    pub fn time(&self) -> Timestamp {
        Timestamp::from_micros(self.head.time)
    }

    /// Where the chains end.
    #[must_use]
    pub const fn heads(&self) -> Heads {
        Heads { evidence: self.head.evidence, entry: self.head.entry }
    }

    /// The catalogue version in force; `None` before the first.
    #[must_use]
    pub const fn catalogue(&self) -> Option<i64> {
        self.head.catalogue
    }

    /// The texts of a catalogue version: kind, name, text, in the order in which they were given.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn documents(&self, version: i64) -> Result<Vec<(String, String, String)>> {
        let mut statement = self.db.prepare_cached(
            "SELECT d.kind, d.name, d.text FROM catalogue_document c JOIN document d ON d.no = c.document
             WHERE c.catalogue = ?1 ORDER BY c.place",
        )?;
        let rows = statement.query_map([version], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// What a source left at its last commit.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn snapshot(&self, source: &str) -> Result<Option<Snapshot>> {
        let found = self
            .db
            .prepare_cached("SELECT position, body FROM snapshot WHERE source = ?1")?
            .query_row([source], |row| Ok(Snapshot { position: row.get(0)?, body: row.get(1)? }));
        Ok(found.optional()?)
    }

    /// The snapshots whose names go on behind this one and a `/`, with their names.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn snapshots_below(&self, source: &str) -> Result<Vec<(String, Snapshot)>> {
        // `0` follows `/`: all names between are those that begin so.
        let sql = "SELECT source, position, body FROM snapshot WHERE source > ?1 || '/' AND source < ?1 || '0' ORDER BY source";
        let mut statement = self.db.prepare_cached(sql)?;
        let rows = statement.query_map([source], |row| Ok((row.get(0)?, Snapshot { position: row.get(1)?, body: row.get(2)? })))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// A call by its whole name.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn call(&self, id: &CallId) -> Result<Option<StoredCall>> {
        let sql = format!(
            "SELECT {CALL_COLUMNS} FROM subject s JOIN evidence e ON e.seq = s.latest WHERE s.key_hash = ?1 AND s.key = ?2 AND s.kind = 0"
        );
        let key = (super::journal::CALL, id.as_str());
        let mut statement = self.db.prepare_cached(&sql)?;
        let mut rows = statement.query((super::chain::key_hash(key), key.1))?;
        rows.next()?.map(|row| self.stored_call(row)).transpose()
    }

    /// A call by its name, or by the beginning of it if only one begins so.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn find_call(&self, text: &str) -> Result<Found> {
        let Some(id) = CallId::new(text) else { return Ok(Found::None) };
        if let Some(call) = self.call(&id)? {
            return Ok(Found::One(Box::new(call)));
        }
        let mut statement =
            self.db.prepare_cached("SELECT key FROM subject WHERE kind = 0 AND substr(key, 1, length(?1)) = ?1 ORDER BY key LIMIT 10")?;
        let names: Vec<String> = statement.query_map([text], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        match names.as_slice() {
            [] => Ok(Found::None),
            [name] => {
                let call = CallId::new(name).map(|id| self.call(&id)).transpose()?.flatten();
                Ok(call.map_or(Found::None, |call| Found::One(Box::new(call))))
            }
            _ => Ok(Found::Several(names)),
        }
    }

    /// A contract's calls from an instant on, in order of their start.
    ///
    /// # Errors
    /// When the ledger cannot be read, or a row of it.
    pub fn calls_of(&self, contract: &str, since: Timestamp) -> Result<Vec<StoredCall>> {
        self.calls_between(contract, since, Timestamp::from_micros(i64::MAX))
    }

    /// The same up to an instant, exclusive.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn calls_between(&self, contract: &str, from: Timestamp, to: Timestamp) -> Result<Vec<StoredCall>> {
        let sql = format!(
            "SELECT {CALL_COLUMNS} FROM subject s JOIN evidence e ON e.seq = s.latest
             WHERE s.contract = ?1 AND s.begun >= ?2 AND s.begun < ?3 AND s.kind = 0 ORDER BY s.begun"
        );
        let mut calls = Vec::new();
        self.each_call(&sql, (contract, from.micros(), to.micros()), &mut |call| {
            calls.push(call);
            Ok(())
        })?;
        Ok(calls)
    }

    /// All calls that begin in a span, running and ended, of any outcome, in order of their start.
    ///
    /// # Errors
    /// When the ledger cannot be read, or those of `each`.
    pub fn calls(&self, from: Timestamp, to: Timestamp, mut each: impl FnMut(StoredCall) -> Result<()>) -> Result<()> {
        let sql = format!(
            "SELECT {CALL_COLUMNS} FROM subject s JOIN evidence e ON e.seq = s.latest
             WHERE s.begun >= ?1 AND s.begun < ?2 AND s.kind = 0 ORDER BY s.begun, s.key"
        );
        self.each_call(&sql, (from.micros(), to.micros()), &mut each)
    }

    /// Whether it holds any call.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn has_calls(&self) -> Result<bool> {
        Ok(self.db.query_row("SELECT EXISTS (SELECT 1 FROM subject WHERE kind = 0)", [], |row| row.get(0))?)
    }

    /// When the first call of a contract began; `None` while there is none. Calls of nobody do not count: a switch whose clock
    /// stood at 1970 for a moment must not have fifty years closed.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn first_begun(&self) -> Result<Option<Timestamp>> {
        let begun: Option<i64> =
            self.db.query_row("SELECT min(begun) FROM subject WHERE kind = 0 AND contract IS NOT NULL", [], |row| row.get(0))?;
        Ok(begun.map(Timestamp::from_micros))
    }

    /// The calls that have not ended.
    ///
    /// # Errors
    /// When the ledger cannot be read, or those of `each`.
    pub fn running_calls(&self, mut each: impl FnMut(StoredCall) -> Result<()>) -> Result<()> {
        let sql = format!(
            "SELECT {CALL_COLUMNS} FROM subject s JOIN evidence e ON e.seq = s.latest WHERE s.ended = 0 AND s.kind = 0 ORDER BY s.no"
        );
        self.each_call(&sql, (), &mut each)
    }

    /// The calls from an instant on that nobody pays (unmatched, ambiguous, not assigned), in order of their start.
    ///
    /// # Errors
    /// When the ledger cannot be read, or those of `each`.
    pub fn calls_of_nobody(&self, since: Timestamp, mut each: impl FnMut(StoredCall) -> Result<()>) -> Result<()> {
        let sql = format!(
            "SELECT {CALL_COLUMNS} FROM subject s JOIN evidence e ON e.seq = s.latest
             WHERE s.contract IS NULL AND s.begun >= ?1 AND s.kind = 0 ORDER BY s.begun"
        );
        self.each_call(&sql, [since.micros()], &mut each)
    }

    /// Every contract that ever had a call or a fee, in order of name.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn contracts(&self) -> Result<Vec<String>> {
        self.column("SELECT DISTINCT contract FROM subject WHERE contract IS NOT NULL ORDER BY contract")
    }

    /// Months that were closed, in the order in which they were.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn closings(&self) -> Result<Vec<Closing>> {
        let mut statement = self.db.prepare_cached("SELECT seq, body FROM evidence WHERE kind >= 4 AND kind = 4 ORDER BY seq")?;
        let mut rows = statement.query([])?;
        let mut closings = Vec::new();
        while let Some(row) = rows.next()? {
            let seq = row.get(0)?;
            let mut from = Reader::new(blob(row, 1, seq)?);
            let month = from.small().zip(from.small()).and_then(|(year, month)| NaiveDate::from_ymd_opt(year, month, 1));
            closings.push(Closing { month: month.ok_or(damaged("evidence", seq))?, seq });
        }
        Ok(closings)
    }

    pub(super) fn read_call(&self, seq: i64, body: &[u8]) -> Result<(Call, Match)> {
        let mut numbers = self.numbers.borrow_mut();
        unread(call_form::read(body, &mut Revealing { db: &self.db, numbers: &mut numbers }), "evidence", seq)
    }

    pub(super) fn each_call(
        &self,
        sql: &str,
        parameters: impl rusqlite::Params,
        each: &mut dyn FnMut(StoredCall) -> Result<()>,
    ) -> Result<()> {
        let mut statement = self.db.prepare_cached(sql)?;
        let mut rows = statement.query(parameters)?;
        while let Some(row) = rows.next()? {
            each(self.stored_call(row)?)?;
        }
        Ok(())
    }

    fn stored_call(&self, row: &Row<'_>) -> Result<StoredCall> {
        let latest: i64 = row.get(1)?;
        let (call, matched) = self.read_call(latest, blob(row, 2, latest)?)?;
        let (assignment, decision): (Option<i64>, Option<i64>) = (row.get(3)?, row.get(4)?);
        Ok(StoredCall {
            call,
            matched,
            assignment: assignment.map(|seq| self.said(seq, read_assignment, |said| &mut said.why)).transpose()?,
            decision: decision.map(|seq| self.said(seq, read_decision, |said| &mut said.reason)).transpose()?,
            first_seq: row.get(5)?,
            last_seq: row.get(6)?,
        })
    }

    /// What an operator said, with the numbers in its prose that are not forgotten.
    fn said<T>(
        &self,
        seq: i64,
        read: impl FnOnce(&mut Reader<'_>, Timestamp) -> Option<T>,
        prose: impl FnOnce(&mut T) -> &mut Box<str>,
    ) -> Result<T> {
        let mut statement = self.db.prepare_cached("SELECT at, body FROM evidence WHERE seq = ?1")?;
        let mut rows = statement.query([seq])?;
        let row = rows.next()?.ok_or(damaged("evidence", seq))?;
        let at = Timestamp::from_micros(row.get(0)?);
        let mut said = read(&mut Reader::new(blob(row, 1, seq)?), at).ok_or(damaged("evidence", seq))?;
        let text = prose(&mut said);
        *text = Revealing { db: &self.db, numbers: &mut self.numbers.borrow_mut() }.in_prose(std::mem::take(text))?;
        Ok(said)
    }

    fn column(&self, sql: &str) -> Result<Vec<String>> {
        let mut statement = self.db.prepare_cached(sql)?;
        let rows = statement.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

pub(super) fn blob<'r>(row: &'r Row<'_>, column: usize, seq: i64) -> Result<&'r [u8]> {
    row.get_ref(column)?.as_blob().map_err(|_| damaged("a row of", seq))
}

pub(super) const fn damaged(table: &'static str, row: i64) -> LedgerError {
    LedgerError::Damaged { table, row, what: "cannot be read" }
}

pub(super) fn unread<T>(read: std::result::Result<T, Unread>, table: &'static str, row: i64) -> Result<T> {
    read.map_err(|error| match error {
        Unread::Damaged => damaged(table, row),
        Unread::Ledger(error) => error,
    })
}
