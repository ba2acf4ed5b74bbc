//! What goes into settlement and what comes out: the calls of one contract, and all they come to (design.md §6).

use super::machine::Machine;
use super::record::Record;
use super::terms::Terms;
use crate::calls::Call;
use crate::tariff::Verdict;
use crate::units::{Seconds, Timestamp};
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
}

/// Settles all calls of one contract as cut at `until` (design.md §6). The order of `inputs` makes no difference.
#[must_use]
pub fn settle(terms: &Terms<'_>, inputs: &[Input<'_>], until: Timestamp) -> Settlement {
    let mut machine = Machine::new(terms, inputs, until);
    machine.run(Timing::InTime);
    let mut late: Vec<Timing> = inputs.iter().map(|input| input.timing).filter(|timing| *timing != Timing::InTime).collect();
    late.sort_unstable();
    late.dedup();
    for timing in late {
        machine.run(timing);
    }
    machine.finish()
}
