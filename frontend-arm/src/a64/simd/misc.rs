//! Two registers: integers (Arm ARM DDI 0487, C4.1, "Advanced SIMD two-register miscellaneous", "Advanced SIMD scalar two-
//! register miscellaneous").

use super::super::calls;
use super::super::fp;
use super::super::state::{self, QC};
use super::super::tx::Tx;
use super::operands::{SCALAR, accumulate, get, half, lane, require, set, set_half, two, two_registers, ty};
use crate::vector::narrow::{To, narrow};
use crate::vector::{int, saturate, saturated_unless_equal, widen, zero};
use emu_ir::{Builder, Lane, Ty, Val, insns};

insns! {
    /// Lane by lane; `q` is 1 for the high half where the widths differ.
    INTEGER: Tx;
    "0q 0 01110 ss 10000 00000 10 nnnnn ddddd" => rev64(q, s, n, d)
    "0q 1 01110 ss 10000 00000 10 nnnnn ddddd" => rev32(q, s, n, d)
    "0q 0 01110 00 10000 00001 10 nnnnn ddddd" => rev16(q, {0}, n, d)
    "0q 0 01110 ss 10000 00010 10 nnnnn ddddd" => saddlp(q, s, n, d)
    "0q 1 01110 ss 10000 00010 10 nnnnn ddddd" => uaddlp(q, s, n, d)
    "0q 0 01110 ss 10000 00011 10 nnnnn ddddd" => suqadd(q, s, n, d)
    "0q 1 01110 ss 10000 00011 10 nnnnn ddddd" => usqadd(q, s, n, d)
    "0q 0 01110 ss 10000 00100 10 nnnnn ddddd" => cls(q, s, n, d)
    "0q 1 01110 ss 10000 00100 10 nnnnn ddddd" => clz(q, s, n, d)
    "0q 0 01110 00 10000 00101 10 nnnnn ddddd" => cnt(q, {0}, n, d)
    "0q 1 01110 00 10000 00101 10 nnnnn ddddd" => not(q, {0}, n, d)
    "0q 1 01110 01 10000 00101 10 nnnnn ddddd" => rbit(q, {0}, n, d)
    "0q 0 01110 ss 10000 00110 10 nnnnn ddddd" => sadalp(q, s, n, d)
    "0q 1 01110 ss 10000 00110 10 nnnnn ddddd" => uadalp(q, s, n, d)
    "0q 0 01110 ss 10000 00111 10 nnnnn ddddd" => sqabs(q, s, n, d)
    "0q 1 01110 ss 10000 00111 10 nnnnn ddddd" => sqneg(q, s, n, d)
    "0q 0 01110 ss 10000 01000 10 nnnnn ddddd" => cmgt_zero(q, s, n, d)
    "0q 1 01110 ss 10000 01000 10 nnnnn ddddd" => cmge_zero(q, s, n, d)
    "0q 0 01110 ss 10000 01001 10 nnnnn ddddd" => cmeq_zero(q, s, n, d)
    "0q 1 01110 ss 10000 01001 10 nnnnn ddddd" => cmle_zero(q, s, n, d)
    "0q 0 01110 ss 10000 01010 10 nnnnn ddddd" => cmlt_zero(q, s, n, d)
    "0q 0 01110 ss 10000 01011 10 nnnnn ddddd" => abs(q, s, n, d)
    "0q 1 01110 ss 10000 01011 10 nnnnn ddddd" => neg(q, s, n, d)
    "0q 0 01110 ss 10000 10010 10 nnnnn ddddd" => xtn(q, s, n, d)
    "0q 1 01110 ss 10000 10010 10 nnnnn ddddd" => sqxtun(q, s, n, d)
    "0q 1 01110 ss 10000 10011 10 nnnnn ddddd" => shll(q, s, n, d)
    "0q 0 01110 ss 10000 10100 10 nnnnn ddddd" => sqxtn(q, s, n, d)
    "0q 1 01110 ss 10000 10100 10 nnnnn ddddd" => uqxtn(q, s, n, d)
    "0q 0 01110 1s 10000 11100 10 nnnnn ddddd" => urecpe(q, s, n, d)
    "0q 1 01110 1s 10000 11100 10 nnnnn ddddd" => ursqrte(q, s, n, d)
}

