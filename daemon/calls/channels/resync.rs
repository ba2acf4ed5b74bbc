//! What is open, as a switch lists it after a connection was lost, against what was open when it was last heard.
//!
//! The invariant: of what happened in between nothing is claimed. Who is gone was there until the switch was last heard; who is
//! in another bridge is there from now on.

use super::event::{Change, ChannelEvent, OpenChannel};
use super::{Channels, Update};
use crate::units::Timestamp;
use std::collections::BTreeMap;

impl Channels {
    /// Takes the list of all channels that are open `at` this time; `heard` is when the switch was last heard before.
    /// Channels that were heard of since are left as they are.
    pub fn resync(&mut self, open: &[OpenChannel], heard: Option<Timestamp>, at: Timestamp, out: &mut Vec<Update>) {
        let listed: BTreeMap<&str, &OpenChannel> = open.iter().map(|one| (&*one.facts.uniqueid, one)).collect();
        if let Some(heard) = heard {
            self.close_missing(&listed, heard, out);
        }
        for OpenChannel { facts, is_up, bridge } in open {
            let event = |at, change| ChannelEvent { at, channel: facts.clone(), change };
            let new = self.table.get(&facts.uniqueid).is_none();
            let seen_since = |seen: Timestamp| heard.is_none_or(|heard| seen > heard);
            if !new && self.table.get(&facts.uniqueid).is_some_and(|channel| seen_since(channel.seen_at)) {
                continue;
            }
            let up = self.table.get(&facts.uniqueid).is_some_and(|channel| channel.answered_at.is_some());
            match (new, *is_up && !up) {
                (_, true) => self.apply(&event(at, Change::Answers), out),
                (true, false) => {
                    self.apply(&event(at, Change::Begins), out);
                    self.apply(&event(at, Change::Rings), out);
                }
                (false, false) => {}
            }
            let before = self.table.get(&facts.uniqueid).and_then(|channel| channel.bridge.clone());
            if before == *bridge {
                continue;
            }
            if before.is_some() {
                let group = self.table.connected(&facts.uniqueid);
                self.table.leave(&facts.uniqueid);
                self.review(&group, heard.unwrap_or(at));
            }
            if let Some(bridge) = bridge {
                self.apply(&event(at, Change::EntersBridge(bridge.clone())), out);
            }
        }
        self.tell(out);
    }

    fn close_missing(&mut self, listed: &BTreeMap<&str, &OpenChannel>, heard: Timestamp, out: &mut Vec<Update>) {
        let gone = self.table.iter().filter(|(id, channel)| channel.seen_at <= heard && !listed.contains_key(&***id));
        for id in gone.map(|(id, _)| id.clone()).collect::<Vec<_>>() {
            let Some(channel) = self.table.get(&id) else { continue };
            let own = channel.conversation.clone();
            let of = self.customers.get(&id).cloned().or_else(|| {
                let alone = self.conversations.get(&own).is_some_and(|one| one.customer.is_none() && one.ended_at.is_none());
                (id == own && alone).then_some(own)
            });
            match of {
                Some(name) => self.give_up(&name, Some(heard), out),
                None => self.close(&id, heard),
            }
        }
    }
}
