//! rsip as an oracle: where it accepts a message and yields a value, ours must be the same.
//!
//! It is no judge of what may be read: it refuses compact names, folding, tel: and IPv6, among much that is daily fare. Its
//! known mistakes are listed in [`forgiven`], each by name; anything else that differs is ours.

use super::addr::{NameAddr, Uri, user_of};
use super::fields::branch_key;
use super::method::Method;
use super::scan::{CSeq, Header, Scanned, Start, scan};
use proptest::prelude::*;
use rsip::prelude::{HeadersExt, ToTypedHeader, UntypedHeader};
use rsip::{Request, Response, SipMessage};

/// What both readers are asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Read {
    status: Option<u16>,
    call_id: Option<String>,
    cseq: Option<u32>,
    /// User and tag of From, then of To.
    parties: [Option<(String, String)>; 2],
    request_user: Option<String>,
    branch: Option<String>,
}

fn by_rsip(payload: &[u8]) -> Option<Read> {
    let message = SipMessage::try_from(payload).ok()?;
    let mut read = Read::default();
    match &message {
        SipMessage::Request(Request { uri, .. }) => read.request_user = uri.user().map(str::to_owned),
        SipMessage::Response(Response { status_code, .. }) => read.status = Some(status_code.code()),
    }
    read.call_id = message.call_id_header().ok().map(|header| header.value().to_owned());
    read.cseq = message.cseq_header().ok().and_then(|header| header.typed().ok()).map(|cseq| cseq.seq);
    let text = |tag: Option<&rsip::param::Tag>| tag.map(|tag| tag.value().to_owned()).unwrap_or_default();
    read.parties = [
        message.from_header().ok().and_then(|header| header.typed().ok()).map(|from| (user(&from.uri), text(from.tag()))),
        message.to_header().ok().and_then(|header| header.typed().ok()).map(|to| (user(&to.uri), text(to.tag()))),
    ];
    let via = message.via_header().ok().and_then(|header| header.typed().ok());
    read.branch = via.and_then(|via| via.branch().map(|branch| branch.value().to_owned()));
    Some(read)
}

fn user(uri: &rsip::Uri) -> String {
    uri.user().unwrap_or_default().to_owned()
}

fn by_us(seen: &Scanned<'_>) -> Read {
    let party = |header| {
        let address = NameAddr::parse(seen.first(header)?)?;
        let uri = Uri::parse(address.uri)?;
        let tag = String::from_utf8(address.tag().unwrap_or_default().to_vec()).ok()?;
        Some((String::from_utf8(uri.user.to_vec()).ok()?, tag))
    };
    let (status, request_user) = match seen.start {
        Start::Request { uri, .. } => (None, Uri::parse(uri).and_then(|uri| String::from_utf8(uri.user.to_vec()).ok())),
        Start::Response(status) => (Some(status), None),
    };
    Read {
        status,
        call_id: String::from_utf8(seen.call_id.to_vec()).ok(),
        cseq: seen.cseq.map(|cseq| cseq.number),
        parties: [party(Header::From), party(Header::To)],
        request_user: request_user.filter(|user| !user.is_empty()),
        branch: branch_key(seen, seen.cseq.unwrap_or(CSeq { number: 0, method: Method::Invite }))
            .and_then(|key| String::from_utf8(key.into_owned()).ok()),
    }
}

/// rsip's mistakes, each of which makes a difference that is not ours.
fn forgiven(payload: &[u8], what: &str, theirs: &str) -> Option<&'static str> {
    let raw = String::from_utf8_lossy(payload);
    let compact = |line: &str| line.split_once(':').is_some_and(|(name, _)| matches!(name.trim(), "i" | "f" | "t" | "v"));
    match what {
        _ if raw.replace("\r\n", "").contains(['\r', '\n']) => Some("it ends a line at CRLF only, and reads on over what is broken"),
        "From" | "To" | "Request-URI" if raw.contains(":+") => Some("it takes a sign in a port"),
        "Call-ID" if theirs.trim_end() != theirs => Some("it keeps the blanks at the end of a value"),
        _ if raw.lines().any(compact) => Some("it files compact names under others, and finds another first value"),
        "From" | "To" | "Request-URI" if theirs.starts_with(['.', '-', '_', '~', ';']) || theirs.is_empty() => {
            Some("it misses a user part that begins with a mark")
        }
        "From" | "To" if !raw.contains(&format!("\r\n{what}: sip:")) && !lines_of(&raw, what).any(|line| line.contains("<sip:")) => {
            Some("it takes any word for a scheme, or the user for one")
        }
        "Request-URI" if !raw.lines().next().is_some_and(|line| line.contains(" sip:")) => {
            Some("it takes any word for a scheme, or the user for one")
        }
        _ => None,
    }
}

