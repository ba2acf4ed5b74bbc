//! The only reader of the system clock: wall time for deadlines and for what people see, a stopwatch for spans.
//!
//! The one invariant: nothing that decides a charge comes from here; charges follow the sources' own time stamps. Pure
//! rooms are told what time it is.

use crate::units::Timestamp;
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The wall clock now. It may be set back by whoever keeps it: use a [`Stopwatch`] to measure.
#[must_use]
pub fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
}

/// A clock that nobody sets, in microseconds since it was first asked: beside [`now`] it tells whether that was set.
#[must_use]
pub fn steady_micros() -> i64 {
    static BEGUN: OnceLock<Stopwatch> = OnceLock::new();
    BEGUN.get_or_init(Stopwatch::start).elapsed_micros()
}

/// How long to sleep until the wall clock shows `at`; zero once it is past.
#[must_use]
pub fn until(at: Timestamp) -> Duration {
    Duration::from_micros(u64::try_from(at.since(now())).unwrap_or(0))
}

/// Measures a span by the monotonic clock, which nobody sets back.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts measuring.
    #[must_use]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// The span since the start.
    #[must_use]
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }

    /// The span since the start in whole microseconds, for adding to a [`Timestamp`].
    #[must_use]
    pub fn elapsed_micros(self) -> i64 {
        i64::try_from(self.elapsed().as_micros()).unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_ahead_is_waited_for_and_a_past_one_is_not() {
        let now = now();
        assert!(now > Timestamp::parse_rfc3339("2020-01-01T00:00:00Z").expect("a time"), "{now}");
        assert_eq!(until(now.plus_micros(-1_000_000)), Duration::ZERO);
        let ahead = until(now.plus_micros(60_000_000));
        assert!(ahead > Duration::from_secs(50) && ahead <= Duration::from_secs(60), "{ahead:?}");
    }

    #[test]
    fn a_stopwatch_never_runs_backwards() {
        let watch = Stopwatch::start();
        let first = watch.elapsed_micros();
        assert!(first >= 0 && watch.elapsed_micros() >= first);
    }
}
