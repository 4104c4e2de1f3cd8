//! Arithmetic of single and half precision, in the standard environment: to nearest, denormals flushed, default NaNs (Arm ARM
//! DDI 0406C, A2.7.7 and A7.4; DDI 0487, E1.3).

use super::calls;
use super::multiply::{scalar, scalar_accumulate};
use super::operands::{accumulate, same, two};
use crate::features::Feature;
use crate::tx::Tx;
use crate::vector::estimate::control;
use crate::vector::float::{Op2, difference, magnitude, negated, number, of_magnitudes, tame_factors};
use crate::vector::{every, int, zero};
use emu_ir::{Builder, Fenv, Lane, Val, insns};

insns! {
    /// Lanes of F32, and the estimates of U32.
    FLOAT: Tx;
    "1111 0010 0d00 nnnn dddd 1101 Nqm0 mmmm" => vadd({S}, q, d, n, m)
    "1111 0010 0d10 nnnn dddd 1101 Nqm0 mmmm" => vsub({S}, q, d, n, m)
    "1111 0011 0d00 nnnn dddd 1101 N0m0 mmmm" => vpadd({S}, d, n, m)
    "1111 0011 0d10 nnnn dddd 1101 Nqm0 mmmm" => vabd({S}, q, d, n, m)
    "1111 0010 0d00 nnnn dddd 1101 Nqm1 mmmm" => vmla({S}, q, d, n, m)
    "1111 0010 0d10 nnnn dddd 1101 Nqm1 mmmm" => vmls({S}, q, d, n, m)
    "1111 0011 0d00 nnnn dddd 1101 Nqm1 mmmm" => vmul({S}, q, d, n, m)
    "1111 0010 0d00 nnnn dddd 1100 Nqm1 mmmm" => vfma({S}, q, d, n, m)
    "1111 0010 0d10 nnnn dddd 1100 Nqm1 mmmm" => vfms({S}, q, d, n, m)
    "1111 0010 0d00 nnnn dddd 1110 Nqm0 mmmm" => vceq({S}, q, d, n, m)
    "1111 0011 0d00 nnnn dddd 1110 Nqm0 mmmm" => vcge({S}, q, d, n, m)
    "1111 0011 0d10 nnnn dddd 1110 Nqm0 mmmm" => vcgt({S}, q, d, n, m)
    "1111 0011 0d00 nnnn dddd 1110 Nqm1 mmmm" => vacge({S}, q, d, n, m)
    "1111 0011 0d10 nnnn dddd 1110 Nqm1 mmmm" => vacgt({S}, q, d, n, m)
    "1111 0010 0d00 nnnn dddd 1111 Nqm0 mmmm" => vmax({S}, q, d, n, m)
    "1111 0010 0d10 nnnn dddd 1111 Nqm0 mmmm" => vmin({S}, q, d, n, m)
    "1111 0011 0d00 nnnn dddd 1111 N0m0 mmmm" => vpmax({S}, d, n, m)
    "1111 0011 0d10 nnnn dddd 1111 N0m0 mmmm" => vpmin({S}, d, n, m)
    "1111 0010 0d00 nnnn dddd 1111 Nqm1 mmmm" => vrecps({S}, q, d, n, m)
    "1111 0010 0d10 nnnn dddd 1111 Nqm1 mmmm" => vrsqrts({S}, q, d, n, m)
    "1111 001q 1d10 nnnn dddd 0001 N1m0 mmmm" => vmla_scalar({S}, q, d, n, m)
    "1111 001q 1d10 nnnn dddd 0101 N1m0 mmmm" => vmls_scalar({S}, q, d, n, m)
    "1111 001q 1d10 nnnn dddd 1001 N1m0 mmmm" => vmul_scalar({S}, q, d, n, m)
    "1111 0011 1d11 1001 dddd 0100 0qm0 mmmm" => vcgt_zero({S}, q, d, m)
    "1111 0011 1d11 1001 dddd 0100 1qm0 mmmm" => vcge_zero({S}, q, d, m)
    "1111 0011 1d11 1001 dddd 0101 0qm0 mmmm" => vceq_zero({S}, q, d, m)
    "1111 0011 1d11 1001 dddd 0101 1qm0 mmmm" => vcle_zero({S}, q, d, m)
    "1111 0011 1d11 1001 dddd 0110 0qm0 mmmm" => vclt_zero({S}, q, d, m)
    "1111 0011 1d11 1001 dddd 0111 0qm0 mmmm" => vabs({S}, q, d, m)
    "1111 0011 1d11 1001 dddd 0111 1qm0 mmmm" => vneg({S}, q, d, m)
    "1111 0011 1d11 1011 dddd 0100 0qm0 mmmm" => vrecpe_u32(q, d, m)
    "1111 0011 1d11 1011 dddd 0100 1qm0 mmmm" => vrsqrte_u32(q, d, m)
    "1111 0011 1d11 1011 dddd 0101 0qm0 mmmm" => vrecpe_f32({S}, q, d, m)
    "1111 0011 1d11 1011 dddd 0101 1qm0 mmmm" => vrsqrte_f32({S}, q, d, m)
}

