//! A compact byte form for state and evidence: varints and length-prefixed bytes, versioned by who writes it.
//!
//! The rooms that own a state write and read it here themselves, so that their fields stay private; what the bytes are
//! stored in is the ledger's affair. A reader never trusts a length: it gives `None` at the first byte that is off.

use super::parts::Parts;
use super::{Few, Timestamp};

/// Appends values to a buffer.
#[derive(Debug, Default)]
pub struct Writer {
    pub(super) bytes: Vec<u8>,
    /// The parts it is written in, if it is.
    pub(super) parts: Option<Box<Parts>>,
}

impl Writer {
    /// An empty buffer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty buffer with room for so many bytes, for writers that know about how many there will be.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), parts: None }
    }

    /// A number, 7 bits a byte, least significant first (LEB128).
    pub fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(u8::try_from(value & 0x7f).unwrap_or(0) | 0x80);
            value >>= 7;
        }
        self.bytes.push(u8::try_from(value & 0x7f).unwrap_or(0));
    }

    /// A yes or no.
    pub fn flag(&mut self, value: bool) {
        self.number(u64::from(value));
    }

    /// An instant.
    pub fn time(&mut self, value: Timestamp) {
        self.number(value.micros().unsigned_abs());
    }

    /// Bytes with their length before them.
    pub fn bytes(&mut self, value: &[u8]) {
        self.number(u64::try_from(value.len()).unwrap_or(u64::MAX));
        self.bytes.extend_from_slice(value);
    }

    /// A text.
    pub fn text(&mut self, value: &str) {
        self.bytes(value.as_bytes());
    }

    /// A value that may be missing.
    pub fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.flag(value.is_some());
        if let Some(value) = value {
            write(self, value);
        }
    }

    /// So many values, one after the other.
    pub fn list<T>(&mut self, values: impl ExactSizeIterator<Item = T>, mut write: impl FnMut(&mut Self, T)) {
        self.number(u64::try_from(values.len()).unwrap_or(u64::MAX));
        for value in values {
            write(self, value);
        }
    }

    /// Likewise, of a short one.
    pub fn few<'a, T>(&mut self, values: &'a Few<T>, mut write: impl FnMut(&mut Self, &'a T)) {
        self.number(u64::try_from(values.len()).unwrap_or(u64::MAX));
        for value in values.iter() {
            write(self, value);
        }
    }

    /// The buffer.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

/// Reads what a [`Writer`] wrote; every method is `None` where the bytes are not that.
#[derive(Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Over these bytes.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// A number.
    pub fn number(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let (first, rest) = self.rest.split_first()?;
            self.rest = rest;
            value |= u64::from(first & 0x7f).checked_shl(shift)?;
            if first & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// A number that fits a smaller type.
    pub fn small<T: TryFrom<u64>>(&mut self) -> Option<T> {
        T::try_from(self.number()?).ok()
    }

    /// A yes or no.
    pub fn flag(&mut self) -> Option<bool> {
        match self.number()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    /// An instant.
    pub fn time(&mut self) -> Option<Timestamp> {
        i64::try_from(self.number()?).ok().map(Timestamp::from_micros)
    }

    /// Bytes.
    pub fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let (value, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(value)
    }

    /// A text.
    pub fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    /// A value that may be missing: `Some(None)` when it is.
    pub fn option<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        if self.flag()? { read(self).map(Some) } else { Some(None) }
    }

    /// Several values.
    pub fn list<T>(&mut self, mut read: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = self.number()?;
        let mut values = Vec::new();
        for _ in 0..count {
            values.push(read(self)?);
        }
        Some(values)
    }

    /// Whether all has been read.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let mut out = Writer::new();
        for value in [0, 127, 128, u64::MAX] {
            out.number(value);
        }
        out.option(Some("x"), |out, text| out.text(text));
        out.option(None::<&str>, |out, text| out.text(text));
        out.list([1u64, 2].into_iter(), Writer::number);
        let bytes = out.finish();
        let mut back = Reader::new(&bytes);
        for value in [0, 127, 128, u64::MAX] {
            assert_eq!(back.number(), Some(value));
        }
        assert_eq!(back.option(|back| back.text().map(str::to_owned)), Some(Some("x".to_owned())));
        assert_eq!(back.option(|back| back.text().map(str::to_owned)), Some(None));
        assert_eq!(back.list(Reader::number), Some(vec![1, 2]));
        assert!(back.is_empty());
        assert_eq!(back.number(), None);
    }

    #[test]
    fn a_length_that_lies_is_none() {
        assert_eq!(Reader::new(&[0xff, 0xff, 0xff, 0x7f, 1]).bytes(), None);
        assert_eq!(Reader::new(&[0xff, 0xff, 0xff, 0x7f]).list(Reader::number), None);
    }
}
