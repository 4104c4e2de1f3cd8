//! Floating point on the host, guarded (but for a guest whose floating point is the host's): its instruction inline where that is exact, the interpreter's exact one out of
//! line for operands and results where it may not be.
//!
//! The host differs from the guest in NaN results (which NaN, and its sign), in results at the edge of the denormals (it
//! judges tininess after rounding, the guest before), in everything denormal if the guest flushes, and in the rounding
//! mode if the operation has its own: MXCSR always holds the guest's current one. Where the attempt may raise flags
//! that the exact operation does not, MXCSR is noted before it, and taken back out of line.

use super::alloc::Reg;
use super::frame::{ARGS, MXCSR, RET};
use super::vec::{splat, xmem, xop};
use super::{Cold, Emit, What, mem::Saved};
use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi, dynasm};
use emu_ir::{Block, Fenv, Inst, Lane, Round, Rules, Ty, Val};

/// An operation done again exactly.
pub struct Exact {
    from: DynamicLabel,
    doubt: Option<Doubt>,
    back: DynamicLabel,
    block: Box<Block>,
    args: [Option<(u8, Ty)>; 3],
    result: Reg,
    insn: (u16, u32),
    saved: Saved,
    restore: bool,
}

/// What was not plainly right is looked at again before it is done again.
struct Doubt {
    from: DynamicLabel,
    guard: Guard,
    result: u8,
    args: [u8; 3],
    count: usize,
    temps: (u8, u8, u8),
    r: u8,
}

/// Whether a result may be tiny: between zero and the smallest normal number, before rounding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tiny {
    /// It cannot.
    Never,
    /// It may, but is exact then.
    Exact,
    /// It may be tiny and inexact. If one of the operands of these indices is zero, it is not.
    Inexact(&'static [usize]),
}

/// The lanes of a host instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lanes {
    /// Of 64 bits, else of 32.
    pub wide: bool,
    /// All that the register has, else the lowest alone.
    pub all: bool,
}

/// What an operation is guarded against.
#[derive(Clone, Copy, Debug)]
pub struct Guard {
    pub env: Fenv,
    pub tiny: Tiny,
    pub args: Lanes,
    pub result: Lanes,
}

/// The instruction for lanes of 32 or 64 bits.
macro_rules! by_width {
    ($e:expr, $lanes:expr, $d:ident $q:ident $(, $r:expr)*) => {
        if $lanes.wide {
            xop!($e, $q $(, $r)*)
        } else {
            xop!($e, $d $(, $r)*)
        }
    };
}
/// The same with a constant for its last operand.
macro_rules! by_width_mem {
    ($e:expr, $lanes:expr, $d:ident $q:ident, $to:expr, $x:expr, $c:expr) => {
        if $lanes.wide {
            xmem!($e, $q, $to, $x, $c)
        } else {
            xmem!($e, $d, $to, $x, $c)
        }
    };
}

/// How the host rounds to an integral number, if it can: with 8 it does not say that the result is inexact.
pub fn integral(env: Fenv) -> Option<i8> {
    let mode = match env.round {
        Round::Nearest => 0,
        Round::Down => 1,
        Round::Up => 2,
        Round::Zero => 3,
        Round::Current => 4,
        Round::Away | Round::Unmasked => return None,
    };
    Some(if env.flag { mode } else { mode | 8 })
}

