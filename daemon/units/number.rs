//! Phone numbers as E.164, after the site's dial plan (design.md §4).

use super::write_integer;
use std::fmt;

/// A number in E.164, without leading `+`: at most 15 digits, the first not 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct E164(u64);

impl E164 {
    /// From the digits after the `+`; `None` if there are none, more than 15, a leading 0, or anything but digits.
    #[must_use]
    pub fn from_digits(digits: &[u8]) -> Option<Self> {
        if digits.is_empty() || digits.len() > 15 || digits.first() == Some(&b'0') {
            return None;
        }
        digits
            .iter()
            .try_fold(0u64, |value, digit| {
                let digit = digit.is_ascii_digit().then(|| u64::from(digit.wrapping_sub(b'0')))?;
                value.checked_mul(10)?.checked_add(digit)
            })
            .map(Self)
    }

    /// The number as an integer, as it is stored.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// From the stored integer; `None` if no number has it.
    #[must_use]
    pub const fn from_integer(value: u64) -> Option<Self> {
        if value == 0 || value > 999_999_999_999_999 { None } else { Some(Self(value)) }
    }

    /// How many digits it has, 1 to 15.
    #[must_use]
    pub const fn len(self) -> u32 {
        self.0.ilog10().saturating_add(1)
    }

    /// Never: a number has digits. (Clippy wants the pair.)
    #[must_use]
    pub const fn is_empty(self) -> bool {
        false
    }

    /// Appends it as it prints, `+4989555010`.
    pub fn write(self, out: &mut Vec<u8>) {
        out.push(b'+');
        write_integer(out, self.0);
    }

    /// The first `length` digits as a number of its own; itself, if it is not longer.
    #[must_use]
    pub fn prefix(self, length: u32) -> Self {
        let drop = self.len().saturating_sub(length.max(1));
        Self(10u64.checked_pow(drop).and_then(|by| self.0.checked_div(by)).unwrap_or(self.0))
    }
}

impl fmt::Display for E164 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{}", self.0)
    }
}

/// A number, or with a trailing `*` all numbers that begin with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NumberPattern {
    /// This number.
    Exact(E164),
    /// Every number that begins with these digits and goes on.
    Prefix(E164),
}

impl NumberPattern {
    /// Whether the pattern covers a number. A prefix covers itself too.
    #[must_use]
    pub fn matches(self, number: E164) -> bool {
        match self {
            Self::Exact(exact) => exact == number,
            Self::Prefix(prefix) => number.len() >= prefix.len() && number.prefix(prefix.len()) == prefix,
        }
    }
}

impl fmt::Display for NumberPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(number) => write!(f, "{number}"),
            Self::Prefix(number) => write!(f, "{number}*"),
        }
    }
}

/// How numbers are dialled where the PBX stands. Turns every spelling of a number into the same E.164.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialPlan {
    country: &'static Country,
    area_code: Box<str>,
}

#[derive(Debug, PartialEq, Eq)]
struct Country {
    iso: &'static str,
    code: &'static str,
    /// Dialled before an area code, dropped after the country code; empty where numbers keep their 0 (Italy) or have none.
    trunk: &'static str,
    international: &'static str,
}

/// ITU-T E.164 country codes with their trunk and international prefixes (ITU Operational Bulletin, dialling procedures).
const COUNTRIES: &[Country] = &[
    Country { iso: "AT", code: "43", trunk: "0", international: "00" },
    Country { iso: "BE", code: "32", trunk: "0", international: "00" },
    Country { iso: "CH", code: "41", trunk: "0", international: "00" },
    Country { iso: "CZ", code: "420", trunk: "", international: "00" },
    Country { iso: "DE", code: "49", trunk: "0", international: "00" },
    Country { iso: "DK", code: "45", trunk: "", international: "00" },
    Country { iso: "ES", code: "34", trunk: "", international: "00" },
    Country { iso: "FR", code: "33", trunk: "0", international: "00" },
    Country { iso: "GB", code: "44", trunk: "0", international: "00" },
    Country { iso: "IT", code: "39", trunk: "", international: "00" },
    Country { iso: "LI", code: "423", trunk: "", international: "00" },
    Country { iso: "LU", code: "352", trunk: "", international: "00" },
    Country { iso: "NL", code: "31", trunk: "0", international: "00" },
    Country { iso: "PL", code: "48", trunk: "", international: "00" },
    Country { iso: "SE", code: "46", trunk: "0", international: "00" },
    Country { iso: "US", code: "1", trunk: "1", international: "011" },
];

/// A country this dial plan does not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownCountry {
    /// The codes that would have been right.
    pub known: String,
}

impl DialPlan {
    /// The plan of a country (ISO 3166-1, such as `DE`) and an area code without its trunk prefix (`89`; may be empty).
    ///
    /// # Errors
    /// When the country is not in the table.
    pub fn new(country: &str, area_code: &str) -> Result<Self, UnknownCountry> {
        match COUNTRIES.iter().find(|known| known.iso == country) {
            Some(country) => {
                let digits: String = area_code.chars().filter(char::is_ascii_digit).collect();
                let area_code = digits.strip_prefix(country.trunk).filter(|_| !country.trunk.is_empty()).unwrap_or(&digits);
                Ok(Self { country, area_code: area_code.into() })
            }
            None => {
                let known: Vec<_> = COUNTRIES.iter().map(|known| known.iso).collect();
                Err(UnknownCountry { known: known.join(", ") })
            }
        }
    }

