//! VDUP of a scalar, VEXT, VTBL and VTBX (Arm ARM DDI 0406C, A7.4).

use super::operands::{enabled, reg, require, same};
use crate::state;
use crate::tx::Tx;
use crate::vector::{choose, every, int, zero};
use emu_ir::{Lane, Op, Slot, Ty, Val, insns};

insns! {
    /// From lane to lane.
    LANES: Tx;
    "1111 0010 1d11 nnnn dddd iiii Nqm0 mmmm" => vext(i, q, d, n, m)
    "1111 0011 1d11 nnnn dddd 10ll N0m0 mmmm" => vtbl(l, d, n, m)
    "1111 0011 1d11 nnnn dddd 10ll N1m0 mmmm" => vtbx(l, d, n, m)
    "1111 0011 1d11 iiii dddd 1100 0qm0 mmmm" => vdup(i, q, d, m)
}

/// VEXT: bytes from `i` on of `m`:`n`.
fn vext(t: &mut Tx, i: u32, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    require(t, q == 1 || i < 8)?;
    same(t, q, [d, n, m], |t, x, y| int::extract(t.b, x, y, i as usize))
}

/// VTBL: out of range gives zero.
fn vtbl(t: &mut Tx, l: u32, d: u32, n: u32, m: u32) -> Option<()> {
    let (found, _) = lookup(t, l, d, n, m)?;
    t.b.set(state::dv(d), found);
    Some(())
}

/// VTBX: out of range leaves the byte.
fn vtbx(t: &mut Tx, l: u32, d: u32, n: u32, m: u32) -> Option<()> {
    let (found, idx) = lookup(t, l, d, n, m)?;
    let end = every(t.b, Ty::V64, Lane::I8, u64::from(8 * (l + 1)));
    let inside = t.b.vgt_u(Lane::I8, end, idx);
    let old = t.b.get(state::dv(d));
    let r = choose(t.b, inside, found, old);
    t.b.set(state::dv(d), r);
    Some(())
}

/// The bytes looked up in the table of `l` + 1 registers from `n` on, and the indices.
fn lookup(t: &mut Tx, l: u32, d: u32, n: u32, m: u32) -> Option<(Val, Val)> {
    reg(t, 0, d)?;
    require(t, n + l < 32)?;
    let idx = t.b.get(state::dv(m));
    let low = table(t, n, l.min(1));
    let mut found = t.b.push(Ty::V64, Op::VLookup { a: low, idx });
    if l >= 2 {
        let high = table(t, n + 2, l - 2);
        let sixteen = every(t.b, Ty::V64, Lane::I8, 16);
        let rest = t.b.vsub(Lane::I8, idx, sixteen);
        let more = t.b.push(Ty::V64, Op::VLookup { a: high, idx: rest });
        found = t.b.or(found, more);
    }
    Some((found, idx))
}

/// Dn and (`more` = 1) the one after it as a table of 16 bytes.
fn table(t: &mut Tx, n: u32, more: u32) -> Val {
    let lo = t.b.get(state::dv(n));
    let hi = if more == 1 {
        t.b.get(state::dv(n + 1))
    } else {
        zero(t.b, Ty::V64)
    };
    t.b.vconcat(lo, hi)
}

/// VDUP (scalar): the lowest bit set of `i` tells the size, those above it the lane.
fn vdup(t: &mut Tx, i: u32, q: u32, d: u32, m: u32) -> Option<()> {
    enabled(t)?;
    require(t, i & 7 != 0)?;
    let s = i.trailing_zeros();
    let d = reg(t, q, d)?;
    let e = Lane::int(s);
    let from = Slot {
        ty: e.scalar(),
        ..state::dv(m)
    };
    let v = t.b.get(from.nth(i >> (s + 1)));
    let v = t.b.vdup(d.ty, e, v);
    t.b.set(d, v);
    Some(())
}
