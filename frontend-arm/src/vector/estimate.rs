//! VRECPE and VRSQRTE: the manual's estimates, bit for bit (Arm ARM DDI 0406C, A2.7.8: UnsignedRecipEstimate,
//! UnsignedRSqrtEstimate, FPRecipEstimate, FPRSqrtEstimate). Floats are in the standard environment: flushed denormals,
//! default NaNs.

use emu_ir::{FP_DENORMAL, FP_DIVZERO, FP_INVALID, FP_UNDERFLOW};

const DEFAULT_NAN: u32 = 0x7fc0_0000;
const INFINITY: u32 = 0x7f80_0000;

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

/// Applies to the first `lanes` floats, gathering flags.
fn floats(v: u128, lanes: u128, f: fn(u32) -> (u32, u32)) -> (u128, u32) {
    (0..lanes.min(4)).fold((0, 0), |(all, flags), i| {
        let (r, raised) = f((v >> (32 * i)) as u32);
        (all | u128::from(r) << (32 * i), flags | raised)
    })
}

/// VRECPE.F32.
pub fn vrecpe_f32(a: &[u128; 4]) -> (u128, u32) {
    floats(a[0], a[1], recip)
}

/// VRSQRTE.F32.
pub fn vrsqrte_f32(a: &[u128; 4]) -> (u128, u32) {
    floats(a[0], a[1], rsqrt)
}

/// What both do with NaNs, zeros and denormals.
fn special(x: u32) -> Option<(u32, u32)> {
    let (sign, magnitude) = (x & 1 << 31, x & !(1 << 31));
    match magnitude {
        0 => Some((sign | INFINITY, FP_DIVZERO)),
        1..0x0080_0000 => Some((sign | INFINITY, FP_DIVZERO | FP_DENORMAL)),
        0x7f80_0001..0x7fc0_0000 => Some((DEFAULT_NAN, FP_INVALID)),
        DEFAULT_NAN.. => Some((DEFAULT_NAN, 0)),
        _ => None,
    }
}

/// FPRecipEstimate.
fn recip(x: u32) -> (u32, u32) {
    if let Some(r) = special(x) {
        return r;
    }
    let (sign, exp) = (x & 1 << 31, x >> 23 & 0xff);
    match exp {
        0xff => (sign, 0),
        253.. => (sign, FP_UNDERFLOW),
        _ => {
            let estimate = recip_estimate(0x100 | x >> 15 & 0xff);
            (sign | (253 - exp) << 23 | (estimate & 0xff) << 15, 0)
        }
    }
}

/// FPRSqrtEstimate.
fn rsqrt(x: u32) -> (u32, u32) {
    if let Some(r) = special(x) {
        return r;
    }
    let (negative, exp, fraction) = (x >> 31 == 1, x >> 23 & 0xff, x >> 15 & 0xff);
    match (negative, exp) {
        (true, _) => (DEFAULT_NAN, FP_INVALID),
        (_, 0xff) => (0, 0),
        _ => {
            let scaled = if exp & 1 == 0 {
                0x100 | fraction
            } else {
                0x80 | fraction >> 1
            };
            let estimate = rsqrt_estimate(scaled);
            (((380 - exp) / 2) << 23 | (estimate & 0xff) << 15, 0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimates_of_one_and_two() {
        assert_eq!(recip(1f32.to_bits()).0, 0x3f7f_8000);
        assert_eq!(recip(2f32.to_bits()).0, 0x3eff_8000);
        assert_eq!(rsqrt(1f32.to_bits()).0, 0x3f7f_8000);
        assert_eq!(rsqrt(4f32.to_bits()).0, 0x3eff_8000);
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
    fn unsigned_estimates_saturate_below_their_range() {
        assert_eq!(vrecpe_u32(&[0x7fff_ffff, 0, 0, 0]) as u32, u32::MAX);
        assert_eq!(vrecpe_u32(&[0x8000_0000, 0, 0, 0]) as u32, 0xff80_0000);
        assert_eq!(vrsqrte_u32(&[0x3fff_ffff, 0, 0, 0]) as u32, u32::MAX);
        assert_eq!(vrsqrte_u32(&[0x4000_0000, 0, 0, 0]) as u32, 0xff80_0000);
    }
}
