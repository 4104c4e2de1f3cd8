//! Shifts of the operands' width, by immediates and by registers, and VSHLL (Arm ARM DDI 0406C, A7.4).

use super::operands::{convert, lane, same, two};
use crate::state::QC;
use crate::tx::Tx;
use crate::vector::{shift, shift_right, shift_right_rounded, widen};
use emu_ir::{Lane, insns};

insns! {
    /// `l` is imm6 without its leading one, which tells the lane.
    SHIFT: Tx;
    "1111 001u 1d00 1lll dddd 0000 0qm1 mmmm" => vshr(u, {0}, l, q, d, m)
    "1111 001u 1d01 llll dddd 0000 0qm1 mmmm" => vshr(u, {1}, l, q, d, m)
    "1111 001u 1d1l llll dddd 0000 0qm1 mmmm" => vshr(u, {2}, l, q, d, m)
    "1111 001u 1dll llll dddd 0000 1qm1 mmmm" => vshr(u, {3}, l, q, d, m)
    "1111 001u 1d00 1lll dddd 0001 0qm1 mmmm" => vsra(u, {0}, l, q, d, m)
    "1111 001u 1d01 llll dddd 0001 0qm1 mmmm" => vsra(u, {1}, l, q, d, m)
    "1111 001u 1d1l llll dddd 0001 0qm1 mmmm" => vsra(u, {2}, l, q, d, m)
    "1111 001u 1dll llll dddd 0001 1qm1 mmmm" => vsra(u, {3}, l, q, d, m)
    "1111 001u 1d00 1lll dddd 0010 0qm1 mmmm" => vrshr(u, {0}, l, q, d, m)
    "1111 001u 1d01 llll dddd 0010 0qm1 mmmm" => vrshr(u, {1}, l, q, d, m)
    "1111 001u 1d1l llll dddd 0010 0qm1 mmmm" => vrshr(u, {2}, l, q, d, m)
    "1111 001u 1dll llll dddd 0010 1qm1 mmmm" => vrshr(u, {3}, l, q, d, m)
    "1111 001u 1d00 1lll dddd 0011 0qm1 mmmm" => vrsra(u, {0}, l, q, d, m)
    "1111 001u 1d01 llll dddd 0011 0qm1 mmmm" => vrsra(u, {1}, l, q, d, m)
    "1111 001u 1d1l llll dddd 0011 0qm1 mmmm" => vrsra(u, {2}, l, q, d, m)
    "1111 001u 1dll llll dddd 0011 1qm1 mmmm" => vrsra(u, {3}, l, q, d, m)
    "1111 0011 1d00 1lll dddd 0100 0qm1 mmmm" => vsri({0}, l, q, d, m)
    "1111 0011 1d01 llll dddd 0100 0qm1 mmmm" => vsri({1}, l, q, d, m)
    "1111 0011 1d1l llll dddd 0100 0qm1 mmmm" => vsri({2}, l, q, d, m)
    "1111 0011 1dll llll dddd 0100 1qm1 mmmm" => vsri({3}, l, q, d, m)
    "1111 0010 1d00 1lll dddd 0101 0qm1 mmmm" => vshl({0}, l, q, d, m)
    "1111 0010 1d01 llll dddd 0101 0qm1 mmmm" => vshl({1}, l, q, d, m)
    "1111 0010 1d1l llll dddd 0101 0qm1 mmmm" => vshl({2}, l, q, d, m)
    "1111 0010 1dll llll dddd 0101 1qm1 mmmm" => vshl({3}, l, q, d, m)
    "1111 0011 1d00 1lll dddd 0101 0qm1 mmmm" => vsli({0}, l, q, d, m)
    "1111 0011 1d01 llll dddd 0101 0qm1 mmmm" => vsli({1}, l, q, d, m)
    "1111 0011 1d1l llll dddd 0101 0qm1 mmmm" => vsli({2}, l, q, d, m)
    "1111 0011 1dll llll dddd 0101 1qm1 mmmm" => vsli({3}, l, q, d, m)
    "1111 0011 1d00 1lll dddd 0110 0qm1 mmmm" => vqshlu({0}, l, q, d, m)
    "1111 0011 1d01 llll dddd 0110 0qm1 mmmm" => vqshlu({1}, l, q, d, m)
    "1111 0011 1d1l llll dddd 0110 0qm1 mmmm" => vqshlu({2}, l, q, d, m)
    "1111 0011 1dll llll dddd 0110 1qm1 mmmm" => vqshlu({3}, l, q, d, m)
    "1111 001u 1d00 1lll dddd 0111 0qm1 mmmm" => vqshl(u, {0}, l, q, d, m)
    "1111 001u 1d01 llll dddd 0111 0qm1 mmmm" => vqshl(u, {1}, l, q, d, m)
    "1111 001u 1d1l llll dddd 0111 0qm1 mmmm" => vqshl(u, {2}, l, q, d, m)
    "1111 001u 1dll llll dddd 0111 1qm1 mmmm" => vqshl(u, {3}, l, q, d, m)
    "1111 001u 1d00 1lll dddd 1010 00m1 mmmm" => vshll(u, {0}, l, d, m)
    "1111 001u 1d01 llll dddd 1010 00m1 mmmm" => vshll(u, {1}, l, d, m)
    "1111 001u 1d1l llll dddd 1010 00m1 mmmm" => vshll(u, {2}, l, d, m)
    "1111 0011 1d11 ss10 dddd 0011 00m0 mmmm" => vshll_width(s, d, m)
    "1111 001u 0dss nnnn dddd 0100 Nqm0 mmmm" => vshl_reg(u, s, q, d, n, m)
    "1111 001u 0dss nnnn dddd 0100 Nqm1 mmmm" => vqshl_reg(u, s, q, d, n, m)
    "1111 001u 0dss nnnn dddd 0101 Nqm0 mmmm" => vrshl_reg(u, s, q, d, n, m)
    "1111 001u 0dss nnnn dddd 0101 Nqm1 mmmm" => vqrshl_reg(u, s, q, d, n, m)
}

