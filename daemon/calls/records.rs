//! Rows and queue lines, in any order of arrival, become calls: gathered by conversation (`gather`), each party of it
//! told as one call (`assemble`).
//!
//! The invariant: what is told of a conversation is a function of the set of its rows and lines; the order of arrival
//! decides only how often it is told.

use super::assemble::{Found, Party};
use super::cdr::{CdrRow, QueueLine};
use super::digest::digest_of;
use super::gather::{Body, Gathered, SETTLE, Told, insert, insert_all};
use super::{Call, Directory};
use crate::units::codec::{Reader, Writer};
use crate::units::{CallId, Seconds, Timestamp};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Where a channel is known by name only, parts farther apart than this are calls of two channels.
const APART_MICROS: i64 = 5_000_000;

/// What came of the rows, beside calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordCounts {
    /// Conversations between phones of the house.
    pub internal: u64,
    /// Conversations with a number that is no hotline.
    pub no_hotline: u64,
    /// Channels that were pieces of another's call.
    pub parts: u64,
    /// Calls whose dialed number no row has any more.
    pub hotline_unseen: u64,
    /// Missed calls that somebody answered all the same: a phone that is no configured agent.
    pub strangers: u64,
    /// Rows and lines left out because their conversation had too many.
    pub left_out: u64,
    /// Conversations told and forgotten early, for want of room.
    pub crowded_out: u64,
}

/// Gathers the records of one switch.
#[derive(Clone, Debug)]
pub struct Records {
    directory: Directory,
    gathered: Gathered<Conversation>,
    counts: RecordCounts,
}

/// The rows and lines of one conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Conversation {
    rows: Vec<CdrRow>,
    lines: Vec<QueueLine>,
}

impl Records {
    /// Nothing gathered yet; `directory` says which numbers are hotlines and agents.
    #[must_use]
    pub fn new(directory: &Directory) -> Self {
        Self { directory: directory.clone(), gathered: Gathered::new(SETTLE), counts: RecordCounts::default() }
    }

    /// The same, but a conversation is told after so many seconds without a row or line, in place of `SETTLE`.
    #[must_use]
    pub fn settling(mut self, settle: Seconds) -> Self {
        self.gathered = self.gathered.settling(settle);
        self
    }

    /// Takes a row. The same row twice is one.
    pub fn apply(&mut self, row: CdrRow) {
        let names = names_of(&row);
        let (at, octets) = (row.ended_at, row.octets());
        self.gathered.add(&names, at, octets, |conversation| insert(&mut conversation.rows, row));
    }

    /// Takes a line of the queue log; it waits for the rows of its caller's channel.
    pub fn apply_queue_line(&mut self, line: QueueLine) {
        let name = line.uniqueid.clone();
        let (at, octets) = (line.at, line.octets());
        self.gathered.add(std::slice::from_ref(&name), at, octets, |conversation| insert(&mut conversation.lines, line));
    }

    /// The calls that nothing has been added to for `SETTLE` and that have not been told as they now are, the oldest
    /// first. `now` is the time of the feed.
    pub fn settled(&mut self, now: Timestamp) -> Vec<Call> {
        let Self { directory, gathered, counts } = self;
        gathered.settled(now, &mut |conversation, told, calls| tell(conversation, told, calls, directory, counts))
    }

    /// The same for all that wait and lie no later than `by`: what lies in the future waits for its time.
    pub fn flush_by(&mut self, by: Timestamp) -> Vec<Call> {
        let Self { directory, gathered, counts } = self;
        gathered.tell(|touched| touched <= by, &mut |conversation, told, calls| tell(conversation, told, calls, directory, counts))
    }

    /// The latest time that a row or line which waits has.
    #[must_use]
    pub fn latest_waiting(&self) -> Option<Timestamp> {
        self.gathered.latest_waiting()
    }

    /// The same for all that wait, at the end of a file.
    pub fn flush(&mut self) -> Vec<Call> {
        self.flush_by(Timestamp::MAX)
    }

