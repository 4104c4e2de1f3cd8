//! Atomic memory operations (FEAT_LSE; Arm ARM DDI 0487, C4.1, "Atomic memory operations", "Compare and swap").
//!
//! Each is ordered with everything, whatever the acquire and release bits ask for: so is an atomic operation of the host.

use super::exclusive::of_size;
use super::features::Feature;
use super::pair::{halves, joined};
use super::tx::Tx;
use emu_ir::{Builder, Mem, Rmw, Val, insns};

insns! {
    /// Compare and swap.
    COMPARE: Tx, needs Feature::Lse;
    "00 001000 1-1 sssss - 11111 nnnnn ttttt" => casb(s, n, t)
    "01 001000 1-1 sssss - 11111 nnnnn ttttt" => cash(s, n, t)
    "1z 001000 1-1 sssss - 11111 nnnnn ttttt" => cas(z, s, n, t)
    "0z 001000 0-1 sssss - 11111 nnnnn ttttt" => casp(z, s, n, t)
}

insns! {
    /// Read, modify and write.
    MODIFY: Tx, needs Feature::Lse;
    "ww 111 000 --1 sssss 0 000 00 nnnnn ttttt" => ldadd(w, s, n, t)
    "ww 111 000 --1 sssss 0 001 00 nnnnn ttttt" => ldclr(w, s, n, t)
    "ww 111 000 --1 sssss 0 010 00 nnnnn ttttt" => ldeor(w, s, n, t)
    "ww 111 000 --1 sssss 0 011 00 nnnnn ttttt" => ldset(w, s, n, t)
    "ww 111 000 --1 sssss 0 100 00 nnnnn ttttt" => ldsmax(w, s, n, t)
    "ww 111 000 --1 sssss 0 101 00 nnnnn ttttt" => ldsmin(w, s, n, t)
    "ww 111 000 --1 sssss 0 110 00 nnnnn ttttt" => ldumax(w, s, n, t)
    "ww 111 000 --1 sssss 0 111 00 nnnnn ttttt" => ldumin(w, s, n, t)
    "ww 111 000 --1 sssss 1 000 00 nnnnn ttttt" => swp(w, s, n, t)
}

/// How a compare-and-swap goes.
fn mem(t: &Tx, size: u8, piece: u8) -> Mem {
    let mem = t.mem_atomic(size, piece);
    Mem {
        pieces: mem.pieces.reading(),
        ..mem
    }
}

/// `s` compared with `1 << size` bytes at `n`, which go to `s`; if equal, `r` is stored.
fn compare(t: &mut Tx, size: u8, [s, n, r]: [u32; 3]) {
    let (addr, ty) = (t.base(n), of_size(size));
    let [old, new] = [s, r].map(|r| {
        let v = t.x(r);
        t.b.trunc(ty, v)
    });
    let how = mem(t, size, size);
    let found = t.b.cas(addr, old, new, how);
    t.set(s, found);
}
/// CASB.
fn casb(t: &mut Tx, s: u32, n: u32, r: u32) {
    compare(t, 0, [s, n, r]);
}
/// CASH.
fn cash(t: &mut Tx, s: u32, n: u32, r: u32) {
    compare(t, 1, [s, n, r]);
}
/// CAS.
fn cas(t: &mut Tx, z: u32, s: u32, n: u32, r: u32) {
    compare(t, 2 + z as u8, [s, n, r]);
}
/// CASP: even registers and the next ones.
fn casp(t: &mut Tx, z: u32, s: u32, n: u32, r: u32) {
    if (s | r) & 1 != 0 {
        return t.undefined();
    }
    let (addr, piece) = (t.base(n), 2 + z as u8);
    let how = mem(t, piece + 1, piece);
    let [old, new] = [s, r].map(|r| {
        // In memory the first register's piece comes first, whatever the order of bytes in each.
        let pair = [t.r(z, r), t.r(z, r + 1)];
        joined(t.b, z, pair)
    });
    let found = t.b.cas(addr, old, new, how);
    let [low, high] = halves(t.b, z, found);
    t.set(s, low);
    t.set(s + 1, high);
}

/// What `op` does with `1 << w` bytes at `n` and the low bytes of `s`; what was there goes to `r`.
fn modify(t: &mut Tx, w: u32, [s, n, r]: [u32; 3], op: impl FnOnce(&mut Builder, Val, Val, Mem) -> Val) {
    let (size, addr, v) = (w as u8, t.base(n), t.x(s));
    let v = t.b.trunc(of_size(size), v);
    let how = t.mem_atomic(size, size);
    let old = op(t.b, addr, v, how);
    t.set(r, old);
}

macro_rules! modify {
    ($( $name:ident $rmw:ident $doc:literal; )*) => { $(
        #[doc = $doc]
        fn $name(t: &mut Tx, w: u32, s: u32, n: u32, r: u32) {
            modify(t, w, [s, n, r], |b, addr, v, how| b.rmw(Rmw::$rmw, addr, v, how));
        }
    )* };
}
modify! {
    ldadd Add "LDADD; STADD where nothing is kept.";
    ldeor Xor "LDEOR.";
    ldset Or "LDSET.";
    ldsmax MaxS "LDSMAX.";
    ldsmin MinS "LDSMIN.";
    ldumax MaxU "LDUMAX.";
    ldumin MinU "LDUMIN.";
}
/// LDCLR.
fn ldclr(t: &mut Tx, w: u32, s: u32, n: u32, r: u32) {
    modify(t, w, [s, n, r], |b, addr, v, how| {
        let kept = b.not(v);
        b.rmw(Rmw::And, addr, kept, how)
    });
}
/// SWP.
fn swp(t: &mut Tx, w: u32, s: u32, n: u32, r: u32) {
    modify(t, w, [s, n, r], Builder::swap);
}
