//! From news of calls to evidence: the match of each call, its name, its twin; what nobody pays is posted at once.
//!
//! The one invariant: all of it goes into the batch of whoever calls, so it is committed with the place of its source.

use super::books::{Done, Result};
use super::catalogue::InForce;
use super::forgetting::find;
use super::twins::{Kinds, Told, settle_identity};
use crate::calls::{Call, Speaker, Stage, Update, call_id_of};
use crate::contracts::Match;
use crate::ledger::{Batch, Closing, Journaled, Snapshot};
use crate::meter;
use crate::units::{CallId, Timestamp};

/// Where each input stands, and the time it has reached: commits together with what came from it.
pub(super) fn keep_place(batch: &mut Batch<'_>, snapshots: &[(String, Snapshot)], time: Option<Timestamp>) -> Result<()> {
    for (source, snapshot) in snapshots {
        match snapshot.is_gone() {
            true => batch.drop_snapshot(source)?,
            false => batch.put_snapshot(source, snapshot)?,
        }
    }
    if let Some(time) = time {
        batch.advance_time(time);
    }
    Ok(())
}

/// Journals updates; the record of a call nobody pays is posted at once, for it depends on no other. `ended` hears the names
/// of the calls that are over, each when the first source says so.
pub(super) fn write(
    batch: &mut Batch<'_>,
    in_force: &InForce,
    kinds: &mut Kinds,
    (by, updates): (Speaker, Vec<Update>),
    done: &mut Done,
    ended: &mut Vec<CallId>,
) -> Result<()> {
    for Update { stage, call } in updates {
        let (call, found, journaled, over) = match settle_identity(batch, kinds, by, call)? {
            Told::Nothing => {
                done.same += 1;
                continue;
            }
            Told::Merged(call, over) => {
                let found = find(batch.ledger(), in_force, &call)?;
                let journaled = batch.journal_merged(&call, &found)?;
                (call, found, journaled, over)
            }
            Told::Alone(mut call) => {
                let found = find(batch.ledger(), in_force, &call)?;
                let mut journaled = batch.journal_call(&call, &found)?;
                if journaled == Journaled::Taken {
                    call.id = name_again(&call);
                    journaled = batch.journal_call(&call, &found)?;
                }
                (call, found, journaled, false)
            }
        };
        match journaled {
            Journaled::New => done.new += 1,
            Journaled::Changed => done.changed += 1,
            Journaled::Same | Journaled::Taken => done.same += 1,
        }
        if journaled != Journaled::Same && (stage != Stage::Connected || call.ended_at.is_some()) {
            post_unbilled(batch, in_force, &call, &found, done)?;
        }
        if stage == Stage::Concluded && !over {
            ended.push(call.id);
        }
    }
    Ok(())
}

/// The name of a call whose own belongs to another: it follows from its set-up, so that a replay finds it again.
pub(super) fn name_again(call: &Call) -> CallId {
    call_id_of(call.id.as_str().as_bytes(), call.started_at.micros().to_string().as_bytes())
}

fn post_unbilled(batch: &mut Batch<'_>, in_force: &InForce, call: &Call, found: &Match, done: &mut Done) -> Result<()> {
    if found.contract().is_some() {
        return Ok(());
    }
    let assigned = batch.ledger().call(&call.id)?.is_some_and(|stored| stored.assignment.is_some());
    if !assigned {
        let until = call.ended_at.unwrap_or(call.started_at);
        done.posted += batch.post(&[in_force.unbilled(call, found, until)])?;
    }
    Ok(())
}

/// Calls since an instant find their contract anew.
pub(super) fn find_anew(batch: &mut Batch<'_>, in_force: &InForce, since: Timestamp) -> Result<()> {
    let mut moved: Vec<Call> = Vec::new();
    let ledger = batch.ledger();
    ledger.calls(since, Timestamp::from_micros(i64::MAX), |stored| {
        if find(ledger, in_force, &stored.call)? != stored.matched {
            moved.push(stored.call);
        }
        Ok(())
    })?;
    for call in moved {
        let found = find(batch.ledger(), in_force, &call)?;
        batch.journal_call(&call, &found)?;
        if found.contract().is_none() && call.ended_at.is_some() {
            let mut done = Done::default();
            post_unbilled(batch, in_force, &call, &found, &mut done)?;
        }
    }
    Ok(())
}

/// The first instant after a closed month.
pub(super) fn month_end(closing: &Closing, in_force: &InForce) -> Timestamp {
    let next = closing.month.checked_add_months(chrono::Months::new(1)).unwrap_or(closing.month);
    meter::midnight(next, in_force.zone())
}
