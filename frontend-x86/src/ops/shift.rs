//! Shifts (SDM 2, SAL/SAR/SHL/SHR, SHLD, SHRD). What the manual leaves undefined: AF is 0, and for counts other than 1 OF is
//! what the last of so many shifts by one leaves, as processors have it.

use crate::tx::Tx;
use emu_ir::{Arith, STATUS_CARRY, STATUS_OVERFLOW, Ty, Val};

/// A count as it counts for operands of a type: of 5 bits, or 6.
pub(super) fn count(t: &mut Tx, ty: Ty, n: Val) -> Val {
    let n = t.b.zext(Ty::I64, n);
    t.mask(n, if ty == Ty::I64 { 63 } else { 31 })
}

/// Operand 0 shifted by operand 1: what it becomes by a count, and the flags of the last of so many shifts by one. A count
/// of 0 changes nothing, though 32 bits are zero-extended.
fn shift(t: &mut Tx, how: Arith, f: fn(&mut Tx, Ty, Val, Val) -> Val) {
    let ty = t.ty(0);
    let n = t.read(1);
    let n = count(t, ty, n);
    let before = t.status();
    let a = t.change(0, None, &|t, a| f(t, ty, a, n));
    if t.b.block.constant(n) != Some(0) {
        let less = one_less(t, n);
        let last = f(t, ty, a, less);
        let status = t.b.status(how, last, last, before);
        set_unless_zero(t, n, before, status);
    }
}
/// A count less one; of 0 it is any.
pub(super) fn one_less(t: &mut Tx, n: Val) -> Val {
    let less = t.plus(n, -1);
    t.mask(less, 63)
}
/// The status flags are these, or where a count is 0 those before.
pub(super) fn set_unless_zero(t: &mut Tx, n: Val, before: Val, status: Val) {
    let status = match t.b.block.constant(n) {
        Some(_) => status,
        None => {
            let none = t.is_zero(n);
            t.b.select(none, before, status)
        }
    };
    t.set_status(status);
}

/// A constant count below 32, for numbers of 32 bits: they are shifted as they are. Others are in 64 bits, where counts that are
/// longer than they are give what is wanted.
fn short(t: &mut Tx, ty: Ty, n: Val) -> Option<Val> {
    let n = t.b.block.constant(n).filter(|&n| ty == Ty::I32 && n < 32)?;
    Some(t.imm(ty, n))
}
/// SHL, and SAL.
pub fn shl(t: &mut Tx) {
    shift(t, Arith::Shl, |t, ty, a, n| {
        if let Some(n) = short(t, ty, n) {
            return t.b.shl(a, n);
        }
        let a = t.b.zext(Ty::I64, a);
        let value = t.b.shl(a, n);
        t.b.trunc(ty, value)
    });
}
/// SHR.
pub fn shr(t: &mut Tx) {
    shift(t, Arith::Shr, |t, ty, a, n| {
        if let Some(n) = short(t, ty, n) {
            return t.b.shr_u(a, n);
        }
        let a = t.b.zext(Ty::I64, a);
        let value = t.b.shr_u(a, n);
        t.b.trunc(ty, value)
    });
}
/// SAR.
pub fn sar(t: &mut Tx) {
    shift(t, Arith::Sar, |t, ty, a, n| {
        if let Some(n) = short(t, ty, n) {
            return t.b.shr_s(a, n);
        }
        let a = t.b.sext(Ty::I64, a);
        let value = t.b.shr_s(a, n);
        t.b.trunc(ty, value)
    });
}

/// A double shift in 64 bits.
struct Shifted {
    /// The result.
    value: Val,
    /// The last bit that went out, in its lowest bit; above it anything.
    out: Val,
}

