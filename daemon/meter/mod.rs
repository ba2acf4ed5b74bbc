//! Settlement: from a contract's calls to its charges, one discrete-event machine per contract (design.md §6).
//!
//! The one invariant: the result is a pure function of the set of calls, contracts, tariffs and decisions. Live, the same
//! code settles the calls as cut at the instant T.

mod deadline;
mod due;
mod fees;
mod finish;
mod incidents;
mod increment;
mod machine;
mod pools;
mod record;
mod running;
mod settlement;
mod sources;
mod state;
mod steps;
mod stretch;
mod talk;
mod terms;
#[cfg(test)]
mod tests;
mod walk;
mod words;

pub use deadline::{Deadline, deadline};
pub use fees::{fees, midnight};
pub use finish::unbilled;

pub use record::{AllowanceUse, Charge, FeePeriod, Line, Outcome, Party, Record, RecordKey, Rule};
pub use settlement::{Balance, Input, Live, Origin, Quiet, Settled, Settlement, Timing, settle, settle_between, settle_from};
pub use state::State;
pub use stretch::Stretch;
pub use talk::TalkClock;
pub use terms::Terms;
pub use walk::{Part, Walked, walk};
