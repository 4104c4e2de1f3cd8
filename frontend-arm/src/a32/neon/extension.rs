//! Three registers and by scalars, of Armv8's later features (Arm ARM DDI 0487, F4.1, "Additional Advanced SIMD and floating-
//! point instructions"): complex numbers, products of four bytes and of brain floating point, matrices, products of half
//! precision added to single precision.

use super::calls;
use super::multiply::scalar_operand;
use super::operands::{accumulate, enabled, reg, require};
use crate::features::Feature;
use crate::state;
use crate::tx::Tx;
use crate::vector::int::{dot_products, matrix_product};
use crate::vector::{complex, every, float::negated};
use emu_ir::{Lane, Slot, Ty, Val, insns};

insns! {
    /// `r` is the rotation, in quarters of a turn; of VCADD, whether it is three and not one.
    COMPLEX: Tx, needs Feature::Fcma;
    "1111 110r 1d01 nnnn dddd 1000 Nqm0 mmmm" => vcadd({S}, r, q, d, n, m)
    "1111 110r rd11 nnnn dddd 1000 Nqm0 mmmm" => vcmla({S}, r, q, d, n, m)
    "1111 1110 1drr nnnn dddd 1000 Nqm0 mmmm" => vcmla_scalar(r, q, d, n, m)
}

insns! {
    /// Half precision.
    COMPLEX_HALVES: Tx, needs Feature::Fp16;
    "1111 110r 1d00 nnnn dddd 1000 Nqm0 mmmm" => vcadd({H}, r, q, d, n, m)
    "1111 110r rd10 nnnn dddd 1000 Nqm0 mmmm" => vcmla({H}, r, q, d, n, m)
    "1111 1110 0drr nnnn dddd 1000 Nqi0 mmmm" => vcmla_scalar_halves(r, q, d, n, i, m)
}

insns! {
    /// Four bytes to a word; `u` is 1 for unsigned, `i` a word of Dm.
    DOT: Tx, needs Feature::DotProd;
    "1111 1100 0d10 nnnn dddd 1101 Nqmu mmmm" => vdot(u, q, d, n, m)
    "1111 1110 0d10 nnnn dddd 1101 Nqiu mmmm" => vdot_scalar(u, q, d, n, i, m)
}

insns! {
    /// Of mixed signs, and matrices.
    MATRIX: Tx, needs Feature::I8mm;
    "1111 1100 1d10 nnnn dddd 1101 Nqm0 mmmm" => vusdot(q, d, n, m)
    "1111 1110 1d00 nnnn dddd 1101 Nqi0 mmmm" => vusdot_scalar(q, d, n, i, m)
    "1111 1110 1d00 nnnn dddd 1101 Nqi1 mmmm" => vsudot_scalar(q, d, n, i, m)
    "1111 1100 0d10 nnnn dddd 1100 N1m0 mmmm" => vsmmla(d, n, m)
    "1111 1100 0d10 nnnn dddd 1100 N1m1 mmmm" => vummla(d, n, m)
    "1111 1100 1d10 nnnn dddd 1100 N1m0 mmmm" => vusmmla(d, n, m)
}

insns! {
    /// Brain floating point; `o` is 1 for the odd numbers.
    BRAIN: Tx, needs Feature::Bf16;
    "1111 1100 0d00 nnnn dddd 1101 Nqm0 mmmm" => vdot_bf16(q, d, n, m)
    "1111 1110 0d00 nnnn dddd 1101 Nqi0 mmmm" => vdot_bf16_scalar(q, d, n, i, m)
    "1111 1100 0d00 nnnn dddd 1100 N1m0 mmmm" => vmmla_bf16(d, n, m)
    "1111 1100 0d11 nnnn dddd 1000 Nom1 mmmm" => vfma_bf16(o, d, n, m)
    "1111 1110 0d11 nnnn dddd 1000 Nom1 mmmm" => vfma_bf16_scalar(o, d, n, m)
}

insns! {
    /// Products of half precision.
    LONG: Tx, needs Feature::Fhm;
    "1111 1100 0d10 nnnn dddd 1000 Nqm1 mmmm" => vfmal(q, d, n, m)
    "1111 1100 1d10 nnnn dddd 1000 Nqm1 mmmm" => vfmsl(q, d, n, m)
    "1111 1110 0d00 nnnn dddd 1000 Nqm1 mmmm" => vfmal_scalar(q, d, n, m)
    "1111 1110 0d01 nnnn dddd 1000 Nqm1 mmmm" => vfmsl_scalar(q, d, n, m)
}

const S: Lane = Lane::F32;
const H: Lane = Lane::F16;

/// Half precision needs both features.
fn complex_numbers(t: &mut Tx, e: Lane) -> Option<()> {
    let ok = e != H || t.has(Feature::Fcma);
    require(t, ok)
}

