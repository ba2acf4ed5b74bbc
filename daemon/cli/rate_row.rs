//! One row of calls.csv (design.md §9) as a call.

use crate::calls::{BillFrom, BilledFrom, Call, Correlation, Directory, End, MissedReason, Talk, Withheld};
use crate::units::{CallId, Direction, E164, RawNumber, Timestamp};

/// The columns, by name; in the order of [`Column`].
pub const COLUMNS: [&str; 14] = [
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

#[derive(Clone, Copy)]
enum Column {
    CallId,
    Direction,
    Caller,
    Called,
    StartedAt,
    AnsweredAt,
    ConnectedAt,
    EndedAt,
    Agent,
    Level,
    Severity,
    Ticket,
    Contract,
    Decision,
}

impl Column {
    const fn name(self) -> &'static str {
        COLUMNS[self as usize]
    }
}

/// A row: where each column stands in it, its fields in one piece, and where each of them ends.
pub struct Row<'a> {
    /// Where each column stands.
    pub columns: &'a [Option<usize>; 14],
    /// The fields, one after the other.
    pub text: &'a str,
    /// Where they end.
    pub ends: &'a [usize],
}

/// A column, and what is wrong there.
pub type Mistake = (&'static str, String);
type Result<T> = std::result::Result<T, Mistake>;

impl Row<'_> {
    /// The call.
    pub fn call(&self, directory: &Directory) -> Result<Call> {
        let id = self.text(Column::CallId).and_then(CallId::new).ok_or_else(|| wrong(Column::CallId, "is empty"))?;
        let direction = match self.text(Column::Direction) {
            Some("in") => Direction::In,
            Some("out") => Direction::Out,
            found => {
                return Err(wrong(Column::Direction, format!("\"{}\" is neither \"in\" nor \"out\"", found.unwrap_or_default())));
            }
        };
        let started_at = self.time(Column::StartedAt)?.ok_or_else(|| wrong(Column::StartedAt, "is empty"))?;
        let answered_at = self.time(Column::AnsweredAt)?;
        let connected_at = self.time(Column::ConnectedAt)?;
        let ended_at = self.time(Column::EndedAt)?;
        let (caller_raw, called_raw) = (self.raw(Column::Caller), self.raw(Column::Called));
        let normalized = |raw: &RawNumber| -> Option<E164> { directory.dial_plan.normalize(raw.as_str().as_bytes()) };
        let called = normalized(&called_raw);
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
            return Err(wrong(Column::EndedAt, "lies before talk begins"));
        }
        let level = self.level(directory)?;
        let agent = || self.text(Column::Agent).unwrap_or_default().into();
        let talks: Vec<Talk> = from.map(|from| Talk { agent: agent(), level, from, to: ended_at }).into_iter().collect();
        Ok(Call {
            id,
            direction,
            hotline: hotline.map(|hotline| hotline.name.clone()),
            service: match (direction, hotline) {
                (Direction::Out, _) => "callback".into(),
                (Direction::In, Some(hotline)) => hotline.service.clone(),
                (Direction::In, None) => {
                    return Err(wrong(Column::Called, format!("\"{}\" is no configured hotline", called_raw.as_str())));
                }
            },
            caller: if direction == Direction::In { normalized(&caller_raw) } else { None },
            caller_raw,
            withheld: Withheld::No,
            called_raw,
            called,
            contract: self.text(Column::Contract).map(Into::into),
            started_at,
            answered_at,
            // Without an end the call was never concluded: it is rated as ended where it began to talk.
            ended_at: Some(ended_at.or(from).unwrap_or(started_at)),
            missed: talks.is_empty().then_some(MissedReason::NoAnswer),
            talks,
            end: End::Observed,
            billed_from: if connected_at.is_some() && !by_answer { BilledFrom::Agent } else { BilledFrom::Answer },
            severity: self.text(Column::Severity).map(Into::into).or_else(|| hotline.and_then(|hotline| hotline.severity.clone())),
            ticket: self.text(Column::Ticket).map(Into::into),
            correlation: Correlation::Explicit,
            marks: Vec::new(),
        })
    }

    /// The decision, read by `read`.
    pub fn decision<T>(&self, read: impl Fn(&str) -> std::result::Result<T, String>) -> Result<Option<T>> {
        self.text(Column::Decision).map(read).transpose().map_err(|what| wrong(Column::Decision, what))
    }

    fn text(&self, column: Column) -> Option<&str> {
        let place = self.columns.get(column as usize).copied().flatten()?;
        let end = *self.ends.get(place)?;
        let begin = place.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        self.text.get(begin..end).map(str::trim).filter(|text| !text.is_empty())
    }

    fn time(&self, column: Column) -> Result<Option<Timestamp>> {
        let Some(text) = self.text(column) else { return Ok(None) };
        let mistake = || wrong(column, format!("\"{text}\" is no time with an offset; 2026-03-10T10:00:00+01:00 would be right"));
        Timestamp::parse_rfc3339(text).map(Some).ok_or_else(mistake)
    }

    fn raw(&self, column: Column) -> RawNumber {
        RawNumber::from_bytes(self.text(column).unwrap_or_default().as_bytes())
    }

    fn level(&self, directory: &Directory) -> Result<Option<u8>> {
        match self.text(Column::Level) {
            Some(text) => {
                text.parse().map(Some).map_err(|_| wrong(Column::Level, format!("\"{text}\" is no level; 1, 2 or 3 would be right")))
            }
            None => Ok(directory.agent(&self.raw(Column::Agent)).and_then(|agent| agent.level)),
        }
    }
}

fn wrong(column: Column, what: impl Into<String>) -> Mistake {
    (column.name(), what.into())
}
