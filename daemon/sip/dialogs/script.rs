//! Dialogs as small scripts: arrows in, leg events out.
//!
//! A line is `TIME > METHOD CSEQ BRANCH [TAG]` (the caller sends a request) or `TIME < STATUS METHOD CSEQ BRANCH [TAG]` (the
//! callee sends a response), or the same the other way round, then `key=value` for what else stands in it; `hop=1` is a
//! message between a proxy and the callee. TAG is the callee's. `TIME now` lets time pass. Every script is also run with
//! each message doubled, and with a snapshot taken and read back before each line: nothing may change.

mod lost;

use super::{Dialogs, Observed, Options};
use crate::sip::event::{DialogId, LegEvent, LegEventKind, Replaces};
use crate::units::codec::{Reader, Writer};
use crate::units::{KeyedState, Message, RawNumber, Timestamp};
use std::fmt::Write as _;
use std::net::SocketAddr;

struct Step {
    at: Timestamp,
    message: Option<(SocketAddr, SocketAddr, String)>,
}

fn options(max_legs: usize) -> Options {
    Options {
        contract_header: Some("X-Contract".into()),
        leg_headers: vec!["X-CID".into(), "Session-ID".into()],
        max_legs,
        key: KeyedState::new(7),
    }
}

fn time(text: &str) -> Timestamp {
    let (seconds, millis) = text.split_once('.').unwrap_or((text, "0"));
    let millis: i64 = format!("{millis:0<3}").parse().expect("milliseconds");
    Timestamp::from_micros(seconds.parse::<i64>().expect("seconds") * 1_000_000 + millis * 1_000)
}

fn step(line: &str) -> Step {
    let mut words = line.split_whitespace();
    let at = time(words.next().expect("a time"));
    let arrow = words.next().expect("an arrow");
    if arrow == "now" {
        return Step { at, message: None };
    }
    let (plain, pairs): (Vec<&str>, Vec<&str>) = words.partition(|word| !word.contains('='));
    let value = |key: &str| pairs.iter().find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='));
    let response = plain[0].parse::<u16>().is_ok();
    let (method, cseq, branch, tag) = match (response, plain.as_slice()) {
        (false, [method, cseq, branch, tag @ ..]) | (true, [_, method, cseq, branch, tag @ ..]) => (method, cseq, branch, tag.first()),
        _ => panic!("cannot read {line}"),
    };
    // Who asked: the sender of a request, the receiver of a response.
    let caller_asks = (arrow == ">") != response;
    let near = format!("<sip:{}@10.0.0.1>;tag={}", value("from").unwrap_or("+4989123"), value("ftag").unwrap_or("f"));
    let far = format!("<sip:{}@10.0.0.2>{}", value("to").unwrap_or("201"), tag.map(|tag| format!(";tag={tag}")).unwrap_or_default());
    let (from, to) = if caller_asks { (near, far) } else { (far, near) };
    let mut text = if response {
        format!("SIP/2.0 {} Whatever\r\n", plain[0])
    } else {
        format!("{method} sip:{}@10.0.0.2 SIP/2.0\r\n", value("uri").unwrap_or("201"))
    };
    match *branch {
        "-" => {}
        "cookie" => text.push_str("Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK\r\n"),
        branch => write!(text, "Via: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bK{branch}\r\n").expect("writing to a string"),
    }
    write!(text, "From: {from}\r\nTo: {to}\r\nCall-ID: {}\r\nCSeq: {cseq} {method}\r\n", value("call").unwrap_or("c")).expect("writing");
    let headers = [
        ("pai", "P-Asserted-Identity"),
        ("rpid", "Remote-Party-ID"),
        ("contact", "Contact"),
        ("x", "Session-Expires"),
        ("reason", "Reason"),
        ("refer", "Refer-To"),
        ("replaces", "Replaces"),
        ("privacy", "Privacy"),
        ("contract", "x-contract"),
        ("cid", "x-cid"),
        ("session", "session-id"),
        ("history", "History-Info"),
        ("diversion", "Diversion"),
    ];
    for (key, name) in headers {
        if let Some(value) = value(key) {
            write!(text, "{name}: {value}\r\n").expect("writing to a string");
        }
    }
    let body = match value("sdp") {
        Some("0.0.0.0") => "v=0\r\nc=IN IP4 0.0.0.0\r\nm=audio 9 RTP/AVP 8\r\n".to_owned(),
        Some(direction) => format!("v=0\r\nc=IN IP4 10.0.0.1\r\nm=audio 9 RTP/AVP 8\r\na={direction}\r\n"),
        None => String::new(),
    };
    write!(text, "Content-Length: {}\r\n\r\n{body}", body.len()).expect("writing to a string");
    let [caller, proxy, callee] = ["10.0.0.1:5060", "10.0.0.9:5060", "10.0.0.2:5060"].map(|text| text.parse().expect("an address"));
    let ends = if value("hop").is_some() { (proxy, callee) } else { (caller, proxy) };
    let (source, destination) = if arrow == ">" { ends } else { (ends.1, ends.0) };
    Step { at, message: Some((source, destination, text)) }
}

