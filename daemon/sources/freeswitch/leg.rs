//! One record of mod_json_cdr, of one leg, becomes a [`CallRow`].
//!
//! The caller's leg is a call; a leg that FreeSWITCH dialed goes along with it (`bridge_uuid`, `signal_bond`, the
//! originator's uuid). Microseconds (`*_uepoch`) beat whole seconds (`*_epoch`); 0 is never. mod_callcenter answers the
//! caller as soon as he queues, so there `cc_queue_answered_epoch` is the agent's answer, in whole seconds, and nothing
//! else is. (FreeSWITCH, switch_channel.c, mod_json_cdr.c, mod_callcenter.c.)
//!
//! The invariant: a record without uuid, start and end is refused; nothing in it is believed beyond that.

use super::body::percent_decoded;
use crate::calls::{CallRow, NamesAgents, Outcome, Span, Standing, Way};
use crate::units::Timestamp;
use serde_json::Value;

/// Names of variables that the dialplan sets, as configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variables {
    /// Holds a contract reference.
    pub contract: Option<Box<str>>,
    /// Holds a severity.
    pub severity: Option<Box<str>>,
    /// Holds a ticket.
    pub ticket: Option<Box<str>>,
}

/// Why a record is no leg.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LegError {
    /// Not JSON.
    #[error("this is no JSON: {0}")]
    NotJson(String),
    /// Something is missing that every record has.
    #[error("`{0}` is missing; a record of mod_json_cdr has it")]
    Missing(&'static str),
    /// It ends before it begins.
    #[error("it ends before it begins")]
    Backwards,
}

/// The longest text that is kept of a variable, in characters.
const LONGEST: usize = 256;

/// A record's variables and profiles.
struct Record<'a>(&'a Value);

impl Record<'_> {
    /// A variable, decoded; empty where there is none.
    fn text(&self, name: &str) -> String {
        self.0.get("variables").and_then(|variables| variables.get(name)).map(text_of).unwrap_or_default()
    }

    fn first(&self, names: &[&str]) -> String {
        names.iter().map(|name| self.text(name)).find(|text| !text.is_empty()).unwrap_or_default()
    }

    /// A time of the leg: microseconds, else seconds.
    fn time(&self, name: &str) -> Option<Timestamp> {
        let number = |suffix: &str| self.text(&format!("{name}_{suffix}")).parse::<i64>().ok().filter(|number| *number > 0);
        number("uepoch").or_else(|| number("epoch")?.checked_mul(1_000_000)).map(Timestamp::from_micros)
    }

    /// Seconds that mod_callcenter noted.
    fn queue_time(&self, name: &str) -> Option<Timestamp> {
        let seconds = self.text(name).parse::<i64>().ok().filter(|number| *number > 0)?;
        seconds.checked_mul(1_000_000).map(Timestamp::from_micros)
    }

    /// A field of the first profile: what the caller dialed, before any transfer. Profiles stand newest first.
    fn profile(&self, name: &str) -> String {
        let flow = self.0.get("callflow").and_then(Value::as_array);
        let first = flow.and_then(|flow| flow.last()).and_then(|flow| flow.get("caller_profile"));
        first.and_then(|profile| profile.get(name)).map(text_of).unwrap_or_default()
    }

    /// The uuids of the legs that this one was dialed for.
    fn originators(&self) -> Vec<String> {
        let flow = self.0.get("callflow").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let profiles =
            flow.iter().take(64).filter_map(|flow| flow.get("caller_profile")?.get("originator")?.get("originator_caller_profiles"));
        let profiles = profiles.filter_map(Value::as_array).flat_map(|profiles| profiles.iter().take(64));
        profiles.filter_map(|profile| profile.get("uuid")).map(text_of).collect()
    }
}

fn text_of(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return String::new(),
    };
    // `encode-values` is not told by the record: what is validly encoded was.
    let decoded = if text.contains('%') { percent_decoded(text.as_bytes()).and_then(|bytes| String::from_utf8(bytes).ok()) } else { None };
    decoded.unwrap_or(text).trim().chars().take(LONGEST).collect()
}

/// The row of a record.
///
/// # Errors
/// When it is no JSON, or lacks what every record has.
pub fn read(json: &[u8], variables: &Variables) -> Result<CallRow, LegError> {
    let value: Value = serde_json::from_slice(json).map_err(|error| LegError::NotJson(error.to_string()))?;
    let record = Record(&value);
    let uuid = record.text("uuid");
    let direction = record.text("direction");
    if uuid.is_empty() {
        return Err(LegError::Missing("variables.uuid"));
    }
    let started_at = record.time("start").ok_or(LegError::Missing("variables.start_uepoch"))?;
    let ended_at = record.time("end").ok_or(LegError::Missing("variables.end_uepoch"))?;
    if ended_at < started_at {
        return Err(LegError::Backwards);
    }
    let named = |name: &Option<Box<str>>| -> Box<str> { name.as_ref().map(|name| record.text(name)).unwrap_or_default().into() };
    let mut also: Vec<Box<str>> =
        ["bridge_uuid", "signal_bond", "originating_leg_uuid", "originator", "cc_member_session_uuid", "cc_agent_uuid"]
            .iter()
            .map(|name| record.text(name))
            .chain(record.originators())
            .filter(|name| !name.is_empty() && *name != uuid)
            .map(Into::into)
            .collect();
    also.sort_unstable();
    also.dedup();
    let withheld = is_hidden(&record.text("privacy_hide_number"), &record.text("sip_h_Privacy"));
    let caller = [record.profile("caller_id_number"), record.text("caller_id_number"), record.text("sip_from_user")];
    let called = [record.profile("destination_number"), record.text("destination_number"), record.text("sip_req_user")];
    let caller = caller.into_iter().find(|text| !text.is_empty()).filter(|_| !withheld).unwrap_or_default();
    let row = CallRow {
        started_at,
        answered_at: record.time("answer"),
        ended_at: Some(ended_at),
        caller: caller.into(),
        called: called.into_iter().find(|text| !text.is_empty()).unwrap_or_default().into(),
        names_agents: NamesAgents::No,
        key: uuid.into(),
        also,
        contract: named(&variables.contract),
        severity: named(&variables.severity),
        ticket: named(&variables.ticket),
        ..CallRow::default()
    };
    Ok(if direction == "outbound" { dialed(row, &record) } else { caller_leg(row, &record) })
}

