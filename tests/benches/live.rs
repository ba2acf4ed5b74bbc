//! The whole daemon, live: HEP over UDP from a process of its own, metered, durable, held against what was made.
//!
//!     cargo bench --bench live                          # all three, at the figures below
//!     cargo bench --bench live -- rate 100000 30        # packets a second, for so many seconds
//!     cargo bench --bench live -- calls 100000          # so many calls at once, both legs of each; then they all end
//!     cargo bench --bench live -- drops                 # the daemon stands still for a second: what is lost has to be counted
//!
//! `rate` tells the processor time of the whole daemon, all threads, user and system, for a packet, and what the kernel dropped;
//! `calls` tells its peak of memory. Both fail when a datagram is neither received nor counted as dropped, and, where none was
//! dropped, when a call is missing in the ledger. The sender stamps nothing: the messages bear the times of the capture, which lie
//! in the past and pass faster, as with a switch whose clock is slow. On a busy machine loss is the machine's; the rest is ours.
//! The captures are made in `target/load`, anew when they are older than a day. Beside it, on the same packets, runs Kamailio, if it
//! is installed: it parses each frame and drops it. Not run: heplify-server and voipmonitor, which Debian does not have, nor
//! Kamailio with a database, which stores 5,000 to 6,000 packets a second (a row a packet).

mod process;

use process::{Running, Took};
use serde_json::Value;
use std::error::Error;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const TAKTD: &str = env!("CARGO_BIN_EXE_taktd");
/// Packets of a call, both legs: what make-load makes.
const PACKETS_OF_A_CALL: f64 = 14.6;
/// How long the daemon may take after the last packet.
const PATIENCE: Duration = Duration::from_secs(300);

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let number = |place: usize, without: u64| arguments.get(place).map_or(Ok(without), |text| text.parse());
    match arguments.first().map(String::as_str) {
        Some("send") => send(Path::new(&arguments[1]), arguments[2].parse()?, number(3, 1)?),
        Some("rate") => rate(number(1, 100_000)?, number(2, 30)?),
        Some("calls") => calls(number(1, 100_000)?),
        Some("drops") => drops(),
        Some(other) => Err(format!("{other}: rate, calls or drops would have been right").into()),
        None => rate(100_000, 30).and_then(|()| drops()).and_then(|()| calls(100_000)),
    }
}

fn rate(packets: u64, seconds: u64) -> Result<()> {
    let calls = (packets as f64 * seconds as f64 / PACKETS_OF_A_CALL) as u64;
    let load = Load::make("rate", calls, 6_000, 90)?;
    let mut daemon = Daemon::start(&load)?;
    let sent = daemon.hear(&load, packets)?;
    let heard = daemon.drained(sent.packets)?;
    let took = daemon.end()?;
    println!(
        "rate: {} packets of {calls} calls in {:.2} s ({:.0}/s, asked were {packets}/s), buffer of {} KiB at most",
        sent.packets,
        sent.wall.as_secs_f64(),
        sent.packets as f64 / sent.wall.as_secs_f64(),
        fs::read_to_string("/proc/sys/net/core/rmem_max")?.trim().parse::<u64>()? / 1024,
    );
    println!(
        "  taktd: {} received, {} dropped by the kernel, {:.2} us of processor time a packet, settled and durable {:.2} s behind the last, {} MiB",
        heard.received,
        heard.dropped,
        took.cpu.as_secs_f64() * 1e6 / heard.received as f64,
        took.behind.as_secs_f64(),
        took.peak_kib / 1024,
    );
    beside(&load, packets)?;
    if heard.dropped == 0 { load.compare() } else { Ok(()) }
}

