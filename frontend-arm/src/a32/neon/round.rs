//! What Armv8 adds of floating point, lane by lane: integral numbers, conversions by rounding mode, numbers rather than NaNs
//! (Arm ARM DDI 0487, F4.1, "Advanced SIMD two registers misc", "three registers of the same length").

use super::operands::{same, two};
use crate::features::Feature;
use crate::tx::Tx;
use crate::vector::float::{max_number, min_number};
use emu_ir::{Fenv, Lane, Op, Round, insns};

insns! {
    /// Lanes of F32; `r` is the rounding mode.
    SINGLES: Tx, needs Feature::A32V8;
    "1111 0011 0d00 nnnn dddd 1111 Nqm1 mmmm" => vmaxnm({S}, q, d, n, m)
    "1111 0011 0d10 nnnn dddd 1111 Nqm1 mmmm" => vminnm({S}, q, d, n, m)
    "1111 0011 1d11 1010 dddd 0100 0qm0 mmmm" => vrintn({S}, q, d, m)
    "1111 0011 1d11 1010 dddd 0100 1qm0 mmmm" => vrintx({S}, q, d, m)
    "1111 0011 1d11 1010 dddd 0101 0qm0 mmmm" => vrinta({S}, q, d, m)
    "1111 0011 1d11 1010 dddd 0101 1qm0 mmmm" => vrintz({S}, q, d, m)
    "1111 0011 1d11 1010 dddd 0110 1qm0 mmmm" => vrintm({S}, q, d, m)
    "1111 0011 1d11 1010 dddd 0111 1qm0 mmmm" => vrintp({S}, q, d, m)
    "1111 0011 1d11 1011 dddd 0000 uqm0 mmmm" => vcvta({S}, u, q, d, m)
    "1111 0011 1d11 1011 dddd 0001 uqm0 mmmm" => vcvtn({S}, u, q, d, m)
    "1111 0011 1d11 1011 dddd 0010 uqm0 mmmm" => vcvtp({S}, u, q, d, m)
    "1111 0011 1d11 1011 dddd 0011 uqm0 mmmm" => vcvtm({S}, u, q, d, m)
}

insns! {
    /// Lanes of F16.
    HALVES: Tx, needs Feature::Fp16;
    "1111 0011 0d01 nnnn dddd 1111 Nqm1 mmmm" => vmaxnm({H}, q, d, n, m)
    "1111 0011 0d11 nnnn dddd 1111 Nqm1 mmmm" => vminnm({H}, q, d, n, m)
    "1111 0011 1d11 0110 dddd 0100 0qm0 mmmm" => vrintn({H}, q, d, m)
    "1111 0011 1d11 0110 dddd 0100 1qm0 mmmm" => vrintx({H}, q, d, m)
    "1111 0011 1d11 0110 dddd 0101 0qm0 mmmm" => vrinta({H}, q, d, m)
    "1111 0011 1d11 0110 dddd 0101 1qm0 mmmm" => vrintz({H}, q, d, m)
    "1111 0011 1d11 0110 dddd 0110 1qm0 mmmm" => vrintm({H}, q, d, m)
    "1111 0011 1d11 0110 dddd 0111 1qm0 mmmm" => vrintp({H}, q, d, m)
    "1111 0011 1d11 0111 dddd 0000 uqm0 mmmm" => vcvta({H}, u, q, d, m)
    "1111 0011 1d11 0111 dddd 0001 uqm0 mmmm" => vcvtn({H}, u, q, d, m)
    "1111 0011 1d11 0111 dddd 0010 uqm0 mmmm" => vcvtp({H}, u, q, d, m)
    "1111 0011 1d11 0111 dddd 0011 uqm0 mmmm" => vcvtm({H}, u, q, d, m)
}

const S: Lane = Lane::F32;
const H: Lane = Lane::F16;

/// VMAXNM.
fn vmaxnm(t: &mut Tx, e: Lane, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    let env = t.standard(e);
    same(t, q, [d, n, m], |t, x, y| max_number(t.b, e, x, y, env))
}
/// VMINNM.
fn vminnm(t: &mut Tx, e: Lane, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    let env = t.standard(e);
    same(t, q, [d, n, m], |t, x, y| min_number(t.b, e, x, y, env))
}

macro_rules! integral {
    ($( $name:ident $round:ident $inexact:literal $doc:literal; )*) => { $(
        #[doc = $doc]
        fn $name(t: &mut Tx, e: Lane, q: u32, d: u32, m: u32) -> Option<()> {
            let env = Fenv { round: Round::$round, flag: $inexact, ..t.standard(e) };
            two(t, q, [d, m], |t, x| t.b.vfround(e, x, env))
        }
    )* };
}
integral! {
    vrintn Nearest false "VRINTN.";
    vrintx Nearest true "VRINTX: it tells what is inexact.";
    vrinta Away false "VRINTA.";
    vrintz Zero false "VRINTZ.";
    vrintm Down false "VRINTM.";
    vrintp Up false "VRINTP.";
}

macro_rules! to_integers {
    ($( $name:ident $round:ident $doc:literal; )*) => { $(
        #[doc = $doc]
        fn $name(t: &mut Tx, e: Lane, u: u32, q: u32, d: u32, m: u32) -> Option<()> {
            let env = Fenv { round: Round::$round, flag: true, ..t.standard(e) };
            two(t, q, [d, m], |t, a| {
                let (ty, frac) = (t.b.ty(a), 0);
                let op = if u == 1 { Op::VFToU { a, frac, e, env } } else { Op::VFToS { a, frac, e, env } };
                t.b.push(ty, op)
            })
        }
    )* };
}
to_integers! {
    vcvta Away "VCVTA.";
    vcvtn Nearest "VCVTN.";
    vcvtp Up "VCVTP.";
    vcvtm Down "VCVTM.";
}
