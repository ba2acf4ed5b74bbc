//! What a connection to a switch says of its channels, whichever switch it is.

use crate::calls::{ChannelEvent, OpenChannel};

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
