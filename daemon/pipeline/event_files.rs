//! Recordings of what happened to channels, of any kind: one face for replaying them.
//!
//! The one invariant: channels are the only state; read again, or in parts, a recording leaves the same.

use super::events;
use crate::calls::{Channels, Update, Witness};
use crate::sources::tail::PollError;
use crate::sources::{asterisk_cel, fritzbox};
use crate::units::Timestamp;
use std::path::Path;

/// How a recording is read, by its kind.
#[derive(Clone, Debug)]
pub enum EventConfig {
    /// Asterisk's channel event log.
    AsteriskCel(asterisk_cel::Config),
    /// Lines of a box's call monitor.
    FritzBox(fritzbox::Recording),
}

/// What was read of a recording beside events.
#[derive(Clone, Debug, Default)]
pub(super) struct Aside {
    /// Lines that could not be read.
    pub refused: u64,
    /// The first of them: where, and why.
    pub first: Option<String>,
    /// Calls that were never seen to begin.
    pub orphans: u64,
}

impl EventConfig {
    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::AsteriskCel(config) => &config.path,
            Self::FritzBox(config) => &config.path,
        }
    }

    /// What it is as a witness of calls.
    #[must_use]
    pub const fn witness(&self) -> Witness {
        match self {
            Self::AsteriskCel(_) => Witness::AsteriskCel,
            Self::FritzBox(_) => Witness::FritzBox,
        }
    }
}

/// Reads a recording to its end. `each` hears of every batch: how many rows or lines, the latest time in them, and what came of
/// it; `false` from it ends the reading.
///
/// # Errors
/// When the file cannot be read, or contradicts its configuration.
pub(super) fn read(
    config: &EventConfig,
    channels: &mut Channels,
    updates: &mut Vec<Update>,
    mut each: impl FnMut(u64, Option<Timestamp>, &mut Vec<Update>) -> bool,
) -> Result<Aside, PollError> {
    match config {
        EventConfig::AsteriskCel(config) => {
            events::read(config, channels, updates, |batch, updates| each(batch.rows, batch.latest(), updates))?;
            Ok(Aside::default())
        }
        EventConfig::FritzBox(config) => {
            let mut lines = fritzbox::Lines::new(config, fritzbox::monitor::Monitor::resume(config.zone, channels.open()));
            loop {
                let batch = lines.poll()?;
                batch.events.iter().for_each(|event| channels.apply(event, updates));
                if let Some(latest) = batch.latest {
                    channels.expire(latest, updates);
                }
                if !each(batch.lines, batch.latest, updates) || !batch.more {
                    return Ok(Aside { refused: lines.refused(), first: lines.take_aside(), orphans: lines.orphans() });
                }
            }
        }
    }
}
