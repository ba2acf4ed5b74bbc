//! calls.csv (design.md §9) as calls: header row, RFC 3339 times, empty where unknown. Every mistake is told with its line.

use super::csv_head;
use super::decisions_csv::verdict;
use super::rate_names::{Names, Place};
use super::rate_row::{COLUMNS, Row};
use super::{Failure, Result};
use crate::calls::Call;
use crate::contracts::Payer;
use crate::pipeline::catalogue::InForce;
use crate::tariff::Verdict;
use std::fs::File;
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};

/// A call of the file.
pub struct RatedCall {
    /// The call.
    pub call: Call,
    /// The decision.
    pub verdict: Option<Verdict>,
    /// Whose it is.
    pub payer: Payer,
    /// The line of the file it begins on.
    pub(super) line: u64,
}

/// The calls of a file, in its order.
#[derive(Default)]
pub struct RatedCalls(Vec<Vec<RatedCall>>);

impl RatedCalls {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.iter().map(Vec::len).sum()
    }

    /// The one at a place; `None` beyond the last.
    pub fn get(&self, place: usize) -> Option<&RatedCall> {
        self.0.get(place / ROWS_AT_ONCE)?.get(place % ROWS_AT_ONCE)
    }

    /// All.
    pub fn iter(&self) -> impl Iterator<Item = &RatedCall> {
        self.0.iter().flatten()
    }
}

/// So many rows go to a thread at once.
const ROWS_AT_ONCE: usize = 1_024;
/// So many hands full of rows wait for a thread.
const HANDS_WAITING: usize = 16;
/// After so many mistakes the rest is not read.
const MOST_MISTAKES: usize = 100;

/// Rows as they stand in the file, in one piece of text: one allocation for a thousand rows, not two for each.
#[derive(Default)]
struct Hand {
    number: u32,
    text: String,
    /// Where each field of all rows ends in the text.
    ends: Vec<usize>,
    /// Of each row: its line, where its text begins, and how many ends of fields there are after it.
    rows: Vec<(u64, usize, usize)>,
}

/// What was read: the calls of each hand, by its number; and mistakes, each with its line.
#[derive(Default)]
struct Read {
    calls: Vec<(u32, Vec<RatedCall>)>,
    names: Names,
    mistakes: Vec<(u64, String)>,
}

/// Reads a file; all its mistakes at once. One thread reads rows, the others make calls of them and find who pays.
pub fn read(path: &Path, in_force: &InForce) -> Result<RatedCalls> {
    let name = path.display().to_string();
    let file = File::open(path).map_err(|error| Failure::Work(anyhow::anyhow!("{name}: cannot be opened: {error}")))?;
    let mut reader = csv::ReaderBuilder::new().flexible(true).buffer_capacity(1 << 18).from_reader(file);
    let mut header = reader.headers().map_err(|error| Failure::Usage(format!("{name}:1: {error}")))?.clone();
    header.trim();
    let columns = csv_head::columns(&name, &header, &COLUMNS, &["call_id", "direction", "caller", "started_at"])?;
    let (sender, receiver) = sync_channel::<Hand>(HANDS_WAITING);
    let (receiver, enough) = (Mutex::new(receiver), AtomicBool::new(false));
    let names = Names::default();
    let (mut unread, parts) = std::thread::scope(|scope| {
        let convert = || convert(&receiver, &columns, in_force, names.alike(), &enough);
        let threads: Vec<_> = (0..threads()).map(|_| scope.spawn(convert)).collect();
        let unread = read_rows(&mut reader, &sender, &enough);
        drop(sender);
        let parts: Vec<Read> = threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic))).collect();
        (unread, parts)
    });
    let (mut hands, mut all_names) = (Vec::new(), Vec::with_capacity(parts.len()));
    for part in parts {
        unread.extend(part.mistakes);
        hands.extend(part.calls);
        all_names.push(part.names);
    }
    hands.sort_unstable_by_key(|(number, _)| *number);
    let calls = RatedCalls(hands.into_iter().map(|(_, calls)| calls).collect());
    let at = |(hand, offset): Place| calls.0.get(usize::try_from(hand).ok()?)?.get(usize::try_from(offset).ok()?);
    for again in Names::twice(all_names, |place| Some(at(place)?.call.id.as_str())).into_iter().filter_map(at) {
        unread.push((again.line, format!("call_id: \"{}\" stands twice; each call has a name of its own", again.call.id)));
    }
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

/// Makes calls of the rows of one hand after the other, until no more come.
fn convert(receiver: &Mutex<Receiver<Hand>>, columns: &[Option<usize>; 14], in_force: &InForce, names: Names, enough: &AtomicBool) -> Read {
    let mut read = Read { names, ..Read::default() };
    loop {
        let hand = receiver.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Hand { number, text, ends, rows }) = hand else { break };
        let mut calls = Vec::with_capacity(rows.len());
        let mut first = 0;
        for (line, begin, last) in rows {
            let row = Row { columns, text: text.get(begin..).unwrap_or_default(), ends: ends.get(first..last).unwrap_or_default() };
            first = last;
            match row.call(in_force.directory()).and_then(|call| Ok((call, row.decision(verdict)?))) {
                Ok((call, verdict)) => {
                    read.names.add(call.id.as_str(), (number, u32::try_from(calls.len()).unwrap_or(u32::MAX)));
                    let payer = in_force.payer(&call);
                    calls.push(RatedCall { call, verdict, payer, line });
                }
                Err((key, what)) => read.mistakes.push((line, format!("{key}: {what}"))),
            }
        }
        read.calls.push((number, calls));
        if read.mistakes.len() > MOST_MISTAKES {
            enough.store(true, Ordering::Relaxed);
        }
    }
    read.names.sort();
    read
}

/// Hands rows over; gives the lines that are no rows.
fn read_rows(reader: &mut csv::Reader<File>, sender: &SyncSender<Hand>, enough: &AtomicBool) -> Vec<(u64, String)> {
    let (mut unread, mut hand, mut record) = (Vec::new(), Hand::default(), csv::StringRecord::new());
    loop {
        let more = match reader.read_record(&mut record) {
            Ok(more) => more,
            Err(error) => {
                unread.push((error.position().map_or(0, csv::Position::line), error.to_string()));
                continue;
            }
        };
        if more {
            hand.add(&record);
        }
        if hand.rows.len() == ROWS_AT_ONCE || !more {
            let next = Hand { number: hand.number + 1, ..Hand::as_large_as(&hand) };
            if sender.send(std::mem::replace(&mut hand, next)).is_err() {
                return unread;
            }
        }
        if !more || unread.len() > MOST_MISTAKES || enough.load(Ordering::Relaxed) {
            return unread;
        }
    }
}

impl Hand {
    fn as_large_as(other: &Self) -> Self {
        let Self { text, ends, .. } = other;
        let text = String::with_capacity(text.len() + text.len() / 8);
        Self { number: 0, text, ends: Vec::with_capacity(ends.len()), rows: Vec::with_capacity(ROWS_AT_ONCE) }
    }

    fn add(&mut self, record: &csv::StringRecord) {
        let begin = self.text.len();
        self.text.push_str(record.as_slice());
        self.ends.extend((0..record.len()).map(|field| record.range(field).map_or(0, |range| range.end)));
        self.rows.push((record.position().map_or(0, csv::Position::line), begin, self.ends.len()));
    }
}
