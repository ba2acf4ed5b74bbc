//! Metrics by label, resolved once at the start: counting one more is an index and an addition, never a look-up by name.

use super::Label;
use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec};
use std::marker::PhantomData;
use std::sync::Arc;

/// Turns a running total, as other rooms keep it, into what to add to a counter that several of them share.
#[derive(Clone, Copy, Debug, Default)]
pub struct Growth(u64);

impl Growth {
    /// How much the total has grown since it was last asked; one that fell was begun anew, and counts from 0.
    pub fn of(&mut self, total: u64) -> u64 {
        let grown = total.checked_sub(self.0).unwrap_or(total);
        self.0 = total;
        grown
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

    /// Counts so many more.
    pub fn inc_by(&self, label: L, count: u64) {
        self.get(label).inc_by(count);
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
    fn a_total_counts_by_what_it_grew() {
        let mut growth = Growth::default();
        let added: Vec<u64> = [3, 3, 10, 2].into_iter().map(|total| growth.of(total)).collect();
        assert_eq!(added, [3, 0, 7, 2]);
    }
}
