//! Events of FreeSWITCH become events of channels.
//!
//! FreeSWITCH bridges two channels at a time, and names the bridge by both. It bridges early media, too: a called channel
//! rings until `CHANNEL_ANSWER`, in a bridge or not. Which call a channel was made for is its `Channel-Call-UUID`; of an agent
//! whom mod_callcenter rings, the member's channel. (FreeSWITCH, switch_channel.c, switch_ivr_bridge.c, mod_callcenter.c.)
//!
//! The invariant: an event's time is FreeSWITCH's own, never that of its arrival. One without it says nothing.

use super::super::freeswitch::leg::{Variables, before_at, is_hidden, user_of};
use crate::calls::{Application, Change, ChannelEvent, ChannelFacts, DialStatus};
use crate::units::Timestamp;
use serde_json::{Map, Value};

/// The longest text that is kept of an event's field, in characters.
const LONGEST: usize = 256;

/// A number of at most so many digits may be a desk of the house.
const DESK_DIGITS: usize = 6;

/// What the other half of a loopback channel belongs to: its call is that of the half that was dialed.
const LOOPBACK: &str = "loopback";

/// An event: names and values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event(Map<String, Value>);

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

impl Event {
    /// The event of a JSON object; `None` for anything else.
    #[must_use]
    pub fn parse(json: &[u8]) -> Option<Self> {
        match serde_json::from_slice(json) {
            Ok(Value::Object(fields)) => Some(Self(fields)),
            Ok(_) | Err(_) => None,
        }
    }

    /// A field; empty where there is none.
    #[must_use]
    pub fn get(&self, name: &str) -> &str {
        self.0.get(name).and_then(Value::as_str).map(str::trim).unwrap_or_default()
    }

    /// The first of these fields that says anything.
    fn first(&self, names: &[&str]) -> &str {
        names.iter().map(|name| self.get(name)).find(|text| !text.is_empty()).unwrap_or_default()
    }

    /// Microseconds since 1970; 0 is never.
    fn time(&self, name: &str) -> Option<Timestamp> {
        self.get(name).parse::<i64>().ok().filter(|micros| *micros > 0).map(Timestamp::from_micros)
    }

    /// When it was told, by FreeSWITCH's clock.
    #[must_use]
    pub fn told_at(&self) -> Option<Timestamp> {
        self.time("Event-Date-Timestamp")
    }

    /// When what it tells happened: a time of the channel, which the record of the leg will have as well, else its own.
    fn at(&self, channel_time: &str) -> Option<Timestamp> {
        let told = self.told_at()?;
        Some(self.time(channel_time).filter(|at| *at <= told).unwrap_or(told))
    }

    fn is_called(&self) -> bool {
        self.first(&["Call-Direction", "Caller-Direction"]) == "outbound"
    }
}

fn cut(text: &str) -> Box<str> {
    if text.len() <= LONGEST { text.into() } else { text.chars().take(LONGEST).collect::<String>().into() }
}

/// A channel's name as the model of channels reads one: a way, a device, a serial number.
pub(super) fn named(device: &str) -> Box<str> {
    cut(&format!("FreeSWITCH/{}-0", before_at(device)))
}

/// Whether a number may be that of a desk, where nobody says who authenticated.
pub(super) fn may_be_desk(user: &str) -> bool {
    let is_number = user.bytes().all(|byte| byte.is_ascii_digit() || byte == b'+');
    !user.is_empty() && (!is_number || (user.len() <= DESK_DIGITS && !user.starts_with(['0', '+'])))
}

/// Who is at the channel's end: of a called one, whom it was made to reach; of a calling one, who authenticated.
fn device<'a>(event: &'a Event, channel_name: &'a str) -> &'a str {
    let user = user_of(channel_name);
    if event.is_called() {
        if event.get("variable_cc_side") == "agent" && !event.get("variable_cc_agent").is_empty() {
            return event.get("variable_cc_agent");
        }
        return Some(event.get("variable_dialed_user")).filter(|user| !user.is_empty()).unwrap_or(user);
    }
    let trunk = event.first(&["variable_sip_gateway_name", "variable_sip_gateway"]);
    let known = event.first(&["variable_user_name", "variable_sip_auth_username"]);
    match (trunk, known) {
        ("", "") if may_be_desk(user) => user,
        ("", "") => Some(event.get("variable_sofia_profile_name")).filter(|name| !name.is_empty()).unwrap_or("trunk"),
        ("", known) => known,
        (trunk, _) => trunk,
    }
}

