//! News of a few calls of a contract: from the last quiet instant before them, quiet instant by quiet instant, to the first
//! after them at which as much is left as before. What follows stands.

use super::settlement::{Quiet, Settled, Settlement};
use super::state::State;
use crate::units::Timestamp;

/// What was settled again.
#[derive(Clone, Debug)]
pub struct Walked {
    /// From this instant on.
    pub from: Timestamp,
    /// Up to this one, exclusive.
    pub to: Timestamp,
    /// The calls that begin then, in the order of their parts.
    pub calls: Vec<Settled>,
    /// The quiet instants there, the first of them included.
    pub quiet: Vec<Quiet>,
}

/// Walks over `quiets`: the last before the news, and all that follow it, in order. `settle` settles the calls that begin from
/// a quiet instant up to another, as [`super::settle_between`] does. `None` where there is no quiet instant before the news.
///
/// # Errors
/// Those of `settle`.
pub fn walk<E>(
    quiets: &[Quiet],
    mut settle: impl FnMut(&Quiet, Timestamp) -> Result<(Settlement, Option<State>), E>,
) -> Result<Option<Walked>, E> {
    let [first, later @ ..] = quiets else { return Ok(None) };
    let mut walked = Walked { from: first.at, to: Timestamp::MAX, calls: Vec::new(), quiet: vec![first.clone()] };
    let mut reached = first.clone();
    for next in later {
        let (part, rest) = settle(&reached, next.at)?;
        // A call is open at what was a quiet instant: all that follows may be another.
        let Some(state) = rest else { break };
        walked.calls.extend(part.calls);
        walked.quiet.extend(part.quiet);
        if state == next.state {
            walked.to = next.at;
            return Ok(Some(walked));
        }
        reached = Quiet { at: next.at, state };
        walked.quiet.push(reached.clone());
    }
    let (part, _) = settle(&reached, Timestamp::MAX)?;
    walked.calls.extend(part.calls);
    walked.quiet.extend(part.quiet);
    Ok(Some(walked))
}
