//! Status flags: the host's own, from what makes them to what looks at them.
//!
//! LAHF, SETO and MOV change none, so that they are stored where somebody may see them and stay to be looked at.

use super::alloc::{Flags, Loc, Src};
use super::int::alu;
use super::{Emit, cond};
use dynasmrt::{DynasmApi, dynasm};
use emu_ir::{
    Arith, Effect, Op, STATUS_AUXILIARY, STATUS_CARRY, STATUS_OVERFLOW, STATUS_PARITY, STATUS_SIGN, STATUS_ZERO, Ty,
    Val,
};

impl Emit<'_> {
    /// The status flags of arithmetic: often they are in the host's already, by the operation that made its result.
    pub fn status(&mut self, v: Val, how: Arith, ty: Ty, (a, b, c): (Val, Val, Val)) {
        if !self.has_status(how, ty, (a, b, c)) {
            match how {
                Arith::Add => self.status_of_sum(ty, a, b),
                Arith::Sub => self.compare(ty, a, b),
                Arith::Adc | Arith::Sbb => self.status_with_carry(how, ty, (a, b, c)),
                Arith::Logic => self.status_of_logic(ty, a),
                Arith::Inc | Arith::Dec => self.status_of_step(how, ty, a, c),
                Arith::Rol | Arith::Ror => self.status_of_rotate(how, ty, a, c),
                Arith::Shl | Arith::Shr | Arith::Sar => return self.status_of_shift(v, how, ty, a),
            }
        }
        self.has_status_of(v);
    }
    /// The host's status flags are this value.
    pub fn has_status_of(&mut self, v: Val) {
        self.flags.status = Some(v);
        self.set_loc(v, Loc::Status);
        self.w.flags.push(v);
    }
    fn has_status(&self, how: Arith, ty: Ty, (a, b, c): (Val, Val, Val)) -> bool {
        let f = &self.flags;
        let carry = |of: Option<(Val, Val, Val, Ty)>| {
            let is_carry = |bool: Val| match self.b.insts[bool.index()].op {
                Op::Cond { a, cc: cond::B } => a == c,
                _ => false,
            };
            of.is_some_and(|(x, y, bool, t)| (x, y, t) == (a, b, ty) && is_carry(bool))
        };
        match how {
            Arith::Add => f.add == Some((a, b, ty)) || f.add == Some((b, a, ty)),
            Arith::Sub => f.sub == Some((a, b, ty)),
            Arith::Adc => carry(f.adc),
            Arith::Sbb => carry(f.sbb),
            Arith::Logic => f.logic == Some(a),
            Arith::Inc | Arith::Dec | Arith::Shl | Arith::Shr | Arith::Sar | Arith::Rol | Arith::Ror => false,
        }
    }
    /// `a` in a register of its own.
    fn copy(&mut self, a: Val) -> u8 {
        let (s, t) = (self.low(a), self.temp());
        self.mov(Ty::I64, t, s);
        t
    }
    fn status_of_sum(&mut self, ty: Ty, a: Val, b: Val) {
        self.clobber();
        let (x, y) = if self.loc(a) == Loc::Imm { (b, a) } else { (a, b) };
        let o = self.low_src(y);
        let t = self.copy(x);
        alu!(self, add, ty, t, o);
        self.flags = Flags {
            add: Some((a, b, ty)),
            ..Flags::default()
        };
    }
    fn status_with_carry(&mut self, how: Arith, ty: Ty, (a, b, c): (Val, Val, Val)) {
        self.clobber();
        let o = self.low_src(b);
        let t = self.copy(a);
        self.carry_of(c);
        match how {
            Arith::Adc => alu!(self, adc, ty, t, o),
            _ => alu!(self, sbb, ty, t, o),
        }
    }
    fn status_of_logic(&mut self, ty: Ty, a: Val) {
        self.clobber();
        let s = self.low(a);
        match ty {
            Ty::I8 => dynasm!(self.a ; .arch x64 ; test Rb(s), Rb(s)),
            Ty::I16 => dynasm!(self.a ; .arch x64 ; test Rw(s), Rw(s)),
            Ty::I64 => dynasm!(self.a ; .arch x64 ; test Rq(s), Rq(s)),
            _ => dynasm!(self.a ; .arch x64 ; test Rd(s), Rd(s)),
        }
        self.flags.logic = Some(a);
        if matches!(ty, Ty::I32 | Ty::I64) {
            self.flags.result = Some(a);
        }
    }
    fn status_of_step(&mut self, how: Arith, ty: Ty, a: Val, c: Val) {
        let there = self.flags.status == Some(c);
        self.clobber();
        let t = self.copy(a);
        if !there {
            self.carry_of(c);
        }
        match (how, ty) {
            (Arith::Inc, Ty::I8) => dynasm!(self.a ; .arch x64 ; inc Rb(t)),
            (Arith::Inc, Ty::I16) => dynasm!(self.a ; .arch x64 ; inc Rw(t)),
            (Arith::Inc, Ty::I64) => dynasm!(self.a ; .arch x64 ; inc Rq(t)),
            (Arith::Inc, _) => dynasm!(self.a ; .arch x64 ; inc Rd(t)),
            (_, Ty::I8) => dynasm!(self.a ; .arch x64 ; dec Rb(t)),
            (_, Ty::I16) => dynasm!(self.a ; .arch x64 ; dec Rw(t)),
            (_, Ty::I64) => dynasm!(self.a ; .arch x64 ; dec Rq(t)),
            (..) => dynasm!(self.a ; .arch x64 ; dec Rd(t)),
        }
    }
    /// Rotates leave the flags that they do not set.
    fn status_of_rotate(&mut self, how: Arith, ty: Ty, a: Val, c: Val) {
        if self.loc(c) != Loc::Status && self.flags.status != Some(c) {
            self.load_status(c);
        }
        let t = self.copy(a);
        self.clobber();
        match (how, ty) {
            (Arith::Rol, Ty::I8) => dynasm!(self.a ; .arch x64 ; rol Rb(t), 1),
            (Arith::Rol, Ty::I16) => dynasm!(self.a ; .arch x64 ; rol Rw(t), 1),
            (Arith::Rol, Ty::I64) => dynasm!(self.a ; .arch x64 ; rol Rq(t), 1),
            (Arith::Rol, _) => dynasm!(self.a ; .arch x64 ; rol Rd(t), 1),
            (_, Ty::I8) => dynasm!(self.a ; .arch x64 ; ror Rb(t), 1),
            (_, Ty::I16) => dynasm!(self.a ; .arch x64 ; ror Rw(t), 1),
            (_, Ty::I64) => dynasm!(self.a ; .arch x64 ; ror Rq(t), 1),
            (..) => dynasm!(self.a ; .arch x64 ; ror Rd(t), 1),
        }
    }
    /// Shifts leave AF undefined, of which a word is made that has 0 there.
    fn status_of_shift(&mut self, v: Val, how: Arith, ty: Ty, a: Val) {
        self.clobber();
        let t = self.copy(a);
        match (how, ty) {
            (Arith::Shl, Ty::I8) => dynasm!(self.a ; .arch x64 ; shl Rb(t), 1),
            (Arith::Shl, Ty::I16) => dynasm!(self.a ; .arch x64 ; shl Rw(t), 1),
            (Arith::Shl, Ty::I64) => dynasm!(self.a ; .arch x64 ; shl Rq(t), 1),
            (Arith::Shl, _) => dynasm!(self.a ; .arch x64 ; shl Rd(t), 1),
            (Arith::Shr, Ty::I8) => dynasm!(self.a ; .arch x64 ; shr Rb(t), 1),
            (Arith::Shr, Ty::I16) => dynasm!(self.a ; .arch x64 ; shr Rw(t), 1),
            (Arith::Shr, Ty::I64) => dynasm!(self.a ; .arch x64 ; shr Rq(t), 1),
            (Arith::Shr, _) => dynasm!(self.a ; .arch x64 ; shr Rd(t), 1),
            (_, Ty::I8) => dynasm!(self.a ; .arch x64 ; sar Rb(t), 1),
            (_, Ty::I16) => dynasm!(self.a ; .arch x64 ; sar Rw(t), 1),
            (_, Ty::I64) => dynasm!(self.a ; .arch x64 ; sar Rq(t), 1),
            (..) => dynasm!(self.a ; .arch x64 ; sar Rd(t), 1),
        }
        self.unlock(t);
        self.materialize_status(v);
        let word = self.reg(v);
        dynasm!(self.a ; .arch x64 ; and Rd(word), !i32::from(STATUS_AUXILIARY));
        self.unlock(word);
    }
    /// The host's carry becomes that of a word.
    fn carry_of(&mut self, c: Val) {
        let r = self.reg(c);
        dynasm!(self.a ; .arch x64 ; bt Rd(r), BYTE STATUS_CARRY.trailing_zeros() as i8);
        self.unlock(r);
    }

    /// A condition of status flags.
    pub fn cond(&mut self, v: Val, a: Val, cc: u8) {
        if self.loc(a) != Loc::Status && self.flags.status != Some(a) {
            if let Some(bits) = single(cc) {
                return self.cond_of_bits(v, a, bits, cc & 1 != 0);
            }
            self.load_status(a);
        }
        self.flag(v, cc);
    }
    /// Whether one of some bits is set, or with `none` that none is.
    fn cond_of_bits(&mut self, v: Val, a: Val, bits: u16, none: bool) {
        self.clobber();
        let r = self.reg(a);
        if bits == STATUS_CARRY {
            // The host's carry is what those want who take one.
            dynasm!(self.a ; .arch x64 ; bt Rd(r), BYTE STATUS_CARRY.trailing_zeros() as i8);
            return self.flag(v, if none { cond::AE } else { cond::B });
        }
        dynasm!(self.a ; .arch x64 ; test Rd(r), bits as i32);
        self.flag(v, if none { cond::E } else { cond::NE });
    }
    /// The host's flags become a word.
    fn load_status(&mut self, a: Val) {
        self.clobber();
        let s = self.reg(a);
        if s != 0 {
            self.claim(0);
            self.mov(Ty::I32, 0, s);
            dynasm!(self.a ; .arch x64 ; add al, 0x7f ; sahf);
            self.unlock(0);
        } else {
            let t = self.temp();
            dynasm!(self.a ; .arch x64 ; mov Rq(t), rax ; add al, 0x7f ; sahf ; mov rax, Rq(t));
            self.unlock(t);
        }
        self.unlock(s);
        self.flags.status = Some(a);
    }
    /// Store the host's status flags, which are this value; they stay. Where somebody looks at them who comes when they are gone,
    /// the word is kept.
    pub fn store_status(&mut self, v: Val, at: i32) {
        if self.is_wanted_later(v) {
            self.materialize_status(v);
            let r = self.reg(v);
            dynasm!(self.a ; .arch x64 ; mov [r15 + at], Rw(r));
            self.unlock(r);
        } else if self.is_spare(0) {
            dynasm!(self.a ; .arch x64 ; lahf ; seto al ; mov [r15 + at], ax);
        } else {
            let t = self.temp();
            dynasm!(self.a ; .arch x64
                ; mov Rq(t), rax
                ; lahf
                ; seto al
                ; mov [r15 + at], ax
                ; mov rax, Rq(t));
        }
    }
}

impl Emit<'_> {
    /// Whether the host's flags change before a value's last use.
    fn is_wanted_later(&self, v: Val) -> bool {
        let mut between = self.ahead(self.end(v));
        // The last is the use.
        let last = between.next_back();
        last.is_some()
            && between.any(|inst| match inst.op.effect() {
                Effect::Get | Effect::Set | Effect::Position => false,
                Effect::Pure => !matches!(
                    inst.op,
                    Op::Const { .. } | Op::Zext { .. } | Op::Trunc { .. } | Op::Cond { .. }
                ),
                _ => true,
            })
    }
}

/// The flags of which a condition, or its opposite, wants one to be set.
fn single(cc: u8) -> Option<u16> {
    Some(match cc >> 1 {
        0 => STATUS_OVERFLOW,
        1 => STATUS_CARRY,
        2 => STATUS_ZERO,
        3 => STATUS_CARRY | STATUS_ZERO,
        4 => STATUS_SIGN,
        5 => STATUS_PARITY,
        _ => return None,
    })
}
