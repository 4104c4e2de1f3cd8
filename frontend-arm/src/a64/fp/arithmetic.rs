//! Scalar arithmetic (Arm ARM DDI 0487, C4.1, "Floating-point data-processing (1 source)" to "(3 source)", "immediate").

use super::super::state;
use super::super::tx::Tx;
use super::{float, set};
use emu_ir::{Builder, Fenv, Lane, Ty, Val, insns};

insns! {
    /// One source.
    ONE_SOURCE: Tx;
    "000 11110 0z 1 000000 10000 nnnnn ddddd" => fmov_reg(z, n, d)
    "000 11110 0z 1 000001 10000 nnnnn ddddd" => fabs(z, n, d)
    "000 11110 0z 1 000010 10000 nnnnn ddddd" => fneg(z, n, d)
    "000 11110 0z 1 000011 10000 nnnnn ddddd" => fsqrt(z, n, d)
}

insns! {
    /// Two sources.
    TWO_SOURCES: Tx;
    "000 11110 0z 1 mmmmm 0000 10 nnnnn ddddd" => fmul(z, m, n, d)
    "000 11110 0z 1 mmmmm 0001 10 nnnnn ddddd" => fdiv(z, m, n, d)
    "000 11110 0z 1 mmmmm 0010 10 nnnnn ddddd" => fadd(z, m, n, d)
    "000 11110 0z 1 mmmmm 0011 10 nnnnn ddddd" => fsub(z, m, n, d)
    "000 11110 0z 1 mmmmm 0100 10 nnnnn ddddd" => fmax(z, m, n, d)
    "000 11110 0z 1 mmmmm 0101 10 nnnnn ddddd" => fmin(z, m, n, d)
    "000 11110 0z 1 mmmmm 0110 10 nnnnn ddddd" => fmaxnm(z, m, n, d)
    "000 11110 0z 1 mmmmm 0111 10 nnnnn ddddd" => fminnm(z, m, n, d)
    "000 11110 0z 1 mmmmm 1000 10 nnnnn ddddd" => fnmul(z, m, n, d)
}

insns! {
    /// Three sources.
    THREE_SOURCES: Tx;
    "000 11111 0z 0 mmmmm 0 aaaaa nnnnn ddddd" => fmadd(z, m, a, n, d)
    "000 11111 0z 0 mmmmm 1 aaaaa nnnnn ddddd" => fmsub(z, m, a, n, d)
    "000 11111 0z 1 mmmmm 0 aaaaa nnnnn ddddd" => fnmadd(z, m, a, n, d)
    "000 11111 0z 1 mmmmm 1 aaaaa nnnnn ddddd" => fnmsub(z, m, a, n, d)
}

insns! {
    /// Immediate.
    IMMEDIATE: Tx;
    "000 11110 0z 1 iiiiiiii 100 00000 ddddd" => fmov_imm(z, i, d)
}

/// A scalar register.
pub fn get(t: &mut Tx, z: u32, n: u32) -> Val {
    t.b.get(state::v(n, float(z)))
}

fn unary(t: &mut Tx, z: u32, n: u32, d: u32, f: impl FnOnce(&mut Builder, Val, Fenv) -> Val) {
    let (a, env) = (get(t, z, n), t.fpcr());
    let v = f(t.b, a, env);
    set(t, d, v);
}

/// FMOV (register).
fn fmov_reg(t: &mut Tx, z: u32, n: u32, d: u32) {
    unary(t, z, n, d, |_, a, _| a);
}
/// FABS (scalar).
fn fabs(t: &mut Tx, z: u32, n: u32, d: u32) {
    unary(t, z, n, d, |b, a, _| b.fabs(a));
}
/// FNEG (scalar).
fn fneg(t: &mut Tx, z: u32, n: u32, d: u32) {
    unary(t, z, n, d, |b, a, _| b.fneg(a));
}
/// FSQRT (scalar).
fn fsqrt(t: &mut Tx, z: u32, n: u32, d: u32) {
    unary(t, z, n, d, Builder::fsqrt);
}

fn binary(t: &mut Tx, z: u32, [m, n, d]: [u32; 3], f: impl FnOnce(&mut Builder, Val, Val, Fenv) -> Val) {
    let (a, b, env) = (get(t, z, n), get(t, z, m), t.fpcr());
    let v = f(t.b, a, b, env);
    set(t, d, v);
}

/// FMUL (scalar).
fn fmul(t: &mut Tx, z: u32, m: u32, n: u32, d: u32) {
    binary(t, z, [m, n, d], Builder::fmul);
}
/// FNMUL (scalar).
fn fnmul(t: &mut Tx, z: u32, m: u32, n: u32, d: u32) {
    binary(t, z, [m, n, d], |b, x, y, env| {
        let product = b.fmul(x, y, env);
        b.fneg(product)
    });
}
/// FDIV (scalar).
fn fdiv(t: &mut Tx, z: u32, m: u32, n: u32, d: u32) {
    binary(t, z, [m, n, d], Builder::fdiv);
}
/// FADD (scalar).
fn fadd(t: &mut Tx, z: u32, m: u32, n: u32, d: u32) {
    binary(t, z, [m, n, d], Builder::fadd);
}
/// FSUB (scalar).
fn fsub(t: &mut Tx, z: u32, m: u32, n: u32, d: u32) {
    binary(t, z, [m, n, d], Builder::fsub);
}

