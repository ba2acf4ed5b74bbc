//! HEP over TCP and TLS, as agents really behave on it: the same records as over UDP, and nobody disturbs another.

use crate::daemon::{Daemon, RECORDING, configure, datagrams, records, replayed, same, verify};
use crate::hostile::{metric, until};
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, crypto::ring};

const TCP: &str = "\n[[source]]\nkind = \"hep\"\nlisten = \"tcp://127.0.0.1:0\"\nauth_key_file = \"hep.key\"\n";
const TLS: &str = "\n[[source]]\nkind = \"hep\"\nlisten = \"tls://127.0.0.1:0\"\nauth_key_file = \"hep.key\"\ncert_file = \"cert.pem\"\nkey_file = \"key.pem\"\n";

const ACCEPTED: &str = "taktd_hep_frames_total{outcome=\"accepted\"}";
const OPEN: &str = "taktd_hep_connections_open";

fn ended(reason: &str) -> String {
    format!("taktd_hep_connections_ended_total{{reason=\"{reason}\"}}")
}

/// Writes a certificate for 127.0.0.1 and its key, and gives the certificate.
pub(crate) fn certificate(folder: &Path) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    std::fs::write(folder.join("cert.pem"), made.cert.pem()).expect("written");
    std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).expect("written");
    made.cert.der().clone()
}

/// An agent that believes this certificate and no other.
pub(crate) fn over_tls(to: SocketAddr, certificate: &CertificateDer<'static>) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).expect("a root");
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("127.0.0.1").expect("an address");
    let client = ClientConnection::new(Arc::new(config), name).expect("a client");
    StreamOwned::new(client, TcpStream::connect(to).expect("it listens"))
}

/// Chunk 0x0b: 1 is SIP.
fn is_sip(frame: &[u8]) -> bool {
    frame.windows(7).any(|bytes| bytes == [0, 0, 0, 0x0b, 0, 7, 1])
}

/// Frames of the recording that hold messages: all but the reports about media.
fn messages() -> (Vec<Vec<u8>>, usize) {
    let all: Vec<Vec<u8>> = datagrams(RECORDING).into_iter().map(|(_, frame)| frame).collect();
    let sip = all.iter().filter(|frame| is_sip(frame)).count();
    (all, sip)
}

