//! The two file formats: records of pcap, blocks of pcapng, read through one bounded buffer.
//!
//! The one invariant: never more than one record is asked for, and never more than [`LARGEST_RECORD`] bytes are held;
//! a record is handed out whole or not at all. Sources: draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng. What is inside
//! a block is pcap-parser's work; times are ours, because there a resolution in powers of two, an offset in a big-endian
//! section and seconds beyond 32 bits get lost.

use super::CaptureError;
use crate::units::Timestamp;
use pcap_parser::pcapng::{EnhancedPacketBlock, InterfaceDescriptionBlock};
use pcap_parser::traits::PcapNGPacketBlock;
use pcap_parser::{OptionCode, parse_pcap_frame, parse_pcap_frame_be, parse_pcap_frame_modified, parse_pcap_header};
use pcap_parser::{pcapng, pcapng::SimplePacketBlock};
use std::io::{ErrorKind, Read};

/// Read at once: what is copied here should still be near the processor when it is parsed.
const BUFFER: usize = 64 << 10;
/// The largest record we believe, bytes: four times the largest snapshot length of libpcap.
const LARGEST_RECORD: usize = 1 << 20;
/// The most interfaces a section may describe.
const MOST_INTERFACES: usize = 4096;

/// An open file, pipe or whatever else can be read.
pub(super) struct File<R> {
    name: Box<str>,
    input: R,
    buffer: Vec<u8>,
    /// What is read and not yet handed out.
    start: usize,
    end: usize,
    /// The offset of `start` in the file.
    at: u64,
    format: Format,
}

enum Format {
    Unknown,
    Pcap { order: Order, nanoseconds: bool, link: u32 },
    Ng { big_endian: bool, interfaces: Vec<Interface> },
}

/// How the header of a pcap record is written; the last is the variant of magic 0xa1b2cd34 with 24 bytes.
#[derive(Clone, Copy)]
enum Order {
    Little,
    Big,
    Modified,
}

#[derive(Clone, Copy)]
struct Interface {
    link: u32,
    units_per_second: Option<u128>,
    offset_seconds: i64,
}

/// What comes next in a file.
pub(super) enum Next<'a> {
    Packet(Record<'a>),
    /// A block of pcapng that holds no packet.
    Other,
    End,
    /// The file ends within a record.
    CutOff,
}

/// One captured packet.
pub(super) struct Record<'a> {
    pub link: u32,
    pub interface: u32,
    /// `None` for a simple packet block, or where the resolution is beyond any clock.
    pub captured_at: Option<Timestamp>,
    pub data: &'a [u8],
    /// Bytes of the whole record in the file.
    pub length: u64,
}

impl<R: Read> File<R> {
    pub(super) fn new(name: &str, input: R) -> Self {
        Self { name: name.into(), input, buffer: vec![0; BUFFER], start: 0, end: 0, at: 0, format: Format::Unknown }
    }

    /// The offset of the first byte not yet handed out.
    pub(super) const fn position(&self) -> u64 {
        self.at
    }

