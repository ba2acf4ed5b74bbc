//! The correlator: leg events in, calls out. It owns every leg and call under way, and knows what time it is only from
//! what it is told.

use super::call::{Correlation, End, Mark};
use super::directory::{Caller, Directory, Withheld};
use super::due::Due;
use super::ends::SETTLE_MICROS;
use super::index::Index;
use super::kin::Kin;
use super::leg::{CALL_ID, CallNo, Dialog, Leg, Named, Role, Whom, role};
use super::news::{News, Unmetered, Update};
use super::open::{Kind, Open};
use super::table::Table;
use crate::sip::{BranchId, DialogId, Invitation, LegEvent, LegEventKind, LegId};
use crate::units::{Alarms, RawNumber, Timestamp};

/// How long a CANCEL may wait for its 487.
const CANCEL_MICROS: i64 = 32_000_000;

/// All calls under way of one input.
#[derive(Clone, Debug)]
pub struct Calls {
    pub(super) directory: Directory,
    pub(super) legs: Table<LegId, Leg>,
    pub(super) open: Table<CallNo, Open>,
    pub(super) index: Index,
    pub(super) kin: Kin,
    pub(super) due: Alarms<Due>,
    pub(super) next: CallNo,
    pub(super) unmetered: Unmetered,
    pub(super) dropped: Vec<LegId>,
    pub(super) news: News,
}

impl Calls {
    /// None yet.
    #[must_use]
    pub fn new(directory: Directory) -> Self {
        Self {
            directory,
            legs: Table::new(),
            open: Table::new(),
            index: Index::default(),
            kin: Kin::default(),
            due: Alarms::new(),
            next: 0,
            unmetered: Unmetered::default(),
            dropped: Vec::new(),
            news: News::Stages,
        }
    }

    /// Says from now on only this.
    pub const fn tell(&mut self, news: News) {
        self.news = news;
    }

    /// Takes one event and says which calls it connected.
    pub fn apply(&mut self, event: &LegEvent, out: &mut Vec<Update>) {
        let LegEvent { leg: id, at, ref kind } = *event;
        if let LegEventKind::Invited(invitation) = kind {
            self.invited(id, at, invitation, out);
            return;
        }
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let call = leg.call;
        match kind {
            LegEventKind::Invited(_) => {}
            // These change neither talk nor end by themselves.
            LegEventKind::Forked { branch, target } => return leg.forks.push((*branch, target.clone())),
            LegEventKind::Ringing { connected, .. } => return self.named(call, connected.as_ref(), at, out),
            LegEventKind::Connected { number, .. } => return self.named(call, Some(number), at, out),
            LegEventKind::Answered { dialog, branch, connected } => {
                self.named(call, connected.as_ref(), at, out);
                self.answered(id, *dialog, *branch, at, out);
            }
            LegEventKind::Redirected { branch, target } => self.redirected(id, *branch, target.as_ref(), at),
            LegEventKind::Refused { branch: BranchId(0), status, .. } => {
                if leg.dialogs.is_empty() {
                    leg.refused = Some(*status);
                    leg.end(leg.canceled_at.unwrap_or(at));
                }
            }
            LegEventKind::Refused { .. } => {}
            LegEventKind::Canceled { .. } => {
                leg.canceled_at.get_or_insert(at);
                self.due.set(at.plus_micros(CANCEL_MICROS), Due::Canceled(id));
            }
            LegEventKind::Held { dialog, by } => leg.hold(*dialog, *by, at),
            LegEventKind::Resumed { dialog, by } => {
                let served = call.is_some_and(|call| self.is_served(call));
                if let Some(leg) = self.legs.get_mut(&id) {
                    leg.resume(*dialog, *by, at, served);
                }
            }
            LegEventKind::Referred { dialog, by, target, replaces } => self.referred(id, *dialog, *by, target, replaces.as_ref(), at, out),
            LegEventKind::Bye { dialog, by, reason } => {
                self.bye(id, *dialog, *by, *reason, at);
                self.named_before(call, at, out);
            }
            LegEventKind::ByeRepeated { .. } => self.await_answer(id, at),
            LegEventKind::ByeAnswered { .. } => leg.unanswered = false,
            LegEventKind::Gone { .. } => {
                leg.unanswered = false;
                self.mark(call, Mark::LostParty);
            }
            LegEventKind::Expired { dialog, proof_of_life } => self.expired(id, *dialog, *proof_of_life),
        }
        self.review_leg(id, at, out);
        let Self { due, legs, open, .. } = self;
        due.sweep(|at, due| super::due::is_wanted(legs, open, at, due));
    }

