//! Addition, subtraction, comparison, minimum, maximum and absolute difference of integers (Arm ARM DDI 0406C, A7.4).

use super::operands::{accumulate, lane, same, two};
use crate::tx::Tx;
use crate::vector::{int, zero};
use emu_ir::{Builder, Lane, Val, insns};

insns! {
    /// Lane by lane, results of the operands' width.
    INT: Tx;
    "1111 001u 0dss nnnn dddd 0000 Nqm0 mmmm" => vhadd(u, s, q, d, n, m)
    "1111 001u 0dss nnnn dddd 0001 Nqm0 mmmm" => vrhadd(u, s, q, d, n, m)
    "1111 001u 0dss nnnn dddd 0010 Nqm0 mmmm" => vhsub(u, s, q, d, n, m)
    "1111 001u 0dss nnnn dddd 0011 Nqm0 mmmm" => vcgt(u, s, q, d, n, m)
    "1111 001u 0dss nnnn dddd 0011 Nqm1 mmmm" => vcge(u, s, q, d, n, m)
    "1111 001u 0dss nnnn dddd 0110 Nqm0 mmmm" => vmax(u, s, q, d, n, m)
    "1111 001u 0dss nnnn dddd 0110 Nqm1 mmmm" => vmin(u, s, q, d, n, m)
    "1111 001u 0dss nnnn dddd 0111 Nqm0 mmmm" => vabd(u, s, q, d, n, m)
    "1111 001u 0dss nnnn dddd 0111 Nqm1 mmmm" => vaba(u, s, q, d, n, m)
    "1111 0010 0dss nnnn dddd 1000 Nqm0 mmmm" => vadd(s, q, d, n, m)
    "1111 0011 0dss nnnn dddd 1000 Nqm0 mmmm" => vsub(s, q, d, n, m)
    "1111 0010 0dss nnnn dddd 1000 Nqm1 mmmm" => vtst(s, q, d, n, m)
    "1111 0011 0dss nnnn dddd 1000 Nqm1 mmmm" => vceq(s, q, d, n, m)
    "1111 001u 0dss nnnn dddd 1010 N0m0 mmmm" => vpmax(u, s, d, n, m)
    "1111 001u 0dss nnnn dddd 1010 N0m1 mmmm" => vpmin(u, s, d, n, m)
    "1111 0010 0dss nnnn dddd 1011 N0m1 mmmm" => vpadd(s, d, n, m)
    "1111 0011 1d11 ss00 dddd 0010 uqm0 mmmm" => vpaddl(u, s, q, d, m)
    "1111 0011 1d11 ss00 dddd 0110 uqm0 mmmm" => vpadal(u, s, q, d, m)
    "1111 0011 1d11 ss01 dddd 0000 0qm0 mmmm" => vcgt_zero(s, q, d, m)
    "1111 0011 1d11 ss01 dddd 0000 1qm0 mmmm" => vcge_zero(s, q, d, m)
    "1111 0011 1d11 ss01 dddd 0001 0qm0 mmmm" => vceq_zero(s, q, d, m)
    "1111 0011 1d11 ss01 dddd 0001 1qm0 mmmm" => vcle_zero(s, q, d, m)
    "1111 0011 1d11 ss01 dddd 0010 0qm0 mmmm" => vclt_zero(s, q, d, m)
    "1111 0011 1d11 ss01 dddd 0011 0qm0 mmmm" => vabs(s, q, d, m)
    "1111 0011 1d11 ss01 dddd 0011 1qm0 mmmm" => vneg(s, q, d, m)
}

/// `d = f(n, m)` of signed or (`u` = 1) unsigned lanes of 8 to 32 bits.
fn by_sign(
    t: &mut Tx,
    [u, s, q]: [u32; 3],
    r: [u32; 3],
    f: fn(&mut Builder, u32, Lane, Val, Val) -> Val,
) -> Option<()> {
    let e = lane(t, s, 2)?;
    same(t, q, r, |t, x, y| f(t.b, u, e, x, y))
}

macro_rules! by_signs {
    ($( $name:ident $f:ident $doc:literal; )*) => { $(
        #[doc = $doc]
        fn $name(t: &mut Tx, u: u32, s: u32, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
            by_sign(t, [u, s, q], [d, n, m], int::$f)
        }
    )* };
}
by_signs! {
    vhadd halving_add "VHADD.";
    vrhadd halving_add_rounded "VRHADD.";
    vhsub halving_subtract "VHSUB.";
    vcgt greater "VCGT (register).";
    vcge greater_or_equal "VCGE (register).";
    vmax max "VMAX.";
    vmin min "VMIN.";
    vabd difference "VABD.";
}

/// VABA.
fn vaba(t: &mut Tx, u: u32, s: u32, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    let e = lane(t, s, 2)?;
    accumulate(t, q, [d, n, m], |t, c, x, y| {
        int::difference_accumulated(t.b, u, e, c, x, y)
    })
}

