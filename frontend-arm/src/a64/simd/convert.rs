//! Two registers of floats, and conversions (Arm ARM DDI 0487, C4.1, "Advanced SIMD two-register miscellaneous", "Advanced
//! SIMD shift by immediate", and the scalar classes).

use super::super::calls;
use super::super::features::Feature;
use super::super::fp;
use super::super::fp::convert::{half_env, rounding};
use super::super::fp::size;
use super::super::state::{self, FP_ROUND};
use super::super::tx::Tx;
use super::operands::{HALF, SCALAR, environment, float_lane, format, get, half, set, set_half, ty};
use crate::vector::estimate::control;
use crate::vector::float::{Op2, bits, infinity, magnitude, negated, sign};
use crate::vector::{choose, every, zero};
use emu_ir::{Builder, Fenv, Lane, Op, Round, Ty, Val, insns};

insns! {
    /// Lane by lane.
    MISCELLANEOUS: Tx;
    "0q 0 01110 1z 10000 01100 10 nnnnn ddddd" => fcmgt_zero(q, z, n, d)
    "0q 1 01110 1z 10000 01100 10 nnnnn ddddd" => fcmge_zero(q, z, n, d)
    "0q 0 01110 1z 10000 01101 10 nnnnn ddddd" => fcmeq_zero(q, z, n, d)
    "0q 1 01110 1z 10000 01101 10 nnnnn ddddd" => fcmle_zero(q, z, n, d)
    "0q 0 01110 1z 10000 01110 10 nnnnn ddddd" => fcmlt_zero(q, z, n, d)
    "0q 0 01110 1z 10000 01111 10 nnnnn ddddd" => fabs(q, z, n, d)
    "0q 1 01110 1z 10000 01111 10 nnnnn ddddd" => fneg(q, z, n, d)
    "0q 1 01110 1z 10000 11111 10 nnnnn ddddd" => fsqrt(q, z, n, d)
    "0q 0 01110 0z 10000 11000 10 nnnnn ddddd" => frintn(q, z, n, d)
    "0q 0 01110 1z 10000 11000 10 nnnnn ddddd" => frintp(q, z, n, d)
    "0q 1 01110 0z 10000 11000 10 nnnnn ddddd" => frinta(q, z, n, d)
    "0q 0 01110 0z 10000 11001 10 nnnnn ddddd" => frintm(q, z, n, d)
    "0q 0 01110 1z 10000 11001 10 nnnnn ddddd" => frintz(q, z, n, d)
    "0q 1 01110 0z 10000 11001 10 nnnnn ddddd" => frintx(q, z, n, d)
    "0q 1 01110 1z 10000 11001 10 nnnnn ddddd" => frinti(q, z, n, d)
    "0q 0 01110 1z 10000 11101 10 nnnnn ddddd" => frecpe(q, z, n, d)
    "0q 1 01110 1z 10000 11101 10 nnnnn ddddd" => frsqrte(q, z, n, d)
    "01 0 11110 1z 10000 01100 10 nnnnn ddddd" => fcmgt_zero({SCALAR}, z, n, d)
    "01 1 11110 1z 10000 01100 10 nnnnn ddddd" => fcmge_zero({SCALAR}, z, n, d)
    "01 0 11110 1z 10000 01101 10 nnnnn ddddd" => fcmeq_zero({SCALAR}, z, n, d)
    "01 1 11110 1z 10000 01101 10 nnnnn ddddd" => fcmle_zero({SCALAR}, z, n, d)
    "01 0 11110 1z 10000 01110 10 nnnnn ddddd" => fcmlt_zero({SCALAR}, z, n, d)
    "01 0 11110 1z 10000 11101 10 nnnnn ddddd" => frecpe({SCALAR}, z, n, d)
    "01 1 11110 1z 10000 11101 10 nnnnn ddddd" => frsqrte({SCALAR}, z, n, d)
    "01 0 11110 1z 10000 11111 10 nnnnn ddddd" => frecpx(z, n, d)
}

