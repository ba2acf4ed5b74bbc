//! Incidents: calls about one matter, priced once (design.md §6.7).

use crate::calls::Call;
use crate::units::{CallId, E164, Seconds, Timestamp};
use std::collections::BTreeMap;

/// The incidents of one contract, as far as settlement has come, by what their calls have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Incidents {
    open: BTreeMap<Key, Vec<Incident>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Incident {
    service: Box<str>,
    first: CallId,
    first_began: Timestamp,
    latest_end: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Ticket(Box<str>),
    Number(E164),
    Raw(Box<str>),
    /// A caller without any number: nobody else can be known to be the same.
    Unknown(CallId),
}

/// What a call is to its incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// It opens one, and is priced.
    First(Box<str>),
    /// It belongs to one that is paid already.
    Another(Box<str>),
}

impl Incidents {
    /// Joins a call, whose talk begins now and which ends at `end`, to its incident, or opens one. Calls come in the order
    /// in which their talk begins; a late one may come after, and belongs to an incident only if it was about then.
    pub fn join(&mut self, call: &Call, began: Timestamp, end: Timestamp, window: Seconds) -> Part {
        let key = match (call.ticket.as_deref(), call.caller) {
            (Some(ticket), _) => Key::Ticket(ticket.into()),
            (None, Some(number)) => Key::Number(number),
            (None, None) if call.caller_raw.as_str().bytes().any(|byte| byte.is_ascii_digit()) => Key::Raw(call.caller_raw.as_str().into()),
            (None, None) => Key::Unknown(call.id.clone()),
        };
        let goes_on = |incident: &Incident| match key {
            Key::Number(_) | Key::Raw(_) => began <= incident.latest_end.plus(window) && incident.first_began <= end.plus(window),
            Key::Ticket(_) => true,
            Key::Unknown(_) => false,
        };
        let alike = self.open.get_mut(&key).into_iter().flatten().rev();
        let found = alike.into_iter().find(|incident| incident.service == call.service && goes_on(incident));
        if let Some(incident) = found {
            incident.latest_end = incident.latest_end.max(end);
            return Part::Another(name(&key, &incident.first));
        }
        let part = Part::First(name(&key, &call.id));
        let new = Incident { service: call.service.clone(), first: call.id.clone(), first_began: began, latest_end: end };
        self.open.entry(key).or_default().push(new);
        part
    }

    /// Lets go of those that no call from an instant on can belong to.
    pub fn forget_before(&mut self, at: Timestamp, window: Seconds) {
        self.open.retain(|key, incidents| {
            match key {
                Key::Ticket(_) => {}
                Key::Number(_) | Key::Raw(_) => incidents.retain(|incident| at <= incident.latest_end.plus(window)),
                Key::Unknown(_) => incidents.clear(),
            }
            !incidents.is_empty()
        });
    }
}

fn name(key: &Key, first: &CallId) -> Box<str> {
    match key {
        Key::Ticket(ticket) => format!("ticket:{ticket}").into(),
        Key::Number(_) | Key::Raw(_) | Key::Unknown(_) => first.as_str().into(),
    }
}
