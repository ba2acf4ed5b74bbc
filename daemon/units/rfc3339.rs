//! RFC 3339 times, written and read by hand: a result has three of them, a row of calls four, and of a million each counts.
//!
//! The one invariant: what is written is what chrono writes, and what is read is what chrono reads: where the text has not the
//! plain form, chrono is asked.

use super::Timestamp;
use chrono::{DateTime, Datelike, NaiveDate, Offset, TimeZone};
use chrono_tz::Tz;

const MICROS: i64 = 1_000_000;
const SECONDS_A_DAY: i64 = 86_400;

/// Date and time of day in a zone, and the zone's offset then, in seconds east of UTC.
struct Wall {
    date: NaiveDate,
    second: i64,
    micros: i64,
    offset: i64,
}

fn local(at: Timestamp, zone: Tz) -> Option<Wall> {
    let offset = i64::from(zone.offset_from_utc_datetime(&at.utc().naive_utc()).fix().local_minus_utc());
    let seconds = at.micros().div_euclid(MICROS).checked_add(offset)?;
    let days = i32::try_from(seconds.div_euclid(SECONDS_A_DAY)).ok()?.checked_add(719_163)?; // 1970-01-01 from the first of year 1
    let date = NaiveDate::from_num_days_from_ce_opt(days)?;
    Some(Wall { date, second: seconds.rem_euclid(SECONDS_A_DAY), micros: at.micros().rem_euclid(MICROS), offset })
}

/// Appends so many digits of a number.
fn digits(out: &mut Vec<u8>, number: i64, count: u32) {
    for place in (0..count).rev() {
        let digit = number.checked_div(10i64.saturating_pow(place)).unwrap_or(0).rem_euclid(10);
        out.push(b'0'.saturating_add(u8::try_from(digit).unwrap_or(0)));
    }
}

fn date_and_time(out: &mut Vec<u8>, local: &Wall, between: u8) {
    digits(out, i64::from(local.date.year()), 4);
    for part in [local.date.month(), local.date.day()] {
        out.push(b'-');
        digits(out, i64::from(part), 2);
    }
    out.push(between);
    clock(out, local.second);
}

fn clock(out: &mut Vec<u8>, second: i64) {
    digits(out, second / 3_600, 2);
    for part in [second / 60 % 60, second % 60] {
        out.push(b':');
        digits(out, part, 2);
    }
}

/// `2026-03-10T10:00:00.000+01:00`: at least milliseconds, microseconds when there are any.
pub(super) fn write(at: Timestamp, zone: Tz) -> Option<String> {
    let local = local(at, zone)?;
    let mut out = Vec::with_capacity(32);
    date_and_time(&mut out, &local, b'T');
    out.push(b'.');
    if local.micros % 1_000 == 0 {
        digits(&mut out, local.micros / 1_000, 3);
    } else {
        digits(&mut out, local.micros, 6);
    }
    // RFC 3339 knows no seconds in an offset: chrono rounds them, as zones of before 1900 need.
    let minutes = if local.offset % 60 == 0 { local.offset / 60 } else { return None };
    out.push(if minutes < 0 { b'-' } else { b'+' });
    digits(&mut out, minutes.abs() / 60, 2);
    out.push(b':');
    digits(&mut out, minutes.abs() % 60, 2);
    String::from_utf8(out).ok()
}

/// `2026-03-10 10:00:00`, for people.
pub(super) fn write_plain(at: Timestamp, zone: Tz) -> Option<String> {
    let local = local(at, zone)?;
    let mut out = Vec::with_capacity(19);
    date_and_time(&mut out, &local, b' ');
    String::from_utf8(out).ok()
}

