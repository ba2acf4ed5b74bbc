//! Rows become calls: in any order, again, after a restart, and where names come twice.

use super::*;
use crate::calls::{
    Agent, AgentPattern, BillFrom, BilledFrom, Hotline, IdentityRules, Lies, Mark, MissedReason, NamesAgents, OnHold, Outcome, Span,
    TalkFrom, Way, WithheldNumbers,
};
use crate::units::{DialPlan, Direction, NumberPattern};
use proptest::prelude::*;

fn directory() -> Directory {
    let dial_plan = DialPlan::new("DE", "89").expect("known");
    let number = |text: &str| NumberPattern::Exact(dial_plan.normalize(text.as_bytes()).expect("a number"));
    let hotline = |text: &str, bill_from, queues: &[&str]| Hotline {
        number: number(text),
        name: text.into(),
        service: "support".into(),
        severity: None,
        bill_from,
        max_call: Seconds::new(14_400),
        hold: OnHold::Talk,
        queues: queues.iter().map(|queue| (*queue).into()).collect(),
    };
    Directory {
        hotlines: vec![hotline("555010", BillFrom::Agent, &["help"]), hotline("555020", BillFrom::Answer, &[])],
        agents: ["201", "202"].map(|extension| Agent { number: AgentPattern::Extension(extension.into()), level: Some(1) }).into(),
        identity: IdentityRules {
            headers: Vec::new(),
            trusted_peers: Vec::new(),
            withheld: WithheldNumbers::Ignore,
            contract_header: None,
            leg_headers: Vec::new(),
        },
        dial_plan,
    }
}

fn at(second: u32) -> Timestamp {
    Timestamp::from_parts(1_000 + second, 0)
}

/// A row of a call to the hotline: from, talk from, to, with whom.
fn row(key: &str, from: u32, talk: Option<u32>, to: u32, agent: &str) -> CallRow {
    CallRow {
        started_at: at(from),
        talk: talk.map(|talk| Span { from: at(talk), to: Some(at(to)) }),
        ended_at: Some(at(to)),
        caller: "089990001".into(),
        called: "555010".into(),
        agent: agent.into(),
        names_agents: NamesAgents::Yes,
        key: key.into(),
        ..CallRow::default()
    }
}

fn calls(rows: &[CallRow]) -> (Vec<Call>, RowCounts) {
    let mut all = Rows::new(&directory(), Seconds::new(5));
    rows.iter().for_each(|row| all.apply(row.clone()));
    (all.flush_by(Timestamp::MAX), all.counts())
}

fn only(rows: &[CallRow]) -> Call {
    let (calls, _) = calls(rows);
    assert_eq!(calls.len(), 1, "{calls:?}");
    calls.into_iter().next().expect("one")
}

#[test]
fn a_row_is_a_call_and_says_what_it_says() {
    let call = only(&[row("1", 0, Some(10), 70, "201")]);
    assert_eq!((call.talk_seconds(at(99)).get(), call.direction, call.billed_from), (60, Direction::In, BilledFrom::Agent));
    assert_eq!((call.hotline.as_deref(), call.missed, call.ended_at), (Some("555010"), None, Some(at(70))));
    let missed = |change: fn(&mut CallRow)| {
        let mut row = row("1", 0, Some(10), 70, "201");
        change(&mut row);
        only(&[row]).missed
    };
    // A mailbox, a stranger, a word that says so, nothing but an announcement.
    assert_eq!(missed(|row| row.agent = "".into()), Some(MissedReason::NoAnswer));
    assert_eq!(missed(|row| row.agent = "299".into()), Some(MissedReason::NoAnswer));
    assert_eq!(missed(|row| row.outcome = Outcome::Busy), Some(MissedReason::Busy));
    assert_eq!(missed(|row| (row.talk, row.answered_at) = (None, Some(at(1)))), Some(MissedReason::Abandoned));
    assert_eq!(missed(|row| (row.agent, row.queue) = ("299".into(), "help".into())), None, "a queue's member");
    assert_eq!(missed(|row| (row.agent, row.names_agents) = ("".into(), NamesAgents::No)), None, "no agent is ever named");
    let mut stranger = row("1", 0, Some(10), 70, "299");
    assert_eq!(calls(std::slice::from_ref(&stranger)).1.strangers, 1);
    stranger.talk_from = TalkFrom::Answer;
    stranger.agent = "202".into();
    assert_eq!(only(&[stranger]).billed_from, BilledFrom::Answer);
}

