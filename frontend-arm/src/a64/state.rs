//! AArch64's architectural state as plain data: what a snapshot holds and every accelerator loads.
//!
//! X31 in `x` is the current stack pointer; those of the exception levels that are not in use are in `sp` (Arm ARM DDI 0487,
//! D1.7.2). PSTATE is kept in pieces, its flags a byte each; bits that change what code means are in the mode word, [`mode`].

use crate::cp15::Pmu;
use bytemuck::{Pod, Zeroable};
use emu_ir::{Slot, Ty};
use serde::{Deserialize, Serialize};
use std::mem::offset_of;

/// Bits of [`Cpu::mode`]: all that a translation depends on besides its bytes.
pub mod mode {
    /// Exception level: bits 1:0.
    pub const EL: u32 = 3;
    /// Data is big-endian (SCTLR_ELx.EE, SCTLR_EL1.E0E at EL0).
    pub const E: u32 = 1 << 2;
    /// Every access must be aligned: SCTLR_ELx.A is 1 or SCTLR_ELx.M 0.
    pub const ALIGN: u32 = 1 << 3;
    /// A base that is SP must be a multiple of 16 (SCTLR_ELx.SA, SCTLR_EL1.SA0 at EL0).
    pub const SP_ALIGN: u32 = 1 << 4;
    /// Floating point and Advanced SIMD are enabled (CPACR_EL1.FPEN for this level).
    pub const FP: u32 = 1 << 5;
    /// FPCR.FZ.
    pub const FZ: u32 = 1 << 6;
    /// FPCR.FZ16.
    pub const FZ16: u32 = 1 << 7;
    /// FPCR.DN.
    pub const DN: u32 = 1 << 8;
    /// FPCR.AHP.
    pub const AHP: u32 = 1 << 9;
    /// LDTR and STTR access memory as EL0 does: at EL1, where PSTATE.UAO is 0.
    pub const UNPRIVILEGED: u32 = 1 << 10;
    /// PSTATE.SP: SP_EL0 is not the stack pointer in use.
    pub const SPX: u32 = 1 << 11;
    /// PSTATE.IL: every instruction is an Illegal Execution state exception.
    pub const IL: u32 = 1 << 12;
    /// Software step is on at this level: an instruction makes PSTATE.SS 0.
    pub const STEP: u32 = 1 << 13;
    /// SCTLR_ELx.M is 0: all data is Device memory.
    pub const DEVICE: u32 = 1 << 15;
    /// A performance monitor counts what translated code counts.
    pub const COUNT: u32 = 1 << 14;
    /// AArch32 state: the other bits are those of [`crate::state::mode`] and [`crate::a64::aarch32::mode`].
    pub const AARCH32: u32 = 1 << 31;
    /// SCTLR_EL1.EnIA: the key APIA is on.
    pub const IA: u32 = 1 << 16;
    /// EnIB.
    pub const IB: u32 = 1 << 17;
    /// EnDA.
    pub const DA: u32 = 1 << 18;
    /// EnDB.
    pub const DB: u32 = 1 << 19;
    /// Pointers are as most kernels have them: see [`super::super::pauth::field::is_usual`].
    pub const USUAL: u32 = 1 << 20;
    /// PSTATE.BTYPE. What indirect branches set it to is here, not in [`super::Cpu::psr`].
    pub const BTYPE: u32 = 3 << BTYPE_SHIFT;
    /// Where it is.
    pub const BTYPE_SHIFT: u32 = 21;
    /// This exception level has met guarded pages: see [`super::super::guarded`].
    pub const CHECKED: u32 = 1 << 24;
    /// SCTLR_EL1.BT0 or BT1: PACIASP is not where a BR may go.
    pub const STRICT_PADS: u32 = 1 << 25;
    /// SCTLR_ELx.nAA: ordered accesses need not be aligned.
    pub const UNALIGNED_ORDERED: u32 = 1 << 26;
    /// What only indirect branches, and what they go to, depend on.
    pub const GUARD: u32 = CHECKED | STRICT_PADS;
    /// What only instructions of pointer authentication depend on.
    pub const PAUTH: u32 = IA | IB | DA | DB | USUAL;
    /// What only instructions of floating point and Advanced SIMD depend on. Kernels turn these on and off for each process,
    /// and a block without such an instruction is the same under all of them.
    pub const FLOATING: u32 = FP | FZ | FZ16 | DN | AHP;
}

