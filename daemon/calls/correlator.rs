//! The correlator: leg events in, calls out. It owns every leg and call under way, and knows what time it is only from
//! what it is told.

use super::call::{Call, Correlation, End, Mark};
use super::directory::{Caller, Directory, Withheld};
use super::index::Index;
use super::leg::{CallNo, Dialog, Leg, Role, role};
use super::news::{News, Stage, Unmetered, Update};
use super::open::{Kind, Open, call_id};
use super::table::Table;
use crate::sip::{BranchId, DialogId, Invitation, LegEvent, LegEventKind, LegId, Reason, Replaces, Side};
use crate::units::{Alarms, RawNumber, Timestamp};

/// After the customer's leg is over, how long the others may still say something (an agent's phone that hangs up late; a
/// BYE that is repeated for 32 s and never answered).
const LINGER_MICROS: i64 = 40_000_000;
/// The same once all legs are over.
const SETTLE_MICROS: i64 = 1_000_000;
/// A dialog that ends sooner than this after its answer may be one too many of a fork.
const SURPLUS_MICROS: i64 = 2_000_000;
/// How long a CANCEL may wait for its 487.
const CANCEL_MICROS: i64 = 32_000_000;

/// What falls due at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    Decide(LegId),
    Canceled(LegId),
    Conclude(CallNo),
    MaxCall(CallNo),
}