insns! {
    /// Lanes of F16.
    HALVES: Tx, needs Feature::Fp16;
    "1111 0010 0d01 nnnn dddd 1101 Nqm0 mmmm" => vadd({H}, q, d, n, m)
    "1111 0010 0d11 nnnn dddd 1101 Nqm0 mmmm" => vsub({H}, q, d, n, m)
    "1111 0011 0d01 nnnn dddd 1101 N0m0 mmmm" => vpadd({H}, d, n, m)
    "1111 0011 0d11 nnnn dddd 1101 Nqm0 mmmm" => vabd({H}, q, d, n, m)
    "1111 0010 0d01 nnnn dddd 1101 Nqm1 mmmm" => vmla({H}, q, d, n, m)
    "1111 0010 0d11 nnnn dddd 1101 Nqm1 mmmm" => vmls({H}, q, d, n, m)
    "1111 0011 0d01 nnnn dddd 1101 Nqm1 mmmm" => vmul({H}, q, d, n, m)
    "1111 0010 0d01 nnnn dddd 1100 Nqm1 mmmm" => vfma({H}, q, d, n, m)
    "1111 0010 0d11 nnnn dddd 1100 Nqm1 mmmm" => vfms({H}, q, d, n, m)
    "1111 0010 0d01 nnnn dddd 1110 Nqm0 mmmm" => vceq({H}, q, d, n, m)
    "1111 0011 0d01 nnnn dddd 1110 Nqm0 mmmm" => vcge({H}, q, d, n, m)
    "1111 0011 0d11 nnnn dddd 1110 Nqm0 mmmm" => vcgt({H}, q, d, n, m)
    "1111 0011 0d01 nnnn dddd 1110 Nqm1 mmmm" => vacge({H}, q, d, n, m)
    "1111 0011 0d11 nnnn dddd 1110 Nqm1 mmmm" => vacgt({H}, q, d, n, m)
    "1111 0010 0d01 nnnn dddd 1111 Nqm0 mmmm" => vmax({H}, q, d, n, m)
    "1111 0010 0d11 nnnn dddd 1111 Nqm0 mmmm" => vmin({H}, q, d, n, m)
    "1111 0011 0d01 nnnn dddd 1111 N0m0 mmmm" => vpmax({H}, d, n, m)
    "1111 0011 0d11 nnnn dddd 1111 N0m0 mmmm" => vpmin({H}, d, n, m)
    "1111 0010 0d01 nnnn dddd 1111 Nqm1 mmmm" => vrecps({H}, q, d, n, m)
    "1111 0010 0d11 nnnn dddd 1111 Nqm1 mmmm" => vrsqrts({H}, q, d, n, m)
    "1111 001q 1d01 nnnn dddd 0001 N1m0 mmmm" => vmla_scalar({H}, q, d, n, m)
    "1111 001q 1d01 nnnn dddd 0101 N1m0 mmmm" => vmls_scalar({H}, q, d, n, m)
    "1111 001q 1d01 nnnn dddd 1001 N1m0 mmmm" => vmul_scalar({H}, q, d, n, m)
    "1111 0011 1d11 0101 dddd 0100 0qm0 mmmm" => vcgt_zero({H}, q, d, m)
    "1111 0011 1d11 0101 dddd 0100 1qm0 mmmm" => vcge_zero({H}, q, d, m)
    "1111 0011 1d11 0101 dddd 0101 0qm0 mmmm" => vceq_zero({H}, q, d, m)
    "1111 0011 1d11 0101 dddd 0101 1qm0 mmmm" => vcle_zero({H}, q, d, m)
    "1111 0011 1d11 0101 dddd 0110 0qm0 mmmm" => vclt_zero({H}, q, d, m)
    "1111 0011 1d11 0101 dddd 0111 0qm0 mmmm" => vabs({H}, q, d, m)
    "1111 0011 1d11 0101 dddd 0111 1qm0 mmmm" => vneg({H}, q, d, m)
    "1111 0011 1d11 0111 dddd 0101 0qm0 mmmm" => vrecpe_f16({H}, q, d, m)
    "1111 0011 1d11 0111 dddd 0101 1qm0 mmmm" => vrsqrte_f16({H}, q, d, m)
}

