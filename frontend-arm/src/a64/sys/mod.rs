//! System registers and system instructions (Arm ARM DDI 0487, C5.3 to C5.5, D19), and what an access to them does.
//!
//! [`table`] has one row a register. An access finds its row, checks the rights of the exception level, and does what the row
//! says; what has no row is Undefined.

mod debug;
mod index;
mod maintenance;
mod monitors;
mod rows;
pub mod table;
#[cfg(test)]
mod tests;
mod timer;

pub use debug::TDCC;
pub use timer::program_all;

use super::fault::{FP_TRAP, NARROW, UNDEFINED, class, exception};
use super::features::{Feature, Features};
use super::id;
use super::model::A64;
use super::state::{Cpu, psr, sctlr};
use crate::platform::Icc;
use crate::pmu;
use emu_ir::{Env, Fault, Slot};
use table::{Act, After, Gate, Io, Reg};

/// op0:op1:CRn:CRm:op2 of a system instruction: 16 bits, of which op0's are the low two of bits 20:19.
pub const fn encoding(word: u32) -> u32 {
    word >> 5 & 0xffff
}

const fn of(op0: u32, op1: u32, crn: u32, crm: u32, op2: u32) -> u32 {
    op0 << 14 | op1 << 11 | crn << 7 | crm << 3 | op2
}

/// Where registers are that translated code knows, as [`encoding`] has them.
pub mod at {
    use super::of;

    /// NZCV.
    pub const NZCV: u32 = of(3, 3, 4, 2, 0);
    /// DAIF.
    pub const DAIF: u32 = of(3, 3, 4, 2, 1);
    /// CurrentEL.
    pub const CURRENT_EL: u32 = of(3, 0, 4, 2, 2);
    /// DCZID_EL0.
    pub const DCZID: u32 = of(3, 3, 0, 0, 7);
    /// RNDR.
    pub const RNDR: u32 = of(3, 3, 2, 4, 0);
    /// RNDRRS.
    pub const RNDRRS: u32 = of(3, 3, 2, 4, 1);
    /// SP_EL0.
    pub const SP_EL0: u32 = of(3, 0, 4, 1, 0);
}

/// The trap of a system instruction at EL0 (ISS encoding of EC 0x18).
pub(super) fn trap(word: u32) -> Fault {
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

/// The row of an instruction, if the CPU has it and an exception level may use it so, gates aside.
fn row(features: Features, user: bool, word: u32, write: bool) -> Option<&'static Reg> {
    let reg = index::find(encoding(word)).filter(|reg| features.has(reg.needs))?;
    let rights = if user { reg.user } else { reg.kernel };
    let right = if write { table::W } else { table::R };
    (rights & right != 0).then_some(reg)
}

/// Whether an instruction names a register of the space for identification, there or not (FEAT_IDST).
const fn identifies(word: u32) -> bool {
    let (group, crm) = (encoding(word) >> 7, encoding(word) >> 3 & 15);
    group == of(3, 0, 0, 0, 0) >> 7 && crm < 8 || group == of(3, 1, 0, 0, 0) >> 7
}

/// The row of an instruction, if this exception level may use it so.
fn find(s: &Cpu, features: Features, word: u32, write: bool) -> Result<&'static Reg, Fault> {
    let user = s.el() == 0;
    let Some(reg) = row(features, user, word, write) else {
        let traps = user && !write && features.has(Feature::Idst) && identifies(word);
        return Err(if traps { trap(word) } else { UNDEFINED });
    };
    let open = !user
        || match reg.gate {
            Gate::None | Gate::Fp => true,
            Gate::Sctlr(bits) => s.sys.sctlr & bits != 0,
            Gate::Timer(bits) => s.sys.cntkctl as u32 & bits != 0,
            Gate::Pmu(reads, writes) => {
                let bits = if write { writes } else { reads };
                s.sys.pmu.userenr & (bits | monitors::EN) != 0
            }
            Gate::DebugChannel => s.sys.mdscr & debug::TDCC == 0,
        };
    match reg.gate {
        _ if !open => Err(trap(word)),
        Gate::Fp if !s.fp_enabled() => Err(exception(class::FP_ACCESS, FP_TRAP)),
        _ => Ok(reg),
    }
}

/// MRS.
///
/// # Errors
/// The exception of an access that is not allowed.
pub fn read(guest: &mut A64, cpu: &mut Cpu, env: &mut dyn Env, word: u32) -> Result<u64, Fault> {
    let row = find(cpu, guest.model.features, word, false)?;
    let fault = None;
    let mut io = Io {
        guest,
        cpu,
        env,
        word,
        fault,
    };
    Ok(get(&mut io, row))
}

/// MSR (register) and SYS.
///
/// # Errors
/// The exception of an access that is not allowed, or of what it does.
pub fn write(guest: &mut A64, cpu: &mut Cpu, env: &mut dyn Env, word: u32, value: u64) -> Result<(), Fault> {
    let row = find(cpu, guest.model.features, word, true)?;
    let fault = None;
    let mut io = Io {
        guest,
        cpu,
        env,
        word,
        fault,
    };
    io.cpu.branch = 0;
    put(&mut io, row, value);
    io.fault.map_or(Ok(()), Err)
}

fn get(io: &mut Io, row: &Reg) -> u64 {
    match row.act {
        Act::Const(v) => v,
        Act::Model(f) => f(&io.guest.model),
        Act::Id(id) => id::value(id, &io.guest.model),
        Act::Field { slot, .. } => *io.cpu.long(slot),
        Act::Icc(reg) => io.guest.platform.gic().map_or(0, |gic| gic.read(reg)),
        Act::Fn { get, .. } => get(io),
    }
}

