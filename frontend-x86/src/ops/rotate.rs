//! Rotates (SDM 2, RCL/RCR/ROL/ROR). They change CF and OF alone, by counts other than 1 OF as the last of so many rotates by
//! one does.

use super::shift::{count, one_less, set_unless_zero};
use crate::calls;
use crate::tx::Tx;
use emu_ir::{Arith, STATUS_CARRY, STATUS_OVERFLOW, Ty, Val};

/// Operand 0 rotated by a count, and the flags of the last of so many rotates by one.
fn rotate(t: &mut Tx, how: Arith, f: fn(&mut Tx, Ty, Val, Val) -> Val) {
    let (ty, n) = (t.ty(0), t.read(1));
    let n = count(t, ty, n);
    let before = t.status();
    let a = t.change(0, None, &|t, a| f(t, ty, a, n));
    if t.b.block.constant(n) == Some(0) {
        return;
    }
    let less = one_less(t, n);
    let last = f(t, ty, a, less);
    let status = t.b.status(how, last, last, before);
    set_unless_zero(t, n, before, status);
}
/// A number rotated right by `n`, 64 bits.
fn rotated_right(t: &mut Tx, ty: Ty, a: Val, n: Val) -> Val {
    match ty {
        Ty::I64 => t.b.rotr(a, n),
        Ty::I32 => {
            let n = t.b.trunc(Ty::I32, n);
            t.b.rotr(a, n)
        }
        _ => {
            // As often as it fits 32 bits.
            let (wide, n) = (t.b.zext(Ty::I32, a), t.b.trunc(Ty::I32, n));
            let copies = t.imm(Ty::I32, if ty == Ty::I8 { 0x0101_0101 } else { 0x1_0001 });
            let filled = t.b.mul(wide, copies);
            let rotated = t.b.rotr(filled, n);
            t.b.trunc(ty, rotated)
        }
    }
}
/// ROL.
pub fn rol(t: &mut Tx) {
    rotate(t, Arith::Rol, |t, ty, a, n| {
        let n = t.b.neg(n);
        rotated_right(t, ty, a, n)
    });
}
/// ROR.
pub fn ror(t: &mut Tx) {
    rotate(t, Arith::Ror, rotated_right);
}
/// RORX: no flags.
pub fn rorx(t: &mut Tx) {
    let (ty, a) = (t.ty(0), t.read(1));
    let n = t.imm(ty, t.insn.immediate);
    let value = t.b.rotr(a, n);
    t.write(0, value);
}

fn through_carry(t: &mut Tx, helper: u16, overflow: impl Fn(&mut Tx, Ty, Val, Val) -> Val) {
    let (ty, n) = (t.ty(0), t.read(1));
    let n = count(t, ty, n);
    let before = t.status();
    let carry = t.b.cond(before, 2);
    let carry = t.b.zext(Ty::I64, carry);
    let how = t.shl(n, 8);
    let width = t.imm(Ty::I64, ty.bits().into());
    let how = t.b.or(how, width);
    let both = |t: &mut Tx, a: Val| {
        let a = t.b.zext(Ty::I64, a);
        t.b.call(Ty::V128, helper, &[a, how, carry])
    };
    let a = t.change(0, None, &|t, a| {
        let both = both(t, a);
        let result = t.b.vget_lane(Ty::I64, both, 0);
        t.b.trunc(ty, result)
    });
    let both = both(t, a);
    let [result, carry] = [0, 1].map(|i| t.b.vget_lane(Ty::I64, both, i));
    let carry = t.low_bit(carry);
    let overflow = overflow(t, ty, result, carry);
    let status = t.set_flags(before, &[(STATUS_CARRY, carry), (STATUS_OVERFLOW, overflow)]);
    set_unless_zero(t, n, before, status);
}
/// RCL.
pub fn rcl(t: &mut Tx) {
    through_carry(t, calls::RCL, |t, ty, result, carry| {
        let sign = t.bit(result, ty.bits() - 1);
        t.b.xor(sign, carry)
    });
}
/// RCR.
pub fn rcr(t: &mut Tx) {
    through_carry(t, calls::RCR, |t, ty, result, _| {
        let (sign, next) = (t.bit(result, ty.bits() - 1), t.bit(result, ty.bits() - 2));
        t.b.xor(sign, next)
    });
}
