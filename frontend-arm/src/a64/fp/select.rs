//! Comparison and selection (Arm ARM DDI 0487, C4.1, "Floating-point compare", "conditional compare", "conditional select").

use super::super::tx::Tx;
use super::arithmetic::get;
use super::{float, set};
use emu_ir::{Fenv, Val, insns};

insns! {
    /// Flags; where `e` is 1, any NaN is invalid.
    COMPARE: Tx;
    "000 11110 0z 1 mmmmm 00 1000 nnnnn 0 0000" => fcmp(z, m, n)
    "000 11110 0z 1 ----- 00 1000 nnnnn 0 1000" => fcmp_zero(z, n)
    "000 11110 0z 1 mmmmm 00 1000 nnnnn 1 0000" => fcmpe(z, m, n)
    "000 11110 0z 1 ----- 00 1000 nnnnn 1 1000" => fcmpe_zero(z, n)
    "000 11110 0z 1 mmmmm cccc 01 nnnnn 0 ffff" => fccmp(z, m, c, n, f)
    "000 11110 0z 1 mmmmm cccc 01 nnnnn 1 ffff" => fccmpe(z, m, c, n, f)
}

insns! {
    /// By a condition.
    SELECT: Tx;
    "000 11110 0z 1 mmmmm cccc 11 nnnnn ddddd" => fcsel(z, m, c, n, d)
}

/// FPCompare: less is N, equal ZC, greater C, unordered CV.
fn compared(t: &mut Tx, a: Val, b: Val, any_nan: bool) -> [Val; 4] {
    let env = Fenv {
        flag: any_nan,
        ..t.fpcr()
    };
    let (lt, eq, un) = (t.b.flt(a, b, env), t.b.feq(a, b, env), t.b.fun(a, b, env));
    flags_of(t, lt, eq, un)
}

/// The flags of less, equal and unordered.
pub fn flags_of(t: &mut Tx, lt: Val, eq: Val, un: Val) -> [Val; 4] {
    let one = t.b.bool(true);
    let ge = t.b.xor(lt, one);
    [lt, eq, ge, un]
}

fn compare(t: &mut Tx, z: u32, n: u32, b: Val, any_nan: bool) {
    let a = get(t, z, n);
    let flags = compared(t, a, b, any_nan);
    t.flags.set_all(t.b, flags);
}

fn compare_registers(t: &mut Tx, z: u32, m: u32, n: u32, any_nan: bool) {
    let b = get(t, z, m);
    compare(t, z, n, b, any_nan);
}

/// FCMP.
fn fcmp(t: &mut Tx, z: u32, m: u32, n: u32) {
    compare_registers(t, z, m, n, false);
}
/// FCMP (zero).
fn fcmp_zero(t: &mut Tx, z: u32, n: u32) {
    let b = t.b.imm(float(z), 0);
    compare(t, z, n, b, false);
}
/// FCMPE.
fn fcmpe(t: &mut Tx, z: u32, m: u32, n: u32) {
    compare_registers(t, z, m, n, true);
}
/// FCMPE (zero).
fn fcmpe_zero(t: &mut Tx, z: u32, n: u32) {
    let b = t.b.imm(float(z), 0);
    compare(t, z, n, b, true);
}

/// The flags of a comparison if the condition `c` holds, else `f`. What does not hold must not leave a cumulative flag.
pub fn compare_if(t: &mut Tx, c: u32, f: u32, compare: impl FnOnce(&mut Tx)) {
    if c >= 14 {
        return compare(t);
    }
    let (fails, other, done) = (t.cond(c ^ 1), t.b.label(), t.b.label());
    t.b.br_if(fails, other);
    compare(t);
    t.b.br(done);
    t.b.place(other);
    t.set_nzcv_bits(f);
    t.b.place(done);
}
/// FCCMP.
fn fccmp(t: &mut Tx, z: u32, m: u32, c: u32, n: u32, f: u32) {
    compare_if(t, c, f, |t| compare_registers(t, z, m, n, false));
}
/// FCCMPE.
fn fccmpe(t: &mut Tx, z: u32, m: u32, c: u32, n: u32, f: u32) {
    compare_if(t, c, f, |t| compare_registers(t, z, m, n, true));
}

/// FCSEL.
fn fcsel(t: &mut Tx, z: u32, m: u32, c: u32, n: u32, d: u32) {
    let (a, b, holds) = (get(t, z, n), get(t, z, m), t.cond(c));
    let v = t.b.select(holds, a, b);
    set(t, d, v);
}
