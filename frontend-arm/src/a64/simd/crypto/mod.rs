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
