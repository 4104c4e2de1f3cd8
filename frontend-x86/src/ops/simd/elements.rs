//! Elements in and out: inserts, extracts, masks of signs and broadcasts (SDM 1, 5.4.1, 5.5.2, 5.10.5, 5.13).

use super::immediate;
use super::shuffle::picked;
use crate::decode::row::Method;
use crate::tx::{Tx, Vector};
use emu_ir::{Lane, Ty, Val};

/// The type of general registers of 32 or 64 bits.
fn general(t: &Tx) -> Ty {
    if t.insn.operand_size == 8 { Ty::I64 } else { Ty::I32 }
}

/// An element of type `ty` becomes the operand before the immediate.
fn insert(t: &mut Tx, ty: Ty) {
    let (first, second) = t.sources();
    let v = t.read(second);
    let v = t.b.trunc(ty, v);
    let whole = t.vector(first).low;
    let lanes = t.b.ty(whole).bytes() / ty.bytes();
    let whole = t.b.vset_lane(whole, v, immediate(t) & (lanes - 1) as u8);
    t.set_vector(0, whole);
}
/// PINSRB.
pub fn pinsrb(t: &mut Tx) {
    insert(t, Ty::I8);
}
/// PINSRW.
pub fn pinsrw(t: &mut Tx) {
    insert(t, Ty::I16);
}
/// PINSRD, PINSRQ.
pub fn pinsrd(t: &mut Tx) {
    insert(t, general(t));
}

/// An element of type `ty`, zero-extended in a register.
fn extract(t: &mut Tx, ty: Ty) {
    let whole = t.vector(1).low;
    let lanes = t.b.ty(whole).bytes() / ty.bytes();
    let v = t.b.vget_lane(ty, whole, immediate(t) & (lanes - 1) as u8);
    let v = t.b.zext(t.ty(0), v);
    t.write(0, v);
}
/// PEXTRB.
pub fn pextrb(t: &mut Tx) {
    extract(t, Ty::I8);
}
/// PEXTRW.
pub fn pextrw(t: &mut Tx) {
    extract(t, Ty::I16);
}
/// PEXTRD, PEXTRQ.
pub fn pextrd(t: &mut Tx) {
    extract(t, general(t));
}
/// EXTRACTPS.
pub fn extractps(t: &mut Tx) {
    extract(t, Ty::I32);
}

/// INSERTPS: one of four becomes one of the second operand, and some become 0.
pub fn insertps(t: &mut Tx) {
    let (first, second) = t.sources();
    let by = immediate(t);
    let from = if t.is_memory(second) { 0 } else { by >> 6 };
    let v = t.vector(second).low;
    let (v, whole) = (t.v128(v), t.vector(first).low);
    let mut pattern = picked(4, |k| if k == by >> 4 & 3 { 4 + from } else { k });
    for (k, byte) in pattern.iter_mut().enumerate() {
        if by >> (k / 4) & 1 != 0 {
            *byte = u8::MAX;
        }
    }
    let v = t.b.vperm(whole, v, pattern);
    t.set_vector(0, v);
}

/// The signs of lanes as bits of a number.
pub(super) fn signs(t: &mut Tx, v: Vector, e: Lane) -> Val {
    let low = t.b.vsigns(e, v.low);
    let Some(high) = v.high else {
        return low;
    };
    let high = t.b.vsigns(e, high);
    let high = t.shl(high, 128 / e.bits());
    t.b.or(low, high)
}
fn write_signs(t: &mut Tx, e: Lane) {
    let v = t.vector(1);
    let v = signs(t, v, e);
    t.write(0, v);
}
/// MOVMSKPS.
pub fn movmskps(t: &mut Tx) {
    write_signs(t, Lane::I32);
}
/// MOVMSKPD.
pub fn movmskpd(t: &mut Tx) {
    write_signs(t, Lane::I64);
}
/// PMOVMSKB.
pub fn pmovmskb(t: &mut Tx) {
    write_signs(t, Lane::I8);
}

/// All lanes of operand 0 become the lowest of operand 1.
fn broadcast(t: &mut Tx, e: Lane) {
    let v = if t.is_memory(1) {
        let v = t.scalar(1, e.scalar());
        t.b.vdup(Ty::V128, e, v)
    } else {
        let v = t.vector(1).low;
        t.b.vperm(v, v, picked(e.bits() as u8 / 8, |_| 0))
    };
    set_both(t, v);
}
/// Write operand 0, both halves of which are the same.
fn set_both(t: &mut Tx, v: Val) {
    let high = (t.vector_bytes() == 32).then_some(v);
    t.set_vector(0, Vector { low: v, high });
}
macro_rules! broadcasts {
    ($( $name:ident $e:ident; )*) => { $( pub fn $name(t: &mut Tx) { broadcast(t, Lane::$e); } )* };
}
broadcasts! {
    vpbroadcastb I8;
    vpbroadcastw I16;
    vpbroadcastd I32;
    vpbroadcastq I64;
    vbroadcastss I32;
    vbroadcastsd I64;
}
/// VBROADCASTF128.
pub fn vbroadcastf128(t: &mut Tx) {
    let v = t.vector(1).low;
    set_both(t, v);
}
/// VBROADCASTI128.
pub fn vbroadcasti128(t: &mut Tx) {
    vbroadcastf128(t);
}

