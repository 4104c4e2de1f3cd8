//! Single-precision arithmetic, in the standard environment: to nearest, denormals flushed, default NaNs (Arm ARM
//! DDI 0406C, A2.7.7 and A7.4).

use super::calls;
use super::multiply::{scalar, scalar_accumulate};
use super::operands::{accumulate, same, two};
use crate::tx::Tx;
use crate::vector::estimate::control;
use crate::vector::float::{Op2, difference, magnitude, negated, of_magnitudes};
use crate::vector::{every, int, zero};
use emu_ir::{Builder, Fenv, Lane, Val, insns};

insns! {
    /// Lanes of F32, and the estimates of U32.
    FLOAT: Tx;
    "1111 0010 0d00 nnnn dddd 1101 Nqm0 mmmm" => vadd(q, d, n, m)
    "1111 0010 0d10 nnnn dddd 1101 Nqm0 mmmm" => vsub(q, d, n, m)
    "1111 0011 0d00 nnnn dddd 1101 N0m0 mmmm" => vpadd(d, n, m)
    "1111 0011 0d10 nnnn dddd 1101 Nqm0 mmmm" => vabd(q, d, n, m)
    "1111 0010 0d00 nnnn dddd 1101 Nqm1 mmmm" => vmla(q, d, n, m)
    "1111 0010 0d10 nnnn dddd 1101 Nqm1 mmmm" => vmls(q, d, n, m)
    "1111 0011 0d00 nnnn dddd 1101 Nqm1 mmmm" => vmul(q, d, n, m)
    "1111 0010 0d00 nnnn dddd 1100 Nqm1 mmmm" => vfma(q, d, n, m)
    "1111 0010 0d10 nnnn dddd 1100 Nqm1 mmmm" => vfms(q, d, n, m)
    "1111 0010 0d00 nnnn dddd 1110 Nqm0 mmmm" => vceq(q, d, n, m)
    "1111 0011 0d00 nnnn dddd 1110 Nqm0 mmmm" => vcge(q, d, n, m)
    "1111 0011 0d10 nnnn dddd 1110 Nqm0 mmmm" => vcgt(q, d, n, m)
    "1111 0011 0d00 nnnn dddd 1110 Nqm1 mmmm" => vacge(q, d, n, m)
    "1111 0011 0d10 nnnn dddd 1110 Nqm1 mmmm" => vacgt(q, d, n, m)
    "1111 0010 0d00 nnnn dddd 1111 Nqm0 mmmm" => vmax(q, d, n, m)
    "1111 0010 0d10 nnnn dddd 1111 Nqm0 mmmm" => vmin(q, d, n, m)
    "1111 0011 0d00 nnnn dddd 1111 N0m0 mmmm" => vpmax(d, n, m)
    "1111 0011 0d10 nnnn dddd 1111 N0m0 mmmm" => vpmin(d, n, m)
    "1111 0010 0d00 nnnn dddd 1111 Nqm1 mmmm" => vrecps(q, d, n, m)
    "1111 0010 0d10 nnnn dddd 1111 Nqm1 mmmm" => vrsqrts(q, d, n, m)
    "1111 001q 1d10 nnnn dddd 0001 N1m0 mmmm" => vmla_scalar(q, d, n, m)
    "1111 001q 1d10 nnnn dddd 0101 N1m0 mmmm" => vmls_scalar(q, d, n, m)
    "1111 001q 1d10 nnnn dddd 1001 N1m0 mmmm" => vmul_scalar(q, d, n, m)
    "1111 0011 1d11 1001 dddd 0100 0qm0 mmmm" => vcgt_zero(q, d, m)
    "1111 0011 1d11 1001 dddd 0100 1qm0 mmmm" => vcge_zero(q, d, m)
    "1111 0011 1d11 1001 dddd 0101 0qm0 mmmm" => vceq_zero(q, d, m)
    "1111 0011 1d11 1001 dddd 0101 1qm0 mmmm" => vcle_zero(q, d, m)
    "1111 0011 1d11 1001 dddd 0110 0qm0 mmmm" => vclt_zero(q, d, m)
    "1111 0011 1d11 1001 dddd 0111 0qm0 mmmm" => vabs(q, d, m)
    "1111 0011 1d11 1001 dddd 0111 1qm0 mmmm" => vneg(q, d, m)
    "1111 0011 1d11 1011 dddd 0100 0qm0 mmmm" => vrecpe_u32(q, d, m)
    "1111 0011 1d11 1011 dddd 0100 1qm0 mmmm" => vrsqrte_u32(q, d, m)
    "1111 0011 1d11 1011 dddd 0101 0qm0 mmmm" => vrecpe_f32(q, d, m)
    "1111 0011 1d11 1011 dddd 0101 1qm0 mmmm" => vrsqrte_f32(q, d, m)
}

