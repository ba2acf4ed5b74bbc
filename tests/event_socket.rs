//! The daemon on FreeSWITCH's event socket: a player that answers and tells as FreeSWITCH does, over TCP. (FreeSWITCH itself is
//! in no package of Debian's; its events are made up here after its source and documentation.)

use crate::channels::{running, until};
use crate::daemon::{Daemon, TAKTD, configure, records, verify};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// The begin of every story, half an hour ago: a call that goes on over our restart must not be older than `max_call`.
static BEGIN: LazyLock<i64> = LazyLock::new(|| (chrono::Utc::now().timestamp() - 1_800) * 1_000_000);

/// An event: its fields.
type Event = BTreeMap<String, String>;

fn at(seconds: f64) -> i64 {
    *BEGIN + (seconds * 1e6) as i64
}

/// The events of a story. A line is `SECONDS NAME UUID FIELD=VALUE …`; what a channel is is repeated in all its events.
fn story(core: &str, text: &str) -> Vec<Event> {
    let mut known: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let event = lines.map(|line| {
        let words: Vec<&str> = line.split(' ').collect();
        let [seconds, name, uuid, fields @ ..] = words.as_slice() else { panic!("{line}") };
        let said = known.entry(uuid).or_default();
        said.retain(|(field, _)| !field.starts_with("Bridge-"));
        said.extend(fields.iter().map(|field| field.split_once('=').expect("FIELD=VALUE")));
        let time = at(seconds.parse().expect("seconds")).to_string();
        let own = [("Event-Name", *name), ("Unique-ID", *uuid), ("Core-UUID", core), ("Event-Date-Timestamp", &time)];
        own.iter().chain(said.iter()).map(|(field, value)| ((*field).to_owned(), (*value).to_owned())).collect()
    });
    event.collect()
}

/// A caller from the trunk whom the desk of an agent answers after five seconds; the name of the call begins its channels'.
fn call(name: &str, caller: &str, agent: &str, from: f64, to: f64) -> String {
    let (ring, answer) = (from + 1.0, from + 5.0);
    format!(
        "{from} CHANNEL_CREATE {name}-a Call-Direction=inbound Channel-Name=sofia/external/{caller}@192.0.2.1 Channel-Call-UUID={name}-a Caller-Caller-ID-Number={caller} Caller-Destination-Number=+4989555010 variable_sofia_profile_name=external\n\
         {ring} CHANNEL_CREATE {name}-b Call-Direction=outbound Channel-Name=sofia/internal/sip:{agent}@192.0.2.9 Channel-Call-UUID={name}-a variable_dialed_user={agent}\n\
         {ring} CHANNEL_BRIDGE {name}-a Bridge-A-Unique-ID={name}-a Bridge-B-Unique-ID={name}-b\n\
         {answer} CHANNEL_ANSWER {name}-b\n{answer} CHANNEL_ANSWER {name}-a\n\
         {to} CHANNEL_HANGUP {name}-a Hangup-Cause=NORMAL_CLEARING\n{to} CHANNEL_UNBRIDGE {name}-a Bridge-A-Unique-ID={name}-a Bridge-B-Unique-ID={name}-b\n\
         {to} CHANNEL_HANGUP {name}-b Hangup-Cause=NORMAL_CLEARING\n{to} CHANNEL_HANGUP_COMPLETE {name}-a\n{to} CHANNEL_HANGUP_COMPLETE {name}-b\n"
    )
}

/// Stories told at once, each event at its time.
fn together(core: &str, stories: &[String]) -> Vec<Event> {
    let mut all: Vec<Event> = stories.iter().flat_map(|text| story(core, text)).collect();
    all.sort_by_key(time_of);
    all
}

fn time_of(event: &Event) -> i64 {
    event["Event-Date-Timestamp"].parse().expect("a time")
}