    /// When [`Records::settled`] next has something to tell, in the time of the feed.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        self.gathered.deadline()
    }

    /// Goes on with a changed configuration; what was told already is told again if it comes out otherwise and a row is
    /// added to it.
    pub fn reconfigure(&mut self, directory: &Directory) {
        self.directory = directory.clone();
    }

    /// What came of the rows so far, beside calls.
    #[must_use]
    pub const fn counts(&self) -> RecordCounts {
        RecordCounts { left_out: self.gathered.left_out, crowded_out: self.gathered.crowded_out, ..self.counts }
    }

    /// How many conversations are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.gathered.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes all that is gathered.
    pub fn write(&self, out: &mut Writer) {
        self.gathered.write(out);
        let counts = self.counts();
        for count in
            [counts.internal, counts.no_hotline, counts.parts, counts.hotline_unseen, counts.strangers, counts.left_out, counts.crowded_out]
        {
            out.number(count);
        }
    }

    /// Goes on from what [`Records::write`] wrote; `None` for other bytes.
    #[must_use]
    pub fn read(directory: &Directory, back: &mut Reader<'_>) -> Option<Self> {
        let mut records = Self { gathered: Gathered::read(SETTLE, back)?, ..Self::new(directory) };
        let Self { gathered, counts, .. } = &mut records;
        for count in [
            &mut counts.internal,
            &mut counts.no_hotline,
            &mut counts.parts,
            &mut counts.hotline_unseen,
            &mut counts.strangers,
            &mut gathered.left_out,
            &mut gathered.crowded_out,
        ] {
            *count = back.number()?;
        }
        Some(records)
    }
}

impl Body for Conversation {
    fn octets(&self) -> usize {
        let rows = self.rows.iter().map(CdrRow::octets);
        let lines = self.lines.iter().map(QueueLine::octets);
        rows.chain(lines).fold(0, usize::saturating_add)
    }

    fn absorb(&mut self, other: Self) -> u64 {
        insert_all(&mut self.rows, other.rows).saturating_add(insert_all(&mut self.lines, other.lines))
    }

    fn write(&self, out: &mut Writer) {
        out.list(self.rows.iter(), |out, row| row.write(out));
        out.list(self.lines.iter(), |out, line| line.write(out));
    }

    fn read(back: &mut Reader<'_>) -> Option<Self> {
        Some(Self { rows: back.list(CdrRow::read)?, lines: back.list(QueueLine::read)? })
    }
}

/// Tells each party of a conversation that comes out otherwise than it was told before.
fn tell(conversation: &Conversation, told: &mut Told, calls: &mut Vec<Call>, directory: &Directory, counts: &mut RecordCounts) {
    for (party, rows) in parties(&conversation.rows) {
        let Some(call_id) = call_id(&party) else { continue };
        let lines: Vec<&QueueLine> = conversation.lines.iter().filter(|line| *line.uniqueid == *party).collect();
        let party_rows = Party { directory, id: &call_id, rows: &rows, conversation: &conversation.rows, lines: &lines };
        let found = party_rows.call();
        let digest = digest_of(&found);
        let before = told.insert(party, digest);
        if before == Some(digest) {
            continue;
        }
        let count = match found {
            Found::Call(call) => {
                let unseen = call.hotline.is_none() && call.direction == crate::units::Direction::In;
                let stranger = call.missed.is_some() && rows.iter().any(|row| row.answered().is_some() && !row.dstchannel.is_empty());
                calls.push(*call);
                match (unseen, stranger) {
                    (true, _) => Some(&mut counts.hotline_unseen),
                    (false, true) => Some(&mut counts.strangers),
                    (false, false) => None,
                }
            }
            Found::Internal => Some(&mut counts.internal),
            Found::NoHotline => Some(&mut counts.no_hotline),
            Found::Part => Some(&mut counts.parts),
        };
        if let Some(count) = count.filter(|_| before.is_none()) {
            *count = count.saturating_add(1);
        }
    }
}

/// The names by which rows of one conversation find each other. Without unique ids, the channel's name has to do.
fn names_of(row: &CdrRow) -> Vec<Box<str>> {
    let mut names: Vec<Box<str>> = [&row.uniqueid, &row.linkedid].into_iter().filter(|name| !name.is_empty()).cloned().collect();
    if names.is_empty() {
        names.push(row.channel.clone());
    }
    names.dedup();
    names
}

/// The rows of each calling channel under the key that names its call: the unique id, which no transfer changes, else
/// the channel's name and first instant.
fn parties(rows: &[CdrRow]) -> BTreeMap<Box<str>, Vec<&CdrRow>> {
    let mut parties: BTreeMap<Box<str>, Vec<&CdrRow>> = BTreeMap::new();
    let mut nameless: BTreeMap<&str, (Timestamp, Box<str>)> = BTreeMap::new();
    for row in rows {
        let key = if row.uniqueid.is_empty() {
            let (until, key) = nameless.entry(&row.channel).or_insert_with(|| (row.ended_at, key_of(row)));
            if row.started_at.since(*until) > APART_MICROS {
                *key = key_of(row);
            }
            *until = row.ended_at.max(*until);
            key.clone()
        } else {
            row.uniqueid.clone()
        };
        parties.entry(key).or_default().push(row);
    }
    parties
}