/// A half of a vector.
fn half(v: Vector, upper: bool) -> Val {
    v.high.filter(|_| upper).unwrap_or(v.low)
}
/// VINSERTF128.
pub fn vinsertf128(t: &mut Tx) {
    let (v, by) = (t.vector(1), t.vector(2).low);
    let v = match immediate(t) & 1 {
        0 => Vector { low: by, ..v },
        _ => Vector { high: Some(by), ..v },
    };
    t.set_vector(0, v);
}
/// VINSERTI128.
pub fn vinserti128(t: &mut Tx) {
    vinsertf128(t);
}
/// VEXTRACTF128.
pub fn vextractf128(t: &mut Tx) {
    let v = t.vector(1);
    let v = half(v, immediate(t) & 1 != 0);
    t.set_vector(0, v);
}
/// VEXTRACTI128.
pub fn vextracti128(t: &mut Tx) {
    vextractf128(t);
}

/// VPERM2F128: each half becomes one of four, or 0.
pub fn vperm2f128(t: &mut Tx) {
    let (a, b, by) = (t.vector(1), t.vector(2), immediate(t));
    let [low, high] = [by, by >> 4].map(|by| match by & 8 {
        0 => half(if by & 2 == 0 { a } else { b }, by & 1 != 0),
        _ => t.b.vec(Ty::V128, 0),
    });
    t.set_vector(0, Vector { low, high: Some(high) });
}
/// VPERM2I128.
pub fn vperm2i128(t: &mut Tx) {
    vperm2f128(t);
}
/// VPERMQ: quarters, each of any.
pub fn vpermq(t: &mut Tx) {
    let (v, by) = (t.vector(1), immediate(t));
    let [low, high] = [by, by >> 4].map(|by| {
        let pattern = picked(8, |k| by >> (2 * k) & 3);
        t.b.vperm(v.low, half(v, true), pattern)
    });
    t.set_vector(0, Vector { low, high: Some(high) });
}
/// VPERMPD.
pub fn vpermpd(t: &mut Tx) {
    vpermq(t);
}

/// For lanes of `e`, each holding the number of a lane below `count`: the numbers of its bytes.
fn bytes_of_lanes(t: &mut Tx, e: Lane, numbers: Val, count: u64) -> Val {
    let mask = t.splat(Ty::V128, e, count - 1);
    let numbers = t.b.and(numbers, mask);
    let size = e.bits() as u8 / 8;
    let first = t.b.vshl(e, numbers, size.trailing_zeros() as u8);
    let first = t.b.vperm(first, first, std::array::from_fn(|k| k as u8 / size * size));
    let distance = u128::from_le_bytes(std::array::from_fn(|k| k as u8 % size));
    let distance = t.b.vec(Ty::V128, distance);
    t.b.vadd(Lane::I8, first, distance)
}
/// VPERMD: eight lanes, each any of the second operand's.
pub fn vpermd(t: &mut Tx) {
    let (by, v) = (t.vector(1), t.vector(2));
    let upper = half(v, true);
    let v = by.map(|by| {
        let bytes = bytes_of_lanes(t, Lane::I32, by, 8);
        let sixteen = t.splat(Ty::V128, Lane::I8, 16);
        let above = t.b.vsub(Lane::I8, bytes, sixteen);
        let [low, high] =
            [(v.low, bytes), (upper, above)].map(|(a, idx)| t.b.push(Ty::V128, emu_ir::Op::VLookup { a, idx }));
        t.b.or(low, high)
    });
    t.set_vector(0, v);
}
/// VPERMPS.
pub fn vpermps(t: &mut Tx) {
    vpermd(t);
}
/// VPERMILPS: of each half, lanes any of it.
pub fn vpermilps(t: &mut Tx) {
    if is_by_number(t) {
        let by = immediate(t);
        return t.of_one(|t, v| t.b.vperm(v, v, picked(4, |k| by >> (2 * k) & 3)));
    }
    t.of_two(|t, v, by| {
        let bytes = bytes_of_lanes(t, Lane::I32, by, 4);
        t.b.vshuffle(v, bytes)
    });
}
/// VPERMILPD: the same; in a vector bit 1 counts.
pub fn vpermilpd(t: &mut Tx) {
    if is_by_number(t) {
        let by = immediate(t);
        return t.of_one_half(|t, half, v| t.b.vperm(v, v, picked(8, |k| by >> (2 * half + k) & 1)));
    }
    t.of_two(|t, v, by| {
        let by = t.b.vshr_u(Lane::I64, by, 1);
        let bytes = bytes_of_lanes(t, Lane::I64, by, 2);
        t.b.vshuffle(v, bytes)
    });
}
fn is_by_number(t: &Tx) -> bool {
    t.insn.row.operands.iter().any(|o| o.method == Method::I)
}
/// The opposite of [`signs`]: lanes that are all ones where a bit of an I16 is set.
pub(super) fn bits_as_lanes(t: &mut Tx, e: Lane, bits: Val) -> Val {
    let size = e.bits() as usize / 8;
    let all = t.v128(bits);
    // In each lane the byte that has its bit, and of it the bit.
    let bytes = t.b.vperm(all, all, std::array::from_fn(|k| (k / size / 8) as u8));
    let bit: [u8; 16] = std::array::from_fn(|k| if k % size == 0 { 1 << (k / size % 8) } else { 0 });
    let bit = t.b.vec(Ty::V128, u128::from_le_bytes(bit));
    let set = t.b.and(bytes, bit);
    t.b.veq(e, set, bit)
}
