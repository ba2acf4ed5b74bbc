//! Writing entries: what settlement concluded, as differences to what stands.
//!
//! The one invariant: for each subject there is at most one entry that no reversal has taken back, and its body is the
//! record as of now. Posting the same records again posts nothing; the order in which records are posted does not matter
//! for what stands in the end.

use super::chain::{EntryRow, key_hash};
use super::error::{LedgerError, Result};
use super::fields::{Hiding, day_of};
use super::journal::{CALL, FEE};
use super::record_form;
use super::stands::{Plan, Standing};
use super::{Batch, Ledger};
use crate::meter::{Record, RecordKey};
use crate::units::Timestamp;
use rusqlite::OptionalExtension;
use std::borrow::Cow;
use std::ops::AddAssign;

/// Kinds of entries, as stored.
pub(super) const ENTRY: i64 = 0;
pub(super) const REVERSAL: i64 = 1;

/// What posting added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Posted {
    /// New entries.
    pub entries: usize,
    /// Entries taken back.
    pub reversals: usize,
}

impl AddAssign for Posted {
    fn add_assign(&mut self, more: Self) {
        self.entries += more.entries;
        self.reversals += more.reversals;
    }
}

/// Which records a settlement speaks about: those of a contract that begin in a span of time.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// The contract.
    pub contract: &'a str,
    /// From this instant on.
    pub from: Timestamp,
    /// Up to this one, exclusive.
    pub to: Timestamp,
}

impl Batch<'_> {
    /// Posts records: an entry for each that is new, a reversal and an entry for each that differs from what stands.
    ///
    /// # Errors
    /// When a record's call is not journaled, no catalogue is in force, or the ledger cannot be written.
    pub fn post(&mut self, records: &[Record]) -> Result<Posted> {
        self.step(|ledger| {
            let mut posted = Posted::default();
            for record in records {
                post_one(ledger, record, &mut posted)?;
            }
            Ok(posted)
        })
    }

    /// Posts all records of a scope: as [`Batch::post`], and takes back those that stand there and are not among them.
    ///
    /// # Errors
    /// As [`Batch::post`].
    pub fn post_set(&mut self, scope: &Scope<'_>, records: &[Record]) -> Result<Posted> {
        let plan = self.ledger.stands(scope)?.plan(records.to_vec());
        self.post_plan(&plan)
    }

    /// Posts all records of a contract as planned; since then, nothing else was posted about it.
    ///
    /// # Errors
    /// As [`Batch::post`].
    pub fn post_plan(&mut self, plan: &Plan) -> Result<Posted> {
        self.step(|ledger| {
            let mut posted = Posted::default();
            let mut named = Vec::new();
            for (record, standing) in &plan.records {
                match standing {
                    Some(standing) => post_against(ledger, record, standing, &mut posted)?,
                    None => named.push(post_one(ledger, record, &mut posted)?),
                }
            }
            let mut gone = moved_away(ledger, plan)?;
            gone.retain(|(subject, ..)| !named.contains(subject));
            gone.extend_from_slice(&plan.gone);
            gone.sort_unstable();
            for (subject, entry, begun) in gone {
                let (kind, key): (i64, String) = ledger
                    .db
                    .prepare_cached("SELECT kind, key FROM subject WHERE no = ?1")?
                    .query_row([subject], |row| Ok((row.get(0)?, row.get(1)?)))?;
                append(ledger, REVERSAL, subject, (kind, &key), Some(entry), begun, &[])?;
                posted.reversals += 1;
            }
            Ok(posted)
        })
    }
}

/// Posts a record if it differs from what stands, and gives its subject.
fn post_one(ledger: &mut Ledger, record: &Record, posted: &mut Posted) -> Result<i64> {
    let (kind, key) = key_of(&record.key);
    let standing = match find(ledger, kind, &key)? {
        Some(standing) => standing,
        None => {
            Standing { subject: add_fee(ledger, record)?, contract: record.contract.clone(), begun: begun_of(record).micros(), last: None }
        }
    };
    post_against(ledger, record, &standing, posted)?;
    Ok(standing.subject)
}

/// Posts a record if it differs from what is known to stand.
fn post_against(ledger: &mut Ledger, record: &Record, standing: &Standing, posted: &mut Posted) -> Result<()> {
    let begun = begun_of(record);
    let (kind, key) = key_of(&record.key);
    let body = write_record(ledger, record, begun)?;
    let mut previous = standing.last.map(|(seq, _)| seq);
    if let Some((entry, true)) = standing.last {
        let same: bool =
            ledger.db.prepare_cached("SELECT body = ?2 FROM entry WHERE seq = ?1")?.query_row((entry, &body), |row| row.get(0))?;
        if same {
            return Ok(());
        }
        previous = Some(append(ledger, REVERSAL, standing.subject, (kind, &key), Some(entry), standing.begun, &[])?);
        posted.reversals += 1;
    }
    append(ledger, ENTRY, standing.subject, (kind, &key), previous, begun.micros(), &body)?;
    posted.entries += 1;
    keep_projection(ledger, record, standing, begun)
}

