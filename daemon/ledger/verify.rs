//! Checking everything again: both chains, texts, numbers, and that the projections say what the chains say.
//!
//! The one invariant: what settles or shows a charge is either under a hash, or compared here with something that is. A
//! tail that was cut off with everything that pointed to it leaves no trace inside; the hash of the last entry in the
//! manifest of an export is the anchor outside.

use super::batch::{Document, document_hash};
use super::chain::{EntryRow, EvidenceRow, Hash, hash_of, hex, key_hash};
use super::error::{LedgerError, Result};
use super::journal::kind;
use super::numbers::NumberKey;
use super::post::{ENTRY, begun_of, key_of};
use super::prose::CONTRACTS;
use super::query::blob;
use super::{Ledger, Token};
use rusqlite::Row;
use std::fmt;

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The table.
    pub table: &'static str,
    /// The row: a seq, or a key.
    pub row: String,
    /// What is wrong with it.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.table, self.row, self.what)
    }
}

/// Findings reported at most: after so many, a person looks at the file, not at a list.
const MOST_FINDINGS: usize = 1_000;

/// How often progress is told, in rows.
const STRIDE: i64 = 4_096;

/// Collects findings up to the bound.
#[derive(Default)]
pub(super) struct Findings(Vec<Finding>);

impl Findings {
    pub(super) fn add(&mut self, table: &'static str, row: impl ToString, what: impl Into<String>) {
        if self.0.len() < MOST_FINDINGS {
            self.0.push(Finding { table, row: row.to_string(), what: what.into() });
        }
    }
}

impl Ledger {
    /// Checks the whole ledger at one moment, and gives what is wrong; nothing, when all is well. `progress` hears rows
    /// done and rows in all. Without the key, tokens of numbers are not checked.
    ///
    /// # Errors
    /// When the ledger cannot be read at all.
    pub fn verify(&mut self, key: Option<&NumberKey>, mut progress: impl FnMut(u64, u64)) -> Result<Vec<Finding>> {
        self.at_one_moment(|ledger| {
            let mut findings = Findings::default();
            if let Err(error) = ledger.check_file(&mut findings) {
                findings.add("file", ledger.path.display(), error.to_string());
            }
            let all = u64::try_from(ledger.head.evidence.0.saturating_add(ledger.head.entry.0)).unwrap_or(0);
            let mut done = 0;
            let mut tick = |rows: u64| {
                done += rows;
                progress(done, all);
            };
            ledger.check_evidence(&mut findings, &mut tick)?;
            ledger.check_entries(&mut findings, &mut tick)?;
            ledger.check_texts(&mut findings)?;
            ledger.check_projections(&mut findings)?;
            ledger.check_subjects(&mut findings)?;
            ledger.check_privacy(&mut findings)?;
            if let Some(key) = key {
                ledger.check_numbers(key, &mut findings)?;
            }
            Ok(findings.0)
        })
    }

