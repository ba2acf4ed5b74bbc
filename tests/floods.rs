//! Floods: what strangers, a broken agent or a virus may send within a minute. Each goes to the daemon as it runs, while the calls
//! of an office go on at the same port: memory stays within a stated bound, what is refused is counted by its reason, the log
//! stays short, and every call of the office is billed to the second.

mod connections;
mod datagrams;
mod half_open;
mod messages;

use crate::daemon::{Daemon, HEP, configure, records, verify};
use crate::hostile::{Caller, SECOND, metric, now};
use std::collections::BTreeMap;
use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// A daemon to be flooded.
struct Victim {
    daemon: Daemon,
    begun: Instant,
    _folder: tempfile::TempDir,
}

/// The lines of the office: who calls on each, and whose contract pays.
const LINES: [(&str, &str); 3] = [("+491713920021", "K-1001"), ("+491713920022", "K-1002"), ("+491729925904", "K-1007")];

/// Talk in seconds, and the contract that pays.
type Billed = Vec<(i64, String)>;

/// An office whose customers call, in real time, until it closes: on each line one call after the other.
struct Office {
    closed: Arc<AtomicBool>,
    lines: Vec<JoinHandle<(Billed, u64)>>,
}

/// Sends datagrams to a port of this machine no faster than it is emptied: what the kernel drops reaches nobody, and is told
/// elsewhere.
struct Hose {
    socket: UdpSocket,
    to: SocketAddr,
    sent: u64,
    unchecked: usize,
}

/// Numbers that are the same on every run (xorshift).
struct Random(u64);

impl Victim {
    fn start(source: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let daemon = Daemon::start(&configure(folder.path(), source));
        Self { daemon, begun: Instant::now(), _folder: folder }
    }

    fn hep(&self) -> SocketAddr {
        self.daemon.hep.expect("it listens")
    }

    /// A field of the daemon's `/proc/PID/status`.
    fn status(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.daemon.child.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).expect("the field");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    /// The most memory it ever had, in MiB, stays below a bound.
    fn has_stayed_below(&self, mebibytes: u64) {
        let peak = self.status("VmHWM") / 1024;
        println!("peak of memory: {peak} MiB of {mebibytes}");
        assert!(peak < mebibytes, "{peak} MiB, and {mebibytes} are the bound");
    }

    /// The sum of a metric over all its labels.
    fn sum(&self, name: &str) -> u64 {
        let page = self.daemon.get("/metrics").1;
        let values = page.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('{')?.rsplit_once(' '));
        values.map(|(_, value)| value.parse::<u64>().expect("a counter")).sum()
    }

    fn rejected(&self, reason: &str) -> f64 {
        metric(&self.daemon, &format!("taktd_rejected_total{{reason=\"{reason}\"}}"))
    }

    /// Waits until a metric has reached a value. On a busy machine this may be minutes: what runs is counted for no more than a
    /// twentieth of the time.
    fn reaches(&self, name: &str, value: f64) {
        let begun = Instant::now();
        while metric(&self.daemon, name) < value {
            assert!(begun.elapsed() < Duration::from_secs(240), "{name} is {}, and stays below {value}", metric(&self.daemon, name));
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Of one kind about one sender at most a line a minute was logged, and not too many in all.
    fn has_logged_little(&self) {
        let mut lines: BTreeMap<String, u64> = BTreeMap::new();
        for told in self.daemon.logs.try_iter().filter(|told| told["level"] != "INFO") {
            let sender = told["peer"].as_str().and_then(|peer| peer.parse::<SocketAddr>().ok()).map(|peer| peer.ip());
            *lines.entry(format!("{} {} {sender:?}", told["message"], told["reason"])).or_default() += 1;
        }
        let minutes = self.begun.elapsed().as_secs() / 60 + 1;
        assert!(lines.values().all(|count| *count <= minutes), "more than one a minute: {lines:#?}");
        assert!(lines.values().sum::<u64>() <= 80, "{lines:#?}");
    }

    /// The flood is over: the daemon is as it was, and the office's calls are billed as they were.
    fn ends_well(self, office: &Billed) {
        assert_eq!(self.daemon.get("/readyz").0, 200);
        self.has_logged_little();
        let Self { daemon, _folder, .. } = self;
        bills(&daemon.end(), office);
    }
}

/// The ledger bills the office's calls, to the second, and nothing else to its customers.
fn bills(config: &std::path::Path, office: &Billed) {
    let mut found: Billed = Vec::new();
    for record in records(config).values() {
        let contract = record["contract"].as_str().unwrap_or_default();
        if record["connected_at"].is_string() {
            found.push((record["talk_s"].as_i64().expect("seconds"), contract.to_owned()));
        } else {
            assert_eq!(record["net"], "0.00", "nobody talked: {record}");
        }
    }
    found.sort();
    assert_eq!(found, *office);
    verify(config);
}

impl Office {
    /// Opens; `wire` gives each line a way to the daemon.
    fn open<W: FnMut(&[u8]) + Send + 'static>(wire: impl Fn() -> W) -> Self {
        let closed = Arc::new(AtomicBool::new(false));
        let lines = LINES.iter().map(|(number, contract)| {
            let (closed, wire) = (Arc::clone(&closed), wire());
            thread::spawn(move || calls(number, contract, &closed, wire))
        });
        Self { lines: lines.collect(), closed }
    }

    /// Over UDP.
    fn beside(to: SocketAddr) -> Self {
        Self::open(|| {
            let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
            move |frame: &[u8]| {
                socket.send_to(frame, to).expect("sent");
            }
        })
    }

    /// Closes when the calls of now are over. Gives what is to be billed, and how many frames told of it.
    fn close(self) -> (Billed, u64) {
        self.closed.store(true, Ordering::Relaxed);
        let (mut billed, mut frames) = (Billed::new(), 0);
        for line in self.lines {
            let (calls, sent) = line.join().expect("the line worked");
            billed.extend(calls);
            frames += sent;
        }
        billed.sort();
        (billed, frames)
    }
}

