//! Local time to instants: once a year an hour comes twice, and one never.

use crate::units::Timestamp;
use chrono::{DateTime, LocalResult, NaiveDateTime, TimeZone};
use chrono_tz::Tz;

/// Every instant at which the clocks of a zone showed this: both where they showed it twice, none where they skipped it.
#[must_use]
pub fn instants(zone: Tz, local: NaiveDateTime) -> Vec<Timestamp> {
    let instant = |time: DateTime<Tz>| Timestamp::from_micros(time.timestamp_micros());
    match zone.from_local_datetime(&local) {
        LocalResult::Single(time) => vec![instant(time)],
        LocalResult::Ambiguous(first, second) => vec![instant(first), instant(second)],
        LocalResult::None => Vec::new(),
    }
}

/// The one of several readings that lies nearest to another time.
#[must_use]
pub fn nearest(candidates: &[Timestamp], to: Timestamp) -> Option<Timestamp> {
    candidates.iter().copied().min_by_key(|candidate| candidate.since(to).abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_comes_twice_and_one_never() {
        for (text, expected) in [
            ("2026-10-25T02:30:00", vec![1_792_888_200, 1_792_891_800]),
            ("2026-03-29T02:30:00", vec![]),
            ("2026-03-29T03:30:00", vec![1_774_747_800]),
        ] {
            let found = instants(Tz::Europe__Berlin, text.parse().expect("a time"));
            assert_eq!(found.iter().map(|at| at.micros() / 1_000_000).collect::<Vec<_>>(), expected, "{text}");
        }
    }
}
