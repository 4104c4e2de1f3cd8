//! Scalars of half precision (FEAT_FP16; Arm ARM DDI 0487, F4.1), and of brain floating point: the low half of a single
//! register, whose high half results make zero.

use super::armv8::selects;
use super::convert::{fraction_bits, half_slot, word_slot};
use super::memory::address;
use super::operands::{enabled, require, single};
use crate::a32::neon::calls;
use crate::features::Feature;
use crate::state::{FP_NZCV, FP_ROUND};
use crate::tx::Tx;
use crate::vector::estimate::control;
use crate::vector::float::{magnitude, max_number, min_number, negated};
use crate::vector::half;
use emu_ir::{Builder, Fenv, Lane, Mem, Round, Ty, Val, insns};

insns! {
    /// Three and two registers, VMOV of an immediate, VCMP.
    ARITH: Tx, needs Feature::Fp16;
    "---- 1110 0d00 nnnn dddd 1001 N0m0 mmmm" => vmla(d, n, m)
    "---- 1110 0d00 nnnn dddd 1001 N1m0 mmmm" => vmls(d, n, m)
    "---- 1110 0d01 nnnn dddd 1001 N0m0 mmmm" => vnmls(d, n, m)
    "---- 1110 0d01 nnnn dddd 1001 N1m0 mmmm" => vnmla(d, n, m)
    "---- 1110 0d10 nnnn dddd 1001 N0m0 mmmm" => vmul(d, n, m)
    "---- 1110 0d10 nnnn dddd 1001 N1m0 mmmm" => vnmul(d, n, m)
    "---- 1110 0d11 nnnn dddd 1001 N0m0 mmmm" => vadd(d, n, m)
    "---- 1110 0d11 nnnn dddd 1001 N1m0 mmmm" => vsub(d, n, m)
    "---- 1110 1d00 nnnn dddd 1001 N0m0 mmmm" => vdiv(d, n, m)
    "---- 1110 1d01 nnnn dddd 1001 N0m0 mmmm" => vfnms(d, n, m)
    "---- 1110 1d01 nnnn dddd 1001 N1m0 mmmm" => vfnma(d, n, m)
    "---- 1110 1d10 nnnn dddd 1001 N0m0 mmmm" => vfma(d, n, m)
    "---- 1110 1d10 nnnn dddd 1001 N1m0 mmmm" => vfms(d, n, m)
    "---- 1110 1d11 iiii dddd 1001 0000 iiii" => vmov_imm(d, i)
    "---- 1110 1d11 0000 dddd 1001 11m0 mmmm" => vabs(d, m)
    "---- 1110 1d11 0001 dddd 1001 01m0 mmmm" => vneg(d, m)
    "---- 1110 1d11 0001 dddd 1001 11m0 mmmm" => vsqrt(d, m)
    "---- 1110 1d11 0100 dddd 1001 01m0 mmmm" => vcmp(0, d, m)
    "---- 1110 1d11 0100 dddd 1001 11m0 mmmm" => vcmpe(1, d, m)
    "---- 1110 1d11 0101 dddd 1001 0100 0000" => vcmp_zero(0, d)
    "---- 1110 1d11 0101 dddd 1001 1100 0000" => vcmpe_zero(1, d)
    "---- 1110 1d11 0110 dddd 1001 01m0 mmmm" => vrintr(d, m)
    "---- 1110 1d11 0110 dddd 1001 11m0 mmmm" => vrintz(d, m)
    "---- 1110 1d11 0111 dddd 1001 01m0 mmmm" => vrintx(d, m)
}

insns! {
    /// Integers and fixed point.
    CONVERT: Tx, needs Feature::Fp16;
    "---- 1110 1d11 1000 dddd 1001 s1m0 mmmm" => vcvt_from_int(s, d, m)
    "---- 1110 1d11 110s dddd 1001 01m0 mmmm" => vcvtr(s, d, m)
    "---- 1110 1d11 110s dddd 1001 11m0 mmmm" => vcvt_to_int(s, d, m)
    "---- 1110 1d11 101u dddd 1001 x1i0 iiii" => vcvt_from_fixed(u, x, i, d)
    "---- 1110 1d11 111u dddd 1001 x1i0 iiii" => vcvt_to_fixed(u, x, i, d)
}

