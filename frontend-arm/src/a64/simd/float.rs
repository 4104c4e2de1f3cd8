//! Three registers of floats, or two and a lane of the third (Arm ARM DDI 0487, C4.1, "Advanced SIMD three same", "Advanced
//! SIMD vector x indexed element", "Advanced SIMD across lanes", "Advanced SIMD scalar pairwise", and the scalar classes).

use super::super::features::Feature;
use super::super::tx::Tx;
use super::operands::{HALF, SCALAR, element, environment, float_lane, format, get, halves, set, ty};
use super::same::pairwise;
use crate::vector::float::{
    Op2, difference, max_number, min_number, multiply_extended, negated, of_magnitudes, reciprocal_step, root_step,
};
use emu_ir::{Builder, Fenv, Lane, Val, insns};

insns! {
    /// Lane by lane; `z` is the format.
    SAME: Tx;
    "0q 0 01110 0z 1 mmmmm 11000 1 nnnnn ddddd" => fmaxnm(q, z, m, n, d)
    "0q 0 01110 1z 1 mmmmm 11000 1 nnnnn ddddd" => fminnm(q, z, m, n, d)
    "0q 1 01110 0z 1 mmmmm 11000 1 nnnnn ddddd" => fmaxnmp(q, z, m, n, d)
    "0q 1 01110 1z 1 mmmmm 11000 1 nnnnn ddddd" => fminnmp(q, z, m, n, d)
    "0q 0 01110 0z 1 mmmmm 11001 1 nnnnn ddddd" => fmla(q, z, m, n, d)
    "0q 0 01110 1z 1 mmmmm 11001 1 nnnnn ddddd" => fmls(q, z, m, n, d)
    "0q 0 01110 0z 1 mmmmm 11010 1 nnnnn ddddd" => fadd(q, z, m, n, d)
    "0q 0 01110 1z 1 mmmmm 11010 1 nnnnn ddddd" => fsub(q, z, m, n, d)
    "0q 1 01110 0z 1 mmmmm 11010 1 nnnnn ddddd" => faddp(q, z, m, n, d)
    "0q 1 01110 1z 1 mmmmm 11010 1 nnnnn ddddd" => fabd(q, z, m, n, d)
    "0q 0 01110 0z 1 mmmmm 11011 1 nnnnn ddddd" => fmulx(q, z, m, n, d)
    "0q 1 01110 0z 1 mmmmm 11011 1 nnnnn ddddd" => fmul(q, z, m, n, d)
    "0q 0 01110 0z 1 mmmmm 11100 1 nnnnn ddddd" => fcmeq(q, z, m, n, d)
    "0q 1 01110 0z 1 mmmmm 11100 1 nnnnn ddddd" => fcmge(q, z, m, n, d)
    "0q 1 01110 1z 1 mmmmm 11100 1 nnnnn ddddd" => fcmgt(q, z, m, n, d)
    "0q 1 01110 0z 1 mmmmm 11101 1 nnnnn ddddd" => facge(q, z, m, n, d)
    "0q 1 01110 1z 1 mmmmm 11101 1 nnnnn ddddd" => facgt(q, z, m, n, d)
    "0q 0 01110 0z 1 mmmmm 11110 1 nnnnn ddddd" => fmax(q, z, m, n, d)
    "0q 0 01110 1z 1 mmmmm 11110 1 nnnnn ddddd" => fmin(q, z, m, n, d)
    "0q 1 01110 0z 1 mmmmm 11110 1 nnnnn ddddd" => fmaxp(q, z, m, n, d)
    "0q 1 01110 1z 1 mmmmm 11110 1 nnnnn ddddd" => fminp(q, z, m, n, d)
    "0q 0 01110 0z 1 mmmmm 11111 1 nnnnn ddddd" => frecps(q, z, m, n, d)
    "0q 0 01110 1z 1 mmmmm 11111 1 nnnnn ddddd" => frsqrts(q, z, m, n, d)
    "0q 1 01110 0z 1 mmmmm 11111 1 nnnnn ddddd" => fdiv(q, z, m, n, d)
}

