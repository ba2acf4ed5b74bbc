//! Which calls of a file have one name: by sorting hashes, each thread its own, so that no table of a million names is needed.

use std::hash::{BuildHasher, RandomState};

/// Where a call stands: its hand full of rows, and its place in it.
pub type Place = (u32, u32);

/// The hashes of names, and where they stand. The keys are drawn: nobody can make names collide.
#[derive(Default)]
pub struct Names {
    state: RandomState,
    hashes: Vec<(u64, Place)>,
}

impl Names {
    /// None yet, hashed with the same keys.
    pub fn alike(&self) -> Self {
        Self { state: self.state.clone(), hashes: Vec::new() }
    }

    /// Adds a name.
    pub fn add(&mut self, name: &str, place: Place) {
        self.hashes.push((self.state.hash_one(name), place));
    }

    /// Sorts them, so that [`Names::twice`] has less to do.
    pub fn sort(&mut self) {
        self.hashes.sort_unstable_by_key(|(hash, _)| *hash);
    }

    /// The places whose name stands at an earlier one, too; `name` tells the name at a place.
    pub fn twice<'a>(parts: Vec<Self>, name: impl Fn(Place) -> Option<&'a str>) -> Vec<Place> {
        let mut all: Vec<(u64, Place)> = parts.into_iter().flat_map(|part| part.hashes).collect();
        all.sort_by_key(|(hash, _)| *hash); // finds the runs that are sorted already
        let mut twice = Vec::new();
        for same in all.chunk_by_mut(|one, other| one.0 == other.0).filter(|same| same.len() > 1) {
            same.sort_unstable();
            for (at, (_, place)) in same.iter().enumerate() {
                if same.iter().take(at).any(|(_, earlier)| name(*earlier) == name(*place)) {
                    twice.push(*place);
                }
            }
        }
        twice
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_stands_twice_is_found_wherever_it_stands() {
        let texts = [["a", "b", "c"], ["d", "b", "e"], ["b", "a", "f"]];
        let all = Names::default();
        let part = |hands: &[u32]| {
            let mut part = all.alike();
            for hand in hands {
                (0..).zip(texts[*hand as usize]).for_each(|(at, text)| part.add(text, (*hand, at)));
            }
            part.sort();
            part
        };
        let parts = vec![part(&[2, 0]), part(&[1])];
        let mut twice = Names::twice(parts, |(hand, at)| Some(texts[hand as usize][at as usize]));
        twice.sort_unstable();
        assert_eq!(twice, [(1, 1), (2, 0), (2, 1)]);
    }
}
