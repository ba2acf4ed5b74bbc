//! A million datagrams that mean nothing, at the port that agents report to.

use super::{Hose, Office, Random, Victim};
use crate::daemon::HEP;
use crate::hostile::{Caller, KEY, SWITCH, TRUNK, frame, metric, now};

const DATAGRAMS: u64 = 1_000_000;

/// A stranger's call: no contract's number.
const STRANGER: Caller<'static> = Caller { call_id: "stranger", tag: "stranger", number: "+49305550199", leg: "stranger" };

/// Garbage; frames with another key; frames with some octets changed, or cut; bare copies, which carry no key.
fn worthless(random: &mut Random, whole: &[u8], wrong: &[u8], out: &mut Vec<u8>) {
    out.clear();
    match random.below(5) {
        0 => out.extend((0..random.below(256)).map(|_| random.next().to_be_bytes()[0])),
        1 => out.extend_from_slice(wrong),
        2 => {
            out.extend_from_slice(whole);
            for _ in 0..=random.below(8) {
                let place = random.below(out.len());
                out[place] = random.next().to_be_bytes()[0];
            }
        }
        3 => out.extend_from_slice(&whole[..random.below(whole.len())]),
        _ => {
            out.extend_from_slice(b"BYE sip:x SIP/2.0\r\n");
            out.extend((0..random.below(64)).map(|_| random.next().to_be_bytes()[0]));
        }
    }
}

#[test]
fn a_million_random_datagrams() {
    let victim = Victim::start(HEP);
    let office = Office::beside(victim.hep());
    // From three addresses, so that each is told of, and none twice.
    let mut hoses = ["127.0.0.1", "127.0.0.2", "127.0.0.3"].map(|own| Hose::from(own, victim.hep()));
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let text = STRANGER.outer("INVITE sip:+4989555099@10.0.0.1 SIP/2.0", "1 INVITE", false);
    let mut datagram = Vec::new();
    let frames = || (frame(KEY, (TRUNK, SWITCH), now(), &text), frame(b"guessed", (TRUNK, SWITCH), now(), &text));
    let (mut whole, mut wrong) = frames();
    for number in 0..DATAGRAMS {
        let hose = &mut hoses[random.below(3)];
        if number % 1_000 == 999 {
            // As large as they come.
            hose.send(&vec![random.next().to_be_bytes()[0]; 65_507]);
            (whole, wrong) = frames();
            continue;
        }
        worthless(&mut random, &whole, &wrong, &mut datagram);
        hose.send(&datagram);
    }
    let (billed, frames) = office.close();
    let sent: u64 = hoses.iter().map(|hose| hose.sent).sum();
    assert_eq!(sent, DATAGRAMS);
    // Each is counted once, and by a reason.
    victim.reaches("taktd_hep_frames_total{outcome=\"accepted\"}", frames as f64);
    let counted = || victim.sum("taktd_hep_frames_total");
    crate::hostile::until("all are counted", || counted() + metric(&victim.daemon, "taktd_socket_drops_total") as u64 >= sent + frames);
    assert_eq!((counted(), metric(&victim.daemon, "taktd_socket_drops_total")), (sent + frames, 0.0));
    let accepted = metric(&victim.daemon, "taktd_hep_frames_total{outcome=\"accepted\"}");
    let (key, not_sip, malformed) = (victim.rejected("hep_key"), victim.rejected("not_sip"), victim.rejected("hep_malformed"));
    assert!(key > 0.39 * sent as f64 && not_sip > 0.15 * sent as f64 && malformed > 0.08 * sent as f64, "{key} {not_sip} {malformed}");
    assert_eq!(accepted + key + not_sip + malformed + victim.others(), (sent + frames) as f64);
    victim.has_stayed_below(128);
    victim.ends_well(&billed);
}

impl Victim {
    /// What else a frame may be refused for.
    fn others(&self) -> f64 {
        ["hep_version", "hep_compressed", "hep_piece", "hep_protocol"].iter().map(|reason| self.rejected(reason)).sum()
    }
}
