//! Writing evidence: calls, the clock, closings. Never changed, never repeated.
//!
//! The one invariant: evidence that says nothing new adds nothing, so that a replay, a restart or a second source of the
//! same call leaves the ledger as it is.

use super::call_form;
use super::chain::{EvidenceRow, Hash, key_hash};
use super::error::{LedgerError, Result};
use super::fields::{Hiding, day_of};
use super::{Batch, Ledger};
use crate::calls::Call;
use crate::contracts::Match;

use crate::units::Timestamp;
use crate::units::codec::Writer;
use chrono::{Datelike, NaiveDate};
use rusqlite::OptionalExtension;

/// Kinds of evidence, as stored.
pub(super) mod kind {
    pub const CALL: i64 = 0;
    pub const ASSIGNMENT: i64 = 1;
    pub const DECISION: i64 = 2;
    pub const CLOCK: i64 = 3;
    pub const CLOSING: i64 = 4;
    pub const CATALOGUE: i64 = 5;
    pub const PRIVACY: i64 = 6;
}

/// Kinds of subjects, as stored.
pub(super) const CALL: i64 = 0;
pub(super) const FEE: i64 = 1;

/// What journaling a piece of evidence did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Journaled {
    /// The call was not known.
    New,
    /// It was, otherwise.
    Changed,
    /// Nothing new was said, and nothing written.
    Same,
    /// Another conversation has this name ([`Call::is_apart_from`]); nothing was written.
    Taken,
}

/// Whether what is known of a call stands against what is told of it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stands {
    /// It does, unless the new is better ([`Call::yields_to`]).
    UnlessItYields,
    /// The new was made of all that is known.
    Never,
}

/// What the projection holds about a call.
pub(super) struct Subject {
    pub(super) no: i64,
    pub(super) contract: Option<String>,
    pub(super) begun: i64,
    latest: i64,
    pub(super) last: i64,
    assigned: bool,
    posted: bool,
}

impl Batch<'_> {
    /// Journals a call and the match that was found for it, and moves the ledger's time to what it tells.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn journal_call(&mut self, call: &Call, matched: &Match) -> Result<Journaled> {
        self.journal(call, matched, Stands::UnlessItYields)
    }

    /// Journals a call as all its sources have it together: that stands, whatever stood before.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn journal_merged(&mut self, call: &Call, matched: &Match) -> Result<Journaled> {
        self.journal(call, matched, Stands::Never)
    }

    fn journal(&mut self, call: &Call, matched: &Match, before: Stands) -> Result<Journaled> {
        self.step(|ledger| {
            let begun = call.connected_at().unwrap_or(call.started_at);
            let told = call.ended_at.unwrap_or(begun);
            let body = write_call(ledger, call, matched, begun)?;
            let Some(subject) = find(ledger, call.id.as_str())? else {
                let no = add_subject(ledger, call, matched, begun)?;
                append(ledger, kind::CALL, Some((no, call.id.as_str())), None, told, &body)?;
                ledger.mark_unsettled(matched.contract(), begun.micros(), begun.micros())?;
                return Ok(Journaled::New);
            };
            let known: bool = ledger
                .db
                .prepare_cached("SELECT body = ?2 FROM evidence WHERE seq = ?1")?
                .query_row((subject.latest, &body), |row| row.get(0))?;
            if known {
                return Ok(Journaled::Same);
            }
            if before == Stands::UnlessItYields {
                let stands = ledger.latest_call(subject.latest)?;
                if stands.is_apart_from(call) {
                    return Ok(Journaled::Taken);
                }
                if !stands.yields_to(call) {
                    return Ok(Journaled::Same);
                }
            }
            let seq = append(ledger, kind::CALL, Some((subject.no, call.id.as_str())), Some(subject.last), told, &body)?;
            update_subject(ledger, &subject, seq, call, matched, begun)?;
            Ok(Journaled::Changed)
        })
    }

    /// Says "it is now T", and moves the ledger's time there.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn journal_clock(&mut self, now: Timestamp) -> Result<Journaled> {
        self.step(|ledger| {
            if now.micros() <= ledger.head.time {
                return Ok(Journaled::Same);
            }
            append(ledger, kind::CLOCK, None, None, now, &[])?;
            Ok(Journaled::New)
        })
    }

    /// Closes the month that this day lies in: calls journaled later for it are late.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn journal_closing(&mut self, month: NaiveDate, at: Timestamp) -> Result<Journaled> {
        self.step(|ledger| {
            let body = month_body(month);
            let closed: bool = ledger
                .db
                .prepare_cached("SELECT EXISTS (SELECT 1 FROM evidence WHERE kind >= 4 AND kind = 4 AND body = ?1)")?
                .query_row([&body], |row| row.get(0))?;
            if closed {
                return Ok(Journaled::Same);
            }
            append(ledger, kind::CLOSING, None, None, at, &body)?;
            Ok(Journaled::New)
        })
    }
}

impl Ledger {
    /// The call as a piece of evidence has it.
    fn latest_call(&self, seq: i64) -> Result<Call> {
        let body: Vec<u8> = self.db.prepare_cached("SELECT body FROM evidence WHERE seq = ?1")?.query_row([seq], |row| row.get(0))?;
        Ok(self.read_call(seq, &body)?.0)
    }

