//! Scalar floating point: the host's instruction inline, the interpreter's exact one out of line where the host's may
//! differ: a NaN result (whose choice and sign are the guest's), and a result that is the smallest normal number (whose
//! tininess the host judges after rounding).

use super::alloc::Flags;
use super::context::RET;
use super::{Cold, Emit, What, cond, mem::Saved};
use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi, dynasm};
use emu_ir::{Block, Fenv, Inst, Op, Round, Ty, Val};

/// An operation done again exactly.
pub struct Exact {
    from: DynamicLabel,
    back: DynamicLabel,
    block: Box<Block>,
    args: Vec<(u8, Ty)>,
    result: Result<u8, u8>,
    insn: (u16, u32),
    saved: Saved,
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
    pub fn float(&mut self, v: Val, inst: Inst) {
        let ty = inst.ty;
        match inst.op {
            Op::FAdd { a, b, env } if host(env) => self.arith(
                v,
                inst,
                &[a, b],
                false,
                |e, d, s| fp!(e, ty, vaddss vaddsd, d, s[0], s[1]),
            ),
            Op::FSub { a, b, env } if host(env) => self.arith(
                v,
                inst,
                &[a, b],
                false,
                |e, d, s| fp!(e, ty, vsubss vsubsd, d, s[0], s[1]),
            ),
            Op::FMul { a, b, env } if host(env) => self.arith(
                v,
                inst,
                &[a, b],
                true,
                |e, d, s| fp!(e, ty, vmulss vmulsd, d, s[0], s[1]),
            ),
            Op::FDiv { a, b, env } if host(env) => self.arith(
                v,
                inst,
                &[a, b],
                true,
                |e, d, s| fp!(e, ty, vdivss vdivsd, d, s[0], s[1]),
            ),
            Op::FSqrt { a, env } if host(env) => self.arith(
                v,
                inst,
                &[a],
                false,
                |e, d, s| fp!(e, ty, vsqrtss vsqrtsd, d, s[0], s[0]),
            ),
            Op::FMulAdd { c, a, b, env } if host(env) => self.arith(v, inst, &[c, a, b], true, |e, d, s| {
                dynasm!(e.a ; .arch x64 ; vmovdqa Rx(d), Rx(s[0]));
                fp!(e, ty, vfmadd231ss vfmadd231sd, d, s[1], s[2])
            }),
            Op::FCvt { a, env } if host(env) => self.arith(v, inst, &[a], ty == Ty::F32, |e, d, s| {
                if ty == Ty::F32 {
                    dynasm!(e.a ; .arch x64 ; vcvtsd2ss Rx(d), Rx(s[0]), Rx(s[0]))
                } else {
                    dynasm!(e.a ; .arch x64 ; vcvtss2sd Rx(d), Rx(s[0]), Rx(s[0]))
                }
            }),
            Op::FEq { a, b, env } if !env.flush => self.float_equal(v, ty, a, b, env),
            Op::FLt { a, b, env } if !env.flush => {
                self.float_compare(ty, b, a, env);
                self.flag(v, cond::A);
            }
            Op::FLe { a, b, env } if !env.flush => {
                self.float_compare(ty, b, a, env);
                self.flag(v, cond::AE);
            }
            Op::FUn { a, b, env } if !env.flush => {
                if self.flags.float != Some((b, a, env.flag)) {
                    self.float_compare(ty, a, b, env);
                }
                self.flag(v, cond::P);
            }
            Op::FToS { a, frac: 0, env } if ty == Ty::I32 && convertible(env) => self.signed_from(v, inst, a, env),
            Op::FToU { a, frac: 0, env } if ty == Ty::I32 && convertible(env) => self.unsigned_from(v, inst, a, env),
            Op::SToF { a, frac: 0, env } if env.round == Round::Current && self.b.ty(a) == Ty::I32 => {
                let r = self.reg(a);
                let d = self.xdst(v);
                dynasm!(self.a ; .arch x64 ; vpxor Rx(d), Rx(d), Rx(d));
                if ty == Ty::F32 {
                    dynasm!(self.a ; .arch x64 ; vcvtsi2ss Rx(d), Rx(d), Rd(r));
                } else {
                    dynasm!(self.a ; .arch x64 ; vcvtsi2sd Rx(d), Rx(d), Rd(r));
                }
            }
            Op::UToF { a, frac: 0, env } if env.round == Round::Current && self.b.ty(a) == Ty::I32 => {
                let r = self.reg(a);
                let d = self.xdst(v);
                dynasm!(self.a ; .arch x64 ; vpxor Rx(d), Rx(d), Rx(d));
                if ty == Ty::F32 {
                    dynasm!(self.a ; .arch x64 ; vcvtsi2ss Rx(d), Rx(d), Rq(r));
                } else {
                    dynasm!(self.a ; .arch x64 ; vcvtsi2sd Rx(d), Rx(d), Rq(r));
                }
            }
            _ => self.interpret(v, inst),
        }
    }

