//! The whole way: a capture of many calls into settled, durable records, held against the truth call by call, beside the
//! peers that are installed (tshark, sngrep).
//!
//!     cargo bench --bench replay                 # 20,000 and 200,000 calls
//!     cargo bench --bench replay -- 50000        # so many
//!
//! The captures are made once, in `target/load`. Fails when a call is missing, told twice, or has another talk time than the
//! truth. Calls whose BYE was never sent stay open; then the capture is replayed once more with `--final`, which ends them at
//! their last proof of life, and all are held against the truth again.

use chrono::DateTime;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const TAKTD: &str = env!("CARGO_BIN_EXE_taktd");
const RUNS: usize = 3;

/// When a call was set up, in microseconds, and its direction.
type Key = (i64, String);

/// What a program took.
struct Took {
    wall: Duration,
    peak_kib: u64,
}

/// A call as the generator made it.
struct Truth {
    kind: String,
    customer: String,
    withheld: bool,
    /// Talk in whole seconds, from when both the caller and the agent were connected.
    talk_s: i64,
    lost_bye: bool,
    /// The same until the last proof of life, for those.
    alive_s: i64,
}

/// What is held against the truth.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pass {
    /// What the capture itself says: calls without BYE run on.
    Open,
    /// With `--final`: no call runs on.
    Final,
}

fn main() -> Result<()> {
    let wanted: Vec<u64> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let mut wrong = 0;
    for calls in if wanted.is_empty() { vec![20_000, 200_000] } else { wanted } {
        wrong += measure(calls)?;
    }
    if wrong > 0 { Err(format!("{wrong} calls are not as the truth has them").into()) } else { Ok(()) }
}

/// Replays a capture of so many calls; gives how many calls are wrong.
fn measure(calls: u64) -> Result<usize> {
    let folder = Path::new(TAKTD).parent().and_then(Path::parent).ok_or("no target folder")?.join("load");
    let stem = folder.join(format!("replay-{calls}"));
    let file = |end: &str| PathBuf::from(format!("{}-{end}", stem.display()));
    let table = fs::File::open(file("calls.csv")).map(BufReader::new).map(|table| table.lines().next());
    // A table of an older make-load says less.
    if !matches!(table, Ok(Some(Ok(columns))) if columns.contains("alive_ms")) {
        make(&folder, calls, &stem)?;
    }
    let (capture, config, ledger) = (file("sip.pcap"), file("taktd.toml"), file("ledger.db"));
    let truth: Value = serde_json::from_reader(File::open(file("truth.json"))?)?;
    let packets = truth["files"]["sip"]["packets"].as_u64().ok_or("no number of packets")?;
    let mut runs = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        for end in ["", "-wal", "-shm", ".key", ".lock"] {
            let _ = fs::remove_file(format!("{}{end}", ledger.display()));
        }
        let mut command = Command::new(TAKTD);
        command.arg("replay").arg("--config").arg(&config).arg("--ledger").arg(&ledger).arg(&capture);
        runs.push(run(&mut command)?);
    }
    runs.sort_by_key(|run| run.wall);
    let ours = &runs[RUNS / 2];
    println!("{calls} calls, {packets} packets, {} MB", fs::metadata(&capture)?.len() / 1_000_000);
    tell("taktd replay, settled and durable", ours, packets, ours);
    beside("tshark -q -z sip,stat", &capture, packets, ours, &["tshark", "-q", "-z", "sip,stat", "-r"]);
    if calls <= 20_000 {
        beside("sngrep -N -q", &capture, packets, ours, &["sngrep", "-N", "-q", "-l", "1000000", "-I"]);
    }
    let wrong = compare(&config, &ledger, &file("calls.csv"), Pass::Open)?;
    let mut command = Command::new(TAKTD);
    command.arg("replay").arg("--final").arg("--config").arg(&config).arg("--ledger").arg(&ledger).arg(&capture);
    run(&mut command)?;
    println!("  once more, with --final:");
    Ok(wrong + compare(&config, &ledger, &file("calls.csv"), Pass::Final)?)
}

fn make(folder: &Path, calls: u64, stem: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(["run", "--release", "--quiet", "--example", "make-load", "--"]);
    command.args(["--concurrency", "6000", "--only", "sip", "--calls", &calls.to_string(), "--out"]).arg(stem);
    if command.status()?.success() { Ok(()) } else { Err("make-load failed".into()) }
}

/// Runs a program to its end, and watches its memory.
fn run(command: &mut Command) -> Result<Took> {
    let begun = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let status = format!("/proc/{}/status", child.id());
    let mut peak_kib = 0;
    loop {
        let told = fs::read_to_string(&status).unwrap_or_default();
        let line = told.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak_kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok()).map_or(peak_kib, |kib: u64| kib.max(peak_kib));
        if let Some(ended) = child.try_wait()? {
            let took = Took { wall: begun.elapsed(), peak_kib };
            return if ended.success() { Ok(took) } else { Err(format!("{command:?} failed: {ended}").into()) };
        }
        sleep(Duration::from_millis(5));
    }
}

