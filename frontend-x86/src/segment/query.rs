//! Instructions that ask about segments (SDM 2, LAR, LSL, VERR, VERW, ARPL; SDM 3, 5.10).

use super::{Found, find, is_8086, is_long, is_null, kind, rpl};
use crate::fault::UD;
use crate::memory::Memory;
use crate::state::Cpu;
use emu_ir::Fault;

/// What a selector names, if this level may ask about it.
fn seen(m: &mut Memory, cpu: &Cpu, selector: u16) -> Result<Option<Found>, Fault> {
    if is_8086(cpu) {
        return Err(UD);
    }
    if is_null(selector) {
        return Ok(None);
    }
    Ok(find(m, cpu, selector)?.filter(|found| found.is_open_to(cpu.cpl())))
}

/// Whether LAR knows a type of descriptor of the system (its table of types); LSL knows those that have a limit.
fn is_known(cpu: &Cpu, system: u16, limits: bool) -> bool {
    match system {
        kind::LDT => true,
        kind::TSS32 => true,
        t if t == kind::TSS32 | kind::BUSY => true,
        kind::TSS16 => !is_long(cpu),
        t if t == kind::TSS16 | kind::BUSY => !is_long(cpu),
        kind::CALL32 => !limits,
        kind::CALL16 | kind::TASK => !limits && !is_long(cpu),
        _ => false,
    }
}

/// LAR: the access rights of a segment, bits 23:20 and 15:8 of its descriptor; `None`: ZF is cleared.
///
/// # Errors
/// #UD in real and virtual 8086 mode; the fault of reading the descriptor.
pub fn lar(m: &mut Memory, cpu: &Cpu, selector: u16) -> Result<Option<u32>, Fault> {
    let found = seen(m, cpu, selector)?;
    let known = found.filter(|f| f.system().is_none_or(|t| is_known(cpu, t, false)));
    Ok(known.map(|f| (f.descriptor.0 >> 32) as u32 & 0x00f0_ff00))
}

/// LSL: the limit of a segment in bytes; `None`: ZF is cleared.
///
/// # Errors
/// As [`lar`].
pub fn lsl(m: &mut Memory, cpu: &Cpu, selector: u16) -> Result<Option<u32>, Fault> {
    let found = seen(m, cpu, selector)?;
    let known = found.filter(|f| f.system().is_none_or(|t| is_known(cpu, t, true)));
    Ok(known.map(|f| f.descriptor.limit()))
}

/// VERR: whether a segment can be read; ZF.
///
/// # Errors
/// As [`lar`].
pub fn verr(m: &mut Memory, cpu: &Cpu, selector: u16) -> Result<bool, Fault> {
    Ok(seen(m, cpu, selector)?.is_some_and(|f| f.is_readable()))
}

/// VERW: whether a segment can be written; ZF.
///
/// # Errors
/// As [`lar`].
pub fn verw(m: &mut Memory, cpu: &Cpu, selector: u16) -> Result<bool, Fault> {
    Ok(seen(m, cpu, selector)?.is_some_and(|f| f.is_writable()))
}

/// ARPL: the destination with at least the source's RPL, and ZF.
///
/// # Errors
/// #UD in real and virtual 8086 mode.
pub fn arpl(cpu: &Cpu, destination: u16, source: u16) -> Result<(u16, bool), Fault> {
    if is_8086(cpu) {
        return Err(UD);
    }
    let raised = rpl(destination) < rpl(source);
    let new = if raised {
        destination & !3 | source & 3
    } else {
        destination
    };
    Ok((new, raised))
}