insns! {
    /// To integral numbers that an integer of 32 or 64 bits holds.
    SIZE: Tx, needs Feature::FrintTs;
    "0q 0 01110 0z 10000 11110 10 nnnnn ddddd" => frint32z(q, z, n, d)
    "0q 1 01110 0z 10000 11110 10 nnnnn ddddd" => frint32x(q, z, n, d)
    "0q 0 01110 0z 10000 11111 10 nnnnn ddddd" => frint64z(q, z, n, d)
    "0q 1 01110 0z 10000 11111 10 nnnnn ddddd" => frint64x(q, z, n, d)
}

insns! {
    /// With integers and, of `f` fraction bits less than the width, fixed point.
    CONVERT: Tx;
    "0q 0 01110 0z 10000 11010 10 nnnnn ddddd" => fcvtns(q, z, n, d)
    "0q 1 01110 0z 10000 11010 10 nnnnn ddddd" => fcvtnu(q, z, n, d)
    "0q 0 01110 1z 10000 11010 10 nnnnn ddddd" => fcvtps(q, z, n, d)
    "0q 1 01110 1z 10000 11010 10 nnnnn ddddd" => fcvtpu(q, z, n, d)
    "0q 0 01110 0z 10000 11011 10 nnnnn ddddd" => fcvtms(q, z, n, d)
    "0q 1 01110 0z 10000 11011 10 nnnnn ddddd" => fcvtmu(q, z, n, d)
    "0q 0 01110 1z 10000 11011 10 nnnnn ddddd" => fcvtzs(q, z, n, d)
    "0q 1 01110 1z 10000 11011 10 nnnnn ddddd" => fcvtzu(q, z, n, d)
    "0q 0 01110 0z 10000 11100 10 nnnnn ddddd" => fcvtas(q, z, n, d)
    "0q 1 01110 0z 10000 11100 10 nnnnn ddddd" => fcvtau(q, z, n, d)
    "0q 0 01110 0z 10000 11101 10 nnnnn ddddd" => scvtf(q, z, n, d)
    "0q 1 01110 0z 10000 11101 10 nnnnn ddddd" => ucvtf(q, z, n, d)
    "01 0 11110 0z 10000 11010 10 nnnnn ddddd" => fcvtns({SCALAR}, z, n, d)
    "01 1 11110 0z 10000 11010 10 nnnnn ddddd" => fcvtnu({SCALAR}, z, n, d)
    "01 0 11110 1z 10000 11010 10 nnnnn ddddd" => fcvtps({SCALAR}, z, n, d)
    "01 1 11110 1z 10000 11010 10 nnnnn ddddd" => fcvtpu({SCALAR}, z, n, d)
    "01 0 11110 0z 10000 11011 10 nnnnn ddddd" => fcvtms({SCALAR}, z, n, d)
    "01 1 11110 0z 10000 11011 10 nnnnn ddddd" => fcvtmu({SCALAR}, z, n, d)
    "01 0 11110 1z 10000 11011 10 nnnnn ddddd" => fcvtzs({SCALAR}, z, n, d)
    "01 1 11110 1z 10000 11011 10 nnnnn ddddd" => fcvtzu({SCALAR}, z, n, d)
    "01 0 11110 0z 10000 11100 10 nnnnn ddddd" => fcvtas({SCALAR}, z, n, d)
    "01 1 11110 0z 10000 11100 10 nnnnn ddddd" => fcvtau({SCALAR}, z, n, d)
    "01 0 11110 0z 10000 11101 10 nnnnn ddddd" => scvtf({SCALAR}, z, n, d)
    "01 1 11110 0z 10000 11101 10 nnnnn ddddd" => ucvtf({SCALAR}, z, n, d)
    "0q 0 011110 01fffff 11100 1 nnnnn ddddd" => scvtf_fixed(q, 0, f, n, d)
    "01 0 011110 1ffffff 11100 1 nnnnn ddddd" => scvtf_fixed({1}, 1, f, n, d)
    "0q 1 011110 01fffff 11100 1 nnnnn ddddd" => ucvtf_fixed(q, 0, f, n, d)
    "01 1 011110 1ffffff 11100 1 nnnnn ddddd" => ucvtf_fixed({1}, 1, f, n, d)
    "0q 0 011110 01fffff 11111 1 nnnnn ddddd" => fcvtzs_fixed(q, 0, f, n, d)
    "01 0 011110 1ffffff 11111 1 nnnnn ddddd" => fcvtzs_fixed({1}, 1, f, n, d)
    "0q 1 011110 01fffff 11111 1 nnnnn ddddd" => fcvtzu_fixed(q, 0, f, n, d)
    "01 1 011110 1ffffff 11111 1 nnnnn ddddd" => fcvtzu_fixed({1}, 1, f, n, d)
    "01 0 111110 01fffff 11100 1 nnnnn ddddd" => scvtf_fixed({SCALAR}, 0, f, n, d)
    "01 0 111110 1ffffff 11100 1 nnnnn ddddd" => scvtf_fixed({SCALAR}, 1, f, n, d)
    "01 1 111110 01fffff 11100 1 nnnnn ddddd" => ucvtf_fixed({SCALAR}, 0, f, n, d)
    "01 1 111110 1ffffff 11100 1 nnnnn ddddd" => ucvtf_fixed({SCALAR}, 1, f, n, d)
    "01 0 111110 01fffff 11111 1 nnnnn ddddd" => fcvtzs_fixed({SCALAR}, 0, f, n, d)
    "01 0 111110 1ffffff 11111 1 nnnnn ddddd" => fcvtzs_fixed({SCALAR}, 1, f, n, d)
    "01 1 111110 01fffff 11111 1 nnnnn ddddd" => fcvtzu_fixed({SCALAR}, 0, f, n, d)
    "01 1 111110 1ffffff 11111 1 nnnnn ddddd" => fcvtzu_fixed({SCALAR}, 1, f, n, d)
}

