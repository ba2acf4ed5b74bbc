//! Lies: what is well formed and not true. Each is told to the daemon as it runs, and nobody is billed by it. (What a manager
//! interface may lie about stands beside its source, `manager::yesterday`; a file in the wrong zone that is replayed, in
//! `commands::records` and `commands::traps`. `cargo test lie_` lists all.)

use crate::daemon::{Daemon, HEP, configure, records, verify};
use crate::hostile::{Caller, KEY, SECOND, SWITCH, TRUNK, frame, metric, now, send, until};
use serde_json::Value;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// Address and port.
type Peer = ([u8; 4], u16);

/// A stranger's address, which nobody trusts.
const STRANGER: Peer = ([203, 0, 113, 66], 5060);

/// A customer with a contract, and a number without one.
const CUSTOMER: &str = "+491713920021";
const NOBODY: &str = "+49305550199";

fn call<'a>(name: &'a str, number: &'a str) -> Caller<'a> {
    Caller { call_id: name, tag: name, number, leg: name }
}

/// The calls that are billed, in the order in which they began.
fn billed(config: &Path) -> Vec<Value> {
    let mut all: Vec<Value> = records(config).into_values().collect();
    all.sort_by_key(|record| record["started_at"].to_string());
    verify(config);
    all
}

/// A daemon that hears of a call of the customer's, since when.
fn in_a_call() -> (TempDir, Daemon, i64) {
    let folder = tempfile::tempdir().expect("a folder");
    let daemon = Daemon::start(&configure(folder.path(), HEP));
    let begun = now() - 600 * SECOND;
    send(daemon.hep.expect("it listens"), &call("honest", CUSTOMER).set_up(begun));
    (folder, daemon, begun)
}

fn payer(record: &Value) -> (&str, &str) {
    (record["contract"].as_str().unwrap_or_default(), record["outcome"].as_str().unwrap_or_default())
}

/// Who pays for a call of ten seconds that comes from this address, with this in its INVITE; and whom the switch shows its agent as
/// the caller.
fn paid_by(cases: &[(Peer, &str, &str)]) -> Vec<(String, String)> {
    let folder = tempfile::tempdir().expect("a folder");
    let daemon = Daemon::start(&configure(folder.path(), HEP));
    let hep = daemon.hep.expect("it listens");
    for (place, (from, header, shown)) in (0..).zip(cases) {
        let (begun, name) = (now() - 600 * SECOND + place * 30 * SECOND, format!("call-{place}"));
        let caller = call(&name, shown);
        let mut told = caller.set_up(begun);
        let invite = call(&name, NOBODY).outer("INVITE sip:+4989555099@10.0.0.1 SIP/2.0", "1 INVITE", false);
        let invite = invite.replacen("\r\n", &format!("\r\n{header}\r\n"), 1);
        told[0] = frame(KEY, (*from, SWITCH), begun, &invite);
        send(hep, &told);
        send(hep, &caller.hang_up(begun + 12 * SECOND + SECOND / 2));
    }
    let all = billed(&daemon.end());
    assert_eq!(all.len(), cases.len(), "{all:#?}");
    assert!(all.iter().all(|record| record["talk_s"] == 10), "{all:#?}");
    let paid = all.iter().map(payer);
    paid.map(|(contract, outcome)| (contract.to_owned(), outcome.to_owned())).collect()
}

#[test]
fn lie_an_asserted_identity_from_who_is_not_trusted() {
    let asserted = format!("P-Asserted-Identity: \"Huber\" <sip:{CUSTOMER}@192.0.2.10>");
    let party = format!("Remote-Party-ID: <sip:{CUSTOMER}@192.0.2.10>;party=calling;screen=yes");
    let both = format!("{asserted}\r\nP-Asserted-Identity: <tel:{CUSTOMER}>\r\n{party}");
    let phone = ([10, 0, 0, 77], 5060);
    let cases = [(TRUNK, &asserted, CUSTOMER), (STRANGER, &asserted, NOBODY), (phone, &party, NOBODY), (STRANGER, &both, NOBODY)];
    let nobody = (String::new(), "unmatched".to_owned());
    assert_eq!(
        paid_by(&cases.map(|(from, header, shown)| (from, header.as_str(), shown))),
        [("K-1001".to_owned(), "charged".to_owned()), nobody.clone(), nobody.clone(), nobody]
    );
}

#[test]
fn lie_a_contract_named_by_the_caller() {
    let paid = paid_by(&[(TRUNK, "X-Contract: K-1001", NOBODY), (STRANGER, "X-Contract: K-1001", NOBODY)]);
    assert_eq!(paid[0].0, "K-1001");
    assert_eq!(paid[1], (String::new(), "unmatched".to_owned()));
}

