//! Reading: calls, contracts, records, ranges of entries. Everything streams or is bounded by one contract.

use super::call_form;
use super::error::{LedgerError, Result};
use super::fields::{Revealing, Unread, read_decimal};
use super::journal::{Assignment, Decision};
use super::post::key_of;
use super::record_form;
use super::result::Sign;
use super::{Hash, Ledger, Snapshot};
use crate::calls::Call;
use crate::contracts::Match;
use crate::meter::{Record, RecordKey};
use crate::tariff::Verdict;
use crate::units::codec::Reader;
use crate::units::{CallId, Seconds, Timestamp};
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

/// A contract that is not settled with all evidence there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dirty {
    /// The contract.
    pub contract: String,
    /// The earliest start of a call that is new or changed.
    pub since: Timestamp,
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

const CALL_COLUMNS: &str = "s.no, s.latest, e.body, s.assignment, s.decision, s.first, s.last";

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

    /// The sources that have a snapshot.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn snapshot_sources(&self) -> Result<Vec<String>> {
        self.column("SELECT source FROM snapshot ORDER BY source")
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
        let sql = format!(
            "SELECT {CALL_COLUMNS} FROM subject s JOIN evidence e ON e.seq = s.latest
             WHERE s.contract = ?1 AND s.begun >= ?2 AND s.kind = 0 ORDER BY s.begun"
        );
        let mut calls = Vec::new();
        self.each_call(&sql, (contract, since.micros()), &mut |call| {
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

    /// Contracts to be settled, in order of name.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn unsettled(&self) -> Result<Vec<Dirty>> {
        let mut statement = self.db.prepare_cached("SELECT contract, since FROM unsettled ORDER BY contract")?;
        let rows = statement.query_map([], |row| Ok(Dirty { contract: row.get(0)?, since: Timestamp::from_micros(row.get(1)?) }))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
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
        let mut rows = statement.query((super::chain::key_hash((kind, &key)), &key, kind))?;
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
        let mut rows = statement.query((super::chain::key_hash((kind, &key)), &key, kind))?;
        let mut history = Vec::new();
        while let Some(row) = rows.next()? {
            let (seq, kind): (i64, i64) = (row.get(0)?, row.get(1)?);
            let due = kind == super::post::ENTRY;
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

    pub(super) fn read_call(&self, seq: i64, body: &[u8]) -> Result<(Call, Match)> {
        let mut numbers = self.numbers.borrow_mut();
        unread(call_form::read(body, &mut Revealing { db: &self.db, numbers: &mut numbers }), "evidence", seq)
    }

    fn each_call(&self, sql: &str, parameters: impl rusqlite::Params, each: &mut dyn FnMut(StoredCall) -> Result<()>) -> Result<()> {
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
            assignment: assignment.map(|seq| self.said(seq, read_assignment)).transpose()?,
            decision: decision.map(|seq| self.said(seq, read_decision)).transpose()?,
            first_seq: row.get(5)?,
            last_seq: row.get(6)?,
        })
    }

    fn said<T>(&self, seq: i64, read: impl FnOnce(&mut Reader<'_>, Timestamp) -> Option<T>) -> Result<T> {
        let mut statement = self.db.prepare_cached("SELECT at, body FROM evidence WHERE seq = ?1")?;
        let mut rows = statement.query([seq])?;
        let row = rows.next()?.ok_or(damaged("evidence", seq))?;
        let at = Timestamp::from_micros(row.get(0)?);
        read(&mut Reader::new(blob(row, 1, seq)?), at).ok_or(damaged("evidence", seq))
    }

    fn column(&self, sql: &str) -> Result<Vec<String>> {
        let mut statement = self.db.prepare_cached(sql)?;
        let rows = statement.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
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

fn read_assignment(from: &mut Reader<'_>, at: Timestamp) -> Option<Assignment> {
    Some(Assignment { contract: from.text()?.into(), who: from.text()?.into(), why: from.text()?.into(), at })
}

fn read_decision(from: &mut Reader<'_>, at: Timestamp) -> Option<Decision> {
    let verdict = match from.number()? {
        0 => Verdict::Customer,
        1 => Verdict::Provider,
        2 => Verdict::GoodwillPercent(read_decimal(from)?),
        3 => Verdict::GoodwillTime(Seconds::new(from.number()?)),
        _ => return None,
    };
    Some(Decision { verdict, who: from.text()?.into(), reason: from.text()?.into(), at })
}

pub(super) fn blob<'r>(row: &'r Row<'_>, column: usize, seq: i64) -> Result<&'r [u8]> {
    row.get_ref(column)?.as_blob().map_err(|_| damaged("a row of", seq))
}

const fn damaged(table: &'static str, row: i64) -> LedgerError {
    LedgerError::Damaged { table, row, what: "cannot be read" }
}

fn unread<T>(read: std::result::Result<T, Unread>, table: &'static str, row: i64) -> Result<T> {
    read.map_err(|error| match error {
        Unread::Damaged => damaged(table, row),
        Unread::Ledger(error) => error,
    })
}
