//! What an attacker, a broken clock or a stray program may send: nothing of it stops the daemon or changes a bill.

use crate::daemon::{Daemon, HEP, TAKTD, configure, records, verify};
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub(crate) const KEY: &[u8] = b"lab-hep";
pub(crate) const TRUNK: ([u8; 4], u16) = ([192, 0, 2, 10], 5060);
pub(crate) const SWITCH: ([u8; 4], u16) = ([10, 0, 0, 1], 5060);
const PHONE: ([u8; 4], u16) = ([10, 0, 0, 50], 5060);
pub(crate) const SECOND: i64 = 1_000_000;

pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_micros()).expect("fits")
}

/// A HEPv3 frame, built here by its lengths.
pub(crate) fn frame(key: &[u8], (from, to): (([u8; 4], u16), ([u8; 4], u16)), at: i64, payload: &str) -> Vec<u8> {
    let seconds = u32::try_from(at.div_euclid(SECOND)).expect("between 1970 and 2106");
    let micros = u32::try_from(at.rem_euclid(SECOND)).expect("below a million");
    let chunks: [(u8, &[u8]); 9] = [
        (0x03, &from.0),
        (0x04, &to.0),
        (0x07, &from.1.to_be_bytes()),
        (0x08, &to.1.to_be_bytes()),
        (0x09, &seconds.to_be_bytes()),
        (0x0a, &micros.to_be_bytes()),
        (0x0b, &[1]),
        (0x0e, key),
        (0x0f, payload.as_bytes()),
    ];
    let mut frame = b"HEP3\0\0".to_vec();
    for (chunk, value) in chunks {
        frame.extend_from_slice(&[0, 0, 0, chunk]);
        frame.extend_from_slice(&u16::try_from(value.len() + 6).expect("short").to_be_bytes());
        frame.extend_from_slice(value);
    }
    let length = u16::try_from(frame.len()).expect("short").to_be_bytes();
    frame[4..6].copy_from_slice(&length);
    frame
}

/// A call to the emergency hotline, answered by extension 201 behind the switch.
pub(crate) struct Caller<'a> {
    pub(crate) call_id: &'a str,
    pub(crate) tag: &'a str,
    pub(crate) number: &'a str,
    /// What the phone's leg is told apart by.
    pub(crate) leg: &'a str,
}

impl Caller<'_> {
    pub(crate) fn outer(&self, first: &str, cseq: &str, answered: bool) -> String {
        let to = if answered { format!(";tag=to-{}", self.leg) } else { String::new() };
        format!(
            "{first}\r\nVia: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK{}{cseq}\r\nFrom: <sip:{}@192.0.2.10>;tag={}\r\n\
             To: <sip:+4989555099@10.0.0.1>{to}\r\nCall-ID: {}\r\nCSeq: {cseq}\r\nContact: <sip:x@192.0.2.10>\r\nContent-Length: 0\r\n\r\n",
            self.leg, self.number, self.tag, self.call_id
        )
        .replace("branch=z9hG4bK", &format!("branch=z9hG4bK{}", cseq.replace(' ', "")))
    }

    fn inner(&self, first: &str, cseq: &str, answered: bool) -> String {
        let to = if answered { ";tag=phone" } else { "" };
        format!(
            "{first}\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKi{}\r\nFrom: <sip:{}@10.0.0.1>;tag=in-{}\r\n\
             To: <sip:201@10.0.0.50>{to}\r\nCall-ID: inner-{}\r\nCSeq: {cseq}\r\nContact: <sip:x@10.0.0.1>\r\nContent-Length: 0\r\n\r\n",
            cseq.replace(' ', ""),
            self.number,
            self.leg,
            self.leg
        )
    }

    /// Set up at `at`, answered two seconds later.
    pub(crate) fn set_up(&self, at: i64) -> Vec<Vec<u8>> {
        let (out, back, down, up) = ((TRUNK, SWITCH), (SWITCH, TRUNK), (SWITCH, PHONE), (PHONE, SWITCH));
        let answered = at + 2 * SECOND;
        vec![
            frame(KEY, out, at, &self.outer("INVITE sip:+4989555099@10.0.0.1 SIP/2.0", "1 INVITE", false)),
            frame(KEY, down, at + 10_000, &self.inner("INVITE sip:201@10.0.0.50 SIP/2.0", "1 INVITE", false)),
            frame(KEY, up, answered, &self.inner("SIP/2.0 200 OK", "1 INVITE", true)),
            frame(KEY, down, answered + 1_000, &self.inner("ACK sip:201@10.0.0.50 SIP/2.0", "1 ACK", true)),
            frame(KEY, back, answered + 2_000, &self.outer("SIP/2.0 200 OK", "1 INVITE", true)),
            frame(KEY, out, answered + 3_000, &self.outer("ACK sip:+4989555099@10.0.0.1 SIP/2.0", "1 ACK", true)),
        ]
    }

    pub(crate) fn hang_up(&self, at: i64) -> Vec<Vec<u8>> {
        vec![
            frame(KEY, (TRUNK, SWITCH), at, &self.outer("BYE sip:+4989555099@10.0.0.1 SIP/2.0", "2 BYE", true)),
            frame(KEY, (SWITCH, TRUNK), at + 1_000, &self.outer("SIP/2.0 200 OK", "2 BYE", true)),
            frame(KEY, (SWITCH, PHONE), at + 2_000, &self.inner("BYE sip:201@10.0.0.50 SIP/2.0", "2 BYE", true)),
            frame(KEY, (PHONE, SWITCH), at + 3_000, &self.inner("SIP/2.0 200 OK", "2 BYE", true)),
        ]
    }
}

