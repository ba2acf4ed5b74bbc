//! The closed sets that labels come from.

use crate::units::Direction;

/// A closed set of label values.
pub trait Label: Copy + 'static {
    /// The label's name.
    const NAME: &'static str;
    /// Every value, in order of [`Label::index`].
    const ALL: &'static [Self];
    /// Its place in [`Label::ALL`].
    fn index(self) -> usize;
    /// The value as it stands on the page.
    fn word(self) -> &'static str;
}

/// Declares an enum whose variants are the values of a label.
macro_rules! labels {
    ($(#[$about:meta])* $name:ident as $label:literal { $($(#[$doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$doc])* $variant,)+ }

        impl Label for $name {
            const NAME: &'static str = $label;
            const ALL: &'static [Self] = &[$(Self::$variant,)+];
            fn index(self) -> usize {
                self as usize
            }
            fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }
    };
}

labels! {
    /// What a SIP message is: a request's method, or a response's class (RFC 3261 §7).
    MessageKind as "kind" {
        /// INVITE.
        Invite = "invite",
        /// ACK.
        Ack = "ack",
        /// BYE.
        Bye = "bye",
        /// CANCEL.
        Cancel = "cancel",
        /// REFER.
        Refer = "refer",
        /// UPDATE.
        Update = "update",
        /// PRACK.
        Prack = "prack",
        /// INFO.
        Info = "info",
        /// REGISTER.
        Register = "register",
        /// OPTIONS.
        Options = "options",
        /// SUBSCRIBE, NOTIFY, PUBLISH, MESSAGE, or a method nobody knows.
        OtherRequest = "other",
        /// 1xx.
        Provisional = "1xx",
        /// 2xx.
        Success = "2xx",
        /// 3xx.
        Redirection = "3xx",
        /// 4xx.
        ClientError = "4xx",
        /// 5xx.
        ServerError = "5xx",
        /// 6xx.
        GlobalFailure = "6xx",
    }
}

labels! {
    /// Why an observation was set aside; each variant is a `reason` of `taktd_rejected_total`.
    Rejection as "reason" {
        /// A link type we do not read.
        LinkType = "link_type",
        /// Neither IPv4 nor IPv6.
        NotIp = "not_ip",
        /// IP, but neither UDP nor TCP.
        NotUdp = "not_udp",
        /// UDP or TCP, but neither SIP nor HEP.
        NotSip = "not_sip",
        /// It breaks its own format where we need it.
        Malformed = "malformed",
        /// A piece of an IP datagram; the one that completes it counts as the message.
        Fragment = "fragment",
        /// A TCP segment that ends no message.
        Segment = "segment",
        /// A gap in a TCP stream: segments that were never seen.
        StreamGap = "stream_gap",
        /// A packet or an event without a time, or with one that is still to come.
        Undated = "undated",
        /// A block of a capture that holds no packet.
        OtherBlock = "other_block",
        /// A HEP frame that contradicts its lengths, or lacks what a message needs.
        HepMalformed = "hep_malformed",
        /// HEP of a version that nobody sends.
        HepVersion = "hep_version",
        /// A HEP frame with a compressed payload that cannot be unpacked.
        HepCompressed = "hep_compressed",
        /// A HEP frame with a part of a message.
        HepPiece = "hep_piece",
        /// A HEP frame about another protocol than SIP.
        HepProtocol = "hep_protocol",
        /// A HEP frame without the configured key.
        HepKey = "hep_key",
        /// The same message was already reported by another probe or source.
        Duplicate = "duplicate",
        /// A SIP message that lacks what its kind must have.
        BadMessage = "bad_message",
        /// An asserted identity from a peer that is not trusted.
        ForgedIdentity = "forged_identity",
        /// A row of a record file that cannot be read.
        BadRow = "bad_row",
        /// The next room was behind, and a socket cannot wait.
        QueueFull = "queue_full",
        /// A table of legs, dialogs or calls was at its bound.
        TableFull = "table_full",
    }
}

labels! {
    /// What became of a HEP frame.
    HepOutcome as "outcome" {
        /// It carried a message that was read on.
        Accepted = "accepted",
        /// Another agent reported the same message.
        Duplicate = "duplicate",
        /// Not HEP, or a chunk that lies about its length.
        Malformed = "malformed",
        /// The auth key is missing or wrong.
        Unauthenticated = "unauthenticated",
        /// RTCP, logs or anything else that is not SIP.
        OtherProtocol = "other_protocol",
        /// A part of a message, which waits for the rest.
        Piece = "piece",
    }
}

labels! {
    /// Why a connection of a HEP agent ended.
    ConnectionEnd as "reason" {
        /// The agent closed it.
        Closed = "closed",
        /// The network broke it.
        Broken = "broken",
        /// What came is no HEP: a length that cannot be, or other bytes.
        Framing = "framing",
        /// No frame that counts came in time, or the rest of one did not.
        Slow = "slow",
        /// Nothing came for hours.
        Idle = "idle",
        /// The handshake of TLS failed.
        Tls = "tls",
        /// There were too many already.
        TooMany = "too_many",
        /// The daemon ended.
        Ended = "ended",
    }
}

labels! {
    /// What became of a call (design.md §9): the words of the meter's outcome, which stands below this room.
    CallOutcome as "outcome" {
        /// No agent answered.
        Missed = "missed",
        /// No contract.
        Unmatched = "unmatched",
        /// Several contracts, or several callers.
        Ambiguous = "ambiguous",
        /// The plan does not sell this, or not now.
        Uncovered = "uncovered",
        /// The caller may not call on this plan.
        Unauthorised = "unauthorised",
        /// Waits for a decision.
        Held = "held",
        /// Something is due.
        Charged = "charged",
        /// Nothing is due.
        Included = "included",
    }
}

labels! {
    /// Why a call made no record (design.md §3).
    Unmetered as "reason" {
        /// Agents among themselves.
        Internal = "internal",
        /// To no configured hotline, and no callback.
        Unrelated = "unrelated",
        /// An agent's leg that belongs to no call seen.
        Orphan = "orphan",
    }
}

labels! {
    /// Whether a running call waits or talks.
    RunningState as "state" {
        /// Ringing, announcement, queue, or a second wait.
        Waiting = "waiting",
        /// With an agent.
        Talking = "talking",
    }
}

labels! {
    /// A kind of ledger entry.
    EntryKind as "kind" {
        /// What a record is.
        Posting = "posting",
        /// What takes an earlier entry back.
        Reversal = "reversal",
    }
}

labels! {
    /// A kind of source.
    SourceKind as "kind" {
        /// HEP over UDP, TCP or TLS.
        Hep = "hep",
        /// Packets on a network interface.
        Capture = "capture",
        /// A pcap or pcapng file.
        Pcap = "pcap",
        /// Asterisk's CDR files.
        AsteriskCdr = "asterisk-cdr",
        /// Asterisk's channel event log.
        AsteriskCel = "asterisk-cel",
        /// Asterisk's manager interface.
        AsteriskAmi = "asterisk-ami",
        /// Files of any switch, by a mapping of columns.
        Csv = "csv",
        /// FreeSWITCH's records in JSON.
        FreeSwitch = "freeswitch",
        /// The call monitor of a Fritz!Box.
        FritzBox = "fritzbox",
        /// FreeSWITCH's event socket.
        FreeSwitchEvents = "freeswitch-events",
    }
}

impl Label for Direction {
    const NAME: &'static str = "direction";
    const ALL: &'static [Self] = &[Self::In, Self::Out];
    fn index(self) -> usize {
        self as usize
    }
    fn word(self) -> &'static str {
        self.as_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_label_knows_its_place() {
        check::<MessageKind>();
        check::<Rejection>();
        check::<HepOutcome>();
        check::<ConnectionEnd>();
        check::<CallOutcome>();
        check::<Unmetered>();
        check::<RunningState>();
        check::<EntryKind>();
        check::<SourceKind>();
        check::<Direction>();
    }

    fn check<L: Label>() {
        for (place, label) in L::ALL.iter().enumerate() {
            assert_eq!(label.index(), place, "{} of {}", label.word(), L::NAME);
            assert_eq!(L::ALL.iter().filter(|other| other.word() == label.word()).count(), 1, "{}", label.word());
        }
    }
}
