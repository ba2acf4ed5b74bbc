//! Packets from a network interface, live: in a namespace of its own, with a pair of interfaces, and a daemon that has
//! CAP_NET_RAW and no other right. Recorded packets are sent by tcpreplay, and the ledger must be that of `replay`. (Real peers
//! that call through such an interface: `peers::through_capture`.)
//!
//! Takes root, iproute2, setpriv and tcpreplay; where they are missing the tests say so, and in CI they fail.

use crate::daemon::{Daemon, TAKTD, configure, records, verify};
use crate::hostile::{now, until};
use crate::tools;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A namespace with the interfaces `near` and `far`, which are the two ends of one cable.
pub(crate) struct Namespace(String);

/// A command, in a namespace if there is one.
pub(crate) fn within(space: Option<&Namespace>, program: &str) -> Command {
    space.map_or_else(|| Command::new(program), |space| space.command(program))
}

impl Namespace {
    /// `None` with a loud word where there can be none.
    pub(crate) fn new() -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        for (program, package) in [("ip", "iproute2"), ("setpriv", "util-linux"), ("tcpreplay", "tcpreplay")] {
            tools::find(program, package)?;
        }
        let status = fs::read_to_string("/proc/self/status").expect("Linux");
        let is_root = status.lines().any(|line| line.split_whitespace().take(3).eq(["Uid:", "0", "0"]));
        if !is_root {
            assert!(std::env::var_os("CI").is_none(), "in CI this has to run as root: it makes a network namespace");
            eprintln!("SKIPPED: a network namespace takes root: this test has shown nothing");
            return None;
        }
        let space = Self(format!("taktd-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed)));
        ip(&["netns", "add", &space.0]);
        space.ip(&["link", "set", "lo", "up"]);
        space.connect();
        Some(space)
    }

    fn ip(&self, arguments: &[&str]) {
        ip(&[&["-n", &self.0], arguments].concat());
    }

    /// Lays the cable.
    fn connect(&self) {
        self.ip(&["link", "add", "near", "type", "veth", "peer", "name", "far"]);
        for end in ["near", "far"] {
            self.ip(&["link", "set", end, "up"]);
        }
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.0, program]);
        command
    }

    /// The daemon, with no right but these.
    fn taktd(&self, rights: &str) -> Command {
        let mut command = self.command("setpriv");
        command.args([&format!("--inh-caps=-all{rights}"), &format!("--bounding-set=-all{rights}"), TAKTD]);
        command
    }

    pub(crate) fn daemon(&self, config: &Path) -> Daemon {
        Daemon::start_by(self.taktd(",+net_raw"), config)
    }

    /// Sends the packets of a capture.
    fn send(&self, interface: &str, capture: &Path) {
        let mut command = self.command("tcpreplay");
        let output = tools::run(command.args(["--quiet", "-i", interface]).arg(capture));
        assert!(output.status.success(), "{}", tools::printed(&output));
    }

    /// What the daemon answers over HTTP, asked from within.
    fn get(&self, daemon: &Daemon, path: &str) -> String {
        let ask = format!(
            "exec 3<>/dev/tcp/127.0.0.1/{}; printf 'GET {path} HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n' >&3; cat <&3",
            daemon.http.port()
        );
        let output = tools::run(self.command("bash").args(["-c", &ask]));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The sum of a metric over its labels.
    pub(crate) fn metric(&self, daemon: &Daemon, name: &str) -> u64 {
        let page = self.get(daemon, "/metrics");
        let values = page.lines().filter_map(|line| line.strip_prefix(name)?.rsplit_once(' ')?.1.parse::<u64>().ok());
        values.sum()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).stderr(Stdio::null()).status();
    }
}

fn ip(arguments: &[&str]) {
    let output = tools::run(Command::new("ip").args(arguments));
    assert!(output.status.success(), "ip {}: {}", arguments.join(" "), tools::printed(&output));
}

pub(crate) fn source(interface: &str) -> String {
    format!("\n[[source]]\nkind = \"capture\"\ninterface = \"{interface}\"\nports = [5060]\n")
}

const RECORDING: &str = "tests/recordings/asterisk-16/sip.pcap";
const MESSAGES: &str = "taktd_sip_messages_total{";

/// So much faster than it was recorded.
const SPEED: u64 = 8;

