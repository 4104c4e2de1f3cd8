//! Scalar conversions (Arm ARM DDI 0487, C4.1, "Conversion between floating-point and integer", "and fixed-point",
//! "Floating-point data-processing (1 source)").

use super::super::state::{self, mode};
use super::super::tx::{Tx, width};
use super::arithmetic::get;
use super::{float, set};
use emu_ir::{Fenv, Op, Round, Slot, Ty, Val, insns};

insns! {
    /// Between precisions: half is 3.
    PRECISION: Tx;
    "000 11110 00 1 000101 10000 nnnnn ddddd" => fcvt(0, 1, n, d)
    "000 11110 00 1 000111 10000 nnnnn ddddd" => fcvt(0, 3, n, d)
    "000 11110 01 1 000100 10000 nnnnn ddddd" => fcvt(1, 0, n, d)
    "000 11110 01 1 000111 10000 nnnnn ddddd" => fcvt(1, 3, n, d)
    "000 11110 11 1 000100 10000 nnnnn ddddd" => fcvt(3, 0, n, d)
    "000 11110 11 1 000101 10000 nnnnn ddddd" => fcvt(3, 1, n, d)
}

insns! {
    /// With integers: `s` is 1 for an X register.
    INTEGER: Tx;
    "s00 11110 0z 1 00 000 000000 nnnnn ddddd" => fcvtns(s, z, n, d)
    "s00 11110 0z 1 00 001 000000 nnnnn ddddd" => fcvtnu(s, z, n, d)
    "s00 11110 0z 1 00 010 000000 nnnnn ddddd" => scvtf_int(s, z, n, d)
    "s00 11110 0z 1 00 011 000000 nnnnn ddddd" => ucvtf_int(s, z, n, d)
    "s00 11110 0z 1 00 100 000000 nnnnn ddddd" => fcvtas(s, z, n, d)
    "s00 11110 0z 1 00 101 000000 nnnnn ddddd" => fcvtau(s, z, n, d)
    "s00 11110 0z 1 01 000 000000 nnnnn ddddd" => fcvtps(s, z, n, d)
    "s00 11110 0z 1 01 001 000000 nnnnn ddddd" => fcvtpu(s, z, n, d)
    "s00 11110 0z 1 10 000 000000 nnnnn ddddd" => fcvtms(s, z, n, d)
    "s00 11110 0z 1 10 001 000000 nnnnn ddddd" => fcvtmu(s, z, n, d)
    "s00 11110 0z 1 11 000 000000 nnnnn ddddd" => fcvtzs_int(s, z, n, d)
    "s00 11110 0z 1 11 001 000000 nnnnn ddddd" => fcvtzu_int(s, z, n, d)
}

insns! {
    /// With fixed point of 64 - `k` fraction bits: `s` is 1 for an X register.
    FIXED: Tx;
    "000 11110 0z 0 00 010 1kkkkk nnnnn ddddd" => scvtf_fixed(0, z, k, n, d)
    "100 11110 0z 0 00 010 kkkkkk nnnnn ddddd" => scvtf_fixed(1, z, k, n, d)
    "000 11110 0z 0 00 011 1kkkkk nnnnn ddddd" => ucvtf_fixed(0, z, k, n, d)
    "100 11110 0z 0 00 011 kkkkkk nnnnn ddddd" => ucvtf_fixed(1, z, k, n, d)
    "000 11110 0z 0 11 000 1kkkkk nnnnn ddddd" => fcvtzs_fixed(0, z, k, n, d)
    "100 11110 0z 0 11 000 kkkkkk nnnnn ddddd" => fcvtzs_fixed(1, z, k, n, d)
    "000 11110 0z 0 11 001 1kkkkk nnnnn ddddd" => fcvtzu_fixed(0, z, k, n, d)
    "100 11110 0z 0 11 001 kkkkkk nnnnn ddddd" => fcvtzu_fixed(1, z, k, n, d)
}

