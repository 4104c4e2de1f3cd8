//! Flag control (SDM 1, 5.1.11), and bytes set by conditions.

use crate::state;
use crate::state::bits::eflags;
use crate::tx::Tx;
use emu_ir::{STATUS_CARRY, STATUS_FIXED, STATUS_OVERFLOW, Ty};

fn change_status(t: &mut Tx, keep: u16, flip: u16) {
    let status = t.status();
    let kept = t.mask(status, keep.into());
    let flip = t.imm(Ty::I16, flip.into());
    let status = t.b.xor(kept, flip);
    t.set_status(status);
}
/// CLC.
pub fn clc(t: &mut Tx) {
    change_status(t, !STATUS_CARRY, 0);
}
/// STC.
pub fn stc(t: &mut Tx) {
    change_status(t, !STATUS_CARRY, STATUS_CARRY);
}
/// CMC.
pub fn cmc(t: &mut Tx) {
    change_status(t, u16::MAX, STATUS_CARRY);
}
fn set_direction(t: &mut Tx, set: u32) {
    let old = t.b.get(state::EFLAGS);
    let kept = t.mask(old, (!eflags::DF).into());
    let set = t.imm(Ty::I32, set.into());
    let new = t.b.or(kept, set);
    t.b.set(state::EFLAGS, new);
}
/// CLD.
pub fn cld(t: &mut Tx) {
    set_direction(t, 0);
}
/// STD.
pub fn std(t: &mut Tx) {
    set_direction(t, eflags::DF);
}
/// LAHF.
pub fn lahf(t: &mut Tx) {
    let status = t.status();
    let status = t.b.zext(Ty::I32, status);
    let high = t.shr(status, 8);
    let high = t.b.trunc(Ty::I8, high);
    t.set_high(0, high);
}
/// SAHF.
pub fn sahf(t: &mut Tx) {
    let low = t.low(0, Ty::I16);
    let flags = eflags::STATUS & !eflags::OF;
    let high = t.mask(low, u64::from(flags) << 8);
    let (status, fixed) = (t.status(), t.imm(Ty::I16, STATUS_FIXED.into()));
    let overflow = t.mask(status, STATUS_OVERFLOW.into());
    let status = t.b.or(high, overflow);
    let status = t.b.or(status, fixed);
    t.set_status(status);
}
/// SETcc.
pub fn setcc(t: &mut Tx) {
    let holds = t.cond(t.insn.condition());
    t.write(0, holds);
}
/// SALC, which the manual does not have: AL becomes all ones where CF is set, else 0.
pub fn salc(t: &mut Tx) {
    let (carry, zero) = (t.cond(2), t.imm(Ty::I8, 0));
    let value = t.b.sub(zero, carry);
    t.set_low(0, value);
}
