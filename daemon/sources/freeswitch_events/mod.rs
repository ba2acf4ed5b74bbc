//! FreeSWITCH's event socket: a connection that tells what happens to its channels as it happens.
//!
//! | file | does |
//! |---|---|
//! | [`frame`] | cuts the stream into frames |
//! | [`event`] | an event becomes events of channels |
//! | [`list`] | what FreeSWITCH lists as open |
//! | [`session`] | authenticates, subscribes, asks what is there, and keeps the connection alive |
//!
//! The invariant: nothing here waits longer than asked, nothing is sent but what a reader of events must send, and whatever a
//! server says, no more is held than stated. (FreeSWITCH, mod_event_socket.c, switch_channel.c, switch_ivr_bridge.c.)

pub mod event;
pub mod frame;
pub mod list;
pub mod session;

use super::freeswitch::leg::Variables;
use std::net::SocketAddr;

/// A configured source.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where FreeSWITCH listens.
    pub address: SocketAddr,
    /// The password of event_socket.conf.xml.
    pub password: String,
    /// Variables of the dialplan.
    pub variables: Variables,
}
