//! What all dialogs are written to: messages of many calls, sorted by time.
//!
//! The one invariant: messages come out in the order of their times, and those of one instant in the order they were made.

use super::random::Random;
use super::wire::Sent;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Milliseconds and seconds, in microseconds.
pub const MS: i64 = 1000;
pub const S: i64 = 1_000_000;

/// What all dialogs are written to, and draw from.
pub struct Scene {
    waiting: BinaryHeap<Reverse<Waiting>>,
    made: u64,
    spare: Vec<Vec<u8>>,
    pub random: Random,
    /// For what changes the wire only.
    wire: Random,
    duplicate: f64,
    fragment: f64,
}

struct Waiting(Sent);

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Waiting {}
impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0.at, self.0.order).cmp(&(other.0.at, other.0.order))
    }
}

impl Scene {
    pub fn new(seed: u64, duplicate: f64, fragment: f64) -> Self {
        let (random, wire) = (Random::new(seed, 1), Random::new(seed, 2));
        Self { waiting: BinaryHeap::new(), made: 0, spare: Vec::new(), random, wire, duplicate, fragment }
    }

    /// The next message before an instant, in the order of time.
    pub fn next_before(&mut self, at: i64) -> Option<Sent> {
        if self.waiting.peek().is_none_or(|Reverse(first)| first.0.at >= at) {
            return None;
        }
        self.waiting.pop().map(|Reverse(Waiting(sent))| sent)
    }

    /// Whether the next INVITE is too large for one packet.
    pub fn is_fat(&mut self) -> bool {
        self.fragment > 0.0 && self.wire.chance(self.fragment)
    }

    /// An empty text to write into.
    pub fn blank(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_default()
    }

    /// Takes a text back that is written.
    pub fn recycle(&mut self, mut text: Vec<u8>) {
        text.clear();
        self.spare.push(text);
    }

    /// Puts a message on its way.
    pub fn send(&mut self, mut sent: Sent) {
        self.made += 1;
        sent.order = self.made;
        self.waiting.push(Reverse(Waiting(sent)));
    }

    /// Sends a request, and in some cases once more after half a second: then that is when its sender was last heard of.
    pub fn send_request(&mut self, sent: Sent) -> i64 {
        let mut last = sent.at;
        if self.wire.chance(self.duplicate) {
            let text = sent.text.clone();
            last += S / 2;
            self.send(Sent { at: last, text, call_id: sent.call_id.clone(), ..sent });
        }
        self.send(sent);
        last
    }
}
