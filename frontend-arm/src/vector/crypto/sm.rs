//! SM3 (GB/T 32905) and SM4 (GB/T 32907).

use super::{vector, words};

/// P1 of SM3.
const fn permuted(x: u32) -> u32 {
    x ^ x.rotate_left(15) ^ x.rotate_left(23)
}
/// SM3PARTW1: the last word needs the first.
pub fn part1(a: &[u128; 4]) -> u128 {
    let [w, x, y, z] = words(a[0] ^ a[1]);
    let [_, i, j, k] = words(a[2]).map(|v| v.rotate_left(15));
    let [w, x, y] = [w ^ i, x ^ j, y ^ k].map(permuted);
    vector([w, x, y, permuted(z ^ w.rotate_left(15))])
}
/// SM3PARTW2.
pub fn part2(a: &[u128; 4]) -> u128 {
    let rest = a[1] ^ vector(words(a[2]).map(|v| v.rotate_left(7)));
    let last = permuted((rest as u32).rotate_left(15));
    a[0] ^ rest ^ u128::from(last) << 96
}

/// A round's first half: arguments d to a, what holds SS1, the word.
fn first(a: &[u128; 4], f: fn(u32, u32, u32) -> u32) -> u128 {
    let ([w, x, y, z], [.., ss1]) = (words(a[0]), words(a[1]));
    let ss2 = ss1 ^ z.rotate_left(12);
    let sum = f(z, y, x).wrapping_add(w).wrapping_add(ss2).wrapping_add(a[2] as u32);
    vector([x, y.rotate_left(9), z, sum])
}
/// A round's second half: arguments h to e, what holds SS1, the word.
fn second(a: &[u128; 4], f: fn(u32, u32, u32) -> u32) -> u128 {
    let ([w, x, y, z], [.., ss1]) = (words(a[0]), words(a[1]));
    let sum = f(z, y, x).wrapping_add(w).wrapping_add(ss1).wrapping_add(a[2] as u32);
    let mixed = sum ^ sum.rotate_left(9) ^ sum.rotate_left(17);
    vector([x, y.rotate_left(19), z, mixed])
}
/// SM3TT1A.
pub fn first_parity(a: &[u128; 4]) -> u128 {
    first(a, |x, y, z| x ^ y ^ z)
}
/// SM3TT1B.
pub fn first_majority(a: &[u128; 4]) -> u128 {
    first(a, |x, y, z| x & y | x & z | y & z)
}
/// SM3TT2A.
pub fn second_parity(a: &[u128; 4]) -> u128 {
    second(a, |x, y, z| x ^ y ^ z)
}
/// SM3TT2B.
pub fn second_choose(a: &[u128; 4]) -> u128 {
    second(a, |x, y, z| x & y | !x & z)
}

/// The affine map: a byte times a matrix, plus a constant.
const fn affine(x: u8) -> u8 {
    let (mut sum, mut k) = (0xd3, 0u32);
    while k < 8 {
        // Row k of the matrix is the first one rotated.
        let bits = x & 0xa7u8.rotate_left(k);
        sum ^= ((bits.count_ones() & 1) as u8) << k;
        k += 1;
    }
    sum
}
/// A product modulo x^8 + x^7 + x^6 + x^5 + x^4 + x^2 + 1.
const fn product(x: u8, y: u8) -> u8 {
    let (mut sum, mut x, mut k) = (0, x, 0);
    while k < 8 {
        sum ^= if y >> k & 1 != 0 { x } else { 0 };
        x = x << 1 ^ if x & 0x80 != 0 { 0xf5 } else { 0 };
        k += 1;
    }
    sum
}
/// The S-box: an affine map, the inverse (the 254th power), the map again.
#[allow(clippy::indexing_slicing, reason = "evaluated at compile time")]
const BOX: [u8; 256] = {
    let (mut table, mut x) = ([0; 256], 0);
    while x < 256 {
        let v = affine(x as u8);
        let (mut power, mut k) = (1, 0);
        while k < 7 {
            power = product(power, v);
            power = product(power, power);
            k += 1;
        }
        table[x] = affine(power);
        x += 1;
    }
    table
};

/// Four rounds: of each, the words, what the round adds, and how the substituted sum is mixed.
#[expect(clippy::indexing_slicing, reason = "a byte is within 256")]
fn sm4_rounds(start: u128, keys: u128, mix: fn(u32) -> u32) -> u128 {
    let mut v = words(start);
    for key in words(keys) {
        let [w, x, y, z] = v;
        let sum = (z ^ y ^ x ^ key).to_le_bytes().map(|b| BOX[b as usize]);
        v = [x, y, z, w ^ mix(u32::from_le_bytes(sum))];
    }
    vector(v)
}
/// SM4E.
pub fn encrypt(a: &[u128; 4]) -> u128 {
    sm4_rounds(a[0], a[1], |x| {
        x ^ x.rotate_left(2) ^ x.rotate_left(10) ^ x.rotate_left(18) ^ x.rotate_left(24)
    })
}
/// SM4EKEY.
pub fn key(a: &[u128; 4]) -> u128 {
    sm4_rounds(a[0], a[1], |x| x ^ x.rotate_left(13) ^ x.rotate_left(23))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_s_box_is_that_of_the_standard() {
        assert_eq!(BOX[..8], [0xd6, 0x90, 0xe9, 0xfe, 0xcc, 0xe1, 0x3d, 0xb7]);
        assert_eq!(BOX[0xef], 0x84);
    }
}