/// What is open after these events: the lists of channels and of calls.
fn open(events: &[Event]) -> (Value, Value) {
    let mut channels: BTreeMap<&str, (&Event, bool)> = BTreeMap::new();
    let mut bridges: BTreeMap<&str, &str> = BTreeMap::new();
    for event in events {
        let uuid = event["Unique-ID"].as_str();
        match event["Event-Name"].as_str() {
            "CHANNEL_CREATE" => drop(channels.insert(uuid, (event, false))),
            "CHANNEL_ANSWER" => channels.get_mut(uuid).expect("created").1 = true,
            "CHANNEL_BRIDGE" => drop(bridges.insert(&event["Bridge-A-Unique-ID"], &event["Bridge-B-Unique-ID"])),
            "CHANNEL_UNBRIDGE" => drop(bridges.remove(event["Bridge-A-Unique-ID"].as_str())),
            "CHANNEL_HANGUP" => drop(channels.remove(uuid)),
            _ => {}
        }
    }
    let rows: Vec<Value> = channels.iter().map(|(uuid, (event, up))| {
        let get = |field: &str| event.get(field).cloned().unwrap_or_default();
        json!({ "uuid": uuid, "direction": get("Call-Direction"), "name": get("Channel-Name"), "call_uuid": get("Channel-Call-UUID"),
                "callstate": if *up { "ACTIVE" } else { "RINGING" }, "cid_num": get("Caller-Caller-ID-Number"), "dest": get("Caller-Destination-Number") })
    }).collect();
    let calls: Vec<Value> = bridges.iter().map(|(one, other)| json!({ "uuid": one, "b_uuid": other })).collect();
    let list =
        |rows: Vec<Value>| if rows.is_empty() { json!({ "row_count": 0 }) } else { json!({ "row_count": rows.len(), "rows": rows }) };
    (list(rows), list(calls))
}

/// FreeSWITCH, waiting for connections.
struct Socket {
    listener: TcpListener,
    stream: Option<TcpStream>,
    said: Receiver<String>,
}

impl Socket {
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
            for line in reader.lines().map_while(Result::ok).filter(|line| !line.is_empty()) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        (self.stream, self.said) = (Some(stream), said);
    }

    fn hear(&self) -> String {
        self.said.recv_timeout(Duration::from_secs(30)).expect("a command within half a minute")
    }

    /// `false` when nobody listens any more.
    fn say(&mut self, bytes: &[u8]) -> bool {
        self.stream.as_mut().is_some_and(|stream| stream.write_all(bytes).is_ok())
    }

    fn body(&mut self, kind: &str, body: &str) -> bool {
        self.say(format!("Content-Length: {}\nContent-Type: {kind}\n\n{body}", body.len()).as_bytes())
    }

    /// Lets somebody in who knows the password, and lists what is open by its clock.
    fn let_in(&mut self, (channels, calls): &(Value, Value), clock: i64) {
        self.accept();
        self.say(b"Content-Type: auth/request\n\n");
        assert_eq!(self.hear(), "auth not-so-secret");
        self.say(b"Content-Type: command/reply\nReply-Text: +OK accepted\n\n");
        let events = self.hear();
        assert!(events.starts_with("event json CHANNEL_CREATE ") && events.contains(" CUSTOM callcenter::info"), "{events}");
        self.say(b"Content-Type: command/reply\nReply-Text: +OK event listener enabled json\n\n");
        assert_eq!(self.hear(), "api strmicroepoch");
        self.body("api/response", &format!("{clock}\n"));
        assert_eq!(self.hear(), "api show channels as json");
        self.body("api/response", &channels.to_string());
        assert_eq!(self.hear(), "api show calls as json");
        self.body("api/response", &calls.to_string());
    }

    fn tell(&mut self, events: &[Event]) {
        for event in events {
            let body = serde_json::to_string(event).expect("JSON");
            assert!(self.body("text/event-json", &body), "it listens");
        }
    }

    fn close(&mut self) {
        self.stream.take().expect("a connection").shutdown(std::net::Shutdown::Both).expect("closed");
    }
}

fn config(folder: &Path, socket: &Socket, more: &str) -> std::path::PathBuf {
    fs::write(folder.join("event-socket.password"), "not-so-secret\n").expect("written");
    let example = fs::read_to_string("config/sources/freeswitch-events.toml").expect("it ships");
    let source = example.replace("tcp://127.0.0.1:8021", &format!("tcp://{}", socket.address()));
    configure(folder, &format!("\n{source}{more}"))
}