insns! {
    /// To and from the next precision: the low half, or (`q` = 1) the high one.
    PRECISION: Tx;
    "0q 0 01110 00 10000 10111 10 nnnnn ddddd" => fcvtl_halves(q, n, d)
    "0q 0 01110 01 10000 10111 10 nnnnn ddddd" => fcvtl(q, n, d)
    "0q 0 01110 00 10000 10110 10 nnnnn ddddd" => fcvtn_halves(q, n, d)
    "0q 0 01110 01 10000 10110 10 nnnnn ddddd" => fcvtn(q, n, d)
    "0q 1 01110 01 10000 10110 10 nnnnn ddddd" => fcvtxn(q, n, d)
    "01 1 11110 01 10000 10110 10 nnnnn ddddd" => fcvtxn({SCALAR}, n, d)
}

insns! {
    /// Half precision.
    HALVES: Tx, needs Feature::Fp16;
    "0q 0 01110 11 11100 01100 10 nnnnn ddddd" => fcmgt_zero(q, {HALF}, n, d)
    "0q 1 01110 11 11100 01100 10 nnnnn ddddd" => fcmge_zero(q, {HALF}, n, d)
    "0q 0 01110 11 11100 01101 10 nnnnn ddddd" => fcmeq_zero(q, {HALF}, n, d)
    "0q 1 01110 11 11100 01101 10 nnnnn ddddd" => fcmle_zero(q, {HALF}, n, d)
    "0q 0 01110 11 11100 01110 10 nnnnn ddddd" => fcmlt_zero(q, {HALF}, n, d)
    "0q 0 01110 11 11100 01111 10 nnnnn ddddd" => fabs(q, {HALF}, n, d)
    "0q 1 01110 11 11100 01111 10 nnnnn ddddd" => fneg(q, {HALF}, n, d)
    "0q 1 01110 11 11100 11111 10 nnnnn ddddd" => fsqrt(q, {HALF}, n, d)
    "0q 0 01110 01 11100 11000 10 nnnnn ddddd" => frintn(q, {HALF}, n, d)
    "0q 0 01110 11 11100 11000 10 nnnnn ddddd" => frintp(q, {HALF}, n, d)
    "0q 1 01110 01 11100 11000 10 nnnnn ddddd" => frinta(q, {HALF}, n, d)
    "0q 0 01110 01 11100 11001 10 nnnnn ddddd" => frintm(q, {HALF}, n, d)
    "0q 0 01110 11 11100 11001 10 nnnnn ddddd" => frintz(q, {HALF}, n, d)
    "0q 1 01110 01 11100 11001 10 nnnnn ddddd" => frintx(q, {HALF}, n, d)
    "0q 1 01110 11 11100 11001 10 nnnnn ddddd" => frinti(q, {HALF}, n, d)
    "0q 0 01110 11 11100 11101 10 nnnnn ddddd" => frecpe(q, {HALF}, n, d)
    "0q 1 01110 11 11100 11101 10 nnnnn ddddd" => frsqrte(q, {HALF}, n, d)
    "01 0 11110 11 11100 01100 10 nnnnn ddddd" => fcmgt_zero({SCALAR}, {HALF}, n, d)
    "01 1 11110 11 11100 01100 10 nnnnn ddddd" => fcmge_zero({SCALAR}, {HALF}, n, d)
    "01 0 11110 11 11100 01101 10 nnnnn ddddd" => fcmeq_zero({SCALAR}, {HALF}, n, d)
    "01 1 11110 11 11100 01101 10 nnnnn ddddd" => fcmle_zero({SCALAR}, {HALF}, n, d)
    "01 0 11110 11 11100 01110 10 nnnnn ddddd" => fcmlt_zero({SCALAR}, {HALF}, n, d)
    "01 0 11110 11 11100 11101 10 nnnnn ddddd" => frecpe({SCALAR}, {HALF}, n, d)
    "01 1 11110 11 11100 11101 10 nnnnn ddddd" => frsqrte({SCALAR}, {HALF}, n, d)
    "01 0 11110 11 11100 11111 10 nnnnn ddddd" => frecpx({HALF}, n, d)
    "0q 0 01110 01 11100 11010 10 nnnnn ddddd" => fcvtns(q, {HALF}, n, d)
    "0q 1 01110 01 11100 11010 10 nnnnn ddddd" => fcvtnu(q, {HALF}, n, d)
    "0q 0 01110 11 11100 11010 10 nnnnn ddddd" => fcvtps(q, {HALF}, n, d)
    "0q 1 01110 11 11100 11010 10 nnnnn ddddd" => fcvtpu(q, {HALF}, n, d)
    "0q 0 01110 01 11100 11011 10 nnnnn ddddd" => fcvtms(q, {HALF}, n, d)
    "0q 1 01110 01 11100 11011 10 nnnnn ddddd" => fcvtmu(q, {HALF}, n, d)
    "0q 0 01110 11 11100 11011 10 nnnnn ddddd" => fcvtzs(q, {HALF}, n, d)
    "0q 1 01110 11 11100 11011 10 nnnnn ddddd" => fcvtzu(q, {HALF}, n, d)
    "0q 0 01110 01 11100 11100 10 nnnnn ddddd" => fcvtas(q, {HALF}, n, d)
    "0q 1 01110 01 11100 11100 10 nnnnn ddddd" => fcvtau(q, {HALF}, n, d)
    "0q 0 01110 01 11100 11101 10 nnnnn ddddd" => scvtf(q, {HALF}, n, d)
    "0q 1 01110 01 11100 11101 10 nnnnn ddddd" => ucvtf(q, {HALF}, n, d)
    "01 0 11110 01 11100 11010 10 nnnnn ddddd" => fcvtns({SCALAR}, {HALF}, n, d)
    "01 1 11110 01 11100 11010 10 nnnnn ddddd" => fcvtnu({SCALAR}, {HALF}, n, d)
    "01 0 11110 11 11100 11010 10 nnnnn ddddd" => fcvtps({SCALAR}, {HALF}, n, d)
    "01 1 11110 11 11100 11010 10 nnnnn ddddd" => fcvtpu({SCALAR}, {HALF}, n, d)
    "01 0 11110 01 11100 11011 10 nnnnn ddddd" => fcvtms({SCALAR}, {HALF}, n, d)
    "01 1 11110 01 11100 11011 10 nnnnn ddddd" => fcvtmu({SCALAR}, {HALF}, n, d)
    "01 0 11110 11 11100 11011 10 nnnnn ddddd" => fcvtzs({SCALAR}, {HALF}, n, d)
    "01 1 11110 11 11100 11011 10 nnnnn ddddd" => fcvtzu({SCALAR}, {HALF}, n, d)
    "01 0 11110 01 11100 11100 10 nnnnn ddddd" => fcvtas({SCALAR}, {HALF}, n, d)
    "01 1 11110 01 11100 11100 10 nnnnn ddddd" => fcvtau({SCALAR}, {HALF}, n, d)
    "01 0 11110 01 11100 11101 10 nnnnn ddddd" => scvtf({SCALAR}, {HALF}, n, d)
    "01 1 11110 01 11100 11101 10 nnnnn ddddd" => ucvtf({SCALAR}, {HALF}, n, d)
    "0q 0 011110 001ffff 11100 1 nnnnn ddddd" => scvtf_fixed(q, {HALF}, f, n, d)
    "0q 1 011110 001ffff 11100 1 nnnnn ddddd" => ucvtf_fixed(q, {HALF}, f, n, d)
    "0q 0 011110 001ffff 11111 1 nnnnn ddddd" => fcvtzs_fixed(q, {HALF}, f, n, d)
    "0q 1 011110 001ffff 11111 1 nnnnn ddddd" => fcvtzu_fixed(q, {HALF}, f, n, d)
    "01 0 111110 001ffff 11100 1 nnnnn ddddd" => scvtf_fixed({SCALAR}, {HALF}, f, n, d)
    "01 1 111110 001ffff 11100 1 nnnnn ddddd" => ucvtf_fixed({SCALAR}, {HALF}, f, n, d)
    "01 0 111110 001ffff 11111 1 nnnnn ddddd" => fcvtzs_fixed({SCALAR}, {HALF}, f, n, d)
    "01 1 111110 001ffff 11111 1 nnnnn ddddd" => fcvtzu_fixed({SCALAR}, {HALF}, f, n, d)
}

