//! Dialogs of SIP calls as RFC 3261 has them: messages in, a few leg events out.
//!
//! The one invariant: one event per thing that happened, however often its message was sent, and on however many hops it
//! was seen. What arrives decides, in the order in which it arrives: time stamps may step back (some senders stamp a
//! response before its request), and only ever move a deadline. Memory is bounded by `max_legs`.
//!
//! The shell calls [`Dialogs::expire`] with the time it has reached before it hands over a later message.

mod dialog;
mod heard;
mod invite;
mod leg;
mod name;
mod snapshot;
mod strays;
mod timers;

#[cfg(test)]
mod recordings;
#[cfg(test)]
mod script;

use super::event::{LegEvent, LegEventKind, LegId, Replaces, Side};
use super::method::Method;
use super::scan::{Start, Unread, scan};
use crate::units::{Alarms, KeyedState, Message, OwnNumbers, Timestamp};
use hashbrown::{HashMap, HashTable};
use heard::{Heard, Out};
use leg::{Again, Leg};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hash::BuildHasher;
use strays::Strays;

/// How many legs may have one Call-ID: a switch that rings a whole queue under the caller's has dozens. Legs are found by it, so
/// without a bound whoever uses one again and again, each time with another tag, makes each of his messages slower than the last.
const MANY_OF_A_NAME: usize = 256;

/// How the table is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// The header that hands over a contract, if one is configured. Names compare without regard to case.
    pub contract_header: Option<Box<str>>,
    /// Headers that the PBX copies from leg to leg.
    pub leg_headers: Vec<Box<str>>,
    /// How many legs are kept at most; at least one is.
    pub max_legs: usize,
    /// The key of the tables' hashes.
    pub key: KeyedState,
}

/// What a message was, for the counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observed {
    /// A message of a call, with news or without.
    Call,
    /// A message that concerns no call.
    NoCall,
    /// A repeat, or the same message on another hop.
    Duplicate,
    /// No SIP message that can be read; or one without tags or CSeq.
    Malformed,
    /// A message of a call whose beginning was not seen.
    UnknownDialog,
    /// The table was full: the oldest leg that nobody talks on was given up, or if there was none, this message. Or the leg was, or
    /// its Call-ID has too many.
    TooMany,
}

/// Every leg that is set up, talks, or ended a moment ago.
#[derive(Debug)]
pub struct Dialogs {
    options: Options,
    /// By the hash of their Call-ID.
    legs: HashTable<Box<Leg>>,
    /// The same hashes, by the numbers of the legs.
    hashes: HashMap<LegId, u64, OwnNumbers>,
    /// When to look at a leg again: never later than its own next deadline, perhaps earlier.
    wakes: Alarms<LegId>,
    /// Legs without an answered dialog, the oldest first: what goes when the table is full. Whoever was answered since, or
    /// has gone, is still here, and passed over.
    idle: BinaryHeap<Reverse<LegId>>,
    /// What came before the INVITE it belongs to.
    strays: Strays,
    next: u64,
}