/// Bits of [`Cpu::psr`], at their places in SPSR_ELx.
pub mod psr {
    /// The stack pointer in use is that of the exception level (PSTATE.SP).
    pub const SP: u32 = 1 << 0;
    /// Where PSTATE.EL is.
    pub const EL_SHIFT: u32 = 2;
    /// PSTATE.EL.
    pub const EL: u32 = 3 << EL_SHIFT;
    /// PSTATE.SP and EL: the mode, of which bit 4 says AArch32.
    pub const M: u32 = 0x1f;
    /// PSTATE.F.
    pub const F: u32 = 1 << 6;
    /// PSTATE.I.
    pub const I: u32 = 1 << 7;
    /// PSTATE.A.
    pub const A: u32 = 1 << 8;
    /// PSTATE.D.
    pub const D: u32 = 1 << 9;
    /// PSTATE.D, A, I and F.
    pub const DAIF: u32 = D | A | I | F;
    /// PSTATE.BTYPE, which is kept in the mode word.
    pub const BTYPE: u32 = 3 << BTYPE_SHIFT;
    /// Where it is.
    pub const BTYPE_SHIFT: u32 = 10;
    /// PSTATE.SSBS.
    pub const SSBS: u32 = 1 << 12;
    /// PSTATE.IL.
    pub const IL: u32 = 1 << 20;
    /// PSTATE.SS.
    pub const SS: u32 = 1 << 21;
    /// PSTATE.PAN.
    pub const PAN: u32 = 1 << 22;
    /// PSTATE.UAO.
    pub const UAO: u32 = 1 << 23;
    /// PSTATE.DIT.
    pub const DIT: u32 = 1 << 24;
    /// All of these but BTYPE.
    pub const ALL: u32 = M | DAIF | SSBS | IL | SS | PAN | UAO | DIT;
    /// Where PSTATE.V, the lowest of the condition flags, is.
    pub const V_SHIFT: u32 = 28;
}

/// Bits of SCTLR_EL1 (D19.2).
pub mod sctlr {
    /// The MMU is on.
    pub const M: u64 = 1 << 0;
    /// Accesses must be aligned.
    pub const A: u64 = 1 << 1;
    /// SP must be aligned at EL1.
    pub const SA: u64 = 1 << 3;
    /// SP must be aligned at EL0.
    pub const SA0: u64 = 1 << 4;
    /// AArch32's barriers of CP15 are there.
    pub const CP15BEN: u64 = 1 << 5;
    /// Some uses of IT in AArch32 are Undefined.
    pub const ITD: u64 = 1 << 7;
    /// AArch32's SETEND is Undefined.
    pub const SED: u64 = 1 << 8;
    /// Data accesses are cacheable.
    pub const C: u64 = 1 << 2;
    /// Ordered accesses need not be aligned.
    pub const NAA: u64 = 1 << 6;
    /// EL0 may mask interrupts.
    pub const UMA: u64 = 1 << 9;
    /// Instruction accesses are cacheable.
    pub const I: u64 = 1 << 12;
    /// EL0 may use DC ZVA.
    pub const DZE: u64 = 1 << 14;
    /// EL0 may read CTR_EL0.
    pub const UCT: u64 = 1 << 15;
    /// WFI at EL0 does not trap.
    pub const NTWI: u64 = 1 << 16;
    /// WFE at EL0 does not trap.
    pub const NTWE: u64 = 1 << 18;
    /// Writable memory is never executable.
    pub const WXN: u64 = 1 << 19;
    /// Exceptions leave PSTATE.PAN as it is.
    pub const SPAN: u64 = 1 << 23;
    /// EL0's data is big-endian.
    pub const E0E: u64 = 1 << 24;
    /// EL1's data is big-endian.
    pub const EE: u64 = 1 << 25;
    /// The key APDB is on.
    pub const ENDB: u64 = 1 << 13;
    /// The key APDA is on.
    pub const ENDA: u64 = 1 << 27;
    /// The key APIB is on.
    pub const ENIB: u64 = 1 << 30;
    /// The key APIA is on.
    pub const ENIA: u64 = 1 << 31;
    /// PACIASP is not compatible with every PSTATE.BTYPE at EL0.
    pub const BT0: u64 = 1 << 35;
    /// At EL1.
    pub const BT1: u64 = 1 << 36;
    /// EL0 may maintain caches.
    pub const UCI: u64 = 1 << 26;
    /// PSTATE.SSBS after an exception.
    pub const DSSBS: u64 = 1 << 44;
    /// PSTATE.PAN concerns what EL0 may only execute as well.
    pub const EPAN: u64 = 1 << 57;
    /// What every CPU has, to be written.
    pub const WRITABLE: u64 =
        M | A | C | SA | SA0 | CP15BEN | ITD | SED | UMA | I | DZE | UCT | NTWI | NTWE | WXN | E0E | EE | UCI;
    /// What is always 1 without FEAT_LSMAOC, FEAT_ExS and FEAT_CSV2_2.
    pub const ONES: u64 = 1 << 11 | 1 << 20 | 1 << 22 | 1 << 28 | 1 << 29;
}