/// Operand 0 shifted by operand 2, with bits of operand 1. A count of 0 changes nothing, though 32 bits are zero-extended.
fn double(t: &mut Tx, f: impl Fn(&mut Tx, Ty, Val, Val) -> Shifted) {
    let ty = t.ty(0);
    let n = t.read(2);
    let n = count(t, ty, n);
    let before = t.status();
    if t.b.block.constant(n) == Some(0) {
        t.change(0, None, &|_, a| a);
        return;
    }
    let a = t.change(0, None, &|t, a| {
        let shifted = f(t, ty, a, n);
        t.b.trunc(ty, shifted.value)
    });
    let shifted = f(t, ty, a, n);
    let result = t.b.trunc(ty, shifted.value);
    let plain = t.b.status(Arith::Logic, result, result, result);
    let (carry, overflow) = (t.low_bit(shifted.out), sign_changed(t, ty, a, shifted.value));
    let status = t.set_flags(plain, &[(STATUS_CARRY, carry), (STATUS_OVERFLOW, overflow)]);
    set_unless_zero(t, n, before, status);
}
/// What `n - 1` shifts leave, whose lowest bit goes out with the last.
fn out_below(t: &mut Tx, wide: Val, n: Val) -> Val {
    let less = one_less(t, n);
    t.b.shr_u(wide, less)
}

/// SHLD. Of 16 bits and a count above that, what comes in is the second operand and then the first again.
pub fn shld(t: &mut Tx) {
    let b = t.read(1);
    double(t, move |t, ty, a, n| {
        let (value, out) = if ty == Ty::I64 {
            let rest = t.imm(ty, 64);
            let rest = t.b.sub(rest, n);
            let (high, low) = (t.b.shl(a, n), t.b.shr_u(b, rest));
            (t.b.or(high, low), t.b.shr_u(a, rest))
        } else {
            // The first operand on top of 64 bits, or of 48.
            let joined = if ty == Ty::I16 {
                join(t, ty, &[a, b, a])
            } else {
                join(t, ty, &[a, b])
            };
            let shifted = t.b.shl(joined, n);
            let value = t.shr(shifted, 32);
            let wide = t.b.zext(Ty::I64, a);
            let moved = t.b.shl(wide, n);
            (value, t.shr(moved, ty.bits()))
        };
        Shifted { value, out }
    });
}
/// SHRD: as [`shld`].
pub fn shrd(t: &mut Tx) {
    let b = t.read(1);
    double(t, move |t, ty, a, n| {
        let (value, from) = if ty == Ty::I64 {
            let rest = t.imm(ty, 64);
            let rest = t.b.sub(rest, n);
            let (high, low) = (t.b.shl(b, rest), t.b.shr_u(a, n));
            (t.b.or(high, low), a)
        } else {
            let joined = if ty == Ty::I16 {
                join(t, ty, &[a, b, a])
            } else {
                join(t, ty, &[b, a])
            };
            (t.b.shr_u(joined, n), joined)
        };
        let out = out_below(t, from, n);
        Shifted { value, out }
    });
}
/// Whether a result of a type has another sign than the first operand.
fn sign_changed(t: &mut Tx, ty: Ty, a: Val, value: Val) -> Val {
    let a = t.b.zext(Ty::I64, a);
    let changed = t.b.xor(a, value);
    t.bit(changed, ty.bits() - 1)
}
/// Values of a type in 64 bits, the highest first.
fn join(t: &mut Tx, ty: Ty, values: &[Val]) -> Val {
    let mut joined = t.imm(Ty::I64, 0);
    for &v in values {
        let v = t.b.zext(Ty::I64, v);
        let higher = t.shl(joined, ty.bits());
        joined = t.b.or(higher, v);
    }
    joined
}

/// SHLX, SHRX and SARX: no flags.
fn shift_plain(t: &mut Tx, f: fn(&mut Tx, Val, Val) -> Val) {
    let ty = t.ty(0);
    let (a, n) = (t.read(1), t.read(2));
    let n = count(t, ty, n);
    let n = t.b.trunc(ty, n);
    let value = f(t, a, n);
    t.write(0, value);
}
/// SHLX.
pub fn shlx(t: &mut Tx) {
    shift_plain(t, |t, a, n| t.b.shl(a, n));
}
/// SHRX.
pub fn shrx(t: &mut Tx) {
    shift_plain(t, |t, a, n| t.b.shr_u(a, n));
}
/// SARX.
pub fn sarx(t: &mut Tx) {
    shift_plain(t, |t, a, n| t.b.shr_s(a, n));
}
