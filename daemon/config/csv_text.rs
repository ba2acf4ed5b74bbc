//! Comma-separated text (RFC 4180) as fields that know where they stand, for messages that point at them.

use std::borrow::Cow;
use std::ops::Range;

/// A field: its value and the bytes it stands on (inside its quotes).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field<'a> {
    pub(super) text: Cow<'a, str>,
    pub(super) span: Range<usize>,
}

/// A text that is not comma-separated, and where.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) span: Range<usize>,
    pub(super) message: &'static str,
}

/// Reads record after record.
pub(super) struct Records<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Records<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 } }
    }

    /// Fills `fields` with the next record that is not blank; `Ok(false)` at the end.
    pub(super) fn read(&mut self, fields: &mut Vec<Field<'a>>) -> Result<bool, Broken> {
        fields.clear();
        let bytes = self.text.as_bytes();
        while matches!(bytes.get(self.at), Some(b'\n' | b'\r')) {
            self.at += 1;
        }
        if self.at >= bytes.len() {
            return Ok(false);
        }
        loop {
            let field = if bytes.get(self.at) == Some(&b'"') { self.quoted()? } else { self.plain() };
            fields.push(field);
            match bytes.get(self.at) {
                Some(b',') => self.at += 1,
                _ => return Ok(true),
            }
        }
    }

    fn plain(&mut self) -> Field<'a> {
        let rest = self.text.get(self.at..).unwrap_or("");
        let end = rest.find([',', '\n', '\r']).unwrap_or(rest.len());
        let raw = rest.get(..end).unwrap_or(rest);
        let text = raw.trim();
        let start = self.at + (raw.len() - raw.trim_start().len());
        self.at += end;
        Field { text: Cow::Borrowed(text), span: start..start + text.len() }
    }

    fn quoted(&mut self) -> Result<Field<'a>, Broken> {
        let start = self.at + 1;
        let mut value = Cow::Borrowed("");
        let mut from = start;
        loop {
            let rest = self.text.get(from..).unwrap_or("");
            let Some(end) = rest.find('"') else {
                let span = self.at..self.at + 1;
                self.at = self.text.len();
                return Err(Broken { span, message: "the quote opened here is never closed; close it with `\"`" });
            };
            let piece = rest.get(..end).unwrap_or("");
            if value.is_empty() {
                value = Cow::Borrowed(piece)
            } else {
                value.to_mut().push_str(piece)
            }
            let after = from + end + 1;
            if self.text.as_bytes().get(after) != Some(&b'"') {
                self.at = after;
                let rest = self.text.get(after..).unwrap_or("");
                let stray = rest.find([',', '\n', '\r']).unwrap_or(rest.len());
                if stray == 0 {
                    return Ok(Field { text: value, span: start..after - 1 });
                }
                self.at += rest.find('\n').unwrap_or(rest.len()); // the next record may be fine
                return Err(Broken {
                    span: after..after + stray,
                    message: "text follows a closing quote; write a comma, or double the quote",
                });
            }
            value.to_mut().push('"');
            from = after + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&[&str]]) {
        let (mut records, mut fields, mut found) = (Records::new(text), Vec::new(), Vec::new());
        while records.read(&mut fields).expect("well formed") {
            found.push(fields.iter().map(|field| field.text.to_string()).collect::<Vec<_>>());
        }
        assert_eq!(found, expected, "{text:?}");
    }

    #[test]
    fn records_are_read() {
        check("a,b\n1, 2 \r\n\n3,\n", &[&["a", "b"], &["1", "2"], &["3", ""]]);
        check("\u{feff}a\n\"x, \"\"y\"\"\nz\",\"\"", &[&["a"], &["x, \"y\"\nz", ""]]);
        check("", &[]);
        check("a", &[&["a"]]);
    }

    #[test]
    fn what_is_broken_is_pointed_at() {
        for (text, span) in [("a,\"b", 2..3), ("\"a\"b,c", 3..4)] {
            let mut records = Records::new(text);
            assert_eq!(records.read(&mut Vec::new()).expect_err(text).span, span);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_ends(text in "[ab,\"\n\r ]{0,40}") {
            let (mut records, mut fields) = (Records::new(&text), Vec::new());
            for _ in 0..=text.len() {
                match records.read(&mut fields) {
                    Ok(true) => for field in &fields {
                        proptest::prop_assert!(text.get(field.span.clone()).is_some());
                    },
                    Ok(false) | Err(_) => return Ok(()),
                }
            }
            proptest::prop_assert!(false, "more records than bytes");
        }
    }
}
