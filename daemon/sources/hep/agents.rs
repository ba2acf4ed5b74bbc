//! How far apart the clocks of capture agents are: a message that two of them report, each with its own time, tells.
//!
//! Of a message that several agents report the first one heard counts, with that agent's time; the others are copies. So a
//! call is as right as the clocks agree: talk that one agent saw begin and another end is off by what lies between them. And
//! whoever is ahead makes time pass early: beyond some 50 ms legs are joined with less evidence, which is marked.
//!
//! The one invariant: nothing is allocated for a message, and no more agents are told apart than [`MOST`].

use crate::units::{Message, Timestamp};
use std::hash::{BuildHasher, RandomState};

/// So many agents are compared; what further ones report is read, and not compared.
pub const MOST: usize = 8;
/// So many messages wait for their copy; a later one takes the place of an earlier.
const SLOTS: usize = 4_096;
/// Copies come within this time of each other, in microseconds: later it is a message sent again.
const TOGETHER_MICROS: i64 = 2_000_000;
/// The middle of so many differences counts: one is off where a message was sent again before its copy came.
const SAMPLES: usize = 15;

/// How far two clocks are apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offset {
    /// The id of an agent (chunk 0x0c).
    pub agent: u32,
    /// That of another one, the smaller of the two.
    pub beside: u32,
    /// By how much the clock of the first is ahead of the other's, in microseconds.
    pub micros: i64,
}

/// A message that waits for its copy.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    digest: u64,
    agent: usize,
    captured_at: Timestamp,
    arrived_at: Timestamp,
}

/// The latest differences between two agents, a ring.
#[derive(Clone, Copy, Debug, Default)]
struct Pair {
    samples: [i64; SAMPLES],
    count: usize,
}

/// All agents heard.
#[derive(Debug, Default)]
pub struct Agents {
    ids: Vec<u32>,
    /// Empty until a second agent is heard: who has one pays nothing.
    slots: Box<[Slot]>,
    pairs: Box<[Pair]>,
    key: RandomState,
}

impl Agents {
    /// Takes a message as an agent reported it. Gives how far two clocks are apart, when it is the copy of another one's.
    pub fn hear(&mut self, id: u32, message: &Message<'_>, arrived_at: Timestamp) -> Option<Offset> {
        let agent = match self.ids.iter().position(|known| *known == id) {
            Some(place) => place,
            None => self.join(id)?,
        };
        if self.slots.is_empty() {
            return None;
        }
        let digest = self.key.hash_one(message.payload);
        let place = usize::try_from(digest).unwrap_or(0) % SLOTS;
        let heard = Slot { digest, agent, captured_at: message.captured_at, arrived_at };
        // Each copy is compared with the one before: three agents make two differences.
        let other = std::mem::replace(self.slots.get_mut(place)?, heard);
        if other.digest != digest || other.agent == agent || arrived_at.since(other.arrived_at).abs() >= TOGETHER_MICROS {
            return None;
        }
        self.compare((agent, message.captured_at), (other.agent, other.captured_at))
    }

    /// Another agent; `None` when there are too many.
    fn join(&mut self, id: u32) -> Option<usize> {
        if self.ids.len() >= MOST {
            return None;
        }
        self.ids.push(id);
        if self.ids.len() == 2 {
            self.slots = vec![Slot::default(); SLOTS].into();
            self.pairs = vec![Pair::default(); MOST * MOST].into();
        }
        self.ids.len().checked_sub(1)
    }

