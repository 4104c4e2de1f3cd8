//! Saturating arithmetic.

use super::narrow::{To, narrow};
use super::{by_halves, choose, every, products, saturated_unless_equal, widen, zero};
use emu_ir::{Builder, Lane, Op, Slot, Ty, Val};

/// `x + y`.
pub fn add(b: &mut Builder, qc: Slot, u: u32, e: Lane, x: Val, y: Val) -> Val {
    let sum = if u == 1 { b.vqadd_u(e, x, y) } else { b.vqadd_s(e, x, y) };
    let exact = b.vadd(e, x, y);
    saturated_unless_equal(b, qc, exact, sum);
    sum
}

/// `x - y`.
pub fn subtract(b: &mut Builder, qc: Slot, u: u32, e: Lane, x: Val, y: Val) -> Val {
    let difference = if u == 1 { b.vqsub_u(e, x, y) } else { b.vqsub_s(e, x, y) };
    let exact = b.vsub(e, x, y);
    saturated_unless_equal(b, qc, exact, difference);
    difference
}

/// The negation.
pub fn negated(b: &mut Builder, qc: Slot, e: Lane, x: Val) -> Val {
    let none = zero(b, b.ty(x));
    subtract(b, qc, 0, e, none, x)
}

/// The absolute value.
pub fn absolute(b: &mut Builder, qc: Slot, e: Lane, x: Val) -> Val {
    let negated = negated(b, qc, e, x);
    if e.bits() < 64 {
        return b.vmax_s(e, x, negated);
    }
    let negative = b.vshr_s(e, x, 63);
    choose(b, negative, negated, x)
}

/// The doubled products of V64 lanes `e`: only the square of the smallest saturates.
pub fn doubled_products(b: &mut Builder, qc: Slot, e: Lane, x: Val, y: Val) -> Val {
    let p = products(b, 0, e, x, y);
    add(b, qc, 0, e.wider(), p, p)
}

/// `c` plus the doubled products.
pub fn add_doubled(b: &mut Builder, qc: Slot, e: Lane, c: Val, x: Val, y: Val) -> Val {
    let p = doubled_products(b, qc, e, x, y);
    add(b, qc, 0, e.wider(), c, p)
}

/// `c` less the doubled products.
pub fn subtract_doubled(b: &mut Builder, qc: Slot, e: Lane, c: Val, x: Val, y: Val) -> Val {
    let p = doubled_products(b, qc, e, x, y);
    subtract(b, qc, 0, e.wider(), c, p)
}

/// The high halves of the doubled products, rounded if `round`.
pub fn doubled_high(b: &mut Builder, qc: Slot, e: Lane, x: Val, y: Val, round: bool) -> Val {
    by_halves(b, [x, y], |b, [x, y]| {
        let mut p = doubled_products(b, qc, e, x, y);
        if round {
            // A product that saturated stays so; no other comes near.
            let half = every(b, Ty::V128, e.wider(), 1 << (e.bits() - 1));
            p = b.vqadd_s(e.wider(), p, half);
        }
        let high = b.vshr_u(e.wider(), p, e.bits() as u8);
        b.push(Ty::V64, Op::VNarrow { a: high, e })
    })
}

/// `c` plus, or `less`, minus the high halves of the doubled products, rounded. Halved, with the lane's width less one of
/// bits below, none of the sums is out of range.
pub fn doubled_high_accumulated(b: &mut Builder, qc: Slot, e: Lane, c: Val, [x, y]: [Val; 2], less: bool) -> Val {
    let halves = |b: &mut Builder, v| match b.ty(v) {
        Ty::V64 => vec![v],
        _ => vec![b.vhalf(v, false), b.vhalf(v, true)],
    };
    let [cs, xs, ys] = [c, x, y].map(|v| halves(b, v));
    let (w, below) = (e.wider(), e.bits() as u8 - 1);
    let mut part = |c, x, y| {
        let (c, p) = (widen(b, 0, e, c), products(b, 0, e, x, y));
        let (c, half) = (b.vshl(w, c, below), every(b, Ty::V128, w, 1 << (below - 1)));
        let sum = if less { b.vsub(w, c, p) } else { b.vadd(w, c, p) };
        let sum = b.vadd(w, sum, half);
        let high = b.vshr_s(w, sum, below);
        narrow(b, qc, To::Signed, e, high)
    };
    let parts: Vec<_> = cs
        .into_iter()
        .zip(xs)
        .zip(ys)
        .map(|((c, x), y)| part(c, x, y))
        .collect();
    match parts[..] {
        [low, high] => b.vconcat(low, high),
        _ => parts.first().copied().unwrap_or(c),
    }
}
