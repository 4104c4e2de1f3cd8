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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_index_is_in_range() {
        let mut bank = Bank([1, 2, 3]);

        bank[usize::MAX] = 5;

        assert_eq!(bank, Bank([5, 2, 3]));
        assert_eq!(serde_json::to_string(&bank).unwrap(), "[5,2,3]");
    }
}
