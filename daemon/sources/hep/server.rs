//! A TCP port, with TLS or without, to which agents connect and send frames back to back.
//!
//! The one invariant: an agent can hold a connection, a buffer and some time, each with a bound, and nothing else; what is no
//! HEP ends its connection, because nothing behind it can be found again. Nothing is ever answered, as HEP has no answers.
//! All connections are served by one thread, which may be made to wait: then the agents wait, and nothing is lost.

use super::{Bare, Reader};
use crate::sources::stream::{LARGEST, Stream};
use crate::sources::tls::Tls;
use crate::sources::{Found, SetAside};
use crate::units::Timestamp;
use socket2::{SockRef, TcpKeepalive};
use std::cell::{Cell, RefCell};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

/// Read at once, and kept for each connection.
const CHUNK: usize = 16 << 10;
/// So often the caller has its turn, and may end it all.
const TURN: Duration = Duration::from_millis(200);
/// After so long without a word the system asks whether the other end is still there.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// What agents may hold.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Connections at once. Each has at most a frame of the greatest length and 16 KiB of buffers.
    pub connections: usize,
    /// How long a connection may take to its first frame that counts, its handshake included.
    pub first: Duration,
    /// How long a frame that has begun may take to its end.
    pub rest: Duration,
    /// How long a connection may be silent. Long: an agent that is closed may notice only when its next frame is lost, and
    /// ends that vanish are found by keep-alives of TCP.
    pub idle: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { connections: 256, first: Duration::from_secs(30), rest: Duration::from_secs(30), idle: Duration::from_secs(6 * 3_600) }
    }
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Closed {
    /// The agent closed it, between two frames.
    ByAgent,
    /// The network failed, or the agent closed it within a frame.
    Broken,
    /// What came is no HEP.
    Framing,
    /// The first frame, or the rest of one, did not come in time.
    Slow,
    /// It was silent for too long.
    Idle,
    /// No TLS could be agreed on.
    Tls,
    /// There were too many already.
    TooMany,
    /// The daemon ended.
    Ended,
}

/// What a server tells.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A message.
    Found(Found<'a>),
    /// A frame without one, from this agent.
    SetAside(SetAside, SocketAddr),
    /// An agent connected.
    Opened,
    /// A connection ended; [`Closed::TooMany`] of one that was never opened.
    Ended(Closed, SocketAddr),
    /// Some time has passed, or all that had come was read.
    Turn,
}

/// An open port.
pub struct Listener {
    listener: TcpListener,
    local: SocketAddr,
    tls: Option<Tls>,
}

impl Listener {
    /// Opens the port.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub fn bind(listen: SocketAddr, tls: Option<Tls>) -> io::Result<Self> {
        let listener = TcpListener::bind(listen)?;
        listener.set_nonblocking(true)?;
        Ok(Self { local: listener.local_addr()?, listener, tls })
    }

    /// The address it listens on, with the port the kernel chose where 0 was asked for.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.local
    }
}

/// How connections are read, and who hears of it.
pub struct Server<N, F> {
    /// The secret that every frame must carry.
    pub key: Option<Box<[u8]>>,
    /// What is believed of bare copies.
    pub bare: Bare,
    /// What agents may hold.
    pub bounds: Bounds,
    /// Reads the clock.
    pub now: N,
    /// Hears what comes.
    pub hear: F,
}

struct Serving<N, F> {
    key: Option<Box<[u8]>>,
    bare: Bare,
    bounds: Bounds,
    now: N,
    hear: RefCell<F>,
    open: Cell<usize>,
}

impl<N: Fn() -> Timestamp + 'static, F: FnMut(Event<'_>) + 'static> Server<N, F> {
    /// Serves a port until told to end.
    ///
    /// # Errors
    /// When the port cannot be served at all; an agent's failure is none of ours.
    pub fn serve(self, listener: Listener, ends: impl Fn() -> bool) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let Self { key, bare, bounds, now, hear } = self;
        let serving = Rc::new(Serving { key, bare, bounds, now, hear: RefCell::new(hear), open: Cell::new(0) });
        let agents = tokio::task::LocalSet::new();
        let served = agents.block_on(&runtime, accept(Rc::clone(&serving), &listener, ends));
        drop(agents);
        served
    }
}

