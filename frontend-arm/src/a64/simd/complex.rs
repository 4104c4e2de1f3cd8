//! Complex numbers: pairs of lanes, the real part first (Arm ARM DDI 0487, C4.1, "Advanced SIMD three-register extension",
//! "Advanced SIMD vector x indexed element").

use super::super::features::Feature;
use super::super::tx::Tx;
use super::operands::{HALF, element, environment, float_lane, get, require, set};
use crate::vector::complex;
use emu_ir::{Lane, Val, insns};

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

/// Half precision needs both features.
fn complex_halves(t: &mut Tx, z: u32) -> Option<()> {
    let ok = z != HALF || t.has(Feature::Fcma);
    require(t, ok)
}

/// FCADD: the second operand turned by one quarter, or (`r` = 1) three.
fn fcadd(t: &mut Tx, q: u32, z: u32, m: u32, r: u32, n: u32, d: u32) -> Option<()> {
    let e = float_lane(t, q, z)?;
    complex_halves(t, z)?;
    let (operands, env) = ([n, m].map(|r| get(t, q, e, r)), environment(t, e));
    let v = complex::add_turned(t.b, e, operands, 2 * r + 1, env);
    set(t, q, e, d, v);
    Some(())
}

/// `d` plus the second operand, turned, times one part of the first.
fn multiplied(t: &mut Tx, [q, r, d]: [u32; 3], e: Lane, factors: [Val; 2]) {
    let (c, env) = (get(t, q, e, d), environment(t, e));
    let v = complex::multiply_add(t.b, e, c, factors, r, env);
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
