//! One connection to a call monitor: reads, says nothing.
//!
//! The invariant: whatever a peer sends, no more is held than one line of the longest that files may have.

use super::super::connection::{Connection, Received};
use super::super::tail::line::{Framed, Quotes, next};
use std::net::SocketAddr;
use std::time::Duration;

/// A connection.
#[derive(Debug)]
pub struct Session {
    connection: Connection,
    buffer: Vec<u8>,
    skipping: bool,
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The network.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The box closed it: until then it had nothing more to say.
    #[error("the box closed the connection")]
    Closed,
}

impl Session {
    /// Connects.
    ///
    /// # Errors
    /// When nobody answers there.
    pub fn connect(address: SocketAddr) -> Result<Self, SessionError> {
        Ok(Self { connection: Connection::open(address, None)?, buffer: Vec::new(), skipping: false })
    }

    /// Waits at most for `patience`, and visits the lines that came. Gives whether any did.
    ///
    /// # Errors
    /// When the connection is of no more use.
    pub fn hear(&mut self, patience: Duration, mut visitor: impl FnMut(Framed<'_>)) -> Result<bool, SessionError> {
        let mut bytes = [0; 4 * 1024];
        match self.connection.read(&mut bytes, patience)? {
            Received::Nothing => return Ok(false),
            Received::Closed => return Err(SessionError::Closed),
            Received::Bytes(length) => self.buffer.extend_from_slice(bytes.get(..length).unwrap_or_default()),
        }
        let mut rest = &*self.buffer;
        let mut any = false;
        while let Some((piece, behind)) = next(rest, Quotes::Plain, &mut self.skipping) {
            any = true;
            rest = behind;
            visitor(piece);
        }
        let taken = self.buffer.len() - rest.len();
        self.buffer.drain(..taken);
        Ok(any)
    }
}
