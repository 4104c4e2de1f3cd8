//! Scalars of half precision (Arm ARM DDI 0487, C4.1, "Floating-point data-processing (1 source)" to "conditional select",
//! the conversions with integers and fixed point), as the lowest lane of a vector whose others are zero.

use super::super::features::Feature;
use super::super::simd::operands::{HALF, SCALAR, environment, get as lane, set as set_lane};
use super::super::state;
use super::super::tx::{Tx, width};
use super::arithmetic::expanded;
use super::select::{compare_if, flags_of};
use super::set;
use crate::vector::float::{Op2, magnitude, max_number, min_number, negated};
use crate::vector::half::{self, compared, divided};
use crate::vector::zero;
use emu_ir::{Builder, Fenv, Lane, Round, Ty, Val, insns};

const H: Lane = Lane::F16;

insns! {
    /// Arithmetic.
    ARITHMETIC: Tx, needs Feature::Fp16;
    "000 11110 11 1 000000 10000 nnnnn ddddd" => fmov_reg(n, d)
    "000 11110 11 1 000001 10000 nnnnn ddddd" => fabs(n, d)
    "000 11110 11 1 000010 10000 nnnnn ddddd" => fneg(n, d)
    "000 11110 11 1 000011 10000 nnnnn ddddd" => fsqrt(n, d)
    "000 11110 11 1 001000 10000 nnnnn ddddd" => frintn(n, d)
    "000 11110 11 1 001001 10000 nnnnn ddddd" => frintp(n, d)
    "000 11110 11 1 001010 10000 nnnnn ddddd" => frintm(n, d)
    "000 11110 11 1 001011 10000 nnnnn ddddd" => frintz(n, d)
    "000 11110 11 1 001100 10000 nnnnn ddddd" => frinta(n, d)
    "000 11110 11 1 001110 10000 nnnnn ddddd" => frintx(n, d)
    "000 11110 11 1 001111 10000 nnnnn ddddd" => frinti(n, d)
    "000 11110 11 1 mmmmm 0000 10 nnnnn ddddd" => fmul(m, n, d)
    "000 11110 11 1 mmmmm 0001 10 nnnnn ddddd" => fdiv(m, n, d)
    "000 11110 11 1 mmmmm 0010 10 nnnnn ddddd" => fadd(m, n, d)
    "000 11110 11 1 mmmmm 0011 10 nnnnn ddddd" => fsub(m, n, d)
    "000 11110 11 1 mmmmm 0100 10 nnnnn ddddd" => fmax(m, n, d)
    "000 11110 11 1 mmmmm 0101 10 nnnnn ddddd" => fmin(m, n, d)
    "000 11110 11 1 mmmmm 0110 10 nnnnn ddddd" => fmaxnm(m, n, d)
    "000 11110 11 1 mmmmm 0111 10 nnnnn ddddd" => fminnm(m, n, d)
    "000 11110 11 1 mmmmm 1000 10 nnnnn ddddd" => fnmul(m, n, d)
    "000 11111 11 0 mmmmm 0 aaaaa nnnnn ddddd" => fmadd(m, a, n, d)
    "000 11111 11 0 mmmmm 1 aaaaa nnnnn ddddd" => fmsub(m, a, n, d)
    "000 11111 11 1 mmmmm 0 aaaaa nnnnn ddddd" => fnmadd(m, a, n, d)
    "000 11111 11 1 mmmmm 1 aaaaa nnnnn ddddd" => fnmsub(m, a, n, d)
    "000 11110 11 1 iiiiiiii 100 00000 ddddd" => fmov_imm(i, d)
}

insns! {
    /// Flags, and by a condition.
    COMPARE: Tx, needs Feature::Fp16;
    "000 11110 11 1 mmmmm 00 1000 nnnnn 0 0000" => fcmp(m, n)
    "000 11110 11 1 ----- 00 1000 nnnnn 0 1000" => fcmp_zero(n)
    "000 11110 11 1 mmmmm 00 1000 nnnnn 1 0000" => fcmpe(m, n)
    "000 11110 11 1 ----- 00 1000 nnnnn 1 1000" => fcmpe_zero(n)
    "000 11110 11 1 mmmmm cccc 01 nnnnn 0 ffff" => fccmp(m, c, n, f)
    "000 11110 11 1 mmmmm cccc 01 nnnnn 1 ffff" => fccmpe(m, c, n, f)
    "000 11110 11 1 mmmmm cccc 11 nnnnn ddddd" => fcsel(m, c, n, d)
}

