//! AES (FIPS 197).

use super::super::super::features::Feature;
use super::super::super::tx::Tx;
use super::{get, set};
use emu_ir::{Aes, Op, Ty, Val, insns};

insns! {
    /// Rounds apart.
    AES: Tx, needs Feature::Aes;
    "01001110 00 10100 00100 10 nnnnn ddddd" => aese(n, d)
    "01001110 00 10100 00101 10 nnnnn ddddd" => aesd(n, d)
    "01001110 00 10100 00110 10 nnnnn ddddd" => aesmc(n, d)
    "01001110 00 10100 00111 10 nnnnn ddddd" => aesimc(n, d)
}

/// A part of a round.
fn part(t: &mut Tx, part: Aes, a: Val, d: u32) {
    let v = t.b.push(Ty::V128, Op::VAes { a, part });
    set(t, d, v);
}
/// A part of a round, of the state with the key added.
fn keyed(t: &mut Tx, how: Aes, n: u32, d: u32) {
    let (state, key) = (get(t, d), get(t, n));
    let v = t.b.xor(state, key);
    part(t, how, v, d);
}
/// AESE: AddRoundKey, SubBytes, ShiftRows.
fn aese(t: &mut Tx, n: u32, d: u32) {
    keyed(t, Aes::Sub, n, d);
}
/// AESD: AddRoundKey, InvSubBytes, InvShiftRows.
fn aesd(t: &mut Tx, n: u32, d: u32) {
    keyed(t, Aes::InvSub, n, d);
}
/// AESMC: MixColumns.
fn aesmc(t: &mut Tx, n: u32, d: u32) {
    let state = get(t, n);
    part(t, Aes::Mix, state, d);
}
/// AESIMC: InvMixColumns.
fn aesimc(t: &mut Tx, n: u32, d: u32) {
    let state = get(t, n);
    part(t, Aes::InvMix, state, d);
}
