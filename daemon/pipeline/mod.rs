//! The shell: inputs, the ledger's writer, replay and the daemon. The one room that knows every other.

pub mod signalling;
