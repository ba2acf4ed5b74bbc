//! Closed sets as the words of design.md §9 and as the small numbers of stored forms: snapshots, evidence, records.
//!
//! The one invariant: a list only grows at its end, because its places are what older ledgers hold.

use super::Direction;

/// A closed set with a word and a stored number for each member.
pub trait Word: Copy + PartialEq + 'static {
    /// All members, in stored order.
    const ALL: &'static [Self];

    /// The word of the interface.
    fn word(self) -> &'static str;

    /// The stored number: the place in [`Word::ALL`].
    fn code(self) -> u64 {
        Self::ALL.iter().position(|other| *other == self).and_then(|place| u64::try_from(place).ok()).unwrap_or(u64::MAX)
    }

    /// The member of a stored number; `None` if there is none.
    fn from_code(code: u64) -> Option<Self> {
        Self::ALL.get(usize::try_from(code).ok()?).copied()
    }

    /// The member of a word; `None` if there is none.
    fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|member| member.word() == word)
    }
}

/// Declares the words of an enum, in stored order; a variant without a word does not compile.
macro_rules! words {
    ($type:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        impl $crate::units::Word for $type {
            const ALL: &'static [Self] = &[$($type::$variant),+];

            fn word(self) -> &'static str {
                match self { $($type::$variant => $word),+ }
            }
        }
    };
}

pub(crate) use words;

words!(Direction { In = "in", Out = "out" });

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Every member is found by its number and by its word.
    pub(crate) fn check<T: Word + std::fmt::Debug>() {
        for member in T::ALL {
            assert_eq!(T::from_code(member.code()), Some(*member));
            assert_eq!(T::from_word(member.word()), Some(*member));
        }
        assert_eq!(T::from_code(u64::try_from(T::ALL.len()).expect("a small number")), None);
    }

    #[test]
    fn every_member_has_a_place_and_a_word() {
        check::<Direction>();
    }
}
