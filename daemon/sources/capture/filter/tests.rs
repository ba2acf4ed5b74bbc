//! The filter, run by a machine of our own, over packets of every kind.

use super::*;
use proptest::prelude::*;

/// How many bytes the kernel would take of a packet: what it does with each instruction that we use.
fn run(program: &[Instruction], packet: &[u8], outgoing: bool) -> u32 {
    let (mut a, mut x, mut at) = (0_u32, 0_u32, 0_usize);
    let read = |place: u32, size: usize| -> Option<u32> {
        if place == KIND_OF_PACKET {
            return Some(if outgoing { OUTGOING } else { 0 });
        }
        let place = usize::try_from(place).unwrap();
        packet.get(place..place + size).map(|bytes| bytes.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte)))
    };
    loop {
        let Instruction { code, jump_true, jump_false, value } = program[at];
        at += 1;
        let loaded = match code {
            LOAD_BYTE => read(value, 1),
            LOAD_HALF => read(value, 2),
            LOAD_HALF_AT_X => read(value + x, 2),
            LOAD_X_HEADER => read(value, 1).map(|byte| {
                x = (byte & 0x0f) * 4;
                a
            }),
            RIGHT => Some(a >> value),
            JUMP => {
                at += usize::try_from(value).unwrap();
                Some(a)
            }
            JUMP_EQUAL | JUMP_ANY_BIT => {
                let is_true = if code == JUMP_EQUAL { a == value } else { a & value != 0 };
                at += usize::from(if is_true { jump_true } else { jump_false });
                Some(a)
            }
            RETURN => return value,
            other => panic!("no instruction: {other:#x}"),
        };
        // Beyond the end of a packet there is nothing to take.
        let Some(loaded) = loaded else { return 0 };
        a = loaded;
    }
}

fn ipv4(protocol: u8, words: u8, flags: u16, ports: (u16, u16)) -> Vec<u8> {
    let mut packet = vec![0; usize::from(words) * 4];
    packet[0] = 0x40 | words;
    packet[6..8].copy_from_slice(&flags.to_be_bytes());
    packet[9] = protocol;
    packet.extend([ports.0.to_be_bytes(), ports.1.to_be_bytes()].concat());
    packet.extend([0; 8]);
    packet
}

fn ipv6(next: u8, between: &[u8], ports: (u16, u16)) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0, 0, 0, next, 64];
    packet.extend([0; 32]);
    packet.extend_from_slice(between);
    packet.extend([ports.0.to_be_bytes(), ports.1.to_be_bytes()].concat());
    packet
}

fn ethernet(kind: u16, rest: &[u8]) -> Vec<u8> {
    [[2; 12].as_slice(), &kind.to_be_bytes(), rest].concat()
}

fn check(ip: &[u8], taken: bool) {
    let kind = if ip[0] >> 4 == 4 { 0x0800 } else { 0x86dd };
    let tagged = |ip: &[u8], tag: u16| [[0, 7].as_slice(), &tag.to_be_bytes(), ip].concat();
    let ports = [5060, 5070];
    let frames = [ethernet(kind, ip), ethernet(0x8100, &tagged(ip, kind)), ethernet(0x88a8, &tagged(&tagged(ip, kind), 0x8100))];
    for frame in &frames {
        assert_eq!(run(&program(Layer::Ethernet, &ports), frame, true) == WHOLE, taken, "{frame:?}");
        assert_eq!(run(&program(Layer::Loopback, &ports), frame, false) == WHOLE, taken, "{frame:?}");
        assert_eq!(run(&program(Layer::Loopback, &ports), frame, true), 0, "it is shown again as it comes in");
    }
    assert_eq!(run(&program(Layer::Raw, &ports), ip, false) == WHOLE, taken, "{ip:?}");
}

#[test]
fn sip_passes_and_all_else_does_not() {
    for protocol in [6, 17] {
        for ports in [(5060, 1), (1, 5060), (5070, 5070), (1, 5070)] {
            check(&ipv4(protocol, 5, 0x4000, ports), true);
            check(&ipv4(protocol, 15, 0, ports), true);
            // The first fragment, which has the ports.
            check(&ipv4(protocol, 5, 0x2000, ports), true);
            check(&ipv6(protocol, &[], ports), true);
            check(&ipv6(44, &[protocol, 0, 0, 1, 0, 0, 0, 9], ports), true);
        }
        for ports in [(5061, 40_000), (16_384, 16_386), (53, 5059)] {
            check(&ipv4(protocol, 5, 0x2000, ports), false);
            check(&ipv6(protocol, &[], ports), false);
            check(&ipv6(44, &[protocol, 0, 0, 1, 0, 0, 0, 9], ports), false);
            // Fragments behind the first may be of anything, and extension headers hide what follows.
            check(&ipv4(protocol, 5, 0x00b9, ports), true);
            check(&ipv6(44, &[protocol, 0, 0x05, 0xc9, 0, 0, 0, 9], ports), true);
            check(&ipv6(60, &[protocol, 0, 1, 4, 0, 0, 0, 0], ports), true);
        }
    }
    check(&ipv4(1, 5, 0, (5060, 5060)), false);
    check(&ipv6(58, &[], (5060, 5060)), false);
    check(&ipv4(17, 5, 0, (5060, 5060))[..22], true);
    check(&ipv4(17, 5, 0, (1, 5060))[..22], false);
    let arp = ethernet(0x0806, &[0; 28]);
    assert_eq!(run(&program(Layer::Ethernet, &[5060]), &arp, false), 0);
    assert_eq!(run(&program(Layer::Raw, &[5060]), &[0x15; 40], false), 0);
}

#[test]
fn a_program_is_one_that_the_kernel_takes() {
    for layer in [Layer::Ethernet, Layer::Loopback, Layer::Raw] {
        let ports: Vec<u16> = (5060..).take(MOST_PORTS).collect();
        let made = program(layer, &ports);
        // BPF_MAXINSNS.
        assert!(made.len() <= 4096, "{}", made.len());
        assert!(made.iter().enumerate().all(|(at, one)| one.code != JUMP || at + 1 + usize::try_from(one.value).unwrap() < made.len()));
        assert_eq!(made.last().map(|last| last.code), Some(RETURN));
    }
}

proptest! {
    #[test]
    fn any_packet_comes_to_an_end(packet in proptest::collection::vec(any::<u8>(), 0..100)) {
        for layer in [Layer::Ethernet, Layer::Loopback, Layer::Raw] {
            let taken = run(&program(layer, &[5060]), &packet, false);
            prop_assert!(taken == 0 || taken == WHOLE);
        }
    }
}
