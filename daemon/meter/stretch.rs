//! What the calls between two quiet instants ask of allowances: as long as what is left differs only by what they would not
//! notice, they come to the same, and need not be settled again.
//!
//! The one invariant: what a stretch asks is never understated. Where it cannot be told how much would have done, exactly what
//! was there is asked for.

use super::pools::Pool;
use crate::units::Timestamp;
use chrono::NaiveDate;

/// The calls from a quiet instant up to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Where it ends, exclusive; [`Timestamp::MAX`]: it has all calls that follow.
    pub(super) to: Timestamp,
    /// What it asks of each allowance that may serve one of its calls.
    pub(super) asked: Vec<(PoolKey, Asked)>,
}

/// Whose an allowance is, its name, and the first day of its period.
pub(super) type PoolKey = (Box<str>, Box<str>, NaiveDate);

/// What a stretch asks of an allowance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// What was left, and could still be carried over, when it was first asked: for one that was granted only then.
    left: u64,
    carry: u64,
    /// How much was used since, how much of that by calls of later periods, and how much was bought.
    used: u64,
    carried: u64,
    bought: u64,
    needs: Need,
    needs_carry: Need,
}

/// How much has to be there at the beginning, so that all goes as it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    AtLeast(u64),
    /// Exactly what was there: it ran out, or set a length.
    Exactly,
}

impl Need {
    fn also(self, other: Self) -> Self {
        match (self, other) {
            (Self::AtLeast(one), Self::AtLeast(other)) => Self::AtLeast(one.max(other)),
            (Self::Exactly, _) | (_, Self::Exactly) => Self::Exactly,
        }
    }

    fn is_met(self, by: u64, was: u64) -> bool {
        match self {
            Self::AtLeast(least) => by >= least,
            Self::Exactly => by == was,
        }
    }
}

impl Asked {
    /// Nothing yet of an allowance of which so much is left, and can be carried over.
    pub(super) const fn of(left: u64, carry: u64) -> Self {
        let needs = Need::AtLeast(0);
        Self { left, carry, used: 0, carried: 0, bought: 0, needs, needs_carry: needs }
    }

    /// Nothing was left.
    pub(super) fn finds_nothing(&mut self) {
        self.needs = Need::Exactly;
    }

    /// So much was taken of what was wanted, by a call of its own period.
    pub(super) fn takes(&mut self, wanted: u64, taken: u64) {
        let most = self.used.saturating_add(wanted).saturating_sub(self.bought);
        self.needs = self.needs.also(if taken == wanted { Need::AtLeast(most) } else { Need::Exactly });
        self.used = self.used.saturating_add(taken);
    }

    /// The same, by a call of a later period: no more than `carry`, which could still be carried over.
    pub(super) fn takes_carried(&mut self, wanted: u64, carry: u64, taken: u64) {
        let enough = Need::AtLeast(self.carried.saturating_add(wanted));
        self.needs_carry = self.needs_carry.also(if taken == wanted { enough } else { Need::Exactly });
        self.takes(wanted.min(carry), taken);
        self.carried = self.carried.saturating_add(taken);
    }

    /// More was bought.
    pub(super) fn buys(&mut self, quantity: u64) {
        self.bought = self.bought.saturating_add(quantity);
    }

    /// Whether all goes as it went with what is left in a pool, which `was` another, or was not granted yet.
    pub(super) fn goes_as_it_went(&self, pool: &Pool, was: Option<&Pool>) -> bool {
        let (left, carry) = was.map_or((self.left, self.carry), |was| (was.left, was.carry));
        self.needs.is_met(pool.left, left) && self.needs_carry.is_met(pool.carry, carry)
    }

    /// Uses and buys the same of a pool.
    pub(super) fn apply(&self, pool: &mut Pool) {
        pool.granted = pool.granted.saturating_add(self.bought);
        pool.left = pool.left.saturating_add(self.bought).saturating_sub(self.used);
        pool.carry = pool.carry.saturating_sub(self.carried);
    }

    /// What this and the next stretch ask together.
    fn and_then(self, next: Self) -> Self {
        let later = |need: Need, used: u64, bought: u64| match need {
            Need::AtLeast(least) => Need::AtLeast(least.saturating_add(used).saturating_sub(bought)),
            Need::Exactly => Need::Exactly,
        };
        Self {
            used: self.used.saturating_add(next.used),
            carried: self.carried.saturating_add(next.carried),
            bought: self.bought.saturating_add(next.bought),
            needs: self.needs.also(later(next.needs, self.used, self.bought)),
            needs_carry: self.needs_carry.also(later(next.needs_carry, self.carried, 0)),
            ..self
        }
    }
}

impl Stretch {
    /// This stretch with the next, which begins at `at`; `None` if this one does not end there.
    #[must_use]
    pub fn and_then(mut self, at: Timestamp, next: Self) -> Option<Self> {
        if self.to != at {
            return None;
        }
        self.to = next.to;
        for (key, asked) in next.asked {
            match self.asked.iter_mut().find(|(known, _)| *known == key) {
                Some((_, known)) => *known = known.and_then(asked),
                None => self.asked.push((key, asked)),
            }
        }
        Some(self)
    }
}