fn observe(dialogs: &mut Dialogs, step: &Step, out: &mut Vec<LegEvent>) -> Option<Observed> {
    dialogs.expire(step.at, out);
    let (source, destination, payload) = step.message.as_ref()?;
    let message =
        Message { captured_at: step.at, source: *source, destination: *destination, correlation: None, payload: payload.as_bytes() };
    Some(dialogs.observe(&message, out))
}

/// Events as text, one a line.
fn told(events: &[LegEvent]) -> String {
    let known = |dialog: &Option<DialogId>| dialog.map_or("-".to_owned(), |dialog| format!("d{}", dialog.0));
    let number = |number: &Option<RawNumber>| number.as_ref().map_or("-".to_owned(), |number| number.as_str().to_owned());
    let mut text = String::new();
    for LegEvent { leg, at, kind } in events {
        let said = match kind {
            LegEventKind::Invited(invitation) => {
                format!("invited {} {}", invitation.from.number.as_str(), invitation.request_user.as_str())
            }
            LegEventKind::Forked { branch, target } => format!("forked b{} {}", branch.0, target.as_str()),
            LegEventKind::Ringing { branch, connected } => {
                format!("ringing {} {}", branch.map_or("-".to_owned(), |branch| format!("b{}", branch.0)), number(connected))
            }
            LegEventKind::Answered { dialog, branch, connected } => {
                let branch = branch.map_or("-".to_owned(), |branch| format!("b{}", branch.0));
                format!("answered d{} {branch} {}", dialog.0, number(connected))
            }
            LegEventKind::Connected { by, number } => format!("connected {by:?} {}", number.as_str()),
            LegEventKind::Redirected { branch, target } => format!("redirected b{} {}", branch.0, number(target)),
            LegEventKind::Refused { branch, status, reason } => format!("refused b{} {status} {reason:?}", branch.0),
            LegEventKind::Canceled { reason } => format!("canceled {reason:?}"),
            LegEventKind::Held { dialog, by } => format!("held d{} {by:?}", dialog.0),
            LegEventKind::Resumed { dialog, by } => format!("resumed d{} {by:?}", dialog.0),
            LegEventKind::Referred { dialog, by, target, replaces } => {
                format!("referred d{} {by:?} {} {}", dialog.0, target.as_str(), replaces.is_some())
            }
            LegEventKind::Bye { dialog, by, reason } => {
                format!("bye {} {by:?} {reason:?}", known(dialog))
            }
            LegEventKind::ByeRepeated { dialog } => format!("repeated {}", known(dialog)),
            LegEventKind::ByeAnswered { dialog } => format!("answered after all {}", known(dialog)),
            LegEventKind::Gone { dialog } => format!("gone {}", known(dialog)),
            LegEventKind::Expired { dialog, proof_of_life } => {
                format!("expired d{} {}", dialog.0, proof_of_life.micros() / 1_000)
            }
        };
        let leg = if leg.0 == 0 { String::new() } else { format!("l{} ", leg.0) };
        let at = at.micros() / 1_000;
        writeln!(text, "{}.{:03} {leg}{}", at / 1_000, at % 1_000, said.replace("Some(", "").replace("))", ")")).expect("writing");
    }
    text
}

