//! Fused multiply-add.

use super::{Class, Env, Format, Number, denormals, invalid, propagate, sum, unpack};

/// `FPMulAdd`: `c + a * b`, rounded once. NaN operands are looked at in the order c, a, b; a quiet NaN `c` beside
/// zero times infinity is invalid and gives the default NaN. Of x86 the order is a, b, c, and that NaN is the result (SDM 1,
/// 14.5.1).
pub fn mul_add(f: Format, c: u64, a: u64, b: u64, env: Env) -> (u64, u32) {
    let mut flags = 0;
    let c = unpack(f, c, env, &mut flags);
    let (a, b) = (unpack(f, a, env, &mut flags), unpack(f, b, env, &mut flags));
    let bits = fused(f, c, a, b, env, &mut flags);
    (bits, flags)
}

fn fused(f: Format, c: Number, a: Number, b: Number, env: Env, flags: &mut u32) -> u64 {
    let undefined = (a.is_inf() && b.is_zero()) || (a.is_zero() && b.is_inf());
    if undefined && c.class == Class::Quiet && env.x86.is_none() {
        return invalid(f, env, flags);
    }
    let order = if env.x86.is_some() { [a, b, c] } else { [c, a, b] };
    if let Some(nan) = propagate(f, &order, env, flags) {
        return nan;
    }
    let sign = a.sign != b.sign;
    let infinite = a.is_inf() || b.is_inf();
    if undefined || (c.is_inf() && infinite && c.sign != sign) {
        return invalid(f, env, flags);
    }
    denormals(&order, env, flags);
    if c.is_inf() || infinite {
        return f.infinity(if c.is_inf() { c.sign } else { sign });
    }
    let none = a.is_zero() || b.is_zero();
    if c.is_zero() && none && c.sign == sign {
        return f.zero(sign);
    }
    // Bit 125 set in both: the product's 106 bits at most and the addend's 53 leave 20 zeros below, so bits are lost
    // (to the sticky one) only where the exponents lie so far apart that at most one leading bit cancels.
    let product = if none {
        (sign, -1 << 20, 0)
    } else {
        let p = a.sig as u128 * b.sig as u128;
        let top = p.leading_zeros() as i32;
        (sign, a.exp + b.exp - 124 - top, p << top >> 2)
    };
    let addend = if c.is_zero() {
        (c.sign, -1 << 20, 0)
    } else {
        (c.sign, c.exp - 125, (c.sig as u128) << 62)
    };
    sum(f, product, addend, env, flags)
}
