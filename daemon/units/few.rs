//! A list of which nearly every one has one value: that one lies where the list lies, and only further ones on the heap.
//!
//! The one invariant: without a first value there are no further ones.

/// Values in the order in which they came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Few<T> {
    first: Option<T>,
    more: Vec<T>,
}

impl<T> Few<T> {
    /// None.
    #[must_use]
    pub const fn new() -> Self {
        Self { first: None, more: Vec::new() }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.more.len().saturating_add(usize::from(self.first.is_some()))
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// The first one.
    #[must_use]
    pub const fn first(&self) -> Option<&T> {
        self.first.as_ref()
    }

    /// The same, to change it.
    pub const fn first_mut(&mut self) -> Option<&mut T> {
        self.first.as_mut()
    }

    /// The one at a place, counted from 0, to change it.
    pub fn get_mut(&mut self, place: usize) -> Option<&mut T> {
        match place.checked_sub(1) {
            None => self.first.as_mut(),
            Some(place) => self.more.get_mut(place),
        }
    }

    /// All, in order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.first.iter().chain(&self.more)
    }

    /// The same, to change them.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.first.iter_mut().chain(&mut self.more)
    }

    /// Puts one behind the others.
    pub fn push(&mut self, value: T) {
        if self.first.is_none() {
            self.first = Some(value);
        } else {
            self.more.push(value);
        }
    }
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> FromIterator<T> for Few<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        let mut values = values.into_iter();
        Self { first: values.next(), more: values.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_a_list() {
        for length in 0..5usize {
            let (mut few, mut list): (Few<usize>, Vec<usize>) = (Few::new(), Vec::new());
            for value in 0..length {
                few.push(value);
                list.push(value);
            }
            assert_eq!((few.len(), few.is_empty(), few.first()), (length, list.is_empty(), list.first()));
            few.iter_mut().for_each(|value| *value *= 3);
            list.iter_mut().for_each(|value| *value *= 3);
            assert_eq!(few, list.iter().copied().collect());
            for place in 0..=length {
                assert_eq!(few.get_mut(place), list.get_mut(place));
            }
            assert_eq!(few.first_mut(), list.first_mut());
            assert!(few.iter().eq(&list));
        }
    }
}
