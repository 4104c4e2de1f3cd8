//! Lanes change places: UZP, TRN, ZIP, EXT, TBL, TBX (Arm ARM DDI 0487, C4.1, "Advanced SIMD permute", "extract", "table
//! lookup").

use super::super::state;
use super::super::tx::Tx;
use super::operands::{all, get, require, same, set, ty};
use crate::vector::{choose, int};
use emu_ir::{Lane, Op, Ty, Val, insns};

insns! {
    /// Of lanes, and of bytes.
    PERMUTE: Tx;
    "0q 0 01110 ss 0 mmmmm 0 001 10 nnnnn ddddd" => uzp1(q, s, m, n, d)
    "0q 0 01110 ss 0 mmmmm 0 010 10 nnnnn ddddd" => trn1(q, s, m, n, d)
    "0q 0 01110 ss 0 mmmmm 0 011 10 nnnnn ddddd" => zip1(q, s, m, n, d)
    "0q 0 01110 ss 0 mmmmm 0 101 10 nnnnn ddddd" => uzp2(q, s, m, n, d)
    "0q 0 01110 ss 0 mmmmm 0 110 10 nnnnn ddddd" => trn2(q, s, m, n, d)
    "0q 0 01110 ss 0 mmmmm 0 111 10 nnnnn ddddd" => zip2(q, s, m, n, d)
    "0q 1 01110 00 0 mmmmm 0 iiii 0 nnnnn ddddd" => ext(q, m, i, n, d)
}

insns! {
    /// Tables of `l` + 1 registers.
    TABLE: Tx;
    "0q 0 01110 00 0 mmmmm 0 ll 000 nnnnn ddddd" => tbl(q, m, l, n, d)
    "0q 0 01110 00 0 mmmmm 0 ll 100 nnnnn ddddd" => tbx(q, m, l, n, d)
}

macro_rules! permutations {
    ($( $name:ident $pick:expr, $doc:literal; )*) => { $(
        #[doc = $doc]
        fn $name(t: &mut Tx, q: u32, s: u32, m: u32, n: u32, d: u32) -> Option<()> {
            same(t, [q, s, 3], [m, n, d], |t, e, x, y| int::pick(t.b, e, x, y, $pick))
        }
    )* };
}
permutations! {
    uzp1 |k, _| 2 * k, "UZP1: even lanes of `m`:`n`.";
    uzp2 |k, _| 2 * k + 1, "UZP2: odd lanes of `m`:`n`.";
    trn1 |k, lanes| (k & !1) + k % 2 * lanes, "TRN1: even lanes of `n` and `m` in turn.";
    trn2 |k, lanes| (k | 1) + k % 2 * lanes, "TRN2: odd lanes of `n` and `m` in turn.";
    zip1 |k, lanes| k / 2 + k % 2 * lanes, "ZIP1: lanes of the low halves of `n` and `m` in turn.";
    zip2 |k, lanes| (k + lanes) / 2 + k % 2 * lanes, "ZIP2: lanes of the high halves of `n` and `m` in turn.";
}

/// EXT: bytes from `i` on of `m`:`n`.
fn ext(t: &mut Tx, q: u32, m: u32, i: u32, n: u32, d: u32) -> Option<()> {
    require(t, q == 1 || i < 8)?;
    same(t, [q, 0, 0], [m, n, d], |t, _, x, y| {
        int::extract(t.b, x, y, i as usize)
    })
}

/// TBL: out of range gives zero.
fn tbl(t: &mut Tx, q: u32, m: u32, l: u32, n: u32, d: u32) {
    let (found, _) = lookup(t, q, m, l, n);
    set(t, q, Lane::I8, d, found);
}
/// TBX: out of range leaves the byte.
fn tbx(t: &mut Tx, q: u32, m: u32, l: u32, n: u32, d: u32) {
    let (found, idx) = lookup(t, q, m, l, n);
    let end = all(t, q, Lane::I8, u64::from(16 * (l + 1)));
    let inside = t.b.vgt_u(Lane::I8, end, idx);
    let old = get(t, q, Lane::I8, d);
    let v = choose(t.b, inside, found, old);
    set(t, q, Lane::I8, d, v);
}

/// The bytes looked up in the table of `l` + 1 registers from `n` on, and the indices.
fn lookup(t: &mut Tx, q: u32, m: u32, l: u32, n: u32) -> (Val, Val) {
    let idx = get(t, q, Lane::I8, m);
    let mut found = None;
    for k in 0..=l {
        let table = t.b.get(state::v(n + k, Ty::V128));
        let from = all(t, q, Lane::I8, u64::from(16 * k));
        let idx = if k == 0 { idx } else { t.b.vsub(Lane::I8, idx, from) };
        let here = t.b.push(ty(q), Op::VLookup { a: table, idx });
        found = Some(found.map_or(here, |before| t.b.or(before, here)));
    }
    (found.unwrap_or(idx), idx)
}