const S: Lane = Lane::F32;
const H: Lane = Lane::F16;

/// Of comparisons: any NaN is invalid.
fn ordered(env: Fenv) -> Fenv {
    Fenv { flag: true, ..env }
}

/// `d = f(n, m)`.
fn plain(t: &mut Tx, e: Lane, q: u32, r: [u32; 3], f: Op2) -> Option<()> {
    let env = t.standard(e);
    same(t, q, r, |t, x, y| f(t.b, e, x, y, env))
}

/// `d = f(n, m)`, a comparison for which any NaN is invalid.
fn compared(t: &mut Tx, e: Lane, q: u32, r: [u32; 3], f: Op2) -> Option<()> {
    let env = ordered(t.standard(e));
    same(t, q, r, |t, x, y| f(t.b, e, x, y, env))
}

/// VADD.
fn vadd(t: &mut Tx, e: Lane, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    plain(t, e, q, [d, n, m], Builder::vfadd)
}

/// VSUB.
fn vsub(t: &mut Tx, e: Lane, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    plain(t, e, q, [d, n, m], Builder::vfsub)
}

/// VMUL.
fn vmul(t: &mut Tx, e: Lane, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    plain(t, e, q, [d, n, m], Builder::vfmul)
}

/// VMUL (by scalar).
fn vmul_scalar(t: &mut Tx, e: Lane, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    let env = t.standard(e);
    scalar(t, e, q, [d, n, m], |t, x, y| t.b.vfmul(e, x, y, env))
}

/// VABD.
fn vabd(t: &mut Tx, e: Lane, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    plain(t, e, q, [d, n, m], difference)
}

/// `c + x * y`, rounded twice.
fn multiply_add(t: &mut Tx, e: Lane, c: Val, x: Val, y: Val) -> Val {
    let env = t.standard(e);
    let p = t.b.vfmul(e, x, y, env);
    t.b.vfadd(e, c, p, env)
}

/// `c - x * y`, rounded twice.
fn multiply_subtract(t: &mut Tx, e: Lane, c: Val, x: Val, y: Val) -> Val {
    let env = t.standard(e);
    let p = t.b.vfmul(e, x, y, env);
    t.b.vfsub(e, c, p, env)
}

/// VMLA.
fn vmla(t: &mut Tx, e: Lane, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    accumulate(t, q, [d, n, m], |t, c, x, y| multiply_add(t, e, c, x, y))
}

/// VMLA (by scalar).
fn vmla_scalar(t: &mut Tx, e: Lane, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    scalar_accumulate(t, e, q, [d, n, m], |t, c, x, y| multiply_add(t, e, c, x, y))
}

/// VMLS.
fn vmls(t: &mut Tx, e: Lane, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    accumulate(t, q, [d, n, m], |t, c, x, y| multiply_subtract(t, e, c, x, y))
}

/// VMLS (by scalar).
fn vmls_scalar(t: &mut Tx, e: Lane, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    scalar_accumulate(t, e, q, [d, n, m], |t, c, x, y| multiply_subtract(t, e, c, x, y))
}

