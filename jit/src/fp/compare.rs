//! Comparisons, maximum and minimum.

use super::{Class, Env, Format, Number, denormals, propagate, unpack};
use emu_ir::{FP_INVALID, Relation};
use std::cmp::Ordering;

/// `FPCompare`: how `a` relates to `b`; `None` when unordered. Any NaN is invalid with `env.flag`, else signalling ones.
pub fn compare(f: Format, a: u64, b: u64, env: Env) -> (Option<Ordering>, u32) {
    let mut flags = 0;
    let (a, b) = (unpack(f, a, env, &mut flags), unpack(f, b, env, &mut flags));
    if a.is_nan() || b.is_nan() {
        let signalling = a.class == Class::Signalling || b.class == Class::Signalling;
        if signalling || env.flag {
            flags |= FP_INVALID;
        }
        return (None, flags);
    }
    denormals(&[a, b], env, &mut flags);
    (Some(order(a, b)), flags)
}

/// How `a` relates to `b`; see [`compare`].
pub fn relation(f: Format, a: u64, b: u64, env: Env) -> (Relation, u32) {
    let (order, flags) = compare(f, a, b, env);
    let is = match order {
        None => Relation::UNORDERED,
        Some(Ordering::Less) => Relation::LESS,
        Some(Ordering::Equal) => Relation::EQUAL,
        Some(Ordering::Greater) => Relation::GREATER,
    };
    (is, flags)
}

fn order(a: Number, b: Number) -> Ordering {
    // Zeros are equal whatever their signs; otherwise by sign, then magnitude.
    let rank = |n: Number| match n.class {
        Class::Zero => 0,
        Class::Finite | Class::Quiet | Class::Signalling => 1,
        Class::Infinity => 2,
    };
    let magnitude = |n: Number| (rank(n), n.exp, n.sig);
    let side = |n: Number| match (n.is_zero(), n.sign) {
        (true, _) => 0,
        (false, true) => -1,
        (false, false) => 1,
    };
    side(a).cmp(&side(b)).then_with(|| match side(a) {
        -1 => magnitude(b).cmp(&magnitude(a)),
        _ => magnitude(a).cmp(&magnitude(b)),
    })
}

macro_rules! relations {
    ($( $(#[$d:meta])* $name:ident $holds:expr; )*) => { $(
        $(#[$d])*
        pub fn $name(f: Format, a: u64, b: u64, env: Env) -> (bool, u32) {
            let (order, flags) = compare(f, a, b, env);
            (order.is_some_and($holds), flags)
        }
    )* };
}
relations! {
    /// `a == b`; false when unordered.
    eq Ordering::is_eq;
    /// `a < b`; false when unordered.
    lt Ordering::is_lt;
    /// `a <= b`; false when unordered.
    le Ordering::is_le;
    /// `a > b`; false when unordered.
    gt Ordering::is_gt;
    /// `a >= b`; false when unordered.
    ge Ordering::is_ge;
}

/// One is a NaN.
pub fn unordered(f: Format, a: u64, b: u64, env: Env) -> (bool, u32) {
    let (order, flags) = compare(f, a, b, env);
    (order.is_none(), flags)
}

/// `FPMax`: NaNs propagate, +0 is above -0. Of x86 it is MAXSS (SDM 2): `b` unless `a` is greater; any NaN is invalid.
pub fn max(f: Format, a: u64, b: u64, env: Env) -> (u64, u32) {
    pick(f, a, b, Ordering::Greater, env)
}

/// `FPMin`: NaNs propagate, -0 is below +0. Of x86 it is MINSS (SDM 2): `b` unless `a` is less; any NaN is invalid.
pub fn min(f: Format, a: u64, b: u64, env: Env) -> (u64, u32) {
    pick(f, a, b, Ordering::Less, env)
}

fn pick(f: Format, a: u64, b: u64, wanted: Ordering, env: Env) -> (u64, u32) {
    let mut flags = 0;
    let (x, y) = (unpack(f, a, env, &mut flags), unpack(f, b, env, &mut flags));
    if env.x86.is_some() {
        return second_unless(f, (a, x), (b, y), wanted, env);
    }
    if let Some(nan) = propagate(f, &[x, y], env, &mut flags) {
        return (nan, flags);
    }
    let (bits, n) = if order(x, y) == wanted { (a, x) } else { (b, y) };
    if !n.is_zero() {
        return (bits, flags);
    }
    let sign = if wanted == Ordering::Greater {
        x.sign && y.sign
    } else {
        x.sign || y.sign
    };
    (f.zero(sign), flags)
}

fn second_unless(f: Format, (a, x): (u64, Number), (b, y): (u64, Number), wanted: Ordering, env: Env) -> (u64, u32) {
    let mut flags = 0;
    if x.is_nan() || y.is_nan() {
        flags |= FP_INVALID;
    } else {
        denormals(&[x, y], env, &mut flags);
    }
    let first = flags & FP_INVALID == 0 && order(x, y) == wanted;
    let (bits, n) = if first { (a, x) } else { (b, y) };
    // What was denormal is a zero now.
    (if n.is_zero() { f.zero(n.sign) } else { bits }, flags)
}
