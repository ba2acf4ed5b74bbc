//! A switch's file of records, imported: every row read, every call found and settled, all of it durable, held against the truth
//! in number and talk; beside it, in the same run, DuckDB on the same file.
//!
//!     cargo bench --bench records                # 1,000,000 rows
//!     cargo bench --bench records -- 100000      # so many
//!     PYTHON=…/bin/python cargo bench --bench records    # one that has DuckDB: pip install duckdb
//!
//! The file (Asterisk, cdr_csv with unique ids) is made once, in `target/load`: 28 days of a hotline, four of five calls in
//! working hours; of a hundred calls 74 are answered, 10 of them after a second try, 14 are missed, 5 are callbacks, 7 stay in
//! the house. DuckDB reads all columns, finds the contract by the number, charges by the started minute, and keeps the rated
//! rows: no allowances, no order among calls, no explanation, nothing that a late row could correct.
//! Not run: PostgreSQL, which would need a server, and the billing systems, which would need a switch.

mod process;
#[path = "../lab/make_load/random.rs"]
#[expect(dead_code, reason = "made for calls with more chances")]
mod random;

use chrono::DateTime;
use process::{Running, Took};
use random::Random;
use serde_json::Value;
use std::error::Error;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const TAKTD: &str = env!("CARGO_BIN_EXE_taktd");
const RUNS: usize = 3;
/// 2026-01-05, a Monday, 00:00 in Berlin, which is an hour ahead of UTC for all of January.
const BEGIN: u64 = 1_767_567_600;
const AHEAD: u64 = 3_600;
const DAYS: u64 = 28;

/// The rows of one call or of two, with what they say.
struct Made {
    /// When the row is written, which orders the file.
    ended: u64,
    row: Row,
}

#[derive(Clone, Copy)]
struct Row {
    /// The number of the channel, which names the call.
    channel: u64,
    /// When the channel was made, and when this part of the call began.
    made: u64,
    begun: u64,
    answered: Option<u64>,
    kind: Kind,
    agent: u64,
    customer: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Support,
    Emergency,
    Callback,
    Internal,
}

/// What a correct meter finds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Truth {
    calls: u64,
    missed: u64,
    talk_s: u64,
}

fn main() -> Result<()> {
    let wanted: Vec<u64> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    for rows in if wanted.is_empty() { vec![1_000_000] } else { wanted } {
        measure(rows)?;
    }
    Ok(())
}

fn measure(rows: u64) -> Result<()> {
    let folder = Path::new(TAKTD).parent().and_then(Path::parent).ok_or("no target folder")?.join("load");
    let stem = folder.join(format!("records-{rows}"));
    let file = |end: &str| PathBuf::from(format!("{}-{end}", stem.display()));
    fs::create_dir_all(&folder)?;
    configure(&stem, &file("Master.csv"))?;
    let truth = make(rows, &file("Master.csv"))?;
    println!("{rows} rows, {} MB: {truth:?}", fs::metadata(file("Master.csv"))?.len() / 1_000_000);
    let (config, ledger) = (file("taktd.toml"), file("ledger.db"));
    let mut ours = Vec::with_capacity(RUNS);
    let mut peers = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        for end in ["", "-wal", "-shm", ".key", ".lock"] {
            let _ = fs::remove_file(format!("{}{end}", ledger.display()));
        }
        let mut command = Command::new(TAKTD);
        command.arg("replay").arg("--config").arg(&config).arg("--ledger").arg(&ledger);
        command.args(["--as", "asterisk-cdr"]).arg(file("Master.csv")).stdout(Stdio::null());
        ours.push(Running::start(&mut command)?.end()?);
        match duckdb(&file("Master.csv"), &file("contracts.csv"), &file("duckdb.db")) {
            Ok(took) => peers.push(took),
            Err(error) => println!("  DuckDB not run: {error}"),
        }
    }
    tell("taktd replay, settled and durable", &mut ours, rows);
    tell("DuckDB, rated and durable", &mut peers, rows);
    if let (Some(ours), Some(peer)) = (ours.first(), peers.first()) {
        let ratio = |ours: f64, peer: f64| ours / peer;
        println!(
            "  ratio to DuckDB: {:.2} x its time, {:.2} x its processor time, {:.2} x its memory",
            ratio(ours.wall.as_secs_f64(), peer.wall.as_secs_f64()),
            ratio(ours.cpu.as_secs_f64(), peer.cpu.as_secs_f64()),
            ratio(ours.peak_kib as f64, peer.peak_kib as f64),
        );
    }
    let told = told(&config, &ledger)?;
    if told == truth { Ok(()) } else { Err(format!("told are {told:?}").into()) }
}

