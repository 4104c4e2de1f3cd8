//! What Armv8 adds to VFP (Arm ARM DDI 0487, F4.1, "Floating-point data-processing", "conditional select", "minNum/maxNum",
//! "directed convert to integer").

use super::convert::{half_env, half_slot, to_int};
use super::operands::{enabled, reg, single};
use crate::a32::neon::calls;
use crate::features::Feature;
use crate::state::{FP_NZCV, mode};
use crate::tx::Tx;
use crate::vector::float::{max_number, min_number};
use emu_ir::{Builder, Fenv, Lane, Op, Round, Slot, Ty, Val, insns};

insns! {
    /// Under a condition.
    CONDITIONAL: Tx, needs Feature::A32V8;
    "---- 1110 1d11 0010 dddd 1011 h1m0 mmmm" => vcvt_f64_f16(h, d, m)
    "---- 1110 1d11 0011 dddd 1011 h1m0 mmmm" => vcvt_f16_f64(h, d, m)
    "---- 1110 1d11 0110 dddd 101z 01m0 mmmm" => vrintr(z, d, m)
    "---- 1110 1d11 0110 dddd 101z 11m0 mmmm" => vrintz(z, d, m)
    "---- 1110 1d11 0111 dddd 101z 01m0 mmmm" => vrintx(z, d, m)
}

insns! {
    /// Without a condition; that of VSEL is `c`.
    UNCONDITIONAL: Tx, needs Feature::A32V8;
    "1111 1110 0dcc nnnn dddd 101z N0m0 mmmm" => vsel(z, c, d, n, m)
    "1111 1110 1d00 nnnn dddd 101z N0m0 mmmm" => vmaxnm(z, d, n, m)
    "1111 1110 1d00 nnnn dddd 101z N1m0 mmmm" => vminnm(z, d, n, m)
    "1111 1110 1d11 1000 dddd 101z 01m0 mmmm" => vrinta(z, d, m)
    "1111 1110 1d11 1001 dddd 101z 01m0 mmmm" => vrintn(z, d, m)
    "1111 1110 1d11 1010 dddd 101z 01m0 mmmm" => vrintp(z, d, m)
    "1111 1110 1d11 1011 dddd 101z 01m0 mmmm" => vrintm(z, d, m)
    "1111 1110 1d11 1100 dddd 101z s1m0 mmmm" => vcvta(z, s, d, m)
    "1111 1110 1d11 1101 dddd 101z s1m0 mmmm" => vcvtn(z, s, d, m)
    "1111 1110 1d11 1110 dddd 101z s1m0 mmmm" => vcvtp(z, s, d, m)
    "1111 1110 1d11 1111 dddd 101z s1m0 mmmm" => vcvtm(z, s, d, m)
}

insns! {
    /// FEAT_JSCVT.
    JAVASCRIPT: Tx, needs Feature::JsCvt;
    "---- 1110 1d11 1001 dddd 1011 11m0 mmmm" => vjcvt(d, m)
}

/// VCVTB and VCVTT, F64 from the low or (`h` = 1) high half of Sm.
fn vcvt_f64_f16(t: &mut Tx, h: u32, d: u32, m: u32) -> Option<()> {
    enabled(t)?;
    let (a, env) = (t.b.get(half_slot(m, h)), half_env(t));
    let v = t.b.push(Ty::F64, Op::FFromHalf { a, env });
    t.b.set(reg(1, d), v);
    Some(())
}

/// VCVTB and VCVTT, the low or (`h` = 1) high half of Sd from F64; its other half stays.
fn vcvt_f16_f64(t: &mut Tx, h: u32, d: u32, m: u32) -> Option<()> {
    enabled(t)?;
    let (a, env) = (t.b.get(reg(1, m)), half_env(t));
    let half = t.b.push(Ty::I16, Op::FToHalf { a, env });
    t.b.set(half_slot(d, h), half);
    Some(())
}

/// To an integral number.
fn integral(t: &mut Tx, z: u32, d: u32, m: u32, round: Round, inexact: bool) -> Option<()> {
    enabled(t)?;
    let env = Fenv {
        round,
        flag: inexact,
        ..t.fpscr()
    };
    let a = t.b.get(reg(z, m));
    let v = t.b.fround(a, env);
    t.b.set(reg(z, d), v);
    Some(())
}

