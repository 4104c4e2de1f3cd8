//! System control: CP15 and what depends on it.

use bytemuck::{Pod, Zeroable};

/// The system control registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(8))]
pub struct Cp15 {
    /// SCTLR.
    pub sctlr: u32,
    /// TPIDRURO, the thread pointer that User mode reads.
    pub tpidruro: u32,
    /// Zero.
    pub reserved: [u32; 2],
}
