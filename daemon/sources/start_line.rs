//! Whether bytes begin like a SIP message: the cheap question before the real parser is asked (RFC 3261 §7.1, §7.2).
//!
//! The one invariant: no SIP message is refused here; something else may pass, and the parser turns it away.

/// The longest method we believe: IANA's registry ends at 9 letters.
const LONGEST_METHOD: usize = 32;

/// What nearly all messages begin with (IANA, "SIP Methods").
const STARTS: [&[u8]; 15] = [
    b"SIP/2.0 ",
    b"INVITE ",
    b"ACK ",
    b"BYE ",
    b"CANCEL ",
    b"OPTIONS ",
    b"REGISTER ",
    b"PRACK ",
    b"UPDATE ",
    b"INFO ",
    b"REFER ",
    b"NOTIFY ",
    b"SUBSCRIBE ",
    b"MESSAGE ",
    b"PUBLISH ",
];

/// Whether bytes begin with a method that is known, or like a status line.
pub(super) fn begins_known(bytes: &[u8]) -> bool {
    STARTS.iter().any(|start| bytes.starts_with(start))
}

/// Whether a payload begins with a status line or a request line, perhaps after empty lines (RFC 3261 §7.5). A first
/// line that is cut off counts when what is there fits.
#[must_use]
pub fn looks_like_sip(payload: &[u8]) -> bool {
    let blank = payload.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    let text = &payload[blank..];
    text.starts_with(b"SIP/2.0 ") || is_request(text)
}

/// `METHOD scheme:… SIP/2.0`. SSDP has `NOTIFY * HTTP/1.1`, and RTSP and HTTP end in their own names.
fn is_request(text: &[u8]) -> bool {
    let method = text.iter().take(LONGEST_METHOD + 1).take_while(|byte| byte.is_ascii_uppercase() || matches!(byte, b'-' | b'_')).count();
    if method == 0 || method > LONGEST_METHOD || text.get(method) != Some(&b' ') {
        return false;
    }
    let uri = &text[method + 1..];
    if !uri.first().is_some_and(u8::is_ascii_alphabetic) {
        return false;
    }
    match memchr::memchr(b'\n', uri) {
        Some(end) => uri[..end].trim_ascii_end().ends_with(b" SIP/2.0"),
        None => memchr::memchr(b':', uri).is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(expected: bool, payloads: &[&[u8]]) {
        for payload in payloads {
            assert_eq!(looks_like_sip(payload), expected, "{}", payload.escape_ascii());
        }
    }

    #[test]
    fn start_lines_are_told_from_everything_else() {
        check(
            true,
            &[
                b"SIP/2.0 200 OK\r\n",
                b"INVITE sip:100@192.0.2.1 SIP/2.0\r\nVia: x\r\n",
                b"INVITE urn:service:sos SIP/2.0\r\n",
                b"\r\n\r\nBYE tel:+4989555010 SIP/2.0\n",
                b"INVITE sip:100@192.0",
                b"X-OWN sips:a@b SIP/2.0 \r\n",
            ],
        );
        check(
            false,
            &[
                b"",
                b"\r\n\r\n",
                b"\0\0\0\0",
                b"NOTIFY * HTTP/1.1\r\n",
                b"DESCRIBE rtsp://192.0.2.1/ RTSP/1.0\r\n",
                b"invite sip:a@b SIP/2.0\r\n",
                b"SIP/3.0 200 OK\r\n",
                b"HEP3",
                b"INVITE",
                b"\x80\x08\x12\x34\0\0\0\0",
            ],
        );
    }
}
