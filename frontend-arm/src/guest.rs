//! ARM as the engine sees it: [`Arm`] implements [`emu_ir::Guest`] by delegation.

use crate::state::{self, Cpu, mode};
use crate::{Model, calls, mmu};
use emu_ir::{Access, BlockKey, Builder, Bus, Context, Fault, Fetch, Guest, Helper, Layout, Page, Slot, Stop, Traps};

/// Pending line of [`Guest::interrupt`]: IRQ.
pub const IRQ: u32 = 1 << 0;
/// Pending line of [`Guest::interrupt`]: FIQ.
pub const FIQ: u32 = 1 << 1;

/// A source of interrupts inside the CPU, as seen without Security and Virtualization extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// The (Non-secure PL1) physical timer: PPI 30.
    Physical,
    /// The virtual timer: PPI 27.
    Virtual,
    /// The performance monitors' overflow interrupt: PPI 23.
    Pmu,
}

/// What a timer's output line does from now on, until something else is said of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimerOutput {
    /// It is low and stays so.
    Low,
    /// It is high and stays so.
    High,
    /// It is low, and goes high when the virtual time reaches this many nanoseconds.
    HighAt(u64),
}

/// The instruction that calls firmware.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conduit {
    /// HVC.
    Hvc,
    /// SMC.
    Smc,
}

/// What a firmware call (SMC calling convention, PSCI) did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirmwareResult {
    /// It returned these values for r0 to r3.
    Return([u32; 4]),
    /// The vCPU stops.
    Stop(Stop),
    /// The instruction is Undefined: no firmware listens there.
    Undefined,
}

/// What the CPU asks of the machine.
pub trait Platform: Send {
    /// The virtual time in nanoseconds: what the generic timers and the cycle counter count by.
    fn now_ns(&self) -> u64;
    /// A timer's output as it now is: told whenever the guest programs the timer.
    fn timer(&mut self, which: Timer, output: TimerOutput);
    /// The interrupt lines that are now asserted: [`IRQ`], [`FIQ`].
    fn pending(&self) -> u32;
    /// HVC or SMC with r0 to r3.
    fn firmware_call(&mut self, conduit: Conduit, args: [u32; 4]) -> FirmwareResult;
    /// Which CPU of the machine this is: MPIDR's affinity level 0, with four (or more) CPUs in a cluster.
    fn cpu_index(&self) -> u32;
    /// How many CPUs the cluster has: 1 to 4 in L2CTLR.
    fn cpu_count(&self) -> u32;
}

/// An ARMv7-A CPU: its model and its way to the machine. The architectural state is a [`Cpu`].
pub struct Arm {
    /// The CPU model.
    pub model: &'static Model,
    /// The machine around it.
    pub platform: Box<dyn Platform>,
}

/// No machine around a CPU: time stands still, nothing interrupts, HVC and SMC are undefined.
pub struct NoPlatform;

impl Platform for NoPlatform {
    fn now_ns(&self) -> u64 {
        0
    }
    fn timer(&mut self, _: Timer, _: TimerOutput) {}
    fn pending(&self) -> u32 {
        0
    }
    fn firmware_call(&mut self, _: Conduit, _: [u32; 4]) -> FirmwareResult {
        FirmwareResult::Undefined
    }
    fn cpu_index(&self) -> u32 {
        0
    }
    fn cpu_count(&self) -> u32 {
        1
    }
}

impl Arm {
    /// A CPU of a model on its own.
    pub fn alone(model: &'static Model) -> Arm {
        Arm {
            model,
            platform: Box::new(NoPlatform),
        }
    }
}

/// Where things are in [`Cpu`].
pub static LAYOUT: Layout = Layout {
    pc: state::R[15],
    mode: state::MODE,
    fp_flags: state::FP_FLAGS,
    fp_round: state::FP_ROUND,
    insn_shift: 1,
    pins: &PINS,
    names: &NAMES,
    helper: calls::name,
};

/// Registers by how often compiled code uses them.
const PINS: [Slot; 10] = {
    let r = state::R;
    [r[3], r[0], r[2], r[1], r[13], r[4], r[5], r[6], r[14], r[7]]
};

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
    const HELPERS: &'static [Helper<Arm>] = calls::CALLS;

    fn translate(
        &self,
        key: BlockKey,
        offset: u32,
        limit: u32,
        fetch: &mut dyn Fetch,
        b: &mut Builder,
    ) -> Result<(), Fault> {
        crate::translate::translate(self.model, key, offset, limit, fetch, b)
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
    }

    fn raise(&mut self, s: &mut Cpu, fault: Fault) {
        s.raise(fault);
    }

    fn interrupt(&mut self, s: &mut Cpu, pending: u32) -> bool {
        s.interrupt(pending)
    }

    fn wakes(&self, _: &Cpu, pending: u32) -> bool {
        pending & (IRQ | FIQ) != 0
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