    /// SQLite's own check: pages, indexes, types, foreign keys.
    fn check_file(&self, findings: &mut Findings) -> Result<()> {
        let mut statement = self.db.prepare("PRAGMA integrity_check(20)")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let said: String = row.get(0)?;
            if said != "ok" {
                findings.add("file", self.path.display(), said);
            }
        }
        let mut statement = self.db.prepare("PRAGMA foreign_key_check")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (table, target): (String, String) = (row.get(0)?, row.get(2)?);
            findings.add("file", table, format!("names a row of {target} that is missing"));
        }
        for trigger in ["evidence_stays", "evidence_remains", "entry_stays", "entry_remains"] {
            let there: bool = self.db.query_row(
                "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'trigger' AND name = ?1)",
                [trigger],
                |row| row.get(0),
            )?;
            if !there {
                findings.add("file", trigger, "the trigger that keeps rows from being changed is missing");
            }
        }
        Ok(())
    }

    fn check_evidence(&self, findings: &mut Findings, tick: &mut impl FnMut(u64)) -> Result<()> {
        let sql = "SELECT e.seq, e.hash, e.kind, s.kind, s.key, e.previous, e.at, e.body
                   FROM evidence e LEFT JOIN subject s ON s.no = e.subject ORDER BY e.seq";
        let last = self.check_chain("evidence", sql, findings, tick, |row, seq, before| {
            let key: Option<(i64, String)> = row.get::<_, Option<i64>>(3)?.zip(row.get(4)?);
            let kind = row.get(2)?;
            let (previous, at, body) = (row.get(5)?, row.get(6)?, blob(row, 7, seq)?);
            let shown = key.as_ref().map(|(kind, key)| (*kind, key.as_str()));
            let hash = EvidenceRow { seq, kind, key: shown, previous, at, body }.hash(before);
            let wrong = match key {
                Some((_, key)) if kind == kind::CALL => match self.read_call(seq, body) {
                    Ok((call, _)) => (call.id.as_str() != key).then_some("is about another call than it says"),
                    Err(LedgerError::Damaged { .. }) => Some("cannot be read"),
                    Err(error) => return Err(error),
                },
                _ => None,
            };
            Ok((hash, wrong))
        })?;
        self.check_tail("evidence", "SELECT evidence FROM state", last, findings)
    }

    fn check_entries(&self, findings: &mut Findings, tick: &mut impl FnMut(u64)) -> Result<()> {
        let sql = "SELECT e.seq, e.hash, e.kind, s.kind, s.key, e.previous, e.catalogue, e.begun, e.body,
                          p.kind, p.subject IS e.subject, p.begun
                   FROM entry e LEFT JOIN subject s ON s.no = e.subject LEFT JOIN entry p ON p.seq = e.previous ORDER BY e.seq";
        let last = self.check_chain("entry", sql, findings, tick, |row, seq, before| {
            let kind: i64 = row.get(2)?;
            let key: (i64, String) = (row.get::<_, Option<i64>>(3)?.unwrap_or(-1), row.get::<_, Option<String>>(4)?.unwrap_or_default());
            let (previous, begun, body): (Option<i64>, i64, &[u8]) = (row.get(5)?, row.get(7)?, blob(row, 8, seq)?);
            let hash = EntryRow { seq, kind, key: (key.0, &key.1), previous, catalogue: row.get(6)?, begun, body }.hash(before);
            let follows: Option<i64> = row.get(9)?;
            let (same_subject, same_begun) = (row.get::<_, bool>(10)?, row.get::<_, Option<i64>>(11)? == Some(begun));
            let wrong = match (kind == ENTRY, follows.map(|kind| kind == ENTRY)) {
                _ if previous.is_some_and(|previous| previous >= seq) => Some("follows on a later one"),
                (_, Some(_)) if !same_subject => Some("follows on an entry about something else"),
                (false, None | Some(false)) => Some("takes back what is no entry"),
                (true, Some(true)) => Some("stands beside an entry that was not taken back"),
                (false, Some(true)) => (!same_begun || !body.is_empty()).then_some("takes back an entry, and says something else"),
                (true, None | Some(false)) => match self.read_record(seq, body) {
                    Ok(record) => {
                        let (found, text) = key_of(&record.key);
                        ((found, &*text) != (key.0, key.1.as_str()) || begun_of(&record).micros() != begun)
                            .then_some("is about another record than it says")
                    }
                    Err(LedgerError::Damaged { .. }) => Some("cannot be read"),
                    Err(error) => return Err(error),
                },
            };
            Ok((hash, wrong))
        })?;
        self.check_tail("entry", "SELECT entry FROM state", last, findings)
    }

    /// Walks a chain: no seq is missing, each hash follows on the one before. After a break it goes on from the stored
    /// hash, so that one change is one finding.
    fn check_chain(
        &self,
        table: &'static str,
        sql: &str,
        findings: &mut Findings,
        tick: &mut impl FnMut(u64),
        mut check: impl FnMut(&Row<'_>, i64, &Hash) -> Result<(Hash, Option<&'static str>)>,
    ) -> Result<i64> {
        let mut statement = self.db.prepare(sql)?;
        let mut rows = statement.query([])?;
        let (mut last, mut before, mut untold) = (0i64, Hash::START, 0u64);
        while let Some(row) = rows.next()? {
            let seq: i64 = row.get(0)?;
            if seq != last.saturating_add(1) {
                findings.add(table, seq, format!("follows on {last}: rows between are missing"));
            }
            let stored = Hash::read(blob(row, 1, seq)?);
            let (hash, wrong) = check(row, seq, &before)?;
            if stored != Some(hash) {
                findings.add(table, seq, "its hash is not that of its row and the one before: the row was changed");
            } else if let Some(wrong) = wrong {
                findings.add(table, seq, wrong);
            }
            (last, before) = (seq, stored.unwrap_or(hash));
            untold += 1;
            if seq % STRIDE == 0 {
                tick(std::mem::take(&mut untold));
            }
        }
        tick(untold);
        Ok(last)
    }

    fn check_tail(&self, table: &'static str, sql: &str, last: i64, findings: &mut Findings) -> Result<()> {
        let expected: i64 = self.db.query_row(sql, [], |row| row.get(0))?;
        if expected != last {
            findings.add(table, last, format!("is the last row, and {expected} should be: rows were cut off or added"));
        }
        Ok(())
    }

    /// Texts have their hashes, sets of texts theirs, and each set was put in force by evidence.
    fn check_texts(&self, findings: &mut Findings) -> Result<()> {
        let mut statement = self.db.prepare(
            "SELECT hash, kind, name, text, EXISTS (SELECT 1 FROM catalogue_document c WHERE c.document = d.no AND c.catalogue = ?1)
             FROM document d",
        )?;
        let mut rows = statement.query([self.head.catalogue])?;
        while let Some(row) = rows.next()? {
            let (hash, kind, name, text): (Vec<u8>, String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
            // Contracts that an earlier version kept with their numbers were emptied; none of them is in force.
            if text.is_empty() && kind == CONTRACTS && !row.get::<_, bool>(4)? {
                continue;
            }
            if document_hash(&Document { kind: &kind, name: &name, text: &text, numbers: &[] }).0 != *hash {
                findings.add("document", name, "its text is not that of its hash: it was changed");
            }
        }
        let mut statement = self.db.prepare(
            "SELECT c.version, c.hash, EXISTS (SELECT 1 FROM evidence e WHERE e.kind >= 4 AND e.kind = 5 AND e.body = c.hash) FROM catalogue c",
        )?;
        let mut parts = self.db.prepare(
            "SELECT d.hash FROM catalogue_document c JOIN document d ON d.no = c.document WHERE c.catalogue = ?1 ORDER BY c.place",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (version, hash, journaled): (i64, Vec<u8>, bool) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let hashes: Vec<Vec<u8>> = parts.query_map([version], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
            let parts: Vec<&[u8]> = hashes.iter().map(Vec::as_slice).collect();
            if hash_of(&parts).0 != *hash {
                findings.add("catalogue", version, "its texts are not those of its hash: they were changed");
            }
            if !journaled {
                findings.add("catalogue", version, "no evidence puts it in force");
            }
        }
        Ok(())
    }

    /// The tables for looking up say what the chains say.
    fn check_projections(&self, findings: &mut Findings) -> Result<()> {
        for (table, what, sql) in PROJECTIONS {
            let mut statement = self.db.prepare(sql)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                findings.add(table, row.get::<_, String>(0)?, *what);
            }
        }
        Ok(())
    }

    /// Subjects have the hash of their key, and calls the contract, start and state of their evidence.
    fn check_subjects(&self, findings: &mut Findings) -> Result<()> {
        let mut statement = self.db.prepare(
            "SELECT s.kind, s.key, s.key_hash, s.contract, s.begun, s.ended, e.seq, e.body, a.body, r.live, r.moved, l.seq, l.body
             FROM subject s LEFT JOIN evidence e ON e.seq = s.latest LEFT JOIN evidence a ON a.seq = s.assignment
             LEFT JOIN record r ON r.subject = s.no LEFT JOIN entry l ON l.seq = r.entry AND r.live = 1",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (kind, key): (i64, String) = (row.get(0)?, row.get(1)?);
            if key_hash((kind, &key)) != row.get::<_, i64>(2)? {
                findings.add("subject", &key, "its key is not that of its hash: it cannot be found");
            }
            let contract: Option<String> = row.get(3)?;
            if let Some(Ok(record)) = row.get::<_, Option<i64>>(11)?.map(|seq| self.read_record(seq, blob(row, 12, seq)?)) {
                let moved: Option<String> = row.get(10)?;
                if record.contract.is_some() && record.contract.as_deref() != moved.as_deref().or(contract.as_deref()) {
                    findings.add("record", &key, "its contract is not that of its entry");
                }
            }
            let Some(seq) = row.get::<_, Option<i64>>(6)? else { continue };
            let Ok((call, matched)) = self.read_call(seq, blob(row, 7, seq)?) else { continue };
            let assigned: Option<Vec<u8>> = row.get(8)?;
            let assigned = assigned.as_deref().and_then(|body| crate::units::codec::Reader::new(body).text());
            if contract.as_deref() != assigned.or(matched.contract()) {
                findings.add("subject", &key, "its contract is not that of its evidence");
            }
            if row.get::<_, bool>(5)? != call.ended_at.is_some() {
                findings.add("subject", &key, "whether it ended is not as its evidence says");
            }
            // With a record, the start is the record's, and is compared with that.
            let begun = call.connected_at().unwrap_or(call.started_at).micros();
            if row.get::<_, Option<bool>>(9)?.is_none() && row.get::<_, i64>(4)? != begun {
                findings.add("subject", &key, "its start is not that of its evidence");
            }
        }
        Ok(())
    }

    fn check_numbers(&self, key: &NumberKey, findings: &mut Findings) -> Result<()> {
        let mut statement = self.db.prepare("SELECT token, number FROM number")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (token, number): (Vec<u8>, String) = (row.get(0)?, row.get(1)?);
            let Token(expected) = key.token(&number);
            if token != expected {
                findings.add("number", hex(&token), "its number is not that of its token: it was changed");
            }
        }
        Ok(())
    }
}