/// Bits of TCR_EL1 (D19.2).
pub mod tcr {
    /// No walks through TTBR0_EL1.
    pub const EPD0: u64 = 1 << 7;
    /// The ASID is in TTBR1_EL1.
    pub const A1: u64 = 1 << 22;
    /// No walks through TTBR1_EL1.
    pub const EPD1: u64 = 1 << 23;
    /// ASIDs have 16 bits.
    pub const AS: u64 = 1 << 36;
    /// The top byte of addresses that TTBR0_EL1 translates is ignored.
    pub const TBI0: u64 = 1 << 37;
    /// The same for TTBR1_EL1.
    pub const TBI1: u64 = 1 << 38;
    /// Hardware sets the Access flag.
    pub const HA: u64 = 1 << 39;
    /// Hardware keeps the dirty state.
    pub const HD: u64 = 1 << 40;
    /// No hierarchical permissions through TTBR0_EL1.
    pub const HPD0: u64 = 1 << 41;
    /// The same for TTBR1_EL1.
    pub const HPD1: u64 = 1 << 42;
    /// Where TBI0 is 1, the top byte of addresses of instructions is not ignored.
    pub const TBID0: u64 = 1 << 51;
    /// The same for TBI1.
    pub const TBID1: u64 = 1 << 52;
    /// No access at EL0 through TTBR0_EL1.
    pub const E0PD0: u64 = 1 << 55;
    /// The same for TTBR1_EL1.
    pub const E0PD1: u64 = 1 << 56;
    /// What every CPU has.
    pub const WRITABLE: u64 = 0x7f_ffff_ffbf & !(HA | HD | HPD0 | HPD1) & !(1 << 35);
}

