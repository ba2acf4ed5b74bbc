//! What a switch says beside the signalling: which SIP leg is of which conversation. The signalling joins its legs by it.
//!
//! The one invariant: each leg is told once, and only so many are remembered as told.

use crate::calls::ChannelFacts;
use std::collections::{BTreeSet, VecDeque};

/// So many Call-IDs are remembered as told.
const MOST: usize = 4_096;

/// What was told.
#[derive(Debug, Default)]
pub(super) struct Kinship {
    told: BTreeSet<Box<str>>,
    order: VecDeque<Box<str>>,
}

impl Kinship {
    /// Tells what these channels show, if it is new: the Call-ID of a leg, and the conversation it is of.
    pub(super) fn tell<'a>(&mut self, channels: impl Iterator<Item = &'a ChannelFacts>, mut tell: impl FnMut(&[u8], &str)) {
        let shows = |facts: &&ChannelFacts| !facts.sip_call_id.is_empty() && !facts.linkedid.is_empty();
        for facts in channels.filter(shows) {
            if !self.told.insert(facts.sip_call_id.clone()) {
                continue;
            }
            self.order.push_back(facts.sip_call_id.clone());
            if self.order.len() > MOST {
                let oldest = self.order.pop_front();
                oldest.map(|oldest| self.told.remove(&oldest));
            }
            tell(facts.sip_call_id.as_bytes(), &facts.linkedid);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_leg_is_told_once_and_only_with_both_its_names() {
        let mut kinship = Kinship::default();
        let mut told = |sip_call_id: &str, linkedid: &str| {
            let facts = ChannelFacts { sip_call_id: sip_call_id.into(), linkedid: linkedid.into(), ..ChannelFacts::default() };
            let mut said = Vec::new();
            kinship.tell([&facts, &facts].into_iter(), |call_id, conversation| {
                said.push(format!("{} {conversation}", String::from_utf8_lossy(call_id)));
            });
            assert!(kinship.told.len() <= MOST && kinship.order.len() == kinship.told.len());
            said.join(", ")
        };
        assert_eq!([told("", "1.1"), told("a", "")], ["", ""]);
        assert_eq!([told("a", "1.1"), told("a", "1.1"), told("a", "1.2")], ["a 1.1", "", ""]);
        // Only so many are remembered; one that was forgotten is told again, which the signalling knows.
        assert!((0..MOST).all(|number| told(&format!("call {number}"), "1.1") == format!("call {number} 1.1")));
        assert_eq!(told("a", "1.1"), "a 1.1");
    }
}
