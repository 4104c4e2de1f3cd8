//! Cryptography (Arm ARM DDI 0487, C4.1, "Cryptographic AES" to "Cryptographic four-register").

pub mod aes;
pub mod sha;
pub mod sha512;
pub mod sm;

use super::super::state;
use super::super::tx::Tx;
use emu_ir::{Ty, Val};

/// A whole V register.
fn get(t: &mut Tx, n: u32) -> Val {
    t.b.get(state::v(n, Ty::V128))
}

fn set(t: &mut Tx, d: u32, v: Val) {
    t.b.set(state::v(d, Ty::V128), v);
}

/// `d` = what a helper makes of registers.
fn helped<const N: usize>(t: &mut Tx, helper: u16, d: u32, registers: [u32; N]) {
    let args = registers.map(|n| get(t, n));
    let v = t.b.call(Ty::V128, helper, &args);
    set(t, d, v);
}

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
