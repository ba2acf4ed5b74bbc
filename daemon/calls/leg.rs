//! A leg as the correlator keeps it: what it is to the company, and when who was connected on it.

use super::directory::{Agent, Directory};
use super::open::call_id;
use crate::sip::{BranchId, DialogId, Invitation, LegId, Side};
use crate::units::{CallId, E164, RawNumber, Timestamp};
use std::net::IpAddr;

/// A call under way: numbered as they come.
pub type CallNo = u64;

/// The place of a leg's own Call-ID among the values of leg headers: before it stand those that are configured.
pub const CALL_ID: usize = 0xffff;

/// What a leg is to the company.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A customer calls a hotline: an A-leg.
    Customer,
    /// An agent calls outside: the A-leg of a callback.
    AgentOut,
    /// An agent calls an agent: the A-leg of an internal call.
    Internal,
    /// The switch calls an agent: a B-leg.
    ToAgent,
    /// The switch calls an outside number: a B-leg to a customer, or a forward.
    ToOutside,
    /// An agent takes a call over by itself (an INVITE with Replaces, RFC 3891): the agent is the caller of this leg.
    PickUp,
}

/// What a call is called after its first leg, and the contract reference that came with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Its name.
    pub id: CallId,
    /// The reference.
    pub contract: Option<Box<str>>,
}

impl Named {
    /// By the INVITE of that leg.
    pub fn by(invitation: &Invitation) -> Self {
        Self { id: call_id(&invitation.call_id, &invitation.from_tag), contract: invitation.contract.clone() }
    }
}

/// One leg.
#[derive(Clone, Debug)]
pub struct Leg {
    /// What it is.
    pub role: Role,
    /// The call it belongs to, once that is known.
    pub call: Option<CallNo>,
    /// Its Call-ID, to be found by Replaces.
    pub call_id: Box<[u8]>,
    /// Who calls, as its INVITE says (From; not the believed identity).
    pub from: RawNumber,
    /// The same, normalized.
    pub from_number: Option<E164>,
    /// The address says "anonymous".
    pub hidden: bool,
    /// Whom it invites.
    pub target: RawNumber,
    /// The same, normalized.
    pub target_number: Option<E164>,
    /// When.
    pub invited_at: Timestamp,
    /// Values of the configured leg headers.
    pub keys: Vec<(usize, Box<str>)>,
    /// Whom a proxy forked it to.
    pub forks: Vec<(BranchId, RawNumber)>,
    /// Its confirmed dialogs.
    pub dialogs: Vec<Dialog>,
    /// The final failure.
    pub refused: Option<u16>,
    /// When its caller gave up.
    pub canceled_at: Option<Timestamp>,
    /// Who sent the first INVITE, and to whom: a box in between sends on what it was sent.
    pub path: (IpAddr, IpAddr),
    /// It ended without a known dialog, or all its dialogs did.
    pub ended_at: Option<Timestamp>,
    /// Who sent the BYE that ended it.
    pub ended_by: Option<Side>,
    /// Its BYE is repeated, and nobody has answered it.
    pub unanswered: bool,
    /// While it waits for evidence whose call it is, or that a guess was wrong: the calls it could belong to.
    pub candidates: Vec<CallNo>,
    /// Where its agent passed the caller on to, while it waits so.
    pub passed_to: Option<Box<(RawNumber, Option<E164>)>>,
    /// What its call would be called, while it waits for another that explains it.
    pub named: Option<Box<Named>>,
    /// The leg whose agent passed the caller on to this one: they are of one call.
    pub follows: Option<LegId>,
}

/// A confirmed dialog of a leg.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialog {
    /// Its number in the leg.
    pub id: DialogId,
    /// Who answered, if that was not the switch itself.
    pub answerer: Option<RawNumber>,
    /// When.
    pub from: Timestamp,
    /// When it was released.
    pub to: Option<Timestamp>,
    /// When its agent passed the caller on.
    pub referred_at: Option<Timestamp>,
    /// Who held, when, and when that side took back.
    pub holds: Vec<(Side, Timestamp, Option<Timestamp>)>,
    /// When its agent passed the caller on in vain, and was back: wait, whatever hold is.
    pub away: Vec<(Timestamp, Timestamp)>,
}

impl Leg {
    /// A leg from its first INVITE.
    pub fn new(role: Role, directory: &Directory, invitation: &Invitation, whom: Whom, at: Timestamp) -> Self {
        let from = invitation.from.number.clone();
        let Whom { target, number: target_number } = whom;
        Self {
            role,
            call: None,
            call_id: invitation.call_id.clone(),
            from_number: directory.dial_plan.normalize(from.as_bytes()),
            from,
            hidden: invitation.from.anonymous,
            target_number,
            target,
            invited_at: at,
            keys: invitation.leg_keys.clone(),
            forks: Vec::new(),
            dialogs: Vec::new(),
            refused: None,
            canceled_at: None,
            path: (invitation.source.ip(), invitation.destination.ip()),
            ended_at: None,
            ended_by: None,
            unanswered: false,
            candidates: Vec::new(),
            passed_to: None,
            named: None,
            follows: None,
        }
    }

    /// When it was first answered.
    pub fn answered_at(&self) -> Option<Timestamp> {
        self.dialogs.iter().map(|dialog| dialog.from).min()
    }

