//! How fast captures are walked: recorded packets, repeated to half a million, read from a file.
//!
//! `cargo bench --bench walk [FILE…]` prints packets per second, the best of several walks, for the recordings' link
//! types and for HEP, or for the captures named.

use std::fs::{self, File};
use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;
use taktd::sources::pcap::{Capture, Progress};

const PACKETS: usize = 500_000;
const WALKS: usize = 7;

fn main() -> anyhow::Result<()> {
    let named: Vec<PathBuf> = std::env::args_os().skip(1).filter(|argument| argument != "--bench").map(Into::into).collect();
    for path in &named {
        walk(path)?;
    }
    if named.is_empty() {
        let folder = tempfile::tempdir()?;
        for name in ["sip.pcap", "sip-any.pcap", "hep.pcap"] {
            let recording = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings/asterisk-16").join(name))?;
            walk(&repeat(&recording, &folder.path().join(name))?)?;
        }
    }
    Ok(())
}

/// Writes the packets of a capture again and again.
fn repeat(recording: &[u8], path: &Path) -> anyhow::Result<PathBuf> {
    let mut packets = 0;
    let mut capture = Capture::new("recording", recording);
    while capture.advance(1, |_| ControlFlow::Continue(()))? == Progress::More {
        packets += 1;
    }
    let mut file = File::create(path)?;
    file.write_all(&recording[..24])?;
    for _ in 0..PACKETS / packets {
        file.write_all(&recording[24..])?;
    }
    Ok(path.to_owned())
}

fn walk(path: &Path) -> anyhow::Result<()> {
    let name = path.display().to_string();
    let mut best = f64::INFINITY;
    let mut counters = None;
    for _ in 0..WALKS {
        let begun = Instant::now();
        let mut capture = Capture::new(&name, File::open(path)?);
        let mut bytes = 0;
        capture.advance(u64::MAX, |packet| {
            let taktd::units::Observation::Sip(message) = packet.observation;
            bytes += message.payload.len();
            ControlFlow::Continue(())
        })?;
        std::hint::black_box(bytes);
        best = best.min(begun.elapsed().as_secs_f64());
        counters = Some(*capture.counters());
    }
    let counters = counters.expect("walked at least once");
    let (packets, bytes) = (counters.packets as f64, fs::metadata(path)?.len() as f64);
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    println!(
        "{file}: {} packets of {:.0} bytes, {} messages: {best:.3} s, {:.2} M packets/s, {:.2} GB/s",
        counters.packets,
        bytes / packets,
        counters.delivered,
        packets / best / 1e6,
        bytes / best / 1e9,
    );
    Ok(())
}
