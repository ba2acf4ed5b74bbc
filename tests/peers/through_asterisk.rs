//! Through Asterisk, watched by its HEP, its channel events (log and manager), its call-detail records and its queue's log at
//! once: one call, one record. Beside it a second daemon has nothing but the manager interface, which is cut and which it leaves
//! in mid-call: no other source mends what it did not hear.

use super::asterisk::{Asterisk, SECRET};
use super::calls::{CUSTOMER, Call, Outcome, held_against, play};
use super::relay::Relay;
use super::script::Script;
use crate::channels::running;
use crate::daemon::{Daemon, HEP, TAKTD, configure, verify};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const SUPPORT: &str = "+4989555010";
const EMERGENCY: &str = "+4989555099";
const ON_CALL: &str = "+491713920011";

/// The calls, in groups that may go at once: no desk is in two calls of a group.
fn calls() -> Vec<Vec<Call>> {
    let desk = |last: u8, script: Script| (last, 5060, script);
    let rung = Script::rung_by_switch;
    let call = |name, called, caller: Script, rung, outcome| Call { name, caller, from_desk: None, dials: called, called, rung, outcome };
    let simple = |talk| Script::caller().invite(1, "").answered(1).pause(talk).bye();
    vec![
        vec![
            // The first desk of the queue is not picked up; the second one is.
            call(
                "queue",
                SUPPORT,
                simple(7_500),
                vec![desk(32, rung().rings(1_000).lifts().hears_bye()), desk(31, rung().until_cancelled())],
                Outcome::Talk("202"),
            ),
            call(
                "desk-ends",
                "+4989555023",
                Script::caller().invite(1, "").answered(1).hears_bye(),
                vec![desk(33, rung().rings(500).lifts().pause(2_300).hangs_up(true))],
                Outcome::Talk("203"),
            ),
            call(
                "busy",
                "+4989555024",
                Script::caller().invite(1, "").refused(486),
                vec![desk(34, rung().rings(200).refuses("486 Busy Here", ""))],
                Outcome::Missed("busy"),
            ),
            call(
                "on-call",
                EMERGENCY,
                simple(2_800),
                vec![desk(20, rung().rings(900).lifts().hears_bye()), desk(35, rung().until_cancelled())],
                Outcome::Talk(ON_CALL),
            ),
            call(
                "cancelled",
                "+4989555027",
                Script::caller().invite(1, "").cancels(1_200),
                vec![desk(37, rung().until_cancelled())],
                Outcome::Missed("cancelled"),
            ),
        ],
        vec![
            call("abandoned", SUPPORT, simple(1_900), vec![desk(31, rung().until_cancelled())], Outcome::Missed("abandoned in queue")),
            call(
                "passed-on",
                "+4989555023",
                simple(7_000),
                vec![
                    desk(33, rung().rings(400).lifts().pause(2_000).refers("204").pause(400).hangs_up(true)),
                    desk(34, rung().rings(1_500).lifts().hears_bye()),
                ],
                Outcome::PassedOn("203", "204"),
            ),
            Call {
                name: "callback",
                caller: simple(2_600),
                from_desk: Some(36),
                dials: "01713920022",
                called: CUSTOMER,
                rung: vec![desk(20, rung().rings(800).lifts().hears_bye())],
                outcome: Outcome::Callback("206"),
            },
            call(
                "lost",
                "+4989555027",
                Script::caller().invite(1, "").answered(1),
                vec![desk(37, rung().rings(300).lifts().pause(2_700).hangs_up(true))],
                Outcome::Talk("207"),
            ),
            call(
                "held",
                "+4989555028",
                simple(4_400),
                vec![desk(38, rung().rings(400).lifts().pause(900).holds(70, "sendonly").pause(1_000).holds(71, "sendrecv").hears_bye())],
                Outcome::Talk("208"),
            ),
        ],
    ]
}

/// Calls that go on while the manager interface is not heard: one that talks, one that waits in the queue, one that is held.
fn long_calls() -> Vec<Vec<Call>> {
    let desk = |last: u8, script: Script| (last, 5060, script);
    let rung = Script::rung_by_switch;
    let call = |name, called, talk, rung, agent| {
        let caller = Script::caller().invite(1, "").answered(1).pause(talk).bye();
        Call { name, caller, from_desk: None, dials: called, called, rung, outcome: Outcome::Talk(agent) }
    };
    vec![vec![
        call("talks-on", "+4989555023", 16_400, vec![desk(33, rung().rings(400).lifts().hears_bye())], "203"),
        // The switch answers at once; the first desk is not picked up, and the second one rings when the wire is cut.
        call(
            "waits-on",
            SUPPORT,
            16_400,
            vec![desk(32, rung().rings(2_400).lifts().hears_bye()), desk(31, rung().until_cancelled())],
            "202",
        ),
        call(
            "held-on",
            "+4989555028",
            15_400,
            vec![desk(38, rung().rings(400).lifts().pause(900).holds(70, "sendonly").pause(6_000).holds(71, "sendrecv").hears_bye())],
            "208",
        ),
    ]]
}

