//! Arithmetic (SDM 1, 5.5.1.2, 5.6.1.2, 5.7.2, 5.10.2, 5.10.8).

use super::{flipped, low, signs};
use crate::calls;
use crate::tx::{Tx, Vector};
use emu_ir::{Builder, Fenv, Lane, Round, Ty, Val};

/// Instructions with two sources: packed ones and scalar ones, by what the IR has for vectors and for scalars.
macro_rules! binary {
    ($( $ps:ident $pd:ident $ss:ident $sd:ident: $vector:ident, $scalar:ident; )*) => { $(
        pub fn $ps(t: &mut Tx) { t.float_of_two(|t, a, b| { let env = t.fenv(); t.b.$vector(Lane::F32, a, b, env) }); }
        pub fn $pd(t: &mut Tx) { t.float_of_two(|t, a, b| { let env = t.fenv(); t.b.$vector(Lane::F64, a, b, env) }); }
        pub fn $ss(t: &mut Tx) { t.scalar_of_two(Ty::F32, |t, a, b| { let env = t.fenv(); t.b.$scalar(a, b, env) }); }
        pub fn $sd(t: &mut Tx) { t.scalar_of_two(Ty::F64, |t, a, b| { let env = t.fenv(); t.b.$scalar(a, b, env) }); }
    )* };
}
binary! {
    addps addpd addss addsd: vfadd, fadd;
    subps subpd subss subsd: vfsub, fsub;
    mulps mulpd mulss mulsd: vfmul, fmul;
    divps divpd divss divsd: vfdiv, fdiv;
}

/// The lesser or greater: scalars as vectors whose other lanes are zeros.
macro_rules! extreme {
    ($( $ps:ident $pd:ident $ss:ident $sd:ident: $vector:ident; )*) => { $(
        pub fn $ps(t: &mut Tx) { t.float_of_two(|t, a, b| { let env = t.fenv(); t.b.$vector(Lane::F32, a, b, env) }); }
        pub fn $pd(t: &mut Tx) { t.float_of_two(|t, a, b| { let env = t.fenv(); t.b.$vector(Lane::F64, a, b, env) }); }
        pub fn $ss(t: &mut Tx) { lowest(t, Lane::F32, |t, a, b| { let env = t.fenv(); t.b.$vector(Lane::F32, a, b, env) }); }
        pub fn $sd(t: &mut Tx) { lowest(t, Lane::F64, |t, a, b| { let env = t.fenv(); t.b.$vector(Lane::F64, a, b, env) }); }
    )* };
}
extreme! {
    minps minpd minss minsd: vfmin;
    maxps maxpd maxss maxsd: vfmax;
}

/// The lowest lane of operand 0 becomes something of those of operands 1 and 2, as a V64 whose other lanes are zeros.
pub(super) fn lowest(t: &mut Tx, e: Lane, f: impl Fn(&mut Tx, Val, Val) -> Val) {
    t.scalar_of_two(super::bits(e).scalar(), |t, a, b| {
        let (a, b) = (t.v64(a), t.v64(b));
        let v = f(t, a, b);
        t.b.vget_lane(e.scalar(), v, 0)
    });
}

pub fn sqrtps(t: &mut Tx) {
    t.float_of_one(|t, a| {
        let env = t.fenv();
        t.b.vfsqrt(Lane::F32, a, env)
    });
}
pub fn sqrtpd(t: &mut Tx) {
    t.float_of_one(|t, a| {
        let env = t.fenv();
        t.b.vfsqrt(Lane::F64, a, env)
    });
}
pub fn sqrtss(t: &mut Tx) {
    t.scalar_of_one(Ty::F32, |t, a| {
        let env = t.fenv();
        t.b.fsqrt(a, env)
    });
}
pub fn sqrtsd(t: &mut Tx) {
    t.scalar_of_one(Ty::F64, |t, a| {
        let env = t.fenv();
        t.b.fsqrt(a, env)
    });
}

/// An estimate, half by half: it raises nothing.
fn approximate(t: &mut Tx, helper: u16) {
    t.of_one(|t, a| t.b.call(Ty::V128, helper, &[a]));
}
fn approximate_lowest(t: &mut Tx, helper: u16) {
    let a = t.vector(2).low;
    let v = t.b.call(Ty::V128, helper, &[a]);
    let v = t.b.vget_lane(Ty::F32, v, 0);
    t.set_scalar(0, 1, v);
}
pub fn rcpps(t: &mut Tx) {
    approximate(t, calls::RCPPS);
}
pub fn rcpss(t: &mut Tx) {
    approximate_lowest(t, calls::RCPPS);
}
pub fn rsqrtps(t: &mut Tx) {
    approximate(t, calls::RSQRTPS);
}
pub fn rsqrtss(t: &mut Tx) {
    approximate_lowest(t, calls::RSQRTPS);
}

