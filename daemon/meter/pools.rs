//! What is left of allowances. Derived, never stored: granted when first asked for, used up by increments.

use super::sources::{Lasting, Source, Use, gone, is_same, lasting, owner};
use super::stretch::{Asked, PoolKey};
use super::terms::{Offer, Terms};
use crate::tariff::{Allowance, Grant};
use crate::units::Seconds;
use chrono::NaiveDate;

/// A pool's place among all of a contract; it stays the same for as long as settlement goes on.
pub type PoolId = usize;

/// All allowances of a contract that were touched, in the order in which they were.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pools {
    all: Vec<Pool>,
    /// Those of which usage went beyond what is tolerated: all that is beyond them is due.
    exceeded: Vec<(Box<str>, Box<str>, NaiveDate)>,
}

/// One allowance of one period, or what was bought in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// The plan (of what is granted once: the tariff).
    pub owner: Box<str>,
    /// The allowance.
    pub id: Box<str>,
    /// The first day of its period.
    pub from: NaiveDate,
    /// What was granted (seconds or count).
    pub granted: u64,
    /// What is left.
    pub left: u64,
    /// How much of it calls of a later period may still use (carry-over).
    pub carry: u64,
    /// The first day it is gone; `None`: never.
    pub lapses: Option<NaiveDate>,
    /// The first day on which no version of the plan lets anybody use it; `None`: there is none.
    pub gone: Option<NaiveDate>,
    /// Whether it counts seconds.
    pub is_time: bool,
    /// How far beyond it usage is tolerated, and how far it went.
    pub tolerated: u64,
    /// Usage beyond it.
    pub beyond: u64,
    /// What calls have asked of it since the last quiet instant; `None`: none has. No state that is kept has any.
    pub asked: Option<Asked>,
}

impl Pools {
    /// Grants an allowance for a period, unless it was; says where its rest stands.
    pub(super) fn grant(&mut self, terms: &Terms<'_>, offer: &Offer<'_>, allowance: &Allowance, period: Lasting) -> PoolId {
        let owner = owner(offer.tariff, offer.plan, allowance);
        if let Some(known) = self.find(owner, &allowance.id, period.from) {
            return self.ask(known);
        }
        // What the plan said when the period began counts for all of it, as do the stations of that day.
        let began = terms.offers(period.began).into_iter().find(|one| one.plan.id == offer.plan.id);
        let then = began.and_then(|one| one.plan.allowances.iter().find(|one| is_same(one, allowance)));
        let granted_as = then.unwrap_or(allowance);
        let one = match granted_as.grant {
            Grant::Time { quantity, .. } => quantity.get(),
            Grant::Incidents(count) | Grant::Callbacks(count) => u64::from(count),
        };
        let granted = if granted_as.per_station { one.saturating_mul(u64::from(terms.stations(period.began))) } else { one };
        let new = self.add_pool(Pool {
            granted,
            left: granted,
            carry: granted_as.carry_over.map_or(0, |(cap, _)| cap),
            is_time: matches!(granted_as.grant, Grant::Time { .. }),
            tolerated: granted_as.tolerance.map_or(0, |tolerance| tolerance.of(granted)),
            gone: gone(terms, offer, allowance, period),
            ..Pool::empty(owner, &allowance.id, period.from, period.lapses)
        });
        self.ask(new)
    }

    /// A call may use a pool.
    fn ask(&mut self, pool: PoolId) -> PoolId {
        if let Some(pool) = self.all.get_mut(pool) {
            pool.asked();
        }
        pool
    }

    /// The last ones are asked for most.
    fn find(&self, owner: &str, id: &str, from: NaiveDate) -> Option<PoolId> {
        self.all.iter().rposition(|pool| pool.from == from && *pool.id == *id && *pool.owner == *owner)
    }

    fn add_pool(&mut self, pool: Pool) -> PoolId {
        self.all.push(pool);
        self.all.len().saturating_sub(1)
    }

    /// Grants the allowances of a day that nobody has asked for yet.
    pub fn touch(&mut self, terms: &Terms<'_>, offer: &Offer<'_>, day: NaiveDate) {
        for allowance in &offer.plan.allowances {
            if let Some(period) = lasting(terms, allowance, day) {
                self.grant(terms, offer, allowance, period);
            }
        }
    }

    /// What is left in a pool.
    #[must_use]
    pub fn left(&self, pool: PoolId) -> u64 {
        self.all.get(pool).map_or(0, |pool| pool.left)
    }

    /// Whether a call finds nothing left in a pool.
    pub fn is_spent(&mut self, pool: PoolId) -> bool {
        let Some(pool) = self.all.get_mut(pool) else { return true };
        if pool.left == 0 {
            pool.asked().finds_nothing();
        }
        pool.left == 0
    }

    /// Takes up to `wanted` of an allowance, and says how much it was.
    pub fn take(&mut self, source: &Source<'_>, wanted: u64) -> u64 {
        let Some(pool) = self.all.get_mut(source.pool) else { return 0 };
        let carry = pool.carry;
        let taken = match source.used_as {
            Use::Own => wanted.min(pool.left),
            Use::Carried => wanted.min(pool.left).min(carry),
        };
        match source.used_as {
            Use::Own => pool.asked().takes(wanted, taken),
            Use::Carried => {
                pool.asked().takes_carried(wanted, carry, taken);
                pool.carry = carry.saturating_sub(taken);
            }
        }
        pool.left = pool.left.saturating_sub(taken);
        taken
    }