fn lines(text: &str) -> Vec<&str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect()
}

fn play(steps: &[Step], doubled: bool, cut: Option<usize>) -> String {
    let (mut dialogs, mut out) = (Dialogs::new(options(100)), Vec::new());
    for (place, step) in steps.iter().enumerate() {
        if cut == Some(place) {
            let mut bytes = Writer::new();
            dialogs.write(&mut bytes);
            let bytes = bytes.finish();
            let mut from = Reader::new(&bytes);
            dialogs = Dialogs::read(&mut from, options(100)).expect("what was written");
            assert!(from.is_empty());
            let mut again = Writer::new();
            dialogs.write(&mut again);
            assert_eq!(again.finish(), bytes);
        }
        observe(&mut dialogs, step, &mut out);
        // A BYE that comes twice and is not answered means something.
        if doubled && !step.message.as_ref().is_some_and(|(_, _, text)| text.starts_with("BYE")) {
            observe(&mut dialogs, step, &mut out);
        }
    }
    told(&out)
}

fn check(script: &str, expected: &str) {
    let steps: Vec<Step> = lines(script).into_iter().map(step).collect();
    let expected = lines(expected).join("\n");
    assert_eq!(play(&steps, false, None).trim_end(), expected, "{script}");
    assert_eq!(play(&steps, true, None).trim_end(), expected, "each message doubled: {script}");
    for cut in 0..steps.len() {
        assert_eq!(play(&steps, false, Some(cut)).trim_end(), expected, "a snapshot before line {cut}: {script}");
    }
}

#[test]
fn a_call_from_invite_to_bye() {
    check(
        "0.0 > INVITE 1 a
         0.1 < 100 INVITE 1 a
         0.2 < 180 INVITE 1 a t
         2.0 < 200 INVITE 1 a t pai=<sip:205@x>
         2.5 < 200 INVITE 1 a t pai=<sip:205@x>
         2.6 > ACK 1 k t
         9.0 < BYE 7 z t reason=Q.850;cause=16
         9.1 > 200 BYE 7 z t
         99 now",
        "0.000 invited +4989123 201
         0.200 ringing - -
         2.000 answered d0 b0 205
         9.000 bye d0 Callee Q850(16)",
    );
}

#[test]
fn a_challenge_is_no_end_and_no_second_call() {
    check(
        "0.0 > INVITE 1 a
         0.1 < 401 INVITE 1 a x
         0.1 > ACK 1 a x
         0.2 > INVITE 2 b
         0.3 < 407 INVITE 2 b y
         0.3 > ACK 2 b y
         0.4 > INVITE 3 c
         0.5 < 422 INVITE 3 c
         0.6 > INVITE 4 d
         0.7 < 401 INVITE 1 a x
         1.0 < 200 INVITE 4 d t
         1.1 > ACK 4 k t
         50 now
         60 > BYE 5 e t",
        "0.000 invited +4989123 201
         1.000 answered d0 b0 -
         60.000 bye d0 Caller None",
    );
    // Nobody tried again.
    check(
        "0.0 > INVITE 1 a
         0.1 < 401 INVITE 1 a x
         0.1 > ACK 1 a x
         32.0 now
         32.1 now",
        "0.000 invited +4989123 201
         0.100 refused b0 401 None",
    );
}

#[test]
fn a_refusal_ends_the_leg_once() {
    check(
        "0.0 > INVITE 1 a
         1.0 < 180 INVITE 1 a t
         2.0 < 486 INVITE 1 a t reason=Q.850;cause=17
         2.0 > ACK 1 a t
         2.5 < 486 INVITE 1 a t reason=Q.850;cause=17
         2.6 < 180 INVITE 1 a u
         100 now",
        "0.000 invited +4989123 201
         1.000 ringing - -
         2.000 refused b0 486 Q850(17)",
    );
}