async fn accept<N: Fn() -> Timestamp + 'static, F: FnMut(Event<'_>) + 'static>(
    serving: Rc<Serving<N, F>>,
    listener: &Listener,
    ends: impl Fn() -> bool,
) -> io::Result<()> {
    let tls = listener.tls.as_ref().map(|tls| tls.acceptor());
    let incoming = tokio::net::TcpListener::from_std(listener.listener.try_clone()?)?;
    while !ends() {
        match timeout(TURN, incoming.accept()).await {
            Err(_) => {}
            // Out of files, or an agent that gave up at once: the next one may do better.
            Ok(Err(_)) => sleep(TURN).await,
            Ok(Ok((_, peer))) if serving.open.get() >= serving.bounds.connections => serving.tell(Event::Ended(Closed::TooMany, peer)),
            Ok(Ok((socket, peer))) => {
                let keepalive = TcpKeepalive::new().with_time(KEEPALIVE);
                // Without keep-alives there is still the bound of silence.
                let _ = SockRef::from(&socket).set_tcp_keepalive(&keepalive);
                serving.tell(Event::Opened);
                let guard = Guard { serving: Rc::clone(&serving), peer, why: Closed::Ended };
                tokio::task::spawn_local(agent(guard, socket, tls.clone(), listener.local));
            }
        }
        serving.tell(Event::Turn);
    }
    Ok(())
}

impl<N, F: FnMut(Event<'_>)> Serving<N, F> {
    fn tell(&self, event: Event<'_>) {
        match event {
            Event::Opened => self.open.set(self.open.get() + 1),
            Event::Ended(why, _) if why != Closed::TooMany => self.open.set(self.open.get().saturating_sub(1)),
            _ => {}
        }
        (self.hear.borrow_mut())(event);
    }
}

/// Tells of the end of a connection, however it comes.
struct Guard<N, F: FnMut(Event<'_>)> {
    serving: Rc<Serving<N, F>>,
    peer: SocketAddr,
    why: Closed,
}

impl<N, F: FnMut(Event<'_>)> Drop for Guard<N, F> {
    fn drop(&mut self) {
        self.serving.tell(Event::Ended(self.why, self.peer));
    }
}

async fn agent<N: Fn() -> Timestamp, F: FnMut(Event<'_>)>(
    mut guard: Guard<N, F>,
    socket: tokio::net::TcpStream,
    tls: Option<TlsAcceptor>,
    local: SocketAddr,
) {
    let first = guard.serving.bounds.first;
    guard.why = match tls {
        None => read(&guard, socket, local).await,
        Some(tls) => match timeout(first, tls.accept(socket)).await {
            Ok(Ok(stream)) => read(&guard, stream, local).await,
            Ok(Err(_)) => Closed::Tls,
            Err(_) => Closed::Slow,
        },
    };
}

/// What a connection is waited for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Waiting {
    First,
    Rest,
    Idle,
}

/// Reads a connection to its end, and tells why it ended.
async fn read<N: Fn() -> Timestamp, F: FnMut(Event<'_>)>(
    guard: &Guard<N, F>,
    mut stream: impl AsyncRead + Unpin,
    local: SocketAddr,
) -> Closed {
    let Guard { serving, peer, .. } = guard;
    let bounds = serving.bounds;
    let mut reader = Reader::new(serving.key.as_deref(), serving.bare);
    let mut frames = Stream::default();
    let mut chunk = vec![0; CHUNK];
    let mut waiting = Waiting::First;
    let mut alarm = pin!(sleep(bounds.first));
    loop {
        let length = tokio::select! {
            biased;
            length = stream.read(&mut chunk) => length,
            () = alarm.as_mut() => return if waiting == Waiting::Idle { Closed::Idle } else { Closed::Slow },
        };
        let length = match length {
            Ok(0) if frames.held().is_empty() => return Closed::ByAgent,
            Ok(0) | Err(_) => return Closed::Broken,
            Ok(length) => length,
        };
        let mut counts = false;
        let pushed = frames.push(&chunk[..length], &mut |_, frame| {
            let read = reader.read(frame, (*peer, local), &serving.now, &mut |found| serving.tell(Event::Found(found)));
            counts |= !matches!(read, Err(SetAside::HepKey | SetAside::HepMalformed | SetAside::HepVersion | SetAside::NotSip));
            if let Err(reason) = read {
                serving.tell(Event::SetAside(reason, *peer));
            }
        });
        serving.tell(Event::Turn);
        if pushed.foreign > 0 || frames.held().len() > LARGEST {
            return Closed::Framing;
        }
        let half = !frames.held().is_empty();
        let next = match waiting {
            Waiting::First if !counts => Waiting::First,
            _ if half => Waiting::Rest,
            _ => Waiting::Idle,
        };
        // A frame that goes on must not be given more time by each of its bytes.
        if next == Waiting::Idle || next != waiting || (next == Waiting::Rest && pushed.units > 0) {
            frames.shrink();
            waiting = next;
            alarm.set(sleep(if next == Waiting::Idle { bounds.idle } else { bounds.rest }));
        }
    }
}

#[cfg(test)]
mod tests;
