//! The company's own numbers: hotlines, agents, and whom to believe about the caller. Checked configuration, as values.

use crate::sip::Invitation;
use crate::units::{DialPlan, E164, NumberPattern, RawNumber, Seconds};
use std::net::IpAddr;

/// What the configuration says about numbers.
#[derive(Clone, Debug)]
pub struct Directory {
    /// How numbers are dialled here.
    pub dial_plan: DialPlan,
    /// The hotlines, in the order of the configuration.
    pub hotlines: Vec<Hotline>,
    /// The agents.
    pub agents: Vec<Agent>,
    /// Whom to believe about the caller.
    pub identity: IdentityRules,
}

/// A number (DID) that callers dial, or a block of them.
#[derive(Clone, Debug)]
pub struct Hotline {
    /// The number or block.
    pub number: NumberPattern,
    /// Its name in results.
    pub name: Box<str>,
    /// The service it sells.
    pub service: Box<str>,
    /// The default severity.
    pub severity: Option<Box<str>>,
    /// When talk begins.
    pub bill_from: BillFrom,
    /// The longest a call may last when its end is never seen.
    pub max_call: Seconds,
    /// Whether hold is talk.
    pub hold: OnHold,
    /// The PBX's queues that serve it: finds the hotline where a record lost the dialled number.
    pub queues: Vec<Box<str>>,
}

/// When talk begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BillFrom {
    /// When an agent is connected.
    Agent,
    /// When the PBX answers.
    Answer,
}

/// What hold is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnHold {
    /// It goes on being talk.
    Talk,
    /// It is wait.
    Wait,
}

/// A person who answers.
#[derive(Clone, Debug)]
pub struct Agent {
    /// Extension, outside number, or block.
    pub number: AgentPattern,
    /// 1st, 2nd, 3rd level; `None` if not configured.
    pub level: Option<u8>,
}

/// How an agent is recognized.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AgentPattern {
    /// An extension, compared as received.
    Extension(Box<str>),
    /// All extensions that begin with these digits and go on, of at most six digits in all.
    Block(Box<str>),
    /// An outside number, such as the on-call mobile.
    Outside(E164),
}

/// Whom to believe about the caller's number.
#[derive(Clone, Debug)]
pub struct IdentityRules {
    /// Headers in order of belief.
    pub headers: Vec<IdentityHeader>,
    /// Networks whose asserted headers count: address and prefix length.
    pub trusted_peers: Vec<(IpAddr, u8)>,
    /// What to do with a number whose caller withheld it.
    pub withheld: WithheldNumbers,
    /// The header in which the PBX hands over a contract reference, in lower case.
    pub contract_header: Option<Box<str>>,
    /// Headers that the PBX copies from leg to leg, in lower case, best first.
    pub leg_headers: Vec<Box<str>>,
}

/// A header that names the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdentityHeader {
    /// P-Asserted-Identity (RFC 3325); counts only from a trusted peer.
    PAsserted,
    /// Remote-Party-ID; counts only from a trusted peer.
    RemoteParty,
    /// From (RFC 3261 §8.1.1.3).
    From,
}

/// What to do with a withheld number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithheldNumbers {
    /// It finds no contract.
    Ignore,
    /// It does.
    Use,
}

/// Whether a caller hid the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Withheld {
    /// No.
    No,
    /// Yes, the SIP messages say so.
    Yes,
    /// The source cannot tell (a CDR has the number all the same).
    Unknown,
}

/// Who calls, after the rules were applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// As received, of the header that was believed.
    pub raw: RawNumber,
    /// Normalized, if it is a number.
    pub number: Option<E164>,
    /// Whether it was withheld.
    pub withheld: Withheld,
}

impl Directory {
    /// The hotline of a dialled number: exact beats block, a longer block beats a shorter.
    #[must_use]
    pub fn hotline(&self, number: E164) -> Option<&Hotline> {
        self.hotlines.iter().filter(|hotline| hotline.number.matches(number)).max_by_key(|hotline| match hotline.number {
            NumberPattern::Exact(_) => u32::MAX,
            NumberPattern::Prefix(prefix) => prefix.len(),
        })
    }

    /// The agent of a number as received: extensions first, then outside numbers after normalizing.
    #[must_use]
    pub fn agent(&self, raw: &RawNumber) -> Option<&Agent> {
        let text = raw.as_bytes();
        let is_extension = !text.is_empty() && text.len() <= 6 && text.iter().all(u8::is_ascii_digit);
        // As with hotlines: exact beats block, a longer block beats a shorter.
        let fits = |agent: &&Agent| match &agent.number {
            AgentPattern::Extension(extension) => (extension.as_bytes() == text).then_some(usize::MAX),
            AgentPattern::Block(digits) => {
                (is_extension && text.len() > digits.len() && text.starts_with(digits.as_bytes())).then_some(digits.len())
            }
            AgentPattern::Outside(_) => None,
        };
        self.agents.iter().filter(|agent| fits(agent).is_some()).max_by_key(fits).or_else(|| {
            let number = self.dial_plan.normalize(text)?;
            self.agents.iter().find(|agent| agent.number == AgentPattern::Outside(number))
        })
    }

    /// Whether asserted identities from this address count.
    #[must_use]
    pub fn trusts(&self, peer: IpAddr) -> bool {
        self.identity.trusted_peers.iter().any(|(network, length)| contains(*network, *length, peer))
    }

    /// Who sent an INVITE: the first believed header that holds something, and whether it was withheld. Where none does,
    /// From is shown, and finds nobody.
    #[must_use]
    pub fn caller(&self, invitation: &Invitation) -> Caller {
        let trusted = self.trusts(invitation.source.ip());
        let withheld = match (invitation.from.anonymous, invitation.privacy) {
            (false, crate::sip::Privacy::None) => Withheld::No,
            (true, _) | (_, crate::sip::Privacy::Withheld) => Withheld::Yes,
        };
        let raw = self.identity.headers.iter().find_map(|header| match header {
            IdentityHeader::PAsserted if trusted => invitation.asserted.clone(),
            IdentityHeader::RemoteParty if trusted => invitation.remote_party.clone(),
            IdentityHeader::PAsserted | IdentityHeader::RemoteParty => None,
            IdentityHeader::From => (!invitation.from.anonymous).then(|| invitation.from.number.clone()),
        });
        let number = raw.as_ref().and_then(|raw| self.dial_plan.normalize(raw.as_bytes()));
        Caller { raw: raw.unwrap_or_else(|| invitation.from.number.clone()), number, withheld }
    }
}

fn contains(network: IpAddr, length: u8, peer: IpAddr) -> bool {
    let (network, peer, bits) = match (network.to_canonical(), peer.to_canonical()) {
        (IpAddr::V4(network), IpAddr::V4(peer)) => (u128::from(network.to_bits()), u128::from(peer.to_bits()), 32u32),
        (IpAddr::V6(network), IpAddr::V6(peer)) => (network.to_bits(), peer.to_bits(), 128),
        _ => return false,
    };
    let shift = bits.saturating_sub(u32::from(length));
    network.checked_shr(shift).unwrap_or(0) == peer.checked_shr(shift).unwrap_or(0)
}