#[test]
fn a_cancel_counts_before_a_final_response_only() {
    check(
        "0.0 > INVITE 1 a
         1.0 < 180 INVITE 1 a t
         2.0 > CANCEL 1 a reason=SIP;cause=200
         2.1 < 200 CANCEL 1 a t
         2.2 < 487 INVITE 1 a t
         2.3 > ACK 1 a t",
        "0.000 invited +4989123 201
         1.000 ringing - -
         2.000 canceled Sip(200)
         2.200 refused b0 487 None",
    );
    // It crosses the 200: the call is answered, and hung up.
    check(
        "0.0 > INVITE 1 a
         2.0 > CANCEL 1 a
         2.1 < 200 INVITE 1 a t
         2.2 < 200 CANCEL 1 a t
         2.3 > ACK 1 k t
         2.4 > BYE 2 b t",
        "0.000 invited +4989123 201
         2.000 canceled None
         2.100 answered d0 b0 -
         2.400 bye d0 Caller None",
    );
    check(
        "0.0 > INVITE 1 a
         2.0 < 200 INVITE 1 a t
         2.1 > CANCEL 1 a
         2.2 < 200 CANCEL 1 a t
         99 now
         100 > BYE 2 b t",
        "0.000 invited +4989123 201
         2.000 answered d0 b0 -
         100.000 bye d0 Caller None",
    );
}

#[test]
fn a_proxy_forks_and_two_answer() {
    check(
        "0.0 > INVITE 1 a
         0.1 > INVITE 1 p1 uri=201 hop=1
         0.1 > INVITE 1 p2 uri=202 hop=1
         0.1 > INVITE 1 p3 uri=203 hop=1
         0.2 < 180 INVITE 1 p1 t1 hop=1
         0.2 < 180 INVITE 1 a t1
         0.3 < 180 INVITE 1 p2 t2 hop=1
         0.3 < 180 INVITE 1 a t2
         0.6 > INVITE 1 p3 uri=203 hop=1
         2.0 < 200 INVITE 1 p2 t2 hop=1
         2.1 < 200 INVITE 1 p1 t1 hop=1
         2.2 < 200 INVITE 1 a t1
         2.2 < 200 INVITE 1 a t2
         2.3 > ACK 1 k1 t1
         2.3 > ACK 1 k1p t1 hop=1
         2.4 > CANCEL 1 p3 hop=1
         2.5 < 487 INVITE 1 p3 t3 hop=1
         2.5 > ACK 1 p3 t3 hop=1
         2.6 > BYE 2 e t2
         2.6 > BYE 2 ep t2 hop=1
         2.7 < 200 BYE 2 ep t2 hop=1
         2.7 < 200 BYE 2 e t2
         99 now
         100.0 > BYE 3 g t1
         100.1 > BYE 3 gp t1 hop=1",
        "0.000 invited +4989123 201
         0.100 forked b1 201
         0.100 forked b2 202
         0.100 forked b3 203
         0.200 ringing b1 -
         0.300 ringing b2 -
         2.000 answered d1 b2 -
         2.100 answered d0 b1 -
         2.500 refused b3 487 None
         2.600 bye d1 Caller None
         100.000 bye d0 Caller None",
    );
}

#[test]
fn a_redirection_is_followed_or_not() {
    check(
        "0.0 > INVITE 1 a
         0.1 < 302 INVITE 1 a x contact=<sip:+49171@x>
         0.2 > ACK 1 a x
         0.3 > INVITE 2 b uri=+49171
         0.4 < 200 INVITE 2 b t
         0.5 > ACK 2 k t",
        "0.000 invited +4989123 201
         0.100 redirected b0 +49171
         0.400 answered d0 b0 -",
    );
    check(
        "0.0 > INVITE 1 a
         0.1 > INVITE 1 p uri=202 hop=1
         0.2 < 302 INVITE 1 p x hop=1
         0.3 > INVITE 1 q uri=203 hop=1
         0.4 < 603 INVITE 1 q y hop=1
         0.5 < 603 INVITE 1 a y",
        "0.000 invited +4989123 201
         0.100 forked b1 202
         0.200 redirected b1 -
         0.300 forked b2 203
         0.400 refused b2 603 None
         0.500 refused b0 603 None",
    );
}

