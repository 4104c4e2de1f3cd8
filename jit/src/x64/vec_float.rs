//! Vectors of floats.

use super::Emit;
use super::alloc::Reg;
use super::frame::MXCSR;
use super::guard::{Guard, Lanes, Tiny, integral};
use super::vec::{splat, xmem, xop, xop_imm};
use crate::classes::{effect_ops, float_ops, pure_ops};
use crate::fp::Format;
use dynasmrt::{DynasmApi, DynasmLabelApi, dynasm};
use emu_ir::{Fenv, Inst, Lane, Op, Relation, Round, Ty, Val};

/// The instruction for lanes of F32 or F64.
macro_rules! by_float {
    ($e:expr, $lane:expr, $s:ident $d:ident $(, $r:expr)*) => {
        if $lane.bits() == 32 {
            xop!($e, $s $(, $r)*)
        } else {
            xop!($e, $d $(, $r)*)
        }
    };
}

/// The predicate of vcmpps: whether one of these relations holds; with `signal` any NaN is invalid (SDM 2, CMPPS).
pub fn predicate(is: Relation, signal: bool) -> i8 {
    // In the order of less, equal, greater and unordered; of each what is quiet, the other is 16 more or less.
    const QUIET: [i8; 16] = [
        0x0b, // false
        0x11, // less
        0x00, // equal
        0x12, // less or equal
        0x1e, // greater
        0x0c, // less or greater
        0x1d, // greater or equal
        0x07, // ordered
        0x03, // unordered
        0x19, // not greater or equal
        0x08, // equal or unordered
        0x1a, // not greater
        0x16, // not less or equal
        0x04, // not equal
        0x15, // not less
        0x0f, // true
    ];
    let quiet = QUIET[Relation::all().position(|one| one == is).unwrap_or(0)];
    if signal { quiet ^ 0x10 } else { quiet }
}

