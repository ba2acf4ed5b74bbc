//! Reading what settlement concluded: records as they stand, their history, what a range of entries comes to.
//!
//! The one invariant: the order is that of talk start (else set-up), then of the name, and so depends on nothing but the
//! records. Everything streams: sorting is left to SQLite, which spills to disk.

use super::chain::key_hash;
use super::error::{LedgerError, Result};
use super::fields::Revealing;
use super::post::{ENTRY, key_of};
use super::query::{blob, unread};
use super::result::Sign;
use super::{Hash, Ledger, record_form};
use crate::meter::{Record, RecordKey};
use crate::units::Timestamp;
use rusqlite::OptionalExtension;

/// A line that a range of entries comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeLine {
    /// The entry, or the reversal.
    pub seq: i64,
    /// The entry that it takes back.
    pub reverses: Option<i64>,
    /// The record: of a reversal, the one taken back.
    pub record: Record,
}

/// An entry in the history of a record, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryRow {
    /// Its seq.
    pub seq: i64,
    /// Whether it is due or takes the one before it back.
    pub sign: Sign,
    /// The catalogue version it was computed with.
    pub catalogue: i64,
    /// The record; `None` of a reversal.
    pub record: Option<Record>,
}

impl Ledger {
    /// The record of a call or fee, as of now.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn record(&self, key: &RecordKey) -> Result<Option<Record>> {
        let (kind, key) = key_of(key);
        let mut statement = self.db.prepare_cached(
            "SELECT e.seq, e.body FROM subject s JOIN record r ON r.subject = s.no JOIN entry e ON e.seq = r.entry
             WHERE s.key_hash = ?1 AND s.key = ?2 AND s.kind = ?3 AND r.live = 1",
        )?;
        let mut rows = statement.query((key_hash((kind, &key)), &key, kind))?;
        rows.next()?.map(|row| self.read_record(row.get(0)?, blob(row, 1, row.get(0)?)?)).transpose()
    }

    /// The entries about a call or fee, newest first.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn history(&self, key: &RecordKey) -> Result<Vec<HistoryRow>> {
        let (kind, key) = key_of(key);
        let mut statement = self.db.prepare_cached(
            "WITH RECURSIVE row (seq) AS (
                 SELECT r.entry FROM subject s JOIN record r ON r.subject = s.no WHERE s.key_hash = ?1 AND s.key = ?2 AND s.kind = ?3
                 UNION ALL
                 SELECT e.previous FROM row JOIN entry e ON e.seq = row.seq WHERE e.previous < e.seq)
             SELECT e.seq, e.kind, e.catalogue, e.body FROM row JOIN entry e ON e.seq = row.seq ORDER BY e.seq DESC",
        )?;
        let mut rows = statement.query((key_hash((kind, &key)), &key, kind))?;
        let mut history = Vec::new();
        while let Some(row) = rows.next()? {
            let (seq, kind): (i64, i64) = (row.get(0)?, row.get(1)?);
            let due = kind == ENTRY;
            let record = if due { Some(self.read_record(seq, blob(row, 3, seq)?)?) } else { None };
            let sign = if due { Sign::Due } else { Sign::Reversed };
            history.push(HistoryRow { seq, sign, catalogue: row.get(2)?, record });
        }
        Ok(history)
    }

    /// The records that begin in a span, as of now, ordered by talk start (else set-up), then by `call_id`.
    ///
    /// # Errors
    /// When the ledger cannot be read, or those of `each`.
    pub fn records<E: From<LedgerError>>(
        &self,
        from: Timestamp,
        to: Timestamp,
        mut each: impl FnMut(Record) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let fail = |error: rusqlite::Error| E::from(error.into());
        let mut statement = self
            .db
            .prepare_cached(
                "SELECT e.seq, e.body FROM subject s JOIN record r ON r.subject = s.no JOIN entry e ON e.seq = r.entry
                 WHERE s.begun >= ?1 AND s.begun < ?2 AND r.live = 1 ORDER BY s.begun, s.key, s.kind",
            )
            .map_err(fail)?;
        let mut rows = statement.query((from.micros(), to.micros())).map_err(fail)?;
        while let Some(row) = rows.next().map_err(fail)? {
            let seq = row.get(0).map_err(fail)?;
            each(self.read_record(seq, blob(row, 1, seq)?)?)?;
        }
        Ok(())
    }

    /// What a range of entries comes to, both ends included: for each record that it changed, the entry from before the
    /// range that it takes back, and what the record is at its end. Ordered as [`Ledger::records`], a reversal first.
    ///
    /// # Errors
    /// When the ledger cannot be read, or those of `each`.
    pub fn range<E: From<LedgerError>>(
        &self,
        (first, last): (i64, i64),
        mut each: impl FnMut(RangeLine) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let fail = |error: rusqlite::Error| E::from(error.into());
        let mut statement = self.db.prepare_cached(RANGE).map_err(fail)?;
        let mut body = self.db.prepare_cached("SELECT body FROM entry WHERE seq = ?1").map_err(fail)?;
        let mut rows = statement.query((first, last)).map_err(fail)?;
        // A reversal waits for the next line: if that says the same of the same record, the range changed nothing.
        let mut waiting: Option<(i64, Vec<u8>, RangeLine)> = None;
        while let Some(row) = rows.next().map_err(fail)? {
            let (seq, reverses): (i64, Option<i64>) = (row.get(0).map_err(fail)?, row.get(1).map_err(fail)?);
            let subject: i64 = row.get(2).map_err(fail)?;
            let entry = reverses.unwrap_or(seq);
            let bytes: Vec<u8> = body.query_row([entry], |row| row.get(0)).map_err(fail)?;
            if let Some((of, before, line)) = waiting.take() {
                if of == subject && before == bytes {
                    continue;
                }
                each(line)?;
            }
            let line = RangeLine { seq, reverses, record: self.read_record(entry, &bytes)? };
            match reverses {
                Some(_) => waiting = Some((subject, bytes, line)),
                None => each(line)?,
            }
        }
        waiting.map_or(Ok(()), |(_, _, line)| each(line))
    }

    /// The hash of an entry: what an export names as its anchor. `None` if there is none with that seq.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn entry_hash(&self, seq: i64) -> Result<Option<Hash>> {
        let found = self.db.prepare_cached("SELECT hash FROM entry WHERE seq = ?1")?.query_row([seq], |row| row.get::<_, [u8; 32]>(0));
        Ok(found.optional()?.map(Hash))
    }

    /// Ranges that were planned for export and whose files may be missing, in order.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn planned_exports(&self) -> Result<Vec<(i64, i64)>> {
        let mut statement = self.db.prepare_cached("SELECT first, last FROM export WHERE done = 0 ORDER BY first")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    pub(super) fn read_record(&self, seq: i64, body: &[u8]) -> Result<Record> {
        let mut numbers = self.numbers.borrow_mut();
        unread(record_form::read(body, &mut Revealing { db: &self.db, numbers: &mut numbers }), "entry", seq)
    }
}

/// An entry and its reversal inside the range cancel; a record that is what it was before the range is no change.
const RANGE: &str = "
    WITH reversed (seq, entry) AS (
        SELECT seq, previous FROM entry WHERE seq BETWEEN ?1 AND ?2 AND kind = 1 AND previous < ?1
    ), due (seq) AS (
        SELECT seq FROM entry e WHERE seq BETWEEN ?1 AND ?2 AND kind = 0
        AND NOT EXISTS (SELECT 1 FROM entry r WHERE r.kind = 1 AND r.previous = e.seq AND r.seq <= ?2)
    ), line (seq, reverses, entry) AS (
        SELECT seq, entry, entry FROM reversed UNION ALL SELECT seq, NULL, seq FROM due
    )
    SELECT line.seq, line.reverses, s.no FROM line JOIN entry e ON e.seq = line.entry JOIN subject s ON s.no = e.subject
    ORDER BY e.begun, s.key, s.kind, line.seq";