#[test]
fn hold_takes_effect_with_the_2xx() {
    check(
        "0.0 > INVITE 1 a sdp=sendrecv
         1.0 < 200 INVITE 1 a t sdp=sendrecv
         1.1 > ACK 1 k t
         2.0 < INVITE 7 b t sdp=sendonly
         2.1 > 200 INVITE 7 b t sdp=recvonly
         2.2 < ACK 7 kb t
         3.0 < INVITE 8 c t sdp=sendonly
         3.1 > 200 INVITE 8 c t sdp=recvonly
         4.0 < INVITE 9 d t sdp=sendrecv
         4.1 > 491 INVITE 9 d t
         4.2 < ACK 9 d t
         5.0 < UPDATE 10 e t sdp=sendrecv
         5.1 > 200 UPDATE 10 e t sdp=sendrecv
         6.0 > INVITE 2 g t sdp=0.0.0.0
         6.1 < 200 INVITE 2 g t sdp=0.0.0.0
         7.0 < INVITE 11 h t
         7.1 > 200 INVITE 11 h t sdp=sendrecv
         7.2 < ACK 11 kh t sdp=sendrecv",
        "0.000 invited +4989123 201
         1.000 answered d0 b0 -
         2.100 held d0 Callee
         5.100 resumed d0 Callee
         6.100 held d0 Caller
         7.100 resumed d0 Caller",
    );
}

#[test]
fn who_is_connected_is_told_when_it_changes() {
    check(
        "0.0 > INVITE 1 a pai=<tel:+4989123>
         0.1 < 180 INVITE 1 a t pai=<sip:201@x>
         0.2 < 180 INVITE 1 a t pai=<sip:201@x>
         0.3 < 180 INVITE 1 a t pai=<sip:202@x>
         1.0 < 200 INVITE 1 a t
         1.1 > ACK 1 k t
         2.0 < UPDATE 7 b t pai=<sip:203@x>
         2.1 > 200 UPDATE 7 b t
         3.0 < UPDATE 8 c t pai=<sip:203@x>
         3.1 > 200 UPDATE 8 c t
         4.0 > UPDATE 2 d t pai=<tel:+4989123>
         5.0 > UPDATE 3 e t rpid=<sip:+4989999@x>",
        "0.000 invited +4989123 201
         0.100 ringing - 201
         0.300 ringing - 202
         1.000 answered d0 b0 202
         2.000 connected Callee 203
         5.000 connected Caller +4989999",
    );
}

#[test]
fn a_refer_counts_when_it_is_accepted() {
    check(
        "0.0 > INVITE 1 a
         1.0 < 200 INVITE 1 a t
         1.1 > ACK 1 k t
         2.0 < REFER 20 b t refer=<sip:203@x>
         2.1 > 603 REFER 20 b t
         3.0 < REFER 21 c t refer=<sip:204@x?Replaces=q%3Bto-tag%3D1%3Bfrom-tag%3D2>
         3.5 < REFER 21 c t refer=<sip:204@x?Replaces=q%3Bto-tag%3D1%3Bfrom-tag%3D2>
         3.6 > 202 REFER 21 c t
         3.7 > NOTIFY 2 n t
         3.8 < 481 NOTIFY 2 n t
         4.0 < BYE 22 d t",
        "0.000 invited +4989123 201
         1.000 answered d0 b0 -
         3.600 referred d0 Callee 204 true
         4.000 bye d0 Callee None",
    );
}

#[test]
fn clocks_that_step_back_break_nothing() {
    check(
        "5.010 > INVITE 1 a
         5.002 < 180 INVITE 1 a t
         5.001 < 200 INVITE 1 a t x=90
         5.020 > ACK 1 k t
         4.0 < UPDATE 7 b t x=90
         3.9 > 200 UPDATE 7 b t x=90
         2.0 > BYE 2 c t",
        "5.010 invited +4989123 201
         5.002 ringing - -
         5.001 answered d0 b0 -
         2.000 bye d0 Caller None",
    );
}