    /// The host's instruction, then the test for what it may not have done as the guest would.
    fn arith(&mut self, v: Val, inst: Inst, args: &[Val], tiny: bool, op: impl Fn(&mut Self, u8, &[u8])) {
        self.clobber();
        let mut regs = [0; 3];
        for (r, &a) in regs.iter_mut().zip(args) {
            *r = self.xreg(a);
        }
        let d = self.xdst(v);
        op(self, d, &regs[..args.len()]);
        let (from, back) = (self.a.new_dynamic_label(), self.a.new_dynamic_label());
        if tiny {
            let t = self.xtemp();
            let (magnitude, least) = match inst.ty {
                Ty::F32 => (self.pool_label(0x7fff_ffff), self.pool_label(0x0080_0000)),
                _ => (self.pool_label(!0 >> 65), self.pool_label(1 << 52)),
            };
            dynasm!(self.a ; .arch x64 ; vpand Rx(t), Rx(d), [=>magnitude]);
            if inst.ty == Ty::F32 {
                dynasm!(self.a ; .arch x64 ; vucomiss Rx(t), [=>least] ; je =>from);
            } else {
                dynasm!(self.a ; .arch x64 ; vucomisd Rx(t), [=>least] ; je =>from);
            }
        } else {
            fp!(self, inst.ty, vucomiss vucomisd, d, d);
            dynasm!(self.a ; .arch x64 ; jp =>from);
        }
        dynasm!(self.a ; .arch x64 ; =>back);
        self.out_of_line(v, inst, from, back, &regs[..args.len()], Ok(d));
    }
    fn out_of_line(
        &mut self,
        v: Val,
        inst: Inst,
        from: DynamicLabel,
        back: DynamicLabel,
        regs: &[u8],
        result: Result<u8, u8>,
    ) {
        let (block, vals) = self.alone(inst);
        let args = regs.iter().zip(&vals).map(|(&r, &a)| (r, self.b.ty(a))).collect();
        let saved = self.saved(Some(v));
        self.cold.push(Cold::Float(Exact {
            from,
            back,
            block,
            args,
            result,
            insn: self.insn,
            saved,
        }));
    }
    pub fn exact(&mut self, x: Exact) {
        let (from, back) = (x.from, x.back);
        dynasm!(self.a ; .arch x64 ; =>from);
        self.save(&x.saved);
        for (k, &(r, ty)) in x.args.iter().enumerate() {
            self.store_argument(ty, r, super::context::ARGS + 16 * k as i32);
        }
        self.insn = x.insn;
        let site = self.site(What::Eval(x.block));
        let thunk = self.thunk(self.t.thunks.call);
        dynasm!(self.a ; .arch x64 ; mov edx, site as i32 ; call extern thunk);
        self.restore(&x.saved);
        match x.result {
            Ok(d) => dynasm!(self.a ; .arch x64 ; vmovdqu Rx(d), [r15 + RET]),
            Err(d) => dynasm!(self.a ; .arch x64 ; mov Rd(d), [r15 + RET]),
        }
        dynasm!(self.a ; .arch x64 ; jmp =>back);
    }

