//! Legs and records become calls: who, whom, how long they waited and talked, how it ended.
//!
//! The one invariant: an ambiguity is never resolved by billing somebody. A call knows no price and no contract.

mod assemble;
mod call;
mod cdr;
mod channel;
mod channels;
mod correlator;
mod decide;
mod differences;
mod digest;
mod directory;
mod due;
mod ends;
mod gather;
mod held;
mod index;
mod join;
mod kin;
mod leg;
mod news;
mod open;
mod outside;
mod parties;
mod parts;
mod records;
mod release;
mod row;
mod row_form;
mod rows;
#[cfg(test)]
mod script;
mod snapshot;
mod table;
mod talks;
mod transfers;
mod witness;
mod words;

pub use call::{BilledFrom, Call, Correlation, End, Mark, MissedReason, Talk};
pub use cdr::{CdrRow, Disposition, Precision, QueueEvent, QueueLine};
pub use channels::{Application, Change, ChannelEvent, ChannelFacts, Channels, DialStatus, OpenChannel};
pub use correlator::Calls;
pub use differences::{Difference, differences};
pub use directory::{
    Agent, AgentPattern, BillFrom, Caller, Directory, Hotline, IdentityHeader, IdentityRules, OnHold, Withheld, WithheldNumbers,
};
pub use news::{News, Stage, Unmetered, Update};
pub use open::call_id as call_id_of;
pub use records::{RecordCounts, Records};
pub use row::{CallRow, Lies, NamesAgents, Outcome, Party, Span, Standing, TalkFrom, Way};
pub use rows::{RowCounts, Rows};
pub use witness::{Role, Sighting, Speaker, Witness, merged};