insns! {
    /// The lowest lanes.
    SCALARS: Tx;
    "01 0 11110 ss 10000 00011 10 nnnnn ddddd" => suqadd({SCALAR}, s, n, d)
    "01 1 11110 ss 10000 00011 10 nnnnn ddddd" => usqadd({SCALAR}, s, n, d)
    "01 0 11110 ss 10000 00111 10 nnnnn ddddd" => sqabs({SCALAR}, s, n, d)
    "01 1 11110 ss 10000 00111 10 nnnnn ddddd" => sqneg({SCALAR}, s, n, d)
    "01 0 11110 11 10000 01000 10 nnnnn ddddd" => cmgt_zero({SCALAR}, 3, n, d)
    "01 1 11110 11 10000 01000 10 nnnnn ddddd" => cmge_zero({SCALAR}, 3, n, d)
    "01 0 11110 11 10000 01001 10 nnnnn ddddd" => cmeq_zero({SCALAR}, 3, n, d)
    "01 1 11110 11 10000 01001 10 nnnnn ddddd" => cmle_zero({SCALAR}, 3, n, d)
    "01 0 11110 11 10000 01010 10 nnnnn ddddd" => cmlt_zero({SCALAR}, 3, n, d)
    "01 0 11110 11 10000 01011 10 nnnnn ddddd" => abs({SCALAR}, 3, n, d)
    "01 1 11110 11 10000 01011 10 nnnnn ddddd" => neg({SCALAR}, 3, n, d)
    "01 1 11110 ss 10000 10010 10 nnnnn ddddd" => sqxtun({SCALAR}, s, n, d)
    "01 0 11110 ss 10000 10100 10 nnnnn ddddd" => sqxtn({SCALAR}, s, n, d)
    "01 1 11110 ss 10000 10100 10 nnnnn ddddd" => uqxtn({SCALAR}, s, n, d)
}

two_registers! {
    rev64 2 |t, e, x| reversed(t.b, e, 3, x), "REV64.";
    rev32 1 |t, e, x| reversed(t.b, e, 2, x), "REV32 (vector).";
    rev16 0 |t, e, x| reversed(t.b, e, 1, x), "REV16 (vector).";
    saddlp 2 |t, e, x| int::long_pairs(t.b, 0, e, x), "SADDLP.";
    uaddlp 2 |t, e, x| int::long_pairs(t.b, 1, e, x), "UADDLP.";
    cls 2 |t, e, x| int::leading_signs(t.b, e, x), "CLS (vector).";
    clz 2 |t, e, x| int::leading_zeros(t.b, e, x), "CLZ (vector).";
    cnt 0 |t, _, x| t.b.vpopcnt(x), "CNT: bytes only.";
    not 0 |t, _, x| t.b.not(x), "NOT.";
    rbit 0 |t, _, x| bits_reversed(t.b, x), "RBIT (vector): of each byte.";
    sqabs 3 |t, e, x| saturate::absolute(t.b, QC, e, x), "SQABS.";
    sqneg 3 |t, e, x| saturate::negated(t.b, QC, e, x), "SQNEG.";
    cmgt_zero 3 |t, e, x| with_zero(t, x, |b, x, none| b.vgt_s(e, x, none)), "CMGT (zero).";
    cmge_zero 3 |t, e, x| with_zero(t, x, |b, x, none| int::greater_or_equal(b, 0, e, x, none)), "CMGE (zero).";
    cmeq_zero 3 |t, e, x| with_zero(t, x, |b, x, none| b.veq(e, x, none)), "CMEQ (zero).";
    cmle_zero 3 |t, e, x| with_zero(t, x, |b, x, none| int::greater_or_equal(b, 0, e, none, x)), "CMLE (zero).";
    cmlt_zero 3 |t, e, x| with_zero(t, x, |b, x, none| b.vgt_s(e, none, x)), "CMLT (zero).";
    abs 3 |t, e, x| int::absolute(t.b, e, x), "ABS.";
    neg 3 |t, e, x| int::negated(t.b, e, x), "NEG (vector).";
}

/// Lanes reversed within groups of `1 << group` bytes.
fn reversed(b: &mut Builder, e: Lane, group: u32, x: Val) -> Val {
    int::reversed(b, e.bits().trailing_zeros() - 3, group, x)
}

fn with_zero(t: &mut Tx, x: Val, f: impl FnOnce(&mut Builder, Val, Val) -> Val) -> Val {
    let none = zero(t.b, t.b.ty(x));
    f(t.b, x, none)
}

/// The bits of each byte reversed: of its halves, by a table each.
fn bits_reversed(b: &mut Builder, x: Val) -> Val {
    const LOW: [u8; 16] = [
        0x00, 0x80, 0x40, 0xc0, 0x20, 0xa0, 0x60, 0xe0, 0x10, 0x90, 0x50, 0xd0, 0x30, 0xb0, 0x70, 0xf0,
    ];
    let ty = b.ty(x);
    let (low, high) = (u128::from_le_bytes(LOW), u128::from_le_bytes(LOW) >> 4);
    let (low, high) = (b.vec(Ty::V128, low), b.vec(Ty::V128, high));
    let mask = crate::vector::every(b, ty, Lane::I8, 15);
    let (below, above) = (b.and(x, mask), b.vshr_u(Lane::I8, x, 4));
    let below = b.push(ty, emu_ir::Op::VLookup { a: low, idx: below });
    let above = b.push(ty, emu_ir::Op::VLookup { a: high, idx: above });
    b.or(below, above)
}

