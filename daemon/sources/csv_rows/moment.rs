//! Times and lengths as columns write them.
//!
//! The invariant: a text is read in one of the forms that are configured, or refused; never guessed.

use super::super::local::instants;
use crate::units::Timestamp;
use chrono::format::{Item, StrftimeItems};
use chrono::{DateTime, NaiveDate, NaiveDateTime};
use chrono_tz::Tz;
use std::fmt::Write as _;

/// A form of times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimeFormat {
    /// Seconds since 1970, UTC, perhaps with a fraction.
    Epoch,
    /// Milliseconds since 1970, UTC.
    EpochMillis,
    /// RFC 3339, with its offset.
    Rfc3339,
    /// As strftime writes it, in the zone of the source.
    Local(Box<str>),
    /// The same with an offset (`%z`) in it.
    Offset(Box<str>),
}

/// A form of lengths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanFormat {
    /// Seconds, perhaps with a fraction.
    Seconds,
    /// Milliseconds.
    Millis,
    /// `mm:ss`, of any number of minutes.
    Minutes,
    /// `hh:mm:ss`, of any number of hours, perhaps with a fraction.
    Hours,
}

impl TimeFormat {
    /// From the configuration: `epoch`, `epoch-ms`, `rfc3339`, or a pattern.
    ///
    /// # Errors
    /// What is wrong with a pattern, and what would be right.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "epoch" => return Ok(Self::Epoch),
            "epoch-ms" => return Ok(Self::EpochMillis),
            "rfc3339" => return Ok(Self::Rfc3339),
            _ => {}
        }
        let right = "write for example \"%d.%m.%Y %H:%M:%S\", \"epoch\", \"epoch-ms\" or \"rfc3339\"";
        let items: Vec<Item<'_>> = StrftimeItems::new(text).collect();
        if items.iter().any(|item| matches!(item, Item::Error)) {
            return Err(format!("\"{text}\" is no pattern of strftime; {right}"));
        }
        let with_offset = ["%z", "%:z", "%+"].iter().any(|offset| text.contains(offset));
        let form = if with_offset { Self::Offset(text.into()) } else { Self::Local(text.into()) };
        // What a pattern leaves out shows when a time is written and read again.
        let sample = NaiveDate::from_ymd_opt(2026, 3, 28).and_then(|day| day.and_hms_opt(13, 14, 15)).unwrap_or_default();
        let mut written = String::new();
        // What can be read and not written (`%Z`) says no instant either, and is refused below.
        let _ = if with_offset { write!(written, "{}", sample.and_utc().format(text)) } else { write!(written, "{}", sample.format(text)) };
        let same = |at: &Timestamp| at.micros() / 60_000_000 == sample.and_utc().timestamp() / 60;
        match form.read(&written, Tz::UTC).first().filter(|at| same(at)) {
            Some(_) => Ok(form),
            None => Err(format!("\"{text}\" does not say both the date and the time of day; {right}")),
        }
    }

    /// Every instant that a text may mean: two in the hour that comes twice, none when it is not in this form.
    #[must_use]
    pub fn read(&self, text: &str, zone: Tz) -> Vec<Timestamp> {
        match self {
            Self::Epoch => micros_of(text, 1_000_000).map(Timestamp::from_micros).into_iter().collect(),
            Self::EpochMillis => micros_of(text, 1_000).map(Timestamp::from_micros).into_iter().collect(),
            Self::Rfc3339 => Timestamp::parse_rfc3339(text).into_iter().collect(),
            Self::Local(pattern) => NaiveDateTime::parse_from_str(text, pattern).map_or_else(|_| Vec::new(), |local| instants(zone, local)),
            Self::Offset(pattern) => {
                let time = DateTime::parse_from_str(text, pattern).ok();
                time.map(|time| Timestamp::from_micros(time.timestamp_micros())).into_iter().collect()
            }
        }
    }
}

impl SpanFormat {
    /// A length in microseconds; `None` when it is not in this form.
    #[must_use]
    pub fn read(self, text: &str) -> Option<i64> {
        let sixty = |text: &str| (text.len() == 2).then(|| whole(text)).flatten().filter(|value| *value < 60);
        match self {
            Self::Seconds => micros_of(text, 1_000_000),
            Self::Millis => micros_of(text, 1_000),
            Self::Minutes => {
                let (minutes, seconds) = text.split_once(':')?;
                Some((whole(minutes)? * 60 + sixty(seconds)?) * 1_000_000)
            }
            Self::Hours => {
                let (hours, rest) = text.split_once(':')?;
                let (minutes, seconds) = rest.split_once(':')?;
                let second = seconds.get(..2)?;
                let fraction = seconds.get(2..).filter(|rest| !rest.is_empty()).map_or(Some(0), |rest| {
                    let digits = rest.strip_prefix('.')?;
                    micros_of(&format!("0.{digits}"), 1_000_000)
                })?;
                Some(((whole(hours)? * 60 + sixty(minutes)?) * 60 + sixty(second)?) * 1_000_000 + fraction)
            }
        }
    }
}