insns! {
    /// With core registers and memory.
    TRANSFER: Tx, needs Feature::Fp16;
    "---- 1110 0000 nnnn tttt 1001 N001 0000" => vmov_to_half(t, n)
    "---- 1110 0001 nnnn tttt 1001 N001 0000" => vmov_from_half(t, n)
    "---- 1101 ud01 nnnn dddd 1001 iiii iiii" => vldr(u, n, d, i)
    "---- 1101 ud00 nnnn dddd 1001 iiii iiii" => vstr(u, n, d, i)
}

insns! {
    /// Without a condition.
    UNCONDITIONAL: Tx, needs Feature::Fp16;
    "1111 1110 0dcc nnnn dddd 1001 N0m0 mmmm" => vsel(c, d, n, m)
    "1111 1110 1d00 nnnn dddd 1001 N0m0 mmmm" => vmaxnm(d, n, m)
    "1111 1110 1d00 nnnn dddd 1001 N1m0 mmmm" => vminnm(d, n, m)
    "1111 1110 1d11 1000 dddd 1001 01m0 mmmm" => vrinta(d, m)
    "1111 1110 1d11 1001 dddd 1001 01m0 mmmm" => vrintn(d, m)
    "1111 1110 1d11 1010 dddd 1001 01m0 mmmm" => vrintp(d, m)
    "1111 1110 1d11 1011 dddd 1001 01m0 mmmm" => vrintm(d, m)
    "1111 1110 1d11 1100 dddd 1001 s1m0 mmmm" => vcvta(s, d, m)
    "1111 1110 1d11 1101 dddd 1001 s1m0 mmmm" => vcvtn(s, d, m)
    "1111 1110 1d11 1110 dddd 1001 s1m0 mmmm" => vcvtp(s, d, m)
    "1111 1110 1d11 1111 dddd 1001 s1m0 mmmm" => vcvtm(s, d, m)
    "1111 1110 1d11 0000 dddd 1010 01m0 mmmm" => vmovx(d, m)
    "1111 1110 1d11 0000 dddd 1010 11m0 mmmm" => vins(d, m)
}

insns! {
    /// To brain floating point.
    BRAIN: Tx, needs Feature::Bf16;
    "---- 1110 1d11 0011 dddd 1001 h1m0 mmmm" => vcvt_bf16(h, d, m)
}

const H: Lane = Lane::F16;

/// The low half of a register, as a scalar.
fn get(t: &mut Tx, r: u32) -> Val {
    let (v, none) = (t.b.get(half_slot(r, 0)), t.b.vec(Ty::V64, 0));
    t.b.vset_lane(none, v, 0)
}
/// Write a half (I16).
fn set_bits(t: &mut Tx, d: u32, half: Val) {
    let word = t.b.zext(Ty::I32, half);
    t.b.set(word_slot(single(d)), word);
}
fn set(t: &mut Tx, d: u32, v: Val) {
    let half = t.b.vget_lane(Ty::I16, v, 0);
    set_bits(t, d, half);
}

fn unary(t: &mut Tx, d: u32, m: u32, f: impl FnOnce(&mut Builder, Val, Fenv) -> Val) -> Option<()> {
    enabled(t)?;
    let (a, env) = (get(t, m), t.fpscr_of(H));
    let v = f(t.b, a, env);
    set(t, d, v);
    Some(())
}
fn binary(t: &mut Tx, [d, n, m]: [u32; 3], f: impl FnOnce(&mut Builder, Val, Val, Fenv) -> Val) -> Option<()> {
    enabled(t)?;
    let ([a, b], env) = ([n, m].map(|r| get(t, r)), t.fpscr_of(H));
    let v = f(t.b, a, b, env);
    set(t, d, v);
    Some(())
}

