//! One SIP dialog between two addresses: its messages, in the form a PBX and its peers give them (RFC 3261).
//!
//! The one invariant: tags, branches and sequence numbers are right, so that a reader of the wire sees a proper dialog.

use super::random::Random;
use super::scene::{MS, Scene};
use super::wire::{Peer, Sent};
use std::io::Write as _;

const ALLOW: &str = "Allow: OPTIONS, REGISTER, SUBSCRIBE, NOTIFY, PUBLISH, INVITE, ACK, BYE, CANCEL, UPDATE, PRACK, MESSAGE, REFER\r\n";

/// Who sends: the side that sent the first INVITE, or the other.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Caller,
    Callee,
}

impl Side {
    const fn other(self) -> Self {
        match self {
            Self::Caller => Self::Callee,
            Self::Callee => Self::Caller,
        }
    }
}

/// How a dialog begins.
pub struct Opening<'a> {
    pub caller: Peer,
    pub callee: Peer,
    pub call_id: String,
    /// The user parts of From, To and the Request-URI.
    pub from: &'a str,
    pub to: &'a str,
    pub target: &'a str,
    pub display: Option<&'a str>,
    /// P-Asserted-Identity.
    pub asserted: Option<&'a str>,
    pub anonymous: bool,
    /// Offers a session timer of half an hour.
    pub timer: bool,
    /// The software of both sides.
    pub agents: [&'static str; 2],
}

/// A dialog.
pub struct Dialog {
    peers: [Peer; 2],
    pub call_id: String,
    from: String,
    to: String,
    to_tag: String,
    target: String,
    contacts: [String; 2],
    branch: String,
    cseq: [u64; 2],
    identity: String,
    agents: [&'static str; 2],
}

impl Dialog {
    pub fn new(opening: Opening<'_>, random: &mut Random) -> Self {
        let Opening { caller, callee, from, to, target, .. } = opening;
        let user = if opening.timer { ";user=phone" } else { "" };
        let address = match (opening.anonymous, opening.display) {
            (true, _) => format!("\"Anonymous\" <sip:anonymous@anonymous.invalid{user}>"),
            (false, Some(name)) => format!("\"{name}\" <sip:{from}@{caller}{user}>"),
            (false, None) => format!("<sip:{from}@{caller}{user}>"),
        };
        let mut identity = String::new();
        if let Some(asserted) = opening.asserted {
            identity = format!("P-Asserted-Identity: <sip:{asserted}@{caller}>\r\n");
            if opening.anonymous {
                identity.push_str("Privacy: id\r\n");
            }
        }
        if opening.timer {
            identity.push_str("Session-Expires: 1800\r\nMin-SE: 90\r\n");
        }
        let contact = |user: &str, peer: Peer| format!("sip:{}@{peer}:{}", user.trim_start_matches('+'), peer.port);
        Self {
            peers: [caller, callee],
            call_id: opening.call_id,
            from: format!("{address};tag={}", random.hex(16)),
            to: format!("<sip:{to}@{callee}>"),
            to_tag: random.uuid(),
            target: format!("sip:{target}@{callee}:{}", callee.port),
            contacts: [contact(if opening.anonymous { "anonymous" } else { from }, caller), contact(target, callee)],
            branch: random.hex(20),
            cseq: [1 + random.below(30_000), 100 + random.below(20_000)],
            identity,
            agents: opening.agents,
        }
    }

    pub fn invite(&self, scene: &mut Scene, at: i64) {
        let fat = scene.is_fat();
        let body = sdp(self.peers[0], scene.random.below(5000), "sendrecv", if fat { 26 } else { 0 });
        let contact = ["Contact: <", &self.contacts[0], ">\r\n"].concat();
        let extra = [&contact, &self.identity, ALLOW, "Supported: 100rel, timer, replaces, norefersub\r\n"].concat();
        let sent = self.ask(
            scene,
            &Ask { at, by: Side::Caller, method: "INVITE", cseq: self.cseq[0], branch: &self.branch, extra: &extra, body: &body },
        );
        scene.send_request(sent);
    }

    /// A provisional response; 100 bears no tag.
    pub fn provisional(&self, scene: &mut Scene, at: i64, status: &str) {
        self.answer_invite(scene, at, status, "");
    }

