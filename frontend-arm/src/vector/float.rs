//! Floats, lane by lane.

use super::{choose, every, zero};
use emu_ir::{Builder, Fenv, Lane, Val};

/// A comparison or an operation on two vectors.
pub type Op2 = fn(&mut Builder, Lane, Val, Val, Fenv) -> Val;

/// The sign bit.
pub const fn sign(e: Lane) -> u64 {
    1 << (e.bits() - 1)
}

/// The sign flipped; NaNs too.
pub fn negated(b: &mut Builder, e: Lane, x: Val) -> Val {
    let sign = every(b, b.ty(x), e, sign(e));
    b.xor(x, sign)
}

/// The sign cleared; NaNs too.
pub fn magnitude(b: &mut Builder, e: Lane, x: Val) -> Val {
    let sign = every(b, b.ty(x), e, sign(e));
    b.and_not(x, sign)
}

/// `f` of the magnitudes.
pub fn of_magnitudes(b: &mut Builder, e: Lane, [x, y]: [Val; 2], env: Fenv, f: Op2) -> Val {
    let (x, y) = (magnitude(b, e, x), magnitude(b, e, y));
    f(b, e, x, y, env)
}

/// The magnitude of the difference.
pub fn difference(b: &mut Builder, e: Lane, x: Val, y: Val, env: Fenv) -> Val {
    let difference = b.vfsub(e, x, y, env);
    magnitude(b, e, difference)
}

/// Infinity.
pub const fn infinity(e: Lane) -> u64 {
    match e {
        Lane::F16 => 0x7c00,
        Lane::F32 => 0x7f80_0000,
        _ => 0x7ff0 << 48,
    }
}
/// The quiet NaN without a payload.
const fn quiet(e: Lane) -> u64 {
    match e {
        Lane::F16 => 0x7e00,
        Lane::F32 => 0x7fc0_0000,
        _ => 0x7ff8 << 48,
    }
}
/// A small number that all formats have.
pub fn number(e: Lane, v: f32) -> u64 {
    match e {
        // The exponent's bias is 15, not 127.
        Lane::F16 => ((v.to_bits() >> 13) - (112 << 10)).into(),
        Lane::F32 => v.to_bits().into(),
        _ => f64::from(v).to_bits(),
    }
}
/// The integer lane of the width.
pub const fn bits(e: Lane) -> Lane {
    Lane::int(e.bits().ilog2() - 3)
}

/// The operands of FPMaxNum and FPMinNum: a quiet NaN beside another operand that is none is an infinity, which loses.
pub fn numbers(b: &mut Builder, e: Lane, operands: [Val; 2], negative: bool) -> [Val; 2] {
    let ty = b.ty(operands[0]);
    let mask = every(b, ty, e, quiet(e));
    let [x_quiet, y_quiet] = operands.map(|v| {
        let high = b.and(v, mask);
        b.veq(bits(e), high, mask)
    });
    let loses = infinity(e) | if negative { sign(e) } else { 0 };
    let loses = every(b, ty, e, loses);
    let [x, y] = operands;
    let (x_loses, y_loses) = (b.and_not(x_quiet, y_quiet), b.and_not(y_quiet, x_quiet));
    [choose(b, x_loses, loses, x), choose(b, y_loses, loses, y)]
}

/// FPMaxNum.
pub fn max_number(b: &mut Builder, e: Lane, x: Val, y: Val, env: Fenv) -> Val {
    let [x, y] = numbers(b, e, [x, y], true);
    b.vfmax(e, x, y, env)
}

/// FPMinNum.
pub fn min_number(b: &mut Builder, e: Lane, x: Val, y: Val, env: Fenv) -> Val {
    let [x, y] = numbers(b, e, [x, y], false);
    b.vfmin(e, x, y, env)
}

/// Factors of which none is infinite where the other is zero: there both are zero, or flushed to it. Given back with where
/// that is.
pub fn tame_factors(b: &mut Builder, e: Lane, [x, y]: [Val; 2], flush: bool) -> ([Val; 2], Val) {
    let ty = b.ty(x);
    let (infinite, none) = (every(b, ty, e, infinity(e)), zero(b, ty));
    let mut kinds = |v| {
        let size = magnitude(b, e, v);
        // What is flushed has an exponent of zero.
        let small = if flush { b.and(v, infinite) } else { size };
        (b.veq(bits(e), size, infinite), b.veq(bits(e), small, none))
    };
    let ((x_inf, x_zero), (y_inf, y_zero)) = (kinds(x), kinds(y));
    let (x_bad, y_bad) = (b.and(x_inf, y_zero), b.and(y_inf, x_zero));
    let (x, y, bad) = (b.and_not(x, x_bad), b.and_not(y, y_bad), b.or(x_bad, y_bad));
    ([x, y], bad)
}

/// FPMulX: the product, but that infinity times zero is 2, with the sign of a product.
pub fn multiply_extended(b: &mut Builder, e: Lane, x: Val, y: Val, env: Fenv) -> Val {
    let ty = b.ty(x);
    let ([p, q], bad) = tame_factors(b, e, [x, y], env.flush);
    let product = b.vfmul(e, p, q, env);
    let (signs, sign) = (b.xor(x, y), every(b, ty, e, sign(e)));
    let (signs, two) = (b.and(signs, sign), every(b, ty, e, number(e, 2.0)));
    let two = b.or(two, signs);
    choose(b, bad, two, product)
}

/// FPRecipStepFused: `2 - x * y`, rounded once; infinity times zero is zero.
pub fn reciprocal_step(b: &mut Builder, e: Lane, x: Val, y: Val, env: Fenv) -> Val {
    let x = negated(b, e, x);
    let ([x, y], _) = tame_factors(b, e, [x, y], env.flush);
    let two = every(b, b.ty(x), e, number(e, 2.0));
    b.vfmul_add(e, two, x, y, env)
}

/// FPRSqrtStepFused: `(3 - x * y) / 2`, rounded once; infinity times zero is zero. A factor is halved before, by its exponent,
/// so that no sum is out of range whose half is not: that of `x`, or of `y` where `x` is too small for it. Where both are,
/// the product is too small to count.
pub fn root_step(b: &mut Builder, e: Lane, x: Val, y: Val, env: Fenv) -> Val {
    let x = negated(b, e, x);
    let ([x, y], _) = tame_factors(b, e, [x, y], env.flush);
    let (ty, i) = (b.ty(x), bits(e));
    let one = infinity(e) & infinity(e).wrapping_neg();
    let (top, unit) = (every(b, ty, e, infinity(e)), every(b, ty, e, one));
    let mut halved = |v, unless: Option<Val>| {
        let exponent = b.and(v, top);
        // The exponents that can be made less, and stay those of normal numbers.
        let (above, below) = (b.vgt_s(i, exponent, unit), b.vgt_s(i, top, exponent));
        let mut fits = b.and(above, below);
        if let Some(other) = unless {
            fits = b.and_not(fits, other);
        }
        let by = b.and(fits, unit);
        (b.vsub(i, v, by), fits)
    };
    let (x, x_halved) = halved(x, None);
    let (y, _) = halved(y, Some(x_halved));
    let half = every(b, ty, e, number(e, 1.5));
    b.vfmul_add(e, half, x, y, env)
}
