//! System control: the registers of CP15 and CP14, and what an access to them does.
//!
//! [`table`] has one row a register. An access finds its row, checks the rights of the current privilege, and does what
//! the row says; what has no row is Undefined.

mod index;
mod maintenance;
mod monitors;
mod rows;
pub mod table;
#[cfg(test)]
mod tests;
pub mod timer;

use crate::cp15::{Cp15, sctlr};
use crate::fault::UNDEFINED;
use crate::platform::{Arm, Icc};
use crate::pmu;
use crate::state::Cpu;
use bytemuck::Zeroable;
use emu_ir::{Env, Fault};
use table::{Act, After, Gate, Io, Reg};

/// The fields of a coprocessor instruction in A32 form.
#[derive(Clone, Copy, Debug)]
struct Fields {
    cp: u32,
    crn: u32,
    opc1: u32,
    crm: u32,
    opc2: u32,
}

impl Fields {
    fn of(word: u32) -> Fields {
        Fields {
            cp: word >> 8 & 15,
            crn: word >> 16 & 15,
            opc1: word >> 21 & 7,
            crm: word & 15,
            opc2: word >> 5 & 7,
        }
    }

    /// The row of an MRC or MCR; `None` for other instructions.
    fn row(self, word: u32) -> Option<&'static Reg> {
        let is_register_transfer = word >> 24 & 15 == 0b1110 && word & 1 << 4 != 0;
        if is_register_transfer {
            index::find(self.cp, self.crn, self.opc1, self.crm, self.opc2)
        } else {
            None
        }
    }
}

/// The row of an MRRC or MCRR; `None` for other instructions.
fn row64(word: u32) -> Option<&'static Reg> {
    let is_register_transfer = word >> 21 & 0x7f == 0b110_0010;
    if is_register_transfer {
        index::find64(word >> 8 & 15, word >> 4 & 15, word & 15)
    } else {
        None
    }
}

/// Whether what closes a register to User mode is a gate that EL1 of AArch64 is told of.
fn is_trapped(row: Option<&Reg>, write: bool) -> bool {
    let right = if write { table::W } else { table::R };
    row.is_some_and(|row| {
        let gate = !matches!(row.gate, Gate::None | Gate::Barrier | Gate::ThumbEe | Gate::Gic);
        row.user & right != 0 && gate
    })
}

/// The same of an MRC or MCR.
pub(crate) fn is_gated(word: u32, write: bool) -> bool {
    is_trapped(Fields::of(word).row(word), write)
}

/// The same of an MRRC or MCRR.
pub(crate) fn is_gated64(word: u32, write: bool) -> bool {
    is_trapped(row64(word), write)
}

/// The register an MRC or MCR names, for listings and monitors.
pub fn name_of(word: u32) -> Option<&'static str> {
    Fields::of(word).row(word).map(|r| r.name)
}

fn gate(io: &Io, row: &Reg, write: bool) -> Result<(), Fault> {
    let user = io.cpu.is_user();
    let rights = if user { row.user } else { row.kernel };
    let allowed = rights & if write { table::W } else { table::R } != 0;
    let open = match row.gate {
        Gate::None => true,
        Gate::Physical => !user || timer::user_may_read_counter(io.cpu, timer::PL0PCTEN),
        Gate::Virtual => !user || timer::user_may_read_counter(io.cpu, timer::PL0VCTEN),
        Gate::AnyCounter => !user || timer::user_may_read_counter(io.cpu, timer::PL0PCTEN | timer::PL0VCTEN),
        Gate::PhysicalTimer => !user || io.cpu.cp15.cntkctl & timer::PL0PTEN != 0,
        Gate::VirtualTimer => !user || io.cpu.cp15.cntkctl & timer::PL0VTEN != 0,
        Gate::Pmu => !user || io.cpu.cp15.pmu.userenr & 1 != 0,
        Gate::Barrier => io.cpu.cp15.sctlr & sctlr::CP15BEN != 0,
        Gate::ThumbEe => !user || io.cpu.cp15.teecr & 1 == 0,
        Gate::Gic => io.arm.platform.gic().is_some(),
        Gate::DebugUser => !user || io.cpu.cp15.dbgdscr & table::UDCCDIS == 0,
    };
    if allowed && open { Ok(()) } else { Err(UNDEFINED) }
}

/// MRC: `word` is the instruction in A32 form.
///
/// # Errors
/// Undefined: no such register, or not for this privilege.
pub fn read(arm: &mut Arm, cpu: &mut Cpu, env: &mut dyn Env, word: u32) -> Result<u32, Fault> {
    let f = Fields::of(word);
    let row = f.row(word).ok_or(UNDEFINED)?;
    let mut io = Io {
        arm,
        cpu,
        env,
        which: f.crm << 3 | f.opc2,
        fault: None,
    };
    gate(&io, row, false)?;
    Ok(get(&mut io, row) as u32)
}

/// MCR: as [`read`].
///
/// # Errors
/// As for [`read`].
pub fn write(arm: &mut Arm, cpu: &mut Cpu, env: &mut dyn Env, word: u32, value: u32) -> Result<(), Fault> {
    let f = Fields::of(word);
    let row = f.row(word).ok_or(UNDEFINED)?;
    let mut io = Io {
        arm,
        cpu,
        env,
        which: f.crm << 3 | f.opc2,
        fault: None,
    };
    gate(&io, row, true)?;
    put(&mut io, row, value.into());
    io.fault.map_or(Ok(()), Err)
}

