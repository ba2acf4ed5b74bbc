//! Incidents: calls about one matter, priced once (design.md §6.7).

use crate::calls::Call;
use crate::units::{CallId, E164, Seconds, Timestamp};

/// The incidents of one contract, as far as settlement has come.
#[derive(Clone, Debug, Default)]
pub struct Incidents<'a> {
    open: Vec<Incident<'a>>,
}

#[derive(Clone, Debug)]
struct Incident<'a> {
    service: &'a str,
    key: Key<'a>,
    first: &'a CallId,
    first_began: Timestamp,
    latest_end: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key<'a> {
    Ticket(&'a str),
    Number(E164),
    Raw(&'a str),
    /// A caller without any number: nobody else can be known to be the same.
    Unknown(&'a CallId),
}

/// What a call is to its incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// It opens one, and is priced.
    First(Box<str>),
    /// It belongs to one that is paid already.
    Another(Box<str>),
}

impl<'a> Incidents<'a> {
    /// Joins a call, whose talk begins now and which ends at `end`, to its incident, or opens one. Calls come in the order
    /// in which their talk begins; a late one may come after, and belongs to an incident only if it was about then.
    pub fn join(&mut self, call: &'a Call, began: Timestamp, end: Timestamp, window: Seconds) -> Part {
        let key = match (call.ticket.as_deref(), call.caller) {
            (Some(ticket), _) => Key::Ticket(ticket),
            (None, Some(number)) => Key::Number(number),
            (None, None) if call.caller_raw.as_str().bytes().any(|byte| byte.is_ascii_digit()) => Key::Raw(call.caller_raw.as_str()),
            (None, None) => Key::Unknown(&call.id),
        };
        let goes_on = |incident: &Incident<'a>| match incident.key {
            Key::Number(_) | Key::Raw(_) => began <= incident.latest_end.plus(window) && incident.first_began <= end.plus(window),
            Key::Ticket(_) => true,
            Key::Unknown(_) => false,
        };
        let found =
            self.open.iter_mut().rev().find(|incident| incident.service == &*call.service && incident.key == key && goes_on(incident));
        if let Some(incident) = found {
            incident.latest_end = incident.latest_end.max(end);
            return Part::Another(name(incident.key, incident.first));
        }
        self.open.push(Incident { service: &call.service, key, first: &call.id, first_began: began, latest_end: end });
        Part::First(name(key, &call.id))
    }
}

fn name(key: Key<'_>, first: &CallId) -> Box<str> {
    match key {
        Key::Ticket(ticket) => format!("ticket:{ticket}").into(),
        Key::Number(_) | Key::Raw(_) | Key::Unknown(_) => first.as_str().into(),
    }
}
