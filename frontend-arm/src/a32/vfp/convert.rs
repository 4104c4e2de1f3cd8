//! VFP conversions: VCVT, VCVTR, VCVTB, VCVTT (Arm ARM DDI 0406C, A8.8.305 to A8.8.315).

use super::operands::{enabled, reg, require, single};
use crate::a32::neon::calls;
use crate::state::mode;
use crate::tx::Tx;
use emu_ir::{Fenv, Op, Round, Slot, Ty, Val, insns};

insns! {
    /// Between precisions, integers and fixed point.
    CONVERT: Tx;
    "---- 1110 1d11 0010 dddd 1010 h1m0 mmmm" => vcvt_from_half(h, d, m)
    "---- 1110 1d11 0011 dddd 1010 h1m0 mmmm" => vcvt_to_half(h, d, m)
    "---- 1110 1d11 0111 dddd 1010 11m0 mmmm" => vcvt_f64_f32(d, m)
    "---- 1110 1d11 0111 dddd 1011 11m0 mmmm" => vcvt_f32_f64(d, m)
    "---- 1110 1d11 1000 dddd 101z s1m0 mmmm" => vcvt_from_int(z, s, d, m)
    "---- 1110 1d11 110s dddd 101z 01m0 mmmm" => vcvtr(z, s, d, m)
    "---- 1110 1d11 110s dddd 101z 11m0 mmmm" => vcvt_to_int(z, s, d, m)
    "---- 1110 1d11 101u dddd 101z x1i0 iiii" => vcvt_from_fixed(z, u, x, i, d)
    "---- 1110 1d11 111u dddd 101z x1i0 iiii" => vcvt_to_fixed(z, u, x, i, d)
}

/// Half precision in its environment: FPSCR.AHP chooses the alternative format.
pub(super) fn half_env(t: &Tx) -> Fenv {
    Fenv {
        flag: t.floating(mode::AHP) != 0,
        ..t.fpscr()
    }
}

/// VCVTB and VCVTT, F32 from the low or (`h` = 1) high half of Sm.
fn vcvt_from_half(t: &mut Tx, h: u32, d: u32, m: u32) -> Option<()> {
    enabled(t)?;
    let env = half_env(t);
    let half = t.b.get(half_slot(m, h));
    let v = t.b.push(Ty::F32, Op::FFromHalf { a: half, env });
    t.b.set(single(d), v);
    Some(())
}

/// VCVTB and VCVTT, the low or (`h` = 1) high half of Sd from F32; its other half stays.
fn vcvt_to_half(t: &mut Tx, h: u32, d: u32, m: u32) -> Option<()> {
    enabled(t)?;
    let env = half_env(t);
    let v = t.b.get(single(m));
    let half = t.b.push(Ty::I16, Op::FToHalf { a: v, env });
    t.b.set(half_slot(d, h), half);
    Some(())
}

/// A half of a single register.
pub(super) fn half_slot(r: u32, h: u32) -> Slot {
    Slot::new(single(r).off as usize + 2 * h as usize, Ty::I16)
}

/// VCVT.F64.F32.
fn vcvt_f64_f32(t: &mut Tx, d: u32, m: u32) -> Option<()> {
    precision(t, reg(1, d), single(m))
}

/// VCVT.F32.F64.
fn vcvt_f32_f64(t: &mut Tx, d: u32, m: u32) -> Option<()> {
    precision(t, single(d), reg(1, m))
}

fn precision(t: &mut Tx, to: Slot, from: Slot) -> Option<()> {
    enabled(t)?;
    let (a, env) = (t.b.get(from), t.fpscr());
    let v = t.b.push(to.ty, Op::FCvt { a, env });
    t.b.set(to, v);
    Some(())
}

/// VCVT from a 32-bit integer in Sm, signed if `s` = 1.
fn vcvt_from_int(t: &mut Tx, z: u32, s: u32, d: u32, m: u32) -> Option<()> {
    enabled(t)?;
    let word = t.b.get(word_slot(single(m)));
    let env = t.fpscr();
    from_fixed(t, reg(z, d), word, s == 0, 0, env);
    Some(())
}

