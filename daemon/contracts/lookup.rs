//! From a number, or a reference the PBX handed over, to the contract that pays (design.md §4).

use super::Contract;
use crate::calls::{Call, Withheld, WithheldNumbers};
use crate::units::{Direction, E164, NumberPattern, Timestamp};
use chrono::NaiveDate;
use chrono_tz::Tz;

/// Whose call it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Match {
    /// One contract pays.
    Contract {
        /// The contract.
        id: Box<str>,
        /// The caller may call on plans for authorised callers.
        authorised: bool,
        /// What a reader should know: a reference that was not in force.
        reason: Option<Box<str>>,
    },
    /// Several match equally well: nobody is billed until an operator assigns the call.
    Ambiguous {
        /// Their names, sorted.
        candidates: Vec<Box<str>>,
    },
    /// None matches.
    Unmatched {
        /// Why.
        reason: Box<str>,
    },
}

impl Match {
    /// The contract, when it is one.
    #[must_use]
    pub fn contract(&self) -> Option<&str> {
        match self {
            Self::Contract { id, .. } => Some(id),
            Self::Ambiguous { .. } | Self::Unmatched { .. } => None,
        }
    }
}

/// A contract with all its rows, as a place among all contracts sorted by name: what finding it by name gives, kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct History(u32);

/// Whose call it is, without a copy of the contract's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payer {
    /// One contract pays; the rest as in [`Match::Contract`].
    Contract {
        /// The contract.
        history: History,
        /// The caller may call on plans for authorised callers.
        authorised: bool,
        /// What a reader should know: a reference that was not in force.
        reason: Option<Box<str>>,
    },
    /// None does: several match, or none.
    Nobody(Match),
}

/// All contracts, indexed by number and by name.
#[derive(Debug, Default)]
pub struct Contracts {
    rows: Vec<Contract>,
    zones: Vec<Tz>,
    /// Number and row, sorted; authorised numbers among the others.
    exact: Vec<(E164, u32)>,
    prefixes: Vec<(E164, u32)>,
    /// The lengths that prefixes have, the longest first.
    lengths: Vec<u32>,
    /// Row numbers sorted by contract id, then start.
    by_id: Vec<u32>,
    /// Of each row, the contract it belongs to.
    histories: Vec<History>,
}

impl Contracts {
    /// Indexes rows; `zone_of` names the zone in which a row's dates are meant (its tariff's).
    #[must_use]
    pub fn new(rows: Vec<Contract>, zone_of: impl Fn(&Contract) -> Tz) -> Self {
        let zones = rows.iter().map(zone_of).collect();
        let (mut exact, mut prefixes) = (Vec::with_capacity(rows.len()), Vec::new());
        for (row, contract) in (0u32..).zip(&rows) {
            for pattern in contract.numbers.iter().chain(&contract.authorised) {
                match pattern {
                    NumberPattern::Exact(number) => exact.push((*number, row)),
                    NumberPattern::Prefix(number) => prefixes.push((*number, row)),
                }
            }
        }
        exact.sort_unstable();
        prefixes.sort_unstable();
        let mut lengths: Vec<u32> = prefixes.iter().map(|(number, _)| number.len()).collect();
        lengths.sort_unstable_by(|one, other| other.cmp(one));
        lengths.dedup();
        let mut by_id: Vec<u32> = (0u32..).take(rows.len()).collect();
        let key = |row: &u32| rows.get(place(*row)).map(|contract| (contract.id.clone(), contract.starts_on));
        by_id.sort_by_cached_key(key);
        let mut histories = vec![History(0); rows.len()];
        let mut last = None;
        for (at, row) in (0u32..).zip(&by_id) {
            let id = rows.get(place(*row)).map(|contract| &contract.id);
            let history = last.filter(|(known, _)| *known == id).map_or(History(at), |(_, history)| history);
            last = Some((id, history));
            if let Some(slot) = histories.get_mut(place(*row)) {
                *slot = history;
            }
        }
        Self { rows, zones, exact, prefixes, lengths, by_id, histories }
    }

    /// All rows, in the order of the files.
    #[must_use]
    pub fn rows(&self) -> &[Contract] {
        &self.rows
    }

