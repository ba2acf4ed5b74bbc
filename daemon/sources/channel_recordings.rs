//! What a switch's channel events come to, against the truth of every call of a recording (tests/recordings, truth.json).

use super::asterisk_cdr::{directory, folder, millis, missed};
use crate::calls::{Call, ChannelEvent, Channels, End, Mark, Stage, Update};
use crate::units::codec::{Reader, Writer};
use crate::units::{Direction, Timestamp};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The most by which talk may be off, in ms. (The parties' clock differs from the switch's by 10 ms at worst: captures' notes.)
const MOST_MILLIS: i64 = 20;

/// What a source cannot tell, and why. (Recording, source, call, the fault's beginning.)
const UNTOLD: &[(&str, &str, &str, &str)] = &[
    // The mailbox of Asterisk 22 finishes its greeting to nobody, and all that the log says of the caller's channel comes behind
    // it. (That the file being played broke off is written, but no different from one that was played to its end.) The manager
    // interface says when the caller hung up: HangupRequest.
    ("asterisk-22", "cel.csv", "C36", "wait 17713 ms"),
];

/// Takes events, cut (with a snapshot written and read back) after each of these, and gives what was told.
pub(super) fn told(events: &[ChannelEvent], cuts: &[usize]) -> Vec<Update> {
    let mut channels = Channels::new(&directory());
    let mut updates = Vec::new();
    for (place, event) in events.iter().enumerate() {
        channels.apply(event, &mut updates);
        if cuts.contains(&place) {
            let mut out = Writer::new();
            channels.write(&mut out);
            let bytes = out.finish();
            let mut back = Reader::new(&bytes);
            channels = Channels::read(&directory(), &mut back).expect("the snapshot reads");
            assert!(back.is_empty(), "all of it");
        }
    }
    let before = updates.len();
    channels.finish(&mut updates);
    assert_eq!(updates.len(), before, "every call ended by itself");
    updates
}

/// The concluded calls by their names.
pub(super) fn concluded(updates: &[Update]) -> BTreeMap<String, Call> {
    let mut calls = BTreeMap::new();
    for Update { call, .. } in updates.iter().filter(|update| update.stage == Stage::Concluded) {
        assert!(calls.insert(call.id.to_string(), call.clone()).is_none(), "concluded twice: {call:?}");
    }
    calls
}

/// The call's stages come in order, and what is told when it connects is how it began.
fn check_stages(updates: &[Update]) {
    let mut stages: BTreeMap<&str, Vec<&Update>> = BTreeMap::new();
    for update in updates {
        stages.entry(update.call.id.as_str()).or_default().push(update);
    }
    for told in stages.values() {
        let last = told.last().expect("at least one");
        assert_eq!(last.stage, Stage::Concluded);
        let connected: Vec<_> = told.iter().filter(|update| update.stage == Stage::Connected).collect();
        assert_eq!(connected.len(), usize::from(!last.call.talks.is_empty()), "{last:?}");
        for first in connected {
            assert_eq!((first.call.ended_at, first.call.connected_at()), (None, last.call.connected_at()));
        }
    }
}

/// The table of one recording; panics where it differs from the truth.
pub(super) fn check(recording: &str, source: &str, events: &[ChannelEvent]) {
    let truth: Value = serde_json::from_str(&std::fs::read_to_string(folder(recording).join("truth.json")).expect("there")).expect("JSON");
    let updates = told(events, &[]);
    check_stages(&updates);
    let mut calls = concluded(&updates);
    let mut table = format!("{recording} {source}\n");
    let (mut wrong, mut worst) = (0, 0);
    for expected in truth["calls"].as_array().expect("calls") {
        let scenario = expected["scenario"].as_str().expect("text");
        if matches!(scenario, "internal" | "wrong-number" | "register") {
            continue;
        }
        let outbound = expected["direction"] == "out";
        let customer = expected[if outbound { "customer" } else { "caller" }].as_str().expect("a number");
        let began = millis(&expected["t_invite"]);
        let fits = |call: &Call| {
            let number = if call.direction == Direction::Out { call.called } else { call.caller };
            let near = (call.started_at.micros() / 1_000 - began).abs() <= 100;
            (call.direction == Direction::Out) == outbound && near && number.is_some_and(|number| number.to_string() == customer)
        };
        let found: Vec<String> = calls.iter().filter(|(_, call)| fits(call)).map(|(id, _)| id.clone()).collect();
        let mut faults = Vec::new();
        let mut line = format!("{:4} {scenario:26}", expected["id"].as_str().unwrap_or(""));
        match found.as_slice() {
            [id] => {
                let call = calls.remove(id).expect("just found");
                let _ = write!(line, "{}", compare(&call, scenario, expected, &mut faults, &mut worst));
            }
            _ => faults.push(format!("told {} times", found.len())),
        }
        let id = expected["id"].as_str().unwrap_or_default();
        let untold = UNTOLD.iter().filter(|(of, by, call, _)| (*of, *by, *call) == (recording, source, id));
        for (.., known) in untold {
            let before = faults.len();
            faults.retain(|fault| !fault.starts_with(known));
            assert_eq!(faults.len() + 1, before, "{id}: {known} is told after all, and has to leave the list");
        }
        wrong += faults.len();
        let _ = writeln!(table, "{line} {}", faults.join("; "));
    }
    for call in calls.values() {
        wrong += 1;
        let _ = writeln!(table, "invented: {call:?}");
    }
    let _ = writeln!(table, "worst {worst} ms");
    println!("{table}");
    assert_eq!(wrong, 0, "{table}");
}

fn compare(call: &Call, scenario: &str, expected: &Value, faults: &mut Vec<String>, worst: &mut i64) -> String {
    let talk = call.talk_micros(Timestamp::from_micros(i64::MAX)) / 1_000;
    let off = talk - millis(&expected["with_people_s"]);
    if off.abs() > MOST_MILLIS {
        faults.push(format!("talk {talk} ms, off by {off}"));
    }
    let ended = call.ended_at.map_or(0, |ended| ended.micros() / 1_000);
    let wait = ended - call.started_at.micros() / 1_000 - talk;
    let wait_off = wait - (millis(&expected["t_end"]) - millis(&expected["t_invite"]) - millis(&expected["with_people_s"]));
    if wait_off.abs() > 1_000 {
        faults.push(format!("wait {wait} ms, off by {wait_off}"));
    }
    *worst = (*worst).max(off.abs());
    let hotline = match expected["did"].as_str() {
        Some("+4989555010") | None => "Support",
        Some("+4989555099") => "Emergency",
        Some("+4989555030") => "Group",
        Some(_) => "Direct",
    };
    if call.hotline.as_deref() != Some(hotline) {
        faults.push(format!("hotline {:?}, not {hotline}", call.hotline));
    }
    let mut who: Vec<&str> = expected["segments"].as_array().expect("segments").iter().filter_map(|part| part["who"].as_str()).collect();
    who.dedup();
    let agents: Vec<&str> = call.talks.iter().map(|talk| &*talk.agent).collect();
    if agents != who {
        faults.push(format!("agents {agents:?}, not {who:?}"));
    }
    if call.talks.iter().any(|talk| talk.level != Some(if talk.agent.starts_with('+') { 2 } else { 1 })) {
        faults.push("level".to_owned());
    }
    if call.missed != missed(scenario) || call.end != End::Observed {
        faults.push(format!("missed {:?}, end {:?}", call.missed, call.end));
    }
    let marks: &[Mark] = match scenario {
        "support-blind-transfer" | "support-transfer-out" | "support-attended-transfer" | "support-feature-transfer" => &[Mark::Transfer],
        "direct-forwarded" => &[Mark::Forward],
        "click-to-call" => &[Mark::ClickToCall],
        // The one lost party that the switch itself tells of: its audio stayed away.
        "lost-caller-rtp-timeout" => &[Mark::LostParty],
        _ => &[],
    };
    if call.marks != marks {
        faults.push(format!("marks {:?}", call.marks));
    }
    format!(" {talk:>7} {off:>+4} wait {wait:>6} {wait_off:>+4} {agents:?} {:?} {:?}", call.marks, call.missed)
}
