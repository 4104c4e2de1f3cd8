//! Results of half the operands' width (Arm ARM DDI 0406C, A7.4 and A8.8): high halves, moves, shifts.

use super::operands::{lane, reg};
use crate::state::QC;
use crate::tx::Tx;
use crate::vector::narrow::{self, To};
use crate::vector::{shift_right, shift_right_rounded};
use emu_ir::{Builder, Lane, Val, insns};

insns! {
    /// A doubleword from quadwords. `l` is imm6 without its leading one, which tells the lane.
    NARROW: Tx;
    "1111 0010 1d0s nnnn dddd 0100 N0m0 mmmm" => vaddhn(s, d, n, m)
    "1111 0010 1d10 nnnn dddd 0100 N0m0 mmmm" => vaddhn({2}, d, n, m)
    "1111 0011 1d0s nnnn dddd 0100 N0m0 mmmm" => vraddhn(s, d, n, m)
    "1111 0011 1d10 nnnn dddd 0100 N0m0 mmmm" => vraddhn({2}, d, n, m)
    "1111 0010 1d0s nnnn dddd 0110 N0m0 mmmm" => vsubhn(s, d, n, m)
    "1111 0010 1d10 nnnn dddd 0110 N0m0 mmmm" => vsubhn({2}, d, n, m)
    "1111 0011 1d0s nnnn dddd 0110 N0m0 mmmm" => vrsubhn(s, d, n, m)
    "1111 0011 1d10 nnnn dddd 0110 N0m0 mmmm" => vrsubhn({2}, d, n, m)
    "1111 0011 1d11 ss10 dddd 0010 00m0 mmmm" => vmovn(s, d, m)
    "1111 0011 1d11 ss10 dddd 0010 01m0 mmmm" => vqmovun(s, d, m)
    "1111 0011 1d11 ss10 dddd 0010 1um0 mmmm" => vqmovn(u, s, d, m)
    "1111 0010 1d00 1lll dddd 1000 00m1 mmmm" => vshrn({0}, l, d, m)
    "1111 0010 1d01 llll dddd 1000 00m1 mmmm" => vshrn({1}, l, d, m)
    "1111 0010 1d1l llll dddd 1000 00m1 mmmm" => vshrn({2}, l, d, m)
    "1111 0010 1d00 1lll dddd 1000 01m1 mmmm" => vrshrn({0}, l, d, m)
    "1111 0010 1d01 llll dddd 1000 01m1 mmmm" => vrshrn({1}, l, d, m)
    "1111 0010 1d1l llll dddd 1000 01m1 mmmm" => vrshrn({2}, l, d, m)
    "1111 0011 1d00 1lll dddd 1000 00m1 mmmm" => vqshrun({0}, l, d, m)
    "1111 0011 1d01 llll dddd 1000 00m1 mmmm" => vqshrun({1}, l, d, m)
    "1111 0011 1d1l llll dddd 1000 00m1 mmmm" => vqshrun({2}, l, d, m)
    "1111 0011 1d00 1lll dddd 1000 01m1 mmmm" => vqrshrun({0}, l, d, m)
    "1111 0011 1d01 llll dddd 1000 01m1 mmmm" => vqrshrun({1}, l, d, m)
    "1111 0011 1d1l llll dddd 1000 01m1 mmmm" => vqrshrun({2}, l, d, m)
    "1111 001u 1d00 1lll dddd 1001 00m1 mmmm" => vqshrn(u, {0}, l, d, m)
    "1111 001u 1d01 llll dddd 1001 00m1 mmmm" => vqshrn(u, {1}, l, d, m)
    "1111 001u 1d1l llll dddd 1001 00m1 mmmm" => vqshrn(u, {2}, l, d, m)
    "1111 001u 1d00 1lll dddd 1001 01m1 mmmm" => vqrshrn(u, {0}, l, d, m)
    "1111 001u 1d01 llll dddd 1001 01m1 mmmm" => vqrshrn(u, {1}, l, d, m)
    "1111 001u 1d1l llll dddd 1001 01m1 mmmm" => vqrshrn(u, {2}, l, d, m)
}