/// VCADD.
fn vcadd(t: &mut Tx, e: Lane, r: u32, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    complex_numbers(t, e)?;
    let env = t.standard(e);
    super::operands::same(t, q, [d, n, m], |t, x, y| {
        complex::add_turned(t.b, e, [x, y], 2 * r + 1, env)
    })
}
/// VCMLA.
fn vcmla(t: &mut Tx, e: Lane, r: u32, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    complex_numbers(t, e)?;
    let env = t.standard(e);
    accumulate(t, q, [d, n, m], |t, c, x, y| {
        complex::multiply_add(t.b, e, c, [x, y], r, env)
    })
}

/// `d = f(d, n, y)` with one value `y` in every lane.
fn with_value(
    t: &mut Tx,
    q: u32,
    [d, n]: [u32; 2],
    (e, slot): (Lane, Slot),
    f: impl FnOnce(&mut Tx, Val, Val, Val) -> Val,
) -> Option<()> {
    let (d, n) = (reg(t, q, d)?, reg(t, q, n)?);
    let (c, x, y) = (t.b.get(d), t.b.get(n), t.b.get(slot));
    let y = t.b.vdup(d.ty, e, y);
    let v = f(t, c, x, y);
    t.b.set(d, v);
    Some(())
}
/// Word `i` of D`m`.
fn word(m: u32, i: u32) -> (Lane, Slot) {
    let slot = Slot {
        ty: Ty::I32,
        ..state::d(m)
    };
    (Lane::I32, slot.nth(i))
}

/// VCMLA (by scalar): of single precision a doubleword.
fn vcmla_scalar(t: &mut Tx, r: u32, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    let env = t.standard(S);
    let pair = Slot {
        ty: Ty::I64,
        ..state::d(m)
    };
    with_value(t, q, [d, n], (Lane::I64, pair), |t, c, x, y| {
        complex::multiply_add(t.b, S, c, [x, y], r, env)
    })
}
/// VCMLA (by scalar): of half precision a word.
fn vcmla_scalar_halves(t: &mut Tx, r: u32, q: u32, d: u32, n: u32, i: u32, m: u32) -> Option<()> {
    complex_numbers(t, H)?;
    let env = t.standard(H);
    with_value(t, q, [d, n], word(m, i), |t, c, x, y| {
        complex::multiply_add(t.b, H, c, [x, y], r, env)
    })
}

/// `c` plus sums of products.
fn dots(t: &mut Tx, signs: [u32; 2], c: Val, [x, y]: [Val; 2]) -> Val {
    let sums = dot_products(t.b, signs, x, y);
    t.b.vadd(Lane::I32, c, sums)
}
/// VSDOT and VUDOT.
fn vdot(t: &mut Tx, u: u32, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    accumulate(t, q, [d, n, m], |t, c, x, y| dots(t, [u, u], c, [x, y]))
}
/// VSDOT and VUDOT (by scalar).
fn vdot_scalar(t: &mut Tx, u: u32, q: u32, d: u32, n: u32, i: u32, m: u32) -> Option<()> {
    with_value(t, q, [d, n], word(m, i), |t, c, x, y| dots(t, [u, u], c, [x, y]))
}
/// VUSDOT.
fn vusdot(t: &mut Tx, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    accumulate(t, q, [d, n, m], |t, c, x, y| dots(t, [1, 0], c, [x, y]))
}
/// VUSDOT (by scalar).
fn vusdot_scalar(t: &mut Tx, q: u32, d: u32, n: u32, i: u32, m: u32) -> Option<()> {
    with_value(t, q, [d, n], word(m, i), |t, c, x, y| dots(t, [1, 0], c, [x, y]))
}
/// VSUDOT (by scalar).
fn vsudot_scalar(t: &mut Tx, q: u32, d: u32, n: u32, i: u32, m: u32) -> Option<()> {
    with_value(t, q, [d, n], word(m, i), |t, c, x, y| dots(t, [0, 1], c, [x, y]))
}

/// Matrices of words plus products.
fn matrix(t: &mut Tx, signs: [u32; 2], r: [u32; 3]) -> Option<()> {
    accumulate(t, 1, r, |t, c, x, y| {
        let product = matrix_product(t.b, signs, x, y);
        t.b.vadd(Lane::I32, c, product)
    })
}
/// VSMMLA.
fn vsmmla(t: &mut Tx, d: u32, n: u32, m: u32) -> Option<()> {
    matrix(t, [0, 0], [d, n, m])
}
/// VUMMLA.
fn vummla(t: &mut Tx, d: u32, n: u32, m: u32) -> Option<()> {
    matrix(t, [1, 1], [d, n, m])
}
/// VUSMMLA.
fn vusmmla(t: &mut Tx, d: u32, n: u32, m: u32) -> Option<()> {
    matrix(t, [1, 0], [d, n, m])
}

