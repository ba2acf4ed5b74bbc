//! The daemon as it runs: fed by HEP over loopback and by a growing file, looked at over HTTP, killed, told to reload.

use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

pub(crate) const TAKTD: &str = env!("CARGO_BIN_EXE_taktd");
/// Recorded seconds per second.
const SPEED: f64 = 30.0;

/// A running daemon with a folder of its own.
pub(crate) struct Daemon {
    pub(crate) child: Child,
    pub(crate) logs: Receiver<Value>,
    pub(crate) config: PathBuf,
    pub(crate) hep: Option<SocketAddr>,
    pub(crate) posted: Option<SocketAddr>,
    pub(crate) http: SocketAddr,
}

/// Writes a configuration into a folder: the example's numbers, free ports, and these sources.
/// The recordings grow old: nothing of them is closed or anonymised, whenever the tests run.
pub(crate) fn configure(folder: &Path, sources: &str) -> PathBuf {
    let example = fs::read_to_string("config/taktd.toml").expect("the example ships");
    let table: toml::Table = example.parse().expect("TOML");
    let mut table = table;
    for gone in ["source", "export", "log", "http", "privacy", "ledger"] {
        table.remove(gone);
    }
    let here = std::env::current_dir().expect("a folder");
    let catalogue = table["catalogue"].as_table_mut().expect("a table");
    for list in ["tariffs", "contracts"] {
        for name in catalogue[list].as_array_mut().expect("a list") {
            let path = here.join("config").join(name.as_str().expect("a name"));
            *name = path.display().to_string().into();
        }
    }
    let own = "\n[ledger]\nurl = \"sqlite:ledger.db\"\nclose_after = \"400 years\"\n[http]\nlisten = \"127.0.0.1:0\"\n[log]\nformat = \"json\"\nlevel = \"info\"\n[export]\ndirectory = \"export\"\nat = \"02:30\"\ntimezone = \"Europe/Berlin\"\nformats = [\"csv\", \"jsonl\"]\n[privacy]\nmask_digits = 3\nkeep = \"400 years\"\n";
    let path = folder.join("taktd.toml");
    fs::write(&path, format!("{table}{own}{sources}")).expect("written");
    path
}

pub(crate) const HEP: &str = "\n[[source]]\nkind = \"hep\"\nlisten = \"udp://127.0.0.1:0\"\nauth_key_file = \"hep.key\"\n";

/// What [`Daemon::start`] writes into the key file of that source.
pub(crate) const HEP_PASSWORD: &str = "lab-hep";

impl Daemon {
    pub(crate) fn start(config: &Path) -> Self {
        Self::start_by(Command::new(TAKTD), config)
    }

    /// The same by a command that ends with the program: one that changes into a namespace first, say.
    pub(crate) fn start_by(command: Command, config: &Path) -> Self {
        Self::start_unless_it_dies(command, config).unwrap_or_else(|said| panic!("it does not start: {said:#?}"))
    }