fn beside(name: &str, capture: &Path, packets: u64, ours: &Took, words: &[&str]) {
    let [program, arguments @ ..] = words else { return };
    match run(Command::new(program).args(arguments).arg(capture)) {
        Ok(took) => tell(name, &took, packets, ours),
        Err(error) => println!("  {name:<36} not run: {error}"),
    }
}

fn tell(name: &str, took: &Took, packets: u64, ours: &Took) {
    let wall = took.wall.as_secs_f64();
    let ratio = wall / ours.wall.as_secs_f64();
    println!("  {name:<36} {wall:7.2} s {:>10.0} packets/s {:>6} MiB {ratio:6.1} x", packets as f64 / wall, took.peak_kib / 1024);
}

/// Every call told against every call made; gives how many are wrong.
fn compare(config: &Path, ledger: &Path, table: &Path, pass: Pass) -> Result<usize> {
    let mut truth = read_truth(table)?;
    let made: usize = truth.values().map(Vec::len).sum();
    let mut command = Command::new(TAKTD);
    command.arg("calls").arg("--json").args(["--from", "2000-01-01"]).arg("--config").arg(config).arg("--ledger").arg(ledger);
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let mut kinds: BTreeMap<String, (u64, i64, i64)> = BTreeMap::new();
    let (mut open, mut lost, mut guessed, mut wrong) = (0u64, 0u64, 0u64, 0usize);
    for line in BufReader::new(child.stdout.take().ok_or("no output")?).lines() {
        let call: Value = serde_json::from_str(&line?)?;
        let text = |name: &str| call[name].as_str().unwrap_or_default();
        let key = (DateTime::parse_from_rfc3339(text("started_at"))?.timestamp_micros(), text("direction").to_owned());
        let customer = if key.1 == "out" { text("called") } else { text("caller") };
        let Some(made) = take(&mut truth, &key, customer) else {
            println!("  wrong: {} is no call that was made, or is told twice", text("call_id"));
            wrong += 1;
            continue;
        };
        let runs = call["ended_at"].is_null();
        if made.lost_bye && pass == Pass::Open && runs {
            open += 1;
            continue;
        }
        lost += u64::from(made.lost_bye);
        guessed += u64::from(text("correlation") == "guess");
        let (talk_s, told_s) = (if made.lost_bye { made.alive_s } else { made.talk_s }, call["talk_s"].as_i64().unwrap_or(-1));
        let sum = kinds.entry(made.kind.clone()).or_default();
        *sum = (sum.0 + 1, sum.1 + talk_s, sum.2 + told_s);
        let end = if made.lost_bye { "estimated" } else { "observed" };
        if talk_s != told_s || runs || text("end") != end {
            let marks = &call["marks"];
            println!("  wrong: {} {} talked {talk_s} s, told are {told_s} s, {} {marks}", made.kind, text("call_id"), text("end"));
            wrong += 1;
        }
    }
    child.wait()?;
    for (kind, (calls, made_s, told_s)) in &kinds {
        println!("  {kind:<10} {calls:>7} calls, talk {made_s:>9} s made, {told_s:>9} s told");
    }
    let untold: usize = truth.values().map(Vec::len).sum();
    println!("  without BYE: {open} still open, {lost} ended; {guessed} with a leg that only its release placed; {wrong} wrong");
    println!("  {untold} of {made} not told");
    Ok(wrong + untold)
}

/// The table of calls, by when they were set up and their direction.
fn read_truth(table: &Path) -> Result<HashMap<Key, Vec<Truth>>> {
    let mut reader = csv::Reader::from_path(table)?;
    let columns = reader.headers()?.clone();
    let mut truth: HashMap<Key, Vec<Truth>> = HashMap::new();
    for row in reader.records() {
        let row = row?;
        let field = |name: &str| columns.iter().position(|column| column == name).and_then(|place| row.get(place)).unwrap_or_default();
        let micros = |name: &str| field(name).replace('.', "").parse::<i64>().ok();
        // The table counts from the answer of whom the switch called. The other, where the switch answers only then, is
        // connected a moment later: a caller when the table says, an agent who calls back after 6 ms.
        let later = match field("kind") {
            "callback" => 6_000,
            _ => micros("answered_at").zip(micros("connected_at")).map_or(0, |(caller, agent)| (caller - agent).max(0)),
        };
        let talk_s = (field("talk_ms").parse::<i64>()? * 1_000 - later).max(0) / 1_000_000;
        let key = (micros("invited_at").ok_or("no time")?, field("direction").to_owned());
        let (kind, customer) = (field("kind").to_owned(), field("caller").to_owned());
        let (withheld, lost_bye) = (field("withheld") == "1", field("lost_bye") == "1");
        let call = Truth { kind, customer, withheld, talk_s, lost_bye, alive_s: field("alive_ms").parse::<i64>()? / 1_000 };
        truth.entry(key).or_default().push(call);
    }
    Ok(truth)
}

/// Takes the call that is told out of those that were made.
fn take(truth: &mut HashMap<Key, Vec<Truth>>, key: &Key, customer: &str) -> Option<Truth> {
    let calls = truth.get_mut(key)?;
    let place = calls.iter().position(|call| call.customer == customer).or_else(|| calls.iter().position(|call| call.withheld))?;
    Some(calls.swap_remove(place))
}
