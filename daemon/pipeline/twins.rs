//! One conversation is one call, whichever sources report it (design.md §3): reports of different kinds of sources find each
//! other by their name, or by who, whom and when, and the call is made of all of them, in whatever order they came.
//!
//! The one invariant: a source's calls are never joined with each other, only with those of another kind.

use super::forgetting::same;
use super::journaling::name_again;
use crate::calls::{Call, Role, Sighting, Speaker, Withheld, Witness, merged};
use crate::ledger::{Batch, Ledger, Result, Snapshot};
use crate::units::{CallId, Direction, Timestamp, Word};

/// Where it is kept which kinds of sources the ledger holds calls of.
const KINDS: &str = "kinds of sources";
/// What stands there, in a ledger of an earlier version that holds calls of both kinds there were.
const BOTH: &str = "signalling and records";
/// What stands there in front of the first kind, once there are several.
const SEVERAL: &str = "several after ";

/// Records have whole seconds, and some switches begin them late.
const APART_MICROS: i64 = 3_000_000;

/// Which kinds of sources the ledger holds calls of: as long as it is one, nothing needs to be looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kinds {
    /// None yet.
    None,
    /// One.
    One(Speaker),
    /// Several: a call without sightings was told by this one, or, in a ledger of an earlier version, by what shows in it.
    Several(Option<Speaker>),
}

impl Kinds {
    pub(super) fn of(ledger: &Ledger) -> Result<Self> {
        let Some(kept) = ledger.snapshot(KINDS)? else {
            // Signalling alone left no word of itself in earlier versions.
            return Ok(if ledger.has_calls()? { Self::One(Speaker::default()) } else { Self::None });
        };
        Ok(match kept.position.strip_prefix(SEVERAL) {
            Some(first) => Self::Several(speaker(first)),
            None if kept.position == BOTH => Self::Several(None),
            None => speaker(&kept.position).map_or(Self::Several(None), Self::One),
        })
    }

    fn keep(self, batch: &mut Batch<'_>) -> Result<()> {
        let words = |by: Speaker| format!("{} {}", by.role.word(), by.witness.word());
        let position = match self {
            Self::None => return Ok(()),
            Self::One(by) => words(by),
            Self::Several(first) => SEVERAL.to_owned() + &first.map(words).unwrap_or_default(),
        };
        batch.put_snapshot(KINDS, &Snapshot { position, body: Vec::new() })
    }

    /// The kinds there are once this one has spoken.
    fn with(self, by: Speaker) -> Self {
        match self {
            Self::None => Self::One(by),
            Self::One(first) if first != by => Self::Several(Some(first)),
            known => known,
        }
    }
}

fn speaker(words: &str) -> Option<Speaker> {
    let (role, witness) = words.split_once(' ')?;
    Some(Speaker { role: Role::from_word(role)?, witness: Witness::from_word(witness)? })
}

/// What is to be journaled of a report.
pub(super) enum Told {
    /// The call, as its only source has it.
    Alone(Call),
    /// The call, as all its sources have it together, and whether another one has told its end before.
    Merged(Call, bool),
    /// Nothing: the same source has said more of it before.
    Nothing,
}

/// What a report makes of the call in the ledger.
pub(super) fn settle_identity(batch: &mut Batch<'_>, kinds: &mut Kinds, by: Speaker, mut call: Call) -> Result<Told> {
    let now = kinds.with(by);
    if now != *kinds {
        *kinds = now;
        kinds.keep(batch)?;
    }
    let Kinds::Several(first) = now else {
        let name = call.id.clone();
        return Ok(merged(&name, &[Sighting { by, call }]).map_or(Told::Nothing, Told::Alone));
    };
    let name = match known(batch.ledger(), first, by, &mut call)? {
        Some(name) => Some(name),
        None => twin(batch.ledger(), first, by, &call)?,
    };
    let name = name.unwrap_or_else(|| call.id.clone());
    let (mut sightings, kept) = sightings(batch.ledger(), first, &name)?;
    if !kept {
        for sighting in &sightings {
            batch.put_sighting(&name, sighting)?;
        }
    }
    let over = sightings.iter().any(|sighting| sighting.by.witness != by.witness && sighting.call.ended_at.is_some());
    match sightings.iter_mut().find(|sighting| sighting.by.witness == by.witness) {
        Some(mine) if !mine.call.yields_to(&call) => return Ok(Told::Nothing),
        Some(mine) => *mine = Sighting { by, call: call.clone() },
        None => sightings.push(Sighting { by, call: call.clone() }),
    }
    batch.put_sighting(&name, &Sighting { by, call })?;
    Ok(merged(&name, &sightings).map_or(Told::Nothing, |call| Told::Merged(call, over)))
}

