//! Vector operations. A vector is the concatenation of its lanes, lane 0 lowest.

use emu_ir::{Lane, Ty};

#[inline]
fn lane_mask(bits: u32) -> u64 {
    u64::MAX >> (64 - bits)
}

/// Lane `i` of `bits` bits.
#[inline]
pub(super) fn lane(a: u128, bits: u32, i: u32) -> u64 {
    (a >> (i * bits)) as u64 & lane_mask(bits)
}

/// The signed value of a lane.
#[inline]
pub(super) fn signed(bits: u32, a: u64) -> i64 {
    ((a << (64 - bits)) as i64) >> (64 - bits)
}

/// `a` with lane `i` replaced.
#[inline]
pub(super) fn set_lane(a: u128, bits: u32, i: u32, b: u128) -> u128 {
    let at = i * bits;
    a & !((lane_mask(bits) as u128) << at) | (b & lane_mask(bits) as u128) << at
}

/// `f` of each lane.
#[inline]
pub(super) fn map(ty: Ty, e: Lane, a: u128, mut f: impl FnMut(u64) -> u64) -> u128 {
    zip(ty, e, a, 0, |x, _| f(x))
}

/// `f` of each pair of lanes; only the low bits of its result count.
#[inline]
pub(super) fn zip(ty: Ty, e: Lane, a: u128, b: u128, mut f: impl FnMut(u64, u64) -> u64) -> u128 {
    let bits = e.bits();
    let mut out = 0;
    for i in 0..ty.bits() / bits {
        let r = f(lane(a, bits, i), lane(b, bits, i)) & lane_mask(bits);
        out |= (r as u128) << (i * bits);
    }
    out
}

/// As [`zip`], on signed lane values.
#[inline]
pub(super) fn zip_s(ty: Ty, e: Lane, a: u128, b: u128, mut f: impl FnMut(i64, i64) -> i64) -> u128 {
    let bits = e.bits();
    zip(ty, e, a, b, |x, y| f(signed(bits, x), signed(bits, y)) as u64)
}

/// As [`zip`]: all ones where `f` holds, else zero.
#[inline]
pub(super) fn test(ty: Ty, e: Lane, a: u128, b: u128, mut f: impl FnMut(u64, u64) -> bool) -> u128 {
    zip(ty, e, a, b, |x, y| if f(x, y) { u64::MAX } else { 0 })
}

/// Saturating lanewise `f` on the unsigned (or `s`igned) values.
#[inline]
pub(super) fn saturating(ty: Ty, e: Lane, s: bool, a: u128, b: u128, f: impl Fn(i128, i128) -> i128) -> u128 {
    let bits = e.bits();
    zip(ty, e, a, b, |x, y| match s {
        true => clamp_s(bits, f(signed(bits, x) as i128, signed(bits, y) as i128)),
        false => clamp_u(bits, f(x as i128, y as i128)),
    })
}

fn clamp_s(bits: u32, v: i128) -> u64 {
    let top = (1i128 << (bits - 1)) - 1;
    v.clamp(-top - 1, top) as u64
}

fn clamp_u(bits: u32, v: i128) -> u64 {
    v.clamp(0, lane_mask(bits) as i128) as u64
}

/// V64 x V64 to V128: `f` of each pair of lanes `e` at twice the width.
#[inline]
pub(super) fn widen(e: Lane, a: u128, b: u128, f: impl Fn(u64, u64) -> u64) -> u128 {
    let (bits, wide) = (e.bits(), e.bits() * 2);
    let mut out = 0;
    for i in 0..64 / bits {
        let r = f(lane(a, bits, i), lane(b, bits, i)) & lane_mask(wide);
        out |= (r as u128) << (i * wide);
    }
    out
}

/// V128 to V64: `f` of each lane of twice the width of `e`.
#[inline]
pub(super) fn narrow(e: Lane, a: u128, f: impl Fn(u64) -> u64) -> u128 {
    let (bits, wide) = (e.bits(), e.bits() * 2);
    let mut out = 0;
    for i in 0..64 / bits {
        let r = f(lane(a, wide, i)) & lane_mask(bits);
        out |= (r as u128) << (i * bits);
    }
    out
}

pub(super) fn narrow_ss(e: Lane, a: u128) -> u128 {
    narrow(e, a, |x| clamp_s(e.bits(), signed(e.bits() * 2, x) as i128))
}

