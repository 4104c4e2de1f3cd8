//! AES (FIPS 197).

use super::super::super::calls;
use super::super::super::features::Feature;
use super::super::super::tx::Tx;
use super::{get, helped, set};
use emu_ir::{Ty, insns};

insns! {
    /// Rounds apart.
    AES: Tx, needs Feature::Aes;
    "01001110 00 10100 00100 10 nnnnn ddddd" => aese(n, d)
    "01001110 00 10100 00101 10 nnnnn ddddd" => aesd(n, d)
    "01001110 00 10100 00110 10 nnnnn ddddd" => aesmc(n, d)
    "01001110 00 10100 00111 10 nnnnn ddddd" => aesimc(n, d)
}

/// What a helper makes of the state with the key added.
fn keyed(t: &mut Tx, helper: u16, n: u32, d: u32) {
    let (state, key) = (get(t, d), get(t, n));
    let v = t.b.xor(state, key);
    let v = t.b.call(Ty::V128, helper, &[v]);
    set(t, d, v);
}
/// AESE: AddRoundKey, SubBytes, ShiftRows.
fn aese(t: &mut Tx, n: u32, d: u32) {
    keyed(t, calls::AESE, n, d);
}
/// AESD: AddRoundKey, InvSubBytes, InvShiftRows.
fn aesd(t: &mut Tx, n: u32, d: u32) {
    keyed(t, calls::AESD, n, d);
}
/// AESMC: MixColumns.
fn aesmc(t: &mut Tx, n: u32, d: u32) {
    helped(t, calls::AESMC, d, [n]);
}
/// AESIMC: InvMixColumns.
fn aesimc(t: &mut Tx, n: u32, d: u32) {
    helped(t, calls::AESIMC, d, [n]);
}
