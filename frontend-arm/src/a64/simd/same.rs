//! Three registers of the same kind: integers (Arm ARM DDI 0487, C4.1, "Advanced SIMD three same", "Advanced SIMD scalar
//! three same").

use super::super::calls;
use super::super::state::QC;
use super::super::tx::Tx;
use super::operands::{SCALAR, accumulate, require, same, three_accumulate, three_same, ty};
use crate::vector::{int, saturate, shift};
use emu_ir::{Builder, Lane, Val, insns};

insns! {
    /// Lane by lane, results of the operands' width.
    INTEGER: Tx;
    "0q 0 01110 ss 1 mmmmm 00000 1 nnnnn ddddd" => shadd(q, s, m, n, d)
    "0q 1 01110 ss 1 mmmmm 00000 1 nnnnn ddddd" => uhadd(q, s, m, n, d)
    "0q 0 01110 ss 1 mmmmm 00001 1 nnnnn ddddd" => sqadd(q, s, m, n, d)
    "0q 1 01110 ss 1 mmmmm 00001 1 nnnnn ddddd" => uqadd(q, s, m, n, d)
    "0q 0 01110 ss 1 mmmmm 00010 1 nnnnn ddddd" => srhadd(q, s, m, n, d)
    "0q 1 01110 ss 1 mmmmm 00010 1 nnnnn ddddd" => urhadd(q, s, m, n, d)
    "0q 0 01110 ss 1 mmmmm 00100 1 nnnnn ddddd" => shsub(q, s, m, n, d)
    "0q 1 01110 ss 1 mmmmm 00100 1 nnnnn ddddd" => uhsub(q, s, m, n, d)
    "0q 0 01110 ss 1 mmmmm 00101 1 nnnnn ddddd" => sqsub(q, s, m, n, d)
    "0q 1 01110 ss 1 mmmmm 00101 1 nnnnn ddddd" => uqsub(q, s, m, n, d)
    "0q 0 01110 ss 1 mmmmm 00110 1 nnnnn ddddd" => cmgt(q, s, m, n, d)
    "0q 1 01110 ss 1 mmmmm 00110 1 nnnnn ddddd" => cmhi(q, s, m, n, d)
    "0q 0 01110 ss 1 mmmmm 00111 1 nnnnn ddddd" => cmge(q, s, m, n, d)
    "0q 1 01110 ss 1 mmmmm 00111 1 nnnnn ddddd" => cmhs(q, s, m, n, d)
    "0q 0 01110 ss 1 mmmmm 01000 1 nnnnn ddddd" => sshl(q, s, m, n, d)
    "0q 1 01110 ss 1 mmmmm 01000 1 nnnnn ddddd" => ushl(q, s, m, n, d)
    "0q 0 01110 ss 1 mmmmm 01001 1 nnnnn ddddd" => sqshl_reg(q, s, m, n, d)
    "0q 1 01110 ss 1 mmmmm 01001 1 nnnnn ddddd" => uqshl_reg(q, s, m, n, d)
    "0q 0 01110 ss 1 mmmmm 01010 1 nnnnn ddddd" => srshl(q, s, m, n, d)
    "0q 1 01110 ss 1 mmmmm 01010 1 nnnnn ddddd" => urshl(q, s, m, n, d)
    "0q 0 01110 ss 1 mmmmm 01011 1 nnnnn ddddd" => sqrshl(q, s, m, n, d)
    "0q 1 01110 ss 1 mmmmm 01011 1 nnnnn ddddd" => uqrshl(q, s, m, n, d)
    "0q 0 01110 ss 1 mmmmm 01100 1 nnnnn ddddd" => smax(q, s, m, n, d)
    "0q 1 01110 ss 1 mmmmm 01100 1 nnnnn ddddd" => umax(q, s, m, n, d)
    "0q 0 01110 ss 1 mmmmm 01101 1 nnnnn ddddd" => smin(q, s, m, n, d)
    "0q 1 01110 ss 1 mmmmm 01101 1 nnnnn ddddd" => umin(q, s, m, n, d)
    "0q 0 01110 ss 1 mmmmm 01110 1 nnnnn ddddd" => sabd(q, s, m, n, d)
    "0q 1 01110 ss 1 mmmmm 01110 1 nnnnn ddddd" => uabd(q, s, m, n, d)
    "0q 0 01110 ss 1 mmmmm 01111 1 nnnnn ddddd" => saba(q, s, m, n, d)
    "0q 1 01110 ss 1 mmmmm 01111 1 nnnnn ddddd" => uaba(q, s, m, n, d)
    "0q 0 01110 ss 1 mmmmm 10000 1 nnnnn ddddd" => add(q, s, m, n, d)
    "0q 1 01110 ss 1 mmmmm 10000 1 nnnnn ddddd" => sub(q, s, m, n, d)
    "0q 0 01110 ss 1 mmmmm 10001 1 nnnnn ddddd" => cmtst(q, s, m, n, d)
    "0q 1 01110 ss 1 mmmmm 10001 1 nnnnn ddddd" => cmeq(q, s, m, n, d)
    "0q 0 01110 ss 1 mmmmm 10010 1 nnnnn ddddd" => mla(q, s, m, n, d)
    "0q 1 01110 ss 1 mmmmm 10010 1 nnnnn ddddd" => mls(q, s, m, n, d)
    "0q 0 01110 ss 1 mmmmm 10011 1 nnnnn ddddd" => mul(q, s, m, n, d)
    "0q 1 01110 ss 1 mmmmm 10011 1 nnnnn ddddd" => pmul(q, s, m, n, d)
    "0q 0 01110 ss 1 mmmmm 10100 1 nnnnn ddddd" => smaxp(q, s, m, n, d)
    "0q 1 01110 ss 1 mmmmm 10100 1 nnnnn ddddd" => umaxp(q, s, m, n, d)
    "0q 0 01110 ss 1 mmmmm 10101 1 nnnnn ddddd" => sminp(q, s, m, n, d)
    "0q 1 01110 ss 1 mmmmm 10101 1 nnnnn ddddd" => uminp(q, s, m, n, d)
    "0q 0 01110 ss 1 mmmmm 10110 1 nnnnn ddddd" => sqdmulh(q, s, m, n, d)
    "0q 1 01110 ss 1 mmmmm 10110 1 nnnnn ddddd" => sqrdmulh(q, s, m, n, d)
    "0q 0 01110 ss 1 mmmmm 10111 1 nnnnn ddddd" => addp(q, s, m, n, d)
}

