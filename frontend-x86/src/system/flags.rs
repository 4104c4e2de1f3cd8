//! EFLAGS where privilege counts (SDM 2, CLI, STI, PUSHF, POPF, CLAC, STAC; SDM 3, 21.3 and 21.4).

use super::{Answer, Arguments};
use crate::fault::gp;
use crate::platform::X86;
use crate::state::bits::{cr4, eflags};
use crate::state::{Cpu, mode};
use emu_ir::{Env, Fault};

fn iopl(s: &Cpu) -> u8 {
    ((s.eflags & eflags::IOPL) >> eflags::IOPL_SHIFT) as u8
}
fn is_virtual(s: &Cpu) -> bool {
    s.mode & mode::VIRTUAL != 0
}

/// The interrupt flag that CLI and STI change: IF, or VIF where that stands for it (SDM 2, CLI, table "Decision Table").
fn interrupts(s: &Cpu) -> Result<u32, Fault> {
    if s.cpl() <= iopl(s) {
        return Ok(eflags::IF);
    }
    let extension = if is_virtual(s) { cr4::VME } else { cr4::PVI };
    let stands = s.cpl() == 3 && s.sys.cr4 & extension != 0;
    if stands { Ok(eflags::VIF) } else { Err(gp(0)) }
}
/// [`crate::calls::CLI`].
pub fn cli(_: &mut X86, s: &mut Cpu, _: &mut dyn Env, _: Arguments) -> Answer {
    s.eflags &= !interrupts(s)?;
    Ok(0)
}
/// [`crate::calls::STI`].
pub fn sti(_: &mut X86, s: &mut Cpu, _: &mut dyn Env, _: Arguments) -> Answer {
    let flag = interrupts(s)?;
    if flag == eflags::VIF && s.eflags & eflags::VIP != 0 {
        return Err(gp(0));
    }
    let before = s.eflags;
    s.eflags |= flag;
    Ok((flag == eflags::IF && before & eflags::IF == 0).into())
}

/// [`crate::calls::PUSHF`].
pub fn pushf(_: &mut X86, s: &mut Cpu, _: &mut dyn Env, a: Arguments) -> Answer {
    let flags = s.eflags() & !(eflags::VM | eflags::RF);
    if iopl(s) == 3 {
        return Ok(flags.into());
    }
    if s.sys.cr4 & cr4::VME == 0 || a[0] as u8 != 2 {
        return Err(gp(0));
    }
    let on = if flags & eflags::VIF != 0 { eflags::IF } else { 0 };
    Ok((flags & !eflags::IF | on | eflags::IOPL).into())
}

/// [`crate::calls::POPF`].
pub fn popf(_: &mut X86, s: &mut Cpu, env: &mut dyn Env, a: Arguments) -> Answer {
    let (popped, size) = (a[0] as u32, a[1] as u8);
    let wide = size > 2;
    let mut bits = eflags::STATUS | eflags::TF | eflags::DF | eflags::NT;
    if wide {
        bits |= eflags::AC | eflags::ID;
    }
    let (cpl, iopl) = (s.cpl(), iopl(s));
    let mut flags = s.eflags();
    if is_virtual(s) && iopl < 3 {
        let on = popped & eflags::IF != 0;
        let pending = on && flags & eflags::VIP != 0;
        if s.sys.cr4 & cr4::VME == 0 || wide || pending || popped & eflags::TF != 0 {
            return Err(gp(0));
        }
        flags = flags & !eflags::VIF | if on { eflags::VIF } else { 0 };
    } else {
        if cpl <= iopl {
            bits |= eflags::IF;
        }
        if cpl == 0 {
            bits |= eflags::IOPL;
        }
        if wide && !is_virtual(s) {
            flags &= !(eflags::VIP | eflags::VIF);
        }
    }
    // RF is cleared in any case (SDM 2, POPF, table 4-21), and loaded by IRET alone.
    let before = s.eflags;
    s.set_eflags(flags & !(bits | eflags::RF) | popped & bits);
    ac_changed(s, env, before);
    Ok(0)
}

/// [`crate::calls::SET_AC`].
pub fn set_ac(_: &mut X86, s: &mut Cpu, env: &mut dyn Env, a: Arguments) -> Answer {
    let set = if a[0] != 0 { eflags::AC } else { 0 };
    let before = s.eflags;
    s.eflags = before & !eflags::AC | set;
    s.settle_flags();
    ac_changed(s, env, before);
    Ok(0)
}
/// Of the flags, what addresses mean depends on AC alone: see [`crate::mmu::context`].
fn ac_changed(s: &Cpu, env: &mut dyn Env, before: u32) {
    if (s.eflags ^ before) & eflags::AC != 0 {
        env.context_changed();
    }
}
