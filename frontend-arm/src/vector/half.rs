//! Half precision: as single precision, and scalars of it, which are the lowest lane of a vector whose others are zero.

use super::float::number;
use emu_ir::{Builder, Fenv, Lane, Op, Round, Ty, Val};

const H: Lane = Lane::F16;

/// A quotient; the unused lanes are divided by ones.
pub fn divided(b: &mut Builder, x: Val, y: Val, env: Fenv) -> Val {
    let one = u128::from(number(H, 1.0));
    let ones = b.vec(Ty::V64, one << 16 | one << 32 | one << 48);
    let y = b.or(y, ones);
    b.vfdiv(H, x, y, env)
}

/// Whether the first of two scalars is less, equal, unordered.
pub fn compared(b: &mut Builder, x: Val, y: Val, env: Fenv) -> [Val; 3] {
    let masks = [b.vfgt(H, y, x, env), b.vfeq(H, x, y, env), b.vfgt(H, x, y, env)];
    let [lt, eq, gt] = masks.map(|v| {
        let low = b.vget_lane(Ty::I8, v, 0);
        let one = b.imm(Ty::I8, 1);
        b.and(low, one)
    });
    let ordered = b.or(lt, gt);
    let ordered = b.or(ordered, eq);
    let one = b.bool(true);
    [lt, eq, b.xor(ordered, one)]
}

/// A half (I16) as a double, which holds every one.
pub fn double(b: &mut Builder, mut a: Val, env: Fenv) -> Val {
    if env.flush {
        // Denormals count as zero.
        let (top, none) = (b.imm(Ty::I16, 0x7c00), b.imm(Ty::I16, 0));
        let exponent = b.and(a, top);
        let small = b.eq(exponent, none);
        a = b.select(small, none, a);
    }
    let env = Fenv {
        flag: false,
        flush: false,
        ..env
    };
    b.push(Ty::F64, Op::FFromHalf { a, env })
}

/// A half (I16) to an integer or fixed point of type `int`.
pub fn to_int(b: &mut Builder, a: Val, int: Ty, (unsigned, frac): (bool, u8), env: Fenv) -> Val {
    let a = double(b, a, env);
    let env = Fenv {
        flag: true,
        flush: false,
        ..env
    };
    let op = if unsigned {
        Op::FToU { a, frac, env }
    } else {
        Op::FToS { a, frac, env }
    };
    b.push(int, op)
}

/// A half (I16) from an integer or fixed point, by way of a double. What it does not hold is rounded to odd, so that rounding
/// it again is as rounding once.
pub fn from_int(b: &mut Builder, a: Val, (unsigned, frac): (bool, u8), of_halves: Fenv) -> Val {
    let env = Fenv {
        round: Round::Zero,
        flag: false,
        flush: false,
        ..of_halves
    };
    let int = b.ty(a);
    let (there, back) = if unsigned {
        let v = b.push(Ty::F64, Op::UToF { a, frac: 0, env });
        (v, b.push(int, Op::FToU { a: v, frac: 0, env }))
    } else {
        let v = b.push(Ty::F64, Op::SToF { a, frac: 0, env });
        (v, b.push(int, Op::FToS { a: v, frac: 0, env }))
    };
    let inexact = b.ne(back, a);
    let (one, none) = (b.imm(Ty::I64, 1), b.imm(Ty::I64, 0));
    let (bits, lowest) = (b.bitcast(Ty::I64, there), b.select(inexact, one, none));
    let odd = b.or(bits, lowest);
    let odd = b.bitcast(Ty::F64, odd);
    let scale = b.imm(Ty::F64, (1023 - u64::from(frac)) << 52);
    let a = b.fmul(odd, scale, env);
    let a = if of_halves.flush {
        flushed(b, a, env, of_halves)
    } else {
        a
    };
    let env = Fenv {
        round: of_halves.round,
        ..env
    };
    b.push(Ty::I16, Op::FToHalf { a, env })
}

/// A double of which half precision would have a denormal is zero; that it was not is told by a product that is flushed.
fn flushed(b: &mut Builder, a: Val, env: Fenv, of_halves: Fenv) -> Val {
    let (least, none) = (b.imm(Ty::F64, (1023 - 14) << 52), b.imm(Ty::F64, 0));
    let size = b.fabs(a);
    let (small, some) = (b.flt(size, least, env), b.flt(none, size, env));
    let tiny = b.and(small, some);
    let (least, zero, half) = (b.imm(Ty::V64, 0x400), b.imm(Ty::V64, 0), b.imm(Ty::V64, number(H, 0.5)));
    let lane = b.select(tiny, least, zero);
    b.vfmul(H, lane, half, of_halves);
    let (bits, sign) = (b.bitcast(Ty::I64, a), b.imm(Ty::I64, 1 << 63));
    let sign = b.and(bits, sign);
    let sign = b.bitcast(Ty::F64, sign);
    b.select(tiny, sign, a)
}

/// One number, a NaN with what it signals; denormals are zero if flushed.
fn single(x: u16, flush: bool) -> u32 {
    let (sign, exp, frac) = (u32::from(x >> 15) << 31, u32::from(x >> 10 & 31), u32::from(x & 0x3ff));
    match exp {
        0 if frac == 0 || flush => sign,
        0 => {
            let lead = frac.leading_zeros() - 21;
            sign | (113 - lead) << 23 | (frac << lead & 0x3ff) << 13
        }
        31 => sign | 0xff << 23 | frac << 13,
        _ => sign | (exp + 112) << 23 | frac << 13,
    }
}

/// Four numbers: arguments a V64 of them, whether denormals are flushed.
pub fn singles(a: &[u128; 4]) -> u128 {
    (0..4).fold(0, |all, i| {
        let single = single((a[0] >> (16 * i)) as u16, a[1] != 0);
        all | u128::from(single) << (32 * i)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_is_a_single() {
        assert_eq!(single(0x3c00, false), 1f32.to_bits());
        assert_eq!(single(0xfbff, false), (-65504f32).to_bits());
        assert_eq!(single(1, false), 2f32.powi(-24).to_bits());
        assert_eq!(single(0x83ff, false), (-1023.0 * 2f32.powi(-24)).to_bits());
        assert_eq!(single(0x83ff, true), 1 << 31);
        assert_eq!(single(0x7d55, false), 0x7faa_a000, "it still signals");
    }
}