/// Microseconds since the epoch, of a text in the plain form `2026-03-10T10:00:00[.123456]Z` or with `+01:00`; `None` for any
/// other, which may be a time all the same.
pub(super) fn read(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let number = |from: usize, count: usize| {
        let part = bytes.get(from..from.checked_add(count)?)?;
        part.iter().try_fold(0i64, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0')))
    };
    let is = |at: usize, sign: u8| bytes.get(at) == Some(&sign);
    let signs = is(4, b'-') && is(7, b'-') && is(10, b'T') && is(13, b':') && is(16, b':');
    let (hour, minute, second) = (number(11, 2)?, number(14, 2)?, number(17, 2)?);
    if !signs || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (year, month, day) = (i32::try_from(number(0, 4)?).ok()?, u32::try_from(number(5, 2)?).ok()?, u32::try_from(number(8, 2)?).ok()?);
    let days = i64::from(NaiveDate::from_ymd_opt(year, month, day)?.num_days_from_ce()) - 719_163;
    let (mut place, mut micros) = (19, 0);
    if is(19, b'.') {
        let count = bytes.get(20..)?.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if !(1..=6).contains(&count) {
            return None;
        }
        micros = number(20, count)? * 10i64.pow(6 - u32::try_from(count).ok()?);
        place = 20 + count;
    }
    let offset = match bytes.get(place..)? {
        [b'Z'] => 0,
        [sign @ (b'+' | b'-'), _, _, b':', _, _] => {
            let (hours, minutes) = (number(place + 1, 2)?, number(place + 4, 2)?);
            let seconds = (hours <= 23 && minutes <= 59).then_some((hours * 60 + minutes) * 60)?;
            if *sign == b'-' { -seconds } else { seconds }
        }
        _ => return None,
    };
    Some((days * SECONDS_A_DAY + hour * 3_600 + minute * 60 + second - offset) * MICROS + micros)
}

/// The same by chrono, for texts in any form that RFC 3339 allows.
pub(super) fn read_any(text: &str) -> Option<i64> {
    read(text).or_else(|| Some(DateTime::parse_from_rfc3339(text).ok()?.timestamp_micros()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::SecondsFormat;
    use chrono_tz::{Africa, America, Asia, Europe};

    #[test]
    fn odd_forms_are_left_to_chrono() {
        for text in ["2026-03-10t10:00:00z", "2026-03-10 10:00:00+01:00", "2026-03-10T10:00:00.1234567Z", "2016-12-31T23:59:60Z"] {
            assert_eq!(read(text), None, "{text}");
        }
        for text in
            ["", "2026-02-30T10:00:00Z", "2026-03-10T24:00:00Z", "2026-03-10T10:00:00", "2026-03-10T10:00:00+1:00", "2026-03-10T10:00:00.Z"]
        {
            assert_eq!(read_any(text), None, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_what_chrono_writes(micros in 0i64..253_402_300_799_999_999, round in 0usize..3, zone in 0usize..5) {
            let zone = [Europe::Berlin, America::St_Johns, Asia::Kathmandu, Africa::Monrovia, chrono_tz::UTC][zone];
            let micros = [micros, micros - micros % 1_000, micros - micros % 1_000_000][round];
            let at = Timestamp::from_micros(micros);
            let there = zone.from_utc_datetime(&at.utc().naive_utc());
            let kind = if micros % 1_000 == 0 { SecondsFormat::Millis } else { SecondsFormat::Micros };
            if let Some(text) = write(at, zone) {
                proptest::prop_assert_eq!(&text, &there.to_rfc3339_opts(kind, false));
                proptest::prop_assert_eq!(read(&text).or_else(|| read_any(&text)), Some(micros));
            }
            proptest::prop_assert_eq!(write_plain(at, zone).expect("a date"), there.format("%Y-%m-%d %H:%M:%S").to_string());
        }

        #[test]
        fn what_is_read_is_what_chrono_reads(text in "[0-2][0-9]{3}-[01][0-9]-[0-3][0-9][Tt ][0-2][0-9]:[0-5][0-9]:[0-6][0-9](\\.[0-9]{0,8})?([Zz]|[+-][0-2][0-9]:[0-6][0-9])?") {
            let by_chrono = DateTime::parse_from_rfc3339(&text).ok().map(|time| time.timestamp_micros());
            if let Some(read) = read(&text) {
                proptest::prop_assert_eq!(Some(read), by_chrono, "{}", text);
            }
        }
    }
}