/// The name in the ledger of a call that this source has told of before, or that another one calls the same. Where the
/// name belongs to another conversation, the call takes one that follows from its set-up.
fn known(ledger: &Ledger, first: Option<Speaker>, by: Speaker, call: &mut Call) -> Result<Option<CallId>> {
    for _ in 0..2 {
        let name = match ledger.sighted(by.witness, &call.id)? {
            None if first.is_none() => ledger.snapshot(&format!("name of {}", call.id))?.and_then(|taken| CallId::new(&taken.position)),
            name => name,
        };
        let name = name.unwrap_or_else(|| call.id.clone());
        let (sightings, _) = sightings(ledger, first, &name)?;
        let mine = sightings.iter().find(|sighting| sighting.by.witness == by.witness);
        let other = |sighting: &&Sighting| !same(ledger, &sighting.call, call);
        if sightings.is_empty() {
            return Ok(None);
        }
        if mine.is_none_or(|mine| !mine.call.is_apart_from(call)) && (mine.is_some() || !sightings.iter().all(|one| other(&one))) {
            return Ok(Some(name));
        }
        call.id = name_again(call);
    }
    Ok(None)
}

/// What each source said of a call.
pub(super) fn told_by(ledger: &Ledger, kinds: Kinds, name: &CallId) -> Result<Vec<Sighting>> {
    let first = match kinds {
        Kinds::None => None,
        Kinds::One(by) => Some(by),
        Kinds::Several(first) => first,
    };
    Ok(sightings(ledger, first, name)?.0)
}

/// What was told of a call, and whether it is kept as sightings: else it is what the only kind of source there was has told.
fn sightings(ledger: &Ledger, first: Option<Speaker>, name: &CallId) -> Result<(Vec<Sighting>, bool)> {
    let kept = ledger.sightings(name)?;
    if !kept.is_empty() {
        return Ok((kept, true));
    }
    let Some(stored) = ledger.call(name)? else { return Ok((Vec::new(), true)) };
    let by = first.unwrap_or_else(|| {
        let records = stored.call.withheld == Withheld::Unknown;
        Speaker { role: Role::Meter, witness: if records { Witness::AsteriskCdr } else { Witness::Signalling } }
    });
    Ok((vec![Sighting { by, call: stored.call }], false))
}

/// The call of other sources that this report is of: the nearest in time that fits, and that no report of this kind is of.
fn twin(ledger: &Ledger, first: Option<Speaker>, by: Speaker, call: &Call) -> Result<Option<CallId>> {
    let (from, to) = (call.started_at.plus_micros(-APART_MICROS), last_of(call).plus_micros(APART_MICROS));
    let mut fitting: Vec<(i64, CallId)> = Vec::new();
    ledger.calls(from, to, |stored| {
        if same(ledger, &stored.call, call) {
            fitting.push((apart(&stored.call, call), stored.call.id));
        }
        Ok(())
    })?;
    fitting.sort();
    for (_, name) in fitting {
        let (sightings, _) = sightings(ledger, first, &name)?;
        if sightings.iter().all(|sighting| sighting.by.witness != by.witness) {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// The latest moment a call could be filed under: talk start lies between set-up and end.
fn last_of(call: &Call) -> Timestamp {
    call.ended_at.or(call.connected_at()).unwrap_or(call.started_at)
}

/// How far apart two reports are: by their begin, and by their end where both tell it.
fn apart(one: &Call, other: &Call) -> i64 {
    let ends = one.ended_at.zip(other.ended_at).map_or(0, |(one, other)| one.since(other).abs());
    one.started_at.since(other.started_at).abs().saturating_add(ends)
}

/// Whether two reports can be of one call: in one direction, of the same caller and hotline, begun at about the same time.
pub(super) fn is_same(one: &Call, other: &Call) -> bool {
    let who = match one.direction {
        Direction::In => one.caller == other.caller,
        Direction::Out => one.caller_raw == other.caller_raw,
    };
    let called = one.called == other.called || other.called.is_none() || one.called.is_none();
    one.direction == other.direction && who && called && one.started_at.since(other.started_at).abs() <= APART_MICROS
}
