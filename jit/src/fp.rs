//! Software floating point, exact in results and cumulative flags, in every rounding mode.
//!
//! Semantics are those of the Arm architecture (ARM DDI 0406C, A2.7 "Floating-point data types and arithmetic", the
//! pseudocode `FPUnpack`, `FPRound`, `FPProcessNaN(s)` and the operations built on them): tininess is detected before
//! rounding, denormal inputs and results flush on demand, NaNs propagate by operand order with signalling ones first. With
//! [`Env::x86`] they are SSE's (SDM 1, 4.8.3.4 "Operating on SNaNs and QNaNs", 4.9.1 and 11.5.2): tininess is detected after
//! rounding, the first operand that is a NaN propagates, the default NaN is negative, denormal operands are told of.
//!
//! Why own code: the crates that could do the core each miss something that is part of the result here. rustc_apfloat
//! has no square root and cannot tell underflow before rounding from after; the Berkeley SoftFloat bindings fix NaN
//! rules and tininess when the C library is built, keep rounding mode and flags in C globals, and need a C compiler
//! and libclang. The core is small: unpack to a normalised significand, compute in 128 bits, [`round`] once.
//!
//! Every function takes bit patterns (zero-extended to 64 bits) and an [`Env`], and returns bits and the flags it raised
//! ([`FP_INVALID`] …).

mod arith;
mod compare;
mod convert;
mod fused;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;

pub use arith::{add, div, mul, sqrt, sub};
pub use compare::{compare, eq, ge, gt, le, lt, max, min, relation, unordered};
pub use convert::{convert, from_half, from_signed, from_unsigned, round_to_integral, to_half, to_signed, to_unsigned};
pub use fused::mul_add;

use emu_ir::{FP_DENORMAL, FP_INEXACT, FP_INVALID, FP_OVERFLOW, FP_UNDERFLOW, Fenv, Round, Ty};

/// A [`Fenv`] with what else operations depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Env {
    /// The rounding mode, which is not the current one.
    pub round: Round,
    /// [`Fenv::flush`].
    pub flush: bool,
    /// [`Fenv::default_nan`].
    pub default_nan: bool,
    /// [`Fenv::flag`].
    pub flag: bool,
    /// The rules are x86's.
    pub x86: Option<X86>,
}

/// What x86's operations depend on besides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct X86 {
    /// Denormal operands are zeros.
    pub daz: bool,
    /// Tiny results become zeros: nothing where underflow is not masked.
    pub ftz: bool,
    /// The flags whose exceptions are not masked, as far as results are to tell: see [`Round::Unmasked`].
    pub unmasked: u32,
}

impl X86 {
    const DAZ: u32 = 1 << 6;
    const FTZ: u32 = 1 << 15;

    /// Of MXCSR, for an operation that tells of exceptions that are not masked, or one that does not.
    pub const fn of(mxcsr: u32, traps: bool) -> X86 {
        let unmasked = !(mxcsr >> 7) & 0x3f;
        X86 {
            daz: mxcsr & X86::DAZ != 0,
            ftz: mxcsr & X86::FTZ != 0 && unmasked & FP_UNDERFLOW == 0,
            unmasked: if traps { unmasked } else { 0 },
        }
    }
    /// They at their places in MXCSR, of which the flags and masks are not told.
    pub const fn to_mxcsr(self) -> u32 {
        (if self.daz { X86::DAZ } else { 0 }) | if self.ftz { X86::FTZ } else { 0 }
    }
}

impl Env {
    /// Denormal operands of a format are zeros.
    fn zeroes(self, f: Format) -> bool {
        match self.x86 {
            Some(x86) => x86.daz && f != Format::Half,
            None => self.flush,
        }
    }
    /// The default NaN, which is negative of x86.
    fn default_nan_of(self, f: Format) -> u64 {
        f.default_nan() | f.zero(self.x86.is_some())
    }
    fn is_unmasked(self, flag: u32) -> bool {
        self.x86.is_some_and(|x86| x86.unmasked & flag != 0)
    }
    /// It leaves half precision's denormals as they are.
    fn of_half(self) -> Env {
        Env {
            flush: false,
            x86: self.x86.map(|x86| X86 { ftz: false, ..x86 }),
            ..self
        }
    }
}

