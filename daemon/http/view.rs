//! What the meter publishes for those who ask: a finished value, exchanged whole whenever something changed.
//!
//! The one invariant: what is shown is what a settlement of all calls cut at [`View::now`] came to. Between two such
//! instants only the clocks of wait and talk go on, and never past the beginning of the next increment, so that a shown
//! cost always belongs to the talk beside it.

use crate::calls::{BilledFrom, Call};
use crate::clock::Stopwatch;
use crate::meter::{Line, Outcome, Party, Rule, Settled};
use crate::units::{CallId, Direction, Money, Seconds, Timestamp};
use chrono_tz::Tz;

/// Everything there is to see at one instant.
#[derive(Clone, Debug)]
pub struct View {
    /// Calls are metered and reach the ledger.
    pub ready: bool,
    /// Why not, a sentence each; empty when ready.
    pub reasons: Vec<String>,
    /// The instant at which the calls were cut.
    pub now: Timestamp,
    /// Started when the view was made.
    pub published: Stopwatch,
    /// So many last digits of customers' numbers are not shown (`privacy.mask_digits`); 0 shows all.
    pub mask_digits: u8,
    /// The running calls, in the order in which they began.
    pub running: Vec<RunningCall>,
}

/// A running call, as of [`View::now`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunningCall {
    /// Its name.
    pub call_id: CallId,
    /// Inbound, or a callback.
    pub direction: Direction,
    /// The hotline's name.
    pub hotline: Option<Box<str>>,
    /// The service sold.
    pub service: Box<str>,
    /// Who calls.
    pub caller: Party,
    /// Who is called.
    pub called: Party,
    /// Who pays, as far as known.
    pub contract: Option<Box<str>>,
    /// The plan that prices it.
    pub plan: Option<Box<str>>,
    /// The agent the customer talks to now, or talked to last.
    pub agent: Option<Box<str>>,
    /// The severity, where the service has one.
    pub severity: Option<Box<str>>,
    /// Whether it waits or talks.
    pub state: State,
    /// The first INVITE.
    pub started_at: Timestamp,
    /// When an agent was first connected (or the PBX answered, as `billed_from` says).
    pub connected_at: Option<Timestamp>,
    /// From which moment talk counts; `None` before it does.
    pub billed_from: Option<BilledFrom>,
    /// All its wait so far, in microseconds.
    pub wait_micros: i64,
    /// Its talk so far, in microseconds.
    pub talk_micros: i64,
    /// The sum of the increments begun.
    pub billed: Seconds,
    /// How many increments have begun.
    pub increments: u64,
    /// When the next one begins, if the call goes on as it does.
    pub next_increment_at: Option<Timestamp>,
    /// What it would cost if it ended now, net.
    pub net: Option<Money>,
    /// The allowance it used last.
    pub allowance: Option<Box<str>>,
    /// What is left of the allowances that serve it, all running calls of the contract counted.
    pub allowance_left: Option<Seconds>,
    /// When nothing is left of them, if this call alone goes on; earlier, if others of the contract do too.
    pub allowance_runs_out_at: Option<Timestamp>,
    /// What would become of it if it ended now; `None` while it waits.
    pub outcome: Option<Outcome>,
    /// Why, where that needs a word.
    pub reason: Option<Box<str>>,
    /// The zone in which its times are shown: the tariff's.
    pub zone: Tz,
}

/// Whether a call waits or talks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Ringing, announcement, queue, or a second wait.
    Waiting,
    /// With an agent.
    Talking,
}

impl View {
    /// Before anything is metered: not ready, and why.
    #[must_use]
    pub fn starting(now: Timestamp) -> Self {
        Self { ready: false, reasons: vec!["starting".to_owned()], now, published: Stopwatch::start(), mask_digits: 0, running: Vec::new() }
    }
}

impl RunningCall {
    /// A running call as settlement has it when cut at `now`.
    #[must_use]
    pub fn new(call: &Call, settled: &Settled, now: Timestamp) -> Self {
        let (record, live) = (&settled.record, settled.live.unwrap_or_default());
        let talk_micros = call.talk_micros(now);
        let begun = |line: &&Line| line.increment.is_some() && matches!(line.rule, Rule::Allowance | Rule::Step);
        Self {
            call_id: call.id.clone(),
            direction: call.direction,
            hotline: record.hotline.clone(),
            service: record.service.clone(),
            caller: record.caller.clone(),
            called: record.called.clone(),
            contract: record.contract.clone(),
            plan: record.plan.clone(),
            agent: call.talks.last().map(|talk| talk.agent.clone()).filter(|agent| !agent.is_empty()),
            severity: record.severity.clone(),
            state: if call.talks.iter().any(|talk| talk.from <= now && talk.to.is_none()) { State::Talking } else { State::Waiting },
            started_at: call.started_at,
            connected_at: call.connected_at(),
            billed_from: call.connected_at().map(|_| call.billed_from),
            wait_micros: now.since(call.started_at).saturating_sub(talk_micros).max(0),
            talk_micros,
            billed: record.billed,
            increments: record.lines.iter().filter(begun).map(|line| line.count).sum(),
            next_increment_at: live.next_increment_at,
            net: call.connected_at().map(|_| Money::new(record.charge.net, record.charge.currency)),
            allowance: record.allowances.last().map(|used| used.id.clone()),
            allowance_left: live.allowance_left,
            allowance_runs_out_at: live
                .next_increment_at
                .zip(live.allowance_left.filter(|left| *left > Seconds::ZERO))
                .map(|(next, left)| next.plus(left)),
            outcome: call.connected_at().map(|_| record.outcome),
            reason: record.reason.clone(),
            zone: record.zone,
        }
    }

    /// Wait and talk in microseconds when `passed` of them have gone by since the view was made.
    #[must_use]
    pub fn clocks_after(&self, now: Timestamp, passed: i64) -> (i64, i64) {
        let passed = passed.max(0);
        match self.state {
            State::Waiting => (self.wait_micros.saturating_add(passed), self.talk_micros),
            State::Talking => {
                let room = self.next_increment_at.map_or(i64::MAX, |next| next.since(now).max(0));
                (self.wait_micros, self.talk_micros.saturating_add(passed.min(room)))
            }
        }
    }
}
