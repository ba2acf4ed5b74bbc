//! Real recordings of real switches, held against what the parties themselves saw.

use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::File;
use std::ops::ControlFlow;
use std::path::Path;
use taktd::calls::{
    Agent, AgentPattern, BillFrom, Call, Directory, Hotline, IdentityHeader, IdentityRules, Mark, OnHold, Stage, Update, WithheldNumbers,
};
use taktd::pipeline::signalling::Signalling;
use taktd::sources::pcap::{Capture, Progress};
use taktd::units::{DialPlan, Direction, KeyedState, Observation, Seconds, Timestamp};

/// The company of the recordings.
pub fn directory() -> Directory {
    let dial_plan = DialPlan::new("DE", "89").expect("known");
    let hotline = |number: &str, name: &str, service: &str| Hotline {
        number: dial_plan.pattern(number).expect("a number"),
        name: name.into(),
        service: service.into(),
        severity: None,
        bill_from: BillFrom::Agent,
        max_call: Seconds::new(4 * 3_600),
        hold: OnHold::Talk,
        queues: vec![],
    };
    let peers = ["127.0.0.20", "127.0.0.24", "127.0.0.26"];
    Directory {
        hotlines: vec![
            hotline("+4989555010", "Support", "support"),
            hotline("+4989555099", "Emergency", "emergency"),
            hotline("+4989555030", "Group", "support"),
            hotline("+498955502*", "Direct", "support"),
        ],
        agents: vec![
            Agent { number: AgentPattern::Block("20".into()), level: Some(1) },
            Agent { number: AgentPattern::Outside(dial_plan.normalize(b"+491713920011").expect("a number")), level: Some(2) },
        ],
        identity: IdentityRules {
            headers: vec![IdentityHeader::PAsserted, IdentityHeader::RemoteParty, IdentityHeader::From],
            trusted_peers: peers.iter().map(|peer| (peer.parse().expect("an address"), 32)).collect(),
            withheld: WithheldNumbers::Ignore,
            contract_header: None,
            leg_headers: vec![],
        },
        dial_plan,
    }
}

/// Replays a capture, cut (with a snapshot between) after each of these packets, and concludes what is left.
pub fn replay(path: &str, cuts: &[u64]) -> BTreeMap<String, Call> {
    let key = KeyedState::new(7);
    let mut signalling = Signalling::new(directory(), 100_000, key);
    let mut calls: BTreeMap<String, Call> = BTreeMap::new();
    let mut take = |updates: &mut Vec<Update>| {
        for update in updates.drain(..) {
            if update.stage == Stage::Concluded {
                let before = calls.insert(update.call.id.to_string(), update.call);
                assert!(before.is_none(), "concluded twice: {before:?}");
            }
        }
    };
    let mut updates = Vec::new();
    let mut capture = Capture::new(path, File::open(path).expect("the recording is there"));
    let mut place = 0;
    for cut in cuts.iter().copied().chain([u64::MAX]) {
        let progress = capture
            .advance(cut.saturating_sub(place), |packet| {
                let Observation::Sip(message) = packet.observation;
                signalling.observe(&message, message.captured_at, &mut updates);
                ControlFlow::Continue(())
            })
            .expect("it reads");
        take(&mut updates);
        if progress != Progress::More {
            break;
        }
        place = cut;
        signalling = Signalling::read(&signalling.write(), directory(), 100_000, key).expect("the snapshot reads");
    }
    signalling.finish(&mut updates);
    take(&mut updates);
    calls
}

struct Truth {
    id: String,
    scenario: String,
    caller: String,
    called: String,
    direction: &'static str,
    started: f64,
    talk: f64,
}

fn truth(folder: &str) -> Vec<Truth> {
    let text = std::fs::read_to_string(Path::new(folder).join("truth.json")).expect("truth is there");
    let value: Value = serde_json::from_str(&text).expect("JSON");
    let text = |call: &Value, key: &str| call[key].as_str().unwrap_or_default().to_owned();
    let calls = value["calls"].as_array().expect("calls");
    calls
        .iter()
        .filter_map(|call| {
            let caller = text(call, "caller");
            let did = text(call, "did");
            let inbound = did.starts_with('+');
            let outbound =
                !inbound && caller.starts_with("20") && text(call, "scenario") != "internal" && !text(call, "dialled_as").is_empty();
            if text(call, "scenario") == "wrong-number" || !(inbound || outbound) {
                return None;
            }
            Some(Truth {
                id: text(call, "id"),
                scenario: text(call, "scenario"),
                called: if inbound { did } else { text(call, "dialled_as") },
                direction: if inbound { "in" } else { "out" },
                caller,
                started: call["t_invite"].as_f64().expect("a time"),
                talk: call["with_people_s"].as_f64().or(call["talk_s"].as_f64()).unwrap_or(0.0),
            })
        })
        .collect()
}

