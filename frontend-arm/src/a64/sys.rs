//! System registers and system instructions: a row each (Arm ARM DDI 0487, C5.3 to C5.5, D19).

use super::fault::{FP_TRAP, UNDEFINED, class, exception};
use super::features::{Feature, Features};
use super::state::{Cpu, Sys, psr, sctlr};
use emu_ir::Fault;

/// op0:op1:CRn:CRm:op2 of a system instruction: 16 bits.
pub const fn encoding(word: u32) -> u32 {
    word >> 5 & 0xffff
}

const fn of(op0: u32, op1: u32, crn: u32, crm: u32, op2: u32) -> u32 {
    op0 << 14 | op1 << 11 | crn << 7 | crm << 3 | op2
}

/// Where registers are, as [`encoding`] has them.
pub mod at {
    use super::of;

    /// NZCV.
    pub const NZCV: u32 = of(3, 3, 4, 2, 0);
    /// TPIDR_EL0.
    pub const TPIDR_EL0: u32 = of(3, 3, 13, 0, 2);
    /// TPIDRRO_EL0.
    pub const TPIDRRO_EL0: u32 = of(3, 3, 13, 0, 3);
    /// TPIDR_EL1.
    pub const TPIDR_EL1: u32 = of(3, 0, 13, 0, 4);
}

/// Rights at EL0, and at EL1: to read, to write.
type Rights = (u8, u8);
const R: u8 = 1;
const W: u8 = 2;
const RW: Rights = (0, R | W);
const RO: Rights = (0, R);
const WO: Rights = (0, W);
const URW: Rights = (R | W, R | W);
const URO: Rights = (R, R);
const UR: Rights = (R, R | W);
const UWO: Rights = (W, W);

/// What else an access depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gate {
    /// Nothing.
    None,
    /// Bits of SCTLR_EL1 for EL0.
    Sctlr(u64),
    /// CPACR_EL1.FPEN.
    Fp,
}

/// What a register is.
#[derive(Clone, Copy)]
enum Act {
    /// A constant.
    Const(u64),
    /// A doubleword of the state.
    Field(fn(&mut Sys) -> &mut u64),
    /// The same; the mode word follows it.
    Control(fn(&mut Sys) -> &mut u64),
    /// Anything else.
    Fn(fn(&Cpu) -> u64, fn(&mut Cpu, u64)),
    /// An instruction that has no effect here: memory has no caches, and code is never stale.
    Nothing,
}

/// A register or system instruction.
struct Reg {
    at: u32,
    rights: Rights,
    gate: Gate,
    needs: Feature,
    act: Act,
}

const fn reg(at: u32, rights: Rights, act: Act) -> Reg {
    Reg {
        at,
        rights,
        gate: Gate::None,
        needs: Feature::Base,
        act,
    }
}

impl Reg {
    const fn when(self, gate: Gate) -> Reg {
        Reg { gate, ..self }
    }
    const fn needs(self, needs: Feature) -> Reg {
        Reg { needs, ..self }
    }
}

/// A field of PSTATE as a register.
macro_rules! pstate {
    ($bits:expr) => {
        Act::Fn(
            |s| (s.psr & $bits).into(),
            |s, v| s.set_psr(s.psr & !$bits | v as u32 & $bits),
        )
    };
}

const UCI: Gate = Gate::Sctlr(sctlr::UCI);

