//! Events of a switch's channels and bridges become calls, as they happen.
//!
//! | file | does |
//! |---|---|
//! | [`event`] | what a switch says of a channel |
//! | `table` | the channels, the bridges, and who is connected with whom |
//! | `talk` | when an agent was connected with a customer |
//! | `conversation` | what is known of one conversation, and the call it comes to |
//! | `intake` | what an event shows of its channel and conversation |
//! | `endings` | how a conversation ends, and what is told of it |
//! | `resync` | what is open after a connection was lost |
//! | `snapshot` | writes all of it, and reads it back |
//!
//! The invariant: what is told of a conversation follows from its events alone, whichever of the switch's interfaces they
//! came by, and wherever the feed was cut and resumed. Memory is bounded by [`MOST_CHANNELS`].

mod conversation;
mod endings;
mod event;
mod intake;
mod resync;
#[cfg(test)]
mod script;
mod snapshot;
mod table;
mod talk;

pub use event::{Application, Change, ChannelEvent, ChannelFacts, DialStatus, OpenChannel};

use super::records::call_id;
use super::{Call, Directory, End, Mark, Stage, Unmetered, Update};
use crate::units::{Seconds, Timestamp};
use conversation::{Conversation, Found, NO_AUDIO};
use std::collections::{BTreeMap, BTreeSet};
use table::Table;

/// How many channels are followed; beyond, the oldest conversation is given up.
pub const MOST_CHANNELS: usize = 20_000;

/// The conversations of one switch.
#[derive(Clone, Debug)]
pub struct Channels {
    directory: Directory,
    table: Table,
    /// By the unique id of the first channel.
    conversations: BTreeMap<Box<str>, Conversation>,
    /// Whose customer a channel is.
    customers: BTreeMap<Box<str>, Box<str>>,
    /// In which conversation an agent's channel talked last.
    talkers: BTreeMap<Box<str>, Box<str>>,
    ages: BTreeSet<(Timestamp, Box<str>)>,
    touched: BTreeSet<Box<str>>,
    unmetered: Unmetered,
    crowded_out: u64,
}

impl Channels {
    /// Nothing open yet; `directory` says which numbers are hotlines and agents.
    #[must_use]
    pub fn new(directory: &Directory) -> Self {
        Self {
            directory: directory.clone(),
            table: Table::default(),
            conversations: BTreeMap::new(),
            customers: BTreeMap::new(),
            talkers: BTreeMap::new(),
            ages: BTreeSet::new(),
            touched: BTreeSet::new(),
            unmetered: Unmetered::default(),
            crowded_out: 0,
        }
    }

    /// Takes an event, and tells what came of it.
    pub fn apply(&mut self, event: &ChannelEvent, out: &mut Vec<Update>) {
        let ChannelEvent { at, channel: facts, change } = event;
        if *change == Change::ConversationEnds {
            self.conversation_ends(&facts.linkedid, *at);
        } else if *change == Change::Vanishes {
            self.give_up(&facts.uniqueid, Some(*at), out);
        } else if let Change::Transfers { bridges, transferee } = change {
            // It may be told after those who took part have left.
            self.transfers(bridges, transferee);
        } else if self.is_known(event) {
            self.learn(facts, *at);
            self.change(&facts.uniqueid, *at, change);
        }
        self.tell(out);
        while self.table.len() > MOST_CHANNELS {
            self.make_room(out);
        }
    }

    /// It is `now`, by the switch's clock: what was never seen to end is given up when its hotline says so.
    pub fn expire(&mut self, now: Timestamp, out: &mut Vec<Update>) {
        let least = self.directory.hotlines.iter().map(|hotline| hotline.max_call).chain([Seconds::new(4 * 3_600)]).min();
        let least = least.unwrap_or(Seconds::ZERO);
        let old = self.ages.iter().take_while(|(began, _)| began.plus(least) <= now);
        let over = old.filter(|(_, name)| self.conversations.get(name).is_some_and(|one| one.until(&self.directory) <= now));
        for name in over.map(|(_, name)| name.clone()).collect::<Vec<_>>() {
            self.give_up(&name, None, out);
        }
    }

    /// Concludes all that is open as far as it is known.
    pub fn finish(&mut self, out: &mut Vec<Update>) {
        for name in self.conversations.keys().cloned().collect::<Vec<_>>() {
            self.give_up(&name, None, out);
        }
    }

    /// Calls whose customer is still there, in the order of their names.
    #[must_use]
    pub fn running(&self) -> Vec<Call> {
        let open = self.conversations.iter().filter(|(_, one)| one.ended_at.is_none());
        open.filter_map(|(name, one)| self.call(name, one)).collect()
    }

    /// Calls whose customer has gone, and of which something may still come.
    #[must_use]
    pub fn ended(&self) -> Vec<Call> {
        let ended = self.conversations.iter().filter(|(_, one)| one.ended_at.is_some());
        ended.filter_map(|(name, one)| self.call(name, one)).collect()
    }

    /// All channels that are open, with the number each was made to reach as its `exten`.
    pub fn open(&self) -> impl Iterator<Item = OpenChannel> {
        self.table.iter().map(|(id, channel)| channel.shown(id))
    }

    /// Goes on with a changed configuration.
    pub fn reconfigure(&mut self, directory: &Directory) {
        self.directory = directory.clone();
    }

    /// Conversations that made no call.
    #[must_use]
    pub const fn unmetered(&self) -> Unmetered {
        self.unmetered
    }