/// The table of one recording: `id scenario in|out caller called truth ours difference marks`.
pub fn table(folder: &str, capture: &str) -> (String, Vec<String>) {
    let calls = replay(&format!("{folder}/{capture}"), &[]);
    let mut lines = String::new();
    let mut wrong = Vec::new();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let plan = DialPlan::new("DE", "89").expect("known");
    for truth in truth(folder) {
        let started = Timestamp::from_micros((truth.started * 1e6) as i64);
        let fitting: Vec<&Call> = calls
            .values()
            .filter(|call| {
                let caller = match call.direction {
                    Direction::In => call.caller == plan.normalize(truth.caller.as_bytes()),
                    Direction::Out => call.caller_raw.as_str() == truth.caller,
                };
                caller && call.called == plan.normalize(truth.called.as_bytes()) && call.started_at.since(started).abs() < 100_000
            })
            .collect();
        let [call] = fitting.as_slice() else {
            wrong.push(format!("{} {}: found {} times", truth.id, truth.scenario, fitting.len()));
            continue;
        };
        *seen.entry(call.id.to_string()).or_default() += 1;
        let ours = call.talk_micros(Timestamp::from_micros(i64::MAX)) as f64 / 1e6;
        let marks = call.marks.iter().map(|mark| format!("{mark:?}")).collect::<Vec<_>>().join(",");
        let direction = call.direction.as_str();
        lines += &format!(
            "{} {} {direction} {:.3} {ours:.3} {:+.3} {:?} {:?} [{marks}]\n",
            truth.id,
            truth.scenario,
            truth.talk,
            ours - truth.talk,
            call.missed,
            call.correlation
        );
        let may_be_off = [Mark::Transfer, Mark::Forward, Mark::ClickToCall, Mark::LostParty].iter().any(|mark| call.marks.contains(mark));
        if direction != truth.direction || ((ours - truth.talk).abs() > 1.0 && !may_be_off) || (ours > 0.0) != (truth.talk > 0.0) {
            wrong.push(format!("{} {}: {direction} talk {ours:.3}, truth {:.3}", truth.id, truth.scenario, truth.talk));
        }
    }
    for (id, call) in &calls {
        if seen.get(id) != Some(&1) {
            wrong.push(format!("{id} is no call of the truth, or of several: {call:?}"));
        }
    }
    (lines, wrong)
}

fn check(folder: &str, capture: &str) {
    let (lines, wrong) = table(folder, capture);
    println!("{folder}/{capture}\n{lines}");
    assert!(wrong.is_empty(), "{folder}/{capture}:\n{}\n{lines}", wrong.join("\n"));
}

#[test]
fn asterisk_16() {
    for capture in ["sip.pcap", "sip-any.pcap", "hep.pcap"] {
        check("tests/recordings/asterisk-16", capture);
    }
}

#[test]
fn asterisk_22() {
    for capture in ["sip.pcap", "hep.pcap"] {
        check("tests/recordings/asterisk-22", capture);
    }
}

#[test]
fn asterisk_16_clock() {
    for folder in ["back", "forth"] {
        for capture in ["sip.pcap", "hep.pcap"] {
            check(&format!("tests/recordings/asterisk-16-clock/{folder}"), capture);
        }
    }
}

#[test]
fn kamailio() {
    for folder in ["tests/recordings/kamailio", "tests/recordings/kamailio/all"] {
        for capture in ["sip.pcap", "hep.pcap"] {
            check(folder, capture);
        }
    }
}

#[test]
fn a_cut_at_any_packet_changes_nothing() {
    for capture in
        ["tests/recordings/asterisk-16/sip.pcap", "tests/recordings/asterisk-22/hep.pcap", "tests/recordings/kamailio/all/hep.pcap"]
    {
        let whole = replay(capture, &[]);
        for cut in (1..1_000).step_by(17) {
            assert_eq!(replay(capture, &[cut]), whole, "{capture} cut after packet {cut}");
        }
        let all: Vec<u64> = (1..1_000).step_by(5).collect();
        assert_eq!(replay(capture, &all), whole, "{capture} cut after every fifth packet");
    }
}