    /// The company's own numbers.
    #[must_use]
    pub const fn directory(&self) -> &Directory {
        &self.directory
    }

    /// How many calls are under way.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Calls so far that make no record.
    #[must_use]
    pub const fn unmetered(&self) -> Unmetered {
        self.unmetered
    }

    /// Legs that nobody waits for any more; the dialog table may forget them.
    pub fn take_dropped(&mut self) -> Vec<LegId> {
        std::mem::take(&mut self.dropped)
    }

    fn invited(&mut self, id: LegId, at: Timestamp, invitation: &Invitation, out: &mut Vec<Update>) {
        let whom = Whom::of(&self.directory, invitation);
        if let Some(call) = self.picked_up(invitation) {
            self.legs.insert(id, Leg::new(Role::PickUp, &self.directory, invitation, whom, at));
            return self.join(id, call, Correlation::Explicit, at, out);
        }
        let Some(role) = role(&self.directory, invitation, &whom) else {
            self.unmetered.unrelated = self.unmetered.unrelated.saturating_add(1);
            return;
        };
        let mut leg = Leg::new(role, &self.directory, invitation, whom, at);
        leg.keys.extend(self.kin.take(&leg.call_id));
        match role {
            Role::Customer => self.customer_calls(id, leg, invitation, at, out),
            Role::AgentOut => {
                let called = (leg.target.clone(), leg.target_number);
                let caller = Caller { raw: leg.from.clone(), number: None, withheld: Withheld::No };
                self.start(Kind::Callback, id, leg, Named::by(invitation), caller, called, None);
            }
            Role::Internal => self.agent_calls_agent(id, leg, invitation, at),
            // Only an INVITE with Replaces makes one: see above.
            Role::PickUp => {}
            Role::ToAgent => {
                self.legs.insert(id, leg);
                self.place_agent_leg(id, &invitation.diverted, at, out);
            }
            Role::ToOutside => {
                self.legs.insert(id, leg);
                self.place_outside_leg(id, invitation, at, out);
            }
        }
    }

    fn customer_calls(&mut self, id: LegId, leg: Leg, invitation: &Invitation, at: Timestamp, out: &mut Vec<Update>) {
        let caller = self.directory.caller(invitation);
        let called_number = leg.target_number;
        // A box in between (a session border controller) sends the same call on: one call, not two.
        let outer = self.index.of_caller(caller.number, caller.withheld).iter().copied().find(|call| {
            self.open.get(call).is_some_and(|open| {
                let near = at.since(open.started_at).abs() < SETTLE_MICROS && open.called.1 == called_number;
                // Both from one address: two calls of one caller, not one that was sent on.
                let sent_on = |first: &Leg| first.path.1 == leg.path.0 && first.path.0 != leg.path.0 && first.call_id != leg.call_id;
                near && self.legs.get(&open.first).is_some_and(sent_on)
            })
        });
        if let Some(outer) = outer {
            self.legs.insert(id, leg);
            self.stand_beside(id, outer);
            return;
        }
        let hotline = called_number.and_then(|number| {
            let hotline = self.directory.hotline(number)?;
            self.directory.hotlines.iter().position(|one| std::ptr::eq(one, hotline))
        });
        let called = (leg.target.clone(), called_number);
        let mut named = Named::by(invitation);
        // A caller can write any header: from outside a contract's name counts as an asserted identity does.
        named.contract = named.contract.filter(|_| self.directory.trusts(invitation.source.ip()));
        let call = self.start(Kind::Inbound, id, leg, named, caller, called, hotline);
        self.place_early_legs(call, at, out);
    }