pub(super) fn narrow_su(e: Lane, a: u128) -> u128 {
    narrow(e, a, |x| clamp_u(e.bits(), signed(e.bits() * 2, x) as i128))
}

pub(super) fn narrow_uu(e: Lane, a: u128) -> u128 {
    narrow(e, a, |x| clamp_u(e.bits(), x as i128))
}

#[inline]
pub(super) fn shl(bits: u32, x: u64, n: u64) -> u64 {
    if n < bits as u64 { x << n } else { 0 }
}

#[inline]
pub(super) fn shr_u(bits: u32, x: u64, n: u64) -> u64 {
    if n < bits as u64 { x >> n } else { 0 }
}

#[inline]
pub(super) fn shr_s(bits: u32, x: u64, n: u64) -> u64 {
    (signed(bits, x) >> n.min(63)) as u64
}

pub(super) fn dup(ty: Ty, e: Lane, a: u128) -> u128 {
    map(ty, e, 0, |_| a as u64)
}

/// Bytes picked by `pattern` from `a` (0..=15) and `b` (16..=31); others give 0.
pub(super) fn perm(ty: Ty, a: u128, b: u128, pattern: u128) -> u128 {
    let (a, b) = (a.to_le_bytes(), b.to_le_bytes());
    map(ty, Lane::I8, pattern, |k| match k {
        0..=15 => a[k as usize] as u64,
        16..=31 => b[k as usize - 16] as u64,
        _ => 0,
    })
}

/// Bytes of the table `a` picked by the bytes of `idx`; 0 past the table.
pub(super) fn lookup(ty: Ty, a: u128, idx: u128) -> u128 {
    perm(ty, a, 0, idx)
}

/// Bytes of the table `a` picked by the low four bits of those of `idx`; 0 where bit 7 is set.
pub(super) fn shuffle(ty: Ty, a: u128, idx: u128) -> u128 {
    perm(ty, a, 0, idx & u128::from_le_bytes([0x8f; 16]))
}

/// Sums of neighbouring products of 16 bits.
pub(super) fn mul_add(ty: Ty, a: u128, b: u128) -> u128 {
    zip(ty, Lane::I32, a, b, |x, y| {
        let product = |shift: u32| signed(16, x >> shift & 0xffff) * signed(16, y >> shift & 0xffff);
        (product(0) + product(16)) as u64
    })
}

/// Sums of neighbouring products of unsigned and signed bytes.
pub(super) fn mul_add_us(ty: Ty, a: u128, b: u128) -> u128 {
    zip(ty, Lane::I16, a, b, |x, y| {
        let product = |shift: u32| (x >> shift & 0xff) as i64 * signed(8, y >> shift & 0xff);
        clamp_s(16, i128::from(product(0) + product(8)))
    })
}

/// Sums of eight differences of bytes.
pub(super) fn sum_abs_diff(ty: Ty, a: u128, b: u128) -> u128 {
    zip(ty, Lane::I64, a, b, |x, y| {
        let pairs = x.to_le_bytes().into_iter().zip(y.to_le_bytes());
        pairs.map(|(x, y)| u64::from(x.abs_diff(y))).sum()
    })
}

/// Lanes of two vectors narrowed by `f`, which is given a V128.
pub(super) fn pack(ty: Ty, a: u128, b: u128, f: impl Fn(u128) -> u128) -> u128 {
    match ty {
        Ty::V64 => f(a | b << 64),
        _ => f(a) | f(b) << 64,
    }
}

/// The sign bits of lanes.
pub(super) fn signs(ty: Ty, e: Lane, a: u128) -> u64 {
    let bits = e.bits();
    (0..ty.bits() / bits).fold(0, |all, i| all | (lane(a, bits, i) >> (bits - 1)) << i)
}

/// The product of polynomials over {0, 1}, by four bits at once.
#[expect(clippy::indexing_slicing, reason = "four bits are within 16")]
pub(super) fn mul_poly(a: u64, b: u64) -> u128 {
    let mut multiples = [0; 16];
    for k in 1..16 {
        multiples[k] = multiples[k >> 1] << 1 ^ if k & 1 != 0 { u128::from(b) } else { 0 };
    }
    (0..16)
        .rev()
        .fold(0, |sum, k| sum << 4 ^ multiples[(a >> (4 * k)) as usize & 15])
}
