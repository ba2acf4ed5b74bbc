//! One line of the call monitor: `dd.mm.yy HH:MM:SS;KIND;connection;...;`, of the box's local time.
//!
//! The invariant: a line is in one of the four known forms, or refused with what is wrong; nothing of it is guessed.

use chrono::NaiveDateTime;

/// The longest line, in octets. The box's longest has about 100.
pub const LONGEST: usize = 1_024;

/// The longest number or name of a line in it.
const LONGEST_FIELD: usize = 64;

/// A line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// When, by the box's clock, in its zone.
    pub local: NaiveDateTime,
    /// Which of the connections that are open now; the number is used again afterwards.
    pub connection: u16,
    /// What happened.
    pub kind: Kind<'a>,
}

/// What happened on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind<'a> {
    /// `RING`: a call comes in, and rings.
    Ring {
        /// Who calls; empty if the number is withheld.
        caller: &'a str,
        /// The number that was dialed, of the box's own.
        called: &'a str,
        /// The line it comes by, such as `SIP0`.
        by: &'a str,
    },
    /// `CALL`: somebody dials out.
    Call {
        /// The phone.
        extension: &'a str,
        /// The number that is shown, of the box's own.
        own: &'a str,
        /// Whom it dials.
        dialed: &'a str,
        /// The line it goes by.
        by: &'a str,
    },
    /// `CONNECT`: it is answered.
    Connect {
        /// The phone.
        extension: &'a str,
        /// The number at the other end.
        number: &'a str,
    },
    /// `DISCONNECT`: it is over.
    Disconnect {
        /// How long it was connected; 0 if never.
        seconds: u32,
    },
}

/// Why a line is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// More octets than a line has.
    #[error("a line of more than {LONGEST} octets")]
    TooLong,
    /// Not text.
    #[error("it is no UTF-8")]
    Text,
    /// No time where it should stand.
    #[error("it does not begin with a time such as \"10.03.26 14:05:09\"")]
    Time,
    /// Another word.
    #[error("it is none of RING, CALL, CONNECT and DISCONNECT")]
    Kind,
    /// Too few fields, or one that is none.
    #[error("a field is missing or wrong: {0}")]
    Field(&'static str),
}

impl Line<'_> {
    /// Reads a line, without its line end.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(bytes: &[u8]) -> Result<Line<'_>, LineError> {
        if bytes.len() > LONGEST {
            return Err(LineError::TooLong);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| LineError::Text)?;
        let mut fields = text.trim_end().split(';');
        let local = fields.next().and_then(|time| NaiveDateTime::parse_from_str(time, "%d.%m.%y %H:%M:%S").ok()).ok_or(LineError::Time)?;
        let kind = fields.next().unwrap_or_default();
        let connection = fields.next().unwrap_or_default();
        let mut field = |name: &'static str| {
            let fits = |field: &&str| field.len() <= LONGEST_FIELD && !field.chars().any(char::is_control);
            fields.next().filter(fits).ok_or(LineError::Field(name))
        };
        let kind = match kind {
            "RING" => Kind::Ring { caller: field("caller")?, called: field("called number")?, by: field("line").unwrap_or_default() },
            "CALL" => Kind::Call {
                extension: field("extension")?,
                own: field("own number")?,
                dialed: field("dialed number")?,
                by: field("line").unwrap_or_default(),
            },
            "CONNECT" => Kind::Connect { extension: field("extension")?, number: field("number")? },
            "DISCONNECT" => Kind::Disconnect { seconds: digits(field("seconds")?).ok_or(LineError::Field("seconds"))? },
            _ => return Err(LineError::Kind),
        };
        let connection = digits(connection).and_then(|number| u16::try_from(number).ok()).ok_or(LineError::Field("connection"))?;
        Ok(Line { local, connection, kind })
    }
}

