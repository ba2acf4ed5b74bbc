//! AVM's Fritz!Box: its call monitor, a port that tells in lines what happens to calls as it happens.
//!
//! | file | does |
//! |---|---|
//! | [`mod@line`] | a line, taken apart |
//! | [`monitor`] | lines become events of channels: which line is of which call |
//! | [`session`] | connects and reads |
//!
//! The invariant: of what the monitor did not say nothing is claimed; no buffer and no table grows beyond what is stated.
//! (AVM describes the monitor nowhere; kbr/fritzconnection, docs/sources/call_monitoring.rst; FHEM, 72_FB_CALLMONITOR.pm.)

pub mod line;
pub mod monitor;
pub mod session;

use super::tail::line::{Framed, Quotes};
use super::tail::{PollError, Tail};
use crate::calls::ChannelEvent;
use crate::units::Timestamp;
use chrono_tz::Tz;
use monitor::{Heard, Monitor};
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::path::PathBuf;

/// How many lines of a file are read at once.
const MOST_LINES: usize = 256;

/// A configured source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where the monitor listens.
    pub address: SocketAddr,
    /// The zone of the box's clock.
    pub zone: Tz,
}

/// A file of lines as the monitor wrote them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    /// The file.
    pub path: PathBuf,
    /// The zone of the box's clock.
    pub zone: Tz,
}

/// What a file has, up to a few hundred lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// What happened.
    pub events: Vec<ChannelEvent>,
    /// How many lines said something.
    pub lines: u64,
    /// The latest time in them.
    pub latest: Option<Timestamp>,
    /// Whether there is more.
    pub more: bool,
}

/// Reads recorded lines.
#[derive(Debug)]
pub struct Lines {
    tail: Tail,
    monitor: Monitor,
    refused: u64,
    orphans: u64,
    first_aside: Option<String>,
}

impl Lines {
    /// From the beginning of the file; `monitor` knows the calls that are open.
    #[must_use]
    pub fn new(recording: &Recording, monitor: Monitor) -> Self {
        Self { tail: Tail::new(&recording.path, None), monitor, refused: 0, orphans: 0, first_aside: None }
    }

    /// What comes next.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn poll(&mut self) -> Result<Batch, PollError> {
        let mut batch = Batch::default();
        let Self { tail, monitor, refused, orphans, first_aside } = self;
        let path = tail.path().to_owned();
        let taken = tail.visit(Quotes::Plain, MOST_LINES, |number, piece| {
            let wrong = match piece {
                Framed::Record(line) if line.trim_ascii().is_empty() => None,
                Framed::Record(line) => match monitor.hear(line, None) {
                    Ok(Heard { at, events, orphan }) => {
                        batch.lines += 1;
                        batch.latest = batch.latest.max(Some(at));
                        batch.events.extend(events);
                        *orphans += u64::from(orphan);
                        None
                    }
                    Err(error) => Some(error.to_string()),
                },
                Framed::Broken(_) => Some("it is no line".to_owned()),
            };
            if let Some(wrong) = wrong {
                *refused += 1;
                first_aside.get_or_insert_with(|| format!("{}:{number}: {wrong}", path.display()));
            }
            ControlFlow::Continue(())
        });
        let taken = taken.map_err(|error| PollError::Io { path, error })?;
        Ok(Batch { more: taken > 0, ..batch })
    }

    /// How many lines could not be read.
    #[must_use]
    pub const fn refused(&self) -> u64 {
        self.refused
    }

    /// How many calls ended that were never seen to begin.
    #[must_use]
    pub const fn orphans(&self) -> u64 {
        self.orphans
    }

    /// The first line that could not be read: where, and why.
    pub const fn take_aside(&mut self) -> Option<String> {
        self.first_aside.take()
    }
}
