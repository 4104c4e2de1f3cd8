//! Functions of cryptography: SHA (FIPS 180-4) as SDM 2 cuts it up, and Galois fields.

/// The double words of a vector, the highest first.
fn words(v: u128) -> [u32; 4] {
    [96, 64, 32, 0].map(|at| (v >> at) as u32)
}
/// The vector of double words, the highest first.
fn vector(words: [u32; 4]) -> u128 {
    words.iter().fold(0, |v, word| v << 32 | u128::from(*word))
}

fn choose(x: u32, y: u32, z: u32) -> u32 {
    x & y ^ !x & z
}
fn majority(x: u32, y: u32, z: u32) -> u32 {
    x & y ^ x & z ^ y & z
}

/// [`crate::calls::SHA1RNDS4`].
pub fn sha1rnds4(a: &[u128; 4]) -> u128 {
    let (k, parity) = (a[2] & 3, |x: u32, y: u32, z: u32| x ^ y ^ z);
    let function = |x, y, z| match k {
        0 => choose(x, y, z),
        2 => majority(x, y, z),
        _ => parity(x, y, z),
    };
    let constant = match k {
        0 => 0x5a82_7999,
        1 => 0x6ed9_eba1,
        2 => 0x8f1b_bcdc_u32,
        _ => 0xca62_c1d6,
    };
    let mut e = 0u32;
    let state = words(a[1]).iter().fold(words(a[0]), |[a, b, c, d], w| {
        let sum = function(b, c, d).wrapping_add(a.rotate_left(5));
        let sum = sum.wrapping_add(*w).wrapping_add(e).wrapping_add(constant);
        e = d;
        [sum, a, b.rotate_left(30), c]
    });
    vector(state)
}
/// [`crate::calls::SHA1NEXTE`].
pub fn sha1nexte(a: &[u128; 4]) -> u128 {
    let ([e, ..], [w, x, y, z]) = (words(a[0]), words(a[1]));
    vector([e.rotate_left(30).wrapping_add(w), x, y, z])
}
/// [`crate::calls::SHA1MSG1`].
pub fn sha1msg1(a: &[u128; 4]) -> u128 {
    let ([w0, w1, w2, w3], [w4, w5, ..]) = (words(a[0]), words(a[1]));
    vector([w2 ^ w0, w3 ^ w1, w4 ^ w2, w5 ^ w3])
}
/// [`crate::calls::SHA1MSG2`].
pub fn sha1msg2(a: &[u128; 4]) -> u128 {
    let ([x0, x1, x2, x3], [_, w13, w14, w15]) = (words(a[0]), words(a[1]));
    let w16 = (x0 ^ w13).rotate_left(1);
    let (w17, w18) = ((x1 ^ w14).rotate_left(1), (x2 ^ w15).rotate_left(1));
    vector([w16, w17, w18, (x3 ^ w16).rotate_left(1)])
}
/// [`crate::calls::SHA256RNDS2`].
pub fn sha256rnds2(args: &[u128; 4]) -> u128 {
    let ([c, d, g, h], [a, b, e, f]) = (words(args[0]), words(args[1]));
    let [.., second, first] = words(args[2]);
    let round = |[a, b, c, d, e, f, g, h]: [u32; 8], w: u32| {
        let sum1 = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
        let sum0 = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
        let one = choose(e, f, g).wrapping_add(sum1).wrapping_add(w).wrapping_add(h);
        let two = majority(a, b, c).wrapping_add(sum0);
        [one.wrapping_add(two), a, b, c, one.wrapping_add(d), e, f, g]
    };
    let [a, b, _, _, e, f, ..] = round(round([a, b, c, d, e, f, g, h], first), second);
    vector([a, b, e, f])
}
/// [`crate::calls::SHA256MSG1`].
pub fn sha256msg1(a: &[u128; 4]) -> u128 {
    let ([w3, w2, w1, w0], [.., w4]) = (words(a[0]), words(a[1]));
    let sigma = |w: u32| w.rotate_right(7) ^ w.rotate_right(18) ^ w >> 3;
    vector([(w3, w4), (w2, w3), (w1, w2), (w0, w1)].map(|(w, next)| w.wrapping_add(sigma(next))))
}
/// [`crate::calls::SHA256MSG2`].
pub fn sha256msg2(a: &[u128; 4]) -> u128 {
    let ([x3, x2, x1, x0], [w15, w14, ..]) = (words(a[0]), words(a[1]));
    let add = |x: u32, w: u32| x.wrapping_add(w.rotate_right(17) ^ w.rotate_right(19) ^ w >> 10);
    let (w16, w17) = (add(x0, w14), add(x1, w15));
    vector([add(x3, w17), add(x2, w16), w17, w16])
}