#[test]
fn lie_reports_without_the_key() {
    let (_folder, daemon, begun) = in_a_call();
    let (hep, honest) = (daemon.hep.expect("it listens"), call("honest", CUSTOMER));
    // The same agent's reports, without its key: a call that never was, the end of one that goes on; and bare copies of both.
    let invented = call("invented", CUSTOMER);
    let mut lies = [invented.set_up(begun + SECOND), invented.hang_up(begun + 300 * SECOND), honest.hang_up(begun + 5 * SECOND)].concat();
    for lie in &mut lies {
        let key = lie.windows(KEY.len()).position(|bytes| bytes == KEY).expect("it carries the key");
        lie[key + KEY.len() - 1] ^= 1;
    }
    let bare: Vec<Vec<u8>> = lies.iter().map(|lie| lie[lie.windows(4).position(|at| at == b"sip:").expect("SIP") - 7..].to_vec()).collect();
    let bare: Vec<Vec<u8>> = bare.into_iter().filter(|copy| copy.starts_with(b"INVITE ")).collect();
    assert_eq!(bare.len(), 2);
    send(hep, &lies);
    send(hep, &bare);
    let refused = (lies.len() + bare.len()) as f64;
    until("each is counted", || metric(&daemon, "taktd_rejected_total{reason=\"hep_key\"}") == refused);
    send(hep, &honest.hang_up(begun + 62 * SECOND + SECOND / 2));
    let all = billed(&daemon.end());
    assert_eq!((all.len(), &all[0]["talk_s"]), (1, &60.into()), "{all:#?}");
}

/// A BYE is of a dialog, which its Call-ID and both tags name (RFC 3261 §12): who knows less than the parties ends nothing.
#[test]
fn lie_a_bye_for_anothers_call() {
    let (_folder, daemon, begun) = in_a_call();
    let (hep, honest) = (daemon.hep.expect("it listens"), call("honest", CUSTOMER));
    let bye = honest.outer("BYE sip:+4989555099@10.0.0.1 SIP/2.0", "2 BYE", true);
    assert!(bye.contains(";tag=honest\r\n") && bye.contains(";tag=to-honest\r\n"), "{bye}");
    let with = |from: &str, to: &str| {
        bye.replacen(";tag=honest\r\n", &format!("{from}\r\n"), 1).replacen(";tag=to-honest\r\n", &format!("{to}\r\n"), 1)
    };
    let cancel = honest.outer("CANCEL sip:+4989555099@10.0.0.1 SIP/2.0", "1 CANCEL", false);
    let lies = [
        with("", ""),
        with(";tag=guess", ";tag=guess"),
        // What stands in the INVITE, which somebody may have seen on its way: one tag of two, on either side.
        with(";tag=honest", ";tag=guess"),
        with(";tag=guess", ";tag=honest"),
        with(";tag=honest", ""),
        with("", ";tag=honest"),
        // The callee's alone.
        with(";tag=guess", ";tag=to-honest"),
        with(";tag=to-honest", ";tag=guess"),
        // Both, of a call with another name.
        bye.replacen("Call-ID: honest", "Call-ID: Honest", 1),
        // It was answered: nothing is left to be given up.
        cancel,
    ];
    for (place, lie) in (0..).zip(&lies) {
        let at = begun + (10 + place) * SECOND;
        send(hep, &[frame(KEY, (STRANGER, SWITCH), at, lie), frame(KEY, (SWITCH, STRANGER), at + 1_000, &answer(lie))]);
    }
    until("all are read", || metric(&daemon, "taktd_sip_messages_total{kind=\"bye\"}") >= 9.0);
    until("it talks on", || daemon.calls().iter().any(|call| call["state"] == "talking"));
    send(hep, &honest.hang_up(begun + 62 * SECOND + SECOND / 2));
    let all = billed(&daemon.end());
    assert_eq!(all.len(), 1, "{all:#?}");
    assert_eq!((&all[0]["talk_s"], &all[0]["end"]), (&60.into(), &"observed".into()), "{all:#?}");
}

/// What a switch says to who ends a call that is not there.
fn answer(request: &str) -> String {
    let (_, headers) = request.split_once("\r\n").expect("a first line");
    format!("SIP/2.0 481 Call/Transaction Does Not Exist\r\n{headers}")
}

/// A file of records that are an hour or two off: their unique ids tell. The source stops, it shows, and nobody is billed.
#[test]
fn lie_records_in_the_wrong_zone() {
    for (zone, right) in [("UTC", "Europe/Berlin"), ("America/New_York", "Europe/Berlin")] {
        let folder = tempfile::tempdir().expect("a folder");
        let source = format!(
            "\n[[source]]\nkind = \"asterisk-cdr\"\npath = \"Master.csv\"\ntimezone = \"{zone}\"\ncolumns = \"auto\"\nqueue_log = \"queue_log\"\n"
        );
        let config = configure(folder.path(), &source);
        for name in ["Master.csv", "queue_log"] {
            fs::copy(format!("tests/recordings/asterisk-16/{name}"), folder.path().join(name)).expect("copied");
        }
        let daemon = Daemon::start(&config);
        until("it is said to have stopped", || daemon.get("/readyz").1.contains("Master.csv"));
        let (status, reason) = daemon.get("/readyz");
        assert_eq!(status, 503);
        assert!(reason.contains("Master.csv:1: ") && reason.contains(&format!("\\\"{right}\\\"")), "{reason}");
        assert_eq!(metric(&daemon, "taktd_source_up{kind=\"asterisk-cdr\",source=\"1\"}"), 0.0);
        assert_eq!(billed(&daemon.end()), Vec::<Value>::new());
    }
}
