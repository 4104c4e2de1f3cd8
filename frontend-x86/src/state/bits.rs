//! Bits of registers, by their manual names (SDM 3, chapter 2; SDM 4).
#![allow(missing_docs)]

/// EFLAGS.
pub mod eflags {
    pub const CF: u32 = 1 << 0;
    /// Always 1.
    pub const FIXED: u32 = 1 << 1;
    pub const PF: u32 = 1 << 2;
    pub const AF: u32 = 1 << 4;
    pub const ZF: u32 = 1 << 6;
    pub const SF: u32 = 1 << 7;
    pub const TF: u32 = 1 << 8;
    pub const IF: u32 = 1 << 9;
    pub const DF: u32 = 1 << 10;
    pub const OF: u32 = 1 << 11;
    pub const IOPL_SHIFT: u32 = 12;
    pub const IOPL: u32 = 3 << IOPL_SHIFT;
    pub const NT: u32 = 1 << 14;
    pub const RF: u32 = 1 << 16;
    pub const VM: u32 = 1 << 17;
    pub const AC: u32 = 1 << 18;
    pub const VIF: u32 = 1 << 19;
    pub const VIP: u32 = 1 << 20;
    pub const ID: u32 = 1 << 21;
    /// The status flags.
    pub const STATUS: u32 = CF | PF | AF | ZF | SF | OF;
    /// All that there are.
    pub const ALL: u32 = STATUS | TF | IF | DF | IOPL | NT | RF | VM | AC | VIF | VIP | ID;
}

/// CR0.
pub mod cr0 {
    pub const PE: u64 = 1 << 0;
    pub const MP: u64 = 1 << 1;
    pub const EM: u64 = 1 << 2;
    pub const TS: u64 = 1 << 3;
    /// Always 1.
    pub const ET: u64 = 1 << 4;
    pub const NE: u64 = 1 << 5;
    pub const WP: u64 = 1 << 16;
    pub const AM: u64 = 1 << 18;
    pub const NW: u64 = 1 << 29;
    pub const CD: u64 = 1 << 30;
    pub const PG: u64 = 1 << 31;
}

/// CR4.
pub mod cr4 {
    pub const VME: u64 = 1 << 0;
    pub const PVI: u64 = 1 << 1;
    pub const TSD: u64 = 1 << 2;
    pub const DE: u64 = 1 << 3;
    pub const PSE: u64 = 1 << 4;
    pub const PAE: u64 = 1 << 5;
    pub const MCE: u64 = 1 << 6;
    pub const PGE: u64 = 1 << 7;
    pub const PCE: u64 = 1 << 8;
    pub const OSFXSR: u64 = 1 << 9;
    pub const OSXMMEXCPT: u64 = 1 << 10;
    pub const UMIP: u64 = 1 << 11;
    pub const LA57: u64 = 1 << 12;
    pub const VMXE: u64 = 1 << 13;
    pub const FSGSBASE: u64 = 1 << 16;
    pub const PCIDE: u64 = 1 << 17;
    pub const OSXSAVE: u64 = 1 << 18;
    pub const SMEP: u64 = 1 << 20;
    pub const SMAP: u64 = 1 << 21;
    pub const PKE: u64 = 1 << 22;
}

/// IA32_EFER.
pub mod efer {
    pub const SCE: u64 = 1 << 0;
    pub const LME: u64 = 1 << 8;
    pub const LMA: u64 = 1 << 10;
    pub const NXE: u64 = 1 << 11;
    pub const SVME: u64 = 1 << 12;
    pub const FFXSR: u64 = 1 << 14;
}

/// XCR0 and the headers of XSAVE's areas.
pub mod xcr0 {
    pub const X87: u64 = 1 << 0;
    pub const SSE: u64 = 1 << 1;
    pub const AVX: u64 = 1 << 2;
    pub const PKRU: u64 = 1 << 9;
}

/// MXCSR.
pub mod mxcsr {
    /// Flags.
    pub const FLAGS: u32 = 0x3f;
    pub const DAZ: u32 = 1 << 6;
    pub const MASKS_SHIFT: u32 = 7;
    pub const MASKS: u32 = 0x3f << MASKS_SHIFT;
    pub const RC_SHIFT: u32 = 13;
    pub const RC: u32 = 3 << RC_SHIFT;
    pub const FTZ: u32 = 1 << 15;
    /// MXCSR_MASK: the bits that there are.
    pub const ALL: u32 = 0xffff;
}

/// DR6.
pub mod dr6 {
    pub const B: u32 = 15;
    pub const BD: u32 = 1 << 13;
    pub const BS: u32 = 1 << 14;
    pub const BT: u32 = 1 << 15;
    /// Always 1; reset's value.
    pub const FIXED: u32 = 0xffff_0ff0;
}

/// DR7.
pub mod dr7 {
    /// L0 to L3.
    pub const LOCAL: u64 = 0x55;
    pub const GD: u64 = 1 << 13;
    /// Always 1; reset's value.
    pub const FIXED: u64 = 1 << 10;
    /// What can be written.
    pub const WRITABLE: u64 = 0xffff_23ff;
}
