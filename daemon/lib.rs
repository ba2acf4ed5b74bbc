//! `taktd` meters the calls of support hotlines: evidence in, explained and billable records out.
//!
//! This page is the map of the house. The rooms stand in the order in which data walks through them; imports point up
//! the list, and those of a pure room only to pure rooms (a test in `tests/tidy.rs` holds this).
//!
//! | room | what it does | what it must never do |
//! |---|---|---|
//! | [`units`] | money, times, numbers, observations: words every room shares | know any other room; pure |
//! | [`clock`] | reads the system clock, and nothing else does | be asked by a pure room |
//! | [`metrics`] | every counter and gauge in one list | carry a phone number or a Call-ID in a label |
//! | [`logging`] | log lines, one an event | be used by a pure room |
//! | [`sources`] | bytes of a capture, a socket, a file → observations | decide what a call is |
//! | [`sip`] | messages, headers, dialogs (RFC 3261) | allocate for messages that concern no call; pure |
//! | [`calls`] | legs and records → one call: who, whom, wait, talk, how it ended | know a price; pure |
//! | [`tariff`] | plans, bands, steps, calendars, rounding: the price list as values | meter; pure |
//! | [`contracts`] | whose call is this: numbers, terms, who may call | guess between two payers; pure |
//! | [`meter`] | settlement: one discrete-event machine per contract | depend on the order of arrival; pure |
//! | [`ledger`] | evidence and entries, append-only, hash-chained | update or delete an entry |
//! | [`export`] | one file per format | write a range twice differently |
//! | [`http`] | metrics page, health, running calls | change anything |
//! | [`config`] | raw TOML and CSV → checked values, all mistakes at once | let a default decide a price |
//! | [`pipeline`] | the shell: threads, queues, drain order | hold logic of its own |
//! | [`cli`] | one file per command | be used by another room |
//!
//! The way of a call: a source yields [`units::Observation`]s; [`sip`] makes leg events of them, [`calls`] one
//! [`calls::Call`] of many legs; the ledger journals it as evidence; [`contracts`] says who pays; [`meter`] settles all
//! calls of that contract at once; the ledger posts what changed. Replay and live run the same code: live, a timer only
//! says "it is now T".
#![warn(missing_docs)]

pub mod calls;
pub mod cli;
pub mod clock;
pub mod config;
pub mod contracts;
pub mod export;
pub mod http;
pub mod ledger;
pub mod logging;
pub mod meter;
pub mod metrics;
pub mod pipeline;
pub mod sip;
pub mod sources;
pub mod tariff;
pub mod units;
