//! The torture messages of RFC 4475 on the wire: each by its name, alone, and all of them in the middle of a call.

use crate::sip::event::{LegEvent, LegEventKind};
use crate::sip::{Dialogs, Observed, Options};
use crate::units::{KeyedState, Message, Timestamp};
use std::collections::BTreeSet;

/// The messages, and what each is.
const TEXT: &str = include_str!("../../../tests/cases/rfc4475.txt");

/// Name, meaning and text of each.
fn messages() -> Vec<(&'static str, &'static str, String)> {
    let messages = TEXT.split("\n=== ").skip(1);
    let parts = messages.map(|message| {
        let (head, text) = message.split_once('\n').expect("a head");
        let (name, meaning) = head.split_once(' ').expect("a name and a meaning");
        (name, meaning, format!("{text}\n"))
    });
    parts.collect()
}

/// The bytes of a message: CRLF for each line end, and the byte for what stands in braces.
fn bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        let byte = |high: u8, low: u8| u8::from_str_radix(std::str::from_utf8(&[high, low]).ok()?, 16).ok();
        match (first, after) {
            (b'\n', _) => bytes.extend_from_slice(b"\r\n"),
            (b'{', [high, low, b'}', after @ ..]) if byte(*high, *low).is_some() => {
                bytes.extend(byte(*high, *low));
                rest = after;
            }
            _ => bytes.push(*first),
        }
    }
    bytes
}

fn dialogs() -> Dialogs {
    Dialogs::new(Options { contract_header: None, leg_headers: vec!["session-id".into()], max_legs: 100, key: KeyedState::new(2) })
}

fn observe(dialogs: &mut Dialogs, second: i64, payload: &[u8]) -> (Observed, Vec<LegEvent>) {
    let address = "192.0.2.1:5060".parse().expect("an address");
    let captured_at = Timestamp::from_micros(second * 1_000_000);
    let mut out = Vec::new();
    dialogs.expire(captured_at, &mut out);
    let observed = dialogs.observe(&Message { captured_at, source: address, destination: address, correlation: None, payload }, &mut out);
    (observed, out)
}

#[test]
fn every_message_means_what_it_means_to_a_meter() {
    let messages = messages();
    assert_eq!(messages.iter().map(|(name, ..)| *name).collect::<BTreeSet<_>>().len(), 49);
    for (name, meaning, text) in messages {
        let (observed, events) = observe(&mut dialogs(), 0, &bytes(&text));
        let invited: Vec<(&str, &str)> = events
            .iter()
            .map(|event| match &event.kind {
                LegEventKind::Invited(invitation) => (invitation.from.number.as_str(), invitation.request_user.as_str()),
                other => panic!("{name}: {other:?}"),
            })
            .collect();
        let right = match (meaning.strip_prefix("call ").and_then(|ends| ends.split_once(" > ")), meaning) {
            // Of a number, no more than 64 bytes are kept.
            (Some((from, to)), _) => observed == Observed::Call && invited == [(from.get(..64).unwrap_or(from), to)],
            (_, "maybe") => matches!(observed, Observed::Call | Observed::Malformed) && invited.len() <= 1,
            (_, "nothing") => observed == Observed::NoCall && invited.is_empty(),
            (_, "stranger") => observed == Observed::UnknownDialog && invited.is_empty(),
            (_, "malformed") => observed == Observed::Malformed && invited.is_empty(),
            (_, "refused") => matches!(observed, Observed::Malformed | Observed::NoCall) && invited.is_empty(),
            (_, other) => panic!("{name}: what is {other}?"),
        };
        assert!(right, "{name}: {observed:?}, {invited:?}");
    }
}

#[test]
fn none_of_them_touches_a_call_that_runs() {
    let say = |first: &str, cseq: &str, tag: &str| {
        bytes(&format!(
            "{first}\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx\nFrom: <sip:a@x>;tag=f\nTo: <sip:b@x>{tag}\nCall-ID: c\nCSeq: {cseq}\n\n"
        ))
    };
    let mut table = dialogs();
    observe(&mut table, 0, &say("INVITE sip:b@x SIP/2.0", "1 INVITE", ""));
    observe(&mut table, 1, &say("SIP/2.0 200 OK", "1 INVITE", ";tag=t"));
    for (name, _, text) in messages() {
        // As they are, and as if they were of this very call.
        for payload in [bytes(&text), bytes(&text.replace(&format!("{name}."), "c\nX-Was: "))] {
            let (_, events) = observe(&mut table, 2, &payload);
            assert!(events.iter().all(|event| event.leg.0 != 0), "{name}: {events:?}");
        }
    }
    let (_, events) = observe(&mut table, 3, &say("BYE sip:b@x SIP/2.0", "2 BYE", ";tag=t"));
    assert!(matches!(events.as_slice(), [LegEvent { kind: LegEventKind::Bye { dialog: Some(_), .. }, .. }]), "{events:?}");
}
