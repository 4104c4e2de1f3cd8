//! Estimates of reciprocals and of reciprocal square roots, bit for bit (Arm ARM DDI 0487, shared pseudocode:
//! UnsignedRecipEstimate, UnsignedRSqrtEstimate, FPRecipEstimate, FPRSqrtEstimate; DDI 0406C, A2.7.8, where floats are in
//! the standard environment).

use emu_ir::{FP_DENORMAL, FP_DIVZERO, FP_INEXACT, FP_INVALID, FP_OVERFLOW, FP_UNDERFLOW, Fenv, Lane, Round};

/// The reciprocal of `a / 512`, `a` in 256..512, in units of 1/256 rounded to nearest: 256..=511.
fn recip_estimate(a: u32) -> u32 {
    // 1 / ((a + 0.5) / 512), times 256, rounded half up.
    ((1 << 19) / (2 * a + 1)).div_ceil(2)
}

/// The reciprocal square root of `a / 512`, `a` in 128..512, in units of 1/256 rounded to nearest: 256..=511.
fn rsqrt_estimate(a: u32) -> u32 {
    // Below a half the manual's steps are 1/512, above 1/256.
    let mid = if a < 256 { 2 * a + 1 } else { 2 * (a | 1) };
    // The largest b with b^2 * mid < 2^28, where b is in units of 1/512.
    let (mid, mut b) = (u64::from(mid), 512u64);
    while mid * (b + 1) * (b + 1) < 1 << 28 {
        b += 1;
    }
    (b as u32).div_ceil(2)
}

/// Lane by lane of 32 bits.
fn words(v: u128, f: impl Fn(u32) -> u32) -> u128 {
    (0..4).fold(0, |all, i| all | u128::from(f((v >> (32 * i)) as u32)) << (32 * i))
}

/// VRECPE.U32.
pub fn vrecpe_u32(a: &[u128; 4]) -> u128 {
    words(a[0], |x| {
        if x >> 31 == 0 {
            u32::MAX
        } else {
            recip_estimate(x >> 23) << 23
        }
    })
}

/// VRSQRTE.U32.
pub fn vrsqrte_u32(a: &[u128; 4]) -> u128 {
    words(a[0], |x| {
        if x >> 30 == 0 {
            u32::MAX
        } else {
            rsqrt_estimate(x >> 23) << 23
        }
    })
}

/// How a helper for vectors of floats is told of lanes and environment, but for the current rounding mode: their number,
/// their bytes, flushing, default NaNs.
pub const fn control(lanes: u32, e: Lane, env: Fenv) -> u32 {
    lanes | (e.bits() / 8) << 8 | (env.flush as u32) << 16 | (env.default_nan as u32) << 17
}

/// What [`control`] tells but for the format: lanes, flushing, default NaNs.
pub const fn control_flags(control: u32) -> (u32, bool, bool) {
    (control & 0xff, control >> 16 & 1 != 0, control >> 17 & 1 != 0)
}

/// A format with the environment that it is computed in.
#[derive(Clone, Copy)]
struct Format {
    /// Bits, and of them the fraction's.
    bits: u32,
    frac: u32,
    flush: bool,
    default_nan: bool,
    round: u32,
}

