//! Manipulation of the condition flags (FEAT_FlagM, FEAT_FlagM2; Arm ARM DDI 0487, C4.1, "Rotate right into flags",
//! "Evaluate into flags" and "PSTATE").

use super::features::Feature;
use super::state::NZCV;
use super::tx::Tx;
use crate::flags::FlagSource;
use emu_ir::{Ty, insns};

insns! {
    /// FEAT_FlagM.
    FLAGM: Tx, needs Feature::FlagM;
    "1 01 11010000 iiiiii 00001 nnnnn 0 ffff" => rmif(i, n, f)
    "0 01 11010000 000000 00010 nnnnn 0 1101" => setf8(n)
    "0 01 11010000 000000 10010 nnnnn 0 1101" => setf16(n)
    "1101010100 0 00 000 0100 0000 000 11111" => cfinv()
}

insns! {
    /// FEAT_FlagM2.
    FLAGM2: Tx, needs Feature::FlagM2;
    "1101010100 0 00 000 0100 0000 001 11111" => xaflag()
    "1101010100 0 00 000 0100 0000 010 11111" => axflag()
}

/// RMIF: the flags that the mask `f` names from the lowest bits of `n` rotated right by `i`.
fn rmif(t: &mut Tx, i: u32, n: u32, f: u32) {
    let v = t.x(n);
    for (slot, k) in NZCV.into_iter().zip([3, 2, 1, 0]) {
        if f >> k & 1 != 0 {
            let flag = t.bit(v, (i + k) % 64);
            t.b.set(slot, flag);
        }
    }
    t.flags.written(FlagSource::Slots);
}

/// N, Z and V of the low bits of `n`, as if they were a result.
fn set_flags(t: &mut Tx, n: u32, ty: Ty) {
    let [n_slot, z_slot, _, v_slot] = NZCV;
    let v = t.r(0, n);
    let low = t.b.trunc(ty, v);
    let zero = t.b.imm(ty, 0);
    let (negative, is_zero) = (t.b.slt(low, zero), t.b.eq(low, zero));
    let above = t.bit(v, ty.bits());
    let overflow = t.b.xor(above, negative);
    t.b.set(n_slot, negative);
    t.b.set(z_slot, is_zero);
    t.b.set(v_slot, overflow);
    t.flags.written(FlagSource::Slots);
}
/// SETF8.
fn setf8(t: &mut Tx, n: u32) {
    set_flags(t, n, Ty::I8);
}
/// SETF16.
fn setf16(t: &mut Tx, n: u32) {
    set_flags(t, n, Ty::I16);
}

/// CFINV.
fn cfinv(t: &mut Tx) {
    let [.., c, _] = NZCV;
    let (carry, one) = (t.b.get(c), t.b.bool(true));
    let not = t.b.xor(carry, one);
    t.b.set(c, not);
    t.flags.written(FlagSource::Slots);
}

/// XAFLAG: the flags of a comparison of floating-point numbers from those of the alternative format.
fn xaflag(t: &mut Tx) {
    let [_, z, c, _] = NZCV;
    let (z, c, one) = (t.b.get(z), t.b.get(c), t.b.bool(true));
    let either = t.b.or(z, c);
    let n = t.b.xor(either, one);
    let both = t.b.and(z, c);
    let v = t.b.and_not(z, c);
    t.flags.set_all(t.b, [n, both, either, v]);
}

/// AXFLAG: the reverse of XAFLAG.
fn axflag(t: &mut Tx) {
    let [_, z, c, v] = NZCV;
    let (z, c, v, zero) = (t.b.get(z), t.b.get(c), t.b.get(v), t.b.bool(false));
    let (z, c) = (t.b.or(z, v), t.b.and_not(c, v));
    t.flags.set_all(t.b, [zero, z, c, zero]);
}
