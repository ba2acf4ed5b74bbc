//! What FreeSWITCH lists as open: `show channels as json`, and who is bridged with whom, `show calls as json`.
//!
//! The invariant: a list that is none is told from an empty one; no more channels are taken than stated.
//! (FreeSWITCH, mod_commands.c; switch_core_sqldb.c: the view basic_calls.)

use super::super::freeswitch::leg::user_of;
use super::event::{bridge_of, may_be_desk, named};
use crate::calls::{ChannelFacts, OpenChannel};
use serde_json::Value;
use std::collections::BTreeMap;

/// So many open channels are listed at most.
pub const MOST_LISTED: usize = 20_000;

/// Why a list could not be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// It is none.
    #[error("what FreeSWITCH lists as open is no list in JSON")]
    NoList,
    /// Too many.
    #[error("more than {MOST_LISTED} channels are open")]
    TooMany,
}

/// The rows of a list.
fn rows(body: &[u8]) -> Result<Vec<Value>, ListError> {
    let Ok(Value::Object(mut list)) = serde_json::from_slice::<Value>(body) else { return Err(ListError::NoList) };
    match list.remove("rows") {
        Some(Value::Array(rows)) if rows.len() > MOST_LISTED => Err(ListError::TooMany),
        Some(Value::Array(rows)) => Ok(rows),
        // Nothing is open.
        None if list.contains_key("row_count") => Ok(Vec::new()),
        Some(_) | None => Err(ListError::NoList),
    }
}

fn text<'a>(row: &'a Value, names: &[&str]) -> &'a str {
    names.iter().filter_map(|name| row.get(name)?.as_str()).find(|text| !text.is_empty()).unwrap_or_default()
}

/// The channels of a list, none of them in a bridge yet.
///
/// # Errors
/// When it is no list, or too long a one.
pub fn channels(body: &[u8]) -> Result<Vec<OpenChannel>, ListError> {
    let found = rows(body)?.iter().map(channel).filter(|channel| !channel.facts.uniqueid.is_empty()).collect();
    Ok(found)
}

fn channel(row: &Value) -> OpenChannel {
    let uuid = text(row, &["uuid"]);
    let is_called = text(row, &["direction"]) == "outbound";
    let user = user_of(text(row, &["name"]));
    // A registered contact may bear any name: the number that was dialed is the desk's.
    let dialed = Some(text(row, &["callee_num", "dest"])).filter(|number| is_called && !number.is_empty());
    let device = dialed.unwrap_or(if is_called || may_be_desk(user) { user } else { "trunk" });
    let call = text(row, &["call_uuid"]);
    let facts = ChannelFacts {
        uniqueid: uuid.into(),
        linkedid: if is_called && !call.is_empty() { call.into() } else { uuid.into() },
        name: named(device),
        number: if is_called { text(row, &["callee_num", "dest"]) } else { text(row, &["initial_cid_num", "cid_num"]) }.into(),
        exten: if is_called { "" } else { text(row, &["initial_dest", "dest"]) }.into(),
        ..ChannelFacts::default()
    };
    let is_up = ["ACTIVE", "HELD", "UNHELD"].contains(&text(row, &["callstate"]));
    OpenChannel { facts, is_up, bridge: None }
}

/// Puts the channels into the bridges of the other list.
///
/// # Errors
/// When it is no list, or too long a one.
pub fn bridge(channels: &mut [OpenChannel], body: &[u8]) -> Result<(), ListError> {
    let mut bridges: BTreeMap<String, Box<str>> = BTreeMap::new();
    for row in rows(body)? {
        let (one, other) = (text(&row, &["uuid"]), text(&row, &["b_uuid"]));
        if !(one.is_empty() || other.is_empty()) {
            let bridge = bridge_of(one, other);
            bridges.insert(one.to_owned(), bridge.clone());
            bridges.insert(other.to_owned(), bridge);
        }
    }
    for channel in channels {
        channel.bridge = bridges.get(&*channel.facts.uniqueid).cloned();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_and_who_is_bridged() {
        let list = br#"{"row_count":3,"rows":[
            {"uuid":"a","direction":"inbound","name":"sofia/external/+49301@192.0.2.1","callstate":"ACTIVE","call_uuid":"a","cid_num":"+49301","dest":"support","initial_dest":"555010"},
            {"uuid":"b","direction":"outbound","name":"sofia/internal/sip:k3v8d0@192.0.2.9:5060","callstate":"ACTIVE","call_uuid":"a","callee_num":"201","dest":"201"},
            {"uuid":"c","direction":"outbound","name":"sofia/internal/202@192.0.2.9","callstate":"RINGING","call_uuid":"a","callee_num":"202"}]}"#;
        let mut open = channels(list).expect("a list");
        bridge(&mut open, br#"{"row_count":1,"rows":[{"uuid":"a","b_uuid":"b"},{"uuid":"c","b_uuid":""}]}"#).expect("a list");
        let shown: Vec<_> = open
            .iter()
            .map(|one| (&*one.facts.uniqueid, &*one.facts.linkedid, &*one.facts.name, &*one.facts.exten, one.is_up, one.bridge.as_deref()))
            .collect();
        assert_eq!(
            shown,
            [
                ("a", "a", "FreeSWITCH/trunk-0", "555010", true, Some("a+b")),
                ("b", "a", "FreeSWITCH/201-0", "", true, Some("a+b")),
                ("c", "a", "FreeSWITCH/202-0", "", false, None),
            ]
        );
        assert_eq!(channels(br#"{"row_count":0}"#), Ok(Vec::new()));
        for wrong in [&b"-ERR no reply\n"[..], b"{}", b"[]", b"", br#"{"rows":1}"#] {
            assert_eq!(channels(wrong), Err(ListError::NoList), "{}", String::from_utf8_lossy(wrong));
        }
        let many = format!("{{\"rows\":[{}1]}}", "1,".repeat(MOST_LISTED));
        assert_eq!(channels(many.as_bytes()), Err(ListError::TooMany));
    }
}
