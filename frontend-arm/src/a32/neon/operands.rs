//! Operands of Advanced SIMD instructions, checked, and what several of them compute.

use crate::state::{self, mode};
use crate::tx::Tx;
use emu_ir::{Builder, Lane, Slot, Ty, Val};

/// Go on if `ok`, else the instruction is Undefined.
pub(super) fn require(t: &mut Tx, ok: bool) -> Option<()> {
    if !ok {
        t.undefined();
    }
    ok.then_some(())
}

/// CheckAdvancedSIMDEnabled.
pub(super) fn enabled(t: &mut Tx) -> Option<()> {
    require(t, t.floating(mode::NEON) != 0)
}

/// The doubleword or quadword register of field `r`; enabled, and quadwords have even numbers.
pub(super) fn reg(t: &mut Tx, q: u32, r: u32) -> Option<Slot> {
    enabled(t)?;
    require(t, q == 0 || r & 1 == 0)?;
    Some(if q == 1 { state::qv(r >> 1) } else { state::dv(r) })
}

/// The lane of size field `s`, which is at most `most` (0 bytes, 1 halfwords, 2 words, 3 doublewords).
pub(super) fn lane(t: &mut Tx, s: u32, most: u32) -> Option<Lane> {
    require(t, s <= most)?;
    Some(Lane::int(s))
}

/// `d = f(n, m)`, all doublewords or quadwords.
pub(super) fn same(t: &mut Tx, q: u32, [d, n, m]: [u32; 3], f: impl FnOnce(&mut Tx, Val, Val) -> Val) -> Option<()> {
    let (d, n, m) = (reg(t, q, d)?, reg(t, q, n)?, reg(t, q, m)?);
    let (a, b) = (t.b.get(n), t.b.get(m));
    let r = f(t, a, b);
    t.b.set(d, r);
    Some(())
}

/// `d = f(d, n, m)`, all doublewords or quadwords.
pub(super) fn accumulate(
    t: &mut Tx,
    q: u32,
    [d, n, m]: [u32; 3],
    f: impl FnOnce(&mut Tx, Val, Val, Val) -> Val,
) -> Option<()> {
    let d_slot = reg(t, q, d)?;
    same(t, q, [d, n, m], |t, a, b| {
        let c = t.b.get(d_slot);
        f(t, c, a, b)
    })
}

/// `d = f(m)`, both doublewords or quadwords.
pub(super) fn two(t: &mut Tx, q: u32, [d, m]: [u32; 2], f: impl FnOnce(&mut Tx, Val) -> Val) -> Option<()> {
    convert(t, [q, q], [d, m], f)
}

/// `d = f(m)` with sizes of their own.
pub(super) fn convert(t: &mut Tx, q: [u32; 2], [d, m]: [u32; 2], f: impl FnOnce(&mut Tx, Val) -> Val) -> Option<()> {
    let (d, m) = (reg(t, q[0], d)?, reg(t, q[1], m)?);
    let a = t.b.get(m);
    let r = f(t, a);
    t.b.set(d, r);
    Some(())
}

/// A vector of which every lane of `e`'s width holds `v`.
pub(super) fn every(b: &mut Builder, ty: Ty, e: Lane, v: u64) -> Val {
    b.vec(ty, repeated(e, v))
}

/// `v` in every lane of `e`'s width.
fn repeated(e: Lane, v: u64) -> u128 {
    let (bits, low) = (e.bits(), u128::from(v) & e.scalar().mask());
    (0..128 / bits).fold(0, |all, i| all | low << (i * bits))
}

/// Zero of the type.
pub(super) fn zero(b: &mut Builder, ty: Ty) -> Val {
    b.vec(ty, 0)
}

/// `mask ? a : b`, bit by bit.
pub(super) fn choose(b: &mut Builder, mask: Val, x: Val, y: Val) -> Val {
    let (x, y) = (b.and(x, mask), b.and_not(y, mask));
    b.or(x, y)
}

/// Set FPSCR.QC if any bit of `v` is set.
pub(super) fn saturated_if(t: &mut Tx, v: Val) {
    let v = if t.b.ty(v) == Ty::V64 {
        let none = zero(t.b, Ty::V64);
        t.b.vconcat(v, none)
    } else {
        v
    };
    let qc = t.b.get(state::QC);
    let qc = t.b.or(qc, v);
    t.b.set(state::QC, qc);
}

/// Set FPSCR.QC if `exact` and `given` differ.
pub(super) fn saturated_unless_equal(t: &mut Tx, exact: Val, given: Val) {
    let v = t.b.xor(exact, given);
    saturated_if(t, v);
}

/// Lanes of `a` (V64) at twice the width.
pub(super) fn widen(b: &mut Builder, u: u32, e: Lane, a: Val) -> Val {
    b.push(
        Ty::V128,
        if u == 1 {
            emu_ir::Op::VWidenU { a, e }
        } else {
            emu_ir::Op::VWidenS { a, e }
        },
    )
}

/// Right shift, logical if `u` is 1.
pub(super) fn shift_right(b: &mut Builder, u: u32, e: Lane, a: Val, n: u8) -> Val {
    if u == 1 { b.vshr_u(e, a, n) } else { b.vshr_s(e, a, n) }
}

/// Right shift by 1 to the width, rounding half up.
pub(super) fn shift_right_rounded(b: &mut Builder, u: u32, e: Lane, a: Val, n: u8) -> Val {
    let (base, below) = (shift_right(b, u, e, a, n), shift_right(b, u, e, a, n - 1));
    let ty = b.ty(a);
    let one = every(b, ty, e, 1);
    let round = b.and(below, one);
    b.vadd(e, base, round)
}
