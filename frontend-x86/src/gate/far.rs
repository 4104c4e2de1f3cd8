//! Far JMP, CALL and RET (SDM 2, JMP, CALL, RET; SDM 3, 5.8).

use super::{By, Gate, Left, RSP, Stack, inner, stack_code, switch, task};
use crate::fault::gp;
use crate::memory::Memory;
use crate::mmu::Who;
use crate::segment::{
    Found, Report, check_target, code_of, drop_inner, enter, is_8086, is_long, is_null, kind, null_stack, of_8086, rpl,
    stack, upper,
};
use crate::state::{Attributes, Cpu, Segment, mode, number};
use emu_ir::Fault;

/// How a far transfer is made.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Jump,
    Call,
}

/// Far JMP to an offset of a selector, or to what that is a gate of; `next`: rIP of the instruction after it.
///
/// # Errors
/// The fault of a target that it cannot go to. One of a task switch may be of the new task.
pub fn jmp_far(m: &mut Memory, cpu: &mut Cpu, selector: u16, offset: u64, next: u64) -> Result<(), Fault> {
    if is_8086(cpu) {
        return enter_8086(cpu, selector, offset);
    }
    transfer(m, cpu, selector, offset, Way::Jump, (0, next))
}

/// Far CALL with an operand size of 2, 4 or 8 bytes; `next`: rIP of the instruction after it.
///
/// # Errors
/// As [`jmp_far`], and of the stack.
pub fn call_far(
    m: &mut Memory,
    cpu: &mut Cpu,
    selector: u16,
    offset: u64,
    operand_size: u8,
    next: u64,
) -> Result<(), Fault> {
    if is_8086(cpu) {
        let mut stack = Stack::current(cpu, 0);
        stack.push(m, cpu, operand_size, cpu.segment(number::CS).selector.into())?;
        stack.push(m, cpu, operand_size, next)?;
        enter_8086(cpu, selector, offset)?;
        stack.keep(cpu);
        return Ok(());
    }
    transfer(m, cpu, selector, offset, Way::Call, (operand_size, next))
}

/// Goes on in real or virtual 8086 mode.
pub(super) fn enter_8086(cpu: &mut Cpu, selector: u16, offset: u64) -> Result<(), Fault> {
    let code = of_8086(cpu, number::CS, selector);
    check_target(cpu, &code, offset, 0)?;
    let cpl = cpu.cpl();
    enter(cpu, code, offset, cpl);
    Ok(())
}

/// What an instruction keeps: its operand size and the rIP after it.
type From = (u8, u64);

fn transfer(m: &mut Memory, cpu: &mut Cpu, selector: u16, offset: u64, way: Way, from: From) -> Result<(), Fault> {
    let found = Report::GP.find(m, cpu, selector)?;
    match found.system() {
        None => direct(m, cpu, found, offset, way, from),
        Some(kind::CALL32) => by_gate(m, cpu, found, way, from.1),
        Some(kind::CALL16) if !is_long(cpu) => by_gate(m, cpu, found, way, from.1),
        Some(kind::TASK | kind::TSS16 | kind::TSS32) if !is_long(cpu) => by_task(m, cpu, found, way, from.1),
        Some(_) => Err(Report::GP.of(selector)),
    }
}

/// A code segment is there to be gone on in.
fn check_code(cpu: &Cpu, found: &Found, report: Report) -> Result<(), Fault> {
    if !found.has(Attributes::P) {
        return Err(report.absent(found.selector));
    }
    if is_long(cpu) && found.has(Attributes::L | Attributes::DB) {
        return Err(report.of(found.selector));
    }
    Ok(())
}

/// To a code segment of the same level.
fn direct(m: &mut Memory, cpu: &mut Cpu, found: Found, offset: u64, way: Way, from: From) -> Result<(), Fault> {
    let (cpl, selector) = (cpu.cpl(), found.selector);
    let allowed = match found.is_conforming() {
        true => found.dpl() <= cpl,
        false => found.is_code() && rpl(selector) <= cpl && found.dpl() == cpl,
    };
    if !allowed {
        return Err(Report::GP.of(selector));
    }
    check_code(cpu, &found, Report::GP)?;
    let code = found.descriptor.segment(selector & !3 | u16::from(cpl));
    check_target(cpu, &code, offset, 0)?;
    let mut stack = Stack::current(cpu, 0);
    if way == Way::Call {
        stack.push(m, cpu, from.0, cpu.segment(number::CS).selector.into())?;
        stack.push(m, cpu, from.0, from.1)?;
    }
    let code = found.load(m, cpu, code.selector)?;
    stack.keep(cpu);
    enter(cpu, code, offset, cpl);
    Ok(())
}

