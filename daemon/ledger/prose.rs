//! Phone numbers inside of texts that people wrote: why a call was assigned, a comment beside a contract. They become tokens like
//! the others, so that they can be forgotten like the others.
//!
//! The one invariant: revealing what was hidden gives the text as it was, and hiding that again the same tokens. What counts
//! as a number is an international or national one as people write it, with 7 to 15 digits and beginning with `+` or `0`;
//! dates, and digits that belong to a word or go on after one, are none.

use super::batch::Document;
use super::error::Result;
use super::numbers::{NumberKey, Token};
use std::borrow::Cow;
use std::ops::Range;

/// The length of a token as text.
const TOKEN_BYTES: usize = "hmac:".len() + 32;

/// The text with tokens in the place of numbers: of those that contracts name, and of those in what people wrote beside.
pub(super) fn without_numbers<'d>(document: &Document<'d>, key: &NumberKey) -> Result<Cow<'d, str>> {
    let Document { kind, text, numbers, .. } = *document;
    if kind != CONTRACTS {
        return Ok(Cow::Borrowed(text));
    }
    let between = |span: Range<usize>| hide(text.get(span).unwrap_or_default(), |number| Ok(key.token(number)));
    let (mut out, mut kept) = (String::with_capacity(text.len()), 0);
    for (span, number) in numbers {
        out.push_str(&between(kept..span.start)?);
        out.push_str(&key.token(&number.to_string()).to_string());
        kept = span.end;
    }
    out.push_str(&between(kept..text.len())?);
    Ok(Cow::Owned(out))
}

/// The kind of document that names customers.
pub(super) const CONTRACTS: &str = "contracts";

/// The text with a token in the place of each number.
pub(super) fn hide(text: &str, mut token_of: impl FnMut(&str) -> Result<Token>) -> Result<Cow<'_, str>> {
    replace(text, number_at, |number| Ok(Some(token_of(number)?.to_string().into())))
}

/// The text with the number in the place of each token that is not forgotten.
pub(super) fn reveal(text: &str, mut number_of: impl FnMut(Token) -> Result<Option<Box<str>>>) -> Result<Cow<'_, str>> {
    replace(
        text,
        |text, at| token_at(text, at).map(|_| at..at.saturating_add(TOKEN_BYTES)),
        |token| Token::parse(token).map_or(Ok(None), &mut number_of),
    )
}

/// The text with something else in the place of each number.
pub(super) fn mask<'t>(text: &'t str, by: impl Fn(&str) -> Box<str>) -> Cow<'t, str> {
    replace(text, number_at, |number| Ok(Some(by(number)))).unwrap_or(Cow::Borrowed(text))
}

fn replace(
    text: &str,
    find: impl Fn(&str, usize) -> Option<Range<usize>>,
    mut by: impl FnMut(&str) -> Result<Option<Box<str>>>,
) -> Result<Cow<'_, str>> {
    let (mut out, mut kept, mut at) = (String::new(), 0, 0);
    while at < text.len() {
        let Some(span) = find(text, at) else {
            at += if token_at(text, at).is_some() { TOKEN_BYTES } else { 1 };
            continue;
        };
        at = span.end;
        if let Some(other) = by(text.get(span.clone()).unwrap_or_default())? {
            out.push_str(text.get(kept..span.start).unwrap_or_default());
            out.push_str(&other);
            kept = span.end;
        }
    }
    if kept == 0 {
        return Ok(Cow::Borrowed(text));
    }
    out.push_str(text.get(kept..).unwrap_or_default());
    Ok(Cow::Owned(out))
}

fn token_at(text: &str, at: usize) -> Option<Token> {
    Token::parse(text.get(at..at.checked_add(TOKEN_BYTES)?)?)
}

/// The number that begins here, if one does.
fn number_at(text: &str, at: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let byte = |at: usize| bytes.get(at).copied().unwrap_or(0);
    let goes_on = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./+(".contains(&byte);
    if at > 0 && goes_on(byte(at - 1)) {
        return None;
    }
    let first = if byte(at) == b'(' { at + 1 } else { at };
    let begins = byte(first) == b'0' || byte(first) == b'+' && byte(first + 1).is_ascii_digit();
    // 03.11.2026
    let is_date = (0..6).all(|place| if place % 3 == 2 { byte(at + place) == b'.' } else { byte(at + place).is_ascii_digit() });
    if !begins || is_date {
        return None;
    }
    let (mut digits, mut end, mut next) = (0, first, if byte(first) == b'+' { first + 1 } else { first });
    while next - end <= 2 {
        match byte(next) {
            b'0'..=b'9' => (digits, end) = (digits + 1, next + 1),
            b' ' | b'(' | b')' | b'/' | b'-' | b'.' => {}
            _ => break,
        }
        next += 1;
    }
    let ends = !byte(end).is_ascii_alphanumeric();
    ((7..=15).contains(&digits) && ends).then_some(at..end)
}

#[cfg(test)]
mod tests {
    use super::super::numbers::NumberKey;
    use super::*;

    fn hidden(text: &str) -> (String, Vec<String>) {
        let mut numbers = Vec::new();
        let key = NumberKey::new([7; 32]);
        let out = hide(text, |number| {
            numbers.push(number.to_owned());
            Ok(key.token(number))
        });
        (out.expect("hidden").into_owned(), numbers)
    }

    #[test]
    fn numbers_are_found_as_people_write_them() {
        for (text, numbers) in [
            ("assigned by kasse: called from 089 123 45 67, ticket 4711", &["089 123 45 67"][..]),
            ("+49 (0)89 1234567.", &["+49 (0)89 1234567"]),
            ("(089) 1234567 and 0049-171/3920021", &["(089) 1234567", "0049-171/3920021"]),
            ("on 03.11.2026 10:00, 2026-11-03T00:15:00, ticket 20261103001", &[]),
            ("K-0012345678 or A0012345678 or 0012345678a", &[]),
            ("0123456 is short enough, 012345 is not, 0123456789012345 is too long", &["0123456"]),
            ("Müller, 0171/3920021", &["0171/3920021"]),
            ("", &[]),
        ] {
            assert_eq!(hidden(text).1, numbers, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_was_hidden_comes_back(text in "([a-zü ]{0,4}|[+(]?0[0-9 ()/.-]{0,14}|hmac:|,){0,8}") {
            let (out, numbers) = hidden(&text);
            let key = NumberKey::new([7; 32]);
            let again = hidden(&out);
            proptest::prop_assert_eq!(&again.0, &out);
            proptest::prop_assert!(again.1.is_empty());
            let number_of = |token| Ok(numbers.iter().find(|number| key.token(number) == token).map(|number| number.as_str().into()));
            let revealed = reveal(&out, number_of).expect("revealed").into_owned();
            proptest::prop_assert_eq!(revealed, text);
            let forgotten = reveal(&out, |_| Ok(None)).expect("revealed").into_owned();
            proptest::prop_assert_eq!(forgotten, out);
        }
    }
}