#[test]
fn a_name_used_again_is_a_new_leg() {
    check(
        "0.0 > INVITE 1 a
         1.0 < 486 INVITE 1 a t
         5.0 > INVITE 2 b
         6.0 < 200 INVITE 2 b u
         7.0 > BYE 3 c u",
        "0.000 invited +4989123 201
         1.000 refused b0 486 None
         5.000 l1 invited +4989123 201
         6.000 l1 answered d0 b0 -
         7.000 l1 bye d0 Caller None",
    );
}

#[test]
fn a_bare_magic_cookie_merges_nothing() {
    check(
        "0.0 > INVITE 1 cookie
         0.1 < 401 INVITE 1 cookie x
         0.2 > INVITE 2 cookie
         1.0 < 200 INVITE 2 cookie t
         1.1 > ACK 2 k t
         2.0 > BYE 3 cookie t",
        "0.000 invited +4989123 201
         1.000 answered d0 b0 -
         2.000 bye d0 Caller None",
    );
}

#[test]
fn what_concerns_no_call_is_told_apart() {
    let mut dialogs = Dialogs::new(options(100));
    let mut out = Vec::new();
    for (line, observed) in [
        ("0 > OPTIONS 1 a", Observed::NoCall),
        ("0 < 200 OPTIONS 1 a t", Observed::NoCall),
        ("0 > REGISTER 1 a", Observed::NoCall),
        ("0 < 401 REGISTER 1 a t", Observed::NoCall),
        ("0 > NOTIFY 1 a t", Observed::NoCall),
        ("0 > BYE 1 a t", Observed::UnknownDialog),
        ("0 < 200 INVITE 1 a t", Observed::UnknownDialog),
        ("0 > INVITE 5 b t", Observed::UnknownDialog),
        ("0 > ACK 1 a t", Observed::UnknownDialog),
        ("1 > INVITE 1 a", Observed::Call),
        ("1 > INVITE 1 a", Observed::Duplicate),
        ("1 < 200 INVITE 1 a t", Observed::Call),
        ("1 < 200 INVITE 1 a t", Observed::Duplicate),
        ("1 < 200 INVITE 1 a t ftag=g", Observed::UnknownDialog),
    ] {
        assert_eq!(observe(&mut dialogs, &step(line), &mut out), Some(observed), "{line}");
    }
    assert_eq!((out.len(), dialogs.len()), (2, 1));
}

#[test]
fn an_invitation_says_who_calls_whom() {
    let mut dialogs = Dialogs::new(options(100));
    let mut out = Vec::new();
    let line = "1 > INVITE 1 a uri=%2B4989555010 to=555010 pai=<sip:alice@x>,<tel:+49-89-123> rpid=<sip:77@x>;privacy=full \
                contract=K-1 cid=z,9 replaces=q;to-tag=1;from-tag=2";
    observe(&mut dialogs, &step(line), &mut out);
    let Some(LegEvent { kind: LegEventKind::Invited(invitation), .. }) = out.first() else { panic!("{out:?}") };
    assert_eq!(invitation.request_user.as_str(), "+4989555010");
    assert_eq!(invitation.to_user.as_str(), "555010");
    assert_eq!(invitation.asserted.as_ref().map(RawNumber::as_str), Some("+49-89-123"));
    assert_eq!(invitation.remote_party.as_ref().map(RawNumber::as_str), Some("77"));
    assert_eq!(invitation.privacy, crate::sip::Privacy::Withheld);
    assert_eq!(invitation.contract.as_deref(), Some("K-1"));
    assert_eq!(invitation.leg_keys, vec![(0, "z,9".into())]);
    assert!(invitation.replaces.is_some() && invitation.takes_over.is_none() && invitation.diverted.is_empty());
    for (line, diverted) in [
        ("history=<sip:555010@x>;index=1,<sip:206@x?Reason=SIP;cause=302>;index=1.1,<sip:+49171@x>;index=1.1.1", &["555010", "206"][..]),
        ("history=<sip:555010@x>;index=1", &[]),
        ("diversion=<sip:206@x>;reason=no-answer,<tel:+4989555010>;reason=unconditional", &["+4989555010", "206"]),
        ("diversion=<sip:10.0.0.1>,garbage", &[]),
    ] {
        observe(&mut dialogs, &step(&format!("2 > INVITE 1 z call={} {line} session=ABCD;remote=0", line.len())), &mut out);
        let Some(LegEvent { kind: LegEventKind::Invited(invitation), .. }) = out.last() else { panic!("{out:?}") };
        assert_eq!(invitation.diverted.iter().map(RawNumber::as_str).collect::<Vec<_>>(), diverted, "{line}");
        assert_eq!(invitation.leg_keys, vec![(1, "abcd".into())]);
    }
}

