//! calls.csv (design.md §9) as calls: header row, RFC 3339 times, empty where unknown. Every mistake is told with its line.

use super::csv_head;
use super::decisions_csv::verdict;
use super::{Failure, Result};
use crate::calls::{BillFrom, BilledFrom, Call, Correlation, Directory, End, MissedReason, Talk, Withheld};
use crate::tariff::Verdict;
use crate::units::{CallId, DialPlan, Direction, RawNumber, Timestamp};
use std::collections::HashSet;
use std::fs::File;
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};

/// A call of the file, with its decision.
pub struct RatedCall {
    /// The call.
    pub call: Call,
    /// The decision.
    pub verdict: Option<Verdict>,
    /// The line of the file it begins on.
    line: u64,
}

const COLUMNS: [&str; 14] = [
    "call_id",
    "direction",
    "caller",
    "called",
    "started_at",
    "answered_at",
    "connected_at",
    "ended_at",
    "agent",
    "level",
    "severity",
    "ticket",
    "contract",
    "decision",
];

/// So many rows go to a thread at once.
const ROWS_AT_ONCE: usize = 1_024;
/// So many hands full of rows wait for a thread.
const HANDS_WAITING: usize = 16;
/// After so many mistakes the rest is not read.
const MOST_MISTAKES: usize = 100;

/// Rows with their lines, and the place of the first among all.
type Hand = (usize, Vec<(u64, csv::StringRecord)>);

/// What was read: rows converted, by the place of their first; and mistakes, each with its line.
#[derive(Default)]
struct Read {
    calls: Vec<(usize, Vec<RatedCall>)>,
    mistakes: Vec<(u64, String)>,
}

/// Reads a file; all its mistakes at once. One thread reads rows, the others make calls of them.
pub fn read(path: &Path, directory: &Directory) -> Result<Vec<RatedCall>> {
    let name = path.display().to_string();
    let file = File::open(path).map_err(|error| Failure::Work(anyhow::anyhow!("{name}: cannot be opened: {error}")))?;
    let mut reader = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).buffer_capacity(1 << 18).from_reader(file);
    let header = reader.headers().map_err(|error| Failure::Usage(format!("{name}:1: {error}")))?.clone();
    let columns = csv_head::columns(&name, &header, &COLUMNS, &["call_id", "direction", "caller", "started_at"])?;
    let (sender, receiver) = sync_channel::<Hand>(HANDS_WAITING);
    let (receiver, enough) = (Mutex::new(receiver), AtomicBool::new(false));
    let (mut unread, parts) = std::thread::scope(|scope| {
        let convert = || {
            let mut read = Read::default();
            loop {
                let hand = receiver.lock().unwrap_or_else(PoisonError::into_inner).recv();
                let Ok((first, rows)) = hand else { break read };
                let mut calls = Vec::with_capacity(rows.len());
                for (line, record) in rows {
                    match (Row { columns: &columns, record: &record }).call(directory, line) {
                        Ok(call) => calls.push(call),
                        Err((key, what)) => read.mistakes.push((line, format!("{key}: {what}"))),
                    }
                }
                read.calls.push((first, calls));
                if read.mistakes.len() > MOST_MISTAKES {
                    enough.store(true, Ordering::Relaxed);
                }
            }
        };
        let threads: Vec<_> = (0..threads()).map(|_| scope.spawn(convert)).collect();
        let unread = read_rows(&mut reader, &sender, &enough);
        drop(sender);
        let parts: Vec<Read> = threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic))).collect();
        (unread, parts)
    });
    let mut calls = Vec::new();
    for part in parts {
        unread.extend(part.mistakes);
        calls.extend(part.calls);
    }
    calls.sort_by_key(|(first, _)| *first);
    let calls: Vec<RatedCall> = calls.into_iter().flat_map(|(_, calls)| calls).collect();
    unread.extend(named_twice(&calls));
    if unread.is_empty() {
        return Ok(calls);
    }
    unread.sort();
    let mut mistakes: Vec<String> = unread.iter().take(MOST_MISTAKES).map(|(line, what)| format!("{name}:{line}: {what}")).collect();
    if unread.len() > MOST_MISTAKES || enough.load(Ordering::Relaxed) {
        mistakes.push("and perhaps more".to_owned());
    }
    Err(Failure::Usage(format!("calls that cannot be read\n{}", mistakes.join("\n"))))
}

/// How many threads share the work.
pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Hands rows over; gives the lines that are no rows.
fn read_rows(reader: &mut csv::Reader<File>, sender: &SyncSender<Hand>, enough: &AtomicBool) -> Vec<(u64, String)> {
    let (mut unread, mut rows, mut first) = (Vec::new(), Vec::with_capacity(ROWS_AT_ONCE), 0usize);
    loop {
        let mut record = csv::StringRecord::new();
        let more = match reader.read_record(&mut record) {
            Ok(more) => more,
            Err(error) => {
                unread.push((error.position().map_or(0, csv::Position::line), error.to_string()));
                continue;
            }
        };
        if more {
            rows.push((record.position().map_or(0, csv::Position::line), record));
        }
        if rows.len() == ROWS_AT_ONCE || !more {
            let hand = std::mem::replace(&mut rows, Vec::with_capacity(ROWS_AT_ONCE));
            let count = hand.len();
            if sender.send((first, hand)).is_err() {
                return unread;
            }
            first += count;
        }
        if !more || unread.len() > MOST_MISTAKES || enough.load(Ordering::Relaxed) {
            return unread;
        }
    }
}

