//! The one writer: journals calls as evidence, settles the contracts they touch, posts what changed, all in one batch.
//!
//! The one invariant: evidence, entries and the snapshot of open dialogs that belongs to them are committed together.

use super::catalogue::{InForce, Said};
use super::forgetting::use_texts;
use super::journaling::{find_anew, keep_place, month_end, write};
use super::quiets::Quiets;
use super::settling::{settle_many, settle_unsettled};
use super::twins::Kinds;
use crate::calls::{Call, Speaker, Update};
use crate::contracts::local_date;
use crate::ledger::{Assignment, Closing, Ledger, Posted, Snapshot, StoredCall};
use crate::meter::{self, Outcome, Record, RecordKey, Timing};
use crate::units::{Direction, Seconds, Timestamp};
use chrono::{Datelike, NaiveDate};
use std::ops::AddAssign;
use std::sync::Arc;

/// Where it is kept up to which instant fees of contracts without news were posted.
const FEES: &str = "fees";

/// The ledger, and what is in force.
pub struct Books {
    pub(super) ledger: Ledger,
    pub(super) in_force: Arc<InForce>,
    pub(super) closings: Vec<Closing>,
    pub(super) quiets: Quiets,
    /// Which kinds of sources the ledger holds calls of.
    pub(super) kinds: Kinds,
}

/// What an input has to say.
#[derive(Debug, Default)]
pub struct News {
    /// Who says so.
    pub by: Speaker,
    /// Of calls.
    pub updates: Vec<Update>,
    /// The state of its open dialogs, after these.
    pub snapshots: Vec<(String, Snapshot)>,
    /// The time it has reached.
    pub time: Option<Timestamp>,
}

/// What a batch did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Calls that were not known.
    pub new: u64,
    /// Calls of which something else is known now.
    pub changed: u64,
    /// Calls of which nothing new was said.
    pub same: u64,
    /// Entries and reversals.
    pub posted: Posted,
}

impl AddAssign for Done {
    fn add_assign(&mut self, more: Self) {
        self.new += more.new;
        self.changed += more.changed;
        self.same += more.same;
        self.posted += more.posted;
    }
}

/// What became of a call that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// In or out.
    pub direction: Direction,
    /// What became of it.
    pub outcome: Outcome,
    /// Its talk.
    pub talk: Seconds,
}

/// Why the books could not be kept.
pub type Result<T> = crate::ledger::Result<T>;