insns! {
    /// With integers, and fixed point of 64 - `k` fraction bits: `s` is 1 for an X register.
    CONVERT: Tx, needs Feature::Fp16;
    "s00 11110 11 1 00 000 000000 nnnnn ddddd" => fcvtns(s, n, d)
    "s00 11110 11 1 00 001 000000 nnnnn ddddd" => fcvtnu(s, n, d)
    "s00 11110 11 1 00 010 000000 nnnnn ddddd" => scvtf_int(s, n, d)
    "s00 11110 11 1 00 011 000000 nnnnn ddddd" => ucvtf_int(s, n, d)
    "s00 11110 11 1 00 100 000000 nnnnn ddddd" => fcvtas(s, n, d)
    "s00 11110 11 1 00 101 000000 nnnnn ddddd" => fcvtau(s, n, d)
    "s00 11110 11 1 00 110 000000 nnnnn ddddd" => fmov_from(s, n, d)
    "s00 11110 11 1 00 111 000000 nnnnn ddddd" => fmov_to(s, n, d)
    "s00 11110 11 1 01 000 000000 nnnnn ddddd" => fcvtps(s, n, d)
    "s00 11110 11 1 01 001 000000 nnnnn ddddd" => fcvtpu(s, n, d)
    "s00 11110 11 1 10 000 000000 nnnnn ddddd" => fcvtms(s, n, d)
    "s00 11110 11 1 10 001 000000 nnnnn ddddd" => fcvtmu(s, n, d)
    "s00 11110 11 1 11 000 000000 nnnnn ddddd" => fcvtzs_int(s, n, d)
    "s00 11110 11 1 11 001 000000 nnnnn ddddd" => fcvtzu_int(s, n, d)
    "000 11110 11 0 00 010 1kkkkk nnnnn ddddd" => scvtf_fixed(0, k, n, d)
    "100 11110 11 0 00 010 kkkkkk nnnnn ddddd" => scvtf_fixed(1, k, n, d)
    "000 11110 11 0 00 011 1kkkkk nnnnn ddddd" => ucvtf_fixed(0, k, n, d)
    "100 11110 11 0 00 011 kkkkkk nnnnn ddddd" => ucvtf_fixed(1, k, n, d)
    "000 11110 11 0 11 000 1kkkkk nnnnn ddddd" => fcvtzs_fixed(0, k, n, d)
    "100 11110 11 0 11 000 kkkkkk nnnnn ddddd" => fcvtzs_fixed(1, k, n, d)
    "000 11110 11 0 11 001 1kkkkk nnnnn ddddd" => fcvtzu_fixed(0, k, n, d)
    "100 11110 11 0 11 001 kkkkkk nnnnn ddddd" => fcvtzu_fixed(1, k, n, d)
}

fn get(t: &mut Tx, n: u32) -> Val {
    lane(t, SCALAR, H, n)
}
fn put(t: &mut Tx, d: u32, v: Val) {
    set_lane(t, SCALAR, H, d, v);
}

fn unary(t: &mut Tx, n: u32, d: u32, f: impl FnOnce(&mut Builder, Val, Fenv) -> Val) {
    let (a, env) = (get(t, n), environment(t, H));
    let v = f(t.b, a, env);
    put(t, d, v);
}
/// FMOV (register).
fn fmov_reg(t: &mut Tx, n: u32, d: u32) {
    unary(t, n, d, |_, a, _| a);
}
/// FABS (scalar).
fn fabs(t: &mut Tx, n: u32, d: u32) {
    unary(t, n, d, |b, a, _| magnitude(b, H, a));
}
/// FNEG (scalar).
fn fneg(t: &mut Tx, n: u32, d: u32) {
    unary(t, n, d, |b, a, _| negated(b, H, a));
}
/// FSQRT (scalar).
fn fsqrt(t: &mut Tx, n: u32, d: u32) {
    unary(t, n, d, |b, a, env| b.vfsqrt(H, a, env));
}
macro_rules! rounds {
    ($( $name:ident $round:ident $inexact:literal $doc:literal; )*) => { $(
        #[doc = $doc]
        fn $name(t: &mut Tx, n: u32, d: u32) {
            unary(t, n, d, |b, a, env| {
                let env = Fenv { round: Round::$round, flag: $inexact, ..env };
                b.vfround(H, a, env)
            });
        }
    )* };
}
rounds! {
    frintn Nearest false "FRINTN (scalar).";
    frintp Up false "FRINTP (scalar).";
    frintm Down false "FRINTM (scalar).";
    frintz Zero false "FRINTZ (scalar).";
    frinta Away false "FRINTA (scalar).";
    frintx Current true "FRINTX (scalar).";
    frinti Current false "FRINTI (scalar).";
}

