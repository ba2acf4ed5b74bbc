//! One pass over a SIP message: where its parts lie, borrowed from the packet (RFC 3261 §7, §25).
//!
//! The one invariant: a value is handed out only if it stands whole in the payload. A header cut off by a capture's snap
//! length is missing, never shortened; a header that must be single and is not makes the message unreadable.

use super::addr::NameAddr;
use super::method::Method;
use super::text::{decimal, is_space, pieces, trim};

/// The headers a meter reads. Others are found by name, with [`Scanned::named`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// Via, v.
    Via,
    /// From, f.
    From,
    /// To, t.
    To,
    /// Call-ID, i.
    CallId,
    /// CSeq.
    CSeq,
    /// Contact, m.
    Contact,
    /// Content-Length, l.
    ContentLength,
    /// P-Asserted-Identity (RFC 3325).
    AssertedIdentity,
    /// Remote-Party-ID (draft-ietf-sip-privacy-04).
    RemotePartyId,
    /// Privacy (RFC 3323).
    Privacy,
    /// Session-Expires, x (RFC 4028).
    SessionExpires,
    /// Reason (RFC 3326).
    Reason,
    /// Refer-To, r (RFC 3515).
    ReferTo,
    /// Replaces (RFC 3891).
    Replaces,
    /// Diversion (RFC 5806).
    Diversion,
    /// History-Info (RFC 7044).
    HistoryInfo,
}

/// How many kinds of header there are.
const KINDS: usize = 16;

impl Header {
    const fn place(self) -> usize {
        match self {
            Self::Via => 0,
            Self::From => 1,
            Self::To => 2,
            Self::CallId => 3,
            Self::CSeq => 4,
            Self::Contact => 5,
            Self::ContentLength => 6,
            Self::AssertedIdentity => 7,
            Self::RemotePartyId => 8,
            Self::Privacy => 9,
            Self::SessionExpires => 10,
            Self::Reason => 11,
            Self::ReferTo => 12,
            Self::Replaces => 13,
            Self::Diversion => 14,
            Self::HistoryInfo => 15,
        }
    }

    /// By length, then by name: most headers of a message are none of these, and cost one comparison.
    fn from_name(name: &[u8]) -> Option<Self> {
        let is = |wanted: &[u8], header| name.eq_ignore_ascii_case(wanted).then_some(header);
        match name {
            [one] => match one.to_ascii_lowercase() {
                b'v' => Some(Self::Via),
                b'f' => Some(Self::From),
                b't' => Some(Self::To),
                b'i' => Some(Self::CallId),
                b'm' => Some(Self::Contact),
                b'l' => Some(Self::ContentLength),
                b'x' => Some(Self::SessionExpires),
                b'r' => Some(Self::ReferTo),
                _ => None,
            },
            [_, _] => is(b"to", Self::To),
            [_, _, _] => is(b"via", Self::Via),
            [b'f' | b'F', _, _, _] => is(b"from", Self::From),
            [b'c' | b'C', _, _, _] => is(b"cseq", Self::CSeq),
            [b'r' | b'R', _, _, _, _, _] => is(b"reason", Self::Reason),
            [b'c' | b'C', b'a' | b'A', _, _, _, _, _] => is(b"call-id", Self::CallId),
            [b'c' | b'C', _, _, _, _, _, _] => is(b"contact", Self::Contact),
            [b'p' | b'P', _, _, _, _, _, _] => is(b"privacy", Self::Privacy),
            [b'r' | b'R', _, b'f' | b'F', _, _, _, _, _] => is(b"refer-to", Self::ReferTo),
            [b'r' | b'R', _, _, _, _, _, _, _] => is(b"replaces", Self::Replaces),
            [b'd' | b'D', ..] if name.len() == 9 => is(b"diversion", Self::Diversion),
            [b'h' | b'H', ..] if name.len() == 12 => is(b"history-info", Self::HistoryInfo),
            [b'c' | b'C', ..] if name.len() == 14 => is(b"content-length", Self::ContentLength),
            [b's' | b'S', ..] if name.len() == 15 => is(b"session-expires", Self::SessionExpires),
            [b'r' | b'R', ..] if name.len() == 15 => is(b"remote-party-id", Self::RemotePartyId),
            [b'p' | b'P', ..] if name.len() == 19 => is(b"p-asserted-identity", Self::AssertedIdentity),
            _ => None,
        }
    }
}

/// The first line of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start<'a> {
    /// A request.
    Request {
        /// What is asked.
        method: Method,
        /// Of whom, as it stands.
        uri: &'a [u8],
    },
    /// A response, with its status code, 100 to 699.
    Response(u16),
}