fn digits(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// The number in what a phone dialed: without the codes before it that choose a line (`*121#`) or hide the own number (`*31#`),
/// and the `#` behind it that says it is complete.
pub(super) fn number_in(dialed: &str) -> &str {
    let mut number = dialed;
    while number.starts_with(['*', '#'])
        && let Some((_, rest)) = number.get(1..).and_then(|rest| rest.split_once('#'))
        && !rest.is_empty()
    {
        number = rest;
    }
    number.strip_suffix('#').unwrap_or(number)
}

/// Whether an extension is one of the box's answering machines (40 to 44) or its fax (5): a mailbox, and no phone.
pub(super) fn is_mailbox(extension: &str) -> bool {
    matches!(extension, "5" | "6") || (extension.len() == 2 && extension.starts_with('4'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_four_kinds_of_lines() {
        let kind = |text: &'static str| Line::read(text.as_bytes()).map(|line| (line.connection, line.kind));
        for (text, expected) in [
            ("01.01.26 01:00:00;RING;0;03023125042;555123;SIP0;", (0, Kind::Ring { caller: "03023125042", called: "555123", by: "SIP0" })),
            ("01.01.26 01:00:00;RING;12;;555123;SIP0;\r", (12, Kind::Ring { caller: "", called: "555123", by: "SIP0" })),
            ("01.01.26 01:00:00;RING;1;089;555;", (1, Kind::Ring { caller: "089", called: "555", by: "" })),
            (
                "01.01.26 01:00:00;CALL;1;10;555123;0891234#;SIP1;",
                (1, Kind::Call { extension: "10", own: "555123", dialed: "0891234#", by: "SIP1" }),
            ),
            ("01.01.26 01:00:09;CONNECT;0;10;03023125042;", (0, Kind::Connect { extension: "10", number: "03023125042" })),
            ("01.01.26 01:00:09;CONNECT;0;40;;", (0, Kind::Connect { extension: "40", number: "" })),
            ("01.01.26 01:02:09;DISCONNECT;0;120;", (0, Kind::Disconnect { seconds: 120 })),
        ] {
            assert_eq!(kind(text), Ok(expected), "{text}");
        }
        let line = Line::read(b"31.12.26 23:59:58;DISCONNECT;0;0;").expect("a line");
        assert_eq!(line.local.to_string(), "2026-12-31 23:59:58");
    }

    #[test]
    fn what_is_no_line_is_refused() {
        let long = format!("01.01.26 01:00:00;RING;0;0;{};SIP0;", "5".repeat(LONGEST));
        let field = format!("01.01.26 01:00:00;RING;0;0;{};SIP0;", "5".repeat(LONGEST_FIELD + 1));
        for (text, expected) in [
            ("", LineError::Time),
            ("RING;0;1;2;", LineError::Time),
            ("2026-01-01 01:00:00;RING;0;1;2;SIP0;", LineError::Time),
            ("01.01.26 01:00;RING;0;1;2;SIP0;", LineError::Time),
            ("31.02.26 01:00:00;RING;0;1;2;SIP0;", LineError::Time),
            ("01.01.26 01:00:00;PARK;0;1;2;SIP0;", LineError::Kind),
            ("01.01.26 01:00:00", LineError::Kind),
            ("01.01.26 01:00:00;RING;0;1", LineError::Field("called number")),
            ("01.01.26 01:00:00;RING;x;1;2;SIP0;", LineError::Field("connection")),
            ("01.01.26 01:00:00;RING;70000;1;2;SIP0;", LineError::Field("connection")),
            ("01.01.26 01:00:00;RING;;1;2;SIP0;", LineError::Field("connection")),
            ("01.01.26 01:00:00;DISCONNECT;0;-1;", LineError::Field("seconds")),
            ("01.01.26 01:00:00;DISCONNECT;0;99999999999;", LineError::Field("seconds")),
            ("01.01.26 01:00:00;RING;0;\u{1};2;SIP0;", LineError::Field("caller")),
            (&field, LineError::Field("called number")),
            (&long, LineError::TooLong),
        ] {
            assert_eq!(Line::read(text.as_bytes()), Err(expected), "{text}");
        }
        assert_eq!(Line::read(b"\xff"), Err(LineError::Text));
    }

    #[test]
    fn codes_are_no_part_of_a_number() {
        for (dialed, number) in [
            ("0891234#", "0891234"),
            ("*121#0891234", "0891234"),
            ("*31#*121#0891234#", "0891234"),
            ("**610", "**610"),
            ("#96*5*", "#96*5*"),
            ("*31#", "*31"),
            ("", ""),
            ("#", ""),
        ] {
            assert_eq!(number_in(dialed), number, "{dialed}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(prop_oneof![Just(b';'), Just(b'0'), Just(b':'), any::<u8>()], 0..200)) {
            let _ = Line::read(&bytes);
        }

        #[test]
        fn any_fields_are_read_or_refused(kind in "RING|CALL|CONNECT|DISCONNECT", rest in "[0-9;*#é]{0,40}") {
            let text = format!("01.01.26 01:00:00;{kind};{rest}");
            if let Ok(Line { kind: Kind::Call { dialed, .. }, .. }) = Line::read(text.as_bytes()) {
                prop_assert!(dialed.contains(number_in(dialed)));
            }
        }
    }
}
