//! Through Kamailio, which reports what passes it.

use super::calls::{CUSTOMER, Call, Outcome, held_against, play};
use super::kamailio::{Kamailio, Report};
use super::script::Script;
use crate::daemon::{Daemon, configure, verify};
use crate::tools;
use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpStream, UdpSocket};

/// The calls, in groups that may go at once: no desk is in two calls of a group.
pub fn calls() -> Vec<Vec<Call>> {
    let desk = |last: u8, script: Script| (last, 5060, script);
    let call = |name, called, caller: Script, rung, outcome| Call { name, caller, from_desk: None, dials: called, called, rung, outcome };
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
                dials: CUSTOMER,
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

/// A daemon that listens on `listen`, a proxy that reports there, and all calls.
fn metered(net: &str, listen: &str, uri: impl Fn(SocketAddr) -> String, hep: Option<u8>, key: Option<&str>) {
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
    let kamailio = Kamailio::start(folder.path(), net, Some(Report { uri: &uri, hep, key: key.unwrap_or_default() }), None);
    let truths = play(folder.path(), net, |_| format!("{net}.50"), calls(), None);
    drop(kamailio);
    std::thread::sleep(std::time::Duration::from_millis(500));
    let config = daemon.end();
    held_against(&config, &truths, 100);
    verify(&config);
}

#[test]
fn kamailio_reports_hep_over_udp() {
    metered("127.0.60", "udp://127.0.0.1:0", |hep| format!("sip:{hep}"), Some(3), Some("lab-hep"));
}

/// Debian's Kamailio sends HEP over UDP only: an agent between passes its frames on over one connection.
#[test]
fn kamailio_reports_hep_over_tcp_through_an_agent() {
    metered("127.0.63", "tcp://127.0.0.1:0", |hep| format!("sip:{}", agent(hep)), Some(3), Some("lab-hep"));
}

/// Passes on over TCP what comes over UDP; ends with its daemon.
fn agent(to: SocketAddr) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let own = socket.local_addr().expect("an address");
    let mut stream = TcpStream::connect(to).expect("it listens");
    std::thread::spawn(move || {
        let mut frame = [0; 65_535];
        while let Ok(length) = socket.recv(&mut frame) {
            if stream.write_all(&frame[..length]).is_err() {
                break;
            }
        }
    });
    own
}

#[test]
fn kamailio_reports_hep_of_the_second_version() {
    metered("127.0.64", "udp://127.0.0.1:0", |hep| format!("sip:{hep}"), Some(2), None);
}

#[test]
fn kamailio_sends_bare_copies() {
    metered("127.0.61", "udp://127.0.0.1:0", |hep| format!("sip:{hep}"), None, None);
}