/// A recording as if it began now and went faster. What `change` makes of a frame is sent in its place.
fn copy(to: &Path, mut change: impl FnMut(usize, Vec<u8>) -> Vec<Vec<u8>>) {
    let bytes = fs::read(RECORDING).expect("the recording is there");
    let number = |at: usize| u64::from(u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four octets")));
    let time = |at: usize| number(at) * 1_000_000 + number(at + 4);
    let now = u64::try_from(now()).expect("after 1970");
    let mut file = bytes[..24].to_vec();
    let (mut at, mut place) = (24, 0);
    while at + 16 <= bytes.len() {
        let length = usize::try_from(number(at + 8)).expect("a length");
        let when = now + (time(at) - time(24)) / SPEED;
        for frame in change(place, bytes[at + 16..at + 16 + length].to_vec()) {
            let size = u64::try_from(frame.len()).expect("a length");
            for word in [when / 1_000_000, when % 1_000_000, size, size] {
                file.extend(u32::try_from(word).expect("32 bits").to_le_bytes());
            }
            file.extend(frame);
        }
        at += 16 + length;
        place += 1;
    }
    fs::write(to, file).expect("written");
}

/// An Ethernet frame with IPv4 and UDP in the shapes that a network gives it: in fragments, over TCP, with VLAN tags.
struct Shapes {
    next: HashMap<Vec<u8>, u32>,
    packets: usize,
}

impl Shapes {
    fn of(&mut self, place: usize, frame: Vec<u8>) -> Vec<Vec<u8>> {
        let (ethernet, ip, udp) = (&frame[..14], &frame[14..34], &frame[34..]);
        let desk = [ip[15], ip[19]].contains(&31);
        let shaped = if desk {
            // The sequence goes on where this way's last message ended.
            let way = [&ip[12..20], &udp[..4]].concat();
            // Of a stream that is joined midway, what comes before its first segment is not known to be missing.
            let known = self.next.contains_key(&way);
            let next = self.next.entry(way).or_insert(4_294_960_000);
            let text = &udp[8..];
            let half = text.len() / 3;
            let mut segment = |bytes: &[u8]| {
                let header = [&udp[..4], &next.to_be_bytes(), &[0, 0, 0, 0, 0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0]].concat();
                *next = next.wrapping_add(u32::try_from(bytes.len()).expect("short"));
                with_ip(ip, 6, 0x4000, 0, &[&header, bytes].concat())
            };
            let mut segments = vec![segment(&text[..half]), segment(&text[half..])];
            if known && place.is_multiple_of(2) {
                segments.swap(0, 1);
            }
            segments
        } else if place.is_multiple_of(3) {
            let id = u16::try_from(place).expect("few");
            let (first, second) = udp.split_at(udp.len() / 16 * 8);
            let offset = u16::try_from(first.len() / 8).expect("short");
            vec![with_ip(ip, 17, offset, id, second), with_ip(ip, 17, 0x2000, id, first)]
        } else {
            vec![frame[14..].to_vec()]
        };
        self.packets += shaped.len();
        let tag: &[u8] = if place.is_multiple_of(5) { &[0x81, 0, 0, 7] } else { &[] };
        shaped.into_iter().map(|packet| [&ethernet[..12], tag, &[8, 0], &packet].concat()).collect()
    }
}

/// An IPv4 packet like another, with this protocol, flags and offset, and payload.
fn with_ip(like: &[u8], protocol: u8, fragment: u16, id: u16, payload: &[u8]) -> Vec<u8> {
    let mut header = like.to_vec();
    header[2..4].copy_from_slice(&u16::try_from(20 + payload.len()).expect("short").to_be_bytes());
    header[4..6].copy_from_slice(&id.to_be_bytes());
    header[6..8].copy_from_slice(&fragment.to_be_bytes());
    header[9] = protocol;
    [header, payload.to_vec()].concat()
}

/// What is in a ledger, without instants: those of a live capture are the kernel's own. And without marks, because SIP's own
/// timers do not go faster with the recording: one that runs out live may not have run out at the end of the file.
fn calls(config: &Path) -> BTreeMap<String, (Vec<String>, i64, i64)> {
    let fields = ["direction", "caller", "called", "hotline", "contract", "agent", "end", "outcome", "net"];
    let call = |record: Value| {
        let said = fields.iter().map(|field| format!("{field} {}", record[*field])).collect();
        (said, record["talk_s"].as_i64().expect("seconds"), record["wait_s"].as_i64().expect("seconds"))
    };
    records(config).into_iter().map(|(id, record)| (id, call(record))).collect()
}

#[test]
fn packets_from_an_interface_give_the_ledger_that_replay_gives() {
    let Some(space) = Namespace::new() else { return };
    let (live, still) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let config = configure(live.path(), &source("far"));
    let daemon = space.daemon(&config);
    let sent = live.path().join("sent.pcap");
    let mut shapes = Shapes { next: HashMap::new(), packets: 0 };
    copy(&sent, |place, frame| shapes.of(place, frame));
    space.send("near", &sent);
    // What is sent last may lie in a block that is not full yet.
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(space.metric(&daemon, MESSAGES), 832, "each once: {}", space.get(&daemon, "/metrics"));
    assert_eq!(space.metric(&daemon, "taktd_socket_drops_total"), 0);
    let aside = |reason: &str| space.metric(&daemon, &format!("taktd_rejected_total{{reason=\"{reason}\"}}"));
    assert!(aside("fragment") > 100 && aside("segment") > 50, "{} and {}", aside("fragment"), aside("segment"));
    assert_eq!((aside("stream_gap"), aside("not_sip"), aside("bad_message")), (0, 0, 0));
    let config = daemon.end();

    let other = configure(still.path(), &source("far"));
    let output = tools::run(Command::new(TAKTD).args(["replay", "--config"]).arg(&other).arg(&sent));
    assert!(output.status.success(), "{}", tools::printed(&output));
    let (ours, theirs) = (calls(&config), calls(&other));
    assert!(ours.keys().eq(theirs.keys()), "{:?} and {:?}", ours.keys(), theirs.keys());
    assert!(ours.len() > 30, "{}", ours.len());
    for (id, (said, talk, wait)) in &ours {
        let (expected, their_talk, their_wait) = &theirs[id];
        assert_eq!(said, expected, "{id}");
        assert!((talk - their_talk).abs() <= 1 && (wait - their_wait).abs() <= 1, "{id}: {talk} and {their_talk}, {wait} and {their_wait}");
    }
    verify(&config);
}

#[test]
fn loopback_shows_each_packet_once() {
    let Some(space) = Namespace::new() else { return };
    let live = tempfile::tempdir().expect("a folder");
    let daemon = space.daemon(&configure(live.path(), &source("lo")));
    let mut command = space.command("tcpreplay");
    let output = tools::run(command.args(["--quiet", "--mbps=20", "-i", "lo", RECORDING]));
    assert!(output.status.success(), "{}", tools::printed(&output));
    until("all messages are read", || space.metric(&daemon, MESSAGES) >= 832);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(space.metric(&daemon, MESSAGES), 832);
    daemon.end();
}

#[test]
fn an_interface_that_goes_is_told_and_waited_for() {
    let Some(space) = Namespace::new() else { return };
    let live = tempfile::tempdir().expect("a folder");
    let config = configure(live.path(), &source("late"));
    let daemon = space.daemon(&config);
    let ready = || space.get(&daemon, "/readyz");
    until("it is told", || ready().starts_with("HTTP/1.1 503") && ready().contains("interface late: No such device"));
    let connect = || {
        space.ip(&["link", "add", "early", "type", "veth", "peer", "name", "late"]);
        space.ip(&["link", "set", "early", "up"]);
    };
    connect();
    until("it is down", || ready().contains("interface late: Network is down"));
    space.ip(&["link", "set", "late", "up"]);
    until("it is read", || ready().starts_with("HTTP/1.1 200"));
    space.ip(&["link", "set", "late", "down"]);
    until("it is down again", || ready().contains("interface late: Network is down"));
    space.ip(&["link", "del", "early"]);
    until("it is gone", || ready().contains("interface late: No such device"));
    connect();
    space.ip(&["link", "set", "late", "up"]);
    until("it is read again", || ready().starts_with("HTTP/1.1 200"));
    let mut command = space.command("tcpreplay");
    let output = tools::run(command.args(["--quiet", "--mbps=20", "-i", "early", RECORDING]));
    assert!(output.status.success(), "{}", tools::printed(&output));
    until("all messages are read", || space.metric(&daemon, MESSAGES) == 832);
    assert_eq!(space.metric(&daemon, "taktd_source_up{kind=\"capture\""), 1);
    daemon.end();
}

#[test]
fn without_the_right_the_daemon_does_not_start_and_says_what_to_do() {
    let Some(space) = Namespace::new() else { return };
    let live = tempfile::tempdir().expect("a folder");
    let config = configure(live.path(), &source("far"));
    let output = tools::run(space.taktd("").args(["run", "--config"]).arg(&config));
    assert_eq!(output.status.code(), Some(1));
    let told = tools::printed(&output);
    assert!(
        told.contains("interface far: not permitted") && told.contains("CAP_NET_RAW") && told.contains("systemd/capture.conf"),
        "{told}"
    );
}
