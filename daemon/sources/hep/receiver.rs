//! A UDP port that takes HEP frames and bare copies of SIP messages.
//!
//! The one invariant: every datagram the kernel gave us is delivered or counted, and what the kernel itself dropped can be
//! asked for ([`Receiver::kernel_drops`]): loss on a port is invisible in HEP, so a meter must at least know its own.

use super::super::{Found, SetAside, Tally};
use super::Reader;
use super::drain::{Drain, Slab};
use crate::units::Timestamp;
use socket2::SockRef;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;

/// The receive buffer we ask for, bytes: it decides between loss and none when the machine is busy for a moment. The
/// kernel grants at most `net.core.rmem_max`.
pub const WANTED_BUFFER: usize = 8 << 20;

/// One open port.
pub struct Receiver {
    socket: UdpSocket,
    local: SocketAddr,
    reader: Reader,
    drain: Drain,
    /// What is being read, and the next datagram in it.
    slab: Option<(Slab, usize)>,
    received: u64,
    bytes: u64,
    set_aside: Tally,
}

/// What came of one wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// A datagram with a message, or several: they were handed on.
    Messages,
    /// A datagram with none, from this peer; it is counted already.
    SetAside(SetAside, SocketAddr),
    /// Nothing came in time.
    Nothing,
}

impl Receiver {
    /// Opens the port, begins to empty it, and reads what comes to it so.
    ///
    /// # Errors
    /// When the address cannot be bound, or the thread that empties it cannot be started.
    pub fn bind(listen: SocketAddr, reader: Reader) -> io::Result<Self> {
        let socket = UdpSocket::bind(listen)?;
        // A smaller buffer than asked for is no reason not to start: `granted_buffer` tells.
        let _ = SockRef::from(&socket).set_recv_buffer_size(WANTED_BUFFER);
        Ok(Self {
            local: socket.local_addr()?,
            drain: Drain::start(socket.try_clone()?)?,
            socket,
            reader,
            slab: None,
            received: 0,
            bytes: 0,
            set_aside: Tally::default(),
        })
    }

    /// Waits for one datagram, at most so long, and hands on what it holds, and when it came.
    ///
    /// # Errors
    /// When the socket itself fails. A refused ICMP answer to somebody else's packet is not such a failure.
    pub fn receive(&mut self, at_most: Duration, visit: &mut impl FnMut(Found<'_>, Timestamp)) -> io::Result<Received> {
        if !self.has_more() && !self.next_slab(at_most)? {
            return Ok(Received::Nothing);
        }
        let Some((slab, next)) = &mut self.slab else { return Ok(Received::Nothing) };
        let Some((datagram, peer, at)) = slab.get(*next) else { return Ok(Received::Nothing) };
        *next += 1;
        self.received += 1;
        self.bytes += datagram.len() as u64;
        match self.reader.read(datagram, (peer, self.local), || at, &mut |found| visit(found, at)) {
            Ok(()) => Ok(Received::Messages),
            Err(reason) => {
                self.set_aside.add(reason);
                Ok(Received::SetAside(reason, peer))
            }
        }
    }

    /// Whether more was received already, so that nothing need be waited for.
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.slab.as_ref().is_some_and(|(slab, next)| *next < slab.len())
    }

    fn next_slab(&mut self, at_most: Duration) -> io::Result<bool> {
        if let Some((read, _)) = self.slab.take() {
            self.drain.give_back(read);
        }
        self.slab = self.drain.next(at_most)?.map(|slab| (slab, 0));
        Ok(self.has_more())
    }

    /// Takes nothing more from the kernel. What was taken can still be had by [`Receiver::receive`].
    pub fn close(&mut self) {
        self.drain.stop();
    }

    /// The address it listens on, with the port the kernel chose where 0 was asked for.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The receive buffer the kernel granted, bytes; it counts its own bookkeeping in, twice what it was asked for.
    ///
    /// # Errors
    /// When the socket cannot be asked.
    pub fn granted_buffer(&self) -> io::Result<usize> {
        SockRef::from(&self.socket).recv_buffer_size()
    }

    /// Datagrams received, and their bytes.
    #[must_use]
    pub const fn received(&self) -> (u64, u64) {
        (self.received, self.bytes)
    }

    /// Datagrams that made no message, by reason.
    #[must_use]
    pub const fn set_aside(&self) -> &Tally {
        &self.set_aside
    }

    /// Datagrams the kernel dropped before we could read them, because the buffer was full, since the port was opened.
    ///
    /// # Errors
    /// When `/proc` cannot be read or does not list our socket.
    pub fn kernel_drops(&self) -> io::Result<u64> {
        let link = std::fs::read_link(format!("/proc/self/fd/{}", self.socket.as_raw_fd()))?;
        let inode = link.to_str().and_then(|name| name.strip_prefix("socket:[")?.strip_suffix(']'));
        // Under our own process: with `ProcSubset=pid`, as the unit has it, `/proc/net` is not there.
        let table = if self.local.is_ipv4() { "/proc/self/net/udp" } else { "/proc/self/net/udp6" };
        let text = std::fs::read_to_string(table)?;
        inode
            .and_then(|inode| drops_of(&text, inode))
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("found no line of our socket in {table}")))
    }
}

