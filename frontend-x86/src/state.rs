//! The architectural state as plain data: what a snapshot holds and every accelerator loads.
//!
//! What instructions often use is kept in the form that they use it in: the status flags as the host's LAHF and SETO give
//! them ([`status`]), MXCSR in three parts, the address of the next instruction with the base of CS added. Bits that change
//! what code means are in the mode word ([`mode`]), which [`Cpu::settle`] makes of the registers that they come from.

pub mod bits;
mod segment;
mod settle;
mod sound;
pub mod status;
#[cfg(test)]
mod tests;
mod x87;

pub use segment::{Attributes, Bounds, Descriptor, Loaded, Segment, Table, number};
pub use x87::X87;

use bytemuck::{Pod, Zeroable};
use emu_ir::{Rules, Slot, Ty, X87Slots};
use serde::{Deserialize, Serialize};
use std::mem::offset_of;

/// Bits of [`Cpu::mode`]: all that a translation depends on besides its bytes.
pub mod mode {
    /// Code has 32 bits by default: CS.D.
    pub const CODE32: u64 = 1 << 0;
    /// Code is of 64-bit mode: CS.L in long mode. [`CODE32`] is not set.
    pub const CODE64: u64 = 1 << 1;
    /// Where the current privilege level is, two bits.
    pub const CPL_SHIFT: u32 = 2;
    /// The current privilege level.
    pub const CPL: u64 = 3 << CPL_SHIFT;
    /// CR0.PE.
    pub const PROTECTED: u64 = 1 << 4;
    /// EFLAGS.VM.
    pub const VIRTUAL: u64 = 1 << 5;
    /// The stack pointer has 32 bits: SS.B.
    pub const STACK32: u64 = 1 << 6;
    /// EFER.LMA: long mode, of which [`CODE64`] is a part.
    pub const LONG: u64 = 1 << 7;
    /// Where segments that are flat are, a bit each by number: offsets are linear addresses, and any may be accessed in any way.
    pub const FLAT_SHIFT: u32 = 8;
    /// All segments are flat.
    pub const FLAT: u64 = 0x3f << FLAT_SHIFT;
    /// CR0.TS.
    pub const TS: u64 = 1 << 14;
    /// CR0.EM.
    pub const EM: u64 = 1 << 15;
    /// CR0.MP.
    pub const MP: u64 = 1 << 16;
    /// CR4.OSFXSR.
    pub const OSFXSR: u64 = 1 << 17;
    /// CR4.OSXSAVE, and XCR0 has SSE and AVX.
    pub const AVX: u64 = 1 << 18;
    /// EFLAGS.TF, or another reason to look after each instruction.
    pub const STEP: u64 = 1 << 19;
    /// Accesses of programs must be aligned: CR0.AM and EFLAGS.AC at level 3.
    pub const ALIGN: u64 = 1 << 20;
    /// The next instruction is in the shadow of the one before: no interrupt before it is done.
    pub const SHADOW: u64 = 1 << 21;
    /// MXCSR.DAZ.
    pub const DAZ: u64 = 1 << 22;
    /// MXCSR.FTZ.
    pub const FTZ: u64 = 1 << 23;
    /// An exception of MXCSR is not masked.
    pub const SIMD_TRAPS: u64 = 1 << 24;
    /// CR4.OSXSAVE.
    pub const OSXSAVE: u64 = 1 << 25;
    /// System management mode.
    pub const SMM: u64 = 1 << 26;
    /// CR4.LA57: linear addresses have 57 bits.
    pub const LA57: u64 = 1 << 27;
    /// EFLAGS.RF, where an instruction's address may be a breakpoint: it holds for the next instruction.
    pub const RESUME: u64 = 1 << 28;
    /// An exception of the x87 is not masked, or waits.
    pub const X87_TRAPS: u64 = 1 << 29;
    /// The next instruction, if it is one of the x87, finds a stack that is not as it needs, or unmasks an exception: it is
    /// executed alone, by a call. Nothing says so but the attempt, and nothing is lost with it.
    pub const X87_CALLS: u64 = 1 << 30;
    /// What only instructions of x87, MMX, SSE and AVX depend on.
    pub const FLOATING: u64 = TS | EM | MP | OSFXSR | AVX | DAZ | FTZ | SIMD_TRAPS | X87_TRAPS;

