//! One record of the channel event log becomes an event of a channel.
//!
//! The invariant: what is no such record is an error; an event type that says nothing of a call's course is read and ignored,
//! also one of a version of Asterisk that is not written yet.

use super::super::asterisk_cdr::queue_log::epoch;
use super::layout::{Column, Layout, LayoutError};
use crate::calls::{Application, Change, ChannelEvent, ChannelFacts, DialStatus};
use serde_json::Value;

/// So many octets of a text are kept.
const LONGEST: usize = 1_024;

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// Something that happened to a channel.
    Event(Box<ChannelEvent>),
    /// Nothing of a call's course.
    Ignored,
}

/// Why a record is no event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    /// Its columns are unknown.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A column holds something else than it should.
    #[error("{column} is \"{found}\"; {expected} would have been right")]
    Column {
        /// Which.
        column: &'static str,
        /// Its text, at most 64 characters.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
    /// Not one record of CSV.
    #[error("not one record of comma-separated values")]
    NotCsv,
}

/// Reads one record, without its line end.
///
/// # Errors
/// When it is no event; nothing of it is to be believed then.
pub fn parse(record: &[u8], layout: &Layout) -> Result<Read, RowError> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(record);
    let mut bytes = csv::ByteRecord::new();
    if !reader.read_byte_record(&mut bytes).map_err(|_| RowError::NotCsv)? {
        return Err(RowError::NotCsv);
    }
    let record: csv::StringRecord = bytes.iter().map(String::from_utf8_lossy).collect();
    if reader.read_byte_record(&mut bytes).map_err(|_| RowError::NotCsv)? {
        return Err(RowError::NotCsv);
    }
    let columns = layout.columns(&record)?;
    let get = |column| columns.iter().position(|known| *known == column).and_then(|place| record.get(place)).unwrap_or_default();
    let kind = get(Column::EventType);
    let is_word = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    if kind.is_empty() || !kind.bytes().all(is_word) {
        return Err(wrong("eventtype", kind, "a type such as CHAN_START"));
    }
    let time = get(Column::EventTime);
    let at =
        epoch(time).ok_or_else(|| wrong("eventtime", time, "seconds since 1970, such as 1795291963.778041 (no dateformat in cel.conf)"))?;
    let Some(change) = change(kind, get(Column::AppName), get(Column::Channel), get(Column::Extra))? else { return Ok(Read::Ignored) };
    let channel = ChannelFacts {
        uniqueid: cut(get(Column::UniqueId)),
        linkedid: cut(get(Column::LinkedId)),
        name: cut(get(Column::Channel)),
        number: cut(get(Column::Number)),
        exten: cut(get(Column::Exten)),
        app: cut(get(Column::AppName)),
        data: cut(get(Column::AppData)),
        sip_call_id: cut(get(Column::SipCallId)),
        contract: cut(get(Column::Contract)),
        ticket: cut(get(Column::Ticket)),
        severity: cut(get(Column::Severity)),
    };
    if channel.uniqueid.is_empty() {
        return Err(wrong("uniqueid", "", "a channel's unique id"));
    }
    Ok(Read::Event(Box::new(ChannelEvent { at, channel, change })))
}

fn change(kind: &str, app: &str, name: &str, extra: &str) -> Result<Option<Change>, RowError> {
    let extra: Value = if extra.is_empty() { Value::Null } else { serde_json::from_str(extra).unwrap_or(Value::Null) };
    let said = |key: &str| extra.get(key).and_then(Value::as_str).unwrap_or_default();
    let bridge = || match said("bridge_id") {
        "" => Err(wrong("eventextra", "", "{\"bridge_id\": …}, as Asterisk 12 and later write it")),
        id => Ok(cut(id)),
    };
    Ok(Some(match kind {
        "CHAN_START" => Change::Begins,
        "ANSWER" => Change::Answers,
        "APP_START" => Change::EntersApplication(Application::parse(app)),
        "APP_END" => Change::LeavesApplication(Application::parse(app)),
        "BRIDGE_ENTER" => Change::EntersBridge(bridge()?),
        "BRIDGE_EXIT" => Change::LeavesBridge(bridge()?),
        "BLINDTRANSFER" | "ATTENDEDTRANSFER" => {
            let bridges = ["bridge_id", "bridge1_id", "bridge2_id"].map(said);
            let bridges = bridges.into_iter().filter(|id| !id.is_empty()).map(cut).collect();
            Change::Transfers { bridges, transferee: cut(said("transferee_channel_uniqueid")) }
        }
        "FORWARD" => Change::Forwards,
        "HANGUP" => Change::HangsUp {
            cause: extra.get("hangupcause").and_then(Value::as_u64).and_then(|cause| cause.try_into().ok()).unwrap_or(0),
            by_itself: said("hangupsource") == name && !name.is_empty(),
            dial: DialStatus::parse(said("dialstatus")),
        },
        // Follows a HANGUP; where that is not logged, it is the end.
        "CHAN_END" => Change::HangsUp { cause: 0, by_itself: false, dial: None },
        "LINKEDID_END" => Change::ConversationEnds,
        _ => return Ok(None),
    }))
}