/// Up to seven digits.
fn whole(text: &str) -> Option<i64> {
    let digits = (1..=7).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// A decimal number of a unit, in microseconds: at most 14 digits before the point, and what lies beyond microseconds cut.
fn micros_of(text: &str, unit: i64) -> Option<i64> {
    let (whole, fraction) = text.split_once(['.', ',']).unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || whole.len() > 14 {
        return None;
    }
    let mut micros = whole.parse::<i64>().ok()?.checked_mul(unit)?;
    let mut place = unit / 10;
    for digit in fraction.bytes() {
        micros = micros.checked_add(i64::from(digit.wrapping_sub(b'0')).checked_mul(place)?)?;
        place /= 10;
    }
    Some(micros)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_are_read_as_configured_or_not_at_all() {
        let noon = 1_773_140_400_000_000_i64; // 2026-03-10 12:00:00 in Berlin
        for (format, text, expected) in [
            ("%d.%m.%Y %H:%M:%S", "10.03.2026 12:00:00", Some(noon)),
            ("%d.%m.%y %H:%M:%S", "10.03.26 12:00:00", Some(noon)),
            ("%Y/%m/%d %H:%M:%S", "10.03.2026 12:00:00", None),
            ("%m/%d/%Y %I:%M:%S %p", "03/10/2026 12:00:00 PM", Some(noon)),
            ("%Y-%m-%d %H:%M:%S%.f", "2026-03-10 12:00:00.250", Some(noon + 250_000)),
            ("%d.%m.%Y %H:%M", "10.03.2026 12:00", Some(noon)),
            ("%Y-%m-%dT%H:%M:%S%z", "2026-03-10T12:00:00+0100", Some(noon)),
            ("epoch", "1773140400", Some(noon)),
            ("epoch", "1773140400.5", Some(noon + 500_000)),
            ("epoch-ms", "1773140400250", Some(noon + 250_000)),
            ("epoch", "-1", None),
            ("epoch", "1e9", None),
            ("rfc3339", "2026-03-10T11:00:00Z", Some(noon)),
            ("rfc3339", "2026-03-10 11:00", None),
        ] {
            let format = TimeFormat::parse(format).expect(format);
            assert_eq!(format.read(text, Tz::Europe__Berlin).first().map(|at| at.micros()), expected, "{text}");
        }
    }

    #[test]
    fn patterns_that_leave_something_out_are_refused() {
        for (pattern, what) in [
            ("%Y-%m-%d", "does not say both"),
            ("%H:%M:%S", "does not say both"),
            ("%d.%m. %H:%M", "does not say both"),
            ("%I:%M %d.%m.%Y", "does not say both"),
            ("%Q", "no pattern"),
            ("", "does not say both"),
        ] {
            assert!(TimeFormat::parse(pattern).is_err_and(|error| error.contains(what)), "{pattern}");
        }
    }

    #[test]
    fn lengths_are_read_as_configured_or_not_at_all() {
        use SpanFormat::{Hours, Millis, Minutes, Seconds};
        for (format, text, expected) in [
            (Seconds, "95", Some(95_000_000)),
            (Seconds, "95.25", Some(95_250_000)),
            (Seconds, "1:35", None),
            (Millis, "95250", Some(95_250_000)),
            (Minutes, "1:35", Some(95_000_000)),
            (Minutes, "90:00", Some(5_400_000_000)),
            (Minutes, "1:60", None),
            (Minutes, "0:01:35", None),
            (Hours, "00:01:35", Some(95_000_000)),
            (Hours, "0:01:35.5", Some(95_500_000)),
            (Hours, "100:00:00", Some(360_000_000_000)),
            (Hours, "1:35", None),
            (Hours, "00:01:5", None),
            (Hours, "-1:00:00", None),
        ] {
            assert_eq!(format.read(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[0-9:.,/ apm+-]{0,30}|\\PC{0,12}", pattern in "(%[a-zA-Z.:#]|[ .:/a-z]){0,8}") {
            for format in [SpanFormat::Seconds, SpanFormat::Millis, SpanFormat::Minutes, SpanFormat::Hours] {
                prop_assert!(format.read(&text).is_none_or(|micros| micros >= 0));
            }
            if let Ok(format) = TimeFormat::parse(&pattern) {
                let _ = format.read(&text, Tz::Europe__Berlin);
            }
        }
    }
}
