//! Legs as mod_json_cdr writes them (made up here after its source), and what they come to.

mod stories;

use super::*;
use crate::calls::{
    Agent, AgentPattern, BillFrom, BilledFrom, Call, Directory, Hotline, IdentityRules, Mark, MissedReason, OnHold, Rows, WithheldNumbers,
    call_id_of,
};
use crate::units::{DialPlan, Direction, NumberPattern, Seconds, Timestamp};
use serde_json::{Value, json};

/// 2026-03-10 10:00:00 in Berlin.
const BEGIN: i64 = 1_773_133_200;

fn directory() -> Directory {
    let dial_plan = DialPlan::new("DE", "89").expect("known");
    let hotline = |number: &[u8], name: &str, hold, queues| Hotline {
        number: NumberPattern::Exact(dial_plan.normalize(number).expect("a number")),
        name: name.into(),
        service: "support".into(),
        severity: None,
        bill_from: BillFrom::Agent,
        max_call: Seconds::new(14_400),
        hold,
        queues,
    };
    Directory {
        hotlines: vec![
            hotline(b"555010", "Support", OnHold::Talk, vec!["support".into()]),
            hotline(b"555011", "Hold", OnHold::Wait, Vec::new()),
        ],
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

/// A record of a leg: times in microseconds after [`BEGIN`].
fn leg(uuid: &str, direction: &str, caller: &str, called: &str, times: [i64; 4], more: Value) -> Vec<u8> {
    let at = |micros: i64| if micros < 0 { "0".to_owned() } else { (BEGIN * 1_000_000 + micros).to_string() };
    let [start, answer, bridge, end] = times;
    let mut variables = json!({
        "uuid": uuid, "direction": direction, "hangup_cause": "NORMAL_CLEARING",
        "start_uepoch": at(start), "answer_uepoch": at(answer), "bridge_uepoch": at(bridge), "end_uepoch": at(end),
        "caller_id_number": caller, "destination_number": "transfer-target",
    });
    for (name, value) in more.as_object().expect("variables") {
        variables[name] = value.clone();
    }
    let flow = json!([
        { "caller_profile": { "destination_number": "transfer-target", "caller_id_number": caller } },
        { "caller_profile": { "destination_number": called, "caller_id_number": caller } },
    ]);
    json!({ "core-uuid": "c", "variables": variables, "callflow": flow }).to_string().into_bytes()
}

fn rows(legs: &[Vec<u8>]) -> Rows {
    let mut source = FreeSwitch::new(&Config::default(), None);
    let mut rows = Rows::new(&directory(), Seconds::new(5));
    legs.iter().for_each(|leg| rows.apply(source.post(leg).expect("a record")));
    rows
}

/// The only call, whatever the order of its legs.
fn only(legs: &[Vec<u8>]) -> Call {
    let mut reversed = legs.to_vec();
    reversed.reverse();
    let calls = rows(legs).flush_by(Timestamp::MAX);
    assert_eq!(calls, rows(&reversed).flush_by(Timestamp::MAX));
    // Each leg told of by itself, as they come: the same call under the same name in the end.
    let mut slow = rows(&[]);
    let mut last = Vec::new();
    for leg in &reversed {
        slow.apply(FreeSwitch::new(&Config::default(), None).post(leg).expect("a record"));
        last.extend(slow.flush_by(Timestamp::MAX));
    }
    assert!(last.iter().all(|call| call.id == calls[0].id), "{last:?}");
    assert_eq!(last.last(), calls.first());
    assert_eq!(calls.len(), 1, "{calls:?}");
    calls.into_iter().next().expect("one")
}

fn seconds(call: &Call) -> u64 {
    call.talk_seconds(Timestamp::MAX).get()
}

#[test]
fn legs_become_one_call_with_the_agents_answer() {
    // The switch answers at once, the phone of 201 rings for 8 s.
    let a = leg(
        "a",
        "inbound",
        "089990001",
        "+4989555010",
        [0, 1_000_000, 9_100_000, 70_000_000],
        json!({ "signal_bond": "b", "sip_call_id": "x@y", "sip_from_tag": "t" }),
    );
    let b = leg(
        "b",
        "outbound",
        "089990001",
        "201",
        [1_500_000, 9_000_000, 9_100_000, 69_990_000],
        json!({ "signal_bond": "a", "dialed_user": "201" }),
    );
    let call = only(&[a.clone(), b]);
    assert_eq!((seconds(&call), call.talks[0].from.micros() - BEGIN * 1_000_000, &*call.talks[0].agent), (60, 9_000_000, "201"));
    assert_eq!((call.billed_from, call.hotline.as_deref(), call.called_raw.as_str()), (BilledFrom::Agent, Some("Support"), "+4989555010"));
    assert_eq!(call.id, call_id_of(b"x@y", b"t"), "the name that HEP gives the same call");
    // Without the other leg (log-b-leg = false), when it was bridged.
    let alone = only(&[leg(
        "a",
        "inbound",
        "089990001",
        "+4989555010",
        [0, 1_000_000, 9_100_000, 70_000_000],
        json!({ "last_sent_callee_id_number": "201" }),
    )]);
    assert_eq!((seconds(&alone), &*alone.talks[0].agent), (60, "201"));
}

#[test]
fn the_wait_after_a_transfer_is_no_talk() {
    let a = leg("a", "inbound", "089990001", "+4989555010", [0, 1_000_000, 5_000_000, 100_000_000], json!({ "bridge_uuid": "c" }));
    let b = leg("b", "outbound", "", "201", [1_000_000, 5_000_000, 5_000_000, 35_000_000], json!({ "originator": "a" }));
    let c = leg("c", "outbound", "", "202", [35_000_000, 50_000_000, 50_000_000, 100_000_000], json!({ "originator": "a" }));
    let call = only(&[a, b, c]);
    assert_eq!((seconds(&call), call.marks.as_slice()), (80, &[Mark::Transfer][..]));
}

#[test]
fn of_a_queue_the_agents_answer_counts() {
    let queue = |answered: Option<i64>, more: Value| {
        let mut variables = json!({ "cc_side": "member", "cc_queue": "support@default", "cc_queue_joined_epoch": BEGIN.to_string() });
        if let Some(answered) = answered {
            variables["cc_queue_answered_epoch"] = (BEGIN + answered).to_string().into();
            variables["cc_agent"] = "201@default".into();
        }
        for (name, value) in more.as_object().expect("variables") {
            variables[name] = value.clone();
        }
        leg("a", "inbound", "089990001", "support", [0, 500_000, 500_000, 100_000_000], variables)
    };
    // The leg of the agent may have been up for hours.
    let agent = leg(
        "b",
        "outbound",
        "",
        "201",
        [-0, 1_000_000, 1_000_000, 5_000_000_000],
        json!({ "cc_side": "agent", "cc_member_session_uuid": "a" }),
    );
    let call = only(&[queue(Some(40), json!({ "cc_queue_terminated_epoch": (BEGIN + 90).to_string() })), agent]);
    assert_eq!((seconds(&call), &*call.talks[0].agent, call.hotline.as_deref()), (50, "201", Some("Support")));
    let gave_up = only(&[queue(None, json!({ "cc_cause": "cancel", "cc_cancel_reason": "BREAK_OUT" }))]);
    assert_eq!((gave_up.missed, seconds(&gave_up)), (Some(MissedReason::Abandoned), 0), "billsec has the waiting in it");
    let nobody = only(&[queue(None, json!({ "cc_cause": "cancel", "cc_cancel_reason": "TIMEOUT" }))]);
    assert_eq!(nobody.missed, Some(MissedReason::NoAnswer));
}

#[test]
fn callbacks_missed_calls_and_what_is_no_call() {
    let out = leg("a", "inbound", "201", "0171 3920011", [0, 6_000_000, 6_000_000, 36_000_000], json!({ "signal_bond": "b" }));
    let trunk =
        leg("b", "outbound", "+4989555010", "01713920011", [500_000, 6_000_000, 6_000_000, 36_000_000], json!({ "signal_bond": "a" }));
    let call = only(&[out, trunk]);
    assert_eq!((call.direction, &*call.service, seconds(&call), call.caller_raw.as_str()), (Direction::Out, "callback", 30, "201"));
    for (cause, expected) in [
        ("ORIGINATOR_CANCEL", MissedReason::Canceled),
        ("USER_BUSY", MissedReason::Busy),
        ("NO_ANSWER", MissedReason::NoAnswer),
        ("CALL_REJECTED", MissedReason::Declined),
        ("DESTINATION_OUT_OF_ORDER", MissedReason::Failed),
    ] {
        let missed = leg("a", "inbound", "089990001", "+4989555010", [0, -1, -1, 20_000_000], json!({ "hangup_cause": cause }));
        assert_eq!(only(&[missed]).missed, Some(expected), "{cause}");
    }
    // A mailbox: answered, and nobody bridged.
    let mailbox = leg("a", "inbound", "089990001", "+4989555010", [0, 1_000_000, -1, 20_000_000], json!({}));
    assert_eq!(only(&[mailbox]).missed, Some(MissedReason::Abandoned));
    let lone = leg("b", "outbound", "", "201", [0, 1_000_000, 1_000_000, 20_000_000], json!({}));
    assert!(rows(&[lone]).flush_by(Timestamp::MAX).is_empty(), "a phone that rang for a call which is not told of yet");
    let withheld = leg("a", "inbound", "089990001", "+4989555010", [0, -1, -1, 20_000_000], json!({ "sip_h_Privacy": "id" }));
    assert_eq!(only(&[withheld]).caller, None);
}

#[test]
fn trap_14_a_record_that_is_sent_twice_is_one() {
    let a = leg(
        "a",
        "inbound",
        "089990001",
        "+4989555010",
        [0, 1_000_000, 9_000_000, 70_000_000],
        json!({ "last_sent_callee_id_number": "%32%30%31" }),
    );
    let encoded: String = a.iter().map(|byte| format!("%{byte:02x}")).collect();
    let twice = [a.clone(), a, format!("cdr={encoded}").into_bytes()];
    let call = only(&twice);
    assert_eq!((seconds(&call), &*call.talks[0].agent), (61, "201"), "values may be percent-encoded by themselves");
}

#[test]
fn what_is_no_record_is_refused_and_counted() {
    let mut source = FreeSwitch::new(&Config::default(), None);
    for (posted, expected) in [
        (&b"nonsense"[..], "neither JSON nor `cdr=`"),
        (b"{\"variables\":", "this is no JSON"),
        (b"{}", "`variables.uuid` is missing"),
        (b"{\"variables\":{\"uuid\":\"a\"}}", "`variables.start_uepoch` is missing"),
        (b"{\"variables\":{\"uuid\":\"a\",\"start_epoch\":\"5\"}}", "`variables.end_uepoch` is missing"),
        (b"{\"variables\":{\"uuid\":\"a\",\"start_epoch\":\"5\",\"end_uepoch\":\"4000000\"}}", "it ends before it begins"),
    ] {
        let error = source.post(posted).expect_err(expected).to_string();
        assert!(error.starts_with(expected), "{error}");
    }
    assert_eq!(source.refused(), 6);
    assert!(source.post(&[b'['; 10_000]).is_err());
    assert!(source.post(format!("{{\"a\":{}", "[".repeat(100_000)).as_bytes()).is_err(), "deep nesting");
}

#[test]
fn a_spool_is_read_once_each_file_and_again_when_it_changed() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, uuid: &str| {
        let record = leg(uuid, "inbound", "089990001", "+4989555010", [0, -1, -1, 20_000_000], json!({}));
        std::fs::write(folder.path().join(name), record).expect("written");
    };
    let config = Config { spool: Some(folder.path().to_owned()), ..Config::default() };
    let mut source = FreeSwitch::new(&config, None);
    write("a_1.cdr.json", "1");
    std::fs::write(folder.path().join("bad.cdr.json"), "half a rec").expect("written");
    let modified = std::fs::metadata(folder.path().join("a_1.cdr.json")).expect("there").modified().expect("a time");
    let poll =
        |source: &mut FreeSwitch, now| source.poll(now).expect("readable").0.iter().map(|row| row.key.to_string()).collect::<Vec<_>>();
    assert!(poll(&mut source, modified).is_empty(), "it may still be written");
    let later = modified + Duration::from_secs(60);
    assert_eq!(poll(&mut source, later), ["1"]);
    assert_eq!(source.refused(), 1);
    assert!(poll(&mut source, later).is_empty());
    let mut out = Writer::new();
    source.write(&mut out);
    let kept = out.finish();
    write("a_2.cdr.json", "2");
    write("bad.cdr.json", "3");
    let mut source = FreeSwitch::new(&config, Some(&mut Reader::new(&kept)));
    assert_eq!(poll(&mut source, later + Duration::from_secs(60)), ["2", "3"]);
    assert_eq!(poll(&mut FreeSwitch::new(&config, None).at_once(), SystemTime::UNIX_EPOCH), ["1", "2", "3"], "a replay reads all");
    std::fs::remove_dir_all(folder.path()).expect("gone");
    assert!(poll(&mut source, later).is_empty(), "a directory that is not there is empty");
}