insns! {
    /// The lowest lanes.
    SAME_SCALAR: Tx;
    "01 1 11110 1z 1 mmmmm 11010 1 nnnnn ddddd" => fabd({SCALAR}, z, m, n, d)
    "01 0 11110 0z 1 mmmmm 11011 1 nnnnn ddddd" => fmulx({SCALAR}, z, m, n, d)
    "01 0 11110 0z 1 mmmmm 11100 1 nnnnn ddddd" => fcmeq({SCALAR}, z, m, n, d)
    "01 1 11110 0z 1 mmmmm 11100 1 nnnnn ddddd" => fcmge({SCALAR}, z, m, n, d)
    "01 1 11110 1z 1 mmmmm 11100 1 nnnnn ddddd" => fcmgt({SCALAR}, z, m, n, d)
    "01 1 11110 0z 1 mmmmm 11101 1 nnnnn ddddd" => facge({SCALAR}, z, m, n, d)
    "01 1 11110 1z 1 mmmmm 11101 1 nnnnn ddddd" => facgt({SCALAR}, z, m, n, d)
    "01 0 11110 0z 1 mmmmm 11111 1 nnnnn ddddd" => frecps({SCALAR}, z, m, n, d)
    "01 0 11110 1z 1 mmmmm 11111 1 nnnnn ddddd" => frsqrts({SCALAR}, z, m, n, d)
}

insns! {
    /// With lane `i` of `m`.
    ELEMENT: Tx;
    "0q 0 01111 10 i mmmmm 0001 I0 nnnnn ddddd" => fmla_element(q, 0, i, m, n, d)
    "01 0 01111 11 0 mmmmm 0001 i0 nnnnn ddddd" => fmla_element({1}, 1, i, m, n, d)
    "0q 0 01111 10 i mmmmm 0101 I0 nnnnn ddddd" => fmls_element(q, 0, i, m, n, d)
    "01 0 01111 11 0 mmmmm 0101 i0 nnnnn ddddd" => fmls_element({1}, 1, i, m, n, d)
    "0q 0 01111 10 i mmmmm 1001 I0 nnnnn ddddd" => fmul_element(q, 0, i, m, n, d)
    "01 0 01111 11 0 mmmmm 1001 i0 nnnnn ddddd" => fmul_element({1}, 1, i, m, n, d)
    "0q 1 01111 10 i mmmmm 1001 I0 nnnnn ddddd" => fmulx_element(q, 0, i, m, n, d)
    "01 1 01111 11 0 mmmmm 1001 i0 nnnnn ddddd" => fmulx_element({1}, 1, i, m, n, d)
    "01 0 11111 10 i mmmmm 0001 I0 nnnnn ddddd" => fmla_element({SCALAR}, 0, i, m, n, d)
    "01 0 11111 11 0 mmmmm 0001 i0 nnnnn ddddd" => fmla_element({SCALAR}, 1, i, m, n, d)
    "01 0 11111 10 i mmmmm 0101 I0 nnnnn ddddd" => fmls_element({SCALAR}, 0, i, m, n, d)
    "01 0 11111 11 0 mmmmm 0101 i0 nnnnn ddddd" => fmls_element({SCALAR}, 1, i, m, n, d)
    "01 0 11111 10 i mmmmm 1001 I0 nnnnn ddddd" => fmul_element({SCALAR}, 0, i, m, n, d)
    "01 0 11111 11 0 mmmmm 1001 i0 nnnnn ddddd" => fmul_element({SCALAR}, 1, i, m, n, d)
    "01 1 11111 10 i mmmmm 1001 I0 nnnnn ddddd" => fmulx_element({SCALAR}, 0, i, m, n, d)
    "01 1 11111 11 0 mmmmm 1001 i0 nnnnn ddddd" => fmulx_element({SCALAR}, 1, i, m, n, d)
}

