//! Faults that the real program survives: killed between any two of its system calls, without a disk, with a wrong clock,
//! without its sources. Each test says at its end what was tried, how often, and what was lost.
//!
//! `tests/run faults` tries them some hundred times and prints the table; `tests/run` tries each a few times.

mod clock;
mod disk;
mod drain;
mod ground;
mod kill;
mod script;
mod sources;
mod strace;
mod table;
mod upgrade;

pub(crate) use ground::{Ground, PHONE_APART};
pub(crate) use script::{By, Dice, Event, Script};
