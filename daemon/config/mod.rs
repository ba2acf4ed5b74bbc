//! Raw TOML and CSV → checked values, all mistakes at once, each with file, line and key.
//!
//! The one invariant: a value that comes out of here is complete and consistent; with any mistake nothing comes out.

mod plan;
mod problem;
mod reader;
pub mod tariff;

pub use problem::{Problem, Problems};