    /// Counts usage beyond an allowance that tolerates some; says whether it is tolerated still. How far it goes in the end
    /// is known only when all has run: then settlement is run again with what [`Pools::exceed`] found.
    pub fn go_beyond(&mut self, source: &Source<'_>, by: u64) -> bool {
        let Some(pool) = self.all.get_mut(source.pool).filter(|pool| pool.tolerated > 0) else { return false };
        pool.beyond = pool.beyond.saturating_add(by);
        !self.exceeded.iter().any(|(owner, id, from)| *from == pool.from && *id == pool.id && *owner == pool.owner)
    }

    /// The pools of which usage went beyond what is tolerated and that were not known to.
    pub fn newly_exceeded(&self) -> Vec<(Box<str>, Box<str>, NaiveDate)> {
        let beyond = self.all.iter().filter(|pool| pool.tolerated > 0 && pool.beyond > pool.tolerated);
        let keys = beyond.map(|pool| (pool.owner.clone(), pool.id.clone(), pool.from));
        keys.filter(|key| !self.exceeded.contains(key)).collect()
    }

    /// From now on all that is beyond these is due.
    pub fn exceed(&mut self, keys: Vec<(Box<str>, Box<str>, NaiveDate)>) {
        self.exceeded.extend(keys);
    }

    /// Whether any of them tolerates usage beyond it: then what comes may change what was.
    pub fn tolerate(&self) -> bool {
        self.all.iter().any(|pool| pool.tolerated > 0)
    }

    /// The pool of what a plan's top-ups bought in a period.
    pub fn bought(&mut self, plan: &str, from: NaiveDate, lapses: Option<NaiveDate>, gone: impl FnOnce() -> Option<NaiveDate>) -> PoolId {
        let known = self.find(plan, TOP_UP, from);
        let pool = known.unwrap_or_else(|| self.add_pool(Pool { gone: gone(), ..Pool::empty(plan, TOP_UP, from, lapses) }));
        self.ask(pool)
    }

    /// Takes up to `wanted` of what was bought, and says how much it was.
    pub fn take_bought(&mut self, pool: PoolId, wanted: u64) -> u64 {
        let Some(pool) = self.all.get_mut(pool) else { return 0 };
        let taken = wanted.min(pool.left);
        pool.asked().takes(wanted, taken);
        pool.left = pool.left.saturating_sub(taken);
        taken
    }

    /// Adds a quantity that was bought.
    pub fn buy(&mut self, pool: PoolId, quantity: Seconds) {
        let Some(pool) = self.all.get_mut(pool) else { return };
        pool.asked().buys(quantity.get());
        pool.granted = pool.granted.saturating_add(quantity.get());
        pool.left = pool.left.saturating_add(quantity.get());
    }

    /// Everything touched so far, by plan, allowance and period.
    pub fn sorted(&self) -> Vec<&Pool> {
        let mut all: Vec<&Pool> = self.all.iter().collect();
        all.sort_by(|one, other| (&one.owner, &one.id, one.from).cmp(&(&other.owner, &other.id, other.from)));
        all
    }

    /// Lets go of what nobody can use from a day on.
    pub fn forget_before(&mut self, day: NaiveDate) {
        self.all.retain(|pool| pool.gone.is_none_or(|gone| gone > day));
        self.all.sort_by(|one, other| (one.from, &one.owner, &one.id).cmp(&(other.from, &other.owner, &other.id)));
        self.all.iter_mut().for_each(|pool| pool.asked = None);
    }

    /// What calls have asked of each of them since this was called last.
    pub fn asked(&mut self) -> Vec<(PoolKey, Asked)> {
        let asked = self.all.iter_mut().filter_map(|pool| {
            let asked = pool.asked.take()?;
            Some(((pool.owner.clone(), pool.id.clone(), pool.from), asked))
        });
        asked.collect()
    }

    fn get(&self, (owner, id, from): &PoolKey) -> Option<&Pool> {
        self.all.get(self.find(owner, id, *from)?)
    }

    /// Whether what calls asked of these when they were as they `were` goes as it went.
    pub fn suffice(&self, were: &Self, asked: &[(PoolKey, Asked)]) -> bool {
        let alike = |(key, asked): &(PoolKey, Asked)| match (self.get(key), were.get(key)) {
            (Some(pool), was) => asked.goes_as_it_went(pool, was),
            // One that was granted only then is granted now.
            (None, before) => before.is_none(),
        };
        self.exceeded == were.exceeded && asked.iter().all(alike)
    }

    /// These after calls that asked so much of them, on a day; `then` is what became of those that `were`.
    #[must_use]
    pub fn after(&self, were: &Self, asked: &[(PoolKey, Asked)], then: &Self, day: NaiveDate) -> Self {
        let mut after = self.clone();
        for (key, asked) in asked {
            let (owner, id, from) = key;
            if let Some(pool) = after.find(owner, id, *from).and_then(|place| after.all.get_mut(place)) {
                asked.apply(pool);
            }
        }
        let key = |pool: &Pool| (pool.owner.clone(), pool.id.clone(), pool.from);
        let granted = then.all.iter().filter(|pool| self.get(&key(pool)).is_none() && were.get(&key(pool)).is_none());
        after.all.extend(granted.cloned());
        after.forget_before(day);
        after
    }
}

impl Pool {
    fn empty(owner: &str, id: &str, from: NaiveDate, lapses: Option<NaiveDate>) -> Self {
        let (owner, id) = (owner.into(), id.into());
        Self { owner, id, from, granted: 0, left: 0, carry: 0, lapses, gone: lapses, is_time: true, tolerated: 0, beyond: 0, asked: None }
    }

    fn asked(&mut self) -> &mut Asked {
        let (left, carry) = (self.left, self.carry);
        self.asked.get_or_insert_with(|| Asked::of(left, carry))
    }
}

/// The name of what was bought, in results.
pub const TOP_UP: &str = "top-up";