    /// The same, where it may end before it meters: then what it said.
    pub(crate) fn start_unless_it_dies(mut command: Command, config: &Path) -> Result<Self, Vec<Value>> {
        fs::write(config.with_file_name("hep.key"), HEP_PASSWORD).expect("written");
        let mut child = command
            .args(["run", "--config"])
            .arg(config)
            .env_remove("RUST_LOG")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let (sender, logs) = channel();
        let stderr = child.stderr.take().expect("piped");
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let told = serde_json::from_str(&line).unwrap_or_else(|_| Value::String(line.clone()));
                if sender.send(told).is_err() {
                    break;
                }
            }
        });
        let mut daemon =
            Self { child, logs, config: config.to_owned(), hep: None, posted: None, http: "127.0.0.1:1".parse().expect("an address") };
        let mut said = Vec::new();
        loop {
            let told = match daemon.logs.recv_timeout(Duration::from_secs(60)) {
                Ok(told) => told,
                Err(RecvTimeoutError::Disconnected) => return Err(said),
                Err(RecvTimeoutError::Timeout) => panic!("neither metering nor ended within a minute: {said:#?}"),
            };
            let text = |key: &str| told[key].as_str().and_then(|text| text.parse().ok());
            match told["message"].as_str() {
                Some("listening for HEP") => daemon.hep = text("address"),
                Some("taking records that are posted") => daemon.posted = text("address"),
                Some("metering") => {
                    daemon.http = text("http").expect("an address");
                    return Ok(daemon);
                }
                _ => {}
            }
            said.push(told);
        }
    }

    pub(crate) fn log(&self) -> Value {
        self.logs.recv_timeout(Duration::from_secs(60)).expect("the daemon says something within a minute")
    }

    /// Waits for a message in the log.
    pub(crate) fn says(&self, message: &str) -> Value {
        loop {
            let told = self.log();
            if told["message"] == message {
                return told;
            }
        }
    }

    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.http).expect("it listens");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: taktd\r\nConnection: close\r\n\r\n").expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("answered");
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        (status, answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
    }

    pub(crate) fn calls(&self) -> Vec<Value> {
        let (status, body) = self.get("/v1/calls");
        assert_eq!(status, 200, "{body}");
        // The body is chunked or plain; the array is all there is in brackets.
        let (from, to) = (body.find('[').expect("an array"), body.rfind(']').expect("its end"));
        serde_json::from_str(&body[from..=to]).expect("JSON")
    }

    pub(crate) fn signal(&self, name: &str) {
        let done = Command::new("kill").arg(name).arg(self.child.id().to_string()).status().expect("kill");
        assert!(done.success());
    }

    pub(crate) fn end(mut self) -> PathBuf {
        self.signal("-TERM");
        assert!(self.child.wait().expect("it ends").success(), "drained well");
        self.config.clone()
    }

    pub(crate) fn kill(mut self) -> PathBuf {
        self.child.kill().expect("killed");
        let _ = self.child.wait();
        self.config.clone()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The UDP payloads of a recording (Ethernet, IPv4), each with its time in microseconds.
pub(crate) fn datagrams(path: &str) -> Vec<(i64, Vec<u8>)> {
    let bytes = fs::read(path).expect("the recording is there");
    let number = |at: usize| i64::from(u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four octets")));
    let mut found = Vec::new();
    let mut at = 24;
    while at + 16 <= bytes.len() {
        let length = usize::try_from(number(at + 8)).expect("a length");
        let frame = &bytes[at + 16..at + 16 + length];
        found.push((number(at) * 1_000_000 + number(at + 4), frame[14 + 20 + 8..].to_vec()));
        at += 16 + length;
    }
    found
}

/// Sends datagrams in their own rhythm, sped up.
fn send(to: SocketAddr, datagrams: &[(i64, Vec<u8>)]) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let begun = Instant::now();
    let first = datagrams.first().map_or(0, |(at, _)| *at);
    for (at, payload) in datagrams {
        let due = Duration::from_secs_f64((at - first).max(0) as f64 / 1e6 / SPEED);
        std::thread::sleep(due.saturating_sub(begun.elapsed()));
        socket.send_to(payload, to).expect("sent");
    }
}

/// The records in a ledger, by call.
pub(crate) fn records(config: &Path) -> BTreeMap<String, Value> {
    let out = Command::new(TAKTD).args(["calls", "--json", "--config"]).arg(config).output().expect("it runs");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let lines = String::from_utf8(out.stdout).expect("UTF-8");
    let records = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    records.map(|record| (record["call_id"].as_str().expect("a name").to_owned(), record)).collect()
}

/// The same recording, replayed into a ledger of its own.
pub(crate) fn replayed(folder: &Path, recording: &str) -> BTreeMap<String, Value> {
    let config = configure(folder, HEP);
    fs::write(folder.join("hep.key"), "lab-hep\n").expect("written");
    let out = Command::new(TAKTD).args(["replay", "--json", "--config"]).arg(&config).arg(recording).output().expect("it runs");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    records(&config)
}

/// Holds two sets of records against each other, and shows only what differs.
pub(crate) fn same(ours: &BTreeMap<String, Value>, theirs: &BTreeMap<String, Value>) {
    let mut differing = Vec::new();
    for id in ours.keys().chain(theirs.keys()).collect::<std::collections::BTreeSet<_>>() {
        match (ours.get(id), theirs.get(id)) {
            (Some(one), Some(other)) => {
                let fields = one.as_object().expect("an object").iter().filter(|(key, value)| other[key.as_str()] != **value);
                differing.extend(fields.map(|(key, value)| format!("{id} {key}: {value}, not {}", other[key.as_str()])));
            }
            (one, other) => differing.push(format!("{id}: {} and {}", one.is_some(), other.is_some())),
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

pub(crate) fn verify(config: &Path) {
    let out = Command::new(TAKTD).args(["verify", "--config"]).arg(config).output().expect("it runs");
    assert!(out.status.success(), "{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
}

pub(crate) const RECORDING: &str = "tests/recordings/asterisk-16/hep.pcap";

#[test]
fn hep_over_loopback_gives_the_same_records_as_the_recording() {
    let (live, still) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let daemon = Daemon::start(&configure(live.path(), HEP));
    let hep = daemon.hep.expect("it listens");
    let all = datagrams(RECORDING);
    let sender = std::thread::spawn(move || send(hep, &all));
    let (mut most, mut talking, mut priced) = (0, 0, 0);
    while !sender.is_finished() {
        let calls = daemon.calls();
        most = most.max(calls.len());
        talking = talking.max(calls.iter().filter(|call| call["state"] == "talking").count());
        priced = priced.max(calls.iter().filter(|call| call["outcome"] == "charged").count());
        let page = daemon.get("/metrics").1;
        assert!(page.contains("taktd_calls_running{"), "{page}");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(most >= 3 && talking >= 2 && priced >= 1, "running calls were seen: {most}, talking {talking}, priced {priced}");
    assert_eq!(daemon.get("/readyz").0, 200);
    let config = daemon.end();
    same(&records(&config), &replayed(still.path(), RECORDING));
    verify(&config);
}

#[test]
fn a_kill_at_any_moment_loses_no_answered_call() {
    let (live, still) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let config = configure(live.path(), HEP);
    let all = datagrams(RECORDING);
    let expected = replayed(still.path(), RECORDING);
    for part in all.chunks(all.len() / 4) {
        let daemon = Daemon::start(&config);
        send(daemon.hep.expect("it listens"), part);
        // Long enough for what was received to be committed; short enough that the snapshot may be an older one.
        std::thread::sleep(Duration::from_millis(300));
        daemon.kill();
    }
    Daemon::start(&config).end();
    let found = records(&config);
    let answered = |record: &Value| record["connected_at"].is_string();
    // Dialogs that were not answered yet are kept every two seconds: only what was set up and answered in one life counts.
    let times: Vec<(i64, i64)> = all.chunks(all.len() / 4).map(|part| (part[0].0, part[part.len() - 1].0)).collect();
    let life = |time: &Value| {
        let at = chrono::DateTime::parse_from_rfc3339(time.as_str().expect("a time")).expect("RFC 3339").timestamp_micros();
        times.iter().position(|(first, last)| (*first..=*last).contains(&at))
    };
    let mut across = 0;
    for (id, record) in expected.iter().filter(|(_, record)| answered(record)) {
        if life(&record["started_at"]).is_none() || life(&record["started_at"]) != life(&record["connected_at"]) {
            continue;
        }
        let ours = found.get(id).unwrap_or_else(|| panic!("an answered call is lost: {record}"));
        assert!(answered(ours), "{ours}");
        if record["marks"].as_array().is_some_and(Vec::is_empty) {
            assert_eq!((&ours["talk_s"], &ours["end"]), (&record["talk_s"], &record["end"]), "{ours}");
            across += usize::from(life(&record["ended_at"]) != life(&record["connected_at"]));
        }
    }
    assert!(across > 0, "some call went on over a kill");
    for id in found.keys() {
        // A phone that rings when the daemon comes back may look like a call of its own, never like one that costs.
        assert!(expected.contains_key(id) || found[id]["net"] == "0.00", "a call that was none: {}", found[id]);
    }
    verify(&config);
}

#[test]
fn a_growing_file_of_records_is_followed_across_rotation_and_restart() {
    let (live, still) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let source = "\n[[source]]\nkind = \"asterisk-cdr\"\npath = \"Master.csv\"\ntimezone = \"Europe/Berlin\"\ncolumns = \"auto\"\nqueue_log = \"queue_log\"\n";
    let config = configure(live.path(), source);
    let rows = fs::read_to_string("tests/recordings/asterisk-16/Master.csv").expect("the recording is there");
    let (master, queue_log) = (live.path().join("Master.csv"), live.path().join("queue_log"));
    fs::copy("tests/recordings/asterisk-16/queue_log", &queue_log).expect("copied");
    let lines: Vec<&str> = rows.split_inclusive('\n').collect();
    let append = |text: &str| {
        let mut file = fs::OpenOptions::new().append(true).create(true).open(&master).expect("it opens");
        file.write_all(text.as_bytes()).expect("written");
    };
    let daemon = Daemon::start(&config);
    append(&lines[..20].concat());
    append(&lines[20][..40]); // half a line
    std::thread::sleep(Duration::from_millis(1_200));
    append(&lines[20][40..]);
    fs::rename(&master, live.path().join("Master.csv.1")).expect("rotated");
    append(&lines[21..40].concat());
    std::thread::sleep(Duration::from_millis(1_200));
    let config = daemon.end();
    append(&lines[40..].concat());
    let daemon = Daemon::start(&config);
    std::thread::sleep(Duration::from_millis(1_500));
    let config = daemon.end();

    let other = configure(still.path(), &source.replace("Master.csv", &format!("{}/whole.csv", still.path().display())));
    fs::write(still.path().join("whole.csv"), &rows).expect("written");
    fs::copy(&queue_log, still.path().join("queue_log")).expect("copied");
    let out = Command::new(TAKTD).args(["replay", "--json", "--config"]).arg(&other).output().expect("it runs");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    same(&records(&config), &records(&other));
    verify(&config);
}

#[test]
fn a_bad_configuration_is_refused_whole_on_reload() {
    let live = tempfile::tempdir().expect("a folder");
    let config = configure(live.path(), HEP);
    let daemon = Daemon::start(&config);
    let good = fs::read_to_string(&config).expect("read");
    fs::write(&config, good.replace("area_code", "area_cod")).expect("written");
    daemon.signal("-HUP");
    let told = daemon.says("the new configuration is refused whole; the old one stays in force");
    assert!(told["problems"].as_str().is_some_and(|text| text.contains("area_cod")), "{told}");
    assert!(daemon.get("/metrics").1.contains("taktd_config_reload_success 0"));
    fs::write(&config, good).expect("written");
    daemon.signal("-HUP");
    daemon.says("the new configuration is in force");
    assert!(daemon.get("/metrics").1.contains("taktd_config_reload_success 1"));
    daemon.end();
}

#[test]
fn an_operator_assigns_a_call_while_the_daemon_runs() {
    let live = tempfile::tempdir().expect("a folder");
    let config = configure(live.path(), HEP);
    fs::write(live.path().join("hep.key"), "lab-hep\n").expect("written");
    let out = Command::new(TAKTD).args(["replay", "--json", "--config"]).arg(&config).arg(RECORDING).output().expect("it runs");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let unmatched = records(&config).into_iter().find(|(_, record)| record["outcome"] == "unmatched").expect("there is one").0;
    let daemon = Daemon::start(&config);
    let out = Command::new(TAKTD)
        .args(["assign", &unmatched, "K-1001", "--reason", "she called again", "--json", "--config"])
        .arg(&config)
        .output();
    let out = out.expect("it runs");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let config = daemon.end();
    let record = &records(&config)[&unmatched];
    assert_eq!(record["contract"], "K-1001", "{record}");
    assert!(record["reason"].as_str().is_some_and(|reason| reason.contains("she called again")), "{record}");
    verify(&config);
}
