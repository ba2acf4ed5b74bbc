//! Real recordings through the dialogs, against what the parties themselves logged (`truth.json` beside them).

use super::{Dialogs, Observed, Options};
use crate::sip::event::{BranchId, LegEvent, LegEventKind, LegId};
use crate::units::codec::{Reader, Writer};
use crate::units::{KeyedState, Message, Timestamp};
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

const ASTERISK: (&[u8], &str) =
    (include_bytes!("../../../tests/recordings/asterisk-16/sip.pcap"), include_str!("../../../tests/recordings/asterisk-16/truth.json"));
const KAMAILIO: (&[u8], &str) =
    (include_bytes!("../../../tests/recordings/kamailio/sip.pcap"), include_str!("../../../tests/recordings/kamailio/truth.json"));
/// Where the lab's HEP packets went.
const HEP: u16 = 9_060;

/// The SIP messages of a pcap file: microseconds, little endian, Ethernet, IPv4, UDP, which is what the lab wrote.
fn messages(file: &[u8]) -> Vec<Message<'_>> {
    let little = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().unwrap());
    let big = |bytes: &[u8]| u16::from_be_bytes(bytes.try_into().unwrap());
    let address = |ip: &[u8], port| SocketAddr::new(IpAddr::V4(Ipv4Addr::new(ip[0], ip[1], ip[2], ip[3])), port);
    assert_eq!((little(&file[..4]), little(&file[20..24])), (0xa1b2_c3d4, 1));
    let (mut found, mut rest) = (Vec::new(), &file[24..]);
    while !rest.is_empty() {
        let (head, after) = rest.split_at(16);
        let (frame, after) = after.split_at(usize::try_from(little(&head[8..12])).unwrap());
        rest = after;
        let ip = &frame[14..];
        let udp = &ip[usize::from(ip[0] & 15) * 4..];
        let (source, destination) = (address(&ip[12..16], big(&udp[..2])), address(&ip[16..20], big(&udp[2..4])));
        if ip[9] == 17 && destination.port() != HEP {
            let captured_at = Timestamp::from_parts(little(&head[..4]), little(&head[4..8]));
            let payload = &udp[8..usize::from(big(&udp[4..6]))];
            found.push(Message { captured_at, source, destination, correlation: None, payload });
        }
    }
    found
}

fn options() -> Options {
    Options { contract_header: None, leg_headers: Vec::new(), max_legs: 10_000, key: KeyedState::new(3) }
}