/// A text, cut to what is kept of one.
#[must_use]
pub fn cut(text: &str) -> Box<str> {
    let mut end = text.len().min(LONGEST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().into()
}

fn wrong(column: &'static str, found: &str, expected: &'static str) -> RowError {
    RowError::Column { column, found: found.chars().take(64).collect(), expected }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: &str, time: &str, extra: &str) -> Result<Read, RowError> {
        let extra = extra.replace('"', "\"\"");
        let record = format!(
            r#""{kind}","{time}","Caller, ""A""","+49172","","","","+4989","did","PJSIP/trunk-1","Queue","support,tT","","1.2","1.2","","","{extra}""#
        );
        parse(record.as_bytes(), &Layout::Auto)
    }

    fn change(kind: &str, extra: &str) -> Change {
        let Ok(Read::Event(event)) = read(kind, "1795291964.203369", extra) else { panic!("{kind}") };
        assert_eq!((event.at.micros(), &*event.channel.number, &*event.channel.exten), (1_795_291_964_203_369, "+49172", "+4989"));
        event.change
    }

    #[test]
    fn every_type_says_what_happened() {
        assert_eq!(change("CHAN_START", ""), Change::Begins);
        assert_eq!(change("APP_START", ""), Change::EntersApplication(Application::Queue));
        assert_eq!(change("BRIDGE_ENTER", r#"{"bridge_id":"b","bridge_technology":"simple_bridge"}"#), Change::EntersBridge("b".into()));
        let own = r#"{"hangupcause":16,"hangupsource":"PJSIP/trunk-1","dialstatus":"CANCEL"}"#;
        assert_eq!(change("HANGUP", own), Change::HangsUp { cause: 16, by_itself: true, dial: Some(DialStatus::Canceled) });
        assert_eq!(change("HANGUP", ""), Change::HangsUp { cause: 0, by_itself: false, dial: None });
        let attended = r#"{"bridge1_id":"a","channel2_name":"x","bridge2_id":"b","transferee_channel_uniqueid":"1.2"}"#;
        let bridges = vec!["a".into(), "b".into()];
        assert_eq!(change("ATTENDEDTRANSFER", attended), Change::Transfers { bridges, transferee: "1.2".into() });
        assert_eq!(read("DTMF", "1.5", ""), Ok(Read::Ignored));
        assert_eq!(read("OF_A_LATER_ASTERISK", "1.5", ""), Ok(Read::Ignored));
    }

    #[test]
    fn what_is_no_event_says_what_would_be_right() {
        for (kind, time, expected) in [
            ("Queue", "1.5", "eventtype is \"Queue\"; a type such as CHAN_START would have been right"),
            (
                "ANSWER",
                "2026-11-21 21:12:44",
                "eventtime is \"2026-11-21 21:12:44\"; seconds since 1970, such as 1795291963.778041 (no dateformat in cel.conf) would have been right",
            ),
            ("BRIDGE_EXIT", "1.5", "eventextra is \"\"; {\"bridge_id\": …}, as Asterisk 12 and later write it would have been right"),
        ] {
            assert_eq!(read(kind, time, "").map_err(|error| error.to_string()), Err(expected.to_owned()));
        }
        let few = parse(br#""ANSWER","1.5","x""#, &Layout::Auto).map_err(|error| error.to_string());
        assert!(few.expect_err("refused").starts_with("3 columns; the sample of cel_custom has 20, ours 18"));
        assert_eq!(parse(b"", &Layout::Auto), Err(RowError::NotCsv));
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(cut(&"ä".repeat(LONGEST)).len(), LONGEST);
        assert_eq!(cut(&format!("x{}", "ä".repeat(LONGEST))).len(), LONGEST - 1);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300), extra in "\\PC{0,40}") {
            let _ = parse(&bytes, &Layout::Auto);
            let _ = read("HANGUP", "1.5", &extra);
        }
    }
}