pub(crate) fn send(to: SocketAddr, frames: &[Vec<u8>]) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    for frame in frames {
        socket.send_to(frame, to).expect("sent");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Waits until something holds.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(180) {
        if holds() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("not within three minutes: {what}");
}

/// The value of a metric, named with its labels.
pub(crate) fn metric(daemon: &Daemon, name: &str) -> f64 {
    let page = daemon.get("/metrics").1;
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).unwrap_or_else(|| panic!("{name}: {page}"));
    line.parse().expect("a number")
}

fn talks(config: &Path) -> Vec<(i64, String)> {
    let mut talks: Vec<(i64, String)> = records(config)
        .values()
        .map(|record| (record["talk_s"].as_i64().expect("seconds"), record["contract"].as_str().unwrap_or_default().to_owned()))
        .collect();
    talks.sort();
    talks
}

#[test]
fn a_call_id_used_again_replaces_no_bill() {
    let live = tempfile::tempdir().expect("a folder");
    let config = configure(live.path(), HEP);
    let daemon = Daemon::start(&config);
    let hep = daemon.hep.expect("it listens");
    let begun = now() - 7_200 * SECOND;
    let long = Caller { call_id: "mine", tag: "again", number: "+491713920021", leg: "one" };
    let short = Caller { leg: "two", ..long };
    send(hep, &long.set_up(begun));
    send(hep, &long.hang_up(begun + 1_000 * SECOND));
    // Long enough for the first dialog to be forgotten.
    send(hep, &short.set_up(begun + 3_000 * SECOND));
    send(hep, &short.hang_up(begun + 3_005 * SECOND));
    let config = daemon.end();
    let contract = "K-1001".to_owned();
    assert_eq!(talks(&config), [(2, contract.clone()), (997, contract)]);
    verify(&config);
}

