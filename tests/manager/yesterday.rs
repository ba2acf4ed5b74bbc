//! A manager interface that sends yesterday's events: after a restart, from a queue, or as a lie.

use super::{Message, Switch, assert_same, by_event_log, get, open, recording, start};
use crate::daemon::{Daemon, records, same, verify};
use crate::hostile::until;
use std::collections::BTreeMap;

const HOUR: i64 = 3_600_000_000;

/// A call of the recording that an agent answers.
const CALL: &str = "1795291963.5";

#[test]
fn lie_events_of_yesterday() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut switch = Switch::new();
    let daemon = start(folder.path(), &switch);
    let messages = recording("asterisk-16");
    let last = messages.last().expect("events").0;
    switch.let_in(&open(&[]), messages[0].0);
    // A part again and again, in the midst of what follows.
    let (first, second) = messages.split_at(messages.len() / 2);
    switch.play(first, 1e9);
    for part in second.chunks(second.len() / 3) {
        switch.play(part, 1e9);
        switch.play(&finished(first), 1e9);
    }
    // And a call behind all of it, an hour later.
    let expected = by_event_log("asterisk-16");
    switch.play(&again(&messages, 1), 1e9);
    until("the last is known", || records(&daemon.config).len() > expected.len());
    let config = daemon.end();
    let told = records(&config);
    let (known, new): (BTreeMap<_, _>, BTreeMap<_, _>) = told.clone().into_iter().partition(|(id, _)| expected.contains_key(id));
    assert_same(&known, &expected);
    assert_eq!(new.len(), 1, "{new:#?}");
    // The whole day once more, told by a switch that says itself that it is a day later; and then a call of that day.
    let daemon = Daemon::start(&config);
    switch.let_in(&open(&[]), last + 24 * HOUR);
    daemon.says("the open channels are known");
    switch.play(&messages, 1e9);
    switch.play(&again(&messages, 24), 1e9);
    until("the last is known", || records(&daemon.config).len() > told.len());
    let config = daemon.end();
    let mut after = records(&config);
    let today: Vec<String> = after.keys().filter(|id| !told.contains_key(*id)).cloned().collect();
    assert_eq!(today.len(), 1, "{after:#?}");
    let today = after.remove(&today[0]).expect("it is there");
    same(&after, &told);
    let like = new.values().next().expect("one");
    assert_eq!((&today["talk_s"], &today["contract"]), (&like["talk_s"], &like["contract"]));
    verify(&config);
}

/// The events of the calls of which a channel was gone at the end of these.
fn finished(messages: &[Message]) -> Vec<Message> {
    let hung_up = messages.iter().filter(|(_, lines)| get(lines, "Event") == "Hangup");
    let gone: Vec<&str> = hung_up.map(|(_, lines)| get(lines, "Linkedid")).collect();
    messages.iter().filter(|(_, lines)| gone.contains(&get(lines, "Linkedid"))).cloned().collect()
}

/// The same call again so many hours later, under names of its own.
fn again(messages: &[Message], hours: i64) -> Vec<Message> {
    let of_it = messages.iter().filter(|(_, lines)| get(lines, "Linkedid") == CALL);
    let mut ids: Vec<&str> = of_it.clone().map(|(_, lines)| get(lines, "Uniqueid")).filter(|id| !id.is_empty()).collect();
    ids.sort_unstable();
    ids.dedup();
    let told = of_it.map(|(at, lines)| {
        let at = at + hours * HOUR;
        let renamed = lines.iter().map(|(key, value)| match key.as_str() {
            "Timestamp" => (key.clone(), format!("{}.{:06}", at / 1_000_000, at % 1_000_000)),
            _ if ids.contains(&value.as_str()) => (key.clone(), format!("{value}{hours}")),
            "BridgeUniqueid" => (key.clone(), format!("{value}-{hours}")),
            _ => (key.clone(), value.clone()),
        });
        (at, renamed.collect())
    });
    told.collect()
}
