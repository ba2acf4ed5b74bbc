//! The daemon on a box's call monitor: a player of its lines over TCP, which hangs up, falls silent, and lies.

use crate::channels::{running, until};
use crate::daemon::{Daemon, configure, records, verify};
use chrono::{DateTime, Duration as Span, Utc};
use chrono_tz::Europe::Berlin;
use serde_json::Value;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

/// A box that waits for connections.
struct Box {
    listener: TcpListener,
    stream: Option<TcpStream>,
    /// When the test began: what takes time does not count.
    began: DateTime<Utc>,
}

impl Box {
    fn new() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").expect("a port"), stream: None, began: Utc::now() }
    }

    fn address(&self) -> SocketAddr {
        self.listener.local_addr().expect("bound")
    }

    fn accept(&mut self) {
        self.stream = Some(self.listener.accept().expect("somebody connects").0);
    }

    /// So many seconds before the test began, by the box's local time.
    fn time(&self, ago: i64) -> String {
        (self.began - Span::seconds(ago)).with_timezone(&Berlin).format("%d.%m.%y %H:%M:%S").to_string()
    }

    /// A line of that time.
    fn say(&mut self, ago: i64, rest: &str) {
        let line = format!("{};{rest};\r\n", self.time(ago));
        self.send(line.as_bytes());
    }

    fn send(&mut self, bytes: &[u8]) {
        self.stream.as_mut().expect("a connection").write_all(bytes).expect("it listens");
    }

    fn close(&mut self) {
        self.stream.take().expect("a connection").shutdown(std::net::Shutdown::Both).expect("closed");
    }
}

fn start(folder: &Path, switch: &Box) -> Daemon {
    let source = format!(
        "\n[[source]]\nkind = \"fritzbox\"\nconnect = \"tcp://{}\"\ntimezone = \"Europe/Berlin\"\n[[agent]]\nnumber = \"10\"\nlevel = 1\n",
        switch.address()
    );
    Daemon::start(&configure(folder, &source))
}

fn talking(calls: &[Value]) -> usize {
    calls.iter().filter(|call| call["state"] == "talking").count()
}

/// Each call in short, by who called.
fn short(config: &Path) -> Vec<String> {
    let mut all: Vec<String> = records(config)
        .values()
        .map(|call| {
            let text = |key: &str| call[key].as_str().unwrap_or_default().to_owned();
            format!("{} {} {} talk {} {} {}", text("caller"), text("contract"), text("agent"), call["talk_s"], text("end"), call["marks"])
        })
        .collect();
    all.sort();
    all
}

#[test]
fn calls_of_a_box_are_metered_as_they_run_across_lost_connections_and_a_kill() {
    let live = tempfile::tempdir().expect("a folder");
    let mut switch = Box::new();
    let daemon = start(live.path(), &switch);
    switch.accept();
    // Half a line waits for its rest.
    switch.say(120, "RING;0;01713920021;555010;SIP0");
    running(&daemon, |calls| calls.len() == 1 && talking(calls) == 0);
    let time = switch.time(110);
    switch.send(format!("{time};CONN").as_bytes());
    std::thread::sleep(Duration::from_millis(300));
    switch.send(b"ECT;0;10;01713920021;\r\n");
    running(&daemon, |calls| talking(calls) == 1);
    switch.say(100, "RING;1;01713920022;555010;SIP1");
    switch.say(95, "CONNECT;1;10;01713920022");
    switch.say(90, "RING;2;01729925904;555010;SIP2");
    running(&daemon, |calls| talking(calls) == 2 && calls.len() == 3);
    // The box ends the connection; the first call goes on meanwhile, the second ends and another has its number.
    switch.close();
    switch.accept();
    switch.say(30, "RING;1;0899999812;555010;SIP1");
    running(&daemon, |calls| talking(calls) == 1 && calls.len() == 3);
    // Killed in mid-call, and back.
    let config = daemon.kill();
    let daemon = Daemon::start(&config);
    switch.accept();
    running(&daemon, |calls| talking(calls) == 1 && calls.len() == 3);
    switch.say(10, "DISCONNECT;0;100");
    switch.say(9, "CONNECT;1;10;0899999812");
    switch.say(5, "DISCONNECT;2;0");
    switch.say(1, "DISCONNECT;1;8");
    running(&daemon, <[Value]>::is_empty);
    until(&daemon, "taktd_source_up{kind=\"fritzbox\",source=\"1\"} 1");
    let config = daemon.end();
    let found = short(&config);
    let second = |talk: i64| format!("+491713920022 K-1002 10 talk {talk} estimated [\"lost-party\"]");
    // The box had nothing to say until it closed the connection: about when that was, the second call was still there.
    let lost = found.iter().find(|call| call.starts_with("+491713920022")).expect("it is billed");
    assert!((0..=100).any(|talk| *lost == second(talk)), "{found:#?}");
    let others: Vec<&String> = found.iter().filter(|call| *call != lost).collect();
    assert_eq!(
        others,
        [
            "+491713920021 K-1001 10 talk 100 observed []",
            "+491729925904 K-1007  talk 0 observed []",
            "+49899999812 K-1005 10 talk 8 observed []"
        ]
    );
    verify(&config);
}