insns! {
    /// All lanes as one, and pairs of lanes.
    ACROSS: Tx;
    "01 1 01110 00 11000 01100 10 nnnnn ddddd" => fmaxnmv({1}, 0, n, d)
    "01 1 01110 10 11000 01100 10 nnnnn ddddd" => fminnmv({1}, 0, n, d)
    "01 1 01110 00 11000 01111 10 nnnnn ddddd" => fmaxv({1}, 0, n, d)
    "01 1 01110 10 11000 01111 10 nnnnn ddddd" => fminv({1}, 0, n, d)
    "01 1 11110 0z 11000 01100 10 nnnnn ddddd" => fmaxnmp_scalar(z, n, d)
    "01 1 11110 1z 11000 01100 10 nnnnn ddddd" => fminnmp_scalar(z, n, d)
    "01 1 11110 0z 11000 01101 10 nnnnn ddddd" => faddp_scalar(z, n, d)
    "01 1 11110 0z 11000 01111 10 nnnnn ddddd" => fmaxp_scalar(z, n, d)
    "01 1 11110 1z 11000 01111 10 nnnnn ddddd" => fminp_scalar(z, n, d)
}

insns! {
    /// Half precision.
    HALVES: Tx, needs Feature::Fp16;
    "0q 0 01110 010 mmmmm 00000 1 nnnnn ddddd" => fmaxnm(q, {HALF}, m, n, d)
    "0q 0 01110 110 mmmmm 00000 1 nnnnn ddddd" => fminnm(q, {HALF}, m, n, d)
    "0q 1 01110 010 mmmmm 00000 1 nnnnn ddddd" => fmaxnmp(q, {HALF}, m, n, d)
    "0q 1 01110 110 mmmmm 00000 1 nnnnn ddddd" => fminnmp(q, {HALF}, m, n, d)
    "0q 0 01110 010 mmmmm 00001 1 nnnnn ddddd" => fmla(q, {HALF}, m, n, d)
    "0q 0 01110 110 mmmmm 00001 1 nnnnn ddddd" => fmls(q, {HALF}, m, n, d)
    "0q 0 01110 010 mmmmm 00010 1 nnnnn ddddd" => fadd(q, {HALF}, m, n, d)
    "0q 0 01110 110 mmmmm 00010 1 nnnnn ddddd" => fsub(q, {HALF}, m, n, d)
    "0q 1 01110 010 mmmmm 00010 1 nnnnn ddddd" => faddp(q, {HALF}, m, n, d)
    "0q 1 01110 110 mmmmm 00010 1 nnnnn ddddd" => fabd(q, {HALF}, m, n, d)
    "0q 0 01110 010 mmmmm 00011 1 nnnnn ddddd" => fmulx(q, {HALF}, m, n, d)
    "0q 1 01110 010 mmmmm 00011 1 nnnnn ddddd" => fmul(q, {HALF}, m, n, d)
    "0q 0 01110 010 mmmmm 00100 1 nnnnn ddddd" => fcmeq(q, {HALF}, m, n, d)
    "0q 1 01110 010 mmmmm 00100 1 nnnnn ddddd" => fcmge(q, {HALF}, m, n, d)
    "0q 1 01110 110 mmmmm 00100 1 nnnnn ddddd" => fcmgt(q, {HALF}, m, n, d)
    "0q 1 01110 010 mmmmm 00101 1 nnnnn ddddd" => facge(q, {HALF}, m, n, d)
    "0q 1 01110 110 mmmmm 00101 1 nnnnn ddddd" => facgt(q, {HALF}, m, n, d)
    "0q 0 01110 010 mmmmm 00110 1 nnnnn ddddd" => fmax(q, {HALF}, m, n, d)
    "0q 0 01110 110 mmmmm 00110 1 nnnnn ddddd" => fmin(q, {HALF}, m, n, d)
    "0q 1 01110 010 mmmmm 00110 1 nnnnn ddddd" => fmaxp(q, {HALF}, m, n, d)
    "0q 1 01110 110 mmmmm 00110 1 nnnnn ddddd" => fminp(q, {HALF}, m, n, d)
    "0q 0 01110 010 mmmmm 00111 1 nnnnn ddddd" => frecps(q, {HALF}, m, n, d)
    "0q 0 01110 110 mmmmm 00111 1 nnnnn ddddd" => frsqrts(q, {HALF}, m, n, d)
    "0q 1 01110 010 mmmmm 00111 1 nnnnn ddddd" => fdiv(q, {HALF}, m, n, d)
    "01 1 11110 110 mmmmm 00010 1 nnnnn ddddd" => fabd({SCALAR}, {HALF}, m, n, d)
    "01 0 11110 010 mmmmm 00011 1 nnnnn ddddd" => fmulx({SCALAR}, {HALF}, m, n, d)
    "01 0 11110 010 mmmmm 00100 1 nnnnn ddddd" => fcmeq({SCALAR}, {HALF}, m, n, d)
    "01 1 11110 010 mmmmm 00100 1 nnnnn ddddd" => fcmge({SCALAR}, {HALF}, m, n, d)
    "01 1 11110 110 mmmmm 00100 1 nnnnn ddddd" => fcmgt({SCALAR}, {HALF}, m, n, d)
    "01 1 11110 010 mmmmm 00101 1 nnnnn ddddd" => facge({SCALAR}, {HALF}, m, n, d)
    "01 1 11110 110 mmmmm 00101 1 nnnnn ddddd" => facgt({SCALAR}, {HALF}, m, n, d)
    "01 0 11110 010 mmmmm 00111 1 nnnnn ddddd" => frecps({SCALAR}, {HALF}, m, n, d)
    "01 0 11110 110 mmmmm 00111 1 nnnnn ddddd" => frsqrts({SCALAR}, {HALF}, m, n, d)
    "0q 0 01111 00 ii mmmm 0001 I0 nnnnn ddddd" => fmla_element(q, {HALF}, i, m, n, d)
    "0q 0 01111 00 ii mmmm 0101 I0 nnnnn ddddd" => fmls_element(q, {HALF}, i, m, n, d)
    "0q 0 01111 00 ii mmmm 1001 I0 nnnnn ddddd" => fmul_element(q, {HALF}, i, m, n, d)
    "0q 1 01111 00 ii mmmm 1001 I0 nnnnn ddddd" => fmulx_element(q, {HALF}, i, m, n, d)
    "01 0 11111 00 ii mmmm 0001 I0 nnnnn ddddd" => fmla_element({SCALAR}, {HALF}, i, m, n, d)
    "01 0 11111 00 ii mmmm 0101 I0 nnnnn ddddd" => fmls_element({SCALAR}, {HALF}, i, m, n, d)
    "01 0 11111 00 ii mmmm 1001 I0 nnnnn ddddd" => fmul_element({SCALAR}, {HALF}, i, m, n, d)
    "01 1 11111 00 ii mmmm 1001 I0 nnnnn ddddd" => fmulx_element({SCALAR}, {HALF}, i, m, n, d)
    "0q 0 01110 00 11000 01100 10 nnnnn ddddd" => fmaxnmv(q, {HALF}, n, d)
    "0q 0 01110 10 11000 01100 10 nnnnn ddddd" => fminnmv(q, {HALF}, n, d)
    "0q 0 01110 00 11000 01111 10 nnnnn ddddd" => fmaxv(q, {HALF}, n, d)
    "0q 0 01110 10 11000 01111 10 nnnnn ddddd" => fminv(q, {HALF}, n, d)
    "01 0 11110 00 11000 01100 10 nnnnn ddddd" => fmaxnmp_scalar({HALF}, n, d)
    "01 0 11110 10 11000 01100 10 nnnnn ddddd" => fminnmp_scalar({HALF}, n, d)
    "01 0 11110 00 11000 01101 10 nnnnn ddddd" => faddp_scalar({HALF}, n, d)
    "01 0 11110 00 11000 01111 10 nnnnn ddddd" => fmaxp_scalar({HALF}, n, d)
    "01 0 11110 10 11000 01111 10 nnnnn ddddd" => fminp_scalar({HALF}, n, d)
}

