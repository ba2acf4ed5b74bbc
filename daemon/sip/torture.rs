//! Messages in the manner of RFC 4475, written anew after its descriptions, and any bytes at all.

mod rfc4475;

use super::addr::NameAddr;
use super::scan::{CSeq, Header, Scanned, Start, Unread, scan};
use super::{Dialogs, Method, Observed, Options};
use crate::units::{KeyedState, Message, Timestamp};
use proptest::prelude::*;

/// Lines of a message, with CRLF for each line break.
fn text(lines: &str) -> Vec<u8> {
    lines.replace('\n', "\r\n").into_bytes()
}

const PLAIN: &str = "INVITE sip:201@192.0.2.2 SIP/2.0
Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKx1, SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKx0
From: \"A, B\" <sip:+4989123@192.0.2.1>;tag=f1
To: <sip:201@192.0.2.2>
Call-ID: abc@192.0.2.1
CSeq: 17 INVITE
Contact: <sip:+4989123@192.0.2.1:5060>
P-Asserted-Identity: <sip:+4989123@192.0.2.1>, <tel:+4989123>
Content-Type: application/sdp
Content-Length: 5

v=0
";

fn with(from: &str, to: &str) -> Vec<u8> {
    assert!(PLAIN.contains(from), "{from}");
    text(&PLAIN.replacen(from, to, 1))
}

fn user_and_tag(scanned: &Scanned<'_>, header: Header) -> Option<(String, String)> {
    let address = NameAddr::parse(scanned.first(header)?)?;
    let user = super::addr::user_of(address.uri).as_str().to_owned();
    Some((user, String::from_utf8_lossy(address.tag().unwrap_or_default()).into_owned()))
}

