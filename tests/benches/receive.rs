//! How many HEP datagrams a second the port takes without loss: recorded frames, sent over loopback at set rates.
//!
//! `cargo bench --bench receive [RATE…]` prints, for each rate, what was sent, received and dropped by the kernel, and the
//! processor time a datagram took on the receiving side. Loss means little while others use the machine.

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use taktd::sources::hep::{Bare, Reader, Received, Receiver};
use taktd::sources::pcap::Capture;
use taktd::units::Observation;

const SECONDS: u64 = 4;

fn main() -> anyhow::Result<()> {
    let mut rates: Vec<u64> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    if rates.is_empty() {
        rates = vec![50_000, 100_000, 150_000, 200_000];
    }
    let frames = frames()?;
    for rate in rates {
        let mut port = Receiver::bind("127.0.0.1:0".parse()?, Reader::new(Some(b"lab-hep"), Bare::AsSent))?;
        let (to, done) = (port.local_addr(), AtomicBool::new(false));
        let (mut messages, mut busy) = (0_u64, Duration::ZERO);
        let sent = thread::scope(|scope| -> anyhow::Result<u64> {
            let sender = scope.spawn(|| {
                let sent = send(to, &frames, rate);
                done.store(true, Ordering::Release);
                sent
            });
            let begun = time_of("thread-self")?;
            loop {
                match port.receive(Duration::from_millis(200), &mut |_, _| messages += 1)? {
                    Received::Messages | Received::SetAside(..) => {}
                    Received::Nothing if done.load(Ordering::Acquire) => break,
                    Received::Nothing => {}
                }
            }
            busy = time_of("thread-self")?.saturating_sub(begun) + port_time()?;
            sender.join().expect("the sender does not panic").map_err(Into::into)
        })?;
        let (received, _) = port.received();
        let each = busy.as_secs_f64() * 1e6 / received.max(1) as f64;
        println!(
            "{rate}/s: sent {sent}, received {received} ({messages} messages), dropped {}, {each:.2} us of processor time each, buffer {} bytes",
            port.kernel_drops()?,
            port.granted_buffer()?,
        );
    }
    Ok(())
}

/// Frames of the recording's messages, built anew.
fn frames() -> anyhow::Result<Vec<Vec<u8>>> {
    let recording = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings/asterisk-16/hep.pcap"))?;
    let mut frames = Vec::new();
    Capture::new("hep.pcap", recording.as_slice()).advance(u64::MAX, |packet| {
        let Observation::Sip(message) = packet.observation;
        let mut frame = b"HEP3\0\0".to_vec();
        for (kind, value) in [(0x0b, [1].as_slice()), (0x09, &[0, 0, 0, 5]), (0x0e, b"lab-hep"), (0x0f, message.payload)] {
            frame.extend_from_slice(&[0, 0, 0, kind]);
            frame.extend_from_slice(&((value.len() + 6) as u16).to_be_bytes());
            frame.extend_from_slice(value);
        }
        let length = (frame.len() as u16).to_be_bytes();
        frame[4..6].copy_from_slice(&length);
        frames.push(frame);
        ControlFlow::Continue(())
    })?;
    Ok(frames)
}

/// Sends frames in bursts of a millisecond, and tells how many.
fn send(to: SocketAddr, frames: &[Vec<u8>], rate: u64) -> std::io::Result<u64> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(to)?;
    let begun = Instant::now();
    let mut sent = 0;
    while sent < rate * SECONDS {
        let due = (begun.elapsed().as_micros() as u64 * rate / 1_000_000).min(rate * SECONDS);
        while sent < due {
            socket.send(&frames[sent as usize % frames.len()])?;
            sent += 1;
        }
        thread::sleep(Duration::from_micros(500));
    }
    Ok(sent)
}

/// The processor time of the threads that empty ports: there is one.
fn port_time() -> anyhow::Result<Duration> {
    let mut sum = Duration::ZERO;
    for task in fs::read_dir("/proc/self/task")? {
        let task = task?.path();
        if fs::read_to_string(task.join("comm"))?.trim() == "port" {
            sum += time_of(task.strip_prefix("/proc")?.to_str().unwrap_or_default())?;
        }
    }
    Ok(sum)
}

/// The processor time of a thread (Linux, proc(5): `schedstat` begins with nanoseconds).
fn time_of(thread: &str) -> anyhow::Result<Duration> {
    let text = fs::read_to_string(format!("/proc/{thread}/schedstat"))?;
    Ok(Duration::from_nanos(text.split(' ').next().unwrap_or_default().parse()?))
}