/// CSeq: the number of a request, and its method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CSeq {
    /// Grows with each request of one side of a dialog.
    pub number: u32,
    /// The request's method; in a response, of the request that is answered.
    pub method: Method,
}

/// Why nothing was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    /// Blank lines or NULs only: a keep-alive (RFC 5626 §3.5.1).
    #[error("the payload is empty")]
    Empty,
    /// REGISTER, PUBLISH, an OPTIONS or the like outside a dialog, or the response to one: no call is concerned.
    #[error("the message concerns no call")]
    NoCall,
    /// The first line is neither a request nor a response of SIP/2.0.
    #[error("the first line is neither a request nor a status line of SIP/2.0")]
    NotSip,
    /// There is no whole Call-ID.
    #[error("there is no Call-ID")]
    NoCallId,
    /// Call-ID, CSeq, From or To stands there twice, with different values (RFC 4475 §3.3.8).
    #[error("a header that must be single has two values")]
    Contradictory,
    /// CSeq has no number that fits, or names another method than the request (RFC 4475 §3.1.2.4, §3.1.2.17).
    #[error("CSeq cannot be read, or names another method")]
    BadCSeq,
}

/// A message, in places. Values are trimmed; folded ones still hold their line ends.
#[derive(Clone, Copy, Debug)]
pub struct Scanned<'a> {
    /// The first line.
    pub start: Start<'a>,
    /// The Call-ID, as received; never empty.
    pub call_id: &'a [u8],
    /// CSeq; `None` where a cut message ends before it.
    pub cseq: Option<CSeq>,
    /// The body within Content-Length, empty where there is none; `None` where it cannot be known whole.
    pub body: Option<&'a [u8]>,
    first: [Option<&'a [u8]>; KINDS],
    headers: &'a [u8],
}

impl<'a> Scanned<'a> {
    /// The first line's worth of a header: perhaps several values, joined by commas.
    #[must_use]
    pub fn first(&self, header: Header) -> Option<&'a [u8]> {
        self.first.get(header.place()).copied().flatten()
    }

    /// All values of a header, in order, repeated or joined by commas.
    pub fn values(&self, header: Header) -> impl Iterator<Item = &'a [u8]> {
        // Nothing is walked for a header that is not there.
        let headers = if self.first(header).is_some() { self.headers } else { &[] };
        Lines { rest: headers }.filter(move |line| Header::from_name(line.name) == Some(header)).flat_map(|line| pieces(line.value, b','))
    }

    /// The first value of any header, by its name without regard to case; whole, with the commas it may hold.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&'a [u8]> {
        Lines { rest: self.headers }.find(|line| line.name.eq_ignore_ascii_case(name.as_bytes())).map(|line| line.value)
    }
}

/// Reads a message.
///
/// # Errors
/// Why there is nothing to read; see [`Unread`].
pub fn scan(payload: &[u8]) -> Result<Scanned<'_>, Unread> {
    // Leading CRLFs are keep-alives (RFC 3261 §7.5).
    let mut skip = 0usize;
    while payload.get(skip).is_some_and(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
        skip = skip.saturating_add(1);
    }
    let payload = payload.get(skip..).unwrap_or_default();
    if payload.is_empty() {
        return Err(Unread::Empty);
    }
    let end = memchr::memchr(b'\n', payload).ok_or(Unread::NotSip)?;
    let start = start_line(payload.get(..end).unwrap_or_default()).ok_or(Unread::NotSip)?;
    let headers = payload.get(end.saturating_add(1)..).unwrap_or_default();
    read_headers(start, headers)
}

