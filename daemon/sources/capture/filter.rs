//! Which packets the kernel shows us at all: a program of the classic BSD packet filter (BPF), which it checks and runs.
//!
//! The one invariant: no packet that may belong to SIP on our ports is left out: fragments behind the first, which have no
//! ports, pass, and so do IPv6 packets with headers between. All else never costs us anything.

/// An instruction: `struct sock_filter` of Linux (`linux/filter.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Instruction {
    pub code: u16,
    pub jump_true: u8,
    pub jump_false: u8,
    pub value: u32,
}

/// What packets begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layer {
    /// Ethernet, of which the kernel took the outer VLAN tag away.
    Ethernet,
    /// Ethernet on the loopback interface, which shows each packet twice: as it goes out, and as it comes in.
    Loopback,
    /// IP itself (tunnels, PPP).
    Raw,
}

/// Most ports that a filter may have: jumps and programs have bounds.
pub(super) const MOST_PORTS: usize = 32;

// Opcodes (`linux/bpf_common.h`).
const LOAD_HALF: u16 = 0x28;
const LOAD_BYTE: u16 = 0x30;
const LOAD_HALF_AT_X: u16 = 0x48;
/// Four times the low half of a byte: the length of an IPv4 header.
const LOAD_X_HEADER: u16 = 0xb1;
const JUMP: u16 = 0x05;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_ANY_BIT: u16 = 0x45;
const RIGHT: u16 = 0x74;
const RETURN: u16 = 0x06;
/// Where the kernel answers what kind of packet it is (`SKF_AD_OFF` + `SKF_AD_PKTTYPE`), and its word for outgoing ones.
const KIND_OF_PACKET: u32 = 0xffff_f004;
const OUTGOING: u32 = 4;
/// More than any packet has.
const WHOLE: u32 = 262_144;

/// The program for these ports.
pub(super) fn program(layer: Layer, ports: &[u16]) -> Vec<Instruction> {
    let mut made = Assembler::default();
    if layer == Layer::Loopback {
        made.load(LOAD_BYTE, KIND_OF_PACKET);
        made.go_if(JUMP_EQUAL, OUTGOING, Label::Drop);
    }
    let places: &[u32] = match layer {
        Layer::Raw => {
            made.load(LOAD_BYTE, 0);
            made.load(RIGHT, 4);
            made.go_if(JUMP_EQUAL, 4, Label::Four(0));
            made.go_if(JUMP_EQUAL, 6, Label::Six(0));
            made.go(Label::Drop);
            &[0]
        }
        Layer::Ethernet | Layer::Loopback => {
            for at in [12, 16, 20] {
                made.here(Label::Kind(at));
                made.load(LOAD_HALF, at);
                made.go_if(JUMP_EQUAL, 0x0800, Label::Four(at + 2));
                made.go_if(JUMP_EQUAL, 0x86dd, Label::Six(at + 2));
                // IEEE 802.1Q and 802.1ad, and what was used before.
                for tag in [0x8100, 0x88a8, 0x9100] {
                    made.go_if(JUMP_EQUAL, tag, if at < 20 { Label::Kind(at + 4) } else { Label::Drop });
                }
                made.go(Label::Drop);
            }
            &[14, 18, 22]
        }
    };
    for ip in places {
        four(&mut made, *ip, ports);
        six(&mut made, *ip, ports);
    }
    made.here(Label::Take);
    made.load(RETURN, WHOLE);
    made.here(Label::Drop);
    made.load(RETURN, 0);
    made.finish()
}

/// IPv4 that begins at `ip`.
fn four(made: &mut Assembler, ip: u32, ports: &[u16]) {
    made.here(Label::Four(ip));
    made.load(LOAD_BYTE, ip + 9);
    made.go_if(JUMP_EQUAL, 17, Label::FourPorts(ip));
    made.go_if(JUMP_EQUAL, 6, Label::FourPorts(ip));
    made.go(Label::Drop);
    made.here(Label::FourPorts(ip));
    made.load(LOAD_HALF, ip + 6);
    made.go_if(JUMP_ANY_BIT, 0x1fff, Label::Take);
    made.load(LOAD_X_HEADER, ip);
    for place in [ip, ip + 2] {
        made.load(LOAD_HALF_AT_X, place);
        made.ports(ports);
    }
    made.go(Label::Drop);
}

/// IPv6 that begins at `ip`.
fn six(made: &mut Assembler, ip: u32, ports: &[u16]) {
    made.here(Label::Six(ip));
    made.load(LOAD_BYTE, ip + 6);
    made.go_if(JUMP_EQUAL, 17, Label::SixPorts(ip));
    made.go_if(JUMP_EQUAL, 6, Label::SixPorts(ip));
    made.go_if(JUMP_EQUAL, 44, Label::SixPiece(ip));
    // Hop-by-hop options, routing, destination options: rare, and of any length.
    for header in [0, 43, 60] {
        made.go_if(JUMP_EQUAL, header, Label::Take);
    }
    made.go(Label::Drop);
    made.here(Label::SixPorts(ip));
    for place in [ip + 40, ip + 42] {
        made.load(LOAD_HALF, place);
        made.ports(ports);
    }
    made.go(Label::Drop);
    made.here(Label::SixPiece(ip));
    made.load(LOAD_HALF, ip + 42);
    made.go_if(JUMP_ANY_BIT, 0xfff8, Label::Take);
    for place in [ip + 48, ip + 50] {
        made.load(LOAD_HALF, place);
        made.ports(ports);
    }
    made.go(Label::Drop);
}

/// Places in a program. Jumps lead forward only, as the kernel demands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Label {
    Kind(u32),
    Four(u32),
    FourPorts(u32),
    Six(u32),
    SixPorts(u32),
    SixPiece(u32),
    Take,
    Drop,
}

#[derive(Default)]
struct Assembler {
    made: Vec<Instruction>,
    /// Jumps whose distance is not known yet.
    jumps: Vec<(usize, Label)>,
    labels: Vec<(Label, usize)>,
}

impl Assembler {
    fn here(&mut self, label: Label) {
        self.labels.push((label, self.made.len()));
    }

    fn load(&mut self, code: u16, value: u32) {
        self.made.push(Instruction { code, jump_true: 0, jump_false: 0, value });
    }

    fn go(&mut self, to: Label) {
        self.jumps.push((self.made.len(), to));
        self.load(JUMP, 0);
    }

    /// Goes on behind the jump where the test fails: a far jump has 32 bits, one of a test only eight.
    fn go_if(&mut self, code: u16, value: u32, to: Label) {
        self.made.push(Instruction { code, jump_true: 0, jump_false: 1, value });
        self.go(to);
    }

    fn ports(&mut self, ports: &[u16]) {
        for port in ports.iter().take(MOST_PORTS) {
            self.go_if(JUMP_EQUAL, u32::from(*port), Label::Take);
        }
    }

    fn finish(mut self) -> Vec<Instruction> {
        for (from, to) in self.jumps {
            let place = self.labels.iter().find(|(label, _)| *label == to).map(|(_, place)| *place);
            let distance = place.and_then(|place| u32::try_from(place.checked_sub(from + 1)?).ok());
            self.made[from].value = distance.expect("each label stands once, behind all that jump there");
        }
        self.made
    }
}

#[cfg(test)]
mod tests;
