//! What mod_json_cdr posts, or leaves in its err-log-dir, as JSON again: plain, percent-encoded, or in Base64.
//!
//! The invariant: the first octets decide, never Content-Type, which is wrong with `disable-100-continue` (FreeSWITCH,
//! mod_json_cdr); whatever is none of the three forms is refused.

use std::borrow::Cow;

/// The longest body, in octets: FreeSWITCH writes some ten thousand for a leg with a long call flow.
pub const LONGEST: usize = 1024 * 1024;

/// Why a body holds no record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// Too long.
    #[error("{0} octets; at most {LONGEST} are read")]
    TooLong(usize),
    /// Neither JSON, nor `cdr=` with it in one of its encodings.
    #[error("neither JSON nor `cdr=` with JSON percent-encoded or in Base64, as mod_json_cdr sends it")]
    Unknown,
}

/// The JSON in a body.
///
/// # Errors
/// When it is too long, or in no form that is known.
pub fn decode(body: &[u8]) -> Result<Cow<'_, [u8]>, BodyError> {
    if body.len() > LONGEST {
        return Err(BodyError::TooLong(body.len()));
    }
    let body = body.trim_ascii();
    if body.first() == Some(&b'{') {
        return Ok(Cow::Borrowed(body));
    }
    let value = body.strip_prefix(b"cdr=").unwrap_or(body).trim_ascii();
    let found = match value.first() {
        Some(b'{') => return Ok(Cow::Borrowed(value)),
        Some(b'%') => percent_decoded(value),
        Some(_) => base64_decoded(value).or_else(|| base64_decoded(&percent_decoded(value)?)),
        None => None,
    };
    found.filter(|json| json.trim_ascii_start().first() == Some(&b'{')).map(Cow::Owned).ok_or(BodyError::Unknown)
}

/// Octets with `%XX` decoded; `None` when a `%` is not followed by two hex digits. A `+` stays what it is: FreeSWITCH
/// writes a space as `%20`.
#[must_use]
pub fn percent_decoded(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            decoded.push(*first);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        decoded.push(digit(*digits.first()?)? * 16 + digit(*digits.get(1)?)?);
        rest = after;
    }
    Some(decoded)
}

/// Base64 (RFC 4648 §4), with or without padding, line ends left out.
fn base64_decoded(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(bytes.len() / 4 * 3);
    let (mut bits, mut count) = (0u32, 0u32);
    let digits = bytes.iter().filter(|byte| !byte.is_ascii_whitespace());
    let padding = bytes.iter().rev().take_while(|byte| **byte == b'=').count();
    let length = digits.clone().count().checked_sub(padding)?;
    for byte in digits.take(length) {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(value)) & 0xff_ffff;
        count += 6;
        if count >= 8 {
            count -= 8;
            decoded.push(u8::try_from(bits >> count & 0xff).ok()?);
        }
    }
    (padding <= 2 && count < 6).then_some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn trap_14_percent_encoded_and_plain_base64_with_plus_and_a_form_type_with_raw_json() {
        // {"a":"~~>>??"} in Base64 holds + and /; in each form the first octets decide.
        let json = br#"{"a":"~~>>??"}"#;
        for body in [
            &br#"{"a":"~~>>??"}"#[..],
            b" \r\n{\"a\":\"~~>>??\"}\n",
            br#"cdr={"a":"~~>>??"}"#,
            b"cdr=%7B%22a%22%3A%22~~%3E%3E%3F%3F%22%7D",
            b"%7b%22a%22%3a%22%7e%7e%3e%3e%3f%3f%22%7d",
            b"cdr=eyJhIjoifn4+Pj8/In0=",
            b"eyJhIjoifn4+Pj8/In0",
            b"cdr=eyJhIjoifn4%2BPj8%2FIn0%3D",
        ] {
            assert_eq!(decode(body).as_deref(), Ok(&json[..]), "{}", String::from_utf8_lossy(body));
        }
        for body in [&b""[..], b"cdr=", b"cdr=hello world", b"cdr=%7", b"cdr=%zz", b"<cdr/>", b"[1]", b"cdr=aGVsbG8="] {
            assert_eq!(decode(body), Err(BodyError::Unknown), "{}", String::from_utf8_lossy(body));
        }
        assert_eq!(decode(&vec![b'{'; LONGEST + 1]), Err(BodyError::TooLong(LONGEST + 1)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_decoded_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
            let _ = decode(&[&b"cdr="[..], &bytes].concat());
        }
    }
}
