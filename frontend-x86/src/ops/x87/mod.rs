//! x87 (SDM 1, chapter 8; SDM 2, the instructions' pages). While all exceptions are masked most are operations, which
//! translated code executes in runs: see [`inline`]. Else, and what is hardly ever used, is executed by [`crate::x87`].

mod area;
mod control;
mod inline;
mod store;
mod xsave;

pub use area::*;
pub use control::*;
pub use inline::leave_to_calls;
pub use store::*;
pub use xsave::*;

use crate::calls;
use crate::decode::row::Width;
use crate::fault::vector;
use crate::features::Features;
use crate::state::{self, mode};
use crate::tx::Tx;
use crate::x87::Executed;
use emu_ir::{Leave, Mem, Ty, Val};

/// Names of instructions that the unit executes as a whole.
macro_rules! executed {
    ($($name:ident)*) => { $(
        #[doc = concat!(stringify!($name), " of the manual.")]
        pub fn $name(t: &mut Tx) {
            t.execute_x87();
        }
    )* };
}

executed! {
    fadd faddp fsub fsubp fsubr fsubrp fmul fmulp fdiv fdivp fdivr fdivrp fiadd fimul fisub fisubr fidiv fidivr
    fcom fcomp fcompp fucom fucomp fucompp ficom ficomp fcomi fcomip fucomi fucomip ftst fxam
    fld fld_register fild fbld fld1 fldl2t fldl2e fldpi fldlg2 fldln2 fldz fst_register fstp_register
    fxch fchs fabs fsqrt fscale fprem fprem1 frndint fxtract f2xm1 fyl2x fyl2xp1 fptan fpatan fsin fcos fsincos
    fcmovb fcmove fcmovbe fcmovu fcmovnb fcmovne fcmovnbe fcmovnu
    fincstp fdecstp ffree ffreep fnop
}

impl Tx<'_> {
    /// Whether there is a unit that may be used; if not, #NM is raised. Instructions that do not wait only ask this.
    fn has_x87(&mut self) -> bool {
        let there = self.mode & (mode::EM | mode::TS) == 0;
        if !there {
            self.fault(vector::NM, 0);
        }
        there
    }
    /// Whether the selectors of its pointers are stored.
    fn has_selectors(&self) -> bool {
        const NONE: Features = Features::of(&["zero-fcs-fds"]);
        !self.features.has(NONE)
    }
    /// An exception of the unit that is not masked and was not reported yet is reported now. Where it goes out by FERR#, the
    /// instruction is not begun before an interrupt has come.
    pub(crate) fn wait_for_x87(&mut self) {
        const ES: u32 = 7;
        if self.mode & mode::X87_TRAPS == 0 {
            return;
        }
        let status = self.b.get(state::X87_STATUS);
        let waits = self.bit(status, ES);
        let (none, go) = (self.not(waits), self.b.label());
        self.b.br_if(none, go);
        self.b.call(Ty::I32, calls::X87_ERROR, &[]);
        let pc = self.b.pc_rel(Ty::I64, self.offset as i32);
        self.b.set(state::PC, pc);
        self.b.exit(Leave::Wait);
        self.b.place(go);
        self.position();
    }
    /// An instruction that the unit executes: with its operand in memory, if it has one that it reads.
    fn execute_x87(&mut self) {
        if !self.has_x87() {
            return;
        }
        self.wait_for_x87();
        if let Some((insn, form)) = self.inlined_x87() {
            return self.inline_x87(insn, form);
        }
        let operand = self.insn.memory.map(|_| self.operand_of_x87());
        self.finish_x87(operand, false);
    }
    /// The operand in memory.
    fn operand_of_x87(&mut self) -> Val {
        if self.insn.row.operands.iter().any(|o| o.width == Width::T) {
            let at = self.locate(10, false);
            return self.load_80(at, self.mem(Ty::I64).align);
        }
        self.read(0)
    }
    /// Load 80 bits, aligned to so many bytes (log2).
    fn load_80(&mut self, at: Val, align: u8) -> Val {
        let (low, high) = self.mems_80(align);
        let low = self.b.load(Ty::I64, at, low);
        let above = self.plus(at, 8);
        let high = self.b.load(Ty::I16, above, high);
        let high = self.b.zext(Ty::I64, high);
        let [low, high] = [low, high].map(|half| self.b.bitcast(Ty::V64, half));
        self.b.vconcat(low, high)
    }
    /// How accesses to the halves of 80 bits go.
    fn mems_80(&self, align: u8) -> (Mem, Mem) {
        let (low, high) = (self.mem(Ty::I64), self.mem(Ty::I16));
        let high = Mem {
            align: high.align.min(align),
            ..high
        };
        (Mem { align, ..low }, high)
    }
    /// How helpers are told of the instruction.
    fn executed(&mut self, control: bool) -> Val {
        let executed = Executed {
            opcode: self.insn.opcode,
            modrm: self.insn.modrm,
            segment: self.insn.memory.map(|m| m.segment as u8),
            control,
        };
        self.imm(Ty::I64, executed.pack())
    }
    /// Execute it: nothing faults any more.
    fn finish_x87(&mut self, operand: Option<Val>, control: bool) {
        let executed = self.executed(control);
        let operand = operand.unwrap_or_else(|| self.imm(Ty::I64, 0));
        if control {
            self.b.call(Ty::I32, calls::X87_EXECUTE, &[executed, operand]);
            return;
        }
        let next = self.next_ip();
        let ip = self.plus(next, -i64::from(self.insn.length));
        let offset = self.effective_address();
        self.b
            .call(Ty::I32, calls::X87_EXECUTE, &[executed, operand, ip, offset]);
    }
}
