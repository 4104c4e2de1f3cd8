//! Conversions between formats, and to and from fixed point.

use super::{Class, Env, Format, Number, denormals, invalid, quieted, round, rounds_up, split, unpack};
use emu_ir::{FP_INEXACT, FP_INVALID};

/// A NaN moved to another format: the top payload bits stay, quieted.
fn renan(from: Format, to: Format, n: Number, env: Env, flags: &mut u32) -> u64 {
    if n.class == Class::Signalling {
        *flags |= FP_INVALID;
    }
    if env.default_nan {
        return env.default_nan_of(to);
    }
    let payload = n.sig & (from.quiet_bit() - 1);
    let payload = if to.frac() >= from.frac() {
        payload << (to.frac() - from.frac())
    } else {
        payload >> (from.frac() - to.frac())
    };
    to.infinity(n.sign) | to.quiet_bit() | payload
}

fn reformat(from: Format, to: Format, n: Number, env: Env, flags: &mut u32) -> u64 {
    match n.class {
        Class::Quiet | Class::Signalling => renan(from, to, n, env, flags),
        Class::Infinity => to.infinity(n.sign),
        Class::Zero => to.zero(n.sign),
        Class::Finite => round(to, n.sign, n.exp - 63, n.sig as u128, env, flags),
    }
}

/// `FPSingleToDouble`, `FPDoubleToSingle`: `a` in format `to`.
pub fn convert(from: Format, to: Format, a: u64, env: Env) -> (u64, u32) {
    let mut flags = 0;
    let n = unpack(from, a, env, &mut flags);
    denormals(&[n], env, &mut flags);
    let bits = reformat(from, to, n, env, &mut flags);
    (bits, flags)
}

/// `FPHalfToSingle`: a half precision number in format `to`. With `env.flag` it is in Arm's alternative format, which
/// has neither infinities nor NaNs.
pub fn from_half(to: Format, a: u64, env: Env) -> (u64, u32) {
    let mut flags = 0;
    let n = if env.flag && a & 0x7c00 == 0x7c00 {
        let (sign, sig) = (a & 0x8000 != 0, (a & 0x3ff | 0x400) << 53);
        Number {
            sign,
            class: Class::Finite,
            exp: 16,
            sig,
            denormal: false,
        }
    } else {
        unpack(Format::Half, a, env.of_half(), &mut flags)
    };
    let bits = reformat(Format::Half, to, n, env, &mut flags);
    (bits, flags)
}

/// `FPSingleToHalf`: `a` in half precision. With `env.flag` in the alternative format: NaNs become zeros, infinities
/// and what is too large the largest magnitude, all invalid.
pub fn to_half(from: Format, a: u64, env: Env) -> (u64, u32) {
    let mut flags = 0;
    let n = unpack(from, a, env, &mut flags);
    denormals(&[n], env, &mut flags);
    let bits = match n.class {
        Class::Quiet | Class::Signalling if env.flag => {
            flags |= FP_INVALID;
            Format::Half.zero(n.sign)
        }
        Class::Infinity if env.flag => {
            flags |= FP_INVALID;
            Format::Half.zero(n.sign) | 0x7fff
        }
        Class::Quiet | Class::Signalling | Class::Infinity | Class::Zero | Class::Finite => {
            let to = if env.flag { Format::Alternative } else { Format::Half };
            reformat(from, to, n, env.of_half(), &mut flags)
        }
    };
    (bits, flags)
}

/// The integer nearest to `n * 2^frac` by the rounding mode, its sign apart; whether bits were lost. Magnitudes from
/// 2^64 on are `u128::MAX`.
fn integer(n: Number, frac: u8, env: Env) -> (u128, bool) {
    match n.class {
        Class::Zero | Class::Quiet | Class::Signalling => (0, false),
        Class::Infinity => (u128::MAX, false),
        Class::Finite if n.exp + frac as i32 > 64 => (u128::MAX, false),
        Class::Finite => {
            let (int, rem) = split(n.sig as u128, 63 - n.exp - frac as i32);
            let up = rounds_up(env.round, n.sign, int & 1 != 0, rem);
            (int + up as u128, rem != 0)
        }
    }
}

