//! Addition, subtraction, comparison, minimum, maximum and absolute difference of integers (Arm ARM DDI 0406C, A7.4).

use super::operands::{accumulate, lane, same, shift_right, two, zero};
use crate::tx::Tx;
use emu_ir::{Builder, Lane, Op, Val, insns};

insns! {
    /// Lane by lane, results of the operands' width.
    INT: Tx;
    "1111 001u 0dss nnnn dddd 0000 Nqm0 mmmm" => vhadd(u, s, q, d, n, m)
    "1111 001u 0dss nnnn dddd 0001 Nqm0 mmmm" => vrhadd(u, s, q, d, n, m)
    "1111 001u 0dss nnnn dddd 0010 Nqm0 mmmm" => vhsub(u, s, q, d, n, m)
    "1111 001u 0dss nnnn dddd 0011 Nqm0 mmmm" => vcgt(u, s, q, d, n, m)
    "1111 001u 0dss nnnn dddd 0011 Nqm1 mmmm" => vcge(u, s, q, d, n, m)
    "1111 001u 0dss nnnn dddd 0110 Nqm0 mmmm" => vmax(u, s, q, d, n, m)
    "1111 001u 0dss nnnn dddd 0110 Nqm1 mmmm" => vmin(u, s, q, d, n, m)
    "1111 001u 0dss nnnn dddd 0111 Nqm0 mmmm" => vabd(u, s, q, d, n, m)
    "1111 001u 0dss nnnn dddd 0111 Nqm1 mmmm" => vaba(u, s, q, d, n, m)
    "1111 0010 0dss nnnn dddd 1000 Nqm0 mmmm" => vadd(s, q, d, n, m)
    "1111 0011 0dss nnnn dddd 1000 Nqm0 mmmm" => vsub(s, q, d, n, m)
    "1111 0010 0dss nnnn dddd 1000 Nqm1 mmmm" => vtst(s, q, d, n, m)
    "1111 0011 0dss nnnn dddd 1000 Nqm1 mmmm" => vceq(s, q, d, n, m)
    "1111 001u 0dss nnnn dddd 1010 N0m0 mmmm" => vpmax(u, s, d, n, m)
    "1111 001u 0dss nnnn dddd 1010 N0m1 mmmm" => vpmin(u, s, d, n, m)
    "1111 0010 0dss nnnn dddd 1011 N0m1 mmmm" => vpadd(s, d, n, m)
    "1111 0011 1d11 ss00 dddd 0010 uqm0 mmmm" => vpaddl(u, s, q, d, m)
    "1111 0011 1d11 ss00 dddd 0110 uqm0 mmmm" => vpadal(u, s, q, d, m)
    "1111 0011 1d11 ss01 dddd 0000 0qm0 mmmm" => vcgt_zero(s, q, d, m)
    "1111 0011 1d11 ss01 dddd 0000 1qm0 mmmm" => vcge_zero(s, q, d, m)
    "1111 0011 1d11 ss01 dddd 0001 0qm0 mmmm" => vceq_zero(s, q, d, m)
    "1111 0011 1d11 ss01 dddd 0001 1qm0 mmmm" => vcle_zero(s, q, d, m)
    "1111 0011 1d11 ss01 dddd 0010 0qm0 mmmm" => vclt_zero(s, q, d, m)
    "1111 0011 1d11 ss01 dddd 0011 0qm0 mmmm" => vabs(s, q, d, m)
    "1111 0011 1d11 ss01 dddd 0011 1qm0 mmmm" => vneg(s, q, d, m)
}

/// VHADD: `(n + m) >> 1`, as what both have plus half of what one has.
fn vhadd(t: &mut Tx, u: u32, s: u32, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    let e = lane(t, s, 2)?;
    same(t, q, [d, n, m], |t, x, y| {
        let (both, one) = (t.b.and(x, y), t.b.xor(x, y));
        let half = shift_right(t.b, u, e, one, 1);
        t.b.vadd(e, both, half)
    })
}

/// VRHADD: `(n + m + 1) >> 1`.
fn vrhadd(t: &mut Tx, u: u32, s: u32, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    let e = lane(t, s, 2)?;
    same(t, q, [d, n, m], |t, x, y| {
        let (any, one) = (t.b.or(x, y), t.b.xor(x, y));
        let half = shift_right(t.b, u, e, one, 1);
        t.b.vsub(e, any, half)
    })
}

