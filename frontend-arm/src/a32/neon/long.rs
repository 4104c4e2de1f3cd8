//! Results of twice the operands' width (Arm ARM DDI 0406C, A7.4: three registers of different lengths).

use super::calls;
use super::multiply::scalar_operand;
use super::operands::{enabled, lane, reg, require};
use crate::features::Feature;
use crate::state::QC;
use crate::tx::Tx;
use crate::vector::saturate::{add_doubled, doubled_products, subtract_doubled};
use crate::vector::{int, products, widen};
use emu_ir::{Builder, Lane, Op, Ty, Val, insns};

insns! {
    /// Long and wide forms, also by scalars. A size of 3 is another instruction.
    LONG: Tx;
    "1111 001u 1d0s nnnn dddd 0000 N0m0 mmmm" => vaddl(u, s, d, n, m)
    "1111 001u 1d10 nnnn dddd 0000 N0m0 mmmm" => vaddl(u, {2}, d, n, m)
    "1111 001u 1d0s nnnn dddd 0001 N0m0 mmmm" => vaddw(u, s, d, n, m)
    "1111 001u 1d10 nnnn dddd 0001 N0m0 mmmm" => vaddw(u, {2}, d, n, m)
    "1111 001u 1d0s nnnn dddd 0010 N0m0 mmmm" => vsubl(u, s, d, n, m)
    "1111 001u 1d10 nnnn dddd 0010 N0m0 mmmm" => vsubl(u, {2}, d, n, m)
    "1111 001u 1d0s nnnn dddd 0011 N0m0 mmmm" => vsubw(u, s, d, n, m)
    "1111 001u 1d10 nnnn dddd 0011 N0m0 mmmm" => vsubw(u, {2}, d, n, m)
    "1111 001u 1d0s nnnn dddd 0101 N0m0 mmmm" => vabal(u, s, d, n, m)
    "1111 001u 1d10 nnnn dddd 0101 N0m0 mmmm" => vabal(u, {2}, d, n, m)
    "1111 001u 1d0s nnnn dddd 0111 N0m0 mmmm" => vabdl(u, s, d, n, m)
    "1111 001u 1d10 nnnn dddd 0111 N0m0 mmmm" => vabdl(u, {2}, d, n, m)
    "1111 001u 1d0s nnnn dddd 1000 N0m0 mmmm" => vmlal(u, s, d, n, m)
    "1111 001u 1d10 nnnn dddd 1000 N0m0 mmmm" => vmlal(u, {2}, d, n, m)
    "1111 001u 1d0s nnnn dddd 1010 N0m0 mmmm" => vmlsl(u, s, d, n, m)
    "1111 001u 1d10 nnnn dddd 1010 N0m0 mmmm" => vmlsl(u, {2}, d, n, m)
    "1111 001u 1d0s nnnn dddd 1100 N0m0 mmmm" => vmull(u, s, d, n, m)
    "1111 001u 1d10 nnnn dddd 1100 N0m0 mmmm" => vmull(u, {2}, d, n, m)
    "1111 0010 1d0s nnnn dddd 1110 N0m0 mmmm" => vmull_polynomial(s, d, n, m)
    "1111 0010 1d10 nnnn dddd 1110 N0m0 mmmm" => vmull_polynomial({2}, d, n, m)
    "1111 0010 1d0s nnnn dddd 1001 N0m0 mmmm" => vqdmlal(s, d, n, m)
    "1111 0010 1d10 nnnn dddd 1001 N0m0 mmmm" => vqdmlal({2}, d, n, m)
    "1111 0010 1d0s nnnn dddd 1011 N0m0 mmmm" => vqdmlsl(s, d, n, m)
    "1111 0010 1d10 nnnn dddd 1011 N0m0 mmmm" => vqdmlsl({2}, d, n, m)
    "1111 0010 1d0s nnnn dddd 1101 N0m0 mmmm" => vqdmull(s, d, n, m)
    "1111 0010 1d10 nnnn dddd 1101 N0m0 mmmm" => vqdmull({2}, d, n, m)
    "1111 001u 1d0s nnnn dddd 0010 N1m0 mmmm" => vmlal_scalar(u, s, d, n, m)
    "1111 001u 1d10 nnnn dddd 0010 N1m0 mmmm" => vmlal_scalar(u, {2}, d, n, m)
    "1111 001u 1d0s nnnn dddd 0110 N1m0 mmmm" => vmlsl_scalar(u, s, d, n, m)
    "1111 001u 1d10 nnnn dddd 0110 N1m0 mmmm" => vmlsl_scalar(u, {2}, d, n, m)
    "1111 001u 1d0s nnnn dddd 1010 N1m0 mmmm" => vmull_scalar(u, s, d, n, m)
    "1111 001u 1d10 nnnn dddd 1010 N1m0 mmmm" => vmull_scalar(u, {2}, d, n, m)
    "1111 0010 1d0s nnnn dddd 0011 N1m0 mmmm" => vqdmlal_scalar(s, d, n, m)
    "1111 0010 1d10 nnnn dddd 0011 N1m0 mmmm" => vqdmlal_scalar({2}, d, n, m)
    "1111 0010 1d0s nnnn dddd 0111 N1m0 mmmm" => vqdmlsl_scalar(s, d, n, m)
    "1111 0010 1d10 nnnn dddd 0111 N1m0 mmmm" => vqdmlsl_scalar({2}, d, n, m)
    "1111 0010 1d0s nnnn dddd 1011 N1m0 mmmm" => vqdmull_scalar(s, d, n, m)
    "1111 0010 1d10 nnnn dddd 1011 N1m0 mmmm" => vqdmull_scalar({2}, d, n, m)
}

