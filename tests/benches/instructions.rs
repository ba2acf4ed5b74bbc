//! The gate of speed: how many instructions the program takes for a call, an increment, a packet, by callgrind. They repeat
//! on a machine where nothing else is quiet, so a change that costs something is seen in the change that makes it.
//!
//!     cargo bench --locked --profile dev --bench instructions             # compares; `tests/run` does this
//!     cargo bench --locked --profile dev --bench instructions -- renew    # writes down what is found
//!
//! It builds `taktd` in the profile `counted`; this file itself only makes the input, and needs no speed. The program is run twice under valgrind, with less and with more to do; the difference, divided by what was more, is the
//! cost of one, without the start. It is held against `instructions.toml` beside this file. More than the tolerance above
//! fails; more than the tolerance below asks for the new number to be written down.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Beside it, in another profile, the program is built that is counted.
const UNCOUNTED: &str = env!("CARGO_BIN_EXE_taktd");
const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const KEPT: &str = "tests/benches/instructions.toml";
/// How far above what is written down a count may be, in percent.
const TOLERANCE: f64 = 10.0;
/// Calls that are all the same, of which more increments are counted.
const ALIKE: u64 = 600;

/// Plans of all five tariffs: one contract after the other has the next.
const PLANS: [&str; 8] =
    ["support-level-1", "enterprise", "model-m", "model-s", "second-level", "work-units", "dehosted-basic-plus", "m365-professional"];
const CONTRACTS: u64 = 64;