fn key_of(row: &CdrRow) -> Box<str> {
    format!("{}\0{}", row.channel, row.started_at.micros()).into()
}

/// The name of the call of a party: hex of the first half of SHA-256 over `asterisk`, a zero byte and the key.
pub(super) fn call_id(key: &str) -> Option<CallId> {
    let mut hash = Sha256::new();
    hash.update(b"asterisk\0");
    hash.update(key.as_bytes());
    let digest = hash.finalize();
    let digits = digest.iter().take(16).flat_map(|byte| [byte >> 4, byte & 15]);
    let text: String = digits.filter_map(|digit| char::from_digit(u32::from(digit), 16)).collect();
    CallId::new(&text)
}

#[cfg(test)]
mod tests {
    use super::super::gather::{MOST_GROUPS, MOST_OCTETS};
    use super::*;
    use crate::calls::{Disposition, IdentityRules, Precision, WithheldNumbers};
    use crate::units::DialPlan;

    fn directory() -> Directory {
        Directory {
            dial_plan: DialPlan::new("DE", "89").expect("known"),
            hotlines: Vec::new(),
            agents: Vec::new(),
            identity: IdentityRules {
                headers: Vec::new(),
                trusted_peers: Vec::new(),
                withheld: WithheldNumbers::Ignore,
                contract_header: None,
                leg_headers: Vec::new(),
            },
        }
    }

    fn row(second: u32, uniqueid: &str, linkedid: &str) -> CdrRow {
        let at = Timestamp::from_parts(second, 0);
        CdrRow {
            started_at: at,
            sequence: None,
            ended_at: at,
            answered_at: None,
            duration: Seconds::ZERO,
            billsec: Seconds::ZERO,
            precision: Precision::Seconds,
            disposition: Disposition::Busy,
            uniqueid: uniqueid.into(),
            linkedid: linkedid.into(),
            channel: "PJSIP/trunk-00000001".into(),
            dstchannel: "".into(),
            src: "".into(),
            dst: "".into(),
            clid: "".into(),
            accountcode: "".into(),
            lastapp: "".into(),
            lastdata: "".into(),
            userfield: "x".repeat(1_000).into(),
            sip_call_id: "".into(),
            contract: "".into(),
            severity: "".into(),
            ticket: "".into(),
        }
    }

    #[test]
    fn conversations_join_when_a_row_says_so() {
        let mut records = Records::new(&directory());
        for (uniqueid, linkedid, groups) in [("1.1", "1.1", 1), ("1.2", "1.2", 2), ("1.3", "", 3), ("1.2", "1.1", 2), ("1.3", "1.2", 1)] {
            records.apply(row(1, uniqueid, linkedid));
            assert_eq!(records.len(), groups, "{uniqueid} {linkedid}");
        }
        let octets = records.gathered.octets();
        records.apply(row(1, "1.1", "1.1"));
        assert_eq!(records.gathered.octets(), octets, "the same row twice is one");
    }

    #[test]
    fn a_conversation_settles_and_is_forgotten_a_day_later() {
        let mut records = Records::new(&directory());
        let at = |second| Timestamp::from_parts(second, 0);
        records.apply(row(100, "1.1", ""));
        assert_eq!(records.deadline(), Some(at(105)));
        records.settled(at(104));
        assert_eq!(records.counts().no_hotline, 0);
        records.settled(at(105));
        assert_eq!((records.counts().no_hotline, records.deadline()), (1, None));
        records.apply(row(100, "1.1", ""));
        records.flush();
        assert_eq!(records.counts().no_hotline, 1, "told once");
        records.settled(at(101 + 7 * 86_400));
        assert_eq!(records.len(), 1, "nothing later was heard: a backlog of days is read in pieces");
        for (second, left) in [(100 + 86_400, 2), (101 + 86_400, 2)] {
            records.apply(row(second, &format!("{second}.1"), ""));
            records.settled(at(second));
            assert_eq!(records.len(), left, "the first was forgotten a day later, and not before");
        }
    }

    #[test]
    fn memory_has_a_bound() {
        let mut records = Records::new(&directory());
        for second in 0..40_000 {
            records.apply(row(second, &format!("{second}.1"), ""));
            if second % 256 == 0 {
                records.settled(Timestamp::from_parts(second, 0));
            }
        }
        records.flush();
        assert!(records.len() <= MOST_GROUPS && records.gathered.octets() <= MOST_OCTETS);
        assert_eq!(records.counts().no_hotline, 40_000);
        assert!(records.counts().crowded_out > 20_000);
        for second in 0..2_000 {
            records.apply(row(50_000 + second, "7.7", ""));
        }
        assert_eq!(records.counts().left_out, 2_000 - 1_024);
    }
}