/// VADD.
fn vadd(t: &mut Tx, s: u32, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    same(t, q, [d, n, m], |t, x, y| t.b.vadd(Lane::int(s), x, y))
}

/// VSUB.
fn vsub(t: &mut Tx, s: u32, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    same(t, q, [d, n, m], |t, x, y| t.b.vsub(Lane::int(s), x, y))
}

/// VTST.
fn vtst(t: &mut Tx, s: u32, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    let e = lane(t, s, 2)?;
    same(t, q, [d, n, m], |t, x, y| int::test(t.b, e, x, y))
}

/// VCEQ (register).
fn vceq(t: &mut Tx, s: u32, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    let e = lane(t, s, 2)?;
    same(t, q, [d, n, m], |t, x, y| t.b.veq(e, x, y))
}

/// `d = f` of the even and the odd lanes of `m`:`n`.
fn pairwise(t: &mut Tx, s: u32, r: [u32; 3], f: impl FnOnce(&mut Builder, Lane, Val, Val) -> Val) -> Option<()> {
    let e = lane(t, s, 2)?;
    same(t, 0, r, |t, x, y| {
        let (x, y) = int::pairs(t.b, e, x, y);
        f(t.b, e, x, y)
    })
}

/// VPMAX.
fn vpmax(t: &mut Tx, u: u32, s: u32, d: u32, n: u32, m: u32) -> Option<()> {
    pairwise(t, s, [d, n, m], |b, e, x, y| int::max(b, u, e, x, y))
}

/// VPMIN.
fn vpmin(t: &mut Tx, u: u32, s: u32, d: u32, n: u32, m: u32) -> Option<()> {
    pairwise(t, s, [d, n, m], |b, e, x, y| int::min(b, u, e, x, y))
}

/// VPADD.
fn vpadd(t: &mut Tx, s: u32, d: u32, n: u32, m: u32) -> Option<()> {
    pairwise(t, s, [d, n, m], Builder::vadd)
}

/// VPADDL.
fn vpaddl(t: &mut Tx, u: u32, s: u32, q: u32, d: u32, m: u32) -> Option<()> {
    let e = lane(t, s, 2)?;
    two(t, q, [d, m], |t, x| int::long_pairs(t.b, u, e, x))
}

/// VPADAL.
fn vpadal(t: &mut Tx, u: u32, s: u32, q: u32, d: u32, m: u32) -> Option<()> {
    let e = lane(t, s, 2)?;
    accumulate(t, q, [d, d, m], |t, c, _, x| {
        let sum = int::long_pairs(t.b, u, e, x);
        t.b.vadd(e.wider(), c, sum)
    })
}

/// `d = f(m, 0)`.
fn with_zero(t: &mut Tx, s: u32, q: u32, r: [u32; 2], f: fn(&mut Builder, Lane, Val, Val) -> Val) -> Option<()> {
    let e = lane(t, s, 2)?;
    two(t, q, r, |t, x| {
        let none = zero(t.b, t.b.ty(x));
        f(t.b, e, x, none)
    })
}

/// VCGT (immediate #0).
fn vcgt_zero(t: &mut Tx, s: u32, q: u32, d: u32, m: u32) -> Option<()> {
    with_zero(t, s, q, [d, m], Builder::vgt_s)
}

/// VCGE (immediate #0).
fn vcge_zero(t: &mut Tx, s: u32, q: u32, d: u32, m: u32) -> Option<()> {
    with_zero(t, s, q, [d, m], |b, e, x, none| int::greater_or_equal(b, 0, e, x, none))
}

/// VCEQ (immediate #0).
fn vceq_zero(t: &mut Tx, s: u32, q: u32, d: u32, m: u32) -> Option<()> {
    with_zero(t, s, q, [d, m], Builder::veq)
}

/// VCLE (immediate #0).
fn vcle_zero(t: &mut Tx, s: u32, q: u32, d: u32, m: u32) -> Option<()> {
    with_zero(t, s, q, [d, m], |b, e, x, none| int::greater_or_equal(b, 0, e, none, x))
}

/// VCLT (immediate #0).
fn vclt_zero(t: &mut Tx, s: u32, q: u32, d: u32, m: u32) -> Option<()> {
    with_zero(t, s, q, [d, m], |b, e, x, none| b.vgt_s(e, none, x))
}

/// VABS.
fn vabs(t: &mut Tx, s: u32, q: u32, d: u32, m: u32) -> Option<()> {
    let e = lane(t, s, 2)?;
    two(t, q, [d, m], |t, x| int::absolute(t.b, e, x))
}

/// VNEG.
fn vneg(t: &mut Tx, s: u32, q: u32, d: u32, m: u32) -> Option<()> {
    let e = lane(t, s, 2)?;
    two(t, q, [d, m], |t, x| int::negated(t.b, e, x))
}