/// The first channel of the call that a channel was made for: its own id, if it is that.
fn root<'a>(event: &'a Event, own: &'a str, channel_name: &str) -> &'a str {
    if !event.is_called() {
        return if channel_name.starts_with("loopback/") && channel_name.ends_with("-b") { LOOPBACK } else { own };
    }
    let call = event.get("Channel-Call-UUID");
    if event.get("variable_cc_side") == "agent" && !event.get("variable_cc_member_session_uuid").is_empty() {
        return event.get("variable_cc_member_session_uuid");
    }
    if !call.is_empty() && call != own {
        return call;
    }
    let originator = if event.get("Other-Type") == "originator" { event.get("Other-Leg-Unique-ID") } else { "" };
    let named = [originator, event.first(&["variable_originating_leg_uuid", "variable_originator"])];
    named.into_iter().find(|uuid| !uuid.is_empty()).unwrap_or(own)
}

/// The channel of an event, as it shows it.
#[must_use]
pub fn facts(event: &Event, variables: &Variables) -> ChannelFacts {
    let own = event.first(&["Unique-ID", "Caller-Unique-ID"]);
    let channel_name = event.first(&["Channel-Name", "Caller-Channel-Name"]);
    let begins = event.get("Event-Name") == "CHANNEL_CREATE";
    let hidden =
        is_hidden(event.first(&["variable_privacy_hide_number", "Caller-Privacy-Hide-Number"]), event.get("variable_sip_h_Privacy"));
    let calling = || match event.get("variable_effective_caller_id_number") {
        _ if hidden => "",
        // Whom the dialplan lets the other side see: a hotline's number on calls to the outside.
        shown if !begins && !shown.is_empty() => shown,
        _ => event.get("Caller-Caller-ID-Number"),
    };
    let called = || event.first(&["Caller-Callee-ID-Number", "Caller-Destination-Number"]);
    let own_root = root(event, own, channel_name);
    let variable = |name: &Option<Box<str>>| name.as_ref().map(|name| cut(event.get(&format!("variable_{name}")))).unwrap_or_default();
    ChannelFacts {
        uniqueid: cut(own),
        linkedid: cut(own_root),
        // Later events may lack the variables that say whose desk a registered contact is.
        name: if begins && !channel_name.is_empty() { named(device(event, channel_name)) } else { "".into() },
        number: cut(match event.get("variable_effective_caller_id_number") {
            shown if event.is_called() && own_root == own && !begins && !shown.is_empty() => shown,
            _ if event.is_called() => called(),
            _ => calling(),
        }),
        // A channel that FreeSWITCH calls without a caller has dialed nobody yet.
        exten: if event.is_called() && begins { "".into() } else { cut(event.get("Caller-Destination-Number")) },
        sip_call_id: cut(event.get("variable_sip_call_id")),
        contract: variable(&variables.contract),
        severity: variable(&variables.severity),
        ticket: variable(&variables.ticket),
        ..ChannelFacts::default()
    }
}

/// What an event says of channels.
#[must_use]
pub fn read(event: &Event, variables: &Variables) -> Said {
    let of = || facts(event, variables);
    let happened = match event.get("Event-Name") {
        "CHANNEL_CREATE" => (event.at("Caller-Channel-Created-Time"), begins(event, of())),
        "CHANNEL_ANSWER" => (event.at("Caller-Channel-Answered-Time"), vec![(of(), Change::Answers)]),
        "CHANNEL_BRIDGE" => (event.told_at(), both(event, of(), |bridge| Change::EntersBridge(bridge.into()))),
        "CHANNEL_UNBRIDGE" => (event.told_at(), both(event, of(), |bridge| Change::LeavesBridge(bridge.into()))),
        "CHANNEL_HOLD" => (event.told_at(), vec![(of(), Change::Holds)]),
        "CHANNEL_UNHOLD" => (event.told_at(), vec![(of(), Change::Resumes)]),
        "CHANNEL_HANGUP" | "CHANNEL_HANGUP_COMPLETE" => (event.at("Caller-Channel-Hangup-Time"), hangs_up(event, of())),
        "CUSTOM" => (event.told_at(), custom(event, of)),
        _ => return Said::Nothing,
    };
    match happened {
        (_, changes) if changes.iter().all(|(channel, _)| channel.uniqueid.is_empty()) => Said::Nothing,
        (None, _) => Said::Undated,
        (Some(at), changes) => {
            let said = changes.into_iter().filter(|(channel, _)| !channel.uniqueid.is_empty());
            Said::Events(said.map(|(channel, change)| ChannelEvent { at, channel, change }).collect())
        }
    }
}

type Changes = Vec<(ChannelFacts, Change)>;