fn calls(at_once: u64) -> Result<()> {
    // Talks of half an hour, and twice as many calls an hour as would do: so many run at once well before the first have gone.
    let load = Load::make("calls", at_once * 3 / 2, at_once * 2, 1_800)?;
    let mut daemon = Daemon::start(&load)?;
    let sent = daemon.hear(&load, 25_000)?;
    let heard = daemon.drained(sent.packets)?;
    let took = daemon.end()?;
    println!(
        "calls: {} packets at {:.0}/s; {} calls made at once, {} metered calls seen at once; peak of {} MiB; {:.2} us of processor time a packet",
        sent.packets,
        sent.packets as f64 / sent.wall.as_secs_f64(),
        load.truth["peak_calls_at_once"],
        heard.most_running,
        took.peak_kib / 1024,
        took.cpu.as_secs_f64() * 1e6 / heard.received as f64,
    );
    println!("  {} dropped by the kernel; it ran for {:.0} s", heard.dropped, took.wall.as_secs_f64());
    if heard.dropped == 0 { load.compare() } else { Ok(()) }
}

/// The daemon is stopped while packets come: the buffer runs over, and each packet is received or counted.
fn drops() -> Result<()> {
    let load = Load::make("drops", 20_000, 6_000, 90)?;
    let mut daemon = Daemon::start(&load)?;
    let id = daemon.running.child.id();
    let stopper = std::thread::spawn(move || {
        sleep(Duration::from_millis(500));
        signal(id, "STOP")?;
        sleep(Duration::from_secs(1));
        signal(id, "CONT")
    });
    let sent = daemon.hear(&load, 50_000)?;
    stopper.join().map_err(|_| "the stopper failed")?.map_err(|error| error.to_string())?;
    let heard = daemon.drained(sent.packets)?;
    daemon.end()?;
    println!("drops: {} packets sent, {} received, taktd_socket_drops_total {}", sent.packets, heard.received, heard.dropped);
    if heard.dropped > 0 { Ok(()) } else { Err("nothing was dropped, so nothing is shown".into()) }
}

fn signal(id: u32, name: &str) -> std::result::Result<(), String> {
    let status = Command::new("kill").args([format!("-{name}"), id.to_string()]).status().map_err(|error| error.to_string())?;
    if status.success() { Ok(()) } else { Err(format!("kill -{name} failed")) }
}

/// A capture of HEP, with contracts and configuration for it.
struct Load {
    stem: PathBuf,
    truth: Value,
}

impl Load {
    fn make(name: &str, calls: u64, concurrency: u64, mean_talk: u64) -> Result<Self> {
        let folder = Path::new(TAKTD).parent().and_then(Path::parent).ok_or("no target folder")?.join("load");
        fs::create_dir_all(&folder)?;
        let stem = folder.join(format!("live-{name}"));
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
        let kept = fs::read(format!("{}-truth.json", stem.display())).ok().and_then(|text| serde_json::from_slice::<Value>(&text).ok());
        let fits = |truth: &Value| {
            let of = &truth["arguments"];
            of["calls"] == calls && of["mean_talk"] == mean_talk as f64 && of["start"].as_u64().is_some_and(|start| start + 86_400 > now)
        };
        if let Some(truth) = kept.filter(fits) {
            return Ok(Self { stem, truth });
        }
        // All of it lies in the past.
        let spacing = (0.885 * mean_talk as f64 + 13.5) / concurrency as f64;
        let start = now - (spacing * calls as f64) as u64 - 20 * mean_talk;
        let mut command = Command::new(env!("CARGO"));
        command.current_dir(env!("CARGO_MANIFEST_DIR")).args(["run", "--release", "--quiet", "--example", "make-load", "--"]);
        command.args(["--only", "hep", "--no-calls", "--desks", "250", "--lost-bye", "0", "--out"]).arg(&stem);
        for (option, value) in [("--calls", calls), ("--concurrency", concurrency), ("--mean-talk", mean_talk), ("--start", start)] {
            command.args([option, &value.to_string()]);
        }
        if !command.stdout(Stdio::null()).status()?.success() {
            return Err("make-load failed".into());
        }
        let truth = serde_json::from_reader(File::open(format!("{}-truth.json", stem.display()))?)?;
        Ok(Self { stem, truth })
    }

