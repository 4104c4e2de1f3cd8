//! Shifts of the operands' width, by immediates and by registers, and VSHLL (Arm ARM DDI 0406C, A7.4).

use super::operands::{
    choose, convert, every, lane, same, saturated_if, shift_right, shift_right_rounded, two, widen, zero,
};
use crate::tx::Tx;
use emu_ir::{Builder, Lane, Val, insns};

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
    same(t, q, [d, d, m], |t, c, x| {
        let shifted = t.b.vshr_u(e, x, n);
        let taken = (u128::from(u64::MAX) & e.scalar().mask()) >> n;
        let taken = every(t.b, t.b.ty(x), e, taken as u64);
        let kept = t.b.and_not(c, taken);
        t.b.or(kept, shifted)
    })
}

/// VSHL (immediate).
fn vshl(t: &mut Tx, s: u32, l: u32, q: u32, d: u32, m: u32) -> Option<()> {
    two(t, q, [d, m], |t, x| t.b.vshl(Lane::int(s), x, l as u8))
}

/// VSLI: the bits below what was shifted in stay.
fn vsli(t: &mut Tx, s: u32, l: u32, q: u32, d: u32, m: u32) -> Option<()> {
    let e = Lane::int(s);
    same(t, q, [d, d, m], |t, c, x| {
        let shifted = t.b.vshl(e, x, l as u8);
        let taken = every(t.b, t.b.ty(x), e, u64::MAX << l);
        let kept = t.b.and_not(c, taken);
        t.b.or(kept, shifted)
    })
}

/// The largest number of `x`'s sign.
fn limit(b: &mut Builder, e: Lane, x: Val) -> Val {
    let (sign, ty) = (b.vshr_s(e, x, e.bits() as u8 - 1), b.ty(x));
    let most = every(b, ty, e, u64::MAX >> (65 - e.bits()));
    b.xor(sign, most)
}

/// What a left shift gives where `fits` is all ones, its limit elsewhere.
fn limited(t: &mut Tx, u: u32, e: Lane, fits: Val, x: Val, shifted: Val) -> Val {
    if u == 1 {
        let beyond = t.b.not(fits);
        return t.b.or(shifted, beyond);
    }
    let limit = limit(t.b, e, x);
    choose(t.b, fits, shifted, limit)
}

/// VQSHL (immediate): a shift fits if shifting back gives the operand.
fn vqshl(t: &mut Tx, u: u32, s: u32, l: u32, q: u32, d: u32, m: u32) -> Option<()> {
    let e = Lane::int(s);
    two(t, q, [d, m], |t, x| {
        let shifted = t.b.vshl(e, x, l as u8);
        let back = shift_right(t.b, u, e, shifted, l as u8);
        let fits = t.b.veq(e, back, x);
        let beyond = t.b.not(fits);
        saturated_if(t, beyond);
        limited(t, u, e, fits, x, shifted)
    })
}

/// VQSHLU: negative operands become zero.
fn vqshlu(t: &mut Tx, s: u32, l: u32, q: u32, d: u32, m: u32) -> Option<()> {
    let e = Lane::int(s);
    two(t, q, [d, m], |t, x| {
        let shifted = t.b.vshl(e, x, l as u8);
        let back = t.b.vshr_u(e, shifted, l as u8);
        let fits = t.b.veq(e, back, x);
        let negative = t.b.vshr_s(e, x, e.bits() as u8 - 1);
        let beyond = t.b.not(fits);
        let (saturated, value) = (t.b.or(beyond, negative), t.b.or(shifted, beyond));
        saturated_if(t, saturated);
        t.b.and_not(value, negative)
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

/// A shift by signed counts, the lowest byte of each lane: to the left, and where negative to the right.
struct Shift {
    left: Val,
    right: Val,
    /// All ones where the shift is to the right.
    is_right: Val,
    /// The counts, sign-extended.
    count: Val,
}

impl Shift {
    fn new(b: &mut Builder, u: u32, e: Lane, counts: Val, x: Val, round: bool) -> Shift {
        let (ty, above) = (b.ty(x), e.bits() as u8 - 8);
        let count = if above == 0 { counts } else { b.vshl(e, counts, above) };
        let count = if above == 0 { count } else { b.vshr_s(e, count, above) };
        let none = zero(b, ty);
        let (is_right, back) = (b.vgt_s(e, none, count), b.vsub(e, none, count));
        let mut right = shift_right_by(b, u, e, x, back);
        if round {
            let one = every(b, ty, e, 1);
            let less = b.vsub(e, back, one);
            let below = shift_right_by(b, u, e, x, less);
            let carry = b.and(below, one);
            right = b.vadd(e, right, carry);
        }
        let left = b.vshl_v(e, x, count);
        Shift {
            left,
            right,
            is_right,
            count,
        }
    }
    fn value(&self, b: &mut Builder) -> Val {
        choose(b, self.is_right, self.right, self.left)
    }
}

fn shift_right_by(b: &mut Builder, u: u32, e: Lane, x: Val, counts: Val) -> Val {
    if u == 1 {
        b.vshr_uv(e, x, counts)
    } else {
        b.vshr_sv(e, x, counts)
    }
}

/// VSHL (register).
fn vshl_reg(t: &mut Tx, u: u32, s: u32, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    let e = Lane::int(s);
    same(t, q, [d, n, m], |t, counts, x| {
        Shift::new(t.b, u, e, counts, x, false).value(t.b)
    })
}

/// VRSHL.
fn vrshl_reg(t: &mut Tx, u: u32, s: u32, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    let e = Lane::int(s);
    same(t, q, [d, n, m], |t, counts, x| {
        Shift::new(t.b, u, e, counts, x, true).value(t.b)
    })
}

/// VQSHL (register).
fn vqshl_reg(t: &mut Tx, u: u32, s: u32, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    let e = Lane::int(s);
    same(t, q, [d, n, m], |t, counts, x| {
        saturating_shift(t, u, e, counts, x, false)
    })
}

/// VQRSHL.
fn vqrshl_reg(t: &mut Tx, u: u32, s: u32, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    let e = Lane::int(s);
    same(t, q, [d, n, m], |t, counts, x| {
        saturating_shift(t, u, e, counts, x, true)
    })
}

/// As in [`vqshl`], but shifts to the right always fit.
fn saturating_shift(t: &mut Tx, u: u32, e: Lane, counts: Val, x: Val, round: bool) -> Val {
    let mut shift = Shift::new(t.b, u, e, counts, x, round);
    let back = shift_right_by(t.b, u, e, shift.left, shift.count);
    let fits = t.b.veq(e, back, x);
    let fine = t.b.or(fits, shift.is_right);
    let beyond = t.b.not(fine);
    saturated_if(t, beyond);
    shift.left = limited(t, u, e, fits, x, shift.left);
    shift.value(t.b)
}