/// An interchange format of IEEE 754.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// binary16.
    Half,
    /// Arm's alternative format of 16 bits, which numbers are rounded to: it has no infinities and NaNs.
    Alternative,
    /// binary32.
    Single,
    /// binary64.
    Double,
}

impl Format {
    /// The format of a float type or lane: F32 is single; every other type counts as double.
    pub const fn of(ty: Ty) -> Format {
        if matches!(ty, Ty::F32) {
            Format::Single
        } else {
            Format::Double
        }
    }
    /// Explicit fraction bits.
    const fn frac(self) -> u32 {
        match self {
            Format::Half | Format::Alternative => 10,
            Format::Single => 23,
            Format::Double => 52,
        }
    }
    /// The exponent field of infinities and NaNs.
    const fn top(self) -> u32 {
        match self {
            Format::Half | Format::Alternative => 31,
            Format::Single => 255,
            Format::Double => 2047,
        }
    }
    /// The exponent of the smallest normal number.
    const fn min_exp(self) -> i32 {
        1 - (self.top() / 2) as i32
    }
    const fn sign_bit(self) -> u64 {
        match self {
            Format::Half | Format::Alternative => 1 << 15,
            Format::Single => 1 << 31,
            Format::Double => 1 << 63,
        }
    }
    const fn quiet_bit(self) -> u64 {
        1 << (self.frac() - 1)
    }
    const fn zero(self, sign: bool) -> u64 {
        if sign { self.sign_bit() } else { 0 }
    }
    const fn infinity(self, sign: bool) -> u64 {
        self.zero(sign) | (self.top() as u64) << self.frac()
    }
    const fn largest(self, sign: bool) -> u64 {
        self.infinity(sign) - 1
    }
    /// 2 to the power of `n`, which is a normal number. The host's `powi` need not be exact.
    pub const fn power_of_two(self, n: i32) -> u64 {
        ((n + (self.top() / 2) as i32) as u64) << self.frac()
    }
    /// The default NaN: positive, quiet, no payload.
    pub const fn default_nan(self) -> u64 {
        self.infinity(false) | self.quiet_bit()
    }
}