#[rustfmt::skip]
const REGS: &[Reg] = &[
    reg(at::NZCV, URW, Act::Fn(|s| s.nzcv().into(), |s, v| s.set_nzcv(v as u32))),
    reg(of(3, 3, 4, 2, 1), URW, pstate!(psr::DAIF)).when(Gate::Sctlr(sctlr::UMA)), // DAIF
    reg(of(3, 3, 4, 2, 5), URW, pstate!(psr::DIT)).needs(Feature::Dit), // DIT
    reg(of(3, 3, 4, 2, 6), URW, pstate!(psr::SSBS)).needs(Feature::Ssbs), // SSBS
    reg(of(3, 3, 4, 4, 0), URW, Act::Fn(|s| s.fpcr_read().into(), |s, v| s.fpcr_write(v as u32))).when(Gate::Fp), // FPCR
    reg(of(3, 3, 4, 4, 1), URW, Act::Fn(|s| s.fpsr().into(), |s, v| s.set_fpsr(v as u32))).when(Gate::Fp), // FPSR
    reg(at::TPIDR_EL0, URW, Act::Field(|s| &mut s.tpidr_el0)),
    reg(at::TPIDRRO_EL0, UR, Act::Field(|s| &mut s.tpidrro_el0)),
    // CTR_EL0: DIC and IDC, lines of 64 bytes; DCZID_EL0: 64 bytes.
    reg(of(3, 3, 0, 0, 1), URO, Act::Const(0x3444_c004)).when(Gate::Sctlr(sctlr::UCT)),
    reg(of(3, 3, 0, 0, 7), URO, Act::Fn(dczid, |_, _| {})),
    reg(at::TPIDR_EL1, RW, Act::Field(|s| &mut s.tpidr)),
    reg(of(3, 0, 1, 0, 0), RW, Act::Control(|s| &mut s.sctlr)), // SCTLR_EL1
    reg(of(3, 0, 1, 0, 2), RW, Act::Control(|s| &mut s.cpacr)), // CPACR_EL1
    reg(of(3, 0, 4, 0, 0), RW, Act::Field(|s| &mut s.spsr)), // SPSR_EL1
    reg(of(3, 0, 4, 0, 1), RW, Act::Field(|s| &mut s.elr)), // ELR_EL1
    reg(of(3, 0, 4, 1, 0), RW, Act::Fn(|s| s.sp_el0(), |s, v| s.set_sp_el0(v))), // SP_EL0
    reg(of(3, 0, 4, 2, 0), RW, pstate!(psr::SP)), // SPSel
    reg(of(3, 0, 4, 2, 2), RO, Act::Fn(|s| (s.psr & psr::EL).into(), |_, _| {})), // CurrentEL
    reg(of(3, 0, 4, 2, 3), RW, pstate!(psr::PAN)).needs(Feature::Pan), // PAN
    reg(of(3, 0, 4, 2, 4), RW, pstate!(psr::UAO)).needs(Feature::Uao), // UAO
    reg(of(3, 0, 5, 2, 0), RW, Act::Field(|s| &mut s.esr)), // ESR_EL1
    reg(of(3, 0, 6, 0, 0), RW, Act::Field(|s| &mut s.far)), // FAR_EL1
    reg(of(3, 0, 12, 0, 0), RW, Act::Field(|s| &mut s.vbar)), // VBAR_EL1
    reg(of(1, 3, 7, 5, 1), UWO, Act::Nothing).when(UCI), // IC IVAU
    reg(of(1, 3, 7, 10, 1), UWO, Act::Nothing).when(UCI), // DC CVAC
    reg(of(1, 3, 7, 11, 1), UWO, Act::Nothing).when(UCI), // DC CVAU
    reg(of(1, 3, 7, 12, 1), UWO, Act::Nothing).when(UCI).needs(Feature::Dpb), // DC CVAP
    reg(of(1, 3, 7, 13, 1), UWO, Act::Nothing).when(UCI).needs(Feature::Dpb2), // DC CVADP
    reg(of(1, 3, 7, 14, 1), UWO, Act::Nothing).when(UCI), // DC CIVAC
    reg(of(1, 0, 7, 1, 0), WO, Act::Nothing), // IC IALLUIS
    reg(of(1, 0, 7, 5, 0), WO, Act::Nothing), // IC IALLU
    reg(of(1, 0, 7, 6, 1), WO, Act::Nothing), // DC IVAC
    reg(of(1, 0, 7, 6, 2), WO, Act::Nothing), // DC ISW
    reg(of(1, 0, 7, 10, 2), WO, Act::Nothing), // DC CSW
    reg(of(1, 0, 7, 14, 2), WO, Act::Nothing), // DC CISW
];