    /// The current privilege level of a mode word: 0 to 3.
    pub const fn cpl(mode: u64) -> u8 {
        (mode >> CPL_SHIFT & 3) as u8
    }
}

/// Registers that only system software writes, and what else no instruction of programs touches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable, Serialize, Deserialize)]
#[repr(C)]
#[allow(missing_docs)]
pub struct Sys {
    pub cr0: u64,
    pub cr2: u64,
    pub cr3: u64,
    pub cr4: u64,
    pub efer: u64,
    pub xcr0: u64,
    pub xss: u64,
    /// DR0 to DR3.
    pub dr: [u64; 4],
    pub dr6: u64,
    pub dr7: u64,
    pub gdtr: Table,
    pub idtr: Table,
    pub ldtr: Segment,
    pub tr: Segment,
    /// The four entries that CR3 names in PAE paging outside of long mode, as they were when it was loaded (SDM 3, "PDPTE
    /// Registers").
    pub pdpte: [u64; 4],
    pub pkru: u32,
    /// What is not to be looked at yet: [`pending`].
    pub pending: u32,
    pub star: u64,
    pub lstar: u64,
    pub cstar: u64,
    pub fmask: u64,
    pub kernel_gs_base: u64,
    pub sysenter_cs: u64,
    pub sysenter_esp: u64,
    pub sysenter_eip: u64,
    pub tsc_aux: u64,
    /// What is added to the machine's time-stamp counter.
    pub tsc_offset: u64,
    pub tsc_adjust: u64,
    pub pat: u64,
    pub misc_enable: u64,
    pub mtrr_def_type: u64,
    /// IA32_MTRR_FIX64K_00000, the two FIX16K and the eight FIX4K.
    pub mtrr_fixed: [u64; 11],
    /// Base and mask of the eight variable ranges.
    pub mtrr_variable: [[u64; 2]; 8],
    pub smbase: u64,
    pub mcg_status: u64,
    pub mcg_ctl: u64,
}

/// Bits of [`Sys::pending`].
pub mod pending {
    /// A non-maskable interrupt is being served: no other before IRET.
    pub const NMI_BLOCKED: u32 = 1 << 0;
    /// An application processor waits for its start-up message.
    pub const WAIT_FOR_SIPI: u32 = 1 << 1;
    /// HLT, or MWAIT, waits for an interrupt.
    pub const HALTED: u32 = 1 << 2;
    /// An error of x87 is reported by FERR (CR0.NE is 0).
    pub const FERR: u32 = 1 << 3;
    /// A20M#: bit 20 of physical addresses is 0.
    pub const A20M: u32 = 1 << 4;
    /// Non-maskable interrupts were blocked before system management mode blocked them.
    pub const NMI_BLOCKED_BEFORE_SMM: u32 = 1 << 5;
    /// Debug exceptions of the instruction that was carried out, to be taken before the next: bits of DR6 from this one on.
    pub const DEBUG_SHIFT: u32 = 16;
    /// All of these.
    pub const DEBUG: u32 = u32::MAX << DEBUG_SHIFT;
}

