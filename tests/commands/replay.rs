//! Recordings of real switches through `taktd replay`: again, in pieces, and in any order.

use super::{Desk, YEAR, recording, same, text};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Every recording of signalling there is.
const CAPTURES: &[&str] = &[
    "asterisk-16/sip.pcap",
    "asterisk-16/sip-any.pcap",
    "asterisk-16/hep.pcap",
    "asterisk-22/sip.pcap",
    "asterisk-22/hep.pcap",
    "asterisk-16-clock/back/sip.pcap",
    "asterisk-16-clock/back/hep.pcap",
    "asterisk-16-clock/forth/sip.pcap",
    "asterisk-16-clock/forth/hep.pcap",
    "kamailio/sip.pcap",
    "kamailio/hep.pcap",
    "kamailio/all/sip.pcap",
    "kamailio/all/hep.pcap",
];

/// A capture's global header and its packets (classic pcap, little endian).
pub(super) fn packets(file: &[u8]) -> (&[u8], Vec<&[u8]>) {
    assert_eq!(&file[..4], [0xd4, 0xc3, 0xb2, 0xa1], "a pcap with microseconds, little endian");
    let (head, mut rest) = file.split_at(24);
    let mut packets = Vec::new();
    while rest.len() >= 16 {
        let length = u32::from_le_bytes(rest[8..12].try_into().expect("four")) as usize;
        let (packet, after) = rest.split_at(16 + length);
        packets.push(packet);
        rest = after;
    }
    assert!(rest.is_empty());
    (head, packets)
}

/// Pieces of a capture, each a capture.
pub(super) fn pieces(desk: &Desk, file: &[u8], cuts: &[usize]) -> Vec<PathBuf> {
    let (head, packets) = packets(file);
    let ends = cuts.iter().copied().chain([packets.len()]);
    let mut begin = 0;
    let mut paths = Vec::new();
    for (place, end) in ends.enumerate() {
        let bytes: Vec<u8> = head.iter().chain(packets[begin..end].iter().flat_map(|packet| packet.iter())).copied().collect();
        let path = desk.path(&format!("piece-{place}.pcap"));
        std::fs::write(&path, bytes).expect("written");
        paths.push(path);
        begin = end;
    }
    paths
}

fn check(capture: &str) {
    let file = std::fs::read(recording(capture)).expect("it is there");
    let once = Desk::new();
    once.replay(recording(capture)).fine();
    let (calls, export, all) = (once.calls(), once.export(YEAR), once.export(&[]));
    assert!(!calls.is_empty() && export.len() == 3, "{capture}");
    let names: BTreeSet<&str> = calls.iter().map(|call| text(call, "call_id")).collect();
    assert_eq!(names.len(), calls.len(), "{capture}: each call once");
    once.verified();

    once.replay(recording(capture)).fine();
    same(&once.calls(), &calls, &format!("{capture}: twice"));
    assert!(once.export(YEAR) == export, "{capture}: the export after a second replay");
    assert!(once.export(&[]) == all, "{capture}: nothing is posted twice");
    once.verified();

    let count = packets(&file).1.len();
    let (quarter, middle) = (count / 4, count / 2);
    for cuts in [vec![1], vec![quarter], vec![middle], vec![count - 1], vec![quarter, middle, middle + 1, count * 9 / 10]] {
        let desk = Desk::new();
        let paths = pieces(&desk, &file, &cuts);
        for path in &paths {
            desk.replay(path).fine();
        }
        same(&desk.calls(), &calls, &format!("{capture}: cut at {cuts:?}"));
        assert!(desk.export(YEAR) == export, "{capture}: the export, cut at {cuts:?}");
        desk.verified();
        // A piece again, as an operator does who is not sure of it.
        desk.replay(&paths[0]).fine();
        same(&desk.calls(), &calls, &format!("{capture}: cut at {cuts:?}, the first piece again"));
    }
}

#[test]
fn again_and_in_pieces_asterisk_16() {
    CAPTURES.iter().filter(|capture| capture.starts_with("asterisk-16/")).for_each(|capture| check(capture));
}

#[test]
fn again_and_in_pieces_asterisk_22() {
    CAPTURES.iter().filter(|capture| capture.starts_with("asterisk-22/")).for_each(|capture| check(capture));
}

#[test]
fn again_and_in_pieces_the_night_of_the_clock_change() {
    CAPTURES.iter().filter(|capture| capture.starts_with("asterisk-16-clock/")).for_each(|capture| check(capture));
}

#[test]
fn again_and_in_pieces_kamailio() {
    CAPTURES.iter().filter(|capture| capture.starts_with("kamailio/")).for_each(|capture| check(capture));
}

