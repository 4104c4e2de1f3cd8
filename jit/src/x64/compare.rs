//! Comparisons, carries and overflows: conditions in the host's flags, by the arithmetic that set them.

use super::alloc::{Flags, Loc, Src};
use super::int::{alu, reg_op};
use super::{Emit, cond};
use dynasmrt::{DynasmApi, dynasm};
use emu_ir::{Ty, Val};

impl Emit<'_> {
    /// `cmp s, o`. The short immediate form is written out: the assembler's picks the long one.
    pub fn cmp(&mut self, ty: Ty, s: u8, o: Src) {
        let wide = ty == Ty::I64;
        match o {
            Src::Reg(r) if ty == Ty::I8 => dynasm!(self.a ; .arch x64 ; cmp Rb(s), Rb(r)),
            Src::Reg(r) if ty == Ty::I16 => dynasm!(self.a ; .arch x64 ; cmp Rw(s), Rw(r)),
            Src::Imm(i) if ty == Ty::I8 => dynasm!(self.a ; .arch x64 ; cmp Rb(s), BYTE i as i8),
            Src::Imm(i) if ty == Ty::I16 => dynasm!(self.a ; .arch x64 ; cmp Rw(s), WORD i as i16),
            Src::Reg(r) => reg_op!(self, cmp, ty, s, r),
            Src::Imm(i) => match (i8::try_from(i), wide) {
                (Ok(i), _) => self
                    .a
                    .extend([0x40 | (wide as u8) << 3 | s >> 3, 0x83, 0xf8 | s & 7, i as u8]),
                (Err(_), true) => dynasm!(self.a ; .arch x64 ; cmp Rq(s), i),
                (Err(_), false) => dynasm!(self.a ; .arch x64 ; cmp Rd(s), i),
            },
        }
    }

    /// The result is a condition in the flags.
    pub fn flag(&mut self, v: Val, cc: u8) {
        self.set_loc(v, Loc::Flag(cc));
        self.w.flags.push(v);
    }
    /// A condition code under which the boolean is 1.
    pub fn condition(&mut self, c: Val) -> u8 {
        match self.loc(c) {
            Loc::Flag(cc) => cc,
            _ => {
                let r = self.reg(c);
                self.clobber();
                dynasm!(self.a ; .arch x64 ; test Rd(r), Rd(r));
                cond::NE
            }
        }
    }
    /// The flags are those of `cmp a, b`.
    pub fn compare(&mut self, ty: Ty, a: Val, b: Val) {
        if self.flags.sub == Some((a, b, ty)) {
            return;
        }
        self.clobber();
        let (s, o) = (self.low(a), self.low_src(b));
        match o {
            Src::Imm(0) if matches!(ty, Ty::I32 | Ty::I64) => reg_op!(self, test, ty, s, s),
            _ => self.cmp(ty, s, o),
        }
        self.flags = Flags {
            sub: Some((a, b, ty)),
            ..Flags::default()
        };
    }
    pub fn equal(&mut self, v: Val, ty: Ty, a: Val, b: Val, cc: u8) {
        if self.b.constant(b) == Some(0) {
            if let Loc::Flag(of) = self.loc(a) {
                return self.flag(v, if cc == cond::E { of ^ 1 } else { of });
            }
            if self.flags.result == Some(a) {
                return self.flag(v, cc);
            }
        }
        if self.flags.sub != Some((b, a, ty)) {
            self.compare_either(ty, a, b);
        }
        self.flag(v, cc);
    }
    pub fn less(&mut self, v: Val, ty: Ty, a: Val, b: Val, cc: u8, swapped: u8) {
        if self.flags.sub == Some((b, a, ty)) {
            return self.flag(v, swapped);
        }
        if self.loc(a) == Loc::Imm {
            self.compare(ty, b, a);
            return self.flag(v, swapped);
        }
        self.compare(ty, a, b);
        self.flag(v, cc);
    }
    pub fn signed(&mut self, v: Val, ty: Ty, a: Val, b: Val, cc: u8, swapped: u8) {
        if cc == cond::L && self.b.constant(b) == Some(0) && self.flags.result == Some(a) {
            return self.flag(v, cond::S);
        }
        self.less(v, ty, a, b, cc, swapped);
    }
    pub fn compare_either(&mut self, ty: Ty, a: Val, b: Val) {
        if self.loc(a) == Loc::Imm && self.flags.sub != Some((a, b, ty)) {
            self.compare(ty, b, a);
        } else {
            self.compare(ty, a, b);
        }
    }
    pub fn add_flags(&mut self, v: Val, ty: Ty, a: Val, b: Val, cc: u8) {
        let set = |x, y| Some((x, y, ty));
        if self.flags.add != set(a, b) && self.flags.add != set(b, a) {
            self.clobber();
            let (x, y) = if self.loc(a) == Loc::Imm { (b, a) } else { (a, b) };
            let (s, o) = (self.low(x), self.low_src(y));
            let t = self.temp();
            self.mov(ty, t, s);
            alu!(self, add, ty, t, o);
            self.flags = Flags {
                add: set(a, b),
                ..Flags::default()
            };
        }
        self.flag(v, cc);
    }
    /// The host's carry becomes the boolean `c`.
    pub fn load_carry(&mut self, c: Val) {
        let there = self.loc(c) == Loc::Flag(cond::B);
        let r = if there { None } else { Some(self.reg(c)) };
        self.clobber();
        if let Some(r) = r {
            dynasm!(self.a ; .arch x64 ; bt Rd(r), 0);
            self.unlock(r);
        }
    }
    pub fn adc(&mut self, v: Val, ty: Ty, a: Val, b: Val, c: Val) {
        let (a, b) = if self.loc(a) == Loc::Imm { (b, a) } else { (a, b) };
        self.load_carry(c);
        self.two(v, ty, a, b, true, |e, d, s| alu!(e, adc, ty, d, s));
        self.flags = Flags {
            adc: Some((a, b, c, ty)),
            result: Some(v),
            ..Flags::default()
        };
    }
    pub fn sbb(&mut self, v: Val, ty: Ty, a: Val, b: Val, c: Val) {
        self.load_carry(c);
        self.two(v, ty, a, b, false, |e, d, s| alu!(e, sbb, ty, d, s));
        self.flags = Flags {
            sbb: Some((a, b, c, ty)),
            ..Flags::default()
        };
    }
    pub fn adc_flags(&mut self, v: Val, ty: Ty, a: Val, b: Val, c: Val, cc: u8) {
        let have = self.flags.adc;
        if have != Some((a, b, c, ty)) && have != Some((b, a, c, ty)) {
            let (x, y) = if self.loc(a) == Loc::Imm { (b, a) } else { (a, b) };
            let (s, o) = (self.low(x), self.low_src(y));
            let t = self.temp();
            self.mov(ty, t, s);
            self.load_carry(c);
            alu!(self, adc, ty, t, o);
            self.flags = Flags {
                adc: Some((a, b, c, ty)),
                ..Flags::default()
            };
        }
        self.flag(v, cc);
    }
}
