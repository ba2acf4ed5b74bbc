//! What goes into settlement and what comes out: the calls of one contract, and all they come to (design.md §6).

use super::machine::Machine;
use super::record::Record;
use super::state::State;
use super::stretch::Stretch;
use super::terms::Terms;
use crate::calls::Call;
use crate::tariff::Verdict;
use crate::units::{CallId, E164, RawNumber, Seconds, Timestamp};
use chrono::NaiveDate;

/// A call as it comes to settlement.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The call.
    pub call: &'a Call,
    /// Whether the caller may call on plans for authorised callers.
    pub authorised: bool,
    /// What the match wants said.
    pub reason: Option<&'a str>,
    /// The decision that arrived, if one did.
    pub verdict: Option<Verdict>,
    /// Whether it came in time.
    pub timing: Timing,
}

/// Whether a call was journaled before its month was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timing {
    /// In time.
    InTime,
    /// After the closing: settled with what is left, in order of journaling, and touches no other record.
    Late(u64),
}

/// What settlement concludes about one call, in the order of the inputs.
#[derive(Clone, Debug)]
pub struct Settled {
    /// The record; of a running call, what it comes to so far.
    pub record: Record,
    /// Of a running call: what comes next.
    pub live: Option<Live>,
    /// Where each line of the record is written, and when the first of what it counts began, in their order; `None`: it
    /// follows from the others, or from a decision.
    pub origins: Vec<Option<(Origin, Timestamp)>>,
}

/// A line of a tariff.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The tariff's place among those in force.
    pub tariff: usize,
    /// The line of its file.
    pub line: u32,
}

/// What the live meter knows of a running call beyond its record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Live {
    /// When the next increment begins, if the call goes on as it is.
    pub next_increment_at: Option<Timestamp>,
    /// Seconds left of the allowances that serve it.
    pub allowance_left: Option<Seconds>,
    /// When the first increment began that has a price.
    pub priced_since: Option<Timestamp>,
}

/// An allowance's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Balance {
    /// The plan.
    pub plan: Box<str>,
    /// The allowance.
    pub allowance: Box<str>,
    /// The first day of its period.
    pub from: NaiveDate,
    /// The first day it is gone.
    pub lapses: Option<NaiveDate>,
    /// Granted (or bought), in seconds or count.
    pub granted: u64,
    /// Left.
    pub left: u64,
    /// Whether it counts seconds.
    pub is_time: bool,
}

/// All a contract's calls come to.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// One for each input, in order.
    pub calls: Vec<Settled>,
    /// Allowances that were asked for, by plan, allowance and period.
    pub balances: Vec<Balance>,
    /// Instants at which no call was open, some calls apart, in order, from the one on that settlement began at: it can go on
    /// from each. Empty where what comes may change what was.
    pub quiet: Vec<Quiet>,
}

/// An instant at which no call of a contract was open, and what was left then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quiet {
    /// The instant: talk of all calls before had begun before it, and was over.
    pub at: Timestamp,
    /// What was left.
    pub state: State,
    /// What the calls that follow ask of that, up to the next of these instants; `None`: it is not known.
    pub ahead: Option<Stretch>,
}

impl Quiet {
    /// Before all calls.
    #[must_use]
    pub fn beginning() -> Self {
        Self { at: Timestamp::default(), state: State::default(), ahead: None }
    }
}

/// Settles all calls of one contract as cut at `until` (design.md §6). The order of `inputs` makes no difference.
#[must_use]
pub fn settle(terms: &Terms<'_>, inputs: &[Input<'_>], until: Timestamp) -> Settlement {
    settle_from(terms, &Quiet::beginning(), inputs, until)
}

/// The same of the calls that begin at a quiet instant or later.
#[must_use]
pub fn settle_from(terms: &Terms<'_>, from: &Quiet, inputs: &[Input<'_>], until: Timestamp) -> Settlement {
    machine(terms, from, inputs, until).finish(Timestamp::MAX)
}

/// The same of the calls that begin before `end`, and what is left then; `None` if one of them is still open at that instant,
/// or what comes may change what was: then settlement cannot go on from there.
#[must_use]
pub fn settle_between(
    terms: &Terms<'_>,
    from: &Quiet,
    inputs: &[Input<'_>],
    until: Timestamp,
    end: Timestamp,
) -> (Settlement, Option<State>) {
    let machine = machine(terms, from, inputs, until);
    let rest = machine.rest(end);
    (machine.finish(end), rest)
}

fn machine<'a, 't>(terms: &'t Terms<'a>, from: &Quiet, inputs: &'t [Input<'a>], until: Timestamp) -> Machine<'a, 't> {
    let mut order: Vec<usize> = (0..inputs.len()).collect();
    // Ties: connected earlier, then set up earlier, then caller, called, call_id. Calls without talk have no increments.
    // They mostly come in that order, or nearly.
    let key = |place: &usize| inputs.get(*place).map(|input| (input.timing, Order::of(input.call)));
    order.sort_by(|one, other| key(one).cmp(&key(other)));
    let timing = |place: &usize| inputs.get(*place).map(|input| input.timing);
    let mut machine = Machine::new(terms, from, inputs, until);
    for same in order.chunk_by(|one, other| timing(one) == timing(other)) {
        machine.settle(same);
    }
    machine
}

/// The order of calls of which an increment begins at the same instant (design.md §6.4).
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Order<'a> {
    begun: Timestamp,
    started_at: Timestamp,
    caller: (Option<E164>, &'a RawNumber),
    called: (Option<E164>, &'a RawNumber),
    id: &'a CallId,
}

impl<'a> Order<'a> {
    fn of(call: &'a Call) -> Self {
        let Call { started_at, caller, caller_raw, called, called_raw, id, .. } = call;
        let begun = call.connected_at().unwrap_or(*started_at);
        Self { begun, started_at: *started_at, caller: (*caller, caller_raw), called: (*called, called_raw), id }
    }
}