/// `d = f(n, m)`, a quadword from doublewords of lanes `e`.
fn long(t: &mut Tx, s: u32, [d, n, m]: [u32; 3], f: impl FnOnce(&mut Tx, Lane, Val, Val) -> Val) -> Option<()> {
    let e = lane(t, s, 2)?;
    let (d, n, m) = (reg(t, 1, d)?, reg(t, 0, n)?, reg(t, 0, m)?);
    let (a, b) = (t.b.get(n), t.b.get(m));
    let r = f(t, e, a, b);
    t.b.set(d, r);
    Some(())
}

/// `d = f(d, n, m)`, quadwords `d` and doublewords of lanes `e`.
fn long_accumulate(t: &mut Tx, s: u32, r: [u32; 3], f: impl FnOnce(&mut Tx, Lane, Val, Val, Val) -> Val) -> Option<()> {
    let d = reg(t, 1, r[0])?;
    long(t, s, r, |t, e, x, y| {
        let c = t.b.get(d);
        f(t, e, c, x, y)
    })
}

/// As [`long`], with a scalar in place of `m`.
fn long_scalar(t: &mut Tx, s: u32, [d, n, m]: [u32; 3], f: impl FnOnce(&mut Tx, Lane, Val, Val) -> Val) -> Option<()> {
    let e = lane(t, s, 2)?;
    let (d, n) = (reg(t, 1, d)?, reg(t, 0, n)?);
    let (a, b) = (t.b.get(n), scalar_operand(t, e, Ty::V64, m)?);
    let r = f(t, e, a, b);
    t.b.set(d, r);
    Some(())
}

/// As [`long_accumulate`], with a scalar in place of `m`.
fn long_scalar_accumulate(
    t: &mut Tx,
    s: u32,
    r: [u32; 3],
    f: impl FnOnce(&mut Tx, Lane, Val, Val, Val) -> Val,
) -> Option<()> {
    let d = reg(t, 1, r[0])?;
    long_scalar(t, s, r, |t, e, x, y| {
        let c = t.b.get(d);
        f(t, e, c, x, y)
    })
}

/// `d = f(n, m)`, quadwords `d` and `n`, a doubleword `m` widened.
fn wide(t: &mut Tx, u: u32, s: u32, [d, n, m]: [u32; 3], f: fn(&mut Builder, Lane, Val, Val) -> Val) -> Option<()> {
    let e = lane(t, s, 2)?;
    let (d, n, m) = (reg(t, 1, d)?, reg(t, 1, n)?, reg(t, 0, m)?);
    let (a, b) = (t.b.get(n), t.b.get(m));
    let b = widen(t.b, u, e, b);
    let r = f(t.b, e.wider(), a, b);
    t.b.set(d, r);
    Some(())
}

fn both_wide(b: &mut Builder, u: u32, e: Lane, x: Val, y: Val) -> (Val, Val) {
    (widen(b, u, e, x), widen(b, u, e, y))
}

/// VADDL.
fn vaddl(t: &mut Tx, u: u32, s: u32, d: u32, n: u32, m: u32) -> Option<()> {
    long(t, s, [d, n, m], |t, e, x, y| {
        let (x, y) = both_wide(t.b, u, e, x, y);
        t.b.vadd(e.wider(), x, y)
    })
}

/// VADDW.
fn vaddw(t: &mut Tx, u: u32, s: u32, d: u32, n: u32, m: u32) -> Option<()> {
    wide(t, u, s, [d, n, m], Builder::vadd)
}

/// VSUBL.
fn vsubl(t: &mut Tx, u: u32, s: u32, d: u32, n: u32, m: u32) -> Option<()> {
    long(t, s, [d, n, m], |t, e, x, y| {
        let (x, y) = both_wide(t.b, u, e, x, y);
        t.b.vsub(e.wider(), x, y)
    })
}

/// VSUBW.
fn vsubw(t: &mut Tx, u: u32, s: u32, d: u32, n: u32, m: u32) -> Option<()> {
    wide(t, u, s, [d, n, m], Builder::vsub)
}

/// VABAL.
fn vabal(t: &mut Tx, u: u32, s: u32, d: u32, n: u32, m: u32) -> Option<()> {
    long_accumulate(t, s, [d, n, m], |t, e, c, x, y| {
        let diff = int::long_difference(t.b, u, e, x, y);
        t.b.vadd(e.wider(), c, diff)
    })
}

