//! IRR, ISR and TMR: a bit for each vector.

use crate::bus::Bank;
use serde::{Deserialize, Serialize};

/// A set of vectors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Vectors(Bank<u32, 8>);

impl Vectors {
    /// The `n`th register.
    pub fn word(&self, n: usize) -> u32 {
        self.0[n]
    }

    pub fn has(&self, vector: u8) -> bool {
        self.0[usize::from(vector) / 32] >> (vector % 32) & 1 != 0
    }

    pub fn put(&mut self, vector: u8, value: bool) {
        let word = &mut self.0[usize::from(vector) / 32];
        *word = *word & !(1 << (vector % 32)) | u32::from(value) << (vector % 32);
    }

    /// The most urgent one.
    pub fn highest(&self) -> Option<u8> {
        let n = (0..8).rev().find(|n| self.0[*n] != 0)?;
        Some((32 * n) as u8 + 31 - self.0[n].leading_zeros() as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_number_is_the_most_urgent() {
        let mut set = Vectors::default();
        assert_eq!(set.highest(), None);

        for vector in [0x10, 0x1f, 0x20, 0x7f, 0xff] {
            set.put(vector, true);
            assert_eq!(set.highest(), Some(vector));
        }
        assert_eq!([0, 1, 3, 7].map(|n| set.word(n)), [0x8001_0000, 1, 1 << 31, 1 << 31]);

        set.put(0xff, false);
        assert_eq!((set.highest(), set.has(0x7f), set.has(0xff)), (Some(0x7f), true, false));
    }
}
