//! Writing evidence: calls, assignments, decisions, the clock, closings. Never changed, never repeated.
//!
//! The one invariant: evidence that says nothing new adds nothing, so that a replay, a restart or a second source of the
//! same call leaves the ledger as it is.

use super::call_form;
use super::chain::{EvidenceRow, Hash, key_hash};
use super::error::{LedgerError, Result};
use super::fields::{Hiding, day_of, write_decimal};
use super::{Batch, Ledger};
use crate::calls::Call;
use crate::contracts::Match;
use crate::tariff::Verdict;
use crate::units::codec::Writer;
use crate::units::{CallId, Timestamp};
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
}

/// How many contracts are remembered as marked, before they are marked anew: 3 MiB at most.
const KNOWN_UNSETTLED: usize = 32_768;

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

/// An operator gave a call to a contract. It counts before any match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The contract.
    pub contract: Box<str>,
    /// Who said so.
    pub who: Box<str>,
    /// Why.
    pub why: Box<str>,
    /// When.
    pub at: Timestamp,
}

/// Somebody decided whose fault a held call was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What follows for the charge.
    pub verdict: Verdict,
    /// Who said so (in files: the file and its line).
    pub who: Box<str>,
    /// Why.
    pub reason: Box<str>,
    /// When.
    pub at: Timestamp,
}

/// What the projection holds about a call.
struct Subject {
    no: i64,
    contract: Option<String>,
    begun: i64,
    latest: i64,
    last: i64,
    assigned: bool,
    posted: bool,
}

impl Batch<'_> {
    /// Journals a call and the match that was found for it, and moves the ledger's time to what it tells.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn journal_call(&mut self, call: &Call, matched: &Match) -> Result<Journaled> {
        self.step(|ledger| {
            let begun = call.connected_at().unwrap_or(call.started_at);
            let told = call.ended_at.unwrap_or(begun);
            let body = write_call(ledger, call, matched, begun)?;
            let Some(subject) = find(ledger, call.id.as_str())? else {
                let no = add_subject(ledger, call, matched, begun)?;
                append(ledger, kind::CALL, Some((no, call.id.as_str())), None, told, &body)?;
                ledger.mark_unsettled(matched.contract(), begun.micros())?;
                return Ok(Journaled::New);
            };
            let known: bool = ledger
                .db
                .prepare_cached("SELECT body = ?2 FROM evidence WHERE seq = ?1")?
                .query_row((subject.latest, &body), |row| row.get(0))?;
            if known {
                return Ok(Journaled::Same);
            }
            let stands = ledger.latest_call(subject.latest)?;
            if stands.is_apart_from(call) {
                return Ok(Journaled::Taken);
            }
            if !stands.yields_to(call) {
                return Ok(Journaled::Same);
            }
            let seq = append(ledger, kind::CALL, Some((subject.no, call.id.as_str())), Some(subject.last), told, &body)?;
            update_subject(ledger, &subject, seq, call, matched, begun)?;
            Ok(Journaled::Changed)
        })
    }

    /// Gives a call to a contract, whatever its numbers say.
    ///
    /// # Errors
    /// When the call is unknown, or the ledger cannot be written.
    pub fn journal_assignment(&mut self, call: &CallId, assignment: &Assignment) -> Result<Journaled> {
        self.step(|ledger| {
            let mut out = Writer::new();
            out.text(&assignment.contract);
            out.text(&assignment.who);
            out.text(&assignment.why);
            let Some((subject, seq)) = about(ledger, call, Column::Assignment, assignment.at, &out.finish())? else {
                return Ok(Journaled::Same);
            };
            ledger.move_subject(&subject, Some(&assignment.contract))?;
            ledger.db.prepare_cached("UPDATE subject SET assignment = ?2, last = ?2 WHERE no = ?1")?.execute((subject.no, seq))?;
            ledger.mark_unsettled(Some(&assignment.contract), subject.begun)?;
            Ok(Journaled::Changed)
        })
    }

    /// Journals a decision on a call.
    ///
    /// # Errors
    /// When the call is unknown, or the ledger cannot be written.
    pub fn journal_decision(&mut self, call: &CallId, decision: &Decision) -> Result<Journaled> {
        self.step(|ledger| {
            let mut out = Writer::new();
            write_verdict(&mut out, decision.verdict);
            out.text(&decision.who);
            out.text(&decision.reason);
            let Some((subject, seq)) = about(ledger, call, Column::Decision, decision.at, &out.finish())? else {
                return Ok(Journaled::Same);
            };
            ledger.db.prepare_cached("UPDATE subject SET decision = ?2, last = ?2 WHERE no = ?1")?.execute((subject.no, seq))?;
            ledger.mark_unsettled(subject.contract.as_deref(), subject.begun)?;
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

    /// All contracts are to be settled again, as after a change of tariffs.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn mark_all_unsettled(&mut self) -> Result<()> {
        self.step(|ledger| {
            ledger.db.execute(
                "INSERT INTO unsettled (contract, since) SELECT contract, min(begun) FROM subject WHERE contract IS NOT NULL GROUP BY contract
                 ON CONFLICT (contract) DO UPDATE SET since = min(since, excluded.since)",
                [],
            )?;
            Ok(())
        })
    }

    /// This contract is settled with all evidence there is.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn mark_settled(&mut self, contract: &str) -> Result<()> {
        self.step(|ledger| {
            ledger.db.prepare_cached("DELETE FROM unsettled WHERE contract = ?1")?.execute([contract])?;
            if let Some(writing) = &mut ledger.writing {
                writing.unsettled.remove(contract);
            }
            Ok(())
        })
    }
}

