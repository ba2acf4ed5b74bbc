//! Hashing with a key given from outside: hostile Call-IDs cannot be made to collide, and the pure rooms stay pure.

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