/// How ROUNDPS and the others round: by MXCSR or in a way of their own, and whether they tell that the result is inexact.
fn rounding(t: &Tx) -> Fenv {
    let how = t.insn.immediate;
    let round = match how & 7 {
        0 => Round::Nearest,
        1 => Round::Down,
        2 => Round::Up,
        3 => Round::Zero,
        _ => Round::Current,
    };
    Tx::fenv_of(round, how & 8 == 0)
}
pub fn roundps(t: &mut Tx) {
    let env = rounding(t);
    t.float_of_one(|t, a| t.b.vfround(Lane::F32, a, env));
}
pub fn roundpd(t: &mut Tx) {
    let env = rounding(t);
    t.float_of_one(|t, a| t.b.vfround(Lane::F64, a, env));
}
pub fn roundss(t: &mut Tx) {
    let env = rounding(t);
    t.scalar_of_one(Ty::F32, |t, a| t.b.fround(a, env));
}
pub fn roundsd(t: &mut Tx) {
    let env = rounding(t);
    t.scalar_of_one(Ty::F64, |t, a| t.b.fround(a, env));
}

/// Even lanes are subtracted, odd ones added.
fn addsub(t: &mut Tx, e: Lane) {
    t.float_of_two(|t, a, b| {
        let b = flipped(t, e, b, signs(e, Some(false)));
        let env = t.fenv();
        t.b.vfadd(e, a, b, env)
    });
}
pub fn addsubps(t: &mut Tx) {
    addsub(t, Lane::F32);
}
pub fn addsubpd(t: &mut Tx) {
    addsub(t, Lane::F64);
}

type Lanewise = fn(&mut Builder, Lane, Val, Val, Fenv) -> Val;

/// Even lanes of two vectors, and odd ones.
fn neighbours(t: &mut Tx, e: Lane, a: Val, b: Val) -> (Val, Val) {
    match e {
        Lane::F64 => {
            let even =
                t.b.vperm(a, b, [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23]);
            let odd =
                t.b.vperm(a, b, [8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31]);
            (even, odd)
        }
        _ => {
            let even =
                t.b.vperm(a, b, [0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27]);
            let odd =
                t.b.vperm(a, b, [4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31]);
            (even, odd)
        }
    }
}
fn horizontal(t: &mut Tx, e: Lane, f: Lanewise) {
    t.float_of_two(|t, a, b| {
        let (even, odd) = neighbours(t, e, a, b);
        let env = t.fenv();
        f(t.b, e, even, odd, env)
    });
}
pub fn haddps(t: &mut Tx) {
    horizontal(t, Lane::F32, Builder::vfadd);
}
pub fn haddpd(t: &mut Tx) {
    horizontal(t, Lane::F64, Builder::vfadd);
}
pub fn hsubps(t: &mut Tx) {
    horizontal(t, Lane::F32, Builder::vfsub);
}
pub fn hsubpd(t: &mut Tx) {
    horizontal(t, Lane::F64, Builder::vfsub);
}

/// The lanes of a V128 that are chosen by the low bits of a number.
fn chosen(e: Lane, which: u64) -> u128 {
    let lanes = (0..128 / e.bits()).filter(|lane| which >> lane & 1 != 0);
    lanes.fold(0, |all, lane| all | e.scalar().mask() << (lane * e.bits()))
}
/// DPPS, DPPD: products of chosen lanes, their sum to chosen lanes. Each step raises its exceptions before the next.
fn dot(t: &mut Tx, e: Lane) {
    let (how, a, b) = (t.insn.immediate, t.vector(1), t.vector(2));
    let env = t.fenv();
    let (factors, to) = (
        t.b.vec(Ty::V128, chosen(e, how >> 4)),
        t.b.vec(Ty::V128, chosen(e, how)),
    );
    let halves = |v: Vector, f: &mut dyn FnMut(Val) -> Val| Vector {
        low: f(v.low),
        high: v.high.map(f),
    };
    // Zeros multiplied raise nothing.
    let (a, b) = (
        halves(a, &mut |a| t.b.and(a, factors)),
        halves(b, &mut |b| t.b.and(b, factors)),
    );
    let mut v = t.checked(|t| Vector {
        low: t.b.vfmul(e, a.low, b.low, env),
        high: a.high.zip(b.high).map(|(a, b)| t.b.vfmul(e, a, b, env)),
    });
    for _ in 0..(128 / e.bits()).ilog2() {
        v = t.checked(|t| {
            halves(v, &mut |v| {
                let (even, odd) = neighbours(t, e, v, v);
                t.b.vfadd(e, even, odd, env)
            })
        });
    }
    let v = halves(v, &mut |v| t.b.and(v, to));
    t.set_vector(0, v);
}
pub fn dpps(t: &mut Tx) {
    dot(t, Lane::F32);
}
pub fn dppd(t: &mut Tx) {
    dot(t, Lane::F64);
}

/// The low 64 bits of a vector as two singles.
pub(super) fn singles(t: &mut Tx, v: Val) -> [Val; 2] {
    let v = low(t, v);
    [0, 1].map(|i| t.b.vget_lane(Ty::F32, v, i))
}