impl Books {
    /// Opens the books with what is in force; texts that changed since are kept, and every open contract is settled anew.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn open(ledger: Ledger, in_force: Arc<InForce>) -> Result<Self> {
        let closings = ledger.closings()?;
        let kinds = Kinds::of(&ledger)?;
        let mut books = Self { ledger, in_force: Arc::clone(&in_force), closings, quiets: Quiets::default(), kinds };
        books.put_in_force(in_force)?;
        Ok(books)
    }

    /// The ledger, to read.
    #[must_use]
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// What is in force.
    #[must_use]
    pub const fn in_force(&self) -> &Arc<InForce> {
        &self.in_force
    }

    /// Takes tariffs and contracts that changed: calls of open months find their contract anew, and all is settled again.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn put_in_force(&mut self, in_force: Arc<InForce>) -> Result<()> {
        in_force.hand_over(|documents| {
            let before = self.ledger.catalogue();
            let mut batch = self.ledger.batch()?;
            let version = use_texts(&mut batch, &in_force, documents)?;
            if before.is_some_and(|before| before != version) {
                let open_since = self.closings.last().map_or(Timestamp::default(), |closing| month_end(closing, &in_force));
                find_anew(&mut batch, &in_force, open_since)?;
                batch.mark_all_unsettled()?;
                batch.drop_snapshot(FEES)?;
            }
            batch.commit()
        })?;
        self.in_force = in_force;
        self.quiets.forget();
        Ok(())
    }

    /// Journals news of calls in one transaction. Settling follows in [`Books::settle_all`].
    ///
    /// # Errors
    /// When the ledger cannot be written; then nothing of it is.
    pub fn journal(&mut self, news: impl Iterator<Item = News>) -> Result<Done> {
        let mut done = Done::default();
        let Self { ledger, in_force, .. } = self;
        let mut batch = ledger.batch()?;
        let (mut kinds, mut ended) = (self.kinds, Vec::new());
        for News { by, updates, snapshots, time } in news {
            write(&mut batch, in_force, &mut kinds, (by, updates), &mut done, &mut ended)?;
            keep_place(&mut batch, &snapshots, time)?;
        }
        batch.commit()?;
        // Only what is on disk is known: else a call could be two after the next start.
        self.kinds = kinds;
        Ok(done)
    }

    /// Journals news and settles the contracts they touch, in one transaction: what live metering does. Also says what
    /// became of the calls that ended.
    ///
    /// # Errors
    /// When the ledger cannot be written; then nothing of it is.
    pub fn take(
        &mut self,
        told: Vec<(Speaker, Vec<Update>)>,
        snapshots: &[(String, Snapshot)],
        time: Option<Timestamp>,
    ) -> Result<(Done, Vec<Ended>)> {
        let mut done = Done::default();
        let Self { ledger, in_force, closings, quiets, .. } = self;
        let mut batch = ledger.batch()?;
        let (mut kinds, mut concluded) = (self.kinds, Vec::new());
        for told in told {
            write(&mut batch, in_force, &mut kinds, told, &mut done, &mut concluded)?;
        }
        keep_place(&mut batch, snapshots, time)?;
        done.posted += settle_unsettled(&mut batch, in_force, closings, quiets)?;
        let mut ended = Vec::with_capacity(concluded.len());
        for id in concluded {
            if let Some(record) = batch.ledger().record(&RecordKey::Call(id))?
                && let Some(direction) = record.direction
            {
                ended.push(Ended { direction, outcome: record.outcome, talk: record.talk });
            }
        }
        batch.commit()?;
        self.kinds = kinds;
        Ok((done, ended))
    }

    /// Settles every contract with news or with a deadline that has passed, many in a transaction, and posts fees that have
    /// fallen due; `progress` hears contracts done and contracts in all.
    ///
    /// # Errors
    /// When the ledger cannot be written. What was settled stays; the rest is settled next time.
    pub fn settle_all(&mut self, mut progress: impl FnMut(usize, usize) + Send) -> Result<Posted> {
        let mut batch = self.ledger.batch()?;
        batch.mark_due()?;
        batch.commit()?;
        let contracts: Vec<String> = self.ledger.unsettled()?.into_iter().map(|dirty| dirty.contract).collect();
        self.quiets.forget();
        let Self { ledger, in_force, closings, .. } = self;
        let mut posted = settle_many(ledger, in_force, closings, &contracts, |done| progress(done, contracts.len()))?;
        posted += self.post_fees()?;
        Ok(posted)
    }

    /// Posts the fees of all contracts that fell due since they were last posted.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn post_fees(&mut self) -> Result<Posted> {
        let mut posted = Posted::default();
        let now = self.ledger.time();
        let through = self.ledger.snapshot(FEES)?.and_then(|mark| mark.position.parse().ok()).map(Timestamp::from_micros);
        // Periods begin with a day, of the tariff that has the plan.
        let a_day_began = |through: Timestamp| {
            let mut zones = self.in_force.tariffs().iter().map(|tariff| tariff.zone);
            zones.any(|zone| local_date(through, zone) < local_date(now, zone))
        };
        if now == Timestamp::default() || through.is_some_and(|through| !a_day_began(through)) {
            return Ok(posted);
        }
        let in_force = Arc::clone(&self.in_force);
        let mut batch = self.ledger.batch()?;
        for contract in in_force.contracts().ids() {
            let Some(terms) = in_force.terms(contract) else { continue };
            let due: Vec<Record> =
                meter::fees(&terms, now).into_iter().filter(|fee| through.is_none_or(|through| fee.started_at > through)).collect();
            if !due.is_empty() {
                posted += batch.post(&due)?;
            }
        }
        batch.put_snapshot(FEES, &Snapshot { position: now.micros().to_string(), body: Vec::new() })?;
        batch.commit()?;
        Ok(posted)
    }

    /// Says "it is now T", which makes fees and deadlines due up to then; only `run` does.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn clock(&mut self, now: Timestamp) -> Result<()> {
        let mut batch = self.ledger.batch()?;
        batch.journal_clock(now)?;
        batch.commit()
    }

    /// The ledger, for what only its writer may do: the nightly export, forgetting numbers.
    pub const fn ledger_mut(&mut self) -> &mut Ledger {
        &mut self.ledger
    }

    /// Closes a month, named by any of its days; only `run` does.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn close_month(&mut self, month: NaiveDate, at: Timestamp) -> Result<()> {
        let mut batch = self.ledger.batch()?;
        batch.journal_closing(month, at)?;
        batch.commit()?;
        self.closings = self.ledger.closings()?;
        Ok(())
    }

    /// Months that are closed.
    #[must_use]
    pub fn closings(&self) -> &[Closing] {
        &self.closings
    }
}

/// A stored call as settlement takes it.
#[must_use]
pub fn say(stored: StoredCall, in_force: &InForce, closings: &[Closing]) -> Said {
    let (authorised, reason) = match (&stored.assignment, &stored.matched) {
        (Some(assignment), _) => (true, Some(said_by(assignment).into())),
        (None, crate::contracts::Match::Contract { authorised, reason, .. }) => (*authorised, reason.clone()),
        (None, _) => (false, None),
    };
    let at = stored.call.connected_at().unwrap_or(stored.call.started_at);
    let zone = stored.contract().and_then(|contract| in_force.contracts().zone(contract)).unwrap_or_else(|| in_force.zone());
    let day = local_date(at, zone);
    let closed = closings.iter().find(|closing| (closing.month.year(), closing.month.month()) == (day.year(), day.month()));
    let timing = match closed {
        Some(closing) if stored.first_seq > closing.seq => Timing::Late(u64::try_from(stored.first_seq).unwrap_or(u64::MAX)),
        Some(_) | None => Timing::InTime,
    };
    let verdict = stored.decision.map(|decision| decision.verdict);
    Said { call: no_longer_than_possible(stored.call, in_force), authorised, reason, verdict, timing }
}

/// A call that runs as far as the ledger knows is over by `max_call` at the latest, whatever the ledger's time is.
fn no_longer_than_possible(mut call: Call, in_force: &InForce) -> Call {
    if call.ended_at.is_none() {
        let hotline = in_force.directory().hotlines.iter().find(|hotline| Some(&hotline.name) == call.hotline.as_ref());
        let last = call.started_at.plus(hotline.map_or(Seconds::new(4 * 3_600), |hotline| hotline.max_call));
        if let Some(talk) = call.talks.iter_mut().rev().find(|talk| talk.to.is_none()) {
            talk.to = Some(last.max(talk.from));
        }
    }
    call
}

/// Who gave a call to a contract, and why, if that was said.
#[must_use]
pub fn said_by(assignment: &Assignment) -> String {
    let Assignment { who, why, .. } = assignment;
    if why.is_empty() { format!("assigned by {who}") } else { format!("assigned by {who}: {why}") }
}
