//! State slots, labels, and the ways out of a block.

use super::alloc::{Loc, Src};
use super::frame::{ATTENTION, CODE, CODE_BASE, MXCSR, PAGE_BASE};
use super::{Cold, Emit, PINS, STATE, What, cond, thunks::Reason};
use crate::cache::Offset;
use crate::tlb::{CODE_MASK, CodeEntry, ENTRY_SHIFT};
use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi, dynasm};
use emu_ir::{Label, Leave, Slot, Ty, Val};

impl Emit<'_> {
    /// The entry that checks the mode, for those who come through a jump table.
    pub fn prologue(&mut self) {
        match self.layout.mode.ty {
            Ty::I64 => self.check_long_mode(),
            _ => self.check_mode(),
        }
        let entry = self.entry;
        dynasm!(self.a ; .arch x64 ; =>entry);
    }
    fn check_mode(&mut self) {
        let elsewhere = self.elsewhere;
        let mode = self.layout.mode.off as i32;
        let kept = !self.b.mode_ignored as u32;
        if kept == u32::MAX {
            dynasm!(self.a ; .arch x64 ; cmp DWORD [r15 + mode], self.key.mode as i32 ; jne =>elsewhere);
        } else {
            dynasm!(self.a ; .arch x64
                ; mov eax, [r15 + mode]
                ; and eax, kept as i32
                ; cmp eax, (self.key.mode as u32 & kept) as i32
                ; jne =>elsewhere);
        }
    }
    /// The same for 64 bits. Nothing is in the temporaries yet.
    fn check_long_mode(&mut self) {
        let elsewhere = self.elsewhere;
        let mode = self.layout.mode.off as i32;
        let kept = !self.b.mode_ignored;
        self.imm(0, self.key.mode & kept);
        if kept == u64::MAX {
            dynasm!(self.a ; .arch x64 ; cmp [r15 + mode], rax ; jne =>elsewhere);
        } else {
            self.imm(1, kept);
            dynasm!(self.a ; .arch x64 ; and rcx, [r15 + mode] ; cmp rcx, rax ; jne =>elsewhere);
        }
    }
    /// For all who come: the page after the block's own must be the one that it was made from, if it reaches into that.
    pub fn check_next_page(&mut self) {
        let Some(phys) = self.info.next_page else { return };
        let elsewhere = self.elsewhere;
        if self.layout.pc.ty == Ty::I64 {
            dynasm!(self.a ; .arch x64 ; mov rax, [r15 + PAGE_BASE] ; add rax, 0x1000);
        } else {
            dynasm!(self.a ; .arch x64 ; mov eax, [r15 + PAGE_BASE] ; add eax, 0x1000);
        }
        self.fetch_entry();
        dynasm!(self.a ; .arch x64
            ; cmp [rcx], rax
            ; jne =>elsewhere
            ; mov rdx, QWORD phys as i64
            ; xor rdx, [rcx + std::mem::offset_of!(CodeEntry, phys) as i32]
            ; cmp rdx, 0xfff
            ; ja =>elsewhere);
    }
    /// Where this is not the block that is wanted: by a branch that can be led to another block at its place, to where
    /// the engine finds what fits. The offset of the branch's displacement.
    pub fn elsewhere(&mut self) -> Offset {
        let (here, thunk) = ((self.key.phys & 0xfff) as i32, self.thunk(self.info.thunks.elsewhere));
        let (from, on) = (self.elsewhere, self.a.new_dynamic_label());
        dynasm!(self.a ; .arch x64 ; =>from);
        let other = self.align_patch();
        dynasm!(self.a ; .arch x64 ; jmp =>on ; =>on ; mov eax, here ; jmp extern thunk);
        other
    }
    /// See that the displacement of a branch that comes next is aligned, so that it can be patched while other threads run
    /// it; its offset. A short branch could not be: the encoding is E9 with four bytes.
    fn align_patch(&mut self) -> Offset {
        while !(self.info.at as usize + self.a.offset().0 + 1).is_multiple_of(4) {
            self.a.push(0x90);
        }
        self.a.offset().0 as Offset + 1
    }

    // ---- slots

    pub fn get(&mut self, v: Val, slot: Slot) {
        self.x87_sees(slot, false);
        if let Some(p) = self.pin(slot) {
            self.w.pinned[p as usize].push(v);
            self.set_loc(v, Loc::Pin(p));
            return;
        }
        let at = slot.off as i32;
        if slot.ty.is_int() {
            let d = self.dst(v, None);
            match slot.ty {
                Ty::I8 => dynasm!(self.a ; .arch x64 ; movzx Rd(d), BYTE [r15 + at]),
                Ty::I16 => dynasm!(self.a ; .arch x64 ; movzx Rd(d), WORD [r15 + at]),
                Ty::I64 => dynasm!(self.a ; .arch x64 ; mov Rq(d), [r15 + at]),
                _ => dynasm!(self.a ; .arch x64 ; mov Rd(d), [r15 + at]),
            }
            return;
        }
        let x = self.xdst(v);
        match slot.ty {
            Ty::F32 => dynasm!(self.a ; .arch x64 ; vmovd Rx(x), DWORD [r15 + at]),
            Ty::V128 => dynasm!(self.a ; .arch x64 ; vmovdqu Rx(x), [r15 + at]),
            _ => dynasm!(self.a ; .arch x64 ; vmovq Rx(x), QWORD [r15 + at]),
        }
    }

    pub fn set(&mut self, slot: Slot, a: Val) {
        self.x87_sees(slot, true);
        if let Some(p) = self.pin(slot) {
            return self.set_pin(p, slot.ty, a);
        }
        if self.put_off.is_some_and(|recipe| recipe.slot == slot) {
            self.put_off = None;
        }
        let at = slot.off as i32;
        if !slot.ty.is_int() {
            let x = self.xreg(a);
            match slot.ty {
                Ty::F32 => dynasm!(self.a ; .arch x64 ; vmovd DWORD [r15 + at], Rx(x)),
                Ty::V128 => dynasm!(self.a ; .arch x64 ; vmovdqu [r15 + at], Rx(x)),
                _ => dynasm!(self.a ; .arch x64 ; vmovq QWORD [r15 + at], Rx(x)),
            }
            return;
        }
        if let Loc::Flag(cc) = self.loc(a)
            && slot.ty == Ty::I8
        {
            return cond::setcc_mem(self.a, cc, STATE, at);
        }
        if self.loc(a) == Loc::Status && slot.ty == Ty::I16 {
            return self.store_status(a, at);
        }
        match (slot.ty, self.low_src(a)) {
            (Ty::I8, Src::Imm(i)) => dynasm!(self.a ; .arch x64 ; mov BYTE [r15 + at], i as i8),
            (Ty::I8, Src::Reg(r)) => dynasm!(self.a ; .arch x64 ; mov [r15 + at], Rb(r)),
            (Ty::I16, Src::Imm(i)) => dynasm!(self.a ; .arch x64 ; mov WORD [r15 + at], i as i16),
            (Ty::I16, Src::Reg(r)) => dynasm!(self.a ; .arch x64 ; mov [r15 + at], Rw(r)),
            (Ty::I64, Src::Imm(i)) => dynasm!(self.a ; .arch x64 ; mov QWORD [r15 + at], i),
            (Ty::I64, Src::Reg(r)) => dynasm!(self.a ; .arch x64 ; mov [r15 + at], Rq(r)),
            (_, Src::Imm(i)) => dynasm!(self.a ; .arch x64 ; mov DWORD [r15 + at], i),
            (_, Src::Reg(r)) => dynasm!(self.a ; .arch x64 ; mov [r15 + at], Rd(r)),
        }
        if slot == self.layout.fp_round {
            self.round();
        }
        self.x87_wrote(slot);
    }
    /// The rounding mode changed: so does the host's, at once.
    fn round(&mut self) {
        self.clobber();
        let (t, from) = (self.temp(), self.layout.fp_round.off as i32);
        dynasm!(self.a ; .arch x64
            ; mov Rd(t), [r15 + from]
            ; and Rd(t), 3
            ; shl Rd(t), 13
            ; stmxcsr [r15 + MXCSR]
            ; and DWORD [r15 + MXCSR], !0x6000
            ; or [r15 + MXCSR], Rd(t)
            ; ldmxcsr [r15 + MXCSR]);
    }

    fn set_pin(&mut self, p: u8, ty: Ty, a: Val) {
        let a = self.root(a);
        if self.loc(a) == Loc::Pin(p) {
            return;
        }
        let home = PINS[p as usize];
        if self.loc(a) == Loc::Imm {
            self.vacate(p);
            self.imm(home, self.b.constant(a).unwrap_or(0));
            return;
        }
        let r = self.reg(a);
        self.vacate(p);
        self.mov(ty, home, r);
        if let Loc::Gpr(t) = self.loc(a)
            && self.live(a)
        {
            self.gpr[t as usize] = None;
            self.set_loc(a, Loc::Pin(p));
            self.w.pinned[p as usize].push(a);
        }
    }

    // ---- labels

    pub fn place(&mut self, label: Label) {
        self.join();
        let l = self.w.labels[label.0 as usize];
        dynasm!(self.a ; .arch x64 ; =>l);
    }
    pub fn br(&mut self, label: Label) {
        self.end_run();
        self.settle(label);
        self.w.branched[label.0 as usize] = true;
        let l = self.w.labels[label.0 as usize];
        dynasm!(self.a ; .arch x64 ; jmp =>l);
    }
    pub fn br_if(&mut self, c: Val, label: Label) {
        self.w.branched[label.0 as usize] = true;
        let l = self.way_out_of_run(label);
        match self.loc(c) {
            Loc::Imm => {
                self.settle(label);
                if self.b.constant(c) != Some(0) {
                    dynasm!(self.a ; .arch x64 ; jmp =>l);
                }
            }
            _ => {
                let cc = self.condition(c);
                self.settle(label);
                cond::jcc(self.a, cc, l);
            }
        }
    }

    // ---- ways out

    /// Whether reaching `offset` from here may close a loop.
    fn backward(&self, offset: i32) -> bool {
        offset <= self.insn.0 as i32
    }
    fn leave(&mut self, site: u32, thunk: Offset) -> DynamicLabel {
        let from = self.a.new_dynamic_label();
        self.w.cold.push(Cold::Leave { from, site, thunk });
        from
    }
    pub fn goto(&mut self, offset: i32, mode: u64, poll: bool) {
        let kept = !self.b.mode_ignored;
        let give_way = poll || self.backward(offset);
        if give_way {
            let site = self.site(What::Goto {
                offset,
                mode,
                kept,
                patch: None,
            });
            let to = self.leave(site, self.info.thunks.goto);
            if poll {
                dynasm!(self.a ; .arch x64 ; cmp QWORD [r15 + ATTENTION], 0 ; jne =>to);
            } else {
                dynasm!(self.a ; .arch x64 ; cmp DWORD [r15 + ATTENTION], 0 ; jne =>to);
            }
        }
        if offset == (self.key.phys & 0xfff) as i32 && mode == self.key.mode {
            let entry = self.entry;
            dynasm!(self.a ; .arch x64 ; jmp =>entry);
        } else if (0..0x1000).contains(&offset) {
            let patch = self.info.at + self.align_patch();
            let site = self.site(What::Goto {
                offset,
                mode,
                kept,
                patch: Some(patch),
            });
            let to = self.leave(site, self.info.thunks.link);
            dynasm!(self.a ; .arch x64 ; jmp =>to);
        } else {
            self.goto_page(offset, mode);
        }
    }
    /// The fetch table's entry for the address in rax, which may be another page's: its address, in rcx.
    fn fetch_entry(&mut self) {
        dynasm!(self.a ; .arch x64
            ; rorx rcx, rax, (12 - ENTRY_SHIFT) as i8
            ; and ecx, CODE_MASK
            ; add rcx, [r15 + CODE]);
    }
    /// To another page: through the fetch table, which knows where that page is now.
    fn goto_page(&mut self, offset: i32, mode: u64) {
        let kept = !self.b.mode_ignored;
        let site = self.site(What::Goto {
            offset,
            mode,
            kept,
            patch: None,
        });
        let miss = self.leave(site, self.info.thunks.goto);
        let pc = self.layout.pc;
        let (delta, inside) = (offset & !0xfff, offset & 0xfff);
        if pc.ty == Ty::I64 {
            dynasm!(self.a ; .arch x64 ; mov rax, [r15 + PAGE_BASE] ; add rax, delta);
        } else {
            dynasm!(self.a ; .arch x64 ; mov eax, [r15 + PAGE_BASE] ; add eax, delta);
        }
        self.fetch_entry();
        dynasm!(self.a ; .arch x64
            ; cmp [rcx], rax
            ; jne =>miss
            ; lea rdx, [rax + inside]
            ; mov [r15 + PAGE_BASE], rax
            ; mov rcx, [rcx + 8]);
        match pc.ty {
            Ty::I64 => dynasm!(self.a ; .arch x64 ; mov [r15 + pc.off as i32], rdx),
            _ => dynasm!(self.a ; .arch x64 ; mov [r15 + pc.off as i32], edx),
        }
        let entry = (inside >> self.layout.insn_shift) * 4;
        dynasm!(self.a ; .arch x64
            ; mov ecx, [rcx + entry]
            ; add rcx, [r15 + CODE_BASE]
            ; jmp rcx);
    }
    pub fn goto_val(&mut self, addr: Val) {
        let r = self.reg(addr);
        let (pc, lookup) = (self.layout.pc, self.thunk(self.info.thunks.lookup));
        if r != 0 {
            // All values are dead from here on: temporaries are free.
            self.mov(Ty::I64, 0, r);
        }
        if pc.ty == Ty::I64 {
            dynasm!(self.a ; .arch x64 ; mov [r15 + pc.off as i32], rax);
        } else {
            dynasm!(self.a ; .arch x64 ; mov [r15 + pc.off as i32], eax);
        }
        dynasm!(self.a ; .arch x64 ; cmp DWORD [r15 + ATTENTION], 0 ; jne extern lookup);
        self.goto_pc();
    }
    /// To where the pc slot says, whose value is in rax.
    fn goto_pc(&mut self) {
        // Between instructions no page is found, and the engine sees to it.
        let page = -4096 | ((1 << self.layout.insn_shift) - 1);
        let lookup = self.thunk(self.info.thunks.lookup);
        self.fetch_entry();
        dynasm!(self.a ; .arch x64
            ; mov rdx, rax
            ; and rdx, page
            ; cmp [rcx], rdx
            ; jne extern lookup
            ; mov [r15 + PAGE_BASE], rdx
            ; mov rcx, [rcx + 8]
            ; and eax, 0xfff & !((1 << self.layout.insn_shift) - 1));
        match self.layout.insn_shift {
            0 => dynasm!(self.a ; .arch x64 ; mov ecx, [rcx + rax * 4]),
            1 => dynasm!(self.a ; .arch x64 ; mov ecx, [rcx + rax * 2]),
            _ => dynasm!(self.a ; .arch x64 ; mov ecx, [rcx + rax]),
        }
        dynasm!(self.a ; .arch x64
            ; add rcx, [r15 + CODE_BASE]
            ; jmp rcx);
    }
    pub fn exit(&mut self, why: Leave) {
        let reason = match why {
            Leave::Sync => Reason::Sync,
            Leave::Wait => Reason::Wait,
            Leave::Yield => Reason::Yield,
            Leave::Resume => return self.resume(),
        };
        let leave = self.thunk(self.info.thunks.leave);
        dynasm!(self.a ; .arch x64 ; mov eax, reason as i32 ; jmp extern leave);
    }
    fn resume(&mut self) {
        let (pc, from) = (self.layout.pc, self.a.new_dynamic_label());
        self.w.cold.push(Cold::Sync { from });
        dynasm!(self.a ; .arch x64 ; cmp QWORD [r15 + ATTENTION], 0 ; jne =>from);
        match pc.ty {
            Ty::I64 => dynasm!(self.a ; .arch x64 ; mov rax, [r15 + pc.off as i32]),
            _ => dynasm!(self.a ; .arch x64 ; mov eax, [r15 + pc.off as i32]),
        }
        self.goto_pc();
    }
}
