//! ARM as the engine sees it: [`Arm`] implements [`emu_ir::Guest`] by delegation.

use crate::a32::neon::calls::SIMD;
use crate::calls::SYSTEM;
use crate::fault::{AGAIN, Class};
use crate::mmu;
use crate::platform::{Arm, FIQ, IRQ};
use crate::pmu;
use crate::state::{self, Cpu, mode};
use crate::translate::{Around, translate_hosted};
use emu_ir::{
    Access, BlockKey, Builder, Bus, Context, Env, Fault, Fetch, Guest, Helper, HelperFn, Layout, Page, Rules, Slot,
    Traps,
};

/// The whole table, in the order of the parts' bases.
pub const CALLS: &[Helper<Arm>] = &concat::<Arm, { SYSTEM.len() + SIMD.len() }>(&[SYSTEM, SIMD]);

/// The parts one after the other.
#[expect(
    clippy::indexing_slicing,
    reason = "evaluated at compile time, where an index out of range is an error"
)]
pub(crate) const fn concat<G: Guest, const N: usize>(parts: &[&[Helper<G>]]) -> [Helper<G>; N] {
    let mut all = [const {
        Helper {
            name: "",
            f: HelperFn::Pure(|_| 0),
        }
    }; N];
    let (mut part, mut at) = (0, 0);
    while part < parts.len() {
        let mut i = 0;
        while i < parts[part].len() {
            let h = &parts[part][i];
            all[at].name = h.name;
            all[at].f = match h.f {
                HelperFn::Pure(f) => HelperFn::Pure(f),
                HelperFn::Float(f) => HelperFn::Float(f),
                HelperFn::Flags(f) => HelperFn::Flags(f),
                HelperFn::State(f) => HelperFn::State(f),
                HelperFn::Raise(f) => HelperFn::Raise(f),
            };
            (i, at) = (i + 1, at + 1);
        }
        part += 1;
    }
    assert!(at == N, "the table's length is that of its parts");
    all
}

/// The name of a helper, for listings.
pub fn name(index: u16) -> &'static str {
    CALLS.get(index as usize).map_or("?", |h| h.name)
}

/// Where things are in [`Cpu`].
pub static LAYOUT: Layout = Layout {
    pc: state::R[15],
    mode: state::MODE,
    fp_flags: state::FP_FLAGS,
    fp_round: state::FP_ROUND,
    rules: Rules::Arm,
    x87: None,
    insn_shift: 1,
    coherent: false,
    pins: &PINS,
    names: &NAMES,
    helper: name,
};

/// Registers by how often compiled code uses them.
const PINS: [Slot; 9] = {
    let r = state::R;
    [r[3], r[0], r[2], r[1], r[13], r[4], r[5], r[6], r[14]]
};

#[expect(
    clippy::indexing_slicing,
    reason = "evaluated at compile time, where an index out of range is an error"
)]
const NAMES: [(Slot, &str); 128 + state::NAMES.len()] = {
    const R: [&str; 16] = [
        "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "sp", "lr", "pc",
    ];
    const Q: [&str; 16] = [
        "q0", "q1", "q2", "q3", "q4", "q5", "q6", "q7", "q8", "q9", "q10", "q11", "q12", "q13", "q14", "q15",
    ];
    const D: [&str; 32] = [
        "d0", "d1", "d2", "d3", "d4", "d5", "d6", "d7", "d8", "d9", "d10", "d11", "d12", "d13", "d14", "d15", "d16",
        "d17", "d18", "d19", "d20", "d21", "d22", "d23", "d24", "d25", "d26", "d27", "d28", "d29", "d30", "d31",
    ];
    const S: [&str; 32] = [
        "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "s12", "s13", "s14", "s15", "s16",
        "s17", "s18", "s19", "s20", "s21", "s22", "s23", "s24", "s25", "s26", "s27", "s28", "s29", "s30", "s31",
    ];
    let mut all = [(state::R[0], ""); 128 + state::NAMES.len()];
    let mut i = 0;
    while i < 32 {
        if i < 16 {
            all[i] = (state::R[i], R[i]);
            all[16 + i] = (state::qv(i as u32), Q[i]);
        }
        all[32 + i] = (state::d(i as u32), D[i]);
        all[64 + i] = (state::dv(i as u32), D[i]);
        all[96 + i] = (state::s(i as u32), S[i]);
        i += 1;
    }
    i = 0;
    while i < state::NAMES.len() {
        all[128 + i] = state::NAMES[i];
        i += 1;
    }
    all
};

impl Guest for Arm {
    type State = Cpu;
    const LAYOUT: &'static Layout = &LAYOUT;
    const HELPERS: &'static [Helper<Arm>] = CALLS;

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
        translate_hosted(self.model, around, key, (offset, limit), fetch, b)
    }

    fn walk(&self, s: &Cpu, bus: &mut dyn Bus, va: u64, access: Access, idx: u8) -> Result<Page, Fault> {
        mmu::walk(s, bus, va as u32, access, idx)
    }

    fn context(&self, s: &Cpu, idx: u8) -> Context {
        mmu::context(s, idx)
    }

    /// `aux` is CPSR.IT before the instruction.
    fn restore(&self, s: &mut Cpu, pc: u64, aux: u32) {
        s.r[15] = pc as u32;
        s.mode = s.mode & !mode::IT | (aux << mode::IT_SHIFT) & mode::IT;
        if s.mode & mode::COUNT != 0 {
            // It was counted when it began.
            s.cp15.pmu.slack = s.cp15.pmu.slack.wrapping_add(1);
        }
    }

    fn raise(&mut self, s: &mut Cpu, _: &mut dyn Env, fault: Fault) {
        if fault == AGAIN {
            return;
        }
        let was_user = s.is_user();
        s.raise(fault);
        let called = matches!(fault, Fault::Guest { class, .. } if class == Class::Svc as u32);
        pmu::exception(self, s, was_user, called);
    }

    fn interrupt(&mut self, s: &mut Cpu, _: &mut dyn Env, pending: u32) -> bool {
        let was_user = s.is_user();
        let taken = s.interrupt(pending);
        if taken {
            pmu::exception(self, s, was_user, false);
        }
        taken
    }

    fn wakes(&self, _: &Cpu, pending: u32) -> bool {
        pending & (IRQ | FIQ) != 0
    }

    fn only_raises(helper: u16) -> bool {
        let name = CALLS.get(usize::from(helper)).map(|call| call.name);
        matches!(name, Some("UNDEFINED" | "BKPT" | "COMPLETE"))
    }

    fn raises_plainly(&self, s: &Cpu) -> bool {
        s.cp15.pmu.counting == 0
    }

    fn traps(&self, s: &Cpu) -> Traps {
        s.traps()
    }

    fn trap(&self, s: &Cpu) -> Option<Fault> {
        s.trap()
    }

    fn data_trap(&self, s: &Cpu, addr: u64, len: u32, access: Access, idx: u8) -> Option<Fault> {
        s.data_trap(addr as u32, len, access, idx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::{FPSCR_WRITE, NEXT, UNDEFINED};

    #[test]
    fn indices_name_their_helpers() {
        assert_eq!(name(UNDEFINED), "UNDEFINED");
        assert_eq!(name(FPSCR_WRITE), "FPSCR_WRITE");
        assert_eq!(name(NEXT + 9999), "?");
    }
}
