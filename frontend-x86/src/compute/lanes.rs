//! Functions of vectors that are rare, lane by lane.

/// Lane `n` of 16 bits.
fn word(v: u128, n: u32) -> u16 {
    (v >> (16 * n)) as u16
}
/// [`crate::calls::PHMINPOSUW`].
pub fn phminposuw(a: &[u128; 4]) -> u128 {
    let smallest = (0..8).map(|n| (word(a[0], n), n)).min();
    smallest.map_or(0, |(word, n)| u128::from(word) | u128::from(n) << 16)
}

/// [`crate::calls::MPSADBW`].
pub fn mpsadbw(a: &[u128; 4]) -> u128 {
    let by = a[2] as u32;
    let byte = |v: u128, n: u32| (v >> (8 * n)) as u8;
    let (first, block) = (4 * (by >> 2 & 1), 4 * (by & 3));
    let sum = |n: u32| -> u128 {
        let differences = (0..4).map(|k| byte(a[0], first + n + k).abs_diff(byte(a[1], block + k)));
        differences.map(u128::from).sum()
    };
    (0..8).fold(0, |all, n| all | sum(n) << (16 * n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_equal_minima_the_first_counts() {
        let words = |w: [u128; 8]| w.iter().rev().fold(0, |v, w| v << 16 | w);

        let found = phminposuw(&[words([9, 0xffff, 3, 7, 3, 8, 9, 4]), 0, 0, 0]);

        assert_eq!(found, 2 << 16 | 3);
    }

    /// SDM 2, MPSADBW: blocks start at multiples of four bytes.
    #[test]
    fn sums_are_of_the_blocks_that_are_asked_for() {
        let a = u128::from_le_bytes(std::array::from_fn(|k| k as u8));
        let block = 0x0605_0403 << 64;

        let sums = mpsadbw(&[a, block, 0b110, 0]);

        assert_eq!([0, 1, 2].map(|n| word(sums, n)), [4, 8, 12]);
    }
}
