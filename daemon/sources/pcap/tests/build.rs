//! Packets and captures, built byte by byte from the formats' own descriptions.

/// What our datagrams hold.
pub const SIP: &[u8] = b"OPTIONS sip:192.0.2.2 SIP/2.0\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n\r\n";
/// Who sends them.
pub const CLIENT: &str = "192.0.2.1:5060";
/// Who gets them.
const SERVER: [u8; 4] = [192, 0, 2, 2];

fn half(value: usize) -> [u8; 2] {
    u16::try_from(value).unwrap().to_be_bytes()
}

pub fn udp(payload: &[u8]) -> Vec<u8> {
    [half(5060), half(5060), half(8 + payload.len()), [0, 0]].concat().into_iter().chain(payload.iter().copied()).collect()
}

fn ipv4_with(flags: [u8; 2], protocol: u8, payload: &[u8]) -> Vec<u8> {
    let [high, low] = half(20 + payload.len());
    let header = [0x45, 0, high, low, 0x12, 0x34, flags[0], flags[1], 64, protocol, 0, 0, 192, 0, 2, 1];
    [header.as_slice(), &SERVER, payload].concat()
}

/// An IPv4 packet that must not be fragmented.
pub fn ipv4(payload: &[u8]) -> Vec<u8> {
    ipv4_with([0x40, 0], 17, payload)
}

/// An IPv4 packet that holds this protocol.
pub fn ipv4_of(protocol: u8, payload: &[u8]) -> Vec<u8> {
    ipv4_with([0x40, 0], protocol, payload)
}

/// What a TCP segment does beside carrying bytes.
pub const SYN: u8 = 0x02;
pub const FIN: u8 = 0x01;
pub const RST: u8 = 0x04;

/// A TCP segment with an option, from port 5060 to 5060.
pub fn tcp(sequence: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    let ports = [half(5060), half(5060)].concat();
    let rest = [0, 0, 0, 0, 0x60, 0x10 | flags, 0xff, 0xff, 0, 0, 0, 0, 1, 1, 1, 0];
    [ports.as_slice(), &sequence.to_be_bytes(), &rest, payload].concat()
}

/// GRE with these flags, sequence number and key left zero, and a type.
pub fn gre(flags: u16, kind: u16, payload: &[u8]) -> Vec<u8> {
    let fields = [0x8000, 0x2000, 0x1000].iter().filter(|flag| flags & **flag != 0).count();
    [flags.to_be_bytes().as_slice(), &kind.to_be_bytes(), &vec![0; 4 * fields], payload].concat()
}

/// A UDP datagram to this port.
pub fn udp_to(port: u16, payload: &[u8]) -> Vec<u8> {
    let mut datagram = udp(payload);
    datagram[2..4].copy_from_slice(&port.to_be_bytes());
    datagram
}

pub fn vxlan(frame: &[u8]) -> Vec<u8> {
    udp_to(4789, &[[8, 0, 0, 0, 0, 0, 42, 0].as_slice(), frame].concat())
}

/// A payload in pieces that begin at 0 and at these offsets.
fn cut<'a>(payload: &'a [u8], at: &[usize]) -> Vec<(usize, bool, &'a [u8])> {
    let begins = [&[0], at].concat();
    let ends = [at, &[payload.len()]].concat();
    begins.iter().zip(&ends).map(|(begin, end)| (*begin, *end < payload.len(), &payload[*begin..*end])).collect()
}

pub fn ipv4_pieces(payload: &[u8], at: &[usize]) -> Vec<Vec<u8>> {
    ipv4_pieces_of(17, payload, at)
}

/// The same of any protocol.
pub fn ipv4_pieces_of(protocol: u8, payload: &[u8], at: &[usize]) -> Vec<Vec<u8>> {
    let flags = |offset: usize, more: bool| half((offset / 8) + if more { 0x2000 } else { 0 });
    cut(payload, at).into_iter().map(|(offset, more, piece)| ipv4_with(flags(offset, more), protocol, piece)).collect()
}

/// An IPv6 packet with extension headers, the first of which has this number.
pub fn ipv6(extensions: &[u8], next: u8, payload: &[u8]) -> Vec<u8> {
    let [high, low] = half(extensions.len() + payload.len());
    let address = |last| [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last];
    [[0x60, 0, 0, 0, high, low, next, 64].as_slice(), &address(1), &address(2), extensions, payload].concat()
}

