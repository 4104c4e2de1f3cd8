//! Functions of numbers that translated code calls: see [`crate::calls`]. Each takes its arguments zero-extended.

pub mod crypto;
pub mod lanes;
pub mod text;

use emu_ir::{STATUS_AUXILIARY, STATUS_CARRY};

fn pair(a: &[u128; 4]) -> u128 {
    a[0] & u128::from(u64::MAX) | a[1] << 64
}
/// [`crate::calls::DIV`]; by 0, and where the quotient does not fit, anything.
pub fn div(a: &[u128; 4]) -> u128 {
    let (dividend, divisor) = (pair(a), a[2].max(1));
    let (quotient, remainder) = (dividend / divisor, dividend % divisor);
    quotient & u128::from(u64::MAX) | remainder << 64
}
/// Quotient and remainder; by 0, and of the smallest number by -1, none.
fn divided(a: &[u128; 4]) -> Option<(i128, i128)> {
    let (dividend, divisor) = (pair(a) as i128, i128::from(a[2] as u64 as i64));
    Some((dividend.checked_div(divisor)?, dividend.checked_rem(divisor)?))
}
/// [`crate::calls::IDIV_FITS`].
pub fn idiv_fits(a: &[u128; 4]) -> u128 {
    let fits = divided(a).is_some_and(|(quotient, _)| i64::try_from(quotient).is_ok());
    fits.into()
}
/// [`crate::calls::IDIV`]; where the quotient does not fit, anything.
pub fn idiv(a: &[u128; 4]) -> u128 {
    let (quotient, remainder) = divided(a).unwrap_or_default();
    quotient as u128 & u128::from(u64::MAX) | (remainder as u128) << 64
}

/// A number of `width` bits and the carry above it, rotated left by `n` places of `width + 1`.
fn rotated(number: u64, width: u32, carry: u64, n: u32) -> u128 {
    let (all, mask) = (
        u128::from(number) | u128::from(carry & 1) << width,
        (1u128 << (width + 1)) - 1,
    );
    let n = n % (width + 1);
    let turned = (all << n | all >> (width + 1 - n)) & mask;
    let number = turned & (mask >> 1);
    number | (turned >> width) << 64
}
fn arguments(a: &[u128; 4]) -> (u64, u32, u64, u32) {
    let how = a[1] as u64;
    // Widths are 8 to 64, counts below 64.
    let width = (how as u32 & 0xff).clamp(8, 64);
    (a[0] as u64, width, a[2] as u64, (how >> 8) as u32 & 63)
}
/// [`crate::calls::RCL`].
pub fn rcl(a: &[u128; 4]) -> u128 {
    let (number, width, carry, n) = arguments(a);
    rotated(number, width, carry, n)
}
/// [`crate::calls::RCR`].
pub fn rcr(a: &[u128; 4]) -> u128 {
    let (number, width, carry, n) = arguments(a);
    rotated(number, width, carry, width + 1 - n % (width + 1))
}

/// [`crate::calls::DECIMAL`]: AL, CF and AF at their places in the status flags above it.
pub fn decimal(a: &[u128; 4]) -> u128 {
    let (old, status, subtract) = (a[0] as u8, a[1] as u16, a[2] != 0);
    let (carried, auxiliary) = (status & STATUS_CARRY != 0, status & STATUS_AUXILIARY != 0);
    let by = |al: u8, n: u8| {
        if subtract {
            al.wrapping_sub(n)
        } else {
            al.wrapping_add(n)
        }
    };
    let (mut al, mut flags) = (old, 0);
    if old & 15 > 9 || auxiliary {
        // Of DAS, a borrow of the low digit is one of all (SDM 2, DAS).
        let borrows = if subtract { old < 6 } else { old > 0xf9 };
        al = by(al, 6);
        flags |= STATUS_AUXILIARY | if carried || borrows { STATUS_CARRY } else { 0 };
    }
    if old > 0x99 || carried {
        al = by(al, 0x60);
        flags |= STATUS_CARRY;
    } else if !subtract {
        flags &= !STATUS_CARRY;
    }
    u128::from(al) | u128::from(flags) << 8
}

/// [`crate::calls::CRC32`].
pub fn crc32(a: &[u128; 4]) -> u128 {
    let (sum, data, bytes) = (a[0] as u32, a[1] as u64, (a[2] as usize).min(8));
    let step = |sum: u32| (sum >> 1) ^ if sum & 1 != 0 { 0x82f6_3b78 } else { 0 };
    let data = data.to_le_bytes();
    let all = data.iter().take(bytes);
    let sum = all.fold(sum, |sum, &byte| (0..8).fold(sum ^ u32::from(byte), |sum, _| step(sum)));
    sum.into()
}

/// The numbers of the set bits of a mask, from the lowest.
fn places(mut mask: u64) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let lowest = (mask != 0).then(|| mask.trailing_zeros())?;
        mask &= mask - 1;
        Some(lowest)
    })
}
/// [`crate::calls::PEXT`].
pub fn pext(a: &[u128; 4]) -> u128 {
    let [number, mask] = [a[0] as u64, a[1] as u64];
    let bits = places(mask).enumerate().map(|(k, at)| (number >> at & 1) << k);
    bits.sum::<u64>().into()
}
/// [`crate::calls::PDEP`].
pub fn pdep(a: &[u128; 4]) -> u128 {
    let [number, mask] = [a[0] as u64, a[1] as u64];
    let bits = places(mask).enumerate().map(|(k, at)| (number >> k & 1) << at);
    bits.sum::<u64>().into()
}

/// The sign of a single.
const SIGN: u32 = 1 << 31;
/// Infinity as a single.
const INFINITY: u32 = 0x7f80_0000;
/// What makes a NaN quiet.
const QUIET: u32 = 1 << 22;

/// Four singles, each something of one of four, but for NaNs, which become quiet, and zeros and denormals, which become infinite.
fn singles(all: u128, f: impl Fn(u32) -> u32) -> u128 {
    let one = |x: u32| match x & !SIGN {
        nan if nan > INFINITY => x | QUIET,
        0..0x0080_0000 => x & SIGN | INFINITY,
        _ => f(x),
    };
    (0..4).fold(0, |v, i| v | u128::from(one((all >> (32 * i)) as u32)) << (32 * i))
}
/// The nearest number of twelve bits of fraction; tiny ones are zeros.
fn estimate(x: f64) -> u32 {
    let bits = (x as f32).to_bits();
    if x.abs() < f64::from(f32::MIN_POSITIVE) {
        return bits & SIGN;
    }
    (bits + 0x400) & !0x7ff
}
/// [`crate::calls::RCPPS`]: an estimate that is the same on every host, as near as SDM 2 says of RCPPS.
pub fn rcpps(a: &[u128; 4]) -> u128 {
    singles(a[0], |x| estimate(1.0 / f64::from(f32::from_bits(x))))
}
/// [`crate::calls::RSQRTPS`]: the same as SDM 2 says of RSQRTPS.
pub fn rsqrtps(a: &[u128; 4]) -> u128 {
    singles(a[0], |x| match x & SIGN {
        0 => estimate(1.0 / f64::from(f32::from_bits(x)).sqrt()),
        _ => SIGN | INFINITY | QUIET,
    })
}