    /// Any spelling of a number as E.164: `089 123`, `0049 89 123`, `+49 (0)89 123`, `49 89 1234567`, `123`, and the same
    /// in a `tel:` (RFC 3966) or `sip:` URI, of which only the number counts.
    ///
    /// `None` when it holds letters or other signs than a number's, or is too long or empty. Digits without `+` or 0 that
    /// begin with the country code and are ten or more are international; fewer are local.
    #[must_use]
    pub fn normalize(&self, text: &[u8]) -> Option<E164> {
        let mut digits = [0u8; 24];
        let mut length = 0usize;
        let mut plus = false;
        for (index, byte) in without_uri(text.trim_ascii()).iter().enumerate() {
            match byte {
                b'0'..=b'9' => {
                    *digits.get_mut(length)? = *byte;
                    length = length.checked_add(1)?;
                }
                b'+' if index == 0 => plus = true,
                b' ' | b'-' | b'.' | b'(' | b')' | b'/' => {}
                _ => return None,
            }
        }
        let digits = digits.get(..length).filter(|digits| !digits.is_empty())?;
        let country = self.country;
        if plus {
            return self.international(digits);
        }
        if let Some(rest) = digits.strip_prefix(country.international.as_bytes()) {
            return self.international(rest);
        }
        if !country.trunk.is_empty()
            && country.trunk != country.code
            && let Some(rest) = digits.strip_prefix(country.trunk.as_bytes())
        {
            return join(&[country.code.as_bytes(), rest]);
        }
        if length >= 10 && digits.starts_with(country.code.as_bytes()) {
            return self.international(digits);
        }
        join(&[country.code.as_bytes(), self.area_code.as_bytes(), digits])
    }

    /// Digits after the international prefix; drops the stray 0 of `+49 (0)89`.
    fn international(&self, digits: &[u8]) -> Option<E164> {
        let country = self.country;
        match digits.strip_prefix(country.code.as_bytes()) {
            Some(rest) if country.trunk == "0" => join(&[country.code.as_bytes(), rest.strip_prefix(b"0").unwrap_or(rest)]),
            _ => E164::from_digits(digits),
        }
    }

    /// A number or, with a trailing `*`, a block of numbers, in any spelling; `None` if it is neither.
    #[must_use]
    pub fn pattern(&self, text: &str) -> Option<NumberPattern> {
        let text = text.trim();
        match text.strip_suffix('*') {
            Some(prefix) => self.normalize(prefix.as_bytes()).map(NumberPattern::Prefix),
            None => self.normalize(text.as_bytes()).map(NumberPattern::Exact),
        }
    }
}

/// The number in a `tel:`, `sip:` or `sips:` URI; what is none of these stays as it is.
fn without_uri(text: &[u8]) -> &[u8] {
    let schemes: [&[u8]; 3] = [b"tel:", b"sip:", b"sips:"];
    let scheme = schemes.iter().find(|scheme| text.get(..scheme.len()).is_some_and(|head| head.eq_ignore_ascii_case(scheme)));
    let Some(rest) = scheme.and_then(|scheme| text.get(scheme.len()..)) else { return text };
    rest.split(|byte| matches!(byte, b'@' | b';')).next().unwrap_or(rest)
}

fn join(parts: &[&[u8]]) -> Option<E164> {
    let mut all = [0u8; 32];
    let mut length = 0usize;
    for part in parts {
        let end = length.checked_add(part.len())?;
        all.get_mut(length..end)?.copy_from_slice(part);
        length = end;
    }
    E164::from_digits(all.get(..length)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn munich() -> DialPlan {
        DialPlan::new("DE", "89").expect("known")
    }

    #[test]
    fn every_spelling_is_the_same_number() {
        for text in
            ["089 1234567", "0049 89 1234567", "+49 (0)89 1234567", "49 89 1234567", "1234567", "+49-89/123.4567", "0049 (0)89 1234567"]
        {
            assert_eq!(munich().normalize(text.as_bytes()).map(|n| n.to_string()).as_deref(), Some("+49891234567"), "{text}");
        }
        for text in ["tel:+49-89-1234567", "TEL:1234567;phone-context=+4989", "sip:0891234567@x", "sips:+49891234567;x=1@h:5061"] {
            assert_eq!(munich().normalize(text.as_bytes()).map(|n| n.to_string()).as_deref(), Some("+49891234567"), "{text}");
        }
        for (text, number) in
            [("123", "+4989123"), ("+43 1 5", "+4315"), ("001 212 5550100", "+12125550100"), ("491234567", "+4989491234567")]
        {
            assert_eq!(munich().normalize(text.as_bytes()).map(|n| n.to_string()).as_deref(), Some(number), "{text}");
        }
    }

    #[test]
    fn what_is_no_number_is_none() {
        for text in
            ["", "+", "anonymous", "unknown", "**21#", "+0", "00", "12345678901234567890", "sip:anna@example", "tel:", "mailto:1", "12+3"]
        {
            assert_eq!(munich().normalize(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_block_covers_what_begins_with_it() {
        let block = munich().pattern("+49 89 55502*").expect("a block");
        for (number, inside) in [("+498955502", true), ("+4989555026", true), ("+498955503", false), ("+49895550", false)] {
            assert_eq!(munich().normalize(number.as_bytes()).is_some_and(|number| block.matches(number)), inside, "{number}");
        }
    }

    #[test]
    fn italy_keeps_its_zero() {
        let rome = DialPlan::new("IT", "06").expect("known");
        assert_eq!(rome.normalize(b"+39 06 123456").map(|n| n.to_string()).as_deref(), Some("+3906123456"));
    }
}
