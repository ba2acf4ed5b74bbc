//! Pieces of the stored form that calls and records share: closed sets, decimals, days, numbers as tokens.

use super::error::Result;
use super::numbers::{Numbers, Token, Tokens, is_extension};
use super::prose;
use crate::meter::Party;
use crate::units::codec::{Reader, Writer};
use crate::units::{E164, RawNumber, Timestamp, Word};
use chrono::{Datelike, NaiveDate};
use rusqlite::Connection;
use rust_decimal::Decimal;
use std::borrow::Cow;

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// Why a stored form could not be read.
pub(super) enum Unread {
    /// The bytes are not that form.
    Damaged,
    /// The ledger failed.
    Ledger(super::error::LedgerError),
}

impl From<super::error::LedgerError> for Unread {
    fn from(error: super::error::LedgerError) -> Self {
        Self::Ledger(error)
    }
}

/// The day of an instant, as the side table of numbers counts them.
pub(super) const fn day_of(at: Timestamp) -> i64 {
    at.micros() / MICROS_PER_DAY
}

pub(super) fn write_word(out: &mut Writer, word: impl Word) {
    out.number(word.code());
}

pub(super) fn read_word<T: Word>(from: &mut Reader<'_>) -> Option<T> {
    T::from_code(from.number()?)
}

pub(super) fn write_text(out: &mut Writer, text: &Option<Box<str>>) {
    out.option(text.as_deref(), Writer::text);
}

pub(super) fn read_text(from: &mut Reader<'_>) -> Option<Option<Box<str>>> {
    from.option(|from| Some(from.text()?.into()))
}

/// Sign and scale, then the 96 bits of the mantissa in two parts.
pub(super) fn write_decimal(out: &mut Writer, value: Decimal) {
    let mantissa = value.mantissa().unsigned_abs();
    let negative = value.is_sign_negative() && mantissa != 0;
    out.number(u64::from(value.scale()) << 1 | u64::from(negative));
    out.number(u64::try_from(mantissa & u128::from(u64::MAX)).unwrap_or(0));
    out.number(u64::try_from(mantissa >> 64).unwrap_or(0));
}

pub(super) fn read_decimal(from: &mut Reader<'_>) -> Option<Decimal> {
    let head: u32 = from.small()?;
    let low = i128::from(from.number()?);
    let high = i128::from(from.small::<u32>()?);
    let mantissa = high << 64 | low;
    Decimal::try_from_i128_with_scale(if head & 1 == 1 { -mantissa } else { mantissa }, head >> 1).ok()
}

pub(super) fn write_day(out: &mut Writer, day: NaiveDate) {
    out.number(u64::from(day.num_days_from_ce().unsigned_abs()));
}

pub(super) fn read_day(from: &mut Reader<'_>) -> Option<NaiveDate> {
    NaiveDate::from_num_days_from_ce_opt(from.small()?)
}

/// Where the writing side keeps numbers, and on which day they were used.
pub(super) struct Hiding<'a> {
    pub db: &'a Connection,
    pub tokens: &'a mut Tokens,
    pub day: i64,
}

impl Hiding<'_> {
    /// A number: its token.
    pub fn number(&mut self, out: &mut Writer, number: E164) -> Result<()> {
        write_token(out, self.tokens.number(self.db, number, self.day)?);
        Ok(())
    }

    /// Digits as received: extensions as they are, all else as a token.
    pub fn text(&mut self, out: &mut Writer, text: &str) -> Result<()> {
        if is_extension(text) {
            out.number(CLEAR);
            out.text(text);
        } else {
            write_token(out, self.tokens.text(self.db, text, self.day)?);
        }
        Ok(())
    }
}

impl Hiding<'_> {
    /// What a person wrote: the numbers in it as tokens.
    pub fn prose(&mut self, out: &mut Writer, text: &str) -> Result<()> {
        out.text(&prose::hide(text, |number| self.tokens.text(self.db, number, self.day))?);
        Ok(())
    }

    /// The same where there may be nothing.
    pub fn maybe_prose(&mut self, out: &mut Writer, text: Option<&str>) -> Result<()> {
        out.flag(text.is_some());
        text.map_or(Ok(()), |text| self.prose(out, text))
    }
}

/// Where the reading side finds them again.
pub(super) struct Revealing<'a> {
    pub db: &'a Connection,
    pub numbers: &'a mut Numbers,
}

impl Revealing<'_> {
    /// What [`Hiding::text`] and [`Hiding::number`] wrote, as text.
    pub fn text(&mut self, from: &mut Reader<'_>) -> std::result::Result<Box<str>, Unread> {
        match read_hidden(from).ok_or(Unread::Damaged)? {
            Hidden::Clear(text) => Ok(text.into()),
            Hidden::Token(token) => Ok(self.numbers.text(self.db, token)?),
        }
    }

    /// A text with the numbers that [`Hiding::prose`] took out of it.
    pub fn in_prose(&mut self, text: Box<str>) -> Result<Box<str>> {
        Ok(match prose::reveal(&text, |token| self.numbers.known(self.db, token))? {
            Cow::Borrowed(_) => text,
            Cow::Owned(whole) => whole.into(),
        })
    }

    /// What either wrote: as a number where it is one and is not forgotten, else as text.
    pub fn party(&mut self, from: &mut Reader<'_>) -> std::result::Result<Party, Unread> {
        let token = match read_hidden(from).ok_or(Unread::Damaged)? {
            Hidden::Clear(text) => return Ok(Party::Raw(RawNumber::from_bytes(text.as_bytes()))),
            Hidden::Token(token) => token,
        };
        Ok(match self.numbers.number(self.db, token)? {
            Some(number) => Party::Number(number),
            None => Party::Raw(RawNumber::from_bytes(self.numbers.text(self.db, token)?.as_bytes())),
        })
    }
}

const CLEAR: u64 = 0;
const TOKEN: u64 = 1;

enum Hidden<'a> {
    Clear(&'a str),
    Token(Token),
}

fn write_token(out: &mut Writer, token: Token) {
    out.number(TOKEN);
    out.bytes(&token.0);
}

fn read_hidden<'a>(from: &mut Reader<'a>) -> Option<Hidden<'a>> {
    match from.number()? {
        CLEAR => from.text().map(Hidden::Clear),
        TOKEN => Some(Hidden::Token(Token(from.bytes()?.try_into().ok()?))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_and_days_read_back_digit_for_digit() {
        for text in ["0", "0.00", "1.50", "-1.5", "79228162514264337593543950335", "-0.0000000000000000000000000001"] {
            let value = Decimal::from_str_exact(text).expect("a decimal");
            let mut out = Writer::new();
            write_decimal(&mut out, value);
            let bytes = out.finish();
            assert_eq!(read_decimal(&mut Reader::new(&bytes)).map(|value| value.to_string()).as_deref(), Some(text));
        }
        let day = NaiveDate::from_ymd_opt(2026, 2, 28).expect("a day");
        let mut out = Writer::new();
        write_day(&mut out, day);
        assert_eq!(read_day(&mut Reader::new(&out.finish())), Some(day));
    }
}
