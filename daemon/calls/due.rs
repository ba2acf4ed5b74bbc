//! What happens when nothing comes: evidence has had its time, a call is over, or has lasted as long as it may.
//!
//! The one invariant: everything falls due at a time that the events told, in the order of these times.

use super::correlator::Calls;
use super::leg::{CallNo, Leg};
use super::news::Update;
use super::open::Open;
use super::release::Wait;
use super::table::Table;
use crate::sip::LegId;
use crate::units::Timestamp;

/// What falls due at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    Decide(LegId),
    Canceled(LegId),
    Released(LegId),
    Conclude(CallNo),
    MaxCall(CallNo),
    Report(CallNo),
}

impl Calls {
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
                Due::Released(leg) => self.released(leg, at, Wait::Yes, out),
                Due::Conclude(call) if self.awaits_leg(call) => self.put_off(call, at),
                Due::Conclude(call) => {
                    if self.open.get(&call).is_some_and(|open| open.conclude_at.is_some_and(|due| due <= at)) {
                        self.conclude(call, out);
                    }
                }
                Due::Report(call) => self.report(call, at, out),
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
        let waiting: Vec<(LegId, Timestamp)> =
            self.legs.iter().filter(|(_, leg)| leg.named.is_some()).map(|(id, leg)| (id, leg.invited_at)).collect();
        for (leg, invited) in waiting {
            self.decide_outside_leg(leg, invited, out);
        }
        // Twice: a leg whose caller was passed on waits for the one after it.
        for _ in 0..2 {
            let doubted: Vec<LegId> = self.legs.iter().filter(|(_, leg)| !leg.candidates.is_empty()).map(|(id, _)| id).collect();
            for leg in doubted {
                self.released(leg, Timestamp::default(), Wait::No, out);
            }
        }
        for call in self.open.keys() {
            self.give_up(call, last_seen, out);
            self.conclude(call, out);
        }
    }
}

/// Whether what falls due at an instant still concerns anybody.
pub(super) fn is_wanted(legs: &Table<LegId, Leg>, open: &Table<CallNo, Open>, at: Timestamp, due: Due) -> bool {
    match due {
        Due::Decide(leg) | Due::Canceled(leg) | Due::Released(leg) => legs.get(&leg).is_some(),
        Due::Conclude(call) => open.get(&call).is_some_and(|open| open.conclude_at == Some(at)),
        Due::MaxCall(call) => open.get(&call).is_some(),
        Due::Report(call) => open.get(&call).is_some_and(|open| !open.reported),
    }
}
