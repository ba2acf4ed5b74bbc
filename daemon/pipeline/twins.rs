//! One conversation is one call, whichever sources report it (design.md §3): a call from the wire and the same call from
//! the switch's records find each other by who, whom and when.

use crate::calls::{Call, Withheld};
use crate::ledger::{Batch, Result, Snapshot};
use crate::units::{CallId, Timestamp};

/// Where it is kept whether the ledger holds calls of several kinds of sources.
pub(super) const KINDS: &str = "kinds of sources";
/// The ledger holds calls of both kinds.
pub(super) const MIXED: &str = "signalling and records";

/// Records have whole seconds, and some switches begin them late.
const APART_MICROS: i64 = 3_000_000;

/// What a call was learned from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    Signalling,
    Records,
}

/// Records cannot tell whether a number was withheld; signalling always can.
fn origin(call: &Call) -> Origin {
    match call.withheld {
        Withheld::Unknown => Origin::Records,
        Withheld::No | Withheld::Yes => Origin::Signalling,
    }
}

/// The call under the name it has in the ledger; `None` when a better report of it is there already.
///
/// Signalling overrules records: it takes over the name of the record's call. A record adds only what signalling lost: the
/// end of a call whose end was estimated.
pub(super) fn settle_identity(batch: &mut Batch<'_>, mixed: &mut bool, mut call: Call) -> Result<Option<Call>> {
    let mine = origin(&call);
    if mine == Origin::Signalling && !*mixed {
        return Ok(Some(call));
    }
    if !*mixed {
        *mixed = true;
        batch.put_snapshot(KINDS, &Snapshot { position: MIXED.to_owned(), body: Vec::new() })?;
    }
    if mine == Origin::Signalling
        && let Some(name) = batch.ledger().snapshot(&taken(&call.id))?.and_then(|taken| CallId::new(&taken.position))
    {
        call.id = name;
        return Ok(Some(call));
    }
    if let Some(known) = batch.ledger().call(&call.id)? {
        let overruled = mine == Origin::Records && origin(&known.call) == Origin::Signalling;
        return Ok(if overruled { reconcile(known.call, &call) } else { Some(call) });
    }
    let (from, to) = (call.started_at.plus_micros(-APART_MICROS), last_of(&call).plus_micros(APART_MICROS));
    let mut twin: Option<Call> = None;
    batch.ledger().calls(from, to, |stored| {
        let other = &stored.call;
        let nearer = |best: &Call| apart(other, &call) < apart(best, &call);
        if origin(other) != mine && is_same(other, &call) && twin.as_ref().is_none_or(nearer) {
            twin = Some(stored.call);
        }
        Ok(())
    })?;
    let Some(twin) = twin else { return Ok(Some(call)) };
    match mine {
        Origin::Signalling => {
            batch.put_snapshot(&taken(&call.id), &Snapshot { position: twin.id.to_string(), body: Vec::new() })?;
            call.id = twin.id;
            Ok(Some(call))
        }
        Origin::Records => Ok(reconcile(twin, &call)),
    }
}

/// Where it is kept under which name a call from the wire stands in the ledger, if that is not its own.
fn taken(id: &CallId) -> String {
    format!("name of {id}")
}

/// The latest moment a call could be filed under: talk start lies between set-up and end.
fn last_of(call: &Call) -> Timestamp {
    call.ended_at.or(call.connected_at()).unwrap_or(call.started_at)
}

fn apart(one: &Call, other: &Call) -> i64 {
    one.started_at.since(other.started_at).abs()
}

/// Whether two reports are of one conversation.
pub(super) fn is_same(one: &Call, other: &Call) -> bool {
    let who = match one.direction {
        crate::units::Direction::In => one.caller == other.caller,
        crate::units::Direction::Out => one.caller_raw == other.caller_raw,
    };
    let called = one.called == other.called || other.called.is_none() || one.called.is_none();
    one.direction == other.direction && who && called && apart(one, other) <= APART_MICROS
}

/// A call from the wire whose end was estimated, or was not seen yet, takes its end from the record.
fn reconcile(mut seen: Call, record: &Call) -> Option<Call> {
    use crate::calls::End;
    let ended = record.ended_at?;
    if seen.ended_at.is_some() && !matches!(seen.end, End::SessionTimer | End::Estimated) {
        return None;
    }
    seen.ended_at = Some(ended);
    seen.end = End::Reconciled;
    if let Some(last) = seen.talks.last_mut() {
        last.to = Some(record.talks.last().and_then(|talk| talk.to).unwrap_or(ended).max(last.from));
    }
    Some(seen)
}
