//! Captures: read at once and in small pieces, they hold the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::io::Read;
use std::ops::ControlFlow;
use taktd::sources::pcap::{Capture, Progress};
use taktd::units::Observation;

/// Hands out a few bytes at a time.
struct Slowly<'a>(&'a [u8], usize);

impl Read for Slowly<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.1 = self.1 % 13 + 1;
        let most = self.1.min(buffer.len());
        self.0.read(&mut buffer[..most])
    }
}

fn all(input: impl Read, at_most: u64) -> (Vec<(u64, bool, Vec<u8>)>, String) {
    let mut capture = Capture::new("fuzz", input);
    let mut found = Vec::new();
    loop {
        let progress = capture.advance(at_most, |packet| {
            let Observation::Sip(message) = packet.observation;
            found.push((packet.ordinal, packet.cut, message.payload.to_vec()));
            ControlFlow::Continue(())
        });
        match progress {
            Ok(Progress::More) => {}
            Ok(other) => return (found, format!("{other:?}")),
            Err(error) => return (found, error.to_string()),
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let whole = all(data, u64::MAX);
    assert!(whole == all(Slowly(data, 0), 3), "it depends on how it is read");
});