    fn file(&self, end: &str) -> PathBuf {
        PathBuf::from(format!("{}-{end}", self.stem.display()))
    }

    /// The ledger against what was made: each call once, over, and with its talk. Stamps are cut to milliseconds as Asterisk cuts
    /// them, and talk to seconds: a call may be a second short, one in a hundred is.
    fn compare(&self) -> Result<()> {
        let mut command = Command::new(TAKTD);
        command.arg("calls").arg("--json").args(["--from", "2000-01-01"]).arg("--config").arg(self.file("run.toml"));
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let (mut calls, mut open, mut talk_s) = (0_u64, 0_u64, 0_u64);
        for line in BufReader::new(child.stdout.take().ok_or("no output")?).lines() {
            let call: Value = serde_json::from_str(&line?)?;
            calls += 1;
            open += u64::from(call["ended_at"].is_null());
            talk_s += call["talk_s"].as_u64().ok_or("no talk")?;
        }
        child.wait()?;
        let made = self.truth["calls"].as_u64().ok_or("no calls")?;
        let made_s = self.truth["talk_whole_s"].as_u64().ok_or("no talk")?;
        println!("  in the ledger {calls} calls of {made}, {open} of them open, talk {talk_s} s of {made_s} s");
        if calls == made && open == 0 && talk_s.abs_diff(made_s) <= made / 50 { Ok(()) } else { Err("the ledger is wrong".into()) }
    }
}

/// `taktd run`, on ports of its own.
struct Daemon {
    running: Running,
    hep: SocketAddr,
    http: SocketAddr,
    before: Duration,
    most_running: u64,
}

/// What the daemon says it heard.
struct Heard {
    received: u64,
    dropped: u64,
    most_running: u64,
}

/// What it took since it was ready.
struct Work {
    /// Since it was started.
    wall: Duration,
    cpu: Duration,
    peak_kib: u64,
    behind: Duration,
}

struct Sent {
    packets: u64,
    wall: Duration,
}

impl Daemon {
    fn start(load: &Load) -> Result<Self> {
        let hep = UdpSocket::bind("127.0.0.1:0")?.local_addr()?;
        let http = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let config = fs::read_to_string(load.file("taktd.toml"))?.replace("127.0.0.1:9060", &hep.to_string());
        // The longest of 100,000 talks of half an hour lasts six hours, and no message comes in between.
        let config = config.replace("max_call = \"4h\"", "max_call = \"24h\"");
        fs::write(load.file("run.toml"), format!("{config}\n[http]\nlisten = \"{http}\"\n"))?;
        for end in ["ledger.db", "ledger.db-wal", "ledger.db-shm", "ledger.db.key", "ledger.db.lock"] {
            let _ = fs::remove_file(load.file(end));
        }
        let mut command = Command::new(TAKTD);
        command.arg("run").arg("--config").arg(load.file("run.toml")).stdout(Stdio::null()).stderr(File::create(load.file("log.txt"))?);
        let mut daemon = Self { running: Running::start(&mut command)?, hep, http, before: Duration::ZERO, most_running: 0 };
        let begun = Instant::now();
        while daemon.get("/readyz").is_err() {
            if begun.elapsed() > PATIENCE {
                return Err("the daemon does not get ready".into());
            }
            sleep(Duration::from_millis(50));
        }
        daemon.before = daemon.running.so_far().cpu;
        Ok(daemon)
    }

    /// Sends the capture from another process, and watches.
    fn hear(&mut self, load: &Load, packets: u64) -> Result<Sent> {
        let begun = Instant::now();
        let mut sender = send_from_another(&load.file("hep.pcap"), self.hep, packets)?;
        while sender.try_wait()?.is_none() {
            self.watch();
            sleep(Duration::from_millis(500));
        }
        let mut said = String::new();
        sender.stdout.take().ok_or("no output")?.read_to_string(&mut said)?;
        let said = said.trim().parse();
        Ok(Sent { packets: said.map_err(|_| "the sender failed")?, wall: begun.elapsed() })
    }

