//! Packets in tunnels, as mirrors send them: each leads to the same message as without.

use super::build::{SIP, ethernet, gre, ipv4, ipv4_of, ipv4_pieces_of, ipv6, tcp, udp, udp_to, vlan, vxlan};
use super::{check, check_aside};
use crate::sources::SetAside;

/// ERSPAN's header of type II, or of type III with these last two octets.
fn erspan(last: Option<[u8; 2]>, frame: &[u8]) -> Vec<u8> {
    match last {
        None => [[0x10, 7, 0, 1, 0, 0, 0, 0].as_slice(), frame].concat(),
        Some(last) => [[0x20, 7, 0, 1, 0, 0, 0, 0, 0, 0].as_slice(), &last, frame].concat(),
    }
}

fn mirrored(gre: &[u8]) -> Vec<u8> {
    ethernet(0x0800, &ipv4_of(47, gre))
}

#[test]
fn every_tunnel_leads_to_the_same_message() {
    let (four, six) = (ipv4(&udp(SIP)), ipv6(&[], 17, &udp(SIP)));
    let frame = ethernet(0x8100, &vlan(0x0800, &four));
    let packets = [
        mirrored(&gre(0, 0x0800, &four)),
        mirrored(&gre(0x2000, 0x86dd, &six)),
        mirrored(&gre(0xb000, 0x6558, &frame)),
        mirrored(&gre(0, 0x88be, &frame)),
        mirrored(&gre(0x1000, 0x88be, &erspan(None, &frame))),
        mirrored(&gre(0x1000, 0x22eb, &erspan(Some([0, 0]), &frame))),
        mirrored(&gre(0x1000, 0x22eb, &erspan(Some([0, 1]), &[[9; 8].as_slice(), &frame].concat()))),
        mirrored(&gre(0x1000, 0x22eb, &erspan(Some([2 << 2, 0]), &six))),
        ethernet(0x0800, &ipv4(&vxlan(&frame))),
        ethernet(0x86dd, &ipv6(&[], 17, &vxlan(&frame))),
        ethernet(0x0800, &ipv4_of(4, &four)),
        ethernet(0x0800, &ipv4_of(41, &six)),
        // A mirror of what was in a tunnel already.
        mirrored(&gre(0x1000, 0x88be, &erspan(None, &ethernet(0x0800, &ipv4(&vxlan(&frame)))))),
        mirrored(&gre(0, 0x0800, &ipv4_of(6, &tcp(7, 0, &[SIP, b""].concat())))),
    ];
    check(1, &packets, packets.len());
}

#[test]
fn a_tunnel_in_fragments_is_put_together_first() {
    let inner = ipv4_pieces_of(17, &udp(SIP), &[24]);
    for outer in [gre(0, 0x0800, &inner[0]), vxlan(&ethernet(0x0800, &inner[0]))] {
        let protocol = if outer.len() == inner[0].len() + 4 { 47 } else { 17 };
        let mut packets = ipv4_pieces_of(protocol, &outer, &[16, 40]);
        packets.swap(0, 2);
        packets.push(ipv4_of(47, &gre(0, 0x0800, &inner[1])));
        let whole = check(101, &packets, 1);
        assert_eq!(whole.counters.set_aside.get(SetAside::Fragment), 3);
    }
}

#[test]
fn what_is_no_tunnel_we_know_is_set_aside() {
    let four = ipv4(&udp(SIP));
    check_aside(1, mirrored(&gre(0x4000, 0x0800, &four)), SetAside::NotUdp);
    check_aside(1, mirrored(&gre(0x0001, 0x880b, &four)), SetAside::NotUdp);
    check_aside(1, mirrored(&gre(0, 0x8847, &four)), SetAside::NotIp);
    check_aside(1, mirrored(&[0, 0]), SetAside::Malformed);
    check_aside(1, mirrored(&gre(0x1000, 0x22eb, &[0x20; 11])), SetAside::Malformed);
    check_aside(1, mirrored(&gre(0x1000, 0x22eb, &erspan(Some([4 << 2, 0]), &four))), SetAside::NotIp);
    check_aside(1, ethernet(0x0800, &ipv4(&udp_to(4789, &[8, 0, 0, 1, 0, 0, 0, 0, 1]))), SetAside::NotSip);
    let mut deep = four;
    for _ in 0..6 {
        deep = ipv4_of(4, &deep);
    }
    check_aside(101, deep, SetAside::NotUdp);
}
