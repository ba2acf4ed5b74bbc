//! What a switch says beside the signalling: which SIP leg is of which conversation. The signalling joins its legs by it.
//!
//! The one invariant: each leg is told once, and only so many are remembered as told.

use super::inputs::Shared;
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
    /// Tells the signalling what these channels show, if it is new.
    pub(super) fn tell<'a>(&mut self, shared: &Shared, channels: impl Iterator<Item = &'a ChannelFacts>) {
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
            shared.signalling().relate(facts.sip_call_id.as_bytes(), &facts.linkedid);
        }
    }
}
