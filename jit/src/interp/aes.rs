//! AES (FIPS 197): a state is 16 bytes, column by column.

use emu_ir::Aes;

/// A part of a round.
pub(super) fn part(part: Aes, v: u128) -> u128 {
    match part {
        Aes::Sub => sub_and_shift(v),
        Aes::Mix => mix(v),
        Aes::SubMix => mix(sub_and_shift(v)),
        Aes::InvSub => inverse_sub_and_shift(v),
        Aes::InvMix => inverse_mix(v),
        Aes::InvSubMix => inverse_mix(inverse_sub_and_shift(v)),
    }
}

/// Twice a byte as a polynomial.
const fn double(x: u8) -> u8 {
    x << 1 ^ if x & 0x80 != 0 { 0x1b } else { 0 }
}

/// The S-box and its inverse. Of the generator 3 and its inverse, the powers go through every number and its inverse.
#[allow(clippy::indexing_slicing, reason = "evaluated at compile time; a byte is within 256")]
const BOXES: [[u8; 256]; 2] = {
    let (mut boxes, mut p, mut q) = ([[0; 256]; 2], 1u8, 1u8);
    loop {
        p ^= double(p);
        // q / 3.
        q ^= q << 1;
        q ^= q << 2;
        q ^= q << 4;
        q ^= if q & 0x80 != 0 { 0x09 } else { 0 };
        boxes[0][p as usize] = q ^ q.rotate_left(1) ^ q.rotate_left(2) ^ q.rotate_left(3) ^ q.rotate_left(4) ^ 0x63;
        if p == 1 {
            break;
        }
    }
    boxes[0][0] = 0x63;
    let mut x = 0;
    while x < 256 {
        boxes[1][boxes[0][x] as usize] = x as u8;
        x += 1;
    }
    boxes
};

/// Bytes of which byte `k` is that of the S-box for byte `from(k)`.
#[expect(clippy::indexing_slicing, reason = "a byte is within 256, four bits are within 16")]
fn substituted(v: u128, table: &[u8; 256], from: impl Fn(usize) -> usize) -> u128 {
    let bytes = v.to_le_bytes();
    u128::from_le_bytes(std::array::from_fn(|k| table[bytes[from(k) & 15] as usize]))
}

/// SubBytes and ShiftRows: row `r` goes `r` columns to the left.
fn sub_and_shift(v: u128) -> u128 {
    substituted(v, &BOXES[0], |k| k + 4 * (k & 3))
}
/// InvSubBytes and InvShiftRows.
fn inverse_sub_and_shift(v: u128) -> u128 {
    substituted(v, &BOXES[1], |k| k + 16 - 4 * (k & 3))
}

/// A byte in each of 16.
const fn each(byte: u8) -> u128 {
    u128::from_le_bytes([byte; 16])
}
/// Twice each byte as a polynomial.
const fn doubled(v: u128) -> u128 {
    ((v & each(0x7f)) << 1) ^ ((v >> 7 & each(1)) * 0x1b)
}
/// Each column's rows so many places up.
fn up(v: u128, rows: u32) -> u128 {
    let columns = [0, 32, 64, 96].map(|at| (v >> at) as u32);
    let columns = columns.map(|column| column.rotate_right(8 * rows));
    columns.iter().rev().fold(0, |v, column| v << 32 | u128::from(*column))
}
/// MixColumns: twice a row, three times the next, and the two after it.
fn mix(v: u128) -> u128 {
    let next = up(v, 1);
    doubled(v ^ next) ^ next ^ up(v, 2) ^ up(v, 3)
}
/// InvMixColumns: MixColumns of what differs by four times a row and the one two below.
fn inverse_mix(v: u128) -> u128 {
    let sum = v ^ up(v, 2);
    mix(v ^ doubled(doubled(sum)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_round_of_fips_197() {
        // Appendix B: the state after the key is added, after SubBytes and ShiftRows, after MixColumns.
        let start = 0x19_3d_e3_be_a0_f4_e2_2b_9a_c6_8d_2a_e9_f8_48_08_u128.swap_bytes();
        let shifted = 0xd4_bf_5d_30_e0_b4_52_ae_b8_41_11_f1_1e_27_98_e5_u128.swap_bytes();
        let mixed = 0x04_66_81_e5_e0_cb_19_9a_48_f8_d3_7a_28_06_26_4c_u128.swap_bytes();

        assert_eq!(sub_and_shift(start), shifted);
        assert_eq!(mix(shifted), mixed);
        assert_eq!(inverse_mix(mixed), shifted);
        assert_eq!(inverse_sub_and_shift(shifted), start);
    }
}
