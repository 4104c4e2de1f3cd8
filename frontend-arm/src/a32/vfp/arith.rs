//! VFP arithmetic and comparison (Arm ARM DDI 0406C, A7.5).

use super::operands::{enabled, enabled_scalar, reg};
use crate::state::FP_NZCV;
use crate::tx::Tx;
use emu_ir::{Builder, Fenv, Ty, Val, insns};

insns! {
    /// Three and two registers, VMOV of an immediate, VCMP.
    ARITH: Tx;
    "---- 1110 0d00 nnnn dddd 101z N0m0 mmmm" => vmla(z, d, n, m)
    "---- 1110 0d00 nnnn dddd 101z N1m0 mmmm" => vmls(z, d, n, m)
    "---- 1110 0d01 nnnn dddd 101z N0m0 mmmm" => vnmls(z, d, n, m)
    "---- 1110 0d01 nnnn dddd 101z N1m0 mmmm" => vnmla(z, d, n, m)
    "---- 1110 0d10 nnnn dddd 101z N0m0 mmmm" => vmul(z, d, n, m)
    "---- 1110 0d10 nnnn dddd 101z N1m0 mmmm" => vnmul(z, d, n, m)
    "---- 1110 0d11 nnnn dddd 101z N0m0 mmmm" => vadd(z, d, n, m)
    "---- 1110 0d11 nnnn dddd 101z N1m0 mmmm" => vsub(z, d, n, m)
    "---- 1110 1d00 nnnn dddd 101z N0m0 mmmm" => vdiv(z, d, n, m)
    "---- 1110 1d01 nnnn dddd 101z N0m0 mmmm" => vfnms(z, d, n, m)
    "---- 1110 1d01 nnnn dddd 101z N1m0 mmmm" => vfnma(z, d, n, m)
    "---- 1110 1d10 nnnn dddd 101z N0m0 mmmm" => vfma(z, d, n, m)
    "---- 1110 1d10 nnnn dddd 101z N1m0 mmmm" => vfms(z, d, n, m)
    "---- 1110 1d11 iiii dddd 101z 0000 iiii" => vmov_imm(z, d, i)
    "---- 1110 1d11 0000 dddd 101z 01m0 mmmm" => vmov_reg(z, d, m)
    "---- 1110 1d11 0000 dddd 101z 11m0 mmmm" => vabs(z, d, m)
    "---- 1110 1d11 0001 dddd 101z 01m0 mmmm" => vneg(z, d, m)
    "---- 1110 1d11 0001 dddd 101z 11m0 mmmm" => vsqrt(z, d, m)
    "---- 1110 1d11 0100 dddd 101z 01m0 mmmm" => vcmp(z, 0, d, m)
    "---- 1110 1d11 0100 dddd 101z 11m0 mmmm" => vcmpe(z, 1, d, m)
    "---- 1110 1d11 0101 dddd 101z 0100 0000" => vcmp_zero(z, 0, d)
    "---- 1110 1d11 0101 dddd 101z 1100 0000" => vcmpe_zero(z, 1, d)
}

type Binary = fn(&mut Builder, Val, Val, Fenv) -> Val;
type Accumulate = fn(&mut Builder, Val, Val, Val, Fenv) -> Val;

/// `d = f(n, m)`.
fn binary(t: &mut Tx, z: u32, d: u32, n: u32, m: u32, f: Binary) -> Option<()> {
    enabled_scalar(t)?;
    let (a, b, env) = (t.b.get(reg(z, n)), t.b.get(reg(z, m)), t.fpscr());
    let r = f(t.b, a, b, env);
    t.b.set(reg(z, d), r);
    Some(())
}

