//! System management mode (SDM 3, chapter 32; APM 2, chapter 10).
//!
//! The state is saved as AMD64's processors save it, from FE00h of SMBASE + 8000h on, on every model: it is what QEMU's default
//! CPU has and firmware for QEMU's machines expects, and its revision identifier says so to who reads it.

use crate::control;
use crate::fault::{GIVE_UP, UD};
use crate::memory::{Effects, Memory};
use crate::mmu::physical;
use crate::state::bits::{cr0, dr7, efer, eflags};
use crate::state::{Attributes, Cpu, Segment, mode, number, pending};
use emu_ir::{Fault, Flush};

/// AMD64's layout, and SMBASE can be moved.
const REVISION: u64 = 0x2_0064;

/// Where things are from SMBASE on (APM 2, table 10-1).
#[allow(missing_docs)]
mod at {
    pub const SEGMENTS: u64 = 0xfe00;
    pub const GDTR: u64 = 0xfe60;
    pub const LDTR: u64 = 0xfe70;
    pub const IDTR: u64 = 0xfe80;
    pub const TR: u64 = 0xfe90;
    pub const AUTO_HALT: u64 = 0xfec9;
    pub const EFER: u64 = 0xfed0;
    pub const REVISION: u64 = 0xfefc;
    pub const SMBASE: u64 = 0xff00;
    pub const CR4: u64 = 0xff48;
    pub const CR3: u64 = 0xff50;
    pub const CR0: u64 = 0xff58;
    pub const DR7: u64 = 0xff60;
    pub const DR6: u64 = 0xff68;
    pub const RFLAGS: u64 = 0xff70;
    pub const RIP: u64 = 0xff78;
    /// R15; RAX is last.
    pub const REGS: u64 = 0xff80;
}

/// The entry to SMRAM of a CPU.
struct Area<'m, 'b> {
    m: &'m mut Memory<'b>,
    cpu: Cpu,
}

impl Area<'_, '_> {
    fn put(&mut self, at: u64, size: u8, value: u64) {
        let phys = physical(&self.cpu, self.cpu.sys.smbase.wrapping_add(at));
        let _ = self.m.bus().store(phys, size, value);
    }
    fn get(&mut self, at: u64, size: u8) -> u64 {
        let phys = physical(&self.cpu, self.cpu.sys.smbase.wrapping_add(at));
        self.m.bus().load(phys, size).unwrap_or(u64::MAX)
    }
    fn put_segment(&mut self, at: u64, s: &Segment) {
        self.put(at, 2, s.selector.into());
        self.put(at + 2, 2, s.attributes.into());
        self.put(at + 4, 4, s.limit.into());
        self.put(at + 8, 8, s.base);
    }
    fn get_segment(&mut self, at: u64) -> Segment {
        Segment {
            selector: self.get(at, 2) as u16,
            attributes: self.get(at + 2, 2) as u16 & 0xfff,
            limit: self.get(at + 4, 4) as u32,
            base: self.get(at + 8, 8),
        }
    }
}

/// Enters it: a system management interrupt. Not while in it already: whether it was taken.
pub fn enter(m: &mut Memory, cpu: &mut Cpu) -> bool {
    if cpu.mode & mode::SMM != 0 {
        return false;
    }
    save(m, cpu);
    let s = &mut cpu.sys;
    let blocked = s.pending & pending::NMI_BLOCKED != 0;
    s.pending |= pending::NMI_BLOCKED | if blocked { pending::NMI_BLOCKED_BEFORE_SMM } else { 0 };
    s.pending &= !pending::HALTED;
    s.cr0 &= !(cr0::PE | cr0::EM | cr0::TS | cr0::PG);
    (s.cr4, s.efer, s.dr7) = (0, 0, dr7::FIXED);
    let smbase = s.smbase;
    let data = Segment {
        limit: u32::MAX,
        attributes: Segment::real(0).attributes | Attributes::G,
        ..Segment::default()
    };
    cpu.segments = [data; 6];
    *cpu.segment_mut(number::CS) = Segment {
        base: smbase,
        selector: (smbase >> 4) as u16,
        ..data
    };
    cpu.mode = (cpu.mode | mode::SMM) & !mode::SHADOW;
    cpu.set_eflags(0);
    cpu.settle_at(0);
    cpu.set_rip(0x8000);
    m.effects.add(all());
    true
}

const fn all() -> Effects {
    Effects {
        flush: Some(Flush::ALL),
        traps: true,
    }
}