fn main() -> Result<ExitCode> {
    let renew = std::env::args().any(|argument| argument == "renew");
    let folder = tempfile::tempdir()?;
    let found = Bench { taktd: build()?, folder: folder.path() }.all()?;
    if renew {
        fs::write(Path::new(ROOT).join(KEPT), written(&found))?;
        println!("{KEPT} is written; say in the commit why the counts changed");
        return Ok(ExitCode::SUCCESS);
    }
    let kept: toml::Table = fs::read_to_string(Path::new(ROOT).join(KEPT))?.parse()?;
    Ok(if compare(&found, &kept) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Builds the program that is counted, and says where it is.
fn build() -> Result<PathBuf> {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(ROOT).args(["build", "--locked", "--profile", "counted", "--bin", "taktd"]);
    if !command.status()?.success() {
        return Err("taktd could not be built in the profile `counted`".into());
    }
    let target = Path::new(UNCOUNTED).parent().and_then(Path::parent).ok_or("no target folder")?;
    Ok(target.join("counted/taktd"))
}

/// Instructions of one of each kind of work, by its name.
type Counts = BTreeMap<&'static str, u64>;

/// Tells each count beside what is written down; false if one is too high, or not written down.
fn compare(found: &Counts, kept: &toml::Table) -> bool {
    let mut fine = true;
    for (name, count) in found {
        let before = kept.get(*name).and_then(toml::Value::as_integer).filter(|before| *before > 0);
        let Some(before) = before else {
            println!("  FAILED  {name:<24} {count:>8}, and {KEPT} does not say how many there were: renew it");
            fine = false;
            continue;
        };
        let percent = (*count as f64 / before as f64 - 1.0) * 100.0;
        let word = match percent {
            percent if percent > TOLERANCE => "FAILED",
            percent if percent < -TOLERANCE => "better",
            _ => "ok",
        };
        println!("  {word:<6}  {name:<24} {count:>8} instructions, {before:>8} written down: {percent:+.1} %");
        fine &= percent <= TOLERANCE;
        if percent < -TOLERANCE {
            println!("          write the new number down, or the gain can be lost again unseen:");
            println!("          cargo bench --locked --profile dev --bench instructions -- renew");
        }
    }
    for name in kept.keys().filter(|name| !found.contains_key(name.as_str())) {
        println!("  FAILED  {name:<24} is written down in {KEPT}, and nothing counts it");
        fine = false;
    }
    fine
}

fn written(counts: &Counts) -> String {
    let mut text =
        "# Instructions of one unit of work, in the profile `counted`, as callgrind counts them (tests/benches/instructions.rs).\n\
                    # Renewed by: cargo bench --locked --profile dev --bench instructions -- renew\n"
            .to_owned();
    for (name, count) in counts {
        let _ = writeln!(text, "{name} = {count}");
    }
    text
}

/// A folder with what the program is given to do.
struct Bench<'a> {
    taktd: PathBuf,
    folder: &'a Path,
}

impl Bench<'_> {
    fn all(&self) -> Result<Counts> {
        let mut counts = Counts::new();
        let config = self.catalogue()?;
        let (few, many) = (self.calls("few", &mixed(1_000))?, self.calls("many", &mixed(4_000))?);
        for (name, words) in [("rate-table-call", &[][..]), ("rate-json-call", &["--json"][..])] {
            counts.insert(name, one(self.rate(&config, &few, words)?, self.rate(&config, &many, words)?, 3_000)?);
        }
        // By the minute in the morning, in blocks of five minutes in the evening.
        for (name, hotline, hour, minutes, increments) in
            [("settle-minute-increment", "+4989555010", 9, [10, 40], 30), ("settle-block-increment", "+4989555099", 17, [10, 60], 10)]
        {
            let [short, long] = minutes.map(|minutes| self.calls(&format!("alike-{minutes}"), &alike(hotline, hour, minutes)));
            let (short, long) = (short?, long?);
            counts.insert(name, one(self.rate(&config, &short, &[])?, self.rate(&config, &long, &[])?, ALIKE * increments)?);
        }
        let recording = fs::read(Path::new(ROOT).join("tests/recordings/asterisk-16/sip.pcap"))?;
        let header = recording.get(..24).ok_or("the recording has no header")?;
        let nothing = self.replay("nothing", header)?;
        counts.insert("replay-packet", one(nothing, self.replay("recording", &recording)?, packets(&recording)?)?);
        counts.insert("sip-noise-packet", one(nothing, self.replay("noise", &noise(10_000))?, 10_000)?);
        Ok(counts)
    }

    /// Instructions of `taktd rate`, output included.
    fn rate(&self, config: &Path, calls: &Path, words: &[&str]) -> Result<u64> {
        self.count(|command| command.arg("rate").arg("--config").arg(config).arg("--calls").arg(calls).args(words))
    }

    /// Instructions of `taktd replay` of a capture into a new ledger.
    fn replay(&self, name: &str, capture: &[u8]) -> Result<u64> {
        let (path, ledger) = (self.folder.join(name).with_extension("pcap"), self.folder.join(name).with_extension("db"));
        fs::write(&path, capture)?;
        let config = Path::new(ROOT).join("config/taktd.toml");
        self.count(|command| command.arg("replay").arg("--config").arg(config).arg("--ledger").arg(ledger).arg(path))
    }

    /// Runs the program under valgrind, and gives how many instructions it took. On one processor, so that it has as many
    /// threads on every machine.
    fn count(&self, arguments: impl FnOnce(&mut Command) -> &mut Command) -> Result<u64> {
        let mut command = Command::new("taskset");
        command.args(["-c", &processor()?, "valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(&self.taktd);
        let output = arguments(&mut command).output();
        let output = output.map_err(|error| format!("{command:?}: {error}; valgrind and taskset (util-linux) are needed"))?;
        let said = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            return Err(format!("{command:?}: {}\n{said}", output.status).into());
        }
        let refs = said.lines().find_map(|line| line.split_once("I   refs:")).map(|(_, number)| number.trim().replace(',', ""));
        Ok(refs.ok_or_else(|| format!("valgrind counted nothing\n{said}"))?.parse()?)
    }

    /// Contracts over the five tariffs, and a configuration that knows them.
    fn catalogue(&self) -> Result<PathBuf> {
        let mut contracts = "contract_id,customer,plans,starts_on,activated_on,stations,numbers\n".to_owned();
        for number in 0..CONTRACTS {
            let plan = PLANS[usize::try_from(number)? % PLANS.len()];
            let stations = if plan == "second-level" { "3" } else { "" };
            writeln!(contracts, "C{number},Customer {number},{plan},2025-01-01,2025-01-01,{stations},{}", customer(number))?;
        }
        fs::write(self.folder.join("contracts.csv"), contracts)?;
        let tariff = |name: &str| format!("\"{ROOT}/config/tariffs/{name}.toml\"");
        let tariffs = ["support-level", "support-hours", "cash-desk", "work-units", "incident-plans"].map(tariff).join(", ");
        let mut text =
            format!("[catalogue]\ncountry = \"DE\"\narea_code = \"89\"\ntariffs = [{tariffs}]\ncontracts = [\"contracts.csv\"]\n");
        for (number, service) in [("+4989555010", "support"), ("+4989555099", "emergency"), ("+4989555040", "technician")] {
            write!(text, "[[hotline]]\nnumber = \"{number}\"\nname = \"{service}\"\nservice = \"{service}\"\n")?;
        }
        let path = self.folder.join("taktd.toml");
        fs::write(&path, text)?;
        Ok(path)
    }

    fn calls(&self, name: &str, rows: &str) -> Result<PathBuf> {
        let path = self.folder.join(name).with_extension("csv");
        fs::write(&path, format!("call_id,direction,caller,called,started_at,connected_at,ended_at,agent,level,severity\n{rows}"))?;
        Ok(path)
    }
}

/// What one unit costs, of which there are so many more.
fn one(less: u64, more: u64, units: u64) -> Result<u64> {
    let one = more.checked_sub(less).and_then(|difference| difference.checked_div(units)).filter(|one| *one > 0);
    one.ok_or_else(|| format!("{less} instructions, and {more} for {units} units more: they were not worked at").into())
}

/// The first processor we may use.
fn processor() -> Result<String> {
    let status = fs::read_to_string("/proc/self/status")?;
    let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).ok_or("no list of processors")?;
    Ok(allowed.trim().chars().take_while(char::is_ascii_digit).collect())
}