impl Emit<'_> {
    /// A floating-point operation on vectors.
    #[expect(clippy::unreachable, reason = "`Emit::op` sends vectors of floats")]
    pub fn vec_float(&mut self, v: Val, inst: Inst) {
        let ty = inst.ty;
        if self.native() && foreign(inst.op) {
            return self.interpret(v, inst);
        }
        if is_half(inst.op) {
            return self.half(v, inst);
        }
        match inst.op {
            Op::VFAdd { a, b, e, env } if self.roundable(env) => {
                let g = guard(e, env, Tiny::Exact);
                self.guarded(
                    v,
                    inst,
                    &[a, b],
                    g,
                    |s, d, x| by_float!(s, e, vaddps vaddpd, d, x[0], x[1]),
                )
            }
            Op::VFSub { a, b, e, env } if self.roundable(env) => {
                let g = guard(e, env, Tiny::Exact);
                self.guarded(v, inst, &[a, b], g, |s, d, x| {
                    by_float!(s, e, vsubps vsubpd, d, x[0], x[1]);
                    // Rounding down, 0 - 0 is -0, in the unused lanes too.
                    s.clear_high(ty, d);
                })
            }
            Op::VFMul { a, b, e, env } if self.roundable(env) => {
                let g = guard(e, env, Tiny::Inexact(&[0, 1]));
                self.guarded(
                    v,
                    inst,
                    &[a, b],
                    g,
                    |s, d, x| by_float!(s, e, vmulps vmulpd, d, x[0], x[1]),
                )
            }
            Op::VFDiv { a, b, e, env } if self.roundable(env) => {
                let g = guard(e, env, Tiny::Inexact(&[0]));
                self.guarded(v, inst, &[a, b], g, |s, d, x| {
                    let mut by = x[1];
                    if ty == Ty::V64 {
                        // The unused lanes are divided by ones.
                        let one = splat(e, format(e).power_of_two(0));
                        xmem!(s, vpor, d, by, one << 64);
                        by = d;
                    }
                    by_float!(s, e, vdivps vdivpd, d, x[0], by)
                })
            }
            Op::VFSqrt { a, e, env } if self.roundable(env) => {
                let g = guard(e, env, Tiny::Never);
                self.guarded(v, inst, &[a], g, |s, d, x| by_float!(s, e, vsqrtps vsqrtpd, d, x[0]))
            }
            Op::VFRound { a, e, env } if integral(env).is_some() => {
                let (g, how) = (guard(e, env, Tiny::Never), integral(env).unwrap_or(0));
                self.guarded(v, inst, &[a], g, |s, d, x| match e.bits() {
                    32 => xop!(s, vroundps, d, x[0]; how),
                    _ => xop!(s, vroundpd, d, x[0]; how),
                })
            }
            Op::VFRound { a, e, env } if env.round == Round::Away && !env.flag => {
                let (g, temps) = (guard(e, env, Tiny::Never), (self.xtemp(), self.xtemp()));
                self.guarded(v, inst, &[a], g, |s, d, x| {
                    s.round_away(Lanes::every(e), d, x[0], temps)
                })
            }
            Op::VFMulAdd { c, a, b, env, e } if self.roundable(env) => {
                let g = guard(e, env, Tiny::Inexact(&[1, 2]));
                self.guarded(v, inst, &[c, a, b], g, |s, d, x| {
                    xop!(s, vmovdqa, d, x[0]);
                    s.fused(e, d, x[1], x[2])
                })
            }
            Op::VFMax { a, b, e, env } => self.extreme(v, inst, a, b, e, env),
            Op::VFMin { a, b, e, env } => self.extreme(v, inst, a, b, e, env),
            Op::VFEq { a, b, e, env } => self.relation(v, inst, a, b, e, env, Relation::EQUAL),
            Op::VFGt { a, b, e, env } => self.relation(v, inst, a, b, e, env, Relation::GREATER),
            Op::VFGe { a, b, e, env } => self.relation(v, inst, a, b, e, env, Relation::GREATER.or(Relation::EQUAL)),
            Op::VFCmp { a, b, is, e, env } => self.relation(v, inst, a, b, e, env, is),
            Op::VFToS { a, env, .. } if self.native() => self.single(v, a, |s, d, x| match env.round {
                Round::Zero => xop!(s, vcvttps2dq, d, x),
                _ => xop!(s, vcvtps2dq, d, x),
            }),
            Op::VSToF { a, .. } if self.native() => self.single(v, a, |s, d, x| xop!(s, vcvtdq2ps, d, x)),
            Op::VFToS { a, frac, e, env } if convertible(e, frac, env) => self.fixed_lanes(v, inst, a, frac, env, true),
            Op::VFToU { a, frac, e, env } if convertible(e, frac, env) => {
                self.fixed_lanes(v, inst, a, frac, env, false)
            }
            Op::VSToF { a, frac, e, env } if e.bits() == 32 && frac <= 64 && self.roundable(env) => {
                self.float_lanes(v, inst, a, frac, env, true)
            }
            Op::VUToF { a, frac, e, env } if e.bits() == 32 && frac <= 64 && self.roundable(env) => {
                self.float_lanes(v, inst, a, frac, env, false)
            }
            // A rounding mode of its own; conversions of 64-bit lanes, which AVX2 does not have.
            Op::VFAdd { .. }
            | Op::VFSub { .. }
            | Op::VFMul { .. }
            | Op::VFMulAdd { .. }
            | Op::VFDiv { .. }
            | Op::VFSqrt { .. }
            | Op::VFRound { .. }
            | Op::VFToS { .. }
            | Op::VFToU { .. }
            | Op::VSToF { .. }
            | Op::VUToF { .. } => self.interpret(v, inst),
            float_ops!() | pure_ops!() | effect_ops!() => unreachable!("{} is no vector of floats", inst.op.name()),
        }
    }

    /// `vfmadd231ps d, x, y`; `vfmadd231pd` is written out, as the assembler (dynasm 5.1) forgets its W bit.
    pub fn fused(&mut self, e: Lane, d: u8, x: u8, y: u8) {
        if e.bits() == 32 {
            return xop!(self, vfmadd231ps, d, x, y);
        }
        let registers = (!d >> 3 & 1) << 7 | 1 << 6 | (!y >> 3 & 1) << 5;
        let prefix = [0xc4, registers | 2, 0x80 | (!x & 15) << 3 | 1];
        self.a.extend(prefix);
        self.a.extend([0xb8, 0xc0 | (d & 7) << 3 | y & 7]);
    }

    /// Maximum or minimum. The host's raises invalid for any NaN, so those are sorted out before.
    fn extreme(&mut self, v: Val, inst: Inst, a: Val, b: Val, e: Lane, env: Fenv) {
        if self.native() {
            return self.pair(v, a, b, |s, d, x, y| match inst.op {
                Op::VFMax { .. } => by_float!(s, e, vmaxps vmaxpd, d, x, y),
                _ => by_float!(s, e, vminps vminpd, d, x, y),
            });
        }
        self.clobber();
        let (x, y) = (self.xreg(a), self.xreg(b));
        let d = self.xdst(v);
        let (ok, t, u) = (self.xtemp(), self.xtemp(), self.xtemp());
        let r = self.temp();
        let (from, back) = (self.a.new_dynamic_label(), self.a.new_dynamic_label());
        const ORDERED: i8 = 7;
        match e.bits() {
            32 => xop_imm!(self, vcmpps, ok, x, y; ORDERED),
            _ => xop_imm!(self, vcmppd, ok, x, y; ORDERED),
        }
        if env.flush {
            self.no_denormals(Lanes::every(e), &[x, y], t, u);
            xop!(self, vpand, ok, ok, t);
        }
        self.unless_all(Lanes::every(e), ok, r, from);
        // Of zeros the host takes the second operand: both orders tell.
        if let Op::VFMax { .. } = inst.op {
            by_float!(self, e, vmaxps vmaxpd, t, x, y);
            by_float!(self, e, vmaxps vmaxpd, d, y, x);
            xop!(self, vpand, d, d, t);
        } else {
            by_float!(self, e, vminps vminpd, t, x, y);
            by_float!(self, e, vminps vminpd, d, y, x);
            xop!(self, vpor, d, d, t);
        }
        dynasm!(self.a ; .arch x64 ; =>back);
        self.out_of_line(v, inst, from, back, &[x, y], Reg::Xmm(d), false);
    }

    /// A comparison: the host's raises what the guest's does, so only flushed operands are done again.
    #[allow(clippy::too_many_arguments)]
    fn relation(&mut self, v: Val, inst: Inst, a: Val, b: Val, e: Lane, env: Fenv, relation: Relation) {
        self.clobber();
        let (x, y) = (self.xreg(a), self.xreg(b));
        let d = self.xdst(v);
        let (ok, t) = (self.xtemp(), self.xtemp());
        let r = self.temp();
        let predicate = predicate(relation, env.flag);
        match e.bits() {
            32 => xop_imm!(self, vcmpps, d, x, y; predicate),
            _ => xop_imm!(self, vcmppd, d, x, y; predicate),
        }
        self.clear_high(inst.ty, d);
        if env.flush {
            let (from, back) = (self.a.new_dynamic_label(), self.a.new_dynamic_label());
            self.no_denormals(Lanes::every(e), &[x, y], ok, t);
            self.unless_all(Lanes::every(e), ok, r, from);
            dynasm!(self.a ; .arch x64 ; =>back);
            self.out_of_line(v, inst, from, back, &[x, y], Reg::Xmm(d), false);
        }
    }

    /// F32 to integers: out of line what saturates, NaNs, and of unsigned ones all but 0 <= a < 2^31.
    fn fixed_lanes(&mut self, v: Val, inst: Inst, a: Val, frac: u8, env: Fenv, signed: bool) {
        self.clobber();
        let x = self.xreg(a);
        let d = self.xdst(v);
        let (t, u) = (self.xtemp(), self.xtemp());
        let r = self.temp();
        let (from, back) = (self.a.new_dynamic_label(), self.a.new_dynamic_label());
        dynasm!(self.a ; .arch x64 ; vstmxcsr DWORD [r15 + MXCSR]);
        self.rounding(env, from);
        let scaled = if frac == 0 { x } else { t };
        if frac != 0 {
            xmem!(self, vmulps, t, x, power(frac as i32));
        }
        match env.round {
            Round::Zero => xop!(self, vcvttps2dq, d, scaled),
            _ => xop!(self, vcvtps2dq, d, scaled),
        }
        let lanes = Lanes::every(Lane::F32);
        if signed {
            xmem!(self, vpcmpeqd, t, d, splat(Lane::I32, 1 << 31));
        } else {
            xop!(self, vpor, t, d, x);
        }
        if env.flush {
            let ok = self.check_operand(lanes, x, u);
            xmem!(self, vpxor, ok, ok, u128::MAX);
            xop!(self, vpor, t, t, ok);
        }
        self.if_any(lanes, t, r, from);
        dynasm!(self.a ; .arch x64 ; =>back);
        self.out_of_line(v, inst, from, back, &[x], Reg::Xmm(d), true);
    }
    /// `ok`, given back, = all ones in lanes where the operand is not denormal.
    fn check_operand(&mut self, lanes: Lanes, x: u8, ok: u8) -> u8 {
        self.no_denormals(lanes, &[x], ok, ok);
        ok
    }

    /// Integers to F32, rounded once; dividing by the power of two is exact.
    fn float_lanes(&mut self, v: Val, inst: Inst, a: Val, frac: u8, env: Fenv, signed: bool) {
        self.clobber();
        let x = self.xreg(a);
        let d = self.xdst(v);
        let (t, zero) = (self.xtemp(), self.xtemp());
        let (from, back) = (self.a.new_dynamic_label(), self.a.new_dynamic_label());
        self.rounding(env, from);
        if signed {
            xop!(self, vcvtdq2ps, d, x);
        } else {
            // High and low words are exact; their sum is rounded.
            xop!(self, vpsrld, t, x; 16);
            xop!(self, vcvtdq2ps, t, t);
            xmem!(self, vmulps, t, t, power(16));
            xop!(self, vpxor, zero, zero, zero);
            xop_imm!(self, vpblendw, d, zero, x; 0x55);
            xop!(self, vcvtdq2ps, d, d);
            xop!(self, vaddps, d, d, t);
        }
        if frac != 0 {
            xmem!(self, vmulps, d, d, power(-(frac as i32)));
        }
        dynasm!(self.a ; .arch x64 ; =>back);
        self.out_of_line(v, inst, from, back, &[x], Reg::Xmm(d), false);
    }
}

