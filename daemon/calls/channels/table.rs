//! The channels of a switch and the bridges they are in.
//!
//! The invariant: a channel is in at most one bridge, and two channels are connected when a way leads from one to the other
//! through bridges and through the two halves of local channels.

use super::super::channel::Channel as Name;
use super::event::{ChannelFacts, OpenChannel};
use crate::units::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// A channel that is open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Channel {
    pub(super) name: Box<str>,
    /// The conversation it was made for: the unique id of that one's first channel.
    pub(super) conversation: Box<str>,
    /// The number of who is at its end, as last shown.
    pub(super) number: Box<str>,
    /// Arguments of the application that runs.
    pub(super) data: Box<str>,
    /// The number it was made to reach.
    pub(super) dialed: Box<str>,
    pub(super) bridge: Option<Box<str>>,
    /// A queue rang it.
    pub(super) member: bool,
    pub(super) held: bool,
    /// It is called and not up yet: a bridge that it is in carries ringing.
    pub(super) rings: bool,
    /// When its far end hung up: what the switch does in it may go on for a while.
    pub(super) asked_at: Option<Timestamp>,
    pub(super) answered_at: Option<Timestamp>,
    /// The latest event of it.
    pub(super) seen_at: Timestamp,
}

impl Channel {
    pub(super) fn device(&self) -> &str {
        Name::parse(&self.name).device
    }

    /// The name both halves of a local channel share.
    pub(super) fn local(&self) -> Option<&str> {
        Name::parse(&self.name).local
    }

    /// As a switch would list it.
    pub(super) fn shown(&self, id: &str) -> OpenChannel {
        let facts = ChannelFacts {
            uniqueid: id.into(),
            linkedid: self.conversation.clone(),
            name: self.name.clone(),
            number: self.number.clone(),
            exten: self.dialed.clone(),
            ..ChannelFacts::default()
        };
        OpenChannel { facts, is_up: self.answered_at.is_some(), bridge: self.bridge.clone() }
    }

    /// Takes what an event shows of it.
    pub(super) fn learn(&mut self, facts: &ChannelFacts, at: Timestamp) {
        let passing = facts.name.starts_with("Surrogate/") || facts.name.starts_with("AsyncGoto/") || facts.name.ends_with('>');
        // A call that is picked up elsewhere goes on under the unique id of the phone that rang, with the other's name.
        if !facts.name.is_empty() && !passing && self.local().is_none() && Name::parse(&facts.name).local.is_none() {
            self.name = facts.name.clone();
        }
        if !facts.number.is_empty() {
            self.number = facts.number.clone();
        }
        if !facts.data.is_empty() {
            self.data = facts.data.clone();
            self.member |= &*facts.app == "AppQueue";
        }
        self.seen_at = self.seen_at.max(at);
    }
}

/// All channels and bridges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Table {
    channels: BTreeMap<Box<str>, Channel>,
    bridges: BTreeMap<Box<str>, BTreeSet<Box<str>>>,
    /// The halves of local channels, by the name they share.
    locals: BTreeMap<Box<str>, BTreeSet<Box<str>>>,
    /// The channels that were made for each conversation.
    made_for: BTreeMap<Box<str>, BTreeSet<Box<str>>>,
}

fn remove_from(sets: &mut BTreeMap<Box<str>, BTreeSet<Box<str>>>, key: &str, id: &str) {
    if let Some(set) = sets.get_mut(key) {
        set.remove(id);
        if set.is_empty() {
            sets.remove(key);
        }
    }
}

impl Table {
    pub(super) fn get(&self, id: &str) -> Option<&Channel> {
        self.channels.get(id)
    }

    pub(super) fn get_mut(&mut self, id: &str) -> Option<&mut Channel> {
        self.channels.get_mut(id)
    }

    pub(super) fn len(&self) -> usize {
        self.channels.len()
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = (&Box<str>, &Channel)> {
        self.channels.iter()
    }

    pub(super) fn insert(&mut self, id: &str, channel: Channel) {
        if let Some(local) = channel.local() {
            self.locals.entry(local.into()).or_default().insert(id.into());
        }
        if let Some(bridge) = &channel.bridge {
            self.bridges.entry(bridge.clone()).or_default().insert(id.into());
        }
        self.made_for.entry(channel.conversation.clone()).or_default().insert(id.into());
        self.channels.insert(id.into(), channel);
    }

    pub(super) fn remove(&mut self, id: &str) -> Option<Channel> {
        self.leave(id);
        let channel = self.channels.remove(id)?;
        if let Some(local) = channel.local() {
            remove_from(&mut self.locals, local, id);
        }
        remove_from(&mut self.made_for, &channel.conversation, id);
        Some(channel)
    }

    pub(super) fn enter(&mut self, id: &str, bridge: &str) {
        self.leave(id);
        if let Some(channel) = self.channels.get_mut(id) {
            channel.bridge = Some(bridge.into());
            self.bridges.entry(bridge.into()).or_default().insert(id.into());
        }
    }

    pub(super) fn leave(&mut self, id: &str) {
        if let Some(bridge) = self.channels.get_mut(id).and_then(|channel| channel.bridge.take()) {
            remove_from(&mut self.bridges, &bridge, id);
        }
    }

    /// The channels that were made for a conversation and are still open.
    pub(super) fn made_for(&self, conversation: &str) -> impl Iterator<Item = (&Box<str>, &Channel)> {
        let ids = self.made_for.get(conversation).into_iter().flatten();
        ids.filter_map(|id| self.channels.get_key_value(id))
    }

    /// All channels connected with this one, itself included; none when it is in no bridge.
    pub(super) fn connected(&self, id: &str) -> BTreeSet<Box<str>> {
        self.channels.get(id).and_then(|channel| channel.bridge.as_deref()).map(|bridge| self.reached(bridge)).unwrap_or_default()
    }

    /// All channels that a way leads to from this bridge.
    pub(super) fn reached(&self, bridge: &str) -> BTreeSet<Box<str>> {
        let mut found = BTreeSet::new();
        let mut bridges: Vec<&str> = vec![bridge];
        let mut known: BTreeSet<&str> = BTreeSet::new();
        while let Some(bridge) = bridges.pop() {
            if !known.insert(bridge) {
                continue;
            }
            for id in self.bridges.get(bridge).into_iter().flatten() {
                found.insert(id.clone());
                let halves = self.channels.get(id).and_then(Channel::local).and_then(|local| self.locals.get(local));
                let others = halves.into_iter().flatten().filter(|half| *half != id);
                bridges.extend(others.filter_map(|half| self.channels.get(half)?.bridge.as_deref()));
            }
        }
        found
    }
}
