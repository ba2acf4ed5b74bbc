//! Events of the manager interface become events of channels.
//!
//! The invariant: an event's time is its own `Timestamp`, never that of its arrival, which may be a minute later. One without
//! it says nothing. (Asterisk, manager.conf: timestampevents; main/manager_channels.c, manager_bridges.c.)

use super::super::asterisk_cdr::queue_log::epoch;
use super::super::asterisk_cel::row::cut;
use super::message::Message;
use crate::calls::{Application, Change, ChannelEvent, ChannelFacts, DialStatus};
use crate::units::Timestamp;

/// The variable that `channelvars` in manager.conf adds for the Call-ID of a leg.
const CALL_ID: &str = "CHANNEL(pjsip,call-id)=";

/// What an event says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// Something happened to channels.
    Events(Vec<ChannelEvent>),
    /// Nothing of a call's course.
    Nothing,
    /// Something that needs a time, and has none.
    Undated,
}

/// When a message was sent, by the switch's clock.
#[must_use]
pub fn time_of(message: &Message) -> Option<Timestamp> {
    epoch(message.get("Timestamp")).filter(|at| at.micros() > 0)
}

/// A channel as a message shows it under keys that begin so.
#[must_use]
pub fn facts(message: &Message, prefix: &str) -> ChannelFacts {
    let get = |key: &str| match message.get(&format!("{prefix}{key}")) {
        "<unknown>" => cut(""),
        value => cut(value),
    };
    let key = format!("{prefix}ChanVariable");
    let mut variables = message.all(&key).filter_map(|variable| variable.strip_prefix(CALL_ID));
    ChannelFacts {
        uniqueid: get("Uniqueid"),
        linkedid: get("Linkedid"),
        name: get("Channel"),
        number: get("CallerIDNum"),
        exten: get("Exten"),
        sip_call_id: variables.find(|call_id| !call_id.is_empty()).map(cut).unwrap_or_default(),
        ..ChannelFacts::default()
    }
}

/// What an event says of channels.
#[must_use]
pub fn read(message: &Message) -> Said {
    let mut of = facts(message, "");
    let bridge = || cut(message.get("BridgeUniqueid"));
    let dest = |change| Some((facts(message, "Dest"), change));
    let mut more = None;
    let change = match message.get("Event") {
        "Newchannel" => Change::Begins,
        "Newstate" if message.get("ChannelState") == "6" => Change::Answers,
        "Newstate" | "NewCallerid" => Change::Shows,
        "Rename" => {
            of.name = cut(message.get("Newname"));
            Change::Shows
        }
        "Newexten" => {
            (of.app, of.data) = (cut(message.get("Application")), cut(message.get("AppData")));
            Change::EntersApplication(Application::parse(&of.app))
        }
        "QueueCallerJoin" => {
            (of.app, of.data) = ("Queue".into(), cut(message.get("Queue")));
            Change::EntersApplication(Application::Queue)
        }
        "QueueCallerLeave" => Change::LeavesApplication(Application::Queue),
        "DialBegin" => {
            let Some(number) = number_of(message.get("DialString")).filter(|_| !message.get("DestChannel").starts_with("Local/")) else {
                return Said::Nothing;
            };
            (of, more) = (facts(message, "Dest"), None);
            Change::DialedAs(cut(number))
        }
        "DialEnd" => {
            if !message.get("Forward").is_empty() {
                more = Some((of.clone(), Change::Forwards));
            }
            match DialStatus::parse(message.get("DialStatus")) {
                Some(status) => Change::DialEnds(status),
                None => Change::Shows,
            }
        }
        "AgentCalled" => {
            more = dest(Change::RungByQueue);
            Change::Shows
        }
        "BridgeEnter" => Change::EntersBridge(bridge()),
        "BridgeLeave" => Change::LeavesBridge(bridge()),
        "BlindTransfer" if message.get("Result") == "Success" => {
            of = facts(message, "Transferer");
            Change::Transfers { bridges: vec![bridge()], transferee: cut(message.get("TransfereeUniqueid")) }
        }
        "AttendedTransfer" if message.get("Result") == "Success" => {
            of = facts(message, "OrigTransferer");
            let bridges = ["OrigBridgeUniqueid", "SecondBridgeUniqueid", "DestBridgeUniqueid"].map(|key| cut(message.get(key)));
            let bridges = bridges.into_iter().filter(|id| !id.is_empty()).collect();
            Change::Transfers { bridges, transferee: cut(message.get("TransfereeUniqueid")) }
        }
        "Hold" => Change::Holds,
        "Unhold" => Change::Resumes,
        "HangupRequest" => Change::AsksToEnd,
        "Hangup" => Change::HangsUp { cause: message.get("Cause").parse().unwrap_or(0), by_itself: false, dial: None },
        _ => return Said::Nothing,
    };
    if of.uniqueid.is_empty() && more.is_none() {
        return Said::Nothing;
    }
    let Some(at) = time_of(message) else { return Said::Undated };
    let all = [Some((of, change)), more].into_iter().flatten().filter(|(channel, _)| !channel.uniqueid.is_empty());
    Said::Events(all.map(|(channel, change)| ChannelEvent { at, channel, change }).collect())
}

/// The number in what a trunk was asked to dial: `+4917…@trunk`, `trunk/0171…`, `trunk/sip:0171…@192.0.2.1`.
fn number_of(dialed: &str) -> Option<&str> {
    match (dialed.split_once('/'), dialed.split_once('@')) {
        (Some((_, uri)), _) => {
            let uri = uri.strip_prefix("sips:").or_else(|| uri.strip_prefix("sip:")).unwrap_or(uri);
            Some(uri.split_once('@').map_or(uri, |(number, _)| number))
        }
        (None, Some((number, _))) => Some(number),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::{Framed, Framer};
    use super::*;

    fn message(text: &str) -> Message {
        let mut framer = Framer::default();
        framer.push(format!("{}\r\n\r\n", text.replace('\n', "\r\n")).as_bytes());
        match framer.next() {
            Some(Framed::Message(message)) => message,
            other => panic!("{other:?}"),
        }
    }

    /// As `channelvars = CHANNEL(pjsip,call-id)` adds it: empty while a channel has no leg yet, and after other variables.
    #[test]
    fn the_call_id_of_a_leg() {
        for (variables, expected) in [
            ("", ""),
            ("ChanVariable: CHANNEL(pjsip,call-id)=", ""),
            ("ChanVariable: CHANNEL(pjsip,call-id)=a7@192.0.2.7", "a7@192.0.2.7"),
            ("ChanVariable: OTHER=1\nChanVariable: CHANNEL(pjsip,call-id)=x=1@h", "x=1@h"),
            ("DestChanVariable: CHANNEL(pjsip,call-id)=a7", ""),
        ] {
            let said = read(&message(&format!("Event: Newstate\nTimestamp: 1773133200.25\nUniqueid: 1.2\nLinkedid: 1.1\n{variables}")));
            let Said::Events(events) = said else { panic!("{said:?}") };
            assert_eq!(&*events[0].channel.sip_call_id, expected, "{variables}");
        }
        let dialed = message("Event: DialBegin\nDestUniqueid: 1.3\nDestLinkedid: 1.1\nDestChanVariable: CHANNEL(pjsip,call-id)=b8");
        let of = facts(&dialed, "Dest");
        assert_eq!((&*of.uniqueid, &*of.linkedid, &*of.sip_call_id), ("1.3", "1.1", "b8"));
    }
}