/// The count of a right shift: the width less `l`.
fn right(s: u32, l: u32) -> (Lane, u8) {
    let e = Lane::int(s);
    (e, (e.bits() - l) as u8)
}

/// VSHR.
fn vshr(t: &mut Tx, u: u32, s: u32, l: u32, q: u32, d: u32, m: u32) -> Option<()> {
    let (e, n) = right(s, l);
    two(t, q, [d, m], |t, x| shift_right(t.b, u, e, x, n))
}

/// VRSHR.
fn vrshr(t: &mut Tx, u: u32, s: u32, l: u32, q: u32, d: u32, m: u32) -> Option<()> {
    let (e, n) = right(s, l);
    two(t, q, [d, m], |t, x| shift_right_rounded(t.b, u, e, x, n))
}

/// VSRA.
fn vsra(t: &mut Tx, u: u32, s: u32, l: u32, q: u32, d: u32, m: u32) -> Option<()> {
    let (e, n) = right(s, l);
    same(t, q, [d, d, m], |t, c, x| {
        let shifted = shift_right(t.b, u, e, x, n);
        t.b.vadd(e, c, shifted)
    })
}

/// VRSRA.
fn vrsra(t: &mut Tx, u: u32, s: u32, l: u32, q: u32, d: u32, m: u32) -> Option<()> {
    let (e, n) = right(s, l);
    same(t, q, [d, d, m], |t, c, x| {
        let shifted = shift_right_rounded(t.b, u, e, x, n);
        t.b.vadd(e, c, shifted)
    })
}

/// VSRI: the bits above what was shifted in stay.
fn vsri(t: &mut Tx, s: u32, l: u32, q: u32, d: u32, m: u32) -> Option<()> {
    let (e, n) = right(s, l);
    same(t, q, [d, d, m], |t, c, x| shift::insert_right(t.b, e, c, x, n))
}

/// VSHL (immediate).
fn vshl(t: &mut Tx, s: u32, l: u32, q: u32, d: u32, m: u32) -> Option<()> {
    two(t, q, [d, m], |t, x| t.b.vshl(Lane::int(s), x, l as u8))
}

/// VSLI: the bits below what was shifted in stay.
fn vsli(t: &mut Tx, s: u32, l: u32, q: u32, d: u32, m: u32) -> Option<()> {
    let e = Lane::int(s);
    same(t, q, [d, d, m], |t, c, x| shift::insert_left(t.b, e, c, x, l as u8))
}

/// VQSHL (immediate).
fn vqshl(t: &mut Tx, u: u32, s: u32, l: u32, q: u32, d: u32, m: u32) -> Option<()> {
    let e = Lane::int(s);
    two(t, q, [d, m], |t, x| shift::left_saturating(t.b, QC, u, e, x, l as u8))
}

/// VQSHLU: negative operands become zero.
fn vqshlu(t: &mut Tx, s: u32, l: u32, q: u32, d: u32, m: u32) -> Option<()> {
    let e = Lane::int(s);
    two(t, q, [d, m], |t, x| {
        shift::left_saturating_to_unsigned(t.b, QC, e, x, l as u8)
    })
}

/// VSHLL.
fn vshll(t: &mut Tx, u: u32, s: u32, l: u32, d: u32, m: u32) -> Option<()> {
    let e = Lane::int(s);
    convert(t, [1, 0], [d, m], |t, x| {
        let wide = widen(t.b, u, e, x);
        if l == 0 {
            wide
        } else {
            t.b.vshl(e.wider(), wide, l as u8)
        }
    })
}

/// VSHLL by the operands' width.
fn vshll_width(t: &mut Tx, s: u32, d: u32, m: u32) -> Option<()> {
    let e = lane(t, s, 2)?;
    convert(t, [1, 0], [d, m], |t, x| {
        let wide = widen(t.b, 1, e, x);
        t.b.vshl(e.wider(), wide, e.bits() as u8)
    })
}

/// VSHL (register).
fn vshl_reg(t: &mut Tx, u: u32, s: u32, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    let e = Lane::int(s);
    same(t, q, [d, n, m], |t, counts, x| {
        shift::by_lanes(t.b, u, e, x, counts, false)
    })
}

/// VRSHL.
fn vrshl_reg(t: &mut Tx, u: u32, s: u32, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    let e = Lane::int(s);
    same(t, q, [d, n, m], |t, counts, x| {
        shift::by_lanes(t.b, u, e, x, counts, true)
    })
}

/// VQSHL (register).
fn vqshl_reg(t: &mut Tx, u: u32, s: u32, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    let e = Lane::int(s);
    same(t, q, [d, n, m], |t, counts, x| {
        shift::by_lanes_saturating(t.b, QC, u, e, [x, counts], false)
    })
}

/// VQRSHL.
fn vqrshl_reg(t: &mut Tx, u: u32, s: u32, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    let e = Lane::int(s);
    same(t, q, [d, n, m], |t, counts, x| {
        shift::by_lanes_saturating(t.b, QC, u, e, [x, counts], true)
    })
}