/// The state of one vCPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable, Serialize, Deserialize)]
#[repr(C, align(32))]
pub struct Cpu {
    /// The linear address of the next instruction: the base of CS plus rIP, 32 bits of it outside of 64-bit mode.
    pub pc: u64,
    /// The mode word: see [`mode`].
    pub mode: u64,
    /// RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8 to R15.
    pub regs: [u64; 16],
    /// The status flags: see [`status`].
    pub status: u32,
    /// EFLAGS but for the status flags.
    pub eflags: u32,
    /// MXCSR's flags, which are `emu_ir::FP_*`.
    pub fp_flags: u32,
    /// MXCSR.RC, which is an `emu_ir::Round`.
    pub fp_round: u32,
    /// MXCSR's masks, DAZ and FTZ.
    pub mxcsr: u32,
    /// What the fault at hand is of: see [`of`].
    pub of: u32,
    /// Zero: no padding.
    #[serde(skip)]
    pub reserved: [u32; 6],
    /// YMM0 to YMM15, the lowest quarter first.
    pub ymm: [[u64; 4]; 16],
    /// ES, CS, SS, DS, FS, GS.
    pub segments: [Segment; 6],
    /// What [`Cpu::settle`] makes of the segments: which offsets may be accessed.
    pub bounds: [Bounds; 6],
    /// And what they may be loaded with again, without a change.
    pub loaded: [Loaded; 6],
    /// The floating-point unit.
    pub x87: X87,
    /// System registers.
    pub sys: Sys,
    /// Zero: no padding.
    #[serde(skip)]
    pub reserved2: [u64; Cpu::TAIL],
}

impl Cpu {
    const TAIL: usize = {
        let segments = size_of::<[Segment; 6]>() + size_of::<[Bounds; 6]>() + size_of::<[Loaded; 6]>();
        let before = segments + size_of::<X87>() + size_of::<Sys>();
        (32 - (before + 192) % 32) % 32 / 8
    };
}

/// Bits of [`Cpu::of`]: what a fault's meaning depends on, of the instruction at hand. It is what its `Insn` says.
pub mod of {
    /// How long it is, in bytes: bits 3:0.
    pub const LENGTH: u32 = 15;
    /// Its memory operand is in the stack segment: a non-canonical address there is #SS.
    pub const STACK: u32 = 1 << 4;
    /// Its memory operand is to be aligned in any mode: #GP where it is not, not #AC.
    pub const ALIGNED: u32 = 1 << 5;
}

const fn word(off: usize) -> Slot {
    Slot::new(off, Ty::I32)
}
const fn long(off: usize) -> Slot {
    Slot::new(off, Ty::I64)
}

