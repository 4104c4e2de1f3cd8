//! Advanced SIMD (Arm ARM DDI 0487, C4.1, "Data Processing -- Scalar Floating-Point and Advanced SIMD", "Loads and Stores"):
//! one file a class of the encoding index or a few, the scalar classes with those of vectors. What is computed is in
//! [`crate::vector`], which AArch32 shares.
//!
//! In patterns `q` is 1 for 128 bits, `s` the size field, `z` 1 for double precision.

mod across;
mod brain;
mod complex;
mod convert;
mod copy;
pub mod crypto;
mod different;
mod dot;
mod element;
mod float;
mod logic;
mod long;
mod misc;
pub mod operands;
mod permute;
mod same;
mod shift;
mod structures;

use super::table::Table;

/// Loads and stores.
pub const MEMORY: &[Table] = &[structures::MULTIPLE, structures::SINGLE, structures::REPLICATED];

/// Integers and bits.
pub const INTEGER: &[Table] = &[
    same::INTEGER,
    same::SCALARS,
    logic::LOGIC,
    logic::IMMEDIATE,
    copy::COPY,
    permute::PERMUTE,
    permute::TABLE,
    misc::INTEGER,
    misc::SCALARS,
    across::INTEGER,
    shift::SHIFT,
    shift::SCALARS,
    different::DIFFERENT,
    different::PMULL,
    different::SCALARS,
    element::ELEMENT,
    element::SCALARS,
];

/// Integers, by features of later versions.
pub const DOT: &[Table] = &[dot::RDM, dot::DOT, dot::MATRIX];

/// Floats, by features of later versions.
pub const COMPLEX: &[Table] = &[complex::COMPLEX, brain::BRAIN, convert::SIZE];

/// Floats.
pub const FLOAT: &[Table] = &[
    float::SAME,
    float::SAME_SCALAR,
    float::ELEMENT,
    float::ACROSS,
    convert::MISCELLANEOUS,
    convert::CONVERT,
    convert::PRECISION,
];

/// Half precision.
pub const HALVES: &[Table] = &[
    float::HALVES,
    convert::HALVES,
    complex::HALVES,
    logic::HALVES,
    long::LONG,
];

/// Cryptography.
pub const CRYPTO: &[Table] = &[
    crypto::aes::AES,
    crypto::sha::SHA1,
    crypto::sha::SHA256,
    crypto::sha512::SHA512,
    crypto::sha512::SHA3,
    crypto::sm::SM3,
    crypto::sm::SM4,
];

/// All data processing.
pub const DATA: &[Table] =
    &joined::<{ INTEGER.len() + DOT.len() + FLOAT.len() + COMPLEX.len() + HALVES.len() + CRYPTO.len() }>(PARTS);

const PARTS: &[&[Table]] = &[INTEGER, DOT, FLOAT, COMPLEX, HALVES, CRYPTO];

#[allow(clippy::indexing_slicing, reason = "evaluated at compile time")]
const fn joined<const N: usize>(parts: &[&[Table]]) -> [Table; N] {
    let (mut all, mut n, mut part): ([Table; N], _, _) = ([&[]; N], 0, 0);
    while part < parts.len() {
        let mut k = 0;
        while k < parts[part].len() {
            all[n] = parts[part][k];
            (n, k) = (n + 1, k + 1);
        }
        part += 1;
    }
    all
}
