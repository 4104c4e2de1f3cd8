//! Exclusive and ordered accesses, and the exclusive monitor (Arm ARM DDI 0487, B2.9 and C4.1, "Loads and Stores").
//!
//! The monitor remembers the address, the size and what was read there; a store-exclusive is a compare-and-swap against that.

use super::features::Feature;
use super::state::{EXCL_ADDR, EXCL_ARMED, EXCL_LOW, EXCL_VALUE};
use super::tx::Tx;
use emu_ir::{Fence, Ty, Val, insns};

insns! {
    /// Exclusive accesses; `o` is 1 where they are ordered.
    EXCLUSIVE: Tx;
    "00 001000 000 sssss o ----- nnnnn ttttt" => stxrb(o, s, n, t)
    "01 001000 000 sssss o ----- nnnnn ttttt" => stxrh(o, s, n, t)
    "1z 001000 000 sssss o ----- nnnnn ttttt" => stxr(o, z, s, n, t)
    "00 001000 010 ----- o ----- nnnnn ttttt" => ldxrb(o, n, t)
    "01 001000 010 ----- o ----- nnnnn ttttt" => ldxrh(o, n, t)
    "1z 001000 010 ----- o ----- nnnnn ttttt" => ldxr(o, z, n, t)
    "1z 001000 001 sssss o uuuuu nnnnn ttttt" => stxp(o, z, s, u, n, t)
    "1z 001000 011 ----- o uuuuu nnnnn ttttt" => ldxp(o, z, u, n, t)
}

insns! {
    /// Load-acquire and store-release.
    ORDERED: Tx;
    "00 001000 100 ----- 1 ----- nnnnn ttttt" => stlrb(n, t)
    "01 001000 100 ----- 1 ----- nnnnn ttttt" => stlrh(n, t)
    "1z 001000 100 ----- 1 ----- nnnnn ttttt" => stlr(z, n, t)
    "00 001000 110 ----- 1 ----- nnnnn ttttt" => ldarb(n, t)
    "01 001000 110 ----- 1 ----- nnnnn ttttt" => ldarh(n, t)
    "1z 001000 110 ----- 1 ----- nnnnn ttttt" => ldar(z, n, t)
}

insns! {
    /// FEAT_LOR: the only region is all of memory.
    LIMITED: Tx, needs Feature::Lor;
    "00 001000 100 ----- 0 ----- nnnnn ttttt" => stllrb(n, t)
    "01 001000 100 ----- 0 ----- nnnnn ttttt" => stllrh(n, t)
    "1z 001000 100 ----- 0 ----- nnnnn ttttt" => stllr(z, n, t)
    "00 001000 110 ----- 0 ----- nnnnn ttttt" => ldlarb(n, t)
    "01 001000 110 ----- 0 ----- nnnnn ttttt" => ldlarh(n, t)
    "1z 001000 110 ----- 0 ----- nnnnn ttttt" => ldlar(z, n, t)
}

insns! {
    /// FEAT_LRCPC.
    RCPC: Tx, needs Feature::Lrcpc;
    "00 111000 101 11111 1 100 00 nnnnn ttttt" => ldaprb(n, t)
    "01 111000 101 11111 1 100 00 nnnnn ttttt" => ldaprh(n, t)
    "1z 111000 101 11111 1 100 00 nnnnn ttttt" => ldapr(z, n, t)
}

/// The type of `1 << size` bytes, 16 as a vector.
pub const fn of_size(size: u8) -> Ty {
    match size {
        0 => Ty::I8,
        1 => Ty::I16,
        2 => Ty::I32,
        3 => Ty::I64,
        _ => Ty::V128,
    }
}

/// The size of W or X registers.
const fn word(z: u32) -> u8 {
    2 + (z & 1) as u8
}

/// Ordered with what follows, if so.
fn acquire(t: &mut Tx, ordered: bool) {
    if ordered {
        t.b.barrier(Fence::Light);
    }
}

/// Load and arm the monitor; the value, of the access's own type.
fn load_exclusive(t: &mut Tx, o: u32, size: u8, piece: u8, n: u32) -> Val {
    let addr = t.base(n);
    let v = t.b.load(of_size(size), addr, t.mem_atomic(size, piece));
    acquire(t, o == 1);
    if size == 4 {
        t.b.set(EXCL_VALUE, v);
    } else {
        let wide = t.b.zext(Ty::I64, v);
        t.b.set(EXCL_LOW, wide);
    }
    let armed = t.b.i32(u32::from(size) + 1);
    t.b.set(EXCL_ADDR, addr);
    t.b.set(EXCL_ARMED, armed);
    v
}

