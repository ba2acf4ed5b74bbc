//! What a switch tells of its conversations, in any order of arrival: gathered by name, held back until the siblings are
//! there, told again when a late piece changes it.
//!
//! The invariant: what is told of a conversation is a function of the set of its pieces; the order of arrival decides only
//! how often it is told. Memory is bounded by [`MOST_GROUPS`], [`MOST_OCTETS`] and [`KEPT`].

mod form;

pub use form::Written;
pub(super) use form::joined;

use super::Call;
use crate::units::codec::{Reader, Writer};
use crate::units::{Seconds, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// How long a conversation is remembered after its last piece, in case another comes.
pub const KEPT: Seconds = Seconds::new(24 * 3_600);

/// How many conversations are remembered; beyond, those that have been quiet longest are told and forgotten.
pub const MOST_GROUPS: usize = 16_384;

/// How much memory they may have, in octets, roughly; beyond, likewise. Checked when calls are told.
pub const MOST_OCTETS: usize = 24 * 1024 * 1024;

/// How many pieces of a kind one conversation may have; what comes beyond is counted and left out.
pub const MOST_PER_GROUP: usize = 1_024;

/// The time by which pieces of one conversation that are written at once have come in.
pub const SETTLE: Seconds = Seconds::new(5);

/// What is kept of one conversation.
pub(super) trait Body: Default {
    /// About how much memory it has.
    fn octets(&self) -> usize;
    /// Takes all that another has, which turned out to be the same conversation; gives how many pieces found no room.
    fn absorb(&mut self, other: Self) -> u64;
    /// Writes it for a snapshot.
    fn write(&self, out: &mut Writer);
    /// Reads what [`Body::write`] wrote; `None` for other bytes.
    fn read(back: &mut Reader<'_>) -> Option<Self>;
}

/// What was told of each party of a conversation, as a digest.
pub(super) type Told = BTreeMap<Box<str>, [u8; 16]>;

/// Tells a conversation: adds its calls that have not been told as they now are.
pub(super) type Tell<'a, B> = &'a mut dyn FnMut(&B, &mut Told, &mut Vec<Call>);

/// The conversations of one switch.
#[derive(Clone, Debug)]
pub(super) struct Gathered<B> {
    settle: Seconds,
    groups: BTreeMap<u64, Group<B>>,
    /// The conversation of each name.
    names: BTreeMap<Box<str>, u64>,
    /// Those with something to tell, by the time of their last piece.
    waiting: BTreeSet<(Timestamp, u64)>,
    /// All, likewise.
    ages: BTreeSet<(Timestamp, u64)>,
    next: u64,
    octets: usize,
    /// Those that changed or went since they were last written one by one; `None` while all are written at once.
    changed: Option<BTreeSet<u64>>,
    /// Pieces left out because their conversation had too many.
    pub(super) left_out: u64,
    /// Conversations told and forgotten early, for want of room.
    pub(super) crowded_out: u64,
}

/// One conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Group<B> {
    names: BTreeSet<Box<str>>,
    body: B,
    touched: Timestamp,
    told: Told,
}

/// What became of a piece that was to be inserted.
pub(super) enum Inserted {
    New,
    Known,
    NoRoom,
}

impl<B: Body> Gathered<B> {
    /// Nothing yet; a conversation is told after so many seconds without a piece.
    pub(super) const fn new(settle: Seconds) -> Self {
        Self {
            settle,
            groups: BTreeMap::new(),
            names: BTreeMap::new(),
            waiting: BTreeSet::new(),
            ages: BTreeSet::new(),
            next: 0,
            octets: 0,
            changed: None,
            left_out: 0,
            crowded_out: 0,
        }
    }

    /// The same, but a conversation is told after so many seconds.
    pub(super) const fn settling(mut self, settle: Seconds) -> Self {
        self.settle = settle;
        self
    }

    /// Adds a piece to the conversation that has one of these names; those that turn out to be one become one.
    pub(super) fn add(&mut self, names: &[Box<str>], at: Timestamp, octets: usize, insert: impl FnOnce(&mut B) -> Inserted) {
        let id = self.group_of(names);
        let Some(group) = self.groups.get_mut(&id) else { return };
        match insert(&mut group.body) {
            Inserted::New => self.octets = self.octets.saturating_add(octets),
            Inserted::Known => {}
            Inserted::NoRoom => self.left_out = self.left_out.saturating_add(1),
        }
        self.touch(id, at);
    }

    /// Tells the conversations that nothing has been added to for a while, the oldest first. `now` is the time of the feed.
    /// Forgets what is older than [`KEPT`] beside the latest that was heard: a file that was not read for days is older than
    /// that beside `now`, and its pieces still wait for their siblings.
    pub(super) fn settled(&mut self, now: Timestamp, tell: Tell<'_, B>) -> Vec<Call> {
        let before = now.plus_micros(micros(self.settle).saturating_neg());
        let calls = self.tell(|touched| touched <= before, tell);
        let heard = self.ages.last().map_or(now, |(touched, _)| now.min(*touched));
        let old = heard.plus_micros(micros(KEPT).saturating_neg());
        while let Some((_, id)) = self.ages.first().copied().filter(|(touched, _)| *touched < old) {
            self.forget(id);
        }
        calls
    }

    /// The latest time that a piece which waits has.
    pub(super) fn latest_waiting(&self) -> Option<Timestamp> {
        self.waiting.last().map(|(touched, _)| *touched)
    }

    /// When [`Gathered::settled`] next has something to tell, in the time of the feed.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.waiting.first().map(|(touched, _)| touched.plus(self.settle))
    }

    /// How many conversations are remembered.
    pub(super) fn len(&self) -> usize {
        self.groups.len()
    }

    /// About how much memory they have.
    #[cfg(test)]
    pub(super) const fn octets(&self) -> usize {
        self.octets
    }

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
                if self.names.get(name) != Some(&id) {
                    group.names.insert(name.clone());
                    self.names.insert(name.clone(), id);
                }
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
            self.octets = self.octets.saturating_sub(group.body.octets());
            self.left_out = self.left_out.saturating_add(group.body.absorb(old.body));
            self.octets = self.octets.saturating_add(group.body.octets());
        }
        self.touch(into, touched);
    }

    fn note(&mut self, id: u64) {
        if let Some(changed) = &mut self.changed {
            changed.insert(id);
        }
    }

    /// A conversation has something to tell.
    fn touch(&mut self, id: u64, at: Timestamp) {
        self.note(id);
        let Some(group) = self.groups.get_mut(&id) else { return };
        self.ages.remove(&(group.touched, id));
        self.waiting.remove(&(group.touched, id));
        group.touched = group.touched.max(at);
        self.ages.insert((group.touched, id));
        self.waiting.insert((group.touched, id));
    }

    fn forget(&mut self, id: u64) -> Option<Group<B>> {
        let group = self.groups.remove(&id)?;
        self.note(id);
        self.octets = self.octets.saturating_sub(group.body.octets());
        self.ages.remove(&(group.touched, id));
        self.waiting.remove(&(group.touched, id));
        for name in &group.names {
            self.names.remove(name);
        }
        Some(group)
    }

    /// Tells all that wait and are due.
    pub(super) fn tell(&mut self, due: impl Fn(Timestamp) -> bool, tell: Tell<'_, B>) -> Vec<Call> {
        let mut calls = Vec::new();
        while let Some((touched, id)) = self.waiting.first().copied().filter(|(touched, _)| due(*touched)) {
            self.waiting.remove(&(touched, id));
            self.tell_group(id, tell, &mut calls);
        }
        while self.groups.len() > MOST_GROUPS || self.octets > MOST_OCTETS {
            let Some((touched, id)) = self.ages.first().copied() else { break };
            if self.waiting.remove(&(touched, id)) {
                self.tell_group(id, tell, &mut calls);
            }
            self.forget(id);
            self.crowded_out = self.crowded_out.saturating_add(1);
        }
        calls.sort_by(|a, b| (a.started_at, &a.id).cmp(&(b.started_at, &b.id)));
        calls
    }

    fn tell_group(&mut self, id: u64, tell: Tell<'_, B>, calls: &mut Vec<Call>) {
        self.note(id);
        if let Some(group) = self.groups.get_mut(&id) {
            tell(&group.body, &mut group.told, calls);
        }
    }
}

/// Inserts in order, once.
pub(super) fn insert<T: Ord>(into: &mut Vec<T>, value: T) -> Inserted {
    match into.binary_search(&value) {
        Ok(_) => Inserted::Known,
        Err(_) if into.len() >= MOST_PER_GROUP => Inserted::NoRoom,
        Err(place) => {
            into.insert(place, value);
            Inserted::New
        }
    }
}

/// Inserts all; gives how many found no room.
pub(super) fn insert_all<T: Ord>(into: &mut Vec<T>, values: Vec<T>) -> u64 {
    values.into_iter().fold(0, |left_out: u64, value| match insert(into, value) {
        Inserted::New | Inserted::Known => left_out,
        Inserted::NoRoom => left_out.saturating_add(1),
    })
}

fn micros(span: Seconds) -> i64 {
    Timestamp::default().plus(span).micros()
}
