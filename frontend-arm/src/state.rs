//! ARM's architectural state as plain data: what a snapshot holds and every accelerator loads.
//!
//! The current mode's registers are in `r`; the other modes' copies are in `banks` (Arm ARM DDI 0406C, B1.3.2). The
//! CPSR is kept in pieces (flags a byte each, so that translated code reads and writes them singly); [`Cpu::cpsr`] puts it
//! together. Bits that change what code bytes mean are in the mode word, [`mode`].

use crate::cp15::{Cp15, Pmu};
use bytemuck::{Pod, Zeroable};
use emu_ir::{Slot, Ty};
use serde::{Deserialize, Serialize};
use std::mem::offset_of;

/// Bits of [`Cpu::mode`]: all that a translation depends on besides its bytes.
pub mod mode {
    /// CPSR.T: Thumb.
    pub const T: u32 = 1 << 0;
    /// CPSR.E: big-endian data.
    pub const E: u32 = 1 << 1;
    /// User mode.
    pub const USER: u32 = 1 << 2;
    /// VFP instructions are allowed (CPACR.cp10/cp11 for this privilege, and FPEXC.EN).
    pub const VFP: u32 = 1 << 3;
    /// Advanced SIMD instructions are allowed (as `VFP`, and CPACR.ASEDIS clear).
    pub const NEON: u32 = 1 << 4;
    /// FPSCR.FZ.
    pub const FZ: u32 = 1 << 5;
    /// FPSCR.DN.
    pub const DN: u32 = 1 << 6;
    /// FPSCR.AHP.
    pub const AHP: u32 = 1 << 7;
    /// Where CPSR.IT starts: bits 15:8, as IT\[7:0\] before the instruction at the block's start.
    pub const IT_SHIFT: u32 = 8;
    /// CPSR.IT.
    pub const IT: u32 = 0xff << IT_SHIFT;
    /// SCTLR.A is 1 or SCTLR.M 0: every access must be aligned.
    pub const ALIGN: u32 = 1 << 16;
    /// FPSCR.Len or Stride is not zero: VFP short vectors, which Cortex-A cores take as Undefined.
    pub const SHORT_VECTORS: u32 = 1 << 17;
    /// SCTLR.SW: SWP and SWPB are enabled.
    pub const SWP: u32 = 1 << 18;
    /// A performance monitor counts what translated code counts.
    pub const COUNT: u32 = 1 << 19;
    /// FPSCR.FZ16.
    pub const FZ16: u32 = 1 << 20;
    /// SCTLR.ITD: some uses of IT are Undefined.
    pub const ITD: u32 = 1 << 21;
    /// SCTLR.SED: SETEND is Undefined.
    pub const SED: u32 = 1 << 22;
    /// What only instructions of VFP and Advanced SIMD depend on. Kernels turn these on and off for each process, and a
    /// block without such an instruction is the same under all of them.
    pub const FLOATING: u32 = VFP | NEON | FZ | FZ16 | DN | AHP | SHORT_VECTORS;
}

/// Bits of [`Cpu::psr`] and of the CPSR.
pub mod psr {
    /// Mode field.
    pub const M: u32 = 0x1f;
    /// FIQ mask.
    pub const F: u32 = 1 << 6;
    /// IRQ mask.
    pub const I: u32 = 1 << 7;
    /// Asynchronous abort mask.
    pub const A: u32 = 1 << 8;
    /// User mode.
    pub const USR: u32 = 0x10;
    /// FIQ mode.
    pub const FIQ: u32 = 0x11;
    /// IRQ mode.
    pub const IRQ: u32 = 0x12;
    /// Supervisor mode.
    pub const SVC: u32 = 0x13;
    /// Abort mode.
    pub const ABT: u32 = 0x17;
    /// Undefined mode.
    pub const UND: u32 = 0x1b;
    /// System mode.
    pub const SYS: u32 = 0x1f;
    /// Thumb.
    pub const T: u32 = 1 << 5;
    /// Big-endian data.
    pub const E: u32 = 1 << 9;
    /// Armv8's PSTATE.DIT.
    pub const DIT: u32 = 1 << 21;
    /// Armv8's PSTATE.PAN.
    pub const PAN: u32 = 1 << 22;
    /// Armv8's PSTATE.SSBS.
    pub const SSBS: u32 = 1 << 23;
    /// What MRS shows of the CPSR: all but the execution state bits.
    pub const MRS: u32 = 0xf8ff_03df;
    /// The condition flags' place.
    pub const N_SHIFT: u32 = 28;
}