/// MRRC: as [`read`].
///
/// # Errors
/// As for [`read`].
pub fn read64(arm: &mut Arm, cpu: &mut Cpu, env: &mut dyn Env, word: u32) -> Result<u64, Fault> {
    let row = row64(word).ok_or(UNDEFINED)?;
    let mut io = Io {
        arm,
        cpu,
        env,
        which: 0,
        fault: None,
    };
    gate(&io, row, false)?;
    Ok(get(&mut io, row))
}

/// MCRR: as [`read`].
///
/// # Errors
/// As for [`read`].
pub fn write64(arm: &mut Arm, cpu: &mut Cpu, env: &mut dyn Env, word: u32, value: u64) -> Result<(), Fault> {
    let row = row64(word).ok_or(UNDEFINED)?;
    let mut io = Io {
        arm,
        cpu,
        env,
        which: 0,
        fault: None,
    };
    gate(&io, row, true)?;
    put(&mut io, row, value);
    io.fault.map_or(Ok(()), Err)
}

fn get(io: &mut Io, row: &Reg) -> u64 {
    match row.act {
        Act::Const(v) => v.into(),
        Act::Model(f) => f(io.arm.model).into(),
        Act::Word { field, .. } => (*field(&mut io.cpu.cp15)).into(),
        Act::Long { field, .. } => *field(&mut io.cpu.cp15),
        Act::Icc(reg) => io.arm.platform.gic().map_or(0, |gic| gic.read(reg)),
        Act::Fn { get, .. } => get(io),
    }
}

fn put(io: &mut Io, row: &Reg, value: u64) {
    if let Some(event) = row.event {
        let user = io.cpu.is_user();
        pmu::note(io.arm, io.cpu, event, user);
    }
    match row.act {
        Act::Const(_) | Act::Model(_) => {}
        Act::Word { field, mask, after, .. } => {
            let word = field(&mut io.cpu.cp15);
            let new = *word & !mask | value as u32 & mask;
            let changed = *word != new;
            *word = new;
            if changed {
                settle(io, after);
            }
        }
        Act::Long { field, mask, after } => {
            let long = field(&mut io.cpu.cp15);
            let new = *long & !mask | value & mask;
            let changed = *long != new;
            *long = new;
            if changed {
                settle(io, after);
            }
        }
        Act::Icc(reg) => {
            if let Some(gic) = io.arm.platform.gic() {
                gic.write(reg, value);
            }
        }
        Act::Fn { put, .. } => put(io, value),
    }
}

/// The registers that a debugger shows: those that hold something, each once. A look acknowledges no interrupt.
pub(crate) fn shown() -> impl Iterator<Item = &'static Reg> {
    let has_wide = |name| rows::ROWS.iter().any(|r| r.at.wide && r.name == name);
    rows::ROWS.iter().filter(move |r| {
        let single = r.at.crm.0 == r.at.crm.1 && r.at.opc2.0 == r.at.opc2.1;
        let plain = r
            .name
            .bytes()
            .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == b'_');
        let changes = matches!(r.act, Act::Icc(Icc::Iar0 | Icc::Iar1));
        let holds = r.kernel & table::R != 0 && !matches!(r.act, Act::Const(_)) && !changes;
        single && plain && holds && (r.at.wide || !has_wide(r.name))
    })
}

fn io<'a>(arm: &'a mut Arm, cpu: &'a mut Cpu, env: &'a mut dyn Env, row: &Reg) -> Io<'a> {
    let which = u32::from(row.at.crm.0) << 3 | u32::from(row.at.opc2.0);
    let fault = None;
    Io {
        arm,
        cpu,
        env,
        which,
        fault,
    }
}

/// A register's value, whatever the current privilege.
pub(crate) fn look(arm: &mut Arm, cpu: &mut Cpu, env: &mut dyn Env, row: &Reg) -> u64 {
    get(&mut io(arm, cpu, env, row), row)
}

/// Writes a register with all that follows, whatever the current privilege; `None` if it is read-only.
pub(crate) fn set(arm: &mut Arm, cpu: &mut Cpu, env: &mut dyn Env, row: &Reg, value: u64) -> Option<()> {
    if row.kernel & table::W == 0 {
        return None;
    }
    put(&mut io(arm, cpu, env, row), row, value);
    Some(())
}

/// What follows from a register's change.
fn settle(io: &mut Io, after: After) {
    match after {
        After::Nothing => {}
        After::Context => io.env.context_changed(),
        After::Mode => {
            io.cpu.update_mode();
            io.env.context_changed();
            // SCTLR.V moves the vectors.
            if io.cpu.cp15.dbgvcr != 0 {
                io.env.traps_changed();
            }
        }
        After::Traps => io.env.traps_changed(),
    }
}

/// The registers' reset values.
pub(crate) fn reset(cp15: &mut Cp15) {
    *cp15 = Cp15 {
        dbgoslock: 1,
        ..Cp15::zeroed()
    };
    for row in rows::ROWS {
        if let Act::Word { field, reset, .. } = row.act {
            *field(cp15) = reset;
        }
    }
}
