//! What is in force: tariffs, contracts and the directory, as one value that is exchanged whole.

use crate::calls::{Call, Directory, WithheldNumbers};
use crate::contracts::{Contract, Contracts, History, Match, Payer};
use crate::meter::{self, Input, Quiet, Record, Settled, Settlement, State, Terms, Timing};
use crate::tariff::{Tariff, Verdict};
use crate::units::{Currency, Timestamp};
use chrono_tz::Tz;
use std::sync::{Mutex, PoisonError};

/// A text that entries are computed with: kind, name, text.
pub type DocumentText = (&'static str, String, String);

/// Tariffs, contracts and directory in force.
#[derive(Debug)]
pub struct InForce {
    tariffs: Vec<Tariff>,
    contracts: Contracts,
    directory: Directory,
    /// Emptied once the ledger has them: they are as large as the contracts.
    documents: Mutex<Vec<DocumentText>>,
}

/// A call as settlement takes it, with what was said about it.
#[derive(Clone, Debug)]
pub struct Said {
    /// The call.
    pub call: Call,
    /// Whether its caller may call on plans for authorised callers.
    pub authorised: bool,
    /// What the match or the assignment wants said.
    pub reason: Option<Box<str>>,
    /// The decision that arrived.
    pub verdict: Option<Verdict>,
    /// Whether it came in time.
    pub timing: Timing,
}

impl Said {
    fn input(&self) -> Input<'_> {
        let Self { call, authorised, reason, verdict, timing } = self;
        Input { call, authorised: *authorised, reason: reason.as_deref(), verdict: *verdict, timing: *timing }
    }
}

impl InForce {
    /// Checked values; `documents` are the texts they were read from.
    #[must_use]
    pub fn new(tariffs: Vec<Tariff>, contracts: Vec<Contract>, directory: Directory, documents: Vec<DocumentText>) -> Self {
        let contracts = Contracts::new(contracts, |contract| zone_of(&tariffs, contract));
        Self { tariffs, contracts, directory, documents: Mutex::new(documents) }
    }

    /// The price lists.
    #[must_use]
    pub fn tariffs(&self) -> &[Tariff] {
        &self.tariffs
    }

    /// The contracts.
    #[must_use]
    pub const fn contracts(&self) -> &Contracts {
        &self.contracts
    }

    /// The company's own numbers.
    #[must_use]
    pub const fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Gives the texts all this was read from to whoever keeps them; once they are kept, they are let go here.
    ///
    /// # Errors
    /// Those of `keep`; then the texts stay, for another attempt.
    pub fn hand_over<E>(&self, keep: impl FnOnce(&[DocumentText]) -> Result<(), E>) -> Result<(), E> {
        let mut documents = self.documents.lock().unwrap_or_else(PoisonError::into_inner);
        if !documents.is_empty() {
            keep(&documents)?;
            *documents = Vec::new();
        }
        Ok(())
    }

    /// The zone in which times without a tariff are shown: the first tariff's.
    #[must_use]
    pub fn zone(&self) -> Tz {
        self.tariffs.first().map_or(Tz::UTC, |tariff| tariff.zone)
    }

    /// Whose call it is.
    #[must_use]
    pub fn find(&self, call: &Call) -> Match {
        let withheld: WithheldNumbers = self.directory.identity.withheld;
        self.contracts.find(call, withheld)
    }

    /// The same, for who has many to ask about.
    #[must_use]
    pub fn payer(&self, call: &Call) -> Payer {
        self.contracts.payer(call, self.directory.identity.withheld)
    }

    /// A contract's terms; `None` if there is none of that name.
    #[must_use]
    pub fn terms(&self, contract: &str) -> Option<Terms<'_>> {
        self.terms_of(self.contracts.named(contract)?)
    }

    /// The terms of a contract that was found.
    #[must_use]
    pub fn terms_of(&self, history: History) -> Option<Terms<'_>> {
        let zone = self.contracts.zone_of(history)?;
        Some(Terms::new(&self.tariffs, self.contracts.rows_of(history).collect(), zone))
    }

    /// Settles the calls of a contract as cut at `until`, in the order given.
    #[must_use]
    pub fn settle(&self, terms: &Terms<'_>, calls: &[Said], until: Timestamp) -> Settlement {
        self.settle_from(terms, &Quiet::beginning(), calls, until)
    }

    /// The same for the calls from a quiet instant on.
    #[must_use]
    pub fn settle_from(&self, terms: &Terms<'_>, from: &Quiet, calls: &[Said], until: Timestamp) -> Settlement {
        let inputs: Vec<Input<'_>> = calls.iter().map(Said::input).collect();
        meter::settle_from(terms, from, &inputs, until)
    }

    /// The same of the calls up to an instant, and what is left then, if settlement can go on from there.
    #[must_use]
    pub fn settle_between(
        &self,
        terms: &Terms<'_>,
        from: &Quiet,
        calls: &[Said],
        until: Timestamp,
        end: Timestamp,
    ) -> (Settlement, Option<State>) {
        let inputs: Vec<Input<'_>> = calls.iter().map(Said::input).collect();
        meter::settle_between(terms, from, &inputs, until, end)
    }

    /// The record of a call nobody pays.
    #[must_use]
    pub fn unbilled(&self, call: &Call, found: &Match, until: Timestamp) -> Record {
        let currency = self.tariffs.first().map_or(Currency::EUR, |tariff| tariff.currency);
        meter::unbilled(call, found, self.zone(), currency, until)
    }

    /// One call alone, without any other of its contract: for calls that only wait, and where there is no ledger.
    #[must_use]
    pub fn alone(&self, said: &Said, found: &Match, until: Timestamp) -> Settled {
        let settled = found
            .contract()
            .and_then(|contract| self.terms(contract))
            .and_then(|terms| self.settle(&terms, std::slice::from_ref(said), until).calls.into_iter().next());
        settled.unwrap_or_else(|| Settled {
            record: self.unbilled(&said.call, found, until),
            live: Some(meter::Live::default()),
            origins: Vec::new(),
        })
    }
}

/// The zone in which a contract's dates are meant: that of the tariff that has a plan of it, else of the first.
#[must_use]
pub fn zone_of(tariffs: &[Tariff], contract: &Contract) -> Tz {
    let sold = |tariff: &&Tariff| tariff.plans.iter().any(|plan| contract.plans.contains(&plan.id));
    tariffs.iter().find(sold).or(tariffs.first()).map_or(Tz::UTC, |tariff| tariff.zone)
}