fn lines_of<'a>(raw: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    raw.lines().filter(move |line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(':')))
}

/// Whether both readers say the same; with `Deep`, of what stands inside addresses and Via too.
#[track_caller]
fn agree(payload: &[u8], depth: Depth) {
    let Some(theirs) = by_rsip(payload) else { return };
    let Ok(seen) = scan(payload) else {
        // We refuse what contradicts itself, and do not read on where no call is concerned; rsip checks neither, and takes
        // any text for a Call-ID, a status or a version.
        return;
    };
    let ours = by_us(&seen);
    let text = |party: &Option<(String, String)>| party.as_ref().map(|(user, tag)| format!("{user};{tag}"));
    let branch = |branch: &Option<String>| branch.clone().filter(|branch| branch.starts_with("z9hG4bK") && branch.len() > 7);
    let fields = [
        ("status", theirs.status.map(|status| status.to_string()), ours.status.map(|status| status.to_string())),
        ("Call-ID", theirs.call_id, ours.call_id),
        ("CSeq", theirs.cseq.map(|cseq| cseq.to_string()), ours.cseq.map(|cseq| cseq.to_string())),
        ("From", text(&theirs.parties[0]), text(&ours.parties[0])),
        ("To", text(&theirs.parties[1]), text(&ours.parties[1])),
        ("Request-URI", theirs.request_user, ours.request_user),
        ("branch", branch(&theirs.branch), branch(&ours.branch)),
    ];
    let count = match depth {
        Depth::Deep => fields.len(),
        Depth::Shallow => 3,
    };
    for (what, theirs, ours) in fields.into_iter().take(count) {
        let Some(theirs) = theirs else { continue };
        if ours.as_ref() != Some(&theirs) && forgiven(payload, what, &theirs).is_none() {
            panic!("{what}: rsip {theirs:?}, ours {ours:?}\n{}", payload.escape_ascii());
        }
    }
}

/// How much is compared. Where delimiters are damaged, rsip splits inside quotes and brackets, glues queries to hosts and
/// takes two `@`: then only what stands outside addresses is.
#[derive(Clone, Copy, Debug)]
enum Depth {
    Deep,
    Shallow,
}

/// A message built by rsip from its own types.
fn built(user: &str, host: &str, tag: &str, branch: &str, number: u32, response: Option<u16>) -> Vec<u8> {
    let uri = rsip::Uri::try_from(format!("sip:{user}@{host}").as_str()).expect("a URI");
    let address = |tag: &str| {
        let params = if tag.is_empty() { vec![] } else { vec![rsip::Param::Tag(tag.into())] };
        (Some("Somebody".to_owned()), uri.clone(), params)
    };
    let (display_name, from_uri, params) = address(tag);
    let from = rsip::typed::From { display_name, uri: from_uri, params };
    let (display_name, to_uri, params) = address(if response.is_some() { "far" } else { "" });
    let to = rsip::typed::To { display_name, uri: to_uri, params };
    let via = rsip::typed::Via {
        version: rsip::Version::V2,
        transport: rsip::Transport::Udp,
        uri: rsip::Uri { host_with_port: (host, 5060).into(), ..Default::default() },
        params: vec![rsip::Param::Branch(branch.into())],
    };
    let mut headers = rsip::Headers::default();
    headers.push(via.into());
    headers.push(from.into());
    headers.push(to.into());
    headers.push(rsip::headers::CallId::new(format!("{tag}@{host}")).into());
    headers.push(rsip::typed::CSeq { seq: number, method: rsip::Method::Invite }.into());
    let version = rsip::Version::V2;
    match response {
        None => Request { method: rsip::Method::Invite, uri, version, headers, body: vec![] }.into(),
        Some(code) => Response { status_code: code.into(), version, headers, body: vec![] }.into(),
    }
}

