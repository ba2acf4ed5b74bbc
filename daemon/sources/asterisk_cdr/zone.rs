//! Local text to UTC, and the check that the configured zone is the one the switch wrote in.
//!
//! Rows name no zone, and a wrong one shifts every bill by an hour or two. The number in `uniqueid` is the UTC second in
//! which the channel was made. Rules, all on differences that are about a multiple of 15 minutes (as zones differ):
//! - a row that begins before its channel was made is a contradiction, whatever the difference above 2 s;
//! - a row that begins such a multiple after its channel was made is one too, unless a row of the same channel has begun
//!   with it (then it is a late part: a failover, a transfer after an hour), or the channel was dialed by the switch
//!   (then its first row begins when a transfer made it lead);
//! - a row whose end minus start, read in the zone, differs from `duration` by such a multiple shows another clock change
//!   than the zone has.
//!
//! Without `uniqueid` (cdr_csv needs `loguniqueid = yes`) only the last rule is left.
//!
//! The invariant: no row is given whose times were contradicted.

use super::super::local::{instants, nearest};
use super::queue_log::unique_id_second;
use crate::units::{Seconds, Timestamp};
use chrono::{NaiveDate, NaiveDateTime};
use chrono_tz::Tz;
use std::collections::VecDeque;

/// How far apart two instants may be that mean the same, each cut to a second, under load.
const SAME: i64 = 2_000_000;

/// How many channels whose first row was right are remembered: those that hung up just now.
const REMEMBERED: usize = 64;

/// How many of them a committed position holds.
const COMMITTED: usize = 16;

/// What the configuration says about the zone, and what the rows so far showed.
#[derive(Clone, Debug)]
pub struct ZoneCheck {
    zone: Tz,
    /// Channels that began with a row, and when their last part ended.
    begun: VecDeque<(Box<str>, Timestamp)>,
}

/// The times of a row as text.
#[derive(Clone, Copy, Debug)]
pub struct LocalTimes<'a> {
    /// `start`.
    pub start: &'a str,
    /// `answer`; empty if never answered.
    pub answer: &'a str,
    /// `end`; may be empty where `duration` is known.
    pub end: &'a str,
    /// `duration`, if the layout has it.
    pub duration: Option<Seconds>,
    /// `billsec`, if the layout has it.
    pub billsec: Option<Seconds>,
}

/// The times of a row in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// When it began.
    pub start: Timestamp,
    /// When it was answered.
    pub answer: Option<Timestamp>,
    /// When it was over.
    pub end: Timestamp,
}

/// Whose row it is.
#[derive(Clone, Copy, Debug)]
pub struct Of<'a> {
    /// The channel's unique id; may be empty.
    pub uniqueid: &'a str,
    /// Whether the switch dialed this channel, so that its rows begin late.
    pub dialed: bool,
}

/// Why a row's times cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// Not a date and time, or one the zone's clock never showed.
    #[error("\"{0}\" is no time of the configured zone")]
    Unreadable(String),
    /// The zone is another.
    #[error("{found}, but {known}; {advice}")]
    Contradiction {
        /// What the text says in the configured zone.
        found: String,
        /// What is known otherwise.
        known: String,
        /// What would have been right.
        advice: String,
    },
}

impl ZoneCheck {
    /// For a file whose times are in this zone.
    #[must_use]
    pub const fn new(zone: Tz) -> Self {
        Self { zone, begun: VecDeque::new() }
    }

    /// The channels that began just now: they go into the committed position, so that a restart between two parts of a
    /// call does not take the later one for a contradiction.
    #[must_use]
    pub fn memory(&self) -> Vec<(Box<str>, Timestamp)> {
        self.begun.iter().rev().take(COMMITTED).rev().cloned().collect()
    }

    /// Goes on with what [`ZoneCheck::memory`] gave.
    pub fn resume(&mut self, begun: Vec<(Box<str>, Timestamp)>) {
        self.begun.extend(begun.into_iter().take(REMEMBERED));
    }