    fn watch(&mut self) {
        self.running.so_far();
        let text = self.get("/metrics").unwrap_or_default();
        self.most_running = self.most_running.max(sum(&text, "taktd_calls_running"));
    }

    /// Waits until every packet is heard of, and no call runs.
    fn drained(&mut self, sent: u64) -> Result<Heard> {
        let begun = Instant::now();
        loop {
            self.watch();
            let text = self.get("/metrics")?;
            let (received, dropped) = (sum(&text, "taktd_hep_frames_total"), sum(&text, "taktd_socket_drops_total"));
            if received + dropped == sent {
                return Ok(Heard { received, dropped, most_running: self.most_running });
            }
            if begun.elapsed() > PATIENCE || received + dropped > sent {
                return Err(format!("{sent} packets were sent; {received} received and {dropped} dropped are told").into());
            }
            sleep(Duration::from_millis(100));
        }
    }

    /// Ends it, which writes what is left.
    fn end(mut self) -> Result<Work> {
        let begun = Instant::now();
        self.running.so_far();
        signal(self.running.child.id(), "TERM")?;
        let Took { wall, cpu, peak_kib } = self.running.end()?;
        Ok(Work { wall, cpu: cpu.saturating_sub(self.before), peak_kib, behind: begun.elapsed() })
    }

    fn get(&self, path: &str) -> Result<String> {
        let mut stream = TcpStream::connect(self.http)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.http)?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        if text.starts_with("HTTP/1.1 200") { Ok(text) } else { Err("not 200".into()) }
    }
}

/// The sum over all labels of a metric.
fn sum(text: &str, name: &str) -> u64 {
    let lines = text.lines().filter_map(|line| line.strip_prefix(name));
    let values = lines.filter(|rest| rest.starts_with(['{', ' '])).filter_map(|rest| rest.rsplit(' ').next()?.parse::<f64>().ok());
    values.sum::<f64>() as u64
}

