//! Writes large captures of SIP calls with known totals, and what is needed to meter them.
//!
//! `cargo run --release --example make-load -- --calls 200000 --concurrency 6000 --out /tmp/load` writes
//! `-sip.pcap` (what a mirror port beside the PBX sees: Ethernet, both legs of each call), `-hep.pcap` (the same messages
//! as the PBX sends them in HEPv3), `-truth.json` (totals), `-calls.csv` (each call), `-contracts.csv` and `-taktd.toml`.
//!
//! The one invariant: the same arguments give the same bytes, and what changes only the wire (`--loss`, `--duplicate`,
//! `--fragment`) never changes the calls. Memory holds only the messages of the calls in progress.

#[path = "make_load/calls.rs"]
mod calls;
#[path = "make_load/dialog.rs"]
mod dialog;
#[path = "make_load/legs.rs"]
mod legs;
#[path = "make_load/numbers.rs"]
mod numbers;
#[path = "make_load/random.rs"]
mod random;
#[path = "make_load/scene.rs"]
mod scene;
#[cfg(test)]
#[path = "make_load/tests.rs"]
mod tests;
#[path = "make_load/truth.rs"]
mod truth;
#[path = "make_load/wire.rs"]
mod wire;

use anyhow::{Context as _, Result};
use calls::Habits;
use clap::{Parser, ValueEnum};
use random::Random;
use scene::{S, Scene};
use serde_json::json;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use truth::Truth;
use wire::{Pcap, Sent};

/// Writes captures of many SIP calls with known totals, and what is needed to meter them.
#[derive(Parser)]
#[command(name = "make-load")]
struct Arguments {
    /// Prefix of the files
    #[arg(long)]
    out: String,
    /// How many calls
    #[arg(long, default_value_t = 1000)]
    calls: u64,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Second since 1970 before the first call (2026-01-01 07:40 UTC)
    #[arg(long, default_value_t = 1_767_253_200, value_parser = clap::value_parser!(i64).range(0..4_000_000_000))]
    start: i64,
    /// Calls in progress on average
    #[arg(long, default_value_t = 100.0)]
    concurrency: f64,
    /// Mean seconds of talk with a person
    #[arg(long, default_value_t = 90.0)]
    mean_talk: f64,
    /// Share of requests repeated on the wire
    #[arg(long, default_value_t = 0.01)]
    duplicate: f64,
    /// Share of messages the captures miss
    #[arg(long, default_value_t = 0.0)]
    loss: f64,
    /// Share of talks whose BYEs never come: both ends gone
    #[arg(long, default_value_t = 0.002)]
    lost_bye: f64,
    /// Share of INVITEs so large that IP fragments them
    #[arg(long, default_value_t = 0.0)]
    fragment: f64,
    /// OPTIONS per call
    #[arg(long, default_value_t = 0.05)]
    noise: f64,
    /// Desks, with extensions from 200 on
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(4..=250))]
    desks: u64,
    /// Contracts that share the callers' numbers
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..=50_000))]
    contracts: u64,
    /// The tariff of the configuration [default: config/tariffs/support-level.toml of this repository]
    #[arg(long)]
    tariff: Option<PathBuf>,
    /// Write one of the two captures
    #[arg(long)]
    only: Option<Only>,
    /// Leave the table of calls out
    #[arg(long)]
    no_calls: bool,
    /// Stamp messages the PBX received in microseconds too (Asterisk cuts them to milliseconds)
    #[arg(long)]
    hep_exact: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Only {
    Sip,
    Hep,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let mut captures = Captures::create(&arguments)?;
    let truth = make_calls(&arguments, &mut captures)?;
    write_config(&arguments)?;
    let mut totals = truth.json();
    totals["arguments"] = json!({
        "calls": arguments.calls, "seed": arguments.seed, "start": arguments.start, "concurrency": arguments.concurrency,
        "mean_talk": arguments.mean_talk, "duplicate": arguments.duplicate, "loss": arguments.loss, "lost_bye": arguments.lost_bye,
        "fragment": arguments.fragment, "noise": arguments.noise, "desks": arguments.desks, "contracts": arguments.contracts,
    });
    totals["messages"] = captures.messages.into();
    totals["messages_missed_by_capture"] = captures.missed.into();
    totals["first_message_us"] = captures.first.into();
    totals["last_message_us"] = captures.last.into();
    for (name, pcap) in [("sip", captures.sip), ("hep", captures.hep)] {
        if let Some(pcap) = pcap {
            let (packets, bytes) = pcap.finish()?;
            totals["files"][name] = json!({"packets": packets, "bytes": bytes});
        }
    }
    let text = serde_json::to_string_pretty(&totals)?;
    write(&format!("{}-truth.json", arguments.out), &text)?;
    let (calls, talk, peak) = (&totals["calls"], &totals["talk_whole_s"], &totals["peak_calls_at_once"]);
    println!("{}: {calls} calls, {talk} s of talk, {peak} at once, {}", arguments.out, totals["files"]);
    Ok(())
}

