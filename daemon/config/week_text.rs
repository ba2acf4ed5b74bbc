//! The week of a service as a plan sells it, as lines for people: hours and bands, gaps.

use super::bands::YEARS_AHEAD;
use crate::tariff::{BandId, Service, Stretch, Tariff, monday_of};
use chrono::{Datelike, Days, NaiveDate};
use std::collections::BTreeSet;
use std::fmt::Write;

/// The table of a service of which some bands are sold, from a day on.
pub(super) fn table(tariff: &Tariff, sold: &[BandId], service: &Service, from: NaiveDate) -> String {
    let mut text = String::new();
    let week = &service.week;
    let shown = |day: NaiveDate| day_line(tariff, sold, service, day);
    for (days, line) in ordinary_days(tariff, from, shown) {
        let _ = writeln!(text, "{days:<9} {line}");
    }
    if week.names_holidays() {
        let mut known = BTreeSet::new();
        let days = from.iter_days().take(366).filter(|day| tariff.calendar.is_holiday(*day));
        for (day, line) in days.map(|day| (day, shown(day))).filter(|(_, line)| known.insert(line.clone())) {
            let _ = writeln!(text, "{:<9} {line}  (as on {day})", "PH");
        }
    }
    let mut gaps: Vec<(Stretch, NaiveDate, BTreeSet<u32>)> = Vec::new();
    for gap in week.gaps(&tariff.calendar, from, YEARS_AHEAD) {
        // What is so on a holiday of any weekday is one thing.
        let holiday = week.names_holidays() && tariff.calendar.is_holiday(gap.on);
        let weekday = if holiday { HOLIDAY } else { gap.on.weekday().num_days_from_monday() };
        match gaps.iter_mut().find(|(at, _, days)| *at == gap.at && days.contains(&HOLIDAY) == holiday) {
            Some((_, _, days)) => {
                days.insert(weekday);
            }
            None => gaps.push((gap.at, gap.on, BTreeSet::from([weekday]))),
        }
    }
    let declared = !gaps.is_empty();
    for (at, on, days) in gaps {
        let _ = writeln!(text, "gap       {:<9} {}, first on {on}", named(&days), clock(at));
    }
    if declared {
        let _ = writeln!(text, "          a call that begins in a gap is not billed, its outcome is `uncovered`");
    }
    text
}

/// Among weekdays: a public holiday.
const HOLIDAY: u32 = 7;

/// `Mo-Fr`, `Sa-Su`, `Mo, We`, `PH`.
fn named(days: &BTreeSet<u32>) -> String {
    let name = |day: u32| DAYS.get(usize::try_from(day).unwrap_or(7)).copied().unwrap_or("PH");
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for day in days {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == *day && *day != HOLIDAY => *last = *day,
            _ => runs.push((*day, *day)),
        }
    }
    let names: Vec<String> = runs
        .into_iter()
        .map(|(first, last)| if first == last { name(first).to_owned() } else { format!("{}-{}", name(first), name(last)) })
        .collect();
    names.join(", ")
}

const DAYS: [&str; 7] = ["Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"];

/// The days of an ordinary week, those alike and next to each other on one line.
fn ordinary_days(tariff: &Tariff, from: NaiveDate, shown: impl Fn(NaiveDate) -> String) -> Vec<(String, String)> {
    // The first week without a holiday, its Sunday before included: there nothing spills in from one.
    let quiet = |monday: &NaiveDate| {
        let before = monday.pred_opt().unwrap_or(*monday);
        !before.iter_days().take(8).any(|day| tariff.calendar.is_holiday(day))
    };
    let mondays = monday_of(from).iter_weeks().skip(1).take(520);
    let monday = mondays.into_iter().find(quiet).unwrap_or(from);
    let mut runs: Vec<(usize, usize, String)> = Vec::new();
    for index in 0..7usize {
        let day = monday.checked_add_days(Days::new(index as u64)).unwrap_or(monday);
        let line = shown(day);
        match runs.last_mut() {
            Some((_, last, known)) if *known == line => *last = index,
            _ => runs.push((index, index, line)),
        }
    }
    let label = |first: usize, last: usize| match (DAYS.get(first), DAYS.get(last)) {
        (Some(first), Some(last)) if first != last => format!("{first}-{last}"),
        (Some(first), _) => (*first).to_owned(),
        _ => String::new(),
    };
    runs.into_iter().map(|(first, last, line)| (label(first, last), line)).collect()
}

/// `08:00-09:30 day · 09:30-12:30 general`; a band that is not sold says so.
fn day_line(tariff: &Tariff, sold: &[BandId], service: &Service, day: NaiveDate) -> String {
    let parts: Vec<String> = service
        .week
        .day(&tariff.calendar, day)
        .into_iter()
        .map(|(at, band)| {
            let name = tariff.band_name(band);
            if sold.contains(&band) { format!("{} {name}", clock(at)) } else { format!("{} {name} (not sold: `uncovered`)", clock(at)) }
        })
        .collect();
    if parts.is_empty() { "not sold".to_owned() } else { parts.join(" · ") }
}

fn clock(at: Stretch) -> String {
    format!("{:02}:{:02}-{:02}:{:02}", at.from / 60, at.from % 60, at.to / 60, at.to % 60)
}
