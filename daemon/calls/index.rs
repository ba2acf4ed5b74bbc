//! Finds calls and legs under way by what other legs tell of them.
//!
//! The one invariant: all of it follows from the calls and legs, except what [`Index::write`] keeps.

use super::directory::Withheld;
use super::leg::{CallNo, Leg, Role};
use super::open::{Kind, Open};
use super::table::Table;
use crate::sip::LegId;
use crate::units::codec::{Reader, Writer};
use crate::units::{E164, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// Who calls, as a B-leg can show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shown {
    /// This number.
    Number(E164),
    /// None.
    Hidden,
}

impl Shown {
    /// What a leg shows.
    pub fn by(leg: &Leg) -> Self {
        match leg.from_number {
            Some(number) if !leg.hidden => Self::Number(number),
            Some(_) | None => Self::Hidden,
        }
    }

    /// What the legs of a call may show.
    pub fn of(open: &Open) -> impl Iterator<Item = Self> {
        let inbound = open.kind == Kind::Inbound;
        let number = open.caller.number.map(Self::Number);
        let hidden = (open.caller.withheld == Withheld::Yes).then_some(Self::Hidden);
        [number, hidden].into_iter().flatten().filter(move |_| inbound)
    }
}

/// Inbound calls of which legs show the same, in order; there may be thousands that hide their number.
#[derive(Clone, Debug, Default)]
struct Callers {
    all: Vec<CallNo>,
    /// Those whose customer is there and with no agent.
    waiting: Vec<CallNo>,
    /// Legs that wait for evidence whose they are.
    undecided: Vec<LegId>,
}

/// The index.
#[derive(Clone, Debug, Default)]
pub struct Index {
    callers: BTreeMap<Shown, Callers>,
    /// Callbacks by the number called.
    called: BTreeMap<E164, Vec<CallNo>>,
    /// Calls that were sent on, and when: the next leg to their target is theirs.
    pub(super) sent: BTreeMap<CallNo, Timestamp>,
    /// Internal calls.
    internal: BTreeSet<CallNo>,
    /// Calls by the leg headers of their first leg.
    keys: BTreeMap<(usize, Box<str>), Vec<CallNo>>,
    /// Legs that serve a call without being its first, its customer's or an agent's.
    beside: BTreeMap<CallNo, Vec<LegId>>,
}

impl Index {
    /// A call that started.
    pub fn add(&mut self, number: CallNo, open: &Open) {
        for shown in Shown::of(open) {
            let callers = self.callers.entry(shown).or_default();
            put(&mut callers.all, number);
            if open.waits {
                put(&mut callers.waiting, number);
            }
        }
        if let (Kind::Callback, Some(called)) = (open.kind, open.called.1) {
            put(self.called.entry(called).or_default(), number);
        }
        if open.kind == Kind::Internal {
            self.internal.insert(number);
        }
    }

    /// Whether a call waits has changed.
    pub fn turn(&mut self, number: CallNo, open: &Open) {
        for shown in Shown::of(open) {
            let Some(callers) = self.callers.get_mut(&shown) else { continue };
            if open.waits {
                put(&mut callers.waiting, number);
            } else {
                take(&mut callers.waiting, number);
            }
        }
    }

    /// A call that is over.
    pub fn remove(&mut self, number: CallNo, open: &Open) {
        for shown in Shown::of(open) {
            if let Some(callers) = self.callers.get_mut(&shown) {
                take(&mut callers.all, number);
                take(&mut callers.waiting, number);
            }
            self.tidy(shown);
        }
        if let (Kind::Callback, Some(called)) = (open.kind, open.called.1)
            && let Some(calls) = self.called.get_mut(&called)
        {
            take(calls, number);
            if calls.is_empty() {
                self.called.remove(&called);
            }
        }
        self.sent.remove(&number);
        self.internal.remove(&number);
    }

    /// The leg headers of a call's first leg.
    pub fn add_keys(&mut self, number: CallNo, keys: &[(usize, Box<str>)]) {
        for key in keys {
            put(self.keys.entry(key.clone()).or_default(), number);
        }
    }

    /// Forgets the leg headers of a call's first leg.
    pub fn remove_keys(&mut self, number: CallNo, keys: &[(usize, Box<str>)]) {
        for key in keys {
            if let Some(calls) = self.keys.get_mut(key) {
                take(calls, number);
                if calls.is_empty() {
                    self.keys.remove(key);
                }
            }
        }
    }

    /// The calls whose first leg has this value of a leg header.
    pub fn of_key(&self, key: &(usize, Box<str>)) -> &[CallNo] {
        self.keys.get(key).map(Vec::as_slice).unwrap_or_default()
    }

    /// Calls of a caller.
    pub fn of_caller(&self, number: Option<E164>, withheld: Withheld) -> &[CallNo] {
        match (number, withheld) {
            (Some(number), _) => self.shown(Shown::Number(number)),
            (None, Withheld::Yes) => self.shown(Shown::Hidden),
            (None, Withheld::No | Withheld::Unknown) => &[],
        }
    }