insns! {
    /// The lowest lanes.
    SCALARS: Tx;
    "01 0 11110 ss 1 mmmmm 00001 1 nnnnn ddddd" => sqadd({SCALAR}, s, m, n, d)
    "01 1 11110 ss 1 mmmmm 00001 1 nnnnn ddddd" => uqadd({SCALAR}, s, m, n, d)
    "01 0 11110 ss 1 mmmmm 00101 1 nnnnn ddddd" => sqsub({SCALAR}, s, m, n, d)
    "01 1 11110 ss 1 mmmmm 00101 1 nnnnn ddddd" => uqsub({SCALAR}, s, m, n, d)
    "01 0 11110 11 1 mmmmm 00110 1 nnnnn ddddd" => cmgt({SCALAR}, 3, m, n, d)
    "01 1 11110 11 1 mmmmm 00110 1 nnnnn ddddd" => cmhi({SCALAR}, 3, m, n, d)
    "01 0 11110 11 1 mmmmm 00111 1 nnnnn ddddd" => cmge({SCALAR}, 3, m, n, d)
    "01 1 11110 11 1 mmmmm 00111 1 nnnnn ddddd" => cmhs({SCALAR}, 3, m, n, d)
    "01 0 11110 11 1 mmmmm 01000 1 nnnnn ddddd" => sshl({SCALAR}, 3, m, n, d)
    "01 1 11110 11 1 mmmmm 01000 1 nnnnn ddddd" => ushl({SCALAR}, 3, m, n, d)
    "01 0 11110 ss 1 mmmmm 01001 1 nnnnn ddddd" => sqshl_reg({SCALAR}, s, m, n, d)
    "01 1 11110 ss 1 mmmmm 01001 1 nnnnn ddddd" => uqshl_reg({SCALAR}, s, m, n, d)
    "01 0 11110 11 1 mmmmm 01010 1 nnnnn ddddd" => srshl({SCALAR}, 3, m, n, d)
    "01 1 11110 11 1 mmmmm 01010 1 nnnnn ddddd" => urshl({SCALAR}, 3, m, n, d)
    "01 0 11110 ss 1 mmmmm 01011 1 nnnnn ddddd" => sqrshl({SCALAR}, s, m, n, d)
    "01 1 11110 ss 1 mmmmm 01011 1 nnnnn ddddd" => uqrshl({SCALAR}, s, m, n, d)
    "01 0 11110 11 1 mmmmm 10000 1 nnnnn ddddd" => add({SCALAR}, 3, m, n, d)
    "01 1 11110 11 1 mmmmm 10000 1 nnnnn ddddd" => sub({SCALAR}, 3, m, n, d)
    "01 0 11110 11 1 mmmmm 10001 1 nnnnn ddddd" => cmtst({SCALAR}, 3, m, n, d)
    "01 1 11110 11 1 mmmmm 10001 1 nnnnn ddddd" => cmeq({SCALAR}, 3, m, n, d)
    "01 0 11110 ss 1 mmmmm 10110 1 nnnnn ddddd" => sqdmulh({SCALAR}, s, m, n, d)
    "01 1 11110 ss 1 mmmmm 10110 1 nnnnn ddddd" => sqrdmulh({SCALAR}, s, m, n, d)
}

