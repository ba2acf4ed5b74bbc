//! Signalling after a restart: what was under way when the daemon last ran, from what the ledger keeps of it. The open dialogs
//! that were kept may be some seconds older than the calls.
//!
//! The one invariant: what the ledger knows of a running call stands, whatever the dialogs that were kept say of it.

use super::kept_dialogs::KeptDialogs;
use super::signalling::Signalling;
use crate::calls::{Call, Directory, End, Mark, Stage, Update, call_id_of};
use crate::ledger::{Ledger, LedgerError};
use crate::sip::addr::NameAddr;
use crate::sip::scan::{Header, Start};
use crate::sip::{Method, scan};
use crate::units::{CallId, KeyedState, Seconds, Timestamp};
use std::collections::BTreeMap;

/// So many calls without dialogs are remembered.
const MOST_ADRIFT: usize = 10_000;

/// A copy of an INVITE is that of the same call when it was set up so near, in microseconds.
const APART_MICROS: i64 = 60_000_000;

/// Calls of which the ledger knows more than the dialogs.
#[derive(Debug, Default)]
pub(super) struct Resumed {
    /// Calls whose dialogs are lost or were given up: only a BYE can still say when they ended.
    adrift: BTreeMap<CallId, Call>,
    /// Calls that were answered after their dialogs were kept.
    answered: BTreeMap<CallId, Call>,
    /// Calls that ended after their dialogs were kept.
    over: BTreeMap<CallId, Call>,
}

impl Signalling {
    /// The open dialogs that were kept, and the running calls that they do not know, but for those that another input follows.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn restore(
        ledger: &Ledger,
        directory: Directory,
        max_legs: usize,
        key: KeyedState,
        is_followed: impl Fn(&Call) -> bool,
    ) -> Result<Self, LedgerError> {
        let kept = KeptDialogs::of(ledger)?;
        let restored = kept.whole.as_ref().and_then(|snapshot| Self::read(&snapshot.body, directory.clone(), max_legs, key));
        if kept.whole.is_some() && restored.is_none() {
            tracing::warn!("the snapshot of open dialogs is of another version; running calls end when their BYE is seen");
        }
        let mut signalling = restored.unwrap_or_else(|| Self::new(directory, max_legs, key));
        signalling.kept = kept.to_write_anew(key);
        let mut running = Vec::new();
        ledger.running_calls(|stored| {
            running.push(stored.call);
            Ok(())
        })?;
        if !running.is_empty() {
            tracing::info!(calls = running.len(), "running calls go on");
        }
        running.retain(|call| !is_followed(call));
        let Self { calls, resumed, .. } = &mut signalling;
        for kept in calls.running().chain(calls.ended()) {
            let stored = ledger.call(&kept.id)?.map(|stored| stored.call);
            if let Some(over) = stored.filter(|call| call.ended_at.is_some() && !call.is_apart_from(&kept)) {
                resumed.over.insert(kept.id, over);
            }
        }
        let known: BTreeMap<CallId, Option<Timestamp>> = calls.running().map(|call| (call.id.clone(), call.connected_at())).collect();
        for call in running {
            match known.get(&call.id) {
                None => drop(resumed.adrift.insert(call.id.clone(), call)),
                Some(connected) if *connected != call.connected_at() => drop(resumed.answered.insert(call.id.clone(), call)),
                Some(_) => {}
            }
        }
        Ok(signalling)
    }

    /// Another input follows this call: it is not adrift.
    pub fn is_followed(&mut self, id: &CallId) {
        self.resumed.adrift.remove(id);
    }

    /// Our clock shows `wall`: what is due by the messages' own time ends.
    pub fn pass(&mut self, wall: Timestamp, out: &mut Vec<Update>) {
        let feed = self.feed_time(wall);
        // Calls without dialogs have no timer: they are looked at whenever time passes.
        let due = self.has_related() || !self.resumed.adrift.is_empty() || self.deadline().is_some_and(|due| due <= feed);
        if due && !self.clock.is_in_doubt() {
            self.advance(feed, out);
        }
    }
}