insns! {
    /// Bits as they are.
    TRANSFER: Tx;
    "000 11110 00 1 00 110 000000 nnnnn ddddd" => fmov_from(0, n, d)
    "100 11110 01 1 00 110 000000 nnnnn ddddd" => fmov_from(1, n, d)
    "000 11110 00 1 00 111 000000 nnnnn ddddd" => fmov_to(0, n, d)
    "100 11110 01 1 00 111 000000 nnnnn ddddd" => fmov_to(1, n, d)
    "100 11110 10 1 01 110 000000 nnnnn ddddd" => fmov_from_high(n, d)
    "100 11110 10 1 01 111 000000 nnnnn ddddd" => fmov_to_high(n, d)
}

insns! {
    /// To integral values.
    ROUND: Tx;
    "000 11110 0z 1 001000 10000 nnnnn ddddd" => frintn(z, n, d)
    "000 11110 0z 1 001001 10000 nnnnn ddddd" => frintp(z, n, d)
    "000 11110 0z 1 001010 10000 nnnnn ddddd" => frintm(z, n, d)
    "000 11110 0z 1 001011 10000 nnnnn ddddd" => frintz(z, n, d)
    "000 11110 0z 1 001100 10000 nnnnn ddddd" => frinta(z, n, d)
    "000 11110 0z 1 001110 10000 nnnnn ddddd" => frintx(z, n, d)
    "000 11110 0z 1 001111 10000 nnnnn ddddd" => frinti(z, n, d)
}

/// The environment, rounding so.
pub fn rounding(t: &Tx, round: Round, inexact: bool) -> Fenv {
    Fenv {
        round,
        flag: inexact,
        ..t.fpcr()
    }
}

/// The environment of conversions with half precision: `flag` says that it is the alternative format.
pub fn half_env(t: &Tx) -> Fenv {
    Fenv {
        flag: t.mode & mode::AHP != 0,
        ..t.fpcr()
    }
}

/// FCVT: from `from` to `to`, each 0 for single, 1 for double, 3 for half.
fn fcvt(t: &mut Tx, from: u32, to: u32, n: u32, d: u32) {
    let half = half_env(t);
    let v = if from == 3 {
        let a = t.b.get(state::v(n, Ty::I16));
        t.b.push(float(to), Op::FFromHalf { a, env: half })
    } else {
        let (a, env) = (get(t, from, n), t.fpcr());
        match to {
            3 => {
                let v = t.b.push(Ty::I16, Op::FToHalf { a, env: half });
                t.b.zext(Ty::I64, v)
            }
            _ => t.b.push(float(to), Op::FCvt { a, env }),
        }
    };
    set(t, d, v);
}

/// To an integer or fixed point in X`d` or W`d`.
fn to_int(t: &mut Tx, s: u32, a: Val, unsigned: bool, frac: u8, round: Round, d: u32) {
    let env = rounding(t, round, true);
    let op = if unsigned {
        Op::FToU { a, frac, env }
    } else {
        Op::FToS { a, frac, env }
    };
    let v = t.b.push(width(s), op);
    t.set(d, v);
}

/// From an integer or fixed point.
fn from_int(t: &mut Tx, z: u32, a: Val, unsigned: bool, frac: u8, d: u32) {
    let env = t.fpcr();
    let op = if unsigned {
        Op::UToF { a, frac, env }
    } else {
        Op::SToF { a, frac, env }
    };
    let v = t.b.push(float(z), op);
    set(t, d, v);
}

macro_rules! to_integers {
    ($( $name:ident $unsigned:literal $round:ident $doc:literal; )*) => { $(
        #[doc = $doc]
        fn $name(t: &mut Tx, s: u32, z: u32, n: u32, d: u32) {
            let a = get(t, z, n);
            to_int(t, s, a, $unsigned, 0, Round::$round, d);
        }
    )* };
}
to_integers! {
    fcvtns false Nearest "FCVTNS (scalar).";
    fcvtnu true Nearest "FCVTNU (scalar).";
    fcvtas false Away "FCVTAS (scalar).";
    fcvtau true Away "FCVTAU (scalar).";
    fcvtps false Up "FCVTPS (scalar).";
    fcvtpu true Up "FCVTPU (scalar).";
    fcvtms false Down "FCVTMS (scalar).";
    fcvtmu true Down "FCVTMU (scalar).";
    fcvtzs_int false Zero "FCVTZS (scalar, integer).";
    fcvtzu_int true Zero "FCVTZU (scalar, integer).";
}

