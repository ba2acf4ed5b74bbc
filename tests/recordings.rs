//! Real recordings of real switches, held against what the parties themselves saw.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::path::Path;
use taktd::calls::{
    Agent, AgentPattern, BillFrom, Call, Correlation, Directory, End, Hotline, IdentityHeader, IdentityRules, Mark, MissedReason, OnHold,
    Stage, Update, WithheldNumbers,
};
use taktd::pipeline::signalling::Signalling;
use taktd::sources::pcap::{Capture, Progress};
use taktd::units::{DialPlan, Direction, KeyedState, Message, Observation, Seconds, Timestamp, Word};

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
    let (mut place, mut kept) = (0, BTreeMap::new());
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
        // Kept as the daemon keeps it: what changed since the last cut.
        let (snapshots, news) = signalling.not_kept();
        for (name, part) in snapshots {
            let bytes = if part.is_gone() { kept.remove(&name) } else { kept.insert(name.clone(), part.body.clone()) };
            assert!(name == "sip" || bytes != Some(part.body), "{name} had not changed");
        }
        let whole = kept.values().flatten().copied().collect::<Vec<u8>>();
        assert_eq!(whole, signalling.write(), "the parts are the whole");
        signalling = Signalling::read(&whole, directory(), 100_000, key).expect("the snapshot reads");
        signalling.is_kept(news);
    }
    signalling.finish(&mut updates);
    take(&mut updates);
    calls
}

/// What a capture cannot tell, and why. (Folder, capture, call, the fault.)
const UNTOLD: &[(&str, &str, &str, &str)] = &[
    // A trace per dialog leaves out what the proxy's transactions repeat: the desk's BYE without an answer looks like one whose
    // answer was not captured (`the_trace_of_a_lost_party_holds_nothing_but_the_bye`). Talk ends with that BYE all the same.
    ("tests/recordings/kamailio", "hep.pcap", "K18", "LostParty is marked: false"),
];

/// A call as its parties saw it, by their own logs.
struct Truth {
    id: String,
    scenario: String,
    caller: String,
    called: String,
    direction: Direction,
    started: f64,
    /// With people: consultation and hold included, as the hotlines here have it.
    talk: f64,
    /// All the rest, from the first INVITE to the end: ringing, queue, between two agents.
    wait: f64,
    /// Who talked to the outside party, in order, each once.
    agents: Vec<String>,
    missed: Option<MissedReason>,
}

impl Truth {
    /// `None` for what is no call of a hotline: internal, to a number nobody has, a registration.
    fn of(call: &Value) -> Option<Self> {
        let text = |key: &str| call[key].as_str().unwrap_or_default().to_owned();
        let number = |key: &str| call[key].as_f64();
        let (id, scenario, caller, did) = (text("id"), text("scenario"), text("caller"), text("did"));
        let (inbound, dialled) = (did.starts_with('+'), text("dialled_as"));
        let outbound = !inbound && caller.starts_with("20") && !dialled.is_empty();
        if ["wrong-number", "internal"].contains(&scenario.as_str()) || !(inbound || outbound) {
            return None;
        }
        let talk = number("with_people_s").or(number("talk_s")).unwrap_or(0.0);
        let (started, ended) = (number("t_invite").expect("a time"), number("t_end").expect("a time"));
        let words = |list: &Value| list.as_array().expect("a list").iter().filter_map(Value::as_str).map(str::to_owned).collect();
        let mut agents: Vec<String> = match (&call["segments"], &call["answered_by"]) {
            (Value::Array(segments), _) => segments.iter().filter_map(|segment| segment["who"].as_str()).map(str::to_owned).collect(),
            (_, answered_by) if inbound => words(answered_by),
            _ => (talk > 0.0).then(|| caller.clone()).into_iter().collect(),
        };
        agents.dedup();
        // Of two who answer at one moment, neither is first.
        if call["dialogs_answered"].as_u64().is_some_and(|answered| answered > 1) {
            agents.sort();
        }
        let missed = match text("hung_up").as_str() {
            _ if talk > 0.0 => None,
            "cancelled by caller" => Some(MissedReason::Canceled),
            "refused 486" => Some(MissedReason::Busy),
            "refused 403" | "refused 603" => Some(MissedReason::Declined),
            // Answered by the switch, and by nobody else: a mailbox once the phone had rung in vain, or a queue.
            _ if scenario == "direct-voicemail" => Some(MissedReason::NoAnswer),
            _ => Some(MissedReason::Abandoned),
        };
        let (called, direction) = if inbound { (did, Direction::In) } else { (dialled, Direction::Out) };
        Some(Self { id, scenario, caller, called, direction, started, talk, wait: ended - started - talk, agents, missed })
    }