impl Ledger {
    /// The call as a piece of evidence has it.
    fn latest_call(&self, seq: i64) -> Result<Call> {
        let body: Vec<u8> = self.db.prepare_cached("SELECT body FROM evidence WHERE seq = ?1")?.query_row([seq], |row| row.get(0))?;
        Ok(self.read_call(seq, &body)?.0)
    }

    fn mark_unsettled(&mut self, contract: Option<&str>, since: i64) -> Result<()> {
        let (Some(contract), Some(writing)) = (contract, &mut self.writing) else { return Ok(()) };
        if writing.unsettled.get(contract).is_some_and(|known| *known <= since) {
            return Ok(());
        }
        if writing.unsettled.len() >= KNOWN_UNSETTLED {
            writing.unsettled.clear();
        }
        writing.unsettled.insert(contract.into(), since);
        self.db
            .prepare_cached(
                "INSERT INTO unsettled (contract, since) VALUES (?1, ?2)
                 ON CONFLICT (contract) DO UPDATE SET since = excluded.since WHERE excluded.since < since",
            )?
            .execute((contract, since))?;
        Ok(())
    }

    /// A call goes to another contract: both are to be settled, and its record still stands with the old one.
    fn move_subject(&mut self, subject: &Subject, to: Option<&str>) -> Result<()> {
        if subject.contract.as_deref() == to {
            return Ok(());
        }
        self.mark_unsettled(subject.contract.as_deref(), subject.begun)?;
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

fn write_verdict(out: &mut Writer, verdict: Verdict) {
    match verdict {
        Verdict::Customer => out.number(0),
        Verdict::Provider => out.number(1),
        Verdict::GoodwillPercent(percent) => {
            out.number(2);
            write_decimal(out, percent.normalize());
        }
        Verdict::GoodwillTime(time) => {
            out.number(3);
            out.number(time.get());
        }
    }
}

fn write_call(ledger: &mut Ledger, call: &Call, matched: &Match, begun: Timestamp) -> Result<Vec<u8>> {
    let Ledger { db, writing, .. } = ledger;
    let Some(writing) = writing else { return Err(LedgerError::ReadOnly) };
    call_form::write(call, matched, &mut Hiding { db, tokens: &mut writing.tokens, day: day_of(begun) })
}

fn find(ledger: &Ledger, id: &str) -> Result<Option<Subject>> {
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
    ledger.mark_unsettled(contract, begun.micros().min(subject.begun))
}

/// Evidence about a call of which the last one counts: where its latest is kept.
#[derive(Clone, Copy)]
enum Column {
    Assignment,
    Decision,
}

/// Appends evidence about a known call, unless the one in force says the same.
fn about(ledger: &mut Ledger, call: &CallId, column: Column, at: Timestamp, body: &[u8]) -> Result<Option<(Subject, i64)>> {
    let Some(subject) = find(ledger, call.as_str())? else {
        return Err(LedgerError::UnknownCall { id: call.as_str().into() });
    };
    let (kind, sql) = match column {
        Column::Assignment => (kind::ASSIGNMENT, "SELECT body FROM evidence WHERE seq = (SELECT assignment FROM subject WHERE no = ?1)"),
        Column::Decision => (kind::DECISION, "SELECT body FROM evidence WHERE seq = (SELECT decision FROM subject WHERE no = ?1)"),
    };
    let in_force: Option<Vec<u8>> = ledger.db.prepare_cached(sql)?.query_row([subject.no], |row| row.get(0)).optional()?;
    if in_force.as_deref() == Some(body) {
        return Ok(None);
    }
    let seq = append(ledger, kind, Some((subject.no, call.as_str())), Some(subject.last), at, body)?;
    Ok(Some((subject, seq)))
}

/// Appends a row to the chain; what a source reported moves the ledger's time to it.
fn append(ledger: &mut Ledger, kind: i64, subject: Option<(i64, &str)>, previous: Option<i64>, at: Timestamp, body: &[u8]) -> Result<i64> {
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
