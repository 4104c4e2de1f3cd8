//! Loads and stores of V registers: 1 to 16 bytes, `1 << s` (Arm ARM DDI 0487, C4.1, "Loads and Stores").

use super::super::load_store::{Kind, indexed, indexed_by, literal, offset};
use super::super::pair;
use super::super::state;
use super::super::tx::{Tx, signed};
use super::set;
use emu_ir::{Mem, Ty, Val, insns};

insns! {
    /// One register.
    SINGLE: Tx;
    "ss 111 1 01 00 iiiiiiiiiiii nnnnn ttttt" => str_imm(s, i, n, t)
    "ss 111 1 01 01 iiiiiiiiiiii nnnnn ttttt" => ldr_imm(s, i, n, t)
    "00 111 1 01 10 iiiiiiiiiiii nnnnn ttttt" => str_imm(4, i, n, t)
    "00 111 1 01 11 iiiiiiiiiiii nnnnn ttttt" => ldr_imm(4, i, n, t)
    "ss 111 1 00 00 0 iiiiiiiii 00 nnnnn ttttt" => stur(s, i, n, t)
    "ss 111 1 00 01 0 iiiiiiiii 00 nnnnn ttttt" => ldur(s, i, n, t)
    "00 111 1 00 10 0 iiiiiiiii 00 nnnnn ttttt" => stur(4, i, n, t)
    "00 111 1 00 11 0 iiiiiiiii 00 nnnnn ttttt" => ldur(4, i, n, t)
    "ss 111 1 00 00 0 iiiiiiiii p1 nnnnn ttttt" => str_indexed(s, i, p, n, t)
    "ss 111 1 00 01 0 iiiiiiiii p1 nnnnn ttttt" => ldr_indexed(s, i, p, n, t)
    "00 111 1 00 10 0 iiiiiiiii p1 nnnnn ttttt" => str_indexed(4, i, p, n, t)
    "00 111 1 00 11 0 iiiiiiiii p1 nnnnn ttttt" => ldr_indexed(4, i, p, n, t)
    "ss 111 1 00 00 1 mmmmm o1o k 10 nnnnn ttttt" => str_reg(s, m, o, k, n, t)
    "ss 111 1 00 01 1 mmmmm o1o k 10 nnnnn ttttt" => ldr_reg(s, m, o, k, n, t)
    "00 111 1 00 10 1 mmmmm o1o k 10 nnnnn ttttt" => str_reg(4, m, o, k, n, t)
    "00 111 1 00 11 1 mmmmm o1o k 10 nnnnn ttttt" => ldr_reg(4, m, o, k, n, t)
}

insns! {
    /// Literals.
    LITERAL: Tx;
    "00 011 1 00 iiiiiiiiiiiiiiiiiii ttttt" => ldr_literal(2, i, t)
    "01 011 1 00 iiiiiiiiiiiiiiiiiii ttttt" => ldr_literal(3, i, t)
    "10 011 1 00 iiiiiiiiiiiiiiiiiii ttttt" => ldr_literal(4, i, t)
}

insns! {
    /// Two registers; `x` as in [`pair::PAIRS`].
    PAIRS: Tx;
    "00 101 1 0xx 0 iiiiiii uuuuu nnnnn ttttt" => stp(x, 2, i, u, n, t)
    "00 101 1 0xx 1 iiiiiii uuuuu nnnnn ttttt" => ldp(x, 2, i, u, n, t)
    "01 101 1 0xx 0 iiiiiii uuuuu nnnnn ttttt" => stp(x, 3, i, u, n, t)
    "01 101 1 0xx 1 iiiiiii uuuuu nnnnn ttttt" => ldp(x, 3, i, u, n, t)
    "10 101 1 0xx 0 iiiiiii uuuuu nnnnn ttttt" => stp(x, 4, i, u, n, t)
    "10 101 1 0xx 1 iiiiiii uuuuu nnnnn ttttt" => ldp(x, 4, i, u, n, t)
}