/// System registers, those of EL1 by their names without the suffix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable, Serialize, Deserialize)]
#[repr(C)]
#[allow(missing_docs)]
pub struct Sys {
    pub sctlr: u64,
    pub actlr: u64,
    pub ttbr0: u64,
    pub ttbr1: u64,
    pub tcr: u64,
    pub mair: u64,
    pub amair: u64,
    pub contextidr: u64,
    pub par: u64,
    pub afsr0: u64,
    pub afsr1: u64,
    pub csselr: u64,
    pub cntkctl: u64,
    pub cntfrq: u64,
    /// The physical timer's compare value.
    pub cntp_cval: u64,
    /// The virtual timer's compare value.
    pub cntv_cval: u64,
    pub cntp_ctl: u32,
    pub cntv_ctl: u32,
    pub mdscr: u64,
    pub mdccint: u64,
    /// OSLSR_EL1.OSLK.
    pub oslock: u64,
    pub osdlr: u64,
    pub dbgprcr: u64,
    pub dbgclaim: u64,
    /// DBGBVR0_EL1 to 5.
    pub dbgbvr: [u64; 6],
    /// DBGBCR0_EL1 to 5.
    pub dbgbcr: [u64; 6],
    /// DBGWVR0_EL1 to 3.
    pub dbgwvr: [u64; 4],
    /// DBGWCR0_EL1 to 3.
    pub dbgwcr: [u64; 4],
    pub cpacr: u64,
    pub vbar: u64,
    pub elr: u64,
    pub spsr: u64,
    pub esr: u64,
    pub far: u64,
    pub tpidr_el0: u64,
    pub tpidrro_el0: u64,
    pub tpidr: u64,
    /// The keys of pointer authentication, low half first: APIA, APIB, APDA, APDB, APGA.
    pub keys: [[u64; 2]; 5],
    /// DISR_EL1: what ESB deferred, which is nothing.
    #[serde(default)]
    pub disr: u64,
    /// Which bits of pointers authentication codes are in, as TCR_EL1 has it: see [`pac`].
    #[serde(skip)]
    pub pac: [u64; 4],
    /// The performance monitors.
    pub pmu: Pmu,
}

/// What AArch32 state has beside what it shares with AArch64 state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable, Serialize, Deserialize)]
#[repr(C)]
pub struct Aarch32 {
    /// PSTATE.Q, 0 or 1.
    pub q: u8,
    /// PSTATE.GE, 0 to 15.
    pub ge: u8,
    /// FPSCR.N, Z, C and V, 0 or 1 each.
    pub fp_nzcv: [u8; 4],
    /// Zero: no padding.
    pub reserved: [u8; 10],
}

/// What is where in [`Sys::pac`].
pub mod pac {
    /// Pointers to code: first the bits for the low half of the address space.
    pub const CODE: usize = 0;
    /// Pointers to data: the same.
    pub const DATA: usize = 2;
    /// So far behind these: in which bits those for the high half differ.
    pub const DIFFERS: usize = 1;
}

/// Bits of [`Cpu::stepped`].
pub mod stepped {
    /// An instruction.
    pub const INSN: u32 = 1 << 0;
    /// It was a load-exclusive.
    pub const EXCLUSIVE: u32 = 1 << 1;
    /// The instruction whose fault is at hand reads memory before it writes there.
    pub const ATOMIC: u32 = 1 << 2;
    /// It is DC ZVA, of the address in X`n`: where `n` is.
    pub const ZVA: u32 = 1 << 3;
    /// Where the number of its register is.
    pub const ZVA_SHIFT: u32 = 8;
    /// What is of the instruction whose fault is at hand.
    pub const FAULT: u32 = ATOMIC | ZVA | 31 << ZVA_SHIFT;
}

