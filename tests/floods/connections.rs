//! Connections without end: ten thousand at once, and some that are fed a byte at a time.

use super::{Office, Victim};
use crate::hostile::{metric, until};
use socket2::{Domain, Socket, Type};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

const TCP: &str = "\n[[source]]\nkind = \"hep\"\nlisten = \"tcp://127.0.0.1:0\"\nauth_key_file = \"hep.key\"\n";
const OPEN: &str = "taktd_hep_connections_open";

fn ended(reason: &str) -> String {
    format!("taktd_hep_connections_ended_total{{reason=\"{reason}\"}}")
}

/// An office whose agents are connected.
fn connected_office(to: SocketAddr) -> Office {
    Office::open(|| {
        let mut agent = TcpStream::connect(to).expect("it listens");
        move |frame: &[u8]| agent.write_all(frame).expect("sent")
    })
}

/// This process may open so many files at once.
fn may_open(files: u32) {
    let process = std::process::id().to_string();
    let raised = Command::new("prlimit").args(["--pid", &process, &format!("--nofile={files}:")]).output().expect("prlimit");
    assert!(raised.status.success(), "{files} files may not be open: {}", String::from_utf8_lossy(&raised.stderr));
}

/// Sockets at a thousand addresses of this machine.
fn crowd(many: u32) -> Vec<Socket> {
    let begin = |number: u32| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let own = Ipv4Addr::from(0x7f01_0000 + number % 1_000 + 1);
        socket.bind(&SocketAddr::from((own, 0)).into()).expect("an address of this machine");
        socket
    };
    (0..many).map(begin).collect()
}

#[test]
fn ten_thousand_connections() {
    const MANY: u32 = 10_000;
    may_open(MANY + 2_000);
    let victim = Victim::start(TCP);
    let office = connected_office(victim.hep());
    until("the office is connected", || metric(&victim.daemon, OPEN) == 3.0);
    let agents = crowd(MANY);
    let seen = || metric(&victim.daemon, OPEN) as u64 + victim.sum("taktd_hep_connections_ended_total");
    let mut begun = 3;
    // No more at once than the kernel lets wait: the others would try again a second later.
    for agents in agents.chunks(100) {
        agents.iter().for_each(|agent| agent.connect(&victim.hep().into()).expect("it listens"));
        begun += agents.len() as u64;
        until("each was let in or refused", || seen() >= begun);
    }
    assert_eq!(seen(), u64::from(MANY) + 3);
    assert_eq!(metric(&victim.daemon, OPEN), 256.0);
    assert!(metric(&victim.daemon, &ended("too_many")) >= f64::from(MANY) - 1_000.0);
    drop(agents);
    // And at the page of metrics: there they wait.
    let readers = crowd(MANY);
    for reader in &readers {
        reader.set_nonblocking(true).expect("set");
        // It goes on by itself, as soon as there is room.
        let _ = reader.connect(&victim.daemon.http.into());
    }
    thread::sleep(Duration::from_secs(2));
    let files = std::fs::read_dir(format!("/proc/{}/fd", victim.daemon.child.id())).expect("it runs").count();
    assert!(files < 256 + 32 + 64, "{files} files are open");
    let (billed, _) = office.close();
    drop(readers);
    until("all have gone", || metric(&victim.daemon, OPEN) == 0.0);
    victim.has_stayed_below(96);
    victim.ends_well(&billed);
}

#[test]
fn connections_fed_a_byte_at_a_time() {
    let victim = Victim::start(TCP);
    let office = connected_office(victim.hep());
    let (hep, http) = (victim.hep(), victim.daemon.http);
    // A hundred agents say nothing; a hundred dribble a frame, and more readers than there are places a request.
    let silent: Vec<TcpStream> = (0..100).map(|_| TcpStream::connect(hep).expect("it listens")).collect();
    let frame = [b"HEP3\x40\x00".as_slice(), &[0; 300]].concat();
    let request = format!("GET /metrics HTTP/1.1\r\nHost: taktd\r\nX-Slow: {}", "y".repeat(300));
    let dribble = |to: SocketAddr, many: usize, bytes: Vec<u8>| {
        thread::spawn(move || {
            let mut slow: Vec<TcpStream> = (0..many).map(|_| TcpStream::connect(to).expect("it listens")).collect();
            for byte in bytes {
                slow.retain_mut(|stream| stream.write_all(&[byte]).is_ok());
                thread::sleep(Duration::from_millis(200));
                if slow.is_empty() {
                    break;
                }
            }
            slow.len()
        })
    };
    let begun = Instant::now();
    let (agents, readers) = (dribble(hep, 100, frame), dribble(http, 40, request.into_bytes()));
    // Nobody may ask and read no answer, either.
    let deaf: Vec<TcpStream> = (0..20)
        .map(|_| {
            let mut stream = TcpStream::connect(http).expect("it listens");
            let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: taktd\r\n\r\n");
            stream
        })
        .collect();
    assert_eq!(agents.join().expect("it worked"), 0, "all were put out");
    println!("agents were put out after {:?}", begun.elapsed());
    assert_eq!(readers.join().expect("it worked"), 0, "all were put out");
    println!("readers after {:?}", begun.elapsed());
    until("all are counted", || metric(&victim.daemon, &ended("slow")) >= 200.0);
    let (billed, _) = office.close();
    drop((silent, deaf));
    victim.has_stayed_below(96);
    victim.ends_well(&billed);
}
