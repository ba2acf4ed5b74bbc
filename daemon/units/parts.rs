//! State that is written in parts, so that only what changed since it was last kept is kept anew.
//!
//! The one invariant: the parts one behind the other, in the order of their names, are the bytes of the whole.

use super::KeyedState;
use super::codec::Writer;
use std::collections::BTreeMap;
use std::fmt;
use std::hash::BuildHasher;

/// So many items are kept together.
const NEIGHBOURS: u64 = 16;

/// What a part is called: the section of the whole it is of, and its number there. A writer goes through them in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct PartName {
    /// Counted through the whole.
    pub section: u8,
    /// Within the section.
    pub number: u64,
}

/// Sorts as the names do.
impl fmt::Display for PartName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:02x}{:016x}", self.section, self.number)
    }
}

impl PartName {
    /// A name as it is shown; `None` for other texts.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (section, number) = text.split_at_checked(2)?;
        let name = Self { section: u8::from_str_radix(section, 16).ok()?, number: u64::from_str_radix(number, 16).ok()? };
        (name.to_string() == text).then_some(name)
    }
}

/// Which parts were kept, and a digest of each, by a key that no sender knows: two that differ look alike once in 2^64.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    key: KeyedState,
    parts: BTreeMap<PartName, Option<u64>>,
}

impl Kept {
    /// Parts of which only the names are known: each is kept anew, or gone, the next time.
    #[must_use]
    pub fn named(key: KeyedState, names: impl Iterator<Item = PartName>) -> Self {
        Self { key, parts: names.map(|name| (name, None)).collect() }
    }

    /// Some may have gone: from now on only their names are known.
    pub fn doubt(&mut self) {
        self.parts.values_mut().for_each(|digest| *digest = None);
    }
}

/// What is different from what was kept.
#[derive(Debug, Default)]
pub struct Changes {
    /// Parts that are new or not as they were, in order.
    pub changed: Vec<(PartName, Vec<u8>)>,
    /// Parts that are no more.
    pub gone: Vec<PartName>,
    /// What is kept once these changes are.
    pub kept: Kept,
}

/// The parts that a [`Writer`] has finished.
#[derive(Debug)]
pub(super) struct Parts {
    name: PartName,
    before: Kept,
    changes: Changes,
}

impl Parts {
    pub(super) fn beside(before: Kept) -> Self {
        let kept = Kept { key: before.key, parts: BTreeMap::new() };
        Self { name: PartName::default(), before, changes: Changes { kept, ..Changes::default() } }
    }

    /// The bytes so far are of the part under way; what follows is of the one with this name.
    pub(super) fn turn_to(&mut self, name: PartName, bytes: &mut Vec<u8>) {
        if name == self.name {
            return;
        }
        debug_assert!(self.name < name, "parts are written in order");
        self.end(bytes);
        self.name = name;
    }

    fn end(&mut self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let digest = Some(self.before.key.hash_one(bytes.as_slice()));
        self.changes.kept.parts.insert(self.name, digest);
        if self.before.parts.remove(&self.name) != Some(digest) {
            self.changes.changed.push((self.name, bytes.clone()));
        }
        bytes.clear();
    }

    fn finish(mut self, mut bytes: Vec<u8>) -> Changes {
        self.end(&mut bytes);
        self.changes.gone = self.before.parts.into_keys().collect();
        self.changes
    }
}

impl Writer {
    /// Writes in parts, beside what was kept.
    #[must_use]
    pub fn in_parts(before: Kept) -> Self {
        Self { parts: Some(Box::new(Parts::beside(before))), ..Self::default() }
    }

    /// What follows is of this part, where in parts is written.
    pub fn part(&mut self, section: u8, number: u64) {
        if let Some(parts) = &mut self.parts {
            parts.turn_to(PartName { section, number }, &mut self.bytes);
        }
    }

    /// What follows is of the item with this number, which is kept together with its neighbours: few enough that one that changed has
    /// few others written with it, enough that a hundred thousand are no hundred thousand parts.
    pub fn part_of(&mut self, section: u8, item: u64) {
        self.part(section, item / NEIGHBOURS);
    }

    /// What changed; all that was written, for a writer that does not write in parts.
    #[must_use]
    pub fn changes(self) -> Changes {
        let Self { bytes, parts } = self;
        parts.map_or_else(|| Parts::beside(Kept::default()), |parts| *parts).finish(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::{Changes, Kept, KeyedState, PartName, Writer};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// Items with a number each, a part for those that share a tens digit, behind a head and before a tail.
    fn write(out: &mut Writer, items: &BTreeMap<u8, u8>) {
        out.number(7);
        out.list(items.iter(), |out, (number, value)| {
            out.part(1, u64::from(number / 10));
            out.number(u64::from(*number));
            out.number(u64::from(*value));
        });
        out.part(2, 0);
        out.text("the end");
    }

    proptest! {
        #[test]
        fn what_is_kept_is_the_whole(steps in prop::collection::vec(prop::collection::btree_map(0..40_u8, 0..3_u8, 0..12), 1..6)) {
            let mut ledger: BTreeMap<String, Vec<u8>> = BTreeMap::new();
            let mut kept = Kept::named(KeyedState::new(1), [PartName { section: 9, number: 1 }].into_iter());
            ledger.insert("090000000000000001".to_owned(), b"of another time".to_vec());
            for items in steps {
                let mut out = Writer::in_parts(kept.clone());
                write(&mut out, &items);
                let changes = out.changes();
                for (name, bytes) in changes.changed {
                    prop_assert_ne!(ledger.insert(name.to_string(), bytes.clone()), Some(bytes), "it had not changed");
                }
                for name in changes.gone {
                    prop_assert!(ledger.remove(&name.to_string()).is_some(), "what is gone was there");
                }
                kept = changes.kept;
                let mut whole = Writer::new();
                write(&mut whole, &items);
                prop_assert_eq!(ledger.values().flatten().copied().collect::<Vec<u8>>(), whole.finish());
            }
        }
    }

    #[test]
    fn what_is_doubted_is_kept_anew() {
        let changes = |before: Kept| {
            let mut out = Writer::in_parts(before);
            write(&mut out, &BTreeMap::from([(1, 1), (30, 2)]));
            out.changes()
        };
        let mut kept = changes(Kept::default()).kept;
        assert_eq!(changes(kept.clone()).changed.len(), 0);
        kept.doubt();
        assert_eq!(changes(kept).changed.len(), 4);
    }

    #[test]
    fn names_read_back_and_sort_as_they_print() {
        let names = [(0, 0), (0, 9), (0, 16), (1, 2), (16, 0), (255, u64::MAX)].map(|(section, number)| PartName { section, number });
        for pair in names.windows(2) {
            assert!(pair[0] < pair[1] && pair[0].to_string() < pair[1].to_string());
            assert_eq!(PartName::parse(&pair[1].to_string()), Some(pair[1]));
        }
        for wrong in ["", "0", "00", "0000000000000000zz", "00 000000000000001", "000000000000000001a", "é0000000000000000"] {
            assert_eq!(PartName::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_plain_writer_has_one_part() {
        let mut out = Writer::new();
        write(&mut out, &BTreeMap::from([(1, 1), (30, 2)]));
        let Changes { changed, gone, .. } = out.changes();
        assert_eq!((changed.len(), gone.len()), (1, 0));
    }
}