fn helped(t: &mut Tx, helper: u16, c: Val, [x, y]: [Val; 2]) -> Val {
    let ty = t.b.ty(c);
    t.b.call(ty, helper, &[c, x, y])
}
/// VDOT.BF16.
fn vdot_bf16(t: &mut Tx, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    accumulate(t, q, [d, n, m], |t, c, x, y| helped(t, calls::VDOT_BF16, c, [x, y]))
}
/// VDOT.BF16 (by scalar).
fn vdot_bf16_scalar(t: &mut Tx, q: u32, d: u32, n: u32, i: u32, m: u32) -> Option<()> {
    with_value(t, q, [d, n], word(m, i), |t, c, x, y| {
        helped(t, calls::VDOT_BF16, c, [x, y])
    })
}
/// VMMLA.BF16.
fn vmmla_bf16(t: &mut Tx, d: u32, n: u32, m: u32) -> Option<()> {
    accumulate(t, 1, [d, n, m], |t, c, x, y| helped(t, calls::VMMLA_BF16, c, [x, y]))
}

/// The even or (`odd` = 1) odd numbers of brain floating point as singles.
fn every_other(t: &mut Tx, odd: u32, v: Val) -> Val {
    if odd == 0 {
        return t.b.vshl(Lane::I32, v, 16);
    }
    let low = every(t.b, Ty::V128, Lane::I32, 0xffff);
    t.b.and_not(v, low)
}
fn fused_bf16(t: &mut Tx, odd: u32, c: Val, [x, y]: [Val; 2]) -> Val {
    let (x, y, env) = (every_other(t, odd, x), every_other(t, odd, y), t.standard(S));
    t.b.vfmul_add(S, c, x, y, env)
}
/// VFMAB and VFMAT.
fn vfma_bf16(t: &mut Tx, o: u32, d: u32, n: u32, m: u32) -> Option<()> {
    accumulate(t, 1, [d, n, m], |t, c, x, y| fused_bf16(t, o, c, [x, y]))
}
/// VFMAB and VFMAT (by scalar).
fn vfma_bf16_scalar(t: &mut Tx, o: u32, d: u32, n: u32, m: u32) -> Option<()> {
    super::multiply::scalar_accumulate(t, Lane::I16, 1, [d, n, m], |t, c, x, y| fused_bf16(t, o, c, [x, y]))
}

/// Numbers of half precision as singles: of a doubleword four, of a word two.
fn singles(t: &mut Tx, q: u32, v: Val) -> Val {
    let (flush, ty) = (
        t.b.i32(t.flushes_halves().into()),
        if q == 1 { Ty::V128 } else { Ty::V64 },
    );
    t.b.call(ty, calls::HALVES_AS_SINGLES, &[v, flush])
}
/// The factors in a D or (`q` = 0) an S register.
fn factors(t: &mut Tx, q: u32, r: u32) -> Val {
    let v = if q == 1 {
        t.b.get(state::dv(r))
    } else {
        let (word, none) = (t.b.get(state::s((r & 15) << 1 | r >> 4)), t.b.vec(Ty::V64, 0));
        t.b.vset_lane(none, word, 0)
    };
    singles(t, q, v)
}
/// `d` plus or (`less`) minus products.
fn fused(t: &mut Tx, [q, d, n]: [u32; 3], y: Val, less: bool) -> Option<()> {
    let (d, mut x, env) = (reg(t, q, d)?, factors(t, q, n), t.standard(S));
    if less {
        x = negated(t.b, S, x);
    }
    let c = t.b.get(d);
    let v = t.b.vfmul_add(S, c, x, y, env);
    t.b.set(d, v);
    Some(())
}
/// VFMAL.
fn vfmal(t: &mut Tx, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    enabled(t)?;
    let y = factors(t, q, m);
    fused(t, [q, d, n], y, false)
}
/// VFMSL.
fn vfmsl(t: &mut Tx, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    enabled(t)?;
    let y = factors(t, q, m);
    fused(t, [q, d, n], y, true)
}
/// The half that `m` names in every lane: in D0 to D7 or (`q` = 0) S0 to S15.
fn scalar_factor(t: &mut Tx, q: u32, m: u32) -> Option<Val> {
    let half = if q == 1 {
        scalar_operand(t, Lane::I16, Ty::V64, m)?
    } else {
        enabled(t)?;
        let at = state::s((m & 7) << 1 | m >> 4);
        let half = t.b.get(Slot { ty: Ty::I16, ..at }.nth(m >> 3 & 1));
        t.b.vdup(Ty::V64, Lane::I16, half)
    };
    Some(singles(t, q, half))
}
/// VFMAL (by scalar).
fn vfmal_scalar(t: &mut Tx, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    let y = scalar_factor(t, q, m)?;
    fused(t, [q, d, n], y, false)
}
/// VFMSL (by scalar).
fn vfmsl_scalar(t: &mut Tx, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    let y = scalar_factor(t, q, m)?;
    fused(t, [q, d, n], y, true)
}
