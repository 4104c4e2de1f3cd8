//! Model-specific registers (SDM 4; SDM 2, RDMSR and WRMSR): one row each. Those of the local APIC are not here.

use crate::control::{privileged, write_efer};
use crate::fault::gp;
use crate::model::{Model, is_canonical};
use crate::state::{Cpu, number};
use emu_ir::Fault;

/// What an access works on.
struct Io<'a> {
    cpu: &'a mut Cpu,
    model: &'a Model,
    /// The machine's time-stamp counter.
    now: u64,
}

/// What can be written.
#[derive(Clone, Copy)]
enum Check {
    /// These bits; others are reserved.
    Bits(u64),
    /// An address, canonical for the most bits that the CPU has.
    Address,
    /// Something else.
    If(fn(&Model, u64) -> bool),
}

/// What a register is.
#[derive(Clone, Copy)]
enum Act {
    /// A constant, that cannot be written.
    Only(u64),
    /// A constant; writes do nothing.
    Const(u64),
    /// Eight bytes of the state.
    Field(fn(&mut Cpu, usize) -> Option<&mut u64>, Check),
    /// Anything else.
    Fn(fn(&mut Io) -> u64, fn(&mut Io, u64) -> Result<(), Fault>),
}

/// A row: registers of following numbers.
struct Msr {
    number: u32,
    count: u32,
    name: &'static str,
    needs: &'static str,
    act: Act,
}

const fn msr(number: u32, name: &'static str, needs: &'static str, act: Act) -> Msr {
    Msr {
        number,
        count: 1,
        name,
        needs,
        act,
    }
}

impl Msr {
    /// Registers of so many numbers.
    const fn to(self, count: u32) -> Msr {
        Msr { count, ..self }
    }
}

macro_rules! field {
    ($field:ident, $check:expr) => {
        Act::Field(|cpu, _| Some(&mut cpu.sys.$field), $check)
    };
}
macro_rules! fixed {
    ($first:expr) => {
        Act::Field(
            |cpu, n| cpu.sys.mtrr_fixed.get_mut($first + n),
            Check::If(|_, v| are_types(v)),
        )
    };
}
macro_rules! base {
    ($n:expr) => {
        Act::Fn(
            |io| io.cpu.segment($n).base,
            |io, v| {
                check(io.model, Check::Address, v)?;
                io.cpu.segment_mut($n).base = v;
                io.cpu.settle();
                Ok(())
            },
        )
    };
}

const ALL: Check = Check::Bits(u64::MAX);
const LOW: Check = Check::Bits(0xffff_ffff);

/// Every register there is.
#[rustfmt::skip]
const ROWS: &[Msr] = &[
    msr(0x0000_0010, "IA32_TIME_STAMP_COUNTER", "tsc", Act::Fn(tsc, set_tsc)),
    msr(0x0000_0017, "IA32_PLATFORM_ID", "msr", Act::Only(0)),
    msr(0x0000_003b, "IA32_TSC_ADJUST", "tsc-adjust", Act::Fn(|io| io.cpu.sys.tsc_adjust, set_adjust)),
    msr(0x0000_008b, "IA32_BIOS_SIGN_ID", "msr", Act::Const(0)),
    // Eight variable ranges, fixed ones, write-combining.
    msr(0x0000_00fe, "IA32_MTRRCAP", "mtrr", Act::Only(0x508)),
    // None of the side channels that it has a bit for are there.
    msr(0x0000_010a, "IA32_ARCH_CAPABILITIES", "arch-capabilities", Act::Only(0x0d10_e179)),
    msr(0x0000_0174, "IA32_SYSENTER_CS", "sep", field!(sysenter_cs, LOW)),
    msr(0x0000_0175, "IA32_SYSENTER_ESP", "sep", field!(sysenter_esp, Check::Address)),
    msr(0x0000_0176, "IA32_SYSENTER_EIP", "sep", field!(sysenter_eip, Check::Address)),
    // IA32_MCG_CTL is there; no bank is.
    msr(0x0000_0179, "IA32_MCG_CAP", "mca", Act::Only(1 << 8)),
    msr(0x0000_017a, "IA32_MCG_STATUS", "mca", field!(mcg_status, Check::Bits(7))),
    msr(0x0000_017b, "IA32_MCG_CTL", "mca", field!(mcg_ctl, ALL)),
    msr(0x0000_01a0, "IA32_MISC_ENABLE", "msr", field!(misc_enable, ALL)),
    msr(0x0000_01d9, "IA32_DEBUGCTL", "de", Act::Const(0)),
    msr(0x0000_0200, "IA32_MTRR_PHYS", "mtrr", Act::Field(variable, Check::If(is_variable))).to(16),
    msr(0x0000_0250, "IA32_MTRR_FIX64K_00000", "mtrr", fixed!(0)),
    msr(0x0000_0258, "IA32_MTRR_FIX16K", "mtrr", fixed!(1)).to(2),
    msr(0x0000_0268, "IA32_MTRR_FIX4K", "mtrr", fixed!(3)).to(8),
    msr(0x0000_0277, "IA32_PAT", "pat", field!(pat, Check::If(|_, v| are_attributes(v)))),
    msr(0x0000_02ff, "IA32_MTRR_DEF_TYPE", "mtrr", field!(mtrr_def_type, Check::If(is_default))),
    msr(0x0000_0da0, "IA32_XSS", "xsaves", field!(xss, Check::Bits(0))),
    msr(0xc000_0080, "IA32_EFER", "syscall", Act::Fn(|io| io.cpu.sys.efer, |io, v| write_efer(io.cpu, io.model, v))),
    msr(0xc000_0081, "IA32_STAR", "syscall", field!(star, ALL)),
    msr(0xc000_0082, "IA32_LSTAR", "lm", field!(lstar, Check::Address)),
    msr(0xc000_0083, "IA32_CSTAR", "lm", field!(cstar, Check::Address)),
    msr(0xc000_0084, "IA32_FMASK", "lm", field!(fmask, LOW)),
    msr(0xc000_0100, "IA32_FS_BASE", "lm", base!(number::FS)),
    msr(0xc000_0101, "IA32_GS_BASE", "lm", base!(number::GS)),
    msr(0xc000_0102, "IA32_KERNEL_GS_BASE", "lm", field!(kernel_gs_base, Check::Address)),
    msr(0xc000_0103, "IA32_TSC_AUX", "rdtscp", field!(tsc_aux, LOW)),
];

