//! Values by numbers that we counted up ourselves: legs and calls under way.
//!
//! The one invariant: whatever goes through all of them does so in the order of their numbers, so that two runs go alike.

use crate::units::OwnNumbers;
use hashbrown::HashMap;
use std::hash::Hash;

/// A table of values.
#[derive(Clone, Debug)]
pub struct Table<K, V> {
    /// Boxed: a table that grows moves its rows.
    rows: HashMap<K, Box<V>, OwnNumbers>,
}

impl<K: Copy + Ord + Hash, V> Table<K, V> {
    /// An empty table.
    pub fn new() -> Self {
        Self { rows: HashMap::with_hasher(OwnNumbers) }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The value with this number.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.rows.get(key).map(|value| &**value)
    }

    /// The same, to change it.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.rows.get_mut(key).map(|value| &mut **value)
    }

    /// Puts a value in, in the place of one that has this number.
    pub fn insert(&mut self, key: K, value: V) {
        self.rows.insert(key, Box::new(value));
    }

    /// Takes a value out.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        self.rows.remove(key).map(|value| *value)
    }

    /// All numbers, in order.
    pub fn keys(&self) -> Vec<K> {
        let mut keys: Vec<K> = self.rows.keys().copied().collect();
        keys.sort_unstable();
        keys
    }

    /// The latest of those that are wanted.
    pub fn last_where(&self, wanted: impl Fn(&V) -> bool) -> Option<(K, &V)> {
        self.rows.iter().map(|(key, value)| (*key, &**value)).filter(|(_, value)| wanted(value)).max_by_key(|(key, _)| *key)
    }

    /// The number of the only one that is wanted.
    pub fn only_where(&self, wanted: impl Fn(K, &V) -> bool) -> Option<K> {
        let mut found = self.rows.iter().filter(|(key, value)| wanted(**key, value)).map(|(key, _)| *key);
        let first = found.next()?;
        found.next().is_none().then_some(first)
    }

    /// All values, in the order of their numbers.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (K, &V)> + ExactSizeIterator {
        let mut rows: Vec<(K, &V)> = self.rows.iter().map(|(key, value)| (*key, &**value)).collect();
        rows.sort_unstable_by_key(|(key, _)| *key);
        rows.into_iter()
    }
}

impl<K: Copy + Ord + Hash, V> FromIterator<(K, V)> for Table<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(rows: I) -> Self {
        let mut table = Self::new();
        for (key, value) in rows {
            table.insert(key, value);
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_come_in_the_order_of_their_numbers() {
        let mut table: Table<u64, &str> = [(9, "nine"), (1, "one"), (300, "many"), (2, "two")].into_iter().collect();
        assert_eq!((table.remove(&2), table.remove(&2), table.len()), (Some("two"), None, 3));
        if let Some(value) = table.get_mut(&1) {
            *value = "first";
        }
        assert_eq!(table.keys(), [1, 9, 300]);
        assert_eq!(table.iter().rev().map(|(_, value)| *value).collect::<Vec<_>>(), ["many", "nine", "first"]);
        assert_eq!(table.last_where(|value| value.starts_with(['n', 'f'])), Some((9, &"nine")));
        assert!(table.get(&4).is_none() && !table.is_empty());
    }
}
