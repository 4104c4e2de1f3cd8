//! Scalar floating point: the host's instruction inline under [`guard`](super::guard).

use super::alloc::{Flags, Reg};
use super::frame::MXCSR;
use super::guard::{Guard, Lanes, Tiny, integral};
use super::round::rounds_first;
use super::vec::xop;
use super::{Cold, Emit, cond};
use crate::classes::{effect_ops, pure_ops, vec_float_ops};
use crate::fp::Format;
use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi, dynasm};
use emu_ir::{FP_DENORMAL, Fenv, Inst, Op, Round, Ty, Val};

/// Operands of a comparison that are flushed before it.
pub struct Flushed {
    from: DynamicLabel,
    back: DynamicLabel,
    lanes: Lanes,
    /// Where an operand is and where its flushed copy goes.
    copies: [(u8, u8); 2],
    mask: u8,
}

/// `op32 / op64 d, operands` by type.
macro_rules! fp {
    ($e:expr, $ty:expr, $s:ident $d:ident, $($r:expr),*) => {
        if $ty == Ty::F32 {
            dynasm!($e.a ; .arch x64 ; $s $(Rx($r)),*)
        } else {
            dynasm!($e.a ; .arch x64 ; $d $(Rx($r)),*)
        }
    };
}

impl Emit<'_> {
    /// An operation with floating-point effects.
    #[expect(clippy::unreachable, reason = "`Emit::op` sends scalars")]
    pub fn float(&mut self, v: Val, inst: Inst) {
        let ty = inst.ty;
        if self.native() && foreign(inst.op) {
            return self.interpret(v, inst);
        }
        match inst.op {
            Op::FAdd { a, b, env } if self.roundable(env) => {
                let g = guard(ty, env, Tiny::Exact);
                self.guarded(v, inst, &[a, b], g, |e, d, s| fp!(e, ty, vaddss vaddsd, d, s[0], s[1]))
            }
            Op::FSub { a, b, env } if self.roundable(env) => {
                let g = guard(ty, env, Tiny::Exact);
                self.guarded(v, inst, &[a, b], g, |e, d, s| fp!(e, ty, vsubss vsubsd, d, s[0], s[1]))
            }
            Op::FMul { a, b, env } if self.roundable(env) => {
                let g = guard(ty, env, Tiny::Inexact(&[0, 1]));
                self.guarded(v, inst, &[a, b], g, |e, d, s| fp!(e, ty, vmulss vmulsd, d, s[0], s[1]))
            }
            Op::FDiv { a, b, env } if self.roundable(env) => {
                let g = guard(ty, env, Tiny::Inexact(&[0]));
                self.guarded(v, inst, &[a, b], g, |e, d, s| fp!(e, ty, vdivss vdivsd, d, s[0], s[1]))
            }
            Op::FSqrt { a, env } if self.roundable(env) => {
                let g = guard(ty, env, Tiny::Never);
                self.guarded(v, inst, &[a], g, |e, d, s| fp!(e, ty, vsqrtss vsqrtsd, d, s[0], s[0]))
            }
            Op::FRound { a, env } if integral(env).is_some() => {
                let (g, how) = (guard(ty, env, Tiny::Never), integral(env).unwrap_or(0));
                self.guarded(v, inst, &[a], g, |e, d, s| match ty {
                    Ty::F32 => dynasm!(e.a ; .arch x64 ; vroundss Rx(d), Rx(s[0]), Rx(s[0]), how),
                    _ => dynasm!(e.a ; .arch x64 ; vroundsd Rx(d), Rx(s[0]), Rx(s[0]), how),
                })
            }
            Op::FRound { a, env } if env.round == Round::Away && !env.flag => {
                let (g, temps) = (guard(ty, env, Tiny::Never), (self.xtemp(), self.xtemp()));
                self.guarded(v, inst, &[a], g, |e, d, s| e.round_away(Lanes::of(ty), d, s[0], temps))
            }
            Op::FMulAdd { c, a, b, env } if self.roundable(env) => {
                let g = guard(ty, env, Tiny::Inexact(&[1, 2]));
                self.guarded(v, inst, &[c, a, b], g, |e, d, s| {
                    xop!(e, vmovdqa, d, s[0]);
                    fp!(e, ty, vfmadd231ss vfmadd231sd, d, s[1], s[2])
                })
            }
            Op::FCvt { a, env } if self.roundable(env) => {
                let narrows = ty == Ty::F32;
                let tiny = if narrows { Tiny::Inexact(&[0]) } else { Tiny::Never };
                let args = Lanes::of(self.b.ty(a));
                let g = Guard {
                    args,
                    ..guard(ty, env, tiny)
                };
                self.guarded(v, inst, &[a], g, |e, d, s| match narrows {
                    true => xop!(e, vcvtsd2ss, d, s[0], s[0]),
                    false => xop!(e, vcvtss2sd, d, s[0], s[0]),
                })
            }
            Op::FEq { a, b, env } => self.float_equal(v, ty, a, b, env),
            Op::FLt { a, b, env } => {
                self.float_compare(ty, b, a, env);
                self.flag(v, cond::A);
            }
            Op::FLe { a, b, env } => {
                self.float_compare(ty, b, a, env);
                self.flag(v, cond::AE);
            }
            Op::FUn { a, b, env } => {
                if self.flags.float != compared(b, a, env) {
                    self.float_compare(ty, a, b, env);
                }
                self.flag(v, cond::P);
            }
            Op::FStatus { a, b, env } => {
                self.float_compare(ty, a, b, env);
                if self.live(v) {
                    self.has_status_of(v);
                }
            }
            Op::FToS { a, env, .. } if self.native() => self.host_integer(v, inst, a, env),
            Op::FToS { a, frac, env } if convertible(frac, env) => self.signed_integer(v, inst, a, frac, env),
            Op::FToU { a, frac, env } if convertible(frac, env) => self.unsigned_integer(v, inst, a, frac, env),
            Op::SToF { a, frac, env } if frac <= 64 && self.roundable(env) => {
                self.integer_to_float(v, inst, a, frac, env, true)
            }
            Op::UToF { a, frac, env } if frac <= 64 && self.roundable(env) => {
                self.integer_to_float(v, inst, a, frac, env, false)
            }
            Op::FFromHalf { a, env } if !env.flag && (ty == Ty::F32 || !self.native()) => {
                self.half_to_float(v, inst, a)
            }
            Op::FToHalf { a, env }
                if !env.flag && self.b.ty(a) == Ty::F32 && (self.native() || self.roundable(env)) =>
            {
                self.float_to_half(v, inst, a, env)
            }
            // A rounding mode of its own; half precision in Arm's own format, or rounded from F64 at once.
            Op::FAdd { .. }
            | Op::FSub { .. }
            | Op::FMul { .. }
            | Op::FDiv { .. }
            | Op::FSqrt { .. }
            | Op::FRound { .. }
            | Op::FMulAdd { .. }
            | Op::FCvt { .. }
            | Op::FFromHalf { .. }
            | Op::FToHalf { .. }
            | Op::FToS { .. }
            | Op::FToU { .. }
            | Op::SToF { .. }
            | Op::UToF { .. } => self.interpret(v, inst),
            vec_float_ops!() | pure_ops!() | effect_ops!() => unreachable!("{} is no scalar float", inst.op.name()),
        }
    }

    /// The flags are those of comparing `a` with `b`.
    fn float_compare(&mut self, ty: Ty, a: Val, b: Val, env: Fenv) {
        if self.flags.float == compared(a, b, env) {
            return;
        }
        self.clobber();
        let (mut x, mut y) = (self.xreg(a), self.xreg(b));
        if env.flush {
            (x, y) = self.flushed(Lanes::of(ty), x, y);
        }
        match env.flag {
            true => fp!(self, ty, vcomiss vcomisd, x, y),
            false => fp!(self, ty, vucomiss vucomisd, x, y),
        }
        self.flags = Flags {
            float: compared(a, b, env),
            ..Flags::default()
        };
    }
    /// Copies of two operands; denormals among them become zeros out of line.
    fn flushed(&mut self, lanes: Lanes, x: u8, y: u8) -> (u8, u8) {
        let (p, q, ok, t, r) = (self.xtemp(), self.xtemp(), self.xtemp(), self.xtemp(), self.temp());
        let (from, back) = (self.a.new_dynamic_label(), self.a.new_dynamic_label());
        xop!(self, vmovdqa, p, x);
        xop!(self, vmovdqa, q, y);
        self.no_denormals(lanes, &[x, y], ok, t);
        self.unless_all(lanes, ok, r, from);
        dynasm!(self.a ; .arch x64 ; =>back);
        self.w.cold.push(Cold::Flushed(Flushed {
            from,
            back,
            lanes,
            copies: [(x, p), (y, q)],
            mask: ok,
        }));
        (p, q)
    }
    pub fn flush(&mut self, f: Flushed) {
        let (from, back, flags) = (f.from, f.back, self.layout.fp_flags.off as i32);
        dynasm!(self.a ; .arch x64 ; =>from);
        for (x, copy) in f.copies {
            // The zero's sign does not matter to a comparison.
            self.no_denormals(f.lanes, &[x], f.mask, f.mask);
            xop!(self, vpand, copy, x, f.mask);
        }
        dynasm!(self.a ; .arch x64 ; or DWORD [r15 + flags], FP_DENORMAL as i32 ; jmp =>back);
    }
    /// Equal and ordered takes two conditions: the result is made at once.
    fn float_equal(&mut self, v: Val, ty: Ty, a: Val, b: Val, env: Fenv) {
        if self.flags.float != compared(b, a, env) {
            self.float_compare(ty, a, b, env);
        }
        let (t, zero) = (self.temp(), self.temp());
        cond::setcc(self.a, cond::E, t);
        self.imm(zero, 0);
        dynasm!(self.a ; .arch x64 ; movzx Rd(t), Rb(t));
        cond::cmov(self.a, cond::P, false, t, zero);
        let d = self.dst(v, None);
        self.mov(Ty::I32, d, t);
    }

    // ---- conversions

    /// The operand of a conversion to an integer, scaled; control went to `from` if it is to be flushed.
    fn scaled(&mut self, s: u8, ty: Ty, frac: u8, env: Fenv, from: DynamicLabel, (t, r): (u8, u8)) -> u8 {
        if frac != 0 {
            dynasm!(self.a ; .arch x64 ; vstmxcsr DWORD [r15 + MXCSR]);
        }
        self.rounding(env, from);
        if env.flush {
            self.no_denormals(Lanes::of(ty), &[s], t, t);
            self.unless_all(Lanes::of(ty), t, r, from);
        }
        if frac == 0 {
            return s;
        }
        self.scale(ty, t, s, frac as i32);
        t
    }
    /// `d` = `s * 2^n`.
    fn scale(&mut self, ty: Ty, d: u8, s: u8, n: i32) {
        let power = self.pool_label(Format::of(ty).power_of_two(n).into());
        match ty {
            Ty::F32 => dynasm!(self.a ; .arch x64 ; vmulss Rx(d), Rx(s), [=>power]),
            _ => dynasm!(self.a ; .arch x64 ; vmulsd Rx(d), Rx(s), [=>power]),
        }
    }
    /// The host's conversion; what it cannot do gives MIN.
    fn convert(&mut self, wide: bool, from: Ty, env: Fenv, d: u8, s: u8) {
        match (wide, from == Ty::F32, env.round == Round::Zero || rounds_first(env)) {
            (false, true, true) => dynasm!(self.a ; .arch x64 ; vcvttss2si Rd(d), Rx(s)),
            (false, true, false) => dynasm!(self.a ; .arch x64 ; vcvtss2si Rd(d), Rx(s)),
            (false, false, true) => dynasm!(self.a ; .arch x64 ; vcvttsd2si Rd(d), Rx(s)),
            (false, false, false) => dynasm!(self.a ; .arch x64 ; vcvtsd2si Rd(d), Rx(s)),
            (true, true, true) => dynasm!(self.a ; .arch x64 ; vcvttss2si Rq(d), Rx(s)),
            (true, true, false) => dynasm!(self.a ; .arch x64 ; vcvtss2si Rq(d), Rx(s)),
            (true, false, true) => dynasm!(self.a ; .arch x64 ; vcvttsd2si Rq(d), Rx(s)),
            (true, false, false) => dynasm!(self.a ; .arch x64 ; vcvtsd2si Rq(d), Rx(s)),
        }
    }
    /// The host's conversion as it is.
    fn host_integer(&mut self, v: Val, inst: Inst, a: Val, env: Fenv) {
        let s = self.xreg(a);
        let d = self.fresh(v);
        self.convert(inst.ty == Ty::I64, self.b.ty(a), env, d, s);
    }
    fn signed_integer(&mut self, v: Val, inst: Inst, a: Val, frac: u8, env: Fenv) {
        self.clobber();
        let (ty, wide) = (self.b.ty(a), inst.ty == Ty::I64);
        let s = self.xreg(a);
        let d = self.fresh(v);
        let (t, first) = (self.xtemp(), self.first(env));
        let (from, back) = (self.a.new_dynamic_label(), self.a.new_dynamic_label());
        let mut x = self.scaled(s, ty, frac, env, from, (t, d));
        if let Some((temps, _)) = first {
            self.whole(ty, env, t, s, temps);
            x = t;
        }
        self.convert(wide, ty, env, d, x);
        // Out of range and NaN give MIN, raising invalid alone, as the exact conversion does. Only MIN - 1 overflows.
        match wide {
            true => dynasm!(self.a ; .arch x64 ; cmp Rq(d), BYTE 1),
            false => dynasm!(self.a ; .arch x64 ; cmp Rd(d), BYTE 1),
        }
        dynasm!(self.a ; .arch x64 ; jo =>from);
        if let Some((_, r)) = first {
            self.convert(wide, ty, env, r, s);
        }
        dynasm!(self.a ; .arch x64 ; =>back);
        self.out_of_line(v, inst, from, back, &[s], Reg::Gpr(d), frac != 0);
    }
    /// What a conversion that rounds before it converts works in. Converting the operand itself, it then raises inexact.
    fn first(&mut self, env: Fenv) -> Option<((u8, u8), u8)> {
        rounds_first(env).then(|| ((self.xtemp(), self.xtemp()), self.temp()))
    }
    fn unsigned_integer(&mut self, v: Val, inst: Inst, a: Val, frac: u8, env: Fenv) {
        self.clobber();
        let (ty, wide) = (self.b.ty(a), inst.ty == Ty::I64);
        let s = self.xreg(a);
        let d = self.fresh(v);
        let (t, r, limit) = (self.xtemp(), self.temp(), self.temp());
        let first = rounds_first(env).then(|| (self.xtemp(), self.xtemp()));
        let (from, back) = (self.a.new_dynamic_label(), self.a.new_dynamic_label());
        let mut x = self.scaled(s, ty, frac, env, from, (t, d));
        if let Some(temps) = first {
            self.whole(ty, env, t, s, temps);
            x = t;
        }
        // Only 0 <= x < 2^31 (2^63) is the host's, compared as bits, which raises no flags.
        let power = if wide { 63 } else { 31 };
        if ty == Ty::F32 {
            let bound = Format::Single.power_of_two(power) as i32;
            dynasm!(self.a ; .arch x64 ; vmovd Rd(r), Rx(x) ; cmp Rd(r), bound);
        } else {
            let bound = Format::Double.power_of_two(power) as i64;
            dynasm!(self.a ; .arch x64 ; vmovq Rq(r), Rx(x) ; mov Rq(limit), QWORD bound ; cmp Rq(r), Rq(limit));
        }
        dynasm!(self.a ; .arch x64 ; jae =>from);
        self.convert(true, ty, env, d, x);
        if first.is_some() {
            self.convert(true, ty, env, r, s);
        }
        dynasm!(self.a ; .arch x64 ; =>back);
        self.out_of_line(v, inst, from, back, &[s], Reg::Gpr(d), frac != 0);
    }
    /// Integer to float, rounded once; dividing by the power of two is exact.
    fn integer_to_float(&mut self, v: Val, inst: Inst, a: Val, frac: u8, env: Fenv, signed: bool) {
        self.clobber();
        let (ty, wide) = (inst.ty, self.b.ty(a) == Ty::I64);
        let r = self.reg(a);
        let d = self.xdst(v);
        let (from, back) = (self.a.new_dynamic_label(), self.a.new_dynamic_label());
        if !self.native() {
            self.rounding(env, from);
        }
        if wide && !signed {
            dynasm!(self.a ; .arch x64 ; test Rq(r), Rq(r) ; js =>from);
        }
        xop!(self, vpxor, d, d, d);
        match (ty == Ty::F32, wide || !signed) {
            (true, false) => dynasm!(self.a ; .arch x64 ; vcvtsi2ss Rx(d), Rx(d), Rd(r)),
            (true, true) => dynasm!(self.a ; .arch x64 ; vcvtsi2ss Rx(d), Rx(d), Rq(r)),
            (false, false) => dynasm!(self.a ; .arch x64 ; vcvtsi2sd Rx(d), Rx(d), Rd(r)),
            (false, true) => dynasm!(self.a ; .arch x64 ; vcvtsi2sd Rx(d), Rx(d), Rq(r)),
        }
        if self.native() {
            return;
        }
        if frac != 0 {
            self.scale(ty, d, d, -(frac as i32));
        }
        dynasm!(self.a ; .arch x64 ; =>back);
        self.out_of_line(v, inst, from, back, &[r], Reg::Xmm(d), false);
    }

    /// Half precision to F32 or F64: exact but for NaNs.
    fn half_to_float(&mut self, v: Val, inst: Inst, a: Val) {
        self.clobber();
        let r = self.reg(a);
        let d = self.xdst(v);
        let (from, back) = (self.a.new_dynamic_label(), self.a.new_dynamic_label());
        dynasm!(self.a ; .arch x64 ; vmovd Rx(d), Rd(r) ; vcvtph2ps Rx(d), Rx(d));
        if self.native() {
            return;
        }
        dynasm!(self.a ; .arch x64 ; vucomiss Rx(d), Rx(d) ; jp =>from);
        if inst.ty == Ty::F64 {
            xop!(self, vcvtss2sd, d, d, d);
        }
        dynasm!(self.a ; .arch x64 ; =>back);
        self.out_of_line(v, inst, from, back, &[r], Reg::Xmm(d), false);
    }
    /// F32 to half precision, but for NaNs, the smallest normal result, and operands to be flushed.
    fn float_to_half(&mut self, v: Val, inst: Inst, a: Val, env: Fenv) {
        self.clobber();
        let s = self.xreg(a);
        let d = self.fresh(v);
        let (t, r) = (self.xtemp(), self.temp());
        let (from, back) = (self.a.new_dynamic_label(), self.a.new_dynamic_label());
        if !self.native() {
            self.rounding(env, from);
        }
        if env.flush {
            self.no_denormals(Lanes::of(Ty::F32), &[s], t, t);
            self.unless_all(Lanes::of(Ty::F32), t, r, from);
        }
        // Four lanes are converted: the others must be zero.
        let round = integral(Fenv { flag: true, ..env }).unwrap_or(0);
        dynasm!(self.a ; .arch x64
            ; vmovd Rd(r), Rx(s) ; vmovd Rx(t), Rd(r)
            ; vcvtps2ph Rx(t), Rx(t), if self.native() { round } else { BY_MXCSR }
            ; vmovd Rd(d), Rx(t));
        if self.native() {
            return;
        }
        dynasm!(self.a ; .arch x64
            ; mov Rd(r), Rd(d) ; and Rd(r), 0x7fff
            ; cmp Rd(r), 0x7c00 ; ja =>from
            ; cmp Rd(r), 0x400 ; je =>from
            ; =>back);
        self.out_of_line(v, inst, from, back, &[s], Reg::Gpr(d), false);
    }
}