    /// The flags are those of comparing `a` with `b`.
    fn float_compare(&mut self, ty: Ty, a: Val, b: Val, env: Fenv) {
        if self.flags.float == Some((a, b, env.flag)) {
            return;
        }
        self.clobber();
        let (x, y) = (self.xreg(a), self.xreg(b));
        match env.flag {
            true => fp!(self, ty, vcomiss vcomisd, x, y),
            false => fp!(self, ty, vucomiss vucomisd, x, y),
        }
        self.flags = Flags {
            float: Some((a, b, env.flag)),
            ..Flags::default()
        };
    }
    /// Equal and ordered takes two conditions: the result is made at once.
    fn float_equal(&mut self, v: Val, ty: Ty, a: Val, b: Val, env: Fenv) {
        if self.flags.float != Some((b, a, env.flag)) {
            self.float_compare(ty, a, b, env);
        }
        let (t, zero) = (self.temp(), self.temp());
        cond::setcc(&mut self.a, cond::E, t);
        self.imm(zero, 0);
        dynasm!(self.a ; .arch x64 ; movzx Rd(t), Rb(t));
        cond::cmov(&mut self.a, cond::P, false, t, zero);
        let d = self.dst(v, None);
        self.mov(Ty::I32, d, t);
    }

    fn signed_from(&mut self, v: Val, inst: Inst, a: Val, env: Fenv) {
        self.clobber();
        let s = self.xreg(a);
        let d = self.fresh(v);
        let from_ty = self.b.ty(a);
        match (from_ty == Ty::F32, env.round == Round::Zero) {
            (true, true) => dynasm!(self.a ; .arch x64 ; vcvttss2si Rd(d), Rx(s)),
            (true, false) => dynasm!(self.a ; .arch x64 ; vcvtss2si Rd(d), Rx(s)),
            (false, true) => dynasm!(self.a ; .arch x64 ; vcvttsd2si Rd(d), Rx(s)),
            (false, false) => dynasm!(self.a ; .arch x64 ; vcvtsd2si Rd(d), Rx(s)),
        }
        // Out of range and NaN give MIN, raising invalid alone, as the exact conversion does.
        let (from, back) = (self.a.new_dynamic_label(), self.a.new_dynamic_label());
        dynasm!(self.a ; .arch x64 ; cmp Rd(d), i32::MIN ; je =>from ; =>back);
        self.out_of_line(v, inst, from, back, &[s], Err(d));
    }
    fn unsigned_from(&mut self, v: Val, inst: Inst, a: Val, env: Fenv) {
        self.clobber();
        let s = self.xreg(a);
        let d = self.fresh(v);
        let f32 = self.b.ty(a) == Ty::F32;
        let (from, back) = (self.a.new_dynamic_label(), self.a.new_dynamic_label());
        // Only 0 <= a < 2^31 is the host's; the comparison itself must not raise flags for quiet NaNs.
        let t = self.temp();
        if f32 {
            dynasm!(self.a ; .arch x64 ; vmovd Rd(t), Rx(s) ; cmp Rd(t), 0x4f00_0000u32 as i32 ; jae =>from);
        } else {
            let u = self.temp();
            dynasm!(self.a ; .arch x64 ; vmovq Rq(t), Rx(s) ; mov Rq(u), QWORD 0x41e0_0000_0000_0000u64 as i64
                ; cmp Rq(t), Rq(u) ; jae =>from);
        }
        match (f32, env.round == Round::Zero) {
            (true, true) => dynasm!(self.a ; .arch x64 ; vcvttss2si Rq(d), Rx(s)),
            (true, false) => dynasm!(self.a ; .arch x64 ; vcvtss2si Rq(d), Rx(s)),
            (false, true) => dynasm!(self.a ; .arch x64 ; vcvttsd2si Rq(d), Rx(s)),
            (false, false) => dynasm!(self.a ; .arch x64 ; vcvtsd2si Rq(d), Rx(s)),
        }
        dynasm!(self.a ; .arch x64 ; =>back);
        self.out_of_line(v, inst, from, back, &[s], Err(d));
    }
}

/// The host's arithmetic serves: the current rounding mode, denormals as they are.
fn host(env: Fenv) -> bool {
    env.round == Round::Current && !env.flush
}

/// The host's conversion to integer serves: it raises inexact.
fn convertible(env: Fenv) -> bool {
    matches!(env.round, Round::Current | Round::Zero) && !env.flush && env.flag
}
