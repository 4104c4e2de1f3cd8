//! Lanes copied: DUP, INS, SMOV, UMOV (Arm ARM DDI 0487, C4.1, "Advanced SIMD copy", "Advanced SIMD scalar copy").

use super::super::fp;
use super::super::tx::{Tx, width};
use super::operands::{SCALAR, element, lane_slot, require, set, ty};
use emu_ir::{Lane, insns};

insns! {
    /// In `i`, the lowest bit set tells the size, those above it the lane; `j` is the other lane, as far as it counts.
    COPY: Tx;
    "0q 0 01110000 iiiii 0 0000 1 nnnnn ddddd" => dup_element(q, i, n, d)
    "01 0 11110000 iiiii 0 0000 1 nnnnn ddddd" => dup_scalar(i, n, d)
    "0q 0 01110000 iiiii 0 0001 1 nnnnn ddddd" => dup_general(q, i, n, d)
    "0q 0 01110000 iiiii 0 0101 1 nnnnn ddddd" => smov(q, i, n, d)
    "0q 0 01110000 iiiii 0 0111 1 nnnnn ddddd" => umov(q, i, n, d)
    "01 0 01110000 iiiii 0 0011 1 nnnnn ddddd" => ins_general(i, n, d)
    "01 1 01110000 iiiii 0 jjjj 1 nnnnn ddddd" => ins_element(i, j, n, d)
}

/// The size and the lane that `i` tells.
fn lane_of(t: &mut Tx, i: u32) -> Option<(u32, u32)> {
    require(t, i & 15 != 0)?;
    let s = i.trailing_zeros();
    Some((s, i >> (s + 1)))
}

/// DUP (element).
fn dup_element(t: &mut Tx, q: u32, i: u32, n: u32, d: u32) -> Option<()> {
    let (s, i) = lane_of(t, i)?;
    require(t, q == 1 || s != 3)?;
    let e = Lane::int(s);
    let v = element(t, q, e, n, i);
    set(t, q, e, d, v);
    Some(())
}
/// DUP (element, scalar).
fn dup_scalar(t: &mut Tx, i: u32, n: u32, d: u32) -> Option<()> {
    let (s, i) = lane_of(t, i)?;
    let e = Lane::int(s);
    let v = element(t, SCALAR, e, n, i);
    fp::set(t, d, v);
    Some(())
}
/// DUP (general).
fn dup_general(t: &mut Tx, q: u32, i: u32, n: u32, d: u32) -> Option<()> {
    let (s, _) = lane_of(t, i)?;
    require(t, q == 1 || s != 3)?;
    let e = Lane::int(s);
    let x = t.x(n);
    let v = t.b.trunc(e.scalar(), x);
    let v = t.b.vdup(ty(q), e, v);
    set(t, q, e, d, v);
    Some(())
}
/// SMOV: to W`d` or (`q` = 1) X`d`.
fn smov(t: &mut Tx, q: u32, i: u32, n: u32, d: u32) -> Option<()> {
    let (s, i) = lane_of(t, i)?;
    require(t, s < 2 + q)?;
    let v = t.b.get(lane_slot(n, Lane::int(s), i));
    let v = t.b.sext(width(q), v);
    t.set(d, v);
    Some(())
}
/// UMOV: to W`d` or, of doublewords (`q` = 1), X`d`.
fn umov(t: &mut Tx, q: u32, i: u32, n: u32, d: u32) -> Option<()> {
    let (s, i) = lane_of(t, i)?;
    require(t, (s == 3) == (q == 1))?;
    let v = t.b.get(lane_slot(n, Lane::int(s), i));
    t.set(d, v);
    Some(())
}
/// INS (general).
fn ins_general(t: &mut Tx, i: u32, n: u32, d: u32) -> Option<()> {
    let (s, i) = lane_of(t, i)?;
    let (e, x) = (Lane::int(s), t.x(n));
    let v = t.b.trunc(e.scalar(), x);
    t.b.set(lane_slot(d, e, i), v);
    Some(())
}
/// INS (element): bits of `j` below the lane are ignored.
fn ins_element(t: &mut Tx, i: u32, j: u32, n: u32, d: u32) -> Option<()> {
    let (s, i) = lane_of(t, i)?;
    let e = Lane::int(s);
    let v = t.b.get(lane_slot(n, e, j >> s));
    t.b.set(lane_slot(d, e, i), v);
    Some(())
}
