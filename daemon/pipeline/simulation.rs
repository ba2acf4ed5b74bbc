//! What calls that were would have cost under other tariffs or plans: each contract's whole history settled twice.
//!
//! The one invariant: nothing is written, and three contracts at most are held; both settlements see the same calls, cut at
//! the same instant, so that all that differs is what the tariff makes of them.

use super::catalogue::{InForce, Said, zone_of};
use super::said::said;
use crate::contracts::Contract;
use crate::ledger::{Ledger, LedgerError};
use crate::meter::{self, Record, Terms};
use crate::tariff::Tariff;
use crate::units::{Currency, Seconds, Timestamp};
use rust_decimal::Decimal;
use std::collections::BTreeSet;
use std::sync::mpsc::sync_channel;

/// Contracts that may be read ahead of the one that is settled.
const READ_AHEAD: usize = 1;

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Simulation<'a> {
    /// What is in force.
    pub now: &'a InForce,
    /// The tariffs that would be.
    pub then: &'a [Tariff],
    /// The plan that every contract would hold; `None`: those it holds.
    pub plan: Option<&'a str>,
    /// Calls whose talk begins, and fees whose period begins, from here up to there, exclusive.
    pub span: (Timestamp, Timestamp),
}

/// Net sums, exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Of calls.
    pub calls: Decimal,
    /// Of fees.
    pub fees: Decimal,
}

impl Sums {
    /// Both.
    #[must_use]
    pub fn all(&self) -> Decimal {
        self.calls.saturating_add(self.fees)
    }

    /// Adds others.
    pub fn add(&mut self, more: &Self) {
        self.calls = self.calls.saturating_add(more.calls);
        self.fees = self.fees.saturating_add(more.fees);
    }
}

/// What a contract's calls and fees of the span come to, now and then.
#[derive(Clone, Debug)]
pub struct Compared {
    /// The contract.
    pub contract: String,
    /// Its ended calls in the span.
    pub calls: u64,
    /// Their talk.
    pub talk: Seconds,
    /// Those with another outcome.
    pub other_outcome: u64,
    /// The currency of all sums.
    pub currency: Currency,
    /// As it is.
    pub now: Sums,
    /// As it would be.
    pub then: Sums,
    /// The calls whose net or outcome differs: as it is, and as it would be.
    pub differing: Vec<(Record, Record)>,
}

/// A contract that cannot be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mixed {
    /// The contract.
    pub contract: String,
    /// The currencies it would be a difference of.
    pub currencies: Vec<String>,
}

/// What was left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Calls of the span that no contract pays.
    pub unmatched: u64,
    /// Contracts that had calls or fees, and are in no file any more.
    pub in_no_file: u64,
}