/// Recordings of different days: the order in which they are read makes no difference.
#[test]
fn in_any_order() {
    let batches =
        ["asterisk-16/sip.pcap", "asterisk-22/hep.pcap", "kamailio/sip.pcap", "kamailio/all/hep.pcap", "asterisk-16-clock/back/sip.pcap"];
    let forward = Desk::new();
    batches.iter().for_each(|capture| drop(forward.replay(recording(capture)).fine()));
    let (calls, export) = (forward.calls(), forward.export(YEAR));
    forward.verified();
    for order in [[4, 3, 2, 1, 0], [2, 0, 4, 1, 3]] {
        let desk = Desk::new();
        order.iter().for_each(|place| drop(desk.replay(recording(batches[*place])).fine()));
        same(&desk.calls(), &calls, &format!("{order:?}"));
        assert!(desk.export(YEAR) == export, "{order:?}");
        desk.verified();
    }
    let together = Desk::new();
    let words: Vec<String> =
        ["replay".to_owned()].into_iter().chain(batches.iter().map(|name| recording(name).display().to_string())).collect();
    together.taktd(&words).fine();
    same(&together.calls(), &calls, "in one command");
}

/// A day that is read after the next one: a call of that day's end still runs, and no leg of the day before is its.
#[test]
fn an_earlier_recording_gives_a_running_call_nothing() {
    let file = std::fs::read(recording("asterisk-22/sip.pcap")).expect("it is there");
    let count = packets(&file).1.len();
    let alone = Desk::new();
    alone.replay(recording("kamailio/sip.pcap")).fine();
    let expected = alone.calls();
    for cut in (20..count).step_by(120) {
        let desk = Desk::new();
        desk.replay(&pieces(&desk, &file, &[cut])[0]).fine();
        let late = desk.calls();
        desk.replay(recording("kamailio/sip.pcap")).fine();
        let (earlier, later): (Vec<_>, Vec<_>) =
            desk.calls().into_iter().partition(|call| expected.iter().any(|other| other["call_id"] == call["call_id"]));
        same(&earlier, &expected, &format!("the earlier recording after {cut} packets of a later one"));
        same(&later, &late, &format!("{cut} packets of a recording before an earlier one"));
        desk.verified();
    }
}
/// The whole recording after a part of it, wherever that part ended.
#[test]
fn the_whole_after_a_part() {
    for (capture, step) in [("asterisk-16/sip.pcap", 29), ("kamailio/all/hep.pcap", 37)] {
        let file = std::fs::read(recording(capture)).expect("it is there");
        let once = Desk::new();
        once.replay(recording(capture)).fine();
        let calls = once.calls();
        for cut in (1..packets(&file).1.len()).step_by(step) {
            let desk = Desk::new();
            desk.replay(&pieces(&desk, &file, &[cut])[0]).fine();
            desk.replay(recording(capture)).fine();
            same(&desk.calls(), &calls, &format!("{capture} whole, after {cut} of its packets"));
        }
    }
}

/// A part after the whole, told to conclude what it leaves open: the whole knows better.
#[test]
fn a_part_after_the_whole() {
    for (capture, step) in [("asterisk-16/sip.pcap", 71), ("kamailio/all/hep.pcap", 53)] {
        let file = std::fs::read(recording(capture)).expect("it is there");
        let desk = Desk::new();
        desk.replay(recording(capture)).fine();
        let calls = desk.calls();
        for cut in (1..packets(&file).1.len()).step_by(step) {
            let part = pieces(&desk, &file, &[cut])[0].display().to_string();
            desk.taktd(&["replay", &part]).fine();
            same(&desk.calls(), &calls, &format!("{capture}, then {cut} of its packets"));
            desk.taktd(&["replay", "--final", &part]).fine();
            same(&desk.calls(), &calls, &format!("{capture}, then {cut} of its packets, concluded"));
        }
        desk.verified();
    }
}

/// Days that come last to first, each cut in two.
#[test]
fn earlier_days_in_pieces() {
    let (early, late) = (recording("kamailio/sip.pcap"), recording("asterisk-16/sip.pcap"));
    let file = std::fs::read(&early).expect("it is there");
    let both = Desk::new();
    both.replay(&early).fine();
    both.replay(&late).fine();
    let calls = both.calls();
    for cut in (1..packets(&file).1.len()).step_by(83) {
        let desk = Desk::new();
        let parts = pieces(&desk, &file, &[cut]);
        let late_file = std::fs::read(&late).expect("it is there");
        let (head, all) = packets(&late_file);
        let half = desk.path("late-half.pcap");
        let bytes: Vec<u8> = head.iter().chain(all[..cut.min(all.len())].iter().flat_map(|packet| packet.iter())).copied().collect();
        std::fs::write(&half, bytes).expect("written");
        for path in [&half, &parts[0], &parts[1], &late] {
            desk.replay(path).fine();
        }
        same(&desk.calls(), &calls, &format!("cut at {cut}"));
        desk.verified();
    }
}
