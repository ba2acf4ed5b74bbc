//! Headers beyond addresses: Via, Session-Expires, Reason, Privacy, who an identity header names, and what joins legs.
//!
//! The one invariant: a value that cannot be read counts as missing.

use super::addr::{NameAddr, header_param, number_in, user_of};
use super::event::{Privacy, Reason};
use super::scan::{CSeq, Header, Scanned};
use super::text::{cut, decimal, is_space, param, pieces, trim};
use crate::units::{RawNumber, Seconds};
use std::borrow::Cow;

/// What names the transaction of a message (RFC 3261 §17.1.3, §17.2.3); `None` without a Via.
///
/// A branch that is more than the magic cookie names it alone. Otherwise (RFC 4475 §3.2.1 "badbranch", RFC 2543) the
/// sender, its branch and the CSeq number do, so that two transactions of such a sender stay apart.
pub(super) fn branch_key<'a>(scanned: &Scanned<'a>, cseq: CSeq) -> Option<Cow<'a, [u8]>> {
    const COOKIE: &[u8] = b"z9hG4bK";
    let via = scanned.first(Header::Via)?;
    let (top, _) = cut(via, b',');
    let (protocol, params) = cut(top, b';');
    let branch = params.and_then(|params| param(params, b"branch")).unwrap_or_default();
    // The cookie compares without regard to case, as tokens do (§7.3.1).
    let cookie = branch.get(..COOKIE.len()).is_some_and(|start| start.eq_ignore_ascii_case(COOKIE));
    if cookie && branch.len() > COOKIE.len() {
        return Some(Cow::Borrowed(branch));
    }
    let protocol = trim(protocol);
    let sent_by = protocol.iter().rposition(|byte| is_space(*byte)).and_then(|gap| protocol.get(gap..)).map_or(protocol, trim);
    Some(Cow::Owned([sent_by, branch, &cseq.number.to_be_bytes()].join(&0)))
}

/// The interval of a session timer (RFC 4028 §4). Less than 90 s, which the RFC forbids, counts as 90 s.
pub(super) fn session_expires(scanned: &Scanned<'_>) -> Option<Seconds> {
    let (interval, _refresher) = cut(scanned.first(Header::SessionExpires)?, b';');
    decimal(trim(interval)).map(|seconds| Seconds::new(u64::from(seconds.max(90))))
}

/// The first Reason that can be read.
pub(super) fn reason(scanned: &Scanned<'_>) -> Option<Reason> {
    scanned.values(Header::Reason).find_map(|value| {
        let (protocol, params) = cut(value, b';');
        let cause = u16::try_from(decimal(param(params?, b"cause")?)?).ok()?;
        match trim(protocol) {
            name if name.eq_ignore_ascii_case(b"Q.850") => Some(Reason::Q850(cause)),
            name if name.eq_ignore_ascii_case(b"SIP") => Some(Reason::Sip(cause)),
            _ => None,
        }
    })
}

/// What the sender asked to be hidden.
pub(super) fn privacy(scanned: &Scanned<'_>) -> Privacy {
    let is = |wish: &[u8]| [&b"id"[..], b"user", b"header", b"session"].iter().any(|hides| wish.eq_ignore_ascii_case(hides));
    let asked = scanned.values(Header::Privacy).any(|value| pieces(value, b';').any(is));
    let full = scanned
        .values(Header::RemotePartyId)
        .any(|value| header_param(value, "privacy").is_some_and(|wish| wish.eq_ignore_ascii_case(b"full")));
    if asked || full { Privacy::Withheld } else { Privacy::None }
}

/// The first P-Asserted-Identity that holds a number.
pub(super) fn asserted(scanned: &Scanned<'_>) -> Option<RawNumber> {
    scanned.values(Header::AssertedIdentity).find_map(number_in)
}

/// The first Remote-Party-ID that holds a number and is not about the other party.
pub(super) fn remote_party(scanned: &Scanned<'_>, other: &[u8]) -> Option<RawNumber> {
    scanned
        .values(Header::RemotePartyId)
        .filter(|value| !header_param(value, "party").is_some_and(|party| party.eq_ignore_ascii_case(other)))
        .find_map(number_in)
}

/// Who the sender says is on the line now (RFC 5876 §3.2).
pub(super) fn connected(scanned: &Scanned<'_>) -> Option<RawNumber> {
    asserted(scanned).or_else(|| remote_party(scanned, b""))
}

/// So many diversions of a call are read; more are a loop.
const MOST_DIVERSIONS: usize = 8;

/// Whom a call was for before it came here, the first one first: by History-Info (RFC 7044), else by Diversion (RFC 5806, which
/// has the latest first).
pub(super) fn diverted(scanned: &Scanned<'_>) -> Box<[RawNumber]> {
    let user = |value: &[u8]| NameAddr::parse(value).map(|address| user_of(address.uri)).filter(|user| !user.as_str().is_empty());
    let mut history: Vec<RawNumber> = scanned.values(Header::HistoryInfo).take(MOST_DIVERSIONS).filter_map(user).collect();
    // The last entry is whom it is for now.
    history.pop();
    if history.is_empty() {
        history = scanned.values(Header::Diversion).take(MOST_DIVERSIONS).filter_map(user).collect();
        history.reverse();
    }
    history.into()
}

/// The longest value that joins legs: real ones have tens of bytes.
const LONGEST_KEY: usize = 256;

/// What a header that a switch copies from leg to leg says, without what differs between them: of Session-ID the first
/// identifier (RFC 7989 §5; of zeros alone, the sender knows none), of P-Charging-Vector the icid-value (RFC 7315 §4.6), of
/// any other all of it.
pub(super) fn leg_key(name: &str, value: &[u8]) -> Option<Box<str>> {
    let key = if name.eq_ignore_ascii_case("session-id") {
        let id = cut(value, b';').0;
        trim(id).iter().any(|digit| *digit != b'0').then(|| trim(id).to_ascii_lowercase())?
    } else if name.eq_ignore_ascii_case("p-charging-vector") {
        param(value, b"icid-value")?.to_vec()
    } else {
        trim(value).to_vec()
    };
    (1..=LONGEST_KEY).contains(&key.len()).then(|| String::from_utf8_lossy(&key).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_joins_legs_is_told_from_what_differs() {
        for (name, value, key) in [
            ("X-CID", "a@b;c", Some("a@b;c")),
            ("X-CID", "", None),
            (
                "session-id",
                "AB30317f1a784dc48ff824d0d3715d86;remote=47755a9de7794ba387653f2099600ef2",
                Some("ab30317f1a784dc48ff824d0d3715d86"),
            ),
            ("Session-ID", "ab30317f1a784dc48ff824d0d3715d86", Some("ab30317f1a784dc48ff824d0d3715d86")),
            ("Session-ID", "00000000000000000000000000000000;remote=47755a9de7794ba387653f2099600ef2", None),
            ("P-Charging-Vector", "icid-value=\"1234bc9876e;x\";icid-generated-at=192.0.6.8;orig-ioi=home1.net", Some("1234bc9876e;x")),
            ("p-charging-vector", "orig-ioi=home1.net; ICID-value=99", Some("99")),
            ("p-charging-vector", "orig-ioi=home1.net", None),
        ] {
            assert_eq!(leg_key(name, value.as_bytes()).as_deref(), key, "{name}: {value}");
        }
        assert_eq!(leg_key("x", &[b'a'; LONGEST_KEY + 1]), None);
    }
}
