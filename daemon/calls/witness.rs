//! What reported a call, and how one call is made of several reports.
//!
//! The one invariant: what comes out follows from the set of reports alone, not from their order; and the best one stands but
//! for what it does not know.

use super::call::{BilledFrom, Call, End, Mark, Talk};
use crate::units::{CallId, Timestamp};

/// A kind of source, the most trusted about talk first: signalling shows withheld numbers and lost parties; channel events
/// tell the talk to milliseconds; a platform's own record, rows of a table, and a line monitor follow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Witness {
    /// SIP: HEP, capture, recordings of them.
    #[default]
    Signalling,
    /// Asterisk's channel event log.
    AsteriskCel,
    /// Asterisk's manager interface.
    AsteriskAmi,
    /// FreeSWITCH's event socket.
    FreeSwitchEvents,
    /// FreeSWITCH's records.
    FreeSwitch,
    /// Asterisk's call-detail records and queue log.
    AsteriskCdr,
    /// Rows of any switch.
    Csv,
    /// The call monitor of a Fritz!Box.
    FritzBox,
}

/// What a source is there for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// It meters.
    #[default]
    Meter,
    /// It is held against those that meter; a call that it alone saw is billed from it, and marked.
    Reconcile,
}

/// Who speaks, and what for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Speaker {
    /// What the source is there for; meters come first.
    pub role: Role,
    /// What it is.
    pub witness: Witness,
}

/// A call as one source has it, under the name it has there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// Who says so.
    pub by: Speaker,
    /// The call.
    pub call: Call,
}

/// The call that these reports are of, under its name in the ledger; `None` if there is none.
#[must_use]
pub fn merged(name: &CallId, sightings: &[Sighting]) -> Option<Call> {
    let mut ranked: Vec<&Sighting> = sightings.iter().collect();
    ranked.sort_by(|one, other| (one.by, &one.call.id).cmp(&(other.by, &other.call.id)));
    let (best, others) = ranked.split_first()?;
    let mut call = Call { id: name.clone(), ..best.call.clone() };
    for other in others {
        fill(&mut call, &other.call);
    }
    let surer = others.iter().map(|other| &other.call).find(|other| doubt(other) < doubt(&best.call));
    if let Some(surer) = surer {
        talk_of(&mut call, surer);
    }
    let ended = others.iter().map(|other| &other.call).find(|other| other.ended_at.is_some() && other.end == End::Observed);
    if let Some(ended) = ended
        && (call.ended_at.is_none() || matches!(call.end, End::SessionTimer | End::Estimated))
    {
        end_as(&mut call, ended);
    }
    if ranked.iter().all(|sighting| sighting.by.role == Role::Reconcile) {
        call.mark(Mark::Reconciled);
    }
    Some(call)
}

/// What the better report does not know, the other one says.
fn fill(call: &mut Call, other: &Call) {
    if call.marks.contains(&Mark::HotlineUnseen) && !other.marks.contains(&Mark::HotlineUnseen) && call.direction == other.direction {
        call.hotline.clone_from(&other.hotline);
        call.service.clone_from(&other.service);
        call.called = other.called;
        call.called_raw = other.called_raw.clone();
        call.severity = call.severity.take().or_else(|| other.severity.clone());
        call.marks.retain(|mark| *mark != Mark::HotlineUnseen);
    }
    call.contract = call.contract.take().or_else(|| other.contract.clone());
    call.ticket = call.ticket.take().or_else(|| other.ticket.clone());
    for talk in call.talks.iter_mut().filter(|talk| talk.agent.is_empty()) {
        let named = other.talks.iter().filter(|theirs| !theirs.agent.is_empty() && together(talk, theirs) > 0);
        if let Some(theirs) = named.max_by_key(|theirs| together(talk, theirs)) {
            talk.agent.clone_from(&theirs.agent);
            talk.level = theirs.level;
        }
    }
}

