//! Hashing without the standard library's random keys: the pure rooms stay pure, and two runs go alike.
//!
//! The one invariant: what an outsider chooses is hashed with a key given from outside, so that hostile Call-IDs cannot be
//! made to collide. Only numbers that we gave ourselves go without one.

use std::hash::{BuildHasher, DefaultHasher, Hasher};

/// Builds SipHash hashers that start from a key; two states with the same key agree.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeyedState(u64);

impl KeyedState {
    /// A state with this key; the shell draws it, tests may take 0.
    #[must_use]
    pub const fn new(key: u64) -> Self {
        Self(key)
    }
}

impl BuildHasher for KeyedState {
    type Hasher = DefaultHasher;

    fn build_hasher(&self) -> DefaultHasher {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.0);
        hasher
    }
}

/// Builds hashers for numbers that we count up ourselves, and no outsider chooses: one multiplication.
#[derive(Clone, Copy, Debug, Default)]
pub struct OwnNumbers;

/// See [`OwnNumbers`].
#[derive(Clone, Copy, Debug, Default)]
pub struct OwnNumbersHasher(u64);

impl BuildHasher for OwnNumbers {
    type Hasher = OwnNumbersHasher;

    fn build_hasher(&self) -> OwnNumbersHasher {
        OwnNumbersHasher(0)
    }
}

impl Hasher for OwnNumbersHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        // 2^64 over the golden ratio: numbers in a row come to lie far apart. The table takes its bits from both ends.
        let mixed = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ mixed.wrapping_shr(32);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_a_row_spread() {
        let hashes: std::collections::BTreeSet<u64> = (0..4_096u64).map(|number| OwnNumbers.hash_one(number)).collect();
        assert_eq!(hashes.len(), 4_096);
        for bits in [0, 57] {
            let places: std::collections::BTreeSet<u64> = hashes.iter().map(|hash| hash >> bits & 127).collect();
            assert_eq!(places.len(), 128, "bits from {bits} on");
        }
    }
}
