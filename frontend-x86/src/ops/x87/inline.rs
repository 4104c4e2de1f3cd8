//! Instructions that translated code executes itself: see [`emu_ir::Op::X87`]. All exceptions are masked, so that the unit has
//! nothing to report, and registers are there that an instruction needs, which is asked for before anything else of it: where
//! not, it is executed by a call, as a block of its own.

use crate::state::{self, mode, number};
use crate::tx::Tx;
use emu_ir::{Builder, Label, Leave, Ty, X87Form, X87Insn};

/// In these modes each instruction is a block, or exceptions are not masked.
const BY_CALLS: u64 = mode::X87_TRAPS | mode::X87_CALLS | mode::STEP | mode::SHADOW | mode::RESUME;

impl Tx<'_> {
    /// Whether the unit may be used without a call. Its instructions keep their linear address, which is the offset in CS then.
    pub(super) fn inlines_x87(&self) -> bool {
        self.mode & BY_CALLS == 0 && (self.is_64() || self.is_flat(number::CS))
    }
    /// The instruction, where it is one of these, and where it has its operands.
    pub(super) fn inlined_x87(&self) -> Option<(X87Insn, X87Form)> {
        let insn = X87Insn::new(self.insn.opcode, self.insn.modrm).filter(|_| self.inlines_x87())?;
        Some((insn, insn.stack()?.0))
    }
    /// Where to go to have it executed by a call.
    pub(super) fn otherwise_by_call(&mut self) -> Label {
        let label = self.b.label();
        self.left.push((label, self.offset, self.aux()));
        label
    }
    fn need_of_x87(&mut self, form: X87Form) {
        let ((full, empty), label) = (form.needs(), self.otherwise_by_call());
        self.b.x87_need(full, empty, label);
    }
    pub(super) fn inline_x87(&mut self, insn: X87Insn, form: X87Form) {
        let (modrm, at) = (self.insn.modrm, self.offset as u16);
        self.need_of_x87(form);
        if insn.is_memory() {
            let operand = self.operand_of_x87();
            self.b.x87_operand(insn, modrm, at, operand);
        } else if insn.is_conditional() {
            let status = self.status();
            self.b.x87_operand(insn, modrm, at, status);
        } else if insn.compares_to_flags() {
            let status = self.b.x87_compare(insn, modrm, at);
            self.set_status(status);
        } else {
            self.b.x87(insn, modrm, at);
        }
        self.set_x87_pointers();
    }
    /// The same of one that stores: 80 bits, if `long`.
    pub(super) fn inline_x87_store(&mut self, insn: X87Insn, form: X87Form, long: bool) {
        self.need_of_x87(form);
        if long {
            let at = self.locate(10, true);
            let output = self.b.x87_output(Ty::V128, insn);
            let [low, high] = [0, 1].map(|i| self.b.vget_lane(Ty::I64, output, i));
            self.store_80(at, low, high, self.mem(Ty::I64).align);
        } else {
            let ty = self.ty(0);
            let at = self.locate(ty.bytes(), true);
            let output = self.b.x87_output(ty, insn);
            self.store(at, output);
        }
        self.b.x87(insn, self.insn.modrm, self.offset as u16);
        self.set_x87_pointers();
    }
    /// The selector of the instruction; selector and offset of its operand in memory (SDM 1, 8.1.8).
    fn set_x87_pointers(&mut self) {
        let code = self.b.get(state::selector(number::CS));
        self.b.set(state::X87_CODE, code);
        let Some(memory) = self.insn.memory else {
            return;
        };
        let data = self.b.get(state::selector(memory.segment as u8));
        self.b.set(state::X87_DATA, data);
        let offset = self.effective_address();
        let offset = self.b.zext(Ty::I64, offset);
        self.b.set(state::X87_OPERAND, offset);
    }
}

/// At the end of a block: the instructions of it that are executed by calls.
pub fn leave_to_calls(b: &mut Builder, mode: u64, left: &[(Label, u32, u32)]) {
    let count = b.block.guest_insns;
    for &(label, offset, aux) in left {
        b.place(label);
        b.insn(offset as u16, aux);
        let mode = b.imm(Ty::I64, mode | crate::state::mode::X87_CALLS);
        b.set(state::MODE, mode);
        let pc = b.pc_rel(Ty::I64, offset as i32);
        b.set(state::PC, pc);
        b.exit(Leave::Resume);
    }
    b.block.guest_insns = count;
}
