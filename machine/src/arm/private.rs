//! Private peripheral interrupts of a CPU's own devices, from 0 (the interrupt id is 16 more): Arm Base System Architecture,
//! DEN 0094, table 3.

/// Secure physical timer.
pub const SECURE_TIMER: u32 = 13;
/// Non-secure physical timer.
pub const PHYSICAL_TIMER: u32 = 14;
/// Virtual timer.
pub const VIRTUAL_TIMER: u32 = 11;
/// Hypervisor timer.
pub const HYP_TIMER: u32 = 10;
/// Performance monitors.
pub const PMU: u32 = 7;
