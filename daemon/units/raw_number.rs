//! Phone numbers as received. Most have a handful of digits, and there are several in every message of a call.
//!
//! The one invariant: a text that fits is never on the heap, so equal texts have equal forms.

use std::cmp::Ordering;
use std::fmt;

/// E.164 with a `+` and any extension fit.
const ROOM: usize = 22;
/// The most characters that are kept.
const LONGEST: usize = 64;

/// Digits as a source had them, before normalizing: an extension, or a number in any spelling.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RawNumber(Form);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Form {
    /// UTF-8; the rest is zeros.
    Here {
        length: u8,
        bytes: [u8; ROOM],
    },
    Heap(Box<str>),
}

impl RawNumber {
    /// The text as received; control characters (which a terminal or a spreadsheet would obey) and bytes that are not UTF-8
    /// become U+FFFD, and what is longer than 64 characters is cut.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let trimmed = bytes.trim_ascii();
        match std::str::from_utf8(trimmed) {
            Ok(text) if text.len() <= LONGEST && text.bytes().all(|byte| matches!(byte, b' '..=b'~')) => Self::from_text(text),
            Ok(_) | Err(_) => {
                let text = String::from_utf8_lossy(bytes);
                Self::from_text(&text.trim().chars().take(LONGEST).map(shown).collect::<String>())
            }
        }
    }

    fn from_text(text: &str) -> Self {
        let mut bytes = [0; ROOM];
        match (bytes.get_mut(..text.len()), u8::try_from(text.len())) {
            (Some(room), Ok(length)) => {
                room.copy_from_slice(text.as_bytes());
                Self(Form::Here { length, bytes })
            }
            (Some(_) | None, _) => Self(Form::Heap(text.into())),
        }
    }

    /// The text as bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Form::Here { length, bytes } => bytes.get(..usize::from(*length)).unwrap_or_default(),
            Form::Heap(text) => text.as_bytes(),
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Form::Here { length, bytes } => {
                let text = bytes.get(..usize::from(*length)).unwrap_or_default();
                std::str::from_utf8(text).unwrap_or_default()
            }
            Form::Heap(text) => text,
        }
    }
}

fn shown(character: char) -> char {
    if character.is_control() { char::REPLACEMENT_CHARACTER } else { character }
}

impl PartialOrd for RawNumber {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for RawNumber {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl fmt::Debug for RawNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RawNumber").field(&self.as_str()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back_whatever_their_length() {
        for length in [0, 1, ROOM - 1, ROOM, ROOM + 1, LONGEST, LONGEST + 1] {
            let text = "7".repeat(length);
            let kept = "7".repeat(length.min(LONGEST));
            assert_eq!(RawNumber::from_bytes(text.as_bytes()).as_str(), kept);
            assert_eq!(RawNumber::from_bytes(format!(" {text} ").as_bytes()), RawNumber::from_bytes(kept.as_bytes()));
        }
    }

    #[test]
    fn what_is_no_text_becomes_one() {
        for (bytes, text) in [
            (&b" \xc3\xa9 "[..], "\u{e9}"),
            (b"1\xff2", "1\u{fffd}2"),
            (b"", ""),
            (b"\t+49 89 ", "+49 89"),
            (b"0\x001\x1b[2J", "0\u{fffd}1\u{fffd}[2J"),
            (b"B\xc2\x9bj", "B\u{fffd}j"),
        ] {
            assert_eq!(RawNumber::from_bytes(bytes).as_str(), text);
        }
        let long = "\u{e9}".repeat(LONGEST + 6);
        assert_eq!(RawNumber::from_bytes(long.as_bytes()).as_str(), "\u{e9}".repeat(LONGEST));
    }

    #[test]
    fn the_order_is_that_of_the_texts() {
        let of = |text: &str| RawNumber::from_bytes(text.as_bytes());
        let long = "1".repeat(ROOM + 1);
        assert!(of("1") < of("12") && of("12") < of("2") && of(&long) < of("2") && of("1") < of(&long));
    }
}
