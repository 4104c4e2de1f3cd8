//! Loads and stores of two general-purpose registers (Arm ARM DDI 0487, C4.1, "Loads and Stores").

use super::tx::{Tx, signed};
use emu_ir::{Builder, Mem, Ty, Val, insns};

insns! {
    /// `x` is 0 (no allocation), 1 (the base moved after the access), 2 (an offset), 3 (the base moved before).
    PAIRS: Tx;
    "z0 101 0 000 0 iiiiiii uuuuu nnnnn ttttt" => stnp(z, i, u, n, t)
    "z0 101 0 000 1 iiiiiii uuuuu nnnnn ttttt" => ldnp(z, i, u, n, t)
    "z0 101 0 001 0 iiiiiii uuuuu nnnnn ttttt" => stp(1, z, i, u, n, t)
    "z0 101 0 001 1 iiiiiii uuuuu nnnnn ttttt" => ldp(1, z, i, u, n, t)
    "z0 101 0 010 0 iiiiiii uuuuu nnnnn ttttt" => stp(2, z, i, u, n, t)
    "z0 101 0 010 1 iiiiiii uuuuu nnnnn ttttt" => ldp(2, z, i, u, n, t)
    "z0 101 0 011 0 iiiiiii uuuuu nnnnn ttttt" => stp(3, z, i, u, n, t)
    "z0 101 0 011 1 iiiiiii uuuuu nnnnn ttttt" => ldp(3, z, i, u, n, t)
    "01 101 0 001 1 iiiiiii uuuuu nnnnn ttttt" => ldpsw(1, i, u, n, t)
    "01 101 0 010 1 iiiiiii uuuuu nnnnn ttttt" => ldpsw(2, i, u, n, t)
    "01 101 0 011 1 iiiiiii uuuuu nnnnn ttttt" => ldpsw(3, i, u, n, t)
}

/// Accesses memory at a base, which is moved, by `i` elements of `1 << size` bytes, as `x` says.
pub fn indexed(t: &mut Tx, x: u32, i: u32, size: u8, n: u32, access: impl FnOnce(&mut Tx, Val)) {
    let by = i64::from(signed(i, 7)) << size;
    let base = t.base(n);
    let moved = t.plus(base, by);
    access(t, if x == 1 { base } else { moved });
    if x & 1 != 0 {
        t.set_moved(n, moved, n, by);
    }
}

/// How two registers are accessed: as one, in two pieces.
fn mem(t: &Tx, z: u32) -> Mem {
    let size = 2 + (z & 1) as u8;
    t.mem_of(size + 1, size)
}

/// Two words or doublewords.
pub fn halves(b: &mut Builder, z: u32, both: Val) -> [Val; 2] {
    if z == 0 {
        let by = b.imm(Ty::I64, 32);
        let high = b.shr_u(both, by);
        return [both, high].map(|v| b.trunc(Ty::I32, v));
    }
    [0, 1].map(|i| b.vget_lane(Ty::I64, both, i))
}

/// Two words or doublewords in one.
pub fn joined(b: &mut Builder, z: u32, [low, high]: [Val; 2]) -> Val {
    if z == 0 {
        let [low, high] = [low, high].map(|v| b.zext(Ty::I64, v));
        let by = b.imm(Ty::I64, 32);
        let high = b.shl(high, by);
        return b.or(low, high);
    }
    let [low, high] = [low, high].map(|v| b.bitcast(Ty::V64, v));
    b.vconcat(low, high)
}

/// The type of two registers.
const fn both(z: u32) -> Ty {
    if z == 0 { Ty::I64 } else { Ty::V128 }
}

/// Two words or doublewords from memory.
pub fn load(t: &mut Tx, z: u32, addr: Val) -> [Val; 2] {
    let v = t.b.load(both(z), addr, mem(t, z));
    halves(t.b, z, v)
}

/// LDP.
fn ldp(t: &mut Tx, x: u32, z: u32, i: u32, u: u32, n: u32, r: u32) {
    indexed(t, x, i, 2 + z as u8, n, |t, addr| {
        let [low, high] = load(t, z, addr);
        t.set(r, low);
        t.set(u, high);
    });
}
/// LDNP.
fn ldnp(t: &mut Tx, z: u32, i: u32, u: u32, n: u32, r: u32) {
    ldp(t, 2, z, i, u, n, r);
}
/// LDPSW.
fn ldpsw(t: &mut Tx, x: u32, i: u32, u: u32, n: u32, r: u32) {
    indexed(t, x, i, 2, n, |t, addr| {
        let [low, high] = load(t, 0, addr).map(|v| t.b.sext(Ty::I64, v));
        t.set(r, low);
        t.set(u, high);
    });
}
/// Two words or doublewords to memory.
pub fn store(t: &mut Tx, z: u32, addr: Val, pair: [Val; 2]) {
    let v = joined(t.b, z, pair);
    t.b.store(addr, v, mem(t, z));
}
/// STP.
fn stp(t: &mut Tx, x: u32, z: u32, i: u32, u: u32, n: u32, r: u32) {
    indexed(t, x, i, 2 + z as u8, n, |t, addr| {
        let pair = [t.r(z, r), t.r(z, u)];
        store(t, z, addr, pair);
    });
}
/// STNP.
fn stnp(t: &mut Tx, z: u32, i: u32, u: u32, n: u32, r: u32) {
    stp(t, 2, z, i, u, n, r);
}
