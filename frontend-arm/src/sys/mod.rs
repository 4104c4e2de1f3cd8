//! System control: the registers of CP15 and CP14, and what an access to them does.
//!
//! [`table`] has one row a register. An access finds its row, checks the rights of the current privilege, and does what
//! the row says; what has no row is Undefined.

mod index;
mod maintenance;
pub mod pmu;
mod rows;
pub mod table;
#[cfg(test)]
mod tests;
pub mod timer;

use crate::exception::UNDEFINED;
use crate::guest::Arm;
use crate::state::{Cpu, mode};
use bytemuck::{Pod, Zeroable};
use emu_ir::{Env, Fault};
use serde::{Deserialize, Serialize};
use table::{Act, After, Gate, Reg};

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
    /// Zero: keeps the size a multiple of 16.
    pub reserved: [u32; 2],
    /// The performance monitors.
    pub pmu: pmu::Pmu,
}

/// What an access works on.
pub struct Io<'a> {
    /// The CPU: its model and the machine.
    pub arm: &'a mut Arm,
    /// Its state.
    pub cpu: &'a mut Cpu,
    /// The engine.
    pub env: &'a mut dyn Env,
    /// The register's CRm and opc2, for rows of more than one register.
    pub which: u32,
    /// Set by a write that ends in an exception.
    pub fault: Option<Fault>,
}

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
        Act::Fn { get, .. } => get(io),
    }
}

fn put(io: &mut Io, row: &Reg, value: u64) {
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
        Act::Fn { put, .. } => put(io, value),
    }
}

/// The registers that a debugger shows: those that hold something, each once.
pub(crate) fn shown() -> impl Iterator<Item = &'static Reg> {
    let has_wide = |name| rows::ROWS.iter().any(|r| r.at.wide && r.name == name);
    rows::ROWS.iter().filter(move |r| {
        let single = r.at.crm.0 == r.at.crm.1 && r.at.opc2.0 == r.at.opc2.1;
        let plain = r
            .name
            .bytes()
            .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == b'_');
        let holds = r.kernel & table::R != 0 && !matches!(r.act, Act::Const(_));
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

impl Cpu {
    /// Brings the mode word in step with what it is made from: CPSR.M, SCTLR, CPACR, FPEXC, FPSCR. CPSR.T, E and IT
    /// live in it and stay.
    pub fn update_mode(&mut self) {
        let mut bits = self.mode & (mode::T | mode::E | mode::IT) | self.fp_mode();
        if self.is_user() {
            bits |= mode::USER;
        }
        if self.cp15.sctlr & sctlr::A != 0 {
            bits |= mode::ALIGN;
        }
        if self.cp15.sctlr & sctlr::SW != 0 {
            bits |= mode::SWP;
        }
        self.mode = bits;
    }
}
