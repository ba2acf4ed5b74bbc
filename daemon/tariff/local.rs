//! Local time, a day at a time: most instants that settlement asks for lie in the day asked for before.
//!
//! The one invariant: a [`LocalDay`] has one offset from its first instant to its last; a day on which the clock is changed
//! has none, and each of its instants is looked up.

use crate::units::Timestamp;
use chrono::{NaiveDate, NaiveDateTime, Offset, TimeZone, Timelike};
use chrono_tz::Tz;

/// A day of a zone during which its clock is not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalDay {
    zone: Tz,
    date: NaiveDate,
    from: Timestamp,
    to: Timestamp,
}

/// A minute of a local day: the date, and how many minutes have passed by the clock (0 to 1439).
pub type LocalMinute = (NaiveDate, u16);

const MICROS_A_DAY: i64 = 86_400_000_000;
const MICROS_A_MINUTE: i64 = 60_000_000;
/// Days from the first of year 1 to 1970-01-01.
const DAYS_TO_1970: i32 = 719_163;

impl LocalDay {
    /// The day an instant lies in; `None` if the clock is changed on it.
    #[must_use]
    pub fn of(zone: Tz, at: Timestamp) -> Option<Self> {
        let offset = offset_micros(zone, at);
        let local = at.micros().checked_add(offset)?;
        let days = i32::try_from(local.div_euclid(MICROS_A_DAY)).ok()?.checked_add(DAYS_TO_1970)?;
        let date = NaiveDate::from_num_days_from_ce_opt(days)?;
        let from = Timestamp::from_micros(at.micros().checked_sub(local.rem_euclid(MICROS_A_DAY))?);
        let to = from.plus_micros(MICROS_A_DAY);
        let same = [from, to.plus_micros(-1)].into_iter().all(|end| offset_micros(zone, end) == offset);
        same.then_some(Self { zone, date, from, to })
    }

    /// The local minute of an instant; `None` if it lies in another day or is asked for in another zone.
    #[must_use]
    pub fn minute(&self, zone: Tz, at: Timestamp) -> Option<LocalMinute> {
        let inside = self.from <= at && at < self.to && self.zone == zone;
        let minute = at.since(self.from).checked_div(MICROS_A_MINUTE).filter(|_| inside)?;
        Some((self.date, u16::try_from(minute).ok()?))
    }
}

/// The local minute of any instant.
#[must_use]
pub fn local_minute(zone: Tz, at: Timestamp) -> LocalMinute {
    let local = local_time(zone, at);
    (local.date(), u16::try_from(local.num_seconds_from_midnight() / 60).unwrap_or(0))
}

/// Each instant has one local time, so the hour that daylight saving repeats is met twice, and the one it skips never.
pub(super) fn local_time(zone: Tz, at: Timestamp) -> NaiveDateTime {
    let utc = at.utc().naive_utc();
    utc.checked_add_offset(zone.offset_from_utc_datetime(&utc).fix()).unwrap_or(utc)
}

fn offset_micros(zone: Tz, at: Timestamp) -> i64 {
    let offset = zone.offset_from_utc_datetime(&at.utc().naive_utc()).fix();
    i64::from(offset.local_minus_utc()).saturating_mul(1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono_tz::{Africa, America, Asia, Australia, Europe};

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).expect("a time")
    }

    #[test]
    fn a_day_on_which_the_clock_is_changed_is_no_local_day() {
        for (text, is) in [
            ("2026-03-28T12:00:00+01:00", true),
            ("2026-03-29T12:00:00+02:00", false),
            ("2026-03-29T01:59:59+01:00", false),
            ("2026-10-25T23:00:00+01:00", false),
            ("2026-10-26T00:00:00+01:00", true),
        ] {
            assert_eq!(LocalDay::of(Europe::Berlin, at(text)).is_some(), is, "{text}");
        }
        let day = LocalDay::of(Europe::Berlin, at("2026-03-28T12:00:00+01:00")).expect("a day");
        assert_eq!(day.minute(Europe::Berlin, at("2026-03-28T23:59:59.999999+01:00")).map(|(_, minute)| minute), Some(1_439));
        assert_eq!(day.minute(Europe::Berlin, at("2026-03-29T00:00:00+01:00")), None, "the next day");
        assert_eq!(day.minute(Europe::Paris, at("2026-03-28T12:00:00+01:00")), None, "another zone");
    }

    proptest::proptest! {
        #[test]
        fn a_day_says_what_the_zone_says(zone in 0usize..6, micros in 946_684_800_000_000i64..2_208_988_800_000_000, later in 0i64..200_000_000_000) {
            let zone = [Europe::Berlin, Europe::London, America::St_Johns, Asia::Kathmandu, Australia::Lord_Howe, Africa::Casablanca][zone];
            let (first, second) = (Timestamp::from_micros(micros), Timestamp::from_micros(micros).plus_micros(later));
            if let Some(day) = LocalDay::of(zone, first) {
                proptest::prop_assert_eq!(day.minute(zone, first), Some(local_minute(zone, first)));
                if let Some(minute) = day.minute(zone, second) {
                    proptest::prop_assert_eq!(minute, local_minute(zone, second));
                }
            }
        }
    }
}
