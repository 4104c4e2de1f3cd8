//! Saturating arithmetic.

use super::{by_halves, choose, every, products, saturated_unless_equal, zero};
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