/// Rows that should not be: table, what is wrong, and a query for their keys.
const PROJECTIONS: &[(&str, &str, &str)] = &[
    ("record", "it is about nothing", "SELECT CAST(subject AS TEXT) FROM record WHERE subject NOT IN (SELECT no FROM subject)"),
    ("subject", "there are two with this key", "SELECT key FROM subject GROUP BY kind, key HAVING count(*) > 1"),
    (
        "subject",
        "it does not name its first and last evidence",
        "SELECT s.key FROM subject s
         LEFT JOIN (SELECT subject, min(seq) AS first, max(seq) AS last, max(seq) FILTER (WHERE kind = 0) AS latest,
                           max(seq) FILTER (WHERE kind = 1) AS assignment, max(seq) FILTER (WHERE kind = 2) AS decision
                    FROM evidence WHERE subject IS NOT NULL GROUP BY subject) e ON e.subject = s.no
         WHERE s.kind = 0 AND (s.first IS NOT e.first OR s.last IS NOT e.last OR s.latest IS NOT e.latest
                               OR s.assignment IS NOT e.assignment OR s.decision IS NOT e.decision)",
    ),
    (
        "record",
        "it does not name the last entry",
        "SELECT s.key FROM subject s LEFT JOIN record r ON r.subject = s.no
         LEFT JOIN (SELECT subject, max(seq) AS last FROM entry GROUP BY subject) e ON e.subject = s.no
         LEFT JOIN entry l ON l.seq = e.last
         WHERE r.entry IS NOT e.last OR r.live IS NOT (l.kind = 0) AND e.last IS NOT NULL",
    ),
    (
        "subject",
        "its start is not that of its record",
        "SELECT s.key FROM subject s JOIN record r ON r.subject = s.no JOIN entry e ON e.seq = r.entry
         WHERE r.live = 1 AND s.begun <> e.begun",
    ),
];
