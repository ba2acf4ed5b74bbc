//! What falls due when, the soonest first: a heap, in which what is no longer wanted stays until its time comes.
//!
//! The one invariant: whoever sets an alarm anew leaves the old one where it is, and knows it as stale when it rings; so
//! setting costs one write, and taking out costs nothing. Sweeping keeps the stale ones fewer than the others, or few.

use super::Timestamp;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Below so many alarms nothing is swept.
const FEW: usize = 1_024;

/// Alarms for things of a kind.
#[derive(Clone, Debug)]
pub struct Alarms<T> {
    heap: BinaryHeap<Reverse<(Timestamp, T)>>,
    /// With so many, the stale ones are swept out.
    sweep_at: usize,
}

impl<T: Copy + Ord> Alarms<T> {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self { heap: BinaryHeap::new(), sweep_at: FEW }
    }

    /// Sets one.
    pub fn set(&mut self, at: Timestamp, what: T) {
        self.heap.push(Reverse((at, what)));
    }

    /// Where there are many by now, those that are not `wanted` go. To be called whenever some were set.
    pub fn sweep(&mut self, wanted: impl Fn(Timestamp, T) -> bool) {
        if self.heap.len() >= self.sweep_at {
            self.heap.retain(|Reverse((at, what))| wanted(*at, *what));
            self.sweep_at = self.heap.len().saturating_mul(2).max(FEW);
        }
    }

    /// When the next one rings, a stale one perhaps; `None` if there is none.
    #[must_use]
    pub fn first(&self) -> Option<Timestamp> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes the next one that has rung by `now`.
    pub fn ring(&mut self, now: Timestamp) -> Option<(Timestamp, T)> {
        if self.first()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse(alarm)| alarm)
    }

    /// Takes all out: nothing is left that could be wanted.
    pub fn clear(&mut self) {
        self.heap.clear();
    }

    /// Those that are wanted, in order, each once.
    #[must_use]
    pub fn wanted(&self, wanted: impl Fn(Timestamp, T) -> bool) -> Vec<(Timestamp, T)> {
        let all = self.heap.iter().map(|Reverse(alarm)| *alarm);
        let mut kept: Vec<(Timestamp, T)> = all.filter(|(at, what)| wanted(*at, *what)).collect();
        kept.sort_unstable();
        kept.dedup();
        kept
    }
}

impl<T: Copy + Ord> Default for Alarms<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Copy + Ord> FromIterator<(Timestamp, T)> for Alarms<T> {
    fn from_iter<I: IntoIterator<Item = (Timestamp, T)>>(alarms: I) -> Self {
        let heap: BinaryHeap<_> = alarms.into_iter().map(Reverse).collect();
        let sweep_at = heap.len().saturating_mul(2).max(FEW);
        Self { heap, sweep_at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u32) -> Timestamp {
        Timestamp::from_parts(second, 0)
    }

    #[test]
    fn they_ring_in_order_and_not_before_their_time() {
        let mut alarms: Alarms<u64> = [(at(3), 1), (at(1), 2)].into_iter().collect();
        alarms.set(at(2), 9);
        alarms.set(at(2), 8);
        assert_eq!(alarms.first(), Some(at(1)));
        assert_eq!((alarms.ring(at(0)), alarms.ring(at(2)), alarms.ring(at(2))), (None, Some((at(1), 2)), Some((at(2), 8))));
        assert_eq!(alarms.wanted(|_, what| what != 9), [(at(3), 1)]);
        assert_eq!((alarms.ring(at(9)), alarms.ring(at(9)), alarms.ring(at(9))), (Some((at(2), 9)), Some((at(3), 1)), None));
    }

    #[test]
    fn what_is_set_anew_for_ever_takes_no_room() {
        let mut alarms = Alarms::new();
        for second in 0..1_000_000 {
            alarms.set(at(second), 7);
            alarms.sweep(|when, _| when == at(second));
        }
        assert!(alarms.heap.len() <= FEW, "{}", alarms.heap.len());
    }
}
