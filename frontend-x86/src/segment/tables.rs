//! The registers of descriptor tables and of the task (SDM 2, LGDT, LIDT, LLDT, LTR, SGDT, SIDT, SLDT, STR, SMSW).

use super::{Report, code_of, is_8086, is_long, is_null, kind, upper};
use crate::fault::{UD, gp};
use crate::memory::Memory;
use crate::mmu::is_valid;
use crate::state::bits::cr4;
use crate::state::{Attributes, Cpu, Segment, Table, mode};
use emu_ir::Fault;

/// The register's value for an operand of an operand size.
fn table(cpu: &Cpu, limit: u16, base: u64, operand_size: u8) -> Result<Table, Fault> {
    let code64 = cpu.mode & mode::CODE64 != 0;
    if cpu.cpl() != 0 || code64 && !is_valid(cpu, base) {
        return Err(gp(0));
    }
    let base = match (code64, operand_size) {
        (true, _) => base,
        (false, 2) => base & 0xff_ffff,
        (false, _) => base & 0xffff_ffff,
    };
    let limit = limit.into();
    Ok(Table { base, limit })
}

/// LGDT.
///
/// # Errors
/// #GP(0) above level 0, and of a base that is not canonical.
pub fn lgdt(cpu: &mut Cpu, limit: u16, base: u64, operand_size: u8) -> Result<(), Fault> {
    cpu.sys.gdtr = table(cpu, limit, base, operand_size)?;
    Ok(())
}

/// LIDT.
///
/// # Errors
/// As [`lgdt`].
pub fn lidt(cpu: &mut Cpu, limit: u16, base: u64, operand_size: u8) -> Result<(), Fault> {
    cpu.sys.idtr = table(cpu, limit, base, operand_size)?;
    Ok(())
}

/// Whether SGDT, SIDT, SLDT, SMSW and STR are for this level (CR4.UMIP).
///
/// # Errors
/// #GP(0): they are not.
pub fn may_store(cpu: &Cpu) -> Result<(), Fault> {
    if cpu.sys.cr4 & cr4::UMIP != 0 && cpu.cpl() != 0 {
        return Err(gp(0));
    }
    Ok(())
}

/// A segment of the system of one of some types, for LLDT and LTR: it is in the GDT, and present.
fn system(m: &mut Memory, cpu: &Cpu, selector: u16, types: &[u16]) -> Result<(u64, Segment), Fault> {
    let error = gp(code_of(selector));
    if selector & 4 != 0 {
        return Err(error);
    }
    let found = Report::GP.find(m, cpu, selector)?;
    if !found.system().is_some_and(|t| types.contains(&t)) {
        return Err(error);
    }
    let mut segment = found.descriptor.segment(selector);
    if is_long(cpu) {
        let high = upper(m, cpu, &found)?.ok_or(error)?;
        segment.base |= high << 32;
        if !is_valid(cpu, segment.base) {
            return Err(error);
        }
    }
    if !found.has(Attributes::P) {
        return Err(Report::GP.absent(selector));
    }
    Ok((found.at, segment))
}

fn check(cpu: &Cpu) -> Result<(), Fault> {
    if is_8086(cpu) {
        return Err(UD);
    }
    if cpu.cpl() != 0 {
        return Err(gp(0));
    }
    Ok(())
}

/// LLDT.
///
/// # Errors
/// #UD in real and virtual 8086 mode, #GP(0) above level 0; #GP and #NP of a selector that names no LDT.
pub fn lldt(m: &mut Memory, cpu: &mut Cpu, selector: u16) -> Result<(), Fault> {
    check(cpu)?;
    cpu.sys.ldtr = if is_null(selector) {
        Segment {
            selector,
            ..Segment::default()
        }
    } else {
        system(m, cpu, selector, &[kind::LDT])?.1
    };
    Ok(())
}

/// LTR: the task-state segment becomes busy.
///
/// # Errors
/// As [`lldt`], of a selector that names no TSS, or a busy one.
pub fn ltr(m: &mut Memory, cpu: &mut Cpu, selector: u16) -> Result<(), Fault> {
    check(cpu)?;
    let types: &[u16] = if is_long(cpu) {
        &[kind::TSS32]
    } else {
        &[kind::TSS16, kind::TSS32]
    };
    let (at, mut segment) = system(m, cpu, selector, types)?;
    let busy = kind::BUSY as u8;
    if m.set(cpu, at.wrapping_add(5), busy, busy)? & busy != 0 {
        // Another CPU was faster.
        return Err(gp(code_of(selector)));
    }
    segment.attributes |= kind::BUSY;
    cpu.sys.tr = segment;
    Ok(())
}
