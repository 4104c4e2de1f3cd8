//! Integer operations on zero-extended values of a type.

use emu_ir::{Rmw, Ty};

/// All value bits of an integer type.
#[inline]
pub(crate) fn mask(ty: Ty) -> u64 {
    ty.mask() as u64
}

/// The signed value of a zero-extended one.
#[inline]
pub(crate) fn signed(ty: Ty, a: u64) -> i64 {
    let unused = 64 - ty.bits().min(64);
    ((a << unused) as i64) >> unused
}

fn sign_bit(ty: Ty) -> u64 {
    1 << (ty.bits() - 1)
}

pub(super) fn mul_hi_u(ty: Ty, a: u64, b: u64) -> u64 {
    ((a as u128 * b as u128) >> ty.bits()) as u64
}

pub(super) fn mul_hi_s(ty: Ty, a: u64, b: u64) -> u64 {
    ((signed(ty, a) as i128 * signed(ty, b) as i128) >> ty.bits()) as u64 & mask(ty)
}

pub(super) fn div_s(ty: Ty, a: u64, b: u64) -> u64 {
    match b {
        0 => 0,
        b => signed(ty, a).wrapping_div(signed(ty, b)) as u64 & mask(ty),
    }
}

/// What an atomic read-modify-write leaves in memory that held `held`.
pub(crate) fn modify(how: Rmw, ty: Ty, held: u64, a: u64) -> u64 {
    let by = |less: bool, low: bool| if less == low { held } else { a };
    match how {
        Rmw::Add => held.wrapping_add(a) & mask(ty),
        Rmw::And => held & a,
        Rmw::Or => held | a,
        Rmw::Xor => held ^ a,
        Rmw::MinS => by(signed(ty, held) < signed(ty, a), true),
        Rmw::MaxS => by(signed(ty, held) < signed(ty, a), false),
        Rmw::MinU => by(held < a, true),
        Rmw::MaxU => by(held < a, false),
    }
}

#[inline]
pub(super) fn shl(ty: Ty, a: u64, n: u64) -> u64 {
    if n < ty.bits() as u64 { a << n & mask(ty) } else { 0 }
}

#[inline]
pub(super) fn shr_u(ty: Ty, a: u64, n: u64) -> u64 {
    if n < ty.bits() as u64 { a >> n } else { 0 }
}

#[inline]
pub(super) fn shr_s(ty: Ty, a: u64, n: u64) -> u64 {
    (signed(ty, a) >> n.min(63)) as u64 & mask(ty)
}

#[inline]
pub(super) fn rotr(ty: Ty, a: u64, n: u64) -> u64 {
    let n = n % ty.bits() as u64;
    if n == 0 {
        a
    } else {
        (a >> n | a << (ty.bits() as u64 - n)) & mask(ty)
    }
}

#[inline]
pub(super) fn clz(ty: Ty, a: u64) -> u64 {
    a.leading_zeros() as u64 - (64 - ty.bits() as u64)
}

#[inline]
pub(super) fn ctz(ty: Ty, a: u64) -> u64 {
    (a.trailing_zeros()).min(ty.bits()) as u64
}

#[inline]
pub(super) fn bswap(ty: Ty, a: u64) -> u64 {
    a.swap_bytes() >> (64 - ty.bits())
}

#[inline]
pub(super) fn bit_rev(ty: Ty, a: u64) -> u64 {
    a.reverse_bits() >> (64 - ty.bits())
}

/// Signed overflow of `a + b + c`, `c` 0 or 1.
#[inline]
pub(super) fn adc_ovf(ty: Ty, a: u64, b: u64, c: u64) -> bool {
    let sum = a.wrapping_add(b).wrapping_add(c);
    (a ^ sum) & (b ^ sum) & sign_bit(ty) != 0
}

/// Unsigned carry out of `a + b + c`, `c` 0 or 1.
#[inline]
pub(super) fn adc_carry(ty: Ty, a: u64, b: u64, c: u64) -> bool {
    a as u128 + b as u128 + c as u128 > ty.mask()
}

#[inline]
pub(super) fn sub_ovf(ty: Ty, a: u64, b: u64) -> bool {
    (a ^ b) & (a ^ a.wrapping_sub(b)) & sign_bit(ty) != 0
}
