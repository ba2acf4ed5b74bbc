//! Every integration test, one module a subject: one binary links once.

mod config;
mod daemon;
mod hostile;
mod http;
mod metrics;
mod recordings;
mod settlement;
mod systemd;
mod tidy;
mod tools;
