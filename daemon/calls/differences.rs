//! Where two reports of one call differ, beyond what their sources cannot tell.
//!
//! The one invariant: a difference is named only where both reports claim to know; what a source cannot know is no finding.

use super::call::{BilledFrom, Call, Mark};
use super::witness::{Sighting, Witness};
use crate::units::{Seconds, Timestamp, Word};
use std::fmt;

/// What two reports say otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// The talk.
    Talk(Seconds, Seconds),
    /// The wait.
    Wait(Seconds, Seconds),
    /// Whether somebody talked at all, and if nobody did, why.
    Outcome(Box<str>, Box<str>),
    /// Who answered first.
    Agent(Box<str>, Box<str>),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Talk(one, other) => write!(f, "talk {} s and {} s", one.get(), other.get()),
            Self::Wait(one, other) => write!(f, "wait {} s and {} s", one.get(), other.get()),
            Self::Outcome(one, other) => write!(f, "{one} and {other}"),
            Self::Agent(one, other) => write!(f, "agent {one} and {other}"),
        }
    }
}

/// Where two reports of one call differ by more than `tolerance`.
#[must_use]
pub fn differences(one: &Sighting, other: &Sighting, tolerance: Seconds) -> Vec<Difference> {
    let (Some(ended), Some(over)) = (one.call.ended_at, other.call.ended_at) else { return Vec::new() };
    let mut found = Vec::new();
    if !(tells_talk(one) && tells_talk(other)) || is_beyond_rows(one, other) {
        return found;
    }
    let talked = |call: &Call| !call.talks.is_empty();
    if talked(&one.call) != talked(&other.call) {
        found.push(Difference::Outcome(outcome(&one.call), outcome(&other.call)));
        return found;
    }
    if !talked(&one.call) || one.call.billed_from != other.call.billed_from {
        return found;
    }
    let apart = |one: Seconds, other: Seconds| one.get().abs_diff(other.get()) > tolerance.get();
    let (mine, theirs) = (one.call.talk_seconds(ended), other.call.talk_seconds(over));
    let vanished = one.call.marks.contains(&Mark::LostParty) || other.call.marks.contains(&Mark::LostParty);
    if apart(mine, theirs) && !vanished {
        found.push(Difference::Talk(mine, theirs));
    }
    let (mine, theirs) = (first_wait(&one.call), first_wait(&other.call));
    if apart(mine, theirs) {
        found.push(Difference::Wait(mine, theirs));
    }
    let agent = |call: &Call| call.talks.first().map(|talk| talk.agent.clone()).unwrap_or_default();
    let (mine, theirs) = (agent(&one.call), agent(&other.call));
    if mine != theirs && !mine.is_empty() && !theirs.is_empty() {
        found.push(Difference::Agent(mine, theirs));
    }
    found
}

/// Whether a report claims to know the talk: not by likelihood, nor by rows from the answer of a machine.
fn tells_talk(sighting: &Sighting) -> bool {
    let Sighting { call, .. } = sighting;
    let machine = is_rows(sighting) && call.billed_from == BilledFrom::Answer && !call.talks.is_empty();
    !machine && ![Mark::AnswerUnseen, Mark::Guessed, Mark::Ambiguous].iter().any(|mark| call.marks.contains(mark))
}

/// Rows of a call that was passed on say nothing of the time between two agents, and of one that the switch began they say
/// when the agent lifted: often they do not even know that it was such a call.
fn is_beyond_rows(one: &Sighting, other: &Sighting) -> bool {
    let passed_on = |call: &Call| [Mark::Transfer, Mark::Forward, Mark::ClickToCall].iter().any(|mark| call.marks.contains(mark));
    (is_rows(one) || is_rows(other)) && (passed_on(&one.call) || passed_on(&other.call))
}

const fn is_rows(sighting: &Sighting) -> bool {
    matches!(sighting.by.witness, Witness::AsteriskCdr | Witness::Csv | Witness::FritzBox)
}

fn first_wait(call: &Call) -> Seconds {
    let connected: Timestamp = call.connected_at().unwrap_or(call.started_at);
    Seconds::new(u64::try_from(connected.since(call.started_at)).unwrap_or(0) / 1_000_000)
}

fn outcome(call: &Call) -> Box<str> {
    match call.missed {
        Some(reason) => format!("missed ({})", reason.word()).into(),
        None if call.talks.is_empty() => "no talk".into(),
        None => "talk".into(),
    }
}
