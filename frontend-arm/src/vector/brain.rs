//! Brain floating point (Arm ARM DDI 0487, shared pseudocode: FPConvertBF, BFDotAdd without FEAT_EBF16).

use super::estimate::control_flags;
use emu_ir::{FP_DENORMAL, FP_INEXACT, FP_INVALID, FP_OVERFLOW, FP_UNDERFLOW, Round};

const INFINITY: u32 = 0x7f80_0000;
const DEFAULT_NAN: u32 = 0x7fc0_0000;
/// 2 to the power of 128.
const BEYOND: f64 = 2.0 * (1u128 << 127) as f64;

/// FPConvertBF of one: flushing, default NaNs, the rounding mode.
fn rounded(x: u32, flush: bool, default_nan: bool, round: u32) -> (u16, u32) {
    let (sign, size) = (x & 1 << 31, x & !(1 << 31));
    if size > INFINITY {
        let flags = if x & 1 << 22 == 0 { FP_INVALID } else { 0 };
        let nan = if default_nan { DEFAULT_NAN } else { x | 1 << 22 };
        return ((nan >> 16) as u16, flags);
    }
    if flush && size != 0 && size < 1 << 23 {
        return ((sign >> 16) as u16, FP_DENORMAL);
    }
    let (mut high, low) = (size >> 16, size & 0xffff);
    let up = match round {
        r if r == Round::Nearest as u32 => low > 0x8000 || low == 0x8000 && high & 1 != 0,
        r if r == Round::Up as u32 => low != 0 && sign == 0,
        r if r == Round::Down as u32 => low != 0 && sign != 0,
        _ => false,
    };
    high += u32::from(up);
    let inexact = if low != 0 { FP_INEXACT } else { 0 };
    let flags = match () {
        () if high >= INFINITY >> 16 && size < INFINITY => FP_OVERFLOW | FP_INEXACT,
        () if size < 1 << 23 && low != 0 => FP_UNDERFLOW | inexact,
        () => inexact,
    };
    ((sign >> 16 | high) as u16, flags)
}

/// BFCVT and BFCVTN: arguments a vector of singles, [`control`](super::estimate::control), the rounding mode.
pub fn convert(a: &[u128; 4]) -> (u128, u32) {
    let (lanes, flush, default_nan) = control_flags(a[1] as u32);
    (0..lanes.min(4)).fold((0, 0), |(all, flags), i| {
        let (r, raised) = rounded((a[0] >> (32 * i)) as u32, flush, default_nan, a[2] as u32);
        (all | u128::from(r) << (16 * i), flags | raised)
    })
}

/// A sum or product of singles, rounded to odd: `rest` tells whether it lies beyond `v` (its sign), below (the other), or is
/// `v`. What is too small is zero, what is too large infinite.
fn to_odd(v: f64, rest: f64) -> f32 {
    if v.is_nan() {
        return f32::from_bits(DEFAULT_NAN);
    }
    // Toward zero, then the lowest bit set if that was not exact: of double, then of single precision.
    let bits = v.to_bits();
    let toward_zero = if rest != 0.0 && (rest < 0.0) != (v < 0.0) {
        bits - 1
    } else {
        bits
    };
    let odd = toward_zero | u64::from(rest != 0.0);
    let v = f64::from_bits(odd);
    if v.abs() < f64::from(f32::MIN_POSITIVE) {
        return f32::from_bits((v.is_sign_negative() as u32) << 31);
    }
    if v.abs() >= BEYOND {
        return f32::INFINITY.copysign(v as f32);
    }
    // The fraction's low 29 bits go.
    let cut = odd & !((1 << 29) - 1);
    let sticky = if odd != cut { 1 << 29 } else { 0 };
    f64::from_bits(cut | sticky) as f32
}

/// A denormal is zero.
fn flushed(x: f32) -> f64 {
    let zero = x.abs() < f32::MIN_POSITIVE;
    f64::from(if zero { 0f32.copysign(x) } else { x })
}

/// BFMul: a product, exact in double precision.
fn product(x: u16, y: u16) -> f32 {
    let [x, y] = [x, y].map(|v| flushed(f32::from_bits(u32::from(v) << 16)));
    to_odd(x * y, 0.0)
}

/// BFAdd: with what the sum in double precision loses.
fn sum(x: f32, y: f32) -> f32 {
    let (x, y) = (flushed(x), flushed(y));
    let sum = x + y;
    if !sum.is_finite() {
        return to_odd(sum, 0.0);
    }
    let (big, small) = if x.abs() >= y.abs() { (x, y) } else { (y, x) };
    to_odd(sum, small - (sum - big))
}

/// BFDotAdd: a sum plus the products of two pairs.
fn dot_add(c: u32, x: u32, y: u32) -> u32 {
    let products = [0, 16].map(|at| product((x >> at) as u16, (y >> at) as u16));
    sum(f32::from_bits(c), sum(products[0], products[1])).to_bits()
}

fn word(v: u128, i: u32) -> u32 {
    (v >> (32 * i)) as u32
}

/// BFDOT: arguments three vectors.
pub fn dot(a: &[u128; 4]) -> u128 {
    (0..4).fold(0, |all, i| {
        let sum = dot_add(word(a[0], i), word(a[1], i), word(a[2], i));
        all | u128::from(sum) << (32 * i)
    })
}

/// BFMMLA: arguments three vectors.
pub fn matrix(a: &[u128; 4]) -> u128 {
    (0..4).fold(0, |all, i| {
        let (row, column) = (i >> 1 << 1, (i & 1) << 1);
        let first = dot_add(word(a[0], i), word(a[1], row), word(a[2], column));
        let sum = dot_add(first, word(a[1], row + 1), word(a[2], column + 1));
        all | u128::from(sum) << (32 * i)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_rounded_to_odd() {
        let one = f32::from_bits;

        assert_eq!(sum(1.0, f32::EPSILON / 4.0), one(0x3f80_0001));
        assert_eq!(sum(1.0, -f32::EPSILON / 8.0), one(0x3f7f_ffff));
        assert_eq!(sum(f32::MAX, f32::MAX), f32::INFINITY);
        assert_eq!(sum(1.0, -1.0).to_bits(), 0);
        assert_eq!(
            sum(one(0x0080_0001), -one(0x0080_0000)).to_bits(),
            0,
            "a denormal is zero"
        );
        assert_eq!(sum(f32::INFINITY, -f32::INFINITY).to_bits(), DEFAULT_NAN);
    }

    #[test]
    fn halfway_cases_go_by_the_rounding_mode() {
        let nearest = |x| rounded(x, false, false, Round::Nearest as u32);

        assert_eq!(nearest(0x3f80_8000), (0x3f80, FP_INEXACT));
        assert_eq!(nearest(0x3f81_8000), (0x3f82, FP_INEXACT));
        assert_eq!(nearest(0x7f7f_ffff), (0x7f80, FP_OVERFLOW | FP_INEXACT));
        assert_eq!(nearest(0x0000_8001), (0x0001, FP_UNDERFLOW | FP_INEXACT));
        assert_eq!(nearest(0xff80_0001), (0xffc0, FP_INVALID));
        assert_eq!(
            rounded(0x7f7f_ffff, false, false, Round::Zero as u32),
            (0x7f7f, FP_INEXACT)
        );
    }
}
