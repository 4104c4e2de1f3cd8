//! Logic (SDM 1, 5.4.5, 5.5.1.3, 5.6.1.3), and tests of bits (5.10.8, 5.12).

use super::two;
use crate::tx::{Tx, Vector};
use emu_ir::{Lane, STATUS_CARRY, STATUS_FIXED, STATUS_ZERO, Ty, Val};

two! {
    pand |t, a, b| t.b.and(a, b);
    andps |t, a, b| t.b.and(a, b);
    andpd |t, a, b| t.b.and(a, b);
    pandn |t, a, b| t.b.and_not(b, a);
    andnps |t, a, b| t.b.and_not(b, a);
    andnpd |t, a, b| t.b.and_not(b, a);
    por |t, a, b| t.b.or(a, b);
    orps |t, a, b| t.b.or(a, b);
    orpd |t, a, b| t.b.or(a, b);
    pxor |t, a, b| t.b.xor(a, b);
    xorps |t, a, b| t.b.xor(a, b);
    xorpd |t, a, b| t.b.xor(a, b);
}

/// Whether no bit is set.
fn is_zero(t: &mut Tx, v: Vector) -> Val {
    let all = match v.high {
        Some(high) => t.b.or(v.low, high),
        None => v.low,
    };
    let halves = [0, 1].map(|i| t.b.vget_lane(Ty::I64, all, i));
    let any = t.b.or(halves[0], halves[1]);
    t.is_zero(any)
}

/// ZF: no bit of a mask is set in both operands; CF: none is set in the second alone. The other flags become 0.
fn test(t: &mut Tx, mask: Option<(Lane, u64)>) {
    let (a, b) = (t.vector(0), t.vector(1));
    let mask = mask.map(|(e, bits)| t.splat(Ty::V128, e, bits));
    let b = b.map(|v| mask.map_or(v, |mask| t.b.and(v, mask)));
    let both = a.zip(b, |a, b| t.b.and(a, b));
    let alone = a.zip(b, |a, b| t.b.and_not(b, a));
    let (both, alone) = (is_zero(t, both), is_zero(t, alone));
    let others = t.imm(Ty::I16, STATUS_FIXED.into());
    let status = t.set_flags(others, &[(STATUS_ZERO, both), (STATUS_CARRY, alone)]);
    t.set_status(status);
}
/// PTEST.
pub fn ptest(t: &mut Tx) {
    test(t, None);
}
/// VTESTPS: of signs.
pub fn vtestps(t: &mut Tx) {
    test(t, Some((Lane::I32, 1 << 31)));
}
/// VTESTPD.
pub fn vtestpd(t: &mut Tx) {
    test(t, Some((Lane::I64, 1 << 63)));
}
