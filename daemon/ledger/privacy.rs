//! What is asked about somebody's number: keep it for a dispute, let it go, erase it. Evidence like what operators say of calls,
//! with who and why; it names the number by its tokens only.
//!
//! The one invariant: `held` and `erased` follow from the evidence, and erasing changes no hash and no charge. A number that
//! is held is neither forgotten nor erased; one that was erased is not stored again for calls up to that day.

use super::error::{LedgerError, Result};
use super::fields::{Hiding, Revealing, day_of};
use super::journal::{Journaled, append, kind};
use super::numbers::Token;
use super::query::{blob, damaged};
use super::verify::Findings;
use super::{Batch, Ledger, sweep};
use crate::units::codec::{Reader, Writer};
use crate::units::{E164, Timestamp};
use std::collections::BTreeMap;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// The number is kept until then, whatever `privacy.keep` says.
    Hold {
        /// Exclusive.
        until: Timestamp,
    },
    /// It is not kept any longer than others.
    Release,
    /// It is forgotten now.
    Erase,
}

impl Act {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Hold { .. } => "hold",
            Self::Release => "release",
            Self::Erase => "erase",
        }
    }
}

/// Something that is asked about a number, by whom, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// The number, in each of its spellings.
    pub tokens: Vec<Token>,
    /// What is asked.
    pub act: Act,
    /// Who asks.
    pub who: Box<str>,
    /// Why.
    pub reason: Box<str>,
    /// When.
    pub at: Timestamp,
}

impl Batch<'_> {
    /// Journals what is asked about a number, and does it. What was erased is wiped from the file by [`Ledger::sweep`].
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn journal_wish(&mut self, wish: &Wish) -> Result<Journaled> {
        self.step(|ledger| {
            let Ledger { db, writing, .. } = ledger;
            let Some(writing) = writing else { return Err(LedgerError::ReadOnly) };
            let mut out = Writer::new();
            match wish.act {
                Act::Hold { until } => {
                    out.number(0);
                    out.time(until);
                }
                Act::Release => out.number(1),
                Act::Erase => out.number(2),
            }
            out.list(wish.tokens.iter(), |out, token| out.bytes(&token.0));
            out.text(&wish.who);
            Hiding { db, tokens: &mut writing.tokens, day: day_of(wish.at) }.prose(&mut out, &wish.reason)?;
            let seq = append(ledger, kind::PRIVACY, None, None, wish.at, &out.finish())?;
            for token in &wish.tokens {
                ledger.do_to(*token, wish, seq)?;
            }
            if wish.act == Act::Erase {
                ledger.forget_known();
                sweep::note(&ledger.db, i64::MIN)?;
            }
            Ok(Journaled::New)
        })
    }
}

impl Ledger {
    fn do_to(&self, token: Token, wish: &Wish, seq: i64) -> Result<()> {
        match wish.act {
            Act::Hold { until } => {
                let sql = "INSERT OR REPLACE INTO held (token, until, evidence) VALUES (?1, ?2, ?3)";
                self.db.prepare_cached(sql)?.execute((token.0, until.micros(), seq))?;
            }
            Act::Release => {
                self.db.prepare_cached("DELETE FROM held WHERE token = ?1")?.execute([token.0])?;
            }
            Act::Erase => {
                let sql = "INSERT OR REPLACE INTO erased (token, day, evidence) VALUES (?1, ?2, ?3)";
                self.db.prepare_cached(sql)?.execute((token.0, day_of(wish.at), seq))?;
                self.db.prepare_cached("DELETE FROM number WHERE token = ?1")?.execute([token.0])?;
            }
        }
        Ok(())
    }

    /// What was remembered of numbers may not be so any more.
    pub(super) fn forget_known(&mut self) {
        self.numbers.borrow_mut().forget();
        if let Some(writing) = &mut self.writing {
            writing.tokens.forget();
        }
    }

    /// The token that stands for a number; `None` in a ledger that is only read, which has no key.
    #[must_use]
    pub fn token_of(&self, number: E164) -> Option<Token> {
        Some(self.writing.as_ref()?.tokens.key().token(&number.to_string()))
    }

