//! The file formats: byte orders, clocks, interfaces, ends, garbage, pipes.

use super::build::{Ng, SIP, ethernet, ipv4, pcap, sll, udp};
use super::{read_all, recording};
use crate::sources::SetAside;
use crate::sources::pcap::{Progress, is_capture};
use proptest::prelude::*;
use std::io::{self, Read};

#[test]
fn every_byte_order_and_resolution_tells_the_same_time() {
    let packet = ethernet(0x0800, &ipv4(&udp(SIP)));
    let record = |big: bool, magic: u32, fraction: u32, extra: usize| {
        let word = |value: u32| if big { value.to_be_bytes() } else { value.to_le_bytes() };
        let half = |value: u16| if big { value.to_be_bytes() } else { value.to_le_bytes() };
        let length = u32::try_from(packet.len()).unwrap();
        let header = [word(magic).as_slice(), &half(2), &half(4), &word(0), &word(0), &word(65_535), &word(1 | 0xf400_0000)].concat();
        [header, [word(1_767_225_600), word(fraction), word(length), word(length)].concat(), vec![0; extra], packet.clone()].concat()
    };
    for (big, magic, fraction, extra) in [
        (false, 0xa1b2_c3d4, 250_001, 0),
        (true, 0xa1b2_c3d4, 250_001, 0),
        (false, 0xa1b2_3c4d, 250_001_999, 0),
        (true, 0xa1b2_3c4d, 250_001_999, 0),
        (false, 0xa1b2_cd34, 250_001, 8),
    ] {
        let file = record(big, magic, fraction, extra);
        assert!(is_capture(&file) && is_capture(&file[..4]) && !is_capture(&file[..3]) && !is_capture(&file[1..]));
        let whole = read_all(file.as_slice());
        assert_eq!(whole.messages.iter().map(|found| found.1).collect::<Vec<_>>(), [1_767_225_600_250_001], "{magic:x} {big}");
    }
}

#[test]
fn pcapng_interfaces_have_their_own_link_type_and_clock() {
    let ip = ipv4(&udp(SIP));
    for big_endian in [false, true] {
        let mut file = Ng::new(big_endian);
        file.section();
        file.interface(1, None, None);
        file.interface(101, Some(9), None);
        file.interface(113, Some(0x80 | 20), Some(-3600));
        file.block(5, &[0; 12]);
        file.packet(0, 1_767_225_600_250_000, &ethernet(0x0800, &ip));
        file.packet(1, 1_767_225_600_250_000_999, &ip);
        file.packet(2, (1_767_229_200 << 20) + (1 << 18), &sll(0x0800, &ip));
        file.packet(3, 0, &ip);
        let framed = ethernet(0x0800, &ip);
        file.block(3, &[file.word(u32::try_from(framed.len()).unwrap()).as_slice(), &framed].concat());
        file.section();
        file.interface(101, Some(3), None);
        file.packet(0, 1_767_225_600_250, &ip);
        assert!(is_capture(&file.bytes));
        let whole = read_all(file.bytes.as_slice());
        assert!(matches!(whole.end, Ok(Progress::Complete)), "{:?}", whole.end);
        let times: Vec<_> = whole.messages.iter().map(|found| (found.0, found.1)).collect();
        assert_eq!(times, [1, 2, 3, 6].map(|ordinal| (ordinal, 1_767_225_600_250_000)));
        let aside: Vec<_> = whole.counters.set_aside.iter().collect();
        assert_eq!(aside, [(SetAside::LinkType, 1), (SetAside::Undated, 1), (SetAside::OtherBlock, 7)]);
    }
}

#[test]
fn a_file_that_ends_within_a_record_says_so() {
    let packets = vec![ethernet(0x0800, &ipv4(&udp(SIP))); 3];
    let file = pcap(1, &packets);
    let record = 16 + packets[0].len();
    for end in [24 + 2 * record + 1, 24 + 2 * record + 15, file.len() - 1] {
        let whole = read_all(&file[..end]);
        assert_eq!(whole.messages.len(), 2);
        assert_eq!(whole.end.unwrap(), Progress::CutOff { offset: 24 + 2 * record as u64 });
    }
    assert_eq!(read_all(&file[..10]).end.unwrap(), Progress::CutOff { offset: 0 });
    assert_eq!(read_all(&file[..24]).end.unwrap(), Progress::Complete);
    let mut ng = Ng::new(false);
    ng.section();
    ng.interface(1, None, None);
    let begin = ng.bytes.len();
    ng.packet(0, 1, &packets[0]);
    for end in [begin + 3, begin + 12, ng.bytes.len() - 1] {
        assert_eq!(read_all(&ng.bytes[..end]).end.unwrap(), Progress::CutOff { offset: begin as u64 });
    }
}

#[test]
fn garbage_is_named_with_its_place() {
    let says = |bytes: &[u8]| read_all(bytes).end.unwrap_err().to_string();
    assert_eq!(says(b""), "test.pcap: found no capture, expected pcap or pcapng");
    assert_eq!(says(b"\"\",\"123\",\"456\""), "test.pcap: found no capture, expected pcap or pcapng");
    let packet = ethernet(0x0800, &ipv4(&udp(SIP)));
    let file = [pcap(1, std::slice::from_ref(&packet)), b"this is no packet, this is text".to_vec()].concat();
    let place = 24 + 16 + packet.len();
    assert_eq!(says(&file), format!("test.pcap: byte {place}: found garbage, expected a packet of at most 1 MiB"));
    let mut ng = Ng::new(false);
    ng.section();
    let place = ng.bytes.len();
    ng.bytes.extend_from_slice(&[6, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0]);
    assert!(says(&ng.bytes).starts_with(&format!("test.pcap: byte {place}: found garbage, expected a pcapng block")));
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is gone"))
        }
    }
    let error = read_all(pcap(1, &[packet]).as_slice().chain(Broken)).end.unwrap_err();
    assert!(error.to_string().ends_with("cannot be read: the disk is gone"));
}

/// A pipe that gives what it has, a few bytes at a time.
struct Drip<'a>(&'a [u8], usize);

impl Read for Drip<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.1 = self.1 % 97 + 1;
        let count = self.1.min(self.0.len()).min(buffer.len());
        buffer[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}

#[test]
fn a_slow_pipe_reads_like_a_file() {
    let file = recording("asterisk-16/sip.pcap");
    assert_eq!(read_all(Drip(&file, 0)).messages, read_all(file.as_slice()).messages);
    let large = pcap(1, &vec![ethernet(0x0800, &ipv4(&udp(SIP))); 20_000]);
    assert_eq!(read_all(Drip(&large, 0)).messages.len(), 20_000);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_pcapng_is_survived(
        big_endian in any::<bool>(),
        blocks in proptest::collection::vec((0u32..8, proptest::collection::vec(any::<u8>(), 0..80)), 0..20),
        tail in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut file = Ng::new(big_endian);
        file.section();
        for (kind, body) in &blocks {
            file.block(*kind, body);
        }
        file.bytes.extend_from_slice(&tail);
        read_all(file.bytes.as_slice());
    }
}