macro_rules! integral {
    ($( $name:ident $round:ident $inexact:literal $doc:literal; )*) => { $(
        #[doc = $doc]
        fn $name(t: &mut Tx, z: u32, d: u32, m: u32) -> Option<()> {
            integral(t, z, d, m, Round::$round, $inexact)
        }
    )* };
}
integral! {
    vrintr Current false "VRINTR.";
    vrintz Zero false "VRINTZ.";
    vrintx Current true "VRINTX: it tells what is inexact.";
    vrinta Away false "VRINTA.";
    vrintn Nearest false "VRINTN.";
    vrintp Up false "VRINTP.";
    vrintm Down false "VRINTM.";
}

macro_rules! to_integers {
    ($( $name:ident $round:ident $doc:literal; )*) => { $(
        #[doc = $doc]
        fn $name(t: &mut Tx, z: u32, s: u32, d: u32, m: u32) -> Option<()> {
            to_int(t, z, s, d, m, Round::$round)
        }
    )* };
}
to_integers! {
    vcvta Away "VCVTA.";
    vcvtn Nearest "VCVTN.";
    vcvtp Up "VCVTP.";
    vcvtm Down "VCVTM.";
}

/// The condition of VSEL: EQ, VS, GE, GT.
pub(super) fn selects(t: &mut Tx, c: u32) -> Val {
    let cond = [0, 6, 10, 12].into_iter().nth(c as usize);
    t.cond(cond.unwrap_or(0))
}

/// VSEL.
fn vsel(t: &mut Tx, z: u32, c: u32, d: u32, n: u32, m: u32) -> Option<()> {
    enabled(t)?;
    let (a, b, holds) = (t.b.get(reg(z, n)), t.b.get(reg(z, m)), selects(t, c));
    let v = t.b.select(holds, a, b);
    t.b.set(reg(z, d), v);
    Some(())
}

/// An operation that vectors alone have, on the lowest lane of vectors whose others are zero.
fn by_lane(t: &mut Tx, z: u32, [d, n, m]: [u32; 3], f: fn(&mut Builder, Lane, Val, Val, Fenv) -> Val) -> Option<()> {
    enabled(t)?;
    let lane = if z == 1 { Lane::F64 } else { Lane::F32 };
    let (env, none) = (t.fpscr(), t.b.vec(Ty::V128, 0));
    let [x, y] = [n, m].map(|r| {
        let v = t.b.get(reg(z, r));
        t.b.vset_lane(none, v, 0)
    });
    let v = f(t.b, lane, x, y, env);
    let v = t.b.vget_lane(reg(z, d).ty, v, 0);
    t.b.set(reg(z, d), v);
    Some(())
}

/// VMAXNM.
fn vmaxnm(t: &mut Tx, z: u32, d: u32, n: u32, m: u32) -> Option<()> {
    by_lane(t, z, [d, n, m], max_number)
}

/// VMINNM.
fn vminnm(t: &mut Tx, z: u32, d: u32, n: u32, m: u32) -> Option<()> {
    by_lane(t, z, [d, n, m], min_number)
}

/// VJCVT: as JavaScript converts; FPSCR.Z tells whether it was exact.
fn vjcvt(t: &mut Tx, d: u32, m: u32) -> Option<()> {
    enabled(t)?;
    let flush = u32::from(t.floating(mode::FZ) != 0);
    let (a, flush, by) = (t.b.get(reg(1, m)), t.b.i32(flush), t.b.imm(Ty::I64, 32));
    let v = t.b.call(Ty::I64, calls::VJCVT, &[a, flush]);
    let (word, exact) = (t.b.trunc(Ty::I32, v), t.b.shr_u(v, by));
    let (exact, no) = (t.b.trunc(Ty::I8, exact), t.b.bool(false));
    t.b.set(
        Slot {
            ty: Ty::I32,
            ..single(d)
        },
        word,
    );
    for (slot, v) in FP_NZCV.into_iter().zip([no, exact, no, no]) {
        t.b.set(slot, v);
    }
    Some(())
}
