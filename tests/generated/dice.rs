//! Choices drawn from numbers: what a strategy shrinks towards is the first choice of each.

use std::cell::Cell;

/// Numbers to choose by; those that are wanting are 0.
#[derive(Debug)]
pub struct Dice<'a> {
    numbers: &'a [u32],
    next: Cell<usize>,
}

impl<'a> Dice<'a> {
    pub fn new(numbers: &'a [u32]) -> Self {
        Self { numbers, next: Cell::new(0) }
    }

    /// A number below `end`.
    pub fn below(&self, end: usize) -> usize {
        let place = self.next.get();
        self.next.set(place + 1);
        self.numbers.get(place).map_or(0, |number| *number as usize % end.max(1))
    }

    /// A number from `first` up to `end`, exclusive.
    pub fn between(&self, first: i64, end: i64) -> i64 {
        first + i64::try_from(self.below(usize::try_from(end - first).expect("in order"))).expect("small")
    }

    /// True once in so many times.
    pub fn once_in(&self, times: usize) -> bool {
        self.below(times) + 1 == times
    }

    /// One of some.
    pub fn pick<T: Copy>(&self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// Some of some, at least one, in their order.
    pub fn some<T: Copy>(&self, of: &[T]) -> Vec<T> {
        let sure = self.below(of.len());
        of.iter().enumerate().filter(|(place, _)| *place == sure || self.once_in(3)).map(|(_, one)| *one).collect()
    }
}