/// General register `n`, 0 to 15, by its number in instructions.
pub const fn reg(n: u8) -> Slot {
    long(offset_of!(Cpu, regs)).nth(n as u32 & 15)
}
/// The linear address of the next instruction.
pub const PC: Slot = long(offset_of!(Cpu, pc));
/// The mode word.
pub const MODE: Slot = long(offset_of!(Cpu, mode));
/// The status flags.
pub const STATUS: Slot = Slot::new(offset_of!(Cpu, status), Ty::I16);
/// EFLAGS but for the status flags.
pub const EFLAGS: Slot = word(offset_of!(Cpu, eflags));
/// MXCSR's flags.
pub const FP_FLAGS: Slot = word(offset_of!(Cpu, fp_flags));
/// MXCSR.RC.
pub const FP_ROUND: Slot = word(offset_of!(Cpu, fp_round));
/// MXCSR's masks, DAZ and FTZ.
pub const MXCSR: Slot = word(offset_of!(Cpu, mxcsr));
/// Floating point is x86's, with that MXCSR.
pub const RULES: Rules = Rules::X86 { mxcsr: MXCSR };
/// The low bits of vector register `n` as a type: XMM`n` as V128.
pub const fn xmm(n: u8, ty: Ty) -> Slot {
    Slot::new(offset_of!(Cpu, ymm) + 32 * (n as usize & 15), ty)
}
/// The upper half of YMM`n`.
pub const fn ymm_high(n: u8) -> Slot {
    Slot::new(offset_of!(Cpu, ymm) + 32 * (n as usize & 15) + 16, Ty::V128)
}
const fn x87(off: usize, ty: Ty) -> Slot {
    Slot::new(offset_of!(Cpu, x87) + off, ty)
}
/// MMX register `n`: the significand of register `n` of the x87, by its physical number.
pub const fn mmx(n: u8) -> Slot {
    x87(offset_of!(X87, regs) + 16 * (n as usize & 7), Ty::V64)
}
/// Sign and exponent of register `n` of the x87, by its physical number.
pub const fn exponent(n: u8) -> Slot {
    x87(offset_of!(X87, regs) + 16 * (n as usize & 7) + 8, Ty::I16)
}
/// The control word of the x87.
pub const X87_CONTROL: Slot = x87(offset_of!(X87, control), Ty::I16);
/// The status word of the x87 but for TOP.
pub const X87_STATUS: Slot = x87(offset_of!(X87, status), Ty::I16);
/// TOP.
pub const X87_TOP: Slot = x87(offset_of!(X87, top), Ty::I8);
/// Which registers of the x87 are not empty.
pub const X87_FULL: Slot = x87(offset_of!(X87, full), Ty::I8);
/// The last instruction's opcode.
pub const X87_OPCODE: Slot = x87(offset_of!(X87, opcode), Ty::I16);
/// The offset of the last instruction of the x87.
pub const X87_INSTRUCTION: Slot = x87(offset_of!(X87, instruction), Ty::I64);
/// The selector of the last instruction of the x87.
pub const X87_CODE: Slot = x87(offset_of!(X87, code), Ty::I16);
/// The selector of the last operand of the x87.
pub const X87_DATA: Slot = x87(offset_of!(X87, data), Ty::I16);
/// The offset of the last operand of the x87.
pub const X87_OPERAND: Slot = x87(offset_of!(X87, operand), Ty::I64);
/// Where the x87 is.
pub const X87_SLOTS: X87Slots = X87Slots {
    regs: x87(offset_of!(X87, regs), Ty::V128),
    control: X87_CONTROL,
    status: X87_STATUS,
    top: X87_TOP,
    full: X87_FULL,
    opcode: X87_OPCODE,
    instruction: X87_INSTRUCTION,
};
const fn sys(off: usize, ty: Ty) -> Slot {
    Slot::new(offset_of!(Cpu, sys) + off, ty)
}
/// XCR0.
pub const XCR0: Slot = sys(offset_of!(Sys, xcr0), Ty::I64);
/// IA32_XSS.
pub const XSS: Slot = sys(offset_of!(Sys, xss), Ty::I64);
/// PKRU.
pub const PKRU: Slot = sys(offset_of!(Sys, pkru), Ty::I32);
const fn segment(n: u8, off: usize) -> usize {
    offset_of!(Cpu, segments) + size_of::<Segment>() * (n as usize % 6) + off
}
/// The base of segment `n`.
pub const fn base(n: u8) -> Slot {
    long(segment(n, offset_of!(Segment, base)))
}
/// The selector of segment `n`.
pub const fn selector(n: u8) -> Slot {
    Slot::new(segment(n, offset_of!(Segment, selector)), Ty::I16)
}
/// [`Cpu::loaded`] of segment `n`: the selector and the descriptor.
pub const fn loaded(n: u8) -> (Slot, Slot) {
    let at = offset_of!(Cpu, loaded) + size_of::<Loaded>() * (n as usize % 6);
    (
        word(at + offset_of!(Loaded, selector)),
        long(at + offset_of!(Loaded, descriptor)),
    )
}
const fn system(off: usize) -> Slot {
    long(offset_of!(Cpu, sys) + off)
}
/// CR0.
pub const CR0: Slot = system(offset_of!(Sys, cr0));
/// IA32_EFER.
pub const EFER: Slot = system(offset_of!(Sys, efer));
/// CR4.
pub const CR4: Slot = system(offset_of!(Sys, cr4));
/// IA32_KERNEL_GS_BASE.
pub const KERNEL_GS_BASE: Slot = system(offset_of!(Sys, kernel_gs_base));
/// IA32_TSC_AUX.
pub const TSC_AUX: Slot = system(offset_of!(Sys, tsc_aux));
const fn selector_of(off: usize) -> Slot {
    Slot::new(offset_of!(Cpu, sys) + off + offset_of!(Segment, selector), Ty::I16)
}
/// LDTR's selector.
pub const LDTR: Slot = selector_of(offset_of!(Sys, ldtr));
/// TR's selector.
pub const TR: Slot = selector_of(offset_of!(Sys, tr));
const fn table(off: usize) -> (Slot, Slot) {
    (
        system(off + offset_of!(Table, limit)),
        system(off + offset_of!(Table, base)),
    )
}
/// GDTR: its limit and its base.
pub const GDTR: (Slot, Slot) = table(offset_of!(Sys, gdtr));
/// IDTR: its limit and its base.
pub const IDTR: (Slot, Slot) = table(offset_of!(Sys, idtr));
/// The last offset of CS.
pub const CODE_LIMIT: Slot = word(segment(number::CS, offset_of!(Segment, limit)));
/// The first offset of segment `n` that may be read or, of `write`, written; and the last.
pub const fn bounds(n: u8, write: bool) -> (Slot, Slot) {
    let of = if write {
        offset_of!(Bounds, write)
    } else {
        offset_of!(Bounds, read)
    };
    let at = offset_of!(Cpu, bounds) + size_of::<Bounds>() * (n as usize % 6) + of;
    (word(at), word(at + 4))
}

