//! `taktd rate` from file to file: many calls of many contracts, over all five reference tariffs.
//!
//!     cargo bench --bench rate                 # 1,000,000 calls of 20,000 contracts
//!     cargo bench --bench rate -- 100000       # so many calls
//!
//! The calls are made once, in `target/load`. Fails when a call is missing or comes out in another order.

use std::error::Error;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const TAKTD: &str = env!("CARGO_BIN_EXE_taktd");
const CONTRACTS: u64 = 20_000;
const RUNS: usize = 3;

/// One family of plans after the other, so that each has the same share of the calls.
const PLANS: [&str; 16] = [
    "support-level-1",
    "support-level-1|support-level-2",
    "support-level-1|support-level-2|support-level-3",
    "enterprise",
    "model-l",
    "model-m",
    "model-s",
    "support-flat",
    "second-level",
    "work-units",
    "dehosted-basic",
    "dehosted-basic-plus",
    "dehosted-professional",
    "m365-basic-plus",
    "m365-standard",
    "m365-professional",
];

fn main() -> Result<()> {
    let calls: u64 = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(1_000_000);
    let folder = Path::new(TAKTD).parent().and_then(Path::parent).ok_or("no target folder")?.join("load");
    fs::create_dir_all(&folder)?;
    let file = |end: &str| folder.join(format!("rate-{calls}-{end}"));
    write_contracts(&file("contracts.csv"))?;
    write_config(&file("taktd.toml"), &file("contracts.csv"))?;
    write_calls(&file("calls.csv"), calls)?;
    for json in [false, true] {
        let mut took: Vec<f64> = Vec::new();
        let out = file(if json { "out.jsonl" } else { "out.txt" });
        for _ in 0..RUNS {
            let mut command = Command::new(TAKTD);
            command.arg("rate").arg("--config").arg(file("taktd.toml")).arg("--calls").arg(file("calls.csv"));
            command.args(json.then_some("--json")).stdout(Stdio::from(File::create(&out)?));
            let begun = Instant::now();
            if !command.status()?.success() {
                return Err("taktd rate failed".into());
            }
            took.push(begun.elapsed().as_secs_f64());
        }
        took.sort_by(f64::total_cmp);
        let (size, median) = (fs::metadata(&out)?.len() / 1_000_000, took[RUNS / 2]);
        let name = if json { "--json" } else { "as a table" };
        println!("{calls} calls, {CONTRACTS} contracts, {name}: {median:.2} s, {:.0} calls/s, {size} MB out", calls as f64 / median);
        if json {
            check(&out, calls)?;
        }
    }
    Ok(())
}

/// Each call once, in the order of the file.
fn check(out: &Path, calls: u64) -> Result<()> {
    let mut number = 0;
    for line in BufReader::new(File::open(out)?).lines() {
        let line = line?;
        if !line.contains(&format!("\"call_id\":\"c{number}\"")) {
            return Err(format!("line {}: c{number} was expected, found {line}", number + 1).into());
        }
        number += 1;
    }
    if number == calls { Ok(()) } else { Err(format!("{number} of {calls} calls").into()) }
}

fn write_contracts(path: &PathBuf) -> Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    writeln!(out, "contract_id,customer,plans,starts_on,cancelled_on,ends_on,activated_on,stations,numbers,authorised,partner")?;
    for number in 0..CONTRACTS {
        let plans = PLANS[usize::try_from(number)? % PLANS.len()];
        let stations = if matches!(plans, "second-level" | "support-flat") { "3" } else { "" };
        writeln!(out, "C{number},Customer {number},{plans},2025-01-01,,,2025-01-01,{stations},,{},", caller(number))?;
    }
    Ok(out.flush()?)
}

fn caller(contract: u64) -> String {
    format!("+4930{:07}", 2_000_000 + contract)
}

fn write_config(path: &PathBuf, contracts: &Path) -> Result<()> {
    let tariff = |name: &str| format!("\"{}/config/tariffs/{name}.toml\"", env!("CARGO_MANIFEST_DIR"));
    let tariffs = ["support-level", "support-hours", "cash-desk", "work-units", "incident-plans"].map(tariff).join(", ");
    let mut text =
        format!("[catalogue]\ncountry = \"DE\"\narea_code = \"89\"\ntariffs = [{tariffs}]\ncontracts = [\"{}\"]\n", contracts.display());
    for (number, name, service) in [
        ("+49 89 555010", "Support", "support"),
        ("+49 89 555099", "Emergency", "emergency"),
        ("+49 89 555040", "Technician", "technician"),
    ] {
        text += &format!("[[hotline]]\nnumber = \"{number}\"\nname = \"{name}\"\nservice = \"{service}\"\n");
    }
    Ok(fs::write(path, text)?)
}

/// Calls of one year, in order of time: most by day, some in the evening and at weekends; some missed, some callbacks.
fn write_calls(path: &PathBuf, calls: u64) -> Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    writeln!(
        out,
        "call_id,direction,caller,called,started_at,answered_at,connected_at,ended_at,agent,level,severity,ticket,contract,decision"
    )?;
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut draw = |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    for number in 0..calls {
        let day = number * 360 / calls;
        let second = if draw(5) == 0 { draw(86_400) } else { 28_800 + draw(32_400) };
        let at = 1_735_689_600 + day * 86_400 + second; // 2025-01-01
        let contract = draw(CONTRACTS);
        let (wait, talk) = (draw(60), if draw(12) == 0 { 0 } else { 20 + draw(1_400) });
        let time = |at: u64| chrono::DateTime::from_timestamp(i64::try_from(at).unwrap_or(0), 0).unwrap_or_default().to_rfc3339();
        let connected = if talk > 0 { time(at + wait) } else { String::new() };
        let called = match draw(10) {
            0 => "+4989555099",
            1 => "+4989555040",
            _ => "+4989555010",
        };
        let severity = ["", "A", "B", "C"][usize::try_from(draw(4))?];
        let customer = caller(contract);
        let (direction, from, to) = if draw(15) == 0 { ("out", "201", customer.as_str()) } else { ("in", customer.as_str(), called) };
        let (started, ended) = (time(at), time(at + wait + talk));
        writeln!(out, "c{number},{direction},{from},{to},{started},{connected},{connected},{ended},201,{},{severity},,,", 1 + draw(3))?;
    }
    Ok(out.flush()?)
}