/// `d = f(n)`.
fn one(t: &mut Tx, [q, z]: [u32; 2], [n, d]: [u32; 2], f: impl FnOnce(&mut Tx, Lane, Val) -> Val) -> Option<()> {
    let e = float_lane(t, q, z)?;
    let x = get(t, q, e, n);
    let v = f(t, e, x);
    set(t, q, e, d, v);
    Some(())
}

macro_rules! one {
    ($( $name:ident $f:expr, $doc:literal; )*) => { $(
        #[doc = $doc]
        fn $name(t: &mut Tx, q: u32, z: u32, n: u32, d: u32) -> Option<()> {
            one(t, [q, z], [n, d], $f)
        }
    )* };
}
one! {
    fabs |t, e, x| magnitude(t.b, e, x), "FABS (vector).";
    fneg |t, e, x| negated(t.b, e, x), "FNEG (vector).";
    fsqrt |t, e, x| { let env = environment(t, e); t.b.vfsqrt(e, x, env) }, "FSQRT (vector).";
    fcmgt_zero |t, e, x| with_zero(t, e, x, true, Builder::vfgt), "FCMGT (zero).";
    fcmge_zero |t, e, x| with_zero(t, e, x, true, Builder::vfge), "FCMGE (zero).";
    fcmeq_zero |t, e, x| with_zero(t, e, x, false, Builder::vfeq), "FCMEQ (zero).";
    fcmle_zero |t, e, x| with_zero(t, e, x, true, |b, e, x, none, env| b.vfge(e, none, x, env)), "FCMLE (zero).";
    fcmlt_zero |t, e, x| with_zero(t, e, x, true, |b, e, x, none, env| b.vfgt(e, none, x, env)), "FCMLT (zero).";
    frintn |t, e, x| integral(t, e, x, Round::Nearest, false), "FRINTN (vector).";
    frintp |t, e, x| integral(t, e, x, Round::Up, false), "FRINTP (vector).";
    frintm |t, e, x| integral(t, e, x, Round::Down, false), "FRINTM (vector).";
    frintz |t, e, x| integral(t, e, x, Round::Zero, false), "FRINTZ (vector).";
    frinta |t, e, x| integral(t, e, x, Round::Away, false), "FRINTA (vector).";
    frintx |t, e, x| integral(t, e, x, Round::Current, true), "FRINTX (vector).";
    frinti |t, e, x| integral(t, e, x, Round::Current, false), "FRINTI (vector).";
}