/// `FPToFixed`, signed: `a * 2^frac` as an integer of `bits` bits (32 or 64; two's complement, zero-extended).
/// Saturates; a NaN gives 0; both are invalid. Inexact is raised only with `env.flag`. Of x86 what is invalid gives the least
/// number, "integer indefinite".
pub fn to_signed(f: Format, a: u64, bits: u32, frac: u8, env: Env) -> (u64, u32) {
    let mask = u64::MAX >> (64 - bits);
    let limit = 1u128 << (bits - 1);
    let (int, flags) = fixed(f, a, frac, env, |sign, int| match sign {
        true if int <= limit => Ok((int as u64).wrapping_neg() & mask),
        true => Err(limit as u64),
        false if int < limit => Ok(int as u64),
        false => Err((limit - 1) as u64),
    });
    let indefinite = env.x86.is_some() && flags & FP_INVALID != 0;
    (if indefinite { limit as u64 } else { int }, flags)
}

/// `FPToFixed`, unsigned: as [`to_signed`]; negative results saturate to 0.
pub fn to_unsigned(f: Format, a: u64, bits: u32, frac: u8, env: Env) -> (u64, u32) {
    let mask = u64::MAX >> (64 - bits);
    fixed(f, a, frac, env, |sign, int| match sign {
        true if int == 0 => Ok(0),
        true => Err(0),
        false if int <= mask as u128 => Ok(int as u64),
        false => Err(mask),
    })
}

fn fixed(f: Format, a: u64, frac: u8, env: Env, fit: impl Fn(bool, u128) -> Result<u64, u64>) -> (u64, u32) {
    let mut flags = 0;
    let n = unpack(f, a, env, &mut flags);
    if n.is_nan() {
        invalid(f, env, &mut flags);
        return (0, flags);
    }
    let (int, inexact) = integer(n, frac, env);
    match fit(n.sign, int) {
        Err(limit) => (limit, flags | FP_INVALID),
        Ok(int) if inexact && env.flag => (int, flags | FP_INEXACT),
        Ok(int) => (int, flags),
    }
}

/// `FPRoundInt`: the integral number nearest to `a` by the rounding mode. Inexact is raised only with `env.flag`.
pub fn round_to_integral(f: Format, a: u64, env: Env) -> (u64, u32) {
    let mut flags = 0;
    let n = unpack(f, a, env, &mut flags);
    let bits = match n.class {
        Class::Quiet | Class::Signalling => quieted(f, n, env, &mut flags),
        Class::Infinity => f.infinity(n.sign),
        Class::Zero => f.zero(n.sign),
        Class::Finite if n.exp >= f.frac() as i32 => a,
        Class::Finite => {
            let (int, inexact) = integer(n, 0, env);
            if inexact && env.flag {
                flags |= FP_INEXACT;
            }
            match int {
                0 => f.zero(n.sign),
                _ => round(f, n.sign, 0, int, env, &mut flags),
            }
        }
    };
    (bits, flags)
}

/// `FixedToFP`, signed: `a * 2^-frac`, `a` of `bits` bits (32 or 64).
pub fn from_signed(f: Format, a: u64, bits: u32, frac: u8, env: Env) -> (u64, u32) {
    let a = ((a << (64 - bits)) as i64) >> (64 - bits);
    float(f, a < 0, a.unsigned_abs(), frac, env)
}

/// `FixedToFP`, unsigned: `a * 2^-frac`, `a` of `bits` bits (32 or 64).
pub fn from_unsigned(f: Format, a: u64, bits: u32, frac: u8, env: Env) -> (u64, u32) {
    float(f, false, a & u64::MAX >> (64 - bits), frac, env)
}

fn float(f: Format, sign: bool, magnitude: u64, frac: u8, env: Env) -> (u64, u32) {
    let mut flags = 0;
    if magnitude == 0 {
        return (0, 0);
    }
    let bits = round(f, sign, -(frac as i32), magnitude as u128, env, &mut flags);
    (bits, flags)
}
