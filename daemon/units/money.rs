//! Exact amounts. No float comes near money, and rounding happens once a record (design.md §6.9).

use super::write_decimal;
use rust_decimal::{Decimal, RoundingStrategy};
use std::fmt;

/// An ISO 4217 currency with the number of decimals of its smallest unit ("the cent").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency {
    code: [u8; 3],
    decimals: u8,
}

impl Currency {
    /// The default.
    pub const EUR: Self = Self { code: *b"EUR", decimals: 2 };

    /// A currency by its code; `None` for one we do not know the decimals of.
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        let decimals = match code {
            "EUR" | "CHF" | "USD" | "GBP" | "DKK" | "SEK" | "NOK" | "PLN" | "CZK" | "HUF" | "RON" | "BGN" | "CAD" | "AUD" => 2,
            "JPY" | "ISK" | "KRW" => 0,
            _ => return None,
        };
        Some(Self { code: code.as_bytes().try_into().ok()?, decimals })
    }

    /// The three letters.
    #[must_use]
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.code).unwrap_or("???")
    }

    /// Decimals of the smallest unit: 2 for EUR, 0 for JPY.
    #[must_use]
    pub const fn decimals(self) -> u8 {
        self.decimals
    }
}

/// Whether a tariff's prices are without or with VAT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PriceKind {
    /// Without VAT, which is added.
    Net,
    /// With VAT, which is taken out.
    Gross,
}

/// An exact decimal amount of one currency: 0.0085 EUR/min times 7 min is 0.0595 EUR until it is rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money {
    amount: Decimal,
    currency: Currency,
}

impl Money {
    /// An amount.
    #[must_use]
    pub const fn new(amount: Decimal, currency: Currency) -> Self {
        Self { amount, currency }
    }

    /// Nothing, in a currency.
    #[must_use]
    pub const fn zero(currency: Currency) -> Self {
        Self { amount: Decimal::ZERO, currency }
    }

    /// The number.
    #[must_use]
    pub const fn amount(self) -> Decimal {
        self.amount
    }

    /// The currency.
    #[must_use]
    pub const fn currency(self) -> Currency {
        self.currency
    }

    /// `None` when the currencies differ or the sum overflows: the caller decides, nobody guesses.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        let amount = self.amount.checked_add(other.amount)?;
        (self.currency == other.currency).then_some(Self { amount, ..self })
    }

    /// `None` when the currencies differ or the difference overflows.
    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.checked_add(Self { amount: -other.amount, ..other })
    }

    /// So many times the amount; `None` on overflow.
    #[must_use]
    pub fn checked_mul(self, count: u64) -> Option<Self> {
        Some(Self { amount: self.amount.checked_mul(Decimal::from(count))?, ..self })
    }

    /// Rounded to the smallest unit, half away from zero.
    #[must_use]
    pub fn rounded(self) -> Self {
        Self { amount: round_half_away(self.amount, self.currency.decimals), ..self }
    }

    /// The amount with exactly the currency's decimals: `1.50`, `0.00`.
    #[must_use]
    pub fn to_fixed(self) -> String {
        let mut out = Vec::with_capacity(16);
        self.write_fixed(&mut out);
        String::from_utf8(out).unwrap_or_default()
    }

    /// Appends the same.
    pub fn write_fixed(self, out: &mut Vec<u8>) {
        let decimals = u32::from(self.currency.decimals);
        let mut amount = if self.amount.scale() <= decimals { self.amount } else { self.rounded().amount };
        if amount.scale() != decimals {
            amount.rescale(decimals);
        }
        write_decimal(out, amount);
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount, self.currency.code())
    }
}

/// Rounds half away from zero: 0.125 becomes 0.13, -0.125 becomes -0.13.
#[must_use]
pub fn round_half_away(amount: Decimal, decimals: u8) -> Decimal {
    amount.round_dp_with_strategy(u32::from(decimals), RoundingStrategy::MidpointAwayFromZero)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_cent_goes_away_from_zero() {
        for (text, rounded) in [("0.125", "0.13"), ("-0.125", "-0.13"), ("0.285", "0.29"), ("1.004", "1.00"), ("7", "7.00")] {
            let amount = Decimal::from_str_exact(text).expect("a decimal");
            assert_eq!(Money::new(amount, Currency::EUR).to_fixed(), rounded);
        }
    }

    #[test]
    fn currencies_do_not_mix() {
        let yen = Currency::parse("JPY").expect("known");
        assert_eq!(Money::zero(Currency::EUR).checked_add(Money::zero(yen)), None);
        assert_eq!(Money::new(Decimal::from(5), yen).to_fixed(), "5");
    }
}