    /// Whether nothing more is to come but repeats.
    pub fn is_over(&self) -> bool {
        self.ended_at.is_some()
    }

    /// Ends what is open, at an instant.
    pub fn end(&mut self, at: Timestamp) {
        for dialog in &mut self.dialogs {
            dialog.to.get_or_insert(at.max(dialog.from));
        }
        self.ended_at.get_or_insert(at);
    }

    /// Whether somebody is connected on it and has not passed the caller on.
    pub fn is_connected(&self) -> bool {
        self.dialogs.iter().any(|dialog| dialog.to.is_none() && dialog.referred_at.is_none())
    }

    /// A dialog by number.
    pub fn dialog(&mut self, id: DialogId) -> Option<&mut Dialog> {
        self.dialogs.iter_mut().find(|dialog| dialog.id == id)
    }

    /// The agent of this leg, if it is an agent's.
    pub const fn agent(&self) -> &RawNumber {
        match self.role {
            Role::PickUp | Role::AgentOut => &self.from,
            Role::Customer | Role::Internal | Role::ToAgent | Role::ToOutside => &self.target,
        }
    }

    /// Whether a side of a dialog is an agent's phone: also where a proxy passed the caller's own INVITE on to it.
    pub fn is_agents_side(&mut self, dialog: DialogId, side: Side) -> bool {
        match self.role {
            Role::ToAgent => side == Side::Callee,
            Role::Customer => side == Side::Callee && self.dialog(dialog).is_some_and(|dialog| dialog.answerer.is_some()),
            Role::AgentOut | Role::Internal | Role::PickUp => side == Side::Caller,
            Role::ToOutside => false,
        }
    }

    /// A side puts the other on hold.
    pub fn hold(&mut self, dialog: DialogId, by: Side, at: Timestamp) {
        if let Some(dialog) = self.dialog(dialog)
            && dialog.holds.iter().all(|(side, _, resumed)| *side != by || resumed.is_some())
        {
            dialog.holds.push((by, at, None));
        }
    }

    /// A side takes the other back: from hold, or after a transfer that led nowhere (unless somebody else serves the caller
    /// now).
    pub fn resume(&mut self, dialog: DialogId, by: Side, at: Timestamp, served: bool) {
        let by_agent = self.is_agents_side(dialog, by);
        let Some(dialog) = self.dialog(dialog) else { return };
        if let Some((_, _, resumed)) = dialog.holds.iter_mut().rfind(|(side, ..)| *side == by) {
            resumed.get_or_insert(at);
        }
        if by_agent
            && !served
            && let Some(referred_at) = dialog.referred_at.take()
        {
            dialog.away.push((referred_at, at));
        }
    }

    /// Whom a branch is for: a fork's target, or the leg's own.
    pub fn branch_target(&self, branch: Option<BranchId>) -> Option<&RawNumber> {
        let branch = branch?;
        self.forks.iter().find(|(known, _)| *known == branch).map(|(_, target)| target)
    }
}

/// Whom an INVITE is for: the Request-URI, or To where that has no user part. The provider may put the account of a trunk
/// there, or where a call was forwarded to; then the hotline that was dialled stands in To, or in what was noted of the way.
fn target(directory: &Directory, invitation: &Invitation) -> RawNumber {
    let requested = &invitation.request_user;
    let hotline = |number: &RawNumber| {
        let number = directory.dial_plan.normalize(number.as_bytes());
        number.is_some_and(|number| directory.hotline(number).is_some())
    };
    let own = || hotline(requested) || directory.agent(requested).is_some();
    if directory.trusts(invitation.source.ip()) && !own() {
        let mut dialled = std::iter::once(&invitation.to_user).chain(&invitation.diverted);
        if let Some(dialled) = dialled.find(|number| hotline(number)) {
            return dialled.clone();
        }
    }
    if requested.as_str().is_empty() { invitation.to_user.clone() } else { requested.clone() }
}

/// Whom an INVITE is for.
#[derive(Clone, Debug)]
pub struct Whom {
    target: RawNumber,
    /// The same, normalized.
    number: Option<E164>,
}

impl Whom {
    /// What the INVITE of a leg says.
    pub fn of(directory: &Directory, invitation: &Invitation) -> Self {
        let target = target(directory, invitation);
        Self { number: directory.dial_plan.normalize(target.as_bytes()), target }
    }
}

/// What a new leg is; `None` if it concerns no hotline and no agent.
pub fn role(directory: &Directory, invitation: &Invitation, whom: &Whom) -> Option<Role> {
    let from_agent = is_extension(directory, &invitation.from.number);
    let Whom { target, number } = whom;
    if directory.agent(target).is_some() {
        return Some(if from_agent { Role::Internal } else { Role::ToAgent });
    }
    match *number {
        Some(number) if directory.hotline(number).is_some() => (!from_agent).then_some(Role::Customer),
        Some(_) if from_agent => Some(Role::AgentOut),
        Some(_) => Some(Role::ToOutside),
        None => None,
    }
}

/// Whether a number is an agent's extension (an outside number of an agent may also be a customer's caller).
pub fn is_extension(directory: &Directory, number: &RawNumber) -> bool {
    use super::directory::AgentPattern::{Block, Extension, Outside};
    directory.agent(number).is_some_and(|Agent { number, .. }| match number {
        Extension(_) | Block(_) => true,
        Outside(_) => false,
    })
}
