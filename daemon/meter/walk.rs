//! News of a few calls of a contract: from the last quiet instant before them, quiet instant by quiet instant, to the first
//! after them at which as much is left as before. What follows stands.
//!
//! In between, calls whose allowances have another balance, but one they do not notice, come to the same: they are passed by,
//! and the balance is carried on.

use super::settlement::{Quiet, Settled, Settlement};
use super::state::State;
use super::terms::Terms;
use crate::units::Timestamp;

/// What became of the calls from one instant to another.
#[derive(Clone, Debug)]
pub struct Walked {
    /// From this instant on.
    pub from: Timestamp,
    /// Up to this one, exclusive.
    pub to: Timestamp,
    /// What of it was settled again, in order; the records of all other calls stand.
    pub parts: Vec<Part>,
    /// The quiet instants there, the first of them included.
    pub quiet: Vec<Quiet>,
}

/// Calls that were settled again.
#[derive(Clone, Debug)]
pub struct Part {
    /// They begin at this instant or later,
    pub from: Timestamp,
    /// and before this one.
    pub to: Timestamp,
    /// All of them.
    pub calls: Vec<Settled>,
}

/// Walks over `quiets`: the last before the news, and all that follow it, in order. `settle` settles the calls that begin from
/// a quiet instant up to another, as [`super::settle_between`] does. `None` where there is no quiet instant before the news.
///
/// # Errors
/// Those of `settle`.
pub fn walk<E>(
    terms: &Terms<'_>,
    quiets: &[Quiet],
    mut settle: impl FnMut(&Quiet, Timestamp) -> Result<(Settlement, Option<State>), E>,
) -> Result<Option<Walked>, E> {
    let [first, later @ ..] = quiets else { return Ok(None) };
    let mut walked = Walked { from: first.at, to: Timestamp::MAX, parts: Vec::new(), quiet: Vec::new() };
    let mut reached = first.clone();
    // What was known of the stretch ahead: nothing of the first, which has the news.
    let mut known: Option<&Quiet> = None;
    let (mut place, mut step) = (0usize, 1usize);
    while let Some(next) = later.get(place) {
        let state = match known.and_then(|was| passed_by(terms, &reached.state, was, next)) {
            Some(state) => {
                walked.quiet.push(reached);
                state
            }
            None => {
                let (part, rest) = settle(&reached, next.at)?;
                // A call is open at what was a quiet instant: a later one may be quiet still. Each try looks twice as far.
                let Some(state) = rest else {
                    known = None;
                    place = place.saturating_add(step);
                    step = step.saturating_mul(2);
                    continue;
                };
                step = 1;
                walked.add(reached.at, next.at, part);
                state
            }
        };
        if state == next.state {
            walked.to = next.at;
            return Ok(Some(walked));
        }
        reached = Quiet { state, ..next.clone() };
        known = Some(next);
        place = place.saturating_add(1);
    }
    let to = Timestamp::MAX;
    let rest = |was: &Quiet| was.ahead.as_ref().is_some_and(|ahead| ahead.to == to && reached.state.goes_as_it_went(&was.state, ahead));
    if known.is_some_and(rest) {
        walked.quiet.push(reached);
    } else {
        let (part, _) = settle(&reached, to)?;
        walked.add(reached.at, to, part);
    }
    Ok(Some(walked))
}

/// What is left at the next quiet instant, if the calls up to it come to what they came to when there was what `was`.
fn passed_by(terms: &Terms<'_>, state: &State, was: &Quiet, next: &Quiet) -> Option<State> {
    let ahead = was.ahead.as_ref().filter(|ahead| ahead.to == next.at && state.goes_as_it_went(&was.state, ahead))?;
    Some(state.after(&was.state, ahead, &next.state, terms.day(next.at)))
}

impl Walked {
    /// Adds what was settled again.
    fn add(&mut self, from: Timestamp, to: Timestamp, settled: Settlement) {
        self.quiet.extend(settled.quiet);
        match self.parts.last_mut().filter(|last| last.to == from) {
            Some(last) => {
                last.to = to;
                last.calls.extend(settled.calls);
            }
            None => self.parts.push(Part { from, to, calls: settled.calls }),
        }
    }
}
