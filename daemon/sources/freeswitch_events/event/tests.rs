//! Events as FreeSWITCH sends them (made up here after its source), and the calls they come to.
//!
//! A line is `TIME NAME UUID FIELD=VALUE …`; times are in seconds. What a channel is stands in its first line, and is repeated
//! in all that follow, as FreeSWITCH does.

use super::*;
use crate::calls::{
    Agent, AgentPattern, BillFrom, Call, Channels, Directory, Hotline, IdentityRules, OnHold, Stage, Update, WithheldNumbers,
};
use crate::units::{DialPlan, NumberPattern, Seconds, Word};
use serde_json::json;
use std::collections::BTreeMap;

fn directory() -> Directory {
    let dial_plan = DialPlan::new("DE", "89").expect("known");
    let hotline = |number: &[u8], name: &str, hold| Hotline {
        number: NumberPattern::Exact(dial_plan.normalize(number).expect("a number")),
        name: name.into(),
        service: "support".into(),
        severity: None,
        bill_from: BillFrom::Agent,
        max_call: Seconds::new(14_400),
        hold,
        queues: Vec::new(),
    };
    let mut agents: Vec<Agent> =
        ["201", "202"].map(|extension| Agent { number: AgentPattern::Extension(extension.into()), level: Some(1) }).into();
    let mobile = dial_plan.normalize(b"0171999").expect("a number");
    agents.push(Agent { number: AgentPattern::Outside(mobile), level: Some(2) });
    Directory {
        hotlines: vec![hotline(b"555010", "Support", OnHold::Talk), hotline(b"555011", "Hold", OnHold::Wait)],
        agents,
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

const BEGIN: i64 = 1_773_133_200_000_000;

fn at(seconds: &str) -> i64 {
    let (whole, rest) = seconds.split_once('.').unwrap_or((seconds, ""));
    let micros: i64 = format!("{rest:0<6}").parse().expect("digits");
    BEGIN + whole.parse::<i64>().expect("seconds") * 1_000_000 + micros
}

/// The events of a script.
fn events(script: &str) -> Vec<Event> {
    let mut known: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
    let lines = script.lines().map(str::trim).filter(|line| !line.is_empty());
    let event = lines.map(|line| {
        let words: Vec<&str> = line.split(' ').collect();
        let [time, name, uuid, fields @ ..] = words.as_slice() else { panic!("{line}") };
        let said = known.entry(uuid).or_default();
        said.extend(fields.iter().map(|field| field.split_once('=').expect("FIELD=VALUE")));
        let mut event = json!({ "Event-Name": name, "Event-Date-Timestamp": at(time).to_string(), "Unique-ID": uuid, "Core-UUID": "core" });
        for (field, value) in said.iter() {
            event[*field] = (*value).into();
        }
        if fields.iter().all(|field| !field.starts_with("Bridge-")) {
            event.as_object_mut().expect("one").retain(|field, _| !field.starts_with("Bridge-"));
        }
        Event::parse(event.to_string().as_bytes()).expect("an object")
    });
    event.collect()
}

/// The calls of a script, in the order of their end.
fn calls(script: &str) -> Vec<String> {
    let mut channels = Channels::new(&directory());
    let mut out: Vec<Update> = Vec::new();
    for event in events(script) {
        match read(&event, &Variables { ticket: Some("case".into()), ..Variables::default() }) {
            Said::Events(events) => events.iter().for_each(|event| channels.apply(event, &mut out)),
            Said::Nothing => {}
            Said::Undated => panic!("{event:?}"),
        }
    }
    assert!(channels.running().is_empty(), "{:?}", channels.running());
    out.iter().filter(|update| update.stage == Stage::Concluded).map(|update| shown(&update.call)).collect()
}

fn shown(call: &Call) -> String {
    let seconds = |at: Timestamp| format!("{}", (at.micros() - BEGIN) as f64 / 1e6);
    let talks = call.talks.iter().map(|talk| format!("{}:{}-{}", talk.agent, seconds(talk.from), talk.to.map_or("...".into(), seconds)));
    let mut text = format!(
        "{} {} > {} {} [{}] {}-{}",
        call.direction.as_str(),
        call.caller_raw.as_str(),
        call.called_raw.as_str(),
        call.hotline.as_deref().unwrap_or("-"),
        talks.collect::<Vec<_>>().join(" "),
        seconds(call.started_at),
        call.ended_at.map_or("...".into(), seconds),
    );
    if let Some(missed) = call.missed {
        text += &format!(" {}", missed.word());
    }
    call.marks.iter().for_each(|mark| text += &format!(" {}", mark.word()));
    if let Some(ticket) = &call.ticket {
        text += &format!(" #{ticket}");
    }
    text
}

/// A caller from the trunk, and a desk that the dialplan rings for it.
const CALL: &str = "0 CHANNEL_CREATE a Call-Direction=inbound Channel-Name=sofia/external/+4930111@192.0.2.1 Channel-Call-UUID=a \
                    Caller-Caller-ID-Number=+4930111 Caller-Destination-Number=555010 variable_sofia_profile_name=external\n\
                    1 CHANNEL_CREATE b Call-Direction=outbound Channel-Name=sofia/internal/sip:201@192.0.2.9:5060 Channel-Call-UUID=a \
                    variable_dialed_user=201 Caller-Destination-Number=201\n";
const ANSWER: &str = "4 CHANNEL_ANSWER b\n4 CHANNEL_ANSWER a\n4.01 CHANNEL_BRIDGE a Bridge-A-Unique-ID=a Bridge-B-Unique-ID=b\n";
const END: &str = "9 CHANNEL_HANGUP a Hangup-Cause=NORMAL_CLEARING variable_sip_hangup_disposition=recv_bye\n\
                   9.01 CHANNEL_UNBRIDGE a Bridge-A-Unique-ID=a Bridge-B-Unique-ID=b\n9.02 CHANNEL_HANGUP_COMPLETE a\n\
                   9.02 CHANNEL_HANGUP b Hangup-Cause=NORMAL_CLEARING\n9.03 CHANNEL_HANGUP_COMPLETE b";

#[test]
fn a_bridge_of_a_caller_and_a_desk_is_talk() {
    assert_eq!(calls(&format!("{CALL}{ANSWER}{END}")), ["in +4930111 > 555010 Support [201:4.01-9] 0-9"]);
    // A registered contact has a name of its own, and not every event says whose it is.
    let contact = CALL.replace("sip:201@", "sip:k3v8d0@");
    let bare = ANSWER.replace(
        "Bridge-B-Unique-ID=b",
        "Bridge-B-Unique-ID=b variable_dialed_user= Other-Leg-Unique-ID=b Other-Leg-Channel-Name=sofia/internal/k3v8d0@192.0.2.9",
    );
    let bare = bare.replace("4 CHANNEL_ANSWER b", "4 CHANNEL_ANSWER b variable_dialed_user=");
    assert_eq!(calls(&format!("{contact}{bare}{END}")), ["in +4930111 > 555010 Support [201:4.01-9] 0-9"]);
    // The bridge is told from the other side, and only the last of the events of the end comes.
    let turned = ANSWER.replace("BRIDGE a Bridge-A-Unique-ID=a Bridge-B-Unique-ID=b", "BRIDGE b Bridge-A-Unique-ID=b Bridge-B-Unique-ID=a");
    let late = "9.5 CHANNEL_HANGUP_COMPLETE a Hangup-Cause=NORMAL_CLEARING Caller-Channel-Hangup-Time=1773133209000000\n9.6 CHANNEL_HANGUP_COMPLETE b\n";
    assert_eq!(calls(&format!("{CALL}{turned}{late}")), ["in +4930111 > 555010 Support [201:4.01-9] 0-9"]);
}

#[test]
fn early_media_in_a_bridge_is_no_talk() {
    // bridge without ignore_early_media: the bridge stands from the ringing on.
    let early = "2 CHANNEL_BRIDGE a Bridge-A-Unique-ID=a Bridge-B-Unique-ID=b\n4 CHANNEL_ANSWER b\n4 CHANNEL_ANSWER a\n";
    assert_eq!(calls(&format!("{CALL}{early}{END}")), ["in +4930111 > 555010 Support [201:4-9] 0-9"]);
    let unanswered = early.split('\n').next().expect("a line");
    let end = END.replace("NORMAL_CLEARING", "ORIGINATOR_CANCEL");
    assert_eq!(calls(&format!("{CALL}{unanswered}\n{end}")), ["in +4930111 > 555010 Support [] 0-9 cancelled"]);
}

#[test]
fn hold_is_talk_or_wait_as_the_hotline_says() {
    let hold = "5 CHANNEL_HOLD b\n7 CHANNEL_UNHOLD b\n";
    assert_eq!(calls(&format!("{CALL}{ANSWER}{hold}{END}")), ["in +4930111 > 555010 Support [201:4.01-9] 0-9"]);
    let wait = format!("{CALL}{ANSWER}{hold}{END}").replace("555010", "555011");
    assert_eq!(calls(&wait), ["in +4930111 > 555011 Hold [201:4.01-5 201:7-9] 0-9"]);
}

#[test]
fn a_blind_transfer_is_wait_until_the_next_answers() {
    let passed = "6 CHANNEL_UNBRIDGE a Bridge-A-Unique-ID=a Bridge-B-Unique-ID=b\n6 CHANNEL_HANGUP b Hangup-Cause=BLIND_TRANSFER\n\
                  6.1 CHANNEL_CREATE c Call-Direction=outbound Channel-Name=sofia/internal/202@192.0.2.9 Channel-Call-UUID=a variable_dialed_user=202\n\
                  7 CHANNEL_ANSWER c\n7 CHANNEL_BRIDGE a Bridge-A-Unique-ID=a Bridge-B-Unique-ID=c\n";
    let end = "9 CHANNEL_HANGUP a Hangup-Cause=NORMAL_CLEARING\n9 CHANNEL_HANGUP c Hangup-Cause=NORMAL_CLEARING";
    let told = ["in +4930111 > 555010 Support [201:4.01-6 202:7-9] 0-9 transfer"];
    assert_eq!(calls(&format!("{CALL}{ANSWER}{passed}{end}")), told);
    // A menu or a queue that sends the caller on before anybody talked passes nobody on.
    let menu = CALL.replace("1 CHANNEL_CREATE b", "0.5 CHANNEL_ANSWER a Caller-Destination-Number=menu\n1 CHANNEL_CREATE b");
    assert_eq!(calls(&format!("{menu}{ANSWER}{END}")), ["in +4930111 > 555010 Support [201:4.01-9] 0-9"]);
}

#[test]
fn an_attended_transfer_goes_on_being_talk() {
    // 201 puts the caller on hold, calls 202 on a line of its own, and joins both.
    let consult = "5 CHANNEL_HOLD b\n5.5 CHANNEL_CREATE x Call-Direction=inbound Channel-Name=sofia/internal/201@192.0.2.9 Channel-Call-UUID=x variable_user_name=201 Caller-Caller-ID-Number=201 Caller-Destination-Number=202\n\
                   5.6 CHANNEL_CREATE y Call-Direction=outbound Channel-Name=sofia/internal/202@192.0.2.9 Channel-Call-UUID=x variable_dialed_user=202\n\
                   6 CHANNEL_ANSWER y\n6 CHANNEL_ANSWER x\n6 CHANNEL_BRIDGE x Bridge-A-Unique-ID=x Bridge-B-Unique-ID=y\n";
    let join = "7 CHANNEL_UNBRIDGE x Bridge-A-Unique-ID=x Bridge-B-Unique-ID=y\n7 CHANNEL_UNBRIDGE a Bridge-A-Unique-ID=a Bridge-B-Unique-ID=b\n\
                7 CHANNEL_BRIDGE a Bridge-A-Unique-ID=a Bridge-B-Unique-ID=y\n7 CHANNEL_HANGUP x Hangup-Cause=ATTENDED_TRANSFER\n7 CHANNEL_HANGUP b Hangup-Cause=ATTENDED_TRANSFER\n";
    let end = "9 CHANNEL_HANGUP a Hangup-Cause=NORMAL_CLEARING\n9 CHANNEL_HANGUP y Hangup-Cause=NORMAL_CLEARING";
    let script = format!("{CALL}{ANSWER}{consult}{join}{end}");
    assert_eq!(calls(&script), ["in +4930111 > 555010 Support [201:4.01-7 202:7-9] 0-9 transfer"]);
    assert_eq!(calls(&script.replace("555010", "555011")), ["in +4930111 > 555011 Hold [201:4.01-5 202:7-9] 0-9 transfer"]);
}

#[test]
fn two_customers_who_are_joined_are_two_calls() {
    let other = CALL
        .replace(" a ", " p ")
        .replace("UUID=a ", "UUID=p ")
        .replace(" b ", " q ")
        .replace("+4930111", "+4940222")
        .replace("201", "202");
    let talks = "4 CHANNEL_ANSWER q\n4 CHANNEL_BRIDGE p Bridge-A-Unique-ID=p Bridge-B-Unique-ID=q\n";
    let joined = "6 CHANNEL_UNBRIDGE a Bridge-A-Unique-ID=a Bridge-B-Unique-ID=b\n6 CHANNEL_UNBRIDGE p Bridge-A-Unique-ID=p Bridge-B-Unique-ID=q\n\
                  6 CHANNEL_BRIDGE a Bridge-A-Unique-ID=a Bridge-B-Unique-ID=p\n6 CHANNEL_HANGUP b Hangup-Cause=ATTENDED_TRANSFER\n6 CHANNEL_HANGUP q Hangup-Cause=ATTENDED_TRANSFER\n\
                  9 CHANNEL_HANGUP a Hangup-Cause=NORMAL_CLEARING\n9 CHANNEL_HANGUP p Hangup-Cause=NORMAL_CLEARING";
    assert_eq!(
        calls(&format!("{CALL}{other}{ANSWER}{talks}{joined}")),
        ["in +4930111 > 555010 Support [201:4.01-6] 0-9", "in +4940222 > 555010 Support [202:4-6] 0-9"]
    );
    // In a conference with an agent each of them talks to the agent.
    let room = "4 CUSTOM a Event-Subclass=conference::maintenance Action=add-member Conference-Name=room\n\
                4 CUSTOM p Event-Subclass=conference::maintenance Action=add-member Conference-Name=room\n\
                3 CHANNEL_ANSWER b\n5 CUSTOM b Event-Subclass=conference::maintenance Action=add-member Conference-Name=room\n\
                6 CUSTOM b Action=start-talking Event-Subclass=conference::maintenance\n\
                7 CUSTOM p Action=del-member Event-Subclass=conference::maintenance\n8 CHANNEL_HANGUP p Hangup-Cause=NORMAL_CLEARING\n8 CHANNEL_HANGUP q Hangup-Cause=NORMAL_CLEARING\n";
    assert_eq!(
        calls(&format!("{CALL}{other}{room}{END}")),
        ["in +4940222 > 555010 Support [201:5-7] 0-8 no answer", "in +4930111 > 555010 Support [201:5-9] 0-9"]
            .map(|call| call.replace("] 0-8 no answer", "] 0-8"))
    );
}

#[test]
fn a_queue_rings_agents_on_channels_of_their_own() {
    let caller = CALL.split("1 CHANNEL_CREATE").next().expect("a line");
    let queue = "1 CHANNEL_ANSWER a\n1 CUSTOM - Event-Subclass=callcenter::info CC-Action=member-queue-start CC-Queue=support@default CC-Member-Session-UUID=a\n";
    let agent = "2 CHANNEL_CREATE g Call-Direction=outbound Channel-Name=sofia/internal/201@192.0.2.9 Channel-Call-UUID=g variable_cc_side=agent variable_cc_agent=anna@default variable_cc_member_session_uuid=a variable_dialed_user=201 Caller-Destination-Number=201\n";
    let talk = "6 CHANNEL_ANSWER g\n6.2 CHANNEL_BRIDGE a Bridge-A-Unique-ID=a Bridge-B-Unique-ID=g\n\
                9 CHANNEL_HANGUP a Hangup-Cause=NORMAL_CLEARING\n9 CHANNEL_HANGUP g Hangup-Cause=NORMAL_CLEARING";
    assert_eq!(calls(&format!("{caller}{queue}{agent}{talk}")), ["in +4930111 > 555010 Support [201:6.2-9] 0-9"]);
    // An agent whom no desk of the configuration belongs to answers for the house all the same.
    let stranger = agent.replace("201", "299");
    assert_eq!(calls(&format!("{caller}{queue}{stranger}{talk}")), ["in +4930111 > 555010 Support [anna:6.2-9] 0-9"]);
    let gave_up = "5 CHANNEL_HANGUP a Hangup-Cause=NORMAL_CLEARING variable_sip_hangup_disposition=recv_bye\n5 CHANNEL_HANGUP g Hangup-Cause=ORIGINATOR_CANCEL";
    assert_eq!(calls(&format!("{caller}{queue}{agent}{gave_up}")), ["in +4930111 > 555010 Support [] 0-5 abandoned in queue"]);
    let mailbox = "5 CHANNEL_HANGUP g Hangup-Cause=NO_ANSWER\n8 CHANNEL_HANGUP a Hangup-Cause=NORMAL_CLEARING variable_sip_hangup_disposition=recv_bye variable_current_application=voicemail";
    assert_eq!(calls(&format!("{caller}{queue}{agent}{mailbox}")), ["in +4930111 > 555010 Support [] 0-8 no answer"]);
}

#[test]
fn who_calls_outside() {
    let desk = "0 CHANNEL_CREATE a Call-Direction=inbound Channel-Name=sofia/internal/201@192.0.2.9 Channel-Call-UUID=a variable_user_name=201 Caller-Caller-ID-Number=201 Caller-Destination-Number=030111\n";
    let trunk = "1 CHANNEL_CREATE b Call-Direction=outbound Channel-Name=sofia/external/030111 Channel-Call-UUID=a Caller-Destination-Number=030111\n";
    // Early media of the trunk, then the customer.
    let talk = "2 CHANNEL_BRIDGE a Bridge-A-Unique-ID=a Bridge-B-Unique-ID=b variable_effective_caller_id_number=555010\n4 CHANNEL_ANSWER b\n4 CHANNEL_ANSWER a\n";
    assert_eq!(calls(&format!("{desk}{trunk}{talk}{END}")), ["out 201 > 030111 Support [201:4-9] 0-9.02"]);
    // Click to call: FreeSWITCH rings the agent, then runs the dialplan for the number.
    let click = "0 CHANNEL_CREATE a Call-Direction=outbound Channel-Name=sofia/internal/201@192.0.2.9 Channel-Call-UUID=a variable_dialed_user=201 Caller-Destination-Number=201\n\
                 0.5 CHANNEL_ANSWER a\n0.6 CUSTOM a Caller-Destination-Number=030111\n";
    assert_eq!(calls(&format!("{click}{trunk}{talk}{END}")), ["out 201 > 030111 Support [201:4-9] 0-9.02 click-to-call"]);
    // To a colleague, and to a number of the house that is no desk of an agent, it is none.
    for inside in ["202", "299"] {
        let inside = format!("{desk}{trunk}").replace("030111", inside);
        assert_eq!(calls(&format!("{inside}{talk}{END}")), [""; 0]);
    }
    // The on-call agent's mobile is an agent; a stranger's is none.
    let forwarded =
        format!("{CALL}{ANSWER}{END}").replace(" variable_dialed_user=201", "").replace("sip:201", "0171999").replace("=201", "=0171999");
    assert_eq!(calls(&forwarded), ["in +4930111 > 555010 Support [0171999:4.01-9] 0-9"]);
    let stranger = forwarded.replace("0171999", "0171998");
    assert_eq!(calls(&stranger), ["in +4930111 > 555010 Support [] 0-9 abandoned in queue"]);
}

#[test]
fn why_nobody_talked() {
    let alone = "0 CHANNEL_CREATE a Call-Direction=inbound Channel-Name=sofia/external/+4930111@192.0.2.1 Caller-Caller-ID-Number=+4930111 Caller-Destination-Number=555010\n5 CHANNEL_HANGUP a Hangup-Cause=";
    for (cause, reason) in [
        ("ORIGINATOR_CANCEL", "cancelled"),
        ("USER_BUSY", "busy"),
        ("NO_ANSWER", "no answer"),
        ("NO_USER_RESPONSE", "no answer"),
        ("CALL_REJECTED", "declined"),
        ("NETWORK_OUT_OF_ORDER", "failed"),
    ] {
        assert_eq!(calls(&format!("{alone}{cause}")), [format!("in +4930111 > 555010 Support [] 0-5 {reason}")]);
    }
}

#[test]
fn what_belongs_to_no_call_of_ours_is_left_alone() {
    // The half of a loopback channel that runs the dialplan is no second call of the hotline.
    let half = "0.2 CHANNEL_CREATE l Call-Direction=inbound Channel-Name=loopback/555010-b Channel-Call-UUID=l Caller-Caller-ID-Number=+4930111 Caller-Destination-Number=555010\n";
    let gone = "\n9.5 CHANNEL_HANGUP l Hangup-Cause=NORMAL_CLEARING";
    assert_eq!(calls(&format!("{CALL}{half}{ANSWER}{END}{gone}")), ["in +4930111 > 555010 Support [201:4.01-9] 0-9"]);
    // The number that was dialed may stand in To alone; a ticket in a variable; the caller may have hidden the number.
    let to =
        CALL.replace("Number=555010", "Number=trunk17 variable_sip_to_user=555010").replacen("=a Caller", "=a variable_case=T-9 Caller", 1);
    assert_eq!(calls(&format!("{to}{ANSWER}{END}")), ["in +4930111 > 555010 Support [201:4.01-9] 0-9 #T-9"]);
    let hidden = CALL.replacen("=a Caller", "=a Caller-Privacy-Hide-Number=true Caller", 1);
    assert_eq!(calls(&format!("{hidden}{ANSWER}{END}")), ["in  > 555010 Support [201:4.01-9] 0-9"]);
}

#[test]
fn an_event_without_a_time_or_a_channel_says_nothing() {
    let said = |json: &str| read(&Event::parse(json.as_bytes()).expect("an object"), &Variables::default());
    assert_eq!(said(r#"{"Event-Name":"CHANNEL_ANSWER","Unique-ID":"a"}"#), Said::Undated);
    assert_eq!(said(r#"{"Event-Name":"CHANNEL_ANSWER","Unique-ID":"a","Event-Date-Timestamp":"0"}"#), Said::Undated);
    assert_eq!(said(r#"{"Event-Name":"HEARTBEAT"}"#), Said::Nothing);
    assert_eq!(said(r#"{"Event-Name":"CHANNEL_ANSWER","Event-Date-Timestamp":"1"}"#), Said::Nothing);
    assert_eq!(
        said(r#"{"Event-Name":"CHANNEL_BRIDGE","Unique-ID":"a","Bridge-A-Unique-ID":"a","Event-Date-Timestamp":"1"}"#),
        Said::Nothing
    );
    assert_eq!(Event::parse(b"[]"), None);
    assert_eq!(Event::parse(b"{\"a\":"), None);
    assert_eq!(Event::parse("[".repeat(100_000).as_bytes()), None);
    // Whatever is said at great length is cut.
    let long = format!(r#"{{"Event-Name":"CHANNEL_HOLD","Unique-ID":"{}","Event-Date-Timestamp":"5"}}"#, "ü".repeat(10_000));
    let Said::Events(events) = said(&long) else { panic!("an event") };
    assert_eq!(events[0].channel.uniqueid.chars().count(), LONGEST);
}
