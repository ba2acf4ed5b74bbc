//! Legs that a switch itself says are of one conversation: a source beside the signalling that knows both the Call-ID of a leg
//! and the conversation it was made for (Asterisk's manager interface: the Linkedid).
//!
//! The one invariant: it counts as a leg header does, and no more: a value that two legs share. It may be heard before its
//! leg or after; a leg that was given to a call by likelihood meanwhile goes where it belongs.

use super::call::{Correlation, Mark};
use super::correlator::Calls;
use super::leg::{CallNo, Leg, Role};
use super::news::Update;
use crate::sip::LegId;
use crate::units::Timestamp;
use crate::units::codec::{Reader, Writer};
use std::collections::{BTreeMap, VecDeque};

/// The place of a conversation's name among the values of leg headers: behind those that are configured.
pub const KIN: usize = 0xfffe;

/// So many Call-IDs wait for their leg; beyond, the oldest is forgotten.
const MOST_WAITING: usize = 4_096;

/// What was said of legs that are not known yet.
#[derive(Clone, Debug, Default)]
pub struct Kin {
    conversations: BTreeMap<Box<[u8]>, Box<str>>,
    /// Their Call-IDs as they came; of those that were taken since, some may still stand here.
    order: VecDeque<Box<[u8]>>,
}

impl Kin {
    fn keep(&mut self, call_id: &[u8], conversation: &str) {
        if self.conversations.insert(call_id.into(), conversation.into()).is_none() {
            self.order.push_back(call_id.into());
        }
        while self.order.len() > MOST_WAITING {
            let oldest = self.order.pop_front();
            oldest.and_then(|oldest| self.conversations.remove(&oldest));
        }
    }

    /// The key of a leg with this Call-ID, if its conversation was told.
    pub fn take(&mut self, call_id: &[u8]) -> Option<(usize, Box<str>)> {
        let conversation = self.conversations.remove(call_id)?;
        self.order.retain(|waiting| **waiting != *call_id);
        Some((KIN, conversation))
    }

    /// Writes it.
    pub fn write(&self, out: &mut Writer) {
        let waiting = self.order.iter().filter_map(|call_id| Some((call_id, self.conversations.get(call_id)?)));
        out.list(waiting.collect::<Vec<_>>().into_iter(), |out, (call_id, conversation)| {
            out.bytes(call_id);
            out.text(conversation);
        });
    }

    /// Reads what [`Kin::write`] wrote; `None` for other bytes.
    pub fn read(from: &mut Reader<'_>) -> Option<Self> {
        let mut kin = Self::default();
        for (call_id, conversation) in from.list(|from| Some((from.bytes()?.to_vec(), from.text()?.to_owned())))? {
            kin.keep(&call_id, &conversation);
        }
        Some(kin)
    }
}

impl Calls {
    /// A switch says of which conversation the leg with this Call-ID is.
    pub fn related(&mut self, call_id: &[u8], conversation: &str, at: Timestamp, out: &mut Vec<Update>) {
        let Some((id, leg)) = self.legs.last_where(|leg| *leg.call_id == *call_id) else {
            return self.kin.keep(call_id, conversation);
        };
        if leg.keys.iter().any(|(place, _)| *place == KIN) {
            return;
        }
        let key = (KIN, conversation.into());
        let of = leg.call;
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.keys.push(key.clone());
        }
        match of.and_then(|call| Some((call, self.open.get(&call)?.first))) {
            Some((call, first)) if first == id => {
                self.index.add_keys(call, std::slice::from_ref(&key));
                let same = |(_, leg): &(LegId, &Leg)| leg.keys.contains(&key);
                for id in self.legs.iter().filter(same).map(|(id, _)| id).collect::<Vec<_>>() {
                    self.belongs(id, at, out);
                }
            }
            Some(_) | None => self.belongs(id, at, out),
        }
    }

    /// An agent's leg goes to the call of its conversation, also from another to which likelihood gave it.
    fn belongs(&mut self, id: LegId, at: Timestamp, out: &mut Vec<Update>) {
        let Some(leg) = self.legs.get(&id).filter(|leg| leg.role == Role::ToAgent) else { return };
        let Some(call) = self.by_key(leg) else { return };
        let (before, candidates) = (leg.call, leg.candidates.clone());
        if before != Some(call) {
            if let Some(open) = before.and_then(|wrong| self.open.get_mut(&wrong)) {
                open.agents.retain(|(leg, _)| *leg != id);
            }
            if let Some(wrong) = before {
                self.doubt_no_guess(wrong);
                self.review(wrong, at, out);
            }
            self.join(id, call, Correlation::Explicit, at, out);
        }
        self.doubt_no_guess(call);
        self.doubt_no_more(&candidates);
    }

    /// A call whose agents are all known to be its own is no guess any more, whatever it was.
    fn doubt_no_guess(&mut self, call: CallNo) {
        let own = |leg: &LegId| self.legs.get(leg).is_some_and(|leg| self.by_key(leg) == Some(call));
        let sure = self.open.get(&call).is_some_and(|open| open.agents.iter().all(|(leg, _)| own(leg)));
        if let Some(open) = self.open.get_mut(&call).filter(|_| sure) {
            open.marks.retain(|mark| *mark != Mark::Guessed);
            open.correlation = Correlation::Explicit;
        }
    }
}
