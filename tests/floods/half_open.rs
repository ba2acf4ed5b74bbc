//! A hundred thousand callers who let it ring, and nothing more is ever heard of them.

use super::{Office, Victim, bills, scene};
use crate::daemon::Daemon;
use crate::hostile::{Caller, KEY, SWITCH, TRUNK, frame, metric, now, until};

const CALLS: u32 = 100_000;

#[test]
fn a_hundred_thousand_half_open_calls() {
    let (victim, office, mut hose) = scene();
    for number in 0..CALLS {
        let (name, caller) = (format!("half-{number}"), format!("+4930{number:07}"));
        let caller = Caller { call_id: &name, tag: &name, number: &caller, leg: &name };
        let text = caller.outer("INVITE sip:+4989555099@10.0.0.1 SIP/2.0", "1 INVITE", false);
        hose.send(&frame(KEY, (TRUNK, SWITCH), now(), &text));
    }
    // All of them ring, and the office goes on.
    victim.reaches("taktd_sip_messages_total{kind=\"invite\"}", f64::from(CALLS));
    let (billed, _) = office.close();
    assert_eq!(metric(&victim.daemon, "taktd_socket_drops_total"), 0.0);
    victim.has_stayed_below(400);
    assert_eq!(victim.daemon.get("/readyz").0, 200);
    victim.has_logged_little();
    // They are kept across a restart, and the office's calls with them.
    let Victim { daemon, _folder, .. } = victim;
    let config = daemon.end();
    let daemon = Daemon::start(&config);
    until("they ring on", || metric(&daemon, "taktd_legs_open") >= f64::from(CALLS));
    let office = Office::beside(daemon.hep.expect("it listens"));
    let (more, _) = office.close();
    let mut all = [billed, more].concat();
    all.sort();
    bills(&daemon.end(), &all);
}
