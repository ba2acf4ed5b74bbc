//! Single words of a configuration file: amounts, dates, periods.
//!
//! The one invariant: an amount is exactly the digits that were written; no float comes near it.

use crate::tariff::Period;
use chrono::NaiveDate;
use rust_decimal::Decimal;

/// More decimals than any price needs; more would let sums overflow.
const DECIMALS: u32 = 10;
/// More than any price is.
const LARGEST: i64 = 1_000_000_000;

/// `a, b or c`, each in quotes.
pub(super) fn either<'w>(words: impl Iterator<Item = &'w str>) -> String {
    let mut words: Vec<String> = words.map(|word| format!("\"{word}\"")).collect();
    let last = words.pop().unwrap_or_default();
    if words.is_empty() { last } else { format!("{} or {last}", words.join(", ")) }
}

/// `YYYY-MM-DD` of a day that exists, between 1970 and 9999.
pub(super) fn parse_date(text: &str) -> Option<NaiveDate> {
    let plain = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    text.parse::<NaiveDate>().ok().filter(|day| plain && *day >= NaiveDate::default())
}

/// Digits with at most one point between them; the error says what would be right.
pub(super) fn plain_decimal(text: &str) -> Result<Decimal, String> {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let plain = match text.split_once('.') {
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => digits(text),
    };
    if text.starts_with('-') {
        return Err("it must not be negative".to_owned());
    }
    if !plain {
        return Err("write plain digits with a point, such as 39.00".to_owned());
    }
    match Decimal::from_str_exact(text) {
        Ok(value) if value.scale() > DECIMALS => Err(format!("write at most {DECIMALS} decimals")),
        Ok(value) if value <= Decimal::from(LARGEST) => Ok(value),
        _ => Err(format!("write at most {LARGEST}")),
    }
}

/// `14 days`, `2 weeks`, `1 month`, `1 year`: a whole number of one unit, more than none.
pub(super) fn parse_period(text: &str) -> Option<Period> {
    let (count, unit) = text.trim().split_once(' ')?;
    let count: u32 = count.parse().ok().filter(|count| (1..=10_000).contains(count) && !text.trim().starts_with('+'))?;
    match unit.trim() {
        "day" | "days" => Some(Period::Days(count)),
        "week" | "weeks" => Some(Period::Days(count * 7)),
        "month" | "months" => Some(Period::Months(count)),
        "year" | "years" => Some(Period::Months(count * 12)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact_and_plain() {
        for (text, expected) in [("39.00", "39.00"), ("0.0085", "0.0085"), ("0", "0"), ("1000000000", "1000000000")] {
            assert_eq!(plain_decimal(text).map(|value| value.to_string()), Ok(expected.to_owned()));
        }
        for text in ["", ".", "1.", ".5", "1e3", "1_000", "0,5", "-1", "+1", "inf", "nan", "1000000000.1", "0.12345678901", " 1"] {
            assert!(plain_decimal(text).is_err(), "{text}");
        }
    }

    #[test]
    fn periods_and_dates_are_read() {
        for (text, expected) in [
            ("14 days", Some(Period::Days(14))),
            ("2 weeks", Some(Period::Days(14))),
            ("1 year", Some(Period::Months(12))),
            ("3 months", Some(Period::Months(3))),
            ("0 days", None),
            ("+1 day", None),
            ("month", None),
            ("1 Monat", None),
        ] {
            assert_eq!(parse_period(text), expected, "{text}");
        }
        for (text, exists) in
            [("2026-12-31", true), ("2026-02-29", false), ("2026-1-1", false), ("1969-12-31", false), ("+2026-01-1", false)]
        {
            assert_eq!(parse_date(text).is_some(), exists, "{text}");
        }
    }
}
