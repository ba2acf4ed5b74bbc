//! All tests that stand outside the rooms, one module per subject: one binary links once.

mod config;
