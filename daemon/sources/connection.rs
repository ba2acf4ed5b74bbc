//! A connection to a switch, with TLS or without: opened within a bound, read with patience, noticed when it dies.
//!
//! The one invariant: no call waits longer than it was told to, whatever a peer sends or leaves out, and a peer that is gone
//! without a word is noticed within about a minute, also where it has nothing to say for hours.

use super::tls::Trust;
use socket2::{SockRef, TcpKeepalive};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;
use tokio_rustls::rustls::ClientConnection;

/// How long connecting may take.
const CONNECTING: Duration = Duration::from_secs(2);
/// How long writing may.
const WRITING: Duration = Duration::from_secs(1);
/// A peer that was silent so long is asked whether it is there, so often, so many times.
const ALIVE: (Duration, Duration, u32) = (Duration::from_secs(20), Duration::from_secs(10), 3);

/// A connection.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    tls: Option<Box<ClientConnection>>,
}

/// What reading came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// So many bytes.
    Bytes(usize),
    /// Nothing in time.
    Nothing,
    /// The peer closed it.
    Closed,
}

impl Connection {
    /// Connects. With `trust` over TLS, which is agreed on as it is read.
    ///
    /// # Errors
    /// When nobody answers there.
    pub fn open(address: SocketAddr, trust: Option<&Trust>) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, CONNECTING)?;
        stream.set_write_timeout(Some(WRITING))?;
        stream.set_nodelay(true)?;
        let (idle, every, times) = ALIVE;
        SockRef::from(&stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(idle).with_interval(every).with_retries(times))?;
        let agree = |trust: &Trust| ClientConnection::new(Arc::clone(&trust.config), trust.name.clone());
        let tls = trust.map(agree).transpose().map_err(refused)?.map(Box::new);
        let mut connection = Self { stream, tls };
        connection.flush()?;
        Ok(connection)
    }

    /// Reads what comes within `patience`.
    ///
    /// # Errors
    /// When the connection is of no more use; with [`ErrorKind::InvalidData`] when TLS could not be agreed on.
    pub fn read(&mut self, into: &mut [u8], patience: Duration) -> io::Result<Received> {
        if let Some(received) = self.unsealed(into)? {
            return Ok(received);
        }
        self.stream.set_read_timeout(Some(patience))?;
        let Some(tls) = &mut self.tls else { return outcome(self.stream.read(into)) };
        // One read of the socket, whatever is still to be agreed on: who answers drop by drop gains no time.
        match outcome(tls.read_tls(&mut self.stream))? {
            Received::Bytes(_) => {}
            other => return Ok(other),
        }
        let processed = tls.process_new_packets();
        let flushed = self.flush();
        processed.map_err(refused)?;
        flushed?;
        Ok(self.unsealed(into)?.unwrap_or(Received::Nothing))
    }

    /// What was received already, of TLS.
    fn unsealed(&mut self, into: &mut [u8]) -> io::Result<Option<Received>> {
        let Some(tls) = &mut self.tls else { return Ok(None) };
        match tls.reader().read(into) {
            Ok(0) => Ok(Some(Received::Closed)),
            Ok(length) => Ok(Some(Received::Bytes(length))),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            // It closed the connection without a word of TLS.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(Some(Received::Closed)),
            Err(error) => Err(error),
        }
    }

    /// Writes all of it; over TLS perhaps only once that is agreed on.
    ///
    /// # Errors
    /// When it does not get away in time.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.tls {
            Some(tls) => tls.writer().write_all(bytes)?,
            None => self.stream.write_all(bytes)?,
        }
        self.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        let Self { stream, tls } = self;
        while let Some(tls) = tls.as_mut().filter(|tls| tls.wants_write()) {
            if tls.write_tls(stream)? == 0 {
                return Err(ErrorKind::WriteZero.into());
            }
        }
        Ok(())
    }
}

fn refused(error: tokio_rustls::rustls::Error) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, error)
}

fn outcome(read: io::Result<usize>) -> io::Result<Received> {
    match read {
        Ok(0) => Ok(Received::Closed),
        Ok(length) => Ok(Received::Bytes(length)),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => Ok(Received::Nothing),
        Err(error) => Err(error),
    }
}
