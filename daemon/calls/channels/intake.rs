//! What an event shows of its channel, and of the conversation that the channel began.
//!
//! The invariant: a conversation keeps the number that called and the numbers it dialed as they were at first, however often
//! the dialplan and transfers write over them.

use super::conversation::{Conversation, MOST_EXTENS, Way};
use super::event::{Application, Change, ChannelEvent, ChannelFacts};
use super::table::Channel;
use super::{Channels, Mark};
use crate::calls::channel::targets;
use crate::units::Timestamp;

/// Events of one channel come in order, but for this, in microseconds: what is older was heard before.
const DISORDER_MICROS: i64 = 1_000_000;

impl Channels {
    /// Whether the channel of an event is followed, from now on at least, and the event is news of it.
    pub(super) fn is_known(&mut self, event: &ChannelEvent) -> bool {
        let ChannelEvent { at, channel: facts, change } = event;
        if let Some(channel) = self.table.get(&facts.uniqueid) {
            return at.since(channel.seen_at) > -DISORDER_MICROS;
        }
        let alive = matches!(change, Change::Begins | Change::Answers | Change::EntersBridge(_));
        if facts.uniqueid.is_empty() || facts.name.is_empty() || !alive {
            return false;
        }
        let root = facts.uniqueid == facts.linkedid || facts.linkedid.is_empty();
        let conversation = if root { facts.uniqueid.clone() } else { facts.linkedid.clone() };
        let channel = Channel { name: facts.name.clone(), conversation: conversation.clone(), ..Channel::default() };
        let originated = channel.local().is_some() || matches!(&*facts.exten, "" | "s");
        self.table.insert(&facts.uniqueid, channel);
        if root && !self.conversations.contains_key(&conversation) {
            let unseen = *change != Change::Begins;
            let started_at = if unseen { began(&facts.uniqueid).unwrap_or(*at) } else { *at };
            let mut new = Conversation { started_at, name: facts.name.clone(), number: facts.number.clone(), ..Conversation::default() };
            new.originated = originated && !unseen;
            if unseen {
                new.mark(Mark::AnswerUnseen);
            }
            if new.way(&self.directory) == Way::In {
                new.customer = Some(facts.uniqueid.clone());
                self.customers.insert(facts.uniqueid.clone(), conversation.clone());
            }
            self.ages.insert((started_at, conversation.clone()));
            self.conversations.insert(conversation, new);
        }
        true
    }

    /// Takes what an event shows of its channel, and of the conversation if it is the first one.
    pub(super) fn learn(&mut self, facts: &ChannelFacts, at: Timestamp) {
        let Some(channel) = self.table.get_mut(&facts.uniqueid) else { return };
        channel.learn(facts, at);
        let is_local = channel.local().is_some();
        let Some(one) = self.conversations.get_mut(&channel.conversation) else { return };
        one.seen_at = one.seen_at.max(at);
        let root = facts.uniqueid == channel.conversation;
        if root || is_local && one.originated {
            let dials = targets(&facts.data).any(|target| target.number.is_some());
            if dials && Application::parse(&facts.app) == Application::Dial {
                one.dials = facts.data.clone();
            }
        }
        if !root {
            return;
        }
        if one.number.is_empty() {
            one.number = facts.number.clone();
        }
        for (to, from) in [
            (&mut one.shown, &facts.number),
            (&mut one.contract, &facts.contract),
            (&mut one.ticket, &facts.ticket),
            (&mut one.severity, &facts.severity),
        ] {
            if !from.is_empty() {
                *to = from.clone();
            }
        }
        let fresh = one.spans.is_empty() && !one.marks.contains(&Mark::Transfer) && one.extens.len() < MOST_EXTENS;
        if fresh && !matches!(&*facts.exten, "" | "s") && !one.extens.contains(&facts.exten) {
            one.extens.push(facts.exten.clone());
        }
        if one.queue.is_empty() && Application::parse(&facts.app) == Application::Queue {
            one.queue = facts.data.split([',', '|']).next().unwrap_or_default().into();
        }
    }
}

/// The second in which a channel was made, out of its unique id: `epoch.counter`, after `name-` if the switch has one.
fn began(uniqueid: &str) -> Option<Timestamp> {
    let (rest, _) = uniqueid.rsplit_once('.')?;
    let epoch = rest.rsplit_once('-').map_or(rest, |(_, epoch)| epoch);
    Some(Timestamp::from_parts(epoch.parse().ok()?, 0))
}
