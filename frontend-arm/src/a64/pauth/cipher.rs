//! What a pointer authentication code is computed with (Arm ARM DDI 0487, shared pseudocode, ComputePAC): QARMA5, which is
//! architected, and an algorithm of ours that costs next to nothing.

/// A key, its low half first.
pub type Key = [u64; 2];

/// The IMPLEMENTATION DEFINED algorithm: a code of seven bits, 48 to 54, which is what pointers have room for that have 48
/// bits of address and a tag. With keys that are random they depend on all bits of the modifier's and of such an address.
/// Translated code computes the same.
pub const fn cheap(data: u64, modifier: u64, key: Key) -> u64 {
    mixed(data << 16, modifier, key) >> 57 << 48
}
/// What it is of: the upper bits depend on everything.
pub const fn mixed(data: u64, modifier: u64, [low, high]: Key) -> u64 {
    (data ^ modifier ^ high).wrapping_mul(low)
}

/// Rounds before the middle, and after it.
const ROUNDS: usize = 5;
/// What rounds add.
const RC: [u64; ROUNDS] = [
    0,
    0x1319_8a2e_0370_7344,
    0xa409_3822_299f_31d0,
    0x082e_fa98_ec4e_6c89,
    0x4528_21e6_38d0_1377,
];
/// What the rounds after the middle add besides.
const ALPHA: u64 = 0xc0ac_29b7_c97c_50dd;
/// PACSub.
const SUB: [u8; 16] = [
    0xb, 0x6, 0x8, 0xf, 0xc, 0x0, 0x9, 0xe, 0x3, 0x7, 0x4, 0x5, 0xd, 0x2, 0x1, 0xa,
];
/// PACInvSub.
const UNSUB: [u8; 16] = inverse(SUB);
/// PACCellShuffle: which cell, of four bits, goes to each.
const SHUFFLE: [u8; 16] = [13, 6, 11, 0, 7, 12, 1, 10, 8, 3, 14, 5, 2, 9, 4, 15];
/// PACCellInvShuffle.
const UNSHUFFLE: [u8; 16] = inverse(SHUFFLE);
/// TweakShuffle, but for the cells that it rotates.
const TWEAK: [u8; 16] = [4, 5, 6, 7, 11, 2, 3, 8, 12, 13, 14, 15, 0, 1, 10, 9];
/// TweakInvShuffle, but for these.
const UNTWEAK: [u8; 16] = inverse(TWEAK);
/// The cells that TweakShuffle rotates, where they come to.
const ROTATED: [u32; 7] = [2, 4, 7, 11, 12, 14, 15];

#[expect(
    clippy::indexing_slicing,
    reason = "evaluated at compile time, where an index out of range is an error"
)]
const fn inverse(of: [u8; 16]) -> [u8; 16] {
    let (mut back, mut i) = ([0; 16], 0);
    while i < 16 {
        back[of[i] as usize] = i as u8;
        i += 1;
    }
    back
}

/// Cell `i` of 16.
const fn cell(v: u64, i: u32) -> u64 {
    v >> (4 * (i & 15)) & 15
}

/// Every cell as `f` has it.
fn cells(f: impl Fn(u32) -> u64) -> u64 {
    (0..16).fold(0, |all, i| all | f(i) << (4 * i))
}

/// An entry of a table of 16.
fn entry(table: &[u8; 16], i: u64) -> u64 {
    table.get(i as usize & 15).copied().unwrap_or(0).into()
}

/// Cells from where a table says.
fn shuffled(v: u64, from: &[u8; 16]) -> u64 {
    cells(|i| cell(v, entry(from, i.into()) as u32))
}

/// Cells replaced.
fn substituted(v: u64, by: &[u8; 16]) -> u64 {
    cells(|i| entry(by, cell(v, i)))
}

/// RotCell.
const fn rot(v: u64, by: u32) -> u64 {
    (v << by | v >> (4 - by)) & 15
}

/// PACMult: each cell from the three others of its column.
fn multiplied(v: u64) -> u64 {
    cells(|i| rot(cell(v, i + 4), 1) ^ rot(cell(v, i + 8), 2) ^ rot(cell(v, i + 12), 1))
}

/// TweakShuffle.
fn tweaked(v: u64) -> u64 {
    let v = shuffled(v, &TWEAK);
    let turned = |c: u64| c >> 1 | (c ^ c >> 1) << 3 & 8;
    cells(|i| {
        if ROTATED.contains(&i) {
            turned(cell(v, i))
        } else {
            cell(v, i)
        }
    })
}

/// TweakInvShuffle.
fn untweaked(v: u64) -> u64 {
    let turned = |c: u64| (c << 1 | (c >> 3 ^ c) & 1) & 15;
    let v = cells(|i| {
        if ROTATED.contains(&i) {
            turned(cell(v, i))
        } else {
            cell(v, i)
        }
    });
    shuffled(v, &UNTWEAK)
}

/// ComputePAC by FEAT_PACQARMA5.
pub fn qarma5(data: u64, modifier: u64, [key1, key0]: Key) -> u64 {
    let other_key0 = key0 << 63 | key0 >> 2 << 1 & (u64::MAX >> 1) | key0 >> 63 ^ key0 >> 1 & 1;
    let (mut tweak, mut v) = (modifier, data ^ key0);
    for (i, constant) in RC.into_iter().enumerate() {
        v ^= key1 ^ tweak ^ constant;
        if i > 0 {
            v = multiplied(shuffled(v, &SHUFFLE));
        }
        v = substituted(v, &SUB);
        tweak = tweaked(tweak);
    }
    v ^= other_key0 ^ tweak;
    v = substituted(multiplied(shuffled(v, &SHUFFLE)), &SUB);
    v = multiplied(shuffled(v, &SHUFFLE)) ^ key1;
    v = multiplied(substituted(shuffled(v, &UNSHUFFLE), &UNSUB));
    v = shuffled(v, &UNSHUFFLE) ^ key0 ^ tweak;
    for (i, constant) in RC.into_iter().rev().enumerate() {
        v = substituted(v, &UNSUB);
        if i < ROUNDS - 1 {
            v = shuffled(multiplied(v), &UNSHUFFLE);
        }
        tweak = untweaked(tweak);
        v ^= constant ^ key1 ^ tweak ^ ALPHA;
    }
    v ^ other_key0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A test vector of R. Avanzi, The QARMA Block Cipher Family (2017), appendix: five rounds, the S-box that Arm took.
    #[test]
    fn qarma5_is_the_published_cipher() {
        let key = [0xec28_02d4_e0a4_88e9, 0x84be_85ce_9804_e94b];

        assert_eq!(
            qarma5(0xfb62_3599_da6e_8127, 0x477d_469d_ec0b_8762, key),
            0xc003_b939_99b3_3765
        );
    }

    #[test]
    fn every_operand_changes_the_bits_that_codes_are_of() {
        let base = [
            0x8000_1234_5678,
            0x7fff_0010,
            0x0123_4567_89ab_cdef,
            0xfedc_ba98_7654_3210,
        ];
        let code = |[data, modifier, low, high]: [u64; 4]| cheap(data, modifier, [low, high]);
        assert_eq!(code(base) & !(0x7f << 48), 0);
        for operand in 0..4 {
            let differ = (0..48).filter(|bit| {
                let mut other = base;
                other[operand] ^= 1 << bit;
                code(other) != code(base)
            });
            assert!(differ.count() > 40, "operand {operand}");
        }
    }
}
