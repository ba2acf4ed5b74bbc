//! Real peers: SIPp calls through Kamailio while the daemon listens, and the ledger must say what SIPp did.

mod kamailio;
mod script;
mod sipp;

use crate::daemon::{Daemon, configure, records, verify};
use crate::tools;
use kamailio::{Kamailio, Report};
use script::Script;
use serde_json::Value;
use sipp::{Heard, Party, Place, Truth, Way};
use std::fs;
use std::path::Path;

/// A caller of the example's contracts.
const CUSTOMER: &str = "+498912345678";

/// One call: who takes part, and what must come of it.
struct Call {
    name: &'static str,
    caller: Script,
    /// The desk that calls (a callback), or `None` for a customer.
    from_desk: Option<u8>,
    called: &'static str,
    /// Who is rung: the last octet of the address, the port, and what it does. The first is who answers.
    rung: Vec<(u8, u16, Script)>,
    outcome: Outcome,
}

/// What the record must say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Talk with this agent.
    Talk(&'static str),
    /// Talk of a callback.
    Callback(&'static str),
    /// Missed, for this reason.
    Missed(&'static str),
}

/// The calls, in groups that may go at once: no desk is in two calls of a group.
fn calls() -> Vec<Vec<Call>> {
    let desk = |last: u8, script: Script| (last, 5060, script);
    let call = |name, called, caller: Script, rung, outcome| Call { name, caller, from_desk: None, called, rung, outcome };
    let simple = |talk| Script::caller().invite(1, "").answered(1).pause(talk).bye();
    let held = Script::caller().invite(1, "").answered(1).pause(700).reinvites(2, "sendonly").pause(900).reinvites(3, "sendrecv");
    vec![
        vec![
            call(
                "answered",
                "+4989555021",
                simple(2_600),
                vec![desk(31, Script::called().rings(800).lifts().hears_bye())],
                Outcome::Talk("201"),
            ),
            call(
                "desk-ends",
                "+4989555022",
                Script::caller().invite(1, "").answered(1).hears_bye(),
                vec![desk(32, Script::called().rings(500).lifts().pause(2_300).hangs_up(true))],
                Outcome::Talk("202"),
            ),
            call(
                "cancelled",
                "+4989555023",
                Script::caller().invite(1, "").cancels(900),
                vec![desk(33, Script::called().until_cancelled())],
                Outcome::Missed("cancelled"),
            ),
            call(
                "busy",
                "+4989555024",
                Script::caller().invite(1, "").refused(486),
                vec![desk(34, Script::called().rings(200).refuses("486 Busy Here", ""))],
                Outcome::Missed("busy"),
            ),
            call(
                "lost",
                "+4989555099",
                Script::caller().invite(1, "").answered(1),
                vec![desk(35, Script::called().rings(300).lifts().pause(2_400).hangs_up(false))],
                Outcome::Talk("205"),
            ),
        ],
        vec![
            call(
                "forked",
                "+4989555030",
                simple(1_900),
                vec![
                    desk(32, Script::called().rings(900).lifts().hears_bye()),
                    desk(31, Script::called().until_cancelled()),
                    desk(33, Script::called().until_cancelled()),
                ],
                Outcome::Talk("202"),
            ),
            call(
                "held",
                "+4989555024",
                held.pause(800).bye(),
                vec![desk(34, Script::called().rings(400).lifts().agrees().agrees().hears_bye())],
                Outcome::Talk("204"),
            ),
            Call {
                name: "challenged",
                caller: Script::caller().invite(1, "").refused(401).invite(2, "[authentication]\n").answered(2).pause(2_100).bye(),
                from_desk: Some(35),
                called: CUSTOMER,
                rung: vec![(20, 5070, challenging())],
                outcome: Outcome::Callback("205"),
            },
        ],
    ]
}

/// A customer's switch that wants to know who calls.
fn challenging() -> Script {
    let asks = "WWW-Authenticate: Digest realm=\"customer\", nonce=\"4f1c\", algorithm=MD5\n";
    let again = Script::called().refuses("401 Unauthorized", asks);
    again.called_again().rings(600).lifts().hears_bye()
}

/// Makes all calls through a proxy that reports so; gives what each was.
fn play(folder: &Path, net: &str, report: Report<'_>) -> Vec<(Call, Truth)> {
    let _kamailio = Kamailio::start(folder, net, report);
    let proxy = format!("{net}.50");
    let mut truths = Vec::new();
    let mut port = 5_100;
    for group in calls() {
        let mut running = Vec::new();
        for call in group {
            let rung: Vec<Party> = call
                .rung
                .iter()
                .map(|(last, port, script)| {
                    let place = Place { ip: &format!("{net}.{last}"), port: *port, proxy: &proxy, user: "desk", calls: None };
                    Party::start(folder, &format!("{}-{last}", call.name), &place, script)
                })
                .collect();
            running.push((call, rung));
        }
        // They listen once they have read their scenario.
        std::thread::sleep(std::time::Duration::from_millis(700));
        let running: Vec<(Call, Vec<Party>, Party)> = running
            .into_iter()
            .map(|(call, rung)| {
                port += 1;
                let (ip, user) = match call.from_desk {
                    Some(last) => (format!("{net}.{last}"), format!("2{:02}", last - 30)),
                    None => (format!("{net}.20"), CUSTOMER.to_owned()),
                };
                let place = Place { ip: &ip, port, proxy: &proxy, user: &user, calls: Some(call.called) };
                let caller = Party::start(folder, call.name, &place, &call.caller);
                (call, rung, caller)
            })
            .collect();
        for (call, rung, caller) in running {
            let caller = caller.end();
            let rung: Vec<Heard> = rung.into_iter().map(Party::end).collect();
            let answered = matches!(call.outcome, Outcome::Talk(_) | Outcome::Callback(_)).then(|| &rung[0]);
            if call.name == "lost" {
                assert!(rung[0].count(Way::Sent, "BYE") > 2, "nobody answers, so it is repeated");
            }
            truths.push((Truth::of(&caller, answered), call));
        }
    }
    truths.into_iter().map(|(truth, call)| (call, truth)).collect()
}

/// Holds the ledger against what the parties did.
fn held_against(config: &Path, truths: &[(Call, Truth)]) {
    let records = records(config);
    let mut wrong = Vec::new();
    for (call, truth) in truths {
        let (caller, direction) = if call.from_desk.is_some() { ("205", "out") } else { (CUSTOMER, "in") };
        let fits = |record: &&Value| {
            let near = (time(&record["started_at"]) - truth.started).num_milliseconds().abs() < 100;
            near && record["called"] == call.called && record["caller"] == caller && record["direction"] == direction
        };
        let found: Vec<&Value> = records.values().filter(fits).collect();
        let [record] = found.as_slice() else {
            wrong.push(format!("{}: found {} times", call.name, found.len()));
            continue;
        };
        let talk = record["talk_s"].as_i64().expect("seconds");
        let expected = truth.talk.num_milliseconds();
        if (talk * 1_000 - expected).abs() > 1_000 || (talk > 0) != (expected >= 1_000) {
            wrong.push(format!("{}: talk {talk} s, {expected} ms in truth", call.name));
        }
        if let Some(connected) = truth.connected
            && (time(&record["connected_at"]) - connected).num_milliseconds().abs() > 100
        {
            wrong.push(format!("{}: connected at {}, {connected} in truth", call.name, record["connected_at"]));
        }
        let as_it_was = match call.outcome {
            Outcome::Talk(agent) | Outcome::Callback(agent) => record["agent"] == agent && record["end"] == "observed",
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

/// A daemon that listens on `listen`, a proxy that reports there, and all calls.
fn metered(net: &str, listen: &str, uri: impl Fn(std::net::SocketAddr) -> String, hep: Option<u8>, key: Option<&str>) {
    if tools::find("kamailio", "kamailio").is_none() || tools::find("sipp", "sip-tester").is_none() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let key_line = if key.is_some() { "auth_key_file = \"hep.key\"\n" } else { "" };
    let config = configure(folder.path(), &format!("\n[[source]]\nkind = \"hep\"\nlisten = \"{listen}\"\n{key_line}"));
    let text = fs::read_to_string(&config).expect("written").replace("127.0.0.20", &format!("{net}.20"));
    fs::write(&config, text).expect("written");
    let daemon = Daemon::start(&config);
    let uri = uri(daemon.hep.expect("it listens"));
    let truths = play(folder.path(), net, Report { uri: &uri, hep, key: key.unwrap_or_default() });
    std::thread::sleep(std::time::Duration::from_millis(500));
    let config = daemon.end();
    held_against(&config, &truths);
    verify(&config);
}

#[test]
fn kamailio_reports_hep_over_udp() {
    metered("127.0.60", "udp://127.0.0.1:0", |hep| format!("sip:{hep}"), Some(3), Some("lab-hep"));
}

#[test]
fn kamailio_sends_bare_copies() {
    metered("127.0.61", "udp://127.0.0.1:0", |hep| format!("sip:{hep}"), None, None);
}
