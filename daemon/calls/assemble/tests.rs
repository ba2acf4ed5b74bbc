//! Rows and lines in, calls out.

use super::super::Records;
use super::*;
use crate::calls::{AgentPattern, Disposition, IdentityRules, OnHold, Precision, WithheldNumbers};
use crate::units::{DialPlan, Seconds};

fn directory(bill_from: BillFrom) -> Directory {
    let dial_plan = DialPlan::new("DE", "89").expect("known");
    let hotline = |number: &str, name: &str, queues: &[&str]| Hotline {
        number: dial_plan.pattern(number).expect("a number"),
        name: name.into(),
        service: "support".into(),
        severity: Some("C".into()),
        bill_from,
        max_call: Seconds::new(14_400),
        hold: OnHold::Talk,
        queues: queues.iter().map(|queue| (*queue).into()).collect(),
    };
    Directory {
        hotlines: vec![hotline("555010", "A", &["600"]), hotline("555011", "B", &["601"]), hotline("555012", "C", &[])],
        agents: vec![
            Agent { number: AgentPattern::Block("20".into()), level: Some(1) },
            Agent { number: AgentPattern::Outside(dial_plan.normalize(b"+491711").expect("a number")), level: Some(3) },
        ],
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

/// `src > dst, channel > dstchannel, lastapp lastdata, start answer end disposition[, uniqueid linkedid]`
fn row(text: &str) -> CdrRow {
    let parts: Vec<&str> = text.split(", ").collect();
    let pair = |index: usize| parts.get(index).and_then(|part| part.split_once(" > ")).expect("a pair");
    let (app, data) = parts.get(2).and_then(|part| part.split_once(' ')).expect("an application");
    let mut words = parts.get(3).expect("times").splitn(4, ' ');
    let mut second = || words.next().expect("a time").parse::<u32>().ok();
    let (start, answer, end) = (second().expect("start"), second(), second().expect("end"));
    let mut ids = parts.get(4).copied().unwrap_or("1.1 ").split(' ');
    CdrRow {
        started_at: Timestamp::from_parts(start, 0),
        sequence: None,
        ended_at: Timestamp::from_parts(end, 0),
        answered_at: answer.map(|answer| Timestamp::from_parts(answer, 0)),
        duration: Seconds::new(u64::from(end - start)),
        billsec: Seconds::new(u64::from(end - answer.unwrap_or(end))),
        precision: Precision::Seconds,
        disposition: Disposition::parse(words.next().expect("disposition")).expect("known"),
        uniqueid: ids.next().unwrap_or("").into(),
        linkedid: ids.next().unwrap_or("").into(),
        channel: pair(1).0.into(),
        dstchannel: pair(1).1.into(),
        src: pair(0).0.into(),
        dst: pair(0).1.into(),
        clid: "".into(),
        accountcode: "".into(),
        lastapp: app.into(),
        lastdata: data.replace(';', ",").into(),
        userfield: "".into(),
        sip_call_id: "".into(),
        contract: "".into(),
        severity: "".into(),
        ticket: "".into(),
    }
}

fn line(at: u32, event: QueueEvent) -> QueueLine {
    let at = Timestamp::from_parts(at, 0);
    QueueLine { at, event, uniqueid: "1.1".into(), queue: "600".into(), agent: "Ann Agent".into() }
}

fn connected(from: u32, talk: u64) -> Vec<QueueLine> {
    let at = from.saturating_add(u32::try_from(talk).unwrap_or(0));
    vec![line(from, QueueEvent::Connected), line(at, QueueEvent::Completed { talk: Seconds::new(talk) })]
}

#[test]
fn who_answers_without_being_an_agent_is_counted() {
    let mut records = Records::new(&directory(BillFrom::Agent));
    records.apply(row("0301 > 555012, SIP/trunk-0a > SIP/300-0b, Dial SIP/300;20, 100 103 160 ANSWERED"));
    assert!(records.flush().iter().all(|call| call.missed == Some(crate::calls::MissedReason::NoAnswer)));
    assert_eq!(records.counts().strangers, 1);
}

/// One line for each call: hotline, who, agents with their times, why missed, marks.
fn check_with(bill_from: BillFrom, rows: &[&str], lines: &[QueueLine], expected: &[&str]) {
    let mut records = Records::new(&directory(bill_from));
    lines.iter().cloned().for_each(|line| records.apply_queue_line(line));
    rows.iter().for_each(|text| records.apply(row(text)));
    let found: Vec<String> = records
        .flush()
        .iter()
        .map(|call| {
            let customer = if call.direction == Direction::Out { call.called } else { call.caller };
            let mut text = format!("{} {}", call.hotline.as_deref().unwrap_or("-"), customer.map_or(0, E164::get));
            for talk in &call.talks {
                let second = |at: Timestamp| at.micros() / 1_000_000;
                text += &format!(" {}:{}-{}", talk.agent, second(talk.from), talk.to.map_or(0, second));
            }
            if call.billed_from == BilledFrom::Answer {
                text += " from answer";
            }
            call.missed.iter().for_each(|reason| text += &format!(" {reason:?}"));
            call.marks.iter().for_each(|mark| text += &format!(" {mark:?}"));
            text
        })
        .collect();
    assert_eq!(found, expected, "{rows:#?}");
}

fn check(rows: &[&str], lines: &[QueueLine], expected: &[&str]) {
    check_with(BillFrom::Agent, rows, lines, expected);
}

#[test]
fn a_queue_needs_its_log_to_say_when_an_agent_answered() {
    let queue = "0301 > 555010, SIP/trunk-0a > SIP/201-0b, Queue 600;t, 100 100 160 ANSWERED";
    check(&[queue], &connected(130, 30), &["A 49301 201:130-160"]);
    check(&[queue], &[], &["A 49301 201:100-160 from answer"]);
    check_with(BillFrom::Answer, &[queue], &connected(130, 30), &["A 49301 201:100-160 from answer"]);
    // A member that is not listed is an agent of the queue all the same.
    check(&["0301 > 555010, SIP/trunk-0a > SIP/ann-0b, Queue 600;t, 100 100 160 ANSWERED"], &connected(130, 30), &["A 49301 ann:130-160"]);
    // FreePBX rings its members through local channels.
    check(
        &["0301 > 555010, SIP/trunk-0a > Local/201@from-queue-00000001;1, Queue 600;t, 100 100 160 ANSWERED"],
        &connected(130, 30),
        &["A 49301 201:130-160"],
    );
}

#[test]
fn those_who_waited_in_vain_were_missed() {
    let entered = |event| vec![line(105, QueueEvent::Entered), line(120, event)];
    let given_up = "0301 > 555010, SIP/trunk-0a > , Queue 600;t, 100 100 120 ANSWERED";
    check(&[given_up], &entered(QueueEvent::Abandoned), &["A 49301 Abandoned"]);
    check(&[given_up], &[], &["A 49301 Abandoned"]);
    check(&["0301 > 555010, SIP/trunk-0a > SIP/201-0b, Queue 600;t, 100 100 120 NO ANSWER"], &[], &["A 49301 Abandoned"]);
    check(&["0301 > 555010, SIP/trunk-0a > , Playback bye, 100 100 120 ANSWERED"], &entered(QueueEvent::Left), &["A 49301 NoAnswer"]);
    for (row, reason) in [
        ("0301 > 555012, SIP/trunk-0a > SIP/201-0b, Dial SIP/201;20, 100 - 105 NO ANSWER", "Canceled"),
        ("0301 > 555012, SIP/trunk-0a > SIP/201-0b, Dial SIP/201;20, 100 - 120 NO ANSWER", "NoAnswer"),
        ("0301 > 555012, SIP/trunk-0a > SIP/201-0b, Dial SIP/201;20, 100 - 105 CANCEL", "Canceled"),
        ("0301 > 555012, SIP/trunk-0a > SIP/201-0b, Dial SIP/201;20, 100 - 100 BUSY", "Busy"),
        ("0301 > 555012, SIP/trunk-0a > , Congestion 3, 100 - 100 FAILED", "Failed"),
        ("0301 > 555012, SIP/trunk-0a > , VoiceMail 201, 100 100 130 ANSWERED", "NoAnswer"),
        // A menu answered, the agent did not: billsec is 38 and means nothing.
        ("0301 > 555012, SIP/trunk-0a > SIP/201-0b, Dial SIP/201;20;t, 100 102 140 NO ANSWER", "NoAnswer"),
    ] {
        check(&[row], &[], &[&format!("C 49301 {reason}")]);
    }
}

#[test]
fn dial_says_when_an_agent_answered_unless_the_switch_did_before() {
    let dial = |answer: &str| format!("0301 > 555012, SIP/trunk-0a > SIP/201-0b, Dial SIP/201;20, 100 {answer} 160 ANSWERED");
    check(&[&dial("103")], &[], &["C 49301 201:103-160"]);
    check(&[&dial("100")], &[], &["C 49301 201:100-160 from answer"]);
    check_with(BillFrom::Answer, &[&dial("103")], &[], &["C 49301 201:103-160 from answer"]);
    // The on-call mobile behind the trunk is an agent, any other mobile is none.
    let mobile = |number: &str| format!("0301 > 555012, SIP/trunk-0a > SIP/trunk-0b, Dial SIP/{number}@trunk;20, 100 103 160 ANSWERED");
    check(&[&mobile("+491711")], &[], &["C 49301 +491711:103-160"]);
    check(&[&mobile("+491722")], &[], &["C 49301 NoAnswer"]);
}

#[test]
fn several_answered_rows_are_a_union() {
    check(
        &[
            "0301 > 555012, SIP/trunk-0a > SIP/201-0b, Dial SIP/201;20, 100 - 106 NO ANSWER",
            "0301 > 555012, SIP/trunk-0a > SIP/202-0c, Dial SIP/202;20, 106 108 160 ANSWERED",
            "0301 > 555012, SIP/trunk-0a > SIP/203-0d, Dial SIP/202;20, 120 120 150 ANSWERED",
        ],
        &[],
        &["C 49301 202:108-160 203:120-150 Transfer"],
    );
}

#[test]
fn a_blind_transfer_rewrites_the_number_and_the_queue_keeps_the_hotline() {
    let rows = |dst: &str, queue: &str| {
        [
            format!("0301 > {dst}, SIP/trunk-0a > SIP/201-0b, Queue {queue};t, 100 100 130 ANSWERED"),
            format!("0301 > {dst}, SIP/trunk-0a > SIP/203-0c, Dial SIP/203;20, 130 130 160 ANSWERED"),
        ]
    };
    let log = [line(110, QueueEvent::Connected), line(130, QueueEvent::Transferred { talk: Seconds::new(20) })];
    for (dst, queue, log, expected) in [
        ("203", "600", &log[..], "A 49301 201:110-130 203:130-160 Transfer"),
        ("203", "601", &[], "B 49301 201:100-130 203:130-160 from answer Transfer"),
        // Passed on to another hotline: the one that was dialed stays.
        ("555012", "601", &[], "B 49301 201:100-130 203:130-160 from answer Transfer"),
        ("203", "699", &[], "- 49301 201:100-130 203:130-160 from answer Transfer HotlineUnseen"),
    ] {
        let rows = rows(dst, queue);
        check(&[&rows[0], &rows[1]], log, &[expected]);
    }
    // A number that is no hotline, and stands as dialed.
    let [first, second] = rows("555099", "699");
    check(&[&first, &second], &[], &[]);
    // One row, its number as dialed: the queue has no say.
    check(&["0301 > 555012, SIP/trunk-0a > SIP/201-0b, Queue 601;t, 100 100 130 ANSWERED"], &[], &["C 49301 201:100-130 from answer"]);
}

#[test]
fn callbacks_are_of_the_customer_who_was_called() {
    check(&["555010 > 00301, SIP/201-0a > SIP/trunk-0b, Dial SIP/0301@trunk;30, 100 105 160 ANSWERED"], &[], &["A 49301 201:105-160"]);
    check(&["201 > 0301, SIP/201-0a > SIP/trunk-0b, Dial SIP/trunk/0301;30, 100 - 110 NO ANSWER"], &[], &["- 49301 Canceled"]);
    // The customer is passed on to a colleague: the channel that was called leads a row.
    check(
        &[
            "555010 > 0301, SIP/201-0a > SIP/trunk-0b, Dial SIP/0301@trunk;30, 100 105 160 ANSWERED, 1.1 1.1",
            "0301 > 202, SIP/trunk-0b > SIP/202-0c, Dial SIP/202;30, 160 160 190 ANSWERED, 1.2 1.1",
        ],
        &[],
        &["A 49301 201:105-160 202:160-190 Transfer"],
    );
    check(
        &[
            "201 > 201, Local/201@from-internal-00000001;2 > SIP/201-0a, Dial SIP/201;20, 100 103 160 ANSWERED, 1.2 1.1",
            "555010 > 0301, Local/201@from-internal-00000001;1 > SIP/trunk-0b, Dial SIP/0301@trunk;30, 103 109 160 ANSWERED, 1.1 1.1",
        ],
        &[],
        &["A 49301 201:109-160"],
    );
    for internal in [
        "201 > 202, SIP/201-0a > SIP/202-0b, Dial SIP/202;30, 100 105 160 ANSWERED",
        "201 > 300, SIP/201-0a > SIP/300-0b, Dial SIP/300;30, 100 105 160 ANSWERED",
        "201 > 555010, SIP/201-0a > SIP/202-0b, Queue 600;t, 100 100 160 ANSWERED",
        "201 > +491711, SIP/201-0a > SIP/trunk-0b, Dial SIP/+491711@trunk;30, 100 105 160 ANSWERED",
        "201 > *97, SIP/201-0a > , VoiceMailMain 201, 100 100 160 ANSWERED",
        "300 > 555010, SIP/300-0a > SIP/202-0b, Queue 600;t, 100 100 160 ANSWERED",
        // The channel of an agent who was called, after a transfer made it lead: no callback to the caller.
        "201 > 0301, SIP/201-0a > SIP/trunk-0b, AppQueue (Outgoing Line), 100 100 160 ANSWERED",
    ] {
        check(&[internal], &[], &[]);
    }
}

#[test]
fn a_phone_that_redirects_doubles_nothing() {
    for (number, agent) in [("+491711", "C 49301 +491711:103-160 Forward"), ("+491722", "C 49301 NoAnswer Forward")] {
        let forwarded = format!("0301 > 555012, SIP/trunk-0a > Local/{number}@out-00000000;1, Dial SIP/201;20, 100 103 160 ANSWERED");
        let inner = format!(
            "555010 > {number}, Local/{number}@out-00000000;2 > SIP/trunk-0c, Dial SIP/{number}@trunk;30, 100 103 160 ANSWERED, 1.2"
        );
        let rang = "0301 > 555012, SIP/trunk-0a > SIP/201-0b, Dial SIP/201;20, 100 - 100 NO ANSWER";
        check(&[rang, &forwarded, &inner], &[], &[agent]);
    }
}

#[test]
fn rows_without_unique_ids_find_each_other_by_channel() {
    check(
        &[
            "0301 > 555012, SIP/trunk-0a > SIP/201-0b, Dial SIP/201;6, 100 - 106 NO ANSWER,  ",
            "0301 > 555012, SIP/trunk-0a > SIP/202-0c, Dial SIP/202;20, 106 108 160 ANSWERED,  ",
            // The switch was started anew, and counts its channels from the beginning.
            "0302 > 555012, SIP/trunk-0a > SIP/201-0b, Dial SIP/201;6, 500 503 520 ANSWERED,  ",
        ],
        &[],
        &["C 49301 202:108-160", "C 49302 201:503-520"],
    );
}
