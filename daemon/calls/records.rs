//! Rows and queue lines, in any order of arrival, become calls: gathered by conversation, held back until the siblings
//! are there, told again when a late row changes them.
//!
//! The invariant: what is told of a conversation is a function of the set of its rows and lines (`assemble`); the order
//! of arrival decides only how often it is told. Memory is bounded by [`MOST_GROUPS`], [`MOST_OCTETS`] and [`KEPT`].

use super::assemble::{Found, Party};
use super::cdr::{CdrRow, QueueLine};
use super::{Call, Directory};
use crate::units::codec::{Reader, Writer};
use crate::units::{CallId, Seconds, Timestamp};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// How long a conversation is remembered after its last row or line, in case another comes.
pub const KEPT: Seconds = Seconds::new(24 * 3_600);

/// How many conversations are remembered; beyond, those that have been quiet longest are told and forgotten.
pub const MOST_GROUPS: usize = 16_384;

/// How much memory they may have, in octets, roughly; beyond, likewise. Checked when calls are told.
pub const MOST_OCTETS: usize = 24 * 1024 * 1024;

/// How many rows, and how many lines, one conversation may have; what comes beyond is counted and left out.
pub const MOST_PER_GROUP: usize = 1_024;

/// The time by which rows of one party written at once, and the queue log's line, have come in.
pub const SETTLE: Seconds = Seconds::new(5);

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
    settle: Seconds,
    groups: BTreeMap<u64, Group>,
    /// The conversation of each unique id, linked id or nameless channel.
    names: BTreeMap<Box<str>, u64>,
    /// Those with something to tell, by the time of their last row or line.
    waiting: BTreeSet<(Timestamp, u64)>,
    /// All, likewise.
    ages: BTreeSet<(Timestamp, u64)>,
    next: u64,
    octets: usize,
    counts: RecordCounts,
}

/// One conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Group {
    names: BTreeSet<Box<str>>,
    rows: Vec<CdrRow>,
    lines: Vec<QueueLine>,
    touched: Timestamp,
    /// What was told of each party, as a digest.
    told: BTreeMap<Box<str>, [u8; 16]>,
}

impl Records {
    /// Nothing gathered yet; `directory` says which numbers are hotlines and agents.
    #[must_use]
    pub fn new(directory: &Directory) -> Self {
        Self {
            directory: directory.clone(),
            settle: SETTLE,
            groups: BTreeMap::new(),
            names: BTreeMap::new(),
            waiting: BTreeSet::new(),
            ages: BTreeSet::new(),
            next: 0,
            octets: 0,
            counts: RecordCounts::default(),
        }
    }

    /// The same, but a conversation is told after so many seconds without a row or line, in place of `SETTLE`.
    #[must_use]
    pub const fn settling(mut self, settle: Seconds) -> Self {
        self.settle = settle;
        self
    }

    /// Takes a row. The same row twice is one.
    pub fn apply(&mut self, row: CdrRow) {
        let names = names_of(&row);
        let id = self.group_of(&names);
        let (at, octets) = (row.ended_at, row.octets());
        self.touch(id, at, octets, |group| insert(&mut group.rows, row));
    }

    /// Takes a line of the queue log; it waits for the rows of its caller's channel.
    pub fn apply_queue_line(&mut self, line: QueueLine) {
        let id = self.group_of(std::slice::from_ref(&line.uniqueid));
        let (at, octets) = (line.at, line.octets());
        self.touch(id, at, octets, |group| insert(&mut group.lines, line));
    }

    /// The calls that nothing has been added to for `SETTLE` and that have not been told as they now are, the oldest
    /// first. `now` is the time of the feed. Forgets what is older than `KEPT` beside the latest that was heard: a file that
    /// was not read for days is older than that beside `now`, and its lines still wait for their rows.
    pub fn settled(&mut self, now: Timestamp) -> Vec<Call> {
        let before = now.plus_micros(micros(self.settle).saturating_neg());
        let calls = self.tell(|touched| touched <= before);
        let heard = self.ages.last().map_or(now, |(touched, _)| now.min(*touched));
        let old = heard.plus_micros(micros(KEPT).saturating_neg());
        while let Some((_, id)) = self.ages.first().copied().filter(|(touched, _)| *touched < old) {
            self.forget(id);
        }
        calls
    }

    /// The same for all that wait and lie no later than `by`: what lies in the future waits for its time.
    pub fn flush_by(&mut self, by: Timestamp) -> Vec<Call> {
        self.tell(|touched| touched <= by)
    }

    /// The latest time that a row or line which waits has.
    #[must_use]
    pub fn latest_waiting(&self) -> Option<Timestamp> {
        self.waiting.last().map(|(touched, _)| *touched)
    }

