//! Integers: arithmetic and shifts. Values narrower than 32 bits are kept zero-extended.

use super::alloc::{Flags, Loc, Src};
use super::frame::PAGE_BASE;
use super::{Emit, cond};
use crate::classes::{const_ops, effect_ops, fp_ops, vec_ops};
use crate::pins;
use dynasmrt::{DynasmApi, dynasm};
use emu_ir::{Arith, Inst, Op, Ty, Val};

/// `op d, src` of a type: what is above in `d` stays, or is zero if the type has 32 bits.
macro_rules! alu {
    ($e:expr, $op:ident, $ty:expr, $d:expr, $src:expr) => {{
        let d = $d;
        match ($ty, $src) {
            (Ty::I64, Src::Reg(r)) => dynasm!($e.a ; .arch x64 ; $op Rq(d), Rq(r)),
            (Ty::I64, Src::Imm(i)) => match i8::try_from(i) {
                Ok(i) => dynasm!($e.a ; .arch x64 ; $op Rq(d), BYTE i),
                Err(_) => dynasm!($e.a ; .arch x64 ; $op Rq(d), i),
            },
            (Ty::I16, Src::Reg(r)) => dynasm!($e.a ; .arch x64 ; $op Rw(d), Rw(r)),
            (Ty::I16, Src::Imm(i)) => dynasm!($e.a ; .arch x64 ; $op Rw(d), WORD i as i16),
            (Ty::I8, Src::Reg(r)) => dynasm!($e.a ; .arch x64 ; $op Rb(d), Rb(r)),
            (Ty::I8, Src::Imm(i)) => dynasm!($e.a ; .arch x64 ; $op Rb(d), BYTE i as i8),
            (_, Src::Reg(r)) => dynasm!($e.a ; .arch x64 ; $op Rd(d), Rd(r)),
            (_, Src::Imm(i)) => match i8::try_from(i) {
                Ok(i) => dynasm!($e.a ; .arch x64 ; $op Rd(d), BYTE i),
                Err(_) => dynasm!($e.a ; .arch x64 ; $op Rd(d), i),
            },
        }
    }};
}

/// `op d, s` (or one operand) of registers at 32 or 64 bits.
macro_rules! reg_op {
    ($e:expr, $op:ident, $ty:expr, $d:expr $(, $s:expr)* $(; $n:expr)?) => {
        if $ty == Ty::I64 {
            dynasm!($e.a ; .arch x64 ; $op Rq($d) $(, Rq($s))* $(, $n)?)
        } else {
            dynasm!($e.a ; .arch x64 ; $op Rd($d) $(, Rd($s))* $(, $n)?)
        }
    };
}

/// The type that a bitwise operation is made in: of values that are zero-extended so is the result, and the host knows nothing
/// of what the register held before.
const fn whole(ty: Ty) -> Ty {
    match ty {
        Ty::I64 => Ty::I64,
        _ => Ty::I32,
    }
}

pub(super) use {alu, reg_op};