fn begins(event: &Event, of: ChannelFacts) -> Changes {
    let mut changes = vec![(of.clone(), Change::Begins)];
    let again = |exten: &str| ChannelFacts { exten: cut(exten), ..of.clone() };
    if !event.is_called() {
        // Behind some trunks the number that was dialed stands in To alone.
        let others = ["variable_sip_req_user", "variable_sip_to_user"].map(|name| event.get(name));
        changes.extend(others.into_iter().filter(|to| !to.is_empty() && **to != *of.exten).map(|to| (again(to), Change::Shows)));
        return changes;
    }
    changes.push((of.clone(), Change::Rings));
    let desk = event.get("variable_dialed_user");
    let is_agent = event.get("variable_cc_side") == "agent";
    if is_agent {
        changes.push((of.clone(), Change::RungByQueue));
    }
    let dialed = if desk.is_empty() { event.first(&["Caller-Destination-Number", "Caller-Callee-ID-Number"]) } else { desk };
    if (is_agent || desk.is_empty()) && !dialed.is_empty() {
        changes.push((of, Change::DialedAs(cut(dialed))));
    }
    changes
}

/// The same change of both channels of a bridge.
fn both(event: &Event, of: ChannelFacts, change: impl Fn(&str) -> Change) -> Changes {
    let (first, second) = (event.get("Bridge-A-Unique-ID"), event.get("Bridge-B-Unique-ID"));
    if first.is_empty() || second.is_empty() {
        return Vec::new();
    }
    let bridge = bridge_of(first, second);
    let facts = |uuid: &str| {
        if uuid == &*of.uniqueid { of.clone() } else { ChannelFacts { uniqueid: cut(uuid), ..ChannelFacts::default() } }
    };
    vec![(facts(first), change(&bridge)), (facts(second), change(&bridge))]
}

/// The name of the bridge of two channels.
pub(super) fn bridge_of(one: &str, other: &str) -> Box<str> {
    format!("{}+{}", cut(one), cut(other)).into()
}

fn hangs_up(event: &Event, of: ChannelFacts) -> Changes {
    let cause = event.first(&["Hangup-Cause", "variable_hangup_cause"]);
    let by_itself = ["recv_bye", "recv_cancel"].contains(&event.get("variable_sip_hangup_disposition")) || cause == "ORIGINATOR_CANCEL";
    let gone = Change::HangsUp { cause: code_of(cause, event.get("variable_hangup_cause_q850")), by_itself, dial: dial_of(cause) };
    let mut changes = Vec::new();
    if event.get("variable_current_application") == "voicemail" {
        changes.push((of.clone(), Change::EntersApplication(Application::Voicemail)));
    }
    changes.push((of, gone));
    changes
}

/// A cause as Q.850 has it; FreeSWITCH's own for a stream that stays away becomes that of a lost medium.
fn code_of(cause: &str, q850: &str) -> u16 {
    match cause {
        "MEDIA_TIMEOUT" => 44,
        "CALL_REJECTED" => 21,
        "USER_BUSY" => 17,
        "NO_USER_RESPONSE" => 18,
        "NO_ANSWER" | "ALLOTTED_TIMEOUT" => 19,
        _ => q850.parse().unwrap_or(0),
    }
}

/// What became of dialing, by the cause with which the calling leg was hung up.
fn dial_of(cause: &str) -> Option<DialStatus> {
    Some(match cause {
        "ORIGINATOR_CANCEL" => DialStatus::Canceled,
        "USER_BUSY" => DialStatus::Busy,
        "NO_ANSWER" | "NO_USER_RESPONSE" | "ALLOTTED_TIMEOUT" => DialStatus::NoAnswer,
        "CALL_REJECTED" | "NORMAL_CLEARING" | "" => return None,
        _ => DialStatus::Failed,
    })
}

/// Events of mod_callcenter and mod_conference.
fn custom(event: &Event, of: impl Fn() -> ChannelFacts) -> Changes {
    match (event.get("Event-Subclass"), event.first(&["CC-Action", "Action"])) {
        ("callcenter::info", action @ ("member-queue-start" | "member-queue-end")) => {
            let member = ChannelFacts {
                uniqueid: cut(event.get("CC-Member-Session-UUID")),
                app: "Queue".into(),
                data: cut(before_at(event.get("CC-Queue"))),
                ..ChannelFacts::default()
            };
            let queue = Application::Queue;
            let change = if action == "member-queue-start" { Change::EntersApplication(queue) } else { Change::LeavesApplication(queue) };
            vec![(member, change)]
        }
        ("conference::maintenance", action @ ("add-member" | "del-member")) => {
            let name = event.first(&["Conference-Unique-ID", "Conference-Name"]);
            let room: Box<str> = cut(&format!("conference {name}"));
            vec![(of(), if action == "add-member" { Change::EntersBridge(room) } else { Change::LeavesBridge(room) })]
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
