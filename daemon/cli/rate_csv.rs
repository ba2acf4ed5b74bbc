//! calls.csv (design.md §9) as calls: header row, RFC 3339 times, empty where unknown. Every mistake is told with its line.

use super::csv_head;
use super::decisions_csv::verdict;
use super::{Failure, Result};
use crate::calls::{BillFrom, BilledFrom, Call, Correlation, Directory, End, MissedReason, Talk, Withheld};
use crate::tariff::Verdict;
use crate::units::{CallId, DialPlan, Direction, RawNumber, Timestamp};
use std::fs::File;
use std::path::Path;

/// A call of the file, with its decision.
pub struct RatedCall {
    /// The call.
    pub call: Call,
    /// The decision.
    pub verdict: Option<Verdict>,
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

/// Reads a file; all its mistakes at once.
pub fn read(path: &Path, directory: &Directory) -> Result<Vec<RatedCall>> {
    let name = path.display().to_string();
    let file = File::open(path).map_err(|error| Failure::Work(anyhow::anyhow!("{name}: cannot be opened: {error}")))?;
    let mut reader = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(file);
    let header = reader.headers().map_err(|error| Failure::Usage(format!("{name}:1: {error}")))?.clone();
    let columns = csv_head::columns(&name, &header, &COLUMNS, &["call_id", "direction", "caller", "started_at"])?;
    let mut calls = Vec::new();
    let mut mistakes: Vec<String> = Vec::new();
    let mut names: std::collections::HashSet<String> = std::collections::HashSet::new();
    let mut record = csv::StringRecord::new();
    loop {
        match reader.read_record(&mut record) {
            Ok(false) => break,
            Ok(true) => {
                let line = record.position().map_or(0, csv::Position::line);
                let row = Row { columns: &columns, record: &record };
                match row.call(directory) {
                    Ok(call) if !names.insert(call.call.id.to_string()) => {
                        mistakes
                            .push(format!("{name}:{line}: call_id: \"{}\" stands twice; each call has a name of its own", call.call.id));
                    }
                    Ok(call) => calls.push(call),
                    Err((key, what)) => mistakes.push(format!("{name}:{line}: {key}: {what}")),
                }
            }
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                mistakes.push(format!("{name}:{line}: {error}"));
            }
        }
        if mistakes.len() > 100 {
            mistakes.push("and perhaps more".to_owned());
            break;
        }
    }
    if mistakes.is_empty() { Ok(calls) } else { Err(Failure::Usage(format!("calls that cannot be read\n{}", mistakes.join("\n")))) }
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

    fn call(&self, directory: &Directory) -> std::result::Result<RatedCall, Mistake> {
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
        Ok(RatedCall { call, verdict: self.text("decision").map(verdict).transpose().map_err(|what| ("decision", what))? })
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
