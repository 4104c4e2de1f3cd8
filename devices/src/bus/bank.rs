//! Arrays that are indexed by what a guest or a file says.

use serde::{Deserialize, Serialize};
use std::ops::{Index, IndexMut};

/// `N` registers of a kind, such as one for each CPU. An index past the last one starts over at the first, as it does for
/// hardware that leaves address lines undecoded: there is no index that is out of range.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(
    transparent,
    bound(serialize = "[T; N]: Serialize", deserialize = "[T; N]: Deserialize<'de>")
)]
pub struct Bank<T, const N: usize>(pub [T; N]);

impl<T: Copy + Default, const N: usize> Default for Bank<T, N> {
    fn default() -> Self {
        Bank([T::default(); N])
    }
}

impl<T, const N: usize> Bank<T, N> {
    /// All of them.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.0.iter()
    }

    /// All of them.
    pub fn iter_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut T> {
        self.0.iter_mut()
    }
}

impl<T, const N: usize> Index<usize> for Bank<T, N> {
    type Output = T;
    #[inline]
    #[expect(clippy::indexing_slicing, reason = "a remainder is in range")]
    fn index(&self, n: usize) -> &T {
        &self.0[n % N]
    }
}

impl<T, const N: usize> IndexMut<usize> for Bank<T, N> {
    #[inline]
    #[expect(clippy::indexing_slicing, reason = "a remainder is in range")]
    fn index_mut(&mut self, n: usize) -> &mut T {
        &mut self.0[n % N]
    }
}

/// Registers of a kind of which a device has as many as the machine has CPUs: a [`Bank`] whose length is known only when it
/// is made, and never 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    try_from = "Vec<T>",
    into = "Vec<T>",
    bound(serialize = "T: Serialize + Clone", deserialize = "T: Deserialize<'de>")
)]
pub struct Each<T>(Vec<T>);

impl<T> Each<T> {
    /// `count` of them, but at least one.
    pub fn new(one: T, count: usize) -> Each<T>
    where
        T: Clone,
    {
        Each(vec![one; count.max(1)])
    }

    /// How many there are.
    #[expect(clippy::len_without_is_empty, reason = "there is always one")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// All of them.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> + ExactSizeIterator {
        self.0.iter()
    }

    /// All of them.
    pub fn iter_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut T> + ExactSizeIterator {
        self.0.iter_mut()
    }
}

impl<T> TryFrom<Vec<T>> for Each<T> {
    type Error = &'static str;

    fn try_from(all: Vec<T>) -> Result<Each<T>, &'static str> {
        match all.is_empty() {
            true => Err("none at all"),
            false => Ok(Each(all)),
        }
    }
}

impl<T> From<Each<T>> for Vec<T> {
    fn from(all: Each<T>) -> Vec<T> {
        all.0
    }
}

impl<T> Index<usize> for Each<T> {
    type Output = T;
    #[inline]
    #[expect(clippy::indexing_slicing, reason = "a remainder is in range, and there is one")]
    fn index(&self, n: usize) -> &T {
        &self.0[n % self.0.len()]
    }
}

impl<T> IndexMut<usize> for Each<T> {
    #[inline]
    #[expect(clippy::indexing_slicing, reason = "a remainder is in range, and there is one")]
    fn index_mut(&mut self, n: usize) -> &mut T {
        let length = self.0.len();
        &mut self.0[n % length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_always_one_for_each_cpu() {
        let mut each = Each::new(1, 0);

        each[usize::MAX] = 5;

        assert_eq!((each.len(), each[0]), (1, 5));
        assert_eq!(serde_json::to_string(&each).unwrap(), "[5]");
        assert!(serde_json::from_str::<Each<u8>>("[]").is_err());
    }

    #[test]
    fn every_index_is_in_range() {
        let mut bank = Bank([1, 2, 3]);

        bank[usize::MAX] = 5;

        assert_eq!(bank, Bank([5, 2, 3]));
        assert_eq!([0, 1, 2, 3, 4, usize::MAX].map(|n| bank[n]), [5, 2, 3, 5, 2, 5]);
        assert_eq!(serde_json::to_string(&bank).unwrap(), "[5,2,3]");
    }
}