    /// The callee accepts, and the caller acknowledges.
    pub fn accept(&self, scene: &mut Scene, at: i64) {
        let body = sdp(self.peers[1], scene.random.below(5000), "sendrecv", 0);
        self.answer_invite(scene, at, "200 OK", &body);
        let branch = scene.random.hex(20);
        self.ack(scene, at + 12 * MS, Side::Caller, &branch);
    }

    /// The callee refuses.
    pub fn refuse(&self, scene: &mut Scene, at: i64, status: &str) {
        self.answer_invite(scene, at, status, "");
        self.ack(scene, at + 2 * MS, Side::Caller, &self.branch);
    }

    /// The caller gives up before an answer.
    pub fn cancel(&self, scene: &mut Scene, at: i64, reason: &str) {
        let extra = ["Reason: ", reason, "\r\n"].concat();
        let (cseq, branch) = (self.cseq[0], self.branch.as_str());
        let sent = self.ask(scene, &Ask { at, by: Side::Caller, method: "CANCEL", cseq, branch, extra: &extra, body: "" });
        scene.send(sent);
        self.answer(scene, &Answer { at: at + 3 * MS, by: Side::Callee, status: "200 OK", method: "CANCEL", cseq, branch, body: "" });
        self.refuse(scene, at + 5 * MS, "487 Request Terminated");
    }

    /// OPTIONS outside any dialog, and its answer.
    pub fn ping(&self, scene: &mut Scene, at: i64) {
        let (cseq, branch) = (self.cseq[0], self.branch.as_str());
        let sent = self.ask(scene, &Ask { at, by: Side::Caller, method: "OPTIONS", cseq, branch, extra: "", body: "" });
        scene.send_request(sent);
        self.answer(scene, &Answer { at: at + 8 * MS, by: Side::Callee, status: "200 OK", method: "OPTIONS", cseq, branch, body: "" });
    }

    /// A request within the dialog, and its response after so long. Gives the last moment by which both sides were heard of.
    pub fn request(&mut self, scene: &mut Scene, at: i64, by: Side, method: &str, extra: &str, answered: (i64, &str)) -> i64 {
        self.exchange(scene, Exchange { at, by, method, extra, answered, bodies: ["", ""] })
    }

    /// A re-INVITE that offers a direction of media; the other side answers with its counterpart.
    pub fn reinvite(&mut self, scene: &mut Scene, at: i64, by: Side, offer: &str, answer: &str) {
        let bodies = [sdp(self.peers[by as usize], 1000, offer, 0), sdp(self.peers[by.other() as usize], 1000, answer, 0)];
        let extra = ["Contact: <", &self.contacts[by as usize], ">\r\n"].concat();
        let answered = (10 * MS, "200 OK");
        self.exchange(scene, Exchange { at, by, method: "INVITE", extra: &extra, answered, bodies: [&bodies[0], &bodies[1]] });
        let branch = scene.random.hex(20);
        self.ack(scene, at + 30 * MS, by, &branch);
    }

    fn exchange(&mut self, scene: &mut Scene, exchange: Exchange<'_>) -> i64 {
        let Exchange { at, by, method, extra, answered: (after, status), bodies } = exchange;
        self.cseq[by as usize] += 1;
        let (branch, cseq) = (&scene.random.hex(20), self.cseq[by as usize]);
        let sent = self.ask(scene, &Ask { at, by, method, cseq, branch, extra, body: bodies[0] });
        let asked = scene.send_request(sent);
        self.answer(scene, &Answer { at: at + after, by: by.other(), status, method, cseq, branch, body: bodies[1] });
        asked.min(at + after)
    }

    fn answer_invite(&self, scene: &mut Scene, at: i64, status: &str, body: &str) {
        let (cseq, branch) = (self.cseq[0], self.branch.as_str());
        self.answer(scene, &Answer { at, by: Side::Callee, status, method: "INVITE", cseq, branch, body });
    }

    fn ack(&self, scene: &mut Scene, at: i64, by: Side, branch: &str) {
        let sent = self.ask(scene, &Ask { at, by, method: "ACK", cseq: self.cseq[by as usize], branch, extra: "", body: "" });
        scene.send(sent);
    }

    /// Writes a request.
    fn ask(&self, scene: &mut Scene, ask: &Ask<'_>) -> Sent {
        // The caller's requests go to the URI it dialled, which leads to the same place as the callee's contact.
        let target = if ask.by == Side::Caller { &self.target } else { &self.contacts[0] };
        let first = ask.branch == self.branch && ask.method != "ACK";
        self.write(
            scene,
            ask.by,
            ask.by,
            first,
            &Text {
                at: ask.at,
                start: [ask.method, " ", target, " SIP/2.0"],
                cseq: (ask.cseq, ask.method),
                branch: ask.branch,
                headers: ["Max-Forwards: 70\r\n", ask.extra, "User-Agent: ", self.agents[ask.by as usize]],
                body: ask.body,
            },
        )
    }

