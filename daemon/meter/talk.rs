//! The talk clock: it runs while the caller is with an agent, and stands still during wait.

use crate::units::{Interval, Seconds, Timestamp};

/// A call's talk as disjoint spans in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TalkClock {
    spans: Vec<Interval>,
    total: Seconds,
}

impl TalkClock {
    /// Over these spans; the sum is rounded down to whole seconds, before anything else (design.md §3).
    #[must_use]
    pub fn new(spans: Vec<Interval>) -> Self {
        let micros = spans.iter().fold(0i64, |sum, span| sum.saturating_add(span.micros()));
        let total = Seconds::new(u64::try_from(micros).unwrap_or(0) / 1_000_000);
        Self { spans, total }
    }

    /// Talk in whole seconds.
    #[must_use]
    pub const fn total(&self) -> Seconds {
        self.total
    }

    /// The instant at which talk reaches an offset: where an increment begins, the first instant of the span it falls in.
    /// `None` if talk never gets there.
    #[must_use]
    pub fn instant(&self, offset: Seconds) -> Option<Timestamp> {
        let mut rest = i64::try_from(offset.get()).ok()?.checked_mul(1_000_000)?;
        for span in &self.spans {
            if rest < span.micros() {
                return Some(span.from().plus_micros(rest));
            }
            rest = rest.saturating_sub(span.micros());
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(spans: &[(i64, i64)]) -> TalkClock {
        let at = |tenths: i64| Timestamp::from_micros(tenths.saturating_mul(100_000));
        TalkClock::new(spans.iter().map(|(from, to)| Interval::new(at(*from), at(*to))).collect())
    }

    #[test]
    fn it_stands_still_during_wait() {
        let clock = clock(&[(0, 15), (100, 125)]); // 1.5 s, a wait, 2.5 s
        assert_eq!(clock.total(), Seconds::new(4));
        for (offset, tenths) in [(0, Some(0)), (1, Some(10)), (2, Some(105)), (3, Some(115)), (4, None)] {
            let instant = clock.instant(Seconds::new(offset)).map(|at| at.micros() / 100_000);
            assert_eq!(instant, tenths, "offset {offset}");
        }
    }

    #[test]
    fn two_half_seconds_are_one() {
        assert_eq!(clock(&[(0, 5), (10, 15)]).total(), Seconds::new(1));
        assert_eq!(clock(&[(0, 9)]).total(), Seconds::ZERO);
    }
}
