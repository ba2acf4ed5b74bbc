//! Bytes of a capture, a socket or a file become [`crate::units::Observation`]s: a file or folder for each kind of source.
//!
//! | kind | reads | yields |
//! |---|---|---|
//! | [`asterisk_ami`] | a connection to the manager interface | channel events |
//! | [`asterisk_cdr`] | Master.csv in its layouts, cdr_custom, and queue_log: whole, or as they grow | rows and lines |
//! | [`asterisk_cel`] | cel_custom's file: whole, or as it grows | channel events |
//! | [`capture`] | packets on a network interface, as they pass: SIP over UDP and TCP | SIP messages |
//! | [`csv_rows`] | files of any switch that writes a row for each call, by a mapping of columns | rows |
//! | [`freeswitch`] | records of legs in JSON, posted or in a spool | rows |
//! | [`freeswitch_events`] | a connection to FreeSWITCH's event socket | channel events |
//! | [`fritzbox`] | a connection to a box's call monitor, or lines recorded from one | channel events |
//! | [`hep`] | HEP over UDP, TCP and TLS, and bare copies of SIP messages there | SIP messages |
//! | [`pcap`] | pcap and pcapng from a file or a pipe: SIP and HEP over UDP and TCP, also in fragments and tunnels | SIP messages |
//!
//! [`tail`] follows a growing file over rotation and restarts, for every kind that reads one; [`connection`] is what a kind
//! that connects to a switch reads from, and [`heard`] what it says.
//!
//! The one invariant: a source decides only whether bytes are a message, never what the message means; whatever it does
//! not deliver is counted under a [`SetAside`], and the next bytes are read. Observations point into the source's own
//! buffer and live as long as the visitor looks at them.
//!
//! Every buffer here has a stated bound, and nothing that arrives can stop a source or make it grow.

pub mod asterisk_ami;
pub mod asterisk_cdr;
pub mod asterisk_cel;
pub mod capture;
#[cfg(test)]
mod channel_recordings;
mod column_names;
pub mod connection;
pub mod csv_rows;
pub mod freeswitch;
pub mod freeswitch_events;
pub mod fritzbox;
pub mod heard;
pub mod hep;
pub mod local;
pub mod pcap;
mod set_aside;
mod split;
mod start_line;
mod stream;
pub mod tail;
pub mod tls;

pub use column_names::NameError;
pub use set_aside::{SetAside, Tally};
pub use start_line::looks_like_sip;

use crate::units::Message;

/// A message that a source found.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// The message.
    pub message: Message<'a>,
    /// It may lack its end: it was captured or reported shorter than it was.
    pub cut: bool,
    /// The capture agent that reported it, where agents have numbers (HEP chunk 0x0c).
    pub agent: Option<u32>,
}