    /// Conversations given up for want of room.
    #[must_use]
    pub const fn crowded_out(&self) -> u64 {
        self.crowded_out
    }

    fn call(&self, name: &str, conversation: &Conversation) -> Option<Call> {
        match conversation.call(call_id(name)?, &self.directory) {
            Found::Call(call) => Some(call),
            Found::Internal | Found::Unrelated => None,
        }
    }

    fn change(&mut self, id: &str, at: Timestamp, change: &Change) {
        let Some(channel) = self.table.get_mut(id) else { return };
        let name = channel.conversation.clone();
        let (root, asked) = (*id == *name, channel.asked_at.is_some());
        let is_customer = self.customers.get(id).is_some_and(|of| *of == name);
        let one = self.conversations.get_mut(&name);
        match change {
            Change::Begins | Change::Shows | Change::Transfers { .. } | Change::Vanishes | Change::ConversationEnds => {}
            Change::Answers => {
                let answered_at = *channel.answered_at.get_or_insert(at);
                let rang = std::mem::take(&mut channel.rings);
                if let Some(one) = one.filter(|_| is_customer) {
                    one.answered_at.get_or_insert(answered_at);
                    self.touched.insert(name);
                }
                if rang {
                    self.review(&self.table.connected(id), at);
                }
            }
            Change::EntersApplication(app) => {
                if let Some(one) = one.filter(|_| root) {
                    one.within = Some(*app);
                    one.mailbox |= *app == Application::Voicemail;
                }
            }
            Change::LeavesApplication(app) => {
                if let Some(one) = one.filter(|one| root && one.within == Some(*app)) {
                    (one.within, one.left) = (None, Some((*app, at)));
                }
            }
            Change::DialedAs(number) => {
                channel.dialed = number.clone();
                if let Some(one) = one.filter(|one| one.reached.is_empty()) {
                    one.reached = number.clone();
                }
            }
            Change::DialEnds(status) => {
                if let Some(one) = one.filter(|_| root) {
                    one.dial = Some(*status);
                }
            }
            Change::Rings => channel.rings = channel.answered_at.is_none(),
            Change::RungByQueue => channel.member = true,
            Change::AsksToEnd => drop(channel.asked_at.get_or_insert(at)),
            Change::EntersBridge(bridge) => self.enter(id, bridge, at),
            Change::LeavesBridge(bridge) => {
                if channel.bridge.as_ref() == Some(bridge) {
                    let group = self.table.connected(id);
                    self.table.leave(id);
                    self.review(&group, at);
                }
            }
            Change::Forwards => {
                if let Some(one) = one {
                    one.mark(Mark::Forward);
                }
            }
            Change::Holds | Change::Resumes => {
                channel.held = *change == Change::Holds;
                let group = self.table.connected(id);
                self.review(&group, at);
            }
            Change::HangsUp { cause, by_itself, dial } => {
                if let Some(one) = one.filter(|_| root || is_customer) {
                    if root {
                        (one.cause, one.by_itself, one.dial) = (*cause, *by_itself || asked, dial.or(one.dial));
                    }
                    if is_customer && *cause == NO_AUDIO && !one.spans.is_empty() {
                        one.mark(Mark::LostParty);
                    }
                }
                self.close(id, at);
            }
        }
    }

    fn enter(&mut self, id: &str, bridge: &str, at: Timestamp) {
        let mut group = self.table.connected(id);
        self.table.enter(id, bridge);
        group.append(&mut self.table.connected(id));
        self.consult(id, at);
        self.review(&group, at);
    }

    fn transfers(&mut self, bridges: &[Box<str>], transferee: &str) {
        let there = bridges.iter().flat_map(|bridge| self.table.reached(bridge));
        for id in there.chain([transferee.into()]) {
            if let Some(one) = self.customers.get(&id).and_then(|name| self.conversations.get_mut(name)) {
                one.mark(Mark::Transfer);
            }
        }
    }

    /// A channel is gone.
    fn close(&mut self, id: &str, at: Timestamp) {
        let group = self.table.connected(id);
        let Some(channel) = self.table.remove(id) else { return };
        self.review(&group, at);
        // A mailbox may finish its greeting to nobody.
        let gone_at = channel.asked_at.unwrap_or(at);
        if let Some(name) = self.talkers.remove(id)
            && let Some(customer) = self.conversations.get(&name).and_then(|one| one.customer.clone())
        {
            self.review_customer(name, &customer, at);
        }
        if let Some(name) = self.customers.remove(id) {
            self.review_customer(name.clone(), id, at);
            if let Some(one) = self.conversations.get_mut(&name) {
                one.ended_at.get_or_insert(gone_at);
            }
        }
        if let Some(one) = self.conversations.get_mut(&channel.conversation)
            && one.customer.is_none()
            && *id == *channel.conversation
        {
            one.ended_at.get_or_insert(gone_at);
        }
        self.touched.insert(channel.conversation);
    }

    /// The switch says that all channels of a linked id are gone: those whose own end was not heard, too.
    fn conversation_ends(&mut self, linkedid: &str, at: Timestamp) {
        for id in self.table.made_for(linkedid).map(|(id, _)| id.clone()).collect::<Vec<_>>() {
            let moved = self.customers.get(&id).is_some_and(|of| **of != *linkedid);
            // One that was taken into another conversation lives on there.
            let elsewhere = self.talkers.get(&id).is_some_and(|of| **of != *linkedid && self.conversations.contains_key(of));
            if !moved && !elsewhere {
                self.close(&id, at);
            }
        }
    }
}