#[test]
fn which_way_it_went() {
    let change = |change: fn(&mut CallRow)| {
        let mut row = row("1", 0, Some(10), 70, "");
        (row.caller, row.called, row.names_agents) = ("201".into(), "0171 3920011".into(), NamesAgents::No);
        change(&mut row);
        let (calls, counts) = calls(&[row]);
        (calls.first().map(|call| (call.direction, call.caller_raw.as_str().to_owned())), counts.internal, counts.no_hotline)
    };
    let out = Some((Direction::Out, "201".to_owned()));
    assert_eq!(change(|_| ()), (out.clone(), 0, 0));
    assert_eq!(change(|row| row.way = Some(Way::Out)), (out.clone(), 0, 0));
    assert_eq!(change(|row| row.called = "202".into()), (None, 1, 0));
    assert_eq!(change(|row| (row.called, row.way) = ("310".into(), Some(Way::Out))), (None, 1, 0));
    assert_eq!(change(|row| row.called = "555010".into()), (None, 1, 0), "an agent tries the hotline");
    assert_eq!(change(|row| row.caller = "089 990001".into()), (None, 0, 1), "to a number that is no hotline");
    // The trunk's number is shown; the agent has a column of its own.
    let shown = |row: &mut CallRow| (row.caller, row.agent, row.way) = ("555010".into(), "201".into(), Some(Way::Out));
    assert_eq!(change(shown), (out, 0, 0));
    let by_queue = change(|row| (row.caller, row.called, row.queue) = ("".into(), "".into(), "help".into()));
    assert_eq!(by_queue.0, Some((Direction::In, String::new())));
}

#[test]
fn parts_are_one_call_and_lie_where_they_say() {
    let two = [row("1", 0, Some(10), 70, "201"), row("1", 70, Some(80), 100, "202")];
    let call = only(&two);
    assert_eq!((call.talk_seconds(at(999)).get(), call.marks.as_slice()), (80, &[Mark::Transfer][..]));
    let end_to_end =
        two.map(|row| CallRow { sequence: Some(if &*row.agent == "201" { 7 } else { 8 }), lies: Lies::AfterTheOneBefore, ..row });
    let mut laid = end_to_end.clone();
    laid[1] = laid[1].clone().shifted(-70_000_000);
    assert_eq!(only(&laid).talks, call.talks, "each bears the call's own start");
    // The same part in another place of another file is the same part.
    let again = CallRow { sequence: Some(99), ..laid[0].clone() };
    assert_eq!(only(&[laid[0].clone(), laid[1].clone(), again.clone()]).talks, call.talks);
    assert_eq!(only(&[again, laid[1].clone(), laid[0].clone()]).talks, call.talks);
    // Other rows name it, a consultation between agents among them.
    let mut consult = row("2", 40, Some(45), 70, "202");
    (consult.caller, consult.called, consult.also) = ("201".into(), "202".into(), vec!["1".into()]);
    let call = only(&[consult, row("1", 0, Some(10), 70, "201")]);
    assert_eq!((call.talk_seconds(at(999)).get(), call.caller_raw.as_str()), (60, "089990001"));
}

#[test]
fn since_the_answer_where_the_hotline_says_so() {
    let mut row = row("1", 0, Some(30), 70, "201");
    (row.called, row.answered_at) = ("555020".into(), Some(at(5)));
    let call = only(&[row]);
    assert_eq!((call.talk_seconds(at(999)).get(), call.billed_from), (65, BilledFrom::Answer));
}

#[test]
fn a_name_that_is_used_again_is_another_call() {
    let mut rows = Rows::new(&directory(), Seconds::ZERO);
    rows.apply(row("1000001", 0, Some(10), 70, "201"));
    rows.apply(row("1000001", 5_000, Some(5_010), 5_070, "201"));
    let calls = rows.flush_by(Timestamp::MAX);
    assert_eq!(calls.len(), 2);
    assert_ne!(calls[0].id, calls[1].id);
    // A row without any name is a call of its own, and the same one when it is read again.
    let nameless = [row("", 0, Some(10), 70, "201"), row("", 0, Some(10), 70, "201"), row("", 1, Some(10), 70, "201")];
    assert_eq!(super::tests::calls(&nameless).0.len(), 2);
}