fn read_headers<'a>(start: Start<'a>, headers: &'a [u8]) -> Result<Scanned<'a>, Unread> {
    let asked = match start {
        Start::Request { method: Method::Foreign, .. } => return Err(Unread::NoCall),
        Start::Request { method, .. } => Some(method),
        Start::Response(_) => None,
    };
    let mut first: [Option<&'a [u8]>; KINDS] = [None; KINDS];
    let mut cseq = None;
    let mut lengths_agree = true;
    let mut lines = Lines { rest: headers };
    for line in lines.by_ref() {
        let Some(header) = Header::from_name(line.name) else { continue };
        let Some(slot) = first.get_mut(header.place()) else { continue };
        match (*slot, header) {
            (None, _) => *slot = Some(line.value),
            (Some(before), Header::CallId | Header::CSeq | Header::From | Header::To) if before != line.value => {
                return Err(Unread::Contradictory);
            }
            (Some(before), Header::ContentLength) => lengths_agree &= before == line.value,
            (Some(_), _) => {}
        }
        match (header, asked) {
            (Header::CSeq, _) => cseq = Some(read_cseq(line.value, asked)?),
            // A request outside a dialog of a method that needs one: read no further.
            (Header::To, Some(method)) if method.needs_dialog() && tag_of(line.value).is_none() => return Err(Unread::NoCall),
            _ => {}
        }
    }
    let mut scanned = Scanned { start, call_id: &[], cseq, body: None, first, headers };
    scanned.call_id = scanned.first(Header::CallId).filter(|value| !value.is_empty()).ok_or(Unread::NoCallId)?;
    if let Some(body) = body_after(lines.rest).filter(|_| lengths_agree) {
        scanned.body = match scanned.first(Header::ContentLength).map(decimal) {
            None => Some(body),
            Some(length) => length.and_then(|length| usize::try_from(length).ok()).and_then(|length| body.get(..length)),
        };
    }
    Ok(scanned)
}

/// The tag of a From or To value.
fn tag_of(value: &[u8]) -> Option<&[u8]> {
    NameAddr::parse(value).and_then(|address| address.tag())
}

fn read_cseq(value: &[u8], asked: Option<Method>) -> Result<CSeq, Unread> {
    let digits = value.iter().position(|byte| is_space(*byte)).ok_or(Unread::BadCSeq)?;
    let (number, name) = value.split_at_checked(digits).ok_or(Unread::BadCSeq)?;
    let number = decimal(number).ok_or(Unread::BadCSeq)?;
    let method = Method::from_name(trim(name));
    match asked {
        // A response says only here what it answers.
        None if method == Method::Foreign => Err(Unread::NoCall),
        Some(asked) if asked != method => Err(Unread::BadCSeq),
        None | Some(_) => Ok(CSeq { number, method }),
    }
}

/// `METHOD URI SIP/2.0` or `SIP/2.0 STATUS reason`. White space around and within is forgiven.
fn start_line(line: &[u8]) -> Option<Start<'_>> {
    const VERSION: &[u8] = b"SIP/2.0";
    let line = trim(line);
    let gap = line.iter().position(|byte| is_space(*byte))?;
    let (word, rest) = line.split_at_checked(gap)?;
    let rest = trim(rest);
    if word.eq_ignore_ascii_case(VERSION) {
        let digits = rest.iter().position(|byte| is_space(*byte)).unwrap_or(rest.len());
        let status = decimal(rest.get(..digits)?).filter(|status| digits == 3 && (100..700).contains(status))?;
        return Some(Start::Response(u16::try_from(status).ok()?));
    }
    let gap = rest.iter().rposition(|byte| is_space(*byte))?;
    let (uri, version) = rest.split_at_checked(gap)?;
    let names_method = word.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(byte));
    (trim(version).eq_ignore_ascii_case(VERSION) && names_method)
        .then(|| Start::Request { method: Method::from_name(word), uri: trim(uri) })
}

struct Line<'a> {
    name: &'a [u8],
    value: &'a [u8],
}

/// Header lines, folded ones joined, up to the blank line. What is cut off at the end is no line: only the byte after a
/// line end tells whether the value goes on.
struct Lines<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        loop {
            if matches!(self.rest, [b'\n', ..] | [b'\r', b'\n', ..] | []) {
                return None;
            }
            let mut end = 0usize;
            loop {
                let found = memchr::memchr(b'\n', self.rest.get(end..)?);
                let after = found.map(|found| end.saturating_add(found).saturating_add(1));
                match after.and_then(|after| self.rest.get(after).map(|next| (after, *next))) {
                    Some((after, b' ' | b'\t')) => end = after,
                    Some((after, _)) => {
                        end = after;
                        break;
                    }
                    None => {
                        self.rest = &[];
                        return None;
                    }
                }
            }
            let (line, rest) = self.rest.split_at_checked(end)?;
            self.rest = rest;
            // A line without a colon is nobody's header; the next one may be whole.
            let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
            let (name, value) = line.split_at_checked(colon)?;
            return Some(Line { name: trim(name), value: trim(value.get(1..).unwrap_or_default()) });
        }
    }
}

/// What follows the blank line; `None` if the message is cut before it.
fn body_after(rest: &[u8]) -> Option<&[u8]> {
    match rest {
        [b'\n', body @ ..] | [b'\r', b'\n', body @ ..] => Some(body),
        _ => None,
    }
}
