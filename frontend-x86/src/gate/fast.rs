//! Fast system calls (SDM 2, SYSENTER, SYSEXIT, SYSCALL, SYSRET, SWAPGS; APM 3, SYSCALL, SYSRET).

use super::RSP;
use crate::fault::{UD, gp};
use crate::mmu::is_valid;
use crate::model::Model;
use crate::segment::{enter_by_code, is_8086, is_long};
use crate::state::bits::{efer, eflags};
use crate::state::{Attributes, Cpu, Segment, mode, number};
use emu_ir::Fault;

const RCX: usize = 1;
const RDX: usize = 2;
const R11: usize = 11;

/// A flat segment of 4 GiB, whatever its descriptor is.
fn flat(selector: u16, cpl: u8, more: u16) -> Segment {
    let level = u16::from(cpl) << Attributes::DPL_SHIFT;
    Segment {
        base: 0,
        limit: u32::MAX,
        selector: selector & !3 | u16::from(cpl),
        attributes: Attributes::P | Attributes::S | Attributes::ACCESSED | Attributes::G | level | more,
    }
}
fn code(selector: u16, cpl: u8, code64: bool) -> Segment {
    let size = if code64 { Attributes::L } else { Attributes::DB };
    flat(selector, cpl, Attributes::CODE | Attributes::READABLE | size)
}
fn data(selector: u16, cpl: u8) -> Segment {
    flat(selector, cpl, Attributes::WRITABLE | Attributes::DB)
}

fn is_code64(cpu: &Cpu) -> bool {
    cpu.mode & mode::CODE64 != 0
}

/// SYSENTER.
///
/// # Errors
/// #GP(0) in real mode, or where IA32_SYSENTER_CS names no segment; #UD in long mode on AMD's.
pub fn sysenter(cpu: &mut Cpu, model: &Model) -> Result<(), Fault> {
    if model.amd && is_long(cpu) {
        return Err(UD);
    }
    let selector = cpu.sys.sysenter_cs as u16;
    if cpu.mode & mode::PROTECTED == 0 || selector & !3 == 0 {
        return Err(gp(0));
    }
    let long = is_long(cpu);
    let mask = if long { u64::MAX } else { 0xffff_ffff };
    cpu.eflags &= !(eflags::VM | eflags::IF | eflags::RF);
    *cpu.segment_mut(number::SS) = data(selector.wrapping_add(8), 0);
    cpu.regs[RSP] = cpu.sys.sysenter_esp & mask;
    let to = cpu.sys.sysenter_eip & mask;
    enter_by_code(cpu, code(selector, 0, long), to, 0);
    Ok(())
}

/// SYSEXIT with an operand size of 4 or 8 bytes.
///
/// # Errors
/// #GP(0) above level 0, and as [`sysenter`]; for addresses that are not canonical.
pub fn sysexit(cpu: &mut Cpu, model: &Model, operand_size: u8) -> Result<(), Fault> {
    if model.amd && is_long(cpu) {
        return Err(UD);
    }
    let selector = cpu.sys.sysenter_cs as u16;
    if cpu.mode & mode::PROTECTED == 0 || cpu.cpl() != 0 || selector & !3 == 0 {
        return Err(gp(0));
    }
    let wide = operand_size == 8;
    let (offset, mask) = if wide { (32, u64::MAX) } else { (16, 0xffff_ffff) };
    let (rip, rsp) = (cpu.regs[RDX] & mask, cpu.regs[RCX] & mask);
    if wide && !(is_valid(cpu, rip) && is_valid(cpu, rsp)) {
        return Err(gp(0));
    }
    let selector = selector.wrapping_add(offset);
    *cpu.segment_mut(number::SS) = data(selector.wrapping_add(8), 3);
    cpu.regs[RSP] = rsp;
    enter_by_code(cpu, code(selector, 3, wide), rip, 3);
    Ok(())
}

/// SYSCALL; `next`: rIP of the instruction after it. Outside of 64-bit mode only AMD's processors have it.
///
/// # Errors
/// #UD where it is not there, or off (EFER.SCE).
pub fn syscall(cpu: &mut Cpu, model: &Model, next: u64) -> Result<(), Fault> {
    let code64 = is_code64(cpu);
    let has = code64 || model.amd && !is_8086(cpu);
    if cpu.sys.efer & efer::SCE == 0 || !has {
        return Err(UD);
    }
    let selector = (cpu.sys.star >> 32) as u16;
    let long = is_long(cpu);
    cpu.regs[RCX] = next;
    let flags = cpu.eflags();
    let to = match (long, code64) {
        (true, true) => cpu.sys.lstar,
        (true, false) => cpu.sys.cstar,
        (false, _) => cpu.sys.star & 0xffff_ffff,
    };
    let cleared = if long {
        cpu.regs[R11] = (flags & !eflags::RF).into();
        cpu.sys.fmask as u32 | eflags::RF
    } else {
        eflags::IF | eflags::RF
    };
    *cpu.segment_mut(number::SS) = data(selector.wrapping_add(8), 0);
    cpu.set_eflags(flags & !cleared);
    enter_by_code(cpu, code(selector, 0, long), to, 0);
    Ok(())
}

/// SYSRET with an operand size of 4 or 8 bytes.
///
/// # Errors
/// #UD where it is not there, or off; #GP(0) above level 0, and for an address that is not canonical.
pub fn sysret(cpu: &mut Cpu, model: &Model, operand_size: u8) -> Result<(), Fault> {
    let has = is_code64(cpu) || model.amd && !is_8086(cpu);
    if cpu.sys.efer & efer::SCE == 0 || !has {
        return Err(UD);
    }
    let wide = operand_size == 8 && is_long(cpu);
    let rcx = cpu.regs[RCX];
    if cpu.cpl() != 0 || wide && !is_valid(cpu, rcx) {
        return Err(gp(0));
    }
    let base = (cpu.sys.star >> 48) as u16;
    let (selector, rip) = match wide {
        true => (base.wrapping_add(16), rcx),
        false => (base, rcx & 0xffff_ffff),
    };
    /// All flags but RF and VM (SDM 2, SYSRET).
    const FLAGS: u64 = 0x3c_7fd7;
    let flags = match is_long(cpu) {
        true => (cpu.regs[R11] & FLAGS) as u32,
        false => cpu.eflags() | eflags::IF,
    };
    *cpu.segment_mut(number::SS) = data(base.wrapping_add(8), 3);
    cpu.set_eflags(flags);
    enter_by_code(cpu, code(selector, 3, wide), rip, 3);
    Ok(())
}

/// SWAPGS.
///
/// # Errors
/// #UD outside of 64-bit mode, #GP(0) above level 0.
pub fn swapgs(cpu: &mut Cpu) -> Result<(), Fault> {
    if !is_code64(cpu) {
        return Err(UD);
    }
    if cpu.cpl() != 0 {
        return Err(gp(0));
    }
    let kernel = cpu.sys.kernel_gs_base;
    let gs = cpu.segment_mut(number::GS);
    let before = std::mem::replace(&mut gs.base, kernel);
    cpu.sys.kernel_gs_base = before;
    cpu.settle_segment(number::GS);
    Ok(())
}
