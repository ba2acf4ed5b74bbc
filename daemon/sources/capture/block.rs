//! The packets in a block of the ring, as the kernel lays them out (Linux, `linux/if_packet.h`).
//!
//! The one invariant: every offset and length is checked against the block before anything is read there.

use crate::units::Timestamp;

/// A packet as the kernel wrote it.
pub(super) struct Frame<'a> {
    pub at: Timestamp,
    pub data: &'a [u8],
}

/// Where in a block its status stands: behind the version and the offset of private data (`struct tpacket_block_desc`).
pub(super) const STATUS: usize = 8;
/// Where the number of packets stands, and where the first one begins.
const COUNT: usize = 12;
const FIRST: usize = 16;

/// Shows the packets of a block (`struct tpacket3_hdr`), as far as what it says of itself holds.
pub(super) fn show_all(block: &[u8], show: &mut impl FnMut(Frame<'_>)) {
    let word = |at: usize| block.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_ne_bytes);
    let place = |at: usize| word(at).and_then(|word| usize::try_from(word).ok());
    let (Some(count), Some(mut at)) = (word(COUNT), place(FIRST)) else { return };
    for _ in 0..count {
        // Next, seconds, nanoseconds, captured, length on the wire, status, and where the packet begins.
        let (Some(next), Some(seconds), Some(nanos), Some(captured)) = (place(at), word(at + 4), word(at + 8), place(at + 12)) else {
            return;
        };
        let Some(mac) = block.get(at + 24..at + 26).and_then(|bytes| bytes.try_into().ok()).map(u16::from_ne_bytes) else { return };
        let begin = at + usize::from(mac);
        let Some(data) = block.get(begin..begin.saturating_add(captured)) else { return };
        show(Frame { at: Timestamp::from_parts(seconds, nanos / 1_000), data });
        if next == 0 {
            return;
        }
        at = at.saturating_add(next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::offset_of;

    #[test]
    fn blocks_are_laid_out_as_the_kernel_has_them() {
        let header = offset_of!(libc::tpacket_block_desc, hdr);
        assert_eq!(header + offset_of!(libc::tpacket_hdr_v1, block_status), STATUS);
        assert_eq!(header + offset_of!(libc::tpacket_hdr_v1, num_pkts), COUNT);
        assert_eq!(header + offset_of!(libc::tpacket_hdr_v1, offset_to_first_pkt), FIRST);
        let places = [
            offset_of!(libc::tpacket3_hdr, tp_next_offset),
            offset_of!(libc::tpacket3_hdr, tp_sec),
            offset_of!(libc::tpacket3_hdr, tp_nsec),
            offset_of!(libc::tpacket3_hdr, tp_snaplen),
            offset_of!(libc::tpacket3_hdr, tp_mac),
        ];
        assert_eq!(places, [0, 4, 8, 12, 24]);
    }

    /// A block of two packets.
    fn block() -> Vec<u8> {
        let mut block = vec![0; 256];
        let mut put = |at: usize, word: u32| block[at..at + 4].copy_from_slice(&word.to_ne_bytes());
        put(COUNT, 2);
        put(FIRST, 48);
        for (at, next, length) in [(48, 80, 5), (128, 0, 3)] {
            put(at, next);
            put(at + 4, 7);
            put(at + 8, 250_000_999);
            put(at + 12, length);
            put(at + 24, 40);
        }
        block[88..93].copy_from_slice(b"first");
        block[168..171].copy_from_slice(b"two");
        block
    }

    fn shown(block: &[u8]) -> Vec<(i64, Vec<u8>)> {
        let mut shown = Vec::new();
        show_all(block, &mut |frame| shown.push((frame.at.micros(), frame.data.to_vec())));
        shown
    }

    #[test]
    fn packets_of_a_block_are_shown_in_order() {
        assert_eq!(shown(&block()), [(7_250_000, b"first".to_vec()), (7_250_000, b"two".to_vec())]);
    }

    #[test]
    fn a_block_that_lies_shows_no_byte_that_is_not_its_own() {
        for at in (12..160).step_by(4) {
            for lie in [u32::MAX, 200, 255, 256, 0x7fff_ffff] {
                let mut block = block();
                block[at..at + 4].copy_from_slice(&lie.to_ne_bytes());
                assert!(shown(&block).len() <= 256);
            }
        }
        for length in 0..block().len() {
            shown(&block()[..length]);
        }
    }
}