fn guard(e: Lane, env: Fenv, tiny: Tiny) -> Guard {
    let lanes = Lanes::every(e);
    Guard {
        env,
        tiny,
        args: lanes,
        result: lanes,
    }
}

/// What a guest whose floating point is the host's has no instruction for, or wants more of than the host's instruction
/// tells: it is interpreted.
fn foreign(op: Op) -> bool {
    match op {
        Op::VFAdd { env, .. }
        | Op::VFSub { env, .. }
        | Op::VFMul { env, .. }
        | Op::VFDiv { env, .. }
        | Op::VFSqrt { env, .. }
        | Op::VFMulAdd { env, .. } => is_half(op) || env.round != Round::Current,
        Op::VFMax { .. }
        | Op::VFMin { .. }
        | Op::VFEq { .. }
        | Op::VFGt { .. }
        | Op::VFGe { .. }
        | Op::VFCmp { .. } => is_half(op),
        Op::VFRound { env, .. } => is_half(op) || matches!(env.round, Round::Away | Round::Unmasked),
        Op::VFToS { frac, e, env, .. } => {
            frac != 0 || e.bits() != 32 || !env.flag || !matches!(env.round, Round::Current | Round::Zero)
        }
        Op::VSToF { frac, e, env, .. } => frac != 0 || e.bits() != 32 || env.round != Round::Current,
        Op::VFToU { .. } | Op::VUToF { .. } => true,
        float_ops!() | pure_ops!() | effect_ops!() => false,
    }
}