/// `d = f(n, m)`; the environment for comparisons says that any NaN is invalid if `ordered`.
fn same(t: &mut Tx, [q, z]: [u32; 2], [m, n, d]: [u32; 3], ordered: bool, f: Op2) -> Option<()> {
    let e = float_lane(t, q, z)?;
    let env = Fenv {
        flag: ordered,
        ..environment(t, e)
    };
    let (x, y) = (get(t, q, e, n), get(t, q, e, m));
    let v = f(t.b, e, x, y, env);
    set(t, q, e, d, v);
    Some(())
}

macro_rules! same {
    ($( $name:ident $ordered:literal $f:expr, $doc:literal; )*) => { $(
        #[doc = $doc]
        fn $name(t: &mut Tx, q: u32, z: u32, m: u32, n: u32, d: u32) -> Option<()> {
            same(t, [q, z], [m, n, d], $ordered, $f)
        }
    )* };
}
same! {
    fadd false Builder::vfadd, "FADD (vector).";
    fsub false Builder::vfsub, "FSUB (vector).";
    fmul false Builder::vfmul, "FMUL (vector).";
    fdiv false Builder::vfdiv, "FDIV (vector).";
    fmulx false multiply_extended, "FMULX.";
    fabd false difference, "FABD.";
    fmax false Builder::vfmax, "FMAX (vector).";
    fmin false Builder::vfmin, "FMIN (vector).";
    fmaxnm false max_number, "FMAXNM (vector).";
    fminnm false min_number, "FMINNM (vector).";
    fcmeq false Builder::vfeq, "FCMEQ (register): quiet NaNs are not invalid.";
    fcmge true Builder::vfge, "FCMGE (register).";
    fcmgt true Builder::vfgt, "FCMGT (register).";
    facge true |b, e, x, y, env| of_magnitudes(b, e, [x, y], env, Builder::vfge), "FACGE.";
    facgt true |b, e, x, y, env| of_magnitudes(b, e, [x, y], env, Builder::vfgt), "FACGT.";
    frecps false reciprocal_step, "FRECPS.";
    frsqrts false root_step, "FRSQRTS.";
    faddp false |b, e, x, y, env| in_pairs(b, e, [x, y], env, Builder::vfadd), "FADDP (vector).";
    fmaxp false |b, e, x, y, env| in_pairs(b, e, [x, y], env, Builder::vfmax), "FMAXP (vector).";
    fminp false |b, e, x, y, env| in_pairs(b, e, [x, y], env, Builder::vfmin), "FMINP (vector).";
    fmaxnmp false |b, e, x, y, env| in_pairs(b, e, [x, y], env, max_number), "FMAXNMP (vector).";
    fminnmp false |b, e, x, y, env| in_pairs(b, e, [x, y], env, min_number), "FMINNMP (vector).";
}

