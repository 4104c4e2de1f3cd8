//! The CPU as a part of a machine: its model, and what it asks of the machine around it.

use crate::model::Model;

/// Pending line of [`emu_ir::Guest::interrupt`]: INTR, a level. What [`Platform::acknowledge`] answers is the vector.
pub const INTR: u32 = 1 << 0;
/// Pending line: NMI. Its edge stays until [`Platform::taken`].
pub const NMI: u32 = 1 << 1;
/// Pending line: SMI. Its edge stays until [`Platform::taken`].
pub const SMI: u32 = 1 << 2;
/// Pending line: INIT. Its edge stays until [`Platform::taken`].
pub const INIT: u32 = 1 << 3;

/// Where I/O ports are in the address space of the bus, above all physical addresses: port `n` at `PORTS + n`.
pub const PORTS: u64 = 1 << 52;
/// Where memory is as system management mode sees it: physical address `a` at `SMM + a`.
pub const SMM: u64 = 1 << 53;

/// A register that cannot be accessed so: #GP(0).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused;

/// What the CPU asks of the machine.
pub trait Platform: Send {
    /// The machine's time-stamp counter: it counts at the same rate always, [`Platform::tsc_hz`].
    fn tsc(&self) -> u64;
    /// Its ticks a second.
    fn tsc_hz(&self) -> u64;
    /// Which CPU of the machine this is, from 0. CPU 0 is the bootstrap processor.
    fn cpu_index(&self) -> u32;
    /// How many CPUs the machine has.
    fn cpu_count(&self) -> u32;
    /// The interrupt acknowledge cycle: the vector of the interrupt that [`INTR`] signals.
    fn acknowledge(&mut self) -> u8;
    /// An edge ([`NMI`], [`SMI`] or [`INIT`]) was taken, and its line is low again. What INIT does to the local APIC is done
    /// with it.
    fn taken(&mut self, line: u32);
    /// CR8.
    fn cr8(&self) -> u64;
    /// CR8 is written: 0 to 15.
    fn set_cr8(&mut self, priority: u8);
    /// Reads one of the local APIC's MSRs: IA32_APIC_BASE, IA32_TSC_DEADLINE, 800H to 8FFH.
    ///
    /// # Errors
    /// There is none of this number, or it cannot be read.
    fn read_msr(&mut self, number: u32) -> Result<u64, Refused>;
    /// Writes one of them.
    ///
    /// # Errors
    /// There is none of this number, or it does not take this value.
    fn write_msr(&mut self, number: u32, value: u64) -> Result<(), Refused>;
    /// The CPU's time-stamp counter is from now on this much ahead of the machine's, modulo 2^64.
    fn set_tsc_ahead(&mut self, ahead: u64);
    /// FERR#: an error of the floating-point unit is reported by an interrupt (CR0.NE is 0), or is no more.
    fn ferr(&mut self, level: bool);
    /// Random bytes for RDRAND and RDSEED, if there are some now.
    fn random(&mut self) -> Option<u64>;
}

/// A CPU: all of it but its state.
pub struct X86 {
    /// What it is.
    pub model: Model,
    /// The machine around it.
    pub platform: Box<dyn Platform>,
}

impl AsMut<X86> for X86 {
    fn as_mut(&mut self) -> &mut X86 {
        self
    }
}