/// The same load to Kamailio, which parses each frame and drops it.
fn beside(load: &Load, packets: u64) -> Result<()> {
    let modules = ["/usr/lib/x86_64-linux-gnu/kamailio/modules/", "/usr/lib/aarch64-linux-gnu/kamailio/modules/"];
    let Some(modules) = modules.iter().find(|folder| Path::new(folder).is_dir()) else {
        println!("  Kamailio not run: it is not installed");
        return Ok(());
    };
    // The module wants a database, also where nothing is stored: one of text files comes with it.
    let (folder, port) = (load.file("kamailio"), UdpSocket::bind("127.0.0.1:0")?.local_addr()?.port());
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("version"), "table_name(str) table_version(int)\nversion:1\nsip_capture:4\n")?;
    fs::write(folder.join("sip_capture"), "id(int,auto)\n")?;
    let text = format!(
        "#!KAMAILIO\ndebug=-1\nlog_stderror=yes\nfork=yes\nchildren=2\ndisable_tcp=yes\nauto_aliases=no\nmaxbuffer=8388608\n\
         listen=udp:127.0.0.1:{port}\nmpath=\"{modules}\"\nloadmodule \"pv.so\"\nloadmodule \"db_text.so\"\nloadmodule \"sipcapture.so\"\n\
         modparam(\"sipcapture\", \"db_url\", \"text://{}\")\nmodparam(\"sipcapture\", \"table_name\", \"sip_capture\")\n\
         modparam(\"sipcapture\", \"capture_on\", 1)\nmodparam(\"sipcapture\", \"hep_capture_on\", 1)\n\
         request_route {{\n drop;\n}}\nonreply_route {{\n drop;\n}}\n",
        folder.display()
    );
    fs::write(load.file("kamailio.cfg"), text)?;
    let mut command = Command::new("kamailio");
    command.args(["-x", "fm", "-X", "fm", "-m", "256", "-DD", "-E", "-Y"]).arg(&folder).arg("-f").arg(load.file("kamailio.cfg"));
    let kamailio = Running::start(command.stdout(Stdio::null()).stderr(Stdio::null()))?;
    let line = format!(":{port:04X} 00000000:0000");
    let socket = || fs::read_to_string("/proc/net/udp").unwrap_or_default().lines().find(|text| text.contains(&line)).map(str::to_owned);
    let begun = Instant::now();
    while socket().is_none() {
        if begun.elapsed() > Duration::from_secs(20) {
            println!("  Kamailio not run: it does not listen");
            return Ok(());
        }
        sleep(Duration::from_millis(100));
    }
    let mut sender = send_from_another(&load.file("hep.pcap"), SocketAddr::from(([127, 0, 0, 1], port)), packets)?;
    sender.wait()?;
    let mut said = String::new();
    sender.stdout.take().ok_or("no output")?.read_to_string(&mut said)?;
    let (sent, before) = (said.trim().parse::<u64>()?, children_time()?);
    sleep(Duration::from_secs(2));
    let dropped: u64 = socket().and_then(|line| line.split_ascii_whitespace().last()?.parse().ok()).ok_or("no socket")?;
    signal(kamailio.child.id(), "TERM")?;
    kamailio.end()?;
    let each = children_time()?.saturating_sub(before).as_secs_f64() * 1e6 / (sent - dropped) as f64;
    println!(
        "  Kamailio, parsed and dropped: {} received, {dropped} dropped by the kernel, {each:.2} us of processor time a packet",
        sent - dropped
    );
    Ok(())
}

/// The processor time of all children that have ended, and of theirs.
fn children_time() -> Result<Duration> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let mut fields = stat.rsplit(')').next().ok_or("no fields")?.split_ascii_whitespace().skip(13);
    let ticks: u64 = fields.by_ref().take(2).map(str::parse::<u64>).sum::<std::result::Result<u64, _>>()?;
    Ok(Duration::from_millis(10 * ticks))
}

/// Begins to send from a process of its own.
fn send_from_another(capture: &Path, to: SocketAddr, packets: u64) -> Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("send").arg(capture).arg(to.to_string()).arg(packets.to_string());
    Ok(command.stdout(Stdio::piped()).spawn()?)
}

/// The sender: the datagrams of a capture, in bursts, so many a second; prints how many.
fn send(capture: &Path, to: SocketAddr, rate: u64) -> Result<()> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(to)?;
    let mut file = BufReader::with_capacity(1 << 20, File::open(capture)?);
    file.read_exact(&mut [0; 24])?;
    let (mut datagram, mut piece, mut sent) = (Vec::new(), Vec::new(), 0_u64);
    let begun = Instant::now();
    let mut due = 0;
    loop {
        let mut head = [0; 16];
        if file.read_exact(&mut head).is_err() {
            break;
        }
        let length = u32::from_le_bytes([head[8], head[9], head[10], head[11]]);
        piece.resize(usize::try_from(length)?, 0);
        file.read_exact(&mut piece)?;
        // Ethernet and IPv4 headers of 34 octets, as make-load writes them; a datagram's pieces follow one another.
        let (head, payload) = piece.split_at_checked(34).ok_or("a packet without headers")?;
        datagram.extend_from_slice(payload);
        if head[20] & 0x20 != 0 {
            continue;
        }
        while sent >= due {
            sleep(Duration::from_micros(300));
            due = (begun.elapsed().as_micros() as u64).saturating_mul(rate) / 1_000_000;
        }
        socket.send(datagram.get(8..).ok_or("no UDP header")?)?;
        datagram.clear();
        sent += 1;
    }
    println!("{sent}");
    Ok(())
}
