//! Delivery of interrupts and exceptions through the IDT (SDM 2, INT n; SDM 3, 6.12, 6.14, 21.3).

use super::task::{self, By, Left};
use super::{Gate, RSP, Stack, inner, of_task, stack_code, switch};
use crate::fault::{Event, Kind, code, gp, np};
use crate::memory::Memory;
use crate::mmu::Who;
use crate::segment::{Found, Report, check_target, enter, enter_by_code, is_long, kind, of_8086};
use crate::state::bits::{cr4, eflags};
use crate::state::{Attributes, Cpu, Segment, mode, number, of};
use emu_ir::Fault;

/// Enters the handler of an event.
///
/// # Errors
/// The fault of the delivery; the state is what it was, but where the new task of a task gate has begun.
pub fn deliver(m: &mut Memory, cpu: &mut Cpu, event: Event) -> Result<(), Fault> {
    let length = if event.is_after() { cpu.of & of::LENGTH } else { 0 };
    let mut rip = cpu.rip().wrapping_add(length.into());
    if cpu.mode & mode::CODE64 == 0 {
        rip &= 0xffff_ffff;
    }
    let resumes = if event.resumes() { eflags::RF } else { 0 };
    let left = Left {
        rip,
        eflags: cpu.eflags() | resumes,
    };
    if cpu.mode & mode::PROTECTED == 0 {
        real(m, cpu, event, left)?;
    } else if event.kind == Kind::Software && cpu.mode & mode::VIRTUAL != 0 {
        software_of_virtual(m, cpu, event, left)?;
    } else {
        protected(m, cpu, event, left)?;
    }
    cpu.mode &= !mode::SHADOW;
    Ok(())
}

/// The three words that real mode pushes, and the handler of a vector in a table of pointers.
fn by_vector(
    m: &mut Memory,
    cpu: &mut Cpu,
    (at, who): (u64, Who),
    flags: u32,
    rip: u64,
    cleared: u32,
) -> Result<(), Fault> {
    let pointer = m.load(cpu, at, 4, who)?;
    let mut stack = Stack::current(cpu, 0);
    stack.push(m, cpu, 2, flags.into())?;
    stack.push(m, cpu, 2, cpu.segment(number::CS).selector.into())?;
    stack.push(m, cpu, 2, rip)?;
    let code = of_8086(cpu, number::CS, (pointer >> 16) as u16);
    check_target(cpu, &code, pointer & 0xffff, 0)?;
    stack.keep(cpu);
    cpu.eflags &= !cleared;
    let cpl = cpu.cpl();
    enter(cpu, code, pointer & 0xffff, cpl);
    Ok(())
}

fn real(m: &mut Memory, cpu: &mut Cpu, event: Event, left: Left) -> Result<(), Fault> {
    let offset = 4 * u64::from(event.vector);
    if offset + 3 > cpu.sys.idtr.limit {
        return Err(gp(of_idt(event)));
    }
    let at = cpu.sys.idtr.base.wrapping_add(offset);
    let cleared = eflags::IF | eflags::TF | eflags::AC | eflags::RF;
    by_vector(m, cpu, (at, Who::System), left.eflags, left.rip, cleared)
}

/// INT n in virtual 8086 mode: where the TSS's bitmap says so, the program has its own handler (SDM 3, table 21-2).
fn software_of_virtual(m: &mut Memory, cpu: &mut Cpu, event: Event, left: Left) -> Result<(), Fault> {
    let trusted = cpu.eflags & eflags::IOPL == eflags::IOPL;
    if cpu.sys.cr4 & cr4::VME == 0 || !is_redirected(m, cpu, event.vector)? {
        return if trusted {
            protected(m, cpu, event, left)
        } else {
            Err(gp(0))
        };
    }
    let at = 4 * u64::from(event.vector);
    let place = (at, Who::Level(3));
    if trusted {
        let cleared = eflags::IF | eflags::TF | eflags::RF;
        return by_vector(m, cpu, place, left.eflags, left.rip, cleared);
    }
    // It sees the virtual interrupt flag as its own.
    let interrupts = if left.eflags & eflags::VIF != 0 { eflags::IF } else { 0 };
    let flags = left.eflags & !eflags::IF | interrupts | eflags::IOPL;
    by_vector(m, cpu, place, flags, left.rip, eflags::VIF | eflags::TF | eflags::RF)
}

/// Whether the interrupt redirection bitmap, 32 bytes below the I/O permission bitmap, has a 0 for a vector.
fn is_redirected(m: &mut Memory, cpu: &Cpu, vector: u8) -> Result<bool, Fault> {
    const MAP_BASE: u64 = 0x66;
    let tr = &cpu.sys.tr;
    if u64::from(tr.limit) <= MAP_BASE {
        return Err(gp(0));
    }
    let map = m.load(cpu, tr.base.wrapping_add(MAP_BASE), 2, Who::System)?;
    let at = map.wrapping_sub(32).wrapping_add(u64::from(vector / 8));
    if at > tr.limit.into() {
        return Err(gp(0));
    }
    let bits = m.load(cpu, tr.base.wrapping_add(at), 1, Who::System)?;
    Ok(bits >> (vector % 8) & 1 == 0)
}

/// The error code of a vector.
fn of_idt(event: Event) -> u32 {
    u32::from(event.vector) << 3 | code::IDT | event.ext()
}