impl Format {
    /// What [`control`] and a rounding mode tell.
    fn of(control: u32, round: u32) -> Format {
        let (bits, frac) = match control >> 8 & 0xff {
            2 => (16, 10),
            4 => (32, 23),
            _ => (64, 52),
        };
        let (_, flush, default_nan) = control_flags(control);
        Format {
            bits,
            frac,
            flush,
            default_nan,
            round,
        }
    }
    /// The exponent field of infinities.
    const fn top(self) -> i32 {
        (1 << (self.bits - 1 - self.frac)) - 1
    }
    /// 127 of single precision.
    const fn bias(self) -> i32 {
        self.top() / 2
    }
    const fn infinity(self) -> u64 {
        (self.top() as u64) << self.frac
    }
    const fn quiet(self) -> u64 {
        1 << (self.frac - 1)
    }
    const fn default_nan(self) -> u64 {
        self.infinity() | self.quiet()
    }
    /// Sign bit, exponent, fraction.
    const fn unpacked(self, x: u64) -> (u64, i32, u64) {
        let sign = x & 1 << (self.bits - 1);
        (sign, (x >> self.frac) as i32 & self.top(), x & ((1 << self.frac) - 1))
    }
    /// What both estimates do with NaNs, zeros and denormals that are flushed: half precision does not tell of these.
    fn special(self, x: u64) -> Option<(u64, u32)> {
        let (sign, exp, frac) = self.unpacked(x);
        if exp == self.top() && frac != 0 {
            let flags = if frac & self.quiet() == 0 { FP_INVALID } else { 0 };
            let nan = if self.default_nan {
                self.default_nan()
            } else {
                x | self.quiet()
            };
            return Some((nan, flags));
        }
        let flushed = frac != 0 && self.flush;
        let denormal = if flushed && self.bits > 16 { FP_DENORMAL } else { 0 };
        (exp == 0 && (frac == 0 || flushed)).then_some((sign | self.infinity(), FP_DIVZERO | denormal))
    }
    /// The exponent, and the eight bits below the leading one, of a number that may be denormal.
    fn normalised(self, exp: i32, frac: u64) -> (i32, u32) {
        let frac = frac << (64 - self.frac);
        let lead = frac.leading_zeros();
        let (exp, frac) = match exp {
            0 => (-(lead as i32), frac << lead << 1),
            _ => (exp, frac),
        };
        (exp, (frac >> 56) as u32)
    }

    /// FPRecipEstimate.
    fn recip(self, x: u64) -> (u64, u32) {
        if let Some(r) = self.special(x) {
            return r;
        }
        let (sign, exp, frac) = self.unpacked(x);
        // Below 2 to the power of the least exponent less one, the reciprocal is too large.
        if exp == 0 && frac >> (self.frac - 2) == 0 {
            let to_infinity = match self.round {
                r if r == Round::Nearest as u32 => true,
                r if r == Round::Up as u32 => sign == 0,
                r if r == Round::Down as u32 => sign != 0,
                _ => false,
            };
            let most = if to_infinity {
                self.infinity()
            } else {
                self.infinity() - 1
            };
            return (sign | most, FP_OVERFLOW | FP_INEXACT);
        }
        if exp == self.top() {
            return (sign, 0);
        }
        let (exp, frac) = self.normalised(exp, frac);
        let exp = 2 * self.bias() - 1 - exp;
        if exp <= 0 && self.flush {
            return (sign, FP_UNDERFLOW);
        }
        let estimate = u64::from(recip_estimate(0x100 | frac));
        // The leading one of a denormal is explicit.
        let frac = estimate << (self.frac - 8) >> (if exp <= 0 { 1 - exp } else { 0 });
        let frac = frac & ((1 << self.frac) - 1);
        (sign | (exp.max(0) as u64) << self.frac | frac, 0)
    }

    /// FPRSqrtEstimate.
    fn rsqrt(self, x: u64) -> (u64, u32) {
        if let Some(r) = self.special(x) {
            return r;
        }
        let (sign, exp, frac) = self.unpacked(x);
        if sign != 0 {
            return (self.default_nan(), FP_INVALID);
        }
        if exp == self.top() {
            return (0, 0);
        }
        let (exp, frac) = self.normalised(exp, frac);
        let scaled = if exp & 1 == 0 { 0x100 | frac } else { 0x80 | frac >> 1 };
        let estimate = u64::from(rsqrt_estimate(scaled) & 0xff);
        let exp = (3 * self.bias() - 1 - exp) / 2;
        ((exp as u64) << self.frac | estimate << (self.frac - 8), 0)
    }
}

