//! Instants and spans. Instants are UTC microseconds: whole seconds would lose half a second a call.

use super::{rfc3339, write_integer};
use chrono::{DateTime, SecondsFormat, TimeZone, Utc};
use chrono_tz::Tz;
use std::fmt;

/// An instant, in microseconds since 1970-01-01 UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// The largest instant we take, 9999-12-31: what lies beyond is a broken clock, and chrono can format all below.
const MAX_MICROS: i64 = 253_402_300_799_999_999;

impl Timestamp {
    /// The end of time as we take it, after which nothing comes.
    pub const MAX: Self = Self(MAX_MICROS);

    /// From microseconds since the epoch; clamped to the years 1970 to 9999.
    #[must_use]
    pub fn from_micros(micros: i64) -> Self {
        Self(micros.clamp(0, MAX_MICROS))
    }

    /// From seconds and microseconds since the epoch, as captures and HEP have them.
    #[must_use]
    pub fn from_parts(seconds: u32, micros: u32) -> Self {
        Self::from_micros(i64::from(seconds).saturating_mul(1_000_000).saturating_add(i64::from(micros)))
    }

    /// Microseconds since the epoch.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// This instant later by whole seconds; saturates at the year 9999.
    #[must_use]
    pub fn plus(self, seconds: Seconds) -> Self {
        let micros = i64::try_from(seconds.get()).unwrap_or(i64::MAX).saturating_mul(1_000_000);
        Self::from_micros(self.0.saturating_add(micros))
    }

    /// This instant later by microseconds (earlier, if negative).
    #[must_use]
    pub fn plus_micros(self, micros: i64) -> Self {
        Self::from_micros(self.0.saturating_add(micros))
    }

    /// Microseconds from `earlier` to here; negative when `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The instant as chrono's UTC time.
    #[must_use]
    pub fn utc(self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.0).unwrap_or(DateTime::UNIX_EPOCH)
    }

    /// RFC 3339 with the zone's offset and at least milliseconds (microseconds when there are any).
    #[must_use]
    pub fn rfc3339(self, zone: Tz) -> String {
        written(|out| self.write_rfc3339(out, zone))
    }

    /// Appends the same.
    pub fn write_rfc3339(self, out: &mut Vec<u8>, zone: Tz) {
        if rfc3339::write(out, self, zone).is_none() {
            let digits = if self.0 % 1_000 == 0 { SecondsFormat::Millis } else { SecondsFormat::Micros };
            out.extend_from_slice(zone.from_utc_datetime(&self.utc().naive_utc()).to_rfc3339_opts(digits, false).as_bytes());
        }
    }

    /// `2026-03-10 10:00:00` in a zone, for people.
    #[must_use]
    pub fn plain(self, zone: Tz) -> String {
        written(|out| self.write_plain(out, zone))
    }

    /// Appends the same.
    pub fn write_plain(self, out: &mut Vec<u8>, zone: Tz) {
        if rfc3339::write_plain(out, self, zone).is_none() {
            out.extend_from_slice(self.to_string().as_bytes());
        }
    }

    /// Reads RFC 3339 with an offset; `None` if it is not that.
    #[must_use]
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let micros = rfc3339::read_any(text)?;
        (0..=MAX_MICROS).contains(&micros).then_some(Self(micros))
    }
}

fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::with_capacity(32);
    write(&mut out);
    String::from_utf8(out).unwrap_or_default()
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.utc().to_rfc3339_opts(SecondsFormat::Micros, true))
    }
}

/// A span of whole seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seconds(u64);

impl Seconds {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// A span of so many seconds.
    #[must_use]
    pub const fn new(seconds: u64) -> Self {
        Self(seconds)
    }

    /// The number of seconds.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Appends it as it prints.
    pub fn write(self, out: &mut Vec<u8>) {
        let (hours, minutes, seconds) = (self.0 / 3_600, self.0 % 3_600 / 60, self.0 % 60);
        for (number, unit) in [(hours, b'h'), (minutes, b'm'), (seconds, b's')] {
            if number > 0 || (unit == b's' && self.0 == 0) {
                write_integer(out, number);
                out.push(unit);
            }
        }
    }

    /// `90s`, `15m`, `1h30m`, `2h`, `1d`: one or more numbers with a unit, largest first; `None` if it is not that.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut total: u64 = 0;
        let mut rest = text.trim();
        let mut last = u64::MAX;
        if rest.is_empty() {
            return None;
        }
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let value: u64 = rest.get(..digits)?.parse().ok()?;
            let unit = match rest.as_bytes().get(digits)? {
                b's' => 1,
                b'm' => 60,
                b'h' => 3_600,
                b'd' => 86_400,
                _ => return None,
            };
            if unit >= last {
                return None;
            }
            last = unit;
            total = total.checked_add(value.checked_mul(unit)?)?;
            rest = rest.get(digits.checked_add(1)?..)?;
        }
        Some(Self(total))
    }
}

impl fmt::Display for Seconds {
    /// The shortest text that [`Seconds::parse`] reads back: `15m`, `1h30m`, `0s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&written(|out| self.write(out)))
    }
}

/// A half-open span of time, `from` ≤ t < `to`; never backwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Interval {
    from: Timestamp,
    to: Timestamp,
}

impl Interval {
    /// A span; where clocks disagree and `to` lies before `from`, it is empty at `from`.
    #[must_use]
    pub fn new(from: Timestamp, to: Timestamp) -> Self {
        Self { from, to: to.max(from) }
    }

    /// Where it begins.
    #[must_use]
    pub const fn from(self) -> Timestamp {
        self.from
    }

    /// Where it ends.
    #[must_use]
    pub const fn to(self) -> Timestamp {
        self.to
    }

    /// Its length in microseconds.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.to.since(self.from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_back_as_written() {
        for (text, seconds) in [("0s", 0), ("90s", 90), ("15m", 900), ("1h30m", 5_400), ("24h", 86_400), ("1d", 86_400)] {
            assert_eq!(Seconds::parse(text), Some(Seconds::new(seconds)), "{text}");
            assert_eq!(Seconds::parse(&Seconds::new(seconds).to_string()), Some(Seconds::new(seconds)), "{text}");
        }
        for text in ["", "5", "m", "5x", "5m1h", "5m5m", "-5m", "1.5h", "99999999999999999999s"] {
            assert_eq!(Seconds::parse(text), None, "{text}");
        }
    }

    #[test]
    fn an_interval_never_runs_backwards() {
        let (early, late) = (Timestamp::from_micros(1), Timestamp::from_micros(5));
        assert_eq!(Interval::new(late, early).micros(), 0);
        assert_eq!(Interval::new(early, late).micros(), 4);
    }
}
