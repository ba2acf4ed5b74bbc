//! What operators say about a call: whose it is, and what follows for its charge. Evidence like any other.
//!
//! The one invariant: all that was ever said stays; of each kind, the last one journaled counts.

use super::Batch;
use super::Ledger;
use super::error::{LedgerError, Result};
use super::fields::{Hiding, day_of, read_decimal, write_decimal};
use super::journal::{Journaled, Subject, append, find, kind};
use super::query::{CALL_COLUMNS, StoredCall};
use crate::tariff::Verdict;
use crate::units::codec::{Reader, Writer};
use crate::units::{CallId, Seconds, Timestamp};
use rusqlite::OptionalExtension;

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

impl Batch<'_> {
    /// Gives a call to a contract, whatever its numbers say.
    ///
    /// # Errors
    /// When the call is unknown, or the ledger cannot be written.
    pub fn journal_assignment(&mut self, call: &CallId, assignment: &Assignment) -> Result<Journaled> {
        self.step(|ledger| {
            let mut out = Writer::new();
            out.text(&assignment.contract);
            out.text(&assignment.who);
            ledger.write_prose(&mut out, &assignment.why, call)?;
            let Some((subject, seq)) = about(ledger, call, Column::Assignment, assignment.at, &out.finish())? else {
                return Ok(Journaled::Same);
            };
            ledger.move_subject(&subject, Some(&assignment.contract))?;
            ledger.db.prepare_cached("UPDATE subject SET assignment = ?2, last = ?2 WHERE no = ?1")?.execute((subject.no, seq))?;
            ledger.mark_unsettled(Some(&assignment.contract), subject.begun, subject.begun)?;
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
            ledger.write_prose(&mut out, &decision.reason, call)?;
            let Some((subject, seq)) = about(ledger, call, Column::Decision, decision.at, &out.finish())? else {
                return Ok(Journaled::Same);
            };
            ledger.db.prepare_cached("UPDATE subject SET decision = ?2, last = ?2 WHERE no = ?1")?.execute((subject.no, seq))?;
            ledger.mark_unsettled(subject.contract.as_deref(), subject.begun, subject.begun)?;
            Ok(Journaled::Changed)
        })
    }
}

impl Ledger {
    /// What is said of a call: numbers in it are forgotten with those of the call.
    fn write_prose(&mut self, out: &mut Writer, text: &str, call: &CallId) -> Result<()> {
        let begun = find(self, call.as_str())?.map_or(0, |subject| subject.begun);
        let Self { db, writing, .. } = self;
        let Some(writing) = writing else { return Err(LedgerError::ReadOnly) };
        Hiding { db, tokens: &mut writing.tokens, day: day_of(Timestamp::from_micros(begun)) }.prose(out, text)
    }

    /// The running calls about which an operator said something: few.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn running_calls_told_of(&self) -> Result<Vec<StoredCall>> {
        let sql = format!(
            "SELECT {CALL_COLUMNS} FROM subject s JOIN evidence e ON e.seq = s.latest
             WHERE s.ended = 0 AND s.kind = 0 AND (s.assignment IS NOT NULL OR s.decision IS NOT NULL) ORDER BY s.no"
        );
        let mut calls = Vec::new();
        self.each_call(&sql, (), &mut |call| {
            calls.push(call);
            Ok(())
        })?;
        Ok(calls)
    }
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

pub(super) fn read_assignment(from: &mut Reader<'_>, at: Timestamp) -> Option<Assignment> {
    Some(Assignment { contract: from.text()?.into(), who: from.text()?.into(), why: from.text()?.into(), at })
}

pub(super) fn read_decision(from: &mut Reader<'_>, at: Timestamp) -> Option<Decision> {
    let verdict = match from.number()? {
        0 => Verdict::Customer,
        1 => Verdict::Provider,
        2 => Verdict::GoodwillPercent(read_decimal(from)?),
        3 => Verdict::GoodwillTime(Seconds::new(from.number()?)),
        _ => return None,
    };
    Some(Decision { verdict, who: from.text()?.into(), reason: from.text()?.into(), at })
}