/// `f` of the even and the odd lanes of two vectors, `x`'s first.
fn in_pairs(b: &mut Builder, e: Lane, [x, y]: [Val; 2], env: Fenv, f: Op2) -> Val {
    pairwise(b, e, [x, y], |b, x, y| f(b, e, x, y, env))
}

/// `d + n * m` or, `negative`, `d - n * m`, rounded once.
fn fused(t: &mut Tx, q: u32, e: Lane, d: u32, [mut x, y]: [Val; 2], negative: bool) {
    let (c, env) = (get(t, q, e, d), environment(t, e));
    if negative {
        x = negated(t.b, e, x);
    }
    let v = t.b.vfmul_add(e, c, x, y, env);
    set(t, q, e, d, v);
}
/// FMLA (vector).
fn fmla(t: &mut Tx, q: u32, z: u32, m: u32, n: u32, d: u32) -> Option<()> {
    let e = float_lane(t, q, z)?;
    let factors = [n, m].map(|r| get(t, q, e, r));
    fused(t, q, e, d, factors, false);
    Some(())
}
/// FMLS (vector).
fn fmls(t: &mut Tx, q: u32, z: u32, m: u32, n: u32, d: u32) -> Option<()> {
    let e = float_lane(t, q, z)?;
    let factors = [n, m].map(|r| get(t, q, e, r));
    fused(t, q, e, d, factors, true);
    Some(())
}

