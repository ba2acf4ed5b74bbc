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
/// when the agent lifted: often they do not even know that it was such a call. FreeSWITCH's records have a row for each leg,
/// and know; but where the legs of the desks are not written, they do not know that a call was passed on at all.
fn is_beyond_rows(one: &Sighting, other: &Sighting) -> bool {
    let passed_on = |call: &Call| [Mark::Transfer, Mark::Forward, Mark::ClickToCall].iter().any(|mark| call.marks.contains(mark));
    let unaware =
        |rows: &Sighting, beside: &Sighting| rows.by.witness == Witness::FreeSwitch && passed_on(&beside.call) && !passed_on(&rows.call);
    let either = passed_on(&one.call) || passed_on(&other.call);
    ((is_rows(one) || is_rows(other)) && either) || unaware(one, other) || unaware(other, one)
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

#[cfg(test)]
mod tests {
    use super::super::witness::tests::{call, seen, talk};
    use super::*;

    /// What is said of a call that talked from 5 to 20, and of the same as another source has it.
    fn found(witness: Witness, change: impl FnOnce(&mut Call)) -> Vec<String> {
        let wire = seen(Witness::Signalling, call("w", vec![talk("201", 5, 20)], Some(20)));
        let mut other = call("o", vec![talk("201", 5, 20)], Some(100));
        change(&mut other);
        differences(&wire, &seen(witness, other), Seconds::new(2)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_differs_is_named() {
        let none: [&str; 0] = [];
        assert_eq!(found(Witness::AsteriskCdr, |_| {}), none);
        assert_eq!(found(Witness::AsteriskCdr, |call| call.talks = vec![talk("201", 5, 22)]), none, "within the tolerance");
        assert_eq!(found(Witness::AsteriskCdr, |call| call.talks = vec![talk("201", 5, 23)]), ["talk 15 s and 18 s"]);
        assert_eq!(found(Witness::AsteriskCel, |call| call.talks = vec![talk("202", 1, 16)]), ["wait 5 s and 1 s", "agent 201 and 202"]);
        let missed = |call: &mut Call| (call.talks, call.missed) = (vec![], Some(crate::calls::MissedReason::Busy));
        assert_eq!(found(Witness::AsteriskCdr, missed), ["talk and missed (busy)"]);
    }

    #[test]
    fn what_a_source_cannot_know_is_no_finding() {
        let longer = || vec![talk("201", 1, 99)];
        for mark in [Mark::Transfer, Mark::Forward, Mark::ClickToCall] {
            let passed_on = |call: &mut Call| (call.talks, call.marks) = (longer(), vec![mark]);
            assert!(found(Witness::AsteriskCdr, passed_on).is_empty(), "{mark:?}");
            assert!(!found(Witness::AsteriskCel, passed_on).is_empty(), "{mark:?}: channel events know it");
            assert!(!found(Witness::FreeSwitch, passed_on).is_empty(), "{mark:?}: records of every leg know it");
            assert!(!found(Witness::FreeSwitchEvents, passed_on).is_empty(), "{mark:?}: and so do events");
        }
        let machine = |call: &mut Call| (call.talks, call.billed_from) = (longer(), BilledFrom::Answer);
        assert!(found(Witness::AsteriskCdr, machine).is_empty());
        // Records without the legs of the desks do not know that the caller was passed on.
        let mut events = call("e", longer(), Some(100));
        events.mark(Mark::Transfer);
        let records = seen(Witness::FreeSwitch, call("r", vec![talk("201", 5, 20)], Some(100)));
        for witness in [Witness::Signalling, Witness::FreeSwitchEvents] {
            let beside = seen(witness, events.clone());
            assert!(
                differences(&records, &beside, Seconds::new(2)).is_empty() && differences(&beside, &records, Seconds::new(2)).is_empty()
            );
        }
        let vanished = |call: &mut Call| (call.talks, call.marks) = (vec![talk("201", 5, 99)], vec![Mark::LostParty]);
        assert!(found(Witness::AsteriskCel, vanished).is_empty());
        assert!(found(Witness::AsteriskCel, |call| (call.talks, call.ended_at) = (longer(), None)).is_empty(), "it still runs");
    }
}