/// The state of one vCPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable, Serialize, Deserialize)]
#[repr(C, align(16))]
pub struct Cpu {
    /// The address of the next instruction.
    pub pc: u64,
    /// The mode word: see [`mode`].
    pub mode: u32,
    /// PSTATE but for the condition flags and BTYPE: see [`psr`].
    pub psr: u32,
    /// PSTATE.N, 0 or 1.
    pub n: u8,
    /// PSTATE.Z, 0 or 1.
    pub z: u8,
    /// PSTATE.C, 0 or 1.
    pub c: u8,
    /// PSTATE.V, 0 or 1.
    pub v: u8,
    /// The exclusive monitor: 0, or 1 + log2 of the bytes that it is armed for.
    pub excl_armed: u32,
    /// The exclusive monitor's virtual address.
    pub excl_addr: u64,
    /// What a load-exclusive read there (zero-extended), the low half first.
    pub excl_value: [u64; 2],
    /// FPSR's cumulative flags as `emu_ir::FP_*`.
    pub fp_flags: u32,
    /// FPCR.RMode as an `emu_ir::Round`.
    pub fp_round: u32,
    /// FPCR bits AHP, DN, FZ, Stride, FZ16 and Len (RMode is in `fp_round`).
    pub fpcr: u32,
    /// What software step has stepped since the last exception return, and while a fault is raised what it is of: see
    /// [`stepped`].
    pub stepped: u32,
    /// X0 to X30, and the stack pointer in use.
    pub x: [u64; 32],
    /// V0 to V31, the low half first.
    pub q: [[u64; 2]; 32],
    /// FPSR.QC: not zero when set.
    pub qc: [u64; 2],
    /// SP_EL0 to SP_EL3; that of the stack pointer in use is in `x`.
    pub sp: [u64; 4],
    /// Of AArch32 state.
    pub aarch32: Aarch32,
    /// System registers.
    pub sys: Sys,
    /// Where the last indirect branch went, plus the PSTATE.BTYPE that it was of, since the last exception, exception
    /// return or change of a system register; not kept under [`mode::CHECKED`].
    #[serde(default)]
    pub branch: u64,
    /// Bit n: exception level n has met guarded pages, see [`super::guarded`].
    #[serde(default)]
    pub guarded: u64,
    /// Zero: no padding.
    #[serde(skip)]
    pub reserved2: [u64; Cpu::TAIL],
}

impl Cpu {
    /// Doublewords that fill the state up to its alignment.
    pub(crate) const TAIL: usize = size_of::<Sys>() / 8 % 2;
}

impl Cpu {
    /// The doubleword of a slot.
    pub(super) fn long(&mut self, slot: Slot) -> &mut u64 {
        let longs: &mut [u64; size_of::<Cpu>() / 8] = bytemuck::cast_mut(self);
        #[allow(clippy::indexing_slicing, reason = "slots are made from places of fields")]
        &mut longs[slot.off as usize / 8]
    }
}

const fn word(off: usize) -> Slot {
    Slot::new(off, Ty::I32)
}
const fn long(off: usize) -> Slot {
    Slot::new(off, Ty::I64)
}

/// The slot of X`n`, 31 the stack pointer in use.
pub const fn x(n: u32) -> Slot {
    long(offset_of!(Cpu, x)).nth(n & 31)
}
/// The stack pointer in use.
pub const SP: Slot = x(31);
/// The address of the next instruction.
pub const PC: Slot = long(offset_of!(Cpu, pc));
/// PSTATE.N, Z, C, V.
pub const NZCV: [Slot; 4] = [
    Slot::new(offset_of!(Cpu, n), Ty::I8),
    Slot::new(offset_of!(Cpu, z), Ty::I8),
    Slot::new(offset_of!(Cpu, c), Ty::I8),
    Slot::new(offset_of!(Cpu, v), Ty::I8),
];
/// The mode word.
pub const MODE: Slot = word(offset_of!(Cpu, mode));
/// PSTATE but for the condition flags.
pub const PSR: Slot = word(offset_of!(Cpu, psr));
/// The exclusive monitor.
pub const EXCL_ARMED: Slot = word(offset_of!(Cpu, excl_armed));
/// The exclusive monitor's address.
pub const EXCL_ADDR: Slot = long(offset_of!(Cpu, excl_addr));
/// The exclusive monitor's value.
pub const EXCL_VALUE: Slot = Slot::new(offset_of!(Cpu, excl_value), Ty::V128);
/// Its low half.
pub const EXCL_LOW: Slot = long(offset_of!(Cpu, excl_value));
/// FPSR's cumulative flags.
pub const FP_FLAGS: Slot = word(offset_of!(Cpu, fp_flags));
/// SCTLR_EL1.
pub const SCTLR: Slot = sys(offset_of!(Sys, sctlr));
/// FPCR.RMode.
pub const FP_ROUND: Slot = word(offset_of!(Cpu, fp_round));
/// FPCR but for RMode.
pub const FPCR: Slot = word(offset_of!(Cpu, fpcr));
/// FPSR.QC, sticky: not zero when set.
pub const QC: Slot = Slot::new(offset_of!(Cpu, qc), Ty::V128);
/// The slot of a doubleword of [`Sys`].
pub const fn sys(off: usize) -> Slot {
    long(offset_of!(Cpu, sys) + off)
}
/// SP_EL0 where it is not the stack pointer in use.
pub const SP_EL0: Slot = long(offset_of!(Cpu, sp));
/// What software step has stepped.
pub const STEPPED: Slot = word(offset_of!(Cpu, stepped));
/// Where the last indirect branch went.
pub const BRANCH: Slot = long(offset_of!(Cpu, branch));
/// TPIDR_EL0, which programs reach thread-local data by.
pub const TPIDR_EL0: Slot = sys(offset_of!(Sys, tpidr_el0));
/// TPIDRRO_EL0.
pub const TPIDRRO_EL0: Slot = sys(offset_of!(Sys, tpidrro_el0));
/// TPIDR_EL1, which Linux keeps its per-CPU offset in.
pub const TPIDR_EL1: Slot = sys(offset_of!(Sys, tpidr));