    /// Every number that is not forgotten: its token, as it is spelled, and the day of its latest call.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn each_number(&self, mut each: impl FnMut(Token, &str, Timestamp)) -> Result<()> {
        let mut statement = self.db.prepare_cached("SELECT token, number, day FROM number ORDER BY number")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let number: String = row.get(1)?;
            let token = blob(row, 0, 0)?.try_into().map_err(|_| damaged("number", 0))?;
            each(Token(token), &number, Timestamp::from_micros(row.get::<_, i64>(2)?.saturating_mul(86_400_000_000)));
        }
        Ok(())
    }

    /// Until when a number is held, as of the ledger's time; `None` if it is not.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn held_until(&self, token: Token) -> Result<Option<Timestamp>> {
        let mut statement = self.db.prepare_cached("SELECT until FROM held WHERE token = ?1 AND until > ?2")?;
        let mut rows = statement.query((token.0, self.head.time))?;
        rows.next()?.map(|row| Ok(Timestamp::from_micros(row.get(0)?))).transpose()
    }

    /// What was asked about a number, oldest first.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn wishes_about(&self, tokens: &[Token]) -> Result<Vec<Wish>> {
        let mut wishes = Vec::new();
        self.each_wish(|_, wish| {
            if wish.tokens.iter().any(|token| tokens.contains(token)) {
                wishes.push(wish);
            }
        })?;
        Ok(wishes)
    }

    /// The kept texts that name a number by its token: kind, name, and whether they are in force.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn texts_with(&self, token: Token) -> Result<Vec<(String, bool)>> {
        let mut statement = self.db.prepare_cached(
            "SELECT d.name, EXISTS (SELECT 1 FROM catalogue_document c WHERE c.document = d.no AND c.catalogue = ?2)
             FROM document d WHERE instr(d.text, ?1) > 0 ORDER BY d.no",
        )?;
        let rows = statement.query_map((token.to_string(), self.head.catalogue), |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The sources whose open dialogs, channels or rows hold one of these texts: what they have not concluded.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn states_with(&self, texts: &[String]) -> Result<Vec<String>> {
        let mut statement =
            self.db.prepare_cached("SELECT source FROM snapshot WHERE instr(body, CAST(?1 AS BLOB)) > 0 ORDER BY source")?;
        let mut found = Vec::new();
        for text in texts {
            let rows = statement.query_map([text], |row| row.get(0))?;
            found.extend(rows.collect::<rusqlite::Result<Vec<String>>>()?);
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    fn each_wish(&self, mut each: impl FnMut(i64, Wish)) -> Result<()> {
        let mut statement = self.db.prepare_cached("SELECT seq, at, body FROM evidence WHERE kind >= 4 AND kind = 6 ORDER BY seq")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (seq, at) = (row.get(0)?, Timestamp::from_micros(row.get(1)?));
            let mut wish = read(blob(row, 2, seq)?, at).ok_or(damaged("evidence", seq))?;
            wish.reason = Revealing { db: &self.db, numbers: &mut self.numbers.borrow_mut() }.in_prose(wish.reason)?;
            each(seq, wish);
        }
        Ok(())
    }

    /// `held` and `erased` say what the evidence says.
    pub(super) fn check_privacy(&self, findings: &mut Findings) -> Result<()> {
        let (mut held, mut erased) = (BTreeMap::new(), BTreeMap::new());
        let read = self.each_wish(|seq, wish| {
            for token in &wish.tokens {
                match wish.act {
                    Act::Hold { until } => drop(held.insert(*token, (until.micros(), seq))),
                    Act::Release => drop(held.remove(token)),
                    Act::Erase => drop(erased.insert(*token, (day_of(wish.at), seq))),
                }
            }
        });
        match read {
            Err(LedgerError::Damaged { row, .. }) => findings.add("evidence", row, "cannot be read"),
            other => other?,
        }
        for (table, sql, expected) in
            [("held", "SELECT token, until, evidence FROM held", held), ("erased", "SELECT token, day, evidence FROM erased", erased)]
        {
            let mut statement = self.db.prepare(sql)?;
            let mut rows = statement.query([])?;
            let mut found = BTreeMap::new();
            while let Some(row) = rows.next()? {
                let token = blob(row, 0, 0)?.try_into().map_err(|_| damaged(table, 0))?;
                found.insert(Token(token), (row.get::<_, i64>(1)?, row.get::<_, i64>(2)?));
            }
            if found != expected {
                findings.add(table, found.len(), "it does not say what was asked about numbers");
            }
        }
        Ok(())
    }
}

fn read(body: &[u8], at: Timestamp) -> Option<Wish> {
    let mut from = Reader::new(body);
    let act = match from.number()? {
        0 => Act::Hold { until: from.time()? },
        1 => Act::Release,
        2 => Act::Erase,
        _ => return None,
    };
    let tokens = from.list(|from| Some(Token(from.bytes()?.try_into().ok()?)))?;
    Some(Wish { tokens, act, who: from.text()?.into(), reason: from.text()?.into(), at })
}
