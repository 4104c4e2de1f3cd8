//! The conversion to an integer that JavaScript asks for.

use emu_ir::{FP_DENORMAL, FP_INEXACT, FP_INVALID};

/// FPToFixedJS: arguments a double, whether denormals are flushed. The integer modulo 2^32, and above it whether the number
/// was that.
pub fn convert(a: &[u128; 4]) -> (u128, u32) {
    let (bits, v) = (a[0] as u64, f64::from_bits(a[0] as u64));
    if a[1] != 0 && v.is_subnormal() {
        return (0, FP_DENORMAL);
    }
    if !v.is_finite() {
        return (0, FP_INVALID);
    }
    // Of the integral part, the bits below 2^32: the fraction is 52 bits.
    let (exp, frac) = ((bits >> 52 & 0x7ff) as i32 - 1075, bits & ((1 << 52) - 1) | 1 << 52);
    let size = match exp {
        ..-63 => 0,
        -63..0 => frac >> -exp,
        0..32 => frac << exp,
        32.. => 0,
    };
    let low = if v.is_sign_negative() {
        size.wrapping_neg()
    } else {
        size
    } as u32;
    let whole = v.trunc();
    if !(-2f64.powi(31)..2f64.powi(31)).contains(&whole) {
        return (low.into(), FP_INVALID);
    }
    if whole != v {
        return (low.into(), FP_INEXACT);
    }
    let exact = bits != 1 << 63;
    (u128::from(low) | u128::from(exact) << 32, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn javascript_converts_modulo_two_to_the_32() {
        let of = |v: f64| convert(&[v.to_bits().into(), 0, 0, 0]);

        assert_eq!(of(5.0), (1 << 32 | 5, 0));
        assert_eq!(of(-1.0), (1 << 32 | 0xffff_ffff, 0));
        assert_eq!(of(-0.0), (0, 0));
        assert_eq!(of(1.5), (1, FP_INEXACT));
        assert_eq!(of(4_294_967_297.0), (1, FP_INVALID));
        assert_eq!(of(-2_147_483_649.0), (0x7fff_ffff, FP_INVALID));
        assert_eq!(of(f64::MAX), (0, FP_INVALID));
        assert_eq!(of(f64::NAN), (0, FP_INVALID));
    }
}