/// Store `v` if the monitor holds this address and memory what was read; `s` = 0 if stored, else 1; disarm.
fn store_exclusive(t: &mut Tx, size: u8, piece: u8, [s, n]: [u32; 2], v: Val) {
    let addr = t.base(n);
    let (zero, one, mine) = (t.b.i32(0), t.b.i32(1), t.b.i32(u32::from(size) + 1));
    let (armed, marked) = (t.b.get(EXCL_ARMED), t.b.get(EXCL_ADDR));
    let (unarmed, other) = (t.b.ne(armed, mine), t.b.ne(marked, addr));
    let lost = t.b.or(unarmed, other);
    let (fails, done) = (t.b.label(), t.b.label());
    let read = if size == 4 {
        t.b.get(EXCL_VALUE)
    } else {
        let read = t.b.get(EXCL_LOW);
        t.b.trunc(of_size(size), read)
    };
    t.b.br_if(lost, fails);
    let found = t.b.cas(addr, read, v, t.mem_atomic(size, piece));
    let differs = if size == 4 {
        differ(t, found, read)
    } else {
        t.b.ne(found, read)
    };
    t.set(s, differs);
    t.b.br(done);
    t.b.place(fails);
    t.set(s, one);
    t.b.place(done);
    t.b.set(EXCL_ARMED, zero);
}

/// Whether two vectors differ.
fn differ(t: &mut Tx, a: Val, b: Val) -> Val {
    let bits = t.b.xor(a, b);
    let [low, high] = [0, 1].map(|i| t.b.vget_lane(Ty::I64, bits, i));
    let (any, zero) = (t.b.or(low, high), t.i64(0));
    t.b.ne(any, zero)
}

/// LDXR and LDAXR.
fn ldxr(t: &mut Tx, o: u32, z: u32, n: u32, r: u32) {
    let v = load_exclusive(t, o, word(z), word(z), n);
    t.set(r, v);
}
/// LDXRB and LDAXRB.
fn ldxrb(t: &mut Tx, o: u32, n: u32, r: u32) {
    let v = load_exclusive(t, o, 0, 0, n);
    t.set(r, v);
}
/// LDXRH and LDAXRH.
fn ldxrh(t: &mut Tx, o: u32, n: u32, r: u32) {
    let v = load_exclusive(t, o, 1, 1, n);
    t.set(r, v);
}
/// LDXP and LDAXP.
fn ldxp(t: &mut Tx, o: u32, z: u32, u: u32, n: u32, r: u32) {
    let v = load_exclusive(t, o, word(z) + 1, word(z), n);
    let [low, high] = super::pair::halves(t.b, z, v);
    t.set(r, low);
    t.set(u, high);
}

/// The low bytes of `r` stored exclusively.
fn store_one(t: &mut Tx, size: u8, [s, n, r]: [u32; 3]) {
    let v = t.x(r);
    let v = t.b.trunc(of_size(size), v);
    store_exclusive(t, size, size, [s, n], v);
}
/// STXR and STLXR: a compare-and-swap orders everything.
fn stxr(t: &mut Tx, _ordered: u32, z: u32, s: u32, n: u32, r: u32) {
    store_one(t, word(z), [s, n, r]);
}
/// STXRB and STLXRB.
fn stxrb(t: &mut Tx, _ordered: u32, s: u32, n: u32, r: u32) {
    store_one(t, 0, [s, n, r]);
}
/// STXRH and STLXRH.
fn stxrh(t: &mut Tx, _ordered: u32, s: u32, n: u32, r: u32) {
    store_one(t, 1, [s, n, r]);
}
/// STXP and STLXP.
fn stxp(t: &mut Tx, _ordered: u32, z: u32, s: u32, u: u32, n: u32, r: u32) {
    let pair = [t.r(z, r), t.r(z, u)];
    let v = super::pair::joined(t.b, z, pair);
    store_exclusive(t, word(z) + 1, word(z), [s, n], v);
}

/// A load that what follows comes after.
fn load_acquire(t: &mut Tx, size: u8, n: u32, r: u32) {
    let addr = t.base(n);
    let v = t.b.load(Ty::I64, addr, t.mem_ordered(size));
    acquire(t, true);
    t.set(r, v);
}
/// A store that comes after what is before it, and before every later load-acquire.
fn store_release(t: &mut Tx, size: u8, n: u32, r: u32) {
    let (addr, v) = (t.base(n), t.x(r));
    t.b.store(addr, v, t.mem_ordered(size));
    t.b.barrier(Fence::Full);
}

macro_rules! ordered {
    ($( $how:ident $byte:ident $half:ident $word:ident $doc:literal; )*) => { $(
        #[doc = concat!($doc, "B.")]
        fn $byte(t: &mut Tx, n: u32, r: u32) {
            $how(t, 0, n, r);
        }
        #[doc = concat!($doc, "H.")]
        fn $half(t: &mut Tx, n: u32, r: u32) {
            $how(t, 1, n, r);
        }
        #[doc = concat!($doc, ".")]
        fn $word(t: &mut Tx, z: u32, n: u32, r: u32) {
            $how(t, word(z), n, r);
        }
    )* };
}
ordered! {
    store_release stlrb stlrh stlr "STLR";
    load_acquire ldarb ldarh ldar "LDAR";
    store_release stllrb stllrh stllr "STLLR";
    load_acquire ldlarb ldlarh ldlar "LDLAR";
    load_acquire ldaprb ldaprh ldapr "LDAPR";
}
