//! Far transfers, system calls, RSM, HLT (SDM 2, JMP, CALL, RET, IRET, SYSCALL, SYSRET, SYSENTER, SYSEXIT, RSM, HLT).

use super::{Answer, Arguments, changed, done, run};
use crate::platform::X86;
use crate::state::bits::{dr6, eflags};
use crate::state::{Cpu, pending};
use crate::{gate, smm};
use emu_ir::Env;

/// [`crate::calls::JMP_FAR`].
pub fn jmp_far(x: &mut X86, s: &mut Cpu, env: &mut dyn Env, a: Arguments) -> Answer {
    let (selector, offset, next) = (a[0] as u16, a[1] as u64, a[2] as u64);
    done(run(x, s, env, |m, cpu| gate::jmp_far(m, cpu, selector, offset, next)))
}
/// [`crate::calls::CALL_FAR`].
pub fn call_far(x: &mut X86, s: &mut Cpu, env: &mut dyn Env, a: Arguments) -> Answer {
    let (selector, offset, size, next) = (a[0] as u16, a[1] as u64, a[2] as u8, a[3] as u64);
    done(run(x, s, env, |m, cpu| {
        gate::call_far(m, cpu, selector, offset, size, next)
    }))
}
/// [`crate::calls::RET_FAR`].
pub fn ret_far(x: &mut X86, s: &mut Cpu, env: &mut dyn Env, a: Arguments) -> Answer {
    done(run(x, s, env, |m, cpu| gate::ret_far(m, cpu, a[0] as u8, a[1] as u16)))
}
/// [`crate::calls::IRET`].
pub fn iret(x: &mut X86, s: &mut Cpu, env: &mut dyn Env, a: Arguments) -> Answer {
    done(run(x, s, env, |m, cpu| gate::iret(m, cpu, a[0] as u8, a[1] as u64)))
}
/// [`crate::calls::SYSCALL`]. It steps where EFLAGS.TF is still set then (SDM 2, SYSCALL; APM 3, SYSCALL).
pub fn syscall(x: &mut X86, s: &mut Cpu, env: &mut dyn Env, a: Arguments) -> Answer {
    changed(s, env, |cpu| gate::syscall(cpu, &x.model, a[0] as u64))?;
    if s.eflags & eflags::TF != 0 {
        s.sys.pending |= dr6::BS << pending::DEBUG_SHIFT;
        env.traps_changed();
    }
    Ok(0)
}
/// [`crate::calls::SYSRET`].
pub fn sysret(x: &mut X86, s: &mut Cpu, env: &mut dyn Env, a: Arguments) -> Answer {
    changed(s, env, |cpu| gate::sysret(cpu, &x.model, a[0] as u8))
}
/// [`crate::calls::SYSENTER`].
pub fn sysenter(x: &mut X86, s: &mut Cpu, env: &mut dyn Env, _: Arguments) -> Answer {
    changed(s, env, |cpu| gate::sysenter(cpu, &x.model))
}
/// [`crate::calls::SYSEXIT`].
pub fn sysexit(x: &mut X86, s: &mut Cpu, env: &mut dyn Env, a: Arguments) -> Answer {
    changed(s, env, |cpu| gate::sysexit(cpu, &x.model, a[0] as u8))
}
/// [`crate::calls::RSM`].
pub fn rsm(x: &mut X86, s: &mut Cpu, env: &mut dyn Env, _: Arguments) -> Answer {
    done(run(x, s, env, smm::rsm))
}
/// [`crate::calls::HALT`].
pub fn halt(_: &mut X86, s: &mut Cpu, _: &mut dyn Env, _: Arguments) -> Answer {
    s.sys.pending |= pending::HALTED;
    Ok(0)
}
