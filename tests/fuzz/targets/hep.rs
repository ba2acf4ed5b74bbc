//! Datagrams to a HEP port: read with and without a key. With one, nothing counts that does not carry it; however they are
//! torn, no more comes out than went in, but for what was packed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use taktd::sources::hep::{Bare, Reader};
use taktd_fuzz::{address, noon, pieces};

/// What unpacking may make of a datagram.
const UNPACKED: usize = 65_535;

fuzz_target!(|data: &[u8]| {
    let way = (address(0), address(1));
    let mut open = [Reader::new(None, Bare::AsSent), Reader::new(None, Bare::Siptrace)];
    let mut closed = Reader::new(Some(b"lab-hep"), Bare::AsSent);
    for piece in pieces(data) {
        for reader in &mut open {
            let _ = reader.read(piece, way, noon, &mut |found| assert!(found.message.payload.len() <= UNPACKED + data.len()));
        }
        let has_key = piece.windows(7).any(|bytes| bytes == b"lab-hep");
        let _ = closed.read(piece, way, noon, &mut |_| assert!(has_key, "a frame without the key counts"));
    }
});
