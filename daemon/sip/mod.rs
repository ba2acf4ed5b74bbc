//! SIP as a meter reads it: one pass over the bytes, borrowed; dialogs as RFC 3261 has them; leg events out.
//!
//! The one invariant: what is not understood is an error value or nothing at all, never a guess. Nothing is allocated for
//! messages that concern no call. rsip stays at the edge (vocabulary, builders, oracle of the differential test): it
//! refuses or misreads traffic that a meter sees daily.

#![deny(clippy::as_conversions, clippy::float_arithmetic)]

pub mod addr;
mod dialogs;
mod event;
mod fields;
mod method;
pub mod scan;
mod sdp;
mod text;

#[cfg(test)]
mod against_rsip;
#[cfg(test)]
mod torture;

pub use dialogs::{Dialogs, Observed, Options};
pub use event::{BranchId, DialogId, Identity, Invitation, LegEvent, LegEventKind, LegId, Privacy, Reason, Replaces, Side};
pub use method::Method;
pub use scan::{Scanned, Unread, scan};
