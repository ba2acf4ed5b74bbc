//! The kinds of calls a hotline sees, as an Asterisk and its peers make them: a leg of the trunk, and none, one or several
//! legs of desks, each with a Call-ID of its own.
//!
//! The one invariant: whatever begins or ends talk (a desk's answer, an accepted REFER, the first BYE) happens at a whole
//! millisecond, so that HEP's coarser stamps of received messages tell the same talk as the packets.

use super::dialog::{Dialog, Side};
use super::legs;
use super::numbers::{self, Caller, PBX_DESKS, PBX_TRUNK};
use super::random::Random;
use super::scene::{MS, S, Scene};

/// What a call is like.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Queue,
    Abandon,
    Direct,
    Emergency,
    Cancel,
    Busy,
    Callback,
    Transfer,
    Group,
}

const MIX: [(Kind, f64); 9] = [
    (Kind::Queue, 0.42),
    (Kind::Abandon, 0.09),
    (Kind::Direct, 0.18),
    (Kind::Emergency, 0.08),
    (Kind::Cancel, 0.05),
    (Kind::Busy, 0.03),
    (Kind::Callback, 0.10),
    (Kind::Transfer, 0.03),
    (Kind::Group, 0.02),
];

impl Kind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Abandon => "abandon",
            Self::Direct => "direct",
            Self::Emergency => "emergency",
            Self::Cancel => "cancel",
            Self::Busy => "busy",
            Self::Callback => "callback",
            Self::Transfer => "transfer",
            Self::Group => "group",
        }
    }
}

/// What is asked of all calls.
pub struct Habits {
    pub desks: u64,
    pub mean_talk: f64,
    pub lost_bye: f64,
}

/// What really happened in a call.
pub struct Call {
    pub kind: Kind,
    pub hotline: Option<String>,
    pub caller: Caller,
    pub withheld: bool,
    pub invited_at: i64,
    /// The PBX's answer to the trunk, or the customer's to the PBX.
    pub answered_at: Option<i64>,
    /// The first desk's answer; in a callback, the customer's.
    pub connected_at: Option<i64>,
    pub ended_at: i64,
    /// Milliseconds with a person of the company.
    pub talk_ms: i64,
    pub hold_ms: i64,
    /// No BYE was ever sent: both ends were gone.
    pub lost_bye: bool,
    /// When both sides of the customer's leg had last been heard of, before any BYE; or an agent, when one left before.
    pub alive_at: i64,
    /// Milliseconds with a person until then: all that can be told where no BYE was sent. From when both the customer and the
    /// person were connected.
    pub alive_ms: i64,
    pub call_ids: Vec<String>,
}

/// Who calls whom, and the trunk's leg.
struct Inbound<'a> {
    call: Call,
    trunk: Dialog,
    desk: u64,
    habits: &'a Habits,
}

/// Makes one call that begins at an instant.
pub fn make(scene: &mut Scene, at: i64, habits: &Habits) -> Call {
    let kind = scene.random.pick(&MIX);
    let caller = Caller::draw(&mut scene.random);
    let desk = scene.random.below(habits.desks);
    let withheld = kind != Kind::Callback && scene.random.chance(0.06);
    let hotline = match kind {
        Kind::Queue | Kind::Abandon | Kind::Transfer => Some(numbers::SUPPORT.to_owned()),
        Kind::Emergency => Some(numbers::EMERGENCY.to_owned()),
        Kind::Group => Some(numbers::GROUP.to_owned()),
        Kind::Direct | Kind::Cancel | Kind::Busy => Some(format!("{}{}", numbers::DIRECT, desk % 10)),
        Kind::Callback => None,
    };
    let call = Call {
        kind,
        hotline,
        caller,
        withheld,
        invited_at: at,
        answered_at: None,
        connected_at: None,
        ended_at: at,
        talk_ms: 0,
        hold_ms: 0,
        lost_bye: false,
        alive_at: at,
        alive_ms: 0,
        call_ids: Vec::new(),
    };
    if kind == Kind::Callback {
        return callback(scene, call, desk, habits);
    }
    let trunk = legs::trunk_in(&mut scene.random, &call);
    trunk.invite(scene, at);
    trunk.provisional(scene, at + MS, "100 Trying");
    let mut inbound = Inbound { call, trunk, desk, habits };
    inbound.call.call_ids.push(inbound.trunk.call_id.clone());
    match kind {
        Kind::Abandon => inbound.abandoned(scene),
        Kind::Busy => inbound.busy(scene),
        Kind::Cancel => inbound.canceled(scene),
        Kind::Group => inbound.group(scene),
        Kind::Queue | Kind::Transfer => inbound.queued(scene),
        Kind::Direct | Kind::Emergency | Kind::Callback => inbound.direct(scene),
    }
    inbound.call
}

