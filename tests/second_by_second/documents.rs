//! What the five documents say of time, read off them by hand: their hours, the holidays of Bavaria, VAT, calendar years.

use chrono::{Datelike, Days, NaiveDate, NaiveDateTime, Timelike};
use rust_decimal::Decimal;

/// The public holidays of Bavaria in the years of the stories, from a wall calendar. 2026 stands there whole.
const HOLIDAYS: [&str; 27] = [
    "2020-12-25",
    "2020-12-26",
    "2021-01-01",
    "2021-01-06",
    "2024-01-01",
    "2024-01-06",
    "2024-03-29",
    "2024-04-01", //
    "2025-10-03",
    "2025-11-01",
    "2025-12-25",
    "2025-12-26",
    "2026-01-01",
    "2026-01-06",
    "2026-04-03",
    "2026-04-06", //
    "2026-05-01",
    "2026-05-14",
    "2026-05-25",
    "2026-06-04",
    "2026-10-03",
    "2026-11-01",
    "2026-12-25",
    "2026-12-26", //
    "2027-01-01",
    "2027-01-06",
    "2027-03-26",
];

/// The band of a service at a local time; `None` outside its hours.
pub fn band(tariff: &str, service: &str, local: NaiveDateTime) -> Option<&'static str> {
    let (weekday, time) = (local.weekday().number_from_monday(), local.hour() * 100 + local.minute());
    let holiday = HOLIDAYS.contains(&local.date().to_string().as_str());
    match tariff {
        "support-level" => {
            let band = match (weekday, time) {
                (6 | 7, _) => "weekend",
                (_, 930..1230 | 1330..1700) => "general",
                (_, 800..930 | 1230..1330 | 1700..2200) => "day",
                _ => "night",
            };
            (service == "emergency" || band == "general").then_some(band)
        }
        "support-hours" => match (weekday, time) {
            _ if holiday => None,
            (1..=4, 900..1700) | (5, 900..1200) => Some("hours"),
            _ => None,
        },
        "cash-desk" | "work-units" => Some("always"),
        _ => match (weekday, time) {
            (1..=5, 800..1800) if !holiday => Some("business"),
            _ => Some("outside"),
        },
    }
}

/// 19 percent, and 16 in the second half of 2020.
pub fn vat(day: NaiveDate) -> Decimal {
    Decimal::from(if day.year() == 2020 && day.month() > 6 { 16 } else { 19 })
}

/// Whether a month that is counted from `start` begins on a day: the same day of the month, or the last one it has.
pub fn begins_month(start: NaiveDate, day: NaiveDate) -> bool {
    let is_last = (day + Days::new(1)).month() != day.month();
    day >= start && (day.day() == start.day() || (is_last && day.day() < start.day()))
}

/// The same for years.
pub fn begins_year(start: NaiveDate, day: NaiveDate) -> bool {
    begins_month(start, day) && day.month() == start.month()
}
