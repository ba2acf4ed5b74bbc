//! One transaction: everything of it is written, or nothing.
//!
//! The one invariant: after a step fails, the batch can only be dropped. SQLite undoes the whole transaction by itself when
//! the disk is full, and a statement after that would stand alone.

use super::chain::{Hash, hash_of};
use super::error::{LedgerError, Result};
use super::open::read_head;
use super::prose::without_numbers;
use super::{Head, Ledger, Writing};
use crate::units::{E164, Timestamp};
use rusqlite::{Connection, OptionalExtension};
use std::ops::Range;

/// A transaction of the writer. Dropping it undoes it; [`Batch::commit`] puts it on disk.
#[derive(Debug)]
pub struct Batch<'l> {
    pub(super) ledger: &'l mut Ledger,
    failed: bool,
}

/// A text that entries were computed with: a tariff, contracts, the configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Document<'a> {
    /// What it is: `tariff`, `contracts`, `config`.
    pub kind: &'a str,
    /// The file, as configured.
    pub name: &'a str,
    /// All of it.
    pub text: &'a str,
    /// Where numbers of customers stand in it, in ascending order: tokens take their place, and the text is kept with those.
    pub numbers: &'a [(Range<usize>, E164)],
}

/// Open dialogs of a source, and the place in the source that they belong to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// A file offset, an inode: what the source needs to go on.
    pub position: String,
    /// The state of the source and of its open dialogs.
    pub body: Vec<u8>,
}

impl Snapshot {
    /// The word that none is left: whoever keeps it lets go of what stood in its place.
    #[must_use]
    pub fn gone() -> Self {
        Self { position: GONE.to_owned(), body: Vec::new() }
    }

    /// Whether none is left.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.position == GONE && self.body.is_empty()
    }
}

/// What stands as the position of a snapshot that is gone; never written.
const GONE: &str = "gone";

impl Ledger {
    /// Begins a batch. A few thousand calls in one is fast; one call in one is safe at once.
    ///
    /// # Errors
    /// When the ledger was opened for reading, or another process holds the file too long.
    pub fn batch(&mut self) -> Result<Batch<'_>> {
        if self.writing.is_none() {
            return Err(LedgerError::ReadOnly);
        }
        self.db.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        Ok(Batch { ledger: self, failed: false })
    }
}

