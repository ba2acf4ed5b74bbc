//! SIP on a wire, made here by its rules: what a test sends, and the calls it comes to.

mod disorder;
mod thirty;
mod traps;

use crate::recordings::directory;
use std::net::SocketAddr;
use taktd::calls::{Call, Directory, Stage, Unmetered, Update};
use taktd::pipeline::signalling::Signalling;
use taktd::units::{KeyedState, Message, Timestamp};

/// The provider, the switch, and a phone.
const PROVIDER: &str = "127.0.0.20:5060";
const SWITCH: &str = "127.0.0.11:5060";
const PHONE: &str = "127.0.0.31:5060";
const MILLI: i64 = 1_000;
const SECOND: i64 = 1_000_000;

/// Who of a leg sends something.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Caller,
    Callee,
}

/// One leg: who calls whom, and what its INVITE says beside that.
#[derive(Clone)]
struct Leg {
    call_id: String,
    from: String,
    to: String,
    ends: [&'static str; 2],
    /// Lines with their line ends.
    headers: String,
}

impl Leg {
    /// From the provider to the switch.
    fn outer(call_id: &str, from: &str, to: &str) -> Self {
        let from = if from.contains(':') { from.to_owned() } else { format!("<sip:{from}@127.0.0.20>") };
        Self { call_id: call_id.into(), from, to: to.into(), ends: [PROVIDER, SWITCH], headers: String::new() }
    }

    /// From the switch to a phone.
    fn inner(call_id: &str, from: &str, to: &str) -> Self {
        Self { ends: [SWITCH, PHONE], ..Self::outer(call_id, from, to) }
    }

    fn with(mut self, header: &str) -> Self {
        self.headers += &format!("{header}\r\n");
        self
    }

    /// A message of the transaction that `asks` began, sent by `by`. TAG is the callee's.
    fn text(&self, first: &str, asks: By, cseq: &str, branch: &str, tag: Option<&str>) -> String {
        let near = format!("{};tag=n", self.from);
        let far = format!("<sip:{}@127.0.0.11>{}", self.to, tag.map(|tag| format!(";tag={tag}")).unwrap_or_default());
        let (from, to) = if asks == By::Caller { (near, far) } else { (far, near) };
        let headers = if first.starts_with("INVITE") && tag.is_none() { &*self.headers } else { "" };
        format!(
            "{first}\r\nVia: SIP/2.0/UDP 127.0.0.99;branch=z9hG4bK{branch}\r\nFrom: {from}\r\nTo: {to}\r\nCall-ID: {}\r\nCSeq: {cseq}\r\n\
             {headers}Content-Length: 0\r\n\r\n",
            self.call_id
        )
    }
}

/// The wire, and what came of it so far.
struct Wire {
    signalling: Signalling,
    updates: Vec<Update>,
    base: i64,
}

impl Wire {
    fn new(directory: Directory) -> Self {
        Self::at(directory, 1_790_000_000 * SECOND)
    }

    /// Times of messages count from here, in microseconds.
    fn at(directory: Directory, base: i64) -> Self {
        Self { signalling: Signalling::new(directory, 100_000, KeyedState::new(5)), updates: Vec::new(), base }
    }

    /// A message that was captured at one time and arrives at another.
    fn send_late(&mut self, captured: i64, arrives: i64, leg: &Leg, by: By, text: &str) {
        let [caller, callee]: [SocketAddr; 2] = leg.ends.map(|end| end.parse().expect("an address"));
        let (source, destination) = if by == By::Caller { (caller, callee) } else { (callee, caller) };
        let time = |micros: i64| Timestamp::from_micros(self.base + micros);
        let message = Message { captured_at: time(captured), source, destination, correlation: None, payload: text.as_bytes() };
        self.signalling.observe(&message, time(arrives), &mut self.updates);
    }

    fn send(&mut self, at: i64, leg: &Leg, by: By, text: &str) {
        self.send_late(at, at, leg, by, text);
    }

    fn invite(&mut self, at: i64, leg: &Leg) {
        self.send(at, leg, By::Caller, &leg.text(&format!("INVITE sip:{}@127.0.0.11 SIP/2.0", leg.to), By::Caller, "1 INVITE", "i", None));
    }

    fn answer(&mut self, at: i64, leg: &Leg) {
        self.send(at, leg, By::Callee, &leg.text("SIP/2.0 200 OK", By::Caller, "1 INVITE", "i", Some("t")));
        self.send(at + MILLI, leg, By::Caller, &leg.text("ACK sip:x@127.0.0.11 SIP/2.0", By::Caller, "1 ACK", "k", Some("t")));
    }

    fn bye(&mut self, at: i64, leg: &Leg, by: By) {
        let other = if by == By::Caller { By::Callee } else { By::Caller };
        self.send(at, leg, by, &leg.text("BYE sip:x@127.0.0.11 SIP/2.0", by, "9 BYE", "b", Some("t")));
        self.send(at + MILLI, leg, other, &leg.text("SIP/2.0 200 OK", by, "9 BYE", "b", Some("t")));
    }

    /// Lets time pass, and gives the calls that were concluded, by their beginning.
    fn calls(mut self, until: i64) -> (Vec<Call>, Unmetered) {
        self.signalling.advance(Timestamp::from_micros(self.base + until), &mut self.updates);
        self.updates.retain(|update| update.stage == Stage::Concluded);
        let mut calls: Vec<Call> = self.updates.into_iter().map(|update| update.call).collect();
        calls.sort_by_key(|call| (call.started_at, call.id.clone()));
        (calls, self.signalling.unmetered())
    }
}

/// The talks: with whom, and from when to when, in milliseconds from the base of the wire.
fn talk(call: &Call, base: i64) -> Vec<(String, i64, i64)> {
    let since = |at: Timestamp| (at.micros() - base) / MILLI;
    call.talks.iter().map(|talk| (talk.agent.to_string(), since(talk.from), talk.to.map_or(i64::MAX, since))).collect()
}