/// DCZID_EL0: DZP says that DC ZVA is not allowed.
fn dczid(s: &Cpu) -> u64 {
    4 | u64::from(!s.zva_allowed()) << 4
}

/// The trap of a system instruction at EL0 (ISS encoding of EC 0x18).
fn trap(word: u32) -> Fault {
    let [op0, op1, crn, crm, op2] = [
        word >> 19 & 3,
        word >> 16 & 7,
        word >> 12 & 15,
        word >> 8 & 15,
        word >> 5 & 7,
    ];
    let direction = word >> 21 & 1;
    let iss = op0 << 20 | op2 << 17 | op1 << 14 | crn << 10 | (word & 31) << 5 | crm << 1 | direction;
    exception(class::SYSTEM, iss)
}

/// The row of an instruction, if this exception level may use it so.
fn find(s: &Cpu, features: Features, word: u32, right: u8) -> Result<&'static Reg, Fault> {
    let reg = REGS.iter().find(|r| r.at == encoding(word) && features.has(r.needs));
    let reg = reg.ok_or(UNDEFINED)?;
    let user = s.psr & psr::EL == 0;
    let rights = if user { reg.rights.0 } else { reg.rights.1 };
    if rights & right == 0 {
        return Err(UNDEFINED);
    }
    match reg.gate {
        Gate::Sctlr(bits) if user && s.sys.sctlr & bits == 0 => Err(trap(word)),
        Gate::Fp if !s.fp_enabled() => Err(exception(class::FP_ACCESS, FP_TRAP)),
        _ => Ok(reg),
    }
}

/// MRS.
///
/// # Errors
/// The exception of an access that is not allowed.
pub fn read(s: &mut Cpu, features: Features, word: u32) -> Result<u64, Fault> {
    Ok(match find(s, features, word, R)?.act {
        Act::Const(value) => value,
        Act::Field(field) | Act::Control(field) => *field(&mut s.sys),
        Act::Fn(get, _) => get(s),
        Act::Nothing => 0,
    })
}

/// MSR (register) and SYS.
///
/// # Errors
/// The exception of an access that is not allowed.
pub fn write(s: &mut Cpu, features: Features, word: u32, value: u64) -> Result<(), Fault> {
    match find(s, features, word, W)?.act {
        Act::Const(_) | Act::Nothing => {}
        Act::Field(field) => *field(&mut s.sys) = value,
        Act::Control(field) => {
            *field(&mut s.sys) = value;
            s.update_mode();
        }
        Act::Fn(_, put) => put(s, value),
    }
    Ok(())
}

/// MSR (immediate): op1:op2 names a field of PSTATE.
///
/// # Errors
/// The exception of a write that is not allowed.
pub fn write_field(s: &mut Cpu, features: Features, field: u32, value: u32, word: u32) -> Result<(), Fault> {
    let user = s.psr & psr::EL == 0;
    let (bits, feature, privileged) = match field {
        0b000_011 => (psr::UAO, Feature::Uao, true),
        0b000_100 => (psr::PAN, Feature::Pan, true),
        0b000_101 => (psr::SP, Feature::Base, true),
        0b011_001 => (psr::SSBS, Feature::Ssbs, false),
        0b011_010 => (psr::DIT, Feature::Dit, false),
        0b011_110 | 0b011_111 if user && s.sys.sctlr & sctlr::UMA == 0 => return Err(trap(word)),
        0b011_110 | 0b011_111 => {
            let (set, masks) = (field & 1 == 0, value << 6);
            s.set_psr(if set { s.psr | masks } else { s.psr & !masks });
            return Ok(());
        }
        _ => return Err(UNDEFINED),
    };
    if !features.has(feature) || privileged && user {
        return Err(UNDEFINED);
    }
    s.set_psr(s.psr & !bits | if value & 1 != 0 { bits } else { 0 });
    Ok(())
}

/// DC ZVA at EL0.
///
/// # Errors
/// The trap, where SCTLR_EL1.DZE says so.
pub fn zva(s: &Cpu, word: u32) -> Result<(), Fault> {
    if s.zva_allowed() { Ok(()) } else { Err(trap(word)) }
}