fn play(messages: &[Message<'_>], cut: Option<usize>) -> Vec<LegEvent> {
    let (mut dialogs, mut out) = (Dialogs::new(options()), Vec::new());
    for (place, message) in messages.iter().enumerate() {
        if cut == Some(place) {
            let mut bytes = Writer::new();
            dialogs.write(&mut bytes);
            dialogs = Dialogs::read(&mut Reader::new(&bytes.finish()), options()).expect("what was written");
        }
        dialogs.expire(message.captured_at, &mut out);
        let observed = dialogs.observe(message, &mut out);
        assert!(!matches!(observed, Observed::Malformed | Observed::TooMany), "{observed:?}: {}", message.payload.escape_ascii());
    }
    dialogs.expire(messages.last().map_or(Timestamp::default(), |last| last.captured_at).plus_micros(100_000_000), &mut out);
    out
}

/// What was told about each Call-ID.
fn by_call_id(events: &[LegEvent]) -> BTreeMap<String, Vec<LegEvent>> {
    let mut names: BTreeMap<LegId, String> = BTreeMap::new();
    let mut legs: BTreeMap<String, Vec<LegEvent>> = BTreeMap::new();
    for event in events {
        if let LegEventKind::Invited(invitation) = &event.kind {
            names.insert(event.leg, String::from_utf8(invitation.call_id.to_vec()).unwrap());
        }
        legs.entry(names.get(&event.leg).expect("invited first").clone()).or_default().push(event.clone());
    }
    legs
}

/// The times of the events that `pick` takes.
fn times(events: &[LegEvent], pick: impl Fn(&LegEventKind) -> bool) -> Vec<Timestamp> {
    events.iter().filter(|event| pick(&event.kind)).map(|event| event.at).collect()
}

fn near(at: Timestamp, seconds: &Value) -> bool {
    let text = seconds.to_string();
    let (whole, part) = text.split_once('.').unwrap_or((&text, "0"));
    let micros = |text: &str| text.parse::<i64>().expect("digits");
    let truth = Timestamp::from_micros(micros(whole) * 1_000_000 + micros(&format!("{part:0<6.6}")));
    at.since(truth).abs() < 30_000
}

/// Whether the leg was told as its party saw it.
fn check_leg(leg: &Value, events: &[LegEvent]) {
    let invited = times(events, |kind| matches!(kind, LegEventKind::Invited(_)));
    assert!(matches!(invited.as_slice(), [at] if near(*at, &leg["invite"])), "{leg}");
    let answered = times(events, |kind| matches!(kind, LegEventKind::Answered { .. }));
    let refused = |status: u64| {
        events.iter().any(|event| match &event.kind {
            LegEventKind::Refused { branch: BranchId(0), status: found, .. } => u64::from(*found) == status,
            LegEventKind::Redirected { branch: BranchId(0), .. } => status == 302,
            _ => false,
        })
    };
    match leg["final"].as_u64() {
        Some(200) => assert!(matches!(answered.as_slice(), [at] if near(*at, &leg["answer"])), "{leg}: {events:?}"),
        Some(status) => assert!(answered.is_empty() && refused(status), "{leg}: {events:?}"),
        None => assert!(answered.is_empty(), "{leg}: {events:?}"),
    }
    if leg["ended_by"].as_str().is_some_and(|by| by.ends_with("BYE")) {
        let ended = times(events, |kind| matches!(kind, LegEventKind::Bye { dialog: Some(_), .. }));
        assert!(matches!(ended.as_slice(), [at] if near(*at, &leg["end"])), "{leg}: {events:?}");
    }
    let canceled = !times(events, |kind| matches!(kind, LegEventKind::Canceled { .. })).is_empty();
    assert_eq!(canceled, leg["ended_by"].as_str().is_some_and(|by| by.ends_with("CANCEL")), "{leg}: {events:?}");
}

#[test]
fn a_pbx_is_told_leg_by_leg() {
    let events = play(&messages(ASTERISK.0), None);
    let legs = by_call_id(&events);
    let truth: Value = serde_json::from_str(ASTERISK.1).unwrap();
    let mut checked = 0;
    for leg in truth["calls"].as_array().unwrap().iter().flat_map(|call| call["legs"].as_array().unwrap()) {
        let Some(events) = leg["sip_call_id"].as_str().and_then(|name| legs.get(name)) else {
            // Desks that registered, and were never part of a call.
            assert_eq!(leg["final"].as_u64().filter(|_| leg["invite"].is_number()), None, "{leg}");
            continue;
        };
        check_leg(leg, events);
        checked += 1;
    }
    // The phone without power in A21 logged nothing; its leg is in the recording all the same.
    assert_eq!((checked, legs.len()), (95, 96));
}

#[test]
fn a_pbx_tells_of_transfers_holds_and_lost_parties() {
    let events = play(&messages(ASTERISK.0), None);
    let count = |pick: fn(&LegEventKind) -> bool| times(&events, pick).len();
    // A08, A09 blind; A10 attended.
    assert_eq!(count(|kind| matches!(kind, LegEventKind::Referred { replaces: None, .. })), 2);
    assert_eq!(count(|kind| matches!(kind, LegEventKind::Referred { replaces: Some(_), .. })), 1);
    // A10, A12, A23.
    assert_eq!(count(|kind| matches!(kind, LegEventKind::Held { .. })), 3);
    assert_eq!(count(|kind| matches!(kind, LegEventKind::Resumed { .. })), 2);
    // A37 to A41: the lost callers and the lost agent.
    assert_eq!(count(|kind| matches!(kind, LegEventKind::Gone { .. })), 5);
    assert_eq!(count(|kind| matches!(kind, LegEventKind::Expired { .. })), 0);
    // A34.
    assert_eq!(count(|kind| matches!(kind, LegEventKind::Redirected { target: Some(_), .. })), 1);
}

#[test]
fn the_dialog_that_a_transfer_takes_over_is_found() {
    let messages = messages(ASTERISK.0);
    let (mut dialogs, mut out) = (Dialogs::new(options()), Vec::new());
    for message in &messages {
        let before = out.len();
        dialogs.observe(message, &mut out);
        for event in out.get(before..).unwrap_or_default() {
            if let LegEventKind::Referred { replaces: Some(replaces), .. } = &event.kind {
                let named = dialogs.leg_of(replaces).expect("the consultation");
                assert!(named != event.leg);
                return;
            }
        }
    }
    panic!("there is an attended transfer in the recording");
}

#[test]
fn a_proxy_is_told_once_however_often_it_is_seen() {
    let events = play(&messages(KAMAILIO.0), None);
    let legs = by_call_id(&events);
    let truth: Value = serde_json::from_str(KAMAILIO.1).unwrap();
    let calls = truth["calls"].as_array().unwrap();
    assert_eq!(legs.len(), calls.len());
    for call in calls {
        let events = legs.get(call["sip_call_id"].as_str().unwrap()).expect("a leg");
        assert_eq!(times(events, |kind| matches!(kind, LegEventKind::Invited(_))).len(), 1, "{call}");
        let answered = times(events, |kind| matches!(kind, LegEventKind::Answered { branch: Some(_), .. }));
        assert_eq!(answered.len(), call["answered_by"].as_array().unwrap().len(), "{call}: {events:?}");
        let ended = times(events, |kind| matches!(kind, LegEventKind::Bye { dialog: Some(_), .. }));
        assert_eq!(ended.len(), answered.len(), "{call}: {events:?}");
        match (answered.first(), ended.last()) {
            (Some(from), Some(to)) => {
                assert!(near(*from, &call["t_answer"]) && near(*to, &call["t_end"]), "{call}: {events:?}");
            }
            _ => {
                let own = |kind: &LegEventKind| matches!(kind, LegEventKind::Refused { branch: BranchId(0), .. });
                assert_eq!(times(events, own).len(), 1, "{call}: {events:?}");
            }
        }
        // Each desk that was asked is a branch, by its number.
        let asked = times(events, |kind| matches!(kind, LegEventKind::Forked { .. })).len();
        let agents = call["legs"].as_array().unwrap().iter().filter(|leg| leg["side"] == "called").count();
        assert!(asked >= agents, "{call}: {events:?}");
    }
}

#[test]
fn each_message_twice_tells_the_same_but_for_the_byes_repeated() {
    for (file, _) in [ASTERISK, KAMAILIO] {
        let once = messages(file);
        let doubled: Vec<Message<'_>> = once
            .iter()
            .flat_map(|message| std::iter::repeat_n(*message, if message.payload.starts_with(b"BYE") { 1 } else { 2 }))
            .collect();
        assert_eq!(play(&doubled, None), play(&once, None));
    }
}

#[test]
fn a_snapshot_at_any_message_changes_nothing() {
    let messages = messages(KAMAILIO.0);
    let whole = play(&messages, None);
    for cut in 0..messages.len() {
        assert_eq!(play(&messages, Some(cut)), whole, "cut before message {cut}");
    }
}
