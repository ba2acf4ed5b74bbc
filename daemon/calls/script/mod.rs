//! Calls as small scripts: what happens on legs in, calls out.
//!
//! A line is `TIME LEG WHAT …`, a leg is a letter. `invite FROM > TO` begins one; `key=value` says what else its INVITE
//! holds; `LEG kin NAME` says that a switch knows it as one of that conversation. The provider is 10.0.0.1, the switch 10.0.0.2, a phone 10.0.0.3. `TIME now` lets time pass, `final` ends all.
//! Every script is also run with a snapshot written and read back before each line: nothing may change.

mod agents;
mod ends;
mod joins;
mod noise;
mod release;
mod takeovers;
mod transfers;

use super::*;
use crate::sip::{BranchId, DialogId, Identity, Invitation, LegEvent, LegEventKind, LegId, Privacy, Reason, Replaces, Side};
use crate::units::codec::{Reader, Writer};
use crate::units::{DialPlan, Direction, RawNumber, Seconds, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::SocketAddr;

pub(super) fn directory() -> Directory {
    let dial_plan = DialPlan::new("DE", "89").expect("known");
    let hotline = |number: &str, name: &str, bill_from: BillFrom, hold: OnHold, hours: u64| Hotline {
        number: dial_plan.pattern(number).expect("a number"),
        name: name.into(),
        service: "support".into(),
        severity: None,
        bill_from,
        max_call: Seconds::new(hours * 3_600),
        hold,
        queues: Vec::new(),
    };
    Directory {
        hotlines: vec![
            hotline("555010", "Support", BillFrom::Agent, OnHold::Talk, 4),
            hotline("555011", "Hold", BillFrom::Agent, OnHold::Wait, 4),
            hotline("555012", "Answer", BillFrom::Answer, OnHold::Talk, 4),
            hotline("555013", "Short", BillFrom::Agent, OnHold::Talk, 1),
        ],
        agents: vec![
            Agent { number: AgentPattern::Block("20".into()), level: Some(1) },
            Agent { number: AgentPattern::Outside(dial_plan.normalize(b"+491711").expect("a number")), level: Some(2) },
        ],
        identity: IdentityRules {
            headers: vec![IdentityHeader::PAsserted, IdentityHeader::RemoteParty, IdentityHeader::From],
            trusted_peers: vec![("10.0.0.1".parse().expect("an address"), 32)],
            withheld: WithheldNumbers::Ignore,
            contract_header: None,
            leg_headers: vec!["x-cid".into()],
        },
        dial_plan,
    }
}

pub(super) fn time(text: &str) -> Timestamp {
    let (seconds, millis) = text.split_once('.').unwrap_or((text, "0"));
    let millis: i64 = format!("{millis:0<3}").parse().expect("milliseconds");
    Timestamp::from_micros(1_000_000_000 + seconds.parse::<i64>().expect("seconds") * 1_000_000 + millis * 1_000)
}

pub(super) fn shown(at: Timestamp) -> String {
    let millis = (at.micros() - 1_000_000_000) / 1_000;
    if millis % 1_000 == 0 {
        format!("{}", millis / 1_000)
    } else {
        format!("{}.{:03}", millis / 1_000, millis % 1_000).trim_end_matches('0').to_owned()
    }
}

fn leg(name: &str) -> LegId {
    LegId(u64::from(name.bytes().next().expect("a letter")))
}

fn raw(text: &str) -> RawNumber {
    RawNumber::from_bytes(text.as_bytes())
}

fn event(line: &str) -> Option<LegEvent> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (&[at, name, what], rest) = (words.first_chunk::<3>()?, &words[3..]);
    let value = |key: &str| rest.iter().find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
    let first = || rest.first().copied().unwrap_or_else(|| panic!("too short: {line}"));
    let dialog = DialogId(value("d").map_or(0, |number| number.parse().expect("a number")));
    let branch = value("b").map(|number| BranchId(number.parse().expect("a number")));
    let by = if rest.contains(&"caller") { Side::Caller } else { Side::Callee };
    let reason = value("reason").map(|cause| Reason::Q850(cause.parse().expect("a cause")));
    let names = value("name").map(raw);
    let kind = match what {
        "invite" => LegEventKind::Invited(Box::new(invitation(name, rest))),
        "fork" => LegEventKind::Forked { branch: branch?, target: raw(first()) },
        "ring" => LegEventKind::Ringing { branch, connected: names },
        "answer" => LegEventKind::Answered { dialog, branch: Some(branch.unwrap_or(BranchId(0))), connected: names },
        "named" => LegEventKind::Connected { by, number: raw(first()) },
        "redirect" => LegEventKind::Redirected { branch: branch.unwrap_or(BranchId(0)), target: Some(raw(first())) },
        "refuse" => LegEventKind::Refused { branch: branch.unwrap_or(BranchId(0)), status: first().parse().expect("a status"), reason },
        "cancel" => LegEventKind::Canceled { reason },
        "hold" => LegEventKind::Held { dialog, by },
        "resume" => LegEventKind::Resumed { dialog, by },
        "refer" => {
            let of = |name: &str| Replaces { call_id: name.as_bytes().into(), to_tag: (*b"t").into(), from_tag: (*b"f").into() };
            LegEventKind::Referred { dialog, by, target: raw(first()), replaces: value("replaces").map(of) }
        }
        "bye" => LegEventKind::Bye { dialog: (!rest.contains(&"unseen")).then_some(dialog), by, reason },
        "repeated" => LegEventKind::ByeRepeated { dialog: Some(dialog) },
        "heard" => LegEventKind::ByeAnswered { dialog: Some(dialog) },
        "gone" => LegEventKind::Gone { dialog: Some(dialog) },
        "expired" => LegEventKind::Expired { dialog, proof_of_life: time(first()) },
        _ => panic!("what is {what}? {line}"),
    };
    Some(LegEvent { leg: leg(name), at: time(at), kind })
}

