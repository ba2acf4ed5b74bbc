//! A port over loopback: what agents send, half send, and do not send.

use super::*;
use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

const SIP: &[u8] = b"OPTIONS sip:192.0.2.1 SIP/2.0\r\nContent-Length: 0\r\n\r\n";
const PATIENCE: Duration = Duration::from_secs(20);

/// What was heard.
#[derive(Debug, PartialEq)]
enum Heard {
    Message(Vec<u8>),
    Aside(SetAside),
    Opened,
    Ended(Closed),
}

fn frame(key: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut frame = b"HEP3\0\0".to_vec();
    for (chunk, value) in [(0x0b_u8, [1].as_slice()), (0x0e, key), (0x0f, payload)] {
        frame.extend_from_slice(&[0, 0, 0, chunk]);
        frame.extend_from_slice(&u16::try_from(value.len() + 6).unwrap().to_be_bytes());
        frame.extend_from_slice(value);
    }
    let length = u16::try_from(frame.len()).unwrap().to_be_bytes();
    frame[4..6].copy_from_slice(&length);
    frame
}

struct Port {
    address: SocketAddr,
    heard: Receiver<Heard>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Port {
    fn open(key: Option<&'static [u8]>, bounds: Bounds) -> Self {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), None).unwrap();
        let (address, stop) = (listener.local_addr(), Arc::new(AtomicBool::new(false)));
        let (sender, heard) = channel();
        let ends = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let hear = move |event: Event<'_>| tell(&sender, event);
            let server = Server { key: key.map(Into::into), bare: Bare::AsSent, bounds, now: Timestamp::default, hear };
            server.serve(listener, || ends.load(Ordering::Relaxed)).unwrap();
        });
        Self { address, heard, stop, thread: Some(thread) }
    }

    fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).unwrap()
    }

    fn expect(&self, expected: &[Heard]) {
        for event in expected {
            assert_eq!(self.heard.recv_timeout(PATIENCE).as_ref(), Ok(event));
        }
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

fn tell(sender: &Sender<Heard>, event: Event<'_>) {
    let heard = match event {
        Event::Found(found) => Heard::Message(found.message.payload.to_vec()),
        Event::SetAside(reason, _) => Heard::Aside(reason),
        Event::Opened => Heard::Opened,
        Event::Ended(why, _) => Heard::Ended(why),
        Event::Turn => return,
    };
    sender.send(heard).unwrap();
}

fn message() -> Heard {
    Heard::Message(SIP.to_vec())
}

#[test]
fn frames_come_back_to_back_and_in_pieces() {
    let port = Port::open(Some(b"secret"), Bounds::default());
    let mut agent = port.connect();
    agent.set_nodelay(true).unwrap();
    let good = frame(b"secret", SIP);
    agent.write_all(&[good.as_slice(), &frame(b"wrong!", SIP), &good].concat()).unwrap();
    port.expect(&[Heard::Opened, message(), Heard::Aside(SetAside::HepKey), message()]);
    // A slow client: octet by octet.
    for octet in &good {
        agent.write_all(&[*octet]).unwrap();
    }
    port.expect(&[message()]);
    // Another beside it, which ends within a frame.
    let mut other = port.connect();
    other.write_all(&good[..good.len() - 1]).unwrap();
    drop(other);
    port.expect(&[Heard::Opened, Heard::Ended(Closed::Broken)]);
    agent.write_all(&good).unwrap();
    drop(agent);
    port.expect(&[message(), Heard::Ended(Closed::ByAgent)]);
}

#[test]
fn bare_copies_come_over_a_stream_too() {
    let port = Port::open(None, Bounds::default());
    let mut agent = port.connect();
    agent.write_all(&[SIP, b"\r\n\r\n", SIP, &frame(b"", SIP)].concat()).unwrap();
    port.expect(&[Heard::Opened, message(), message(), message()]);
}

#[test]
fn what_is_no_hep_ends_its_connection_only() {
    let port = Port::open(None, Bounds::default());
    let mut honest = port.connect();
    honest.write_all(&frame(b"", SIP)).unwrap();
    port.expect(&[Heard::Opened, message()]);
    for garbage in [b"HEP3\0\x05".as_slice(), b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\0\x01\0", &[0; 100]] {
        let mut agent = port.connect();
        agent.write_all(garbage).unwrap();
        port.expect(&[Heard::Opened, Heard::Ended(Closed::Framing)]);
    }
    honest.write_all(&frame(b"", SIP)).unwrap();
    port.expect(&[message()]);
}

#[test]
fn time_is_bounded() {
    let short = Duration::from_millis(300);
    let first = Port::open(Some(b"secret"), Bounds { first: short, ..Bounds::default() });
    let mut agent = first.connect();
    // What does not count gives no time.
    agent.write_all(&frame(b"guess", SIP)).unwrap();
    first.expect(&[Heard::Opened, Heard::Aside(SetAside::HepKey), Heard::Ended(Closed::Slow)]);
    let rest = Port::open(None, Bounds { rest: short, ..Bounds::default() });
    let mut agent = rest.connect();
    agent.set_nodelay(true).unwrap();
    agent.write_all(&[frame(b"", SIP), frame(b"", SIP)[..10].to_vec()].concat()).unwrap();
    rest.expect(&[Heard::Opened, message()]);
    let half = frame(b"", &[SIP, &[b'x'; 40_000]].concat());
    for octet in &half[10..] {
        if agent.write_all(&[*octet]).is_err() {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    rest.expect(&[Heard::Ended(Closed::Slow)]);
    let idle = Port::open(None, Bounds { idle: short, ..Bounds::default() });
    let mut agent = idle.connect();
    agent.write_all(&frame(b"", SIP)).unwrap();
    idle.expect(&[Heard::Opened, message(), Heard::Ended(Closed::Idle)]);
}

#[test]
fn connections_are_bounded() {
    let port = Port::open(None, Bounds { connections: 2, ..Bounds::default() });
    let (mut one, two) = (port.connect(), port.connect());
    port.expect(&[Heard::Opened, Heard::Opened]);
    let three = port.connect();
    port.expect(&[Heard::Ended(Closed::TooMany)]);
    drop(two);
    port.expect(&[Heard::Ended(Closed::ByAgent)]);
    let mut four = port.connect();
    four.write_all(&frame(b"", SIP)).unwrap();
    port.expect(&[Heard::Opened, message()]);
    one.write_all(&frame(b"", SIP)).unwrap();
    port.expect(&[message()]);
    drop((three, port));
}
