//! x86 as the engine sees it: [`X86`] implements [`emu_ir::Guest`] by delegation.

use crate::calls::{CALLS, name};
use crate::fault::debug;
use crate::memory::Effects;
use crate::platform::{INIT, INTR, NMI, SMI, X86};
use crate::state::bits::eflags;
use crate::state::{self, Cpu, mode, pending};
use crate::{debug, exception, mmu, smm, translate};
use emu_ir::{
    Access, BlockKey, Builder, Bus, Context, Env, Fault, Fetch, Flush, Guest, Helper, Layout, Page, Slot, Stop, Traps,
};

/// Where things are in [`Cpu`].
pub static LAYOUT: Layout = Layout {
    pc: state::PC,
    mode: state::MODE,
    fp_flags: state::FP_FLAGS,
    fp_round: state::FP_ROUND,
    rules: state::RULES,
    x87: Some(state::X87_SLOTS),
    insn_shift: 0,
    coherent: true,
    pins: &PINS,
    names: &state::NAMES,
    helper: name,
};

/// Registers by how often compiled code uses them.
const PINS: [Slot; 9] = [
    state::reg(0),
    state::reg(4),
    state::reg(2),
    state::reg(1),
    state::reg(7),
    state::reg(6),
    state::reg(3),
    state::reg(5),
    state::reg(8),
];

impl Guest for X86 {
    type State = Cpu;
    const LAYOUT: &'static Layout = &LAYOUT;
    const HELPERS: &'static [Helper<X86>] = &CALLS;
    const DATA_TRAPS_AFTER: bool = true;

    fn translate(
        &self,
        key: BlockKey,
        offset: u32,
        limit: u32,
        fetch: &mut dyn Fetch,
        b: &mut Builder,
    ) -> Result<(), Fault> {
        translate::translate(&self.model, key, offset, limit, fetch, b)
    }

    fn walk(&self, s: &Cpu, bus: &mut dyn Bus, va: u64, access: Access, idx: u8) -> Result<Page, Fault> {
        mmu::walk(s, &self.model, bus, va, access, idx)
    }

    fn context(&self, s: &Cpu, idx: u8) -> Context {
        mmu::context(s, idx)
    }

    /// `aux` is what faults of the instruction are of: bits of [`state::of`].
    fn restore(&self, s: &mut Cpu, pc: u64, aux: u32) {
        (s.pc, s.of) = (pc, aux);
    }

    fn raise(&mut self, s: &mut Cpu, env: &mut dyn Env, fault: Fault) {
        exception::raise(s, &self.model, env, fault);
    }

    /// In the order of SDM 3, table 6-2: SMI and INIT, traps of the instruction before, NMI, INTR.
    fn interrupt(&mut self, s: &mut Cpu, env: &mut dyn Env, lines: u32) -> bool {
        if s.mode & mode::SHADOW != 0 {
            return false;
        }
        if lines & SMI != 0 && takes_smi(s) {
            self.platform.taken(SMI);
            let _ = exception::run(s, &self.model, env, |m, cpu| Ok(smm::enter(m, cpu)));
            return true;
        }
        if lines & INIT != 0 && self.init(s, env) {
            return true;
        }
        if s.sys.pending & pending::WAIT_FOR_SIPI != 0 {
            return false;
        }
        if lines & (NMI | INTR) != 0 && s.sys.pending & pending::DEBUG != 0 {
            exception::raise(s, &self.model, env, debug(0));
            return true;
        }
        if lines & NMI != 0 && takes_nmi(s) {
            self.platform.taken(NMI);
            return exception::nmi(s, &self.model, env);
        }
        if lines & INTR != 0 && takes_intr(s) {
            let vector = self.platform.acknowledge();
            exception::interrupt(s, &self.model, env, vector);
            return true;
        }
        false
    }

    /// What [`Guest::interrupt`] takes of a CPU that waits: nothing else ends HLT.
    fn wakes(&self, s: &Cpu, lines: u32) -> bool {
        let init = lines & INIT != 0 && s.mode & mode::SMM == 0;
        if s.sys.pending & pending::WAIT_FOR_SIPI != 0 {
            return init;
        }
        let smi = lines & SMI != 0 && takes_smi(s);
        init || smi || lines & NMI != 0 && takes_nmi(s) || lines & INTR != 0 && takes_intr(s)
    }

    fn waits(&self, s: &Cpu) -> bool {
        s.sys.pending & (pending::HALTED | pending::WAIT_FOR_SIPI) != 0
    }

    fn raises_plainly(&self, _: &Cpu) -> bool {
        false
    }

    fn traps(&self, s: &Cpu) -> Traps {
        debug::traps(s)
    }

    fn trap(&self, s: &Cpu) -> Option<Fault> {
        debug::trap(s)
    }

    fn data_trap(&self, s: &Cpu, addr: u64, len: u32, access: Access, _: u8) -> Option<Fault> {
        debug::data_trap(s, addr, len, access)
    }

    fn trapped(&mut self, s: &mut Cpu, fault: Fault) {
        debug::note(s, fault);
    }
}

impl X86 {
    /// INIT: the bootstrap processor starts again, another waits for its start-up message, switched off. Whether it was taken.
    ///
    /// The bootstrap processor goes on at its reset vector, where firmware would begin anew, as it does after RESET. On a board
    /// without any, no memory is there: what is fetched is a machine check, which is not asked for then (CR4.MCE is 0), so that the
    /// processor shuts down, and the board is reset. Kernels that are started directly begin anew by that.
    fn init(&mut self, s: &mut Cpu, env: &mut dyn Env) -> bool {
        let waits = self.platform.cpu_index() != 0;
        if !exception::init(s, &self.model, waits) {
            return false;
        }
        self.platform.taken(INIT);
        let all = Effects {
            flush: Some(Flush::ALL),
            traps: true,
        };
        all.apply(env);
        if waits {
            env.stop(Stop::CpuOff);
        }
        true
    }
}

/// Not within system management mode, nor before the start-up message (SDM 3, 8.4.1).
fn takes_smi(s: &Cpu) -> bool {
    s.mode & mode::SMM == 0 && s.sys.pending & pending::WAIT_FOR_SIPI == 0
}

fn takes_nmi(s: &Cpu) -> bool {
    s.sys.pending & pending::NMI_BLOCKED == 0
}

fn takes_intr(s: &Cpu) -> bool {
    s.eflags & eflags::IF != 0
}

#[cfg(test)]
mod tests;