/// `d = f(d, n, m)`.
fn accumulate(t: &mut Tx, z: u32, d: u32, n: u32, m: u32, f: Accumulate) -> Option<()> {
    enabled_scalar(t)?;
    let (a, b, env) = (t.b.get(reg(z, n)), t.b.get(reg(z, m)), t.fpscr());
    let c = t.b.get(reg(z, d));
    let r = f(t.b, c, a, b, env);
    t.b.set(reg(z, d), r);
    Some(())
}

/// `d = f(m)`.
fn unary(t: &mut Tx, z: u32, d: u32, m: u32, f: fn(&mut Builder, Val, Fenv) -> Val) -> Option<()> {
    enabled_scalar(t)?;
    let (a, env) = (t.b.get(reg(z, m)), t.fpscr());
    let r = f(t.b, a, env);
    t.b.set(reg(z, d), r);
    Some(())
}

/// VMLA: the product is rounded before the addition.
fn vmla(t: &mut Tx, z: u32, d: u32, n: u32, m: u32) -> Option<()> {
    accumulate(t, z, d, n, m, |b, c, x, y, env| {
        let p = b.fmul(x, y, env);
        b.fadd(c, p, env)
    })
}

/// VMLS: `d + -(n * m)`, so that NaNs keep the manual's signs.
fn vmls(t: &mut Tx, z: u32, d: u32, n: u32, m: u32) -> Option<()> {
    accumulate(t, z, d, n, m, |b, c, x, y, env| {
        let p = b.fmul(x, y, env);
        let p = b.fneg(p);
        b.fadd(c, p, env)
    })
}

/// VNMLA: `-d + -(n * m)`.
fn vnmla(t: &mut Tx, z: u32, d: u32, n: u32, m: u32) -> Option<()> {
    accumulate(t, z, d, n, m, |b, c, x, y, env| {
        let p = b.fmul(x, y, env);
        let (c, p) = (b.fneg(c), b.fneg(p));
        b.fadd(c, p, env)
    })
}

/// VNMLS: `-d + n * m`.
fn vnmls(t: &mut Tx, z: u32, d: u32, n: u32, m: u32) -> Option<()> {
    accumulate(t, z, d, n, m, |b, c, x, y, env| {
        let p = b.fmul(x, y, env);
        let c = b.fneg(c);
        b.fadd(c, p, env)
    })
}

/// VMUL.
fn vmul(t: &mut Tx, z: u32, d: u32, n: u32, m: u32) -> Option<()> {
    binary(t, z, d, n, m, Builder::fmul)
}

/// VNMUL.
fn vnmul(t: &mut Tx, z: u32, d: u32, n: u32, m: u32) -> Option<()> {
    binary(t, z, d, n, m, |b, x, y, env| {
        let p = b.fmul(x, y, env);
        b.fneg(p)
    })
}

/// VADD.
fn vadd(t: &mut Tx, z: u32, d: u32, n: u32, m: u32) -> Option<()> {
    binary(t, z, d, n, m, Builder::fadd)
}

/// VSUB.
fn vsub(t: &mut Tx, z: u32, d: u32, n: u32, m: u32) -> Option<()> {
    binary(t, z, d, n, m, Builder::fsub)
}

/// VDIV.
fn vdiv(t: &mut Tx, z: u32, d: u32, n: u32, m: u32) -> Option<()> {
    binary(t, z, d, n, m, Builder::fdiv)
}

/// VFMA.
fn vfma(t: &mut Tx, z: u32, d: u32, n: u32, m: u32) -> Option<()> {
    accumulate(t, z, d, n, m, Builder::fmul_add)
}

/// VFMS: `d + -n * m`.
fn vfms(t: &mut Tx, z: u32, d: u32, n: u32, m: u32) -> Option<()> {
    accumulate(t, z, d, n, m, |b, c, x, y, env| {
        let x = b.fneg(x);
        b.fmul_add(c, x, y, env)
    })
}

