//! The switches that tell over a connection what happens to their channels: what the thread that listens needs of each.
//!
//! The one invariant: whatever the switch, an operator reads the same of it: that it is heard, or why it is not.

use crate::calls::Witness;
use crate::sources::heard::Session;
use crate::sources::{asterisk_ami, freeswitch_events};
use std::net::SocketAddr;

/// A switch on the other end of a connection.
pub trait Switch: Session {
    /// What it is as a witness of calls.
    const WITNESS: Witness;
    /// What is said of it.
    const WORDS: Words;
    /// Where it is.
    fn address(config: &Self::Config) -> SocketAddr;
    /// Whether it is there, and does not let us in.
    fn is_refusal(error: &Self::Error) -> bool;
}

/// Sentences of the log.
pub struct Words {
    /// It is heard.
    pub listening: &'static str,
    /// It does not let us in.
    pub refused: &'static str,
    /// It is not heard.
    pub unheard: &'static str,
    /// Its events have no time.
    pub undated: &'static str,
    /// The same, as a reason why calls are not metered.
    pub undated_reason: &'static str,
}

impl Switch for asterisk_ami::session::Session {
    const WITNESS: Witness = Witness::AsteriskAmi;
    const WORDS: Words = Words {
        listening: "listening to a manager interface",
        refused: "a manager interface does not let us in; it is tried again",
        unheard: "a manager interface is not heard; it is tried again, and what happens there meanwhile is not metered",
        undated: "events of a manager interface have no Timestamp and are not metered; set timestampevents = yes in manager.conf",
        undated_reason: "events have no Timestamp; set timestampevents = yes in manager.conf",
    };

    fn address(config: &Self::Config) -> SocketAddr {
        config.address
    }

    fn is_refusal(error: &Self::Error) -> bool {
        matches!(error, asterisk_ami::session::SessionError::Refused(_) | asterisk_ami::session::SessionError::Tls(_))
    }
}

impl Switch for freeswitch_events::session::Session {
    const WITNESS: Witness = Witness::FreeSwitchEvents;
    const WORDS: Words = Words {
        listening: "listening to an event socket",
        refused: "an event socket does not let us in; it is tried again",
        unheard: "an event socket is not heard; it is tried again, and what happens there meanwhile is not metered",
        undated: "events of an event socket have no Event-Date-Timestamp and are not metered; is this FreeSWITCH?",
        undated_reason: "events have no Event-Date-Timestamp",
    };

    fn address(config: &Self::Config) -> SocketAddr {
        config.address
    }

    fn is_refusal(error: &Self::Error) -> bool {
        matches!(error, freeswitch_events::session::SessionError::Refused(_))
    }
}
