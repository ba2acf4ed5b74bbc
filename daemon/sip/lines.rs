//! Header lines of a SIP message, and where parts of it lie (RFC 3261 §7.3).
//!
//! The one invariant: a line is handed out only if it stands whole in the payload, folded parts and all.

use super::text::{is_space, trim, trim_end};

/// Where a part lies in a payload: from its first byte to the one behind it. Nothing that is there begins at 0, but the first
/// line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub from: u32,
    pub to: u32,
}

impl Span {
    /// `None` beyond 4 GiB.
    pub fn new(from: usize, to: usize) -> Option<Self> {
        Some(Self { from: u32::try_from(from).ok()?, to: u32::try_from(to).ok()? })
    }

    /// The part itself; `None` where there is none.
    pub fn of(self, payload: &[u8]) -> Option<&[u8]> {
        let (from, to) = (usize::try_from(self.from).ok()?, usize::try_from(self.to).ok()?);
        if to == 0 { None } else { payload.get(from..to) }
    }
}

/// A header line: its name and value, trimmed, and where the value lies in the payload.
pub(super) struct Line<'a> {
    pub name: &'a [u8],
    pub value: &'a [u8],
    pub from: usize,
}

impl Line<'_> {
    /// Where the value lies.
    pub fn span(&self) -> Option<Span> {
        Span::new(self.from, self.from.saturating_add(self.value.len()))
    }
}

/// Header lines, folded ones joined, up to the blank line. What is cut off at the end is no line: only the byte after a
/// line end tells whether the value goes on.
pub(super) struct Lines<'a> {
    pub payload: &'a [u8],
    /// The first byte that is not read yet.
    pub at: usize,
}

/// The lines within a span of a payload.
pub(super) fn lines(payload: &[u8], headers: Span) -> Lines<'_> {
    let end = usize::try_from(headers.to).unwrap_or(0);
    Lines { payload: payload.get(..end).unwrap_or_default(), at: usize::try_from(headers.from).unwrap_or(0) }
}

impl Lines<'_> {
    /// Goes on behind the next line end. If that was of a folded line, what is left of it is white space, and no header.
    pub fn skip_line(&mut self) {
        let rest = self.payload.get(self.at..).unwrap_or_default();
        let length = memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end.saturating_add(1));
        self.at = self.at.saturating_add(length);
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        loop {
            let from = self.at;
            if matches!(self.payload.get(from..)?, [b'\n', ..] | [b'\r', b'\n', ..] | []) {
                return None;
            }
            let mut end = from;
            loop {
                let found = memchr::memchr(b'\n', self.payload.get(end..)?);
                let after = found.map(|found| end.saturating_add(found).saturating_add(1));
                match after.and_then(|after| self.payload.get(after).map(|next| (after, *next))) {
                    Some((after, b' ' | b'\t')) => end = after,
                    Some((after, _)) => {
                        end = after;
                        break;
                    }
                    None => {
                        self.at = self.payload.len();
                        return None;
                    }
                }
            }
            self.at = end;
            let line = self.payload.get(from..end)?;
            // A line without a colon is nobody's header; the next one may be whole.
            let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
            let (name, value) = line.split_at_checked(colon)?;
            let value = trim_end(value);
            let before = value.iter().skip(1).take_while(|byte| is_space(**byte)).count().saturating_add(1);
            let from = from.saturating_add(colon).saturating_add(before);
            return Some(Line { name: trim(name), value: value.get(before..).unwrap_or_default(), from });
        }
    }
}

/// Where the body begins, behind the blank line; `None` if the message is cut before it.
pub(super) fn body_at(payload: &[u8], at: usize) -> Option<usize> {
    match payload.get(at..)? {
        [b'\n', ..] => Some(at.saturating_add(1)),
        [b'\r', b'\n', ..] => Some(at.saturating_add(2)),
        _ => None,
    }
}