#[test]
fn a_dialog_is_found_by_either_tag_first() {
    let mut dialogs = Dialogs::new(options(100));
    let mut out = Vec::new();
    for line in ["0 > INVITE 1 a call=x", "0 < 180 INVITE 1 a t call=x", "0 > INVITE 1 b call=y"] {
        observe(&mut dialogs, &step(line), &mut out);
    }
    let id = out.first().map(|event| event.leg);
    for (call_id, to_tag, from_tag, found) in [("x", "t", "f", id), ("x", "f", "t", id), ("x", "u", "f", None), ("y", "t", "f", None)] {
        let replaces =
            Replaces { call_id: call_id.as_bytes().into(), to_tag: to_tag.as_bytes().into(), from_tag: from_tag.as_bytes().into() };
        assert_eq!(dialogs.leg_of(&replaces), found, "{call_id} {to_tag} {from_tag}");
    }
    // An INVITE that takes one over says which.
    observe(&mut dialogs, &step("1 > INVITE 1 c call=z replaces=x;to-tag=t;from-tag=f"), &mut out);
    assert!(matches!(out.last(), Some(LegEvent { kind: LegEventKind::Invited(new), .. }) if new.takes_over == id), "{out:?}");
    dialogs.drop_leg(id.expect("a leg"));
    assert_eq!((dialogs.len(), dialogs.deadline().is_some()), (2, true));
}

#[test]
fn a_flood_drops_the_oldest_that_nobody_talks_on() {
    let mut dialogs = Dialogs::new(options(3));
    let mut out = Vec::new();
    for line in ["0 > INVITE 1 a call=talks", "1 < 200 INVITE 1 a t call=talks", "2 > INVITE 1 b call=old", "3 > INVITE 1 c call=new"] {
        assert_eq!(observe(&mut dialogs, &step(line), &mut out), Some(Observed::Call));
    }
    assert_eq!(observe(&mut dialogs, &step("4 > INVITE 1 d call=more"), &mut out), Some(Observed::TooMany));
    assert_eq!(lines(&told(&out)).get(4..), Some(&["2.000 l1 refused b0 408 None", "4.000 l3 invited +4989123 201"][..]));
    for number in 0..1_000 {
        observe(&mut dialogs, &step(&format!("5 > INVITE 1 e call=f{number}")), &mut out);
    }
    assert_eq!(dialogs.len(), 3);
    out.clear();
    observe(&mut dialogs, &step("9 > BYE 2 z t call=talks"), &mut out);
    assert_eq!(lines(&told(&out)), ["9.000 bye d0 Caller None"]);
    // Where everybody talks, the newcomer is turned away.
    let mut dialogs = Dialogs::new(options(1));
    for (line, observed) in
        [("1 > INVITE 1 a", Observed::Call), ("1 < 200 INVITE 1 a t", Observed::Call), ("2 > INVITE 1 b call=d", Observed::TooMany)]
    {
        assert_eq!(observe(&mut dialogs, &step(line), &mut out), Some(observed));
    }
    assert_eq!(dialogs.len(), 1);
}

#[test]
fn a_call_id_used_again_and_again_is_no_longer_followed() {
    let mut dialogs = Dialogs::new(options(1_000));
    let told = |number: usize| step(&format!("1 > INVITE 1 a{number} ftag=f{number}"));
    let taken = (0..300).filter(|number| observe(&mut dialogs, &told(*number), &mut Vec::new()) == Some(Observed::Call)).count();
    assert_eq!((taken, dialogs.len()), (super::MANY_OF_A_NAME, super::MANY_OF_A_NAME));
    assert_eq!(observe(&mut dialogs, &step("1 > INVITE 1 a call=another"), &mut Vec::new()), Some(Observed::Call));
}