/// VFMA.
fn vfma(t: &mut Tx, e: Lane, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    let env = t.standard(e);
    accumulate(t, q, [d, n, m], |t, c, x, y| t.b.vfmul_add(e, c, x, y, env))
}

/// VFMS.
fn vfms(t: &mut Tx, e: Lane, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    let env = t.standard(e);
    accumulate(t, q, [d, n, m], |t, c, x, y| {
        let x = negated(t.b, e, x);
        t.b.vfmul_add(e, c, x, y, env)
    })
}

/// VCEQ (register): quiet NaNs are not invalid.
fn vceq(t: &mut Tx, e: Lane, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    plain(t, e, q, [d, n, m], Builder::vfeq)
}

/// VCGE (register).
fn vcge(t: &mut Tx, e: Lane, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    compared(t, e, q, [d, n, m], Builder::vfge)
}

/// VCGT (register).
fn vcgt(t: &mut Tx, e: Lane, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    compared(t, e, q, [d, n, m], Builder::vfgt)
}

/// VACGE: of magnitudes.
fn vacge(t: &mut Tx, e: Lane, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    compared(t, e, q, [d, n, m], |b, e, x, y, env| {
        of_magnitudes(b, e, [x, y], env, Builder::vfge)
    })
}

/// VACGT: of magnitudes.
fn vacgt(t: &mut Tx, e: Lane, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    compared(t, e, q, [d, n, m], |b, e, x, y, env| {
        of_magnitudes(b, e, [x, y], env, Builder::vfgt)
    })
}

/// VMAX.
fn vmax(t: &mut Tx, e: Lane, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    plain(t, e, q, [d, n, m], Builder::vfmax)
}

/// VMIN.
fn vmin(t: &mut Tx, e: Lane, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    plain(t, e, q, [d, n, m], Builder::vfmin)
}

/// `d = f` of the even and the odd lanes of `m`:`n`.
fn pairwise(t: &mut Tx, e: Lane, r: [u32; 3], f: Op2) -> Option<()> {
    let env = t.standard(e);
    same(t, 0, r, |t, x, y| {
        let (even, odd) = int::pairs(t.b, e, x, y);
        f(t.b, e, even, odd, env)
    })
}

/// VPADD.
fn vpadd(t: &mut Tx, e: Lane, d: u32, n: u32, m: u32) -> Option<()> {
    pairwise(t, e, [d, n, m], Builder::vfadd)
}

/// VPMAX.
fn vpmax(t: &mut Tx, e: Lane, d: u32, n: u32, m: u32) -> Option<()> {
    pairwise(t, e, [d, n, m], Builder::vfmax)
}

/// VPMIN.
fn vpmin(t: &mut Tx, e: Lane, d: u32, n: u32, m: u32) -> Option<()> {
    pairwise(t, e, [d, n, m], Builder::vfmin)
}

/// The product of a Newton step, in which infinity times zero is zero.
fn step_product(b: &mut Builder, e: Lane, x: Val, y: Val, env: Fenv) -> Val {
    let ([x, y], _) = tame_factors(b, e, [x, y], env.flush);
    b.vfmul(e, x, y, env)
}

/// VRECPS: `2 - n * m`.
fn vrecps(t: &mut Tx, e: Lane, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    let env = t.standard(e);
    same(t, q, [d, n, m], |t, x, y| {
        let (p, ty) = (step_product(t.b, e, x, y, env), t.b.ty(x));
        let two = every(t.b, ty, e, number(e, 2.0));
        t.b.vfsub(e, two, p, env)
    })
}

/// VRSQRTS: `(3 - n * m) / 2`; halving is exact, for the difference is no denormal.
fn vrsqrts(t: &mut Tx, e: Lane, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    let env = t.standard(e);
    same(t, q, [d, n, m], |t, x, y| {
        let (p, ty) = (step_product(t.b, e, x, y, env), t.b.ty(x));
        let [three, half] = [3.0, 0.5].map(|v| every(t.b, ty, e, number(e, v)));
        let difference = t.b.vfsub(e, three, p, env);
        t.b.vfmul(e, difference, half, env)
    })
}

