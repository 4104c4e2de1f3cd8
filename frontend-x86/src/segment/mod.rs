//! Descriptors in their tables, and segment registers that are loaded with selectors (SDM 3, 3.4, 3.5 and chapter 5; SDM 2,
//! MOV, POP, LDS).

mod query;
mod tables;
#[cfg(test)]
mod tests;

pub use query::{arpl, lar, lsl, verr, verw};
pub use tables::{lgdt, lidt, lldt, ltr, may_store};

use crate::fault::{code, gp, np, ss};
use crate::memory::Memory;
use crate::mmu::{Who, is_valid};
use crate::state::bits::efer;
use crate::state::{Attributes, Cpu, Descriptor, Segment, mode, number};
use emu_ir::Fault;

/// Types of descriptors of the system (SDM 3, table 3-2).
#[allow(missing_docs)]
pub mod kind {
    pub const TSS16: u16 = 1;
    pub const LDT: u16 = 2;
    pub const BUSY: u16 = 2;
    pub const CALL16: u16 = 4;
    pub const TASK: u16 = 5;
    pub const INT16: u16 = 6;
    pub const TRAP16: u16 = 7;
    pub const TSS32: u16 = 9;
    pub const CALL32: u16 = 12;
    pub const INT32: u16 = 14;
    pub const TRAP32: u16 = 15;
}

/// Whether a selector names no segment.
pub const fn is_null(selector: u16) -> bool {
    selector & !3 == 0
}
/// The error code of a selector.
pub const fn code_of(selector: u16) -> u32 {
    selector as u32 & code::SELECTOR
}
/// The requested privilege level of a selector.
pub const fn rpl(selector: u16) -> u8 {
    (selector & 3) as u8
}
/// Long mode is active.
pub const fn is_long(cpu: &Cpu) -> bool {
    cpu.sys.efer & efer::LMA != 0
}
/// Whether segments are those of real or virtual 8086 mode.
pub const fn is_8086(cpu: &Cpu) -> bool {
    cpu.mode & mode::PROTECTED == 0 || cpu.mode & mode::VIRTUAL != 0
}

/// A descriptor in its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its linear address.
    pub at: u64,
    /// What it is.
    pub descriptor: Descriptor,
    /// The selector that it was found by.
    pub selector: u16,
}

impl Found {
    /// [`Segment::attributes`] of it.
    pub fn attributes(&self) -> u16 {
        self.descriptor.attributes()
    }
    /// Whether it has attributes.
    pub fn has(&self, attributes: u16) -> bool {
        self.attributes() & attributes == attributes
    }
    /// Its privilege level.
    pub fn dpl(&self) -> u8 {
        (self.attributes() >> Attributes::DPL_SHIFT & 3) as u8
    }
    /// Its type, if it is one of the system.
    pub fn system(&self) -> Option<u16> {
        (!self.has(Attributes::S)).then_some(self.attributes() & Attributes::TYPE)
    }
    /// Code.
    pub fn is_code(&self) -> bool {
        self.has(Attributes::S | Attributes::CODE)
    }
    /// Code that takes on its caller's privilege.
    pub fn is_conforming(&self) -> bool {
        self.is_code() && self.has(Attributes::CONFORMING)
    }
    /// Data, or code that can be read.
    pub fn is_readable(&self) -> bool {
        self.has(Attributes::S) && (!self.is_code() || self.has(Attributes::READABLE))
    }
    /// Data that can be written.
    pub fn is_writable(&self) -> bool {
        self.has(Attributes::S | Attributes::WRITABLE) && !self.is_code()
    }
    /// Whether levels may have access to it: data and code that does not conform must be at none above either.
    pub fn is_open_to(&self, cpl: u8) -> bool {
        self.is_conforming() || self.dpl() >= cpl && self.dpl() >= rpl(self.selector)
    }
    /// A register that is loaded with it; the descriptor is marked as accessed.
    ///
    /// # Errors
    /// The fault of marking it.
    pub fn load(&self, m: &mut Memory, cpu: &Cpu, selector: u16) -> Result<Segment, Fault> {
        if !self.has(Attributes::ACCESSED) {
            m.set(cpu, self.at.wrapping_add(5), Attributes::ACCESSED as u8, 0)?;
        }
        let mut segment = self.descriptor.segment(selector);
        segment.attributes |= Attributes::ACCESSED;
        Ok(segment)
    }
}