/// Of a float `x`, `rank = 2x ^ sign` orders magnitudes as signed integers: zero is the least, NaNs the greatest.
impl Lanes {
    /// A scalar of a type.
    pub fn of(ty: Ty) -> Lanes {
        Lanes {
            wide: ty != Ty::F32,
            all: false,
        }
    }
    /// Every lane of a vector.
    pub fn every(e: Lane) -> Lanes {
        Lanes {
            wide: e.bits() == 64,
            all: true,
        }
    }
    /// A constant for 32-bit and one for 64-bit lanes.
    fn pick(self, narrow: u32, wide: u64) -> u128 {
        match self.wide {
            true => splat(Lane::I64, wide),
            false => splat(Lane::I32, narrow as u64),
        }
    }
    fn sign(self) -> u128 {
        self.pick(1 << 31, 1 << 63)
    }
    /// The rank of infinity.
    fn infinity(self) -> u128 {
        self.pick(0x7f00_0000, 0x7fe0_0000_0000_0000)
    }
    /// The rank of the smallest normal number.
    fn least(self) -> u128 {
        self.pick(0x8100_0000, 0x8020_0000_0000_0000)
    }
    /// The greatest rank below that of twice the smallest normal number.
    fn below_twice_least(self) -> u128 {
        self.pick(0x81ff_ffff, 0x803f_ffff_ffff_ffff)
    }
    /// What makes `2x` the rank less one: the greatest number for zero.
    fn before(self) -> u128 {
        self.pick(0x7fff_ffff, 0x7fff_ffff_ffff_ffff)
    }
    /// The greatest rank less one of a denormal, and one more.
    fn denormal(self) -> u128 {
        self.pick(0x80ff_fffe, 0x801f_ffff_ffff_fffe)
    }
}

