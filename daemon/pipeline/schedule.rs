//! What falls due by the clock: the new day, closings, the nightly export, the forgetting of numbers. Instants are derived
//! from what is configured and from what the ledger says was done, so that nothing is skipped while the daemon was down.

use super::books::{Books, Result};
use crate::contracts::local_date;
use crate::meter::midnight;
use crate::tariff::Period;
use crate::units::Timestamp;
use chrono::{Datelike, Days, Months, NaiveDate, NaiveTime, TimeZone};
use chrono_tz::Tz;

/// After a failure the next attempt waits so long, in microseconds.
const RETRY_MICROS: i64 = 600_000_000;

/// When something is due next.
#[derive(Clone, Debug)]
pub struct Schedule {
    zone: Tz,
    close_after: Period,
    keep: Period,
    export: Option<(NaiveTime, Tz)>,
    next_day: Timestamp,
    next_export: Option<Timestamp>,
}

impl Schedule {
    /// From the configuration; the new day is due at once, the export at its next hour after the last one (`exported`), which
    /// may be past already. Where none was written yet, at the next hour.
    #[must_use]
    pub fn new(
        zone: Tz,
        close_after: Period,
        keep: Period,
        export: Option<(NaiveTime, Tz)>,
        exported: Option<Timestamp>,
        now: Timestamp,
    ) -> Self {
        let next_export = export.and_then(|(at, zone)| next_at(at, zone, exported.unwrap_or(now).min(now)));
        Self { zone, close_after, keep, export, next_day: now, next_export }
    }

    /// Whether a new day has begun.
    #[must_use]
    pub fn day_is_due(&self, now: Timestamp) -> bool {
        now >= self.next_day
    }

    /// The day's work is done: the next comes at local midnight.
    pub fn day_done(&mut self, now: Timestamp) {
        let tomorrow = local_date(now, self.zone).checked_add_days(Days::new(1));
        self.next_day = tomorrow.map_or(now.plus_micros(RETRY_MICROS), |day| midnight(day, self.zone));
    }

    /// The day's work failed.
    pub fn day_failed(&mut self, now: Timestamp) {
        self.next_day = now.plus_micros(RETRY_MICROS);
    }

    /// Whether the nightly export is due.
    #[must_use]
    pub fn export_is_due(&self, now: Timestamp) -> bool {
        self.next_export.is_some_and(|next| now >= next)
    }

    /// The export is written.
    pub fn export_done(&mut self, now: Timestamp) {
        self.next_export = self.export.and_then(|(at, zone)| next_at(at, zone, now));
    }

    /// The export failed.
    pub fn export_failed(&mut self, now: Timestamp) {
        self.next_export = Some(now.plus_micros(RETRY_MICROS));
    }

    /// The months that have ended `close_after` before the ledger's time and are not closed, in order (design.md §6.11).
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn months_to_close(&self, books: &Books, now: Timestamp) -> Result<Vec<NaiveDate>> {
        let after_last =
            books.closings().iter().map(|closing| closing.month).max().and_then(|month| month.checked_add_months(Months::new(1)));
        let first = match after_last {
            Some(month) => Some(month),
            None => books.ledger().first_begun()?.and_then(|begun| local_date(begun, self.zone).with_day(1)),
        };
        let mut months = Vec::new();
        let mut month = first;
        while let Some(this) = month {
            let Some(end) = this.checked_add_months(Months::new(1)) else { break };
            if self.close_after.after(end, 1).is_none_or(|due| midnight(due, self.zone) > now) {
                break;
            }
            months.push(this);
            month = Some(end);
        }
        Ok(months)
    }

    /// Numbers whose latest call lies before this are forgotten.
    #[must_use]
    pub fn forget_before(&self, now: Timestamp) -> Timestamp {
        forget_before(self.keep, self.zone, now)
    }
}

/// The same for who has no schedule.
#[must_use]
pub fn forget_before(keep: Period, zone: Tz, now: Timestamp) -> Timestamp {
    let today = local_date(now, zone);
    let day = match keep {
        Period::Days(days) => today.checked_sub_days(Days::new(days.into())),
        Period::Months(months) => today.checked_sub_months(Months::new(months)),
    };
    day.map_or(Timestamp::default(), |day| midnight(day, zone))
}

/// The next instant after `now` at which a zone's clocks show this time; where a clock change skips it, the first after.
fn next_at(at: NaiveTime, zone: Tz, now: Timestamp) -> Option<Timestamp> {
    let today = local_date(now, zone);
    (0..3).find_map(|ahead| {
        let local = today.checked_add_days(Days::new(ahead))?.and_time(at);
        let shown = |local| zone.from_local_datetime(&local).earliest();
        let instant = shown(local).or_else(|| shown(local.checked_add_signed(chrono::TimeDelta::hours(1))?))?;
        let instant = Timestamp::from_micros(instant.timestamp_micros());
        (instant > now).then_some(instant)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono_tz::Europe::Berlin;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).expect("a time")
    }

    #[test]
    fn the_next_export_is_tonight_or_tomorrow() {
        let half_past_two = NaiveTime::from_hms_opt(2, 30, 0).expect("a time");
        for (now, next) in [
            ("2026-11-21T01:00:00+01:00", "2026-11-21T02:30:00+01:00"),
            ("2026-11-21T02:30:00+01:00", "2026-11-22T02:30:00+01:00"),
            ("2026-03-28T12:00:00+01:00", "2026-03-29T03:30:00+02:00"), // 02:30 does not exist that night
            ("2026-10-24T12:00:00+02:00", "2026-10-25T02:30:00+02:00"), // and here twice: the first
            ("2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"),
        ] {
            assert_eq!(next_at(half_past_two, Berlin, at(now)), Some(at(next)), "{now}");
        }
    }

    #[test]
    fn an_export_that_was_missed_is_due_at_once() {
        let (half_past_two, now) = (NaiveTime::from_hms_opt(2, 30, 0).expect("a time"), at("2026-11-21T12:00:00+01:00"));
        for (exported, due) in [
            (None, false),
            (Some("2026-11-21T02:30:01+01:00"), false),
            (Some("2026-11-20T02:30:01+01:00"), true),
            (Some("2099-01-01T00:00:00+01:00"), false), // by a clock that was wrong
        ] {
            let export = Some((half_past_two, Berlin));
            let schedule = Schedule::new(Berlin, Period::Days(5), Period::Months(6), export, exported.map(at), now);
            assert_eq!(schedule.export_is_due(now), due, "{exported:?}");
        }
    }

    #[test]
    fn a_day_is_due_at_once_and_then_at_midnight() {
        let now = at("2026-11-21T12:00:00+01:00");
        let mut schedule = Schedule::new(Berlin, Period::Days(5), Period::Months(6), None, None, now);
        assert!(schedule.day_is_due(now) && !schedule.export_is_due(now));
        schedule.day_done(now);
        assert!(!schedule.day_is_due(at("2026-11-21T23:59:59+01:00")));
        assert!(schedule.day_is_due(at("2026-11-22T00:00:00+01:00")));
        assert_eq!(schedule.forget_before(now), at("2026-05-21T00:00:00+02:00"));
    }
}
