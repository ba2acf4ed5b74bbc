//! A wire that can be cut: passes a TCP connection on, until it is told not to.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Listens on the loopback address and passes each connection on.
pub struct Relay {
    address: SocketAddr,
    wire: Arc<Mutex<Wire>>,
}

#[derive(Default)]
struct Wire {
    is_cut: bool,
    open: Vec<TcpStream>,
}

impl Relay {
    /// In front of a server, which need not be there yet.
    pub fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let relay = Self { address: listener.local_addr().expect("bound"), wire: Arc::default() };
        let wire = Arc::clone(&relay.wire);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let mut wire = wire.lock().expect("nobody panicked");
                // Who comes while it is cut, or while nobody is there, is turned away.
                if let (false, Ok(inside)) = (wire.is_cut, TcpStream::connect(server)) {
                    let handle = |stream: &TcpStream| stream.try_clone().expect("a second handle");
                    pass(handle(&stream), handle(&inside));
                    pass(handle(&inside), handle(&stream));
                    wire.open.extend([stream, inside]);
                }
            }
        });
        relay
    }

    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends every connection, and takes no other until it is mended; gives how many there were.
    pub fn cut(&self) -> usize {
        let mut wire = self.wire.lock().expect("nobody panicked");
        wire.is_cut = true;
        let ended = wire.open.drain(..).filter(|stream| stream.shutdown(Shutdown::Both).is_ok()).count();
        ended / 2
    }

    pub fn mend(&self) {
        self.wire.lock().expect("nobody panicked").is_cut = false;
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    std::thread::spawn(move || {
        let mut bytes = [0; 4_096];
        loop {
            match from.read(&mut bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => break,
                Ok(length) => {
                    if to.write_all(&bytes[..length]).is_err() {
                        break;
                    }
                }
            }
        }
        // An end on one side is an end on the other.
        let _ = to.shutdown(Shutdown::Both);
    });
}
