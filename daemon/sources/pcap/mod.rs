//! Captures of packets, pcap and pcapng: SIP over UDP, and HEPv3 inside UDP, one packet after the other.
//!
//! The one invariant: a capture is read once, forward, through a bounded buffer, and every packet is delivered or counted
//! with the reason why not. A message's time is that of its packet (of the packet that completed it, when fragmented),
//! or the HEP frame's own.
//!
//! Reading goes on where it stopped: [`Capture::advance`] looks at a number of packets and returns, so that the caller
//! can show progress or commit. In a later run [`Capture::resume_after`] passes over what was delivered before; it is
//! read again all the same, so that fragments find each other.

mod file;
mod fragments;
mod packet;

pub use fragments::Fragments;

use super::{SetAside, Tally, hep, looks_like_sip};
use crate::units::{Message, Observation, Timestamp};
use file::{File, Next};
use packet::{Datagram, Inside};
use std::io::{self, Read};
use std::ops::ControlFlow;

/// A capture that is being read.
pub struct Capture<R> {
    file: File<R>,
    fragments: Fragments,
    resume_after: u64,
    counters: Counters,
}

/// A message found in a capture, and the packet that held it.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// Which packet of the capture it was, from 1; of a fragmented message, the last one.
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
        Self { file: File::new(name, input), fragments: Fragments::default(), resume_after: 0, counters: Counters::default() }
    }

    /// Passes over the messages of the first so many packets.
    #[must_use]
    pub fn resume_after(mut self, ordinal: u64) -> Self {
        self.resume_after = ordinal;
        self
    }

    /// Goes on with what the file before this one, in a series of one capture, left incomplete.
    #[must_use]
    pub fn with_fragments(mut self, fragments: Fragments) -> Self {
        self.fragments = fragments;
        self
    }

    /// Gives each message of the next `at_most` packets (and blocks) to the visitor, until it breaks. After a break,
    /// and after [`Progress::More`], it can be called again and goes on behind the last packet.
    ///
    /// # Errors
    /// When the input fails or holds something that is no capture.
    pub fn advance(&mut self, at_most: u64, mut visit: impl FnMut(Packet<'_>) -> ControlFlow<()>) -> Result<Progress, CaptureError> {
        let Self { file, fragments, resume_after, counters } = self;
        for _ in 0..at_most {
            let offset = file.position();
            let record = match file.next()? {
                Next::Packet(record) => record,
                Next::Other => {
                    counters.set_aside.add(SetAside::OtherBlock);
                    continue;
                }
                Next::End => return Ok(Progress::Complete),
                Next::CutOff => return Ok(Progress::CutOff { offset }),
            };
            let end = offset + record.length;
            counters.packets += 1;
            counters.bytes += record.data.len() as u64;
            let arrived_at = record.captured_at;
            let (message, cut) = match message_in(&record, fragments) {
                Ok(found) => found,
                Err(reason) => {
                    counters.set_aside.add(reason);
                    continue;
                }
            };
            if counters.packets <= *resume_after {
                counters.passed += 1;
                continue;
            }
            counters.delivered += 1;
            counters.cut += u64::from(cut);
            let arrived_at = arrived_at.unwrap_or(message.captured_at);
            if visit(Packet { ordinal: counters.packets, end, cut, arrived_at, observation: Observation::Sip(message) }).is_break() {
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

    /// The fragments that wait for others, or were given up.
    #[must_use]
    pub const fn fragments(&self) -> &Fragments {
        &self.fragments
    }

    /// Ends reading, and gives the fragments that wait, for the next file of a series.
    #[must_use]
    pub fn into_fragments(self) -> Fragments {
        self.fragments
    }
}

/// The message of a record, and whether it may lack its end.
#[inline]
fn message_in<'a>(record: &file::Record<'a>, fragments: &'a mut Fragments) -> Result<(Message<'a>, bool), SetAside> {
    let inside = packet::look_inside(record.link, record.data)?;
    let captured_at = record.captured_at.ok_or(SetAside::Undated)?;
    match inside {
        Inside::Datagram(datagram) => message_of(datagram, captured_at),
        // The others of a cut piece can never join it, but the first one holds the head of the message.
        Inside::Piece(piece) if piece.cut && piece.offset == 0 => {
            message_of(packet::udp(piece.source, piece.destination, piece.payload, true)?, captured_at)
        }
        Inside::Piece(piece) => {
            let whole = fragments.add(record.interface, &piece, captured_at).ok_or(SetAside::Fragment)?;
            message_of(packet::udp(piece.source, piece.destination, whole, false)?, captured_at)
        }
    }
}

#[inline]
fn message_of(datagram: Datagram<'_>, captured_at: Timestamp) -> Result<(Message<'_>, bool), SetAside> {
    let Datagram { source, destination, payload, cut } = datagram;
    if looks_like_sip(payload) {
        return Ok((Message { captured_at, source, destination, correlation: None, payload }, cut));
    }
    if !payload.starts_with(hep::MAGIC) {
        return Err(SetAside::NotSip);
    }
    let frame = hep::decode(payload).map_err(hep::HepError::reason)?;
    let message = frame.message(captured_at).ok_or(SetAside::HepProtocol)?;
    Ok((message, cut || frame.cut))
}

#[cfg(test)]
mod tests;
