//! One record of mod_json_cdr, of one leg, becomes a [`CallRow`].
//!
//! The caller's leg is a call; a leg that FreeSWITCH dialed goes along with it (`bridge_uuid`, `signal_bond`, the
//! originator's uuid). One that it dialed for nobody, and that dialed in its turn, is who calls by a click (`originate`). Microseconds (`*_uepoch`) beat whole seconds (`*_epoch`); 0 is never. mod_callcenter answers the
//! caller as soon as he queues, so there `cc_queue_answered_epoch` is the agent's answer, in whole seconds, and nothing
//! else is. (FreeSWITCH, switch_channel.c, mod_json_cdr.c, mod_callcenter.c.)
//!
//! The invariant: a record without uuid, start and end is refused; nothing in it is believed beyond that.

use super::body::percent_decoded;
use crate::calls::{CallRow, NamesAgents, Outcome, Party, Span, Standing, Way};
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

/// So many times of hold are read of a leg.
const MOST_HOLDS: usize = 1_024;

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

    /// The profiles, newest first. Old versions write each under the same name, and only the first profile is left of them.
    fn flow(&self) -> &[Value] {
        match self.0.get("callflow") {
            Some(Value::Array(flow)) => flow,
            Some(flow) => std::slice::from_ref(flow),
            None => &[],
        }
    }

    /// A field of the first profile: what the caller dialed, before any transfer.
    fn profile(&self, name: &str) -> String {
        let first = self.flow().last().and_then(|flow| flow.get("caller_profile"));
        first.and_then(|profile| profile.get(name)).map(text_of).unwrap_or_default()
    }

    /// The same of the newest: where a transfer led.
    fn newest(&self, name: &str) -> String {
        let newest = self.flow().first().and_then(|flow| flow.get("caller_profile"));
        newest.and_then(|profile| profile.get(name)).map(text_of).unwrap_or_default()
    }

    /// Times of hold: `{{on,off},{on,off}}` in microseconds; one that never ended has 0, and ended with the leg.
    fn holds(&self) -> Vec<Span> {
        let text = self.0.get("variables").and_then(|variables| variables.get("hold_events")).map(whole_text).unwrap_or_default();
        let time = |text: &str| text.trim().parse::<i64>().ok().filter(|micros| *micros >= 0);
        let pair = |text: &str| {
            let (on, off) = text.split_once(',')?;
            let (from, to) = (Timestamp::from_micros(time(on).filter(|on| *on > 0)?), Timestamp::from_micros(time(off)?));
            Some(Span { from, to: Some(to).filter(|to| *to > from) })
        };
        text.split(['{', '}']).filter_map(pair).take(MOST_HOLDS).collect()
    }

    /// The uuids of the legs that this one was dialed for.
    fn originators(&self) -> Vec<String> {
        let profiles =
            self.flow().iter().take(64).filter_map(|flow| flow.get("caller_profile")?.get("originator")?.get("originator_caller_profiles"));
        let profiles = profiles.filter_map(Value::as_array).flat_map(|profiles| profiles.iter().take(64));
        profiles.filter_map(|profile| profile.get("uuid")).map(text_of).collect()
    }
}

fn text_of(value: &Value) -> String {
    whole_text(value).chars().take(LONGEST).collect()
}

