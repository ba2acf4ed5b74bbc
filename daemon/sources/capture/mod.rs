//! Packets live from a network interface, through a ring that the kernel fills: SIP over UDP and TCP on the ports that are
//! configured, read like a capture.
//!
//! The one invariant: every packet that the kernel showed is delivered or counted, and those that it had to drop are known
//! ([`Tap::dropped`]): a meter that missed something has to say so.

mod block;
mod filter;
mod ring;

use super::pcap::{Captured, Wire};
use super::{Found, SetAside, Tally};
use crate::units::Timestamp;
use filter::Layer;
use ring::Ring;
use std::io;
use std::time::Duration;

/// Most ports that can be watched.
pub const MOST_PORTS: usize = filter::MOST_PORTS;

/// An interface that is read.
pub struct Tap {
    ring: Ring,
    wire: Wire,
    packets: u64,
    set_aside: Tally,
}

/// Why an interface cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TapError {
    /// We may not.
    #[error(
        "interface {interface}: not permitted; reading packets takes CAP_NET_RAW, which systemd/capture.conf, as a drop-in, gives to the service"
    )]
    Permission {
        /// The interface.
        interface: Box<str>,
    },
    /// It is not there, is down, or of another kind.
    #[error("interface {interface}: {source}")]
    Interface {
        /// The interface.
        interface: Box<str>,
        /// What the system says.
        source: io::Error,
    },
}

impl Tap {
    /// Reads an interface from now on.
    ///
    /// # Errors
    /// When it is not there, is down, or may not be read.
    pub fn open(interface: &str, ports: &[u16]) -> Result<Self, TapError> {
        let ring = Ring::open(interface, ports).map_err(|source| match source.kind() {
            io::ErrorKind::PermissionDenied => TapError::Permission { interface: interface.into() },
            _ => TapError::Interface { interface: interface.into(), source },
        })?;
        Ok(Self { ring, wire: Wire::default(), packets: 0, set_aside: Tally::default() })
    }

    /// Waits for packets, at most so long, and hands on the messages in them, and what is overdue by `now`.
    ///
    /// # Errors
    /// When the interface cannot be read any more: it went down, or away.
    pub fn read(&mut self, at_most: Duration, now: impl Fn() -> Timestamp, visit: &mut impl FnMut(Found<'_>)) -> io::Result<()> {
        let Self { ring, wire, packets, set_aside } = self;
        let link = match ring.layer() {
            Layer::Ethernet | Layer::Loopback => 1,
            Layer::Raw => 101,
        };
        let shown = ring.read(at_most, |frame| {
            *packets += 1;
            if let Err(reason) = wire.look(Captured { link, interface: 0, at: frame.at, data: frame.data }, visit) {
                set_aside.add(reason);
            }
        })?;
        if !shown {
            wire.pass_over_gaps(now(), visit);
        }
        Ok(())
    }

    /// Packets that the kernel showed.
    #[must_use]
    pub const fn packets(&self) -> u64 {
        self.packets
    }

    /// Packets that completed no message, by reason.
    #[must_use]
    pub fn set_aside(&self, reason: SetAside) -> u64 {
        self.set_aside.get(reason)
    }

    /// Gaps in streams that were passed over.
    #[must_use]
    pub const fn gaps(&self) -> u64 {
        self.wire.gaps()
    }

    /// Packets that the kernel dropped because we were behind.
    ///
    /// # Errors
    /// When the kernel cannot be asked.
    pub fn dropped(&mut self) -> io::Result<u64> {
        self.ring.dropped()
    }
}
