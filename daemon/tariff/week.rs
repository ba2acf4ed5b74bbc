//! The week of a service: which band it is at each minute of each kind of day.
//!
//! The one invariant: one band per minute, the one whose span began today before one that began yesterday. Overlaps of
//! different bands are found here, and refused when a tariff is read; gaps must be declared there.

use super::bands::{DAY_MINUTES, DayClass, Hours};
use super::{BandId, Calendar};
use chrono::{Datelike, Days, NaiveDate};
use std::collections::BTreeSet;
use std::fmt;

/// No band; a tariff has fewer than 255.
const NONE: u8 = u8::MAX;

/// A service's bands, compiled.
#[derive(Clone, PartialEq, Eq)]
pub struct Week {
    /// Band of each minute by spans that begin on that kind of day.
    own: Box<[[u8; 1_440]; DayClass::COUNT]>,
    /// Band of each minute of the day after, by spans that go on over midnight.
    spill: Box<[[u8; 1_440]; DayClass::COUNT]>,
    spills: bool,
    names_holidays: bool,
    bands: Vec<(BandId, Hours)>,
}

/// A stretch of one day in which something holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stretch {
    /// The first minute of the day.
    pub from: u16,
    /// The first minute after it, at most 1440.
    pub to: u16,
}

/// Minutes that belong to no band, and the first day on which they occur.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The day.
    pub on: NaiveDate,
    /// When.
    pub at: Stretch,
}

/// Minutes that belong to two bands, and the first day on which they occur.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overlap {
    /// The day.
    pub on: NaiveDate,
    /// When.
    pub at: Stretch,
    /// The band whose rule is first in the file.
    pub first: BandId,
    /// The other.
    pub second: BandId,
}

impl Week {
    /// Compiles the bands of a service; where they overlap, the one listed first counts (a reader refuses such a tariff).
    #[must_use]
    pub fn new(bands: Vec<(BandId, Hours)>) -> Self {
        let empty = || Box::new([[NONE; 1_440]; DayClass::COUNT]);
        let mut week = Self { own: empty(), spill: empty(), spills: false, names_holidays: false, bands: Vec::new() };
        for (band, hours) in &bands {
            week.names_holidays |= hours.names_holidays();
            for class in classes() {
                for span in hours.on(class) {
                    fill(&mut week.own[class.index()], span.from(), span.to().min(DAY_MINUTES), band.0);
                    if let Some(to) = span.to().checked_sub(DAY_MINUTES).filter(|to| *to > 0) {
                        week.spills = true;
                        fill(&mut week.spill[class.index()], span.from().saturating_sub(DAY_MINUTES), to, band.0);
                    }
                }
            }
        }
        week.bands = bands;
        week
    }

    /// The band at a minute (0 to 1439) of a day.
    #[must_use]
    pub fn band(&self, calendar: &Calendar, day: NaiveDate, minute: u16) -> Option<BandId> {
        let minute = usize::from(minute);
        let of = |table: &[[u8; 1_440]; DayClass::COUNT], day: NaiveDate| {
            let band = *table.get(self.class(calendar, day).index())?.get(minute)?;
            (band != NONE).then_some(BandId(band))
        };
        let own = of(&self.own, day);
        if own.is_some() || !self.spills {
            return own;
        }
        of(&self.spill, day.pred_opt()?)
    }

    /// Whether the bands name public holidays, so that a calendar decides.
    #[must_use]
    pub const fn names_holidays(&self) -> bool {
        self.names_holidays
    }

    /// The hours of each band, in file order.
    #[must_use]
    pub fn bands(&self) -> &[(BandId, Hours)] {
        &self.bands
    }

    /// The stretches of one day with their band, without those of none.
    #[must_use]
    pub fn day(&self, calendar: &Calendar, day: NaiveDate) -> Vec<(Stretch, BandId)> {
        let found = self.stretches(calendar, day, |minute| self.band(calendar, day, minute));
        found.into_iter().filter_map(|(stretch, band)| Some((stretch, band?))).collect()
    }

    /// The minutes of no band, each with the first day from `from` on (within `years` of it).
    #[must_use]
    pub fn gaps(&self, calendar: &Calendar, from: NaiveDate, years: u32) -> Vec<Gap> {
        let mut known: BTreeSet<(DayClass, Stretch)> = BTreeSet::new();
        let mut gaps = Vec::new();
        for (on, _, class) in self.kinds_of_days(calendar, from, years) {
            for (at, band) in self.stretches(calendar, on, |minute| self.band(calendar, on, minute)) {
                if band.is_none() && known.insert((class, at)) {
                    gaps.push(Gap { on, at });
                }
            }
        }
        gaps
    }

