//! A stream of bytes cut into what it carries: SIP messages by Content-Length (RFC 3261 §18.3), HEP frames by their length.
//!
//! The one invariant: a unit is handed on whole and byte for byte, however the stream was cut into segments, and what is kept
//! of one that is not whole yet is bounded by [`LARGEST`]. Keep-alives (RFC 5626 §3.5.1) are passed over. Where bytes are
//! missing, or make no sense, everything up to the next line that can only begin a message is passed over too.

use super::start_line::begins_known;
use super::{hep, looks_like_sip};

/// The largest unit: a HEP frame's length has 16 bits, and a SIP message of that size is none that a PBX sends.
pub(super) const LARGEST: usize = 65_535;
/// The longest line that may begin a message.
const LONGEST_LINE: usize = 8_192;

/// What a unit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// One SIP message.
    Sip,
    /// One HEP frame.
    Hep,
}

/// What stands at the front of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Front {
    /// A unit of so many bytes, all of them there.
    Whole(Kind, usize),
    /// So many empty lines.
    Blank(usize),
    /// A unit of which at least so many bytes are needed to say more.
    Short(usize),
    /// Nothing that we read.
    Foreign,
}

/// What stands at the front of these bytes.
pub(super) fn front(bytes: &[u8]) -> Front {
    let blank = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    if blank > 0 {
        return Front::Blank(blank);
    }
    if bytes.starts_with(hep::MAGIC) {
        return match bytes.get(4..6) {
            Some(&[high, low]) => match usize::from(u16::from_be_bytes([high, low])) {
                0..6 => Front::Foreign,
                length if length <= bytes.len() => Front::Whole(Kind::Hep, length),
                length => Front::Short(length),
            },
            _ => Front::Short(6),
        };
    }
    if bytes.len() < hep::MAGIC.len() && hep::MAGIC.starts_with(bytes) {
        return Front::Short(hep::MAGIC.len());
    }
    match memchr::memchr(b'\n', bytes) {
        Some(end) if looks_like_sip(&bytes[..=end]) => message(bytes),
        None if bytes.len() < LONGEST_LINE && may_begin_line(bytes) => Front::Short(bytes.len() + 1),
        _ => Front::Foreign,
    }
}

/// The message that begins here, by its Content-Length; without one it has no body.
fn message(bytes: &[u8]) -> Front {
    let Some(head) = end_of_head(bytes) else {
        return if bytes.len() < LARGEST { Front::Short(bytes.len() + 1) } else { Front::Foreign };
    };
    match content_length(&bytes[..head]) {
        Some(body) if head + body > LARGEST => Front::Foreign,
        Some(body) if head + body > bytes.len() => Front::Short(head + body),
        Some(body) => Front::Whole(Kind::Sip, head + body),
        None => Front::Foreign,
    }
}

/// Where the empty line ends that closes the header; `None` if it is not there yet.
pub(super) fn end_of_head(bytes: &[u8]) -> Option<usize> {
    memchr::memchr_iter(b'\n', bytes).find_map(|end| match bytes.get(end + 1..) {
        Some([b'\n', ..]) => Some(end + 2),
        Some([b'\r', b'\n', ..]) => Some(end + 3),
        _ => None,
    })
}

/// The length of the body as the header says, 0 where it does not; `None` when it says two, or none that can be.
fn content_length(head: &[u8]) -> Option<usize> {
    let mut found = None;
    for line in head.split(|byte| *byte == b'\n').skip(1) {
        let Some(colon) = memchr::memchr(b':', line) else { continue };
        let name = line[..colon].trim_ascii_end();
        if name.eq_ignore_ascii_case(b"content-length") || name.eq_ignore_ascii_case(b"l") {
            let digits = line[colon + 1..].trim_ascii();
            let is_number = !digits.is_empty() && digits.len() < 10 && digits.iter().all(u8::is_ascii_digit);
            let length = is_number.then(|| digits.iter().fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0')))?;
            if found.replace(length).is_some_and(|other| other != length) {
                return None;
            }
        }
    }
    Some(found.unwrap_or(0))
}

/// Whether a line of which the end is not there yet may become the first of a message.
fn may_begin_line(line: &[u8]) -> bool {
    if line.len() < 8 && b"SIP/2.0 ".starts_with(line) {
        return true;
    }
    let method = line.iter().take_while(|byte| byte.is_ascii_uppercase() || matches!(byte, b'-' | b'_')).count();
    (method == line.len() && method <= 32)
        || looks_like_sip(line)
        || (method > 0 && line.len() <= method + 12 && line.get(method) == Some(&b' '))
}

/// A stream, as far as it was read.
#[derive(Debug, Default)]
pub(super) struct Stream {
    held: Vec<u8>,
    /// With fewer bytes than these there is no use in looking again.
    wanted: usize,
    /// The next unit has to be looked for.
    lost: bool,
}

/// What came of some bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pushed {
    /// So many units were handed on.
    pub units: usize,
    /// So many bytes were no part of any.
    pub foreign: usize,
}

