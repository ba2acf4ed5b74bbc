//! What a source saw, before anybody decided what it means.

use super::Timestamp;
use std::net::SocketAddr;

/// One thing a source reported.
#[derive(Clone, Copy, Debug)]
pub enum Observation<'a> {
    /// A SIP message from a capture, a socket or HEP.
    Sip(Message<'a>),
}

/// Bytes that should be one SIP message, with when and between whom they went. Points into the packet.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// When it was captured, by the clock of who captured it.
    pub captured_at: Timestamp,
    /// The sender's transport address.
    pub source: SocketAddr,
    /// The receiver's transport address.
    pub destination: SocketAddr,
    /// HEP chunk 0x11, when there is one. A hint, never a key: senders change it inside a dialog.
    pub correlation: Option<&'a [u8]>,
    /// The message; perhaps cut off, perhaps not SIP at all.
    pub payload: &'a [u8],
}
