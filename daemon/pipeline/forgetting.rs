//! Forgetting: by night what is older than `privacy.keep`, on request one number; and wiping what was forgotten from the file.
//!
//! The one invariant: what was forgotten is still the same caller as before: calls keep the match that was found, and a
//! report of a call whose number is forgotten is known as one of that call by its token.

use super::books::{Books, Result};
use super::catalogue::{DocumentText, InForce};
use super::requests::Unserved;
use super::twins::is_same;
use crate::calls::Call;
use crate::config::numbers_in;
use crate::contracts::Match;
use crate::ledger::{Act, Batch, Document, Ledger, Swept, Token, Wish, is_forgotten};
use crate::units::{Direction, Timestamp};

/// What forgetting came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forgotten {
    /// Spellings of numbers.
    pub numbers: usize,
    /// Whether they are wiped from the file as well.
    pub swept: Swept,
}

impl Books {
    /// Forgets the numbers whose latest call lies before an instant, and wipes them from the file.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn forget(&mut self, before: Timestamp) -> Result<Forgotten> {
        let mut batch = self.ledger.batch()?;
        let numbers = batch.forget_numbers(before, holds_dialogs)?;
        batch.commit()?;
        self.quiets.forget();
        Ok(Forgotten { numbers, swept: self.ledger.sweep()? })
    }

    /// Does what is asked about a number. What is erased is wiped from the file at once, or with the next night's.
    ///
    /// # Errors
    /// When it cannot be done, or the ledger cannot be written.
    pub(super) fn grant(&mut self, wish: &Wish) -> std::result::Result<(), Unserved> {
        if let Some(why) = self.ungranted(wish)? {
            return Err(Unserved::Refused(why));
        }
        let mut batch = self.ledger.batch()?;
        batch.journal_wish(wish)?;
        batch.commit()?;
        self.quiets.forget();
        if self.ledger.sweep()? == Swept::Later {
            tracing::warn!("an erased number may still stand in the ledger's log, which is being read; it is wiped by night");
        }
        Ok(())
    }

    /// Why something cannot be done about a number; `None` when it can.
    fn ungranted(&self, wish: &Wish) -> Result<Option<String>> {
        if wish.tokens.is_empty() || wish.who.trim().is_empty() || wish.reason.trim().is_empty() {
            return Ok(Some("no number is named, or nobody who asks, or no reason".into()));
        }
        if wish.act != Act::Erase {
            return Ok(None);
        }
        for token in &wish.tokens {
            if let Some(until) = self.ledger.held_until(*token)? {
                let until = if until == Timestamp::MAX { "until it is released".to_owned() } else { format!("until {until}") };
                return Ok(Some(format!("the number is held {until}; `taktd privacy release` lets it go")));
            }
        }
        let mut talking = false;
        self.ledger.running_calls(|stored| {
            let tokens = [stored.call.caller, stored.call.called].map(|number| self.ledger.token_of(number?));
            talking |= tokens.iter().flatten().any(|token| wish.tokens.contains(token));
            Ok(())
        })?;
        Ok(talking.then(|| "the number is in a call now; ask again when it has ended".into()))
    }
}

/// Whether a source keeps open dialogs, channels or rows under this name, and not only its place in a file. The parts of open
/// dialogs are as old as their head, and go with it: one alone would be missed.
fn holds_dialogs(source: &str) -> bool {
    source == super::replay::SIP || ["sip, earlier ", "channels ", "records "].iter().any(|kind| source.starts_with(kind))
}

/// Puts texts in force; contracts are kept without the numbers of customers.
pub(super) fn use_texts(batch: &mut Batch<'_>, in_force: &InForce, texts: &[DocumentText]) -> Result<i64> {
    let dial_plan = &in_force.directory().dial_plan;
    let numbers = |(kind, name, text): &DocumentText| if *kind == "contracts" { numbers_in(name, text, dial_plan) } else { Vec::new() };
    let numbers: Vec<_> = texts.iter().map(numbers).collect();
    let documents: Vec<Document<'_>> =
        texts.iter().zip(&numbers).map(|((kind, name, text), numbers)| Document { kind, name, text, numbers }).collect();
    batch.use_catalogue(&documents)
}

/// Whose call it is. If the number that would tell is forgotten, it is whose it was.
pub(super) fn find(ledger: &Ledger, in_force: &InForce, call: &Call) -> Result<Match> {
    let telling = match call.direction {
        Direction::In => &call.caller_raw,
        Direction::Out => &call.called_raw,
    };
    let known = if is_forgotten(telling.as_str()) { ledger.call(&call.id)? } else { None };
    Ok(known.map_or_else(|| in_force.find(call), |stored| stored.matched))
}

/// Whether two reports can be of one call, also if the first one's numbers are forgotten.
pub(super) fn same(ledger: &Ledger, stored: &Call, call: &Call) -> bool {
    let number = |call: &Call| match call.direction {
        Direction::In => call.caller,
        Direction::Out => call.called,
    };
    let raw = match stored.direction {
        Direction::In => &stored.caller_raw,
        Direction::Out => &stored.called_raw,
    };
    match (Token::parse(raw.as_str()), number(call)) {
        (Some(token), Some(known)) => {
            let mut nameless = call.clone();
            match call.direction {
                Direction::In => nameless.caller = stored.caller,
                Direction::Out => nameless.called = stored.called,
            }
            ledger.token_of(known) == Some(token) && is_same(stored, &nameless)
        }
        _ => is_same(stored, call),
    }
}