macro_rules! binary {
    ($( $name:ident $f:expr, $doc:literal; )*) => { $(
        #[doc = $doc]
        fn $name(t: &mut Tx, d: u32, n: u32, m: u32) -> Option<()> {
            binary(t, [d, n, m], $f)
        }
    )* };
}
binary! {
    vmul |b, x, y, env| b.vfmul(H, x, y, env), "VMUL.";
    vnmul |b, x, y, env| { let p = b.vfmul(H, x, y, env); negated(b, H, p) }, "VNMUL.";
    vadd |b, x, y, env| b.vfadd(H, x, y, env), "VADD.";
    vsub |b, x, y, env| b.vfsub(H, x, y, env), "VSUB.";
    vdiv half::divided, "VDIV.";
    vmaxnm |b, x, y, env| max_number(b, H, x, y, env), "VMAXNM.";
    vminnm |b, x, y, env| min_number(b, H, x, y, env), "VMINNM.";
}

/// `±d ± n * m`, the product rounded before the sum or (`fused`) not; `negative` says which are negated, the sum first.
fn accumulate(t: &mut Tx, r: [u32; 3], fused: bool, negative: [bool; 2]) -> Option<()> {
    enabled(t)?;
    let ([mut c, mut x, y], env) = (r.map(|r| get(t, r)), t.fpscr_of(H));
    let [negative_sum, negative_product] = negative;
    if negative_sum {
        c = negated(t.b, H, c);
    }
    let v = if fused {
        if negative_product {
            x = negated(t.b, H, x);
        }
        t.b.vfmul_add(H, c, x, y, env)
    } else {
        let mut p = t.b.vfmul(H, x, y, env);
        if negative_product {
            p = negated(t.b, H, p);
        }
        t.b.vfadd(H, c, p, env)
    };
    let [d, ..] = r;
    set(t, d, v);
    Some(())
}

macro_rules! accumulates {
    ($( $name:ident $fused:literal $sum:literal $product:literal $doc:literal; )*) => { $(
        #[doc = $doc]
        fn $name(t: &mut Tx, d: u32, n: u32, m: u32) -> Option<()> {
            accumulate(t, [d, n, m], $fused, [$sum, $product])
        }
    )* };
}
accumulates! {
    vmla false false false "VMLA.";
    vmls false false true "VMLS.";
    vnmla false true true "VNMLA.";
    vnmls false true false "VNMLS.";
    vfma true false false "VFMA.";
    vfms true false true "VFMS.";
    vfnma true true true "VFNMA.";
    vfnms true true false "VFNMS.";
}

/// VMOV (immediate).
fn vmov_imm(t: &mut Tx, d: u32, i: u32) -> Option<()> {
    enabled(t)?;
    // A sign, NOT(b):b:b:cd, and four bits of fraction.
    let exponent = if i & 0x40 == 0 { 0x10 } else { 0x0c } | i >> 4 & 3;
    let v = t.b.imm(Ty::I16, (i >> 7 << 15 | exponent << 10 | (i & 15) << 6).into());
    set_bits(t, d, v);
    Some(())
}

/// VABS.
fn vabs(t: &mut Tx, d: u32, m: u32) -> Option<()> {
    unary(t, d, m, |b, x, _| magnitude(b, H, x))
}
/// VNEG.
fn vneg(t: &mut Tx, d: u32, m: u32) -> Option<()> {
    unary(t, d, m, |b, x, _| negated(b, H, x))
}
/// VSQRT.
fn vsqrt(t: &mut Tx, d: u32, m: u32) -> Option<()> {
    unary(t, d, m, |b, x, env| b.vfsqrt(H, x, env))
}

macro_rules! integral {
    ($( $name:ident $round:ident $inexact:literal $doc:literal; )*) => { $(
        #[doc = $doc]
        fn $name(t: &mut Tx, d: u32, m: u32) -> Option<()> {
            unary(t, d, m, |b, x, env| b.vfround(H, x, Fenv { round: Round::$round, flag: $inexact, ..env }))
        }
    )* };
}
integral! {
    vrintr Current false "VRINTR.";
    vrintz Zero false "VRINTZ.";
    vrintx Current true "VRINTX: it tells what is inexact.";
    vrinta Away false "VRINTA.";
    vrintn Nearest false "VRINTN.";
    vrintp Up false "VRINTP.";
    vrintm Down false "VRINTM.";
}

