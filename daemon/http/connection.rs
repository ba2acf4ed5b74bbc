//! Connections that cannot be held open, fed slowly or overfed: so many at once, each with a time and a size of its own.
//!
//! The one invariant: a connection is over at its deadline, whatever its other end does or leaves undone, and has then
//! given back its place. Those who come while all places are taken wait in the kernel's queue.

use crate::sources::tls::Tls;
use axum::serve::Listener;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};
use tokio_rustls::server::TlsStream;
use tokio_rustls::{Accept, TlsAcceptor};

/// How much one can ask of us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections open at once.
    pub connections: usize,
    /// From the accepted connection to the last byte of its answer.
    pub time: Duration,
    /// Bytes of a request, headers and all, after which nothing more is read of it.
    pub request_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 32, time: Duration::from_secs(10), request_bytes: 16 * 1024 }
    }
}

/// A listener that gives out connections within limits.
pub(super) struct Bounded {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    places: Arc<Semaphore>,
    limits: Limits,
}

impl Bounded {
    pub(super) fn new(listener: TcpListener, tls: Option<&Tls>, limits: Limits) -> Self {
        Self { listener, tls: tls.map(Tls::acceptor), places: Arc::new(Semaphore::new(limits.connections)), limits }
    }
}

impl Listener for Bounded {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let place = Arc::clone(&self.places).acquire_owned().await.expect("nobody closes the semaphore");
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => {
                    let deadline = Box::pin(sleep(self.limits.time));
                    let stream = match &self.tls {
                        Some(tls) => Stream::Shaking(Box::new(tls.accept(stream))),
                        None => Stream::Plain(stream),
                    };
                    return (Connection { stream, deadline, bytes_left: self.limits.request_bytes, _place: place }, peer);
                }
                // Either the other end was gone again, or files are short: what is open now will close by its deadline.
                Err(error) => {
                    tracing::debug!(%error, "a connection was not accepted");
                    sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// One connection, with its deadline and its place.
pub(super) struct Connection {
    stream: Stream,
    deadline: Pin<Box<Sleep>>,
    bytes_left: usize,
    _place: OwnedSemaphorePermit,
}

/// What a connection's bytes go through. Hands are shaken while it is served, so that nobody who is slow holds up others.
enum Stream {
    Plain(TcpStream),
    Shaking(Box<Accept<TcpStream>>),
    Tls(Box<TlsStream<TcpStream>>),
    /// No hands were shaken.
    Refused,
}

trait Wire: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Wire for T {}

impl Stream {
    /// The stream that bytes can be read from and written to, once there is one.
    fn poll_wire(&mut self, context: &mut Context<'_>) -> Poll<io::Result<&mut dyn Wire>> {
        if let Self::Shaking(accept) = self {
            match Pin::new(&mut **accept).poll(context) {
                Poll::Ready(Ok(stream)) => *self = Self::Tls(Box::new(stream)),
                Poll::Ready(Err(error)) => {
                    *self = Self::Refused;
                    return Poll::Ready(Err(error));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(match self {
            Self::Plain(stream) => Ok(stream),
            Self::Tls(stream) => Ok(&mut **stream),
            Self::Shaking(_) | Self::Refused => Err(io::ErrorKind::NotConnected.into()),
        })
    }
}

impl Connection {
    /// Fails once the deadline has passed; until then, makes sure that we are woken at it.
    fn in_time(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        match self.deadline.as_mut().poll(context) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.in_time(context)?;
        if this.bytes_left == 0 {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "the request is too large")));
        }
        let before = buffer.filled().len();
        let polled = Pin::new(ready!(this.stream.poll_wire(context))?).poll_read(context, buffer);
        this.bytes_left = this.bytes_left.saturating_sub(buffer.filled().len().saturating_sub(before));
        polled
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.in_time(context)?;
        Pin::new(ready!(this.stream.poll_wire(context))?).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.in_time(context)?;
        Pin::new(ready!(this.stream.poll_wire(context))?).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.in_time(context)?;
        Pin::new(ready!(this.stream.poll_wire(context))?).poll_shutdown(context)
    }
}