    /// The minutes of two bands, each pair with the first day from `from` on (within `years` of it).
    #[must_use]
    pub fn overlaps(&self, calendar: &Calendar, from: NaiveDate, years: u32) -> Vec<Overlap> {
        let mut known: BTreeSet<(BandId, BandId)> = BTreeSet::new();
        let mut overlaps = Vec::new();
        for (on, before, class) in self.kinds_of_days(calendar, from, years) {
            let both = |minute: u16| {
                let mut found = self.bands.iter().filter(|(_, hours)| covers(hours, before, class, minute)).map(|(band, _)| *band);
                Some((found.next()?, found.next()?))
            };
            for (at, bands) in self.stretches(calendar, on, both) {
                if let Some((first, second)) = bands.filter(|pair| known.insert(*pair)) {
                    overlaps.push(Overlap { on, at, first, second });
                }
            }
        }
        overlaps
    }

    /// Runs of minutes of a day with the same value, where that changes only where a span begins or ends.
    fn stretches<T: PartialEq>(&self, calendar: &Calendar, day: NaiveDate, value: impl Fn(u16) -> T) -> Vec<(Stretch, T)> {
        let mut edges = BTreeSet::from([0]);
        let classes = [Some(day), day.pred_opt()].into_iter().flatten().map(|day| self.class(calendar, day));
        for span in classes.flat_map(|class| self.bands.iter().flat_map(move |(_, hours)| hours.on(class))) {
            edges.extend([span.from(), span.to()].map(|minute| minute.checked_rem(DAY_MINUTES).unwrap_or(0)));
        }
        let mut runs: Vec<(Stretch, T)> = Vec::new();
        let ends = edges.iter().skip(1).copied().chain([DAY_MINUTES]);
        for (from, to) in edges.iter().copied().zip(ends) {
            let value = value(from);
            match runs.last_mut() {
                Some((stretch, known)) if *known == value => stretch.to = to,
                _ => runs.push((Stretch { from, to }, value)),
            }
        }
        runs
    }

    /// The first day of each pair (day before, day) of kinds that occurs, in order of the calendar.
    fn kinds_of_days(&self, calendar: &Calendar, from: NaiveDate, years: u32) -> Vec<(NaiveDate, DayClass, DayClass)> {
        let mut known = BTreeSet::new();
        let mut kinds = Vec::new();
        // Without holidays every week is like the first; its Sunday decides how the next Monday begins.
        let days = if self.names_holidays { usize::try_from(years).unwrap_or(0).saturating_mul(366) } else { 8 };
        let Some(mut before) = from.pred_opt().map(|day| self.class(calendar, day)) else { return kinds };
        for day in from.iter_days().take(days) {
            let class = self.class(calendar, day);
            if known.insert((before, class)) {
                kinds.push((day, before, class));
            }
            before = class;
        }
        kinds
    }

    fn class(&self, calendar: &Calendar, day: NaiveDate) -> DayClass {
        DayClass::new(day.weekday(), self.names_holidays && calendar.is_holiday(day))
    }
}

impl fmt::Debug for Week {
    /// The bands: the minutes follow from them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Week").field("bands", &self.bands).finish_non_exhaustive()
    }
}

/// The Monday of a day's week: where a printed week begins.
#[must_use]
pub fn monday_of(day: NaiveDate) -> NaiveDate {
    day.checked_sub_days(Days::new(u64::from(day.weekday().num_days_from_monday()))).unwrap_or(day)
}

fn covers(hours: &Hours, before: DayClass, class: DayClass, minute: u16) -> bool {
    let tomorrow = minute.saturating_add(DAY_MINUTES);
    hours.on(class).iter().any(|span| span.from() <= minute && minute < span.to())
        || hours.on(before).iter().any(|span| span.from() <= tomorrow && tomorrow < span.to())
}

fn classes() -> impl Iterator<Item = DayClass> {
    use chrono::Weekday::{Fri, Mon, Sat, Sun, Thu, Tue, Wed};
    [false, true].into_iter().flat_map(|holiday| [Mon, Tue, Wed, Thu, Fri, Sat, Sun].map(|weekday| DayClass::new(weekday, holiday)))
}

