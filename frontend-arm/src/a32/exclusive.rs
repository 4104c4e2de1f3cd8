//! Exclusive accesses, the exclusive monitor, and swap (Arm ARM DDI 0406C, A3.4 and A8.8); load-acquire and store-release
//! (Arm ARM DDI 0487, F5.1).
//!
//! The monitor remembers the address and what was read there; a store-exclusive is a compare-and-swap against that value.

use crate::state::{EXCL_ADDR, EXCL_ARMED, EXCL_VALUE, mode};
use crate::tx::Tx;
use emu_ir::{Fence, Mem, Ty, Val};

const fn of_size(size: u8) -> Ty {
    match size {
        0 => Ty::I8,
        1 => Ty::I16,
        2 => Ty::I32,
        _ => Ty::I64,
    }
}

/// The address: `n` plus `i` bytes.
fn address(t: &mut Tx, n: u32, i: u32) -> Val {
    let base = t.reg(n);
    match i {
        0 => base,
        _ => {
            let i = t.b.i32(i);
            t.b.add(base, i)
        }
    }
}

/// A doubleword is two words, each in the data endianness.
fn mem(t: &Tx, size: u8) -> Mem {
    Mem {
        pieces: t.pieces(size.min(2)),
        ..t.mem_aligned(size)
    }
}

/// Load and arm the monitor; the value, of the access's own type.
fn load(t: &mut Tx, size: u8, addr: Val) -> Val {
    let v = t.load(of_size(size), addr, mem(t, size));
    let (wide, one) = (t.b.zext(Ty::I64, v), t.b.i32(1));
    t.b.set(EXCL_VALUE, wide);
    t.b.set(EXCL_ADDR, addr);
    t.b.set(EXCL_ARMED, one);
    v
}

/// Store `v` if the monitor holds this address and memory what was read; `d` = 0 if stored, else 1; disarm.
fn store(t: &mut Tx, size: u8, addr: Val, v: Val, d: u32) {
    let (zero, one) = (t.b.i32(0), t.b.i32(1));
    let (armed, marked) = (t.b.get(EXCL_ARMED), t.b.get(EXCL_ADDR));
    let (unarmed, other) = (t.b.eq(armed, zero), t.b.ne(marked, addr));
    let lost = t.b.or(unarmed, other);
    let read = t.b.get(EXCL_VALUE);
    let read = t.b.trunc(of_size(size), read);
    let (fails, done) = (t.b.label(), t.b.label());
    t.b.br_if(lost, fails);
    let found = t.cas(addr, read, v, mem(t, size));
    let differs = t.b.ne(found, read);
    let status = t.b.zext(Ty::I32, differs);
    t.set(d, status);
    t.b.br(done);
    t.b.place(fails);
    t.set(d, one);
    t.b.place(done);
    t.b.set(EXCL_ARMED, zero);
}

/// LDREX: from `n` plus `i` bytes.
pub fn ldrex(t: &mut Tx, n: u32, d: u32, i: u32) {
    let addr = address(t, n, i);
    let v = load(t, 2, addr);
    set(t, d, v);
}
/// LDREXB.
pub fn ldrexb(t: &mut Tx, n: u32, d: u32) {
    let addr = t.reg(n);
    let v = load(t, 0, addr);
    set(t, d, v);
}
/// LDREXH.
pub fn ldrexh(t: &mut Tx, n: u32, d: u32) {
    let addr = t.reg(n);
    let v = load(t, 1, addr);
    set(t, d, v);
}
/// LDREXD: to `d` and `e`.
pub fn ldrexd_pair(t: &mut Tx, n: u32, d: u32, e: u32) {
    if d == 15 || e == 15 || d == e {
        return t.undefined();
    }
    let addr = t.reg(n);
    let v = load(t, 3, addr);
    let (lo, by) = (t.b.trunc(Ty::I32, v), t.b.imm(Ty::I64, 32));
    let hi = t.b.shr_u(v, by);
    let hi = t.b.trunc(Ty::I32, hi);
    t.set(d, lo);
    t.set(e, hi);
}
/// LDREXD of A32: to `d` and `d` + 1.
pub fn ldrexd(t: &mut Tx, n: u32, d: u32) {
    if d & 1 != 0 || d == 14 {
        return t.undefined();
    }
    ldrexd_pair(t, n, d, d + 1);
}

/// Loads to R15 are UNPREDICTABLE, here Undefined.
fn set(t: &mut Tx, d: u32, v: Val) {
    if d == 15 {
        return t.undefined();
    }
    let v = t.b.zext(Ty::I32, v);
    t.set(d, v);
}

/// Registers R15 are UNPREDICTABLE, here Undefined, as is a status register that is also the base or the data.
fn store_narrow(t: &mut Tx, size: u8, n: u32, d: u32, s: u32, i: u32) {
    if [n, d, s].contains(&15) || d == n || d == s {
        return t.undefined();
    }
    let addr = address(t, n, i);
    let v = t.reg(s);
    let v = t.b.trunc(of_size(size), v);
    store(t, size, addr, v, d);
}