impl Emit<'_> {
    /// The host's instruction `op` under guard.
    pub fn guarded(&mut self, v: Val, inst: Inst, args: &[Val], g: Guard, op: impl FnOnce(&mut Self, u8, &[u8])) {
        self.clobber();
        let mut regs = [0; 3];
        for (r, &a) in regs.iter_mut().zip(args) {
            *r = self.xreg(a);
        }
        let regs = &regs[..args.len()];
        let d = self.xdst(v);
        if self.native() {
            return op(self, d, regs);
        }
        let (from, back) = (self.a.new_dynamic_label(), self.a.new_dynamic_label());
        if g.env.flush {
            return self.guarded_flushing(v, inst, (regs, d), g, (from, back), op);
        }
        // Whatever is spilled for these must be before the first branch out of line.
        let t = self.xtemp();
        if g.result.all {
            let (bad, r) = (self.xtemp(), self.temp());
            self.rounding(g.env, from);
            op(self, d, regs);
            self.check_lanes(g, d, (bad, t));
            self.if_any(g.result, bad, r, from);
        } else {
            self.rounding(g.env, from);
            op(self, d, regs);
            self.check_scalar(g, d, t, from);
        }
        dynasm!(self.a ; .arch x64 ; =>back);
        self.out_of_line(v, inst, from, back, regs, Reg::Xmm(d), false);
    }
    /// The same where denormals are flushed: in line goes on what has normal numbers only; the rest is looked at out of
    /// line, as zeros and infinities are no reason to do it again.
    fn guarded_flushing(
        &mut self,
        v: Val,
        inst: Inst,
        (regs, d): (&[u8], u8),
        g: Guard,
        (from, back): (DynamicLabel, DynamicLabel),
        op: impl FnOnce(&mut Self, u8, &[u8]),
    ) {
        let temps = (self.xtemp(), self.xtemp(), self.xtemp());
        let r = self.temp();
        let doubt = self.a.new_dynamic_label();
        dynasm!(self.a ; .arch x64 ; vstmxcsr DWORD [r15 + MXCSR]);
        self.rounding(g.env, from);
        op(self, d, regs);
        match g.result {
            Lanes { all: false, .. } => self.normal_scalar(g, d, regs, temps.0, doubt),
            Lanes { wide: false, .. } => self.normal_lanes(inst.ty, d, regs, (temps.0, temps.1), r, doubt),
            Lanes { wide: true, .. } => dynasm!(self.a ; .arch x64 ; jmp =>doubt),
        }
        dynasm!(self.a ; .arch x64 ; =>back);
        self.out_of_line(v, inst, from, back, regs, Reg::Xmm(d), true);
        if let Some(Cold::Float(x)) = self.w.cold.last_mut() {
            x.doubt = Some(Doubt {
                from: doubt,
                guard: g,
                result: d,
                args: std::array::from_fn(|k| regs.get(k).copied().unwrap_or(0)),
                count: regs.len(),
                temps,
                r,
            });
        }
    }
    /// Branch unless the operands and the result are normal numbers or infinite, the result not the smallest.
    fn normal_scalar(&mut self, g: Guard, d: u8, regs: &[u8], t: u8, doubt: DynamicLabel) {
        let args = regs.iter().enumerate().filter(|(k, x)| !regs[..*k].contains(x));
        let args = args.map(|(_, &x)| (x, g.args.wide, 1));
        for (x, wide, least) in args.chain([(d, g.result.wide, 2)]) {
            // Unordered counts as below.
            if wide {
                let least = self.pool_label(least << 52);
                xmem!(self, vpand, t, x, !0 >> 65);
                dynasm!(self.a ; .arch x64 ; vucomisd Rx(t), [=>least] ; jb =>doubt);
            } else {
                let least = self.pool_label(least << 23);
                xmem!(self, vpand, t, x, !0 >> 97);
                dynasm!(self.a ; .arch x64 ; vucomiss Rx(t), [=>least] ; jb =>doubt);
            }
        }
    }
    /// The same for lanes of 32 bits. Doubled, the sign is gone, and a range is one comparison.
    fn normal_lanes(&mut self, ty: Ty, d: u8, regs: &[u8], (t, u): (u8, u8), r: u8, doubt: DynamicLabel) {
        const LEAST: u64 = 0x0200_0000;
        const RANGE: u64 = 0xff00_0000 - LEAST;
        for (k, &x) in regs.iter().enumerate() {
            xop!(self, vpaddd, if k == 0 { t } else { u }, x, x);
            if k > 0 {
                xop!(self, vpminud, t, t, u);
            }
        }
        xop!(self, vpaddd, u, d, d);
        xmem!(self, vpsubd, t, t, splat(Lane::I32, LEAST));
        xmem!(self, vpsubd, u, u, splat(Lane::I32, LEAST));
        xop!(self, vpmaxud, t, t, u);
        xmem!(self, vpmaxud, t, t, splat(Lane::I32, RANGE));
        xmem!(self, vpcmpeqd, t, t, splat(Lane::I32, RANGE));
        if ty == Ty::V64 {
            dynasm!(self.a ; .arch x64 ; vmovq Rq(r), Rx(t) ; cmp Rq(r), BYTE -1 ; jne =>doubt);
        } else {
            self.unless_all(Lanes::every(Lane::F32), t, r, doubt);
        }
    }
    /// The guest's floating point is the host's, whose MXCSR has what the guest's has: nothing is to be guarded against.
    pub fn native(&self) -> bool {
        matches!(self.layout.rules, Rules::X86 { .. })
    }
    /// Whether [`Emit::guarded`] knows the rounding mode.
    pub fn roundable(&self, env: Fenv) -> bool {
        env.round == Round::Current || env.round == Round::Nearest && !self.native()
    }
    /// An operation that always rounds to nearest goes out of line if the guest's current mode is another.
    pub fn rounding(&mut self, env: Fenv, from: DynamicLabel) {
        if env.round == Round::Nearest {
            let slot = self.layout.fp_round.off as i32;
            dynasm!(self.a ; .arch x64 ; cmp DWORD [r15 + slot], BYTE 0 ; jne =>from);
        }
    }

    /// `ok` = all ones in lanes where no operand is denormal, and the result neither a NaN nor tiny.
    fn check_flushed(&mut self, g: Guard, d: u8, regs: &[u8], (ok, t, u): (u8, u8, u8)) {
        self.no_denormals(g.args, regs, ok, t);
        if g.tiny == Tiny::Exact {
            self.no_denormals(g.result, &[d], t, u);
            xop!(self, vpand, ok, ok, t);
        }
        if let Tiny::Inexact(factors) = g.tiny {
            by_width!(self, g.result, vpaddd vpaddq, t, d, d);
            by_width_mem!(self, g.result, vpaddd vpaddq, t, t, g.result.sign());
            by_width_mem!(self, g.result, vpcmpgtd vpcmpgtq, t, t, g.result.below_twice_least());
            for &k in factors {
                by_width!(self, g.args, vpaddd vpaddq, u, regs[k], regs[k]);
                by_width_mem!(self, g.args, vpcmpeqd vpcmpeqq, u, u, 0);
                xop!(self, vpor, t, t, u);
            }
            xop!(self, vpand, ok, ok, t);
        }
        by_width!(self, g.result, vpaddd vpaddq, t, d, d);
        by_width_mem!(self, g.result, vpaddd vpaddq, t, t, g.result.sign());
        by_width_mem!(self, g.result, vpcmpgtd vpcmpgtq, t, t, g.result.infinity());
        xop!(self, vpandn, ok, t, ok);
    }
    /// `ok` = all ones in lanes where none of the operands is denormal.
    pub fn no_denormals(&mut self, lanes: Lanes, regs: &[u8], ok: u8, t: u8) {
        for (k, &x) in regs.iter().enumerate() {
            let to = if k == 0 { ok } else { t };
            by_width!(self, lanes, vpaddd vpaddq, to, x, x);
            by_width_mem!(self, lanes, vpaddd vpaddq, to, to, lanes.before());
            if lanes.wide {
                xmem!(self, vpcmpgtq, to, to, lanes.denormal());
            }
            match (k, lanes.wide) {
                (0, _) => {}
                (_, true) => xop!(self, vpand, ok, ok, t),
                (_, false) => xop!(self, vpminsd, ok, ok, t),
            }
        }
        if !lanes.wide {
            xmem!(self, vpcmpgtd, ok, ok, lanes.denormal());
        }
    }
    /// `bad` = all ones in lanes where the result is a NaN, or may have been tiny before it was rounded.
    fn check_lanes(&mut self, g: Guard, d: u8, (bad, t): (u8, u8)) {
        by_width!(self, g.result, vpaddd vpaddq, t, d, d);
        by_width_mem!(self, g.result, vpaddd vpaddq, t, t, g.result.sign());
        by_width_mem!(self, g.result, vpcmpgtd vpcmpgtq, bad, t, g.result.infinity());
        if let Tiny::Inexact(_) = g.tiny {
            by_width_mem!(self, g.result, vpcmpeqd vpcmpeqq, t, t, g.result.least());
            xop!(self, vpor, bad, bad, t);
        }
    }
    /// The same for a scalar, with the branch.
    fn check_scalar(&mut self, g: Guard, d: u8, t: u8, from: DynamicLabel) {
        let wide = g.result.wide;
        if let Tiny::Inexact(_) = g.tiny {
            let least = self.pool_label(if wide { 1 << 52 } else { 1 << 23 });
            xmem!(self, vpand, t, d, if wide { !0 >> 65 } else { !0 >> 97 });
            match wide {
                true => dynasm!(self.a ; .arch x64 ; vucomisd Rx(t), [=>least] ; je =>from),
                false => dynasm!(self.a ; .arch x64 ; vucomiss Rx(t), [=>least] ; je =>from),
            }
        } else {
            match wide {
                true => dynasm!(self.a ; .arch x64 ; vucomisd Rx(d), Rx(d) ; jp =>from),
                false => dynasm!(self.a ; .arch x64 ; vucomiss Rx(d), Rx(d) ; jp =>from),
            }
        }
    }
    /// Branch unless the mask is set in every lane.
    pub fn unless_all(&mut self, lanes: Lanes, mask: u8, r: u8, to: DynamicLabel) {
        if !lanes.all {
            dynasm!(self.a ; .arch x64 ; vmovd Rd(r), Rx(mask) ; test Rd(r), Rd(r) ; je =>to);
            return;
        }
        self.signs(lanes, r, mask);
        let every = if lanes.wide { 3 } else { 15 };
        dynasm!(self.a ; .arch x64 ; cmp Rd(r), BYTE every ; jne =>to);
    }
    /// Branch if the mask's sign is set in any lane.
    pub fn if_any(&mut self, lanes: Lanes, mask: u8, r: u8, to: DynamicLabel) {
        self.signs(lanes, r, mask);
        dynasm!(self.a ; .arch x64 ; test Rd(r), Rd(r) ; jne =>to);
    }
    /// `vmovmskps r, mask` or `vmovmskpd`, written out: the assembler knows no register that fits.
    fn signs(&mut self, lanes: Lanes, r: u8, mask: u8) {
        let registers = (!r >> 3 & 1) << 7 | 1 << 6 | (!mask >> 3 & 1) << 5;
        let prefix = [0xc4, registers | 1, 0x78 | lanes.wide as u8];
        self.a.extend(prefix);
        self.a.extend([0x50, 0xc0 | (r & 7) << 3 | mask & 7]);
    }

    /// Have the operation done exactly when control comes to `from`; it goes on at `back`. The result is in
    /// `result`. With `restore`, flags raised since MXCSR was noted are taken back.
    #[allow(clippy::too_many_arguments)]
    pub fn out_of_line(
        &mut self,
        v: Val,
        inst: Inst,
        from: DynamicLabel,
        back: DynamicLabel,
        regs: &[u8],
        result: Reg,
        restore: bool,
    ) {
        let (block, vals) = self.alone(inst);
        let mut given = regs.iter().zip(&vals).map(|(&r, &a)| (r, self.b.ty(a)));
        let args = std::array::from_fn(|_| given.next());
        let saved = self.saved(Some(v));
        self.w.cold.push(Cold::Float(Exact {
            from,
            doubt: None,
            back,
            block,
            args,
            result,
            insn: self.insn,
            saved,
            restore,
        }));
    }
    pub fn exact(&mut self, x: Exact) {
        let (from, back) = (x.from, x.back);
        if let Some(doubt) = x.doubt {
            let again = doubt.from;
            dynasm!(self.a ; .arch x64 ; =>again);
            self.check_flushed(doubt.guard, doubt.result, &doubt.args[..doubt.count], doubt.temps);
            self.unless_all(doubt.guard.result, doubt.temps.0, doubt.r, from);
            dynasm!(self.a ; .arch x64 ; jmp =>back);
        }
        dynasm!(self.a ; .arch x64 ; =>from);
        if x.restore {
            dynasm!(self.a ; .arch x64 ; vldmxcsr DWORD [r15 + MXCSR]);
        }
        self.save(&x.saved);
        for (k, (r, ty)) in x.args.into_iter().flatten().enumerate() {
            let at = ARGS + 16 * k as i32;
            if ty.is_int() {
                dynasm!(self.a ; .arch x64 ; mov [r15 + at], Rq(r) ; mov QWORD [r15 + at + 8], 0);
            } else {
                self.store_argument(ty, r, at);
            }
        }
        self.insn = x.insn;
        let site = self.site(What::Eval(x.block));
        let thunk = self.thunk(self.info.thunks.call);
        dynasm!(self.a ; .arch x64 ; mov edx, site as i32 ; call extern thunk);
        self.restore(&x.saved);
        match x.result {
            Reg::Xmm(d) => dynasm!(self.a ; .arch x64 ; vmovdqu Rx(d), [r15 + RET]),
            Reg::Gpr(d) => dynasm!(self.a ; .arch x64 ; mov Rq(d), [r15 + RET]),
        }
        dynasm!(self.a ; .arch x64 ; jmp =>back);
    }
}
