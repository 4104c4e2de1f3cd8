//! Shuffle, unpack, pack, blend and extend (SDM 1, 5.4.2, 5.5.1.5, 5.6.1.5, 5.8.4, 5.10).

use super::{immediate, low, one, two};
use crate::tx::{Tx, Vector};
use emu_ir::{Lane, Op, Ty, Val};

two! {
    packsswb |t, a, b| t.b.vpack_s(Lane::I8, a, b);
    packssdw |t, a, b| t.b.vpack_s(Lane::I16, a, b);
    packuswb |t, a, b| t.b.vpack_u(Lane::I8, a, b);
    packusdw |t, a, b| t.b.vpack_u(Lane::I16, a, b);
    punpcklbw |t, a, b| unpack(t, 1, false, a, b);
    punpcklwd |t, a, b| unpack(t, 2, false, a, b);
    punpckldq |t, a, b| unpack(t, 4, false, a, b);
    punpcklqdq |t, a, b| unpack(t, 8, false, a, b);
    punpckhbw |t, a, b| unpack(t, 1, true, a, b);
    punpckhwd |t, a, b| unpack(t, 2, true, a, b);
    punpckhdq |t, a, b| unpack(t, 4, true, a, b);
    punpckhqdq |t, a, b| unpack(t, 8, true, a, b);
    unpcklps |t, a, b| unpack(t, 4, false, a, b);
    unpckhps |t, a, b| unpack(t, 4, true, a, b);
    unpcklpd |t, a, b| unpack(t, 8, false, a, b);
    unpckhpd |t, a, b| unpack(t, 8, true, a, b);
    pshufb |t, a, b| shuffle_bytes(t, a, b);
    palignr |t, a, b| align(t, a, b);
    shufps |t, a, b| {
        let by = immediate(t);
        t.b.vperm(a, b, picked(4, |k| by >> (2 * k) & 3 | if k < 2 { 0 } else { 4 }))
    };
    pblendw |t, a, b| blend(t, 2, immediate(t), a, b);
}

one! {
    pshufw |t, a| { let by = immediate(t); t.b.vperm(a, a, picked(2, |k| by >> (2 * (k & 3)) & 3)) };
    pshufd |t, a| { let by = immediate(t); t.b.vperm(a, a, picked(4, |k| by >> (2 * k) & 3)) };
    pshuflw |t, a| {
        let by = immediate(t);
        t.b.vperm(a, a, picked(2, |k| if k < 4 { by >> (2 * k) & 3 } else { k }))
    };
    pshufhw |t, a| {
        let by = immediate(t);
        t.b.vperm(a, a, picked(2, |k| if k < 4 { k } else { 4 + (by >> (2 * (k - 4)) & 3) }))
    };
}

/// The bytes of units of so many bytes, by which unit each is: those of a second operand are numbered on.
pub(super) fn picked(unit: u8, from: impl Fn(u8) -> u8) -> [u8; 16] {
    std::array::from_fn(|k| from(k as u8 / unit) * unit + k as u8 % unit)
}

/// Units of so many bytes of the lower halves, or of the upper ones, in turns.
fn unpack(t: &mut Tx, unit: u8, upper: bool, a: Val, b: Val) -> Val {
    let half = t.b.ty(a).bytes() as u8 / 2;
    let from = if upper { half / unit } else { 0 };
    t.b.vperm(a, b, picked(unit, |k| from + k / 2 + k % 2 * (16 / unit)))
}

/// Bytes that `b` picks of `a`.
fn shuffle_bytes(t: &mut Tx, a: Val, b: Val) -> Val {
    let table = match t.b.ty(a) {
        // Of eight bytes three bits of each index count.
        Ty::V64 => t.b.vconcat(a, a),
        _ => a,
    };
    t.b.vshuffle(table, b)
}

/// PALIGNR: `b`, `a` behind it, from the immediate on.
fn align(t: &mut Tx, a: Val, b: Val) -> Val {
    let (n, whole) = (u32::from(immediate(t)), t.b.ty(a).bytes());
    let pattern = std::array::from_fn(|k| match k as u32 + n {
        at if at < whole => at as u8,
        at if at < 2 * whole => (at - whole) as u8 + 16,
        _ => u8::MAX,
    });
    t.b.vperm(b, a, pattern)
}

