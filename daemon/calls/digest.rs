//! A digest of all that a value says, to know whether it was told before.
//!
//! The one invariant: values that differ have digests that differ. They need not outlive this version of the program: what is told
//! a second time is known already, and changes nothing.

use sha2::{Digest, Sha256};
use std::hash::{Hash, Hasher};

/// Half of the SHA-256 of a value's octets, as its parts hash them.
pub(super) fn digest_of(found: &impl Hash) -> [u8; 16] {
    let mut octets = Octets(Vec::with_capacity(512));
    found.hash(&mut octets);
    let mut digest = [0; 16];
    for (to, from) in digest.iter_mut().zip(Sha256::digest(octets.0)) {
        *to = from;
    }
    digest
}

/// Keeps what is hashed.
struct Octets(Vec<u8>);

impl Hasher for Octets {
    fn write(&mut self, octets: &[u8]) {
        self.0.extend_from_slice(octets);
    }

    fn finish(&self) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_has_another_digest() {
        let values: [(Option<&str>, &[u16]); 5] = [(None, &[]), (Some(""), &[]), (Some("a"), &[]), (Some("a"), &[0]), (Some("a"), &[1])];
        for (place, one) in values.iter().enumerate() {
            for other in values.iter().skip(place + 1) {
                assert_ne!(digest_of(one), digest_of(other), "{one:?} {other:?}");
            }
            assert_eq!(digest_of(one), digest_of(&one.clone()));
        }
    }
}