    /// The second leg of an internal call (the switch's to the agent called) joins the first.
    fn agent_calls_agent(&mut self, id: LegId, mut leg: Leg, invitation: &Invitation, at: Timestamp) {
        let same = self.index.internal().filter_map(|call| Some((call, self.open.get(&call)?))).find(|(_, open)| {
            at.since(open.started_at).abs() < 2 * SETTLE_MICROS && open.caller.raw == leg.from && open.called.0 == leg.target
        });
        if let Some(call) = same.map(|(call, _)| call) {
            leg.call = Some(call);
            self.legs.insert(id, leg);
            if let Some(open) = self.open.get_mut(&call) {
                open.agents.push((id, None));
            }
            return;
        }
        let caller = Caller { raw: leg.from.clone(), number: None, withheld: Withheld::No };
        let called = (leg.target.clone(), None);
        self.start(Kind::Internal, id, leg, Named::by(invitation), caller, called, None);
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of a new call, each named at its few callers")]
    pub(super) fn start(
        &mut self,
        kind: Kind,
        first: LegId,
        mut leg: Leg,
        named: Named,
        caller: Caller,
        called: (RawNumber, Option<crate::units::E164>),
        hotline: Option<usize>,
    ) -> CallNo {
        let number = self.next;
        self.next = self.next.saturating_add(1);
        leg.call = Some(number);
        let started_at = leg.invited_at;
        // Some switches name the first leg to the second by its Call-ID.
        if !self.directory.identity.leg_headers.is_empty() {
            leg.keys.push((CALL_ID, String::from_utf8_lossy(&leg.call_id).into()));
        }
        self.index.add_keys(number, &leg.keys);
        self.legs.insert(first, leg);
        let open = Open {
            kind,
            id: named.id,
            first,
            customer: None,
            again: Vec::new(),
            passed_on: false,
            agents: Vec::new(),
            caller,
            called,
            hotline,
            contract: named.contract,
            started_at,
            end: End::Observed,
            correlation: Correlation::Explicit,
            marks: Vec::new(),
            sent_to: None,
            connected: None,
            reported: false,
            waits: true,
            conclude_at: None,
        };
        self.due.set(started_at.plus(open.max_call(&self.directory)), Due::MaxCall(number));
        self.index.add(number, &open);
        self.open.insert(number, open);
        number
    }

    fn answered(&mut self, id: LegId, dialog: DialogId, branch: Option<BranchId>, at: Timestamp, out: &mut Vec<Update>) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let answerer = leg.branch_target(branch).cloned();
        let first_answer = leg.dialogs.is_empty();
        // Nearly every leg has one: room for more would be most of its memory.
        leg.dialogs.reserve_exact(1);
        leg.dialogs.push(Dialog { id: dialog, answerer, from: at, to: None, referred_at: None, holds: Vec::new(), away: Vec::new() });
        leg.ended_at = None;
        if leg.call.is_none() && !leg.candidates.is_empty() {
            self.due.set(at.plus_micros(super::join::ANSWER_MICROS), Due::Decide(id));
        }
        if let Some(call) = leg.call.filter(|_| first_answer && leg.role == Role::Customer) {
            self.answered_together(call, at, out);
        }
    }

    pub(super) fn mark(&mut self, call: Option<CallNo>, mark: Mark) {
        if let Some(open) = call.and_then(|call| self.open.get_mut(&call)) {
            open.mark(mark);
        }
    }
}
