//! The hash chains: each row of evidence and each entry carries SHA-256 over the hash before it and all it says.
//!
//! The one invariant: every column of a row that means something is under its hash, framed so that no two rows have the
//! same bytes. Anyone can compute it again: the numbers are LEB128, texts and bytes have their length before them
//! ([`crate::units::codec`]), and an absent value is a 0, a present one a 1 and the value.

use crate::units::codec::Writer;
use sha2::{Digest, Sha256};

/// A link of a chain; the first row follows on [`Hash::START`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// What stands before the first row.
    pub const START: Self = Self([0; 32]);

    /// From a stored value; `None` if it has not 32 bytes.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// In lower-case hexadecimal digits.
    #[must_use]
    pub fn hex(&self) -> String {
        hex(&self.0)
    }
}

/// A subject as it is hashed: its kind and its key.
pub(super) type Key<'a> = (i64, &'a str);

/// A row of evidence, as it is hashed.
pub(super) struct EvidenceRow<'a> {
    pub seq: i64,
    pub kind: i64,
    pub key: Option<Key<'a>>,
    pub previous: Option<i64>,
    pub at: i64,
    pub body: &'a [u8],
}

impl EvidenceRow<'_> {
    pub fn hash(&self, before: &Hash) -> Hash {
        let mut out = Writer::with_capacity(128);
        out.number(self.seq.cast_unsigned());
        out.number(self.kind.cast_unsigned());
        out.option(self.key, write_key);
        out.option(self.previous, |out, seq| out.number(seq.cast_unsigned()));
        out.number(self.at.cast_unsigned());
        link(before, &out.finish(), self.body)
    }
}

/// An entry, as it is hashed.
pub(super) struct EntryRow<'a> {
    pub seq: i64,
    pub kind: i64,
    pub key: Key<'a>,
    pub previous: Option<i64>,
    pub catalogue: i64,
    pub begun: i64,
    pub body: &'a [u8],
}

impl EntryRow<'_> {
    pub fn hash(&self, before: &Hash) -> Hash {
        let mut out = Writer::with_capacity(128);
        out.number(self.seq.cast_unsigned());
        out.number(self.kind.cast_unsigned());
        write_key(&mut out, self.key);
        out.option(self.previous, |out, seq| out.number(seq.cast_unsigned()));
        out.number(self.catalogue.cast_unsigned());
        out.number(self.begun.cast_unsigned());
        link(before, &out.finish(), self.body)
    }
}

/// The hash of texts, each with its length before it: of a document, of a set of documents.
pub(super) fn hash_of(parts: &[&[u8]]) -> Hash {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hasher.update(part);
    }
    Hash(hasher.finalize().into())
}

/// Eight bytes of the hash of a key: what the index over subjects holds.
pub(super) fn key_hash((kind, key): Key<'_>) -> i64 {
    let digest: [u8; 32] = Sha256::new().chain_update(kind.to_be_bytes()).chain_update(key).finalize().into();
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    i64::from_be_bytes(first)
}

/// Bytes as lower-case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).filter_map(|digit| char::from_digit(u32::from(digit), 16)).collect()
}

fn write_key(out: &mut Writer, (kind, key): Key<'_>) {
    out.number(kind.cast_unsigned());
    out.text(key);
}

fn link(before: &Hash, head: &[u8], body: &[u8]) -> Hash {
    let length = u64::try_from(body.len()).unwrap_or(u64::MAX).to_be_bytes();
    Hash(Sha256::new().chain_update(before.0).chain_update(head).chain_update(length).chain_update(body).finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_changes_the_hash() {
        let entry = || EntryRow { seq: 2, kind: 0, key: (0, "a"), previous: None, catalogue: 1, begun: 5, body: b"x" };
        let base = entry().hash(&Hash::START);
        let others = [
            EntryRow { seq: 3, ..entry() },
            EntryRow { kind: 1, ..entry() },
            EntryRow { key: (1, "a"), ..entry() },
            EntryRow { key: (0, "b"), ..entry() },
            EntryRow { previous: Some(0), ..entry() },
            EntryRow { catalogue: 2, ..entry() },
            EntryRow { begun: 6, ..entry() },
            EntryRow { body: b"y", ..entry() },
        ];
        for (place, other) in others.iter().enumerate() {
            assert_ne!(other.hash(&Hash::START), base, "column {place}");
        }
        assert_ne!(entry().hash(&base), base);
        assert_eq!(hex(&[0, 0xa5]), "00a5");
    }
}
