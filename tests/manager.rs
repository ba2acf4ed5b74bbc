//! The daemon on a switch's manager interface: a player that says what a recorded one said, with its timing, over TCP.

mod tls;
mod yesterday;

use crate::channels::{running, until};
use crate::daemon::{Daemon, TAKTD, configure, records, verify};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Recorded seconds per second.
const SPEED: f64 = 30.0;

/// Keys and values.
type Lines = Vec<(String, String)>;

/// A recorded message with its time in microseconds.
type Message = (i64, Lines);

fn recording(name: &str) -> Vec<Message> {
    let file = fs::File::open(format!("tests/recordings/{name}/ami.log.gz")).expect("there");
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(file).read_to_end(&mut bytes).expect("unpacks");
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let mut at = 0;
    let messages = text.split("\r\n\r\n").filter_map(|message| {
        let lines: Lines =
            message.lines().filter_map(|line| line.split_once(": ")).map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let time = get(&lines, "Timestamp").parse::<f64>().map_or(at, |seconds| (seconds * 1e6).round() as i64);
        at = time;
        // What comes with the classes that a login asks for.
        let wanted = ["call,all", "agent,all", "system,all"].contains(&get(&lines, "Privilege"));
        (wanted && get(&lines, "Event") != "FullyBooted").then_some((time, lines))
    });
    messages.collect()
}

fn get<'a>(lines: &'a [(String, String)], key: &str) -> &'a str {
    lines.iter().find(|(known, _)| known == key).map_or("", |(_, value)| value)
}

/// What is open after these messages, as `CoreShowChannels` lists it.
fn open(messages: &[Message]) -> String {
    let mut channels: BTreeMap<&str, (Lines, &str, &str)> = BTreeMap::new();
    for (_, lines) in messages {
        let id = get(lines, "Uniqueid");
        match get(lines, "Event") {
            "Newchannel" => drop(channels.insert(id, (lines.clone(), "", get(lines, "ChannelState")))),
            "Hangup" => drop(channels.remove(id)),
            event => {
                let Some((_, bridge, state)) = channels.get_mut(id) else { continue };
                match event {
                    "BridgeEnter" => *bridge = get(lines, "BridgeUniqueid"),
                    "BridgeLeave" => *bridge = "",
                    "Newstate" => *state = get(lines, "ChannelState"),
                    _ => {}
                }
            }
        }
    }
    let mut text = String::from("Response: Success\r\nEventList: start\r\n\r\n");
    for (lines, bridge, state) in channels.values() {
        text += "Event: CoreShowChannel\r\n";
        for key in ["Channel", "CallerIDNum", "Context", "Exten", "Uniqueid", "Linkedid"] {
            text += &format!("{key}: {}\r\n", get(lines, key));
        }
        text += &format!("ChannelState: {state}\r\nBridgeId: {bridge}\r\n\r\n");
    }
    text + &format!("Event: CoreShowChannelsComplete\r\nEventList: Complete\r\nListItems: {}\r\n\r\n", channels.len())
}

/// A switch that waits for connections.
struct Switch {
    listener: TcpListener,
    stream: Option<TcpStream>,
    said: Receiver<Lines>,
}

impl Switch {
    fn new() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").expect("a port"), stream: None, said: channel().1 }
    }

    fn address(&self) -> SocketAddr {
        self.listener.local_addr().expect("bound")
    }

    /// Takes the next connection.
    fn accept(&mut self) {
        let (stream, _) = self.listener.accept().expect("somebody connects");
        let (sender, said) = channel();
        let reader = BufReader::new(stream.try_clone().expect("a second handle"));
        std::thread::spawn(move || {
            let mut lines = Vec::new();
            for line in reader.lines().map_while(Result::ok) {
                if let Some((key, value)) = line.split_once(": ") {
                    lines.push((key.to_owned(), value.to_owned()));
                } else if sender.send(std::mem::take(&mut lines)).is_err() {
                    break;
                }
            }
        });
        (self.stream, self.said) = (Some(stream), said);
        self.say("Asterisk Call Manager/11.0.0\r\n");
    }

    fn hear(&self) -> Lines {
        self.said.recv_timeout(Duration::from_secs(30)).expect("a message within half a minute")
    }

    /// `false` when nobody listens any more.
    fn say(&mut self, text: &str) -> bool {
        self.stream.as_mut().is_some_and(|stream| stream.write_all(text.as_bytes()).is_ok())
    }

    /// Lets somebody in who knows the secret, and lists what is open by its clock.
    fn let_in(&mut self, open: &str, clock: i64) {
        self.accept();
        let challenge = self.hear();
        assert_eq!((get(&challenge, "Action"), get(&challenge, "AuthType")), ("Challenge", "MD5"));
        self.say("Response: Success\r\nChallenge: 840415273\r\n\r\n");
        let login = self.hear();
        // printf '840415273not-so-secret' | md5sum
        assert_eq!((get(&login, "Username"), get(&login, "Key")), ("takt", KEY));
        assert_eq!(get(&login, "Events"), "call,agent,system");
        self.say("Response: Success\r\nMessage: Authentication accepted\r\n\r\nEvent: FullyBooted\r\nPrivilege: system,all\r\nStatus: Fully Booted\r\n\r\n");
        assert_eq!(get(&self.hear(), "Action"), "Ping");
        self.say(&format!("Response: Success\r\nPing: Pong\r\nTimestamp: {}.{:06}\r\n\r\n", clock / 1_000_000, clock % 1_000_000));
        assert_eq!(get(&self.hear(), "Action"), "CoreShowChannels");
        self.say(open);
    }

    /// Says recorded messages with their timing.
    fn play(&mut self, messages: &[Message], speed: f64) {
        let Some((first, _)) = messages.first() else { return };
        let began = Instant::now();
        for (at, lines) in messages {
            let due = Duration::from_secs_f64((at - first).max(0) as f64 / 1e6 / speed);
            std::thread::sleep(due.saturating_sub(began.elapsed()));
            let text: String = lines.iter().map(|(key, value)| format!("{key}: {value}\r\n")).collect();
            assert!(self.say(&(text + "\r\n")), "it listens");
        }
    }

    fn close(&mut self) {
        self.stream.take().expect("a connection").shutdown(std::net::Shutdown::Both).expect("closed");
    }
}