macro_rules! sizes {
    ($( $name:ident $bits:literal $round:ident $doc:literal; )*) => { $(
        #[doc = $doc]
        fn $name(t: &mut Tx, q: u32, z: u32, n: u32, d: u32) -> Option<()> {
            let env = rounding(t, Round::$round, true);
            one(t, [q, z], [n, d], |t, e, x| {
                lane_by_lane(t, q, e.scalar(), e.scalar(), x, |b, a| size::rounded(b, a, env, $bits))
            })
        }
    )* };
}
sizes! {
    frint32z 32 Zero "FRINT32Z (vector).";
    frint32x 32 Current "FRINT32X (vector).";
    frint64z 64 Zero "FRINT64Z (vector).";
    frint64x 64 Current "FRINT64X (vector).";
}

/// The environment, rounding so.
fn rounded(t: &Tx, e: Lane, round: Round, inexact: bool) -> Fenv {
    Fenv {
        round,
        flag: inexact,
        ..environment(t, e)
    }
}

fn with_zero(t: &mut Tx, e: Lane, x: Val, ordered: bool, f: Op2) -> Val {
    let env = Fenv {
        flag: ordered,
        ..environment(t, e)
    };
    let none = zero(t.b, t.b.ty(x));
    f(t.b, e, x, none, env)
}
fn integral(t: &mut Tx, e: Lane, x: Val, round: Round, inexact: bool) -> Val {
    let env = rounded(t, e, round, inexact);
    t.b.vfround(e, x, env)
}

