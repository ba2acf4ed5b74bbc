//! Messages onto the wire: pcap records of Ethernet, IPv4 and UDP; HEPv3 frames as Asterisk builds them.
//!
//! The one invariant: records are written in the order of their times, and what is too long for an Ethernet is fragmented.

use anyhow::{Context as _, Result};
use std::fmt;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::ops::Range;

/// The largest IP payload that an Ethernet carries in one piece (a multiple of 8).
const PIECE: usize = 1480;
/// Where the PBX's HEP module sends from and to.
const AGENT: Peer = Peer { ip: [10, 20, 0, 5], port: 40_000 };
const SERVER: Peer = Peer { ip: [10, 20, 0, 9], port: 9060 };
/// A copy leaves the PBX this long after the message, microseconds.
const COPY_AFTER: i64 = 150;

/// An address.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    pub ip: [u8; 4],
    pub port: u16,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d] = self.ip;
        write!(f, "{a}.{b}.{c}.{d}")
    }
}

/// A message on its way.
pub struct Sent {
    /// Microseconds since 1970.
    pub at: i64,
    /// Messages of one instant keep the order they were made in.
    pub order: u64,
    pub from: Peer,
    pub to: Peer,
    pub text: Vec<u8>,
    /// Where the Call-ID stands in it.
    pub call_id: Range<usize>,
}

/// A pcap file.
pub struct Pcap {
    file: BufWriter<File>,
    ident: u16,
    scratch: Vec<u8>,
    pub packets: u64,
    pub bytes: u64,
}

impl Pcap {
    pub fn create(path: &str) -> Result<Self> {
        let mut file = BufWriter::with_capacity(1 << 20, File::create(path).with_context(|| format!("{path}: cannot be created"))?);
        for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 262_144, 1] {
            file.write_all(&word.to_le_bytes())?;
        }
        Ok(Self { file, ident: 0, scratch: Vec::new(), packets: 0, bytes: 24 })
    }

    /// The message as a mirror port shows it.
    pub fn sip(&mut self, sent: &Sent) -> Result<()> {
        self.datagram(sent.at, sent.from, sent.to, &[&sent.text])
    }

    /// The copy of it that the PBX sends. Asterisk stamps what it received in milliseconds.
    pub fn hep(&mut self, sent: &Sent, received: bool, exact: bool) -> Result<()> {
        let stamp = if received && !exact { sent.at - sent.at % 1000 } else { sent.at };
        let mut head = std::mem::take(&mut self.scratch);
        head.clear();
        head.extend_from_slice(b"HEP3\0\0");
        let mut chunk = |kind: u8, value: &[u8]| {
            head.extend_from_slice(&[0, 0, 0, kind]);
            head.extend_from_slice(&((value.len() + 6) as u16).to_be_bytes());
            head.extend_from_slice(value);
        };
        chunk(0x01, &[2]);
        chunk(0x02, &[17]);
        chunk(0x07, &sent.from.port.to_be_bytes());
        chunk(0x08, &sent.to.port.to_be_bytes());
        chunk(0x09, &((stamp / 1_000_000) as u32).to_be_bytes());
        chunk(0x0a, &((stamp % 1_000_000) as u32).to_be_bytes());
        chunk(0x0b, &[1]);
        chunk(0x0c, &4711_u32.to_be_bytes());
        chunk(0x03, &sent.from.ip);
        chunk(0x04, &sent.to.ip);
        chunk(0x0e, b"lab-hep");
        chunk(0x11, &sent.text[sent.call_id.clone()]);
        head.extend_from_slice(&[0, 0, 0, 0x0f]);
        head.extend_from_slice(&((sent.text.len() + 6) as u16).to_be_bytes());
        let length = (head.len() + sent.text.len()) as u16;
        head[4..6].copy_from_slice(&length.to_be_bytes());
        let written = self.datagram(sent.at + COPY_AFTER, AGENT, SERVER, &[&head, &sent.text]);
        self.scratch = head;
        written
    }

    pub fn finish(mut self) -> Result<(u64, u64)> {
        self.file.flush()?;
        Ok((self.packets, self.bytes))
    }

    fn datagram(&mut self, at: i64, from: Peer, to: Peer, payload: &[&[u8]]) -> Result<()> {
        self.ident = self.ident.wrapping_add(1);
        let length = 8 + payload.iter().map(|part| part.len()).sum::<usize>();
        let mut head = [0; 8];
        head[..2].copy_from_slice(&from.port.to_be_bytes());
        head[2..4].copy_from_slice(&to.port.to_be_bytes());
        head[4..6].copy_from_slice(&(length as u16).to_be_bytes());
        if length <= PIECE {
            self.frame(at, from, to, 0x4000, length)?;
            self.file.write_all(&head)?;
            for part in payload {
                self.file.write_all(part)?;
            }
            return Ok(());
        }
        let whole = [&head, payload.concat().as_slice()].concat();
        for (number, piece) in whole.chunks(PIECE).enumerate() {
            let offset = number * PIECE;
            let more = if offset + piece.len() < whole.len() { 0x2000 } else { 0 };
            self.frame(at, from, to, more | (offset / 8) as u16, piece.len())?;
            self.file.write_all(piece)?;
        }
        Ok(())
    }

    /// Record header, Ethernet and IPv4 headers of a packet with so many bytes of payload.
    fn frame(&mut self, at: i64, from: Peer, to: Peer, fragment: u16, payload: usize) -> Result<()> {
        let mut head = [0_u8; 50];
        let total = 20 + payload;
        let captured = (14 + total) as u32;
        let words = [(at / 1_000_000) as u32, (at % 1_000_000) as u32, captured, captured];
        for (place, word) in words.into_iter().enumerate() {
            head[4 * place..4 * place + 4].copy_from_slice(&word.to_le_bytes());
        }
        head[16..24].copy_from_slice(&[2, 0, 0, 0, to.ip[2], to.ip[3], 2, 0]);
        head[24..30].copy_from_slice(&[0, 0, from.ip[2], from.ip[3], 8, 0]);
        let ip = &mut head[30..];
        ip[0] = 0x45;
        ip[2..4].copy_from_slice(&(total as u16).to_be_bytes());
        ip[4..6].copy_from_slice(&self.ident.to_be_bytes());
        ip[6..8].copy_from_slice(&fragment.to_be_bytes());
        ip[8..10].copy_from_slice(&[64, 17]);
        ip[12..16].copy_from_slice(&from.ip);
        ip[16..20].copy_from_slice(&to.ip);
        let sum: u32 = ip.chunks_exact(2).map(|two| u32::from(u16::from_be_bytes([two[0], two[1]]))).sum();
        let folded = (sum & 0xffff) + (sum >> 16);
        let folded = (folded & 0xffff) + (folded >> 16);
        ip[10..12].copy_from_slice(&(!(folded as u16)).to_be_bytes());
        self.file.write_all(&head)?;
        self.packets += 1;
        self.bytes += 16 + u64::from(captured);
        Ok(())
    }
}