/// `d = f(m, 0)`.
fn with_zero(t: &mut Tx, e: Lane, q: u32, r: [u32; 2], f: Op2) -> Option<()> {
    let env = t.standard(e);
    two(t, q, r, |t, x| {
        let none = zero(t.b, t.b.ty(x));
        f(t.b, e, x, none, env)
    })
}

/// VCGT (immediate #0).
fn vcgt_zero(t: &mut Tx, e: Lane, q: u32, d: u32, m: u32) -> Option<()> {
    with_zero(t, e, q, [d, m], |b, e, x, none, env| b.vfgt(e, x, none, ordered(env)))
}

/// VCGE (immediate #0).
fn vcge_zero(t: &mut Tx, e: Lane, q: u32, d: u32, m: u32) -> Option<()> {
    with_zero(t, e, q, [d, m], |b, e, x, none, env| b.vfge(e, x, none, ordered(env)))
}

/// VCEQ (immediate #0).
fn vceq_zero(t: &mut Tx, e: Lane, q: u32, d: u32, m: u32) -> Option<()> {
    with_zero(t, e, q, [d, m], Builder::vfeq)
}

/// VCLE (immediate #0).
fn vcle_zero(t: &mut Tx, e: Lane, q: u32, d: u32, m: u32) -> Option<()> {
    with_zero(t, e, q, [d, m], |b, e, x, none, env| b.vfge(e, none, x, ordered(env)))
}

/// VCLT (immediate #0).
fn vclt_zero(t: &mut Tx, e: Lane, q: u32, d: u32, m: u32) -> Option<()> {
    with_zero(t, e, q, [d, m], |b, e, x, none, env| b.vfgt(e, none, x, ordered(env)))
}

/// VABS.
fn vabs(t: &mut Tx, e: Lane, q: u32, d: u32, m: u32) -> Option<()> {
    two(t, q, [d, m], |t, x| magnitude(t.b, e, x))
}

/// VNEG.
fn vneg(t: &mut Tx, e: Lane, q: u32, d: u32, m: u32) -> Option<()> {
    two(t, q, [d, m], |t, x| negated(t.b, e, x))
}

/// VRECPE.U32.
fn vrecpe_u32(t: &mut Tx, q: u32, d: u32, m: u32) -> Option<()> {
    two(t, q, [d, m], |t, x| t.b.call(t.b.ty(x), calls::VRECPE_U32, &[x]))
}

/// VRSQRTE.U32.
fn vrsqrte_u32(t: &mut Tx, q: u32, d: u32, m: u32) -> Option<()> {
    two(t, q, [d, m], |t, x| t.b.call(t.b.ty(x), calls::VRSQRTE_U32, &[x]))
}

/// VRECPE.F32.
fn vrecpe_f32(t: &mut Tx, e: Lane, q: u32, d: u32, m: u32) -> Option<()> {
    estimate(t, e, q, [d, m], calls::VRECPE_F32)
}

/// VRSQRTE.F32.
fn vrsqrte_f32(t: &mut Tx, e: Lane, q: u32, d: u32, m: u32) -> Option<()> {
    estimate(t, e, q, [d, m], calls::VRSQRTE_F32)
}

/// VRECPE.F16.
fn vrecpe_f16(t: &mut Tx, e: Lane, q: u32, d: u32, m: u32) -> Option<()> {
    estimate(t, e, q, [d, m], calls::VRECPE_F32)
}

/// VRSQRTE.F16.
fn vrsqrte_f16(t: &mut Tx, e: Lane, q: u32, d: u32, m: u32) -> Option<()> {
    estimate(t, e, q, [d, m], calls::VRSQRTE_F32)
}

/// An estimate by a helper.
fn estimate(t: &mut Tx, e: Lane, q: u32, r: [u32; 2], helper: u16) -> Option<()> {
    let env = t.standard(e);
    two(t, q, r, |t, x| {
        let ty = t.b.ty(x);
        let how = t.b.i32(control(ty.bits() / e.bits(), e, env));
        t.b.call(ty, helper, &[x, how])
    })
}