fn add_long_pairs(t: &mut Tx, u: u32, [q, s]: [u32; 2], [n, d]: [u32; 2]) -> Option<()> {
    accumulate(t, [q, s, 2], [n, n, d], |t, e, c, x, _| {
        let sum = int::long_pairs(t.b, u, e, x);
        t.b.vadd(e.wider(), c, sum)
    })
}
/// SADALP.
fn sadalp(t: &mut Tx, q: u32, s: u32, n: u32, d: u32) -> Option<()> {
    add_long_pairs(t, 0, [q, s], [n, d])
}
/// UADALP.
fn uadalp(t: &mut Tx, q: u32, s: u32, n: u32, d: u32) -> Option<()> {
    add_long_pairs(t, 1, [q, s], [n, d])
}

/// SUQADD: unsigned numbers added to signed ones. Brought from below the middle of their range to above it, a signed number
/// is an unsigned one, so that the sum's upper limit is the same.
fn suqadd(t: &mut Tx, q: u32, s: u32, n: u32, d: u32) -> Option<()> {
    accumulate(t, [q, s, 3], [n, n, d], |t, e, c, x, _| {
        let bias = super::operands::all(t, q, e, 1 << (e.bits() - 1));
        let above = t.b.xor(c, bias);
        let (sum, exact) = (t.b.vqadd_u(e, above, x), t.b.vadd(e, above, x));
        saturated_unless_equal(t.b, QC, exact, sum);
        t.b.xor(sum, bias)
    })
}
/// USQADD: signed numbers added to unsigned ones: magnitudes added or, of negative numbers, subtracted.
fn usqadd(t: &mut Tx, q: u32, s: u32, n: u32, d: u32) -> Option<()> {
    accumulate(t, [q, s, 3], [n, n, d], |t, e, c, x, _| {
        let negative = t.b.vshr_s(e, x, e.bits() as u8 - 1);
        let (positive, size) = (t.b.and_not(x, negative), int::negated(t.b, e, x));
        let size = t.b.and(size, negative);
        let sum = t.b.vqadd_u(e, c, positive);
        let sum = t.b.vqsub_u(e, sum, size);
        let exact = t.b.vadd(e, c, x);
        saturated_unless_equal(t.b, QC, exact, sum);
        sum
    })
}

/// A narrowing move, to the low or (`q` = 1) high half, or of the lowest lane.
fn narrowed(t: &mut Tx, to: To, [q, s]: [u32; 2], [n, d]: [u32; 2]) -> Option<()> {
    require(t, s < 3)?;
    let e = Lane::int(s);
    let a = if q == SCALAR {
        let (low, none) = (get(t, SCALAR, e.wider(), n), t.b.vec(Ty::V64, 0));
        t.b.vconcat(low, none)
    } else {
        t.b.get(state::v(n, Ty::V128))
    };
    let v = narrow(t.b, QC, to, e, a);
    if q == SCALAR {
        fp::set(t, d, v);
    } else {
        set_half(t, q, d, v);
    }
    Some(())
}
/// XTN.
fn xtn(t: &mut Tx, q: u32, s: u32, n: u32, d: u32) -> Option<()> {
    narrowed(t, To::Low, [q, s], [n, d])
}
/// SQXTUN.
fn sqxtun(t: &mut Tx, q: u32, s: u32, n: u32, d: u32) -> Option<()> {
    narrowed(t, To::SignedToUnsigned, [q, s], [n, d])
}
/// SQXTN.
fn sqxtn(t: &mut Tx, q: u32, s: u32, n: u32, d: u32) -> Option<()> {
    narrowed(t, To::Signed, [q, s], [n, d])
}
/// UQXTN.
fn uqxtn(t: &mut Tx, q: u32, s: u32, n: u32, d: u32) -> Option<()> {
    narrowed(t, To::Unsigned, [q, s], [n, d])
}

/// SHLL: widened, and shifted by the operands' width.
fn shll(t: &mut Tx, q: u32, s: u32, n: u32, d: u32) -> Option<()> {
    let e = lane(t, 1, s, 2)?;
    let x = half(t, q, n);
    let wide = widen(t.b, 1, e, x);
    let v = t.b.vshl(e.wider(), wide, e.bits() as u8);
    set(t, 1, e, d, v);
    Some(())
}

/// URECPE: words only.
fn urecpe(t: &mut Tx, q: u32, s: u32, n: u32, d: u32) -> Option<()> {
    require(t, s == 0)?;
    two(t, [q, 2, 2], [n, d], |t, _, x| t.b.call(ty(q), calls::URECPE, &[x]))
}
/// URSQRTE: words only.
fn ursqrte(t: &mut Tx, q: u32, s: u32, n: u32, d: u32) -> Option<()> {
    require(t, s == 0)?;
    two(t, [q, 2, 2], [n, d], |t, _, x| t.b.call(ty(q), calls::URSQRTE, &[x]))
}