/// SCVTF (scalar, integer).
fn scvtf_int(t: &mut Tx, s: u32, z: u32, n: u32, d: u32) {
    let a = t.r(s, n);
    from_int(t, z, a, false, 0, d);
}
/// UCVTF (scalar, integer).
fn ucvtf_int(t: &mut Tx, s: u32, z: u32, n: u32, d: u32) {
    let a = t.r(s, n);
    from_int(t, z, a, true, 0, d);
}

/// Fraction bits of `k`, of which W registers have the low five bits.
fn fraction(s: u32, k: u32) -> u8 {
    (if s == 1 { 64 - k } else { 32 - k }) as u8
}
/// SCVTF (scalar, fixed-point).
fn scvtf_fixed(t: &mut Tx, s: u32, z: u32, k: u32, n: u32, d: u32) {
    let a = t.r(s, n);
    from_int(t, z, a, false, fraction(s, k), d);
}
/// UCVTF (scalar, fixed-point).
fn ucvtf_fixed(t: &mut Tx, s: u32, z: u32, k: u32, n: u32, d: u32) {
    let a = t.r(s, n);
    from_int(t, z, a, true, fraction(s, k), d);
}
/// FCVTZS (scalar, fixed-point).
fn fcvtzs_fixed(t: &mut Tx, s: u32, z: u32, k: u32, n: u32, d: u32) {
    let a = get(t, z, n);
    to_int(t, s, a, false, fraction(s, k), Round::Zero, d);
}
/// FCVTZU (scalar, fixed-point).
fn fcvtzu_fixed(t: &mut Tx, s: u32, z: u32, k: u32, n: u32, d: u32) {
    let a = get(t, z, n);
    to_int(t, s, a, true, fraction(s, k), Round::Zero, d);
}

/// FMOV (general), from the low bits of V`n`.
fn fmov_from(t: &mut Tx, z: u32, n: u32, d: u32) {
    let v = t.b.get(state::v(n, width(z)));
    t.set(d, v);
}
/// FMOV (general), to the low bits of V`d`.
fn fmov_to(t: &mut Tx, z: u32, n: u32, d: u32) {
    let v = t.r(z, n);
    set(t, d, v);
}
/// The high half of a V register.
fn high(n: u32) -> Slot {
    Slot {
        ty: Ty::I64,
        ..state::v_high(n)
    }
}
/// FMOV (general), from the high half of V`n`.
fn fmov_from_high(t: &mut Tx, n: u32, d: u32) {
    let v = t.b.get(high(n));
    t.set(d, v);
}
/// FMOV (general), to the high half of V`d`, whose low half stays.
fn fmov_to_high(t: &mut Tx, n: u32, d: u32) {
    let v = t.x(n);
    t.b.set(high(d), v);
}

/// FPRoundInt.
fn round_to_integral(t: &mut Tx, z: u32, n: u32, d: u32, round: Round, inexact: bool) {
    let (a, env) = (get(t, z, n), rounding(t, round, inexact));
    let v = t.b.fround(a, env);
    set(t, d, v);
}

macro_rules! rounds {
    ($( $name:ident $round:ident $inexact:literal $doc:literal; )*) => { $(
        #[doc = $doc]
        fn $name(t: &mut Tx, z: u32, n: u32, d: u32) {
            round_to_integral(t, z, n, d, Round::$round, $inexact);
        }
    )* };
}
rounds! {
    frintn Nearest false "FRINTN (scalar).";
    frintp Up false "FRINTP (scalar).";
    frintm Down false "FRINTM (scalar).";
    frintz Zero false "FRINTZ (scalar).";
    frinta Away false "FRINTA (scalar).";
    frintx Current true "FRINTX (scalar): says whether it changed the number.";
    frinti Current false "FRINTI (scalar).";
}