/// The record of one call, by its caller.
fn by_caller(records: &BTreeMap<String, Value>, caller: &str) -> Value {
    let mut found = records.values().filter(|record| record["caller"] == caller);
    let record = found.next().unwrap_or_else(|| panic!("no call of {caller}: {records:#?}"));
    assert!(found.next().is_none(), "two calls of {caller}: {records:#?}");
    record.clone()
}

const ONE: &str = "+491713920021";
const TWO: &str = "+491729925904";
const THREE: &str = "+49899999812";

fn talking(calls: &[Value]) -> usize {
    calls.iter().filter(|call| call["state"] == "talking").count()
}

/// What is left of a call that a record of each leg tells of, too.
fn record(uuid: &str, direction: &str, [start, answer, end]: [f64; 3], more: Value) -> String {
    let time = |seconds: f64| at(seconds).to_string();
    let mut variables = json!({ "uuid": uuid, "direction": direction, "start_uepoch": time(start), "answer_uepoch": time(answer),
                                "end_uepoch": time(end), "hangup_cause": "NORMAL_CLEARING" });
    for (name, value) in more.as_object().expect("variables") {
        variables[name] = value.clone();
    }
    json!({ "core-uuid": "c", "variables": variables, "callflow": [{ "caller_profile": { "caller_id_number": more["caller_id_number"], "destination_number": more["destination_number"] } }] }).to_string()
}