/// Makes the calls one after the other, and writes all messages in the order of their times.
fn make_calls(arguments: &Arguments, captures: &mut Captures) -> Result<Truth> {
    let mut scene = Scene::new(arguments.seed, arguments.duplicate, arguments.fragment);
    let mut arrivals = Random::new(arguments.seed, 4);
    let mut truth = Truth::new(arguments.contracts);
    let habits = Habits { desks: arguments.desks, mean_talk: arguments.mean_talk, lost_bye: arguments.lost_bye };
    // Four of five calls reach a person; waiting and ringing take a quarter of a minute.
    let spacing = (0.885 * arguments.mean_talk + 13.5) / arguments.concurrency.max(1e-3);
    let mut table = match arguments.no_calls {
        true => None,
        false => Some(BufWriter::new(create(&format!("{}-calls.csv", arguments.out))?)),
    };
    if let Some(table) = &mut table {
        table.write_all(truth::COLUMNS.as_bytes())?;
    }
    let mut line = String::new();
    let mut at = arguments.start * S;
    for number in 1..=arguments.calls {
        at += (arrivals.exponential(spacing) * 1e6) as i64 + 1;
        captures.write_before(&mut scene, at)?;
        let call = calls::make(&mut scene, at, &habits);
        if scene.random.chance(arguments.noise) {
            let later = scene.random.micros(0.0, 1.0);
            legs::keep_alive(&mut scene, at + later, arguments.desks);
        }
        truth.add(&call);
        if let Some(table) = &mut table {
            truth.line(number, &call, &mut line);
            table.write_all(line.as_bytes())?;
        }
    }
    captures.write_before(&mut scene, i64::MAX)?;
    if let Some(mut table) = table {
        table.flush()?;
    }
    Ok(truth)
}

/// The captures that are being written.
struct Captures {
    sip: Option<Pcap>,
    hep: Option<Pcap>,
    loss: f64,
    hep_exact: bool,
    /// What a capture misses has numbers of its own.
    random: Random,
    messages: u64,
    missed: u64,
    first: Option<i64>,
    last: Option<i64>,
}

impl Captures {
    fn create(arguments: &Arguments) -> Result<Self> {
        let pcap = |not: Only, name: &str| match arguments.only {
            Some(only) if only == not => Ok(None),
            _ => Pcap::create(&format!("{}-{name}.pcap", arguments.out)).map(Some),
        };
        Ok(Self {
            sip: pcap(Only::Hep, "sip")?,
            hep: pcap(Only::Sip, "hep")?,
            loss: arguments.loss,
            hep_exact: arguments.hep_exact,
            random: Random::new(arguments.seed, 3),
            messages: 0,
            missed: 0,
            first: None,
            last: None,
        })
    }

    fn write_before(&mut self, scene: &mut Scene, at: i64) -> Result<()> {
        while let Some(sent) = scene.next_before(at) {
            self.write(&sent)?;
            scene.recycle(sent.text);
        }
        Ok(())
    }

    fn write(&mut self, sent: &Sent) -> Result<()> {
        if self.loss > 0.0 && self.random.chance(self.loss) {
            self.missed += 1;
            return Ok(());
        }
        self.messages += 1;
        self.first.get_or_insert(sent.at);
        self.last = Some(sent.at);
        if let Some(pcap) = &mut self.sip {
            pcap.sip(sent)?;
        }
        if let Some(pcap) = &mut self.hep {
            pcap.hep(sent, truth::is_pbx(sent.to.ip), self.hep_exact)?;
        }
        Ok(())
    }
}

/// Writes contracts and configuration; paths in it are relative to it, but for the tariff's.
fn write_config(arguments: &Arguments) -> Result<()> {
    let prefix = Path::new(&arguments.out).file_name().context("--out: found no file name, expected a prefix of files")?.to_string_lossy();
    let tariff = match &arguments.tariff {
        Some(path) => std::path::absolute(path)?,
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("config/tariffs/support-level.toml"),
    };
    let (contracts, ledger) = (format!("{prefix}-contracts.csv"), format!("{prefix}-ledger.db"));
    let config = truth::config_toml(&tariff.display().to_string(), &contracts, &ledger, arguments.desks);
    write(&format!("{}-taktd.toml", arguments.out), &config)?;
    write(&format!("{}-contracts.csv", arguments.out), &numbers::contracts_csv(arguments.contracts))
}

fn create(path: &str) -> Result<File> {
    File::create(path).with_context(|| format!("{path}: cannot be created"))
}

fn write(path: &str, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("{path}: cannot be written"))
}
