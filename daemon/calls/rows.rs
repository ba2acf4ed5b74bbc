//! Rows, in any order of arrival, become calls: those of one call gathered by the names they share, and told as one.
//!
//! The invariant: what is told of a call is a function of the set of its rows (`parts`); the order of arrival decides only
//! how often it is told, and a call that was told keeps its name.

use super::digest::digest_of;
use super::gather::{Body, Gathered, Inserted, MOST_PER_GROUP, Told, Written, joined};
use super::open;
use super::parties::parties;
use super::parts::{Found, call_of, way_of, way_of_call};
use super::row::CallRow;
use super::{Call, Directory};
use crate::units::codec::{Reader, Writer};
use crate::units::{CallId, Seconds, Timestamp};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// A row with the name of an earlier one that begins so long after that was over, in microseconds, is of another call: some
/// switches count calls from one again when they are started.
const APART_MICROS: i64 = 600_000_000;

/// What a name begins with that signalling gave. A source's own begin with other ones.
const SIGNALLED: &str = "\u{1}sip ";

/// What came of rows, beside calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowCounts {
    /// Between phones of the house.
    pub internal: u64,
    /// With a number that is no hotline, and no callback.
    pub no_hotline: u64,
    /// Missed calls that somebody answered all the same: one who is no configured agent.
    pub strangers: u64,
    /// Rows left out because their call had too many.
    pub left_out: u64,
    /// Calls told and forgotten early, for want of room.
    pub crowded_out: u64,
}

/// Gathers the rows of one source.
#[derive(Clone, Debug)]
pub struct Rows {
    directory: Directory,
    gathered: Gathered<Parts>,
    counts: RowCounts,
}

/// The rows of one call, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Parts(Vec<CallRow>);

impl Rows {
    /// Nothing gathered yet; a call is told when none of its rows has come for `settle`.
    #[must_use]
    pub fn new(directory: &Directory, settle: Seconds) -> Self {
        Self { directory: directory.clone(), gathered: Gathered::new(settle), counts: RowCounts::default() }
    }

    /// Takes a row. The same row twice is one.
    pub fn apply(&mut self, row: CallRow) {
        let mut names: Vec<Box<str>> = std::iter::once(&row.key).chain(&row.also).filter(|name| !name.is_empty()).cloned().collect();
        if names.is_empty() {
            names.push(own_name(&row));
        }
        names.sort_unstable();
        names.dedup();
        let (at, octets) = (row.latest(), row.octets());
        self.gathered.add(&names, at, octets, |parts| parts.insert(row));
    }

    /// The calls that no row has been added to for a while and that have not been told as they now are, the oldest first.
    /// `now` is the time of the feed.
    pub fn settled(&mut self, now: Timestamp) -> Vec<Call> {
        let Self { directory, gathered, counts } = self;
        gathered.settled(now, &mut |parts, told, calls| tell(parts, told, calls, directory, counts))
    }

    /// The same for all that wait and lie no later than `by`.
    pub fn flush_by(&mut self, by: Timestamp) -> Vec<Call> {
        let Self { directory, gathered, counts } = self;
        gathered.tell(|touched| touched <= by, &mut |parts, told, calls| tell(parts, told, calls, directory, counts))
    }

    /// The latest time that a row which waits has.
    #[must_use]
    pub fn latest_waiting(&self) -> Option<Timestamp> {
        self.gathered.latest_waiting()
    }

    /// When [`Rows::settled`] next has something to tell, in the time of the feed.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        self.gathered.deadline()
    }

    /// Goes on with a changed configuration.
    pub fn reconfigure(&mut self, directory: &Directory) {
        self.directory = directory.clone();
    }

    /// What came of the rows so far, beside calls.
    #[must_use]
    pub const fn counts(&self) -> RowCounts {
        RowCounts { left_out: self.gathered.left_out, crowded_out: self.gathered.crowded_out, ..self.counts }
    }

    /// From now on [`Rows::changes`] says what has to be written; at first it is everything.
    #[must_use]
    pub fn write_changes(mut self) -> Self {
        self.gathered.write_changes();
        self
    }

    /// What has changed since this was last asked: the head, and the calls by their numbers, without bytes where one is gone.
    /// With [`Rows::joined`] they come to what [`Rows::write`] writes.
    pub fn changes(&mut self) -> (Vec<u8>, Vec<Written>) {
        let mut head = Writer::new();
        head.list([(); 0].into_iter(), |_, ()| ());
        self.write_counts(&mut head);
        (head.finish(), self.gathered.changes())
    }

    /// What [`Rows::read`] reads, of a head and of all calls that were written by themselves; `None` for other bytes.
    #[must_use]
    pub fn joined(head: &[u8], calls: &[&[u8]]) -> Option<Vec<u8>> {
        joined(head, calls)
    }

    /// Writes all that is gathered.
    pub fn write(&self, out: &mut Writer) {
        self.gathered.write(out);
        self.write_counts(out);
    }

    fn write_counts(&self, out: &mut Writer) {
        let counts = self.counts();
        for count in [counts.internal, counts.no_hotline, counts.strangers, counts.left_out, counts.crowded_out] {
            out.number(count);
        }
    }

    /// Goes on from what [`Rows::write`] wrote; `None` for other bytes.
    #[must_use]
    pub fn read(directory: &Directory, settle: Seconds, back: &mut Reader<'_>) -> Option<Self> {
        let mut rows = Self { gathered: Gathered::read(settle, back)?, ..Self::new(directory, settle) };
        let Self { gathered, counts, .. } = &mut rows;
        for count in
            [&mut counts.internal, &mut counts.no_hotline, &mut counts.strangers, &mut gathered.left_out, &mut gathered.crowded_out]
        {
            *count = back.number()?;
        }
        Some(rows)
    }
}