    fn compare(&mut self, one: (usize, Timestamp), other: (usize, Timestamp)) -> Option<Offset> {
        let id = |place: usize| self.ids.get(place).copied();
        let (ahead, beside) = if id(one.0)? > id(other.0)? { (one, other) } else { (other, one) };
        let (agent, beside_id) = (id(ahead.0)?, id(beside.0)?);
        let pair = self.pairs.get_mut(ahead.0 * MOST + beside.0)?;
        *pair.samples.get_mut(pair.count % SAMPLES)? = ahead.1.since(beside.1);
        pair.count += 1;
        let mut sorted = pair.samples;
        let taken = sorted.get_mut(..pair.count.min(SAMPLES))?;
        taken.sort_unstable();
        let micros = *taken.get(taken.len() / 2)?;
        Some(Offset { agent, beside: beside_id, micros })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(1_790_000_000_000_000 + micros)
    }

    /// Reports: agent, text, captured and arrived in microseconds. Gives the last offset of each pair.
    fn offsets(agents: &mut Agents, reports: impl IntoIterator<Item = (u32, String, i64, i64)>) -> Vec<(u32, u32, i64)> {
        let mut found: Vec<(u32, u32, i64)> = Vec::new();
        let address = "192.0.2.1:5060".parse().unwrap();
        for (agent, text, captured, arrived) in reports {
            let message =
                Message { captured_at: at(captured), source: address, destination: address, correlation: None, payload: text.as_bytes() };
            if let Some(Offset { agent, beside, micros }) = agents.hear(agent, &message, at(arrived)) {
                found.retain(|(one, other, _)| (*one, *other) != (agent, beside));
                found.push((agent, beside, micros));
            }
        }
        found.sort_unstable();
        found
    }

    #[test]
    fn two_clocks_are_compared_by_what_both_report() {
        for ahead in [2_500_000, -40_000, 0] {
            let reports = (0..100i64).flat_map(|number| {
                let (text, sent) = (format!("OPTIONS {number}"), number * 20_000);
                // Now the one comes first, now the other.
                let both = [(2_002, text.clone(), sent + ahead + number % 3, sent + 900), (2_001, text, sent, sent + 1_000)];
                if number % 2 == 0 { both } else { [both[1].clone(), both[0].clone()] }
            });
            assert_eq!(offsets(&mut Agents::default(), reports), [(2_002, 2_001, ahead + 1)]);
        }
    }

    #[test]
    fn a_message_that_is_sent_again_does_not_move_the_middle() {
        let reports = (0..60i64).flat_map(|number| {
            let (text, sent) = (format!("INVITE {number}"), number * 700_000);
            let one =
                |agent, later: i64, late: i64| (agent, text.clone(), sent + later + if agent == 7 { 300 } else { 0 }, sent + later + late);
            // Every fourth is sent again before the other agent reports the first.
            if number % 4 == 0 {
                vec![one(7, 0, 10), one(7, 500_000, 20), one(3, 0, 500_900), one(3, 500_000, 500_950)]
            } else {
                vec![one(7, 0, 10), one(3, 0, 900)]
            }
        });
        assert_eq!(offsets(&mut Agents::default(), reports), [(7, 3, 300)]);
    }

    #[test]
    fn what_comes_much_later_is_no_copy_and_one_agent_has_nobody_beside_it() {
        let late = [(1, "BYE".to_owned(), 0, 0), (2, "OPTIONS".to_owned(), 0, 0), (2, "BYE".to_owned(), 0, TOGETHER_MICROS)];
        assert_eq!(offsets(&mut Agents::default(), late), []);
        let mut alone = Agents::default();
        assert_eq!(offsets(&mut alone, (0..9).map(|number| (1, "BYE".to_owned(), number, number))), []);
        assert!(alone.slots.is_empty());
    }

    #[test]
    fn no_more_agents_are_compared_than_stated() {
        let reports = (0..50).flat_map(|agent| (0..3).map(move |number| (agent, format!("OPTIONS {number}"), i64::from(agent), 0)));
        let found = offsets(&mut Agents::default(), reports);
        assert!(found.iter().all(|(agent, beside, _)| *agent < 8 && *beside < 8), "{found:?}");
        // What the first reported before the second came was compared with nobody.
        assert_eq!(found.len(), MOST - 2, "{found:?}");
    }
}
