//! I/O ports (SDM 1, chapter 19 "Input/Output"; SDM 2, IN, OUT).

use super::{Answer, Arguments, run};
use crate::debug;
use crate::fault::gp;
use crate::memory::Memory;
use crate::mmu::Who;
use crate::platform::{PORTS, X86};
use crate::segment::kind;
use crate::state::bits::eflags;
use crate::state::{Attributes, Cpu, mode};
use emu_ir::{Env, Fault};

/// Whether ports may be accessed: by level, or else by the map in the task-state segment (SDM 1, 19.5).
fn check(x: &X86, s: &mut Cpu, env: &mut dyn Env, port: u16, size: u8) -> Result<(), Fault> {
    let iopl = (s.eflags & eflags::IOPL) >> eflags::IOPL_SHIFT;
    let free = s.mode & mode::VIRTUAL == 0 && u32::from(s.cpl()) <= iopl;
    if s.mode & mode::PROTECTED == 0 || free {
        return Ok(());
    }
    let allowed = run(x, s, env, |m, cpu| is_in_map(m, cpu, port, size))?;
    if allowed { Ok(()) } else { Err(gp(0)) }
}

/// Where a task-state segment says where its map is.
const MAP_BASE: u64 = 0x66;

fn is_in_map(m: &mut Memory, cpu: &Cpu, port: u16, size: u8) -> Result<bool, Fault> {
    let (tr, wide) = (&cpu.sys.tr, kind::TSS32);
    let limit = u64::from(tr.limit);
    if !tr.has(Attributes::P) || tr.attributes & wide != wide || limit < MAP_BASE + 1 {
        return Ok(false);
    }
    let map = m.load(cpu, tr.base.wrapping_add(MAP_BASE), 2, Who::System)?;
    // The processor always reads two bytes of it, so that one must follow the last.
    let at = map + u64::from(port / 8);
    if at + 1 > limit {
        return Ok(false);
    }
    let bits = m.load(cpu, tr.base.wrapping_add(at), 2, Who::System)?;
    let meant = ((1 << size) - 1) << (port % 8);
    Ok(bits & meant == 0)
}

/// What the debug registers ask for of ports that were accessed.
fn trap(s: &mut Cpu, env: &mut dyn Env, port: u16, size: u8) {
    if let Some(fault) = debug::port_trap(s, port, size) {
        debug::note(s, fault);
        env.traps_changed();
    }
}

/// [`crate::calls::MAY_ACCESS_PORT`].
pub fn may_access(x: &mut X86, s: &mut Cpu, env: &mut dyn Env, a: Arguments) -> Answer {
    check(x, s, env, a[0] as u16, a[1] as u8)?;
    Ok(0)
}
/// [`crate::calls::IN`]. Where nothing is, all bits are 1.
pub fn in_(x: &mut X86, s: &mut Cpu, env: &mut dyn Env, a: Arguments) -> Answer {
    let (port, size) = (a[0] as u16, a[1] as u8);
    check(x, s, env, port, size)?;
    let value = env.bus().load(PORTS + u64::from(port), size);
    trap(s, env, port, size);
    Ok(value.unwrap_or(u64::MAX).into())
}
/// [`crate::calls::OUT`].
pub fn out(x: &mut X86, s: &mut Cpu, env: &mut dyn Env, a: Arguments) -> Answer {
    let (port, size) = (a[0] as u16, a[1] as u8);
    check(x, s, env, port, size)?;
    let _ = env.bus().store(PORTS + u64::from(port), size, a[2] as u64);
    trap(s, env, port, size);
    Ok(0)
}