#[test]
fn a_leg_is_forgotten_after_its_repeats() {
    let mut dialogs = Dialogs::new(options(100));
    let mut out = Vec::new();
    for line in ["0 > INVITE 1 a", "1 < 200 INVITE 1 a t", "2 > BYE 2 b t", "2 < 200 BYE 2 b t", "41.9 now"] {
        observe(&mut dialogs, &step(line), &mut out);
    }
    assert_eq!(dialogs.len(), 1);
    observe(&mut dialogs, &step("42 now"), &mut out);
    assert_eq!((dialogs.len(), dialogs.deadline()), (0, None));
    assert!(dialogs.is_empty());
}

proptest::proptest! {
    /// Any messages of one call, in any order: nothing panics, nothing is said that cannot be, and a snapshot anywhere
    /// changes nothing.
    #[test]
    fn any_order_survives(picks in proptest::collection::vec((0usize..24, 0i64..60_000), 1..40), cut in 0usize..40) {
        const LINES: [&str; 24] = [
            "> INVITE 1 a", "> INVITE 1 p uri=205 hop=1", "> INVITE 2 b", "< 100 INVITE 1 a", "< 180 INVITE 1 a t",
            "< 180 INVITE 1 p u hop=1", "< 200 INVITE 1 a t x=90", "< 200 INVITE 1 p u hop=1", "< 401 INVITE 1 a v",
            "< 302 INVITE 1 a v", "< 486 INVITE 1 a t", "< 487 INVITE 1 p u hop=1", "> ACK 1 k t", "> ACK 1 a t", "> CANCEL 1 a",
            "< UPDATE 7 c t pai=<sip:203@x> x=90", "> 200 UPDATE 7 c t x=90", "< INVITE 8 d t sdp=sendonly", "> 200 INVITE 8 d t",
            "> 481 INVITE 8 d t", "< REFER 9 e t refer=<sip:203@x>", "> 202 REFER 9 e t", "> BYE 3 g t", "< 200 BYE 3 g t",
        ];
        let mut at = 0;
        let steps: Vec<Step> = picks.iter().map(|(line, wait)| {
            at += wait;
            step(&format!("{}.{:03} {}", at / 1_000, at % 1_000, LINES[*line]))
        }).collect();
        let told = play(&steps, false, None);
        proptest::prop_assert_eq!(&play(&steps, false, Some(cut)), &told);
        for (event, most) in [(" answered d0", 1), (" answered d1", 1), ("bye d0", 1), ("canceled", 2), ("expired d0", 1), ("refused b0", 1)] {
            // Legs of their own may follow one another under the same names.
            let legs = told.matches("invited").count();
            proptest::prop_assert!(told.matches(event).count() <= most * legs.max(1), "{} in {}", event, told);
        }
    }

    /// Bytes that are no snapshot give none, or at least no panic.
    #[test]
    fn a_damaged_snapshot_never_panics(place in 0usize..400, byte in proptest::prelude::any::<u8>(), keep in 0usize..400) {
        let mut dialogs = Dialogs::new(options(9));
        let mut out = Vec::new();
        for line in ["0 > INVITE 1 a pai=<sip:1@x>", "1 < 200 INVITE 1 a t x=90", "2 < REFER 9 e t refer=<sip:203@x>", "3 > BYE 3 g t"] {
            observe(&mut dialogs, &step(line), &mut out);
        }
        let mut bytes = Writer::new();
        dialogs.write(&mut bytes);
        let mut bytes = bytes.finish();
        if let Some(target) = bytes.get_mut(place) {
            *target = byte;
        }
        bytes.truncate(keep);
        if let Some(mut back) = Dialogs::read(&mut Reader::new(&bytes), options(9)) {
            back.expire(Timestamp::from_micros(i64::MAX), &mut out);
        }
    }
}