/// Whether the lanes are of half precision, which the host computes nothing in.
fn is_half(op: Op) -> bool {
    match op {
        Op::VFAdd { e, .. }
        | Op::VFSub { e, .. }
        | Op::VFMul { e, .. }
        | Op::VFDiv { e, .. }
        | Op::VFSqrt { e, .. }
        | Op::VFRound { e, .. }
        | Op::VFMax { e, .. }
        | Op::VFMin { e, .. }
        | Op::VFEq { e, .. }
        | Op::VFGt { e, .. }
        | Op::VFGe { e, .. }
        | Op::VFCmp { e, .. }
        | Op::VFMulAdd { e, .. }
        | Op::VFToS { e, .. }
        | Op::VFToU { e, .. }
        | Op::VSToF { e, .. }
        | Op::VUToF { e, .. } => e.bits() == 16,
        float_ops!() | pure_ops!() | effect_ops!() => false,
    }
}

/// The host's conversion to integers serves: it raises inexact.
fn convertible(e: Lane, frac: u8, env: Fenv) -> bool {
    let round = matches!(env.round, Round::Current | Round::Nearest | Round::Zero);
    e.bits() == 32 && frac <= 64 && round && env.flag
}

/// The format of a lane.
fn format(e: Lane) -> Format {
    Format::of(e.scalar())
}

/// 2^n in each F32 lane.
fn power(n: i32) -> u128 {
    splat(Lane::F32, Format::Single.power_of_two(n))
}