/// An estimate by a helper, told of lanes and environment.
fn estimate(t: &mut Tx, [q, z]: [u32; 2], [n, d]: [u32; 2], helper: u16) -> Option<()> {
    one(t, [q, z], [n, d], |t, e, x| {
        let lanes = if q == SCALAR { 1 } else { ty(q).bits() / e.bits() };
        let how = control(lanes, e, environment(t, e));
        let (how, round) = (t.b.i32(how), t.b.get(FP_ROUND));
        t.b.call(ty(q), helper, &[x, how, round])
    })
}
/// FRECPE.
fn frecpe(t: &mut Tx, q: u32, z: u32, n: u32, d: u32) -> Option<()> {
    estimate(t, [q, z], [n, d], calls::FRECPE)
}
/// FRSQRTE.
fn frsqrte(t: &mut Tx, q: u32, z: u32, n: u32, d: u32) -> Option<()> {
    estimate(t, [q, z], [n, d], calls::FRSQRTE)
}

/// FRECPX: the exponent complemented, and of zeros and denormals the greatest, with a fraction of zero. A NaN is what
/// an addition of zero makes of it.
fn frecpx(t: &mut Tx, z: u32, n: u32, d: u32) {
    let e = format(z);
    let (x, env, none) = (get(t, SCALAR, e, n), environment(t, e), zero(t.b, Ty::V64));
    let top = infinity(e);
    let sum = t.b.vfadd(e, x, none, env);
    let number = t.b.vfeq(e, sum, sum, Fenv { flush: false, ..env });
    let [sign, all, most] = [sign(e), top, top - (top & top.wrapping_neg())].map(|v| every(t.b, Ty::V64, e, v));
    let (sign, exponent) = (t.b.and(x, sign), t.b.and(x, all));
    let (least, flipped) = (t.b.veq(bits(e), exponent, none), t.b.xor(exponent, all));
    let exponent = choose(t.b, least, most, flipped);
    let scale = t.b.or(sign, exponent);
    let v = choose(t.b, number, scale, sum);
    set(t, SCALAR, e, d, v);
}

/// Whether a vector is converted at once: the unused lanes of a scalar are zeros.
fn is_whole(e: Lane, q: u32) -> bool {
    e == Lane::F16 || e == Lane::F32 && q != SCALAR
}

