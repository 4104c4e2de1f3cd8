//! The hardware's task switch (SDM 3, chapter 7).

use super::is_wide;
use crate::control;
use crate::fault::{debug, gp, np, ts};
use crate::memory::{Effects, Memory};
use crate::mmu::Who;
use crate::segment::{
    Found, Report, check_target, code_of, data, enter, find, is_null, kind, rpl, stack, virtual_8086,
};
use crate::state::bits::{cr0, dr6, dr7, eflags};
use crate::state::{Attributes, Cpu, Segment, number};
use emu_ir::Fault;

/// What a task switch is made by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// JMP.
    Jump,
    /// CALL.
    Call,
    /// An interrupt or exception, with EXT of errors.
    Interrupt(u32),
    /// IRET with NT set.
    Return,
}

/// Where the old task is left.
#[derive(Clone, Copy, Debug)]
pub struct Left {
    /// Where it goes on.
    pub rip: u64,
    /// With which EFLAGS.
    pub eflags: u32,
}

impl Left {
    /// After an instruction.
    pub fn after(cpu: &Cpu, rip: u64) -> Left {
        Left {
            rip,
            eflags: cpu.eflags(),
        }
    }
}

/// What a TSS holds of a task, but for its stacks (figures 7-2 and 7-10).
#[derive(Clone, Copy, Debug, Default)]
struct Task {
    cr3: Option<u64>,
    eip: u64,
    eflags: u32,
    /// EAX, ECX, EDX, EBX, ESP, EBP, ESI, EDI.
    regs: [u64; 8],
    /// ES, CS, SS, DS, FS, GS.
    selectors: [u16; 6],
    ldt: u16,
    trap: bool,
}

/// Where things are in a TSS.
struct Layout {
    /// The last byte that there must be.
    limit: u32,
    size: u8,
    eip: u64,
    /// How many segment registers.
    segments: usize,
}

const WIDE: Layout = Layout {
    limit: 0x67,
    size: 4,
    eip: 0x20,
    segments: 6,
};
const NARROW: Layout = Layout {
    limit: 0x2b,
    size: 2,
    eip: 0x0e,
    segments: 4,
};

impl Layout {
    fn of(attributes: u16) -> &'static Layout {
        if is_wide(attributes & Attributes::TYPE) {
            &WIDE
        } else {
            &NARROW
        }
    }
    /// Of general register `n`, after EIP and EFLAGS.
    fn reg(&self, n: usize) -> u64 {
        self.eip + u64::from(self.size) * (2 + n as u64)
    }
    /// Of segment register `n`.
    fn segment(&self, n: usize) -> u64 {
        self.reg(8 + n)
    }
    fn ldt(&self) -> u64 {
        self.segment(self.segments)
    }
}

const CR3: u64 = 0x1c;
const TRAP: u64 = 0x64;

/// The TSS that a task gate, or a far transfer through one, names: in the GDT, not busy, present.
///
/// # Errors
/// #GP, #NP with EXT as given.
pub(super) fn available(m: &mut Memory, cpu: &Cpu, selector: u16, ext: u32) -> Result<Found, Fault> {
    let report = Report { fault: gp, ext };
    if selector & 4 != 0 {
        return Err(report.of(selector));
    }
    let found = report.find(m, cpu, selector)?;
    if !matches!(found.system(), Some(kind::TSS16 | kind::TSS32)) {
        return Err(report.of(selector));
    }
    if !found.has(Attributes::P) {
        return Err(report.absent(selector));
    }
    Ok(found)
}

/// The TSS that IRET goes back to, which the one at hand links to: in the GDT, busy, present.
pub(super) fn linked(m: &mut Memory, cpu: &Cpu) -> Result<Found, Fault> {
    let selector = m.load(cpu, cpu.sys.tr.base, 2, Who::System)? as u16;
    let error = ts(code_of(selector));
    let busy = |t| t == kind::TSS16 | kind::BUSY || t == kind::TSS32 | kind::BUSY;
    let found = match selector & 4 {
        0 => find(m, cpu, selector)?.ok_or(error)?,
        _ => return Err(error),
    };
    if !found.system().is_some_and(busy) {
        return Err(error);
    }
    if !found.has(Attributes::P) {
        return Err(np(code_of(selector)));
    }
    Ok(found)
}

