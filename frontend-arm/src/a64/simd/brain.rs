//! Brain floating point: single precision of which the low half is cut off (Arm ARM DDI 0487, C4.1, "Advanced SIMD three-
//! register extension", "two-register miscellaneous", "vector x indexed element", "Floating-point data-processing (1
//! source)").

use super::super::calls;
use super::super::features::Feature;
use super::super::fp;
use super::super::state::{self, FP_ROUND};
use super::super::tx::Tx;
use super::operands::{element, get, set, set_half, ty};
use crate::vector::estimate::control;
use crate::vector::every;
use emu_ir::{Lane, Ty, Val, insns};

insns! {
    /// Products of two numbers, matrices, and every other number; `i` is an element.
    BRAIN: Tx, needs Feature::Bf16;
    "000 11110 01 1 000110 10000 nnnnn ddddd" => bfcvt(n, d)
    "0q 0 01110 10 10000 10110 10 nnnnn ddddd" => bfcvtn(q, n, d)
    "0q 1 01110 01 0 mmmmm 1 1111 1 nnnnn ddddd" => bfdot(q, m, n, d)
    "0q 0 01111 01 i mmmmm 1111 I0 nnnnn ddddd" => bfdot_element(q, i, m, n, d)
    "01 1 01110 01 0 mmmmm 1 1101 1 nnnnn ddddd" => bfmmla(m, n, d)
    "0o 1 01110 11 0 mmmmm 1 1111 1 nnnnn ddddd" => bfmlal(o, m, n, d)
    "0o 0 01111 11 ii mmmm 1111 I0 nnnnn ddddd" => bfmlal_element(o, i, m, n, d)
}

/// Singles rounded, in the low half.
fn rounded(t: &mut Tx, v: Val, lanes: u32) -> Val {
    let how = control(lanes, Lane::F32, t.fpcr());
    let (how, round) = (t.b.i32(how), t.b.get(FP_ROUND));
    t.b.call(Ty::V64, calls::BFCVT, &[v, how, round])
}
/// BFCVT.
fn bfcvt(t: &mut Tx, n: u32, d: u32) {
    let v = t.b.get(state::v(n, Ty::V64));
    let v = rounded(t, v, 1);
    fp::set(t, d, v);
}
/// BFCVTN: to the low or (`q` = 1) high half.
fn bfcvtn(t: &mut Tx, q: u32, n: u32, d: u32) {
    let v = t.b.get(state::v(n, Ty::V128));
    let v = rounded(t, v, 4);
    set_half(t, q, d, v);
}

fn dot(t: &mut Tx, q: u32, d: u32, [x, y]: [Val; 2]) {
    let c = get(t, q, Lane::F32, d);
    let v = t.b.call(ty(q), calls::BFDOT, &[c, x, y]);
    set(t, q, Lane::F32, d, v);
}
/// BFDOT (vector).
fn bfdot(t: &mut Tx, q: u32, m: u32, n: u32, d: u32) {
    let operands = [n, m].map(|r| get(t, q, Lane::F32, r));
    dot(t, q, d, operands);
}
/// BFDOT (by element).
fn bfdot_element(t: &mut Tx, q: u32, i: u32, m: u32, n: u32, d: u32) {
    let operands = [get(t, q, Lane::F32, n), element(t, q, Lane::F32, m, i)];
    dot(t, q, d, operands);
}
/// BFMMLA.
fn bfmmla(t: &mut Tx, m: u32, n: u32, d: u32) {
    let [c, x, y] = [d, n, m].map(|r| get(t, 1, Lane::F32, r));
    let v = t.b.call(Ty::V128, calls::BFMMLA, &[c, x, y]);
    set(t, 1, Lane::F32, d, v);
}

/// The even or (`odd` = 1) odd numbers as singles.
fn every_other(t: &mut Tx, odd: u32, v: Val) -> Val {
    if odd == 0 {
        return t.b.vshl(Lane::I32, v, 16);
    }
    let low = every(t.b, Ty::V128, Lane::I32, 0xffff);
    t.b.and_not(v, low)
}
fn fused(t: &mut Tx, odd: u32, d: u32, [x, y]: [Val; 2]) {
    let (x, y) = (every_other(t, odd, x), every_other(t, odd, y));
    let (c, env) = (get(t, 1, Lane::F32, d), t.fpcr());
    let v = t.b.vfmul_add(Lane::F32, c, x, y, env);
    set(t, 1, Lane::F32, d, v);
}
/// BFMLALB and (`o` = 1) BFMLALT.
fn bfmlal(t: &mut Tx, o: u32, m: u32, n: u32, d: u32) {
    let factors = [n, m].map(|r| get(t, 1, Lane::F32, r));
    fused(t, o, d, factors);
}
/// BFMLALB and (`o` = 1) BFMLALT (by element).
fn bfmlal_element(t: &mut Tx, o: u32, i: u32, m: u32, n: u32, d: u32) {
    let factors = [get(t, 1, Lane::F32, n), element(t, 1, Lane::I16, m, i)];
    fused(t, o, d, factors);
}