/// A mode's own copies: stack pointer, link register, saved status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable, Serialize, Deserialize)]
#[repr(C)]
pub struct Bank {
    /// SP of the mode.
    pub sp: u32,
    /// LR of the mode.
    pub lr: u32,
    /// SPSR of the mode (unused for User and System).
    pub spsr: u32,
}

/// Index into [`Cpu::banks`]: User/System, FIQ, IRQ, Supervisor, Abort, Undefined.
pub const BANKS: usize = 6;

/// The state of one ARMv7-A vCPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable, Serialize, Deserialize)]
#[repr(C, align(16))]
pub struct Cpu {
    /// R0 to R12, SP, LR of the current mode, and the address of the next instruction.
    pub r: [u32; 16],
    /// CPSR.N, 0 or 1.
    pub n: u8,
    /// CPSR.Z, 0 or 1.
    pub z: u8,
    /// CPSR.C, 0 or 1.
    pub c: u8,
    /// CPSR.V, 0 or 1.
    pub v: u8,
    /// CPSR.Q, 0 or 1.
    pub q: u8,
    /// CPSR.GE, 0 to 15.
    pub ge: u8,
    /// FPSCR.N, 0 or 1.
    pub fp_n: u8,
    /// FPSCR.Z, 0 or 1.
    pub fp_z: u8,
    /// FPSCR.C, 0 or 1.
    pub fp_c: u8,
    /// FPSCR.V, 0 or 1.
    pub fp_v: u8,
    /// Zero: keeps D0 aligned.
    pub reserved: [u8; 14],
    /// The mode word: see [`mode`].
    pub mode: u32,
    /// CPSR bits M, F, I and A.
    pub psr: u32,
    /// FPSCR's cumulative flags as `emu_ir::FP_*`.
    pub fp_flags: u32,
    /// FPSCR.RMode as an `emu_ir::Round`.
    pub fp_round: u32,
    /// FPSCR bits AHP, DN, FZ, Stride and Len (RMode is in `fp_round`).
    pub fpscr: u32,
    /// FPEXC.
    pub fpexc: u32,
    /// The exclusive monitor: 1 when LDREX has armed it.
    pub excl_armed: u32,
    /// The exclusive monitor's virtual address.
    pub excl_addr: u32,
    /// What LDREX read there (zero-extended).
    pub excl_value: u64,
    /// D0 to D31.
    pub d: [u64; 32],
    /// FPSCR.QC: not zero when set.
    pub qc: [u64; 2],
    /// The modes' own registers: see [`BANKS`].
    pub banks: [Bank; BANKS],
    /// R8 to R12 of the modes other than FIQ (valid while in FIQ mode) and of FIQ mode (valid otherwise).
    pub r8_12: [[u32; 5]; 2],
    /// System control registers.
    pub cp15: Cp15,
}

const fn byte(off: usize) -> Slot {
    Slot::new(off, Ty::I8)
}
const fn word(off: usize) -> Slot {
    Slot::new(off, Ty::I32)
}