    /// The times of a row in UTC, checked. In the hour that comes twice, `uniqueid` settles which one is meant; without
    /// it, the reading that fits `duration` best, then the earlier.
    ///
    /// # Errors
    /// When a text is unreadable, or the row contradicts the zone.
    pub fn read(&mut self, times: LocalTimes<'_>, of: Of<'_>) -> Result<Times, Wrong> {
        let starts = self.candidates(times.start)?;
        let made = unique_id_second(of.uniqueid);
        let ends = if times.end.is_empty() { Vec::new() } else { self.candidates(times.end)? };
        let misfit = |start: Timestamp| match times.duration {
            Some(duration) => nearest(&ends, start.plus(duration)).map_or(0, |end| end.since(start.plus(duration)).abs()),
            None => 0,
        };
        let start = match made.filter(|made| starts.iter().any(|start| fits(start.since(*made)))) {
            Some(made) => nearest(&starts, made),
            None => {
                // A later part begins where the one before it ended.
                let after = self.last_end(of.uniqueid).unwrap_or_default();
                let gap = |start: Timestamp| start.since(after).abs();
                starts.iter().copied().min_by_key(|start| (misfit(*start), early(*start, made), gap(*start)))
            }
        };
        let start = start.ok_or_else(|| Wrong::Unreadable(times.start.to_owned()))?;
        self.check_start(start, times.start, made, of)?;
        let end = match (times.duration, ends.is_empty()) {
            (Some(duration), false) => nearest(&ends, start.plus(duration)),
            (Some(duration), true) => Some(start.plus(duration)),
            (None, _) => ends.iter().copied().find(|end| *end >= start),
        };
        let end = end.ok_or_else(|| Wrong::Unreadable(times.end.to_owned()))?;
        self.check_end(start, end, times)?;
        if let Some((_, until)) = self.begun.iter_mut().rev().find(|(known, _)| **known == *of.uniqueid) {
            *until = end;
        }
        let answer = match (times.answer.is_empty(), times.billsec) {
            (true, _) => None,
            (false, billsec) => {
                let about = end.plus_micros(-micros(billsec.unwrap_or(Seconds::ZERO)));
                let answers = self.candidates(times.answer)?;
                Some(nearest(&answers, about).ok_or_else(|| Wrong::Unreadable(times.answer.to_owned()))?)
            }
        };
        Ok(Times { start, answer, end })
    }