const fn pmu(off: usize) -> Slot {
    word(offset_of!(Cpu, sys) + offset_of!(Sys, pmu) + off)
}
/// Instructions until the performance monitors are to be looked at.
pub const PMU_SLACK: Slot = pmu(offset_of!(Pmu, slack));
/// Loads since they were.
pub const PMU_READS: Slot = pmu(offset_of!(Pmu, reads));
/// Stores.
pub const PMU_WRITES: Slot = pmu(offset_of!(Pmu, writes));
/// Branches taken.
pub const PMU_BRANCHES: Slot = pmu(offset_of!(Pmu, branches));

const fn aarch32(off: usize) -> Slot {
    Slot::new(offset_of!(Cpu, aarch32) + off, Ty::I8)
}

/// The low bits of V`n` as a type, all 128 as V128.
pub const fn v(n: u32, ty: Ty) -> Slot {
    Slot::new(offset_of!(Cpu, q) + 16 * (n as usize & 31), ty)
}
/// The high half of V`n`, as V64.
pub const fn v_high(n: u32) -> Slot {
    Slot::new(offset_of!(Cpu, q) + 16 * (n as usize & 31) + 8, Ty::V64)
}

/// Names of the slots other than X0 to X30, SP and the vector registers, for listings.
pub const NAMES: [(Slot, &str); 32] = [
    (PC, "pc"),
    (NZCV[0], "n"),
    (NZCV[1], "z"),
    (NZCV[2], "c"),
    (NZCV[3], "v"),
    (MODE, "mode"),
    (PSR, "psr"),
    (EXCL_ARMED, "excl_armed"),
    (EXCL_ADDR, "excl_addr"),
    (EXCL_VALUE, "excl_value"),
    (EXCL_LOW, "excl_low"),
    (FP_FLAGS, "fp_flags"),
    (FP_ROUND, "fp_round"),
    (FPCR, "fpcr"),
    (QC, "qc"),
    (SP_EL0, "sp_el0"),
    (STEPPED, "stepped"),
    (BRANCH, "branch"),
    (PMU_SLACK, "pmu_slack"),
    (PMU_READS, "pmu_reads"),
    (PMU_WRITES, "pmu_writes"),
    (PMU_BRANCHES, "pmu_branches"),
    (aarch32(offset_of!(Aarch32, q)), "q"),
    (aarch32(offset_of!(Aarch32, ge)), "ge"),
    (aarch32(offset_of!(Aarch32, fp_nzcv)), "fp_n"),
    (aarch32(offset_of!(Aarch32, fp_nzcv) + 1), "fp_z"),
    (aarch32(offset_of!(Aarch32, fp_nzcv) + 2), "fp_c"),
    (aarch32(offset_of!(Aarch32, fp_nzcv) + 3), "fp_v"),
    (TPIDR_EL0, "tpidr_el0"),
    (TPIDRRO_EL0, "tpidrro_el0"),
    (TPIDR_EL1, "tpidr_el1"),
    (sys(offset_of!(Sys, sctlr)), "sctlr_el1"),
];