/// Tells the run of median processor time, and leaves it first.
fn tell(name: &str, runs: &mut [Took], rows: u64) {
    runs.sort_by_key(|run| run.cpu);
    let middle = runs.len() / 2;
    let Some(took) = runs.get(middle).copied() else { return };
    runs.swap(0, middle);
    let (wall, cpu) = (took.wall.as_secs_f64(), took.cpu.as_secs_f64());
    println!(
        "  {name:<36} {wall:7.2} s {cpu:7.2} s of processor time {:6.2} us a row {:>6} MiB",
        cpu * 1e6 / rows as f64,
        took.peak_kib / 1024
    );
}

/// Contracts and a configuration, and in it this file.
fn configure(stem: &Path, master: &Path) -> Result<()> {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(["run", "--release", "--quiet", "--example", "make-load", "--"]);
    command.args(["--only", "sip", "--calls", "1", "--no-calls", "--out"]).arg(stem).stdout(Stdio::null());
    if !command.status()?.success() {
        return Err("make-load failed".into());
    }
    let mut config = fs::OpenOptions::new().append(true).open(format!("{}-taktd.toml", stem.display()))?;
    let path = master.file_name().ok_or("no name")?.display();
    writeln!(config, "\n[[source]]\nkind = \"asterisk-cdr\"\npath = \"{path}\"\ntimezone = \"Europe/Berlin\"\ncolumns = \"auto\"")?;
    Ok(())
}

/// Makes the file, and says what a correct meter finds in it; the same every time.
fn make(rows: u64, path: &Path) -> Result<Truth> {
    let mut random = Random::new(1, 0);
    let mut made: Vec<Made> = Vec::with_capacity(usize::try_from(rows)?);
    let mut truth = Truth::default();
    let mut channel = 0;
    while (made.len() as u64) < rows {
        channel += 1;
        call(&mut random, channel, rows - made.len() as u64, &mut made, &mut truth);
    }
    made.sort_by_key(|made| (made.ended, made.row.channel));
    let mut file = BufWriter::new(File::create(path)?);
    let mut line = String::new();
    for Made { ended, row } in &made {
        line.clear();
        write_row(row, *ended, &mut line)?;
        file.write_all(line.as_bytes())?;
    }
    file.flush()?;
    Ok(truth)
}

/// One call, in one row or two if there is room.
fn call(random: &mut Random, channel: u64, room: u64, made: &mut Vec<Made>, truth: &mut Truth) {
    let (day, second) = (random.below(DAYS), if random.chance(0.8) { 28_800 + random.below(36_000) } else { random.below(86_400) });
    let begun = BEGIN + day * 86_400 + second;
    let (ring, talk) = (1 + random.below(25), 1 + random.exponential(95.0) as u64);
    let (agent, customer) = (200 + random.below(60), random.below(100_000));
    let emergency = random.chance(0.1);
    let inbound = if emergency { Kind::Emergency } else { Kind::Support };
    let row = |kind, answered| Row { channel, made: begun, begun, answered, kind, agent, customer };
    let (kind, answered, tried) = match random.below(100) {
        0..64 => (inbound, true, false),
        64..74 if room > 1 => (inbound, true, true),
        64..88 => (inbound, false, false),
        88..93 => (Kind::Callback, true, false),
        _ => (Kind::Internal, true, false),
    };
    let mut from = begun;
    if tried {
        from += ring;
        made.push(Made { ended: from, row: Row { agent: 200 + (agent - 199) % 60, ..row(kind, None) } });
    }
    let at = from + ring;
    let ended = if answered { at + talk } else { at };
    made.push(Made { ended, row: Row { begun: from, ..row(kind, answered.then_some(at)) } });
    if kind != Kind::Internal {
        truth.calls += 1;
        truth.missed += u64::from(!answered);
        truth.talk_s += if answered { talk } else { 0 };
    }
}

