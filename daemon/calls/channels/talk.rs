//! Who is connected with a customer, from instant to instant.
//!
//! The invariant: a span is open exactly while its agent's channel is connected with the customer's, or while the agent
//! consults somebody and the customer waits for him, unless hold is wait.

use super::super::channel::targets;
use super::super::directory::OnHold;
use super::conversation::{Span, Way, agent_of};
use super::table::{Channel, Table};
use super::{Channels, Directory, Mark};
use crate::units::Timestamp;
use std::collections::BTreeSet;

/// While bridges merge, a channel is in neither of them for less than this, in microseconds.
const SWAP_MICROS: i64 = 100_000;

/// An agent who consults somebody is in another bridge within this time, in microseconds.
const CONSULT_MICROS: i64 = 1_000_000;

/// So many times of talk one conversation may have.
const MOST_SPANS: usize = 1_024;

/// The agent at a channel's end: its device, or the number that it was dialed as; `None` for anybody else.
fn agent_at(directory: &Directory, table: &Table, id: &str, channel: &Channel, beside: &BTreeSet<Box<str>>) -> Option<Box<str>> {
    if channel.local().is_some() {
        return None;
    }
    let device = channel.device();
    if agent_of(directory, device).is_some() {
        return Some(device.into());
    }
    let numbers = numbers_of(table, id, channel, beside);
    let mut agents = numbers.iter().filter(|number| agent_of(directory, number).is_some());
    match (agents.next(), agents.next()) {
        (Some(number), None) => Some(number.clone()),
        // Several agents rang through one trunk: the one whose number is shown, or one of them.
        (Some(_), Some(_)) => {
            let shown = directory.dial_plan.normalize(channel.number.as_bytes());
            let mut same = numbers.iter().filter(|number| directory.dial_plan.normalize(number.as_bytes()) == shown);
            Some(same.next().filter(|_| shown.is_some()).cloned().unwrap_or_default())
        }
        (None, _) => channel.member.then(|| device.into()),
    }
}

/// The numbers that a channel through a trunk may have been dialed as: by what was said of it, by who is connected with it,
/// else by all that its conversation dials.
fn numbers_of(table: &Table, id: &str, channel: &Channel, beside: &BTreeSet<Box<str>>) -> BTreeSet<Box<str>> {
    if !channel.dialed.is_empty() {
        return [channel.dialed.clone()].into();
    }
    if id == &*channel.conversation {
        return BTreeSet::new();
    }
    let device = channel.device();
    let dialed = |data: &str| -> Vec<Box<str>> {
        targets(data).filter(|target| target.device == device).filter_map(|target| target.number.map(Box::from)).collect()
    };
    let near: BTreeSet<Box<str>> =
        beside.iter().filter(|other| &***other != id).filter_map(|other| table.get(other)).flat_map(|other| dialed(&other.data)).collect();
    if !near.is_empty() {
        return near;
    }
    table.made_for(&channel.conversation).filter(|(other, _)| &***other != id).flat_map(|(_, other)| dialed(&other.data)).collect()
}

impl Channels {
    /// Looks again at who talks to whom, after something changed for those in `group`.
    pub(super) fn review(&mut self, group: &BTreeSet<Box<str>>, at: Timestamp) {
        for id in group {
            self.find_customer(id, group);
        }
        for id in group {
            if let Some(conversation) = self.customers.get(id).cloned() {
                self.review_customer(conversation, id, at);
            }
        }
    }

    /// An agent's call has its customer when somebody outside is connected with it.
    fn find_customer(&mut self, id: &str, group: &BTreeSet<Box<str>>) {
        let Self { table, conversations, directory, customers, .. } = self;
        // Who only rings has not been reached, and may never be: another trunk may be tried.
        let Some(channel) = table.get(id).filter(|channel| channel.local().is_none() && !channel.rings) else { return };
        let Some(conversation) = conversations.get_mut(&channel.conversation) else { return };
        if id == &*channel.conversation || conversation.customer.is_some() || conversation.way(directory) != Way::Out {
            return;
        }
        if agent_at(directory, table, id, channel, group).is_some() {
            return;
        }
        // Someone inside who is no agent has a number nobody dialed through a trunk.
        let Some(number) = numbers_of(table, id, channel, group).into_iter().next() else { return };
        conversation.reached = number;
        conversation.customer = Some(id.into());
        conversation.answered_at = channel.answered_at;
        customers.insert(id.into(), channel.conversation.clone());
    }

    pub(super) fn review_customer(&mut self, name: Box<str>, customer: &str, at: Timestamp) {
        let Self { table, conversations, directory, talkers, touched, .. } = self;
        let Some(conversation) = conversations.get_mut(&name) else { return };
        let waits = conversation.holds(directory) == OnHold::Wait;
        let connected = table.connected(customer);
        let away = |channel: &Channel| channel.rings || (waits && channel.held);
        let mut with: Vec<(Box<str>, Box<str>)> = Vec::new();
        if table.get(customer).is_some_and(|channel| !away(channel)) {
            for id in connected.iter().filter(|id| &***id != customer) {
                let Some(channel) = table.get(id).filter(|channel| !away(channel)) else { continue };
                if let Some(agent) = agent_at(directory, table, id, channel, &connected) {
                    with.push((id.clone(), agent));
                }
            }
        }
        let bridge = table.get(customer).and_then(|channel| channel.bridge.clone());
        for span in conversation.spans.iter_mut().filter(|span| span.to.is_none()) {
            let there = with.iter().any(|(id, _)| *id == span.channel);
            let consults = span.consults && span.left == bridge && with.is_empty() && table.get(&span.channel).is_some();
            if there {
                (span.left, span.consults) = (None, false);
            } else if !consults {
                (span.to, span.left, span.consults) = (Some(at.max(span.from)), bridge.clone(), false);
            }
        }
        for (id, agent) in with {
            let full = conversation.spans.len() >= MOST_SPANS;
            let known = conversation.spans.iter_mut().rfind(|span| span.channel == id);
            match known.filter(|span| span.to.is_none_or(|to| at.since(to) < SWAP_MICROS && !waits)) {
                Some(span) => (span.to, span.left, span.consults) = (None, None, false),
                None if !full => {
                    // Whoever comes after another agent was passed the call on, whether the switch says so or not.
                    if conversation.spans.iter().any(|span| span.agent != agent) {
                        conversation.mark(Mark::Transfer);
                    }
                    talkers.insert(id.clone(), name.clone());
                    conversation.spans.push(Span { channel: id, agent, from: at, to: None, left: None, consults: false });
                }
                None => {}
            }
        }
        touched.insert(name);
    }

    /// An agent who left a customer alone in a bridge, and now is in another, consults somebody: the talk goes on.
    pub(super) fn consult(&mut self, id: &str, at: Timestamp) {
        let Self { table, conversations, directory, talkers, .. } = self;
        let Some(conversation) = talkers.get(id).and_then(|name| conversations.get_mut(name)) else { return };
        let Some(customer) = conversation.customer.clone() else { return };
        if conversation.holds(directory) == OnHold::Wait || conversation.spans.iter().any(|span| span.to.is_none()) {
            return;
        }
        let bridge = table.get(&customer).and_then(|channel| channel.bridge.clone());
        let left = |span: &&mut Span| {
            let just_now = span.to.is_some_and(|to| at.since(to) < CONSULT_MICROS);
            &*span.channel == id && bridge.is_some() && span.left == bridge && just_now
        };
        if let Some(span) = conversation.spans.last_mut().filter(left).filter(|_| !table.connected(id).contains(&customer)) {
            (span.to, span.consults) = (None, true);
        }
    }
}
