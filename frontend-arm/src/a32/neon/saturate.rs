//! Saturating arithmetic of the operands' width: FPSCR.QC gathers what saturated (Arm ARM DDI 0406C, A7.4).

use super::multiply::{scalar, scalar_accumulate};
use super::operands::{accumulate, lane, require, same, two};
use crate::features::Feature;
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

insns! {
    /// VQRDMLAH and VQRDMLSH (FEAT_RDM).
    RDM: Tx, needs Feature::Rdm;
    "1111 0011 0dss nnnn dddd 1011 Nqm1 mmmm" => vqrdmlah(s, q, d, n, m)
    "1111 0011 0dss nnnn dddd 1100 Nqm1 mmmm" => vqrdmlsh(s, q, d, n, m)
    "1111 001q 1d0s nnnn dddd 1110 N1m0 mmmm" => vqrdmlah_scalar(s, q, d, n, m)
    "1111 001q 1d10 nnnn dddd 1110 N1m0 mmmm" => vqrdmlah_scalar({2}, q, d, n, m)
    "1111 001q 1d0s nnnn dddd 1111 N1m0 mmmm" => vqrdmlsh_scalar(s, q, d, n, m)
    "1111 001q 1d10 nnnn dddd 1111 N1m0 mmmm" => vqrdmlsh_scalar({2}, q, d, n, m)
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

fn rounded(t: &mut Tx, [s, q]: [u32; 2], r: [u32; 3], less: bool) -> Option<()> {
    let e = halfword_or_word(t, s)?;
    accumulate(t, q, r, |t, c, x, y| {
        saturate::doubled_high_accumulated(t.b, QC, e, c, [x, y], less)
    })
}
fn rounded_by_scalar(t: &mut Tx, [s, q]: [u32; 2], r: [u32; 3], less: bool) -> Option<()> {
    let e = halfword_or_word(t, s)?;
    scalar_accumulate(t, e, q, r, |t, c, x, y| {
        saturate::doubled_high_accumulated(t.b, QC, e, c, [x, y], less)
    })
}

/// VQRDMLAH.
fn vqrdmlah(t: &mut Tx, s: u32, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    rounded(t, [s, q], [d, n, m], false)
}

/// VQRDMLSH.
fn vqrdmlsh(t: &mut Tx, s: u32, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    rounded(t, [s, q], [d, n, m], true)
}

/// VQRDMLAH (by scalar).
fn vqrdmlah_scalar(t: &mut Tx, s: u32, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    rounded_by_scalar(t, [s, q], [d, n, m], false)
}

/// VQRDMLSH (by scalar).
fn vqrdmlsh_scalar(t: &mut Tx, s: u32, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    rounded_by_scalar(t, [s, q], [d, n, m], true)
}
