//! Addition, subtraction, multiplication, division and square root.

use super::{Class, Env, Format, Number, denormals, invalid, propagate, quieted, round, sum, unpack};
use emu_ir::FP_DIVZERO;

/// `FPAdd`: `a + b`.
pub fn add(f: Format, a: u64, b: u64, env: Env) -> (u64, u32) {
    let mut flags = 0;
    let (a, b) = (unpack(f, a, env, &mut flags), unpack(f, b, env, &mut flags));
    let bits = sum_of(f, a, b, false, env, &mut flags);
    (bits, flags)
}

/// `FPSub`: `a - b`. The sign of a NaN `b` stays.
pub fn sub(f: Format, a: u64, b: u64, env: Env) -> (u64, u32) {
    let mut flags = 0;
    let (a, b) = (unpack(f, a, env, &mut flags), unpack(f, b, env, &mut flags));
    let bits = sum_of(f, a, b, true, env, &mut flags);
    (bits, flags)
}

#[inline]
fn sum_of(f: Format, a: Number, b: Number, negate: bool, env: Env, flags: &mut u32) -> u64 {
    if let Some(nan) = propagate(f, &[a, b], env, flags) {
        return nan;
    }
    let sign = b.sign ^ negate;
    denormals(&[a, b], env, flags);
    if a.is_inf() || b.is_inf() {
        return match (a.is_inf(), b.is_inf()) {
            (true, true) if a.sign != sign => invalid(f, env, flags),
            (true, _) => f.infinity(a.sign),
            (false, _) => f.infinity(sign),
        };
    }
    if a.is_zero() && b.is_zero() && a.sign == sign {
        return f.zero(sign);
    }
    // A zero takes part as a significand of 0 far below the other operand.
    let wide = |n: Number, sign| match n.class {
        Class::Finite => (sign, n.exp - 125, (n.sig as u128) << 62),
        Class::Zero | Class::Infinity | Class::Quiet | Class::Signalling => (sign, -1 << 20, 0),
    };
    sum(f, wide(a, a.sign), wide(b, sign), env, flags)
}

/// `FPMul`: `a * b`.
pub fn mul(f: Format, a: u64, b: u64, env: Env) -> (u64, u32) {
    let mut flags = 0;
    let (a, b) = (unpack(f, a, env, &mut flags), unpack(f, b, env, &mut flags));
    if let Some(nan) = propagate(f, &[a, b], env, &mut flags) {
        return (nan, flags);
    }
    let sign = a.sign != b.sign;
    denormals(&[a, b], env, &mut flags);
    let bits = match (a.class, b.class) {
        (Class::Infinity, Class::Zero) | (Class::Zero, Class::Infinity) => invalid(f, env, &mut flags),
        (Class::Infinity, _) | (_, Class::Infinity) => f.infinity(sign),
        (Class::Zero, _) | (_, Class::Zero) => f.zero(sign),
        _ => {
            let product = a.sig as u128 * b.sig as u128;
            round(f, sign, a.exp + b.exp - 126, product, env, &mut flags)
        }
    };
    (bits, flags)
}

/// `FPDiv`: `a / b`.
pub fn div(f: Format, a: u64, b: u64, env: Env) -> (u64, u32) {
    let mut flags = 0;
    let (a, b) = (unpack(f, a, env, &mut flags), unpack(f, b, env, &mut flags));
    if let Some(nan) = propagate(f, &[a, b], env, &mut flags) {
        return (nan, flags);
    }
    let sign = a.sign != b.sign;
    // Dividing by zero comes before what is denormal.
    if !b.is_zero() {
        denormals(&[a, b], env, &mut flags);
    }
    let bits = match (a.class, b.class) {
        (Class::Infinity, Class::Infinity) | (Class::Zero, Class::Zero) => invalid(f, env, &mut flags),
        (Class::Infinity, _) => f.infinity(sign),
        (_, Class::Zero) => {
            flags |= FP_DIVZERO;
            f.infinity(sign)
        }
        (Class::Zero, _) | (_, Class::Infinity) => f.zero(sign),
        _ => {
            let (num, den) = ((a.sig as u128) << 63, b.sig as u128);
            let quotient = num / den;
            let sig = quotient << 1 | (quotient * den != num) as u128;
            round(f, sign, a.exp - b.exp - 64, sig, env, &mut flags)
        }
    };
    (bits, flags)
}

/// `FPSqrt`: the square root of `a`.
pub fn sqrt(f: Format, a: u64, env: Env) -> (u64, u32) {
    let mut flags = 0;
    let a = unpack(f, a, env, &mut flags);
    let bits = match a.class {
        Class::Quiet | Class::Signalling => quieted(f, a, env, &mut flags),
        Class::Zero => f.zero(a.sign),
        Class::Infinity | Class::Finite if a.sign => invalid(f, env, &mut flags),
        Class::Infinity => f.infinity(false),
        Class::Finite => {
            denormals(&[a], env, &mut flags);
            // An even power of two in front: a = square * 2^(exp - 126).
            let exp = a.exp & !1;
            let square = (a.sig as u128) << (63 + (a.exp & 1));
            let root = square.isqrt();
            let sig = root << 1 | (root * root != square) as u128;
            round(f, false, exp / 2 - 64, sig, env, &mut flags)
        }
    };
    (bits, flags)
}
