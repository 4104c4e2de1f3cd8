//! Conversion (SDM 1, 5.5.1.6, 5.6.1.6, 5.14).

use super::number::singles;
use super::{lanes, low, pair, vector_of};
use crate::tx::{Tx, Vector};
use emu_ir::{Fenv, Lane, Op, Round, Ty, Val};

/// Toward zero; what is inexact is told.
const TRUNCATING: Fenv = Tx::fenv_of(Round::Zero, true);
/// As MXCSR says: an integer is neither tiny nor too large.
const CURRENT: Fenv = Tx::fenv_of(Round::Current, true);

fn to_int(t: &mut Tx, ty: Ty, a: Val, env: Fenv) -> Val {
    t.b.push(ty, Op::FToS { a, frac: 0, env })
}
fn of_int(t: &mut Tx, ty: Ty, a: Val) -> Val {
    let (frac, env) = (0, CURRENT);
    t.b.push(ty, Op::SToF { a, frac, env })
}
fn converted(t: &mut Tx, ty: Ty, a: Val) -> Val {
    let env = t.fenv();
    t.b.push(ty, Op::FCvt { a, env })
}

// Between scalars.

pub fn cvtss2sd(t: &mut Tx) {
    t.scalar_of_one(Ty::F32, |t, a| converted(t, Ty::F64, a));
}
pub fn cvtsd2ss(t: &mut Tx) {
    t.scalar_of_one(Ty::F64, |t, a| converted(t, Ty::F32, a));
}
fn scalar_of_int(t: &mut Tx, ty: Ty) {
    let a = t.read(2);
    let v = t.checked(|t| of_int(t, ty, a));
    t.set_scalar(0, 1, v);
}
pub fn cvtsi2ss(t: &mut Tx) {
    scalar_of_int(t, Ty::F32);
}
pub fn cvtsi2sd(t: &mut Tx) {
    scalar_of_int(t, Ty::F64);
}
fn int_of_scalar(t: &mut Tx, ty: Ty, env: Fenv) {
    let (a, to) = (t.scalar(1, ty), t.ty(0));
    let v = t.checked(|t| to_int(t, to, a, env));
    t.write(0, v);
}
pub fn cvtss2si(t: &mut Tx) {
    int_of_scalar(t, Ty::F32, CURRENT);
}
pub fn cvtsd2si(t: &mut Tx) {
    int_of_scalar(t, Ty::F64, CURRENT);
}
pub fn cvttss2si(t: &mut Tx) {
    int_of_scalar(t, Ty::F32, TRUNCATING);
}
pub fn cvttsd2si(t: &mut Tx) {
    int_of_scalar(t, Ty::F64, TRUNCATING);
}

// Singles and integers of 32 bits.

fn singles_of_ints(t: &mut Tx, a: Val) -> Val {
    let (ty, env) = (t.b.ty(a), CURRENT);
    let (frac, e) = (0, Lane::F32);
    t.b.push(ty, Op::VSToF { a, frac, e, env })
}
fn ints_of_singles(t: &mut Tx, a: Val, env: Fenv) -> Val {
    let (ty, frac, e) = (t.b.ty(a), 0, Lane::F32);
    t.b.push(ty, Op::VFToS { a, frac, e, env })
}
pub fn cvtdq2ps(t: &mut Tx) {
    t.float_of_one(singles_of_ints);
}
pub fn cvtps2dq(t: &mut Tx) {
    t.float_of_one(|t, a| ints_of_singles(t, a, CURRENT));
}
pub fn cvttps2dq(t: &mut Tx) {
    t.float_of_one(|t, a| ints_of_singles(t, a, TRUNCATING));
}

// Where lanes become wider or narrower.

