//! The shell: inputs, the ledger's writer, replay and the daemon. The one room that knows every other.

pub mod audit;
pub mod books;
pub mod catalogue;
mod duties;
mod events;
pub mod files;
pub mod inbox;
pub mod inputs;
mod intake;
mod journaling;
pub mod live;
mod manager;
mod quiets;
pub mod reconcile;
pub mod replay;
pub mod requests;
pub mod roles;
pub mod said;
pub mod schedule;
mod settling;
pub mod signalling;
pub mod simulation;
mod streams;
pub mod taps;
mod twins;
mod view;
mod writer;