/// How VCVTPS2PH rounds: by MXCSR.
const BY_MXCSR: i8 = 4;

/// What a guest whose floating point is the host's has no instruction for, or wants more of than the host's instruction
/// tells: it is interpreted.
fn foreign(op: Op) -> bool {
    let fixed = |round| !matches!(round, Round::Away | Round::Unmasked);
    match op {
        Op::FAdd { env, .. }
        | Op::FSub { env, .. }
        | Op::FMul { env, .. }
        | Op::FDiv { env, .. }
        | Op::FSqrt { env, .. }
        | Op::FMulAdd { env, .. }
        | Op::FCvt { env, .. } => env.round != Round::Current,
        Op::SToF { frac, env, .. } => frac != 0 || env.round != Round::Current,
        Op::FRound { env, .. } => !fixed(env.round),
        Op::FToS { frac, env, .. } => frac != 0 || !env.flag || !matches!(env.round, Round::Current | Round::Zero),
        Op::FToU { .. } | Op::UToF { .. } => true,
        Op::FFromHalf { env, .. } => env.flag,
        Op::FToHalf { env, .. } => env.flag || !fixed(env.round),
        Op::FEq { .. } | Op::FLt { .. } | Op::FLe { .. } | Op::FUn { .. } | Op::FStatus { .. } => false,
        vec_float_ops!() | pure_ops!() | effect_ops!() => false,
    }
}

/// What [`Flags::float`] is after comparing `a` with `b`.
fn compared(a: Val, b: Val, env: Fenv) -> Option<(Val, Val, bool, bool)> {
    Some((a, b, env.flag, env.flush))
}

fn guard(ty: Ty, env: Fenv, tiny: Tiny) -> Guard {
    let lanes = Lanes::of(ty);
    Guard {
        env,
        tiny,
        args: lanes,
        result: lanes,
    }
}

/// The host's conversion to integer serves: it raises inexact.
fn convertible(frac: u8, env: Fenv) -> bool {
    frac <= 64 && env.flag && (frac == 0 || !rounds_first(env))
}
