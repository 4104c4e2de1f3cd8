//! Saturating arithmetic of the operands' width: FPSCR.QC gathers what saturated (Arm ARM DDI 0406C, A7.4).

use super::multiply::scalar;
use super::operands::{lane, require, same, two};
use crate::state::QC;
use crate::tx::Tx;
use crate::vector::saturate;
use emu_ir::{Lane, insns};

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
    same(t, q, [d, n, m], |t, x, y| saturate::add(t.b, QC, u, Lane::int(s), x, y))
}

/// VQSUB.
fn vqsub(t: &mut Tx, u: u32, s: u32, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    same(t, q, [d, n, m], |t, x, y| {
        saturate::subtract(t.b, QC, u, Lane::int(s), x, y)
    })
}

/// VQABS.
fn vqabs(t: &mut Tx, s: u32, q: u32, d: u32, m: u32) -> Option<()> {
    let e = lane(t, s, 2)?;
    two(t, q, [d, m], |t, x| saturate::absolute(t.b, QC, e, x))
}

/// VQNEG.
fn vqneg(t: &mut Tx, s: u32, q: u32, d: u32, m: u32) -> Option<()> {
    let e = lane(t, s, 2)?;
    two(t, q, [d, m], |t, x| saturate::negated(t.b, QC, e, x))
}

/// Halfwords or words.
fn halfword_or_word(t: &mut Tx, s: u32) -> Option<Lane> {
    require(t, s == 1 || s == 2)?;
    Some(Lane::int(s))
}

/// VQDMULH.
fn vqdmulh(t: &mut Tx, s: u32, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    let e = halfword_or_word(t, s)?;
    same(t, q, [d, n, m], |t, x, y| {
        saturate::doubled_high(t.b, QC, e, x, y, false)
    })
}

/// VQRDMULH.
fn vqrdmulh(t: &mut Tx, s: u32, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    let e = halfword_or_word(t, s)?;
    same(t, q, [d, n, m], |t, x, y| {
        saturate::doubled_high(t.b, QC, e, x, y, true)
    })
}

/// VQDMULH (by scalar).
fn vqdmulh_scalar(t: &mut Tx, s: u32, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    let e = halfword_or_word(t, s)?;
    scalar(t, e, q, [d, n, m], |t, x, y| {
        saturate::doubled_high(t.b, QC, e, x, y, false)
    })
}

/// VQRDMULH (by scalar).
fn vqrdmulh_scalar(t: &mut Tx, s: u32, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    let e = halfword_or_word(t, s)?;
    scalar(t, e, q, [d, n, m], |t, x, y| {
        saturate::doubled_high(t.b, QC, e, x, y, true)
    })
}
