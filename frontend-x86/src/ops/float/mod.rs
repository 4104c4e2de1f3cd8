//! Floating point of SSE and AVX (SDM 1, 5.5 to 5.15; what it computes with, 4.8 and 11.5).
//!
//! What an operation gives for NaNs, zeros and denormals is the IR's business, by the layout's rules; what is left here is which
//! lanes of which operands it is of.

pub(super) mod control;
pub(super) mod conversion;
pub(super) mod fused;
pub(super) mod number;
pub(super) mod relation;

use crate::tx::Tx;
use emu_ir::{Lane, Ty, Val};

/// A lane of integers as wide as one of floats.
fn bits(e: Lane) -> Lane {
    match e {
        Lane::F64 => Lane::I64,
        _ => Lane::I32,
    }
}
/// The sign of a lane of floats.
const fn sign(e: Lane) -> u64 {
    1 << (e.bits() - 1)
}
/// A V64 or V128 of floats whose signs are flipped where a mask has them set, but of no NaN: it propagates as it is.
fn flipped(t: &mut Tx, e: Lane, v: Val, signs: u128) -> Val {
    let ty = t.b.ty(v);
    let infinity = match e {
        Lane::F64 => f64::INFINITY.to_bits(),
        _ => f32::INFINITY.to_bits().into(),
    };
    let (magnitudes, infinity) = (t.splat(ty, e, sign(e) - 1), t.splat(ty, e, infinity));
    let magnitude = t.b.and(v, magnitudes);
    let is_nan = t.b.vgt_s(bits(e), magnitude, infinity);
    let signs = t.b.vec(ty, signs);
    let signs = t.b.and_not(signs, is_nan);
    t.b.xor(v, signs)
}
/// The signs of the lanes of a V128 whose numbers have a remainder by 2: of all, `None`.
fn signs(e: Lane, odd: Option<bool>) -> u128 {
    let lanes = 128 / e.bits();
    let chosen = (0..lanes).filter(|lane| odd.is_none_or(|odd| (lane & 1 != 0) == odd));
    chosen.fold(0, |all, lane| all | u128::from(sign(e)) << (lane * e.bits()))
}
/// Two of 64 bits as a V128.
fn pair(t: &mut Tx, low: Val, high: Val) -> Val {
    let (low, high) = (t.v64(low), t.v64(high));
    t.b.vconcat(low, high)
}
/// The low 64 bits of a vector.
fn low(t: &mut Tx, v: Val) -> Val {
    match t.b.ty(v) {
        Ty::V128 => t.b.vhalf(v, false),
        _ => v,
    }
}
/// Lanes of a vector as scalars, from the lowest.
fn lanes(t: &mut Tx, v: Val, ty: Ty, count: u8) -> Vec<Val> {
    (0..count).map(|i| t.b.vget_lane(ty, v, i)).collect()
}
/// Scalars as lanes of a vector, the others zero.
fn vector_of(t: &mut Tx, ty: Ty, lanes: &[Val]) -> Val {
    let zero = t.b.vec(ty, 0);
    let numbered = lanes.iter().zip(0..);
    numbered.fold(zero, |v, (&lane, i)| t.b.vset_lane(v, lane, i))
}
