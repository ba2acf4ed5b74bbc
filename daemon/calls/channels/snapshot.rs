//! All that is open, as bytes, so that a restart goes on where it stopped.
//!
//! The invariant: what was read back behaves as what was written.

use super::conversation::{Conversation, Span};
use super::event::{Application, DialStatus};
use super::table::{Channel, Table};
use super::{Channels, Directory};
use crate::calls::{End, Mark, Unmetered};
use crate::units::codec::{Reader, Writer};
use crate::units::{Timestamp, Word};
use std::collections::{BTreeMap, BTreeSet};

/// The version of this form.
const FORM: u64 = 2;

impl Channels {
    /// Writes all that is open.
    pub fn write(&self, out: &mut Writer) {
        out.number(FORM);
        out.list(self.table.iter(), |out, (id, channel)| {
            out.text(id);
            write_channel(channel, out);
        });
        out.list(self.conversations.iter(), |out, (name, one)| {
            out.text(name);
            write_conversation(one, out);
        });
        for map in [&self.customers, &self.talkers] {
            out.list(map.iter(), |out, (id, name)| {
                out.text(id);
                out.text(name);
            });
        }
        let Unmetered { internal, unrelated, orphans } = self.unmetered;
        for count in [internal, unrelated, orphans, self.crowded_out] {
            out.number(count);
        }
    }

    /// Goes on from what [`Channels::write`] wrote; `None` for other bytes.
    #[must_use]
    pub fn read(directory: &Directory, back: &mut Reader<'_>) -> Option<Self> {
        if back.number()? != FORM {
            return None;
        }
        let mut table = Table::default();
        for (id, channel) in back.list(|back| Some((back.text()?, read_channel(back)?)))? {
            table.insert(id, channel);
        }
        let conversations: BTreeMap<Box<str>, Conversation> =
            back.list(|back| Some((back.text()?.into(), read_conversation(back)?)))?.into_iter().collect();
        let mut map = || Some(back.list(|back| Some((back.text()?.into(), back.text()?.into())))?.into_iter().collect());
        let (customers, talkers) = (map()?, map()?);
        let ages: BTreeSet<(Timestamp, Box<str>)> = conversations.iter().map(|(name, one)| (one.started_at, name.clone())).collect();
        let unmetered = Unmetered { internal: back.number()?, unrelated: back.number()?, orphans: back.number()? };
        let crowded_out = back.number()?;
        let directory = directory.clone();
        Some(Self { directory, table, conversations, customers, talkers, ages, touched: BTreeSet::new(), unmetered, crowded_out })
    }
}

fn write_channel(channel: &Channel, out: &mut Writer) {
    let Channel { name, conversation, number, data, dialed, bridge, member, held, rings, asked_at, answered_at, seen_at } = channel;
    for text in [name, conversation, number, data, dialed] {
        out.text(text);
    }
    out.option(bridge.as_ref(), |out, bridge| out.text(bridge));
    out.flag(*member);
    out.flag(*held);
    out.flag(*rings);
    out.option(*asked_at, Writer::time);
    out.option(*answered_at, Writer::time);
    out.time(*seen_at);
}

fn read_channel(back: &mut Reader<'_>) -> Option<Channel> {
    Some(Channel {
        name: back.text()?.into(),
        conversation: back.text()?.into(),
        number: back.text()?.into(),
        data: back.text()?.into(),
        dialed: back.text()?.into(),
        bridge: back.option(text)?,
        member: back.flag()?,
        held: back.flag()?,
        rings: back.flag()?,
        asked_at: back.option(Reader::time)?,
        answered_at: back.option(Reader::time)?,
        seen_at: back.time()?,
    })
}

fn text(back: &mut Reader<'_>) -> Option<Box<str>> {
    back.text().map(Into::into)
}

const APPLICATIONS: [Application; 4] = [Application::Dial, Application::Queue, Application::Voicemail, Application::Other];
const STATUSES: [DialStatus; 5] = [DialStatus::Answered, DialStatus::Busy, DialStatus::NoAnswer, DialStatus::Canceled, DialStatus::Failed];

fn write_place<T: Copy + PartialEq>(of: T, all: &[T], out: &mut Writer) {
    let place = all.iter().position(|one| *one == of).unwrap_or(0);
    out.number(u64::try_from(place).unwrap_or(0));
}

fn read_place<T: Copy>(back: &mut Reader<'_>, all: &[T]) -> Option<T> {
    all.get(usize::try_from(back.number()?).ok()?).copied()
}

fn write_conversation(one: &Conversation, out: &mut Writer) {
    out.time(one.started_at);
    for text in [&one.name, &one.number, &one.shown, &one.dials, &one.queue, &one.reached, &one.contract, &one.ticket, &one.severity] {
        out.text(text);
    }
    out.list(one.extens.iter(), |out, exten| out.text(exten));
    out.option(one.customer.as_ref(), |out, customer| out.text(customer));
    out.option(one.answered_at, Writer::time);
    out.list(one.spans.iter(), |out, span| {
        out.text(&span.channel);
        out.text(&span.agent);
        out.time(span.from);
        out.option(span.to, Writer::time);
        out.option(span.left.as_ref(), |out, left| out.text(left));
        out.flag(span.consults);
    });
    out.option(one.ended_at, Writer::time);
    out.option(one.end, |out, end| out.number(end.code()));
    out.time(one.seen_at);
    out.list(one.marks.iter(), |out, mark| out.number(mark.code()));
    out.option(one.within, |out, app| write_place(app, &APPLICATIONS, out));
    out.option(one.left, |out, (app, at)| {
        write_place(app, &APPLICATIONS, out);
        out.time(at);
    });
    out.option(one.dial, |out, status| write_place(status, &STATUSES, out));
    out.number(u64::from(one.cause));
    for flag in [one.mailbox, one.by_itself, one.originated, one.told_connected, one.told_ended] {
        out.flag(flag);
    }
}

fn read_conversation(back: &mut Reader<'_>) -> Option<Conversation> {
    let span = |back: &mut Reader<'_>| {
        Some(Span {
            channel: text(back)?,
            agent: text(back)?,
            from: back.time()?,
            to: back.option(Reader::time)?,
            left: back.option(text)?,
            consults: back.flag()?,
        })
    };
    Some(Conversation {
        started_at: back.time()?,
        name: text(back)?,
        number: text(back)?,
        shown: text(back)?,
        dials: text(back)?,
        queue: text(back)?,
        reached: text(back)?,
        contract: text(back)?,
        ticket: text(back)?,
        severity: text(back)?,
        extens: back.list(text)?,
        customer: back.option(text)?,
        answered_at: back.option(Reader::time)?,
        spans: back.list(span)?,
        ended_at: back.option(Reader::time)?,
        end: back.option(|back| End::from_code(back.number()?))?,
        seen_at: back.time()?,
        marks: back.list(|back| Mark::from_code(back.number()?))?,
        within: back.option(|back| read_place(back, &APPLICATIONS))?,
        left: back.option(|back| Some((read_place(back, &APPLICATIONS)?, back.time()?)))?,
        dial: back.option(|back| read_place(back, &STATUSES))?,
        cause: back.small()?,
        mailbox: back.flag()?,
        by_itself: back.flag()?,
        originated: back.flag()?,
        told_connected: back.flag()?,
        told_ended: back.flag()?,
    })
}