#[test]
fn a_box_whose_clock_is_wrong_is_shouted_about_and_not_metered() {
    let live = tempfile::tempdir().expect("a folder");
    let mut switch = Box::new();
    let daemon = start(live.path(), &switch);
    switch.accept();
    switch.send(b"01.01.70 01:00:09;RING;0;01713920021;555010;SIP0;\r\n");
    // As with a timezone that is an hour off.
    switch.say(3_600, "RING;1;01713920021;555010;SIP0");
    daemon.says("lines of a call monitor have a wrong time and are not metered");
    until(&daemon, "taktd_rejected_total{reason=\"undated\"} 2");
    until(&daemon, "taktd_source_up{kind=\"fritzbox\",source=\"1\"} 0");
    assert!(daemon.calls().is_empty());
    switch.say(5, "RING;2;01713920021;555010;SIP0");
    daemon.says("the times of a call monitor are right again");
    until(&daemon, "taktd_source_up{kind=\"fritzbox\",source=\"1\"} 1");
    switch.say(0, "DISCONNECT;2;0");
    running(&daemon, <[Value]>::is_empty);
    assert_eq!(short(&daemon.end()).len(), 1);
}

#[test]
fn a_silent_or_hostile_box_neither_grows_the_daemon_nor_keeps_it_from_ending() {
    for hostile in ["", "x", "line"] {
        let live = tempfile::tempdir().expect("a folder");
        let mut switch = Box::new();
        let daemon = start(live.path(), &switch);
        switch.accept();
        let mut stream = switch.stream.take().expect("a connection");
        let now = switch.time(0);
        std::thread::spawn(move || match hostile {
            "" => std::thread::sleep(Duration::from_secs(20)),
            // A line without end, and calls without end, for as long as somebody reads.
            "x" => while stream.write_all(&[b'x'; 10_000]).is_ok() {},
            _ => {
                for connection in (0u64..).map(|number| number % 70_000) {
                    if stream.write_all(format!("{now};RING;{connection};1;555010;SIP0;\r\n").as_bytes()).is_err() {
                        break;
                    }
                }
            }
        });
        if !hostile.is_empty() {
            let counted = if hostile == "x" { "malformed" } else { "table_full" };
            let begun = Instant::now();
            while !daemon
                .get("/metrics")
                .1
                .lines()
                .any(|line| line.strip_prefix(&format!("taktd_rejected_total{{reason=\"{counted}\"}} ")).is_some_and(|count| count != "0"))
            {
                assert!(begun.elapsed() < Duration::from_secs(30), "{hostile:?} is not counted");
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        assert_eq!(daemon.get("/healthz").0, 200);
        let began = Instant::now();
        daemon.end();
        assert!(began.elapsed() < Duration::from_secs(10), "{hostile:?} held it up for {:?}", began.elapsed());
    }
    // Nobody there at all.
    let live = tempfile::tempdir().expect("a folder");
    let gone = Box::new();
    let daemon = start(live.path(), &gone);
    drop(gone);
    daemon.end();
}