impl Simulation<'_> {
    /// Compares contracts, in order, at one moment of the ledger: one thread reads ahead, this one settles.
    ///
    /// # Errors
    /// When the ledger cannot be read, or those of `each`; then it ends.
    pub fn run<E: From<LedgerError>>(
        &self,
        ledger: &mut Ledger,
        contracts: &[String],
        mut each: impl FnMut(Result<Compared, Mixed>) -> Result<(), E>,
    ) -> Result<LeftOut, E> {
        let (sender, receiver) = sync_channel(READ_AHEAD);
        std::thread::scope(|scope| {
            let reading = scope.spawn(move || {
                ledger.at_one_moment(|ledger| {
                    let closings = ledger.closings()?;
                    for contract in contracts {
                        let calls = said(ledger, self.now, &closings, contract)?;
                        // Nobody takes it when `each` failed, and that error is the one to tell.
                        if sender.send((contract, calls, ledger.time())).is_err() {
                            return Ok(LeftOut::default());
                        }
                    }
                    drop(sender);
                    self.left_out(ledger)
                })
            });
            let mut done = Ok(());
            for (contract, calls, until) in receiver {
                done = self.compare(contract, &calls, until).map_or(Ok(()), &mut each);
                if done.is_err() {
                    break;
                }
            }
            let left_out = reading.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            done.and(left_out.map_err(E::from))
        })
    }

    /// A contract's rows as they would be. They begin and end when they did: that calls were taken is a fact.
    #[must_use]
    pub fn rows(&self, contract: &str) -> Vec<Contract> {
        let rows = self.now.contracts().history(contract).into_iter().cloned();
        match self.plan {
            Some(plan) => rows.map(|row| Contract { plans: vec![plan.into()], ..row }).collect(),
            None => rows.collect(),
        }
    }

    fn compare(&self, contract: &str, calls: &[Said], until: Timestamp) -> Option<Result<Compared, Mixed>> {
        let rows = self.rows(contract);
        let now = self.now.terms(contract)?;
        let then = Terms::new(self.then, rows.iter().collect(), zone_of(self.then, rows.first()?));
        let (is, would_be) = (self.now.settle(&now, calls, until), self.now.settle(&then, calls, until));
        let mut currencies = Currencies(BTreeSet::new());
        let home = rows.iter().flat_map(|row| &row.plans).find_map(|plan| tariff_of(self.then, plan)).map(|tariff| tariff.currency);
        let mut compared = Compared {
            contract: contract.to_owned(),
            calls: 0,
            talk: Seconds::ZERO,
            other_outcome: 0,
            currency: Currency::EUR,
            now: Sums::default(),
            then: Sums::default(),
            differing: Vec::new(),
        };
        for (is, would_be) in is.calls.into_iter().zip(would_be.calls).map(|(is, would_be)| (is.record, would_be.record)) {
            if is.ended_at.is_none() || !self.is_asked_for(&is) {
                continue;
            }
            compared.calls += 1;
            compared.talk = Seconds::new(compared.talk.get().saturating_add(is.talk.get()));
            compared.now.calls = compared.now.calls.saturating_add(currencies.net(&is));
            compared.then.calls = compared.then.calls.saturating_add(currencies.net(&would_be));
            compared.other_outcome += u64::from(is.outcome != would_be.outcome);
            if is.outcome != would_be.outcome || is.charge.net != would_be.charge.net {
                compared.differing.push((is, would_be));
            }
        }
        for (terms, sums) in [(&now, &mut compared.now), (&then, &mut compared.then)] {
            for fee in meter::fees(terms, until).iter().filter(|fee| self.is_asked_for(fee)) {
                sums.fees = sums.fees.saturating_add(currencies.net(fee));
            }
        }
        if currencies.0.len() > 1 {
            let currencies = currencies.0.iter().map(|currency| currency.code().to_owned()).collect();
            return Some(Err(Mixed { contract: contract.to_owned(), currencies }));
        }
        compared.currency = currencies.0.first().copied().or(home).unwrap_or(Currency::EUR);
        let nothing = compared.calls == 0 && compared.now.all().is_zero() && compared.then.all().is_zero();
        (!nothing).then_some(Ok(compared))
    }

    fn is_asked_for(&self, record: &Record) -> bool {
        let begun = record.connected_at.unwrap_or(record.started_at);
        (self.span.0..self.span.1).contains(&begun)
    }

    fn left_out(&self, ledger: &Ledger) -> Result<LeftOut, LedgerError> {
        let mut left_out = LeftOut::default();
        ledger.calls_of_nobody(self.span.0, |stored| {
            let begun = stored.call.connected_at().unwrap_or(stored.call.started_at);
            left_out.unmatched += u64::from((self.span.0..self.span.1).contains(&begun));
            Ok(())
        })?;
        let gone = ledger.contracts()?.into_iter().filter(|contract| self.now.terms(contract).is_none());
        left_out.in_no_file = u64::try_from(gone.count()).unwrap_or(u64::MAX);
        Ok(left_out)
    }
}

/// The currencies in which something is due: what costs nothing costs nothing in any.
struct Currencies(BTreeSet<Currency>);

impl Currencies {
    fn net(&mut self, record: &Record) -> Decimal {
        let charge = &record.charge;
        if !charge.net.is_zero() {
            self.0.insert(charge.currency);
        }
        charge.net
    }
}

fn tariff_of<'t>(tariffs: &'t [Tariff], plan: &str) -> Option<&'t Tariff> {
    tariffs.iter().find(|tariff| tariff.plans.iter().any(|version| *version.id == *plan))
}