impl Batch<'_> {
    /// Puts all of it on disk.
    ///
    /// # Errors
    /// When a step had failed, or the disk is full or broken: then nothing of it is written.
    pub fn commit(mut self) -> Result<()> {
        self.step(|ledger| {
            let Head { time, evidence, entry, .. } = ledger.head;
            ledger
                .db
                .prepare_cached("UPDATE state SET time = ?1, evidence = ?2, entry = ?3 WHERE time <> ?1 OR evidence <> ?2 OR entry <> ?3")?
                .execute((time, evidence.0, entry.0))?;
            ledger.db.prepare_cached("COMMIT")?.execute([])?;
            Ok(())
        })
    }

    /// The ledger as it stands with what this batch has written so far.
    #[must_use]
    pub const fn ledger(&self) -> &Ledger {
        self.ledger
    }

    /// Moves the ledger's time on to what a source reported; never back.
    pub fn advance_time(&mut self, time: Timestamp) {
        self.ledger.head.time = self.ledger.head.time.max(time.micros());
    }

    /// Keeps the open dialogs of a source, in the place of those kept before.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn put_snapshot(&mut self, source: &str, snapshot: &Snapshot) -> Result<()> {
        self.step(|ledger| {
            let sql = "INSERT OR REPLACE INTO snapshot (source, position, body, at) VALUES (?1, ?2, ?3, ?4)";
            ledger.db.prepare_cached(sql)?.execute((source, &snapshot.position, &snapshot.body, ledger.head.time))?;
            Ok(())
        })
    }

    /// Lets go of a source's open dialogs.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn drop_snapshot(&mut self, source: &str) -> Result<()> {
        self.step(|ledger| {
            ledger.db.prepare_cached("DELETE FROM snapshot WHERE source = ?1")?.execute([source])?;
            Ok(())
        })
    }

    /// Says which texts are in force from here on, keeps each new one, and gives their version. Entries name it.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn use_catalogue(&mut self, documents: &[Document<'_>]) -> Result<i64> {
        self.step(|ledger| {
            let Some(writing) = &ledger.writing else { return Err(LedgerError::ReadOnly) };
            let mut texts = Vec::with_capacity(documents.len());
            for document in documents {
                texts.push(without_numbers(document, writing.tokens.key())?);
            }
            let documents: Vec<Document<'_>> =
                documents.iter().zip(&texts).map(|(document, text)| Document { text, numbers: &[], ..*document }).collect();
            let hashes: Vec<Hash> = documents.iter().map(document_hash).collect();
            let parts: Vec<&[u8]> = hashes.iter().map(|hash| hash.0.as_slice()).collect();
            let whole = hash_of(&parts);
            let known = ledger.db.query_row("SELECT version FROM catalogue WHERE hash = ?1", [whole.0], |row| row.get(0));
            let version = match known.optional()? {
                Some(version) => version,
                None => store_catalogue(&ledger.db, &documents, &hashes, whole)?,
            };
            if ledger.head.catalogue != Some(version) {
                super::journal::journal_catalogue(ledger, whole)?;
                ledger.head.catalogue = Some(version);
            }
            Ok(version)
        })
    }

    /// Forgets the numbers whose latest call lies before this instant, but for those that are held, and the open dialogs that
    /// a source left before it, where `of_dialogs` says that they are such. Hashes and charges stay as they are; what was
    /// forgotten is wiped from the file by [`Ledger::sweep`].
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn forget_numbers(&mut self, before: Timestamp, of_dialogs: impl Fn(&str) -> bool) -> Result<usize> {
        self.step(|ledger| {
            let gone = ledger.db.execute(
                "DELETE FROM number WHERE day < ?1 AND NOT EXISTS (SELECT 1 FROM held h WHERE h.token = number.token AND h.until > ?2)",
                (super::fields::day_of(before), ledger.head.time),
            )?;
            let stale: Vec<String> = ledger
                .db
                .prepare_cached("SELECT source FROM snapshot WHERE at < ?1")?
                .query_map([before.micros()], |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()?;
            let stale: Vec<String> = stale.into_iter().filter(|source| of_dialogs(source)).collect();
            for source in &stale {
                let sql = "DELETE FROM snapshot WHERE source = ?1 OR (source > ?1 || '/' AND source < ?1 || '0')";
                ledger.db.prepare_cached(sql)?.execute([source])?;
            }
            // Noted even if nothing is gone: what a source kept for a moment may lie in deleted pages, too.
            super::sweep::note(&ledger.db, super::fields::day_of(before))?;
            ledger.forget_known();
            Ok(gone)
        })
    }

    /// Plans the nightly export: the range of all entries since the last one; `None` if there are none. It stays planned
    /// until [`Batch::finish_export`], so that a crash between writes the same files again and none twice.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn plan_export(&mut self) -> Result<Option<(i64, i64)>> {
        self.step(|ledger| {
            let done: i64 = ledger.db.query_row("SELECT coalesce(max(last), 0) FROM export", [], |row| row.get(0))?;
            let (first, last) = (done.saturating_add(1), ledger.head.entry.0);
            if last < first {
                return Ok(None);
            }
            ledger.db.execute("INSERT INTO export (first, last, done) VALUES (?1, ?2, 0)", (first, last))?;
            Ok(Some((first, last)))
        })
    }

    /// The files of a planned range are written.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn finish_export(&mut self, first: i64) -> Result<()> {
        self.step(|ledger| {
            ledger.db.execute("UPDATE export SET done = 1 WHERE first = ?1", [first])?;
            Ok(())
        })
    }

    /// Does a step; after one that failed, none is done any more.
    pub(super) fn step<T>(&mut self, work: impl FnOnce(&mut Ledger) -> Result<T>) -> Result<T> {
        if self.failed || self.ledger.db.is_autocommit() {
            self.failed = true;
            return Err(LedgerError::Undone);
        }
        let done = work(self.ledger);
        // To ask for a call that is not there changes nothing.
        self.failed = !matches!(done, Ok(_) | Err(LedgerError::UnknownCall { .. }));
        done
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        let committed = self.ledger.db.is_autocommit() && !self.failed;
        if committed {
            return;
        }
        rewind(&self.ledger.db);
        if let Some(Writing { tokens, unsettled, .. }) = &mut self.ledger.writing {
            tokens.forget();
            unsettled.clear();
        }
        self.ledger.numbers.borrow_mut().forget();
        // Where even this cannot be read, the next batch fails as well: its first row will not follow on the last.
        if let Ok(head) = read_head(&self.ledger.db) {
            self.ledger.head = head;
        }
    }
}

/// Leaves a transaction, whatever state it is in.
pub(super) fn rewind(db: &Connection) {
    if !db.is_autocommit() {
        // It fails only where there is no transaction any more.
        let _ = db.execute_batch("ROLLBACK");
    }
}

/// The version that the latest evidence of a catalogue names.
pub(super) fn catalogue_in_force(db: &Connection) -> Result<Option<i64>> {
    let version = db.query_row(
        "SELECT c.version FROM evidence e JOIN catalogue c ON c.hash = e.body
         WHERE e.kind >= 4 AND e.kind = 5 ORDER BY e.seq DESC LIMIT 1",
        [],
        |row| row.get(0),
    );
    Ok(version.optional()?)
}

pub(super) fn document_hash(document: &Document<'_>) -> Hash {
    hash_of(&[document.kind.as_bytes(), document.name.as_bytes(), document.text.as_bytes()])
}

fn store_catalogue(db: &Connection, documents: &[Document<'_>], hashes: &[Hash], whole: Hash) -> Result<i64> {
    db.execute("INSERT INTO catalogue (hash) VALUES (?1)", [whole.0])?;
    let version = db.last_insert_rowid();
    for (place, (document, hash)) in (0i64..).zip(documents.iter().zip(hashes)) {
        db.execute(
            "INSERT INTO document (hash, kind, name, text) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (hash) DO NOTHING",
            (hash.0, document.kind, document.name, document.text),
        )?;
        db.execute(
            "INSERT INTO catalogue_document (catalogue, place, document) SELECT ?1, ?2, no FROM document WHERE hash = ?3",
            (version, place, hash.0),
        )?;
    }
    Ok(version)
}