macro_rules! binary {
    ($( $name:ident $f:expr, $doc:literal; )*) => { $(
        #[doc = $doc]
        fn $name(t: &mut Tx, m: u32, n: u32, d: u32) {
            let (a, b, env) = (get(t, n), get(t, m), environment(t, H));
            let f: Op2 = $f;
            let v = f(t.b, H, a, b, env);
            put(t, d, v);
        }
    )* };
}
binary! {
    fmul Builder::vfmul, "FMUL (scalar).";
    fdiv |b, _, x, y, env| divided(b, x, y, env), "FDIV (scalar).";
    fadd Builder::vfadd, "FADD (scalar).";
    fsub Builder::vfsub, "FSUB (scalar).";
    fmax Builder::vfmax, "FMAX (scalar).";
    fmin Builder::vfmin, "FMIN (scalar).";
    fmaxnm max_number, "FMAXNM (scalar).";
    fminnm min_number, "FMINNM (scalar).";
    fnmul |b, e, x, y, env| { let product = b.vfmul(e, x, y, env); negated(b, e, product) }, "FNMUL (scalar).";
}
fn fused(t: &mut Tx, [m, a, n, d]: [u32; 4], negative: [bool; 2]) {
    let ([mut x, y, mut c], env) = ([n, m, a].map(|r| get(t, r)), environment(t, H));
    let [negative_sum, negative_product] = negative;
    if negative_product {
        x = negated(t.b, H, x);
    }
    if negative_sum {
        c = negated(t.b, H, c);
    }
    let v = t.b.vfmul_add(H, c, x, y, env);
    put(t, d, v);
}
/// FMADD: `a + n * m`.
fn fmadd(t: &mut Tx, m: u32, a: u32, n: u32, d: u32) {
    fused(t, [m, a, n, d], [false, false]);
}
/// FMSUB: `a - n * m`.
fn fmsub(t: &mut Tx, m: u32, a: u32, n: u32, d: u32) {
    fused(t, [m, a, n, d], [false, true]);
}
/// FNMADD: `-a - n * m`.
fn fnmadd(t: &mut Tx, m: u32, a: u32, n: u32, d: u32) {
    fused(t, [m, a, n, d], [true, true]);
}
/// FNMSUB: `-a + n * m`.
fn fnmsub(t: &mut Tx, m: u32, a: u32, n: u32, d: u32) {
    fused(t, [m, a, n, d], [true, false]);
}
/// FMOV (scalar, immediate).
fn fmov_imm(t: &mut Tx, i: u32, d: u32) {
    let v = t.b.imm(Ty::I64, expanded(HALF, i));
    set(t, d, v);
}

/// FPCompare of two vectors' lowest lanes.
fn compare(t: &mut Tx, a: Val, b: Val, any_nan: bool) {
    let env = Fenv {
        flag: any_nan,
        ..environment(t, H)
    };
    let [lt, eq, un] = compared(t.b, a, b, env);
    let flags = flags_of(t, lt, eq, un);
    t.flags.set_all(t.b, flags);
}
fn compare_registers(t: &mut Tx, m: u32, n: u32, any_nan: bool) {
    let (a, b) = (get(t, n), get(t, m));
    compare(t, a, b, any_nan);
}
fn compare_with_zero(t: &mut Tx, n: u32, any_nan: bool) {
    let (a, none) = (get(t, n), zero(t.b, Ty::V64));
    compare(t, a, none, any_nan);
}
/// FCMP.
fn fcmp(t: &mut Tx, m: u32, n: u32) {
    compare_registers(t, m, n, false);
}
/// FCMP (zero).
fn fcmp_zero(t: &mut Tx, n: u32) {
    compare_with_zero(t, n, false);
}
/// FCMPE.
fn fcmpe(t: &mut Tx, m: u32, n: u32) {
    compare_registers(t, m, n, true);
}
/// FCMPE (zero).
fn fcmpe_zero(t: &mut Tx, n: u32) {
    compare_with_zero(t, n, true);
}
/// FCCMP.
fn fccmp(t: &mut Tx, m: u32, c: u32, n: u32, f: u32) {
    compare_if(t, c, f, |t| compare_registers(t, m, n, false));
}
/// FCCMPE.
fn fccmpe(t: &mut Tx, m: u32, c: u32, n: u32, f: u32) {
    compare_if(t, c, f, |t| compare_registers(t, m, n, true));
}
/// FCSEL.
fn fcsel(t: &mut Tx, m: u32, c: u32, n: u32, d: u32) {
    let (a, b, holds) = (get(t, n), get(t, m), t.cond(c));
    let v = t.b.select(holds, a, b);
    put(t, d, v);
}

