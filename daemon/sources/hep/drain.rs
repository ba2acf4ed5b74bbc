//! The thread that empties a UDP port: it does nothing but copy datagrams into slabs, and hands these on.
//!
//! The one invariant: a datagram that was taken from the kernel is in a slab that is handed on, in order; when the slabs are
//! full, nothing is taken, and what the kernel then drops the kernel counts. The port has a thread of its own because the
//! kernel's buffer holds some 30 ms of a busy trunk: whoever reads the messages may be busy for longer (Linux, socket(7)).

use crate::clock;
use crate::units::Timestamp;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// The largest UDP payload is 65,507 octets.
const LARGEST_DATAGRAM: usize = 65_536;
/// So much is copied into one slab; one more datagram always fits behind it.
const SLAB: usize = 192 * 1024;
/// So many slabs there are at most: 16 MiB, or a fifth of a second of a very busy port.
const MOST_SLABS: usize = 64;
/// From so many datagrams at once on, the port is busy: the next ones are given the time to gather.
const MANY: usize = 8;
const GATHER: Duration = Duration::from_millis(1);
/// How often a thread with nothing to do looks whether it should end.
const LOOK: Duration = Duration::from_millis(100);

/// Datagrams one behind the other.
pub(super) struct Slab {
    octets: Box<[u8]>,
    /// Where each ends, whence it came, and when.
    datagrams: Vec<(usize, SocketAddr, Timestamp)>,
}

impl Slab {
    fn new() -> Self {
        Self { octets: vec![0; SLAB + LARGEST_DATAGRAM].into_boxed_slice(), datagrams: Vec::new() }
    }

    /// How many datagrams.
    pub(super) fn len(&self) -> usize {
        self.datagrams.len()
    }

    /// One of them, whence it came, and when.
    pub(super) fn get(&self, number: usize) -> Option<(&[u8], SocketAddr, Timestamp)> {
        let (end, peer, at) = *self.datagrams.get(number)?;
        let from = number.checked_sub(1).and_then(|before| self.datagrams.get(before)).map_or(0, |(end, ..)| *end);
        Some((self.octets.get(from..end)?, peer, at))
    }

    fn end(&self) -> usize {
        self.datagrams.last().map_or(0, |(end, ..)| *end)
    }

    /// Takes one datagram more, and waits for it as the socket says.
    fn take(&mut self, socket: &UdpSocket) -> io::Result<()> {
        let from = self.end();
        let (length, peer) = socket.recv_from(&mut self.octets[from..])?;
        self.datagrams.push((from + length, peer, clock::now()));
        Ok(())
    }
}

/// The thread, seen by whoever takes its slabs.
pub(super) struct Drain {
    full: Receiver<io::Result<Slab>>,
    empty: SyncSender<Slab>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drain {
    /// Begins to empty a port.
    pub(super) fn start(socket: UdpSocket) -> io::Result<Self> {
        // There is room for all slabs and the error behind them: the thread never waits for whoever waits for it to end.
        let (sender, full) = sync_channel(MOST_SLABS + 1);
        let (empty, emptied) = sync_channel(MOST_SLABS);
        let stop = Arc::new(AtomicBool::new(false));
        socket.set_read_timeout(Some(LOOK))?;
        let stopped = Arc::clone(&stop);
        let thread = thread::Builder::new().name("port".to_owned()).spawn(move || {
            let mut slabs = Slabs { emptied, made: 0 };
            while let Some(slab) = slabs.next(&stopped) {
                if !fill(&socket, slab, &sender, &stopped) {
                    break;
                }
            }
        })?;
        Ok(Self { full, empty, stop, thread: Some(thread) })
    }

    /// The next slab; `None` when none came in time, or none will.
    pub(super) fn next(&self, at_most: Duration) -> io::Result<Option<Slab>> {
        match self.full.recv_timeout(at_most) {
            Ok(slab) => slab.map(Some),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Ok(None),
        }
    }

    /// Gives a slab back.
    pub(super) fn give_back(&self, mut slab: Slab) {
        slab.datagrams.clear();
        // There is room for all there are; a thread that has ended needs none.
        let _: Result<(), TrySendError<Slab>> = self.empty.try_send(slab);
    }

    /// Takes nothing more from the port; what was taken is still to be had.
    pub(super) fn stop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Drain {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The slabs there are.
struct Slabs {
    emptied: Receiver<Slab>,
    made: usize,
}

impl Slabs {
    /// One that is empty; waits for it once all are made. `None` when it is time to end.
    fn next(&mut self, stop: &AtomicBool) -> Option<Slab> {
        if let Ok(slab) = self.emptied.try_recv() {
            return Some(slab);
        }
        if self.made < MOST_SLABS {
            self.made += 1;
            return Some(Slab::new());
        }
        loop {
            match self.emptied.recv_timeout(LOOK) {
                Ok(slab) => return Some(slab),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) if stop.load(Ordering::Relaxed) => return None,
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }
}

/// Fills a slab with what has come, at least one datagram, and hands it on; `false` when it is time to end.
fn fill(socket: &UdpSocket, mut slab: Slab, sender: &SyncSender<io::Result<Slab>>, stop: &AtomicBool) -> bool {
    let filled = loop {
        if stop.load(Ordering::Relaxed) {
            return false;
        }
        match slab.take(socket) {
            Ok(()) => break at_once(socket, &mut slab),
            Err(error) if is_quiet(&error) => {}
            Err(error) => break Err(error),
        }
    };
    let many = slab.len() >= MANY;
    match filled {
        Ok(()) if many => {
            let sent = sender.send(Ok(slab)).is_ok();
            thread::sleep(GATHER);
            sent
        }
        Ok(()) => sender.send(Ok(slab)).is_ok(),
        Err(error) => {
            // What was taken before comes first.
            let _ = sender.send(Ok(slab)).and_then(|()| sender.send(Err(error)));
            false
        }
    }
}

/// Takes what is there without waiting for more, as far as the slab has room.
fn at_once(socket: &UdpSocket, slab: &mut Slab) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    let mut taken = Ok(());
    while slab.end() < SLAB {
        match slab.take(socket) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) if is_quiet(&error) => {}
            Err(error) => {
                taken = Err(error);
                break;
            }
        }
    }
    socket.set_nonblocking(false)?;
    taken
}

/// A wait that ended without a datagram and without harm: time is up, a signal came, or an earlier packet of ours was
/// refused by its receiver.
fn is_quiet(error: &io::Error) -> bool {
    use ErrorKind::{ConnectionRefused, ConnectionReset, Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), WouldBlock | TimedOut | Interrupted | ConnectionRefused | ConnectionReset)
}
