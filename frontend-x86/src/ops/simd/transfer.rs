//! Data transfer (SDM 1, 5.4.1, 5.5.1.1, 5.6.1.1, 5.6.2, 5.7.1). Moves change no bit, of NaNs neither.

use super::{low, one};
use crate::tx::{Tx, Vector};
use emu_ir::{Ty, Val};

/// Instructions by what they do.
macro_rules! moves {
    ($( $f:ident: $( $name:ident )* ; )*) => { $( $( pub fn $name(t: &mut Tx) { $f(t); } )* )* };
}

moves! {
    whole: movups movupd movaps movapd movdqa movdqu lddqu movntps movntpd movntdq movntdqa movntq;
    lower: movlps movlpd;
    upper: movhps movhpd;
    quad: movq movq2dq movdq2q;
}

/// All of a vector.
fn whole(t: &mut Tx) {
    let v = t.vector(1);
    t.set_vector(0, v);
}

/// 64 bits, zero-extended.
fn quad(t: &mut Tx) {
    let v = t.vector(1).low;
    let v = low(t, v);
    t.set_vector(0, v);
}

/// MOVD, MOVQ: a vector's lowest bits and those of a general register or memory.
pub fn movd(t: &mut Tx) {
    if t.mmx(0).is_some() || t.xmm(0).is_some() {
        let v = t.read(1);
        let v = t.v64(v);
        t.set_vector(0, v);
    } else {
        let v = t.scalar(1, t.ty(0));
        t.write(0, v);
    }
}

/// A scalar: between registers it leaves what is above it, from memory it is zero-extended. `bits` is the integer of the type.
fn scalar(t: &mut Tx, ty: Ty, bits: Ty) {
    if t.is_memory(1) {
        let v = t.scalar(1, bits);
        let v = t.v64(v);
        return t.set_vector(0, v);
    }
    let from = if t.is_memory(0) { 1 } else { 2 };
    let v = t.scalar(from, ty);
    t.set_scalar(0, 1, v);
}
/// MOVSS.
pub fn movss(t: &mut Tx) {
    scalar(t, Ty::F32, Ty::I32);
}
/// MOVSD.
pub fn movsd(t: &mut Tx) {
    scalar(t, Ty::F64, Ty::I64);
}

/// Write operand 0, a register, half by half.
fn set_halves(t: &mut Tx, lower: Val, upper: Val) {
    let v = t.b.vconcat(lower, upper);
    t.set_vector(0, v);
}
/// A half of operand `n`, a register.
fn half(t: &mut Tx, n: usize, upper: bool) -> Val {
    let v = t.vector(n).low;
    t.b.vhalf(v, upper)
}
/// The lower half of a register, from memory or to it.
fn lower(t: &mut Tx) {
    if t.is_memory(0) {
        let v = half(t, 1, false);
        return t.set_vector(0, v);
    }
    let v = t.vector(2).low;
    let upper = half(t, 1, true);
    set_halves(t, v, upper);
}
/// The upper half.
fn upper(t: &mut Tx) {
    if t.is_memory(0) {
        let v = half(t, 1, true);
        return t.set_vector(0, v);
    }
    let v = t.vector(2).low;
    let lower = half(t, 1, false);
    set_halves(t, lower, v);
}
/// MOVHLPS: the upper half to the lower one.
pub fn movhlps(t: &mut Tx) {
    let (lower, upper) = (half(t, 2, true), half(t, 1, true));
    set_halves(t, lower, upper);
}
/// MOVLHPS: the lower half to the upper one.
pub fn movlhps(t: &mut Tx) {
    let (lower, upper) = (half(t, 1, false), half(t, 2, false));
    set_halves(t, lower, upper);
}

one! {
    movsldup |t, a| t.b.vperm(a, a, [0, 1, 2, 3, 0, 1, 2, 3, 8, 9, 10, 11, 8, 9, 10, 11]);
    movshdup |t, a| t.b.vperm(a, a, [4, 5, 6, 7, 4, 5, 6, 7, 12, 13, 14, 15, 12, 13, 14, 15]);
}
/// MOVDDUP: the even ones of two or four.
pub fn movddup(t: &mut Tx) {
    let v = t.vector(1);
    let double = |t: &mut Tx, v: Val| {
        let v = low(t, v);
        t.b.vconcat(v, v)
    };
    let (low, high) = (double(t, v.low), v.high.map(|v| double(t, v)));
    t.set_vector(0, Vector { low, high });
}