/// IA32_MTRR_PHYSBASEn and PHYSMASKn, in turn.
fn variable(cpu: &mut Cpu, n: usize) -> Option<&mut u64> {
    cpu.sys.mtrr_variable.get_mut(n / 2)?.get_mut(n % 2)
}

fn tsc(io: &mut Io) -> u64 {
    io.now.wrapping_add(io.cpu.sys.tsc_offset)
}
/// IA32_TSC_ADJUST follows what is written (SDM 3, 18.17.3).
fn set_tsc(io: &mut Io, value: u64) -> Result<(), Fault> {
    let added = value.wrapping_sub(tsc(io));
    let s = &mut io.cpu.sys;
    s.tsc_offset = s.tsc_offset.wrapping_add(added);
    s.tsc_adjust = s.tsc_adjust.wrapping_add(added);
    Ok(())
}
fn set_adjust(io: &mut Io, value: u64) -> Result<(), Fault> {
    let s = &mut io.cpu.sys;
    let added = value.wrapping_sub(s.tsc_adjust);
    s.tsc_offset = s.tsc_offset.wrapping_add(added);
    s.tsc_adjust = value;
    Ok(())
}

/// Memory types of MTRRs: UC, WC, WT, WP, WB.
const fn is_type(value: u8) -> bool {
    matches!(value, 0 | 1 | 4 | 5 | 6)
}
fn are_types(value: u64) -> bool {
    value.to_le_bytes().into_iter().all(is_type)
}
/// Those of PAT: UC- as well.
fn are_attributes(value: u64) -> bool {
    value.to_le_bytes().into_iter().all(|t| is_type(t) || t == 7)
}
fn is_default(_: &Model, value: u64) -> bool {
    value & !0xcff == 0 && is_type(value as u8)
}
/// Of a base the bits 7:0 are the type, of a mask bit 11 says that it is valid; either way no bit above addresses is set.
fn is_variable(model: &Model, value: u64) -> bool {
    value & !model.address_mask() == 0
}

fn check(model: &Model, check: Check, value: u64) -> Result<(), Fault> {
    let fine = match check {
        Check::Bits(bits) => value & !bits == 0,
        Check::Address => is_canonical(value, model.linear_bits()),
        Check::If(f) => f(model, value),
    };
    if fine { Ok(()) } else { Err(gp(0)) }
}

/// The row of a number, if the CPU has it, and which of its registers it is.
fn find(model: &Model, number: u32) -> Result<(&'static Msr, usize), Fault> {
    let is_of = |row: &&Msr| (row.number..row.number + row.count).contains(&number) && model.has(row.needs);
    let row = ROWS.iter().find(is_of).ok_or(gp(0))?;
    Ok((row, (number - row.number) as usize))
}

/// Whether there is a register of a number here, by its name.
pub fn name(model: &Model, number: u32) -> Option<&'static str> {
    find(model, number).ok().map(|(row, _)| row.name)
}

/// RDMSR of ECX; `now`: the machine's time-stamp counter.
///
/// # Errors
/// #GP(0) above level 0, and where there is no such register.
pub fn rdmsr(cpu: &mut Cpu, model: &Model, now: u64, number: u32) -> Result<u64, Fault> {
    privileged(cpu)?;
    let (row, index) = find(model, number)?;
    Ok(match row.act {
        Act::Only(value) | Act::Const(value) => value,
        Act::Field(at, _) => at(cpu, index).map_or(0, |v| *v),
        Act::Fn(get, _) => get(&mut Io { cpu, model, now }),
    })
}

/// WRMSR of ECX with EDX:EAX. The translation context may be another then.
///
/// # Errors
/// As [`rdmsr`], and of a value that the register cannot hold.
pub fn wrmsr(cpu: &mut Cpu, model: &Model, now: u64, number: u32, value: u64) -> Result<(), Fault> {
    privileged(cpu)?;
    let (row, index) = find(model, number)?;
    match row.act {
        Act::Only(_) => Err(gp(0)),
        Act::Const(_) => Ok(()),
        Act::Field(at, rule) => {
            check(model, rule, value)?;
            if let Some(field) = at(cpu, index) {
                *field = value;
            }
            Ok(())
        }
        Act::Fn(_, put) => put(&mut Io { cpu, model, now }, value),
    }
}

#[cfg(test)]
mod tests;
