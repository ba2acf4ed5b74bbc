//! Why bytes were not delivered, and how often: the reasons of `taktd_rejected_total`.
//!
//! The one invariant: every packet and datagram read is either delivered or counted here exactly once.

use crate::metrics::Rejection;

/// Why a packet or datagram made no observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SetAside {
    /// A link type we do not read (pcap: the file's; pcapng: the interface's).
    LinkType,
    /// Neither IPv4 nor IPv6: ARP, spanning tree and the like.
    NotIp,
    /// IP, but neither UDP nor TCP nor a tunnel we know: ICMP and the like.
    NotUdp,
    /// UDP or TCP, but neither SIP nor HEP: RTP, DNS, HTTP and the like, and keep-alives.
    NotSip,
    /// A header that is cut short or contradicts its own lengths.
    Malformed,
    /// A piece of an IP datagram, kept until the others come: the one that completes it is counted as itself.
    Fragment,
    /// A TCP segment that ends no message: handshakes, acknowledgements, repetitions, and what is kept until the rest comes.
    Segment,
    /// A pcapng packet without a time (simple packet block), or of an interface that was never described.
    Undated,
    /// A pcapng block that holds no packet: names, statistics, comments.
    OtherBlock,
    /// A HEP frame whose chunks contradict its lengths, or that lacks what a message needs.
    HepMalformed,
    /// The draft of HEP with magic `EEP1`.
    HepVersion,
    /// A HEP frame with a compressed payload (chunk 0x10) that is broken, or larger than a message may be.
    HepCompressed,
    /// A HEP frame with a part of a message: its beginning, kept until the rest comes; or what follows one never seen.
    HepPiece,
    /// A HEP frame about another protocol than SIP: RTCP reports, log lines.
    HepProtocol,
    /// A frame without the configured key, or with another; or a bare copy where a key is configured.
    HepKey,
}

impl SetAside {
    /// All reasons, in the order of their counters.
    pub const ALL: [Self; 15] = [
        Self::LinkType,
        Self::NotIp,
        Self::NotUdp,
        Self::NotSip,
        Self::Malformed,
        Self::Fragment,
        Self::Segment,
        Self::Undated,
        Self::OtherBlock,
        Self::HepMalformed,
        Self::HepVersion,
        Self::HepCompressed,
        Self::HepPiece,
        Self::HepProtocol,
        Self::HepKey,
    ];

    /// The value of the metric's label `reason`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::LinkType => "link_type",
            Self::NotIp => "not_ip",
            Self::NotUdp => "not_udp",
            Self::NotSip => "not_sip",
            Self::Malformed => "malformed",
            Self::Fragment => "fragment",
            Self::Segment => "segment",
            Self::Undated => "undated",
            Self::OtherBlock => "other_block",
            Self::HepMalformed => "hep_malformed",
            Self::HepVersion => "hep_version",
            Self::HepCompressed => "hep_compressed",
            Self::HepPiece => "hep_piece",
            Self::HepProtocol => "hep_protocol",
            Self::HepKey => "hep_key",
        }
    }
}

impl From<SetAside> for Rejection {
    fn from(reason: SetAside) -> Self {
        match reason {
            SetAside::LinkType => Self::LinkType,
            SetAside::NotIp => Self::NotIp,
            SetAside::NotUdp => Self::NotUdp,
            SetAside::NotSip => Self::NotSip,
            SetAside::Malformed => Self::Malformed,
            SetAside::Fragment => Self::Fragment,
            SetAside::Segment => Self::Segment,
            SetAside::Undated => Self::Undated,
            SetAside::OtherBlock => Self::OtherBlock,
            SetAside::HepMalformed => Self::HepMalformed,
            SetAside::HepVersion => Self::HepVersion,
            SetAside::HepCompressed => Self::HepCompressed,
            SetAside::HepPiece => Self::HepPiece,
            SetAside::HepProtocol => Self::HepProtocol,
            SetAside::HepKey => Self::HepKey,
        }
    }
}

/// A count for each reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally([u64; SetAside::ALL.len()]);

impl Tally {
    /// One more.
    pub fn add(&mut self, reason: SetAside) {
        self.0[reason as usize] += 1;
    }

    /// As many more as another tally holds.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }

    /// How many were set aside for this reason.
    #[must_use]
    pub fn get(&self, reason: SetAside) -> u64 {
        self.0[reason as usize]
    }

    /// How many were set aside for any reason.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The reasons that occurred, with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (SetAside, u64)> + '_ {
        SetAside::ALL.into_iter().map(|reason| (reason, self.get(reason))).filter(|(_, count)| *count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Label;

    #[test]
    fn every_reason_has_a_counter_and_a_label_of_its_own() {
        for (place, reason) in SetAside::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, place);
            assert_eq!(Rejection::from(reason).word(), reason.label());
            assert_eq!(SetAside::ALL.into_iter().filter(|other| other.label() == reason.label()).count(), 1);
        }
        let mut tally = Tally::default();
        tally.add(SetAside::HepKey);
        tally.add(SetAside::HepKey);
        tally.add(SetAside::NotIp);
        assert_eq!(tally.iter().collect::<Vec<_>>(), [(SetAside::NotIp, 1), (SetAside::HepKey, 2)]);
        assert_eq!(tally.total(), 3);
    }
}
