//! What a connection to a switch says of its channels, whichever switch it is.

use crate::calls::{ChannelEvent, OpenChannel};
use crate::units::Timestamp;
use std::fmt::Display;
use std::time::Duration;

/// A connection to a switch.
pub trait Session: Sized {
    /// How it is reached.
    type Config;
    /// Why it is no longer.
    type Error: Display;
    /// Connects, and begins to log in.
    ///
    /// # Errors
    /// When nobody answers there.
    fn connect(config: &Self::Config) -> Result<Self, Self::Error>;
    /// The next that comes within `patience`.
    ///
    /// # Errors
    /// When the connection is of no more use.
    fn hear(&mut self, patience: Duration) -> Result<Heard, Self::Error>;
    /// The latest time that the switch said anything, by its own clock.
    fn latest(&self) -> Option<Timestamp>;
}

/// What a connection says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Nothing new.
    Nothing,
    /// Logged in: events come.
    LoggedIn,
    /// Something happened to channels.
    Events(Vec<ChannelEvent>),
    /// An event that needs a time has none.
    Undated,
    /// A message that was too long.
    TooLong,
    /// A message that could not be read.
    Malformed,
    /// All channels that are open.
    Open(Vec<OpenChannel>),
}