/// FPCompare: less is N, equal ZC, greater C, unordered CV.
fn compare(t: &mut Tx, e: u32, a: Val, b: Val) {
    let env = Fenv {
        flag: e == 1,
        ..t.fpscr_of(H)
    };
    let [lt, eq, un] = half::compared(t.b, a, b, env);
    let one = t.b.bool(true);
    let ge = t.b.xor(lt, one);
    for (slot, v) in FP_NZCV.into_iter().zip([lt, eq, ge, un]) {
        t.b.set(slot, v);
    }
}
/// VCMP: quiet NaNs are not invalid.
fn vcmp(t: &mut Tx, e: u32, d: u32, m: u32) -> Option<()> {
    enabled(t)?;
    let (a, b) = (get(t, d), get(t, m));
    compare(t, e, a, b);
    Some(())
}
/// VCMPE: any NaN is invalid.
fn vcmpe(t: &mut Tx, e: u32, d: u32, m: u32) -> Option<()> {
    vcmp(t, e, d, m)
}
/// VCMP with zero.
fn vcmp_zero(t: &mut Tx, e: u32, d: u32) -> Option<()> {
    enabled(t)?;
    let (a, zero) = (get(t, d), t.b.vec(Ty::V64, 0));
    compare(t, e, a, zero);
    Some(())
}
/// VCMPE with zero.
fn vcmpe_zero(t: &mut Tx, e: u32, d: u32) -> Option<()> {
    vcmp_zero(t, e, d)
}

/// VCVT from a 32-bit integer, signed if `s` = 1.
fn vcvt_from_int(t: &mut Tx, s: u32, d: u32, m: u32) -> Option<()> {
    enabled(t)?;
    let (word, env) = (t.b.get(word_slot(single(m))), t.fpscr_of(H));
    let v = half::from_int(t.b, word, (s == 0, 0), env);
    set_bits(t, d, v);
    Some(())
}

/// To a 32-bit integer, signed if `s` = 1.
fn to_int(t: &mut Tx, s: u32, d: u32, m: u32, round: Round) -> Option<()> {
    enabled(t)?;
    let (a, env) = (t.b.get(half_slot(m, 0)), t.fpscr_of(H));
    let v = half::to_int(t.b, a, Ty::I32, (s == 0, 0), Fenv { round, ..env });
    t.b.set(word_slot(single(d)), v);
    Some(())
}
macro_rules! to_integers {
    ($( $name:ident $round:ident $doc:literal; )*) => { $(
        #[doc = $doc]
        fn $name(t: &mut Tx, s: u32, d: u32, m: u32) -> Option<()> {
            to_int(t, s, d, m, Round::$round)
        }
    )* };
}
to_integers! {
    vcvtr Current "VCVTR.";
    vcvt_to_int Zero "VCVT (to an integer).";
    vcvta Away "VCVTA.";
    vcvtn Nearest "VCVTN.";
    vcvtp Up "VCVTP.";
    vcvtm Down "VCVTM.";
}

/// VCVT from fixed point of 16 or (`x` = 1) 32 bits in the register itself, rounding to nearest.
fn vcvt_from_fixed(t: &mut Tx, u: u32, x: u32, i: u32, d: u32) -> Option<()> {
    enabled(t)?;
    let frac = fraction_bits(t, x, i)?;
    let word = match (x, u) {
        (1, _) => t.b.get(word_slot(single(d))),
        (_, 1) => {
            let low = t.b.get(half_slot(d, 0));
            t.b.zext(Ty::I32, low)
        }
        _ => {
            let low = t.b.get(half_slot(d, 0));
            t.b.sext(Ty::I32, low)
        }
    };
    let env = Fenv {
        round: Round::Nearest,
        ..t.fpscr_of(H)
    };
    let v = half::from_int(t.b, word, (u == 1, frac), env);
    set_bits(t, d, v);
    Some(())
}