/// Whether a gate, or a TSS, may be used with the selector that names it.
fn check_gate(cpu: &Cpu, found: &Found) -> Result<(), Fault> {
    if found.dpl() < cpu.cpl() || found.dpl() < rpl(found.selector) {
        return Err(Report::GP.of(found.selector));
    }
    if !found.has(Attributes::P) {
        return Err(Report::GP.absent(found.selector));
    }
    Ok(())
}

fn by_gate(m: &mut Memory, cpu: &mut Cpu, found: Found, way: Way, next: u64) -> Result<(), Fault> {
    let long = is_long(cpu);
    let high = match long {
        true => upper(m, cpu, &found)?.ok_or(Report::GP.of(found.selector))?,
        false => 0,
    };
    check_gate(cpu, &found)?;
    let gate = Gate::of(found.descriptor.0, high);
    let code = Report::GP.find(m, cpu, gate.selector)?;
    let (cpl, dpl) = (cpu.cpl(), code.dpl());
    let same = code.is_conforming() || dpl == cpl;
    let allowed = code.is_code() && dpl <= cpl && (way == Way::Call || same);
    let wrong_mode = long && (!code.has(Attributes::L) || code.has(Attributes::DB));
    if !allowed || wrong_mode {
        return Err(Report::GP.of(gate.selector));
    }
    check_code(cpu, &code, Report::GP)?;
    if same {
        to_same_level(m, cpu, &code, &gate, (way == Way::Call).then_some(next))
    } else {
        to_inner_level(m, cpu, &code, &gate, next)
    }
}

fn to_same_level(m: &mut Memory, cpu: &mut Cpu, code: &Found, gate: &Gate, next: Option<u64>) -> Result<(), Fault> {
    let cpl = cpu.cpl();
    let target = code.descriptor.segment(gate.selector & !3 | u16::from(cpl));
    check_target(cpu, &target, gate.offset, 0)?;
    let (long, size) = (is_long(cpu), gate.size(is_long(cpu)));
    let mut stack = Stack::of(cpu.segment(number::SS), cpu.regs[RSP], long, Who::Level(cpl), 0);
    if let Some(next) = next {
        stack.push(m, cpu, size, cpu.segment(number::CS).selector.into())?;
        stack.push(m, cpu, size, next)?;
    }
    let target = code.load(m, cpu, target.selector)?;
    if next.is_some() {
        stack.keep(cpu);
    }
    enter(cpu, target, gate.offset, cpl);
    Ok(())
}

/// Through a call gate to more privilege: onto the stack that the TSS has for it, with the parameters.
fn to_inner_level(m: &mut Memory, cpu: &mut Cpu, code: &Found, gate: &Gate, next: u64) -> Result<(), Fault> {
    let cpl = code.dpl();
    let long = is_long(cpu);
    let size = gate.size(long);
    let (segment, pointer) = inner(m, cpu, cpl, 0)?;
    let target = code.descriptor.segment(gate.selector & !3 | u16::from(cpl));
    check_target(cpu, &target, gate.offset, 0)?;
    let old = Stack::current(cpu, 0);
    let mut new = Stack::of(&segment, pointer, long, Who::Level(cpl), stack_code(&segment, 0));
    new.push(m, cpu, size, cpu.segment(number::SS).selector.into())?;
    new.push(m, cpu, size, cpu.regs[RSP])?;
    let count = if long { 0 } else { u64::from(gate.count) };
    for n in (0..count).rev() {
        let parameter = old.peek(m, cpu, n * u64::from(size), size)?;
        new.push(m, cpu, size, parameter)?;
    }
    new.push(m, cpu, size, cpu.segment(number::CS).selector.into())?;
    new.push(m, cpu, size, next)?;
    let target = code.load(m, cpu, target.selector)?;
    *cpu.segment_mut(number::SS) = segment;
    new.keep(cpu);
    enter(cpu, target, gate.offset, cpl);
    Ok(())
}

