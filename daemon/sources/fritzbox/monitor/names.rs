//! What channels are named after calls of a box, and the calls that channels so named are of.
//!
//! The invariant: a name says all that is to be known after a restart: the connection, when the call began, when it was
//! answered.

use super::{Monitor, Open, Way};
use crate::calls::{ChannelFacts, OpenChannel};
use crate::units::Timestamp;
use chrono_tz::Tz;
use std::collections::BTreeMap;

/// How the names of the channels of calls from outside begin, and of those to outside.
const NAMES: [&str; 2] = ["FritzIn/", "FritzOut/"];

impl Monitor {
    /// Goes on with the calls that are open in a switch's channels, as this monitor named them.
    #[must_use]
    pub fn resume(zone: Tz, channels: impl IntoIterator<Item = OpenChannel>) -> Self {
        let mut calls: BTreeMap<(u16, Timestamp), Open> = BTreeMap::new();
        let mut second: Vec<((u16, Timestamp), Timestamp, Box<str>)> = Vec::new();
        for OpenChannel { facts, .. } in channels {
            let mut parts = facts.uniqueid.split('.');
            let mut time = || parts.next()?.parse().ok().map(|epoch| Timestamp::from_parts(epoch, 0));
            let Some(began) = time() else { continue };
            let Some(connection) = parts.next().and_then(|part| part.parse().ok()) else { continue };
            let answered = parts.next().and_then(|part| part.parse().ok()).map(|epoch| Timestamp::from_parts(epoch, 0));
            let way = if facts.name.starts_with(NAMES[0]) { Way::In } else { Way::Out };
            match answered {
                Some(at) => second.push(((connection, began), at, facts.uniqueid)),
                None => {
                    let number = if way == Way::In { facts.number } else { facts.exten };
                    calls.insert((connection, began), Open { way, number, answers: Vec::new(), doubtful: Some(began) });
                }
            }
        }
        second.sort_unstable();
        for (key, at, channel) in second {
            if let Some(open) = calls.get_mut(&key) {
                open.answers.push((at, channel));
                open.doubtful = Some(at);
            }
        }
        Self { zone, calls, last: None }
    }
}

/// The unique id of a call's first channel, as Asterisk writes them: the second it began, and a number.
pub(super) fn name(connection: u16, began: Timestamp) -> Box<str> {
    format!("{}.{connection}", began.micros() / 1_000_000).into()
}

/// A channel at a device; one that was named before needs none.
pub(super) fn channel(uniqueid: Box<str>, way: Way, device: &str, connection: u16) -> ChannelFacts {
    let tech = if way == Way::In { NAMES[0] } else { NAMES[1] };
    let name = if device.is_empty() { "".into() } else { format!("{tech}{device}-{connection:x}").into() };
    ChannelFacts { linkedid: uniqueid.clone(), uniqueid, name, ..ChannelFacts::default() }
}