impl Dialogs {
    /// An empty table.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            legs: HashTable::new(),
            hashes: HashMap::with_hasher(OwnNumbers),
            wakes: Alarms::new(),
            idle: BinaryHeap::new(),
            strays: Strays::default(),
            next: 0,
            options,
        }
    }

    /// How many legs are kept, those that ended a moment ago included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.legs.len()
    }

    /// Whether no leg is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.legs.is_empty()
    }

    /// Takes one message, and appends what it meant.
    pub fn observe(&mut self, message: &Message<'_>, out: &mut Vec<LegEvent>) -> Observed {
        let scanned = match scan(message.payload) {
            Ok(scanned) => scanned,
            Err(Unread::NoCall | Unread::Empty) => return Observed::NoCall,
            Err(Unread::NotSip | Unread::NoCallId | Unread::Contradictory | Unread::BadCSeq) => return Observed::Malformed,
        };
        let Some(mut heard) = Heard::new(message, &scanned) else { return Observed::Malformed };
        let hash = self.options.key.hash_one(scanned.call_id);
        let Some(leg) = self.legs.find_mut(hash, |leg| leg.side_of(&heard).is_some()) else {
            return match (scanned.start, heard.to_tag) {
                (Start::Request { method: Method::Invite, .. }, []) => {
                    let observed = self.invite(hash, &heard, out);
                    self.hear_strays(hash, heard.at, out);
                    observed
                }
                _ if heard.cseq.method.needs_dialog() => Observed::NoCall,
                _ => {
                    self.strays.keep(hash, message);
                    Observed::UnknownDialog
                }
            };
        };
        heard.set_side(leg.side_of(&heard).unwrap_or(Side::Caller));
        let id = leg.id;
        let mut to = Out { leg: id, events: out };
        let observed = if heard.is_first_invite() {
            match leg.invited_again(&heard, &mut to) {
                Again::Same(observed) => observed,
                Again::Anew => {
                    self.drop_leg(id);
                    return self.invite(hash, &heard, out);
                }
            }
        } else {
            leg.hear(&heard, &mut to)
        };
        settle(leg, &mut self.wakes, &mut self.idle);
        self.sweep();
        if observed == Observed::UnknownDialog {
            self.strays.keep(hash, message);
        } else if !self.strays.is_empty() && matches!(scanned.start, Start::Request { .. }) {
            self.hear_strays(hash, heard.at, out);
        }
        observed
    }

    /// What was read before the message it follows.
    fn hear_strays(&mut self, hash: u64, at: Timestamp, out: &mut Vec<LegEvent>) {
        for stray in self.strays.take(hash, at) {
            self.observe(&stray.message(), out);
        }
    }

    /// When [`Dialogs::expire`] next has work; perhaps a little earlier. `None` while nothing waits.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        self.wakes.first()
    }

    /// It is now `now`: timers run out, in the order in which they were due, and legs that are over are forgotten.
    pub fn expire(&mut self, now: Timestamp, out: &mut Vec<LegEvent>) {
        while let Some((wake, id)) = self.wakes.ring(now) {
            let Some(leg) = leg_mut(&mut self.legs, &self.hashes, id).filter(|leg| leg.wake == Some(wake)) else { continue };
            leg.wake = None;
            match leg.expire(wake, &mut Out { leg: id, events: out }) {
                timers::After::Keep => settle(leg, &mut self.wakes, &mut self.idle),
                timers::After::Forget => self.drop_leg(id),
            }
        }
    }

    /// The leg a Replaces names, whichever of its tags is the local one (RFC 3891 §3).
    #[must_use]
    pub fn leg_of(&self, replaces: &Replaces) -> Option<LegId> {
        let (to, from) = (&*replaces.to_tag, &*replaces.from_tag);
        let near = |leg: &Leg| (*leg.from_tag == *from && leg.has_dialog(to)) || (*leg.from_tag == *to && leg.has_dialog(from));
        let hash = self.options.key.hash_one(&*replaces.call_id);
        self.legs.find(hash, |leg| *leg.call_id == *replaces.call_id && near(leg)).map(|leg| leg.id)
    }

    /// The last sign of life of a leg: of a dialog that talks, of the side that has been silent longer; else of any message.
    #[must_use]
    pub fn last_seen(&self, id: LegId) -> Option<Timestamp> {
        let hash = *self.hashes.get(&id)?;
        self.legs.find(hash, |leg| leg.id == id).map(|leg| leg.last_seen())
    }

    /// Forgets a leg, without an event: whoever consumes them has ended it.
    pub fn drop_leg(&mut self, id: LegId) {
        let Some(hash) = self.hashes.remove(&id) else { return };
        if let Ok(entry) = self.legs.find_entry(hash, |leg| leg.id == id) {
            entry.remove();
        }
        if self.legs.is_empty() {
            self.wakes.clear();
            self.idle.clear();
        }
    }

    /// Takes out what has gone stale, if that is much.
    fn sweep(&mut self) {
        let Self { legs, hashes, wakes, idle, .. } = self;
        wakes.sweep(|wake, id| {
            hashes.get(&id).and_then(|hash| legs.find(*hash, |leg| leg.id == id)).is_some_and(|leg| leg.wake == Some(wake))
        });
        if idle.len() > legs.len().saturating_mul(2).saturating_add(1_024) {
            idle.retain(|Reverse(id)| hashes.contains_key(id));
        }
    }

    fn invite(&mut self, hash: u64, heard: &Heard<'_, '_>, out: &mut Vec<LegEvent>) -> Observed {
        let namesakes = self.legs.iter_hash(hash).filter(|leg| *leg.call_id == *heard.scanned.call_id);
        if namesakes.take(MANY_OF_A_NAME).count() == MANY_OF_A_NAME {
            return Observed::TooMany;
        }
        let full = self.legs.len() >= self.options.max_legs.max(1);
        if full && !self.give_up_one(out) {
            return Observed::TooMany;
        }
        let id = LegId(self.next);
        self.next = self.next.saturating_add(1);
        let mut invitation = heard.invitation(&self.options);
        invitation.takes_over = invitation.replaces.as_ref().and_then(|replaces| self.leg_of(replaces));
        let leg = Leg::new(id, heard, &invitation);
        out.push(LegEvent { leg: id, at: heard.at, kind: LegEventKind::Invited(Box::new(invitation)) });
        self.insert(leg);
        if full { Observed::TooMany } else { Observed::Call }
    }

    /// Makes room: the oldest leg without an answered dialog goes, as one that failed if it is not over yet.
    fn give_up_one(&mut self, out: &mut Vec<LegEvent>) -> bool {
        while let Some(Reverse(id)) = self.idle.pop() {
            let Some(leg) = leg_mut(&mut self.legs, &self.hashes, id) else { continue };
            leg.listed = false;
            if !leg.talks() {
                leg.give_up(&mut Out { leg: id, events: out });
                self.drop_leg(id);
                return true;
            }
        }
        false
    }

    fn insert(&mut self, leg: Leg) {
        let Self { legs, hashes, options, wakes, idle, .. } = self;
        let hash = options.key.hash_one(&*leg.call_id);
        hashes.insert(leg.id, hash);
        let mut leg = Box::new(leg);
        settle(&mut leg, wakes, idle);
        legs.insert_unique(hash, leg, |leg| options.key.hash_one(&*leg.call_id));
        self.sweep();
    }
}

fn leg_mut<'a>(legs: &'a mut HashTable<Box<Leg>>, hashes: &HashMap<LegId, u64, OwnNumbers>, id: LegId) -> Option<&'a mut Box<Leg>> {
    legs.find_mut(*hashes.get(&id)?, |leg| leg.id == id)
}

/// After a leg changed: when it must be looked at again, and whether it may be given up.
fn settle(leg: &mut Leg, wakes: &mut Alarms<LegId>, idle: &mut BinaryHeap<Reverse<LegId>>) {
    if !leg.listed && !leg.talks() {
        leg.listed = true;
        idle.push(Reverse(leg.id));
    }
    // A wake that comes too early only looks and sleeps again; most legs are never woken at all.
    if let Some(due) = leg.deadline()
        && leg.wake.is_none_or(|wake| due < wake)
    {
        leg.wake = Some(due);
        wakes.set(due, leg.id);
    }
}