impl Resumed {
    /// Adds to news what the ledger knew before: a call whose answer the dialogs have not seen talked all the same; also one
    /// whose dialogs were lost, and of whose INVITE a copy came since.
    pub fn complete(&mut self, out: &mut Vec<Update>, from: usize) {
        if self.answered.is_empty() && self.over.is_empty() && self.adrift.is_empty() {
            return;
        }
        for Update { stage, mut call } in out.split_off(from.min(out.len())) {
            let same = |known: &&Call| known.started_at.since(call.started_at).abs() <= APART_MICROS;
            if let Some(over) = self.over.get(&call.id).filter(same) {
                // It is known better how this one ended, unless it went on.
                if call.ended_at.is_none() || call.talks.is_empty() {
                    continue;
                }
                call = completed(&call, over.clone());
            } else if let Some(known) = self.answered.get(&call.id).or_else(|| self.adrift.get(&call.id)).filter(same) {
                if call.talks.is_empty() && stage != Stage::Connected && !call.marks.contains(&Mark::AnswerUnseen) {
                    // For whoever has not seen the answer it rang in vain: it goes on until a BYE is seen.
                    let known = known.clone();
                    self.answered.remove(&call.id);
                    self.adrift.insert(call.id, known);
                    continue;
                }
                call = completed(&call, known.clone());
                if stage == Stage::Concluded {
                    self.answered.remove(&call.id);
                    self.adrift.remove(&call.id);
                }
            }
            out.push(Update { stage, call });
        }
    }

    /// A BYE of a dialog that is not in the table: of a call adrift, perhaps. `call_id` follows from it either way round.
    pub fn end_adrift(&mut self, payload: &[u8], at: Timestamp, out: &mut Vec<Update>) {
        if self.adrift.is_empty() {
            return;
        }
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
    pub fn give_up(&mut self, now: Timestamp, directory: &Directory, out: &mut Vec<Update>) {
        if self.adrift.is_empty() {
            return;
        }
        let longest = |call: &Call| {
            let hotline = directory.hotlines.iter().find(|hotline| Some(&hotline.name) == call.hotline.as_ref());
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
    pub fn keep(&mut self, Update { stage, call }: &Update) {
        if *stage == Stage::Concluded && matches!(call.end, End::SessionTimer | End::Estimated) && self.adrift.len() < MOST_ADRIFT {
            let mut call = call.clone();
            if let Some(last) = call.talks.last_mut() {
                last.to = None;
            }
            self.adrift.insert(call.id.clone(), call);
        }
    }

    /// The calls that run: of those that the dialogs know, and of the others.
    pub fn running(&self, followed: impl Iterator<Item = Call>) -> Vec<Call> {
        let hidden = |call: &Call| self.over.contains_key(&call.id) || self.adrift.contains_key(&call.id);
        let followed = followed.filter(|call| !hidden(call)).map(|call| match self.answered.get(&call.id) {
            Some(known) => completed(&call, known.clone()),
            None => call,
        });
        followed.chain(self.adrift.values().filter(|call| call.ended_at.is_none()).cloned()).collect()
    }
}

/// A call as its dialogs tell it, with the answer that the ledger knew before.
fn completed(told: &Call, known: Call) -> Call {
    let mut call = told.clone();
    let Some(before) = known.talks.first().cloned() else { return call };
    let end = call.ended_at;
    match call.talks.first_mut() {
        None => {
            return match end {
                Some(at) => ended(known, at, told.end),
                None => known,
            };
        }
        Some(talk) if talk.agent == before.agent => talk.from = talk.to.map_or(before.from, |to| before.from.min(to)),
        Some(talk) => {
            let until = talk.from.max(before.from);
            call.talks.insert(0, crate::calls::Talk { to: Some(before.to.unwrap_or(until).min(until)), ..before });
        }
    }
    call.answered_at = known.answered_at.or(call.answered_at);
    call.marks.retain(|mark| *mark != Mark::AnswerUnseen);
    call
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