#[test]
fn messages_out_of_time_move_no_clock() {
    let live = tempfile::tempdir().expect("a folder");
    let config = configure(live.path(), HEP);
    let daemon = Daemon::start(&config);
    let hep = daemon.hep.expect("it listens");
    let begun = now();
    let honest = Caller { call_id: "honest", tag: "h", number: "+491713920021", leg: "honest" };
    send(hep, &honest.set_up(begun - 10 * SECOND));
    for (name, at) in [("ahead", begun + 3 * 365 * 86_400 * SECOND), ("last", i64::from(u32::MAX - 60) * SECOND), ("behind", 0)] {
        let odd = Caller { call_id: name, tag: name, number: "+491713920022", leg: name };
        send(hep, &odd.set_up(at)[..2]);
    }
    until("the honest call talks", || {
        daemon
            .calls()
            .iter()
            .any(|call| call["caller"].as_str().is_some_and(|caller| caller.ends_with("20xxx")) && call["state"] == "talking")
    });
    let calls = daemon.calls();
    let honest_call = calls.iter().find(|call| call["state"] == "talking").expect("it talks");
    let as_of = chrono::DateTime::parse_from_rfc3339(honest_call["as_of"].as_str().expect("a time")).expect("RFC 3339").timestamp_micros();
    assert!((as_of - begun).abs() < 120 * SECOND, "{honest_call}");
    send(hep, &honest.hang_up(now()));
    until("it ended", || daemon.calls().iter().all(|call| call["state"] != "talking"));
    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
    let ahead = metric(&daemon, "taktd_ledger_timestamp_seconds") - now() as f64 / 1e6;
    assert!(ahead < 61.0, "the ledger's time is {ahead} s ahead");
    let config = daemon.end();
    // The month of a call that no contract can pay is not closed, nor any after it.
    let daemon = Daemon::start(&config);
    let config = daemon.end();
    assert!(talks(&config).iter().any(|(talk, contract)| (5..120).contains(talk) && contract == "K-1001"), "{:?}", talks(&config));
    let out = Command::new(TAKTD).args(["verify", "--json", "--config"]).arg(&config).output().expect("it runs");
    let told: Value = serde_json::from_slice(&out.stdout).unwrap_or_default();
    assert!(out.status.success(), "{told}");
}

#[test]
fn a_record_from_the_future_waits() {
    let live = tempfile::tempdir().expect("a folder");
    let source =
        "\n[[source]]\nkind = \"asterisk-cdr\"\npath = \"Master.csv\"\ntimezone = \"Europe/Berlin\"\ncolumns = \"auto\"\n".to_owned() + HEP;
    let config = configure(live.path(), &source);
    let rows = fs::read_to_string("tests/recordings/asterisk-16/Master.csv").expect("the recording is there");
    let row = rows.lines().find(|row| row.contains("ANSWERED") && row.contains("+491713920021")).expect("an answered call");
    let day = row.split('"').find(|cell| cell.starts_with("2026-") && cell.len() == 19).expect("a time")[..10].to_owned();
    let daemon = Daemon::start(&config);
    fs::write(live.path().join("Master.csv"), row.replace(&day, "2099-11-21") + "\n").expect("written");
    daemon.says("a record lies in the future and waits for its time; compare the clocks, and the timezone of the source");
    let config = daemon.end();
    assert!(records(&config).is_empty(), "{:?}", records(&config));
    let daemon = Daemon::start(&config);
    let year = metric(&daemon, "taktd_ledger_timestamp_seconds") / 86_400.0 / 365.25 + 1970.0;
    assert!(year < 2090.0, "the ledger's time is in {year}");
    daemon.end();
}

#[test]
fn noise_is_counted_and_told_once() {
    let live = tempfile::tempdir().expect("a folder");
    let daemon = Daemon::start(&configure(live.path(), HEP));
    let hep = daemon.hep.expect("it listens");
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed.to_be_bytes()
    };
    let caller = Caller { call_id: "x", tag: "x", number: "+491713920021", leg: "x" };
    let whole = caller.set_up(now()).remove(0);
    let mut noise: Vec<Vec<u8>> = Vec::new();
    for length in 0..200_usize {
        noise.push((0..length).map(|_| random()[0]).collect());
        // A frame that is one, with some octets changed.
        let mut changed = whole.clone();
        for _ in 0..=length % 8 {
            let [high, low, with, ..] = random();
            let place = usize::from(u16::from_be_bytes([high, low])) % changed.len();
            changed[place] = with;
        }
        noise.push(changed);
        noise.push(whole[..whole.len() * length / 200].to_vec());
    }
    // As many chunks as fit, each empty.
    let mut chunks = b"HEP3\xff\xff".to_vec();
    chunks.extend(std::iter::repeat_n([0, 0, 0, 1, 0, 6], 10_000).flatten());
    noise.push(chunks);
    let wrong = frame(b"guess", (TRUNK, SWITCH), now(), "BYE sip:x SIP/2.0\r\n\r\n");
    noise.extend(std::iter::repeat_n(wrong, 50));
    send(hep, &noise);
    let told = daemon.says("a datagram was set aside; more of this kind from there are only counted");
    assert!(told["peer"].as_str().is_some_and(|peer| peer.starts_with("127.0.0.1:")), "{told}");
    let unauthenticated = "taktd_hep_frames_total{outcome=\"unauthenticated\"}";
    until("all are counted", || metric(&daemon, unauthenticated) >= 50.0);
    assert_eq!(daemon.get("/readyz").0, 200);
    let others = std::iter::from_fn(|| daemon.logs.try_recv().ok()).filter(|told| told["level"] == "WARN").count();
    assert!(others < 10, "{others} lines for 650 datagrams");
    verify(&daemon.end());
}