    /// A call goes to another contract: both are to be settled, and its record still stands with the old one.
    pub(super) fn move_subject(&mut self, subject: &Subject, to: Option<&str>) -> Result<()> {
        if subject.contract.as_deref() == to {
            return Ok(());
        }
        self.mark_unsettled(subject.contract.as_deref(), subject.begun, subject.begun)?;
        self.db
            .prepare_cached("UPDATE record SET moved = coalesce(moved, ?2) WHERE subject = ?1 AND live = 1")?
            .execute((subject.no, subject.contract.as_deref()))?;
        self.db.prepare_cached("UPDATE subject SET contract = ?2 WHERE no = ?1")?.execute((subject.no, to))?;
        Ok(())
    }
}

/// Evidence of a set of texts: its body is their hash, and so they are under the chain.
pub(super) fn journal_catalogue(ledger: &mut Ledger, hash: Hash) -> Result<()> {
    let at = Timestamp::from_micros(ledger.head.time);
    append(ledger, kind::CATALOGUE, None, None, at, &hash.0)?;
    Ok(())
}

/// The body of a closing: the year and the month.
pub(super) fn month_body(month: NaiveDate) -> Vec<u8> {
    let mut out = Writer::new();
    out.number(u64::try_from(month.year()).unwrap_or(0));
    out.number(u64::from(month.month()));
    out.finish()
}

pub(super) fn write_call(ledger: &mut Ledger, call: &Call, matched: &Match, begun: Timestamp) -> Result<Vec<u8>> {
    let Ledger { db, writing, .. } = ledger;
    let Some(writing) = writing else { return Err(LedgerError::ReadOnly) };
    call_form::write(call, matched, &mut Hiding { db, tokens: &mut writing.tokens, day: day_of(begun) })
}

pub(super) fn find(ledger: &Ledger, id: &str) -> Result<Option<Subject>> {
    let found = ledger
        .db
        .prepare_cached(
            "SELECT no, contract, begun, latest, last, assignment IS NOT NULL, EXISTS (SELECT 1 FROM record WHERE subject = no)
             FROM subject WHERE key_hash = ?1 AND key = ?2 AND kind = 0",
        )?
        .query_row((key_hash((CALL, id)), id), |row| {
            Ok(Subject {
                no: row.get(0)?,
                contract: row.get(1)?,
                begun: row.get(2)?,
                latest: row.get(3)?,
                last: row.get(4)?,
                assigned: row.get(5)?,
                posted: row.get(6)?,
            })
        });
    Ok(found.optional()?)
}

fn add_subject(ledger: &Ledger, call: &Call, matched: &Match, begun: Timestamp) -> Result<i64> {
    let (id, seq) = (call.id.as_str(), ledger.head.evidence.0.saturating_add(1));
    ledger
        .db
        .prepare_cached(
            "INSERT INTO subject (kind, key, key_hash, contract, begun, ended, first, latest, last)
             VALUES (0, ?1, ?2, ?3, ?4, ?5, ?6, ?6, ?6)",
        )?
        .execute((id, key_hash((CALL, id)), matched.contract(), begun.micros(), call.ended_at.is_some(), seq))?;
    Ok(ledger.db.last_insert_rowid())
}

/// The start of a call that has a record stays that of the record until it is posted anew: exports of a period rely on it.
fn update_subject(ledger: &mut Ledger, subject: &Subject, seq: i64, call: &Call, matched: &Match, begun: Timestamp) -> Result<()> {
    if !subject.assigned {
        ledger.move_subject(subject, matched.contract())?;
    }
    let stays = if subject.posted { subject.begun } else { begun.micros() };
    ledger.db.prepare_cached("UPDATE subject SET latest = ?2, last = ?2, begun = ?3, ended = ?4 WHERE no = ?1")?.execute((
        subject.no,
        seq,
        stays,
        call.ended_at.is_some(),
    ))?;
    let contract = if subject.assigned { subject.contract.as_deref() } else { matched.contract() };
    let begun = begun.micros();
    ledger.mark_unsettled(contract, begun.min(subject.begun), begun.max(subject.begun))
}

/// Appends a row to the chain; what a source reported moves the ledger's time to it.
pub(super) fn append(
    ledger: &mut Ledger,
    kind: i64,
    subject: Option<(i64, &str)>,
    previous: Option<i64>,
    at: Timestamp,
    body: &[u8],
) -> Result<i64> {
    let (last, before) = ledger.head.evidence;
    let seq = last.saturating_add(1);
    let key = subject.map(|(_, key)| (CALL, key));
    let hash = EvidenceRow { seq, kind, key, previous, at: at.micros(), body }.hash(&before);
    ledger
        .db
        .prepare_cached("INSERT INTO evidence (seq, kind, subject, previous, at, body, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
        .execute((seq, kind, subject.map(|(no, _)| no), previous, at.micros(), body, hash.0))?;
    ledger.head.evidence = (seq, hash);
    // What an operator says, and when, is no report of a source: it does not move the ledger's time (design.md §2).
    if matches!(kind, kind::CALL | kind::CLOCK) {
        ledger.head.time = ledger.head.time.max(at.micros());
    }
    Ok(seq)
}