/// Applies to the lanes that `control` tells of, gathering flags.
fn floats(a: &[u128; 4], f: fn(Format, u64) -> (u64, u32)) -> (u128, u32) {
    let (control, format) = (a[1] as u32, Format::of(a[1] as u32, a[2] as u32));
    let (bits, mask) = (format.bits, u64::MAX >> (64 - format.bits));
    (0..(control & 0xff).min(128 / bits)).fold((0, 0), |(all, flags), i| {
        let (r, raised) = f(format, (a[0] >> (bits * i)) as u64 & mask);
        (all | u128::from(r) << (bits * i), flags | raised)
    })
}

/// FRECPE: arguments a vector, [`control`], the rounding mode.
pub fn recip(a: &[u128; 4]) -> (u128, u32) {
    floats(a, Format::recip)
}

/// FRSQRTE: arguments a vector, [`control`].
pub fn rsqrt(a: &[u128; 4]) -> (u128, u32) {
    floats(a, Format::rsqrt)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFINITY: u32 = 0x7f80_0000;
    const DEFAULT_NAN: u32 = 0x7fc0_0000;

    fn one(f: fn(&[u128; 4]) -> (u128, u32), x: u32, env: Fenv) -> (u32, u32) {
        let (r, flags) = f(&[x.into(), control(1, Lane::F32, env).into(), 0, 0]);
        (r as u32, flags)
    }
    fn recip(x: u32) -> (u32, u32) {
        one(super::recip, x, Fenv::STANDARD)
    }
    fn rsqrt(x: u32) -> (u32, u32) {
        one(super::rsqrt, x, Fenv::STANDARD)
    }

    #[test]
    fn estimates_of_one_and_two() {
        assert_eq!(recip(1f32.to_bits()).0, 0x3f7f_8000);
        assert_eq!(recip(2f32.to_bits()).0, 0x3eff_8000);
        assert_eq!(rsqrt(1f32.to_bits()).0, 0x3f7f_8000);
        assert_eq!(rsqrt(4f32.to_bits()).0, 0x3eff_8000);
        assert_eq!(recip(1.5f32.to_bits()).0, 0x3f2a_8000);
        assert_eq!(rsqrt(2f32.to_bits()).0, 0x3f34_8000);
    }

    #[test]
    fn special_values_raise_their_flags() {
        assert_eq!(recip(0x8000_0000), (0xff80_0000, FP_DIVZERO));
        assert_eq!(recip(1), (INFINITY, FP_DIVZERO | FP_DENORMAL));
        assert_eq!(recip(f32::MAX.to_bits()), (0, FP_UNDERFLOW));
        assert_eq!(rsqrt((-1f32).to_bits()), (DEFAULT_NAN, FP_INVALID));
        assert_eq!(rsqrt(0x7f80_0001), (DEFAULT_NAN, FP_INVALID));
        assert_eq!(rsqrt(INFINITY), (0, 0));
    }

    #[test]
    fn denormals_have_estimates_where_they_are_not_flushed() {
        let env = Fenv::IEEE;

        assert_eq!(one(super::recip, 0x0040_0000, env), (0x7eff_8000, 0));
        assert_eq!(
            one(super::recip, 0x001f_ffff, env),
            (INFINITY, FP_OVERFLOW | FP_INEXACT)
        );
        assert_eq!(one(super::recip, f32::MAX.to_bits(), env), (0x0020_0000, 0));
        assert_eq!(one(super::rsqrt, 1, env).0, 0x64b4_8000);
    }

    #[test]
    fn unsigned_estimates_saturate_below_their_range() {
        assert_eq!(vrecpe_u32(&[0x7fff_ffff, 0, 0, 0]) as u32, u32::MAX);
        assert_eq!(vrecpe_u32(&[0x8000_0000, 0, 0, 0]) as u32, 0xff80_0000);
        assert_eq!(vrsqrte_u32(&[0x3fff_ffff, 0, 0, 0]) as u32, u32::MAX);
        assert_eq!(vrsqrte_u32(&[0x4000_0000, 0, 0, 0]) as u32, 0xff80_0000);
    }
}