/// The destination has twice the operand's bits: what becomes of each 64 of them.
fn wider(t: &mut Tx, f: impl Fn(&mut Tx, Val) -> Val) {
    let (a, long) = (t.vector(1).low, t.vector_bytes() == 32);
    let v = t.checked(|t| {
        let first = low(t, a);
        let first = f(t, first);
        let second = long.then(|| {
            let upper = t.b.vhalf(a, true);
            f(t, upper)
        });
        Vector {
            low: first,
            high: second,
        }
    });
    t.set_vector(0, v);
}
/// It has half of them: what becomes of each 128, a V64.
fn narrower(t: &mut Tx, f: impl Fn(&mut Tx, Val) -> Val) {
    let a = t.vector(1);
    let v = t.checked(|t| {
        let first = f(t, a.low);
        match a.high {
            Some(high) => {
                let second = f(t, high);
                t.b.vconcat(first, second)
            }
            None => first,
        }
    });
    t.set_vector(0, v);
}
fn doubles_of_ints(t: &mut Tx, a: Val) -> Val {
    let [first, second] = [0, 1].map(|i| {
        let int = t.b.vget_lane(Ty::I32, a, i);
        of_int(t, Ty::F64, int)
    });
    pair(t, first, second)
}
fn ints_of_doubles(t: &mut Tx, a: Val, env: Fenv) -> Val {
    let ints = lanes(t, a, Ty::F64, 2).into_iter();
    let ints: Vec<Val> = ints.map(|a| to_int(t, Ty::I32, a, env)).collect();
    vector_of(t, Ty::V64, &ints)
}
pub fn cvtdq2pd(t: &mut Tx) {
    wider(t, doubles_of_ints);
}
pub fn cvtpd2dq(t: &mut Tx) {
    narrower(t, |t, a| ints_of_doubles(t, a, CURRENT));
}
pub fn cvttpd2dq(t: &mut Tx) {
    narrower(t, |t, a| ints_of_doubles(t, a, TRUNCATING));
}
pub fn cvtps2pd(t: &mut Tx) {
    wider(t, |t, a| {
        let [first, second] = singles(t, a).map(|a| converted(t, Ty::F64, a));
        pair(t, first, second)
    });
}
pub fn cvtpd2ps(t: &mut Tx) {
    narrower(t, |t, a| {
        let both = lanes(t, a, Ty::F64, 2).into_iter();
        let both: Vec<Val> = both.map(|a| converted(t, Ty::F32, a)).collect();
        vector_of(t, Ty::V64, &both)
    });
}

// Between registers of MMX and of SSE.

/// The lower half of operand 0 becomes something of operand 1's 64 bits.
pub fn cvtpi2ps(t: &mut Tx) {
    let (a, whole) = (t.vector(1).low, t.vector(0).low);
    let first = t.checked(|t| singles_of_ints(t, a));
    let upper = t.b.vhalf(whole, true);
    let v = t.b.vconcat(first, upper);
    t.set_vector(0, v);
}
pub fn cvtpi2pd(t: &mut Tx) {
    let a = t.vector(1).low;
    let v = t.checked(|t| doubles_of_ints(t, a));
    t.set_vector(0, v);
}
fn ints_of(t: &mut Tx, f: impl Fn(&mut Tx, Val) -> Val) {
    let a = t.vector(1).low;
    let v = t.checked(|t| f(t, a));
    t.set_vector(0, v);
}
fn ints_of_low_singles(t: &mut Tx, env: Fenv) {
    ints_of(t, |t, a| {
        let a = low(t, a);
        ints_of_singles(t, a, env)
    });
}
pub fn cvtps2pi(t: &mut Tx) {
    ints_of_low_singles(t, CURRENT);
}
pub fn cvttps2pi(t: &mut Tx) {
    ints_of_low_singles(t, TRUNCATING);
}
pub fn cvtpd2pi(t: &mut Tx) {
    ints_of(t, |t, a| ints_of_doubles(t, a, CURRENT));
}
pub fn cvttpd2pi(t: &mut Tx) {
    ints_of(t, |t, a| ints_of_doubles(t, a, TRUNCATING));
}

// Half precision.

/// VCVTPH2PS.
pub fn vcvtph2ps(t: &mut Tx) {
    wider(t, |t, a| {
        let env = Fenv::IEEE;
        let halves = lanes(t, a, Ty::I16, 4).into_iter();
        let singles: Vec<Val> = halves.map(|a| t.b.push(Ty::F32, Op::FFromHalf { a, env })).collect();
        vector_of(t, Ty::V128, &singles)
    });
}
/// VCVTPS2PH: rounds by MXCSR or in a way of its own.
pub fn vcvtps2ph(t: &mut Tx) {
    let a = t.vector(1);
    if t.is_memory(0) {
        // Exceptions of what is computed come after those of where it goes.
        let bytes = if a.high.is_some() { 16 } else { 8 };
        let at = t.locate(bytes, true);
        t.probe_area(at, bytes);
    }
    let own = match t.insn.immediate & 7 {
        0 => Some(Round::Nearest),
        1 => Some(Round::Down),
        2 => Some(Round::Up),
        3 => Some(Round::Zero),
        _ => None,
    };
    let v = t.checked(|t| {
        let first = halves(t, a.low, own);
        match a.high {
            Some(high) => {
                let second = halves(t, high, own);
                t.b.vconcat(first, second)
            }
            None => first,
        }
    });
    t.set_vector(0, v);
}
/// Four singles as halves.
fn halves(t: &mut Tx, a: Val, own: Option<Round>) -> Val {
    let env = Fenv {
        flag: false,
        ..t.fenv_rounding(own)
    };
    let singles = lanes(t, a, Ty::F32, 4).into_iter();
    let halves: Vec<Val> = singles.map(|a| t.b.push(Ty::I16, Op::FToHalf { a, env })).collect();
    t.end_rounding();
    vector_of(t, Ty::V64, &halves)
}