/// The descriptor that a selector names; `None` where its table has none.
///
/// # Errors
/// The fault of reading it.
pub fn find(m: &mut Memory, cpu: &Cpu, selector: u16) -> Result<Option<Found>, Fault> {
    let (base, limit) = if selector & 4 == 0 {
        (cpu.sys.gdtr.base, cpu.sys.gdtr.limit)
    } else if cpu.sys.ldtr.has(Attributes::P) {
        (cpu.sys.ldtr.base, cpu.sys.ldtr.limit.into())
    } else {
        return Ok(None);
    };
    let offset = u64::from(selector & !7);
    if offset + 7 > limit {
        return Ok(None);
    }
    let at = base.wrapping_add(offset);
    let descriptor = Descriptor(m.load(cpu, at, 8, Who::System)?);
    Ok(Some(Found {
        at,
        descriptor,
        selector,
    }))
}

/// The upper half of a descriptor of 16 bytes, as the gates and system segments of long mode have them; `None` where its
/// table ends before, or where it is none, as the type there is not 0.
///
/// # Errors
/// The fault of reading it.
pub fn upper(m: &mut Memory, cpu: &Cpu, found: &Found) -> Result<Option<u64>, Fault> {
    let Some(next) = found.selector.checked_add(8) else {
        return Ok(None);
    };
    let upper = find(m, cpu, next)?.map(|upper| upper.descriptor.0);
    Ok(upper.filter(|upper| upper >> 40 & 0x1f == 0))
}

/// How a bad selector is reported: [`gp`] or [`crate::fault::ts`], with EXT or without.
#[derive(Clone, Copy)]
pub struct Report {
    /// The exception.
    pub fault: fn(u32) -> Fault,
    /// [`code::EXT`], or 0.
    pub ext: u32,
}

impl Report {
    /// #GP, of an instruction.
    pub const GP: Report = Report { fault: gp, ext: 0 };

    /// For a selector.
    pub fn of(self, selector: u16) -> Fault {
        (self.fault)(code_of(selector) | self.ext)
    }
    /// Its segment is not present.
    pub fn absent(self, selector: u16) -> Fault {
        np(code_of(selector) | self.ext)
    }
    /// Its stack segment is not present.
    pub fn absent_stack(self, selector: u16) -> Fault {
        ss(code_of(selector) | self.ext)
    }
    /// The descriptor that it must name.
    ///
    /// # Errors
    /// This, for a null selector with index 0; the fault of reading it.
    pub fn find(self, m: &mut Memory, cpu: &Cpu, selector: u16) -> Result<Found, Fault> {
        if is_null(selector) {
            return Err((self.fault)(self.ext));
        }
        find(m, cpu, selector)?.ok_or_else(|| self.of(selector))
    }
}

/// A stack segment for a level (SDM 2, MOV and RET; SDM 3, 5.7).
///
/// # Errors
/// As `report` says; #SS where it is not present.
pub fn stack(m: &mut Memory, cpu: &Cpu, selector: u16, cpl: u8, report: Report) -> Result<Segment, Fault> {
    let found = report.find(m, cpu, selector)?;
    if rpl(selector) != cpl || found.dpl() != cpl || !found.is_writable() {
        return Err(report.of(selector));
    }
    if !found.has(Attributes::P) {
        return Err(report.absent_stack(selector));
    }
    found.load(m, cpu, selector)
}

/// SS without a segment, as 64-bit mode has it (SDM 3, 5.4.1.1).
pub fn null_stack(selector: u16, cpl: u8) -> Segment {
    Segment {
        selector,
        attributes: u16::from(cpl) << Attributes::DPL_SHIFT,
        ..Segment::default()
    }
}

/// A register of data (DS, ES, FS, GS).
///
/// # Errors
/// As `report` says; #NP where it is not present.
pub fn data(m: &mut Memory, cpu: &Cpu, selector: u16, cpl: u8, report: Report) -> Result<Segment, Fault> {
    if is_null(selector) {
        return Ok(Segment {
            selector,
            ..Segment::default()
        });
    }
    let found = report.find(m, cpu, selector)?;
    if !found.is_readable() || !found.is_open_to(cpl) {
        return Err(report.of(selector));
    }
    if !found.has(Attributes::P) {
        return Err(report.absent(selector));
    }
    found.load(m, cpu, selector)
}