/// The product in the field of 2^8 elements whose polynomial is x^8 + x^4 + x^3 + x + 1.
fn product(a: u8, b: u8) -> u8 {
    let (sum, _) = (0..8).fold((0, a), |(sum, a), k| {
        let double = a << 1 ^ if a & 0x80 != 0 { 0x1b } else { 0 };
        (sum ^ if b >> k & 1 != 0 { a } else { 0 }, double)
    });
    sum
}
/// The inverse in that field; 0 of 0: the power of 254.
fn inverse(a: u8) -> u8 {
    let squares = std::iter::successors(Some(product(a, a)), |s| Some(product(*s, *s)));
    squares.take(7).fold(1, product)
}
/// Each byte of a vector, as `f` has it of its number and value.
fn each_byte(v: u128, f: impl Fn(usize, u8) -> u8) -> u128 {
    let mut bytes = v.to_le_bytes();
    bytes.iter_mut().enumerate().for_each(|(k, byte)| *byte = f(k, *byte));
    u128::from_le_bytes(bytes)
}
/// [`crate::calls::GF2P8MULB`].
pub fn gf2p8mulb(a: &[u128; 4]) -> u128 {
    each_byte(a[0], |k, x| product(x, (a[1] >> (8 * k)) as u8))
}
/// A byte by a matrix of 8 by 8 bits, whose highest byte is the row of the lowest bit.
fn transformed(matrix: u64, x: u8, add: u8) -> u8 {
    let rows = matrix.to_be_bytes();
    let bits = rows
        .iter()
        .enumerate()
        .map(|(k, row)| ((row & x).count_ones() as u8 & 1) << k);
    bits.sum::<u8>() ^ add
}
/// [`crate::calls::GF2P8AFFINEQB`].
pub fn gf2p8affineqb(a: &[u128; 4]) -> u128 {
    each_byte(a[0], |k, x| transformed((a[1] >> (64 * (k / 8))) as u64, x, a[2] as u8))
}
/// [`crate::calls::GF2P8AFFINEINVQB`].
pub fn gf2p8affineinvqb(a: &[u128; 4]) -> u128 {
    gf2p8affineqb(&[each_byte(a[0], |_, x| inverse(x)), a[1], a[2], 0])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 197, 4.2 and 5.1.1: an example of a product, and the S-box as what it is defined to be.
    #[test]
    fn fields_are_those_of_aes() {
        assert_eq!(product(0x57, 0x83), 0xc1);
        assert_eq!(product(0x53, inverse(0x53)), 1);
        assert_eq!([inverse(0), inverse(1)], [0, 1]);
        // Row k of the S-box has bits k, k + 4, k + 5, k + 6 and k + 7.
        let rows: [u8; 8] = std::array::from_fn(|k| 0b1111_0001u8.rotate_left(k as u32));
        let matrix = u128::from(u64::from_be_bytes(rows));

        let found = gf2p8affineinvqb(&[0x53_00_10, matrix, 0x63, 0]);

        assert_eq!(found & 0xff_ffff, 0xed_63_ca);
    }

    #[test]
    fn products_and_the_identity_are_of_each_byte() {
        let identity = u128::from(u64::from_be_bytes([1, 2, 4, 8, 16, 32, 64, 128]));
        let x = 0x0123_4567_89ab_cdef_0011_2233_4455_6677;

        assert_eq!(gf2p8affineqb(&[x, identity | identity << 64, 0, 0]), x);
        assert_eq!(gf2p8mulb(&[x, u128::from_le_bytes([1; 16]), 0, 0]), x);
    }
}
