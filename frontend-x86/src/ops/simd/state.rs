//! The state of MMX, and of AVX's upper halves (SDM 1, 5.4.8 and 5.13).

use crate::state;
use crate::tx::{Tx, Vector};
use emu_ir::Ty;

/// EMMS: all registers of the x87 are empty.
pub fn emms(t: &mut Tx) {
    if !t.admits_simd(false) {
        return;
    }
    t.wait_for_x87();
    let zero = t.imm(Ty::I8, 0);
    t.b.set(state::X87_TOP, zero);
    t.b.set(state::X87_FULL, zero);
}

/// How many registers the code has.
fn registers(t: &Tx) -> u8 {
    if t.is_64() { 16 } else { 8 }
}
/// VZEROUPPER.
pub fn vzeroupper(t: &mut Tx) {
    if t.admits_simd(true) {
        let zero = t.b.vec(Ty::V128, 0);
        (0..registers(t)).for_each(|n| t.b.set(state::ymm_high(n), zero));
    }
}
/// VZEROALL.
pub fn vzeroall(t: &mut Tx) {
    if t.admits_simd(true) {
        let zero = t.b.vec(Ty::V128, 0);
        (0..registers(t)).for_each(|n| t.set_xmm(n, Vector::from(zero)));
    }
}
