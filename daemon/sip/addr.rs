//! Who a header names: name-addr and addr-spec, sip, sips and tel URIs (RFC 3261 §19.1, §20.10, §25.1; RFC 3966).
//!
//! The one invariant: what cannot be read gives `None` or an empty number, never part of another field.

use super::event::{Identity, Replaces};
use super::text::{cut, is_space, param, pieces, trim, unescape};
use crate::units::RawNumber;

/// `"Name" <uri>;params`, or `uri;params` (whose parameters then belong to the header, RFC 3261 §20).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameAddr<'a> {
    /// The display name, perhaps in quotes, perhaps not UTF-8; empty if there is none.
    pub display: &'a [u8],
    /// The URI, without `<>`.
    pub uri: &'a [u8],
    params: &'a [u8],
}

impl<'a> NameAddr<'a> {
    /// One value of From, To, Contact and the like; `None` if it holds no address.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let value = trim(value);
        let (display, uri, params) = match open_bracket(value) {
            Some(open) => {
                let (display, rest) = value.split_at_checked(open)?;
                let rest = rest.get(1..)?;
                let close = memchr::memchr(b'>', rest)?;
                let (uri, after) = rest.split_at_checked(close)?;
                (trim(display), trim(uri), after.get(1..).unwrap_or_default())
            }
            None => {
                let (uri, params) = cut(value, b';');
                (&[][..], trim(uri), params.unwrap_or_default())
            }
        };
        (!uri.is_empty()).then_some(Self { display, uri, params })
    }

    /// A parameter of the header; empty for one without value.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&'a [u8]> {
        param(self.params, name.as_bytes())
    }

    /// The tag, if there is one and it is not empty.
    #[must_use]
    pub fn tag(&self) -> Option<&'a [u8]> {
        // Nearly every From and To ends in `;tag=…` and nothing else.
        let tag = match self.params.strip_prefix(b";tag=") {
            Some(tag) if !tag.iter().any(|byte| is_space(*byte) || matches!(byte, b';' | b'"')) => tag,
            _ => self.param("tag")?,
        };
        (!tag.is_empty()).then_some(tag)
    }
}

/// The `<` that opens the address: the first one outside the quoted display name.
fn open_bracket(value: &[u8]) -> Option<usize> {
    match value.first() {
        Some(b'<') => Some(0),
        Some(b'"') => find_open(value),
        _ => memchr::memchr2(b'<', b'"', value)
            .and_then(|place| if value.get(place) == Some(&b'<') { Some(place) } else { find_open(value) }),
    }
}

fn find_open(value: &[u8]) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (place, byte) in value.iter().copied().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'<' if !quoted => return Some(place),
            _ => {}
        }
    }
    None
}

/// What kind of address a URI is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// sip:
    Sip,
    /// sips:
    Sips,
    /// tel:
    Tel,
}

/// A sip, sips or tel URI, in places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uri<'a> {
    /// Its scheme.
    pub scheme: Scheme,
    /// The user part with its parameters, without password; of tel:, the number. Escapes are not decoded.
    pub user: &'a [u8],
    /// The host; an IPv6 address stands without its brackets. Empty for tel:.
    pub host: &'a [u8],
    /// The port, if it says one.
    pub port: Option<u16>,
    params: &'a [u8],
    headers: &'a [u8],
}

