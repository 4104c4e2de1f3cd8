//! Vectors of half precision, which the host computes nothing in: four lanes at once as singles.
//!
//! A single has more than twice a half's bits and two, so that sums, products, quotients and roots rounded to one and then to
//! a half are as if rounded once; what is fused is summed in doubles, and rounded to an odd single on the way. No single is
//! tiny or too large here: the host's flags are the guest's but for what is tiny as a half, before rounding.

use super::Emit;
use super::alloc::Reg;
use super::frame::MXCSR;
use super::guard::Lanes;
use super::vec::{splat, xmem, xop, xop_imm};
use super::vec_float::predicate;
use dynasmrt::{DynasmApi, DynasmLabelApi, dynasm};
use emu_ir::{Fenv, Inst, Lane, Op, Relation, Ty, Val};

/// Of a double, what a single has no room for.
const LOW: u64 = (1 << 29) - 1;
/// Twice the next single beyond a half's smallest normal number.
const BEYOND_LEAST: u64 = 2 * 0x3880_0000 + 2;
/// From there to twice infinity.
const RANGE: u64 = 0xff00_0000 - BEYOND_LEAST;
/// Round by MXCSR.
const CURRENT: i8 = 4;

/// Registers to work in.
struct Work {
    /// The operands as singles.
    wide: [u8; 3],
    /// The result as singles.
    sum: u8,
    /// All ones in lanes that are plainly right.
    ok: u8,
    temps: [u8; 3],
}

