//! Asterisk's manager interface: a connection that tells what happens to channels as it happens.
//!
//! | file | does |
//! |---|---|
//! | [`message`] | cuts the stream into messages |
//! | [`event`] | a message becomes events of channels |
//! | [`session`] | logs in, asks what is there, and keeps the connection alive |
//!
//! The invariant: nothing here waits longer than asked, nothing is sent but what a reader of events must send, and whatever a
//! server says, no more is held than stated. (Asterisk, AMI v2 Specification; configs/samples/manager.conf.sample.)

pub mod event;
pub mod message;
#[cfg(test)]
mod recordings;
pub mod session;

use super::tls::Trust;
use std::net::SocketAddr;

/// A configured source.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the switch listens.
    pub address: SocketAddr,
    /// Over TLS: whom to believe that it is the switch.
    pub trust: Option<Trust>,
    /// The user of manager.conf.
    pub username: String,
    /// Its secret.
    pub secret: String,
    /// How the secret is shown.
    pub login: Login,
}

/// How to log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Login {
    /// By a challenge: the secret stays here.
    Md5,
    /// With the secret as it is.
    Plain,
}
