//! Conversions of lanes of single and half precision: integers, fixed point, each other (Arm ARM DDI 0406C, A8.8.305 to
//! A8.8.312). To integers they round toward zero, from integers to nearest.

use super::calls;
use super::operands::{convert, two};
use crate::features::Feature;
use crate::state::mode;
use crate::tx::Tx;
use crate::vector::estimate::control;
use emu_ir::{Fenv, Lane, Op, Round, Ty, Val, insns};

insns! {
    /// VCVT.
    FIXED: Tx;
    "1111 0011 1d11 1011 dddd 0110 uqm0 mmmm" => vcvt_from_int({S}, u, q, d, m)
    "1111 0011 1d11 1011 dddd 0111 uqm0 mmmm" => vcvt_to_int({S}, u, q, d, m)
    "1111 001u 1d1l llll dddd 1110 0qm1 mmmm" => vcvt_from_fixed({S}, u, (l + 32), q, d, m)
    "1111 001u 1d1l llll dddd 1111 0qm1 mmmm" => vcvt_to_fixed({S}, u, (l + 32), q, d, m)
    "1111 0011 1d11 0110 dddd 0110 00m0 mmmm" => vcvt_to_half(d, m)
    "1111 0011 1d11 0110 dddd 0111 00m0 mmmm" => vcvt_from_half(d, m)
}

insns! {
    /// VCVT of half precision.
    HALVES: Tx, needs Feature::Fp16;
    "1111 0011 1d11 0111 dddd 0110 uqm0 mmmm" => vcvt_from_int({H}, u, q, d, m)
    "1111 0011 1d11 0111 dddd 0111 uqm0 mmmm" => vcvt_to_int({H}, u, q, d, m)
    "1111 001u 1d11 llll dddd 1100 0qm1 mmmm" => vcvt_from_fixed({H}, u, (l + 48), q, d, m)
    "1111 001u 1d11 llll dddd 1101 0qm1 mmmm" => vcvt_to_fixed({H}, u, (l + 48), q, d, m)
}

insns! {
    /// To brain floating point.
    BRAIN: Tx, needs Feature::Bf16;
    "1111 0011 1d11 0110 dddd 0110 01m0 mmmm" => vcvt_bf16(d, m)
}

const S: Lane = Lane::F32;
const H: Lane = Lane::F16;

fn from(t: &mut Tx, e: Lane, u: u32, frac: u8, a: Val) -> Val {
    let (env, ty) = (t.standard(e), t.b.ty(a));
    let op = if u == 1 {
        Op::VUToF { a, frac, e, env }
    } else {
        Op::VSToF { a, frac, e, env }
    };
    t.b.push(ty, op)
}

fn to(t: &mut Tx, e: Lane, u: u32, frac: u8, a: Val) -> Val {
    let env = Fenv {
        round: Round::Zero,
        flag: true,
        ..t.standard(e)
    };
    let ty = t.b.ty(a);
    let op = if u == 1 {
        Op::VFToU { a, frac, e, env }
    } else {
        Op::VFToS { a, frac, e, env }
    };
    t.b.push(ty, op)
}

/// VCVT from integers.
fn vcvt_from_int(t: &mut Tx, e: Lane, u: u32, q: u32, d: u32, m: u32) -> Option<()> {
    two(t, q, [d, m], |t, x| from(t, e, u, 0, x))
}

/// VCVT to integers.
fn vcvt_to_int(t: &mut Tx, e: Lane, u: u32, q: u32, d: u32, m: u32) -> Option<()> {
    two(t, q, [d, m], |t, x| to(t, e, u, 0, x))
}

/// VCVT from fixed point with 64 - `l` fraction bits.
fn vcvt_from_fixed(t: &mut Tx, e: Lane, u: u32, l: u32, q: u32, d: u32, m: u32) -> Option<()> {
    two(t, q, [d, m], |t, x| from(t, e, u, (64 - l) as u8, x))
}

/// VCVT to fixed point with 64 - `l` fraction bits.
fn vcvt_to_fixed(t: &mut Tx, e: Lane, u: u32, l: u32, q: u32, d: u32, m: u32) -> Option<()> {
    two(t, q, [d, m], |t, x| to(t, e, u, (64 - l) as u8, x))
}

/// The standard environment, but that FPSCR.AHP counts.
fn half_env(t: &Tx) -> Fenv {
    Fenv {
        flag: t.floating(mode::AHP) != 0,
        ..Fenv::STANDARD
    }
}

/// VCVT.F16.F32.
fn vcvt_to_half(t: &mut Tx, d: u32, m: u32) -> Option<()> {
    let env = half_env(t);
    convert(t, [0, 1], [d, m], |t, x| {
        let mut r = t.b.vec(Ty::V64, 0);
        for i in 0..4 {
            let a = t.b.vget_lane(Ty::F32, x, i);
            let half = t.b.push(Ty::I16, Op::FToHalf { a, env });
            r = t.b.vset_lane(r, half, i);
        }
        r
    })
}

/// VCVT.F32.F16.
fn vcvt_from_half(t: &mut Tx, d: u32, m: u32) -> Option<()> {
    let env = half_env(t);
    convert(t, [1, 0], [d, m], |t, x| {
        let mut r = t.b.vec(Ty::V128, 0);
        for i in 0..4 {
            let a = t.b.vget_lane(Ty::I16, x, i);
            let single = t.b.push(Ty::F32, Op::FFromHalf { a, env });
            r = t.b.vset_lane(r, single, i);
        }
        r
    })
}

/// VCVT.BF16.F32.
fn vcvt_bf16(t: &mut Tx, d: u32, m: u32) -> Option<()> {
    convert(t, [0, 1], [d, m], |t, x| {
        let how = t.b.i32(control(4, S, Fenv::STANDARD));
        let nearest = t.b.i32(Round::Nearest as u32);
        t.b.call(Ty::V64, calls::VCVT_BF16, &[x, how, nearest])
    })
}
