//! Lines of Asterisk's queue_log: `epoch|callid|queue|agent|event|data…`, whole seconds UTC, without any escaping.
//!
//! The invariant: a line counts only if it concerns a caller's channel and its event is known; the fields after the event
//! are read from the side on which their number is fixed. (Asterisk, apps/app_queue.c.)

use crate::calls::{QueueEvent, QueueLine};
use crate::units::{Seconds, Timestamp};

/// What a line is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// Something that happened to a caller.
    Line(QueueLine),
    /// Known or unknown, it concerns no caller: a pause, a restart, what a dialplan wrote.
    Ignored,
    /// Not a line of a queue log.
    Malformed,
}

/// Reads one line, without its line end.
#[must_use]
pub fn parse(line: &[u8]) -> Parsed {
    let text = String::from_utf8_lossy(line);
    let fields: Vec<&str> = text.split('|').collect();
    let [at, uniqueid, queue, agent, event, data @ ..] = fields.as_slice() else { return Parsed::Malformed };
    let Some(at) = epoch(at) else { return Parsed::Malformed };
    if !is_unique_id(uniqueid) {
        return Parsed::Ignored;
    }
    let Some(event) = event_of(event, data) else { return Parsed::Ignored };
    Parsed::Line(QueueLine { at, event, uniqueid: (*uniqueid).into(), queue: (*queue).into(), agent: (*agent).into() })
}

fn event_of(event: &str, data: &[&str]) -> Option<QueueEvent> {
    Some(match event {
        "ENTERQUEUE" => QueueEvent::Entered,
        "RINGNOANSWER" | "RINGCANCELED" => QueueEvent::RingEnded,
        "CONNECT" => QueueEvent::Connected,
        "COMPLETEAGENT" | "COMPLETECALLER" => QueueEvent::Completed { talk: seconds(data.get(1)?)? },
        // Of an attended transfer by link, one field more stands before: hold, talk, position are the last three.
        "BLINDTRANSFER" | "ATTENDEDTRANSFER" => QueueEvent::Transferred { talk: seconds(data.get(data.len().checked_sub(2)?)?)? },
        "TRANSFER" => QueueEvent::Transferred { talk: seconds(data.get(3)?)? },
        "ABANDON" => QueueEvent::Abandoned,
        "EXITWITHTIMEOUT" | "EXITEMPTY" | "EXITWITHKEY" | "WITHDRAW" => QueueEvent::Left,
        _ => return None,
    })
}

fn seconds(text: &str) -> Option<Seconds> {
    text.parse().ok().map(Seconds::new)
}

/// Seconds since the epoch, perhaps with a fraction; `None` for anything else, and for more than ten digits.
pub(in crate::sources) fn epoch(text: &str) -> Option<Timestamp> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || whole.len() > 11 {
        return None;
    }
    let mut micros: i64 = whole.parse::<i64>().ok()?.checked_mul(1_000_000)?;
    let mut unit = 100_000;
    for digit in fraction.bytes().take(6) {
        micros = micros.checked_add(i64::from(digit.wrapping_sub(b'0')).checked_mul(unit)?)?;
        unit /= 10;
    }
    Some(Timestamp::from_micros(micros))
}

/// `[system-]epoch.counter`, as channels are named.
pub(super) fn is_unique_id(text: &str) -> bool {
    unique_id_second(text).is_some()
}

/// The second in which a channel was made, by its unique id.
pub(super) fn unique_id_second(text: &str) -> Option<Timestamp> {
    let own = text.rsplit_once('-').map_or(text, |(_, own)| own);
    let (second, counter) = own.split_once('.')?;
    let digits = !counter.is_empty() && counter.bytes().all(|byte| byte.is_ascii_digit());
    epoch(second).filter(|_| digits && (9..=10).contains(&second.len()) && !second.contains('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(line: &str, expected: Option<(QueueEvent, &str)>) {
        let found = match parse(line.as_bytes()) {
            Parsed::Line(line) => Some((line.event, line.agent)),
            Parsed::Ignored | Parsed::Malformed => None,
        };
        assert_eq!(found.as_ref().map(|(event, agent)| (*event, &**agent)), expected, "{line}");
    }

    #[test]
    fn every_kind_of_line_is_read() {
        let talk = |seconds| Seconds::new(seconds);
        check("1767225600|1767225598.7|hotline|NONE|ENTERQUEUE||03023125042|1", Some((QueueEvent::Entered, "NONE")));
        check("1767225612|1767225598.7|hotline|Agent 1|CONNECT|12|1767225605.9|7", Some((QueueEvent::Connected, "Agent 1")));
        check(
            "1767225707|pbx1-1767225598.7|hotline|Agent 1|COMPLETECALLER|12|95|1",
            Some((QueueEvent::Completed { talk: talk(95) }, "Agent 1")),
        );
        check("1767225830|1767225800.11|hotline|NONE|ABANDON|1|2|30", Some((QueueEvent::Abandoned, "NONE")));
        check(
            "1767225968|1767225900.13|hotline|PJSIP/201|ATTENDEDTRANSFER|LINK|Local/5@x-1;1|Local/5@x-1;2|8|60|1",
            Some((QueueEvent::Transferred { talk: talk(60) }, "PJSIP/201")),
        );
        check(
            "1767225968|1767225900.13|hotline|PJSIP/201|ATTENDEDTRANSFER|BRIDGE|ed0e|8|61|1",
            Some((QueueEvent::Transferred { talk: talk(61) }, "PJSIP/201")),
        );
        check(
            "1767225968|1767225900.13|hotline|PJSIP/201|BLINDTRANSFER|203|from-agents|8|62|1",
            Some((QueueEvent::Transferred { talk: talk(62) }, "PJSIP/201")),
        );
        check("1767225968|1767225900.13|hotline|A|RINGNOANSWER|6000", Some((QueueEvent::RingEnded, "A")));
        for other in [
            "1767225600|NONE|hotline|Agent 1|PAUSE|lunch",
            "1767225600|1767225598.7|hotline|Agent 1|MYEVENT|x",
            "1767225600|REALTIME|NONE|NONE|QUEUESTART|",
            "2026-01-01|1767225598.7|hotline|Agent 1|CONNECT|1|1767225605.9|1",
            "1767225968|1767225900.13|hotline|A|ATTENDEDTRANSFER|",
            "1767225968|1767225900.13|hotline|A|COMPLETECALLER|1",
            "",
        ] {
            check(other, None);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_something(bytes in proptest::collection::vec(prop_oneof![Just(b'|'), any::<u8>()], 0..200)) {
            let _ = parse(&bytes);
        }
    }
}
