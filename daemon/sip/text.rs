//! Bytes of a header value: trimming, splitting, numbers, escapes. Nothing here assumes UTF-8, and nothing panics.
//!
//! The one invariant: a separator counts only outside quoted strings and outside `<>` (RFC 3261 §25.1, RFC 2822 quoting).

use std::borrow::Cow;

/// Whether a byte is white space inside a header value; a folded line leaves CR and LF in it (RFC 3261 §7.3.1).
pub(super) const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// Without white space at either end.
pub(super) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = bytes
        && is_space(*first)
    {
        bytes = rest;
    }
    while let [rest @ .., last] = bytes
        && is_space(*last)
    {
        bytes = rest;
    }
    bytes
}

/// Digits only, and a value that fits.
pub(super) fn decimal(bytes: &[u8]) -> Option<u32> {
    if bytes.is_empty() {
        return None;
    }
    bytes.iter().try_fold(0u32, |value, byte| {
        let digit = byte.is_ascii_digit().then(|| u32::from(byte.wrapping_sub(b'0')))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

/// The place of the first `wanted` outside quotes and `<>`.
pub(super) fn find_outside(bytes: &[u8], wanted: u8) -> Option<usize> {
    // Most values hold neither quote nor bracket before their first separator: those need no walk.
    let first = memchr::memchr3(wanted, b'"', b'<', bytes)?;
    if bytes.get(first) == Some(&wanted) {
        return Some(first);
    }
    let (mut quoted, mut escaped, mut bracketed) = (false, false, false);
    for (place, byte) in bytes.iter().copied().enumerate().skip(first) {
        match (quoted, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (true, b'"') => quoted = false,
            (true, _) => {}
            (false, b'"') if !bracketed => quoted = true,
            (false, b'<') => bracketed = true,
            (false, b'>') => bracketed = false,
            (false, byte) if byte == wanted && !bracketed => return Some(place),
            (false, _) => {}
        }
    }
    None
}

/// The two sides of the first `separator` outside quotes and `<>`; the second is `None` if there is none.
pub(super) fn cut(bytes: &[u8], separator: u8) -> (&[u8], Option<&[u8]>) {
    match find_outside(bytes, separator) {
        Some(place) => (bytes.get(..place).unwrap_or_default(), bytes.get(place.saturating_add(1)..)),
        None => (bytes, None),
    }
}

/// The pieces between separators that stand outside quotes and `<>`, trimmed.
pub(super) fn pieces(bytes: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(bytes);
    std::iter::from_fn(move || {
        let (piece, after) = cut(rest?, separator);
        rest = after;
        Some(trim(piece))
    })
}

/// The value of a parameter in `a=1;b;c="x"`, unquoted; empty for one without `=`. Names compare without regard to case.
pub(super) fn param<'a>(params: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    pieces(params, b';').find_map(|piece| {
        let (key, value) = cut(piece, b'=');
        trim(key).eq_ignore_ascii_case(name).then(|| word(trim(value.unwrap_or_default())))
    })
}

/// The inside of a quoted string, its escapes left as they are; else a token, which ends at the first white space.
fn word(bytes: &[u8]) -> &[u8] {
    match bytes {
        [b'"', inside @ .., b'"'] => inside,
        _ => bytes.split(|byte| is_space(*byte)).next().unwrap_or_default(),
    }
}

/// With `%41` turned into `A`. An escape that is none stays as it is.
pub(super) fn unescape(bytes: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'%', bytes).is_none() {
        return Cow::Borrowed(bytes);
    }
    let mut plain = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let [first, after @ ..] = rest {
        rest = after;
        match (first, after) {
            (b'%', [high, low, after @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    plain.push(high.wrapping_shl(4) | low);
                    rest = after;
                }
                _ => plain.push(b'%'),
            },
            (byte, _) => plain.push(*byte),
        }
    }
    Cow::Owned(plain)
}

const fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit.wrapping_sub(b'0')),
        b'a'..=b'f' => Some(digit.wrapping_sub(b'a').wrapping_add(10)),
        b'A'..=b'F' => Some(digit.wrapping_sub(b'A').wrapping_add(10)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_inside_quotes_and_brackets_do_not_split() {
        for (text, expected) in [
            ("a,b", vec!["a", "b"]),
            ("", vec![""]),
            ("\"x,y\" <sip:a,b@c>;p=1 , <sip:d@e>", vec!["\"x,y\" <sip:a,b@c>;p=1", "<sip:d@e>"]),
            ("\"q\\\"q,\",z", vec!["\"q\\\"q,\"", "z"]),
            ("<sip:a@b?x=\"1>,y", vec!["<sip:a@b?x=\"1>", "y"]),
            ("\"open,never closed", vec!["\"open,never closed"]),
        ] {
            let found: Vec<_> = pieces(text.as_bytes(), b',').map(|piece| std::str::from_utf8(piece).unwrap()).collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn parameters_are_found_by_name() {
        for (text, name, expected) in [
            ("a=1;TAG = x ;c", "tag", Some("x")),
            ("a=1;c", "c", Some("")),
            ("a=\"x;tag=no\";tag=yes", "tag", Some("yes")),
            ("tag=1\r.;x", "tag", Some("1")),
            ("xtag=1", "tag", None),
            ("", "tag", None),
        ] {
            assert_eq!(param(text.as_bytes(), name.as_bytes()), expected.map(str::as_bytes), "{text}");
        }
    }

    #[test]
    fn escapes_are_decoded_once() {
        for (text, plain) in [("a%20b", "a b"), ("%2B49", "+49"), ("%2540", "%40"), ("%", "%"), ("%4", "%4"), ("%zz1", "%zz1")] {
            assert_eq!(unescape(text.as_bytes()).as_ref(), plain.as_bytes(), "{text}");
        }
    }

    #[test]
    fn numbers_are_digits_that_fit() {
        for (text, value) in [("0", Some(0)), ("4294967295", Some(u32::MAX)), ("4294967296", None), ("-1", None), ("", None), ("1 ", None)]
        {
            assert_eq!(decimal(text.as_bytes()), value, "{text}");
        }
    }
}
