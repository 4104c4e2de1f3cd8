//! What the steps of ciphers and hashes make of vectors. Arguments as helpers get them.

pub mod sha;
pub mod sha512;
pub mod sm;

/// A vector as words, the lowest first.
fn words(v: u128) -> [u32; 4] {
    [0, 32, 64, 96].map(|at| (v >> at) as u32)
}

/// Words as a vector.
fn vector(words: [u32; 4]) -> u128 {
    words.iter().rev().fold(0, |v, w| v << 32 | u128::from(*w))
}

/// A vector as doublewords, the lowest first.
const fn doublewords(v: u128) -> [u64; 2] {
    [v as u64, (v >> 64) as u64]
}

/// Doublewords as a vector.
fn pair([low, high]: [u64; 2]) -> u128 {
    u128::from(low) | u128::from(high) << 64
}
