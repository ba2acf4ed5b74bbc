//! Calls whose dialogs are lost, or were given up: only a BYE can still say when they ended.
//!
//! The one invariant: none of them is billed beyond what was last known of its talk, and none stays for ever.

use super::signalling::Signalling;
use crate::calls::{Call, End, Mark, Stage, Update, call_id_of};
use crate::sip::addr::NameAddr;
use crate::sip::scan::{Header, Start};
use crate::sip::{Method, scan};
use crate::units::{CallId, Seconds, Timestamp};
use std::collections::BTreeSet;

/// So many calls without dialogs are remembered.
const MOST_ADRIFT: usize = 10_000;

impl Signalling {
    /// Calls that run as far as the ledger knows, but whose dialogs this input does not have: after a crash, those answered
    /// since the last snapshot. Their BYE ends them; without one, `max_call` does.
    pub fn resume(&mut self, calls: Vec<Call>) {
        let known: BTreeSet<CallId> = self.calls.running().map(|call| call.id).collect();
        self.adrift.extend(calls.into_iter().filter(|call| !known.contains(&call.id)).map(|call| (call.id.clone(), call)));
    }

    /// Another input follows this call: it is not adrift.
    pub fn is_followed(&mut self, id: &CallId) {
        self.adrift.remove(id);
    }

    /// A BYE of a dialog that is not in the table: of a call adrift, perhaps. `call_id` follows from it either way round.
    pub(super) fn end_adrift(&mut self, payload: &[u8], at: Timestamp, out: &mut Vec<Update>) {
        let Ok(scanned) = scan(payload) else { return };
        if !matches!(scanned.start, Start::Request { method: Method::Bye, .. }) {
            return;
        }
        let tag = |header| scanned.first(header).and_then(NameAddr::parse).and_then(|address| address.tag());
        let names = [tag(Header::From), tag(Header::To)].into_iter().flatten().map(|tag| call_id_of(scanned.call_id, tag));
        for name in names {
            if let Some(call) = self.adrift.remove(&name) {
                out.push(Update { stage: Stage::Concluded, call: ended(call, at, End::Observed) });
            }
        }
    }

    /// Calls adrift for longer than a call may last end where they were last known to talk.
    pub(super) fn give_up_adrift(&mut self, now: Timestamp, out: &mut Vec<Update>) {
        let longest = |call: &Call| {
            let hotline = self.calls.directory().hotlines.iter().find(|hotline| Some(&hotline.name) == call.hotline.as_ref());
            hotline.map_or(Seconds::new(4 * 3_600), |hotline| hotline.max_call)
        };
        let over: Vec<CallId> =
            self.adrift.values().filter(|call| call.started_at.plus(longest(call)) <= now).map(|call| call.id.clone()).collect();
        for id in over {
            let Some(call) = self.adrift.remove(&id) else { continue };
            if call.ended_at.is_none() {
                let last = call.talks.iter().map(|talk| talk.to.unwrap_or(talk.from)).max().unwrap_or(call.started_at);
                out.push(Update { stage: Stage::Concluded, call: ended(call, last, End::Estimated) });
            }
        }
    }

    /// A call whose end was only supposed: a BYE that comes after all corrects it.
    pub(super) fn keep_adrift(&mut self, Update { stage, call }: &Update) {
        if *stage == Stage::Concluded && matches!(call.end, End::SessionTimer | End::Estimated) && self.adrift.len() < MOST_ADRIFT {
            let mut call = call.clone();
            if let Some(last) = call.talks.last_mut() {
                last.to = None;
            }
            self.adrift.insert(call.id.clone(), call);
        }
    }
}

/// A call that ended then: its open talk ends there too.
fn ended(mut call: Call, at: Timestamp, end: End) -> Call {
    for talk in &mut call.talks {
        talk.to.get_or_insert(at.max(talk.from));
    }
    call.ended_at = Some(at);
    call.end = end;
    if end != End::Observed {
        call.mark(Mark::LostParty);
    }
    call
}