pub fn ipv6_pieces(payload: &[u8], at: &[usize]) -> Vec<Vec<u8>> {
    let header = |offset: usize, more: bool| [[17, 0], half(offset | usize::from(more)), [0, 0], [0x12, 0x34]].concat();
    cut(payload, at).into_iter().map(|(offset, more, piece)| ipv6(&header(offset, more), 44, piece)).collect()
}

pub fn ethernet(kind: u16, payload: &[u8]) -> Vec<u8> {
    [[2; 12].as_slice(), &kind.to_be_bytes(), payload].concat()
}

pub fn vlan(kind: u16, payload: &[u8]) -> Vec<u8> {
    [[0, 7].as_slice(), &kind.to_be_bytes(), payload].concat()
}

/// Linux cooked capture: packet type, hardware type, address, protocol.
pub fn sll(kind: u16, payload: &[u8]) -> Vec<u8> {
    [[0, 0, 0, 1, 0, 6, 2, 2, 2, 2, 2, 2, 0, 0].as_slice(), &kind.to_be_bytes(), payload].concat()
}

/// Its second version: protocol, reserved, interface, hardware type, packet type, address.
pub fn sll2(kind: u16, payload: &[u8]) -> Vec<u8> {
    [kind.to_be_bytes().as_slice(), &[0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 2, 2, 2, 2, 2, 2, 0, 0], payload].concat()
}

/// A pcap file, one packet a second.
pub fn pcap(link: u32, packets: &[Vec<u8>]) -> Vec<u8> {
    let header = [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, link];
    let mut file: Vec<u8> = header.into_iter().flat_map(u32::to_le_bytes).collect();
    for (second, packet) in (1_767_225_600_u32..).zip(packets) {
        let length = u32::try_from(packet.len()).unwrap();
        file.extend([second, 0, length, length].into_iter().flat_map(u32::to_le_bytes));
        file.extend_from_slice(packet);
    }
    file
}

/// A pcapng file in the making.
pub struct Ng {
    big_endian: bool,
    pub bytes: Vec<u8>,
}

impl Ng {
    pub fn new(big_endian: bool) -> Self {
        Self { big_endian, bytes: Vec::new() }
    }

    pub fn word(&self, value: u32) -> [u8; 4] {
        if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    fn half(&self, value: u16) -> [u8; 2] {
        if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    pub fn block(&mut self, kind: u32, body: &[u8]) {
        let padding = body.len().next_multiple_of(4) - body.len();
        let length = self.word(u32::try_from(12 + body.len() + padding).unwrap());
        let block = [self.word(kind).as_slice(), &length, body, &vec![0; padding], &length].concat();
        self.bytes.extend_from_slice(&block);
    }

    pub fn section(&mut self) {
        let body = [self.word(0x1a2b_3c4d).as_slice(), &self.half(1), &self.half(0), &[0xff; 8]].concat();
        self.block(0x0a0d_0d0a, &body);
    }

    pub fn interface(&mut self, link: u16, resolution: Option<u8>, offset_seconds: Option<i64>) {
        let mut body = [self.half(link).as_slice(), &self.half(0), &self.word(0)].concat();
        if let Some(resolution) = resolution {
            body.extend([self.half(9), self.half(1), [resolution, 0], [0, 0]].concat());
        }
        if let Some(offset) = offset_seconds {
            let offset = if self.big_endian { offset.to_be_bytes() } else { offset.to_le_bytes() };
            body.extend([self.half(14), self.half(8)].concat());
            body.extend(offset);
        }
        body.extend([0; 4]);
        self.block(1, &body);
    }

    pub fn packet(&mut self, interface: u32, units: u64, data: &[u8]) {
        let words = [interface, u32::try_from(units >> 32).unwrap(), u32::try_from(units & 0xffff_ffff).unwrap()];
        let length = u32::try_from(data.len()).unwrap();
        let mut body: Vec<u8> = words.into_iter().chain([length, length]).flat_map(|value| self.word(value)).collect();
        body.extend_from_slice(data);
        self.block(6, &body);
    }
}