fn whole_text(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return String::new(),
    };
    // `encode-values` is not told by the record: what is validly encoded was.
    let decoded = if text.contains('%') { percent_decoded(text.as_bytes()).and_then(|bytes| String::from_utf8(bytes).ok()) } else { None };
    decoded.unwrap_or(text).trim().to_owned()
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
    let member = if record.text("cc_side") == "agent" { record.text("cc_member_session_uuid") } else { String::new() };
    let dialed_for =
        [member, record.first(&["originating_leg_uuid", "originator"])].into_iter().chain(record.originators().into_iter().last());
    let made_for = dialed_for.into_iter().find(|name| !name.is_empty() && *name != uuid).unwrap_or_default();
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
        party: Party::Own,
        holds: record.holds(),
        made_for: made_for.into(),
        key: uuid.into(),
        also,
        contract: named(&variables.contract),
        severity: named(&variables.severity),
        ticket: named(&variables.ticket),
        ..CallRow::default()
    };
    let begun_by_itself = row.made_for.is_empty()
        && record.first(&["cc_side", "cc_agent"]).is_empty()
        && (record.text("last_bridge_role") == "originator" || !record.text("originate_disposition").is_empty());
    Ok(match (direction.as_str(), begun_by_itself) {
        ("outbound", true) => originated(row, &record),
        ("outbound", false) => dialed(row, &record),
        (_, _) => caller_leg(row, &record),
    })
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
    } else if let Some((from, answered)) = record.time("bridge").zip(row.answered_at) {
        // When it was first bridged, and answered, until its end: right unless it was passed on, and then the other legs tell.
        row.talk = Some(Span { from: from.max(answered), to: Some(ended_at) });
        row.standing = Standing::UnlessOthersTell;
        row.agent = before_at(&record.first(&["last_sent_callee_id_number", "dialed_user", "dialed_extension"])).into();
    }
    if row.talk.is_none() {
        row.outcome = outcome(record, row.answered_at.is_some());
    }
    row
}

/// The leg of who calls by a click: FreeSWITCH called that desk first, and for it whom it calls.
fn originated(mut row: CallRow, record: &Record<'_>) -> CallRow {
    let desk = desk_of(&row, record);
    let whom = [record.newest("destination_number"), record.text("destination_number"), record.text("last_sent_callee_id_number")];
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'+');
    let mut whom = whom.into_iter().map(|number| before_at(&number).to_owned());
    let called = whom.find(|number| !number.is_empty() && **number != *desk && is_number(number));
    row.way = Some(Way::Originated);
    (row.caller, row.agent, row.called) = (desk.clone(), desk, called.unwrap_or_default().into());
    if let Some((from, answered)) = record.time("bridge").zip(row.answered_at) {
        (row.talk, row.standing) = (Some(Span { from: from.max(answered), to: row.ended_at }), Standing::UnlessOthersTell);
    } else {
        row.outcome = outcome_of(&record.text("originate_disposition"));
    }
    // That the desk lifted is no answer of whom it calls.
    row.answered_at = None;
    row
}

/// The desk that a leg was dialed to: the account, the number that was dialed, or what stands in the channel's name.
fn desk_of(row: &CallRow, record: &Record<'_>) -> Box<str> {
    let channel = record.text("channel_name");
    let named = [record.text("dialed_user"), row.called.to_string(), user_of(&channel).to_owned()];
    named.into_iter().map(|text| before_at(&text).to_owned()).find(|text| !text.is_empty()).unwrap_or_default().into()
}

/// A leg that FreeSWITCH dialed.
fn dialed(mut row: CallRow, record: &Record<'_>) -> CallRow {
    row.way = Some(Way::Along);
    (row.caller, row.contract, row.severity, row.ticket) = ("".into(), "".into(), "".into(), "".into());
    row.agent = desk_of(&row, record);
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
    // The switch had answered: the caller gave up in a menu, or heard a mailbox.
    if answered { Outcome::Untold } else { outcome_of(&record.text("hangup_cause")) }
}

fn outcome_of(cause: &str) -> Outcome {
    match cause {
        "ORIGINATOR_CANCEL" => Outcome::Canceled,
        "USER_BUSY" => Outcome::Busy,
        "NO_ANSWER" | "NO_USER_RESPONSE" | "ALLOTTED_TIMEOUT" => Outcome::NoAnswer,
        "CALL_REJECTED" => Outcome::Declined,
        "NORMAL_CLEARING" | "SUCCESS" | "" => Outcome::Untold,
        _ => Outcome::Failed,
    }
}