three_same! {
    shadd 2 |t, e, x, y| int::halving_add(t.b, 0, e, x, y), "SHADD.";
    uhadd 2 |t, e, x, y| int::halving_add(t.b, 1, e, x, y), "UHADD.";
    srhadd 2 |t, e, x, y| int::halving_add_rounded(t.b, 0, e, x, y), "SRHADD.";
    urhadd 2 |t, e, x, y| int::halving_add_rounded(t.b, 1, e, x, y), "URHADD.";
    shsub 2 |t, e, x, y| int::halving_subtract(t.b, 0, e, x, y), "SHSUB.";
    uhsub 2 |t, e, x, y| int::halving_subtract(t.b, 1, e, x, y), "UHSUB.";
    sqadd 3 |t, e, x, y| saturate::add(t.b, QC, 0, e, x, y), "SQADD.";
    uqadd 3 |t, e, x, y| saturate::add(t.b, QC, 1, e, x, y), "UQADD.";
    sqsub 3 |t, e, x, y| saturate::subtract(t.b, QC, 0, e, x, y), "SQSUB.";
    uqsub 3 |t, e, x, y| saturate::subtract(t.b, QC, 1, e, x, y), "UQSUB.";
    cmgt 3 |t, e, x, y| int::greater(t.b, 0, e, x, y), "CMGT (register).";
    cmhi 3 |t, e, x, y| int::greater(t.b, 1, e, x, y), "CMHI (register).";
    cmge 3 |t, e, x, y| int::greater_or_equal(t.b, 0, e, x, y), "CMGE (register).";
    cmhs 3 |t, e, x, y| int::greater_or_equal(t.b, 1, e, x, y), "CMHS (register).";
    sshl 3 |t, e, x, y| shift::by_lanes(t.b, 0, e, x, y, false), "SSHL.";
    ushl 3 |t, e, x, y| shift::by_lanes(t.b, 1, e, x, y, false), "USHL.";
    srshl 3 |t, e, x, y| shift::by_lanes(t.b, 0, e, x, y, true), "SRSHL.";
    urshl 3 |t, e, x, y| shift::by_lanes(t.b, 1, e, x, y, true), "URSHL.";
    sqshl_reg 3 |t, e, x, y| shift::by_lanes_saturating(t.b, QC, 0, e, [x, y], false), "SQSHL (register).";
    uqshl_reg 3 |t, e, x, y| shift::by_lanes_saturating(t.b, QC, 1, e, [x, y], false), "UQSHL (register).";
    sqrshl 3 |t, e, x, y| shift::by_lanes_saturating(t.b, QC, 0, e, [x, y], true), "SQRSHL.";
    uqrshl 3 |t, e, x, y| shift::by_lanes_saturating(t.b, QC, 1, e, [x, y], true), "UQRSHL.";
    smax 2 |t, e, x, y| int::max(t.b, 0, e, x, y), "SMAX.";
    umax 2 |t, e, x, y| int::max(t.b, 1, e, x, y), "UMAX.";
    smin 2 |t, e, x, y| int::min(t.b, 0, e, x, y), "SMIN.";
    umin 2 |t, e, x, y| int::min(t.b, 1, e, x, y), "UMIN.";
    sabd 2 |t, e, x, y| int::difference(t.b, 0, e, x, y), "SABD.";
    uabd 2 |t, e, x, y| int::difference(t.b, 1, e, x, y), "UABD.";
    add 3 |t, e, x, y| t.b.vadd(e, x, y), "ADD (vector).";
    sub 3 |t, e, x, y| t.b.vsub(e, x, y), "SUB (vector).";
    cmtst 3 |t, e, x, y| int::test(t.b, e, x, y), "CMTST.";
    cmeq 3 |t, e, x, y| t.b.veq(e, x, y), "CMEQ (register).";
    mul 2 |t, e, x, y| t.b.vmul(e, x, y), "MUL (vector).";
    smaxp 2 |t, e, x, y| pairwise(t.b, e, [x, y], |b, x, y| int::max(b, 0, e, x, y)), "SMAXP.";
    umaxp 2 |t, e, x, y| pairwise(t.b, e, [x, y], |b, x, y| int::max(b, 1, e, x, y)), "UMAXP.";
    sminp 2 |t, e, x, y| pairwise(t.b, e, [x, y], |b, x, y| int::min(b, 0, e, x, y)), "SMINP.";
    uminp 2 |t, e, x, y| pairwise(t.b, e, [x, y], |b, x, y| int::min(b, 1, e, x, y)), "UMINP.";
    addp 3 |t, e, x, y| pairwise(t.b, e, [x, y], |b, x, y| b.vadd(e, x, y)), "ADDP (vector).";
}

