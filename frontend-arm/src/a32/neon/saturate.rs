//! Saturating arithmetic of the operands' width: FPSCR.QC gathers what saturated (Arm ARM DDI 0406C, A7.4).

use super::multiply::scalar;
use super::operands::{every, lane, require, same, saturated_unless_equal, two, zero};
use crate::tx::Tx;
use emu_ir::{Builder, Lane, Op, Ty, Val, insns};

insns! {
    /// VQADD, VQSUB, VQABS, VQNEG, VQDMULH, VQRDMULH.
    SATURATE: Tx;
    "1111 001u 0dss nnnn dddd 0000 Nqm1 mmmm" => vqadd(u, s, q, d, n, m)
    "1111 001u 0dss nnnn dddd 0010 Nqm1 mmmm" => vqsub(u, s, q, d, n, m)
    "1111 0011 1d11 ss00 dddd 0111 0qm0 mmmm" => vqabs(s, q, d, m)
    "1111 0011 1d11 ss00 dddd 0111 1qm0 mmmm" => vqneg(s, q, d, m)
    "1111 0010 0dss nnnn dddd 1011 Nqm0 mmmm" => vqdmulh(s, q, d, n, m)
    "1111 0011 0dss nnnn dddd 1011 Nqm0 mmmm" => vqrdmulh(s, q, d, n, m)
    "1111 001q 1d0s nnnn dddd 1100 N1m0 mmmm" => vqdmulh_scalar(s, q, d, n, m)
    "1111 001q 1d10 nnnn dddd 1100 N1m0 mmmm" => vqdmulh_scalar({2}, q, d, n, m)
    "1111 001q 1d0s nnnn dddd 1101 N1m0 mmmm" => vqrdmulh_scalar(s, q, d, n, m)
    "1111 001q 1d10 nnnn dddd 1101 N1m0 mmmm" => vqrdmulh_scalar({2}, q, d, n, m)
}

/// VQADD.
fn vqadd(t: &mut Tx, u: u32, s: u32, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    let e = Lane::int(s);
    same(t, q, [d, n, m], |t, x, y| {
        let sum = if u == 1 {
            t.b.vqadd_u(e, x, y)
        } else {
            t.b.vqadd_s(e, x, y)
        };
        let exact = t.b.vadd(e, x, y);
        saturated_unless_equal(t, exact, sum);
        sum
    })
}

/// VQSUB.
fn vqsub(t: &mut Tx, u: u32, s: u32, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    let e = Lane::int(s);
    same(t, q, [d, n, m], |t, x, y| {
        let difference = if u == 1 {
            t.b.vqsub_u(e, x, y)
        } else {
            t.b.vqsub_s(e, x, y)
        };
        let exact = t.b.vsub(e, x, y);
        saturated_unless_equal(t, exact, difference);
        difference
    })
}

/// The negation, saturated.
fn negated(t: &mut Tx, e: Lane, x: Val) -> Val {
    let none = zero(t.b, t.b.ty(x));
    let (negated, exact) = (t.b.vqsub_s(e, none, x), t.b.vsub(e, none, x));
    saturated_unless_equal(t, exact, negated);
    negated
}

/// VQABS.
fn vqabs(t: &mut Tx, s: u32, q: u32, d: u32, m: u32) -> Option<()> {
    let e = lane(t, s, 2)?;
    two(t, q, [d, m], |t, x| {
        let negated = negated(t, e, x);
        t.b.vmax_s(e, x, negated)
    })
}

/// VQNEG.
fn vqneg(t: &mut Tx, s: u32, q: u32, d: u32, m: u32) -> Option<()> {
    let e = lane(t, s, 2)?;
    two(t, q, [d, m], |t, x| negated(t, e, x))
}

/// Halfwords or words.
fn halfword_or_word(t: &mut Tx, s: u32) -> Option<Lane> {
    require(t, s == 1 || s == 2)?;
    Some(Lane::int(s))
}

/// The doubled products of V64 lanes `e`, saturated: only the square of the smallest does.
pub fn doubled_products(t: &mut Tx, e: Lane, a: Val, b: Val) -> Val {
    let p = t.b.push(Ty::V128, Op::VMulWideS { a, b, e });
    let (twice, exact) = (t.b.vqadd_s(e.wider(), p, p), t.b.vadd(e.wider(), p, p));
    saturated_unless_equal(t, exact, twice);
    twice
}

/// The high halves of the doubled products, rounded if `round` is 1.
fn doubled_high(t: &mut Tx, e: Lane, x: Val, y: Val, round: u64) -> Val {
    if t.b.ty(x) == Ty::V64 {
        return doubled_high_half(t, e, x, y, round);
    }
    let halves = |b: &mut Builder, v| (b.vhalf(v, false), b.vhalf(v, true));
    let ((x0, x1), (y0, y1)) = (halves(t.b, x), halves(t.b, y));
    let (lo, hi) = (
        doubled_high_half(t, e, x0, y0, round),
        doubled_high_half(t, e, x1, y1, round),
    );
    t.b.vconcat(lo, hi)
}

fn doubled_high_half(t: &mut Tx, e: Lane, x: Val, y: Val, round: u64) -> Val {
    let mut p = doubled_products(t, e, x, y);
    if round == 1 {
        // A product that saturated stays so; no other comes near.
        let half = every(t.b, Ty::V128, e.wider(), 1 << (e.bits() - 1));
        p = t.b.vqadd_s(e.wider(), p, half);
    }
    let high = t.b.vshr_u(e.wider(), p, e.bits() as u8);
    t.b.push(Ty::V64, Op::VNarrow { a: high, e })
}

/// VQDMULH.
fn vqdmulh(t: &mut Tx, s: u32, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    let e = halfword_or_word(t, s)?;
    same(t, q, [d, n, m], |t, x, y| doubled_high(t, e, x, y, 0))
}

/// VQRDMULH.
fn vqrdmulh(t: &mut Tx, s: u32, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    let e = halfword_or_word(t, s)?;
    same(t, q, [d, n, m], |t, x, y| doubled_high(t, e, x, y, 1))
}

/// VQDMULH (by scalar).
fn vqdmulh_scalar(t: &mut Tx, s: u32, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    let e = halfword_or_word(t, s)?;
    scalar(t, e, q, [d, n, m], |t, x, y| doubled_high(t, e, x, y, 0))
}

/// VQRDMULH (by scalar).
fn vqrdmulh_scalar(t: &mut Tx, s: u32, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    let e = halfword_or_word(t, s)?;
    scalar(t, e, q, [d, n, m], |t, x, y| doubled_high(t, e, x, y, 1))
}
