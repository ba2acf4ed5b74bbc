//! Calls as they are to be made, made, and held against the ledger.

use super::script::Script;
use super::sipp::{Heard, Party, Place, Truth, Way};
use crate::capture::Namespace;
use crate::daemon::records;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

/// A caller of the example's contracts.
pub const CUSTOMER: &str = "+491713920022";

/// One call: who takes part, and what must come of it.
pub struct Call {
    pub name: &'static str,
    pub caller: Script,
    /// The desk that calls (a callback), or `None` for a customer.
    pub from_desk: Option<u8>,
    /// What is dialled.
    pub dials: &'static str,
    /// What the record says of it.
    pub called: &'static str,
    /// Who is rung: the last octet of the address, the port, and what it does. The first is who answers.
    pub rung: Vec<(u8, u16, Script)>,
    pub outcome: Outcome,
}

/// What the record must say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Talk with this agent.
    Talk(&'static str),
    /// Talk of a callback.
    Callback(&'static str),
    /// Talk with the first agent, who passes the caller on to the second.
    PassedOn(&'static str, &'static str),
    /// Missed, for this reason.
    Missed(&'static str),
}

/// Makes all calls, those of a group at once, and gives what each was. `switch` says where a party finds the switch, by the
/// last octet of its own address. All live in this network namespace, or in that of the tests.
pub fn play(
    folder: &Path,
    net: &str,
    switch: impl Fn(u8) -> String,
    groups: Vec<Vec<Call>>,
    space: Option<&Namespace>,
) -> Vec<(Call, Truth)> {
    let mut truths = Vec::new();
    let mut port = 5_100;
    for group in groups {
        let mut running = Vec::new();
        for call in group {
            let start = |(last, port, script): &(u8, u16, Script)| {
                let place = Place { ip: &format!("{net}.{last}"), port: *port, proxy: &switch(*last), user: "desk", calls: None, space };
                Party::start(folder, &format!("{}-{last}", call.name), &place, script)
            };
            let rung: Vec<Party> = call.rung.iter().map(start).collect();
            running.push((call, rung));
        }
        // They listen once they have read their scenario.
        std::thread::sleep(Duration::from_millis(700));
        let begin = |(call, rung): (Call, Vec<Party>)| {
            port += 1;
            let (last, user) = call.from_desk.map_or((20, CUSTOMER.to_owned()), |last| (last, extension(last)));
            let place = Place { ip: &format!("{net}.{last}"), port, proxy: &switch(last), user: &user, calls: Some(call.dials), space };
            let caller = Party::start(folder, call.name, &place, &call.caller);
            (call, rung, caller)
        };
        let running: Vec<(Call, Vec<Party>, Party)> = running.into_iter().map(begin).collect();
        for (call, rung, caller) in running {
            let caller = caller.end();
            let rung: Vec<Heard> = rung.into_iter().map(Party::end).collect();
            if call.name == "lost" {
                let byes = rung.iter().chain([&caller]).map(|heard| heard.count(Way::Sent, "BYE")).sum::<usize>();
                assert!(byes >= 1 && caller.count(Way::Received, "BYE") == 0, "the caller is gone");
            }
            let truth = match call.outcome {
                Outcome::Talk(_) | Outcome::Callback(_) => Truth::of(&caller, rung.first()),
                Outcome::PassedOn(..) => Truth::passed_on(&caller, &rung[0], &rung[1]),
                Outcome::Missed(_) => Truth::of(&caller, None),
            };
            truths.push((call, truth));
        }
    }
    truths
}

/// The extension at an address that ends so.
fn extension(last: u8) -> String {
    format!("2{:02}", last - 30)
}

/// Holds the ledger against what the parties did. `late` is how many milliseconds later than they a source may hear that they are
/// connected: one that saw the packets not noticeably, one that waits for what the switch does next as long as a busy machine takes.
pub fn held_against(config: &Path, truths: &[(Call, Truth)], late: i64) {
    let records = records(config);
    let mut wrong = Vec::new();
    for (call, truth) in truths {
        let (caller, direction) = call.from_desk.map_or((CUSTOMER.to_owned(), "in"), |last| (extension(last), "out"));
        let fits = |record: &&Value| {
            let near = (time(&record["started_at"]) - truth.started).num_milliseconds().abs() < 100;
            near && record["called"] == call.called && record["caller"] == *caller && record["direction"] == direction
        };
        let found: Vec<&Value> = records.values().filter(fits).collect();
        let [record] = found.as_slice() else {
            wrong.push(format!("{}: found {} times", call.name, found.len()));
            continue;
        };
        let (wait, waited) = (record["wait_s"].as_i64().expect("seconds"), truth.wait.num_milliseconds());
        if (wait * 1_000 - waited).abs() > 1_000 {
            wrong.push(format!("{}: wait {wait} s, {waited} ms in truth", call.name));
        }
        let talk = record["talk_s"].as_i64().expect("seconds");
        let expected = truth.talk.num_milliseconds();
        if (talk * 1_000 - expected).abs() > 1_000 || (talk > 0) != (expected >= 1_000) {
            wrong.push(format!("{}: talk {talk} s, {expected} ms in truth", call.name));
        }
        if let Some(connected) = truth.connected
            && (time(&record["connected_at"]) - connected).num_milliseconds().abs() > late
        {
            wrong.push(format!("{}: connected at {}, {connected} in truth", call.name, record["connected_at"]));
        }
        let as_it_was = match call.outcome {
            Outcome::Talk(agent) | Outcome::Callback(agent) => record["agent"] == agent && record["end"] == "observed",
            Outcome::PassedOn(first, _) => record["agent"] == first && record["end"] == "observed",
            Outcome::Missed(reason) => record["outcome"] == "missed" && record["reason"] == reason,
        };
        if !as_it_was {
            wrong.push(format!("{}: {:?} expected, found {record}", call.name, call.outcome));
        }
    }
    if records.len() != truths.len() {
        wrong.push(format!("{} records of {} calls", records.len(), truths.len()));
    }
    assert!(wrong.is_empty(), "{}\n{records:#?}", wrong.join("\n"));
}

fn time(value: &Value) -> chrono::NaiveDateTime {
    chrono::DateTime::parse_from_rfc3339(value.as_str().expect("a time")).expect("RFC 3339").naive_utc()
}
