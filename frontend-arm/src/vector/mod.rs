//! What Advanced SIMD instructions compute, of values: AArch32's and AArch64's have their operands in different places and
//! the same meaning. Functions take vectors of either size, V64 or V128, and the lane that they consist of.
//!
//! What saturates is told to `qc`, the slot of the cumulative flag: it gathers bits, and is set when not zero.

pub mod brain;
pub mod complex;
pub mod crypto;
pub mod estimate;
pub mod float;
pub mod half;
pub mod immediate;
pub mod int;
pub mod javascript;
pub mod narrow;
pub mod polynomial;
pub mod saturate;
pub mod shift;

use emu_ir::{Builder, Lane, Op, Slot, Ty, Val};

/// A vector of which every lane of `e`'s width holds `v`.
pub fn every(b: &mut Builder, ty: Ty, e: Lane, v: u64) -> Val {
    b.vec(ty, repeated(e, v))
}

/// `v` in every lane of `e`'s width.
fn repeated(e: Lane, v: u64) -> u128 {
    let (bits, low) = (e.bits(), u128::from(v) & e.scalar().mask());
    (0..128 / bits).fold(0, |all, i| all | low << (i * bits))
}

/// Zero of the type.
pub fn zero(b: &mut Builder, ty: Ty) -> Val {
    b.vec(ty, 0)
}

/// `mask ? a : b`, bit by bit.
pub fn choose(b: &mut Builder, mask: Val, x: Val, y: Val) -> Val {
    let (x, y) = (b.and(x, mask), b.and_not(y, mask));
    b.or(x, y)
}

/// Set the cumulative flag if any bit of `v` is set.
pub fn saturated_if(b: &mut Builder, qc: Slot, v: Val) {
    let v = if b.ty(v) == Ty::V64 {
        let none = zero(b, Ty::V64);
        b.vconcat(v, none)
    } else {
        v
    };
    let old = b.get(qc);
    let new = b.or(old, v);
    b.set(qc, new);
}

/// Set the cumulative flag if `exact` and `given` differ.
pub fn saturated_unless_equal(b: &mut Builder, qc: Slot, exact: Val, given: Val) {
    let v = b.xor(exact, given);
    saturated_if(b, qc, v);
}

/// The two halves of a V128 as `f` makes them, or all of a V64 at once.
pub fn by_halves(b: &mut Builder, operands: [Val; 2], mut f: impl FnMut(&mut Builder, [Val; 2]) -> Val) -> Val {
    if b.ty(operands[0]) == Ty::V64 {
        return f(b, operands);
    }
    let [lo, hi] = [false, true].map(|hi| {
        let halves = operands.map(|v| b.vhalf(v, hi));
        f(b, halves)
    });
    b.vconcat(lo, hi)
}

/// Lanes of `a` (V64) at twice the width.
pub fn widen(b: &mut Builder, u: u32, e: Lane, a: Val) -> Val {
    let op = if u == 1 {
        Op::VWidenU { a, e }
    } else {
        Op::VWidenS { a, e }
    };
    b.push(Ty::V128, op)
}

/// The products of V64 lanes at twice the width.
pub fn products(b: &mut Builder, u: u32, e: Lane, x: Val, y: Val) -> Val {
    let op = if u == 1 {
        Op::VMulWideU { a: x, b: y, e }
    } else {
        Op::VMulWideS { a: x, b: y, e }
    };
    b.push(Ty::V128, op)
}

/// Right shift, logical if `u` is 1.
pub fn shift_right(b: &mut Builder, u: u32, e: Lane, a: Val, n: u8) -> Val {
    if u == 1 { b.vshr_u(e, a, n) } else { b.vshr_s(e, a, n) }
}

/// Right shift by 1 to the width, rounding half up.
pub fn shift_right_rounded(b: &mut Builder, u: u32, e: Lane, a: Val, n: u8) -> Val {
    let (base, below) = (shift_right(b, u, e, a, n), shift_right(b, u, e, a, n - 1));
    let ty = b.ty(a);
    let one = every(b, ty, e, 1);
    let round = b.and(below, one);
    b.vadd(e, base, round)
}