/// VCVT to fixed point of 16 or (`x` = 1) 32 bits, rounding toward zero, extended to the whole register.
fn vcvt_to_fixed(t: &mut Tx, u: u32, x: u32, i: u32, d: u32) -> Option<()> {
    enabled(t)?;
    let frac = fraction_bits(t, x, i)?;
    let (a, env) = (t.b.get(half_slot(d, 0)), t.fpscr_of(H));
    let env = Fenv {
        round: Round::Zero,
        ..env
    };
    let v = if x == 1 {
        half::to_int(t.b, a, Ty::I32, (u == 1, frac), env)
    } else {
        // Of a double, which is not flushed.
        let (a, how) = (half::double(t.b, a, env), t.b.i32(u32::from(frac) | u << 8 | 1 << 9));
        t.b.call(Ty::I32, calls::VCVT_TO_FIXED16, &[a, how])
    };
    t.b.set(word_slot(single(d)), v);
    Some(())
}

/// VMOV Sn, Rt.
fn vmov_to_half(t: &mut Tx, rt: u32, n: u32) -> Option<()> {
    enabled(t)?;
    require(t, rt != 15)?;
    let v = t.reg(rt);
    let half = t.b.trunc(Ty::I16, v);
    set_bits(t, n, half);
    Some(())
}
/// VMOV Rt, Sn.
fn vmov_from_half(t: &mut Tx, rt: u32, n: u32) -> Option<()> {
    enabled(t)?;
    require(t, rt != 15)?;
    let half = t.b.get(half_slot(n, 0));
    let v = t.b.zext(Ty::I32, half);
    t.set(rt, v);
    Some(())
}

/// Halfwords, which must be aligned whatever SCTLR.A says.
fn halfword(t: &Tx) -> Mem {
    t.mem_aligned(1)
}
fn offset(u: u32, i: u32) -> u32 {
    if u == 1 { i << 1 } else { (i << 1).wrapping_neg() }
}
/// VLDR.
fn vldr(t: &mut Tx, u: u32, n: u32, d: u32, i: u32) -> Option<()> {
    enabled(t)?;
    let (addr, mem) = (address(t, n, offset(u, i)), halfword(t));
    let half = t.load(Ty::I16, addr, mem);
    set_bits(t, d, half);
    Some(())
}
/// VSTR. From the pc it is UNPREDICTABLE in Thumb, here Undefined.
fn vstr(t: &mut Tx, u: u32, n: u32, d: u32, i: u32) -> Option<()> {
    enabled(t)?;
    require(t, n != 15 || !t.thumb())?;
    let (addr, mem) = (address(t, n, offset(u, i)), halfword(t));
    let half = t.b.get(half_slot(d, 0));
    t.store(addr, half, mem);
    Some(())
}

/// VSEL.
fn vsel(t: &mut Tx, c: u32, d: u32, n: u32, m: u32) -> Option<()> {
    enabled(t)?;
    let (a, b, holds) = (t.b.get(half_slot(n, 0)), t.b.get(half_slot(m, 0)), selects(t, c));
    let v = t.b.select(holds, a, b);
    set_bits(t, d, v);
    Some(())
}
/// VMOVX: the high half, to the low one.
fn vmovx(t: &mut Tx, d: u32, m: u32) -> Option<()> {
    enabled(t)?;
    let half = t.b.get(half_slot(m, 1));
    set_bits(t, d, half);
    Some(())
}
/// VINS: the low half, to the high one.
fn vins(t: &mut Tx, d: u32, m: u32) -> Option<()> {
    enabled(t)?;
    let half = t.b.get(half_slot(m, 0));
    t.b.set(half_slot(d, 1), half);
    Some(())
}

/// VCVTB and VCVTT to brain floating point, the low or (`h` = 1) high half of Sd; its other half stays.
fn vcvt_bf16(t: &mut Tx, h: u32, d: u32, m: u32) -> Option<()> {
    enabled(t)?;
    let (a, none) = (t.b.get(single(m)), t.b.vec(Ty::V64, 0));
    let a = t.b.vset_lane(none, a, 0);
    let how = t.b.i32(control(1, Lane::F32, t.fpscr()));
    let round = t.b.get(FP_ROUND);
    let v = t.b.call(Ty::V64, calls::VCVT_BF16, &[a, how, round]);
    let half = t.b.vget_lane(Ty::I16, v, 0);
    t.b.set(half_slot(d, h), half);
    Some(())
}
