//! AArch64 as the engine sees it: [`A64`] implements [`emu_ir::Guest`] by delegation.

use super::aarch32;
use super::calls::{CALLS, OWN, name};
use super::fault::{class, is_exception, syndrome};
use super::mmu;
use super::model::A64;
use super::state::{self, Cpu, mode, psr, stepped};
use super::translate::translate_hosted;
use crate::platform::{FIQ, IRQ};
use crate::pmu;
use crate::state::mode as a32;
use crate::translate::Around;
use emu_ir::{
    Access, BlockKey, Builder, Bus, Context, Env, Fault, Fetch, Guest, Helper, Layout, Page, Rules, Slot, Traps, Ty,
};

/// Where things are in [`Cpu`].
pub static LAYOUT: Layout = Layout {
    pc: state::PC,
    mode: state::MODE,
    fp_flags: state::FP_FLAGS,
    fp_round: state::FP_ROUND,
    rules: Rules::Arm,
    x87: None,
    // Of Thumb code: AArch32 is at EL0.
    insn_shift: 1,
    coherent: false,
    pins: &PINS,
    names: &NAMES,
    helper: name,
};

/// Registers by how often compiled code uses them.
const PINS: [Slot; 9] = [
    state::x(0),
    state::x(1),
    state::SP,
    state::x(2),
    state::x(19),
    state::x(3),
    state::x(20),
    state::x(29),
    state::x(21),
];

#[allow(
    clippy::indexing_slicing,
    reason = "evaluated at compile time, where an index out of range is an error"
)]
const NAMES: [(Slot, &str); 160 + state::NAMES.len()] = {
    const X: [&str; 32] = [
        "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16",
        "x17", "x18", "x19", "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27", "x28", "x29", "x30", "sp",
    ];
    const Q: [&str; 32] = [
        "q0", "q1", "q2", "q3", "q4", "q5", "q6", "q7", "q8", "q9", "q10", "q11", "q12", "q13", "q14", "q15", "q16",
        "q17", "q18", "q19", "q20", "q21", "q22", "q23", "q24", "q25", "q26", "q27", "q28", "q29", "q30", "q31",
    ];
    const D: [&str; 32] = [
        "d0", "d1", "d2", "d3", "d4", "d5", "d6", "d7", "d8", "d9", "d10", "d11", "d12", "d13", "d14", "d15", "d16",
        "d17", "d18", "d19", "d20", "d21", "d22", "d23", "d24", "d25", "d26", "d27", "d28", "d29", "d30", "d31",
    ];
    const S: [&str; 32] = [
        "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "s12", "s13", "s14", "s15", "s16",
        "s17", "s18", "s19", "s20", "s21", "s22", "s23", "s24", "s25", "s26", "s27", "s28", "s29", "s30", "s31",
    ];
    let mut all = [(state::SP, ""); 160 + state::NAMES.len()];
    let mut i = 0;
    while i < 32 {
        let n = i as u32;
        all[i] = (state::x(n), X[i]);
        all[32 + i] = (state::v(n, Ty::V128), Q[i]);
        all[64 + i] = (state::v(n, Ty::F64), D[i]);
        all[96 + i] = (state::v(n, Ty::V64), D[i]);
        all[128 + i] = (state::v(n, Ty::F32), S[i]);
        i += 1;
    }
    i = 0;
    while i < state::NAMES.len() {
        all[160 + i] = state::NAMES[i];
        i += 1;
    }
    all
};

impl Guest for A64 {
    type State = Cpu;
    const LAYOUT: &'static Layout = &LAYOUT;
    const HELPERS: &'static [Helper<A64>] = CALLS;

    fn translate(
        &self,
        key: BlockKey,
        offset: u32,
        limit: u32,
        fetch: &mut dyn Fetch,
        b: &mut Builder,
    ) -> Result<(), Fault> {
        let around = Around {
            semihosting: self.semihosting,
            several: self.platform.cpu_count() > 1,
        };
        if key.mode as u32 & mode::AARCH32 != 0 {
            return aarch32::code::translate(self.model.features, around, key, (offset, limit), fetch, b);
        }
        translate_hosted(self.model.features, around, key, (offset, limit), fetch, b)
    }

    fn walk(&self, s: &Cpu, bus: &mut dyn Bus, va: u64, access: Access, idx: u8) -> Result<Page, Fault> {
        mmu::walk(&self.model, s, bus, va, access, idx)
    }

    fn context(&self, s: &Cpu, idx: u8) -> Context {
        mmu::context(s, idx)
    }

    /// `aux` is what faults of the instruction are of: bits of [`stepped`]. In AArch32 state it is PSTATE.IT.
    fn restore(&self, s: &mut Cpu, pc: u64, aux: u32) {
        s.pc = pc;
        let (counts, steps) = if s.is_aarch32() {
            s.set_it(aux);
            (a32::COUNT, aarch32::mode::STEP)
        } else {
            s.stepped = s.stepped & !stepped::FAULT | aux;
            (mode::COUNT, mode::STEP)
        };
        if s.mode & counts != 0 {
            // It was counted when it began.
            s.sys.pmu.slack = s.sys.pmu.slack.wrapping_add(1);
        }
        if s.mode & steps != 0 {
            // It has not been stepped.
            s.psr |= psr::SS;
        }
    }

    fn raise(&mut self, s: &mut Cpu, _: &mut dyn Env, fault: Fault) {
        let (was_user, ec) = (s.el() == 0, syndrome(fault).0);
        s.raise(self.model.features, fault);
        if is_exception(fault) {
            pmu::exception(self, s, was_user, matches!(ec, class::SVC | class::SVC_32));
        }
    }

    fn interrupt(&mut self, s: &mut Cpu, _: &mut dyn Env, pending: u32) -> bool {
        let was_user = s.el() == 0;
        let taken = s.interrupt(self.model.features, pending);
        if taken {
            pmu::exception(self, s, was_user, false);
        }
        taken
    }

    fn wakes(&self, _: &Cpu, pending: u32) -> bool {
        pending & (IRQ | FIQ) != 0
    }

    fn only_raises(helper: u16) -> bool {
        let name = OWN.get(usize::from(helper)).map(|call| call.name);
        matches!(name, Some("UNDEFINED" | "SP_ALIGNMENT" | "COMPLETE"))
    }

    fn raises_plainly(&self, s: &Cpu) -> bool {
        s.sys.pmu.counting == 0
    }

    fn watched_as(&self, s: &Cpu, va: u64) -> u64 {
        mmu::canonical(s, va)
    }

    fn traps(&self, s: &Cpu) -> Traps {
        s.traps()
    }

    fn trap(&self, s: &Cpu) -> Option<Fault> {
        s.trap()
    }

    fn data_trap(&self, s: &Cpu, addr: u64, len: u32, access: Access, idx: u8) -> Option<Fault> {
        s.data_trap(addr, len, access, idx)
    }
}