/// The type that `1 << size` bytes are moved as.
const fn moved_as(size: u8) -> Ty {
    match size {
        0..3 => Ty::I32,
        3 => Ty::I64,
        _ => Ty::V128,
    }
}

fn load(t: &mut Tx, kind: Kind, addr: Val, mem: Mem, r: u32) {
    let v = t.b.load(moved_as(kind.size), addr, mem);
    put(t, r, v);
}

/// Write all of V`r`.
fn put(t: &mut Tx, r: u32, v: Val) {
    if t.b.ty(v) == Ty::V128 {
        t.b.set(state::v(r, Ty::V128), v);
    } else {
        set(t, r, v);
    }
}

fn store(t: &mut Tx, kind: Kind, addr: Val, mem: Mem, r: u32) {
    let v = t.b.get(state::v(r, moved_as(kind.size)));
    t.b.store(addr, v, mem);
}

const fn kind(s: u32) -> Kind {
    Kind {
        z: 1,
        size: s as u8,
        signed: false,
    }
}

macro_rules! accesses {
    ($( $how:ident $imm:ident $unscaled:ident $indexed:ident $reg:ident $doc:literal; )*) => { $(
        #[doc = concat!($doc, " (immediate, SIMD&FP), unsigned offset.")]
        fn $imm(t: &mut Tx, s: u32, i: u32, n: u32, r: u32) {
            offset(t, $how, kind(s), i64::from(i) << s, n, r);
        }
        #[doc = concat!($doc, " (immediate, SIMD&FP), unscaled offset.")]
        fn $unscaled(t: &mut Tx, s: u32, i: u32, n: u32, r: u32) {
            offset(t, $how, kind(s), signed(i, 9).into(), n, r);
        }
        #[doc = concat!($doc, " (immediate, SIMD&FP), pre-indexed where `p` is 1, else post-indexed.")]
        fn $indexed(t: &mut Tx, s: u32, i: u32, p: u32, n: u32, r: u32) {
            indexed(t, $how, kind(s), (signed(i, 9).into(), p == 1), n, r);
        }
        #[doc = concat!($doc, " (register, SIMD&FP).")]
        fn $reg(t: &mut Tx, s: u32, m: u32, o: u32, k: u32, n: u32, r: u32) {
            indexed_by(t, $how, kind(s), [m, o, k], n, r);
        }
    )* };
}
accesses! {
    store str_imm stur str_indexed str_reg "STR";
    load ldr_imm ldur ldr_indexed ldr_reg "LDR";
}

/// LDR (literal, SIMD&FP).
fn ldr_literal(t: &mut Tx, s: u32, i: u32, r: u32) {
    let addr = literal(t, i);
    let mem = t.mem(s as u8);
    load(t, kind(s), addr, mem, r);
}

/// The addresses of two registers of 16 bytes each.
fn two(t: &mut Tx, addr: Val) -> [Val; 2] {
    [addr, t.plus(addr, 16)]
}

/// LDP and LDNP (SIMD&FP).
fn ldp(t: &mut Tx, x: u32, s: u32, i: u32, u: u32, n: u32, r: u32) {
    pair::indexed(t, x, i, s as u8, n, |t, addr| {
        let both = if s == 4 {
            let mem = t.mem(4);
            two(t, addr).map(|at| t.b.load(Ty::V128, at, mem))
        } else {
            pair::load(t, s - 2, addr)
        };
        for (r, v) in [r, u].into_iter().zip(both) {
            put(t, r, v);
        }
    });
}
/// STP and STNP (SIMD&FP).
fn stp(t: &mut Tx, x: u32, s: u32, i: u32, u: u32, n: u32, r: u32) {
    pair::indexed(t, x, i, s as u8, n, |t, addr| {
        let both = [r, u].map(|r| t.b.get(state::v(r, moved_as(s as u8))));
        if s == 4 {
            let mem = t.mem(4);
            for (at, v) in two(t, addr).into_iter().zip(both) {
                t.b.store(at, v, mem);
            }
        } else {
            pair::store(t, s - 2, addr, both);
        }
    });
}
