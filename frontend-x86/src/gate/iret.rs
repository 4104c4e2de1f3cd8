//! IRET (SDM 2, IRET; SDM 3, 6.12.1 and 6.14.3).

use super::far::{enter_8086, returned_stack, returned_to, take_pointer};
use super::{By, Left, RSP, Stack, switch, task};
use crate::debug::breaks;
use crate::fault::gp;
use crate::memory::Memory;
use crate::segment::{check_target, drop_inner, enter, enter_by_code, is_long, rpl, virtual_8086};
use crate::state::bits::{cr4, eflags};
use crate::state::{Cpu, mode, number, pending};
use emu_ir::Fault;

/// IRET with an operand size of 2, 4 or 8 bytes; `next`: rIP of the instruction after it. Non-maskable interrupts are no
/// longer blocked, even if it faults (SDM 3, 6.7.1).
///
/// # Errors
/// The fault of a target that it cannot go to, and of the stack.
pub fn iret(m: &mut Memory, cpu: &mut Cpu, operand_size: u8, next: u64) -> Result<(), Fault> {
    cpu.sys.pending &= !pending::NMI_BLOCKED;
    go_back(m, cpu, operand_size, next)?;
    // It would only be seen in the image that an interrupt pushes before the next instruction, and that is then a block alone.
    if cpu.eflags & eflags::RF != 0 && !breaks(cpu) {
        cpu.eflags &= !eflags::RF;
        cpu.settle_flags();
    }
    Ok(())
}

fn go_back(m: &mut Memory, cpu: &mut Cpu, operand_size: u8, next: u64) -> Result<(), Fault> {
    if cpu.mode & mode::PROTECTED == 0 {
        return to_8086(m, cpu, operand_size, allowed(cpu, operand_size) & !VIRTUAL_INTERRUPTS);
    }
    if cpu.mode & mode::VIRTUAL != 0 {
        return of_virtual(m, cpu, operand_size);
    }
    if cpu.eflags & eflags::NT != 0 {
        if is_long(cpu) {
            return Err(gp(0));
        }
        let tss = task::linked(m, cpu)?;
        return switch(m, cpu, tss, By::Return, Left::after(cpu, next));
    }
    protected(m, cpu, operand_size)
}

const VIRTUAL_INTERRUPTS: u32 = eflags::VIF | eflags::VIP;

/// Bits of EFLAGS that are loaded at the current level.
fn allowed(cpu: &Cpu, operand_size: u8) -> u32 {
    let cpl = u32::from(cpu.cpl());
    let iopl = (cpu.eflags & eflags::IOPL) >> eflags::IOPL_SHIFT;
    let mut bits = eflags::STATUS | eflags::TF | eflags::DF | eflags::NT;
    if operand_size > 2 {
        bits |= eflags::RF | eflags::AC | eflags::ID;
    }
    if cpl <= iopl {
        bits |= eflags::IF;
    }
    if cpl == 0 {
        bits |= eflags::IOPL;
    }
    if cpl == 0 && operand_size > 2 {
        bits |= VIRTUAL_INTERRUPTS;
    }
    bits
}

fn merged(cpu: &Cpu, popped: u64, bits: u32) -> u32 {
    cpu.eflags() & !bits | popped as u32 & bits
}

/// Within real or virtual 8086 mode.
fn to_8086(m: &mut Memory, cpu: &mut Cpu, operand_size: u8, bits: u32) -> Result<(), Fault> {
    let mut stack = Stack::current(cpu, 0);
    let offset = stack.pop(m, cpu, operand_size)?;
    let selector = stack.pop(m, cpu, operand_size)? as u16;
    let popped = stack.pop(m, cpu, operand_size)?;
    enter_8086(cpu, selector, offset)?;
    stack.keep(cpu);
    cpu.set_eflags(merged(cpu, popped, bits));
    Ok(())
}

/// In virtual 8086 mode: IF and IOPL are the monitor's (SDM 3, 21.2.7 and 21.3.3).
fn of_virtual(m: &mut Memory, cpu: &mut Cpu, operand_size: u8) -> Result<(), Fault> {
    if cpu.eflags & eflags::IOPL == eflags::IOPL {
        return to_8086(m, cpu, operand_size, allowed(cpu, operand_size));
    }
    if cpu.sys.cr4 & cr4::VME == 0 || operand_size != 2 {
        return Err(gp(0));
    }
    let popped = Stack::current(cpu, 0).peek(m, cpu, 4, 2)? as u32;
    let pending = popped & eflags::IF != 0 && cpu.eflags & eflags::VIP != 0;
    if pending || popped & eflags::TF != 0 {
        return Err(gp(0));
    }
    to_8086(m, cpu, operand_size, allowed(cpu, operand_size))?;
    let interrupts = if popped & eflags::IF != 0 { eflags::VIF } else { 0 };
    cpu.set_eflags(cpu.eflags() & !eflags::VIF | interrupts);
    Ok(())
}

fn protected(m: &mut Memory, cpu: &mut Cpu, operand_size: u8) -> Result<(), Fault> {
    let mut stack = Stack::current(cpu, 0);
    let offset = stack.pop(m, cpu, operand_size)?;
    let selector = stack.pop(m, cpu, operand_size)? as u16;
    let popped = stack.pop(m, cpu, operand_size)?;
    let virtual_8086 = operand_size == 4 && popped as u32 & eflags::VM != 0;
    if virtual_8086 && cpu.cpl() == 0 && !is_long(cpu) {
        return to_virtual(m, cpu, stack, offset, selector, popped as u32);
    }
    let code = returned_to(m, cpu, selector)?;
    let cpl = rpl(selector);
    let flags = merged(cpu, popped, allowed(cpu, operand_size));
    let target = code.descriptor.segment(selector);
    let outward = cpl > cpu.cpl();
    let outer = if outward || cpu.mode & mode::CODE64 != 0 {
        let pointer = stack.pop(m, cpu, operand_size)?;
        let outer = stack.pop(m, cpu, operand_size)? as u16;
        Some((pointer, returned_stack(m, cpu, outer, &target)?))
    } else {
        None
    };
    check_target(cpu, &target, offset, 0)?;
    let target = code.load(m, cpu, selector)?;
    cpu.set_eflags(flags);
    match outer {
        Some((pointer, segment)) => {
            *cpu.segment_mut(number::SS) = segment;
            enter_by_code(cpu, target, offset, cpl);
            take_pointer(cpu, pointer);
        }
        None => {
            enter_by_code(cpu, target, offset, cpl);
            stack.keep(cpu);
        }
    }
    if outward {
        drop_inner(cpu, cpl);
    }
    Ok(())
}

/// From level 0 back to virtual 8086 mode.
fn to_virtual(
    m: &mut Memory,
    cpu: &mut Cpu,
    mut stack: Stack,
    offset: u64,
    selector: u16,
    flags: u32,
) -> Result<(), Fault> {
    let pointer = stack.pop(m, cpu, 4)?;
    let mut selectors = [0; 5];
    for selector in &mut selectors {
        *selector = stack.pop(m, cpu, 4)? as u16;
    }
    let code = virtual_8086(selector);
    check_target(cpu, &code, offset, 0)?;
    for (n, selector) in [number::SS, number::ES, number::DS, number::FS, number::GS]
        .into_iter()
        .zip(selectors)
    {
        *cpu.segment_mut(n) = virtual_8086(selector);
    }
    cpu.set_eflags(flags);
    enter(cpu, code, offset, 3);
    cpu.regs[RSP] = pointer;
    Ok(())
}