impl<'a> Uri<'a> {
    /// Reads a URI; `None` for other schemes, and for a host or port that cannot be one.
    #[must_use]
    pub fn parse(uri: &'a [u8]) -> Option<Self> {
        let uri = trim(uri);
        let colon = memchr::memchr(b':', uri)?;
        let (scheme, rest) = uri.split_at_checked(colon)?;
        let rest = rest.get(1..)?;
        let scheme = match scheme {
            name if name.eq_ignore_ascii_case(b"sip") => Scheme::Sip,
            name if name.eq_ignore_ascii_case(b"sips") => Scheme::Sips,
            name if name.eq_ignore_ascii_case(b"tel") => Scheme::Tel,
            _ => return None,
        };
        if scheme == Scheme::Tel {
            let (user, params) = split(rest, b';');
            return (!user.is_empty()).then_some(Self { scheme, user, host: &[], port: None, params, headers: &[] });
        }
        // The user part may hold `;`, `?` and `/`, the rest no bare `@`: the first `@` ends it.
        let (user, rest) = match memchr::memchr(b'@', rest) {
            Some(at) => (rest.get(..at)?, rest.get(at.saturating_add(1)..)?),
            None => (&[][..], rest),
        };
        let (user, _password) = split(user, b':');
        let (rest, headers) = split(rest, b'?');
        let (authority, params) = split(rest, b';');
        let (host, port) = host_and_port(trim(authority))?;
        Some(Self { scheme, user, host, port, params, headers })
    }

    /// The user part (or tel: number) as a number: its parameters cut off, escapes decoded, visual separators kept.
    #[must_use]
    pub fn number(&self) -> RawNumber {
        RawNumber::from_bytes(&unescape(split(self.user, b';').0))
    }

    /// A parameter of the URI.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&'a [u8]> {
        param(self.params, name.as_bytes())
    }

    /// A header that the URI asks to be sent, as it stands, escapes and all.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.headers.split(|byte| *byte == b'&').find_map(|pair| {
            let (key, value) = split(pair, b'=');
            unescape(key).eq_ignore_ascii_case(name.as_bytes()).then_some(value)
        })
    }
}

/// The two sides of the first separator, wherever it stands; the second is empty if there is none.
fn split(bytes: &[u8], separator: u8) -> (&[u8], &[u8]) {
    match memchr::memchr(separator, bytes) {
        Some(place) => (bytes.get(..place).unwrap_or_default(), bytes.get(place.saturating_add(1)..).unwrap_or_default()),
        None => (bytes, &[]),
    }
}

fn host_and_port(authority: &[u8]) -> Option<(&[u8], Option<u16>)> {
    let (host, port) = match authority {
        [b'[', rest @ ..] => {
            let (host, after) = rest.split_at_checked(memchr::memchr(b']', rest)?)?;
            match after.get(1..)? {
                [] => (host, None),
                [b':', port @ ..] => (host, Some(port)),
                _ => return None,
            }
        }
        _ => match memchr::memchr(b':', authority) {
            Some(colon) => (authority.get(..colon)?, authority.get(colon.saturating_add(1)..)),
            None => (authority, None),
        },
    };
    // A host is nobody's number: an odd one does not cost the user part, one that shows a wrong split does.
    let good = |byte: &u8| byte.is_ascii_graphic() && !b"@<>\"\\,[]".contains(byte);
    if host.is_empty() || !host.iter().all(good) {
        return None;
    }
    match port.map(trim) {
        None => Some((host, None)),
        Some(port) => Some((host, Some(u16::try_from(super::text::decimal(port)?).ok()?))),
    }
}

/// Who an address names; an address that cannot be read is an anonymous one without number.
#[must_use]
pub(super) fn identity(value: Option<&[u8]>) -> Identity {
    let uri = value.and_then(NameAddr::parse).and_then(|address| Uri::parse(address.uri));
    let number = uri.map_or_else(|| RawNumber::from_bytes(b""), |uri| uri.number());
    let nobody = ["", "anonymous", "unknown", "restricted"].iter().any(|name| number.as_str().eq_ignore_ascii_case(name));
    let nowhere = uri.is_some_and(|uri| uri.host.eq_ignore_ascii_case(b"anonymous.invalid"));
    Identity { number, anonymous: nobody || nowhere }
}

/// The user part of a URI, empty where it has none.
#[must_use]
pub(super) fn user_of(uri: &[u8]) -> RawNumber {
    Uri::parse(uri).map_or_else(|| RawNumber::from_bytes(b""), |uri| uri.number())
}

