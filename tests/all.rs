//! Every integration test, one module a subject: one binary links once.

mod books;
mod channels;
mod commands;
mod config;
mod daemon;
mod generated;
mod hostile;
mod http;
mod manager;
mod metrics;
mod opening_hours;
mod operators;
mod peers;
mod properties;
mod recordings;
mod reference_tariffs;
mod sample;
mod second_by_second;
mod settlement;
mod systemd;
mod tidy;
mod tools;
mod walks;
mod wire;
mod years;