#[test]
fn a_request_is_a_plain_file_in_a_private_folder() {
    let live = tempfile::tempdir().expect("a folder");
    let config = configure(live.path(), HEP);
    let daemon = Daemon::start(&config);
    let inbox = live.path().join("ledger.db.inbox");
    until("the folder is made", || inbox.is_dir());
    assert_eq!(fs::metadata(&inbox).expect("it is there").permissions().mode() & 0o777, 0o700);
    let treasure = live.path().join("treasure");
    fs::write(&treasure, "gold").expect("written");
    assert!(Command::new("mkfifo").arg(inbox.join("1-pipe.json")).status().expect("mkfifo").success());
    symlink(&treasure, inbox.join("2-link.json")).expect("linked");
    symlink(&treasure, inbox.join("3-text.refused")).expect("linked");
    let mut file = fs::File::create(inbox.join("3-text.json")).expect("made");
    file.write_all(b"{\"assign\":\"../../x\",\"contract\":1}").expect("written");
    fs::write(inbox.join("4-large.json"), vec![b' '; 1_100_000]).expect("written");
    let stranger = r#"{"assign":"x","contract":"NONE","who":"x\n<3>y","why":"","at":99999999999999999}"#;
    fs::write(inbox.join("5-stranger.json"), stranger).expect("written");
    let decision = r#"{"decide":[{"call":"x","decision":"goodwill:999%","who":"x","why":"y","at":0}]}"#;
    fs::write(inbox.join("6-more-than-all.json"), decision).expect("written");
    fs::write(inbox.join("7-nobody.json"), decision.replace("999%", "9%")).expect("written");
    let gone = ["1-pipe", "2-link", "3-text", "4-large", "5-stranger", "6-more-than-all", "7-nobody"];
    until("all are refused", || gone.iter().all(|name| !inbox.join(format!("{name}.json")).exists()));
    assert_eq!(fs::read_to_string(&treasure).expect("it is there"), "gold");
    assert!(gone.iter().all(|name| fs::symlink_metadata(inbox.join(format!("{name}.refused"))).is_ok_and(|meta| meta.is_file())));
    assert_eq!(daemon.get("/readyz").0, 200);
    verify(&daemon.end());
}

#[test]
fn two_calls_of_one_number_stay_two_where_all_have_one_address() {
    let live = tempfile::tempdir().expect("a folder");
    let config = configure(live.path(), HEP);
    let daemon = Daemon::start(&config);
    let hep = daemon.hep.expect("it listens");
    let begun = now() - 600 * SECOND;
    for (name, at) in [("first", begun), ("second", begun + SECOND / 2)] {
        let caller = Caller { call_id: name, tag: name, number: "+491713920021", leg: name };
        let invite = caller.outer("INVITE sip:+4989555099@10.0.0.1 SIP/2.0", "1 INVITE", false);
        // As an agent does that knows no addresses: no chunk of them, or one for all.
        send(hep, &[frame(KEY, (SWITCH, SWITCH), at, &invite)]);
    }
    until("both are seen", || daemon.calls().len() == 2);
    verify(&daemon.end());
}