const WIRE: [&str; 3] = [
    "INVITE sip:+4989555010@192.0.2.2:5060;user=phone SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bK-1\r\nMax-Forwards: 70\r\nFrom: \"Anna\" <sip:+4989123@192.0.2.1>;tag=f1\r\nTo: <sip:+4989555010@192.0.2.2>\r\nCall-ID: abc-1@192.0.2.1\r\nCSeq: 1 INVITE\r\nContact: <sip:123@192.0.2.1:5060>\r\nContent-Length: 0\r\n\r\n",
    "SIP/2.0 180 Ringing\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK-1;received=192.0.2.1\r\nFrom: <sip:201@192.0.2.1>;tag=f1\r\nTo: <sip:202@192.0.2.2>;tag=t1\r\nCall-ID: abc-1\r\nCSeq: 71 INVITE\r\nContent-Length: 0\r\n\r\n",
    "BYE sip:201@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK-2\r\nFrom: sip:201@192.0.2.1;tag=f1\r\nTo: sip:202@192.0.2.2;tag=t1\r\nCall-ID: abc-1\r\nCSeq: 2 BYE\r\nContent-Length: 0\r\n\r\n",
];

#[test]
fn both_read_what_is_plain() {
    for wire in WIRE {
        let theirs = by_rsip(wire.as_bytes()).expect("rsip reads it");
        assert!(theirs.parties.iter().all(Option::is_some) && theirs.branch.is_some(), "{theirs:?}");
        agree(wire.as_bytes(), Depth::Deep);
    }
}

proptest! {
    #[test]
    fn what_rsip_builds_is_read_back(
        user in "[+]?[a-zA-Z0-9][a-zA-Z0-9._~!*'()-]{0,19}",
        host in "[a-z][a-z0-9]{0,8}(\\.[a-z]{2,5}){1,2}",
        tag in "[a-zA-Z0-9.!%*_+`'~-]{1,30}",
        branch in "z9hG4bK[a-zA-Z0-9.-]{1,40}",
        number in any::<u32>(),
        response in proptest::option::of(100u16..700),
    ) {
        let payload = built(&user, &host, &tag, &branch, number, response);
        let seen = scan(&payload).expect("a message");
        let address = NameAddr::parse(seen.first(Header::From).expect("From")).expect("an address");
        prop_assert_eq!(user_of(address.uri).as_str().to_owned(), user);
        prop_assert_eq!(address.tag(), Some(tag.as_bytes()));
        prop_assert_eq!(seen.call_id.to_vec(), format!("{tag}@{host}").into_bytes());
        prop_assert_eq!(seen.cseq.map(|cseq| cseq.number), Some(number));
        prop_assert_eq!(by_us(&seen).branch, Some(branch));
        prop_assert_eq!(by_us(&seen).status, response);
        agree(&payload, Depth::Deep);
    }

    #[test]
    fn where_rsip_reads_damage_ours_agrees(
        which in 0usize..3,
        damage in proptest::collection::vec((0usize..420, any::<proptest::sample::Index>()), 0..4),
        insert in any::<bool>(),
        deep in any::<bool>(),
    ) {
        let bytes: &[u8] = if deep { b".-+_~aZ09" } else { b" \t;:,<>\"@=%?&/.-+aZ09\r\n\\[]" };
        let mut payload = WIRE[which].as_bytes().to_vec();
        for (place, byte) in damage {
            let byte = *byte.get(bytes);
            if place < payload.len() {
                match (insert, deep && !payload[place].is_ascii_alphanumeric()) {
 (true, _) => payload.insert(place, byte),
(false, false) => payload[place] = byte,
 (false, true) => {}
 }
            }
        }
        agree(&payload, if deep { Depth::Deep } else { Depth::Shallow });
    }
}
