//! Captures of packets, pcap and pcapng: SIP and HEP over UDP and TCP, one packet after the other.
//!
//! The one invariant: a capture is read once, forward, through a bounded buffer, and every packet is delivered or counted
//! with the reason why not. A message's time is that of its packet (of the packet that completed it, when it came in
//! several), or the HEP frame's own.
//!
//! Reading goes on where it stopped: [`Capture::advance`] looks at a number of packets and returns, so that the caller
//! can show progress or commit. In a later run [`Capture::resume_after`] passes over what was delivered before; it is
//! read again all the same, so that fragments find each other.

mod file;
mod flows;
mod fragments;
mod packet;
mod tunnel;
mod wire;

pub use fragments::Fragments;
pub(in crate::sources) use wire::Captured;
pub use wire::Wire;

use super::{Found, SetAside, Tally};
use crate::units::{Observation, Timestamp};
use file::{File, Next};
use std::io::{self, Read};
use std::ops::ControlFlow;

/// A capture that is being read.
pub struct Capture<R> {
    file: File<R>,
    wire: Wire,
    resume_after: u64,
    counters: Counters,
}

/// A message found in a capture, and the packet that held it.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// Which packet of the capture it was, from 1; of a message that came in several, the last one.
    pub ordinal: u64,
    /// Where its record ends in the file, bytes.
    pub end: u64,
    /// The message may lack its end: the packet was not captured whole.
    pub cut: bool,
    /// When the packet was captured; what HEP inside says of its message is the sender's own time.
    pub arrived_at: Timestamp,
    /// The message.
    pub observation: Observation<'a>,
}

/// What was read so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets, of whatever content.
    pub packets: u64,
    /// Their captured bytes.
    pub bytes: u64,
    /// Messages delivered; of them `cut` ones may lack their end.
    pub delivered: u64,
    /// Messages delivered that may lack their end.
    pub cut: u64,
    /// Messages passed over, because an earlier run delivered them.
    pub passed: u64,
    /// Messages beyond the first of their packet.
    pub further: u64,
    /// Whatever was not delivered, by reason.
    pub set_aside: Tally,
}

/// Why [`Capture::advance`] returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// So many packets were read as were asked for; there may be more.
    More,
    /// The visitor wanted no more.
    Stopped,
    /// The capture is at its end.
    Complete,
    /// The capture ends within a record that begins at this byte: its writer was stopped. All before it was delivered.
    CutOff {
        /// The offset of the record.
        offset: u64,
    },
}

/// Why a capture cannot be read on. What came before was delivered.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The file itself fails.
    #[error("{name}: byte {offset}: cannot be read: {source}")]
    Read {
        /// The file.
        name: Box<str>,
        /// Where.
        offset: u64,
        /// What the system says.
        source: io::Error,
    },
    /// The first bytes are neither of pcap nor of pcapng.
    #[error("{name}: found no capture, expected pcap or pcapng")]
    NotACapture {
        /// The file.
        name: Box<str>,
    },
    /// What stands there cannot be a record, so nothing behind it can be found either.
    #[error("{name}: byte {offset}: found garbage, expected {expected}")]
    Garbage {
        /// The file.
        name: Box<str>,
        /// Where the record begins.
        offset: u64,
        /// What would have been right.
        expected: &'static str,
    },
}

/// Whether a file that begins with these bytes (four or more) is pcap or pcapng.
#[must_use]
pub fn is_capture(first: &[u8]) -> bool {
    first.first_chunk().is_some_and(|magic| file::is_known(u32::from_le_bytes(*magic)))
}

impl<R: Read> Capture<R> {
    /// Reads from `input`; `name` is how errors call it. Nothing is read yet.
    pub fn new(name: &str, input: R) -> Self {
        Self { file: File::new(name, input), wire: Wire::default(), resume_after: 0, counters: Counters::default() }
    }

    /// Passes over the messages of the first so many packets.
    #[must_use]
    pub fn resume_after(mut self, ordinal: u64) -> Self {
        self.resume_after = ordinal;
        self
    }

    /// Goes on with what the file before this one, in a series of one capture, left incomplete.
    #[must_use]
    pub fn with_wire(mut self, wire: Wire) -> Self {
        self.wire = wire;
        self
    }

    /// Gives each message of the next `at_most` packets (and blocks) to the visitor, until it breaks. After a break (it
    /// hears the rest of that packet all the same), and after [`Progress::More`], it can be called again and goes on behind
    /// the last packet.
    ///
    /// # Errors
    /// When the input fails or holds something that is no capture.
    pub fn advance(&mut self, at_most: u64, mut visit: impl FnMut(Packet<'_>) -> ControlFlow<()>) -> Result<Progress, CaptureError> {
        let Self { file, wire, resume_after, counters } = self;
        for _ in 0..at_most {
            let offset = file.position();
            let record = match file.next()? {
                Next::Packet(record) => record,
                Next::Other => {
                    counters.set_aside.add(SetAside::OtherBlock);
                    continue;
                }
                end @ (Next::End | Next::CutOff) => {
                    let place = (counters.packets, offset);
                    wire.finish(&mut |last| {
                        counters.further += 1;
                        let _ = deliver(last, place, last.message.captured_at, *resume_after, counters, &mut visit);
                    });
                    return Ok(if matches!(end, Next::End) { Progress::Complete } else { Progress::CutOff { offset } });
                }
            };
            let place = (counters.packets + 1, offset + record.length);
            counters.packets += 1;
            counters.bytes += record.data.len() as u64;
            let Some(at) = record.captured_at else {
                counters.set_aside.add(packet::look_inside(record.link, record.data).err().unwrap_or(SetAside::Undated));
                continue;
            };
            let captured = Captured { link: record.link, interface: record.interface, at, data: record.data };
            let (mut found, mut breaks) = (0, false);
            let looked = wire.look(captured, &mut |message| {
                found += 1;
                breaks |= deliver(message, place, at, *resume_after, counters, &mut visit).is_break();
            });
            match looked {
                Ok(()) => counters.further += found.max(1) - 1,
                Err(reason) => {
                    counters.set_aside.add(reason);
                    counters.further += found;
                }
            }
            if breaks {
                return Ok(Progress::Stopped);
            }
        }
        Ok(Progress::More)
    }

    /// How far reading is, bytes from the start of the file.
    #[must_use]
    pub const fn position(&self) -> u64 {
        self.file.position()
    }

    /// What was read so far.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// What is under way on the wire: fragments and streams.
    #[must_use]
    pub const fn wire(&self) -> &Wire {
        &self.wire
    }

    /// Ends reading, and gives what is under way, for the next file of a series.
    #[must_use]
    pub fn into_wire(self) -> Wire {
        self.wire
    }
}

/// Gives a message of the packet at this place (its ordinal, and where it ends) to the visitor, or passes it over.
#[inline]
fn deliver(
    found: Found<'_>,
    (ordinal, end): (u64, u64),
    arrived_at: Timestamp,
    resume_after: u64,
    counters: &mut Counters,
    visit: &mut impl FnMut(Packet<'_>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    if ordinal <= resume_after {
        counters.passed += 1;
        return ControlFlow::Continue(());
    }
    let Found { message, cut, .. } = found;
    counters.delivered += 1;
    counters.cut += u64::from(cut);
    visit(Packet { ordinal, end, cut, arrived_at, observation: Observation::Sip(message) })
}

#[cfg(test)]
mod tests;
