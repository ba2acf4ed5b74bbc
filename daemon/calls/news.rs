//! What the correlator tells of calls.

use super::call::Call;
use super::correlator::Calls;
use super::open::{Kind, Open};

/// How far a call has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Its first talk began: from now on it must survive a crash.
    Connected,
    /// Its customer has gone: its end must survive a crash, too. Its other legs may still say something.
    Ended,
    /// It is over.
    Concluded,
}

/// Which news of calls are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// Of every stage.
    Stages,
    /// Only of calls that are over: a bulk replay can be run again, and needs nothing to survive a crash.
    Ends,
}

/// News of a call.
#[derive(Clone, Debug)]
pub struct Update {
    /// How far it has come.
    pub stage: Stage,
    /// The call as it stands.
    pub call: Call,
}

/// Calls that make no record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unmetered {
    /// Agents among themselves.
    pub internal: u64,
    /// To no configured hotline, and no callback.
    pub unrelated: u64,
    /// Agents' legs that belong to no call seen.
    pub orphans: u64,
}

impl Unmetered {
    /// What was counted since.
    #[must_use]
    pub const fn since(self, before: Self) -> Self {
        Self {
            internal: self.internal.saturating_sub(before.internal),
            unrelated: self.unrelated.saturating_sub(before.unrelated),
            orphans: self.orphans.saturating_sub(before.orphans),
        }
    }
}

impl Calls {
    /// Calls that run, as they stand; those nobody answered yet included.
    pub fn running(&self) -> impl Iterator<Item = Call> {
        self.listed().filter(|open| open.conclude_at.is_none()).map(|open| self.call_of(open))
    }

    /// Calls whose customer has gone, but whose other legs may still say something: as they stand.
    pub fn ended(&self) -> impl Iterator<Item = Call> {
        self.listed().filter(|open| open.conclude_at.is_some()).map(|open| self.call_of(open))
    }

    fn listed(&self) -> impl Iterator<Item = &Open> {
        self.open.iter().map(|(_, open)| open).filter(|open| open.kind != Kind::Internal)
    }

    pub(super) fn call_of(&self, open: &Open) -> Call {
        open.call(&self.directory, &self.legs)
    }
}
