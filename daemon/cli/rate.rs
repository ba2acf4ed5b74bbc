//! `taktd rate`: the calls of a file under the tariffs and contracts in force, without a ledger and without a clock.

use super::office::{Office, instant};
use super::rate_csv::{RatedCall, RatedCalls, read, threads};
use super::{Common, Result, table};
use crate::contracts::{History, Payer};
use crate::ledger::result::{Style, write_json};
use crate::meter::{self, Input, Record, Timing};
use crate::pipeline::catalogue::InForce;
use crate::units::Timestamp;
use clap::Args;
use std::io::{self, Write};
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The columns of calls.csv, in any order: call_id, direction (in|out), caller, called, started_at, answered_at,
/// connected_at, ended_at (RFC 3339 with offset), agent, level, severity, ticket, contract, decision. Empty: unknown.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  taktd rate --config config/taktd.toml --calls tests/cases/rate/calls.csv --json")]
pub struct Arguments {
    /// The calls.
    #[arg(long, value_name = "FILE")]
    calls: PathBuf,
    /// It is this time: deadlines of decisions pass. Without it none does.
    #[arg(long, value_name = "T")]
    as_of: Option<String>,
}

pub fn run(common: &Common, arguments: &Arguments) -> Result {
    let office = Office::load(common)?;
    let calls = read(&arguments.calls, &office.in_force)?;
    let last = calls.iter().filter_map(|rated| rated.call.ended_at).max().unwrap_or_default();
    let until = arguments.as_of.as_deref().map_or(Ok(last), |text| instant(text, office.in_force.zone()))?;
    let rating = Rating { in_force: &office.in_force, until: until.max(last), clock: arguments.as_of.is_some(), json: common.json };
    let mut out = io::BufWriter::with_capacity(1 << 18, io::stdout().lock());
    if !common.json {
        writeln!(out, "{}", table::head())?;
    }
    rating.rate(&calls, &mut out)?;
    out.flush()?;
    // Millions of small pieces, and the program ends: its memory goes back as a whole.
    std::mem::forget(calls);
    Ok(ExitCode::SUCCESS)
}

/// What calls are rated with, and how they are shown.
struct Rating<'a> {
    in_force: &'a InForce,
    until: Timestamp,
    /// Somebody said what time it is.
    clock: bool,
    json: bool,
}

/// Who pays a call, and the call's place in the file.
type Paid = (History, usize);

/// Results as text: all of a thread in one piece, and where the one of a place lies in it.
#[derive(Default)]
struct Told {
    text: Vec<u8>,
    ends: Vec<(usize, usize)>,
}

impl Rating<'_> {
    /// One result per call, in input order: each contract's calls settled together, the contracts shared among threads.
    fn rate(&self, calls: &RatedCalls, out: &mut impl Write) -> io::Result<()> {
        let mut paid: Vec<Paid> = Vec::with_capacity(calls.len());
        let mut nobodys = Told::default();
        for (place, rated) in calls.iter().enumerate() {
            match &rated.payer {
                Payer::Contract { history, .. } => paid.push((*history, place)),
                Payer::Nobody(found) => nobodys.add(place, &self.in_force.unbilled(&rated.call, found, self.until), self.json),
            }
        }
        paid.sort_unstable();
        let shares: Vec<&[Paid]> = paid.chunk_by(|one, other| one.0 == other.0).collect();
        let next = AtomicUsize::new(0);
        let work = || {
            let (mut told, mut inputs) = (Told::default(), Vec::new());
            while let Some(share) = shares.get(next.fetch_add(1, Ordering::Relaxed)) {
                inputs.clear();
                inputs.extend(share.iter().filter_map(|(_, place)| calls.get(*place).and_then(input)));
                self.settle(share, &inputs, &mut told);
            }
            told
        };
        let mut all = vec![nobodys];
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..threads()).map(|_| scope.spawn(work)).collect();
            all.extend(threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic))));
        });
        write_in_order(calls.len(), &all, out)
    }

    /// Settles the calls of one contract.
    fn settle(&self, share: &[Paid], inputs: &[Input<'_>], told: &mut Told) {
        let Some(terms) = share.first().and_then(|(history, _)| self.in_force.terms_of(*history)) else { return };
        // Without a clock no deadline passes, however late the last call of the file is.
        let terms = if self.clock { terms } else { terms.without_clock() };
        for ((_, place), settled) in share.iter().zip(meter::settle(&terms, inputs, self.until).calls) {
            told.add(*place, &settled.record, self.json);
        }
    }
}

/// A call as settlement takes it, if a contract pays.
fn input(rated: &RatedCall) -> Option<Input<'_>> {
    let RatedCall { call, verdict, payer, .. } = rated;
    match payer {
        Payer::Contract { authorised, reason, .. } => {
            Some(Input { call, authorised: *authorised, reason: reason.as_deref(), verdict: *verdict, timing: Timing::InTime })
        }
        Payer::Nobody(_) => None,
    }
}

impl Told {
    fn add(&mut self, place: usize, record: &Record, json: bool) {
        if json {
            write_json(&mut self.text, record, &Style::PLAIN);
        } else {
            table::write_row(&mut self.text, record);
        }
        self.text.push(b'\n');
        self.ends.push((place, self.text.len()));
    }
}

/// Writes what all threads tell in the order of the file.
fn write_in_order(calls: usize, all: &[Told], out: &mut impl Write) -> io::Result<()> {
    let mut lines: Vec<&[u8]> = vec![&[]; calls];
    for told in all {
        let mut begin = 0;
        for (place, end) in &told.ends {
            if let (Some(slot), Some(line)) = (lines.get_mut(*place), told.text.get(begin..*end)) {
                *slot = line;
            }
            begin = *end;
        }
    }
    lines.into_iter().try_for_each(|line| out.write_all(line))
}