/// Switches to the task of a TSS. Once it is the current one, faults are of the new task: see [`Memory::late`].
///
/// # Errors
/// The fault of the old task, which has not been left.
pub fn switch(m: &mut Memory, cpu: &mut Cpu, tss: Found, by: By, left: Left) -> Result<(), Fault> {
    let ext = if let By::Interrupt(ext) = by { ext } else { 0 };
    let mut new = tss.descriptor.segment(tss.selector);
    let layout = Layout::of(new.attributes);
    if new.limit < layout.limit {
        return Err(ts(code_of(tss.selector) | ext));
    }
    let mut task = read(m, cpu, &new)?;
    let nested = matches!(by, By::Call | By::Interrupt(_));
    write(m, cpu, by, left)?;
    if nested {
        m.store(cpu, new.base, 2, cpu.sys.tr.selector.into(), Who::System)?;
        task.eflags |= eflags::NT;
    }
    change_busy(m, cpu, &tss, by)?;
    new.attributes |= kind::BUSY;
    cpu.sys.tr = new;
    m.late = begin(m, cpu, &task, ext).err();
    if m.late.is_none() && task.trap {
        m.late = Some(debug(dr6::BT));
    }
    Ok(())
}

/// The task that a TSS holds.
fn read(m: &mut Memory, cpu: &Cpu, tss: &Segment) -> Result<Task, Fault> {
    let layout = Layout::of(tss.attributes);
    let wide = layout.size == 4;
    let mut load = |at: u64, size: u8| m.load(cpu, tss.base.wrapping_add(at) & 0xffff_ffff, size, Who::System);
    let mut task = Task {
        cr3: wide.then(|| load(CR3, 4)).transpose()?,
        eip: load(layout.eip, layout.size)?,
        eflags: load(layout.eip + u64::from(layout.size), layout.size)? as u32,
        ldt: load(layout.ldt(), 2)? as u16,
        trap: wide && load(TRAP, 1)? & 1 != 0,
        ..Task::default()
    };
    for (n, reg) in task.regs.iter_mut().enumerate() {
        // Of 16 bits: as processors do, the manual leaves it open.
        let high = if wide { 0 } else { 0xffff_0000 };
        *reg = load(layout.reg(n), layout.size)? | high;
    }
    for (n, selector) in task.selectors.iter_mut().enumerate().take(layout.segments) {
        *selector = load(layout.segment(n), 2)? as u16;
    }
    Ok(task)
}

/// Writes the old task into its TSS.
fn write(m: &mut Memory, cpu: &Cpu, by: By, left: Left) -> Result<(), Fault> {
    let tss = &cpu.sys.tr;
    let layout = Layout::of(tss.attributes);
    let size = layout.size;
    let back = by == By::Return;
    let flags = if back { left.eflags & !eflags::NT } else { left.eflags };
    let mut store =
        |at: u64, size: u8, value: u64| m.store(cpu, tss.base.wrapping_add(at) & 0xffff_ffff, size, value, Who::System);
    store(layout.eip, size, left.rip)?;
    store(layout.eip + u64::from(size), size, flags.into())?;
    for (n, &reg) in cpu.regs.iter().take(8).enumerate() {
        store(layout.reg(n), size, reg)?;
    }
    for (n, segment) in cpu.segments.iter().enumerate().take(layout.segments) {
        store(layout.segment(n), 2, segment.selector.into())?;
    }
    Ok(())
}