impl Emit<'_> {
    /// A pure operation whose type is an integer.
    #[expect(clippy::unreachable, reason = "`Emit::op` sends what makes integers")]
    pub fn int(&mut self, v: Val, inst: Inst) {
        let ty = inst.ty;
        let full = matches!(ty, Ty::I32 | Ty::I64);
        match inst.op {
            Op::PcRel { offset } => self.pc_rel(v, ty, offset),
            Op::Add { a, b } => self.add(v, ty, a, b),
            Op::Sub { a, b } => self.sub(v, ty, a, b),
            Op::AddShl { a, b, n } => self.add_shl(v, ty, a, b, n),
            Op::And { a, b } => self.logic(v, inst, a, b),
            Op::Or { a, b } => self.logic(v, inst, a, b),
            Op::Xor { a, b } => self.xor(v, inst, a, b),
            Op::AndNot { a, b } => self.and_not(v, ty, a, b),
            Op::Not { a } => {
                let s = self.low(a);
                let d = self.dst(v, Some(a));
                self.mov(ty, d, s);
                reg_op!(self, not, ty, d);
                self.narrow(ty, d);
            }
            Op::Neg { a } => {
                self.clobber();
                let s = self.low(a);
                let d = self.dst(v, Some(a));
                self.mov(ty, d, s);
                reg_op!(self, neg, ty, d);
                self.narrow(ty, d);
            }
            Op::Mul { a, b } => self.mul(v, ty, a, b),
            Op::MulHiU { a, b } | Op::MulHiS { a, b } if ty == Ty::I32 => {
                self.mul_high(v, a, b, matches!(inst.op, Op::MulHiS { .. }))
            }
            Op::MulHiU { a, b } | Op::MulHiS { a, b } if ty == Ty::I64 => {
                self.mul_high_long(v, a, b, matches!(inst.op, Op::MulHiS { .. }))
            }
            Op::DivU { a, b } if full => self.div(v, ty, a, b, false),
            Op::DivS { a, b } if full => self.div(v, ty, a, b, true),
            Op::Shl { a, b } | Op::ShrU { a, b } | Op::ShrS { a, b } | Op::Rotr { a, b } if full => {
                self.shift(v, inst, a, b)
            }
            Op::Clz { a } => self.count(v, ty, a, |e, d, s| reg_op!(e, lzcnt, ty, d, s)),
            Op::Ctz { a } => self.count(v, ty, a, |e, d, s| reg_op!(e, tzcnt, ty, d, s)),
            Op::Popcnt { a } => self.count(v, ty, a, |e, d, s| reg_op!(e, popcnt, ty, d, s)),
            Op::Bswap { a } => self.bswap(v, ty, a),
            Op::BitRev { a } if full => self.bit_rev(v, ty, a),
            Op::AddCarry { a, b } if full => self.add_flags(v, ty, a, b, cond::B),
            Op::AddOvf { a, b } if full => self.add_flags(v, ty, a, b, cond::O),
            Op::SubOvf { a, b } if full => {
                self.compare(ty, a, b);
                self.flag(v, cond::O);
            }
            Op::Adc { a, b, c } => self.adc(v, ty, a, b, c),
            Op::AdcCarry { a, b, c } if full => self.adc_flags(v, ty, a, b, c, cond::B),
            Op::AdcOvf { a, b, c } if full => self.adc_flags(v, ty, a, b, c, cond::O),
            Op::Sbb { a, b, c } => self.sbb(v, ty, a, b, c),
            Op::Status { how, a, b, c } => self.status(v, how, ty, (a, b, c)),
            Op::Cond { a, cc } => self.cond(v, a, cc),
            Op::Eq { a, b } => self.equal(v, ty, a, b, cond::E),
            Op::Ne { a, b } => self.equal(v, ty, a, b, cond::NE),
            Op::Ult { a, b } => self.less(v, ty, a, b, cond::B, cond::A),
            Op::Ule { a, b } => self.less(v, ty, a, b, cond::BE, cond::AE),
            Op::Slt { a, b } if full => self.signed(v, ty, a, b, cond::L, cond::G),
            Op::Sle { a, b } if full => self.signed(v, ty, a, b, cond::LE, cond::GE),
            Op::Select { c, a, b } => self.select(v, ty, c, a, b),
            Op::Zext { a } => self.zext(v, a),
            Op::Sext { a } => self.sext(v, ty, a),
            Op::Trunc { a } => self.trunc(v, ty, a),
            Op::Insert { a, b, at } => self.insert(v, ty, a, b, at),
            Op::Bitcast { a } if self.b.ty(a).is_int() => {
                let s = self.reg(a);
                let d = self.dst(v, Some(a));
                self.mov(ty, d, s);
            }
            Op::Bitcast { a } => self.get_lane(v, ty, a, 0),
            Op::VGetLane { a, i } => self.get_lane(v, ty, a, i),
            Op::VSigns { a, e } => {
                let x = self.xreg(a);
                let d = self.dst(v, None);
                // Without VEX, with which the assembler (dynasm 5.1) has none of them.
                match e.bits() {
                    8 => dynasm!(self.a ; .arch x64 ; pmovmskb Rd(d), Rx(x)),
                    32 => dynasm!(self.a ; .arch x64 ; movmskps Rd(d), Rx(x)),
                    _ => dynasm!(self.a ; .arch x64 ; movmskpd Rd(d), Rx(x)),
                }
            }
            // Of narrow types.
            Op::MulHiU { .. }
            | Op::MulHiS { .. }
            | Op::DivU { .. }
            | Op::DivS { .. }
            | Op::Shl { .. }
            | Op::ShrU { .. }
            | Op::ShrS { .. }
            | Op::Rotr { .. }
            | Op::BitRev { .. }
            | Op::AddCarry { .. }
            | Op::AddOvf { .. }
            | Op::SubOvf { .. }
            | Op::AdcCarry { .. }
            | Op::AdcOvf { .. }
            | Op::Slt { .. }
            | Op::Sle { .. } => self.interpret(v, inst),
            const_ops!() | vec_ops!() | fp_ops!() | effect_ops!() => {
                unreachable!("{} makes no integer", inst.op.name())
            }
        }
    }

    /// Above every value a register is zero: the longer one is in the same, unless a guest register wants it.
    fn zext(&mut self, v: Val, a: Val) {
        let hint = self.lives.vals[v.index()].hint;
        if hint != pins::NONE && self.loc(a) == Loc::Pin(hint) {
            self.w.pinned[hint as usize].push(v);
            return self.set_loc(v, Loc::Pin(hint));
        }
        let part = matches!(self.loc(a), Loc::Low(_));
        if hint == pins::NONE {
            if part {
                self.reg(a);
            }
            if self.share(v, a) {
                return;
            }
        }
        let (from, s) = (self.b.ty(a), self.low(a));
        let d = self.dst(v, Some(a));
        if part {
            self.zero_extend(from, d, s);
        } else {
            self.mov(from, d, s);
        }
    }
    /// Of a guest register that is kept the low bits are where they are, until somebody needs a register with no more than them.
    fn trunc(&mut self, v: Val, ty: Ty, a: Val) {
        if let Loc::Pin(p) | Loc::Low(p) = self.loc(a)
            && self.lives.vals[v.index()].hint == pins::NONE
        {
            self.w.pinned[p as usize].push(v);
            return self.set_loc(v, Loc::Low(p));
        }
        let s = self.low(a);
        let d = self.dst(v, Some(a));
        self.zero_extend(ty, d, s);
    }
    /// Zero-extend the result of an operation on I8 or I16.
    fn narrow(&mut self, ty: Ty, d: u8) {
        match ty {
            Ty::I8 => dynasm!(self.a ; .arch x64 ; movzx Rd(d), Rb(d)),
            Ty::I16 => dynasm!(self.a ; .arch x64 ; movzx Rd(d), Rw(d)),
            _ => {}
        }
    }

    fn pc_rel(&mut self, v: Val, ty: Ty, offset: i32) {
        let d = self.dst(v, None);
        if ty == Ty::I64 {
            dynasm!(self.a ; .arch x64 ; mov Rq(d), [r15 + PAGE_BASE]);
            if offset != 0 {
                dynasm!(self.a ; .arch x64 ; lea Rq(d), [Rq(d) + offset]);
            }
        } else {
            dynasm!(self.a ; .arch x64 ; mov Rd(d), [r15 + PAGE_BASE]);
            if offset != 0 {
                dynasm!(self.a ; .arch x64 ; lea Rd(d), [Rq(d) + offset]);
            }
        }
    }

    /// Whether the flags of the operation that makes `v` are wanted right after it.
    fn flags_wanted(&self, v: Val, a: Val, b: Val) -> bool {
        let near = self.lives.vals[self.i].comparison <= 6;
        near && self.ahead(self.b.insts.len()).take(6).any(|n| match n.op {
            Op::AddCarry { a: x, b: y } | Op::AddOvf { a: x, b: y } => x == a && y == b,
            Op::Status {
                how: Arith::Add,
                a: x,
                b: y,
                ..
            } => x == a && y == b,
            Op::Eq { a: x, b: y } | Op::Ne { a: x, b: y } | Op::Slt { a: x, b: y } => {
                x == v && self.b.constant(y) == Some(0)
            }
            _ => false,
        })
    }
    /// Whether all uses of `v` are comparisons with zero right after it, or where it is of a bitwise operation its status flags,
    /// so that it need not exist.
    fn only_flags(&self, v: Val, logic: bool) -> bool {
        let mut near = 0;
        self.lives.vals[v.index()].hint == pins::NONE
            && self.ahead(self.end(v)).all(|n| {
                near += 1;
                near <= 8
                    && match n.op {
                        Op::Eq { a, b } | Op::Ne { a, b } | Op::Slt { a, b } => a == v && self.b.constant(b) == Some(0),
                        Op::Status {
                            how: Arith::Logic, a, ..
                        } => logic && a == v,
                        Op::Const { .. } => true,
                        Op::Set { slot, a } => {
                            a != v
                                && self.pin(emu_ir::Slot { off: slot, ty: n.ty }).is_none()
                                && matches!(self.loc(a), Loc::Nowhere | Loc::Flag(_))
                        }
                        _ => false,
                    }
            })
    }

    fn add(&mut self, v: Val, ty: Ty, a: Val, b: Val) {
        let (a, b) = if self.loc(a) == Loc::Imm { (b, a) } else { (a, b) };
        if matches!(ty, Ty::I32 | Ty::I64) && !self.flags_wanted(v, a, b) && !self.flags_wanted(v, b, a) {
            return self.lea(v, ty, a, b);
        }
        self.clobber();
        self.two(v, ty, a, b, true, |e, d, s| alu!(e, add, ty, d, s));
        self.flags = Flags {
            add: Some((a, b, ty)),
            result: Some(v),
            ..Flags::default()
        };
    }
    /// Addition without flags.
    fn lea(&mut self, v: Val, ty: Ty, a: Val, b: Val) {
        let (s, o) = (self.low(a), self.low_src(b));
        let d = self.dst(v, Some(a));
        match (ty == Ty::I64, o) {
            (true, Src::Reg(r)) => dynasm!(self.a ; .arch x64 ; lea Rq(d), [Rq(s) + Rq(r)]),
            (true, Src::Imm(i)) => dynasm!(self.a ; .arch x64 ; lea Rq(d), [Rq(s) + i]),
            (false, Src::Reg(r)) => dynasm!(self.a ; .arch x64 ; lea Rd(d), [Rq(s) + Rq(r)]),
            (false, Src::Imm(i)) => dynasm!(self.a ; .arch x64 ; lea Rd(d), [Rq(s) + i]),
        }
    }
    /// Addition of a scaled value, without flags.
    fn add_shl(&mut self, v: Val, ty: Ty, a: Val, b: Val, n: u8) {
        let (s, r) = (self.low(a), self.low(b));
        let d = self.dst(v, Some(a));
        match (ty == Ty::I64, n) {
            (true, 1) => dynasm!(self.a ; .arch x64 ; lea Rq(d), [Rq(s) + Rq(r) * 2]),
            (true, 2) => dynasm!(self.a ; .arch x64 ; lea Rq(d), [Rq(s) + Rq(r) * 4]),
            (true, _) => dynasm!(self.a ; .arch x64 ; lea Rq(d), [Rq(s) + Rq(r) * 8]),
            (false, 1) => dynasm!(self.a ; .arch x64 ; lea Rd(d), [Rq(s) + Rq(r) * 2]),
            (false, 2) => dynasm!(self.a ; .arch x64 ; lea Rd(d), [Rq(s) + Rq(r) * 4]),
            (false, _) => dynasm!(self.a ; .arch x64 ; lea Rd(d), [Rq(s) + Rq(r) * 8]),
        }
    }
    fn sub(&mut self, v: Val, ty: Ty, a: Val, b: Val) {
        if matches!(ty, Ty::I32 | Ty::I64) && self.only_flags(v, false) {
            self.compare(ty, a, b);
            self.flags.result = Some(v);
            return;
        }
        if let (Ty::I32, Loc::Imm, false) = (ty, self.loc(b), self.sub_wanted(v, a, b)) {
            let (s, c) = (self.low(a), self.b.constant(b).unwrap_or(0) as i32);
            let d = self.dst(v, Some(a));
            dynasm!(self.a ; .arch x64 ; lea Rd(d), [Rq(s) + c.wrapping_neg()]);
            return;
        }
        self.clobber();
        self.two(v, ty, a, b, false, |e, d, s| alu!(e, sub, ty, d, s));
        self.flags = Flags {
            sub: Some((a, b, ty)),
            result: Some(v),
            ..Flags::default()
        };
    }
    fn sub_wanted(&self, v: Val, a: Val, b: Val) -> bool {
        self.flags_wanted(v, a, b)
            || self.lives.vals[self.i].comparison <= 8
                && self.ahead(self.b.insts.len()).take(8).any(|n| match n.op {
                    Op::SubOvf { a: x, b: y }
                    | Op::Status {
                        how: Arith::Sub,
                        a: x,
                        b: y,
                        ..
                    }
                    | Op::Eq { a: x, b: y }
                    | Op::Ult { a: x, b: y }
                    | Op::Ule { a: x, b: y }
                    | Op::Slt { a: x, b: y }
                    | Op::Sle { a: x, b: y } => (x, y) == (a, b) || (y, x) == (a, b),
                    _ => false,
                })
    }
    /// Whether a value's register is free for the result.
    fn gives_way(&self, v: Val) -> bool {
        matches!(self.loc(v), Loc::Gpr(_)) && self.dies(self.root(v))
    }
    /// A two-operand instruction: `d = a; op d, b`, minding what the destination aliases.
    pub(super) fn two(&mut self, v: Val, ty: Ty, a: Val, b: Val, commutes: bool, op: impl Fn(&mut Self, u8, Src)) {
        let swap = commutes && !self.gives_way(a) && self.gives_way(b);
        let (a, b) = if swap { (b, a) } else { (a, b) };
        // Of shorter operands the instruction may be of 32 bits, and what it does not write of the first stays.
        let (mut s, mut o) = match ty {
            Ty::I32 => (self.low(a), self.low_src(b)),
            _ => (self.reg(a), self.src(b)),
        };
        let mut d = self.dst(v, Some(a));
        let target = d;
        if o == Src::Reg(d) && s != d {
            if commutes {
                (s, o) = (d, Src::Reg(s));
            } else {
                d = self.temp();
            }
        }
        self.mov(ty, d, s);
        op(self, d, o);
        self.mov(ty, target, d);
    }
    fn logic(&mut self, v: Val, inst: Inst, a: Val, b: Val) {
        let ty = inst.ty;
        let (a, b) = if self.loc(a) == Loc::Imm { (b, a) } else { (a, b) };
        self.clobber();
        if matches!(inst.op, Op::And { .. }) && matches!(ty, Ty::I32 | Ty::I64) && self.only_flags(v, true) {
            let (s, o) = (self.low(a), self.low_src(b));
            match (ty == Ty::I64, o) {
                (true, Src::Reg(r)) => dynasm!(self.a ; .arch x64 ; test Rq(s), Rq(r)),
                (true, Src::Imm(i)) => dynasm!(self.a ; .arch x64 ; test Rq(s), i),
                (false, Src::Reg(r)) => dynasm!(self.a ; .arch x64 ; test Rd(s), Rd(r)),
                (false, Src::Imm(i)) => dynasm!(self.a ; .arch x64 ; test Rd(s), i),
            }
        } else {
            let whole = whole(ty);
            match inst.op {
                Op::And { .. } => self.two(v, ty, a, b, true, |e, d, s| alu!(e, and, whole, d, s)),
                Op::Or { .. } => self.two(v, ty, a, b, true, |e, d, s| alu!(e, or, whole, d, s)),
                _ => self.two(v, ty, a, b, true, |e, d, s| alu!(e, xor, whole, d, s)),
            }
        }
        if matches!(ty, Ty::I32 | Ty::I64) {
            self.flags.result = Some(v);
            self.flags.logic = Some(v);
        }
    }
    fn xor(&mut self, v: Val, inst: Inst, a: Val, b: Val) {
        match self.loc(a) {
            Loc::Flag(cc) if inst.ty == Ty::I8 && self.b.constant(b) == Some(1) => self.flag(v, cc ^ 1),
            _ => self.logic(v, inst, a, b),
        }
    }
    fn and_not(&mut self, v: Val, ty: Ty, a: Val, b: Val) {
        self.clobber();
        let s = self.reg(a);
        if let Src::Imm(i) = self.src(b) {
            return {
                let d = self.dst(v, Some(a));
                self.mov(ty, d, s);
                alu!(self, and, whole(ty), d, Src::Imm(!i));
            };
        }
        let o = self.reg(b);
        let d = self.dst(v, Some(a));
        reg_op!(self, andn, ty, d, o, s);
        if matches!(ty, Ty::I32 | Ty::I64) {
            self.flags.result = Some(v);
        }
    }
    #[expect(clippy::unreachable, reason = "a constant is taken before")]
    fn mul(&mut self, v: Val, ty: Ty, a: Val, b: Val) {
        self.clobber();
        let (a, b) = if self.loc(a) == Loc::Imm { (b, a) } else { (a, b) };
        if let Src::Imm(i) = self.low_src(b) {
            let s = self.low(a);
            let d = self.dst(v, Some(a));
            reg_op!(self, imul, ty, d, s; i);
            return self.narrow(ty, d);
        }
        self.two(v, ty, a, b, true, |e, d, s| {
            let Src::Reg(s) = s else {
                unreachable!("constants are handled above")
            };
            reg_op!(e, imul, ty, d, s);
            e.narrow(ty, d);
        });
    }
    /// High word of a 32-bit product, by one 64-bit multiplication.
    fn mul_high(&mut self, v: Val, a: Val, b: Val, signed: bool) {
        self.clobber();
        let (x, y) = (self.low(a), self.low(b));
        let (t, u) = (self.temp(), self.temp());
        if signed {
            dynasm!(self.a ; .arch x64 ; movsxd Rq(t), Rd(x) ; movsxd Rq(u), Rd(y) ; imul Rq(t), Rq(u));
        } else {
            dynasm!(self.a ; .arch x64 ; mov Rd(t), Rd(x) ; mov Rd(u), Rd(y) ; imul Rq(t), Rq(u));
        }
        dynasm!(self.a ; .arch x64 ; shr Rq(t), 32);
        let d = self.dst(v, None);
        self.mov(Ty::I32, d, t);
    }
    /// High half of a 64-bit product: rax and rdx are the host's.
    fn mul_high_long(&mut self, v: Val, a: Val, b: Val, signed: bool) {
        self.clobber();
        self.claim(0);
        self.claim(2);
        let (x, y) = (self.reg(a), self.reg(b));
        self.mov(Ty::I64, 0, x);
        if signed {
            dynasm!(self.a ; .arch x64 ; imul Rq(y));
        } else {
            dynasm!(self.a ; .arch x64 ; mul Rq(y));
        }
        self.unlock(x);
        self.unlock(y);
        let d = self.dst(v, None);
        self.mov(Ty::I64, d, 2);
    }
    /// Division: eax and edx are the host's; zero and MIN / -1 are answered without dividing.
    fn div(&mut self, v: Val, ty: Ty, a: Val, b: Val, signed: bool) {
        use dynasmrt::DynasmLabelApi;
        self.clobber();
        self.claim(0);
        self.claim(2);
        let (x, y) = (self.low(a), self.low(b));
        let divisor = self.temp();
        self.mov(ty, divisor, y);
        self.mov(ty, 0, x);
        self.unlock(x);
        self.unlock(y);
        let (done, zero) = (self.a.new_dynamic_label(), self.a.new_dynamic_label());
        reg_op!(self, test, ty, divisor, divisor);
        dynasm!(self.a ; .arch x64 ; jz =>zero);
        if signed {
            // Dividing by -1 is negation, which is also right for MIN.
            let ordinary = self.a.new_dynamic_label();
            self.cmp(ty, divisor, Src::Imm(-1));
            dynasm!(self.a ; .arch x64 ; jne =>ordinary);
            reg_op!(self, neg, ty, 0);
            dynasm!(self.a ; .arch x64 ; jmp =>done ; =>ordinary);
            if ty == Ty::I64 {
                dynasm!(self.a ; .arch x64 ; cqo);
            } else {
                dynasm!(self.a ; .arch x64 ; cdq);
            }
            reg_op!(self, idiv, ty, divisor);
        } else {
            dynasm!(self.a ; .arch x64 ; xor edx, edx);
            reg_op!(self, div, ty, divisor);
        }
        dynasm!(self.a ; .arch x64 ; jmp =>done ; =>zero ; xor eax, eax ; =>done);
        let d = self.dst(v, None);
        self.mov(ty, d, 0);
    }

    fn shift(&mut self, v: Val, inst: Inst, a: Val, b: Val) {
        let ty = inst.ty;
        if let Some(n) = self.b.constant(b) {
            return self.shift_imm(v, inst, a, n);
        }
        let (s, n) = (self.low(a), self.low(b));
        match inst.op {
            Op::Rotr { .. } => {
                self.clobber();
                self.locked = 0;
                self.claim(1);
                let (s, n) = (self.low(a), self.low(b));
                self.mov(Ty::I32, 1, n);
                let t = self.temp();
                self.mov(ty, t, s);
                if ty == Ty::I64 {
                    dynasm!(self.a ; .arch x64 ; ror Rq(t), cl);
                } else {
                    dynasm!(self.a ; .arch x64 ; ror Rd(t), cl);
                }
                let d = self.dst(v, None);
                self.mov(ty, d, t);
            }
            op if self.is_below(b, ty.bits()) => {
                let d = self.dst(v, Some(a));
                self.shift_short(op, ty, d, s, n);
            }
            Op::ShrS { .. } => {
                // Counts past the width act as width - 1.
                self.clobber();
                let t = self.temp();
                let width = ty.bits() as i32;
                let most = self.temp();
                self.imm(most, width as u64 - 1);
                self.mov(ty, t, n);
                self.cmp(ty, t, Src::Imm(width));
                cond::cmov(self.a, cond::AE, true, t, most);
                let d = self.dst(v, Some(a));
                self.shift_short(inst.op, ty, d, s, t);
            }
            op => {
                self.clobber();
                let (t, zero) = (self.temp(), self.temp());
                self.shift_short(op, ty, t, s, n);
                self.imm(zero, 0);
                self.cmp(ty, n, Src::Imm(ty.bits() as i32));
                cond::cmov(self.a, cond::AE, true, t, zero);
                let d = self.dst(v, None);
                self.mov(ty, d, t);
            }
        }
    }
    /// Whether a count is certainly below so much.
    fn is_below(&self, n: Val, width: u32) -> bool {
        match self.b.insts[n.index()].op {
            Op::And { b, .. } => self.b.constant(b).is_some_and(|most| most < u64::from(width)),
            _ => false,
        }
    }
    /// A shift by less than the width. No flags change.
    fn shift_short(&mut self, op: Op, ty: Ty, d: u8, s: u8, n: u8) {
        match op {
            Op::Shl { .. } => reg_op!(self, shlx, ty, d, s, n),
            Op::ShrS { .. } => reg_op!(self, sarx, ty, d, s, n),
            _ => reg_op!(self, shrx, ty, d, s, n),
        }
    }
    fn shift_imm(&mut self, v: Val, inst: Inst, a: Val, n: u64) {
        let (ty, width) = (inst.ty, inst.ty.bits() as u64);
        let n = match inst.op {
            Op::Rotr { .. } => n % width,
            Op::ShrS { .. } => n.min(width - 1),
            _ => n,
        };
        let s = self.low(a);
        if n >= width {
            let d = self.dst(v, None);
            return self.imm(d, 0);
        }
        if let Op::Rotr { .. } = inst.op {
            let d = self.dst(v, Some(a));
            return reg_op!(self, rorx, ty, d, s; n as i8);
        }
        self.clobber();
        let d = self.dst(v, Some(a));
        if n == 0 {
            return self.zero_extend(ty, d, s);
        }
        self.mov(ty, d, s);
        match inst.op {
            Op::Shl { .. } => reg_op!(self, shl, ty, d; n as i8),
            Op::ShrU { .. } => reg_op!(self, shr, ty, d; n as i8),
            _ => reg_op!(self, sar, ty, d; n as i8),
        }
    }
    fn count(&mut self, v: Val, ty: Ty, a: Val, op: impl Fn(&mut Self, u8, u8)) {
        self.clobber();
        let s = match ty {
            Ty::I32 => self.low(a),
            _ => self.reg(a),
        };
        let d = self.dst(v, Some(a));
        op(self, d, s);
    }
    fn bswap(&mut self, v: Val, ty: Ty, a: Val) {
        self.clobber();
        let s = self.low(a);
        let d = self.dst(v, Some(a));
        self.mov(ty, d, s);
        if ty == Ty::I16 {
            dynasm!(self.a ; .arch x64 ; bswap Rd(d) ; shr Rd(d), 16);
        } else {
            reg_op!(self, bswap, ty, d);
        }
    }
    fn bit_rev(&mut self, v: Val, ty: Ty, a: Val) {
        self.clobber();
        let s = self.reg(a);
        let (t, u, m) = (self.temp(), self.temp(), self.temp());
        self.mov(ty, t, s);
        reg_op!(self, bswap, ty, t);
        for (mask, n) in [
            (0x0f0f_0f0f_0f0f_0f0fu64, 4i8),
            (0x3333_3333_3333_3333, 2),
            (0x5555_5555_5555_5555, 1),
        ] {
            self.imm(m, if ty == Ty::I64 { mask } else { mask & 0xffff_ffff });
            self.mov(ty, u, t);
            reg_op!(self, shr, ty, u; n);
            reg_op!(self, and, ty, u, m);
            reg_op!(self, and, ty, t, m);
            reg_op!(self, shl, ty, t; n);
            reg_op!(self, or, ty, t, u);
        }
        let d = self.dst(v, None);
        self.mov(ty, d, t);
    }

    /// Some bits of `a` replaced.
    fn insert(&mut self, v: Val, ty: Ty, a: Val, b: Val, at: u8) {
        let from = self.b.ty(b);
        if at != 0 {
            self.clobber();
        }
        let s = self.reg(a);
        let o = match from {
            Ty::I8 | Ty::I16 => self.low(b),
            _ => self.reg(b),
        };
        let d = self.dst(v, Some(a));
        // The part may be in the register of the whole, as its own low bits.
        let t = if d == o { self.temp() } else { d };
        self.mov(ty, t, s);
        if at != 0 {
            dynasm!(self.a ; .arch x64 ; ror Rq(t), at as i8);
        }
        match from {
            Ty::I8 => dynasm!(self.a ; .arch x64 ; mov Rb(t), Rb(o)),
            Ty::I16 => dynasm!(self.a ; .arch x64 ; mov Rw(t), Rw(o)),
            _ => self.insert_long(t, o),
        }
        if at != 0 {
            dynasm!(self.a ; .arch x64 ; rol Rq(t), at as i8);
        }
        self.mov(ty, d, t);
    }
    /// The low 32 bits of `d` replaced.
    fn insert_long(&mut self, d: u8, s: u8) {
        self.clobber();
        dynasm!(self.a ; .arch x64 ; shr Rq(d), 32 ; shl Rq(d), 32 ; or Rq(d), Rq(s));
    }
    fn select(&mut self, v: Val, ty: Ty, c: Val, a: Val, b: Val) {
        let (x, y) = match ty {
            Ty::I32 => (self.low(a), self.low(b)),
            _ => (self.reg(a), self.reg(b)),
        };
        let cc = match self.loc(c) {
            Loc::Imm => {
                let s = if self.b.constant(c) == Some(0) { y } else { x };
                let d = self.dst(v, None);
                return self.mov(ty, d, s);
            }
            _ => self.condition(c),
        };
        let d = self.dst(v, Some(b));
        if d == x && d != y {
            // The destination already holds `a`: replace it by `b` when the condition fails.
            cond::cmov(self.a, cc ^ 1, ty == Ty::I64, d, y);
        } else {
            self.mov(ty, d, y);
            cond::cmov(self.a, cc, ty == Ty::I64, d, x);
        }
    }
    fn sext(&mut self, v: Val, ty: Ty, a: Val) {
        let s = self.low(a);
        let d = self.dst(v, Some(a));
        match (self.b.ty(a), ty) {
            (Ty::I8, Ty::I64) => dynasm!(self.a ; .arch x64 ; movsx Rq(d), Rb(s)),
            (Ty::I16, Ty::I64) => dynasm!(self.a ; .arch x64 ; movsx Rq(d), Rw(s)),
            (Ty::I32, _) => dynasm!(self.a ; .arch x64 ; movsxd Rq(d), Rd(s)),
            (Ty::I8, _) => dynasm!(self.a ; .arch x64 ; movsx Rd(d), Rb(s)),
            _ => dynasm!(self.a ; .arch x64 ; movsx Rd(d), Rw(s)),
        }
        self.narrow(ty, d);
    }
    /// A lane of a vector, or a float's bits, in an integer register.
    fn get_lane(&mut self, v: Val, ty: Ty, a: Val, i: u8) {
        let x = self.xreg(a);
        let d = self.dst(v, None);
        match ty {
            Ty::I8 => dynasm!(self.a ; .arch x64 ; vpextrb Rd(d), Rx(x), i as i8),
            Ty::I16 => dynasm!(self.a ; .arch x64 ; vpextrw Rd(d), Rx(x), i as i8),
            Ty::I64 if i == 0 => dynasm!(self.a ; .arch x64 ; vmovq Rq(d), Rx(x)),
            Ty::I64 => dynasm!(self.a ; .arch x64 ; vpextrq Rq(d), Rx(x), i as i8),
            _ if i == 0 => dynasm!(self.a ; .arch x64 ; vmovd Rd(d), Rx(x)),
            _ => dynasm!(self.a ; .arch x64 ; vpextrd Rd(d), Rx(x), i as i8),
        }
    }
}
