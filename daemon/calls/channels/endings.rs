//! How conversations end, and what is told of them.
//!
//! The invariant: a conversation is told of when its first talk begins, when its customer is gone, and once when it is over.

use super::conversation::Found;
use super::{Channels, End, Mark, Stage, Update};
use crate::calls::records::call_id;
use crate::units::Timestamp;

impl Channels {
    /// Tells of the conversations that changed.
    pub(super) fn tell(&mut self, out: &mut Vec<Update>) {
        while let Some(name) = self.touched.pop_first() {
            let Some(one) = self.conversations.get(&name) else { continue };
            let over = one.ended_at.is_some() && self.table.made_for(&name).next().is_none();
            if over {
                self.conclude(&name, out);
                continue;
            }
            let stage = match (one.ended_at, one.told_connected, one.told_ended) {
                (Some(_), true, false) => Stage::Ended,
                (None, false, _) => Stage::Connected,
                (Some(_), _, _) | (None, true, _) => continue,
            };
            let Some(call) = self.call(&name, one).filter(|call| !call.talks.is_empty()) else { continue };
            if let Some(one) = self.conversations.get_mut(&name) {
                one.told_connected = true;
                one.told_ended = stage == Stage::Ended;
            }
            out.push(Update { stage, call });
        }
    }

    fn conclude(&mut self, name: &str, out: &mut Vec<Update>) {
        let Some(one) = self.conversations.remove(name) else { return };
        self.ages.remove(&(one.started_at, name.into()));
        if let Some(customer) = &one.customer {
            self.customers.remove(customer);
        }
        self.talkers.retain(|_, of| **of != *name);
        let Some(id) = call_id(name) else { return };
        match one.call(id, &self.directory) {
            Found::Call(call) => out.push(Update { stage: Stage::Concluded, call }),
            Found::Internal => self.unmetered.internal = self.unmetered.internal.saturating_add(1),
            Found::Unrelated => self.unmetered.unrelated = self.unmetered.unrelated.saturating_add(1),
        }
    }

    /// Concludes a conversation whose end was not seen: talk ends at the last sign of its customer, or at `alive`, until
    /// when it is known to have been there.
    pub(super) fn give_up(&mut self, name: &str, alive: Option<Timestamp>, out: &mut Vec<Update>) {
        let ids: Vec<Box<str>> = self.table.made_for(name).map(|(id, _)| id.clone()).collect();
        if let Some(one) = self.conversations.get_mut(name)
            && one.ended_at.is_none()
        {
            let seen = one.customer.as_ref().and_then(|id| self.table.get(id)).map_or(one.seen_at, |channel| channel.seen_at);
            let last = alive.map_or(seen, |alive| alive.max(seen)).max(one.started_at);
            for span in one.spans.iter_mut().filter(|span| span.to.is_none()) {
                span.to = Some(last.max(span.from));
            }
            (one.ended_at, one.end) = (Some(last), Some(End::Estimated));
            one.mark(Mark::LostParty);
        }
        for id in ids {
            self.table.remove(&id);
            self.talkers.remove(&id);
        }
        self.conclude(name, out);
    }

    pub(super) fn make_room(&mut self, out: &mut Vec<Update>) {
        self.crowded_out = self.crowded_out.saturating_add(1);
        match self.ages.first().cloned() {
            Some((_, name)) => self.give_up(&name, None, out),
            None => {
                // Channels of conversations that began before we listened.
                let first = self.table.iter().next().map(|(id, _)| id.clone());
                first.map(|id| self.table.remove(&id));
            }
        }
    }
}
