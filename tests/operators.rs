//! What operators say while the daemon runs: it alone writes, and they see what became of it.

use crate::daemon::{Daemon, HEP, TAKTD, configure, records, verify};
use crate::hostile::{Caller, SECOND, now, send, until};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const RECORDING: &str = "tests/recordings/asterisk-16/hep.pcap";

fn taktd(config: &Path, words: &[&str]) -> Output {
    Command::new(TAKTD).args(words).arg("--config").arg(config).env_remove("SUDO_USER").env("USER", "kasse").output().expect("it runs")
}

#[track_caller]
fn fine(done: &Output) -> String {
    assert!(done.status.success(), "{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).into_owned()
}

fn replayed(folder: &Path) -> std::path::PathBuf {
    let config = configure(folder, HEP);
    fs::write(folder.join("hep.key"), "lab-hep\n").expect("written");
    fine(&taktd(&config, &["replay", "--json", RECORDING]));
    config
}

#[test]
fn calls_are_decided_while_the_daemon_runs() {
    let live = tempfile::tempdir().expect("a folder");
    let config = replayed(live.path());
    let before = records(&config);
    let charged: Vec<&str> = before.iter().filter(|(_, record)| record["net"] == "36.00").map(|(id, _)| id.as_str()).collect();
    let [one, other, ..] = charged.as_slice() else { panic!("two calls are charged: {before:?}") };
    let daemon = Daemon::start(&config);
    let said = fine(&taktd(&config, &["decide", one, "goodwill:50%", "--reason", "she waited long"]));
    assert!(said.contains("before") && said.contains(" 36.00 ") && said.contains(" 18.00 "), "{said}");
    // Many at once go through the daemon, too; and what it refuses is told with its words.
    let file = live.path().join("decisions.csv");
    let rows: String = before
        .iter()
        .filter(|(_, record)| record["net"] == "0.00" && record["outcome"] == "included")
        .map(|(id, _)| format!("{id},customer,as it is\n"))
        .collect();
    fs::write(&file, format!("call_id,decision,reason\n{other},provider,our fault\n{rows}")).expect("written");
    let path = file.display().to_string();
    let said = fine(&taktd(&config, &["decide", "--file", &path]));
    let decisions = rows.lines().count() + 1;
    assert!(
        decisions > 2 && said.contains(&format!("decisions {decisions}: {decisions} journaled, 0 known already; records changed: 1")),
        "{said}"
    );
    let again = fine(&taktd(&config, &["decide", "--file", &path]));
    assert!(again.contains(&format!("0 journaled, {decisions} known already; records changed: 0")), "{again}");
    let missed = before.iter().find(|(_, record)| record["outcome"] == "missed").expect("one is missed").0;
    let refused = taktd(&config, &["decide", missed, "customer", "--reason", "x"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("the call was missed: nobody talked"));
    let config = daemon.end();
    let after = records(&config);
    assert_eq!((&after[*one]["net"], &after[*other]["net"]), (&Value::from("18.00"), &Value::from("0.00")));
    assert_eq!(after[*other]["outcome"], "included");
    let changed: Vec<&String> = after.keys().filter(|id| after[*id] != before[*id]).collect();
    assert_eq!(changed.len(), 2, "{changed:?}");
    verify(&config);
}

/// A running call shows at once what was said about it: the contract it was given to, and what was waived.
#[test]
fn the_live_meter_knows_what_operators_said() {
    let live = tempfile::tempdir().expect("a folder");
    let daemon = Daemon::start(&configure(live.path(), HEP));
    let stranger = Caller { call_id: "operators-1", tag: "one", number: "+4915799999999", leg: "one" };
    let customer = Caller { call_id: "operators-2", tag: "two", number: "+491713920022", leg: "two" };
    let hep = daemon.hep.expect("it listens");
    for caller in [&stranger, &customer] {
        send(hep, &caller.set_up(now() - 5 * SECOND));
    }
    let of =
        |number: &str| daemon.calls().into_iter().find(|call| call["caller"].as_str().is_some_and(|caller| caller.starts_with(number)));
    let shows = |number: &str, key: &str, value: &str| of(number).is_some_and(|call| call[key] == value);
    until("both talk", || ["+4915799999", "+491713920"].iter().all(|number| shows(number, "state", "talking")));
    until("one is charged, one is nobody's", || shows("+4915799999", "outcome", "unmatched") && shows("+491713920", "outcome", "charged"));
    let id = |number: &str| of(number).expect("it runs")["call_id"].as_str().expect("a name").to_owned();
    let (unmatched, charged) = (id("+4915799999"), id("+491713920"));
    until("both are in the ledger", || records(&daemon.config).len() == 2);
    let said = fine(&taktd(&daemon.config, &["decide", &charged, "goodwill:100%", "--reason", "our own alarm"]));
    assert!(said.contains("still runs"), "{said}");
    until("nothing is due any more", || shows("+491713920", "outcome", "included"));
    fine(&taktd(&daemon.config, &["assign", &unmatched, "K-1002"]));
    until("it is K-1002's", || shows("+4915799999", "contract", "K-1002"));
    for caller in [&stranger, &customer] {
        send(hep, &caller.hang_up(now()));
    }
    until("both are over", || daemon.calls().is_empty());
    let config = daemon.end();
    let after = records(&config);
    assert_eq!(
        (&after[&charged]["net"], &after[&charged]["outcome"]),
        (&Value::from("0.00"), &Value::from("included")),
        "{:?}",
        after[&charged]
    );
    assert_eq!(after[&unmatched]["contract"], "K-1002");
    verify(&config);
}
