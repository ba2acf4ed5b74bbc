//! The closed sets that labels come from, and counters by them: resolved once at the start, so that counting one more is
//! an index and an addition, never a look-up by name.

use crate::units::Direction;
use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec};
use std::marker::PhantomData;
use std::sync::Arc;

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
        /// The same message was already reported by another probe or source.
        Duplicate = "duplicate",
        /// It breaks its own format where we need it.
        Malformed = "malformed",
        /// The capture cut it off before what we need.
        Truncated = "truncated",
        /// Something else than SIP.
        NotSip = "not_sip",
        /// An asserted identity from a peer that is not trusted.
        ForgedIdentity = "forged_identity",
        /// The next room was behind, and a socket cannot wait.
        QueueFull = "queue_full",
        /// A table of legs, dialogs or calls was at its bound.
        TableFull = "table_full",
        /// A row of a record file that cannot be read.
        BadRow = "bad_row",
    }
}

labels! {
    /// What became of a HEP frame.
    HepOutcome as "outcome" {
        /// It carried a message that was read on.
        Accepted = "accepted",
        /// Another agent reported the same message.
        Duplicate = "duplicate",
        /// Not HEPv3, or a chunk that lies about its length.
        Malformed = "malformed",
        /// The auth key is missing or wrong.
        Unauthenticated = "unauthenticated",
        /// RTCP, logs or anything else that is not SIP.
        OtherProtocol = "other_protocol",
    }
}

labels! {
    /// What became of a call (design.md §9).
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
        /// Between two extensions.
        Internal = "internal",
        /// To or from a number that is no hotline.
        NoHotline = "no_hotline",
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
        /// HEPv3 over UDP.
        Hep = "hep",
        /// A pcap or pcapng file.
        Pcap = "pcap",
        /// Asterisk's CDR files.
        AsteriskCdr = "asterisk-cdr",
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

/// Metrics of one name by one label, each resolved at the start.
#[derive(Debug)]
pub struct By<L, M> {
    children: Arc<[M]>,
    label: PhantomData<L>,
}

impl<L, M> Clone for By<L, M> {
    fn clone(&self) -> Self {
        Self { children: Arc::clone(&self.children), label: PhantomData }
    }
}

impl<L: Label, M> By<L, M> {
    /// The metric of this value.
    #[must_use]
    pub fn get(&self, label: L) -> &M {
        &self.children[label.index()]
    }
}

impl<L: Label> By<L, IntCounter> {
    pub(super) fn counters(all: &IntCounterVec) -> Self {
        Self { children: L::ALL.iter().map(|label| all.with_label_values(&[label.word()])).collect(), label: PhantomData }
    }

    /// Counts one more.
    pub fn inc(&self, label: L) {
        self.get(label).inc();
    }
}

impl<L: Label> By<L, IntGauge> {
    pub(super) fn gauges(all: &IntGaugeVec) -> Self {
        Self { children: L::ALL.iter().map(|label| all.with_label_values(&[label.word()])).collect(), label: PhantomData }
    }

    /// Sets the gauge.
    pub fn set(&self, label: L, value: i64) {
        self.get(label).set(value);
    }
}

/// Counters of one name by two labels, each pair resolved at the start.
#[derive(Debug)]
pub struct ByTwo<A, B> {
    children: Arc<[IntCounter]>,
    labels: PhantomData<(A, B)>,
}

impl<A, B> Clone for ByTwo<A, B> {
    fn clone(&self) -> Self {
        Self { children: Arc::clone(&self.children), labels: PhantomData }
    }
}

impl<A: Label, B: Label> ByTwo<A, B> {
    pub(super) fn counters(all: &IntCounterVec) -> Self {
        let pairs = A::ALL.iter().flat_map(|first| B::ALL.iter().map(move |second| [first.word(), second.word()]));
        Self { children: pairs.map(|pair| all.with_label_values(&pair)).collect(), labels: PhantomData }
    }

    /// The counter of this pair.
    #[must_use]
    pub fn get(&self, first: A, second: B) -> &IntCounter {
        &self.children[first.index() * B::ALL.len() + second.index()]
    }

    /// Counts one more.
    pub fn inc(&self, first: A, second: B) {
        self.get(first, second).inc();
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