fn post(daemon: &Daemon, body: &str) {
    let mut stream = TcpStream::connect(daemon.posted.expect("a port")).expect("it listens");
    let head = format!("POST /cdr?uuid=x HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all((head + body).as_bytes()).expect("written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn calls_are_metered_live_and_their_records_are_the_same_calls() {
    let live = tempfile::tempdir().expect("a folder");
    let mut socket = Socket::new();
    let posted = "\n[[source]]\nkind = \"freeswitch\"\nlisten = \"http://127.0.0.1:0/cdr\"\n";
    let daemon = Daemon::start(&config(live.path(), &socket, posted));
    socket.let_in(&open(&[]), at(0.0));
    daemon.says("the open channels are known");
    until(&daemon, "taktd_source_up{kind=\"freeswitch-events\",source=\"1\"} 1");
    let events = together("core-1", &[call("one", ONE, "201", 0.0, 65.0), call("two", TWO, "202", 10.0, 45.0)]);
    let place = |seconds: f64| events.iter().position(|event| time_of(event) > at(seconds)).expect("within it");
    // While it rings, early media and all, nobody talks.
    socket.tell(&events[..place(4.0)]);
    running(&daemon, |calls| calls.len() == 1 && talking(calls) == 0);
    socket.tell(&events[place(4.0)..place(20.0)]);
    let calls = running(&daemon, |calls| talking(calls) == 2);
    assert!(calls.iter().any(|call| call["agent"] == "201") && calls.iter().any(|call| call["agent"] == "202"), "{calls:#?}");
    socket.tell(&events[place(20.0)..]);
    running(&daemon, <[Value]>::is_empty);
    // The records of the same legs, in whole: nothing becomes two, and nothing differs.
    let numbers = |caller: &str| json!({ "caller_id_number": caller, "destination_number": "+4989555010" });
    for (name, caller, agent, from, to) in [("one", ONE, "201", 0.0, 65.0), ("two", TWO, "202", 10.0, 45.0)] {
        post(&daemon, &record(&format!("{name}-a"), "inbound", [from, from + 5.0, to], numbers(caller)));
        let leg = json!({ "originator": format!("{name}-a"), "dialed_user": agent, "destination_number": agent });
        post(&daemon, &record(&format!("{name}-b"), "outbound", [from + 1.0, from + 5.0, to], leg));
    }
    let config = daemon.end();
    let found = records(&config);
    assert_eq!(found.len(), 2, "{found:#?}");
    for (caller, agent, talk) in [(ONE, "201", 60), (TWO, "202", 30)] {
        let record = by_caller(&found, caller);
        let told = (&record["talk_s"], &record["wait_s"], &record["agent"], &record["end"], &record["hotline"]);
        assert_eq!(told, (&json!(talk), &json!(5), &json!(agent), &json!("observed"), &json!("Support")), "{record}");
    }
    let out = Command::new(TAKTD).args(["reconcile", "--json", "--config"]).arg(&config).output().expect("it runs");
    let lines = String::from_utf8_lossy(&out.stdout).into_owned();
    let sum: Value = serde_json::from_str(lines.lines().last().expect("a sum")).expect("JSON");
    assert_eq!((&sum["findings"], lines.lines().count()), (&json!(0), 1), "{lines}");
    verify(&config);
}

/// inputs.md §7, 15, of FreeSWITCH: late events, a connection lost in mid-call, our own restart, a FreeSWITCH that starts anew.
#[test]
fn trap_15_a_lost_connection_and_a_freeswitch_that_starts_anew() {
    let live = tempfile::tempdir().expect("a folder");
    let mut socket = Socket::new();
    let config = config(live.path(), &socket, "");
    let daemon = Daemon::start(&config);
    let events = together(
        "core-1",
        &[call("one", ONE, "201", 0.0, 100.0), call("two", TWO, "202", 2.0, 40.0), call("three", THREE, "201", 110.0, 300.0)],
    );
    let place = |seconds: f64| events.iter().position(|event| time_of(event) > at(seconds)).expect("within it");
    socket.let_in(&open(&[]), at(0.0));
    // All at once, whenever that is: each event's own time counts. The last that is heard is the time at 30 s.
    socket.tell(&events[..place(20.0)]);
    socket.tell(&story("core-1", "30 HEARTBEAT -"));
    running(&daemon, |calls| talking(calls) == 2);
    daemon.says("the open channels are known");
    // The connection is lost; meanwhile the second call ends, unheard.
    socket.close();
    socket.let_in(&open(&events[..place(50.0)]), at(50.0));
    daemon.says("the open channels are known");
    running(&daemon, |calls| talking(calls) == 1);
    // Our own restart in mid-call: the call goes on.
    let config = daemon.end();
    let daemon = Daemon::start(&config);
    socket.let_in(&open(&events[..place(60.0)]), at(60.0));
    daemon.says("the open channels are known");
    running(&daemon, |calls| talking(calls) == 1);
    socket.tell(&events[place(60.0)..place(130.0)]);
    running(&daemon, |calls| talking(calls) == 1);
    socket.tell(&story("core-1", "200 HEARTBEAT -"));
    std::thread::sleep(Duration::from_millis(700));
    // FreeSWITCH starts anew: another core, and nothing is open.
    socket.close();
    socket.let_in(&open(&[]), at(400.0));
    running(&daemon, <[Value]>::is_empty);
    socket.tell(&together("core-2", &[call("four", "+491713920022", "202", 410.0, 425.0)]));
    until(&daemon, "taktd_calls_running{state=\"talking\"} 0");
    std::thread::sleep(Duration::from_millis(500));
    let config = daemon.end();
    let found = records(&config);
    let told = |caller| {
        let record = by_caller(&found, caller);
        (record["talk_s"].as_i64().expect("seconds"), record["end"].as_str().expect("a word").to_owned(), record["marks"].to_string())
    };
    assert_eq!(told(ONE), (95, "observed".to_owned(), "[]".to_owned()), "it went on over the lost connection and our restart");
    assert_eq!(told(TWO), (23, "estimated".to_owned(), "[\"lost-party\"]".to_owned()), "until it was last heard");
    assert_eq!(told(THREE), (85, "estimated".to_owned(), "[\"lost-party\"]".to_owned()), "until the old FreeSWITCH was last heard");
    assert_eq!(told("+491713920022"), (10, "observed".to_owned(), "[]".to_owned()));
    assert_eq!(found.len(), 4, "{found:#?}");
    verify(&config);
}

#[test]
fn who_is_not_let_in_says_so_and_tries_again() {
    let live = tempfile::tempdir().expect("a folder");
    let mut socket = Socket::new();
    let daemon = Daemon::start(&config(live.path(), &socket, ""));
    socket.accept();
    socket.say(b"Content-Type: auth/request\n\n");
    socket.hear();
    socket.say(b"Content-Type: command/reply\nReply-Text: -ERR invalid\n\nContent-Type: text/disconnect-notice\nContent-Length: 0\n\n");
    let told = daemon.says("an event socket does not let us in; it is tried again");
    let why = told["error"].as_str().expect("a reason");
    assert!(why.contains("-ERR invalid; compare the password"), "{why}");
    until(&daemon, "taktd_source_up{kind=\"freeswitch-events\",source=\"1\"} 0");
    // An address that an ACL keeps out is told so in other words.
    socket.accept();
    socket.say(b"Content-Type: text/rude-rejection\nContent-Length: 24\n\nAccess Denied, go away.\n");
    // And with the right password, all is well.
    socket.let_in(&open(&[]), at(0.0));
    until(&daemon, "taktd_source_up{kind=\"freeswitch-events\",source=\"1\"} 1");
    daemon.end();
}

#[test]
fn events_that_say_no_time_or_nothing_are_counted_and_not_metered() {
    let live = tempfile::tempdir().expect("a folder");
    let mut socket = Socket::new();
    let daemon = Daemon::start(&config(live.path(), &socket, ""));
    socket.let_in(&open(&[]), at(0.0));
    daemon.says("the open channels are known");
    // What is no object, what is too long, and a call in the future: the next event is read all the same.
    socket.body("text/event-json", "[\"no\", \"event\"]");
    socket.body("text/event-json", &"x".repeat(1_100_000));
    socket.tell(&together("core", &[call("far", TWO, "201", 4e8, 5e8)]));
    socket.tell(&together("core", &[call("one", ONE, "201", 0.0, 65.0)]));
    until(&daemon, "taktd_rejected_total{reason=\"malformed\"} 2");
    // Of its ten events two say two things each, and three something of both channels of a bridge.
    until(&daemon, "taktd_rejected_total{reason=\"undated\"} 13");
    let mut timeless = together("core", &[call("two", TWO, "201", 100.0, 165.0)]);
    timeless.iter_mut().for_each(|event| drop(event.remove("Event-Date-Timestamp")));
    socket.tell(&timeless);
    daemon.says("events of an event socket have no Event-Date-Timestamp and are not metered; is this FreeSWITCH?");
    let began = Instant::now();
    while daemon.get("/readyz").0 == 200 {
        assert!(began.elapsed() < Duration::from_secs(30), "it is said to be ready");
        std::thread::sleep(Duration::from_millis(30));
    }
    let found = records(&daemon.end());
    assert_eq!((found.len(), by_caller(&found, ONE)["talk_s"].as_i64()), (1, Some(60)), "{found:#?}");
}

#[test]
fn a_silent_or_hostile_server_never_stops_the_daemon_from_ending() {
    let hostile: [&[u8]; 7] = [
        b"",
        b"x",
        b"A: b\n",
        b"Content-Length: 18446744073709551615\nContent-Type: text/event-json\n\n",
        b"Content-Length: -1\n\n",
        b"Content-Length: 25165824\nContent-Type: api/response\n\n{",
        b"Content-Length: 2\nContent-Type: text/event-json\n\n{}",
    ];
    for bytes in hostile {
        let live = tempfile::tempdir().expect("a folder");
        let mut socket = Socket::new();
        let daemon = Daemon::start(&config(live.path(), &socket, ""));
        socket.accept();
        let mut stream = socket.stream.take().expect("a connection");
        std::thread::spawn(move || match bytes {
            b"" => std::thread::sleep(Duration::from_secs(20)),
            // The same again and again, for as long as somebody reads.
            bytes => while stream.write_all(&bytes.repeat(100)).is_ok() {},
        });
        std::thread::sleep(Duration::from_millis(800));
        assert_eq!(daemon.get("/healthz").0, 200);
        let began = Instant::now();
        daemon.end();
        assert!(began.elapsed() < Duration::from_secs(10), "{bytes:?} held it up for {:?}", began.elapsed());
    }
}
