//! AES's rounds by FIPS 197's arithmetic on bytes.

use emu_ir::Aes;

/// A product modulo x^8 + x^4 + x^3 + x + 1 (4.2).
fn product(x: u8, y: u8) -> u8 {
    let wide = (0..8)
        .filter(|k| y >> k & 1 != 0)
        .fold(0u16, |sum, k| sum ^ u16::from(x) << k);
    let reduced = |v: u16, k: u16| if v >> k & 1 != 0 { v ^ 0x11b << (k - 8) } else { v };
    (8..16).rev().fold(wide, reduced) as u8
}

/// SubBytes of one (5.1.1): the inverse by looking for it, then the affine map bit by bit.
fn substituted(x: u8) -> u8 {
    let inverse = (1..=255).find(|y| product(x, *y) == 1).unwrap_or(0);
    (0..8).fold(0, |all, i| {
        let bits = [0, 4, 5, 6, 7].map(|k| inverse >> ((i + k) % 8) & 1);
        all | (bits.into_iter().fold(0x63 >> i & 1, |sum, bit| sum ^ bit)) << i
    })
}

/// InvSubBytes of one (5.3.2).
fn original(x: u8) -> u8 {
    (0..=255).find(|y| substituted(*y) == x).unwrap_or(0)
}

/// Row `r`, column `c` of what is made of a state, byte by byte.
fn state(f: impl Fn(usize, usize) -> u8) -> [u8; 16] {
    std::array::from_fn(|k| f(k % 4, k / 4))
}

/// MixColumns (5.1.3) or, with other factors, InvMixColumns (5.3.3).
fn mixed(s: [u8; 16], factors: [u8; 4]) -> [u8; 16] {
    state(|r, c| (0..4).fold(0, |sum, k| sum ^ product(s[4 * c + k], factors[(k + 4 - r) % 4])))
}

pub fn part(part: Aes, v: u128) -> u128 {
    let s = v.to_le_bytes();
    let sub = || state(|r, c| substituted(s[4 * ((c + r) % 4) + r]));
    let inv_sub = || state(|r, c| original(s[4 * ((c + 4 - r) % 4) + r]));
    let (mix, inv_mix) = ([2, 3, 1, 1], [14, 11, 13, 9]);
    u128::from_le_bytes(match part {
        Aes::Sub => sub(),
        Aes::Mix => mixed(s, mix),
        Aes::SubMix => mixed(sub(), mix),
        Aes::InvSub => inv_sub(),
        Aes::InvMix => mixed(s, inv_mix),
        Aes::InvSubMix => mixed(inv_sub(), inv_mix),
    })
}
