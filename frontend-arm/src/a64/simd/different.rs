//! Three registers of different widths (Arm ARM DDI 0487, C4.1, "Advanced SIMD three different", "Advanced SIMD scalar
//! three different"): results of twice or half the operands' width.

use super::super::calls;
use super::super::features::Feature;
use super::super::state::{self, QC};
use super::super::tx::Tx;
use super::operands::{SCALAR, get, half, lane, require, set, set_half};
use crate::vector::saturate::{add_doubled, doubled_products, subtract_doubled};
use crate::vector::{int, narrow, products, widen};
use emu_ir::{Builder, Lane, Op, Ty, Val, insns};

insns! {
    /// Of the low halves, or (`q` = 1) the high ones.
    DIFFERENT: Tx;
    "0q 0 01110 ss 1 mmmmm 0000 00 nnnnn ddddd" => saddl(q, s, m, n, d)
    "0q 1 01110 ss 1 mmmmm 0000 00 nnnnn ddddd" => uaddl(q, s, m, n, d)
    "0q 0 01110 ss 1 mmmmm 0001 00 nnnnn ddddd" => saddw(q, s, m, n, d)
    "0q 1 01110 ss 1 mmmmm 0001 00 nnnnn ddddd" => uaddw(q, s, m, n, d)
    "0q 0 01110 ss 1 mmmmm 0010 00 nnnnn ddddd" => ssubl(q, s, m, n, d)
    "0q 1 01110 ss 1 mmmmm 0010 00 nnnnn ddddd" => usubl(q, s, m, n, d)
    "0q 0 01110 ss 1 mmmmm 0011 00 nnnnn ddddd" => ssubw(q, s, m, n, d)
    "0q 1 01110 ss 1 mmmmm 0011 00 nnnnn ddddd" => usubw(q, s, m, n, d)
    "0q 0 01110 ss 1 mmmmm 0100 00 nnnnn ddddd" => addhn(q, s, m, n, d)
    "0q 1 01110 ss 1 mmmmm 0100 00 nnnnn ddddd" => raddhn(q, s, m, n, d)
    "0q 0 01110 ss 1 mmmmm 0101 00 nnnnn ddddd" => sabal(q, s, m, n, d)
    "0q 1 01110 ss 1 mmmmm 0101 00 nnnnn ddddd" => uabal(q, s, m, n, d)
    "0q 0 01110 ss 1 mmmmm 0110 00 nnnnn ddddd" => subhn(q, s, m, n, d)
    "0q 1 01110 ss 1 mmmmm 0110 00 nnnnn ddddd" => rsubhn(q, s, m, n, d)
    "0q 0 01110 ss 1 mmmmm 0111 00 nnnnn ddddd" => sabdl(q, s, m, n, d)
    "0q 1 01110 ss 1 mmmmm 0111 00 nnnnn ddddd" => uabdl(q, s, m, n, d)
    "0q 0 01110 ss 1 mmmmm 1000 00 nnnnn ddddd" => smlal(q, s, m, n, d)
    "0q 1 01110 ss 1 mmmmm 1000 00 nnnnn ddddd" => umlal(q, s, m, n, d)
    "0q 0 01110 ss 1 mmmmm 1001 00 nnnnn ddddd" => sqdmlal(q, s, m, n, d)
    "0q 0 01110 ss 1 mmmmm 1010 00 nnnnn ddddd" => smlsl(q, s, m, n, d)
    "0q 1 01110 ss 1 mmmmm 1010 00 nnnnn ddddd" => umlsl(q, s, m, n, d)
    "0q 0 01110 ss 1 mmmmm 1011 00 nnnnn ddddd" => sqdmlsl(q, s, m, n, d)
    "0q 0 01110 ss 1 mmmmm 1100 00 nnnnn ddddd" => smull(q, s, m, n, d)
    "0q 1 01110 ss 1 mmmmm 1100 00 nnnnn ddddd" => umull(q, s, m, n, d)
    "0q 0 01110 ss 1 mmmmm 1101 00 nnnnn ddddd" => sqdmull(q, s, m, n, d)
    "0q 0 01110 00 1 mmmmm 1110 00 nnnnn ddddd" => pmull_bytes(q, m, n, d)
}

insns! {
    /// Polynomials of 64 bits.
    PMULL: Tx, needs Feature::Pmull;
    "0q 0 01110 11 1 mmmmm 1110 00 nnnnn ddddd" => pmull_doublewords(q, m, n, d)
}

insns! {
    /// The lowest lanes.
    SCALARS: Tx;
    "01 0 11110 ss 1 mmmmm 1001 00 nnnnn ddddd" => sqdmlal({SCALAR}, s, m, n, d)
    "01 0 11110 ss 1 mmmmm 1011 00 nnnnn ddddd" => sqdmlsl({SCALAR}, s, m, n, d)
    "01 0 11110 ss 1 mmmmm 1101 00 nnnnn ddddd" => sqdmull({SCALAR}, s, m, n, d)
}