fn save(m: &mut Memory, cpu: &Cpu) {
    let mut area = Area { m, cpu: *cpu };
    area.cpu.mode |= mode::SMM;
    for (n, segment) in cpu.segments.iter().enumerate() {
        area.put_segment(at::SEGMENTS + 16 * n as u64, segment);
    }
    let s = &cpu.sys;
    for (at, table) in [(at::GDTR, &s.gdtr), (at::IDTR, &s.idtr)] {
        area.put(at + 4, 4, table.limit);
        area.put(at + 8, 8, table.base);
    }
    area.put_segment(at::LDTR, &s.ldtr);
    area.put_segment(at::TR, &s.tr);
    let halted = u64::from(s.pending & pending::HALTED != 0);
    area.put(at::AUTO_HALT, 1, halted);
    area.put(at::REVISION, 4, REVISION);
    area.put(at::SMBASE, 4, s.smbase);
    for (at, value) in [
        (at::EFER, s.efer),
        (at::CR4, s.cr4),
        (at::CR3, s.cr3),
        (at::CR0, s.cr0),
        (at::DR7, s.dr7),
        (at::DR6, s.dr6),
        (at::RFLAGS, cpu.eflags().into()),
        (at::RIP, cpu.rip()),
    ] {
        area.put(at, 8, value);
    }
    for (n, &value) in cpu.regs.iter().rev().enumerate() {
        area.put(at::REGS + 8 * n as u64, 8, value);
    }
}

/// RSM.
///
/// # Errors
/// #UD outside of the mode; the processor shuts down where the area holds what no processor can (SDM 3, 32.4.1 and 32.5).
pub fn rsm(m: &mut Memory, cpu: &mut Cpu) -> Result<(), Fault> {
    if cpu.mode & mode::SMM == 0 {
        return Err(UD);
    }
    let mut next = restored(m, cpu);
    let s = &mut next.sys;
    let set = |bit| s.cr0 & bit != 0;
    let impossible = set(cr0::PG) && !set(cr0::PE) || set(cr0::NW) && !set(cr0::CD) || s.cr0 >> 32 != 0;
    let long = s.efer & efer::LME != 0 && set(cr0::PG);
    if impossible || !control::can_hold_cr4(m.model, s.cr4, long) {
        return Err(GIVE_UP);
    }
    let in_nmi = s.pending & pending::NMI_BLOCKED_BEFORE_SMM != 0;
    s.pending &= !pending::NMI_BLOCKED_BEFORE_SMM;
    if !in_nmi {
        s.pending &= !pending::NMI_BLOCKED;
    }
    let (rip, flags) = {
        let mut area = Area { m, cpu: *cpu };
        (area.get(at::RIP, 8), area.get(at::RFLAGS, 8) as u32)
    };
    let is_virtual = flags & eflags::VM != 0;
    let cpl = match (next.sys.cr0 & cr0::PE != 0, is_virtual) {
        (false, _) => 0,
        (true, true) => 3,
        (true, false) => next.segment(number::SS).dpl(),
    };
    next.mode &= !mode::SMM;
    next.set_eflags(flags);
    next.settle_at(cpl);
    next.set_rip(rip);
    let cr3 = next.sys.cr3;
    control::load_cr3(m, &mut next, cr3).map_err(|_| GIVE_UP)?;
    *cpu = next;
    m.effects.add(all());
    Ok(())
}

/// The CPU with the registers that are saved, but for RFLAGS and RIP.
fn restored(m: &mut Memory, cpu: &Cpu) -> Cpu {
    let mut next = *cpu;
    let mut area = Area { m, cpu: *cpu };
    for (n, segment) in next.segments.iter_mut().enumerate() {
        *segment = area.get_segment(at::SEGMENTS + 16 * n as u64);
    }
    for (n, value) in next.regs.iter_mut().rev().enumerate() {
        *value = area.get(at::REGS + 8 * n as u64, 8);
    }
    let s = &mut next.sys;
    for (at, table) in [(at::GDTR, &mut s.gdtr), (at::IDTR, &mut s.idtr)] {
        table.limit = area.get(at + 4, 4) & 0xffff;
        table.base = area.get(at + 8, 8);
    }
    s.ldtr = area.get_segment(at::LDTR);
    s.tr = area.get_segment(at::TR);
    for (at, value) in [
        (at::EFER, &mut s.efer),
        (at::CR4, &mut s.cr4),
        (at::CR3, &mut s.cr3),
        (at::CR0, &mut s.cr0),
        (at::DR7, &mut s.dr7),
        (at::DR6, &mut s.dr6),
    ] {
        *value = area.get(at, 8);
    }
    if area.get(at::AUTO_HALT, 1) & 1 != 0 {
        s.pending |= pending::HALTED;
    }
    s.smbase = area.get(at::SMBASE, 4);
    next
}

#[cfg(test)]
mod tests;
