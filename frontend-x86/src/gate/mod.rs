//! Transfers of control between segments, levels and tasks (SDM 3, chapters 5, 6 and 7), and the stacks that they use.

mod far;
mod fast;
mod interrupt;
mod iret;
mod task;
#[cfg(test)]
mod tests;

pub use far::{call_far, jmp_far, ret_far};
pub use fast::{swapgs, syscall, sysenter, sysexit, sysret};
pub use interrupt::deliver;
pub use iret::iret;
use task::{By, Left, switch};

use crate::fault::{ss, ts};
use crate::memory::Memory;
use crate::mmu::{Who, is_valid};
use crate::segment::{Report, code_of, is_long, null_stack, stack};
use crate::state::{Attributes, Cpu, Segment, mode, number};
use emu_ir::Fault;

/// RSP's number.
const RSP: usize = 4;

/// A gate (SDM 3, figures 5-8, 6-2 and 6-8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gate {
    /// Its type.
    pub kind: u16,
    pub selector: u16,
    pub offset: u64,
    /// Bits 4:0 of its fifth byte: how many parameters, or the interrupt stack.
    pub count: u8,
}

impl Gate {
    /// Of a descriptor, with the upper half that long mode's have.
    pub fn of(descriptor: u64, upper: u64) -> Gate {
        let kind = (descriptor >> 40 & 15) as u16;
        let high = if is_wide(kind) {
            descriptor >> 32 & 0xffff_0000 | upper << 32
        } else {
            0
        };
        Gate {
            kind,
            selector: (descriptor >> 16) as u16,
            offset: descriptor & 0xffff | high,
            count: (descriptor >> 32 & 0x1f) as u8,
        }
    }
    /// Bytes of what is pushed.
    pub fn size(&self, long: bool) -> u8 {
        match (long, is_wide(self.kind)) {
            (true, _) => 8,
            (false, true) => 4,
            (false, false) => 2,
        }
    }
}

/// Whether a gate or TSS has 32 bits.
const fn is_wide(kind: u16) -> bool {
    kind & 8 != 0
}

/// A stack on which a frame is built, or taken from; RSP changes when all is well ([`Stack::keep`]).
#[derive(Clone, Copy, Debug)]
pub(super) struct Stack {
    base: u64,
    read: [u32; 2],
    write: [u32; 2],
    pub pointer: u64,
    /// The bits of the pointer that count.
    mask: u64,
    who: Who,
    /// The error code of #SS.
    code: u32,
}

impl Stack {
    /// The stack at hand; `code`: of #SS.
    pub fn current(cpu: &Cpu, code: u32) -> Stack {
        let long = cpu.mode & mode::CODE64 != 0;
        Stack::of(
            cpu.segment(number::SS),
            cpu.regs[RSP],
            long,
            Who::Level(cpu.cpl()),
            code,
        )
    }
    /// Another one; `long`: of 64-bit mode.
    pub fn of(segment: &Segment, pointer: u64, long: bool, who: Who, code: u32) -> Stack {
        let bounds = segment.bounds();
        let mask = match (long, segment.has(Attributes::DB)) {
            (true, _) => u64::MAX,
            (false, true) => 0xffff_ffff,
            (false, false) => 0xffff,
        };
        Stack {
            base: if long { 0 } else { segment.base },
            read: bounds.read,
            write: bounds.write,
            pointer,
            mask,
            who,
            code,
        }
    }
    /// The linear address of an offset, if all bytes there may be accessed.
    fn linear(&self, cpu: &Cpu, offset: u64, size: u8, [first, last]: [u32; 2]) -> Result<u64, Fault> {
        let end = offset.wrapping_add(u64::from(size) - 1);
        let linear = self.base.wrapping_add(offset);
        let (inside, linear) = if self.mask == u64::MAX {
            (is_valid(cpu, offset) && is_valid(cpu, end), linear)
        } else {
            (offset >= first.into() && end <= last.into(), linear & 0xffff_ffff)
        };
        if inside { Ok(linear) } else { Err(ss(self.code)) }
    }
    /// Pushes a value of 2, 4 or 8 bytes.
    pub fn push(&mut self, m: &mut Memory, cpu: &Cpu, size: u8, value: u64) -> Result<(), Fault> {
        let offset = self.pointer.wrapping_sub(size.into()) & self.mask;
        let at = self.linear(cpu, offset, size, self.write)?;
        m.store(cpu, at, size, value, self.who)?;
        self.pointer = self.pointer & !self.mask | offset;
        Ok(())
    }
    /// Pops one.
    pub fn pop(&mut self, m: &mut Memory, cpu: &Cpu, size: u8) -> Result<u64, Fault> {
        let value = self.peek(m, cpu, 0, size)?;
        self.skip(size.into());
        Ok(value)
    }
    /// What is so many bytes above the top.
    pub fn peek(&self, m: &mut Memory, cpu: &Cpu, above: u64, size: u8) -> Result<u64, Fault> {
        let offset = self.pointer.wrapping_add(above) & self.mask;
        let at = self.linear(cpu, offset, size, self.read)?;
        m.load(cpu, at, size, self.who)
    }
    /// Leaves out bytes.
    pub fn skip(&mut self, bytes: u64) {
        self.pointer = self.pointer & !self.mask | self.pointer.wrapping_add(bytes) & self.mask;
    }
    /// The pointer is kept in RSP.
    pub fn keep(&self, cpu: &mut Cpu) {
        cpu.regs[RSP] = if self.mask == 0xffff_ffff {
            self.pointer & self.mask
        } else {
            self.pointer
        };
    }
}

/// The stack of an inner level, as the TSS has it (SDM 3, 5.8.5 and 6.14.2).
pub(super) fn inner(m: &mut Memory, cpu: &Cpu, cpl: u8, ext: u32) -> Result<(Segment, u64), Fault> {
    let tr = &cpu.sys.tr;
    let level = u64::from(cpl);
    if is_long(cpu) {
        let pointer = of_task(m, cpu, 4 + 8 * level, 8, ext)?;
        return Ok((null_stack(cpl.into(), cpl), pointer));
    }
    let (at, size) = if is_wide(tr.attributes & Attributes::TYPE) {
        (4 + 8 * level, 4)
    } else {
        (2 + 4 * level, 2)
    };
    let selector = of_task(m, cpu, at + u64::from(size), 2, ext)? as u16;
    let pointer = of_task(m, cpu, at, size, ext)?;
    let report = Report { fault: ts, ext };
    let segment = stack(m, cpu, selector, cpl, report)?;
    Ok((segment, pointer))
}

/// Something in the TSS at hand; #TS where that ends before.
fn of_task(m: &mut Memory, cpu: &Cpu, offset: u64, size: u8, ext: u32) -> Result<u64, Fault> {
    let tr = &cpu.sys.tr;
    if offset + u64::from(size) - 1 > tr.limit.into() {
        return Err(ts(code_of(tr.selector) | ext));
    }
    m.load(cpu, tr.base.wrapping_add(offset), size, Who::System)
}

/// The error code of a stack segment.
fn stack_code(segment: &Segment, ext: u32) -> u32 {
    code_of(segment.selector) | ext
}