const KEY: &str = "9b0e93fc0e3f1733efdcbd044e67af27";

fn start(folder: &Path, switch: &Switch) -> Daemon {
    start_with(folder, &format!("tcp://{}", switch.address()), "")
}

fn start_with(folder: &Path, connect: &str, more: &str) -> Daemon {
    fs::write(folder.join("ami.secret"), "not-so-secret\n").expect("written");
    let source = format!(
        "\n[[source]]\nkind = \"asterisk-ami\"\nconnect = \"{connect}\"\nusername = \"takt\"\nsecret_file = \"ami.secret\"\n{more}"
    );
    Daemon::start(&configure(folder, &source))
}

/// The channel event log of the same calls, replayed into a ledger of its own.
fn by_event_log(name: &str) -> BTreeMap<String, Value> {
    let still = tempfile::tempdir().expect("a folder");
    let config = configure(still.path(), "");
    let file = format!("tests/recordings/{name}/cel.csv");
    let out = Command::new(TAKTD).args(["replay", "--json", "--as", "asterisk-cel", "--config"]).arg(&config).arg(file).output();
    let out = out.expect("it runs");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    records(&config)
}

fn text<'a>(record: &'a Value, key: &str) -> &'a str {
    record[key].as_str().unwrap_or_default()
}

fn talk(record: &Value) -> i64 {
    record["talk_s"].as_i64().expect("seconds")
}

/// Two seconds of a record that was cut to whole ones by another clock reading.
fn near(one: i64, other: i64) -> bool {
    (one - other).abs() <= 1
}

fn assert_same(ours: &BTreeMap<String, Value>, theirs: &BTreeMap<String, Value>) {
    let names = |records: &BTreeMap<String, Value>| records.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(ours), names(theirs));
    for (id, record) in theirs {
        let own = &ours[id];
        assert!(near(talk(own), talk(record)), "{own}\n{record}");
        for key in ["caller", "called", "agent", "hotline", "outcome", "contract", "end", "marks"] {
            assert_eq!(own[key], record[key], "{key}: {own}\n{record}");
        }
    }
}

#[test]
fn a_manager_interface_played_with_its_timing_meters_every_call_live() {
    let live = tempfile::tempdir().expect("a folder");
    let mut switch = Switch::new();
    let daemon = start(live.path(), &switch);
    let messages = recording("asterisk-16");
    switch.let_in(&open(&[]), messages[0].0);
    daemon.says("the open channels are known");
    let player = std::thread::spawn(move || {
        switch.play(&messages, SPEED);
        switch
    });
    let (mut most, mut talking) = (0, 0);
    while !player.is_finished() {
        let calls = daemon.calls();
        most = most.max(calls.len());
        talking = talking.max(calls.iter().filter(|call| call["state"] == "talking").count());
        std::thread::sleep(Duration::from_millis(20));
    }
    let _switch = player.join().expect("it played");
    assert!(most >= 3 && talking >= 3, "running calls were seen: {most}, talking {talking}");
    running(&daemon, <[Value]>::is_empty);
    until(&daemon, "taktd_source_up{kind=\"asterisk-ami\",source=\"1\"} 1");
    let config = daemon.end();
    assert_same(&records(&config), &by_event_log("asterisk-16"));
    verify(&config);
}