/// To another task, by its TSS or a task gate.
fn by_task(m: &mut Memory, cpu: &mut Cpu, found: Found, way: Way, next: u64) -> Result<(), Fault> {
    check_gate(cpu, &found)?;
    let from = Left::after(cpu, next);
    let tss = match found.system() {
        Some(kind::TASK) => {
            let gate = Gate::of(found.descriptor.0, 0);
            task::available(m, cpu, gate.selector, 0)?
        }
        _ if found.selector & 4 != 0 => return Err(Report::GP.of(found.selector)),
        _ => found,
    };
    let by = if way == Way::Jump { By::Jump } else { By::Call };
    switch(m, cpu, tss, by, from)
}

/// Far RET with an operand size, that leaves out some bytes of the stack.
///
/// # Errors
/// The fault of a target that it cannot go to, and of the stack.
pub fn ret_far(m: &mut Memory, cpu: &mut Cpu, operand_size: u8, bytes: u16) -> Result<(), Fault> {
    let mut stack = Stack::current(cpu, 0);
    let offset = stack.pop(m, cpu, operand_size)?;
    let selector = stack.pop(m, cpu, operand_size)? as u16;
    stack.skip(bytes.into());
    if is_8086(cpu) {
        enter_8086(cpu, selector, offset)?;
        stack.keep(cpu);
        return Ok(());
    }
    let code = returned_to(m, cpu, selector)?;
    let cpl = rpl(selector);
    let target = code.descriptor.segment(selector);
    if cpl == cpu.cpl() {
        check_target(cpu, &target, offset, 0)?;
        let target = code.load(m, cpu, selector)?;
        stack.keep(cpu);
        enter(cpu, target, offset, cpl);
        return Ok(());
    }
    let pointer = stack.pop(m, cpu, operand_size)?;
    let outer = stack.pop(m, cpu, operand_size)? as u16;
    check_target(cpu, &target, offset, 0)?;
    let segment = returned_stack(m, cpu, outer, &target)?;
    let target = code.load(m, cpu, selector)?;
    *cpu.segment_mut(number::SS) = segment;
    enter(cpu, target, offset, cpl);
    take_pointer(cpu, pointer);
    let mut stack = Stack::current(cpu, 0);
    stack.skip(bytes.into());
    stack.keep(cpu);
    drop_inner(cpu, cpl);
    Ok(())
}

/// RSP that was popped: as wide as the stack is now.
pub(super) fn take_pointer(cpu: &mut Cpu, pointer: u64) {
    let m = cpu.mode;
    cpu.regs[RSP] = match (m & mode::CODE64 != 0, m & mode::STACK32 != 0) {
        (false, false) => cpu.regs[RSP] & !0xffff | pointer & 0xffff,
        (false, true) => pointer & 0xffff_ffff,
        (true, _) => pointer,
    };
}

/// The code segment that RET or IRET goes back to.
pub(super) fn returned_to(m: &mut Memory, cpu: &Cpu, selector: u16) -> Result<Found, Fault> {
    let found = Report::GP.find(m, cpu, selector)?;
    let to = rpl(selector);
    let fits = match found.is_conforming() {
        true => found.dpl() <= to,
        false => found.is_code() && found.dpl() == to,
    };
    if to < cpu.cpl() || !fits {
        return Err(gp(code_of(selector)));
    }
    check_code(cpu, &found, Report::GP)?;
    Ok(found)
}

/// The stack segment that RET or IRET goes back to: in 64-bit mode there may be none below level 3.
pub(super) fn returned_stack(m: &mut Memory, cpu: &Cpu, selector: u16, code: &Segment) -> Result<Segment, Fault> {
    let cpl = rpl(code.selector);
    let code64 = is_long(cpu) && code.has(Attributes::L);
    if is_null(selector) && code64 && cpl < 3 && rpl(selector) == cpl {
        return Ok(null_stack(selector, cpl));
    }
    stack(m, cpu, selector, cpl, Report::GP)
}