/// Names of slots, for listings.
#[allow(clippy::indexing_slicing, reason = "evaluated at compile time")]
pub const NAMES: [(Slot, &str); 85] = {
    const REGS: [&str; 16] = [
        "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
    ];
    const XMM: [&str; 16] = [
        "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12",
        "xmm13", "xmm14", "xmm15",
    ];
    const YMM: [&str; 16] = [
        "ymm0h", "ymm1h", "ymm2h", "ymm3h", "ymm4h", "ymm5h", "ymm6h", "ymm7h", "ymm8h", "ymm9h", "ymm10h", "ymm11h",
        "ymm12h", "ymm13h", "ymm14h", "ymm15h",
    ];
    const BASES: [&str; 6] = ["es.base", "cs.base", "ss.base", "ds.base", "fs.base", "gs.base"];
    const BOUNDS: [[&str; 4]; 6] = [
        ["es.first", "es.last", "es.wfirst", "es.wlast"],
        ["cs.first", "cs.last", "cs.wfirst", "cs.wlast"],
        ["ss.first", "ss.last", "ss.wfirst", "ss.wlast"],
        ["ds.first", "ds.last", "ds.wfirst", "ds.wlast"],
        ["fs.first", "fs.last", "fs.wfirst", "fs.wlast"],
        ["gs.first", "gs.last", "gs.wfirst", "gs.wlast"],
    ];
    let mut all = [(PC, "pc"); 85];
    let mut i = 0;
    while i < 16 {
        all[i] = (reg(i as u8), REGS[i]);
        all[16 + i] = (xmm(i as u8, Ty::V128), XMM[i]);
        all[32 + i] = (ymm_high(i as u8), YMM[i]);
        i += 1;
    }
    i = 0;
    while i < 6 {
        all[48 + i] = (base(i as u8), BASES[i]);
        let (read, write) = (bounds(i as u8, false), bounds(i as u8, true));
        all[54 + 4 * i] = (read.0, BOUNDS[i][0]);
        all[55 + 4 * i] = (read.1, BOUNDS[i][1]);
        all[56 + 4 * i] = (write.0, BOUNDS[i][2]);
        all[57 + 4 * i] = (write.1, BOUNDS[i][3]);
        i += 1;
    }
    all[78] = (PC, "pc");
    all[79] = (MODE, "mode");
    all[80] = (STATUS, "status");
    all[81] = (EFLAGS, "eflags");
    all[82] = (FP_FLAGS, "fp_flags");
    all[83] = (FP_ROUND, "fp_round");
    all[84] = (MXCSR, "mxcsr");
    all
};