/// A daemon with the manager interface alone, behind a wire that can be cut.
fn listener(folder: &Path, relay: &Relay) -> PathBuf {
    fs::write(folder.join("ami.secret"), SECRET).expect("written");
    let source = "[[source]]\nkind = \"asterisk-ami\"\nusername = \"taktd\"\nsecret_file = \"ami.secret\"\n";
    configure(folder, &format!("\n{source}connect = \"tcp://{}\"\n", relay.address()))
}

/// Cuts the wire in mid-call and mends it, then ends the daemon and starts it again, all while the same calls go on.
fn disturb(daemon: Daemon, relay: &Relay) -> Daemon {
    let talking = |calls: &[Value]| calls.iter().filter(|call| call["state"] == "talking").count();
    running(&daemon, |calls| calls.len() == 3 && talking(calls) == 2);
    assert_eq!(relay.cut(), 1, "it was connected");
    daemon.says("a manager interface is not heard; it is tried again, and what happens there meanwhile is not metered");
    relay.mend();
    daemon.says("the open channels are known");
    running(&daemon, |calls| calls.len() == 3 && talking(calls) >= 2);
    let daemon = Daemon::start(&daemon.end());
    daemon.says("the open channels are known");
    running(&daemon, |calls| calls.len() == 3 && talking(calls) >= 2);
    daemon
}

/// The tree with Asterisk, where `tests/run peers` says; elsewhere this shows nothing, and says so.
fn root() -> Option<PathBuf> {
    let root = std::env::var_os("TAKTD_ASTERISK").map(PathBuf::from);
    if root.is_none() {
        eprintln!("SKIPPED: no Asterisk here; `tests/run peers` makes one and runs this test");
    }
    root
}

#[test]
fn asterisk_is_metered_by_all_its_sources_at_once() {
    let Some(root) = root() else { return };
    let net = "127.0.62";
    let folder = tempfile::tempdir().expect("a folder");
    let logs = Asterisk::logs(&root);
    let path = |name: &str| logs.join(name).display().to_string();
    fs::write(folder.path().join("ami.secret"), SECRET).expect("written");
    let events = format!(
        "\n[[source]]\nkind = \"asterisk-ami\"\nconnect = \"tcp://{net}.10:5038\"\nusername = \"taktd\"\nsecret_file = \"ami.secret\"\n\n[[source]]\nkind = \"asterisk-cel\"\npath = {:?}\n",
        path("cel-custom/cel.csv")
    );
    let rows = format!(
        "\n[[source]]\nkind = \"asterisk-cdr\"\npath = {:?}\ntimezone = \"UTC\"\ncolumns = \"auto\"\nqueue_log = {:?}\n",
        path("cdr-csv/Master.csv"),
        path("queue_log")
    );
    let config = configure(folder.path(), &format!("{HEP}{events}{rows}"));
    let text = fs::read_to_string(&config).expect("written").replace("127.0.0.20", &format!("{net}.20"));
    fs::write(&config, text).expect("written");
    let daemon = Daemon::start(&config);
    let asterisk = Asterisk::start(&root, net, daemon.hep.expect("it listens"));
    let (alone, relay) = (tempfile::tempdir().expect("a folder"), Relay::to(format!("{net}.10:5038").parse().expect("an address")));
    let listening = Daemon::start(&listener(alone.path(), &relay));
    listening.says("the open channels are known");
    let switch = |last: u8| if last == 20 { format!("{net}.11") } else { format!("{net}.10") };
    let mut truths = play(folder.path(), net, switch, calls(), None);
    running(&listening, <[Value]>::is_empty);
    let (listening, long) = std::thread::scope(|scope| {
        let playing = scope.spawn(|| play(folder.path(), net, switch, long_calls(), None));
        (disturb(listening, &relay), playing.join().expect("they called"))
    });
    truths.extend(long);
    let begun = Instant::now();
    while !(daemon.calls().is_empty() && listening.calls().is_empty()) && begun.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(500));
    }
    // Records are written when a party hangs up, and read soon after.
    std::thread::sleep(Duration::from_secs(3));
    drop(asterisk);
    let (config, heard) = (daemon.end(), listening.end());
    for (config, late) in [(&config, 100), (&heard, 700)] {
        held_against(config, &truths, late);
        verify(config);
    }
    let reconciled = Command::new(TAKTD).args(["reconcile", "--json", "--config"]).arg(&config).output().expect("it runs");
    let told = String::from_utf8_lossy(&reconciled.stdout);
    let sum: Value = serde_json::from_str(told.lines().last().unwrap_or_default()).expect("JSON");
    assert_eq!((&sum["seen_by_several"], &sum["findings"]), (&truths.len().into(), &0.into()), "{told}");
}