/// R0 to R15; the last is the pc slot.
#[expect(
    clippy::indexing_slicing,
    reason = "evaluated at compile time, where an index out of range is an error"
)]
pub const R: [Slot; 16] = {
    let mut s = [word(0); 16];
    let mut i = 0;
    while i < 16 {
        s[i] = word(offset_of!(Cpu, r) + i * 4);
        i += 1;
    }
    s
};
/// CPSR.N.
pub const N: Slot = byte(offset_of!(Cpu, n));
/// CPSR.Z.
pub const Z: Slot = byte(offset_of!(Cpu, z));
/// CPSR.C.
pub const C: Slot = byte(offset_of!(Cpu, c));
/// CPSR.V.
pub const V: Slot = byte(offset_of!(Cpu, v));
/// CPSR.Q.
pub const Q: Slot = byte(offset_of!(Cpu, q));
/// CPSR.GE.
pub const GE: Slot = byte(offset_of!(Cpu, ge));
/// FPSCR.N, Z, C, V.
pub const FP_NZCV: [Slot; 4] = [
    byte(offset_of!(Cpu, fp_n)),
    byte(offset_of!(Cpu, fp_z)),
    byte(offset_of!(Cpu, fp_c)),
    byte(offset_of!(Cpu, fp_v)),
];
/// The mode word.
pub const MODE: Slot = word(offset_of!(Cpu, mode));
/// CPSR.M, F, I, A.
pub const PSR: Slot = word(offset_of!(Cpu, psr));
/// FPSCR's cumulative flags.
pub const FP_FLAGS: Slot = word(offset_of!(Cpu, fp_flags));
/// FPSCR.RMode.
pub const FP_ROUND: Slot = word(offset_of!(Cpu, fp_round));
/// The exclusive monitor.
pub const EXCL_ARMED: Slot = word(offset_of!(Cpu, excl_armed));
/// The exclusive monitor's address.
pub const EXCL_ADDR: Slot = word(offset_of!(Cpu, excl_addr));
/// The exclusive monitor's value.
pub const EXCL_VALUE: Slot = Slot::new(offset_of!(Cpu, excl_value), Ty::I64);
/// TPIDRURO, which User mode reads at every access to thread-local data.
pub const TPIDRURO: Slot = word(offset_of!(Cpu, cp15) + offset_of!(Cp15, tpidruro));
/// TPIDRURW.
pub const TPIDRURW: Slot = word(offset_of!(Cpu, cp15) + offset_of!(Cp15, tpidrurw));
/// TPIDRPRW, which Linux keeps its per-CPU offset in.
pub const TPIDRPRW: Slot = word(offset_of!(Cpu, cp15) + offset_of!(Cp15, tpidrprw));
const fn pmu(off: usize) -> Slot {
    word(offset_of!(Cpu, cp15) + offset_of!(Cp15, pmu) + off)
}
/// The performance monitors' count of instructions: see [`Pmu::slack`].
pub const PMU_SLACK: Slot = pmu(offset_of!(Pmu, slack));
/// Their count of loads.
pub const PMU_READS: Slot = pmu(offset_of!(Pmu, reads));
/// Their count of stores.
pub const PMU_WRITES: Slot = pmu(offset_of!(Pmu, writes));
/// Their count of branches.
pub const PMU_BRANCHES: Slot = pmu(offset_of!(Pmu, branches));
/// FPSCR bits AHP, DN, FZ, Stride and Len.
pub const FPSCR: Slot = word(offset_of!(Cpu, fpscr));
/// FPEXC.
pub const FPEXC: Slot = word(offset_of!(Cpu, fpexc));
/// FPSCR.QC, sticky: not zero when set.
pub const QC: Slot = Slot::new(offset_of!(Cpu, qc), Ty::V128);

/// S`i` as F32, `i` in 0..32.
pub const fn s(i: u32) -> Slot {
    Slot::new(offset_of!(Cpu, d) + 4 * (i as usize & 31), Ty::F32)
}
/// D`i` as F64, `i` in 0..32.
pub const fn d(i: u32) -> Slot {
    Slot::new(offset_of!(Cpu, d) + 8 * (i as usize & 31), Ty::F64)
}
/// D`i` as V64, `i` in 0..32.
pub const fn dv(i: u32) -> Slot {
    Slot::new(offset_of!(Cpu, d) + 8 * (i as usize & 31), Ty::V64)
}
/// Q`i` as V128, `i` in 0..16.
pub const fn qv(i: u32) -> Slot {
    Slot::new(offset_of!(Cpu, d) + 16 * (i as usize & 15), Ty::V128)
}

/// Names of the slots other than R0 to R15 and Q0 to Q15, for listings.
pub const NAMES: [(Slot, &str); 30] = [
    (N, "n"),
    (Z, "z"),
    (C, "c"),
    (V, "v"),
    (Q, "q"),
    (GE, "ge"),
    (FP_NZCV[0], "fp_n"),
    (FP_NZCV[1], "fp_z"),
    (FP_NZCV[2], "fp_c"),
    (FP_NZCV[3], "fp_v"),
    (MODE, "mode"),
    (PSR, "psr"),
    (FP_FLAGS, "fp_flags"),
    (FP_ROUND, "fp_round"),
    (FPSCR, "fpscr"),
    (FPEXC, "fpexc"),
    (EXCL_ARMED, "excl_armed"),
    (EXCL_ADDR, "excl_addr"),
    (EXCL_VALUE, "excl_value"),
    (QC, "qc"),
    (TPIDRURO, "tpidruro"),
    (TPIDRURW, "tpidrurw"),
    (TPIDRPRW, "tpidrprw"),
    (PMU_SLACK, "pmu_slack"),
    (PMU_READS, "pmu_reads"),
    (PMU_WRITES, "pmu_writes"),
    (PMU_BRANCHES, "pmu_branches"),
    (word(offset_of!(Cpu, cp15) + offset_of!(Cp15, sctlr)), "sctlr"),
    (word(offset_of!(Cpu, cp15) + offset_of!(Cp15, dacr)), "dacr"),
    (word(offset_of!(Cpu, cp15) + offset_of!(Cp15, contextidr)), "contextidr"),
];
const _: () = assert!(
    offset_of!(Cpu, excl_value) + 8 <= 128,
    "the hot slots are within short displacements"
);