/// VFNMA: `-d + -n * m`.
fn vfnma(t: &mut Tx, z: u32, d: u32, n: u32, m: u32) -> Option<()> {
    accumulate(t, z, d, n, m, |b, c, x, y, env| {
        let (c, x) = (b.fneg(c), b.fneg(x));
        b.fmul_add(c, x, y, env)
    })
}

/// VFNMS: `-d + n * m`.
fn vfnms(t: &mut Tx, z: u32, d: u32, n: u32, m: u32) -> Option<()> {
    accumulate(t, z, d, n, m, |b, c, x, y, env| {
        let c = b.fneg(c);
        b.fmul_add(c, x, y, env)
    })
}

/// VMOV (immediate): VFPExpandImm, a sign, three bits of exponent and four of fraction.
fn vmov_imm(t: &mut Tx, z: u32, d: u32, i: u32) -> Option<()> {
    enabled_scalar(t)?;
    let (sign, exp, frac) = (u64::from(i >> 7), u64::from(i >> 4 & 7), u64::from(i & 15));
    // exp is NOT(b):b...b:cd; it has 8 or 11 bits.
    let (width, frac_width, ty) = if z == 1 { (11, 52, Ty::F64) } else { (8, 23, Ty::F32) };
    let top = if exp & 4 == 0 {
        1 << (width - 1)
    } else {
        ((1 << (width - 3)) - 1) << 2
    };
    let bits = sign << (width + frac_width) | (top | exp & 3) << frac_width | frac << (frac_width - 4);
    let v = t.b.imm(ty, bits);
    t.b.set(reg(z, d), v);
    Some(())
}

/// VMOV (register).
fn vmov_reg(t: &mut Tx, z: u32, d: u32, m: u32) -> Option<()> {
    unary(t, z, d, m, |_, x, _| x)
}

/// VABS.
fn vabs(t: &mut Tx, z: u32, d: u32, m: u32) -> Option<()> {
    unary(t, z, d, m, |b, x, _| b.fabs(x))
}

/// VNEG.
fn vneg(t: &mut Tx, z: u32, d: u32, m: u32) -> Option<()> {
    unary(t, z, d, m, |b, x, _| b.fneg(x))
}

/// VSQRT.
fn vsqrt(t: &mut Tx, z: u32, d: u32, m: u32) -> Option<()> {
    unary(t, z, d, m, Builder::fsqrt)
}

/// VCMP: quiet NaNs are not invalid.
fn vcmp(t: &mut Tx, z: u32, e: u32, d: u32, m: u32) -> Option<()> {
    enabled(t)?;
    let (a, b) = (t.b.get(reg(z, d)), t.b.get(reg(z, m)));
    compare(t, e, a, b);
    Some(())
}

/// VCMPE: any NaN is invalid.
fn vcmpe(t: &mut Tx, z: u32, e: u32, d: u32, m: u32) -> Option<()> {
    vcmp(t, z, e, d, m)
}

/// VCMP with zero.
fn vcmp_zero(t: &mut Tx, z: u32, e: u32, d: u32) -> Option<()> {
    enabled(t)?;
    let a = t.b.get(reg(z, d));
    let zero = t.b.imm(reg(z, d).ty, 0);
    compare(t, e, a, zero);
    Some(())
}

/// VCMPE with zero.
fn vcmpe_zero(t: &mut Tx, z: u32, e: u32, d: u32) -> Option<()> {
    vcmp_zero(t, z, e, d)
}

/// FPCompare: less is N, equal ZC, greater C, unordered CV.
fn compare(t: &mut Tx, e: u32, a: Val, b: Val) {
    let env = Fenv {
        flag: e == 1,
        ..t.fpscr()
    };
    let (lt, eq, un) = (t.b.flt(a, b, env), t.b.feq(a, b, env), t.b.fun(a, b, env));
    let one = t.b.bool(true);
    let ge = t.b.xor(lt, one);
    for (slot, v) in FP_NZCV.into_iter().zip([lt, eq, ge, un]) {
        t.b.set(slot, v);
    }
}