    /// The names of all contracts, sorted, each once.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        let mut last: Option<&str> = None;
        self.by_id.iter().filter_map(move |row| {
            let id = &*self.rows.get(place(*row))?.id;
            (last.replace(id) != Some(id)).then_some(id)
        })
    }

    /// A contract by its name.
    #[must_use]
    pub fn named(&self, id: &str) -> Option<History> {
        let at = self.by_id.partition_point(|row| self.rows.get(place(*row)).is_some_and(|contract| *contract.id < *id));
        let history = History(u32::try_from(at).ok()?);
        self.rows_of(history).next().filter(|contract| *contract.id == *id).map(|_| history)
    }

    /// The rows of a contract by start.
    pub fn rows_of(&self, history: History) -> impl Iterator<Item = &Contract> {
        let rest = self.by_id.get(place(history.0)..).unwrap_or_default();
        let mut rows = rest.iter().filter_map(|row| self.rows.get(place(*row))).peekable();
        let id = rows.peek().map(|contract| &*contract.id);
        rows.take_while(move |contract| Some(&*contract.id) == id)
    }

    /// The zone in which the dates of a contract are meant.
    #[must_use]
    pub fn zone_of(&self, history: History) -> Option<Tz> {
        self.zones.get(place(*self.by_id.get(place(history.0))?)).copied()
    }

    /// The history of a contract: its rows by start; empty if there is none of that name.
    #[must_use]
    pub fn history(&self, id: &str) -> Vec<&Contract> {
        self.named(id).map(|history| self.rows_of(history).collect()).unwrap_or_default()
    }

    /// The zone in which a contract's dates are meant; `None` if there is none of that name.
    #[must_use]
    pub fn zone(&self, id: &str) -> Option<Tz> {
        self.zone_of(self.named(id)?)
    }

    /// Whose call it is, by the local date on which talk began (missed: it was set up).
    #[must_use]
    pub fn find(&self, call: &Call, withheld: WithheldNumbers) -> Match {
        match self.payer(call, withheld) {
            Payer::Contract { history, authorised, reason } => match self.rows_of(history).next() {
                Some(contract) => Match::Contract { id: contract.id.clone(), authorised, reason },
                None => Match::Unmatched { reason: reason.unwrap_or_default() },
            },
            Payer::Nobody(found) => found,
        }
    }

    /// The same, for who has many to ask about.
    #[must_use]
    pub fn payer(&self, call: &Call, withheld: WithheldNumbers) -> Payer {
        let at = call.connected_at().unwrap_or(call.started_at);
        let mut note = None;
        if let Some(reference) = &call.contract {
            if let Some(history) = self.named(reference).filter(|history| self.covering(*history, at).is_some()) {
                return Payer::Contract { history, authorised: true, reason: None };
            }
            note = Some(format!("the contract \"{reference}\" that the PBX named is not in force"));
        }
        let number = match call.direction {
            Direction::In => call.caller,
            Direction::Out => call.called,
        };
        let hidden = call.direction == Direction::In && call.withheld == Withheld::Yes && withheld == WithheldNumbers::Ignore;
        let found = match number {
            _ if hidden => nobody("number withheld"),
            Some(number) => self.find_number(number, at),
            None => nobody("no number"),
        };
        match (found, note) {
            (Payer::Contract { history, authorised, .. }, Some(note)) => Payer::Contract { history, authorised, reason: Some(note.into()) },
            (Payer::Nobody(Match::Unmatched { reason }), Some(note)) => nobody(&format!("{note}; {reason}")),
            (found, _) => found,
        }
    }

    /// The row of a contract in force at an instant.
    #[must_use]
    pub fn row_of(&self, id: &str, at: Timestamp) -> Option<&Contract> {
        self.covering(self.named(id)?, at)
    }

    fn covering(&self, history: History, at: Timestamp) -> Option<&Contract> {
        let day = local_date(at, self.zone_of(history)?);
        self.rows_of(history).find(|contract| contract.covers(day))
    }

    /// Exact beats prefix, a longer prefix beats a shorter; authorised numbers belong to the contract like its others.
    fn find_number(&self, number: E164, at: Timestamp) -> Payer {
        if let Some(found) = self.best(&self.exact, number, number, at) {
            return found;
        }
        let mut lengths = self.lengths.iter().copied().filter(|length| *length <= number.len());
        lengths
            .find_map(|length| self.best(&self.prefixes, number.prefix(length), number, at))
            .unwrap_or_else(|| nobody("no contract has this number"))
    }

    fn best(&self, index: &[(E164, u32)], key: E164, number: E164, at: Timestamp) -> Option<Payer> {
        let from = index.partition_point(|(number, _)| *number < key);
        let mut found: Option<(History, &Contract)> = None;
        let mut others: Vec<&Contract> = Vec::new();
        for (_, row) in index.get(from..)?.iter().take_while(|(number, _)| *number == key) {
            let (contract, zone) = (self.rows.get(place(*row))?, self.zones.get(place(*row)).copied()?);
            if !contract.covers(local_date(at, zone)) {
                continue;
            }
            let history = self.histories.get(place(*row)).copied()?;
            match found {
                None => found = Some((history, contract)),
                Some((known, _)) if known == history => {}
                Some(_) => others.push(contract),
            }
        }
        let (history, contract) = found?;
        if others.is_empty() {
            // Whichever of its patterns was the best: a block may be authorised, or one number of a block.
            let authorised = contract.authorised.iter().any(|pattern| pattern.matches(number));
            return Some(Payer::Contract { history, authorised, reason: None });
        }
        let mut candidates: Vec<Box<str>> = std::iter::once(contract).chain(others).map(|contract| contract.id.clone()).collect();
        candidates.sort();
        candidates.dedup();
        Some(Payer::Nobody(Match::Ambiguous { candidates }))
    }
}

fn nobody(reason: &str) -> Payer {
    Payer::Nobody(Match::Unmatched { reason: reason.into() })
}

impl Contract {
    /// Whether a day is covered: `starts_on` ≤ day < end.
    #[must_use]
    pub fn covers(&self, day: NaiveDate) -> bool {
        self.starts_on <= day && self.ends_on.is_none_or(|end| day < end)
    }
}

fn place(row: u32) -> usize {
    usize::try_from(row).unwrap_or(usize::MAX)
}

/// The local date of an instant.
#[must_use]
pub fn local_date(at: Timestamp, zone: Tz) -> NaiveDate {
    at.utc().with_timezone(&zone).date_naive()
}
