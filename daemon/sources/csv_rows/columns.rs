//! Which column is what: as configured, by the names of a header or by number.
//!
//! The invariant: a column that is mapped and not there stops the source; none is guessed.

use std::fmt;

/// A column, as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ColumnRef {
    /// By its name in the header, or in the configured list of names.
    Name(Box<str>),
    /// By its place, from 1.
    Place(usize),
}

/// The columns of each thing that a row may tell; several are joined, added up, or tried in turn, as the field says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns<C> {
    /// When the call was set up: joined with a space.
    pub started_at: Vec<C>,
    /// When the switch answered: likewise.
    pub answered_at: Vec<C>,
    /// When a person did: likewise.
    pub connected_at: Vec<C>,
    /// When it was over: likewise.
    pub ended_at: Vec<C>,
    /// From set-up to end: added up.
    pub duration: Vec<C>,
    /// From set-up to the beginning of talk: likewise.
    pub wait: Vec<C>,
    /// Talk: likewise.
    pub talk: Vec<C>,
    /// The caller's number: the first that is not empty.
    pub caller: Vec<C>,
    /// The number dialed: likewise.
    pub called: Vec<C>,
    /// Who talked to the caller: likewise.
    pub agent: Vec<C>,
    /// The queue: likewise.
    pub queue: Vec<C>,
    /// Which way it went: likewise.
    pub direction: Vec<C>,
    /// What became of it: likewise.
    pub outcome: Vec<C>,
    /// What names the call: likewise.
    pub call_id: Vec<C>,
    /// Other names of the same call: each of them.
    pub same_call: Vec<C>,
    /// A contract reference: the first that is not empty.
    pub contract: Vec<C>,
    /// A severity: likewise.
    pub severity: Vec<C>,
    /// A ticket: likewise.
    pub ticket: Vec<C>,
}

/// Places of columns, from 0.
pub type Places = Columns<usize>;

/// A column that is mapped and cannot be found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ColumnError {
    /// No column has the name.
    #[error("columns.{key}: the header has no column \"{name}\"; it has {header}")]
    Missing {
        /// The key in the configuration.
        key: &'static str,
        /// The name.
        name: Box<str>,
        /// The names there are.
        header: String,
    },
    /// Several have it.
    #[error("columns.{key}: the header has several columns \"{name}\"; give the number of the one that is meant")]
    Several {
        /// The key in the configuration.
        key: &'static str,
        /// The name.
        name: Box<str>,
    },
    /// There are not so many columns.
    #[error("columns.{key}: there is no column {place}; the header has {found}")]
    Beyond {
        /// The key in the configuration.
        key: &'static str,
        /// The place, from 1.
        place: usize,
        /// How many there are.
        found: usize,
    },
}

impl<C> Columns<C> {
    /// All of them with their keys.
    pub fn all(&self) -> [(&'static str, &Vec<C>); 18] {
        [
            ("started_at", &self.started_at),
            ("answered_at", &self.answered_at),
            ("connected_at", &self.connected_at),
            ("ended_at", &self.ended_at),
            ("duration", &self.duration),
            ("wait", &self.wait),
            ("talk", &self.talk),
            ("caller", &self.caller),
            ("called", &self.called),
            ("agent", &self.agent),
            ("queue", &self.queue),
            ("direction", &self.direction),
            ("outcome", &self.outcome),
            ("call_id", &self.call_id),
            ("same_call", &self.same_call),
            ("contract", &self.contract),
            ("severity", &self.severity),
            ("ticket", &self.ticket),
        ]
    }

    /// As columns of another kind.
    ///
    /// # Errors
    /// The first that `of` gives.
    fn map<D, E>(&self, mut of: impl FnMut(&'static str, &C) -> Result<D, E>) -> Result<Columns<D>, E> {
        let mut each = |key, columns: &Vec<C>| columns.iter().map(|column| of(key, column)).collect::<Result<Vec<D>, E>>();
        Ok(Columns {
            started_at: each("started_at", &self.started_at)?,
            answered_at: each("answered_at", &self.answered_at)?,
            connected_at: each("connected_at", &self.connected_at)?,
            ended_at: each("ended_at", &self.ended_at)?,
            duration: each("duration", &self.duration)?,
            wait: each("wait", &self.wait)?,
            talk: each("talk", &self.talk)?,
            caller: each("caller", &self.caller)?,
            called: each("called", &self.called)?,
            agent: each("agent", &self.agent)?,
            queue: each("queue", &self.queue)?,
            direction: each("direction", &self.direction)?,
            outcome: each("outcome", &self.outcome)?,
            call_id: each("call_id", &self.call_id)?,
            same_call: each("same_call", &self.same_call)?,
            contract: each("contract", &self.contract)?,
            severity: each("severity", &self.severity)?,
            ticket: each("ticket", &self.ticket)?,
        })
    }
}

impl Columns<ColumnRef> {
    /// The places of the columns, by the names in a header. Names are compared without spaces around them.
    ///
    /// # Errors
    /// When one is not there, or there twice.
    pub fn places(&self, header: &[Box<str>]) -> Result<Places, ColumnError> {
        self.map(|key, column| match column {
            ColumnRef::Place(place) => match place.checked_sub(1).filter(|index| *index < header.len()) {
                Some(index) => Ok(index),
                None => Err(ColumnError::Beyond { key, place: *place, found: header.len() }),
            },
            ColumnRef::Name(name) => {
                let mut found = header.iter().enumerate().filter(|(_, known)| *known == name).map(|(index, _)| index);
                match (found.next(), found.next()) {
                    (Some(index), None) => Ok(index),
                    (Some(_), Some(_)) => Err(ColumnError::Several { key, name: name.clone() }),
                    (None, _) => Err(ColumnError::Missing { key, name: name.clone(), header: Names(header).to_string() }),
                }
            }
        })
    }

    /// The places of columns given by number, where there is neither header nor list of names; `Err` is the first name.
    ///
    /// # Errors
    /// The key and name of a column that is given by name.
    pub fn numbered(&self) -> Result<Places, (&'static str, Box<str>)> {
        self.map(|key, column| match column {
            ColumnRef::Place(place) => Ok(place.saturating_sub(1)),
            ColumnRef::Name(name) => Err((key, name.clone())),
        })
    }
}

/// Names in a message, as many as one reads.
struct Names<'a>(&'a [Box<str>]);

impl fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 40;
        for (place, name) in self.0.iter().take(SHOWN).enumerate() {
            let short: String = name.chars().take(40).collect();
            write!(f, "{}\"{short}\"", if place == 0 { "" } else { ", " })?;
        }
        if self.0.len() > SHOWN {
            write!(f, " and {} more", self.0.len() - SHOWN)?;
        }
        Ok(())
    }
}