/// The last column of the line that has this inode in its tenth (Linux, Documentation/networking/proc_net_tcp).
fn drops_of(table: &str, inode: &str) -> Option<u64> {
    let line = table.lines().skip(1).find(|line| line.split_ascii_whitespace().nth(9) == Some(inode))?;
    line.split_ascii_whitespace().last()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIP: &[u8] = b"OPTIONS sip:192.0.2.1 SIP/2.0\r\n\r\n";
    const WAIT: Duration = Duration::from_secs(5);

    /// HEP3, type, time of 5 s, key, payload: built here by its lengths.
    fn frame(key: &[u8], content: u8) -> Vec<u8> {
        let mut frame = b"HEP3\0\0".to_vec();
        for (chunk, value) in [(0x0b_u8, [content].as_slice()), (0x09, &[0, 0, 0, 5]), (0x0e, key), (0x0f, SIP)] {
            frame.extend_from_slice(&[0, 0, 0, chunk, 0, u8::try_from(value.len() + 6).unwrap()]);
            frame.extend_from_slice(value);
        }
        frame[5] = u8::try_from(frame.len()).unwrap();
        frame
    }

    fn open(listen: &str, key: Option<&[u8]>) -> Receiver {
        Receiver::bind(listen.parse().unwrap(), Reader::new(key, super::super::Bare::AsSent)).unwrap()
    }

    /// The time that a message has of its own, in seconds, or why there is none.
    type Outcome = Result<Option<u32>, SetAside>;

    /// Sends each datagram and tells what came of it: the time that a message has of its own, or why there is none.
    fn check(key: Option<&[u8]>, expected: &[(&[u8], Outcome)]) {
        let mut port = open("127.0.0.1:0", key);
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        for (datagram, outcome) in expected {
            sender.send_to(datagram, port.local_addr()).unwrap();
            let mut time = None;
            let mut visit = |Found { message, .. }: Found<'_>, at| {
                assert_eq!(message.payload, SIP);
                let own = message.captured_at != at;
                time = Some(own.then(|| u32::try_from(message.captured_at.micros() / 1_000_000).unwrap()));
            };
            let found = match port.receive(WAIT, &mut visit).unwrap() {
                Received::Messages => Ok(time.unwrap()),
                Received::SetAside(reason, peer) => {
                    assert_eq!(peer, sender.local_addr().unwrap());
                    Err(reason)
                }
                Received::Nothing => panic!("nothing came of {}", datagram.escape_ascii()),
            };
            assert_eq!(found, *outcome, "{}", datagram.escape_ascii());
        }
        let refused = expected.iter().filter(|(_, outcome)| outcome.is_err()).count();
        assert_eq!(port.set_aside().total(), refused as u64);
        assert_eq!(port.received().0, expected.len() as u64);
    }

    #[test]
    fn frames_and_bare_copies_are_taken() {
        let expected: &[(&[u8], _)] = &[
            (&frame(b"any", 1), Ok(Some(5))),
            (SIP, Ok(None)),
            (&frame(b"any", 5), Err(SetAside::HepProtocol)),
            (b"EEP1......", Err(SetAside::HepVersion)),
            (b"", Err(SetAside::NotSip)),
        ];
        check(None, expected);
    }

    #[test]
    fn a_key_is_asked_of_every_datagram() {
        let expected: &[(&[u8], _)] = &[
            (&frame(b"secret", 1), Ok(Some(5))),
            (&frame(b"wrong!", 1), Err(SetAside::HepKey)),
            (&frame(b"", 1), Err(SetAside::HepKey)),
            (SIP, Err(SetAside::HepKey)),
        ];
        check(Some(b"secret"), expected);
    }

    #[test]
    fn a_quiet_port_gives_the_caller_its_turn() {
        let mut port = open("[::1]:0", None);
        assert_eq!(port.receive(Duration::ZERO, &mut |_, _| panic!("nothing came")).unwrap(), Received::Nothing);
    }

    #[test]
    fn what_was_received_is_read_to_the_end() {
        let mut port = open("127.0.0.1:0", None);
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        for number in 0..200_u8 {
            sender.send_to(&frame(&[number], 1), port.local_addr()).unwrap();
        }
        let read = |port: &mut Receiver| port.receive(WAIT, &mut |_, _| {}).unwrap();
        for _ in 0..200 {
            assert_eq!(read(&mut port), Received::Messages);
        }
        assert_eq!((port.received().0, port.has_more()), (200, false));
        port.close();
        sender.send_to(SIP, port.local_addr()).unwrap();
        assert_eq!(read(&mut port), Received::Nothing, "it is closed, and does not wait");
    }

    #[test]
    fn what_the_kernel_drops_is_known() {
        let mut port = open("127.0.0.1:0", None);
        // Nobody empties it.
        port.close();
        SockRef::from(&port.socket).set_recv_buffer_size(4096).unwrap();
        assert!(port.granted_buffer().unwrap() < WANTED_BUFFER);
        assert_eq!(port.kernel_drops().unwrap(), 0);
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        for _ in 0..100 {
            sender.send_to(&[0; 1000], port.local_addr()).unwrap();
        }
        assert!(port.kernel_drops().unwrap() > 50);
    }

    #[test]
    fn the_table_of_sockets_is_read_by_inode() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n\
            8: 0100007F:2364 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4711 2 0000000000000000 42\n";
        assert_eq!(drops_of(table, "4711"), Some(42));
        assert_eq!(drops_of(table, "471"), None);
        assert_eq!(drops_of("", "4711"), None);
    }
}