/// How long two talks overlap, in microseconds.
fn together(one: &Talk, other: &Talk) -> i64 {
    let end = |talk: &Talk| talk.to.unwrap_or(Timestamp::from_micros(i64::MAX));
    end(one).min(end(other)).since(one.from.max(other.from))
}

/// How little a report's talk can be relied on: from the answer of a machine, by likelihood, or given to nobody.
fn doubt(call: &Call) -> u8 {
    let marked = |mark: Mark| u8::from(call.marks.contains(&mark));
    let machine = u8::from(call.billed_from == BilledFrom::Answer && !call.talks.is_empty());
    marked(Mark::Ambiguous).saturating_mul(3) | marked(Mark::Guessed).saturating_mul(2) | marked(Mark::AnswerUnseen) | machine
}

/// The talk is that of a surer report; where the best one saw the end, it does not go on behind that.
fn talk_of(call: &mut Call, surer: &Call) {
    call.talks.clone_from(&surer.talks);
    call.billed_from = surer.billed_from;
    call.missed = surer.missed;
    call.correlation = call.correlation.min(surer.correlation);
    call.marks.retain(|mark| !matches!(mark, Mark::Ambiguous | Mark::Guessed | Mark::AnswerUnseen));
    surer.marks.iter().for_each(|mark| call.mark(*mark));
    if let Some(ended) = call.ended_at.filter(|_| call.end == End::Observed) {
        call.talks.retain(|talk| talk.from < ended);
        for talk in &mut call.talks {
            talk.to = Some(talk.to.map_or(ended, |to| to.min(ended)));
        }
    }
}