impl Inbound<'_> {
    /// The PBX answers and plays music; the caller gives up, perhaps while a desk rings.
    fn abandoned(&mut self, scene: &mut Scene) {
        let answered = self.answer(scene, self.call.invited_at + 3 * MS);
        let ended = whole_ms(answered + scene.random.micros(3.0, 43.0));
        if scene.random.chance(0.5) {
            let rings = answered + 2 * S + ((ended - answered - 2 * S) as f64 * 0.9 * scene.random.unit()) as i64;
            let desk = self.ring(scene, rings, self.desk);
            desk.cancel(scene, ended + 4 * MS, "Q.850;cause=127");
        }
        self.call.ended_at = ended;
        legs::bye(scene, &mut self.trunk, ended, Side::Caller, "");
    }

    fn busy(&mut self, scene: &mut Scene) {
        let at = self.call.invited_at;
        let desk = legs::to_desk(&mut scene.random, &mut self.call, self.desk);
        legs::ring(scene, &desk, at + 4 * MS, 30 * MS);
        desk.refuse(scene, at + 300 * MS, "486 Busy Here");
        self.trunk.refuse(scene, at + 304 * MS, "486 Busy Here");
        self.call.ended_at = at + 304 * MS;
    }

    /// The caller gives up while it rings.
    fn canceled(&mut self, scene: &mut Scene) {
        let at = self.call.invited_at;
        let desk = legs::to_desk(&mut scene.random, &mut self.call, self.desk);
        legs::ring(scene, &desk, at + 4 * MS, 30 * MS);
        self.trunk.provisional(scene, at + 40 * MS, "180 Ringing");
        self.call.ended_at = at + scene.random.micros(2.0, 22.0);
        self.trunk.cancel(scene, self.call.ended_at, "Q.850;cause=127");
        desk.cancel(scene, self.call.ended_at + 5 * MS, "Q.850;cause=127");
    }

    /// Three desks ring, one answers, the others are told so.
    fn group(&mut self, scene: &mut Scene) {
        let at = self.call.invited_at;
        let mut desks: Vec<Dialog> =
            (0..3).map(|place| legs::to_desk(&mut scene.random, &mut self.call, (self.desk + place) % self.habits.desks)).collect();
        for (place, desk) in (0..).zip(&desks) {
            legs::ring(scene, desk, at + (4 + place) * MS, 30 * MS);
        }
        self.trunk.provisional(scene, at + 40 * MS, "180 Ringing");
        let connected = whole_ms(at + scene.random.micros(1.0, 7.0));
        let winner = desks.swap_remove(scene.random.below(3) as usize);
        winner.accept(scene, connected);
        self.answer(scene, connected + 3 * MS);
        for (place, desk) in (0..).zip(&desks) {
            desk.cancel(scene, connected + (4 + place) * MS, "SIP;cause=200;text=\"Call completed elsewhere\"");
        }
        self.talk(scene, winner, connected);
    }

    /// The PBX answers at once; a desk rings after a while.
    fn queued(&mut self, scene: &mut Scene) {
        let answered = self.answer(scene, self.call.invited_at + 3 * MS);
        let rings = answered + 1800 * MS + (scene.random.exponential(12.0) * 1e6) as i64;
        let desk = self.ring(scene, rings, self.desk);
        let connected = whole_ms(rings + scene.random.micros(0.8, 6.8));
        desk.accept(scene, connected);
        if self.call.kind == Kind::Transfer { self.transfer(scene, desk, connected) } else { self.talk(scene, desk, connected) }
    }

    /// The PBX answers only when the desk does.
    fn direct(&mut self, scene: &mut Scene) {
        let at = self.call.invited_at;
        let desk = legs::to_desk(&mut scene.random, &mut self.call, self.desk);
        legs::ring(scene, &desk, at + 4 * MS, 30 * MS);
        self.trunk.provisional(scene, at + 40 * MS, "180 Ringing");
        let connected = whole_ms(at + scene.random.micros(1.0, 15.0));
        desk.accept(scene, connected);
        self.answer(scene, connected + 3 * MS);
        self.talk(scene, desk, connected);
    }

    /// Talk with one desk to the end: perhaps on hold for a while, with the trunk's session refreshed.
    fn talk(&mut self, scene: &mut Scene, mut desk: Dialog, connected: i64) {
        let talk = talk_length(&mut scene.random, self.habits.mean_talk);
        self.call.lost_bye = scene.random.chance(self.habits.lost_bye);
        if talk > 8 * S && scene.random.chance(0.12) {
            let (held, hold) = (connected + talk * 3 / 10, whole_ms((talk * 3 / 10).min(40 * S)));
            desk.reinvite(scene, held, Side::Callee, "sendonly", "recvonly");
            desk.reinvite(scene, held + hold, Side::Callee, "sendrecv", "sendrecv");
            self.call.hold_ms = hold / MS;
        }
        for refresh in (1..).map(|number| number * 900 * S).take_while(|refresh| *refresh < talk - S) {
            let timer = "Session-Expires: 1800;refresher=uas\r\n";
            self.call.alive_at = self.trunk.request(scene, connected + refresh, Side::Callee, "UPDATE", timer, (15 * MS, "200 OK"));
        }
        self.call.connected_at = Some(connected);
        let begun = self.call.answered_at.map_or(connected, |answered| answered.max(connected));
        self.call.alive_ms = (self.call.alive_at - begun).max(0) / MS;
        self.hang_up(scene, desk, connected + talk, talk);
    }

    /// The first desk passes the caller on to a second one; until that answers, the caller waits.
    fn transfer(&mut self, scene: &mut Scene, mut first: Dialog, connected: i64) {
        let talk = talk_length(&mut scene.random, self.habits.mean_talk).max(2 * S);
        self.call.lost_bye = scene.random.chance(self.habits.lost_bye);
        let referred = connected + whole_ms((talk * 3 / 10 + 300 * MS).min(60 * S));
        let accepted = referred + 5 * MS;
        let target = (self.desk + 1) % self.habits.desks;
        let refer = format!("Refer-To: <sip:{}@{PBX_DESKS}>\r\n", numbers::extension(target));
        first.request(scene, referred, Side::Callee, "REFER", &refer, (5 * MS, "202 Accepted"));
        let second = legs::to_desk(&mut scene.random, &mut self.call, target);
        legs::ring(scene, &second, accepted + 5 * MS, 30 * MS);
        let done = "Event: refer\r\nSubscription-State: terminated;reason=noresource\r\n";
        first.request(scene, accepted + 50 * MS, Side::Caller, "NOTIFY", done, (8 * MS, "200 OK"));
        legs::bye(scene, &mut first, accepted + 400 * MS, Side::Callee, "");
        let answered = whole_ms(accepted + scene.random.micros(1.0, 5.0));
        second.accept(scene, answered);
        let rest = (talk - (accepted - connected)).max(S);
        self.call.connected_at = Some(connected);
        (self.call.alive_at, self.call.alive_ms) = (accepted + 400 * MS, (accepted - connected) / MS);
        self.hang_up(scene, second, answered + rest, accepted - connected + rest);
    }

    /// Caller or desk hangs up, and the PBX ends the other leg.
    fn hang_up(&mut self, scene: &mut Scene, mut desk: Dialog, at: i64, talk: i64) {
        self.call.ended_at = at;
        self.call.talk_ms = talk / MS;
        let by_caller = scene.random.chance(0.6);
        if self.call.lost_bye {
            return;
        }
        let normal = "Reason: Q.850;cause=16\r\n";
        if by_caller {
            legs::bye(scene, &mut self.trunk, at, Side::Caller, "");
            legs::bye(scene, &mut desk, at + 6 * MS, Side::Caller, normal);
        } else {
            legs::bye(scene, &mut desk, at, Side::Callee, "");
            legs::bye(scene, &mut self.trunk, at + 6 * MS, Side::Callee, normal);
        }
    }

    fn answer(&mut self, scene: &mut Scene, at: i64) -> i64 {
        self.trunk.accept(scene, at);
        (self.call.answered_at, self.call.alive_at) = (Some(at), at);
        at
    }

    /// A desk of the queue rings, and the trunk is told which.
    fn ring(&mut self, scene: &mut Scene, at: i64, desk: u64) -> Dialog {
        let dialog = legs::to_desk(&mut scene.random, &mut self.call, desk);
        legs::ring(scene, &dialog, at, 30 * MS);
        let named = format!("P-Asserted-Identity: <sip:{}@{PBX_TRUNK}>\r\n", numbers::extension(desk));
        self.call.alive_at = self.trunk.request(scene, at + MS, Side::Callee, "UPDATE", &named, (12 * MS, "200 OK"));
        dialog
    }
}

