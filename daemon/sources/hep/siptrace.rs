//! What Kamailio's siptrace adds to a bare copy (`xheaders_write`): between whom the message went, and when.
//!
//! The one invariant: only the five headers that siptrace writes last, in its order, are read; a caller may have put headers
//! of these names into the message, too. Whether the proxy writes them at all is for the operator to say: where it does
//! not, the last headers are the caller's.

use crate::sources::stream::end_of_head;
use crate::units::{Message, Timestamp};
use std::net::SocketAddr;

/// The headers, in the order in which they are written (Kamailio, `siptrace`).
const NAMES: [&[u8]; 5] = [b"X-Siptrace-Fromip: ", b"X-Siptrace-Toip: ", b"X-Siptrace-Time: ", b"X-Siptrace-Method: ", b"X-Siptrace-Dir: "];

/// A copy as the message that it is a copy of; `None` where the headers are not there, or not as siptrace writes them.
pub(super) fn original(copy: &[u8]) -> Option<Message<'_>> {
    let mut head = copy.get(..end_of_head(copy)?)?.trim_ascii_end();
    let mut values: [&[u8]; 5] = [&[]; 5];
    for (name, value) in NAMES.iter().zip(&mut values).rev() {
        let line = memchr::memrchr(b'\n', head)?;
        *value = head.get(line + 1..)?.strip_prefix(*name)?.trim_ascii_end();
        head = head.get(..line)?;
    }
    let [source, destination, time, _, _] = values;
    let (seconds, micros) = std::str::from_utf8(time).ok()?.split_once(' ')?;
    let (seconds, micros): (u32, u32) = (seconds.parse().ok()?, micros.parse().ok().filter(|micros| *micros < 1_000_000)?);
    Some(Message {
        captured_at: Timestamp::from_parts(seconds, micros),
        source: address(source)?,
        destination: address(destination)?,
        correlation: None,
        payload: copy,
    })
}

/// `udp:192.0.2.1:5060`.
fn address(text: &[u8]) -> Option<SocketAddr> {
    let (_, address) = std::str::from_utf8(text).ok()?.split_once(':')?;
    address.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITTEN: &str = "X-Siptrace-Fromip: tcp:192.0.2.1:5062\r\nX-Siptrace-Toip: udp:[2001:db8::2]:5060\r\n\
        X-Siptrace-Time: 1767225600 250000\r\nX-Siptrace-Method: BYE\r\nX-Siptrace-Dir: in\r\n";

    fn check(headers: &str, expected: Option<(&str, &str, &str)>) {
        let copy = format!("BYE sip:a SIP/2.0\r\nCall-ID: x\r\n{headers}\r\nbody\n\n");
        let found = original(copy.as_bytes());
        let told = found.map(|found| {
            assert_eq!(found.payload, copy.as_bytes());
            (found.source.to_string(), found.destination.to_string(), found.captured_at)
        });
        let expected = expected.map(|(from, to, at)| (from.to_owned(), to.to_owned(), Timestamp::parse_rfc3339(at).unwrap()));
        assert_eq!(told, expected, "{headers}");
    }

    #[test]
    fn only_what_siptrace_wrote_is_read() {
        let told = Some(("192.0.2.1:5062", "[2001:db8::2]:5060", "2026-01-01T00:00:00.250Z"));
        check(WRITTEN, told);
        // Headers that the caller sent along stand before.
        check(&format!("X-Siptrace-Fromip: udp:192.0.2.10:5060\r\n{WRITTEN}"), told);
        check(&format!("{}{WRITTEN}", WRITTEN.replace("192.0.2.1:", "192.0.2.10:")), told);
        check(&format!("{WRITTEN}X: y\r\n"), None);
        check("", None);
        check(&WRITTEN.replace("1767225600 250000", "1767225600"), None);
        check(&WRITTEN.replace("250000", "1000000"), None);
        check(&WRITTEN.replace("tcp:", ""), None);
        check(&WRITTEN.replace("Toip", "Fromip"), None);
        assert!(original(b"BYE sip:a SIP/2.0\r\n").is_none() && original(b"").is_none());
    }
}