/// The end is that of another report (design.md §3: `reconciled`).
fn end_as(call: &mut Call, other: &Call) {
    let Some(ended) = other.ended_at else { return };
    call.ended_at = Some(ended);
    call.end = End::Reconciled;
    if call.talks.is_empty() {
        // What came of it, the better report has not seen.
        call.talks.clone_from(&other.talks);
        call.billed_from = other.billed_from;
        call.missed = other.missed;
    } else if let Some(last) = call.talks.last_mut() {
        last.to = Some(other.talks.last().and_then(|talk| talk.to).unwrap_or(ended).max(last.from));
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::calls::{Correlation, MissedReason, Withheld};
    use crate::units::{Direction, RawNumber};

    pub(in crate::calls) fn at(second: i64) -> Timestamp {
        Timestamp::from_micros(second * 1_000_000)
    }

    pub(in crate::calls) fn talk(agent: &str, from: i64, to: i64) -> Talk {
        Talk { agent: agent.into(), level: None, from: at(from), to: Some(at(to)) }
    }

    pub(in crate::calls) fn call(id: &str, talks: Vec<Talk>, ended: Option<i64>) -> Call {
        Call {
            id: CallId::new(id).expect("a name"),
            direction: Direction::In,
            hotline: Some("Support".into()),
            service: "support".into(),
            caller_raw: RawNumber::from_bytes(b"+4930123"),
            caller: None,
            withheld: Withheld::No,
            called_raw: RawNumber::from_bytes(b"+498955"),
            called: None,
            contract: None,
            started_at: at(0),
            answered_at: None,
            missed: (talks.is_empty() && ended.is_some()).then_some(MissedReason::Abandoned),
            talks,
            ended_at: ended.map(at),
            end: End::Observed,
            billed_from: BilledFrom::Agent,
            severity: None,
            ticket: None,
            correlation: Correlation::Explicit,
            marks: Vec::new(),
        }
    }

    pub(in crate::calls) fn seen(witness: Witness, call: Call) -> Sighting {
        Sighting { by: Speaker { role: Role::Meter, witness }, call }
    }

    /// Merges in every order, which must not matter.
    fn all(sightings: &[Sighting]) -> Call {
        let name = CallId::new("name").expect("a name");
        let first = merged(&name, sightings).expect("there are some");
        let mut turned = sightings.to_vec();
        for _ in 0..turned.len() {
            turned.rotate_left(1);
            assert_eq!(merged(&name, &turned).as_ref(), Some(&first));
            let reversed: Vec<Sighting> = turned.iter().rev().cloned().collect();
            assert_eq!(merged(&name, &reversed).as_ref(), Some(&first));
        }
        first
    }

    #[test]
    fn the_best_report_stands() {
        let wire = call("w", vec![talk("201", 5, 20)], Some(20));
        let rows = call("r", vec![talk("201", 0, 21)], Some(21));
        let told = all(&[seen(Witness::AsteriskCdr, rows), seen(Witness::Signalling, wire.clone())]);
        assert_eq!(told, Call { id: told.id.clone(), ..wire });
    }

    #[test]
    fn a_lost_end_is_that_of_another() {
        let mut wire = call("w", vec![talk("201", 5, 9)], Some(9));
        wire.end = End::Estimated;
        let told = all(&[seen(Witness::Signalling, wire), seen(Witness::AsteriskCel, call("e", vec![talk("201", 5, 14)], Some(14)))]);
        assert_eq!((told.end, told.ended_at, told.talks), (End::Reconciled, Some(at(14)), vec![talk("201", 5, 14)]));
    }

    #[test]
    fn a_call_whose_end_one_has_not_come_to_yet_is_what_the_other_says() {
        let told = all(&[
            seen(Witness::Signalling, call("w", vec![], None)),
            seen(Witness::AsteriskCdr, call("r", vec![talk("201", 3, 8)], Some(8))),
        ]);
        assert_eq!((told.end, told.talks, told.missed), (End::Reconciled, vec![talk("201", 3, 8)], None));
    }

    #[test]
    fn an_end_that_was_seen_stands_against_a_later_one() {
        let told = all(&[
            seen(Witness::Signalling, call("w", vec![talk("201", 5, 9)], Some(9))),
            seen(Witness::AsteriskCdr, call("r", vec![talk("201", 5, 101)], Some(101))),
        ]);
        assert_eq!((told.end, told.talk_micros(at(200))), (End::Observed, 4_000_000));
    }

    #[test]
    fn what_was_given_to_nobody_is_told_by_who_knows() {
        let mut wire = call("w", vec![], Some(30));
        wire.mark(Mark::Ambiguous);
        let events = call("e", vec![talk("202", 10, 31)], Some(31));
        let told = all(&[seen(Witness::Signalling, wire), seen(Witness::AsteriskCel, events)]);
        assert_eq!(told.talks, vec![talk("202", 10, 30)], "and ends where the wire saw the end");
        assert!(told.marks.is_empty() && told.missed.is_none());
    }

    #[test]
    fn a_hotline_that_rows_lost_is_filled_in() {
        let mut lost = call("r", vec![talk("", 5, 9)], Some(9));
        (lost.hotline, lost.service) = (None, "".into());
        lost.mark(Mark::HotlineUnseen);
        let told = all(&[seen(Witness::AsteriskCdr, lost), seen(Witness::Csv, call("c", vec![talk("204", 6, 9)], Some(9)))]);
        assert_eq!((told.hotline.as_deref(), &*told.service, &*told.talks[0].agent), (Some("Support"), "support", "204"));
        assert!(told.marks.is_empty());
    }

    #[test]
    fn whoever_meters_stands_before_whoever_reconciles() {
        let meter = seen(Witness::AsteriskCdr, call("r", vec![talk("201", 5, 9)], Some(9)));
        let mut other = seen(Witness::Signalling, call("w", vec![talk("201", 6, 10)], Some(10)));
        other.by.role = Role::Reconcile;
        assert_eq!(all(&[meter, other.clone()]).talks, vec![talk("201", 5, 9)]);
        assert_eq!(all(&[other]).marks, [Mark::Reconciled]);
    }
}