fn invitation(name: &str, rest: &[&str]) -> Invitation {
    let [from, ">", to] = *rest.first_chunk::<3>().expect("FROM > TO") else { panic!("FROM > TO") };
    let value = |key: &str| rest.iter().find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
    let address =
        |key: &str, default: &str| -> SocketAddr { format!("10.0.0.{}:5060", value(key).unwrap_or(default)).parse().expect("an address") };
    // A leg to a phone or to the outside comes from the switch, one to a hotline from the provider.
    let inbound = to.starts_with("5550");
    Invitation {
        call_id: name.as_bytes().into(),
        from_tag: (*b"f").into(),
        source: address("src", if inbound { "1" } else { "2" }),
        destination: address("dst", if inbound { "2" } else { "3" }),
        request_user: raw(to),
        to_user: raw(value("to").unwrap_or(to)),
        from: Identity { number: raw(from), anonymous: from == "anonymous" },
        asserted: value("pai").map(raw),
        remote_party: value("rpid").map(raw),
        privacy: if rest.contains(&"private") { Privacy::Withheld } else { Privacy::None },
        contract: value("contract").map(Into::into),
        diverted: value("by").map(|by| by.split(',').map(raw).collect()).unwrap_or_default(),
        takes_over: value("over").map(leg),
        leg_keys: value("cid").map(|cid| (0, cid.into())).into_iter().collect(),
        replaces: None,
        correlation: None,
    }
}

/// Plays a script; with `cut`, through a snapshot before that line.
fn play(directory: &Directory, lines: &[&str], cut: Option<usize>) -> (Calls, Vec<Update>) {
    let (mut calls, mut out) = (Calls::new(directory.clone()), Vec::new());
    let mut seen: BTreeMap<LegId, Timestamp> = BTreeMap::new();
    for (place, line) in lines.iter().enumerate() {
        if cut == Some(place) {
            let mut bytes = Writer::new();
            calls.write(&mut bytes);
            let bytes = bytes.finish();
            let mut from = Reader::new(&bytes);
            calls = Calls::read(&mut from, directory.clone()).expect("what was written");
            assert!(from.is_empty());
            let mut again = Writer::new();
            calls.write(&mut again);
            assert_eq!(again.finish(), bytes, "before {line}");
        }
        if *line == "final" {
            calls.finish(&|leg| seen.get(&leg).copied(), &mut out);
            continue;
        }
        let now = time(line.split_whitespace().next().expect("a time"));
        calls.expire(now, &|leg| seen.get(&leg).copied(), &mut out);
        if let [_, leg, "kin", conversation] = line.split_whitespace().collect::<Vec<_>>().as_slice() {
            calls.related(leg.as_bytes(), conversation, now, &mut out);
            continue;
        }
        if let Some(event) = event(line) {
            calls.apply(&event, &mut out);
            if !line.contains(" expired ") && !line.contains(" gone") {
                seen.insert(event.leg, event.at);
            }
        }
    }
    (calls, out)
}