/// VHSUB: `(n - m) >> 1`.
fn vhsub(t: &mut Tx, u: u32, s: u32, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    let e = lane(t, s, 2)?;
    same(t, q, [d, n, m], |t, x, y| {
        let (one, borrow) = (t.b.xor(x, y), t.b.and_not(y, x));
        let half = shift_right(t.b, u, e, one, 1);
        t.b.vsub(e, half, borrow)
    })
}

/// `a > b`: all ones or zero.
fn greater(b: &mut Builder, u: u32, e: Lane, x: Val, y: Val) -> Val {
    if u == 1 { b.vgt_u(e, x, y) } else { b.vgt_s(e, x, y) }
}

/// VCGT (register).
fn vcgt(t: &mut Tx, u: u32, s: u32, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    let e = lane(t, s, 2)?;
    same(t, q, [d, n, m], |t, x, y| greater(t.b, u, e, x, y))
}

/// VCGE (register).
fn vcge(t: &mut Tx, u: u32, s: u32, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    let e = lane(t, s, 2)?;
    same(t, q, [d, n, m], |t, x, y| {
        let less = greater(t.b, u, e, y, x);
        t.b.not(less)
    })
}

fn max(b: &mut Builder, u: u32, e: Lane, x: Val, y: Val) -> Val {
    if u == 1 { b.vmax_u(e, x, y) } else { b.vmax_s(e, x, y) }
}

fn min(b: &mut Builder, u: u32, e: Lane, x: Val, y: Val) -> Val {
    if u == 1 { b.vmin_u(e, x, y) } else { b.vmin_s(e, x, y) }
}

/// The absolute difference: as an unsigned number it fits the lane.
pub fn difference(b: &mut Builder, u: u32, e: Lane, x: Val, y: Val) -> Val {
    let (hi, lo) = (max(b, u, e, x, y), min(b, u, e, x, y));
    b.vsub(e, hi, lo)
}

/// VMAX.
fn vmax(t: &mut Tx, u: u32, s: u32, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    let e = lane(t, s, 2)?;
    same(t, q, [d, n, m], |t, x, y| max(t.b, u, e, x, y))
}

/// VMIN.
fn vmin(t: &mut Tx, u: u32, s: u32, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    let e = lane(t, s, 2)?;
    same(t, q, [d, n, m], |t, x, y| min(t.b, u, e, x, y))
}

/// VABD.
fn vabd(t: &mut Tx, u: u32, s: u32, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    let e = lane(t, s, 2)?;
    same(t, q, [d, n, m], |t, x, y| difference(t.b, u, e, x, y))
}

/// VABA.
fn vaba(t: &mut Tx, u: u32, s: u32, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    let e = lane(t, s, 2)?;
    accumulate(t, q, [d, n, m], |t, c, x, y| {
        let diff = difference(t.b, u, e, x, y);
        t.b.vadd(e, c, diff)
    })
}

/// VADD.
fn vadd(t: &mut Tx, s: u32, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    same(t, q, [d, n, m], |t, x, y| t.b.vadd(Lane::int(s), x, y))
}

/// VSUB.
fn vsub(t: &mut Tx, s: u32, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    same(t, q, [d, n, m], |t, x, y| t.b.vsub(Lane::int(s), x, y))
}

/// VTST.
fn vtst(t: &mut Tx, s: u32, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    let e = lane(t, s, 2)?;
    same(t, q, [d, n, m], |t, x, y| {
        let both = t.b.and(x, y);
        let none = zero(t.b, t.b.ty(x));
        let clear = t.b.veq(e, both, none);
        t.b.not(clear)
    })
}

/// VCEQ (register).
fn vceq(t: &mut Tx, s: u32, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    let e = lane(t, s, 2)?;
    same(t, q, [d, n, m], |t, x, y| t.b.veq(e, x, y))
}

/// The even and the odd lanes of two V64, `x`'s first.
pub fn pairs(b: &mut Builder, e: Lane, x: Val, y: Val) -> (Val, Val) {
    let pick = |odd: usize| {
        let bytes = e.bits() as usize / 8;
        std::array::from_fn(|k| {
            let from = (k / bytes * 2 + odd) * bytes + k % bytes;
            (if from < 8 { from } else { from + 8 }) as u8
        })
    };
    (b.vperm(x, y, pick(0)), b.vperm(x, y, pick(1)))
}

