//! Through Kamailio in a network namespace, which reports nothing: the daemon reads the packets themselves.
//!
//! Takes root, iproute2 and setpriv beside Kamailio and SIPp; where they are missing the test says so, and in CI it fails.

use super::calls::{held_against, play};
use super::kamailio::Kamailio;
use super::through_kamailio::calls;
use crate::capture::{Namespace, source};
use crate::daemon::{configure, verify};
use crate::tools;
use std::fs;

#[test]
fn packets_on_the_interface_tell_what_the_parties_did() {
    if tools::find("kamailio", "kamailio").is_none() || tools::find("sipp", "sip-tester").is_none() {
        return;
    }
    let Some(space) = Namespace::new() else { return };
    let net = "127.0.65";
    let folder = tempfile::tempdir().expect("a folder");
    let config = configure(folder.path(), &source("lo"));
    let text = fs::read_to_string(&config).expect("written").replace("127.0.0.20", &format!("{net}.20"));
    fs::write(&config, text).expect("written");
    let daemon = space.daemon(&config);
    let kamailio = Kamailio::start(folder.path(), net, None, Some(&space));
    let truths = play(folder.path(), net, |_| format!("{net}.50"), calls(), Some(&space));
    drop(kamailio);
    // What was sent last may lie in a block that is not full yet.
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert_eq!(space.metric(&daemon, "taktd_socket_drops_total"), 0);
    let config = daemon.end();
    held_against(&config, &truths, 100);
    verify(&config);
}