/// To integers or fixed point. Of doubles, and of scalars, by the operations on scalars.
fn to_int(t: &mut Tx, q: u32, e: Lane, x: Val, (unsigned, frac, round): (bool, u8, Round)) -> Val {
    let env = rounded(t, e, round, true);
    if is_whole(e, q) {
        let op = if unsigned {
            Op::VFToU { a: x, frac, e, env }
        } else {
            Op::VFToS { a: x, frac, e, env }
        };
        return t.b.push(ty(q), op);
    }
    let int = if e == Lane::F32 { Ty::I32 } else { Ty::I64 };
    lane_by_lane(t, q, e.scalar(), int, x, |b, a| {
        let op = if unsigned {
            Op::FToU { a, frac, env }
        } else {
            Op::FToS { a, frac, env }
        };
        b.push(int, op)
    })
}
/// From integers or fixed point, as [`to_int`].
fn from_int(t: &mut Tx, q: u32, e: Lane, x: Val, (unsigned, frac): (bool, u8)) -> Val {
    let env = environment(t, e);
    if is_whole(e, q) {
        let op = if unsigned {
            Op::VUToF { a: x, frac, e, env }
        } else {
            Op::VSToF { a: x, frac, e, env }
        };
        return t.b.push(ty(q), op);
    }
    let int = if e == Lane::F32 { Ty::I32 } else { Ty::I64 };
    lane_by_lane(t, q, int, e.scalar(), x, |b, a| {
        let op = if unsigned {
            Op::UToF { a, frac, env }
        } else {
            Op::SToF { a, frac, env }
        };
        b.push(e.scalar(), op)
    })
}
/// `f` of each lane, or of the lowest alone.
fn lane_by_lane(t: &mut Tx, q: u32, from: Ty, to: Ty, x: Val, f: impl Fn(&mut Builder, Val) -> Val) -> Val {
    let lanes = if q == SCALAR { 1 } else { ty(q).bits() / to.bits() };
    let mut v = zero(t.b, ty(q));
    for i in 0..lanes as u8 {
        let a = t.b.vget_lane(from, x, i);
        let r = f(t.b, a);
        v = t.b.vset_lane(v, r, i);
    }
    v
}

macro_rules! to_integers {
    ($( $name:ident $unsigned:literal $round:ident $doc:literal; )*) => { $(
        #[doc = $doc]
        fn $name(t: &mut Tx, q: u32, z: u32, n: u32, d: u32) -> Option<()> {
            one(t, [q, z], [n, d], |t, e, x| to_int(t, q, e, x, ($unsigned, 0, Round::$round)))
        }
    )* };
}
to_integers! {
    fcvtns false Nearest "FCVTNS (vector).";
    fcvtnu true Nearest "FCVTNU (vector).";
    fcvtas false Away "FCVTAS (vector).";
    fcvtau true Away "FCVTAU (vector).";
    fcvtps false Up "FCVTPS (vector).";
    fcvtpu true Up "FCVTPU (vector).";
    fcvtms false Down "FCVTMS (vector).";
    fcvtmu true Down "FCVTMU (vector).";
    fcvtzs false Zero "FCVTZS (vector, integer).";
    fcvtzu true Zero "FCVTZU (vector, integer).";
}
/// SCVTF (vector, integer).
fn scvtf(t: &mut Tx, q: u32, z: u32, n: u32, d: u32) -> Option<()> {
    one(t, [q, z], [n, d], |t, e, x| from_int(t, q, e, x, (false, 0)))
}
/// UCVTF (vector, integer).
fn ucvtf(t: &mut Tx, q: u32, z: u32, n: u32, d: u32) -> Option<()> {
    one(t, [q, z], [n, d], |t, e, x| from_int(t, q, e, x, (true, 0)))
}

/// Fraction bits: the width less `f`.
const fn fraction(e: Lane, f: u32) -> u8 {
    (e.bits() - f) as u8
}
/// SCVTF (vector, fixed-point).
fn scvtf_fixed(t: &mut Tx, q: u32, z: u32, f: u32, n: u32, d: u32) -> Option<()> {
    one(t, [q, z], [n, d], |t, e, x| {
        from_int(t, q, e, x, (false, fraction(e, f)))
    })
}
/// UCVTF (vector, fixed-point).
fn ucvtf_fixed(t: &mut Tx, q: u32, z: u32, f: u32, n: u32, d: u32) -> Option<()> {
    one(t, [q, z], [n, d], |t, e, x| {
        from_int(t, q, e, x, (true, fraction(e, f)))
    })
}
/// FCVTZS (vector, fixed-point).
fn fcvtzs_fixed(t: &mut Tx, q: u32, z: u32, f: u32, n: u32, d: u32) -> Option<()> {
    one(t, [q, z], [n, d], |t, e, x| {
        to_int(t, q, e, x, (false, fraction(e, f), Round::Zero))
    })
}
/// FCVTZU (vector, fixed-point).
fn fcvtzu_fixed(t: &mut Tx, q: u32, z: u32, f: u32, n: u32, d: u32) -> Option<()> {
    one(t, [q, z], [n, d], |t, e, x| {
        to_int(t, q, e, x, (true, fraction(e, f), Round::Zero))
    })
}

