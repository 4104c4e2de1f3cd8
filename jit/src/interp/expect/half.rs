//! Expectations of half precision: every number is a double, and the sum, product, quotient or root of doubles, rounded
//! again, is the one rounded once.

use super::{HALVES, from_half, usable};
use emu_ir::{Fenv, Op, Val};

/// The half nearest to a double.
fn nearest(x: f64) -> u16 {
    let at = |x: f64| HALVES[0].get(&x.to_bits()).copied();
    let rounded = if x == 0.0 || x.is_infinite() {
        x
    } else {
        let quantum = 2f64.powi((x.abs().log2().floor() as i32 - 10).max(-24));
        (x / quantum).round_ties_even() * quantum
    };
    at(rounded).unwrap_or_else(|| at(f64::INFINITY.copysign(x)).expect("an infinity"))
}

/// One lane's result, the scalar operation being that of the lane. `None`: not with these operands.
pub(super) fn lane(op: Op, vals: &[u128]) -> Option<u128> {
    let bits = |v: Val| vals[v.index()] as u16;
    let f = |v: Val| from_half(bits(v), false);
    let half = |env: Fenv, x: f64| (usable(env) && !x.is_nan()).then(|| nearest(x).into());
    let scaled = |a: Val, frac: u8| (f(a) * 2f64.powi(frac.into())).round_ties_even();
    let power = |frac: u8| 2f64.powi(-i32::from(frac));
    let truth = |env: Fenv, holds: bool| (!env.flush).then_some(holds.into());
    match op {
        Op::FAdd { a, b, env } => half(env, f(a) + f(b)),
        Op::FSub { a, b, env } => half(env, f(a) - f(b)),
        Op::FMul { a, b, env } => half(env, f(a) * f(b)),
        Op::FDiv { a, b, env } => half(env, f(a) / f(b)),
        Op::FSqrt { a, env } => half(env, f(a).sqrt()),
        Op::FRound { a, env } => half(env, f(a).round_ties_even()),
        Op::FMulAdd { c, a, b, env } => {
            let (product, c) = (f(a) * f(b), f(c));
            let sum = product + c;
            // Where nothing is lost.
            half(env, sum).filter(|_| !sum.is_finite() || sum - product == c && sum - c == product)
        }
        Op::FEq { a, b, env } => truth(env, f(a) == f(b)),
        Op::FLt { a, b, env } => truth(env, f(a) < f(b)),
        Op::FLe { a, b, env } => truth(env, f(a) <= f(b)),
        Op::FToS { a, frac, env } => usable(env).then(|| (scaled(a, frac) as i16 as u16).into()),
        Op::FToU { a, frac, env } => usable(env).then(|| (scaled(a, frac) as u16).into()),
        Op::SToF { a, frac, env } => half(env, f64::from(bits(a) as i16) * power(frac)),
        Op::UToF { a, frac, env } => half(env, f64::from(bits(a)) * power(frac)),
        _ => None,
    }
}