/// Calls whose name another has.
fn named_twice(calls: &[RatedCall]) -> Vec<(u64, String)> {
    let mut names: HashSet<&str> = HashSet::with_capacity(calls.len());
    let again = calls.iter().filter(|rated| !names.insert(rated.call.id.as_str()));
    again.map(|rated| (rated.line, format!("call_id: \"{}\" stands twice; each call has a name of its own", rated.call.id))).collect()
}

struct Row<'a> {
    columns: &'a [Option<usize>; 14],
    record: &'a csv::StringRecord,
}

type Mistake = (&'static str, String);

impl Row<'_> {
    fn text(&self, column: &str) -> Option<&str> {
        let place = COLUMNS.iter().position(|known| *known == column)?;
        self.columns.get(place).copied().flatten().and_then(|place| self.record.get(place)).filter(|text| !text.is_empty())
    }

    fn time(&self, column: &'static str) -> std::result::Result<Option<Timestamp>, Mistake> {
        let Some(text) = self.text(column) else { return Ok(None) };
        let wrong = || (column, format!("\"{text}\" is no time with an offset; 2026-03-10T10:00:00+01:00 would be right"));
        Timestamp::parse_rfc3339(text).map(Some).ok_or_else(wrong)
    }

    fn call(&self, directory: &Directory, line: u64) -> std::result::Result<RatedCall, Mistake> {
        let id = self.text("call_id").and_then(CallId::new).ok_or(("call_id", "is empty".to_owned()))?;
        let direction = match self.text("direction") {
            Some("in") => Direction::In,
            Some("out") => Direction::Out,
            found => return Err(("direction", format!("\"{}\" is neither \"in\" nor \"out\"", found.unwrap_or_default()))),
        };
        let started_at = self.time("started_at")?.ok_or(("started_at", "is empty".to_owned()))?;
        let (answered_at, connected_at, ended_at) = (self.time("answered_at")?, self.time("connected_at")?, self.time("ended_at")?);
        let plan = &directory.dial_plan;
        let (caller_raw, called_raw) = (self.raw("caller"), self.raw("called"));
        let called = normalized(plan, &called_raw);
        let hotline = match direction {
            Direction::In => called.and_then(|number| directory.hotline(number)),
            Direction::Out => None,
        };
        let by_answer = hotline.is_some_and(|hotline| hotline.bill_from == BillFrom::Answer) || connected_at.is_none();
        let from = if by_answer { answered_at.or(connected_at) } else { connected_at };
        let from = if direction == Direction::Out { connected_at.or(answered_at) } else { from };
        if let (Some(from), Some(to)) = (from, ended_at)
            && to < from
        {
            return Err(("ended_at", "lies before talk begins".to_owned()));
        }
        let level = self.level(directory)?;
        let talks: Vec<Talk> =
            from.map(|from| Talk { agent: self.text("agent").unwrap_or_default().into(), level, from, to: ended_at }).into_iter().collect();
        let missed = (talks.is_empty()).then_some(MissedReason::NoAnswer);
        let call = Call {
            id,
            direction,
            hotline: hotline.map(|hotline| hotline.name.clone()),
            service: match (direction, hotline) {
                (Direction::Out, _) => "callback".into(),
                (Direction::In, Some(hotline)) => hotline.service.clone(),
                (Direction::In, None) => return Err(("called", format!("\"{}\" is no configured hotline", called_raw.as_str()))),
            },
            caller: normalized(plan, &caller_raw).filter(|_| direction == Direction::In),
            caller_raw,
            withheld: Withheld::No,
            called_raw,
            called,
            contract: self.text("contract").map(Into::into),
            started_at,
            answered_at,
            // Without an end the call was never concluded: it is rated as ended where it began to talk.
            ended_at: Some(ended_at.or(from).unwrap_or(started_at)),
            talks,
            end: End::Observed,
            billed_from: if connected_at.is_some() && !by_answer { BilledFrom::Agent } else { BilledFrom::Answer },
            missed,
            severity: self.text("severity").map(Into::into).or_else(|| hotline.and_then(|hotline| hotline.severity.clone())),
            ticket: self.text("ticket").map(Into::into),
            correlation: Correlation::Explicit,
            marks: Vec::new(),
        };
        let verdict = self.text("decision").map(verdict).transpose().map_err(|what| ("decision", what))?;
        Ok(RatedCall { call, verdict, line })
    }

    fn raw(&self, column: &str) -> RawNumber {
        RawNumber::from_bytes(self.text(column).unwrap_or_default().as_bytes())
    }

    fn level(&self, directory: &Directory) -> std::result::Result<Option<u8>, Mistake> {
        match self.text("level") {
            Some(text) => text.parse().map(Some).map_err(|_| ("level", format!("\"{text}\" is no level; 1, 2 or 3 would be right"))),
            None => Ok(directory.agent(&self.raw("agent")).and_then(|agent| agent.level)),
        }
    }
}

fn normalized(plan: &DialPlan, raw: &RawNumber) -> Option<crate::units::E164> {
    plan.normalize(raw.as_str().as_bytes())
}