impl Stream {
    /// A stream of which the beginning was not seen.
    pub fn midway() -> Self {
        Self { lost: true, ..Self::default() }
    }

    /// Bytes are missing here: what is kept can never be whole.
    pub fn lose(&mut self) {
        self.held.clear();
        (self.wanted, self.lost) = (0, true);
    }

    /// Bytes kept of a unit that is not whole yet.
    pub fn held(&self) -> &[u8] {
        &self.held
    }

    /// Gives back the room it does not use.
    pub fn shrink(&mut self) {
        if self.held.is_empty() {
            self.held = Vec::new();
        }
    }

    /// Takes the bytes that come next, and hands on each unit that is whole.
    pub fn push(&mut self, bytes: &[u8], visit: &mut impl FnMut(Kind, &[u8])) -> Pushed {
        let mut pushed = Pushed::default();
        if self.lost && bytes.starts_with(hep::MAGIC) {
            pushed.foreign = self.held.len();
            self.held.clear();
        }
        if self.held.is_empty() {
            let taken = self.cut(bytes, &mut pushed, visit);
            self.held.extend_from_slice(&bytes[taken..]);
            return pushed;
        }
        let mut held = std::mem::take(&mut self.held);
        held.extend_from_slice(bytes);
        if held.len() >= self.wanted {
            let taken = self.cut(&held, &mut pushed, visit);
            held.drain(..taken);
        }
        self.held = held;
        pushed
    }

    /// How many bytes are done with.
    fn cut(&mut self, bytes: &[u8], pushed: &mut Pushed, visit: &mut impl FnMut(Kind, &[u8])) -> usize {
        let mut at = 0;
        self.wanted = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            if self.lost {
                let (skip, found) = next_start(rest);
                pushed.foreign += skip;
                at += skip;
                if !found {
                    return at;
                }
                self.lost = false;
                continue;
            }
            match front(rest) {
                Front::Whole(kind, length) => {
                    pushed.units += 1;
                    visit(kind, &rest[..length]);
                    at += length;
                }
                Front::Blank(length) => at += length,
                Front::Short(wanted) => {
                    self.wanted = wanted;
                    return at;
                }
                Front::Foreign => {
                    let line = memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
                    pushed.foreign += line;
                    at += line;
                    self.lost = true;
                }
            }
        }
        at
    }
}

/// How many bytes to pass over up to what looks like the beginning of a unit, and whether it is one. Where it may yet
/// become one, it is not, and its bytes are kept.
fn next_start(bytes: &[u8]) -> (usize, bool) {
    if bytes.starts_with(hep::MAGIC) {
        return (0, true);
    }
    let mut at = 0;
    while let Some(end) = memchr::memchr(b'\n', &bytes[at..]).map(|end| at + end + 1) {
        if let Some(begin) = start_in_line(&bytes[at..end], at > 0) {
            match is_header(&bytes[end..]) {
                Some(true) => return (at + begin, true),
                Some(false) => {}
                None if bytes.len() - at < LONGEST_LINE => return (at + begin, false),
                None => {}
            }
        }
        at = end;
    }
    (if bytes.len() - at < LONGEST_LINE { at } else { bytes.len() }, false)
}

/// Where in a line a message begins: at its front, or behind the end of a body that has no line end. A method that is not
/// known is one only where the line is `whole`: else it may be the end of another.
fn start_in_line(line: &[u8], whole: bool) -> Option<usize> {
    if matches!(line, [b'\r' | b'\n', ..]) {
        return None;
    }
    let known = |at: &usize| (whole && *at == 0) || begins_known(&line[*at..]);
    (0..line.len()).filter(known).find(|at| looks_like_sip(&line[*at..]))
}

/// Whether these bytes begin with the first line of a message and a header behind it.
pub(super) fn begins_message(bytes: &[u8]) -> bool {
    let text = &bytes[bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count()..];
    memchr::memchr(b'\n', text).is_some_and(|end| looks_like_sip(&text[..=end]) && is_header(&text[end + 1..]) == Some(true))
}

/// Whether a line begins like a header, which tells a message from the status line that a NOTIFY carries in its body
/// (RFC 3515 §2.4.5); `None` when too little of it is there.
fn is_header(line: &[u8]) -> Option<bool> {
    let name = line
        .iter()
        .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'!' | b'%' | b'*' | b'+' | b'~'))
        .count();
    let after = line[name..].trim_ascii_start();
    match after.first() {
        None => None,
        Some(b':') => Some(name > 0),
        Some(_) => Some(false),
    }
}

#[cfg(test)]
mod tests;