    /// Both readings of a local time where the clock showed it twice, none where it skipped it.
    fn candidates(&self, text: &str) -> Result<Vec<Timestamp>, Wrong> {
        let local = date_and_time(text).or_else(|| NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").ok());
        let local = local.ok_or_else(|| Wrong::Unreadable(text.to_owned()))?;
        let found = instants(self.zone, local);
        if found.is_empty() { Err(Wrong::Unreadable(text.to_owned())) } else { Ok(found) }
    }

    fn last_end(&self, uniqueid: &str) -> Option<Timestamp> {
        self.begun.iter().rev().find(|(known, _)| **known == *uniqueid).map(|(_, until)| *until)
    }

    fn check_start(&mut self, start: Timestamp, text: &str, made: Option<Timestamp>, of: Of<'_>) -> Result<(), Wrong> {
        let Some(made) = made else { return Ok(()) };
        let late = start.since(made);
        if fits(late) {
            if self.last_end(of.uniqueid).is_none() {
                self.begun.push_back((of.uniqueid.into(), start));
                if self.begun.len() > REMEMBERED {
                    self.begun.pop_front();
                }
            }
            return Ok(());
        }
        let excused = of.dialed || self.last_end(of.uniqueid).is_some();
        if late > 0 && (excused || !is_zone_step(late)) {
            return Ok(());
        }
        Err(Wrong::Contradiction {
            found: format!("start \"{text}\" in {} is {}", self.zone, short(start)),
            known: format!("uniqueid {} says that its channel was made at {}", of.uniqueid, short(made)),
            advice: self.advice(text, made),
        })
    }

    fn check_end(&self, start: Timestamp, end: Timestamp, times: LocalTimes<'_>) -> Result<(), Wrong> {
        let Some(duration) = times.duration else { return Ok(()) };
        let off = end.since(start.plus(duration));
        if fits(off) || !is_zone_step(off) {
            return Ok(());
        }
        Err(Wrong::Contradiction {
            found: format!(
                "start \"{}\" and end \"{}\" are {} s apart in {}",
                times.start,
                times.end,
                end.since(start) / 1_000_000,
                self.zone
            ),
            known: format!("duration is {} s", duration.get()),
            advice: format!("the switch changed its clock when {} did not: set timezone to the zone of its /etc/localtime", self.zone),
        })
    }

    /// What to set instead, found by reading the same text otherwise.
    fn advice(&self, text: &str, made: Timestamp) -> String {
        for (zone, why) in [(Tz::UTC, " (usegmtime = yes)"), (Tz::Europe__Berlin, "")] {
            let reads = Self::new(zone).candidates(text).unwrap_or_default();
            if zone != self.zone && reads.iter().any(|start| fits(start.since(made))) {
                return format!("set timezone = \"{zone}\"{why}");
            }
        }
        let utc = Self::new(Tz::UTC).candidates(text).unwrap_or_default();
        let minutes = utc.first().map_or(0, |start| start.since(made).saturating_add(SAME).div_euclid(60_000_000));
        let sign = if minutes < 0 { '-' } else { '+' };
        let (hours, rest) = (minutes.abs() / 60, minutes.abs() % 60);
        format!("set timezone to one that is UTC{sign}{hours:02}:{rest:02} at that time")
    }
}

/// `2026-01-31 23:59:59`, in digits and separators at their places, as Asterisk writes it; `None` for anything else.
fn date_and_time(text: &str) -> Option<NaiveDateTime> {
    let octets: &[u8; 19] = text.as_bytes().try_into().ok()?;
    let [y, e, a, r, b'-', m, o, b'-', d, i, b' ', h, u, b':', n, j, b':', s, c] = *octets else { return None };
    let number = |digits: &[u8]| {
        digits.iter().try_fold(0_u32, |number, digit| Some(number * 10 + u32::from(digit.is_ascii_digit().then_some(digit - b'0')?)))
    };
    let date = NaiveDate::from_ymd_opt(i32::try_from(number(&[y, e, a, r])?).ok()?, number(&[m, o])?, number(&[d, i])?)?;
    // A leap second is a matter for the longer way.
    date.and_hms_opt(number(&[h, u])?, number(&[n, j])?, number(&[s, c])?)
}

/// Whether two instants mean the same.
const fn fits(difference: i64) -> bool {
    difference.abs() <= SAME
}

/// Prefers a start that is not before its channel.
fn early(start: Timestamp, made: Option<Timestamp>) -> bool {
    made.is_some_and(|made| start.since(made) < -SAME)
}

/// Whether two clocks of different zones could differ so: about a multiple of 15 minutes, at most 26 hours.
const fn is_zone_step(difference: i64) -> bool {
    let quarter = 900_000_000;
    let rest = difference.rem_euclid(quarter);
    difference.abs() <= 26 * 3_600_000_000 + SAME && (rest <= SAME || rest >= quarter - SAME)
}

fn micros(span: Seconds) -> i64 {
    Timestamp::default().plus(span).micros()
}

fn short(time: Timestamp) -> String {
    time.utc().format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MADE: i64 = 1_795_291_963;

    /// The verdict on rows (start, answer, end, duration, billsec, uniqueid) in one file of a zone: how many were taken
    /// before a contradiction, and what that said.
    fn check(zone: Tz, rows: &[(&str, &str, &str, u64, u64, &str)]) -> (Vec<Times>, Option<String>) {
        let mut checker = ZoneCheck::new(zone);
        let mut taken = Vec::new();
        for (start, answer, end, duration, billsec, uniqueid) in rows {
            let (duration, billsec) = (Some(Seconds::new(*duration)), Some(Seconds::new(*billsec)));
            match checker.read(LocalTimes { start, answer, end, duration, billsec }, Of { uniqueid, dialed: false }) {
                Ok(times) => taken.push(times),
                Err(wrong) => return (taken, Some(wrong.to_string())),
            }
        }
        (taken, None)
    }

    #[test]
    fn the_right_zone_passes_and_wrong_ones_say_what_to_set() {
        let row = ("2026-11-21 21:12:43", "2026-11-21 21:12:46", "2026-11-21 21:12:53", 9, 7, "1795291963.7");
        let (times, wrong) = check(Tz::Europe__Berlin, &[row]);
        assert_eq!((times.first().map(|times| times.start.micros()), wrong), (Some(MADE * 1_000_000), None));
        let (_, wrong) = check(Tz::UTC, &[row]);
        assert!(wrong.is_some_and(|text| text.ends_with("set timezone = \"Europe/Berlin\"")));
        let utc = ("2026-11-21 20:12:43", "", "2026-11-21 20:12:53", 9, 0, "1795291963.7");
        let (_, wrong) = check(Tz::Europe__Berlin, &[utc]);
        assert!(wrong.is_some_and(|text| text.ends_with("set timezone = \"UTC\" (usegmtime = yes)")));
        let (_, wrong) = check(Tz::Asia__Kolkata, &[utc]);
        assert!(wrong.is_some());
    }

    #[test]
    fn late_parts_pass_behind_their_first_row_only() {
        let first = ("2026-11-21 21:12:43", "", "2026-11-21 21:12:49", 6, 0, "1795291963.7");
        let failover = ("2026-11-21 21:12:49", "", "2026-11-21 22:12:43", 3594, 0, "1795291963.7");
        let transfer = ("2026-11-21 22:12:43", "2026-11-21 22:12:43", "2026-11-21 22:12:53", 10, 10, "1795291963.7");
        assert_eq!(check(Tz::Europe__Berlin, &[first, failover, transfer]).1, None);
        assert_eq!(check(Tz::Europe__Berlin, &[failover]).1, None);
        assert!(check(Tz::Europe__Berlin, &[transfer]).1.is_some());
        let other = ("2026-11-21 22:12:43", "", "2026-11-21 22:12:53", 10, 0, "1795291963.8");
        assert!(check(Tz::Europe__Berlin, &[first, other]).1.is_some());
    }

    #[test]
    fn a_channel_that_was_dialed_begins_late() {
        let times = LocalTimes {
            start: "2026-11-21 22:12:43",
            answer: "2026-11-21 22:12:43",
            end: "2026-11-21 22:12:53",
            duration: Some(Seconds::new(10)),
            billsec: Some(Seconds::new(10)),
        };
        for (dialed, zone, taken) in [(true, Tz::Europe__Berlin, true), (false, Tz::Europe__Berlin, false), (true, Tz::Asia__Tokyo, false)]
        {
            let read = ZoneCheck::new(zone).read(times, Of { uniqueid: "1795291963.7", dialed });
            assert_eq!(read.is_ok(), taken, "{dialed} {zone}");
        }
        // What was seen before a restart excuses what comes after it.
        let mut before = ZoneCheck::new(Tz::Europe__Berlin);
        let first = LocalTimes { start: "2026-11-21 21:12:43", answer: "", duration: Some(Seconds::new(3_610)), ..times };
        assert!(before.read(first, Of { uniqueid: "1795291963.7", dialed: false }).is_ok());
        let mut after = ZoneCheck::new(Tz::Europe__Berlin);
        after.resume(before.memory());
        assert!(after.read(times, Of { uniqueid: "1795291963.7", dialed: false }).is_ok());
    }

    #[test]
    fn the_hour_that_comes_twice_is_settled_by_uniqueid() {
        // 2026-10-25 02:30 CEST is 00:30 UTC, 02:30 CET is 01:30 UTC.
        for (uniqueid, start, end) in [("1792888200.1", 1_792_888_200, 1_792_888_260), ("1792891800.1", 1_792_891_800, 1_792_891_860)] {
            let row = ("2026-10-25 02:30:00", "2026-10-25 02:30:30", "2026-10-25 02:31:00", 60, 30, uniqueid);
            let (times, wrong) = check(Tz::Europe__Berlin, &[row]);
            let found = times.first().map(|times| (times.start.micros() / 1_000_000, times.end.micros() / 1_000_000));
            assert_eq!((found, wrong), (Some((start, end)), None));
            assert_eq!(times.first().and_then(|times| times.answer).map(|at| at.micros() / 1_000_000), Some(start + 30));
        }
        // Over the change: ends an hour before it begins, by the text.
        let row = ("2026-10-25 02:59:30", "2026-10-25 02:59:40", "2026-10-25 02:00:30", 60, 50, "1792889970.1");
        let (times, wrong) = check(Tz::Europe__Berlin, &[row]);
        assert_eq!(times.first().map(|times| times.end.since(times.start)), Some(60_000_000));
        assert_eq!(wrong, None);
        let row = ("2026-03-29 01:59:30", "2026-03-29 01:59:30", "2026-03-29 03:00:30", 60, 60, "1774745970.1");
        let (times, wrong) = check(Tz::Europe__Berlin, &[row]);
        assert_eq!(times.first().map(|times| times.end.since(times.start)), Some(60_000_000));
        assert_eq!(wrong, None);
    }

    #[test]
    fn a_clock_change_that_the_zone_does_not_know_is_refused() {
        let row = ("2026-11-21 21:21:53", "2026-11-21 21:21:53", "2026-11-21 22:22:10", 17, 17, "1795292513.114");
        assert!(check(Tz::Europe__Berlin, &[row]).1.is_some_and(|text| text.contains("duration is 17 s")));
    }

    #[test]
    fn a_time_that_never_was_is_unreadable() {
        assert!(check(Tz::Europe__Berlin, &[("2026-03-29 02:30:00", "", "2026-03-29 03:30:00", 60, 0, "")]).1.is_some());
        assert!(check(Tz::Europe__Berlin, &[("yesterday", "", "", 60, 0, "")]).1.is_some());
    }
}