fn fill(minutes: &mut [u8; 1_440], from: u16, to: u16, band: u8) {
    for cell in minutes.get_mut(usize::from(from)..usize::from(to)).into_iter().flatten().filter(|cell| **cell == NONE) {
        *cell = band;
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::*;
    use crate::tariff::{Service, Tariff};
    use crate::units::{Currency, PriceKind, Seconds, Timestamp};

    fn day(text: &str) -> NaiveDate {
        text.parse().expect("a date")
    }

    fn tariff(calendar: &str, bands: &[(&str, &str)]) -> Tariff {
        let names: Vec<Box<str>> = bands.iter().map(|(name, _)| (*name).into()).collect();
        let compiled: Vec<_> = bands.iter().zip(0u8..).map(|((_, text), id)| (BandId(id), Hours::parse(text).expect(text))).collect();
        let service = Service { name: "s".into(), bands: compiled.iter().map(|(id, _)| *id).collect(), week: Week::new(compiled) };
        Tariff {
            name: "t".into(),
            file: "t.toml".into(),
            currency: Currency::EUR,
            prices: PriceKind::Net,
            zone: chrono_tz::Europe::Berlin,
            calendar: Calendar::parse(calendar).expect("known"),
            vat: Vec::new(),
            incident_window: Seconds::ZERO,
            default_severity: None,
            bands: names,
            services: vec![service],
            plans: Vec::new(),
        }
    }

    fn band<'t>(tariff: &'t Tariff, at: &str) -> &'t str {
        let at = Timestamp::parse_rfc3339(at).expect("a time");
        tariff.band_at(&tariff.services[0], at).map_or("-", |band| tariff.band_name(band))
    }

    const EMERGENCY: [(&str, &str); 4] = [
        ("general", "Mo-Fr 09:30-12:30,13:30-17:00"),
        ("day", "Mo-Fr 08:00-09:30,12:30-13:30,17:00-22:00"),
        ("night", "Mo-Fr 00:00-08:00,22:00-24:00"),
        ("weekend", "Sa-Su 00:00-24:00"),
    ];

    #[test]
    fn an_instant_has_the_band_of_its_local_time() {
        let emergency = tariff("DE-BY", &EMERGENCY);
        let shift = tariff("DE-BY", &[("late", "Mo-Fr 22:00-08:00; PH off"), ("open", "Mo-Fr 08:00-22:00; PH off")]);
        for (tariff, at, expected) in [
            (&emergency, "2026-03-13T21:59:59.999+01:00", "day"),
            (&emergency, "2026-03-13T22:00:00+01:00", "night"),
            (&emergency, "2026-03-14T00:00:00+01:00", "weekend"),
            (&emergency, "2026-03-10T12:29:59+01:00", "general"),
            (&emergency, "2026-03-10T12:30:00+01:00", "day"),
            // A span belongs to the day it begins on: 6 January (Tuesday) is a holiday in Bavaria.
            (&shift, "2026-01-06T07:00:00+01:00", "late"), // began on Monday
            (&shift, "2026-01-06T12:00:00+01:00", "-"),
            (&shift, "2026-01-06T23:00:00+01:00", "-"),
            (&shift, "2026-01-07T07:00:00+01:00", "-"), // would have begun on the holiday
            (&shift, "2026-01-07T08:00:00+01:00", "open"),
            (&shift, "2026-01-10T07:59:00+01:00", "late"), // Friday's, on Saturday
            (&shift, "2026-01-10T08:00:00+01:00", "-"),
        ] {
            assert_eq!(band(tariff, at), expected, "{at}");
        }
    }

    #[test]
    fn both_clock_changes_are_seen() {
        let nights = tariff("DE-BY", &[("early", "Mo-Su 00:00-02:30"), ("late", "Mo-Su 02:30-24:00")]);
        for (at, expected) in [
            // 2026-03-29: 02:00 does not exist; 01:59:59 is followed by 03:00.
            ("2026-03-29T01:59:59+01:00", "early"),
            ("2026-03-29T03:00:00+02:00", "late"),
            // 2026-10-25: 02:00 to 03:00 is twice.
            ("2026-10-25T02:29:59+02:00", "early"),
            ("2026-10-25T02:30:00+02:00", "late"),
            ("2026-10-25T02:59:59+02:00", "late"),
            ("2026-10-25T02:00:00+01:00", "early"),
            ("2026-10-25T02:29:59+01:00", "early"),
            ("2026-10-25T02:30:00+01:00", "late"),
        ] {
            assert_eq!(band(&nights, at), expected, "{at}");
        }
        // Elapsed minutes of `early` on three days: the hour skipped is not counted, the one repeated is counted twice.
        for (first, last, minutes) in [
            ("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z", 120),
            ("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z", 180),
            ("2026-07-01T22:00:00Z", "2026-07-02T22:00:00Z", 150),
        ] {
            let (mut at, end) = (Timestamp::parse_rfc3339(first).expect("a time"), Timestamp::parse_rfc3339(last).expect("a time"));
            let mut found = 0;
            while at < end {
                found += i32::from(nights.band_at(&nights.services[0], at) == Some(BandId(0)));
                at = at.plus(Seconds::new(60));
            }
            assert_eq!(found, minutes, "{first}");
        }
    }

    /// The slow, obvious reading of a rule list: for each minute, ask the day itself, then the day before.
    #[test]
    fn every_minute_of_two_years_agrees_with_a_slow_reading() {
        type Row = (&'static str, &'static [u32], &'static [(u32, u32)], bool); // text, weekdays, spans, open on holidays
        let rows: [Row; 3] = [
            ("Mo-Fr 22:00-06:00; PH off", &[0, 1, 2, 3, 4], &[(1320, 1800)], false),
            ("Mo-Fr 09:00-12:00,13:00-17:00; PH 10:00-12:00", &[0, 1, 2, 3, 4], &[(540, 720), (780, 1020)], true),
            ("Sa-Mo 20:00-19:00", &[5, 6, 0], &[(1200, 2580)], false),
        ];
        for (text, weekdays, spans, on_holidays) in rows {
            let tariff = tariff("DE-SN", &[("b", text)]);
            let on = |day: NaiveDate, minute: u32| {
                let holiday = text.contains("PH") && tariff.calendar.is_holiday(day);
                let spans: &[(u32, u32)] = match (holiday, on_holidays) {
                    (true, true) => &[(600, 720)],
                    (true, false) => &[],
                    (false, _) if weekdays.contains(&day.weekday().num_days_from_monday()) => spans,
                    (false, _) => &[],
                };
                spans.iter().any(|(from, to)| *from <= minute && minute < *to)
            };
            let mut at = Timestamp::parse_rfc3339("2025-12-31T00:00:00Z").expect("a time");
            for _ in 0..2 * 365 * 1_440 / 7 {
                let local = crate::tariff::local::local_time(tariff.zone, at);
                let minute = chrono::Timelike::num_seconds_from_midnight(&local) / 60;
                let slow = on(local.date(), minute) || on(local.date().pred_opt().expect("a day"), minute + 1_440);
                assert_eq!(tariff.band_at(&tariff.services[0], at).is_some(), slow, "{text} at {local}");
                at = at.plus(Seconds::new(7 * 60));
            }
        }
    }

    #[test]
    fn gaps_and_overlaps_have_a_first_day() {
        let check = |bands: &[(&str, &str)], gaps: &[&str], overlaps: &[&str]| {
            let tariff = tariff("DE-BY", bands);
            let week = &tariff.services[0].week;
            let time = |at: Stretch| format!("{:02}:{:02}-{:02}:{:02}", at.from / 60, at.from % 60, at.to / 60, at.to % 60);
            let found: Vec<_> = week
                .gaps(&tariff.calendar, day("2026-01-01"), 2)
                .into_iter()
                .take(4)
                .map(|gap| format!("{} {}", gap.on, time(gap.at)))
                .collect();
            assert_eq!(found, gaps, "{bands:?}");
            let name = |band| tariff.band_name(band);
            let found: Vec<_> = week
                .overlaps(&tariff.calendar, day("2026-01-01"), 2)
                .into_iter()
                .map(|both| format!("{} {} {}/{}", both.on, time(both.at), name(both.first), name(both.second)))
                .collect();
            assert_eq!(found, overlaps, "{bands:?}");
        };
        check(&EMERGENCY, &[], &[]);
        check(
            &[("all", "24/7; Su 00:00-23:00; PH off")],
            &["2026-01-01 00:00-24:00", "2026-01-04 23:00-24:00", "2026-01-06 00:00-24:00", "2026-04-03 00:00-24:00"],
            &[],
        );
        check(&[("a", "24/7"), ("b", "We 10:00-11:00")], &[], &["2026-01-07 10:00-11:00 a/b"]);
        // Friday's night runs into Saturday, which the weekend claims too.
        check(
            &[("night", "Mo-Fr 22:00-08:00"), ("day", "Mo-Fr 08:00-22:00"), ("end", "Sa-Su 00:00-24:00")],
            &["2026-01-05 00:00-08:00"],
            &["2026-01-03 00:00-08:00 night/end"],
        );
    }
}