/// inputs.md §7, 15: an event that comes late; a connection lost in mid-call; the switch starts anew.
#[test]
fn trap_15_late_events_a_lost_connection_and_a_switch_that_starts_anew() {
    let live = tempfile::tempdir().expect("a folder");
    let mut switch = Switch::new();
    let daemon = start(live.path(), &switch);
    let messages = recording("asterisk-16");
    let talking = |calls: &[Value]| calls.iter().filter(|call| call["state"] == "talking").count();
    let place = |seconds: f64| {
        let from = messages[0].0;
        messages.iter().position(|(at, _)| (at - from) as f64 / 1e6 > seconds).expect("within it")
    };
    let (cut, again, restart) = (place(30.0), place(31.5), place(88.0));
    switch.let_in(&open(&[]), messages[0].0);
    // All at once, and so up to half a minute late: each event's own time counts.
    switch.play(&messages[..cut], 1e9);
    running(&daemon, |calls| talking(calls) >= 2);
    // The connection is lost in mid-call, and nothing is told of what happens meanwhile but what is open afterwards.
    switch.close();
    switch.let_in(&open(&messages[..again]), messages[again].0);
    daemon.says("the open channels are known");
    daemon.says("the open channels are known");
    running(&daemon, |calls| talking(calls) >= 3);
    switch.play(&messages[again..restart], 1e9);
    running(&daemon, |calls| talking(calls) >= 1);
    std::thread::sleep(Duration::from_millis(700));
    // The switch starts anew: nothing is open.
    switch.close();
    switch.let_in(&open(&[]), messages[restart].0 + 5_000_000);
    running(&daemon, <[Value]>::is_empty);
    let config = daemon.end();
    let (ours, truth) = (records(&config), by_event_log("asterisk-16"));
    let (mut whole, mut across, mut lost) = (0, 0, 0);
    let time = |record: &Value, key: &str| {
        chrono::DateTime::parse_from_rfc3339(text(record, key)).map(|at| at.timestamp_micros()).unwrap_or(i64::MAX)
    };
    for (id, own) in &ours {
        let record = truth.get(id).unwrap_or_else(|| panic!("a call that was none: {own}"));
        assert!(talk(own) <= talk(record) + 1, "never more than was: {own}\n{record}");
        if text(own, "end") == "observed" {
            let lived_on = time(record, "connected_at") < messages[cut].0 && time(record, "ended_at") > messages[again].0;
            across += usize::from(lived_on && near(talk(own), talk(record)));
            whole += 1;
        } else {
            lost += 1;
            assert!((text(own, "end"), own["marks"].to_string().contains("lost-party")) == ("estimated", true), "{own}");
        }
    }
    assert!(whole > 10 && across >= 1 && lost >= 1, "{whole} whole, {across} across, {lost} lost");
    verify(&config);
}

#[test]
fn events_without_a_time_are_shouted_about_and_not_metered() {
    let live = tempfile::tempdir().expect("a folder");
    let mut switch = Switch::new();
    let daemon = start(live.path(), &switch);
    switch.let_in(&open(&[]), recording("asterisk-16")[0].0);
    let timeless: Vec<Message> = recording("asterisk-16")
        .into_iter()
        .take(200)
        .map(|(at, lines)| (at, lines.into_iter().filter(|(key, _)| key != "Timestamp").collect()))
        .collect();
    switch.play(&timeless, 1e9);
    daemon.says("events of a manager interface have no Timestamp and are not metered; set timestampevents = yes in manager.conf");
    let page = daemon.get("/metrics").1;
    assert!(page.contains("taktd_rejected_total{reason=\"undated\"}"), "{page}");
    let began = Instant::now();
    while daemon.get("/readyz").0 == 200 {
        assert!(began.elapsed() < Duration::from_secs(30), "it is said to be ready");
        std::thread::sleep(Duration::from_millis(30));
    }
    let ready = daemon.get("/readyz").1;
    assert!(ready.contains("timestampevents = yes"), "{ready}");
    assert!(daemon.calls().is_empty());
    assert!(records(&daemon.end()).is_empty());
}

#[test]
fn a_silent_or_hostile_switch_never_stops_the_daemon_from_ending() {
    for hostile in ["", "x", "Response: Error\r\nMessage: Authentication failed\r\n\r\n", "Event: "] {
        let live = tempfile::tempdir().expect("a folder");
        let mut switch = Switch::new();
        let daemon = start(live.path(), &switch);
        switch.accept();
        let mut stream = switch.stream.take().expect("a connection");
        let flood = hostile.to_owned();
        std::thread::spawn(move || match flood.as_str() {
            "" => std::thread::sleep(Duration::from_secs(20)),
            // Lines without end, and messages without end, for as long as somebody reads.
            "x" => while stream.write_all(&[b'x'; 10_000]).is_ok() {},
            "Event: " => while stream.write_all(b"Event: Newchannel\r\n").is_ok() {},
            once => drop(stream.write_all(once.as_bytes())),
        });
        std::thread::sleep(Duration::from_millis(800));
        assert_eq!(daemon.get("/healthz").0, 200);
        let began = Instant::now();
        daemon.end();
        assert!(began.elapsed() < Duration::from_secs(10), "{hostile:?} held it up for {:?}", began.elapsed());
    }
    // Nobody there at all.
    let live = tempfile::tempdir().expect("a folder");
    let switch = Switch::new();
    let daemon = start(live.path(), &switch);
    drop(switch);
    std::thread::sleep(Duration::from_millis(300));
    daemon.end();
}