/// `DIRECTION CUSTOMER HOTLINE AGENT:FROM-TO… [missed REASON] END@ how it was joined and what is marked`
fn tell(call: &Call) -> String {
    let customer = if call.direction == Direction::In { &call.caller_raw } else { &call.called_raw };
    let mut text = format!("{} {}", call.direction.as_str(), customer.as_str());
    if call.withheld == Withheld::Yes {
        text.push_str(" withheld");
    }
    write!(text, " {}", call.hotline.as_deref().unwrap_or("-")).expect("writing");
    for talk in &call.talks {
        write!(text, " {}:{}-{}", talk.agent, shown(talk.from), talk.to.map(shown).unwrap_or_default()).expect("writing");
    }
    if let Some(reason) = call.missed {
        write!(text, " {reason:?}").expect("writing");
    }
    if call.end != End::Observed {
        write!(text, " {:?}", call.end).expect("writing");
    }
    if call.billed_from == BilledFrom::Answer {
        text.push_str(" from answer");
    }
    if call.correlation != Correlation::Explicit {
        write!(text, " {:?}", call.correlation).expect("writing");
    }
    for mark in &call.marks {
        write!(text, " {mark:?}").expect("writing");
    }
    text
}

fn told(updates: &[Update]) -> Vec<String> {
    // Each call is connected, ended and concluded in this order, each at most once.
    let ids: BTreeSet<_> = updates.iter().map(|update| &update.call.id).collect();
    for id in ids {
        let stages: Vec<Stage> = updates.iter().filter(|update| update.call.id == *id).map(|update| update.stage).collect();
        let order = |stage: &Stage| match stage {
            Stage::Connected => 0,
            Stage::Ended => 1,
            Stage::Concluded => 2,
        };
        assert!(stages.windows(2).all(|two| order(&two[0]) < order(&two[1])), "{stages:?}");
    }
    let mut calls: Vec<&Call> = updates.iter().filter(|update| update.stage == Stage::Concluded).map(|update| &update.call).collect();
    calls.sort_by_key(|call| (call.started_at, call.id.clone()));
    calls.into_iter().map(tell).collect()
}

fn check_in(directory: &Directory, script: &str, expected: &[&str]) -> Unmetered {
    let lines: Vec<&str> = script.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let (calls, updates) = play(directory, &lines, None);
    assert_eq!(told(&updates), expected, "{script}");
    for cut in 0..lines.len() {
        let (_, again) = play(directory, &lines, Some(cut));
        let both = |updates: &[Update]| updates.iter().map(|one| format!("{:?} {}", one.stage, tell(&one.call))).collect::<Vec<_>>();
        assert_eq!(both(&again), both(&updates), "a snapshot before line {cut}: {script}");
    }
    // Nothing is left behind: neither calls nor their legs.
    if lines.last() == Some(&"9999 now") {
        assert!(calls.is_empty(), "{script}");
        assert!(calls.legs.is_empty(), "legs are left: {:?} {script}", calls.legs);
        let mut bytes = Writer::new();
        calls.index.write(&mut bytes);
        assert_eq!(bytes.finish(), [0, 0], "the index keeps something: {script}");
    }
    calls.unmetered()
}

/// Plays a script until long after it, and compares the calls.
fn check(script: &str, expected: &[&str]) -> Unmetered {
    check_in(&directory(), &format!("{script}\n9999 now"), expected)
}