/// The lane, the vector and the element.
fn with_element(t: &mut Tx, [q, z, i]: [u32; 3], m: u32, n: u32) -> (Lane, [Val; 2]) {
    let e = format(z);
    (e, [get(t, q, e, n), element(t, q, e, m, i)])
}
/// FMLA (by element).
fn fmla_element(t: &mut Tx, q: u32, z: u32, i: u32, m: u32, n: u32, d: u32) {
    let (e, factors) = with_element(t, [q, z, i], m, n);
    fused(t, q, e, d, factors, false);
}
/// FMLS (by element).
fn fmls_element(t: &mut Tx, q: u32, z: u32, i: u32, m: u32, n: u32, d: u32) {
    let (e, factors) = with_element(t, [q, z, i], m, n);
    fused(t, q, e, d, factors, true);
}
fn product(t: &mut Tx, [q, z, i]: [u32; 3], [m, n, d]: [u32; 3], f: Op2) {
    let (e, [x, y]) = with_element(t, [q, z, i], m, n);
    let env = environment(t, e);
    let v = f(t.b, e, x, y, env);
    set(t, q, e, d, v);
}
/// FMUL (by element).
fn fmul_element(t: &mut Tx, q: u32, z: u32, i: u32, m: u32, n: u32, d: u32) {
    product(t, [q, z, i], [m, n, d], Builder::vfmul);
}
/// FMULX (by element).
fn fmulx_element(t: &mut Tx, q: u32, z: u32, i: u32, m: u32, n: u32, d: u32) {
    product(t, [q, z, i], [m, n, d], multiply_extended);
}

/// `f` of the two lowest lanes.
fn of_two(t: &mut Tx, z: u32, n: u32, d: u32, f: Op2) {
    let e = format(z);
    let env = environment(t, e);
    let [low, high] = [0, 1].map(|i| element(t, SCALAR, e, n, i));
    let v = f(t.b, e, low, high, env);
    set(t, SCALAR, e, d, v);
}
/// `f` of all lanes: of the pairs, then of the pairs of what these give, and so on.
fn of_all(t: &mut Tx, [q, z]: [u32; 2], n: u32, d: u32, f: Op2) {
    let e = format(z);
    let env = environment(t, e);
    let (mut v, mut lanes) = (get(t, q, e, n), ty(q).bits() / e.bits());
    if q == 1 {
        let [low, high] = halves(t, v);
        v = in_pairs(t.b, e, [low, high], env, f);
        lanes /= 2;
    }
    while lanes > 1 {
        v = in_pairs(t.b, e, [v, v], env, f);
        lanes /= 2;
    }
    set(t, SCALAR, e, d, v);
}

macro_rules! across {
    ($( $all:ident $two:ident $f:expr, $doc:literal; )*) => { $(
        #[doc = concat!($doc, "V.")]
        fn $all(t: &mut Tx, q: u32, z: u32, n: u32, d: u32) {
            of_all(t, [q, z], n, d, $f);
        }
        #[doc = concat!($doc, "P (scalar).")]
        fn $two(t: &mut Tx, z: u32, n: u32, d: u32) {
            of_two(t, z, n, d, $f);
        }
    )* };
}
across! {
    fmaxv fmaxp_scalar Builder::vfmax, "FMAX";
    fminv fminp_scalar Builder::vfmin, "FMIN";
    fmaxnmv fmaxnmp_scalar max_number, "FMAXNM";
    fminnmv fminnmp_scalar min_number, "FMINNM";
}
/// FADDP (scalar).
fn faddp_scalar(t: &mut Tx, z: u32, n: u32, d: u32) {
    of_two(t, z, n, d, Builder::vfadd);
}
