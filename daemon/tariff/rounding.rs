//! From an exact sum to what is due: rounded once, half away from zero (design.md §6.9). No other place rounds money.

use crate::units::{Currency, PriceKind, round_half_away};
use rust_decimal::Decimal;

/// Net, VAT, gross and the rest of rounding, from the exact sum of a record's lines.
///
/// With net prices the net is rounded, and its VAT from that; with gross prices the gross is rounded, VAT is
/// gross × p / (100 + p) rounded, and net is what remains. The rest is what a line `rounding` holds, so that the lines add
/// up to the rounded net (with gross prices: gross) exactly. `None` on overflow, or when `vat_percent` is -100.
#[must_use]
pub fn charge(sum: Decimal, vat_percent: Decimal, kind: PriceKind, currency: Currency) -> Option<(Decimal, Decimal, Decimal, Decimal)> {
    let round = |amount| round_half_away(amount, currency.decimals());
    let rounded = round(sum);
    let rest = rounded.checked_sub(sum)?;
    let (net, vat, gross) = match kind {
        PriceKind::Net => {
            let vat = round(rounded.checked_mul(vat_percent)?.checked_div(Decimal::ONE_HUNDRED)?);
            (rounded, vat, rounded.checked_add(vat)?)
        }
        PriceKind::Gross => {
            let whole = Decimal::ONE_HUNDRED.checked_add(vat_percent)?;
            let vat = round(rounded.checked_mul(vat_percent)?.checked_div(whole)?);
            (rounded.checked_sub(vat)?, vat, rounded)
        }
    };
    Some((net, vat, gross, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::from_str_exact(text).expect("a decimal")
    }

    #[test]
    fn a_record_is_rounded_once() {
        let check = |sum: &str, percent: &str, kind: PriceKind, expected: [&str; 4]| {
            let (net, vat, gross, rest) = charge(decimal(sum), decimal(percent), kind, Currency::EUR).expect("in range");
            assert_eq!([net, vat, gross, rest], expected.map(decimal), "{sum} at {percent} %, {kind:?}");
        };
        check("1.50", "19", PriceKind::Net, ["1.50", "0.29", "1.79", "0"]); // 0.285 goes away from zero
        check("0.0595", "19", PriceKind::Net, ["0.06", "0.01", "0.07", "0.0005"]);
        check("-1.50", "19", PriceKind::Net, ["-1.50", "-0.29", "-1.79", "0"]);
        check("0", "19", PriceKind::Net, ["0", "0", "0", "0"]);
        check("0.004", "19", PriceKind::Net, ["0", "0", "0", "-0.004"]);
        check("1.19", "19", PriceKind::Gross, ["1.00", "0.19", "1.19", "0"]);
        check("1.005", "19", PriceKind::Gross, ["0.85", "0.16", "1.01", "0.005"]);
        check("249.00", "16", PriceKind::Net, ["249.00", "39.84", "288.84", "0"]);
        check("10", "0", PriceKind::Gross, ["10", "0", "10", "0"]);
    }

    #[test]
    fn yen_have_no_decimals() {
        let yen = Currency::parse("JPY").expect("known");
        assert_eq!(charge(decimal("100.5"), decimal("10"), PriceKind::Net, yen).map(|due| due.0), Some(decimal("101")));
    }

    #[test]
    fn what_is_too_large_is_none() {
        assert_eq!(charge(Decimal::MAX, decimal("19"), PriceKind::Net, Currency::EUR), None);
        assert_eq!(charge(Decimal::ONE, decimal("-100"), PriceKind::Gross, Currency::EUR), None);
    }

    proptest::proptest! {
        #[test]
        fn the_parts_make_the_whole(units in -10_000_000i64..10_000_000, scale in 0u32..6, percent in 0i64..30, gross in proptest::bool::ANY) {
            let kind = if gross { PriceKind::Gross } else { PriceKind::Net };
            let sum = Decimal::new(units, scale);
            let (net, vat, whole, rest) = charge(sum, Decimal::from(percent), kind, Currency::EUR).expect("in range");
            proptest::prop_assert_eq!(net.checked_add(vat), Some(whole));
            proptest::prop_assert_eq!(sum.checked_add(rest), Some(if gross { whole } else { net }));
            proptest::prop_assert!(rest.abs() <= Decimal::new(5, 3));
        }
    }
}
