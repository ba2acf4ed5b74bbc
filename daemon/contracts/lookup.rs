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
        Self { rows, zones, exact, prefixes, lengths, by_id }
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

    /// The history of a contract: its rows by start; empty if there is none of that name.
    #[must_use]
    pub fn history(&self, id: &str) -> Vec<&Contract> {
        let from = self.by_id.partition_point(|row| self.rows.get(place(*row)).is_some_and(|contract| *contract.id < *id));
        let rest = self.by_id.get(from..).unwrap_or_default();
        rest.iter().map_while(|row| self.rows.get(place(*row)).filter(|contract| *contract.id == *id)).collect()
    }

    /// The zone in which a contract's dates are meant; `None` if there is none of that name.
    #[must_use]
    pub fn zone(&self, id: &str) -> Option<Tz> {
        let from = self.by_id.partition_point(|row| self.rows.get(place(*row)).is_some_and(|contract| *contract.id < *id));
        let row = place(*self.by_id.get(from)?);
        self.rows.get(row).filter(|contract| *contract.id == *id)?;
        self.zones.get(row).copied()
    }

    /// Whose call it is, by the local date on which talk began (missed: it was set up).
    #[must_use]
    pub fn find(&self, call: &Call, withheld: WithheldNumbers) -> Match {
        let at = call.connected_at().unwrap_or(call.started_at);
        let mut note = None;
        if let Some(reference) = &call.contract {
            let rows = self.history(reference);
            let known = rows.first().is_some_and(|_| self.row_of(reference, at).is_some());
            if known {
                return Match::Contract { id: reference.clone(), authorised: true, reason: None };
            }
            note = Some(format!("the contract \"{reference}\" that the PBX named is not in force"));
        }
        let number = match call.direction {
            Direction::In => call.caller,
            Direction::Out => call.called,
        };
        let hidden = call.direction == Direction::In && call.withheld == Withheld::Yes && withheld == WithheldNumbers::Ignore;
        let found = match number {
            _ if hidden => Match::Unmatched { reason: "number withheld".into() },
            Some(number) => self.find_number(number, at),
            None => Match::Unmatched { reason: "no number".into() },
        };
        match (found, note) {
            (Match::Contract { id, authorised, .. }, Some(note)) => Match::Contract { id, authorised, reason: Some(note.into()) },
            (Match::Unmatched { reason }, Some(note)) => Match::Unmatched { reason: format!("{note}; {reason}").into() },
            (found, _) => found,
        }
    }

    /// The row of a contract in force at an instant.
    #[must_use]
    pub fn row_of(&self, id: &str, at: Timestamp) -> Option<&Contract> {
        let day = local_date(at, self.zone(id)?);
        self.history(id).into_iter().find(|contract| contract.covers(day))
    }

    /// Exact beats prefix, a longer prefix beats a shorter; authorised numbers belong to the contract like its others.
    fn find_number(&self, number: E164, at: Timestamp) -> Match {
        if let Some(found) = self.best(&self.exact, number, number, at) {
            return found;
        }
        let mut lengths = self.lengths.iter().copied().filter(|length| *length <= number.len());
        lengths
            .find_map(|length| self.best(&self.prefixes, number.prefix(length), number, at))
            .unwrap_or_else(|| Match::Unmatched { reason: "no contract has this number".into() })
    }

    fn best(&self, index: &[(E164, u32)], key: E164, number: E164, at: Timestamp) -> Option<Match> {
        let from = index.partition_point(|(number, _)| *number < key);
        let mut found: Vec<&Contract> = Vec::new();
        for (_, row) in index.get(from..)?.iter().take_while(|(number, _)| *number == key) {
            let contract = self.rows.get(place(*row))?;
            let zone = self.zones.get(place(*row)).copied()?;
            if contract.covers(local_date(at, zone)) && !found.iter().any(|known| known.id == contract.id) {
                found.push(contract);
            }
        }
        match found.as_slice() {
            [] => None,
            [contract] => {
                // Whichever of its patterns was the best: a block may be authorised, or one number of a block.
                let authorised = contract.authorised.iter().any(|pattern| pattern.matches(number));
                Some(Match::Contract { id: contract.id.clone(), authorised, reason: None })
            }
            _ => {
                let mut candidates: Vec<Box<str>> = found.iter().map(|contract| contract.id.clone()).collect();
                candidates.sort();
                Some(Match::Ambiguous { candidates })
            }
        }
    }
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
