//! Operands of vector instructions, checked.
//!
//! A width `q` is 1 for all 128 bits of a V register, 0 for the low 64, [`SCALAR`] for the lowest lane. A scalar is a V64
//! whose other lanes are zero, so that what is computed of these does no harm.

use super::super::fp::register;
use super::super::state::{self, mode};
use super::super::tx::Tx;
use crate::vector::every;
use crate::vector::float::bits;
use emu_ir::{Fenv, Lane, Slot, Ty, Val};

/// The width of the lowest lane.
pub const SCALAR: u32 = 2;

/// The type of vectors of a width.
pub const fn ty(q: u32) -> Ty {
    if q == 1 { Ty::V128 } else { Ty::V64 }
}

/// Go on if `ok`, else the instruction is Undefined.
pub fn require(t: &mut Tx, ok: bool) -> Option<()> {
    if !ok {
        t.undefined();
    }
    ok.then_some(())
}

/// The lane of size field `s`, which is at most `most` (0 bytes, 1 halfwords, 2 words, 3 doublewords). There is no vector
/// of a single doubleword.
pub fn lane(t: &mut Tx, q: u32, s: u32, most: u32) -> Option<Lane> {
    require(t, s <= most && (q != 0 || s != 3))?;
    Some(Lane::int(s))
}

/// The format of half precision, where 0 is single and 1 double precision.
pub const HALF: u32 = 2;

/// The lane of a format.
pub const fn format(z: u32) -> Lane {
    match z {
        0 => Lane::F32,
        1 => Lane::F64,
        _ => Lane::F16,
    }
}

/// The lane of a format. There is no vector of a single double.
pub fn float_lane(t: &mut Tx, q: u32, z: u32) -> Option<Lane> {
    require(t, q != 0 || z != 1)?;
    Some(format(z))
}

/// The environment of operations on a format: FPCR's.
pub fn environment(t: &Tx, e: Lane) -> Fenv {
    let env = t.fpcr();
    let flush = if e.bits() == 16 {
        t.mode & mode::FZ16 != 0
    } else {
        env.flush
    };
    Fenv { flush, ..env }
}

/// A mask of the lowest lane.
fn lowest(t: &mut Tx, e: Lane, v: Val) -> Val {
    if e.bits() == 64 {
        return v;
    }
    let mask = t.b.vec(Ty::V64, e.scalar().mask());
    t.b.and(v, mask)
}

/// V`n` of a width and lane.
pub fn get(t: &mut Tx, q: u32, e: Lane, n: u32) -> Val {
    let v = t.b.get(state::v(n, ty(q)));
    if q == SCALAR { lowest(t, e, v) } else { v }
}

/// Write V`d` with a width and lane, the rest of it zero.
pub fn set(t: &mut Tx, q: u32, e: Lane, d: u32, v: Val) {
    match q {
        1 => t.b.set(state::v(d, Ty::V128), v),
        SCALAR => {
            let v = lowest(t, e, v);
            register::set(t, d, v);
        }
        _ => register::set(t, d, v),
    }
}

/// The low or (`high` = 1) high half of V`n`.
pub fn half(t: &mut Tx, high: u32, n: u32) -> Val {
    t.b.get(if high == 1 {
        state::v_high(n)
    } else {
        state::v(n, Ty::V64)
    })
}

/// Write the low half of V`d`, the rest of it zero, or (`high` = 1) the high half, the rest staying.
pub fn set_half(t: &mut Tx, high: u32, d: u32, v: Val) {
    if high == 1 {
        t.b.set(state::v_high(d), v);
    } else {
        register::set(t, d, v);
    }
}

/// Where lane `i` of V`n` is, of lanes `e`.
pub const fn lane_slot(n: u32, e: Lane, i: u32) -> Slot {
    state::v(n, e.scalar()).nth(i)
}

/// Lane `i` of V`m` in every lane, or in the lowest if the width is a scalar's.
pub fn element(t: &mut Tx, q: u32, e: Lane, m: u32, i: u32) -> Val {
    let v = t.b.get(lane_slot(m, float_of(e), i));
    if q == SCALAR {
        let none = t.b.vec(Ty::V64, 0);
        return t.b.vset_lane(none, v, 0);
    }
    t.b.vdup(ty(q), e, v)
}

/// The float lane of the width, whose values are in vector registers, if there is one.
const fn float_of(e: Lane) -> Lane {
    match e.bits() {
        32 => Lane::F32,
        64 => Lane::F64,
        _ => bits(e),
    }
}

/// `d = f(n, m)`. `[q, s, most]`: width, size field, the largest that there is.
pub fn same(
    t: &mut Tx,
    [q, s, most]: [u32; 3],
    [m, n, d]: [u32; 3],
    f: impl FnOnce(&mut Tx, Lane, Val, Val) -> Val,
) -> Option<()> {
    let e = lane(t, q, s, most)?;
    let (x, y) = (get(t, q, e, n), get(t, q, e, m));
    let v = f(t, e, x, y);
    set(t, q, e, d, v);
    Some(())
}

/// `d = f(d, n, m)`, as [`same`].
pub fn accumulate(
    t: &mut Tx,
    [q, s, most]: [u32; 3],
    [m, n, d]: [u32; 3],
    f: impl FnOnce(&mut Tx, Lane, Val, Val, Val) -> Val,
) -> Option<()> {
    same(t, [q, s, most], [m, n, d], |t, e, x, y| {
        let c = get(t, q, e, d);
        f(t, e, c, x, y)
    })
}

/// `d = f(n)`, as [`same`].
pub fn two(
    t: &mut Tx,
    [q, s, most]: [u32; 3],
    [n, d]: [u32; 2],
    f: impl FnOnce(&mut Tx, Lane, Val) -> Val,
) -> Option<()> {
    let e = lane(t, q, s, most)?;
    let x = get(t, q, e, n);
    let v = f(t, e, x);
    set(t, q, e, d, v);
    Some(())
}

/// The even and the odd lanes of a V128 as V64.
pub fn halves(t: &mut Tx, v: Val) -> [Val; 2] {
    [false, true].map(|high| t.b.vhalf(v, high))
}

/// Every lane of `e`'s width holds `v`.
pub fn all(t: &mut Tx, q: u32, e: Lane, v: u64) -> Val {
    every(t.b, ty(q), e, v)
}

/// Functions of rows that are `d = f(n, m)`: name, the largest size, `f`.
macro_rules! three_same {
    ($( $name:ident $most:literal $f:expr, $doc:literal; )*) => { $(
        #[doc = $doc]
        fn $name(t: &mut Tx, q: u32, s: u32, m: u32, n: u32, d: u32) -> Option<()> {
            same(t, [q, s, $most], [m, n, d], $f)
        }
    )* };
}
/// Functions of rows that are `d = f(d, n, m)`.
macro_rules! three_accumulate {
    ($( $name:ident $most:literal $f:expr, $doc:literal; )*) => { $(
        #[doc = $doc]
        fn $name(t: &mut Tx, q: u32, s: u32, m: u32, n: u32, d: u32) -> Option<()> {
            accumulate(t, [q, s, $most], [m, n, d], $f)
        }
    )* };
}
/// Functions of rows that are `d = f(n)`.
macro_rules! two_registers {
    ($( $name:ident $most:literal $f:expr, $doc:literal; )*) => { $(
        #[doc = $doc]
        fn $name(t: &mut Tx, q: u32, s: u32, n: u32, d: u32) -> Option<()> {
            two(t, [q, s, $most], [n, d], $f)
        }
    )* };
}
pub(super) use {three_accumulate, three_same, two_registers};