    pub(super) fn next(&mut self) -> Result<Next<'_>, CaptureError> {
        if matches!(self.format, Format::Unknown) && !self.open()? {
            return Ok(Next::CutOff);
        }
        match self.format {
            Format::Pcap { order, nanoseconds, link } => self.next_record(order, nanoseconds, link),
            Format::Unknown | Format::Ng { .. } => self.next_block(),
        }
    }

    /// Reads the first bytes to know the format; `false` if the file ends within its header.
    fn open(&mut self) -> Result<bool, CaptureError> {
        let known = self.fill(4)?.and_then(|magic| magic.first_chunk().copied());
        match known.map(u32::from_le_bytes) {
            Some(pcapng::SHB_MAGIC) => {
                self.format = Format::Ng { big_endian: false, interfaces: Vec::new() };
                Ok(true)
            }
            Some(magic) if is_known(magic) => {
                let Some(bytes) = self.fill(24)? else { return Ok(false) };
                let Ok((_, header)) = parse_pcap_header(bytes) else { return Err(self.garbage("a pcap header")) };
                let order = match (header.is_modified_format(), header.is_bigendian()) {
                    (true, _) => Order::Modified,
                    (false, true) => Order::Big,
                    (false, false) => Order::Little,
                };
                // The upper bits tell the length of a frame check sequence.
                let link = header.network.0.cast_unsigned() & 0x03ff_ffff;
                self.format = Format::Pcap { order, nanoseconds: header.is_nanosecond_precision(), link };
                self.consume(24);
                Ok(true)
            }
            _ => Err(CaptureError::NotACapture { name: self.name.clone() }),
        }
    }

    fn next_record(&mut self, order: Order, nanoseconds: bool, link: u32) -> Result<Next<'_>, CaptureError> {
        let header = if matches!(order, Order::Modified) { 24 } else { 16 };
        let Some(bytes) = self.fill(header)? else { return Ok(self.ended()) };
        let length: [u8; 4] = [bytes[8], bytes[9], bytes[10], bytes[11]];
        let length = if matches!(order, Order::Big) { u32::from_be_bytes(length) } else { u32::from_le_bytes(length) } as usize;
        if length > LARGEST_RECORD {
            return Err(self.garbage("a packet of at most 1 MiB"));
        }
        if self.fill(header + length)?.is_none() {
            return Ok(Next::CutOff);
        }
        let bytes = self.consume(header + length);
        let parsed = match order {
            Order::Little => parse_pcap_frame(bytes),
            Order::Big => parse_pcap_frame_be(bytes),
            Order::Modified => parse_pcap_frame_modified(bytes),
        };
        let Ok((_, packet)) = parsed else { return Ok(Next::CutOff) };
        let micros = if nanoseconds { packet.ts_usec / 1000 } else { packet.ts_usec };
        let captured_at = Some(Timestamp::from_parts(packet.ts_sec, micros));
        Ok(Next::Packet(Record { link, interface: 0, captured_at, data: packet.data, length: bytes.len() as u64 }))
    }

    fn next_block(&mut self) -> Result<Next<'_>, CaptureError> {
        let Some(&[a, b, c, d, e, f, g, h, i, j, k, l]) = self.fill(12)?.and_then(|bytes| bytes.first_chunk()) else {
            return Ok(self.ended());
        };
        let section = u32::from_le_bytes([a, b, c, d]) == pcapng::SHB_MAGIC;
        if section {
            let big_endian = match [i, j, k, l] {
                [0x1a, 0x2b, 0x3c, 0x4d] => true,
                [0x4d, 0x3c, 0x2b, 0x1a] => false,
                _ => return Err(self.garbage("the byte-order magic of a section")),
            };
            self.format = Format::Ng { big_endian, interfaces: Vec::new() };
        }
        let Format::Ng { big_endian, ref interfaces } = self.format else { return Ok(Next::End) };
        let word = |bytes: [u8; 4]| if big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) };
        let (kind, length) = (word([a, b, c, d]), word([e, f, g, h]) as usize);
        let read = matches!(kind, pcapng::IDB_MAGIC | pcapng::EPB_MAGIC | pcapng::SPB_MAGIC);
        if length < 12 || !length.is_multiple_of(4) || (read && length > LARGEST_RECORD) {
            return Err(self.garbage("a pcapng block with a length between 12 bytes and 1 MiB"));
        }
        if kind == pcapng::IDB_MAGIC && interfaces.len() == MOST_INTERFACES {
            return Err(self.garbage("at most 4096 interfaces in a section"));
        }
        if section || !read {
            return Ok(if self.skip(length)? { Next::Other } else { Next::CutOff });
        }
        let Some(bytes) = self.fill(length)? else { return Ok(Next::CutOff) };
        if word([bytes[length - 4], bytes[length - 3], bytes[length - 2], bytes[length - 1]]) as usize != length {
            return Err(self.garbage("a pcapng block that ends with its length"));
        }
        self.read_block(kind, length, big_endian)
    }

    /// Reads a block that is whole in the buffer.
    fn read_block(&mut self, kind: u32, length: usize, big_endian: bool) -> Result<Next<'_>, CaptureError> {
        let Format::Ng { interfaces, .. } = &mut self.format else { return Ok(Next::End) };
        let bytes = &self.buffer[self.start..self.start + length];
        let found = match kind {
            pcapng::IDB_MAGIC => interface(bytes, big_endian).map(|found| {
                interfaces.push(found);
                None
            }),
            pcapng::EPB_MAGIC => enhanced(bytes, big_endian).map(|(id, units, data)| {
                let from = interfaces.get(id as usize);
                let captured_at = from.and_then(|from| from.time(units));
                Some((from.map(|from| from.link), id, captured_at, data))
            }),
            _ => simple(bytes, big_endian).map(|data| Some((interfaces.first().map(|from| from.link), 0, None, data))),
        };
        let Some(found) = found else { return Err(self.garbage("a pcapng block whose parts fit its length")) };
        self.start += length;
        self.at += length as u64;
        Ok(match found {
            None => Next::Other,
            Some((link, interface, captured_at, data)) => Next::Packet(Record {
                // A packet of an interface that was not described has no link type and no time.
                link: link.unwrap_or(u32::MAX),
                interface,
                captured_at,
                data,
                length: length as u64,
            }),
        })
    }

    /// At least so many bytes, and all else that is buffered; `None` if the file ends before.
    fn fill(&mut self, wanted: usize) -> Result<Option<&[u8]>, CaptureError> {
        if self.end - self.start < wanted {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            if self.buffer.len() < wanted {
                self.buffer.resize(wanted, 0);
            }
        }
        while self.end - self.start < wanted {
            match self.input.read(&mut self.buffer[self.end..]) {
                Ok(0) => return Ok(None),
                Ok(count) => self.end += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(source) => return Err(CaptureError::Read { name: self.name.clone(), offset: self.at, source }),
            }
        }
        Ok(Some(&self.buffer[self.start..self.end]))
    }

    fn consume(&mut self, count: usize) -> &[u8] {
        let bytes = &self.buffer[self.start..self.start + count];
        self.start += count;
        self.at += count as u64;
        bytes
    }

    /// Passes over bytes without holding them; `false` if the file ends before.
    fn skip(&mut self, mut count: usize) -> Result<bool, CaptureError> {
        while count > 0 {
            let part = count.min(BUFFER);
            if self.fill(part)?.is_none() {
                return Ok(false);
            }
            self.consume(part);
            count -= part;
        }
        Ok(true)
    }

    const fn ended(&self) -> Next<'static> {
        if self.end == self.start { Next::End } else { Next::CutOff }
    }

    fn garbage(&self, expected: &'static str) -> CaptureError {
        CaptureError::Garbage { name: self.name.clone(), offset: self.at, expected }
    }
}