three_accumulate! {
    saba 2 |t, e, c, x, y| int::difference_accumulated(t.b, 0, e, c, x, y), "SABA.";
    uaba 2 |t, e, c, x, y| int::difference_accumulated(t.b, 1, e, c, x, y), "UABA.";
    mla 2 |t, e, c, x, y| int::multiply_add(t.b, e, c, x, y), "MLA (vector).";
    mls 2 |t, e, c, x, y| int::multiply_subtract(t.b, e, c, x, y), "MLS (vector).";
}

/// `f` of the even and the odd lanes of two vectors, `x`'s first.
pub fn pairwise(b: &mut Builder, e: Lane, [x, y]: [Val; 2], f: impl FnOnce(&mut Builder, Val, Val) -> Val) -> Val {
    let (even, odd) = int::pairs(b, e, x, y);
    f(b, even, odd)
}

/// PMUL: bytes only.
fn pmul(t: &mut Tx, q: u32, s: u32, m: u32, n: u32, d: u32) -> Option<()> {
    same(t, [q, s, 0], [m, n, d], |t, _, x, y| {
        t.b.call(ty(q), calls::PMUL, &[x, y])
    })
}

/// SQDMULH (vector).
fn sqdmulh(t: &mut Tx, q: u32, s: u32, m: u32, n: u32, d: u32) -> Option<()> {
    require(t, s != 0)?;
    same(t, [q, s, 2], [m, n, d], |t, e, x, y| {
        saturate::doubled_high(t.b, QC, e, x, y, false)
    })
}
/// SQRDMULH (vector).
fn sqrdmulh(t: &mut Tx, q: u32, s: u32, m: u32, n: u32, d: u32) -> Option<()> {
    require(t, s != 0)?;
    same(t, [q, s, 2], [m, n, d], |t, e, x, y| {
        saturate::doubled_high(t.b, QC, e, x, y, true)
    })
}