#[test]
fn what_was_told_keeps_its_name() {
    let mut rows = Rows::new(&directory(), Seconds::new(5));
    let mut third = row("3", 70, Some(70), 100, "202");
    third.also = vec!["1".into()];
    rows.apply(third);
    let first = rows.settled(at(200));
    rows.apply(row("1", 0, Some(10), 70, "201"));
    let second = rows.settled(at(300));
    assert_eq!((first.len(), second.len()), (1, 1));
    assert_eq!(first[0].id, second[0].id, "no second bill");
    assert_eq!(second[0].talk_seconds(at(999)).get(), 90);
}

proptest! {
    #[test]
    fn any_order_any_restart_one_result(
        order in Just((0..9usize).collect::<Vec<_>>()).prop_shuffle(),
        cut in 0usize..9,
    ) {
        let mut all = Vec::new();
        for (key, from) in [("a", 0), ("b", 20), ("c", 40)] {
            all.push(row(key, from, Some(from + 5), from + 30, "201"));
            all.push(row(key, from + 30, Some(from + 35), from + 60, "202"));
            all.push(row(key, from + 60, None, from + 65, "202"));
        }
        let expected = calls(&all).0;
        let mut rows = Rows::new(&directory(), Seconds::new(5));
        for place in &order[..cut] {
            rows.apply(all[*place].clone());
        }
        let mut out = Writer::new();
        rows.write(&mut out);
        let bytes = out.finish();
        let mut rows = Rows::read(&directory(), Seconds::new(5), &mut Reader::new(&bytes)).expect("as written");
        for place in &order[cut..] {
            rows.apply(all[*place].clone());
            rows.apply(all[*place].clone());
        }
        prop_assert_eq!(rows.flush_by(Timestamp::MAX), expected);
    }
}

/// What is written one by one is what is written at once, after every row, and is little however much was gathered before.
#[test]
fn only_what_changed_is_written_again() {
    let mut rows = Rows::new(&directory(), Seconds::new(5)).write_changes();
    let mut kept: std::collections::BTreeMap<u64, Vec<u8>> = std::collections::BTreeMap::new();
    let (mut head, mut written, mut at_once) = (Vec::new(), 0, 0);
    let mut keep = |rows: &mut Rows, now: u32| {
        rows.settled(at(now));
        let (new_head, changes) = rows.changes();
        head = new_head;
        let mut octets = head.len();
        for (number, body) in changes {
            octets += body.as_ref().map_or(0, Vec::len);
            match body {
                Some(body) => drop(kept.insert(number, body)),
                None => drop(kept.remove(&number)),
            }
        }
        let mut whole = Writer::new();
        rows.write(&mut whole);
        let whole = whole.finish();
        let parts: Vec<&[u8]> = kept.values().map(Vec::as_slice).collect();
        assert_eq!(Rows::joined(&head, &parts).as_ref(), Some(&whole));
        (written, at_once) = (written + octets, at_once + whole.len());
        whole
    };
    for number in 0..400 {
        // Each call has two rows, which come one after the other, with a third that shows that two were one now and then.
        for (place, agent) in ["201", "202"].into_iter().enumerate() {
            let mut row = row(&format!("{number}-{place}"), number * 10, Some(number * 10 + 2), number * 10 + 5, agent);
            row.also = vec![format!("{number}").into()];
            if number % 50 == 49 && place == 1 {
                row.also.push(format!("{}", number - 20).into());
            }
            rows.apply(row);
            keep(&mut rows, number * 10);
        }
    }
    // A day later all are forgotten but the last.
    rows.apply(row("late", 100_000, None, 100_001, ""));
    let whole = keep(&mut rows, 100_010);
    assert_eq!(rows.gathered.len(), 1);
    let read = Rows::read(&directory(), Seconds::new(5), &mut Reader::new(&whole)).expect("reads");
    assert_eq!(read.gathered.len(), 1);
    println!("{written} octets one by one, {at_once} at once");
    assert!(written * 50 < at_once, "{written} octets one by one, {at_once} at once");
    assert_eq!(Rows::joined(&whole, &[]), None, "what is not empty is no head");
}