/// Lanes of half a register at twice the width.
fn lengthened(t: &mut Tx, [q, n, d]: [u32; 3], [from, to]: [Ty; 2], f: impl Fn(&mut Builder, Val) -> Val) {
    let x = half(t, q, n);
    let mut v = zero(t.b, Ty::V128);
    for i in 0..(128 / to.bits()) as u8 {
        let a = t.b.vget_lane(from, x, i);
        let r = f(t.b, a);
        v = t.b.vset_lane(v, r, i);
    }
    t.b.set(state::v(d, Ty::V128), v);
}
/// FCVTL of singles.
fn fcvtl(t: &mut Tx, q: u32, n: u32, d: u32) {
    let env = t.fpcr();
    lengthened(t, [q, n, d], [Ty::F32, Ty::F64], |b, a| {
        b.push(Ty::F64, Op::FCvt { a, env })
    });
}
/// FCVTL of halves.
fn fcvtl_halves(t: &mut Tx, q: u32, n: u32, d: u32) {
    let env = half_env(t);
    lengthened(t, [q, n, d], [Ty::I16, Ty::F32], |b, a| {
        b.push(Ty::F32, Op::FFromHalf { a, env })
    });
}
/// Lanes of a register at half the width, in a V64.
fn shortened(t: &mut Tx, n: u32, from: Ty, f: impl Fn(&mut Builder, Val) -> Val) -> Val {
    let x = t.b.get(state::v(n, Ty::V128));
    let mut v = zero(t.b, Ty::V64);
    for i in 0..(128 / from.bits()) as u8 {
        let a = t.b.vget_lane(from, x, i);
        let r = f(t.b, a);
        v = t.b.vset_lane(v, r, i);
    }
    v
}
/// FCVTN to singles.
fn fcvtn(t: &mut Tx, q: u32, n: u32, d: u32) {
    let env = t.fpcr();
    let v = shortened(t, n, Ty::F64, |b, a| b.push(Ty::F32, Op::FCvt { a, env }));
    set_half(t, q, d, v);
}
/// FCVTN to halves.
fn fcvtn_halves(t: &mut Tx, q: u32, n: u32, d: u32) {
    let env = half_env(t);
    let v = shortened(t, n, Ty::F32, |b, a| b.push(Ty::I16, Op::FToHalf { a, env }));
    set_half(t, q, d, v);
}
/// FCVTXN.
fn fcvtxn(t: &mut Tx, q: u32, n: u32, d: u32) {
    let env = rounding(t, Round::Zero, false);
    if q == SCALAR {
        let a = t.b.get(state::v(n, Ty::F64));
        let v = to_odd(t.b, a, env);
        return fp::set(t, d, v);
    }
    let v = shortened(t, n, Ty::F64, |b, a| to_odd(b, a, env));
    set_half(t, q, d, v);
}
/// A double as a single, rounded to odd: the lowest bit of what is truncated is set if it was not exact. Flushed to zero,
/// it stays so.
fn to_odd(b: &mut Builder, a: Val, env: Fenv) -> Val {
    let single = b.push(Ty::F32, Op::FCvt { a, env });
    let bits = b.bitcast(Ty::I32, single);
    let (size, one, zero, most) = (b.i32(i32::MAX as u32), b.i32(1), b.i32(0), b.i32(0x7f80_0000));
    let size = b.and(bits, size);
    // Of a NaN nothing is made here, so that going back raises nothing.
    let number = b.ule(size, most);
    let none = b.imm(Ty::F32, 0);
    let given = b.select(number, single, none);
    let exact = Fenv { flush: false, ..env };
    let back = b.push(Ty::F64, Op::FCvt { a: given, env: exact });
    let (back, a) = (b.bitcast(Ty::I64, back), b.bitcast(Ty::I64, a));
    let mut odd = b.ne(back, a);
    odd = b.and(odd, number);
    if env.flush {
        let some = b.ne(size, zero);
        odd = b.and(odd, some);
    }
    let lowest = b.select(odd, one, zero);
    let bits = b.or(bits, lowest);
    b.bitcast(Ty::F32, bits)
}
