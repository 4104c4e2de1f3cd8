//! Numbers brought to the size of an integer: FRINTTS and FJCVTZS (Arm ARM DDI 0487, C4.1, "Floating-point data-processing (1
//! source)", "Conversion between floating-point and integer").

use super::super::calls;
use super::super::features::Feature;
use super::super::state;
use super::super::state::mode;
use super::super::tx::Tx;
use super::arithmetic::get;
use super::convert::rounding;
use super::{float, set};
use emu_ir::{Builder, Fenv, Op, Round, Ty, Val, insns};

insns! {
    /// To integral numbers that an integer of 32 or 64 bits holds.
    ROUND: Tx, needs Feature::FrintTs;
    "000 11110 0z 1 010000 10000 nnnnn ddddd" => frint32z(z, n, d)
    "000 11110 0z 1 010001 10000 nnnnn ddddd" => frint32x(z, n, d)
    "000 11110 0z 1 010010 10000 nnnnn ddddd" => frint64z(z, n, d)
    "000 11110 0z 1 010011 10000 nnnnn ddddd" => frint64x(z, n, d)
}

insns! {
    /// As JavaScript converts.
    JAVASCRIPT: Tx, needs Feature::JsCvt;
    "000 11110 01 1 11 110 000000 nnnnn ddddd" => fjcvtzs(n, d)
}

/// FPRoundIntN: what an integer of so many bits does not hold is invalid and becomes the least.
pub fn rounded(b: &mut Builder, a: Val, env: Fenv, bits: u32) -> Val {
    let ty = b.ty(a);
    let power = match ty {
        Ty::F32 => u64::from((127 + bits - 1) << 23),
        _ => u64::from(1023 + bits - 1) << 52,
    };
    let sign = 1 << (ty.bits() - 1);
    let [none, limit, least] = [0, power, power | sign].map(|v| b.imm(ty, v));
    let quiet = Fenv { flag: false, ..env };
    let v = b.fround(a, quiet);
    let (below, above) = (
        b.flt(v, limit, quiet),
        b.push(
            ty,
            Op::FLe {
                a: least,
                b: v,
                env: quiet,
            },
        ),
    );
    let fits = b.and(below, above);
    // Inexact where it fits, else invalid, which a conversion says.
    let (number, other) = (b.select(fits, a, none), b.select(fits, none, v));
    let int = if bits == 32 { Ty::I32 } else { Ty::I64 };
    b.push(
        int,
        Op::FToS {
            a: other,
            frac: 0,
            env: quiet,
        },
    );
    let v = b.fround(number, Fenv { flag: true, ..env });
    b.select(fits, v, least)
}

macro_rules! rounds {
    ($( $name:ident $bits:literal $round:ident $doc:literal; )*) => { $(
        #[doc = $doc]
        fn $name(t: &mut Tx, z: u32, n: u32, d: u32) {
            let (a, env) = (get(t, z, n), rounding(t, Round::$round, true));
            let v = rounded(t.b, a, env, $bits);
            set(t, d, v);
        }
    )* };
}
rounds! {
    frint32z 32 Zero "FRINT32Z (scalar).";
    frint32x 32 Current "FRINT32X (scalar).";
    frint64z 64 Zero "FRINT64Z (scalar).";
    frint64x 64 Current "FRINT64X (scalar).";
}

/// FJCVTZS: Z tells whether the number was an integer of 32 bits.
fn fjcvtzs(t: &mut Tx, n: u32, d: u32) {
    let (a, flush) = (t.b.get(state::v(n, float(1))), t.b.i32(t.mode & mode::FZ));
    let v = t.b.call(Ty::I64, calls::FJCVTZS, &[a, flush]);
    let (low, z, none) = (t.b.trunc(Ty::I32, v), t.bit(v, 32), t.b.bool(false));
    t.set(d, low);
    t.flags.set_all(t.b, [none, z, none, none]);
}