#[track_caller]
fn check(name: &str, payload: &[u8], see: impl FnOnce(&Scanned<'_>) -> bool) {
    match scan(payload) {
        Ok(scanned) => assert!(see(&scanned), "{name}: {scanned:?}"),
        Err(error) => panic!("{name}: {error}"),
    }
}

#[test]
fn odd_but_valid_messages_are_read() {
    check("plain", &text(PLAIN), |seen| {
        seen.call_id == b"abc@192.0.2.1"
            && seen.cseq == Some(CSeq { number: 17, method: Method::Invite })
            && seen.start == Start::Request { method: Method::Invite, uri: b"sip:201@192.0.2.2" }
            && seen.body == Some(b"v=0\r\n")
            && seen.values(Header::AssertedIdentity).count() == 2
            && seen.named("content-TYPE") == Some(b"application/sdp")
            && user_and_tag(seen, Header::From) == Some(("+4989123".into(), "f1".into()))
    });
    // wsinv: folding, compact names, space before colons, odd case, an empty header, quoted pairs.
    let wsinv = text(
        "INVITE sip:vivekg@chair-dnrc.example.com;unknownparam SIP/2.0
TO :
 sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n
from   : \"J Rosenberg \\\\\\\"\"       <sip:jdrosen@example.com>
  ;
  tag = 98asjd8
MaX-fOrWaRdS: 0068
Call-ID: wsinv.ndaksdj@192.0.2.1
cseq: 0009
  INVITE
Via  : SIP  /   2.0
 /UDP
    192.0.2.2;branch=390skdjuw
s :
NewFangledHeader:   newfangled value
 continued newfangled value
Content-Type: application/sdp
v:  SIP  / 2.0  / TCP     spindle.example.com   ;
  branch  =   z9hG4bK9ikj8
m:\"Quoted string \\\"\\\"\" <sip:jdrosen@example.com> ; newparam =
      newvalue
l: 0

",
    );
    check("wsinv", &wsinv, |seen| {
        seen.cseq == Some(CSeq { number: 9, method: Method::Invite })
            && user_and_tag(seen, Header::From) == Some(("jdrosen".into(), "98asjd8".into()))
            && user_and_tag(seen, Header::To) == Some(("vivekg".into(), "1918181833n".into()))
            && seen.values(Header::Via).count() == 2
            && seen.first(Header::Contact).is_some_and(|contact| contact.starts_with(b"\"Quoted"))
            && seen.body == Some(b"")
    });
    // Line feeds alone, and keep-alives in front.
    let bare: Vec<u8> = b"\r\n\r\n".iter().chain(&text(PLAIN)).copied().filter(|byte| *byte != b'\r').collect();
    check("bare line feeds", &bare, |seen| {
        // Shorter than it says, now that each line is.
        seen.body.is_none() && seen.call_id == b"abc@192.0.2.1" && seen.cseq.is_some()
    });
    // dblreq: a second request after the first one's body is not part of it.
    let mut twice = with("Content-Length: 5\n\nv=0\n", "Content-Length: 0\n\n");
    twice.extend(with("abc@", "zzz@"));
    check("dblreq", &twice, |seen| seen.call_id == b"abc@192.0.2.1" && seen.body == Some(b""));
    // esc01, semiuri: escapes and semicolons in the user part.
    let esc = with("sip:201@192.0.2.2 SIP", "sip:sips%3Auser%40example.com@example.net SIP");
    check(
        "esc01",
        &esc,
        |seen| matches!(seen.start, Start::Request { uri, .. } if super::addr::user_of(uri).as_str() == "sips:user@example.com"),
    );
    let semi = with("sip:201@192.0.2.2 SIP", "sip:user;par=u%40example.net@example.com SIP");
    check("semiuri", &semi, |seen| matches!(seen.start, Start::Request { uri, .. } if super::addr::user_of(uri).as_str() == "user"));
    // Latin-1, NUL and UTF-8 where they do not belong.
    let mut latin = with("\"A, B\"", "\"M?ller\"");
    let place = latin.iter().position(|byte| *byte == b'?').expect("a question mark");
    latin[place] = 0xfc;
    check("latin-1", &latin, |seen| user_and_tag(seen, Header::From) == Some(("+4989123".into(), "f1".into())));
    // A line that is no header, between others that are.
    check("garbage line", &with("Contact:", "garbage\nContact:"), |seen| seen.first(Header::Contact).is_some());
    // unreason, noreason.
    for line in ["SIP/2.0 200 = 2**3 * 5**2 \u{43d}\u{43e}", "SIP/2.0 200 ", "SIP/2.0 200", "sip/2.0  200  OK"] {
        let answer = with("INVITE sip:201@192.0.2.2 SIP/2.0", line);
        check(line, &answer, |seen| seen.start == Start::Response(200));
    }
    // lwsruri, a trailing blank after the version.
    let blank = with("sip:201@192.0.2.2 SIP/2.0", "sip:201@192.0.2.2; lr  SIP/2.0  ");
    check("blanks", &blank, |seen| matches!(seen.start, Start::Request { uri: b"sip:201@192.0.2.2; lr", .. }));
}

#[test]
fn lengths_that_lie_cost_the_body_and_nothing_else() {
    for (name, length, body) in [
        ("clerr", "Content-Length: 9999", None),
        ("ncl", "Content-Length: -999", None),
        ("mcl01", "Content-Length: 5\nContent-Length: 2", None),
        ("the same twice", "Content-Length: 5\nl: 5", Some(&b"v=0\r\n"[..])),
        ("surplus", "Content-Length: 3", Some(b"v=0")),
        ("none", "X: y", Some(b"v=0\r\n")),
    ] {
        check(name, &with("Content-Length: 5", length), |seen| seen.body == body);
    }
}

#[test]
fn what_cannot_be_trusted_is_not_read() {
    for (name, payload, why) in [
        ("empty", Vec::new(), Unread::Empty),
        ("keep-alive", b"\r\n\r\n".to_vec(), Unread::Empty),
        ("zeros", vec![0; 4], Unread::Empty),
        ("noise", b"\x80\x60 RTP perhaps\n".to_vec(), Unread::NotSip),
        ("badvers", with("SIP/2.0\n", "SIP/7.0\n"), Unread::NotSip),
        ("bigcode", with("INVITE sip:201@192.0.2.2 SIP/2.0", "SIP/2.0 4294967301 better not"), Unread::NotSip),
        ("code 99", with("INVITE sip:201@192.0.2.2 SIP/2.0", "SIP/2.0 099 x"), Unread::NotSip),
        ("HTTP", with("INVITE sip:201@192.0.2.2 SIP/2.0", "GET / HTTP/1.1"), Unread::NotSip),
        ("no start line", b"INVITE sip:201@192.0.2.2 SIP/2.0".to_vec(), Unread::NotSip),
        ("insuf", with("Call-ID: abc@192.0.2.1\n", ""), Unread::NoCallId),
        ("empty Call-ID", with("abc@192.0.2.1", ""), Unread::NoCallId),
        ("multi01", with("CSeq: 17", "i: other\nCSeq: 17"), Unread::Contradictory),
        ("multi01, CSeq", with("CSeq: 17", "CSeq: 8 INVITE\nCSeq: 17"), Unread::Contradictory),
        ("scalarlg", with("CSeq: 17", "CSeq: 36893488147419103232"), Unread::BadCSeq),
        ("mismatch01", with("CSeq: 17 INVITE", "CSeq: 17 OPTIONS"), Unread::BadCSeq),
        ("negative", with("CSeq: 17", "CSeq: -1"), Unread::BadCSeq),
        ("no method", with("CSeq: 17 INVITE", "CSeq: 17"), Unread::BadCSeq),
        ("register", with("INVITE sip:", "REGISTER sip:"), Unread::NoCall),
        ("options", with("INVITE sip:", "OPTIONS sip:"), Unread::NoCall),
        ("intmeth", with("INVITE sip:", "!interesting-Method0123456789_*+`.%indeed'~ sip:"), Unread::NoCall),
    ] {
        assert_eq!(scan(&payload).map(|seen| seen.call_id.to_vec()), Err(why), "{name}");
    }
    // The response to REGISTER is known by its CSeq.
    let answer = text(&PLAIN.replace("INVITE sip:201@192.0.2.2 SIP/2.0", "SIP/2.0 401 x").replace("17 INVITE", "17 REGISTER"));
    assert_eq!(scan(&answer).map(|seen| seen.body), Err(Unread::NoCall));
}

#[test]
fn a_message_without_tags_or_cseq_is_malformed() {
    let options = Options { contract_header: None, leg_headers: Vec::new(), max_legs: 9, key: KeyedState::new(0) };
    let mut dialogs = Dialogs::new(options);
    let mut out = Vec::new();
    for (line, observed) in [
        ("CSeq: 17 INVITE\n", Observed::Malformed),
        ("To: <sip:201@192.0.2.2>\n", Observed::Malformed),
        ("Contact: <sip:+4989123@192.0.2.1:5060>\n", Observed::Call),
        ("a Call-ID without end", Observed::Malformed),
    ] {
        let payload = match line {
            "a Call-ID without end" => with("abc@", &"a".repeat(1_025)),
            line => with(line, ""),
        };
        let address = "192.0.2.1:5060".parse().expect("an address");
        let message =
            Message { captured_at: Timestamp::default(), source: address, destination: address, correlation: None, payload: &payload };
        assert_eq!(dialogs.observe(&message, &mut out), observed, "{line}");
    }
}

proptest! {
    #[test]
    fn any_bytes_survive(payload in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = scan(&payload);
        let _ = super::addr::identity(Some(&payload));
        let _ = super::addr::refer_to(&payload);
        let _ = super::addr::replaces(&payload);
        let _ = super::sdp::flow(&payload);
    }

    #[test]
    fn a_message_with_damage_survives(damage in proptest::collection::vec((0usize..600, any::<u8>()), 1..12)) {
        let options = Options { contract_header: Some("X".into()), leg_headers: Vec::new(), max_legs: 4, key: KeyedState::new(0) };
        let mut dialogs = Dialogs::new(options);
        let mut payload = text(PLAIN);
        let address = "192.0.2.1:5060".parse().expect("an address");
        let mut out = Vec::new();
        for (place, byte) in damage {
            if let Some(target) = payload.get_mut(place) {
                *target = byte;
            }
            let message =
                Message { captured_at: Timestamp::default(), source: address, destination: address, correlation: None, payload: &payload };
            dialogs.observe(&message, &mut out);
        }
        prop_assert!(dialogs.len() <= 4);
    }

    /// A cut message says nothing that the whole one does not.
    #[test]
    fn a_cut_message_never_says_another_thing(keep in 0usize..620) {
        let whole = text(PLAIN);
        let all = scan(&whole).expect("a message");
        if let Ok(seen) = scan(whole.get(..keep).unwrap_or(&whole)) {
            prop_assert_eq!((seen.start, seen.call_id), (all.start, all.call_id));
            prop_assert!(seen.cseq.is_none() || seen.cseq == all.cseq);
            prop_assert!(seen.body.is_none() || seen.body == all.body);
            for header in [Header::Via, Header::From, Header::To, Header::Contact, Header::AssertedIdentity, Header::ContentLength] {
                prop_assert!(seen.first(header).is_none() || seen.first(header) == all.first(header), "{:?}", header);
            }
        }
    }
}
