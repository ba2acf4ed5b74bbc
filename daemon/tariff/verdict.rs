//! A decision as people write it: `customer`, `provider`, `goodwill:40%`, `goodwill:10m` (design.md §9).

use super::Verdict;
use crate::units::Seconds;
use rust_decimal::Decimal;
use std::fmt;

/// What all decisions begin with that waive something.
const GOODWILL: &str = "goodwill:";

impl Verdict {
    /// Reads what [`fmt::Display`] writes; `None` of anything else, and of more than all.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "customer" => Some(Self::Customer),
            "provider" => Some(Self::Provider),
            _ => {
                let share = text.strip_prefix(GOODWILL)?;
                match share.strip_suffix('%') {
                    Some(percent) => {
                        let percent = Decimal::from_str_exact(percent).ok()?;
                        let fits = percent >= Decimal::ZERO && percent <= Decimal::ONE_HUNDRED;
                        fits.then(|| Self::GoodwillPercent(percent.normalize()))
                    }
                    None => Seconds::parse(share).map(Self::GoodwillTime),
                }
            }
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Customer => f.write_str("customer"),
            Self::Provider => f.write_str("provider"),
            Self::GoodwillPercent(percent) => write!(f, "{GOODWILL}{}%", percent.normalize()),
            Self::GoodwillTime(time) => write!(f, "{GOODWILL}{time}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decisions_are_read_and_written() {
        for (text, shown) in [
            ("customer", "customer"),
            ("provider", "provider"),
            ("goodwill:40%", "goodwill:40%"),
            ("goodwill:33.30%", "goodwill:33.3%"),
            ("goodwill:100%", "goodwill:100%"),
            ("goodwill:0%", "goodwill:0%"),
            ("goodwill:600s", "goodwill:10m"),
            ("goodwill:1h30m", "goodwill:1h30m"),
        ] {
            let verdict = Verdict::parse(text).expect(text);
            assert_eq!(verdict.to_string(), shown, "{text}");
            assert_eq!(Verdict::parse(shown), Some(verdict), "{text}");
        }
        for text in ["", "Customer", "goodwill", "goodwill:", "goodwill:%", "goodwill:40", "goodwill:101%", "goodwill:-1%", "goodwill:1e1%"]
        {
            assert_eq!(Verdict::parse(text), None, "{text}");
        }
    }
}