    fn is_lost(&self) -> bool {
        self.scenario.starts_with("lost-")
    }

    /// Talk as design.md §3 ranks the ends of a lost party: the first BYE on either leg. `truth.json` counts until the agent's
    /// phone was released; a switch that watches a session timer hangs up on the caller before.
    fn talk_to_the_first_bye(&self) -> f64 {
        match self.scenario.as_str() {
            // The caller was to refresh: after the interval of 90 s less a third of it (RFC 4028 §10).
            "lost-caller-timer-peer" => 60.0,
            // The switch refreshes after half of it, and repeats that for 32 s (RFC 3261 §17.1.2.2).
            "lost-caller-timer-pbx" => 77.0,
            _ => self.talk,
        }
    }

    fn is(&self, call: &Call, plan: &DialPlan) -> bool {
        let caller = match call.direction {
            Direction::In => call.caller == plan.normalize(self.caller.as_bytes()),
            Direction::Out => call.caller_raw.as_str() == self.caller,
        };
        let started = Timestamp::from_micros((self.started * 1e6) as i64);
        caller && call.called == plan.normalize(self.called.as_bytes()) && call.started_at.since(started).abs() < 100_000
    }

    /// What a record of this call says otherwise.
    fn faults(&self, call: &Call) -> Vec<String> {
        let (talk, wait) = (talk_of(call), wait_of(call));
        let mut agents: Vec<String> = call.talks.iter().map(|talk| talk.agent.to_string()).collect();
        agents.dedup();
        if self.agents.is_sorted() {
            agents.sort();
        }
        let first_bye = self.talk_to_the_first_bye();
        // How legs were joined, and that somebody passed the caller on, takes nothing from the times.
        let doubts = [Mark::AnswerUnseen, Mark::Guessed, Mark::Ambiguous, Mark::HotlineUnseen];
        let doubted: Vec<Mark> = call.marks.iter().copied().filter(|mark| doubts.contains(mark)).collect();
        let marked = |mark: Mark| call.marks.contains(&mark);
        let facts = [
            (Mark::LostParty, self.is_lost()),
            (Mark::Transfer, self.scenario.contains("transfer")),
            (Mark::Forward, self.scenario.contains("forwarded")),
            (Mark::ClickToCall, self.scenario == "click-to-call"),
        ];
        let mut faults = Vec::new();
        let mut note = |wrong: bool, what: String| {
            if wrong {
                faults.push(what);
            }
        };
        note(call.direction != self.direction, format!("direction {:?}", call.direction));
        note((talk - first_bye).abs() > 1.0, format!("talk {talk:.3}, should be {first_bye:.3}"));
        note(talk > self.talk + 1.0, format!("talk {talk:.3}, later than {:.3}", self.talk));
        note((wait - self.wait).abs() > 1.0, format!("wait {wait:.3}, should be {:.3}", self.wait));
        note(agents != self.agents, format!("agents {agents:?}, should be {:?}", self.agents));
        note(call.missed != self.missed, format!("missed {:?}, should be {:?}", call.missed, self.missed));
        // In every recording a BYE, a CANCEL or a refusal was seen.
        note(call.end != End::Observed, format!("end {:?}", call.end));
        note(!doubted.is_empty() || call.correlation == Correlation::Guess, format!("{:?}, {doubted:?}", call.correlation));
        for (mark, expected) in facts {
            note(marked(mark) != expected, format!("{mark:?} is marked: {}", marked(mark)));
        }
        faults
    }
}