/// A segment of virtual 8086 mode (SDM 3, 21.2).
pub const fn virtual_8086(selector: u16) -> Segment {
    let real = Segment::real(selector);
    Segment {
        attributes: real.attributes | Attributes::DPL,
        ..real
    }
}

/// A register as real or virtual 8086 mode loads it. In real mode its limit stays what it was, and so does what it may be
/// used for: that is how real mode comes to segments of 4 GiB.
pub fn of_8086(cpu: &Cpu, n: u8, selector: u16) -> Segment {
    if cpu.mode & mode::PROTECTED != 0 {
        return virtual_8086(selector);
    }
    let before = cpu.segment(n);
    if !before.is_usable() {
        return Segment::real(selector);
    }
    let size = before.attributes & (Attributes::DB | Attributes::G);
    let attributes = match n {
        // A far jump makes it a segment of real mode (SDM 3, 9.9.2).
        number::CS => Segment::real(0).attributes | size,
        _ => before.attributes,
    };
    Segment {
        base: u64::from(selector) << 4,
        limit: before.limit,
        selector,
        attributes,
    }
}

/// Loads a segment register other than CS: MOV, POP, LDS and the like.
///
/// # Errors
/// The fault of a selector that it cannot be loaded with.
pub fn load(m: &mut Memory, cpu: &mut Cpu, n: u8, selector: u16) -> Result<(), Fault> {
    let cpl = cpu.cpl();
    let segment = if is_8086(cpu) {
        of_8086(cpu, n, selector)
    } else if n == number::SS && is_null(selector) && cpu.mode & mode::CODE64 != 0 && cpl < 3 && rpl(selector) == cpl {
        null_stack(selector, cpl)
    } else if n == number::SS {
        stack(m, cpu, selector, cpl, Report::GP)?
    } else if is_null(selector) && m.model.amd {
        // AMD's leave the base, which 64-bit code sees of FS and GS, until those that CPUID 80000021H says it of (APM 2, 4.5.3).
        Segment {
            base: cpu.segment(n).base,
            selector,
            ..Segment::default()
        }
    } else {
        data(m, cpu, selector, cpl, Report::GP)?
    };
    *cpu.segment_mut(n) = segment;
    cpu.settle_segment(n);
    Ok(())
}

/// Data registers that a return to an outer level must not keep are made null (SDM 2, RET). One that is null already keeps
/// its base, but not the RPL of its selector.
pub fn drop_inner(cpu: &mut Cpu, cpl: u8) {
    for n in [number::ES, number::DS, number::FS, number::GS] {
        let s = cpu.segment_mut(n);
        let before = *s;
        let conforms = s.is_code() && s.has(Attributes::CONFORMING);
        if s.has(Attributes::S) && !conforms && s.dpl() < cpl {
            *s = Segment::default();
        } else if is_null(s.selector) {
            s.selector = 0;
        }
        if *s != before {
            cpu.settle_segment(n);
        }
    }
}

/// Whether execution may go on at an offset of a code segment.
///
/// # Errors
/// #GP with EXT or 0: it is above the limit, or not canonical.
pub fn check_target(cpu: &Cpu, code: &Segment, offset: u64, ext: u32) -> Result<(), Fault> {
    let inside = if is_long(cpu) && code.has(Attributes::L) {
        is_valid(cpu, offset)
    } else {
        offset <= code.limit.into()
    };
    if inside { Ok(()) } else { Err(gp(ext)) }
}

/// Goes on in a code segment at a level.
pub fn enter(cpu: &mut Cpu, code: Segment, offset: u64, cpl: u8) {
    *cpu.segment_mut(number::CS) = code;
    cpu.settle_at(cpl);
    cpu.set_rip(offset);
}
/// The same where, besides CS, no more than SS and EFLAGS may have changed.
pub fn enter_by_code(cpu: &mut Cpu, code: Segment, offset: u64, cpl: u8) {
    *cpu.segment_mut(number::CS) = code;
    cpu.settle_code_at(cpl);
    cpu.set_rip(offset);
}