/// The leg of who called FreeSWITCH.
fn caller_leg(mut row: CallRow, record: &Record<'_>) -> CallRow {
    (row.sip_call_id, row.from_tag) = (record.text("sip_call_id").into(), record.text("sip_from_tag").into());
    let ended_at = row.ended_at.unwrap_or(row.started_at);
    if record.text("cc_side") == "member" || !record.text("cc_queue").is_empty() {
        row.queue = before_at(&record.text("cc_queue")).into();
        row.agent = before_at(&record.text("cc_agent")).into();
        let answered = record.queue_time("cc_queue_answered_epoch");
        let until = record.queue_time("cc_queue_terminated_epoch").filter(|at| Some(*at) >= answered).unwrap_or(ended_at).min(ended_at);
        row.talk = answered.map(|from| Span { from: from.max(row.started_at), to: Some(until.max(from)) });
    } else if let Some(from) = record.time("bridge") {
        // When it was first bridged, until its end: right unless it was passed on, and then the other legs tell.
        row.talk = Some(Span { from: from.max(row.started_at), to: Some(ended_at) });
        row.standing = Standing::UnlessOthersTell;
        row.agent = before_at(&record.first(&["last_sent_callee_id_number", "dialed_user", "dialed_extension"])).into();
    }
    if row.talk.is_none() {
        row.outcome = outcome(record, row.answered_at.is_some());
    }
    row
}

/// A leg that FreeSWITCH dialed.
fn dialed(mut row: CallRow, record: &Record<'_>) -> CallRow {
    row.way = Some(Way::Along);
    (row.caller, row.contract, row.severity, row.ticket) = ("".into(), "".into(), "".into(), "".into());
    let channel = record.text("channel_name");
    let user = user_of(&channel).to_owned();
    let agent = [record.text("dialed_user"), row.called.to_string(), user].into_iter().map(|text| before_at(&text).to_owned());
    row.agent = agent.into_iter().find(|text| !text.is_empty()).unwrap_or_default().into();
    row.called = "".into();
    // An agent's leg may outlast many callers (uuid-standby): of these the member's own leg tells.
    if record.text("cc_side") != "agent" && record.text("cc_agent").is_empty() {
        row.talk = row.answered_at.map(|from| Span { from, to: row.ended_at });
    }
    row
}

/// What stands before the `@`: of `support@default` the queue, of `201@pbx` the desk.
pub fn before_at(text: &str) -> &str {
    text.split('@').next().unwrap_or(text)
}

/// The user in a channel's name: `sofia/internal/201@192.0.2.1:5060`, `sofia/internal/sip:201@192.0.2.1`, `loopback/201-a`.
#[must_use]
pub fn user_of(channel: &str) -> &str {
    let user = before_at(channel.rsplit('/').next().unwrap_or(channel));
    let user = user.strip_prefix("sips:").or_else(|| user.strip_prefix("sip:")).unwrap_or(user);
    let half = if channel.starts_with("loopback/") { user.strip_suffix("-a").or_else(|| user.strip_suffix("-b")) } else { None };
    half.unwrap_or(user)
}

/// Whether a caller hid the number: by FreeSWITCH's flag, or by the header Privacy (RFC 3323, 3325).
#[must_use]
pub fn is_hidden(flag: &str, privacy: &str) -> bool {
    let words = ["id", "user", "full"];
    ["1", "true", "id", "yes"].contains(&flag) || privacy.split(';').any(|word| words.contains(&word.trim()))
}

/// Why nobody talked, by mod_callcenter's word or the cause of hanging up.
fn outcome(record: &Record<'_>, answered: bool) -> Outcome {
    if record.text("cc_cause") == "cancel" {
        return match record.text("cc_cancel_reason").as_str() {
            "TIMEOUT" | "NO_AGENT_TIMEOUT" => Outcome::NoAnswer,
            _ => Outcome::Abandoned,
        };
    }
    match record.text("hangup_cause").as_str() {
        // The switch had answered: the caller gave up in a menu, or heard a mailbox.
        _ if answered => Outcome::Untold,
        "ORIGINATOR_CANCEL" => Outcome::Canceled,
        "USER_BUSY" => Outcome::Busy,
        "NO_ANSWER" | "NO_USER_RESPONSE" | "ALLOTTED_TIMEOUT" => Outcome::NoAnswer,
        "CALL_REJECTED" => Outcome::Declined,
        "NORMAL_CLEARING" | "" => Outcome::Untold,
        _ => Outcome::Failed,
    }
}
