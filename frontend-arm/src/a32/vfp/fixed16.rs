//! VCVT from floating point to 16-bit fixed point: rare, and no IR operation saturates there.

use emu_ir::{FP_DENORMAL, FP_INEXACT, FP_INVALID};

/// FPToFixed with 16 bits, rounding toward zero (Arm ARM DDI 0406C, A2.7.13). Arguments: the float's bits; a control
/// word: fraction bits in 7:0, bit 8 unsigned, bit 9 double precision, bit 10 flush denormals. The result is extended
/// to 32 bits; the flags are the cumulative ones to set.
pub fn vcvt_to_fixed16(a: &[u128; 4]) -> (u128, u32) {
    let how = a[1] as u32;
    let (frac, unsigned, flush) = (how & 0xff, how >> 8 & 1 == 1, how >> 10 & 1 == 1);
    let f = if how >> 9 & 1 == 1 {
        unpack(a[0] as u64, 52, 11)
    } else {
        unpack(a[0] as u64, 23, 8)
    };
    let (limit_up, limit_down) = if unsigned { (0xffff, 0) } else { (0x7fff, -0x8000) };
    if f.nan {
        return (0, FP_INVALID);
    }
    if flush && f.denormal {
        return (0, FP_DENORMAL);
    }
    let (magnitude, inexact) = f.truncated(frac as i32);
    let value = if f.negative { -magnitude } else { magnitude };
    let clamped = value.clamp(limit_down, limit_up);
    let flags = match (clamped != value, inexact) {
        (true, _) => FP_INVALID,
        (false, true) => FP_INEXACT,
        (false, false) => 0,
    };
    ((clamped as i32 as u32).into(), flags)
}

/// A float taken apart: `mantissa * 2^exp`, an infinity having a huge exponent.
struct Unpacked {
    negative: bool,
    nan: bool,
    denormal: bool,
    mantissa: u64,
    exp: i32,
}

fn unpack(bits: u64, frac: u32, exp_bits: u32) -> Unpacked {
    let (fraction, max) = (bits & ((1 << frac) - 1), (1 << exp_bits) - 1);
    let exp = (bits >> frac) as i32 & max;
    let special = exp == max;
    Unpacked {
        negative: bits >> (frac + exp_bits) & 1 == 1,
        nan: special && fraction != 0,
        denormal: exp == 0 && fraction != 0,
        mantissa: if exp == 0 { fraction } else { fraction | 1 << frac },
        exp: exp.max(1) - (max >> 1) - frac as i32,
    }
}

impl Unpacked {
    /// The magnitude times 2^`frac`, truncated (and capped well above 16 bits); whether something was cut off.
    fn truncated(&self, frac: i32) -> (i64, bool) {
        let shift = self.exp + frac;
        match shift {
            _ if self.mantissa == 0 => (0, false),
            0.. => ((u128::from(self.mantissa) << shift.min(40)).min(1 << 40) as i64, false),
            -63..0 => {
                let kept = self.mantissa >> -shift;
                (kept.min(1 << 40) as i64, kept << -shift != self.mantissa)
            }
            _ => (0, true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn single(v: f32, frac: u32, unsigned: bool) -> (i32, u32) {
        let (r, f) = vcvt_to_fixed16(&[v.to_bits().into(), (frac | u32::from(unsigned) << 8).into(), 0, 0]);
        (r as u32 as i32, f)
    }

    #[test]
    fn truncates_toward_zero_and_tells_inexact() {
        assert_eq!(single(-1.75, 0, false), (-1, FP_INEXACT));
        assert_eq!(single(1.5, 1, false), (3, 0));
        assert_eq!(single(-32768.5, 0, false), (-32768, FP_INEXACT));
        assert_eq!(single(-0.5, 0, true), (0, FP_INEXACT));
    }

    #[test]
    fn saturates_at_sixteen_bits() {
        assert_eq!(single(32768.0, 0, false), (32767, FP_INVALID));
        assert_eq!(single(f32::NEG_INFINITY, 3, false), (-32768, FP_INVALID));
        assert_eq!(single(-1.0, 0, true), (0, FP_INVALID));
        assert_eq!(single(f32::INFINITY, 0, true), (65535, FP_INVALID));
        assert_eq!(single(f32::NAN, 0, true), (0, FP_INVALID));
    }

    #[test]
    fn doubles_and_flushed_denormals() {
        let how = 4 | 1 << 9;
        assert_eq!(
            vcvt_to_fixed16(&[(-2.25f64).to_bits().into(), how, 0, 0]),
            (0xffff_ffdc, 0)
        );
        assert_eq!(vcvt_to_fixed16(&[1, how, 0, 0]), (0, FP_INEXACT));
        assert_eq!(vcvt_to_fixed16(&[1, how | 1 << 10, 0, 0]), (0, FP_DENORMAL));
    }
}