/// VPMAX.
fn vpmax(t: &mut Tx, u: u32, s: u32, d: u32, n: u32, m: u32) -> Option<()> {
    let e = lane(t, s, 2)?;
    same(t, 0, [d, n, m], |t, x, y| {
        let (x, y) = pairs(t.b, e, x, y);
        max(t.b, u, e, x, y)
    })
}

/// VPMIN.
fn vpmin(t: &mut Tx, u: u32, s: u32, d: u32, n: u32, m: u32) -> Option<()> {
    let e = lane(t, s, 2)?;
    same(t, 0, [d, n, m], |t, x, y| {
        let (x, y) = pairs(t.b, e, x, y);
        min(t.b, u, e, x, y)
    })
}

/// VPADD.
fn vpadd(t: &mut Tx, s: u32, d: u32, n: u32, m: u32) -> Option<()> {
    let e = lane(t, s, 2)?;
    same(t, 0, [d, n, m], |t, x, y| {
        let (x, y) = pairs(t.b, e, x, y);
        t.b.vadd(e, x, y)
    })
}

/// Sums of adjacent lanes `e` at twice the width.
fn long_pairs(b: &mut Builder, u: u32, e: Lane, x: Val) -> Val {
    let (n, w) = (e.bits() as u8, e.wider());
    let low = b.vshl(w, x, n);
    let (low, high) = (shift_right(b, u, w, low, n), shift_right(b, u, w, x, n));
    b.vadd(w, low, high)
}

/// VPADDL.
fn vpaddl(t: &mut Tx, u: u32, s: u32, q: u32, d: u32, m: u32) -> Option<()> {
    let e = lane(t, s, 2)?;
    two(t, q, [d, m], |t, x| long_pairs(t.b, u, e, x))
}

/// VPADAL.
fn vpadal(t: &mut Tx, u: u32, s: u32, q: u32, d: u32, m: u32) -> Option<()> {
    let e = lane(t, s, 2)?;
    accumulate(t, q, [d, d, m], |t, c, _, x| {
        let sum = long_pairs(t.b, u, e, x);
        t.b.vadd(e.wider(), c, sum)
    })
}

/// `d = f(m, 0)`.
fn with_zero(t: &mut Tx, s: u32, q: u32, r: [u32; 2], f: fn(&mut Builder, Lane, Val, Val) -> Val) -> Option<()> {
    let e = lane(t, s, 2)?;
    two(t, q, r, |t, x| {
        let none = zero(t.b, t.b.ty(x));
        f(t.b, e, x, none)
    })
}

/// VCGT (immediate #0).
fn vcgt_zero(t: &mut Tx, s: u32, q: u32, d: u32, m: u32) -> Option<()> {
    with_zero(t, s, q, [d, m], Builder::vgt_s)
}

/// VCGE (immediate #0).
fn vcge_zero(t: &mut Tx, s: u32, q: u32, d: u32, m: u32) -> Option<()> {
    with_zero(t, s, q, [d, m], |b, e, x, none| {
        let less = b.vgt_s(e, none, x);
        b.not(less)
    })
}

/// VCEQ (immediate #0).
fn vceq_zero(t: &mut Tx, s: u32, q: u32, d: u32, m: u32) -> Option<()> {
    with_zero(t, s, q, [d, m], Builder::veq)
}

/// VCLE (immediate #0).
fn vcle_zero(t: &mut Tx, s: u32, q: u32, d: u32, m: u32) -> Option<()> {
    with_zero(t, s, q, [d, m], |b, e, x, none| {
        let greater = b.vgt_s(e, x, none);
        b.not(greater)
    })
}

/// VCLT (immediate #0).
fn vclt_zero(t: &mut Tx, s: u32, q: u32, d: u32, m: u32) -> Option<()> {
    with_zero(t, s, q, [d, m], |b, e, x, none| b.vgt_s(e, none, x))
}

/// VABS.
fn vabs(t: &mut Tx, s: u32, q: u32, d: u32, m: u32) -> Option<()> {
    with_zero(t, s, q, [d, m], |b, e, a, _| {
        let ty = b.ty(a);
        b.push(ty, Op::VAbs { a, e })
    })
}

/// VNEG.
fn vneg(t: &mut Tx, s: u32, q: u32, d: u32, m: u32) -> Option<()> {
    with_zero(t, s, q, [d, m], |b, e, x, none| b.vsub(e, none, x))
}