fn put(io: &mut Io, row: &Reg, value: u64) {
    if let Some(event) = row.event {
        pmu::note(io.guest, io.cpu, event, false);
    }
    match row.act {
        Act::Const(_) | Act::Model(_) | Act::Id(_) => {}
        Act::Field { slot, mask, after } => {
            let mask = mask(io.guest.model.features);
            let long = io.cpu.long(slot);
            let new = *long & !mask | value & mask;
            let changed = *long != new;
            *long = new;
            if changed {
                settle(io, after);
            }
        }
        Act::Icc(reg) => {
            if let Some(gic) = io.guest.platform.gic() {
                gic.write(reg, value);
            }
        }
        Act::Fn { put, .. } => put(io, value),
    }
}

/// What follows from a register's change.
fn settle(io: &mut Io, after: After) {
    match after {
        After::Nothing => {}
        After::Context => io.env.context_changed(),
        After::Mode | After::Layout => {
            if after == After::Layout {
                io.cpu.update_layout();
            }
            io.cpu.update_mode();
            io.env.context_changed();
        }
        After::Traps => {
            io.cpu.update_mode();
            io.env.traps_changed();
        }
    }
}

/// Where translated code finds the register that an instruction of this exception level reads, or writes whole and without
/// consequences, if it is at one place.
pub(super) fn slot(features: Features, el: u32, word: u32, write: bool) -> Option<Slot> {
    let reg = row(features, el == 0, word, write)?;
    match reg.act {
        Act::Field { slot, .. } if !write && (el > 0 || reg.gate == Gate::None) => Some(slot),
        Act::Field {
            slot,
            mask,
            after: After::Nothing,
        } if mask(features) == u64::MAX && (el > 0 || reg.gate == Gate::None) => Some(slot),
        _ => None,
    }
}

/// Whether a write or system instruction does nothing at this exception level, and the bits of SCTLR_EL1 of which one allows
/// it, if it needs any.
pub(super) fn does_nothing(features: Features, el: u32, word: u32) -> Option<Option<u64>> {
    let reg = row(features, el == 0, word, true)?;
    match (reg.act, reg.gate) {
        (Act::Const(_), Gate::None) => Some(None),
        (Act::Const(_), Gate::Sctlr(bits)) => Some((el == 0).then_some(bits)),
        _ => None,
    }
}

/// The registers that a debugger shows: those that hold something, each once. A look acknowledges no interrupt.
pub(super) fn shown() -> impl Iterator<Item = &'static Reg> {
    rows::ROWS.iter().filter(|r| {
        let single = r.at.crm.0 == r.at.crm.1 && r.at.op2.0 == r.at.op2.1;
        let changes = matches!(r.act, Act::Icc(Icc::Iar0 | Icc::Iar1));
        let holds = r.kernel & table::R != 0 && !matches!(r.act, Act::Const(_)) && !changes;
        // PSTATE and what GDB has elsewhere; random numbers.
        single && holds && !(r.at.op1 == 3 && matches!(r.at.crn, 2 | 4))
    })
}

/// A register's value, whatever the exception level.
pub(super) fn look(guest: &mut A64, cpu: &mut Cpu, env: &mut dyn Env, row: &Reg) -> u64 {
    get(&mut io(guest, cpu, env, row), row)
}

/// Writes a register with all that follows, whatever the exception level; `None` if it is read-only.
pub(super) fn set(guest: &mut A64, cpu: &mut Cpu, env: &mut dyn Env, row: &Reg, value: u64) -> Option<()> {
    if row.kernel & table::W == 0 {
        return None;
    }
    put(&mut io(guest, cpu, env, row), row, value);
    Some(())
}

fn io<'a>(guest: &'a mut A64, cpu: &'a mut Cpu, env: &'a mut dyn Env, row: &Reg) -> Io<'a> {
    let at = &row.at;
    let word = of(
        at.op0.into(),
        at.op1.into(),
        at.crn.into(),
        at.crm.0.into(),
        at.op2.0.into(),
    ) << 5;
    let fault = None;
    Io {
        guest,
        cpu,
        env,
        word,
        fault,
    }
}

/// MSR (immediate): op1:op2 names a field of PSTATE.
///
/// # Errors
/// The exception of a write that is not allowed.
pub fn write_field(s: &mut Cpu, features: Features, field: u32, value: u32, word: u32) -> Result<(), Fault> {
    let user = s.el() == 0;
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

/// LDC and STC of AArch32.
///
/// # Errors
/// The trap, where MDSCR_EL1.TDCC says so.
pub fn channel(s: &Cpu, iss: u32) -> Result<(), Fault> {
    if s.sys.mdscr & TDCC == 0 {
        return Ok(());
    }
    Err(exception(class::CP14_LDC, FP_TRAP | iss))
}

/// WFI and WFE at EL0 (`event`), in A64, A32, T32 or (`narrow`) T16.
///
/// # Errors
/// The trap, where SCTLR_EL1 says so.
pub fn wait(s: &Cpu, event: bool, narrow: bool) -> Result<(), Fault> {
    let bit = if event { sctlr::NTWE } else { sctlr::NTWI };
    if s.sys.sctlr & bit != 0 {
        return Ok(());
    }
    let size = if narrow { NARROW } else { 0 };
    Err(exception(class::WFX, FP_TRAP | u32::from(event) | size))
}