    /// The same for all that wait, at the end of a file.
    pub fn flush(&mut self) -> Vec<Call> {
        self.tell(|_| true)
    }

    /// When [`Records::settled`] next has something to tell, in the time of the feed.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        self.waiting.first().map(|(touched, _)| touched.plus(self.settle))
    }

    /// Goes on with a changed configuration; what was told already is told again if it comes out otherwise and a row is
    /// added to it.
    pub fn reconfigure(&mut self, directory: &Directory) {
        self.directory = directory.clone();
    }

    /// What came of the rows so far, beside calls.
    #[must_use]
    pub const fn counts(&self) -> RecordCounts {
        self.counts
    }

    /// How many conversations are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// The conversation that has one of these names; those that turn out to be one become one.
    fn group_of(&mut self, names: &[Box<str>]) -> u64 {
        let mut known = names.iter().filter_map(|name| self.names.get(name).copied());
        let id = known.next();
        let others: BTreeSet<u64> = known.filter(|other| Some(*other) != id).collect();
        let id = id.unwrap_or_else(|| {
            self.next = self.next.saturating_add(1);
            self.groups.insert(self.next, Group::default());
            self.next
        });
        for other in others {
            self.merge(id, other);
        }
        if let Some(group) = self.groups.get_mut(&id) {
            for name in names {
                group.names.insert(name.clone());
                self.names.insert(name.clone(), id);
            }
        }
        id
    }

    fn merge(&mut self, into: u64, from: u64) {
        let Some(old) = self.forget(from) else { return };
        let touched = old.touched;
        if let Some(group) = self.groups.get_mut(&into) {
            for name in old.names {
                self.names.insert(name.clone(), into);
                group.names.insert(name);
            }
            group.told.extend(old.told);
        }
        for row in old.rows {
            let octets = row.octets();
            self.touch(into, touched, octets, |group| insert(&mut group.rows, row));
        }
        for line in old.lines {
            let octets = line.octets();
            self.touch(into, touched, octets, |group| insert(&mut group.lines, line));
        }
    }

    /// Changes a conversation, which now has something to tell.
    fn touch(&mut self, id: u64, at: Timestamp, octets: usize, change: impl FnOnce(&mut Group) -> Inserted) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        match change(group) {
            Inserted::New => self.octets = self.octets.saturating_add(octets),
            Inserted::Known => {}
            Inserted::NoRoom => self.counts.left_out = self.counts.left_out.saturating_add(1),
        }
        self.ages.remove(&(group.touched, id));
        self.waiting.remove(&(group.touched, id));
        group.touched = group.touched.max(at);
        self.ages.insert((group.touched, id));
        self.waiting.insert((group.touched, id));
    }

    fn forget(&mut self, id: u64) -> Option<Group> {
        let group = self.groups.remove(&id)?;
        self.octets = self.octets.saturating_sub(group.octets());
        self.ages.remove(&(group.touched, id));
        self.waiting.remove(&(group.touched, id));
        for name in &group.names {
            self.names.remove(name);
        }
        Some(group)
    }

    fn tell(&mut self, due: impl Fn(Timestamp) -> bool) -> Vec<Call> {
        let mut calls = Vec::new();
        while let Some((touched, id)) = self.waiting.first().copied().filter(|(touched, _)| due(*touched)) {
            self.waiting.remove(&(touched, id));
            self.tell_group(id, &mut calls);
        }
        while self.groups.len() > MOST_GROUPS || self.octets > MOST_OCTETS {
            let Some((touched, id)) = self.ages.first().copied() else { break };
            if self.waiting.remove(&(touched, id)) {
                self.tell_group(id, &mut calls);
            }
            self.forget(id);
            self.counts.crowded_out = self.counts.crowded_out.saturating_add(1);
        }
        calls.sort_by(|a, b| (a.started_at, &a.id).cmp(&(b.started_at, &b.id)));
        calls
    }

    fn tell_group(&mut self, id: u64, calls: &mut Vec<Call>) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        for (party, rows) in parties(&group.rows) {
            let Some(call_id) = call_id(&party) else { continue };
            let lines: Vec<&QueueLine> = group.lines.iter().filter(|line| *line.uniqueid == *party).collect();
            let party_rows = Party { directory: &self.directory, id: &call_id, rows: &rows, conversation: &group.rows, lines: &lines };
            let found = party_rows.call();
            let digest = digest_of(&found);
            let before = group.told.insert(party, digest);
            if before == Some(digest) {
                continue;
            }
            let count = match found {
                Found::Call(call) => {
                    let unseen = call.hotline.is_none() && call.direction == crate::units::Direction::In;
                    let stranger = call.missed.is_some() && rows.iter().any(|row| row.answered().is_some() && !row.dstchannel.is_empty());
                    calls.push(*call);
                    match (unseen, stranger) {
                        (true, _) => Some(&mut self.counts.hotline_unseen),
                        (false, true) => Some(&mut self.counts.strangers),
                        (false, false) => None,
                    }
                }
                Found::Internal => Some(&mut self.counts.internal),
                Found::NoHotline => Some(&mut self.counts.no_hotline),
                Found::Part => Some(&mut self.counts.parts),
            };
            if let Some(count) = count.filter(|_| before.is_none()) {
                *count = count.saturating_add(1);
            }
        }
    }

    /// Writes all that is gathered.
    pub fn write(&self, out: &mut Writer) {
        out.list(self.groups.iter(), |out, (id, group)| {
            out.list(group.names.iter(), |out, name| out.text(name));
            out.list(group.rows.iter(), |out, row| row.write(out));
            out.list(group.lines.iter(), |out, line| line.write(out));
            out.time(group.touched);
            out.flag(self.waiting.contains(&(group.touched, *id)));
            out.list(group.told.iter(), |out, (party, digest)| {
                out.text(party);
                out.bytes(digest);
            });
        });
        let counts = &self.counts;
        for count in
            [counts.internal, counts.no_hotline, counts.parts, counts.hotline_unseen, counts.strangers, counts.left_out, counts.crowded_out]
        {
            out.number(count);
        }
    }

    /// Goes on from what [`Records::write`] wrote; `None` for other bytes.
    #[must_use]
    pub fn read(directory: &Directory, back: &mut Reader<'_>) -> Option<Self> {
        let mut records = Self::new(directory);
        let groups = back.list(|back| {
            let names = back.list(|back| back.text().map(Into::into))?;
            let rows = back.list(CdrRow::read)?;
            let lines = back.list(QueueLine::read)?;
            let touched = back.time()?;
            let waiting = back.flag()?;
            let told = back.list(|back| Some((back.text()?.into(), back.bytes()?.try_into().ok()?)))?;
            let (names, told) = (names.into_iter().collect(), told.into_iter().collect());
            Some((Group { names, rows, lines, touched, told }, waiting))
        })?;
        for (group, waiting) in groups {
            let id = records.next.saturating_add(1);
            records.next = id;
            records.names.extend(group.names.iter().map(|name| (name.clone(), id)));
            records.ages.insert((group.touched, id));
            if waiting {
                records.waiting.insert((group.touched, id));
            }
            records.octets = records.octets.saturating_add(group.octets());
            records.groups.insert(id, group);
        }
        let counts = &mut records.counts;
        for count in [
            &mut counts.internal,
            &mut counts.no_hotline,
            &mut counts.parts,
            &mut counts.hotline_unseen,
            &mut counts.strangers,
            &mut counts.left_out,
            &mut counts.crowded_out,
        ] {
            *count = back.number()?;
        }
        Some(records)
    }
}