/// `d` = the high halves of `f(n, m)`, quadwords; `e` is the narrow lane.
fn high(
    t: &mut Tx,
    s: u32,
    [d, n, m]: [u32; 3],
    f: fn(&mut Builder, Lane, Val, Val) -> Val,
    round: bool,
) -> Option<()> {
    let e = lane(t, s, 2)?;
    let (d, n, m) = (reg(t, 0, d)?, reg(t, 1, n)?, reg(t, 1, m)?);
    let (a, b) = (t.b.get(n), t.b.get(m));
    let wide = f(t.b, e.wider(), a, b);
    let r = if round {
        narrow::high_rounded(t.b, e, wide)
    } else {
        narrow::high(t.b, e, wide)
    };
    t.b.set(d, r);
    Some(())
}

/// VADDHN.
fn vaddhn(t: &mut Tx, s: u32, d: u32, n: u32, m: u32) -> Option<()> {
    high(t, s, [d, n, m], Builder::vadd, false)
}

/// VRADDHN.
fn vraddhn(t: &mut Tx, s: u32, d: u32, n: u32, m: u32) -> Option<()> {
    high(t, s, [d, n, m], Builder::vadd, true)
}

/// VSUBHN.
fn vsubhn(t: &mut Tx, s: u32, d: u32, n: u32, m: u32) -> Option<()> {
    high(t, s, [d, n, m], Builder::vsub, false)
}

/// VRSUBHN.
fn vrsubhn(t: &mut Tx, s: u32, d: u32, n: u32, m: u32) -> Option<()> {
    high(t, s, [d, n, m], Builder::vsub, true)
}

/// A narrowing move.
fn moved(t: &mut Tx, to: To, s: u32, d: u32, m: u32) -> Option<()> {
    let e = lane(t, s, 2)?;
    let (d, m) = (reg(t, 0, d)?, reg(t, 1, m)?);
    let a = t.b.get(m);
    let r = narrow::narrow(t.b, QC, to, e, a);
    t.b.set(d, r);
    Some(())
}

/// VMOVN.
fn vmovn(t: &mut Tx, s: u32, d: u32, m: u32) -> Option<()> {
    moved(t, To::Low, s, d, m)
}

/// VQMOVUN.
fn vqmovun(t: &mut Tx, s: u32, d: u32, m: u32) -> Option<()> {
    moved(t, To::SignedToUnsigned, s, d, m)
}

/// VQMOVN.
fn vqmovn(t: &mut Tx, u: u32, s: u32, d: u32, m: u32) -> Option<()> {
    moved(t, if u == 1 { To::Unsigned } else { To::Signed }, s, d, m)
}

/// A narrowing shift right by 1 to the narrow width `8 << s`, less `l`.
fn shifted(t: &mut Tx, (to, round): (To, bool), s: u32, l: u32, d: u32, m: u32) -> Option<()> {
    let e = Lane::int(s);
    let n = (e.bits() - l) as u8;
    let (d, m) = (reg(t, 0, d)?, reg(t, 1, m)?);
    let (a, u) = (t.b.get(m), u32::from(matches!(to, To::Low | To::Unsigned)));
    let shift = if round { shift_right_rounded } else { shift_right };
    let wide = shift(t.b, u, e.wider(), a, n);
    let r = narrow::narrow(t.b, QC, to, e, wide);
    t.b.set(d, r);
    Some(())
}

/// VSHRN.
fn vshrn(t: &mut Tx, s: u32, l: u32, d: u32, m: u32) -> Option<()> {
    shifted(t, (To::Low, false), s, l, d, m)
}

/// VRSHRN.
fn vrshrn(t: &mut Tx, s: u32, l: u32, d: u32, m: u32) -> Option<()> {
    shifted(t, (To::Low, true), s, l, d, m)
}

/// VQSHRUN.
fn vqshrun(t: &mut Tx, s: u32, l: u32, d: u32, m: u32) -> Option<()> {
    shifted(t, (To::SignedToUnsigned, false), s, l, d, m)
}

/// VQRSHRUN.
fn vqrshrun(t: &mut Tx, s: u32, l: u32, d: u32, m: u32) -> Option<()> {
    shifted(t, (To::SignedToUnsigned, true), s, l, d, m)
}

/// VQSHRN.
fn vqshrn(t: &mut Tx, u: u32, s: u32, l: u32, d: u32, m: u32) -> Option<()> {
    shifted(t, (if u == 1 { To::Unsigned } else { To::Signed }, false), s, l, d, m)
}

/// VQRSHRN.
fn vqrshrn(t: &mut Tx, u: u32, s: u32, l: u32, d: u32, m: u32) -> Option<()> {
    shifted(t, (if u == 1 { To::Unsigned } else { To::Signed }, true), s, l, d, m)
}