impl Parts {
    /// Inserts a row in order, once: its place in the file does not make it another.
    fn insert(&mut self, row: CallRow) -> Inserted {
        let same = |known: &&mut CallRow| CallRow { sequence: row.sequence, ..(**known).clone() } == row;
        if let Some(known) = self.0.iter_mut().find(same) {
            if row.sequence >= known.sequence {
                return Inserted::Known;
            }
            known.sequence = row.sequence;
            self.0.sort_unstable();
            return Inserted::Known;
        }
        if self.0.len() >= MOST_PER_GROUP {
            return Inserted::NoRoom;
        }
        let place = self.0.partition_point(|known| *known < row);
        self.0.insert(place, row);
        Inserted::New
    }
}

impl Body for Parts {
    fn octets(&self) -> usize {
        self.0.iter().map(CallRow::octets).fold(0, usize::saturating_add)
    }

    fn absorb(&mut self, other: Self) -> u64 {
        other.0.into_iter().fold(0, |left_out: u64, row| match self.insert(row) {
            Inserted::New | Inserted::Known => left_out,
            Inserted::NoRoom => left_out.saturating_add(1),
        })
    }

    fn write(&self, out: &mut Writer) {
        out.list(self.0.iter(), |out, row| row.write(out));
    }

    fn read(back: &mut Reader<'_>) -> Option<Self> {
        Some(Self(back.list(CallRow::read)?))
    }
}

/// Tells each call among the rows that comes out otherwise than it was told before.
fn tell(parts: &Parts, told: &mut Told, calls: &mut Vec<Call>, directory: &Directory, counts: &mut RowCounts) {
    for rows in apart(&parts.0).into_iter().flat_map(|rows| parties(directory, rows)) {
        let rows = &rows[..];
        let Some(way) = way_of_call(directory, rows) else { continue };
        let names: Vec<Box<str>> = rows.iter().filter(|row| way_of(directory, row) == way).map(party_of).collect();
        // What was told already keeps its name, whichever row comes to stand before it.
        let Some(party) = names.iter().find(|name| told.contains_key(*name)).or_else(|| names.first()).cloned() else { continue };
        let Some(id) = call_id(&party) else { continue };
        let found = call_of(directory, &id, rows);
        let digest = digest_of(&found);
        let before = told.insert(party, digest);
        if before == Some(digest) {
            continue;
        }
        let count = match found {
            Found::Call(call) => {
                let stranger = call.missed.is_some() && rows.iter().any(|row| row.talk.is_some() && !row.agent.is_empty());
                calls.push(*call);
                stranger.then_some(&mut counts.strangers)
            }
            Found::Internal => Some(&mut counts.internal),
            Found::NoHotline => Some(&mut counts.no_hotline),
        };
        if let Some(count) = count.filter(|_| before.is_none()) {
            *count = count.saturating_add(1);
        }
    }
}

/// The rows of each call among rows that share a name.
fn apart(rows: &[CallRow]) -> Vec<&[CallRow]> {
    let mut calls = Vec::with_capacity(1);
    let (mut rest, mut until) = (rows, Timestamp::MAX);
    let mut length = 0;
    for row in rows {
        if length > 0 && row.started_at.since(until) > APART_MICROS {
            let (call, others) = rest.split_at_checked(length).unwrap_or((rest, &[]));
            calls.push(call);
            (rest, length) = (others, 0);
        }
        until = if length == 0 { row.latest() } else { until.max(row.latest()) };
        length = length.saturating_add(1);
    }
    if !rest.is_empty() {
        calls.push(rest);
    }
    calls
}

/// What names a call by one of its rows: as signalling names it, where the source can tell that.
fn party_of(row: &CallRow) -> Box<str> {
    if !row.sip_call_id.is_empty() && !row.from_tag.is_empty() {
        return format!("{SIGNALLED}{}", open::call_id(row.sip_call_id.as_bytes(), row.from_tag.as_bytes())).into();
    }
    if row.key.is_empty() {
        return own_name(row);
    }
    format!("\u{2}{}\0{}", row.key, row.started_at.micros()).into()
}

/// The name of a row that has none: what it says.
fn own_name(row: &CallRow) -> Box<str> {
    let ended = row.ended_at.map_or(0, Timestamp::micros);
    format!("\0{}\0{}\0{}\0{}\0{ended}", row.caller, row.called, row.agent, row.started_at.micros()).into()
}

/// The name of a call: hex of the first half of SHA-256 over `row`, a zero byte and the key.
fn call_id(key: &str) -> Option<CallId> {
    if let Some(id) = key.strip_prefix(SIGNALLED) {
        return CallId::new(id);
    }
    let mut text = String::with_capacity(32);
    for byte in Sha256::new().chain_update(b"row\0").chain_update(key).finalize().iter().take(16) {
        write!(text, "{byte:02x}").ok()?;
    }
    CallId::new(&text)
}

#[cfg(test)]
mod tests;
