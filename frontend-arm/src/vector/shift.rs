//! Shifts, by constants and by lanes.

use super::{choose, every, saturated_if, shift_right, zero};
use emu_ir::{Builder, Lane, Slot, Val};

/// Right shift of `x` by `n` into `c`, whose bits above what was shifted in stay.
pub fn insert_right(b: &mut Builder, e: Lane, c: Val, x: Val, n: u8) -> Val {
    let shifted = b.vshr_u(e, x, n);
    let taken = (u128::from(u64::MAX) & e.scalar().mask()) >> n;
    let taken = every(b, b.ty(x), e, taken as u64);
    let kept = b.and_not(c, taken);
    b.or(kept, shifted)
}

/// Left shift of `x` by `n` into `c`, whose bits below what was shifted in stay.
pub fn insert_left(b: &mut Builder, e: Lane, c: Val, x: Val, n: u8) -> Val {
    let shifted = b.vshl(e, x, n);
    let taken = every(b, b.ty(x), e, u64::MAX << n);
    let kept = b.and_not(c, taken);
    b.or(kept, shifted)
}

/// The largest number of `x`'s sign.
fn limit(b: &mut Builder, e: Lane, x: Val) -> Val {
    let (sign, ty) = (b.vshr_s(e, x, e.bits() as u8 - 1), b.ty(x));
    let most = every(b, ty, e, u64::MAX >> (65 - e.bits()));
    b.xor(sign, most)
}

/// What a left shift gives where `fits` is all ones, its limit elsewhere.
fn limited(b: &mut Builder, u: u32, e: Lane, fits: Val, x: Val, shifted: Val) -> Val {
    if u == 1 {
        let beyond = b.not(fits);
        return b.or(shifted, beyond);
    }
    let limit = limit(b, e, x);
    choose(b, fits, shifted, limit)
}

/// Left shift by `n`, saturating: it fits if shifting back gives the operand.
pub fn left_saturating(b: &mut Builder, qc: Slot, u: u32, e: Lane, x: Val, n: u8) -> Val {
    let shifted = b.vshl(e, x, n);
    let back = shift_right(b, u, e, shifted, n);
    let fits = b.veq(e, back, x);
    let beyond = b.not(fits);
    saturated_if(b, qc, beyond);
    limited(b, u, e, fits, x, shifted)
}

/// Left shift of signed numbers by `n`, saturating to unsigned ones: negative operands become zero.
pub fn left_saturating_to_unsigned(b: &mut Builder, qc: Slot, e: Lane, x: Val, n: u8) -> Val {
    let shifted = b.vshl(e, x, n);
    let back = b.vshr_u(e, shifted, n);
    let fits = b.veq(e, back, x);
    let negative = b.vshr_s(e, x, e.bits() as u8 - 1);
    let beyond = b.not(fits);
    let (saturated, value) = (b.or(beyond, negative), b.or(shifted, beyond));
    saturated_if(b, qc, saturated);
    b.and_not(value, negative)
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
    fn new(b: &mut Builder, u: u32, e: Lane, x: Val, counts: Val, round: bool) -> Shift {
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

/// `x` shifted by signed counts, right shifts rounded if `round`.
pub fn by_lanes(b: &mut Builder, u: u32, e: Lane, x: Val, counts: Val, round: bool) -> Val {
    Shift::new(b, u, e, x, counts, round).value(b)
}

/// As [`by_lanes`], saturating: as [`left_saturating`], but shifts to the right always fit.
pub fn by_lanes_saturating(b: &mut Builder, qc: Slot, u: u32, e: Lane, [x, counts]: [Val; 2], round: bool) -> Val {
    let mut shift = Shift::new(b, u, e, x, counts, round);
    let back = shift_right_by(b, u, e, shift.left, shift.count);
    let fits = b.veq(e, back, x);
    let fine = b.or(fits, shift.is_right);
    let beyond = b.not(fine);
    saturated_if(b, qc, beyond);
    shift.left = limited(b, u, e, fits, x, shift.left);
    shift.value(b)
}