/// An operand of lanes `e` to be widened: half a V register, or its lowest lane.
pub fn narrow_operand(t: &mut Tx, q: u32, e: Lane, n: u32) -> Val {
    if q == SCALAR { get(t, q, e, n) } else { half(t, q, n) }
}

/// Write the wide lanes of a result, or the lowest alone.
pub fn set_wide(t: &mut Tx, q: u32, e: Lane, d: u32, v: Val) {
    if q == SCALAR {
        let low = t.b.vhalf(v, false);
        set(t, SCALAR, e.wider(), d, low);
    } else {
        set(t, 1, e, d, v);
    }
}

/// The wide lanes of V`d`.
pub fn get_wide(t: &mut Tx, q: u32, e: Lane, d: u32) -> Val {
    if q == SCALAR {
        let (low, none) = (get(t, SCALAR, e.wider(), d), t.b.vec(Ty::V64, 0));
        return t.b.vconcat(low, none);
    }
    t.b.get(state::v(d, Ty::V128))
}

/// `d = f(n, m)`, of lanes twice as wide.
fn long(
    t: &mut Tx,
    [q, s]: [u32; 2],
    [m, n, d]: [u32; 3],
    f: impl FnOnce(&mut Tx, Lane, Val, Val) -> Val,
) -> Option<()> {
    let e = lane(t, 1, s, 2)?;
    let (x, y) = (narrow_operand(t, q, e, n), narrow_operand(t, q, e, m));
    let v = f(t, e, x, y);
    set_wide(t, q, e, d, v);
    Some(())
}

macro_rules! long {
    ($( $name:ident $f:expr, $doc:literal; )*) => { $(
        #[doc = $doc]
        fn $name(t: &mut Tx, q: u32, s: u32, m: u32, n: u32, d: u32) -> Option<()> {
            long(t, [q, s], [m, n, d], $f)
        }
    )* };
}
macro_rules! long_accumulate {
    ($( $name:ident $f:expr, $doc:literal; )*) => { $(
        #[doc = $doc]
        fn $name(t: &mut Tx, q: u32, s: u32, m: u32, n: u32, d: u32) -> Option<()> {
            long(t, [q, s], [m, n, d], |t, e, x, y| {
                let c = get_wide(t, q, e, d);
                $f(t, e, c, x, y)
            })
        }
    )* };
}
long! {
    saddl |t, e, x, y| widened(t, 0, e, [x, y], Builder::vadd), "SADDL.";
    uaddl |t, e, x, y| widened(t, 1, e, [x, y], Builder::vadd), "UADDL.";
    ssubl |t, e, x, y| widened(t, 0, e, [x, y], Builder::vsub), "SSUBL.";
    usubl |t, e, x, y| widened(t, 1, e, [x, y], Builder::vsub), "USUBL.";
    sabdl |t, e, x, y| int::long_difference(t.b, 0, e, x, y), "SABDL.";
    uabdl |t, e, x, y| int::long_difference(t.b, 1, e, x, y), "UABDL.";
    smull |t, e, x, y| products(t.b, 0, e, x, y), "SMULL (vector).";
    umull |t, e, x, y| products(t.b, 1, e, x, y), "UMULL (vector).";
}
long_accumulate! {
    sabal |t: &mut Tx, e: Lane, c, x, y| add(t, e, c, |b| int::long_difference(b, 0, e, x, y)), "SABAL.";
    uabal |t: &mut Tx, e: Lane, c, x, y| add(t, e, c, |b| int::long_difference(b, 1, e, x, y)), "UABAL.";
    smlal |t: &mut Tx, e: Lane, c, x, y| add(t, e, c, |b| products(b, 0, e, x, y)), "SMLAL (vector).";
    umlal |t: &mut Tx, e: Lane, c, x, y| add(t, e, c, |b| products(b, 1, e, x, y)), "UMLAL (vector).";
    smlsl |t: &mut Tx, e: Lane, c, x, y| subtract(t, e, c, |b| products(b, 0, e, x, y)), "SMLSL (vector).";
    umlsl |t: &mut Tx, e: Lane, c, x, y| subtract(t, e, c, |b| products(b, 1, e, x, y)), "UMLSL (vector).";
}

/// `f` of the operands widened.
fn widened(t: &mut Tx, u: u32, e: Lane, operands: [Val; 2], f: fn(&mut Builder, Lane, Val, Val) -> Val) -> Val {
    let [x, y] = operands.map(|v| widen(t.b, u, e, v));
    f(t.b, e.wider(), x, y)
}
/// `c` plus wide lanes.
pub fn add(t: &mut Tx, e: Lane, c: Val, f: impl FnOnce(&mut Builder) -> Val) -> Val {
    let v = f(t.b);
    t.b.vadd(e.wider(), c, v)
}
/// `c` less wide lanes.
pub fn subtract(t: &mut Tx, e: Lane, c: Val, f: impl FnOnce(&mut Builder) -> Val) -> Val {
    let v = f(t.b);
    t.b.vsub(e.wider(), c, v)
}