    fn answer(&self, scene: &mut Scene, answer: &Answer<'_>) {
        let trying = answer.status.starts_with("100");
        let contact = ["Contact: <", &self.contacts[answer.by as usize], ">\r\n"].concat();
        let sent = self.write(
            scene,
            answer.by,
            answer.by.other(),
            trying,
            &Text {
                at: answer.at,
                start: ["SIP/2.0 ", answer.status, "", ""],
                cseq: (answer.cseq, answer.method),
                branch: answer.branch,
                headers: [if trying { "" } else { &contact }, "Server: ", self.agents[answer.by as usize], ""],
                body: answer.body,
            },
        );
        scene.send(sent);
    }

    /// Writes a message of `by`, in a transaction that `asker` began; `untagged` before the callee has a tag.
    fn write(&self, scene: &mut Scene, by: Side, asker: Side, untagged: bool, draft: &Text<'_>) -> Sent {
        let mut text = scene.blank();
        let mut put = |parts: &[&str]| parts.iter().for_each(|part| text.extend_from_slice(part.as_bytes()));
        put(&draft.start);
        let via = self.peers[asker as usize].to_string();
        let received = if by == asker { String::new() } else { ["=5060;received=", &via].concat() };
        put(&["\r\nVia: SIP/2.0/UDP ", &via, ":5060;rport", &received, ";branch=z9hG4bK", draft.branch]);
        let tagged = [&self.to, ";tag=", &self.to_tag].concat();
        let to = if untagged { &self.to } else { &tagged };
        let [from, to] = if asker == Side::Caller { [&self.from, to] } else { [to, &self.from] };
        put(&["\r\nFrom: ", from, "\r\nTo: ", to, "\r\nCall-ID: "]);
        let begin = text.len();
        text.extend_from_slice(self.call_id.as_bytes());
        let call_id = begin..text.len();
        // Writing to memory does not fail.
        let _ = write!(text, "\r\nCSeq: {} {}\r\n", draft.cseq.0, draft.cseq.1);
        draft.headers.iter().for_each(|part| text.extend_from_slice(part.as_bytes()));
        let kind = if draft.body.is_empty() { "" } else { "\r\nContent-Type: application/sdp" };
        let _ = write!(text, "{kind}\r\nContent-Length: {}\r\n\r\n{}", draft.body.len(), draft.body);
        Sent { at: draft.at, order: 0, from: self.peers[by as usize], to: self.peers[by.other() as usize], text, call_id }
    }
}

struct Ask<'a> {
    at: i64,
    by: Side,
    method: &'a str,
    cseq: u64,
    branch: &'a str,
    extra: &'a str,
    body: &'a str,
}

struct Answer<'a> {
    at: i64,
    by: Side,
    status: &'a str,
    method: &'a str,
    cseq: u64,
    branch: &'a str,
    body: &'a str,
}

struct Exchange<'a> {
    at: i64,
    by: Side,
    method: &'a str,
    extra: &'a str,
    answered: (i64, &'a str),
    bodies: [&'a str; 2],
}

struct Text<'a> {
    at: i64,
    start: [&'a str; 4],
    cseq: (u64, &'a str),
    branch: &'a str,
    headers: [&'a str; 4],
    body: &'a str,
}

/// A session description: PCMA at an address, with so many surplus candidates to make it large.
fn sdp(peer: Peer, pair: u64, direction: &str, candidates: u64) -> String {
    let port = 10_000 + 2 * pair;
    let more: String = (0..candidates)
        .map(|number| {
            format!("a=candidate:{number} 1 UDP 2130706431 10.20.{}.{} {} typ host\r\n", number % 250, 7 * number % 250, 10_000 + number)
        })
        .collect();
    format!(
        "v=0\r\no=- {port} {port} IN IP4 {peer}\r\ns=Asterisk\r\nc=IN IP4 {peer}\r\nt=0 0\r\nm=audio {port} RTP/AVP 8 101\r\n\
         a=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=maxptime:150\r\n{more}a={direction}\r\n"
    )
}