/// The number that one value of an identity header holds: `None` for a name, or nothing.
#[must_use]
pub(super) fn number_in(value: &[u8]) -> Option<RawNumber> {
    let uri = Uri::parse(NameAddr::parse(value)?.uri)?;
    let user = unescape(split(uri.user, b';').0);
    let dialled = |byte: &u8| byte.is_ascii_digit() || b"+*#-.() ".contains(byte);
    (user.iter().all(dialled) && user.iter().any(u8::is_ascii_digit)).then(|| uri.number())
}

/// Replaces, as its header has it (RFC 3891 §6.1): `call-id;to-tag=…;from-tag=…`. `None` also for one longer than any
/// dialog's names can be.
#[must_use]
pub(super) fn replaces(value: &[u8]) -> Option<Replaces> {
    let call_id = pieces(value, b';').next().filter(|call_id| !call_id.is_empty() && value.len() <= 4_096)?;
    let tag = |name: &str| param(value, name.as_bytes()).filter(|tag| !tag.is_empty());
    Some(Replaces { call_id: call_id.into(), to_tag: tag("to-tag")?.into(), from_tag: tag("from-tag")?.into() })
}

/// Refer-To: whom the other side shall call, and the dialog that shall be taken over (RFC 3515 §2.1, RFC 3891).
#[must_use]
pub(super) fn refer_to(value: &[u8]) -> Option<(RawNumber, Option<Replaces>)> {
    let uri = Uri::parse(NameAddr::parse(value)?.uri)?;
    let replaces = uri.header("Replaces").and_then(|escaped| replaces(&unescape(escaped)));
    Some((uri.number(), replaces))
}