/// A row as cdr_csv writes it, with `loguniqueid` and `loguserfield`.
fn write_row(row: &Row, ended: u64, line: &mut String) -> std::fmt::Result {
    let Row { channel, made, begun, answered, kind, agent, customer } = *row;
    let customer = format!("+49171392{customer:05}");
    let (trunk, phone) = (format!("PJSIP/trunk-{:08x}", 2 * channel), format!("PJSIP/{agent}-{:08x}", 2 * channel + 1));
    let other = format!("{}", 200 + (agent - 199) % 60);
    let (src, dst, from, to, data) = match kind {
        Kind::Support => (customer, "+4989555010".to_owned(), trunk, phone, format!("PJSIP/{agent},25,tT")),
        Kind::Emergency => (customer, "+4989555099".to_owned(), trunk, phone, format!("PJSIP/{agent},25,tT")),
        Kind::Callback => (agent.to_string(), format!("0{}", &customer[3..]), phone, trunk, format!("PJSIP/{customer}@trunk,60")),
        Kind::Internal => {
            let data = format!("PJSIP/{other},25,tT");
            (agent.to_string(), other.clone(), phone, format!("PJSIP/{other}-{:08x}", 2 * channel), data)
        }
    };
    let billsec = answered.map_or(0, |at| ended - at);
    let disposition = if answered.is_some() { "ANSWERED" } else { "NO ANSWER" };
    let answered = answered.map_or_else(String::new, |at| format!("\"{}\"", time(at)));
    writeln!(
        line,
        "\"\",\"{src}\",\"{dst}\",\"did\",\"\"\"\"\" <{src}>\",\"{from}\",\"{to}\",\"Dial\",\"{data}\",\"{}\",{answered},\"{}\",{},{billsec},\"{disposition}\",\"DOCUMENTATION\",\"{made}.{channel}\",\"\"",
        time(begun),
        time(ended),
        ended - begun,
    )
}

/// Local time as text.
fn time(at: u64) -> String {
    DateTime::from_timestamp((at + AHEAD).cast_signed(), 0).unwrap_or_default().format("%Y-%m-%d %H:%M:%S").to_string()
}

/// What the ledger tells.
fn told(config: &Path, ledger: &Path) -> Result<Truth> {
    let mut command = Command::new(TAKTD);
    command.arg("calls").arg("--json").args(["--from", "2000-01-01"]).arg("--config").arg(config).arg("--ledger").arg(ledger);
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let mut told = Truth::default();
    for line in BufReader::new(child.stdout.take().ok_or("no output")?).lines() {
        let call: Value = serde_json::from_str(&line?)?;
        told.calls += 1;
        told.missed += u64::from(call["outcome"] == "missed");
        told.talk_s += call["talk_s"].as_u64().ok_or("no talk")?;
    }
    child.wait()?;
    Ok(told)
}

/// The same file in DuckDB: read, matched, rated, kept.
fn duckdb(master: &Path, contracts: &Path, database: &Path) -> Result<Took> {
    let columns = "accountcode src dst dcontext clid channel dstchannel lastapp lastdata start answer end_ duration billsec disposition amaflags uniqueid userfield";
    let mut types = String::new();
    for column in columns.split(' ') {
        let kind = match column {
            "start" | "answer" | "end_" => "TIMESTAMP",
            "duration" | "billsec" => "INTEGER",
            _ => "VARCHAR",
        };
        write!(types, "'{column}':'{kind}',")?;
    }
    let script = format!(
        "import duckdb\n\
         con = duckdb.connect(r'{}')\n\
         con.execute(\"CREATE TABLE number AS SELECT contract_id, unnest(string_split(numbers, '|')) AS number \
           FROM read_csv('{}', header=true, all_varchar=true)\")\n\
         con.execute(\"CREATE TABLE cdr AS SELECT * FROM read_csv('{}', header=false, quote='\\\"', escape='\\\"', columns={{{types}}})\")\n\
         con.execute(\"CREATE TABLE rated AS SELECT c.*, n.contract_id, (billsec + 59) // 60 AS minutes, \
           CASE WHEN dst = '+4989555099' THEN CAST(30 + 25 * greatest((billsec - 1) // 300, 0) AS DECIMAL(12,2)) \
           ELSE CAST(((billsec + 59) // 60) * 0.5 AS DECIMAL(12,2)) END AS net \
           FROM cdr c LEFT JOIN number n ON n.number = c.src\")\n\
         print(con.execute('SELECT count(*), count(contract_id), sum(minutes), sum(net) FROM rated').fetchone())\n\
         con.execute('CHECKPOINT')\n",
        database.display(),
        contracts.display(),
        master.display()
    );
    let _ = fs::remove_file(database);
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    Running::start(Command::new(python).arg("-c").arg(script).stdout(Stdio::null()))?.end()
}
