//! VREV, VTRN, VUZP, VZIP and VSWP (Arm ARM DDI 0406C, A7.4).

use super::operands::{reg, require, two};
use crate::tx::Tx;
use crate::vector::int;
use emu_ir::{Lane, insns};

insns! {
    /// Lanes change places.
    PERMUTE: Tx;
    "1111 0011 1d11 ss00 dddd 0000 0qm0 mmmm" => vrev64(s, q, d, m)
    "1111 0011 1d11 ss00 dddd 0000 1qm0 mmmm" => vrev32(s, q, d, m)
    "1111 0011 1d11 ss00 dddd 0001 0qm0 mmmm" => vrev16(s, q, d, m)
    "1111 0011 1d11 ss10 dddd 0000 0qm0 mmmm" => vswp(s, q, d, m)
    "1111 0011 1d11 ss10 dddd 0000 1qm0 mmmm" => vtrn(s, q, d, m)
    "1111 0011 1d11 ss10 dddd 0001 0qm0 mmmm" => vuzp(s, q, d, m)
    "1111 0011 1d11 ss10 dddd 0001 1qm0 mmmm" => vzip(s, q, d, m)
}

/// Lanes of `1 << s` bytes reversed within groups of `1 << group` bytes.
fn reversed(t: &mut Tx, s: u32, group: u32, q: u32, d: u32, m: u32) -> Option<()> {
    require(t, s < group)?;
    two(t, q, [d, m], |t, x| int::reversed(t.b, s, group, x))
}

/// VREV64.
fn vrev64(t: &mut Tx, s: u32, q: u32, d: u32, m: u32) -> Option<()> {
    reversed(t, s, 3, q, d, m)
}

/// VREV32.
fn vrev32(t: &mut Tx, s: u32, q: u32, d: u32, m: u32) -> Option<()> {
    reversed(t, s, 2, q, d, m)
}

/// VREV16.
fn vrev16(t: &mut Tx, s: u32, q: u32, d: u32, m: u32) -> Option<()> {
    reversed(t, s, 1, q, d, m)
}

/// Both registers anew from both: `pick(k, lanes, upper)` tells which lane of `d` (below `lanes`) or `m` (from there on)
/// goes to lane `k` of `d` or (`upper`) of `m`.
fn exchange(t: &mut Tx, s: u32, q: u32, [d, m]: [u32; 2], pick: fn(usize, usize, bool) -> usize) -> Option<()> {
    let (d, m) = (reg(t, q, d)?, reg(t, q, m)?);
    let (x, y) = (t.b.get(d), t.b.get(m));
    let e = Lane::int(s);
    let [low, high] = [false, true].map(|upper| int::pick(t.b, e, x, y, |k, lanes| pick(k, lanes, upper)));
    t.b.set(d, low);
    t.b.set(m, high);
    Some(())
}

/// VSWP.
fn vswp(t: &mut Tx, s: u32, q: u32, d: u32, m: u32) -> Option<()> {
    require(t, s == 0)?;
    let (d, m) = (reg(t, q, d)?, reg(t, q, m)?);
    let (x, y) = (t.b.get(d), t.b.get(m));
    t.b.set(d, y);
    t.b.set(m, x);
    Some(())
}

/// VTRN: odd lanes of `d` change places with even ones of `m`.
fn vtrn(t: &mut Tx, s: u32, q: u32, d: u32, m: u32) -> Option<()> {
    require(t, s != 3)?;
    exchange(t, s, q, [d, m], |k, lanes, upper| {
        let from = k & !1 | usize::from(upper);
        if k & 1 == 0 { from } else { lanes + from }
    })
}

/// VUZP: even lanes of `m`:`d` to `d`, odd ones to `m`.
fn vuzp(t: &mut Tx, s: u32, q: u32, d: u32, m: u32) -> Option<()> {
    require(t, s + 1 < 3 + q)?;
    exchange(t, s, q, [d, m], |k, _, upper| 2 * k + usize::from(upper))
}

/// VZIP: lanes of `d` and `m` in turn, the low half to `d`.
fn vzip(t: &mut Tx, s: u32, q: u32, d: u32, m: u32) -> Option<()> {
    require(t, s + 1 < 3 + q)?;
    exchange(t, s, q, [d, m], |k, lanes, upper| {
        let k = if upper { k + lanes } else { k };
        k / 2 + k % 2 * lanes
    })
}
