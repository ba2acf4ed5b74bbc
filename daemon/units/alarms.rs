//! What falls due when, the soonest first: a heap of what is near, and beyond it a list for each second or so. What is no
//! longer wanted stays until its time comes.
//!
//! The one invariant: whoever sets an alarm anew leaves the old one where it is, and knows it as stale when it rings; so
//! setting costs one write, and taking out costs nothing. Sweeping keeps the stale ones fewer than the others, or few.
//!
//! Most alarms are set for far later and are stale by then. One heap of all of them has twenty levels in memory that nobody
//! has touched for minutes; the heap of the next second fits in the processor's cache.

use super::Timestamp;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// Below so many alarms nothing is swept.
const FEW: usize = 1_024;
/// What is one list, as a power of two of microseconds: 1.05 s.
const LIST_BITS: u32 = 20;

/// Alarms for things of a kind.
#[derive(Clone, Debug)]
pub struct Alarms<T> {
    /// All of the lists up to `through`. Empty only when there are no others either.
    near: BinaryHeap<Reverse<(Timestamp, T)>>,
    through: i64,
    /// The others, by the list they are in.
    later: BTreeMap<i64, Vec<(Timestamp, T)>>,
    length: usize,
    /// With so many, the stale ones are swept out.
    sweep_at: usize,
}

fn list_of(at: Timestamp) -> i64 {
    at.micros().wrapping_shr(LIST_BITS)
}

impl<T: Copy + Ord> Alarms<T> {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self { near: BinaryHeap::new(), through: i64::MIN, later: BTreeMap::new(), length: 0, sweep_at: FEW }
    }

    /// Sets one.
    pub fn set(&mut self, at: Timestamp, what: T) {
        let list = list_of(at);
        if self.length == 0 {
            self.through = list;
        }
        self.length = self.length.saturating_add(1);
        if list <= self.through {
            self.near.push(Reverse((at, what)));
        } else {
            self.later.entry(list).or_default().push((at, what));
        }
    }

    /// Where there are many by now, those that are not `wanted` go. To be called whenever some were set.
    pub fn sweep(&mut self, wanted: impl Fn(Timestamp, T) -> bool) {
        if self.length >= self.sweep_at {
            self.near.retain(|Reverse((at, what))| wanted(*at, *what));
            self.length = self.near.len();
            self.later.retain(|_, list| {
                list.retain(|(at, what)| wanted(*at, *what));
                list.shrink_to_fit();
                self.length = self.length.saturating_add(list.len());
                !list.is_empty()
            });
            self.sweep_at = self.length.saturating_mul(2).max(FEW);
            self.go_on();
        }
    }

    /// When the next one rings, a stale one perhaps; `None` if there is none.
    #[must_use]
    pub fn first(&self) -> Option<Timestamp> {
        self.near.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes the next one that has rung by `now`.
    pub fn ring(&mut self, now: Timestamp) -> Option<(Timestamp, T)> {
        if self.first()? > now {
            return None;
        }
        let Reverse(alarm) = self.near.pop()?;
        self.length = self.length.saturating_sub(1);
        self.go_on();
        Some(alarm)
    }

    /// Where nothing is near any more, the next list is.
    fn go_on(&mut self) {
        if self.near.is_empty()
            && let Some((list, alarms)) = self.later.pop_first()
        {
            self.through = list;
            self.near.extend(alarms.into_iter().map(Reverse));
        }
    }

    /// Takes all out: nothing is left that could be wanted.
    pub fn clear(&mut self) {
        self.near.clear();
        self.later.clear();
        self.length = 0;
    }

    /// Those that are wanted, in order, each once.
    #[must_use]
    pub fn wanted(&self, wanted: impl Fn(Timestamp, T) -> bool) -> Vec<(Timestamp, T)> {
        let near = self.near.iter().map(|Reverse(alarm)| *alarm);
        let all = near.chain(self.later.values().flatten().copied());
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
        let mut all = Self::new();
        for (at, what) in alarms {
            all.set(at, what);
        }
        all.sweep_at = all.length.saturating_mul(2).max(FEW);
        all
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
        assert!(alarms.length <= FEW, "{}", alarms.length);
    }

    /// Whatever is set and taken in whatever order, it rings as one heap of all would have it.
    #[test]
    fn lists_and_heap_ring_as_one_heap() {
        let (mut alarms, mut heap, mut seed) = (Alarms::new(), BinaryHeap::new(), 7u64);
        let mut draw = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        let mut now = Timestamp::from_micros(-3_000_000);
        for _ in 0..20_000 {
            let soon = [100, 2_000_000, 90_000_000][usize::try_from(draw(3)).unwrap()];
            let due = now.plus_micros(i64::try_from(draw(soon)).unwrap() - 50);
            let what = draw(5);
            alarms.set(due, what);
            heap.push(Reverse((due, what)));
            now = now.plus_micros(i64::try_from(draw(200_000)).unwrap());
            while draw(4) > 0 {
                let first = heap.peek().map(|Reverse((at, _))| *at);
                assert_eq!(alarms.first(), first);
                let rung = first.filter(|first| *first <= now).and_then(|_| heap.pop()).map(|Reverse(alarm)| alarm);
                assert_eq!(alarms.ring(now), rung);
            }
            if draw(1_000) == 0 {
                let odd = |at: Timestamp| at.micros() % 2 != 0;
                alarms.sweep_at = 0;
                alarms.sweep(|at, _| odd(at));
                heap.retain(|Reverse((at, _))| odd(*at));
            }
            assert_eq!(alarms.length, heap.len());
        }
        let mut all: Vec<_> = heap.into_iter().map(|Reverse(alarm)| alarm).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(alarms.wanted(|_, _| true), all);
    }
}