impl Group {
    fn octets(&self) -> usize {
        let rows = self.rows.iter().map(CdrRow::octets);
        let lines = self.lines.iter().map(QueueLine::octets);
        rows.chain(lines).fold(0, usize::saturating_add)
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
    let mut text = String::with_capacity(32);
    for byte in hash.finalize().iter().take(16) {
        write!(text, "{byte:02x}").ok()?;
    }
    CallId::new(&text)
}

fn digest_of(found: &Found) -> [u8; 16] {
    let mut digest = [0; 16];
    for (to, from) in digest.iter_mut().zip(Sha256::digest(format!("{found:?}"))) {
        *to = from;
    }
    digest
}

/// What became of a value that was to be inserted.
enum Inserted {
    New,
    Known,
    NoRoom,
}

/// Inserts in order, once.
fn insert<T: Ord>(into: &mut Vec<T>, value: T) -> Inserted {
    match into.binary_search(&value) {
        Ok(_) => Inserted::Known,
        Err(_) if into.len() >= MOST_PER_GROUP => Inserted::NoRoom,
        Err(place) => {
            into.insert(place, value);
            Inserted::New
        }
    }
}

fn micros(span: Seconds) -> i64 {
    Timestamp::default().plus(span).micros()
}

#[cfg(test)]
mod tests {
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
        let octets = records.octets;
        records.apply(row(1, "1.1", "1.1"));
        assert_eq!(records.octets, octets, "the same row twice is one");
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
        assert!(records.len() <= MOST_GROUPS && records.octets <= MOST_OCTETS);
        assert_eq!(records.counts().no_hotline, 40_000);
        assert!(records.counts().crowded_out > 20_000);
        for second in 0..2_000 {
            records.apply(row(50_000 + second, "7.7", ""));
        }
        assert_eq!(records.counts().left_out, 2_000 - 1_024);
    }
}
