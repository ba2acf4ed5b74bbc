//! What happens to calls, as the records of all their legs tell it: passed on, held, joined, set up by a click.

use super::*;

/// Seconds as microseconds; -1 is never.
fn times(seconds: [i64; 4]) -> [i64; 4] {
    seconds.map(|second| if second < 0 { -1 } else { second * 1_000_000 })
}

/// The caller's leg, bridged from its fifth second on.
fn caller(uuid: &str, number: &str, called: &str, end: i64, more: Value) -> Vec<u8> {
    leg(uuid, "inbound", number, called, times([0, 5, 5, end]), more)
}

/// A leg that was dialed for another one.
fn desk(uuid: &str, agent: &str, made_for: &str, seconds: [i64; 3], more: Value) -> Vec<u8> {
    let [start, answer, end] = seconds;
    let mut variables = json!({ "originator": made_for, "dialed_user": agent });
    for (name, value) in more.as_object().expect("variables") {
        variables[name] = value.clone();
    }
    leg(uuid, "outbound", "", agent, times([start, answer, answer, end]), variables)
}

/// All calls, in whatever order the records come.
fn all(legs: &[Vec<u8>]) -> Vec<String> {
    let calls = rows(legs).flush_by(Timestamp::MAX);
    let mut turned = legs.to_vec();
    for _ in 0..turned.len() {
        turned.rotate_left(1);
        assert_eq!(rows(&turned).flush_by(Timestamp::MAX), calls);
    }
    calls.iter().map(shown).collect()
}

fn shown(call: &Call) -> String {
    let seconds = |at: Timestamp| (at.micros() - BEGIN * 1_000_000) / 1_000_000;
    let talks = call.talks.iter().map(|talk| format!("{}:{}-{}", talk.agent, seconds(talk.from), talk.to.map_or(-1, seconds)));
    let missed = call.missed.map(|reason| format!(" {reason:?}")).unwrap_or_default();
    let marks: Vec<String> = call.marks.iter().map(|mark| format!(" {mark:?}")).collect();
    let (from, to) = (call.caller_raw.as_str(), call.called_raw.as_str());
    format!("{from} > {to} [{}]{missed}{}", talks.collect::<Vec<_>>().join(" "), marks.concat())
}

#[test]
fn an_attended_transfer_goes_on_being_talk() {
    // 201 holds the caller, calls 202 on a line of its own, and joins both at 40.
    let a = caller("a", "089990001", "+4989555010", 90, json!({ "bridge_uuid": "d", "signal_bond": "d" }));
    let b =
        desk("b", "201", "a", [1, 5, 40], json!({ "bridge_uuid": "a", "hold_events": format!("{{{{{},0}}}}", (BEGIN + 30) * 1_000_000) }));
    let c = leg("c", "inbound", "201", "202", times([31, 35, 35, 40]), json!({ "user_name": "201", "bridge_uuid": "d" }));
    let d = desk("d", "202", "c", [31, 35, 90], json!({ "bridge_uuid": "a", "signal_bond": "a" }));
    let legs = [a, b, c, d];
    assert_eq!(all(&legs), ["089990001 > +4989555010 [201:5-40 202:35-90] Transfer"]);
    // Where hold is wait, so is the consultation: 202 talks to 201 meanwhile, whom the caller pays nothing for.
    let wait: Vec<Vec<u8>> =
        legs.iter().map(|leg| String::from_utf8(leg.clone()).expect("JSON").replace("555010", "555011").into()).collect();
    assert_eq!(all(&wait), ["089990001 > +4989555011 [201:5-30 202:35-90] Transfer"]);
}

#[test]
fn hold_is_talk_or_wait_as_the_hotline_says() {
    let hold = |spans: &[(i64, i64)]| {
        let text: Vec<String> =
            spans.iter().map(|(on, off)| format!("{{{},{}}}", (BEGIN + on) * 1_000_000, (BEGIN + off) * 1_000_000)).collect();
        let encoded: String = format!("{{{}}}", text.join(","))
            .bytes()
            .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
            .collect();
        json!({ "hold_events": encoded })
    };
    for (called, expected) in [("+4989555010", "[201:5-90]"), ("+4989555011", "[201:5-20 201:30-50 201:60-90]")] {
        // The desk holds the caller, and the caller the desk.
        let a = caller("a", "089990001", called, 90, hold(&[(50, 60)]));
        let b = desk("b", "201", "a", [1, 5, 90], hold(&[(20, 30), (100, 110)]));
        assert_eq!(all(&[a, b]), [format!("089990001 > {called} {expected}")]);
    }
    // What is no list of times is none.
    for wrong in ["{{", "{{1,x}}", "{{-5,9}}", "{{0,5}}", "nonsense"] {
        let a = caller("a", "089990001", "+4989555011", 90, json!({ "hold_events": wrong, "last_sent_callee_id_number": "201" }));
        assert_eq!(all(&[a]), ["089990001 > +4989555011 [201:5-90]"], "{wrong}");
    }
}