/// All calls under way of one input.
#[derive(Clone, Debug)]
pub struct Calls {
    pub(super) directory: Directory,
    pub(super) legs: Table<LegId, Leg>,
    pub(super) open: Table<CallNo, Open>,
    pub(super) index: Index,
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
            LegEventKind::Bye { dialog, reason, .. } => self.bye(id, *dialog, *reason, at),
            LegEventKind::ByeUnanswered { .. } => self.mark(call, Mark::LostParty),
            LegEventKind::Expired { dialog, proof_of_life } => self.expired(id, *dialog, *proof_of_life),
        }
        self.review_leg(id, at, out);
        let Self { due, legs, open, .. } = self;
        due.sweep(|at, due| is_wanted(legs, open, at, due));
    }

    /// When [`Calls::expire`] next has work, or a little earlier.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        self.due.first()
    }

    /// It is `now`: decides, concludes and ends what is due. `last_seen` tells the last message of a leg.
    pub fn expire(&mut self, now: Timestamp, last_seen: &dyn Fn(LegId) -> Option<Timestamp>, out: &mut Vec<Update>) {
        while let Some((at, due)) = self.due.ring(now) {
            match due {
                Due::Decide(leg) => self.decide(leg, at, out),
                Due::Canceled(leg) => {
                    if let Some(leg) = self.legs.get_mut(&leg).filter(|leg| leg.dialogs.is_empty()) {
                        leg.end(leg.canceled_at.unwrap_or(at));
                    }
                    self.review_leg(leg, at, out);
                }
                Due::Conclude(call) => {
                    if self.open.get(&call).is_some_and(|open| open.conclude_at.is_some_and(|due| due <= at)) {
                        self.conclude(call, out);
                    }
                }
                Due::MaxCall(call) => match self.longest(call) {
                    // It may last longer than it seemed to when it began.
                    Some(end) if end > at => self.due.set(end, due),
                    Some(_) | None => self.give_up(call, last_seen, out),
                },
            }
        }
    }

    /// Concludes every call under way as far as it is known (`replay --final`): lost ends at the last proof of life.
    pub fn finish(&mut self, last_seen: &dyn Fn(LegId) -> Option<Timestamp>, out: &mut Vec<Update>) {
        for call in self.open.keys() {
            self.give_up(call, last_seen, out);
            self.conclude(call, out);
        }
    }

    /// Calls that run, as they stand; those nobody answered yet included.
    pub fn running(&self) -> impl Iterator<Item = Call> {
        self.listed().filter(|open| open.conclude_at.is_none()).map(|open| self.call_of(open))
    }

    /// Calls whose customer has gone, but whose other legs may still say something: as they stand.
    pub fn ended(&self) -> impl Iterator<Item = Call> {
        self.listed().filter(|open| open.conclude_at.is_some()).map(|open| self.call_of(open))
    }

    fn listed(&self) -> impl Iterator<Item = &Open> {
        self.open.iter().map(|(_, open)| open).filter(|open| open.kind != Kind::Internal)
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

    pub(super) fn call_of(&self, open: &Open) -> Call {
        open.call(&self.directory, &self.legs)
    }

    fn invited(&mut self, id: LegId, at: Timestamp, invitation: &Invitation, out: &mut Vec<Update>) {
        let Some(role) = role(&self.directory, invitation) else {
            self.unmetered.unrelated = self.unmetered.unrelated.saturating_add(1);
            return;
        };
        let leg = Leg::new(role, &self.directory, invitation, at);
        match role {
            Role::Customer => self.customer_calls(id, leg, invitation, at),
            Role::AgentOut => {
                let called = (leg.target.clone(), self.directory.dial_plan.normalize(leg.target.as_str().as_bytes()));
                let caller = Caller { raw: leg.from.clone(), number: None, withheld: Withheld::No };
                self.start(Kind::Callback, id, leg, invitation, caller, called, None);
            }
            Role::Internal => self.agent_calls_agent(id, leg, invitation, at),
            Role::ToAgent => {
                self.legs.insert(id, leg);
                self.place_agent_leg(id, at, out);
            }
            Role::ToOutside => {
                self.legs.insert(id, leg);
                self.place_outside_leg(id, invitation, at, out);
            }
        }
    }

    fn customer_calls(&mut self, id: LegId, leg: Leg, invitation: &Invitation, at: Timestamp) {
        let caller = self.directory.caller(invitation);
        let called_number = self.directory.dial_plan.normalize(leg.target.as_str().as_bytes());
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
        self.start(Kind::Inbound, id, leg, invitation, caller, called, hotline);
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
        self.start(Kind::Internal, id, leg, invitation, caller, called, None);
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of a new call, each named at its few callers")]
    pub(super) fn start(
        &mut self,
        kind: Kind,
        first: LegId,
        mut leg: Leg,
        invitation: &Invitation,
        caller: Caller,
        called: (RawNumber, Option<crate::units::E164>),
        hotline: Option<usize>,
    ) -> CallNo {
        let number = self.next;
        self.next = self.next.saturating_add(1);
        leg.call = Some(number);
        let started_at = leg.invited_at;
        self.index.add_keys(number, &leg.keys);
        self.legs.insert(first, leg);
        let open = Open {
            kind,
            id: call_id(&invitation.call_id, &invitation.from_tag),
            first,
            customer: None,
            agents: Vec::new(),
            caller,
            called,
            hotline,
            contract: invitation.contract.clone(),
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
        if !leg.candidates.is_empty() {
            self.due.set(at.plus_micros(super::join::ANSWER_MICROS), Due::Decide(id));
        }
        if let Some(call) = leg.call.filter(|_| first_answer && leg.role == Role::Customer) {
            self.answered_together(call, at, out);
        }
    }

    /// A phone sends the caller elsewhere (302): the switch's next leg to that number belongs to the same call.
    fn redirected(&mut self, id: LegId, branch: BranchId, target: Option<&RawNumber>, at: Timestamp) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        if branch == BranchId(0) && leg.dialogs.is_empty() {
            leg.refused = Some(302);
            leg.end(at);
        }
        let Some((call, target)) = leg.call.zip(target) else { return };
        self.send_on(call, target, at, Mark::Forward);
    }

    fn send_on(&mut self, call: CallNo, target: &RawNumber, at: Timestamp, mark: Mark) {
        if let Some(open) = self.open.get_mut(&call) {
            let number = self.directory.dial_plan.normalize(target.as_str().as_bytes());
            open.sent_to = Some((target.clone(), number, at));
            self.index.sent.insert(call, at);
        }
        self.mark(Some(call), mark);
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one event")]
    fn referred(
        &mut self,
        id: LegId,
        dialog: DialogId,
        by: Side,
        target: &RawNumber,
        replaces: Option<&Replaces>,
        at: Timestamp,
        out: &mut Vec<Update>,
    ) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let by_agent = match leg.role {
            Role::ToAgent => by == Side::Callee,
            Role::AgentOut | Role::Internal => by == Side::Caller,
            Role::Customer | Role::ToOutside => false,
        };
        let Some(call) = leg.call else { return };
        if !by_agent {
            self.mark(Some(call), Mark::Transfer);
            return;
        }
        match replaces {
            Some(replaces) => {
                self.mark(Some(call), Mark::Transfer);
                self.adopt(call, replaces, at, out);
            }
            None => {
                if let Some(dialog) = leg.dialog(dialog) {
                    dialog.referred_at.get_or_insert(at);
                }
                self.send_on(call, target, at, Mark::Transfer);
            }
        }
    }

    /// An attended transfer: the agents of the consultation call go on with the caller.
    fn adopt(&mut self, call: CallNo, replaces: &Replaces, at: Timestamp, out: &mut Vec<Update>) {
        let consulted = self.index.internal().find_map(|number| {
            let open = self.open.get(&number)?;
            let replaced = self.legs.get(&open.first)?.call_id == replaces.call_id;
            replaced.then(|| (number, open.agents.iter().map(|(leg, _)| *leg).collect::<Vec<_>>()))
        });
        if let Some((consulted, agents)) = consulted {
            self.take_over(call, consulted, &agents, at, out);
        }
    }

    /// Legs of an internal call serve another call from now on.
    pub(super) fn take_over(&mut self, call: CallNo, from: CallNo, legs: &[LegId], at: Timestamp, out: &mut Vec<Update>) {
        for leg in legs {
            if let Some(leg) = self.legs.get_mut(leg) {
                leg.call = Some(call);
            }
        }
        if let Some(from) = self.open.get_mut(&from) {
            from.agents.retain(|(leg, _)| !legs.contains(leg));
        }
        if let Some(open) = self.open.get_mut(&call) {
            open.agents.extend(legs.iter().map(|leg| (*leg, Some(at))));
        }
        self.mark(Some(call), Mark::Transfer);
        self.review(call, at, out);
        // Of a consultation whose only leg went over, nothing more is to come.
        if self.open.get(&from).is_some_and(|open| legs.contains(&open.first)) {
            self.conclude(from, out);
        } else {
            self.review(from, at, out);
        }
    }

    fn bye(&mut self, id: LegId, dialog: Option<DialogId>, reason: Option<Reason>, at: Timestamp) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let call = leg.call;
        match dialog.and_then(|dialog| leg.dialog(dialog)) {
            Some(dialog) => {
                dialog.to.get_or_insert(at.max(dialog.from));
                // A caller ends the surplus dialogs of a fork at once (RFC 3261 §13.2.2.4); who hangs up later ends the call,
                // though the end of a surplus dialog was never seen.
                let was_talk = at.since(dialog.from) > SURPLUS_MICROS;
                if was_talk || leg.dialogs.iter().all(|dialog| dialog.to.is_some()) {
                    leg.end(at);
                }
            }
            None => {
                leg.end(at);
                self.mark(call, Mark::AnswerUnseen);
            }
        }
        if matches!(reason, Some(Reason::Q850(44) | Reason::Sip(408))) {
            self.mark(call, Mark::LostParty);
        }
    }

    fn expired(&mut self, id: LegId, dialog: DialogId, proof_of_life: Timestamp) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        if let Some(dialog) = leg.dialog(dialog) {
            dialog.to.get_or_insert(proof_of_life.max(dialog.from));
        }
        if leg.dialogs.iter().all(|dialog| dialog.to.is_some()) {
            leg.end(proof_of_life);
        }
        let call = leg.call;
        if let Some(open) = call.and_then(|call| self.open.get_mut(&call)).filter(|open| open.conclude_at.is_none()) {
            open.end = End::SessionTimer;
        }
        self.mark(call, Mark::LostParty);
    }

    pub(super) fn mark(&mut self, call: Option<CallNo>, mark: Mark) {
        if let Some(open) = call.and_then(|call| self.open.get_mut(&call))
            && let Err(place) = open.marks.binary_search(&mark)
        {
            open.marks.insert(place, mark);
        }
    }

    fn review_leg(&mut self, id: LegId, at: Timestamp, out: &mut Vec<Update>) {
        match self.legs.get(&id).map(|leg| (leg.call, leg.is_over())) {
            Some((Some(call), _)) => self.review(call, at, out),
            Some((None, true)) => {
                // A leg of no call, or one that rang in vain while nobody knew whose it was.
                if let Some(leg) = self.legs.remove(&id) {
                    self.index.wait_no_more(id, &leg);
                }
                self.unmetered.orphans = self.unmetered.orphans.saturating_add(1);
                self.rest();
            }
            Some((None, false)) | None => {}
        }
    }

    /// After something happened: reports the first talk, and sets when the call is concluded.
    pub(super) fn review(&mut self, call: CallNo, at: Timestamp, out: &mut Vec<Update>) {
        self.report(call, out);
        self.foresee_end(call, at, out);
        self.note_waiting(call);
    }

    /// Reports the first talk of a call.
    fn report(&mut self, call: CallNo, out: &mut Vec<Update>) {
        let Self { open, legs, directory, news, .. } = self;
        if *news == News::Ends {
            return;
        }
        let first = |open: &&mut Open| !open.reported && open.conclude_at.is_none() && open.kind != Kind::Internal;
        let Some(open) = open.get_mut(&call).filter(first) else { return };
        if open.talks(directory, legs).is_empty() {
            return;
        }
        open.reported = true;
        out.push(Update { stage: Stage::Connected, call: open.call(directory, legs) });
    }

    /// Sets when a call is concluded, once its customer has gone.
    fn foresee_end(&mut self, call: CallNo, at: Timestamp, out: &mut Vec<Update>) {
        let Some(open) = self.open.get(&call) else { return };
        let is_over = |leg: LegId| self.legs.get(&leg).is_none_or(Leg::is_over);
        let agents_over = open.agents.iter().all(|(leg, _)| is_over(*leg));
        // A callback is over with its agents, too: whoever made it, and whoever the customer was passed on to.
        let by_agents = open.kind == Kind::Callback && is_over(open.first) && agents_over;
        if !by_agents && !is_over(open.customer.unwrap_or(open.first)) {
            return;
        }
        let all_over = is_over(open.first) && open.customer.is_none_or(is_over) && agents_over;
        let due = at.plus_micros(if all_over { SETTLE_MICROS } else { LINGER_MICROS });
        if open.conclude_at.is_none_or(|before| due < before) {
            self.due.set(due, Due::Conclude(call));
            let Some(open) = self.open.get_mut(&call) else { return };
            let first = open.conclude_at.replace(due).is_none();
            let wanted = first && self.news == News::Stages;
            if let Some(open) = self.open.get(&call).filter(|open| wanted && open.kind != Kind::Internal) {
                out.push(Update { stage: Stage::Ended, call: self.call_of(open) });
            }
        }
    }

    /// The call is over: says so, and forgets it.
    fn conclude(&mut self, number: CallNo, out: &mut Vec<Update>) {
        let Some(mut open) = self.open.remove(&number) else { return };
        open.conclude_at.get_or_insert(open.started_at);
        // A callback whose agents hung up is over though the customer's own BYE was never seen.
        let by_us = open.agents.iter().map(|(leg, _)| *leg).chain([open.first]);
        let over = by_us.filter_map(|leg| self.legs.get(&leg)?.ended_at).max();
        if let (Some(customer), Some(over)) = (open.customer.and_then(|leg| self.legs.get_mut(&leg)), over) {
            customer.end(over);
        }
        self.index.remove(number, &open);
        if let Some(first) = self.legs.get(&open.first) {
            self.index.remove_keys(number, &first.keys);
        }
        if open.kind == Kind::Internal {
            self.unmetered.internal = self.unmetered.internal.saturating_add(1);
        } else {
            out.push(Update { stage: Stage::Concluded, call: self.call_of(&open) });
        }
        let others: Vec<LegId> = self.index.take_legs(number, &open, &self.legs);
        for leg in others {
            self.legs.remove(&leg);
            // A leg that ended is kept by its table for the repeats that may follow; one that never did would stay for good.
            if open.end == End::Estimated {
                self.dropped.push(leg);
            }
        }
        self.rest();
    }

    /// With nothing under way, nothing falls due.
    fn rest(&mut self) {
        if self.open.is_empty() && self.legs.is_empty() {
            self.due.clear();
        }
    }

    /// When a call has lasted as long as it may.
    fn longest(&self, call: CallNo) -> Option<Timestamp> {
        self.open.get(&call).map(|open| open.started_at.plus(open.max_call(&self.directory)))
    }

    /// The longest a call may last has passed: it ended when its customer was last heard of.
    fn give_up(&mut self, number: CallNo, last_seen: &dyn Fn(LegId) -> Option<Timestamp>, out: &mut Vec<Update>) {
        let Some(open) = self.open.get_mut(&number).filter(|open| open.conclude_at.is_none()) else { return };
        open.end = End::Estimated;
        let customer = open.customer.unwrap_or(open.first);
        let legs: Vec<LegId> = [open.first, customer].into_iter().chain(open.agents.iter().map(|(leg, _)| *leg)).collect();
        // An end that was seen, of the customer's dialog or of an agent's, is later proof than a message before it.
        let dialogs = legs.iter().filter_map(|leg| self.legs.get(leg)).flat_map(|leg| &leg.dialogs);
        let released = dialogs.filter_map(|dialog| dialog.to).max();
        let at = [last_seen(customer), released].into_iter().flatten().max().unwrap_or(open.started_at);
        for leg in legs {
            if let Some(leg) = self.legs.get_mut(&leg) {
                leg.end(at);
            }
        }
        self.mark(Some(number), Mark::LostParty);
        self.review(number, at, out);
    }
}

/// Whether what falls due at an instant still concerns anybody.
pub(super) fn is_wanted(legs: &Table<LegId, Leg>, open: &Table<CallNo, Open>, at: Timestamp, due: Due) -> bool {
    match due {
        Due::Decide(leg) | Due::Canceled(leg) => legs.get(&leg).is_some(),
        Due::Conclude(call) => open.get(&call).is_some_and(|open| open.conclude_at == Some(at)),
        Due::MaxCall(call) => open.get(&call).is_some(),
    }
}
