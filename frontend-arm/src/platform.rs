//! The CPU as a part of a machine: its model, and what it asks of the machine around it. Both states of execution share it.

use crate::model::Model;
use emu_ir::Stop;

/// Pending line of [`emu_ir::Guest::interrupt`]: IRQ.
pub const IRQ: u32 = 1 << 0;
/// Pending line of [`emu_ir::Guest::interrupt`]: FIQ.
pub const FIQ: u32 = 1 << 1;

/// CPUs in a cluster: as many as one message between CPUs of a GICv3 lists.
const CLUSTER: u32 = 16;

/// MPIDR's affinity levels 0 and 1 of the CPU with this number.
pub const fn affinity(index: u32) -> u32 {
    (index % CLUSTER) | ((index / CLUSTER) & 0xff) << 8
}

/// The number of the CPU with these affinities (levels 0 to 3 as MPIDR_EL1 has them), were there enough CPUs.
pub const fn numbered(affinity: u64) -> Option<u32> {
    let (level0, level1) = (affinity & 0xff, affinity >> 8);
    if level0 < CLUSTER as u64 && level1 <= 0xff {
        Some((level1 as u32) * CLUSTER + level0 as u32)
    } else {
        None
    }
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

/// A register of a GICv3's CPU interface, which is a system register of the CPU: both states have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the manual's names")]
pub enum Icc {
    Pmr,
    Iar0,
    Iar1,
    Eoir0,
    Eoir1,
    Hppir0,
    Hppir1,
    Bpr0,
    Bpr1,
    Ap0r,
    Ap1r,
    Dir,
    Rpr,
    Sgi0r,
    Sgi1r,
    Asgi1r,
    Ctlr,
    Sre,
    Igrpen0,
    Igrpen1,
}

/// A CPU's interface of a GICv3.
pub trait GicInterface {
    /// A read, with all that follows from it.
    fn read(&self, reg: Icc) -> u64;
    /// A write. The interrupt lines may then be others.
    fn write(&self, reg: Icc, value: u64);
}

/// What the CPU asks of the machine.
pub trait Platform: Send {
    /// The virtual time in nanoseconds: what the generic timers and the cycle counter count by.
    fn now_ns(&self) -> u64;
    /// A timer's output as it now is: told whenever the guest programs the timer.
    fn timer(&mut self, which: Timer, output: TimerOutput);
    /// The interrupt lines that are now asserted: [`IRQ`], [`FIQ`].
    fn pending(&self) -> u32;
    /// The CPU's interface of the interrupt controller, where that is a GICv3: without one its registers are Undefined.
    fn gic(&self) -> Option<&dyn GicInterface> {
        None
    }
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
    /// Which CPU of the machine this is: MPIDR's affinities follow ([`affinity`]).
    fn cpu_index(&self) -> u32;
    /// How many CPUs the cluster has: 1 to 4 in L2CTLR.
    fn cpu_count(&self) -> u32;
    /// Random bytes for RNDR, if there are some now.
    fn random(&mut self) -> Option<u64> {
        None
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn affinities_number_the_cpus() {
        for cpu in [0, 1, 7, 8, 15, 16, 122, 4095] {
            assert_eq!(numbered(affinity(cpu).into()), Some(cpu));
        }
        assert_eq!([affinity(15), affinity(16), affinity(122)], [15, 0x100, 0x70a]);
        for none in [16, 0x1_0000, 1 << 31, 1 << 32, u64::MAX] {
            assert_eq!(numbered(none), None, "{none:#x}");
        }
    }
}