/// STREX: `s` to `n` plus `i` bytes, status to `d`.
pub fn strex(t: &mut Tx, n: u32, d: u32, s: u32, i: u32) {
    store_narrow(t, 2, n, d, s, i);
}
/// STREXB: `s` to `n`, status to `d`.
pub fn strexb(t: &mut Tx, n: u32, d: u32, s: u32) {
    store_narrow(t, 0, n, d, s, 0);
}
/// STREXH: `s` to `n`, status to `d`.
pub fn strexh(t: &mut Tx, n: u32, d: u32, s: u32) {
    store_narrow(t, 1, n, d, s, 0);
}
/// STREXD: `s` and `e` to `n`, status to `d`.
pub fn strexd_pair(t: &mut Tx, n: u32, d: u32, s: u32, e: u32) {
    if [n, d, s, e].contains(&15) || [n, s, e].contains(&d) {
        return t.undefined();
    }
    let addr = t.reg(n);
    let (lo, hi) = (t.reg(s), t.reg(e));
    let (lo, hi, by) = (t.b.zext(Ty::I64, lo), t.b.zext(Ty::I64, hi), t.b.imm(Ty::I64, 32));
    let hi = t.b.shl(hi, by);
    let v = t.b.or(lo, hi);
    store(t, 3, addr, v, d);
}
/// STREXD of A32: `s` and `s` + 1 to `n`, status to `d`.
pub fn strexd(t: &mut Tx, n: u32, d: u32, s: u32) {
    if s & 1 != 0 || s == 14 {
        return t.undefined();
    }
    strexd_pair(t, n, d, s, s + 1);
}
/// CLREX.
pub fn clrex(t: &mut Tx) {
    let zero = t.b.i32(0);
    t.b.set(EXCL_ARMED, zero);
}

/// A load that what follows comes after.
fn acquire(t: &mut Tx, size: u8, n: u32, d: u32) {
    if n == 15 || d == 15 {
        return t.undefined();
    }
    let addr = t.reg(n);
    let v = t.load(of_size(size), addr, mem(t, size));
    t.b.barrier(Fence::Light);
    set(t, d, v);
}
/// A store that comes after what is before it, and before every later load-acquire.
fn release(t: &mut Tx, size: u8, n: u32, s: u32) {
    if n == 15 || s == 15 {
        return t.undefined();
    }
    let (addr, v) = (t.reg(n), t.reg(s));
    let v = t.b.trunc(of_size(size), v);
    t.store(addr, v, mem(t, size));
    t.b.barrier(Fence::Full);
}

macro_rules! ordered {
    ($( $name:ident $how:ident $size:literal $doc:literal; )*) => { $(
        #[doc = $doc]
        pub fn $name(t: &mut Tx, n: u32, r: u32) {
            $how(t, $size, n, r);
        }
    )* };
}
ordered! {
    ldab acquire 0 "LDAB.";
    ldah acquire 1 "LDAH.";
    lda acquire 2 "LDA.";
    stlb release 0 "STLB.";
    stlh release 1 "STLH.";
    stl release 2 "STL.";
}

/// What follows comes after the load.
fn acquired(t: &mut Tx) {
    if !t.ended {
        t.b.barrier(Fence::Light);
    }
}
/// LDAEX.
pub fn ldaex(t: &mut Tx, n: u32, d: u32) {
    ldrex(t, n, d, 0);
    acquired(t);
}
/// LDAEXB.
pub fn ldaexb(t: &mut Tx, n: u32, d: u32) {
    ldrexb(t, n, d);
    acquired(t);
}
/// LDAEXH.
pub fn ldaexh(t: &mut Tx, n: u32, d: u32) {
    ldrexh(t, n, d);
    acquired(t);
}
/// LDAEXD: to `d` and `e`.
pub fn ldaexd_pair(t: &mut Tx, n: u32, d: u32, e: u32) {
    ldrexd_pair(t, n, d, e);
    acquired(t);
}
/// LDAEXD of A32: to `d` and `d` + 1.
pub fn ldaexd(t: &mut Tx, n: u32, d: u32) {
    ldrexd(t, n, d);
    acquired(t);
}
/// STLEX: a compare-and-swap orders everything.
pub fn stlex(t: &mut Tx, n: u32, d: u32, s: u32) {
    strex(t, n, d, s, 0);
}
/// STLEXB.
pub fn stlexb(t: &mut Tx, n: u32, d: u32, s: u32) {
    strexb(t, n, d, s);
}
/// STLEXH.
pub fn stlexh(t: &mut Tx, n: u32, d: u32, s: u32) {
    strexh(t, n, d, s);
}
/// STLEXD: `s` and `e`.
pub fn stlexd_pair(t: &mut Tx, n: u32, d: u32, s: u32, e: u32) {
    strexd_pair(t, n, d, s, e);
}
/// STLEXD of A32: `s` and `s` + 1.
pub fn stlexd(t: &mut Tx, n: u32, d: u32, s: u32) {
    strexd(t, n, d, s);
}

/// SWP: memory at `n` to `d`, `m` to memory; Undefined unless SCTLR.SW enables it.
pub fn swp(t: &mut Tx, n: u32, d: u32, m: u32) {
    swap(t, 2, n, d, m);
}
/// SWPB.
pub fn swpb(t: &mut Tx, n: u32, d: u32, m: u32) {
    swap(t, 0, n, d, m);
}
fn swap(t: &mut Tx, size: u8, n: u32, d: u32, m: u32) {
    if [n, d, m].contains(&15) || t.mode & mode::SWP == 0 {
        return t.undefined();
    }
    let (addr, v) = (t.reg(n), t.reg(m));
    let v = t.b.trunc(of_size(size), v);
    let old = t.swap(addr, v, mem(t, size));
    set(t, d, old);
}