/// The calls on one line: ringing for two seconds, then one to three seconds and a half of talk, or what a busy machine makes of it.
/// Each frame has the time at which it is sent.
fn calls(number: &str, contract: &str, closed: &AtomicBool, mut wire: impl FnMut(&[u8])) -> (Billed, u64) {
    let (mut billed, mut frames) = (Billed::new(), 0);
    let mut tell = |frame: &[u8]| {
        wire(frame);
        frames += 1;
    };
    for talk in (1..=3).cycle() {
        let begun = now();
        let name = format!("{contract}-{begun}");
        let caller = Caller { call_id: &name, tag: &name, number, leg: &name };
        let mut answered = begun;
        for (place, later) in [0, 10_000, 2 * SECOND, 2 * SECOND + 1_000, 2 * SECOND + 2_000, 2 * SECOND + 3_000].into_iter().enumerate() {
            wait_until(begun + later);
            let at = now();
            tell(&caller.set_up(at - later)[place]);
            // The caller's leg is answered by the last but one.
            if place == 4 {
                answered = at;
            }
        }
        wait_until(answered + talk * SECOND + SECOND / 2);
        let ended = now();
        caller.hang_up(ended).iter().for_each(|frame| tell(frame));
        billed.push(((ended - answered) / SECOND, contract.to_owned()));
        if closed.load(Ordering::Relaxed) {
            return (billed, frames);
        }
        thread::sleep(Duration::from_millis(100));
    }
    unreachable!("a cycle has no end")
}

/// A daemon at a HEP port, an office beside, and somebody who floods it.
fn scene() -> (Victim, Office, Hose) {
    let victim = Victim::start(HEP);
    let (office, hose) = (Office::beside(victim.hep()), Hose::from("127.0.0.2", victim.hep()));
    (victim, office, hose)
}

fn wait_until(at: i64) {
    thread::sleep(Duration::from_micros(u64::try_from(at - now()).unwrap_or(0)));
}

impl Hose {
    /// From an address of this machine.
    fn from(own: &str, to: SocketAddr) -> Self {
        Self { socket: UdpSocket::bind((own, 0)).expect("a port"), to, sent: 0, unchecked: usize::MAX }
    }

    fn send(&mut self, datagram: &[u8]) {
        // What the kernel keeps of a small datagram is most of a kilobyte.
        self.unchecked = self.unchecked.saturating_add(datagram.len() + 800);
        if self.unchecked > 64 * 1024 {
            while queued(self.to.port()) > 32 * 1024 {
                thread::sleep(Duration::from_micros(200));
            }
            self.unchecked = 0;
        }
        self.socket.send_to(datagram, self.to).expect("sent");
        self.sent += 1;
    }
}

/// How many octets wait at a UDP port of this machine (Linux, Documentation/networking/proc_net_tcp). The table is read page by
/// page, and what stands on a later page may be missed where another socket goes meanwhile: then it is read again.
pub(crate) fn queued(port: u16) -> u64 {
    let port = format!(":{port:04X}");
    for _ in 0..1_000 {
        let table = fs::read_to_string("/proc/net/udp").expect("the table of ports");
        let mut lines = table.lines().map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
        if let Some(line) = lines.find(|line| line[1].ends_with(&port)) {
            let waiting = line[4].split_once(':').map(|(_, waiting)| u64::from_str_radix(waiting, 16));
            return waiting.expect("two numbers").expect("a number");
        }
    }
    panic!("nobody listens at {port}");
}

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end.max(1)).expect("small")).expect("small")
    }
}