/// An environment when the guest's current rounding mode (0 to 3, as in [`Layout::fp_round`](emu_ir::Layout)) is `current`, and
/// if the rules are x86's, its MXCSR that.
#[inline]
pub fn resolve(env: Fenv, current: u32, mxcsr: Option<u32>) -> Env {
    let round = match env.round {
        Round::Current | Round::Unmasked => match current & 3 {
            0 => Round::Nearest,
            1 => Round::Down,
            2 => Round::Up,
            _ => Round::Zero,
        },
        Round::Nearest | Round::Down | Round::Up | Round::Zero | Round::Away => env.round,
    };
    Env {
        round,
        flush: env.flush,
        default_nan: env.default_nan,
        flag: env.flag,
        x86: mxcsr.map(|mxcsr| X86::of(mxcsr, env.round == Round::Unmasked)),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Zero,
    Finite,
    Infinity,
    Quiet,
    Signalling,
}

/// An unpacked operand. Finite: the value is `sig * 2^(exp - 63)`, bit 63 of `sig` set. NaN: `sig` is its bits.
#[derive(Clone, Copy, Debug)]
struct Number {
    sign: bool,
    class: Class,
    exp: i32,
    sig: u64,
    /// It is denormal, and not flushed.
    denormal: bool,
}

impl Number {
    const fn is_nan(self) -> bool {
        matches!(self.class, Class::Quiet | Class::Signalling)
    }
    fn is_zero(self) -> bool {
        self.class == Class::Zero
    }
    fn is_inf(self) -> bool {
        self.class == Class::Infinity
    }
}

/// `FPUnpack`: raises [`FP_DENORMAL`] for an input it flushes, but not of half precision, which is unpacked as the IEEE
/// format.
#[inline]
fn unpack(f: Format, bits: u64, env: Env, flags: &mut u32) -> Number {
    let sign = bits & f.sign_bit() != 0;
    let exp = (bits >> f.frac()) as u32 & f.top();
    let frac = bits & ((1 << f.frac()) - 1);
    let denormal = exp == 0 && frac != 0 && !env.zeroes(f);
    let (class, exp, sig) = if exp == f.top() {
        match frac {
            0 => (Class::Infinity, 0, 0),
            n if n & f.quiet_bit() != 0 => (Class::Quiet, 0, bits),
            _ => (Class::Signalling, 0, bits),
        }
    } else if exp != 0 {
        let sig = (frac | 1 << f.frac()) << (63 - f.frac());
        (Class::Finite, exp as i32 - 1 + f.min_exp(), sig)
    } else if frac == 0 {
        (Class::Zero, 0, 0)
    } else if !denormal {
        if f != Format::Half && env.x86.is_none() {
            *flags |= FP_DENORMAL;
        }
        (Class::Zero, 0, 0)
    } else {
        let lead = frac.leading_zeros();
        (
            Class::Finite,
            f.min_exp() + 63 - f.frac() as i32 - lead as i32,
            frac << lead,
        )
    };
    Number {
        sign,
        class,
        exp,
        sig,
        denormal,
    }
}

/// Of x86, that there are denormal operands: told of where an operation is neither invalid nor has a NaN.
#[inline]
fn denormals(operands: &[Number], env: Env, flags: &mut u32) {
    if env.x86.is_some() && operands.iter().any(|n| n.denormal) {
        *flags |= FP_DENORMAL;
    }
}

/// `FPProcessNaN`: a NaN operand as a result.
fn quieted(f: Format, n: Number, env: Env, flags: &mut u32) -> u64 {
    if n.class == Class::Signalling {
        *flags |= FP_INVALID;
    }
    if env.default_nan {
        env.default_nan_of(f)
    } else {
        n.sig | f.quiet_bit()
    }
}

/// `FPProcessNaNs` and `FPProcessNaNs3`: the first signalling, else the first quiet operand; of x86 the first of either kind.
#[inline]
fn propagate(f: Format, operands: &[Number], env: Env, flags: &mut u32) -> Option<u64> {
    let first = operands.iter().find(|n| n.is_nan())?;
    let signalling = operands.iter().find(|n| n.class == Class::Signalling);
    if env.x86.is_some() {
        *flags |= if signalling.is_some() { FP_INVALID } else { 0 };
        return Some(quieted(f, *first, env, flags));
    }
    Some(quieted(f, *signalling.unwrap_or(first), env, flags))
}

fn invalid(f: Format, env: Env, flags: &mut u32) -> u64 {
    *flags |= FP_INVALID;
    env.default_nan_of(f)
}

/// Whether the magnitude `int + rem / 2^128` rounds away from zero.
#[inline]
fn rounds_up(round: Round, sign: bool, odd: bool, rem: u128) -> bool {
    const HALF: u128 = 1 << 127;
    match round {
        Round::Nearest | Round::Current | Round::Unmasked => rem > HALF || (rem == HALF && odd),
        Round::Away => rem >= HALF,
        Round::Down => sign && rem != 0,
        Round::Up => !sign && rem != 0,
        Round::Zero => false,
    }
}

/// Integer and fraction (in units of 2^-128) of `sig * 2^-drop`; what lies below is kept as a sticky bit. For a
/// negative `drop` the integer must fit.
#[inline]
fn split(sig: u128, drop: i32) -> (u128, u128) {
    match drop {
        ..=0 => (sig << -drop, 0),
        1..=127 => (sig >> drop, sig << (128 - drop)),
        128 => (0, sig),
        129.. => (0, 1),
    }
}

/// What rounding would be if numbers had no least exponent: of x86, which judges tininess after it.
struct Unbounded {
    tiny: bool,
    /// The flag, if it is.
    inexact: u32,
}

impl Unbounded {
    fn of(f: Format, sign: bool, (e, exp): (i32, i32), sig: u128, env: Env) -> Unbounded {
        let (int, rem) = split(sig, e - f.frac() as i32 - exp);
        let up = rounds_up(env.round, sign, int & 1 != 0, rem);
        let carries = (int as u64 + u64::from(up)) >> (f.frac() + 1) != 0;
        Unbounded {
            tiny: e + i32::from(carries) < f.min_exp(),
            inexact: if rem != 0 { FP_INEXACT } else { 0 },
        }
    }
}

/// `FPRound` of `sig * 2^exp`, `sig` not 0. The lowest bit of `sig` may be sticky if at least two bits below the
/// format's precision are kept.
#[inline]
fn round(f: Format, sign: bool, exp: i32, sig: u128, env: Env, flags: &mut u32) -> u64 {
    let e = exp + 127 - sig.leading_zeros() as i32;
    if env.flush && e < f.min_exp() && env.x86.is_none() {
        *flags |= FP_UNDERFLOW;
        return f.zero(sign);
    }
    let field = (e - f.min_exp() + 1).max(0);
    let (int, rem) = split(sig, e.max(f.min_exp()) - f.frac() as i32 - exp);
    if let Some(x86) = env.x86 {
        let free = Unbounded::of(f, sign, (e, exp), sig, env);
        if free.tiny && x86.ftz {
            *flags |= FP_UNDERFLOW | FP_INEXACT;
            return f.zero(sign);
        }
        if free.tiny && env.is_unmasked(FP_UNDERFLOW) {
            *flags |= FP_UNDERFLOW | free.inexact;
            return f.zero(sign);
        }
        if free.tiny && rem != 0 {
            *flags |= FP_UNDERFLOW;
        }
    } else if field == 0 && rem != 0 {
        *flags |= FP_UNDERFLOW;
    }
    let int = int as u64 + rounds_up(env.round, sign, int & 1 != 0, rem) as u64;
    // The implicit bit, and a carry out of the fraction, add into the exponent field.
    let bits = (((field - 1).max(0) as u64) << f.frac()) + int;
    if f == Format::Alternative {
        if bits >= f.sign_bit() {
            *flags |= FP_INVALID;
            return f.zero(sign) | (f.sign_bit() - 1);
        }
    } else if bits >> f.frac() >= f.top() as u64 {
        let exact = env.is_unmasked(FP_OVERFLOW) && rem == 0;
        *flags |= FP_OVERFLOW | if exact { 0 } else { FP_INEXACT };
        let to_infinity = match env.round {
            Round::Nearest | Round::Away | Round::Current | Round::Unmasked => true,
            Round::Up => !sign,
            Round::Down => sign,
            Round::Zero => false,
        };
        return if to_infinity { f.infinity(sign) } else { f.largest(sign) };
    }
    if rem != 0 {
        *flags |= FP_INEXACT;
    }
    f.zero(sign) | bits
}

/// `sig >> by`, what is shifted out kept as a sticky bit.
#[inline]
fn shift_sticky(sig: u128, by: u32) -> u128 {
    match by {
        0 => sig,
        1..=127 => sig >> by | (sig << (128 - by) != 0) as u128,
        128.. => (sig != 0) as u128,
    }
}

/// The sum of two magnitudes with signs, `sig * 2^exp` each with bit 125 of `sig` set, rounded once. An exact zero is
/// negative only when rounding down.
#[inline]
fn sum(f: Format, a: (bool, i32, u128), b: (bool, i32, u128), env: Env, flags: &mut u32) -> u64 {
    let (big, small) = if (a.1, a.2) >= (b.1, b.2) { (a, b) } else { (b, a) };
    let low = shift_sticky(small.2, (big.1 - small.1) as u32);
    let sig = if big.0 == small.0 { big.2 + low } else { big.2 - low };
    if sig == 0 {
        return f.zero(env.round == Round::Down);
    }
    round(f, big.0, big.1, sig, env, flags)
}