/// `d = f(n, m)` of wide `n`.
fn wide(
    t: &mut Tx,
    u: u32,
    [q, s]: [u32; 2],
    [m, n, d]: [u32; 3],
    f: fn(&mut Builder, Lane, Val, Val) -> Val,
) -> Option<()> {
    let e = lane(t, 1, s, 2)?;
    let (x, y) = (t.b.get(state::v(n, Ty::V128)), half(t, q, m));
    let y = widen(t.b, u, e, y);
    let v = f(t.b, e.wider(), x, y);
    set(t, 1, e, d, v);
    Some(())
}
/// SADDW.
fn saddw(t: &mut Tx, q: u32, s: u32, m: u32, n: u32, d: u32) -> Option<()> {
    wide(t, 0, [q, s], [m, n, d], Builder::vadd)
}
/// UADDW.
fn uaddw(t: &mut Tx, q: u32, s: u32, m: u32, n: u32, d: u32) -> Option<()> {
    wide(t, 1, [q, s], [m, n, d], Builder::vadd)
}
/// SSUBW.
fn ssubw(t: &mut Tx, q: u32, s: u32, m: u32, n: u32, d: u32) -> Option<()> {
    wide(t, 0, [q, s], [m, n, d], Builder::vsub)
}
/// USUBW.
fn usubw(t: &mut Tx, q: u32, s: u32, m: u32, n: u32, d: u32) -> Option<()> {
    wide(t, 1, [q, s], [m, n, d], Builder::vsub)
}

/// The high halves of `f(n, m)`, to the low or (`q` = 1) high half.
fn high(
    t: &mut Tx,
    [q, s]: [u32; 2],
    [m, n, d]: [u32; 3],
    f: fn(&mut Builder, Lane, Val, Val) -> Val,
    high: fn(&mut Builder, Lane, Val) -> Val,
) -> Option<()> {
    let e = lane(t, 1, s, 2)?;
    let (x, y) = (get(t, 1, e, n), get(t, 1, e, m));
    let wide = f(t.b, e.wider(), x, y);
    let v = high(t.b, e, wide);
    set_half(t, q, d, v);
    Some(())
}
/// ADDHN.
fn addhn(t: &mut Tx, q: u32, s: u32, m: u32, n: u32, d: u32) -> Option<()> {
    high(t, [q, s], [m, n, d], Builder::vadd, narrow::high)
}
/// RADDHN.
fn raddhn(t: &mut Tx, q: u32, s: u32, m: u32, n: u32, d: u32) -> Option<()> {
    high(t, [q, s], [m, n, d], Builder::vadd, narrow::high_rounded)
}
/// SUBHN.
fn subhn(t: &mut Tx, q: u32, s: u32, m: u32, n: u32, d: u32) -> Option<()> {
    high(t, [q, s], [m, n, d], Builder::vsub, narrow::high)
}
/// RSUBHN.
fn rsubhn(t: &mut Tx, q: u32, s: u32, m: u32, n: u32, d: u32) -> Option<()> {
    high(t, [q, s], [m, n, d], Builder::vsub, narrow::high_rounded)
}

/// Saturating doubling products have no bytes.
fn no_bytes(t: &mut Tx, s: u32) -> Option<()> {
    require(t, s != 0)
}
/// SQDMULL (vector).
fn sqdmull(t: &mut Tx, q: u32, s: u32, m: u32, n: u32, d: u32) -> Option<()> {
    no_bytes(t, s)?;
    long(t, [q, s], [m, n, d], |t, e, x, y| doubled_products(t.b, QC, e, x, y))
}
/// SQDMLAL (vector).
fn sqdmlal(t: &mut Tx, q: u32, s: u32, m: u32, n: u32, d: u32) -> Option<()> {
    no_bytes(t, s)?;
    long(t, [q, s], [m, n, d], |t, e, x, y| {
        let c = get_wide(t, q, e, d);
        add_doubled(t.b, QC, e, c, x, y)
    })
}
/// SQDMLSL (vector).
fn sqdmlsl(t: &mut Tx, q: u32, s: u32, m: u32, n: u32, d: u32) -> Option<()> {
    no_bytes(t, s)?;
    long(t, [q, s], [m, n, d], |t, e, x, y| {
        let c = get_wide(t, q, e, d);
        subtract_doubled(t.b, QC, e, c, x, y)
    })
}

/// PMULL of bytes.
fn pmull_bytes(t: &mut Tx, q: u32, m: u32, n: u32, d: u32) -> Option<()> {
    long(t, [q, 0], [m, n, d], |t, _, x, y| {
        t.b.call(Ty::V128, calls::PMULL_8, &[x, y])
    })
}
/// PMULL of doublewords.
fn pmull_doublewords(t: &mut Tx, q: u32, m: u32, n: u32, d: u32) -> Option<()> {
    long(t, [q, 0], [m, n, d], |t, _, x, y| {
        t.b.push(Ty::V128, Op::VMulPoly { a: x, b: y })
    })
}
