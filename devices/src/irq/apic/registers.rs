//! The register map of a local APIC: SDM volume 3, tables "Local APIC Register Address Map" and "Local APIC Register
//! Address Map Supported by x2APIC".
//!
//! A register has a number. In the page of registers it lies at sixteen times that number, among the MSRs it is number 800H
//! plus that; in this table it has a word of four bytes.

crate::regs! {
    /// Identification
    0x008 ID       Rw
    /// Version, number of LVT entries, whether EOI broadcasts can be suppressed
    0x00c VERSION  Ro
    /// Task priority
    0x020 TPR      Rw
    /// Arbitration priority: of older buses, reads as zero
    0x024 APR      Ro
    /// Processor priority
    0x028 PPR      Ro
    /// End of interrupt
    0x02c EOI      Wo
    /// Remote read: of older buses, reads as zero
    0x030 RRD      Ro
    /// Logical destination
    0x034 LDR      Rw
    /// Destination format
    0x038 DFR      Rw
    /// Spurious interrupt vector, and the software enable
    0x03c SVR      Rw
    /// In service
    0x040 ISR[8]   Ro
    /// Trigger mode
    0x060 TMR[8]   Ro
    /// Interrupt request
    0x080 IRR[8]   Ro
    /// Error status
    0x0a0 ESR      Rw
    /// Corrected machine check interrupt
    0x0bc LVT_CMCI Rw
    /// Interrupt command
    0x0c0 ICR      Rw
    /// Its destination
    0x0c4 ICR_HIGH Rw
    /// Timer, thermal sensor, performance counters, LINT0, LINT1, error
    0x0c8 LVT[6]   Rw
    /// Timer: initial count
    0x0e0 INITIAL  Rw
    /// Timer: current count
    0x0e4 CURRENT  Ro
    /// Timer: divide configuration
    0x0f8 DIVIDE   Rw
    /// An interrupt to the CPU itself, in x2APIC mode
    0x0fc SELF_IPI Wo
}

/// The bits of spurious interrupt vector register.
pub(super) mod svr {
    /// The APIC is enabled.
    pub const ENABLE: u32 = 1 << 8;
    /// End of a level-triggered interrupt is not told to the IOAPICs.
    pub const SUPPRESS_EOI_BROADCAST: u32 = 1 << 12;
    /// Those that are kept; bit 9, focus processor checking, has no effect since the Pentium 4.
    pub const KEPT: u32 = 0x13ff;
}

/// The interrupt command register.
pub(super) mod icr {
    /// Bits of the lower half that are kept: all but the reserved ones and delivery status.
    pub const KEPT: u32 = 0x000c_cfff;
    /// Delivery status: idle, whatever is written.
    pub const STATUS: u32 = 1 << 12;
}

/// The error status register.
pub(super) mod esr {
    pub const SEND_ILLEGAL_VECTOR: u32 = 1 << 5;
    pub const RECEIVE_ILLEGAL_VECTOR: u32 = 1 << 6;
    pub const ILLEGAL_ADDRESS: u32 = 1 << 7;
}

/// IA32_APIC_BASE.
pub(super) mod base {
    /// The bootstrap processor.
    pub const BSP: u64 = 1 << 8;
    /// x2APIC mode.
    pub const EXTD: u64 = 1 << 10;
    /// There is a local APIC.
    pub const EN: u64 = 1 << 11;
    /// Where the page of registers is after reset.
    pub const PAGE: u64 = 0xfee0_0000;
}

/// First number of the MSRs that are a local APIC's in x2APIC mode.
pub(super) const FIRST_MSR: u32 = 0x800;
/// LVT entries there are, less one: CMCI is the last.
const MAX_LVT: u32 = 6;
/// VERSION: an APIC of a Pentium 4 and later, whose EOI broadcasts can be suppressed.
pub(super) const VERSION: u32 = 1 << 24 | MAX_LVT << 16 | 0x14;