/// VABDL.
fn vabdl(t: &mut Tx, u: u32, s: u32, d: u32, n: u32, m: u32) -> Option<()> {
    long(t, s, [d, n, m], |t, e, x, y| int::long_difference(t.b, u, e, x, y))
}

/// VMLAL.
fn vmlal(t: &mut Tx, u: u32, s: u32, d: u32, n: u32, m: u32) -> Option<()> {
    long_accumulate(t, s, [d, n, m], |t, e, c, x, y| add_products(t, u, e, c, x, y))
}

/// VMLAL (by scalar).
fn vmlal_scalar(t: &mut Tx, u: u32, s: u32, d: u32, n: u32, m: u32) -> Option<()> {
    long_scalar_accumulate(t, s, [d, n, m], |t, e, c, x, y| add_products(t, u, e, c, x, y))
}

fn add_products(t: &mut Tx, u: u32, e: Lane, c: Val, x: Val, y: Val) -> Val {
    let p = products(t.b, u, e, x, y);
    t.b.vadd(e.wider(), c, p)
}

/// VMLSL.
fn vmlsl(t: &mut Tx, u: u32, s: u32, d: u32, n: u32, m: u32) -> Option<()> {
    long_accumulate(t, s, [d, n, m], |t, e, c, x, y| subtract_products(t, u, e, c, x, y))
}

/// VMLSL (by scalar).
fn vmlsl_scalar(t: &mut Tx, u: u32, s: u32, d: u32, n: u32, m: u32) -> Option<()> {
    long_scalar_accumulate(t, s, [d, n, m], |t, e, c, x, y| subtract_products(t, u, e, c, x, y))
}

fn subtract_products(t: &mut Tx, u: u32, e: Lane, c: Val, x: Val, y: Val) -> Val {
    let p = products(t.b, u, e, x, y);
    t.b.vsub(e.wider(), c, p)
}

/// VMULL.
fn vmull(t: &mut Tx, u: u32, s: u32, d: u32, n: u32, m: u32) -> Option<()> {
    long(t, s, [d, n, m], |t, e, x, y| products(t.b, u, e, x, y))
}

/// VMULL (by scalar).
fn vmull_scalar(t: &mut Tx, u: u32, s: u32, d: u32, n: u32, m: u32) -> Option<()> {
    long_scalar(t, s, [d, n, m], |t, e, x, y| products(t.b, u, e, x, y))
}

/// VMULL.P8, and of Armv8 VMULL.P64.
fn vmull_polynomial(t: &mut Tx, s: u32, d: u32, n: u32, m: u32) -> Option<()> {
    enabled(t)?;
    require(t, s == 0 || s == 2 && t.has(Feature::Pmull))?;
    long(t, s, [d, n, m], |t, _, a, b| match s {
        0 => t.b.call(Ty::V128, calls::VMULL_P8, &[a, b]),
        _ => t.b.push(Ty::V128, Op::VMulPoly { a, b }),
    })
}

/// Saturating doubling products have no bytes.
fn no_bytes(t: &mut Tx, s: u32) -> Option<()> {
    require(t, s != 0)
}

/// VQDMLAL.
fn vqdmlal(t: &mut Tx, s: u32, d: u32, n: u32, m: u32) -> Option<()> {
    no_bytes(t, s)?;
    long_accumulate(t, s, [d, n, m], |t, e, c, x, y| add_doubled(t.b, QC, e, c, x, y))
}

/// VQDMLAL (by scalar).
fn vqdmlal_scalar(t: &mut Tx, s: u32, d: u32, n: u32, m: u32) -> Option<()> {
    long_scalar_accumulate(t, s, [d, n, m], |t, e, c, x, y| add_doubled(t.b, QC, e, c, x, y))
}

/// VQDMLSL.
fn vqdmlsl(t: &mut Tx, s: u32, d: u32, n: u32, m: u32) -> Option<()> {
    no_bytes(t, s)?;
    long_accumulate(t, s, [d, n, m], |t, e, c, x, y| subtract_doubled(t.b, QC, e, c, x, y))
}

/// VQDMLSL (by scalar).
fn vqdmlsl_scalar(t: &mut Tx, s: u32, d: u32, n: u32, m: u32) -> Option<()> {
    long_scalar_accumulate(t, s, [d, n, m], |t, e, c, x, y| subtract_doubled(t.b, QC, e, c, x, y))
}

/// VQDMULL.
fn vqdmull(t: &mut Tx, s: u32, d: u32, n: u32, m: u32) -> Option<()> {
    no_bytes(t, s)?;
    long(t, s, [d, n, m], |t, e, x, y| doubled_products(t.b, QC, e, x, y))
}

/// VQDMULL (by scalar).
fn vqdmull_scalar(t: &mut Tx, s: u32, d: u32, n: u32, m: u32) -> Option<()> {
    long_scalar(t, s, [d, n, m], |t, e, x, y| doubled_products(t.b, QC, e, x, y))
}