/// Units of so many bytes, of `b` where a bit is set.
fn blend(t: &mut Tx, unit: u8, bits: u8, a: Val, b: Val) -> Val {
    t.b.vperm(
        a,
        b,
        picked(unit, |k| k + if bits >> k & 1 != 0 { 16 / unit } else { 0 }),
    )
}
/// The same with as many bits for each half as it has units.
fn blend_halves(t: &mut Tx, unit: u8) {
    let by = immediate(t);
    t.of_halves(|t, half, a, b| blend(t, unit, by >> (half * (16 / unit)), a, b));
}
/// BLENDPS.
pub fn blendps(t: &mut Tx) {
    blend_halves(t, 4);
}
/// BLENDPD.
pub fn blendpd(t: &mut Tx) {
    blend_halves(t, 8);
}
/// VPBLENDD.
pub fn vpblendd(t: &mut Tx) {
    blend_halves(t, 4);
}
/// SHUFPD: two bits of the immediate for each half.
pub fn shufpd(t: &mut Tx) {
    let by = immediate(t);
    t.of_halves(|t, half, a, b| {
        let by = by >> (2 * half);
        t.b.vperm(a, b, picked(8, |k| by >> k & 1 | k << 1))
    });
}

/// Lanes of the second operand where those of the last are negative, else of the first.
fn blend_by_sign(t: &mut Tx, e: Lane) {
    let (first, second) = t.sources();
    let (a, b, by) = (t.vector(first), t.vector(second), t.vector(second + 1));
    let by = by.map(|v| t.b.vshr_s(e, v, e.bits() as u8));
    let differ = a.zip(b, |a, b| t.b.xor(a, b));
    let change = differ.zip(by, |d, by| t.b.and(d, by));
    let v = a.zip(change, |a, c| t.b.xor(a, c));
    t.set_vector(0, v);
}
macro_rules! blends {
    ($( $name:ident $e:ident; )*) => { $( pub fn $name(t: &mut Tx) { blend_by_sign(t, Lane::$e); } )* };
}
blends! {
    pblendvb I8;
    vpblendvb I8;
    blendvps I32;
    vblendvps I32;
    blendvpd I64;
    vblendvpd I64;
}

/// How lanes are extended.
type Widen = fn(Val, Lane) -> Op;
const SIGNED: Widen = |a, e| Op::VWidenS { a, e };
const UNSIGNED: Widen = |a, e| Op::VWidenU { a, e };

/// Lanes `e` extended to lanes of `to` bits: as many of the lowest as there are then.
fn extend(t: &mut Tx, widen: Widen, e: Lane, to: u32) {
    let long = t.vector_bytes() == 32;
    let v = t.vector(1).low;
    let (mut v, mut e) = (v, e);
    // Until the next doubling gives all that there are.
    while 2 * e.bits() < to {
        let half = low(t, v);
        v = t.b.push(Ty::V128, widen(half, e));
        e = e.wider();
    }
    let lower = low(t, v);
    let lower = t.b.push(Ty::V128, widen(lower, e));
    let high = long.then(|| {
        let upper = t.b.vhalf(v, true);
        t.b.push(Ty::V128, widen(upper, e))
    });
    t.set_vector(0, Vector { low: lower, high });
}
macro_rules! extensions {
    ($( $name:ident $how:ident $e:ident $to:literal; )*) => {
        $( pub fn $name(t: &mut Tx) { extend(t, $how, Lane::$e, $to); } )*
    };
}
extensions! {
    pmovsxbw SIGNED I8 16;
    pmovsxbd SIGNED I8 32;
    pmovsxbq SIGNED I8 64;
    pmovsxwd SIGNED I16 32;
    pmovsxwq SIGNED I16 64;
    pmovsxdq SIGNED I32 64;
    pmovzxbw UNSIGNED I8 16;
    pmovzxbd UNSIGNED I8 32;
    pmovzxbq UNSIGNED I8 64;
    pmovzxwd UNSIGNED I16 32;
    pmovzxwq UNSIGNED I16 64;
    pmovzxdq UNSIGNED I32 64;
}