/// A scalar as a vector's lowest lane, the others zero: an operation that vectors alone have, and that makes zero of zeros
/// without a flag.
fn by_lane(b: &mut Builder, x: Val, y: Val, f: impl FnOnce(&mut Builder, Lane, Val, Val) -> Val) -> Val {
    let ty = b.ty(x);
    let lane = if ty == Ty::F32 { Lane::F32 } else { Lane::F64 };
    let zero = b.vec(Ty::V128, 0);
    let (x, y) = (b.vset_lane(zero, x, 0), b.vset_lane(zero, y, 0));
    let v = f(b, lane, x, y);
    b.vget_lane(ty, v, 0)
}

/// FMAX (scalar).
fn fmax(t: &mut Tx, z: u32, m: u32, n: u32, d: u32) {
    binary(t, z, [m, n, d], maximum);
}
/// FMIN (scalar).
fn fmin(t: &mut Tx, z: u32, m: u32, n: u32, d: u32) {
    binary(t, z, [m, n, d], minimum);
}
fn maximum(b: &mut Builder, x: Val, y: Val, env: Fenv) -> Val {
    by_lane(b, x, y, |b, e, x, y| b.vfmax(e, x, y, env))
}
fn minimum(b: &mut Builder, x: Val, y: Val, env: Fenv) -> Val {
    by_lane(b, x, y, |b, e, x, y| b.vfmin(e, x, y, env))
}

/// FMAXNM (scalar).
fn fmaxnm(t: &mut Tx, z: u32, m: u32, n: u32, d: u32) {
    binary(t, z, [m, n, d], |b, x, y, env| {
        let [x, y] = numbers(b, [x, y], true);
        maximum(b, x, y, env)
    });
}
/// FMINNM (scalar).
fn fminnm(t: &mut Tx, z: u32, m: u32, n: u32, d: u32) {
    binary(t, z, [m, n, d], |b, x, y, env| {
        let [x, y] = numbers(b, [x, y], false);
        minimum(b, x, y, env)
    });
}

/// The operands of FPMaxNum and FPMinNum: a quiet NaN beside another operand that is none is an infinity, which loses.
fn numbers(b: &mut Builder, operands: [Val; 2], negative: bool) -> [Val; 2] {
    let ty = b.ty(operands[0]);
    let (int, quiet, infinity) = match ty {
        Ty::F32 => (Ty::I32, 0x7fc0_0000, 0x7f80_0000 | u64::from(negative) << 31),
        _ => (Ty::I64, 0x7ff8 << 48, 0x7ff0 << 48 | u64::from(negative) << 63),
    };
    let [x, y] = operands;
    let mask = b.imm(int, quiet);
    let [x_quiet, y_quiet] = [x, y].map(|v| {
        let bits = b.bitcast(int, v);
        let bits = b.and(bits, mask);
        b.eq(bits, mask)
    });
    let loses = b.imm(ty, infinity);
    let (x_loses, y_loses) = (b.and_not(x_quiet, y_quiet), b.and_not(y_quiet, x_quiet));
    [b.select(x_loses, loses, x), b.select(y_loses, loses, y)]
}

/// `±a ± n * m`, rounded once.
fn fused(t: &mut Tx, z: u32, [m, a, n, d]: [u32; 4], negative: [bool; 2]) {
    let (mut x, y, mut c) = (get(t, z, n), get(t, z, m), get(t, z, a));
    let env = t.fpcr();
    let [negative_sum, negative_product] = negative;
    if negative_product {
        x = t.b.fneg(x);
    }
    if negative_sum {
        c = t.b.fneg(c);
    }
    let v = t.b.fmul_add(c, x, y, env);
    set(t, d, v);
}

/// FMADD: `a + n * m`.
fn fmadd(t: &mut Tx, z: u32, m: u32, a: u32, n: u32, d: u32) {
    fused(t, z, [m, a, n, d], [false, false]);
}
/// FMSUB: `a - n * m`.
fn fmsub(t: &mut Tx, z: u32, m: u32, a: u32, n: u32, d: u32) {
    fused(t, z, [m, a, n, d], [false, true]);
}
/// FNMADD: `-a - n * m`.
fn fnmadd(t: &mut Tx, z: u32, m: u32, a: u32, n: u32, d: u32) {
    fused(t, z, [m, a, n, d], [true, true]);
}
/// FNMSUB: `-a + n * m`.
fn fnmsub(t: &mut Tx, z: u32, m: u32, a: u32, n: u32, d: u32) {
    fused(t, z, [m, a, n, d], [true, false]);
}

/// VFPExpandImm: a sign, three bits of exponent and four of fraction; `z` is 0 for single, 1 for double, 2 for half precision.
pub fn expanded(z: u32, i: u32) -> u64 {
    let (sign, exp, frac) = (u64::from(i >> 7), u64::from(i >> 4 & 7), u64::from(i & 15));
    let (width, frac_width) = match z {
        0 => (8, 23),
        1 => (11, 52),
        _ => (5, 10),
    };
    // exp is NOT(b):b...b:cd.
    let top = if exp & 4 == 0 {
        1 << (width - 1)
    } else {
        ((1 << (width - 3)) - 1) << 2
    };
    sign << (width + frac_width) | (top | exp & 3) << frac_width | frac << (frac_width - 4)
}
/// FMOV (scalar, immediate).
fn fmov_imm(t: &mut Tx, z: u32, i: u32, d: u32) {
    let v = t.b.imm(float(z), expanded(z, i));
    set(t, d, v);
}