fn truth(folder: &str) -> Vec<Truth> {
    let text = std::fs::read_to_string(Path::new(folder).join("truth.json")).expect("truth is there");
    let value: Value = serde_json::from_str(&text).expect("JSON");
    value["calls"].as_array().expect("calls").iter().filter_map(Truth::of).collect()
}

fn talk_of(call: &Call) -> f64 {
    call.talk_micros(Timestamp::from_micros(i64::MAX)) as f64 / 1e6
}

fn wait_of(call: &Call) -> f64 {
    call.ended_at.expect("it is over").since(call.started_at) as f64 / 1e6 - talk_of(call)
}

/// The table of one recording: what the parties saw, and how far the record is from it.
pub fn table(folder: &str, capture: &str) -> (String, Vec<String>) {
    let calls = replay(&format!("{folder}/{capture}"), &[]);
    let mut lines = format!("{:<28} {:>8} {:>7} {:>7} {:>7}  who, how it ended, how it was joined\n", "call", "talk", "", "wait", "");
    let mut wrong = Vec::new();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let plan = DialPlan::new("DE", "89").expect("known");
    for truth in truth(folder) {
        let fitting: Vec<&Call> = calls.values().filter(|call| truth.is(call, &plan)).collect();
        let [call] = fitting.as_slice() else {
            wrong.push(format!("{} {}: found {} times", truth.id, truth.scenario, fitting.len()));
            continue;
        };
        *seen.entry(call.id.to_string()).or_default() += 1;
        let (talk, wait) = (talk_of(call) - truth.talk, wait_of(call) - truth.wait);
        let outcome = call.missed.map_or_else(|| truth.agents.join(" "), |missed| missed.word().to_owned());
        let marks: String = call.marks.iter().map(|mark| format!(" {}", mark.word())).collect();
        lines += &format!(
            "{:<28} {:>8.3} {talk:>+7.3} {:>7.3} {wait:>+7.3}  {} {outcome}, {}, {}{marks}\n",
            format!("{} {}", truth.id, truth.scenario),
            truth.talk,
            truth.wait,
            call.direction.as_str(),
            call.end.word(),
            call.correlation.word(),
        );
        let untold = UNTOLD.iter().filter(|(of, by, id, _)| (*of, *by, *id) == (folder, capture, truth.id.as_str()));
        let untold: Vec<&str> = untold.map(|(.., fault)| *fault).collect();
        let (excused, faults): (Vec<String>, Vec<String>) =
            truth.faults(call).into_iter().partition(|fault| untold.contains(&fault.as_str()));
        wrong.extend(faults.iter().map(|fault| format!("{} {}: {fault}", truth.id, truth.scenario)));
        if excused.len() != untold.len() {
            wrong.push(format!("{}: {untold:?} is told after all, and has to leave the list", truth.id));
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

/// That the mark of K18 is missing there is the trace's doing: of the desk's BYE it holds the way in and the way out, and neither
/// a repeat nor any answer, though each BYE of the other calls has its answer in the trace. (That an answer is missing proves
/// nothing by itself: a datagram of the trace may be lost as well, and the end of a trace loses many.)
#[test]
fn the_trace_of_a_lost_party_holds_nothing_but_the_bye() {
    let trace = |name: &str| {
        let said = messages(&format!("tests/recordings/kamailio/{name}"));
        let texts = said.into_iter().map(|sent| String::from_utf8_lossy(&sent.payload).into_owned());
        texts.filter(|text| text.contains("507809fd96cd4fc5855a-1@") && text.contains(" BYE\r\n")).collect::<Vec<_>>()
    };
    let (traced, wire) = (trace("hep.pcap"), trace("sip.pcap"));
    let ways: BTreeSet<&str> = traced.iter().filter_map(|text| text.lines().find(|line| line.starts_with("Via:"))).collect();
    assert!(traced.iter().all(|text| text.starts_with("BYE ")), "{traced:#?}");
    assert_eq!(ways.len(), 2, "in and out: {traced:#?}");
    assert!(wire.len() > 10, "the wire has the repeats: {}", wire.len());
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

/// A message as it was captured.
struct Sent {
    at: Timestamp,
    source: SocketAddr,
    destination: SocketAddr,
    payload: Vec<u8>,
}

/// All SIP messages of a capture.
fn messages(path: &str) -> Vec<Sent> {
    let mut messages = Vec::new();
    let mut capture = Capture::new(path, File::open(path).expect("the recording is there"));
    let progress = capture.advance(u64::MAX, |packet| {
        let Observation::Sip(Message { captured_at: at, source, destination, payload, .. }) = packet.observation;
        messages.push(Sent { at, source, destination, payload: payload.to_vec() });
        ControlFlow::Continue(())
    });
    progress.expect("it reads");
    messages
}

/// The calls that messages come to, in the order in which they are given.
fn heard(messages: &[&Sent]) -> Vec<Call> {
    let mut signalling = Signalling::new(directory(), 100_000, KeyedState::new(7));
    let mut updates = Vec::new();
    for Sent { at, source, destination, payload } in messages {
        let message = Message { captured_at: *at, source: *source, destination: *destination, correlation: None, payload };
        signalling.observe(&message, *at, &mut updates);
    }
    signalling.finish(&mut updates);
    updates.retain(|update| update.stage == Stage::Concluded);
    let mut calls: Vec<Call> = updates.into_iter().map(|update| update.call).collect();
    calls.sort_by(|one, other| one.id.as_str().cmp(other.id.as_str()));
    calls
}

/// Whether two ways of hearing a call come to the same, but for so many microseconds.
fn alike(one: &Call, other: &Call, micros: i64) -> bool {
    let agents = |call: &Call| call.talks.iter().map(|talk| talk.agent.clone()).collect::<Vec<_>>();
    let near = |one: f64, other: f64| (one - other).abs() * 1e6 <= micros as f64;
    let told = |call: &Call| (call.id.clone(), call.direction, agents(call), call.missed, call.end, call.correlation, call.marks.clone());
    told(one) == told(other) && near(talk_of(one), talk_of(other)) && near(wait_of(one), wait_of(other))
}

#[test]
fn packets_out_of_order_within_a_window_change_nothing() {
    // Behind a proxy, the hops of one INVITE have to come in order: the first one read is the caller's own.
    let windows = [2_000, 5_000];
    for capture in ["tests/recordings/asterisk-16/sip.pcap", "tests/recordings/asterisk-22/sip.pcap"] {
        let sent = messages(capture);
        let in_order = heard(&sent.iter().collect::<Vec<_>>());
        for window in windows {
            for seed in 1..4u64 {
                let mut dice = seed;
                let mut delay = || {
                    dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    i64::try_from(dice >> 33).expect("31 bits") % window
                };
                let mut arrived: Vec<(i64, &Sent)> = sent.iter().map(|sent| (sent.at.micros() + delay(), sent)).collect();
                arrived.sort_by_key(|(at, _)| *at);
                let arrived: Vec<&Sent> = arrived.into_iter().map(|(_, sent)| sent).collect();
                let calls = heard(&arrived);
                let missing: Vec<&Call> = in_order.iter().filter(|call| !calls.iter().any(|other| alike(call, other, window))).collect();
                let instead: Vec<&Call> = calls.iter().filter(|call| !in_order.iter().any(|other| alike(call, other, window))).collect();
                assert!(
                    missing.is_empty() && instead.is_empty(),
                    "{capture}, {window} us, seed {seed}: {missing:#?} instead of which {instead:#?}"
                );
            }
        }
    }
}