/// A desk calls a customer, who answers or not.
fn callback(scene: &mut Scene, mut call: Call, desk: u64, habits: &Habits) -> Call {
    let (at, customer) = (call.invited_at, call.caller.number());
    let dialled = numbers::national(&customer);
    let mut inner = legs::from_desk(&mut scene.random, desk, &dialled);
    let mut outer = legs::to_customer(&mut scene.random, &customer);
    call.call_ids.extend([inner.call_id.clone(), outer.call_id.clone()]);
    inner.invite(scene, at);
    inner.provisional(scene, at + 4 * MS, "100 Trying");
    legs::ring(scene, &outer, at + 8 * MS, 430 * MS);
    inner.provisional(scene, at + 500 * MS, "180 Ringing");
    let answered = whole_ms(at + scene.random.micros(1.0, 13.0));
    if scene.random.chance(0.25) {
        call.ended_at = answered + 6 * S;
        inner.cancel(scene, call.ended_at, "Q.850;cause=127");
        outer.cancel(scene, call.ended_at + 4 * MS, "Q.850;cause=127");
        return call;
    }
    outer.accept(scene, answered);
    inner.accept(scene, answered + 6 * MS);
    let talk = talk_length(&mut scene.random, habits.mean_talk);
    (call.answered_at, call.connected_at, call.ended_at, call.talk_ms) = (Some(answered), Some(answered), answered + talk, talk / MS);
    call.lost_bye = scene.random.chance(habits.lost_bye);
    call.alive_at = answered;
    let by_desk = scene.random.chance(0.5);
    let normal = "Reason: Q.850;cause=16\r\n";
    match (call.lost_bye, by_desk) {
        (true, _) => {}
        (false, true) => {
            legs::bye(scene, &mut inner, call.ended_at, Side::Caller, "");
            legs::bye(scene, &mut outer, call.ended_at + 6 * MS, Side::Caller, normal);
        }
        (false, false) => {
            legs::bye(scene, &mut outer, call.ended_at, Side::Callee, "");
            legs::bye(scene, &mut inner, call.ended_at + 6 * MS, Side::Callee, normal);
        }
    }
    call
}

/// Mostly exponential, sometimes anything up to three times the mean; whole milliseconds.
fn talk_length(random: &mut Random, mean: f64) -> i64 {
    let seconds = if random.chance(0.8) { random.exponential(mean) } else { 3.0 * mean * random.unit() };
    whole_ms((seconds.max(0.4) * 1e6) as i64)
}

fn whole_ms(micros: i64) -> i64 {
    micros - micros % MS
}