fn customer(contract: u64) -> String {
    format!("+4930{:07}", 2_000_000 + contract)
}

/// Calls of a year, as a hotline has them.
fn mixed(calls: u64) -> String {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut draw = |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let mut rows = String::new();
    for number in 0..calls {
        let at = 1_735_689_600 + number * 360 / calls * 86_400 + 28_800 + draw(36_000); // 2025
        let (wait, talk) = (draw(60), if draw(12) == 0 { 0 } else { 20 + draw(1_400) });
        let called = ["+4989555010", "+4989555099", "+4989555040"][[0, 0, 0, 0, 1, 2][draw(6) as usize]];
        let customer = customer(draw(CONTRACTS));
        let (direction, from, to) = if draw(15) == 0 { ("out", "201", &*customer) } else { ("in", &*customer, called) };
        let (started, connected, ended) = (time(at), if talk > 0 { time(at + wait) } else { String::new() }, time(at + wait + talk));
        let (level, severity) = (1 + draw(3), ["", "A", "B", "C"][draw(4) as usize]);
        let _ = writeln!(rows, "c{number},{direction},{from},{to},{started},{connected},{ended},201,{level},{severity}");
    }
    rows
}

/// Calls of one contract, so many minutes long: a few on each working day, at an hour (UTC).
fn alike(hotline: &str, hour: u64, minutes: u64) -> String {
    let mut rows = String::new();
    for number in 0..ALIKE {
        let day = number / 4 / 5 * 7 + number / 4 % 5;
        let at = 1_736_121_600 + day * 86_400 + hour * 3_600 + number % 4 * 7; // from Monday on, 2025-01-06
        let (begun, ended, customer) = (time(at), time(at + minutes * 60), customer(0));
        let _ = writeln!(rows, "c{number},in,{customer},{hotline},{begun},{begun},{ended},201,1,");
    }
    rows
}

fn time(at: u64) -> String {
    chrono::DateTime::from_timestamp(at.cast_signed(), 0).unwrap_or_default().to_rfc3339()
}

/// How many packets a capture has.
fn packets(capture: &[u8]) -> Result<u64> {
    let mut reader = taktd::sources::pcap::Capture::new("recording", capture);
    let mut packets = 0;
    while reader.advance(1, |_| std::ops::ControlFlow::Continue(()))? == taktd::sources::pcap::Progress::More {
        packets += 1;
    }
    Ok(packets)
}

/// A capture of SIP messages that concern no call, as most on a wire do: raw IPv4, UDP.
fn noise(messages: u32) -> Vec<u8> {
    // The classic header (microseconds, little-endian), of link type 101: packets begin with their IP header.
    let mut capture = [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 101].map(u32::to_le_bytes).concat();
    for number in 0..messages {
        let method = if number % 2 == 0 { "OPTIONS" } else { "REGISTER" };
        let text = format!(
            "{method} sip:192.0.2.11 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.31:5060;branch=z9hG4bK{number:020x}\r\nMax-Forwards: 70\r\n\
             From: <sip:201@192.0.2.11>;tag=n{number}\r\nTo: <sip:201@192.0.2.11>\r\nCall-ID: noise-{number}\r\nCSeq: 1 {method}\r\n\
             Contact: <sip:201@192.0.2.31:5060>\r\nExpires: 300\r\nContent-Length: 0\r\n\r\n"
        );
        let length = u16::try_from(text.len() + 28).unwrap_or(u16::MAX);
        let size = u32::from(length);
        let (seconds, micros) = (1_795_000_000 + number / 1_000, number % 1_000 * 1_000);
        capture.extend([seconds, micros, size, size].map(u32::to_le_bytes).concat());
        let mut ip = [0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 31, 192, 0, 2, 11];
        ip[2..4].copy_from_slice(&length.to_be_bytes());
        capture.extend(ip);
        capture.extend([5_060, 5_060, length - 20, 0].map(u16::to_be_bytes).concat());
        capture.extend(text.as_bytes());
    }
    capture
}
