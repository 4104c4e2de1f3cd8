//! Complex numbers: pairs of lanes, the real part first (Arm ARM DDI 0487, C4.1, "Advanced SIMD three-register extension",
//! "Advanced SIMD vector x indexed element").

use super::super::features::Feature;
use super::super::tx::Tx;
use super::operands::{HALF, element, environment, float_lane, get, require, set, ty};
use crate::vector::int::pick;
use emu_ir::{Builder, Lane, Val, insns};

insns! {
    /// `r` is the rotation, in quarters of a turn.
    COMPLEX: Tx, needs Feature::Fcma;
    "0q 1 01110 1z 0 mmmmm 110rr 1 nnnnn ddddd" => fcmla(q, z, m, r, n, d)
    "0q 1 01110 1z 0 mmmmm 111r0 1 nnnnn ddddd" => fcadd(q, z, m, r, n, d)
    "01 1 01111 10 0 mmmmm 0rr1 i0 nnnnn ddddd" => fcmla_element(m, r, i, n, d)
}

insns! {
    /// Half precision.
    HALVES: Tx, needs Feature::Fp16;
    "0q 1 01110 01 0 mmmmm 110rr 1 nnnnn ddddd" => fcmla(q, {HALF}, m, r, n, d)
    "0q 1 01110 01 0 mmmmm 111r0 1 nnnnn ddddd" => fcadd(q, {HALF}, m, r, n, d)
    "0q 1 01111 01 i mmmmm 0rr1 I0 nnnnn ddddd" => fcmla_element_halves(q, m, r, i, n, d)
}

/// Signs to flip: of the real and of the imaginary parts.
fn signs(b: &mut Builder, q: u32, e: Lane, flip: [bool; 2]) -> Val {
    let (bits, sign) = (e.bits(), 1u128 << (e.bits() - 1));
    let [real, imaginary] = flip.map(|flip| u128::from(flip) * sign);
    let pair = real | imaginary << bits;
    let all = (0..64 / bits).fold(0, |all, k| all | pair << (2 * bits * k));
    b.vec(ty(q), all)
}

/// Parts exchanged.
fn exchanged(b: &mut Builder, e: Lane, v: Val) -> Val {
    pick(b, e, v, v, |k, _| k ^ 1)
}

/// Half precision needs both features.
fn complex_halves(t: &mut Tx, z: u32) -> Option<()> {
    let ok = z != HALF || t.has(Feature::Fcma);
    require(t, ok)
}

/// FCADD: the second operand turned by one quarter, or (`r` = 1) three.
fn fcadd(t: &mut Tx, q: u32, z: u32, m: u32, r: u32, n: u32, d: u32) -> Option<()> {
    let e = float_lane(t, q, z)?;
    complex_halves(t, z)?;
    let (x, y, env) = (get(t, q, e, n), get(t, q, e, m), environment(t, e));
    let (y, flip) = (exchanged(t.b, e, y), signs(t.b, q, e, [r == 0, r == 1]));
    let y = t.b.xor(y, flip);
    let v = t.b.vfadd(e, x, y, env);
    set(t, q, e, d, v);
    Some(())
}

/// `d` plus the second operand, turned, times one part of the first.
fn multiplied(t: &mut Tx, [q, r, d]: [u32; 3], e: Lane, [x, y]: [Val; 2]) {
    let odd = r as usize & 1;
    let part = pick(t.b, e, x, x, |k, _| k & !1 | odd);
    let y = if odd == 1 { exchanged(t.b, e, y) } else { y };
    let flip = match r {
        0 => [false, false],
        1 => [true, false],
        2 => [true, true],
        _ => [false, true],
    };
    let flip = signs(t.b, q, e, flip);
    let (y, c, env) = (t.b.xor(y, flip), get(t, q, e, d), environment(t, e));
    let v = t.b.vfmul_add(e, c, part, y, env);
    set(t, q, e, d, v);
}
/// FCMLA.
fn fcmla(t: &mut Tx, q: u32, z: u32, m: u32, r: u32, n: u32, d: u32) -> Option<()> {
    let e = float_lane(t, q, z)?;
    complex_halves(t, z)?;
    let factors = [n, m].map(|r| get(t, q, e, r));
    multiplied(t, [q, r, d], e, factors);
    Some(())
}
/// FCMLA (by element), single precision: the element is a doubleword.
fn fcmla_element(t: &mut Tx, m: u32, r: u32, i: u32, n: u32, d: u32) {
    let factors = [get(t, 1, Lane::F32, n), element(t, 1, Lane::I64, m, i)];
    multiplied(t, [1, r, d], Lane::F32, factors);
}
/// FCMLA (by element), half precision: the element is a word.
fn fcmla_element_halves(t: &mut Tx, q: u32, m: u32, r: u32, i: u32, n: u32, d: u32) -> Option<()> {
    complex_halves(t, HALF)?;
    require(t, q == 1 || i < 2)?;
    let factors = [get(t, q, Lane::F16, n), element(t, q, Lane::I32, m, i)];
    multiplied(t, [q, r, d], Lane::F16, factors);
    Some(())
}