/// Where a record is found in time: its talk start, else its set-up.
pub(super) fn begun_of(record: &Record) -> Timestamp {
    record.connected_at.unwrap_or(record.started_at)
}

/// The kind and the text that stand for a record's key.
pub(super) fn key_of(key: &RecordKey) -> (i64, Cow<'_, str>) {
    match key {
        RecordKey::Call(id) => (CALL, id.as_str().into()),
        // As a JSON array: no two fees have the same text, whatever signs their names have.
        RecordKey::Fee { contract, plan, from } => (FEE, serde_json::json!([contract, plan, from.to_string()]).to_string().into()),
    }
}

fn write_record(ledger: &mut Ledger, record: &Record, begun: Timestamp) -> Result<Vec<u8>> {
    let Ledger { db, writing, .. } = ledger;
    let Some(writing) = writing else { return Err(LedgerError::ReadOnly) };
    record_form::write(record, &mut Hiding { db, tokens: &mut writing.tokens, day: day_of(begun) })
}

fn find(ledger: &Ledger, kind: i64, key: &str) -> Result<Option<Standing>> {
    let found = ledger
        .db
        .prepare_cached(
            "SELECT s.no, s.contract, s.begun, r.entry, r.live FROM subject s LEFT JOIN record r ON r.subject = s.no
             WHERE s.key_hash = ?1 AND s.key = ?2 AND s.kind = ?3",
        )?
        .query_row((key_hash((kind, key)), key, kind), |row| {
            let (entry, live): (Option<i64>, Option<bool>) = (row.get(3)?, row.get(4)?);
            Ok(Standing { subject: row.get(0)?, contract: row.get(1)?, begun: row.get(2)?, last: entry.zip(live) })
        });
    Ok(found.optional()?)
}

/// A fee is a subject from its first record on; a call is one from its first evidence on.
fn add_fee(ledger: &Ledger, record: &Record) -> Result<i64> {
    let (kind, key) = key_of(&record.key);
    if kind == CALL {
        return Err(LedgerError::UnknownCall { id: key.into() });
    }
    ledger
        .db
        .prepare_cached("INSERT INTO subject (kind, key, key_hash, contract, begun, ended) VALUES (1, ?1, ?2, ?3, ?4, 1)")?
        .execute((&key, key_hash((kind, &key)), record.contract.as_deref(), begun_of(record).micros()))?;
    Ok(ledger.db.last_insert_rowid())
}

/// The record now stands with its own contract and start.
fn keep_projection(ledger: &Ledger, record: &Record, standing: &Standing, begun: Timestamp) -> Result<()> {
    let moved = record.contract.as_deref().filter(|payer| standing.contract.as_deref() != Some(payer));
    if moved.is_some() || standing.last.is_some() {
        ledger.db.prepare_cached("UPDATE record SET moved = ?2 WHERE subject = ?1")?.execute((standing.subject, moved))?;
    }
    if standing.begun != begun.micros() {
        ledger.db.prepare_cached("UPDATE subject SET begun = ?2 WHERE no = ?1")?.execute((standing.subject, begun.micros()))?;
    }
    Ok(())
}

/// The records that stand with a contract while their call went to another: subject, entry, start.
fn moved_away(ledger: &Ledger, plan: &Plan) -> Result<Vec<(i64, i64, i64)>> {
    let mut statement = ledger.db.prepare_cached(MOVED_AWAY)?;
    let rows = statement.query_map((&plan.contract, plan.from, plan.to), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

const MOVED_AWAY: &str = "
    SELECT s.no, r.entry, s.begun FROM record r JOIN subject s ON s.no = r.subject
    WHERE r.moved IS NOT NULL AND r.moved = ?1 AND s.begun >= ?2 AND s.begun < ?3 AND r.live = 1";

/// Appends a row to the chain and makes it the last one about its subject.
fn append(ledger: &mut Ledger, kind: i64, subject: i64, key: (i64, &str), previous: Option<i64>, begun: i64, body: &[u8]) -> Result<i64> {
    let catalogue = ledger.head.catalogue.ok_or(LedgerError::NoCatalogue)?;
    let (last, before) = ledger.head.entry;
    let seq = last.saturating_add(1);
    let hash = EntryRow { seq, kind, key, previous, catalogue, begun, body }.hash(&before);
    ledger
        .db
        .prepare_cached(
            "INSERT INTO entry (seq, kind, subject, previous, catalogue, begun, body, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute((seq, kind, subject, previous, catalogue, begun, body, hash.0))?;
    ledger
        .db
        .prepare_cached(
            "INSERT INTO record (subject, entry, live) VALUES (?1, ?2, ?3)
             ON CONFLICT (subject) DO UPDATE SET entry = excluded.entry, live = excluded.live",
        )?
        .execute((subject, seq, kind == ENTRY))?;
    ledger.head.entry = (seq, hash);
    Ok(seq)
}