/// The first four bytes of pcapng, or of pcap in any byte order and resolution.
pub(super) const fn is_known(magic: u32) -> bool {
    matches!(magic, pcapng::SHB_MAGIC | 0xa1b2_c3d4 | 0xa1b2_3c4d | 0xa1b2_cd34 | 0xd4c3_b2a1 | 0x4d3c_b2a1)
}

impl Interface {
    fn time(&self, units: u64) -> Option<Timestamp> {
        let micros = i64::try_from(u128::from(units) * 1_000_000 / self.units_per_second?).ok()?;
        Some(Timestamp::from_micros(micros.checked_add(self.offset_seconds.checked_mul(1_000_000)?)?))
    }
}

fn interface(bytes: &[u8], big_endian: bool) -> Option<Interface> {
    let parse = if big_endian { pcapng::parse_interfacedescriptionblock_be } else { pcapng::parse_interfacedescriptionblock_le };
    let (_, block): (_, InterfaceDescriptionBlock<'_>) = parse(bytes).ok()?;
    let option = |code| block.options.iter().find(|option| option.code == code).and_then(|option| option.as_bytes().ok());
    let resolution = option(OptionCode::IfTsresol).and_then(|value| value.first().copied()).unwrap_or(6);
    let base = if resolution & 0x80 == 0 { 10_u128 } else { 2 };
    let offset = option(OptionCode::IfTsoffset).and_then(|value| value.first_chunk().copied());
    Some(Interface {
        link: block.linktype.0.cast_unsigned(),
        units_per_second: base.checked_pow(u32::from(resolution & 0x7f)),
        offset_seconds: offset.map_or(0, |value| if big_endian { i64::from_be_bytes(value) } else { i64::from_le_bytes(value) }),
    })
}

/// The interface, the time in its units, and the packet.
fn enhanced(bytes: &[u8], big_endian: bool) -> Option<(u32, u64, &[u8])> {
    let parse = if big_endian { pcapng::parse_enhancedpacketblock_be } else { pcapng::parse_enhancedpacketblock_le };
    let (_, block): (_, EnhancedPacketBlock<'_>) = parse(bytes).ok()?;
    let data = block.data.get(..block.caplen as usize)?;
    Some((block.if_id, u64::from(block.ts_high) << 32 | u64::from(block.ts_low), data))
}

fn simple(bytes: &[u8], big_endian: bool) -> Option<&[u8]> {
    let parse = if big_endian { pcapng::parse_simplepacketblock_be } else { pcapng::parse_simplepacketblock_le };
    let (_, block): (_, SimplePacketBlock<'_>) = parse(bytes).ok()?;
    let length = block.packet_data().len();
    block.data.get(..length)
}