fn protected(m: &mut Memory, cpu: &mut Cpu, event: Event, left: Left) -> Result<(), Fault> {
    let long = is_long(cpu);
    let size = if long { 16 } else { 8 };
    let offset = size * u64::from(event.vector);
    let error = of_idt(event);
    if offset + size - 1 > cpu.sys.idtr.limit {
        return Err(gp(error));
    }
    let at = cpu.sys.idtr.base.wrapping_add(offset);
    let descriptor = m.load(cpu, at, 8, Who::System)?;
    let found = Found {
        at,
        descriptor: crate::state::Descriptor(descriptor),
        selector: 0,
    };
    let known = match found.system() {
        Some(kind::INT32 | kind::TRAP32) => true,
        Some(kind::TASK | kind::INT16 | kind::TRAP16) => !long,
        _ => false,
    };
    if !known || event.is_checked() && found.dpl() < cpu.cpl() {
        return Err(gp(error));
    }
    if !found.has(Attributes::P) {
        return Err(np(error));
    }
    let high = if long {
        m.load(cpu, at.wrapping_add(8), 8, Who::System)?
    } else {
        0
    };
    let gate = Gate::of(descriptor, high & 0xffff_ffff);
    if gate.kind == kind::TASK {
        by_task(m, cpu, event, gate, left)
    } else {
        by_gate(m, cpu, event, gate, left)
    }
}

fn by_task(m: &mut Memory, cpu: &mut Cpu, event: Event, gate: Gate, left: Left) -> Result<(), Fault> {
    let ext = event.ext();
    let tss = task::available(m, cpu, gate.selector, ext)?;
    let size = if tss.attributes() & 8 != 0 { 4 } else { 2 };
    switch(m, cpu, tss, By::Interrupt(ext), left)?;
    if m.late.is_some() {
        return Ok(());
    }
    if let Some(code) = event.pushed() {
        let mut stack = Stack::current(cpu, ext);
        match stack.push(m, cpu, size, code.into()) {
            Ok(()) => stack.keep(cpu),
            Err(fault) => m.late = Some(fault),
        }
    }
    Ok(())
}

/// The handler's code, and its level.
fn handler(m: &mut Memory, cpu: &Cpu, gate: &Gate, ext: u32) -> Result<(Found, u8), Fault> {
    let report = Report { fault: gp, ext };
    let code = report.find(m, cpu, gate.selector)?;
    let (cpl, dpl) = (cpu.cpl(), code.dpl());
    let wrong_mode = is_long(cpu) && (!code.has(Attributes::L) || code.has(Attributes::DB));
    if !code.is_code() || dpl > cpl || wrong_mode {
        return Err(report.of(gate.selector));
    }
    if !code.has(Attributes::P) {
        return Err(report.absent(gate.selector));
    }
    let to = if code.is_conforming() { cpl } else { dpl };
    if cpu.mode & mode::VIRTUAL != 0 && to != 0 {
        return Err(report.of(gate.selector));
    }
    Ok((code, to))
}

/// The stack that the frame goes on, and the segment of it if it is another one than before.
fn stack_for(m: &mut Memory, cpu: &Cpu, gate: &Gate, cpl: u8, ext: u32) -> Result<(Stack, Option<Segment>), Fault> {
    let long = is_long(cpu);
    let ist = gate.count & 7;
    let inward = cpl < cpu.cpl();
    if !long && !inward {
        return Ok((Stack::current(cpu, ext), None));
    }
    let (segment, pointer) = match (long && ist != 0, inward) {
        (true, _) => {
            // IST1 is at 24h (SDM 3, figure 7-11).
            let pointer = of_task(m, cpu, 0x24 + 8 * (u64::from(ist) - 1), 8, ext)?;
            (crate::segment::null_stack(cpl.into(), cpl), pointer)
        }
        (false, true) => inner(m, cpu, cpl, ext)?,
        (false, false) => (Segment::default(), cpu.regs[RSP]),
    };
    // In long mode it is aligned (SDM 3, 6.14.2).
    let pointer = if long { pointer & !15 } else { pointer };
    let code = stack_code(&segment, ext);
    let stack = Stack::of(&segment, pointer, long, Who::Level(cpl), code);
    Ok((stack, inward.then_some(segment)))
}

fn by_gate(m: &mut Memory, cpu: &mut Cpu, event: Event, gate: Gate, left: Left) -> Result<(), Fault> {
    let ext = event.ext();
    let (code, cpl) = handler(m, cpu, &gate, ext)?;
    let (mut stack, segment) = stack_for(m, cpu, &gate, cpl, ext)?;
    let target = code.descriptor.segment(gate.selector & !3 | u16::from(cpl));
    check_target(cpu, &target, gate.offset, ext)?;
    let size = gate.size(is_long(cpu));
    let is_virtual = cpu.mode & mode::VIRTUAL != 0;
    let mut push = |value: u64| stack.push(m, cpu, size, value);
    const DATA: [u8; 4] = [number::GS, number::FS, number::DS, number::ES];
    if is_virtual {
        for n in DATA {
            push(cpu.segment(n).selector.into())?;
        }
    }
    if segment.is_some() || is_long(cpu) {
        push(cpu.segment(number::SS).selector.into())?;
        push(cpu.regs[RSP])?;
    }
    push(left.eflags.into())?;
    push(cpu.segment(number::CS).selector.into())?;
    push(left.rip)?;
    if let Some(error) = event.pushed() {
        push(error.into())?;
    }
    let target = code.load(m, cpu, target.selector)?;
    if let Some(segment) = segment {
        *cpu.segment_mut(number::SS) = segment;
    }
    let interrupts = if gate.kind & 1 == 0 { eflags::IF } else { 0 };
    cpu.eflags &= !(eflags::TF | eflags::NT | eflags::RF | eflags::VM | interrupts);
    stack.keep(cpu);
    if is_virtual {
        for n in DATA {
            *cpu.segment_mut(n) = Segment::default();
        }
        enter(cpu, target, gate.offset, cpl);
    } else {
        enter_by_code(cpu, target, gate.offset, cpl);
    }
    Ok(())
}
