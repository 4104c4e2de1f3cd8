//! Decimal arithmetic (SDM 1, 5.1.3). The flags that the manual leaves undefined: OF is 0, and SF, ZF and PF are as of AL.

use crate::calls;
use crate::fault::vector;
use crate::state::reg;
use crate::tx::Tx;
use emu_ir::{Arith, STATUS_AUXILIARY, STATUS_CARRY, Ty, Val};

/// DAA and DAS.
fn adjust_al(t: &mut Tx, subtract: bool) {
    let (al, status) = (t.low(0, Ty::I8), t.status());
    let subtract = t.imm(Ty::I8, subtract.into());
    let both = t.b.call(Ty::I32, calls::DECIMAL, &[al, status, subtract]);
    let al = t.b.trunc(Ty::I8, both);
    let carries = t.shr(both, 8);
    let carries = t.b.trunc(Ty::I16, carries);
    t.set_low(0, al);
    let plain = t.b.status(Arith::Logic, al, al, al);
    let status = t.b.or(plain, carries);
    t.set_status(status);
}
/// DAA.
pub fn daa(t: &mut Tx) {
    adjust_al(t, false);
}
/// DAS.
pub fn das(t: &mut Tx) {
    adjust_al(t, true);
}
/// AAA and AAS: `ax` is what AX becomes where it is adjusted, before AL is cut to four bits.
fn adjust_ax(t: &mut Tx, by: u64) {
    let (ax, status) = (t.low(0, Ty::I16), t.status());
    let (low, nine) = (t.mask(ax, 15), t.imm(Ty::I16, 9));
    let above = t.b.ult(nine, low);
    let auxiliary = t.mask(status, STATUS_AUXILIARY.into());
    let none = t.is_zero(auxiliary);
    let some = t.not(none);
    let adjusts = t.b.or(above, some);
    let by = t.imm(Ty::I16, by);
    let adjusted = t.b.add(ax, by);
    let ax = t.b.select(adjusts, adjusted, ax);
    let ax = t.mask(ax, 0xff0f);
    t.set_low(0, ax);
    let al = t.b.trunc(Ty::I8, ax);
    let plain = t.b.status(Arith::Logic, al, al, al);
    let status = t.set_flags(plain, &[(STATUS_CARRY, adjusts), (STATUS_AUXILIARY, adjusts)]);
    t.set_status(status);
}
/// AAA.
pub fn aaa(t: &mut Tx) {
    adjust_ax(t, 0x106);
}
/// AAS.
pub fn aas(t: &mut Tx) {
    adjust_ax(t, 0x106u64.wrapping_neg());
}
fn set_ax(t: &mut Tx, al: Val, ah: Val) {
    t.set_low(0, al);
    t.set_high(0, ah);
    t.set_status_of(Arith::Logic, al, al);
}
/// AAM: by 0 it is #DE.
pub fn aam(t: &mut Tx) {
    let base = t.insn.immediate & 0xff;
    if base == 0 {
        return t.fault(vector::DE, 0);
    }
    let (whole, base) = (t.b.get(reg(0)), t.imm(Ty::I32, base));
    let al = t.mask(whole, 0xff);
    let al = t.b.trunc(Ty::I32, al);
    let quotient = t.b.div_u(al, base);
    let product = t.b.mul(quotient, base);
    let remainder = t.b.sub(al, product);
    let (low, high) = (t.b.trunc(Ty::I8, remainder), t.b.trunc(Ty::I8, quotient));
    set_ax(t, low, high);
}
/// AAD.
pub fn aad(t: &mut Tx) {
    let (whole, base) = (t.b.get(reg(0)), t.imm(Ty::I8, t.insn.immediate & 0xff));
    let (al, high) = (t.b.trunc(Ty::I8, whole), t.shr(whole, 8));
    let ah = t.b.trunc(Ty::I8, high);
    let tens = t.b.mul(ah, base);
    let (al, zero) = (t.b.add(al, tens), t.imm(Ty::I8, 0));
    set_ax(t, al, zero);
}
