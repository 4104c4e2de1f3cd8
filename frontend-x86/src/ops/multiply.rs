//! Multiplication (SDM 2, MUL, IMUL, MULX). CF and OF say that the product does not fit half of it; the other flags, which the
//! manual leaves undefined, are as of the low half alone.

use crate::tx::Tx;
use emu_ir::{Arith, STATUS_CARRY, STATUS_OVERFLOW, Ty, Val};

/// Both halves of a product, of the operands' type.
fn product(t: &mut Tx, signed: bool, a: Val, b: Val) -> (Val, Val) {
    let ty = t.b.ty(a);
    if ty == Ty::I64 {
        let low = t.b.mul(a, b);
        let high = if signed { t.b.mul_hi_s(a, b) } else { t.b.mul_hi_u(a, b) };
        return (low, high);
    }
    let wide = |t: &mut Tx, v: Val| {
        if signed {
            t.b.sext(Ty::I64, v)
        } else {
            t.b.zext(Ty::I64, v)
        }
    };
    let (a, b) = (wide(t, a), wide(t, b));
    let all = t.b.mul(a, b);
    let high = t.shr(all, ty.bits());
    (t.b.trunc(ty, all), t.b.trunc(ty, high))
}
/// Whether a product does not fit its low half.
fn overflows(t: &mut Tx, signed: bool, low: Val, high: Val) -> Val {
    let ty = t.b.ty(low);
    let fitting = if signed {
        let wide = t.b.sext(Ty::I64, low);
        let by = t.imm(Ty::I64, 63);
        let sign = t.b.shr_s(wide, by);
        t.b.trunc(ty, sign)
    } else {
        t.imm(ty, 0)
    };
    t.b.ne(high, fitting)
}
fn set_flags(t: &mut Tx, signed: bool, low: Val, high: Val) {
    let overflows = overflows(t, signed, low, high);
    let plain = t.b.status(Arith::Logic, low, low, low);
    let status = t.set_flags(plain, &[(STATUS_CARRY, overflows), (STATUS_OVERFLOW, overflows)]);
    t.set_status(status);
}
/// The accumulator by operand 0, to rDX:rAX, or AX.
fn wide(t: &mut Tx, signed: bool) {
    let (ty, b) = (t.ty(0), t.read(0));
    let a = t.low(0, ty);
    let (low, high) = product(t, signed, a, b);
    t.set_low(0, low);
    match ty {
        Ty::I8 => t.set_high(0, high),
        _ => t.set_low(2, high),
    }
    set_flags(t, signed, low, high);
}
/// MUL.
pub fn mul(t: &mut Tx) {
    wide(t, false);
}
/// IMUL of one operand.
pub fn imul_wide(t: &mut Tx) {
    wide(t, true);
}
/// IMUL of two operands, or three.
pub fn imul(t: &mut Tx) {
    let three = t.insn.row.operands[2].method != crate::decode::row::Method::None;
    let (a, b) = if three {
        (t.read(1), t.read(2))
    } else {
        (t.read(0), t.read(1))
    };
    let (low, high) = product(t, true, a, b);
    // The low half alone takes no more than 32 bits to make, and seldom does anybody look at the flags.
    let low = if t.b.ty(a) == Ty::I32 { t.b.mul(a, b) } else { low };
    t.write(0, low);
    set_flags(t, true, low, high);
}
/// MULX: no flags. Where both halves go to one register, the high half stays.
pub fn mulx(t: &mut Tx) {
    let (ty, b) = (t.ty(0), t.read(2));
    let a = t.low(2, ty);
    let (low, high) = product(t, false, a, b);
    t.write(1, low);
    t.write(0, high);
}
