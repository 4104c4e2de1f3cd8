//! Operands by what instructions do with them: those that instructions do not name, and what memory holds where they look.

use super::record::{CODE16, CODE32, CODE64, FLAT, WINDOW_SIZE};
use super::states::{AX, BX, COUNTS, CX, DI, DX, Maker, SI, place};
use super::words::{code_selector, data_selector};
use super::x87;
use emu_frontend_x86::decode::row::Method;
use emu_frontend_x86::state::bits::eflags;

impl Maker<'_> {
    /// Operands that the instruction does not name.
    pub fn implied(&mut self) {
        if self.uses(&[Method::X, Method::Y]) {
            self.strings();
        }
        let name = self.name();
        let counts = name.starts_with("loop") || name == "jcxz" || self.uses(&[Method::Register(1)]);
        if counts && self.random.below(4) != 0 {
            let count = self.random.pick(COUNTS) | self.random.pick(&[0, 0xffff_ff00, 0xabcd_0000_0000_0000]);
            self.set(CX, count);
        }
        match name {
            "xlat" => {
                let at = self.somewhere().wrapping_sub(self.r.regs[AX] & 0xff);
                self.set(BX, at);
            }
            "maskmovq" | "maskmovdqu" => {
                let at = self.somewhere();
                self.set(DI, at);
            }
            "div" | "idiv" => self.dividend(),
            "daa" | "das" | "aaa" | "aas" | "aam" | "aad" => {
                let digits = self.random.next() & 0xffff;
                self.set(AX, digits);
            }
            "pcmpestrm" | "pcmpestri" => {
                for n in [AX, DX] {
                    let length = self.random.below(20).wrapping_sub(2);
                    self.set(n, length);
                }
            }
            "xsave" | "xrstor" | "xsaveopt" | "xsavec" => {
                // Components that every processor with AVX has.
                let components = self.random.pick(&[7, 7, 6, 5, 4, 3, 2, 1, 0, 0x70]);
                self.set(AX, components);
                self.set(DX, 0);
            }
            _ => {}
        }
    }

    /// The number of the segment that an operand without ModRM is in: DS, or what a prefix says.
    fn segment(&self) -> u8 {
        self.insn.and_then(|insn| insn.segment).map_or(3, |s| s as u8)
    }
    /// An offset in that segment.
    fn somewhere(&mut self) -> u64 {
        let at = place(self.random);
        self.offset(self.segment(), at)
    }

    /// Where strings are, and how many elements; they may overlap.
    fn strings(&mut self) {
        let from = place(self.random);
        let to = if self.random.one_in(3) {
            from.wrapping_add(self.random.below(9)).wrapping_sub(4)
        } else {
            place(self.random)
        };
        let (from, to) = (self.offset(self.segment(), from), self.offset(0, to));
        self.set(SI, from);
        self.set(DI, to);
        let count = self.random.pick(&[0, 1, 2, 3, 5, 8, 13, 20]);
        self.set(CX, count);
        if self.random.one_in(3) {
            self.r.flags |= eflags::DF;
        }
        if self.random.one_in(2) {
            // SCAS and CMPS go on while operands are equal.
            let value = self.random.pick(&[0, 0, u64::MAX]);
            self.set(AX, value);
            self.r.memory()[..WINDOW_SIZE / 2 + 100].fill(value as u8);
        }
    }

    /// The upper half of a dividend: mostly such that quotients may fit.
    fn dividend(&mut self) {
        match self.random.below(4) {
            0 => self.set(DX, 0),
            1 => {
                let sign = (self.r.regs[AX] as i64 >> 63) as u64;
                self.set(DX, sign);
            }
            2 => {
                let small = self.random.below(256);
                self.set(DX, small);
            }
            _ => {}
        }
    }

    /// What is at the memory operand.
    pub fn pointed(&mut self, at: u64) {
        let insn = self.insn.expect("it has memory");
        let (size, reg) = (insn.operand_size, usize::from(insn.reg()));
        match insn.row.name {
            "bt" | "bts" | "btr" | "btc" if insn.row.operands[1].method == Method::G => {
                let bit = self.random.below(2000).wrapping_sub(1000);
                let addresses =
                    |m: emu_frontend_x86::decode::insn::Memory| [m.base, m.index].contains(&Some(reg as u8));
                if !insn.memory.is_some_and(addresses) {
                    self.set(reg, bit);
                }
            }
            "cmpxchg" if self.random.one_in(2) => {
                let value = self.r.regs[AX];
                self.put_word(at, value, size);
            }
            "cmpxchg8b" | "cmpxchg16b" if self.random.one_in(2) => {
                let (a, d, half) = (self.r.regs[AX], self.r.regs[DX], size.max(4));
                self.put_word(at, a, half);
                self.put_word(at + u64::from(half), d, half);
            }
            "call" | "jmp" => {
                let to = self.target();
                self.put_word(at, to, size);
            }
            "bound" if self.random.one_in(2) => {
                let value = self.r.regs[reg];
                let (below, above) = (self.random.below(4), self.random.below(4).wrapping_sub(1));
                self.put_word(at, value.wrapping_sub(below), size);
                self.put_word(at + u64::from(size), value.wrapping_add(above), size);
            }
            _ => self.pointed_of_system(at, size),
        }
    }

    /// The same of instructions that load segments or the state of x87 and SSE.
    fn pointed_of_system(&mut self, at: u64, size: u8) {
        match self.name() {
            "call_far" | "jmp_far" => {
                let (offset, selector) = (self.target(), code_selector(self.random));
                self.put_word(at, offset, size);
                self.put_word(at + u64::from(size), selector.into(), 2);
            }
            "les" | "lds" | "lss" | "lfs" | "lgs" => {
                let plain = self.random.one_in(2);
                let selector = if plain { FLAT } else { data_selector(self.random) };
                self.put_word(at + u64::from(size), selector.into(), 2);
            }
            "mov_to_segment" | "lar" | "lsl" | "verr" | "verw" => {
                let selector = data_selector(self.random);
                self.put_word(at, selector.into(), 2);
            }
            "ldmxcsr" => {
                let value = self.random.word() & self.random.pick(&[0xffff, 0xffff, 0x1_ffff]);
                self.put_word(at, value.into(), 4);
            }
            "fldcw" => {
                let value = x87::control(self.random);
                self.put_word(at, value.into(), 2);
            }
            "fldenv" | "frstor" => {
                let (control, status) = (x87::control(self.random), self.random.next() & 0xffff);
                let size = if size == 2 { 2 } else { 4 };
                self.put_word(at, control.into(), size);
                self.put_word(at + u64::from(size), status, size);
            }
            "fxrstor" | "xrstor" => self.image(at),
            _ => {}
        }
    }

    /// What FXRSTOR and XRSTOR load.
    fn image(&mut self, at: u64) {
        let (control, status) = (x87::control(self.random), self.random.next() & 0xffff);
        self.put_word(at, control.into(), 2);
        self.put_word(at + 2, status, 2);
        let mxcsr = self.random.word() & self.random.pick(&[0xffff, 0xffff, 0xffff, 0xffff, 0x1_ffff]);
        self.put_word(at + 24, mxcsr.into(), 4);
        for n in 0..8 {
            let st = x87::number(self.random);
            self.put(at + 32 + 16 * n, &st);
        }
        // The header: what is there, the form, zeros.
        let present = self.random.pick(&[7, 7, 3, 2, 1, 6, 4, 5, 0, 0, 0x10]);
        let compact = self
            .random
            .pick(&[0, 0, 0, 0, 1 << 63 | 7, 1 << 63 | 3, 1 << 63 | 4, 1 << 62]);
        self.put(at + 512, &[0; 64]);
        self.put_word(at + 512, present, 8);
        self.put_word(at + 520, compact, 8);
        if self.random.one_in(16) {
            let byte = self.random.below(48);
            self.put_word(at + 528 + byte, 1, 1);
        }
    }

    /// What is on top of the stack, by what the instruction does with it.
    pub fn stacked(&mut self, top: u64) {
        let size = self.insn.map_or(8, |insn| insn.operand_size);
        match self.name() {
            "ret" => {
                let to = self.target();
                self.put_word(top, to, size);
            }
            "ret_far" | "iret" => self.far_return(top, size),
            "pop_segment" => {
                let selector = data_selector(self.random);
                self.put_word(top, selector.into(), 2);
            }
            "call" | "jmp" if self.insn.is_some_and(|insn| insn.memory.is_none()) => {
                let insn = self.insn.expect("it has a name");
                if insn.row.operands[0].method == Method::E {
                    let to = self.target();
                    self.set(insn.rm().into(), to);
                }
            }
            "mov_to_segment" | "lar" | "lsl" | "verr" | "verw" => {
                let insn = self.insn.expect("it has a name");
                if insn.memory.is_none() {
                    let selector = u64::from(data_selector(self.random)) | self.random.next() << 16;
                    self.set(insn.rm().into(), selector);
                }
            }
            name if name.contains("gather") => self.gather(),
            _ => {}
        }
    }

    /// What a far return takes from the stack: mostly such that it is carried out.
    fn far_return(&mut self, top: u64, size: u8) {
        let word = u64::from(size);
        let plain = self.random.below(3) != 0;
        let (to, any) = (self.target(), code_selector(self.random));
        let own = self.random.pick(&[CODE64, CODE32, CODE16]);
        self.put_word(top, to, size);
        self.put_word(top + word, if plain { own } else { any }.into(), size);
        let mut at = top + 2 * word;
        if self.name() == "iret" {
            let flags = self.random.next() & !u64::from(eflags::TF | eflags::VM);
            self.put_word(at, flags, size);
            at += word;
        }
        let stack = self.offset(2, top + 64);
        let selector = if plain { FLAT } else { data_selector(self.random) };
        self.put_word(at, stack, size);
        self.put_word(at + word, selector.into(), size);
    }

    /// Small indices.
    fn gather(&mut self) {
        let insn = self.insn.expect("it has a name");
        let Some(index) = insn.memory.and_then(|m| m.index) else {
            return;
        };
        let wide = insn.row.name.starts_with("vpgatherq") || insn.row.name.starts_with("vgatherq");
        let size = if wide { 8 } else { 4 };
        for at in (0..32).step_by(size) {
            let far = self.random.one_in(24);
            let by = self.random.below(if far { 1 << 20 } else { 64 }).wrapping_sub(32);
            let by = if wide { by } else { by & 0xffff_ffff };
            self.r.ymm[usize::from(index)][at..at + size].copy_from_slice(&by.to_le_bytes()[..size]);
        }
    }
}
