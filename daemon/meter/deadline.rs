//! When a held call is decided by its tariff, because nobody decided it (design.md §6.8).

use super::fees::midnight;
use super::record::{Outcome, Record};
use super::terms::Terms;
use crate::contracts::local_date;
use crate::tariff::{DecisionRule, Resolved, Verdict};
use crate::units::Timestamp;
use chrono::NaiveDate;
use chrono_tz::Tz;

/// What a tariff decides about a call that waits, and from when on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    /// The first day on which it counts.
    pub from: NaiveDate,
    /// The first instant of that day, in the tariff's zone.
    pub at: Timestamp,
    /// What counts then.
    pub verdict: Verdict,
}

/// The deadline of a record that is held; `None` of any other, and where the plan waits without end.
#[must_use]
pub fn deadline(terms: &Terms<'_>, record: &Record) -> Option<Deadline> {
    if record.outcome != Outcome::Held {
        return None;
    }
    let day = terms.day(record.connected_at?);
    let (tariff, plan) = terms.plan(record.plan.as_deref()?, day)?;
    due(plan.decision.as_ref()?, record.ended_at?, tariff.zone)
}

/// What a rule decides about a call that ended at this instant, if nobody does.
pub(super) fn due(rule: &DecisionRule, ended: Timestamp, zone: Tz) -> Option<Deadline> {
    let (wait, resolved) = rule.default?;
    let from = wait.after(local_date(ended, zone), 1)?;
    let verdict = match resolved {
        Resolved::Customer => Verdict::Customer,
        Resolved::Provider => Verdict::Provider,
    };
    Some(Deadline { from, at: midnight(from, zone), verdict })
}