/// The old task's TSS is busy no more, unless it is to be gone back to; the new one's is (table 7-2).
fn change_busy(m: &mut Memory, cpu: &Cpu, tss: &Found, by: By) -> Result<(), Fault> {
    let busy = kind::BUSY as u8;
    let old = cpu.sys.gdtr.base.wrapping_add((cpu.sys.tr.selector & !7).into());
    let (old, new) = (old.wrapping_add(5), tss.at.wrapping_add(5));
    // Both can be written, or neither is.
    m.clear(cpu, old, 0)?;
    m.clear(cpu, new, 0)?;
    if by != By::Return && m.set(cpu, new, busy, busy)? & busy != 0 {
        return Err(gp(code_of(tss.selector)));
    }
    if matches!(by, By::Jump | By::Return) {
        m.clear(cpu, old, busy)?;
    }
    Ok(())
}

/// Takes up the task: all registers, then the descriptors that they name.
fn begin(m: &mut Memory, cpu: &mut Cpu, task: &Task, ext: u32) -> Result<(), Fault> {
    let s = &mut cpu.sys;
    s.cr0 |= cr0::TS;
    s.dr7 &= !dr7::LOCAL;
    m.effects.add(Effects {
        traps: true,
        flush: None,
    });
    for (reg, &value) in cpu.regs.iter_mut().zip(&task.regs) {
        *reg = value;
    }
    let [_, code, ..] = task.selectors;
    let is_8086 = task.eflags & eflags::VM != 0;
    let cpl = if is_8086 { 3 } else { rpl(code) };
    for (segment, &selector) in cpu.segments.iter_mut().zip(&task.selectors) {
        *segment = if is_8086 {
            virtual_8086(selector)
        } else {
            Segment {
                selector,
                ..Segment::default()
            }
        };
    }
    cpu.sys.ldtr = Segment {
        selector: task.ldt,
        ..Segment::default()
    };
    cpu.set_eflags(task.eflags);
    cpu.settle_at(cpl);
    cpu.set_rip(task.eip);
    if let Some(cr3) = task.cr3.filter(|_| cpu.sys.cr0 & cr0::PG != 0) {
        control::load_cr3(m, cpu, cr3)?;
    }
    cpu.sys.ldtr = local_table(m, cpu, task.ldt, ext)?;
    if !is_8086 {
        load_segments(m, cpu, task, cpl, ext)?;
    }
    check_target(cpu, cpu.segment(number::CS), task.eip, ext)
}

fn local_table(m: &mut Memory, cpu: &Cpu, selector: u16, ext: u32) -> Result<Segment, Fault> {
    let null = Segment {
        selector,
        ..Segment::default()
    };
    if is_null(selector) {
        return Ok(null);
    }
    let report = Report { fault: ts, ext };
    let found = match selector & 4 {
        0 => report.find(m, cpu, selector)?,
        _ => return Err(report.of(selector)),
    };
    if found.system() != Some(kind::LDT) || !found.has(Attributes::P) {
        return Err(report.of(selector));
    }
    Ok(found.descriptor.segment(selector))
}

/// Loads segment registers, checked as table 7-1 says.
fn load_segments(m: &mut Memory, cpu: &mut Cpu, task: &Task, cpl: u8, ext: u32) -> Result<(), Fault> {
    let report = Report { fault: ts, ext };
    let [_, code, ss, ..] = task.selectors;
    let found = report.find(m, cpu, code)?;
    let fits = match found.is_conforming() {
        true => found.dpl() <= cpl,
        false => found.is_code() && found.dpl() == cpl,
    };
    if !fits {
        return Err(report.of(code));
    }
    if !found.has(Attributes::P) {
        return Err(report.absent(code));
    }
    let code = found.load(m, cpu, code)?;
    enter(cpu, code, task.eip, cpl);
    *cpu.segment_mut(number::SS) = stack(m, cpu, ss, cpl, report)?;
    cpu.settle();
    for n in [number::DS, number::ES, number::FS, number::GS] {
        let selector = cpu.segment(n).selector;
        *cpu.segment_mut(n) = data(m, cpu, selector, cpl, report)?;
        cpu.settle();
    }
    Ok(())
}