    /// Calls of which legs show this.
    pub fn shown(&self, shown: Shown) -> &[CallNo] {
        self.callers.get(&shown).map(|callers| callers.all.as_slice()).unwrap_or_default()
    }

    /// Those of them that wait for an agent.
    pub fn waiting(&self, shown: Shown) -> &[CallNo] {
        self.callers.get(&shown).map(|callers| callers.waiting.as_slice()).unwrap_or_default()
    }

    /// Callbacks to a number.
    pub fn called(&self, number: E164) -> &[CallNo] {
        self.called.get(&number).map(Vec::as_slice).unwrap_or_default()
    }

    /// Internal calls under way, the latest first.
    pub fn internal(&self) -> impl Iterator<Item = CallNo> {
        self.internal.iter().rev().copied()
    }

    /// Whether there is none.
    pub fn has_internal(&self) -> bool {
        !self.internal.is_empty()
    }

    /// A leg waits for evidence whose of its candidates it is.
    pub fn wait(&mut self, id: LegId, leg: &Leg) {
        put(&mut self.callers.entry(Shown::by(leg)).or_default().undecided, id);
    }

    /// A leg waits no longer.
    pub fn wait_no_more(&mut self, id: LegId, leg: &Leg) {
        let shown = Shown::by(leg);
        if let Some(callers) = self.callers.get_mut(&shown) {
            take(&mut callers.undecided, id);
        }
        self.tidy(shown);
    }

    /// Legs that show this, and wait for evidence whose they are.
    pub fn undecided_of(&self, shown: Shown) -> &[LegId] {
        self.callers.get(&shown).map(|callers| callers.undecided.as_slice()).unwrap_or_default()
    }

    /// Legs that may belong to a call.
    pub fn undecided<'a>(&'a self, number: CallNo, open: &Open, legs: &'a Table<LegId, Leg>) -> impl Iterator<Item = (LegId, &'a Leg)> {
        let lists = Shown::of(open).filter_map(|shown| self.callers.get(&shown)).map(|callers| callers.undecided.as_slice());
        let all = lists.flatten().filter_map(|id| Some((*id, legs.get(id)?)));
        all.filter(move |(_, leg)| leg.candidates.contains(&number))
    }

    /// A leg serves a call beside the others.
    pub fn stand_beside(&mut self, number: CallNo, leg: LegId) {
        self.beside.entry(number).or_default().push(leg);
    }

    /// All legs of a call, to be forgotten with it.
    pub fn take_legs(&mut self, number: CallNo, open: &Open, legs: &Table<LegId, Leg>) -> Vec<LegId> {
        let mut all = self.beside.remove(&number).unwrap_or_default();
        all.extend([Some(open.first), open.customer].into_iter().flatten());
        all.extend(open.agents.iter().map(|(leg, _)| *leg).chain(open.again.iter().copied()));
        all.retain(|leg| legs.get(leg).is_some_and(|leg| leg.call == Some(number)));
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Appends what does not follow from the calls.
    pub fn write(&self, out: &mut Writer) {
        out.list(self.sent.iter(), |out, (call, at)| {
            out.number(*call);
            out.time(*at);
        });
        out.list(self.beside.iter(), |out, (call, legs)| {
            out.number(*call);
            out.list(legs.iter(), |out, leg| out.number(leg.0));
        });
    }

    /// Reads it back, beside the calls.
    pub fn read(from: &mut Reader<'_>, open: &Table<CallNo, Open>, legs: &Table<LegId, Leg>) -> Option<Self> {
        let mut index = Self::default();
        for (number, open) in open.iter() {
            index.add(number, open);
            if let Some(first) = legs.get(&open.first) {
                index.add_keys(number, &first.keys);
            }
        }
        for (id, leg) in legs.iter().filter(|(_, leg)| leg.call.is_none() && leg.role == Role::ToAgent) {
            index.wait(id, leg);
        }
        index.sent = from.list(|from| Some((from.number()?, from.time()?)))?.into_iter().collect();
        index.beside = from.list(|from| Some((from.number()?, from.list(|from| from.number().map(LegId))?)))?.into_iter().collect();
        Some(index)
    }

    fn tidy(&mut self, shown: Shown) {
        if self.callers.get(&shown).is_some_and(|callers| callers.all.is_empty() && callers.undecided.is_empty()) {
            self.callers.remove(&shown);
        }
    }
}

/// Puts a number in its place of a list in order.
fn put<K: Copy + Ord>(list: &mut Vec<K>, number: K) {
    if let Err(place) = list.binary_search(&number) {
        list.insert(place, number);
    }
}

fn take<K: Copy + Ord>(list: &mut Vec<K>, number: K) {
    if let Ok(place) = list.binary_search(&number) {
        list.remove(place);
    }
}
