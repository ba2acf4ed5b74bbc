//! The recordings of the manager interface against the truth of every call in them.

use super::event::{Said, read};
use super::message::{Framed, Framer};
use crate::calls::ChannelEvent;
use crate::sources::asterisk_cdr::folder;
use crate::sources::channel_recordings::{check, concluded, told};
use std::io::Read as _;

const RECORDINGS: [&str; 4] = ["asterisk-16", "asterisk-22", "asterisk-16-clock/back", "asterisk-16-clock/forth"];

fn log(recording: &str) -> Vec<u8> {
    let file = std::fs::File::open(folder(recording).join("ami.log.gz")).expect("there");
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(file).read_to_end(&mut bytes).expect("unpacks");
    bytes
}

/// The events of a recording, without those of these names.
fn events(recording: &str, without: &[&str]) -> Vec<ChannelEvent> {
    let mut framer = Framer::default();
    let mut events = Vec::new();
    for chunk in log(recording).chunks(1_000) {
        framer.push(chunk);
        while let Some(framed) = framer.next() {
            let Framed::Message(message) = framed else { panic!("{framed:?}") };
            if without.contains(&message.get("Event")) {
                continue;
            }
            match read(&message) {
                Said::Events(more) => events.extend(more),
                Said::Nothing => {}
                Said::Undated => panic!("{message:?}"),
            }
        }
    }
    events
}

#[test]
fn every_call_of_the_recordings_comes_once_and_right() {
    for recording in RECORDINGS {
        check(recording, "ami.log, with the dialplan's events", &events(recording, &[]));
        check(recording, "ami.log", &events(recording, &["Newexten"]));
    }
}

#[test]
fn cut_in_two_at_any_event_the_calls_are_the_same() {
    let events = events("asterisk-22", &["Newexten"]);
    let whole = concluded(&told(&events, &[]));
    for cut in (0..events.len()).step_by(7) {
        assert_eq!(concluded(&told(&events, &[cut])), whole, "cut after event {cut}");
    }
}