/// To an integer or fixed point.
fn to_int(t: &mut Tx, s: u32, n: u32, (unsigned, frac, round): (bool, u8, Round), d: u32) {
    let (a, env) = (t.b.get(state::v(n, Ty::I16)), environment(t, H));
    let v = half::to_int(t.b, a, width(s), (unsigned, frac), Fenv { round, ..env });
    t.set(d, v);
}
macro_rules! to_integers {
    ($( $name:ident $unsigned:literal $round:ident $doc:literal; )*) => { $(
        #[doc = $doc]
        fn $name(t: &mut Tx, s: u32, n: u32, d: u32) {
            to_int(t, s, n, ($unsigned, 0, Round::$round), d);
        }
    )* };
}
to_integers! {
    fcvtns false Nearest "FCVTNS (scalar).";
    fcvtnu true Nearest "FCVTNU (scalar).";
    fcvtas false Away "FCVTAS (scalar).";
    fcvtau true Away "FCVTAU (scalar).";
    fcvtps false Up "FCVTPS (scalar).";
    fcvtpu true Up "FCVTPU (scalar).";
    fcvtms false Down "FCVTMS (scalar).";
    fcvtmu true Down "FCVTMU (scalar).";
    fcvtzs_int false Zero "FCVTZS (scalar, integer).";
    fcvtzu_int true Zero "FCVTZU (scalar, integer).";
}

/// From an integer or fixed point.
fn from_int(t: &mut Tx, a: Val, how: (bool, u8), d: u32) {
    let env = environment(t, H);
    let half = half::from_int(t.b, a, how, env);
    let v = t.b.zext(Ty::I64, half);
    set(t, d, v);
}
/// SCVTF (scalar, integer).
fn scvtf_int(t: &mut Tx, s: u32, n: u32, d: u32) {
    let a = t.r(s, n);
    from_int(t, a, (false, 0), d);
}
/// UCVTF (scalar, integer).
fn ucvtf_int(t: &mut Tx, s: u32, n: u32, d: u32) {
    let a = t.r(s, n);
    from_int(t, a, (true, 0), d);
}
/// Fraction bits of `k`, of which W registers have the low five bits.
fn fraction(s: u32, k: u32) -> u8 {
    (if s == 1 { 64 - k } else { 32 - k }) as u8
}
/// SCVTF (scalar, fixed-point).
fn scvtf_fixed(t: &mut Tx, s: u32, k: u32, n: u32, d: u32) {
    let a = t.r(s, n);
    from_int(t, a, (false, fraction(s, k)), d);
}
/// UCVTF (scalar, fixed-point).
fn ucvtf_fixed(t: &mut Tx, s: u32, k: u32, n: u32, d: u32) {
    let a = t.r(s, n);
    from_int(t, a, (true, fraction(s, k)), d);
}
/// FCVTZS (scalar, fixed-point).
fn fcvtzs_fixed(t: &mut Tx, s: u32, k: u32, n: u32, d: u32) {
    to_int(t, s, n, (false, fraction(s, k), Round::Zero), d);
}
/// FCVTZU (scalar, fixed-point).
fn fcvtzu_fixed(t: &mut Tx, s: u32, k: u32, n: u32, d: u32) {
    to_int(t, s, n, (true, fraction(s, k), Round::Zero), d);
}

/// FMOV (general), from the low bits of V`n`.
fn fmov_from(t: &mut Tx, s: u32, n: u32, d: u32) {
    let v = t.b.get(state::v(n, Ty::I16));
    let v = t.b.zext(width(s), v);
    t.set(d, v);
}
/// FMOV (general), to the low bits of V`d`.
fn fmov_to(t: &mut Tx, _: u32, n: u32, d: u32) {
    let v = t.x(n);
    let v = t.b.trunc(Ty::I16, v);
    let v = t.b.zext(Ty::I64, v);
    set(t, d, v);
}