const F32: Lane = Lane::F32;
const ENV: Fenv = Fenv::STANDARD;
/// Comparisons for which any NaN is invalid.
const ORDERED: Fenv = Fenv { flag: true, ..ENV };

/// `d = f(n, m)`.
fn plain(t: &mut Tx, q: u32, r: [u32; 3], f: Op2, env: Fenv) -> Option<()> {
    same(t, q, r, |t, x, y| f(t.b, F32, x, y, env))
}

/// VADD.
fn vadd(t: &mut Tx, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    plain(t, q, [d, n, m], Builder::vfadd, ENV)
}

/// VSUB.
fn vsub(t: &mut Tx, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    plain(t, q, [d, n, m], Builder::vfsub, ENV)
}

/// VMUL.
fn vmul(t: &mut Tx, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    plain(t, q, [d, n, m], Builder::vfmul, ENV)
}

/// VMUL (by scalar).
fn vmul_scalar(t: &mut Tx, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    scalar(t, F32, q, [d, n, m], |t, x, y| t.b.vfmul(F32, x, y, ENV))
}

/// VABD.
fn vabd(t: &mut Tx, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    plain(t, q, [d, n, m], difference, ENV)
}

/// `c + x * y`, rounded twice.
fn multiply_add(b: &mut Builder, c: Val, x: Val, y: Val) -> Val {
    let p = b.vfmul(F32, x, y, ENV);
    b.vfadd(F32, c, p, ENV)
}

/// `c - x * y`, rounded twice.
fn multiply_subtract(b: &mut Builder, c: Val, x: Val, y: Val) -> Val {
    let p = b.vfmul(F32, x, y, ENV);
    b.vfsub(F32, c, p, ENV)
}

/// VMLA.
fn vmla(t: &mut Tx, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    accumulate(t, q, [d, n, m], |t, c, x, y| multiply_add(t.b, c, x, y))
}

/// VMLA (by scalar).
fn vmla_scalar(t: &mut Tx, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    scalar_accumulate(t, F32, q, [d, n, m], |t, c, x, y| multiply_add(t.b, c, x, y))
}

/// VMLS.
fn vmls(t: &mut Tx, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    accumulate(t, q, [d, n, m], |t, c, x, y| multiply_subtract(t.b, c, x, y))
}

/// VMLS (by scalar).
fn vmls_scalar(t: &mut Tx, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    scalar_accumulate(t, F32, q, [d, n, m], |t, c, x, y| multiply_subtract(t.b, c, x, y))
}

/// VFMA.
fn vfma(t: &mut Tx, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    accumulate(t, q, [d, n, m], |t, c, x, y| t.b.vfmul_add(F32, c, x, y, ENV))
}

/// VFMS.
fn vfms(t: &mut Tx, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    accumulate(t, q, [d, n, m], |t, c, x, y| {
        let x = negated(t.b, F32, x);
        t.b.vfmul_add(F32, c, x, y, ENV)
    })
}

/// VCEQ (register): quiet NaNs are not invalid.
fn vceq(t: &mut Tx, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    plain(t, q, [d, n, m], Builder::vfeq, ENV)
}

/// VCGE (register).
fn vcge(t: &mut Tx, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    plain(t, q, [d, n, m], Builder::vfge, ORDERED)
}

/// VCGT (register).
fn vcgt(t: &mut Tx, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    plain(t, q, [d, n, m], Builder::vfgt, ORDERED)
}

/// VACGE: of magnitudes.
fn vacge(t: &mut Tx, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    plain(
        t,
        q,
        [d, n, m],
        |b, e, x, y, env| of_magnitudes(b, e, [x, y], env, Builder::vfge),
        ORDERED,
    )
}

/// VACGT: of magnitudes.
fn vacgt(t: &mut Tx, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    plain(
        t,
        q,
        [d, n, m],
        |b, e, x, y, env| of_magnitudes(b, e, [x, y], env, Builder::vfgt),
        ORDERED,
    )
}

/// VMAX.
fn vmax(t: &mut Tx, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    plain(t, q, [d, n, m], Builder::vfmax, ENV)
}

/// VMIN.
fn vmin(t: &mut Tx, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    plain(t, q, [d, n, m], Builder::vfmin, ENV)
}

/// `d = f` of the even and the odd lanes of `m`:`n`.
fn pairwise(t: &mut Tx, r: [u32; 3], f: Op2) -> Option<()> {
    same(t, 0, r, |t, x, y| {
        let (even, odd) = int::pairs(t.b, F32, x, y);
        f(t.b, F32, even, odd, ENV)
    })
}

/// VPADD.
fn vpadd(t: &mut Tx, d: u32, n: u32, m: u32) -> Option<()> {
    pairwise(t, [d, n, m], Builder::vfadd)
}

/// VPMAX.
fn vpmax(t: &mut Tx, d: u32, n: u32, m: u32) -> Option<()> {
    pairwise(t, [d, n, m], Builder::vfmax)
}

