//! How the registers of a GIC, of either version, lay out what there is of each of 32 interrupts.

use crate::bus::{At, Bank};

/// Four bytes of a row, the `n`th register of an array of bytes.
pub fn bytes<const N: usize>(row: &Bank<u8, N>, n: usize) -> u32 {
    u32::from_le_bytes([0, 1, 2, 3].map(|byte| row[4 * n + byte]))
}

/// Writes the bytes that `at` covers.
pub fn set_bytes(row: &mut Bank<u8, 32>, at: At, value: u32) {
    let merged = at.merge_u32(bytes(row, at.n), value);
    for (byte, value) in merged.to_le_bytes().into_iter().enumerate() {
        row[4 * at.n + byte] = value;
    }
}

/// ICFGR number `n`, of two for a row: whether an interrupt is edge-triggered is the upper of its two bits.
pub fn edges(row: u32, n: usize) -> u32 {
    spread(row >> (n % 2 * 16))
}

/// Writes what `at` covers of the same.
pub fn set_edges(row: &mut u32, at: At, value: u32) {
    let shift = at.n % 2 * 16;
    let edges = gather(at.merge_u32(spread(*row >> shift), value));
    *row = *row & !(0xffff << shift) | edges << shift;
}

/// Which interrupts of a row are in some groups, bits as in GICD_CTLR; `group1`: which are in group 1.
pub fn of_groups(group1: u32, groups: u32) -> u32 {
    match groups {
        0 => 0,
        1 => !group1,
        2 => group1,
        _ => !0,
    }
}

/// Bit n goes to the upper of the nth two bits.
fn spread(edges: u32) -> u32 {
    (0..16).fold(0, |value, n| value | (edges >> n & 1) << (2 * n + 1))
}

/// The inverse of [`spread`].
fn gather(value: u32) -> u32 {
    (0..16).fold(0, |edges, n| edges | (value >> (2 * n + 1) & 1) << n)
}
