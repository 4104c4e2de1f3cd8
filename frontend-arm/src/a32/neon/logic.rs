//! Bitwise operations and counts (Arm ARM DDI 0406C, A7.4).

use super::operands::{accumulate, lane, require, same, two};
use crate::tx::Tx;
use crate::vector::{choose, int};
use emu_ir::insns;

insns! {
    /// Bit by bit.
    LOGIC: Tx;
    "1111 0010 0d00 nnnn dddd 0001 Nqm1 mmmm" => vand(q, d, n, m)
    "1111 0010 0d01 nnnn dddd 0001 Nqm1 mmmm" => vbic(q, d, n, m)
    "1111 0010 0d10 nnnn dddd 0001 Nqm1 mmmm" => vorr(q, d, n, m)
    "1111 0010 0d11 nnnn dddd 0001 Nqm1 mmmm" => vorn(q, d, n, m)
    "1111 0011 0d00 nnnn dddd 0001 Nqm1 mmmm" => veor(q, d, n, m)
    "1111 0011 0d01 nnnn dddd 0001 Nqm1 mmmm" => vbsl(q, d, n, m)
    "1111 0011 0d10 nnnn dddd 0001 Nqm1 mmmm" => vbit(q, d, n, m)
    "1111 0011 0d11 nnnn dddd 0001 Nqm1 mmmm" => vbif(q, d, n, m)
    "1111 0011 1d11 ss00 dddd 0100 0qm0 mmmm" => vcls(s, q, d, m)
    "1111 0011 1d11 ss00 dddd 0100 1qm0 mmmm" => vclz(s, q, d, m)
    "1111 0011 1d11 ss00 dddd 0101 0qm0 mmmm" => vcnt(s, q, d, m)
    "1111 0011 1d11 ss00 dddd 0101 1qm0 mmmm" => vmvn_reg(s, q, d, m)
}

/// VAND.
fn vand(t: &mut Tx, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    same(t, q, [d, n, m], |t, x, y| t.b.and(x, y))
}

/// VBIC (register).
fn vbic(t: &mut Tx, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    same(t, q, [d, n, m], |t, x, y| t.b.and_not(x, y))
}

/// VORR (register); VMOV (register) where both operands are the same.
fn vorr(t: &mut Tx, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    same(t, q, [d, n, m], |t, x, y| if n == m { x } else { t.b.or(x, y) })
}

/// VORN.
fn vorn(t: &mut Tx, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    same(t, q, [d, n, m], |t, x, y| {
        let y = t.b.not(y);
        t.b.or(x, y)
    })
}

/// VEOR.
fn veor(t: &mut Tx, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    same(t, q, [d, n, m], |t, x, y| t.b.xor(x, y))
}

/// VBSL: the destination chooses.
fn vbsl(t: &mut Tx, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    accumulate(t, q, [d, n, m], |t, c, x, y| choose(t.b, c, x, y))
}

/// VBIT: insert where `m` is set.
fn vbit(t: &mut Tx, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    accumulate(t, q, [d, n, m], |t, c, x, y| choose(t.b, y, x, c))
}

/// VBIF: insert where `m` is clear.
fn vbif(t: &mut Tx, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    accumulate(t, q, [d, n, m], |t, c, x, y| choose(t.b, y, c, x))
}

/// VCLS.
fn vcls(t: &mut Tx, s: u32, q: u32, d: u32, m: u32) -> Option<()> {
    let e = lane(t, s, 2)?;
    two(t, q, [d, m], |t, x| int::leading_signs(t.b, e, x))
}

/// VCLZ.
fn vclz(t: &mut Tx, s: u32, q: u32, d: u32, m: u32) -> Option<()> {
    let e = lane(t, s, 2)?;
    two(t, q, [d, m], |t, x| int::leading_zeros(t.b, e, x))
}

/// VCNT: bytes only.
fn vcnt(t: &mut Tx, s: u32, q: u32, d: u32, m: u32) -> Option<()> {
    require(t, s == 0)?;
    two(t, q, [d, m], |t, x| t.b.vpopcnt(x))
}

/// VMVN (register).
fn vmvn_reg(t: &mut Tx, s: u32, q: u32, d: u32, m: u32) -> Option<()> {
    require(t, s == 0)?;
    two(t, q, [d, m], |t, x| t.b.not(x))
}