impl Emit<'_> {
    /// An operation on lanes of half precision.
    pub fn half(&mut self, v: Val, inst: Inst) {
        match inst.op {
            Op::VFAdd { a, b, env, .. } if self.roundable(env) => self.by_singles(v, inst, &[a, b], env, |e, w| {
                xop!(e, vaddps, w.sum, w.wide[0], w.wide[1])
            }),
            Op::VFSub { a, b, env, .. } if self.roundable(env) => self.by_singles(v, inst, &[a, b], env, |e, w| {
                xop!(e, vsubps, w.sum, w.wide[0], w.wide[1])
            }),
            Op::VFMul { a, b, env, .. } if self.roundable(env) => self.by_singles(v, inst, &[a, b], env, |e, w| {
                xop!(e, vmulps, w.sum, w.wide[0], w.wide[1])
            }),
            Op::VFDiv { a, b, env, .. } if self.roundable(env) => self.by_singles(v, inst, &[a, b], env, |e, w| {
                xop!(e, vdivps, w.sum, w.wide[0], w.wide[1])
            }),
            Op::VFSqrt { a, env, .. } if self.roundable(env) => {
                self.by_singles(v, inst, &[a], env, |e, w| xop!(e, vsqrtps, w.sum, w.wide[0]))
            }
            Op::VFMulAdd { c, a, b, env, .. } if self.roundable(env) => {
                self.by_singles(v, inst, &[c, a, b], env, Self::fused_by_doubles)
            }
            Op::VFEq { a, b, env, .. } => self.half_relation(v, inst, [a, b], env, Relation::EQUAL),
            Op::VFGt { a, b, env, .. } => self.half_relation(v, inst, [a, b], env, Relation::GREATER),
            Op::VFCmp { a, b, is, env, .. } => self.half_relation(v, inst, [a, b], env, is),
            Op::VFGe { a, b, env, .. } => {
                self.half_relation(v, inst, [a, b], env, Relation::GREATER.or(Relation::EQUAL))
            }
            _ => self.interpret(v, inst),
        }
    }

    fn work(&mut self) -> Work {
        Work {
            wide: std::array::from_fn(|_| self.xtemp()),
            sum: self.xtemp(),
            ok: self.xtemp(),
            temps: std::array::from_fn(|_| self.xtemp()),
        }
    }

    /// What `op` makes of singles, four at once.
    fn by_singles(&mut self, v: Val, inst: Inst, args: &[Val], env: Fenv, op: impl Fn(&mut Self, &Work)) {
        self.clobber();
        let mut regs = [0; 3];
        regs.iter_mut().zip(args).for_each(|(r, &a)| *r = self.xreg(a));
        let regs = &regs[..args.len()];
        let d = self.xdst(v);
        // Whatever is spilled for these must be before the first branch out of line.
        let (w, r) = (self.work(), self.temp());
        let (from, back) = (self.a.new_dynamic_label(), self.a.new_dynamic_label());
        if env.flush {
            dynasm!(self.a ; .arch x64 ; vstmxcsr DWORD [r15 + MXCSR]);
        }
        self.rounding(env, from);
        for part in 0..parts(inst.ty) {
            self.singles(part, &w, regs, env);
            op(self, &w);
            self.check_single(w.sum, &w, part == 0 && !env.flush);
            xop!(self, vcvtps2ph, if part == 0 { d } else { w.sum }, w.sum; CURRENT);
            if part != 0 {
                xop!(self, vpunpcklqdq, d, d, w.sum);
            }
        }
        self.unless_all(Lanes::every(Lane::F32), w.ok, r, from);
        dynasm!(self.a ; .arch x64 ; =>back);
        self.out_of_line(v, inst, from, back, regs, Reg::Xmm(d), env.flush);
    }
    /// The four lanes of a part as singles. If denormals are flushed, such lanes are not plainly right.
    fn singles(&mut self, part: u32, w: &Work, regs: &[u8], env: Fenv) {
        for (k, (&wide, &x)) in w.wide.iter().zip(regs).enumerate() {
            if part == 0 {
                xop!(self, vcvtph2ps, wide, x);
            } else {
                xop!(self, vpsrldq, wide, x; 8);
                xop!(self, vcvtph2ps, wide, wide);
            }
            if env.flush {
                self.check_single(wide, w, part == 0 && k == 0);
            }
        }
    }
    /// `ok` stays, or if this is the first becomes, all ones in lanes that are zero, infinite, or more than a half's smallest
    /// normal number.
    fn check_single(&mut self, x: u8, w: &Work, first: bool) {
        let [t, u, least] = w.temps;
        xop!(self, vpaddd, t, x, x);
        xmem!(self, vpcmpeqd, u, t, 0);
        xmem!(self, vpsubd, t, t, splat(Lane::I32, BEYOND_LEAST));
        xmem!(self, vpminud, least, t, splat(Lane::I32, RANGE));
        xop!(self, vpcmpeqd, t, t, least);
        xop!(self, vpor, if first { w.ok } else { t }, t, u);
        if !first {
            xop!(self, vpand, w.ok, w.ok, t);
        }
    }
    /// The sum and product of doubles, two at once, as odd singles.
    fn fused_by_doubles(&mut self, w: &Work) {
        let [c, a, b] = w.temps;
        for pair in 0..2 {
            for (to, wide) in w.temps.into_iter().zip(w.wide) {
                if pair != 0 {
                    xop!(self, vpsrldq, wide, wide; 8);
                }
                xop!(self, vcvtps2pd, to, wide);
            }
            self.fused(Lane::F64, c, a, b);
            xmem!(self, vpand, a, c, splat(Lane::I64, LOW));
            xmem!(self, vpaddq, a, a, splat(Lane::I64, LOW));
            xop!(self, vpor, c, c, a);
            xmem!(self, vpand, c, c, splat(Lane::I64, !LOW));
            xop!(self, vcvtpd2ps, if pair == 0 { w.sum } else { c }, c);
        }
        xop!(self, vpunpcklqdq, w.sum, w.sum, c);
    }

    /// A comparison of singles: only flushed operands are done again.
    fn half_relation(&mut self, v: Val, inst: Inst, args: [Val; 2], env: Fenv, relation: Relation) {
        self.clobber();
        let regs = args.map(|a| self.xreg(a));
        let d = self.xdst(v);
        let (w, r) = (self.work(), self.temp());
        let (from, back) = (self.a.new_dynamic_label(), self.a.new_dynamic_label());
        xop!(self, vpxor, w.sum, w.sum, w.sum);
        for part in 0..parts(inst.ty) {
            self.singles(part, &w, &regs, env);
            let to = if part == 0 { d } else { w.sum };
            xop_imm!(self, vcmpps, to, w.wide[0], w.wide[1]; predicate(relation, env.flag));
        }
        xop!(self, vpackssdw, d, d, w.sum);
        if env.flush {
            self.unless_all(Lanes::every(Lane::F32), w.ok, r, from);
            dynasm!(self.a ; .arch x64 ; =>back);
            self.out_of_line(v, inst, from, back, &regs, Reg::Xmm(d), false);
        }
    }
}

/// How many singles there are, by four.
fn parts(ty: Ty) -> u32 {
    ty.bits() / 64
}
