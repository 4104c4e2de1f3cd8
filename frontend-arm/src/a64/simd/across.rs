//! All lanes of a vector, and pairs of lanes, as one: integers (Arm ARM DDI 0487, C4.1, "Advanced SIMD across lanes",
//! "Advanced SIMD scalar pairwise").

use super::super::fp;
use super::super::tx::Tx;
use super::operands::{SCALAR, get, halves, require, set};
use crate::vector::widen;
use emu_ir::{Builder, Lane, Ty, Val, insns};

insns! {
    /// Lane by lane.
    INTEGER: Tx;
    "0q 0 01110 ss 11000 00011 10 nnnnn ddddd" => saddlv(q, s, n, d)
    "0q 1 01110 ss 11000 00011 10 nnnnn ddddd" => uaddlv(q, s, n, d)
    "0q 0 01110 ss 11000 01010 10 nnnnn ddddd" => smaxv(q, s, n, d)
    "0q 1 01110 ss 11000 01010 10 nnnnn ddddd" => umaxv(q, s, n, d)
    "0q 0 01110 ss 11000 11010 10 nnnnn ddddd" => sminv(q, s, n, d)
    "0q 1 01110 ss 11000 11010 10 nnnnn ddddd" => uminv(q, s, n, d)
    "0q 0 01110 ss 11000 11011 10 nnnnn ddddd" => addv(q, s, n, d)
    "01 0 11110 11 11000 11011 10 nnnnn ddddd" => addp_scalar(n, d)
}

/// There are at least four lanes, of at most 32 bits.
fn lane(t: &mut Tx, q: u32, s: u32) -> Option<Lane> {
    require(t, s < 2 || s == 2 && q == 1)?;
    Some(Lane::int(s))
}

/// `f` of all lanes: of the halves, of their halves, and so on; in the lowest lane.
fn folded(b: &mut Builder, e: Lane, v: Val, f: impl Fn(&mut Builder, Val, Val) -> Val) -> Val {
    let (mut bytes, mut v) = (8, v);
    if b.ty(v) == Ty::V128 {
        let (low, high) = (b.vhalf(v, false), b.vhalf(v, true));
        v = f(b, low, high);
    }
    while bytes > e.bits() / 8 {
        bytes /= 2;
        let upper = b.vperm(v, v, std::array::from_fn(|k| (k as u8 + bytes as u8) & 7));
        v = f(b, v, upper);
    }
    v
}

macro_rules! across {
    ($( $name:ident $f:expr, $doc:literal; )*) => { $(
        #[doc = $doc]
        fn $name(t: &mut Tx, q: u32, s: u32, n: u32, d: u32) -> Option<()> {
            let e = lane(t, q, s)?;
            let x = get(t, q, e, n);
            let v = folded(t.b, e, x, |b, x, y| $f(b, e, x, y));
            set(t, SCALAR, e, d, v);
            Some(())
        }
    )* };
}
across! {
    smaxv Builder::vmax_s, "SMAXV.";
    umaxv Builder::vmax_u, "UMAXV.";
    sminv Builder::vmin_s, "SMINV.";
    uminv Builder::vmin_u, "UMINV.";
    addv Builder::vadd, "ADDV.";
}

/// The sum of all lanes, at twice the width.
fn long_sum(t: &mut Tx, u: u32, [q, s]: [u32; 2], [n, d]: [u32; 2]) -> Option<()> {
    let e = lane(t, q, s)?;
    let (x, w) = (get(t, q, e, n), e.wider());
    let wide = if q == 1 {
        let [low, high] = halves(t, x).map(|v| widen(t.b, u, e, v));
        t.b.vadd(w, low, high)
    } else {
        widen(t.b, u, e, x)
    };
    let v = folded(t.b, w, wide, |b, x, y| b.vadd(w, x, y));
    set(t, SCALAR, w, d, v);
    Some(())
}
/// SADDLV.
fn saddlv(t: &mut Tx, q: u32, s: u32, n: u32, d: u32) -> Option<()> {
    long_sum(t, 0, [q, s], [n, d])
}
/// UADDLV.
fn uaddlv(t: &mut Tx, q: u32, s: u32, n: u32, d: u32) -> Option<()> {
    long_sum(t, 1, [q, s], [n, d])
}

/// ADDP (scalar).
fn addp_scalar(t: &mut Tx, n: u32, d: u32) {
    let x = get(t, 1, Lane::I64, n);
    let [low, high] = halves(t, x);
    let v = t.b.vadd(Lane::I64, low, high);
    fp::set(t, d, v);
}