/// VPMIN.
fn vpmin(t: &mut Tx, d: u32, n: u32, m: u32) -> Option<()> {
    pairwise(t, [d, n, m], Builder::vfmin)
}

/// The product of a Newton step, in which infinity times zero is zero.
fn step_product(b: &mut Builder, x: Val, y: Val) -> Val {
    let ty = b.ty(x);
    let (infinity, none) = (every(b, ty, F32, 0x7f80_0000), zero(b, ty));
    // Denormals count as zero: their exponent is.
    let mut kinds = |v| {
        let (size, exponent) = (magnitude(b, F32, v), b.and(v, infinity));
        (b.veq(Lane::I32, size, infinity), b.veq(Lane::I32, exponent, none))
    };
    let ((x_inf, x_zero), (y_inf, y_zero)) = (kinds(x), kinds(y));
    let (x_bad, y_bad) = (b.and(x_inf, y_zero), b.and(y_inf, x_zero));
    let (x, y) = (b.and_not(x, x_bad), b.and_not(y, y_bad));
    b.vfmul(F32, x, y, ENV)
}

/// VRECPS: `2 - n * m`.
fn vrecps(t: &mut Tx, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    same(t, q, [d, n, m], |t, x, y| {
        let (p, ty) = (step_product(t.b, x, y), t.b.ty(x));
        let two = every(t.b, ty, F32, 2f32.to_bits().into());
        t.b.vfsub(F32, two, p, ENV)
    })
}

/// VRSQRTS: `(3 - n * m) / 2`; halving is exact, for the difference is no denormal.
fn vrsqrts(t: &mut Tx, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    same(t, q, [d, n, m], |t, x, y| {
        let (p, ty) = (step_product(t.b, x, y), t.b.ty(x));
        let (three, half) = (3f32.to_bits(), 0.5f32.to_bits());
        let (three, half) = (every(t.b, ty, F32, three.into()), every(t.b, ty, F32, half.into()));
        let difference = t.b.vfsub(F32, three, p, ENV);
        t.b.vfmul(F32, difference, half, ENV)
    })
}

/// `d = f(m, 0)`.
fn with_zero(t: &mut Tx, q: u32, r: [u32; 2], f: fn(&mut Builder, Val, Val) -> Val) -> Option<()> {
    two(t, q, r, |t, x| {
        let none = zero(t.b, t.b.ty(x));
        f(t.b, x, none)
    })
}

/// VCGT (immediate #0).
fn vcgt_zero(t: &mut Tx, q: u32, d: u32, m: u32) -> Option<()> {
    with_zero(t, q, [d, m], |b, x, none| b.vfgt(F32, x, none, ORDERED))
}

/// VCGE (immediate #0).
fn vcge_zero(t: &mut Tx, q: u32, d: u32, m: u32) -> Option<()> {
    with_zero(t, q, [d, m], |b, x, none| b.vfge(F32, x, none, ORDERED))
}

/// VCEQ (immediate #0).
fn vceq_zero(t: &mut Tx, q: u32, d: u32, m: u32) -> Option<()> {
    with_zero(t, q, [d, m], |b, x, none| b.vfeq(F32, x, none, ENV))
}

/// VCLE (immediate #0).
fn vcle_zero(t: &mut Tx, q: u32, d: u32, m: u32) -> Option<()> {
    with_zero(t, q, [d, m], |b, x, none| b.vfge(F32, none, x, ORDERED))
}

/// VCLT (immediate #0).
fn vclt_zero(t: &mut Tx, q: u32, d: u32, m: u32) -> Option<()> {
    with_zero(t, q, [d, m], |b, x, none| b.vfgt(F32, none, x, ORDERED))
}

/// VABS.
fn vabs(t: &mut Tx, q: u32, d: u32, m: u32) -> Option<()> {
    two(t, q, [d, m], |t, x| magnitude(t.b, F32, x))
}

/// VNEG.
fn vneg(t: &mut Tx, q: u32, d: u32, m: u32) -> Option<()> {
    two(t, q, [d, m], |t, x| negated(t.b, F32, x))
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
fn vrecpe_f32(t: &mut Tx, q: u32, d: u32, m: u32) -> Option<()> {
    estimate(t, q, [d, m], calls::VRECPE_F32)
}

/// VRSQRTE.F32.
fn vrsqrte_f32(t: &mut Tx, q: u32, d: u32, m: u32) -> Option<()> {
    estimate(t, q, [d, m], calls::VRSQRTE_F32)
}

/// An estimate by a helper.
fn estimate(t: &mut Tx, q: u32, r: [u32; 2], helper: u16) -> Option<()> {
    two(t, q, r, |t, x| {
        let ty = t.b.ty(x);
        let how = t.b.i32(control(ty.bytes() / 4, F32, ENV));
        t.b.call(ty, helper, &[x, how])
    })
}
