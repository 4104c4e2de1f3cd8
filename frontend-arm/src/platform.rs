//! The CPU as a part of a machine: its model, and what it asks of the machine around it. Both states of execution share it.

use crate::model::Model;
use emu_ir::Stop;

/// Pending line of [`emu_ir::Guest::interrupt`]: IRQ.
pub const IRQ: u32 = 1 << 0;
/// Pending line of [`emu_ir::Guest::interrupt`]: FIQ.
pub const FIQ: u32 = 1 << 1;

/// CPUs in a cluster.
const CLUSTER: u32 = 8;

/// MPIDR's affinity levels 0 and 1 of the CPU with this number.
pub const fn affinity(index: u32) -> u32 {
    (index % CLUSTER) | ((index / CLUSTER) & 0xff) << 8
}

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
    /// It returned these values for the first four registers, of which AArch32's take the low halves.
    Return([u64; 4]),
    /// The vCPU stops.
    Stop(Stop),
    /// The instruction is Undefined: no firmware listens there.
    Undefined,
}

/// What a semihosting call did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SemihostingResult {
    /// It returned this value for the first register, of which AArch32's takes the low half.
    Return(u64),
    /// It waits for the host: the CPU looks at interrupts, then makes the call again.
    Wait,
    /// The vCPU stops.
    Stop(Stop),
}

/// What the CPU asks of the machine.
pub trait Platform: Send {
    /// The virtual time in nanoseconds: what the generic timers and the cycle counter count by.
    fn now_ns(&self) -> u64;
    /// A timer's output as it now is: told whenever the guest programs the timer.
    fn timer(&mut self, which: Timer, output: TimerOutput);
    /// The interrupt lines that are now asserted: [`IRQ`], [`FIQ`].
    fn pending(&self) -> u32;
    /// HVC or SMC with the first four registers; `wide` from AArch64 state.
    fn firmware_call(&mut self, conduit: Conduit, args: [u64; 4], wide: bool) -> FirmwareResult;
    /// A semihosting call (Arm, Semihosting for AArch32 and AArch64): its operation and its parameter, `wide` from AArch64
    /// state; and the physical address of a byte of the caller's memory. Comes where [`Arm::semihosting`] says so; the default
    /// host knows no operation.
    fn semihosting(
        &mut self,
        _args: [u64; 2],
        _wide: bool,
        _physical: &mut dyn FnMut(u64) -> Option<u64>,
    ) -> SemihostingResult {
        SemihostingResult::Return(u64::MAX)
    }
    /// Which CPU of the machine this is: MPIDR's affinity level 0, with four (or more) CPUs in a cluster.
    fn cpu_index(&self) -> u32;
    /// How many CPUs the cluster has: 1 to 4 in L2CTLR.
    fn cpu_count(&self) -> u32;
    /// The guest has a performance monitor count an event that is not counted: it will read zero, which somebody should
    /// be told.
    fn uncounted(&mut self, event: u32);
}

/// An ARMv7-A CPU: its model and its way to the machine. The architectural state is a [`Cpu`](crate::state::Cpu).
pub struct Arm {
    /// The CPU model.
    pub model: &'static Model,
    /// The machine around it.
    pub platform: Box<dyn Platform>,
    /// The instructions of semihosting call the machine. Else they are what they are without.
    pub semihosting: bool,
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
    fn firmware_call(&mut self, _: Conduit, _: [u64; 4], _: bool) -> FirmwareResult {
        FirmwareResult::Undefined
    }
    fn cpu_index(&self) -> u32 {
        0
    }
    fn cpu_count(&self) -> u32 {
        1
    }
    fn uncounted(&mut self, _: u32) {}
}

impl Arm {
    /// A CPU of a model on its own.
    pub fn alone(model: &'static Model) -> Arm {
        Arm {
            model,
            platform: Box::new(NoPlatform),
            semihosting: false,
        }
    }
}