/// Writes frames in writes that have nothing to do with where they end.
fn write_torn(to: &mut impl Write, frames: &[Vec<u8>]) {
    let all = frames.concat();
    let mut rest = all.as_slice();
    for size in [1, 7, 1_448, 3, 20_000, 64].iter().cycle() {
        let (piece, after) = rest.split_at((*size).min(rest.len()));
        to.write_all(piece).expect("sent");
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    to.flush().expect("sent");
}

fn accepted(daemon: &Daemon, count: usize) {
    #[expect(clippy::cast_precision_loss, reason = "a counter is a float")]
    until("all are taken", || metric(daemon, ACCEPTED) >= count as f64);
}

#[test]
fn hep_over_tcp_gives_the_same_records_as_over_udp() {
    let (live, still) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let daemon = Daemon::start(&configure(live.path(), TCP));
    let (frames, sip) = messages();
    let to = daemon.hep.expect("it listens");
    // Another connection for each part, as after a reconnect: what came by the one before has been taken.
    let mut sent = 0;
    for part in frames.chunks(frames.len() / 3) {
        let mut agent = TcpStream::connect(to).expect("it listens");
        agent.set_nodelay(true).expect("set");
        write_torn(&mut agent, part);
        sent += part.iter().filter(|frame| is_sip(frame)).count();
        accepted(&daemon, sent);
    }
    assert_eq!(sent, sip);
    until("all have gone", || metric(&daemon, OPEN) == 0.0);
    let config = daemon.end();
    same(&records(&config), &replayed(still.path(), RECORDING));
    verify(&config);
}

#[test]
fn hep_over_tls_gives_the_same_records_as_over_udp() {
    let (live, still) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let certificate = certificate(live.path());
    let daemon = Daemon::start(&configure(live.path(), TLS));
    let (frames, sip) = messages();
    let to = daemon.hep.expect("it listens");
    // Who speaks no TLS, or not to us, is told apart and costs nothing.
    TcpStream::connect(to).expect("it listens").write_all(&frames[0]).expect("sent");
    until("it was closed", || metric(&daemon, &ended("tls")) == 1.0);
    let mut agent = over_tls(to, &certificate);
    write_torn(&mut agent, &frames);
    agent.conn.send_close_notify();
    agent.flush().expect("closed");
    accepted(&daemon, sip);
    let config = daemon.end();
    same(&records(&config), &replayed(still.path(), RECORDING));
    verify(&config);
}

#[test]
fn agents_that_misbehave_disturb_no_other() {
    let (live, still) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let daemon = Daemon::start(&configure(live.path(), TCP));
    let (frames, sip) = messages();
    let to = daemon.hep.expect("it listens");
    let mut honest = TcpStream::connect(to).expect("it listens");
    let (first, second) = frames.split_at(frames.len() / 2);
    write_torn(&mut honest, first);
    // Garbage, half a frame and away, a length that cannot be, a wrong key.
    for bytes in [b"\0\x01\x02 garbage".as_slice(), &frames[0][..frames[0].len() / 2], b"HEP3\0\x01"] {
        TcpStream::connect(to).expect("it listens").write_all(bytes).expect("sent");
    }
    let mut stranger = TcpStream::connect(to).expect("it listens");
    let mut forged = frames[0].clone();
    let key = forged.windows(7).position(|bytes| bytes == b"lab-hep").expect("it carries the key");
    forged[key] = b'X';
    stranger.write_all(&forged).expect("sent");
    until("each is counted", || {
        metric(&daemon, &ended("framing")) == 2.0
            && metric(&daemon, &ended("broken")) == 1.0
            && metric(&daemon, "taktd_hep_frames_total{outcome=\"unauthenticated\"}") == 1.0
    });
    // Two hundred at once, most of them silent, and more than there is room for.
    let crowd: Vec<TcpStream> = (0..200).map(|_| TcpStream::connect(to).expect("it listens")).collect();
    until("all are there", || metric(&daemon, OPEN) == 202.0);
    let more: Vec<TcpStream> = (0..100).map(|_| TcpStream::connect(to).expect("it listens")).collect();
    until("the rest is refused", || metric(&daemon, &ended("too_many")) == 46.0);
    write_torn(&mut honest, second);
    accepted(&daemon, sip);
    assert_eq!(daemon.get("/readyz").0, 200);
    drop((crowd, more, stranger, honest));
    until("all have gone", || metric(&daemon, OPEN) == 0.0);
    let config = daemon.end();
    same(&records(&config), &replayed(still.path(), RECORDING));
    verify(&config);
}

#[test]
fn a_daemon_ends_while_agents_are_connected() {
    let live = tempfile::tempdir().expect("a folder");
    let daemon = Daemon::start(&configure(live.path(), TCP));
    let agent = TcpStream::connect(daemon.hep.expect("it listens")).expect("it listens");
    until("it is there", || metric(&daemon, OPEN) == 1.0);
    let begun = std::time::Instant::now();
    daemon.end();
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    drop(agent);
}

#[test]
fn a_certificate_that_is_missing_stops_the_start() {
    let live = tempfile::tempdir().expect("a folder");
    let config = configure(live.path(), TLS);
    std::fs::write(live.path().join("hep.key"), "lab-hep\n").expect("written");
    let out = std::process::Command::new(crate::daemon::TAKTD).args(["run", "--config"]).arg(&config).output().expect("it runs");
    assert_eq!(out.status.code(), Some(2));
    let told = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(told.contains("cert.pem: "), "{told}");
}

/// The same frame as another agent reports it, whose clock is so many microseconds ahead.
fn by_another(frame: &[u8], ahead: u64) -> Vec<u8> {
    let mut frame = frame.to_vec();
    let value = |chunk: u8| {
        let place = frame.windows(6).position(|bytes| bytes == [0, 0, 0, chunk, 0, 10]).expect("it has such a chunk") + 6;
        (u32::from_be_bytes(frame[place..place + 4].try_into().expect("four octets")), place)
    };
    let ((agent, agent_at), (seconds, seconds_at), (micros, micros_at)) = (value(0x0c), value(0x09), value(0x0a));
    let later = u64::from(seconds) * 1_000_000 + u64::from(micros) + ahead;
    let mut put = |at: usize, value: u64| frame[at..at + 4].copy_from_slice(&u32::try_from(value).expect("it fits").to_be_bytes());
    put(agent_at, u64::from(agent) + 1);
    put(seconds_at, later / 1_000_000);
    put(micros_at, later % 1_000_000);
    frame
}

#[test]
fn two_agents_that_report_the_same_with_clocks_apart_make_each_call_once_and_it_shows() {
    for (ahead, shows) in [(40_000, "} 0.04"), (250_000, "} 0.25")] {
        let (live, still) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let daemon = Daemon::start(&configure(live.path(), TCP));
        let (frames, sip) = messages();
        let twice: Vec<Vec<u8>> = frames.iter().flat_map(|frame| [frame.clone(), by_another(frame, ahead)]).collect();
        let mut agent = TcpStream::connect(daemon.hep.expect("it listens")).expect("it listens");
        write_torn(&mut agent, &twice);
        accepted(&daemon, 2 * sip);
        let page = daemon.get("/metrics").1;
        let shown: Vec<&str> = page.lines().filter(|line| line.starts_with("taktd_hep_clock_offset_seconds{")).collect();
        assert!(matches!(shown.as_slice(), [line] if line.ends_with(shows)), "{shown:?}");
        drop(agent);
        let config = daemon.end();
        // The first copy heard counts, and so does its time. Where a clock is further ahead than evidence is waited for, a leg may
        // be joined by likelihood instead, and says so.
        let (mut ours, mut theirs) = (records(&config), replayed(still.path(), RECORDING));
        for record in ours.values_mut().chain(theirs.values_mut()).filter(|_| ahead > 50_000) {
            let record = record.as_object_mut().expect("an object");
            record.retain(|key, _| key != "correlation" && key != "marks");
        }
        same(&ours, &theirs);
        verify(&config);
    }
}
