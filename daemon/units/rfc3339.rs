//! RFC 3339 times, written and read by hand: a result has three of them, a row of calls four, and of a million each counts.
//!
//! The one invariant: what is written is what chrono writes, and what is read is what chrono reads: where the text has not the
//! plain form, chrono is asked.

use super::Timestamp;
use super::text::write_padded;
use chrono::{DateTime, Datelike, NaiveDate, Offset, TimeZone};
use chrono_tz::Tz;

const MICROS: i64 = 1_000_000;
const SECONDS_A_DAY: i64 = 86_400;

/// Days from the first of year 1 to 1970-01-01.
const DAYS_TO_1970: i32 = 719_163;

/// Date and time of day in a zone, and the zone's offset then, in seconds east of UTC.
struct Wall {
    date: NaiveDate,
    second: u64,
    micros: u64,
    offset: i64,
}

fn local(at: Timestamp, zone: Tz) -> Option<Wall> {
    let offset = i64::from(zone.offset_from_utc_datetime(&at.utc().naive_utc()).fix().local_minus_utc());
    let seconds = at.micros().div_euclid(MICROS).checked_add(offset)?;
    let days = i32::try_from(seconds.div_euclid(SECONDS_A_DAY)).ok()?.checked_add(DAYS_TO_1970)?;
    let date = NaiveDate::from_num_days_from_ce_opt(days)?;
    let (second, micros) = (seconds.rem_euclid(SECONDS_A_DAY).unsigned_abs(), at.micros().rem_euclid(MICROS).unsigned_abs());
    Some(Wall { date, second, micros, offset })
}

fn write_wall(out: &mut Vec<u8>, local: &Wall, between: u8) {
    write_padded::<4>(out, u64::from(local.date.year().unsigned_abs()));
    for part in [local.date.month(), local.date.day()] {
        out.push(b'-');
        write_padded::<2>(out, u64::from(part));
    }
    out.push(between);
    write_padded::<2>(out, local.second / 3_600);
    for part in [local.second / 60 % 60, local.second % 60] {
        out.push(b':');
        write_padded::<2>(out, part);
    }
}

/// Appends `2026-03-10T10:00:00.000+01:00`: at least milliseconds, microseconds when there are any. `None`, and nothing
/// appended, where that is left to chrono.
pub(super) fn write(out: &mut Vec<u8>, at: Timestamp, zone: Tz) -> Option<()> {
    let local = local(at, zone)?;
    // RFC 3339 knows no seconds in an offset: chrono rounds them, as zones of before 1900 need.
    let minutes = (local.offset % 60 == 0).then_some(local.offset / 60)?;
    write_wall(out, &local, b'T');
    out.push(b'.');
    if local.micros % 1_000 == 0 {
        write_padded::<3>(out, local.micros / 1_000);
    } else {
        write_padded::<6>(out, local.micros);
    }
    out.push(if minutes < 0 { b'-' } else { b'+' });
    write_padded::<2>(out, minutes.unsigned_abs() / 60);
    out.push(b':');
    write_padded::<2>(out, minutes.unsigned_abs() % 60);
    Some(())
}

/// Appends `2026-03-10 10:00:00`, for people; `None`, and nothing appended, where that is left to chrono.
pub(super) fn write_plain(out: &mut Vec<u8>, at: Timestamp, zone: Tz) -> Option<()> {
    write_wall(out, &local(at, zone)?, b' ');
    Some(())
}

/// Microseconds since the epoch, of a text in the plain form `2026-03-10T10:00:00[.123456]Z` or with `+01:00`; `None` for any
/// other, which may be a time all the same.
pub(super) fn read(text: &str) -> Option<i64> {
    let (head, rest) = text.as_bytes().split_first_chunk::<19>()?;
    let [y1, y2, y3, y4, b'-', mo1, mo2, b'-', d1, d2, b'T', h1, h2, b':', mi1, mi2, b':', s1, s2] = *head else { return None };
    let (hour, minute, second) = (number(&[h1, h2])?, number(&[mi1, mi2])?, number(&[s1, s2])?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (year, month, day) = (number(&[y1, y2, y3, y4])?, number(&[mo1, mo2])?, number(&[d1, d2])?);
    let date = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, u32::try_from(month).ok()?, u32::try_from(day).ok()?)?;
    let days = i64::from(date.num_days_from_ce() - DAYS_TO_1970);
    let (micros, zone) = match rest {
        [b'.', rest @ ..] => {
            let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let (decimals, zone) = rest.split_at_checked(count).filter(|_| (1..=6).contains(&count))?;
            (number(decimals)? * 10i64.pow(6 - u32::try_from(count).ok()?), zone)
        }
        zone => (0, zone),
    };
    let offset = match *zone {
        [b'Z'] => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (number(&[h1, h2])?, number(&[m1, m2])?);
            let seconds = (hours <= 23 && minutes <= 59).then_some((hours * 60 + minutes) * 60)?;
            if sign == b'-' { -seconds } else { seconds }
        }
        _ => return None,
    };
    Some((days * SECONDS_A_DAY + hour * 3_600 + minute * 60 + second - offset) * MICROS + micros)
}

/// A few digits as a number.
fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0i64, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0')))
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
            let (mut text, mut plain) = (Vec::new(), Vec::new());
            if write(&mut text, at, zone).is_some() {
                let text = String::from_utf8(text).expect("text");
                proptest::prop_assert_eq!(&text, &there.to_rfc3339_opts(kind, false));
                proptest::prop_assert_eq!(read(&text).or_else(|| read_any(&text)), Some(micros));
            }
            write_plain(&mut plain, at, zone).expect("a date");
            proptest::prop_assert_eq!(String::from_utf8(plain).expect("text"), there.format("%Y-%m-%d %H:%M:%S").to_string());
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
