//! The system control registers as plain data, and the bits of those that much depends on (Arm ARM DDI 0406C, B4.1).

use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};

/// Event counters at most: the model's PMCR.N says how many there are.
pub const EVENTS: usize = 6;

/// Bits of the SCTLR (B4.1.130).
pub mod sctlr {
    /// MMU enable.
    pub const M: u32 = 1 << 0;
    /// Alignment check enable.
    pub const A: u32 = 1 << 1;
    /// CP15 barrier operations enable.
    pub const CP15BEN: u32 = 1 << 5;
    /// SWP and SWPB enable.
    pub const SW: u32 = 1 << 10;
    /// High vectors.
    pub const V: u32 = 1 << 13;
    /// Writable memory is never executable.
    pub const WXN: u32 = 1 << 19;
    /// Memory that User mode can write is never executable at PL1.
    pub const UWXN: u32 = 1 << 20;
    /// CPSR.E on exceptions, and the byte order of translation tables.
    pub const EE: u32 = 1 << 25;
    /// TEX remap enable.
    pub const TRE: u32 = 1 << 28;
    /// Access flag enable.
    pub const AFE: u32 = 1 << 29;
    /// Exceptions are taken in Thumb state.
    pub const TE: u32 = 1 << 30;
    /// What software can change: as above, with C, Z, I.
    pub const WRITABLE: u32 = M | A | 1 << 2 | CP15BEN | SW | 1 << 11 | 1 << 12 | V | WXN | UWXN | EE | TRE | AFE | TE;
}

/// Bits of the TTBCR (B4.1.153).
pub mod ttbcr {
    /// No walks through TTBR0 (short descriptors).
    pub const PD0: u32 = 1 << 4;
    /// No walks through TTBR1 (short descriptors).
    pub const PD1: u32 = 1 << 5;
    /// No walks through TTBR0 (long descriptors).
    pub const EPD0: u32 = 1 << 7;
    /// TTBR1 has the ASID (long descriptors).
    pub const A1: u32 = 1 << 22;
    /// No walks through TTBR1 (long descriptors).
    pub const EPD1: u32 = 1 << 23;
    /// Long descriptors.
    pub const EAE: u32 = 1 << 31;
}

/// The system control registers, named as in the manual.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable, Serialize, Deserialize)]
#[repr(C, align(8))]
#[allow(missing_docs)]
pub struct Cp15 {
    pub sctlr: u32,
    /// The thread pointer that User mode reads.
    pub tpidruro: u32,
    /// The thread pointer that User mode reads and writes.
    pub tpidrurw: u32,
    /// The thread pointer of privileged modes.
    pub tpidrprw: u32,
    pub dacr: u32,
    pub contextidr: u32,
    /// The high half belongs to long descriptors.
    pub ttbr0: u64,
    /// The high half belongs to long descriptors.
    pub ttbr1: u64,
    pub ttbcr: u32,
    /// PRRR, and MAIR0 with long descriptors.
    pub prrr: u32,
    /// NMRR, and MAIR1 with long descriptors.
    pub nmrr: u32,
    pub amair: [u32; 2],
    pub vbar: u32,
    pub actlr: u32,
    pub cpacr: u32,
    pub dfsr: u32,
    pub dfar: u32,
    pub ifsr: u32,
    pub ifar: u32,
    pub adfsr: u32,
    pub aifsr: u32,
    pub csselr: u32,
    pub cntkctl: u32,
    pub par: u64,
    /// The 64-bit physical timer's compare value.
    pub cntp_cval: u64,
    /// The virtual timer's compare value.
    pub cntv_cval: u64,
    pub cntp_ctl: u32,
    pub cntv_ctl: u32,
    pub cntfrq: u32,
    pub l2ctlr: u32,
    pub l2ectlr: u32,
    pub teecr: u32,
    pub teehbr: u32,
    pub dbgdscr: u32,
    pub dbgvcr: u32,
    pub dbgosdlr: u32,
    pub dbgoslock: u32,
    /// DBGBVR0 to 5.
    pub dbgbvr: [u32; 6],
    /// DBGBCR0 to 5.
    pub dbgbcr: [u32; 6],
    /// DBGWVR0 to 3.
    pub dbgwvr: [u32; 4],
    /// DBGWCR0 to 3.
    pub dbgwcr: [u32; 4],
    /// DBGBXVR of the two context-aware breakpoints.
    pub dbgbxvr: [u32; 2],
    pub dbgclaim: u32,
    /// The performance monitors.
    pub pmu: Pmu,
}

/// The performance monitors' state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable, Serialize, Deserialize)]
#[repr(C, align(8))]
pub struct Pmu {
    /// PMCCNTR as of `at`, with the bits that overflowed.
    pub ccntr: u64,
    /// When the counters were last brought up to date, in nanoseconds of virtual time.
    pub at: u64,
    /// PMCR.E, D, X and DP.
    pub pmcr: u32,
    /// PMCNTENSET.
    pub cnten: u32,
    /// PMOVSR.
    pub ovsr: u32,
    /// PMINTENSET.
    pub inten: u32,
    /// PMSELR.
    pub selr: u32,
    /// PMUSERENR.
    pub userenr: u32,
    /// PMCCFILTR: the filter of the cycle counter.
    pub ccfiltr: u32,
    /// Cycles that PMCR.D's divider by 64 has in it.
    pub rest: u32,
    /// What is counted, as [`crate::pmu`] has it.
    pub counting: u32,
    /// Instructions until the counters must be looked at: translated code counts it down.
    pub slack: u32,
    /// What `slack` was when the counters were last brought up to date.
    pub armed: u32,
    /// Loads since then.
    pub reads: u32,
    /// Stores since then.
    pub writes: u32,
    /// Branches taken since then.
    pub branches: u32,
    /// The event counters' types.
    pub evtyper: [u32; EVENTS],
    /// The event counters.
    pub evcntr: [u32; EVENTS],
}
