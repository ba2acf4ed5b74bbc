//! Cuts a growing file into complete records: quotes may hold line ends, the last line may be half written.
//!
//! The invariant: a record is given once its line end is there, never before, and one broken record never swallows the
//! good ones that follow. (A CSV reader alone takes a half-written line for a whole one.)

use memchr::memchr;

/// The longest record, in octets. Asterisk writes none above 1,024, other writers of such files a few thousand.
pub const LONGEST: usize = 64 * 1024;

/// A piece of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framed<'a> {
    /// A record without its line end.
    Record(&'a [u8]),
    /// Bytes that are no record: a quote that never closed, or more than [`LONGEST`] octets.
    Broken(&'a [u8]),
}

/// Whether quotes hold line ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quotes {
    /// They do: CSV.
    Hold {
        /// What stands between two fields.
        delimiter: u8,
    },
    /// They are text like any other: the queue log.
    Plain,
}

/// Takes the first piece off `bytes`; gives it, and what is left. `None` when there is no complete one yet.
///
/// `skipping` says that the bytes continue a record that was given as broken for its length; it is kept by the caller.
#[must_use]
pub fn next<'a>(bytes: &'a [u8], quotes: Quotes, skipping: &mut bool) -> Option<(Framed<'a>, &'a [u8])> {
    let mut line_start = 0;
    let mut inside = false;
    while let Some(end) = bytes.get(line_start..).and_then(|rest| memchr(b'\n', rest)).map(|length| line_start + length) {
        let line = bytes.get(line_start..end)?;
        let rest = bytes.get(end + 1..)?;
        if *skipping {
            *skipping = false;
            return Some((Framed::Broken(line), rest));
        }
        if end > LONGEST {
            let (broken, rest) = bytes.split_at_checked(if line_start == 0 { end + 1 } else { line_start })?;
            return Some((Framed::Broken(broken), rest));
        }
        let odd = quotes != Quotes::Plain && line.iter().filter(|byte| **byte == b'"').count() % 2 == 1;
        if inside && !odd && is_whole(line, quotes) {
            let (broken, rest) = bytes.split_at_checked(line_start)?;
            return Some((Framed::Broken(broken), rest));
        }
        inside ^= odd;
        if !inside {
            let record = bytes.get(..end)?;
            return Some((Framed::Record(record.strip_suffix(b"\r").unwrap_or(record)), rest));
        }
        line_start = end + 1;
    }
    // No line end in sight: what is too long already is given away, and the rest of it when it comes.
    if bytes.len() > LONGEST && (line_start == 0 || *skipping) {
        *skipping = true;
        return Some((Framed::Broken(bytes), &[]));
    }
    if bytes.len() > LONGEST {
        let (broken, rest) = bytes.split_at_checked(line_start)?;
        return Some((Framed::Broken(broken), rest));
    }
    None
}

/// Whether a line inside an open quote is a record of its own, so that the quote before it was never closed.
///
/// Inside a quoted field every quote is doubled. So a delimiter, one quote and then something else is a field's beginning,
/// which no caller can write by choosing a name.
fn is_whole(line: &[u8], quotes: Quotes) -> bool {
    let Quotes::Hold { delimiter } = quotes else { return false };
    line.windows(3).any(|three| matches!(three, [before, b'"', next] if *before == delimiter && *next != b'"'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const COMMA: Quotes = Quotes::Hold { delimiter: b',' };

    fn pieces(mut bytes: &[u8]) -> (Vec<String>, usize) {
        let mut found = Vec::new();
        let mut skipping = false;
        while let Some((piece, rest)) = next(bytes, COMMA, &mut skipping) {
            found.push(match piece {
                Framed::Record(record) => String::from_utf8_lossy(record).into_owned(),
                Framed::Broken(broken) => format!("broken {}", broken.len()),
            });
            bytes = rest;
        }
        (found, bytes.len())
    }

    #[test]
    fn records_end_where_their_line_ends() {
        for (text, expected, left) in [
            ("a,b\nc,d\n", vec!["a,b", "c,d"], 0),
            ("a,b\r\nc", vec!["a,b"], 1),
            ("\"a\nb\",c\nd\n", vec!["\"a\nb\",c", "d"], 0),
            ("\"a\"\"\n\"\"b\",c\n", vec!["\"a\"\"\n\"\"b\",c"], 0),
            ("half \"wri", vec![], 9),
            ("\"half,\n\"x\",\"y\"\n\"z\",\"w\"\n", vec!["broken 7", "\"x\",\"y\"", "\"z\",\"w\""], 0),
            // What a caller wrote into a name stays a part of that name.
            ("\"eve\n\"\"x\"\",\"\"y\"\"\",1\n", vec!["\"eve\n\"\"x\"\",\"\"y\"\"\",1"], 0),
        ] {
            let (found, rest) = pieces(text.as_bytes());
            assert_eq!(found, expected, "{text:?}");
            assert_eq!(rest, left, "{text:?}");
        }
    }

    #[test]
    fn what_is_too_long_is_set_aside() {
        let mut text = vec![b'x'; LONGEST + 10];
        assert_eq!(pieces(&text).0.len(), 1);
        text.extend_from_slice(b"\na,b\n");
        let (found, rest) = pieces(&text);
        assert_eq!((found.len(), rest), (2, 0));
        assert_eq!(found.last().map(String::as_str), Some("a,b"));
    }

    proptest! {
        #[test]
        fn any_bytes_come_to_an_end(bytes in proptest::collection::vec(prop_oneof![Just(b'"'), Just(b'\n'), Just(b','), any::<u8>()], 0..400)) {
            let (_, rest) = pieces(&bytes);
            prop_assert!(rest <= bytes.len());
        }
    }
}
