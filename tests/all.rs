//! Every integration test, one module a subject: one binary links once.

mod http;
mod metrics;
mod settlement;
mod systemd;
mod tidy;
mod tools;
