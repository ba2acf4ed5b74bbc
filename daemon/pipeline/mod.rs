//! The shell: inputs, the ledger's writer, replay and the daemon. The one room that knows every other.

pub mod audit;
pub mod books;
pub mod catalogue;
pub mod inbox;
pub mod replay;
mod settling;
pub mod signalling;
mod twins;