#[test]
fn two_customers_who_are_joined_are_two_calls() {
    // Each talks to an agent; at 50 both are joined, and the agents leave.
    let a = caller("a", "089990001", "+4989555010", 90, json!({ "bridge_uuid": "p", "signal_bond": "p" }));
    let p = caller("p", "089990002", "+4989555011", 95, json!({ "bridge_uuid": "a", "signal_bond": "a" }));
    let b = desk("b", "201", "a", [1, 5, 50], json!({ "bridge_uuid": "a" }));
    let q = desk("q", "202", "p", [1, 15, 50], json!({ "bridge_uuid": "p" }));
    let both = ["089990001 > +4989555010 [201:5-50]", "089990002 > +4989555011 [202:15-50]"];
    assert_eq!(all(&[a.clone(), p.clone(), b, q]), both);
    // An agent whom a call was passed to, and who was dialed by another agent's leg, is of that one's call.
    let passed = desk("c", "201", "b", [40, 45, 60], json!({}));
    let b = desk("b", "202", "a", [1, 5, 45], json!({}));
    let q = desk("q", "202", "p", [1, 15, 50], json!({}));
    let mut told = both;
    told[0] = "089990001 > +4989555010 [202:5-45 201:45-60] Transfer";
    assert_eq!(all(&[a, p, b, q, passed]), told);
}

#[test]
fn click_to_call() {
    let click = |bridge: i64, more: Value| {
        let mut variables = json!({ "dialed_user": "201", "last_bridge_role": "originator", "originate_disposition": "SUCCESS", "last_sent_callee_id_number": "01713920011" });
        for (name, value) in more.as_object().expect("variables") {
            variables[name] = value.clone();
        }
        leg("a", "outbound", "201", "201", times([0, 3, bridge, 60]), variables)
    };
    let customer = |answer: i64| leg("b", "outbound", "", "01713920011", times([3, answer, -1, 60]), json!({ "originator": "a" }));
    // The customer's phone rings until 20, with early media in the bridge from 5 on.
    assert_eq!(all(&[click(5, json!({ "bridge_uuid": "b" })), customer(20)]), ["201 > 01713920011 [201:20-60] ClickToCall"]);
    assert_eq!(all(&[click(5, json!({ "bridge_uuid": "b" })), customer(-1)]), ["201 > 01713920011 [] NoAnswer ClickToCall"]);
    let busy = json!({ "originate_disposition": "USER_BUSY", "last_bridge_role": "" });
    assert_eq!(all(&[click(-1, busy), customer(-1)]), ["201 > 01713920011 [] Busy ClickToCall"]);
    // Without the other leg, when it was bridged; a colleague who is called so is no customer; nor is a customer one who calls.
    assert_eq!(all(&[click(5, json!({}))]), ["201 > 01713920011 [201:5-60] ClickToCall"]);
    assert_eq!(all(&[click(5, json!({ "last_sent_callee_id_number": "202" }))]), [""; 0]);
    assert_eq!(all(&[click(5, json!({ "dialed_user": "01713920011", "last_sent_callee_id_number": "201" }))]), [""; 0]);
}

#[test]
fn early_media_that_nobody_answers_is_no_talk() {
    // A menu answered the caller; the desk's ringing was heard in a bridge.
    let a = leg(
        "a",
        "inbound",
        "089990001",
        "+4989555010",
        times([0, 1, 3, 40]),
        json!({ "bridge_uuid": "b", "last_sent_callee_id_number": "201" }),
    );
    let b = leg("b", "outbound", "", "201", times([2, -1, -1, 40]), json!({ "originator": "a" }));
    assert_eq!(all(&[a.clone(), b]), ["089990001 > +4989555010 [] Abandoned"]);
    assert_eq!(all(&[a]), ["089990001 > +4989555010 [201:3-40]"], "without the desk's leg nobody knows");
    let unanswered = leg("a", "inbound", "089990001", "+4989555010", times([0, -1, 3, 40]), json!({ "hangup_cause": "ORIGINATOR_CANCEL" }));
    assert_eq!(all(&[unanswered]), ["089990001 > +4989555010 [] Canceled"]);
}

#[test]
fn a_record_of_an_old_version_has_its_first_profile_last() {
    // Each profile is written under the same name, the newest first.
    let record =
        String::from_utf8(caller("a", "089990001", "+4989555010", 40, json!({ "last_sent_callee_id_number": "201" }))).expect("JSON");
    let value: Value = serde_json::from_str(&record).expect("JSON");
    let profiles = value["callflow"].as_array().expect("profiles").iter().map(|profile| format!("\"callflow\":{profile}"));
    let old = format!("{{\"variables\":{},{}}}", value["variables"], profiles.collect::<Vec<_>>().join(","));
    assert_eq!(all(&[old.into_bytes()]), ["089990001 > +4989555010 [201:5-40]"]);
}
