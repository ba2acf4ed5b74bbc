//! Numbers and amounts as text, appended to what is being written: a result has dozens of them, and of a million each counts.
//!
//! The one invariant: what is appended is what `to_string` gives.

use rust_decimal::Decimal;

/// Digits, a point and a sign: 64 bits have at most 20 digits, a decimal at most 28 behind its point.
const ROOM: usize = 52;

/// Appends a whole number.
pub fn write_integer(out: &mut Vec<u8>, number: u64) {
    let mut digits = Backwards::new();
    digits.number(number, 0);
    out.extend_from_slice(digits.text());
}

/// Appends a whole number that may be negative.
pub fn write_signed(out: &mut Vec<u8>, number: i64) {
    if number < 0 {
        out.push(b'-');
    }
    write_integer(out, number.unsigned_abs());
}

/// Appends a number with leading zeros; of a longer one, its last digits.
pub(super) fn write_padded<const DIGITS: usize>(out: &mut Vec<u8>, number: u64) {
    let (mut digits, mut rest) = ([0; DIGITS], number);
    for slot in digits.iter_mut().rev() {
        *slot = digit(rest);
        rest /= 10;
    }
    out.extend_from_slice(&digits);
}

/// Appends an amount with all its decimals.
pub fn write_decimal(out: &mut Vec<u8>, amount: Decimal) {
    let Ok(mantissa) = u64::try_from(amount.mantissa().unsigned_abs()) else { return out.extend_from_slice(amount.to_string().as_bytes()) };
    let mut digits = Backwards::new();
    digits.number(mantissa, amount.scale());
    if amount.is_sign_negative() {
        digits.push(b'-');
    }
    out.extend_from_slice(digits.text());
}

/// A text that is made from its end on.
struct Backwards {
    room: [u8; ROOM],
    begin: usize,
}

impl Backwards {
    const fn new() -> Self {
        Self { room: [0; ROOM], begin: ROOM }
    }

    fn push(&mut self, sign: u8) {
        self.begin = self.begin.saturating_sub(1);
        if let Some(slot) = self.room.get_mut(self.begin) {
            *slot = sign;
        }
    }

    /// A number of which the last `decimals` digits stand behind the point.
    fn number(&mut self, number: u64, decimals: u32) {
        let mut rest = number;
        if decimals > 0 {
            for _ in 0..decimals {
                self.push(digit(rest));
                rest /= 10;
            }
            self.push(b'.');
        }
        loop {
            self.push(digit(rest));
            rest /= 10;
            if rest == 0 {
                return;
            }
        }
    }

    fn text(&self) -> &[u8] {
        self.room.get(self.begin..).unwrap_or_default()
    }
}

/// The last digit of a number.
fn digit(number: u64) -> u8 {
    b'0'.saturating_add(u8::try_from(number % 10).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl Fn(&mut Vec<u8>)) -> String {
        let mut out = b"=".to_vec();
        write(&mut out);
        String::from_utf8(out).expect("text")
    }

    proptest::proptest! {
        #[test]
        fn numbers_are_written_as_they_print(number: i64, shift in 0u32..64, scale in 0u32..=28, small in -9_999i128..9_999) {
            let number = number >> shift;
            proptest::prop_assert_eq!(text(|out| write_signed(out, number)), format!("={number}"));
            proptest::prop_assert_eq!(text(|out| write_integer(out, number.unsigned_abs())), format!("={}", number.unsigned_abs()));
            for mantissa in [i128::from(number), small, i128::from(number).wrapping_mul(1 << 31)] {
                let Ok(amount) = Decimal::try_from_i128_with_scale(mantissa, scale) else { continue };
                proptest::prop_assert_eq!(text(|out| write_decimal(out, amount)), format!("={amount}"));
                proptest::prop_assert_eq!(text(|out| write_decimal(out, -amount)), format!("={}", -amount));
            }
        }
    }

    #[test]
    fn zeros_stand_before() {
        assert_eq!(text(|out| write_padded::<4>(out, 26)), "=0026");
        assert_eq!(text(|out| write_padded::<2>(out, 126)), "=26");
        assert_eq!(text(|out| write_integer(out, u64::MAX)), format!("={}", u64::MAX));
        assert_eq!(text(|out| write_signed(out, i64::MIN)), format!("={}", i64::MIN));
    }
}