/// Whether a value has a parameter, as in `<sip:…>;privacy=full`.
#[must_use]
pub(super) fn header_param<'a>(value: &'a [u8], name: &str) -> Option<&'a [u8]> {
    NameAddr::parse(value).and_then(|address| address.param(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (value, display, URI, tag)
    #[test]
    fn addresses_are_split() {
        for (value, expected) in [
            ("<sip:a@b>;tag=1", Some(("", "sip:a@b", Some("1")))),
            ("sip:a@b;tag=1", Some(("", "sip:a@b", Some("1")))),
            ("\"A <x>;tag=no\" <sip:a@b;tag=no>;x=2 ; TAG = 1", Some(("\"A <x>;tag=no\"", "sip:a@b;tag=no", Some("1")))),
            ("\"quote \\\" <\" <sip:a@b>", Some(("\"quote \\\" <\"", "sip:a@b", None))),
            ("Anna Bell <tel:+49-89-1>", Some(("Anna Bell", "tel:+49-89-1", None))),
            ("<sip:a@b>;tag=", Some(("", "sip:a@b", None))),
            ("<sip:a@b>;tag=\"1\"", Some(("", "sip:a@b", Some("1")))),
            ("<sip:a@b>\r\n ;tag=1", Some(("", "sip:a@b", Some("1")))),
            ("\"never closed <sip:a@b>", Some(("", "\"never closed <sip:a@b>", None))),
            ("<sip:a@b", None),
            ("<>", None),
            ("", None),
        ] {
            let found = NameAddr::parse(value.as_bytes());
            let expected = expected.map(|(display, uri, tag)| (display.as_bytes(), uri.as_bytes(), tag.map(str::as_bytes)));
            assert_eq!(found.map(|address| (address.display, address.uri, address.tag())), expected, "{value}");
        }
    }

    /// (URI, number, host, port)
    #[test]
    fn uris_are_split() {
        for (uri, expected) in [
            ("sip:+4989555010@192.0.2.1:5060;user=phone", Some(("+4989555010", "192.0.2.1", Some(5060)))),
            ("SIPS:201@[2001:db8::1]", Some(("201", "2001:db8::1", None))),
            ("sip:201@[2001:db8::1]:5061;transport=tcp", Some(("201", "2001:db8::1", Some(5061)))),
            ("sip:%2B4989:secret@host", Some(("+4989", "host", None))),
            ("sip:+4989;npdi;rn=+49@host;x", Some(("+4989", "host", None))),
            ("sip:user;par=u%40example.net@example.com", Some(("user", "example.com", None))),
            (
                "sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com",
                Some(("1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/", "example.com", None)),
            ),
            ("sip:null-%00-null@example.com", Some(("null-\0-null", "example.com", None))),
            ("tel:+49-89-(555)010;phone-context=x", Some(("+49-89-(555)010", "", None))),
            ("sip:127.0.0.11:5060", Some(("", "127.0.0.11", Some(5060)))),
            ("sip:203@h?Replaces=a%40b%3Bto-tag%3D1", Some(("203", "h", None))),
            ("sip:a@h:port", None),
            ("sip:a@h:65536", None),
            ("sip:a@[::1", None),
            ("sip:a@", None),
            ("urn:service:sos", None),
            ("<sip:a@h>", None),
            ("mailto:a@h", None),
        ] {
            let found = Uri::parse(uri.as_bytes());
            let found = found.map(|uri| (uri.number(), uri.host.to_vec(), uri.port));
            let expected = expected.map(|(user, host, port)| (RawNumber::from_bytes(user.as_bytes()), host.as_bytes().to_vec(), port));
            assert_eq!(found, expected, "{uri}");
        }
    }

    #[test]
    fn anonymous_callers_are_seen() {
        for (value, number, anonymous) in [
            ("\"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=1", "anonymous", true),
            ("<sip:+4989@anonymous.invalid>", "+4989", true),
            ("<sip:Restricted@192.0.2.1>", "Restricted", true),
            ("<sip:unknown@192.0.2.1>", "unknown", true),
            ("<sip:192.0.2.1>", "", true),
            ("\"Anonymous\" <sip:+4989@192.0.2.1>", "+4989", false),
            ("tel:+4989;tag=1", "+4989", false),
            ("garbage", "", true),
        ] {
            let expected = Identity { number: RawNumber::from_bytes(number.as_bytes()), anonymous };
            assert_eq!(identity(Some(value.as_bytes())), expected, "{value}");
        }
        assert!(identity(None).anonymous);
    }

    #[test]
    fn asserted_identities_hold_numbers_or_names() {
        for (value, number) in [
            ("<tel:+49-89-555010>", Some("+49-89-555010")),
            ("\"Desk\" <sip:201@192.0.2.1>", Some("201")),
            ("sip:%2B4989@x", Some("+4989")),
            ("<sip:alice@x>", None),
            ("<sip:x>", None),
            ("<sip:+@x>", None),
        ] {
            assert_eq!(number_in(value.as_bytes()), number.map(|number| RawNumber::from_bytes(number.as_bytes())), "{value}");
        }
    }

    #[test]
    fn refer_to_names_a_dialog_to_take_over() {
        let value = b"<sip:203@h?x=1&replaces=a-1%40h%3Bto-tag%3Dt%3Bfrom-tag%3Df>";
        let expected = Replaces { call_id: b"a-1@h"[..].into(), to_tag: b"t"[..].into(), from_tag: b"f"[..].into() };
        assert_eq!(refer_to(value), Some((RawNumber::from_bytes(b"203"), Some(expected))));
        assert_eq!(refer_to(b"<tel:+4989>"), Some((RawNumber::from_bytes(b"+4989"), None)));
        // A dialog named by half is none.
        assert_eq!(refer_to(b"<sip:203@h?Replaces=a%3Bto-tag%3Dt>"), Some((RawNumber::from_bytes(b"203"), None)));
        assert_eq!(refer_to(b"<http://x>"), None);
    }
}
