//! Floats, lane by lane.

use super::every;
use emu_ir::{Builder, Fenv, Lane, Val};

/// A comparison or an operation on two vectors.
pub type Op2 = fn(&mut Builder, Lane, Val, Val, Fenv) -> Val;

/// The sign bit.
const fn sign(e: Lane) -> u64 {
    1 << (e.bits() - 1)
}

/// The sign flipped; NaNs too.
pub fn negated(b: &mut Builder, e: Lane, x: Val) -> Val {
    let sign = every(b, b.ty(x), e, sign(e));
    b.xor(x, sign)
}

/// The sign cleared; NaNs too.
pub fn magnitude(b: &mut Builder, e: Lane, x: Val) -> Val {
    let sign = every(b, b.ty(x), e, sign(e));
    b.and_not(x, sign)
}

/// `f` of the magnitudes.
pub fn of_magnitudes(b: &mut Builder, e: Lane, [x, y]: [Val; 2], env: Fenv, f: Op2) -> Val {
    let (x, y) = (magnitude(b, e, x), magnitude(b, e, y));
    f(b, e, x, y, env)
}

/// The magnitude of the difference.
pub fn difference(b: &mut Builder, e: Lane, x: Val, y: Val, env: Fenv) -> Val {
    let difference = b.vfsub(e, x, y, env);
    magnitude(b, e, difference)
}