/// VCVTR to a 32-bit integer in Sd, rounding as FPSCR says; signed if `s` = 1.
fn vcvtr(t: &mut Tx, z: u32, s: u32, d: u32, m: u32) -> Option<()> {
    to_int(t, z, s, d, m, Round::Current)
}

/// VCVT to a 32-bit integer in Sd, rounding toward zero; signed if `s` = 1.
fn vcvt_to_int(t: &mut Tx, z: u32, s: u32, d: u32, m: u32) -> Option<()> {
    to_int(t, z, s, d, m, Round::Zero)
}

pub(super) fn to_int(t: &mut Tx, z: u32, s: u32, d: u32, m: u32, round: Round) -> Option<()> {
    enabled(t)?;
    let env = Fenv {
        round,
        flag: true,
        ..t.fpscr()
    };
    let a = t.b.get(reg(z, m));
    let v = to_fixed(t, a, s == 0, 0, env);
    t.b.set(word_slot(single(d)), v);
    Some(())
}

/// VCVT from fixed point of 16 or (`x` = 1) 32 bits in the low part of the register itself, rounding to nearest.
fn vcvt_from_fixed(t: &mut Tx, z: u32, u: u32, x: u32, i: u32, d: u32) -> Option<()> {
    enabled(t)?;
    let frac = fraction_bits(t, x, i)?;
    let r = reg(z, d);
    let word = if x == 1 {
        t.b.get(word_slot(r))
    } else {
        let low = t.b.get(Slot { ty: Ty::I16, ..r });
        if u == 1 {
            t.b.zext(Ty::I32, low)
        } else {
            t.b.sext(Ty::I32, low)
        }
    };
    let env = Fenv {
        round: Round::Nearest,
        ..t.fpscr()
    };
    from_fixed(t, r, word, u == 1, frac, env);
    Some(())
}

/// VCVT to fixed point of 16 or (`x` = 1) 32 bits, rounding toward zero, extended to the whole register.
fn vcvt_to_fixed(t: &mut Tx, z: u32, u: u32, x: u32, i: u32, d: u32) -> Option<()> {
    enabled(t)?;
    let frac = fraction_bits(t, x, i)?;
    let r = reg(z, d);
    let v = if x == 1 {
        let env = Fenv {
            round: Round::Zero,
            flag: true,
            ..t.fpscr()
        };
        let a = t.b.get(r);
        to_fixed(t, a, u == 1, frac, env)
    } else {
        let a = t.b.get(Slot {
            ty: if z == 1 { Ty::I64 } else { Ty::I32 },
            ..r
        });
        let how = frac as u32 | u << 8 | z << 9 | u32::from(t.floating(mode::FZ) != 0) << 10;
        let how = t.b.i32(how);
        t.b.call(Ty::I32, calls::VCVT_TO_FIXED16, &[a, how])
    };
    if z == 1 {
        let wide = if u == 1 {
            t.b.zext(Ty::I64, v)
        } else {
            t.b.sext(Ty::I64, v)
        };
        t.b.set(Slot { ty: Ty::I64, ..r }, wide);
    } else {
        t.b.set(word_slot(r), v);
    }
    Some(())
}

/// Fraction bits: the size less `i` (its low bit is on top); a negative number is UNPREDICTABLE, here Undefined.
pub(super) fn fraction_bits(t: &mut Tx, x: u32, i: u32) -> Option<u8> {
    let size = if x == 1 { 32 } else { 16 };
    let i = (i & 15) << 1 | i >> 4;
    require(t, i <= size)?;
    Some((size - i) as u8)
}

/// The low word of a register as an integer.
pub(super) fn word_slot(r: Slot) -> Slot {
    Slot { ty: Ty::I32, ..r }
}

fn from_fixed(t: &mut Tx, to: Slot, a: Val, unsigned: bool, frac: u8, env: Fenv) {
    let op = if unsigned {
        Op::UToF { a, frac, env }
    } else {
        Op::SToF { a, frac, env }
    };
    let v = t.b.push(to.ty, op);
    t.b.set(to, v);
}

fn to_fixed(t: &mut Tx, a: Val, unsigned: bool, frac: u8, env: Fenv) -> Val {
    let op = if unsigned {
        Op::FToU { a, frac, env }
    } else {
        Op::FToS { a, frac, env }
    };
    t.b.push(Ty::I32, op)
}
